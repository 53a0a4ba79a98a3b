// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-hb.c: when a heartbeat is sent, and when a peer is dead.
 *
 * The queue pair is one that only counts what is posted. The work item runs when a
 * test calls it: its interval is far longer than any test.
 */
#include <kunit/test.h>
#include <linux/delay.h>

#include "rtrs-pri.h"

struct fixture {
	struct rtrs_hb		hb;
	struct rtrs_con		con;
	struct ib_qp		qp;
	struct ib_device	dev;
	unsigned int		msgs;	/* HB_MSG that were posted */
	unsigned int		acks;	/* HB_ACK that were posted */
	unsigned int		others;
	unsigned int		dead;
	int			post_err;
};

static int hb_post_send(struct ib_qp *qp, const struct ib_send_wr *wr,
			const struct ib_send_wr **bad)
{
	struct fixture *f = container_of(qp, struct fixture, qp);

	if (f->post_err)
		return f->post_err;
	if (wr->opcode != IB_WR_RDMA_WRITE_WITH_IMM || wr->num_sge || wr->next)
		f->others++;
	else if (wr->ex.imm_data == rtrs_imm(RTRS_IMM_HB_MSG, 0))
		f->msgs++;
	else if (wr->ex.imm_data == rtrs_imm(RTRS_IMM_HB_ACK, 0))
		f->acks++;
	else
		f->others++;
	return 0;
}

static void hb_dead(struct rtrs_hb *hb)
{
	container_of(hb, struct fixture, hb)->dead++;
}

static int hb_init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	f->dev.ops.post_send = hb_post_send;
	f->qp.device = &f->dev;
	f->con.qp = &f->qp;
	rtrs_hb_init(&f->hb, hb_dead);
	rtrs_hb_tune(&f->hb, 3600 * 1000, RTRS_HB_MISSED_MAX);
	rtrs_hb_prepare(&f->hb, &f->con);
	test->priv = f;
	return 0;
}

static void hb_exit(struct kunit *test)
{
	struct fixture *f = test->priv;

	if (f)
		rtrs_hb_stop(&f->hb);
}

/* The interval is over. */
static void look(struct fixture *f)
{
	f->hb.work.work.func(&f->hb.work.work);
}

static void sent(struct fixture *f, enum ib_wc_status status)
{
	struct ib_wc wc = { .wr_cqe = &f->hb.cqe, .status = status };

	f->hb.cqe.done(NULL, &wc);
}

static void hb_has_the_protocols_times(struct kunit *test)
{
	struct fixture *f = test->priv;

	rtrs_hb_init(&f->hb, hb_dead);
	KUNIT_EXPECT_EQ(test, f->hb.interval, msecs_to_jiffies(5000));
	KUNIT_EXPECT_EQ(test, f->hb.missed_max, 5U);
}

static void hb_is_not_sent_at_the_start(struct kunit *test)
{
	struct fixture *f = test->priv;

	rtrs_hb_start(&f->hb);
	KUNIT_EXPECT_EQ(test, f->msgs, 0U);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&f->hb.work));
}

static void hb_is_sent_at_the_first_look(struct kunit *test)
{
	struct fixture *f = test->priv;

	look(f);
	KUNIT_EXPECT_EQ(test, f->msgs, 1U);
	KUNIT_EXPECT_EQ(test, f->acks + f->others, 0U);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&f->hb.work));
}

static void hb_is_sent_once_to_a_silent_peer(struct kunit *test)
{
	struct fixture *f = test->priv;
	int i;

	for (i = 0; i < 5; i++)
		look(f);
	KUNIT_EXPECT_EQ(test, f->msgs, 1U);
}

static void hb_is_sent_at_each_look_to_one_that_answers(struct kunit *test)
{
	struct fixture *f = test->priv;
	int i;

	for (i = 0; i < 5; i++) {
		look(f);
		sent(f, IB_WC_SUCCESS);
		rtrs_hb_alive(&f->hb);
	}
	KUNIT_EXPECT_EQ(test, f->msgs, 5U);
}

struct missed_case {
	const char	*name;
	unsigned int	max;
	unsigned int	heard_after;	/* looks; 0 for never */
	unsigned int	dead_at;	/* look */
};

/* At which look is it found to be dead? The first one sees nothing missed. */
static const struct missed_case missed_cases[] = {
	{ "limit 5",				5,	0,	7 },
	{ "limit 1",				1,	0,	3 },
	{ "limit 0",				0,	0,	2 },
	{ "limit 100",				100,	0,	102 },
	{ "limit 5, heard of at once",		5,	1,	8 },
	{ "limit 5, heard of in the middle",	5,	3,	10 },
	{ "limit 5, heard of in the end",	5,	6,	13 },
};

