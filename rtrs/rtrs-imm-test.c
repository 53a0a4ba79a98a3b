// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of the immediate in rtrs-proto.h: what its 32 bits say of a request and
 * of an answer, and which errnos can travel in it.
 */
#include <kunit/test.h>

#include "rtrs-proto.h"

/* ---------------------------------------------------------- the immediate -- */

struct imm_case {
	const char	*name;
	u32		type;
	u32		payload;
	u32		imm;
};

static const struct imm_case imm_cases[] = {
	{ "IO_REQ, nothing",	RTRS_IMM_IO_REQ,	0,	    0x00000000 },
	{ "IO_REQ, all bits",	RTRS_IMM_IO_REQ,	0x0fffffff, 0x0fffffff },
	{ "IO_RSP",		RTRS_IMM_IO_RSP,	0x00012345, 0x10012345 },
	{ "IO_RSP_W_INV",	RTRS_IMM_IO_RSP_W_INV,	0x00000001, 0x20000001 },
	{ "IO_RSP_ROLL",	RTRS_IMM_IO_RSP_ROLL,	0x0007ffff, 0x3007ffff },
	{ "HB_MSG",		RTRS_IMM_HB_MSG,	0,	    0x80000000 },
	{ "HB_ACK",		RTRS_IMM_HB_ACK,	0,	    0x90000000 },
	{ "USER_EVENT",		RTRS_IMM_USER_EVENT,	0x0abcdef0, 0xaabcdef0 },
	{ "USER_EVENT, all",	RTRS_IMM_USER_EVENT,	0x0fffffff, 0xafffffff },
	{ "an unknown type",	15,			0x0fffffff, 0xffffffff },
};

KUNIT_ARRAY_PARAM_DESC(imm, imm_cases, name);

static void imm_is_made_of_type_and_payload(struct kunit *test)
{
	const struct imm_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, be32_to_cpu(rtrs_imm(c->type, c->payload)), c->imm);
}

static void imm_gives_its_type(struct kunit *test)
{
	const struct imm_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rtrs_imm_type(cpu_to_be32(c->imm)), c->type);
}

static void imm_gives_its_payload(struct kunit *test)
{
	const struct imm_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rtrs_imm_payload(cpu_to_be32(c->imm)), c->payload);
}

/* Too large a payload must not make another type of it. */
static void imm_type_is_not_overwritten(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, rtrs_imm_type(rtrs_imm(RTRS_IMM_HB_MSG, U32_MAX)),
			(u32)RTRS_IMM_HB_MSG);
}

struct depth_case {
	u32	depth;
	u32	bits;
};

static const struct depth_case depth_cases[] = {
	{ 1, 0 }, { 2, 1 }, { 3, 2 }, { 4, 2 }, { 5, 3 }, { 8, 3 }, { 9, 4 },
	{ 127, 7 }, { 128, 7 }, { 129, 8 }, { 255, 8 }, { 256, 8 }, { 257, 9 },
	{ 500, 9 }, { 512, 9 }, { 513, 10 }, { 1024, 10 }, { 1025, 11 },
	{ 32768, 15 }, { 32769, 16 }, { 65535, 16 },
};

static void depth_desc(const struct depth_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "depth %u", c->depth);
}

KUNIT_ARRAY_PARAM(depth, depth_cases, depth_desc);

static void chunk_bits_are_those_of_the_last_chunk(struct kunit *test)
{
	const struct depth_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rtrs_chunk_bits(c->depth), c->bits);
}

/* All chunks at all offsets that are a power of two, and one less. */
static void io_req_names_chunk_and_offset(struct kunit *test)
{
	const struct depth_case *c = test->param_value;
	u32 chunk, off, bit;

	for (chunk = 0; chunk < c->depth; chunk++) {
		for (bit = 0; bit <= RTRS_IMM_PAYLOAD_BITS - c->bits; bit++) {
			u32 p;

			off = BIT(bit) - 1;
			p = rtrs_imm_payload(rtrs_imm_io_req(chunk, off, c->bits));
			if (rtrs_io_req_chunk(p, c->bits) == chunk &&
			    rtrs_io_req_off(p, c->bits) == off)
				continue;
			KUNIT_FAIL(test, "chunk %u, offset %u became %u, %u\n",
				   chunk, off, rtrs_io_req_chunk(p, c->bits),
				   rtrs_io_req_off(p, c->bits));
			return;
		}
	}
}

struct io_req_case {
	const char	*name;
	u32		depth;
	u32		chunk;
	u32		off;
	u32		imm;
};

