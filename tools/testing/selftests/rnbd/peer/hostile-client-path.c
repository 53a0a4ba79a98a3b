// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a hostile client can do with a path whose connections are there: INFO_REQ
 * of every wrong kind, and ends in the middle of something
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostile-client.h"

/* --- INFO_REQ ---------------------------------------------------------------------- */

enum info_want {
	I_OK,
	I_END,
	I_SILENT,			/* nothing, for a while */
	I_ANY,
};

struct info_case {
	struct hcase h;
	const char *name;		/* NULL: one that is free */
	enum info_want want;
	unsigned int repeat;		/* so many times @name */
	struct patch p[MAX_PATCHES];
	unsigned int len;		/* 0: 272, ~0: 0 */
	enum ibv_wr_opcode op;		/* 0: a SEND */
	unsigned int cid;
	unsigned int cids;		/* of the path's connections; 0: all */
	unsigned int times;		/* sent one after the other; 0: once */
};

#define NAME_AT WIRE_INFO_NAME_OFF

static const struct info_case info_cases[] = {
	{ .h = { "empty name", 0 }, .name = "", .want = I_END },
	{ .h = { "name of 254 bytes", 0 }, .name = "n", .repeat = 254,
	  .want = I_OK },
	{ .h = { "unterminated name", 0 }, .name = "n", .repeat = 254,
	  .want = I_END, .p = { B(NAME_AT + 254, 1, 'n') } },
	{ .h = { "unterminated name and reserved bytes", 0 }, .want = I_END,
	  .p = { B(NAME_AT, 0, 'n') } },
	{ .h = { "bytes behind the name", 0 }, .name = "n", .repeat = 100,
	  .want = I_OK, .p = { B(NAME_AT + 101, 0, 0xee) } },
	{ .h = { "a slash", 0 }, .name = "a/b", .want = I_END },
	{ .h = { "only a slash", 0 }, .name = "/", .want = I_END },
	{ .h = { "a slash at the end", 0 }, .name = "a/", .want = I_END },
	{ .h = { "a dot", 0 }, .name = "a.b", .want = I_END },
	{ .h = { "only a dot", 0 }, .name = ".", .want = I_END },
	{ .h = { "two dots", 0 }, .name = "..", .want = I_END },
	{ .h = { "up and away", 0 }, .name = "../../etc", .want = I_END },
	{ .h = { "name of a path", 0 }, .name = "ip:10.9.1.1@ip:10.9.1.2",
	  .want = I_END },
	{ .h = { "name of an IPv6 path", 0 },
	  .name = "ip:fd09:1::1@ip:fd09:1::2", .want = I_OK },
	{ .h = { "name of a GID path", 0 },
	  .name = "gid:fe80::1@gid:fe80::2", .want = I_OK },
	{ .h = { "a line break", 0 }, .name = "a\nb", .want = I_END },
	{ .h = { "a line break at the end", 0 }, .name = "ab\n", .want = I_END },
	{ .h = { "a tab", 0 }, .name = "a\tb", .want = I_END },
	{ .h = { "an escape sequence", 0 }, .name = "\033[2J", .want = I_END },
	{ .h = { "a DEL", 0 }, .name = "a\177", .want = I_END },
	{ .h = { "a control character first", 0 }, .name = "\001name",
	  .want = I_END },
	{ .h = { "spaces", 0 }, .name = "a b", .want = I_OK },
	{ .h = { "bytes above 127", 0 }, .name = "\303\266\377", .want = I_OK },
	{ .h = { "format characters", 0 }, .name = "%s%n%p%x%%", .want = I_OK },
	{ .h = { "the mark of the search path", 0 }, .name = "%SESSNAME%",
	  .want = I_OK },
	{ .h = { "names of sysfs", 0 }, .name = "ctl", .want = I_OK },
	{ .h = { "wrong type", 0 }, .want = I_END, .p = { B(0, 2, 1) } },
	{ .h = { "type 65535", 0 }, .want = I_END, .p = { B(0, 2, 0xffff) } },
	{ .h = { "of 0 bytes", 0 }, .want = I_END, .len = ~0u },
	{ .h = { "of 1 byte", 0 }, .want = I_END, .len = 1 },
	{ .h = { "of 2 bytes", 0 }, .want = I_END, .len = 2 },
	{ .h = { "a byte too short", 0 }, .want = I_END, .len = 271 },
	{ .h = { "a byte too long", 0 }, .want = I_END, .len = 273 },
	{ .h = { "of 64 KiB", 0 }, .want = I_END, .len = 65536 },
	{ .h = { "twice at once", 0 }, .want = I_END, .times = 2 },
	{ .h = { "ten times at once", 0 }, .want = I_END, .times = 10 },
	{ .h = { "with an immediate", 0 }, .want = I_ANY,
	  .op = IBV_WR_SEND_WITH_IMM },
	{ .h = { "as an RDMA write with an immediate", 0 }, .want = I_END,
	  .op = IBV_WR_RDMA_WRITE_WITH_IMM },
	{ .h = { "with an invalidation", 0 }, .want = I_END,
	  .op = IBV_WR_SEND_WITH_INV },
	{ .h = { "on the wrong connection", 0 }, .want = I_SILENT, .cid = 1 },
	{ .h = { "before cid 1", 0 }, .want = I_END, .cids = 1 },
};

