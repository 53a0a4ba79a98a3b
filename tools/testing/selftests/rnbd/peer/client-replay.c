// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Replays what a mainline client was recorded to send, and compares what the
 * server answers with what mainline's server was recorded to answer
 *
 * The same bytes go out, except what belongs to this machine and this moment:
 * addresses, keys, and the two uuids.  The server has to run with mainline's
 * defaults (512 chunks of 128 KiB), in the mode of the recording, and export a
 * zeroed ram disk of 128 MiB as /dev/ram0, because that is what was recorded.
 * Where the recording leaves messages out, so does the replay.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-tests.h"
#include "recording.h"
#include "report.h"

/* A position in the recording; a conversation ends where the next one starts. */
struct replay {
	const struct test_cfg *cfg;
	struct recording rec;
	unsigned int pos;
	unsigned int first_qp;
	struct clt c;
	unsigned int requests, compared;
};

static const struct rec_msg *peek(const struct replay *p)
{
	return p->pos < p->rec.num ? &p->rec.msg[p->pos] : NULL;
}

/* --- set-up ------------------------------------------------------------------ */

static void compare(const uint8_t *got, const struct rec_msg *m, uint32_t off,
		    uint32_t len, const char *what)
{
	uint32_t i;

	for (i = off; i < off + len; i++) {
		if (got[i] == m->data[i])
			continue;
		bad("%s (line %u): byte %u is %#x, recorded %#x", what,
		    m->line, i, got[i], m->data[i]);
		return;
	}
}

static void patched_req(const struct replay *p, const struct rec_msg *m,
			uint8_t *b)
{
	memcpy(b, m->data, WIRE_CONN_LEN);
	memcpy(b + 12, p->c.ident.sess_uuid, WIRE_UUID_LEN);
	memcpy(b + 28, p->c.ident.paths_uuid, WIRE_UUID_LEN);
}

static int replay_connect(struct replay *p)
{
	const struct rec_msg *m;
	uint8_t priv[WIRE_CONN_LEN], rsp[WIRE_CONN_LEN];
	struct conn_result res = { 0 };
	unsigned int cid = 0;

	for (; (m = peek(p)) && m->kind <= REC_CM_OTHER; p->pos++) {
		if (m->kind == REC_CM_REQ) {
			patched_req(p, m, priv);
			cid = get16(priv + 6);
			p->c.cid_num = get16(priv + 8);
			res = clt_conn_open(&p->c, cid, priv, sizeof(priv));
			if (res.err)
				return res.err;
			if (!cid)
				p->c.rsp = res.rsp;
		} else if (m->kind == REC_CM_REP) {
			conn_rsp_encode(rsp, &res.rsp);
			compare(rsp, m, 0, WIRE_CONN_LEN, "CONN_RSP");
		}
	}
	p->c.chunk_size = p->c.rsp.max_io_size + p->c.rsp.max_hdr_size;
	return 0;
}

static void compare_info_rsp(struct replay *p, const struct rec_msg *m)
{
	unsigned int descs = get16(m->data + 2);
	unsigned int len = get32(m->data + 8 + 12);

	if (p->c.descs != descs)
		bad("INFO_RSP: %u descriptors, recorded %u", p->c.descs, descs);
	if (p->c.rsp.queue_depth / p->c.descs * p->c.chunk_size != len)
		bad("INFO_RSP: descriptors are not of %u bytes", len);
}

static int replay_info(struct replay *p)
{
	const struct rec_msg *m = peek(p);
	int ret;

	if (!m || m->kind != REC_SEND || !m->client ||
	    m->len != WIRE_INFO_REQ_LEN)
		die("no INFO_REQ in the recording");
	p->first_qp = m->qp;
	p->c.cfg.sessname = (char *)m->data + WIRE_INFO_NAME_OFF;
	ret = clt_info(&p->c);
	if (ret)
		return ret;
	m = &p->rec.msg[++p->pos];
	compare_info_rsp(p, m);
	p->pos++;
	return 0;
}

