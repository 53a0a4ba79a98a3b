// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-clt-mpath.c: which path each policy chooses, whatever state
 * the others are in.
 *
 * A session here is its list of paths and a path its state, what is under way on
 * its connections, and its latency: more of them no policy looks at.
 */
#include <kunit/test.h>

#include "rtrs-clt.h"

#define MAX_PATHS	4
#define NR_CONS		4

/* What a path is like. */
struct path_state {
	enum rtrs_clt_path_state	state;
	int				inflight;	/* on cid 1 */
	u64				latency;
};

#define UP(inflight, latency)	{ RTRS_CLT_CONNECTED, inflight, latency }
#define DOWN(state)		{ RTRS_CLT_##state, 0, 0 }

struct fixture {
	struct rtrs_clt_sess	sess;
	struct rtrs_clt_path	path[MAX_PATHS];
	struct rtrs_clt_con	con[MAX_PATHS][NR_CONS];
	struct rtrs_clt_con	*cons[MAX_PATHS][NR_CONS];
};

static int mpath_init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	unsigned int i, cid;

	if (!f)
		return -ENOMEM;
	f->sess.rr = alloc_percpu(unsigned int);
	if (!f->sess.rr)
		return -ENOMEM;
	f->sess.nr_cons = NR_CONS;
	INIT_LIST_HEAD(&f->sess.paths);
	for (i = 0; i < MAX_PATHS; i++) {
		f->path[i].sess = &f->sess;
		f->path[i].cons = f->cons[i];
		for (cid = 0; cid < NR_CONS; cid++)
			f->cons[i][cid] = &f->con[i][cid];
	}
	test->priv = f;
	return 0;
}

static void mpath_exit(struct kunit *test)
{
	struct fixture *f = test->priv;

	if (f)
		free_percpu(f->sess.rr);
}

static void set_paths(struct fixture *f, const struct path_state *state,
		      unsigned int nr)
{
	unsigned int i;

	INIT_LIST_HEAD(&f->sess.paths);
	for (i = 0; i < nr; i++) {
		f->path[i].state = state[i].state;
		f->path[i].hb.latency_ns = state[i].latency;
		atomic_set(&f->con[i][1].c.inflight, state[i].inflight);
		list_add_tail(&f->path[i].entry, &f->sess.paths);
	}
}

/* Number of the path that a policy chooses for queue 0, -1 for none. */
static int choose(struct kunit *test, const char *policy)
{
	const struct rtrs_clt_policy *p = rtrs_clt_policy_find(policy);
	struct fixture *f = test->priv;
	struct rtrs_clt_path *path;

	KUNIT_ASSERT_NOT_NULL(test, p);
	guard(rcu)();
	path = p->select(&f->sess, 0);
	return path ? path - f->path : -1;
}

/* ------------------------------------------------------ the two that weigh -- */

struct choice_case {
	const char		*name;
	unsigned int		nr;
	struct path_state	path[MAX_PATHS];
	int			mi;	/* what min-inflight chooses */
	int			ml;	/* what min-latency chooses */
};

static const struct choice_case choice_cases[] = {
	{ "no paths",		0, { }, -1, -1 },
	{ "one, up",		1, { UP(0, 1) }, 0, 0 },
	{ "one, disconnected",	1, { DOWN(DISCONNECTED) }, -1, -1 },
	{ "one, connecting",	1, { DOWN(CONNECTING) }, -1, -1 },
	{ "one, draining",	1, { DOWN(DRAINING) }, -1, -1 },
	{ "one, busy",		1, { UP(1000, 1) }, 0, 0 },
	{ "one, as busy as can be", 1, { UP(INT_MAX - 1, 1) }, 0, 0 },
	{ "one, slow",		1, { UP(0, NSEC_PER_SEC) }, 0, 0 },
	{ "equal ones",		3, { UP(5, 5), UP(5, 5), UP(5, 5) }, 0, 0 },
	{ "idle is the last",	3, { UP(2, 1), UP(1, 2), UP(0, 3) }, 2, 0 },
	{ "idle is the second",	3, { UP(2, 9), UP(0, 8), UP(1, 7) }, 1, 2 },
	{ "fast is the second",	3, { UP(1, 9), UP(2, 3), UP(3, 7) }, 0, 1 },
	{ "not answered yet is fast", 2, { UP(1, 1000), UP(1, 0) }, 0, 1 },
	{ "idle, but down",	3, { UP(7, 7), DOWN(DISCONNECTED), UP(8, 6) }, 0, 2 },
	{ "idle, but connecting", 3, { DOWN(CONNECTING), UP(8, 6), UP(7, 7) }, 2, 1 },
	{ "idle, but draining",	3, { DOWN(DRAINING), UP(8, 6), UP(9, 7) }, 1, 1 },
	{ "all down but the last", 4,
	  { DOWN(DISCONNECTED), DOWN(CONNECTING), DOWN(DRAINING), UP(99, 99) }, 3, 3 },
	{ "all down but the first", 4,
	  { UP(99, 99), DOWN(DISCONNECTED), DOWN(CONNECTING), DOWN(DRAINING) }, 0, 0 },
	{ "all down",		4,
	  { DOWN(DRAINING), DOWN(DISCONNECTED), DOWN(CONNECTING), DOWN(DRAINING) },
	  -1, -1 },
	{ "one less than the other", 2, { UP(100, 101), UP(99, 100) }, 1, 1 },
	{ "large latencies",	2, { UP(0, U64_MAX - 1), UP(1, U64_MAX - 2) }, 0, 1 },
	{ "over 32 bits",	2, { UP(0, BIT_ULL(32)), UP(0, BIT_ULL(32) + 1) }, 0, 0 },
};

