/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mainline server's side of RTRS and RNBD, and every check on what the client
 * does with it
 *
 *	server.c	listening, sessions, paths, heartbeats
 *	server-io.c	requests in chunks and their answers
 *	server-disk.c	RAM disks and what RNBD says about them
 */
#ifndef PEER_SERVER_H
#define PEER_SERVER_H

#include <sys/socket.h>

#include "rdma.h"
#include "wire.h"

#define SRV_MAX_CIDS		64
#define SRV_MAX_PATHS		8
#define SRV_MAX_SESSIONS	8
#define SRV_MAX_DISKS		4
#define SRV_MAX_OPEN		16
#define SRV_NAME_LEN		256

/* Which rkey an answer brings with NEW_RKEY. */
enum rkey_policy { RKEY_NEW, RKEY_SAME, RKEY_MIXED };

/*
 * Rules that the server breaks on request, so that the client's checks can be
 * seen failing.
 */
enum wrong {
	WRONG_NOTHING,
	WRONG_NO_INV,		/* IO_RSP_W_INV without its SEND_WITH_INV */
	WRONG_INV_PLAIN,	/* SEND_WITH_INV, and then IO_RSP */
	WRONG_INV_KEY,		/* SEND_WITH_INV of a foreign key */
	WRONG_INV_FIRST,	/* SEND_WITH_INV before the data */
	WRONG_KIND,		/* RDMA_WRITE_WITH_IMM with NEW_RKEY, and v.v. */
	WRONG_TWICE,		/* every answer comes twice */
	WRONG_CHUNK,		/* RKEY_RSP or answer of the next chunk */
	WRONG_LONG,		/* more data than was asked for */
	WRONG_DATA,		/* one bit of it */
	WRONG_ERROR_DATA,	/* data with an errno */
	WRONG_ERRNO,		/* always EIO */
	WRONG_CID,		/* heartbeats on cid 1 */
	WRONG_PLAIN_SEND,	/* a SEND, of no kind */
	WRONG_DEPTH,		/* more chunks than it has agreed to */
	WRONG_CONN_RSP,		/* features nobody offered, reserved bytes */
	WRONG_INFO_RSP,		/* memory for one chunk too few */
	WRONG_OPEN_RSP,		/* block size 1000, another id every time */
	WRONG_HANGUP,		/* only the connection that hung up ends */
	WRONG_COUNT
};

struct srv_cfg {
	enum wrong wrong;
	bool any_hb;			/* heartbeats may come at any time */
	const char *addr;		/* NULL: any */
	const char *port;
	bool invalidate;		/* NEW_RKEY */
	enum rkey_policy rkey;
	bool no_inv;			/* never send SEND_WITH_INV */
	bool reorder;			/* answers in reverse order */
	bool lax;			/* broken rules are only notes */
	unsigned int depth;
	bool grant;			/* knows QUEUE_DEPTH, of one session */
	unsigned int busy;		/* so many connections are refused with EBUSY */
	unsigned int chunk_size;
	unsigned int sessions;		/* end after so many; 0: never */
	unsigned int sess_ver;
	int sess_info_errno, open_errno;
	int io_errno;			/* for operation io_errno_op */
	unsigned int io_errno_op;
	const char *log;
	const char *dump;
	struct rnbd_open_rsp disk;	/* what OPEN says; device_id apart */
	const char *exports[SRV_MAX_DISKS];
	unsigned int num_exports;
};

struct disk {
	const char *name;
	uint8_t *mem;
	size_t size;
	struct ibv_mr *mr;
	unsigned int writers;		/* rw and migration, all sessions */
};

struct opened {
	struct disk *disk;		/* NULL: free */
	char name[SRV_NAME_LEN];
	unsigned int access;
};

/* A client.  Owns its chunks; the paths have keys for them. */
struct session {
	bool used;
	uint8_t paths_uuid[WIRE_UUID_LEN];
	char name[SRV_NAME_LEN];	/* "" until INFO_REQ */
	unsigned int paths;		/* existing ones */
	unsigned int ver;		/* of SESS_INFO; 0: not seen */
	uint8_t *chunks;
	uint8_t *admin;			/* answers of 64 bytes, one a chunk */
	struct ibv_mr *chunks_mr, *admin_mr;
	struct opened open[SRV_MAX_OPEN];
	unsigned int requests;
};

