/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What rtrs-core.ko gives to the two ends of a connection: queue pairs and
 * their completion queues, DMA mapped buffers, and the heartbeat.
 */
#ifndef RTRS_PRI_H
#define RTRS_PRI_H

#include <linux/irq_work.h>
#include <rdma/ib_cm.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>

#include "rtrs.h"
#include "rtrs-proto.h"

/* Most pieces of memory that one send gathers, the messages included. */
#define RTRS_MAX_SEND_SGE	17

/* Receives on cid 0 (section 2.3 of the protocol). */
#define RTRS_SRV_SERVICE_RECVS	512
#define RTRS_CLT_SERVICE_RECVS	1024

/* Sends on cid 0: administrative requests, heartbeats and events, all of few. */
#define RTRS_SERVICE_SENDS	128

/* The protocol's heartbeat (section 4.6). */
#define RTRS_HB_INTERVAL_MS	5000
#define RTRS_HB_MISSED_MAX	5

/* Heartbeats and answers to them that a send queue has to have room for. */
#define RTRS_HB_SENDS		16

/*
 * Receives are posted again when so many have completed, which is cheaper than one by
 * one. So there are as many more than peers may need at once, but for one.
 */
#define RTRS_RECV_BATCH		8U

/* Resolving and connecting one connection, and INFO_REQ to INFO_RSP. */
#define RTRS_CONNECT_TIMEOUT_MS	30000

/**
 * struct rtrs_con - a connection: a queue pair and its connection manager id
 * @cm_id: owned by the path; destroyed last, since the device waits for it
 * @qp: NULL until rtrs_con_create_qp()
 * @cq: for both queues of @qp
 * @cid: number of the connection in its path
 * @max_inline: a send of no more than that may be posted with IB_SEND_INLINE
 * @recvs: a chain of receives; constant once the first were posted
 * @recvs_owed: receives that have completed and are to be posted again; belongs to the
 *	completion handler
 * @no_irq: the device has no interrupts, so that the following are needed
 * @cq_event: what ib_core has for @cq when there is something in it
 * @cq_irq: calls that from an interrupt
 * @cq_work: calls that from a thread, with softirqs shut out
 * @inflight: requests under way on it; on a client sent and not done, on a server come
 *	and not answered, and only with @no_irq
 *
 * Embedded in each side's own connection, which says who owns it.
 */
struct rtrs_con {
	struct rdma_cm_id	*cm_id;
	struct ib_qp		*qp;
	struct ib_cq		*cq;
	u16			cid;
	bool			no_irq;
	u32			max_inline;
	struct ib_recv_wr	recvs[RTRS_RECV_BATCH];
	unsigned int		recvs_owed;
	ib_comp_handler		cq_event;
	struct irq_work		cq_irq;
	struct work_struct	cq_work;
	atomic_t		inflight ____cacheline_aligned_in_smp;
};

/**
 * struct rtrs_qp_params - how to create a queue pair
 * @pd: protection domain of the path
 * @send_wr: work requests in the send queue, without the one that draining needs
 * @recv_wr: work requests in the receive queue, likewise
 * @send_sge: pieces of memory a send gathers
 * @vector: completion vector, taken modulo what the device has
 * @poll_ctx: where completions are handled
 */
struct rtrs_qp_params {
	struct ib_pd		*pd;
	u32			send_wr;
	u32			recv_wr;
	u32			send_sge;
	unsigned int		vector;
	enum ib_poll_context	poll_ctx;
};

/**
 * struct rtrs_iu - a DMA mapped buffer with a completion of its own
 * @cqe: for work requests that name @buf
 * @buf: the memory
 * @size: its bytes
 * @dma_addr: its address for the device
 * @dir: direction of the mapping
 */
struct rtrs_iu {
	struct ib_cqe		cqe;
	void			*buf;
	size_t			size;
	u64			dma_addr;
	enum dma_data_direction	dir;
};

