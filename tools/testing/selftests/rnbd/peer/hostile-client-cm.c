// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a hostile client can do with connections: requests of every wrong kind, and
 * paths that never come up
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostile-client.h"

/* --- CONN_REQ -------------------------------------------------------------- */

/* Offsets in CONN_REQ. */
#define Q_MAGIC		2
#define Q_VERSION	4
#define Q_CID		6
#define Q_CID_NUM	8
#define Q_RECON		10
#define Q_SESS_UUID	12
#define Q_PATHS_UUID	28
#define Q_FIRST		44
#define Q_FEATURES	48
#define Q_DEPTH		52

struct conn_case {
	struct hcase h;
	struct patch p[MAX_PATCHES];
	int want;			/* errno of the refusal, 0: accepted */
	unsigned int len;		/* 0: all 56 bytes */
};

static const struct conn_case conn_cases[] = {
	{ { "magic 0", 0 }, { B(Q_MAGIC, 2, 0) }, ECONNRESET },
	{ { "magic with its bytes swapped", 0 }, { B(Q_MAGIC, 2, 0xbd1b) },
	  ECONNRESET },
	{ { "version 0.0", 0 }, { B(Q_VERSION, 2, 0) }, ECONNRESET },
	{ { "version 1.0", 0 }, { B(Q_VERSION, 2, 0x0100) }, ECONNRESET },
	{ { "version 3.0", 0 }, { B(Q_VERSION, 2, 0x0300) }, ECONNRESET },
	{ { "version 255.255", 0 }, { B(Q_VERSION, 2, 0xffff) }, ECONNRESET },
	{ { "version 2.255", 0 }, { B(Q_VERSION, 2, 0x02ff) } },
	{ { "cid_num 0", 0 }, { B(Q_CID_NUM, 2, 0) }, ECONNRESET },
	{ { "cid_num 1", 0 }, { B(Q_CID_NUM, 2, 1) }, ECONNRESET },
	{ { "cid_num 4096", 0 }, { B(Q_CID_NUM, 2, 4096) } },
	{ { "cid_num 4097", 0 }, { B(Q_CID_NUM, 2, 4097) }, ECONNRESET },
	{ { "cid_num 65535", 0 }, { B(Q_CID_NUM, 2, 65535) }, ECONNRESET },
	{ { "cid just out of range", 0 }, { B(Q_CID, 2, 2) }, ECONNRESET },
	{ { "cid 65535", 0 }, { B(Q_CID, 2, 65535) }, ECONNRESET },
	{ { "cid 1 first", 0 }, { B(Q_CID, 2, 1) }, ECONNRESET },
	{ { "cid 4095 of 4096 first", 0 },
	  { B(Q_CID, 2, 4095), B(Q_CID_NUM, 2, 4096) }, ECONNRESET },
	{ { "not the first of an unknown session", 0 }, { B(Q_FIRST, 1, 0) },
	  ENXIO },
	{ { "first_conn without bit 0", 0 }, { B(Q_FIRST, 1, 0xfe) }, ENXIO },
	{ { "first_conn with all bits", 0 }, { B(Q_FIRST, 1, 0xff) } },
	{ { "recon_cnt 0", 0 }, { B(Q_RECON, 2, 0) } },
	{ { "recon_cnt 65535", 0 }, { B(Q_RECON, 2, 65535) } },
	{ { "unknown features", 0 }, { B(Q_FEATURES, 4, 0xfffffff0) } },
	{ { "all features, queue depth 0", 0 },
	  { B(Q_FEATURES, 4, 0xffffffff), B(Q_DEPTH, 2, 0) } },
	{ { "all features, queue depth 65535", 0 },
	  { B(Q_FEATURES, 4, 0xffffffff), B(Q_DEPTH, 2, 65535) } },
	{ { "reserved bytes set", 0 },
	  { B(Q_FIRST + 1, 3, 0xffffff), B(Q_DEPTH + 2, 2, 0xffff) } },
	{ { "uuids of zeroes", 0 },
	  { B(Q_SESS_UUID, 8, 0), B(Q_SESS_UUID + 8, 8, 0),
	    B(Q_PATHS_UUID, 8, 0), B(Q_PATHS_UUID + 8, 8, 0) } },
	{ { "all zeroes", 0 }, { B(0, 0, 0) }, ECONNRESET },
	{ { "all ones", 0 }, { B(2, 0, 0xff) }, ECONNRESET },
	{ { "no private data", 0 }, { { 0 } }, ECONNRESET, ~0u },
	{ { "1 byte", 0 }, { { 0 } }, ECONNRESET, 1 },
	{ { "ends before cid_num", 0 }, { { 0 } }, ECONNRESET, Q_CID_NUM },
	{ { "ends before the uuids", 0 }, { { 0 } }, ENXIO, Q_SESS_UUID },
	{ { "ends before first_conn", 0 }, { { 0 } }, ENXIO, Q_FIRST },
	{ { "ends before the features", 0 }, { { 0 } }, 0, Q_FEATURES },
};

