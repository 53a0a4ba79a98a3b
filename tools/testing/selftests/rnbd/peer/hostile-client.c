// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostile-client: breaks every rule of the protocol that a client can break, one
 * by one and combined, and checks what the server makes of it
 *
 * Each case ends in the way that it has to: with an errno in an answer, with a
 * refused connection, or with the end of that path and nothing else.  And after
 * each, an honest session that has been there all the time must still be able
 * to open, write and read back, without waiting long.  It prints TAP and exits
 * with 0 if all was well.
 *
 * Here is what runs the cases, and the honest session; hostile-client-foe.c has the
 * attacking ones, and the others the cases: -cm.c (connections), -path.c (INFO_REQ,
 * ends), -msg.c (RTRS), -io.c (RNBD), -mem.c (chunks, keys) and -verbs.c.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostile-client.h"

struct hostile_cfg cfg = {
	.clt = {
		.server = "127.0.0.1",
		.port = "1234",
		.sessname = "hostile",
		.cids = 2,
		.no_mw = true,
		.timeout_ms = 10000,
	},
	.dev = "/dev/hostile",
	.ro = "/dev/hostile-ro",
	.slow = "/dev/hostile-slow",
	.late = "/dev/hostile-late",
	.honest = "/dev/hostile-honest",
	.quick_ms = 3000,
};

/* --- the honest session ---------------------------------------------------- */

static struct clt honest;
static bool honest_runs;
static struct rnbd_open_rsp honest_disk;
static unsigned int honest_round, honest_worst;

static bool honest_start(void)
{
	/* clt_start() keeps the pointer */
	static char name[64];
	struct clt_cfg conf = cfg.clt;
	int ret;

	if (honest_runs && !honest.dead)
		return true;
	if (honest_runs) {
		bad("the honest session has died");
		clt_free(&honest);
	}
	snprintf(name, sizeof(name), "%s-honest-%u", cfg.clt.sessname,
		 honest_round);
	conf.sessname = name;
	ret = clt_start(&honest, &conf);
	honest_runs = true;
	if (ret) {
		bad("no honest session: %s", strerror(-ret));
		honest.dead = true;
	}
	return !ret;
}

static int honest_open(void)
{
	struct req *r = open_req(&honest, 0, RNBD_RW, cfg.honest);
	int ret = clt_call(&honest, r);

	if (!ret)
		rnbd_open_rsp_decode(&honest_disk, r->data);
	return ret;
}

static struct req *honest_io(unsigned int op, uint64_t sector)
{
	struct rnbd_io io = {
		.device_id = honest_disk.device_id,
		.sector = sector,
		.rw = op,
		.bi_size = 4096,
	};

	return io_req(&honest, 1, 1, &io, 4096);
}

static void honest_write_read(uint64_t sector)
{
	struct req *r = honest_io(RNBD_OP_WRITE, sector);

	pattern(r->data, 4096, sector, honest_round);
	expect(clt_call(&honest, r), 0, "honest write");
	r = honest_io(RNBD_OP_READ, sector);
	expect(clt_call(&honest, r), 0, "honest read");
	if (!r->err && r->done)
		check_pattern(r->data, 4096, sector, honest_round, "honest read");
}

void honest_check(void)
{
	uint64_t start = now_ms();
	unsigned int ms;

	honest_poll();
	if (!honest_start())
		return;
	expect(honest_open(), 0, "honest OPEN");
	honest_round++;
	honest_write_read(honest_round % 64 * 8);
	ms = now_ms() - start;
	if (ms > honest_worst)
		honest_worst = ms;
	if (ms > cfg.quick_ms)
		bad("the honest session had to wait %u ms", ms);
}

const struct clt *honest_clt(void)
{
	return &honest;
}

uint32_t honest_id(void)
{
	return honest_disk.device_id;
}

void honest_poll(void)
{
	if (honest_runs && !honest.dead)
		clt_poll(&honest, now_ms());
}

/* It says good-bye, as all else it does is honest. */
static void honest_end(void)
{
	if (!honest_runs)
		return;
	if (honest.dead)
		clt_free(&honest);
	else
		clt_stop(&honest);
	note("the honest session waited for %u ms at most", honest_worst);
}

bool server_keeps(void)
{
	return honest.rsp.flags & WIRE_RSP_NEW_RKEY ||
	       honest.rsp.features & WIRE_FEAT_RKEY_ROLL;
}

/* --- the cases --------------------------------------------------------------- */

#define MAX_TEXTS 16

struct texts {
	const char *text[MAX_TEXTS];
	unsigned int n;
};

