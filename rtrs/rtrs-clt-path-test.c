// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-clt-path.c, which includes this file: to which states a path
 * may move, what an error does in each of them, and which chunks an INFO_RSP
 * describes.
 */
#include <kunit/test.h>

#define PATH_TEST_DEPTH	8

struct path_fixture {
	struct rtrs_clt_sess	sess;
	struct rtrs_clt_path	path;
	struct ib_device	dev;
	struct rtrs_iu		info_rx;
	unsigned int		torn;
};

static void path_test_teardown(struct work_struct *work)
{
	container_of(work, struct path_fixture, path.teardown)->torn++;
}

static int path_test_init(struct kunit *test)
{
	struct path_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	spin_lock_init(&f->sess.up_lock);
	init_waitqueue_head(&f->sess.answer_wait);
	spin_lock_init(&f->path.state_lock);
	init_completion(&f->path.step);
	INIT_WORK(&f->path.teardown, path_test_teardown);
	f->path.sess = &f->sess;
	f->path.dev = &f->dev;
	f->path.info_rx = &f->info_rx;
	f->path.wanted = true;
	f->path.nr_ios = PATH_TEST_DEPTH;
	f->sess.nr_up = 1;
	test->priv = f;
	return 0;
}

static void path_test_exit(struct kunit *test)
{
	struct path_fixture *f = test->priv;

	if (f)
		flush_work(&f->path.teardown);
}

/* ---------------------------------------------------------------- states --- */

static const char * const path_states[RTRS_CLT_NR_STATES] = {
	[RTRS_CLT_DISCONNECTED]	= "disconnected",
	[RTRS_CLT_CONNECTING]	= "connecting",
	[RTRS_CLT_CONNECTED]	= "connected",
	[RTRS_CLT_DRAINING]	= "draining",
};

struct path_move_case {
	enum rtrs_clt_path_state	from;
	enum rtrs_clt_path_state	to;
	bool				legal;
};

static const struct path_move_case path_moves[] = {
	{ RTRS_CLT_DISCONNECTED, RTRS_CLT_DISCONNECTED,	false },
	{ RTRS_CLT_DISCONNECTED, RTRS_CLT_CONNECTING,	true },
	{ RTRS_CLT_DISCONNECTED, RTRS_CLT_CONNECTED,	false },
	{ RTRS_CLT_DISCONNECTED, RTRS_CLT_DRAINING,	false },
	{ RTRS_CLT_CONNECTING,	 RTRS_CLT_DISCONNECTED,	false },
	{ RTRS_CLT_CONNECTING,	 RTRS_CLT_CONNECTING,	false },
	{ RTRS_CLT_CONNECTING,	 RTRS_CLT_CONNECTED,	true },
	{ RTRS_CLT_CONNECTING,	 RTRS_CLT_DRAINING,	true },
	{ RTRS_CLT_CONNECTED,	 RTRS_CLT_DISCONNECTED,	false },
	{ RTRS_CLT_CONNECTED,	 RTRS_CLT_CONNECTING,	false },
	{ RTRS_CLT_CONNECTED,	 RTRS_CLT_CONNECTED,	false },
	{ RTRS_CLT_CONNECTED,	 RTRS_CLT_DRAINING,	true },
	{ RTRS_CLT_DRAINING,	 RTRS_CLT_DISCONNECTED,	true },
	{ RTRS_CLT_DRAINING,	 RTRS_CLT_CONNECTING,	false },
	{ RTRS_CLT_DRAINING,	 RTRS_CLT_CONNECTED,	false },
	{ RTRS_CLT_DRAINING,	 RTRS_CLT_DRAINING,	false },
};

static void path_move_desc(const struct path_move_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s to %s", path_states[c->from],
		 path_states[c->to]);
}

KUNIT_ARRAY_PARAM(path_move, path_moves, path_move_desc);

static void path_moves_are_those_of_the_table(struct kunit *test)
{
	const struct path_move_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rtrs_clt_move_legal(c->from, c->to), c->legal);
}

/* What an error does to a path, by its state. */
struct path_error_case {
	enum rtrs_clt_path_state	state;
	enum rtrs_clt_path_state	then;
	bool				was_up;
};

static const struct path_error_case path_errors[] = {
	{ RTRS_CLT_DISCONNECTED, RTRS_CLT_DISCONNECTED,	false },
	{ RTRS_CLT_CONNECTING,	 RTRS_CLT_CONNECTING,	false },
	{ RTRS_CLT_CONNECTED,	 RTRS_CLT_DRAINING,	true },
	{ RTRS_CLT_DRAINING,	 RTRS_CLT_DRAINING,	false },
};

