// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a hostile client can say to RNBD: messages, names of disks, and I/O
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostile-client-msg.h"

/* --- RNBD messages ------------------------------------------------------------------- */

static const struct msg_case rnbd_cases[] = {
	{ .h = { "type SESS_INFO_RSP", 0 }, M_SESS_INFO, EINVAL, { U(0, 2, 1) } },
	{ .h = { "type OPEN_RSP", 0 }, M_OPEN, EINVAL, { U(0, 2, 3) } },
	{ .h = { "type 6", 0 }, M_READ, EINVAL, { U(0, 2, 6) } },
	{ .h = { "type 255", 0 }, M_WRITE, EINVAL, { U(0, 2, 255) } },
	{ .h = { "type 65535", 0 }, M_READ, EINVAL, { U(0, 2, 0xffff) } },
	{ .h = { "no message", 0 }, M_READ, EINVAL, .usr_len = ~0u },
	{ .h = { "1 byte", 0 }, M_READ, EINVAL, .usr_len = 1 },
	{ .h = { "only a type", 0 }, M_READ, EINVAL, .usr_len = 2 },
	{ .h = { "IO of 23 bytes", 0 }, M_READ, EINVAL, .usr_len = 23 },
	{ .h = { "IO of 24 bytes", 0 }, M_READ, 0, .usr_len = 24 },
	{ .h = { "IO of 31 bytes", 0 }, M_READ, 0, .usr_len = 31 },
	{ .h = { "IO of 512 bytes", 0 }, M_READ, 0, .usr_len = 512 },
	{ .h = { "a read on cid 0", 0 }, M_READ, EINVAL, .service = true },
	{ .h = { "a write on cid 0", 0 }, M_WRITE, EINVAL, .service = true },
	{ .h = { "SESS_INFO of 35 bytes", 0 }, M_SESS_INFO, EINVAL,
	  .usr_len = 35 },
	{ .h = { "SESS_INFO of version 0", 0 }, M_SESS_INFO, 0, { U(4, 1, 0) } },
	{ .h = { "SESS_INFO of version 255", 0 }, M_SESS_INFO, 0,
	  { U(4, 1, 255) } },
	{ .h = { "SESS_INFO into 35 bytes", 0 }, M_SESS_INFO, EINVAL,
	  { R(READ_LEN, 4, 35) } },
	{ .h = { "OPEN into 55 bytes", 0 }, M_OPEN, EINVAL,
	  { R(READ_LEN, 4, 55) } },
	{ .h = { "OPEN into nothing", 0 }, M_OPEN, EINVAL,
	  { R(READ_LEN, 4, 0) } },
	{ .h = { "OPEN of 263 bytes", 0 }, M_OPEN, EINVAL, .usr_len = 263 },
	{ .h = { "OPEN of 6 bytes", 0 }, M_OPEN, EINVAL, .usr_len = 6 },
	{ .h = { "OPEN, access mode 3", 0 }, M_OPEN, EINVAL, { U(4, 1, 3) } },
	{ .h = { "OPEN, access mode 255", 0 }, M_OPEN, EINVAL, { U(4, 1, 255) } },
	{ .h = { "OPEN of an unterminated name", 0 }, M_OPEN, EINVAL,
	  { { P_USR, 6, 0, 'a' } } },
	{ .h = { "OPEN of 255 slashes", 0 }, M_OPEN, EINVAL,
	  { { P_USR, 6, 0, '/' } } },
	{ .h = { "CLOSE of 7 bytes", 0 }, M_CLOSE, EINVAL, .usr_len = 7 },
	{ .h = { "CLOSE of 4 bytes", 0 }, M_CLOSE, EINVAL, .usr_len = 4 },
	{ .h = { "CLOSE of an id that is not open", 0 }, M_CLOSE, 0 },
	{ .h = { "CLOSE of id 2^32 - 1", 0 }, M_CLOSE, 0,
	  { U(4, 4, 0xffffffff) } },
	{ .h = { "CLOSE of id 2^31", 0 }, M_CLOSE, 0, { U(4, 4, 0x80000000) } },
};

struct open_case {
	struct hcase h;
	const char *name;
	int want, or;
	unsigned int repeat;
	uint8_t access;
};

