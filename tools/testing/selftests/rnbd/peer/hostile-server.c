// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostile-server: the kernel's client and a server that it should not have met
 *
 * One case after another: the server is told what to do wrong, the client maps a
 * disk of it and reads or writes, and what comes of that is compared with what
 * the case says: an errno of map_device, an I/O error, the end of the path and a
 * new one, or nothing at all; and in the kernel's log a line that says why, but
 * not many.  After each case an honest server's disk is mapped and used.
 *
 * It prints TAP, one test a case, and has to run as root where the client is.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostile-server.h"
#include "report.h"

/* Milliseconds. */
#define SOON		patient(5000)	/* what should happen almost at once */
#define SOON_SLOW	patient(45000)	/* and where a timeout of 30 s has to pass */
#define HANGS		patient(60000)	/* more than any case takes */

/* Lines of the kernel's log that a case may cause. */
#define MAX_LINES	24

static const char usage[] =
"usage: hostile-server [options]\n"
"  --port N             listen on this port (1300)\n"
"  --path SRC@DST       the client's path to us\n"
"                       (ip:10.9.1.1@ip:10.9.1.2)\n"
"  --session NAME       the client's session (hostile)\n"
"  --honest DEVICE      a disk of the kernel's server, for after each case\n"
"  --only TEXT          cases with that in their names, slow ones as well\n"
"  --list-slow          show the names of those that take half a minute\n"
"  --time S             give up after S seconds (300)\n";

static struct hostile hostile = {
	.srv = {
		.hooks = &hostile_hooks,
		.cfg = {
			.port = "1300",
			.depth = HOSTILE_DEPTH,
			.chunk_size = HOSTILE_CHUNK,
			.sess_ver = RNBD_VER_MAJOR,
			.exports = { "/dev/ram0", "/dev/ram1" },
			.num_exports = 2,
			.disk = {
				.nsectors = 16384,
				.logical_block_size = 512,
				.physical_block_size = 4096,
				.max_discard_sectors = 4096,
				.discard_granularity = 4096,
				.max_write_zeroes_sectors = 4096,
				.cache_policy = RNBD_CACHE_WRITEBACK,
			},
		},
	},
};

static struct mapping mapping = {
	.sess = "hostile",
	.device = "/dev/ram0",
	.path = "ip:10.9.1.1@ip:10.9.1.2",
	.port = "1300",
};

static struct mapping second, honest;
static const char *only;
static pthread_t administrator;

/* --- what the server has to be told --------------------------------------------- */

static bool wait_flag(atomic_bool *flag, unsigned int ms)
{
	uint64_t end = now_ms() + ms;

	while (!*flag) {
		if (now_ms() > end)
			return false;
		sleep_ms(2);
	}
	return true;
}

static bool wait_go(struct hostile *h, int go, unsigned int ms)
{
	uint64_t end = now_ms() + ms;

	while (h->go < go) {
		if (now_ms() > end)
			return false;
		sleep_ms(2);
	}
	return true;
}

static bool wait_kept(struct hostile *h)
{
	uint64_t end = now_ms() + SOON;

	while (!h->nr_kept) {
		if (now_ms() > end)
			return false;
		sleep_ms(2);
	}
	return true;
}

/* The server has no path, and is honest from here on. */
static bool make_honest(struct hostile *h)
{
	h->armed = false;
	h->srv.silent = false;
	if (!wait_flag(&h->idle, 2 * SOON))
		return false;
	h->now = NULL;
	return true;
}

static void prepare(struct hostile *h, const struct hcase *c)
{
	h->srv.cfg.invalidate = c->flags & NEW_RKEY;
	/* one that rolls keys, or pretends to, does not make new ones */
	h->srv.cfg.rkey = c->features & WIRE_FEAT_RKEY_ROLL ? RKEY_SAME :
							      RKEY_NEW;
	h->fired = false;
	h->go = 0;
	h->sent = 0;
	h->nr_kept = 0;
	h->reconnects = 0;
	h->errno_now = EBUSY;
	h->idle = false;
	h->deadline = now_ms() + HANGS;
	h->now = c;
	h->armed = c->flags & EARLY;
}

