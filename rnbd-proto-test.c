// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rnbd-proto.h: every message is written as the protocol says, byte
 * by byte, and whatever the protocol does not allow is refused.
 *
 * Where a decoder is given too short a message, that is in memory of just its
 * length, so that KASAN sees who reads beyond it.
 */
#include <kunit/test.h>

#include "rnbd-proto.h"

static void *cut(struct kunit *test, const void *msg, size_t len)
{
	void *p = kunit_kmalloc(test, len, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	memcpy(p, msg, len);
	return p;
}

/* ----------------------------------------------------------- any message --- */

/* What each decoder takes a message for, if it has the right type. */
struct type_case {
	const char	*name;
	u16		type;
	size_t		len;	/* the least */
	bool		(*ok)(const void *msg, size_t len);
};

static bool sess_info_ok(const void *msg, size_t len)
{
	return rnbd_sess_info_decode(msg, len, RNBD_MSG_SESS_INFO) >= 0;
}

static bool sess_info_rsp_ok(const void *msg, size_t len)
{
	return rnbd_sess_info_decode(msg, len, RNBD_MSG_SESS_INFO_RSP) >= 0;
}

static bool open_ok(const void *msg, size_t len)
{
	return !rnbd_open_check(msg, len);
}

static bool open_rsp_ok(const void *msg, size_t len)
{
	struct rnbd_dev_limits lim;

	return !rnbd_open_rsp_decode(&lim, msg, len);
}

static bool io_ok(const void *msg, size_t len)
{
	struct rnbd_io io;

	return !rnbd_io_decode(&io, msg, len);
}

static bool close_ok(const void *msg, size_t len)
{
	u32 id;

	return !rnbd_close_decode(&id, msg, len);
}

static const struct type_case type_cases[] = {
	{ "SESS_INFO",		RNBD_MSG_SESS_INFO,	36,  sess_info_ok },
	{ "SESS_INFO_RSP",	RNBD_MSG_SESS_INFO_RSP,	36,  sess_info_rsp_ok },
	{ "OPEN",		RNBD_MSG_OPEN,		264, open_ok },
	{ "OPEN_RSP",		RNBD_MSG_OPEN_RSP,	56,  open_rsp_ok },
	{ "IO",			RNBD_MSG_IO,		24,  io_ok },
	{ "CLOSE",		RNBD_MSG_CLOSE,		8,   close_ok },
};

KUNIT_ARRAY_PARAM_DESC(type, type_cases, name);

#define TYPE_TEST_LEN	320

static void *type_msg(struct kunit *test, u16 type)
{
	struct rnbd_msg_hdr *msg = kunit_kzalloc(test, TYPE_TEST_LEN, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, msg);
	msg->type = cpu_to_le16(type);
	return msg;
}

static void msg_is_taken_from_its_length_on(struct kunit *test)
{
	const struct type_case *c = test->param_value;
	void *msg = type_msg(test, c->type);
	size_t len;

	for (len = 0; len <= TYPE_TEST_LEN; len++)
		KUNIT_EXPECT_EQ_MSG(test, c->ok(cut(test, msg, len), len),
				    len >= c->len, "%zu bytes", len);
}

static void msg_is_taken_by_its_type(struct kunit *test)
{
	const struct type_case *c = test->param_value;
	struct rnbd_msg_hdr *msg = type_msg(test, 0);
	unsigned int type;

	for (type = 0; type <= U16_MAX; type++) {
		bool mine = type == c->type;

		msg->type = cpu_to_le16(type);
		if (c->ok(msg, TYPE_TEST_LEN) == mine)
			continue;
		KUNIT_FAIL(test, "type %u\n", type);
		return;
	}
}

/* Mainline leaves old memory in it. */
static void msg_padding_is_not_looked_at(struct kunit *test)
{
	const struct type_case *c = test->param_value;
	struct rnbd_msg_hdr *msg = type_msg(test, c->type);

	msg->padding = cpu_to_le16(0xffff);
	KUNIT_EXPECT_TRUE(test, c->ok(msg, TYPE_TEST_LEN));
}

static void msg_tells_its_type(struct kunit *test)
{
	const struct type_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rnbd_msg_type(type_msg(test, c->type), c->len),
			(int)c->type);
}

static void msg_without_a_header_has_no_type(struct kunit *test)
{
	void *msg = type_msg(test, 4);
	size_t len;

	for (len = 0; len < 4; len++)
		KUNIT_EXPECT_EQ_MSG(test, rnbd_msg_type(cut(test, msg, len), len),
				    -EINVAL, "%zu bytes", len);
	KUNIT_EXPECT_EQ(test, rnbd_msg_type(cut(test, msg, 4), 4), 4);
}

