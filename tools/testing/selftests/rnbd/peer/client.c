// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A mainline client's side of RTRS: one path, its requests, and every check on
 * what the server does with them
 *
 * In normal operation a path is set up cid after cid (clt_connect), INFO_REQ
 * is exchanged for the addresses and keys of the chunks (clt_info), and then
 * each request is one RDMA_WRITE_WITH_IMM (clt_send).  Answers are judged in
 * handle_recv(), one function a kind of completion, and whatever breaks a rule
 * is reported by bad(): it makes the running test fail.
 *
 * A read with NEED_INVAL asks the server to invalidate our key by a
 * SEND_WITH_INV.  Memory regions of user space cannot be invalidated that way
 * on every device (not on rxe), memory windows of type 2 can.  So every read
 * binds a window over its buffer, in the same chain as the request.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "client.h"
#include "report.h"

/* Receives that mainline's client posts when INFO_RSP is in. */
#define CID0_RECVS	1024
#define CID_RECVS(qd)	(2 * (qd))

static const char *wr_kind_name(enum wr_kind kind)
{
	switch (kind) {
	case WR_RX_INFO:	return "receive of INFO_RSP";
	case WR_RX_EMPTY:	return "receive";
	case WR_RX_RKEY:	return "receive of 8 bytes";
	case WR_TX:		return "message";
	case WR_TX_INV:		return "LOCAL_INV";
	case WR_TX_BIND:	return "BIND_MW";
	}
	return "?";
}

unsigned int clt_answers[ANS_COUNT];

static bool new_rkey(const struct clt *c)
{
	return c->rsp.flags & WIRE_RSP_NEW_RKEY;
}

/* May answers say that the chunk's rkey has rolled? */
static bool may_roll(const struct clt *c)
{
	return c->rsp.features & WIRE_FEAT_RKEY_ROLL;
}

/* --- connecting ---------------------------------------------------------- */

static struct addrinfo *resolve(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *res;
	int ret = getaddrinfo(host, port, &hints, &res);

	if (ret)
		die("address %s: %s", host, gai_strerror(ret));
	return res;
}

void clt_init(struct clt *c, const struct clt_cfg *cfg)
{
	memset(c, 0, sizeof(*c));
	c->cfg = *cfg;
	c->cid_num = cfg->cids;
	c->dst = resolve(cfg->server, cfg->port);
	if (cfg->source)
		c->src = resolve(cfg->source, NULL);
	c->cm = cm_channel();

	c->ident.magic = WIRE_MAGIC;
	c->ident.version = WIRE_VERSION;
	c->ident.cid_num = c->cid_num;
	c->ident.recon_cnt = 1;
	c->ident.first_conn = 1;
	c->ident.features = cfg->features;
	c->ident.wanted_depth = cfg->wanted_depth;
	random_bytes(c->ident.sess_uuid, WIRE_UUID_LEN);
	random_bytes(c->ident.paths_uuid, WIRE_UUID_LEN);
}

static struct conn *conn_of_id(struct clt *c, const struct rdma_cm_id *id)
{
	unsigned int i;

	for (i = 0; i < CLT_MAX_CIDS; i++)
		if (c->conn[i].id == id)
			return &c->conn[i];
	return NULL;
}

static void conn_lost(struct clt *c, struct conn *conn, const char *why)
{
	if (!c->dying && !c->dead)
		bad("cid %u: %s", conn->cid, why);
	c->dead = true;
	conn->down = true;
}

/* Events of connections that are up. */
static void handle_cm(struct clt *c, const struct cm_event *ev)
{
	struct conn *conn = conn_of_id(c, ev->id);

	if (!conn)
		return;
	switch (ev->type) {
	case RDMA_CM_EVENT_DISCONNECTED:
		/*
		 * The others are for the server to end: a mainline client
		 * would do it too, but then nobody could see who did.
		 */
		rdma_disconnect(conn->id);
		conn_lost(c, conn, "the server disconnected");
		break;
	case RDMA_CM_EVENT_REJECTED:
		/* A server may go before it has heard that we are there. */
		conn_lost(c, conn, "rejected after it was accepted");
		break;
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
		conn->down = true;
		break;
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		die("the RDMA device went away");
	default:
		bad("cid %u: unexpected CM event %s", conn->cid,
		    rdma_event_str(ev->type));
	}
}

/* Waits for the next event of @id; others are handled on the way. */
static int wait_cm(struct clt *c, const struct rdma_cm_id *id,
		   struct cm_event *ev, uint64_t until)
{
	for (;;) {
		while (!cm_event_get(c->cm, ev)) {
			if (ev->id == id)
				return 0;
			handle_cm(c, ev);
		}
		if (now_ms() >= until)
			return -ETIMEDOUT;
		rdma_wait(c->cm, c->comp, until);
	}
}

