// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-srv-chunk.c, which includes this file: how the chunks of a
 * path are divided into regions.
 */
#include <kunit/test.h>

#define CHUNK_TEST_OPS	4

struct chunk_fixture {
	struct rtrs_srv_sess	sess;
	struct rtrs_srv_path	*path;
	struct rtrs_srv_op	op[CHUNK_TEST_OPS];
	struct ib_device	dev;
};

static int chunk_test_init(struct kunit *test)
{
	struct chunk_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	f->path = kunit_kzalloc(test, struct_size(f->path, cons, 2), GFP_KERNEL);
	if (!f->path)
		return -ENOMEM;
	strscpy(f->sess.name, "kunit");
	strscpy(f->path->name, "kunit");
	f->path->sess = &f->sess;
	f->path->dev = &f->dev;
	f->path->ops = f->op;
	f->path->queue_depth = CHUNK_TEST_OPS;
	test->priv = f;
	return 0;
}

struct region_case {
	u32	depth;
	u32	max;
	u32	chunks;
};

static const struct region_case region_cases[] = {
	{ 1, 1, 1 }, { 1, 1000, 1 },
	{ 512, 1, 1 }, { 512, 2, 2 }, { 512, 3, 2 }, { 512, 255, 128 },
	{ 512, 256, 256 }, { 512, 511, 256 }, { 512, 512, 512 }, { 512, 513, 512 },
	{ 512, U32_MAX, 512 },
	{ 500, 499, 250 }, { 500, 249, 125 }, { 500, 124, 100 }, { 500, 16, 10 },
	{ 7, 6, 1 }, { 7, 7, 7 }, { 509, 508, 1 }, { 509, 509, 509 },
	{ 6, 4, 3 }, { 9, 8, 3 }, { 30, 7, 6 }, { 65535, 65534, 21845 },
	{ 65521, 65520, 1 },
};

static void region_desc(const struct region_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u chunks, %u at most", c->depth,
		 c->max);
}

KUNIT_ARRAY_PARAM(region, region_cases, region_desc);

static void regions_are_large_and_divide_the_chunks(struct kunit *test)
{
	const struct region_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rtrs_srv_region_chunks(c->depth, c->max), c->chunks);
}

/* For all depths up to some hundred, the largest divisor there is. */
static void regions_are_as_large_as_they_can_be(struct kunit *test)
{
	u32 depth, max, n, best;

	for (depth = 1; depth <= 130; depth++) {
		for (max = 1; max <= 140; max++) {
			for (n = 1, best = 0; n <= min(max, depth); n++)
				if (depth % n == 0)
					best = n;
			n = rtrs_srv_region_chunks(depth, max);
			if (n == best)
				continue;
			KUNIT_FAIL(test, "depth %u, most %u: %u and not %u\n",
				   depth, max, n, best);
			return;
		}
	}
}

/* ---------------------------------------------------------------- pages ---- */

struct page_size_case {
	const char	*name;
	u64		cap;			/* sizes that the device knows */
	u64		dma[CHUNK_TEST_OPS];	/* in chunks */
	u64		off;			/* of the last one, bytes */
	u32		size;			/* 0 stands for that of a chunk */
};

static const struct page_size_case page_sizes[] = {
	{ "only 4 KiB",		SZ_4K, { 0, 1, 2, 3 }, 0, SZ_4K },
	{ "4 and 8 KiB",	SZ_4K | SZ_8K, { 0, 1, 2, 3 }, 0, SZ_8K },
	{ "up to all",		U64_MAX & ~(SZ_4K - 1ULL), { 5, 1, 9, 3 }, 0, 0 },
	{ "4 KiB and 1 GiB",	SZ_4K | SZ_1G, { 0, 0x1000000, 2, 3 }, 0, SZ_4K },
	{ "misaligned",		U64_MAX & ~(SZ_4K - 1ULL), { 1, 2, 3, 4 }, SZ_4K, SZ_4K },
	{ "misaligned by less",	U64_MAX & ~(SZ_4K - 1ULL), { 1, 2, 3, 4 }, SZ_2K, 0xdead },
	{ "addresses over 32 bits", SZ_4K, { BIT_ULL(40), BIT_ULL(45), 2, 3 }, 0, SZ_4K },
	{ "none",		0, { 0, 1, 2, 3 }, 0, 0xdead },
};

KUNIT_ARRAY_PARAM_DESC(page_size, page_sizes, name);

