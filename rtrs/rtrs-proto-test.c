// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of the messages in rtrs-proto.h: each is written as the protocol says,
 * byte by byte, and whatever the protocol does not allow is refused.
 *
 * Where a decoder is given too short a message, that is in memory of just its
 * length, so that KASAN sees who reads beyond it.
 */
#include <kunit/test.h>

#include "rtrs-proto.h"

/* A good message with one field changed, and what a decoder says to that. */
struct change_case {
	const char	*name;
	unsigned int	at;
	unsigned int	width;	/* bytes; 0 for no change */
	u32		val;
	int		want;
};

static void change(void *msg, const struct change_case *c)
{
	__le32 val = cpu_to_le32(c->val);

	memcpy(msg + c->at, &val, c->width);
}

/* A message in memory of its own, of which there is no byte more than @len. */
static void *cut(struct kunit *test, const void *msg, size_t len)
{
	void *p = kunit_kmalloc(test, len, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	memcpy(p, msg, len);
	return p;
}

/* --------------------------------------------------------------- versions -- */

struct ver_case {
	const char	*name;
	u16		magic;
	u16		version;
	bool		ok;
};

static const struct ver_case ver_cases[] = {
	{ "2.0",		0x1bbd, 0x0200, true },
	{ "2.1",		0x1bbd, 0x0201, true },
	{ "2.255",		0x1bbd, 0x02ff, true },
	{ "1.0",		0x1bbd, 0x0100, false },
	{ "3.0",		0x1bbd, 0x0300, false },
	{ "0.2",		0x1bbd, 0x0002, false },
	{ "0.0",		0x1bbd, 0x0000, false },
	{ "258.0",		0x1bbd, 0xff00, false },
	{ "no magic",		0x0000, 0x0200, false },
	{ "magic off by one",	0x1bbe, 0x0200, false },
	{ "magic swapped",	0xbd1b, 0x0200, false },
};

KUNIT_ARRAY_PARAM_DESC(ver, ver_cases, name);

static void ver_needs_magic_and_major(struct kunit *test)
{
	const struct ver_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rtrs_proto_ver_ok(cpu_to_le16(c->magic),
						cpu_to_le16(c->version)), c->ok);
}

/* --------------------------------------------------------------- CONN_REQ -- */

static const u8 conn_req_bytes[] = {
	0x00, 0x00,				/* the connection manager's */
	0xbd, 0x1b, 0x00, 0x02,			/* magic, version */
	0x03, 0x00, 0x05, 0x00, 0x07, 0x01,	/* cid, cid_num, recon_cnt */
	0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
	0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
	0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27,
	0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f,
	0x01, 0x00, 0x00, 0x00,			/* first_conn */
	0x0f, 0x00, 0x00, 0x80,			/* features */
	0x34, 0x12, 0x00, 0x00,			/* wanted_depth */
};

static const struct rtrs_conn_req conn_req = {
	.cid		= 3,
	.cid_num	= 5,
	.recon_cnt	= 0x107,
	.sess_uuid	= UUID_INIT(0x10111213, 0x1415, 0x1617, 0x18, 0x19, 0x1a,
				    0x1b, 0x1c, 0x1d, 0x1e, 0x1f),
	.paths_uuid	= UUID_INIT(0x20212223, 0x2425, 0x2627, 0x28, 0x29, 0x2a,
				    0x2b, 0x2c, 0x2d, 0x2e, 0x2f),
	.first_conn	= true,
	.features	= 0x8000000f,
	.wanted_depth	= 0x1234,
};

static void conn_req_is_written(struct kunit *test)
{
	struct rtrs_msg_conn_req msg;

	memset(&msg, 0xff, sizeof(msg));
	rtrs_conn_req_encode(&msg, &conn_req);
	KUNIT_EXPECT_MEMEQ(test, &msg, conn_req_bytes, sizeof(msg));
}

static void conn_req_is_read(struct kunit *test)
{
	struct rtrs_conn_req got;

	KUNIT_ASSERT_EQ(test, rtrs_conn_req_decode(&got, conn_req_bytes,
						   sizeof(conn_req_bytes)), 0);
	KUNIT_EXPECT_EQ(test, got.cid, conn_req.cid);
	KUNIT_EXPECT_EQ(test, got.cid_num, conn_req.cid_num);
	KUNIT_EXPECT_EQ(test, got.recon_cnt, conn_req.recon_cnt);
	KUNIT_EXPECT_TRUE(test, uuid_equal(&got.sess_uuid, &conn_req.sess_uuid));
	KUNIT_EXPECT_TRUE(test, uuid_equal(&got.paths_uuid, &conn_req.paths_uuid));
	KUNIT_EXPECT_TRUE(test, got.first_conn);
	KUNIT_EXPECT_EQ(test, got.features, conn_req.features);
	KUNIT_EXPECT_EQ(test, got.wanted_depth, conn_req.wanted_depth);
}