/* As clt_info_raw() begins: somewhere for the answer to go. */
static void info_prepare(struct foe *f)
{
	struct conn *conn = &f->c.conn[0];
	unsigned int qd = f->c.rsp.queue_depth;

	foe_scratch(f);
	f->c.chunk = xzalloc(qd * sizeof(*f->c.chunk));
	conn_rx_alloc(conn, f->c.pd, WIRE_INFO_RSP_LEN(qd), 1);
	if (conn_post_recv(conn, WR_RX_INFO, 0))
		die("cannot post a receive");
}

static bool info_connect(struct foe *f, const char *name, unsigned int cids)
{
	unsigned int cid;

	foe_init(f, name);
	for (cid = 0; cid < (cids ?: f->c.cid_num); cid++)
		if (!foe_conn(f, cid))
			return false;
	info_prepare(f);
	return true;
}

static void info_name(const struct info_case *c, const char *own, char *name)
{
	unsigned int i;

	*name = 0;
	for (i = 0; i < (c->repeat ?: 1); i++)
		strcat(name, c->name ?: own);
}

static void info_post(struct foe *f, const struct info_case *c)
{
	char name[WIRE_INFO_NAME_LEN + 1];
	const struct post p = {
		.cid = c->cid,
		.op = c->op ?: IBV_WR_SEND,
		.len = c->len == ~0u ? 0 : c->len ?: WIRE_INFO_REQ_LEN,
		.imm = 0x12345678,
	};
	unsigned int i;

	info_name(c, f->c.cfg.sessname, name);
	info_req_encode(f->scratch, "");
	memcpy(f->scratch + NAME_AT, name, strlen(name));
	patch_apply(c->p, P_BYTES, f->scratch, WIRE_INFO_REQ_LEN);
	for (i = 0; i < (c->times ?: 1); i++)
		if (foe_post(f, &p))
			die("cannot send INFO_REQ");
}

static void info_wait(struct foe *f, unsigned int ms)
{
	uint64_t until = now_ms() + ms;

	while (!f->c.have_info && !f->c.dead && now_ms() < until) {
		honest_poll();
		clt_poll(&f->c, until);
	}
}

static void info_judge(struct foe *f, const struct info_case *c)
{
	if (c->want == I_END) {
		foe_must_end(f, "INFO_REQ");
		if (f->c.have_info && !c->times)
			bad("it was answered");
	} else if (c->want == I_OK) {
		info_wait(f, cfg.clt.timeout_ms);
		if (!f->c.have_info || f->c.dead) {
			bad("it was not answered");
			return;
		}
		clt_ready(&f->c);
		foe_must_live(f, 0, "INFO_REQ");
	} else {
		info_wait(f, 300);
		if (c->want == I_SILENT && f->c.have_info)
			bad("it was answered");
	}
}

static void run_info(const void *elem)
{
	const struct info_case *c = elem;
	struct foe f;

	if (info_connect(&f, NULL, c->cids)) {
		info_post(&f, c);
		info_judge(&f, c);
	}
	foe_free(&f);
}

static const struct info_case plain_info;

/* The name of a session that is there. */
static void t_name_in_use(void)
{
	const struct info_case c = { .name = honest_clt()->cfg.sessname,
				     .want = I_END };

	run_info(&c);
}

