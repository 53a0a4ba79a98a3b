// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-srv-io.c, which includes this file, and of rtrs-srv-answer.c: what
 * of a request is believed, what an answer is made of, and in which order requests are
 * carried out.
 *
 * The queue pair remembers what is posted. There is one chunk, and the user of RTRS
 * takes nothing on.
 */
#include <kunit/test.h>

#define SRV_TEST_DEPTH	4
#define SRV_TEST_WRS	4
#define SRV_TEST_ANSWERS 40	/* given together */
#define SRV_TEST_USR	264	/* longest user message */

struct srv_fixture {
	struct rtrs_srv_ctx	ctx;
	struct rtrs_srv_sess	sess;
	struct rtrs_srv_path	*path;
	struct rtrs_srv_slot	slot[SRV_TEST_DEPTH];
	struct rtrs_srv_op	op[SRV_TEST_DEPTH];
	struct rtrs_srv_con	con[2];
	struct rtrs_iu		rsp;
	struct rtrs_msg_rkey_rsp rsps[SRV_TEST_DEPTH];
	struct ib_device	dev;
	struct ib_pd		pd;
	struct ib_mr		mr;
	struct ib_qp		qp;
	u8			msg[SRV_TEST_USR];
	enum ib_wr_opcode	wr[SRV_TEST_WRS];
	u32			len[SRV_TEST_WRS];
	bool			signaled[SRV_TEST_WRS];
	unsigned int		wrs;
	unsigned int		posted;
	unsigned int		doorbells;
	int			post_err;
	bool			quick;	/* what is signaled completes at once */
	u32			imm;
	unsigned int		requests;
	bool			entered;
};

/* The operation has got its next request, and that its answer, which is another's too. */
static void srv_test_reuse(const struct ib_send_wr *wr)
{
	struct rtrs_srv_op *op = container_of(wr->wr_cqe, struct rtrs_srv_op, cqe);

	op->rsp.wr.next = &op->rsp.wr;
	op->then = op;
}

static int srv_test_post_send(struct ib_qp *qp, const struct ib_send_wr *wr,
			      const struct ib_send_wr **bad)
{
	struct srv_fixture *f = container_of(qp, struct srv_fixture, qp);

	f->doorbells++;
	for (; wr; wr = wr->next, f->posted++) {
		if (f->quick && wr->send_flags & IB_SEND_SIGNALED)
			srv_test_reuse(wr);
		/* that is more than there can be */
		if (f->posted == 10 * SRV_TEST_ANSWERS)
			break;
		if (f->wrs == SRV_TEST_WRS)
			continue;
		f->wr[f->wrs] = wr->opcode;
		f->len[f->wrs] = wr->num_sge ? wr->sg_list->length : 0;
		f->signaled[f->wrs] = wr->send_flags & IB_SEND_SIGNALED;
		if (wr->opcode == IB_WR_RDMA_WRITE_WITH_IMM ||
		    wr->opcode == IB_WR_SEND_WITH_IMM)
			f->imm = be32_to_cpu(wr->ex.imm_data);
		f->wrs++;
	}
	return f->post_err;
}

static int srv_test_request(void *priv, struct rtrs_srv_op *op,
			    const struct rtrs_srv_req *req, bool service)
{
	struct srv_fixture *f = priv;

	f->requests++;
	return -EOPNOTSUPP;
}

static const struct rtrs_srv_ops srv_test_ops = {
	.max_msg_len	= SRV_TEST_USR,
	.request	= srv_test_request,
};

static void srv_test_work(struct work_struct *work)
{
}

/* It has run. */
static void srv_test_early_work(struct work_struct *work)
{
	struct rtrs_srv_op *op = container_of(work, struct rtrs_srv_op,
					      early_work);

	op->refused = true;
}

static void srv_test_init_path(struct srv_fixture *f)
{
	struct rtrs_srv_path *path = f->path;

	path->state = RTRS_SRV_PATH_CONNECTED;
	path->queue_depth = SRV_TEST_DEPTH;
	path->chunk_bits = rtrs_chunk_bits(SRV_TEST_DEPTH);
	path->dev = &f->dev;
	path->pd = &f->pd;
	path->ops = f->op;
	path->slots = f->slot;
	path->user = &srv_test_ops;
	path->priv = f;
	path->sess = &f->sess;
	path->rsp = &f->rsp;
	strscpy(path->name, "kunit");
	strscpy(f->sess.name, "kunit");
	INIT_WORK(&path->close_work, srv_test_work);
}

/* As rtrs_srv_chunk_free() frees it. */
static void *srv_test_chunk(void)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO,
					get_order(rtrs_srv_conf.chunk_size));

	return page ? page_address(page) : NULL;
}

/* What it has counts, as that of any path. */
static int srv_test_enter(struct srv_fixture *f)
{
	static const union ib_gid gid;

	f->ctx.ops = &srv_test_ops;
	f->sess.ctx = &f->ctx;
	scoped_guard(mutex, &rtrs_srv_mutex)
		f->entered = !rtrs_srv_limit_enter(f->path, &gid, false);
	if (!f->entered)
		return -ENOMEM;
	return rtrs_srv_limit_take(f->path, rtrs_srv_conf.chunk_size);
}

static int srv_test_init(struct kunit *test)
{
	struct srv_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	int i;

	if (!IS_ENABLED(CONFIG_INFINIBAND_VIRT_DMA))
		kunit_skip(test, "this device needs virtual DMA");
	if (!f)
		return -ENOMEM;
	f->path = kunit_kzalloc(test, struct_size(f->path, cons, 2), GFP_KERNEL);
	if (!f->path)
		return -ENOMEM;
	test->priv = f;
	f->path->stats = alloc_percpu(struct rtrs_srv_stats);
	srv_test_init_path(f);
	if (!f->path->stats || srv_test_enter(f))
		return -ENOMEM;
	f->op[0].path = f->path;
	f->op[0].chunk = srv_test_chunk();
	if (!f->op[0].chunk)
		return -ENOMEM;
	f->dev.ops.post_send = srv_test_post_send;
	f->qp.device = &f->dev;
	f->rsp.buf = f->rsps;
	f->mr.rkey = 0x100;
	f->mr.lkey = 0x100;
	for (i = 0; i < ARRAY_SIZE(f->con); i++) {
		f->con[i].c.qp = &f->qp;
		f->con[i].c.cid = i;
		f->con[i].path = f->path;
		spin_lock_init(&f->con[i].sq_lock);
	}
	for (i = 0; i < SRV_TEST_DEPTH; i++) {
		spin_lock_init(&f->slot[i].lock);
		f->op[i].path = f->path;
		f->op[i].nr = i;
		f->op[i].msg = f->msg;
		f->op[i].con = &f->con[1];
		INIT_WORK(&f->op[i].work, srv_test_work);
		INIT_WORK(&f->op[i].early_work, srv_test_early_work);
	}
	return 0;
}