static const struct open_case open_cases[] = {
	{ { "empty name", 0 }, "", ENOTBLK, 0, 0, RNBD_RO },
	{ { "/", 0 }, "/", ENOTBLK, 0, 0, RNBD_RO },
	{ { "a dot", 0 }, ".", ENOTBLK, 0, 0, RNBD_RO },
	{ { "two dots", 0 }, "..", EINVAL, 0, 0, RNBD_RO },
	{ { "up", 0 }, "../../../etc/passwd", EINVAL, 0, 0, RNBD_RO },
	{ { "up and down again", 0 }, "/dev/../dev/hostile", EINVAL, 0, 0,
	  RNBD_RO },
	{ { "up, written at the end", 0 }, "/dev/..", EINVAL, 0, 0, RNBD_RO },
	{ { "two dots in a name", 0 }, "/dev/a..b", EINVAL, 0, 0, RNBD_RO },
	{ { "254 bytes", 0 }, "n", ENOENT, 0, 254, RNBD_RO },
	{ { "127 folders", 0 }, "n/", ENOENT, 0, 127, RNBD_RO },
	{ { "254 slashes", 0 }, "/", ENOTBLK, 0, 254, RNBD_RO },
	{ { "not there", 0 }, "/dev/not-there", ENOENT, 0, 0, RNBD_RO },
	{ { "a folder", 0 }, "/dev", ENOTBLK, 0, 0, RNBD_RO },
	{ { "a character device", 0 }, "/dev/null", ENOTBLK, 0, 0, RNBD_RO },
	{ { "/dev/mem", 0 }, "/dev/mem", ENOTBLK, ENOENT, 0, RNBD_RW },
	{ { "/etc/passwd", 0 }, "/etc/passwd", ENOTBLK, 0, 0, RNBD_RW },
	{ { "a file of /proc", 0 }, "/proc/kcore", ENOTBLK, ENOENT, 0, RNBD_RO },
	{ { "a link of /proc", 0 }, "/proc/self/exe", ENOTBLK, ENOENT, 0,
	  RNBD_RO },
	{ { "a line break", 0 }, "/dev/a\nb", ENOENT, 0, 0, RNBD_RO },
	{ { "an escape sequence", 0 }, "/dev/\033[2J", ENOENT, 0, 0, RNBD_RO },
	{ { "format characters", 0 }, "/dev/%s%n%p", ENOENT, 0, 0, RNBD_RO },
	{ { "the mark of the search path", 0 }, "/%SESSNAME%", ENOENT, 0, 0,
	  RNBD_RO },
	{ { "bytes above 127", 0 }, "/dev/\377\376", ENOENT, 0, 0, RNBD_RO },
};

static void run_open(const void *elem)
{
	const struct open_case *c = elem;
	char name[RNBD_OPEN_NAME_LEN + 1] = "";
	unsigned int i;
	int ret;

	if (!a_start())
		return;
	for (i = 0; i < (c->repeat ?: 1); i++)
		strcat(name, c->name);
	ret = clt_call(&A.c, open_req(&A.c, CHUNK, c->access, name));
	if (ret != c->want && (!c->or || ret != c->or))
		expect(ret, c->want, "OPEN");
	foe_must_live(&A, 1, "OPEN");
}

static void try_open(unsigned int access, const char *name, int want)
{
	if (a_start())
		expect(clt_call(&A.c, open_req(&A.c, CHUNK, access, name)), want,
		       "OPEN");
}

static void t_open_others(void)
{
	try_open(RNBD_RW, cfg.honest, EPERM);
}

static void t_open_ro_rw(void)
{
	char name[80];

	/* by another name, for one that is open is open */
	snprintf(name, sizeof(name), "/%s", cfg.ro);
	if (a_start())
		expect_error(clt_call(&A.c, open_req(&A.c, CHUNK, RNBD_RW, name)),
			     "OPEN rw of a disk that is ro");
}

static void t_open_two_names(void)
{
	char name[80];

	snprintf(name, sizeof(name), "/.%s", cfg.dev);
	try_open(RNBD_RO, name, EEXIST);
}

static void t_open_slash(void)
{
	char name[80];

	snprintf(name, sizeof(name), "%s/", cfg.dev);
	if (a_start())
		expect_error(clt_call(&A.c, open_req(&A.c, CHUNK, RNBD_RO, name)),
			     "OPEN");
}

