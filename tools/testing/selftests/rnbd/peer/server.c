// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A mainline server's sessions and paths, in user space
 *
 * A path comes into being with its cid 0 (handle_connect), is up when INFO_REQ
 * has been answered (handle_info_req), and ends as a whole: the first
 * connection that goes takes the others along (path_close), and the last path
 * takes the session and its open devices.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "report.h"
#include "server.h"

#define HB_INTERVAL	5000	/* ms */
#define HB_MISSED_MAX	5
#define CLOSE_WAIT	5000	/* ms until a client has hung up, too */
#define STALL		1000	/* ms without a round of the event loop */
#define CID0_RECVS	512

void rule(const struct srv *s, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (s->hooks)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (s->cfg.lax)
		note("(lax) %s", text);
	else
		bad("%s", text);
}

/* --- sessions ----------------------------------------------------------------- */

static struct session *find_session(struct srv *s, const uint8_t *uuid)
{
	unsigned int i;

	for (i = 0; i < SRV_MAX_SESSIONS; i++)
		if (s->session[i].used &&
		    !memcmp(s->session[i].paths_uuid, uuid, WIRE_UUID_LEN))
			return &s->session[i];
	return NULL;
}

static struct session *new_session(struct srv *s, const uint8_t *uuid)
{
	size_t size = (size_t)s->cfg.depth * s->cfg.chunk_size;
	struct session *sess;
	unsigned int i;

	for (i = 0; i < SRV_MAX_SESSIONS; i++)
		if (!s->session[i].used)
			break;
	if (i == SRV_MAX_SESSIONS)
		return NULL;
	sess = &s->session[i];
	memset(sess, 0, sizeof(*sess));
	sess->used = true;
	memcpy(sess->paths_uuid, uuid, WIRE_UUID_LEN);
	sess->chunks = xpages(size);
	sess->chunks_mr = ibv_reg_mr(s->pd, sess->chunks, size,
				     IBV_ACCESS_LOCAL_WRITE);
	sess->admin = xzalloc(s->cfg.depth * 64);
	sess->admin_mr = ibv_reg_mr(s->pd, sess->admin, s->cfg.depth * 64,
				    IBV_ACCESS_LOCAL_WRITE);
	if (!sess->chunks_mr || !sess->admin_mr)
		die("cannot register chunks: %s", strerror(errno));
	return sess;
}

static void end_session(struct srv *s, struct session *sess)
{
	size_t size = (size_t)s->cfg.depth * s->cfg.chunk_size;

	session_close_all(s, sess);
	if (!s->hooks)
		note("session %s: %u requests", sess->name, sess->requests);
	if (sess->name[0] && !s->hooks) {
		s->sessions_done++;
		tap_done("session %s: %s", sess->name, s->cfg.lax ? "ended" :
			 "the client kept the rules");
	}
	ibv_dereg_mr(sess->chunks_mr);
	ibv_dereg_mr(sess->admin_mr);
	munmap(sess->chunks, size);
	free(sess->admin);
	sess->used = false;
}

/* --- paths -------------------------------------------------------------------- */

static struct path *find_path(struct srv *s, const uint8_t *uuid)
{
	unsigned int i;

	for (i = 0; i < SRV_MAX_PATHS; i++)
		if (s->path[i].state != PATH_FREE &&
		    !memcmp(s->path[i].ident.sess_uuid, uuid, WIRE_UUID_LEN))
			return &s->path[i];
	return NULL;
}

static struct path *path_of_id(struct srv *s, const struct rdma_cm_id *id,
			       struct conn **conn)
{
	unsigned int i, k;

	for (i = 0; i < SRV_MAX_PATHS; i++) {
		struct path *p = &s->path[i];

		for (k = 0; p->state != PATH_FREE && k < p->accepted; k++) {
			if (p->conn[k].id == id) {
				*conn = &p->conn[k];
				return p;
			}
		}
	}
	return NULL;
}

static bool same_addr(const struct sockaddr *a, const struct sockaddr *b)
{
	if (a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET)
		return !memcmp(&((struct sockaddr_in *)a)->sin_addr,
			       &((struct sockaddr_in *)b)->sin_addr, 4);
	return !memcmp(&((struct sockaddr_in6 *)a)->sin6_addr,
		       &((struct sockaddr_in6 *)b)->sin6_addr, 16);
}

