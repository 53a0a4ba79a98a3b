// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RTRS server: the life of a path.
 *
 * A path is CONNECTING while its connections are accepted, one after the other.
 * When all are there the client sends INFO_REQ on the first. A work item then
 * makes the path ready: receives on all connections, the name of the session,
 * chunks and their regions, the user's consent, sysfs. The path is CONNECTED
 * from before the client knows, that is before INFO_RSP is sent. A path that
 * takes too long is closed.
 *
 * Whatever ends a path (the client disconnects, a work request fails, the
 * heartbeat stops, the device goes, an administrator or the protocol says so)
 * makes it CLOSING and queues the one work item that takes it down; nothing else
 * ever does. In that work: after a grace period nobody posts any more; the
 * connections go to the error state, all at once, since the client waits for that;
 * whatever else runs for the path is stopped; the queues are drained, after
 * which no request comes in; the user hears of it; and then everything is
 * undone in the order opposite to that of making it, the connection manager ids
 * last. The path may be in any stage of being set up, so every step bears that
 * there is nothing to undo.
 *
 * Requests that the user has not answered by then are orphans: each keeps its
 * own memory, though no device can reach it any more, and the path, until the
 * user answers it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "rtrs-srv.h"
#include "rtrs-srv-trace.h"

/* How long a path may take to come up, from one connection to the next, and in all. */
#define RTRS_SRV_STEP_TIMEOUT	((long)msecs_to_jiffies(RTRS_CONNECT_TIMEOUT_MS))
#define RTRS_SRV_UP_TIMEOUT	(4 * RTRS_SRV_STEP_TIMEOUT)

/* How long a client waits for its old session of the same name to end. */
#define RTRS_SRV_NAME_TIMEOUT	(10 * HZ)

/* To which states may a path move? */
static const u8 rtrs_srv_path_moves[] = {
	[RTRS_SRV_PATH_CONNECTING] = BIT(RTRS_SRV_PATH_CONNECTED) |
				     BIT(RTRS_SRV_PATH_CLOSING),
	[RTRS_SRV_PATH_CONNECTED]  = BIT(RTRS_SRV_PATH_CLOSING),
	[RTRS_SRV_PATH_CLOSING]	   = BIT(RTRS_SRV_PATH_CLOSED),
	[RTRS_SRV_PATH_CLOSED]	   = 0,
};

/*
 * The only place that changes the state of a path. A path that is being closed
 * bears being closed again, or being ready too late: then this returns false.
 */
static bool rtrs_srv_path_set_state(struct rtrs_srv_path *path,
				    enum rtrs_srv_path_state new)
{
	unsigned int old = READ_ONCE(path->state);

	do {
		if (!(rtrs_srv_path_moves[old] & BIT(new))) {
			WARN_ONCE(old != RTRS_SRV_PATH_CLOSING,
				  "path moves from state %u to %u\n", old, new);
			return false;
		}
	} while (!try_cmpxchg(&path->state, &old, new));
	trace_rtrs_srv_path_state(path, new);
	return true;
}

/**
 * rtrs_srv_path_close() - end a path
 * @path: the path, in any state but CLOSED
 *
 * Context: any; does not wait for it.
 * Return: true if nobody had done so before.
 */
bool rtrs_srv_path_close(struct rtrs_srv_path *path)
{
	if (!rtrs_srv_path_set_state(path, RTRS_SRV_PATH_CLOSING))
		return false;
	queue_work(rtrs_srv_wq, &path->close_work);
	return true;
}

/**
 * rtrs_srv_path_error() - end a path because of an error, and say so
 * @path: the path
 * @what: what went wrong
 * @err: negative errno
 *
 * Context: any.
 */
void rtrs_srv_path_error(struct rtrs_srv_path *path, const char *what,
			 int err)
{
	if (rtrs_srv_path_close(path))
		rtrs_srv_err(path, "%s: %pe, closing the path\n", what,
			     ERR_PTR(err));
}

/**
 * rtrs_srv_path_find() - find a path of a session
 * @sess: the session
 * @sess_uuid: what the client knows the path by
 *
 * Context: under rtrs_srv_mutex.
 * Return: the path, in any state but CLOSED, or NULL.
 */
struct rtrs_srv_path *rtrs_srv_path_find(struct rtrs_srv_sess *sess,
					 const uuid_t *sess_uuid)
{
	struct rtrs_srv_path *path;

	lockdep_assert_held(&rtrs_srv_mutex);
	list_for_each_entry(path, &sess->paths, entry)
		if (uuid_equal(&path->sess_uuid, sess_uuid))
			return path;
	return NULL;
}

