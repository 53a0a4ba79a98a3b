// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions of a client: open, close, and what all paths of one share.
 *
 * A session is opened by its user with one or more paths, all of which have to
 * connect. The first one to connect tells how many chunks there are: as many as its
 * user has asked for, or less, if the server takes such wishes (QUEUE_DEPTH). All
 * others, and those that connect again, ask for the same, and have to agree. Most
 * chunks are given to the user for I/O; a few are kept for administrative requests
 * and handed out here one by one.
 *
 * When a path fails the session goes on with the others (rtrs-clt-path.c), and
 * the path is connected again when it can be (rtrs-clt-recon.c). When the last one
 * has failed the user is told, and again when one is back: always in this order,
 * and always both, however short the time between them was. The server may have
 * forgotten all about the session in it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "rtrs-clt.h"

#define RTRS_CLT_PERMIT_TIMEOUT_MS 30000

/*
 * How long a path has to answer that it is asked whether it is still there: one packet
 * of the question and its answer may be lost, and is sent again after up to two seconds.
 */
#define RTRS_CLT_ASK_MS		5000

/*
 * Takes down paths that failed. It must make progress while memory is
 * reclaimed: failing over is how dirty pages get out. So nothing there waits for
 * another path, nor for a server longer than it is given to part; and for the user
 * only to hear of what came before.
 */
struct workqueue_struct *rtrs_clt_down_wq;

/* Connects paths again. All of it may wait: for servers, and for paths to be down. */
struct workqueue_struct *rtrs_clt_up_wq;

/* How many chunks are kept back: eight, or an eighth where there are few. */
static unsigned int rtrs_clt_nr_admin(unsigned int queue_depth)
{
	return clamp(queue_depth / 8, 1, RTRS_CLT_MAX_ADMIN);
}

static unsigned int rtrs_clt_mr_pages(const struct ib_device *dev, u32 bytes)
{
	/* one more, for data that does not start at the start of a page */
	return min_t(u32, dev->attrs.max_fast_reg_page_list_len,
		     DIV_ROUND_UP(bytes, RTRS_CLT_MR_PAGE_SIZE) + 1);
}

/* Connecting it again will not help. */
static int rtrs_clt_unfit(struct rtrs_clt_path *path)
{
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	path->unfit = true;
	spin_unlock_irqrestore(&path->state_lock, flags);
	return -EINVAL;
}

/* Of more chunks than were asked for the rest stays idle. */
static unsigned int rtrs_clt_used_depth(const struct rtrs_clt_sess *sess)
{
	return min_not_zero(sess->queue_depth, sess->wanted_depth);
}

/**
 * rtrs_clt_nr_ios() - how many chunks are ever used
 * @sess: the session, with a path that is or was connected
 *
 * Context: any.
 * Return: for I/O and administration together; the least numbers are used.
 */
unsigned int rtrs_clt_nr_ios(const struct rtrs_clt_sess *sess)
{
	return sess->io_depth + rtrs_clt_nr_admin(rtrs_clt_used_depth(sess));
}

/* The first path of a session decides on the number of chunks. */
static int rtrs_clt_sess_take_depth(struct rtrs_clt_sess *sess,
				    struct rtrs_clt_path *path)
{
	unsigned int depth = path->rsp.queue_depth;
	unsigned int sends = (path->dev->attrs.max_qp_wr - 1) /
			     RTRS_CLT_SENDS_PER_REQ;
	unsigned int used;

	if (sess->queue_depth) {
		if (depth == sess->queue_depth && sends >= sess->io_depth)
			return 0;
		dev_err(&sess->dev, "queue depth is %u, but this server or device has %u\n",
			sess->queue_depth, min(depth, sends));
		return rtrs_clt_unfit(path);
	}
	if (depth < RTRS_CLT_MIN_DEPTH || !sends) {
		dev_err(&sess->dev, "a queue depth of %u leaves no chunk for I/O\n",
			depth);
		return -EINVAL;
	}
	sess->queue_depth = depth;
	used = rtrs_clt_used_depth(sess);
	if (used < depth)
		dev_info(&sess->dev, "the server takes no wishes, and has %u chunks where %u are used\n",
			 depth, used);
	sess->io_depth = min(used - rtrs_clt_nr_admin(used), sends);
	return 0;
}

