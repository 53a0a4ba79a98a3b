// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-clt-io.c, which includes this file, and of rtrs-clt-recv.c: which
 * answers of a server are believed, when a request is done, and how a path is found for
 * one.
 *
 * The path is CONNECTING: what breaks the protocol then is an error of the attempt,
 * and nothing is torn down. Its queue pairs take whatever is posted.
 */
#include <kunit/test.h>

#define IO_TEST_DEPTH	4
#define IO_TEST_CONS	3

struct io_fixture {
	struct rtrs_clt_sess	sess;
	struct rtrs_clt_path	path;
	struct rtrs_clt_con	con[IO_TEST_CONS];
	struct rtrs_clt_con	*cons[IO_TEST_CONS];
	struct rtrs_clt_io	io[IO_TEST_DEPTH];
	struct rtrs_clt_chunk	chunk[IO_TEST_DEPTH];
	struct rtrs_clt_rsp_buf	buf;
	struct rtrs_msg_rkey_rsp rsp;
	struct ib_cq		cq[IO_TEST_CONS];
	struct ib_qp		qp;
	struct ib_pd		pd;
	struct ib_device	dev;
	u8			*mem;
	unsigned int		sends;
	unsigned int		wrs;		/* posted with them */
	enum ib_wr_opcode	last;
	unsigned int		signaled;
	unsigned int		recvs;
	unsigned int		done;
	int			err;
	struct io_comp_batch	*iob;
	unsigned int		events;
	u32			event;
	unsigned int		selects;	/* until a path is there */
};

static int io_test_post_send(struct ib_qp *qp, const struct ib_send_wr *wr,
			     const struct ib_send_wr **bad)
{
	struct io_fixture *f = container_of(qp, struct io_fixture, qp);

	f->sends++;
	for (; wr; wr = wr->next, f->wrs++) {
		f->signaled += !!(wr->send_flags & IB_SEND_SIGNALED);
		f->last = wr->opcode;
	}
	return 0;
}

static int io_test_post_recv(struct ib_qp *qp, const struct ib_recv_wr *wr,
			     const struct ib_recv_wr **bad)
{
	for (; wr; wr = wr->next)
		container_of(qp, struct io_fixture, qp)->recvs++;
	return 0;
}

static void io_test_event(void *priv, u32 payload)
{
	struct io_fixture *f = priv;

	f->events++;
	f->event = payload;
}

static const struct rtrs_clt_ops io_test_ops = { .event = io_test_event };

static void io_test_done(void *priv, int err, struct io_comp_batch *iob)
{
	struct io_fixture *f = priv;

	f->done++;
	f->err = err;
	f->iob = iob;
}

static void io_test_dead(struct rtrs_hb *hb)
{
}

static int io_test_init(struct kunit *test)
{
	struct io_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	int i;

	if (!f)
		return -ENOMEM;
	f->path.stats = alloc_percpu(struct rtrs_clt_stats);
	f->path.latency = alloc_percpu(struct rtrs_clt_latency);
	test->priv = f;
	if (!f->path.stats || !f->path.latency)
		return -ENOMEM;
	f->mem = kunit_kzalloc(test, RTRS_CLT_BUF_SIZE, GFP_KERNEL);
	if (!f->mem)
		return -ENOMEM;
	f->path.buf_msg = RTRS_CLT_BUF_SIZE / 2;
	f->dev.ops.post_send = io_test_post_send;
	f->dev.ops.post_recv = io_test_post_recv;
	f->qp.device = &f->dev;
	f->sess.ops = &io_test_ops;
	f->sess.priv = f;
	f->sess.nr_cons = IO_TEST_CONS;
	f->sess.max_msg_len = 264;
	f->sess.max_io_size = SZ_64K;
	spin_lock_init(&f->sess.up_lock);
	init_waitqueue_head(&f->sess.answer_wait);
	INIT_LIST_HEAD(&f->sess.paths);
	f->path.sess = &f->sess;
	f->path.dev = &f->dev;
	f->path.pd = &f->pd;
	f->path.cons = f->cons;
	f->path.ios = f->io;
	f->path.chunks = f->chunk;
	f->path.rsp.queue_depth = IO_TEST_DEPTH;
	f->path.nr_ios = IO_TEST_DEPTH;
	f->path.state = RTRS_CLT_CONNECTING;
	spin_lock_init(&f->path.state_lock);
	init_completion(&f->path.step);
	rtrs_hb_init(&f->path.hb, io_test_dead);
	rtrs_hb_prepare(&f->path.hb, &f->con[0].c);
	for (i = 0; i < IO_TEST_CONS; i++) {
		f->cons[i] = &f->con[i];
		f->con[i].path = &f->path;
		f->con[i].c.qp = &f->qp;
		f->con[i].c.cq = &f->cq[i];
		f->con[i].c.cid = i;
		spin_lock_init(&f->con[i].sq_lock);
		rtrs_post_recvs(&f->con[i].c, &f->con[i].recv_cqe, 0);
		f->cq[i].cq_context = &f->con[i].c;
	}
	for (i = 0; i < IO_TEST_DEPTH; i++) {
		f->chunk[i].rkey = 0x11223300 + i;
		f->io[i].req.done = io_test_done;
		f->io[i].req.priv = f;
		f->io[i].send_cqe.done = rtrs_clt_send_done;
		f->io[i].buf = f->mem;
	}
	return 0;
}

