// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a hostile client can do with the server's memory: chunks used twice,
 * chunks rewritten while the server works with them, and keys it should not use
 *
 * What must not be seen is checked on the disk: after each attempt to change data
 * that is under way, it has to hold what was there when the request was taken.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hostile-client.h"

#define CHUNK	3
#define LEN	4096			/* a server may copy as little as that */
#define LARGE	(4 * LEN)		/* and it invalidates the chunk for that */

/* --- a chunk used twice --------------------------------------------------------- */

/* A slow write of pattern @round to @sector, which the server has taken. */
static struct req *slow_write_len(struct foe *f, unsigned int cid, uint32_t id,
				  uint64_t sector, unsigned int round,
				  unsigned int len)
{
	struct req *r = foe_io(f, cid, CHUNK, id, RNBD_OP_WRITE, sector, len);

	pattern(r->data, len, sector, round);
	if (clt_send(&f->c, r))
		bad("cannot send");
	/* what is answered on the same connection was sent later */
	foe_must_live(f, cid, "a slow write");
	if (r->done)
		bad("the slow disk is not slow");
	return r;
}

static struct req *slow_write(struct foe *f, unsigned int cid, uint32_t id,
			      uint64_t sector, unsigned int round)
{
	return slow_write_len(f, cid, id, sector, round, LEN);
}

/* A request for a chunk that has one, whatever is in it. */
static void again(struct foe *f, unsigned int cid, unsigned int chunk)
{
	const struct post p = {
		.cid = cid,
		.op = IBV_WR_RDMA_WRITE_WITH_IMM,
		.imm = imm_io_req(f->c.rsp.queue_depth, chunk, LEN + RNBD_IO_LEN),
	};

	if (foe_post(f, &p))
		bad("cannot send");
}

static void expect_done(struct foe *f, struct req *r, const char *what)
{
	int ret = clt_wait(&f->c, r);

	expect(ret ?: r->err, 0, what);
}

static void expect_on_disk_len(uint64_t sector, unsigned int round,
			       unsigned int len)
{
	uint8_t b[LARGE];

	if (look_at(D_SLOW, sector, len, b))
		check_pattern(b, len, sector, round, "on the disk");
}

static void expect_on_disk(uint64_t sector, unsigned int round)
{
	expect_on_disk_len(sector, round, LEN);
}

static void twice_on(unsigned int cid)
{
	struct foe f;
	uint32_t id;

	if (foe_start(&f) && foe_open(&f, D_SLOW, &id)) {
		slow_write(&f, 1, id, 0, 1);
		again(&f, cid, CHUNK);
		foe_must_end(&f, "a chunk twice");
	}
	foe_free(&f);
}

static void t_twice(void)
{
	twice_on(1);
}

static void t_twice_cids(void)
{
	twice_on(0);
}

/* No telling whether the first has been answered: anything but a crash. */
static void t_twice_chain(void)
{
	struct foe f;
	struct req *r;
	uint32_t id;
	int i;

	if (foe_start(&f) && foe_open(&f, D_DEV, &id)) {
		f.c.wild = true;
		r = foe_io(&f, 1, CHUNK, id, RNBD_OP_WRITE, 0, LEN);
		clt_send(&f.c, r);
		for (i = 0; i < 10; i++)
			again(&f, i & 1, CHUNK);
		foe_idle(&f, 100);
	}
	foe_free(&f);
}

/* An administrative request and I/O on one chunk. */
static void t_twice_admin(void)
{
	struct foe f;
	uint32_t id;

	if (foe_start(&f) && foe_open(&f, D_SLOW, &id)) {
		slow_write(&f, 1, id, 0, 1);
		clt_send(&f.c, close_req(&f.c, 5, id));
		foe_must_live(&f, 0, "CLOSE that waits");
		again(&f, 0, 5);
		foe_must_end(&f, "a chunk twice");
	}
	foe_free(&f);
}

/* Two paths of one session. */
struct pair {
	struct foe f, g;
	uint32_t id;
};