static struct texts only, skipped;
static bool show_times;

static bool matches(const struct texts *t, const char *name)
{
	unsigned int i;

	for (i = 0; i < t->n; i++)
		if (strstr(name, t->text[i]))
			return true;
	return false;
}

static bool wanted(const char *name)
{
	return (!only.n || matches(&only, name)) && !matches(&skipped, name);
}

void run_case(const void *elem)
{
	const struct run_case *c = elem;

	c->run();
}

static const char *why_not(const struct hcase *c)
{
	if (c->flags & CASE_LONG && !cfg.long_run)
		return "--long not given";
	if (c->flags & CASE_KEEPS && !server_keeps())
		return "the server runs with always_invalidate=N";
	if (c->flags & CASE_PATH2 && !cfg.have_path2)
		return "no second pair of addresses";
	if (c->flags & CASE_4K && !cfg.dev4k)
		return "no disk of 4 KiB blocks";
	if (c->flags & CASE_GEO && (honest.rsp.queue_depth != GEO_DEPTH ||
				    honest.chunk_size != GEO_CHUNK))
		return "the server has other chunks";
	return NULL;
}

static void run_one(const struct group *g, const void *elem)
{
	const struct hcase *c = elem;
	const char *why = why_not(c);
	uint64_t start = now_ms();
	char name[160];
	unsigned int ms;

	snprintf(name, sizeof(name), "%s: %s", g->name, c->name);
	if (!wanted(name))
		return;
	if (why) {
		tap_skip(name, why);
		return;
	}
	g->run(elem);
	ms = now_ms() - start;
	honest_check();
	if (show_times || ms > 3000)
		note("%u ms", ms);
	tap_done("%s", name);
}

typedef void (*each_fn)(const struct group *g, const void *elem);

static void each_case(const struct group *g, unsigned int n, each_fn fn)
{
	unsigned int i, k;

	for (i = 0; i < n; i++)
		for (k = 0; k < g[i].n; k++)
			fn(&g[i], (const char *)g[i].cases + k * g[i].size);
}

static void all_cases(each_fn fn)
{
	each_case(cm_groups, n_cm_groups, fn);
	each_case(path_groups, n_path_groups, fn);
	each_case(msg_groups, n_msg_groups, fn);
	each_case(io_groups, n_io_groups, fn);
	each_case(mem_groups, n_mem_groups, fn);
	each_case(verb_groups, n_verb_groups, fn);
}

static void list_one(const struct group *g, const void *elem)
{
	const struct hcase *c = elem;

	printf("%s: %s%s\n", g->name, c->name,
	       c->flags & CASE_LONG ? " (long)" : "");
}

/* --- options ------------------------------------------------------------------ */

static const char usage[] =
"usage: hostile-client [options]\n"
"  --server ADDR     server's address (127.0.0.1)\n"
"  --source ADDR     our address\n"
"  --server2 ADDR    another pair of them, for cases that need two paths\n"
"  --source2 ADDR\n"
"  --port N          server's port (1234)\n"
"  --sessname NAME   what the names of our sessions begin with (hostile)\n"
"  --roll            offer RKEY_ROLL\n"
"  --dev NAME        disk to attack (/dev/hostile)\n"
"  --ro NAME         one that is all zeroes, opened ro (/dev/hostile-ro)\n"
"  --slow NAME       one that begins I/O hundreds of ms late (/dev/hostile-slow)\n"
"  --late NAME       one that says so late that I/O is done (/dev/hostile-late)\n"
"  --dev4k NAME      one of 4 KiB blocks\n"
"  --honest NAME     one for the honest session (/dev/hostile-honest)\n"
"                    ALL BUT --ro ARE OVERWRITTEN\n"
"  --half-open N     server refuses more than N half-open connections\n"
"  --half-open-errno N  and that is the errno\n"
"  --quick MS        an honest session may have to wait this long (3000)\n"
"  --long            also cases that take half a minute each\n"
"  --only TEXT       only cases with TEXT in their name; repeatable\n"
"  --skip TEXT       not those with TEXT in their name; repeatable\n"
"  --list            list the cases\n"
"  --times           say how long each takes\n"
"  --wait MS         longest wait for anything (10000)\n"
"  --time S          give up after S seconds (300)\n";

enum {
	OPT_SERVER = 1, OPT_SOURCE, OPT_SERVER2, OPT_SOURCE2, OPT_PORT,
	OPT_SESSNAME, OPT_ROLL, OPT_DEV, OPT_RO, OPT_SLOW, OPT_LATE, OPT_DEV4K,
	OPT_HONEST,
	OPT_HALF_OPEN, OPT_HALF_OPEN_ERRNO, OPT_QUICK, OPT_LONG, OPT_ONLY, OPT_SKIP,
	OPT_LIST, OPT_TIMES, OPT_WAIT, OPT_TIME,
};

