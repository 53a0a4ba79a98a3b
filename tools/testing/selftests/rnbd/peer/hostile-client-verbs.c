// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a hostile client can do with its queue pairs: work requests that no client
 * of RTRS posts, and more of them than there is room for
 */
#include <errno.h>
#include <string.h>

#include "hostile-client.h"

#define CHUNK	3
#define LEN	4096
#define LARGE	(4 * LEN)		/* for which the server takes other memory */

struct verb_case {
	struct hcase h;
	enum ibv_wr_opcode op;
	unsigned int cid, len;
	uint32_t imm;
	bool lives;
	unsigned int times;		/* 0: once */
	bool to_chunk;
	bool chunk_key;			/* the immediate is CHUNK's key */
};

#define HB	((uint32_t)IMM_HB_MSG << IMM_PAYLOAD_BITS)
#define ACK	((uint32_t)IMM_HB_ACK << IMM_PAYLOAD_BITS)

static const struct verb_case verb_cases[] = {
	{ .h = { "a SEND of nothing", 0 }, IBV_WR_SEND, 1 },
	{ .h = { "a SEND of nothing on cid 0", 0 }, IBV_WR_SEND, 0 },
	{ .h = { "a SEND of 1 byte", 0 }, IBV_WR_SEND, 1, 1 },
	{ .h = { "a SEND of 272 bytes", 0 }, IBV_WR_SEND, 1, 272 },
	{ .h = { "a SEND of 256 KiB", 0 }, IBV_WR_SEND, 1, FOE_SCRATCH },
	{ .h = { "a SEND with a heartbeat", 0 }, IBV_WR_SEND_WITH_IMM, 0, 0, HB },
	{ .h = { "a SEND with an IO_REQ", 0 }, IBV_WR_SEND_WITH_IMM, 1, 0, 0 },
	{ .h = { "a SEND with an IO_REQ and data", 0 }, IBV_WR_SEND_WITH_IMM, 1,
	  64, 0 },
	{ .h = { "an invalidation of key 0", 0 }, IBV_WR_SEND_WITH_INV, 1, 0, 0 },
	{ .h = { "an invalidation of a guessed key", 0 }, IBV_WR_SEND_WITH_INV, 1,
	  0, 0xabcdef12 },
	{ .h = { "an invalidation of the chunk's own key", 0 },
	  IBV_WR_SEND_WITH_INV, 1, .chunk_key = true },
	{ .h = { "RDMA writes and nothing else", 0 }, IBV_WR_RDMA_WRITE, 1, 4096,
	  .lives = true, .times = 200, .to_chunk = true },
	{ .h = { "empty RDMA writes", 0 }, IBV_WR_RDMA_WRITE, 1,
	  .lives = true, .times = 500, .to_chunk = true },
	{ .h = { "a heartbeat with data", 0 }, IBV_WR_RDMA_WRITE_WITH_IMM, 0, 64,
	  HB, .lives = true, .to_chunk = true },
	{ .h = { "a heartbeat with a payload", 0 }, IBV_WR_RDMA_WRITE_WITH_IMM, 0,
	  0, HB | 0x0fffffff, .lives = true },
	{ .h = { "heartbeats, 1500 at once", 0 }, IBV_WR_RDMA_WRITE_WITH_IMM, 0, 0,
	  HB, .lives = true, .times = 1500 },
	{ .h = { "answers to no heartbeat, 1500 at once", 0 },
	  IBV_WR_RDMA_WRITE_WITH_IMM, 0, 0, ACK, .lives = true, .times = 1500 },
	{ .h = { "as many IO_REQs as the queue takes", 0 },
	  IBV_WR_RDMA_WRITE_WITH_IMM, 1, 0, 0, .times = 2000 },
};

static void run_verb(const void *elem)
{
	const struct verb_case *c = elem;
	struct post p = { .cid = c->cid, .op = c->op, .len = c->len,
			  .imm = c->imm };
	unsigned int i;
	struct foe f;

	if (!foe_start(&f))
		goto out;
	if (c->to_chunk) {
		p.addr = f.c.chunk[CHUNK].addr;
		p.key = f.c.chunk[CHUNK].key;
	}
	if (c->chunk_key)
		p.imm = f.c.chunk[CHUNK].key;
	f.c.wild = !c->lives;
	for (i = 0; i < (c->times ?: 1); i++) {
		if (foe_post(&f, &p)) {
			bad("the send queue is full after %u", i);
			break;
		}
	}
	if (!c->lives) {
		foe_must_end(&f, "a work request");
	} else {
		if (!foe_wait_sends(&f))
			bad("the server does not take it all");
		foe_must_live(&f, c->cid, "work requests");
	}
out:
	foe_free(&f);
}