static void io_test_exit(struct kunit *test)
{
	struct io_fixture *f = test->priv;

	if (!f)
		return;
	free_percpu(f->path.latency);
	free_percpu(f->path.stats);
}

/* A request is under way on a chunk, and waits for its answer. */
static void io_test_send(struct io_fixture *f, unsigned int chunk, unsigned int cid)
{
	struct rtrs_clt_io *io = &f->io[chunk];

	io->con = &f->con[cid];
	io->cpu = raw_smp_processor_id();
	atomic_inc(&io->con->c.inflight);
	atomic_set(&io->state, RTRS_CLT_IO_BUSY | RTRS_CLT_IO_RSP | RTRS_CLT_IO_ANS);
}

/* Called with preemption off, as it is in softirq. */
static void io_test_recv(struct io_fixture *f, unsigned int cid,
			 enum ib_wc_opcode opcode, __be32 imm)
{
	struct ib_wc wc = {
		.wr_cqe		= &f->con[cid].recv_cqe,
		.status		= IB_WC_SUCCESS,
		.opcode		= opcode,
		.wc_flags	= IB_WC_WITH_IMM,
		.ex.imm_data	= imm,
	};

	preempt_disable();
	rtrs_clt_recv_done(&f->cq[cid], &wc);
	preempt_enable();
}

/* -------------------------------------------------------------- answers ---- */

struct answer_case {
	const char	*name;
	unsigned int	cid;		/* a request is under way on chunk 2, cid 1 */
	u32		type;
	u32		chunk;
	int		err;
	u32		features;
	int		want;		/* how it is done; 1: not at all */
};

static const struct answer_case answer_cases[] = {
	{ "success",		1, RTRS_IMM_IO_RSP, 2, 0, 0, 0 },
	{ "EIO",		1, RTRS_IMM_IO_RSP, 2, -EIO, 0, -EIO },
	{ "ENOTCONN",		1, RTRS_IMM_IO_RSP, 2, -ENOTCONN, 0, -ENOTCONN },
	{ "the largest errno",	1, RTRS_IMM_IO_RSP, 2, -511, 0, -511 },
	{ "ENOBUFS is ours", 1, RTRS_IMM_IO_RSP, 2, -ENOBUFS, 0, -EIO },
	{ "ECONNABORTED is ours", 1, RTRS_IMM_IO_RSP, 2, -ECONNABORTED, 0, -EIO },
	{ "another chunk",	1, RTRS_IMM_IO_RSP, 1, 0, 0, 1 },
	{ "the last chunk",	1, RTRS_IMM_IO_RSP, 3, 0, 0, 1 },
	{ "a chunk too far",	1, RTRS_IMM_IO_RSP, 4, 0, 0, 1 },
	{ "a chunk far too far", 1, RTRS_IMM_IO_RSP, 0x7ffff, 0, 0, 1 },
	{ "another connection",	2, RTRS_IMM_IO_RSP, 2, 0, 0, 1 },
	{ "the service connection", 0, RTRS_IMM_IO_RSP, 2, 0, 0, 1 },
	{ "a key of ours is gone", 1, RTRS_IMM_IO_RSP_W_INV, 2, 0, 0, 1 },
	{ "the key rolls",	1, RTRS_IMM_IO_RSP_ROLL, 2, 0, RTRS_FEAT_RKEY_ROLL, 0 },
	{ "the key rolls, EIO",	1, RTRS_IMM_IO_RSP_ROLL, 2, -EIO, RTRS_FEAT_RKEY_ROLL,
	  -EIO },
	{ "the key rolls, unasked", 1, RTRS_IMM_IO_RSP_ROLL, 2, 0, RTRS_FEAT_BOOT_ID, 1 },
	{ "the key of another rolls", 1, RTRS_IMM_IO_RSP_ROLL, 1, 0,
	  RTRS_FEAT_RKEY_ROLL, 1 },
	{ "a request",		1, RTRS_IMM_IO_REQ, 2, 0, 0, 1 },
	{ "type 4",		1, 4, 2, 0, 0xf, 1 },
	{ "type 7",		1, 7, 2, 0, 0xf, 1 },
	{ "type 11",		1, 11, 2, 0, 0xf, 1 },
	{ "type 15",		1, 15, 2, 0, 0xf, 1 },
};

KUNIT_ARRAY_PARAM_DESC(answer, answer_cases, name);

static void io_test_answer(struct io_fixture *f, const struct answer_case *c)
{
	f->path.rsp.features = c->features;
	io_test_send(f, 2, 1);
	io_test_recv(f, c->cid, IB_WC_RECV_RDMA_WITH_IMM,
		     rtrs_imm_io_rsp(c->type, c->chunk, c->err));
}

