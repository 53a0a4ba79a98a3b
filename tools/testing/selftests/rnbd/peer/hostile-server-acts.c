// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a hostile server does
 *
 * The hooks into peer-server, and the acts that the cases choose from.  An act
 * that answers a request does so with work requests of its own.
 */
#include <string.h>

#include "hostile-server.h"
#include "report.h"

#define FLOOD		1500u	/* messages */
#define FLOOD_AHEAD	40u	/* of them in the send queue */

/* --- messages ------------------------------------------------------------------ */

static void put_bytes(uint8_t *b, uint64_t v, unsigned int n)
{
	for (; n; n--, v >>= 8)
		*b++ = v;
}

/* Spoils a message as the case wants it, and returns its length. */
static unsigned int spoil(const struct hostile *h, enum message msg, uint8_t *b,
			  unsigned int len)
{
	unsigned int i;

	for (i = 0; h->now && h->armed && i < ARRAY_SIZE(h->now->patch); i++) {
		const struct patch *p = &h->now->patch[i];

		if (p->msg != msg)
			continue;
		if (p->size)
			put_bytes(b + p->off, p->val, p->size);
		else
			len = p->val;
	}
	return len;
}

/* Memory to send from, zeroed. */
static uint8_t *scratch(struct hostile *h)
{
	return raw_slot(&h->raw, h->srv.pd);
}

static uint8_t *poison(struct hostile *h)
{
	return memset(scratch(h), 0xee, RAW_SLOT);
}

/* --- hooks ---------------------------------------------------------------------- */

static bool reject(struct hostile *h, const struct cm_event *ev)
{
	uint8_t b[ACCEPT_ROOM] = { 0 };
	struct conn_rsp rsp = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.err = -h->errno_now,
	};
	unsigned int len;

	conn_rsp_encode(b, &rsp);
	len = spoil(h, M_REJECT, b, WIRE_CONN_LEN);
	rdma_reject(ev->id, len ? b : NULL, len);
	rdma_destroy_id(ev->id);
	return true;
}

static bool is_cid(unsigned int want, unsigned int cid, unsigned int cid_num)
{
	return want == cid + 1 || (want == LAST && cid + 1 == cid_num);
}

static bool hook_connect(struct srv *s, const struct cm_event *ev,
			 const struct conn_req *req)
{
	struct hostile *h = to_hostile(s);

	if (!h->now || !h->armed)
		return false;
	if (is_cid(h->now->reject, req->cid, req->cid_num))
		return reject(h, ev);
	if (!is_cid(h->now->ignore, req->cid, req->cid_num))
		return false;
	if (h->nr_stray < ARRAY_SIZE(h->stray))
		h->stray[h->nr_stray++] = ev->id;
	return true;
}

static bool hook_accept(struct srv *s, struct path *p, struct conn *c,
			uint8_t *rsp, unsigned int *len)
{
	struct hostile *h = to_hostile(s);
	unsigned int features = h->now ? h->now->features : 0;

	(void)p;
	/* What is agreed on lasts, but an honest server of ours rolls no keys. */
	if (!h->armed)
		features &= ~WIRE_FEAT_RKEY_ROLL;
	put32(rsp + 20, features);
	*len = spoil(h, c->cid ? M_ACCEPT_MORE : M_ACCEPT, rsp, *len);
	return true;
}

static bool hook_info_rsp(struct srv *s, struct path *p, struct ibv_sge *sge)
{
	struct hostile *h = to_hostile(s);

	if (!h->now || !h->armed)
		return true;
	sge->length = spoil(h, M_INFO, (uint8_t *)(uintptr_t)sge->addr,
			    sge->length);
	return !h->now->info || h->now->info(h, p, sge);
}

static bool hook_recv(struct srv *s, struct path *p, struct conn *c,
		      const struct ibv_wc *wc)
{
	(void)p;
	(void)c;
	(void)wc;
	return s->silent;
}

static enum kind kind_of(const struct op *op)
{
	if (op->conn->cid)
		return K_IO;
	if (!op->read)
		return K_CLOSE;
	return op->desc.len == RNBD_SESS_INFO_LEN ? K_SESS_INFO : K_OPEN;
}

static void spoil_answer(struct hostile *h, struct op *op)
{
	enum kind kind = kind_of(op);

	if (op->src && kind == K_SESS_INFO)
		op->src_len = spoil(h, M_SESS_INFO, op->src, op->src_len);
	if (op->src && kind == K_OPEN)
		op->src_len = spoil(h, M_OPEN, op->src, op->src_len);
}

