// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rnbd-srv-io.c, which includes this file: which requests are carried
 * out, and as what.
 */
#include <kunit/test.h>

struct check_fixture {
	struct block_device		bdev;
	struct request_queue		q;
	struct rnbd_srv_sess_dev	sess_dev;
	struct rnbd_srv_sess		sess;
};

static int check_test_init(struct kunit *test)
{
	struct check_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	f->bdev.bd_queue = &f->q;
	f->bdev.bd_nr_sectors = 1000;
	f->q.limits.logical_block_size = 512;
	f->sess_dev.bdev = &f->bdev;
	f->sess_dev.mode = RNBD_ACCESS_RW;
	f->sess_dev.sess = &f->sess;
	test->priv = f;
	return 0;
}

#define IN	DMA_FROM_DEVICE		/* RTRS: a read */
#define OUT	DMA_TO_DEVICE		/* RTRS: a write */

/* ------------------------------------------------- operation and its data -- */

struct data_case {
	const char		*name;
	u32			rw;
	enum dma_data_direction	dir;
	u32			bi_size;
	u32			data_len;
	int			err;
};

static const struct data_case datas[] = {
	{ "read",			RNBD_OP_READ, IN, 4096, 4096, 0 },
	{ "read, all flags",		RNBD_OP_READ | 0xffffff00, IN, 4096, 4096, 0 },
	{ "read of nothing",		RNBD_OP_READ, IN, 0, 0, -EINVAL },
	{ "read, less room",		RNBD_OP_READ, IN, 4096, 512, -EINVAL },
	{ "read, more room",		RNBD_OP_READ, IN, 512, 4096, -EINVAL },
	{ "read without room",		RNBD_OP_READ, IN, 4096, 0, -EINVAL },
	{ "read, as a write",		RNBD_OP_READ, OUT, 4096, 4096, -EINVAL },
	{ "write",			RNBD_OP_WRITE, OUT, 4096, 4096, 0 },
	{ "write, all flags",		RNBD_OP_WRITE | 0xffffff00, OUT, 4096, 4096, 0 },
	{ "write of nothing",		RNBD_OP_WRITE, OUT, 0, 0, 0 },
	{ "write of nothing, as a read", RNBD_OP_WRITE, IN, 0, 0, 0 },
	{ "write, less data",		RNBD_OP_WRITE, OUT, 4096, 512, -EINVAL },
	{ "write, more data",		RNBD_OP_WRITE, OUT, 512, 4096, -EINVAL },
	{ "write without data",		RNBD_OP_WRITE, OUT, 4096, 0, -EINVAL },
	{ "write without a size",	RNBD_OP_WRITE, OUT, 0, 4096, -EINVAL },
	{ "write, as a read",		RNBD_OP_WRITE, IN, 4096, 4096, -EINVAL },
	{ "flush, as a read",		RNBD_OP_FLUSH, IN, 0, 0, 0 },
	{ "flush, as a write",		RNBD_OP_FLUSH, OUT, 0, 0, 0 },
	{ "flush with a size",		RNBD_OP_FLUSH, OUT, 4096, 0, -EINVAL },
	{ "flush with data",		RNBD_OP_FLUSH, OUT, 0, 4096, -EINVAL },
	{ "flush with room",		RNBD_OP_FLUSH, IN, 0, 512, -EINVAL },
	{ "discard",			RNBD_OP_DISCARD, OUT, 4096, 0, 0 },
	{ "discard of much",		RNBD_OP_DISCARD, OUT, 0xfffffe00, 0, 0 },
	{ "discard of nothing",		RNBD_OP_DISCARD, OUT, 0, 0, -EINVAL },
	{ "discard with data",		RNBD_OP_DISCARD, OUT, 4096, 4096, -EINVAL },
	{ "secure erase",		RNBD_OP_SECURE_ERASE, OUT, 4096, 0, 0 },
	{ "secure erase of nothing",	RNBD_OP_SECURE_ERASE, OUT, 0, 0, -EINVAL },
	{ "secure erase with data",	RNBD_OP_SECURE_ERASE, OUT, 4096, 1, -EINVAL },
	{ "write zeroes",		RNBD_OP_WRITE_ZEROES, OUT, 4096, 0, 0 },
	{ "write zeroes to nothing",	RNBD_OP_WRITE_ZEROES, OUT, 0, 0, -EINVAL },
	{ "write zeroes with data",	RNBD_OP_WRITE_ZEROES, OUT, 512, 512, -EINVAL },
	{ "operation 6",		6, OUT, 4096, 4096, -EOPNOTSUPP },
	{ "operation 6, nothing",	6, OUT, 0, 0, -EOPNOTSUPP },
	{ "operation 128",		128, IN, 4096, 4096, -EOPNOTSUPP },
	{ "operation 255, all flags",	U32_MAX, IN, 4096, 4096, -EOPNOTSUPP },
};

