// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-srv.c, which includes this file: which names a session can
 * have, and how many chunks.
 */
#include <kunit/test.h>

struct printable_case {
	const char	*name;
	const char	*text;
	bool		ok;
};

static const struct printable_case printable_cases[] = {
	{ "letters",		"session",	true },
	{ "a blank",		"my session",	true },
	{ "all kinds of signs",	"!\"#$%&'()*+,-:;<=>?@[]^_`{|}~", true },
	{ "not ASCII",		"\xc3\xa4",	true },
	{ "a line break",	"a\nb",		false },
	{ "a line break at the end", "a\n",	false },
	{ "a carriage return",	"a\rb",		false },
	{ "a tab",		"a\tb",		false },
	{ "a bell",		"\a",		false },
	{ "an escape",		"\x1b[31m",	false },
	{ "the least",		"\x01",		false },
	{ "delete",		"\x7f",		false },
};

KUNIT_ARRAY_PARAM_DESC(printable, printable_cases, name);

static void name_has_to_be_printable(struct kunit *test)
{
	const struct printable_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rtrs_srv_name_printable(c->text), c->ok);
}

struct sess_depth_case {
	const char	*name;
	u32		offered;
	u16		wanted;
};

static const struct sess_depth_case sess_depths[] = {
	{ "none in particular",		0, 0 },
	{ "none in particular, but it could", RTRS_FEAT_QUEUE_DEPTH, 0 },
	{ "a depth, which it does not offer to ask for", 0, 1 },
	{ "a depth, and others offered", ~RTRS_FEAT_QUEUE_DEPTH, 1 },
	{ "the largest depth",		RTRS_FEAT_QUEUE_DEPTH, 65535 },
};

KUNIT_ARRAY_PARAM_DESC(sess_depth, sess_depths, name);

static void depth_is_that_of_all_others(struct kunit *test)
{
	const struct sess_depth_case *c = test->param_value;
	const struct rtrs_conn_req req = {
		.features = c->offered, .wanted_depth = c->wanted,
	};

	KUNIT_EXPECT_EQ(test, rtrs_srv_sess_depth(&req), rtrs_srv_conf.queue_depth);
}

static void depth_is_what_is_wanted_or_less(struct kunit *test)
{
	struct rtrs_conn_req req = { .features = RTRS_FEAT_QUEUE_DEPTH };
	u32 depth = rtrs_srv_conf.queue_depth, n;

	for (n = 1; n <= min(depth + 3, (u32)U16_MAX); n++) {
		req.wanted_depth = n;
		KUNIT_EXPECT_EQ_MSG(test, rtrs_srv_sess_depth(&req), min(n, depth),
				    "%u chunks", n);
	}
}

struct ending_case {
	const char			*name;
	unsigned int			nr;
	enum rtrs_srv_path_state	state[2];
	bool				ending;
};

static const struct ending_case ending_cases[] = {
	{ "up",			1, { RTRS_SRV_PATH_CONNECTED }, false },
	{ "coming up",		1, { RTRS_SRV_PATH_CONNECTING }, false },
	{ "going down",		1, { RTRS_SRV_PATH_CLOSING }, true },
	{ "both up",		2, { RTRS_SRV_PATH_CONNECTED, RTRS_SRV_PATH_CONNECTED },
	  false },
	{ "one going down",	2, { RTRS_SRV_PATH_CLOSING, RTRS_SRV_PATH_CONNECTED },
	  false },
	{ "one coming up",	2, { RTRS_SRV_PATH_CLOSING, RTRS_SRV_PATH_CONNECTING },
	  false },
	{ "both going down",	2, { RTRS_SRV_PATH_CLOSING, RTRS_SRV_PATH_CLOSING },
	  true },
};

KUNIT_ARRAY_PARAM_DESC(ending, ending_cases, name);

static void session_ends_with_all_its_paths(struct kunit *test)
{
	const struct ending_case *c = test->param_value;
	struct rtrs_srv_path *path;
	struct rtrs_srv_sess *sess;
	unsigned int i;

	sess = kunit_kzalloc(test, sizeof(*sess), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, sess);
	INIT_LIST_HEAD(&sess->paths);
	for (i = 0; i < c->nr; i++) {
		path = kunit_kzalloc(test, struct_size(path, cons, 1), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, path);
		path->state = c->state[i];
		list_add_tail(&path->entry, &sess->paths);
	}
	KUNIT_EXPECT_EQ(test, rtrs_srv_sess_ending(sess), c->ending);
}

static struct kunit_case rtrs_srv_cases[] = {
	KUNIT_CASE_PARAM(name_has_to_be_printable, printable_gen_params),
	KUNIT_CASE_PARAM(depth_is_that_of_all_others, sess_depth_gen_params),
	KUNIT_CASE(depth_is_what_is_wanted_or_less),
	KUNIT_CASE_PARAM(session_ends_with_all_its_paths, ending_gen_params),
	{}
};

static struct kunit_suite rtrs_srv_suite = {
	.name		= "rtrs-srv",
	.test_cases	= rtrs_srv_cases,
};

kunit_test_suite(rtrs_srv_suite);
