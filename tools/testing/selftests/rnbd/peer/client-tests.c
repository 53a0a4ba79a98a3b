// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tests of peer-client: what a mainline client does to a server, and what
 * the server has to answer
 *
 * Tests share one session, whose disk is opened when a test first needs it; a
 * test that ends a session uses one of its own.  What is checked with every
 * answer (order of messages, keys, receives, guards around the data) is in
 * client.c; here is what the answers have to say.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-rnbd.h"
#include "client-tests.h"
#include "report.h"

static const struct test_cfg *cfg;
static struct clt S;			/* the shared session */
static bool S_running;
static bool S_open;
static struct rnbd_open_rsp disk;	/* what OPEN said of cfg->dev */

/* --- I/O on the shared disk -------------------------------------------------- */

/* I/O on the shared disk with chunk 1 and cid 1. */
static int io(uint32_t rw, uint64_t sector, uint32_t size, uint32_t data_len)
{
	struct rnbd_io msg = {
		.device_id = disk.device_id,
		.sector = sector,
		.rw = rw,
		.bi_size = size,
	};

	return clt_call(&S, io_req(&S, 1, 1, &msg, data_len));
}

/* --- data ------------------------------------------------------------------ */

static int write_pattern(unsigned int cid, uint32_t flags, uint64_t sector,
			 uint32_t len, unsigned int round)
{
	struct rnbd_io msg = {
		.device_id = disk.device_id,
		.sector = sector,
		.rw = RNBD_OP_WRITE | flags,
		.bi_size = len,
	};
	struct req *r = io_req(&S, cid, 1, &msg, len);

	pattern(r->data, len, sector, round);
	return clt_call(&S, r);
}

/* Reads; the data is in chunk 1's request. */
static int read_back(unsigned int cid, uint64_t sector, uint32_t len)
{
	struct rnbd_io msg = {
		.device_id = disk.device_id,
		.sector = sector,
		.rw = RNBD_OP_READ | RNBD_F_SYNC,
		.bi_size = len,
	};

	return clt_call(&S, io_req(&S, cid, 1, &msg, len));
}

static void check_read(unsigned int cid, uint64_t sector, uint32_t len,
		       unsigned int round, const char *what)
{
	int ret = read_back(cid, sector, len);

	expect(ret, 0, what);
	if (!ret)
		check_pattern(S.req[1].data, len, sector, round, what);
}

static uint32_t max_io(void)
{
	return S.rsp.max_io_size / disk.logical_block_size *
	       disk.logical_block_size;
}

/* The same for any length, in requests of 4 KiB: chunks may be small. */
static void write_area(uint64_t sector, uint32_t len, unsigned int round)
{
	for (; len && !S.dead; len -= 4096, sector += 8)
		expect(write_pattern(1, 0, sector, 4096, round), 0, "write");
}

static void check_area(uint64_t sector, uint32_t len, unsigned int round,
		       const char *what)
{
	for (; len && !S.dead; len -= 4096, sector += 8)
		check_read(1, sector, 4096, round, what);
}

/* --- the shared session ---------------------------------------------------- */

static bool session(void)
{
	int ret;

	/* Other sessions had the word: there may be heartbeats to answer. */
	if (S_running)
		clt_poll(&S, now_ms());
	if (S_running && !S.dead)
		return true;
	if (S_running)
		clt_free(&S);
	S_open = false;
	ret = clt_start(&S, &cfg->clt);
	S_running = true;
	if (ret) {
		bad("cannot start a session: %s", strerror(-ret));
		S.dead = true;
	}
	return !ret;
}

static void check_open_rsp(const uint8_t *b, const struct rnbd_open_rsp *d)
{
	unsigned int lbs = d->logical_block_size, pbs = d->physical_block_size;

	if (get16(b) != RNBD_OPEN_RSP || get16(b + 2))
		bad("OPEN_RSP: type %u, padding %u", get16(b), get16(b + 2));
	if (!all_zero(b + 46, 10) || d->obsolete)
		bad("OPEN_RSP: reserved bytes are not 0");
	if (lbs < 512 || lbs > 4096 || lbs & (lbs - 1))
		bad("OPEN_RSP: logical_block_size %u", lbs);
	if (pbs < lbs || pbs & (pbs - 1))
		bad("OPEN_RSP: physical_block_size %u", pbs);
	if (!d->nsectors || d->nsectors % (lbs / RNBD_SECTOR))
		bad("OPEN_RSP: %llu sectors", (unsigned long long)d->nsectors);
	if (!d->max_hw_sectors || !d->max_segments)
		bad("OPEN_RSP: max_hw_sectors %u, max_segments %u",
		    d->max_hw_sectors, d->max_segments);
	if (d->secure_discard > 1)
		bad("OPEN_RSP: secure_discard %u", d->secure_discard);
	if (d->cache_policy & ~(RNBD_CACHE_FUA | RNBD_CACHE_WRITEBACK))
		bad("OPEN_RSP: cache_policy %#x", d->cache_policy);
	if (d->max_discard_sectors && !d->discard_granularity)
		bad("OPEN_RSP: discard without a granularity");
}

static int open_disk(struct clt *c, const char *name, unsigned int access,
		     struct rnbd_open_rsp *rsp)
{
	struct req *r = open_req(c, 0, access, name);
	int ret = clt_call(c, r);

	if (!ret) {
		rnbd_open_rsp_decode(rsp, r->data);
		check_open_rsp(r->data, rsp);
	}
	return ret;
}

/* A session with the scratch disk open, rw. */
static bool have_disk(void)
{
	int ret;

	if (!session())
		return false;
	if (S_open)
		return true;
	ret = open_disk(&S, cfg->dev, RNBD_RW, &disk);
	expect(ret, 0, "OPEN");
	S_open = !ret;
	return S_open;
}