/* ------------------------------------------------------------ SESS_INFO ---- */

static void sess_info_is_written(struct kunit *test)
{
	static const u8 want[36] = { 0x01, 0x00, 0x00, 0x00, 0x02 };
	struct rnbd_msg_sess_info msg;

	memset(&msg, 0xff, sizeof(msg));
	rnbd_sess_info_encode(&msg, RNBD_MSG_SESS_INFO_RSP, 2);
	KUNIT_EXPECT_MEMEQ(test, &msg, want, sizeof(want));
}

static void sess_info_tells_any_version(struct kunit *test)
{
	struct rnbd_msg_sess_info msg;
	int ver;

	for (ver = 0; ver <= U8_MAX; ver++) {
		rnbd_sess_info_encode(&msg, RNBD_MSG_SESS_INFO, ver);
		memset(msg.reserved, 0xff, sizeof(msg.reserved));
		KUNIT_EXPECT_EQ(test, rnbd_sess_info_decode(&msg, sizeof(msg),
							    RNBD_MSG_SESS_INFO),
				ver);
	}
}

/* ----------------------------------------------------------------- OPEN ---- */

/* A64 A64 A64 A62 is the longest name there can be */
#define A64	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A62	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct open_case {
	const char		*name;
	enum rnbd_access_mode	mode;
	const char		*dev_name;
};

static const struct open_case open_cases[] = {
	{ "a disk, ro",		RNBD_ACCESS_RO,		"sda" },
	{ "a disk, rw",		RNBD_ACCESS_RW,		"sda" },
	{ "a disk, migration",	RNBD_ACCESS_MIGRATION,	"sda" },
	{ "a path",		RNBD_ACCESS_RW,		"vg0/home" },
	{ "an absolute path",	RNBD_ACCESS_RW,		"/dev/vg0/home" },
	{ "an empty name",	RNBD_ACCESS_RW,		"" },
	{ "the longest name",	RNBD_ACCESS_RW,		A64 A64 A64 A62 },
};

KUNIT_ARRAY_PARAM_DESC(open, open_cases, name);

static void open_is_written(struct kunit *test)
{
	const struct open_case *c = test->param_value;
	u8 want[264] = { 0x02, 0x00, 0x00, 0x00, c->mode };
	struct rnbd_msg_open msg;

	memcpy(want + 6, c->dev_name, strlen(c->dev_name));
	memset(&msg, 0xff, sizeof(msg));
	rnbd_open_encode(&msg, c->mode, c->dev_name);
	KUNIT_EXPECT_MEMEQ(test, &msg, want, sizeof(want));
	KUNIT_EXPECT_EQ(test, rnbd_open_check(&msg, sizeof(msg)), 0);
}

static void open_ends_its_name(struct kunit *test)
{
	struct rnbd_msg_open msg;

	memset(&msg, 0xff, sizeof(msg));
	rnbd_open_encode(&msg, RNBD_ACCESS_RO, A64 A64 A64 A62 "bc");
	KUNIT_EXPECT_STREQ(test, msg.dev_name, A64 A64 A64 A62);
}

static void open_of_a_name_without_an_end_is_refused(struct kunit *test)
{
	struct rnbd_msg_open msg;

	rnbd_open_encode(&msg, RNBD_ACCESS_RO, A64 A64 A64 A62);
	msg.dev_name[254] = 'a';
	KUNIT_EXPECT_EQ(test, rnbd_open_check(&msg, sizeof(msg)), -EINVAL);
}

static void open_has_three_modes(struct kunit *test)
{
	struct rnbd_msg_open msg;
	int mode;

	rnbd_open_encode(&msg, RNBD_ACCESS_RO, "sda");
	for (mode = 0; mode <= U8_MAX; mode++) {
		msg.access_mode = mode;
		KUNIT_EXPECT_EQ_MSG(test, rnbd_open_check(&msg, sizeof(msg)),
				    mode <= 2 ? 0 : -EINVAL, "mode %d", mode);
	}
}

static void open_with_rubbish_after_its_name_is_taken(struct kunit *test)
{
	struct rnbd_msg_open msg;

	memset(&msg, 0xff, sizeof(msg));
	msg.hdr.type = cpu_to_le16(RNBD_MSG_OPEN);
	msg.access_mode = RNBD_ACCESS_RW;
	memcpy(msg.dev_name, "sda", 4);
	KUNIT_EXPECT_EQ(test, rnbd_open_check(&msg, sizeof(msg)), 0);
}

/* ------------------------------------------------------------- OPEN_RSP ---- */

