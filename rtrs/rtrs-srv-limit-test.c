// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-srv-limit.c, which includes this file: who is counted for what,
 * and that nothing stays charged.
 */
#include <kunit/test.h>

#define LIMIT_TEST_PATHS	5
#define LIMIT_TEST_CONS		3

struct limit_fixture {
	struct rtrs_srv_path	*path[LIMIT_TEST_PATHS];
	struct rtrs_srv_sess	sess;
	struct rtrs_srv_ctx	ctx;
};

static const struct rtrs_srv_ops limit_test_ops = {};

/* The paths that there are, of the clients 1 and 2, and what they have in all. */
static const struct {
	u8				client;
	enum rtrs_srv_path_state	state;
	u64				memory;
} limit_test_paths[LIMIT_TEST_PATHS] = {
	{ 1, RTRS_SRV_PATH_CONNECTED,	SZ_8M },
	{ 1, RTRS_SRV_PATH_CONNECTING,	SZ_1M },
	{ 1, RTRS_SRV_PATH_CLOSED,	SZ_2M },
	{ 2, RTRS_SRV_PATH_CONNECTING,	SZ_4M },
	{ 2, RTRS_SRV_PATH_CLOSING,	SZ_16M },
};

static int limit_test_init(struct kunit *test)
{
	struct limit_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	bool others;
	int i;

	if (!f)
		return -ENOMEM;
	for (i = 0; i < LIMIT_TEST_PATHS; i++) {
		f->path[i] = kunit_kzalloc(test, struct_size(f->path[i], cons,
							     LIMIT_TEST_CONS),
					   GFP_KERNEL);
		if (!f->path[i])
			return -ENOMEM;
	}
	f->sess.ctx = &f->ctx;
	f->ctx.ops = &limit_test_ops;
	test->priv = f;
	/* as there may be, when the tests are run again later */
	scoped_guard(mutex, &rtrs_srv_mutex)
		others = !list_empty(&rtrs_srv_paths);
	if (others)
		kunit_skip(test, "there are other paths");
	return 0;
}

static void limit_test_enter(struct kunit *test, int i)
{
	union ib_gid gid = { .raw[15] = limit_test_paths[i].client };
	struct limit_fixture *f = test->priv;
	struct rtrs_srv_path *path = f->path[i];

	path->sess = &f->sess;
	path->con_num = LIMIT_TEST_CONS;
	strscpy(path->src, "kunit");
	KUNIT_EXPECT_EQ(test, rtrs_srv_limit_enter(path, &gid, false), 0);
	path->state = limit_test_paths[i].state;
	rtrs_srv_charge(path, limit_test_paths[i].memory -
			      rtrs_srv_fixed_memory(path));
}

static void limit_test_begin(struct kunit *test)
{
	int i;

	mutex_lock(&rtrs_srv_mutex);
	for (i = 0; i < LIMIT_TEST_PATHS; i++)
		limit_test_enter(test, i);
}

static void limit_test_end(struct limit_fixture *f)
{
	int i;

	for (i = 0; i < LIMIT_TEST_PATHS; i++) {
		struct rtrs_srv_path *path = f->path[i];

		rtrs_srv_limit_give(path, atomic64_read(&path->memory) -
					  rtrs_srv_fixed_memory(path));
		rtrs_srv_limit_leave(path);
	}
	mutex_unlock(&rtrs_srv_mutex);
}

struct limit_usage_case {
	const char		*name;
	int			path;	/* of whom */
	struct rtrs_srv_usage	want;
	u64			memory;
};

static const struct limit_usage_case limit_usages[] = {
	{ "one", 0, { .half_open = 2, .client_half_open = 1, .client_paths = 2,
		      .client_cons = 6 }, SZ_8M + SZ_1M + SZ_2M },
	{ "another", 3, { .half_open = 2, .client_half_open = 1, .client_paths = 2,
			  .client_cons = 6 }, SZ_4M + SZ_16M },
};

KUNIT_ARRAY_PARAM_DESC(limit_usage, limit_usages, name);

static void limit_counts_clients(struct kunit *test)
{
	const struct limit_usage_case *c = test->param_value;
	struct limit_fixture *f = test->priv;
	struct rtrs_srv_client *client;
	struct rtrs_srv_usage u = {};

	limit_test_begin(test);
	client = f->path[c->path]->client;
	rtrs_srv_count_usage(&u, client);
	KUNIT_EXPECT_EQ(test, u.half_open, c->want.half_open);
	KUNIT_EXPECT_EQ(test, u.client_half_open, c->want.client_half_open);
	KUNIT_EXPECT_EQ(test, u.client_paths, c->want.client_paths);
	KUNIT_EXPECT_EQ(test, u.client_cons, c->want.client_cons);
	KUNIT_EXPECT_EQ(test, atomic64_read(&client->memory), c->memory);
	limit_test_end(f);
}