static void close_disk(void)
{
	if (!S_running || S.dead || !S_open)
		return;
	expect(clt_call(&S, close_req(&S, 0, disk.device_id)), 0, "CLOSE");
	S_open = false;
}

static void end_session(void)
{
	if (!S_running)
		return;
	close_disk();
	if (S.dead)
		clt_free(&S);
	else
		clt_stop(&S);
	S_running = false;
}

/* --- set-up ----------------------------------------------------------------- */

static void t_connect(void)
{
	if (!session())
		return;
	note("queue depth %u, chunk %u (header room %u), %s, %u descriptors",
	     S.rsp.queue_depth, S.chunk_size, S.rsp.max_hdr_size,
	     S.rsp.flags & WIRE_RSP_NEW_RKEY ? "NEW_RKEY" : "no NEW_RKEY",
	     S.descs);
	if (S.rsp.features)
		bad("features %#x for a client that offers none",
		    S.rsp.features);
}

/* Has the server taken the wish for @wanted chunks as it should? */
static void check_depth(const struct clt *c, unsigned int wanted)
{
	bool accepted = c->rsp.features & WIRE_FEAT_QUEUE_DEPTH;
	unsigned int usual = S.rsp.queue_depth, want = usual;

	if (cfg->grants && accepted != !!wanted)
		bad("%u chunks wanted: %s", wanted,
		    accepted ? "accepted" : "not accepted");
	if (accepted && wanted < usual)
		want = wanted;
	if (c->rsp.queue_depth != want)
		bad("%u chunks where %u were wanted, expected %u",
		    c->rsp.queue_depth, wanted, want);
}

/* The last chunk there is, for what shows whether it is there. */
static void use_last_chunk(struct clt *c)
{
	unsigned int chunk = c->rsp.queue_depth - 1;
	struct rnbd_open_rsp rsp = { 0 };
	struct rnbd_io msg = {
		.rw = RNBD_OP_READ | RNBD_F_SYNC,
		.bi_size = 4096,
	};

	expect(open_disk(c, cfg->dev, RNBD_RO, &rsp), 0, "OPEN");
	msg.device_id = rsp.device_id;
	expect(clt_call(c, io_req(c, 1, chunk, &msg, 4096)), 0,
	       "read in the last chunk");
	expect(clt_call(c, close_req(c, 0, rsp.device_id)), 0, "CLOSE");
}

static void want_depth(unsigned int wanted)
{
	struct clt_cfg conf = cfg->clt;
	char name[32];
	struct clt c;
	int ret;

	/* The last one may still be on its way out. */
	snprintf(name, sizeof(name), "peer-depth-%u", wanted);
	conf.sessname = name;
	conf.features = WIRE_FEAT_QUEUE_DEPTH;
	conf.wanted_depth = wanted;
	ret = clt_start(&c, &conf);
	expect(-ret, 0, "session");
	if (!ret) {
		check_depth(&c, wanted);
		use_last_chunk(&c);
	}
	clt_stop(&c);
}

static void t_queue_depth(void)
{
	static const unsigned int wanted[] = { 0, 1, 2, 3, 16, 100 };
	unsigned int i;

	if (!session())
		return;
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		want_depth(wanted[i]);
	want_depth(S.rsp.queue_depth);
	want_depth(S.rsp.queue_depth + 1);
	want_depth(65535);
}

/* One CONN_REQ of a kind that must be refused. */
static void expect_refusal(const uint8_t *priv, unsigned int len, int err,
			   const char *what)
{
	struct conn_result res;
	struct clt c;

	clt_init(&c, &cfg->clt);
	c.dying = true;
	res = clt_conn_open(&c, 0, priv, len);
	if (!res.rejected || res.status != WIRE_REJECT_REASON)
		bad("%s: %s, CM status %d", what,
		    res.rejected ? "rejected" : "not rejected", res.status);
	else if (res.rsp.err != -err)
		bad("%s: rejected with errno %d, expected %d", what,
		    res.rsp.err, -err);
	clt_free(&c);
}

static void fresh_ident(struct conn_req *q)
{
	memset(q, 0, sizeof(*q));
	q->magic = WIRE_MAGIC;
	q->version = WIRE_VERSION;
	q->cid_num = 2;
	q->recon_cnt = 1;
	q->first_conn = 1;
	random_bytes(q->sess_uuid, WIRE_UUID_LEN);
	random_bytes(q->paths_uuid, WIRE_UUID_LEN);
}

static void refuse_req(const struct conn_req *q, int err, const char *what)
{
	uint8_t priv[WIRE_CONN_LEN];

	conn_req_encode(priv, q);
	expect_refusal(priv, sizeof(priv), err, what);
}

static void t_refusals(void)
{
	struct conn_req q;

	fresh_ident(&q);
	q.magic = 0x1bbc;
	refuse_req(&q, ECONNRESET, "wrong magic");
	fresh_ident(&q);
	q.version = 0x0300;
	refuse_req(&q, ECONNRESET, "version 3.0");
	fresh_ident(&q);
	q.version = 0x0100;
	refuse_req(&q, ECONNRESET, "version 1.0");
	fresh_ident(&q);
	q.cid_num = 4097;
	refuse_req(&q, ECONNRESET, "cid_num 4097");
	fresh_ident(&q);
	q.cid = 2;
	refuse_req(&q, ECONNRESET, "cid 2 of 2");
	fresh_ident(&q);
	q.first_conn = 0;
	refuse_req(&q, ENXIO, "unknown paths_uuid, first_conn 0");
}

static void t_refusals_known(void)
{
	struct conn_req q;

	if (!session())
		return;
	fresh_ident(&q);
	memcpy(q.paths_uuid, S.ident.paths_uuid, WIRE_UUID_LEN);
	q.first_conn = 0;
	refuse_req(&q, EEXIST, "second path with the same addresses");
	memcpy(q.sess_uuid, S.ident.sess_uuid, WIRE_UUID_LEN);
	q.cid_num = S.cid_num;
	refuse_req(&q, ECONNRESET, "sess_uuid of a path that is up");
}