/* Once it is open the user knows its sizes, and has requests of them. */
static bool rtrs_clt_sess_take_sizes(struct rtrs_clt_sess *sess, u32 max_io,
				     unsigned int segments)
{
	bool fit = true;

	spin_lock_irq(&sess->up_lock);
	if (sess->opened) {
		fit = max_io >= sess->max_io_size &&
		      segments >= sess->max_segments;
	} else {
		sess->max_io_size = min_not_zero(sess->max_io_size, max_io);
		sess->max_segments = min_not_zero(sess->max_segments, segments);
	}
	spin_unlock_irq(&sess->up_lock);
	return fit;
}

/**
 * rtrs_clt_sess_take_geometry() - take over what a path can do
 * @sess: the session
 * @path: its path, of which cid 0 has been accepted
 *
 * Context: process.
 * Return: 0, or -EINVAL where the path does not fit the session.
 */
int rtrs_clt_sess_take_geometry(struct rtrs_clt_sess *sess,
				struct rtrs_clt_path *path)
{
	const struct rtrs_conn_rsp *rsp = &path->rsp;
	u32 max_io;
	int err;

	err = rtrs_clt_sess_take_depth(sess, path);
	if (err)
		return err;
	if (sess->max_msg_len + RTRS_MAX_REQ_LEN > rsp->max_hdr_size)
		return rtrs_clt_unfit(path);
	path->mr_pages = rtrs_clt_mr_pages(path->dev, rsp->max_io_size);
	if (path->mr_pages < 2)
		return rtrs_clt_unfit(path);
	max_io = min(rsp->max_io_size,
		     (path->mr_pages - 1) * RTRS_CLT_MR_PAGE_SIZE);
	if (rtrs_clt_sess_take_sizes(sess, max_io, path->mr_pages))
		return 0;
	dev_err(&sess->dev, "requests of %u bytes do not fit this server or device\n",
		sess->max_io_size);
	return rtrs_clt_unfit(path);
}

bool rtrs_clt_connected(struct rtrs_clt_sess *sess)
{
	return READ_ONCE(sess->nr_up);
}
EXPORT_SYMBOL_GPL(rtrs_clt_connected);

/* Is it the server that we know? One that does not say which it is always is. */
static bool rtrs_clt_sess_same_boot(const struct rtrs_clt_path *path)
{
	return !(path->rsp.features & RTRS_FEAT_BOOT_ID) ||
	       uuid_equal(&path->rsp.boot_id, &path->sess->boot_id);
}

/**
 * rtrs_clt_sess_may_create() - may the server create the session for a path?
 * @path: the path, about to connect cid 0; its creates says so afterwards
 *
 * Only if no path is up, or the server could have two of them one after the other, and
 * the client not know. While such a path is on its way that is in doubt, and stays so if
 * it fails, since the server may have seen it, until another has come up. By then what
 * it sent has been seen, or is lost.
 *
 * Context: process.
 */
void rtrs_clt_sess_may_create(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;

	spin_lock_irq(&sess->up_lock);
	path->creates = path->first_conn && !sess->nr_up;
	if (path->creates) {
		sess->nr_creating++;
		sess->doubt = true;
	}
	spin_unlock_irq(&sess->up_lock);
}

static void rtrs_clt_sess_end_create(struct rtrs_clt_path *path)
{
	lockdep_assert_held(&path->sess->up_lock);
	path->sess->nr_creating -= path->creates;
	path->creates = false;
}

/**
 * rtrs_clt_sess_path_failed() - a path could not be connected
 * @path: the path
 *
 * Context: process.
 */
