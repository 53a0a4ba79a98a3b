// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RTRS server: the data path.
 *
 * A request arrives as an immediate that names a chunk. In the completion handler,
 * without delay, the operation of that chunk is claimed, the messages are copied
 * out of the chunk before they are looked at, since the client can write there at
 * any time, and the user decides whether it takes the request on. Whatever comes
 * later therefore finds it. With always_invalidate the data of a small write is then
 * copied, and the chunk of a large one invalidated. When that is done nobody but the
 * user can change the data, and the user carries it out: what may block for that has a
 * workqueue of the session's own. A read's data goes to memory that no
 * client can reach, so nothing needs to be invalidated for it; only where there is no
 * such memory is it read in place, and treated as a large write. Without
 * always_invalidate everything happens in the chunk.
 *
 * Its answer (rtrs-srv-answer.c) is the end of an operation, or, if it is signalled, its
 * completion. The client may have the answer, and send the next request for the chunk,
 * before we are done with either: it is remembered then, and begun when we are.
 *
 * A client that sends a request again because a path died must not overtake what
 * it had sent on that path, and the user may still be at work on that. Where it is
 * about data the user sees to that, who knows what overlaps what. Requests on the
 * service connections wait for each other here: all operations on one chunk number,
 * one a path, share a slot of the session, and who comes first there is carried
 * out. The others wait, without anybody blocking; the user knows of them, too.
 *
 * When the path is down there is nobody to answer, and what the user has not begun
 * it is told not to. Its operations end when the user gives them back, which may
 * be before or after the path is gone; in the latter case they are orphans, and
 * free what they have worked with.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "rtrs-srv.h"
#include "rtrs-srv-trace.h"

/*
 * Writes up to this size are copied out of their chunk: that costs less than to
 * invalidate its region and to register it again.
 */
#define RTRS_SRV_MAX_COPY	SZ_4K

/* For requests that came early, which must be known soon: nothing on it sleeps. */
static struct workqueue_struct *rtrs_srv_bh_wq;

/*
 * Where a work item of an operation is carried out: on this CPU, so that others have come
 * by the time it begins. But if there have been no others lately, on this connection, and
 * the device is software, then by the threads that carry that, without a switch.
 */
static struct workqueue_struct *rtrs_srv_op_wq(const struct rtrs_srv_op *op)
{
	const struct rtrs_srv_sess *sess = op->path->sess;
	struct rtrs_srv_con *con = op->con;
	bool lone, again;

	/* an orphan has no connection any more */
	guard(rcu)();
	if (!sess->lone_wq || !rtrs_srv_path_connected(op->path) ||
	    !con->c.no_irq)
		return sess->io_wq;
	lone = atomic_read(&con->c.inflight) == 1;
	again = READ_ONCE(con->lone);
	WRITE_ONCE(con->lone, lone);
	return lone && again ? sess->lone_wq : sess->io_wq;
}

bool rtrs_srv_queue_work(struct rtrs_srv_op *op, struct work_struct *work)
{
	return queue_work(rtrs_srv_op_wq(op), work);
}
EXPORT_SYMBOL_GPL(rtrs_srv_queue_work);

static void rtrs_srv_op_queue(struct rtrs_srv_op *op)
{
	queue_work(op->path->sess->io_wq, &op->work);
}

/*
 * An operation gets a request. If it is one of the service connection, and others
 * are before it in the slot, it goes on only when these have ended. No I/O waits
 * there: the disk of an earlier one may hang, and need not be the same. The slot
 * is locked.
 */
static void rtrs_srv_op_enter(struct rtrs_srv_op *op,
			      struct rtrs_srv_slot *slot,
			      struct rtrs_srv_con *con, u32 off)
{
	op->con = con;
	op->off = off;
	op->next = NULL;
	op->known = false;
	op->woken = false;
	op->state = RTRS_SRV_OP_BUSY;
	if (con->c.no_irq)
		atomic_inc(&con->c.inflight);
	op->slotted = !con->c.cid;
	if (!op->slotted)
		return;
	if (slot->first) {
		op->state = RTRS_SRV_OP_WAITING;
		slot->last->next = op;
	} else {
		slot->first = op;
	}
	slot->last = op;
}

