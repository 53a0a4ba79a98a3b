// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a hostile client can say to RTRS, and how a message with some bytes changed
 * is sent
 *
 * It is sent as it is written into the chunk: whatever it claims, an answer may
 * write the data that the honest message asks for and no byte more, for the
 * memory around that is poisoned and looked at (client.c).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hostile-client-msg.h"

/* A session that lives through all cases with an answer. */
struct foe A;
uint32_t A_id[D_COUNT];

bool a_start(void)
{
	if (A.on)
		clt_poll(&A.c, now_ms());
	if (A.on && !A.c.dead)
		return true;
	foe_free(&A);
	return foe_start(&A) && foe_open(&A, D_DEV, &A_id[D_DEV]) &&
	       foe_open(&A, D_RO, &A_id[D_RO]) &&
	       (!cfg.dev4k || foe_open(&A, D_4K, &A_id[D_4K]));
}

static struct req *base_io(struct foe *f, uint32_t id, unsigned int op,
			   unsigned int size, unsigned int data_len)
{
	struct rnbd_io io = { .device_id = id, .rw = op, .bi_size = size };

	return io_req(&f->c, 1, CHUNK, &io, data_len);
}

static struct req *base_req(struct foe *f, const struct msg_case *c, uint32_t id)
{
	switch (c->base) {
	case M_READ:
		return base_io(f, id, RNBD_OP_READ, 512, 512);
	case M_WRITE:
		return base_io(f, id, RNBD_OP_WRITE, 512, 512);
	case M_EMPTY_WRITE:
		return base_io(f, id, RNBD_OP_WRITE, 0, 0);
	case M_FLUSH:
		return base_io(f, id, RNBD_OP_FLUSH, 0, 0);
	case M_DISCARD:
		return base_io(f, id, RNBD_OP_DISCARD, 4096, 0);
	case M_ERASE:
		return base_io(f, id, RNBD_OP_SECURE_ERASE, 4096, 0);
	case M_ZEROES:
		return base_io(f, id, RNBD_OP_WRITE_ZEROES, 4096, 0);
	case M_SESS_INFO:
		return sess_info_req(&f->c, CHUNK);
	case M_OPEN:
		return open_req(&f->c, CHUNK, RNBD_RO, c->name ?: cfg.ro);
	default:
		return close_req(&f->c, CHUNK, 0xfffffff);
	}
}

/* A message as it goes into the chunk, behind the data. */
struct shot {
	uint8_t rtrs[WIRE_RTRS_READ_LEN(1)];
	unsigned int rtrs_len;
	uint32_t imm;
};

static void shot_rtrs(struct shot *s, const struct req *r)
{
	const struct desc d = {
		.addr = (uintptr_t)r->data,
		.key = r->key,
		.len = r->data_len,
	};

	if (!r->read) {
		rtrs_write_encode(s->rtrs, r->usr_len);
		s->rtrs_len = WIRE_RTRS_WRITE_LEN;
		return;
	}
	rtrs_read_encode(s->rtrs, r->usr_len, 0, r->no_desc ? NULL : &d);
	/* room for a descriptor that only a patch puts there */
	if (r->no_desc)
		desc_encode(s->rtrs + WIRE_RTRS_READ_LEN(0), &d);
	s->rtrs_len = WIRE_RTRS_READ_LEN(1);
}