static void page_size_fits_all_chunks(struct kunit *test)
{
	const struct page_size_case *c = test->param_value;
	u32 chunk = rtrs_srv_conf.chunk_size, want;
	struct chunk_fixture *f = test->priv;
	int i;

	for (i = 0; i < CHUNK_TEST_OPS; i++)
		f->op[i].chunk_dma = c->dma[i] * chunk;
	f->op[i - 1].chunk_dma += c->off;
	f->dev.attrs.page_size_cap = c->cap;
	want = c->size == 0xdead ? 0 : c->size ?: chunk;
	KUNIT_EXPECT_EQ(test, rtrs_srv_page_size(f->path), want);
}

struct max_region_case {
	const char	*name;
	u32		pages;
	u64		max_mr_size;
	u32		page_size;
	u32		max;
};

static const struct max_region_case max_regions[] = {
	{ "by its pages",	32,	U64_MAX,	SZ_4K,	SZ_128K },
	{ "by larger pages",	32,	U64_MAX,	SZ_64K,	SZ_2M },
	{ "by its size",	512,	SZ_1M,		SZ_4K,	SZ_1M },
	{ "by ours",		U32_MAX, U64_MAX,	SZ_4K,	SZ_256M },
	{ "by ours, all bits",	U32_MAX, U64_MAX,	BIT(31), SZ_256M },
	{ "no pages",		0,	U64_MAX,	SZ_4K,	0 },
	{ "no size",		512,	0,		SZ_4K,	0 },
	{ "no page size",	512,	U64_MAX,	0,	0 },
};

KUNIT_ARRAY_PARAM_DESC(max_region, max_regions, name);

static void region_is_limited(struct kunit *test)
{
	const struct max_region_case *c = test->param_value;
	struct chunk_fixture *f = test->priv;

	f->dev.attrs.max_fast_reg_page_list_len = c->pages;
	f->dev.attrs.max_mr_size = c->max_mr_size;
	KUNIT_EXPECT_EQ(test, rtrs_srv_max_region(&f->dev, c->page_size), c->max);
}

/* -------------------------------------------------------------- divided ---- */

struct divide_case {
	const char	*name;
	u32		chunks;		/* that a region of the device can cover */
	u64		cap;
	int		err;
	u32		of_four;	/* chunks a region, without always_invalidate */
};

static const struct divide_case divide_cases[] = {
	{ "one region of all",	4,	SZ_4K,	0,		4 },
	{ "a large device",	100,	SZ_4K,	0,		4 },
	{ "two regions",	3,	SZ_4K,	0,		2 },
	{ "one each",		1,	SZ_4K,	0,		1 },
	{ "less than a chunk",	0,	SZ_4K,	-EOPNOTSUPP,	0 },
	{ "no page size",	4,	0,	-EOPNOTSUPP,	0 },
};

KUNIT_ARRAY_PARAM_DESC(divide, divide_cases, name);

static void chunks_are_divided(struct kunit *test)
{
	const struct divide_case *c = test->param_value;
	u32 chunk = rtrs_srv_conf.chunk_size, per_region;
	struct chunk_fixture *f = test->priv;
	struct rtrs_srv_regions r = {};

	f->dev.attrs.page_size_cap = c->cap;
	f->dev.attrs.max_mr_size = U64_MAX;
	f->dev.attrs.max_fast_reg_page_list_len = c->chunks * (chunk / SZ_4K) + 1;
	KUNIT_EXPECT_EQ(test, rtrs_srv_divide(f->path, &r), c->err);
	if (c->err)
		return;
	per_region = rtrs_srv_conf.always_invalidate ? 1 : c->of_four;
	KUNIT_EXPECT_EQ(test, r.chunks, per_region);
	KUNIT_EXPECT_EQ(test, r.page_size, (u32)SZ_4K);
	KUNIT_EXPECT_EQ(test, r.pages, per_region * (chunk / SZ_4K));
}

static struct kunit_case rtrs_srv_chunk_cases[] = {
	KUNIT_CASE_PARAM(regions_are_large_and_divide_the_chunks, region_gen_params),
	KUNIT_CASE(regions_are_as_large_as_they_can_be),
	KUNIT_CASE_PARAM(page_size_fits_all_chunks, page_size_gen_params),
	KUNIT_CASE_PARAM(region_is_limited, max_region_gen_params),
	KUNIT_CASE_PARAM(chunks_are_divided, divide_gen_params),
	{}
};

static struct kunit_suite rtrs_srv_chunk_suite = {
	.name		= "rtrs-srv-chunk",
	.init		= chunk_test_init,
	.test_cases	= rtrs_srv_chunk_cases,
};

kunit_test_suite(rtrs_srv_chunk_suite);
