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
};

/* The paths that there are, of the clients 1 and 2. */
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
	test->priv = f;
	return 0;
}

static void limit_test_enter(struct rtrs_srv_path *path, int i)
{
	path->con_num = LIMIT_TEST_CONS;
	path->queue_depth = 8;
	path->state = limit_test_paths[i].state;
	path->client.raw[15] = limit_test_paths[i].client;
	strscpy(path->src, "kunit");
	rtrs_srv_limit_enter(path);
	rtrs_srv_limit_charge(path, limit_test_paths[i].memory);
}

/* While the module is being loaded there are no other paths. */
static void limit_test_begin(struct limit_fixture *f)
{
	int i;

	mutex_lock(&rtrs_srv_mutex);
	for (i = 0; i < LIMIT_TEST_PATHS; i++)
		limit_test_enter(f->path[i], i);
}

static void limit_test_end(struct limit_fixture *f)
{
	int i;

	for (i = 0; i < LIMIT_TEST_PATHS; i++)
		rtrs_srv_limit_leave(f->path[i]);
	mutex_unlock(&rtrs_srv_mutex);
}

struct limit_usage_case {
	const char		*name;
	u8			client;
	struct rtrs_srv_usage	want;
};

static const struct limit_usage_case limit_usages[] = {
	{ "one", 1, { .half_open = 2, .client_half_open = 1, .client_paths = 2,
		      .client_cons = 6, .client_memory = SZ_8M + SZ_1M + SZ_2M } },
	{ "another", 2, { .half_open = 2, .client_half_open = 1, .client_paths = 2,
			  .client_cons = 6, .client_memory = SZ_4M + SZ_16M } },
	{ "one that has nothing", 3, { .half_open = 2 } },
};

KUNIT_ARRAY_PARAM_DESC(limit_usage, limit_usages, name);

static void limit_counts_clients(struct kunit *test)
{
	const struct limit_usage_case *c = test->param_value;
	union ib_gid client = { .raw[15] = c->client };
	struct rtrs_srv_usage u = {};

	limit_test_begin(test->priv);
	rtrs_srv_count_usage(&u, &client);
	limit_test_end(test->priv);
	KUNIT_EXPECT_EQ(test, u.half_open, c->want.half_open);
	KUNIT_EXPECT_EQ(test, u.client_half_open, c->want.client_half_open);
	KUNIT_EXPECT_EQ(test, u.client_paths, c->want.client_paths);
	KUNIT_EXPECT_EQ(test, u.client_cons, c->want.client_cons);
	KUNIT_EXPECT_EQ(test, u.client_memory, c->want.client_memory);
}

struct limit_take_case {
	const char	*name;
	unsigned int	all;	/* MiB; there are 31 */
	unsigned int	one;	/* MiB; client 1 has 11 */
	u64		bytes;
	int		err;
};

static const struct limit_take_case limit_takes[] = {
	{ "less than there is",		40, 20, SZ_1M, 0 },
	{ "all that there is",		32, 12, SZ_1M, 0 },
	{ "nothing, from nothing",	31, 11, 0, 0 },
	{ "more than all may have",	31, 20, SZ_1M, -EUSERS },
	{ "more than one may have",	40, 11, SZ_1M, -EUSERS },
	{ "half of all is the client's", 24, 0, SZ_1M, -EUSERS },
	{ "less than half",		40, 0, SZ_8M, 0 },
	{ "more than half",		40, 0, SZ_8M + SZ_2M, -EUSERS },
	{ "more than a machine has",	0, 0, 1ULL << 60, -EUSERS },
};

KUNIT_ARRAY_PARAM_DESC(limit_take, limit_takes, name);

static void limit_gives_memory(struct kunit *test)
{
	const struct limit_take_case *c = test->param_value;
	struct limit_fixture *f = test->priv;
	unsigned int all = max_memory_mb, one = max_client_memory_mb;
	u64 got = c->err ? 0 : c->bytes;

	limit_test_begin(f);
	max_memory_mb = c->all;
	max_client_memory_mb = c->one;
	KUNIT_EXPECT_EQ(test, rtrs_srv_limit_take(f->path[0], c->bytes), c->err);
	max_memory_mb = all;
	max_client_memory_mb = one;
	KUNIT_EXPECT_EQ(test, atomic64_read(&f->path[0]->memory), SZ_8M + got);
	KUNIT_EXPECT_EQ(test, atomic64_read(&rtrs_srv_memory),
			31 * (u64)SZ_1M + got);
	limit_test_end(f);
}

static void limit_gives_buffers(struct kunit *test)
{
	struct limit_fixture *f = test->priv;
	unsigned int all = max_memory_mb;

	limit_test_begin(f);
	max_memory_mb = 32;
	KUNIT_EXPECT_TRUE(test, rtrs_srv_limit_try(f->path[0], SZ_1M));
	KUNIT_EXPECT_FALSE(test, rtrs_srv_limit_try(f->path[0], 1));
	rtrs_srv_limit_give(f->path[0], SZ_64K);
	KUNIT_EXPECT_TRUE(test, rtrs_srv_limit_try(f->path[1], SZ_64K));
	max_memory_mb = all;
	limit_test_end(f);
}

static void limit_keeps_nothing(struct kunit *test)
{
	struct limit_fixture *f = test->priv;

	limit_test_begin(f);
	rtrs_srv_limit_give(f->path[0], SZ_4M);
	limit_test_end(f);
	KUNIT_EXPECT_EQ(test, atomic64_read(&rtrs_srv_memory), 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&rtrs_srv_paths));
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