static const struct rnbd_dev_limits limits = {
	.device_id			= 0x01020304,
	.nsectors			= 0x1112131415161718,
	.max_hw_sectors			= 0x21222324,
	.max_write_zeroes_sectors	= 0x31323334,
	.max_discard_sectors		= 0x41424344,
	.discard_granularity		= 0x51525354,
	.discard_alignment		= 0x61626364,
	.physical_block_size		= 0x7172,
	.logical_block_size		= 0x8182,
	.max_segments			= 0x9192,
	.secure_discard			= true,
	.cache_policy			= 0xa1,
};

static const u8 open_rsp_bytes[56] = {
	0x03, 0x00, 0x00, 0x00, 0x04, 0x03, 0x02, 0x01,
	0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
	0x24, 0x23, 0x22, 0x21, 0x34, 0x33, 0x32, 0x31,
	0x44, 0x43, 0x42, 0x41, 0x54, 0x53, 0x52, 0x51,
	0x64, 0x63, 0x62, 0x61, 0x72, 0x71, 0x82, 0x81,
	0x92, 0x91, 0x01, 0x00, 0x00, 0xa1,
};

static void open_rsp_is_written(struct kunit *test)
{
	struct rnbd_msg_open_rsp msg;

	memset(&msg, 0xff, sizeof(msg));
	rnbd_open_rsp_encode(&msg, &limits);
	KUNIT_EXPECT_MEMEQ(test, &msg, open_rsp_bytes, sizeof(msg));
}

static void open_rsp_is_read(struct kunit *test)
{
	struct rnbd_dev_limits got;

	KUNIT_ASSERT_EQ(test, rnbd_open_rsp_decode(&got, open_rsp_bytes,
						   sizeof(open_rsp_bytes)), 0);
	KUNIT_EXPECT_EQ(test, got.device_id, limits.device_id);
	KUNIT_EXPECT_EQ(test, got.nsectors, limits.nsectors);
	KUNIT_EXPECT_EQ(test, got.max_hw_sectors, limits.max_hw_sectors);
	KUNIT_EXPECT_EQ(test, got.max_write_zeroes_sectors,
			limits.max_write_zeroes_sectors);
	KUNIT_EXPECT_EQ(test, got.max_discard_sectors, limits.max_discard_sectors);
	KUNIT_EXPECT_EQ(test, got.discard_granularity, limits.discard_granularity);
	KUNIT_EXPECT_EQ(test, got.discard_alignment, limits.discard_alignment);
	KUNIT_EXPECT_EQ(test, got.physical_block_size, limits.physical_block_size);
	KUNIT_EXPECT_EQ(test, got.logical_block_size, limits.logical_block_size);
	KUNIT_EXPECT_EQ(test, got.max_segments, limits.max_segments);
	KUNIT_EXPECT_TRUE(test, got.secure_discard);
	KUNIT_EXPECT_EQ(test, got.cache_policy, limits.cache_policy);
}

/* What does not fit its field, and what is said instead. */
struct fit_case {
	u32	val;
	u32	physical;
	u32	segments;
};

static const struct fit_case fit_cases[] = {
	{ 512, 512, 512 },
	{ 32768, 32768, 32768 },
	{ 65535, 32768, 65535 },
	{ 65536, 32768, 65535 },
	{ 1U << 31, 32768, 65535 },
	{ U32_MAX, 32768, 65535 },
};

static void fit_desc(const struct fit_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u", c->val);
}

KUNIT_ARRAY_PARAM(fit, fit_cases, fit_desc);

static void open_rsp_says_the_most_that_fits(struct kunit *test)
{
	const struct fit_case *c = test->param_value;
	const struct rnbd_dev_limits lim = {
		.physical_block_size = c->val, .max_segments = c->val,
	};
	struct rnbd_msg_open_rsp msg;

	rnbd_open_rsp_encode(&msg, &lim);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(msg.physical_block_size), c->physical);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(msg.max_segments), c->segments);
}

static void open_rsp_secure_discard_is_any_but_0(struct kunit *test)
{
	static const u16 vals[] = { 0, 1, 2, 0x100, 0xffff };
	struct rnbd_msg_open_rsp msg;
	struct rnbd_dev_limits got;
	int i;

	rnbd_open_rsp_encode(&msg, &limits);
	for (i = 0; i < ARRAY_SIZE(vals); i++) {
		msg.secure_discard = cpu_to_le16(vals[i]);
		KUNIT_ASSERT_EQ(test, rnbd_open_rsp_decode(&got, &msg, sizeof(msg)),
				0);
		KUNIT_EXPECT_EQ_MSG(test, got.secure_discard, vals[i] != 0, "%u",
				    vals[i]);
	}
}

/* ------------------------------------------------------------------- IO ---- */

