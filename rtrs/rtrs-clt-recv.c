// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a client hears from its server: answers, heartbeats, and events.
 *
 * All of it is an immediate. That of an answer names the chunk of its request; the data of
 * a read has come with it, or before. Where keys are renewed with every answer a message
 * brings the next one, and receives have buffers for that.
 *
 * Nothing is believed: an answer is for a request that is under way on the connection
 * that it comes on, and for one of them only. A server that says anything else loses
 * the path.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "rtrs-clt.h"
#include "rtrs-clt-trace.h"

/* Completions that a poller handles at a time, in an RCU section. */
#define RTRS_CLT_POLL_BUDGET	64

static void rtrs_clt_bad_answer(struct rtrs_clt_path *path, const char *what)
{
	rtrs_clt_path_failed(path, "server broke the protocol", what);
}

/*
 * Claim the request that an answer is for. NULL if there is none: a server that
 * answers twice, or on another connection, is not to be trusted any further.
 */
static struct rtrs_clt_io *rtrs_clt_claim(struct rtrs_clt_con *con, u32 chunk)
{
	struct rtrs_clt_path *path = con->path;
	struct rtrs_clt_io *io;

	if (unlikely(chunk >= path->nr_ios)) {
		rtrs_clt_bad_answer(path, "answer for a chunk that is not used");
		return NULL;
	}
	io = &path->ios[chunk];
	if (unlikely(!(atomic_fetch_andnot(RTRS_CLT_IO_RSP, &io->state) &
		       RTRS_CLT_IO_RSP) || io->con != con)) {
		rtrs_clt_bad_answer(path, "answer for no request");
		return NULL;
	}
	return io;
}

/* Answers are best dealt with where the request was made. */
static void rtrs_clt_count_answer(const struct rtrs_clt_io *io)
{
	struct rtrs_clt_stats __percpu *stats = io->con->path->stats;

	if (static_branch_unlikely(&rtrs_clt_latency_key))
		rtrs_clt_latency_answered(io);
	if (likely(io->cpu == raw_smp_processor_id()))
		return;
	this_cpu_inc(stats->migrated_to);
	atomic64_inc(&per_cpu_ptr(stats, io->cpu)->migrated_from);
}

/* That there is no path, or no room on it, is for nobody but us to say. */
static int rtrs_clt_rsp_err(u32 payload)
{
	int err = rtrs_io_rsp_err(payload);

	return err == -ECONNABORTED || err == -ENOBUFS ? -EIO : err;
}

static void rtrs_clt_answered(struct rtrs_clt_con *con, u32 payload, bool roll)
{
	struct rtrs_clt_path *path = con->path;
	u32 chunk = rtrs_io_rsp_chunk(payload);
	struct rtrs_clt_io *io;

	io = rtrs_clt_claim(con, chunk);
	if (unlikely(!io))
		return;
	if (roll)
		path->chunks[chunk].rkey =
			ib_inc_rkey(path->chunks[chunk].rkey);
	rtrs_clt_count_answer(io);
	io->err = rtrs_clt_rsp_err(payload);
	trace_rtrs_clt_response(path, chunk, io->err);
	rtrs_clt_io_step(io, RTRS_CLT_IO_ANS);
}

static bool rtrs_clt_user_event(struct rtrs_clt_path *path, u32 payload)
{
	if (!(path->rsp.features & RTRS_FEAT_USER_EVENT))
		return false;
	path->sess->ops->event(path->sess->priv, payload);
	return true;
}

static bool rtrs_clt_service_imm_ok(struct rtrs_clt_con *con, __be32 imm)
{
	if (con->c.cid)
		return false;
	switch (rtrs_imm_type(imm)) {
	case RTRS_IMM_HB_MSG:
		rtrs_hb_recv_msg(&con->path->hb);
		return true;
	case RTRS_IMM_HB_ACK:
		rtrs_hb_recv_ack(&con->path->hb);
		wake_up_all(&con->path->sess->answer_wait);
		return true;
	case RTRS_IMM_USER_EVENT:
		return rtrs_clt_user_event(con->path, rtrs_imm_payload(imm));
	default:
		return false;
	}
}

/* Heartbeats and events, and what no server has any business to send. */
static void rtrs_clt_service_imm(struct rtrs_clt_con *con, __be32 imm)
{
	if (!rtrs_clt_service_imm_ok(con, imm))
		rtrs_clt_bad_answer(con->path, "unexpected immediate");
}

/**
 * rtrs_clt_recv_done() - something has arrived, without a message
 * @cq: completion queue of the connection
 * @wc: what
 *
 * Context: softirq, or a poller.
 */
