// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz-client: the kernel's server and a client whose messages are spoiled at random
 *
 * One path after another: connections, INFO_REQ, and then requests as a client
 * makes them, some of them spoiled: private data, messages, immediates, where they
 * are written to and with which key, on which connection, twice, or written over
 * by something else while the server works on them.  The server may refuse all of
 * that, with an errno or by ending the path; then comes the next one.  What it may
 * not do is to be gone, so now and then there is a path without a fault, and that
 * has to work.
 *
 * A new path takes longer than many requests. So most are gentle: what is spoiled there
 * is answered, and hundreds of requests follow each other. The others get everything.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "raw.h"
#include "report.h"
#include "wire.h"

#define MAX_CIDS	3u
#define MAX_DEPTH	4096u
#define RECVS		32u	/* on each connection */
#define SENDS		64u
#define DATA		8192u	/* of a request, at most */
#define SECTORS		4096u	/* of the disk, which may have more */
#define SOON		patient(10000)	/* ms that an honest step may take */
#define ANSWER		100	/* ms to wait for an answer that may not come */
#define FIRST_ID	0	/* of a device that a session opens */
#define ALL_WELL	20	/* each so many paths there is one without a fault */

/* Kinds of messages, for their generators. */
enum { KIND_PATH, KIND_CONN, KIND_INFO, KIND_REQUEST, KINDS };

struct chunk {
	uint64_t addr;
	uint32_t key;
	bool busy;
};

/* What is written into a chunk, and how. */
struct request {
	uint8_t *b;			/* data, user and RTRS message */
	unsigned int len;
	unsigned int chunk;
	unsigned int cid;
	uint32_t start;			/* of the chunk, where it goes */
	uint32_t off;			/* of the RTRS message */
	uint32_t imm;
	uint64_t addr;
	uint32_t key;
};

static struct fuzz_client {
	uint64_t seed;
	unsigned long count;
	const char *server, *source, *port, *device;

	unsigned int paths, nr[KINDS];	/* messages of the last one */
	unsigned long sent, spoiled, ended, refused, answered, failed;

	struct rdma_event_channel *cm;
	struct ibv_comp_channel *comp;
	struct ibv_pd *pd;
	struct raw raw;
	uint8_t *data;			/* where the server writes */
	struct ibv_mr *data_mr;

	/* the path there is */
	struct rng rng;
	unsigned int rate;		/* percent of messages to be spoiled */
	bool gentle;			/* none of them ends the path */
	struct conn conn[MAX_CIDS];
	unsigned int cids;
	struct conn_req req;
	struct conn_rsp rsp;
	struct chunk chunk[MAX_DEPTH];
	bool info, dead;
	struct request late;		/* to be sent after the next one */
	bool is_late;
} fc = {
	.count = 2000,
	.server = "10.9.1.2",
	.source = "10.9.1.1",
	.port = "1234",
	.device = "/dev/fuzz",
};

static const char usage[] =
"usage: fuzz-client [options]\n"
"  --seed N             for the same messages again (a new one)\n"
"  --count N            end after so many messages (2000)\n"
"  --server ADDR        where the server is (10.9.1.2)\n"
"  --source ADDR        and we are (10.9.1.1)\n"
"  --port N             the server's port (1234)\n"
"  --device PATH        what to open there (/dev/fuzz)\n"
"  --time S             give up after S seconds (3600)\n";

/*
 * Counts a message; true if it is to be spoiled, and with what. Few of those that set a
 * path up are, or there would hardly ever be one that requests are sent on.
 */
static bool next_message(struct rng *r, unsigned int kind)
{
	rng_start(r, fc.seed, kind, fc.paths, fc.nr[kind]++);
	fc.sent++;
	if (!rng_percent(r, kind == KIND_REQUEST ? fc.rate : fc.rate / 4))
		return false;
	if (fc.gentle && kind != KIND_REQUEST)
		return false;
	fc.spoiled++;
	return true;
}

/* --- what arrives ----------------------------------------------------------------- */