/* Opens and closes as fast as answers come. */
static void t_open_close_flood(void)
{
	struct rnbd_open_rsp rsp;
	struct foe f;
	struct req *r;
	int i, ret;

	if (foe_start(&f)) {
		for (i = 0; i < 30; i++) {
			r = open_req(&f.c, 0, RNBD_RO, cfg.ro);
			ret = clt_call(&f.c, r);
			expect(ret, 0, "OPEN");
			if (ret)
				break;
			rnbd_open_rsp_decode(&rsp, r->data);
			expect(clt_call(&f.c, close_req(&f.c, 0, rsp.device_id)),
			       0, "CLOSE");
		}
	}
	foe_free(&f);
}

/* All chunks at once, of one name. */
static void t_open_burst(void)
{
	unsigned int i, n;
	struct foe f;

	if (foe_start(&f)) {
		n = f.c.rsp.queue_depth;
		for (i = 0; i < n; i++)
			clt_send(&f.c, open_req(&f.c, i, RNBD_RO,
						i & 1 ? cfg.ro : cfg.dev));
		for (i = 0; i < n; i++)
			if (clt_wait(&f.c, &f.c.req[i]) || f.c.req[i].err)
				bad("OPEN %u: %d", i, f.c.req[i].err);
	}
	foe_free(&f);
}

static void t_close_others(void)
{
	if (!a_start())
		return;
	/* ids are per session: there it may be one of ours */
	if (honest_id() != A_id[D_DEV] && honest_id() != A_id[D_RO] &&
	    honest_id() != A_id[D_4K])
		expect(clt_call(&A.c, close_req(&A.c, CHUNK, honest_id())), 0,
		       "CLOSE");
	expect(clt_call(&A.c, close_req(&A.c, CHUNK, honest_id() + 1000)), 0,
	       "CLOSE");
}

static void t_close_twice(void)
{
	struct foe f;
	uint32_t id;

	if (foe_start(&f) && foe_open(&f, D_RO, &id)) {
		expect(clt_call(&f.c, close_req(&f.c, 0, id)), 0, "CLOSE");
		expect(clt_call(&f.c, close_req(&f.c, 0, id)), 0, "CLOSE again");
		expect(clt_call(&f.c, foe_io(&f, 1, 1, id, RNBD_OP_READ, 0, 512)),
		       ENOTCONN, "read after CLOSE");
	}
	foe_free(&f);
}

/* Two of them while I/O is under way, and I/O behind them. */
static void t_close_busy(void)
{
	struct req *r[4];
	unsigned int i;
	struct foe f;
	uint32_t id;

	if (!foe_start(&f) || !foe_open(&f, D_SLOW, &id)) {
		foe_free(&f);
		return;
	}
	r[0] = foe_io(&f, 1, 1, id, RNBD_OP_WRITE, 0, 4096);
	clt_send(&f.c, r[0]);
	/* so that it has been seen when CLOSE comes on another connection */
	foe_must_live(&f, 1, "a slow write");
	r[1] = close_req(&f.c, 2, id);
	r[2] = close_req(&f.c, 3, id);
	clt_send(&f.c, r[1]);
	clt_send(&f.c, r[2]);
	for (i = 0; i < 3; i++) {
		expect(clt_wait(&f.c, r[i]), 0, "wait");
		expect(r[i]->err, 0, i ? "CLOSE during I/O" : "the slow write");
	}
	r[3] = foe_io(&f, 1, 1, id, RNBD_OP_READ, 0, 4096);
	expect(clt_call(&f.c, r[3]), ENOTCONN, "read after CLOSE");
	foe_free(&f);
}

static void t_open_behind_close(void)
{
	struct req *c, *o;
	struct foe f;
	uint32_t id;

	if (foe_start(&f) && foe_open(&f, D_RO, &id)) {
		c = close_req(&f.c, 2, id);
		o = open_req(&f.c, 3, RNBD_RO, cfg.ro);
		clt_send(&f.c, c);
		clt_send(&f.c, o);
		expect(clt_wait(&f.c, c) ?: c->err, 0, "CLOSE");
		expect(clt_wait(&f.c, o) ?: o->err, 0, "OPEN");
	}
	foe_free(&f);
}