static const struct change_case conn_req_changes[] = {
	{ "as it is",				0, 0, 0, 0 },
	{ "bytes of the connection manager",	0, 2, 0xffff, 0 },
	{ "magic",				2, 2, 0x1bbc, -ECONNRESET },
	{ "version 2.9",			4, 2, 0x0209, 0 },
	{ "version 1.0",			4, 2, 0x0100, -ECONNRESET },
	{ "version 3.0",			4, 2, 0x0300, -ECONNRESET },
	{ "cid 0",				6, 2, 0, 0 },
	{ "cid the last",			6, 2, 4, 0 },
	{ "cid beyond the last",		6, 2, 5, -ECONNRESET },
	{ "cid far beyond",			6, 2, 0xffff, -ECONNRESET },
	{ "cid_num 0",				8, 2, 0, -ECONNRESET },
	{ "cid_num 1",				8, 2, 1, -ECONNRESET },
	{ "cid_num no more than cid",		8, 2, 3, -ECONNRESET },
	{ "cid_num just enough",		8, 2, 4, 0 },
	{ "cid_num the most",			8, 2, 4096, 0 },
	{ "cid_num too many",			8, 2, 4097, -ECONNRESET },
	{ "cid_num far too many",		8, 2, 0xffff, -ECONNRESET },
	{ "recon_cnt 0",			10, 2, 0, 0 },
	{ "recon_cnt the most",			10, 2, 0xffff, 0 },
	{ "first_conn, other bits",		44, 1, 0xfe, 0 },
	{ "reserved bytes",			45, 3, 0xffffff, 0 },
	{ "unknown features",			48, 4, 0xffffffff, 0 },
	{ "reserved bytes at the end",		54, 2, 0xffff, 0 },
};

KUNIT_ARRAY_PARAM_DESC(conn_req_change, conn_req_changes, name);

static void conn_req_is_checked(struct kunit *test)
{
	const struct change_case *c = test->param_value;
	u8 msg[sizeof(struct rtrs_msg_conn_req)];
	struct rtrs_conn_req got;

	memcpy(msg, conn_req_bytes, sizeof(msg));
	change(msg, c);
	KUNIT_EXPECT_EQ(test, rtrs_conn_req_decode(&got, msg, sizeof(msg)),
			c->want);
}

static void conn_req_first_conn_is_bit_0(struct kunit *test)
{
	struct rtrs_msg_conn_req msg;
	struct rtrs_conn_req got;

	rtrs_conn_req_encode(&msg, &conn_req);
	msg.first_conn = 0xfe;
	KUNIT_ASSERT_EQ(test, rtrs_conn_req_decode(&got, &msg, sizeof(msg)), 0);
	KUNIT_EXPECT_FALSE(test, got.first_conn);
}

static void conn_req_cut_short_is_refused(struct kunit *test)
{
	struct rtrs_conn_req got;
	size_t len;

	for (len = 0; len < sizeof(conn_req_bytes); len++)
		KUNIT_EXPECT_EQ_MSG(test, -ECONNRESET,
				    rtrs_conn_req_decode(&got,
							 cut(test, conn_req_bytes, len),
							 len),
				    "%zu bytes", len);
}

/* The connection manager pads what it delivers. */
static void conn_req_with_padding_is_taken(struct kunit *test)
{
	u8 msg[256] = {};
	struct rtrs_conn_req got;
	size_t len;

	memcpy(msg, conn_req_bytes, sizeof(conn_req_bytes));
	for (len = sizeof(conn_req_bytes); len <= sizeof(msg); len++)
		KUNIT_EXPECT_EQ_MSG(test, 0, rtrs_conn_req_decode(&got, msg, len),
				    "%zu bytes", len);
}

static void conn_req_that_is_not_there_is_refused(struct kunit *test)
{
	struct rtrs_conn_req got;

	KUNIT_EXPECT_EQ(test, rtrs_conn_req_decode(&got, NULL, 0), -ECONNRESET);
	KUNIT_EXPECT_EQ(test, rtrs_conn_req_decode(&got, NULL, 56), -ECONNRESET);
}

/* --------------------------------------------------------------- CONN_RSP -- */

