// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-srv-path.c, which includes this file: to which states a path
 * may move, and which extensions it accepts.
 */
#include <kunit/test.h>

static int srv_path_test_init(struct kunit *test)
{
	struct rtrs_srv_path *path;

	path = kunit_kzalloc(test, struct_size(path, cons, 2), GFP_KERNEL);
	test->priv = path;
	return path ? 0 : -ENOMEM;
}

struct srv_move_case {
	const char			*name;
	enum rtrs_srv_path_state	from;
	enum rtrs_srv_path_state	to;
	bool				legal;
};

/* What nobody may ever try warns, and is left out here. */
static const struct srv_move_case srv_moves[] = {
	{ "connecting to connected", RTRS_SRV_PATH_CONNECTING,
	  RTRS_SRV_PATH_CONNECTED, true },
	{ "connecting to closing", RTRS_SRV_PATH_CONNECTING,
	  RTRS_SRV_PATH_CLOSING, true },
	{ "connected to closing", RTRS_SRV_PATH_CONNECTED,
	  RTRS_SRV_PATH_CLOSING, true },
	{ "closing to closed", RTRS_SRV_PATH_CLOSING, RTRS_SRV_PATH_CLOSED, true },
	{ "closing to closing", RTRS_SRV_PATH_CLOSING, RTRS_SRV_PATH_CLOSING, false },
	{ "closing to connected", RTRS_SRV_PATH_CLOSING, RTRS_SRV_PATH_CONNECTED,
	  false },
	{ "closing to connecting", RTRS_SRV_PATH_CLOSING, RTRS_SRV_PATH_CONNECTING,
	  false },
};

KUNIT_ARRAY_PARAM_DESC(srv_move, srv_moves, name);

static void srv_path_moves_if_it_may(struct kunit *test)
{
	const struct srv_move_case *c = test->param_value;
	struct rtrs_srv_path *path = test->priv;

	path->state = c->from;
	KUNIT_EXPECT_EQ(test, rtrs_srv_path_set_state(path, c->to), c->legal);
	KUNIT_EXPECT_EQ(test, path->state, c->legal ? c->to : c->from);
}

static void srv_path_moves_are_few(struct kunit *test)
{
	static const u8 want[] = { BIT(1) | BIT(2), BIT(2), BIT(3), 0 };

	KUNIT_EXPECT_EQ(test, ARRAY_SIZE(rtrs_srv_path_moves), ARRAY_SIZE(want));
	KUNIT_EXPECT_MEMEQ(test, rtrs_srv_path_moves, want, sizeof(want));
}

/* ---------------------------------------------------------- extensions ----- */

#define SRV_EVENT	RTRS_FEAT_USER_EVENT
#define SRV_ROLL	RTRS_FEAT_RKEY_ROLL
#define SRV_BOOT	RTRS_FEAT_BOOT_ID
#define SRV_DEPTH	RTRS_FEAT_QUEUE_DEPTH

#define SRV_TEST_DEPTH	64

struct srv_feature_case {
	const char	*name;
	u32		offered;
	u32		accepted;	/* with always_invalidate */
	u16		wanted;		/* chunks; there are 64 */
};

static const struct srv_feature_case srv_features[] = {
	{ "none",			0, 0 },
	{ "boot id",			SRV_BOOT, SRV_BOOT },
	{ "events",			SRV_EVENT, SRV_EVENT },
	{ "rolling keys",		SRV_ROLL, SRV_ROLL },
	{ "all we know",		SRV_BOOT | SRV_EVENT | SRV_ROLL,
					SRV_BOOT | SRV_EVENT | SRV_ROLL },
	{ "the depth that there is",	SRV_DEPTH, SRV_DEPTH, 64 },
	{ "a larger depth",		SRV_DEPTH, SRV_DEPTH, 65 },
	{ "the largest depth",		SRV_DEPTH, SRV_DEPTH, 65535 },
	{ "a smaller depth",		SRV_DEPTH, 0, 63 },
	{ "no depth in particular",	SRV_DEPTH, 0, 0 },
	{ "a depth, and others",	SRV_DEPTH | SRV_ROLL, SRV_DEPTH | SRV_ROLL, 64 },
	{ "a depth that is not offered", SRV_BOOT, SRV_BOOT, 64 },
	{ "unknown ones",		0xfffffff0, 0 },
	{ "all bits",			0xffffffff, SRV_BOOT | SRV_EVENT | SRV_ROLL },
};

KUNIT_ARRAY_PARAM_DESC(srv_feature, srv_features, name);

