// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-srv-con.c, which includes this file: which connections may
 * join a path.
 */
#include <kunit/test.h>

#define CON_TEST_CONS	4

struct con_fixture {
	struct rtrs_srv_sess	sess;
	struct rtrs_srv_path	*path;
	struct rtrs_srv_con	con;
	struct rdma_cm_id	id;
	struct ib_device	dev;
	struct ib_device	other_dev;
};

static void con_test_close(struct work_struct *work)
{
}

/* A path of 4 connections, of which cid 0 and 1 are there. */
static int con_test_init(struct kunit *test)
{
	struct con_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	f->path = kunit_kzalloc(test, struct_size(f->path, cons, CON_TEST_CONS),
				GFP_KERNEL);
	if (!f->path)
		return -ENOMEM;
	f->path->con_num = CON_TEST_CONS;
	f->path->cons[0] = &f->con;
	f->path->cons[1] = &f->con;
	f->path->recon_cnt = 7;
	f->path->dev = &f->dev;
	f->path->sess = &f->sess;
	strscpy(f->path->name, "kunit");
	strscpy(f->sess.name, "kunit");
	INIT_WORK(&f->path->close_work, con_test_close);
	test->priv = f;
	return 0;
}

static void con_test_exit(struct kunit *test)
{
	struct con_fixture *f = test->priv;

	if (f)
		flush_work(&f->path->close_work);
}

struct join_case {
	const char			*name;
	enum rtrs_srv_path_state	state;
	u16				cid;
	u16				cid_num;
	u16				recon_cnt;
	bool				other_dev;
	int				err;
	bool				closes;	/* the path is closed for it */
};

static const struct join_case join_cases[] = {
	{ "the next one",	RTRS_SRV_PATH_CONNECTING, 2, 4, 7, false, 0 },
	{ "the last one",	RTRS_SRV_PATH_CONNECTING, 3, 4, 7, false, 0 },
	{ "one that is there",	RTRS_SRV_PATH_CONNECTING, 1, 4, 7, false, -ECONNRESET },
	{ "the first, which is there", RTRS_SRV_PATH_CONNECTING, 0, 4, 7, false,
	  -ECONNRESET },
	{ "of another number",	RTRS_SRV_PATH_CONNECTING, 2, 5, 7, false, -ECONNRESET },
	{ "of a smaller number", RTRS_SRV_PATH_CONNECTING, 2, 3, 7, false,
	  -ECONNRESET },
	{ "of another attempt",	RTRS_SRV_PATH_CONNECTING, 2, 4, 8, false, -ECONNRESET },
	{ "of an earlier attempt", RTRS_SRV_PATH_CONNECTING, 2, 4, 6, false,
	  -ECONNRESET },
	{ "on another device",	RTRS_SRV_PATH_CONNECTING, 2, 4, 7, true, -ECONNRESET },
	{ "the first of the next attempt", RTRS_SRV_PATH_CONNECTING, 0, 4, 8, false,
	  -EBUSY, true },
	{ "the same, of one that is up", RTRS_SRV_PATH_CONNECTED, 0, 4, 8, false,
	  -EBUSY, true },
	{ "one more, of one that is up", RTRS_SRV_PATH_CONNECTED, 2, 4, 7, false,
	  -ECONNRESET },
	{ "the next, of one going down", RTRS_SRV_PATH_CLOSING, 2, 4, 7, false,
	  -EBUSY },
	{ "the first, of one going down", RTRS_SRV_PATH_CLOSING, 0, 4, 8, false,
	  -EBUSY },
};

KUNIT_ARRAY_PARAM_DESC(join, join_cases, name);

static void con_joins_its_own_path(struct kunit *test)
{
	const struct join_case *c = test->param_value;
	const struct rtrs_conn_req req = {
		.cid = c->cid, .cid_num = c->cid_num, .recon_cnt = c->recon_cnt,
	};
	struct con_fixture *f = test->priv;

	f->path->state = c->state;
	f->id.device = c->other_dev ? &f->other_dev : &f->dev;
	KUNIT_EXPECT_EQ(test, rtrs_srv_con_check_join(f->path, &f->id, &req), c->err);
	KUNIT_EXPECT_EQ(test, f->path->state,
			c->closes ? RTRS_SRV_PATH_CLOSING : c->state);
}

static struct kunit_case rtrs_srv_con_cases[] = {
	KUNIT_CASE_PARAM(con_joins_its_own_path, join_gen_params),
	{}
};

static struct kunit_suite rtrs_srv_con_suite = {
	.name		= "rtrs-srv-con",
	.init		= con_test_init,
	.exit		= con_test_exit,
	.test_cases	= rtrs_srv_con_cases,
};

kunit_test_suite(rtrs_srv_con_suite);
