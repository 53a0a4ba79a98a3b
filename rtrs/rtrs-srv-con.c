// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RTRS server: connections.
 *
 * A connection begins with a CONN_REQ on a listener. It is checked against the
 * sessions and paths that there are, gets a queue pair, and is accepted or
 * refused, all in the connection manager's handler: the listener's requests come
 * one at a time, so does this. From its accept on it belongs to its path, and
 * counts as connected: INFO_REQ can overtake the event that says so. Its events
 * go to a handler of their own from then on, and each that means trouble ends
 * the path.
 *
 * What the client sends arrives as immediates in empty receives, and each is
 * replaced at once, so that the number in the queue is always the same.
 * Heartbeats are answered here; requests are the business of rtrs-srv-io.c. The
 * send queue of every connection has room for what all operations of the path
 * may need at the same time, so that it cannot overflow, whatever the client
 * sends where.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "rtrs-srv.h"

/* Events of a path that can be on their way. */
#define RTRS_SRV_EVENTS	16

/* Send work requests that one operation has outstanding at most. */
#define RTRS_SRV_OP_SENDS	3	/* data, invalidation, answer */
#define RTRS_SRV_OP_SENDS_INV	4	/* and the registration of its chunk */

/* Bytes of an entry of a queue, and of a connection, with common drivers. */
#define RTRS_SRV_SEND_MEMORY	256
#define RTRS_SRV_RECV_MEMORY	64
#define RTRS_SRV_CQE_MEMORY	64
#define RTRS_SRV_CON_MEMORY	SZ_16K

/**
 * rtrs_srv_con_failed() - a work request of a connection has failed
 * @con: the connection
 * @wc: how it did
 * @what: what it was
 *
 * Ends the path.
 *
 * Context: completion handler.
 */
void rtrs_srv_con_failed(struct rtrs_srv_con *con, const struct ib_wc *wc,
			 const char *what)
{
	if (rtrs_srv_path_close(con->path))
		rtrs_srv_err(con->path, "connection %u, %s: %s, closing the path\n",
			     con->c.cid, what, ib_wc_status_msg(wc->status));
}

static void rtrs_srv_con_wr_done(struct ib_cq *cq, struct ib_wc *wc)
{
	if (wc->status != IB_WC_SUCCESS)
		rtrs_srv_con_failed(rtrs_srv_con_of(cq), wc, "send");
}

static int rtrs_srv_con_recv_hb(struct rtrs_srv_con *con,
				enum rtrs_imm_type type)
{
	struct rtrs_srv_path *path = con->path;

	if (con->c.cid)
		return -EPROTO;
	if (type == RTRS_IMM_HB_ACK) {
		rtrs_hb_recv_ack(&path->hb);
		return 0;
	}
	guard(rcu)();
	if (rtrs_srv_path_connected(path))
		rtrs_hb_recv_msg(&path->hb);
	return 0;
}

/**
 * rtrs_srv_event_done() - an event has been sent
 * @cq: completion queue of cid 0
 * @wc: how that went
 *
 * Context: softirq.
 */
void rtrs_srv_event_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq);

	atomic_dec(&con->path->events);
	if (wc->status != IB_WC_SUCCESS)
		rtrs_srv_con_failed(con, wc, "event");
}

static int rtrs_srv_path_event(struct rtrs_srv_path *path, u32 payload)
{
	int err;

	if (!rtrs_srv_path_connected(path))
		return -ENOTCONN;
	/* pairs with rtrs_srv_path_establish(): never before INFO_RSP */
	if (!smp_load_acquire(&path->introduced))
		return -ENOTCONN;
	if (!(path->features & RTRS_FEAT_USER_EVENT))
		return -EOPNOTSUPP;
	if (!atomic_add_unless(&path->events, 1, RTRS_SRV_EVENTS))
		return -EBUSY;
	err = rtrs_post_imm(&path->cons[0]->c, &path->event_cqe,
			    rtrs_imm(RTRS_IMM_USER_EVENT, payload));
	if (!err)
		return 0;
	atomic_dec(&path->events);
	rtrs_srv_path_error(path, "event", err);
	return -ENOTCONN;
}