KUNIT_ARRAY_PARAM_DESC(missed, missed_cases, name);

static void hb_missed_too_often_is_the_end(struct kunit *test)
{
	const struct missed_case *c = test->param_value;
	struct fixture *f = test->priv;
	unsigned int n;

	rtrs_hb_tune(&f->hb, 3600 * 1000, c->max);
	for (n = 1; n <= 200 && !f->dead; n++) {
		look(f);
		if (n == c->heard_after)
			rtrs_hb_alive(&f->hb);
	}
	KUNIT_EXPECT_EQ(test, n - 1, c->dead_at);
}

static void hb_of_a_dead_peer_is_over(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->hb.missed = RTRS_HB_MISSED_MAX + 1;
	look(f);
	KUNIT_EXPECT_EQ(test, f->dead, 1U);
	KUNIT_EXPECT_EQ(test, f->msgs, 0U);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&f->hb.work));
}

static void hb_that_is_stopped_does_not_look(struct kunit *test)
{
	struct fixture *f = test->priv;

	rtrs_hb_start(&f->hb);
	rtrs_hb_stop(&f->hb);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&f->hb.work));
}

static void hb_that_cannot_be_posted_is_the_end(struct kunit *test)
{
	struct fixture *f = test->priv;

	f->post_err = -EINVAL;
	look(f);
	KUNIT_EXPECT_EQ(test, f->dead, 1U);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->hb.posted), 0);
}

static void hb_whose_send_fails_is_the_end(struct kunit *test)
{
	struct fixture *f = test->priv;

	look(f);
	sent(f, IB_WC_RETRY_EXC_ERR);
	KUNIT_EXPECT_EQ(test, f->dead, 1U);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->hb.posted), 0);
}

static void hb_whose_send_succeeds_is_not(struct kunit *test)
{
	struct fixture *f = test->priv;

	look(f);
	sent(f, IB_WC_SUCCESS);
	KUNIT_EXPECT_EQ(test, f->dead, 0U);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->hb.posted), 0);
}

static void hb_of_the_peer_is_answered(struct kunit *test)
{
	struct fixture *f = test->priv;

	rtrs_hb_recv_msg(&f->hb);
	KUNIT_EXPECT_EQ(test, f->acks, 1U);
	KUNIT_EXPECT_EQ(test, f->msgs + f->others, 0U);
}

/* Who sends faster than answers go out gets fewer answers. */
static void hb_flood_does_not_fill_the_queue(struct kunit *test)
{
	struct fixture *f = test->priv;
	int i;

	for (i = 0; i < 1000; i++)
		rtrs_hb_recv_msg(&f->hb);
	KUNIT_EXPECT_EQ(test, f->acks, (unsigned int)RTRS_HB_SENDS);
	sent(f, IB_WC_SUCCESS);
	for (i = 0; i < 1000; i++)
		rtrs_hb_recv_msg(&f->hb);
	KUNIT_EXPECT_EQ(test, f->acks, (unsigned int)RTRS_HB_SENDS + 1);
	KUNIT_EXPECT_EQ(test, f->dead, 0U);
}

static void hb_answer_tells_the_latency(struct kunit *test)
{
	struct fixture *f = test->priv;
	u64 begin, took;

	begin = ktime_get_ns();
	look(f);
	usleep_range(2000, 2100);
	rtrs_hb_recv_ack(&f->hb);
	took = ktime_get_ns() - begin;
	KUNIT_EXPECT_GE(test, f->hb.latency_ns, 2000000ULL);
	KUNIT_EXPECT_LE(test, f->hb.latency_ns, took);
}

static void hb_of_a_new_connection_begins_anew(struct kunit *test)
{
	struct fixture *f = test->priv;

	look(f);
	look(f);
	f->hb.latency_ns = 1;
	rtrs_hb_stop(&f->hb);
	rtrs_hb_prepare(&f->hb, &f->con);
	KUNIT_EXPECT_EQ(test, f->hb.missed, 0U);
	KUNIT_EXPECT_EQ(test, f->hb.latency_ns, 0ULL);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->hb.posted), 0);
}

/* --------------------------------------------------------- out of turn ---- */

static void hb_asks_at_once(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 nr = rtrs_hb_ask(&f->hb);

	KUNIT_EXPECT_EQ(test, f->msgs, 1U);
	KUNIT_EXPECT_FALSE(test, rtrs_hb_answered(&f->hb, nr));
	rtrs_hb_recv_ack(&f->hb);
	KUNIT_EXPECT_TRUE(test, rtrs_hb_answered(&f->hb, nr));
}