static void t_info_again(void)
{
	struct foe f;

	if (foe_start(&f)) {
		info_post(&f, &plain_info);
		foe_must_end(&f, "a second INFO_REQ");
	}
	foe_free(&f);
}

static void t_other_name(void)
{
	struct foe f, g = { 0 };

	if (foe_start(&f)) {
		foe_init2(&g, &f, "another-name");
		if (!clt_connect(&g.c) && !clt_info(&g.c))
			bad("it may have two names");
		foe_must_end(&g, "another name");
		foe_must_live(&f, 0, "the first path");
	}
	foe_free(&g);
	foe_free(&f);
}

/* Both ask for the same name; one of them gets it. */
static void t_name_at_once(void)
{
	const struct info_case c = { .name = "hostile-at-once" };
	uint64_t until = now_ms() + patient(15000);
	struct foe f, g;

	if (info_connect(&f, NULL, 0) & info_connect(&g, NULL, 0)) {
		info_post(&f, &c);
		info_post(&g, &c);
		while (!(f.c.have_info || f.c.dead) && now_ms() < until)
			clt_poll(&f.c, until);
		while (!(g.c.have_info || g.c.dead) && now_ms() < until)
			clt_poll(&g.c, until);
		if (f.c.have_info == g.c.have_info)
			bad("both of them have %s", f.c.have_info ? "got it" :
			    "not got it");
		foe_must_end(f.c.have_info ? &g : &f, "the other one");
	}
	foe_free(&f);
	foe_free(&g);
}

/* Immediates before INFO_REQ, and on a connection that has no receives yet. */
static void early_imm(unsigned int cid, uint32_t imm, bool then_info)
{
	const struct post p = {
		.cid = cid,
		.op = IBV_WR_RDMA_WRITE_WITH_IMM,
		.imm = imm,
	};
	struct foe f;

	if (info_connect(&f, NULL, 0)) {
		foe_post(&f, &p);
		if (then_info) {
			info_post(&f, &plain_info);
			info_wait(&f, 1000);
		}
		if (!cid)
			foe_must_end(&f, "an immediate before INFO_REQ");
	}
	foe_free(&f);
}

static void t_early_io(void)
{
	early_imm(0, imm_make(IMM_IO_REQ, 0), false);
}

static void t_early_hb(void)
{
	early_imm(0, imm_make(IMM_HB_MSG, 0), false);
}

static void t_early_io_cid1(void)
{
	early_imm(1, imm_make(IMM_IO_REQ, 0), true);
}

static void t_early_both(void)
{
	early_imm(0, imm_make(IMM_IO_REQ, 0), true);
}

/*
 * Guessed keys, as none has been told.  On cid 0 the server has a receive that
 * fails; on the others it hears of it when INFO_REQ comes, or never does.
 */
static void early_write(unsigned int cid)
{
	struct post p = { .cid = cid, .op = IBV_WR_RDMA_WRITE, .len = 64 };
	struct foe f;

	if (info_connect(&f, NULL, 0)) {
		p.key = honest_clt()->chunk[0].key;
		p.addr = honest_clt()->chunk[0].addr;
		foe_post(&f, &p);
		if (cid) {
			foe_idle(&f, 100);
			info_post(&f, &plain_info);
		}
		foe_must_end(&f, "an RDMA write before INFO_REQ");
	}
	foe_free(&f);
}

static void t_early_write(void)
{
	early_write(0);
}

static void t_early_write_cid1(void)
{
	early_write(1);
}

static const struct run_case info_runs[] = {
	{ { "name of a session that is there", 0 }, t_name_in_use },
	{ { "again when the path is up", 0 }, t_info_again },
	{ { "the same name from two peers at once", 0 }, t_name_at_once },
	{ { "another name on the second path", CASE_PATH2 }, t_other_name },
	{ { "I/O before it", 0 }, t_early_io },
	{ { "a heartbeat before it", 0 }, t_early_hb },
	{ { "I/O on cid 1 before it", 0 }, t_early_io_cid1 },
	{ { "right behind I/O", 0 }, t_early_both },
	{ { "an RDMA write before it", 0 }, t_early_write },
	{ { "an RDMA write on cid 1 before it", 0 }, t_early_write_cid1 },
};

/* --- the end in the middle of something ------------------------------------------------ */