static bool hook_answer(struct srv *s, struct op *op)
{
	struct hostile *h = to_hostile(s);
	const struct hcase *c = h->now;

	if (!c || !h->armed)
		return false;
	spoil_answer(h, op);
	if (!c->answer || !(c->kinds & kind_of(op)))
		return false;
	if (!(c->flags & ALWAYS) && atomic_exchange(&h->fired, true))
		return false;
	c->answer(h, op);
	return true;
}

static void forget_strays(struct hostile *h)
{
	while (h->nr_stray)
		rdma_destroy_id(h->stray[--h->nr_stray]);
}

/* After so many accepts, or more where several came at once. */
static unsigned int hang_up_at(const struct hostile *h, const struct path *p)
{
	return h->now->hang_up == LAST ? p->ident.cid_num : h->now->hang_up;
}

static void tick_path(struct hostile *h, struct path *p)
{
	if (h->now->hang_up && p->accepted >= hang_up_at(h, p))
		path_close(&h->srv, p);
	if (h->now->tick && p->state == PATH_UP)
		h->now->tick(h, p);
}

static void hook_tick(struct srv *s)
{
	struct hostile *h = to_hostile(s);
	unsigned int i;

	for (i = 0; h->now && h->armed && i < SRV_MAX_PATHS; i++)
		if (s->path[i].state != PATH_FREE)
			tick_path(h, &s->path[i]);
	if (!h->armed)
		forget_strays(h);
	if (h->deadline && now_ms() > h->deadline)
		die("%s: hangs", h->now ? h->now->name : "honest again");
	h->idle = !srv_any_path(s);
}

const struct srv_hooks hostile_hooks = {
	.connect = hook_connect,
	.accept = hook_accept,
	.info_rsp = hook_info_rsp,
	.recv = hook_recv,
	.answer = hook_answer,
	.tick = hook_tick,
};

/* --- INFO_RSP --------------------------------------------------------------------- */

static uint8_t *info_copy(struct hostile *h, const struct ibv_sge *sge)
{
	return memcpy(scratch(h), (void *)(uintptr_t)sge->addr, sge->length);
}

/* Nor a heartbeat, which would be taken for it. */
bool info_never(struct hostile *h, struct path *p, struct ibv_sge *sge)
{
	h->srv.silent = true;
	(void)p;
	(void)sge;
	return false;
}

bool info_twice(struct hostile *h, struct path *p, struct ibv_sge *sge)
{
	raw_send(&h->raw, &p->conn[0], info_copy(h, sge), sge->length);
	return true;
}

/* One region described by two pieces, which is fine. */
bool info_split(struct hostile *h, struct path *p, struct ibv_sge *sge)
{
	uint8_t *b = (uint8_t *)(uintptr_t)sge->addr;
	struct desc d;

	(void)h;
	(void)p;
	desc_decode(&d, b + 8);
	put16(b + 2, 2);
	d.len = HOSTILE_BYTES / 2;
	desc_encode(b + 8, &d);
	d.addr += d.len;
	desc_encode(b + 24, &d);
	sge->length = WIRE_INFO_RSP_LEN(2);
	return true;
}

bool info_on_cid1(struct hostile *h, struct path *p, struct ibv_sge *sge)
{
	raw_send(&h->raw, &p->conn[1], info_copy(h, sge), sge->length);
	return true;
}

bool info_as_imm(struct hostile *h, struct path *p, struct ibv_sge *sge)
{
	(void)h;
	(void)sge;
	conn_post_imm(&p->conn[0], imm_make(IMM_IO_RSP, 0));
	return false;
}

bool info_with_imm(struct hostile *h, struct path *p, struct ibv_sge *sge)
{
	raw_send_imm(&h->raw, &p->conn[0], imm_make(IMM_HB_MSG, 0),
		     info_copy(h, sge), sge->length);
	return false;
}

bool info_after_hb(struct hostile *h, struct path *p, struct ibv_sge *sge)
{
	(void)h;
	(void)sge;
	conn_post_imm(&p->conn[0], imm_make(IMM_HB_MSG, 0));
	return true;
}

/* The client has no receives on cid 1 before it has INFO_RSP. */
bool info_overrun(struct hostile *h, struct path *p, struct ibv_sge *sge)
{
	unsigned int i;

	(void)h;
	(void)sge;
	for (i = 0; i < FLOOD_AHEAD; i++)
		conn_post_imm(&p->conn[1], imm_io_rsp(IMM_IO_RSP, i, 0));
	return true;
}