static void srv_test_exit(struct kunit *test)
{
	struct srv_fixture *f = test->priv;

	if (!f)
		return;
	flush_work(&f->path->close_work);
	if (f->op[0].chunk)
		rtrs_srv_chunk_free(&f->op[0]);
	if (f->entered) {
		f->path->queue_depth = SRV_TEST_DEPTH;
		guard(mutex)(&rtrs_srv_mutex);
		rtrs_srv_limit_leave(f->path);
	}
	free_percpu(f->path->stats);
}

/* -------------------------------------------------------------- parsing ---- */

/* Offsets from the end of the chunk are negative. */
struct parse_case {
	const char	*name;
	s32		off;
	u16		type;
	u16		usr_len;
	u16		flags;
	u16		sg_cnt;
	u32		len;
	int		err;
	u32		data_len;
};

#define WR	RTRS_MSG_WRITE
#define RD	RTRS_MSG_READ
#define INV	RTRS_READ_NEED_INVAL

static const struct parse_case parse_cases[] = {
	{ "write, 4 KiB",	4128,	WR, 32,	  0, 0, 0,	0,	 4096 },
	{ "write, 8 KiB",	8224,	WR, 32,	  0, 0, 0,	0,	 8192 },
	{ "write, a byte more than a page", 4129, WR, 32, 0, 0, 0, 0,	 4097 },
	{ "write, 512 bytes",	544,	WR, 32,	  0, 0, 0,	0,	 512 },
	{ "write, 1 byte",	33,	WR, 32,	  0, 0, 0,	0,	 1 },
	{ "write, no data",	32,	WR, 32,	  0, 0, 0,	0,	 0 },
	{ "write, nothing at all", 0,	WR, 0,	  0, 0, 0,	0,	 0 },
	{ "write, no user message", 100, WR, 0,	  0, 0, 0,	0,	 100 },
	{ "write, long user message", 1000, WR, 1000, 0, 0, 0,	0,	 0 },
	{ "write, user message before the chunk", 31, WR, 32, 0, 0, 0, -EINVAL },
	{ "write, user message far before it", 31, WR, 0xffff, 0, 0, 0, -EINVAL },
	{ "write, at the end",	-4,	WR, 32,	  0, 0, 0,	0,	 -36 },
	{ "write, beyond the end by 1", -3, WR, 32, 0, 0, 0,	-EINVAL },
	{ "write, just beyond it", INT_MIN, WR, 32, 0, 0, 0,	-EINVAL },
	{ "write, far beyond it", 0xfffffff, WR, 32, 0, 0, 0,	-EINVAL },

	{ "read, 4 KiB",	4128,	RD, 32,	  0, 1, 4096,	0,	 4096 },
	{ "read, less than room", 4128,	RD, 32,	  0, 1, 512,	0,	 512 },
	{ "read, a byte too much", 4128, RD, 32,  0, 1, 4097,	-EINVAL },
	{ "read, all bits",	4128,	RD, 32,	  0, 1, U32_MAX, -EINVAL },
	{ "read, a sum that wraps", 4128, RD, 32, 0, 1, -32,	-EINVAL },
	{ "read, no data",	32,	RD, 32,	  0, 0, 0,	0,	 0 },
	{ "read, a descriptor of 0", 4128, RD, 32, 0, 1, 0,	0,	 0 },
	{ "read, data without room", 32, RD, 32,  0, 1, 1,	-EINVAL },
	{ "read, with a key",	4128,	RD, 32,	INV, 1, 4096,	0,	 4096 },
	{ "read, a key of no data", 32,	RD, 32,	INV, 0, 0,	-EINVAL },
	{ "read, two descriptors", 4128, RD, 32,  0, 2, 4096,	-EINVAL },
	{ "read, most descriptors", 4128, RD, 32, 0, 0xffff, 4096, -EINVAL },
	{ "read, unknown flags", 4128,	RD, 32, 0xfffe, 1, 4096, 0,	 4096 },
	{ "read, user message before the chunk", 31, RD, 32, 0, 1, 0, -EINVAL },
	{ "read, at the end",	-24,	RD, 32,	  0, 1, 4096,	0,	 4096 },
	{ "read, a descriptor beyond the end", -23, RD, 32, 0, 1, 4096, -EINVAL },
	{ "read, no data, at the end", -8, RD, 32, 0, 0, 0,	0,	 0 },
	{ "read, beyond the end", -7,	RD, 32,	  0, 0, 0,	-EINVAL },
	{ "read, hardly there",	-4,	RD, 32,	  0, 0, 0,	-EINVAL },

	{ "an INFO_REQ",	4128,	RTRS_MSG_INFO_REQ, 32, 0, 0, 0, -EINVAL },
	{ "an INFO_RSP",	4128,	RTRS_MSG_INFO_RSP, 32, 0, 0, 0, -EINVAL },
	{ "an RKEY_RSP",	4128,	RTRS_MSG_RKEY_RSP, 32, 0, 0, 0, -EINVAL },
	{ "type 5",		4128,	5, 32, 0, 0, 0,		-EINVAL },
	{ "type 256 + 2",	4128,	0x102, 32, 0, 0, 0,	-EINVAL },
	{ "type of all bits",	4128,	0xffff, 32, 0, 0, 0,	-EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(parse, parse_cases, name);

static u32 parse_off(const struct parse_case *c)
{
	if (c->off == INT_MIN)
		return rtrs_srv_conf.chunk_size;
	return c->off < 0 ? rtrs_srv_conf.chunk_size + c->off : c->off;
}

/* Whether the messages fit the chunk or not, what fits of them is there. */
static void srv_test_put(struct srv_fixture *f, const struct parse_case *c)
{
	__le16 head[] = {
		cpu_to_le16(c->type), cpu_to_le16(c->usr_len),
		cpu_to_le16(c->flags), cpu_to_le16(c->sg_cnt),
	};
	u32 off = parse_off(c), size = rtrs_srv_conf.chunk_size;
	u8 msg[RTRS_MAX_REQ_LEN];

	memcpy(msg, head, sizeof(head));
	rtrs_sg_desc_encode((void *)msg + sizeof(head), 0x123456789000, 0xabcd,
			    c->len);
	memset(f->op[0].chunk, 0x55, size);
	if (off < size)
		memcpy(f->op[0].chunk + off, msg, min(sizeof(msg), size - off));
	f->op[0].off = off;
}

static int srv_test_parse(struct srv_fixture *f, const struct parse_case *c,
			  bool own_mr)
{
	srv_test_put(f, c);
	f->op[0].mr = own_mr ? &f->mr : NULL;
	return rtrs_srv_op_parse(&f->op[0]);
}

static void parse_has_its_errno(struct kunit *test)
{
	const struct parse_case *c = test->param_value;
	struct srv_fixture *f = test->priv;

	KUNIT_EXPECT_EQ(test, srv_test_parse(f, c, false), c->err);
}

static void parse_finds_data_and_user_message(struct kunit *test)
{
	const struct parse_case *c = test->param_value;
	struct srv_fixture *f = test->priv;
	u32 data_len = c->data_len;

	if (c->err)
		kunit_skip(test, "refused");
	if ((s32)data_len < 0)
		data_len += rtrs_srv_conf.chunk_size;
	KUNIT_ASSERT_EQ(test, srv_test_parse(f, c, false), 0);
	KUNIT_EXPECT_EQ(test, f->op[0].data_len, data_len);
	KUNIT_EXPECT_EQ(test, f->op[0].usr_off, f->op[0].off - c->usr_len);
	KUNIT_EXPECT_EQ(test, f->op[0].dir == DMA_FROM_DEVICE, c->type == RD);
}

/* Where each chunk has a key of its own, no key reaches what is worked on. */
static size_t srv_test_buf_size(const struct rtrs_srv_op *op)
{
	return page_size(virt_to_page(op->buf));
}

static void parse_keeps_data_from_the_client(struct kunit *test)
{
	const struct parse_case *c = test->param_value;
	struct srv_fixture *f = test->priv;
	struct rtrs_srv_op *op = &f->op[0];

	if (c->err)
		kunit_skip(test, "refused");
	KUNIT_ASSERT_EQ(test, srv_test_parse(f, c, true), 0);
	if (c->type == WR)
		KUNIT_EXPECT_EQ(test, op->invalidate || op->copied,
				op->data_len != 0);
	else
		KUNIT_EXPECT_FALSE(test, op->copied);
	if (op->data_len)
		KUNIT_EXPECT_TRUE(test, op->invalidate == op->in_place);
	if (op->data_len && !op->in_place)
		KUNIT_EXPECT_GE(test, srv_test_buf_size(op), op->data_len);
}

static void parse_copies_small_writes(struct kunit *test)
{
	const struct parse_case *c = test->param_value;
	struct srv_fixture *f = test->priv;
	struct rtrs_srv_op *op = &f->op[0];

	if (c->err || c->type != WR)
		kunit_skip(test, "no write");
	KUNIT_ASSERT_EQ(test, srv_test_parse(f, c, true), 0);
	KUNIT_EXPECT_EQ(test, op->copied,
			op->data_len && op->data_len <= RTRS_SRV_MAX_COPY);
	KUNIT_EXPECT_EQ(test, op->in_place, !op->copied);
	if (!op->copied)
		return;
	rtrs_srv_op_copy(op);
	KUNIT_EXPECT_MEMEQ(test, op->buf, op->chunk, op->data_len);
}

/* Then everything is in the chunk, and nothing is invalidated. */
static void parse_leaves_it_there_without_a_key(struct kunit *test)
{
	const struct parse_case *c = test->param_value;
	struct srv_fixture *f = test->priv;

	if (c->err)
		kunit_skip(test, "refused");
	KUNIT_ASSERT_EQ(test, srv_test_parse(f, c, false), 0);
	KUNIT_EXPECT_TRUE(test, f->op[0].in_place);
	KUNIT_EXPECT_FALSE(test, f->op[0].invalidate);
}

static void parse_counts_what_it_takes(struct kunit *test)
{
	const struct parse_case *c = test->param_value;
	struct srv_fixture *f = test->priv;
	u64 reads = 0, writes = 0;
	int cpu;

	srv_test_parse(f, c, false);
	for_each_possible_cpu(cpu) {
		reads += per_cpu_ptr(f->path->stats, cpu)->reads;
		writes += per_cpu_ptr(f->path->stats, cpu)->writes;
	}
	KUNIT_EXPECT_EQ(test, reads, !c->err && c->type == RD ? 1ULL : 0ULL);
	KUNIT_EXPECT_EQ(test, writes, !c->err && c->type == WR ? 1ULL : 0ULL);
}

static void parse_copies_the_user_message(struct kunit *test)
{
	static const struct parse_case c = { "", 4096 + 300, WR, 300 };
	struct srv_fixture *f = test->priv;
	struct rtrs_srv_req req;
	u8 *usr = f->op[0].chunk + 4096;
	int i;

	srv_test_put(f, &c);
	for (i = 0; i < 300; i++)
		usr[i] = i;
	KUNIT_ASSERT_EQ(test, rtrs_srv_op_parse(&f->op[0]), 0);
	rtrs_srv_op_fill_req(&f->op[0], &req);
	/* no more of it than the user wants */
	KUNIT_EXPECT_EQ(test, req.msg_len, (size_t)SRV_TEST_USR);
	KUNIT_EXPECT_MEMEQ(test, req.msg, usr, SRV_TEST_USR);
	KUNIT_EXPECT_EQ(test, req.data_len, (size_t)4096);
	KUNIT_EXPECT_PTR_EQ(test, req.data, f->op[0].chunk);
	memset(usr, 0xff, 300);
	KUNIT_EXPECT_EQ(test, ((const u8 *)req.msg)[7], 7);
}

/* -------------------------------------------------------------- answers ---- */

struct srv_answer_case {
	const char		*name;
	bool			read;
	int			err;
	u32			data_len;	/* that the client asked for */
	u32			len;		/* that the user has */
	bool			need_inval;
	bool			invalidated;
	bool			roll;
	bool			new_rkey;
	unsigned int		wrs;
	enum ib_wr_opcode	wr[SRV_TEST_WRS];
	u32			bytes[SRV_TEST_WRS];
	u32			imm;
};

#define REG	IB_WR_REG_MR
#define R_WR	IB_WR_RDMA_WRITE
#define W_IMM	IB_WR_RDMA_WRITE_WITH_IMM
#define S_INV	IB_WR_SEND_WITH_INV
#define S_IMM	IB_WR_SEND_WITH_IMM

#define RSP	0x10000000
#define RSP_INV	0x20000000
#define RSP_ROLL 0x30000000
#define RSP_EIO	(EIO << RTRS_IMM_CHUNK_BITS)

static const struct srv_answer_case srv_answers[] = {
	{ "write", false, 0, 4096, 0, false, false, false, false,
	  1, { W_IMM }, { 0 }, RSP },
	{ "write, EIO", false, -EIO, 4096, 0, false, false, false, false,
	  1, { W_IMM }, { 0 }, RSP | RSP_EIO },
	{ "write, with data by mistake", false, 0, 4096, 4096, false, false, false,
	  false, 1, { W_IMM }, { 0 }, RSP },
	{ "write, roll", false, 0, 4096, 0, false, true, true, false,
	  2, { REG, W_IMM }, { 0, 0 }, RSP_ROLL },
	{ "write, roll, EIO", false, -EIO, 4096, 0, false, true, true, false,
	  2, { REG, W_IMM }, { 0, 0 }, RSP_ROLL | RSP_EIO },
	{ "no data, roll", false, 0, 0, 0, false, false, true, false,
	  1, { W_IMM }, { 0 }, RSP },
	{ "write, new key", false, 0, 4096, 0, false, true, false, true,
	  2, { REG, S_IMM }, { 0, 8 }, RSP },
	{ "write, new key, EIO", false, -EIO, 4096, 0, false, true, false, true,
	  2, { REG, S_IMM }, { 0, 8 }, RSP | RSP_EIO },
	{ "no data, new key", false, 0, 0, 0, false, false, false, true,
	  1, { S_IMM }, { 8 }, RSP },

	{ "read", true, 0, 4096, 4096, false, false, false, false,
	  1, { W_IMM }, { 4096 }, RSP },
	{ "read, less than asked for", true, 0, 4096, 512, false, false, false, false,
	  1, { W_IMM }, { 512 }, RSP },
	{ "read, more than asked for", true, 0, 512, 4096, false, false, false, false,
	  1, { W_IMM }, { 512 }, RSP },
	{ "read, EIO", true, -EIO, 4096, 4096, false, false, false, false,
	  1, { W_IMM }, { 0 }, RSP | RSP_EIO },
	{ "read, no data", true, 0, 0, 0, false, false, false, false,
	  1, { W_IMM }, { 0 }, RSP },
	{ "read, inv", true, 0, 4096, 4096, true, false, false, false,
	  3, { R_WR, S_INV, W_IMM }, { 4096, 0, 0 }, RSP_INV },
	{ "read, inv, EIO", true, -EIO, 4096, 4096, true, false, false, false,
	  2, { S_INV, W_IMM }, { 0, 0 }, RSP_INV | RSP_EIO },
	{ "read, roll", true, 0, 4096, 4096, false, false, true, false,
	  1, { W_IMM }, { 4096 }, RSP },
	{ "read, roll, in place", true, 0, 4096, 4096, false, true, true, false,
	  2, { REG, W_IMM }, { 0, 4096 }, RSP_ROLL },
	{ "read, roll, inv", true, 0, 4096, 4096, true, false, true, false,
	  3, { R_WR, S_INV, W_IMM }, { 4096, 0, 0 }, RSP_INV },
	{ "read, roll, inv, in place", true, 0, 4096, 4096, true, true, true, false,
	  2, { REG, W_IMM }, { 0, 4096 }, RSP_ROLL },
	{ "read, new key", true, 0, 4096, 4096, false, false, false, true,
	  2, { R_WR, S_IMM }, { 4096, 8 }, RSP },
	{ "read, new key, in place", true, 0, 4096, 4096, false, true, false, true,
	  3, { REG, R_WR, S_IMM }, { 0, 4096, 8 }, RSP },
	{ "read, new key, inv", true, 0, 4096, 4096, true, false, false, true,
	  3, { R_WR, S_INV, S_IMM }, { 4096, 0, 8 }, RSP_INV },
	{ "read, new key, inv, in place", true, 0, 4096, 4096, true, true, false, true,
	  4, { REG, R_WR, S_INV, S_IMM }, { 0, 4096, 0, 8 }, RSP_INV },
	{ "read, new key, inv, EIO", true, -EIO, 4096, 4096, true, false, false, true,
	  2, { S_INV, S_IMM }, { 0, 8 }, RSP_INV | RSP_EIO },
	{ "read, new key, EIO", true, -EIO, 4096, 4096, false, true, false, true,
	  2, { REG, S_IMM }, { 0, 8 }, RSP | RSP_EIO },
};

KUNIT_ARRAY_PARAM_DESC(srv_answer, srv_answers, name);

static void srv_test_respond(struct srv_fixture *f, const struct srv_answer_case *c)
{
	struct rtrs_srv_op *op = &f->op[0];

	f->path->roll = c->roll;
	f->path->new_rkey = c->new_rkey;
	op->state = RTRS_SRV_OP_BUSY;
	op->dir = c->read ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
	op->mr = c->roll || c->new_rkey ? &f->mr : NULL;
	op->invalidated = c->invalidated;
	op->in_place = c->invalidated || !op->mr;
	op->off = 4128;
	op->usr_off = 4096;
	op->data_len = c->data_len;
	op->rd.need_inval = c->need_inval;
	op->rd.key = 0xabcd;
	rtrs_srv_respond(op, c->err, c->len);
}

static void answer_is_made_of_its_work_requests(struct kunit *test)
{
	const struct srv_answer_case *c = test->param_value;
	struct srv_fixture *f = test->priv;
	unsigned int i;

	srv_test_respond(f, c);
	KUNIT_ASSERT_EQ(test, f->wrs, c->wrs);
	for (i = 0; i < c->wrs; i++) {
		KUNIT_EXPECT_EQ_MSG(test, f->wr[i], c->wr[i], "number %u", i);
		KUNIT_EXPECT_EQ_MSG(test, f->len[i], c->bytes[i], "number %u", i);
	}
}

static void answer_says_what_has_become_of_the_keys(struct kunit *test)
{
	const struct srv_answer_case *c = test->param_value;
	struct srv_fixture *f = test->priv;

	srv_test_respond(f, c);
	KUNIT_EXPECT_EQ(test, f->imm, c->imm);
}

static void answer_is_signaled_at_its_end(struct kunit *test)
{
	const struct srv_answer_case *c = test->param_value;
	struct srv_fixture *f = test->priv;
	unsigned int i;

	srv_test_respond(f, c);
	for (i = 0; i < f->wrs; i++)
		KUNIT_EXPECT_EQ_MSG(test, f->signaled[i], i == f->wrs - 1,
				    "number %u", i);
	KUNIT_EXPECT_EQ(test, f->op[0].state, RTRS_SRV_OP_ANSWERED);
}

/* The key is the next one if the region was registered again, and else the old. */
static void answer_brings_the_key_there_is(struct kunit *test)
{
	const struct srv_answer_case *c = test->param_value;
	struct srv_fixture *f = test->priv;

	srv_test_respond(f, c);
	KUNIT_EXPECT_EQ(test, f->mr.rkey, c->invalidated ? 0x101U : 0x100U);
	if (c->new_rkey)
		KUNIT_EXPECT_EQ(test, le32_to_cpu(f->rsps[0].rkey), f->mr.rkey);
}

/*
 * Then nobody waits for it, and the operation is free at once: but not before the
 * registration of its chunk has happened.
 */
static void quiet_answer_is_not_signaled(struct kunit *test)
{
	const struct srv_answer_case *c = test->param_value;
	struct srv_fixture *f = test->priv;
	unsigned int i;

	f->con[1].max_quiet = c->wrs;
	if (c->invalidated) {
		answer_is_signaled_at_its_end(test);
		return;
	}
	srv_test_respond(f, c);
	for (i = 0; i < f->wrs; i++)
		KUNIT_EXPECT_FALSE_MSG(test, f->signaled[i], "number %u", i);
	KUNIT_EXPECT_EQ(test, f->op[0].state, RTRS_SRV_OP_IDLE);
	KUNIT_EXPECT_EQ(test, f->con[1].sq_head, c->wrs);
}

static void answer_is_signaled_where_the_queue_is_full(struct kunit *test)
{
	const struct srv_answer_case *c = test->param_value;
	struct srv_fixture *f = test->priv;

	f->con[1].max_quiet = c->wrs - 1;
	srv_test_respond(f, c);
	KUNIT_EXPECT_TRUE(test, f->signaled[c->wrs - 1]);
	KUNIT_EXPECT_EQ(test, f->op[0].state, RTRS_SRV_OP_ANSWERED);
}

static void srv_test_completed(struct srv_fixture *f)
{
	struct ib_cq cq = { .cq_context = &f->con[1].c };
	struct ib_wc wc = { .wr_cqe = &f->op[0].cqe };

	rtrs_srv_op_done(&cq, &wc);
}

static void one_of_many_quiet_answers_is_signaled(struct kunit *test)
{
	struct srv_fixture *f = test->priv;
	unsigned int i;

	f->con[1].max_quiet = 1000;
	for (i = 0; i < 3 * RTRS_SRV_QUIET_ANSWERS; i++) {
		bool signaled = i % RTRS_SRV_QUIET_ANSWERS ==
				RTRS_SRV_QUIET_ANSWERS - 1;

		f->wrs = 0;
		srv_test_respond(f, &srv_answers[0]);
		KUNIT_EXPECT_EQ_MSG(test, f->signaled[0], signaled, "%u", i);
		if (signaled)
			srv_test_completed(f);
		KUNIT_EXPECT_EQ_MSG(test, f->op[0].state, RTRS_SRV_OP_IDLE, "%u", i);
	}
	KUNIT_EXPECT_EQ(test, f->con[1].sq_head, f->con[1].sq_tail);
}

/* The client had the answer before we were done with it, and was quick. */
static void quiet_answer_is_followed_by_what_came_early(struct kunit *test)
{
	struct srv_fixture *f = test->priv;
	struct rtrs_srv_op *op = &f->op[0];

	f->con[1].max_quiet = 4;
	f->sess.io_wq = system_wq;
	op->pending_con = &f->con[1];
	op->pending_off = 544;
	srv_test_respond(f, &srv_answers[0]);
	KUNIT_EXPECT_EQ(test, op->state, RTRS_SRV_OP_BUSY);
	KUNIT_EXPECT_NULL(test, op->pending_con);
	KUNIT_EXPECT_EQ(test, op->off, 544U);
	flush_work(&op->early_work);
	KUNIT_EXPECT_TRUE(test, op->refused);
}

/* The device may still send an answer from it, on whatever connection. */
static void buffer_stays_when_there_is_a_larger_one(struct kunit *test)
{
	struct srv_fixture *f = test->priv;
	struct rtrs_srv_op *op = &f->op[0];
	void *buf;

	KUNIT_ASSERT_EQ(test, rtrs_srv_op_buf(op, PAGE_SIZE), 0);
	buf = op->buf;
	KUNIT_EXPECT_EQ(test, rtrs_srv_op_buf(op, 2 * PAGE_SIZE), 0);
	KUNIT_EXPECT_PTR_NE(test, op->buf, buf);
	KUNIT_EXPECT_EQ(test, rtrs_srv_op_buf(op, 512), 0);
	KUNIT_EXPECT_PTR_EQ(test, op->buf, buf);
}

struct buf_case {
	const char	*name;
	size_t		len;
	unsigned int	missed;	/* before there is one */
};

static const struct buf_case bufs[] = {
	{ "512 bytes",	SZ_512,		0 },
	{ "4 KiB",	SZ_4K,		0 },
	{ "8 KiB",	SZ_8K,		0 },
	{ "16 KiB",	SZ_16K,		0 },
	{ "20 KiB",	SZ_16K + SZ_4K,	3 },
	{ "64 KiB",	SZ_64K,		3 },
	{ "128 KiB",	SZ_128K,	7 },
};

KUNIT_ARRAY_PARAM_DESC(buf, bufs, name);

/* What is needed once or twice is done without, if it is large. */
static void large_buffer_is_for_who_needs_it_often(struct kunit *test)
{
	const struct buf_case *c = test->param_value;
	struct srv_fixture *f = test->priv;
	struct rtrs_srv_op *op = &f->op[0];
	unsigned int i;

	if (PAGE_SHIFT != 12 || rtrs_srv_conf.chunk_size < SZ_128K)
		kunit_skip(test, "for other sizes");
	for (i = 0; i < c->missed; i++)
		KUNIT_EXPECT_EQ_MSG(test, rtrs_srv_op_buf(op, c->len), -ENOMEM, "%u", i);
	KUNIT_ASSERT_EQ(test, rtrs_srv_op_buf(op, c->len), 0);
	KUNIT_EXPECT_GE(test, srv_test_buf_size(op), c->len);
	KUNIT_EXPECT_LE(test, srv_test_buf_size(op), rtrs_srv_conf.chunk_size);
}

static void answer_on_a_path_that_is_down_is_none(struct kunit *test)
{
	const struct srv_answer_case *c = test->param_value;
	struct srv_fixture *f = test->priv;

	f->path->state = RTRS_SRV_PATH_CLOSING;
	srv_test_respond(f, c);
	KUNIT_EXPECT_EQ(test, f->wrs, 0U);
	KUNIT_EXPECT_EQ(test, f->op[0].state, RTRS_SRV_OP_IDLE);
}

/* By its second request, one that comes after the other is known for that. */
static void lone_requests_are_carried_out_by_the_device(struct kunit *test)
{
	static const struct {
		int	inflight;
		bool	lone;
	} steps[] = {
		{ 1, false }, { 1, true }, { 1, true }, { 2, false }, { 1, false },
		{ 1, true }, { 30, false },
	};
	struct srv_fixture *f = test->priv;
	struct rtrs_srv_op *op = &f->op[0];
	unsigned int i;

	f->sess.io_wq = system_wq;
	f->sess.lone_wq = system_unbound_wq;
	for (i = 0; i < 2 * ARRAY_SIZE(steps); i++) {
		unsigned int n = i % ARRAY_SIZE(steps);
		bool lone = i >= ARRAY_SIZE(steps) && steps[n].lone;

		/* other devices have interrupts, on the right CPU */
		f->con[1].c.no_irq = i >= ARRAY_SIZE(steps);
		atomic_set(&f->con[1].c.inflight, steps[n].inflight);
		KUNIT_EXPECT_PTR_EQ_MSG(test, rtrs_srv_op_wq(op),
					lone ? f->sess.lone_wq : f->sess.io_wq,
					"step %u", i);
	}
}

/* Its connection is gone. */
static void orphan_is_not_looked_at_for_that(struct kunit *test)
{
	struct srv_fixture *f = test->priv;
	struct rtrs_srv_op *op = &f->op[0];

	f->sess.io_wq = system_wq;
	f->path->state = RTRS_SRV_PATH_CLOSED;
	op->con = NULL;
	KUNIT_EXPECT_PTR_EQ(test, rtrs_srv_op_wq(op), f->sess.io_wq);
}

/* What is counted to tell comes to nothing in the end. */
static void requests_under_way_are_counted_without_interrupts(struct kunit *test)
{
	const struct srv_answer_case *c = test->param_value;
	struct srv_fixture *f = test->priv;

	f->con[1].c.no_irq = true;
	rtrs_srv_op_enter(&f->op[0], &f->slot[0], &f->con[1], 4128);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->con[1].c.inflight), 1);
	srv_test_respond(f, c);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->con[1].c.inflight), 0);
}

