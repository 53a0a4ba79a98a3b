// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * peer-server: behaves on the wire as RNBD's server in mainline Linux 6.12
 * does, from user space and on a RAM disk, and complains when the client breaks
 * a rule
 *
 * It is a test of clients: it prints TAP, one test a session, and exits with 0
 * if all was well.  SIGTERM ends it in an orderly way.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "server.h"

static const char usage[] =
"usage: peer-server [options]\n"
"  --addr ADDR          listen on this address (any)\n"
"  --port N             and port (1234)\n"
"  --invalidate y|n     a new rkey with every answer (y)\n"
"  --rkey new|same|mixed  ... that really is new, or is not (new)\n"
"  --no-inv             never SEND_WITH_INV, always IO_RSP\n"
"  --reorder            answer in reverse order\n"
"  --depth N            queue depth (512)\n"
"  --grant              give one session the depth that it asks for\n"
"  --busy N             refuse the first N connections with EBUSY\n"
"  --chunk BYTES        chunk size (131072)\n"
"  --sessions N         end after N sessions; 0: with SIGTERM (1)\n"
"  --ver N              version in SESS_INFO_RSP (2)\n"
"  --sess-info-errno E  answer SESS_INFO with this number\n"
"  --open-errno E       answer OPEN with it\n"
"  --io-errno OP:E      answer operation number OP with it\n"
"  --export NAME        a disk of this name; repeatable (/dev/ram0)\n"
"  --sectors N          size of each disk, of 512 bytes (65536)\n"
"  --block-size N       logical (512)\n"
"  --physical N         and physical block size (4096)\n"
"  --cache none|wb|wb,fua  (none)\n"
"  --discard N          max_discard_sectors (4294967295); 0: none\n"
"  --discard-gran N     discard_granularity (4096)\n"
"  --discard-align N    discard_alignment (0)\n"
"  --secure             with secure erase\n"
"  --write-zeroes N     max_write_zeroes_sectors (0)\n"
"  --log FILE           one line an operation\n"
"  --dump FILE          contents of the first disk at the end\n"
"  --lax                broken rules are only notes\n"
"  --any-hb             heartbeats may come at any time\n"
"  --wrong RULE         break this rule (list: show them)\n"
"  --time S             give up after S seconds (240)\n";

enum {
	OPT_ADDR = 1, OPT_PORT, OPT_INVALIDATE, OPT_RKEY, OPT_NO_INV,
	OPT_REORDER, OPT_DEPTH, OPT_GRANT, OPT_CHUNK, OPT_SESSIONS, OPT_VER,
	OPT_SESS_INFO_ERRNO, OPT_OPEN_ERRNO, OPT_IO_ERRNO, OPT_EXPORT,
	OPT_SECTORS, OPT_BLOCK_SIZE, OPT_PHYSICAL, OPT_CACHE, OPT_DISCARD,
	OPT_DISCARD_GRAN, OPT_DISCARD_ALIGN, OPT_SECURE, OPT_WRITE_ZEROES,
	OPT_LOG, OPT_DUMP, OPT_LAX, OPT_ANY_HB, OPT_WRONG, OPT_TIME,
	OPT_BUSY,
};

