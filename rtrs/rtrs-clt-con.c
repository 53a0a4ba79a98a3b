// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections of a client's path.
 *
 * A connection is made step by step by the thread that connects the path:
 * resolve the address, resolve the route, create the queue pair, connect. After
 * each step that thread waits for the connection manager's event. The event
 * handler only says how a step has ended, or that the path has failed; it never
 * takes anything down.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "rtrs-clt.h"

/* When to ask again for the address of a server, at first. */
#define RTRS_CLT_RESOLVE_MS	250

/* What a consumer's reject says in its private data, or what its reason means. */
static int rtrs_clt_reject_errno(struct rdma_cm_id *cm_id,
				 struct rdma_cm_event *ev)
{
	struct rtrs_conn_rsp rsp;
	const void *data;
	u8 len = 0;

	if (ev->status == IB_CM_REJ_INVALID_SERVICE_ID)
		return -ECONNREFUSED;
	data = rdma_consumer_reject_data(cm_id, ev, &len);
	if (!data || rtrs_conn_rsp_decode(&rsp, data, len) || !rsp.err)
		return -ECONNRESET;
	return rsp.err;
}

static u32 rtrs_clt_con_offer(const struct rtrs_clt_path *path)
{
	return RTRS_CLT_FEATURES |
	       (path->wanted_depth ? RTRS_FEAT_QUEUE_DEPTH : 0);
}

/* cid 0 says how the path is to be used; the others have to agree with it. */
static int rtrs_clt_accepted(struct rtrs_clt_con *con,
			     const struct rdma_conn_param *param)
{
	struct rtrs_clt_path *path = con->path;
	struct rtrs_conn_rsp rsp;
	int err;

	err = rtrs_conn_rsp_decode(&rsp, param->private_data,
				   param->private_data_len);
	if (err)
		return err;
	con->accepted = true;
	if (con->c.cid)
		return rsp.queue_depth == path->rsp.queue_depth ? 0 : -EPROTO;

	err = rtrs_conn_rsp_check(&rsp, rtrs_clt_con_offer(path),
				  path->wanted_depth);
	if (err)
		return err;
	path->rsp = rsp;
	/* so that the path can create the session again on a new server */
	path->first_conn = true;
	return 0;
}

/* The connection manager's word for what it could not do is a negative errno. */
static int rtrs_clt_cm_errno(const struct rdma_cm_event *ev)
{
	return ev->status < 0 ? ev->status : -EHOSTUNREACH;
}

static int rtrs_clt_cm_event(struct rdma_cm_id *cm_id,
			     struct rdma_cm_event *ev)
{
	struct rtrs_clt_con *con = cm_id->context;
	struct rtrs_clt_path *path = con->path;

	switch (ev->event) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		rtrs_clt_step_done(path, 0);
		break;
	case RDMA_CM_EVENT_ESTABLISHED:
		rtrs_clt_step_done(path,
				   rtrs_clt_accepted(con, &ev->param.conn));
		break;
	case RDMA_CM_EVENT_REJECTED:
		rtrs_clt_step_done(path, rtrs_clt_reject_errno(cm_id, ev));
		/* it can also end a connection that was accepted */
		rtrs_clt_path_error(path);
		break;
	case RDMA_CM_EVENT_ADDR_ERROR:
		con->unresolved = ev->status == -ETIMEDOUT;
		rtrs_clt_step_done(path, con->unresolved ? 0 :
					 rtrs_clt_cm_errno(ev));
		break;
	case RDMA_CM_EVENT_ROUTE_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
	case RDMA_CM_EVENT_CONNECT_ERROR:
		rtrs_clt_step_done(path, rtrs_clt_cm_errno(ev));
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
		complete_all(&con->parted);
		fallthrough;
	case RDMA_CM_EVENT_ADDR_CHANGE:
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		rtrs_clt_path_failed(path, "connection",
				     rdma_event_msg(ev->event));
		break;
	default:
		break;
	}
	return 0;
}

static enum rdma_ucm_port_space
rtrs_clt_port_space(const struct rtrs_path_addr *addr)
{
	return addr->dst.ss_family == AF_IB ? RDMA_PS_IB : RDMA_PS_TCP;
}

static int rtrs_clt_resolve_once(struct rtrs_clt_con *con, unsigned int ms)
{
	struct rtrs_clt_path *path = con->path;
	struct rtrs_path_addr addr = path->addr;
	int err;

	con->unresolved = false;
	err = rdma_resolve_addr(con->c.cm_id,
				addr.src.ss_family == AF_UNSPEC ? NULL :
				(struct sockaddr *)&addr.src,
				(struct sockaddr *)&addr.dst, ms);
	return err ?: rtrs_clt_wait_step(path, path->answer_ms);
}

/*
 * ib_core asks the network for a neighbour, then starts to listen for the answer.
 * One that comes in between is not seen until the time is up, so that a server
 * that is there would be found after all of @answer_ms only: hence in steps, which
 * grow, since a resolver in user space forgets the last question with each.
 */