enum path_state { PATH_FREE, PATH_CONNECTING, PATH_UP, PATH_CLOSING };

struct path {
	enum path_state state;
	struct session *sess;
	struct conn conn[SRV_MAX_CIDS];
	unsigned int accepted;
	struct conn_req ident;		/* of cid 0 */
	struct sockaddr_storage src, dst;
	struct ibv_mr **key;		/* one a chunk, or one for all */
	bool *busy;			/* chunks with a request */
	bool by_client;			/* the client hung up first */
	uint64_t close_by;		/* CLOSING: not longer than this */
	uint64_t hb_next, hb_last_msg;
	unsigned int hb_missed, hb_unacked;
};

/* A request on its way to being answered. */
struct op {
	struct path *path;
	struct conn *conn;
	unsigned int chunk;
	bool read;
	bool need_inval;
	bool has_desc;
	struct desc desc;
	int err;			/* positive */
	void *src;			/* data of the answer */
	uint32_t src_lkey;
	uint32_t src_len;
};

struct srv;

/*
 * Where a hostile server departs from what is right.  Each may be missing.  With
 * hooks the server complains of nothing: it is not the client's rules that are
 * tested then.
 *
 * connect:	a CONN_REQ; true: it has been dealt with, its id included
 * accept:	before a connection is accepted: may change the private data and
 *		its length; false: it is left without an answer
 * info_rsp:	before INFO_RSP is sent: may change it, up to INFO_RSP_ROOM more
 *		bytes included; false: it is not to be sent
 * recv:	something has arrived; true: it is ignored
 * answer:	before a request is answered; true: it has been dealt with, and
 *		path->busy[] is to be cleared when the chunk may be used again
 * tick:	in each round of the event loop, at least ten times a second
 */
struct srv_hooks {
	bool (*connect)(struct srv *s, const struct cm_event *ev,
			const struct conn_req *req);
	bool (*accept)(struct srv *s, struct path *p, struct conn *c,
		       uint8_t *rsp, unsigned int *len);
	bool (*info_rsp)(struct srv *s, struct path *p, struct ibv_sge *sge);
	bool (*recv)(struct srv *s, struct path *p, struct conn *c,
		     const struct ibv_wc *wc);
	bool (*answer)(struct srv *s, struct op *op);
	void (*tick)(struct srv *s);
};

#define INFO_RSP_ROOM	4096
#define ACCEPT_ROOM	256

struct srv {
	struct srv_cfg cfg;
	const struct srv_hooks *hooks;
	bool silent;				/* no heartbeats, no HB_ACK */
	struct rdma_event_channel *cm;
	struct ibv_comp_channel *comp;
	struct ibv_pd *pd;
	struct rdma_cm_id *listener;
	struct session session[SRV_MAX_SESSIONS];
	struct path path[SRV_MAX_PATHS];
	struct disk disk[SRV_MAX_DISKS];
	struct op *held;		/* answers kept back for --reorder */
	unsigned int num_held;
	unsigned int sessions_done;
	uint64_t last_round, last_stall;	/* of the event loop */
	volatile bool stop;
};

/* A rule that the client broke: fails the test, unless --lax. */
void rule(const struct srv *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* server.c */
void srv_run(struct srv *s);
void path_close(struct srv *s, struct path *p);
bool srv_any_path(const struct srv *s);

/* server-io.c */
int path_register_chunks(struct srv *s, struct path *p);
void path_unregister_chunks(struct srv *s, struct path *p);
void srv_request(struct srv *s, struct path *p, struct conn *c, uint32_t imm,
		 uint32_t byte_len);
void srv_release_held(struct srv *s);

/* What is right, for a hook that goes back to it: posts the answer to @op. */
void srv_answer(struct srv *s, const struct op *op);

/* server-disk.c */
void disks_init(struct srv *s);
void disks_register(struct srv *s);
void disks_finish(struct srv *s);
void session_close_all(struct srv *s, struct session *sess);
void srv_user_message(struct srv *s, struct op *op, const uint8_t *usr,
		      unsigned int usr_len, const uint8_t *data,
		      unsigned int data_len);

#endif