KUNIT_ARRAY_PARAM_DESC(choice, choice_cases, name);

static void min_inflight_takes_the_idle_one(struct kunit *test)
{
	const struct choice_case *c = test->param_value;

	set_paths(test->priv, c->path, c->nr);
	KUNIT_EXPECT_EQ(test, choose(test, "min-inflight"), c->mi);
}

static void min_latency_takes_the_fast_one(struct kunit *test)
{
	const struct choice_case *c = test->param_value;

	set_paths(test->priv, c->path, c->nr);
	KUNIT_EXPECT_EQ(test, choose(test, "min-latency"), c->ml);
}

/* Only what the same hardware queue has under way counts. */
static void min_inflight_looks_at_its_own_queue(struct kunit *test)
{
	static const struct path_state state[] = { UP(0, 0), UP(1, 0) };
	const struct rtrs_clt_policy *p = rtrs_clt_policy_find("MI");
	struct fixture *f = test->priv;

	set_paths(f, state, 2);
	atomic_set(&f->con[0][2].c.inflight, 1);
	guard(rcu)();
	KUNIT_EXPECT_PTR_EQ(test, p->select(&f->sess, 0), &f->path[0]);
	KUNIT_EXPECT_PTR_EQ(test, p->select(&f->sess, 1), &f->path[1]);
}

static void min_inflight_knows_the_service_connection(struct kunit *test)
{
	static const struct path_state state[] = { UP(0, 0), UP(9, 0) };
	const struct rtrs_clt_policy *p = rtrs_clt_policy_find("MI");
	struct fixture *f = test->priv;

	set_paths(f, state, 2);
	atomic_set(&f->con[0][0].c.inflight, 1);
	guard(rcu)();
	KUNIT_EXPECT_PTR_EQ(test, p->select(&f->sess, RTRS_CLT_SERVICE_QUEUE),
			    &f->path[1]);
}

/* ------------------------------------------------------------ round robin -- */

static void round_robin_takes_one_that_is_up(struct kunit *test)
{
	const struct choice_case *c = test->param_value;
	struct fixture *f = test->priv;
	int i, got, any = c->mi >= 0;

	set_paths(f, c->path, c->nr);
	for (i = 0; i < 10; i++) {
		got = choose(test, "round-robin");
		KUNIT_ASSERT_EQ_MSG(test, got >= 0, any, "turn %d", i);
		if (any)
			KUNIT_EXPECT_EQ_MSG(test, c->path[got].state,
					    RTRS_CLT_CONNECTED, "turn %d", i);
	}
}

/* On one CPU, each in its turn. */
static void round_robin_takes_all_that_are_up_equally(struct kunit *test)
{
	const struct choice_case *c = test->param_value;
	unsigned int i, up = 0, count[MAX_PATHS] = {};

	set_paths(test->priv, c->path, c->nr);
	for (i = 0; i < c->nr; i++)
		up += c->path[i].state == RTRS_CLT_CONNECTED;
	migrate_disable();
	for (i = 0; i < 12 * up; i++)
		count[choose(test, "round-robin")]++;
	migrate_enable();
	for (i = 0; i < c->nr; i++)
		KUNIT_EXPECT_EQ_MSG(test, count[i],
				    c->path[i].state == RTRS_CLT_CONNECTED ? 12 : 0,
				    "path %u", i);
}

static void round_robin_bears_its_counter_to_wrap(struct kunit *test)
{
	static const struct path_state state[] = { UP(0, 0), UP(0, 0), UP(0, 0) };
	struct fixture *f = test->priv;
	int i, cpu;

	set_paths(f, state, 3);
	for_each_possible_cpu(cpu) {
		unsigned int *turn = per_cpu_ptr(f->sess.rr, cpu);

		*turn = UINT_MAX - 3;
	}
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_GE_MSG(test, choose(test, "round-robin"), 0,
				    "turn %d", i);
}

/* --------------------------------------------------------------- names ----- */