static void judge_conn(const struct conn_result *res, int want, int or)
{
	if (!want && res->err)
		bad("refused: %d", res->err);
	else if (want && (!res->rejected || res->status != WIRE_REJECT_REASON))
		bad("%s, CM status %d, error %d",
		    res->rejected ? "rejected" : "not rejected", res->status,
		    res->err);
	else if (want && res->rsp.err != -want && (!or || res->rsp.err != -or))
		bad("refused with %d, expected %d", res->rsp.err, -want);
}

/* Sends these bytes as the CONN_REQ of the connection in slot @slot. */
static struct conn_result conn_bytes(struct foe *f, unsigned int slot,
				     const uint8_t *b, unsigned int len)
{
	struct conn_req q;

	/* The check of the answer looks at what was offered. */
	conn_req_decode(&q, b);
	f->c.ident.features = len > Q_FEATURES ? q.features : 0;
	f->c.ident.wanted_depth = len > Q_DEPTH ? q.wanted_depth : 0;
	return clt_conn_open(&f->c, slot, b, len);
}

static void run_conn(const void *elem)
{
	const struct conn_case *c = elem;
	uint8_t b[WIRE_CONN_LEN];
	struct conn_result res;
	struct foe f;

	foe_init(&f, NULL);
	conn_req_encode(b, &f.c.ident);
	patch_apply(c->p, P_BYTES, b, sizeof(b));
	res = conn_bytes(&f, 0, b, c->len == ~0u ? 0 : c->len ?: sizeof(b));
	judge_conn(&res, c->want, 0);
	foe_free(&f);
}

/* Random bytes, with a magic and a version that let them in, or without. */
static void random_requests(bool let_in)
{
	uint8_t b[WIRE_CONN_LEN];
	struct conn_result res;
	struct foe f;
	int i;

	for (i = 0; i < 20; i++) {
		foe_init(&f, NULL);
		random_bytes(b, sizeof(b));
		if (let_in) {
			put16(b + Q_MAGIC, WIRE_MAGIC);
			put16(b + Q_VERSION, WIRE_VERSION);
			put16(b + Q_CID_NUM, get16(b + Q_CID_NUM) % 4097);
			put16(b + Q_CID, 0);
		}
		res = conn_bytes(&f, 0, b, sizeof(b));
		if (!let_in)
			judge_conn(&res, ECONNRESET, 0);
		else if (res.err == -ETIMEDOUT)
			bad("no answer");
		foe_free(&f);
	}
}

static void t_random(void)
{
	random_requests(false);
}

static void t_random_let_in(void)
{
	random_requests(true);
}

static void t_refused_flood(void)
{
	uint8_t b[WIRE_CONN_LEN];
	struct conn_result res;
	struct foe f;
	int i;

	for (i = 0; i < 100; i++) {
		honest_poll();
		foe_init(&f, NULL);
		conn_req_encode(b, &f.c.ident);
		put16(b + Q_MAGIC, i);
		res = conn_bytes(&f, 0, b, sizeof(b));
		judge_conn(&res, ECONNRESET, 0);
		foe_free(&f);
	}
}