void rtrs_clt_sess_path_failed(struct rtrs_clt_path *path)
{
	spin_lock_irq(&path->sess->up_lock);
	rtrs_clt_sess_end_create(path);
	spin_unlock_irq(&path->sess->up_lock);
}

static void rtrs_clt_sess_count_up(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;

	WRITE_ONCE(sess->nr_up, sess->nr_up + 1);
	sess->ups++;
	rtrs_clt_sess_end_create(path);
	if (!sess->nr_creating)
		sess->doubt = false;
	if (path->rsp.features & RTRS_FEAT_BOOT_ID)
		sess->boot_id = path->rsp.boot_id;
}

/**
 * rtrs_clt_sess_path_up() - may a path become connected now?
 * @path: the path; the caller holds its state_lock, and the session's up_lock until its
 *	state says the same
 * @asked: what rtrs_clt_sess_ask() has set, or 0
 *
 * Context: any.
 * Return: %RTRS_CLT_UP, and it is counted; %RTRS_CLT_UP_LOST if the user has to be
 * told first that the session was lost: rtrs_clt_sess_link_changed();
 * %RTRS_CLT_UP_STALE if those that are up lead to another life of the server;
 * %RTRS_CLT_UP_UNSURE if it is in doubt whether those that are up are in the same
 * session, and one has come up since rtrs_clt_sess_ask().
 */
enum rtrs_clt_up rtrs_clt_sess_path_up(struct rtrs_clt_path *path,
				       unsigned int asked)
{
	struct rtrs_clt_sess *sess = path->sess;

	lockdep_assert_held(&sess->up_lock);
	if (sess->lost)
		return RTRS_CLT_UP_LOST;
	if (sess->nr_up && !rtrs_clt_sess_same_boot(path))
		return RTRS_CLT_UP_STALE;
	if (sess->nr_up && sess->doubt && sess->ups != asked)
		return RTRS_CLT_UP_UNSURE;
	rtrs_clt_sess_count_up(path);
	return RTRS_CLT_UP;
}

/* Is there a path that is up, was asked, and has answered, or has not? */
static bool rtrs_clt_path_asked(struct rtrs_clt_path *path, bool answered)
{
	u32 question;

	if (!rtrs_clt_path_connected(path))
		return false;
	question = READ_ONCE(path->question);
	return question && rtrs_hb_answered(&path->hb, question) == answered;
}

/* All paths that are up have a heartbeat sent. */
static void rtrs_clt_sess_ask_all(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	guard(rcu)();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		if (rtrs_clt_path_connected(path))
			WRITE_ONCE(path->question, rtrs_hb_ask(&path->hb));
}

static bool rtrs_clt_sess_answered(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	guard(rcu)();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		if (rtrs_clt_path_asked(path, true))
			return true;
	return false;
}

/**
 * rtrs_clt_sess_ask() - does the server still have the session that we have?
 * @path: a path that is about to come up while others are, or that the server refused
 *	because it does not know the session
 * @asked: set to what rtrs_clt_sess_path_up() wants to know
 *
 * A path that is up here can have ended on the server, which could not say so. If it
 * was the last one there, so has the session, and all that the server's user had in
 * it. So a path that connects while others are up does not allow the server to create
 * the session (@creates): it joins one, or is refused, with ENXIO. One that was allowed
 * to, because there was none when it began, may meet another one that was, and a third
 * may have joined either. If one that is up answers now it is in one session with the
 * path, since the server has only one at a time; and with it are all others that are
 * up, for which the same was made sure of when they came up. So one answer is enough.
 *
 * Context: process, sleeps; the caller holds the path's life, and the session's ask_lock.
 * Return: true if one has answered. If not, those that were asked are not worth keeping:
 * rtrs_clt_sess_drop_silent().
 */
