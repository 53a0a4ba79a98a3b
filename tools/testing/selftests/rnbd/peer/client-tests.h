/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What peer-client.c, the tests and the replay of recordings share
 */
#ifndef PEER_CLIENT_TESTS_H
#define PEER_CLIENT_TESTS_H

#include "client.h"

struct test_cfg {
	struct clt_cfg clt;
	const char *dev;		/* a scratch disk: it is overwritten */
	const char *missing;		/* a name that does not exist */
	const char *notblk;		/* a file that is no block device */
	bool grants;			/* the server knows QUEUE_DEPTH */
	bool slow;			/* also what takes half a minute */
	const char *only;		/* run tests with this in their name */
};

/* Runs the built-in list. */
void run_tests(const struct test_cfg *cfg);

void list_tests(void);

/* Sends a recorded client's messages; compares the answers. */
void run_replay(const struct test_cfg *cfg, const char *file);

#endif