static void rtrs_srv_path_free(struct rtrs_srv_path *path)
{
	free_percpu(path->stats);
	kvfree(path->mrs);
	kvfree(path->privs);
	kvfree(path->msgs);
	kvfree(path->ops);
	kvfree(path);
}

static void rtrs_srv_path_free_work(struct work_struct *work)
{
	struct rtrs_srv_path *path = container_of(to_rcu_work(work),
						  struct rtrs_srv_path,
						  free_work);
	struct rtrs_srv_sess *sess = path->sess;

	scoped_guard(mutex, &rtrs_srv_mutex)
		rtrs_srv_limit_leave(path);
	rtrs_srv_path_free(path);
	rtrs_srv_sess_put(sess);
}

static void rtrs_srv_path_release(struct kref *ref)
{
	struct rtrs_srv_path *path = container_of(ref, struct rtrs_srv_path,
						  ref);

	queue_rcu_work(rtrs_srv_wq, &path->free_work);
}

/**
 * rtrs_srv_path_put() - drop a reference to a path
 * @path: the path
 *
 * It is freed after a grace period, so under rcu_read_lock() it may be used even
 * after the last reference is gone.
 *
 * Context: any.
 */
void rtrs_srv_path_put(struct rtrs_srv_path *path)
{
	kref_put(&path->ref, rtrs_srv_path_release);
}

/**
 * rtrs_srv_path_put_device() - give back what a path holds of its device
 * @path: the path; its queue pairs and regions are gone
 *
 * Context: process, sleeps.
 */
void rtrs_srv_path_put_device(struct rtrs_srv_path *path)
{
	rtrs_iu_free(path->info_iu, path->dev);
	path->info_iu = NULL;
	if (path->pd)
		ib_dealloc_pd(path->pd);
	path->pd = NULL;
}

/**
 * rtrs_srv_path_touch() - a path makes progress coming up
 * @path: the path
 *
 * But not for ever: that would be a way to be half open for hours.
 *
 * Context: any.
 */
void rtrs_srv_path_touch(struct rtrs_srv_path *path)
{
	long left = path->up_by - jiffies;

	mod_delayed_work(rtrs_srv_wq, &path->timeout_work,
			 clamp(left, 0L, RTRS_SRV_STEP_TIMEOUT));
}

static void rtrs_srv_path_timeout(struct work_struct *work)
{
	struct rtrs_srv_path *path = container_of(to_delayed_work(work),
						  struct rtrs_srv_path,
						  timeout_work);

	if (READ_ONCE(path->state) == RTRS_SRV_PATH_CONNECTING)
		rtrs_srv_path_error(path, "does not come up", -ETIMEDOUT);
}

static void rtrs_srv_path_hb_dead(struct rtrs_hb *hb)
{
	struct rtrs_srv_path *path = container_of(hb, struct rtrs_srv_path,
						  hb);

	rtrs_srv_path_error(path, "heartbeat lost", -ETIMEDOUT);
}

/* Is nothing being waited for in its send queue, or has some of it completed? */
static bool rtrs_srv_con_moves(struct rtrs_srv_con *con)
{
	u32 tail = READ_ONCE(con->sq_tail);
	bool moves = tail == READ_ONCE(con->sq_last) || tail != con->seen_tail;

	con->seen_tail = tail;
	con->stuck = moves ? 0 : con->stuck + 1;
	return con->stuck <= con->path->hb.missed_max;
}

/*
 * Sends of a connection are carried out one after the other. A client that does not take
 * an answer, since it has nothing to receive that with, and lets us try as often as we
 * like, holds up the invalidations behind it, and so writes that other clients wait for;
 * and is alive all the same. It has as much time for it as for a heartbeat.
 */
static void rtrs_srv_path_hb_look(struct rtrs_hb *hb)
{
	struct rtrs_srv_path *path = container_of(hb, struct rtrs_srv_path,
						  hb);
	u16 cid;

	for (cid = 0; cid < path->con_num; cid++)
		if (!rtrs_srv_con_moves(path->cons[cid]))
			rtrs_srv_path_error(path, "answers are not taken",
					    -ETIMEDOUT);
}

/* INFO_RSP is on its way, or never will be. */
static void rtrs_srv_path_info_sent(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_iu *iu = container_of(wc->wr_cqe, struct rtrs_iu, cqe);
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq);

	if (wc->status != IB_WC_SUCCESS)
		rtrs_srv_con_failed(con, wc, "INFO_RSP");
	rtrs_iu_free(iu, con->path->dev);
}