static const struct io_req_case io_req_cases[] = {
	{ "one chunk",		1,	0,	0x0020,	 0x00000020 },
	{ "one chunk, end",	1,	0,	0x0fffffff, 0x0fffffff },
	{ "two chunks",		2,	1,	0x1020,	 0x08001020 },
	{ "512, first",		512,	0,	0,	 0x00000000 },
	{ "512, second",	512,	1,	0x20,	 0x00080020 },
	{ "512, last",		512,	511,	0x1f020, 0x0ff9f020 },
	{ "500, last",		500,	499,	0x1000,	 0x0f981000 },
	{ "513, last",		513,	512,	0x1000,	 0x08001000 },
	{ "65535, last",	65535,	65534,	0xffc,	 0x0fffeffc },
};

KUNIT_ARRAY_PARAM_DESC(io_req, io_req_cases, name);

static void io_req_is_laid_out_by_the_depth(struct kunit *test)
{
	const struct io_req_case *c = test->param_value;
	__be32 imm = rtrs_imm_io_req(c->chunk, c->off, rtrs_chunk_bits(c->depth));

	KUNIT_EXPECT_EQ(test, be32_to_cpu(imm), c->imm);
}

struct geometry_case {
	const char	*name;
	u32		depth;
	u32		size;
	bool		ok;
};

static const struct geometry_case geometry_cases[] = {
	{ "default",			512,	SZ_128K,	true },
	{ "no chunk",			0,	SZ_128K,	false },
	{ "empty chunk",		512,	0,		false },
	{ "one chunk of all",		1,	SZ_256M,	true },
	{ "one chunk of too much",	1,	SZ_256M + 1,	false },
	{ "two chunks of half",		2,	SZ_128M,	true },
	{ "two chunks of too much",	2,	SZ_128M + 1,	false },
	{ "three count as four",	3,	SZ_128M,	false },
	{ "three of a quarter",		3,	SZ_64M,		true },
	{ "most chunks of a page",	65535,	SZ_4K,		true },
	{ "most chunks of a page more",	65535,	SZ_4K + 1,	false },
	{ "too many chunks",		65536,	SZ_4K,		false },
	{ "all bits of both",		U32_MAX, U32_MAX,	false },
	{ "no power of two",		500,	132 * SZ_1K,	true },
	{ "2048 of 128 K",		2048,	SZ_128K,	true },
	{ "2049 of 128 K",		2049,	SZ_128K,	false },
	{ "1 byte",			65535,	1,		true },
};

KUNIT_ARRAY_PARAM_DESC(geometry, geometry_cases, name);

static void geometry_has_to_fit_28_bits(struct kunit *test)
{
	const struct geometry_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rtrs_geometry_ok(c->depth, c->size), c->ok);
}

/* --------------------------------------------------------------- errnos ---- */

struct errno_case {
	const char	*name;
	int		err;
	u32		wire;
};

static const struct errno_case errno_cases[] = {
	{ "success",			0,		0 },
	{ "EPERM",			-EPERM,		EPERM },
	{ "ENOENT",			-ENOENT,	ENOENT },
	{ "EIO",			-EIO,		EIO },
	{ "EOPNOTSUPP",			-EOPNOTSUPP,	EOPNOTSUPP },
	{ "ENOTSUPP is EOPNOTSUPP",	-ENOTSUPP,	EOPNOTSUPP },
	{ "EREMOTEIO",			-EREMOTEIO,	EREMOTEIO },
	{ "the last that fits",		-511,		511 },
	{ "the first that does not",	-512,		EIO },
	{ "one more",			-513,		EIO },
	{ "ERESTART_RESTARTBLOCK",	-ERESTART_RESTARTBLOCK, EIO },
	{ "EPROBE_DEFER",		-EPROBE_DEFER,	EIO },
	{ "ENOTSUPP less one",		-525,		EIO },
	{ "MAX_ERRNO",			-4095,		EIO },
	{ "far too small",		INT_MIN,	EIO },
	{ "positive",			1,		EIO },
	{ "far too large",		INT_MAX,	EIO },
};

KUNIT_ARRAY_PARAM_DESC(errno, errno_cases, name);

static void errno_travels_if_it_fits(struct kunit *test)
{
	const struct errno_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rtrs_errno_to_wire(c->err), c->wire);
}

static void errno_of_an_answer_is_what_travels(struct kunit *test)
{
	const struct errno_case *c = test->param_value;
	u32 p = rtrs_imm_payload(rtrs_imm_io_rsp(RTRS_IMM_IO_RSP, 7, c->err));

	KUNIT_EXPECT_EQ(test, rtrs_io_rsp_err(p), -(int)c->wire);
}