enum step {
	S_CID0, S_CIDS, S_INFO_SENT, S_INFO, S_SESS_INFO_SENT,
	S_OPEN_SENT, S_OPENED, S_READ_SENT, S_WRITE_SENT, S_SLOW_READ,
	S_SLOW_WRITE, S_FLUSH_SENT, S_MANY_SENT, S_CLOSE_SENT, S_CLOSE_BUSY,
};

struct step_case {
	struct hcase h;
	enum step step;
	bool polite;			/* rdma_disconnect() first */
};

static const struct step_case step_cases[] = {
	{ { "after cid 0", 0 }, S_CID0, false },
	{ { "after cid 0, politely", 0 }, S_CID0, true },
	{ { "after all connections", 0 }, S_CIDS, false },
	{ { "right after INFO_REQ", 0 }, S_INFO_SENT, false },
	{ { "right after INFO_REQ, politely", 0 }, S_INFO_SENT, true },
	{ { "after INFO_RSP", 0 }, S_INFO, false },
	{ { "right after SESS_INFO", 0 }, S_SESS_INFO_SENT, false },
	{ { "right after OPEN", 0 }, S_OPEN_SENT, false },
	{ { "right after OPEN, politely", 0 }, S_OPEN_SENT, true },
	{ { "with a disk open", 0 }, S_OPENED, false },
	{ { "right after a read", 0 }, S_READ_SENT, false },
	{ { "right after a write", 0 }, S_WRITE_SENT, false },
	{ { "during a slow read", 0 }, S_SLOW_READ, false },
	{ { "during a slow write", 0 }, S_SLOW_WRITE, false },
	{ { "during a slow write, politely", 0 }, S_SLOW_WRITE, true },
	{ { "right after a flush", 0 }, S_FLUSH_SENT, false },
	{ { "with all chunks under way", 0 }, S_MANY_SENT, false },
	{ { "with all chunks under way, politely", 0 }, S_MANY_SENT, true },
	{ { "right after CLOSE", 0 }, S_CLOSE_SENT, false },
	{ { "after CLOSE during a slow write", 0 }, S_CLOSE_BUSY, false },
};

static bool step_connect(struct foe *f, enum step step)
{
	unsigned int cid, cids = step == S_CID0 ? 1 : f->c.cid_num;

	for (cid = 0; cid < cids; cid++)
		if (!foe_conn(f, cid))
			return false;
	return true;
}

static void step_send(struct foe *f, struct req *r)
{
	if (clt_send(&f->c, r))
		bad("cannot send");
}

static void step_many(struct foe *f, uint32_t id)
{
	unsigned int i, n = f->c.rsp.queue_depth;

	for (i = 0; i < n; i++)
		step_send(f, foe_io(f, 1, i, id, i & 1 ? RNBD_OP_READ :
				    RNBD_OP_WRITE, 8 * i, 4096));
}

static void step_io(struct foe *f, enum step step)
{
	bool slow = step == S_SLOW_READ || step == S_SLOW_WRITE ||
		    step == S_CLOSE_BUSY || step == S_MANY_SENT;
	enum disk d = slow ? D_SLOW : D_DEV;
	uint32_t id;

	if (step == S_SESS_INFO_SENT) {
		step_send(f, sess_info_req(&f->c, 0));
		return;
	}
	if (step == S_OPEN_SENT) {
		step_send(f, open_req(&f->c, 0, RNBD_RW, cfg.dev));
		return;
	}
	if (!foe_open(f, d, &id))
		return;
	if (step == S_READ_SENT || step == S_SLOW_READ)
		step_send(f, foe_io(f, 1, 1, id, RNBD_OP_READ, 0, 16384));
	if (step == S_WRITE_SENT || step == S_SLOW_WRITE || step == S_CLOSE_BUSY)
		step_send(f, foe_io(f, 1, 1, id, RNBD_OP_WRITE, 0, 16384));
	if (step == S_FLUSH_SENT)
		step_send(f, foe_io(f, 1, 1, id, RNBD_OP_FLUSH, 0, 0));
	if (step == S_MANY_SENT)
		step_many(f, id);
	if (slow)
		foe_idle(f, 50);
	if (step == S_CLOSE_SENT || step == S_CLOSE_BUSY)
		step_send(f, close_req(&f->c, 0, id));
}

