/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RTRS 2.0 and RNBD 2.x on the wire, for the userspace peers
 *
 * Written from the protocol's description and from recordings of a mainline
 * client and server, and on purpose without a look at the headers of the
 * drivers: the peers are the independent check on those.  So everything here
 * is plain bytes at explicit offsets, little endian spelled out, no structure
 * overlays and no compiler layout to trust.
 */
#ifndef PEER_WIRE_H
#define PEER_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* --- little endian ----------------------------------------------------- */

static inline void put16(uint8_t *p, uint16_t v)
{
	p[0] = v;
	p[1] = v >> 8;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v);
	put16(p + 2, v >> 16);
}

static inline void put64(uint8_t *p, uint64_t v)
{
	put32(p, v);
	put32(p + 4, v >> 32);
}

static inline uint16_t get16(const uint8_t *p)
{
	return p[0] | (uint16_t)(p[1] << 8);
}

static inline uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static inline uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static inline bool all_zero(const uint8_t *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

/* --- connection set-up ------------------------------------------------- */

#define WIRE_MAGIC		0x1bbd
#define WIRE_VERSION		0x0200	/* major << 8 | minor */
#define WIRE_UUID_LEN		16
#define WIRE_CONN_LEN		56	/* both CONN_REQ and CONN_RSP */
#define WIRE_REJECT_REASON	28	/* IB CM: consumer defined */
#define WIRE_DEFAULT_PORT	1234
#define WIRE_CM_RETRIES		7

#define WIRE_RSP_NEW_RKEY	(1u << 1)

#define WIRE_FEAT_RKEY_ROLL	(1u << 0)
#define WIRE_FEAT_USER_EVENT	(1u << 1)
#define WIRE_FEAT_QUEUE_DEPTH	(1u << 2)
#define WIRE_FEAT_BOOT_ID	(1u << 3)
#define WIRE_FEAT_ALL		0xfu

/* CONN_REQ.  The first two bytes are the CM's, and stay 0. */
struct conn_req {
	uint16_t magic;
	uint16_t version;
	uint16_t cid;
	uint16_t cid_num;
	uint16_t recon_cnt;
	uint8_t sess_uuid[WIRE_UUID_LEN];
	uint8_t paths_uuid[WIRE_UUID_LEN];
	uint8_t first_conn;		/* the whole byte: bits 1..7 must be 0 */
	uint32_t features;
	uint16_t wanted_depth;
};

static inline void conn_req_encode(uint8_t b[WIRE_CONN_LEN],
				   const struct conn_req *r)
{
	memset(b, 0, WIRE_CONN_LEN);
	put16(b + 2, r->magic);
	put16(b + 4, r->version);
	put16(b + 6, r->cid);
	put16(b + 8, r->cid_num);
	put16(b + 10, r->recon_cnt);
	memcpy(b + 12, r->sess_uuid, WIRE_UUID_LEN);
	memcpy(b + 28, r->paths_uuid, WIRE_UUID_LEN);
	b[44] = r->first_conn;
	put32(b + 48, r->features);
	put16(b + 52, r->wanted_depth);
}

static inline void conn_req_decode(struct conn_req *r, const uint8_t *b)
{
	r->magic = get16(b + 2);
	r->version = get16(b + 4);
	r->cid = get16(b + 6);
	r->cid_num = get16(b + 8);
	r->recon_cnt = get16(b + 10);
	memcpy(r->sess_uuid, b + 12, WIRE_UUID_LEN);
	memcpy(r->paths_uuid, b + 28, WIRE_UUID_LEN);
	r->first_conn = b[44];
	r->features = get32(b + 48);
	r->wanted_depth = get16(b + 52);
}

/* Bytes of CONN_REQ that no field owns, and that a sender zeroes. */
static inline bool conn_req_reserved_zero(const uint8_t *b)
{
	return all_zero(b, 2) && all_zero(b + 45, 3) && all_zero(b + 54, 2);
}

struct conn_rsp {
	uint16_t magic;
	uint16_t version;
	int16_t err;			/* 0, or a negative errno */
	uint16_t queue_depth;
	uint32_t max_io_size;
	uint32_t max_hdr_size;
	uint32_t flags;
	uint32_t features;
	uint8_t boot_id[WIRE_UUID_LEN];
};

static inline void conn_rsp_encode(uint8_t b[WIRE_CONN_LEN],
				   const struct conn_rsp *r)
{
	memset(b, 0, WIRE_CONN_LEN);
	put16(b, r->magic);
	put16(b + 2, r->version);
	put16(b + 4, (uint16_t)r->err);
	put16(b + 6, r->queue_depth);
	put32(b + 8, r->max_io_size);
	put32(b + 12, r->max_hdr_size);
	put32(b + 16, r->flags);
	put32(b + 20, r->features);
	memcpy(b + 24, r->boot_id, WIRE_UUID_LEN);
}

static inline void conn_rsp_decode(struct conn_rsp *r, const uint8_t *b)
{
	r->magic = get16(b);
	r->version = get16(b + 2);
	r->err = (int16_t)get16(b + 4);
	r->queue_depth = get16(b + 6);
	r->max_io_size = get32(b + 8);
	r->max_hdr_size = get32(b + 12);
	r->flags = get32(b + 16);
	r->features = get32(b + 20);
	memcpy(r->boot_id, b + 24, WIRE_UUID_LEN);
}

/* --- INFO exchange ----------------------------------------------------- */

enum rtrs_type {
	RTRS_INFO_REQ	= 0,
	RTRS_INFO_RSP	= 1,
	RTRS_WRITE	= 2,
	RTRS_READ	= 3,
	RTRS_RKEY_RSP	= 4,
};

#define WIRE_INFO_REQ_LEN	272
#define WIRE_INFO_NAME_OFF	2
#define WIRE_INFO_NAME_LEN	255
#define WIRE_INFO_RSP_LEN(n)	(8 + 16 * (n))
#define WIRE_RKEY_RSP_LEN	8
#define WIRE_DESC_LEN		16

struct desc {
	uint64_t addr;
	uint32_t key;
	uint32_t len;
};

static inline void desc_encode(uint8_t *b, const struct desc *d)
{
	put64(b, d->addr);
	put32(b + 8, d->key);
	put32(b + 12, d->len);
}

static inline void desc_decode(struct desc *d, const uint8_t *b)
{
	d->addr = get64(b);
	d->key = get32(b + 8);
	d->len = get32(b + 12);
}

static inline void info_req_encode(uint8_t b[WIRE_INFO_REQ_LEN],
				   const char *sessname)
{
	memset(b, 0, WIRE_INFO_REQ_LEN);
	put16(b, RTRS_INFO_REQ);
	strncpy((char *)b + WIRE_INFO_NAME_OFF, sessname,
		WIRE_INFO_NAME_LEN - 1);
}

/* --- the immediate ------------------------------------------------------ */

enum imm_type {
	IMM_IO_REQ		= 0,
	IMM_IO_RSP		= 1,
	IMM_IO_RSP_W_INV	= 2,
	IMM_IO_RSP_ROLL		= 3,
	IMM_HB_MSG		= 8,
	IMM_HB_ACK		= 9,
	IMM_USER_EVENT		= 10,
};

#define IMM_PAYLOAD_BITS	28
#define IMM_PAYLOAD_MASK	0x0fffffffu
#define IMM_CHUNK_MASK		0x7ffffu	/* of a response */
#define IMM_ERRNO_SHIFT		19
#define IMM_ERRNO_MAX		511

static inline uint32_t imm_make(unsigned int type, uint32_t payload)
{
	return (uint32_t)type << IMM_PAYLOAD_BITS | (payload & IMM_PAYLOAD_MASK);
}

static inline unsigned int imm_type(uint32_t imm)
{
	return imm >> IMM_PAYLOAD_BITS;
}

static inline unsigned int chunk_bits(unsigned int queue_depth)
{
	unsigned int bits = 0;

	for (queue_depth--; queue_depth; queue_depth >>= 1)
		bits++;
	return bits;
}

static inline uint32_t imm_io_req(unsigned int queue_depth, unsigned int chunk,
				  uint32_t off)
{
	unsigned int shift = IMM_PAYLOAD_BITS - chunk_bits(queue_depth);

	/* In 64 bits: with one chunk the shift is 28 of a number that is 0. */
	return imm_make(IMM_IO_REQ, (uint32_t)((uint64_t)chunk << shift) | off);
}

static inline unsigned int imm_req_chunk(unsigned int queue_depth, uint32_t imm)
{
	unsigned int shift = IMM_PAYLOAD_BITS - chunk_bits(queue_depth);

	return (imm & IMM_PAYLOAD_MASK) >> shift;
}

static inline uint32_t imm_req_off(unsigned int queue_depth, uint32_t imm)
{
	unsigned int shift = IMM_PAYLOAD_BITS - chunk_bits(queue_depth);

	return imm & ((1u << shift) - 1);
}

static inline uint32_t imm_io_rsp(unsigned int type, unsigned int chunk, int err)
{
	return imm_make(type, (uint32_t)(err < 0 ? -err : err) << IMM_ERRNO_SHIFT |
			chunk);
}

static inline unsigned int imm_rsp_chunk(uint32_t imm)
{
	return imm & IMM_CHUNK_MASK;
}

static inline int imm_rsp_errno(uint32_t imm)
{
	return (imm & IMM_PAYLOAD_MASK) >> IMM_ERRNO_SHIFT;
}

/* --- RTRS messages in a chunk ------------------------------------------- */

#define WIRE_RTRS_WRITE_LEN	4
#define WIRE_RTRS_READ_LEN(n)	(8 + 16 * (n))
#define WIRE_READ_NEED_INVAL	(1u << 0)

static inline void rtrs_write_encode(uint8_t *b, uint16_t usr_len)
{
	put16(b, RTRS_WRITE);
	put16(b + 2, usr_len);
}

/* @d is NULL for a read that fetches nothing. */
static inline void rtrs_read_encode(uint8_t *b, uint16_t usr_len,
				    uint16_t flags, const struct desc *d)
{
	put16(b, RTRS_READ);
	put16(b + 2, usr_len);
	put16(b + 4, flags);
	put16(b + 6, d ? 1 : 0);
	if (d)
		desc_encode(b + 8, d);
}

static inline void rkey_rsp_encode(uint8_t b[WIRE_RKEY_RSP_LEN],
				   uint16_t chunk, uint32_t rkey)
{
	put16(b, RTRS_RKEY_RSP);
	put16(b + 2, chunk);
	put32(b + 4, rkey);
}

/* --- RNBD ---------------------------------------------------------------- */

enum rnbd_type {
	RNBD_SESS_INFO		= 0,
	RNBD_SESS_INFO_RSP	= 1,
	RNBD_OPEN		= 2,
	RNBD_OPEN_RSP		= 3,
	RNBD_IO			= 4,
	RNBD_CLOSE		= 5,
};

#define RNBD_SESS_INFO_LEN	36
#define RNBD_OPEN_LEN		264
#define RNBD_OPEN_NAME_OFF	6
#define RNBD_OPEN_NAME_LEN	255
#define RNBD_OPEN_RSP_LEN	56
#define RNBD_IO_LEN		32
#define RNBD_IO_LEN_OLD		24	/* before there was a priority */
#define RNBD_CLOSE_LEN		8
#define RNBD_VER_MAJOR		2
#define RNBD_SECTOR		512u

enum rnbd_access { RNBD_RO, RNBD_RW, RNBD_MIGRATION };

enum rnbd_op {
	RNBD_OP_READ		= 0,
	RNBD_OP_WRITE		= 1,
	RNBD_OP_FLUSH		= 2,
	RNBD_OP_DISCARD		= 3,
	RNBD_OP_SECURE_ERASE	= 4,
	RNBD_OP_WRITE_ZEROES	= 5,
	RNBD_OP_COUNT
};

#define RNBD_OP_MASK		0xffu
#define RNBD_F_SYNC		(1u << 8)
#define RNBD_F_FUA		(1u << 9)
#define RNBD_F_PREFLUSH		(1u << 10)
#define RNBD_F_NOUNMAP		(1u << 11)

#define RNBD_CACHE_FUA		(1u << 0)
#define RNBD_CACHE_WRITEBACK	(1u << 1)

static inline void rnbd_sess_info_encode(uint8_t b[RNBD_SESS_INFO_LEN],
					 unsigned int type, uint8_t ver)
{
	memset(b, 0, RNBD_SESS_INFO_LEN);
	put16(b, type);
	b[4] = ver;
}

static inline void rnbd_open_encode(uint8_t b[RNBD_OPEN_LEN], uint8_t access,
				    const char *name)
{
	memset(b, 0, RNBD_OPEN_LEN);
	put16(b, RNBD_OPEN);
	b[4] = access;
	strncpy((char *)b + RNBD_OPEN_NAME_OFF, name, RNBD_OPEN_NAME_LEN - 1);
}

static inline void rnbd_close_encode(uint8_t b[RNBD_CLOSE_LEN], uint32_t id)
{
	memset(b, 0, RNBD_CLOSE_LEN);
	put16(b, RNBD_CLOSE);
	put32(b + 4, id);
}

struct rnbd_io {
	uint32_t device_id;
	uint64_t sector;
	uint32_t rw;
	uint32_t bi_size;
	uint16_t prio;
};

static inline void rnbd_io_encode(uint8_t b[RNBD_IO_LEN],
				  const struct rnbd_io *io)
{
	memset(b, 0, RNBD_IO_LEN);
	put16(b, RNBD_IO);
	put32(b + 4, io->device_id);
	put64(b + 8, io->sector);
	put32(b + 16, io->rw);
	put32(b + 20, io->bi_size);
	put16(b + 24, io->prio);
}

static inline void rnbd_io_decode(struct rnbd_io *io, const uint8_t *b,
				  unsigned int len)
{
	io->device_id = get32(b + 4);
	io->sector = get64(b + 8);
	io->rw = get32(b + 16);
	io->bi_size = get32(b + 20);
	io->prio = len >= RNBD_IO_LEN ? get16(b + 24) : 0;
}

struct rnbd_open_rsp {
	uint32_t device_id;
	uint64_t nsectors;
	uint32_t max_hw_sectors;
	uint32_t max_write_zeroes_sectors;
	uint32_t max_discard_sectors;
	uint32_t discard_granularity;
	uint32_t discard_alignment;
	uint16_t physical_block_size;
	uint16_t logical_block_size;
	uint16_t max_segments;
	uint16_t secure_discard;
	uint8_t obsolete;
	uint8_t cache_policy;
};

static inline void rnbd_open_rsp_encode(uint8_t b[RNBD_OPEN_RSP_LEN],
					const struct rnbd_open_rsp *r)
{
	memset(b, 0, RNBD_OPEN_RSP_LEN);
	put16(b, RNBD_OPEN_RSP);
	put32(b + 4, r->device_id);
	put64(b + 8, r->nsectors);
	put32(b + 16, r->max_hw_sectors);
	put32(b + 20, r->max_write_zeroes_sectors);
	put32(b + 24, r->max_discard_sectors);
	put32(b + 28, r->discard_granularity);
	put32(b + 32, r->discard_alignment);
	put16(b + 36, r->physical_block_size);
	put16(b + 38, r->logical_block_size);
	put16(b + 40, r->max_segments);
	put16(b + 42, r->secure_discard);
	b[44] = r->obsolete;
	b[45] = r->cache_policy;
}

static inline void rnbd_open_rsp_decode(struct rnbd_open_rsp *r,
					const uint8_t *b)
{
	r->device_id = get32(b + 4);
	r->nsectors = get64(b + 8);
	r->max_hw_sectors = get32(b + 16);
	r->max_write_zeroes_sectors = get32(b + 20);
	r->max_discard_sectors = get32(b + 24);
	r->discard_granularity = get32(b + 28);
	r->discard_alignment = get32(b + 32);
	r->physical_block_size = get16(b + 36);
	r->logical_block_size = get16(b + 38);
	r->max_segments = get16(b + 40);
	r->secure_discard = get16(b + 42);
	r->obsolete = b[44];
	r->cache_policy = b[45];
}

#endif
