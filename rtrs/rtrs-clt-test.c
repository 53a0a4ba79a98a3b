// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-clt.c, which includes this file: what a session takes over
 * from its paths, and when a path may become connected.
 */
#include <kunit/test.h>

struct sess_fixture {
	struct rtrs_clt_sess	sess;
	struct rtrs_clt_path	path;
	struct ib_device	dev;
};

static int sess_test_init(struct kunit *test)
{
	struct sess_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	spin_lock_init(&f->sess.up_lock);
	init_waitqueue_head(&f->sess.answer_wait);
	spin_lock_init(&f->path.state_lock);
	INIT_LIST_HEAD(&f->sess.paths);
	f->sess.dev.init_name = "kunit";
	f->sess.max_msg_len = 264;
	f->path.sess = &f->sess;
	f->path.dev = &f->dev;
	f->path.rsp.queue_depth = 512;
	f->path.rsp.max_io_size = SZ_128K - SZ_4K;
	f->path.rsp.max_hdr_size = SZ_4K;
	f->dev.attrs.max_qp_wr = 65536;
	f->dev.attrs.max_fast_reg_page_list_len = 512;
	test->priv = f;
	return 0;
}

/* --------------------------------------------------------------- chunks ---- */

struct nr_admin_case {
	unsigned int	depth;
	unsigned int	admin;
};

static const struct nr_admin_case nr_admin_cases[] = {
	{ 2, 1 }, { 7, 1 }, { 8, 1 }, { 15, 1 }, { 16, 2 }, { 32, 4 }, { 63, 7 },
	{ 64, 8 }, { 65, 8 }, { 512, 8 }, { 65535, 8 },
};

static void nr_admin_desc(const struct nr_admin_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "depth %u", c->depth);
}

KUNIT_ARRAY_PARAM(nr_admin, nr_admin_cases, nr_admin_desc);

static void admin_has_an_eighth_and_8_at_most(struct kunit *test)
{
	const struct nr_admin_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rtrs_clt_nr_admin(c->depth), c->admin);
}

struct depth_take_case {
	const char	*name;
	unsigned int	had;		/* depth of the session, 0 if it is new */
	unsigned int	had_io;
	unsigned int	depth;		/* of the server */
	unsigned int	max_qp_wr;	/* of the device */
	int		err;
	unsigned int	io_depth;
	bool		unfit;
	unsigned int	wanted;		/* by the user */
	unsigned int	used;		/* if not all chunks */
};

static const struct depth_take_case depth_takes[] = {
	{ "the first",			0, 0, 512, 65536, 0, 504 },
	{ "the first, of two chunks",	0, 0, 2, 65536, 0, 1 },
	{ "the first, of one chunk",	0, 0, 1, 65536, -EINVAL, 0 },
	{ "the first, of no chunk",	0, 0, 0, 65536, -EINVAL, 0 },
	{ "the first, small device",	0, 0, 512, 401, 0, 100 },
	{ "the first, smallest device",	0, 0, 512, 5, 0, 1 },
	{ "the first, too small a device", 0, 0, 512, 4, -EINVAL, 0 },
	{ "another like it",		512, 504, 512, 65536, 0, 504 },
	{ "another, just large enough",	512, 504, 512, 4 * 504 + 1, 0, 504 },
	{ "another, too small a device", 512, 504, 512, 4 * 504, -EINVAL, 504, true },
	{ "another, more chunks",	512, 504, 513, 65536, -EINVAL, 504, true },
	{ "another, fewer chunks",	512, 504, 511, 65536, -EINVAL, 504, true },
	{ "as many as wanted",		0, 0, 64, 65536, 0, 56, false, 64 },
	{ "the least that can be wanted", 0, 0, 2, 65536, 0, 1, false, 2 },
	{ "less than wanted",		0, 0, 32, 65536, 0, 28, false, 64 },
	{ "wanted, small device",	0, 0, 64, 41, 0, 10, false, 64 },
	{ "more than wanted",		0, 0, 512, 65536, 0, 56, false, 64, 64 },
	{ "more than wanted, of which two are used", 0, 0, 512, 65536, 0, 1, false,
	  2, 2 },
	{ "another like that",		512, 56, 512, 65536, 0, 56, false, 64, 64 },
	{ "another, as wanted",		512, 56, 64, 65536, -EINVAL, 56, true, 64, 64 },
};