static void answer_ends_its_request(struct kunit *test)
{
	const struct answer_case *c = test->param_value;
	struct io_fixture *f = test->priv;
	bool done = c->want <= 0;

	io_test_answer(f, c);
	KUNIT_EXPECT_EQ(test, f->done, (unsigned int)done);
	if (done)
		KUNIT_EXPECT_EQ(test, f->err, c->want);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->con[1].c.inflight), done ? 0 : 1);
}

static void answer_to_nothing_ends_the_path(struct kunit *test)
{
	const struct answer_case *c = test->param_value;
	struct io_fixture *f = test->priv;

	io_test_answer(f, c);
	KUNIT_EXPECT_EQ(test, f->path.connect_err, c->want > 0 ? -ECONNRESET : 0);
}

static void answer_changes_no_key_but_its_own(struct kunit *test)
{
	const struct answer_case *c = test->param_value;
	struct io_fixture *f = test->priv;
	bool rolls = c->type == RTRS_IMM_IO_RSP_ROLL && c->want <= 0;
	int i;

	io_test_answer(f, c);
	for (i = 0; i < IO_TEST_DEPTH; i++)
		KUNIT_EXPECT_EQ_MSG(test, f->chunk[i].rkey,
				    0x11223300 + i + (rolls && i == 2), "chunk %d", i);
}

/* Not each by one, but all in the end. */
static void answers_are_followed_by_receives(struct kunit *test)
{
	const struct answer_case *c = test->param_value;
	struct io_fixture *f = test->priv;
	int i;

	for (i = 0; i < ARRAY_SIZE(f->con); i++)
		f->con[i].c.recvs_owed = RTRS_RECV_BATCH - 1;
	io_test_answer(f, c);
	KUNIT_EXPECT_EQ(test, f->recvs, RTRS_RECV_BATCH);
}

static void receives_come_when_they_are_owed(struct kunit *test)
{
	struct io_fixture *f = test->priv;
	struct rtrs_con *con = &f->con[1].c;
	unsigned int i;

	for (i = 1; i < 3 * RTRS_RECV_BATCH; i++) {
		KUNIT_EXPECT_EQ(test, rtrs_repost_recv(con), 0);
		KUNIT_EXPECT_EQ_MSG(test, f->recvs,
				    i - i % RTRS_RECV_BATCH, "%u", i);
	}
}

/* Only the lowest 8 bits of a key roll. */
static void answer_rolls_a_key_over(struct kunit *test)
{
	struct io_fixture *f = test->priv;

	f->chunk[2].rkey = 0x112233ff;
	f->path.rsp.features = RTRS_FEAT_RKEY_ROLL;
	io_test_send(f, 2, 1);
	io_test_recv(f, 1, IB_WC_RECV_RDMA_WITH_IMM,
		     rtrs_imm_io_rsp(RTRS_IMM_IO_RSP_ROLL, 2, 0));
	KUNIT_EXPECT_EQ(test, f->chunk[2].rkey, 0x11223300U);
}

static void answer_counts_once(struct kunit *test)
{
	struct io_fixture *f = test->priv;
	__be32 imm = rtrs_imm_io_rsp(RTRS_IMM_IO_RSP, 2, 0);

	io_test_send(f, 2, 1);
	io_test_recv(f, 1, IB_WC_RECV_RDMA_WITH_IMM, imm);
	io_test_recv(f, 1, IB_WC_RECV_RDMA_WITH_IMM, imm);
	KUNIT_EXPECT_EQ(test, f->done, 1U);
	KUNIT_EXPECT_EQ(test, f->path.connect_err, -ECONNRESET);
}

static void answer_by_a_message_ends_the_path(struct kunit *test)
{
	struct io_fixture *f = test->priv;

	io_test_send(f, 2, 1);
	io_test_recv(f, 1, IB_WC_RECV, rtrs_imm_io_rsp(RTRS_IMM_IO_RSP, 2, 0));
	KUNIT_EXPECT_EQ(test, f->done, 0U);
	KUNIT_EXPECT_EQ(test, f->path.connect_err, -ECONNRESET);
}

/* ----------------------------------------------- answers that bring a key -- */

struct rkey_answer_case {
	const char	*name;
	u32		type;		/* of the immediate */
	u32		chunk;
	u16		msg_type;
	u16		msg_chunk;
	u32		len;
	bool		ok;
};

