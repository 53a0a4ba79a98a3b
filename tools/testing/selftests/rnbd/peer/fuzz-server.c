// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz-server: the kernel's client and a server whose messages are spoiled at random
 *
 * The server is peer-server's, with hooks that spoil some of what it says: private
 * data of accepts and rejects, INFO_RSP, the answers to SESS_INFO and OPEN,
 * answers to I/O, their data, and words that nobody asked for.  The kernel's
 * client maps a disk of it, uses it for a moment, unmaps it, again and again.  The
 * disk's data does not matter, nor whether anything succeeds: only that all of it
 * ends, and in time.
 *
 * What is spoiled may leave the client waiting, as a server may; so a path with such
 * a message is closed a moment later. As a new mapping takes longer than many requests,
 * most servers are gentle: what they say a client can live with.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "mapping.h"
#include "raw.h"
#include "report.h"
#include "server.h"

#define CLOSE_AFTER	400	/* ms after a spoiled message */
#define HOLD		50	/* ms that an answer is held back at most */
#define HANGS		patient(60000)	/* ms: more than any step of a user takes */
#define DEPTH		8u
#define CHUNK		16384u

/* Kinds of messages, for their generators. */
enum { KIND_USE, KIND_REQ, KIND_ACCEPT, KIND_INFO, KIND_ANSWER, KINDS };

static struct fuzz_server {
	struct srv srv;			/* first: the hooks get only that */
	uint64_t seed;
	unsigned long count;
	unsigned int use;		/* how often it was mapped */
	unsigned int nr[KINDS];		/* messages since then */
	atomic_ulong sent, spoiled, paths;
	atomic_uint rate;		/* percent of messages to be spoiled */
	atomic_bool gentle;		/* none of them ends a path */
	atomic_bool idle;		/* there is no path */
	atomic_ulong deadline;		/* now_ms() when a step hangs */
	uint64_t close_at[SRV_MAX_PATHS];
	bool was_up[SRV_MAX_PATHS];
	struct raw raw;
	struct op held;
	uint64_t held_until;		/* 0: none is */
	uint16_t held_life;
	struct desc old;		/* a key that was given to us */
} fs = {
	.count = 2000,
	.srv.cfg = {
		.port = "1301",
		.depth = DEPTH,
		.chunk_size = CHUNK,
		.sess_ver = RNBD_VER_MAJOR,
		.exports = { "/dev/ram0" },
		.num_exports = 1,
		.disk = {
			.nsectors = 4096,
			.logical_block_size = 512,
			.physical_block_size = 4096,
			.max_discard_sectors = 4096,
			.discard_granularity = 4096,
			.max_write_zeroes_sectors = 4096,
			.cache_policy = RNBD_CACHE_WRITEBACK,
		},
	},
};

/* What became of what the user did. */
static struct {
	unsigned long mapped, refused, done, failed;
} user;

static struct mapping mapping = {
	.sess = "fuzz-server",
	.device = "/dev/ram0",
	.path = "ip:10.9.1.1@ip:10.9.1.2",
	.port = "1301",
};

static const char usage[] =
"usage: fuzz-server [options]\n"
"  --seed N             for the same messages again (a new one)\n"
"  --count N            end after so many messages (2000)\n"
"  --port N             listen on this port (1301)\n"
"  --path SRC@DST       the client's path to us\n"
"                       (ip:10.9.1.1@ip:10.9.1.2)\n"
"  --time S             give up after S seconds (3600)\n";

/* --- which messages ------------------------------------------------------------- */

/*
 * Counts a message; true if it is to be spoiled, and with what. Few of those that set a
 * path up are, or there would hardly ever be one that anything is answered on.
 */
static bool next_message(struct rng *r, unsigned int kind)
{
	rng_start(r, fs.seed, kind, fs.use, fs.nr[kind]++);
	fs.sent++;
	if (!rng_percent(r, kind == KIND_ANSWER ? fs.rate : fs.rate / 4))
		return false;
	if (fs.gentle && kind != KIND_ANSWER)
		return false;
	fs.spoiled++;
	return true;
}

static void close_soon(struct path *p)
{
	uint64_t *at = &fs.close_at[p - fs.srv.path];

	if (!*at)
		*at = now_ms() + CLOSE_AFTER;
}

/* --- connections ------------------------------------------------------------------ */

