// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rnbd-clt-dev.c, which includes this file: to which states a device
 * may move, and what becomes of it when its session is lost and comes back.
 *
 * Its queue is one of the block layer, without a disk; nobody submits to it.
 */
#include <kunit/test.h>

struct dev_fixture {
	struct rnbd_clt_sess	sess;
	struct rnbd_clt_dev	dev;
	struct gendisk		gd;
	struct blk_mq_tag_set	set;
	bool			have_set;
};

static void dev_test_work(struct work_struct *work)
{
}

static blk_status_t dev_test_queue_rq(struct blk_mq_hw_ctx *hctx,
				      const struct blk_mq_queue_data *bd)
{
	return BLK_STS_IOERR;
}

static const struct blk_mq_ops dev_test_mq_ops = {
	.queue_rq	= dev_test_queue_rq,
};

static int dev_test_init_queue(struct dev_fixture *f)
{
	struct request_queue *q;
	int err;

	f->set.ops = &dev_test_mq_ops;
	f->set.nr_hw_queues = 1;
	f->set.queue_depth = 2;
	f->set.numa_node = NUMA_NO_NODE;
	err = blk_mq_alloc_tag_set(&f->set);
	if (err)
		return err;
	f->have_set = true;
	q = blk_mq_alloc_queue(&f->set, NULL, NULL);
	if (IS_ERR(q))
		return PTR_ERR(q);
	f->gd.queue = q;
	return 0;
}

static int dev_test_init(struct kunit *test)
{
	struct dev_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	spin_lock_init(&f->sess.lock);
	INIT_LIST_HEAD(&f->sess.devs);
	f->sess.up = true;
	f->dev.sess = &f->sess;
	f->dev.gd = &f->gd;
	f->dev.path = "sda";
	strscpy(f->sess.name, "kunit");
	strscpy(f->gd.disk_name, "kunit");
	INIT_DELAYED_WORK(&f->dev.recover_work, dev_test_work);
	INIT_DELAYED_WORK(&f->dev.hold_work, dev_test_work);
	list_add(&f->dev.node, &f->sess.devs);
	test->priv = f;
	return dev_test_init_queue(f);
}

static void dev_test_exit(struct kunit *test)
{
	struct dev_fixture *f = test->priv;

	if (!f)
		return;
	cancel_delayed_work_sync(&f->dev.recover_work);
	cancel_delayed_work_sync(&f->dev.hold_work);
	if (f->gd.queue) {
		blk_mq_destroy_queue(f->gd.queue);
		blk_put_queue(f->gd.queue);
	}
	if (f->have_set)
		blk_mq_free_tag_set(&f->set);
}

static bool dev_test_move(struct dev_fixture *f, enum rnbd_clt_dev_state to)
{
	bool moved;

	spin_lock_irq(&f->sess.lock);
	moved = rnbd_clt_dev_move(&f->dev, to);
	spin_unlock_irq(&f->sess.lock);
	return moved;
}

/* ---------------------------------------------------------------- states --- */

#define INIT		RNBD_CLT_DEV_INIT
#define OPEN		RNBD_CLT_DEV_OPEN
#define HELD		RNBD_CLT_DEV_HELD
#define CLOSED		RNBD_CLT_DEV_CLOSED
#define UNMAPPED	RNBD_CLT_DEV_UNMAPPED

static const char * const dev_states[] = {
	[INIT] = "init", [OPEN] = "open", [HELD] = "held", [CLOSED] = "closed",
	[UNMAPPED] = "unmapped",
};

struct dev_move_case {
	enum rnbd_clt_dev_state	from;
	enum rnbd_clt_dev_state	to;
	bool			legal;
};

static const struct dev_move_case dev_moves[] = {
	{ INIT, INIT, false }, { INIT, OPEN, true }, { INIT, HELD, false },
	{ INIT, CLOSED, false }, { INIT, UNMAPPED, true },
	{ OPEN, INIT, false }, { OPEN, OPEN, false }, { OPEN, HELD, true },
	{ OPEN, CLOSED, true }, { OPEN, UNMAPPED, true },
	{ HELD, INIT, false }, { HELD, OPEN, true }, { HELD, HELD, false },
	{ HELD, CLOSED, true }, { HELD, UNMAPPED, true },
	{ CLOSED, INIT, false }, { CLOSED, OPEN, true }, { CLOSED, HELD, false },
	{ CLOSED, CLOSED, false }, { CLOSED, UNMAPPED, true },
	{ UNMAPPED, INIT, false }, { UNMAPPED, OPEN, false },
	{ UNMAPPED, HELD, false }, { UNMAPPED, CLOSED, false },
	{ UNMAPPED, UNMAPPED, false },
};