bool rtrs_clt_sess_ask(struct rtrs_clt_path *path, unsigned int *asked)
{
	struct rtrs_clt_sess *sess = path->sess;
	/* at first there is no other path to go on with, so be patient */
	unsigned int ms = READ_ONCE(sess->opened) ? RTRS_CLT_ASK_MS :
						    path->answer_ms;

	lockdep_assert_held(&sess->ask_lock);
	spin_lock_irq(&sess->up_lock);
	*asked = sess->ups;
	spin_unlock_irq(&sess->up_lock);
	rtrs_clt_sess_ask_all(sess);
	wait_event_timeout(sess->answer_wait,
			   rtrs_clt_sess_answered(sess) ||
			   !rtrs_clt_connected(sess) ||
			   READ_ONCE(path->connect_err),
			   msecs_to_jiffies(ms));
	return rtrs_clt_sess_answered(sess);
}

/**
 * rtrs_clt_sess_drop_silent() - give up the paths that do not answer
 * @sess: the session, after rtrs_clt_sess_ask()
 *
 * One that has come up meanwhile was not asked, and stays.
 *
 * Context: process; the caller holds @sess->ask_lock since it has asked.
 * Return: true if there was one.
 */
bool rtrs_clt_sess_drop_silent(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;
	bool dropped = false;

	lockdep_assert_held(&sess->ask_lock);
	guard(rcu)();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		if (rtrs_clt_path_asked(path, false))
			dropped |= rtrs_clt_path_error(path);
	return dropped;
}

static bool rtrs_clt_same_life(const struct rtrs_conn_rsp *a,
			       const struct rtrs_conn_rsp *b)
{
	return a->features & b->features & RTRS_FEAT_BOOT_ID &&
	       uuid_equal(&a->boot_id, &b->boot_id);
}

/**
 * rtrs_clt_sess_drop_stale() - give up the paths to an earlier life of the server
 * @path: a path to its present one, being connected
 *
 * Context: any.
 */
void rtrs_clt_sess_drop_stale(const struct rtrs_clt_path *path)
{
	struct rtrs_clt_path *other;

	guard(rcu)();
	list_for_each_entry_rcu(other, &path->sess->paths, entry)
		if (rtrs_clt_path_connected(other) &&
		    !rtrs_clt_same_life(&other->rsp, &path->rsp))
			rtrs_clt_path_error(other);
}

/**
 * rtrs_clt_sess_path_down() - a path is not connected any more
 * @sess: its session; the caller holds the path's state_lock
 *
 * Context: any.
 */
void rtrs_clt_sess_path_down(struct rtrs_clt_sess *sess)
{
	unsigned long flags;

	spin_lock_irqsave(&sess->up_lock, flags);
	WRITE_ONCE(sess->nr_up, sess->nr_up - 1);
	WRITE_ONCE(sess->nr_draining, sess->nr_draining + 1);
	if (!sess->nr_up)
		sess->lost = true;
	spin_unlock_irqrestore(&sess->up_lock, flags);
}

/**
 * rtrs_clt_sess_path_drained() - a path that was connected has no requests any more
 * @sess: its session
 *
 * Context: process.
 */
void rtrs_clt_sess_path_drained(struct rtrs_clt_sess *sess)
{
	spin_lock_irq(&sess->up_lock);
	WRITE_ONCE(sess->nr_draining, sess->nr_draining - 1);
	spin_unlock_irq(&sess->up_lock);
	wake_up_all(&sess->drain_wait);
}

static void rtrs_clt_sess_tell(struct rtrs_clt_sess *sess, bool up)
{
	lockdep_assert_held(&sess->link_lock);
	if (!sess->opened || sess->closing || up == sess->link_up)
		return;
	sess->link_up = up;
	/* one has found the server: the others need not wait for their turn */
	if (up)
		rtrs_clt_sess_kick(sess);
	sess->ops->link_ev(sess->priv, up ? RTRS_CLT_LINK_EV_CONNECTED :
					    RTRS_CLT_LINK_EV_DISCONNECTED);
}

