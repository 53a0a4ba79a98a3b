// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Randomness that can be had again, and what is done to messages with it
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "rdma.h"
#include "report.h"
#include "wire.h"

/* --- the generator (splitmix64) ------------------------------------------------- */

uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

void rng_start(struct rng *r, uint64_t seed, unsigned int kind,
	       unsigned int conversation, unsigned int nr)
{
	r->state = seed;
	r->state = rng_next(r) + kind;
	r->state = rng_next(r) + conversation;
	r->state = rng_next(r) + nr;
}

unsigned int rng_below(struct rng *r, unsigned int n)
{
	return rng_next(r) % n;
}

bool rng_percent(struct rng *r, unsigned int percent)
{
	return rng_below(r, 100) < percent;
}

void rng_fill(struct rng *r, uint8_t *b, unsigned int len)
{
	while (len--)
		*b++ = rng_next(r);
}

uint64_t rng_extreme(struct rng *r)
{
	static const uint64_t numbers[] = {
		0, 1, 2, 7, 127, 128, 255, 256, 511, 512, 4095, 4096, 4097,
		32767, 32768, 65535, 65536, 0x7ffff, 0xfffffff, 0x10000000,
		INT32_MAX, 1ull << 31, UINT32_MAX, 1ull << 32, INT64_MAX,
		1ull << 63, UINT64_MAX,
	};

	return numbers[rng_below(r, ARRAY_SIZE(numbers))];
}

unsigned int rng_rate(struct rng *r)
{
	static const unsigned int rates[] = { 5, 10, 20, 40, 60, 80 };

	return rates[rng_below(r, ARRAY_SIZE(rates))];
}

/* --- messages ---------------------------------------------------------------------- */

static void flip_bits(struct rng *r, uint8_t *b, unsigned int len)
{
	unsigned int n = 1 + rng_below(r, 4);

	while (n--)
		b[rng_below(r, len)] ^= 1 << rng_below(r, 8);
}

/* All fields are aligned to their size in the message they are in. */
static void set_field(struct rng *r, uint8_t *b, unsigned int len)
{
	unsigned int size = 1u << rng_below(r, 4), at;
	uint8_t v[8];

	if (size > len)
		size = 1;
	at = rng_below(r, len / size) * size;
	put64(v, rng_extreme(r));
	memcpy(b + at, v, size);
}

static void fill_part(struct rng *r, uint8_t *b, unsigned int len)
{
	unsigned int at = rng_below(r, len), n = 1 + rng_below(r, len - at);

	if (rng_percent(r, 50))
		rng_fill(r, b + at, n);
	else
		memset(b + at, rng_percent(r, 50) ? 0 : 0xff, n);
}

static unsigned int change_length(struct rng *r, unsigned int len,
				  unsigned int room)
{
	unsigned int more;

	if (len && rng_percent(r, 60))
		return rng_below(r, len);
	more = 1 + rng_below(r, rng_percent(r, 70) ? 16 : 4096);
	return len + more < room ? len + more : room;
}

unsigned int fuzz_bytes(struct rng *r, uint8_t *b, unsigned int len,
			unsigned int room)
{
	unsigned int n = 1 + rng_below(r, 3);

	while (n-- && len) {
		switch (rng_below(r, 8)) {
		case 0:
		case 1:
		case 2:
			flip_bits(r, b, len);
			break;
		case 3:
		case 4:
		case 5:
			set_field(r, b, len);
			break;
		case 6:
			fill_part(r, b, len);
			break;
		default:
			len = change_length(r, len, room);
		}
	}
	return len;
}

uint64_t fuzz_seed(const char *arg)
{
	uint64_t seed;

	if (arg)
		return strtoull(arg, NULL, 0);
	random_bytes(&seed, sizeof(seed));
	/* short enough to be typed again */
	return seed & UINT32_MAX;
}