int rtrs_srv_send_event(struct rtrs_srv_sess *sess, u32 payload)
{
	struct rtrs_srv_path *path;
	int ret = -ENOTCONN;

	/* over each path: some may be dead, and we have not noticed */
	guard(rcu)();
	list_for_each_entry_rcu(path, &sess->paths, entry) {
		int err = rtrs_srv_path_event(path, payload);

		if (ret && err != -ENOTCONN)
			ret = err;
	}
	return ret;
}
EXPORT_SYMBOL_GPL(rtrs_srv_send_event);

static int rtrs_srv_con_recv_imm(struct rtrs_srv_con *con, __be32 imm)
{
	u32 type = rtrs_imm_type(imm);

	switch (type) {
	case RTRS_IMM_IO_REQ:
		return rtrs_srv_io_request(con, rtrs_imm_payload(imm));
	case RTRS_IMM_HB_MSG:
	case RTRS_IMM_HB_ACK:
		return rtrs_srv_con_recv_hb(con, type);
	default:
		return -EPROTO;
	}
}

static int rtrs_srv_con_repost(struct rtrs_srv_con *con)
{
	guard(rcu)();
	if (!rtrs_srv_path_connected(con->path))
		return -ENOTCONN;
	return rtrs_repost_recv(&con->c);
}

static void rtrs_srv_con_recv_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_con *con = rtrs_srv_con_of(cq);
	int err;

	if (unlikely(wc->status != IB_WC_SUCCESS)) {
		rtrs_srv_con_failed(con, wc, "receive");
		return;
	}
	rtrs_hb_alive(&con->path->hb);
	err = rtrs_srv_con_repost(con);
	if (!err)
		err = wc->opcode == IB_WC_RECV_RDMA_WITH_IMM ?
			rtrs_srv_con_recv_imm(con, wc->ex.imm_data) : -EPROTO;
	if (unlikely(err))
		rtrs_srv_path_error(con->path, "unexpected message", err);
}

/**
 * rtrs_srv_con_post_recvs() - make a connection ready for requests
 * @con: the connection
 *
 * Context: process.
 * Return: 0 or the errno of the verbs layer.
 */
int rtrs_srv_con_post_recvs(struct rtrs_srv_con *con)
{
	u32 n = con->c.cid ? con->path->queue_depth : RTRS_SRV_SERVICE_RECVS;

	return rtrs_post_recvs(&con->c, &con->recv_cqe,
			       n + RTRS_RECV_BATCH - 1);
}

static u32 rtrs_srv_op_sends(void)
{
	return rtrs_srv_conf.always_invalidate ? RTRS_SRV_OP_SENDS_INV :
						 RTRS_SRV_OP_SENDS;
}

/*
 * There is one heartbeat after the other on cid 0, and what matters there is rare: so
 * all is signalled.
 */
static u32 rtrs_srv_con_max_quiet(const struct rtrs_srv_path *path, u16 cid)
{
	return cid ? path->queue_depth / 2 : 0;
}

/*
 * Any connection may be used for all chunks at once. An operation needs its work
 * requests one after the other: what it has posted before has completed when it
 * posts its answer, and if the last work request of that is signalled, only when
 * it has completed too is the operation used again. For others see struct
 * rtrs_srv_con.
 */
static void rtrs_srv_con_qp_size(const struct rtrs_srv_path *path, u16 cid,
				 struct rtrs_qp_params *p)
{
	p->send_wr = path->queue_depth * rtrs_srv_op_sends() +
		     rtrs_srv_con_max_quiet(path, cid);
	p->recv_wr = path->queue_depth;
	if (cid == 0) {
		p->send_wr += RTRS_SERVICE_SENDS;
		p->recv_wr = RTRS_SRV_SERVICE_RECVS + 1;	/* INFO_REQ */
	}
	p->recv_wr += RTRS_RECV_BATCH - 1;
}