static bool addresses_taken(struct srv *s, const struct session *sess,
			    struct rdma_cm_id *id)
{
	unsigned int i;

	for (i = 0; i < SRV_MAX_PATHS; i++) {
		const struct path *p = &s->path[i];

		if (p->state != PATH_FREE && p->sess == sess &&
		    same_addr((void *)&p->src, rdma_get_peer_addr(id)) &&
		    same_addr((void *)&p->dst, rdma_get_local_addr(id)))
			return true;
	}
	return false;
}

static void copy_addr(struct sockaddr_storage *to, const struct sockaddr *from)
{
	memcpy(to, from, from->sa_family == AF_INET ?
	       sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
}

static struct path *new_path(struct srv *s, struct session *sess,
			     const struct conn_req *req, struct rdma_cm_id *id)
{
	struct path *p;
	unsigned int i;

	for (i = 0; i < SRV_MAX_PATHS; i++)
		if (s->path[i].state == PATH_FREE)
			break;
	if (i == SRV_MAX_PATHS)
		return NULL;
	p = &s->path[i];
	memset(p, 0, sizeof(*p));
	p->state = PATH_CONNECTING;
	p->sess = sess;
	p->ident = *req;
	p->busy = xzalloc(s->cfg.depth * sizeof(*p->busy));
	copy_addr(&p->src, rdma_get_peer_addr(id));
	copy_addr(&p->dst, rdma_get_local_addr(id));
	sess->paths++;
	return p;
}

void path_close(struct srv *s, struct path *p)
{
	unsigned int i;

	if (p->state == PATH_CLOSING)
		return;
	p->state = PATH_CLOSING;
	p->close_by = now_ms() + (s->cfg.wrong == WRONG_HANGUP ? 15000 :
				  CLOSE_WAIT);
	for (i = 0; i < p->accepted; i++)
		if (s->cfg.wrong != WRONG_HANGUP || p->conn[i].down)
			rdma_disconnect(p->conn[i].id);
}

static void free_path(struct srv *s, struct path *p)
{
	struct session *sess = p->sess;
	unsigned int i;

	srv_release_held(s);
	for (i = 0; i < p->accepted; i++)
		conn_free(&p->conn[i]);
	path_unregister_chunks(s, p);
	free(p->busy);
	p->state = PATH_FREE;
	if (!--sess->paths) {
		for (i = 0; i < SRV_MAX_OPEN; i++)
			if (sess->open[i].disk && p->by_client)
				rule(s, "the client left %s open",
				     sess->open[i].name);
		end_session(s, sess);
	}
}

static void reap_paths(struct srv *s, bool force)
{
	unsigned int i, k;

	for (i = 0; i < SRV_MAX_PATHS; i++) {
		struct path *p = &s->path[i];
		bool all = true;

		if (p->state != PATH_CLOSING)
			continue;
		for (k = 0; k < p->accepted; k++)
			all &= p->conn[k].down;
		if (!all && now_ms() >= p->close_by)
			rule(s, "the client does not hang up");
		if (all || force || now_ms() >= p->close_by)
			free_path(s, p);
	}
}

/* --- CONN_REQ ------------------------------------------------------------------- */

/*
 * With --grant there is one session at a time, and all chunks are its: so what it
 * asks for is what there is from then on.
 */
static void grant_depth(struct srv *s, const struct conn_req *req)
{
	if (s->cfg.grant && req->features & WIRE_FEAT_QUEUE_DEPTH &&
	    req->wanted_depth && req->wanted_depth < s->cfg.depth &&
	    s->cfg.wrong != WRONG_DEPTH)
		s->cfg.depth = req->wanted_depth;
}

/* What is accepted of what @req offers. */
static uint32_t accepted_features(const struct srv *s,
				  const struct conn_req *req)
{
	if (s->cfg.wrong == WRONG_CONN_RSP)
		return WIRE_FEAT_BOOT_ID;
	if (s->cfg.wrong == WRONG_DEPTH)
		return req->features & WIRE_FEAT_QUEUE_DEPTH;
	if (s->cfg.grant && req->wanted_depth >= s->cfg.depth)
		return req->features & WIRE_FEAT_QUEUE_DEPTH;
	return 0;
}

static void fill_rsp(const struct srv *s, uint8_t b[WIRE_CONN_LEN],
		     const struct conn_req *req, int err)
{
	struct conn_rsp rsp = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.err = -err,
		.queue_depth = s->cfg.depth,
		.max_io_size = s->cfg.chunk_size - 4096,
		.max_hdr_size = 4096,
		.flags = s->cfg.invalidate ? WIRE_RSP_NEW_RKEY : 0,
	};

	if (req)
		rsp.features = accepted_features(s, req);
	conn_rsp_encode(b, &rsp);
}

