// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RTRS server: the data path.
 *
 * A request arrives as an immediate that names a chunk. The operation of that
 * chunk is claimed, and the messages are copied out of the chunk before they are
 * looked at, since the client can write there at any time. With
 * always_invalidate a write's chunk is then invalidated, and the user only sees
 * the request when that has completed: from there on nobody but the user can
 * change the data. A read's data goes to memory that no client can reach, so
 * nothing needs to be invalidated for it; only where there is no such memory is
 * it read in place, and treated as a write. Without always_invalidate everything
 * happens in the chunk.
 *
 * The answer is one chain of work requests with one doorbell, on the connection
 * that the request came on: the chunk's registration if it was invalidated, the
 * data, the invalidation of the client's key if it asked for that, and the
 * message that says so. Only the last is signalled. The operation, its memory
 * included, is in use until that completion, but the client may have the answer,
 * and send the next request for the chunk, before that: it is remembered then,
 * and begun by the completion.
 *
 * All operations on one chunk number, one a path, share a slot of the session.
 * Who comes first is carried out, others wait in it, without anybody blocking: a
 * client that sends a request again because a path died must not overtake what it
 * had sent on that path, and the user may still be at work on that.
 *
 * When the path is down there is nobody to answer. Its operations end when the
 * user gives them back, which may be before or after the path is gone; in the
 * latter case they are orphans, and free what they have worked with.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "rtrs-srv.h"

/* The work requests of an answer, in the order they are posted in. */
struct rtrs_srv_chain {
	struct ib_send_wr	*first;
	struct ib_send_wr	**end;
	struct ib_reg_wr	reg;
	struct ib_rdma_wr	data;
	struct ib_send_wr	inv;
	struct ib_rdma_wr	rsp;
	struct ib_sge		data_sge;
	struct ib_sge		rsp_sge;
};

static struct rtrs_srv_slot *rtrs_srv_op_slot(const struct rtrs_srv_op *op)
{
	return &op->path->slots[op->nr];
}

/* Start an operation on its connection's own work item. */
static void rtrs_srv_op_wake(struct rtrs_srv_op *op)
{
	if (llist_add(&op->ready, &op->con->ready))
		queue_work(rtrs_srv_io_wq, &op->con->work);
}

/*
 * An operation gets a request. True if it may be carried out now, otherwise it
 * is begun when those before it have ended. The slot is locked.
 */
static bool rtrs_srv_op_enter(struct rtrs_srv_op *op,
			      struct rtrs_srv_slot *slot,
			      struct rtrs_srv_con *con, u32 off)
{
	op->con = con;
	op->off = off;
	op->next = NULL;
	if (!slot->first) {
		op->state = RTRS_SRV_OP_BUSY;
		slot->first = op;
		slot->last = op;
		return true;
	}
	op->state = RTRS_SRV_OP_WAITING;
	slot->last->next = op;
	slot->last = op;
	return false;
}

/*
 * The first in the slot leaves it, and the next one is begun. The slot is locked,
 * also for that: the next one's path may be about to look for what still runs.
 */
static void rtrs_srv_op_leave(struct rtrs_srv_op *op,
			      struct rtrs_srv_slot *slot,
			      enum rtrs_srv_op_state state)
{
	struct rtrs_srv_op *next = op->next;

	op->state = state;
	slot->first = next;
	if (next) {
		next->state = RTRS_SRV_OP_BUSY;
		rtrs_srv_op_wake(next);
	}
}

/* Leave the slot before it is one's turn. The slot is locked. */
static void rtrs_srv_op_give_up(struct rtrs_srv_op *op,
				struct rtrs_srv_slot *slot)
{
	struct rtrs_srv_op *prev = slot->first;

	while (prev->next != op)
		prev = prev->next;
	prev->next = op->next;
	if (slot->last == op)
		slot->last = prev;
	op->state = RTRS_SRV_OP_IDLE;
}