static void answered(const struct conn *c, const struct ibv_wc *wc)
{
	const uint8_t *b = c->rx + (uint32_t)wc->wr_id * c->rx_size;
	uint32_t imm = wc_imm(wc);
	unsigned int nr = imm_rsp_chunk(imm);
	struct chunk *chunk;

	if (nr >= fc.rsp.queue_depth)
		return bad("an answer for chunk %u of %u", nr,
			   fc.rsp.queue_depth);
	chunk = &fc.chunk[nr];
	chunk->busy = false;
	if (imm_type(imm) == IMM_IO_RSP_ROLL)
		chunk->key = (chunk->key & ~0xffu) | ((chunk->key + 1) & 0xff);
	else if (wc->opcode == IBV_WC_RECV && wc->byte_len == WIRE_RKEY_RSP_LEN)
		chunk->key = get32(b + 4);
	fc.answered++;
	fc.failed += !!imm_rsp_errno(imm);
}

static void received(struct conn *c, const struct ibv_wc *wc)
{
	if (wr_kind(wc->wr_id) == WR_RX_INFO) {
		fc.info = true;
		return;
	}
	if (wc->wc_flags & IBV_WC_WITH_IMM) {
		uint32_t imm = wc_imm(wc);

		if (imm_type(imm) == IMM_HB_MSG)
			conn_post_imm(c, imm_make(IMM_HB_ACK, 0));
		else if (imm_type(imm) < IMM_HB_MSG)
			answered(c, wc);
	}
	conn_post_recv(c, WR_RX_RKEY, wc->wr_id);
}

static void completed(struct conn *c, const struct ibv_wc *wc)
{
	if (wc->status != IBV_WC_SUCCESS)
		fc.dead = true;
	else if (wr_kind(wc->wr_id) < WR_TX)
		received(c, wc);
}

static void drain(void)
{
	struct ibv_wc wc;
	unsigned int i;

	for (i = 0; i < fc.cids; i++)
		while (fc.conn[i].cq && ibv_poll_cq(fc.conn[i].cq, 1, &wc) > 0)
			completed(&fc.conn[i], &wc);
}

static void arm(void)
{
	unsigned int i;

	for (i = 0; i < fc.cids; i++)
		if (fc.conn[i].cq)
			conn_arm(&fc.conn[i]);
}

static void cm_events(enum rdma_cm_event_type *last)
{
	struct cm_event ev;

	while (!cm_event_get(fc.cm, &ev)) {
		*last = ev.type;
		switch (ev.type) {
		case RDMA_CM_EVENT_ESTABLISHED:
			conn_rsp_decode(&fc.rsp, ev.data);
			break;
		case RDMA_CM_EVENT_ADDR_RESOLVED:
		case RDMA_CM_EVENT_ROUTE_RESOLVED:
			break;
		case RDMA_CM_EVENT_REJECTED:
			fc.refused++;
			fc.dead = true;
			break;
		default:
			fc.dead = true;
		}
	}
}

/* Until something has happened, or the path has ended, or it takes too long. */
static bool wait_until(bool (*happened)(void), unsigned int ms)
{
	enum rdma_cm_event_type ignored;
	uint64_t end = now_ms() + ms;

	for (;;) {
		cm_events(&ignored);
		drain();
		if (happened() || fc.dead || now_ms() >= end)
			return happened();
		arm();
		drain();
		if (!happened() && !fc.dead)
			rdma_wait(fc.cm, fc.comp, end);
	}
}

static bool wait_cm(enum rdma_cm_event_type want)
{
	enum rdma_cm_event_type last = (enum rdma_cm_event_type)-1;
	uint64_t end = now_ms() + SOON;

	while (now_ms() < end && !fc.dead) {
		cm_events(&last);
		if (last == want)
			return true;
		rdma_wait(fc.cm, NULL, end);
	}
	return false;
}

static bool info_arrived(void)
{
	return fc.info;
}

static bool all_answered(void)
{
	unsigned int i;

	for (i = 0; i < fc.rsp.queue_depth; i++)
		if (fc.chunk[i].busy)
			return false;
	return true;
}

static bool never(void)
{
	return false;
}

/* --- connections ----------------------------------------------------------------------- */

static struct addrinfo *resolve(const char *addr, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai;
	int ret = getaddrinfo(addr, port, &hints, &ai);

	if (ret)
		die("%s: %s", addr, gai_strerror(ret));
	return ai;
}