static int rtrs_clt_resolve_addr(struct rtrs_clt_con *con)
{
	unsigned int left = con->path->answer_ms, ms = RTRS_CLT_RESOLVE_MS;
	int err;

	do {
		ms = min(ms, left);
		left -= ms;
		err = rtrs_clt_resolve_once(con, ms);
		ms *= 2;
	} while (!err && con->unresolved && left);
	if (err)
		return err;
	return con->unresolved ? -ETIMEDOUT : 0;
}

static int rtrs_clt_resolve(struct rtrs_clt_con *con)
{
	struct rtrs_clt_path *path = con->path;
	int err;

	err = rdma_set_reuseaddr(con->c.cm_id, 1);
	if (err)
		return err;
	err = rtrs_clt_resolve_addr(con);
	if (err)
		return err;
	err = rdma_resolve_route(con->c.cm_id, path->answer_ms);
	if (err)
		return err;
	return rtrs_clt_wait_step(path, path->answer_ms);
}

/* The first connection decides which device the path is on. */
static int rtrs_clt_take_device(struct rtrs_clt_con *con)
{
	struct rtrs_clt_path *path = con->path;
	struct ib_device *dev = con->c.cm_id->device;
	int err;

	if (con->c.cid)
		return dev == path->dev ? 0 : -EHOSTUNREACH;

	err = rtrs_check_device(con->c.cm_id);
	if (err)
		return err;
	/* a write has its data in one piece, and the messages in another */
	if (dev->attrs.max_send_sge < 2)
		return -EOPNOTSUPP;
	path->pd = ib_alloc_pd(dev, 0);
	if (IS_ERR(path->pd)) {
		err = PTR_ERR(path->pd);
		path->pd = NULL;
		return err;
	}
	path->dev = dev;
	strscpy(path->hca_name, dev_name(&dev->dev));
	path->hca_port = con->c.cm_id->port_num;
	path->max_sge = min_t(u32, RTRS_MAX_SEND_SGE,
			      dev->attrs.max_send_sge) - 1;
	return 0;
}

static int rtrs_clt_con_create_qp(struct rtrs_clt_con *con)
{
	const struct rtrs_clt_path *path = con->path;
	const struct rtrs_clt_sess *sess = path->sess;
	unsigned int cid = con->c.cid;
	struct rtrs_qp_params p = {
		.pd		= path->pd,
		.send_sge	= path->max_sge + 1,
		.vector		= cid ? cid - 1 : 0,
		.poll_ctx	= cid > sess->nr_queues ? IB_POLL_DIRECT :
							  IB_POLL_SOFTIRQ,
	};

	if (!cid) {
		p.send_wr = RTRS_SERVICE_SENDS;
		p.recv_wr = RTRS_CLT_SERVICE_RECVS + 1;	/* INFO_RSP */
	} else {
		/* one of the entries a request is for what others have left */
		con->max_quiet = sess->io_depth;
		p.send_wr = RTRS_CLT_SENDS_PER_REQ * sess->io_depth;
		p.recv_wr = 2 * path->nr_ios;
	}
	p.recv_wr += RTRS_RECV_BATCH - 1;
	return rtrs_con_create_qp(&con->c, &p);
}

static int rtrs_clt_con_send_req(struct rtrs_clt_con *con)
{
	struct rtrs_clt_path *path = con->path;
	struct rtrs_conn_req req = {
		.cid		= con->c.cid,
		.cid_num	= path->sess->nr_cons,
		.recon_cnt	= path->recon_cnt,
		.sess_uuid	= path->uuid,
		.paths_uuid	= path->sess->uuid,
		.first_conn	= path->creates,
		.features	= rtrs_clt_con_offer(path),
		.wanted_depth	= path->wanted_depth,
	};
	struct rtrs_msg_conn_req msg;
	struct rdma_conn_param param = {
		.private_data		= &msg,
		.private_data_len	= sizeof(msg),
		.retry_count		= 7,
		.rnr_retry_count	= 7,
	};
	int err;

	rtrs_conn_req_encode(&msg, &req);
	err = rdma_connect(con->c.cm_id, &param);
	if (err)
		return err;
	return rtrs_clt_wait_step(path, path->answer_ms);
}

static struct rtrs_clt_con *rtrs_clt_con_alloc(struct rtrs_clt_path *path,
					       unsigned int cid)
{
	struct rtrs_clt_con *con;
	struct rdma_cm_id *cm_id;

	con = kzalloc(sizeof(*con), GFP_KERNEL);
	if (!con)
		return ERR_PTR(-ENOMEM);
	con->path = path;
	con->c.cid = cid;
	con->recv_cqe.done = rtrs_clt_recv_done;
	spin_lock_init(&con->poll_lock);
	spin_lock_init(&con->sq_lock);
	init_completion(&con->parted);
	cm_id = rdma_create_id(&init_net, rtrs_clt_cm_event, con,
			       rtrs_clt_port_space(&path->addr), IB_QPT_RC);
	if (IS_ERR(cm_id)) {
		kfree(con);
		return ERR_CAST(cm_id);
	}
	con->c.cm_id = cm_id;
	/* a peer may send heartbeats before ours have started */
	if (!cid)
		rtrs_hb_prepare(&path->hb, &con->c);
	return con;
}