static const struct run_case rnbd_runs[] = {
	{ { "OPEN rw of what another session writes", 0 }, t_open_others },
	{ { "OPEN rw of a read-only disk", 0 }, t_open_ro_rw },
	{ { "OPEN of one disk by two names", 0 }, t_open_two_names },
	{ { "OPEN with a slash at the end", 0 }, t_open_slash },
	{ { "OPEN and CLOSE, thirty times", 0 }, t_open_close_flood },
	{ { "OPEN on all chunks at once", 0 }, t_open_burst },
	{ { "CLOSE of another session's id", 0 }, t_close_others },
	{ { "CLOSE twice", 0 }, t_close_twice },
	{ { "CLOSE during I/O, twice at once", 0 }, t_close_busy },
	{ { "OPEN right behind CLOSE", 0 }, t_open_behind_close },
};

/* --- I/O ----------------------------------------------------------------------------- */

/* The disks have 32768 sectors. */
#define SECTORS 32768

static const struct msg_case io_cases[] = {
	{ .h = { "id 2^32 - 1", 0 }, M_READ, ENOTCONN,
	  { U(IO_ID, 4, 0xffffffff) } },
	{ .h = { "id 2^31", 0 }, M_WRITE, ENOTCONN,
	  { U(IO_ID, 4, 0x80000000) } },
	{ .h = { "id 1000", 0 }, M_FLUSH, ENOTCONN, { U(IO_ID, 4, 1000) } },
	{ .h = { "discard on an unknown id", 0 }, M_DISCARD, ENOTCONN,
	  { U(IO_ID, 4, 0x0fffffff) } },
	{ .h = { "read behind the end", 0 }, M_READ, EIO,
	  { U(IO_SECTOR, 8, SECTORS) } },
	{ .h = { "write behind the end", 0 }, M_WRITE, EIO,
	  { U(IO_SECTOR, 8, SECTORS) } },
	{ .h = { "write the last sector", 0 }, M_WRITE, 0,
	  { U(IO_SECTOR, 8, SECTORS - 1) } },
	{ .h = { "discard over the end by one", 0 }, M_DISCARD, EIO,
	  { U(IO_SECTOR, 8, SECTORS - 7) } },
	{ .h = { "zeroes over the end by one", 0 }, M_ZEROES, EIO,
	  { U(IO_SECTOR, 8, SECTORS - 7) } },
	{ .h = { "read far behind the end", 0 }, M_READ, EIO,
	  { U(IO_SECTOR, 8, 1ull << 40) } },
	{ .h = { "sector 2^55", 0 }, M_WRITE, EIO,
	  { U(IO_SECTOR, 8, 1ull << 55) } },
	{ .h = { "sector 2^63", 0 }, M_WRITE, EIO,
	  { U(IO_SECTOR, 8, 1ull << 63) } },
	{ .h = { "sector 2^64 - 1", 0 }, M_WRITE, EIO,
	  { U(IO_SECTOR, 8, ~0ull) } },
	{ .h = { "read of sector 2^64 - 1", 0 }, M_READ, EIO,
	  { U(IO_SECTOR, 8, ~0ull) } },
	{ .h = { "discard that wraps around", 0 }, M_DISCARD, EIO,
	  { U(IO_SECTOR, 8, ~0ull - 6) } },
	{ .h = { "zeroes at sector 2^55 - 1", 0 }, M_ZEROES, EIO,
	  { U(IO_SECTOR, 8, (1ull << 55) - 1) } },
	{ .h = { "read of 0 bytes", 0 }, M_READ, EINVAL, { U(IO_SIZE, 4, 0) } },
	{ .h = { "read of 1 byte", 0 }, M_READ, EINVAL, { U(IO_SIZE, 4, 1) } },
	{ .h = { "read of 1 byte into 1", 0 }, M_READ, EINVAL,
	  { U(IO_SIZE, 4, 1), R(READ_LEN, 4, 1) } },
	{ .h = { "read of 511 bytes into 511", 0 }, M_READ, EINVAL,
	  { U(IO_SIZE, 4, 511), R(READ_LEN, 4, 511) } },
	{ .h = { "read of more than the data", 0 }, M_READ, EINVAL,
	  { U(IO_SIZE, 4, 1024) } },
	{ .h = { "read of 2^32 - 1 bytes", 0 }, M_READ, EINVAL,
	  { U(IO_SIZE, 4, 0xffffffff) } },
	{ .h = { "read of 2^32 - 512 bytes", 0 }, M_READ, EINVAL,
	  { U(IO_SIZE, 4, 0xfffffe00) } },
	{ .h = { "write with bi_size 0", 0 }, M_WRITE, EINVAL,
	  { U(IO_SIZE, 4, 0) } },
	{ .h = { "write with bi_size 256", 0 }, M_WRITE, EINVAL,
	  { U(IO_SIZE, 4, 256) } },
	{ .h = { "write of more than the data", 0 }, M_WRITE, EINVAL,
	  { U(IO_SIZE, 4, 1024) } },
	{ .h = { "write of 2^32 - 512 bytes", 0 }, M_WRITE, EINVAL,
	  { U(IO_SIZE, 4, 0xfffffe00) } },
	{ .h = { "write without data, but a size", 0 }, M_EMPTY_WRITE, EINVAL,
	  { U(IO_SIZE, 4, 4096) } },
	{ .h = { "empty write", 0 }, M_EMPTY_WRITE, 0 },
	{ .h = { "empty write behind the end", 0 }, M_EMPTY_WRITE, 0,
	  { U(IO_SECTOR, 8, ~0ull) } },
	{ .h = { "empty write with all flags", 0 }, M_EMPTY_WRITE, 0,
	  { U(IO_RW, 4, 0xffffff01) } },
	{ .h = { "discard of 0 bytes", 0 }, M_DISCARD, EINVAL,
	  { U(IO_SIZE, 4, 0) } },
	{ .h = { "discard of 1 byte", 0 }, M_DISCARD, EINVAL,
	  { U(IO_SIZE, 4, 1) } },
	{ .h = { "discard of 2^32 - 512 bytes", 0 }, M_DISCARD, EIO,
	  { U(IO_SIZE, 4, 0xfffffe00) } },
	{ .h = { "discard of 2^32 - 1 bytes", 0 }, M_DISCARD, EINVAL,
	  { U(IO_SIZE, 4, 0xffffffff) } },
	{ .h = { "discard of all of the disk", 0 }, M_DISCARD, 0,
	  { U(IO_SIZE, 4, SECTORS * 512) } },
	{ .h = { "discard with data", 0 }, M_WRITE, EINVAL,
	  { U(IO_RW, 4, RNBD_OP_DISCARD) } },
	{ .h = { "zeroes of 0 bytes", 0 }, M_ZEROES, EINVAL,
	  { U(IO_SIZE, 4, 0) } },
	{ .h = { "zeroes of 2^32 - 512 bytes", 0 }, M_ZEROES, EIO,
	  { U(IO_SIZE, 4, 0xfffffe00) } },
	{ .h = { "zeroes with data", 0 }, M_WRITE, EINVAL,
	  { U(IO_RW, 4, RNBD_OP_WRITE_ZEROES) } },
	{ .h = { "secure erase with data", 0 }, M_WRITE, EINVAL,
	  { U(IO_RW, 4, RNBD_OP_SECURE_ERASE) } },
	{ .h = { "secure erase where there is none", 0 }, M_ERASE, EOPNOTSUPP },
	{ .h = { "secure erase behind the end", 0 }, M_ERASE, EIO,
	  { U(IO_SECTOR, 8, SECTORS) } },
	{ .h = { "flush with a size", 0 }, M_FLUSH, EINVAL,
	  { U(IO_SIZE, 4, 512) } },
	{ .h = { "flush with data", 0 }, M_WRITE, EINVAL,
	  { U(IO_RW, 4, RNBD_OP_FLUSH) } },
	{ .h = { "flush into a region", 0 }, M_READ, EINVAL,
	  { U(IO_RW, 4, RNBD_OP_FLUSH), U(IO_SIZE, 4, 0) } },
	{ .h = { "flush of sector 2^64 - 1", 0 }, M_FLUSH, 0,
	  { U(IO_SECTOR, 8, ~0ull) } },
	{ .h = { "operation 6", 0 }, M_WRITE, EOPNOTSUPP, { U(IO_RW, 4, 6) } },
	{ .h = { "operation 7 with data to read", 0 }, M_READ, EOPNOTSUPP,
	  { U(IO_RW, 4, 7) } },
	{ .h = { "operation 35 without data", 0 }, M_FLUSH, EOPNOTSUPP,
	  { U(IO_RW, 4, 35) } },
	{ .h = { "operation 255, all flags", 0 }, M_WRITE, EOPNOTSUPP,
	  { U(IO_RW, 4, 0xffffffff) } },
	{ .h = { "read with all flags", 0 }, M_READ, 0,
	  { U(IO_RW, 4, 0xffffff00) } },
	{ .h = { "write with all flags", 0 }, M_WRITE, 0,
	  { U(IO_RW, 4, 0xffffff01) } },
	{ .h = { "discard with all flags", 0 }, M_DISCARD, 0,
	  { U(IO_RW, 4, 0xffffff03) } },
	{ .h = { "zeroes with all flags", 0 }, M_ZEROES, ANSWER,
	  { U(IO_RW, 4, 0xffffff05) } },
	{ .h = { "write of priority class 7", 0 }, M_WRITE, 0,
	  { U(IO_PRIO, 2, 0xffff) } },
	{ .h = { "read of priority class 4", 0 }, M_READ, 0,
	  { U(IO_PRIO, 2, 4 << 13) } },
	{ .h = { "4 KiB blocks: write of one sector", CASE_4K }, M_WRITE, EINVAL,
	  .disk = D_4K },
	{ .h = { "4 KiB blocks: read of one sector", CASE_4K }, M_READ, EINVAL,
	  .disk = D_4K },
	{ .h = { "4 KiB blocks: zeroes at sector 1", CASE_4K }, M_ZEROES, EINVAL,
	  { U(IO_SECTOR, 8, 1) }, .disk = D_4K },
	{ .h = { "4 KiB blocks: discard of sector 7", CASE_4K }, M_DISCARD,
	  EINVAL, { U(IO_SECTOR, 8, 7) }, .disk = D_4K },
	{ .h = { "4 KiB blocks: zeroes of the last block", CASE_4K }, M_ZEROES, ANSWER,
	  { U(IO_SECTOR, 8, SECTORS - 8) }, .disk = D_4K },
	{ .h = { "ro: write", 0 }, M_WRITE, EROFS, .disk = D_RO },
	{ .h = { "ro: write with all flags", 0 }, M_WRITE, EROFS,
	  { U(IO_RW, 4, 0xffffff01) }, .disk = D_RO },
	{ .h = { "ro: empty write", 0 }, M_EMPTY_WRITE, EROFS, .disk = D_RO },
	{ .h = { "ro: discard", 0 }, M_DISCARD, EROFS, .disk = D_RO },
	{ .h = { "ro: secure erase", 0 }, M_ERASE, EROFS, .disk = D_RO },
	{ .h = { "ro: zeroes", 0 }, M_ZEROES, EROFS, .disk = D_RO },
	{ .h = { "ro: operation 6", 0 }, M_WRITE, EOPNOTSUPP, { U(IO_RW, 4, 6) },
	  .disk = D_RO },
	{ .h = { "ro: flush", 0 }, M_FLUSH, 0, .disk = D_RO },
	{ .h = { "ro: read", 0 }, M_READ, 0, .disk = D_RO },
};

