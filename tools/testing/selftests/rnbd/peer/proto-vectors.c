// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * proto-vectors: the drivers' own wire headers against the recordings of
 * mainline
 *
 * Compiles rtrs/rtrs-proto.h and rnbd-proto.h as they are (shim/ has what they
 * need of the kernel) and goes through the recorded conversations message by
 * message.  What the client was recorded to do is written down below in words
 * (struct expected), encoded by the drivers' functions and compared with the
 * recorded bytes; the recorded bytes are decoded and compared with the words.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recording.h"
#include "report.h"
#include "rtrs/rtrs-proto.h"
#include "rnbd-proto.h"

#define DEPTH		512
#define CHUNK_SIZE	131072
#define PRIO		0x4004		/* best effort, 4 */

/*
 * The requests of both recordings, in order.  Every read is SYNC, as the block
 * layer counts all reads.
 */
static const struct expected {
	enum { X_SESS_INFO, X_OPEN, X_IO, X_CLOSE } what;
	const char *name;
	u32 chunk;
	u32 op;
	u64 sector;
	u32 size;
	bool data;			/* to the server */
	int err;			/* of the answer, negative */
} expected[] = {
	{ X_SESS_INFO, NULL, 0, 0, 0, 0, false, 0 },
	{ X_OPEN, "/dev/ram0", 0, 0, 0, 0, false, 0 },
	{ X_IO, NULL, 1, RNBD_OP_READ | RNBD_F_SYNC, 0, 4096, false, 0 },
	{ X_IO, NULL, 1, RNBD_OP_READ | RNBD_F_SYNC, 8, 4096, false, 0 },
	{ X_IO, NULL, 1, RNBD_OP_READ | RNBD_F_SYNC, 24, 4096, false, 0 },
	{ X_IO, NULL, 0, RNBD_OP_WRITE | RNBD_F_SYNC, 8, 4096, true, 0 },
	{ X_IO, NULL, 0, RNBD_OP_READ | RNBD_F_SYNC, 8, 4096, false, 0 },
	{ X_IO, NULL, 0, RNBD_OP_WRITE | RNBD_F_SYNC, 16, 4096, true, 0 },
	{ X_IO, NULL, 0, RNBD_OP_READ | RNBD_F_SYNC, 0x3ff80, 4096, false, 0 },
	{ X_IO, NULL, 0, RNBD_OP_READ | RNBD_F_SYNC, 0x3fff0, 4096, false, 0 },
	{ X_IO, NULL, 0, RNBD_OP_READ | RNBD_F_SYNC, 0, 4096, false, 0 },
	{ X_IO, NULL, 0, RNBD_OP_DISCARD | RNBD_F_SYNC, 16, 4096, false, 0 },
	{ X_CLOSE, NULL, 0, 0, 0, 0, false, 0 },
	{ X_SESS_INFO, NULL, 0, 0, 0, 0, false, 0 },
	{ X_OPEN, "/dev/nothere", 0, 0, 0, 0, false, -2 },
};

#define REQUESTS ARRAY_SIZE(expected)

struct walk {
	const char *file;
	bool new_rkey;
	unsigned int request;		/* the next of expected[] */
	const struct expected *last;	/* the latest, to match answers */
	unsigned int compared;
};

static void same(struct walk *w, const struct rec_msg *m, const void *got,
		 size_t len, const char *what)
{
	const u8 *b = got;
	size_t i;

	w->compared++;
	if (len != m->len)
		bad("line %u: %s of %zu bytes, recorded %u", m->line, what,
		    len, m->len);
	for (i = 0; i < len && i < m->len; i++) {
		if (b[i] == m->data[i])
			continue;
		bad("line %u: %s: byte %zu is %#x, recorded %#x", m->line,
		    what, i, b[i], m->data[i]);
		return;
	}
}

static void equal(const struct rec_msg *m, u64 got, u64 want, const char *what)
{
	if (got != want)
		bad("line %u: %s is %#llx, expected %#llx", m->line, what,
		    (unsigned long long)got, (unsigned long long)want);
}

/* --- set-up ------------------------------------------------------------------ */