static const struct rkey_answer_case rkey_answers[] = {
	{ "as it should be",	RTRS_IMM_IO_RSP, 2, RTRS_MSG_RKEY_RSP, 2, 8, true },
	{ "too short",		RTRS_IMM_IO_RSP, 2, RTRS_MSG_RKEY_RSP, 2, 7, false },
	{ "empty",		RTRS_IMM_IO_RSP, 2, RTRS_MSG_RKEY_RSP, 2, 0, false },
	{ "of another chunk",	RTRS_IMM_IO_RSP, 2, RTRS_MSG_RKEY_RSP, 1, 8, false },
	{ "of another type",	RTRS_IMM_IO_RSP, 2, RTRS_MSG_READ, 2, 8, false },
	{ "for another chunk",	RTRS_IMM_IO_RSP, 1, RTRS_MSG_RKEY_RSP, 1, 8, false },
	{ "a chunk too far",	RTRS_IMM_IO_RSP, 4, RTRS_MSG_RKEY_RSP, 4, 8, false },
	{ "it rolls as well",	RTRS_IMM_IO_RSP_ROLL, 2, RTRS_MSG_RKEY_RSP, 2, 8, false },
	{ "with a key of ours",	RTRS_IMM_IO_RSP_W_INV, 2, RTRS_MSG_RKEY_RSP, 2, 8,
	  false },
	{ "a heartbeat",	RTRS_IMM_HB_MSG, 0, RTRS_MSG_RKEY_RSP, 2, 8, false },
};

KUNIT_ARRAY_PARAM_DESC(rkey_answer, rkey_answers, name);

static void rkey_answer_brings_the_key_of_its_chunk(struct kunit *test)
{
	const struct rkey_answer_case *c = test->param_value;
	struct io_fixture *f = test->priv;
	struct ib_wc wc = {
		.wr_cqe		= &f->buf.cqe,
		.opcode		= IB_WC_RECV,
		.wc_flags	= IB_WC_WITH_IMM,
		.byte_len	= c->len,
		.ex.imm_data	= rtrs_imm_io_rsp(c->type, c->chunk, 0),
	};
	int i;

	if (!IS_ENABLED(CONFIG_INFINIBAND_VIRT_DMA))
		kunit_skip(test, "this device needs virtual DMA");
	rtrs_rkey_rsp_encode(&f->rsp, c->msg_chunk, 0xabcdef01);
	f->rsp.type = cpu_to_le16(c->msg_type);
	f->buf.con = &f->con[1];
	f->con[1].bufs = &f->buf;
	f->con[1].rsps = &f->rsp;
	io_test_send(f, 2, 1);
	preempt_disable();
	rtrs_clt_recv_rkey_done(&f->cq[1], &wc);
	preempt_enable();

	KUNIT_EXPECT_EQ(test, f->done, (unsigned int)c->ok);
	KUNIT_EXPECT_EQ(test, f->path.connect_err, c->ok ? 0 : -ECONNRESET);
	for (i = 0; i < IO_TEST_DEPTH; i++)
		KUNIT_EXPECT_EQ_MSG(test, f->chunk[i].rkey,
				    c->ok && i == 2 ? 0xabcdef01 : 0x11223300 + i,
				    "chunk %d", i);
}

/* ------------------------------------------------- the service connection -- */

struct service_case {
	const char	*name;
	unsigned int	cid;
	u32		type;
	u32		payload;
	u32		features;
	unsigned int	sends;
	unsigned int	events;
	bool		ok;
};

static const struct service_case service_cases[] = {
	{ "HB_MSG",		0, RTRS_IMM_HB_MSG, 0, 0, 1, 0, true },
	{ "HB_MSG on cid 1",	1, RTRS_IMM_HB_MSG, 0, 0, 0, 0, false },
	{ "HB_ACK",		0, RTRS_IMM_HB_ACK, 0, 0, 0, 0, true },
	{ "HB_ACK on cid 2",	2, RTRS_IMM_HB_ACK, 0, 0, 0, 0, false },
	{ "USER_EVENT",		0, RTRS_IMM_USER_EVENT, 7, RTRS_FEAT_USER_EVENT, 0, 1,
	  true },
	{ "USER_EVENT, all bits", 0, RTRS_IMM_USER_EVENT, 0x0fffffff,
	  RTRS_FEAT_USER_EVENT, 0, 1, true },
	{ "USER_EVENT, unasked", 0, RTRS_IMM_USER_EVENT, 7, RTRS_FEAT_BOOT_ID, 0, 0,
	  false },
	{ "USER_EVENT on cid 1", 1, RTRS_IMM_USER_EVENT, 7, RTRS_FEAT_USER_EVENT, 0, 0,
	  false },
	{ "IO_REQ",		0, RTRS_IMM_IO_REQ, 7, 0, 0, 0, false },
	{ "IO_RSP_W_INV",	0, RTRS_IMM_IO_RSP_W_INV, 0, 0, 0, 0, false },
	{ "type 5",		0, 5, 0, 0xf, 0, 0, false },
	{ "type 12",		0, 12, 0, 0xf, 0, 0, false },
};

KUNIT_ARRAY_PARAM_DESC(service, service_cases, name);