static const struct run_case conn_runs[] = {
	{ { "random bytes", 0 }, t_random },
	{ { "random bytes behind a right beginning", 0 }, t_random_let_in },
	{ { "a hundred refused", 0 }, t_refused_flood },
};

/* --- CONN_REQs for a path that there is, or was ----------------------------- */

enum join_state {
	J_HALF,			/* cid 0 is accepted, nothing else */
	J_UP,
	J_GONE,			/* it was up a moment ago */
};

struct join_case {
	struct hcase h;
	enum join_state state;
	unsigned int cid;
	struct patch p[MAX_PATCHES];
	bool other_sess, other_paths;	/* uuids of our own */
	int want, or;
	bool ends;			/* the path that there is */
};

static const struct join_case join_cases[] = {
	{ .h = { "cid 0 twice", 0 }, J_HALF, 0, .want = ECONNRESET },
	{ .h = { "another cid_num", 0 }, J_HALF, 1, { B(Q_CID_NUM, 2, 3) },
	  .want = ECONNRESET },
	{ .h = { "cid out of range of the path", 0 }, J_HALF, 2,
	  { B(Q_CID_NUM, 2, 3) }, .want = ECONNRESET },
	{ .h = { "cid 1 of another attempt", 0 }, J_HALF, 1,
	  { B(Q_RECON, 2, 7) }, .want = ECONNRESET },
	{ .h = { "cid 0 of another attempt", 0 }, J_HALF, 0,
	  { B(Q_RECON, 2, 7) }, .want = EBUSY, .ends = true },
	{ .h = { "a second path with the same addresses, half up", 0 }, J_HALF, 0,
	  { { 0 } }, .other_sess = true, .want = EEXIST },
	{ .h = { "cid 0 of a path that is up", 0 }, J_UP, 0,
	  .want = ECONNRESET },
	{ .h = { "cid 1 of a path that is up", 0 }, J_UP, 1,
	  .want = ECONNRESET },
	{ .h = { "one cid more for a path that is up", 0 }, J_UP, 2,
	  { B(Q_CID_NUM, 2, 3) }, .want = ECONNRESET },
	{ .h = { "cid 1 of another attempt of a path that is up", 0 }, J_UP, 1,
	  { B(Q_RECON, 2, 7) }, .want = ECONNRESET },
	{ .h = { "cid 0 of another attempt of a path that is up", 0 }, J_UP, 0,
	  { B(Q_RECON, 2, 7) }, .want = EBUSY, .ends = true },
	{ .h = { "a second path with the same addresses", 0 }, J_UP, 0,
	  { { 0 } }, .other_sess = true, .want = EEXIST },
	{ .h = { "the same, and first_conn 0", 0 }, J_UP, 0,
	  { B(Q_FIRST, 1, 0) }, .other_sess = true, .want = EEXIST },
	{ .h = { "cid 1 of a new path of a session that is up", 0 }, J_UP, 1,
	  { { 0 } }, .other_sess = true, .want = ECONNRESET },
	{ .h = { "a path's uuid in another session", 0 }, J_UP, 0, { { 0 } },
	  .other_paths = true, .want = 0 },
	{ .h = { "cid 1 of a path that was closed", 0 }, J_GONE, 1,
	  .want = ECONNRESET, .or = EBUSY },
	{ .h = { "a path of a session that was closed", 0 }, J_GONE, 0,
	  { B(Q_FIRST, 1, 0) }, .want = ENXIO, .or = EBUSY },
};

static bool join_prepare(struct foe *f, enum join_state state)
{
	if (state != J_HALF)
		return foe_start(f);
	foe_init(f, NULL);
	return foe_conn(f, 0);
}