/* Of data, message and RTRS message the first is the request's. */
static int shoot(struct foe *f, struct req *r, const struct shot *s)
{
	const struct desc *chunk = &f->c.chunk[r->chunk];
	struct ibv_sge sge[2] = { 0 };
	struct ibv_send_wr wr = {
		.wr_id = wr_id(WR_TX, r->chunk),
		.opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
		.send_flags = IBV_SEND_SIGNALED,
		.sg_list = sge,
		.imm_data = htonl(s->imm),
		.wr.rdma = { .remote_addr = chunk->addr, .rkey = chunk->key },
	};
	unsigned int n = 0;
	int ret;

	memcpy(r->msg, r->usr, r->usr_len);
	memcpy(r->msg + r->usr_len, s->rtrs, s->rtrs_len);
	if (r->read) {
		wr.wr.rdma.remote_addr += r->data_len;
	} else if (r->data_len) {
		sge[n].addr = (uintptr_t)r->data;
		sge[n].length = r->data_len;
		sge[n++].lkey = r->area_mr->lkey;
	}
	sge[n].addr = (uintptr_t)r->msg;
	sge[n].length = r->usr_len + s->rtrs_len;
	sge[n++].lkey = r->msg_mr->lkey;
	wr.num_sge = n;
	r->busy = true;
	ret = conn_post(&f->c.conn[r->cid], &wr);
	if (ret)
		r->busy = false;
	return ret;
}

static uint32_t shot_imm(const struct foe *f, const struct req *r,
			 const struct msg_case *c)
{
	unsigned int qd = f->c.rsp.queue_depth;
	uint8_t off[4], imm[4];

	put32(off, r->data_len + r->usr_len);
	patch_apply(c->p, P_OFF, off, sizeof(off));
	put32(imm, imm_io_req(qd, r->chunk, get32(off)));
	patch_apply(c->p, P_IMM, imm, sizeof(imm));
	return get32(imm);
}

struct req *fire(struct foe *f, const struct msg_case *c, uint32_t id)
{
	struct req *r = base_req(f, c, id);
	struct shot s = { .rtrs_len = 0 };

	if (c->usr_len)
		r->usr_len = c->usr_len == ~0u ? 0 : c->usr_len;
	if (c->service)
		r->cid = 0;
	if (c->as_write) {
		r->read = false;
		r->data_len = 0;
	}
	if (c->as_read) {
		r->read = true;
		r->no_desc = !r->data_len;
	}
	r->key = r->area_mr->rkey;
	patch_apply(c->p, P_USR, r->usr, sizeof(r->usr));
	shot_rtrs(&s, r);
	patch_apply(c->p, P_RTRS, s.rtrs, sizeof(s.rtrs));
	s.imm = shot_imm(f, r, c);
	if (shoot(f, r, &s))
		bad("cannot send");
	return r;
}

/* Its answer, in the session for that. */
static void run_answered(const struct msg_case *c)
{
	struct req *r;
	int ret;

	if (!a_start())
		return;
	r = fire(&A, c, A_id[c->disk]);
	ret = clt_wait(&A.c, r);
	ret = ret ?: r->err;
	if (c->want >= 0)
		expect(ret, c->want, "answer");
	else if (ret < 0)
		bad("no answer: %s", strerror(-ret));
	foe_must_live(&A, 1, "an answer");
}

/* What may cost the path has one of its own, and looks at the disk ro. */
static void run_ending(const struct msg_case *c)
{
	uint64_t until;
	struct foe f;
	struct req *r;
	uint32_t id;

	if (foe_start(&f) && foe_open(&f, D_RO, &id)) {
		r = fire(&f, c, id);
		until = now_ms() + (c->want == END ? cfg.clt.timeout_ms : 500);
		while (!r->done && !f.c.dead && now_ms() < until)
			clt_poll(&f.c, until);
		if (c->want == END) {
			foe_must_end(&f, "a message");
			if (r->done && !r->err)
				bad("it was answered with success");
		} else if (!r->done && !f.c.dead) {
			bad("no answer, and the path goes on");
		}
	}
	foe_free(&f);
}

void run_msg(const void *elem)
{
	const struct msg_case *c = elem;

	if (c->want == END || c->want == ANY)
		run_ending(c);
	else
		run_answered(c);
}

/* --- immediates ------------------------------------------------------------------- */

#define T(type, payload) IMM((uint64_t)(type) << 28 | (payload))

