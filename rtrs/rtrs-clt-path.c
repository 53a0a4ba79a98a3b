// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of a client's path: connect, introduce itself, carry requests, fail
 * or be closed, be taken down.
 *
 * One thread at a time connects a path or takes it down, under path->life. It
 * connects step by step and waits after each. Once the path is connected nobody
 * holds that mutex, and an error from anywhere (a failed completion, an event of
 * the connection manager, a silent peer, an answer that makes no sense) only
 * moves the state to DRAINING and queues the work that takes the path down:
 *
 *   wait for senders (RCU), stop the heartbeat, disconnect all connections,
 *   drain their queues, send the requests that were not answered over another
 *   path or fail them, free everything, the cm_ids last.
 *
 * What is left then is the path object itself: its addresses, its uuid and its
 * folder in sysfs. It is connected again by rtrs-clt-recon.c, unless somebody has
 * said that it is not wanted.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched/mm.h>

#include "rtrs-clt.h"
#include "rtrs-clt-trace.h"

/* How long a server has to say that a connection is over. */
#define RTRS_CLT_PART_MS	500

/* How long the other paths are believed that they are there. */
#define RTRS_CLT_BELIEVE_SEC	60

static bool rtrs_clt_move_legal(enum rtrs_clt_path_state from,
				enum rtrs_clt_path_state to)
{
	static const u8 legal[RTRS_CLT_NR_STATES] = {
		[RTRS_CLT_DISCONNECTED]	= BIT(RTRS_CLT_CONNECTING),
		[RTRS_CLT_CONNECTING]	= BIT(RTRS_CLT_CONNECTED) |
					  BIT(RTRS_CLT_DRAINING),
		[RTRS_CLT_CONNECTED]	= BIT(RTRS_CLT_DRAINING),
		[RTRS_CLT_DRAINING]	= BIT(RTRS_CLT_DISCONNECTED),
	};

	return legal[from] & BIT(to);
}

static void rtrs_clt_move_locked(struct rtrs_clt_path *path,
				 enum rtrs_clt_path_state to)
{
	lockdep_assert_held(&path->state_lock);
	WARN_ONCE(!rtrs_clt_move_legal(path->state, to),
		  "illegal move of a path from state %d to %d\n",
		  path->state, to);
	/* pairs with rtrs_clt_path_connected(): what it has is there by then */
	smp_store_release(&path->state, to);
}

static void rtrs_clt_move(struct rtrs_clt_path *path,
			  enum rtrs_clt_path_state to)
{
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	rtrs_clt_move_locked(path, to);
	spin_unlock_irqrestore(&path->state_lock, flags);
}

/**
 * rtrs_clt_step_done() - a step of connecting has ended
 * @path: the path
 * @err: how; the first error since the path started to connect stays
 *
 * Context: any.
 */
void rtrs_clt_step_done(struct rtrs_clt_path *path, int err)
{
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	if (!path->connect_err)
		path->connect_err = err;
	/* inside, so that it does not end a step of the next attempt */
	complete(&path->step);
	spin_unlock_irqrestore(&path->state_lock, flags);
}

/**
 * rtrs_clt_path_error() - this path cannot be used any more
 * @path: the path, in any state
 *
 * A connected path is taken down; one that is being connected fails to.
 *
 * Context: any.
 * Return: true if it was connected until now.
 */
bool rtrs_clt_path_error(struct rtrs_clt_path *path)
{
	bool was_up = false;
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	if (!path->connect_err)
		path->connect_err = -ECONNRESET;
	if (path->state == RTRS_CLT_CONNECTED) {
		trace_rtrs_rdma_error_recovery(path);
		was_up = true;
		rtrs_clt_move_locked(path, RTRS_CLT_DRAINING);
		path->down_since = jiffies;
		path->tearing = true;
		rtrs_clt_sess_path_down(path->sess);
		queue_work(rtrs_clt_down_wq, &path->teardown);
	}
	complete(&path->step);
	spin_unlock_irqrestore(&path->state_lock, flags);
	/* neither is waited for any more: for an answer of it, nor for one for it */
	wake_up_all(&path->sess->answer_wait);
	return was_up;
}

/**
 * rtrs_clt_path_failed() - the same, because of something that is worth a line
 * @path: the path
 * @what: what has failed
 * @why: how
 *
 * Context: any.
 */
void rtrs_clt_path_failed(struct rtrs_clt_path *path, const char *what,
			  const char *why)
{
	if (rtrs_clt_path_error(path))
		dev_warn(&path->sess->dev, "path %s: %s: %s\n",
			 kobject_name(&path->kobj), what, why);
}