/**
 * rtrs_srv_op_leave() - the first in a slot leaves it, if it is there
 * @op: the operation
 * @slot: its slot, locked
 * @state: what the operation is now
 *
 * The next one goes on, unless it is still being looked at: then whoever does that sees
 * that it need not wait. The lock is also for that: the next one's path may be about to
 * look for what still runs.
 */
void rtrs_srv_op_leave(struct rtrs_srv_op *op, struct rtrs_srv_slot *slot,
		       enum rtrs_srv_op_state state)
{
	struct rtrs_srv_op *next = op->next;

	op->state = state;
	if (!op->slotted)
		return;
	slot->first = next;
	if (next) {
		next->state = RTRS_SRV_OP_BUSY;
		next->woken = next->known;
		if (next->known)
			rtrs_srv_op_queue(next);
	}
}

/**
 * rtrs_srv_op_end() - the end of an operation whose path is down
 * @op: the operation; its path is not CONNECTED any more
 *
 * Context: under RCU, without which path and slot may be gone right after it.
 */
void rtrs_srv_op_end(struct rtrs_srv_op *op)
{
	struct rtrs_srv_slot *slot = rtrs_srv_op_slot(op);
	unsigned long flags;
	bool orphan;

	spin_lock_irqsave(&slot->lock, flags);
	orphan = op->orphan;
	rtrs_srv_op_leave(op, slot, RTRS_SRV_OP_IDLE);
	spin_unlock_irqrestore(&slot->lock, flags);

	/* of any other operation the memory is the path's to free */
	if (orphan) {
		rtrs_srv_chunk_free(op);
		rtrs_srv_path_put(op->path);
	}
}

/**
 * rtrs_srv_op_free() - an operation is over, its answer is out
 * @op: the operation, ANSWERED
 *
 * It may be another's as soon as this returns false.
 *
 * Context: any.
 * Return: whether its next request is here already, which the caller has to see to.
 */
bool rtrs_srv_op_free(struct rtrs_srv_op *op)
{
	struct rtrs_srv_slot *slot = rtrs_srv_op_slot(op);
	struct rtrs_srv_con *pending;
	unsigned long flags;

	spin_lock_irqsave(&slot->lock, flags);
	pending = op->pending_con;
	op->pending_con = NULL;
	op->state = RTRS_SRV_OP_IDLE;
	if (unlikely(pending))
		rtrs_srv_op_enter(op, slot, pending, op->pending_off);
	spin_unlock_irqrestore(&slot->lock, flags);
	return pending;
}

static void rtrs_srv_sync_for_cpu(const struct rtrs_srv_op *op, u32 off,
				  u32 len)
{
	ib_dma_sync_single_for_cpu(op->path->dev, op->chunk_dma + off, len,
				   DMA_BIDIRECTIONAL);
}

/* The request, as the user sees it: the same each time it is asked for. */
static void rtrs_srv_op_fill_req(const struct rtrs_srv_op *op,
				 struct rtrs_srv_req *req)
{
	*req = (struct rtrs_srv_req) {
		.chunk		= op->nr,
		.dir		= op->dir,
		.msg		= op->msg,
		.msg_len	= min_t(size_t, op->off - op->usr_off,
					op->path->user->max_msg_len),
		.data_len	= op->data_len,
	};
	if (op->data_len)
		req->data = op->in_place ? op->chunk : op->buf;
}

/* Does the user take it on? Under RCU, on a path that is CONNECTED. */
static int rtrs_srv_op_offer(struct rtrs_srv_op *op)
{
	struct rtrs_srv_path *path = op->path;
	struct rtrs_srv_req req;

	rtrs_srv_op_fill_req(op, &req);
	return path->user->request(path->priv, op, &req, op->con->c.cid == 0);
}

/*
 * The data may be looked at now, and nobody else touches it. Once the path has
 * gone there is no device to take it from, and nobody who waits for it.
 */
static int rtrs_srv_op_take_data(struct rtrs_srv_op *op)
{
	guard(rcu)();
	if (!rtrs_srv_path_connected(op->path))
		return -ECONNABORTED;
	if (op->err)
		return op->err;
	if (op->in_place && op->data_len)
		rtrs_srv_sync_for_cpu(op, 0, op->data_len);
	return 0;
}

static void rtrs_srv_op_carry_out(struct rtrs_srv_op *op)
{
	struct rtrs_srv_req req;
	int err = rtrs_srv_op_take_data(op);

	rtrs_srv_op_fill_req(op, &req);
	op->path->user->carry_out(op, &req, err);
}