static void reject(struct srv *s, struct rdma_cm_id *id, int err)
{
	uint8_t b[WIRE_CONN_LEN];

	fill_rsp(s, b, NULL, err);
	rdma_reject(id, b, sizeof(b));
	rdma_destroy_id(id);
}

static void refuse(struct srv *s, struct rdma_cm_id *id, int err,
		   const char *why)
{
	rule(s, "CONN_REQ refused: %s", why);
	reject(s, id, err);
}

/* As one of ours that is still taking down an old path. */
static bool is_busy(struct srv *s, struct rdma_cm_id *id)
{
	if (!s->cfg.busy)
		return false;
	s->cfg.busy--;
	printf("# busy\n");
	reject(s, id, EBUSY);
	return true;
}

/* What a sender of CONN_REQ has to keep, and a receiver does not look at. */
static void check_conn_req(const struct srv *s, const struct cm_event *ev,
			   const struct conn_req *r)
{
	const struct rdma_conn_param *cp = &ev->param;

	if (ev->data_len != WIRE_CONN_LEN &&
	    rdma_get_peer_addr(ev->id)->sa_family != AF_IB)
		rule(s, "CONN_REQ of %u bytes", ev->data_len);
	if (!conn_req_reserved_zero(ev->data) || r->first_conn > 1)
		rule(s, "CONN_REQ: reserved bytes are not 0");
	if (r->version != WIRE_VERSION)
		rule(s, "CONN_REQ: version %#x", r->version);
	if (r->cid_num < 2)
		rule(s, "CONN_REQ: cid_num %u", r->cid_num);
	if (!r->recon_cnt)
		rule(s, "CONN_REQ: recon_cnt 0");
	if (r->features & ~WIRE_FEAT_ALL)
		rule(s, "CONN_REQ: features %#x", r->features);
	if (r->wanted_depth && !(r->features & WIRE_FEAT_QUEUE_DEPTH))
		rule(s, "CONN_REQ: wanted_depth %u without QUEUE_DEPTH",
		     r->wanted_depth);
	if (all_zero(r->sess_uuid, WIRE_UUID_LEN) ||
	    all_zero(r->paths_uuid, WIRE_UUID_LEN) ||
	    !memcmp(r->sess_uuid, r->paths_uuid, WIRE_UUID_LEN))
		rule(s, "CONN_REQ: uuids are not random");
	if (cp->retry_count != WIRE_CM_RETRIES ||
	    cp->rnr_retry_count != WIRE_CM_RETRIES)
		rule(s, "rdma_connect: retry_count %u, rnr_retry_count %u",
		     cp->retry_count, cp->rnr_retry_count);
	if (cp->responder_resources || cp->initiator_depth ||
	    cp->flow_control || cp->srq)
		rule(s, "rdma_connect: resources %u, depth %u, flow %u, srq %u",
		     cp->responder_resources, cp->initiator_depth,
		     cp->flow_control, cp->srq);
}

/* One path says the same on all its connections, which come in order. */
static void check_same_path(const struct srv *s, const struct path *p,
			    const struct conn_req *r)
{
	const struct conn_req *first = &p->ident;

	if (r->cid != p->accepted)
		rule(s, "CONN_REQ: cid %u, %u would be next", r->cid,
		     p->accepted);
	if (p->accepted && !p->conn[p->accepted - 1].up)
		note("cid %u before cid %u is established", r->cid,
		     p->accepted - 1);
	if (r->recon_cnt != first->recon_cnt ||
	    r->first_conn != first->first_conn ||
	    r->features != first->features ||
	    r->wanted_depth != first->wanted_depth ||
	    r->version != first->version)
		rule(s, "CONN_REQ: cid %u says other things than cid 0",
		     r->cid);
}

