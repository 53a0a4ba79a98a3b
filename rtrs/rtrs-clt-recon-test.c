// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-clt-recon.c, which includes this file: whether a path is
 * connected again, and when.
 */
#include <kunit/test.h>

struct recon_fixture {
	struct rtrs_clt_sess	sess;
	struct rtrs_clt_path	path;
	unsigned int		worked;
};

static void recon_test_work(struct work_struct *work)
{
	struct rtrs_clt_path *path = container_of(to_delayed_work(work),
						  struct rtrs_clt_path, reconnect);

	container_of(path, struct recon_fixture, path)->worked++;
}

/* A path that is down, and wanted. */
static int recon_test_init(struct kunit *test)
{
	struct recon_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	f->sess.max_reconnect_attempts = -1;
	f->sess.dev.init_name = "kunit";
	f->path.sess = &f->sess;
	f->path.kobj.name = "path";
	f->path.state = RTRS_CLT_DISCONNECTED;
	f->path.wanted = true;
	f->path.tried = true;
	f->path.down_since = jiffies;
	spin_lock_init(&f->path.state_lock);
	INIT_DELAYED_WORK(&f->path.reconnect, recon_test_work);
	test->priv = f;
	return 0;
}

static void recon_test_exit(struct kunit *test)
{
	struct recon_fixture *f = test->priv;

	if (f)
		cancel_delayed_work_sync(&f->path.reconnect);
}

/* --------------------------------------------------------------- when ------ */

struct backoff_case {
	const char	*name;
	unsigned int	attempts;
	unsigned int	down_sec;
	bool		busy;
	unsigned int	ms;	/* a quarter more or less */
};

static const struct backoff_case backoff_cases[] = {
	{ "the first",			0,	0,	false,	500 },
	{ "the second",			1,	1,	false,	1000 },
	{ "the third",			2,	2,	false,	2000 },
	{ "the fourth",			3,	5,	false,	3000 },
	{ "the fifth",			4,	10,	false,	3000 },
	{ "after many",			20,	50,	false,	3000 },
	{ "just before the minute",	20,	58,	false,	3000 },
	{ "after a minute",		20,	62,	false,	8000 },
	{ "after an hour",		500,	3600,	false,	8000 },
	{ "after very many",		UINT_MAX, 3600,	false,	8000 },
	{ "the first, after a minute",	0,	62,	false,	500 },
	{ "the fourth, after a minute",	3,	62,	false,	4000 },
	{ "the fifth, after a minute",	4,	62,	false,	8000 },
	{ "the server is busy",		4,	10,	true,	500 },
	{ "busy, after a minute",	20,	62,	true,	500 },
};

KUNIT_ARRAY_PARAM_DESC(backoff, backoff_cases, name);

static void backoff_set(struct recon_fixture *f, const struct backoff_case *c)
{
	f->path.attempts = c->attempts;
	f->path.down_since = jiffies - c->down_sec * HZ;
	f->path.server_busy = c->busy;
}

static void backoff_is_about_what_is_planned(struct kunit *test)
{
	const struct backoff_case *c = test->param_value;
	struct recon_fixture *f = test->priv;
	int i;

	backoff_set(f, c);
	for (i = 0; i < 200; i++) {
		unsigned int ms = jiffies_to_msecs(rtrs_clt_backoff(&f->path));

		KUNIT_ASSERT_GE(test, ms, c->ms - c->ms / 4);
		/* jiffies are rounded up */
		KUNIT_ASSERT_LE(test, ms, c->ms + c->ms / 4 + 1000 / HZ + 1);
	}
}

/* So that clients do not come all at once. */
static void backoff_differs_from_time_to_time(struct kunit *test)
{
	const struct backoff_case *c = test->param_value;
	struct recon_fixture *f = test->priv;
	unsigned long least = ULONG_MAX, most = 0;
	int i;

	backoff_set(f, c);
	for (i = 0; i < 200; i++) {
		unsigned long t = rtrs_clt_backoff(&f->path);

		least = min(least, t);
		most = max(most, t);
	}
	KUNIT_EXPECT_GE(test, jiffies_to_msecs(most - least), c->ms / 4);
}

static void backoff_is_none_once_for_one_that_was_kicked(struct kunit *test)
{
	struct recon_fixture *f = test->priv;

	f->path.kicked = true;
	KUNIT_EXPECT_EQ(test, rtrs_clt_backoff(&f->path), 0UL);
	KUNIT_EXPECT_FALSE(test, f->path.kicked);
	KUNIT_EXPECT_GT(test, rtrs_clt_backoff(&f->path), 0UL);
}