static bool pair_start(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	return foe_start(&p->f) && foe_start2(&p->g, &p->f) &&
	       foe_open(&p->f, D_SLOW, &p->id);
}

static void pair_free(struct pair *p)
{
	foe_free(&p->g);
	foe_free(&p->f);
}

static void t_other_path(void)
{
	struct req *a, *b;
	struct pair p;

	if (pair_start(&p)) {
		a = slow_write(&p.f, 1, p.id, 0, 2);
		b = slow_write(&p.g, 1, p.id, 0, 3);
		expect_done(&p.f, a, "the first");
		expect_done(&p.g, b, "the second, on another path");
		expect_on_disk(0, 3);
	}
	pair_free(&p);
}

static void t_other_path_twice(void)
{
	struct req *a;
	struct pair p;

	if (pair_start(&p)) {
		a = slow_write(&p.f, 1, p.id, 8, 4);
		slow_write(&p.g, 1, p.id, 8, 5);
		again(&p.g, 1, CHUNK);
		foe_must_end(&p.g, "a chunk twice on the second path");
		expect_done(&p.f, a, "the first path's");
		foe_must_live(&p.f, 1, "the end of the other path");
	}
	pair_free(&p);
}

/* A failover as an honest client does it: the last write wins. */
static void t_failover(void)
{
	struct req *b;
	struct pair p;

	if (pair_start(&p)) {
		slow_write(&p.f, 1, p.id, 16, 6);
		foe_free(&p.f);
		b = slow_write(&p.g, 1, p.id, 16, 6);
		expect_done(&p.g, b, "the same again");
		b = slow_write(&p.g, 1, p.id, 16, 7);
		expect_done(&p.g, b, "another write there");
		expect_on_disk(16, 7);
	}
	pair_free(&p);
}

/* SESS_INFO on one chunk of both paths, again and again. */
static void t_admin_paths(void)
{
	struct req *a, *b;
	struct pair p;
	int i;

	if (pair_start(&p)) {
		for (i = 0; i < 20; i++) {
			a = sess_info_req(&p.f.c, CHUNK);
			b = sess_info_req(&p.g.c, CHUNK);
			clt_send(&p.f.c, a);
			clt_send(&p.g.c, b);
			expect_done(&p.f, a, "SESS_INFO");
			expect_done(&p.g, b, "SESS_INFO on the other path");
		}
	}
	pair_free(&p);
}

static const struct run_case twice_runs[] = {
	{ { "at once on one connection", 0 }, t_twice },
	{ { "at once on two connections", 0 }, t_twice_cids },
	{ { "ten times in a row without waiting", 0 }, t_twice_chain },
	{ { "during a CLOSE that waits", 0 }, t_twice_admin },
	{ { "on another path, which is legal", CASE_PATH2 }, t_other_path },
	{ { "twice on the other path", CASE_PATH2 }, t_other_path_twice },
	{ { "on another path, as the first has died", CASE_PATH2 }, t_failover },
	{ { "SESS_INFO on both paths", CASE_PATH2 }, t_admin_paths },
};

/* --- a chunk rewritten while the server works with it ---------------------------- */

/* The key that opens a chunk of @f before a request for it is sent. */
static struct desc chunk_of(const struct foe *f, unsigned int nr)
{
	return f->c.chunk[nr];
}

static void rewrite(struct foe *by, unsigned int cid, const struct desc *d,
		    unsigned int off, unsigned int len)
{
	const struct post p = {
		.cid = cid,
		.op = IBV_WR_RDMA_WRITE,
		.len = len,
		.addr = d->addr + off,
		.key = d->key,
	};

	memset(by->scratch, 0x66, len);
	if (foe_post(by, &p))
		bad("cannot send");
}

/*
 * By the key of the very path.  It ends, and with it what the server had not
 * begun: then the disk holds what it did before.
 */