/**
 * rtrs_srv_con_memory() - how much memory the queues of a connection take
 * @path: its path
 * @cid: its number
 *
 * Only the driver knows; this is about it. Queues have one entry more than was asked
 * for, and are rounded up.
 *
 * Context: any.
 * Return: bytes.
 */
u64 rtrs_srv_con_memory(const struct rtrs_srv_path *path, u16 cid)
{
	struct rtrs_qp_params p;

	rtrs_srv_con_qp_size(path, cid, &p);
	return RTRS_SRV_CON_MEMORY +
	       roundup_pow_of_two(p.send_wr + 1) * RTRS_SRV_SEND_MEMORY +
	       roundup_pow_of_two(p.recv_wr + 1) * RTRS_SRV_RECV_MEMORY +
	       roundup_pow_of_two(p.send_wr + p.recv_wr + 2) *
	       RTRS_SRV_CQE_MEMORY;
}

/* Each queue has one entry more, for draining. */
static int rtrs_srv_con_check_size(const struct rtrs_srv_con *con,
				   const struct rtrs_qp_params *p)
{
	const struct ib_device_attr *attr = &con->path->dev->attrs;

	if (p->send_wr + 1 <= attr->max_qp_wr &&
	    p->recv_wr + 1 <= attr->max_qp_wr &&
	    p->send_wr + p->recv_wr + 2 <= attr->max_cqe)
		return 0;
	rtrs_srv_err(con->path,
		     "%s: queues of %u and %u are too long for the device, use a smaller queue depth\n",
		     dev_name(&con->path->dev->dev), p->send_wr, p->recv_wr);
	return -EOPNOTSUPP;
}

static int rtrs_srv_con_create_qp(struct rtrs_srv_con *con)
{
	struct rtrs_srv_path *path = con->path;
	struct rtrs_qp_params params = {
		.pd		= path->pd,
		.send_sge	= 1,
		.vector		= path->vector + con->c.cid,
		.poll_ctx	= IB_POLL_SOFTIRQ,
	};
	int err;

	rtrs_srv_con_qp_size(path, con->c.cid, &params);
	err = rtrs_srv_con_check_size(con, &params);
	if (err)
		return err;
	return rtrs_con_create_qp(&con->c, &params);
}

static void rtrs_srv_rsp_encode(struct rtrs_msg_conn_rsp *msg,
				const struct rtrs_srv_path *path, int err)
{
	const struct rtrs_srv_conf *conf = &rtrs_srv_conf;
	struct rtrs_conn_rsp rsp = {
		.err		= err,
		.queue_depth	= conf->queue_depth,
		.max_io_size	= conf->chunk_size - conf->max_hdr_size,
		.max_hdr_size	= conf->max_hdr_size,
	};

	if (path) {
		rsp.queue_depth = path->queue_depth;
		rsp.flags = path->new_rkey ? RTRS_RSP_NEW_RKEY : 0;
		rsp.features = path->features;
		if (path->features & RTRS_FEAT_BOOT_ID)
			rsp.boot_id = conf->boot_id;
	}
	rtrs_conn_rsp_encode(msg, &rsp);
}

static int rtrs_srv_con_cm_handler(struct rdma_cm_id *cm_id,
				   struct rdma_cm_event *ev)
{
	struct rtrs_srv_con *con = cm_id->context;
	struct rtrs_srv_path *path = con->path;

	switch (ev->event) {
	case RDMA_CM_EVENT_ESTABLISHED:
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
		if (rtrs_srv_path_close(path))
			rtrs_srv_info(path, "the client disconnects\n");
		break;
	default:
		/* the device waits for our work to destroy the id */
		if (rtrs_srv_path_close(path))
			rtrs_srv_err(path, "connection %u: %s, closing the path\n",
				     con->c.cid, rdma_event_msg(ev->event));
	}
	return 0;
}

