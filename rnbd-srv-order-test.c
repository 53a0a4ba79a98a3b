// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rnbd-srv-order.c, which includes this file: which requests wait for
 * which.
 *
 * The model that random sequences are compared with is the rule itself: a request
 * waits as long as there is a write that came before it, overlaps it, and has not
 * ended.
 */
#include <kunit/test.h>
#include <linux/prandom.h>

/* What RTRS carries on is a work item of this. */
#include "rtrs/rtrs-srv.h"

#define ORDER_TEST_MAX	24

/* Without sectors it overlaps nothing, wherever that is. */
struct order_model {
	bool	active;
	bool	write;
	u64	seq;
	u64	start;
	u64	end;	/* the first sector behind it */
};

struct order_fixture {
	struct rnbd_srv_order		order;
	struct rnbd_srv_order_entry	entry[ORDER_TEST_MAX];
	struct rtrs_srv_op		op[ORDER_TEST_MAX];
	struct rtrs_srv_path		*path;
	struct rtrs_srv_sess		sess;
	atomic_t			carried[ORDER_TEST_MAX];
	struct order_model		model[ORDER_TEST_MAX];
};

static void order_test_carry_on(struct work_struct *work)
{
	struct rtrs_srv_op *op = container_of(work, struct rtrs_srv_op, work);
	struct order_fixture *f = op->priv;

	atomic_inc(&f->carried[op->nr]);
}

static int order_test_init(struct kunit *test)
{
	struct order_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	int i;

	if (!f)
		return -ENOMEM;
	f->path = kunit_kzalloc(test, struct_size(f->path, cons, 1), GFP_KERNEL);
	if (!f->path)
		return -ENOMEM;
	f->sess.io_wq = alloc_workqueue("rnbd_order_test", 0, 0);
	if (!f->sess.io_wq)
		return -ENOMEM;
	f->path->sess = &f->sess;
	rnbd_srv_order_init(&f->order);
	for (i = 0; i < ORDER_TEST_MAX; i++) {
		f->entry[i].op = &f->op[i];
		f->op[i].nr = i;
		f->op[i].path = f->path;
		f->op[i].priv = f;
		INIT_WORK(&f->op[i].work, order_test_carry_on);
	}
	test->priv = f;
	return 0;
}

static void order_test_exit(struct kunit *test)
{
	struct order_fixture *f = test->priv;

	if (f)
		destroy_workqueue(f->sess.io_wq);
}

static bool order_waits(struct order_fixture *f, unsigned int i)
{
	return atomic_read(&f->entry[i].state) & RNBD_SRV_PARKED;
}

/* ------------------------------------------------------------- two of them -- */

struct pair_case {
	const char	*name;
	bool		write1;
	u64		start1;
	u32		len1;
	bool		write2;
	u64		start2;
	u32		len2;
	bool		waits;		/* the second for the first */
};

static const struct pair_case pairs[] = {
	{ "write, the same write",	true, 8, 8, true, 8, 8, true },
	{ "write, a read of it",	true, 8, 8, false, 8, 8, true },
	{ "read, a write of it",	false, 8, 8, true, 8, 8, false },
	{ "read, the same read",	false, 8, 8, false, 8, 8, false },
	{ "just before",		true, 8, 8, true, 0, 8, false },
	{ "just behind",		true, 8, 8, true, 16, 8, false },
	{ "into its first sector",	true, 8, 8, true, 0, 9, true },
	{ "from its last sector",	true, 8, 8, true, 15, 8, true },
	{ "inside",			true, 8, 8, true, 10, 1, true },
	{ "around",			true, 8, 8, true, 0, 100, true },
	{ "a sector, the same",		true, 5, 1, true, 5, 1, true },
	{ "a sector, the next",		true, 5, 1, true, 6, 1, false },
	{ "a sector, the one before",	true, 5, 1, true, 4, 1, false },
	{ "far away",			true, 8, 8, true, BIT_ULL(50), 8, false },
	{ "same low 32 bits",		true, 8, 8, true, BIT_ULL(32) + 8, 8, false },
	{ "the end of all sectors",	true, U64_MAX - 7, 8, true, U64_MAX, 1, true },
	{ "start and end of all sectors", true, 0, 8, true, U64_MAX - 7, 8, false },
	{ "a long one",			true, 0, U32_MAX, true, U32_MAX - 1ULL, 1, true },
	{ "behind a long one",		true, 0, U32_MAX, true, U32_MAX, 1, false },
	{ "a flush behind a write",	true, 8, 8, false, 0, 0, false },
	{ "a write behind a flush",	true, 0, 0, true, 0, 8, false },
	{ "an empty write in a write",	true, 8, 8, true, 10, 0, false },
	{ "a write around an empty one", true, 10, 0, true, 8, 8, false },
};