static void t_rewrite_own(void)
{
	struct desc d;
	struct foe f;
	uint32_t id;
	uint8_t b[LARGE];
	struct req *r;

	if (!foe_start(&f) || !foe_open(&f, D_SLOW, &id)) {
		foe_free(&f);
		return;
	}
	r = slow_write_len(&f, 1, id, 128, 1, LARGE);
	expect_done(&f, r, "the write before");
	d = chunk_of(&f, CHUNK);
	slow_write_len(&f, 1, id, 128, 2, LARGE);
	rewrite(&f, 1, &d, 0, LARGE);
	foe_must_end(&f, "data rewritten by the chunk's own key");
	foe_free(&f);
	if (look_at(D_SLOW, 128, LARGE, b) &&
	    pattern_differs(b, LARGE, 128, 1) >= 0 &&
	    pattern_differs(b, LARGE, 128, 2) >= 0)
		bad("the disk holds neither the old data nor the new");
}

/* A small one, which may have been copied: then the chunk is of no interest. */
static void rewrite_own(unsigned int len, uint64_t sector)
{
	bool ended;
	struct desc d;
	struct foe f;
	uint32_t id;
	struct req *r;

	if (foe_start(&f) && foe_open(&f, D_SLOW, &id)) {
		d = chunk_of(&f, CHUNK);
		r = slow_write_len(&f, 1, id, sector, 2, len);
		rewrite(&f, 1, &d, 0, len);
		ended = clt_wait(&f.c, r) || f.c.dead;
		if (ended)
			bad("the path has ended");
		else
			expect(r->err, 0, "the write");
		expect_on_disk_len(sector, 2, len);
	}
	foe_free(&f);
}

static void t_rewrite_own_small(void)
{
	rewrite_own(LEN, 24);
}

static void t_rewrite_own_sector(void)
{
	rewrite_own(512, 24);
}

/* Again and again, while it is being copied: what is written is in any case one piece. */
static void t_rewrite_many(void)
{
	struct desc d;
	struct foe f;
	uint32_t id;
	struct req *r;
	int i;

	if (foe_start(&f) && foe_open(&f, D_SLOW, &id)) {
		d = chunk_of(&f, CHUNK);
		r = slow_write(&f, 1, id, 24, 3);
		for (i = 0; i < 20; i++)
			rewrite(&f, 1, &d, 0, LEN + RNBD_IO_LEN);
		expect_done(&f, r, "the write");
		expect_on_disk(24, 3);
	}
	foe_free(&f);
}

/* By that key, but from another path's queue pair. */
static void rewrite_other_qp(unsigned int len, uint64_t sector)
{
	struct req *r;
	struct desc d;
	struct pair p;

	if (pair_start(&p)) {
		d = chunk_of(&p.f, CHUNK);
		r = slow_write_len(&p.f, 1, p.id, sector, 2, len);
		rewrite(&p.g, 1, &d, 0, len);
		foe_must_end(&p.g, "another path's key");
		expect_done(&p.f, r, "the write");
		expect_on_disk_len(sector, 2, len);
	}
	pair_free(&p);
}

static void t_rewrite_other_qp(void)
{
	rewrite_other_qp(LARGE, 192);
}

static void t_rewrite_other_qp_small(void)
{
	rewrite_other_qp(LEN, 32);
}

/* By the other path's key of that chunk number: its own memory, and nothing else. */
static void rewrite_alias(unsigned int len, uint64_t sector)
{
	struct req *r;
	struct desc d;
	struct pair p;

	if (pair_start(&p)) {
		r = slow_write_len(&p.f, 1, p.id, sector, 3, len);
		d = chunk_of(&p.g, CHUNK);
		rewrite(&p.g, 1, &d, 0, len + 100);
		foe_must_live(&p.g, 1, "writing to its own memory");
		expect_done(&p.f, r, "the write");
		expect_on_disk_len(sector, 3, len);
	}
	pair_free(&p);
}

static void t_rewrite_alias(void)
{
	rewrite_alias(LARGE, 256);
}

static void t_rewrite_alias_small(void)
{
	rewrite_alias(LEN, 40);
}