static int expect_cm(struct clt *c, const struct rdma_cm_id *id,
		     enum rdma_cm_event_type type, struct cm_event *ev,
		     uint64_t until)
{
	int ret = wait_cm(c, id, ev, until);

	if (ret)
		return ret;
	if (ev->type == type)
		return 0;
	return ev->status < 0 ? ev->status : -EHOSTUNREACH;
}

static void setup_pd(struct clt *c, struct ibv_context *ctx)
{
	if (c->pd)
		return;
	c->pd = ibv_alloc_pd(ctx);
	if (!c->pd)
		die("no protection domain: %s", strerror(errno));
	c->comp = comp_channel(ctx);
}

/* Address, route, QP; everything that happens before the first byte. */
static int conn_prepare(struct clt *c, struct conn *conn, uint64_t until)
{
	struct cm_event ev;
	int ret;

	if (rdma_create_id(c->cm, &conn->id, NULL, RDMA_PS_TCP))
		return -errno;
	if (rdma_resolve_addr(conn->id, c->src ? c->src->ai_addr : NULL,
			      c->dst->ai_addr, c->cfg.timeout_ms))
		return -errno;
	ret = expect_cm(c, conn->id, RDMA_CM_EVENT_ADDR_RESOLVED, &ev, until);
	if (ret)
		return ret;
	if (rdma_resolve_route(conn->id, c->cfg.timeout_ms))
		return -errno;
	ret = expect_cm(c, conn->id, RDMA_CM_EVENT_ROUTE_RESOLVED, &ev, until);
	if (ret)
		return ret;
	setup_pd(c, conn->id->verbs);
	/* The queue depth is not known before cid 0 is connected. */
	return conn_create_qp(conn, c->pd, c->comp, 2048,
			      c->rsp.queue_depth > 512 ?
			      CID_RECVS(c->rsp.queue_depth) : CID0_RECVS);
}

static void check_rsp(struct clt *c, const struct cm_event *ev,
		      const struct conn_rsp *r, unsigned int cid)
{
	if (ev->data_len < WIRE_CONN_LEN)
		bad("cid %u: CONN_RSP of %u bytes", cid, ev->data_len);
	if (!all_zero(ev->data + WIRE_CONN_LEN,
		      sizeof(ev->data) - WIRE_CONN_LEN))
		bad("cid %u: CONN_RSP is longer than 56 bytes", cid);
	if (r->magic != WIRE_MAGIC)
		bad("cid %u: CONN_RSP has magic %#x", cid, r->magic);
	if (r->version != WIRE_VERSION)
		bad("cid %u: CONN_RSP has version %#x", cid, r->version);
	if (!all_zero(ev->data + 40, 16))
		bad("cid %u: reserved bytes of CONN_RSP are not 0", cid);
	if (r->features & ~c->ident.features)
		bad("cid %u: server accepts features %#x, %#x were offered",
		    cid, r->features, c->ident.features);
	if (r->features & WIRE_FEAT_QUEUE_DEPTH &&
	    r->queue_depth > c->ident.wanted_depth)
		bad("cid %u: %u chunks, and QUEUE_DEPTH accepted for %u", cid,
		    r->queue_depth, c->ident.wanted_depth);
	if (!(r->features & WIRE_FEAT_BOOT_ID) &&
	    !all_zero(r->boot_id, WIRE_UUID_LEN))
		bad("cid %u: boot_id without BOOT_ID", cid);
}

static void check_accept(const struct cm_event *ev, const struct conn_rsp *r,
			 unsigned int cid)
{
	uint32_t chunk = r->max_io_size + r->max_hdr_size;
	unsigned int size_bits = 0;

	if (r->err)
		bad("cid %u: accept with errno %d", cid, r->err);
	if (!r->queue_depth)
		bad("cid %u: queue_depth 0", cid);
	if (r->max_hdr_size < 4096 || !r->max_io_size)
		bad("cid %u: max_io_size %u, max_hdr_size %u", cid,
		    r->max_io_size, r->max_hdr_size);
	if (r->flags & ~WIRE_RSP_NEW_RKEY)
		bad("cid %u: unknown flags %#x", cid, r->flags);
	while (size_bits < 31 && (1u << size_bits) < chunk)
		size_bits++;
	if (chunk_bits(r->queue_depth) + size_bits > IMM_PAYLOAD_BITS)
		bad("cid %u: %u chunks of %u bytes do not fit the immediate",
		    cid, r->queue_depth, chunk);
	if (ev->param.rnr_retry_count != WIRE_CM_RETRIES)
		bad("cid %u: accepted with rnr_retry_count %u", cid,
		    ev->param.rnr_retry_count);
	if (ev->param.responder_resources || ev->param.initiator_depth)
		bad("cid %u: accepted with RDMA READ", cid);
}