/* ------------------------------------------------- answers given together ---- */

/* A digit is an answer on the connection of that number, an 'r' one that registers. */
struct srv_together_case {
	const char	*name;
	const char	*answers;
	unsigned int	doorbells;
	unsigned int	posted;
};

static const struct srv_together_case srv_together[] = {
	{ "none",			"",		0, 0 },
	{ "one",			"1",		1, 1 },
	{ "four",			"1111",		1, 4 },
	{ "on two connections",		"1100",		2, 4 },
	{ "on two in turn",		"1010",		4, 4 },
	{ "one that registers",		"r",		1, 2 },
	{ "one that registers, first",	"r111",		2, 5 },
	{ "one that registers, last",	"111r",		2, 5 },
	{ "one that registers, between others", "11r11", 2, 6 },
	{ "only such",			"rrr",		3, 6 },
	{ "as many as go together",	"1111111111111111", 1, 16 },
	{ "one more",			"11111111111111111", 2, 17 },
	{ "twice as many, and one",	"111111111111111111111111111111111", 3, 33 },
};

KUNIT_ARRAY_PARAM_DESC(srv_together, srv_together, name);

static struct rtrs_srv_op *srv_test_together(struct kunit *test)
{
	const struct srv_together_case *c = test->param_value;
	struct srv_fixture *f = test->priv;
	struct rtrs_srv_answers answers = {};
	struct rtrs_srv_op *ops;
	unsigned int i;