/* --- using a disk ------------------------------------------------------------------ */

static const uint8_t *contents(struct hostile *h, const struct mapping *m)
{
	return h->srv.disk[m == &second].mem;
}

/* Reads a block of our disk, and compares. */
static int read_block(struct hostile *h, const struct mapping *m,
		      unsigned int nr)
{
	_Alignas(MAPPING_BLOCK) uint8_t block[MAPPING_BLOCK];
	unsigned int at = nr * MAPPING_BLOCK;
	int err;

	memset(block, 0x11, sizeof(block));
	err = mapping_read(m, at, block);
	if (!err && !(h->now->flags & ANY_DATA) &&
	    memcmp(block, contents(h, m) + at, sizeof(block)))
		bad("block %u was read wrong", nr);
	return err;
}

static int write_block(struct hostile *h, const struct mapping *m,
		       unsigned int nr)
{
	_Alignas(MAPPING_BLOCK) uint8_t block[MAPPING_BLOCK];
	unsigned int at = nr * MAPPING_BLOCK;
	int err;

	random_bytes(block, sizeof(block));
	err = mapping_write(m, at, block);
	if (!err && !(h->now->flags & ANY_DATA) &&
	    memcmp(block, contents(h, m) + at, sizeof(block)))
		bad("block %u was written wrong", nr);
	return err;
}

/* It does what disks do, but for one that has no room. */
static void check_works(struct hostile *h, struct mapping *m)
{
	int err;

	if (mapping_size(m) * RNBD_SECTOR < 2 * MAPPING_BLOCK)
		return;
	err = write_block(h, m, 1) ?: read_block(h, m, 1);
	if (err)
		bad("I/O afterwards: %s", strerror(err));
}

struct reader {
	struct hostile *h;
	struct mapping *m;
	unsigned int nr;
	int err;
	pthread_t thread;
};

static void *reader_thread(void *arg)
{
	struct reader *r = arg;

	r->err = read_block(r->h, r->m, r->nr);
	return NULL;
}

static void reader_start(struct reader *r)
{
	if (pthread_create(&r->thread, NULL, reader_thread, r))
		die("no thread");
}

static int reader_end(struct reader *r)
{
	pthread_join(r->thread, NULL);
	return r->err;
}

/* --- what is done instead of one request ---------------------------------------------- */

/* Each that has a name, or in a short run one of four. */
int run_errnos(struct hostile *h, struct mapping *m)
{
	int step = getenv("RNBD_LONG") ? 1 : 4, err, e;

	for (e = 1; e <= EHWPOISON; e += step) {
		h->errno_now = e;
		err = mapping_map(m);
		if (err != e)
			bad("rejected with %d: map_device says %d", e, err);
	}
	return 0;
}

/* Requests on every chunk, until one fails. */
int run_until_it_ends(struct hostile *h, struct mapping *m)
{
	unsigned int i;

	h->go = 1;
	for (i = 0; i < 64; i++)
		if (read_block(h, m, i))
			return 0;
	return EINVAL;
}

/* Two reads at a time: with the first one kept, the second one has its act. */
int run_pair(struct hostile *h, struct mapping *m)
{
	struct reader a = { h, m, .nr = 2 }, b = { h, m, .nr = 3 };
	int err;

	reader_start(&a);
	if (!wait_kept(h))
		bad("no request");
	reader_start(&b);
	if (wait_go(h, 1, 1000)) {
		/* whatever went over the wrong memory is there by now */
		sleep_ms(50);
		h->go = 2;
	}
	err = reader_end(&a);
	return reader_end(&b) ?: err;
}

/* The memory of a read is not the server's any more once it is answered. */
int run_late_data(struct hostile *h, struct mapping *m)
{
	_Alignas(MAPPING_BLOCK) static uint8_t block[MAPPING_BLOCK];
	int err = mapping_read(m, 0, block);

	h->go = 1;
	if (!mapping_wait_reconnects(m, 1, SOON))
		bad("the path did not end");
	if (memcmp(block, contents(h, m), sizeof(block)))
		bad("the memory of a request was written to after its end");
	return err;
}

