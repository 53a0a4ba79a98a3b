/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server that breaks the rules, one case at a time
 *
 *	hostile-server.c	what an administrator does in a case, and sees
 *	hostile-server-acts.c	what the server does
 *	hostile-server-cases.c	the table of cases
 *	mapping.c		the kernel's client, through its files
 *
 * The server is peer-server's, with hooks.  It runs in the program's first
 * thread; the administrator is the second one, and waits for the kernel.
 */
#ifndef PEER_HOSTILE_SERVER_H
#define PEER_HOSTILE_SERVER_H

#include <stdatomic.h>

#include "mapping.h"
#include "raw.h"
#include "server.h"

#define HOSTILE_DEPTH	8u
#define HOSTILE_CHUNK	16384u
#define HOSTILE_BYTES	(HOSTILE_DEPTH * HOSTILE_CHUNK)

struct hostile;

/* Messages that can be spoiled; M_ACCEPT_MORE: of all connections but cid 0. */
enum message {
	M_NONE, M_REJECT, M_ACCEPT, M_ACCEPT_MORE, M_INFO, M_SESS_INFO, M_OPEN,
};

/* @size bytes of it are replaced; size 0: its length becomes @val. */
struct patch {
	enum message msg;
	unsigned int off, size;
	uint64_t val;
};

/* Requests that an act is for. */
enum kind { K_SESS_INFO = 1, K_OPEN = 2, K_CLOSE = 4, K_IO = 8 };

/* What becomes of a mapping. */
enum outcome {
	WORKS,		/* all goes on as if nothing had happened */
	IO_FAILS,	/* one request fails with hcase.err, all else works */
	PATH_ENDS,	/* and is connected again, and all works */
	CLOSED,		/* the device is, and can be remapped */
	STAYS_DOWN,	/* the path is not connected again */
};

enum {
	NEW_RKEY	= 1,	/* answers are messages */
	EARLY		= 2,	/* acts from the start, not after the mapping */
	ALWAYS		= 4,	/* on each request, not on the first only */
	ANY_DATA	= 8,	/* what is read may be anything */
	WRITES		= 16,	/* the request is a write */
	NO_IO		= 32,	/* there is no request */
	FORCE		= 64,	/* run() unmaps it */
	SLOW		= 128,	/* takes half a minute */
	INSTEAD		= 256,	/* run() does the mapping, too */
};

/* Of a path's connections, the last one. */
#define LAST		9999

/* Instead of an errno of map_device. */
#define ANY_ERROR	(-1)
#define EITHER		(-2)	/* it may succeed; whatever it says, it ends well */

struct hcase {
	const char *name;
	unsigned int flags;
	struct patch patch[4];
	unsigned int features;	/* to be accepted */
	unsigned int reject;	/* this connection is rejected: cid + 1 */
	unsigned int ignore;	/* this one is not answered: cid + 1 */
	unsigned int hang_up;	/* when so many are accepted */
	bool (*info)(struct hostile *h, struct path *p, struct ibv_sge *sge);
	unsigned int kinds;	/* of requests for answer() */
	void (*answer)(struct hostile *h, struct op *op);
	void (*tick)(struct hostile *h, struct path *p);
	uint64_t arg;		/* for the acts */
	uint32_t imm;		/* for what is sent unasked */
	int (*run)(struct hostile *h, struct mapping *m);
	int map;		/* errno of map_device */
	enum outcome outcome;
	int err;		/* errno of the request */
	uint64_t sectors;	/* size of the disk in the end, or NO_SECTORS */
	const char *log;	/* to be found in the kernel's log */
};

#define NO_SECTORS	UINT64_MAX

extern const struct hcase hostile_cases[];
extern const unsigned int hostile_nr_cases;

struct hostile {
	struct srv srv;			/* first: the hooks get only that */
	const struct hcase *now;	/* changes only while idle */
	atomic_bool armed;		/* the server misbehaves */
	atomic_bool fired;		/* it has, and need not again */
	atomic_bool idle;		/* there is no path */
	atomic_int go;			/* the administrator's sign for an act */
	atomic_ulong deadline;		/* now_ms() when a case hangs */
	unsigned int reconnects;	/* before it misbehaved */
	unsigned int sent;		/* by the act of this case */
	int errno_now;			/* of rejects, if the case has many */
	struct op kept[4];		/* requests without an answer */
	atomic_uint nr_kept;
	struct rdma_cm_id *stray[8];	/* connections likewise */
	unsigned int nr_stray;
	struct raw raw;			/* what is sent from */
};

