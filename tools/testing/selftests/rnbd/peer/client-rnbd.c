// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RNBD's requests, and data that says where it belongs
 */
#include <string.h>

#include "client-rnbd.h"
#include "report.h"

struct req *usr_req(struct clt *c, unsigned int cid, unsigned int chunk,
		    unsigned int usr_len, unsigned int data_len, bool read)
{
	struct req *r = clt_req(c, cid, chunk, data_len);

	memset(r->usr, 0, sizeof(r->usr));
	r->usr_len = usr_len;
	r->read = read;
	/* A mainline client sets it in every read that has data. */
	r->need_inval = read && data_len && !c->cfg.no_mw;
	r->no_desc = read && !data_len;
	return r;
}

struct req *sess_info_req(struct clt *c, unsigned int chunk)
{
	struct req *r = usr_req(c, 0, chunk, RNBD_SESS_INFO_LEN,
				RNBD_SESS_INFO_LEN, true);

	rnbd_sess_info_encode(r->usr, RNBD_SESS_INFO, RNBD_VER_MAJOR);
	return r;
}

struct req *open_req(struct clt *c, unsigned int chunk, unsigned int access,
		     const char *name)
{
	struct req *r = usr_req(c, 0, chunk, RNBD_OPEN_LEN, RNBD_OPEN_RSP_LEN,
				true);

	rnbd_open_encode(r->usr, access, name);
	return r;
}

struct req *close_req(struct clt *c, unsigned int chunk, uint32_t id)
{
	struct req *r = usr_req(c, 0, chunk, RNBD_CLOSE_LEN, 0, false);

	rnbd_close_encode(r->usr, id);
	return r;
}

static bool is_write_op(unsigned int op)
{
	return op != RNBD_OP_READ && op != RNBD_OP_FLUSH;
}

struct req *io_req(struct clt *c, unsigned int cid, unsigned int chunk,
		   const struct rnbd_io *io, unsigned int data_len)
{
	struct req *r = usr_req(c, cid, chunk, RNBD_IO_LEN, data_len,
				!is_write_op(io->rw & RNBD_OP_MASK));

	rnbd_io_encode(r->usr, io);
	return r;
}

const char *err_name(int err)
{
	return err < 0 ? "no answer" : err ? strerror(err) : "success";
}

void expect(int got, int want, const char *what)
{
	if (got != want)
		bad("%s: %d (%s), expected %d (%s)", what, got, err_name(got),
		    want, err_name(want));
}

void expect_error(int got, const char *what)
{
	if (got <= 0)
		bad("%s: %d (%s), expected an error", what, got,
		    err_name(got));
}

static uint64_t pattern_at(uint64_t sector, unsigned int off, unsigned int round)
{
	return (sector * RNBD_SECTOR + off) ^ (uint64_t)round << 48 ^
	       0x5bd1e9955bd1e995ull;
}

void pattern(uint8_t *b, unsigned int len, uint64_t sector, unsigned int round)
{
	unsigned int i;

	for (i = 0; i + 8 <= len; i += 8)
		put64(b + i, pattern_at(sector, i, round));
}

int pattern_differs(const uint8_t *b, unsigned int len, uint64_t sector,
		    unsigned int round)
{
	unsigned int i;

	for (i = 0; i + 8 <= len; i += 8)
		if (get64(b + i) != pattern_at(sector, i, round))
			return i;
	return -1;
}

void check_pattern(const uint8_t *b, unsigned int len, uint64_t sector,
		   unsigned int round, const char *what)
{
	int at = pattern_differs(b, len, sector, round);

	if (at >= 0)
		bad("%s: wrong data at byte %d of %u", what, at, len);
}