static void path_error_desc(const struct path_error_case *c, char *desc)
{
	strscpy(desc, path_states[c->state], KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(path_error, path_errors, path_error_desc);

static void path_error_takes_down_what_is_up(struct kunit *test)
{
	const struct path_error_case *c = test->param_value;
	struct path_fixture *f = test->priv;

	f->path.state = c->state;
	KUNIT_EXPECT_EQ(test, rtrs_clt_path_error(&f->path), c->was_up);
	KUNIT_EXPECT_EQ(test, f->path.state, c->then);
	KUNIT_EXPECT_EQ(test, f->path.tearing, c->was_up);
	flush_work(&f->path.teardown);
	KUNIT_EXPECT_EQ(test, f->torn, (unsigned int)c->was_up);
}

static void path_error_is_one_of_the_attempt(struct kunit *test)
{
	const struct path_error_case *c = test->param_value;
	struct path_fixture *f = test->priv;

	f->path.state = c->state;
	rtrs_clt_path_error(&f->path);
	KUNIT_EXPECT_EQ(test, f->path.connect_err, -ECONNRESET);
	KUNIT_EXPECT_TRUE(test, completion_done(&f->path.step));
}

static void path_error_of_the_last_path_loses_the_session(struct kunit *test)
{
	struct path_fixture *f = test->priv;

	f->path.state = RTRS_CLT_CONNECTED;
	rtrs_clt_path_error(&f->path);
	KUNIT_EXPECT_EQ(test, f->sess.nr_up, 0U);
	KUNIT_EXPECT_EQ(test, f->sess.nr_draining, 1U);
	KUNIT_EXPECT_TRUE(test, f->sess.lost);
}

static void path_error_of_one_of_two_does_not(struct kunit *test)
{
	struct path_fixture *f = test->priv;

	f->sess.nr_up = 2;
	f->path.state = RTRS_CLT_CONNECTED;
	rtrs_clt_path_error(&f->path);
	KUNIT_EXPECT_EQ(test, f->sess.nr_up, 1U);
	KUNIT_EXPECT_FALSE(test, f->sess.lost);
}

static void step_keeps_the_first_error(struct kunit *test)
{
	struct path_fixture *f = test->priv;

	rtrs_clt_step_done(&f->path, -ENXIO);
	rtrs_clt_step_done(&f->path, -EBUSY);
	rtrs_clt_path_error(&f->path);
	KUNIT_EXPECT_EQ(test, rtrs_clt_wait_step(&f->path, 1), -ENXIO);
}

static void step_that_is_not_done_times_out(struct kunit *test)
{
	struct path_fixture *f = test->priv;

	KUNIT_EXPECT_EQ(test, rtrs_clt_wait_step(&f->path, 1), -ETIMEDOUT);
}

struct path_begin_case {
	const char			*name;
	enum rtrs_clt_path_state	state;
	bool				wanted;
	bool				tearing;
	bool				begins;
};

static const struct path_begin_case path_begins[] = {
	{ "down and wanted",	RTRS_CLT_DISCONNECTED,	true,	false,	true },
	{ "not wanted",		RTRS_CLT_DISCONNECTED,	false,	false,	false },
	{ "being torn down",	RTRS_CLT_DISCONNECTED,	true,	true,	false },
	{ "connecting",		RTRS_CLT_CONNECTING,	true,	false,	false },
	{ "connected",		RTRS_CLT_CONNECTED,	true,	false,	false },
	{ "draining",		RTRS_CLT_DRAINING,	true,	false,	false },
};

KUNIT_ARRAY_PARAM_DESC(path_begin, path_begins, name);

static void path_begins_if_it_may(struct kunit *test)
{
	const struct path_begin_case *c = test->param_value;
	struct path_fixture *f = test->priv;

	f->path.state = c->state;
	f->path.wanted = c->wanted;
	f->path.tearing = c->tearing;
	KUNIT_EXPECT_EQ(test, rtrs_clt_path_begin(&f->path), c->begins);
	KUNIT_EXPECT_EQ(test, f->path.recon_cnt, c->begins ? 1 : 0);
}

static void path_begins_without_what_came_before(struct kunit *test)
{
	struct path_fixture *f = test->priv;

	f->path.recon_cnt = U16_MAX;
	rtrs_clt_path_error(&f->path);
	KUNIT_ASSERT_TRUE(test, rtrs_clt_path_begin(&f->path));
	KUNIT_EXPECT_EQ(test, f->path.connect_err, 0);
	KUNIT_EXPECT_EQ(test, f->path.recon_cnt, 0);
	KUNIT_EXPECT_FALSE(test, completion_done(&f->path.step));
}

/* -------------------------------------------------------------- INFO_RSP --- */

#define PATH_TEST_CHUNK	SZ_8K

struct info_take_case {
	const char	*name;
	u32		sg_cnt;
	u32		chunks[PATH_TEST_DEPTH];	/* of each region */
	int		err;
};

static const struct info_take_case info_takes[] = {
	{ "one region of all",	1, { 8 } },
	{ "two regions",	2, { 4, 4 } },
	{ "a large and a small", 2, { 7, 1 } },
	{ "one each",		8, { 1, 1, 1, 1, 1, 1, 1, 1 } },
	{ "too few chunks",	2, { 4, 3 }, -EPROTO },
	{ "too many chunks",	2, { 4, 5 }, -EPROTO },
	{ "none",		0, { }, -EPROTO },
};

KUNIT_ARRAY_PARAM_DESC(info_take, info_takes, name);

static u64 info_take_addr(u32 region)
{
	return 0x123456789000 + ((u64)region << 40);
}

static int info_take(struct kunit *test, const struct info_take_case *c)
{
	size_t len = rtrs_info_rsp_size(c->sg_cnt);
	struct path_fixture *f = test->priv;
	struct rtrs_msg_info_rsp *msg;
	u32 i;

	if (!IS_ENABLED(CONFIG_INFINIBAND_VIRT_DMA))
		kunit_skip(test, "this device needs virtual DMA");
	msg = kunit_kzalloc(test, len, GFP_KERNEL);
	/* a byte more than there are chunks is seen */
	f->path.chunks = kunit_kcalloc(test, f->path.nr_ios,
				       sizeof(*f->path.chunks), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, msg);
	KUNIT_ASSERT_NOT_NULL(test, f->path.chunks);
	rtrs_info_rsp_init(msg, c->sg_cnt);
	for (i = 0; i < c->sg_cnt; i++)
		rtrs_sg_desc_encode(&msg->desc[i], info_take_addr(i), 0x1000 + i,
				    c->chunks[i] * PATH_TEST_CHUNK);
	f->info_rx.buf = msg;
	f->info_rx.size = len;
	f->path.info_len = len;
	f->path.rsp.queue_depth = PATH_TEST_DEPTH;
	f->path.rsp.max_io_size = PATH_TEST_CHUNK - SZ_4K;
	f->path.rsp.max_hdr_size = SZ_4K;
	return rtrs_clt_info_take(&f->path);
}

static void info_is_taken_if_it_fits(struct kunit *test)
{
	const struct info_take_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, info_take(test, c), c->err);
}

static void info_tells_where_each_chunk_is(struct kunit *test)
{
	const struct info_take_case *c = test->param_value;
	struct path_fixture *f = test->priv;
	u32 i, j, nr = 0;

	if (c->err)
		kunit_skip(test, "not taken");
	KUNIT_ASSERT_EQ(test, info_take(test, c), 0);
	for (i = 0; i < c->sg_cnt; i++) {
		for (j = 0; j < c->chunks[i]; j++, nr++) {
			KUNIT_EXPECT_EQ_MSG(test, f->path.chunks[nr].addr,
					    info_take_addr(i) + j * PATH_TEST_CHUNK,
					    "chunk %u", nr);
			KUNIT_EXPECT_EQ_MSG(test, f->path.chunks[nr].rkey,
					    0x1000 + i, "chunk %u", nr);
		}
	}
}

static void info_of_chunks_that_are_not_used_is_not_kept(struct kunit *test)
{
	struct path_fixture *f = test->priv;

	f->path.nr_ios = 5;
	KUNIT_ASSERT_EQ(test, info_take(test, &info_takes[1]), 0);
	KUNIT_EXPECT_EQ(test, f->path.chunks[3].addr,
			info_take_addr(0) + 3 * PATH_TEST_CHUNK);
	KUNIT_EXPECT_EQ(test, f->path.chunks[4].addr, info_take_addr(1));
}

static struct kunit_case rtrs_clt_path_cases[] = {
	KUNIT_CASE_PARAM(path_moves_are_those_of_the_table, path_move_gen_params),
	KUNIT_CASE_PARAM(path_error_takes_down_what_is_up, path_error_gen_params),
	KUNIT_CASE_PARAM(path_error_is_one_of_the_attempt, path_error_gen_params),
	KUNIT_CASE(path_error_of_the_last_path_loses_the_session),
	KUNIT_CASE(path_error_of_one_of_two_does_not),
	KUNIT_CASE(step_keeps_the_first_error),
	KUNIT_CASE(step_that_is_not_done_times_out),
	KUNIT_CASE_PARAM(path_begins_if_it_may, path_begin_gen_params),
	KUNIT_CASE(path_begins_without_what_came_before),
	KUNIT_CASE_PARAM(info_is_taken_if_it_fits, info_take_gen_params),
	KUNIT_CASE_PARAM(info_tells_where_each_chunk_is, info_take_gen_params),
	KUNIT_CASE(info_of_chunks_that_are_not_used_is_not_kept),
	{}
};

static struct kunit_suite rtrs_clt_path_suite = {
	.name		= "rtrs-clt-path",
	.init		= path_test_init,
	.exit		= path_test_exit,
	.test_cases	= rtrs_clt_path_cases,
};

kunit_test_suite(rtrs_clt_path_suite);