/* --- requests ---------------------------------------------------------------- */

/* What the recorded server answered, from here to the client's next word. */
struct recorded_answer {
	const struct rec_msg *write;
	const struct rec_msg *inv;
	const struct rec_msg *last;	/* NULL: left out of the recording */
};

static struct recorded_answer recorded_answer(struct replay *p)
{
	struct recorded_answer a = { 0 };
	const struct rec_msg *m;

	for (; (m = peek(p)) && !m->client && m->kind != REC_GAP; p->pos++) {
		if (m->kind == REC_WRITE)
			a.write = m;
		else if (m->kind == REC_SEND_WITH_INV)
			a.inv = m;
		else
			a.last = m;
	}
	return a;
}

/* What we are about to send has to be what was recorded. */
static void check_sent(const struct req *r, const struct rec_msg *m,
		       uint32_t imm)
{
	unsigned int off = r->read ? 0 : r->data_len;
	unsigned int len = m->len - off, i;

	if (imm != m->imm)
		bad("request (line %u): immediate %#x, recorded %#x", m->line,
		    imm, m->imm);
	if (!r->read && memcmp(r->data, m->data, r->data_len))
		bad("request (line %u): other data", m->line);
	for (i = 0; i < len; i++) {
		/* Our own address and key. */
		if (r->read && i >= r->usr_len + 8 && i < r->usr_len + 8 + 12)
			continue;
		if (r->msg[i] != m->data[off + i])
			bad("request (line %u): byte %u is %#x, recorded %#x",
			    m->line, off + i, r->msg[i], m->data[off + i]);
	}
}

static struct req *recorded_req(struct replay *p, const struct rec_msg *m)
{
	unsigned int depth = p->c.rsp.queue_depth;
	unsigned int off = imm_req_off(depth, m->imm);
	unsigned int start = m->va & (p->c.chunk_size - 1);
	const uint8_t *rtrs = m->data + (off - start);
	unsigned int usr_len = get16(rtrs + 2), data_len = off - usr_len;
	struct req *r = clt_req(&p->c, m->qp - p->first_qp,
				imm_req_chunk(depth, m->imm), data_len);

	r->usr_len = usr_len;
	r->read = get16(rtrs) == RTRS_READ;
	if (r->read) {
		r->need_inval = get16(rtrs + 4) & WIRE_READ_NEED_INVAL;
		r->no_desc = !get16(rtrs + 6);
	} else {
		memcpy(r->data, m->data, data_len);
	}
	memcpy(r->usr, rtrs - usr_len, usr_len);
	return r;
}

/* OPEN_RSP: the fields that a mainline client reads must be mainline's. */
static void compare_open_rsp(const uint8_t *got, const struct rec_msg *m)
{
	compare(got, m, 0, 16, "OPEN_RSP");
	compare(got, m, 20, 20, "OPEN_RSP");
	compare(got, m, 42, 14, "OPEN_RSP");
	if (get32(got + 16) != get32(m->data + 16))
		note("max_hw_sectors is %u, recorded %u (clients ignore it)",
		     get32(got + 16), get32(m->data + 16));
	if (get16(got + 40) != get16(m->data + 40))
		note("max_segments is %u, recorded %u (clients ignore it)",
		     get16(got + 40), get16(m->data + 40));
}

/* Other than mainline, but what a mainline client accepts just as well. */
static bool legal_variant(const struct replay *p, const struct req *r)
{
	return !p->cfg->clt.exact && r->need_inval &&
	       (r->how == ANS_IMM || r->how == ANS_IMM_DATA ||
		r->how == ANS_RKEY);
}

