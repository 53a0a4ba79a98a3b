// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The verbs and the connection manager, as both peers use them
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "rdma.h"
#include "report.h"
#include "wire.h"

static void set_nonblock(int fd)
{
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		die("fcntl: %s", strerror(errno));
}

struct rdma_event_channel *cm_channel(void)
{
	struct rdma_event_channel *ch = rdma_create_event_channel();

	if (!ch)
		die("no RDMA event channel: %s", strerror(errno));
	set_nonblock(ch->fd);
	return ch;
}

struct ibv_comp_channel *comp_channel(struct ibv_context *ctx)
{
	struct ibv_comp_channel *ch = ibv_create_comp_channel(ctx);

	if (!ch)
		die("no completion channel: %s", strerror(errno));
	set_nonblock(ch->fd);
	return ch;
}

int cm_event_get(struct rdma_event_channel *ch, struct cm_event *ev)
{
	struct rdma_cm_event *raw;

	if (rdma_get_cm_event(ch, &raw))
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -errno;

	memset(ev, 0, sizeof(*ev));
	ev->type = raw->event;
	ev->status = raw->status;
	ev->id = raw->id;
	ev->param = raw->param.conn;
	if (raw->param.conn.private_data) {
		ev->data_len = raw->param.conn.private_data_len;
		memcpy(ev->data, raw->param.conn.private_data, ev->data_len);
	}
	ev->param.private_data = NULL;
	rdma_ack_cm_event(raw);
	return 0;
}

static void drain_comp_channel(struct ibv_comp_channel *comp)
{
	struct ibv_cq *cq;
	void *ctx;

	while (!ibv_get_cq_event(comp, &cq, &ctx))
		ibv_ack_cq_events(cq, 1);
}

void rdma_wait(struct rdma_event_channel *cm, struct ibv_comp_channel *comp,
	       uint64_t until)
{
	struct pollfd fds[2] = {
		{ .fd = cm->fd, .events = POLLIN },
		{ .fd = comp ? comp->fd : -1, .events = POLLIN },
	};
	uint64_t now = now_ms();
	int timeout = until <= now ? 0 : until - now > 100 ? 100 : until - now;

	if (poll(fds, 2, timeout) > 0 && fds[1].revents)
		drain_comp_channel(comp);
}

void conn_arm(struct conn *c)
{
	ibv_req_notify_cq(c->cq, 0);
}

int conn_create_qp(struct conn *c, struct ibv_pd *pd,
		   struct ibv_comp_channel *comp, unsigned int max_send,
		   unsigned int max_recv)
{
	struct ibv_qp_init_attr attr = {
		.qp_type = IBV_QPT_RC,
		.cap = {
			.max_send_wr = max_send,
			.max_recv_wr = max_recv,
			.max_send_sge = 4,
			.max_recv_sge = 1,
		},
	};

	c->cq = ibv_create_cq(c->id->verbs, max_send + max_recv, NULL, comp, 0);
	if (!c->cq)
		return -errno;
	attr.send_cq = c->cq;
	attr.recv_cq = c->cq;
	if (rdma_create_qp(c->id, pd, &attr))
		return -errno;
	conn_arm(c);
	return 0;
}

void conn_free(struct conn *c)
{
	if (c->id && c->id->qp)
		rdma_destroy_qp(c->id);
	if (c->cq)
		ibv_destroy_cq(c->cq);
	if (c->rx_mr) {
		ibv_dereg_mr(c->rx_mr);
		free(c->rx);
	}
	if (c->id)
		rdma_destroy_id(c->id);
	memset(c, 0, sizeof(*c));
}

void conn_rx_alloc(struct conn *c, struct ibv_pd *pd, unsigned int size,
		   unsigned int num)
{
	if (c->rx_mr) {
		ibv_dereg_mr(c->rx_mr);
		free(c->rx);
	}
	c->rx = xzalloc((size_t)size * num);
	c->rx_size = size;
	c->rx_mr = ibv_reg_mr(pd, c->rx, (size_t)size * num,
			      IBV_ACCESS_LOCAL_WRITE);
	if (!c->rx_mr)
		die("cannot register receive buffers: %s", strerror(errno));
}

int conn_post_recv(struct conn *c, enum wr_kind kind, uint32_t index)
{
	struct ibv_sge sge = { 0 };
	struct ibv_recv_wr wr = { .wr_id = wr_id(kind, index) }, *failed;

	if (kind != WR_RX_EMPTY) {
		sge.addr = (uintptr_t)c->rx + (size_t)index * c->rx_size;
		sge.length = c->rx_size;
		sge.lkey = c->rx_mr->lkey;
		wr.sg_list = &sge;
		wr.num_sge = 1;
	}
	return -ibv_post_recv(c->id->qp, &wr, &failed);
}

int conn_post(struct conn *c, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *failed;
	int ret = ibv_post_send(c->id->qp, wr, &failed);

	if (ret)
		return -ret;
	for (; wr; wr = wr->next)
		c->sends++;
	return 0;
}

int conn_post_imm(struct conn *c, uint32_t imm)
{
	struct ibv_send_wr wr = {
		.wr_id = wr_id(WR_TX, 0),
		.opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = htonl(imm),
	};

	return conn_post(c, &wr);
}

uint32_t wc_imm(const struct ibv_wc *wc)
{
	return ntohl(wc->imm_data);
}

/*
 * rxe hands the kernel's flag for "with invalidate" (bit 2) through to user
 * space unchanged, where bit 2 has another name and bit 3 is the right one.
 * Neither can be set on a plain receive of an RC queue pair otherwise.
 */
bool wc_has_inv(const struct ibv_wc *wc)
{
	return wc->opcode == IBV_WC_RECV &&
	       (wc->wc_flags & (IBV_WC_WITH_INV | IBV_WC_IP_CSUM_OK));
}

void random_bytes(void *buf, unsigned int len)
{
	if (getrandom(buf, len, 0) != (ssize_t)len)
		die("getrandom: %s", strerror(errno));
}