static inline struct hostile *to_hostile(struct srv *s)
{
	return (struct hostile *)s;
}

extern const struct srv_hooks hostile_hooks;

/* hostile-server-acts.c: info */
bool info_twice(struct hostile *h, struct path *p, struct ibv_sge *sge);
bool info_never(struct hostile *h, struct path *p, struct ibv_sge *sge);
bool info_split(struct hostile *h, struct path *p, struct ibv_sge *sge);
bool info_on_cid1(struct hostile *h, struct path *p, struct ibv_sge *sge);
bool info_as_imm(struct hostile *h, struct path *p, struct ibv_sge *sge);
bool info_with_imm(struct hostile *h, struct path *p, struct ibv_sge *sge);
bool info_after_hb(struct hostile *h, struct path *p, struct ibv_sge *sge);
bool info_overrun(struct hostile *h, struct path *p, struct ibv_sge *sge);
bool info_hang_up(struct hostile *h, struct path *p, struct ibv_sge *sge);

/* answers */
void act_hang_up(struct hostile *h, struct op *op);
void act_keep(struct hostile *h, struct op *op);
void act_errno(struct hostile *h, struct op *op);
void act_imm(struct hostile *h, struct op *op);
void act_chunk(struct hostile *h, struct op *op);
void act_next_chunk(struct hostile *h, struct op *op);
void act_twice(struct hostile *h, struct op *op);
void act_cid(struct hostile *h, struct op *op);
void act_w_inv(struct hostile *h, struct op *op);
void act_inv_plain(struct hostile *h, struct op *op);
void act_inv_foreign(struct hostile *h, struct op *op);
void act_inv_other(struct hostile *h, struct op *op);
void act_send(struct hostile *h, struct op *op);
void act_send_imm(struct hostile *h, struct op *op);
void act_no_data(struct hostile *h, struct op *op);
void act_data_len(struct hostile *h, struct op *op);
void act_data_off(struct hostile *h, struct op *op);
void act_data_key(struct hostile *h, struct op *op);
void act_data_in_answer(struct hostile *h, struct op *op);
void act_late_data(struct hostile *h, struct op *op);
void act_neighbour(struct hostile *h, struct op *op);
void act_stranger(struct hostile *h, struct op *op);
void act_rkey(struct hostile *h, struct op *op);
void act_rkey_chunk(struct hostile *h, struct op *op);
void act_rkey_len(struct hostile *h, struct op *op);
void act_rkey_type(struct hostile *h, struct op *op);
void act_rkey_no_imm(struct hostile *h, struct op *op);
void act_rkey_imm(struct hostile *h, struct op *op);
void act_roll(struct hostile *h, struct op *op);
void act_id(struct hostile *h, struct op *op);
void act_with_data(struct hostile *h, struct op *op);

/* what nobody asked for */
void tick_flood(struct hostile *h, struct path *p);
void tick_once(struct hostile *h, struct path *p);
void tick_once_cid1(struct hostile *h, struct path *p);
void tick_message(struct hostile *h, struct path *p);
void tick_kept(struct hostile *h, struct path *p);
void tick_with_data(struct hostile *h, struct path *p);
void tick_late_data(struct hostile *h, struct path *p);
void tick_silent(struct hostile *h, struct path *p);
void tick_hang_up(struct hostile *h, struct path *p);
void tick_hang_up_one(struct hostile *h, struct path *p);
void tick_info(struct hostile *h, struct path *p);

/* hostile-server.c: what is done instead of one request, 0: and all was well */
int run_errnos(struct hostile *h, struct mapping *m);
int run_until_it_ends(struct hostile *h, struct mapping *m);
int run_pair(struct hostile *h, struct mapping *m);
int run_late_data(struct hostile *h, struct mapping *m);
int run_small(struct hostile *h, struct mapping *m);
int run_small_late_data(struct hostile *h, struct mapping *m);
int run_stranger(struct hostile *h, struct mapping *m);
int run_two_disks(struct hostile *h, struct mapping *m);
int run_discards(struct hostile *h, struct mapping *m);
int run_last_block(struct hostile *h, struct mapping *m);
int run_silence(struct hostile *h, struct mapping *m);
int run_forced(struct hostile *h, struct mapping *m);
int run_wait(struct hostile *h, struct mapping *m);

#endif