static const u8 conn_rsp_bytes[] = {
	0xbd, 0x1b, 0x00, 0x02,			/* magic, version */
	0x00, 0x00, 0x00, 0x02,			/* err, queue_depth */
	0x00, 0xf0, 0x01, 0x00,			/* max_io_size */
	0x00, 0x10, 0x00, 0x00,			/* max_hdr_size */
	0x02, 0x00, 0x00, 0x00,			/* flags */
	0x08, 0x00, 0x00, 0x00,			/* features */
	0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37,
	0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static const struct rtrs_conn_rsp conn_rsp = {
	.queue_depth	= 512,
	.max_io_size	= SZ_128K - SZ_4K,
	.max_hdr_size	= SZ_4K,
	.flags		= RTRS_RSP_NEW_RKEY,
	.features	= RTRS_FEAT_BOOT_ID,
	.boot_id	= UUID_INIT(0x30313233, 0x3435, 0x3637, 0x38, 0x39, 0x3a,
				    0x3b, 0x3c, 0x3d, 0x3e, 0x3f),
};

static void conn_rsp_is_written(struct kunit *test)
{
	struct rtrs_msg_conn_rsp msg;

	memset(&msg, 0xff, sizeof(msg));
	rtrs_conn_rsp_encode(&msg, &conn_rsp);
	KUNIT_EXPECT_MEMEQ(test, &msg, conn_rsp_bytes, sizeof(msg));
}

static void conn_rsp_is_read(struct kunit *test)
{
	struct rtrs_conn_rsp got;

	KUNIT_ASSERT_EQ(test, rtrs_conn_rsp_decode(&got, conn_rsp_bytes,
						   sizeof(conn_rsp_bytes)), 0);
	KUNIT_EXPECT_EQ(test, got.err, 0);
	KUNIT_EXPECT_EQ(test, got.queue_depth, conn_rsp.queue_depth);
	KUNIT_EXPECT_EQ(test, got.max_io_size, conn_rsp.max_io_size);
	KUNIT_EXPECT_EQ(test, got.max_hdr_size, conn_rsp.max_hdr_size);
	KUNIT_EXPECT_EQ(test, got.flags, conn_rsp.flags);
	KUNIT_EXPECT_EQ(test, got.features, conn_rsp.features);
	KUNIT_EXPECT_TRUE(test, uuid_equal(&got.boot_id, &conn_rsp.boot_id));
}

static const struct change_case conn_rsp_changes[] = {
	{ "as it is",			0, 0, 0, 0 },
	{ "magic",			0, 2, 0xbd1b, -ECONNRESET },
	{ "version 2.1",		2, 2, 0x0201, 0 },
	{ "version 1.0",		2, 2, 0x0100, -ECONNRESET },
	{ "version 3.0",		2, 2, 0x0300, -ECONNRESET },
	{ "err -1",			4, 2, 0xffff, 0 },
	{ "err -511",			4, 2, 0xfe01, 0 },
	{ "err -512",			4, 2, 0xfe00, -ECONNRESET },
	{ "err -517",			4, 2, 0xfdfb, -ECONNRESET },
	{ "err the least",		4, 2, 0x8000, -ECONNRESET },
	{ "err 1",			4, 2, 0x0001, -ECONNRESET },
	{ "err the most",		4, 2, 0x7fff, -ECONNRESET },
	{ "no chunks",			6, 2, 0, 0 },
	{ "no data",			8, 4, 0, 0 },
	{ "unknown flags",		16, 4, 0xffffffff, 0 },
	{ "unknown features",		20, 4, 0xffffffff, 0 },
	{ "reserved bytes",		40, 4, 0xffffffff, 0 },
	{ "reserved bytes at the end",	52, 4, 0xffffffff, 0 },
};

KUNIT_ARRAY_PARAM_DESC(conn_rsp_change, conn_rsp_changes, name);

static void conn_rsp_is_decoded(struct kunit *test)
{
	const struct change_case *c = test->param_value;
	u8 msg[sizeof(struct rtrs_msg_conn_rsp)];
	struct rtrs_conn_rsp got;

	memcpy(msg, conn_rsp_bytes, sizeof(msg));
	change(msg, c);
	KUNIT_EXPECT_EQ(test, rtrs_conn_rsp_decode(&got, msg, sizeof(msg)),
			c->want);
}

static void conn_rsp_cut_short_is_refused(struct kunit *test)
{
	struct rtrs_conn_rsp got;
	size_t len;

	for (len = 0; len < sizeof(conn_rsp_bytes); len++)
		KUNIT_EXPECT_EQ_MSG(test, -ECONNRESET,
				    rtrs_conn_rsp_decode(&got,
							 cut(test, conn_rsp_bytes, len),
							 len),
				    "%zu bytes", len);
	KUNIT_EXPECT_EQ(test, rtrs_conn_rsp_decode(&got, NULL, 0), -ECONNRESET);
}

struct accept_case {
	const char		*name;
	struct rtrs_conn_rsp	rsp;
	u32			offered;
	int			want;
	u16			wanted_depth;
};

#define RSP(depth, io, hdr, ...) { .queue_depth = (depth), .max_io_size = (io), \
				   .max_hdr_size = (hdr), ##__VA_ARGS__ }

static const struct accept_case accept_cases[] = {
	{ "defaults",		RSP(512, SZ_128K - SZ_4K, SZ_4K), 0, 0 },
	{ "one chunk",		RSP(1, SZ_4K, SZ_4K), 0, 0 },
	{ "most chunks",	RSP(65535, SZ_4K, SZ_4K), 0, -EPROTO },
	{ "most that fit",	RSP(32768, SZ_4K, SZ_4K), 0, 0 },
	{ "no chunks",		RSP(0, SZ_128K - SZ_4K, SZ_4K), 0, -EPROTO },
	{ "no data",		RSP(512, 0, SZ_4K), 0, -EPROTO },
	{ "too little data",	RSP(512, SZ_4K - 1, SZ_4K), 0, -EPROTO },
	{ "least data",		RSP(512, SZ_4K, SZ_4K), 0, 0 },
	{ "no messages",	RSP(512, SZ_128K, 0), 0, -EPROTO },
	{ "too short messages",	RSP(512, SZ_128K, SZ_4K - 1), 0, -EPROTO },
	{ "odd sizes",		RSP(512, SZ_128K + 1, SZ_4K + 1), 0, 0 },
	{ "largest chunk",	RSP(1, SZ_256M - SZ_4K, SZ_4K), 0, 0 },
	{ "too large a chunk",	RSP(1, SZ_256M, SZ_4K), 0, -EPROTO },
	{ "a sum that wraps",	RSP(1, U32_MAX - SZ_4K + 1, SZ_4K), 0, -EPROTO },
	{ "a sum of all bits",	RSP(1, U32_MAX, U32_MAX), 0, -EPROTO },
	{ "too many bits",	RSP(2049, SZ_128K - SZ_4K, SZ_4K), 0, -EPROTO },
	{ "an error",		RSP(512, SZ_128K, SZ_4K, .err = -EBUSY), 0, -EPROTO },
	{ "keys with answers",	RSP(512, SZ_128K, SZ_4K, .flags = RTRS_RSP_NEW_RKEY),
	  0, 0 },
	{ "rolling keys",	RSP(512, SZ_128K, SZ_4K,
				    .features = RTRS_FEAT_RKEY_ROLL),
	  RTRS_FEAT_RKEY_ROLL, 0 },
	{ "rolling keys that were not offered",
	  RSP(512, SZ_128K, SZ_4K, .features = RTRS_FEAT_RKEY_ROLL),
	  RTRS_FEAT_BOOT_ID, -EPROTO },
	{ "both kinds of keys",
	  RSP(512, SZ_128K, SZ_4K, .features = RTRS_FEAT_RKEY_ROLL,
	      .flags = RTRS_RSP_NEW_RKEY),
	  RTRS_FEAT_RKEY_ROLL, -EPROTO },
	{ "less than offered",	RSP(512, SZ_128K, SZ_4K,
				    .features = RTRS_FEAT_BOOT_ID), 0xf, 0 },
	{ "all that was offered", RSP(512, SZ_128K, SZ_4K, .features = 0xf), 0xf, 0,
	  512 },
	{ "the depth that was wanted",
	  RSP(16, SZ_128K, SZ_4K, .features = RTRS_FEAT_QUEUE_DEPTH),
	  RTRS_FEAT_QUEUE_DEPTH, 0, 16 },
	{ "a smaller depth",
	  RSP(1, SZ_128K, SZ_4K, .features = RTRS_FEAT_QUEUE_DEPTH),
	  RTRS_FEAT_QUEUE_DEPTH, 0, 16 },
	{ "a larger depth",
	  RSP(17, SZ_128K, SZ_4K, .features = RTRS_FEAT_QUEUE_DEPTH),
	  RTRS_FEAT_QUEUE_DEPTH, -EPROTO, 16 },
	{ "a larger depth, of a server that does not take wishes",
	  RSP(512, SZ_128K, SZ_4K), RTRS_FEAT_QUEUE_DEPTH, 0, 16 },
	{ "a depth that nobody wanted",
	  RSP(16, SZ_128K, SZ_4K, .features = RTRS_FEAT_QUEUE_DEPTH), 0, -EPROTO },
	{ "an unknown feature",	RSP(512, SZ_128K, SZ_4K, .features = BIT(31)), 0xf,
	  -EPROTO },
	{ "unknown flags",	RSP(512, SZ_128K, SZ_4K, .flags = 0xfffffffd), 0, 0 },
};

KUNIT_ARRAY_PARAM_DESC(accept, accept_cases, name);

static void conn_rsp_is_checked(struct kunit *test)
{
	const struct accept_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rtrs_conn_rsp_check(&c->rsp, c->offered,
						  c->wanted_depth), c->want);
}