/**
 * struct rtrs_hb - heartbeat of a path
 * @con: cid 0 of the path
 * @dead: called once the peer was silent for too long, or a heartbeat could not
 *	be sent; from process or completion context, perhaps more than once
 * @look: NULL, or called every @interval while started, before the next heartbeat goes
 *	out; from process context
 * @work: runs every @interval while started
 * @cqe: of all sends; only their failure is of interest
 * @interval: jiffies
 * @missed_max: intervals without a receive that are borne
 * @missed: intervals since the last receive. Written by @work and by whoever
 *	receives something, without a lock: a count that is off by one makes the
 *	limit that much longer.
 * @posted: sends that have not completed yet, %RTRS_HB_SENDS at most
 * @asked: HB_MSGs that were sent since the path has this connection
 * @acked: HB_ACKs that came; written by the completion handler of cid 0
 * @sent: when the last HB_MSG went out
 * @latency_ns: from HB_MSG to HB_ACK, the last time
 */
struct rtrs_hb {
	struct rtrs_con		*con;
	void			(*dead)(struct rtrs_hb *hb);
	void			(*look)(struct rtrs_hb *hb);
	struct delayed_work	work;
	struct ib_cqe		cqe;
	unsigned long		interval;
	unsigned int		missed_max;
	unsigned int		missed;
	atomic_t		posted;
	atomic_t		asked;
	u32			acked;
	ktime_t			sent;
	u64			latency_ns;
};

extern struct workqueue_struct *rtrs_wq;

int rtrs_check_device(struct rdma_cm_id *cm_id);

int rtrs_con_create_qp(struct rtrs_con *con, const struct rtrs_qp_params *p);
void rtrs_con_drain(struct rtrs_con *con);
void rtrs_con_destroy_qp(struct rtrs_con *con);
void rtrs_con_destroy_cm_id(struct rtrs_con *con);

struct rtrs_iu *rtrs_iu_alloc(struct ib_device *dev, size_t size,
			      enum dma_data_direction dir,
			      void (*done)(struct ib_cq *cq, struct ib_wc *wc));
void rtrs_iu_free(struct rtrs_iu *iu, struct ib_device *dev);
int rtrs_iu_post_recv(struct rtrs_con *con, struct rtrs_iu *iu);
int rtrs_iu_post_send(struct rtrs_con *con, struct rtrs_iu *iu, size_t len);

int rtrs_post_recvs(struct rtrs_con *con, struct ib_cqe *cqe, unsigned int n);

/* One has completed. */
static inline int rtrs_repost_recv(struct rtrs_con *con)
{
	if (++con->recvs_owed < RTRS_RECV_BATCH)
		return 0;
	con->recvs_owed = 0;
	return ib_post_recv(con->qp, con->recvs, NULL);
}

int rtrs_post_imm(struct rtrs_con *con, struct ib_cqe *cqe, __be32 imm);

u16 rtrs_addr_port(const struct sockaddr_storage *addr);

void rtrs_hb_init(struct rtrs_hb *hb, void (*dead)(struct rtrs_hb *hb));
void rtrs_hb_tune(struct rtrs_hb *hb, unsigned int interval_ms,
		  unsigned int missed_max);
void rtrs_hb_prepare(struct rtrs_hb *hb, struct rtrs_con *con);
void rtrs_hb_start(struct rtrs_hb *hb);
void rtrs_hb_stop(struct rtrs_hb *hb);
u32 rtrs_hb_ask(struct rtrs_hb *hb);
void rtrs_hb_recv_msg(struct rtrs_hb *hb);
void rtrs_hb_recv_ack(struct rtrs_hb *hb);

/**
 * rtrs_hb_alive() - something was received from the peer
 * @hb: the path's heartbeat
 *
 * Called for every receive on every connection, so it only reads in the common
 * case.
 */
static inline void rtrs_hb_alive(struct rtrs_hb *hb)
{
	if (READ_ONCE(hb->missed))
		WRITE_ONCE(hb->missed, 0);
}

/**
 * rtrs_hb_answered() - has the peer answered?
 * @hb: the path's heartbeat
 * @nr: what rtrs_hb_ask() has returned
 *
 * Answers come in the order of the questions, so one to an earlier question is not
 * taken for it.
 *
 * Return: true if so.
 */
static inline bool rtrs_hb_answered(const struct rtrs_hb *hb, u32 nr)
{
	return (s32)(READ_ONCE(hb->acked) - nr) >= 0;
}

#endif /* RTRS_PRI_H */