static void errno_of_a_conn_rsp_is_what_travels(struct kunit *test)
{
	const struct errno_case *c = test->param_value;
	struct rtrs_conn_rsp rsp = { .err = c->err }, got = {};
	struct rtrs_msg_conn_rsp msg;

	rtrs_conn_rsp_encode(&msg, &rsp);
	KUNIT_ASSERT_EQ(test, rtrs_conn_rsp_decode(&got, &msg, sizeof(msg)), 0);
	KUNIT_EXPECT_EQ(test, got.err, -(int)c->wire);
}

struct io_rsp_case {
	const char		*name;
	enum rtrs_imm_type	type;
	u32			chunk;
	int			err;
	u32			imm;
};

static const struct io_rsp_case io_rsp_cases[] = {
	{ "good",		RTRS_IMM_IO_RSP,	0,	0,	0x10000000 },
	{ "good, last chunk",	RTRS_IMM_IO_RSP,	511,	0,	0x100001ff },
	{ "largest chunk",	RTRS_IMM_IO_RSP,	0x7ffff, 0,	0x1007ffff },
	{ "EIO",		RTRS_IMM_IO_RSP,	1,	-5,	0x10280001 },
	{ "largest errno",	RTRS_IMM_IO_RSP,	0,	-511,	0x1ff80000 },
	{ "all bits",		RTRS_IMM_IO_RSP,	0x7ffff, -511,	0x1fffffff },
	{ "with inv",		RTRS_IMM_IO_RSP_W_INV,	3,	0,	0x20000003 },
	{ "with inv, EINVAL",	RTRS_IMM_IO_RSP_W_INV,	3,	-22,	0x20b00003 },
	{ "roll",		RTRS_IMM_IO_RSP_ROLL,	300,	0,	0x3000012c },
	{ "roll, ENOSPC",	RTRS_IMM_IO_RSP_ROLL,	300,	-28,	0x30e0012c },
};

KUNIT_ARRAY_PARAM_DESC(io_rsp, io_rsp_cases, name);

static void io_rsp_is_laid_out(struct kunit *test)
{
	const struct io_rsp_case *c = test->param_value;
	__be32 imm = rtrs_imm_io_rsp(c->type, c->chunk, c->err);

	KUNIT_EXPECT_EQ(test, be32_to_cpu(imm), c->imm);
}

static void io_rsp_gives_its_chunk(struct kunit *test)
{
	const struct io_rsp_case *c = test->param_value;
	u32 p = rtrs_imm_payload(cpu_to_be32(c->imm));

	KUNIT_EXPECT_EQ(test, rtrs_io_rsp_chunk(p), c->chunk);
}

static void io_rsp_gives_its_errno(struct kunit *test)
{
	const struct io_rsp_case *c = test->param_value;
	u32 p = rtrs_imm_payload(cpu_to_be32(c->imm));

	KUNIT_EXPECT_EQ(test, rtrs_io_rsp_err(p), c->err);
}

static struct kunit_case rtrs_imm_cases[] = {
	KUNIT_CASE_PARAM(imm_is_made_of_type_and_payload, imm_gen_params),
	KUNIT_CASE_PARAM(imm_gives_its_type, imm_gen_params),
	KUNIT_CASE_PARAM(imm_gives_its_payload, imm_gen_params),
	KUNIT_CASE(imm_type_is_not_overwritten),
	KUNIT_CASE_PARAM(chunk_bits_are_those_of_the_last_chunk, depth_gen_params),
	KUNIT_CASE_PARAM(io_req_names_chunk_and_offset, depth_gen_params),
	KUNIT_CASE_PARAM(io_req_is_laid_out_by_the_depth, io_req_gen_params),
	KUNIT_CASE_PARAM(geometry_has_to_fit_28_bits, geometry_gen_params),
	KUNIT_CASE_PARAM(errno_travels_if_it_fits, errno_gen_params),
	KUNIT_CASE_PARAM(errno_of_an_answer_is_what_travels, errno_gen_params),
	KUNIT_CASE_PARAM(errno_of_a_conn_rsp_is_what_travels, errno_gen_params),
	KUNIT_CASE_PARAM(io_rsp_is_laid_out, io_rsp_gen_params),
	KUNIT_CASE_PARAM(io_rsp_gives_its_chunk, io_rsp_gen_params),
	KUNIT_CASE_PARAM(io_rsp_gives_its_errno, io_rsp_gen_params),
	{}
};

static struct kunit_suite rtrs_imm_suite = {
	.name		= "rtrs-imm",
	.test_cases	= rtrs_imm_cases,
};

kunit_test_suite(rtrs_imm_suite);