static void setup_device(struct ibv_context *ctx)
{
	if (fc.pd)
		return;
	fc.pd = ibv_alloc_pd(ctx);
	if (!fc.pd)
		die("no protection domain: %s", strerror(errno));
	fc.comp = comp_channel(ctx);
	fc.data = xpages(DATA);
	fc.data_mr = ibv_reg_mr(fc.pd, fc.data, DATA, IBV_ACCESS_LOCAL_WRITE |
				IBV_ACCESS_REMOTE_WRITE);
	if (!fc.data_mr)
		die("cannot register memory: %s", strerror(errno));
}

static bool resolve_server(struct conn *c)
{
	struct addrinfo *src = resolve(fc.source, NULL);
	struct addrinfo *dst = resolve(fc.server, fc.port);
	bool ok;

	ok = !rdma_create_id(fc.cm, &c->id, NULL, RDMA_PS_TCP) &&
	     !rdma_resolve_addr(c->id, src->ai_addr, dst->ai_addr, SOON) &&
	     wait_cm(RDMA_CM_EVENT_ADDR_RESOLVED) &&
	     !rdma_resolve_route(c->id, SOON) &&
	     wait_cm(RDMA_CM_EVENT_ROUTE_RESOLVED);
	freeaddrinfo(src);
	freeaddrinfo(dst);
	return ok;
}

/* The first two bytes are the connection manager's own. */
static unsigned int conn_req(uint8_t *b, unsigned int cid)
{
	unsigned int len = WIRE_CONN_LEN;
	struct rng r;

	fc.req.cid = cid;
	conn_req_encode(b, &fc.req);
	if (next_message(&r, KIND_CONN))
		len = 2 + fuzz_bytes(&r, b + 2, len - 2, WIRE_CONN_LEN - 2);
	return len;
}

static bool connect_cid(unsigned int cid)
{
	struct conn *c = &fc.conn[cid];
	uint8_t b[WIRE_CONN_LEN];
	struct rdma_conn_param param = {
		.private_data = b,
		.retry_count = WIRE_CM_RETRIES,
		.rnr_retry_count = WIRE_CM_RETRIES,
	};

	c->cid = cid;
	if (!resolve_server(c))
		return false;
	setup_device(c->id->verbs);
	if (conn_create_qp(c, fc.pd, fc.comp, SENDS, RECVS + 1))
		return false;
	param.private_data_len = conn_req(b, cid);
	return !rdma_connect(c->id, &param) &&
	       wait_cm(RDMA_CM_EVENT_ESTABLISHED);
}

static void post_receives(struct conn *c)
{
	unsigned int i;

	conn_rx_alloc(c, fc.pd, WIRE_RKEY_RSP_LEN, RECVS);
	for (i = 0; i < RECVS; i++)
		conn_post_recv(c, WR_RX_RKEY, i);
}

static void take_chunks(const uint8_t *b)
{
	unsigned int size = fc.rsp.max_io_size + fc.rsp.max_hdr_size;
	unsigned int sg_cnt = get16(b + 2), i, n = 0;
	struct desc d;
	uint32_t off;

	for (i = 0; i < sg_cnt; i++) {
		desc_decode(&d, b + 8 + i * WIRE_DESC_LEN);
		for (off = 0; off < d.len && n < fc.rsp.queue_depth;
		     off += size, n++)
			fc.chunk[n] = (struct chunk){ .addr = d.addr + off,
						      .key = d.key };
	}
}

static bool introduce(void)
{
	struct conn *c = &fc.conn[0];
	uint8_t *b = raw_slot(&fc.raw, fc.pd);
	unsigned int len = WIRE_INFO_REQ_LEN, i;
	char name[32];
	struct rng r;

	if (!fc.rsp.queue_depth || fc.rsp.queue_depth > MAX_DEPTH)
		return false;
	conn_rx_alloc(c, fc.pd, WIRE_INFO_RSP_LEN(fc.rsp.queue_depth), 1);
	conn_post_recv(c, WR_RX_INFO, 0);
	/* the session before may not have ended, and has its name */
	snprintf(name, sizeof(name), "fuzz-client-%u", fc.paths);
	info_req_encode(b, name);
	if (next_message(&r, KIND_INFO))
		len = fuzz_bytes(&r, b, len, 2 * len);
	raw_send(&fc.raw, c, b, len);
	if (!wait_until(info_arrived, SOON))
		return false;
	take_chunks(c->rx);
	for (i = 0; i < fc.cids; i++)
		post_receives(&fc.conn[i]);
	return true;
}