/* All chunks at once, again and again, without a look at what is free. */
static void t_ignore_credits(void)
{
	struct post p = { .cid = 1, .op = IBV_WR_RDMA_WRITE_WITH_IMM };
	struct foe f;
	unsigned int i;

	if (foe_start(&f)) {
		f.c.wild = true;
		for (i = 0; i < 1000; i++) {
			p.imm = imm_io_req(f.c.rsp.queue_depth,
					   i % f.c.rsp.queue_depth, 100);
			if (foe_post(&f, &p))
				break;
		}
		foe_wait_sends(&f);
	}
	foe_free(&f);
}

/*
 * No receives: answers wait in the server's send queue, for ever as far as the
 * transport goes.
 */
static bool deaf_start(struct foe *f)
{
	uint8_t msg[WIRE_INFO_REQ_LEN];

	foe_init(f, NULL);
	info_req_encode(msg, f->c.cfg.sessname);
	if (clt_connect(&f->c) || clt_info_raw(&f->c, msg)) {
		bad("no session to attack from");
		return false;
	}
	f->c.req = xzalloc(f->c.rsp.queue_depth * sizeof(*f->c.req));
	return foe_scratch(f);
}

static void deaf_requests(struct foe *f)
{
	unsigned int i;

	for (i = 0; i < f->c.rsp.queue_depth; i++) {
		struct req *r = sess_info_req(&f->c, i);

		r->cid = i & 1;
		clt_send(&f->c, r);
	}
	for (i = 0; i < 100; i++)
		conn_post_imm(&f->c.conn[0], HB);
}

static void t_deaf(void)
{
	struct foe f;

	if (deaf_start(&f)) {
		deaf_requests(&f);
		foe_idle(&f, 300);
	}
	foe_free(&f);
}

static void t_deaf_long(void)
{
	struct foe f;

	if (deaf_start(&f)) {
		deaf_requests(&f);
		foe_idle(&f, 40000);
		if (!f.c.dead)
			bad("the path is still there after 40 s");
	}
	foe_free(&f);
}

/* --- deaf on one connection, and alive on the others ------------------------------ */

static bool deaf_on_1(struct foe *f, uint32_t *id)
{
	foe_init(f, NULL);
	f->c.cid_num = 3;
	f->c.ident.cid_num = 3;
	f->c.deaf = 1;
	/* for answers that carry the data of a read */
	f->c.ident.features |= WIRE_FEAT_RKEY_ROLL;
	/* so that a key opens the memory of a request for as long as there is one */
	f->c.cfg.no_mw = true;
	return foe_up(f) && foe_open(f, D_DEV, id);
}

/* The answer waits in the server's send queue, and is tried again and again. */
static struct req *unheard_read(struct foe *f, uint32_t id)
{
	struct req *r = foe_io(f, 1, CHUNK, id, RNBD_OP_READ, 0, LEN);

	clt_send(&f->c, r);
	foe_idle(f, 300);
	if (r->done)
		bad("an answer that nobody takes has come");
	return r;
}

static void io_on_2(struct foe *f, unsigned int chunk, uint32_t id, uint32_t rw,
		    uint64_t sector, uint32_t len)
{
	struct req *r = foe_io(f, 2, chunk, id, rw, sector, len);

	if (rw == RNBD_OP_WRITE)
		pattern(r->data, len, sector, 1);
	expect(clt_call(&f->c, r), 0, "I/O on another connection");
}

/*
 * Its chunk is used on another connection, for more and more, so that the server might
 * think that the memory of the first answer is not needed any more; and other chunks,
 * which might get it. Then the answer is taken: it has to be what was read.
 */