KUNIT_ARRAY_PARAM_DESC(pair, pairs, name);

static void order_test_pair(struct order_fixture *f, const struct pair_case *c)
{
	rnbd_srv_order_begin(&f->order, &f->entry[0], c->start1, c->len1, c->write1);
	rnbd_srv_order_begin(&f->order, &f->entry[1], c->start2, c->len2, c->write2);
}

static void order_has_who_overlaps_a_write_wait(struct kunit *test)
{
	const struct pair_case *c = test->param_value;
	struct order_fixture *f = test->priv;

	order_test_pair(f, c);
	KUNIT_EXPECT_TRUE(test, rnbd_srv_order_ready(&f->entry[0]));
	KUNIT_EXPECT_EQ(test, rnbd_srv_order_ready(&f->entry[1]), !c->waits);
}

static void order_lets_it_go_when_that_has_ended(struct kunit *test)
{
	const struct pair_case *c = test->param_value;
	struct order_fixture *f = test->priv;

	order_test_pair(f, c);
	rnbd_srv_order_end(&f->order, &f->entry[0]);
	KUNIT_EXPECT_FALSE(test, order_waits(f, 1));
	KUNIT_EXPECT_TRUE(test, rnbd_srv_order_ready(&f->entry[1]));
	rnbd_srv_order_end(&f->order, &f->entry[1]);
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&f->order.tree.rb_root));
}

/* Only who was told to wait is carried on, and once. */
static void order_carries_on_who_was_told_to_wait(struct kunit *test)
{
	const struct pair_case *c = test->param_value;
	struct order_fixture *f = test->priv;

	order_test_pair(f, c);
	rnbd_srv_order_ready(&f->entry[1]);
	rnbd_srv_order_end(&f->order, &f->entry[0]);
	flush_workqueue(f->sess.io_wq);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->carried[0]), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->carried[1]), c->waits ? 1 : 0);
}

/* Its data was not there yet: it finds that it need not wait when that comes. */
static void order_carries_on_none_that_was_not_told(struct kunit *test)
{
	const struct pair_case *c = test->param_value;
	struct order_fixture *f = test->priv;

	order_test_pair(f, c);
	rnbd_srv_order_end(&f->order, &f->entry[0]);
	flush_workqueue(f->sess.io_wq);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->carried[1]), 0);
}

/* ------------------------------------------------------------ some of them -- */

static void order_of_many_of_one_sector_is_that_of_coming(struct kunit *test)
{
	struct order_fixture *f = test->priv;
	int i, j;

	for (i = 0; i < ORDER_TEST_MAX; i++)
		rnbd_srv_order_begin(&f->order, &f->entry[i], 7, 1, true);
	for (i = 0; i < ORDER_TEST_MAX; i++) {
		for (j = i; j < ORDER_TEST_MAX; j++)
			KUNIT_EXPECT_EQ_MSG(test, order_waits(f, j), j > i,
					    "%d, when it is the turn of %d", j, i);
		rnbd_srv_order_end(&f->order, &f->entry[i]);
	}
}

