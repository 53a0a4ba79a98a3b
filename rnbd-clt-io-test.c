// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rnbd-clt-io.c, which includes this file: what becomes of an
 * operation and its flags, of a server's errno, and of the limits that it announces.
 */
#include <kunit/test.h>

/* ----------------------------------------------------------- operations ---- */

struct rw_case {
	const char	*name;
	blk_opf_t	opf;
	u32		rw;
};

static const struct rw_case rw_cases[] = {
	{ "read",			REQ_OP_READ, 0x100 },
	{ "read, sync",			REQ_OP_READ | REQ_SYNC, 0x100 },
	{ "read, meta, prio, ahead",	REQ_OP_READ | REQ_META | REQ_PRIO | REQ_RAHEAD,
	  0x100 },
	{ "write",			REQ_OP_WRITE, 0x001 },
	{ "write, sync",		REQ_OP_WRITE | REQ_SYNC, 0x101 },
	{ "write, fua",			REQ_OP_WRITE | REQ_FUA, 0x301 },
	{ "write, preflush",		REQ_OP_WRITE | REQ_PREFLUSH, 0x701 },
	{ "write, preflush, fua",	REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, 0x701 },
	{ "write, idle",		REQ_OP_WRITE | REQ_IDLE, 0x001 },
	{ "flush",			REQ_OP_FLUSH | REQ_PREFLUSH, 0x702 },
	{ "discard",			REQ_OP_DISCARD, 0x003 },
	{ "discard, sync",		REQ_OP_DISCARD | REQ_SYNC, 0x103 },
	{ "secure erase",		REQ_OP_SECURE_ERASE, 0x004 },
	{ "write zeroes",		REQ_OP_WRITE_ZEROES, 0x005 },
	{ "write zeroes, no unmap",	REQ_OP_WRITE_ZEROES | REQ_NOUNMAP, 0x805 },
	{ "zone append",		REQ_OP_ZONE_APPEND, UINT_MAX },
	{ "zone reset",			REQ_OP_ZONE_RESET, UINT_MAX },
	{ "passthrough, in",		REQ_OP_DRV_IN, UINT_MAX },
	{ "passthrough, out",		REQ_OP_DRV_OUT, UINT_MAX },
};

KUNIT_ARRAY_PARAM_DESC(rw, rw_cases, name);

static void rw_is_operation_and_flags(struct kunit *test)
{
	const struct rw_case *c = test->param_value;
	struct request *rq = kunit_kzalloc(test, sizeof(*rq), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, rq);
	rq->cmd_flags = c->opf;
	KUNIT_EXPECT_EQ(test, rnbd_clt_rw(rq), c->rw);
}

/* --------------------------------------------------------------- errnos ---- */

struct status_case {
	const char	*name;
	int		err;
	blk_status_t	status;
};

static const struct status_case status_cases[] = {
	{ "success",			0,		BLK_STS_OK },
	{ "EIO",			-EIO,		BLK_STS_IOERR },
	{ "EOPNOTSUPP",			-EOPNOTSUPP,	BLK_STS_NOTSUPP },
	{ "ENOSPC",			-ENOSPC,	BLK_STS_NOSPC },
	{ "ETIMEDOUT",			-ETIMEDOUT,	BLK_STS_TIMEOUT },
	{ "ENODATA, of a medium",	-ENODATA,	BLK_STS_MEDIUM },
	{ "EILSEQ, of protection",	-EILSEQ,	BLK_STS_PROTECTION },
	{ "EINVAL",			-EINVAL,	BLK_STS_INVAL },
	{ "EROFS",			-EROFS,		BLK_STS_IOERR },
	{ "ENOTCONN",			-ENOTCONN,	BLK_STS_IOERR },
	{ "ECONNABORTED",		-ECONNABORTED,	BLK_STS_IOERR },
	{ "an unknown one",		-511,		BLK_STS_IOERR },
	/* these would be taken for something of this machine */
	{ "ENOMEM, over there",		-ENOMEM,	BLK_STS_IOERR },
	{ "EBUSY, over there",		-EBUSY,		BLK_STS_IOERR },
	{ "EAGAIN, over there",		-EAGAIN,	BLK_STS_IOERR },
	{ "ENODEV, over there",		-ENODEV,	BLK_STS_IOERR },
	{ "EREMCHG, over there",	-EREMCHG,	BLK_STS_IOERR },
};

KUNIT_ARRAY_PARAM_DESC(status, status_cases, name);

static void status_is_that_of_the_servers_disk(struct kunit *test)
{
	const struct status_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, (__force u8)rnbd_clt_status(c->err),
			(__force u8)c->status);
}

/* ---------------------------------------------------------- block sizes ---- */