static void conn_req(struct walk *w, const struct rec_msg *m, unsigned int cid)
{
	struct rtrs_msg_conn_req msg;
	struct rtrs_conn_req req, want = {
		.cid = cid,
		.cid_num = 3,
		.recon_cnt = 1,
		.first_conn = true,
	};
	u8 padded[92] = { 0 };

	memcpy(&want.sess_uuid, m->data + 12, 16);
	memcpy(&want.paths_uuid, m->data + 28, 16);
	rtrs_conn_req_encode(&msg, &want);
	same(w, m, &msg, sizeof(msg), "CONN_REQ");

	/* The CM hands over more than was sent where the message is short. */
	memcpy(padded, m->data, m->len);
	memset(&req, 0xff, sizeof(req));
	if (rtrs_conn_req_decode(&req, padded, sizeof(padded)))
		bad("line %u: CONN_REQ is not understood", m->line);
	equal(m, req.cid, cid, "cid");
	equal(m, req.cid_num, 3, "cid_num");
	equal(m, req.recon_cnt, 1, "recon_cnt");
	equal(m, req.first_conn, 1, "first_conn");
	equal(m, req.features, 0, "features");
	equal(m, req.wanted_depth, 0, "wanted_depth");
	if (memcmp(&req.sess_uuid, m->data + 12, 16) ||
	    memcmp(&req.paths_uuid, m->data + 28, 16))
		bad("line %u: other uuids", m->line);
	if (!rtrs_conn_req_decode(&req, m->data, m->len - 1))
		bad("line %u: CONN_REQ of 55 bytes is accepted", m->line);
}

static void conn_rsp(struct walk *w, const struct rec_msg *m)
{
	struct rtrs_msg_conn_rsp msg;
	struct rtrs_conn_rsp rsp, want = {
		.queue_depth = DEPTH,
		.max_io_size = CHUNK_SIZE - 4096,
		.max_hdr_size = 4096,
		.flags = w->new_rkey ? RTRS_RSP_NEW_RKEY : 0,
	};
	u8 padded[196] = { 0 };

	rtrs_conn_rsp_encode(&msg, &want);
	same(w, m, &msg, sizeof(msg), "CONN_RSP");

	memcpy(padded, m->data, m->len);
	memset(&rsp, 0xff, sizeof(rsp));
	if (rtrs_conn_rsp_decode(&rsp, padded, sizeof(padded)) ||
	    rtrs_conn_rsp_check(&rsp, 0, 0))
		bad("line %u: CONN_RSP is not accepted", m->line);
	equal(m, rsp.err, 0, "errno");
	equal(m, rsp.queue_depth, want.queue_depth, "queue_depth");
	equal(m, rsp.max_io_size, want.max_io_size, "max_io_size");
	equal(m, rsp.max_hdr_size, want.max_hdr_size, "max_hdr_size");
	equal(m, rsp.flags, want.flags, "flags");
	equal(m, rsp.features, 0, "features");
}

static void info_req(struct walk *w, const struct rec_msg *m)
{
	struct rtrs_msg_info_req msg;

	rtrs_info_req_encode(&msg, "golden");
	same(w, m, &msg, sizeof(msg), "INFO_REQ");
	memcpy(&msg, m->data, sizeof(msg));
	if (!rtrs_info_req_ok(&msg, m->len) ||
	    strcmp((char *)msg.sessname, "golden"))
		bad("line %u: INFO_REQ is not understood", m->line);
}

/* What lies in the gap of the recording: descriptors, invented. */
static void fill_descs(const struct rec_msg *m, u8 *b)
{
	u32 off;

	for (off = 8; off < m->len; off += 16)
		if (off + 16 > m->head && off < m->len - m->tail)
			memcpy(b + off, m->data + 8, 16);
}