/* ------------------------------------------------------- names, INFO_REQ -- */

/* A64 A64 A64 A62 is the longest name there can be */
#define A64	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A62	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct name_case {
	const char	*name;
	const char	*text;
	size_t		size;	/* of the field, 0 for that of the message */
	bool		ok;
};

static const struct name_case name_cases[] = {
	{ "one letter",		"a",			0, true },
	{ "a host",		"host-1",		0, true },
	{ "two hosts",		"client@server",	0, true },
	{ "with a blank",	"my session",		0, true },
	{ "not ASCII",		"\xc3\xa4\xc3\xb6",	0, true },
	{ "a percent sign",	"%s%n",			0, true },
	{ "a line break",	"a\nb",			0, true },
	{ "empty",		"",			0, false },
	{ "a slash",		"/",			0, false },
	{ "a slash at the end",	"name/",		0, false },
	{ "a slash inside",	"na/me",		0, false },
	{ "a dot",		".",			0, false },
	{ "two dots",		"..",			0, false },
	{ "a dot inside",	"host.domain",		0, false },
	{ "a dot at the end",	"host.",		0, false },
	{ "the longest",	A64 A64 A64 A62,			0, true },
	{ "too long",		A64 A64 A64 A62 "a",		0, false },
	{ "too long by more",	A64 A64 A64 A62 "aa",		0, false },
	{ "fills its field",	"abc",			3, false },
	{ "just fits its field", "abc",			4, true },
	{ "a field of no bytes", "abc",			0xdead, false },
	{ "too long, in a large field", A64 A64 A64 A62 "a",	300, false },
};

KUNIT_ARRAY_PARAM_DESC(name, name_cases, name);

static size_t name_size(const struct name_case *c)
{
	if (c->size == 0xdead)
		return 0;
	return c->size ?: RTRS_SESSNAME_LEN;
}

static void sessname_is_checked(struct kunit *test)
{
	const struct name_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rtrs_sessname_ok(c->text, name_size(c)), c->ok);
}

static void info_req_is_as_good_as_its_name(struct kunit *test)
{
	const struct name_case *c = test->param_value;
	struct rtrs_msg_info_req msg = {};
	size_t len = min(strlen(c->text), sizeof(msg.sessname));

	if (c->size)
		kunit_skip(test, "a field of another size");
	memcpy(msg.sessname, c->text, len);
	KUNIT_EXPECT_EQ(test, rtrs_info_req_ok(&msg, sizeof(msg)), c->ok);
}

