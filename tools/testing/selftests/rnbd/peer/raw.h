/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of any kind and content, whether they make sense or not
 *
 * What is sent lies in slots that are used in turn, so that none is used again
 * while it could still be read.  Nobody is told when a message cannot be posted:
 * a queue that is full or broken will have its connection end.
 */
#ifndef PEER_RAW_H
#define PEER_RAW_H

#include "rdma.h"

#define RAW_SLOT	16384u
#define RAW_SLOTS	64u

/* All zero before it is used. */
struct raw {
	uint8_t *mem;
	struct ibv_mr *mr;
	unsigned int next;
};

/* A slot, zeroed. */
uint8_t *raw_slot(struct raw *r, struct ibv_pd *pd);

/* @b is in a slot, or NULL for an empty message. */
void raw_send(struct raw *r, struct conn *c, const uint8_t *b,
	      unsigned int len);
void raw_send_imm(struct raw *r, struct conn *c, uint32_t imm,
		  const uint8_t *b, unsigned int len);
void raw_write(struct raw *r, struct conn *c, uint64_t addr, uint32_t key,
	       const uint8_t *b, unsigned int len);
void raw_write_imm(struct raw *r, struct conn *c, uint64_t addr, uint32_t key,
		   uint32_t imm, const uint8_t *b, unsigned int len);
void raw_send_inv(struct raw *r, struct conn *c, uint32_t key);

#endif