/* A minor version we do not know is none of the server's business. */
static void t_minor_version(void)
{
	struct clt c;
	int ret;

	clt_init(&c, &cfg->clt);
	c.cfg.sessname = "peer-minor";
	c.ident.version = 0x0207;
	ret = clt_connect(&c);
	if (!ret)
		ret = clt_info(&c);
	expect(-ret, 0, "version 2.7");
	clt_stop(&c);
}

/* Starts a session that must be thrown out by INFO_REQ. */
static void expect_thrown_out(struct clt *c, const uint8_t *msg,
			      const char *what)
{
	int ret;

	c->dying = true;
	ret = clt_info_raw(c, msg);
	if (!ret)
		bad("%s: INFO_RSP came", what);
	else if (clt_wait_end(c, c->cfg.timeout_ms))
		bad("%s: the path was not ended", what);
	clt_free(c);
}

static void bad_name(const char *name, const char *what)
{
	uint8_t msg[WIRE_INFO_REQ_LEN];
	struct clt c;
	int ret;

	clt_init(&c, &cfg->clt);
	ret = clt_connect(&c);
	expect(-ret, 0, "connect");
	if (ret) {
		clt_free(&c);
		return;
	}
	info_req_encode(msg, name);
	if (!name[0])
		memset(msg + WIRE_INFO_NAME_OFF, 0, WIRE_INFO_NAME_LEN);
	if (!strcmp(name, "unterminated"))
		memset(msg + WIRE_INFO_NAME_OFF, 'u', WIRE_INFO_NAME_LEN);
	expect_thrown_out(&c, msg, what);
}

static void t_bad_names(void)
{
	if (!session())
		return;
	bad_name(cfg->clt.sessname, "name in use under another paths_uuid");
	bad_name("", "empty name");
	bad_name("a/b", "name with a slash");
	bad_name("a.b", "name with a dot");
	bad_name("unterminated", "name without its NUL");
	if (S.dead)
		bad("the first session did not survive this");
}

/* INFO_REQ before all connections are there closes the path. */
static void t_early_info(void)
{
	uint8_t msg[WIRE_INFO_REQ_LEN], priv[WIRE_CONN_LEN];
	struct conn_result res;
	struct clt c;

	clt_init(&c, &cfg->clt);
	conn_req_encode(priv, &c.ident);
	res = clt_conn_open(&c, 0, priv, sizeof(priv));
	expect(-res.err, 0, "connect cid 0");
	if (res.err) {
		clt_free(&c);
		return;
	}
	c.rsp = res.rsp;
	c.chunk_size = res.rsp.max_io_size + res.rsp.max_hdr_size;
	info_req_encode(msg, "peer-early");
	expect_thrown_out(&c, msg, "INFO_REQ with cid 0 alone");
}

static void t_same_cid_twice(void)
{
	uint8_t priv[WIRE_CONN_LEN];
	struct conn_result res;
	struct clt c;

	clt_init(&c, &cfg->clt);
	conn_req_encode(priv, &c.ident);
	res = clt_conn_open(&c, 0, priv, sizeof(priv));
	expect(-res.err, 0, "connect cid 0");
	c.dying = true;
	if (!res.err) {
		res = clt_conn_open(&c, 1, priv, sizeof(priv));
		if (!res.rejected || res.rsp.err != -ECONNRESET)
			bad("cid 0 again: errno %d, rejected %d", res.rsp.err,
			    res.rejected);
	}
	clt_free(&c);
}

/* --- RNBD set-up ------------------------------------------------------------ */

static void check_sess_info(const struct req *r)
{
	if (r->data[0] != RNBD_SESS_INFO_RSP || r->data[1] ||
	    r->data[4] != RNBD_VER_MAJOR)
		bad("SESS_INFO_RSP: type %u, version %u", get16(r->data),
		    r->data[4]);
	if (!all_zero(r->data + 2, 2) || !all_zero(r->data + 5, 31))
		bad("SESS_INFO_RSP: reserved bytes are not 0");
}

static void t_sess_info(void)
{
	struct req *r;
	int i;

	if (!session())
		return;
	for (i = 0; i < 2; i++) {
		r = sess_info_req(&S, 0);
		expect(clt_call(&S, r), 0, "SESS_INFO");
		check_sess_info(r);
	}
	/* A client that knows more than we do: the smaller major counts. */
	r = sess_info_req(&S, 0);
	r->usr[4] = 3;
	expect(clt_call(&S, r), 0, "SESS_INFO 3");
	check_sess_info(r);
}

static void t_open(void)
{
	if (!have_disk())
		return;
	note("%s: id %u, %llu sectors, blocks %u/%u, cache %u, hw %u, segs %u",
	     cfg->dev, disk.device_id, (unsigned long long)disk.nsectors,
	     disk.logical_block_size, disk.physical_block_size,
	     disk.cache_policy, disk.max_hw_sectors, disk.max_segments);
	note("%s: discard %u/%u/%u, secure %u, zeroes %u", cfg->dev,
	     disk.max_discard_sectors, disk.discard_granularity,
	     disk.discard_alignment, disk.secure_discard,
	     disk.max_write_zeroes_sectors);
}

static void t_open_twice(void)
{
	uint8_t a[RNBD_OPEN_RSP_LEN], b[RNBD_OPEN_RSP_LEN];
	struct rnbd_open_rsp again;
	int i;

	if (!have_disk())
		return;
	/* The access mode is not looked at again. */
	for (i = RNBD_RO; i <= RNBD_MIGRATION; i++) {
		expect(open_disk(&S, cfg->dev, i, &again), 0, "OPEN again");
		rnbd_open_rsp_encode(a, &disk);
		rnbd_open_rsp_encode(b, &again);
		if (memcmp(a, b, sizeof(a)))
			bad("OPEN again, mode %d: another answer (id %u, was %u)",
			    i, again.device_id, disk.device_id);
	}
}