KUNIT_ARRAY_PARAM_DESC(depth_take, depth_takes, name);

static void depth_is_the_first_paths(struct kunit *test)
{
	const struct depth_take_case *c = test->param_value;
	struct sess_fixture *f = test->priv;

	f->sess.wanted_depth = c->wanted;
	f->sess.queue_depth = c->had;
	f->sess.io_depth = c->had_io;
	f->path.rsp.queue_depth = c->depth;
	f->dev.attrs.max_qp_wr = c->max_qp_wr;
	KUNIT_EXPECT_EQ(test, rtrs_clt_sess_take_depth(&f->sess, &f->path), c->err);
	KUNIT_EXPECT_EQ(test, f->sess.io_depth, c->io_depth);
	KUNIT_EXPECT_EQ(test, f->path.unfit, c->unfit);
}

static void depth_that_is_used_is_the_users(struct kunit *test)
{
	const struct depth_take_case *c = test->param_value;
	struct sess_fixture *f = test->priv;
	struct rtrs_clt_attrs attrs;

	f->sess.wanted_depth = c->wanted;
	f->sess.queue_depth = c->had;
	f->sess.io_depth = c->had_io;
	f->path.rsp.queue_depth = c->depth;
	f->dev.attrs.max_qp_wr = c->max_qp_wr;
	rtrs_clt_sess_take_depth(&f->sess, &f->path);
	rtrs_clt_query(&f->sess, &attrs);
	KUNIT_EXPECT_EQ(test, attrs.queue_depth,
			c->used ?: min_not_zero(c->wanted, f->sess.queue_depth));
	/* what is handed out for administrative requests is there */
	KUNIT_EXPECT_LE(test, rtrs_clt_nr_ios(&f->sess), max(attrs.queue_depth, 1U));
}

/* ---------------------------------------------------------------- sizes ---- */

struct size_take_case {
	const char	*name;
	bool		opened;
	u32		had;
	unsigned int	had_segs;
	u32		max_io;
	unsigned int	segs;
	bool		ok;
	u32		io;
	unsigned int	io_segs;
};

static const struct size_take_case size_takes[] = {
	{ "the first",			false, 0, 0, 126976, 32, true, 126976, 32 },
	{ "a smaller one",		false, 126976, 32, 65536, 17, true, 65536, 17 },
	{ "a larger one",		false, 65536, 17, 126976, 32, true, 65536, 17 },
	{ "some of both",		false, 65536, 17, 126976, 9, true, 65536, 9 },
	{ "later, the same",		true, 65536, 17, 65536, 17, true, 65536, 17 },
	{ "later, larger",		true, 65536, 17, 126976, 32, true, 65536, 17 },
	{ "later, smaller",		true, 65536, 17, 65535, 17, false, 65536, 17 },
	{ "later, fewer segments",	true, 65536, 17, 65536, 16, false, 65536, 17 },
};

KUNIT_ARRAY_PARAM_DESC(size_take, size_takes, name);

static void sizes_are_the_least_until_it_is_open(struct kunit *test)
{
	const struct size_take_case *c = test->param_value;
	struct sess_fixture *f = test->priv;

	f->sess.opened = c->opened;
	f->sess.max_io_size = c->had;
	f->sess.max_segments = c->had_segs;
	KUNIT_EXPECT_EQ(test, rtrs_clt_sess_take_sizes(&f->sess, c->max_io, c->segs),
			c->ok);
	KUNIT_EXPECT_EQ(test, f->sess.max_io_size, c->io);
	KUNIT_EXPECT_EQ(test, f->sess.max_segments, c->io_segs);
}

struct mr_pages_case {
	const char	*name;
	u32		bytes;
	unsigned int	max;	/* of the device */
	unsigned int	pages;
};