/* What was under way has to have been failed before the user is told of the loss. */
static bool rtrs_clt_sess_tell_lost(struct rtrs_clt_sess *sess)
{
	bool lost, draining;

	lockdep_assert_held(&sess->link_lock);
	spin_lock_irq(&sess->up_lock);
	lost = sess->lost;
	draining = sess->nr_draining;
	spin_unlock_irq(&sess->up_lock);
	if (!lost)
		return true;
	/* no other will follow: none comes up before the user knows */
	if (draining)
		return false;
	rtrs_clt_sess_tell(sess, false);
	spin_lock_irq(&sess->up_lock);
	sess->lost = false;
	spin_unlock_irq(&sess->up_lock);
	return true;
}

/**
 * rtrs_clt_sess_link_gone() - a path is down: is it the last one?
 * @sess: its session
 *
 * If others have to be drained first, the last of them tells the user.
 *
 * Context: process; sleeps, but waits for no path, nor for the answer of a server.
 */
void rtrs_clt_sess_link_gone(struct rtrs_clt_sess *sess)
{
	guard(mutex)(&sess->link_lock);
	rtrs_clt_sess_tell_lost(sess);
}

static bool rtrs_clt_sess_tell_link(struct rtrs_clt_sess *sess)
{
	guard(mutex)(&sess->link_lock);
	if (!rtrs_clt_sess_tell_lost(sess))
		return false;
	if (rtrs_clt_connected(sess))
		rtrs_clt_sess_tell(sess, true);
	return true;
}

/**
 * rtrs_clt_sess_link_changed() - a path has come, or would: does the user care?
 * @sess: the session
 *
 * Context: process, sleeps until paths that are being taken down are drained; no lock
 * is held but a path's life.
 */
void rtrs_clt_sess_link_changed(struct rtrs_clt_sess *sess)
{
	while (!rtrs_clt_sess_tell_link(sess))
		wait_event(sess->drain_wait, !READ_ONCE(sess->nr_draining));
}

/* No link events from here on, and none is running. */
static void rtrs_clt_sess_mute(struct rtrs_clt_sess *sess)
{
	guard(mutex)(&sess->link_lock);
	sess->closing = true;
}

static int rtrs_clt_params_check(const struct rtrs_clt_params *p)
{
	if (!rtrs_sessname_ok(p->sessname, RTRS_SESSNAME_LEN))
		return -EINVAL;
	if (!p->path_cnt || p->path_cnt > RTRS_MAX_PATHS)
		return -EINVAL;
	if (p->nr_poll_queues > min(num_possible_cpus(), RTRS_MAX_CONS / 2))
		return -EINVAL;
	if (p->queue_depth && (p->queue_depth < RTRS_CLT_MIN_DEPTH ||
			       p->queue_depth > RTRS_CLT_MAX_DEPTH))
		return -EINVAL;
	if (p->max_msg_len + RTRS_MAX_REQ_LEN > SZ_4K)
		return -EINVAL;
	return 0;
}

static struct rtrs_clt_sess *
rtrs_clt_sess_alloc(const struct rtrs_clt_params *p,
		    const struct rtrs_clt_ops *ops, void *priv)
{
	struct rtrs_clt_sess *sess = kzalloc(sizeof(*sess), GFP_KERNEL);

	if (!sess)
		return ERR_PTR(-ENOMEM);
	sess->rr = alloc_percpu(unsigned int);
	if (!sess->rr) {
		kfree(sess);
		return ERR_PTR(-ENOMEM);
	}
	INIT_LIST_HEAD(&sess->paths);
	mutex_init(&sess->lock);
	mutex_init(&sess->link_lock);
	mutex_init(&sess->ask_lock);
	spin_lock_init(&sess->up_lock);
	init_waitqueue_head(&sess->drain_wait);
	init_waitqueue_head(&sess->answer_wait);
	init_waitqueue_head(&sess->admin_wait);
	sess->policy = rtrs_clt_default_policy;
	sess->max_reconnect_attempts = -1;
	sess->hb_interval_ms = RTRS_HB_INTERVAL_MS;
	sess->hb_missed_max = RTRS_HB_MISSED_MAX;
	sess->port = rtrs_addr_port(&p->paths[0].dst);
	sess->nr_poll_queues = p->nr_poll_queues;
	sess->nr_queues = min(num_online_cpus(),
			      RTRS_MAX_CONS - 1 - p->nr_poll_queues);
	sess->nr_cons = 1 + sess->nr_queues + sess->nr_poll_queues;
	sess->wanted_depth = p->queue_depth;
	sess->max_msg_len = p->max_msg_len;
	sess->ops = ops;
	sess->priv = priv;
	uuid_gen(&sess->uuid);
	strscpy(sess->name, p->sessname);
	device_initialize(&sess->dev);
	sess->dev.class = &rtrs_clt_class;
	return sess;
}