static void open_fails(const char *name, unsigned int access, int err,
		       const char *what)
{
	struct req *r = open_req(&S, 0, access, name);
	uint32_t imm;

	expect(clt_call(&S, r), err, what);
	imm = imm_io_rsp(r->need_inval ? IMM_IO_RSP_W_INV : IMM_IO_RSP, 0, err);
	if (r->done && r->how != ANS_IMM && r->how != ANS_RKEY &&
	    r->imm != imm)
		bad("%s: immediate %#x, expected %#x", what, r->imm, imm);
}

static void t_open_errors(void)
{
	char name[256];

	if (!have_disk())
		return;
	open_fails(cfg->missing, RNBD_RW, ENOENT, "OPEN of nothing");
	open_fails(cfg->notblk, RNBD_RW, ENOTBLK, "OPEN of no block device");
	open_fails("/dev/../dev/ram0", RNBD_RW, EINVAL, "OPEN with ..");
	open_fails(cfg->missing, 3, EINVAL, "OPEN with mode 3");
	/* Two spellings of one device. */
	snprintf(name, sizeof(name), "/%s", cfg->dev);
	open_fails(name, RNBD_RO, EEXIST, "OPEN of one device by two names");
}

static void t_open_unterminated(void)
{
	struct req *r;

	if (!session())
		return;
	r = open_req(&S, 0, RNBD_RO, "");
	memset(r->usr + RNBD_OPEN_NAME_OFF, 'x', RNBD_OPEN_NAME_LEN);
	expect_error(clt_call(&S, r), "OPEN of a name without NUL");
}

/* After a reconnect mainline sends SESS_INFO and all OPENs at once. */
static void t_open_burst(void)
{
	struct req *r[3];
	int i;

	if (!session())
		return;
	close_disk();
	r[0] = sess_info_req(&S, 0);
	r[1] = open_req(&S, 1, RNBD_RW, cfg->dev);
	r[2] = open_req(&S, 2, RNBD_RW, cfg->missing);
	for (i = 0; i < 3; i++)
		if (clt_send(&S, r[i]))
			return bad("cannot send");
	for (i = 0; i < 3; i++)
		if (clt_wait(&S, r[i]))
			return bad("no answer to request %d", i);
	expect(r[0]->err, 0, "SESS_INFO");
	expect(r[1]->err, 0, "OPEN");
	expect(r[2]->err, ENOENT, "OPEN of nothing");
	if (!r[1]->err) {
		rnbd_open_rsp_decode(&disk, r[1]->data);
		S_open = true;
	}
}

/* No SESS_INFO at all: version 0, and OPEN works. */
static void t_open_without_sess_info(void)
{
	struct rnbd_open_rsp rsp;
	struct clt_cfg conf = cfg->clt;
	struct clt c;
	int ret;

	conf.sessname = "peer-bare";
	close_disk();
	ret = clt_start(&c, &conf);
	expect(-ret, 0, "session");
	if (!ret) {
		expect(open_disk(&c, cfg->dev, RNBD_RW, &rsp), 0, "OPEN");
		expect(clt_call(&c, close_req(&c, 0, rsp.device_id)), 0,
		       "CLOSE");
	}
	clt_stop(&c);
}

static void t_undefined_bytes(void)
{
	struct rnbd_open_rsp again;
	struct req *r;
	unsigned int n;

	if (!have_disk())
		return;
	r = sess_info_req(&S, 0);
	memset(r->usr + 2, 0xee, 2);
	memset(r->usr + 5, 0xee, 31);
	expect(clt_call(&S, r), 0, "SESS_INFO with undefined bytes");
	check_sess_info(r);

	r = open_req(&S, 0, RNBD_RW, cfg->dev);
	memset(r->usr + 2, 0xee, 2);
	r->usr[5] = 0xee;
	n = RNBD_OPEN_NAME_OFF + strlen(cfg->dev) + 1;
	memset(r->usr + n, 0xee, RNBD_OPEN_LEN - n);
	expect(clt_call(&S, r), 0, "OPEN with undefined bytes");
	rnbd_open_rsp_decode(&again, r->data);
	if (!r->err && again.device_id != disk.device_id)
		bad("OPEN with undefined bytes: another device");

	r = io_req(&S, 1, 1, &(struct rnbd_io){
		.device_id = disk.device_id, .rw = RNBD_OP_READ,
		.bi_size = 4096 }, 4096);
	memset(r->usr + 2, 0xee, 2);
	memset(r->usr + 26, 0xee, 6);
	expect(clt_call(&S, r), 0, "IO with undefined bytes");
}

/* Lengths are minimums. */
static void t_longer_messages(void)
{
	struct rnbd_io msg = { .rw = RNBD_OP_READ, .bi_size = 4096 };
	struct req *r;

	if (!have_disk())
		return;
	msg.device_id = disk.device_id;
	r = sess_info_req(&S, 0);
	r->usr_len += 7;
	expect(clt_call(&S, r), 0, "longer SESS_INFO");
	r = open_req(&S, 0, RNBD_RW, cfg->dev);
	r->usr_len += 9;
	expect(clt_call(&S, r), 0, "longer OPEN");
	r = io_req(&S, 1, 1, &msg, 4096);
	r->usr_len += 13;
	expect(clt_call(&S, r), 0, "longer IO");
	r = io_req(&S, 1, 1, &msg, 4096);
	r->usr_len = RNBD_IO_LEN_OLD;
	expect(clt_call(&S, r), 0, "IO of 24 bytes");
}