static const struct mr_pages_case mr_pages_cases[] = {
	{ "a page",		SZ_4K,		512,	2 },
	{ "less than a page",	1,		512,	2 },
	{ "a byte more",	SZ_4K + 1,	512,	3 },
	{ "124 KiB",		SZ_128K - SZ_4K, 512,	32 },
	{ "1 MiB",		SZ_1M,		512,	257 },
	{ "more than it can",	SZ_4M,		512,	512 },
	{ "a device that cannot", SZ_128K,	0,	0 },
	{ "the largest chunk",	BIT(28),	UINT_MAX, BIT(16) + 1 },
};

KUNIT_ARRAY_PARAM_DESC(mr_pages, mr_pages_cases, name);

static void mr_has_a_page_more_than_data(struct kunit *test)
{
	const struct mr_pages_case *c = test->param_value;
	struct sess_fixture *f = test->priv;

	f->dev.attrs.max_fast_reg_page_list_len = c->max;
	KUNIT_EXPECT_EQ(test, rtrs_clt_mr_pages(&f->dev, c->bytes), c->pages);
}

struct geometry_take_case {
	const char	*name;
	u32		max_io;
	u32		max_hdr;
	unsigned int	dev_pages;
	u16		msg_len;
	int		err;
	u32		io;
};

static const struct geometry_take_case geometry_takes[] = {
	{ "defaults",			SZ_128K - SZ_4K, SZ_4K, 512, 264, 0, 126976 },
	{ "a device of 16 pages",	SZ_128K - SZ_4K, SZ_4K, 16, 264, 0, 15 * SZ_4K },
	{ "a device of two pages",	SZ_128K - SZ_4K, SZ_4K, 2, 264, 0, SZ_4K },
	{ "a device of one page",	SZ_128K - SZ_4K, SZ_4K, 1, 264, -EINVAL, 0 },
	{ "a device of none",		SZ_128K - SZ_4K, SZ_4K, 0, 264, -EINVAL, 0 },
	{ "the longest messages",	SZ_4K, SZ_4K, 512, SZ_4K - 24, 0, SZ_4K },
	{ "too long messages",		SZ_4K, SZ_4K, 512, SZ_4K - 23, -EINVAL, 0 },
	{ "an odd size",		100000, SZ_4K, 512, 264, 0, 100000 },
};

KUNIT_ARRAY_PARAM_DESC(geometry_take, geometry_takes, name);

static void geometry_is_the_servers_or_the_devices(struct kunit *test)
{
	const struct geometry_take_case *c = test->param_value;
	struct sess_fixture *f = test->priv;

	f->path.rsp.max_io_size = c->max_io;
	f->path.rsp.max_hdr_size = c->max_hdr;
	f->dev.attrs.max_fast_reg_page_list_len = c->dev_pages;
	f->sess.max_msg_len = c->msg_len;
	KUNIT_EXPECT_EQ(test, rtrs_clt_sess_take_geometry(&f->sess, &f->path),
			c->err);
	KUNIT_EXPECT_EQ(test, f->sess.max_io_size, c->io);
	KUNIT_EXPECT_EQ(test, f->path.unfit, c->err != 0);
}

/* ---------------------------------------------------------------- up ------- */

static enum rtrs_clt_up sess_test_path_up(struct sess_fixture *f, unsigned int asked)
{
	enum rtrs_clt_up up;

	spin_lock_irq(&f->sess.up_lock);
	up = rtrs_clt_sess_path_up(&f->path, asked);
	spin_unlock_irq(&f->sess.up_lock);
	return up;
}

struct up_case {
	const char		*name;
	unsigned int		nr_up;
	bool			lost;
	bool			says_boot;	/* the server says which it is */
	u8			boot;		/* which one */
	u8			known;		/* which one we know */
	unsigned int		unasked;	/* came up since one was asked */
	bool			sure;		/* there is no doubt */
	enum rtrs_clt_up	up;
};