	ops = kunit_kcalloc(test, SRV_TEST_ANSWERS, sizeof(*ops), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ops);
	for (i = 0; c->answers[i]; i++) {
		bool reg = c->answers[i] == 'r';

		ops[i] = (struct rtrs_srv_op) {
			.state		= RTRS_SRV_OP_BUSY,
			.path		= f->path,
			.con		= &f->con[reg ? 1 : c->answers[i] - '0'],
			.dir		= DMA_TO_DEVICE,
			.off		= 544,
			.mr		= &f->mr,
			.invalidated	= reg,
			.in_place	= reg,
		};
		rtrs_srv_answers_add(&answers, &ops[i], 0, 0);
	}
	rtrs_srv_answers_give(&answers);
	return ops;
}

static void answers_have_one_doorbell(struct kunit *test)
{
	const struct srv_together_case *c = test->param_value;
	struct srv_fixture *f = test->priv;

	f->con[0].max_quiet = 1000;
	f->con[1].max_quiet = 1000;
	srv_test_together(test);
	KUNIT_EXPECT_EQ(test, f->doorbells, c->doorbells);
	KUNIT_EXPECT_EQ(test, f->posted, c->posted);
}

/* Then nothing is behind it that would have to be found by what is its own no more. */
static void signaled_answer_is_the_last_of_its_doorbell(struct kunit *test)
{
	const struct srv_together_case *c = test->param_value;
	struct srv_fixture *f = test->priv;

	f->quick = true;
	f->con[1].max_quiet = 3;
	srv_test_together(test);
	KUNIT_EXPECT_GE(test, f->doorbells, c->doorbells);
	KUNIT_EXPECT_EQ(test, f->posted, c->posted);
}