static struct conn_result judge_answer(struct clt *c, struct conn *conn,
				       const struct cm_event *ev)
{
	struct conn_result res = { .status = ev->status };

	conn_rsp_decode(&res.rsp, ev->data);
	switch (ev->type) {
	case RDMA_CM_EVENT_ESTABLISHED:
		conn->up = true;
		check_rsp(c, ev, &res.rsp, conn->cid);
		check_accept(ev, &res.rsp, conn->cid);
		break;
	case RDMA_CM_EVENT_REJECTED:
		res.rejected = true;
		res.err = -ECONNREFUSED;
		/* Nobody listens: the CM's own reject, without a message. */
		if (ev->status != WIRE_REJECT_REASON)
			break;
		check_rsp(c, ev, &res.rsp, conn->cid);
		if (res.rsp.err >= 0)
			bad("cid %u: reject with errno %d", conn->cid,
			    res.rsp.err);
		else
			res.err = res.rsp.err;
		break;
	default:
		res.err = ev->status < 0 ? ev->status : -ECONNRESET;
	}
	return res;
}

struct conn_result clt_conn_open(struct clt *c, unsigned int cid,
				 const uint8_t priv[WIRE_CONN_LEN],
				 unsigned int len)
{
	uint64_t until = now_ms() + c->cfg.timeout_ms;
	struct conn *conn = &c->conn[cid];
	struct rdma_conn_param param = {
		.private_data = priv,
		.private_data_len = len,
		.initiator_depth = c->cfg.reads,
		.responder_resources = c->cfg.reads,
		.retry_count = WIRE_CM_RETRIES,
		.rnr_retry_count = WIRE_CM_RETRIES,
	};
	struct conn_result res = { 0 };
	struct cm_event ev;

	conn->cid = cid;
	conn->owner = c;
	res.err = conn_prepare(c, conn, until);
	if (res.err)
		return res;
	if (rdma_connect(conn->id, &param)) {
		res.err = -errno;
		return res;
	}
	res.err = wait_cm(c, conn->id, &ev, until);
	if (res.err)
		return res;
	return judge_answer(c, conn, &ev);
}

static void check_same_rsp(const struct conn_rsp *a, const struct conn_rsp *b,
			   unsigned int cid)
{
	uint8_t x[WIRE_CONN_LEN], y[WIRE_CONN_LEN];

	conn_rsp_encode(x, a);
	conn_rsp_encode(y, b);
	if (memcmp(x, y, sizeof(x)))
		bad("cid %u: CONN_RSP differs from that of cid 0", cid);
}

int clt_connect(struct clt *c)
{
	uint8_t priv[WIRE_CONN_LEN];
	struct conn_result res;
	unsigned int cid;

	for (cid = 0; cid < c->cid_num; cid++) {
		c->ident.cid = cid;
		conn_req_encode(priv, &c->ident);
		res = clt_conn_open(c, cid, priv, sizeof(priv));
		if (res.err)
			return res.err;
		if (!cid)
			c->rsp = res.rsp;
		else
			check_same_rsp(&c->rsp, &res.rsp, cid);
	}
	c->chunk_size = c->rsp.max_io_size + c->rsp.max_hdr_size;
	return 0;
}

/* --- INFO exchange ------------------------------------------------------- */

/* Lays the descriptors end to end: chunks 0 .. queue_depth - 1. */
static void lay_out_chunks(struct clt *c, const uint8_t *b, unsigned int descs)
{
	unsigned int i, off, n = 0;
	struct desc d;

	for (i = 0; i < descs; i++) {
		desc_decode(&d, b + 8 + i * WIRE_DESC_LEN);
		if (!d.len || d.len % c->chunk_size) {
			bad("INFO_RSP: descriptor %u has length %u", i, d.len);
			return;
		}
		for (off = 0; off < d.len; off += c->chunk_size, n++) {
			if (n == c->rsp.queue_depth) {
				bad("INFO_RSP: more memory than chunks");
				return;
			}
			c->chunk[n].addr = d.addr + off;
			c->chunk[n].key = d.key;
			c->chunk[n].len = c->chunk_size;
		}
	}
	if (n != c->rsp.queue_depth)
		bad("INFO_RSP: memory for %u chunks of %u", n,
		    c->rsp.queue_depth);
}

static void handle_info_rsp(struct clt *c, struct conn *conn,
			    const struct ibv_wc *wc)
{
	const uint8_t *b = conn->rx;
	unsigned int descs = get16(b + 2);

	c->have_info = true;
	if (wc->byte_len < 8 || get16(b) != RTRS_INFO_RSP) {
		bad("INFO_RSP: %u bytes, type %u", wc->byte_len, get16(b));
		return;
	}
	if (!all_zero(b + 4, 4))
		bad("INFO_RSP: reserved bytes are not 0");
	if (wc->byte_len != WIRE_INFO_RSP_LEN(descs) || !descs ||
	    c->rsp.queue_depth % descs) {
		bad("INFO_RSP: %u descriptors in %u bytes, queue depth %u",
		    descs, wc->byte_len, c->rsp.queue_depth);
		return;
	}
	if (new_rkey(c) && descs != c->rsp.queue_depth)
		bad("INFO_RSP: NEW_RKEY with %u descriptors", descs);
	c->descs = descs;
	lay_out_chunks(c, b, descs);
}

