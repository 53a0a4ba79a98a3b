// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests of a client.
 *
 * A request is one RDMA_WRITE_WITH_IMM into its chunk: the data of a write, the
 * user message, the RTRS message. Small data goes through the request's buffer, which
 * is always registered (rtrs-clt-buf.c). Other data of a write is gathered from where
 * it is; only if it is in too many pieces is it registered. Other data of a read is
 * registered for the server to write to.
 *
 * Up to three things have to happen before a request is done, in any order: its
 * posting has returned, the answer has come (rtrs-clt-recv.c), and the device will not
 * read its data again. The last of them carries it on (struct rtrs_clt_io, state): a
 * registered region is invalidated first, so that the server has no access any
 * more when the user gets the memory back.
 *
 * Everything that goes wrong with one request is taken as an error of the path:
 * the request stays where it is, and when the path has been drained,
 * rtrs_clt_ios_requeue() sends it again on another path. So no error is unwound
 * here, and none is lost.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/mm.h>

#include "rtrs-clt.h"
#include "rtrs-clt-trace.h"

/* With fewer others under way to gather completed requests costs more than it saves. */
#define RTRS_CLT_BATCH_MIN	8

/**
 * rtrs_clt_wc_failed() - a work request has not succeeded, which ends its path
 * @c: the connection
 * @wc: the completion
 * @what: it was, for the log
 *
 * Context: any.
 */
void rtrs_clt_wc_failed(struct rtrs_con *c, const struct ib_wc *wc,
			const char *what)
{
	rtrs_clt_path_failed(container_of(c, struct rtrs_clt_con, c)->path,
			     what, ib_wc_status_msg(wc->status));
}

static void rtrs_clt_buf_sync_for_device(const struct rtrs_clt_path *path,
					 const struct rtrs_clt_io *io,
					 size_t off, size_t len)
{
	ib_dma_sync_single_for_device(path->dev, io->buf_dma + off, len,
				      DMA_BIDIRECTIONAL);
}

/* The data of a small read has arrived in the buffer. */
static void rtrs_clt_io_take_data(const struct rtrs_clt_io *io)
{
	ib_dma_sync_single_for_cpu(io->con->path->dev, io->buf_dma,
				   io->req.data_len, DMA_BIDIRECTIONAL);
	rtrs_clt_buf_copy(io, false);
}

static void rtrs_clt_io_unmap(struct rtrs_clt_io *io)
{
	if (!io->mapped)
		return;
	ib_dma_unmap_sg(io->con->path->dev, io->req.sg, io->req.sg_cnt,
			io->req.dir);
	io->mapped = false;
}

/**
 * struct rtrs_clt_batch - requests that are done, of all sessions, on one CPU
 * @iob: them, as their user has put them together
 * @work: hands them over, in a softirq behind that which has found them
 *
 * Belongs to the softirqs of its CPU, of which one runs at a time. (With PREEMPT_RT that
 * is made sure of by a lock of the CPU's that local_bh_disable() takes.)
 */
struct rtrs_clt_batch {
	struct io_comp_batch	iob;
	struct work_struct	work;
};

static DEFINE_PER_CPU(struct rtrs_clt_batch, rtrs_clt_batches);

static void rtrs_clt_batch_work(struct work_struct *work)
{
	struct rtrs_clt_batch *batch = container_of(work, struct rtrs_clt_batch,
						    work);
	struct io_comp_batch iob = batch->iob;

	batch->iob = (struct io_comp_batch) { };
	iob.complete(&iob);
}

/**
 * rtrs_clt_batches_init() - prepare to gather requests that are done
 *
 * Context: process, before there is any.
 */
void rtrs_clt_batches_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		INIT_WORK(&per_cpu(rtrs_clt_batches, cpu).work,
			  rtrs_clt_batch_work);
}

/**
 * rtrs_clt_batches_flush() - wait until all that was gathered is handed over
 *
 * Context: process, sleeps.
 */
void rtrs_clt_batches_flush(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		flush_work(&per_cpu(rtrs_clt_batches, cpu).work);
}