/* Each that is not waited for is over, and none of the others. */
static void answers_are_over_by_themselves(struct kunit *test)
{
	const struct srv_together_case *c = test->param_value;
	struct srv_fixture *f = test->priv;
	struct rtrs_srv_op *ops;
	unsigned int i, quiet = 0;

	f->con[0].max_quiet = 1000;
	f->con[1].max_quiet = 3;
	ops = srv_test_together(test);
	for (i = 0; c->answers[i]; i++) {
		bool over = c->answers[i] == '0' ||
			    (c->answers[i] == '1' && f->con[1].sq_tail == 0 &&
			     ops[i].state == RTRS_SRV_OP_IDLE);

		quiet += over && c->answers[i] == '1';
		KUNIT_EXPECT_EQ_MSG(test, ops[i].state,
				    over ? RTRS_SRV_OP_IDLE : RTRS_SRV_OP_ANSWERED,
				    "%u", i);
	}
	KUNIT_EXPECT_LE(test, quiet, 3U);
}

/* What was posted is not known then, and all of it stays until the path has ended. */
static void answers_that_are_not_posted_are_not_over(struct kunit *test)
{
	const struct srv_together_case *c = test->param_value;
	struct srv_fixture *f = test->priv;
	struct rtrs_srv_op *ops;
	unsigned int i;

	f->con[0].max_quiet = 1000;
	f->con[1].max_quiet = 1000;
	f->post_err = -ENOMEM;
	ops = srv_test_together(test);
	for (i = 0; c->answers[i]; i++)
		KUNIT_EXPECT_NE_MSG(test, ops[i].state, RTRS_SRV_OP_BUSY, "%u", i);
	if (c->doorbells)
		KUNIT_EXPECT_EQ(test, f->path->state, RTRS_SRV_PATH_CLOSING);
}