static const struct up_case up_cases[] = {
	{ "the first",			0, false, true,  1, 0, 0, false, RTRS_CLT_UP },
	{ "another",			1, false, true,  1, 1, 0, false, RTRS_CLT_UP },
	{ "another, to another server", 1, false, true,  2, 1, 0, false, RTRS_CLT_UP_STALE },
	{ "another, to who knows",	1, false, false, 2, 1, 0, false, RTRS_CLT_UP },
	{ "another, and none was asked", 1, false, true, 1, 1, 1, false, RTRS_CLT_UP_UNSURE },
	{ "another, and one is new",	2, false, false, 0, 0, 1, false, RTRS_CLT_UP_UNSURE },
	{ "another, no doubt",		1, false, true,  1, 1, 1, true, RTRS_CLT_UP },
	{ "no doubt, another server",	1, false, true,  2, 1, 1, true, RTRS_CLT_UP_STALE },
	{ "another server, not asked",	1, false, true,  2, 1, 1, false, RTRS_CLT_UP_STALE },
	{ "the first, as others were",	0, false, true,  1, 1, 3, false, RTRS_CLT_UP },
	{ "the first after a restart",	0, false, true,  2, 1, 0, false, RTRS_CLT_UP },
	{ "lost, and nobody knows",	0, true,  true,  1, 1, 0, false, RTRS_CLT_UP_LOST },
	{ "lost, none was asked",	0, true,  true,  1, 1, 1, false, RTRS_CLT_UP_LOST },
	{ "lost, another server",	0, true,  true,  2, 1, 0, false, RTRS_CLT_UP_LOST },
	{ "lost, to who knows",		0, true,  false, 0, 0, 0, false, RTRS_CLT_UP_LOST },
};

KUNIT_ARRAY_PARAM_DESC(up, up_cases, name);

static void up_is_a_path_to_the_server_that_is_known(struct kunit *test)
{
	const struct up_case *c = test->param_value;
	struct sess_fixture *f = test->priv;
	bool up = c->up == RTRS_CLT_UP;

	f->sess.nr_up = c->nr_up;
	f->sess.ups = 5;
	f->sess.doubt = !c->sure;
	f->sess.lost = c->lost;
	f->sess.boot_id.b[0] = c->known;
	f->path.rsp.boot_id.b[0] = c->boot;
	f->path.rsp.features = c->says_boot ? RTRS_FEAT_BOOT_ID : 0;
	KUNIT_EXPECT_EQ(test, sess_test_path_up(f, 5 - c->unasked), c->up);
	KUNIT_EXPECT_EQ(test, f->sess.nr_up, c->nr_up + up);
	KUNIT_EXPECT_EQ(test, f->sess.ups, 5U + up);
	KUNIT_EXPECT_EQ(test, f->sess.boot_id.b[0],
			up && c->says_boot ? c->boot : c->known);
}

/* -------------------------------------------------------------- creating --- */

/* What happens to a path that may create the session, and whether one joins unasked. */
struct doubt_case {
	const char	*name;
	bool		first_conn;
	unsigned int	nr_up;		/* when it begins */
	bool		fails;
	bool		others;		/* such paths are being connected, too */
	bool		creates;
	bool		doubt;
};

static const struct doubt_case doubt_cases[] = {
	{ "the first comes up",		true, 0, false, false, true, false },
	{ "the first fails",		true, 0, true, false, true, true },
	{ "one of two comes up",	true, 0, false, true, true, true },
	{ "one of two fails",		true, 0, true, true, true, true },
	{ "a joiner comes up",		true, 1, false, false, false, false },
	{ "a joiner fails",		true, 1, true, false, false, false },
	{ "a joiner, beside another",	true, 1, false, true, false, true },
	{ "never to create comes up",	false, 0, false, false, false, false },
	{ "never to create fails",	false, 0, true, false, false, false },
};

KUNIT_ARRAY_PARAM_DESC(doubt, doubt_cases, name);

static void doubt_is_there_until_all_are_up(struct kunit *test)
{
	const struct doubt_case *c = test->param_value;
	struct sess_fixture *f = test->priv;

	f->path.first_conn = c->first_conn;
	f->sess.nr_up = c->nr_up;
	f->sess.nr_creating = c->others;
	f->sess.doubt = c->others;
	rtrs_clt_sess_may_create(&f->path);
	KUNIT_EXPECT_EQ(test, f->path.creates, c->creates);
	KUNIT_EXPECT_EQ(test, f->sess.nr_creating, c->others + c->creates);
	KUNIT_EXPECT_EQ(test, f->sess.doubt, c->others || c->creates);
	if (c->fails)
		rtrs_clt_sess_path_failed(&f->path);
	else
		sess_test_path_up(f, f->sess.ups);
	KUNIT_EXPECT_FALSE(test, f->path.creates);
	KUNIT_EXPECT_EQ(test, f->sess.nr_creating, c->others);
	KUNIT_EXPECT_EQ(test, f->sess.doubt, c->doubt);
}