/* The one that waits for the first, on the other path, is not rewritten either. */
static void t_rewrite_waiting(void)
{
	struct req *b;
	struct desc d;
	struct pair p;

	if (pair_start(&p)) {
		slow_write(&p.f, 1, p.id, 48, 4);
		d = chunk_of(&p.g, CHUNK);
		b = slow_write(&p.g, 1, p.id, 48, 5);
		rewrite(&p.f, 1, &d, 0, LEN);
		foe_must_end(&p.f, "the other path's key");
		expect_done(&p.g, b, "the second write");
		expect_on_disk(48, 5);
	}
	pair_free(&p);
}

/* A read's chunk stays the client's; its message and its data do not count. */
static void rewrite_read(enum disk disk, unsigned int off, unsigned int len)
{
	struct desc d;
	struct foe f;
	struct req *r;
	uint32_t id;

	if (foe_start(&f) && foe_open(&f, disk, &id)) {
		r = slow_write(&f, 1, id, 56, 6);
		expect_done(&f, r, "the write before");
		r = foe_io(&f, 1, CHUNK, id, RNBD_OP_READ, 56, LEN);
		d = chunk_of(&f, CHUNK);
		clt_send(&f.c, r);
		foe_must_live(&f, 1, "a slow read");
		rewrite(&f, 1, &d, off, len);
		foe_must_live(&f, 1, "rewriting a read");
		expect_done(&f, r, "the read");
		if (r->done && !r->err)
			check_pattern(r->data, LEN, 56, 6, "what was read");
	}
	foe_free(&f);
}

static void t_rewrite_read_msg(void)
{
	rewrite_read(D_SLOW, LEN, RNBD_IO_LEN + WIRE_RTRS_READ_LEN(1));
}

static void t_rewrite_read_data(void)
{
	rewrite_read(D_SLOW, 0, LEN);
}

/* When the disk has read it, but not said so. */
static void t_rewrite_read_late(void)
{
	rewrite_read(D_LATE, 0, LEN);
}

/*
 * In one go with the request: either message may be the one that is taken, and
 * the chunk's key may be gone already.  The disk is no matter.
 */
static void race(unsigned int op, unsigned int off, unsigned int len)
{
	struct foe f = { 0 };
	struct desc d;
	struct req *r;
	uint32_t id = 0;
	int i, ends = 0;

	for (i = 0; i < 30; i++) {
		if (!f.on || f.c.dead) {
			foe_free(&f);
			if (ends++ == 3 || !foe_start(&f) ||
			    !foe_open(&f, D_DEV, &id))
				break;
		}
		d = chunk_of(&f, CHUNK);
		r = foe_io(&f, 1, CHUNK, id, op, 0, LEN);
		clt_send(&f.c, r);
		rewrite(&f, 1, &d, off, len);
		if (clt_wait(&f.c, r) == -ETIMEDOUT)
			bad("no answer");
	}
	foe_free(&f);
	note("%d paths for it", ends);
}

static void t_race_write_msg(void)
{
	race(RNBD_OP_WRITE, LEN, RNBD_IO_LEN);
}

static void t_race_write_rtrs(void)
{
	race(RNBD_OP_WRITE, LEN + RNBD_IO_LEN, WIRE_RTRS_WRITE_LEN);
}

static void t_race_write_data(void)
{
	race(RNBD_OP_WRITE, 0, LEN);
}

static void t_race_read_msg(void)
{
	race(RNBD_OP_READ, LEN, RNBD_IO_LEN);
}

static const struct run_case rewrite_runs[] = {
	{ { "a write's data, by the key it came with", CASE_KEEPS },
	  t_rewrite_own },
	{ { "a small write's data, by the key it came with", CASE_KEEPS },
	  t_rewrite_own_small },
	{ { "a sector's data, by the key it came with", CASE_KEEPS },
	  t_rewrite_own_sector },
	{ { "a small write's data, again and again", CASE_KEEPS },
	  t_rewrite_many },
	{ { "a write's data, by that key from another path", CASE_PATH2 },
	  t_rewrite_other_qp },
	{ { "a small write's data, by that key from another path", CASE_PATH2 },
	  t_rewrite_other_qp_small },
	{ { "a write's data, by the other path's key", CASE_PATH2 },
	  t_rewrite_alias },
	{ { "a small write's data, by the other path's key", CASE_PATH2 },
	  t_rewrite_alias_small },
	{ { "of a write that waits, from the path it waits for", CASE_PATH2 },
	  t_rewrite_waiting },
	{ { "a read's message", 0 }, t_rewrite_read_msg },
	{ { "a read's data, before it is read", CASE_KEEPS },
	  t_rewrite_read_data },
	{ { "a read's data, after it is read", CASE_KEEPS },
	  t_rewrite_read_late },
	{ { "right behind a write, its message", 0 }, t_race_write_msg },
	{ { "right behind a write, its RTRS message", 0 }, t_race_write_rtrs },
	{ { "right behind a write, its data", 0 }, t_race_write_data },
	{ { "right behind a read, its message", 0 }, t_race_read_msg },
};