/* ------------------------------------------------------------- requests ---- */

struct srv_request_case {
	const char		*name;
	u32			chunk;
	enum rtrs_srv_op_state	state;
	bool			pending;	/* another one is remembered */
	int			err;
};

static const struct srv_request_case srv_requests[] = {
	{ "an idle chunk",		0, RTRS_SRV_OP_IDLE,	 false, 0 },
	{ "a busy chunk",		0, RTRS_SRV_OP_BUSY,	 false, -EBUSY },
	{ "one that waits",		0, RTRS_SRV_OP_WAITING,	 false, -EBUSY },
	{ "one that was answered",	0, RTRS_SRV_OP_ANSWERED, false, 0 },
	{ "answered, and another there", 0, RTRS_SRV_OP_ANSWERED, true, -EBUSY },
	{ "the last chunk, busy",	3, RTRS_SRV_OP_BUSY,	 false, -EBUSY },
};

KUNIT_ARRAY_PARAM_DESC(srv_request, srv_requests, name);

static void request_needs_a_chunk_that_is_free(struct kunit *test)
{
	const struct srv_request_case *c = test->param_value;
	struct srv_fixture *f = test->priv;
	__be32 imm = rtrs_imm_io_req(c->chunk, 32, f->path->chunk_bits);

	f->op[c->chunk].state = c->state;
	f->op[c->chunk].pending_con = c->pending ? &f->con[1] : NULL;
	KUNIT_EXPECT_EQ(test, rtrs_srv_io_request(&f->con[1],
						  rtrs_imm_payload(imm)), c->err);
}