bool info_hang_up(struct hostile *h, struct path *p, struct ibv_sge *sge)
{
	(void)sge;
	path_close(&h->srv, p);
	return false;
}

/* --- answers ------------------------------------------------------------------------ */

static uint32_t rsp_imm(const struct op *op)
{
	return imm_io_rsp(IMM_IO_RSP, op->chunk, op->err);
}

/* The data of a read, as it should be. */
static void data(struct hostile *h, const struct op *op)
{
	uint8_t *b;
	unsigned int len = op->src_len < RAW_SLOT ? op->src_len : RAW_SLOT;

	if (!op->has_desc || op->err || !op->src)
		return;
	b = memcpy(scratch(h), op->src, len);
	raw_write(&h->raw, op->conn, op->desc.addr, op->desc.key, b, len);
}

/* An answer that says @imm, the way that the client expects answers. */
static void say(struct hostile *h, const struct op *op, uint32_t imm)
{
	uint8_t *b;

	if (!h->srv.cfg.invalidate) {
		conn_post_imm(op->conn, imm);
		return;
	}
	b = scratch(h);
	rkey_rsp_encode(b, imm_rsp_chunk(imm), 0x12345678);
	raw_send_imm(&h->raw, op->conn, imm, b, WIRE_RKEY_RSP_LEN);
}

static void done(struct op *op)
{
	op->path->busy[op->chunk] = false;
}

void act_hang_up(struct hostile *h, struct op *op)
{
	path_close(&h->srv, op->path);
}

void act_keep(struct hostile *h, struct op *op)
{
	if (h->nr_kept < ARRAY_SIZE(h->kept)) {
		h->kept[h->nr_kept] = *op;
		h->nr_kept++;
	}
}

void act_errno(struct hostile *h, struct op *op)
{
	op->err = h->now->arg;
	srv_answer(&h->srv, op);
}

/* Another type of immediate. */
void act_imm(struct hostile *h, struct op *op)
{
	data(h, op);
	say(h, op, imm_make(h->now->arg, op->chunk));
	done(op);
}

/* A chunk that does not exist. */
void act_chunk(struct hostile *h, struct op *op)
{
	data(h, op);
	say(h, op, imm_make(IMM_IO_RSP, h->now->arg));
	done(op);
}

void act_next_chunk(struct hostile *h, struct op *op)
{
	unsigned int next = (op->chunk + 1) % HOSTILE_DEPTH;

	data(h, op);
	say(h, op, imm_io_rsp(IMM_IO_RSP, next, 0));
	done(op);
}

void act_twice(struct hostile *h, struct op *op)
{
	srv_answer(&h->srv, op);
	say(h, op, rsp_imm(op));
}

/* On another connection than the request's. */
void act_cid(struct hostile *h, struct op *op)
{
	unsigned int cid = h->now->arg;

	/* 1: any but cid 0 and the one it should be */
	if (cid)
		cid = op->conn->cid == 1 ? 2 : 1;
	data(h, op);
	op->conn = &op->path->conn[cid];
	say(h, op, rsp_imm(op));
	done(op);
}

/* SEND_WITH_INV as a server may that was asked for it; ours never is. */
void act_w_inv(struct hostile *h, struct op *op)
{
	data(h, op);
	if (h->now->arg)
		raw_send_inv(&h->raw, op->conn, op->desc.key);
	say(h, op, imm_io_rsp(IMM_IO_RSP_W_INV, op->chunk, 0));
	done(op);
}

void act_inv_plain(struct hostile *h, struct op *op)
{
	data(h, op);
	raw_send_inv(&h->raw, op->conn, op->desc.key);
	say(h, op, rsp_imm(op));
	done(op);
}

void act_inv_foreign(struct hostile *h, struct op *op)
{
	data(h, op);
	raw_send_inv(&h->raw, op->conn, op->desc.key ^ h->now->arg);
	say(h, op, rsp_imm(op));
	done(op);
}

/* The key of the request before this one, which is still under way. */
void act_inv_other(struct hostile *h, struct op *op)
{
	if (!h->nr_kept)
		return act_keep(h, op);
	raw_send_inv(&h->raw, op->conn, h->kept[0].desc.key);
	srv_answer(&h->srv, op);
	srv_answer(&h->srv, &h->kept[0]);
	h->nr_kept = 0;
}