/**
 * rtrs_clt_wait_step() - wait for a step of connecting to end
 * @path: the path, in state CONNECTING
 * @timeout_ms: how long
 *
 * Context: process, sleeps.
 * Return: 0, -ETIMEDOUT, or why the step or the whole path failed.
 */
int rtrs_clt_wait_step(struct rtrs_clt_path *path, unsigned int timeout_ms)
{
	if (!wait_for_completion_timeout(&path->step,
					 msecs_to_jiffies(timeout_ms)))
		return -ETIMEDOUT;
	return READ_ONCE(path->connect_err);
}

static void rtrs_clt_hb_dead(struct rtrs_hb *hb)
{
	rtrs_clt_path_failed(container_of(hb, struct rtrs_clt_path, hb),
			     "heartbeat", "no answer");
}

static struct rtrs_clt_path *rtrs_clt_cq_path(struct ib_cq *cq)
{
	struct rtrs_con *c = cq->cq_context;

	return container_of(c, struct rtrs_clt_con, c)->path;
}

static void rtrs_clt_info_req_done(struct ib_cq *cq, struct ib_wc *wc)
{
	if (wc->status != IB_WC_SUCCESS)
		rtrs_clt_path_error(rtrs_clt_cq_path(cq));
}

static void rtrs_clt_info_rsp_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_path *path = rtrs_clt_cq_path(cq);

	if (wc->status != IB_WC_SUCCESS || wc->opcode != IB_WC_RECV) {
		rtrs_clt_path_error(path);
		return;
	}
	path->info_len = wc->byte_len;
	rtrs_clt_step_done(path, 0);
}

static int rtrs_clt_info_alloc(struct rtrs_clt_path *path)
{
	path->info_tx = rtrs_iu_alloc(path->dev,
				      sizeof(struct rtrs_msg_info_req),
				      DMA_TO_DEVICE, rtrs_clt_info_req_done);
	path->info_rx = rtrs_iu_alloc(path->dev,
				      rtrs_info_rsp_size(path->rsp.queue_depth),
				      DMA_FROM_DEVICE, rtrs_clt_info_rsp_done);
	return path->info_tx && path->info_rx ? 0 : -ENOMEM;
}

static int rtrs_clt_info_take(struct rtrs_clt_path *path)
{
	const struct rtrs_msg_info_rsp *msg = path->info_rx->buf;
	u32 chunk_size = path->rsp.max_io_size + path->rsp.max_hdr_size;
	unsigned int nr = 0;
	int i, sg_cnt;

	ib_dma_sync_single_for_cpu(path->dev, path->info_rx->dma_addr,
				   path->info_rx->size, DMA_FROM_DEVICE);
	sg_cnt = rtrs_info_rsp_check(msg, path->info_len, &path->rsp);
	for (i = 0; i < sg_cnt; i++) {
		u64 addr = le64_to_cpu(msg->desc[i].addr);
		u32 left = le32_to_cpu(msg->desc[i].len);

		for (; left && nr < path->nr_ios;
		     left -= chunk_size, addr += chunk_size)
			path->chunks[nr++] = (struct rtrs_clt_chunk) {
				.addr	= addr,
				.rkey	= le32_to_cpu(msg->desc[i].key),
			};
	}
	return sg_cnt < 0 ? sg_cnt : 0;
}

/* Tell the server who we are, and learn where its chunks are. */
static int rtrs_clt_info_exchange(struct rtrs_clt_path *path)
{
	struct rtrs_con *con = &path->cons[0]->c;
	int err;

	err = rtrs_clt_info_alloc(path);
	if (err)
		return err;
	err = rtrs_iu_post_recv(con, path->info_rx);
	if (err)
		return err;
	rtrs_info_req_encode(path->info_tx->buf, path->sess->name);
	err = rtrs_iu_post_send(con, path->info_tx,
				sizeof(struct rtrs_msg_info_req));
	if (err)
		return err;
	err = rtrs_clt_wait_step(path, path->answer_ms);
	if (err)
		return err;
	return rtrs_clt_info_take(path);
}

/* Where no source was given, the path is named after the one that was found. */
static void rtrs_clt_path_take_src(struct rtrs_clt_path *path)
{
	const struct rdma_addr *found = &path->cons[0]->c.cm_id->route.addr;

	if (path->addr.src.ss_family != AF_UNSPEC)
		return;
	path->addr.src = found->src_addr;
	if (path->addr.src.ss_family != AF_IB)
		((struct sockaddr_in *)&path->addr.src)->sin_port = 0;
}

