// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-clt-latency.c, which includes this file: which bucket a time
 * belongs to, and which requests are not counted.
 */
#include <kunit/test.h>

struct bucket_case {
	const char	*name;
	u64		ns;
	unsigned int	bucket;
};

static const struct bucket_case bucket_cases[] = {
	{ "1 ns",			1,			0 },
	{ "2 ns",			2,			1 },
	{ "3 ns",			3,			1 },
	{ "4 ns",			4,			2 },
	{ "1 us",			1000,			9 },
	{ "less than 1024 ns",		1023,			9 },
	{ "1024 ns",			1024,			10 },
	{ "1 ms",			NSEC_PER_MSEC,		19 },
	{ "1 s",			NSEC_PER_SEC,		29 },
	{ "4 s",			4ULL * NSEC_PER_SEC,	31 },
	{ "less than 2^32 ns",		U32_MAX,		31 },
	{ "2^32 ns",			BIT_ULL(32),		32 },
	{ "an hour",			3600ULL * NSEC_PER_SEC,	41 },
	{ "less than the last bucket",	BIT_ULL(43) - 1,	42 },
	{ "the last bucket",		BIT_ULL(43),		43 },
	{ "more than the last bucket",	BIT_ULL(44),		43 },
	{ "a year",			31536000ULL * NSEC_PER_SEC, 43 },
	{ "for ever",			U64_MAX,		43 },
};

KUNIT_ARRAY_PARAM_DESC(bucket, bucket_cases, name);

static void bucket_is_the_power_of_two_below(struct kunit *test)
{
	const struct bucket_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rtrs_clt_latency_bucket(c->ns), c->bucket);
}

static void bucket_begins_and_ends_where_it_says(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < RTRS_CLT_LATENCY_BUCKETS; i++) {
		KUNIT_EXPECT_EQ(test, rtrs_clt_latency_bucket(BIT_ULL(i)), i);
		KUNIT_EXPECT_EQ(test, rtrs_clt_latency_bucket(BIT_ULL(i + 1) - 1),
				i);
	}
}

/* ------------------------------------------------------- what is counted --- */

struct latency_fixture {
	struct rtrs_clt_path	path;
	struct rtrs_clt_con	con;
	struct rtrs_clt_io	io;
	u64			since;
};

static int latency_test_init(struct kunit *test)
{
	struct latency_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	f->path.latency = alloc_percpu(struct rtrs_clt_latency);
	if (!f->path.latency)
		return -ENOMEM;
	f->con.path = &f->path;
	f->io.con = &f->con;
	f->since = READ_ONCE(rtrs_clt_latency_since);
	test->priv = f;
	return 0;
}

static void latency_test_exit(struct kunit *test)
{
	struct latency_fixture *f = test->priv;

	if (f)
		free_percpu(f->path.latency);
}

static u64 latency_counted(struct latency_fixture *f, bool write)
{
	struct rtrs_clt_latency *sum = kzalloc(sizeof(*sum), GFP_KERNEL);
	u64 n = 0;
	int i;

	if (!sum)
		return U64_MAX;
	rtrs_clt_latency_sum(&f->path, sum);
	for (i = 0; i < RTRS_CLT_LATENCY_BUCKETS; i++)
		n += sum->nr[write][i];
	kfree(sum);
	return n;
}

/* Called with preemption off, as it is on the data path. */
static void latency_answer(struct latency_fixture *f, u64 posted,
			   enum dma_data_direction dir)
{
	f->io.posted_ns = posted;
	f->io.req.dir = dir;
	preempt_disable();
	rtrs_clt_latency_answered(&f->io);
	preempt_enable();
}

static void latency_of_a_read_is_a_reads(struct kunit *test)
{
	struct latency_fixture *f = test->priv;

	latency_answer(f, max(ktime_get_ns() - 1000, f->since), DMA_FROM_DEVICE);
	KUNIT_EXPECT_EQ(test, latency_counted(f, false), 1ULL);
	KUNIT_EXPECT_EQ(test, latency_counted(f, true), 0ULL);
}

static void latency_of_a_write_is_a_writes(struct kunit *test)
{
	struct latency_fixture *f = test->priv;

	latency_answer(f, max(ktime_get_ns() - 1000, f->since), DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, latency_counted(f, false), 0ULL);
	KUNIT_EXPECT_EQ(test, latency_counted(f, true), 1ULL);
}

static void latency_is_added_over_all_cpus(struct kunit *test)
{
	struct latency_fixture *f = test->priv;
	u64 n = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		per_cpu_ptr(f->path.latency, cpu)->nr[0][7] = cpu + 1;
		n += cpu + 1;
	}
	KUNIT_EXPECT_EQ(test, latency_counted(f, false), n);
}

static void latency_of_what_was_posted_in_the_future_is_none(struct kunit *test)
{
	struct latency_fixture *f = test->priv;

	latency_answer(f, U64_MAX, DMA_FROM_DEVICE);
	KUNIT_EXPECT_EQ(test, latency_counted(f, false), 0ULL);
}

static void latency_of_what_was_posted_before_measuring_is_none(struct kunit *test)
{
	struct latency_fixture *f = test->priv;

	if (!f->since)
		kunit_skip(test, "nothing was ever measured");
	latency_answer(f, f->since - 1, DMA_FROM_DEVICE);
	KUNIT_EXPECT_EQ(test, latency_counted(f, false), 0ULL);
}

static struct kunit_case rtrs_clt_latency_cases[] = {
	KUNIT_CASE_PARAM(bucket_is_the_power_of_two_below, bucket_gen_params),
	KUNIT_CASE(bucket_begins_and_ends_where_it_says),
	KUNIT_CASE(latency_of_a_read_is_a_reads),
	KUNIT_CASE(latency_of_a_write_is_a_writes),
	KUNIT_CASE(latency_is_added_over_all_cpus),
	KUNIT_CASE(latency_of_what_was_posted_in_the_future_is_none),
	KUNIT_CASE(latency_of_what_was_posted_before_measuring_is_none),
	{}
};

static struct kunit_suite rtrs_clt_latency_suite = {
	.name		= "rtrs-clt-latency",
	.init		= latency_test_init,
	.exit		= latency_test_exit,
	.test_cases	= rtrs_clt_latency_cases,
};

kunit_test_suite(rtrs_clt_latency_suite);