/*
 * A small read is copied out of memory that the server reaches at any time, and
 * that is nobody's but the client's.
 */
int run_small(struct hostile *h, struct mapping *m)
{
	_Alignas(MAPPING_SMALL) static uint8_t block[MAPPING_SMALL];
	int err = mapping_read_small(m, 0, block);

	if (!err && !(h->now->flags & ANY_DATA) &&
	    memcmp(block, contents(h, m), sizeof(block)))
		bad("a small block was read wrong");
	return err;
}

int run_small_late_data(struct hostile *h, struct mapping *m)
{
	_Alignas(MAPPING_SMALL) static uint8_t block[MAPPING_SMALL];
	int err = mapping_read_small(m, 0, block);

	h->go = 1;
	sleep_ms(300);
	if (h->nr_kept)
		bad("the server has not written");
	if (memcmp(block, contents(h, m), sizeof(block)))
		bad("the memory of a request was written to after its end");
	/* for what it sends before the end it is to blame itself */
	h->go = 0;
	return err ?: run_small(h, m);
}

static int map_second(struct mapping *m, const char *sess)
{
	int err;

	second = *m;
	second.sess = sess;
	second.device = "/dev/ram1";
	err = mapping_map(&second);
	if (err)
		bad("the second disk: %s", strerror(err));
	return err;
}

static void unmap_second(void)
{
	int err = mapping_unmap(&second, "normal");

	if (err)
		bad("unmap the second disk: %s", strerror(err));
}

/* A read that is answered without data keeps what was there before. */
static void *stranger_thread(void *arg)
{
	_Alignas(MAPPING_BLOCK) static uint8_t block[MAPPING_BLOCK];
	struct reader *r = arg;
	unsigned int i;

	memset(block, 0x11, sizeof(block));
	r->err = mapping_read(r->m, 0, block);
	for (i = 0; i < sizeof(block); i++)
		if (block[i] != 0x11)
			break;
	if (i < sizeof(block))
		bad("another session's server wrote there");
	return NULL;
}

int run_stranger(struct hostile *h, struct mapping *m)
{
	struct reader a = { h, m, .nr = 0 };

	h->armed = false;
	if (map_second(m, "hostile-2"))
		return ENODEV;
	h->armed = true;
	if (pthread_create(&a.thread, NULL, stranger_thread, &a))
		die("no thread");
	if (!wait_kept(h))
		bad("no request");
	if (read_block(h, &second, 0) != EIO)
		bad("the stranger's path did not end");
	h->go = 2;
	if (reader_end(&a))
		bad("the honest request failed");
	h->armed = false;
	if (!mapping_wait_reconnects(&second, 1, SOON) ||
	    !mapping_wait_state(&second, "open", SOON))
		bad("the stranger's path is not back");
	unmap_second();
	return 0;
}

/* The second disk has the first one's id: they cannot both be right. */
int run_two_disks(struct hostile *h, struct mapping *m)
{
	(void)h;
	if (map_second(m, m->sess))
		return ENODEV;
	if (!mapping_wait_state(m, "closed", SOON))
		bad("two disks with one id");
	unmap_second();
	return 0;
}

/* Whatever the limits were: all that counts is that it ends. */
int run_discards(struct hostile *h, struct mapping *m)
{
	static const uint64_t lengths[] = { 512, 4096, 1 << 20, 4 << 20 };
	unsigned int i;

	(void)h;
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		mapping_ioctl(m, BLKDISCARD, 0, lengths[i]);
		mapping_ioctl(m, BLKSECDISCARD, 0, lengths[i]);
		mapping_ioctl(m, BLKZEROOUT, 0, lengths[i]);
	}
	return 0;
}

