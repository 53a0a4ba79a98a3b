// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * peer-client: behaves on the wire as RNBD's client in mainline Linux 6.12
 * does, from user space, and complains when the server breaks a rule
 *
 * It is a test of servers: it prints TAP and exits with 0 if all was well.  The
 * disk that it opens is overwritten.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client-tests.h"
#include "report.h"

static const char usage[] =
"usage: peer-client [options]\n"
"  --server ADDR     server's address (127.0.0.1)\n"
"  --source ADDR     our address\n"
"  --port N          server's port (1234)\n"
"  --sessname NAME   name of the session (peer)\n"
"  --cids N          connections a path (3)\n"
"  --dev NAME        disk to test with; IT IS OVERWRITTEN (/dev/ram0)\n"
"  --missing NAME    a name that the server does not find (/dev/nothere)\n"
"  --notblk NAME     a name that is no block device (/dev/null)\n"
"  --replay FILE     replay this recording instead of the tests; repeatable\n"
"  --exact           accept mainline's message sequence only\n"
"  --grants          the server has to know QUEUE_DEPTH\n"
"  --no-mw           no memory windows: reads without NEED_INVAL\n"
"  --slow            also tests that take half a minute each\n"
"  --only TEXT       only tests with TEXT in their name\n"
"  --list            list the tests\n"
"  --wait MS         longest wait for anything (10000)\n"
"  --time S          give up after S seconds (240)\n";

enum {
	OPT_SERVER = 1, OPT_SOURCE, OPT_PORT, OPT_SESSNAME, OPT_CIDS, OPT_DEV,
	OPT_MISSING, OPT_NOTBLK, OPT_REPLAY, OPT_EXACT, OPT_GRANTS, OPT_NO_MW,
	OPT_SLOW, OPT_ONLY, OPT_LIST, OPT_WAIT, OPT_TIME,
};

static const struct option options[] = {
	{ "server", required_argument, NULL, OPT_SERVER },
	{ "source", required_argument, NULL, OPT_SOURCE },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "sessname", required_argument, NULL, OPT_SESSNAME },
	{ "cids", required_argument, NULL, OPT_CIDS },
	{ "dev", required_argument, NULL, OPT_DEV },
	{ "missing", required_argument, NULL, OPT_MISSING },
	{ "notblk", required_argument, NULL, OPT_NOTBLK },
	{ "replay", required_argument, NULL, OPT_REPLAY },
	{ "exact", no_argument, NULL, OPT_EXACT },
	{ "grants", no_argument, NULL, OPT_GRANTS },
	{ "no-mw", no_argument, NULL, OPT_NO_MW },
	{ "slow", no_argument, NULL, OPT_SLOW },
	{ "only", required_argument, NULL, OPT_ONLY },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "wait", required_argument, NULL, OPT_WAIT },
	{ "time", required_argument, NULL, OPT_TIME },
	{ }
};

#define MAX_REPLAYS 8

/* Which of the legal sequences the server prefers is good to know. */
static void note_answers(void)
{
	note("answers: %u IO_RSP, %u with the data in it, %u IO_RSP_W_INV",
	     clt_answers[ANS_IMM], clt_answers[ANS_IMM_DATA],
	     clt_answers[ANS_IMM_INV]);
	note("answers by RKEY_RSP: %u IO_RSP, %u IO_RSP_W_INV",
	     clt_answers[ANS_RKEY], clt_answers[ANS_RKEY_INV]);
}

int main(int argc, char **argv)
{
	struct test_cfg cfg = {
		.clt = {
			.server = "127.0.0.1",
			.port = "1234",
			.sessname = "peer",
			.cids = 3,
			.timeout_ms = 10000,
		},
		.dev = "/dev/ram0",
		.missing = "/dev/nothere",
		.notblk = "/dev/null",
	};
	const char *replay[MAX_REPLAYS];
	unsigned int i, replays = 0, seconds = 240;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case OPT_SERVER:
			cfg.clt.server = optarg;
			break;
		case OPT_SOURCE:
			cfg.clt.source = optarg;
			break;
		case OPT_PORT:
			cfg.clt.port = optarg;
			break;
		case OPT_SESSNAME:
			cfg.clt.sessname = optarg;
			break;
		case OPT_CIDS:
			cfg.clt.cids = atoi(optarg);
			break;
		case OPT_DEV:
			cfg.dev = optarg;
			break;
		case OPT_MISSING:
			cfg.missing = optarg;
			break;
		case OPT_NOTBLK:
			cfg.notblk = optarg;
			break;
		case OPT_EXACT:
			cfg.clt.exact = true;
			break;
		case OPT_GRANTS:
			cfg.grants = true;
			break;
		case OPT_NO_MW:
			cfg.clt.no_mw = true;
			break;
		case OPT_SLOW:
			cfg.slow = true;
			break;
		case OPT_ONLY:
			cfg.only = optarg;
			break;
		case OPT_WAIT:
			cfg.clt.timeout_ms = atoi(optarg);
			break;
		case OPT_TIME:
			seconds = atoi(optarg);
			break;
		case OPT_LIST:
			list_tests();
			return 0;
		case OPT_REPLAY:
			if (replays == MAX_REPLAYS)
				die("too many recordings");
			replay[replays++] = optarg;
			break;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind != argc || cfg.clt.cids < 2 ||
	    cfg.clt.cids > CLT_MAX_CIDS) {
		fputs(usage, stderr);
		return 2;
	}

	cfg.clt.timeout_ms = patient(cfg.clt.timeout_ms);
	alarm(patient(seconds));
	tap_start();
	for (i = 0; i < replays; i++)
		run_replay(&cfg, replay[i]);
	if (!replays)
		run_tests(&cfg);
	note_answers();
	return tap_finish();
}