/*
 * The end of an operation whose path is not CONNECTED any more. Under
 * rcu_read_lock(): path and slot may be gone right after it otherwise.
 */
static void rtrs_srv_op_end(struct rtrs_srv_op *op)
{
	struct rtrs_srv_slot *slot = rtrs_srv_op_slot(op);
	unsigned long flags;
	bool orphan;

	spin_lock_irqsave(&slot->lock, flags);
	orphan = op->state == RTRS_SRV_OP_ORPHAN;
	rtrs_srv_op_leave(op, slot, RTRS_SRV_OP_IDLE);
	spin_unlock_irqrestore(&slot->lock, flags);

	/* of any other operation the memory is the path's to free */
	if (orphan) {
		rtrs_srv_chunk_free(op);
		rtrs_srv_path_put(op->path);
	}
}

static void rtrs_srv_chain_add(struct rtrs_srv_chain *chain,
			       struct ib_send_wr *wr, struct ib_cqe *cqe)
{
	wr->wr_cqe = cqe;
	*chain->end = wr;
	chain->end = &wr->next;
}

/* The chunk is the client's again, under its next key. */
static void rtrs_srv_chain_reg(struct rtrs_srv_chain *chain,
			       struct rtrs_srv_op *op)
{
	struct ib_mr *mr = op->mr;

	ib_update_fast_reg_key(mr, ib_inc_rkey(mr->rkey));
	chain->reg = (struct ib_reg_wr) {
		.wr.opcode	= IB_WR_REG_MR,
		.mr		= mr,
		.key		= mr->rkey,
		.access		= IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE,
	};
	rtrs_srv_chain_add(chain, &chain->reg.wr, &op->con->wr_cqe);
}

static void rtrs_srv_set_data(struct ib_rdma_wr *wr, struct ib_sge *sge,
			      const struct rtrs_srv_op *op, size_t len)
{
	*sge = (struct ib_sge) {
		.addr	= op->in_place ? op->chunk_dma : op->buf_dma,
		.length	= len,
		.lkey	= op->path->pd->local_dma_lkey,
	};
	wr->wr.sg_list = sge;
	wr->wr.num_sge = 1;
	wr->remote_addr = op->rd.addr;
	wr->rkey = op->rd.key;
}

static void rtrs_srv_chain_data(struct rtrs_srv_chain *chain,
				struct rtrs_srv_op *op, size_t len)
{
	chain->data = (struct ib_rdma_wr) {
		.wr.opcode	= IB_WR_RDMA_WRITE,
	};
	rtrs_srv_set_data(&chain->data, &chain->data_sge, op, len);
	rtrs_srv_chain_add(chain, &chain->data.wr, &op->con->wr_cqe);
}

static void rtrs_srv_chain_inv(struct rtrs_srv_chain *chain,
			       struct rtrs_srv_op *op)
{
	chain->inv = (struct ib_send_wr) {
		.opcode			= IB_WR_SEND_WITH_INV,
		.ex.invalidate_rkey	= op->rd.key,
	};
	rtrs_srv_chain_add(chain, &chain->inv, &op->con->wr_cqe);
}

/* Where answers bring the chunk's key, they always do. */
static void rtrs_srv_set_rkey_rsp(struct rtrs_srv_chain *chain,
				  const struct rtrs_srv_op *op)
{
	struct rtrs_srv_path *path = op->path;
	struct rtrs_msg_rkey_rsp *msg = path->rsp->buf;
	u64 dma = path->rsp->dma_addr + op->nr * sizeof(*msg);

	rtrs_rkey_rsp_encode(&msg[op->nr], op->nr, op->mr->rkey);
	ib_dma_sync_single_for_device(path->dev, dma, sizeof(*msg),
				      DMA_TO_DEVICE);
	chain->rsp_sge = (struct ib_sge) {
		.addr	= dma,
		.length	= sizeof(*msg),
		.lkey	= path->pd->local_dma_lkey,
	};
	chain->rsp.wr.opcode = IB_WR_SEND_WITH_IMM;
	chain->rsp.wr.sg_list = &chain->rsp_sge;
	chain->rsp.wr.num_sge = 1;
}