/* On a slow machine a client may give up before we come to accept it. */
static void lost_conn(struct srv *s, struct path *p, struct conn *c,
		      const char *what)
{
	note("cid %u: %s: %s; has the client given up?", c->cid, what,
	     strerror(errno));
	c->down = true;
	path_close(s, p);
}

static void accept_conn(struct srv *s, struct path *p, struct rdma_cm_id *id)
{
	struct conn *c = &p->conn[p->accepted];
	unsigned int recvs = p->accepted ? s->cfg.depth : CID0_RECVS;
	unsigned int len = WIRE_CONN_LEN;
	uint8_t b[ACCEPT_ROOM] = { 0 };
	struct rdma_conn_param param = {
		.private_data = b,
		.rnr_retry_count = WIRE_CM_RETRIES,
	};

	memset(c, 0, sizeof(*c));
	c->cid = p->accepted;
	c->id = id;
	c->owner = p;
	p->accepted++;
	if (conn_create_qp(c, s->pd, s->comp, 4 * s->cfg.depth + 64,
			   recvs + 1))
		return lost_conn(s, p, c, "queue pair");
	if (!c->cid) {
		conn_rx_alloc(c, s->pd, WIRE_INFO_REQ_LEN, 1);
		conn_post_recv(c, WR_RX_INFO, 0);
	}
	fill_rsp(s, b, &p->ident, 0);
	if (s->hooks && s->hooks->accept && !s->hooks->accept(s, p, c, b, &len))
		return;
	param.private_data_len = len;
	if (rdma_accept(id, &param))
		lost_conn(s, p, c, "accept");
}

static void setup_device(struct srv *s, struct ibv_context *ctx)
{
	if (s->pd)
		return;
	s->pd = ibv_alloc_pd(ctx);
	if (!s->pd)
		die("no protection domain: %s", strerror(errno));
	s->comp = comp_channel(ctx);
	disks_register(s);
}

static void handle_connect(struct srv *s, const struct cm_event *ev)
{
	struct session *sess;
	struct conn_req req;
	struct path *p;

	conn_req_decode(&req, ev->data);
	if (s->hooks && s->hooks->connect && s->hooks->connect(s, ev, &req))
		return;
	check_conn_req(s, ev, &req);
	if (ev->data_len < WIRE_CONN_LEN || req.magic != WIRE_MAGIC ||
	    req.version >> 8 != WIRE_VERSION >> 8 || req.cid_num > 4096 ||
	    req.cid >= req.cid_num)
		return refuse(s, ev->id, ECONNRESET, "malformed");
	if (req.cid_num > SRV_MAX_CIDS)
		return refuse(s, ev->id, ENOMEM, "too many connections for us");
	if (is_busy(s, ev->id))
		return;
	sess = find_session(s, req.paths_uuid);
	if (!sess && !req.first_conn)
		return refuse(s, ev->id, ENXIO, "unknown session");

	p = find_path(s, req.sess_uuid);
	if (p && (p->state != PATH_CONNECTING || p->sess != sess ||
		  p->ident.cid_num != req.cid_num || req.cid < p->accepted))
		return refuse(s, ev->id, ECONNRESET, "path or cid is taken");
	if (!p && sess && addresses_taken(s, sess, ev->id))
		return refuse(s, ev->id, EEXIST, "addresses are taken");

	setup_device(s, ev->id->verbs);
	if (!sess) {
		grant_depth(s, &req);
		sess = new_session(s, req.paths_uuid);
	}
	if (sess && !p)
		p = new_path(s, sess, &req, ev->id);
	if (!p)
		return refuse(s, ev->id, ENOMEM, "too many sessions or paths");
	check_same_path(s, p, &req);
	if (req.cid != p->accepted)
		return refuse(s, ev->id, ECONNRESET, "cids out of order");
	accept_conn(s, p, ev->id);
}

/* --- INFO_REQ --------------------------------------------------------------------- */

static bool name_is_good(struct srv *s, const struct path *p, const char *name)
{
	size_t len = strnlen(name, WIRE_INFO_NAME_LEN);
	unsigned int i;

	if (!len || len == WIRE_INFO_NAME_LEN)
		return false;
	if (strchr(name, '/') || strchr(name, '.'))
		return false;
	for (i = 0; i < SRV_MAX_SESSIONS; i++) {
		const struct session *other = &s->session[i];

		if (other->used && other != p->sess &&
		    !strcmp(other->name, name))
			return false;
	}
	return !p->sess->name[0] || !strcmp(p->sess->name, name);
}