static void dev_move_desc(const struct dev_move_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s to %s", dev_states[c->from],
		 dev_states[c->to]);
}

KUNIT_ARRAY_PARAM(dev_move, dev_moves, dev_move_desc);

/* Get there as a device does, so that its queue is what it should be. */
static void dev_test_get_to(struct dev_fixture *f, enum rnbd_clt_dev_state state)
{
	f->dev.state = INIT;
	if (state == INIT)
		return;
	dev_test_move(f, OPEN);
	if (state != OPEN)
		dev_test_move(f, state);
}

static void dev_moves_if_it_may(struct kunit *test)
{
	const struct dev_move_case *c = test->param_value;
	struct dev_fixture *f = test->priv;

	dev_test_get_to(f, c->from);
	KUNIT_ASSERT_EQ(test, f->dev.state, c->from);
	KUNIT_EXPECT_EQ(test, dev_test_move(f, c->to), c->legal);
	KUNIT_EXPECT_EQ(test, f->dev.state, c->legal ? c->to : c->from);
}

static void dev_queue_rests_while_it_is_held(struct kunit *test)
{
	const struct dev_move_case *c = test->param_value;
	struct dev_fixture *f = test->priv;

	dev_test_get_to(f, c->from);
	dev_test_move(f, c->to);
	KUNIT_EXPECT_EQ(test, blk_queue_quiesced(f->gd.queue),
			f->dev.state == HELD);
}

/* ------------------------------------------------------------ lost, back --- */

struct lost_case {
	const char		*name;
	enum rnbd_clt_dev_state	state;
	unsigned int		hold_sec;
	bool			hold;	/* the loss is one that it may be held for */
	enum rnbd_clt_dev_state	then;
	bool			was_open;
};

static const struct lost_case losts[] = {
	{ "open",			OPEN,	0,  true,  CLOSED, true },
	{ "open, to be held",		OPEN,	60, true,  HELD,   true },
	{ "open, closed by the server",	OPEN,	60, false, CLOSED, true },
	{ "being mapped",		INIT,	60, true,  INIT,   false },
	{ "held",			HELD,	60, true,  HELD,   false },
	{ "held, closed by the server",	HELD,	60, false, HELD,   false },
	{ "closed",			CLOSED, 60, true,  CLOSED, false },
	{ "unmapped",			UNMAPPED, 60, true, UNMAPPED, false },
};

KUNIT_ARRAY_PARAM_DESC(lost, losts, name);

static void dev_lost_is_closed_or_held(struct kunit *test)
{
	const struct lost_case *c = test->param_value;
	struct dev_fixture *f = test->priv;
	bool was_open;

	dev_test_get_to(f, c->state);
	f->dev.hold_sec = c->hold_sec;
	f->dev.remote = true;
	spin_lock_irq(&f->sess.lock);
	was_open = rnbd_clt_dev_lost(&f->dev, c->hold);
	spin_unlock_irq(&f->sess.lock);
	KUNIT_EXPECT_EQ(test, was_open, c->was_open);
	KUNIT_EXPECT_EQ(test, f->dev.state, c->then);
	KUNIT_EXPECT_EQ(test, f->dev.remote, !c->was_open);
	/* userspace is told of what is over, and not of what may come back */
	KUNIT_EXPECT_EQ(test, f->dev.offline_due, c->was_open && c->then == CLOSED);
	KUNIT_EXPECT_EQ(test, delayed_work_pending(&f->dev.hold_work),
			c->was_open && c->then == HELD);
}

struct holds_case {
	enum rnbd_clt_dev_state	state;
	unsigned int		hold_sec;
	bool			holds;
};

static const struct holds_case holds_cases[] = {
	{ INIT, 0, false }, { INIT, 1, false }, { OPEN, 0, false }, { OPEN, 1, true },
	{ HELD, 0, true }, { HELD, 1, true }, { CLOSED, 0, false },
	{ CLOSED, 1, false }, { UNMAPPED, 0, false }, { UNMAPPED, 1, false },
};

static void holds_desc(const struct holds_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s, %u s", dev_states[c->state],
		 c->hold_sec);
}

KUNIT_ARRAY_PARAM(holds, holds_cases, holds_desc);