/* With 50 chunks, 6 bits are the chunk; 22 bits of offset for 128 KiB. */
static const struct msg_case imm_cases[] = {
	{ .h = { "type 1, IO_RSP", 0 }, M_READ, END, { T(1, 3) } },
	{ .h = { "type 2, IO_RSP_W_INV", 0 }, M_READ, END, { T(2, 3) } },
	{ .h = { "type 3, IO_RSP_ROLL", 0 }, M_READ, END, { T(3, 3) } },
	{ .h = { "type 4", 0 }, M_READ, END, { T(4, 0) } },
	{ .h = { "type 7", 0 }, M_READ, END, { T(7, 0x0fffffff) } },
	{ .h = { "type 10, USER_EVENT", 0 }, M_READ, END, { T(10, 0) } },
	{ .h = { "type 15", 0 }, M_READ, END, { T(15, 0x0fffffff) } },
	{ .h = { "HB_MSG on cid 1", 0 }, M_READ, END, { T(8, 0) } },
	{ .h = { "HB_ACK on cid 1", 0 }, M_READ, END, { T(9, 0) } },
	{ .h = { "chunk 63 of 50", CASE_GEO }, M_READ, END, { IMM(0x0fc00220) } },
	{ .h = { "all ones of an IO_REQ", CASE_GEO }, M_READ, END, { IMM(0x0fffffff) } },
	{ .h = { "offset 0, no message there", 0 }, M_SESS_INFO, EINVAL,
	  { OFF(0) } },
	{ .h = { "offset 1", 0 }, M_READ, EINVAL, { OFF(1) } },
	{ .h = { "offset at the very end", CASE_GEO }, M_READ, EINVAL,
	  { OFF(0x20000 - 4) } },
	{ .h = { "offset a byte behind that", CASE_GEO }, M_READ, EINVAL,
	  { OFF(0x20000 - 3) } },
	{ .h = { "offset the last byte", CASE_GEO }, M_READ, EINVAL,
	  { OFF(0x20000 - 1) } },
	{ .h = { "offset just beyond the chunk", CASE_GEO }, M_READ, EINVAL,
	  { OFF(0x20000) } },
	{ .h = { "offset 4 MiB - 1", CASE_GEO }, M_READ, EINVAL, { OFF(0x3fffff) } },
};

/* The first chunk number that there is none of. */
static void t_chunk_beyond(void)
{
	struct msg_case c = {
		.base = M_READ,
		.want = END,
		.p = { IMM(imm_io_req(honest_clt()->rsp.queue_depth,
				      honest_clt()->rsp.queue_depth, 544)) },
	};

	if (chunk_bits(honest_clt()->rsp.queue_depth) ==
	    chunk_bits(honest_clt()->rsp.queue_depth + 1))
		run_msg(&c);
	else
		note("all chunk numbers of the immediate are in use");
}

/* A request for a chunk that nothing was ever written to. */
static void t_empty_chunk(void)
{
	struct post p = { .cid = 1, .op = IBV_WR_RDMA_WRITE_WITH_IMM };
	struct foe f;
	struct req *r;

	if (foe_start(&f)) {
		r = clt_req(&f.c, 1, 7, 0);
		r->busy = true;
		p.imm = imm_io_req(f.c.rsp.queue_depth, 7, 544);
		foe_post(&f, &p);
		expect(clt_wait(&f.c, r) ?: r->err, EINVAL, "answer");
		foe_must_live(&f, 1, "a request without a message");
	}
	foe_free(&f);
}