static int rtrs_clt_path_set_up(struct rtrs_clt_path *path)
{
	struct rtrs_clt_sess *sess = path->sess;
	unsigned int cid;
	int err;

	/* a session that has its depth keeps it, whatever the server has by now */
	path->wanted_depth = sess->queue_depth ?: sess->wanted_depth;
	err = rtrs_clt_con_connect(path, 0);
	if (err)
		return err;
	rtrs_clt_path_take_src(path);
	err = rtrs_clt_sess_take_geometry(sess, path);
	if (err)
		return err;
	err = rtrs_clt_ios_alloc(path);
	if (err)
		return err;
	for (cid = 1; cid < sess->nr_cons; cid++) {
		err = rtrs_clt_con_connect(path, cid);
		if (err)
			return err;
	}
	err = rtrs_clt_bufs_register(path);
	if (err)
		return err;
	err = rtrs_clt_info_exchange(path);
	if (err)
		return err;
	for (cid = 0; cid < sess->nr_cons; cid++) {
		err = rtrs_clt_con_start(path->cons[cid]);
		if (err)
			return err;
	}
	return 0;
}

static void rtrs_clt_path_live(struct rtrs_clt_path *path)
{
	path->attempts = 0;
	path->question = 0;
	path->ask_after = 0;
	rtrs_hb_start(&path->hb);
	rtrs_clt_move_locked(path, RTRS_CLT_CONNECTED);
}

static int rtrs_clt_path_try_live(struct rtrs_clt_path *path,
				  unsigned int asked, enum rtrs_clt_up *up)
{
	unsigned long flags;
	int err;

	spin_lock_irqsave(&path->state_lock, flags);
	err = path->connect_err;
	if (!err) {
		spin_lock(&path->sess->up_lock);
		*up = rtrs_clt_sess_path_up(path, asked);
		if (*up == RTRS_CLT_UP)
			rtrs_clt_path_live(path);
		spin_unlock(&path->sess->up_lock);
	}
	spin_unlock_irqrestore(&path->state_lock, flags);
	return err;
}

/*
 * The server may not have the session any more that those lead to which are up. Are
 * they? If not, they are given up. Returns whether one is.
 */
static bool rtrs_clt_path_ask_others(struct rtrs_clt_path *path,
				     unsigned int *asked)
{
	guard(mutex)(&path->sess->ask_lock);
	if (rtrs_clt_sess_ask(path, asked))
		return true;
	/* nor is it of interest any more if the path has failed meanwhile */
	if (!READ_ONCE(path->connect_err) && rtrs_clt_sess_drop_silent(path->sess))
		dev_warn(&path->sess->dev, "path %s: the server has lost the session, and no other path answers\n",
			 kobject_name(&path->kobj));
	return false;
}

/*
 * From here on errors are for the teardown work. A session that has lost its last
 * path gets a new one only when its user knows. Paths to an earlier life of the
 * server, or of the session on it, are dead, even if they do not know it yet.
 */
static int rtrs_clt_path_go_live(struct rtrs_clt_path *path)
{
	unsigned int asked = 0;
	enum rtrs_clt_up up;
	int err;

	for (;;) {
		err = rtrs_clt_path_try_live(path, asked, &up);
		if (err || up == RTRS_CLT_UP)
			return err;
		if (up == RTRS_CLT_UP_UNSURE)
			rtrs_clt_path_ask_others(path, &asked);
		else if (up == RTRS_CLT_UP_STALE)
			rtrs_clt_sess_drop_stale(path);
		rtrs_clt_sess_link_changed(path->sess);
	}
}

static void rtrs_clt_path_free_verbs(struct rtrs_clt_path *path)
{
	unsigned int cid;

	/* the queues first: they may still flush what was posted while draining */
	for (cid = 0; cid < path->sess->nr_cons; cid++)
		if (path->cons[cid])
			rtrs_clt_con_free(path->cons[cid]);
	rtrs_clt_ios_free(path);
	rtrs_iu_free(path->info_tx, path->dev);
	rtrs_iu_free(path->info_rx, path->dev);
	path->info_tx = NULL;
	path->info_rx = NULL;
	if (path->pd)
		ib_dealloc_pd(path->pd);
	path->pd = NULL;
	path->dev = NULL;
	for (cid = 0; cid < path->sess->nr_cons; cid++) {
		if (!path->cons[cid])
			continue;
		rtrs_con_destroy_cm_id(&path->cons[cid]->c);
		kfree(path->cons[cid]);
		path->cons[cid] = NULL;
	}
}