static int rtrs_srv_path_send_info(struct rtrs_srv_path *path)
{
	struct rtrs_iu *iu = rtrs_srv_chunks_describe(path);
	int err;

	if (!iu)
		return -ENOMEM;
	iu->cqe.done = rtrs_srv_path_info_sent;
	err = rtrs_iu_post_send(&path->cons[0]->c, iu, iu->size);
	if (err)
		rtrs_iu_free(iu, path->dev);
	return err;
}

/* Is the path complete? Then it can be given receives. */
static int rtrs_srv_path_complete(struct rtrs_srv_path *path)
{
	int err = 0;
	u16 cid;

	/* waits for a connection that is being accepted right now */
	guard(mutex)(&rtrs_srv_mutex);
	if (path->con_cnt != path->con_num)
		return -EPROTO;
	for (cid = 0; cid < path->con_num && !err; cid++)
		err = rtrs_srv_con_post_recvs(path->cons[cid]);
	return err;
}

static int rtrs_srv_path_set_name(struct rtrs_srv_path *path, const char *name)
{
	int err;

	guard(mutex)(&rtrs_srv_mutex);
	err = rtrs_srv_sess_set_name(path, name);
	path->slots = path->sess->slots;
	return err;
}

/* May its session have that name? One that is about to end is waited for. */
static int rtrs_srv_path_introduce(struct rtrs_srv_path *path)
{
	const struct rtrs_msg_info_req *req = path->info_iu->buf;
	const char *name = (const char *)req->sessname;
	unsigned long end = jiffies + RTRS_SRV_NAME_TIMEOUT;
	int err;

	if (!rtrs_info_req_ok(req, path->info_len))
		return -EPROTO;
	err = rtrs_srv_path_set_name(path, name);
	while (err == -EBUSY && time_before(jiffies, end) &&
	       READ_ONCE(path->state) == RTRS_SRV_PATH_CONNECTING) {
		msleep(20);
		err = rtrs_srv_path_set_name(path, name);
	}
	if (err == -EEXIST)
		rtrs_srv_err(path, "the name %s is in use by another session\n",
			     name);
	return err;
}

/* What fails here leaves what it has made to the work that closes the path. */
static int rtrs_srv_path_establish(struct rtrs_srv_path *path)
{
	int err;

	err = rtrs_srv_path_complete(path);
	if (err)
		return err;
	err = rtrs_srv_path_introduce(path);
	if (err)
		return err;
	err = rtrs_srv_chunks_alloc(path);
	if (err)
		return err;
	err = rtrs_srv_chunks_register(path);
	if (err)
		return err;
	err = rtrs_srv_sess_establish(path);
	if (err)
		return err;
	err = rtrs_srv_sysfs_add_path(path);
	if (err)
		return err;

	cancel_delayed_work(&path->timeout_work);
	rtrs_hb_start(&path->hb);
	/* before INFO_RSP: the first request may come right after it */
	if (!rtrs_srv_path_set_state(path, RTRS_SRV_PATH_CONNECTED))
		return -ECONNABORTED;
	err = rtrs_srv_path_send_info(path);
	if (err)
		return err;
	/* pairs with rtrs_srv_path_event() */
	smp_store_release(&path->introduced, true);
	return 0;
}

static void rtrs_srv_path_info_work(struct work_struct *work)
{
	struct rtrs_srv_path *path = container_of(work, struct rtrs_srv_path,
						  info_work);
	/* the client may be on this machine, and wait for us to write */
	unsigned int flags = memalloc_noio_save();
	int err;

	err = rtrs_srv_path_establish(path);
	memalloc_noio_restore(flags);
	if (err == -EUSERS)
		rtrs_srv_path_close(path);	/* a limit has had its line */
	else if (err)
		rtrs_srv_path_error(path, "cannot establish the path", err);
	else
		rtrs_srv_info(path, "path is up, %u connections on %s port %u\n",
			      path->con_num, dev_name(&path->dev->dev),
			      path->port);
}

static void rtrs_srv_path_info_recv(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq);
	struct rtrs_srv_path *path = con->path;

	if (wc->status != IB_WC_SUCCESS) {
		rtrs_srv_con_failed(con, wc, "INFO_REQ");
		return;
	}
	if (wc->opcode != IB_WC_RECV) {
		rtrs_srv_path_error(path, "not an INFO_REQ", -EPROTO);
		return;
	}
	ib_dma_sync_single_for_cpu(path->dev, path->info_iu->dma_addr,
				   path->info_iu->size, DMA_FROM_DEVICE);
	path->info_len = wc->byte_len;
	/* once the path is being closed, nobody else cancels this */
	guard(rcu)();
	if (READ_ONCE(path->state) == RTRS_SRV_PATH_CONNECTING)
		queue_work(rtrs_srv_wq, &path->info_work);
}