static void dev_holds_what_is_lost_if_asked_to(struct kunit *test)
{
	const struct holds_case *c = test->param_value;
	struct dev_fixture *f = test->priv;

	f->dev.state = c->state;
	f->dev.hold_sec = c->hold_sec;
	KUNIT_EXPECT_EQ(test, rnbd_clt_dev_holds(&f->dev), c->holds);
}

struct back_case {
	const char		*name;
	enum rnbd_clt_dev_state	state;
	bool			rebooted;
	bool			unflushed;
	int			flushes;
	bool			stale;
	bool			disowned;
	bool			kept;		/* no writes were lost */
	bool			reopens;
	bool			stale_then;
};

static const struct back_case backs[] = {
	{ "closed", CLOSED, false, false, 0, false, false, true, true, false },
	{ "held", HELD, false, false, 0, false, false, true, true, false },
	{ "closed, with writes in a cache", CLOSED, false, true, 1, false, false,
	  true, true, false },
	{ "closed, server restarted", CLOSED, true, false, 0, false, false, true,
	  true, false },
	{ "closed, restarted, writes lost", CLOSED, true, true, 0, false, false,
	  false, false, true },
	{ "closed, restarted, flush lost", CLOSED, true, false, 1, false, false,
	  false, false, true },
	{ "held, restarted, writes lost", HELD, true, true, 0, false, false,
	  false, false, true },
	{ "held, restarted, nothing lost", HELD, true, false, 0, false, false, true,
	  true, false },
	{ "lost writes before", CLOSED, true, true, 0, true, false, true, false, true },
	{ "lost writes before, same server", CLOSED, false, false, 0, true, false,
	  true, false, true },
	{ "closed by the server before", CLOSED, false, false, 0, false, true, true,
	  false, false },
	{ "being mapped", INIT, false, false, 0, false, false, true, false, false },
	{ "open", OPEN, false, false, 0, false, false, true, false, false },
	{ "unmapped", UNMAPPED, false, false, 0, false, false, true, false, false },
};

KUNIT_ARRAY_PARAM_DESC(back, backs, name);

static void dev_test_back(struct kunit *test, const struct back_case *c)
{
	struct dev_fixture *f = test->priv;
	bool kept;

	dev_test_get_to(f, c->state);
	f->dev.unflushed = c->unflushed;
	atomic_set(&f->dev.flushes, c->flushes);
	f->dev.stale = c->stale;
	f->dev.disowned = c->disowned;
	f->dev.reopen_failed = 9;
	spin_lock_irq(&f->sess.lock);
	kept = rnbd_clt_dev_back(&f->dev, c->rebooted);
	spin_unlock_irq(&f->sess.lock);
	KUNIT_EXPECT_EQ(test, kept, c->kept);
}

static void dev_back_is_opened_again_if_it_may(struct kunit *test)
{
	const struct back_case *c = test->param_value;
	struct dev_fixture *f = test->priv;

	dev_test_back(test, c);
	KUNIT_EXPECT_EQ(test, f->dev.reopen_due, c->reopens);
	KUNIT_EXPECT_EQ(test, f->dev.reopen_failed, c->reopens ? 0U : 9U);
}

static void dev_back_without_its_writes_is_stale(struct kunit *test)
{
	const struct back_case *c = test->param_value;
	struct dev_fixture *f = test->priv;

	dev_test_back(test, c);
	KUNIT_EXPECT_EQ(test, f->dev.stale, c->stale_then);
	if (c->stale_then)
		KUNIT_EXPECT_EQ(test, f->dev.state, CLOSED);
}

/* ------------------------------------------------------------ open again --- */

struct go_case {
	const char		*name;
	enum rnbd_clt_dev_state	state;
	unsigned int		losses;		/* of the session since */
	bool			up;
	bool			stale;
	unsigned int		events;		/* of the session since */
	int			err;
	bool			look;
};

static const struct go_case gos[] = {
	{ "the first time",		INIT,	0, true,  false, 0, 0, false },
	{ "closed",			CLOSED, 0, true,  false, 0, 0, false },
	{ "held",			HELD,	0, true,  false, 0, 0, false },
	{ "lost again",			CLOSED, 1, true,  false, 0, -ECONNABORTED, false },
	{ "not up",			CLOSED, 0, false, false, 0, -ECONNABORTED, false },
	{ "writes were lost",		CLOSED, 0, true,  true,  0, -EIO, false },
	{ "lost again, with writes",	CLOSED, 1, true,  true,  0, -ECONNABORTED, false },
	{ "unmapped meanwhile",		UNMAPPED, 0, true, false, 0, -ENODEV, false },
	{ "changed meanwhile",		CLOSED, 0, true,  false, 1, 0, true },
};