static void service_takes_heartbeats_and_events(struct kunit *test)
{
	const struct service_case *c = test->param_value;
	struct io_fixture *f = test->priv;

	f->path.rsp.features = c->features;
	io_test_recv(f, c->cid, IB_WC_RECV_RDMA_WITH_IMM,
		     rtrs_imm(c->type, c->payload));
	KUNIT_EXPECT_EQ(test, f->path.connect_err, c->ok ? 0 : -ECONNRESET);
	KUNIT_EXPECT_EQ(test, f->sends, c->sends);
	KUNIT_EXPECT_EQ(test, f->events, c->events);
	if (c->events)
		KUNIT_EXPECT_EQ(test, f->event, c->payload);
}

static void any_receive_is_a_sign_of_life(struct kunit *test)
{
	const struct service_case *c = test->param_value;
	struct io_fixture *f = test->priv;

	f->path.hb.missed = 3;
	io_test_recv(f, c->cid, IB_WC_RECV_RDMA_WITH_IMM,
		     rtrs_imm(c->type, c->payload));
	KUNIT_EXPECT_EQ(test, f->path.hb.missed, 0U);
}

/* --------------------------------------------------- when it is done ------- */

struct step_case {
	const char	*name;
	int		step[3];
};

static const struct step_case step_cases[] = {
	{ "post, answer, sent",	{ RTRS_CLT_IO_POST, RTRS_CLT_IO_ANS, RTRS_CLT_IO_SENT } },
	{ "post, sent, answer",	{ RTRS_CLT_IO_POST, RTRS_CLT_IO_SENT, RTRS_CLT_IO_ANS } },
	{ "answer, post, sent",	{ RTRS_CLT_IO_ANS, RTRS_CLT_IO_POST, RTRS_CLT_IO_SENT } },
	{ "answer, sent, post",	{ RTRS_CLT_IO_ANS, RTRS_CLT_IO_SENT, RTRS_CLT_IO_POST } },
	{ "sent, post, answer",	{ RTRS_CLT_IO_SENT, RTRS_CLT_IO_POST, RTRS_CLT_IO_ANS } },
	{ "sent, answer, post",	{ RTRS_CLT_IO_SENT, RTRS_CLT_IO_ANS, RTRS_CLT_IO_POST } },
};

KUNIT_ARRAY_PARAM_DESC(step, step_cases, name);

static void request_is_done_after_its_last_step(struct kunit *test)
{
	const struct step_case *c = test->param_value;
	struct io_fixture *f = test->priv;
	int i;

	io_test_send(f, 0, 1);
	atomic_set(&f->io[0].state, RTRS_CLT_IO_BUSY | RTRS_CLT_IO_POST |
				    RTRS_CLT_IO_ANS | RTRS_CLT_IO_SENT);
	for (i = 0; i < ARRAY_SIZE(c->step); i++) {
		KUNIT_EXPECT_EQ_MSG(test, f->done, 0U, "before step %d", i);
		rtrs_clt_io_step(&f->io[0], c->step[i]);
	}
	KUNIT_EXPECT_EQ(test, f->done, 1U);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->io[0].state), 0);
}

/* --------------------------------------------------------------- batches --- */

/* Where a request is done that is the last of so many. */
struct batch_case {
	const char		*name;
	enum ib_poll_context	poll_ctx;
	bool			poller;		/* that wants a batch */
	int			inflight;
	int			step;
	bool			batch;
};

static const struct batch_case batch_cases[] = {
	{ "alone",		IB_POLL_SOFTIRQ, false, 1, RTRS_CLT_IO_ANS, false },
	{ "of a few",		IB_POLL_SOFTIRQ, false, RTRS_CLT_BATCH_MIN,
	  RTRS_CLT_IO_ANS, false },
	{ "of many",		IB_POLL_SOFTIRQ, false, RTRS_CLT_BATCH_MIN + 1,
	  RTRS_CLT_IO_ANS, true },
	{ "of many, sent",	IB_POLL_SOFTIRQ, false, 100, RTRS_CLT_IO_SENT, true },
	{ "of many, posted",	IB_POLL_SOFTIRQ, false, 100, RTRS_CLT_IO_POST, false },
	{ "polled, alone",	IB_POLL_DIRECT, true, 1, RTRS_CLT_IO_ANS, true },
	{ "polled, of many",	IB_POLL_DIRECT, true, 100, RTRS_CLT_IO_ANS, true },
	{ "polled, posted",	IB_POLL_DIRECT, true, 100, RTRS_CLT_IO_POST, false },
	{ "polled, no batch",	IB_POLL_DIRECT, false, 100, RTRS_CLT_IO_ANS, false },
};

KUNIT_ARRAY_PARAM_DESC(batch, batch_cases, name);

static void batch_is_for_many_or_the_pollers(struct kunit *test)
{
	const struct batch_case *c = test->param_value;
	struct io_fixture *f = test->priv;
	struct io_comp_batch *own, iob = { };

	f->cq[1].poll_ctx = c->poll_ctx;
	f->con[1].poll_batch = c->poller ? &iob : NULL;
	f->io[0].con = &f->con[1];
	atomic_set(&f->con[1].c.inflight, c->inflight);
	atomic_set(&f->io[0].state, RTRS_CLT_IO_BUSY | c->step);
	preempt_disable();
	own = &this_cpu_ptr(&rtrs_clt_batches)->iob;
	rtrs_clt_io_step(&f->io[0], c->step);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, f->done, 1U);
	KUNIT_EXPECT_PTR_EQ(test, f->iob,
			    !c->batch ? NULL : c->poller ? &iob : own);
}

