// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The heartbeat of a path (section 4.6 of the protocol).
 *
 * Each side looks every interval whether it has received anything on any
 * connection of the path since the last look. If it has, it sends one HB_MSG,
 * which the other side answers at once, so that there is something to receive
 * the next time. If it has not for more than missed_max looks, the peer is dead
 * or unreachable, and the path is told so; what happens then is its business. A path
 * that has to look after something else from time to time does so with it. Who has to
 * know at once whether the peer is there asks out of turn, rtrs_hb_ask().
 */
#include "rtrs-pri.h"

/*
 * A peer that floods us with heartbeats must not fill the send queue: it has
 * enough answers under way.
 */
static bool rtrs_hb_may_send(struct rtrs_hb *hb)
{
	return atomic_add_unless(&hb->posted, 1, RTRS_HB_SENDS);
}

static void rtrs_hb_post(struct rtrs_hb *hb, enum rtrs_imm_type type)
{
	if (!rtrs_post_imm(hb->con, &hb->cqe, rtrs_imm(type, 0)))
		return;
	atomic_dec(&hb->posted);
	hb->dead(hb);
}

static void rtrs_hb_send_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_hb *hb = container_of(wc->wr_cqe, struct rtrs_hb, cqe);

	atomic_dec(&hb->posted);
	if (wc->status != IB_WC_SUCCESS)
		hb->dead(hb);
}

/**
 * rtrs_hb_ask() - send a heartbeat now
 * @hb: the heartbeat, started
 *
 * One that cannot be sent, because too many others are on their way, has the number of
 * the next one that is.
 *
 * Context: any; the connection stays meanwhile.
 * Return: its number, for rtrs_hb_answered().
 */
u32 rtrs_hb_ask(struct rtrs_hb *hb)
{
	u32 nr;

	if (!rtrs_hb_may_send(hb))
		return (u32)atomic_read(&hb->asked) + 1;
	/* before the message goes out: its answer is counted, too */
	nr = atomic_inc_return(&hb->asked);
	WRITE_ONCE(hb->sent, ktime_get());
	rtrs_hb_post(hb, RTRS_IMM_HB_MSG);
	return nr;
}
EXPORT_SYMBOL_GPL(rtrs_hb_ask);

static void rtrs_hb_work(struct work_struct *work)
{
	struct rtrs_hb *hb = container_of(to_delayed_work(work),
					  struct rtrs_hb, work);
	unsigned int missed = READ_ONCE(hb->missed);

	if (missed > READ_ONCE(hb->missed_max)) {
		hb->dead(hb);
		return;
	}
	if (hb->look)
		hb->look(hb);
	/* before the message goes out: its answer sets the count to 0 again */
	WRITE_ONCE(hb->missed, missed + 1);
	if (!missed)
		rtrs_hb_ask(hb);
	queue_delayed_work(rtrs_wq, &hb->work, READ_ONCE(hb->interval));
}

/**
 * rtrs_hb_tune() - how often to look, and how often in vain
 * @hb: the heartbeat, perhaps running; it uses the new values from its next look
 *	on
 * @interval_ms: between two looks, at least 1
 * @missed_max: intervals without a receive that are borne
 *
 * Context: any.
 */
void rtrs_hb_tune(struct rtrs_hb *hb, unsigned int interval_ms,
		  unsigned int missed_max)
{
	WRITE_ONCE(hb->interval, msecs_to_jiffies(interval_ms));
	WRITE_ONCE(hb->missed_max, missed_max);
}
EXPORT_SYMBOL_GPL(rtrs_hb_tune);

/**
 * rtrs_hb_init() - set up a heartbeat
 * @hb: the heartbeat
 * @dead: what to call when the peer is dead
 */
void rtrs_hb_init(struct rtrs_hb *hb, void (*dead)(struct rtrs_hb *hb))
{
	hb->dead = dead;
	hb->cqe.done = rtrs_hb_send_done;
	rtrs_hb_tune(hb, RTRS_HB_INTERVAL_MS, RTRS_HB_MISSED_MAX);
	INIT_DELAYED_WORK(&hb->work, rtrs_hb_work);
}
EXPORT_SYMBOL_GPL(rtrs_hb_init);

/**
 * rtrs_hb_prepare() - a path is about to have a connection again
 * @hb: the heartbeat, stopped
 * @con: cid 0 of the path, without a queue pair yet
 *
 * From here on the peer's heartbeats can be answered.
 */
void rtrs_hb_prepare(struct rtrs_hb *hb, struct rtrs_con *con)
{
	hb->con = con;
	hb->missed = 0;
	hb->latency_ns = 0;
	/* completions of the last life may not have come */
	atomic_set(&hb->posted, 0);
	atomic_set(&hb->asked, 0);
	hb->acked = 0;
}
EXPORT_SYMBOL_GPL(rtrs_hb_prepare);

/**
 * rtrs_hb_start() - start the heartbeat of a path that is connected
 * @hb: the heartbeat, prepared
 */
void rtrs_hb_start(struct rtrs_hb *hb)
{
	WRITE_ONCE(hb->missed, 0);
	queue_delayed_work(rtrs_wq, &hb->work, READ_ONCE(hb->interval));
}
EXPORT_SYMBOL_GPL(rtrs_hb_start);

/**
 * rtrs_hb_stop() - stop a heartbeat, started or not
 * @hb: the heartbeat
 *
 * Answers to the peer's heartbeats are not affected: they end with the queue
 * pair.
 *
 * Context: process, sleeps.
 */
void rtrs_hb_stop(struct rtrs_hb *hb)
{
	cancel_delayed_work_sync(&hb->work);
}
EXPORT_SYMBOL_GPL(rtrs_hb_stop);

/**
 * rtrs_hb_recv_msg() - answer a heartbeat of the peer
 * @hb: the path's heartbeat, started
 *
 * Context: completion handler of cid 0.
 */
void rtrs_hb_recv_msg(struct rtrs_hb *hb)
{
	if (rtrs_hb_may_send(hb))
		rtrs_hb_post(hb, RTRS_IMM_HB_ACK);
}
EXPORT_SYMBOL_GPL(rtrs_hb_recv_msg);

/**
 * rtrs_hb_recv_ack() - the peer has answered our heartbeat
 * @hb: the path's heartbeat
 *
 * Context: completion handler of cid 0.
 */
void rtrs_hb_recv_ack(struct rtrs_hb *hb)
{
	WRITE_ONCE(hb->acked, hb->acked + 1);
	WRITE_ONCE(hb->latency_ns,
		   ktime_to_ns(ktime_sub(ktime_get(), READ_ONCE(hb->sent))));
}
EXPORT_SYMBOL_GPL(rtrs_hb_recv_ack);