/* --------------------------------------------------------------- asking ---- */

struct asked_case {
	const char			*name;
	enum rtrs_clt_path_state	state;
	u32				question;
	u32				acked;
	bool				answered;
	bool				silent;
};

static const struct asked_case asked_cases[] = {
	{ "answered",		RTRS_CLT_CONNECTED,	3, 3, true, false },
	{ "answered, and more",	RTRS_CLT_CONNECTED,	3, 9, true, false },
	{ "not answered",	RTRS_CLT_CONNECTED,	3, 2, false, true },
	{ "answered before",	RTRS_CLT_CONNECTED,	3, 0, false, true },
	{ "not asked",		RTRS_CLT_CONNECTED,	0, 0, false, false },
	{ "not asked, alive",	RTRS_CLT_CONNECTED,	0, 5, false, false },
	{ "going down",		RTRS_CLT_DRAINING,	3, 3, false, false },
	{ "going down, silent",	RTRS_CLT_DRAINING,	3, 2, false, false },
	{ "coming up",		RTRS_CLT_CONNECTING,	3, 3, false, false },
};

KUNIT_ARRAY_PARAM_DESC(asked, asked_cases, name);

static void asked_is_a_path_that_is_up(struct kunit *test)
{
	const struct asked_case *c = test->param_value;
	struct sess_fixture *f = test->priv;

	f->path.state = c->state;
	f->path.question = c->question;
	f->path.hb.acked = c->acked;
	KUNIT_EXPECT_EQ(test, rtrs_clt_path_asked(&f->path, true), c->answered);
	KUNIT_EXPECT_EQ(test, rtrs_clt_path_asked(&f->path, false), c->silent);
}

/* ----------------------------------------------------------- parameters ---- */

struct params_case {
	const char	*name;
	const char	*sessname;
	unsigned int	path_cnt;
	unsigned int	nr_poll;
	u16		msg_len;
	int		err;
	unsigned int	depth;
};

static const struct params_case params_cases[] = {
	{ "one path",		"s",	1,	0,	264,	0 },
	{ "most paths",		"s",	128,	0,	264,	0 },
	{ "no path",		"s",	0,	0,	264,	-EINVAL },
	{ "too many paths",	"s",	129,	0,	264,	-EINVAL },
	{ "no name",		"",	1,	0,	264,	-EINVAL },
	{ "a dot in its name",	"a.b",	1,	0,	264,	-EINVAL },
	{ "a slash in its name", "a/b",	1,	0,	264,	-EINVAL },
	{ "a poll queue",	"s",	1,	1,	264,	0 },
	{ "too many poll queues", "s",	1,	UINT_MAX, 264,	-EINVAL },
	{ "no messages",	"s",	1,	0,	0,	0 },
	{ "longest messages",	"s",	1,	0,	4072,	0 },
	{ "too long messages",	"s",	1,	0,	4073,	-EINVAL },
	{ "far too long messages", "s",	1,	0,	65535,	-EINVAL },
	{ "a depth of one",	"s",	1,	0,	264,	-EINVAL, 1 },
	{ "the least depth",	"s",	1,	0,	264,	0, 2 },
	{ "the largest depth",	"s",	1,	0,	264,	0, 65535 },
	{ "too large a depth",	"s",	1,	0,	264,	-EINVAL, 65536 },
};

KUNIT_ARRAY_PARAM_DESC(params, params_cases, name);

static void params_are_checked(struct kunit *test)
{
	const struct params_case *c = test->param_value;
	const struct rtrs_clt_params p = {
		.sessname	= c->sessname,
		.path_cnt	= c->path_cnt,
		.nr_poll_queues	= c->nr_poll,
		.queue_depth	= c->depth,
		.max_msg_len	= c->msg_len,
	};

	KUNIT_EXPECT_EQ(test, rtrs_clt_params_check(&p), c->err);
}