/* Only addresses count, not ports. */
static bool rtrs_clt_addr_equal(const struct sockaddr_storage *a,
				const struct sockaddr_storage *b)
{
	char x[RTRS_ADDR_STRLEN], y[RTRS_ADDR_STRLEN];

	rtrs_addr_to_str(a, x, sizeof(x));
	rtrs_addr_to_str(b, y, sizeof(y));
	return !strcmp(x, y);
}

/* Once it is connected, a path knows its source, whether one was given or not. */
static bool rtrs_clt_sess_has_path(struct rtrs_clt_sess *sess,
				   const struct rtrs_clt_path *self,
				   const struct rtrs_path_addr *addr)
{
	struct rtrs_clt_path *path;

	list_for_each_entry(path, &sess->paths, entry)
		if (path != self &&
		    rtrs_clt_addr_equal(&path->addr.src, &addr->src) &&
		    rtrs_clt_addr_equal(&path->addr.dst, &addr->dst))
			return true;
	return false;
}

/* Before it is connected, so that whoever stops the session finds it. */
static int rtrs_clt_sess_link_path(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	int err = 0;

	spin_lock_irq(&sess->up_lock);
	if (sess->stopped)
		err = -ENODEV;
	else
		list_add_tail_rcu(&path->entry, &sess->paths);
	spin_unlock_irq(&sess->up_lock);
	return err;
}

/* The path is down for good, and is seen by nobody afterwards. */
static void rtrs_clt_sess_drop_path(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;

	/* so that whoever writes in its folder does not take long */
	rtrs_clt_path_retire(path);
	rtrs_clt_path_sysfs_del(path);
	rtrs_clt_path_disconnect(path);
	spin_lock_irq(&sess->up_lock);
	list_del_rcu(&path->entry);
	spin_unlock_irq(&sess->up_lock);
	synchronize_rcu();
	rtrs_clt_path_free(path);
}

static int rtrs_clt_sess_connect_path(struct rtrs_clt_path *path)
{
	int err;

	err = rtrs_clt_path_bring_up(path);
	if (err)
		return err < 0 ? err : -ENODEV;
	if (rtrs_clt_sess_has_path(path->sess, path, &path->addr))
		return -EEXIST;
	return rtrs_clt_path_sysfs_add(path);
}

/**
 * rtrs_clt_sess_add_path() - connect a new path
 * @sess: the session
 * @addr: its ends
 *
 * Context: process, sleeps.
 * Return: 0; -EEXIST if there is such a path, -ENODEV if the session is being
 * closed, or why it could not be connected: -ENXIO if the server does not know
 * the session, and there is a path that may create it there.
 */
int rtrs_clt_sess_add_path(struct rtrs_clt_sess *sess,
			   const struct rtrs_path_addr *addr)
{
	struct rtrs_clt_path *path;
	int err;

	guard(mutex)(&sess->lock);
	if (rtrs_clt_sess_has_path(sess, NULL, addr))
		return -EEXIST;
	path = rtrs_clt_path_alloc(sess, addr);
	if (IS_ERR(path))
		return PTR_ERR(path);
	/* else a server that does not know the session may be another one */
	path->first_conn = list_empty(&sess->paths);
	err = rtrs_clt_sess_link_path(path);
	if (err) {
		rtrs_clt_path_free(path);
		return err;
	}
	err = rtrs_clt_sess_connect_path(path);
	if (err) {
		rtrs_clt_sess_drop_path(path);
		return err;
	}
	dev_info(&sess->dev, "path %s connected\n", kobject_name(&path->kobj));
	return 0;
}