static bool hook_connect(struct srv *s, const struct cm_event *ev,
			 const struct conn_req *req)
{
	struct conn_rsp rsp = { .magic = WIRE_MAGIC, .version = WIRE_VERSION };
	uint8_t b[ACCEPT_ROOM] = { 0 };
	unsigned int len;
	struct rng r;

	(void)s;
	(void)req;
	rng_start(&r, fs.seed, KIND_REQ, fs.use, fs.nr[KIND_REQ]++);
	if (fs.gentle || !rng_percent(&r, fs.rate / 4))
		return false;
	fs.sent++;
	fs.spoiled++;
	rsp.err = -(int)rng_below(&r, 600);
	conn_rsp_encode(b, &rsp);
	len = WIRE_CONN_LEN;
	if (rng_percent(&r, 70))
		len = fuzz_bytes(&r, b, len, 148);
	rdma_reject(ev->id, len ? b : NULL, len);
	rdma_destroy_id(ev->id);
	return true;
}

/* Half of the servers know extensions, but none can roll keys. */
static bool knows_events(const struct path *p)
{
	return p->ident.sess_uuid[0] & 1;
}

static bool hook_accept(struct srv *s, struct path *p, struct conn *c,
			uint8_t *rsp, unsigned int *len)
{
	struct rng r;

	(void)s;
	(void)c;
	if (knows_events(p))
		put32(rsp + 20, WIRE_FEAT_USER_EVENT | WIRE_FEAT_BOOT_ID);
	if (next_message(&r, KIND_ACCEPT)) {
		*len = fuzz_bytes(&r, rsp, *len, 196);
		close_soon(p);
	}
	return true;
}

static bool hook_info_rsp(struct srv *s, struct path *p, struct ibv_sge *sge)
{
	uint8_t *b = (uint8_t *)(uintptr_t)sge->addr, *copy;
	struct rng r;

	if (!next_message(&r, KIND_INFO))
		return true;
	close_soon(p);
	if (rng_percent(&r, 20)) {
		copy = memcpy(raw_slot(&fs.raw, s->pd), b, sge->length);
		raw_send(&fs.raw, &p->conn[rng_below(&r, p->accepted)], copy,
			 sge->length);
	}
	sge->length = fuzz_bytes(&r, b, sge->length,
				 sge->length + INFO_RSP_ROOM);
	return true;
}

/* --- answers ------------------------------------------------------------------------ */

static struct conn *any_conn(struct rng *r, struct path *p)
{
	return &p->conn[rng_below(r, p->accepted)];
}

static uint32_t spoiled_imm(struct rng *r, uint32_t imm)
{
	switch (rng_below(r, 4)) {
	case 0:
		return imm ^ 1u << rng_below(r, 32);
	case 1:
		return imm_make(rng_below(r, 16), imm);
	case 2:
		return imm_make(imm_type(imm), rng_extreme(r));
	default:
		return rng_next(r);
	}
}

/* The form is the one that the client expects, now and then. */
static void say(struct rng *r, struct srv *s, struct conn *c, uint32_t imm)
{
	uint8_t *b = raw_slot(&fs.raw, s->pd);
	unsigned int len = WIRE_RKEY_RSP_LEN;

	if (s->cfg.invalidate == rng_percent(r, 20)) {
		conn_post_imm(c, imm);
		return;
	}
	rkey_rsp_encode(b, imm_rsp_chunk(imm), rng_next(r));
	if (rng_percent(r, 50))
		len = fuzz_bytes(r, b, len, 64);
	raw_send_imm(&fs.raw, c, imm, b, len);
}

static void spoil_data(struct rng *r, struct srv *s, const struct op *op)
{
	uint8_t *b = raw_slot(&fs.raw, s->pd);
	uint64_t addr = op->desc.addr;
	uint32_t key = op->desc.key;
	unsigned int len = op->desc.len;

	rng_fill(r, b, 64);
	switch (rng_below(r, 3)) {
	case 0:
		len = rng_below(r, RAW_SLOT);
		break;
	case 1:
		addr += rng_extreme(r);
		break;
	default:
		key ^= 1u << rng_below(r, 32);
	}
	raw_write(&fs.raw, op->conn, addr, key, b,
		  len < RAW_SLOT ? len : RAW_SLOT);
}