/* -------------------------------------------------------------- whether ---- */

struct retry_case {
	const char			*name;
	enum rtrs_clt_path_state	state;
	bool				wanted;
	bool				unfit;
	bool				tried;
	bool				tearing;
	unsigned int			attempts;
	int				max;
	bool				may;
};

/* One that is down and wanted. */
#define RETRY(name, attempts, max, may) \
	{ name, RTRS_CLT_DISCONNECTED, true, false, true, false, attempts, max, may }

static const struct retry_case retry_cases[] = {
	RETRY("down and wanted", 0, -1, true),
	RETRY("without a limit", UINT_MAX, -1, true),
	RETRY("with no attempts", 0, 0, false),
	RETRY("the first of one", 0, 1, true),
	RETRY("the second of one", 1, 1, false),
	RETRY("the last of 9999", 9998, 9999, true),
	RETRY("one more", 9999, 9999, false),
	RETRY("far beyond a limit", INT_MAX, 1, false),
	{ "not wanted", RTRS_CLT_DISCONNECTED, false, false, true, false, 0, -1, false },
	{ "unfit", RTRS_CLT_DISCONNECTED, true, true, true, false, 0, -1, false },
	{ "never tried", RTRS_CLT_DISCONNECTED, true, false, false, false, 0, -1, false },
	{ "being torn down", RTRS_CLT_DISCONNECTED, true, false, true, true, 0, -1,
	  false },
	{ "connecting", RTRS_CLT_CONNECTING, true, false, true, false, 0, -1, false },
	{ "connected", RTRS_CLT_CONNECTED, true, false, true, false, 0, -1, false },
	{ "draining", RTRS_CLT_DRAINING, true, false, true, false, 0, -1, false },
};

KUNIT_ARRAY_PARAM_DESC(retry, retry_cases, name);

static void retry_set(struct recon_fixture *f, const struct retry_case *c)
{
	f->path.state = c->state;
	f->path.wanted = c->wanted;
	f->path.unfit = c->unfit;
	f->path.tried = c->tried;
	f->path.tearing = c->tearing;
	f->path.attempts = c->attempts;
	f->sess.max_reconnect_attempts = c->max;
}

static void retry_is_queued_if_it_may(struct kunit *test)
{
	const struct retry_case *c = test->param_value;
	struct recon_fixture *f = test->priv;

	retry_set(f, c);
	rtrs_clt_path_retry(&f->path);
	KUNIT_EXPECT_EQ(test, delayed_work_pending(&f->path.reconnect), c->may);
}

/* Whoever has taken the path down has nothing more to say. */
static void retry_follows_teardown(struct kunit *test)
{
	struct recon_fixture *f = test->priv;

	f->path.tearing = true;
	rtrs_clt_path_retry(&f->path);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&f->path.reconnect));
	rtrs_clt_path_torn(&f->path);
	KUNIT_EXPECT_FALSE(test, f->path.tearing);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&f->path.reconnect));
}

static void retry_does_not_delay_one_that_is_queued(struct kunit *test)
{
	struct recon_fixture *f = test->priv;
	unsigned long when;

	rtrs_clt_path_retry(&f->path);
	when = f->path.reconnect.timer.expires;
	f->path.attempts = 100;
	rtrs_clt_path_retry(&f->path);
	KUNIT_EXPECT_EQ(test, f->path.reconnect.timer.expires, when);
}

struct kick_case {
	const char			*name;
	enum rtrs_clt_path_state	state;
	bool				tearing;
	bool				kicked;
};

static const struct kick_case kick_cases[] = {
	{ "disconnected",	RTRS_CLT_DISCONNECTED,	false,	false },
	{ "being torn down",	RTRS_CLT_DISCONNECTED,	true,	true },
	{ "connecting",		RTRS_CLT_CONNECTING,	false,	true },
	{ "connected",		RTRS_CLT_CONNECTED,	false,	false },
	{ "draining",		RTRS_CLT_DRAINING,	true,	true },
};

KUNIT_ARRAY_PARAM_DESC(kick, kick_cases, name);

/* An attempt that is under way began in worse times, and is followed by another. */
static void kick_is_remembered_where_it_has_to_be(struct kunit *test)
{
	const struct kick_case *c = test->param_value;
	struct recon_fixture *f = test->priv;

	f->path.state = c->state;
	f->path.tearing = c->tearing;
	f->path.attempts = 7;
	rtrs_clt_path_kick(&f->path);
	KUNIT_EXPECT_EQ(test, f->path.kicked, c->kicked);
	KUNIT_EXPECT_EQ(test, f->path.attempts, 0U);
}