static void t_shorter_messages(void)
{
	struct req *r;

	if (!have_disk())
		return;
	r = sess_info_req(&S, 0);
	r->usr_len = 4;
	expect_error(clt_call(&S, r), "SESS_INFO of 4 bytes");
	r = open_req(&S, 0, RNBD_RO, cfg->dev);
	r->usr_len = 100;
	expect_error(clt_call(&S, r), "OPEN of 100 bytes");
	r = close_req(&S, 0, disk.device_id);
	r->usr_len = 4;
	expect_error(clt_call(&S, r), "CLOSE of 4 bytes");
	r = io_req(&S, 1, 1, &(struct rnbd_io){
		.device_id = disk.device_id, .rw = RNBD_OP_READ,
		.bi_size = 4096 }, 4096);
	r->usr_len = 16;
	expect_error(clt_call(&S, r), "IO of 16 bytes");
}

/* --- I/O --------------------------------------------------------------------- */

static void t_write_read(void)
{
	static const uint32_t sizes[] = { 512, 1024, 4096, 4608, 65536, 0 };
	unsigned int i, cid;
	uint32_t len;

	if (!have_disk())
		return;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		len = sizes[i] ?: max_io();
		if (len % disk.logical_block_size || len > max_io())
			continue;
		for (cid = 1; cid < S.cid_num; cid++) {
			expect(write_pattern(cid, RNBD_F_SYNC, 64 + 8 * i, len,
					     cid), 0, "write");
			check_read(S.cid_num - cid, 64 + 8 * i, len, cid,
				   "read");
			if (tap_bad())
				return;
		}
	}
}

/* Only what was written has changed. */
static void t_write_in_place(void)
{
	unsigned int lbs, n, i;

	if (!have_disk())
		return;
	lbs = disk.logical_block_size;
	n = lbs / RNBD_SECTOR;
	write_area(0, 8 * lbs, 1);
	expect(write_pattern(1, 0, 3 * n, lbs, 2), 0, "write of block 3");
	for (i = 0; i < 8; i++)
		check_read(1, i * n, lbs, i == 3 ? 2 : 1, "block");
}

static void t_last_block(void)
{
	unsigned int n;

	if (!have_disk())
		return;
	n = disk.logical_block_size / RNBD_SECTOR;
	expect(write_pattern(1, 0, disk.nsectors - n, n * RNBD_SECTOR, 9), 0,
	       "write of the last block");
	check_read(1, disk.nsectors - n, n * RNBD_SECTOR, 9,
		   "the last block");
}

/* A key that the client invalidates itself. */
static void t_read_without_inval(void)
{
	struct rnbd_io msg = { .rw = RNBD_OP_READ, .bi_size = 4096 };
	struct req *r;

	if (!have_disk())
		return;
	msg.device_id = disk.device_id;
	expect(write_pattern(1, 0, 0, 4096, 4), 0, "write");
	r = io_req(&S, 1, 1, &msg, 4096);
	r->need_inval = false;
	expect(clt_call(&S, r), 0, "read");
	check_pattern(r->data, 4096, 0, 4, "read");
	msg.sector = disk.nsectors;
	r = io_req(&S, 1, 1, &msg, 4096);
	r->need_inval = false;
	expect_error(clt_call(&S, r), "read beyond the end");
}

/* Unaligned in the chunk, and a buffer that begins anywhere. */
static void t_chunk_reuse(void)
{
	unsigned int i;

	if (!have_disk())
		return;
	for (i = 0; i < 40; i++) {
		expect(write_pattern(1 + i % (S.cid_num - 1), 0, 8, 4096, i),
		       0, "write");
		check_read(1 + (i + 1) % (S.cid_num - 1), 8, 4096, i,
			   "read");
		if (tap_bad())
			return;
	}
}

/* Every chunk at once, over all I/O connections. */
static void t_all_chunks(void)
{
	unsigned int i, cid, n;
	struct rnbd_io msg = { .bi_size = 4096 };
	int round, ret;

	if (!have_disk())
		return;
	msg.device_id = disk.device_id;
	n = S.rsp.queue_depth;
	if (n > disk.nsectors / 8)
		n = disk.nsectors / 8;
	for (round = 0; round < 2; round++) {
		for (i = 0; i < n; i++) {
			cid = 1 + i % (S.cid_num - 1);
			msg.sector = 8 * i;
			msg.rw = round ? RNBD_OP_READ : RNBD_OP_WRITE;
			io_req(&S, cid, i, &msg, 4096);
			if (!round)
				pattern(S.req[i].data, 4096, 8 * i, 77);
			ret = clt_send(&S, &S.req[i]);
			if (ret)
				return bad("request %u: %s", i, strerror(-ret));
		}
		for (i = 0; i < n; i++) {
			if (clt_wait(&S, &S.req[i]))
				return;
			expect(S.req[i].err, 0, round ? "read" : "write");
			if (round)
				check_pattern(S.req[i].data, 4096, 8 * i, 77,
					      "read");
		}
	}
}

static void flush_as(bool read, uint64_t sector, uint32_t flags,
		     const char *what)
{
	struct rnbd_io msg = {
		.device_id = disk.device_id,
		.sector = sector,
		.rw = RNBD_OP_FLUSH | flags,
	};
	struct req *r = io_req(&S, 1, 1, &msg, 0);

	r->read = read;
	r->no_desc = read;
	r->need_inval = false;
	expect(clt_call(&S, r), 0, what);
}

static void t_flush(void)
{
	const uint32_t flags = RNBD_F_SYNC | RNBD_F_FUA;

	if (!have_disk())
		return;
	flush_as(true, ~0ull, flags, "mainline FLUSH");
	flush_as(true, ~0ull, flags | RNBD_F_PREFLUSH, "mainline 2.1 FLUSH");
	flush_as(false, ~0ull, flags | RNBD_F_PREFLUSH, "FLUSH as a WRITE");
	flush_as(true, 0, flags, "FLUSH of sector 0");
	flush_as(false, 0, 0, "FLUSH without flags");
}