struct policy_case {
	const char	*text;
	int		index;	/* -1 for none */
};

static const struct policy_case policy_cases[] = {
	{ "round-robin", 0 }, { "min-inflight", 1 }, { "min-latency", 2 },
	{ "round-robin\n", 0 }, { "min-inflight\n", 1 }, { "min-latency\n", 2 },
	{ "RR", 0 }, { "MI", 1 }, { "ML", 2 },
	{ "rr", 0 }, { "mi", 1 }, { "ml", 2 },
	{ "Rr", 0 }, { "mI", 1 }, { "Ml\n", 2 },
	{ "rr\n", 0 }, { "mi\n", 1 }, { "ml\n", 2 },
	{ "0", 0 }, { "1", 1 }, { "2", 2 }, { "2\n", 2 }, { "00", 0 },
	{ "", -1 }, { "\n", -1 }, { "3", -1 }, { "-1", -1 }, { "4294967296", -1 },
	{ "r", -1 }, { "m", -1 }, { "rrr", -1 }, { "rr rr", -1 }, { "rr ", -1 },
	{ " rr", -1 }, { "round", -1 }, { "round-robin-", -1 }, { "Round-Robin", -1 },
	{ "min", -1 }, { "min-", -1 }, { "mi\n\n", -1 }, { "0x1", -1 }, { "1.0", -1 },
	{ "round-robin (RR: 0)", -1 },
};

static void policy_desc(const struct policy_case *c, char *desc)
{
	scnprintf(desc, KUNIT_PARAM_DESC_SIZE, "'%*pE'", (int)strlen(c->text),
		  c->text);
}

KUNIT_ARRAY_PARAM(policy, policy_cases, policy_desc);

static void policy_is_found_by_its_names(struct kunit *test)
{
	const struct policy_case *c = test->param_value;
	const struct rtrs_clt_policy *p = rtrs_clt_policy_find(c->text);

	KUNIT_EXPECT_EQ(test, p ? rtrs_clt_policy_index(p) : -1, c->index);
}

static void policy_default_is_min_inflight(struct kunit *test)
{
	KUNIT_EXPECT_STREQ(test, rtrs_clt_default_policy->name, "min-inflight");
	KUNIT_EXPECT_EQ(test, rtrs_clt_policy_index(rtrs_clt_default_policy), 1);
}

/* --------------------------------------------------------- connections ----- */

struct cid_case {
	unsigned int	nr_cons;
	unsigned int	queue;
	unsigned int	cid;
};

static const struct cid_case cid_cases[] = {
	{ 2, RTRS_CLT_SERVICE_QUEUE, 0 }, { 5, RTRS_CLT_SERVICE_QUEUE, 0 },
	{ 2, 0, 1 }, { 2, 1, 1 }, { 2, 100, 1 },
	{ 5, 0, 1 }, { 5, 1, 2 }, { 5, 3, 4 }, { 5, 4, 1 }, { 5, 5, 2 },
	{ 4096, 4094, 4095 }, { 4096, 4095, 1 },
};

static void cid_desc(const struct cid_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u connections, queue %d",
		 c->nr_cons, c->queue);
}

KUNIT_ARRAY_PARAM(cid, cid_cases, cid_desc);

static void cid_is_that_of_the_queue(struct kunit *test)
{
	const struct cid_case *c = test->param_value;
	struct fixture *f = test->priv;

	f->sess.nr_cons = c->nr_cons;
	KUNIT_EXPECT_EQ(test, rtrs_clt_cid(&f->sess, c->queue), c->cid);
}

static struct kunit_case rtrs_clt_mpath_cases[] = {
	KUNIT_CASE_PARAM(min_inflight_takes_the_idle_one, choice_gen_params),
	KUNIT_CASE_PARAM(min_latency_takes_the_fast_one, choice_gen_params),
	KUNIT_CASE(min_inflight_looks_at_its_own_queue),
	KUNIT_CASE(min_inflight_knows_the_service_connection),
	KUNIT_CASE_PARAM(round_robin_takes_one_that_is_up, choice_gen_params),
	KUNIT_CASE_PARAM(round_robin_takes_all_that_are_up_equally,
			 choice_gen_params),
	KUNIT_CASE(round_robin_bears_its_counter_to_wrap),
	KUNIT_CASE_PARAM(policy_is_found_by_its_names, policy_gen_params),
	KUNIT_CASE(policy_default_is_min_inflight),
	KUNIT_CASE_PARAM(cid_is_that_of_the_queue, cid_gen_params),
	{}
};

static struct kunit_suite rtrs_clt_mpath_suite = {
	.name		= "rtrs-clt-mpath",
	.init		= mpath_init,
	.exit		= mpath_exit,
	.test_cases	= rtrs_clt_mpath_cases,
};

kunit_test_suite(rtrs_clt_mpath_suite);