static void srv_path_test_make(struct kunit *test, u32 offered, u16 wanted)
{
	struct rtrs_conn_req req = {
		.features = offered, .wanted_depth = wanted, .recon_cnt = 5,
	};
	struct rtrs_srv_path *path = test->priv;
	struct rdma_cm_id *id = kunit_kzalloc(test, sizeof(*id), GFP_KERNEL);
	struct rtrs_srv_sess *sess = kunit_kzalloc(test, sizeof(*sess), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, id);
	KUNIT_ASSERT_NOT_NULL(test, sess);
	sess->queue_depth = SRV_TEST_DEPTH;
	id->route.addr.src_addr.ss_family = AF_INET;
	id->route.addr.dst_addr.ss_family = AF_INET;
	rtrs_srv_path_init(path, sess, id, &req);
}

static void srv_path_accepts_what_it_knows(struct kunit *test)
{
	const struct srv_feature_case *c = test->param_value;
	struct rtrs_srv_path *path = test->priv;
	u32 want = c->accepted;

	if (!rtrs_srv_conf.always_invalidate)
		want &= ~SRV_ROLL;
	srv_path_test_make(test, c->offered, c->wanted);
	KUNIT_EXPECT_EQ(test, path->features, want);
	KUNIT_EXPECT_EQ(test, path->queue_depth, SRV_TEST_DEPTH);
}

/* Keys roll, or answers bring them, or they stay. */
static void srv_path_renews_keys_in_one_way(struct kunit *test)
{
	const struct srv_feature_case *c = test->param_value;
	struct rtrs_srv_path *path = test->priv;
	bool renew = rtrs_srv_conf.always_invalidate;

	srv_path_test_make(test, c->offered, c->wanted);
	KUNIT_EXPECT_EQ(test, path->roll, renew && c->offered & SRV_ROLL);
	KUNIT_EXPECT_EQ(test, path->new_rkey, renew && !(c->offered & SRV_ROLL));
}

static void srv_path_is_named_after_its_ends(struct kunit *test)
{
	struct rtrs_srv_path *path = test->priv;

	srv_path_test_make(test, 0, 0);
	KUNIT_EXPECT_STREQ(test, path->name, "ip:0.0.0.0@ip:0.0.0.0");
	KUNIT_EXPECT_EQ(test, path->recon_cnt, 5);
}

/* --------------------------------------------------- paths of one session -- */

struct srv_name_case {
	const char			*name;
	enum rtrs_srv_path_state	state;	/* of the path a@b that there is */
	const char			*wants;
	int				err;
};

static const struct srv_name_case srv_names[] = {
	{ "another path",	RTRS_SRV_PATH_CONNECTED, "a@c",	0 },
	{ "one like it",	RTRS_SRV_PATH_CONNECTED, "a@b",	-EEXIST },
	{ "like one coming up",	RTRS_SRV_PATH_CONNECTING, "a@b", -EEXIST },
	{ "like one going down", RTRS_SRV_PATH_CLOSING, "a@b",	-EBUSY },
	{ "begins like it",	RTRS_SRV_PATH_CONNECTED, "a@bc", 0 },
};

KUNIT_ARRAY_PARAM_DESC(srv_name, srv_names, name);

static void srv_path_has_ends_of_its_own(struct kunit *test)
{
	const struct srv_name_case *c = test->param_value;
	struct rtrs_srv_path *path = test->priv;
	struct rtrs_srv_sess *sess = kunit_kzalloc(test, sizeof(*sess), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, sess);
	INIT_LIST_HEAD(&sess->paths);
	path->state = c->state;
	strscpy(path->name, "a@b");
	list_add(&path->entry, &sess->paths);
	KUNIT_EXPECT_EQ(test, rtrs_srv_path_check_name(sess, c->wants), c->err);
}

static struct kunit_case rtrs_srv_path_cases[] = {
	KUNIT_CASE_PARAM(srv_path_moves_if_it_may, srv_move_gen_params),
	KUNIT_CASE(srv_path_moves_are_few),
	KUNIT_CASE_PARAM(srv_path_accepts_what_it_knows, srv_feature_gen_params),
	KUNIT_CASE_PARAM(srv_path_renews_keys_in_one_way, srv_feature_gen_params),
	KUNIT_CASE(srv_path_is_named_after_its_ends),
	KUNIT_CASE_PARAM(srv_path_has_ends_of_its_own, srv_name_gen_params),
	{}
};

static struct kunit_suite rtrs_srv_path_suite = {
	.name		= "rtrs-srv-path",
	.init		= srv_path_test_init,
	.test_cases	= rtrs_srv_path_cases,
};

kunit_test_suite(rtrs_srv_path_suite);
