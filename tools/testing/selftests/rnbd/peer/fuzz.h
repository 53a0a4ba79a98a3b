/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Randomness that can be had again, and what is done to messages with it
 *
 * Every message has a generator of its own, made of the seed, the kind of message,
 * the conversation that it is part of and its number there.  So what is done to it
 * does not depend on what was answered before, nor on how far the conversations
 * before it came: the same seed makes the same messages.
 */
#ifndef PEER_FUZZ_H
#define PEER_FUZZ_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

void rng_start(struct rng *r, uint64_t seed, unsigned int kind,
	       unsigned int conversation, unsigned int nr);
uint64_t rng_next(struct rng *r);

/* 0 .. n - 1 */
unsigned int rng_below(struct rng *r, unsigned int n);
bool rng_percent(struct rng *r, unsigned int percent);
void rng_fill(struct rng *r, uint8_t *b, unsigned int len);

/* Numbers that programs get wrong. */
uint64_t rng_extreme(struct rng *r);

/*
 * How many of a conversation's messages are spoiled, in percent: often few, so
 * that it gets somewhere.
 */
unsigned int rng_rate(struct rng *r);

/*
 * Spoils a message once or a few times: bits, fields, parts, length.  Returns its
 * new length, which @room bounds; @b has zeroes behind the message.
 */
unsigned int fuzz_bytes(struct rng *r, uint8_t *b, unsigned int len,
			unsigned int room);

/* The seed of --seed, or a new one. */
uint64_t fuzz_seed(const char *arg);

#endif