static void post_all_recvs(struct srv *s, struct path *p)
{
	unsigned int cid, i, n;

	for (cid = 0; cid < p->accepted; cid++) {
		n = cid ? s->cfg.depth : CID0_RECVS;
		for (i = 0; i < n; i++)
			if (conn_post_recv(&p->conn[cid], WR_RX_EMPTY, i))
				die("cannot post %u receives", n);
	}
}

static void send_info_rsp(struct srv *s, struct path *p)
{
	unsigned int i, descs = s->cfg.invalidate ? s->cfg.depth : 1;
	struct conn *c = &p->conn[0];
	struct ibv_sge sge = { .length = WIRE_INFO_RSP_LEN(descs) };
	struct ibv_send_wr wr = {
		.wr_id = wr_id(WR_TX, 0),
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
	};
	struct desc d;
	uint8_t *b;

	/* The receive buffer of cid 0 has done its work: it becomes ours. */
	conn_rx_alloc(c, s->pd, sge.length + INFO_RSP_ROOM, 1);
	b = c->rx;
	put16(b, RTRS_INFO_RSP);
	put16(b + 2, descs);
	for (i = 0; i < descs; i++) {
		d.addr = (uintptr_t)p->key[i]->addr;
		d.key = p->key[i]->rkey;
		d.len = p->key[i]->length;
		if (s->cfg.wrong == WRONG_INFO_RSP && i == descs - 1)
			d.len -= s->cfg.chunk_size;
		desc_encode(b + 8 + i * WIRE_DESC_LEN, &d);
	}
	sge.addr = (uintptr_t)b;
	sge.lkey = c->rx_mr->lkey;
	if (s->hooks && s->hooks->info_rsp && !s->hooks->info_rsp(s, p, &sge))
		return;
	if (conn_post(c, &wr))
		die("cannot send INFO_RSP");
}

static void handle_info_req(struct srv *s, struct path *p,
			    const struct ibv_wc *wc)
{
	const uint8_t *b = p->conn[0].rx;
	const char *name = (const char *)b + WIRE_INFO_NAME_OFF;
	size_t len = strnlen(name, WIRE_INFO_NAME_LEN);

	if (wc->opcode != IBV_WC_RECV || wc->wc_flags & IBV_WC_WITH_IMM ||
	    wc_has_inv(wc) || wc->byte_len != WIRE_INFO_REQ_LEN ||
	    get16(b) != RTRS_INFO_REQ) {
		rule(s, "%u bytes that are not INFO_REQ before INFO_REQ",
		     wc->byte_len);
		return path_close(s, p);
	}
	if (!all_zero(b + WIRE_INFO_NAME_OFF + len, WIRE_INFO_REQ_LEN -
		      WIRE_INFO_NAME_OFF - len))
		rule(s, "INFO_REQ: bytes behind the name are not 0");
	if (p->accepted != p->ident.cid_num) {
		rule(s, "INFO_REQ with %u of %u connections", p->accepted,
		     p->ident.cid_num);
		return path_close(s, p);
	}
	post_all_recvs(s, p);
	if (!name_is_good(s, p, name)) {
		rule(s, "INFO_REQ with name '%.*s'", (int)len, name);
		return path_close(s, p);
	}
	snprintf(p->sess->name, SRV_NAME_LEN, "%s", name);
	if (path_register_chunks(s, p))
		die("cannot register chunks: %s", strerror(errno));
	p->state = PATH_UP;
	p->hb_next = now_ms() + HB_INTERVAL;
	p->hb_last_msg = now_ms();
	send_info_rsp(s, p);
	if (s->hooks)
		return;
	note("session %s: %u connections, features offered %#x, recon_cnt %u",
	     p->sess->name, p->accepted, p->ident.features,
	     p->ident.recon_cnt);
}

/* --- heartbeats --------------------------------------------------------------------- */

/*
 * When we did not run for a while, messages of different times are found at
 * once, and nothing can be said about when the client sent them.
 */
static bool timing_is_known(const struct srv *s, uint64_t now)
{
	return !s->last_stall || now - s->last_stall > 2 * HB_INTERVAL;
}

static void note_round(struct srv *s)
{
	uint64_t now = now_ms();

	if (s->last_round && now - s->last_round > STALL)
		s->last_stall = now;
	s->last_round = now;
}