/* A path that was half up comes up all the same. */
static void join_finish(struct foe *f, const struct join_case *c)
{
	if (c->ends) {
		foe_must_end(f, "the path there was");
		return;
	}
	if (c->state == J_HALF) {
		if (!foe_conn(f, 1))
			return;
		if (clt_info(&f->c)) {
			bad("the path there was does not come up");
			return;
		}
	}
	foe_must_live(f, 1, "the path there was");
}

static void join_ident(uint8_t *b, const struct conn_req *of,
		       const struct join_case *c)
{
	struct conn_req q = *of;

	q.cid = c->cid;
	if (c->other_sess)
		random_bytes(q.sess_uuid, WIRE_UUID_LEN);
	if (c->other_paths)
		random_bytes(q.paths_uuid, WIRE_UUID_LEN);
	conn_req_encode(b, &q);
	patch_apply(c->p, P_BYTES, b, WIRE_CONN_LEN);
}

static void run_join(const void *elem)
{
	const struct join_case *c = elem;
	uint8_t b[WIRE_CONN_LEN];
	struct conn_result res;
	struct foe f, g;

	foe_init(&g, NULL);
	if (join_prepare(&f, c->state)) {
		join_ident(b, &f.c.ident, c);
		if (c->state == J_GONE)
			foe_end(&f);
		res = conn_bytes(&g, 0, b, sizeof(b));
		judge_conn(&res, c->want, c->or);
		if (c->state != J_GONE)
			join_finish(&f, c);
	}
	foe_free(&g);
	foe_free(&f);
}

/* --- connections that never become a path -------------------------------------- */

/*
 * Connections without a queue pair of ours: the server cannot tell.  Many at a
 * time, so they are set up side by side.
 */
#define MAX_HALF 500

struct half {
	struct rdma_event_channel *cm;
	struct rdma_cm_id *id[MAX_HALF];
	struct conn_req q[MAX_HALF];
	unsigned int n, accepted, refused;
	int err;			/* of the last refusal */
	bool establish;			/* tell the server that we are there */
};

static struct clt *half_addr(void)
{
	static struct clt c;

	if (!c.dst)
		clt_init(&c, &cfg.clt);
	return &c;
}

static void half_ident(struct conn_req *q, unsigned int cid_num)
{
	memset(q, 0, sizeof(*q));
	q->magic = WIRE_MAGIC;
	q->version = WIRE_VERSION;
	q->cid_num = cid_num;
	q->recon_cnt = 1;
	q->first_conn = 1;
	random_bytes(q->sess_uuid, WIRE_UUID_LEN);
	random_bytes(q->paths_uuid, WIRE_UUID_LEN);
}

static void half_connect(struct half *h, unsigned int i)
{
	uint8_t b[WIRE_CONN_LEN];
	struct rdma_conn_param param = {
		.private_data = b,
		.private_data_len = sizeof(b),
		.retry_count = WIRE_CM_RETRIES,
		.rnr_retry_count = WIRE_CM_RETRIES,
		.qp_num = 0x1000 + i,
	};

	conn_req_encode(b, &h->q[i]);
	if (rdma_connect(h->id[i], &param))
		die("rdma_connect: %s", strerror(errno));
}

static void half_refused(struct half *h, const struct cm_event *ev)
{
	struct conn_rsp rsp;

	h->refused++;
	if (ev->status != WIRE_REJECT_REASON) {
		bad("rejected, CM status %d", ev->status);
		return;
	}
	conn_rsp_decode(&rsp, ev->data);
	h->err = -rsp.err;
}

static void half_event(struct half *h, const struct cm_event *ev)
{
	unsigned int i = (uintptr_t)ev->id->context;

	switch (ev->type) {
	case RDMA_CM_EVENT_ADDR_RESOLVED:
		if (rdma_resolve_route(ev->id, cfg.clt.timeout_ms))
			die("rdma_resolve_route: %s", strerror(errno));
		break;
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
		half_connect(h, i);
		break;
	case RDMA_CM_EVENT_CONNECT_RESPONSE:
		h->accepted++;
		if (h->establish && rdma_establish(ev->id))
			bad("cannot establish: %s", strerror(errno));
		break;
	case RDMA_CM_EVENT_REJECTED:
		half_refused(h, ev);
		break;
	case RDMA_CM_EVENT_UNREACHABLE:
		bad("connection %u: no answer", i);
		h->refused++;
		break;
	default:
		break;
	}
}