struct limit_take_case {
	const char	*name;
	unsigned int	all;	/* MiB; there are 31 */
	unsigned int	one;	/* MiB; the first client has 11, the second 20 */
	int		path;	/* for whom */
	u64		bytes;
	int		err;
};

static const struct limit_take_case limit_takes[] = {
	{ "less than there is",		40, 20, 0, SZ_1M, 0 },
	{ "all that there is",		32, 12, 0, SZ_1M, 0 },
	{ "a byte more than that",	32, 20, 0, SZ_1M + 1, -EUSERS },
	{ "a byte more than is one's",	40, 12, 0, SZ_1M + 1, -EUSERS },
	{ "nothing, from nothing",	31, 11, 0, 0, 0 },
	{ "more than all may have",	31, 20, 0, SZ_1M, -EUSERS },
	{ "more than one may have",	40, 11, 0, SZ_1M, -EUSERS },
	{ "half of all",		42, 0, 3, SZ_1M, 0 },
	{ "more than half of all",	40, 0, 3, SZ_1M, -EUSERS },
	{ "another's half",		62, 0, 3, SZ_8M, 0 },
	{ "more than a machine has",	0, 0, 0, 1ULL << 60, -EUSERS },
};

KUNIT_ARRAY_PARAM_DESC(limit_take, limit_takes, name);

static void limit_gives_memory(struct kunit *test)
{
	const struct limit_take_case *c = test->param_value;
	struct limit_fixture *f = test->priv;
	unsigned int all = max_memory_mb, one = max_client_memory_mb;
	u64 got = c->err ? 0 : c->bytes;

	limit_test_begin(test);
	max_memory_mb = c->all;
	max_client_memory_mb = c->one;
	KUNIT_EXPECT_EQ(test, rtrs_srv_limit_take(f->path[c->path], c->bytes), c->err);
	max_memory_mb = all;
	max_client_memory_mb = one;
	KUNIT_EXPECT_EQ(test, atomic64_read(&f->path[c->path]->memory),
			limit_test_paths[c->path].memory + got);
	KUNIT_EXPECT_EQ(test, atomic64_read(&rtrs_srv_memory),
			31 * (u64)SZ_1M + got);
	limit_test_end(f);
}

static void limit_gives_buffers(struct kunit *test)
{
	struct limit_fixture *f = test->priv;
	unsigned int all = max_memory_mb, one = max_client_memory_mb;

	limit_test_begin(test);
	max_memory_mb = 32;
	max_client_memory_mb = 21;
	KUNIT_EXPECT_TRUE(test, rtrs_srv_limit_try(f->path[0], SZ_1M));
	KUNIT_EXPECT_FALSE(test, rtrs_srv_limit_try(f->path[0], 1));
	rtrs_srv_limit_give(f->path[0], SZ_64K);
	KUNIT_EXPECT_TRUE(test, rtrs_srv_limit_try(f->path[1], SZ_64K));
	/* as much as all have is not what one has */
	max_memory_mb = 64;
	KUNIT_EXPECT_TRUE(test, rtrs_srv_limit_try(f->path[3], SZ_1M));
	KUNIT_EXPECT_FALSE(test, rtrs_srv_limit_try(f->path[4], 1));
	max_memory_mb = all;
	max_client_memory_mb = one;
	limit_test_end(f);
}

static void limit_keeps_nothing(struct kunit *test)
{
	struct limit_fixture *f = test->priv;

	limit_test_begin(test);
	rtrs_srv_limit_give(f->path[0], SZ_4M);
	KUNIT_EXPECT_EQ(test, atomic64_read(&f->path[1]->client->memory),
			SZ_4M + SZ_1M + SZ_2M);
	limit_test_end(f);
	KUNIT_EXPECT_EQ(test, atomic64_read(&rtrs_srv_memory), 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&rtrs_srv_paths));
	KUNIT_EXPECT_TRUE(test, list_empty(&rtrs_srv_clients));
}

static struct kunit_case rtrs_srv_limit_cases[] = {
	KUNIT_CASE_PARAM(limit_counts_clients, limit_usage_gen_params),
	KUNIT_CASE_PARAM(limit_gives_memory, limit_take_gen_params),
	KUNIT_CASE(limit_gives_buffers),
	KUNIT_CASE(limit_keeps_nothing),
	{}
};

static struct kunit_suite rtrs_srv_limit_suite = {
	.name		= "rtrs-srv-limit",
	.init		= limit_test_init,
	.test_cases	= rtrs_srv_limit_cases,
};

kunit_test_suite(rtrs_srv_limit_suite);