/* Messages right where the chunk ends, with nothing of them behind it. */
static void at_the_end(unsigned int type, unsigned int room, unsigned int usr,
		       int want)
{
	unsigned int qd, size;
	struct post p = {
		.cid = 1,
		.op = IBV_WR_RDMA_WRITE_WITH_IMM,
		.len = room,
	};
	struct req *r;
	int ret;

	if (!a_start())
		return;
	qd = A.c.rsp.queue_depth;
	size = A.c.chunk_size;
	r = clt_req(&A.c, 1, CHUNK, 0);
	rtrs_read_encode(A.scratch, usr, 0, NULL);
	put16(A.scratch, type);
	put16(A.scratch + READ_SG_CNT, 1);
	p.imm = imm_io_req(qd, CHUNK, size - room);
	p.addr = A.c.chunk[CHUNK].addr + size - room;
	p.key = A.c.chunk[CHUNK].key;
	r->busy = true;
	if (foe_post(&A, &p))
		bad("cannot send");
	ret = clt_wait(&A.c, r);
	expect(ret ?: r->err, want, "answer");
	foe_must_live(&A, 1, "an answer");
}

static void t_end_write(void)
{
	at_the_end(RTRS_WRITE, 4, 65535, EINVAL);
}

static void t_end_read_cut(void)
{
	at_the_end(RTRS_READ, 4, 32, EINVAL);
}

static void t_end_read_no_desc(void)
{
	at_the_end(RTRS_READ, 8, 32, EINVAL);
}

static void t_end_read_half_desc(void)
{
	at_the_end(RTRS_READ, 16, 32, EINVAL);
}

static const struct run_case imm_runs[] = {
	{ { "the first chunk number that there is not", 0 }, t_chunk_beyond },
	{ { "a chunk that nothing was written to", 0 }, t_empty_chunk },
	{ { "a WRITE that ends with the chunk", 0 }, t_end_write },
	{ { "a READ cut off by the chunk's end", 0 }, t_end_read_cut },
	{ { "a READ whose descriptor would be behind the chunk", 0 },
	  t_end_read_no_desc },
	{ { "a READ with half a descriptor in the chunk", 0 },
	  t_end_read_half_desc },
};

/* --- RTRS messages ------------------------------------------------------------------ */