static void handle_hb(struct srv *s, struct path *p, struct conn *c,
		      uint32_t imm, uint32_t byte_len)
{
	uint64_t now = now_ms();

	if (c->cid || byte_len || imm & IMM_PAYLOAD_MASK)
		rule(s, "heartbeat %#x of %u bytes on cid %u", imm, byte_len,
		     c->cid);
	if (imm_type(imm) == IMM_HB_ACK) {
		if (!p->hb_unacked)
			rule(s, "HB_ACK of nothing");
		p->hb_unacked = 0;
		return;
	}
	if (!s->cfg.any_hb && timing_is_known(s, now) &&
	    now - p->hb_last_msg < HB_INTERVAL - 1500)
		rule(s, "HB_MSG only %llu ms after the last or the start",
		     (unsigned long long)(now - p->hb_last_msg));
	p->hb_last_msg = now;
	if (s->silent)
		return;
	if (s->cfg.wrong == WRONG_CID)
		c = &p->conn[1];
	conn_post_imm(c, imm_make(IMM_HB_ACK, 0));
}

static void hb_tick(struct srv *s, struct path *p)
{
	uint64_t now = now_ms();

	if (p->state != PATH_UP || now < p->hb_next || s->silent)
		return;
	p->hb_next = now + HB_INTERVAL;
	if (timing_is_known(s, now) &&
	    now - p->hb_last_msg > 2 * HB_INTERVAL)
		rule(s, "no HB_MSG for %llu ms",
		     (unsigned long long)(now - p->hb_last_msg));
	if (timing_is_known(s, now) && p->hb_unacked)
		rule(s, "HB_MSG was not answered for 5 s");
	if (p->hb_missed > HB_MISSED_MAX) {
		rule(s, "the client is silent");
		return path_close(s, p);
	}
	if (!p->hb_missed) {
		conn_post_imm(&p->conn[0], imm_make(IMM_HB_MSG, 0));
		p->hb_unacked = 1;
	}
	p->hb_missed++;
}

/* --- events --------------------------------------------------------------------------- */

static void handle_recv(struct srv *s, struct path *p, struct conn *c,
			const struct ibv_wc *wc)
{
	uint32_t imm = wc_imm(wc);

	p->hb_missed = 0;
	if (s->hooks && s->hooks->recv && s->hooks->recv(s, p, c, wc))
		return;
	if (wr_kind(wc->wr_id) == WR_RX_INFO)
		return handle_info_req(s, p, wc);
	if (wc->opcode != IBV_WC_RECV_RDMA_WITH_IMM) {
		/* Mainline does not repost this receive. */
		rule(s, "a SEND of %u bytes on cid %u", wc->byte_len, c->cid);
		return;
	}
	conn_post_recv(c, WR_RX_EMPTY, 0);
	switch (imm_type(imm)) {
	case IMM_HB_MSG:
	case IMM_HB_ACK:
		return handle_hb(s, p, c, imm, wc->byte_len);
	case IMM_IO_REQ:
		return srv_request(s, p, c, imm, wc->byte_len);
	default:
		rule(s, "immediate %#x on cid %u", imm, c->cid);
	}
}

static void handle_wc(struct srv *s, struct path *p, struct conn *c,
		      const struct ibv_wc *wc)
{
	if (wr_kind(wc->wr_id) >= WR_TX)
		c->sends--;
	if (wc->status == IBV_WC_SUCCESS) {
		if (wr_kind(wc->wr_id) < WR_TX && p->state != PATH_CLOSING)
			handle_recv(s, p, c, wc);
		return;
	}
	if (wc->status != IBV_WC_WR_FLUSH_ERR && p->state != PATH_CLOSING)
		rule(s, "cid %u: %s: %s", c->cid,
		     wr_kind(wc->wr_id) < WR_TX ? "receive" : "send",
		     ibv_wc_status_str(wc->status));
	if (wc->status != IBV_WC_WR_FLUSH_ERR)
		path_close(s, p);
}