/*
 * Disconnect. A server that can be reached says when it takes in nothing more;
 * what is still on its way can be carried out no later than that. One that does
 * not say so in time is not waited for: it cannot be reached, or it is busy with
 * what it has, which it knows of then.
 */
static void rtrs_clt_path_part(struct rtrs_clt_path *path)
{
	unsigned long end = jiffies + msecs_to_jiffies(RTRS_CLT_PART_MS);
	unsigned int cid, nr = path->sess->nr_cons;

	for (cid = 0; cid < nr && path->cons[cid]; cid++)
		rdma_disconnect(path->cons[cid]->c.cm_id);
	for (cid = 0; cid < nr && path->cons[cid]; cid++) {
		long left = end - jiffies;

		if (path->cons[cid]->accepted)
			wait_for_completion_timeout(&path->cons[cid]->parted,
						    max(left, 0L));
	}
}

/* Take down a path in state DRAINING; see the top of this file. */
static void rtrs_clt_path_take_down(struct rtrs_clt_path *path)
{
	unsigned int cid, nr = path->sess->nr_cons;

	trace_rtrs_clt_close_conns(path);
	synchronize_rcu();
	rtrs_hb_stop(&path->hb);
	rtrs_clt_path_part(path);
	for (cid = 0; cid < nr && path->cons[cid]; cid++)
		rtrs_con_drain(&path->cons[cid]->c);
	rtrs_clt_ios_requeue(path);
	rtrs_clt_path_free_verbs(path);
	rtrs_clt_move(path, RTRS_CLT_DISCONNECTED);
}

static void rtrs_clt_path_teardown(struct work_struct *work)
{
	struct rtrs_clt_path *path = container_of(work, struct rtrs_clt_path,
						  teardown);
	unsigned int noio = memalloc_noio_save();

	mutex_lock(&path->life);
	rtrs_clt_path_take_down(path);
	mutex_unlock(&path->life);
	rtrs_clt_sess_path_drained(path->sess);
	memalloc_noio_restore(noio);

	dev_info(&path->sess->dev, "path %s disconnected\n",
		 kobject_name(&path->kobj));
	rtrs_clt_sess_link_gone(path->sess);
	rtrs_clt_path_torn(path);
}

/* From here on an error ends the attempt, and not what came before it. */
static bool rtrs_clt_path_begin(struct rtrs_clt_path *path)
{
	bool begun = false;
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	if (path->wanted && !path->tearing &&
	    path->state == RTRS_CLT_DISCONNECTED) {
		path->connect_err = 0;
		path->recon_cnt++;
		reinit_completion(&path->step);
		rtrs_clt_move_locked(path, RTRS_CLT_CONNECTING);
		begun = true;
	}
	spin_unlock_irqrestore(&path->state_lock, flags);
	return begun;
}

/*
 * The server does not know the session, though there are paths that are up. Where these
 * do not answer either, the next attempt may create it. Where they do, this path's
 * server is another one: that is not found out anew with each attempt.
 */
static void rtrs_clt_path_unknown(struct rtrs_clt_path *path)
{
	unsigned int asked;
	bool ask, answered;

	spin_lock_irq(&path->state_lock);
	/* from here on it is set if the path is not wanted any more */
	path->connect_err = 0;
	ask = path->wanted && !(path->ask_after &&
				time_before(jiffies, path->ask_after));
	spin_unlock_irq(&path->state_lock);
	if (!ask || !rtrs_clt_connected(path->sess))
		return;

	answered = rtrs_clt_path_ask_others(path, &asked);
	spin_lock_irq(&path->state_lock);
	if (answered)
		path->ask_after = (jiffies + RTRS_CLT_BELIEVE_SEC * HZ) ?: 1;
	else
		path->kicked = true;
	spin_unlock_irq(&path->state_lock);
}

/**
 * rtrs_clt_path_connect() - connect a path
 * @path: the path
 * @answer_ms: how long to wait for each answer
 *
 * Context: process, sleeps. Not in an event of the session.
 * Return: 0; 1 if it is not disconnected, or not wanted; or why it failed, and
 * nothing is left behind: any errno, since the server has a say in it.
 */