void clt_hear(struct clt *c, unsigned int cid)
{
	unsigned int i, n = cid ? CID_RECVS(c->rsp.queue_depth) : CID0_RECVS;
	struct conn *conn = &c->conn[cid];

	if (new_rkey(c))
		conn_rx_alloc(conn, c->pd, WIRE_RKEY_RSP_LEN, n);
	for (i = 0; i < n; i++)
		if (conn_post_recv(conn, new_rkey(c) ? WR_RX_RKEY :
				   WR_RX_EMPTY, i))
			die("cannot post %u receives", n);
}

void clt_ready(struct clt *c)
{
	unsigned int cid;

	c->req = xzalloc(c->rsp.queue_depth * sizeof(*c->req));
	for (cid = 0; cid < c->cid_num; cid++)
		if (!cid || cid != c->deaf)
			clt_hear(c, cid);
}

int clt_info_raw(struct clt *c, const uint8_t msg[WIRE_INFO_REQ_LEN])
{
	uint64_t until = now_ms() + c->cfg.timeout_ms;
	struct conn *conn = &c->conn[0];
	struct ibv_mr *mr;
	uint8_t *buf = xzalloc(WIRE_INFO_REQ_LEN);
	struct ibv_sge sge = { .length = WIRE_INFO_REQ_LEN };
	struct ibv_send_wr wr = {
		.wr_id = wr_id(WR_TX, 0),
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
	};

	memcpy(buf, msg, WIRE_INFO_REQ_LEN);
	mr = ibv_reg_mr(c->pd, buf, WIRE_INFO_REQ_LEN, IBV_ACCESS_LOCAL_WRITE);
	if (!mr)
		die("cannot register a buffer: %s", strerror(errno));
	sge.addr = (uintptr_t)buf;
	sge.lkey = mr->lkey;

	free(c->chunk);
	c->chunk = xzalloc(c->rsp.queue_depth * sizeof(*c->chunk));
	conn_rx_alloc(conn, c->pd, WIRE_INFO_RSP_LEN(c->rsp.queue_depth), 1);
	if (conn_post_recv(conn, WR_RX_INFO, 0) || conn_post(conn, &wr))
		die("cannot send INFO_REQ");

	while (!c->have_info && !c->dead && now_ms() < until)
		clt_poll(c, until);
	/* The buffer must outlive the message. */
	while (conn->sends && !c->dead && now_ms() < until)
		clt_poll(c, until);
	ibv_dereg_mr(mr);
	free(buf);
	if (c->dead)
		return -ECONNRESET;
	return c->have_info ? 0 : -ETIMEDOUT;
}

int clt_info(struct clt *c)
{
	uint8_t msg[WIRE_INFO_REQ_LEN];
	int ret;

	info_req_encode(msg, c->cfg.sessname);
	ret = clt_info_raw(c, msg);
	if (!ret)
		clt_ready(c);
	return ret;
}

int clt_start(struct clt *c, const struct clt_cfg *cfg)
{
	int ret;

	clt_init(c, cfg);
	ret = clt_connect(c);
	return ret ?: clt_info(c);
}

/* --- the end of a path --------------------------------------------------- */

static void free_req(struct req *r)
{
	if (r->mw)
		ibv_dealloc_mw(r->mw);
	if (r->area_mr)
		ibv_dereg_mr(r->area_mr);
	if (r->msg_mr)
		ibv_dereg_mr(r->msg_mr);
	if (r->area)
		munmap(r->area, r->area_len);
	free(r->msg);
}

void clt_free(struct clt *c)
{
	unsigned int i;

	/* Windows before the QPs they are bound to. */
	for (i = 0; c->req && i < c->rsp.queue_depth; i++)
		free_req(&c->req[i]);
	for (i = 0; i < CLT_MAX_CIDS; i++)
		conn_free(&c->conn[i]);
	free(c->req);
	free(c->chunk);
	if (c->comp)
		ibv_destroy_comp_channel(c->comp);
	if (c->pd)
		ibv_dealloc_pd(c->pd);
	if (c->cm)
		rdma_destroy_event_channel(c->cm);
	freeaddrinfo(c->dst);
	if (c->src)
		freeaddrinfo(c->src);
	memset(c, 0, sizeof(*c));
}

static bool all_down(const struct clt *c)
{
	unsigned int i;

	for (i = 0; i < c->cid_num; i++)
		if (c->conn[i].up && !c->conn[i].down)
			return false;
	return true;
}

int clt_wait_end(struct clt *c, unsigned int timeout_ms)
{
	uint64_t until = now_ms() + timeout_ms;
	bool dying = c->dying;

	c->dying = true;
	while (!all_down(c) && now_ms() < until)
		clt_poll(c, until);
	c->dying = dying;
	return all_down(c) ? 0 : -ETIMEDOUT;
}

void clt_stop(struct clt *c)
{
	unsigned int i;

	c->dying = true;
	for (i = 0; i < c->cid_num; i++)
		if (c->conn[i].up)
			rdma_disconnect(c->conn[i].id);
	if (clt_wait_end(c, c->cfg.timeout_ms))
		bad("the server does not hang up");
	clt_free(c);
}