static int rtrs_srv_con_accept(struct rtrs_srv_con *con)
{
	struct rtrs_msg_conn_rsp msg;
	struct rdma_conn_param param = {
		.private_data		= &msg,
		.private_data_len	= sizeof(msg),
		.rnr_retry_count	= 7,
	};
	struct rdma_cm_id *cm_id = con->c.cm_id;
	int err;

	/* no event comes before the listener's handler has returned */
	cm_id->event_handler = rtrs_srv_con_cm_handler;
	cm_id->context = con;
	if (con->c.cid == 0) {
		err = rtrs_iu_post_recv(&con->c, con->path->info_iu);
		if (err)
			return err;
	}
	rtrs_srv_rsp_encode(&msg, con->path, 0);
	return rdma_accept(cm_id, &param);
}

static int rtrs_srv_con_create(struct rtrs_srv_path *path,
			       struct rdma_cm_id *cm_id, u16 cid)
{
	struct rtrs_srv_con *con;
	int err;

	err = rtrs_srv_limit_take(path, rtrs_srv_con_memory(path, cid));
	if (err)
		return err;
	con = kzalloc(sizeof(*con), GFP_KERNEL);
	if (!con) {
		err = -ENOMEM;
		goto give;
	}
	con->c.cm_id = cm_id;
	con->c.cid = cid;
	con->path = path;
	if (!cid)
		rtrs_hb_prepare(&path->hb, &con->c);
	con->recv_cqe.done = rtrs_srv_con_recv_done;
	con->wr_cqe.done = rtrs_srv_con_wr_done;
	spin_lock_init(&con->sq_lock);
	con->max_quiet = rtrs_srv_con_max_quiet(path, cid);

	err = rtrs_srv_con_create_qp(con);
	if (!err)
		err = rtrs_srv_con_accept(con);
	if (err) {
		/* the connection manager destroys its id by itself */
		rtrs_con_destroy_qp(&con->c);
		kfree(con);
		goto give;
	}
	path->cons[cid] = con;
	path->con_cnt++;
	return 0;
give:
	rtrs_srv_limit_give(path, rtrs_srv_con_memory(path, cid));
	return err;
}

/**
 * rtrs_srv_con_free() - the end of a connection
 * @con: the connection; its queue pair is gone
 *
 * Context: process, sleeps; not with a lock held that a handler of the
 * connection manager takes.
 */
void rtrs_srv_con_free(struct rtrs_srv_con *con)
{
	rtrs_con_destroy_cm_id(&con->c);
	rtrs_srv_limit_give(con->path,
			    rtrs_srv_con_memory(con->path, con->c.cid));
	kfree(con);
}

/* May this connection join a path that there is? */
static int rtrs_srv_con_check_join(struct rtrs_srv_path *path,
				   const struct rdma_cm_id *cm_id,
				   const struct rtrs_conn_req *req)
{
	unsigned int state = READ_ONCE(path->state);

	if (state == RTRS_SRV_PATH_CLOSING)
		return -EBUSY;
	/* a later attempt: the client has given up the one that this is of */
	if (!req->cid && req->recon_cnt != path->recon_cnt) {
		rtrs_srv_path_error(path, "the client connects it again",
				    -EBUSY);
		return -EBUSY;
	}
	if (state != RTRS_SRV_PATH_CONNECTING ||
	    req->recon_cnt != path->recon_cnt ||
	    req->cid_num != path->con_num || path->cons[req->cid] ||
	    cm_id->device != path->dev)
		return -ECONNRESET;
	return 0;
}

static int rtrs_srv_con_join(struct rtrs_srv_path *path,
			     struct rdma_cm_id *cm_id,
			     const struct rtrs_conn_req *req)
{
	int err;

	err = rtrs_srv_con_check_join(path, cm_id, req);
	if (!err)
		err = rtrs_srv_con_create(path, cm_id, req->cid);
	if (!err)
		rtrs_srv_path_touch(path);
	return err;
}

