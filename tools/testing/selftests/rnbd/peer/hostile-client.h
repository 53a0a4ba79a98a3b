/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of hostile-client share
 *
 * A case is a thing that no honest client does, and what has to come of it.
 * Cases of one kind are a group: a table whose elements all begin with a
 * struct hcase, and one function that runs an element.
 */
#ifndef PEER_HOSTILE_H
#define PEER_HOSTILE_H

#include "client-rnbd.h"
#include "report.h"

#define CASE_LONG	(1u << 0)	/* takes half a minute: with --long */
#define CASE_KEEPS	(1u << 1)	/* tests the promise of always_invalidate */
#define CASE_PATH2	(1u << 2)	/* wants a second pair of addresses */
#define CASE_4K		(1u << 3)	/* wants a disk of 4 KiB blocks */
#define CASE_GEO	(1u << 4)	/* wants GEO_DEPTH chunks of GEO_CHUNK */

/* Not a power of two, so that there are chunk numbers that name no chunk. */
#define GEO_DEPTH	50
#define GEO_CHUNK	(128u << 10)

struct hcase {
	const char *name;
	unsigned int flags;
};

struct group {
	const char *name;
	const void *cases;
	size_t size, n;
	void (*run)(const void *elem);
};

/* For cases that have nothing in common but their group. */
struct run_case {
	struct hcase h;
	void (*run)(void);
};

void run_case(const void *elem);

extern const struct group cm_groups[], path_groups[], msg_groups[], io_groups[],
			  mem_groups[], verb_groups[];
extern const unsigned int n_cm_groups, n_path_groups, n_msg_groups, n_io_groups,
			  n_mem_groups, n_verb_groups;

/*
 * What the server is known to allow: 0 means that it is not known, and then
 * the cases at the limit only demand that it survives, serves honest sessions
 * meanwhile, and gives everything back.  Each has an option of its name.
 */
struct limits {
	unsigned int half_open;		/* connections of paths not up yet */
	int half_open_errno;		/* refuses those above it */
};

struct hostile_cfg {
	struct clt_cfg clt;
	struct clt_cfg clt2;		/* the same by other addresses */
	bool have_path2;
	const char *dev;		/* for attacks; OVERWRITTEN */
	const char *ro;			/* opened ro only, must stay all zero */
	const char *slow;		/* begins an I/O hundreds of ms late; OVERWRITTEN */
	const char *late;		/* ends an I/O hundreds of ms late; OVERWRITTEN */
	const char *dev4k;		/* 4 KiB blocks; or NULL */
	const char *honest;		/* of the honest session; OVERWRITTEN */
	struct limits limits;
	unsigned int quick_ms;		/* what an honest session may wait */
	bool long_run;
};

extern struct hostile_cfg cfg;

/* --- the honest session ---------------------------------------------------- */

/* OPEN, write, read back, and all that quickly. */
void honest_check(void);
const struct clt *honest_clt(void);
uint32_t honest_id(void);
/* Answers its heartbeats. */
void honest_poll(void);

/* Does the server promise that nobody changes data it is working on? */
bool server_keeps(void);

/* --- attacking sessions ---------------------------------------------------- */

#define FOE_SCRATCH	(256u << 10)

/* A path, and memory to send anything from. */
struct foe {
	struct clt c;
	uint8_t *scratch;
	struct ibv_mr *mr;
	bool on;
};

/* Which of the disks; what foe_open() opens and how. */
enum disk { D_DEV, D_RO, D_SLOW, D_LATE, D_4K, D_COUNT };

/* Addresses and all, but not connected.  @name NULL: one of its own. */
void foe_init(struct foe *f, const char *name);
/* One connection of it, as it should be. */
bool foe_conn(struct foe *f, unsigned int cid);
/* Connects all of it and introduces it.  False, and a complaint, if not. */
bool foe_up(struct foe *f);
/* Both.  What ends it from now on is no complaint. */
bool foe_start(struct foe *f);
/* A second path of the session of @of, by the other addresses. @name as there. */
void foe_init2(struct foe *f, const struct foe *of, const char *name);
bool foe_start2(struct foe *f, const struct foe *of);
/* Without a good-bye. */
void foe_free(struct foe *f);
/* With one, so that the server has heard of it. */
void foe_end(struct foe *f);
/* OPEN; waits a bit for the last one to have gone. */
bool foe_open(struct foe *f, enum disk d, uint32_t *id);
/* Memory for foe_post(). */
bool foe_scratch(struct foe *f);

/* All connections end, by the server's doing. */
void foe_must_end(struct foe *f, const char *what);
/* The path still answers: on @cid, so all sent there before has been seen. */
void foe_must_live(struct foe *f, unsigned int cid, const char *what);
/* Polls it, and the honest session. */
void foe_idle(struct foe *f, unsigned int ms);
/* Waits until nothing is under way; false if that takes too long. */
bool foe_wait_sends(struct foe *f);

/* A work request of any kind; data is from the start of the scratch memory. */
struct post {
	unsigned int cid;
	enum ibv_wr_opcode op;
	unsigned int len;
	uint32_t imm;		/* or the key to invalidate */
	uint64_t addr;
	uint32_t key;
};

int foe_post(struct foe *f, const struct post *p);

/* A read or write on disk @id. */
struct req *foe_io(struct foe *f, unsigned int cid, unsigned int chunk,
		   uint32_t id, uint32_t rw, uint64_t sector, uint32_t len);
/* Reads @len bytes of a disk in a session of its own. */
bool look_at(enum disk d, uint64_t sector, uint32_t len, uint8_t *to);

/* --- patches ----------------------------------------------------------------- */

/* An honest message with some bytes changed. */
enum patch_in {
	P_NONE,
	P_USR,			/* the RNBD message */
	P_RTRS,			/* the RTRS message */
	P_IMM,			/* the immediate, all of it */
	P_OFF,			/* the offset in the immediate */
	P_BYTES,		/* of a message without parts */
};

struct patch {
	enum patch_in in;
	unsigned int at, len;	/* bytes; len 0 at P_BYTES etc: fill to the end */
	uint64_t val;
};

#define MAX_PATCHES 4
#define B(where, n, value) { P_BYTES, where, n, value }

void patch_apply(const struct patch *p, enum patch_in in, uint8_t *b,
		 unsigned int size);

#endif