/* --- requests ------------------------------------------------------------ */

/* Room for the data between two guards, grown when needed. */
static void req_area(struct clt *c, struct req *r, unsigned int data_len)
{
	unsigned int need = 2 * CLT_GUARD + ((data_len + 4095) & ~4095u);

	if (r->area_len < need) {
		if (r->area_mr)
			ibv_dereg_mr(r->area_mr);
		if (r->area)
			munmap(r->area, r->area_len);
		r->area = xpages(need);
		r->area_len = need;
		r->area_mr = ibv_reg_mr(c->pd, r->area, need,
					IBV_ACCESS_LOCAL_WRITE |
					IBV_ACCESS_REMOTE_WRITE |
					IBV_ACCESS_MW_BIND);
		if (!r->area_mr)
			die("cannot register %u bytes: %s", need,
			    strerror(errno));
	}
	memset(r->area, CLT_POISON, need);
	r->area_used = need;
	r->data = r->area + CLT_GUARD;
	r->data_len = data_len;
}

struct req *clt_req(struct clt *c, unsigned int cid, unsigned int chunk,
		    unsigned int data_len)
{
	struct req *r = &c->req[chunk];

	/* A request of a path that has died is nobody's any more. */
	if (r->busy && !c->dead)
		die("chunk %u is in use", chunk);
	r->busy = false;
	r->chunk = chunk;
	r->cid = cid;
	r->read = false;
	r->need_inval = false;
	r->no_desc = false;
	r->usr_len = 0;
	r->done = false;
	r->err = 0;
	r->imm = 0;
	r->how = ANS_NONE;
	r->inv_seen = false;
	req_area(c, r, data_len);
	if (!r->msg) {
		r->msg = xzalloc(1024);
		r->msg_mr = ibv_reg_mr(c->pd, r->msg, 1024,
				       IBV_ACCESS_LOCAL_WRITE);
		if (!r->msg_mr)
			die("cannot register a message: %s", strerror(errno));
	}
	return r;
}

/* Gives the server a key for the buffer: a window's, bound in this chain. */
static struct ibv_send_wr *bind_window(struct clt *c, struct req *r,
				       struct ibv_send_wr *bind)
{
	if (c->cfg.no_mw) {
		r->key = r->area_mr->rkey;
		return NULL;
	}
	if (!r->mw) {
		r->mw = ibv_alloc_mw(c->pd, IBV_MW_TYPE_2);
		if (!r->mw)
			die("no memory window: %s (try --no-mw)",
			    strerror(errno));
	}
	r->key = ibv_inc_rkey(r->mw->rkey);
	bind->wr_id = wr_id(WR_TX_BIND, r->chunk);
	bind->opcode = IBV_WR_BIND_MW;
	bind->send_flags = IBV_SEND_SIGNALED;
	bind->bind_mw.mw = r->mw;
	bind->bind_mw.rkey = r->key;
	bind->bind_mw.bind_info.mr = r->area_mr;
	bind->bind_mw.bind_info.addr = (uintptr_t)r->data;
	bind->bind_mw.bind_info.length = r->data_len;
	bind->bind_mw.bind_info.mw_access_flags = IBV_ACCESS_REMOTE_WRITE;
	return bind;
}

static unsigned int build_rtrs(struct req *r, uint8_t *b)
{
	struct desc d = {
		.addr = (uintptr_t)r->data,
		.key = r->key,
		.len = r->data_len,
	};

	if (!r->read) {
		rtrs_write_encode(b, r->usr_len);
		return WIRE_RTRS_WRITE_LEN;
	}
	rtrs_read_encode(b, r->usr_len,
			 r->need_inval ? WIRE_READ_NEED_INVAL : 0,
			 r->no_desc ? NULL : &d);
	return WIRE_RTRS_READ_LEN(r->no_desc ? 0 : 1);
}

int clt_send(struct clt *c, struct req *r)
{
	const struct desc *chunk = &c->chunk[r->chunk];
	struct ibv_sge sge[2] = { 0 };
	struct ibv_send_wr bind = { 0 }, *first, wr = {
		.wr_id = wr_id(WR_TX, r->chunk),
		.opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
		.send_flags = IBV_SEND_SIGNALED,
		.sg_list = sge,
	};
	unsigned int msg_len;
	int ret;

	first = &wr;
	if (r->read && !r->no_desc && bind_window(c, r, &bind)) {
		bind.next = &wr;
		first = &bind;
	}
	memcpy(r->msg, r->usr, r->usr_len);
	msg_len = r->usr_len + build_rtrs(r, r->msg + r->usr_len);

	wr.wr.rdma.remote_addr = chunk->addr;
	wr.wr.rdma.rkey = chunk->key;
	if (r->read) {
		/* The data of the answer goes where we leave room for it. */
		wr.wr.rdma.remote_addr += r->data_len;
	} else if (r->data_len) {
		sge[wr.num_sge].addr = (uintptr_t)r->data;
		sge[wr.num_sge].length = r->data_len;
		sge[wr.num_sge++].lkey = r->area_mr->lkey;
	}
	sge[wr.num_sge].addr = (uintptr_t)r->msg;
	sge[wr.num_sge].length = msg_len;
	sge[wr.num_sge++].lkey = r->msg_mr->lkey;
	wr.imm_data = htonl(imm_io_req(c->rsp.queue_depth, r->chunk,
				       r->data_len + r->usr_len));

	r->busy = true;
	ret = conn_post(&c->conn[r->cid], first);
	if (ret)
		r->busy = false;
	else if (first == &bind)
		r->mw->rkey = r->key;
	return ret;
}