/**
 * rtrs_clt_con_connect() - make one connection of a path
 * @path: the path, in state CONNECTING
 * @cid: which; those before it exist
 *
 * What was made is in @path->cons, also when a later step fails: the path is
 * taken down as a whole.
 *
 * Context: process, sleeps for up to @path->answer_ms, three times.
 * Return: 0 or a negative errno.
 */
int rtrs_clt_con_connect(struct rtrs_clt_path *path, unsigned int cid)
{
	struct rtrs_clt_con *con;
	int err;

	con = rtrs_clt_con_alloc(path, cid);
	if (IS_ERR(con))
		return PTR_ERR(con);
	path->cons[cid] = con;

	err = rtrs_clt_resolve(con);
	if (err)
		return err;
	err = rtrs_clt_take_device(con);
	if (err)
		return err;
	err = rtrs_clt_con_create_qp(con);
	if (err)
		return err;
	/* not before: a path whose server cannot be found creates nothing */
	if (!cid)
		rtrs_clt_sess_may_create(path);
	return rtrs_clt_con_send_req(con);
}

static int rtrs_clt_con_alloc_bufs(struct rtrs_clt_con *con, unsigned int nr)
{
	struct ib_device *dev = con->path->dev;
	size_t size = nr * sizeof(*con->rsps);

	con->bufs = kvcalloc(nr, sizeof(*con->bufs), GFP_KERNEL);
	if (!con->bufs)
		return -ENOMEM;
	con->rsps = alloc_pages_exact(size, GFP_KERNEL | __GFP_ZERO |
				      __GFP_NOWARN);
	if (!con->rsps)
		return -ENOMEM;
	con->rsps_dma = ib_dma_map_single(dev, con->rsps, size,
					  DMA_FROM_DEVICE);
	if (ib_dma_mapping_error(dev, con->rsps_dma)) {
		free_pages_exact(con->rsps, size);
		con->rsps = NULL;
		return -ENOMEM;
	}
	con->nr_bufs = nr;
	return 0;
}

static void rtrs_clt_con_free_bufs(struct rtrs_clt_con *con)
{
	size_t size = con->nr_bufs * sizeof(*con->rsps);

	if (con->rsps) {
		ib_dma_unmap_single(con->path->dev, con->rsps_dma, size,
				    DMA_FROM_DEVICE);
		free_pages_exact(con->rsps, size);
	}
	kvfree(con->bufs);
}

/**
 * rtrs_clt_post_rsp_buf() - receive an RKEY_RSP
 * @buf: the buffer, free when its completion has come
 *
 * Context: any.
 * Return: 0 or the errno of the verbs layer.
 */
int rtrs_clt_post_rsp_buf(struct rtrs_clt_rsp_buf *buf)
{
	struct rtrs_clt_con *con = buf->con;
	struct ib_sge sge = {
		.addr	= con->rsps_dma +
			  (buf - con->bufs) * sizeof(*con->rsps),
		.length	= sizeof(*con->rsps),
		.lkey	= con->path->pd->local_dma_lkey,
	};
	struct ib_recv_wr wr = {
		.wr_cqe		= &buf->cqe,
		.sg_list	= &sge,
		.num_sge	= 1,
	};

	return ib_post_recv(con->c.qp, &wr, NULL);
}

static int rtrs_clt_con_post_bufs(struct rtrs_clt_con *con, unsigned int nr)
{
	unsigned int i;
	int err;

	err = rtrs_clt_con_alloc_bufs(con, nr);
	for (i = 0; !err && i < nr; i++) {
		con->bufs[i].con = con;
		con->bufs[i].cqe.done = rtrs_clt_recv_rkey_done;
		err = rtrs_clt_post_rsp_buf(&con->bufs[i]);
	}
	return err;
}

/**
 * rtrs_clt_con_start() - post the receives of a connection
 * @con: the connection; INFO_RSP has arrived
 *
 * Context: process.
 * Return: 0 or a negative errno.
 */
int rtrs_clt_con_start(struct rtrs_clt_con *con)
{
	const struct rtrs_clt_path *path = con->path;
	unsigned int nr = con->c.cid ? 2 * path->nr_ios : RTRS_CLT_SERVICE_RECVS;

	if (path->rsp.flags & RTRS_RSP_NEW_RKEY)
		return rtrs_clt_con_post_bufs(con, nr);
	return rtrs_post_recvs(&con->c, &con->recv_cqe,
			       nr + RTRS_RECV_BATCH - 1);
}

/**
 * rtrs_clt_con_free() - free what a connection has, but its cm_id
 * @con: the connection, drained
 *
 * Context: process.
 */
void rtrs_clt_con_free(struct rtrs_clt_con *con)
{
	rtrs_con_destroy_qp(&con->c);
	rtrs_clt_con_free_bufs(con);
}