/* --------------------------------------------- sends that nobody waits for -- */

/* A request without data, on cid 1. */
static void io_test_request(struct io_fixture *f, u16 chunk)
{
	const struct rtrs_clt_req req = {
		.chunk	= chunk,
		.dir	= DMA_TO_DEVICE,
		.done	= io_test_done,
		.priv	= f,
	};

	preempt_disable();
	rtrs_clt_path_send(&f->path, &req);
	preempt_enable();
}

static void io_test_answer_to(struct io_fixture *f, u16 chunk)
{
	io_test_recv(f, 1, IB_WC_RECV_RDMA_WITH_IMM,
		     rtrs_imm_io_rsp(RTRS_IMM_IO_RSP, chunk, 0));
}

static void io_test_sent(struct io_fixture *f, u16 chunk)
{
	struct ib_wc wc = { .wr_cqe = &f->io[chunk].send_cqe };

	preempt_disable();
	rtrs_clt_send_done(&f->cq[1], &wc);
	preempt_enable();
}

static void io_test_need_virt_dma(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_INFINIBAND_VIRT_DMA))
		kunit_skip(test, "this device needs virtual DMA");
}

static void quiet_request_is_done_when_it_is_answered(struct kunit *test)
{
	struct io_fixture *f = test->priv;

	io_test_need_virt_dma(test);
	f->con[1].max_quiet = 4;
	io_test_request(f, 0);
	KUNIT_EXPECT_EQ(test, f->signaled, 0U);
	io_test_answer_to(f, 0);
	KUNIT_EXPECT_EQ(test, f->done, 1U);
}

static void one_of_many_quiet_sends_is_signaled(struct kunit *test)
{
	struct io_fixture *f = test->priv;
	unsigned int i;

	io_test_need_virt_dma(test);
	f->con[1].max_quiet = 1000;
	for (i = 0; i < 3 * RTRS_CLT_QUIET_SENDS; i++) {
		bool signaled = i % RTRS_CLT_QUIET_SENDS ==
				RTRS_CLT_QUIET_SENDS - 1;

		f->signaled = 0;
		io_test_request(f, 0);
		KUNIT_EXPECT_EQ_MSG(test, f->signaled, (unsigned int)signaled, "%u", i);
		io_test_answer_to(f, 0);
		KUNIT_EXPECT_EQ_MSG(test, f->done, i + !signaled, "%u", i);
		if (signaled)
			io_test_sent(f, 0);
		KUNIT_EXPECT_EQ_MSG(test, f->done, i + 1, "%u", i);
	}
	KUNIT_EXPECT_EQ(test, f->con[1].sq_head, f->con[1].sq_tail);
}

/* The completion of one makes room for others. */
static void send_is_signaled_where_the_queue_is_full(struct kunit *test)
{
	struct io_fixture *f = test->priv;

	io_test_need_virt_dma(test);
	f->con[1].max_quiet = 2;
	io_test_request(f, 0);
	io_test_request(f, 1);
	KUNIT_EXPECT_EQ(test, f->signaled, 0U);
	io_test_request(f, 2);
	KUNIT_EXPECT_EQ(test, f->signaled, 1U);
	io_test_answer_to(f, 0);
	io_test_request(f, 0);
	KUNIT_EXPECT_EQ(test, f->signaled, 2U);
	io_test_sent(f, 2);
	io_test_answer_to(f, 1);
	io_test_request(f, 1);
	KUNIT_EXPECT_EQ(test, f->signaled, 2U);
}

/* However quickly requests follow each other, they never need more than there is. */
static void queue_has_room_for_all_there_can_be(struct kunit *test)
{
	struct io_fixture *f = test->priv;
	unsigned int i, chunk;

	io_test_need_virt_dma(test);
	f->con[1].max_quiet = IO_TEST_DEPTH;
	for (i = 0; i < 100; i++) {
		chunk = i % IO_TEST_DEPTH;
		if (atomic_read(&f->io[chunk].state))
			continue;
		io_test_request(f, chunk);
		io_test_answer_to(f, chunk);
	}
	KUNIT_EXPECT_LE(test, f->con[1].sq_head,
			(u32)(RTRS_CLT_SENDS_PER_REQ * IO_TEST_DEPTH));
	/* nobody is done any more without a completion */
	KUNIT_EXPECT_EQ(test, f->done, IO_TEST_DEPTH);
}