void *rtrs_srv_op_priv(struct rtrs_srv_op *op)
{
	return op->priv;
}
EXPORT_SYMBOL_GPL(rtrs_srv_op_priv);

void rtrs_srv_carry_on(struct rtrs_srv_op *op)
{
	rtrs_srv_op_queue(op);
}
EXPORT_SYMBOL_GPL(rtrs_srv_carry_on);

static void rtrs_srv_op_inv_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_op *op = container_of(wc->wr_cqe, struct rtrs_srv_op,
					      cqe);

	if (unlikely(wc->status != IB_WC_SUCCESS)) {
		rtrs_srv_con_failed(op->con, wc, "invalidation");
		op->err = -EIO;
	} else {
		rtrs_srv_sq_over(op);
		op->invalidated = true;
	}
	rtrs_srv_op_carry_out(op);
}

static int rtrs_srv_op_post_inv(struct rtrs_srv_op *op)
{
	struct ib_send_wr wr = {
		.wr_cqe			= &op->cqe,
		.opcode			= IB_WR_LOCAL_INV,
		.send_flags		= IB_SEND_SIGNALED,
		.ex.invalidate_rkey	= op->mr->rkey,
	};
	unsigned long flags;
	int err;

	op->cqe.done = rtrs_srv_op_inv_done;
	spin_lock_irqsave(&op->con->sq_lock, flags);
	rtrs_srv_sq_signalled(op, 1);
	err = ib_post_send(op->con->c.qp, &wr, NULL);
	spin_unlock_irqrestore(&op->con->sq_lock, flags);
	return err;
}

/* Only where its chunk would have to be invalidated otherwise. */
static bool rtrs_srv_may_copy(struct rtrs_srv_op *op)
{
	return op->mr && op->data_len && op->data_len <= RTRS_SRV_MAX_COPY &&
	       !rtrs_srv_op_buf(op, op->data_len);
}

static int rtrs_srv_parse_write(struct rtrs_srv_op *op, const void *msg,
				size_t len)
{
	u16 usr_len;
	int err;

	err = rtrs_msg_write_decode(&usr_len, msg, len);
	if (err)
		return err;
	if (usr_len > op->off)
		return -EINVAL;
	op->usr_off = op->off - usr_len;
	op->data_len = op->usr_off;
	op->copied = rtrs_srv_may_copy(op);
	op->in_place = !op->copied;
	op->invalidate = op->data_len && op->mr && !op->copied;
	return 0;
}

static int rtrs_srv_parse_read(struct rtrs_srv_op *op, const void *msg,
			       size_t len)
{
	int err;

	op->dir = DMA_FROM_DEVICE;
	err = rtrs_msg_read_decode(&op->rd, msg, len);
	if (err) {
		op->rd = (struct rtrs_read_req) {};
		return err;
	}
	/* more than the request produces would be old memory of ours */
	if (op->rd.usr_len > op->off ||
	    op->rd.len > op->off - op->rd.usr_len)
		return -EINVAL;
	op->usr_off = op->off - op->rd.usr_len;
	op->data_len = op->rd.len;
	op->in_place = !op->mr || (op->data_len &&
				   rtrs_srv_op_buf(op, op->data_len));
	op->invalidate = op->in_place && op->mr;
	return 0;
}

static void rtrs_srv_count(const struct rtrs_srv_op *op)
{
	struct rtrs_srv_stats __percpu *stats = op->path->stats;

	if (op->dir == DMA_FROM_DEVICE) {
		this_cpu_inc(stats->reads);
		this_cpu_add(stats->read_bytes, op->off);
	} else {
		this_cpu_inc(stats->writes);
		this_cpu_add(stats->write_bytes, op->off);
	}
}