/* @h->q says what to ask for; from @from on. */
static void half_open_from(struct half *h, unsigned int from)
{
	uint64_t until = now_ms() + patient(30000);
	struct clt *addr = half_addr();
	struct cm_event ev;
	unsigned int i;

	if (!h->cm)
		h->cm = cm_channel();
	for (i = from; i < h->n; i++) {
		honest_poll();
		if (rdma_create_id(h->cm, &h->id[i], (void *)(uintptr_t)i,
				   RDMA_PS_TCP) ||
		    rdma_resolve_addr(h->id[i],
				      addr->src ? addr->src->ai_addr : NULL,
				      addr->dst->ai_addr, cfg.clt.timeout_ms))
			die("connection %u: %s", i, strerror(errno));
	}
	while (h->accepted + h->refused < h->n && now_ms() < until) {
		while (!cm_event_get(h->cm, &ev))
			half_event(h, &ev);
		honest_poll();
		rdma_wait(h->cm, NULL, until);
	}
	if (h->accepted + h->refused < h->n)
		bad("%u of %u connections were answered in 30 s",
		    h->accepted + h->refused, h->n);
}

static void half_close(struct half *h)
{
	unsigned int i;

	for (i = 0; i < h->n; i++) {
		rdma_destroy_id(h->id[i]);
		honest_poll();
	}
	rdma_destroy_event_channel(h->cm);
}

/* Is the session of this request gone? A path of it has to be refused so. */
static bool half_gone(const struct conn_req *of)
{
	uint8_t b[WIRE_CONN_LEN];
	struct conn_req q = *of;
	struct conn_result res;
	struct foe f;

	q.first_conn = 0;
	random_bytes(q.sess_uuid, WIRE_UUID_LEN);
	conn_req_encode(b, &q);
	foe_init(&f, NULL);
	res = conn_bytes(&f, 0, b, sizeof(b));
	foe_free(&f);
	return res.rsp.err == -ENXIO;
}

static void half_must_go(const struct half *h, unsigned int ms)
{
	static const unsigned int part[] = { 0, 1, 2 };
	uint64_t start = now_ms();
	unsigned int i, nr;

	for (i = 0; i < ARRAY_SIZE(part); i++) {
		nr = (h->n - 1) * part[i] / 2;
		while (!half_gone(&h->q[nr])) {
			honest_poll();
			if (now_ms() > start + ms) {
				bad("session %u is still there after %u ms", nr,
				    ms);
				return;
			}
		}
	}
	note("all gone after %llu ms", (unsigned long long)(now_ms() - start));
}

/*
 * What the server has to do about paths that do not come up: where its limit is
 * known, refuse what is above it.
 */
static void half_judge(const struct half *h, bool one_path)
{
	const struct limits *l = &cfg.limits;

	note("%u accepted, %u refused, errno %d", h->accepted, h->refused,
	     h->err);
	if (!h->accepted)
		bad("none accepted");
	if (!l->half_open || one_path)
		return;
	if (h->accepted > l->half_open)
		bad("%u accepted, the limit is %u", h->accepted, l->half_open);
	if (h->n > l->half_open && l->half_open_errno &&
	    h->err != l->half_open_errno)
		bad("refused with %d, expected %d", h->err, l->half_open_errno);
}

enum half_end { H_LEAVE, H_WAIT };

struct half_case {
	struct hcase h;
	unsigned int n;
	unsigned int cid_num;
	bool establish;
	bool one_path;			/* all of one path: cids 0 .. n-1 */
	enum half_end end;
};

