// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RTRS server: answers.
 *
 * An answer is one chain of work requests, on the connection that the request came on: the
 * chunk's registration if it was invalidated, the data, the invalidation of the client's
 * key if it asked for that, and the message that says so. Most are the message alone, with
 * the data in it. Answers that are given together, and go to one connection, are posted
 * with one doorbell.
 *
 * For most answers that is all, and the operation may be used again; memory that the
 * device may still send from stays until the path ends. The last work request is
 * signalled where there was a registration, and now and then otherwise, so that entries
 * of the send queue come back (struct rtrs_srv_con); then the operation is in use until
 * that completion.
 *
 * When the path is down there is nobody to answer, and the operation ends.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "rtrs-srv.h"
#include "rtrs-srv-trace.h"

/* So many are posted with one doorbell at most, for interrupts are off meanwhile. */
#define RTRS_SRV_MAX_RUN	16

/* What of an answer comes before its message, in the order it is posted in. */
struct rtrs_srv_chain {
	struct ib_send_wr	*first;
	struct ib_send_wr	**end;
	unsigned int		len;
	struct ib_reg_wr	reg;
	struct ib_rdma_wr	data;
	struct ib_send_wr	inv;
	struct ib_sge		data_sge;
};

static void rtrs_srv_chain_add(struct rtrs_srv_chain *chain,
			       struct ib_send_wr *wr)
{
	*chain->end = wr;
	chain->end = &wr->next;
	chain->len++;
}

/* The chunk is the client's again, under the key that it has now. */
static void rtrs_srv_chain_reg(struct rtrs_srv_chain *chain,
			       struct rtrs_srv_op *op)
{
	struct ib_mr *mr = op->mr;

	chain->reg = (struct ib_reg_wr) {
		.wr.wr_cqe	= &op->con->wr_cqe,
		.wr.opcode	= IB_WR_REG_MR,
		.mr		= mr,
		.key		= mr->rkey,
		.access		= IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE,
	};
	rtrs_srv_chain_add(chain, &chain->reg.wr);
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
				struct rtrs_srv_op *op)
{
	chain->data = (struct ib_rdma_wr) {
		.wr.wr_cqe	= &op->con->wr_cqe,
		.wr.opcode	= IB_WR_RDMA_WRITE,
	};
	rtrs_srv_set_data(&chain->data, &chain->data_sge, op, op->rsp_len);
	rtrs_srv_chain_add(chain, &chain->data.wr);
}

static void rtrs_srv_chain_inv(struct rtrs_srv_chain *chain,
			       struct rtrs_srv_op *op)
{
	chain->inv = (struct ib_send_wr) {
		.wr_cqe			= &op->con->wr_cqe,
		.opcode			= IB_WR_SEND_WITH_INV,
		.ex.invalidate_rkey	= op->rd.key,
	};
	rtrs_srv_chain_add(chain, &chain->inv);
}

/* Where answers bring the chunk's key, they always do. */
static void rtrs_srv_set_rkey_rsp(struct rtrs_srv_op *op)
{
	struct rtrs_srv_path *path = op->path;
	struct rtrs_msg_rkey_rsp *msg = path->rsp->buf;
	u64 dma = path->rsp->dma_addr + op->nr * sizeof(*msg);

	rtrs_rkey_rsp_encode(&msg[op->nr], op->nr, op->mr->rkey);
	ib_dma_sync_single_for_device(path->dev, dma, sizeof(*msg),
				      DMA_TO_DEVICE);
	op->rsp_sge = (struct ib_sge) {
		.addr	= dma,
		.length	= sizeof(*msg),
		.lkey	= path->pd->local_dma_lkey,
	};
	op->rsp.wr.opcode = IB_WR_SEND_WITH_IMM;
	op->rsp.wr.sg_list = &op->rsp_sge;
	op->rsp.wr.num_sge = 1;
}

/* The message itself, with @len bytes of data in it if it can carry them. */
static void rtrs_srv_set_rsp(struct rtrs_srv_op *op, __be32 imm, size_t len)
{
	op->rsp = (struct ib_rdma_wr) {
		.wr.opcode	= IB_WR_RDMA_WRITE_WITH_IMM,
		.wr.ex.imm_data	= imm,
	};
	if (op->path->new_rkey)
		rtrs_srv_set_rkey_rsp(op);
	else if (len)
		rtrs_srv_set_data(&op->rsp, &op->rsp_sge, op, len);
}

/* The device may access again what rtrs_srv_sync_for_cpu() took from it. */
static void rtrs_srv_sync_for_device(const struct rtrs_srv_op *op, size_t len)
{
	struct ib_device *dev = op->path->dev;
	u32 start = op->in_place || op->copied ? 0 : op->usr_off;
	u32 end = min_t(u32, op->off + RTRS_MAX_REQ_LEN,
			rtrs_srv_conf.chunk_size);

	ib_dma_sync_single_for_device(dev, op->chunk_dma + start, end - start,
				      DMA_BIDIRECTIONAL);
	if (len && !op->in_place)
		ib_dma_sync_single_for_device(dev, op->buf_dma, len,
					      DMA_TO_DEVICE);
}