static void send_on_the_service_connection_is_signaled(struct kunit *test)
{
	struct io_fixture *f = test->priv;
	const struct rtrs_clt_req req = {
		.queue	= RTRS_CLT_SERVICE_QUEUE,
		.dir	= DMA_FROM_DEVICE,
		.done	= io_test_done,
		.priv	= f,
	};

	io_test_need_virt_dma(test);
	preempt_disable();
	rtrs_clt_path_send(&f->path, &req);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, f->signaled, 1U);
}

/* ------------------------------------------- requests that are sent together -- */

static void io_test_more(struct io_fixture *f, u16 chunk, bool more)
{
	const struct rtrs_clt_req req = {
		.chunk	= chunk,
		.dir	= DMA_TO_DEVICE,
		.done	= io_test_done,
		.priv	= f,
		.more	= more,
	};

	preempt_disable();
	rtrs_clt_path_send(&f->path, &req);
	preempt_enable();
}

static void chain_is_posted_with_its_last_request(struct kunit *test)
{
	struct io_fixture *f = test->priv;
	int i;

	io_test_need_virt_dma(test);
	f->con[1].max_quiet = 10;
	io_test_more(f, 0, true);
	io_test_more(f, 1, true);
	KUNIT_EXPECT_EQ(test, f->sends, 0U);
	KUNIT_EXPECT_TRUE(test, atomic_read(&f->io[0].state) & RTRS_CLT_IO_POST);
	io_test_more(f, 2, false);
	KUNIT_EXPECT_EQ(test, f->sends, 1U);
	KUNIT_EXPECT_EQ(test, f->wrs, 3U);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_FALSE(test, atomic_read(&f->io[i].state) &
					 RTRS_CLT_IO_POST);
	KUNIT_EXPECT_NULL(test, f->con[1].chain);
}

static void chain_is_posted_when_it_is_flushed(struct kunit *test)
{
	struct io_fixture *f = test->priv;

	io_test_need_virt_dma(test);
	f->con[1].max_quiet = 10;
	rtrs_clt_con_flush(&f->con[1]);
	KUNIT_EXPECT_EQ(test, f->sends, 0U);
	io_test_more(f, 0, true);
	io_test_more(f, 1, true);
	rtrs_clt_con_flush(&f->con[1]);
	KUNIT_EXPECT_EQ(test, f->sends, 1U);
	KUNIT_EXPECT_EQ(test, f->wrs, 2U);
	io_test_answer_to(f, 0);
	io_test_answer_to(f, 1);
	KUNIT_EXPECT_EQ(test, f->done, 2U);
}

/* Whatever else is posted goes behind it. */
static void chain_is_posted_before_an_invalidation(struct kunit *test)
{
	struct io_fixture *f = test->priv;
	struct ib_send_wr inv = { .opcode = IB_WR_LOCAL_INV };

	io_test_need_virt_dma(test);
	f->con[1].max_quiet = 10;
	io_test_more(f, 0, true);
	f->io[3].con = &f->con[1];
	rtrs_clt_io_post_inv(&f->io[3], &inv);
	KUNIT_EXPECT_EQ(test, f->sends, 1U);
	KUNIT_EXPECT_EQ(test, f->wrs, 2U);
	KUNIT_EXPECT_EQ(test, f->last, IB_WR_LOCAL_INV);
	KUNIT_EXPECT_FALSE(test, atomic_read(&f->io[0].state) & RTRS_CLT_IO_POST);
}

/* ------------------------------------------------------- a path for it ----- */

/* One that finds no path until it has been asked some times. */
static struct rtrs_clt_path *io_test_select(struct rtrs_clt_sess *sess,
					    unsigned int queue)
{
	struct io_fixture *f = container_of(sess, struct io_fixture, sess);

	if (!f->selects--)
		return &f->path;
	/* nobody came up instead */
	if (f->selects == 100)
		sess->nr_up = 0;
	return NULL;
}

static const struct rtrs_clt_policy io_test_policy = { .select = io_test_select };

static int io_test_map_mr_sg(struct ib_mr *mr, struct scatterlist *sg, int nents,
			     unsigned int *offset)
{
	return -ENOMEM;
}

static void request_that_finds_no_room_goes_back(struct kunit *test)
{
	struct io_fixture *f = test->priv;
	struct ib_mr mr = { .device = &f->dev };
	struct rtrs_clt_io *io = &f->io[0];
	struct scatterlist sg;

	io_test_need_virt_dma(test);
	f->dev.ops.map_mr_sg = io_test_map_mr_sg;
	f->sess.policy = &io_test_policy;
	sg_init_one(&sg, f, SZ_512);
	io->con = &f->con[1];
	io->mr = &mr;
	io->req = (struct rtrs_clt_req) {
		.dir		= DMA_FROM_DEVICE,
		.sg		= &sg,
		.sg_cnt		= 1,
		.data_len	= SZ_512,
		.done		= io_test_done,
		.priv		= f,
	};
	atomic_set(&io->state, RTRS_CLT_IO_BUSY | RTRS_CLT_IO_RSP | RTRS_CLT_IO_ANS);
	atomic_inc(&io->con->c.inflight);
	rtrs_clt_io_requeue(io);
	KUNIT_EXPECT_EQ(test, f->done, 1U);
	KUNIT_EXPECT_EQ(test, f->err, -ENOBUFS);
	KUNIT_EXPECT_EQ(test, atomic_read(&io->state), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&io->con->c.inflight), 0);
}