static void release_held(void)
{
	const struct op *op = &fs.held;

	/* Its path may be another one by now. */
	if (fs.held_until && op->path->state == PATH_UP &&
	    op->path->ident.recon_cnt == fs.held_life)
		srv_answer(&fs.srv, op);
	fs.held_until = 0;
}

static void hold(struct srv *s, const struct op *op)
{
	if (fs.held_until)
		return srv_answer(s, op);
	fs.held = *op;
	fs.held_life = op->path->ident.recon_cnt;
	fs.held_until = now_ms() + HOLD;
}

/* What was not asked for, before the answer that was. */
static void butt_in(struct rng *r, struct srv *s, const struct op *op)
{
	struct conn *c = any_conn(r, op->path);
	uint8_t *b = raw_slot(&fs.raw, s->pd);

	rng_fill(r, b, 64);
	switch (rng_below(r, 5)) {
	case 0:
		conn_post_imm(c, rng_next(r));
		break;
	case 1:
		conn_post_imm(&op->path->conn[0],
			      imm_make(8 + rng_below(r, 3), 0));
		break;
	case 2:
		raw_send(&fs.raw, c, b, rng_below(r, 64));
		break;
	case 3:
		raw_send_inv(&fs.raw, c, rng_percent(r, 50) ? op->desc.key :
			     (uint32_t)rng_next(r));
		break;
	default:
		raw_write(&fs.raw, c, fs.old.addr, fs.old.key, b, 64);
	}
	srv_answer(s, op);
}

/* The last of these end the path more often than not. */
static void spoil_answer(struct rng *r, struct srv *s, struct op *op)
{
	uint32_t imm = imm_io_rsp(IMM_IO_RSP, op->chunk, op->err);

	switch (rng_below(r, fs.gentle ? 8 : 13)) {
	case 0:
	case 1:
		op->err = rng_below(r, IMM_ERRNO_MAX + 1);
		break;
	case 2:
	case 3:
		return hold(s, op);
	case 4:
	case 5:
		/* what RNBD says; a disk's data would tell nothing */
		if (op->src && !op->conn->cid)
			op->src_len = fuzz_bytes(r, op->src, op->src_len,
						 op->desc.len);
		break;
	case 6:
	case 7:
		/* has the client look at the disk again, if it was told that it may */
		if (knows_events(op->path))
			conn_post_imm(&op->path->conn[0],
				      imm_make(IMM_USER_EVENT, rng_below(r, 3)));
		break;
	case 8:
		return butt_in(r, s, op);
	case 9:
		close_soon(op->path);
		return say(r, s, op->conn, spoiled_imm(r, imm));
	case 10:
		close_soon(op->path);
		srv_answer(s, op);
		return say(r, s, op->conn, imm);
	case 11:
		close_soon(op->path);
		op->conn = any_conn(r, op->path);
		break;
	default:
		close_soon(op->path);
		spoil_data(r, s, op);
		return say(r, s, op->conn, imm);
	}
	srv_answer(s, op);
}

static bool hook_answer(struct srv *s, struct op *op)
{
	struct rng r;

	if (next_message(&r, KIND_ANSWER))
		spoil_answer(&r, s, op);
	else
		srv_answer(s, op);
	if (op->has_desc && rng_percent(&r, 30))
		fs.old = op->desc;
	return true;
}

/* --- the clock ------------------------------------------------------------------------ */

static void tick_path(unsigned int i, uint64_t now)
{
	struct path *p = &fs.srv.path[i];
	bool up = p->state == PATH_UP;

	if (fs.was_up[i] && !up)
		fs.paths++;
	fs.was_up[i] = up;
	if (p->state == PATH_FREE || p->state == PATH_CLOSING) {
		fs.close_at[i] = 0;
	} else if (fs.close_at[i] && now > fs.close_at[i]) {
		fs.close_at[i] = 0;
		path_close(&fs.srv, p);
	}
}

static void hook_tick(struct srv *s)
{
	uint64_t now = now_ms();
	unsigned int i;

	for (i = 0; i < SRV_MAX_PATHS; i++)
		tick_path(i, now);
	if (fs.held_until && now > fs.held_until)
		release_held();
	if (fs.deadline && now > fs.deadline)
		die("seed %llu: the client hangs after %lu messages",
		    (unsigned long long)fs.seed, fs.sent);
	fs.idle = !srv_any_path(s);
}