/* An id of another session names nothing here, or something of ours. */
static void t_others_id(void)
{
	struct foe f;
	int ret;

	if (foe_start(&f)) {
		ret = clt_call(&f.c, foe_io(&f, 1, 1, honest_id(), RNBD_OP_READ,
					    0, 4096));
		expect(ret, ENOTCONN, "read of another session's disk");
		ret = clt_call(&f.c, foe_io(&f, 1, 1, honest_id(), RNBD_OP_WRITE,
					    0, 4096));
		expect(ret, ENOTCONN, "write to another session's disk");
	}
	foe_free(&f);
}

/* The first and the last ids there can be, and some between. */
static void t_ids(void)
{
	uint32_t id;
	int ret;

	if (!a_start())
		return;
	for (id = 1; id; id <<= 1) {
		if (id == A_id[D_DEV] || id == A_id[D_RO] || id == A_id[D_4K])
			continue;
		ret = clt_call(&A.c, foe_io(&A, 1, CHUNK, id, RNBD_OP_READ, 0,
					    512));
		expect(ret, ENOTCONN, "read of a disk that is not open");
	}
}

/* What was to be read-only is as it was. */
static void t_ro_untouched(void)
{
	uint8_t b[4096];

	if (look_at(D_RO, 0, sizeof(b), b) && !all_zero(b, sizeof(b)))
		bad("the read-only disk has been written to");
}