/* The answer itself, with @len bytes of data in it if it can carry them. */
static void rtrs_srv_chain_rsp(struct rtrs_srv_chain *chain,
			       struct rtrs_srv_op *op, __be32 imm, size_t len)
{
	chain->rsp = (struct ib_rdma_wr) {
		.wr.opcode	= IB_WR_RDMA_WRITE_WITH_IMM,
		.wr.send_flags	= IB_SEND_SIGNALED,
		.wr.ex.imm_data	= imm,
	};
	if (op->path->new_rkey)
		rtrs_srv_set_rkey_rsp(chain, op);
	else if (len)
		rtrs_srv_set_data(&chain->rsp, &chain->data_sge, op, len);
	rtrs_srv_chain_add(chain, &chain->rsp.wr, &op->cqe);
}

/* The device may access again what rtrs_srv_sync_for_cpu() took from it. */
static void rtrs_srv_sync_for_device(const struct rtrs_srv_op *op, size_t len)
{
	struct ib_device *dev = op->path->dev;
	u32 start = op->in_place ? 0 : op->usr_off;
	u32 end = min_t(u32, op->off + RTRS_MAX_REQ_LEN,
			rtrs_srv_conf.chunk_size);

	ib_dma_sync_single_for_device(dev, op->chunk_dma + start, end - start,
				      DMA_BIDIRECTIONAL);
	if (len && !op->in_place)
		ib_dma_sync_single_for_device(dev, op->buf_dma, len,
					      DMA_TO_DEVICE);
}

static void rtrs_srv_op_done(struct ib_cq *cq, struct ib_wc *wc);

/*
 * Build and post the answer. The operation is ANSWERED, and its path was
 * CONNECTED under this rcu_read_lock().
 *
 * One message cannot both say that the client's key is invalid and that the
 * chunk's has rolled. A client takes a read for which its key is still valid, and
 * invalidates it by itself.
 */
static void rtrs_srv_op_answer(struct rtrs_srv_op *op, int err, size_t len)
{
	enum rtrs_imm_type type = RTRS_IMM_IO_RSP;
	bool rolled = op->invalidated && op->path->roll;
	bool inv = op->rd.need_inval && !rolled;
	struct rtrs_srv_chain chain;

	chain.end = &chain.first;
	rtrs_srv_sync_for_device(op, len);
	if (op->invalidated)
		rtrs_srv_chain_reg(&chain, op);
	if (len && (inv || op->path->new_rkey)) {
		rtrs_srv_chain_data(&chain, op, len);
		len = 0;
	}
	if (inv) {
		rtrs_srv_chain_inv(&chain, op);
		type = RTRS_IMM_IO_RSP_W_INV;
	} else if (rolled) {
		type = RTRS_IMM_IO_RSP_ROLL;
	}
	op->cqe.done = rtrs_srv_op_done;
	rtrs_srv_chain_rsp(&chain, op, rtrs_imm_io_rsp(type, op->nr, err), len);

	err = ib_post_send(op->con->c.qp, chain.first, NULL);
	if (unlikely(err))
		rtrs_srv_path_error(op->path, "cannot answer", err);
}

void rtrs_srv_respond(struct rtrs_srv_op *op, int err, size_t len)
{
	struct rtrs_srv_slot *slot;
	unsigned long flags;

	guard(rcu)();
	if (unlikely(!rtrs_srv_path_connected(op->path))) {
		rtrs_srv_op_end(op);
		return;
	}
	slot = rtrs_srv_op_slot(op);
	spin_lock_irqsave(&slot->lock, flags);
	rtrs_srv_op_leave(op, slot, RTRS_SRV_OP_ANSWERED);
	spin_unlock_irqrestore(&slot->lock, flags);

	if (err || op->dir == DMA_TO_DEVICE)
		len = 0;
	rtrs_srv_op_answer(op, err, min_t(size_t, len, op->data_len));
}
EXPORT_SYMBOL_GPL(rtrs_srv_respond);