static void info_req_is_written(struct kunit *test)
{
	struct rtrs_msg_info_req msg;
	u8 want[272] = { 0, 0, 's', '1' };

	memset(&msg, 0xff, sizeof(msg));
	rtrs_info_req_encode(&msg, "s1");
	KUNIT_EXPECT_MEMEQ(test, &msg, want, sizeof(want));
}

static void info_req_ends_its_name(struct kunit *test)
{
	struct rtrs_msg_info_req msg;

	memset(&msg, 0xff, sizeof(msg));
	rtrs_info_req_encode(&msg, A64 A64 A64 A62 "too much");
	KUNIT_EXPECT_EQ(test, strnlen(msg.sessname, RTRS_SESSNAME_LEN),
			(size_t)254);
}

static void info_req_of_another_type_is_refused(struct kunit *test)
{
	struct rtrs_msg_info_req msg;
	unsigned int type;

	rtrs_info_req_encode(&msg, "s1");
	for (type = 1; type <= U16_MAX; type++) {
		msg.type = cpu_to_le16(type);
		if (!rtrs_info_req_ok(&msg, sizeof(msg)))
			continue;
		KUNIT_FAIL(test, "type %u is taken\n", type);
		return;
	}
}

static void info_req_cut_short_is_refused(struct kunit *test)
{
	struct rtrs_msg_info_req msg;
	size_t len;

	rtrs_info_req_encode(&msg, "s1");
	for (len = 0; len < sizeof(msg); len++)
		KUNIT_EXPECT_FALSE_MSG(test, rtrs_info_req_ok(cut(test, &msg, len),
							      len),
				       "%zu bytes", len);
}

static void info_req_with_rubbish_after_its_name_is_taken(struct kunit *test)
{
	struct rtrs_msg_info_req msg;

	memset(&msg, 0xff, sizeof(msg));
	msg.type = cpu_to_le16(RTRS_MSG_INFO_REQ);
	memcpy(msg.sessname, "s1", 3);
	KUNIT_EXPECT_TRUE(test, rtrs_info_req_ok(&msg, sizeof(msg)));
}

/* --------------------------------------------------------------- INFO_RSP -- */

#define CHUNK SZ_8K

struct info_rsp_case {
	const char	*name;
	u16		depth;
	u32		flags;
	u32		features;
	u32		sg_cnt;
	u32		len[8];	/* the last one but 0 counts for all that follow */
	int		want;
};

static const struct info_rsp_case info_rsp_cases[] = {
	{ "one of one chunk",	1, 0, 0, 1, { CHUNK }, 1 },
	{ "one of all chunks",	8, 0, 0, 1, { 8 * CHUNK }, 1 },
	{ "two halves",		8, 0, 0, 2, { 4 * CHUNK }, 2 },
	{ "one each",		8, 0, 0, 8, { CHUNK }, 8 },
	{ "of different lengths", 4, 0, 0, 2, { CHUNK, 3 * CHUNK }, 2 },
	{ "512, one each",	512, 0, 0, 512, { CHUNK }, 512 },
	{ "no descriptor",	8, 0, 0, 0, { CHUNK }, -EPROTO },
	{ "more than chunks",	4, 0, 0, 8, { CHUNK }, -EPROTO },
	{ "does not divide",	8, 0, 0, 3, { 2 * CHUNK, 2 * CHUNK, 4 * CHUNK },
	  -EPROTO },
	{ "too few chunks",	8, 0, 0, 2, { 4 * CHUNK, 3 * CHUNK }, -EPROTO },
	{ "too many chunks",	8, 0, 0, 2, { 4 * CHUNK, 5 * CHUNK }, -EPROTO },
	{ "far too many chunks", 8, 0, 0, 2, { 0xffffe000 }, -EPROTO },
	{ "an empty one",	2, 0, 0, 2, { 2 * CHUNK, 0xdead }, -EPROTO },
	{ "part of a chunk",	8, 0, 0, 1, { 8 * CHUNK - 1 }, -EPROTO },
	{ "a byte too much",	8, 0, 0, 1, { 8 * CHUNK + 1 }, -EPROTO },
	{ "half a chunk each",	4, 0, 0, 4, { CHUNK / 2 }, -EPROTO },
	{ "one byte",		1, 0, 0, 1, { 1 }, -EPROTO },
	{ "all bits",		1, 0, 0, 1, { U32_MAX }, -EPROTO },
	{ "new keys, one each",	8, RTRS_RSP_NEW_RKEY, 0, 8, { CHUNK }, 8 },
	{ "new keys, two each",	8, RTRS_RSP_NEW_RKEY, 0, 4, { 2 * CHUNK }, -EPROTO },
	{ "new keys, one of all", 8, RTRS_RSP_NEW_RKEY, 0, 1, { 8 * CHUNK },
	  -EPROTO },
	{ "roll, one each",	8, 0, RTRS_FEAT_RKEY_ROLL, 8, { CHUNK }, 8 },
	{ "roll, one of all",	8, 0, RTRS_FEAT_RKEY_ROLL, 1, { 8 * CHUNK },
	  -EPROTO },
	{ "other features",	8, 0, RTRS_FEAT_BOOT_ID, 1, { 8 * CHUNK }, 1 },
};

KUNIT_ARRAY_PARAM_DESC(info_rsp, info_rsp_cases, name);