/**
 * rtrs_srv_sq_signalled() - work requests that are about to be posted, the last signalled
 * @op: the operation that is told of its completion
 * @n: how many
 *
 * Context: under the connection's sq_lock.
 */
void rtrs_srv_sq_signalled(struct rtrs_srv_op *op, unsigned int n)
{
	struct rtrs_srv_con *con = op->con;

	lockdep_assert_held(&con->sq_lock);
	con->sq_head += n;
	WRITE_ONCE(con->sq_last, con->sq_head);
	con->quiet = 0;
	op->sq_pos = con->sq_head;
}

/**
 * rtrs_srv_sq_over() - the signalled work request has completed, and with it all before it
 * @op: the operation
 *
 * Context: completion handler; completions come one at a time.
 */
void rtrs_srv_sq_over(const struct rtrs_srv_op *op)
{
	WRITE_ONCE(op->con->sq_tail, op->sq_pos);
}

/* Does nobody wait for the completion of an answer of @n work requests? */
static bool rtrs_srv_sq_quiet(struct rtrs_srv_con *con, unsigned int n)
{
	lockdep_assert_held(&con->sq_lock);
	if (con->quiet + 1 >= RTRS_SRV_QUIET_ANSWERS ||
	    con->sq_head + n - READ_ONCE(con->sq_tail) > con->max_quiet)
		return false;
	con->sq_head += n;
	con->quiet++;
	return true;
}

/*
 * Have the completion of an answer of @n work requests be waited for or not; returns
 * whether not.
 *
 * The next request may come on another connection. The registration of this one's chunk
 * must not happen after the invalidation for that one.
 */
static bool rtrs_srv_op_begin_post(struct rtrs_srv_op *op, unsigned int n)
{
	if (!op->invalidated && rtrs_srv_sq_quiet(op->con, n)) {
		/* whose success is of no interest */
		op->rsp.wr.wr_cqe = &op->con->wr_cqe;
		return true;
	}
	op->cqe.done = rtrs_srv_op_done;
	op->rsp.wr.wr_cqe = &op->cqe;
	op->rsp.wr.send_flags = IB_SEND_SIGNALED;
	rtrs_srv_sq_signalled(op, n);
	return false;
}

/* Operations that nobody waits for are over. None of them can be another's before. */
static void rtrs_srv_ops_over(struct rtrs_srv_op *op)
{
	struct rtrs_srv_op *next;

	for (; op; op = next) {
		next = op->then;
		if (unlikely(rtrs_srv_op_free(op)))
			rtrs_srv_op_start_early(op);
	}
}

/*
 * Post the answers of a list of operations of one connection. Those of @chain, if there
 * is one, come before the message of the only operation.
 *
 * An operation whose completion is waited for may be another's as soon as it is posted,
 * and its message another message, while the device's driver still looks for what comes
 * behind it. So such a message is copied, and nothing is behind it.
 */
static void rtrs_srv_post(struct rtrs_srv_op *list, struct rtrs_srv_chain *chain)
{
	struct ib_send_wr *first = &list->rsp.wr, **link = &first;
	struct rtrs_srv_con *con = list->con;
	struct rtrs_srv_op *op, *next, *quiet = NULL;
	struct ib_rdma_wr last;
	unsigned int n = 1;
	unsigned long flags;
	int err = 0;

	if (chain) {
		*chain->end = first;
		first = chain->first;
		link = chain->end;
		n += chain->len;
	}
	spin_lock_irqsave(&con->sq_lock, flags);
	for (op = list; op && !err; op = next) {
		next = op->then;
		if (rtrs_srv_op_begin_post(op, n)) {
			op->then = quiet;
			quiet = op;
			link = &op->rsp.wr.next;
			if (next)
				continue;
		} else {
			last = op->rsp;
			last.wr.next = NULL;
			*link = &last.wr;
		}
		err = ib_post_send(con->c.qp, first, NULL);
		if (next) {
			first = &next->rsp.wr;
			link = &first;
		}
	}
	spin_unlock_irqrestore(&con->sq_lock, flags);
	if (unlikely(err))
		rtrs_srv_path_error(con->path, "cannot answer", err);
	else
		rtrs_srv_ops_over(quiet);
}

static void rtrs_srv_answers_link(struct rtrs_srv_answers *answers,
				  struct rtrs_srv_op *op)
{
	op->then = NULL;
	if (answers->first)
		answers->last->then = op;
	else
		answers->first = op;
	answers->last = op;
	answers->nr++;
}