KUNIT_ARRAY_PARAM_DESC(data, datas, name);

static void data_belongs_to_its_operation(struct kunit *test)
{
	const struct data_case *c = test->param_value;
	const struct rnbd_io io = { .rw = c->rw, .bi_size = c->bi_size };
	const struct rtrs_srv_req req = { .dir = c->dir, .data_len = c->data_len };

	KUNIT_EXPECT_EQ(test, rnbd_srv_check_data(&io, &req), c->err);
}

/* --------------------------------------------------------------- ranges ---- */

struct range_case {
	const char	*name;
	u64		size;		/* of the device, sectors */
	u32		block_size;
	u64		sector;
	u32		bytes;
	int		err;
};

static const struct range_case ranges[] = {
	{ "the first sector",		1000, 512, 0, 512, 0 },
	{ "the last sector",		1000, 512, 999, 512, 0 },
	{ "all of it",			1000, 512, 0, 512000, 0 },
	{ "a sector too many",		1000, 512, 0, 512512, -EIO },
	{ "just beyond the end",	1000, 512, 1000, 512, -EIO },
	{ "across the end",		1000, 512, 999, 1024, -EIO },
	{ "beyond the end",		1000, 512, 1001, 512, -EIO },
	{ "nothing, at the end",	1000, 512, 1000, 0, 0 },
	{ "nothing, beyond the end",	1000, 512, U64_MAX, 0, 0 },
	{ "the last sector there is",	1000, 512, U64_MAX, 512, -EIO },
	{ "a sum that wraps",		1000, 512, U64_MAX, 1024, -EIO },
	{ "a sum that wraps to 0",	1000, 512, U64_MAX - 7, 4096, -EIO },
	{ "a shift that wraps",		1000, 512, BIT_ULL(55), 512, -EIO },
	{ "a shift that wraps to 1",	1000, 512, BIT_ULL(55) + 1, 512, -EIO },
	{ "the longest",		BIT_ULL(40), 512, 0, 0xfffffe00, 0 },
	{ "the longest, at the end",	BIT_ULL(40), 512, BIT_ULL(40) - 0x7fffff,
	  0xfffffe00, 0 },
	{ "the longest, across it",	BIT_ULL(40), 512, BIT_ULL(40) - 0x7ffffe,
	  0xfffffe00, -EIO },
	{ "a large device",		BIT_ULL(54), 512, BIT_ULL(54) - 1, 512, 0 },
	{ "an empty device",		0, 512, 0, 512, -EIO },
	{ "nothing of an empty device",	0, 512, 0, 0, 0 },
	{ "1 byte",			1000, 512, 0, 1, -EINVAL },
	{ "511 bytes",			1000, 512, 0, 511, -EINVAL },
	{ "513 bytes",			1000, 512, 0, 513, -EINVAL },
	{ "all bits",			1000, 512, 0, U32_MAX, -EINVAL },
	{ "a block of 4096",		1000, 4096, 8, 4096, 0 },
	{ "half a block of 4096",	1000, 4096, 8, 2048, -EINVAL },
	{ "a sector of a block",	1000, 4096, 8, 512, -EINVAL },
	{ "misaligned by a sector",	1000, 4096, 9, 4096, -EINVAL },
	{ "misaligned by seven",	1000, 4096, 7, 4096, -EINVAL },
	{ "a block and a half",		1000, 4096, 0, 6144, -EINVAL },
	{ "the last block of 4096",	1000, 4096, 992, 4096, 0 },
	{ "a block too far",		1000, 4096, 1000, 4096, -EIO },
	{ "a rest that is no block",	1004, 4096, 1000, 4096, -EIO },
	{ "blocks of 2048",		1000, 2048, 4, 2048, 0 },
	{ "blocks of 2048, misaligned",	1000, 2048, 6, 2048, -EINVAL },
	{ "misaligned and beyond the end", 1000, 4096, 1001, 4096, -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(range, ranges, name);

static void range_is_whole_blocks_of_the_device(struct kunit *test)
{
	const struct range_case *c = test->param_value;
	const struct rnbd_io io = { .sector = c->sector, .bi_size = c->bytes };
	struct check_fixture *f = test->priv;

	f->bdev.bd_nr_sectors = c->size;
	f->q.limits.logical_block_size = c->block_size;
	KUNIT_EXPECT_EQ(test, rnbd_srv_check_range(&io, &f->bdev), c->err);
}

/* All of them near both ends of a small device. */
static void range_is_checked_without_a_gap(struct kunit *test)
{
	struct check_fixture *f = test->priv;
	u64 sector, sectors, size = 16;

	f->bdev.bd_nr_sectors = size;
	for (sector = 0; sector < 20; sector++) {
		for (sectors = 1; sectors < 20; sectors++) {
			const struct rnbd_io io = {
				.sector = sector, .bi_size = sectors * 512,
			};
			int want = sector + sectors <= size ? 0 : -EIO;

			KUNIT_EXPECT_EQ_MSG(test, want,
					    rnbd_srv_check_range(&io, &f->bdev),
					    "%llu sectors at %llu", sectors, sector);
		}
	}
}

/* ------------------------------------------------------------- read-only --- */

struct ro_case {
	const char	*name;
	u32		op;
	bool		data;
	int		err;	/* on a device opened ro */
};

static const struct ro_case ros[] = {
	{ "read",		RNBD_OP_READ,		true,	0 },
	{ "write",		RNBD_OP_WRITE,		true,	-EROFS },
	{ "write of nothing",	RNBD_OP_WRITE,		false,	-EROFS },
	{ "flush",		RNBD_OP_FLUSH,		false,	0 },
	{ "discard",		RNBD_OP_DISCARD,	true,	-EROFS },
	{ "secure erase",	RNBD_OP_SECURE_ERASE,	true,	-EROFS },
	{ "write zeroes",	RNBD_OP_WRITE_ZEROES,	true,	-EROFS },
	{ "an unknown one",	6,			true,	-EOPNOTSUPP },
};

KUNIT_ARRAY_PARAM_DESC(ro, ros, name);

static int check_io(struct kunit *test, enum rnbd_access_mode mode)
{
	const struct ro_case *c = test->param_value;
	struct check_fixture *f = test->priv;
	const struct rnbd_io io = {
		.rw		= c->op,
		.bi_size	= c->data ? 512 : 0,
	};
	const struct rtrs_srv_req req = {
		.dir		= c->op == RNBD_OP_READ ? IN : OUT,
		.data_len	= c->op <= RNBD_OP_WRITE ? io.bi_size : 0,
	};

	f->sess_dev.mode = mode;
	return rnbd_srv_check_io(&io, &req, &f->sess_dev);
}

static void ro_changes_nothing(struct kunit *test)
{
	const struct ro_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, check_io(test, RNBD_ACCESS_RO), c->err);
}

static void rw_and_migration_may_all(struct kunit *test)
{
	const struct ro_case *c = test->param_value;
	int want = c->err == -EROFS ? 0 : c->err;

	KUNIT_EXPECT_EQ(test, check_io(test, RNBD_ACCESS_RW), want);
	KUNIT_EXPECT_EQ(test, check_io(test, RNBD_ACCESS_MIGRATION), want);
}

/* ---------------------------------------------------------- as a bio ------- */

struct opf_case {
	const char	*name;
	u32		rw;
	u32		bi_size;
	blk_opf_t	opf;
};

#define FLUSH	(REQ_OP_WRITE | REQ_SYNC | REQ_IDLE | REQ_PREFLUSH)
#define WRITES	(REQ_OP_WRITE | REQ_SYNC | REQ_IDLE)

static const struct opf_case opfs[] = {
	{ "read",		RNBD_OP_READ, 512, REQ_OP_READ },
	{ "read, sync",		RNBD_OP_READ | RNBD_F_SYNC, 512, REQ_OP_READ | REQ_SYNC },
	{ "read, other flags",	RNBD_OP_READ | 0xfffffe00, 512, REQ_OP_READ },
	{ "write",		RNBD_OP_WRITE, 512, WRITES },
	{ "write, sync",	RNBD_OP_WRITE | RNBD_F_SYNC, 512, WRITES },
	{ "write, fua",		RNBD_OP_WRITE | RNBD_F_FUA, 512, WRITES | REQ_FUA },
	{ "write, preflush",	RNBD_OP_WRITE | RNBD_F_PREFLUSH, 512,
	  WRITES | REQ_PREFLUSH },
	{ "write, preflush, fua", RNBD_OP_WRITE | RNBD_F_PREFLUSH | RNBD_F_FUA, 512,
	  WRITES | REQ_PREFLUSH | REQ_FUA },
	{ "write, other flags",	RNBD_OP_WRITE | 0xfffff800, 512, WRITES },
	{ "empty write, fua",	RNBD_OP_WRITE | RNBD_F_FUA, 0, FLUSH },
	{ "empty write, preflush", RNBD_OP_WRITE | RNBD_F_PREFLUSH, 0, FLUSH },
	{ "flush",		RNBD_OP_FLUSH, 0, FLUSH },
	{ "flush, as sent",	RNBD_OP_FLUSH | RNBD_F_SYNC | RNBD_F_FUA |
				RNBD_F_PREFLUSH, 0, FLUSH },
	{ "discard",		RNBD_OP_DISCARD, 512, REQ_OP_DISCARD },
	{ "discard, sync",	RNBD_OP_DISCARD | RNBD_F_SYNC, 512,
	  REQ_OP_DISCARD | REQ_SYNC },
	{ "discard, other flags", RNBD_OP_DISCARD | 0xfffffe00, 512, REQ_OP_DISCARD },
	{ "secure erase",	RNBD_OP_SECURE_ERASE, 512, REQ_OP_SECURE_ERASE },
	{ "write zeroes",	RNBD_OP_WRITE_ZEROES, 512, REQ_OP_WRITE_ZEROES },
	{ "write zeroes, no unmap", RNBD_OP_WRITE_ZEROES | RNBD_F_NOUNMAP, 512,
	  REQ_OP_WRITE_ZEROES | REQ_NOUNMAP },
	{ "write zeroes, fua",	RNBD_OP_WRITE_ZEROES | RNBD_F_FUA, 512,
	  REQ_OP_WRITE_ZEROES },
};

KUNIT_ARRAY_PARAM_DESC(opf, opfs, name);

static void opf_is_operation_and_its_flags(struct kunit *test)
{
	const struct opf_case *c = test->param_value;
	const struct rnbd_io io = { .rw = c->rw, .bi_size = c->bi_size };

	KUNIT_EXPECT_EQ(test, (__force u32)rnbd_srv_opf(&io), (__force u32)c->opf);
}

struct prio_case {
	const char	*name;
	u8		version;
	u16		prio;
	u16		want;
};

static const struct prio_case prios[] = {
	{ "none",		2, 0x0000, 0 },
	{ "none, with a level",	2, 0x0007, 0 },
	{ "real-time",		2, 0x2000, 0x2000 },
	{ "real-time, lowest",	2, 0x2007, 0x2007 },
	{ "best effort",	2, 0x4004, 0x4004 },
	{ "best effort, hint",	2, 0x400c, 0x400c },
	{ "idle",		2, 0x6000, 0x6000 },
	{ "class 4",		2, 0x8000, 0 },
	{ "class 7",		2, 0xe000, 0 },
	{ "all bits",		2, 0xffff, 0 },
	{ "before SESS_INFO",	0, 0x4004, 0 },
	{ "of version 1",	1, 0x4004, 0 },
	{ "of version 3",	3, 0x4004, 0x4004 },
};

KUNIT_ARRAY_PARAM_DESC(prio, prios, name);

static void prio_has_a_class_that_exists(struct kunit *test)
{
	const struct prio_case *c = test->param_value;
	struct check_fixture *f = test->priv;

	f->sess.version = c->version;
	KUNIT_EXPECT_EQ(test, rnbd_srv_ioprio(&f->sess, c->prio), c->want);
}

#undef IN
#undef OUT
#undef FLUSH
#undef WRITES

static struct kunit_case rnbd_srv_io_cases[] = {
	KUNIT_CASE_PARAM(data_belongs_to_its_operation, data_gen_params),
	KUNIT_CASE_PARAM(range_is_whole_blocks_of_the_device, range_gen_params),
	KUNIT_CASE(range_is_checked_without_a_gap),
	KUNIT_CASE_PARAM(ro_changes_nothing, ro_gen_params),
	KUNIT_CASE_PARAM(rw_and_migration_may_all, ro_gen_params),
	KUNIT_CASE_PARAM(opf_is_operation_and_its_flags, opf_gen_params),
	KUNIT_CASE_PARAM(prio_has_a_class_that_exists, prio_gen_params),
	{}
};

static struct kunit_suite rnbd_srv_io_suite = {
	.name		= "rnbd-srv-io",
	.init		= check_test_init,
	.test_cases	= rnbd_srv_io_cases,
};

kunit_test_suite(rnbd_srv_io_suite);
