// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RAM disks behind peer-server, and RNBD's messages about them
 *
 * Everything that a mainline server must never be sent is a broken rule here,
 * and so is what a client has no reason to send.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report.h"
#include "server.h"

static FILE *oplog;

static const char * const op_names[RNBD_OP_COUNT] = {
	"READ", "WRITE", "FLUSH", "DISCARD", "SECURE_ERASE", "WRITE_ZEROES",
};

/* --- disks -------------------------------------------------------------------------- */

void disks_init(struct srv *s)
{
	unsigned int i;

	for (i = 0; i < s->cfg.num_exports; i++) {
		struct disk *d = &s->disk[i];

		d->name = s->cfg.exports[i];
		d->size = s->cfg.disk.nsectors * RNBD_SECTOR;
		d->mem = xpages(d->size);
	}
	if (!s->cfg.log)
		return;
	oplog = fopen(s->cfg.log, "w");
	if (!oplog)
		die("%s: %s", s->cfg.log, strerror(errno));
	fprintf(oplog, "# op sector size flags prio errno device cid\n");
}

/* Answers are sent straight from the disk. */
void disks_register(struct srv *s)
{
	unsigned int i;

	for (i = 0; i < s->cfg.num_exports; i++) {
		struct disk *d = &s->disk[i];

		d->mr = ibv_reg_mr(s->pd, d->mem, d->size,
				   IBV_ACCESS_LOCAL_WRITE);
		if (!d->mr)
			die("cannot register a disk: %s", strerror(errno));
	}
}

static void dump(const struct disk *d, const char *file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	size_t done = 0;
	ssize_t n;

	if (fd < 0)
		die("%s: %s", file, strerror(errno));
	while (done < d->size) {
		n = write(fd, d->mem + done, d->size - done);
		if (n <= 0)
			die("%s: %s", file, strerror(errno));
		done += n;
	}
	close(fd);
}

/* With more than one disk, the dump is of the first. */
void disks_finish(struct srv *s)
{
	if (s->cfg.dump)
		dump(&s->disk[0], s->cfg.dump);
	if (oplog)
		fclose(oplog);
	oplog = NULL;
}

/* Compares names as a server's file system does: any number of slashes. */
static bool same_file(const char *a, const char *b)
{
	for (;;) {
		while (*a == '/' && a[1] == '/')
			a++;
		while (*b == '/' && b[1] == '/')
			b++;
		if (*a != *b)
			return false;
		if (!*a)
			return true;
		a++;
		b++;
	}
}

static struct disk *find_disk(struct srv *s, const char *name)
{
	unsigned int i;

	for (i = 0; i < s->cfg.num_exports; i++)
		if (same_file(s->disk[i].name, name))
			return &s->disk[i];
	return NULL;
}

/* --- open devices ------------------------------------------------------------------- */

static void close_device(struct opened *o)
{
	if (o->access != RNBD_RO)
		o->disk->writers--;
	o->disk = NULL;
}

void session_close_all(struct srv *s, struct session *sess)
{
	unsigned int i;

	(void)s;
	for (i = 0; i < SRV_MAX_OPEN; i++)
		if (sess->open[i].disk)
			close_device(&sess->open[i]);
}

/* Ids begin at 0, as mainline's do. */
static struct opened *find_opened(struct session *sess, uint32_t id)
{
	if (id >= SRV_MAX_OPEN || !sess->open[id].disk)
		return NULL;
	return &sess->open[id];
}

static int open_device(struct srv *s, struct session *sess, const char *name,
		       unsigned int access, uint32_t *id)
{
	struct opened *o, *slot = NULL;
	struct disk *d;
	unsigned int i;

	for (i = 0; i < SRV_MAX_OPEN; i++) {
		o = &sess->open[i];
		if (!o->disk && !slot)
			slot = o;
		if (o->disk && !strcmp(o->name, name)) {
			*id = i;
			return 0;
		}
	}
	if (access > RNBD_MIGRATION || strstr(name, ".."))
		return EINVAL;
	if (!strcmp(name, "/dev/null"))
		return ENOTBLK;
	d = find_disk(s, name);
	if (!d)
		return ENOENT;
	for (i = 0; i < SRV_MAX_OPEN; i++)
		if (sess->open[i].disk == d)
			return EEXIST;
	if ((access == RNBD_RW && d->writers) ||
	    (access == RNBD_MIGRATION && d->writers > 1))
		return EPERM;
	if (!slot)
		return ENOMEM;
	snprintf(slot->name, sizeof(slot->name), "%s", name);
	slot->disk = d;
	slot->access = access;
	d->writers += access != RNBD_RO;
	*id = slot - sess->open;
	return 0;
}