const struct msg_case rtrs_cases[] = {
	{ .h = { "type INFO_REQ", 0 }, M_READ, EINVAL, { R(0, 2, 0) } },
	{ .h = { "type INFO_RSP", 0 }, M_READ, EINVAL, { R(0, 2, 1) } },
	{ .h = { "type RKEY_RSP", 0 }, M_READ, EINVAL, { R(0, 2, 4) } },
	{ .h = { "type 5", 0 }, M_WRITE, EINVAL, { R(0, 2, 5) } },
	{ .h = { "type 65535", 0 }, M_WRITE, EINVAL, { R(0, 2, 0xffff) } },
	{ .h = { "WRITE, usr_len 0", 0 }, M_WRITE, EINVAL,
	  { R(RTRS_USR_LEN, 2, 0) } },
	{ .h = { "WRITE, usr_len 1", 0 }, M_WRITE, EINVAL,
	  { R(RTRS_USR_LEN, 2, 1) } },
	{ .h = { "WRITE, usr_len a byte less", 0 }, M_WRITE, EINVAL,
	  { R(RTRS_USR_LEN, 2, 31) } },
	{ .h = { "WRITE, usr_len a byte more", 0 }, M_WRITE, EINVAL,
	  { R(RTRS_USR_LEN, 2, 33) } },
	{ .h = { "WRITE, usr_len all there is", 0 }, M_WRITE, EINVAL,
	  { R(RTRS_USR_LEN, 2, 544) } },
	{ .h = { "WRITE, usr_len above the offset", 0 }, M_WRITE, EINVAL,
	  { R(RTRS_USR_LEN, 2, 545) } },
	{ .h = { "WRITE, usr_len 65535", 0 }, M_WRITE, EINVAL,
	  { R(RTRS_USR_LEN, 2, 0xffff) } },
	{ .h = { "READ, usr_len 0", 0 }, M_READ, EINVAL,
	  { R(RTRS_USR_LEN, 2, 0) } },
	{ .h = { "READ, usr_len 1", 0 }, M_READ, EINVAL,
	  { R(RTRS_USR_LEN, 2, 1) } },
	{ .h = { "READ, usr_len a byte less", 0 }, M_READ, EINVAL,
	  { R(RTRS_USR_LEN, 2, 31) } },
	{ .h = { "READ, usr_len a byte more", 0 }, M_READ, EINVAL,
	  { R(RTRS_USR_LEN, 2, 33) } },
	{ .h = { "READ, usr_len above the offset", 0 }, M_READ, EINVAL,
	  { R(RTRS_USR_LEN, 2, 545) } },
	{ .h = { "READ, usr_len 65535", 0 }, M_READ, EINVAL,
	  { R(RTRS_USR_LEN, 2, 0xffff) } },
	{ .h = { "sg_cnt 2", 0 }, M_READ, EINVAL, { R(READ_SG_CNT, 2, 2) } },
	{ .h = { "sg_cnt 65535", 0 }, M_READ, EINVAL,
	  { R(READ_SG_CNT, 2, 0xffff) } },
	{ .h = { "sg_cnt 0 for a read of data", 0 }, M_READ, EINVAL,
	  { R(READ_SG_CNT, 2, 0) } },
	{ .h = { "sg_cnt 0 with NEED_INVAL", 0 }, M_READ, EINVAL,
	  { R(READ_SG_CNT, 2, 0), R(READ_FLAGS, 2, 1) } },
	{ .h = { "sg_cnt 65535 with NEED_INVAL", 0 }, M_READ, EINVAL,
	  { R(READ_SG_CNT, 2, 0xffff), R(READ_FLAGS, 2, 1) } },
	{ .h = { "unknown flags", 0 }, M_READ, 0, { R(READ_FLAGS, 2, 0xfffe) } },
	{ .h = { "desc.len 0", 0 }, M_READ, EINVAL, { R(READ_LEN, 4, 0) } },
	{ .h = { "desc.len 1", 0 }, M_READ, EINVAL, { R(READ_LEN, 4, 1) } },
	{ .h = { "desc.len a byte less", 0 }, M_READ, EINVAL,
	  { R(READ_LEN, 4, 511) } },
	{ .h = { "desc.len a byte more", 0 }, M_READ, EINVAL,
	  { R(READ_LEN, 4, 513) } },
	{ .h = { "desc.len all of the chunk", CASE_GEO }, M_READ, EINVAL,
	  { R(READ_LEN, 4, 0x20000) } },
	{ .h = { "desc.len 2^31", 0 }, M_READ, EINVAL,
	  { R(READ_LEN, 4, 0x80000000) } },
	{ .h = { "desc.len 2^32 - 1", 0 }, M_READ, EINVAL,
	  { R(READ_LEN, 4, 0xffffffff) } },
	{ .h = { "a wrong key", 0 }, M_READ, END,
	  { R(READ_KEY, 4, 0xdeadbeef) } },
	{ .h = { "key 0", 0 }, M_READ, END, { R(READ_KEY, 4, 0) } },
	{ .h = { "address 0", 0 }, M_READ, END, { R(READ_ADDR, 8, 0) } },
	{ .h = { "address of the server's kernel", 0 }, M_READ, END,
	  { R(READ_ADDR, 8, 0xffffffff81000000) } },
	{ .h = { "NEED_INVAL of a wrong key, of what fails", 0 }, M_READ, ANY,
	  { R(READ_FLAGS, 2, 1), R(READ_KEY, 4, 0x1234), U(IO_RW, 4, 99) } },
	{ .h = { "NEED_INVAL of a region that cannot be", 0 }, M_READ, ANY,
	  { R(READ_FLAGS, 2, 1) } },
	{ .h = { "a read as a WRITE", 0 }, M_READ, EINVAL, .as_write = true },
	{ .h = { "a write as a READ", 0 }, M_WRITE, EINVAL, .as_read = true },
	{ .h = { "a discard as a READ", 0 }, M_DISCARD, ANSWER,
	  .as_read = true },
	{ .h = { "SESS_INFO as a WRITE", 0 }, M_SESS_INFO, EINVAL,
	  .as_write = true },
	{ .h = { "OPEN as a WRITE", 0 }, M_OPEN, EINVAL, .as_write = true },
	{ .h = { "CLOSE as a READ", 0 }, M_CLOSE, ANSWER, .as_read = true },
};