int run_last_block(struct hostile *h, struct mapping *m)
{
	_Alignas(MAPPING_BLOCK) static uint8_t block[MAPPING_BLOCK];
	uint64_t blocks = mapping_size(m) * RNBD_SECTOR / MAPPING_BLOCK;

	(void)h;
	if (!blocks)
		return EINVAL;
	/* it is beyond what there really is */
	if (!mapping_read(m, (blocks - 1) * MAPPING_BLOCK, block))
		return EINVAL;
	return 0;
}

/* With a heartbeat that is sooner up than the usual one. */
int run_silence(struct hostile *h, struct mapping *m)
{
	uint64_t start = now_ms();
	char file[128];
	int err;

	h->armed = false;
	snprintf(file, sizeof(file), "paths/%s/reconnect", m->path);
	if (mapping_sess_set(m, "hb_interval_ms", "100") ||
	    mapping_sess_set(m, "hb_missed_max", "3") ||
	    mapping_sess_set(m, file, "1") ||
	    !mapping_wait_state(m, "open", SOON))
		bad("the heartbeat cannot be tuned");
	h->reconnects = mapping_reconnects(m);
	h->srv.silent = true;
	if (!(h->now->flags & NO_IO) && read_block(h, m, 0) != EIO)
		bad("a request on a dead path");
	while (!strcmp(mapping_path_attr(m, "state"), "connected") &&
	       now_ms() < start + SOON)
		sleep_ms(5);
	err = strcmp(mapping_path_attr(m, "state"), "connected") ? 0 : ETIMEDOUT;
	h->srv.silent = false;
	h->fired = true;
	return err;
}

/* A request is never answered, and the disk has to go all the same. */
int run_forced(struct hostile *h, struct mapping *m)
{
	struct reader a = { h, m, .nr = 0 };
	uint64_t start = now_ms();
	int err;

	reader_start(&a);
	if (!wait_kept(h))
		bad("no request");
	err = mapping_unmap(m, "force");
	if (now_ms() - start > SOON)
		bad("unmap took %llu ms",
		    (unsigned long long)(now_ms() - start));
	if (reader_end(&a) != EIO)
		bad("the request did not fail");
	return err;
}

/* For what the server has to say, and then a request. */
int run_wait(struct hostile *h, struct mapping *m)
{
	if (!wait_go(h, 1, 4 * SOON))
		bad("only %u messages were taken", h->sent);
	return read_block(h, m, 0);
}

/* --- a case --------------------------------------------------------------------------- */

static void check_map(const struct hcase *c, int err, uint64_t took)
{
	bool fine = err == c->map;

	if (c->map == ANY_ERROR)
		fine = err != 0;
	else if (c->map == EITHER)
		fine = true;
	if (!fine)
		bad("map_device says %d (%s), %d was expected", err,
		    strerror(err), c->map);
	if (took > (c->flags & SLOW ? SOON_SLOW : SOON))
		bad("map_device took %llu ms", (unsigned long long)took);
}

static void check_sectors(const struct hcase *c, const struct mapping *m)
{
	uint64_t want = c->sectors == NO_SECTORS ? 0 : c->sectors;
	uint64_t end = now_ms() + SOON;

	if (!c->sectors)
		return;
	while (mapping_size(m) != want && now_ms() < end)
		sleep_ms(5);
	if (mapping_size(m) != want)
		bad("%llu sectors", (unsigned long long)mapping_size(m));
}

/* To connect it again, with whatever success. */
static bool wait_attempt(const struct mapping *m)
{
	uint64_t end = now_ms() + SOON;

	while (!strcmp(mapping_path_attr(m, "stats/reconnects"), "0 0")) {
		if (now_ms() > end)
			return false;
		sleep_ms(10);
	}
	return true;
}

/* It would be back by itself soon, as it is where requests were not to blame. */
static void hurry(struct hostile *h, const struct mapping *m)
{
	uint64_t end = now_ms() + SOON;
	char file[128];

	if (!h->now->answer)
		return;
	while (!strcmp(mapping_path_attr(m, "state"), "connected") &&
	       mapping_reconnects(m) == h->reconnects && now_ms() < end)
		sleep_ms(2);
	snprintf(file, sizeof(file), "paths/%s/reconnect", m->path);
	mapping_sess_set(m, file, "1");
}