/* --- administration ------------------------------------------------------------------ */

/* An answer that is a message: it needs a buffer until it has been sent. */
static uint8_t *admin_answer(struct op *op, unsigned int len)
{
	struct session *sess = op->path->sess;
	uint8_t *b = sess->admin + 64 * op->chunk;

	op->src = b;
	op->src_lkey = sess->admin_mr->lkey;
	op->src_len = len;
	return b;
}

/* True if the message is long enough to be looked at. */
static bool check_admin(struct srv *s, const struct op *op, const char *what,
			unsigned int usr_len, unsigned int want_usr,
			unsigned int data_len, unsigned int want_data)
{
	if (op->conn->cid)
		rule(s, "%s on cid %u", what, op->conn->cid);
	if (usr_len != want_usr)
		rule(s, "%s of %u bytes", what, usr_len);
	if (data_len != want_data || op->read != !!want_data ||
	    op->has_desc != !!want_data)
		rule(s, "%s: a %s with %u bytes of data", what,
		     op->read ? "READ" : "WRITE", data_len);
	return usr_len >= want_usr &&
	       (!want_data || (op->read && op->has_desc &&
			       op->desc.len <= want_data));
}

static int sess_info(struct srv *s, struct op *op, const uint8_t *usr,
		     unsigned int usr_len, unsigned int data_len)
{
	struct session *sess = op->path->sess;
	uint8_t ver;

	if (!check_admin(s, op, "SESS_INFO", usr_len, RNBD_SESS_INFO_LEN,
			 data_len, RNBD_SESS_INFO_LEN))
		return EINVAL;
	if (usr[4] != RNBD_VER_MAJOR || !all_zero(usr + 2, 2) ||
	    !all_zero(usr + 5, 31))
		rule(s, "SESS_INFO: version %u, or reserved bytes", usr[4]);
	if (s->cfg.sess_info_errno)
		return s->cfg.sess_info_errno;
	ver = usr[4] < s->cfg.sess_ver ? usr[4] : s->cfg.sess_ver;
	sess->ver = ver;
	rnbd_sess_info_encode(admin_answer(op, RNBD_SESS_INFO_LEN),
			      RNBD_SESS_INFO_RSP, ver);
	return 0;
}

static int open_msg(struct srv *s, struct op *op, const uint8_t *usr,
		    unsigned int usr_len, unsigned int data_len)
{
	const char *name = (const char *)usr + RNBD_OPEN_NAME_OFF;
	struct rnbd_open_rsp rsp = s->cfg.disk;
	size_t len;
	int err;

	if (!check_admin(s, op, "OPEN", usr_len, RNBD_OPEN_LEN, data_len,
			 RNBD_OPEN_RSP_LEN))
		return EINVAL;
	len = strnlen(name, RNBD_OPEN_NAME_LEN);
	if (len == RNBD_OPEN_NAME_LEN) {
		rule(s, "OPEN: the name has no end");
		return EINVAL;
	}
	if (!all_zero(usr + 2, 2) || usr[5] ||
	    !all_zero(usr + RNBD_OPEN_NAME_OFF + len,
		      RNBD_OPEN_LEN - RNBD_OPEN_NAME_OFF - len))
		rule(s, "OPEN: reserved bytes, or bytes behind the name");
	if (usr[4] > RNBD_MIGRATION)
		rule(s, "OPEN: access mode %u", usr[4]);
	err = s->cfg.open_errno ?: open_device(s, op->path->sess, name, usr[4],
					       &rsp.device_id);
	if (!s->hooks)
		note("OPEN %s, mode %u: %s", name, usr[4],
		     err ? strerror(err) : "success");
	if (s->cfg.wrong == WRONG_OPEN_RSP)
		rsp.logical_block_size = 1000;
	if (!err)
		rnbd_open_rsp_encode(admin_answer(op, RNBD_OPEN_RSP_LEN),
				     &rsp);
	return err;
}