/* Also if the limit of attempts had been reached: what failed counts no more. */
static void kick_starts_at_once(struct kunit *test)
{
	struct recon_fixture *f = test->priv;

	f->sess.max_reconnect_attempts = 5;
	f->path.attempts = 5;
	rtrs_clt_path_retry(&f->path);
	KUNIT_ASSERT_FALSE(test, delayed_work_pending(&f->path.reconnect));
	rtrs_clt_path_kick(&f->path);
	flush_work(&f->path.reconnect.work);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&f->path.reconnect));
	KUNIT_EXPECT_EQ(test, f->worked, 1U);
	KUNIT_EXPECT_EQ(test, f->path.attempts, 0U);
}

/* ------------------------------------------------------- what came of it --- */

struct attempted_case {
	const char	*name;
	int		err;
	unsigned int	attempts;	/* after 3 that failed */
	bool		busy;
};

static const struct attempted_case attempted_cases[] = {
	{ "success",	0,		3, false },
	{ "refused",	-ECONNREFUSED,	4, false },
	{ "busy",	-EBUSY,		4, true },
	{ "no answer",	-ETIMEDOUT,	4, false },
};

KUNIT_ARRAY_PARAM_DESC(attempted, attempted_cases, name);

static void attempts_are_counted(struct kunit *test)
{
	const struct attempted_case *c = test->param_value;
	struct recon_fixture *f = test->priv;

	f->path.attempts = 3;
	f->path.server_busy = true;
	rtrs_clt_path_attempted(&f->path, c->err);
	KUNIT_EXPECT_EQ(test, f->path.attempts, c->attempts);
	KUNIT_EXPECT_EQ(test, f->path.server_busy, c->busy);
	KUNIT_EXPECT_EQ(test, f->path.reconnects[0], c->err ? 0ULL : 1ULL);
	KUNIT_EXPECT_EQ(test, f->path.reconnects[1], c->err ? 1ULL : 0ULL);
}

struct want_case {
	const char	*name;
	bool		removed;
	bool		stopped;
	bool		wanted;
};

static const struct want_case want_cases[] = {
	{ "any",			false,	false,	true },
	{ "one that is removed",	true,	false,	false },
	{ "one of a session that ends",	false,	true,	false },
};

KUNIT_ARRAY_PARAM_DESC(want, want_cases, name);

static void want_forgets_what_was_held_against_it(struct kunit *test)
{
	const struct want_case *c = test->param_value;
	struct recon_fixture *f = test->priv;

	f->path.removed = c->removed;
	f->sess.stopped = c->stopped;
	f->path.wanted = false;
	f->path.unfit = true;
	f->path.attempts = 9;
	rtrs_clt_path_want(&f->path);
	KUNIT_EXPECT_EQ(test, f->path.wanted, c->wanted);
	KUNIT_EXPECT_FALSE(test, f->path.unfit);
	KUNIT_EXPECT_EQ(test, f->path.attempts, 0U);
}

static struct kunit_case rtrs_clt_recon_cases[] = {
	KUNIT_CASE_PARAM(backoff_is_about_what_is_planned, backoff_gen_params),
	KUNIT_CASE_PARAM(backoff_differs_from_time_to_time, backoff_gen_params),
	KUNIT_CASE(backoff_is_none_once_for_one_that_was_kicked),
	KUNIT_CASE_PARAM(retry_is_queued_if_it_may, retry_gen_params),
	KUNIT_CASE(retry_follows_teardown),
	KUNIT_CASE(retry_does_not_delay_one_that_is_queued),
	KUNIT_CASE_PARAM(kick_is_remembered_where_it_has_to_be, kick_gen_params),
	KUNIT_CASE(kick_starts_at_once),
	KUNIT_CASE_PARAM(attempts_are_counted, attempted_gen_params),
	KUNIT_CASE_PARAM(want_forgets_what_was_held_against_it, want_gen_params),
	{}
};

static struct kunit_suite rtrs_clt_recon_suite = {
	.name		= "rtrs-clt-recon",
	.init		= recon_test_init,
	.exit		= recon_test_exit,
	.test_cases	= rtrs_clt_recon_cases,
};

kunit_test_suite(rtrs_clt_recon_suite);