void rtrs_clt_recv_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_con *con = container_of(wc->wr_cqe,
						struct rtrs_clt_con, recv_cqe);
	struct rtrs_clt_path *path = con->path;
	u32 type = rtrs_imm_type(wc->ex.imm_data);

	if (unlikely(wc->status != IB_WC_SUCCESS)) {
		rtrs_clt_wc_failed(&con->c, wc, "receive");
		return;
	}
	if (unlikely(wc->opcode != IB_WC_RECV_RDMA_WITH_IMM)) {
		rtrs_clt_bad_answer(path, "unexpected message");
		return;
	}
	rtrs_hb_alive(&path->hb);
	if (unlikely(rtrs_repost_recv(&con->c)))
		rtrs_clt_path_error(path);

	if (likely(type == RTRS_IMM_IO_RSP))
		rtrs_clt_answered(con, rtrs_imm_payload(wc->ex.imm_data), false);
	else if (type == RTRS_IMM_IO_RSP_ROLL &&
		 path->rsp.features & RTRS_FEAT_RKEY_ROLL)
		rtrs_clt_answered(con, rtrs_imm_payload(wc->ex.imm_data), true);
	else
		rtrs_clt_service_imm(con, wc->ex.imm_data);
}

/* The message brings the key for the next request on the chunk. */
static void rtrs_clt_rkey_answered(struct rtrs_clt_rsp_buf *buf,
				   struct ib_wc *wc)
{
	struct rtrs_clt_con *con = buf->con;
	const struct rtrs_msg_rkey_rsp *msg = &con->rsps[buf - con->bufs];
	u32 payload = rtrs_imm_payload(wc->ex.imm_data);
	u32 chunk = rtrs_io_rsp_chunk(payload);
	struct rtrs_clt_io *io;

	ib_dma_sync_single_for_cpu(con->path->dev, con->rsps_dma +
				   (buf - con->bufs) * sizeof(*msg),
				   sizeof(*msg), DMA_FROM_DEVICE);
	if (rtrs_imm_type(wc->ex.imm_data) != RTRS_IMM_IO_RSP ||
	    !rtrs_rkey_rsp_ok(msg, wc->byte_len, chunk)) {
		rtrs_clt_bad_answer(con->path, "unexpected message");
		return;
	}
	io = rtrs_clt_claim(con, chunk);
	if (unlikely(!io))
		return;
	rtrs_clt_count_answer(io);
	con->path->chunks[chunk].rkey = le32_to_cpu(msg->rkey);
	io->err = rtrs_clt_rsp_err(payload);
	trace_rtrs_clt_response(con->path, chunk, io->err);
	rtrs_clt_io_step(io, RTRS_CLT_IO_ANS);
}

/**
 * rtrs_clt_recv_rkey_done() - something has arrived, perhaps with a message
 * @cq: completion queue of the connection
 * @wc: what
 *
 * For servers that renew their keys with every answer (NEW_RKEY).
 *
 * Context: softirq, or a poller.
 */
void rtrs_clt_recv_rkey_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_rsp_buf *buf = container_of(wc->wr_cqe,
						    struct rtrs_clt_rsp_buf,
						    cqe);
	struct rtrs_clt_path *path = buf->con->path;

	if (unlikely(wc->status != IB_WC_SUCCESS)) {
		rtrs_clt_wc_failed(&buf->con->c, wc, "receive");
		return;
	}
	rtrs_hb_alive(&path->hb);
	if (wc->opcode == IB_WC_RECV_RDMA_WITH_IMM)
		rtrs_clt_service_imm(buf->con, wc->ex.imm_data);
	else if (wc->wc_flags & IB_WC_WITH_IMM)
		rtrs_clt_rkey_answered(buf, wc);
	else
		rtrs_clt_bad_answer(path, "unexpected message");
	if (unlikely(rtrs_clt_post_rsp_buf(buf)))
		rtrs_clt_path_error(path);
}

static int rtrs_clt_con_poll(struct rtrs_clt_con *con,
			     struct io_comp_batch *iob)
{
	int n;

	/* ib_process_cq_direct() does not serialise its callers */
	if (!spin_trylock(&con->poll_lock))
		return 0;
	con->poll_batch = iob;
	/* a server that sends more and more does not keep us here */
	n = ib_process_cq_direct(con->c.cq, RTRS_CLT_POLL_BUDGET);
	con->poll_batch = NULL;
	spin_unlock(&con->poll_lock);
	return n;
}

int rtrs_clt_poll(struct rtrs_clt_sess *sess, unsigned int queue,
		  struct io_comp_batch *iob)
{
	unsigned int cid = rtrs_clt_cid(sess, queue);
	struct rtrs_clt_path *path;
	int found = 0;

	/* a path that leaves this state is drained after a grace period only */
	guard(rcu)();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		if (rtrs_clt_path_connected(path))
			found += rtrs_clt_con_poll(path->cons[cid], iob);
	return found;
}
EXPORT_SYMBOL_GPL(rtrs_clt_poll);