/* On a polled connection the batch is the poller's, if it has one. */
static struct io_comp_batch *rtrs_clt_iob(const struct rtrs_clt_con *con)
{
	if (con->c.cq->poll_ctx == IB_POLL_DIRECT)
		return con->poll_batch;
	if (atomic_read(&con->c.inflight) < RTRS_CLT_BATCH_MIN)
		return NULL;
	return &this_cpu_ptr(&rtrs_clt_batches)->iob;
}

/* The first of a batch has it handed over. */
static void rtrs_clt_batched(const struct rtrs_clt_con *con)
{
	if (con->c.cq->poll_ctx != IB_POLL_DIRECT)
		queue_work(system_bh_wq, &this_cpu_ptr(&rtrs_clt_batches)->work);
}

/*
 * The chunk may be used again as soon as the state is 0 and done() is called. Only the
 * handler of a completion can have it done in a batch.
 */
static void rtrs_clt_io_end(struct rtrs_clt_io *io, int err, bool in_handler)
{
	void (*done)(void *priv, int err, struct io_comp_batch *iob) = io->req.done;
	const struct rtrs_clt_con *con = io->con;
	void *priv = io->req.priv;
	struct io_comp_batch *iob;
	bool first;

	if (io->copied && !err && io->req.dir == DMA_FROM_DEVICE)
		rtrs_clt_io_take_data(io);
	rtrs_clt_io_unmap(io);
	atomic_dec(&io->con->c.inflight);
	atomic_set_release(&io->state, 0);
	iob = in_handler ? rtrs_clt_iob(con) : NULL;
	first = iob && !iob->complete;
	done(priv, err, iob);
	if (first && iob->complete)
		rtrs_clt_batched(con);
}

/* The last of @n work requests that are about to be posted is signalled. */
static void rtrs_clt_sq_signalled(struct rtrs_clt_io *io, unsigned int n)
{
	struct rtrs_clt_con *con = io->con;

	lockdep_assert_held(&con->sq_lock);
	con->sq_head += n;
	con->quiet = 0;
	io->sq_pos = con->sq_head;
}

/* It has completed, and with it all before it. Completions come one at a time. */
static void rtrs_clt_sq_over(const struct rtrs_clt_io *io)
{
	WRITE_ONCE(io->con->sq_tail, io->sq_pos);
}

static void rtrs_clt_inv_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_io *io = container_of(wc->wr_cqe, struct rtrs_clt_io,
					      inv_cqe);
	struct rtrs_con *c = cq->cq_context;

	if (unlikely(wc->status != IB_WC_SUCCESS)) {
		rtrs_clt_wc_failed(c, wc, "invalidation");
		return;
	}
	rtrs_clt_sq_over(io);
	rtrs_clt_io_end(io, io->err, true);
}

/*
 * Post @wr, behind what waited for it. Of that, @chain is set to the first, for
 * rtrs_clt_posted() when @sq_lock has been dropped.
 */
static int rtrs_clt_sq_post(struct rtrs_clt_con *con, struct ib_send_wr *wr,
			    struct rtrs_clt_io **chain)
{
	lockdep_assert_held(&con->sq_lock);
	*chain = con->chain;
	if (con->chain) {
		con->chain_end->wr.wr.next = wr;
		wr = &con->chain->wr.wr;
		WRITE_ONCE(con->chain, NULL);
	}
	return ib_post_send(con->c.qp, wr, NULL);
}

/* Their work requests are not looked at any more, and they may end. */
static void rtrs_clt_posted(struct rtrs_clt_io *chain, int err)
{
	struct rtrs_clt_io *io, *next;

	if (unlikely(err && chain)) {
		rtrs_clt_path_error(chain->con->path);
		return;
	}
	for (io = chain; io; io = next) {
		next = io->next;
		rtrs_clt_io_step(io, RTRS_CLT_IO_POST);
	}
}

static int rtrs_clt_io_post_inv(struct rtrs_clt_io *io, struct ib_send_wr *wr)
{
	struct rtrs_clt_io *chain;
	int err;

	scoped_guard(spinlock_irqsave, &io->con->sq_lock) {
		rtrs_clt_sq_signalled(io, 1);
		err = rtrs_clt_sq_post(io->con, wr, &chain);
	}
	rtrs_clt_posted(chain, err);
	return err;
}

