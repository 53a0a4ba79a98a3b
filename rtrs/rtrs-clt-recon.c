// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paths of a client that come back.
 *
 * A path that has failed, and that somebody still wants, is connected again by
 * itself: half a second after it failed, then less and less often, each time a
 * little earlier or later than planned, so that the clients of a server that was
 * restarted do not all come at once. The others of a session do not wait any more
 * when the first has found its server. What the server refuses a path with is
 * taken for temporary, unless the session no longer fits: then it stays down until
 * an administrator says otherwise.
 *
 * There is one work item a path. It is queued only under path->state_lock and
 * only for a path that is wanted and down (rtrs_clt_path_retry(),
 * rtrs_clt_path_kick()); so whoever takes path->wanted away, and then cancels it,
 * is done with it (rtrs_clt_path_disconnect()). Nor is it queued before the work
 * that took the path down is done (path->tearing), so that what that says of the
 * path and the session comes before what the next attempt does; nor while whoever has
 * added the path is connecting it (rtrs_clt_path_bring_up()).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/random.h>

#include "rtrs-clt.h"
#include "rtrs-clt-trace.h"

#define RTRS_CLT_BACKOFF_MIN_MS		500
#define RTRS_CLT_BACKOFF_MAX_MS		3000
/* from a minute on */
#define RTRS_CLT_BACKOFF_LATER_MS	8000

/*
 * How long an attempt waits for an answer. A server that is under load can need
 * longer than that to get the memory for a path, so one attempt of four is
 * patient; an unanswered request is repeated by the connection manager meanwhile,
 * so nothing is lost where it is not load but a dead link.
 */
#define RTRS_CLT_RETRY_ANSWER_MS	2000
#define RTRS_CLT_PATIENT_ANSWER_MS	10000

/*
 * A server that is still taking down what there was of a path, or of a session, is busy,
 * mostly for some milliseconds. Who waits for the path need not hear of that.
 */
#define RTRS_CLT_BUSY_MS		5000
#define RTRS_CLT_BUSY_MIN_PAUSE_MS	20
#define RTRS_CLT_BUSY_MAX_PAUSE_MS	500

static unsigned long rtrs_clt_backoff(struct rtrs_clt_path *path)
{
	bool later = time_after(jiffies, path->down_since + 60 * HZ);
	u32 ms = min(RTRS_CLT_BACKOFF_MIN_MS << min(path->attempts, 4U),
		     later ? RTRS_CLT_BACKOFF_LATER_MS : RTRS_CLT_BACKOFF_MAX_MS);

	if (path->kicked) {
		path->kicked = false;
		return 0;
	}
	if (path->server_busy)
		ms = RTRS_CLT_BACKOFF_MIN_MS;
	return msecs_to_jiffies(ms - ms / 4 + get_random_u32_below(ms / 2));
}

static bool rtrs_clt_path_may_retry(const struct rtrs_clt_path *path)
{
	int max = READ_ONCE(path->sess->max_reconnect_attempts);

	lockdep_assert_held(&path->state_lock);
	/* the first attempts are for whoever has added it */
	return path->wanted && !path->unfit && path->tried && !path->tearing &&
	       path->state == RTRS_CLT_DISCONNECTED &&
	       (max < 0 || path->attempts < max);
}

static void rtrs_clt_retry_locked(struct rtrs_clt_path *path)
{
	if (rtrs_clt_path_may_retry(path))
		queue_delayed_work(rtrs_clt_up_wq, &path->reconnect,
				   rtrs_clt_backoff(path));
}

/**
 * rtrs_clt_path_retry() - have a path connected again by and by
 * @path: the path; nothing happens unless it is down, wanted, and of use
 *
 * Context: any.
 */
void rtrs_clt_path_retry(struct rtrs_clt_path *path)
{
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	rtrs_clt_retry_locked(path);
	spin_unlock_irqrestore(&path->state_lock, flags);
}

/**
 * rtrs_clt_path_torn() - the work that took a path down has nothing more to do
 * @path: the path; it is connected again by and by, as with rtrs_clt_path_retry()
 *
 * Context: process.
 */
void rtrs_clt_path_torn(struct rtrs_clt_path *path)
{
	spin_lock_irq(&path->state_lock);
	path->tearing = false;
	rtrs_clt_retry_locked(path);
	spin_unlock_irq(&path->state_lock);
}

/**
 * rtrs_clt_path_kick() - have a path connected again at once
 * @path: the path; nothing happens unless it is down, wanted, and of use
 *
 * For when something has changed for the better: what failed before counts no
 * more.
 *
 * Context: any.
 */
void rtrs_clt_path_kick(struct rtrs_clt_path *path)
{
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	path->attempts = 0;
	/* an attempt that is under way began in worse times */
	path->kicked = path->tearing || path->state == RTRS_CLT_CONNECTING;
	if (rtrs_clt_path_may_retry(path))
		mod_delayed_work(rtrs_clt_up_wq, &path->reconnect, 0);
	spin_unlock_irqrestore(&path->state_lock, flags);
}