static void rtrs_srv_sync_for_cpu(const struct rtrs_srv_op *op, u32 off,
				  u32 len)
{
	ib_dma_sync_single_for_cpu(op->path->dev, op->chunk_dma + off, len,
				   DMA_BIDIRECTIONAL);
}

/* Hand the request to the user: nobody else touches its data now. */
static void rtrs_srv_op_run(struct rtrs_srv_op *op)
{
	struct rtrs_srv_path *path = op->path;
	struct rtrs_srv_req req = {
		.dir		= op->dir,
		.msg		= op->msg,
		.msg_len	= min_t(size_t, op->off - op->usr_off,
					path->user->max_msg_len),
		.data_len	= op->data_len,
	};

	if (!rtrs_srv_path_connected(path)) {
		rtrs_srv_respond(op, -ECONNABORTED, 0);
		return;
	}
	if (op->data_len) {
		req.data = op->in_place ? op->chunk : op->buf;
		if (op->in_place)
			rtrs_srv_sync_for_cpu(op, 0, op->data_len);
	}
	path->user->request(path->priv, op, &req, op->con->c.cid == 0);
}

static void rtrs_srv_op_inv_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_op *op = container_of(wc->wr_cqe, struct rtrs_srv_op,
					      cqe);

	if (unlikely(wc->status != IB_WC_SUCCESS)) {
		rtrs_srv_con_failed(op->con, wc, "invalidation");
		rtrs_srv_respond(op, -EIO, 0);
		return;
	}
	op->invalidated = true;
	rtrs_srv_op_run(op);
}

static int rtrs_srv_op_post_inv(struct rtrs_srv_op *op)
{
	struct ib_send_wr wr = {
		.wr_cqe			= &op->cqe,
		.opcode			= IB_WR_LOCAL_INV,
		.send_flags		= IB_SEND_SIGNALED,
		.ex.invalidate_rkey	= op->mr->rkey,
	};

	op->cqe.done = rtrs_srv_op_inv_done;
	guard(rcu)();
	if (!rtrs_srv_path_connected(op->path))
		return -ENOTCONN;
	return ib_post_send(op->con->c.qp, &wr, NULL);
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
	op->in_place = true;
	op->invalidate = op->data_len && op->mr;
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
				   rtrs_srv_read_buf(op, op->data_len));
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

/* A request begins. Process context, on a worker of its connection. */
static void rtrs_srv_op_start(struct rtrs_srv_op *op)
{
	int err;

	op->dir = DMA_TO_DEVICE;
	op->usr_off = 0;
	op->data_len = 0;
	op->in_place = false;
	op->invalidate = false;
	op->invalidated = false;
	op->rd = (struct rtrs_read_req) {};

	err = rtrs_srv_op_parse(op);
	if (err) {
		rtrs_srv_err(op->path, "bad request for chunk %u: %pe\n",
			     op->nr, ERR_PTR(err));
		rtrs_srv_respond(op, err, 0);
		return;
	}
	if (!op->invalidate) {
		rtrs_srv_op_run(op);
		return;
	}
	err = rtrs_srv_op_post_inv(op);
	if (err) {
		rtrs_srv_path_error(op->path, "cannot invalidate", err);
		rtrs_srv_respond(op, err, 0);
	}
}