/* --- keys --------------------------------------------------------------------------- */

enum key_of {
	K_CHUNK,			/* of CHUNK, with @add */
	K_FLIPPED,
	K_OLD,				/* of CHUNK, before it was last used */
	K_HONEST,			/* of another session */
	K_LOCAL,			/* our own memory's */
	K_NONE,				/* 0 */
};

struct key_case {
	struct hcase h;
	enum ibv_wr_opcode op;
	enum key_of key;
	int add;			/* to the key */
	long off;			/* in the chunk */
	unsigned int len;
	bool lives;
	bool can_read;			/* raise our own limits first */
};

static const struct key_case key_cases[] = {
	{ { "the next one", 0 }, IBV_WR_RDMA_WRITE, K_CHUNK, 1, 0, 64, 0, 0 },
	{ { "the one before", 0 }, IBV_WR_RDMA_WRITE, K_CHUNK, -1, 0, 64, 0, 0 },
	{ { "of the next region", 0 }, IBV_WR_RDMA_WRITE, K_CHUNK, 256, 0, 64, 0,
	  0 },
	{ { "of the region before", 0 }, IBV_WR_RDMA_WRITE, K_CHUNK, -256, 0, 64,
	  0, 0 },
	{ { "all bits of it flipped", 0 }, IBV_WR_RDMA_WRITE, K_FLIPPED, 0, 0, 64,
	  0, 0 },
	{ { "0", 0 }, IBV_WR_RDMA_WRITE, K_NONE, 0, 0, 64, 0, 0 },
	{ { "2^32 - 1", 0 }, IBV_WR_RDMA_WRITE, K_NONE, -1, 0, 64, 0, 0 },
	{ { "256, the first there can be", 0 }, IBV_WR_RDMA_WRITE, K_NONE, 256, 0,
	  64, 0, 0 },
	{ { "of our own memory", 0 }, IBV_WR_RDMA_WRITE, K_LOCAL, 0, 0, 64, 0, 0 },
	{ { "from before its last use", CASE_KEEPS }, IBV_WR_RDMA_WRITE, K_OLD, 0,
	  0, 64, 0, 0 },
	{ { "from before its last use, for a request", CASE_KEEPS },
	  IBV_WR_RDMA_WRITE_WITH_IMM, K_OLD, 0, 0, 64, 0, 0 },
	{ { "of another session's chunk", 0 }, IBV_WR_RDMA_WRITE, K_HONEST, 0, 0,
	  64, 0, 0 },
	{ { "of another session's chunk, for a request", 0 },
	  IBV_WR_RDMA_WRITE_WITH_IMM, K_HONEST, 0, 0, 64, 0, 0 },
	{ { "of another session's chunk, RDMA READ", 0 }, IBV_WR_RDMA_READ,
	  K_HONEST, 0, 0, 64, 0, 1 },
	{ { "of another session's chunk, to add", 0 },
	  IBV_WR_ATOMIC_FETCH_AND_ADD, K_HONEST, 0, 0, 8, 0, 1 },
	{ { "its own, RDMA READ", 0 }, IBV_WR_RDMA_READ, K_CHUNK, 0, 0, 64, 0, 1 },
	{ { "its own, to add", 0 }, IBV_WR_ATOMIC_FETCH_AND_ADD, K_CHUNK, 0, 0, 8,
	  0, 1 },
	{ { "its own, to compare and swap", 0 }, IBV_WR_ATOMIC_CMP_AND_SWP,
	  K_CHUNK, 0, 0, 8, 0, 1 },
	{ { "its own, a byte before the chunk", CASE_KEEPS }, IBV_WR_RDMA_WRITE, K_CHUNK,
	  0, -1, 64, 0, 0 },
	{ { "its own, from the end of the chunk on", CASE_GEO | CASE_KEEPS },
	  IBV_WR_RDMA_WRITE, K_CHUNK, 0, GEO_CHUNK, 64, 0, 0 },
	{ { "its own, over the end of the chunk", CASE_GEO | CASE_KEEPS },
	  IBV_WR_RDMA_WRITE, K_CHUNK, 0, GEO_CHUNK - 63, 64, 0, 0 },
	{ { "its own, a byte more than the chunk", CASE_GEO | CASE_KEEPS },
	  IBV_WR_RDMA_WRITE, K_CHUNK, 0, 0, GEO_CHUNK + 1, 0, 0 },
	{ { "its own, all of the chunk", CASE_GEO }, IBV_WR_RDMA_WRITE, K_CHUNK,
	  0, 0, GEO_CHUNK, 1, 0 },
	{ { "its own, far away", 0 }, IBV_WR_RDMA_WRITE, K_CHUNK, 0, 1l << 40, 64,
	  0, 0 },
	{ { "wrong, for 0 bytes, which asks nobody", 0 }, IBV_WR_RDMA_WRITE,
	  K_NONE, 0, 0, 0, 1, 0 },
};