static void rtrs_clt_io_invalidate(struct rtrs_clt_io *io)
{
	struct ib_send_wr wr = {
		.wr_cqe			= &io->inv_cqe,
		.opcode			= IB_WR_LOCAL_INV,
		.send_flags		= IB_SEND_SIGNALED,
		.ex.invalidate_rkey	= io->mr->rkey,
	};

	/* a path that is being drained ends the request by itself */
	guard(rcu)();
	if (rtrs_clt_path_connected(io->con->path) &&
	    rtrs_clt_io_post_inv(io, &wr))
		rtrs_clt_path_error(io->con->path);
}

/**
 * rtrs_clt_io_step() - something the request waited for has happened
 * @io: the request
 * @bit: what, of its state
 *
 * Context: any; but for RTRS_CLT_IO_POST, completion handler.
 */
void rtrs_clt_io_step(struct rtrs_clt_io *io, int bit)
{
	if ((atomic_fetch_andnot(bit, &io->state) & ~bit) != RTRS_CLT_IO_BUSY)
		return;
	if (io->mr_used)
		rtrs_clt_io_invalidate(io);
	else
		rtrs_clt_io_end(io, io->err, bit != RTRS_CLT_IO_POST);
}

static void rtrs_clt_send_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_io *io = container_of(wc->wr_cqe, struct rtrs_clt_io,
					      send_cqe);
	struct rtrs_con *c = cq->cq_context;

	if (unlikely(wc->status != IB_WC_SUCCESS)) {
		rtrs_clt_wc_failed(c, wc, "request");
		return;
	}
	rtrs_clt_sq_over(io);
	rtrs_clt_io_step(io, RTRS_CLT_IO_SENT);
}

/* Make a region of the data; the work request that registers it is filled in. */
static int rtrs_clt_io_register(struct rtrs_clt_io *io, int nents,
				struct ib_reg_wr *reg)
{
	struct ib_mr *mr = io->mr;
	int n;

	ib_update_fast_reg_key(mr, ib_inc_rkey(mr->rkey));
	n = ib_map_mr_sg(mr, io->req.sg, nents, NULL, RTRS_CLT_MR_PAGE_SIZE);
	if (n != nents)
		return n < 0 ? n : -EINVAL;
	*reg = (struct ib_reg_wr) {
		.wr.opcode	= IB_WR_REG_MR,
		.wr.wr_cqe	= &io->send_cqe,
		.mr		= mr,
		.key		= mr->rkey,
		.access		= io->req.dir == DMA_FROM_DEVICE ?
				  IB_ACCESS_LOCAL_WRITE |
				  IB_ACCESS_REMOTE_WRITE : 0,
	};
	io->mr_used = true;
	return 0;
}

/*
 * Copy the data, or map it and register it if it is to be. Returns how many pieces
 * of the user's memory the device has to reach.
 */
static int rtrs_clt_io_map(struct rtrs_clt_path *path, struct rtrs_clt_io *io,
			   struct ib_reg_wr *reg)
{
	const struct rtrs_clt_req *req = &io->req;
	int nents, err;

	io->mr_used = false;
	io->copied = req->sg_cnt && req->data_len <= path->buf_data;
	if (io->copied && req->dir == DMA_TO_DEVICE)
		rtrs_clt_buf_copy(io, true);
	if (io->copied || !req->sg_cnt)
		return 0;
	nents = ib_dma_map_sg(path->dev, req->sg, req->sg_cnt, req->dir);
	if (!nents)
		return -ENOMEM;
	io->mapped = true;
	if (req->dir == DMA_TO_DEVICE && nents <= path->max_sge)
		return nents;
	err = rtrs_clt_io_register(io, nents, reg);
	if (err) {
		rtrs_clt_io_unmap(io);
		return err;
	}
	return nents;
}

static unsigned int rtrs_clt_gather(struct rtrs_clt_path *path,
				    struct rtrs_clt_io *io, int nents,
				    struct ib_sge *sge)
{
	struct scatterlist *sg;
	int i;

	if (io->mr_used) {
		*sge = (struct ib_sge) {
			.addr	= io->mr->iova,
			.length	= io->req.data_len,
			.lkey	= io->mr->lkey,
		};
		return 1;
	}
	for_each_sg(io->req.sg, sg, nents, i)
		sge[i] = (struct ib_sge) {
			.addr	= sg_dma_address(sg),
			.length	= sg_dma_len(sg),
			.lkey	= path->pd->local_dma_lkey,
		};
	return nents;
}