/**
 * rtrs_clt_sess_remove_path() - disconnect a path and forget it
 * @path: the path; the caller has references to it and to its session, and does
 *	not stand in the way of its folder in sysfs
 *
 * Its requests are sent on over other paths.
 *
 * Context: process, sleeps.
 */
void rtrs_clt_sess_remove_path(struct rtrs_clt_path *path)
{
	guard(mutex)(&path->sess->lock);
	if (path->removed)
		return;
	dev_info(&path->sess->dev, "path %s removed\n",
		 kobject_name(&path->kobj));
	rtrs_clt_sess_drop_path(path);
}

/* No path becomes connected any more, and those that are get disconnected. */
static void rtrs_clt_sess_stop(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	spin_lock_irq(&sess->up_lock);
	sess->stopped = true;
	spin_unlock_irq(&sess->up_lock);
	/* all at once: nothing is to be sent again on those that are left */
	guard(rcu)();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		rtrs_clt_path_unwant(path);
}

static void rtrs_clt_sess_free_paths(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path, *next;

	rtrs_clt_sess_stop(sess);
	guard(mutex)(&sess->lock);
	list_for_each_entry_safe(path, next, &sess->paths, entry)
		rtrs_clt_sess_drop_path(path);
}

/**
 * rtrs_clt_sess_tune_hb() - have all paths use the session's heartbeat
 * @sess: the session
 *
 * Context: process.
 */
void rtrs_clt_sess_tune_hb(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	guard(rcu)();
	list_for_each_entry_rcu(path, &sess->paths, entry)
		rtrs_hb_tune(&path->hb, READ_ONCE(sess->hb_interval_ms),
			     READ_ONCE(sess->hb_missed_max));
}

static int rtrs_clt_sess_connect(struct rtrs_clt_sess *sess,
				 const struct rtrs_clt_params *params)
{
	unsigned int i;
	int err;

	for (i = 0; i < params->path_cnt; i++) {
		err = rtrs_clt_sess_add_path(sess, &params->paths[i]);
		if (err)
			return err;
	}
	/* from here on the user is told what happens */
	guard(mutex)(&sess->link_lock);
	spin_lock_irq(&sess->up_lock);
	sess->opened = true;
	spin_unlock_irq(&sess->up_lock);
	sess->link_up = rtrs_clt_connected(sess);
	return sess->link_up ? 0 : -ECONNRESET;
}

