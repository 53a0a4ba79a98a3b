/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases of hostile-client that are an honest message with some bytes changed
 */
#ifndef PEER_HOSTILE_MSG_H
#define PEER_HOSTILE_MSG_H

#include "hostile-client.h"

enum base {
	M_READ,			/* 512 bytes */
	M_WRITE,		/* 512 bytes */
	M_EMPTY_WRITE,		/* none, and no flags */
	M_FLUSH,
	M_DISCARD,		/* 4096 bytes */
	M_ERASE,
	M_ZEROES,
	M_SESS_INFO,
	M_OPEN,			/* the disk of the case, ro */
	M_CLOSE,		/* of an id that is not open */
};

#define END	(-1)		/* the path ends */
#define ANY	(-2)		/* an answer, or the end of the path */
#define ANSWER	(-3)		/* any answer, and the path lives */

/* Chunks of the shared session; the last ones are for foe.c. */
#define CHUNK	3

struct msg_case {
	struct hcase h;
	enum base base;
	int want;			/* errno of the answer, or one of these */
	struct patch p[MAX_PATCHES];
	unsigned int usr_len;		/* ~0: 0; 0: as it should be */
	enum disk disk;
	const char *name;		/* of M_OPEN */
	bool service;			/* on cid 0; what is no I/O always is */
	bool as_write;			/* in an RTRS WRITE, without data */
	bool as_read;			/* in an RTRS READ */
};

#define U(at, n, value) { P_USR, at, n, value }
#define R(at, n, value) { P_RTRS, at, n, value }
#define IMM(value) { P_IMM, 0, 4, value }
#define OFF(value) { P_OFF, 0, 4, value }

/* Offsets in the messages. */
#define IO_ID		4
#define IO_SECTOR	8
#define IO_RW		16
#define IO_SIZE		20
#define IO_PRIO		24
#define RTRS_USR_LEN	2
#define READ_FLAGS	4
#define READ_SG_CNT	6
#define READ_ADDR	8
#define READ_KEY	16
#define READ_LEN	20

/* A session that lives through all cases with an answer, and its disks. */
extern struct foe A;
extern uint32_t A_id[D_COUNT];
bool a_start(void);

extern const struct msg_case rtrs_cases[];
extern const unsigned int n_rtrs_cases;

/* Sends the message of @c for disk @id, whatever comes of it. */
struct req *fire(struct foe *f, const struct msg_case *c, uint32_t id);

/* Sends it, and checks that. */
void run_msg(const void *elem);

#endif