/* User message and RTRS message, as they go out behind the data. */
static size_t rtrs_clt_io_encode(const struct rtrs_clt_io *io, void *msg)
{
	const struct rtrs_clt_req *req = &io->req;
	struct rtrs_read_req read = {
		.usr_len = req->msg_len,
	};

	memcpy(msg, req->msg, req->msg_len);
	msg += req->msg_len;
	if (req->dir == DMA_TO_DEVICE)
		return req->msg_len + rtrs_msg_write_encode(msg, req->msg_len);
	if (io->copied || io->mr_used) {
		read.sg_cnt = 1;
		read.addr = io->copied ? io->buf_addr : io->mr->iova;
		read.key = io->copied ? io->buf_key : io->mr->rkey;
		read.len = req->data_len;
	}
	return req->msg_len + rtrs_msg_read_encode(msg, &read);
}

/*
 * What the device is to send: data of the user's, and of the buffer what is at the
 * end of @sge. A copied write is in one piece: the messages are right behind its data.
 */
static unsigned int rtrs_clt_io_fill(struct rtrs_clt_path *path,
				     struct rtrs_clt_io *io, int nents,
				     struct ib_sge *sge)
{
	const struct rtrs_clt_req *req = &io->req;
	bool behind = io->copied && req->dir == DMA_TO_DEVICE;
	size_t msg = behind ? req->data_len : path->buf_msg;
	size_t start = behind ? 0 : msg;
	size_t len = rtrs_clt_io_encode(io, io->buf + msg);
	unsigned int n = 0;

	if (nents && req->dir == DMA_TO_DEVICE)
		n = rtrs_clt_gather(path, io, nents, sge);
	len += msg - start;
	sge[n] = (struct ib_sge) {
		.addr	= io->buf_dma + start,
		.length	= len,
		.lkey	= path->pd->local_dma_lkey,
	};
	rtrs_clt_buf_sync_for_device(path, io, start, len);
	/* and the server may write to it */
	if (io->copied && !behind)
		rtrs_clt_buf_sync_for_device(path, io, 0, req->data_len);
	return n + 1;
}

/*
 * Does nobody wait for the completion of a send? Only if it reads no memory of the
 * user's: that has to stay until then, since the device reads it again if an
 * acknowledgment is lost.
 */
static bool rtrs_clt_sq_quiet(const struct rtrs_clt_io *io)
{
	struct rtrs_clt_con *con = io->con;

	lockdep_assert_held(&con->sq_lock);
	if (io->mapped || con->quiet + 1 >= RTRS_CLT_QUIET_SENDS ||
	    con->sq_head - READ_ONCE(con->sq_tail) >= con->max_quiet)
		return false;
	con->sq_head++;
	con->quiet++;
	return true;
}

/* What is the same in all requests. */
static void rtrs_clt_io_set_wr(const struct rtrs_clt_path *path,
			       struct rtrs_clt_io *io, u16 chunk,
			       struct ib_rdma_wr *wr, struct ib_sge *sge)
{
	const struct rtrs_clt_req *req = &io->req;
	bool write = req->dir == DMA_TO_DEVICE;

	*wr = (struct ib_rdma_wr) {
		.wr.wr_cqe	= &io->send_cqe,
		.wr.opcode	= IB_WR_RDMA_WRITE_WITH_IMM,
		.wr.sg_list	= sge,
		.wr.ex.imm_data	= rtrs_imm_io_req(chunk, req->data_len +
						  req->msg_len,
						  path->chunk_bits),
		.remote_addr	= path->chunks[chunk].addr +
				  (write ? 0 : req->data_len),
		.rkey		= path->chunks[chunk].rkey,
	};
}

/*
 * A request is about to be posted, or to wait for others to be posted with; @wr is the
 * last of its work requests. Where there is a region, what invalidates it tells when
 * the device is done with the data.
 */
