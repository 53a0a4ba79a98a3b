// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rnbd-srv.c, which includes this file: which sessions may open
 * devices, and where an answer has to fit.
 */
#include <kunit/test.h>

struct srv_name_case {
	const char	*name;
	const char	*text;
	bool		ok;
};

static const struct srv_name_case srv_names[] = {
	{ "letters",		"session",	true },
	{ "two hosts",		"client@server", true },
	{ "a blank",		"my session",	true },
	{ "a percent sign",	"%s",		true },
	{ "not ASCII",		"\xc3\xa4",	true },
	{ "a slash",		"a/b",		false },
	{ "a slash at its end",	"a/",		false },
	{ "a dot",		"a.b",		false },
	{ "two dots",		"..",		false },
	{ "a line break",	"a\nb",		false },
	{ "a tab",		"\tb",		false },
	{ "delete",		"a\x7f",	false },
};

KUNIT_ARRAY_PARAM_DESC(srv_name, srv_names, name);

/* It becomes a part of a path, so it must not lead out of its folder. */
static void sessname_stays_in_its_folder(struct kunit *test)
{
	const struct srv_name_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rnbd_srv_sessname_ok(c->text), c->ok);
}

struct wants_case {
	const char		*name;
	enum dma_data_direction	dir;
	size_t			data_len;
	size_t			len;
	bool			wants;
};

static const struct wants_case wants[] = {
	{ "as much",		DMA_FROM_DEVICE, 56,	 56, true },
	{ "more",		DMA_FROM_DEVICE, 4096,	 56, true },
	{ "a byte less",	DMA_FROM_DEVICE, 55,	 56, false },
	{ "nothing",		DMA_FROM_DEVICE, 0,	 56, false },
	{ "a write",		DMA_TO_DEVICE,	 56,	 56, false },
};

KUNIT_ARRAY_PARAM_DESC(wants, wants, name);

static void answer_needs_room(struct kunit *test)
{
	const struct wants_case *c = test->param_value;
	const struct rtrs_srv_req req = { .dir = c->dir, .data_len = c->data_len };

	KUNIT_EXPECT_EQ(test, rnbd_srv_wants(&req, c->len), c->wants);
}

static struct kunit_case rnbd_srv_cases[] = {
	KUNIT_CASE_PARAM(sessname_stays_in_its_folder, srv_name_gen_params),
	KUNIT_CASE_PARAM(answer_needs_room, wants_gen_params),
	{}
};

static struct kunit_suite rnbd_srv_suite = {
	.name		= "rnbd-srv",
	.test_cases	= rnbd_srv_cases,
};

kunit_test_suite(rnbd_srv_suite);