struct rtrs_clt_sess *rtrs_clt_open(const struct rtrs_clt_params *params,
				    const struct rtrs_clt_ops *ops,
				    void *priv)
{
	struct rtrs_clt_sess *sess;
	int err;

	err = rtrs_clt_params_check(params);
	if (err)
		return ERR_PTR(err);
	sess = rtrs_clt_sess_alloc(params, ops, priv);
	if (IS_ERR(sess))
		return sess;
	err = dev_set_name(&sess->dev, "%s", sess->name);
	if (err)
		goto put;
	err = rtrs_clt_sess_sysfs_add(sess);
	if (err)
		goto put;
	rtrs_clt_ports_watch(sess);
	err = rtrs_clt_sess_connect(sess, params);
	if (err)
		goto close;
	return sess;

close:
	rtrs_clt_close(sess);
	return ERR_PTR(err);
put:
	put_device(&sess->dev);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_GPL(rtrs_clt_open);

void rtrs_clt_close(struct rtrs_clt_sess *sess)
{
	rtrs_clt_ports_unwatch(sess);
	rtrs_clt_sess_mute(sess);
	rtrs_clt_sess_free_paths(sess);
	rtrs_clt_batches_flush();
	rtrs_clt_sess_sysfs_del(sess);
	put_device(&sess->dev);
}
EXPORT_SYMBOL_GPL(rtrs_clt_close);

void rtrs_clt_abort(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	rtrs_clt_sess_stop(sess);
	guard(mutex)(&sess->lock);
	list_for_each_entry(path, &sess->paths, entry)
		rtrs_clt_path_disconnect(path);
}
EXPORT_SYMBOL_GPL(rtrs_clt_abort);

void rtrs_clt_boot_id(struct rtrs_clt_sess *sess, uuid_t *id)
{
	spin_lock_irq(&sess->up_lock);
	*id = sess->boot_id;
	spin_unlock_irq(&sess->up_lock);
}
EXPORT_SYMBOL_GPL(rtrs_clt_boot_id);

void rtrs_clt_query(struct rtrs_clt_sess *sess, struct rtrs_clt_attrs *attrs)
{
	*attrs = (struct rtrs_clt_attrs) {
		.queue_depth	= rtrs_clt_used_depth(sess),
		.io_depth	= sess->io_depth,
		.max_io_size	= sess->max_io_size,
		.max_segments	= sess->max_segments,
		.nr_queues	= sess->nr_queues,
		.nr_poll_queues	= sess->nr_poll_queues,
	};
}
EXPORT_SYMBOL_GPL(rtrs_clt_query);

static bool rtrs_clt_try_get_permit(struct rtrs_clt_sess *sess, int *chunk)
{
	unsigned int i, nr = rtrs_clt_nr_admin(rtrs_clt_used_depth(sess));

	for (i = 0; i < nr; i++)
		if (!test_and_set_bit_lock(i, &sess->admin_map)) {
			*chunk = sess->io_depth + i;
			return true;
		}
	return false;
}

int rtrs_clt_get_permit(struct rtrs_clt_sess *sess)
{
	int chunk = -ETIMEDOUT;

	wait_event_timeout(sess->admin_wait, rtrs_clt_try_get_permit(sess, &chunk),
			   msecs_to_jiffies(RTRS_CLT_PERMIT_TIMEOUT_MS));
	return chunk;
}
EXPORT_SYMBOL_GPL(rtrs_clt_get_permit);

void rtrs_clt_put_permit(struct rtrs_clt_sess *sess, u16 chunk)
{
	clear_bit_unlock(chunk - sess->io_depth, &sess->admin_map);
	wake_up(&sess->admin_wait);
}
EXPORT_SYMBOL_GPL(rtrs_clt_put_permit);

static int __init rtrs_clt_init(void)
{
	int err;

	rtrs_clt_down_wq = alloc_workqueue("rtrs_client_down",
					   WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!rtrs_clt_down_wq)
		return -ENOMEM;
	err = -ENOMEM;
	rtrs_clt_up_wq = alloc_workqueue("rtrs_client_up",
					 WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!rtrs_clt_up_wq)
		goto destroy_down;
	err = rtrs_clt_sysfs_init();
	if (err)
		goto destroy_up;
	err = rtrs_clt_ports_init();
	if (err)
		goto sysfs_exit;
	rtrs_clt_batches_init();
	return 0;

sysfs_exit:
	rtrs_clt_sysfs_exit();
destroy_up:
	destroy_workqueue(rtrs_clt_up_wq);
destroy_down:
	destroy_workqueue(rtrs_clt_down_wq);
	return err;
}

/*
 * There is no session any more, but somebody who wrote to the remove_path of one
 * can be on the way out: see remove_path_store().
 */
static void __exit rtrs_clt_exit(void)
{
	rtrs_clt_ports_exit();
	synchronize_rcu_tasks();
	rtrs_clt_sysfs_exit();
	destroy_workqueue(rtrs_clt_up_wq);
	destroy_workqueue(rtrs_clt_down_wq);
}

module_init(rtrs_clt_init);
module_exit(rtrs_clt_exit);

MODULE_DESCRIPTION("RTRS client");
MODULE_LICENSE("GPL");

#ifdef CONFIG_RTRS_KUNIT_TEST
#include "rtrs-clt-test.c"
#endif
