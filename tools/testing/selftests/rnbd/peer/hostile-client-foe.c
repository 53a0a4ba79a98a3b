// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The attacking sessions of hostile-client
 *
 * A foe is a path whose end is no surprise, with memory to send anything from.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hostile-client.h"

/* Chunks that cases leave to what is done here, counted from the last. */
#define CHUNK_LIVE	1
#define CHUNK_OPEN	2

static unsigned int last_chunk(const struct foe *f, unsigned int n)
{
	return f->c.rsp.queue_depth - n;
}

/* --- the life of a foe -------------------------------------------------------- */

static void init_with(struct foe *f, const struct clt_cfg *conf,
		      const char *name)
{
	static unsigned int nr;
	/* clt_init() keeps the pointer */
	static char names[64][64];
	char *own = names[nr++ % ARRAY_SIZE(names)];
	struct clt_cfg mine = *conf;

	snprintf(own, sizeof(names[0]), "%s-%u", conf->sessname, nr);
	mine.sessname = name ?: own;
	memset(f, 0, sizeof(*f));
	clt_init(&f->c, &mine);
	f->c.dying = true;
	f->on = true;
}

void foe_init(struct foe *f, const char *name)
{
	init_with(f, &cfg.clt, name);
}

bool foe_conn(struct foe *f, unsigned int cid)
{
	uint8_t b[WIRE_CONN_LEN];
	struct conn_result res;

	f->c.ident.cid = cid;
	conn_req_encode(b, &f->c.ident);
	res = clt_conn_open(&f->c, cid, b, sizeof(b));
	if (res.err) {
		bad("cid %u: not accepted: %d", cid, res.err);
		return false;
	}
	f->c.rsp = res.rsp;
	f->c.chunk_size = res.rsp.max_io_size + res.rsp.max_hdr_size;
	return true;
}

bool foe_up(struct foe *f)
{
	int ret = clt_connect(&f->c);

	ret = ret ?: clt_info(&f->c);
	if (ret)
		bad("no session to attack from: %s", strerror(-ret));
	return !ret && foe_scratch(f);
}

bool foe_start(struct foe *f)
{
	foe_init(f, NULL);
	return foe_up(f);
}

void foe_init2(struct foe *f, const struct foe *of, const char *name)
{
	init_with(f, &cfg.clt2, name ?: of->c.cfg.sessname);
	memcpy(f->c.ident.paths_uuid, of->c.ident.paths_uuid, WIRE_UUID_LEN);
	f->c.ident.first_conn = 0;
}

bool foe_start2(struct foe *f, const struct foe *of)
{
	foe_init2(f, of, NULL);
	return foe_up(f);
}

void foe_free(struct foe *f)
{
	if (!f->on)
		return;
	if (f->mr)
		ibv_dereg_mr(f->mr);
	if (f->scratch)
		munmap(f->scratch, FOE_SCRATCH);
	clt_free(&f->c);
	memset(f, 0, sizeof(*f));
}

void foe_end(struct foe *f)
{
	unsigned int cid;

	for (cid = 0; cid < f->c.cid_num; cid++)
		if (f->c.conn[cid].up)
			rdma_disconnect(f->c.conn[cid].id);
	foe_must_end(f, "disconnecting");
	foe_free(f);
}

bool foe_scratch(struct foe *f)
{
	if (f->mr)
		return true;
	f->scratch = xpages(FOE_SCRATCH);
	f->mr = ibv_reg_mr(f->c.pd, f->scratch, FOE_SCRATCH,
			   IBV_ACCESS_LOCAL_WRITE);
	if (!f->mr)
		die("cannot register memory: %s", strerror(errno));
	return true;
}

/* --- disks ---------------------------------------------------------------------- */

static const char *disk_name(enum disk d)
{
	switch (d) {
	case D_DEV:	return cfg.dev;
	case D_RO:	return cfg.ro;
	case D_SLOW:	return cfg.slow;
	case D_LATE:	return cfg.late;
	default:	return cfg.dev4k;
	}
}

static int try_open(struct foe *f, unsigned int access, const char *name,
		    uint32_t *id)
{
	struct req *r = open_req(&f->c, last_chunk(f, CHUNK_OPEN), access, name);
	struct rnbd_open_rsp rsp;
	int ret = clt_call(&f->c, r);

	if (ret)
		return ret;
	rnbd_open_rsp_decode(&rsp, r->data);
	*id = rsp.device_id;
	return 0;
}

/* Two foes may have D_DEV open: one that lives long, and the one of a case. */
static unsigned int disk_access(enum disk d)
{
	switch (d) {
	case D_RO:	return RNBD_RO;
	case D_DEV:	return RNBD_MIGRATION;
	default:	return RNBD_RW;
	}
}

/* The right to write goes with the path of the foe before, which takes a bit. */
bool foe_open(struct foe *f, enum disk d, uint32_t *id)
{
	uint64_t until = now_ms() + cfg.clt.timeout_ms;
	int ret;

	while ((ret = try_open(f, disk_access(d), disk_name(d), id)) == EPERM &&
	       now_ms() < until)
		foe_idle(f, 20);
	expect(ret, 0, "OPEN");
	return !ret;
}