static const struct option options[] = {
	{ "addr", required_argument, NULL, OPT_ADDR },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "invalidate", required_argument, NULL, OPT_INVALIDATE },
	{ "rkey", required_argument, NULL, OPT_RKEY },
	{ "no-inv", no_argument, NULL, OPT_NO_INV },
	{ "reorder", no_argument, NULL, OPT_REORDER },
	{ "depth", required_argument, NULL, OPT_DEPTH },
	{ "grant", no_argument, NULL, OPT_GRANT },
	{ "chunk", required_argument, NULL, OPT_CHUNK },
	{ "sessions", required_argument, NULL, OPT_SESSIONS },
	{ "ver", required_argument, NULL, OPT_VER },
	{ "sess-info-errno", required_argument, NULL, OPT_SESS_INFO_ERRNO },
	{ "open-errno", required_argument, NULL, OPT_OPEN_ERRNO },
	{ "io-errno", required_argument, NULL, OPT_IO_ERRNO },
	{ "export", required_argument, NULL, OPT_EXPORT },
	{ "sectors", required_argument, NULL, OPT_SECTORS },
	{ "block-size", required_argument, NULL, OPT_BLOCK_SIZE },
	{ "physical", required_argument, NULL, OPT_PHYSICAL },
	{ "cache", required_argument, NULL, OPT_CACHE },
	{ "discard", required_argument, NULL, OPT_DISCARD },
	{ "discard-gran", required_argument, NULL, OPT_DISCARD_GRAN },
	{ "discard-align", required_argument, NULL, OPT_DISCARD_ALIGN },
	{ "secure", no_argument, NULL, OPT_SECURE },
	{ "write-zeroes", required_argument, NULL, OPT_WRITE_ZEROES },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "dump", required_argument, NULL, OPT_DUMP },
	{ "lax", no_argument, NULL, OPT_LAX },
	{ "any-hb", no_argument, NULL, OPT_ANY_HB },
	{ "busy", required_argument, NULL, OPT_BUSY },
	{ "wrong", required_argument, NULL, OPT_WRONG },
	{ "time", required_argument, NULL, OPT_TIME },
	{ }
};

static struct srv srv = {
	.cfg = {
		.port = "1234",
		.invalidate = true,
		.depth = 512,
		.chunk_size = 131072,
		.sessions = 1,
		.sess_ver = RNBD_VER_MAJOR,
		/* What mainline says of a ram disk of the kernel. */
		.disk = {
			.nsectors = 65536,
			.max_hw_sectors = 255,
			.max_discard_sectors = 0xffffffff,
			.discard_granularity = 4096,
			.physical_block_size = 4096,
			.logical_block_size = 512,
			.max_segments = 128,
		},
	},
};

static unsigned int seconds = 240;

static void on_term(int sig)
{
	(void)sig;
	srv.stop = true;
}

static void bad_usage(void)
{
	fputs(usage, stderr);
	exit(2);
}

static enum rkey_policy parse_rkey(const char *s)
{
	if (!strcmp(s, "new"))
		return RKEY_NEW;
	if (!strcmp(s, "same"))
		return RKEY_SAME;
	if (strcmp(s, "mixed"))
		bad_usage();
	return RKEY_MIXED;
}

static unsigned int parse_cache(const char *s)
{
	if (!strcmp(s, "none"))
		return 0;
	if (!strcmp(s, "wb"))
		return RNBD_CACHE_WRITEBACK;
	if (strcmp(s, "wb,fua"))
		bad_usage();
	return RNBD_CACHE_WRITEBACK | RNBD_CACHE_FUA;
}

static void parse_io_errno(struct srv_cfg *c, const char *s)
{
	if (sscanf(s, "%u:%d", &c->io_errno_op, &c->io_errno) != 2)
		bad_usage();
}

static const char * const wrong_names[WRONG_COUNT] = {
	[WRONG_NOTHING]		= "nothing",
	[WRONG_NO_INV]		= "no-inv",
	[WRONG_INV_PLAIN]	= "inv-plain",
	[WRONG_INV_KEY]	= "inv-key",
	[WRONG_INV_FIRST]	= "inv-first",
	[WRONG_KIND]		= "kind",
	[WRONG_TWICE]		= "twice",
	[WRONG_CHUNK]		= "chunk",
	[WRONG_LONG]		= "long",
	[WRONG_DATA]		= "data",
	[WRONG_ERROR_DATA]	= "error-data",
	[WRONG_ERRNO]		= "errno",
	[WRONG_CID]		= "cid",
	[WRONG_PLAIN_SEND]	= "plain-send",
	[WRONG_DEPTH]		= "depth",
	[WRONG_CONN_RSP]	= "conn-rsp",
	[WRONG_INFO_RSP]	= "info-rsp",
	[WRONG_OPEN_RSP]	= "open-rsp",
	[WRONG_HANGUP]		= "hangup",
};