static struct rtrs_conn_rsp info_conn_rsp(const struct info_rsp_case *c)
{
	return (struct rtrs_conn_rsp) {
		.queue_depth	= c->depth,
		.max_io_size	= CHUNK - SZ_4K,
		.max_hdr_size	= SZ_4K,
		.flags		= c->flags,
		.features	= c->features,
	};
}

static struct rtrs_msg_info_rsp *info_rsp(struct kunit *test,
					  const struct info_rsp_case *c)
{
	struct rtrs_msg_info_rsp *msg;
	u32 i, last = 0;

	msg = kunit_kzalloc(test, rtrs_info_rsp_size(c->sg_cnt), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, msg);
	rtrs_info_rsp_init(msg, c->sg_cnt);
	for (i = 0; i < c->sg_cnt; i++) {
		if (i < ARRAY_SIZE(c->len) && c->len[i])
			last = i;
		rtrs_sg_desc_encode(&msg->desc[i], 0x1000 * i, i,
				    c->len[last] == 0xdead ? 0 : c->len[last]);
	}
	return msg;
}

static void info_rsp_is_checked(struct kunit *test)
{
	const struct info_rsp_case *c = test->param_value;
	struct rtrs_conn_rsp rsp = info_conn_rsp(c);

	KUNIT_EXPECT_EQ(test, rtrs_info_rsp_check(info_rsp(test, c),
						  rtrs_info_rsp_size(c->sg_cnt),
						  &rsp), c->want);
}

static void info_rsp_cut_short_is_refused(struct kunit *test)
{
	static const struct info_rsp_case c = {
		.depth = 4, .sg_cnt = 4, .len = { CHUNK },
	};
	struct rtrs_conn_rsp rsp = info_conn_rsp(&c);
	struct rtrs_msg_info_rsp *msg = info_rsp(test, &c);
	size_t len;

	for (len = 0; len < rtrs_info_rsp_size(4); len++)
		KUNIT_EXPECT_EQ_MSG(test, -EPROTO,
				    rtrs_info_rsp_check(cut(test, msg, len), len,
							&rsp),
				    "%zu bytes", len);
}

static void info_rsp_of_another_type_is_refused(struct kunit *test)
{
	static const struct info_rsp_case c = {
		.depth = 1, .sg_cnt = 1, .len = { CHUNK },
	};
	struct rtrs_conn_rsp rsp = info_conn_rsp(&c);
	struct rtrs_msg_info_rsp *msg = info_rsp(test, &c);
	unsigned int type;

	for (type = 0; type <= U16_MAX; type++) {
		msg->type = cpu_to_le16(type);
		if (type == RTRS_MSG_INFO_RSP ||
		    rtrs_info_rsp_check(msg, rtrs_info_rsp_size(1), &rsp) < 0)
			continue;
		KUNIT_FAIL(test, "type %u is taken\n", type);
		return;
	}
}

static void info_rsp_is_written(struct kunit *test)
{
	static const u8 want[] = {
		0x01, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
		0xef, 0xcd, 0xab, 0x89, 0x78, 0x56, 0x34, 0x12,
	};
	u8 buf[sizeof(want)] __aligned(8);
	struct rtrs_msg_info_rsp *msg = (void *)buf;

	memset(buf, 0xff, sizeof(buf));
	rtrs_info_rsp_init(msg, 1);
	rtrs_sg_desc_encode(msg->desc, 0x1122334455667788, 0x89abcdef, 0x12345678);
	KUNIT_EXPECT_MEMEQ(test, buf, want, sizeof(want));
}

static void info_rsp_size_is_that_of_its_descriptors(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, rtrs_info_rsp_size(0), (size_t)8);
	KUNIT_EXPECT_EQ(test, rtrs_info_rsp_size(1), (size_t)24);
	KUNIT_EXPECT_EQ(test, rtrs_info_rsp_size(512), (size_t)8200);
	KUNIT_EXPECT_EQ(test, rtrs_info_rsp_size(65535), (size_t)1048568);
}

/* ------------------------------------------------------- WRITE and READ ---- */

static void write_is_written(struct kunit *test)
{
	static const u8 want[] = { 0xff, 0x02, 0x00, 0x34, 0x12, 0xff };
	u8 buf[6];

	memset(buf, 0xff, sizeof(buf));
	KUNIT_EXPECT_EQ(test, rtrs_msg_write_encode(buf + 1, 0x1234), (size_t)4);
	KUNIT_EXPECT_MEMEQ(test, buf, want, sizeof(want));
}

static void write_is_read_at_any_length(struct kunit *test)
{
	u8 msg[RTRS_MAX_REQ_LEN] = { 0x02, 0x00, 0x34, 0x12 };
	size_t len;

	for (len = 0; len <= sizeof(msg); len++) {
		u16 usr_len = 0;

		KUNIT_EXPECT_EQ_MSG(test, len < 4 ? -EINVAL : 0,
				    rtrs_msg_write_decode(&usr_len,
							  cut(test, msg, len), len),
				    "%zu bytes", len);
		KUNIT_EXPECT_EQ_MSG(test, usr_len, len < 4 ? 0 : 0x1234,
				    "%zu bytes", len);
	}
}

static const u8 read_bytes[] = {
	0x03, 0x00, 0x20, 0x00, 0x01, 0x00, 0x01, 0x00,
	0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
	0xef, 0xcd, 0xab, 0x89, 0x00, 0x10, 0x00, 0x00,
};