static void info_rsp(struct walk *w, const struct rec_msg *m)
{
	struct rtrs_conn_rsp rsp = {
		.queue_depth = DEPTH,
		.max_io_size = CHUNK_SIZE - 4096,
		.max_hdr_size = 4096,
		.flags = w->new_rkey ? RTRS_RSP_NEW_RKEY : 0,
	};
	struct rtrs_msg_info_rsp *msg = xzalloc(m->len);
	unsigned int descs = w->new_rkey ? DEPTH : 1, i;
	struct rtrs_sg_desc desc;
	struct rec_msg one = *m;

	memcpy(msg, m->data, m->len);
	if (m->tail)
		fill_descs(m, (u8 *)msg);
	equal(m, rtrs_info_rsp_size(descs), m->len, "INFO_RSP's length");
	equal(m, rtrs_info_rsp_check(msg, m->len, &rsp), descs,
	      "number of descriptors");
	for (i = 0; i < 2 && i < descs; i++) {
		one.data = m->data + 8 + 16 * i;
		one.len = 16;
		rtrs_sg_desc_encode(&desc, le64_to_cpu(msg->desc[i].addr),
				    le32_to_cpu(msg->desc[i].key),
				    DEPTH / descs * CHUNK_SIZE);
		same(w, &one, &desc, sizeof(desc), "descriptor");
	}
	rtrs_info_rsp_init(msg, descs);
	one.data = m->data;
	one.len = 8;
	same(w, &one, msg, 8, "head of INFO_RSP");
	free(msg);
}

/* --- requests ------------------------------------------------------------------ */

/* The user message that @x describes; returns its length. */
static size_t encode_user(const struct expected *x, void *buf)
{
	struct rnbd_io io = {
		.sector = x->sector,
		.rw = x->op,
		.bi_size = x->size,
		.prio = PRIO,
	};

	switch (x->what) {
	case X_SESS_INFO:
		rnbd_sess_info_encode(buf, RNBD_MSG_SESS_INFO,
				      RNBD_PROTO_VER_MAJOR);
		return sizeof(struct rnbd_msg_sess_info);
	case X_OPEN:
		rnbd_open_encode(buf, RNBD_ACCESS_RW, x->name);
		return sizeof(struct rnbd_msg_open);
	case X_CLOSE:
		rnbd_close_encode(buf, 0);
		return sizeof(struct rnbd_msg_close);
	default:
		rnbd_io_encode(buf, &io);
		return sizeof(struct rnbd_msg_io);
	}
}

/* How much the server shall send. */
static u32 read_size(const struct expected *x)
{
	if (x->what == X_SESS_INFO)
		return sizeof(struct rnbd_msg_sess_info);
	if (x->what == X_OPEN)
		return sizeof(struct rnbd_msg_open_rsp);
	return x->what == X_IO && (x->op & RNBD_OP_MASK) == RNBD_OP_READ ?
	       x->size : 0;
}

static void decode_user(const struct expected *x, const struct rec_msg *m,
			const void *usr, size_t len)
{
	struct rnbd_io io = { 0 };
	u32 id = ~0;

	switch (x->what) {
	case X_SESS_INFO:
		equal(m, rnbd_sess_info_decode(usr, len, RNBD_MSG_SESS_INFO),
		      2, "version");
		break;
	case X_OPEN:
		if (rnbd_open_check(usr, len) ||
		    strcmp(((struct rnbd_msg_open *)usr)->dev_name, x->name))
			bad("line %u: OPEN is not understood", m->line);
		break;
	case X_CLOSE:
		equal(m, rnbd_close_decode(&id, usr, len), 0, "CLOSE");
		equal(m, id, 0, "device_id");
		break;
	default:
		equal(m, rnbd_io_decode(&io, usr, len), 0, "IO");
		equal(m, io.device_id, 0, "device_id");
		equal(m, io.sector, x->sector, "sector");
		equal(m, io.rw, x->op, "rw");
		equal(m, io.bi_size, x->size, "bi_size");
		equal(m, io.prio, PRIO, "prio");
		/* As an older client would have sent it. */
		equal(m, rnbd_io_decode(&io, usr, 24), 0, "IO of 24 bytes");
		equal(m, io.prio, 0, "prio of an IO of 24 bytes");
		if (!rnbd_io_decode(&io, usr, 23))
			bad("line %u: IO of 23 bytes is accepted", m->line);
	}
}

/* Both directions of an immediate of a request. */
static void check_request_imm(const struct rec_msg *m, u32 chunk, u32 off)
{
	unsigned int bits = rtrs_chunk_bits(DEPTH);
	__be32 imm = htonl(m->imm);
	u32 payload = rtrs_imm_payload(imm);

	equal(m, ntohl(rtrs_imm_io_req(chunk, off, bits)), m->imm,
	      "immediate");
	equal(m, rtrs_imm_type(imm), RTRS_IMM_IO_REQ, "type of immediate");
	equal(m, rtrs_io_req_chunk(payload, bits), chunk, "chunk");
	equal(m, rtrs_io_req_off(payload, bits), off, "offset");
}