/* A random message in each of a hundred requests; only its end is no news. */
static void t_random(void)
{
	struct foe f = { 0 };
	struct req *r;
	int i, ends = 0;

	for (i = 0; i < 100; i++) {
		if (!f.on || f.c.dead) {
			foe_free(&f);
			if (ends++ == 5 || !foe_start(&f))
				break;
		}
		r = clt_req(&f.c, 1, i % 40, 0);
		r->usr_len = 4 + i;
		random_bytes(r->usr, r->usr_len);
		/* half of them have a type that is known */
		if (i & 1)
			put16(r->usr, i / 2 % 6);
		if (clt_call(&f.c, r) == -ETIMEDOUT)
			bad("no answer to a random message of %u bytes",
			    r->usr_len);
	}
	foe_free(&f);
}

/* Changes of some cases in one message: those of the same place win that come last. */
static void mix(struct msg_case *to, const struct msg_case *from)
{
	unsigned int i, k = 0;

	while (k < MAX_PATCHES && to->p[k].in)
		k++;
	for (i = 0; i < MAX_PATCHES && from->p[i].in && k < MAX_PATCHES; i++)
		to->p[k++] = from->p[i];
	to->base = from->base == M_OPEN ? to->base : from->base;
	to->service |= from->service;
	to->as_write |= from->as_write;
	to->as_read |= from->as_read;
	to->usr_len = from->usr_len ?: to->usr_len;
}