static void order_has_all_reads_go_after_their_write(struct kunit *test)
{
	struct order_fixture *f = test->priv;
	int i;

	rnbd_srv_order_begin(&f->order, &f->entry[0], 0, 100, true);
	for (i = 1; i < ORDER_TEST_MAX; i++)
		rnbd_srv_order_begin(&f->order, &f->entry[i], i, 1, false);
	rnbd_srv_order_end(&f->order, &f->entry[0]);
	for (i = 1; i < ORDER_TEST_MAX; i++)
		KUNIT_EXPECT_FALSE_MSG(test, order_waits(f, i), "%d", i);
}

/* Two that were there, and one across both: it waits for either. */
static void order_has_one_wait_for_two(struct kunit *test)
{
	struct order_fixture *f = test->priv;
	int first;

	for (first = 0; first < 2; first++) {
		rnbd_srv_order_begin(&f->order, &f->entry[0], 0, 8, true);
		rnbd_srv_order_begin(&f->order, &f->entry[1], 8, 8, true);
		rnbd_srv_order_begin(&f->order, &f->entry[2], 4, 8, true);
		rnbd_srv_order_end(&f->order, &f->entry[first]);
		KUNIT_EXPECT_TRUE_MSG(test, order_waits(f, 2), "%d first", first);
		rnbd_srv_order_end(&f->order, &f->entry[!first]);
		KUNIT_EXPECT_FALSE_MSG(test, order_waits(f, 2), "%d first", first);
		rnbd_srv_order_end(&f->order, &f->entry[2]);
	}
}

/* Who waits is waited for: what came in last does not overtake it. */
static void order_has_a_third_wait_for_a_second_that_waits(struct kunit *test)
{
	struct order_fixture *f = test->priv;

	rnbd_srv_order_begin(&f->order, &f->entry[0], 0, 8, true);
	rnbd_srv_order_begin(&f->order, &f->entry[1], 4, 8, true);
	rnbd_srv_order_begin(&f->order, &f->entry[2], 10, 8, true);
	KUNIT_EXPECT_TRUE(test, order_waits(f, 1));
	KUNIT_EXPECT_TRUE(test, order_waits(f, 2));
	rnbd_srv_order_end(&f->order, &f->entry[0]);
	KUNIT_EXPECT_FALSE(test, order_waits(f, 1));
	KUNIT_EXPECT_TRUE(test, order_waits(f, 2));
}

/* A read that waits is nothing that others wait for. */
static void order_has_nobody_wait_for_a_read(struct kunit *test)
{
	struct order_fixture *f = test->priv;

	rnbd_srv_order_begin(&f->order, &f->entry[0], 0, 8, true);
	rnbd_srv_order_begin(&f->order, &f->entry[1], 4, 8, false);
	rnbd_srv_order_begin(&f->order, &f->entry[2], 10, 8, true);
	KUNIT_EXPECT_TRUE(test, order_waits(f, 1));
	KUNIT_EXPECT_FALSE(test, order_waits(f, 2));
}

/* -------------------------------------------------------- random sequences -- */

static bool order_model_waits(const struct order_model *m, unsigned int nr)
{
	const struct order_model *me = &m[nr], *w;

	for (w = m; w < m + ORDER_TEST_MAX; w++)
		if (w->active && w->write && w->seq < me->seq &&
		    w->start < me->end && me->start < w->end)
			return true;
	return false;
}

static bool order_test_compare(struct kunit *test, unsigned int step)
{
	struct order_fixture *f = test->priv;
	const struct order_model *m = f->model;
	unsigned int i;

	for (i = 0; i < ORDER_TEST_MAX; i++) {
		if (!m[i].active || order_waits(f, i) == order_model_waits(m, i))
			continue;
		KUNIT_FAIL(test, "step %u: %s of %llu..%llu, number %llu, %s\n", step,
			   m[i].write ? "write" : "read", m[i].start, m[i].end - 1,
			   m[i].seq, order_waits(f, i) ? "waits" : "does not wait");
		return false;
	}
	return true;
}

static void order_test_begin(struct order_fixture *f, unsigned int i,
			     struct rnd_state *rnd, u64 seq, u32 sectors)
{
	u32 len = prandom_u32_state(rnd) % 8;
	u64 start = prandom_u32_state(rnd) % sectors;
	bool write = prandom_u32_state(rnd) % 4;