struct block_size_case {
	u32	size;
	bool	ok;
};

static const struct block_size_case block_sizes[] = {
	{ 0, false }, { 1, false }, { 256, false }, { 511, false }, { 512, true },
	{ 513, false }, { 520, false }, { 768, false }, { 1024, true }, { 2048, true },
	{ 3072, false }, { 4096, true }, { PAGE_SIZE, true },
	{ PAGE_SIZE + 512, false }, { PAGE_SIZE * 2, false }, { 0x8000, PAGE_SIZE >= 0x8000 },
	{ 0x80000000, false }, { U32_MAX, false },
};

static void block_size_desc(const struct block_size_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u bytes", c->size);
}

KUNIT_ARRAY_PARAM(block_size, block_sizes, block_size_desc);

static void block_size_has_to_fit_a_page(struct kunit *test)
{
	const struct block_size_case *c = test->param_value;
	const struct rnbd_dev_limits rsp = { .logical_block_size = c->size };

	KUNIT_EXPECT_EQ(test, rnbd_clt_limits_ok(&rsp), c->ok);
}

struct capacity_case {
	const char	*name;
	u64		sectors;
	unsigned int	block_size;
	u64		want;
};

static const struct capacity_case capacities[] = {
	{ "nothing",			0,	512,	0 },
	{ "one sector",			1,	512,	1 },
	{ "any number of 512 bytes",	12345,	512,	12345 },
	{ "whole blocks",		4096,	4096,	4096 },
	{ "a sector too many",		4097,	4096,	4096 },
	{ "seven sectors too many",	4103,	4096,	4096 },
	{ "less than a block",		7,	4096,	0 },
	{ "odd, of 1024",		3,	1024,	2 },
	{ "all bits",			U64_MAX, 512,	LLONG_MAX >> 9 },
	{ "all bits, of 4096",		U64_MAX, 4096,	(LLONG_MAX >> 9) & ~7ULL },
	{ "the most",			LLONG_MAX >> 9, 512, LLONG_MAX >> 9 },
	{ "one more than that",		(LLONG_MAX >> 9) + 1ULL, 512, LLONG_MAX >> 9 },
};

KUNIT_ARRAY_PARAM_DESC(capacity, capacities, name);

static void capacity_is_rounded_down_to_blocks(struct kunit *test)
{
	const struct capacity_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rnbd_clt_whole_blocks(c->sectors, c->block_size),
			c->want);
}

/* --------------------------------------------------------------- limits ---- */

#define CLT_TEST_MAX_IO		(SZ_128K - SZ_4K)
#define CLT_TEST_SEGS		32

static struct queue_limits clt_limits(const struct rnbd_dev_limits *rsp)
{
	struct rnbd_clt_sess *sess = kzalloc(sizeof(*sess), GFP_KERNEL);
	struct queue_limits lim = {};

	if (!sess)
		return lim;
	sess->attrs.max_io_size = CLT_TEST_MAX_IO;
	sess->max_segments = CLT_TEST_SEGS;
	rnbd_clt_set_limits(&lim, sess, rsp);
	kfree(sess);
	return lim;
}

struct physical_case {
	u32	logical;
	u32	physical;
	u32	want;
};

static const struct physical_case physicals[] = {
	{ 512, 512, 512 }, { 512, 4096, 4096 }, { 4096, 4096, 4096 },
	{ 512, 32768, 32768 },
	{ 512, 0, 512 }, { 4096, 0, 4096 },		/* mainline's 65536 */
	{ 4096, 512, 4096 }, { 4096, 2048, 4096 },
	{ 512, 513, 512 }, { 512, 768, 512 }, { 512, 65535, 512 }, { 4096, 6144, 4096 },
};

static void physical_desc(const struct physical_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "logical %u, physical %u", c->logical,
		 c->physical);
}

KUNIT_ARRAY_PARAM(physical, physicals, physical_desc);

static void physical_block_size_is_one_or_the_logical(struct kunit *test)
{
	const struct physical_case *c = test->param_value;
	const struct rnbd_dev_limits rsp = {
		.logical_block_size	= c->logical,
		.physical_block_size	= c->physical,
	};
	struct queue_limits lim = clt_limits(&rsp);

	KUNIT_EXPECT_EQ(test, lim.logical_block_size, c->logical);
	KUNIT_EXPECT_EQ(test, lim.physical_block_size, c->want);
	KUNIT_EXPECT_EQ(test, lim.io_min, c->want);
}