static void hb_answer_to_an_earlier_one_does_not_count(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 nr;

	look(f);
	nr = rtrs_hb_ask(&f->hb);
	rtrs_hb_recv_ack(&f->hb);
	KUNIT_EXPECT_FALSE(test, rtrs_hb_answered(&f->hb, nr));
	rtrs_hb_recv_ack(&f->hb);
	KUNIT_EXPECT_TRUE(test, rtrs_hb_answered(&f->hb, nr));
}

static void hb_that_was_not_sent_has_no_answer(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;
	u32 nr = 0;

	for (i = 0; i <= RTRS_HB_SENDS; i++)
		nr = rtrs_hb_ask(&f->hb);
	for (i = 0; i < RTRS_HB_SENDS; i++)
		rtrs_hb_recv_ack(&f->hb);
	KUNIT_EXPECT_EQ(test, f->msgs, (unsigned int)RTRS_HB_SENDS);
	KUNIT_EXPECT_FALSE(test, rtrs_hb_answered(&f->hb, nr));
}

/* It is not counted, or no later one would ever be answered. */
static void hb_that_was_not_sent_leaves_the_next_its_answer(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i;
	u32 nr;

	for (i = 0; i < RTRS_HB_SENDS + 3; i++)
		rtrs_hb_ask(&f->hb);
	for (i = 0; i < RTRS_HB_SENDS; i++) {
		sent(f, IB_WC_SUCCESS);
		rtrs_hb_recv_ack(&f->hb);
	}
	nr = rtrs_hb_ask(&f->hb);
	KUNIT_EXPECT_FALSE(test, rtrs_hb_answered(&f->hb, nr));
	rtrs_hb_recv_ack(&f->hb);
	KUNIT_EXPECT_TRUE(test, rtrs_hb_answered(&f->hb, nr));
}

static void hb_answers_end_with_the_connection(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 nr;

	rtrs_hb_ask(&f->hb);
	rtrs_hb_recv_ack(&f->hb);
	rtrs_hb_prepare(&f->hb, &f->con);
	nr = rtrs_hb_ask(&f->hb);
	KUNIT_EXPECT_FALSE(test, rtrs_hb_answered(&f->hb, nr));
}

static void hb_numbers_wrap(struct kunit *test)
{
	struct fixture *f = test->priv;
	u32 nr;

	atomic_set(&f->hb.asked, -1);
	f->hb.acked = U32_MAX;
	nr = rtrs_hb_ask(&f->hb);
	KUNIT_EXPECT_FALSE(test, rtrs_hb_answered(&f->hb, nr));
	rtrs_hb_recv_ack(&f->hb);
	KUNIT_EXPECT_TRUE(test, rtrs_hb_answered(&f->hb, nr));
}

static struct kunit_case rtrs_hb_cases[] = {
	KUNIT_CASE(hb_asks_at_once),
	KUNIT_CASE(hb_answer_to_an_earlier_one_does_not_count),
	KUNIT_CASE(hb_that_was_not_sent_has_no_answer),
	KUNIT_CASE(hb_that_was_not_sent_leaves_the_next_its_answer),
	KUNIT_CASE(hb_answers_end_with_the_connection),
	KUNIT_CASE(hb_numbers_wrap),
	KUNIT_CASE(hb_has_the_protocols_times),
	KUNIT_CASE(hb_is_not_sent_at_the_start),
	KUNIT_CASE(hb_is_sent_at_the_first_look),
	KUNIT_CASE(hb_is_sent_once_to_a_silent_peer),
	KUNIT_CASE(hb_is_sent_at_each_look_to_one_that_answers),
	KUNIT_CASE_PARAM(hb_missed_too_often_is_the_end, missed_gen_params),
	KUNIT_CASE(hb_of_a_dead_peer_is_over),
	KUNIT_CASE(hb_that_is_stopped_does_not_look),
	KUNIT_CASE(hb_that_cannot_be_posted_is_the_end),
	KUNIT_CASE(hb_whose_send_fails_is_the_end),
	KUNIT_CASE(hb_whose_send_succeeds_is_not),
	KUNIT_CASE(hb_of_the_peer_is_answered),
	KUNIT_CASE(hb_flood_does_not_fill_the_queue),
	KUNIT_CASE(hb_answer_tells_the_latency),
	KUNIT_CASE(hb_of_a_new_connection_begins_anew),
	{}
};

static struct kunit_suite rtrs_hb_suite = {
	.name		= "rtrs-hb",
	.init		= hb_init,
	.exit		= hb_exit,
	.test_cases	= rtrs_hb_cases,
};

kunit_test_suite(rtrs_hb_suite);