static void t_write_flags(void)
{
	static const uint32_t flags[] = {
		RNBD_F_SYNC, RNBD_F_FUA, RNBD_F_SYNC | RNBD_F_FUA,
		RNBD_F_PREFLUSH | RNBD_F_FUA, RNBD_F_PREFLUSH,
		1u << 20 | RNBD_F_SYNC,		/* a flag of the future */
	};
	unsigned int i;

	if (!have_disk())
		return;
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		expect(write_pattern(1, flags[i], 16, 4096, i), 0,
		       "write with flags");
		check_read(1, 16, 4096, i, "read after it");
	}
	/* An empty write, for the sake of its flags. */
	expect(io(RNBD_OP_WRITE | RNBD_F_FUA | RNBD_F_PREFLUSH, 0, 0, 0), 0,
	       "empty write");
}

static void t_prio(void)
{
	static const uint16_t prios[] = { 0, 0x2004, 0x4004, 0x6000, 0xffff };
	unsigned int i;

	if (!have_disk())
		return;
	expect(clt_call(&S, sess_info_req(&S, 0)), 0, "SESS_INFO");
	for (i = 0; i < ARRAY_SIZE(prios); i++) {
		struct rnbd_io msg = {
			.device_id = disk.device_id,
			.rw = RNBD_OP_READ,
			.bi_size = 4096,
			.prio = prios[i],
		};
		int ret = clt_call(&S, io_req(&S, 1, 1, &msg, 4096));

		/* A class that does not exist may be refused. */
		if (prios[i] != 0xffff)
			expect(ret, 0, "read with a priority");
		else if (ret < 0)
			bad("read with a wild priority: no answer");
	}
}

static bool zeroes(const uint8_t *b, unsigned int len, const char *what)
{
	if (all_zero(b, len))
		return true;
	bad("%s: not zeroes", what);
	return false;
}

static void t_write_zeroes(void)
{
	unsigned int i;

	if (!have_disk())
		return;
	if (!disk.max_write_zeroes_sectors)
		note("not announced by this disk: error or success is fine");
	for (i = 0; i < 2; i++) {
		int ret;

		write_area(0, 16384, 5);
		ret = io(RNBD_OP_WRITE_ZEROES | (i ? RNBD_F_NOUNMAP : 0), 8,
			 4096, 0);
		if (!disk.max_write_zeroes_sectors && ret > 0)
			continue;
		expect(ret, 0, "write zeroes");
		check_read(1, 0, 4096, 5, "before");
		expect(read_back(1, 8, 4096), 0, "read");
		zeroes(S.req[1].data, 4096, "zeroed block");
		check_read(1, 16, 4096, 5, "behind");
	}
}

static void t_discard(void)
{
	int ret;

	if (!have_disk())
		return;
	write_area(0, 32768, 6);
	ret = io(RNBD_OP_DISCARD, 16, 8192, 0);
	if (disk.max_discard_sectors)
		expect(ret, 0, "discard");
	else
		expect_error(ret, "discard on a disk without");
	check_area(0, 8192, 6, "before");
	check_area(32, 8192, 6, "behind");
	ret = io(RNBD_OP_SECURE_ERASE, 16, 8192, 0);
	if (disk.secure_discard)
		expect(ret, 0, "secure erase");
	else
		expect_error(ret, "secure erase on a disk without");
}

static void t_io_errors(void)
{
	uint64_t end;
	uint32_t lbs;

	if (!have_disk())
		return;
	end = disk.nsectors;
	lbs = disk.logical_block_size;
	expect_error(io(RNBD_OP_READ, end, lbs, lbs), "read at the end");
	expect_error(io(RNBD_OP_WRITE, end, lbs, lbs), "write at the end");
	expect_error(io(RNBD_OP_READ, end - lbs / 512, 2 * lbs, 2 * lbs),
		     "read across the end");
	expect_error(io(RNBD_OP_WRITE, end - lbs / 512, 2 * lbs, 2 * lbs),
		     "write across the end");
	expect_error(io(RNBD_OP_READ, ~0ull, lbs, lbs), "read of sector -1");
	expect_error(io(RNBD_OP_WRITE, 1ull << 55, lbs, lbs),
		     "write of sector 2^55");
	expect_error(io(RNBD_OP_DISCARD, end, lbs, 0), "discard at the end");
	expect_error(io(RNBD_OP_READ, 0, lbs, 2 * lbs),
		     "read with more room than bi_size");
	expect_error(io(RNBD_OP_WRITE, 0, lbs, 2 * lbs),
		     "write with more data than bi_size");
	expect_error(io(RNBD_OP_WRITE, 0, 100, 100), "write of 100 bytes");
	expect_error(io(RNBD_OP_READ, 0, 100, 100), "read of 100 bytes");
	expect(io(6, 0, lbs, lbs), EOPNOTSUPP, "operation 6");
	expect(io(255, 0, lbs, lbs), EOPNOTSUPP, "operation 255");
	expect(io(RNBD_OP_READ, 0, lbs, lbs), 0, "read afterwards");
}

static void t_unknown_device(void)
{
	struct rnbd_io msg = { .device_id = 0x7654321, .bi_size = 4096 };
	struct req *r;

	if (!session())
		return;
	msg.rw = RNBD_OP_READ;
	r = io_req(&S, 1, 1, &msg, 4096);
	expect(clt_call(&S, r), ENOTCONN, "read");
	msg.rw = RNBD_OP_WRITE;
	r = io_req(&S, 1, 1, &msg, 4096);
	expect(clt_call(&S, r), ENOTCONN, "write");
	if (r->imm != imm_io_rsp(IMM_IO_RSP, 1, ENOTCONN))
		bad("write: immediate %#x", r->imm);
	msg.rw = RNBD_OP_DISCARD;
	expect(clt_call(&S, io_req(&S, 1, 1, &msg, 0)), ENOTCONN, "discard");
	expect(clt_call(&S, close_req(&S, 0, 0x7654321)), 0, "CLOSE");
}