/* Depth 3 and 4 have chunk numbers of 2 bits. */
static void request_needs_a_chunk_that_exists(struct kunit *test)
{
	struct srv_fixture *f = test->priv;
	__be32 imm = rtrs_imm_io_req(3, 32, f->path->chunk_bits);

	f->path->queue_depth = 3;
	KUNIT_EXPECT_EQ(test, rtrs_srv_io_request(&f->con[1], rtrs_imm_payload(imm)),
			-EPROTO);
}

static void request_before_its_completion_is_remembered(struct kunit *test)
{
	struct srv_fixture *f = test->priv;
	__be32 imm = rtrs_imm_io_req(0, 544, f->path->chunk_bits);

	f->op[0].state = RTRS_SRV_OP_ANSWERED;
	KUNIT_ASSERT_EQ(test, rtrs_srv_io_request(&f->con[1], rtrs_imm_payload(imm)),
			0);
	KUNIT_EXPECT_PTR_EQ(test, f->op[0].pending_con, &f->con[1]);
	KUNIT_EXPECT_EQ(test, f->op[0].pending_off, 544U);
	KUNIT_EXPECT_EQ(test, f->requests, 0U);
}

/* A request that is bad, or that the user does not want, is answered at once. */
static void request_is_shown_to_the_user_if_it_is_good(struct kunit *test)
{
	const struct parse_case *c = test->param_value;
	struct srv_fixture *f = test->priv;
	int want = c->err ?: -EOPNOTSUPP;
	__be32 imm;

	if (parse_off(c) > RTRS_IMM_PAYLOAD_MASK >> f->path->chunk_bits)
		kunit_skip(test, "does not fit the immediate");
	srv_test_put(f, c);
	imm = rtrs_imm_io_req(0, parse_off(c), f->path->chunk_bits);
	KUNIT_ASSERT_EQ(test, rtrs_srv_io_request(&f->con[1], rtrs_imm_payload(imm)),
			0);
	KUNIT_EXPECT_EQ(test, f->requests, c->err ? 0U : 1U);
	KUNIT_ASSERT_GE(test, f->wrs, 1U);
	KUNIT_EXPECT_EQ(test, rtrs_io_rsp_err(f->imm & RTRS_IMM_PAYLOAD_MASK), want);
}