static const struct srv_hooks hooks = {
	.connect = hook_connect,
	.accept = hook_accept,
	.info_rsp = hook_info_rsp,
	.answer = hook_answer,
	.tick = hook_tick,
};

/* --- a user of the disk ---------------------------------------------------------------- */

static int use_once(struct rng *r)
{
	_Alignas(MAPPING_BLOCK) static uint8_t block[MAPPING_BLOCK];
	off_t at = rng_below(r, 512) * MAPPING_BLOCK;

	switch (rng_below(r, 8)) {
	case 0:
	case 1:
	case 2:
		return mapping_read(&mapping, at, block);
	case 3:
	case 4:
	case 5:
		return mapping_write(&mapping, at, block);
	case 6:
		return mapping_ioctl(&mapping, BLKDISCARD, at, MAPPING_BLOCK);
	default:
		return mapping_ioctl(&mapping, BLKZEROOUT, at, MAPPING_BLOCK);
	}
}

static void use(struct rng *r)
{
	unsigned int n = rng_below(r, fs.gentle ? 500 : 100);

	while (n--) {
		if (!use_once(r)) {
			user.done++;
			continue;
		}
		user.failed++;
		if (fs.gentle && !strcmp(mapping_attr(&mapping, "state"), "open"))
			continue;
		/* Either it is given up, or the path is back soon. */
		if (rng_percent(r, 70))
			return;
		mapping_wait_state(&mapping, "open", 1000);
	}
}

static void step_begins(void)
{
	fs.deadline = now_ms() + HANGS;
}

static void wait_until_idle(void)
{
	while (!fs.idle)
		sleep_ms(2);
}

static void map_use_unmap(void)
{
	struct rng r;
	int err;

	step_begins();
	wait_until_idle();
	memset(fs.nr, 0, sizeof(fs.nr));
	rng_start(&r, fs.seed, KIND_USE, ++fs.use, 0);
	fs.srv.cfg.invalidate = rng_percent(&r, 50);
	fs.rate = rng_rate(&r);
	fs.gentle = rng_percent(&r, 60);
	fs.idle = false;
	if (mapping_map(&mapping)) {
		user.refused++;
		return;
	}
	user.mapped++;
	step_begins();
	use(&r);
	step_begins();
	err = mapping_unmap(&mapping, rng_percent(&r, 80) ? "normal" : "force");
	if (err)
		err = mapping_unmap(&mapping, "force");
	if (err)
		bad("unmap: %s", strerror(err));
}

static void *run(void *arg)
{
	(void)arg;
	while (fs.sent < fs.count)
		map_use_unmap();
	fs.rate = 0;
	step_begins();
	wait_until_idle();
	if (mapping_map(&mapping) || mapping_unmap(&mapping, "normal"))
		bad("the client is not what it was");
	fs.srv.stop = true;
	return NULL;
}

/* --- options ------------------------------------------------------------------------------ */

enum { OPT_SEED = 1, OPT_COUNT, OPT_PORT, OPT_PATH, OPT_TIME };

static const struct option options[] = {
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "path", required_argument, NULL, OPT_PATH },
	{ "time", required_argument, NULL, OPT_TIME },
	{ }
};

static void parse_option(int opt, const char *arg)
{
	switch (opt) {
	case OPT_SEED:
		fs.seed = fuzz_seed(arg);
		break;
	case OPT_COUNT:
		fs.count = strtoul(arg, NULL, 0);
		break;
	case OPT_PORT:
		fs.srv.cfg.port = arg;
		mapping.port = arg;
		break;
	case OPT_PATH:
		mapping.path = arg;
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
	pthread_t thread;
	int opt;

	alarm(patient(3600));
	fs.seed = fuzz_seed(NULL);
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		parse_option(opt, optarg);
	fs.srv.hooks = &hooks;
	tap_start();
	note("seed %llu", (unsigned long long)fs.seed);
	if (pthread_create(&thread, NULL, run, NULL))
		die("no thread");
	srv_run(&fs.srv);
	pthread_join(thread, NULL);
	note("%lu messages, %lu of them spoiled, on %lu paths", fs.sent,
	     fs.spoiled, fs.paths);
	note("%lu mappings, %lu refused; %lu requests done, %lu failed",
	     user.mapped, user.refused, user.done, user.failed);
	tap_done("%lu messages, seed %llu", fs.count,
		 (unsigned long long)fs.seed);
	return tap_finish();
}