int rtrs_clt_path_connect(struct rtrs_clt_path *path, unsigned int answer_ms)
{
	unsigned int noio = memalloc_noio_save();
	int err = 1;

	mutex_lock(&path->life);
	if (!rtrs_clt_path_begin(path))
		goto unlock;
	path->answer_ms = answer_ms;
	err = rtrs_clt_path_set_up(path);
	if (!err)
		err = rtrs_clt_path_go_live(path);
	if (err) {
		rtrs_clt_move(path, RTRS_CLT_DRAINING);
		rtrs_clt_path_take_down(path);
		rtrs_clt_sess_path_failed(path);
	}
	if (err == -ENXIO)
		rtrs_clt_path_unknown(path);
unlock:
	mutex_unlock(&path->life);
	memalloc_noio_restore(noio);

	if (!err) {
		rtrs_clt_sess_link_changed(path->sess);
		rtrs_clt_ports_review(path->sess);
	}
	return err;
}

/**
 * rtrs_clt_path_unwant() - a path is to stay down once it is
 * @path: the path, in any state
 *
 * Only rtrs_clt_path_reconnect() takes that back.
 *
 * Context: any.
 */
void rtrs_clt_path_unwant(struct rtrs_clt_path *path)
{
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	path->wanted = false;
	spin_unlock_irqrestore(&path->state_lock, flags);
	rtrs_clt_path_error(path);
}

/**
 * rtrs_clt_path_retire() - a path is never to be connected again
 * @path: the path, in any state
 *
 * Context: any.
 */
void rtrs_clt_path_retire(struct rtrs_clt_path *path)
{
	unsigned long flags;

	spin_lock_irqsave(&path->state_lock, flags);
	path->removed = true;
	spin_unlock_irqrestore(&path->state_lock, flags);
	rtrs_clt_path_unwant(path);
}

/**
 * rtrs_clt_path_disconnect() - disconnect a path until it is wanted again, and wait
 * @path: the path, in any state
 *
 * Context: process, sleeps.
 */
void rtrs_clt_path_disconnect(struct rtrs_clt_path *path)
{
	rtrs_clt_path_unwant(path);
	flush_work(&path->teardown);
	/* nothing queues it any more: whoever would looks whether it is wanted */
	cancel_delayed_work_sync(&path->reconnect);
	/* somebody else who was connecting it has failed by now, and cleans up */
	mutex_lock(&path->life);
	mutex_unlock(&path->life);
}

/**
 * rtrs_clt_path_alloc() - make a path, disconnected
 * @sess: its session
 * @addr: its ends
 *
 * Return: the path or an ERR_PTR; to be freed with rtrs_clt_path_free().
 */
struct rtrs_clt_path *rtrs_clt_path_alloc(struct rtrs_clt_sess *sess,
					  const struct rtrs_path_addr *addr)
{
	struct rtrs_clt_path *path = kzalloc(sizeof(*path), GFP_KERNEL);

	if (!path)
		return ERR_PTR(-ENOMEM);
	path->sess = sess;
	path->addr = *addr;
	path->cons = kcalloc(sess->nr_cons, sizeof(*path->cons), GFP_KERNEL);
	path->stats = alloc_percpu(struct rtrs_clt_stats);
	path->latency = alloc_percpu(struct rtrs_clt_latency);
	if (!path->cons || !path->stats || !path->latency) {
		free_percpu(path->latency);
		free_percpu(path->stats);
		kfree(path->cons);
		kfree(path);
		return ERR_PTR(-ENOMEM);
	}
	uuid_gen(&path->uuid);
	INIT_LIST_HEAD(&path->entry);
	spin_lock_init(&path->state_lock);
	mutex_init(&path->life);
	init_completion(&path->step);
	INIT_WORK(&path->teardown, rtrs_clt_path_teardown);
	INIT_DELAYED_WORK(&path->reconnect, rtrs_clt_reconnect_work);
	path->wanted = true;
	rtrs_hb_init(&path->hb, rtrs_clt_hb_dead);
	rtrs_hb_tune(&path->hb, sess->hb_interval_ms, sess->hb_missed_max);
	kobject_init(&path->kobj, &rtrs_clt_path_ktype);
	return path;
}

/**
 * rtrs_clt_path_free() - let go of a path
 * @path: the path; disconnected, in no list, and nobody in RCU still sees it
 */
void rtrs_clt_path_free(struct rtrs_clt_path *path)
{
	kobject_put(&path->kobj);
}

#ifdef CONFIG_RTRS_KUNIT_TEST
#include "rtrs-clt-path-test.c"
#endif