/* ----------------------------------------------------------- in its slot --- */

static void slot_lets_the_first_go_on(struct kunit *test)
{
	struct srv_fixture *f = test->priv;

	rtrs_srv_op_enter(&f->op[0], &f->slot[0], &f->con[0], 32);
	KUNIT_EXPECT_EQ(test, f->op[0].state, RTRS_SRV_OP_BUSY);
	KUNIT_EXPECT_PTR_EQ(test, f->slot[0].first, &f->op[0]);
}

/* Operations of one chunk number, each of another path. */
static void slot_has_the_others_wait_in_their_order(struct kunit *test)
{
	struct srv_fixture *f = test->priv;
	int i;

	for (i = 0; i < 3; i++)
		rtrs_srv_op_enter(&f->op[i], &f->slot[0], &f->con[0], 32);
	KUNIT_EXPECT_EQ(test, f->op[1].state, RTRS_SRV_OP_WAITING);
	KUNIT_EXPECT_EQ(test, f->op[2].state, RTRS_SRV_OP_WAITING);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ_MSG(test, f->op[i].state, RTRS_SRV_OP_BUSY, "%d", i);
		rtrs_srv_op_leave(&f->op[i], &f->slot[0], RTRS_SRV_OP_ANSWERED);
	}
	KUNIT_EXPECT_NULL(test, f->slot[0].first);
}

static void slot_has_no_io_wait(struct kunit *test)
{
	struct srv_fixture *f = test->priv;

	rtrs_srv_op_enter(&f->op[0], &f->slot[0], &f->con[0], 32);
	rtrs_srv_op_enter(&f->op[1], &f->slot[0], &f->con[1], 32);
	KUNIT_EXPECT_EQ(test, f->op[1].state, RTRS_SRV_OP_BUSY);
	rtrs_srv_op_leave(&f->op[1], &f->slot[0], RTRS_SRV_OP_ANSWERED);
	KUNIT_EXPECT_PTR_EQ(test, f->slot[0].first, &f->op[0]);
}

/* Who is still being looked at sees by itself that it need not wait any more. */
static void slot_wakes_none_that_is_not_known(struct kunit *test)
{
	struct srv_fixture *f = test->priv;

	rtrs_srv_op_enter(&f->op[0], &f->slot[0], &f->con[0], 32);
	rtrs_srv_op_enter(&f->op[1], &f->slot[0], &f->con[0], 32);
	rtrs_srv_op_leave(&f->op[0], &f->slot[0], RTRS_SRV_OP_ANSWERED);
	KUNIT_EXPECT_FALSE(test, f->op[1].woken);
	KUNIT_EXPECT_FALSE(test, work_pending(&f->op[1].work));
}

static struct kunit_case rtrs_srv_io_cases[] = {
	KUNIT_CASE_PARAM(parse_has_its_errno, parse_gen_params),
	KUNIT_CASE_PARAM(parse_finds_data_and_user_message, parse_gen_params),
	KUNIT_CASE_PARAM(parse_keeps_data_from_the_client, parse_gen_params),
	KUNIT_CASE_PARAM(parse_copies_small_writes, parse_gen_params),
	KUNIT_CASE_PARAM(parse_leaves_it_there_without_a_key, parse_gen_params),
	KUNIT_CASE_PARAM(parse_counts_what_it_takes, parse_gen_params),
	KUNIT_CASE(parse_copies_the_user_message),
	KUNIT_CASE_PARAM(answer_is_made_of_its_work_requests, srv_answer_gen_params),
	KUNIT_CASE_PARAM(answer_says_what_has_become_of_the_keys,
			 srv_answer_gen_params),
	KUNIT_CASE_PARAM(answer_is_signaled_at_its_end, srv_answer_gen_params),
	KUNIT_CASE_PARAM(quiet_answer_is_not_signaled, srv_answer_gen_params),
	KUNIT_CASE_PARAM(answer_is_signaled_where_the_queue_is_full,
			 srv_answer_gen_params),
	KUNIT_CASE(one_of_many_quiet_answers_is_signaled),
	KUNIT_CASE(quiet_answer_is_followed_by_what_came_early),
	KUNIT_CASE(buffer_stays_when_there_is_a_larger_one),
	KUNIT_CASE_PARAM(large_buffer_is_for_who_needs_it_often, buf_gen_params),
	KUNIT_CASE_PARAM(answer_brings_the_key_there_is, srv_answer_gen_params),
	KUNIT_CASE_PARAM(answer_on_a_path_that_is_down_is_none,
			 srv_answer_gen_params),
	KUNIT_CASE(lone_requests_are_carried_out_by_the_device),
	KUNIT_CASE(orphan_is_not_looked_at_for_that),
	KUNIT_CASE_PARAM(requests_under_way_are_counted_without_interrupts,
			 srv_answer_gen_params),
	KUNIT_CASE_PARAM(answers_have_one_doorbell, srv_together_gen_params),
	KUNIT_CASE_PARAM(signaled_answer_is_the_last_of_its_doorbell,
			 srv_together_gen_params),
	KUNIT_CASE_PARAM(answers_are_over_by_themselves, srv_together_gen_params),
	KUNIT_CASE_PARAM(answers_that_are_not_posted_are_not_over,
			 srv_together_gen_params),
	KUNIT_CASE_PARAM(request_needs_a_chunk_that_is_free, srv_request_gen_params),
	KUNIT_CASE(request_needs_a_chunk_that_exists),
	KUNIT_CASE(request_before_its_completion_is_remembered),
	KUNIT_CASE_PARAM(request_is_shown_to_the_user_if_it_is_good,
			 parse_gen_params),
	KUNIT_CASE(slot_lets_the_first_go_on),
	KUNIT_CASE(slot_has_the_others_wait_in_their_order),
	KUNIT_CASE(slot_has_no_io_wait),
	KUNIT_CASE(slot_wakes_none_that_is_not_known),
	{}
};

static struct kunit_suite rtrs_srv_io_suite = {
	.name		= "rtrs-srv-io",
	.init		= srv_test_init,
	.exit		= srv_test_exit,
	.test_cases	= rtrs_srv_io_cases,
};

kunit_test_suite(rtrs_srv_io_suite);