static void t_unknown_type(void)
{
	static const uint16_t types[] = { RNBD_SESS_INFO_RSP, RNBD_OPEN_RSP, 6,
					  0xffff };
	unsigned int i;
	struct req *r;

	if (!session())
		return;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		r = usr_req(&S, 0, 0, 64, 64, true);
		put16(r->usr, types[i]);
		expect(clt_call(&S, r), EINVAL, "unknown type, read");
		r = usr_req(&S, 1, 1, 64, 0, false);
		put16(r->usr, types[i]);
		expect(clt_call(&S, r), EINVAL, "unknown type, write");
	}
}

/*
 * A server answers any message on any connection, and on that one.  I/O has no
 * business on cid 0: there, no matter what the answer is.
 */
static void t_any_cid(void)
{
	struct rnbd_io msg = { .rw = RNBD_OP_READ, .bi_size = 4096 };
	struct req *r;
	int ret;

	if (!have_disk())
		return;
	msg.device_id = disk.device_id;
	ret = clt_call(&S, io_req(&S, 0, 3, &msg, 4096));
	if (ret < 0)
		bad("read on cid 0: no answer");
	note("read on cid 0: %s", err_name(ret));
	r = sess_info_req(&S, 3);
	r->cid = 1;
	expect(clt_call(&S, r), 0, "SESS_INFO on cid 1");
	r = open_req(&S, 3, RNBD_RW, cfg->dev);
	r->cid = S.cid_num - 1;
	expect(clt_call(&S, r), 0, "OPEN on the last cid");
}

static void t_read_only(void)
{
	struct rnbd_open_rsp ro;

	if (!session())
		return;
	close_disk();
	expect(open_disk(&S, cfg->dev, RNBD_RO, &ro), 0, "OPEN ro");
	if (tap_bad())
		return;
	disk = ro;
	S_open = true;
	expect(io(RNBD_OP_READ, 0, 4096, 4096), 0, "read");
	expect_error(io(RNBD_OP_WRITE, 0, 4096, 4096), "write");
	expect_error(io(RNBD_OP_DISCARD, 0, 4096, 0), "discard");
	expect_error(io(RNBD_OP_WRITE_ZEROES, 0, 4096, 0), "write zeroes");
	expect_error(io(RNBD_OP_SECURE_ERASE, 0, 4096, 0), "secure erase");
	flush_as(true, ~0ull, RNBD_F_SYNC | RNBD_F_FUA, "FLUSH");
	close_disk();
}

/* rw once, migration twice, ro always; counted over all sessions. */
static void t_access_modes(void)
{
	struct clt_cfg conf = cfg->clt;
	struct rnbd_open_rsp rsp;
	struct clt c;
	int ret;

	if (!have_disk())
		return;
	conf.sessname = "peer-second";
	ret = clt_start(&c, &conf);
	expect(-ret, 0, "second session");
	if (!ret) {
		expect(open_disk(&c, cfg->dev, RNBD_RW, &rsp), EPERM,
		       "second rw");
		expect(open_disk(&c, cfg->dev, RNBD_MIGRATION, &rsp), 0,
		       "migration beside rw");
		expect(clt_call(&c, close_req(&c, 0, rsp.device_id)), 0,
		       "CLOSE");
		expect(open_disk(&c, cfg->dev, RNBD_RO, &rsp), 0,
		       "ro beside rw");
		expect(clt_call(&c, close_req(&c, 0, rsp.device_id)), 0,
		       "CLOSE");
	}
	clt_stop(&c);
	expect(io(RNBD_OP_READ, 0, 4096, 4096), 0, "first session goes on");
}

static void t_close(void)
{
	uint32_t id;

	if (!have_disk())
		return;
	id = disk.device_id;
	close_disk();
	expect(io(RNBD_OP_READ, 0, 4096, 4096), ENOTCONN, "read after CLOSE");
	expect(clt_call(&S, close_req(&S, 0, id)), 0, "CLOSE again");
	if (have_disk())
		expect(io(RNBD_OP_READ, 0, 4096, 4096), 0,
		       "read after OPEN again");
}

/* --- heartbeats and the end ------------------------------------------------ */

static void t_heartbeat(void)
{
	int i;

	if (!session())
		return;
	for (i = 0; i < 10; i++)
		expect(-clt_heartbeat(&S), 0, "HB_MSG");
	if (S.hb_acks != 10)
		bad("%u HB_ACK for 10 HB_MSG", S.hb_acks);
}

static void idle(struct clt *c, unsigned int ms)
{
	uint64_t until = now_ms() + ms;

	while (!c->dead && now_ms() < until)
		clt_poll(c, until);
}

/* The server sends HB_MSG every 5 s while its own are answered. */
static void t_heartbeat_of_server(void)
{
	struct clt_cfg conf = cfg->clt;
	struct clt c;
	uint64_t start;
	int ret;

	end_session();
	conf.sessname = "peer-hb";
	ret = clt_start(&c, &conf);
	start = now_ms();
	expect(-ret, 0, "session");
	if (!ret)
		idle(&c, 13000);
	if (!ret && (c.hb_msgs < 1 || c.hb_msgs > 3))
		bad("%u HB_MSG in 13 s", c.hb_msgs);
	if (c.hb_msgs && (c.hb_first - start < 3500 ||
			  c.hb_first - start > 8000))
		bad("first HB_MSG after %llu ms",
		    (unsigned long long)(c.hb_first - start));
	if (c.dead)
		bad("the path ended");
	clt_stop(&c);
}

/* Whoever runs this changes the disk's size meanwhile: we never hear of it. */
static void t_idle_disk(void)
{
	if (!have_disk())
		return;
	idle(&S, 10000);
	expect(io(RNBD_OP_READ, 0, 4096, 4096), 0, "read after a while");
}