static bool drain_cqs(struct srv *s)
{
	unsigned int i, k;
	bool any = false;
	struct ibv_wc wc;

	for (i = 0; i < SRV_MAX_PATHS; i++) {
		struct path *p = &s->path[i];

		for (k = 0; p->state != PATH_FREE && k < p->accepted; k++) {
			while (p->conn[k].cq &&
			       ibv_poll_cq(p->conn[k].cq, 1, &wc) > 0) {
				any = true;
				handle_wc(s, p, &p->conn[k], &wc);
			}
		}
	}
	srv_release_held(s);
	return any;
}

static void arm_cqs(struct srv *s)
{
	unsigned int i, k;

	for (i = 0; i < SRV_MAX_PATHS; i++)
		for (k = 0; s->path[i].state != PATH_FREE &&
		     k < s->path[i].accepted; k++)
			if (s->path[i].conn[k].cq)
				conn_arm(&s->path[i].conn[k]);
}

static void handle_cm(struct srv *s, const struct cm_event *ev)
{
	struct conn *c;
	struct path *p;

	if (ev->type == RDMA_CM_EVENT_CONNECT_REQUEST)
		return handle_connect(s, ev);
	p = path_of_id(s, ev->id, &c);
	if (!p)
		return;
	switch (ev->type) {
	case RDMA_CM_EVENT_ESTABLISHED:
		c->up = true;
		/*
		 * INFO_REQ can overtake this.  A connection that is not
		 * established cannot be disconnected: if that was tried, the
		 * client has not heard of it.
		 */
		if (p->state == PATH_CLOSING)
			rdma_disconnect(c->id);
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
		c->down = true;
		if (p->state != PATH_CLOSING) {
			p->by_client = true;
			/* Whatever it sent before it hung up. */
			drain_cqs(s);
		}
		path_close(s, p);
		break;
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_UNREACHABLE:
	case RDMA_CM_EVENT_REJECTED:
		rule(s, "cid %u: %s", c->cid, rdma_event_str(ev->type));
		c->down = true;
		path_close(s, p);
		break;
	default:
		rule(s, "cid %u: CM event %s", c->cid,
		     rdma_event_str(ev->type));
	}
}

static void srv_listen(struct srv *s)
{
	struct addrinfo hints = {
		.ai_flags = AI_PASSIVE,
		.ai_family = s->cfg.addr ? AF_UNSPEC : AF_INET6,
		.ai_socktype = SOCK_STREAM,
	}, *ai;
	int ret = getaddrinfo(s->cfg.addr, s->cfg.port, &hints, &ai);

	if (ret)
		die("address: %s", gai_strerror(ret));
	s->cm = cm_channel();
	if (rdma_create_id(s->cm, &s->listener, NULL, RDMA_PS_TCP) ||
	    rdma_bind_addr(s->listener, ai->ai_addr) ||
	    rdma_listen(s->listener, 64))
		die("cannot listen on port %s: %s", s->cfg.port,
		    strerror(errno));
	freeaddrinfo(ai);
	note("listening on port %s", s->cfg.port);
}

bool srv_any_path(const struct srv *s)
{
	unsigned int i;

	for (i = 0; i < SRV_MAX_PATHS; i++)
		if (s->path[i].state != PATH_FREE)
			return true;
	return false;
}

static bool finished(const struct srv *s)
{
	return s->stop || (s->cfg.sessions && !srv_any_path(s) &&
			   s->sessions_done >= s->cfg.sessions);
}

static void close_everything(struct srv *s)
{
	unsigned int i;

	for (i = 0; i < SRV_MAX_PATHS; i++)
		if (s->path[i].state != PATH_FREE)
			path_close(s, &s->path[i]);
	reap_paths(s, true);
	disks_finish(s);
	rdma_destroy_id(s->listener);
}

void srv_run(struct srv *s)
{
	struct cm_event ev;
	unsigned int i;
	bool busy;

	disks_init(s);
	srv_listen(s);
	while (!finished(s)) {
		note_round(s);
		busy = drain_cqs(s);
		while (!cm_event_get(s->cm, &ev)) {
			handle_cm(s, &ev);
			busy = true;
		}
		for (i = 0; i < SRV_MAX_PATHS; i++)
			hb_tick(s, &s->path[i]);
		reap_paths(s, false);
		if (s->hooks && s->hooks->tick)
			s->hooks->tick(s);
		if (busy)
			continue;
		arm_cqs(s);
		if (!drain_cqs(s))
			rdma_wait(s->cm, s->comp, now_ms() + 100);
	}
	close_everything(s);
}