void act_send(struct hostile *h, struct op *op)
{
	data(h, op);
	raw_send(&h->raw, op->conn, scratch(h), h->now->arg);
	say(h, op, rsp_imm(op));
	done(op);
}

void act_send_imm(struct hostile *h, struct op *op)
{
	data(h, op);
	raw_send_imm(&h->raw, op->conn, rsp_imm(op), scratch(h), h->now->arg);
	done(op);
}

void act_no_data(struct hostile *h, struct op *op)
{
	say(h, op, rsp_imm(op));
	done(op);
}

/* That much data, whatever was asked for. */
void act_data_len(struct hostile *h, struct op *op)
{
	raw_write(&h->raw, op->conn, op->desc.addr, op->desc.key, poison(h),
		  h->now->arg);
	say(h, op, rsp_imm(op));
	done(op);
}

/* Before or behind the region, by a few bytes. */
void act_data_off(struct hostile *h, struct op *op)
{
	raw_write(&h->raw, op->conn, op->desc.addr + (int64_t)h->now->arg,
		  op->desc.key, poison(h), op->desc.len);
	say(h, op, rsp_imm(op));
	done(op);
}

/* With a key that is not the one it was given; a write has none at all. */
void act_data_key(struct hostile *h, struct op *op)
{
	raw_write(&h->raw, op->conn, op->desc.addr, op->desc.key + h->now->arg,
		  poison(h), 64);
	say(h, op, rsp_imm(op));
	done(op);
}

/* Data and answer in one message, which is fine without NEW_RKEY. */
void act_data_in_answer(struct hostile *h, struct op *op)
{
	uint8_t *b = memcpy(scratch(h), op->src, op->src_len);

	raw_write_imm(&h->raw, op->conn, op->desc.addr, op->desc.key,
		      rsp_imm(op), b, op->src_len);
	done(op);
}

/* An honest answer, and tick_late_data() when the client has taken it. */
void act_late_data(struct hostile *h, struct op *op)
{
	act_keep(h, op);
	srv_answer(&h->srv, op);
}

/* Over another request of the same client, whose own data comes later. */
void act_neighbour(struct hostile *h, struct op *op)
{
	struct op *other = &h->kept[0];

	if (!h->nr_kept)
		return act_keep(h, op);
	raw_write(&h->raw, op->conn, other->desc.addr, other->desc.key,
		  poison(h), other->desc.len);
	srv_answer(&h->srv, op);
	h->go = 1;
}

/* The same with another client's, which must not be possible at all. */
void act_stranger(struct hostile *h, struct op *op)
{
	struct op *other = &h->kept[0];

	if (!h->nr_kept)
		return act_keep(h, op);
	raw_write(&h->raw, op->conn, other->desc.addr, other->desc.key,
		  poison(h), other->desc.len);
	h->go = 1;
}

/* --- answers with NEW_RKEY, and keys that roll ---------------------------------------- */

static void rkey_answer(struct hostile *h, struct op *op, uint32_t imm,
			unsigned int chunk, uint32_t rkey, unsigned int len)
{
	uint8_t *b = scratch(h);

	data(h, op);
	rkey_rsp_encode(b, chunk, rkey);
	raw_send_imm(&h->raw, op->conn, imm, b, len);
	done(op);
}

/* A key that is none. */
void act_rkey(struct hostile *h, struct op *op)
{
	rkey_answer(h, op, rsp_imm(op), op->chunk, h->now->arg,
		    WIRE_RKEY_RSP_LEN);
}

/* Immediate and message name different chunks. */
void act_rkey_chunk(struct hostile *h, struct op *op)
{
	rkey_answer(h, op, rsp_imm(op), op->chunk + 1, 1, WIRE_RKEY_RSP_LEN);
}

void act_rkey_len(struct hostile *h, struct op *op)
{
	rkey_answer(h, op, rsp_imm(op), op->chunk, 1, h->now->arg);
}

void act_rkey_type(struct hostile *h, struct op *op)
{
	uint8_t *b = scratch(h);

	data(h, op);
	rkey_rsp_encode(b, op->chunk, 1);
	put16(b, h->now->arg);
	raw_send_imm(&h->raw, op->conn, rsp_imm(op), b, WIRE_RKEY_RSP_LEN);
	done(op);
}