static void check_path_is_back(struct hostile *h, struct mapping *m)
{
	if (h->now->tick && !h->go && !wait_flag(&h->fired, SOON))
		bad("nothing happened");
	/* a new path can have its faults, too, but only once */
	if (h->now->patch[0].msg && !wait_attempt(m))
		bad("no attempt to connect it again");
	h->armed = false;
	hurry(h, m);
	if (!mapping_wait_reconnects(m, h->reconnects + 1, SOON))
		bad("the path did not end, or is not back: %s",
		    mapping_path_attr(m, "stats/reconnects"));
	if (!mapping_wait_state(m, "open", SOON))
		bad("the disk is %s", mapping_attr(m, "state"));
	check_works(h, m);
}

static void check_closed(struct hostile *h, struct mapping *m)
{
	int err;

	/* with its path it is closed for a while in any case */
	if (h->now->tick == tick_hang_up) {
		mapping_wait_reconnects(m, 1, SOON);
		sleep_ms(500);
	}
	if (!mapping_wait_state(m, "closed", SOON))
		bad("the disk is %s", mapping_attr(m, "state"));
	h->armed = false;
	err = mapping_set(m, "remap_device", "1");
	if (err)
		bad("remap_device: %s", strerror(err));
	check_works(h, m);
}

static void check_stays_down(struct mapping *m)
{
	if (!wait_attempt(m))
		return bad("no attempt to connect it again");
	/* longer than it would wait for the second attempt */
	sleep_ms(1500);
	if (strcmp(mapping_path_attr(m, "stats/reconnects"), "0 1") ||
	    strcmp(mapping_attr(m, "state"), "closed"))
		bad("reconnects %s, the disk is %s",
		    mapping_path_attr(m, "stats/reconnects"),
		    mapping_attr(m, "state"));
}

static void check_outcome(struct hostile *h, struct mapping *m, int err)
{
	const struct hcase *c = h->now;
	int want = c->outcome == IO_FAILS ? c->err : 0;

	/* A path may end before the answer is in, or after. */
	if (err != want && (c->outcome != PATH_ENDS || err != EIO))
		bad("the request: %s", strerror(err));
	/* what is said unasked may take a moment to be looked at */
	if (c->tick == tick_once && c->outcome == WORKS) {
		wait_flag(&h->fired, SOON);
		sleep_ms(300);
	}
	check_sectors(c, m);
	switch (c->outcome) {
	case PATH_ENDS:
		/* not again on the next path */
		if (!c->tick)
			h->armed = false;
		return check_path_is_back(h, m);
	case CLOSED:
		return check_closed(h, m);
	case STAYS_DOWN:
		return check_stays_down(m);
	default:
		if (!(c->flags & ALWAYS))
			h->armed = false;
		check_works(h, m);
		if (mapping_reconnects(m))
			bad("the path ended");
	}
}

static int one_request(struct hostile *h, struct mapping *m)
{
	if (h->now->flags & NO_IO)
		return 0;
	return h->now->flags & WRITES ? write_block(h, m, 0) :
					read_block(h, m, 0);
}

static void use_and_unmap(struct hostile *h, struct mapping *m)
{
	const struct hcase *c = h->now;
	int err;

	h->armed = true;
	if (c->map == 0) {
		err = c->run ? c->run(h, m) : one_request(h, m);
		if (!(c->flags & FORCE))
			check_outcome(h, m, err);
		else if (err)
			bad("forced unmap: %s", strerror(err));
	}
	if (!m->disk[0])
		return;
	h->armed = c->kinds & K_CLOSE;
	err = mapping_unmap(m, "normal");
	if (err)
		bad("unmap: %s", strerror(err));
}