int clt_wait(struct clt *c, struct req *r)
{
	uint64_t until = now_ms() + c->cfg.timeout_ms;

	while (!r->done) {
		if (c->dead)
			return -ECONNRESET;
		if (now_ms() >= until) {
			bad("chunk %u: no answer in %u ms", r->chunk,
			    c->cfg.timeout_ms);
			c->dead = true;
			return -ETIMEDOUT;
		}
		clt_poll(c, until);
	}
	return 0;
}

int clt_call(struct clt *c, struct req *r)
{
	int ret;

	if (c->dead)
		return -ECONNRESET;
	ret = clt_send(c, r);
	if (!ret)
		ret = clt_wait(c, r);
	return ret ? ret : r->err;
}

/* --- answers --------------------------------------------------------------- */

static bool is_poison(const uint8_t *p, unsigned int n)
{
	while (n--)
		if (*p++ != CLT_POISON)
			return false;
	return true;
}

/* The server may write the data of a successful read, and nothing else. */
static void check_guards(struct req *r)
{
	unsigned int behind = r->area_used - CLT_GUARD - r->data_len;

	if (!is_poison(r->area, CLT_GUARD))
		bad("chunk %u: written before the buffer", r->chunk);
	if (!is_poison(r->data + r->data_len, behind))
		bad("chunk %u: written behind the buffer", r->chunk);
	if (r->read && r->err && !is_poison(r->data, r->data_len))
		bad("chunk %u: data came with errno %d", r->chunk, r->err);
}

static bool with_inv(enum answer how)
{
	return how == ANS_IMM_INV || how == ANS_RKEY_INV;
}

static void check_sequence(struct clt *c, struct req *r)
{
	if (with_inv(r->how) && !r->inv_seen)
		bad("chunk %u: IO_RSP_W_INV without SEND_WITH_INV", r->chunk);
	if (!with_inv(r->how) && r->inv_seen)
		bad("chunk %u: SEND_WITH_INV, but then IO_RSP", r->chunk);
	if (with_inv(r->how) && !r->need_inval)
		bad("chunk %u: IO_RSP_W_INV, but nobody asked for it",
		    r->chunk);
	if (!c->cfg.exact)
		return;
	if (r->need_inval && !with_inv(r->how))
		bad("chunk %u: NEED_INVAL was not obeyed", r->chunk);
	if (r->how == ANS_IMM_DATA)
		bad("chunk %u: data and answer in one message", r->chunk);
}

/* The key is still good where the server did not invalidate it. */
static bool post_local_inv(struct clt *c, struct req *r)
{
	struct ibv_send_wr wr = {
		.wr_id = wr_id(WR_TX_INV, r->chunk),
		.opcode = IBV_WR_LOCAL_INV,
		.send_flags = IBV_SEND_SIGNALED,
		.invalidate_rkey = r->key,
	};

	if (!r->read || r->no_desc || !r->mw || r->inv_seen)
		return false;
	return !conn_post(&c->conn[r->cid], &wr);
}

static void req_done(struct req *r)
{
	r->busy = false;
	r->done = true;
}

static void req_answered(struct clt *c, struct req *r, uint32_t imm,
			 enum answer how)
{
	r->imm = imm;
	r->err = imm_rsp_errno(imm);
	r->how = how;
	clt_answers[how]++;
	check_sequence(c, r);
	check_guards(r);
	if (!post_local_inv(c, r))
		req_done(r);
}

/* The request that an answer on @conn is for, or NULL and a complaint. */
static struct req *find_req(struct clt *c, struct conn *conn, unsigned int chunk)
{
	struct req *r;

	if (!c->req || chunk >= c->rsp.queue_depth) {
		bad("cid %u: answer for chunk %u", conn->cid, chunk);
		return NULL;
	}
	r = &c->req[chunk];
	if (!r->busy || r->how) {
		if (!c->wild)
			bad("cid %u: answer for chunk %u, which is not in flight",
			    conn->cid, chunk);
		return NULL;
	}
	if (r->cid != conn->cid && !c->wild)
		bad("chunk %u: sent on cid %u, answered on cid %u", chunk,
		    r->cid, conn->cid);
	return r;
}