/* Look at copies of the messages; nothing else in them is to be believed. */
static int rtrs_srv_op_parse(struct rtrs_srv_op *op)
{
	u8 msg[RTRS_MAX_REQ_LEN] __aligned(8);
	size_t len;
	int err;

	if (op->off > rtrs_srv_conf.chunk_size - sizeof(struct rtrs_msg_write))
		return -EINVAL;
	len = min_t(size_t, sizeof(msg), rtrs_srv_conf.chunk_size - op->off);
	rtrs_srv_sync_for_cpu(op, op->off, len);
	memcpy(msg, op->chunk + op->off, len);

	switch (rtrs_msg_type(msg)) {
	case RTRS_MSG_WRITE:
		err = rtrs_srv_parse_write(op, msg, len);
		break;
	case RTRS_MSG_READ:
		err = rtrs_srv_parse_read(op, msg, len);
		break;
	default:
		err = -EINVAL;
	}
	if (err)
		return err;

	len = min_t(size_t, op->off - op->usr_off, op->path->user->max_msg_len);
	rtrs_srv_sync_for_cpu(op, op->usr_off, len);
	memcpy(op->msg, op->chunk + op->usr_off, len);
	rtrs_srv_count(op);
	return 0;
}

/* From here on the client can do what it likes to its chunk. */
static void rtrs_srv_op_copy(struct rtrs_srv_op *op)
{
	rtrs_srv_sync_for_cpu(op, 0, op->data_len);
	if (op->data_len == PAGE_SIZE)
		copy_page(op->buf, op->chunk);
	else
		memcpy(op->buf, op->chunk, op->data_len);
}

static int rtrs_srv_op_check(struct rtrs_srv_op *op)
{
	int err = rtrs_srv_op_parse(op);

	if (err)
		rtrs_srv_err(op->path, "bad request for chunk %u: %pe\n",
			     op->nr, ERR_PTR(err));
	else
		err = rtrs_srv_op_offer(op);
	if (!err && op->copied)
		rtrs_srv_op_copy(op);
	return err;
}

/* It is its turn: on to its data, or to its answer. Under RCU. */
static void rtrs_srv_op_go_on(struct rtrs_srv_op *op)
{
	if (op->refused) {
		rtrs_srv_respond(op, op->err, 0);
		return;
	}
	if (op->invalidate && rtrs_srv_path_connected(op->path)) {
		op->err = rtrs_srv_op_post_inv(op);
		if (!op->err)
			return;
		rtrs_srv_path_error(op->path, "cannot invalidate", op->err);
	}
	rtrs_srv_op_carry_out(op);
}

/* It is known now. Is it its turn in the slot? If not, whoever leaves that sees to it. */
static bool rtrs_srv_op_turn(struct rtrs_srv_op *op)
{
	struct rtrs_srv_slot *slot = rtrs_srv_op_slot(op);
	unsigned long flags;
	bool turn;

	spin_lock_irqsave(&slot->lock, flags);
	op->known = true;
	turn = op->state == RTRS_SRV_OP_BUSY;
	spin_unlock_irqrestore(&slot->lock, flags);
	return turn;
}

/*
 * A request has come, and its operation has entered its slot. In a completion
 * handler, and even if it has to wait: so it is known to the user before anything
 * that its client does next. Does not sleep.
 */
static void rtrs_srv_op_start(struct rtrs_srv_op *op)
{
	op->dir = DMA_TO_DEVICE;
	op->usr_off = 0;
	op->data_len = 0;
	op->in_place = false;
	op->copied = false;
	op->invalidate = false;
	op->invalidated = false;
	op->rd = (struct rtrs_read_req) {};

	guard(rcu)();
	op->err = rtrs_srv_path_connected(op->path) ? rtrs_srv_op_check(op) :
						      -ECONNABORTED;
	op->refused = op->err;
	if (likely(!op->slotted) || rtrs_srv_op_turn(op))
		rtrs_srv_op_go_on(op);
}

/**
 * rtrs_srv_op_start_early() - begin with a request that came before the last one's end
 * @op: the operation, which the request has entered
 *
 * Not in the caller's context: a client that is quick could have it call itself.
 *
 * Context: any.
 */
void rtrs_srv_op_start_early(struct rtrs_srv_op *op)
{
	queue_work(rtrs_srv_bh_wq, &op->early_work);
}

/**
 * rtrs_srv_op_early_work() - begin with a request that came early
 * @work: rtrs_srv_op.early_work
 *
 * Context: softirq.
 */
void rtrs_srv_op_early_work(struct work_struct *work)
{
	rtrs_srv_op_start(container_of(work, struct rtrs_srv_op, early_work));
}

/**
 * rtrs_srv_op_work() - go on with an operation that had to wait
 * @work: rtrs_srv_op.work
 *
 * Context: process.
 */