static void read_request(const struct expected *x, const struct rec_msg *m,
			 const u8 *rtrs, size_t left, u8 *msg, size_t *len,
			 size_t usr_len)
{
	struct rtrs_read_req got, want = {
		.usr_len = usr_len,
		.need_inval = true,
		.sg_cnt = 1,
		.len = read_size(x),
	};

	equal(m, rtrs_msg_type(rtrs), RTRS_MSG_READ, "RTRS type");
	if (rtrs_msg_read_decode(&got, rtrs, left)) {
		bad("line %u: READ is not understood", m->line);
		return;
	}
	equal(m, got.usr_len, usr_len, "usr_len");
	equal(m, got.need_inval, 1, "NEED_INVAL");
	equal(m, got.sg_cnt, 1, "sg_cnt");
	equal(m, got.len, want.len, "desc.len");
	/* Address and key are the recorded machine's; read them by hand. */
	memcpy(&want.addr, rtrs + 8, 8);
	memcpy(&want.key, rtrs + 16, 4);
	equal(m, got.addr, want.addr, "desc.addr");
	equal(m, got.key, want.key, "desc.key");
	*len += rtrs_msg_read_encode(msg + *len, &want);
}

static void write_request(const struct rec_msg *m, const u8 *rtrs, size_t left,
			  u8 *msg, size_t *len, size_t usr_len)
{
	u16 got = 0;

	equal(m, rtrs_msg_type(rtrs), RTRS_MSG_WRITE, "RTRS type");
	if (rtrs_msg_write_decode(&got, rtrs, left))
		bad("line %u: WRITE is not understood", m->line);
	equal(m, got, usr_len, "usr_len");
	*len += rtrs_msg_write_encode(msg + *len, usr_len);
}

static void request(struct walk *w, const struct rec_msg *m)
{
	const struct expected *x = &expected[w->request];
	u8 *msg = xzalloc(m->len + 1024), *rtrs;
	size_t len = 0, usr_len;
	u32 room = read_size(x);

	if (w->request == REQUESTS)
		die("%s:%u: more requests than expected", w->file, m->line);
	w->request++;
	w->last = x;
	if (x->data) {
		memset(msg, 'W', x->size);
		len = x->size;
	}
	usr_len = encode_user(x, msg + len);
	decode_user(x, m, m->data + len, usr_len);
	len += usr_len;
	rtrs = m->data + len;
	check_request_imm(m, x->chunk, room + len);
	if (room)
		read_request(x, m, rtrs, m->len - len, msg, &len, usr_len);
	else
		write_request(m, rtrs, m->len - len, msg, &len, usr_len);
	same(w, m, msg, len, "request");
	free(msg);
}

/* --- answers ------------------------------------------------------------------- */

static void open_rsp(struct walk *w, const struct rec_msg *m)
{
	struct rnbd_dev_limits lim = { 0 };
	struct rnbd_msg_open_rsp msg;
	const struct rnbd_dev_limits want = {
		.device_id = 0,
		.nsectors = 128 << 11,
		.max_hw_sectors = 255,
		.max_write_zeroes_sectors = 0,
		.max_discard_sectors = 0xffffffff,
		.discard_granularity = 4096,
		.physical_block_size = 4096,
		.logical_block_size = 512,
		.max_segments = 128,
	};

	rnbd_open_rsp_encode(&msg, &want);
	same(w, m, &msg, sizeof(msg), "OPEN_RSP");
	if (rnbd_open_rsp_decode(&lim, m->data, m->len))
		bad("line %u: OPEN_RSP is not understood", m->line);
	equal(m, lim.device_id, want.device_id, "device_id");
	equal(m, lim.nsectors, want.nsectors, "nsectors");
	equal(m, lim.max_hw_sectors, want.max_hw_sectors, "max_hw_sectors");
	equal(m, lim.max_write_zeroes_sectors, 0, "max_write_zeroes_sectors");
	equal(m, lim.max_discard_sectors, want.max_discard_sectors,
	      "max_discard_sectors");
	equal(m, lim.discard_granularity, 4096, "discard_granularity");
	equal(m, lim.discard_alignment, 0, "discard_alignment");
	equal(m, lim.physical_block_size, 4096, "physical_block_size");
	equal(m, lim.logical_block_size, 512, "logical_block_size");
	equal(m, lim.max_segments, 128, "max_segments");
	equal(m, lim.secure_discard, 0, "secure_discard");
	equal(m, lim.cache_policy, 0, "cache_policy");
}