static const struct half_case half_cases[] = {
	{ { "500 first connections never finished", 0 }, 500, 2, false, false,
	  H_LEAVE },
	{ { "100 first connections, established and silent", 0 }, 100, 2, true,
	  false, H_LEAVE },
	{ { "20 paths of 4096 connections, of which one comes", 0 }, 20, 4096,
	  true, false, H_LEAVE },
	{ { "30 of 64 connections of a path", 0 }, 30, 64, true, true, H_LEAVE },
	{ { "a path without INFO_REQ", 0 }, 2, 2, true, true, H_LEAVE },
	{ { "a path of 40 without INFO_REQ, never finished", 0 }, 40, 40, false,
	  true, H_LEAVE },
	{ { "50 connections never finished, and the server's patience",
	    CASE_LONG }, 50, 2, false, false, H_WAIT },
	{ { "50 silent ones, and the server's patience", CASE_LONG }, 50, 2,
	  true, false, H_WAIT },
	{ { "a path without INFO_REQ, and the server's patience", CASE_LONG },
	  8, 8, true, true, H_WAIT },
};

/*
 * Of one path each cid has to wait for the one before it. A slow kernel is asked for
 * as many in the same time.
 */
static void half_fill(struct half *h, const struct half_case *c)
{
	unsigned int i, n = c->one_path ? c->n : c->n / patient(1);

	h->establish = c->establish;
	for (i = 0; i < n; i++) {
		if (!i || !c->one_path)
			half_ident(&h->q[i], c->cid_num);
		else
			h->q[i] = h->q[0];
		h->q[i].cid = c->one_path ? i : 0;
	}
	if (c->one_path) {
		h->n = 1;
		half_open_from(h, 0);
	}
	i = h->n;
	h->n = n;
	half_open_from(h, i);
}

static void run_half(const void *elem)
{
	const struct half_case *c = elem;
	static struct half h;

	memset(&h, 0, sizeof(h));
	half_fill(&h, c);
	half_judge(&h, c->one_path);
	honest_check();
	if (c->end == H_WAIT)
		half_must_go(&h, patient(60000));
	half_close(&h);
	if (c->end == H_LEAVE)
		half_must_go(&h, patient(15000));
}

/* The CONN_REQ is on its way when the id goes. */
static void t_req_sent(void)
{
	static struct half h;
	struct cm_event ev;
	uint64_t until = now_ms() + cfg.clt.timeout_ms;
	bool sent = false;

	memset(&h, 0, sizeof(h));
	h.cm = cm_channel();
	h.n = 1;
	half_ident(&h.q[0], 2);
	if (rdma_create_id(h.cm, &h.id[0], NULL, RDMA_PS_TCP) ||
	    rdma_resolve_addr(h.id[0], half_addr()->src ?
			      half_addr()->src->ai_addr : NULL,
			      half_addr()->dst->ai_addr, cfg.clt.timeout_ms))
		die("no connection: %s", strerror(errno));
	while (!sent && now_ms() < until) {
		rdma_wait(h.cm, NULL, until);
		while (!sent && !cm_event_get(h.cm, &ev)) {
			half_event(&h, &ev);
			sent = ev.type == RDMA_CM_EVENT_ROUTE_RESOLVED;
		}
	}
	half_close(&h);
	half_must_go(&h, cfg.clt.timeout_ms);
}

static const struct run_case half_runs[] = {
	{ { "one that is gone right after CONN_REQ", 0 }, t_req_sent },
};

const struct group cm_groups[] = {
	{ "connect", conn_cases, sizeof(conn_cases[0]), ARRAY_SIZE(conn_cases),
	  run_conn },
	{ "connect", conn_runs, sizeof(conn_runs[0]), ARRAY_SIZE(conn_runs),
	  run_case },
	{ "join", join_cases, sizeof(join_cases[0]), ARRAY_SIZE(join_cases),
	  run_join },
	{ "half-open", half_cases, sizeof(half_cases[0]), ARRAY_SIZE(half_cases),
	  run_half },
	{ "half-open", half_runs, sizeof(half_runs[0]), ARRAY_SIZE(half_runs),
	  run_case },
};

const unsigned int n_cm_groups = ARRAY_SIZE(cm_groups);