static const struct rtrs_read_req read_req = {
	.usr_len	= 32,
	.need_inval	= true,
	.sg_cnt		= 1,
	.addr		= 0x1122334455667788,
	.key		= 0x89abcdef,
	.len		= 4096,
};

static void read_is_written(struct kunit *test)
{
	u8 buf[sizeof(read_bytes) + 1];

	KUNIT_EXPECT_EQ(test, rtrs_msg_read_encode(buf + 1, &read_req),
			sizeof(read_bytes));
	KUNIT_EXPECT_MEMEQ(test, buf + 1, read_bytes, sizeof(read_bytes));
}

static void read_without_data_is_written(struct kunit *test)
{
	static const u8 want[] = { 0x03, 0, 0x20, 0, 0, 0, 0, 0, 0xff };
	struct rtrs_read_req req = { .usr_len = 32 };
	u8 buf[sizeof(want)];

	memset(buf, 0xff, sizeof(buf));
	KUNIT_EXPECT_EQ(test, rtrs_msg_read_encode(buf, &req), (size_t)8);
	KUNIT_EXPECT_MEMEQ(test, buf, want, sizeof(want));
}

static void read_is_read(struct kunit *test)
{
	struct rtrs_read_req got;

	KUNIT_ASSERT_EQ(test, rtrs_msg_read_decode(&got, read_bytes,
						   sizeof(read_bytes)), 0);
	KUNIT_EXPECT_EQ(test, got.usr_len, read_req.usr_len);
	KUNIT_EXPECT_EQ(test, got.need_inval, read_req.need_inval);
	KUNIT_EXPECT_EQ(test, got.sg_cnt, read_req.sg_cnt);
	KUNIT_EXPECT_EQ(test, got.addr, read_req.addr);
	KUNIT_EXPECT_EQ(test, got.key, read_req.key);
	KUNIT_EXPECT_EQ(test, got.len, read_req.len);
}

static const struct change_case read_changes[] = {
	{ "as it is",				0, 0, 0, 0 },
	{ "no user message",			2, 2, 0, 0 },
	{ "the longest user message",		2, 2, 0xffff, 0 },
	{ "no invalidation",			4, 2, 0, 0 },
	{ "unknown flags",			4, 2, 0xfffe, 0 },
	{ "all flags",				4, 2, 0xffff, 0 },
	{ "no data, but a key to invalidate",	6, 2, 0, -EINVAL },
	{ "no data, no key",			4, 4, 0, 0 },
	{ "two descriptors",			6, 2, 2, -EINVAL },
	{ "256 descriptors",			6, 2, 0x100, -EINVAL },
	{ "most descriptors",			6, 2, 0xffff, -EINVAL },
	{ "address 0",				8, 4, 0, 0 },
	{ "no bytes",				20, 4, 0, 0 },
	{ "all bytes",				20, 4, 0xffffffff, 0 },
};

KUNIT_ARRAY_PARAM_DESC(read_change, read_changes, name);

static void read_is_checked(struct kunit *test)
{
	const struct change_case *c = test->param_value;
	u8 msg[sizeof(read_bytes)];
	struct rtrs_read_req got;

	memcpy(msg, read_bytes, sizeof(msg));
	change(msg, c);
	KUNIT_EXPECT_EQ(test, rtrs_msg_read_decode(&got, msg, sizeof(msg)),
			c->want);
}

/* Without a descriptor in it the message is complete with 8 bytes. */
static void read_cut_short_is_refused(struct kunit *test)
{
	struct rtrs_read_req got;
	size_t len;

	for (len = 0; len < sizeof(read_bytes); len++)
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
				    rtrs_msg_read_decode(&got,
							 cut(test, read_bytes, len),
							 len),
				    "%zu bytes", len);
}

static void read_without_data_is_read_at_any_length(struct kunit *test)
{
	u8 msg[sizeof(read_bytes)] = { 0x03, 0, 0x20, 0 };
	struct rtrs_read_req got;
	size_t len;

	for (len = 0; len <= sizeof(msg); len++)
		KUNIT_EXPECT_EQ_MSG(test, len < 8 ? -EINVAL : 0,
				    rtrs_msg_read_decode(&got, cut(test, msg, len),
							 len),
				    "%zu bytes", len);
}

/* What lies behind such a message is not taken for a descriptor. */
static void read_without_data_has_no_descriptor(struct kunit *test)
{
	u8 msg[sizeof(read_bytes)];
	struct rtrs_read_req got;

	memset(msg, 0xff, sizeof(msg));
	rtrs_msg_read_encode(msg, &(struct rtrs_read_req) { .usr_len = 32 });
	KUNIT_ASSERT_EQ(test, rtrs_msg_read_decode(&got, msg, sizeof(msg)), 0);
	KUNIT_EXPECT_EQ(test, got.addr, 0ULL);
	KUNIT_EXPECT_EQ(test, got.key, 0U);
	KUNIT_EXPECT_EQ(test, got.len, 0U);
}

static void type_is_read_at_odd_addresses(struct kunit *test)
{
	static const u8 msg[] = { 0xff, 0x34, 0x12, 0xff };

	KUNIT_EXPECT_EQ(test, rtrs_msg_type(msg + 1), 0x1234);
}

/* ------------------------------------------------------------ RKEY_RSP ----- */

static const u8 rkey_rsp_bytes[] = {
	0x04, 0x00, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12,
};

