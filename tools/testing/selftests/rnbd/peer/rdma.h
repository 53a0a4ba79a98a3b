/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verbs and the connection manager, as both peers use them
 *
 * Everything runs in one thread that waits in rdma_wait(), with a bound.  A
 * connection has one CQ for both directions, and all CQs of a program share one
 * completion channel.
 */
#ifndef PEER_RDMA_H
#define PEER_RDMA_H

#include <rdma/rdma_cma.h>
#include <stdbool.h>
#include <stdint.h>

/* The upper half of a wr_id says what completed, the lower half which one. */
enum wr_kind {
	WR_RX_INFO = 1,		/* the receive for INFO_REQ or INFO_RSP */
	WR_RX_EMPTY,		/* a receive without a buffer */
	WR_RX_RKEY,		/* a receive of 8 bytes */
	WR_TX,			/* a message of ours */
	WR_TX_INV,		/* LOCAL_INV; the lower half is a chunk number */
	WR_TX_BIND,		/* BIND_MW */
};

static inline uint64_t wr_id(enum wr_kind kind, uint32_t index)
{
	return (uint64_t)kind << 32 | index;
}

static inline enum wr_kind wr_kind(uint64_t id)
{
	return id >> 32;
}

/* A connection.  cid -1u: not used. */
struct conn {
	unsigned int cid;
	struct rdma_cm_id *id;
	struct ibv_cq *cq;
	unsigned int sends;		/* posted and not completed */
	bool up;			/* accepted */
	bool down;			/* DISCONNECTED or an error was seen */
	bool hung_up;			/* we called rdma_disconnect() */
	unsigned int received;		/* completions of receives */
	uint8_t *rx;			/* receive buffers of rx_size each */
	unsigned int rx_size;
	struct ibv_mr *rx_mr;
	uint32_t pending_inv;		/* see the client */
	bool inv_seen;
	void *owner;
};

/* A CM event, copied so that it can be acknowledged at once. */
struct cm_event {
	enum rdma_cm_event_type type;
	int status;
	struct rdma_cm_id *id;
	struct rdma_conn_param param;
	uint8_t data[256];		/* private data; zero behind data_len */
	unsigned int data_len;
};

/* 0 and an event, or -EAGAIN. */
int cm_event_get(struct rdma_event_channel *ch, struct cm_event *ev);

/*
 * Waits for the next CM event or completion, at most until the time @until of
 * now_ms(), and at most 100 ms, so that callers may look at their own clocks.
 */
void rdma_wait(struct rdma_event_channel *cm, struct ibv_comp_channel *comp,
	       uint64_t until);

/* Non-blocking file descriptors for both kinds of channel. */
struct rdma_event_channel *cm_channel(void);
struct ibv_comp_channel *comp_channel(struct ibv_context *ctx);

int conn_create_qp(struct conn *c, struct ibv_pd *pd,
		   struct ibv_comp_channel *comp, unsigned int max_send,
		   unsigned int max_recv);

/* Frees CQ and QP, and the id where @destroy_id says so. */
void conn_free(struct conn *c);

/* Arms the CQ of @c, so that rdma_wait() sees the next completion. */
void conn_arm(struct conn *c);

/* Receive buffers: @num of @size bytes, registered. */
void conn_rx_alloc(struct conn *c, struct ibv_pd *pd, unsigned int size,
		   unsigned int num);

/* Posts receive buffer @index (or an empty receive: WR_RX_EMPTY). */
int conn_post_recv(struct conn *c, enum wr_kind kind, uint32_t index);

/* Posts a chain, and counts it.  Every request in it must be signalled. */
int conn_post(struct conn *c, struct ibv_send_wr *wr);

/* An empty RDMA_WRITE_WITH_IMM: heartbeats and answers. */
int conn_post_imm(struct conn *c, uint32_t imm);

/* The immediate, in host order. */
uint32_t wc_imm(const struct ibv_wc *wc);

/* Was this a SEND_WITH_INV? */
bool wc_has_inv(const struct ibv_wc *wc);

/* A key as good as unused: unlike malloc, not a number to guess. */
void random_bytes(void *buf, unsigned int len);

#endif