static void rtrs_clt_sq_begin(struct rtrs_clt_io *io, struct ib_send_wr *wr)
{
	int wait = RTRS_CLT_IO_BUSY | RTRS_CLT_IO_POST | RTRS_CLT_IO_RSP |
		   RTRS_CLT_IO_ANS;

	lockdep_assert_held(&io->con->sq_lock);
	if (io->mr_used) {
		io->con->sq_head += 2;
	} else if (!rtrs_clt_sq_quiet(io)) {
		rtrs_clt_sq_signalled(io, 1);
		wr->send_flags |= IB_SEND_SIGNALED;
		wait |= RTRS_CLT_IO_SENT;
	}
	atomic_set_release(&io->state, wait);
}

/* Post a request that has the device reach memory of the user's. */
static void rtrs_clt_io_post_mapped(struct rtrs_clt_path *path,
				    struct rtrs_clt_io *io, u16 chunk,
				    int nents, struct ib_reg_wr *reg)
{
	struct rtrs_clt_con *con = io->con;
	struct ib_sge sge[RTRS_MAX_SEND_SGE];
	struct ib_rdma_wr wr;
	struct ib_send_wr *first = &wr.wr;
	struct rtrs_clt_io *chain;
	int err;

	rtrs_clt_io_set_wr(path, io, chunk, &wr, sge);
	wr.wr.num_sge = rtrs_clt_io_fill(path, io, nents, sge);
	if (io->mr_used) {
		reg->wr.next = &wr.wr;
		first = &reg->wr;
	}
	scoped_guard(spinlock_irqsave, &con->sq_lock) {
		rtrs_clt_sq_begin(io, &wr.wr);
		err = rtrs_clt_sq_post(con, first, &chain);
	}
	rtrs_clt_posted(chain, err);
	if (unlikely(err))
		rtrs_clt_path_error(path);
	else
		rtrs_clt_io_step(io, RTRS_CLT_IO_POST);
}

/* Returns whether all that is in the chain is to be posted now. */
static bool rtrs_clt_chain_add(struct rtrs_clt_io *io)
{
	struct rtrs_clt_con *con = io->con;

	lockdep_assert_held(&con->sq_lock);
	io->next = NULL;
	if (con->chain) {
		con->chain_end->next = io;
		con->chain_end->wr.wr.next = &io->wr.wr;
	} else {
		con->chain_len = 0;
		WRITE_ONCE(con->chain, io);
	}
	con->chain_end = io;
	return ++con->chain_len == RTRS_CLT_MAX_CHAIN || !io->req.more;
}

static void rtrs_clt_con_flush(struct rtrs_clt_con *con)
{
	struct rtrs_clt_io *chain;
	int err = 0;

	scoped_guard(spinlock_irqsave, &con->sq_lock) {
		chain = con->chain;
		if (chain)
			err = rtrs_clt_sq_post(con, NULL, &chain);
	}
	rtrs_clt_posted(chain, err);
}

/* Post a request that reads nothing but the path's memory, or have it wait. */
static void rtrs_clt_io_post(struct rtrs_clt_path *path, struct rtrs_clt_io *io,
			     u16 chunk)
{
	struct rtrs_clt_con *con = io->con;
	struct rtrs_clt_io *chain = NULL;
	int err = 0;

	rtrs_clt_io_set_wr(path, io, chunk, &io->wr, &io->sge);
	io->wr.wr.num_sge = rtrs_clt_io_fill(path, io, 0, &io->sge);
	/* a few bytes are sooner copied into the queue than looked up later */
	if (io->sge.length <= con->c.max_inline)
		io->wr.wr.send_flags = IB_SEND_INLINE;
	scoped_guard(spinlock_irqsave, &con->sq_lock) {
		rtrs_clt_sq_begin(io, &io->wr.wr);
		if (rtrs_clt_chain_add(io))
			err = rtrs_clt_sq_post(con, NULL, &chain);
	}
	rtrs_clt_posted(chain, err);
}

static void rtrs_clt_count(struct rtrs_clt_path *path,
			   const struct rtrs_clt_req *req)
{
	bool write = req->dir == DMA_TO_DEVICE;

	this_cpu_inc(path->stats->reqs[write]);
	this_cpu_add(path->stats->bytes[write], req->data_len + req->msg_len);
}