void act_rkey_no_imm(struct hostile *h, struct op *op)
{
	uint8_t *b = scratch(h);

	data(h, op);
	rkey_rsp_encode(b, op->chunk, 1);
	raw_send(&h->raw, op->conn, b, WIRE_RKEY_RSP_LEN);
	done(op);
}

/* The answer that is right where keys stay the same. */
void act_rkey_imm(struct hostile *h, struct op *op)
{
	data(h, op);
	conn_post_imm(op->conn, rsp_imm(op));
	done(op);
}

/*
 * A server that rolls keys, and has a descriptor a chunk therefore.  At the
 * administrator's sign it says that a key has rolled which has not.
 */
void act_roll(struct hostile *h, struct op *op)
{
	unsigned int type = h->go ? IMM_IO_RSP_ROLL : IMM_IO_RSP;

	data(h, op);
	conn_post_imm(op->conn, imm_io_rsp(type, op->chunk, op->err));
	done(op);
}

/* OPEN: always the same device id. */
void act_id(struct hostile *h, struct op *op)
{
	if (op->src)
		put32((uint8_t *)op->src + 4, h->now->arg);
	srv_answer(&h->srv, op);
}

/*
 * An immediate of cid 0 that brings data, if only what belongs there. The answer, on
 * another cid, would overtake it, and take the key away (tick_with_data).
 */
void act_with_data(struct hostile *h, struct op *op)
{
	uint8_t *b = memcpy(scratch(h), op->src, op->src_len);

	raw_write_imm(&h->raw, &op->path->conn[0], op->desc.addr, op->desc.key,
		      h->now->imm, b, op->src_len);
	act_keep(h, op);
}

/* --- unasked ---------------------------------------------------------------------------- */

/* Many of the case's immediate. */
void tick_flood(struct hostile *h, struct path *p)
{
	struct conn *c = &p->conn[0];

	while (h->sent < FLOOD && c->sends < FLOOD_AHEAD) {
		if (conn_post_imm(c, h->now->imm))
			break;
		h->sent++;
	}
	if (h->sent == FLOOD)
		h->go = 1;
}

static void once(struct hostile *h, struct conn *c)
{
	if (!atomic_exchange(&h->fired, true))
		conn_post_imm(c, h->now->imm);
}

void tick_once(struct hostile *h, struct path *p)
{
	once(h, &p->conn[0]);
}

void tick_once_cid1(struct hostile *h, struct path *p)
{
	once(h, &p->conn[1]);
}

/* The same, as a message. */
void tick_message(struct hostile *h, struct path *p)
{
	if (!atomic_exchange(&h->fired, true))
		raw_send_imm(&h->raw, &p->conn[0], h->now->imm, scratch(h),
			     h->now->arg);
}

/* At the administrator's sign, what was kept is answered, with data or without. */
void tick_kept(struct hostile *h, struct path *p)
{
	struct op *op = &h->kept[0];

	if (h->go != 2 || !h->nr_kept || op->path != p)
		return;
	h->nr_kept = 0;
	if (h->now->arg)
		return act_no_data(h, op);
	srv_answer(&h->srv, op);
}

/* The data is there: on to the answers. */
void tick_with_data(struct hostile *h, struct path *p)
{
	while (h->nr_kept && h->kept[0].path == p && !p->conn[0].sends)
		srv_answer(&h->srv, &h->kept[--h->nr_kept]);
}

/* Into a read's memory, long after its answer. */
void tick_late_data(struct hostile *h, struct path *p)
{
	const struct op *op = &h->kept[0];

	if (!h->go || !h->nr_kept)
		return;
	h->nr_kept = 0;
	raw_write(&h->raw, &p->conn[op->conn->cid], op->desc.addr, op->desc.key,
		  poison(h), op->desc.len);
}

void tick_silent(struct hostile *h, struct path *p)
{
	(void)p;
	h->srv.silent = true;
}

void tick_hang_up(struct hostile *h, struct path *p)
{
	if (!atomic_exchange(&h->fired, true))
		path_close(&h->srv, p);
}

void tick_hang_up_one(struct hostile *h, struct path *p)
{
	if (!atomic_exchange(&h->fired, true))
		rdma_disconnect(p->conn[h->now->arg].id);
}

void tick_info(struct hostile *h, struct path *p)
{
	uint8_t *b = scratch(h);

	put16(b, RTRS_INFO_RSP);
	put16(b + 2, 1);
	if (!atomic_exchange(&h->fired, true))
		raw_send(&h->raw, &p->conn[0], b, WIRE_INFO_RSP_LEN(1));
}