static int close_msg(struct srv *s, struct op *op, const uint8_t *usr,
		     unsigned int usr_len, unsigned int data_len)
{
	struct opened *o;

	if (!check_admin(s, op, "CLOSE", usr_len, RNBD_CLOSE_LEN, data_len, 0))
		return EINVAL;
	if (!all_zero(usr + 2, 2))
		rule(s, "CLOSE: padding is not 0");
	o = find_opened(op->path->sess, get32(usr + 4));
	if (!o) {
		rule(s, "CLOSE of unknown device %u", get32(usr + 4));
		return 0;
	}
	if (!s->hooks)
		note("CLOSE %s", o->name);
	close_device(o);
	return 0;
}

/* --- I/O -------------------------------------------------------------------------------- */

static void check_flags(struct srv *s, unsigned int op, uint32_t flags)
{
	const char *name = op_names[op];

	if (flags & ~(RNBD_F_SYNC | RNBD_F_FUA | RNBD_F_PREFLUSH |
		      RNBD_F_NOUNMAP))
		rule(s, "%s with unknown flags %#x", name, flags);
	if (flags & (RNBD_F_FUA | RNBD_F_PREFLUSH) && op != RNBD_OP_WRITE &&
	    op != RNBD_OP_FLUSH)
		rule(s, "%s with FUA or PREFLUSH", name);
	if (flags & RNBD_F_NOUNMAP && op != RNBD_OP_WRITE_ZEROES)
		rule(s, "%s with NOUNMAP", name);
	if (op == RNBD_OP_FLUSH && !(flags & RNBD_F_FUA))
		rule(s, "FLUSH without FUA");
	if (flags & RNBD_F_PREFLUSH && !(flags & RNBD_F_FUA))
		rule(s, "PREFLUSH without FUA");
}

/* What OPEN_RSP announced, and how much of it at once. */
static void check_announced(struct srv *s, unsigned int op, uint32_t flags,
			    uint32_t size)
{
	const struct rnbd_open_rsp *d = &s->cfg.disk;
	uint64_t sectors = size / RNBD_SECTOR;

	if ((op == RNBD_OP_DISCARD && sectors > d->max_discard_sectors) ||
	    (op == RNBD_OP_SECURE_ERASE && (!d->secure_discard ||
					    sectors > d->max_discard_sectors)) ||
	    (op == RNBD_OP_WRITE_ZEROES &&
	     sectors > d->max_write_zeroes_sectors))
		rule(s, "%s of %llu sectors was not announced", op_names[op],
		     (unsigned long long)sectors);
	if (op == RNBD_OP_FLUSH && !(d->cache_policy & RNBD_CACHE_WRITEBACK))
		rule(s, "FLUSH on a disk without a cache");
	if (op == RNBD_OP_WRITE && flags & RNBD_F_FUA &&
	    !(flags & RNBD_F_PREFLUSH) && size &&
	    !(d->cache_policy & RNBD_CACHE_FUA))
		rule(s, "FUA on a disk that has none");
}

/* Does the amount of data fit the operation? */
static void check_data(struct srv *s, const struct op *op, unsigned int code,
		       uint32_t size, unsigned int data_len)
{
	bool data_op = code == RNBD_OP_READ || code == RNBD_OP_WRITE;

	if (data_op ? data_len != size : data_len != 0)
		rule(s, "%s of %u bytes with %u bytes of data",
		     op_names[code], size, data_len);
	if ((code == RNBD_OP_READ || code > RNBD_OP_FLUSH) && !size)
		rule(s, "%s of 0 bytes", op_names[code]);
	if (code == RNBD_OP_FLUSH && size)
		rule(s, "FLUSH of %u bytes", size);
	if (code == RNBD_OP_READ && !op->read)
		rule(s, "READ as an RTRS WRITE");
	if (op->read && code != RNBD_OP_READ && code != RNBD_OP_FLUSH)
		rule(s, "%s as an RTRS READ", op_names[code]);
}

static bool in_range(const struct rnbd_open_rsp *d, const struct rnbd_io *io)
{
	uint64_t n = io->bi_size / RNBD_SECTOR;

	if (!io->bi_size)
		return true;
	return io->bi_size % d->logical_block_size == 0 &&
	       io->sector % (d->logical_block_size / RNBD_SECTOR) == 0 &&
	       io->sector <= d->nsectors && n <= d->nsectors - io->sector;
}