/* What a request carries is the transport's affair. */
static void request_size_is_that_of_the_session(struct kunit *test)
{
	static const u32 server[] = { 0, 1, 8, 2560, U32_MAX };
	int i;

	for (i = 0; i < ARRAY_SIZE(server); i++) {
		const struct rnbd_dev_limits rsp = {
			.logical_block_size	= 512,
			.max_hw_sectors		= server[i],
			.max_segments		= server[i],
		};
		struct queue_limits lim = clt_limits(&rsp);

		KUNIT_EXPECT_EQ(test, lim.max_hw_sectors, CLT_TEST_MAX_IO >> 9);
		KUNIT_EXPECT_EQ(test, lim.max_segments, CLT_TEST_SEGS);
		KUNIT_EXPECT_EQ(test, lim.virt_boundary_mask, 4095UL);
	}
}

struct cap_case {
	u32	sectors;
	u32	block_size;
	u32	want;
};

static const struct cap_case cap_cases[] = {
	{ 0, 512, 0 }, { 1, 512, 1 }, { 8, 4096, 8 }, { 9, 4096, 8 }, { 7, 4096, 0 },
	{ 65536, 512, 65536 }, { 8388607, 512, 8388607 }, { 8388608, 512, 8388607 },
	{ 8388607, 4096, 8388600 }, { U32_MAX, 512, 8388607 }, { U32_MAX, 4096, 8388600 },
};

static void cap_desc(const struct cap_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u sectors, blocks of %u", c->sectors,
		 c->block_size);
}

KUNIT_ARRAY_PARAM(cap, cap_cases, cap_desc);

static void length_without_data_fits_32_bits(struct kunit *test)
{
	const struct cap_case *c = test->param_value;
	const struct rnbd_dev_limits rsp = {
		.logical_block_size		= c->block_size,
		.max_write_zeroes_sectors	= c->sectors,
		.max_discard_sectors		= c->sectors,
		.secure_discard			= true,
	};
	struct queue_limits lim = clt_limits(&rsp);

	KUNIT_EXPECT_EQ(test, lim.max_write_zeroes_sectors, c->want);
	KUNIT_EXPECT_EQ(test, lim.max_hw_discard_sectors, c->want);
	KUNIT_EXPECT_EQ(test, lim.max_secure_erase_sectors, c->want);
}

static void secure_erase_needs_the_server_to_say_so(struct kunit *test)
{
	const struct rnbd_dev_limits rsp = {
		.logical_block_size	= 512,
		.max_discard_sectors	= 1000,
	};
	struct queue_limits lim = clt_limits(&rsp);

	KUNIT_EXPECT_EQ(test, lim.max_hw_discard_sectors, 1000U);
	KUNIT_EXPECT_EQ(test, lim.max_secure_erase_sectors, 0U);
}

struct discard_case {
	const char	*name;
	u32		logical;
	u32		physical;
	u32		max;
	u32		gran;
	u32		align;
	u32		want_gran;
	u32		want_align;
};

static const struct discard_case discards[] = {
	{ "none",			512,  512,  0,	   0,	    0,	  0,	  0 },
	{ "none, with a granularity",	512,  512,  0,	   4096,    0,	  0,	  0 },
	{ "of sectors",			512,  512,  65536, 512,	    0,	  512,	  0 },
	{ "of 4 KiB",			512,  512,  65536, 4096,    0,	  4096,	  0 },
	{ "of 1 MiB",			512,  512,  65536, 1048576, 0,	  1048576, 0 },
	{ "without a granularity",	512,  512,  65536, 0,	    0,	  512,	  0 },
	{ "no power of two",		512,  512,  65536, 3072,    0,	  512,	  0 },
	{ "all bits",			512,  512,  65536, U32_MAX, 0,	  512,	  0 },
	{ "more than a discard",	512,  512,  8,	   8192,    0,	  512,	  0 },
	{ "as much as a discard",	512,  512,  8,	   4096,    0,	  4096,	  0 },
	{ "less than a block",		4096, 4096, 65536, 512,	    0,	  4096,	  0 },
	{ "less than a physical block",	512,  4096, 65536, 512,	    0,	  4096,	  0 },
	{ "aligned",			512,  512,  65536, 4096,    512,  4096,	  512 },
	{ "aligned to all of it",	512,  512,  65536, 4096,    4096, 4096,	  0 },
	{ "aligned to more than it",	512,  512,  65536, 4096,    8192, 4096,	  0 },
	{ "aligned to half a block",	512,  512,  65536, 4096,    256,  4096,	  0 },
	{ "aligned to part of a block",	4096, 4096, 65536, 65536,   512,  65536,  0 },
	{ "aligned to a block",		4096, 4096, 65536, 65536,   4096, 65536,  4096 },
	{ "aligned to all bits",	512,  512,  65536, 4096,    U32_MAX, 4096, 0 },
};

KUNIT_ARRAY_PARAM_DESC(discard, discards, name);