/*
 * A server takes no RDMA READ, and says so when it accepts, so that our own
 * queue pair would not send one.  It is talked into it.
 */
static bool modify(struct ibv_qp *qp, enum ibv_qp_state state, int mask)
{
	struct ibv_qp_attr attr = {
		.qp_state = state,
		.max_rd_atomic = 4,
	};
	uint64_t until = now_ms() + patient(2000);

	while (ibv_modify_qp(qp, &attr, IBV_QP_STATE | mask))
		if (now_ms() > until)
			return false;
	return true;
}

static bool allow_reads(struct foe *f, unsigned int cid)
{
	struct ibv_qp *qp = f->c.conn[cid].id->qp;

	if (modify(qp, IBV_QPS_SQD, 0) &&
	    modify(qp, IBV_QPS_SQD, IBV_QP_MAX_QP_RD_ATOMIC) &&
	    modify(qp, IBV_QPS_RTS, 0))
		return true;
	note("our queue pair cannot be talked into it: %s", strerror(errno));
	return false;
}

static struct desc key_desc(const struct foe *f, const struct key_case *c,
			    const struct desc *old)
{
	struct desc d = f->c.chunk[CHUNK];

	switch (c->key) {
	case K_FLIPPED:
		d.key = ~d.key;
		break;
	case K_OLD:
		d = *old;
		break;
	case K_HONEST:
		d = honest_clt()->chunk[CHUNK];
		break;
	case K_LOCAL:
		d.key = f->mr->rkey;
		break;
	case K_NONE:
		d.key = 0;
		break;
	default:
		break;
	}
	d.key += c->add;
	return d;
}

static void run_key(const void *elem)
{
	const struct key_case *c = elem;
	struct desc d, old;
	struct post p = { .cid = 1, .op = c->op, .len = c->len };
	struct foe f;
	uint32_t id;

	if (!foe_start(&f) || !foe_open(&f, D_DEV, &id))
		goto out;
	old = f.c.chunk[CHUNK];
	expect(clt_call(&f.c, foe_io(&f, 1, CHUNK, id, RNBD_OP_WRITE, 0, LARGE)), 0,
	       "an honest write");
	if (c->can_read && !allow_reads(&f, 1))
		goto out;
	d = key_desc(&f, c, &old);
	p.addr = d.addr + c->off;
	p.key = d.key;
	p.imm = imm_io_req(f.c.rsp.queue_depth, CHUNK, 0);
	memset(f.scratch, 0x77, 64);
	if (foe_post(&f, &p))
		bad("cannot send");
	if (c->lives) {
		foe_must_live(&f, 1, "an RDMA write");
		goto out;
	}
	foe_must_end(&f, "a wrong key");
	/* nothing of the server's came */
	if (c->op != IBV_WR_RDMA_WRITE &&
	    c->op != IBV_WR_RDMA_WRITE_WITH_IMM && f.scratch[0] != 0x77)
		bad("the server's memory has been read");
out:
	foe_free(&f);
}