/**
 * rtrs_clt_sess_kick() - have all paths that are down connected again at once
 * @sess: their session
 *
 * Context: any.
 */
void rtrs_clt_sess_kick(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	guard(rcu)();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		rtrs_clt_path_kick(path);
}

static void rtrs_clt_path_attempted(struct rtrs_clt_path *path, int err)
{
	unsigned long flags;
	bool unfit, first;

	spin_lock_irqsave(&path->state_lock, flags);
	first = !path->attempts;
	if (err)
		path->attempts++;
	path->reconnects[!!err]++;
	/* it is taking down what there was of the path, and soon done */
	path->server_busy = err == -EBUSY;
	unfit = path->unfit;
	spin_unlock_irqrestore(&path->state_lock, flags);

	if (!err)
		dev_info(&path->sess->dev, "path %s connected again\n",
			 kobject_name(&path->kobj));
	else if (unfit)
		dev_err(&path->sess->dev, "path %s stays down: its server has changed\n",
			kobject_name(&path->kobj));
	else if (first)
		dev_warn(&path->sess->dev, "path %s cannot be connected again yet: %pe\n",
			 kobject_name(&path->kobj), ERR_PTR(err));
}

/**
 * rtrs_clt_reconnect_work() - try to connect a path again
 * @work: rtrs_clt_path.reconnect
 */
void rtrs_clt_reconnect_work(struct work_struct *work)
{
	struct rtrs_clt_path *path = container_of(to_delayed_work(work),
						  struct rtrs_clt_path,
						  reconnect);
	bool patient = READ_ONCE(path->attempts) % 4 == 3;
	int err;

	trace_rtrs_clt_reconnect_work(path);
	err = rtrs_clt_path_connect(path, patient ? RTRS_CLT_PATIENT_ANSWER_MS :
						    RTRS_CLT_RETRY_ANSWER_MS);
	if (err > 0)
		return;
	rtrs_clt_path_attempted(path, err);
	rtrs_clt_path_retry(path);
}

static int rtrs_clt_path_connect_patiently(struct rtrs_clt_path *path)
{
	unsigned long end = jiffies + msecs_to_jiffies(RTRS_CLT_BUSY_MS);
	unsigned int pause = RTRS_CLT_BUSY_MIN_PAUSE_MS;
	int err;

	for (;;) {
		err = rtrs_clt_path_connect(path, RTRS_CONNECT_TIMEOUT_MS);
		if (err != -EBUSY || time_after(jiffies, end))
			return err;
		msleep(pause);
		pause = min(2 * pause, RTRS_CLT_BUSY_MAX_PAUSE_MS);
	}
}

/**
 * rtrs_clt_path_bring_up() - connect a path for somebody who waits for it
 * @path: the path
 *
 * Once it was connected it is connected again by itself if it fails.
 *
 * Context: process, sleeps. Not in an event of the session.
 * Return: as rtrs_clt_path_connect(); -EBUSY only if the server says so for seconds.
 */
int rtrs_clt_path_bring_up(struct rtrs_clt_path *path)
{
	int err = rtrs_clt_path_connect_patiently(path);
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	path->tried = true;
	/* it may have failed since, whoever has connected it */
	if (err >= 0)
		rtrs_clt_retry_locked(path);
	spin_unlock_irqrestore(&path->state_lock, flags);
	return err;
}

/* Whatever was held against the path is forgotten. */
static void rtrs_clt_path_want(struct rtrs_clt_path *path)
{
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	path->wanted = !path->removed && !path->sess->stopped;
	path->unfit = false;
	path->attempts = 0;
	path->ask_after = 0;
	path->down_since = jiffies;
	spin_unlock_irqrestore(&path->state_lock, flags);
}

/**
 * rtrs_clt_path_reconnect() - connect a path anew, whatever its state
 * @path: the path
 *
 * Where that fails, it is tried again by and by.
 *
 * Context: process, sleeps.
 * Return: 0; -ENOTCONN if it failed, -EBUSY if somebody else is doing the same or
 * the session is being closed.
 */
int rtrs_clt_path_reconnect(struct rtrs_clt_path *path)
{
	int err;

	rtrs_clt_path_disconnect(path);
	rtrs_clt_path_want(path);
	err = rtrs_clt_path_bring_up(path);
	if (err > 0)
		return -EBUSY;
	rtrs_clt_path_attempted(path, err);
	rtrs_clt_path_retry(path);
	return err ? -ENOTCONN : 0;
}

/**
 * rtrs_clt_sess_set_attempts() - limit the attempts to connect a path again
 * @sess: the session
 * @max: how many a path, -1 for no limit
 *
 * Paths that had given up try again, if they may now.
 *
 * Context: process.
 */
void rtrs_clt_sess_set_attempts(struct rtrs_clt_sess *sess, int max)
{
	struct rtrs_clt_path *path;

	WRITE_ONCE(sess->max_reconnect_attempts, max);
	guard(rcu)();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		rtrs_clt_path_retry(path);
}

#ifdef CONFIG_RTRS_KUNIT_TEST
#include "rtrs-clt-recon-test.c"
#endif