static void run_step(const void *elem)
{
	const struct step_case *c = elem;
	struct foe f;

	foe_init(&f, NULL);
	if (!step_connect(&f, c->step))
		goto out;
	if (c->step == S_INFO_SENT) {
		info_prepare(&f);
		info_post(&f, &plain_info);
	} else if (c->step >= S_INFO) {
		if (clt_info(&f.c))
			bad("no session to attack from");
		else if (c->step > S_INFO)
			step_io(&f, c->step);
	}
out:
	if (c->polite)
		foe_end(&f);
	else
		foe_free(&f);
}

/* One connection of several goes. */
static void lose_one(unsigned int cid, bool qp_only)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };
	struct foe f;
	uint32_t id;

	if (foe_start(&f) && foe_open(&f, D_SLOW, &id)) {
		step_send(&f, foe_io(&f, 1, 1, id, RNBD_OP_WRITE, 0, 4096));
		foe_idle(&f, 50);
		if (qp_only)
			ibv_modify_qp(f.c.conn[cid].id->qp, &attr, IBV_QP_STATE);
		else
			rdma_disconnect(f.c.conn[cid].id);
		/* it hears of a dead QP when it next sends something there */
		if (!qp_only)
			foe_must_end(&f, "one connection gone");
		else
			foe_idle(&f, 400);
	}
	foe_free(&f);
}

static void t_lose_cid0(void)
{
	lose_one(0, false);
}

static void t_lose_cid1(void)
{
	lose_one(1, false);
}

static void t_qp_error(void)
{
	lose_one(1, true);
}

static void t_qps_destroyed(void)
{
	unsigned int i;
	struct foe f;
	uint32_t id;

	if (foe_start(&f) && foe_open(&f, D_SLOW, &id)) {
		step_many(&f, id);
		for (i = 0; i < f.c.cid_num; i++)
			rdma_destroy_qp(f.c.conn[i].id);
		for (i = 0; i < 10; i++) {
			honest_poll();
			rdma_wait(f.c.cm, NULL, now_ms() + 50);
		}
	}
	foe_free(&f);
}

/* Ends and comes back, with the same uuids and name, as fast as it can. */
static void t_come_back(void)
{
	uint64_t until = now_ms() + cfg.clt.timeout_ms;
	struct conn_req ident;
	struct foe f;
	int i, up = 0;

	foe_init(&f, "hostile-again");
	ident = f.c.ident;
	for (i = 0; up < 5 && now_ms() < until; i++) {
		ident.recon_cnt++;
		f.c.ident = ident;
		if (!clt_connect(&f.c) && !clt_info(&f.c))
			up++;
		foe_free(&f);
		foe_init(&f, "hostile-again");
	}
	foe_free(&f);
	note("%d attempts", i);
	if (up < 5)
		bad("came back %d of 5 times", up);
}

static void t_silence(void)
{
	struct foe f;

	if (foe_start(&f)) {
		f.c.mute_hb = true;
		/* 35 s at most, and honest heartbeats meanwhile */
		foe_idle(&f, 25000);
		foe_must_live(&f, 0, "25 s of silence");
		foe_idle(&f, 37000);
		if (!f.c.dead)
			bad("the path is still there after 37 s of silence");
	}
	foe_free(&f);
}

static const struct run_case end_runs[] = {
	{ { "cid 0 alone, during a slow write", 0 }, t_lose_cid0 },
	{ { "cid 1 alone, during a slow write", 0 }, t_lose_cid1 },
	{ { "QP into the error state, during a slow write", 0 }, t_qp_error },
	{ { "QPs destroyed with all chunks under way", 0 }, t_qps_destroyed },
	{ { "and back, five times", 0 }, t_come_back },
	{ { "silence", CASE_LONG }, t_silence },
};

const struct group path_groups[] = {
	{ "INFO_REQ", info_cases, sizeof(info_cases[0]), ARRAY_SIZE(info_cases),
	  run_info },
	{ "INFO_REQ", info_runs, sizeof(info_runs[0]), ARRAY_SIZE(info_runs),
	  run_case },
	{ "end", step_cases, sizeof(step_cases[0]), ARRAY_SIZE(step_cases),
	  run_step },
	{ "end", end_runs, sizeof(end_runs[0]), ARRAY_SIZE(end_runs),
	  run_case },
};

const unsigned int n_path_groups = ARRAY_SIZE(path_groups);