/* Another path's keys, of the same session. */
static void path_key(enum ibv_wr_opcode op)
{
	struct post p = { .cid = 1, .op = op, .len = 64 };
	struct pair pair;

	if (pair_start(&pair) &&
	    (op != IBV_WR_RDMA_READ || allow_reads(&pair.g, 1))) {
		p.addr = pair.f.c.chunk[CHUNK].addr;
		p.key = pair.f.c.chunk[CHUNK].key;
		foe_post(&pair.g, &p);
		foe_must_end(&pair.g, "another path's key");
		foe_must_live(&pair.f, 1, "that path");
	}
	pair_free(&pair);
}

static void t_path_key_write(void)
{
	path_key(IBV_WR_RDMA_WRITE);
}

static void t_path_key_read(void)
{
	path_key(IBV_WR_RDMA_READ);
}

/* Who asks for RDMA READ when it connects does not get it either. */
static void asked_for(enum ibv_wr_opcode op)
{
	struct post p = { .cid = 1, .op = op, .len = 8 };
	struct foe f;

	foe_init(&f, NULL);
	f.c.cfg.reads = 16;
	if (foe_up(&f) && allow_reads(&f, 1)) {
		p.addr = f.c.chunk[CHUNK].addr;
		p.key = f.c.chunk[CHUNK].key;
		memset(f.scratch, 0x77, 64);
		foe_post(&f, &p);
		foe_must_end(&f, "its own chunk");
		if (f.scratch[0] != 0x77)
			bad("the server's memory has been read");
	}
	foe_free(&f);
}

static void t_asked_read(void)
{
	asked_for(IBV_WR_RDMA_READ);
}

static void t_asked_add(void)
{
	asked_for(IBV_WR_ATOMIC_FETCH_AND_ADD);
}

/* Keys around a real one, at the real address: each costs a path. */
static void t_key_scan(void)
{
	static const int add[] = { 2, 16, 255, 257, 512, 1024, -512, 4096 };
	struct post p = { .cid = 1, .op = IBV_WR_RDMA_WRITE, .len = 8 };
	struct foe f;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(add); i++) {
		if (foe_start(&f)) {
			p.addr = honest_clt()->chunk[1].addr;
			p.key = honest_clt()->chunk[1].key + add[i];
			foe_post(&f, &p);
			foe_must_end(&f, "a guessed key");
		}
		foe_free(&f);
	}
}

static const struct run_case key_runs[] = {
	{ { "of another path, RDMA write", CASE_PATH2 }, t_path_key_write },
	{ { "of another path, RDMA READ", CASE_PATH2 }, t_path_key_read },
	{ { "its own, RDMA READ, having asked for it", 0 }, t_asked_read },
	{ { "its own, to add, having asked for it", 0 }, t_asked_add },
	{ { "guessed around another session's", 0 }, t_key_scan },
};

const struct group mem_groups[] = {
	{ "chunk", twice_runs, sizeof(twice_runs[0]), ARRAY_SIZE(twice_runs),
	  run_case },
	{ "rewrite", rewrite_runs, sizeof(rewrite_runs[0]), ARRAY_SIZE(rewrite_runs),
	  run_case },
	{ "key", key_cases, sizeof(key_cases[0]), ARRAY_SIZE(key_cases),
	  run_key },
	{ "key", key_runs, sizeof(key_runs[0]), ARRAY_SIZE(key_runs),
	  run_case },
};

const unsigned int n_mem_groups = ARRAY_SIZE(mem_groups);