/* Under RCU, on a path that was connected a moment ago. */
static int rtrs_clt_path_send(struct rtrs_clt_path *path,
			      const struct rtrs_clt_req *req)
{
	struct rtrs_clt_io *io = &path->ios[req->chunk];
	unsigned int cid = rtrs_clt_cid(path->sess, req->queue);
	struct ib_reg_wr reg;
	int nents;

	if (WARN_ON_ONCE(atomic_read_acquire(&io->state)))
		return -EINVAL;
	io->con = path->cons[cid];
	io->cpu = raw_smp_processor_id();
	io->req = *req;
	nents = rtrs_clt_io_map(path, io, &reg);
	if (nents < 0)
		return nents;
	rtrs_clt_count(path, req);
	trace_rtrs_clt_request(path, req->chunk, req);
	if (static_branch_unlikely(&rtrs_clt_latency_key))
		io->posted_ns = ktime_get_ns();
	atomic_inc(&io->con->c.inflight);
	if (io->mapped)
		rtrs_clt_io_post_mapped(path, io, req->chunk, nents, &reg);
	else
		rtrs_clt_io_post(path, io, req->chunk);
	return 0;
}

/*
 * Under RCU. One path can come up behind the back of a walk, and another go down
 * before it: then it has missed both.
 */
static struct rtrs_clt_path *rtrs_clt_select(struct rtrs_clt_sess *sess,
					     unsigned int queue)
{
	struct rtrs_clt_path *path;

	do {
		path = READ_ONCE(sess->policy)->select(sess, queue);
	} while (unlikely(!path && rtrs_clt_connected(sess)));
	return path;
}

void rtrs_clt_flush(struct rtrs_clt_sess *sess, unsigned int queue)
{
	unsigned int cid = rtrs_clt_cid(sess, queue);
	struct rtrs_clt_path *path;

	guard(rcu)();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		if (rtrs_clt_path_connected(path) &&
		    READ_ONCE(path->cons[cid]->chain))
			rtrs_clt_con_flush(path->cons[cid]);
}
EXPORT_SYMBOL_GPL(rtrs_clt_flush);

/* Has the session no other path? Under RCU. */
static bool rtrs_clt_only_path(struct rtrs_clt_sess *sess,
			       struct rtrs_clt_path *path)
{
	return rcu_dereference(list_next_rcu(&sess->paths)) == &path->entry &&
	       rcu_dereference(list_next_rcu(&path->entry)) == &sess->paths;
}

int rtrs_clt_request(struct rtrs_clt_sess *sess,
		     const struct rtrs_clt_req *req)
{
	struct rtrs_clt_path *path;
	int err;

	if (req->msg_len > sess->max_msg_len ||
	    req->data_len > sess->max_io_size)
		return -EMSGSIZE;
	guard(rcu)();
	path = rtrs_clt_select(sess, req->queue);
	if (unlikely(!path))
		return -ECONNABORTED;
	err = rtrs_clt_path_send(path, req);
	/* those before it may have been for other paths, or paths that are gone */
	if (!req->more && (unlikely(err) || !rtrs_clt_only_path(sess, path)))
		rtrs_clt_flush(sess, req->queue);
	return err;
}
EXPORT_SYMBOL_GPL(rtrs_clt_request);

void rtrs_clt_expire(struct rtrs_clt_sess *sess, u16 chunk, bool give_up)
{
	struct rtrs_clt_path *path;

	/* what it has stays as long as a path that is seen connected is seen */
	guard(rcu)();
	list_for_each_entry_rcu(path, &sess->paths, entry) {
		struct rtrs_clt_io *io;

		if (!rtrs_clt_path_connected(path) ||
		    chunk >= path->nr_ios)
			continue;
		io = &path->ios[chunk];
		if (!atomic_read_acquire(&io->state))
			continue;
		if (!give_up && READ_ONCE(sess->nr_up) < 2)
			break;
		dev_warn_ratelimited(&sess->dev, "path %s: the server does not answer in time\n",
				     kobject_name(&path->kobj));
		rtrs_clt_path_error(path);
	}
}
EXPORT_SYMBOL_GPL(rtrs_clt_expire);