static void rkey_rsp_is_written(struct kunit *test)
{
	struct rtrs_msg_rkey_rsp msg;

	memset(&msg, 0xff, sizeof(msg));
	rtrs_rkey_rsp_encode(&msg, 0x1234, 0x12345678);
	KUNIT_EXPECT_MEMEQ(test, &msg, rkey_rsp_bytes, sizeof(msg));
}

struct rkey_rsp_case {
	const char	*name;
	u16		type;
	u16		chunk;
	u32		imm_chunk;
	bool		ok;
};

static const struct rkey_rsp_case rkey_rsp_cases[] = {
	{ "as it should be",	RTRS_MSG_RKEY_RSP, 7,	   7,	    true },
	{ "chunk 0",		RTRS_MSG_RKEY_RSP, 0,	   0,	    true },
	{ "largest chunk",	RTRS_MSG_RKEY_RSP, 0xffff, 0xffff,  true },
	{ "another chunk",	RTRS_MSG_RKEY_RSP, 7,	   8,	    false },
	{ "same low bits",	RTRS_MSG_RKEY_RSP, 7,	   0x10007, false },
	{ "a READ",		RTRS_MSG_READ,	   7,	   7,	    false },
	{ "an INFO_REQ",	RTRS_MSG_INFO_REQ, 7,	   7,	    false },
	{ "an unknown type",	5,		   7,	   7,	    false },
	{ "type swapped",	0x0400,		   7,	   7,	    false },
};

KUNIT_ARRAY_PARAM_DESC(rkey_rsp, rkey_rsp_cases, name);

static void rkey_rsp_is_checked(struct kunit *test)
{
	const struct rkey_rsp_case *c = test->param_value;
	struct rtrs_msg_rkey_rsp msg;

	rtrs_rkey_rsp_encode(&msg, c->chunk, 1);
	msg.type = cpu_to_le16(c->type);
	KUNIT_EXPECT_EQ(test, rtrs_rkey_rsp_ok(&msg, sizeof(msg), c->imm_chunk),
			c->ok);
}

static void rkey_rsp_cut_short_is_refused(struct kunit *test)
{
	size_t len;

	for (len = 0; len < sizeof(rkey_rsp_bytes); len++)
		KUNIT_EXPECT_FALSE_MSG(test,
				       rtrs_rkey_rsp_ok(cut(test, rkey_rsp_bytes, len),
							len, 0x1234),
				       "%zu bytes", len);
}

static struct kunit_case rtrs_proto_cases[] = {
	KUNIT_CASE_PARAM(ver_needs_magic_and_major, ver_gen_params),
	KUNIT_CASE(conn_req_is_written),
	KUNIT_CASE(conn_req_is_read),
	KUNIT_CASE_PARAM(conn_req_is_checked, conn_req_change_gen_params),
	KUNIT_CASE(conn_req_first_conn_is_bit_0),
	KUNIT_CASE(conn_req_cut_short_is_refused),
	KUNIT_CASE(conn_req_with_padding_is_taken),
	KUNIT_CASE(conn_req_that_is_not_there_is_refused),
	KUNIT_CASE(conn_rsp_is_written),
	KUNIT_CASE(conn_rsp_is_read),
	KUNIT_CASE_PARAM(conn_rsp_is_decoded, conn_rsp_change_gen_params),
	KUNIT_CASE(conn_rsp_cut_short_is_refused),
	KUNIT_CASE_PARAM(conn_rsp_is_checked, accept_gen_params),
	KUNIT_CASE_PARAM(sessname_is_checked, name_gen_params),
	KUNIT_CASE_PARAM(info_req_is_as_good_as_its_name, name_gen_params),
	KUNIT_CASE(info_req_is_written),
	KUNIT_CASE(info_req_ends_its_name),
	KUNIT_CASE(info_req_of_another_type_is_refused),
	KUNIT_CASE(info_req_cut_short_is_refused),
	KUNIT_CASE(info_req_with_rubbish_after_its_name_is_taken),
	KUNIT_CASE_PARAM(info_rsp_is_checked, info_rsp_gen_params),
	KUNIT_CASE(info_rsp_cut_short_is_refused),
	KUNIT_CASE(info_rsp_of_another_type_is_refused),
	KUNIT_CASE(info_rsp_is_written),
	KUNIT_CASE(info_rsp_size_is_that_of_its_descriptors),
	KUNIT_CASE(write_is_written),
	KUNIT_CASE(write_is_read_at_any_length),
	KUNIT_CASE(read_is_written),
	KUNIT_CASE(read_without_data_is_written),
	KUNIT_CASE(read_is_read),
	KUNIT_CASE_PARAM(read_is_checked, read_change_gen_params),
	KUNIT_CASE(read_cut_short_is_refused),
	KUNIT_CASE(read_without_data_is_read_at_any_length),
	KUNIT_CASE(read_without_data_has_no_descriptor),
	KUNIT_CASE(type_is_read_at_odd_addresses),
	KUNIT_CASE(rkey_rsp_is_written),
	KUNIT_CASE_PARAM(rkey_rsp_is_checked, rkey_rsp_gen_params),
	KUNIT_CASE(rkey_rsp_cut_short_is_refused),
	{}
};

static struct kunit_suite rtrs_proto_suite = {
	.name		= "rtrs-proto",
	.test_cases	= rtrs_proto_cases,
};

kunit_test_suite(rtrs_proto_suite);