struct select_case {
	const char	*name;
	unsigned int	nr_up;
	unsigned int	selects;	/* in vain; from 101 on all paths are gone */
	bool		found;
};

static const struct select_case select_cases[] = {
	{ "at once",				1, 0,	true },
	{ "the second time",			1, 1,	true },
	{ "the tenth time",			1, 9,	true },
	{ "the hundredth time",			1, 99,	true },
	{ "not at all, while there is none",	0, 1,	false },
	{ "until the last one is gone",		1, 150,	false },
};

KUNIT_ARRAY_PARAM_DESC(select, select_cases, name);

/* A walk can miss one path that comes and another that goes. */
static void path_is_looked_for_while_there_is_one(struct kunit *test)
{
	const struct select_case *c = test->param_value;
	struct io_fixture *f = test->priv;

	f->sess.policy = &io_test_policy;
	f->sess.nr_up = c->nr_up;
	f->selects = c->selects;
	KUNIT_EXPECT_PTR_EQ(test, rtrs_clt_select(&f->sess, 0),
			    c->found ? &f->path : NULL);
}

struct request_case {
	const char	*name;
	size_t		msg_len;
	size_t		data_len;
	int		err;
};

static const struct request_case request_cases[] = {
	{ "too long a message",		265,	0,		-EMSGSIZE },
	{ "far too long a message",	SIZE_MAX, 0,		-EMSGSIZE },
	{ "too much data",		32,	SZ_64K + 1,	-EMSGSIZE },
	{ "far too much data",		32,	SIZE_MAX,	-EMSGSIZE },
	{ "the longest of both",	264,	SZ_64K,		-ECONNABORTED },
	{ "nothing",			0,	0,		-ECONNABORTED },
};

KUNIT_ARRAY_PARAM_DESC(request, request_cases, name);

static void request_has_to_fit_and_needs_a_path(struct kunit *test)
{
	const struct request_case *c = test->param_value;
	struct io_fixture *f = test->priv;
	struct rtrs_clt_req req = {
		.msg_len = c->msg_len, .data_len = c->data_len,
	};

	f->sess.policy = rtrs_clt_default_policy;
	KUNIT_EXPECT_EQ(test, rtrs_clt_request(&f->sess, &req), c->err);
}

static struct kunit_case rtrs_clt_io_cases[] = {
	KUNIT_CASE_PARAM(answer_ends_its_request, answer_gen_params),
	KUNIT_CASE_PARAM(answer_to_nothing_ends_the_path, answer_gen_params),
	KUNIT_CASE_PARAM(answer_changes_no_key_but_its_own, answer_gen_params),
	KUNIT_CASE_PARAM(answers_are_followed_by_receives, answer_gen_params),
	KUNIT_CASE(receives_come_when_they_are_owed),
	KUNIT_CASE(answer_rolls_a_key_over),
	KUNIT_CASE(answer_counts_once),
	KUNIT_CASE(answer_by_a_message_ends_the_path),
	KUNIT_CASE_PARAM(rkey_answer_brings_the_key_of_its_chunk,
			 rkey_answer_gen_params),
	KUNIT_CASE_PARAM(service_takes_heartbeats_and_events, service_gen_params),
	KUNIT_CASE_PARAM(any_receive_is_a_sign_of_life, service_gen_params),
	KUNIT_CASE_PARAM(request_is_done_after_its_last_step, step_gen_params),
	KUNIT_CASE(quiet_request_is_done_when_it_is_answered),
	KUNIT_CASE(one_of_many_quiet_sends_is_signaled),
	KUNIT_CASE(send_is_signaled_where_the_queue_is_full),
	KUNIT_CASE(queue_has_room_for_all_there_can_be),
	KUNIT_CASE(send_on_the_service_connection_is_signaled),
	KUNIT_CASE(chain_is_posted_with_its_last_request),
	KUNIT_CASE(chain_is_posted_when_it_is_flushed),
	KUNIT_CASE(chain_is_posted_before_an_invalidation),
	KUNIT_CASE_PARAM(path_is_looked_for_while_there_is_one, select_gen_params),
	KUNIT_CASE_PARAM(request_has_to_fit_and_needs_a_path, request_gen_params),
	KUNIT_CASE(request_that_finds_no_room_goes_back),
	KUNIT_CASE_PARAM(batch_is_for_many_or_the_pollers, batch_gen_params),
	{}
};

static struct kunit_suite rtrs_clt_io_suite = {
	.name		= "rtrs-clt-io",
	.init		= io_test_init,
	.exit		= io_test_exit,
	.test_cases	= rtrs_clt_io_cases,
};

kunit_test_suite(rtrs_clt_io_suite);