void rtrs_srv_op_work(struct work_struct *work)
{
	struct rtrs_srv_op *op = container_of(work, struct rtrs_srv_op, work);

	if (op->woken) {
		op->woken = false;
		guard(rcu)();
		rtrs_srv_op_go_on(op);
	} else {
		rtrs_srv_op_carry_out(op);
	}
}

/**
 * rtrs_srv_op_done() - the signalled message of an answer has completed
 * @cq: the connection's completion queue
 * @wc: the completion
 *
 * The chunk is free, or its next request is here already.
 *
 * Context: completion handler.
 */
void rtrs_srv_op_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_op *op = container_of(wc->wr_cqe, struct rtrs_srv_op,
					      cqe);

	if (unlikely(wc->status != IB_WC_SUCCESS))
		rtrs_srv_con_failed(rtrs_srv_con_of(cq), wc, "answer");
	else
		rtrs_srv_sq_over(op);
	if (unlikely(rtrs_srv_op_free(op)))
		rtrs_srv_op_start(op);
}

/**
 * rtrs_srv_io_request() - a request has come in
 * @con: the connection it came on
 * @payload: of its immediate
 *
 * Context: completion handler of @con.
 * Return: 0, or an errno for which the path has to end: -EPROTO for a chunk that
 * there is not, -EBUSY for one that carries a request already.
 */
int rtrs_srv_io_request(struct rtrs_srv_con *con, u32 payload)
{
	struct rtrs_srv_path *path = con->path;
	u32 nr = rtrs_io_req_chunk(payload, path->chunk_bits);
	u32 off = rtrs_io_req_off(payload, path->chunk_bits);
	struct rtrs_srv_slot *slot;
	struct rtrs_srv_op *op;
	unsigned long flags;
	bool start = false;
	int err = 0;

	trace_rtrs_srv_request(con, nr, off);
	if (unlikely(nr >= path->queue_depth))
		return -EPROTO;
	op = &path->ops[nr];
	slot = rtrs_srv_op_slot(op);
	spin_lock_irqsave(&slot->lock, flags);
	if (likely(READ_ONCE(op->state) == RTRS_SRV_OP_IDLE)) {
		rtrs_srv_op_enter(op, slot, con, off);
		start = true;
	} else if (READ_ONCE(op->state) == RTRS_SRV_OP_ANSWERED && !op->pending_con) {
		op->pending_con = con;
		op->pending_off = off;
	} else {
		err = -EBUSY;
	}
	spin_unlock_irqrestore(&slot->lock, flags);

	if (start)
		rtrs_srv_op_start(op);
	return err;
}

/* Free the memory of an operation, or leave that to who ends it. */
static void rtrs_srv_op_release(struct rtrs_srv_op *op)
{
	struct rtrs_srv_slot *slot = rtrs_srv_op_slot(op);
	unsigned long flags;
	bool orphan;

	spin_lock_irqsave(&slot->lock, flags);
	orphan = op->state == RTRS_SRV_OP_BUSY ||
		 op->state == RTRS_SRV_OP_WAITING;
	op->orphan = orphan;
	if (orphan)
		kref_get(&op->path->ref);
	spin_unlock_irqrestore(&slot->lock, flags);

	if (!orphan)
		rtrs_srv_chunk_free(op);
}

/**
 * rtrs_srv_io_release() - part with the operations of a path
 * @path: the path; nothing of it is left on the device
 *
 * Context: process.
 */
void rtrs_srv_io_release(struct rtrs_srv_path *path)
{
	u32 nr;

	for (nr = 0; path->ops && nr < path->queue_depth; nr++)
		rtrs_srv_op_release(&path->ops[nr]);
}

/**
 * rtrs_srv_io_init() - prepare for requests
 *
 * Return: 0 or -ENOMEM.
 */
int __init rtrs_srv_io_init(void)
{
	rtrs_srv_bh_wq = alloc_workqueue("rtrs_srv_bh", WQ_BH, 0);
	return rtrs_srv_bh_wq ? 0 : -ENOMEM;
}

/**
 * rtrs_srv_io_exit() - there are no more requests
 *
 * Context: process.
 */
void rtrs_srv_io_exit(void)
{
	destroy_workqueue(rtrs_srv_bh_wq);
}

#ifdef CONFIG_RTRS_KUNIT_TEST
#include "rtrs-srv-io-test.c"
#endif