static void deaf_reuse(struct foe *f, uint32_t id)
{
	struct req *r;
	int i;

	io_on_2(f, CHUNK, id, RNBD_OP_WRITE, 0, LARGE);
	io_on_2(f, CHUNK, id, RNBD_OP_WRITE, 64, LARGE);
	r = unheard_read(f, id);
	for (i = 0; i < 40; i++) {
		r->busy = false;
		io_on_2(f, CHUNK, id, RNBD_OP_READ, 0, i < 20 ? LEN : LARGE);
	}
	for (i = 0; i < 20; i++)
		io_on_2(f, CHUNK + 1 + i, id, RNBD_OP_READ, 64, LEN);
	memset(r->data, CLT_POISON, LEN);
	f->c.wild = true;
	clt_hear(&f->c, 1);
	for (i = 0; i < 100 && r->data[LEN - 1] == CLT_POISON; i++)
		foe_idle(f, 100);
	check_pattern(r->data, LEN, 0, 1, "in an answer that had to wait");
	foe_must_live(f, 1, "an answer that had to wait");
}

static void t_deaf_reuse(void)
{
	struct foe f;
	uint32_t id;

	if (deaf_on_1(&f, &id))
		deaf_reuse(&f, id);
	foe_free(&f);
}

/*
 * Behind it is a large write, whose chunk the server has to invalidate before it can go
 * on; and whoever reads these sectors waits for the write.
 */
static void t_deaf_holds_up(void)
{
	uint8_t b[LARGE];
	struct foe f;
	struct req *r;
	uint32_t id;

	if (deaf_on_1(&f, &id)) {
		unheard_read(&f, id);
		r = foe_io(&f, 1, CHUNK + 1, id, RNBD_OP_WRITE, 0, LARGE);
		pattern(r->data, LARGE, 0, 2);
		clt_send(&f.c, r);
		foe_idle(&f, 45000);
		if (!f.c.dead)
			bad("the path is still there after 45 s");
		look_at(D_DEV, 0, LARGE, b);
	}
	foe_free(&f);
}

/* Many at once, all with slow writes, and then all go. */
static void t_many_sessions(void)
{
	static struct foe f[8];
	unsigned int i, n;
	uint32_t id;

	memset(f, 0, sizeof(f));
	for (n = 0; n < ARRAY_SIZE(f) && foe_start(&f[n]); n++)
		if (!foe_open(&f[n], D_RO, &id))
			break;
	honest_check();
	for (i = 0; i < n; i++)
		foe_must_live(&f[i], 1, "many sessions");
	for (i = 0; i < ARRAY_SIZE(f); i++)
		foe_free(&f[i]);
}

/*
 * An invalidation of another session's key.  What becomes of that session is up
 * to the device: rxe obeys, whoever asks, as it does not look at the protection
 * domain.  Then that session's path ends at its next request; but its data is
 * never touched.
 */
static void t_inv_others(void)
{
	struct post p = { .cid = 1, .op = IBV_WR_SEND_WITH_INV };
	struct foe f, g;
	struct req *r;
	uint32_t id;
	int ret;

	memset(&g, 0, sizeof(g));
	if (foe_start(&f) && foe_start(&g) && foe_open(&g, D_DEV, &id)) {
		p.imm = g.c.chunk[CHUNK].key;
		foe_post(&f, &p);
		foe_must_end(&f, "another session's key");
		r = foe_io(&g, 1, CHUNK, id, RNBD_OP_READ, 0, LEN);
		ret = clt_call(&g.c, r);
		note("then that session's read: %d (%s)", ret, err_name(ret));
		if (ret == -ETIMEDOUT)
			bad("and it hangs");
	}
	foe_free(&g);
	foe_free(&f);
}

static const struct run_case verb_runs[] = {
	{ { "all chunks again and again", 0 }, t_ignore_credits },
	{ { "no receives", 0 }, t_deaf },
	{ { "no receives, and the server's patience", CASE_LONG }, t_deaf_long },
	{ { "an answer not taken while its chunk is used elsewhere", 0 }, t_deaf_reuse },
	{ { "an answer not taken that holds up others", CASE_LONG }, t_deaf_holds_up },
	{ { "eight sessions at a time", 0 }, t_many_sessions },
	{ { "an invalidation of another session's key", 0 }, t_inv_others },
};

const struct group verb_groups[] = {
	{ "verbs", verb_cases, sizeof(verb_cases[0]), ARRAY_SIZE(verb_cases),
	  run_verb },
	{ "verbs", verb_runs, sizeof(verb_runs[0]), ARRAY_SIZE(verb_runs),
	  run_case },
};

const unsigned int n_verb_groups = ARRAY_SIZE(verb_groups);