static const struct option options[] = {
	{ "server", required_argument, NULL, OPT_SERVER },
	{ "source", required_argument, NULL, OPT_SOURCE },
	{ "server2", required_argument, NULL, OPT_SERVER2 },
	{ "source2", required_argument, NULL, OPT_SOURCE2 },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "sessname", required_argument, NULL, OPT_SESSNAME },
	{ "roll", no_argument, NULL, OPT_ROLL },
	{ "dev", required_argument, NULL, OPT_DEV },
	{ "ro", required_argument, NULL, OPT_RO },
	{ "slow", required_argument, NULL, OPT_SLOW },
	{ "late", required_argument, NULL, OPT_LATE },
	{ "dev4k", required_argument, NULL, OPT_DEV4K },
	{ "honest", required_argument, NULL, OPT_HONEST },
	{ "half-open", required_argument, NULL, OPT_HALF_OPEN },
	{ "half-open-errno", required_argument, NULL, OPT_HALF_OPEN_ERRNO },
	{ "quick", required_argument, NULL, OPT_QUICK },
	{ "long", no_argument, NULL, OPT_LONG },
	{ "only", required_argument, NULL, OPT_ONLY },
	{ "skip", required_argument, NULL, OPT_SKIP },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "times", no_argument, NULL, OPT_TIMES },
	{ "wait", required_argument, NULL, OPT_WAIT },
	{ "time", required_argument, NULL, OPT_TIME },
	{ }
};

static void add_text(struct texts *t, const char *text)
{
	if (t->n == MAX_TEXTS)
		die("too many of --only or --skip");
	t->text[t->n++] = text;
}

static bool parse_option(int opt)
{
	switch (opt) {
	case OPT_SERVER:
		cfg.clt.server = optarg;
		break;
	case OPT_SOURCE:
		cfg.clt.source = optarg;
		break;
	case OPT_SERVER2:
		cfg.clt2.server = optarg;
		break;
	case OPT_SOURCE2:
		cfg.clt2.source = optarg;
		break;
	case OPT_PORT:
		cfg.clt.port = optarg;
		break;
	case OPT_SESSNAME:
		cfg.clt.sessname = optarg;
		break;
	case OPT_ROLL:
		cfg.clt.features = WIRE_FEAT_RKEY_ROLL;
		break;
	case OPT_DEV:
		cfg.dev = optarg;
		break;
	case OPT_RO:
		cfg.ro = optarg;
		break;
	case OPT_SLOW:
		cfg.slow = optarg;
		break;
	case OPT_LATE:
		cfg.late = optarg;
		break;
	case OPT_DEV4K:
		cfg.dev4k = optarg;
		break;
	case OPT_HONEST:
		cfg.honest = optarg;
		break;
	case OPT_HALF_OPEN:
		cfg.limits.half_open = atoi(optarg);
		break;
	case OPT_HALF_OPEN_ERRNO:
		cfg.limits.half_open_errno = atoi(optarg);
		break;
	case OPT_QUICK:
		cfg.quick_ms = atoi(optarg);
		break;
	case OPT_LONG:
		cfg.long_run = true;
		break;
	case OPT_ONLY:
		add_text(&only, optarg);
		break;
	case OPT_TIMES:
		show_times = true;
		break;
	case OPT_SKIP:
		add_text(&skipped, optarg);
		break;
	case OPT_WAIT:
		cfg.clt.timeout_ms = atoi(optarg);
		break;
	case OPT_TIME:
		alarm(patient(atoi(optarg)));
		break;
	case OPT_LIST:
		all_cases(list_one);
		exit(0);
	default:
		return false;
	}
	return true;
}

static void second_path(void)
{
	struct clt_cfg conf = cfg.clt;

	cfg.have_path2 = cfg.clt2.server;
	conf.server = cfg.clt2.server;
	conf.source = cfg.clt2.source;
	cfg.clt2 = conf;
}

int main(int argc, char **argv)
{
	int opt;

	alarm(patient(300));
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!parse_option(opt)) {
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	cfg.clt.timeout_ms = patient(cfg.clt.timeout_ms);
	cfg.quick_ms = patient(cfg.quick_ms);
	second_path();

	tap_start();
	honest_check();
	tap_done("the honest session");
	all_cases(run_one);
	honest_end();
	return tap_finish();
}