/* The data of a read: only RNBD's own messages have something to say. */
static void answer_data(struct walk *w, const struct rec_msg *m)
{
	struct rnbd_msg_sess_info info;

	if (w->last->what == X_OPEN)
		return open_rsp(w, m);
	if (w->last->what != X_SESS_INFO)
		return;
	rnbd_sess_info_encode(&info, RNBD_MSG_SESS_INFO_RSP, 2);
	same(w, m, &info, sizeof(info), "SESS_INFO_RSP");
	equal(m, rnbd_sess_info_decode(m->data, m->len,
				       RNBD_MSG_SESS_INFO_RSP), 2, "version");
}

static void answer_imm(struct walk *w, const struct rec_msg *m)
{
	const struct expected *x = w->last;
	enum rtrs_imm_type type = read_size(x) ? RTRS_IMM_IO_RSP_W_INV :
						 RTRS_IMM_IO_RSP;
	__be32 imm = htonl(m->imm);
	u32 payload = rtrs_imm_payload(imm);

	w->compared++;
	equal(m, rtrs_imm_type(imm), type, "type of immediate");
	equal(m, rtrs_io_rsp_chunk(payload), x->chunk, "chunk");
	equal(m, rtrs_io_rsp_err(payload), x->err, "errno");
	equal(m, ntohl(rtrs_imm_io_rsp(type, x->chunk, x->err)), m->imm,
	      "immediate");
}

static void rkey_rsp(struct walk *w, const struct rec_msg *m)
{
	struct rtrs_msg_rkey_rsp msg;
	u32 rkey;

	memcpy(&msg, m->data, sizeof(msg));
	if (!rtrs_rkey_rsp_ok(&msg, m->len, w->last->chunk))
		bad("line %u: RKEY_RSP is not accepted", m->line);
	if (rtrs_rkey_rsp_ok(&msg, m->len, w->last->chunk + 1))
		bad("line %u: RKEY_RSP of another chunk is accepted", m->line);
	memcpy(&rkey, m->data + 4, 4);
	equal(m, le32_to_cpu(msg.rkey), rkey, "rkey");
	rtrs_rkey_rsp_encode(&msg, w->last->chunk, rkey);
	same(w, m, &msg, sizeof(msg), "RKEY_RSP");
}

static void heartbeat(struct walk *w, const struct rec_msg *m)
{
	enum rtrs_imm_type type = m->imm >> 28;

	w->compared++;
	equal(m, ntohl(rtrs_imm(type, 0)), m->imm, "heartbeat");
	equal(m, rtrs_imm_type(htonl(m->imm)), type, "heartbeat's type");
}

static bool is_heartbeat(const struct rec_msg *m)
{
	return m->imm == 0x80000000 || m->imm == 0x90000000;
}

/* --- the walk --------------------------------------------------------------------- */

static void message(struct walk *w, const struct rec_msg *m, unsigned int *cid,
		    bool *gap)
{
	switch (m->kind) {
	case REC_CM_REQ:
		if (!m->data[6])
			*cid = 0;
		conn_req(w, m, (*cid)++);
		break;
	case REC_CM_REP:
		conn_rsp(w, m);
		break;
	case REC_SEND:
		if (m->client)
			info_req(w, m);
		else
			info_rsp(w, m);
		break;
	case REC_WRITE:
		if (!*gap)
			answer_data(w, m);
		break;
	case REC_SEND_WITH_IMM:
		/* Behind a gap comes the answer of a request left out. */
		if (!*gap) {
			answer_imm(w, m);
			rkey_rsp(w, m);
		}
		break;
	case REC_WRITE_WITH_IMM:
		if (is_heartbeat(m)) {
			heartbeat(w, m);
		} else if (m->client) {
			*gap = false;
			request(w, m);
		} else if (!*gap) {
			answer_imm(w, m);
		}
		break;
	case REC_GAP:
		*gap = true;
		break;
	default:
		break;
	}
}