/* All at once: the client waits for the last of them. */
static void rtrs_srv_path_disconnect(struct rtrs_srv_path *path)
{
	u16 cid;

	/* nobody who still found it CONNECTING is adding a connection */
	guard(mutex)(&rtrs_srv_mutex);
	for (cid = 0; cid < path->con_num; cid++)
		if (path->cons[cid])
			rdma_disconnect(path->cons[cid]->c.cm_id);
}

static void rtrs_srv_path_drain(struct rtrs_srv_path *path)
{
	u16 cid;

	for (cid = 0; cid < path->con_num; cid++)
		if (path->cons[cid])
			rtrs_con_drain(&path->cons[cid]->c);
}

static void rtrs_srv_path_destroy_qps(struct rtrs_srv_path *path)
{
	u16 cid;

	for (cid = 0; cid < path->con_num; cid++)
		if (path->cons[cid])
			rtrs_con_destroy_qp(&path->cons[cid]->c);
}

static void rtrs_srv_path_free_cons(struct rtrs_srv_path *path)
{
	u16 cid;

	for (cid = 0; cid < path->con_num; cid++) {
		if (!path->cons[cid])
			continue;
		rtrs_srv_con_free(path->cons[cid]);
		path->cons[cid] = NULL;
	}
}

static void rtrs_srv_path_close_work(struct work_struct *work)
{
	struct rtrs_srv_path *path = container_of(work, struct rtrs_srv_path,
						  close_work);
	/* a client on this very machine may wait for us to write */
	unsigned int noio = memalloc_noio_save();

	/*
	 * Whoever saw the path CONNECTED has posted what it wanted to, and shown
	 * to the user what had come; only now may the client hear that we take
	 * in nothing more.
	 */
	synchronize_rcu();
	rtrs_srv_path_disconnect(path);
	cancel_delayed_work_sync(&path->timeout_work);
	cancel_work_sync(&path->info_work);
	rtrs_hb_stop(&path->hb);
	rtrs_srv_path_drain(path);

	/* no request is being handed to the user, nor will one be */
	rtrs_srv_sess_disestablish(path);
	rtrs_srv_sysfs_del_path(path);
	rtrs_srv_path_destroy_qps(path);
	rtrs_srv_chunks_unmap(path);
	rtrs_srv_path_put_device(path);
	rtrs_srv_io_release(path);
	/* nothing of ours is on the device now, which may wait for this */
	rtrs_srv_path_free_cons(path);

	rtrs_srv_info(path, "path is closed\n");
	scoped_guard(mutex, &rtrs_srv_mutex) {
		rtrs_srv_path_set_state(path, RTRS_SRV_PATH_CLOSED);
		rtrs_srv_sess_del_path(path);
	}
	rtrs_srv_path_put(path);
	memalloc_noio_restore(noio);
}

/*
 * What a path accepts of what is offered. The session has its depth from its first
 * path: one that wants fewer chunks than there are hears how many, and that this is
 * not what it has asked for.
 */
static u32 rtrs_srv_path_accept(const struct rtrs_srv_path *path,
				const struct rtrs_conn_req *req)
{
	u32 known = RTRS_FEAT_BOOT_ID | RTRS_FEAT_USER_EVENT;

	if (rtrs_srv_conf.always_invalidate)
		known |= RTRS_FEAT_RKEY_ROLL;
	if (req->wanted_depth && req->wanted_depth >= path->queue_depth)
		known |= RTRS_FEAT_QUEUE_DEPTH;
	return req->features & known;
}