static const u8 io_bytes[32] = {
	0x04, 0x00, 0x00, 0x00, 0x78, 0x56, 0x34, 0x12,
	0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
	0x01, 0x07, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00,
	0x02, 0x40,
};

static const struct rnbd_io io = {
	.device_id	= 0x12345678,
	.sector		= 0x1122334455667788,
	.rw		= RNBD_OP_WRITE | RNBD_F_SYNC | RNBD_F_FUA | RNBD_F_PREFLUSH,
	.bi_size	= 4096,
	.prio		= 0x4002,
};

static void io_is_written(struct kunit *test)
{
	struct rnbd_msg_io msg;

	memset(&msg, 0xff, sizeof(msg));
	rnbd_io_encode(&msg, &io);
	KUNIT_EXPECT_MEMEQ(test, &msg, io_bytes, sizeof(msg));
}

static void io_is_read(struct kunit *test)
{
	struct rnbd_io got;

	KUNIT_ASSERT_EQ(test, rnbd_io_decode(&got, io_bytes, sizeof(io_bytes)), 0);
	KUNIT_EXPECT_EQ(test, got.device_id, io.device_id);
	KUNIT_EXPECT_EQ(test, got.sector, io.sector);
	KUNIT_EXPECT_EQ(test, got.rw, io.rw);
	KUNIT_EXPECT_EQ(test, got.bi_size, io.bi_size);
	KUNIT_EXPECT_EQ(test, got.prio, io.prio);
}

static void io_of_an_older_client_has_no_priority(struct kunit *test)
{
	struct rnbd_io got;
	size_t len;

	for (len = RNBD_MSG_IO_MIN_LEN; len <= sizeof(io_bytes); len++) {
		KUNIT_ASSERT_EQ(test, rnbd_io_decode(&got, cut(test, io_bytes, len),
						     len), 0);
		KUNIT_EXPECT_EQ_MSG(test, got.prio, len < 32 ? 0 : io.prio,
				    "%zu bytes", len);
	}
}

/* ---------------------------------------------------------------- CLOSE ---- */

static void close_is_written(struct kunit *test)
{
	static const u8 want[] = { 0x05, 0x00, 0x00, 0x00, 0x04, 0x03, 0x02, 0x01 };
	struct rnbd_msg_close msg;

	memset(&msg, 0xff, sizeof(msg));
	rnbd_close_encode(&msg, 0x01020304);
	KUNIT_EXPECT_MEMEQ(test, &msg, want, sizeof(want));
}

static void close_is_read(struct kunit *test)
{
	static const u32 ids[] = { 0, 1, 0x0fffffff, 0x10000000, U32_MAX };
	struct rnbd_msg_close msg;
	u32 id;
	int i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		rnbd_close_encode(&msg, ids[i]);
		KUNIT_ASSERT_EQ(test, rnbd_close_decode(&id, &msg, sizeof(msg)), 0);
		KUNIT_EXPECT_EQ(test, id, ids[i]);
	}
}

static struct kunit_case rnbd_proto_cases[] = {
	KUNIT_CASE_PARAM(msg_is_taken_from_its_length_on, type_gen_params),
	KUNIT_CASE_PARAM(msg_is_taken_by_its_type, type_gen_params),
	KUNIT_CASE_PARAM(msg_padding_is_not_looked_at, type_gen_params),
	KUNIT_CASE_PARAM(msg_tells_its_type, type_gen_params),
	KUNIT_CASE(msg_without_a_header_has_no_type),
	KUNIT_CASE(sess_info_is_written),
	KUNIT_CASE(sess_info_tells_any_version),
	KUNIT_CASE_PARAM(open_is_written, open_gen_params),
	KUNIT_CASE(open_ends_its_name),
	KUNIT_CASE(open_of_a_name_without_an_end_is_refused),
	KUNIT_CASE(open_has_three_modes),
	KUNIT_CASE(open_with_rubbish_after_its_name_is_taken),
	KUNIT_CASE(open_rsp_is_written),
	KUNIT_CASE(open_rsp_is_read),
	KUNIT_CASE_PARAM(open_rsp_says_the_most_that_fits, fit_gen_params),
	KUNIT_CASE(open_rsp_secure_discard_is_any_but_0),
	KUNIT_CASE(io_is_written),
	KUNIT_CASE(io_is_read),
	KUNIT_CASE(io_of_an_older_client_has_no_priority),
	KUNIT_CASE(close_is_written),
	KUNIT_CASE(close_is_read),
	{}
};

static struct kunit_suite rnbd_proto_suite = {
	.name		= "rnbd-proto",
	.test_cases	= rnbd_proto_cases,
};

kunit_test_suite(rnbd_proto_suite);