static void begin_path(void)
{
	struct rng *r = &fc.rng;

	memset(fc.nr, 0, sizeof(fc.nr));
	rng_start(r, fc.seed, KIND_PATH, ++fc.paths, 0);
	fc.rate = fc.paths % ALL_WELL ? rng_rate(r) : 0;
	fc.gentle = rng_percent(r, 60);
	fc.cids = 2 + rng_below(r, MAX_CIDS - 1);
	fc.req = (struct conn_req){
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.cid_num = fc.cids,
		.recon_cnt = 1,
		.first_conn = 1,
		.features = rng_percent(r, 50) ? WIRE_FEAT_ALL : 0,
	};
	if (fc.req.features)
		fc.req.wanted_depth = 1 + rng_below(r, 32);
	rng_fill(r, fc.req.sess_uuid, WIRE_UUID_LEN);
	rng_fill(r, fc.req.paths_uuid, WIRE_UUID_LEN);
	memset(&fc.rsp, 0, sizeof(fc.rsp));
	memset(fc.chunk, 0, sizeof(fc.chunk));
	fc.info = false;
	fc.dead = false;
	fc.is_late = false;
}

static bool connect_path(void)
{
	unsigned int cid;

	for (cid = 0; cid < fc.cids; cid++)
		if (!connect_cid(cid))
			return false;
	return introduce();
}

static void end_path(void)
{
	enum rdma_cm_event_type ignored;
	unsigned int i;

	for (i = 0; i < fc.cids; i++)
		if (fc.conn[i].id && fc.conn[i].id->qp)
			rdma_disconnect(fc.conn[i].id);
	cm_events(&ignored);
	for (i = 0; i < MAX_CIDS; i++)
		if (fc.conn[i].id)
			conn_free(&fc.conn[i]);
}

/* --- requests ------------------------------------------------------------------------------ */

static unsigned int user_message(struct rng *r, unsigned int what, uint8_t *b,
				 unsigned int data)
{
	struct rnbd_io io = {
		.device_id = FIRST_ID,
		.sector = rng_below(r, SECTORS) & ~15u,
		.rw = what,
		.bi_size = data,
		.prio = rng_below(r, 4),
	};

	switch (what) {
	case RNBD_OP_FLUSH:
		io.sector = 0;
		io.rw |= RNBD_F_FUA | RNBD_F_PREFLUSH;
		break;
	case RNBD_OP_DISCARD:
	case RNBD_OP_WRITE_ZEROES:
		io.bi_size = 4096;
		break;
	case RNBD_OP_WRITE:
		io.rw |= rng_percent(r, 20) ? RNBD_F_FUA : RNBD_F_SYNC;
		break;
	default:
		break;
	}
	rnbd_io_encode(b, &io);
	return RNBD_IO_LEN;
}

/* The RTRS message, behind the user message that is at @usr in the chunk. */
static void rtrs_message(struct request *q, bool read, unsigned int data,
			 unsigned int usr_len)
{
	struct desc d = {
		.addr = (uintptr_t)fc.data,
		.key = fc.data_mr->rkey,
		.len = data,
	};
	unsigned int at = usr_len + (read ? 0 : data);

	if (read) {
		rtrs_read_encode(q->b + at, usr_len, 0, data ? &d : NULL);
		q->start = data;
		q->len = at + WIRE_RTRS_READ_LEN(data ? 1 : 0);
	} else {
		rtrs_write_encode(q->b + at, usr_len);
		q->len = at + WIRE_RTRS_WRITE_LEN;
	}
	q->off = data + usr_len;
}

static void make_io(struct rng *r, struct request *q)
{
	static const unsigned int ops[] = {
		RNBD_OP_READ, RNBD_OP_READ, RNBD_OP_WRITE, RNBD_OP_WRITE,
		RNBD_OP_FLUSH, RNBD_OP_DISCARD, RNBD_OP_WRITE_ZEROES,
	};
	unsigned int op = ops[rng_below(r, ARRAY_SIZE(ops))], data = 0, len;
	bool read = op == RNBD_OP_READ;

	if (op == RNBD_OP_READ || op == RNBD_OP_WRITE)
		data = 512 << rng_below(r, 5);
	if (op == RNBD_OP_WRITE)
		rng_fill(r, q->b, 64);
	len = user_message(r, op, q->b + (read ? 0 : data), data);
	rtrs_message(q, read, data, len);
	q->cid = 1 + rng_below(r, fc.cids - 1);
}