static enum wrong parse_wrong(const char *s)
{
	unsigned int i;

	for (i = 0; i < WRONG_COUNT; i++)
		if (!strcmp(s, wrong_names[i]))
			return i;
	if (strcmp(s, "list"))
		bad_usage();
	for (i = 1; i < WRONG_COUNT; i++)
		puts(wrong_names[i]);
	exit(0);
}

static void add_export(struct srv_cfg *c, const char *name)
{
	if (c->num_exports == SRV_MAX_DISKS)
		die("too many exports");
	c->exports[c->num_exports++] = name;
}

static void parse_option(struct srv_cfg *c, int opt, const char *arg)
{
	unsigned long n = arg ? strtoul(arg, NULL, 0) : 0;

	switch (opt) {
	case OPT_ADDR:
		c->addr = arg;
		break;
	case OPT_PORT:
		c->port = arg;
		break;
	case OPT_INVALIDATE:
		c->invalidate = *arg == 'y';
		break;
	case OPT_RKEY:
		c->rkey = parse_rkey(arg);
		break;
	case OPT_NO_INV:
		c->no_inv = true;
		break;
	case OPT_REORDER:
		c->reorder = true;
		break;
	case OPT_DEPTH:
		c->depth = n;
		break;
	case OPT_GRANT:
		c->grant = true;
		break;
	case OPT_CHUNK:
		c->chunk_size = n;
		break;
	case OPT_SESSIONS:
		c->sessions = n;
		break;
	case OPT_VER:
		c->sess_ver = n;
		break;
	case OPT_SESS_INFO_ERRNO:
		c->sess_info_errno = n;
		break;
	case OPT_OPEN_ERRNO:
		c->open_errno = n;
		break;
	case OPT_IO_ERRNO:
		parse_io_errno(c, arg);
		break;
	case OPT_EXPORT:
		add_export(c, arg);
		break;
	case OPT_SECTORS:
		c->disk.nsectors = n;
		break;
	case OPT_BLOCK_SIZE:
		c->disk.logical_block_size = n;
		break;
	case OPT_PHYSICAL:
		c->disk.physical_block_size = n;
		break;
	case OPT_CACHE:
		c->disk.cache_policy = parse_cache(arg);
		break;
	case OPT_DISCARD:
		c->disk.max_discard_sectors = n;
		break;
	case OPT_DISCARD_GRAN:
		c->disk.discard_granularity = n;
		break;
	case OPT_DISCARD_ALIGN:
		c->disk.discard_alignment = n;
		break;
	case OPT_SECURE:
		c->disk.secure_discard = 1;
		break;
	case OPT_WRITE_ZEROES:
		c->disk.max_write_zeroes_sectors = n;
		break;
	case OPT_LOG:
		c->log = arg;
		break;
	case OPT_DUMP:
		c->dump = arg;
		break;
	case OPT_LAX:
		c->lax = true;
		break;
	case OPT_ANY_HB:
		c->any_hb = true;
		break;
	case OPT_BUSY:
		c->busy = n;
		break;
	case OPT_WRONG:
		c->wrong = parse_wrong(arg);
		break;
	case OPT_TIME:
		seconds = n;
		break;
	default:
		bad_usage();
	}
}

static void check_config(struct srv_cfg *c)
{
	unsigned int lbs = c->disk.logical_block_size;

	if (!c->num_exports)
		add_export(c, "/dev/ram0");
	if (!c->depth || c->depth > 65535 || c->chunk_size < 8192 ||
	    c->chunk_size & (c->chunk_size - 1) || !lbs || lbs % RNBD_SECTOR ||
	    (c->grant && c->sessions != 1) ||
	    !c->disk.nsectors || c->disk.nsectors % (lbs / RNBD_SECTOR))
		die("these sizes do not go together");
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_term };
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		parse_option(&srv.cfg, opt, optarg);
	if (optind != argc)
		bad_usage();
	check_config(&srv.cfg);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	alarm(patient(seconds));
	tap_start();
	srv_run(&srv);
	return tap_finish();
}