static void walk(const char *file, bool new_rkey)
{
	const char *name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	struct walk w = { .file = name, .new_rkey = new_rkey };
	struct recording rec;
	unsigned int i, cid = 0;
	bool gap = false;

	recording_load(&rec, file);
	for (i = 0; i < rec.num; i++)
		message(&w, &rec.msg[i], &cid, &gap);
	if (w.request != REQUESTS)
		bad("%u requests, expected %zu", w.request, REQUESTS);
	note("%u messages compared", w.compared);
	recording_free(&rec);
	tap_done("%s: every message encoded and decoded", name);
}

/* --- what the recordings do not show ------------------------------------------------ */

static void t_chunk_bits(void)
{
	static const struct { u32 depth; unsigned int bits; } rows[] = {
		{ 1, 0 }, { 2, 1 }, { 3, 2 }, { 500, 9 }, { 512, 9 },
		{ 513, 10 }, { 65535, 16 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned int bits = rtrs_chunk_bits(rows[i].depth);
		u32 chunk = rows[i].depth - 1, off = 36, imm;

		if (bits != rows[i].bits)
			bad("%u chunks: %u bits, expected %u", rows[i].depth,
			    bits, rows[i].bits);
		imm = ntohl(rtrs_imm_io_req(chunk, off, bits));
		if (imm != (u32)((u64)chunk << (28 - rows[i].bits)) + off)
			bad("%u chunks: immediate %#x", rows[i].depth, imm);
		if (rtrs_io_req_chunk(imm, bits) != chunk ||
		    rtrs_io_req_off(imm, bits) != off)
			bad("%u chunks: immediate is not read back",
			    rows[i].depth);
	}
	tap_done("chunk numbers in an immediate");
}

static void t_errnos(void)
{
	static const struct { int err; u32 wire; } rows[] = {
		{ 0, 0 }, { -2, 2 }, { -511, 511 }, { -512, 5 }, { -524, 95 },
		{ -4095, 5 }, { 1, 5 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		u32 imm = ntohl(rtrs_imm_io_rsp(RTRS_IMM_IO_RSP, 7,
						rows[i].err));

		if (imm != 0x10000007 + (rows[i].wire << 19))
			bad("errno %d: immediate %#x", rows[i].err, imm);
	}
	tap_done("errnos in an immediate");
}

static void t_mainline_flush(void)
{
	/* As section 5 of the protocol gives it: there is no recording. */
	static const u8 wire[] = {
		4, 0, 0, 0, 3, 0, 0, 0,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0x02, 0x07, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		3, 0, 32, 0, 0, 0, 0, 0,
	};
	struct rtrs_read_req req = { .sg_cnt = 9 };
	struct rnbd_io io = { 0 };

	if (rnbd_io_decode(&io, wire, 32) || io.device_id != 3 ||
	    io.sector != ~0ull || io.bi_size ||
	    io.rw != (RNBD_OP_FLUSH | RNBD_F_SYNC | RNBD_F_FUA |
		      RNBD_F_PREFLUSH))
		bad("FLUSH is not understood");
	if (rtrs_msg_read_decode(&req, wire + 32, 8) || req.sg_cnt ||
	    req.need_inval || req.usr_len != 32)
		bad("READ without a descriptor is not understood");
	tap_done("FLUSH of a mainline client");
}

static void t_rejects(void)
{
	struct rtrs_conn_rsp rsp = { .err = -17, .queue_depth = 512 }, got;
	struct rtrs_msg_conn_rsp msg;
	const u8 *b = (u8 *)&msg;

	rtrs_conn_rsp_encode(&msg, &rsp);
	if (b[4] != 0xef || b[5] != 0xff)
		bad("EEXIST is %02x %02x", b[4], b[5]);
	if (rtrs_conn_rsp_decode(&got, &msg, sizeof(msg)) || got.err != -17)
		bad("EEXIST is read as %d", got.err);
	tap_done("errno of a reject");
}

int main(int argc, char **argv)
{
	int i;

	tap_start();
	/* vectors/...-invalidate-n.txt and ...-y.txt */
	for (i = 1; i < argc; i++)
		walk(argv[i], !!strstr(argv[i], "invalidate-y"));
	if (argc < 2)
		die("usage: proto-vectors RECORDING...");
	t_chunk_bits();
	t_errnos();
	t_mainline_flush();
	t_rejects();
	return tap_finish();
}