struct req *foe_io(struct foe *f, unsigned int cid, unsigned int chunk,
		   uint32_t id, uint32_t rw, uint64_t sector, uint32_t len)
{
	struct rnbd_io io = {
		.device_id = id,
		.sector = sector,
		.rw = rw,
		.bi_size = len,
	};

	return io_req(&f->c, cid, chunk, &io, len);
}

/* A session that does nothing but look. */
static bool viewer(struct foe **v)
{
	static struct foe f;

	if (f.on)
		clt_poll(&f.c, now_ms());
	*v = &f;
	if (f.on && !f.c.dead)
		return true;
	foe_free(&f);
	return foe_start(&f);
}

bool look_at(enum disk d, uint64_t sector, uint32_t len, uint8_t *to)
{
	struct foe *v;
	uint32_t id;
	struct req *r;
	int ret;

	if (!viewer(&v))
		return false;
	ret = try_open(v, RNBD_RO, disk_name(d), &id);
	expect(ret, 0, "OPEN to look at a disk");
	if (ret)
		return false;
	r = foe_io(v, 1, 1, id, RNBD_OP_READ, sector, len);
	ret = clt_call(&v->c, r);
	expect(ret, 0, "read to look at a disk");
	if (!ret)
		memcpy(to, r->data, len);
	return !ret;
}

/* --- what became of it ---------------------------------------------------------- */

void foe_must_end(struct foe *f, const char *what)
{
	if (clt_wait_end(&f->c, cfg.clt.timeout_ms))
		bad("%s: the path goes on", what);
}

void foe_must_live(struct foe *f, unsigned int cid, const char *what)
{
	struct req *r;
	int ret;

	if (!f->c.dead) {
		r = sess_info_req(&f->c, last_chunk(f, CHUNK_LIVE));
		r->cid = cid;
		ret = clt_call(&f->c, r);
		if (!ret)
			return;
		bad("%s: then SESS_INFO: %d (%s)", what, ret, err_name(ret));
	} else {
		bad("%s: the path has ended", what);
	}
}

void foe_idle(struct foe *f, unsigned int ms)
{
	uint64_t until = now_ms() + ms;

	do {
		honest_poll();
		clt_poll(&f->c, until);
	} while (now_ms() < until);
}

static bool sends_pending(const struct foe *f)
{
	unsigned int i;

	for (i = 0; i < f->c.cid_num; i++)
		if (f->c.conn[i].sends)
			return true;
	return false;
}

bool foe_wait_sends(struct foe *f)
{
	uint64_t until = now_ms() + cfg.clt.timeout_ms;

	while (sends_pending(f) && !f->c.dead && now_ms() < until) {
		honest_poll();
		clt_poll(&f->c, until);
	}
	return !sends_pending(f);
}

/* --- work requests ----------------------------------------------------------------- */

static bool is_rdma(enum ibv_wr_opcode op)
{
	return op == IBV_WR_RDMA_WRITE || op == IBV_WR_RDMA_WRITE_WITH_IMM ||
	       op == IBV_WR_RDMA_READ;
}

static bool is_atomic(enum ibv_wr_opcode op)
{
	return op == IBV_WR_ATOMIC_CMP_AND_SWP ||
	       op == IBV_WR_ATOMIC_FETCH_AND_ADD;
}

int foe_post(struct foe *f, const struct post *p)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)f->scratch,
		.length = p->len,
		.lkey = f->mr->lkey,
	};
	struct ibv_send_wr wr = {
		.wr_id = wr_id(WR_TX, ~0u),
		.opcode = p->op,
		.send_flags = IBV_SEND_SIGNALED,
		.sg_list = &sge,
		.num_sge = p->len ? 1 : 0,
	};

	if (p->op == IBV_WR_SEND_WITH_INV)
		wr.invalidate_rkey = p->imm;
	else
		wr.imm_data = htonl(p->imm);
	if (is_rdma(p->op)) {
		wr.wr.rdma.remote_addr = p->addr;
		wr.wr.rdma.rkey = p->key;
	} else if (is_atomic(p->op)) {
		wr.wr.atomic.remote_addr = p->addr;
		wr.wr.atomic.rkey = p->key;
		wr.wr.atomic.compare_add = 1;
	}
	return conn_post(&f->c.conn[p->cid], &wr);
}

/* --- patches ------------------------------------------------------------------------ */

void patch_apply(const struct patch *p, enum patch_in in, uint8_t *b,
		 unsigned int size)
{
	unsigned int i, k, len;

	for (i = 0; i < MAX_PATCHES; i++) {
		if (p[i].in != in || p[i].at >= size)
			continue;
		len = p[i].len ?: size - p[i].at;
		for (k = 0; k < len && p[i].at + k < size; k++)
			b[p[i].at + k] = p[i].len ? p[i].val >> 8 * k : p[i].val;
	}
}