/*
 * A region longer than what the request produces: what is behind that in the
 * server's memory must not come.
 */
static void longer_region(struct req *r, unsigned int produced)
{
	unsigned int i;
	int ret = clt_call(&A.c, r);

	if (ret < 0)
		bad("no answer: %s", strerror(-ret));
	for (i = ret > 0 ? 0 : produced; i < r->data_len; i++) {
		if (r->data[i] != CLT_POISON) {
			bad("byte %u is %#x: the server's memory", i,
			    r->data[i]);
			return;
		}
	}
}

static struct req *with_region(struct req *r, unsigned int len)
{
	struct req copy = *r;

	r = clt_req(&A.c, copy.cid, copy.chunk, len);
	memcpy(r->usr, copy.usr, sizeof(r->usr));
	r->usr_len = copy.usr_len;
	r->read = true;
	return r;
}

static void t_longer_sess_info(void)
{
	if (a_start())
		longer_region(with_region(sess_info_req(&A.c, CHUNK), 65536),
			      RNBD_SESS_INFO_LEN);
}

static void t_longer_open(void)
{
	if (a_start())
		longer_region(with_region(open_req(&A.c, CHUNK, RNBD_RO, cfg.ro),
					  65536), RNBD_OPEN_RSP_LEN);
}

static void t_longer_open_fails(void)
{
	if (a_start())
		longer_region(with_region(open_req(&A.c, CHUNK, RNBD_RO, "/nil"),
					  65536), 0);
}

static void t_longer_read(void)
{
	if (a_start())
		longer_region(with_region(foe_io(&A, 1, CHUNK, A_id[D_DEV],
						 RNBD_OP_READ, 0, 512), 65536),
			      0);
}

static void t_longer_flush(void)
{
	if (a_start())
		longer_region(with_region(foe_io(&A, 1, CHUNK, A_id[D_DEV],
						 RNBD_OP_FLUSH, 0, 0), 65536),
			      0);
}

static void t_longer_close(void)
{
	if (a_start())
		longer_region(with_region(close_req(&A.c, CHUNK, 0xfffffff),
					  65536), 0);
}

static const struct run_case rtrs_runs[] = {
	{ { "SESS_INFO into 64 KiB", 0 }, t_longer_sess_info },
	{ { "OPEN into 64 KiB", 0 }, t_longer_open },
	{ { "OPEN that fails into 64 KiB", 0 }, t_longer_open_fails },
	{ { "a read of 512 bytes into 64 KiB", 0 }, t_longer_read },
	{ { "a flush into 64 KiB", 0 }, t_longer_flush },
	{ { "CLOSE into 64 KiB", 0 }, t_longer_close },
};

const unsigned int n_rtrs_cases = ARRAY_SIZE(rtrs_cases);

const struct group msg_groups[] = {
	{ "immediate", imm_cases, sizeof(imm_cases[0]), ARRAY_SIZE(imm_cases),
	  run_msg },
	{ "immediate", imm_runs, sizeof(imm_runs[0]), ARRAY_SIZE(imm_runs),
	  run_case },
	{ "RTRS", rtrs_cases, sizeof(rtrs_cases[0]), ARRAY_SIZE(rtrs_cases),
	  run_msg },
	{ "RTRS", rtrs_runs, sizeof(rtrs_runs[0]), ARRAY_SIZE(rtrs_runs),
	  run_case },
};

const unsigned int n_msg_groups = ARRAY_SIZE(msg_groups);