/* Answers to be posted with one doorbell: all of one connection, and messages only. */
static void rtrs_srv_run_add(struct rtrs_srv_answers *run, struct rtrs_srv_op *op)
{
	if (run->first)
		run->last->rsp.wr.next = &op->rsp.wr;
	rtrs_srv_answers_link(run, op);
}

static void rtrs_srv_run_post(struct rtrs_srv_answers *run)
{
	if (run->first)
		rtrs_srv_post(run->first, NULL);
	*run = (struct rtrs_srv_answers) {};
}

/* An answer that takes more than its message; on a stack that others need not zero. */
static noinline void rtrs_srv_post_chain(struct rtrs_srv_op *op, bool data,
					 bool inv)
{
	struct rtrs_srv_chain chain;

	chain.end = &chain.first;
	chain.len = 0;
	if (op->invalidated)
		rtrs_srv_chain_reg(&chain, op);
	if (data)
		rtrs_srv_chain_data(&chain, op);
	if (inv)
		rtrs_srv_chain_inv(&chain, op);
	op->then = NULL;
	rtrs_srv_post(op, &chain);
}

/*
 * One message cannot both say that the client's key is invalid and that the
 * chunk's has rolled. A client takes a read for which its key is still valid, and
 * invalidates it by itself.
 */
static enum rtrs_imm_type rtrs_srv_rsp_type(const struct rtrs_srv_op *op)
{
	if (op->invalidated && op->path->roll)
		return RTRS_IMM_IO_RSP_ROLL;
	return op->rd.need_inval ? RTRS_IMM_IO_RSP_W_INV : RTRS_IMM_IO_RSP;
}

/*
 * Build the answer, and post it, or add it to those of @run. The operation is ANSWERED,
 * and its path was CONNECTED under this rcu_read_lock().
 */
static void rtrs_srv_op_answer(struct rtrs_srv_op *op,
			       struct rtrs_srv_answers *run)
{
	enum rtrs_imm_type type = rtrs_srv_rsp_type(op);
	bool inv = type == RTRS_IMM_IO_RSP_W_INV;
	bool data = op->rsp_len && (inv || op->path->new_rkey);

	/* which the message may bring */
	if (op->invalidated)
		ib_update_fast_reg_key(op->mr, ib_inc_rkey(op->mr->rkey));
	rtrs_srv_sync_for_device(op, op->rsp_len);
	trace_send_io_resp_imm(op, type, op->err, op->rsp_len);
	rtrs_srv_set_rsp(op, rtrs_imm_io_rsp(type, op->nr, op->err),
			 data ? 0 : op->rsp_len);
	if (op->invalidated || inv || data)
		rtrs_srv_post_chain(op, data, inv);
	else
		rtrs_srv_run_add(run, op);
}

/* What is not in its slot has no other behind it, and is nobody else's yet. */
static void rtrs_srv_op_answered(struct rtrs_srv_op *op)
{
	struct rtrs_srv_slot *slot = rtrs_srv_op_slot(op);
	unsigned long flags;

	if (likely(!op->slotted)) {
		WRITE_ONCE(op->state, RTRS_SRV_OP_ANSWERED);
		return;
	}
	spin_lock_irqsave(&slot->lock, flags);
	rtrs_srv_op_leave(op, slot, RTRS_SRV_OP_ANSWERED);
	spin_unlock_irqrestore(&slot->lock, flags);
}

void rtrs_srv_answers_add(struct rtrs_srv_answers *answers,
			  struct rtrs_srv_op *op, int err, size_t len)
{
	op->err = err;
	op->rsp_len = err || op->dir == DMA_TO_DEVICE ?
			0 : min_t(size_t, len, op->data_len);
	rtrs_srv_answers_link(answers, op);
}
EXPORT_SYMBOL_GPL(rtrs_srv_answers_add);

void rtrs_srv_answers_give(struct rtrs_srv_answers *answers)
{
	struct rtrs_srv_op *op = answers->first, *next;
	struct rtrs_srv_answers run = {};

	guard(rcu)();
	for (; op; op = next) {
		next = op->then;
		if (unlikely(!rtrs_srv_path_connected(op->path))) {
			rtrs_srv_op_end(op);
			continue;
		}
		if (run.first && (run.first->con != op->con ||
				  run.nr == RTRS_SRV_MAX_RUN))
			rtrs_srv_run_post(&run);
		if (op->con->c.no_irq)
			atomic_dec(&op->con->c.inflight);
		rtrs_srv_op_answered(op);
		rtrs_srv_op_answer(op, &run);
	}
	rtrs_srv_run_post(&run);
}
EXPORT_SYMBOL_GPL(rtrs_srv_answers_give);

void rtrs_srv_respond(struct rtrs_srv_op *op, int err, size_t len)
{
	struct rtrs_srv_answers answers = {};

	rtrs_srv_answers_add(&answers, op, err, len);
	rtrs_srv_answers_give(&answers);
}
EXPORT_SYMBOL_GPL(rtrs_srv_respond);