/* The answer is out: the chunk is free, or its next request is here already. */
static void rtrs_srv_op_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_op *op = container_of(wc->wr_cqe, struct rtrs_srv_op,
					      cqe);
	struct rtrs_srv_slot *slot = rtrs_srv_op_slot(op);
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq), *pending;
	unsigned long flags;
	bool start = false;

	if (unlikely(wc->status != IB_WC_SUCCESS))
		rtrs_srv_con_failed(con, wc, "answer");

	spin_lock_irqsave(&slot->lock, flags);
	pending = op->pending_con;
	op->pending_con = NULL;
	op->state = RTRS_SRV_OP_IDLE;
	if (unlikely(pending))
		start = rtrs_srv_op_enter(op, slot, pending, op->pending_off);
	spin_unlock_irqrestore(&slot->lock, flags);

	if (!start)
		return;
	/* another connection's request must not hold up this one's worker */
	if (pending == con)
		rtrs_srv_op_start(op);
	else
		rtrs_srv_op_wake(op);
}

/**
 * rtrs_srv_io_work() - start the operations of a connection that had to wait
 * @work: rtrs_srv_con.work
 *
 * Context: process, sleeps.
 */
void rtrs_srv_io_work(struct work_struct *work)
{
	struct rtrs_srv_con *con = container_of(work, struct rtrs_srv_con,
						work);
	struct rtrs_srv_op *op, *tmp;
	struct llist_node *ready;

	ready = llist_reverse_order(llist_del_all(&con->ready));
	llist_for_each_entry_safe(op, tmp, ready, ready)
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

	if (unlikely(nr >= path->queue_depth))
		return -EPROTO;
	op = &path->ops[nr];
	slot = rtrs_srv_op_slot(op);
	spin_lock_irqsave(&slot->lock, flags);
	if (likely(op->state == RTRS_SRV_OP_IDLE)) {
		start = rtrs_srv_op_enter(op, slot, con, off);
	} else if (op->state == RTRS_SRV_OP_ANSWERED && !op->pending_con) {
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

static void rtrs_srv_op_stop_waiting(struct rtrs_srv_op *op)
{
	struct rtrs_srv_slot *slot = rtrs_srv_op_slot(op);
	unsigned long flags;

	spin_lock_irqsave(&slot->lock, flags);
	if (op->state == RTRS_SRV_OP_WAITING)
		rtrs_srv_op_give_up(op, slot);
	spin_unlock_irqrestore(&slot->lock, flags);
}

/* What was to be started and now is not. */
static void rtrs_srv_con_stop_ready(struct rtrs_srv_con *con)
{
	struct rtrs_srv_op *op, *tmp;

	cancel_work_sync(&con->work);
	guard(rcu)();
	llist_for_each_entry_safe(op, tmp, llist_del_all(&con->ready), ready)
		rtrs_srv_op_end(op);
}

/**
 * rtrs_srv_io_stop() - hand no more requests to the user
 * @path: the path; its queues are drained
 *
 * Afterwards an operation that is still BUSY is with the user.
 *
 * Context: process, sleeps.
 */
void rtrs_srv_io_stop(struct rtrs_srv_path *path)
{
	u32 nr;
	u16 cid;

	if (!path->ops)
		return;
	/* first, so that nobody wakes them up any more */
	for (nr = 0; nr < path->queue_depth; nr++)
		rtrs_srv_op_stop_waiting(&path->ops[nr]);
	for (cid = 0; cid < path->con_num; cid++)
		if (path->cons[cid])
			rtrs_srv_con_stop_ready(path->cons[cid]);
}

/* Free the memory of an operation, or leave that to who ends it. */
static void rtrs_srv_op_release(struct rtrs_srv_op *op)
{
	struct rtrs_srv_slot *slot = rtrs_srv_op_slot(op);
	unsigned long flags;
	bool orphan;

	spin_lock_irqsave(&slot->lock, flags);
	orphan = op->state == RTRS_SRV_OP_BUSY;
	if (orphan) {
		op->state = RTRS_SRV_OP_ORPHAN;
		kref_get(&op->path->ref);
	}
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