static const struct msg_case *any_case(void)
{
	unsigned int n = rand() % (n_rtrs_cases +
				   ARRAY_SIZE(rnbd_cases) + ARRAY_SIZE(io_cases));

	if (n < n_rtrs_cases)
		return &rtrs_cases[n];
	n -= n_rtrs_cases;
	if (n < ARRAY_SIZE(rnbd_cases))
		return &rnbd_cases[n];
	return &io_cases[n - ARRAY_SIZE(rnbd_cases)];
}

/* The same mixes each time: what comes of one is an answer, or the path's end. */
static void mixed(unsigned int seed)
{
	uint64_t until;
	struct foe f = { 0 };
	uint32_t id = 0;
	struct req *r;
	int i, ends = 0;

	srand(seed);
	for (i = 0; i < 100; i++) {
		struct msg_case c = { .base = rand() % (M_ZEROES + 1) };

		mix(&c, any_case());
		mix(&c, any_case());
		mix(&c, any_case());
		if (!f.on || f.c.dead) {
			foe_free(&f);
			if (ends++ == 20 || !foe_start(&f) ||
			    !foe_open(&f, D_RO, &id))
				break;
		}
		r = fire(&f, &c, id);
		until = now_ms() + cfg.clt.timeout_ms;
		while (!r->done && !f.c.dead && now_ms() < until)
			clt_poll(&f.c, until);
		if (!r->done && !f.c.dead)
			bad("mix %d of seed %u: no answer, and the path goes on",
			    i, seed);
		if (!r->done)
			f.c.dead = true;
	}
	foe_free(&f);
	note("%d messages on %d paths", i, ends);
}

static void t_mixed(void)
{
	mixed(1);
}

static void t_mixed_again(void)
{
	mixed(2);
}

static const struct run_case io_runs[] = {
	{ { "mixes of all that is wrong above", 0 }, t_mixed },
	{ { "other mixes", 0 }, t_mixed_again },

	{ { "with another session's id", 0 }, t_others_id },
	{ { "on ids that are not open", 0 }, t_ids },
	{ { "the read-only disk is as it was", 0 }, t_ro_untouched },
	{ { "random messages", 0 }, t_random },
};

const struct group io_groups[] = {
	{ "RNBD", rnbd_cases, sizeof(rnbd_cases[0]), ARRAY_SIZE(rnbd_cases),
	  run_msg },
	{ "OPEN", open_cases, sizeof(open_cases[0]), ARRAY_SIZE(open_cases),
	  run_open },
	{ "RNBD", rnbd_runs, sizeof(rnbd_runs[0]), ARRAY_SIZE(rnbd_runs),
	  run_case },
	{ "I/O", io_cases, sizeof(io_cases[0]), ARRAY_SIZE(io_cases),
	  run_msg },
	{ "I/O", io_runs, sizeof(io_runs[0]), ARRAY_SIZE(io_runs),
	  run_case },
};

const unsigned int n_io_groups = ARRAY_SIZE(io_groups);