static int do_io(struct srv *s, struct op *op, const struct rnbd_io *io,
		 const uint8_t *data, unsigned int data_len)
{
	struct opened *o = find_opened(op->path->sess, io->device_id);
	unsigned int code = io->rw & RNBD_OP_MASK;
	const struct rnbd_open_rsp *d = &s->cfg.disk;
	uint8_t *at;

	if (!o) {
		rule(s, "I/O on unknown device %u", io->device_id);
		return ENOTCONN;
	}
	if (code >= RNBD_OP_COUNT) {
		rule(s, "operation %u", code);
		return EOPNOTSUPP;
	}
	check_flags(s, code, io->rw & ~RNBD_OP_MASK);
	check_announced(s, code, io->rw & ~RNBD_OP_MASK, io->bi_size);
	check_data(s, op, code, io->bi_size, data_len);
	if (o->access == RNBD_RO && code != RNBD_OP_READ &&
	    code != RNBD_OP_FLUSH) {
		rule(s, "%s on a read-only device", op_names[code]);
		return EPERM;
	}
	if (!in_range(d, io)) {
		rule(s, "%s of %u bytes at sector %llu", op_names[code],
		     io->bi_size, (unsigned long long)io->sector);
		return EINVAL;
	}
	if (data_len && data_len != io->bi_size)
		return EINVAL;
	if (s->cfg.io_errno && code == s->cfg.io_errno_op)
		return s->cfg.io_errno;

	at = o->disk->mem + (io->bi_size ? io->sector * RNBD_SECTOR : 0);
	switch (code) {
	case RNBD_OP_READ:
		op->src = at;
		op->src_len = io->bi_size;
		op->src_lkey = o->disk->mr->lkey;
		break;
	case RNBD_OP_WRITE:
		memcpy(at, data, data_len);
		break;
	case RNBD_OP_SECURE_ERASE:
		if (!d->secure_discard)
			return EOPNOTSUPP;
		memset(at, 0, io->bi_size);
		break;
	case RNBD_OP_DISCARD:
		if (!d->max_discard_sectors)
			return EOPNOTSUPP;
		memset(at, 0, io->bi_size);
		break;
	case RNBD_OP_WRITE_ZEROES:
		if (!d->max_write_zeroes_sectors)
			return EOPNOTSUPP;
		memset(at, 0, io->bi_size);
		break;
	}
	return 0;
}

static int io_msg(struct srv *s, struct op *op, const uint8_t *usr,
		  unsigned int usr_len, const uint8_t *data,
		  unsigned int data_len)
{
	struct rnbd_io io;
	int err;

	if (usr_len < RNBD_IO_LEN_OLD) {
		rule(s, "IO of %u bytes", usr_len);
		return EINVAL;
	}
	if (usr_len != RNBD_IO_LEN)
		rule(s, "IO of %u bytes", usr_len);
	else if (!all_zero(usr + 26, 6))
		rule(s, "IO: padding is not 0");
	if (!all_zero(usr + 2, 2))
		rule(s, "IO: padding is not 0");
	if (!op->conn->cid)
		rule(s, "IO on cid 0");
	rnbd_io_decode(&io, usr, usr_len);
	err = do_io(s, op, &io, data, data_len);
	if (oplog) {
		unsigned int code = io.rw & RNBD_OP_MASK;

		fprintf(oplog, "%s %llu %u %#x %#x %d %u %u\n",
			code < RNBD_OP_COUNT ? op_names[code] : "?",
			(unsigned long long)io.sector, io.bi_size,
			io.rw & ~RNBD_OP_MASK, io.prio, err, io.device_id,
			op->conn->cid);
	}
	return err;
}

void srv_user_message(struct srv *s, struct op *op, const uint8_t *usr,
		      unsigned int usr_len, const uint8_t *data,
		      unsigned int data_len)
{
	unsigned int type = usr_len >= 2 ? get16(usr) : 0xffff;

	switch (type) {
	case RNBD_SESS_INFO:
		op->err = sess_info(s, op, usr, usr_len, data_len);
		break;
	case RNBD_OPEN:
		op->err = open_msg(s, op, usr, usr_len, data_len);
		break;
	case RNBD_IO:
		op->err = io_msg(s, op, usr, usr_len, data, data_len);
		break;
	case RNBD_CLOSE:
		op->err = close_msg(s, op, usr, usr_len, data_len);
		break;
	default:
		rule(s, "RNBD message of type %u", type);
		op->err = EINVAL;
	}
}