/* A silent path fails 30 to 35 s after the last receive. */
static void t_silence(void)
{
	struct clt_cfg conf = cfg->clt;
	uint64_t start;
	unsigned int ms;
	struct clt c;
	int ret;

	/* Nobody would answer for the shared session meanwhile. */
	end_session();
	conf.sessname = "peer-silent";
	ret = clt_start(&c, &conf);
	expect(-ret, 0, "session");
	c.mute_hb = true;
	c.dying = true;
	start = now_ms();
	if (!ret && clt_wait_end(&c, 45000))
		bad("still there after 45 s of silence");
	ms = now_ms() - start;
	note("ended after %u ms", ms);
	if (!ret && (ms < 28000 || ms > 40000))
		bad("ended after %u ms", ms);
	if (c.hb_msgs != 1)
		bad("%u HB_MSG without an answer, expected 1", c.hb_msgs);
	clt_free(&c);
}

/* One connection disconnected ends them all. */
static void t_one_for_all(void)
{
	struct clt_cfg conf = cfg->clt;
	struct clt c;
	int ret;

	conf.sessname = "peer-one";
	ret = clt_start(&c, &conf);
	expect(-ret, 0, "session");
	if (!ret) {
		c.dying = true;
		rdma_disconnect(c.conn[c.cid_num - 1].id);
		if (clt_wait_end(&c, c.cfg.timeout_ms))
			bad("the other connections are still there");
	}
	clt_free(&c);
}

/* A new session under the old name, as soon as the old one has gone. */
static void t_come_back(void)
{
	struct clt_cfg conf = cfg->clt;
	struct rnbd_open_rsp rsp = { 0 };
	struct rnbd_io msg = { .rw = RNBD_OP_READ, .bi_size = 4096 };
	struct clt c;
	int i, ret;

	close_disk();
	conf.sessname = "peer-again";
	for (i = 0; i < 3; i++) {
		uint64_t until = now_ms() + conf.timeout_ms;

		/* The server may still be taking the old one down. */
		for (;;) {
			clt_init(&c, &conf);
			c.dying = true;
			ret = clt_connect(&c);
			ret = ret ?: clt_info(&c);
			c.dying = false;
			if (!ret || now_ms() >= until)
				break;
			clt_free(&c);
		}
		expect(-ret, 0, "session");
		if (ret) {
			clt_free(&c);
			return;
		}
		/* Nothing is open, whatever was open before. */
		expect(clt_call(&c, io_req(&c, 1, 1, &msg, 4096)), ENOTCONN,
		       "read before OPEN");
		expect(open_disk(&c, cfg->dev, RNBD_RW, &rsp), 0, "OPEN");
		msg.device_id = rsp.device_id;
		/* Hangs up without CLOSE: the server has to close it. */
		clt_stop(&c);
	}
}

static void t_goodbye(void)
{
	if (session())
		end_session();
}

static const struct {
	const char *name;
	void (*run)(void);
	bool slow;
} tests[] = {
	{ "connect and INFO exchange", t_connect, false },
	{ "queue depth", t_queue_depth, false },
	{ "refused CONN_REQs", t_refusals, false },
	{ "refused CONN_REQs of a session that is up", t_refusals_known, false },
	{ "minor version is ignored", t_minor_version, false },
	{ "refused session names", t_bad_names, false },
	{ "INFO_REQ before all connections", t_early_info, false },
	{ "the same cid twice", t_same_cid_twice, false },
	{ "SESS_INFO", t_sess_info, false },
	{ "OPEN", t_open, false },
	{ "OPEN of an open name", t_open_twice, false },
	{ "OPEN errors", t_open_errors, false },
	{ "OPEN of an unterminated name", t_open_unterminated, false },
	{ "SESS_INFO and OPENs at once", t_open_burst, false },
	{ "OPEN without SESS_INFO", t_open_without_sess_info, false },
	{ "undefined bytes are ignored", t_undefined_bytes, false },
	{ "longer messages", t_longer_messages, false },
	{ "shorter messages", t_shorter_messages, false },
	{ "write and read, all sizes and connections", t_write_read, false },
	{ "write in place", t_write_in_place, false },
	{ "last block", t_last_block, false },
	{ "read without NEED_INVAL", t_read_without_inval, false },
	{ "one chunk again and again", t_chunk_reuse, false },
	{ "all chunks at once", t_all_chunks, false },
	{ "flush", t_flush, false },
	{ "write flags", t_write_flags, false },
	{ "priorities", t_prio, false },
	{ "write zeroes", t_write_zeroes, false },
	{ "discard and secure erase", t_discard, false },
	{ "I/O errors", t_io_errors, false },
	{ "unknown device", t_unknown_device, false },
	{ "unknown message type", t_unknown_type, false },
	{ "any message on any connection", t_any_cid, false },
	{ "read-only device", t_read_only, false },
	{ "access modes over two sessions", t_access_modes, false },
	{ "idle with a disk open", t_idle_disk, true },
	{ "close", t_close, false },
	{ "heartbeats are answered", t_heartbeat, false },
	{ "heartbeats of the server", t_heartbeat_of_server, true },
	{ "silence ends a path", t_silence, true },
	{ "one connection ends all", t_one_for_all, false },
	{ "back under the same name", t_come_back, false },
	{ "orderly close", t_goodbye, false },
};

#define NTESTS ARRAY_SIZE(tests)

void list_tests(void)
{
	unsigned int i;

	for (i = 0; i < NTESTS; i++)
		printf("%s%s\n", tests[i].name, tests[i].slow ? " (slow)" : "");
}

void run_tests(const struct test_cfg *test_cfg)
{
	unsigned int i;

	cfg = test_cfg;
	for (i = 0; i < NTESTS; i++) {
		if (cfg->only && !strstr(tests[i].name, cfg->only))
			continue;
		if (tests[i].slow && !cfg->slow) {
			tap_skip(tests[i].name, "--slow not given");
			continue;
		}
		tests[i].run();
		tap_done("%s", tests[i].name);
	}
	/* Still there where not all tests were run. */
	end_session();
}