static void handle_hb(struct clt *c, struct conn *conn, unsigned int type)
{
	if (type == IMM_HB_ACK) {
		c->hb_acks++;
		return;
	}
	c->hb_last = now_ms();
	if (!c->hb_msgs++)
		c->hb_first = c->hb_last;
	if (!c->mute_hb && conn_post_imm(conn, imm_make(IMM_HB_ACK, 0)))
		conn_lost(c, conn, "cannot send HB_ACK");
}

static void repost(struct clt *c, struct conn *conn, uint64_t id)
{
	if (conn_post_recv(conn, wr_kind(id), (uint32_t)id))
		conn_lost(c, conn, "cannot repost a receive");
}

/* RDMA_WRITE_WITH_IMM: heartbeats, and answers where there is no NEW_RKEY. */
static void handle_write_imm(struct clt *c, struct conn *conn,
			     const struct ibv_wc *wc)
{
	unsigned int type = imm_type(wc_imm(wc));
	uint32_t imm = wc_imm(wc);
	struct req *r;

	repost(c, conn, wc->wr_id);
	if (type == IMM_HB_MSG || type == IMM_HB_ACK) {
		if (conn->cid || wc->byte_len || imm & IMM_PAYLOAD_MASK)
			bad("heartbeat %#x of %u bytes on cid %u", imm,
			    wc->byte_len, conn->cid);
		handle_hb(c, conn, type);
		return;
	}
	if (type != IMM_IO_RSP && type != IMM_IO_RSP_W_INV &&
	    !(type == IMM_IO_RSP_ROLL && may_roll(c))) {
		bad("cid %u: RDMA_WRITE_WITH_IMM %#x", conn->cid, imm);
		return;
	}
	if (new_rkey(c)) {
		bad("cid %u: answer %#x by RDMA_WRITE_WITH_IMM with NEW_RKEY",
		    conn->cid, imm);
		return;
	}
	r = find_req(c, conn, imm_rsp_chunk(imm));
	if (!r)
		return;
	if (type == IMM_IO_RSP_ROLL)
		c->chunk[r->chunk].key = ibv_inc_rkey(c->chunk[r->chunk].key);
	if (wc->byte_len && (!r->read || imm_rsp_errno(imm) ||
			     type == IMM_IO_RSP_W_INV ||
			     wc->byte_len != r->data_len))
		bad("chunk %u: answer %#x with %u bytes", r->chunk, imm,
		    wc->byte_len);
	req_answered(c, r, imm, type == IMM_IO_RSP_W_INV ? ANS_IMM_INV :
		     wc->byte_len ? ANS_IMM_DATA : ANS_IMM);
}

/* SEND_WITH_INV: one request of this connection must have asked for it. */
static void handle_inv(struct clt *c, struct conn *conn,
		       const struct ibv_wc *wc)
{
	unsigned int i;

	repost(c, conn, wc->wr_id);
	if (wc->byte_len)
		bad("cid %u: SEND_WITH_INV of %u bytes", conn->cid,
		    wc->byte_len);
	for (i = 0; c->req && i < c->rsp.queue_depth; i++) {
		struct req *r = &c->req[i];

		if (!r->busy || r->how || r->cid != conn->cid ||
		    !r->need_inval || r->key != wc->invalidated_rkey)
			continue;
		if (r->inv_seen)
			bad("chunk %u: two SEND_WITH_INV", r->chunk);
		r->inv_seen = true;
		conn->inv_seen = true;
		conn->pending_inv = r->chunk;
		return;
	}
	bad("cid %u: SEND_WITH_INV of key %#x, which is no request's",
	    conn->cid, wc->invalidated_rkey);
}

/* SEND_WITH_IMM: an RKEY_RSP. */
static void handle_rkey_rsp(struct clt *c, struct conn *conn,
			    const struct ibv_wc *wc)
{
	uint32_t imm = wc_imm(wc), chunk = imm_rsp_chunk(imm), rkey;
	unsigned int type = imm_type(imm);
	uint8_t b[WIRE_RKEY_RSP_LEN] = { 0 };
	struct req *r;

	if (!new_rkey(c) || wr_kind(wc->wr_id) != WR_RX_RKEY) {
		bad("cid %u: SEND_WITH_IMM %#x without NEW_RKEY", conn->cid,
		    imm);
		repost(c, conn, wc->wr_id);
		return;
	}
	memcpy(b, conn->rx + (uint32_t)wc->wr_id * conn->rx_size, sizeof(b));
	repost(c, conn, wc->wr_id);
	if (wc->byte_len != sizeof(b) || get16(b) != RTRS_RKEY_RSP) {
		bad("cid %u: SEND_WITH_IMM of %u bytes, type %u", conn->cid,
		    wc->byte_len, get16(b));
		return;
	}
	if (type != IMM_IO_RSP && type != IMM_IO_RSP_W_INV)
		bad("cid %u: RKEY_RSP with immediate %#x", conn->cid, imm);
	if (get16(b + 2) != chunk)
		bad("cid %u: RKEY_RSP of chunk %u, immediate of chunk %u",
		    conn->cid, get16(b + 2), chunk);
	rkey = get32(b + 4);
	r = find_req(c, conn, chunk);
	if (!r)
		return;
	c->chunk[chunk].key = rkey;
	req_answered(c, r, imm,
		     type == IMM_IO_RSP_W_INV ? ANS_RKEY_INV : ANS_RKEY);
}