static void params_allow_a_poll_queue_a_cpu(struct kunit *test)
{
	struct rtrs_clt_params p = {
		.sessname	= "s",
		.path_cnt	= 1,
		.nr_poll_queues	= num_possible_cpus(),
	};

	KUNIT_EXPECT_EQ(test, rtrs_clt_params_check(&p), 0);
	p.nr_poll_queues++;
	KUNIT_EXPECT_EQ(test, rtrs_clt_params_check(&p), -EINVAL);
}

/* ------------------------------------------------------------ addresses ---- */

struct same_path_case {
	const char	*has;
	const char	*add;
	bool		same;
};

static const struct same_path_case same_paths[] = {
	{ "ip:10.0.0.1@ip:10.0.0.2",	"ip:10.0.0.1@ip:10.0.0.2",	true },
	{ "ip:10.0.0.1@ip:10.0.0.2",	"ip:10.0.0.1,ip:10.0.0.2",	true },
	{ "ip:10.0.0.1@ip:10.0.0.2",	"ip:10.0.0.1@ip:10.0.0.3",	false },
	{ "ip:10.0.0.1@ip:10.0.0.2",	"ip:10.0.0.3@ip:10.0.0.2",	false },
	{ "ip:10.0.0.1@ip:10.0.0.2",	"ip:10.0.0.2@ip:10.0.0.1",	false },
	{ "ip:10.0.0.1@ip:10.0.0.2",	"ip:10.0.0.2",			false },
	{ "ip:10.0.0.2",		"ip:10.0.0.2",			true },
	{ "ip:fd09::1",			"ip:fd09:0::1",			true },
	{ "ip:fd09::1",			"gid:fd09::1",			false },
	{ "gid:fd09::1",		"gid:fd09:0:0::1",		true },
};

static void same_path_desc(const struct same_path_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s and %s", c->has, c->add);
}

KUNIT_ARRAY_PARAM(same_path, same_paths, same_path_desc);

static void path_is_the_same_by_its_addresses(struct kunit *test)
{
	const struct same_path_case *c = test->param_value;
	struct sess_fixture *f = test->priv;
	struct rtrs_path_addr addr;

	KUNIT_ASSERT_EQ(test, rtrs_path_addr_parse(c->has, 1, &f->path.addr), 0);
	/* another port does not make another path of it */
	KUNIT_ASSERT_EQ(test, rtrs_path_addr_parse(c->add, 2, &addr), 0);
	list_add(&f->path.entry, &f->sess.paths);
	KUNIT_EXPECT_EQ(test, rtrs_clt_sess_has_path(&f->sess, NULL, &addr),
			c->same);
	KUNIT_EXPECT_FALSE(test, rtrs_clt_sess_has_path(&f->sess, &f->path, &addr));
}

static struct kunit_case rtrs_clt_cases[] = {
	KUNIT_CASE_PARAM(admin_has_an_eighth_and_8_at_most, nr_admin_gen_params),
	KUNIT_CASE_PARAM(depth_is_the_first_paths, depth_take_gen_params),
	KUNIT_CASE_PARAM(depth_that_is_used_is_the_users, depth_take_gen_params),
	KUNIT_CASE_PARAM(sizes_are_the_least_until_it_is_open, size_take_gen_params),
	KUNIT_CASE_PARAM(mr_has_a_page_more_than_data, mr_pages_gen_params),
	KUNIT_CASE_PARAM(geometry_is_the_servers_or_the_devices,
			 geometry_take_gen_params),
	KUNIT_CASE_PARAM(up_is_a_path_to_the_server_that_is_known, up_gen_params),
	KUNIT_CASE_PARAM(doubt_is_there_until_all_are_up, doubt_gen_params),
	KUNIT_CASE_PARAM(asked_is_a_path_that_is_up, asked_gen_params),
	KUNIT_CASE_PARAM(params_are_checked, params_gen_params),
	KUNIT_CASE(params_allow_a_poll_queue_a_cpu),
	KUNIT_CASE_PARAM(path_is_the_same_by_its_addresses, same_path_gen_params),
	{}
};

static struct kunit_suite rtrs_clt_suite = {
	.name		= "rtrs-clt",
	.init		= sess_test_init,
	.test_cases	= rtrs_clt_cases,
};

kunit_test_suite(rtrs_clt_suite);
