// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages of any kind and content, whether they make sense or not
 */
#include <arpa/inet.h>
#include <string.h>

#include "raw.h"
#include "report.h"

uint8_t *raw_slot(struct raw *r, struct ibv_pd *pd)
{
	uint8_t *b;

	if (!r->mem)
		r->mem = xpages(RAW_SLOT * RAW_SLOTS);
	if (!r->mr || r->mr->pd != pd) {
		r->mr = ibv_reg_mr(pd, r->mem, RAW_SLOT * RAW_SLOTS,
				   IBV_ACCESS_LOCAL_WRITE);
		if (!r->mr)
			die("cannot register memory to send from");
	}
	b = r->mem + r->next++ % RAW_SLOTS * RAW_SLOT;
	return memset(b, 0, RAW_SLOT);
}

static void post(struct raw *r, struct conn *c, struct ibv_send_wr *wr,
		 const uint8_t *b, unsigned int len)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)b,
		.length = len,
		.lkey = b ? r->mr->lkey : 0,
	};

	wr->wr_id = wr_id(WR_TX, 0);
	wr->send_flags = IBV_SEND_SIGNALED;
	if (b) {
		wr->sg_list = &sge;
		wr->num_sge = 1;
	}
	conn_post(c, wr);
}

void raw_send(struct raw *r, struct conn *c, const uint8_t *b,
	      unsigned int len)
{
	struct ibv_send_wr wr = { .opcode = IBV_WR_SEND };

	post(r, c, &wr, b, len);
}

void raw_send_imm(struct raw *r, struct conn *c, uint32_t imm,
		  const uint8_t *b, unsigned int len)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_SEND_WITH_IMM,
		.imm_data = htonl(imm),
	};

	post(r, c, &wr, b, len);
}

void raw_write(struct raw *r, struct conn *c, uint64_t addr, uint32_t key,
	       const uint8_t *b, unsigned int len)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_RDMA_WRITE,
		.wr.rdma = { .remote_addr = addr, .rkey = key },
	};

	post(r, c, &wr, b, len);
}

void raw_write_imm(struct raw *r, struct conn *c, uint64_t addr, uint32_t key,
		   uint32_t imm, const uint8_t *b, unsigned int len)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
		.imm_data = htonl(imm),
		.wr.rdma = { .remote_addr = addr, .rkey = key },
	};

	post(r, c, &wr, b, len);
}

void raw_send_inv(struct raw *r, struct conn *c, uint32_t key)
{
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_SEND_WITH_INV,
		.invalidate_rkey = key,
	};

	post(r, c, &wr, NULL, 0);
}