/*
 * One chain, one connection: what follows a SEND_WITH_INV is its answer.  A
 * mainline client only counts, so this is checked against mainline's habit.
 */
static void check_adjacent(struct clt *c, struct conn *conn,
			   const struct ibv_wc *wc)
{
	uint32_t want = imm_io_rsp(IMM_IO_RSP_W_INV, conn->pending_inv, 0);
	/* All of the immediate but the errno. */
	uint32_t mask = ~((uint32_t)IMM_ERRNO_MAX << IMM_ERRNO_SHIFT);

	if (!conn->inv_seen)
		return;
	conn->inv_seen = false;
	if (!c->cfg.exact)
		return;
	if (!(wc->wc_flags & IBV_WC_WITH_IMM) || (wc_imm(wc) & mask) != want)
		bad("cid %u: no IO_RSP_W_INV right after SEND_WITH_INV",
		    conn->cid);
}

static void handle_recv(struct clt *c, struct conn *conn,
			const struct ibv_wc *wc)
{
	conn->received++;
	check_adjacent(c, conn, wc);
	if (wr_kind(wc->wr_id) == WR_RX_INFO) {
		if (wc->opcode == IBV_WC_RECV && !wc_has_inv(wc) &&
		    !(wc->wc_flags & IBV_WC_WITH_IMM))
			handle_info_rsp(c, conn, wc);
		else
			bad("a message that is not INFO_RSP before INFO_RSP");
	} else if (wc->opcode == IBV_WC_RECV_RDMA_WITH_IMM) {
		handle_write_imm(c, conn, wc);
	} else if (wc_has_inv(wc)) {
		handle_inv(c, conn, wc);
	} else if (wc->wc_flags & IBV_WC_WITH_IMM) {
		handle_rkey_rsp(c, conn, wc);
	} else {
		bad("cid %u: a plain SEND of %u bytes", conn->cid,
		    wc->byte_len);
		repost(c, conn, wc->wr_id);
	}
}

static void handle_wc(struct clt *c, struct conn *conn, const struct ibv_wc *wc)
{
	enum wr_kind kind = wr_kind(wc->wr_id);

	if (kind >= WR_TX)
		conn->sends--;
	if (wc->status != IBV_WC_SUCCESS) {
		if (!c->dying && !c->dead && wc->status != IBV_WC_WR_FLUSH_ERR)
			bad("cid %u: %s failed: %s", conn->cid,
			    wr_kind_name(kind), ibv_wc_status_str(wc->status));
		/* Flushes come first where the server hangs up: not news. */
		c->dead |= wc->status != IBV_WC_WR_FLUSH_ERR;
	} else if (kind < WR_TX) {
		handle_recv(c, conn, wc);
	} else if (kind == WR_TX_INV) {
		req_done(&c->req[(uint32_t)wc->wr_id]);
	}
}

static bool drain_cqs(struct clt *c)
{
	struct ibv_wc wc[32];
	unsigned int i;
	bool any = false;
	int n, k;

	for (i = 0; i < CLT_MAX_CIDS; i++) {
		struct conn *conn = &c->conn[i];

		while (conn->cq && (n = ibv_poll_cq(conn->cq, 32, wc)) > 0) {
			any = true;
			for (k = 0; k < n; k++)
				handle_wc(c, conn, &wc[k]);
		}
	}
	return any;
}

static bool drain_cm(struct clt *c)
{
	struct cm_event ev;
	bool any = false;

	while (!cm_event_get(c->cm, &ev)) {
		handle_cm(c, &ev);
		any = true;
	}
	return any;
}

void clt_poll(struct clt *c, uint64_t until)
{
	unsigned int i;

	if (drain_cqs(c) | drain_cm(c))
		return;
	for (i = 0; i < CLT_MAX_CIDS; i++)
		if (c->conn[i].cq)
			conn_arm(&c->conn[i]);
	/* Whatever came before the CQ was armed raises no event. */
	if (!drain_cqs(c))
		rdma_wait(c->cm, c->comp, until);
}

int clt_heartbeat(struct clt *c)
{
	uint64_t until = now_ms() + c->cfg.timeout_ms;
	unsigned int acks = c->hb_acks;
	int ret;

	ret = conn_post_imm(&c->conn[0], imm_make(IMM_HB_MSG, 0));
	if (ret)
		return ret;
	while (c->hb_acks == acks && !c->dead && now_ms() < until)
		clt_poll(c, until);
	if (c->dead)
		return -ECONNRESET;
	return c->hb_acks == acks ? -ETIMEDOUT : 0;
}