	f->model[i] = (struct order_model) {
		.active	= true,
		.write	= write,
		.seq	= seq,
		.start	= len ? start : 0,
		.end	= len ? start + len : 0,
	};
	rnbd_srv_order_begin(&f->order, &f->entry[i], start, len, write);
}

struct random_case {
	const char	*name;
	u64		seed;
	u32		sectors;	/* the fewer, the more overlap */
};

static const struct random_case randoms[] = {
	{ "8 sectors",		1, 8 },	  { "8 sectors, again",	  2, 8 },
	{ "16 sectors",		3, 16 },  { "16 sectors, again",  4, 16 },
	{ "32 sectors",		5, 32 },  { "32 sectors, again",  6, 32 },
	{ "64 sectors",		7, 64 },  { "64 sectors, again",  8, 64 },
	{ "256 sectors",	9, 256 }, { "256 sectors, again", 10, 256 },
	{ "1 sector",		11, 1 },  { "1 sector, again",	  12, 1 },
};

KUNIT_ARRAY_PARAM_DESC(random, randoms, name);

/* After each step, who waits is who should. */
static void order_is_that_of_the_model(struct kunit *test)
{
	const struct random_case *c = test->param_value;
	struct order_fixture *f = test->priv;
	struct order_model *m = f->model;
	struct rnd_state rnd;
	unsigned int step, i;

	prandom_seed_state(&rnd, c->seed);
	for (step = 0; step < 3000; step++) {
		i = prandom_u32_state(&rnd) % ORDER_TEST_MAX;
		if (!m[i].active) {
			order_test_begin(f, i, &rnd, step, c->sectors);
		} else if (!order_waits(f, i)) {
			rnbd_srv_order_end(&f->order, &f->entry[i]);
			m[i].active = false;
		}
		if (!order_test_compare(test, step))
			return;
	}
}

/* However they came, all of them get their turn. */
static void order_lets_all_go_in_the_end(struct kunit *test)
{
	const struct random_case *c = test->param_value;
	struct order_fixture *f = test->priv;
	struct order_model *m = f->model;
	unsigned int i, round, left = ORDER_TEST_MAX;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, c->seed);
	for (i = 0; i < ORDER_TEST_MAX; i++)
		order_test_begin(f, i, &rnd, i, c->sectors);
	for (round = 0; round < ORDER_TEST_MAX && left; round++) {
		for (i = ORDER_TEST_MAX; i--; ) {
			if (!m[i].active || order_waits(f, i))
				continue;
			rnbd_srv_order_end(&f->order, &f->entry[i]);
			m[i].active = false;
			left--;
		}
	}
	KUNIT_EXPECT_EQ(test, left, 0U);
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&f->order.tree.rb_root));
}

static struct kunit_case rnbd_srv_order_cases[] = {
	KUNIT_CASE_PARAM(order_has_who_overlaps_a_write_wait, pair_gen_params),
	KUNIT_CASE_PARAM(order_lets_it_go_when_that_has_ended, pair_gen_params),
	KUNIT_CASE_PARAM(order_carries_on_who_was_told_to_wait, pair_gen_params),
	KUNIT_CASE_PARAM(order_carries_on_none_that_was_not_told, pair_gen_params),
	KUNIT_CASE(order_of_many_of_one_sector_is_that_of_coming),
	KUNIT_CASE(order_has_all_reads_go_after_their_write),
	KUNIT_CASE(order_has_one_wait_for_two),
	KUNIT_CASE(order_has_a_third_wait_for_a_second_that_waits),
	KUNIT_CASE(order_has_nobody_wait_for_a_read),
	KUNIT_CASE_PARAM(order_is_that_of_the_model, random_gen_params),
	KUNIT_CASE_PARAM(order_lets_all_go_in_the_end, random_gen_params),
	{}
};

static struct kunit_suite rnbd_srv_order_suite = {
	.name		= "rnbd-srv-order",
	.init		= order_test_init,
	.exit		= order_test_exit,
	.test_cases	= rnbd_srv_order_cases,
};

kunit_test_suite(rnbd_srv_order_suite);