static void make_admin(struct rng *r, struct request *q, unsigned int what)
{
	q->cid = 0;
	switch (what) {
	case RNBD_SESS_INFO:
		rnbd_sess_info_encode(q->b, RNBD_SESS_INFO, RNBD_VER_MAJOR);
		return rtrs_message(q, true, RNBD_SESS_INFO_LEN,
				    RNBD_SESS_INFO_LEN);
	case RNBD_OPEN:
		rnbd_open_encode(q->b, rng_percent(r, 80) ? RNBD_RW : RNBD_RO,
				 fc.device);
		return rtrs_message(q, true, RNBD_OPEN_RSP_LEN, RNBD_OPEN_LEN);
	default:
		rnbd_close_encode(q->b, FIRST_ID);
		return rtrs_message(q, false, 0, RNBD_CLOSE_LEN);
	}
}

/* A request as it should be, the @nr-th of its path. */
static void make_request(struct rng *r, struct request *q, unsigned int nr)
{
	if (nr < 2)
		make_admin(r, q, nr ? RNBD_OPEN : RNBD_SESS_INFO);
	else if (rng_percent(r, 90))
		make_io(r, q);
	else
		make_admin(r, q, rng_percent(r, 30) ? RNBD_CLOSE :
			   rng_percent(r, 50) ? RNBD_OPEN : RNBD_SESS_INFO);
}

/* Where messages are spoiled, some have none, and are given up. */
static bool wait_for_answers(void)
{
	unsigned int i;

	if (wait_until(all_answered, fc.rate ? ANSWER : SOON))
		return true;
	for (i = 0; fc.rate && i < fc.rsp.queue_depth; i++)
		fc.chunk[i].busy = false;
	return false;
}

/* In turn, and each again when it is free. */
static unsigned int next_chunk(unsigned int nr)
{
	unsigned int chunk = nr % fc.rsp.queue_depth;

	if (fc.chunk[chunk].busy)
		wait_for_answers();
	return chunk;
}

static void address(struct request *q)
{
	q->addr = fc.chunk[q->chunk].addr + q->start;
	q->key = fc.chunk[q->chunk].key;
	q->imm = imm_io_req(fc.rsp.queue_depth, q->chunk, q->off);
}

static void send_request(const struct request *q)
{
	raw_write_imm(&fc.raw, &fc.conn[q->cid], q->addr, q->key, q->imm, q->b,
		      q->len);
}

/* Into memory of the server, and at any time. */
static void scribble(struct rng *r)
{
	const struct chunk *c = &fc.chunk[rng_below(r, fc.rsp.queue_depth)];
	uint8_t *b = raw_slot(&fc.raw, fc.pd);
	unsigned int len = 1 + rng_below(r, 4096);

	rng_fill(r, b, len < 256 ? len : 256);
	raw_write(&fc.raw, &fc.conn[rng_below(r, fc.cids)], c->addr, c->key, b,
		  len);
}

static void spoil_place(struct rng *r, struct request *q)
{
	switch (rng_below(r, 3)) {
	case 0:
		q->addr += rng_extreme(r);
		break;
	case 1:
		q->key ^= 1u << rng_below(r, 32);
		break;
	default:
		q->chunk = rng_below(r, fc.rsp.queue_depth);
		q->key = fc.chunk[q->chunk].key;
	}
}

static void spoil_imm(struct rng *r, struct request *q)
{
	switch (rng_below(r, 4)) {
	case 0:
		q->imm ^= 1u << rng_below(r, 32);
		break;
	case 1:
		q->imm = imm_make(rng_below(r, 16), q->imm);
		break;
	case 2:
		q->imm = imm_make(IMM_IO_REQ, rng_extreme(r));
		break;
	default:
		q->imm = rng_next(r);
	}
}

static void send_other(struct rng *r, const struct request *q)
{
	struct conn *c = &fc.conn[q->cid];

	switch (rng_below(r, 4)) {
	case 0:
		return raw_send(&fc.raw, c, q->b, rng_below(r, 512));
	case 1:
		return raw_send_imm(&fc.raw, c, q->imm, q->b,
				    rng_below(r, 512));
	case 2:
		return raw_send_inv(&fc.raw, c, q->key);
	default:
		conn_post_imm(c, rng_next(r));
	}
}