static void discard_is_made_to_fit(struct kunit *test)
{
	const struct discard_case *c = test->param_value;
	const struct rnbd_dev_limits rsp = {
		.logical_block_size	= c->logical,
		.physical_block_size	= c->physical,
		.max_discard_sectors	= c->max,
		.discard_granularity	= c->gran,
		.discard_alignment	= c->align,
	};
	struct queue_limits lim = clt_limits(&rsp);

	KUNIT_EXPECT_EQ(test, lim.discard_granularity, c->want_gran);
	KUNIT_EXPECT_EQ(test, lim.discard_alignment, c->want_align);
}

struct cache_case {
	const char		*name;
	u8			policy;
	blk_features_t		features;
};

static const struct cache_case caches[] = {
	{ "none",		0, 0 },
	{ "fua without a cache", RNBD_CACHE_FUA, 0 },
	{ "a cache",		RNBD_CACHE_WRITEBACK, BLK_FEAT_WRITE_CACHE },
	{ "a cache, and fua",	RNBD_CACHE_WRITEBACK | RNBD_CACHE_FUA,
	  BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA },
	{ "unknown bits",	0xfc, 0 },
	{ "all bits",		0xff, BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA },
};

KUNIT_ARRAY_PARAM_DESC(cache, caches, name);

static void cache_is_the_servers(struct kunit *test)
{
	const struct cache_case *c = test->param_value;
	const struct rnbd_dev_limits rsp = { .cache_policy = c->policy };
	struct queue_limits lim = {
		/* what it was before, and what is none of its business */
		.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA | BLK_FEAT_POLL,
	};

	rnbd_clt_set_cache(&lim, &rsp);
	KUNIT_EXPECT_EQ(test, (__force u32)lim.features,
			(__force u32)(c->features | BLK_FEAT_POLL));
}

/* ----------------------------------------------- writes in a volatile cache -- */

struct flush_case {
	const char	*name;
	bool		unflushed;	/* before */
	int		err;
	bool		written;	/* a write was acknowledged meanwhile */
	bool		after;
};

static const struct flush_case flushes[] = {
	{ "nothing to flush",			false, 0,	false, false },
	{ "succeeds",				true,  0,	false, false },
	{ "fails",				true,  -EIO,	false, true },
	{ "succeeds, a write meanwhile",	true,  0,	true,  true },
	{ "fails, a write meanwhile",		true,  -EIO,	true,  true },
	{ "nothing to flush, and fails",	false, -EIO,	false, false },
	{ "nothing to flush, a write meanwhile", false, 0,	true,  true },
};

KUNIT_ARRAY_PARAM_DESC(flush, flushes, name);

static void flush_covers_what_came_before_it(struct kunit *test)
{
	const struct flush_case *c = test->param_value;
	struct rnbd_clt_dev *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);
	struct rnbd_iu *iu = kunit_kzalloc(test, sizeof(*iu), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	KUNIT_ASSERT_NOT_NULL(test, iu);
	dev->unflushed = c->unflushed;
	rnbd_clt_flush_begin(dev, iu);
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->flushes), c->unflushed ? 1 : 0);
	if (c->written)
		dev->unflushed = true;
	rnbd_clt_flush_end(dev, iu, c->err);
	KUNIT_EXPECT_EQ(test, dev->unflushed, c->after);
	KUNIT_EXPECT_EQ(test, atomic_read(&dev->flushes), 0);
}

static struct kunit_case rnbd_clt_io_cases[] = {
	KUNIT_CASE_PARAM(rw_is_operation_and_flags, rw_gen_params),
	KUNIT_CASE_PARAM(status_is_that_of_the_servers_disk, status_gen_params),
	KUNIT_CASE_PARAM(block_size_has_to_fit_a_page, block_size_gen_params),
	KUNIT_CASE_PARAM(capacity_is_rounded_down_to_blocks, capacity_gen_params),
	KUNIT_CASE_PARAM(physical_block_size_is_one_or_the_logical,
			 physical_gen_params),
	KUNIT_CASE(request_size_is_that_of_the_session),
	KUNIT_CASE_PARAM(length_without_data_fits_32_bits, cap_gen_params),
	KUNIT_CASE(secure_erase_needs_the_server_to_say_so),
	KUNIT_CASE_PARAM(discard_is_made_to_fit, discard_gen_params),
	KUNIT_CASE_PARAM(cache_is_the_servers, cache_gen_params),
	KUNIT_CASE_PARAM(flush_covers_what_came_before_it, flush_gen_params),
	{}
};

static struct kunit_suite rnbd_clt_io_suite = {
	.name		= "rnbd-clt-io",
	.test_cases	= rnbd_clt_io_cases,
};

kunit_test_suite(rnbd_clt_io_suite);
