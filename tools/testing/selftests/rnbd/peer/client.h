/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mainline client's side of RTRS: one path, its requests, and every check on
 * what the server does with them
 */
#ifndef PEER_CLIENT_H
#define PEER_CLIENT_H

#include <netdb.h>

#include "rdma.h"
#include "wire.h"

#define CLT_MAX_CIDS	32
#define CLT_GUARD	4096	/* poisoned bytes on both sides of the data */
#define CLT_POISON	0xa5

struct clt_cfg {
	const char *server;
	const char *source;		/* NULL: whatever routing says */
	const char *port;
	const char *sessname;
	unsigned int cids;
	bool exact;			/* take mainline's sequence only */
	bool no_mw;			/* no memory windows: no NEED_INVAL */
	uint32_t features;		/* offered; of those only RKEY_ROLL and */
	uint16_t wanted_depth;		/* QUEUE_DEPTH are known */
	uint8_t reads;			/* RDMA READs to ask for, which is wrong */
	unsigned int timeout_ms;	/* of every single wait */
};

/* How an answer came. */
enum answer {
	ANS_NONE,
	ANS_IMM,		/* RDMA_WRITE_WITH_IMM, IO_RSP */
	ANS_IMM_DATA,		/* the same one carried the data */
	ANS_IMM_INV,		/* after a SEND_WITH_INV, IO_RSP_W_INV */
	ANS_RKEY,		/* SEND_WITH_IMM of RKEY_RSP, IO_RSP */
	ANS_RKEY_INV,		/* after a SEND_WITH_INV, IO_RSP_W_INV */
	ANS_COUNT
};

/*
 * One request, at most one a chunk.  The caller fills the first part between
 * clt_req() and clt_send(), and reads the second when it is done.
 */
struct req {
	unsigned int chunk;
	unsigned int cid;
	bool read;			/* RTRS READ message, else WRITE */
	bool need_inval;
	bool no_desc;			/* a READ with sg_cnt 0 */
	uint8_t usr[512];
	unsigned int usr_len;
	uint8_t *data;			/* data_len bytes between two guards */
	unsigned int data_len;

	bool busy;
	bool done;
	int err;			/* errno of the answer, positive */
	uint32_t imm;
	enum answer how;
	bool inv_seen;			/* its SEND_WITH_INV is here */

	/* Memory, kept from use to use. */
	uint8_t *area;
	unsigned int area_len;
	unsigned int area_used;		/* of it, by this request */
	struct ibv_mr *area_mr;
	uint8_t *msg;
	struct ibv_mr *msg_mr;
	struct ibv_mw *mw;
	uint32_t key;			/* what the server was given */
	bool inv_posted;
};

struct clt {
	struct clt_cfg cfg;
	struct addrinfo *dst, *src;
	struct rdma_event_channel *cm;
	struct ibv_comp_channel *comp;
	struct ibv_pd *pd;
	struct conn conn[CLT_MAX_CIDS];
	unsigned int cid_num;
	struct conn_req ident;		/* what every CONN_REQ of the path says */

	struct conn_rsp rsp;		/* of cid 0 */
	unsigned int chunk_size;
	struct desc *chunk;		/* queue_depth of them */
	unsigned int descs;		/* of INFO_RSP */
	bool have_info;
	struct req *req;		/* queue_depth of them */

	bool dead;			/* a connection ended, or failed */
	bool dying;			/* and that is what we want */
	bool mute_hb;			/* do not answer HB_MSG */
	unsigned int deaf;		/* clt_ready() leaves this cid without receives */
	bool wild;			/* any chunk may be in flight */
	unsigned int hb_msgs, hb_acks;
	uint64_t hb_first, hb_last;	/* when HB_MSG came */
};

/* What came of an attempt to connect. */
struct conn_result {
	int err;		/* 0, or a negative errno: of the server or ours */
	bool rejected;		/* @rsp came in a reject */
	int status;		/* of the CM event */
	struct conn_rsp rsp;
};

/* How often each kind of answer came, over all sessions. */
extern unsigned int clt_answers[ANS_COUNT];

void clt_init(struct clt *c, const struct clt_cfg *cfg);

/* Connects @cid with these 56 bytes as they are, and checks the answer. */
struct conn_result clt_conn_open(struct clt *c, unsigned int cid,
				 const uint8_t priv[WIRE_CONN_LEN],
				 unsigned int len);

/* All connections of the path, checking that they agree. 0 or an error. */
int clt_connect(struct clt *c);

/* INFO_REQ and all that follows from INFO_RSP. */
int clt_info(struct clt *c);

/* The raw 272 bytes of INFO_REQ. */
int clt_info_raw(struct clt *c, const uint8_t msg[WIRE_INFO_REQ_LEN]);

/* What a client does when INFO_RSP is in: from here on there are requests. */
void clt_ready(struct clt *c);

/* Post the receives of a connection, as clt_ready() does. */
void clt_hear(struct clt *c, unsigned int cid);

/* clt_connect() and clt_info(); a new session each time. */
int clt_start(struct clt *c, const struct clt_cfg *cfg);

/* Hangs up, waits for the server to do so too, frees everything. */
void clt_stop(struct clt *c);

/* The same without a word about how the server behaves. */
void clt_free(struct clt *c);

/* Handles whatever arrives, until @until of now_ms() at most 100 ms away. */
void clt_poll(struct clt *c, uint64_t until);

/* The request of @chunk, empty, with @data_len poisoned bytes of data. */
struct req *clt_req(struct clt *c, unsigned int cid, unsigned int chunk,
		    unsigned int data_len);

int clt_send(struct clt *c, struct req *r);

/* 0 when answered (whatever errno), -ETIMEDOUT or -ECONNRESET otherwise. */
int clt_wait(struct clt *c, struct req *r);

/* clt_send() and clt_wait(); the errno of the answer, or negative. */
int clt_call(struct clt *c, struct req *r);

/* HB_MSG, and waits for its HB_ACK. */
int clt_heartbeat(struct clt *c);

/* Waits until the server has ended the whole path. */
int clt_wait_end(struct clt *c, unsigned int timeout_ms);

#endif