/* The user and RTRS messages are what a server has to look at, not the data. */
static void spoil_message(struct rng *r, struct request *q)
{
	unsigned int data = q->start ? 0 : q->len > 512 ? q->len - 64 : 0;

	q->len = data + fuzz_bytes(r, q->b + data, q->len - data,
				   RAW_SLOT - data);
}

/* The last of these ways end a path more often than not. */
static void send_spoiled(struct rng *r, struct request *q)
{
	switch (rng_below(r, fc.gentle ? 15 : 20)) {
	case 0:
	case 1:
		q->cid = rng_below(r, fc.cids);
		break;
	case 2:
	case 3:
		fc.late = *q;
		fc.is_late = true;
		return;
	case 15:
		send_request(q);
		break;
	case 16:
		send_request(q);
		return scribble(r);
	case 17:
		spoil_imm(r, q);
		break;
	case 18:
		spoil_place(r, q);
		break;
	case 19:
		return send_other(r, q);
	default:
		spoil_message(r, q);
	}
	send_request(q);
}

static void one_message(unsigned int nr)
{
	struct request q = { .b = raw_slot(&fc.raw, fc.pd) };
	bool spoiled;
	struct rng r;

	spoiled = next_message(&r, KIND_REQUEST);
	make_request(&r, &q, nr);
	q.chunk = next_chunk(nr);
	address(&q);
	fc.chunk[q.chunk].busy = true;
	if (spoiled)
		send_spoiled(&r, &q);
	else
		send_request(&q);
	if (fc.is_late && fc.late.b == q.b)
		return;
	if (fc.is_late)
		send_request(&fc.late);
	fc.is_late = false;
	if (nr < 2 || rng_percent(&r, 60))
		wait_for_answers();
	else
		wait_until(never, rng_below(&r, 4));
}

static void talk(void)
{
	unsigned int n = 2 + rng_below(&fc.rng, fc.gentle ? 500 : 60), nr;

	for (nr = 0; nr < n && !fc.dead && fc.sent < fc.count; nr++)
		one_message(nr);
	fc.ended += fc.dead;
	if (fc.rate)
		return;
	if (fc.dead || !wait_for_answers())
		bad("path %u had no fault, and did not work", fc.paths);
}

static void one_path(void)
{
	begin_path();
	if (connect_path())
		talk();
	else if (!fc.rate)
		bad("path %u had no fault, and was refused", fc.paths);
	end_path();
}

/* --- options ---------------------------------------------------------------------------------- */

enum {
	OPT_SEED = 1, OPT_COUNT, OPT_SERVER, OPT_SOURCE, OPT_PORT, OPT_DEVICE,
	OPT_TIME,
};

static const struct option options[] = {
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "server", required_argument, NULL, OPT_SERVER },
	{ "source", required_argument, NULL, OPT_SOURCE },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "time", required_argument, NULL, OPT_TIME },
	{ }
};

static void parse_option(int opt, const char *arg)
{
	switch (opt) {
	case OPT_SEED:
		fc.seed = fuzz_seed(arg);
		break;
	case OPT_COUNT:
		fc.count = strtoul(arg, NULL, 0);
		break;
	case OPT_SERVER:
		fc.server = arg;
		break;
	case OPT_SOURCE:
		fc.source = arg;
		break;
	case OPT_PORT:
		fc.port = arg;
		break;
	case OPT_DEVICE:
		fc.device = arg;
		break;
	case OPT_TIME:
		alarm(patient(strtoul(arg, NULL, 0)));
		break;
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	int opt;

	alarm(patient(3600));
	fc.seed = fuzz_seed(NULL);
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		parse_option(opt, optarg);
	tap_start();
	note("seed %llu", (unsigned long long)fc.seed);
	fc.cm = cm_channel();
	while (fc.sent < fc.count)
		one_path();
	note("%lu messages, %lu of them spoiled, on %u paths", fc.sent,
	     fc.spoiled, fc.paths);
	note("%lu paths refused, %lu ended; %lu answers, %lu with an errno",
	     fc.refused, fc.ended, fc.answered, fc.failed);
	tap_done("%lu messages, seed %llu", fc.count,
		 (unsigned long long)fc.seed);
	return tap_finish();
}