/* The kernel's own server is served as if nothing had happened. */
static void check_honest(void)
{
	_Alignas(MAPPING_BLOCK) static uint8_t a[MAPPING_BLOCK];
	_Alignas(MAPPING_BLOCK) static uint8_t b[MAPPING_BLOCK];
	int err;

	if (!honest.device)
		return;
	random_bytes(a, sizeof(a));
	err = mapping_map(&honest);
	if (err)
		return bad("honest server: map: %s", strerror(err));
	err = mapping_write(&honest, 0, a) ?: mapping_read(&honest, 0, b);
	if (err || memcmp(a, b, sizeof(a)))
		bad("honest server: %s", err ? strerror(err) : "wrong data");
	err = mapping_unmap(&honest, "normal");
	if (err)
		bad("honest server: unmap: %s", strerror(err));
}

static void check_log(const struct hcase *c)
{
	bool found;
	unsigned int lines = klog_lines(c->log, &found);

	if (!found)
		bad("the log does not say '%s'", c->log);
	if (lines > MAX_LINES && !(c->flags & INSTEAD))
		bad("%u lines in the log", lines);
}

static void run_case(struct hostile *h, const struct hcase *c)
{
	struct mapping *m = &mapping;
	uint64_t start = now_ms();
	int err;

	klog_mark(m->sess);
	prepare(h, c);
	if (c->flags & INSTEAD) {
		err = c->run(h, m);
	} else {
		err = mapping_map(m);
		check_map(c, err, now_ms() - start);
		if (!err)
			use_and_unmap(h, m);
	}
	if (!make_honest(h))
		bad("the client does not let go of us");
	check_log(c);
	check_honest();
	note("%s: map_device %d, %llu ms", c->name, err,
	     (unsigned long long)(now_ms() - start));
	tap_done("%s", c->name);
}

static bool wanted(const struct hcase *c)
{
	return only ? !!strstr(c->name, only) : !(c->flags & SLOW);
}

static void *run_all(void *arg)
{
	struct hostile *h = arg;
	unsigned int i;

	if (!wait_flag(&h->idle, SOON))
		die("the server does not start");
	random_bytes(h->srv.disk[0].mem, h->srv.disk[0].size);
	random_bytes(h->srv.disk[1].mem, h->srv.disk[1].size);
	for (i = 0; i < hostile_nr_cases; i++)
		if (wanted(&hostile_cases[i]))
			run_case(h, &hostile_cases[i]);
	h->srv.stop = true;
	return NULL;
}

/* --- options ---------------------------------------------------------------------------- */

enum {
	OPT_PORT = 1, OPT_PATH, OPT_SESSION, OPT_HONEST, OPT_ONLY,
	OPT_LIST_SLOW, OPT_TIME,
};

static const struct option options[] = {
	{ "port", required_argument, NULL, OPT_PORT },
	{ "path", required_argument, NULL, OPT_PATH },
	{ "session", required_argument, NULL, OPT_SESSION },
	{ "honest", required_argument, NULL, OPT_HONEST },
	{ "only", required_argument, NULL, OPT_ONLY },
	{ "list-slow", no_argument, NULL, OPT_LIST_SLOW },
	{ "time", required_argument, NULL, OPT_TIME },
	{ }
};

static void list_slow(void)
{
	unsigned int i;

	for (i = 0; i < hostile_nr_cases; i++)
		if (hostile_cases[i].flags & SLOW)
			puts(hostile_cases[i].name);
	exit(0);
}

static void parse_option(int opt, const char *arg)
{
	switch (opt) {
	case OPT_PORT:
		hostile.srv.cfg.port = arg;
		mapping.port = arg;
		break;
	case OPT_PATH:
		mapping.path = arg;
		break;
	case OPT_SESSION:
		mapping.sess = arg;
		break;
	case OPT_HONEST:
		honest.device = arg;
		break;
	case OPT_ONLY:
		only = arg;
		break;
	case OPT_LIST_SLOW:
		list_slow();
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
	int opt;

	alarm(patient(300));
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		parse_option(opt, optarg);
	honest.sess = "honest-after";
	honest.path = mapping.path;
	honest.port = "1234";
	tap_start();
	if (pthread_create(&administrator, NULL, run_all, &hostile))
		die("no thread");
	srv_run(&hostile.srv);
	pthread_join(administrator, NULL);
	return tap_finish();
}