static int rtrs_clt_fail_over(struct rtrs_clt_sess *sess,
			      const struct rtrs_clt_req *req)
{
	struct rtrs_clt_path *path;
	int err;

	if (req->give_up && READ_ONCE(*req->give_up))
		return -ETIMEDOUT;
	guard(rcu)();
	path = rtrs_clt_select(sess, req->queue);
	if (!path)
		return -ECONNABORTED;
	err = rtrs_clt_path_send(path, req);
	if (!err)
		this_cpu_inc(path->stats->failed_over);
	return err;
}

/*
 * Send a request of a drained path again, or fail it if there is no other path. Where
 * its data cannot be mapped now, its user may try again: here everybody else waits.
 */
static void rtrs_clt_io_requeue(struct rtrs_clt_io *io)
{
	struct rtrs_clt_sess *sess = io->con->path->sess;
	struct rtrs_clt_req req = io->req;
	int err;

	req.more = false;

	trace_rtrs_clt_fail_over(io->con->path, req.chunk, &req);
	rtrs_clt_io_unmap(io);
	atomic_dec(&io->con->c.inflight);
	atomic_set_release(&io->state, 0);

	err = rtrs_clt_fail_over(sess, &req);
	if (err)
		req.done(req.priv, err == -ENOMEM ? -ENOBUFS : err, NULL);
}

/**
 * rtrs_clt_ios_requeue() - deal with the requests of a path that failed
 * @path: the path, drained
 *
 * Those that were answered are done; the others go to another connected path,
 * or fail with -ECONNABORTED if there is none, or -ENOBUFS.
 *
 * Context: process.
 */
void rtrs_clt_ios_requeue(struct rtrs_clt_path *path)
{
	unsigned int i;

	for (i = 0; i < path->nr_ios; i++) {
		struct rtrs_clt_io *io = &path->ios[i];
		int state = atomic_read_acquire(&io->state);

		if (!state)
			continue;
		if (state & (RTRS_CLT_IO_RSP | RTRS_CLT_IO_ANS))
			rtrs_clt_io_requeue(io);
		else
			rtrs_clt_io_end(io, io->err, false);
		cond_resched();
	}
}

static int rtrs_clt_io_init(struct rtrs_clt_path *path, struct rtrs_clt_io *io)
{
	struct ib_mr *mr;

	io->send_cqe.done = rtrs_clt_send_done;
	io->inv_cqe.done = rtrs_clt_inv_done;
	mr = ib_alloc_mr(path->pd, IB_MR_TYPE_MEM_REG, path->mr_pages);
	if (IS_ERR(mr))
		return PTR_ERR(mr);
	io->mr = mr;
	return 0;
}

/**
 * rtrs_clt_ios_alloc() - allocate all that requests on a path need
 * @path: the path; its device and the number of chunks are known
 *
 * Whatever was allocated is freed by rtrs_clt_ios_free(), also on errors.
 *
 * Context: process.
 * Return: 0 or a negative errno.
 */
int rtrs_clt_ios_alloc(struct rtrs_clt_path *path)
{
	unsigned int i, nr = rtrs_clt_nr_ios(path->sess);
	int err;

	path->ios = kvcalloc(nr, sizeof(*path->ios), GFP_KERNEL);
	path->chunks = kvcalloc(nr, sizeof(*path->chunks), GFP_KERNEL);
	if (!path->ios || !path->chunks)
		return -ENOMEM;
	path->nr_ios = nr;
	path->chunk_bits = rtrs_chunk_bits(path->rsp.queue_depth);
	err = rtrs_clt_bufs_alloc(path);
	for (i = 0; !err && i < nr; i++)
		err = rtrs_clt_io_init(path, &path->ios[i]);
	return err;
}

/**
 * rtrs_clt_ios_free() - free what rtrs_clt_ios_alloc() has allocated
 * @path: the path, drained and without requests
 *
 * Context: process.
 */
void rtrs_clt_ios_free(struct rtrs_clt_path *path)
{
	unsigned int i;

	for (i = 0; i < path->nr_ios; i++)
		if (path->ios[i].mr)
			ib_dereg_mr(path->ios[i].mr);
	kvfree(path->ios);
	kvfree(path->chunks);
	path->ios = NULL;
	path->nr_ios = 0;
	path->chunks = NULL;
	rtrs_clt_bufs_free(path);
}

#ifdef CONFIG_RTRS_KUNIT_TEST
#include "rtrs-clt-io-test.c"
#endif