static void compare_answer(struct replay *p, const struct req *r,
			   const struct recorded_answer *a)
{
	uint32_t want = a->last->imm;
	bool with_rkey = a->last->kind == REC_SEND_WITH_IMM;

	p->compared++;
	if (legal_variant(p, r))
		want = imm_make(IMM_IO_RSP, want);
	if (r->imm != want)
		bad("answer (line %u): immediate %#x, recorded %#x",
		    a->last->line, r->imm, a->last->imm);
	if (!legal_variant(p, r) && r->inv_seen != !!a->inv)
		bad("answer (line %u): %s SEND_WITH_INV", a->last->line,
		    r->inv_seen ? "unexpected" : "no");
	if (with_rkey != (r->how == ANS_RKEY || r->how == ANS_RKEY_INV))
		bad("answer (line %u): by another kind of message",
		    a->last->line);
	if (!a->write)
		return;
	if (a->write->len != r->data_len)
		bad("answer (line %u): another length", a->write->line);
	else if (get16(r->usr) == RNBD_OPEN)
		compare_open_rsp(r->data, a->write);
	else
		compare(r->data, a->write, 0, r->data_len, "data");
}

static int replay_request(struct replay *p, const struct rec_msg *m)
{
	struct recorded_answer a;
	struct req *r;
	int ret;

	p->pos++;
	if (imm_type(m->imm) == IMM_HB_MSG)
		return clt_heartbeat(&p->c);
	if (imm_type(m->imm) != IMM_IO_REQ)
		return 0;
	r = recorded_req(p, m);
	ret = clt_send(&p->c, r);
	if (ret)
		return ret;
	p->requests++;
	check_sent(r, m, imm_io_req(p->c.rsp.queue_depth, r->chunk,
				    r->data_len + r->usr_len));
	ret = clt_wait(&p->c, r);
	if (ret)
		return ret;
	a = recorded_answer(p);
	if (a.last)
		compare_answer(p, r, &a);
	return 0;
}

static int replay_requests(struct replay *p)
{
	const struct rec_msg *m;
	int ret;

	while ((m = peek(p)) && !m->dreq) {
		if (m->client && m->kind == REC_WRITE_WITH_IMM) {
			ret = replay_request(p, m);
			if (ret)
				return ret;
		} else {
			/* Rest of what was left out, heartbeats. */
			p->pos++;
		}
	}
	return 0;
}

/* --- conversations ------------------------------------------------------------ */

/* The server may still hold the session's name from the conversation before. */
static int replay_setup(struct replay *p)
{
	uint64_t until = now_ms() + p->cfg->clt.timeout_ms;
	unsigned int start = p->pos;
	int ret;

	for (;;) {
		p->pos = start;
		clt_init(&p->c, &p->cfg->clt);
		p->c.dying = true;
		ret = replay_connect(p);
		ret = ret ?: replay_info(p);
		p->c.dying = false;
		if (!ret || now_ms() >= until)
			return ret;
		clt_free(&p->c);
	}
}

static void replay_conversation(struct replay *p)
{
	int ret;

	p->requests = 0;
	p->compared = 0;
	ret = replay_setup(p);
	if (!ret)
		ret = replay_requests(p);
	if (ret)
		bad("the conversation ended: %s", strerror(-ret));
	note("%u requests replayed, %u answers compared", p->requests,
	     p->compared);
	if (!p->compared)
		bad("nothing was compared");
	clt_stop(&p->c);
}

/* The CONN_REQ of cid 0 is where a conversation begins. */
static bool begins(const struct rec_msg *m)
{
	return m->kind == REC_CM_REQ && !get16(m->data + 6);
}

void run_replay(const struct test_cfg *cfg, const char *file)
{
	struct replay p = { .cfg = cfg };
	const char *name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	unsigned int i, n = 0;

	recording_load(&p.rec, file);
	for (i = 0; i < p.rec.num; i++) {
		if (!begins(&p.rec.msg[i]))
			continue;
		/* Wherever the one before came to its end. */
		p.pos = i;
		replay_conversation(&p);
		tap_done("replay of %s, conversation %u", name, ++n);
	}
	if (!n)
		bad("%s: no conversation", name);
	recording_free(&p.rec);
}