static int rtrs_srv_con_new_path(struct rtrs_srv_sess *sess,
				 struct rdma_cm_id *cm_id,
				 const struct rtrs_conn_req *req)
{
	struct rtrs_srv_path *path;
	int err;

	path = rtrs_srv_path_create(sess, cm_id, req);
	if (IS_ERR(path))
		return PTR_ERR(path);
	err = rtrs_srv_con_create(path, cm_id, 0);
	if (err) {
		/* the device does not wait for the path, only for the id */
		rtrs_srv_path_put_device(path);
		rtrs_srv_path_close(path);
		return err;
	}
	rtrs_srv_path_touch(path);
	return 0;
}

static int rtrs_srv_con_new_sess(struct rtrs_srv_ctx *ctx,
				 struct rdma_cm_id *cm_id,
				 const struct rtrs_conn_req *req)
{
	struct rtrs_srv_sess *sess = rtrs_srv_sess_create(ctx, req);
	int err;

	if (!sess)
		return -ENOMEM;
	err = rtrs_srv_con_new_path(sess, cm_id, req);
	rtrs_srv_sess_put(sess);
	return err;
}

/* The checks of section 2.1, in their order; connections come cid 0 first. */
static int rtrs_srv_con_request(struct rtrs_srv_ctx *ctx,
				struct rdma_cm_id *cm_id,
				const struct rtrs_conn_req *req)
{
	struct rtrs_srv_sess *sess;
	struct rtrs_srv_path *path;

	guard(mutex)(&rtrs_srv_mutex);
	sess = rtrs_srv_sess_find(ctx, &req->paths_uuid);
	if (!sess && !req->first_conn)
		return -ENXIO;
	path = sess ? rtrs_srv_path_find(sess, &req->sess_uuid) : NULL;
	if (path)
		return rtrs_srv_con_join(path, cm_id, req);
	if (req->cid)
		return -ECONNRESET;
	return sess ? rtrs_srv_con_new_path(sess, cm_id, req) :
		      rtrs_srv_con_new_sess(ctx, cm_id, req);
}

static void rtrs_srv_con_reject(struct rdma_cm_id *cm_id, int err, bool said)
{
	struct rtrs_msg_conn_rsp msg;
	char src[RTRS_ADDR_STRLEN];

	if (!said) {
		rtrs_addr_to_str(&cm_id->route.addr.dst_addr, src, sizeof(src));
		pr_info_ratelimited("%s: connection refused: %pe\n", src,
				    ERR_PTR(err));
	}
	rtrs_srv_rsp_encode(&msg, NULL, err);
	rdma_reject(cm_id, &msg, sizeof(msg), IB_CM_REJ_CONSUMER_DEFINED);
}

static int rtrs_srv_con_handle_req(struct rdma_cm_id *cm_id,
				   const struct rdma_conn_param *param)
{
	struct rtrs_conn_req req;
	unsigned int flags;
	bool said = false;	/* has it had its line in the log? */
	int err;

	err = rtrs_conn_req_decode(&req, param->private_data,
				   param->private_data_len);
	if (!err) {
		err = rtrs_check_device(cm_id);
		said = err;
	}
	if (!err) {
		/* the client may be on this machine, and wait for us */
		flags = memalloc_noio_save();
		err = rtrs_srv_con_request(cm_id->context, cm_id, &req);
		memalloc_noio_restore(flags);
		said = err == -EUSERS;
	}
	if (err)
		rtrs_srv_con_reject(cm_id, err, said);
	return err;
}

/**
 * rtrs_srv_cm_handler() - events of a listener
 * @cm_id: the listener, or, with a connection request, the new connection, whose
 *	context is still that of the listener
 * @ev: what happened
 *
 * Context: process, with the handler lock of @cm_id held.
 * Return: 0, or an errno that makes the connection manager destroy @cm_id.
 */
int rtrs_srv_cm_handler(struct rdma_cm_id *cm_id, struct rdma_cm_event *ev)
{
	if (ev->event == RDMA_CM_EVENT_CONNECT_REQUEST)
		return rtrs_srv_con_handle_req(cm_id, &ev->param.conn);
	return 0;
}

#ifdef CONFIG_RTRS_KUNIT_TEST
#include "rtrs-srv-con-test.c"
#endif