KUNIT_ARRAY_PARAM_DESC(go, gos, name);

static void dev_goes_if_what_was_opened_is_there(struct kunit *test)
{
	const struct go_case *c = test->param_value;
	struct dev_fixture *f = test->priv;

	dev_test_get_to(f, c->state);
	f->sess.losses = c->losses;
	f->sess.up = c->up;
	f->sess.events = c->events;
	f->dev.stale = c->stale;
	f->dev.disowned = true;
	KUNIT_EXPECT_EQ(test, rnbd_clt_dev_go(&f->dev), c->err);
	KUNIT_EXPECT_EQ(test, f->dev.state, c->err ? c->state : OPEN);
	KUNIT_EXPECT_EQ(test, f->dev.look_due, c->look);
	if (!c->err)
		KUNIT_EXPECT_FALSE(test, f->dev.disowned);
}

/* The id of one that is open was given to another: the server has forgotten it. */
static void dev_goes_and_evicts_who_had_its_id(struct kunit *test)
{
	struct rnbd_clt_dev *other = kunit_kzalloc(test, sizeof(*other), GFP_KERNEL);
	struct dev_fixture *f = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, other);
	other->sess = &f->sess;
	other->gd = &f->gd;
	other->path = "sdb";
	other->state = OPEN;
	other->device_id = 7;
	INIT_DELAYED_WORK(&other->recover_work, dev_test_work);
	list_add(&other->node, &f->sess.devs);
	dev_test_get_to(f, CLOSED);
	f->dev.device_id = 7;
	KUNIT_EXPECT_EQ(test, rnbd_clt_dev_go(&f->dev), 0);
	KUNIT_EXPECT_EQ(test, other->state, CLOSED);
	KUNIT_EXPECT_TRUE(test, other->disowned);
	cancel_delayed_work_sync(&other->recover_work);
}

struct disowned_case {
	const char		*name;
	enum rnbd_clt_dev_state	state;
	u32			epoch;	/* of the request; the device's is 5 */
	bool			closes;
};

static const struct disowned_case disowneds[] = {
	{ "of now",		OPEN,	5, true },
	{ "of before",		OPEN,	4, false },
	{ "of long before",	OPEN,	0, false },
	{ "of a closed one",	CLOSED,	5, false },
	{ "of an unmapped one",	UNMAPPED, 5, false },
};

KUNIT_ARRAY_PARAM_DESC(disowned, disowneds, name);

static void dev_is_disowned_by_an_answer_of_its_life(struct kunit *test)
{
	const struct disowned_case *c = test->param_value;
	struct dev_fixture *f = test->priv;

	dev_test_get_to(f, c->state);
	f->dev.hold_sec = 60;
	f->dev.epoch = 5;
	rnbd_clt_dev_disowned(&f->dev, c->epoch);
	KUNIT_EXPECT_EQ(test, f->dev.disowned, c->closes);
	KUNIT_EXPECT_EQ(test, f->dev.state, c->closes ? CLOSED : c->state);
}

#undef INIT
#undef OPEN
#undef HELD
#undef CLOSED
#undef UNMAPPED

static struct kunit_case rnbd_clt_dev_cases[] = {
	KUNIT_CASE_PARAM(dev_moves_if_it_may, dev_move_gen_params),
	KUNIT_CASE_PARAM(dev_queue_rests_while_it_is_held, dev_move_gen_params),
	KUNIT_CASE_PARAM(dev_lost_is_closed_or_held, lost_gen_params),
	KUNIT_CASE_PARAM(dev_holds_what_is_lost_if_asked_to, holds_gen_params),
	KUNIT_CASE_PARAM(dev_back_is_opened_again_if_it_may, back_gen_params),
	KUNIT_CASE_PARAM(dev_back_without_its_writes_is_stale, back_gen_params),
	KUNIT_CASE_PARAM(dev_goes_if_what_was_opened_is_there, go_gen_params),
	KUNIT_CASE(dev_goes_and_evicts_who_had_its_id),
	KUNIT_CASE_PARAM(dev_is_disowned_by_an_answer_of_its_life,
			 disowned_gen_params),
	{}
};

static struct kunit_suite rnbd_clt_dev_suite = {
	.name		= "rnbd-clt-dev",
	.init		= dev_test_init,
	.exit		= dev_test_exit,
	.test_cases	= rnbd_clt_dev_cases,
};

kunit_test_suite(rnbd_clt_dev_suite);