static void rtrs_srv_path_init(struct rtrs_srv_path *path,
			       struct rtrs_srv_sess *sess,
			       struct rdma_cm_id *cm_id,
			       const struct rtrs_conn_req *req)
{
	static atomic_t vector;

	path->sess = sess;
	path->queue_depth = sess->queue_depth;
	path->chunk_bits = rtrs_chunk_bits(sess->queue_depth);
	path->dev = cm_id->device;
	path->port = cm_id->port_num;
	path->vector = atomic_inc_return(&vector);
	path->sess_uuid = req->sess_uuid;
	path->recon_cnt = req->recon_cnt;
	path->up_by = jiffies + RTRS_SRV_UP_TIMEOUT;

	path->features = rtrs_srv_path_accept(path, req);
	path->event_cqe.done = rtrs_srv_event_done;
	path->roll = path->features & RTRS_FEAT_RKEY_ROLL;
	path->new_rkey = rtrs_srv_conf.always_invalidate && !path->roll;

	/* the source is the client's end, as it sees the path */
	rtrs_addr_to_str(&cm_id->route.addr.dst_addr, path->src,
			 sizeof(path->src));
	rtrs_addr_to_str(&cm_id->route.addr.src_addr, path->dst,
			 sizeof(path->dst));
	snprintf(path->name, sizeof(path->name), "%s@%s", path->src, path->dst);

	kref_init(&path->ref);
	rtrs_hb_init(&path->hb, rtrs_srv_path_hb_dead);
	path->hb.look = rtrs_srv_path_hb_look;
	INIT_WORK(&path->info_work, rtrs_srv_path_info_work);
	INIT_DELAYED_WORK(&path->timeout_work, rtrs_srv_path_timeout);
	INIT_WORK(&path->close_work, rtrs_srv_path_close_work);
	INIT_RCU_WORK(&path->free_work, rtrs_srv_path_free_work);
}

/* Two paths between the same addresses are one too many. */
static int rtrs_srv_path_check_name(struct rtrs_srv_sess *sess,
				    const char *name)
{
	struct rtrs_srv_path *path;

	list_for_each_entry(path, &sess->paths, entry)
		if (!strcmp(path->name, name))
			return READ_ONCE(path->state) == RTRS_SRV_PATH_CLOSING ?
			       -EBUSY : -EEXIST;
	return 0;
}

/* Where answers go. The address in the private data is only what the client says. */
static const union ib_gid *rtrs_srv_path_client(const struct rdma_cm_id *cm_id)
{
	static const union ib_gid unknown;

	return cm_id->route.path_rec ? &cm_id->route.path_rec->dgid : &unknown;
}

static int rtrs_srv_path_get_device(struct rtrs_srv_path *path)
{
	struct ib_pd *pd = ib_alloc_pd(path->dev, 0);

	if (IS_ERR(pd))
		return PTR_ERR(pd);
	path->pd = pd;
	path->info_iu = rtrs_iu_alloc(path->dev,
				      sizeof(struct rtrs_msg_info_req),
				      DMA_FROM_DEVICE, rtrs_srv_path_info_recv);
	return path->info_iu ? 0 : -ENOMEM;
}

/**
 * rtrs_srv_path_create() - make a path for a first connection, without it
 * @sess: the session
 * @cm_id: the connection
 * @req: its CONN_REQ
 *
 * Context: process, sleeps; under rtrs_srv_mutex.
 * Return: the path, part of the session, or an ERR_PTR: -EEXIST if the session
 * has one between the same addresses, -EBUSY if that is being taken down,
 * -ECONNRESET if it has too many, -EUSERS if a limit is reached, or what else went
 * wrong.
 */
struct rtrs_srv_path *rtrs_srv_path_create(struct rtrs_srv_sess *sess,
					   struct rdma_cm_id *cm_id,
					   const struct rtrs_conn_req *req)
{
	struct rtrs_srv_path *path;
	int err;

	path = kvzalloc(struct_size(path, cons, req->cid_num), GFP_KERNEL);
	if (!path)
		return ERR_PTR(-ENOMEM);
	path->con_num = req->cid_num;
	rtrs_srv_path_init(path, sess, cm_id, req);

	err = rtrs_srv_path_check_name(sess, path->name);
	if (err)
		goto free;
	err = -ECONNRESET;
	if (sess->path_cnt >= RTRS_MAX_PATHS)
		goto free;
	err = rtrs_srv_limit_enter(path, rtrs_srv_path_client(cm_id),
				   !sess->path_cnt);
	if (err)
		goto free;
	err = -ENOMEM;
	path->stats = alloc_percpu(struct rtrs_srv_stats);
	if (!path->stats)
		goto leave;
	err = rtrs_srv_path_get_device(path);
	if (err)
		goto put_device;

	kref_get(&sess->ref);
	path->user = sess->ctx->ops;
	rtrs_srv_sess_add_path(sess, path);
	return path;

put_device:
	rtrs_srv_path_put_device(path);
leave:
	rtrs_srv_limit_leave(path);
free:
	rtrs_srv_path_free(path);
	return ERR_PTR(err);
}

#ifdef CONFIG_RTRS_KUNIT_TEST
#include "rtrs-srv-path-test.c"
#endif
