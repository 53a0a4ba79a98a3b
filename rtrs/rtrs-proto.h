/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RTRS 2.0 on the wire: the messages two peers exchange, the 32-bit immediate
 * that announces each of them, and the only functions that encode and decode
 * either.
 *
 * In normal operation a client sets up each connection of a path with a
 * CONN_REQ/CONN_RSP pair that travels as private data of the connection
 * manager, exchanges INFO_REQ/INFO_RSP once a path, and from then on writes its
 * requests into the server's chunks with RDMA_WRITE_WITH_IMM. All integers are
 * little endian; the immediate is an exception, and travels as the verbs layer
 * carries it (big endian).
 *
 * Everything here is pure: no allocation, no locking, any context. A decoder
 * trusts nothing: it returns an error for what the protocol does not allow.
 * Section numbers are those of Documentation/protocol.rst.
 */
#ifndef RTRS_PROTO_H
#define RTRS_PROTO_H

#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/uuid.h>
#include <asm/byteorder.h>

#define RTRS_MAGIC		0x1BBD
#define RTRS_PROTO_VER_MAJOR	2
#define RTRS_PROTO_VER_MINOR	0
#define RTRS_PROTO_VER		(RTRS_PROTO_VER_MAJOR << 8 | RTRS_PROTO_VER_MINOR)

#define RTRS_MAX_CONS		4096	/* connections a path, cid 0 included */
#define RTRS_MAX_PATHS		128	/* paths a session */
#define RTRS_SESSNAME_LEN	255	/* with the NUL at its end */

#define RTRS_IMM_PAYLOAD_BITS	28
#define RTRS_IMM_PAYLOAD_MASK	GENMASK(RTRS_IMM_PAYLOAD_BITS - 1, 0)
#define RTRS_IMM_CHUNK_BITS	19	/* of an IO_RSP: the chunk number */
#define RTRS_IMM_MAX_ERRNO	511	/* what the other 9 bits can say */

/**
 * enum rtrs_imm_type - bits 28-31 of the immediate (section 3)
 * @RTRS_IMM_IO_REQ: client: a request was written into a chunk
 * @RTRS_IMM_IO_RSP: server: answer to a request
 * @RTRS_IMM_IO_RSP_W_INV: server: the same, and the client's own key has been
 *	invalidated by the SEND_WITH_INV before
 * @RTRS_IMM_IO_RSP_ROLL: server: IO_RSP, and the chunk's rkey has rolled by
 *	one; only where %RTRS_FEAT_RKEY_ROLL was negotiated
 * @RTRS_IMM_HB_MSG: both: heartbeat, on cid 0
 * @RTRS_IMM_HB_ACK: both: answer to a heartbeat, on cid 0
 * @RTRS_IMM_USER_EVENT: server: a word for the user of RTRS, on cid 0; only
 *	where %RTRS_FEAT_USER_EVENT was negotiated
 */
enum rtrs_imm_type {
	RTRS_IMM_IO_REQ		= 0,
	RTRS_IMM_IO_RSP		= 1,
	RTRS_IMM_IO_RSP_W_INV	= 2,
	RTRS_IMM_IO_RSP_ROLL	= 3,
	RTRS_IMM_HB_MSG		= 8,
	RTRS_IMM_HB_ACK		= 9,
	RTRS_IMM_USER_EVENT	= 10,
};

/**
 * enum rtrs_msg_type - first field of every message (sections 2.3 and 4)
 * @RTRS_MSG_INFO_REQ: client names its session
 * @RTRS_MSG_INFO_RSP: server describes its chunks
 * @RTRS_MSG_WRITE: request that carries data to the server, or none
 * @RTRS_MSG_READ: request for data
 * @RTRS_MSG_RKEY_RSP: answer that brings the chunk's next rkey
 */
enum rtrs_msg_type {
	RTRS_MSG_INFO_REQ	= 0,
	RTRS_MSG_INFO_RSP	= 1,
	RTRS_MSG_WRITE		= 2,
	RTRS_MSG_READ		= 3,
	RTRS_MSG_RKEY_RSP	= 4,
};

/**
 * enum rtrs_rsp_flags - flags of CONN_RSP (section 2.2)
 * @RTRS_RSP_NEW_RKEY: every response brings the chunk's new rkey
 */
enum rtrs_rsp_flags {
	RTRS_RSP_NEW_RKEY	= BIT(1),
};

/**
 * enum rtrs_read_flags - flags of a READ message (section 4.2)
 * @RTRS_READ_NEED_INVAL: the server shall invalidate the client's key
 */
enum rtrs_read_flags {
	RTRS_READ_NEED_INVAL	= BIT(0),
};

/**
 * enum rtrs_features - extensions, offered in CONN_REQ and accepted in
 * CONN_RSP (section 6)
 * @RTRS_FEAT_RKEY_ROLL: the server may answer with %RTRS_IMM_IO_RSP_ROLL
 * @RTRS_FEAT_USER_EVENT: the server may send %RTRS_IMM_USER_EVENT
 * @RTRS_FEAT_QUEUE_DEPTH: the client asks for a queue depth
 * @RTRS_FEAT_BOOT_ID: CONN_RSP carries the server's boot id
 */
enum rtrs_features {
	RTRS_FEAT_RKEY_ROLL	= BIT(0),
	RTRS_FEAT_USER_EVENT	= BIT(1),
	RTRS_FEAT_QUEUE_DEPTH	= BIT(2),
	RTRS_FEAT_BOOT_ID	= BIT(3),
};

/**
 * struct rtrs_msg_conn_req - private data of a connection request (section 2.1)
 * @cma_version: 0, belongs to the connection manager
 * @ip_version: 0, belongs to the connection manager
 * @magic: %RTRS_MAGIC
 * @version: %RTRS_PROTO_VER
 * @cid: number of this connection
 * @cid_num: connections in this path
 * @recon_cnt: attempts to set up this path, from 1; wraps
 * @sess_uuid: the path's uuid
 * @paths_uuid: the session's uuid
 * @first_conn: bit 0: the server may create the session
 * @reserved: 0
 * @features: offered extensions, &enum rtrs_features
 * @wanted_depth: with %RTRS_FEAT_QUEUE_DEPTH, else 0
 * @reserved2: 0
 */
struct rtrs_msg_conn_req {
	u8	cma_version;
	u8	ip_version;
	__le16	magic;
	__le16	version;
	__le16	cid;
	__le16	cid_num;
	__le16	recon_cnt;
	uuid_t	sess_uuid;
	uuid_t	paths_uuid;
	u8	first_conn;
	u8	reserved[3];
	__le32	features;
	__le16	wanted_depth;
	u8	reserved2[2];
};

static_assert(sizeof(struct rtrs_msg_conn_req) == 56);
static_assert(offsetof(struct rtrs_msg_conn_req, sess_uuid) == 12);
static_assert(offsetof(struct rtrs_msg_conn_req, first_conn) == 44);
static_assert(offsetof(struct rtrs_msg_conn_req, wanted_depth) == 52);

/**
 * struct rtrs_msg_conn_rsp - private data of an accept or a reject (section 2.2)
 * @magic: %RTRS_MAGIC
 * @version: %RTRS_PROTO_VER
 * @err: 0, or a negative errno as 16-bit two's complement
 * @queue_depth: chunks of the session
 * @max_io_size: bytes of data in a chunk
 * @max_hdr_size: bytes for messages in a chunk
 * @flags: &enum rtrs_rsp_flags
 * @features: accepted extensions, &enum rtrs_features
 * @boot_id: with %RTRS_FEAT_BOOT_ID the server's boot id, else 0
 * @reserved: 0
 */
struct rtrs_msg_conn_rsp {
	__le16	magic;
	__le16	version;
	__le16	err;
	__le16	queue_depth;
	__le32	max_io_size;
	__le32	max_hdr_size;
	__le32	flags;
	__le32	features;
	uuid_t	boot_id;
	u8	reserved[16];
};

static_assert(sizeof(struct rtrs_msg_conn_rsp) == 56);
static_assert(offsetof(struct rtrs_msg_conn_rsp, flags) == 16);
static_assert(offsetof(struct rtrs_msg_conn_rsp, boot_id) == 24);

/**
 * struct rtrs_msg_info_req - a path introduces itself, SEND on cid 0 (section 2.3)
 * @type: %RTRS_MSG_INFO_REQ
 * @sessname: name of the session, NUL terminated
 * @reserved: 0
 */
struct rtrs_msg_info_req {
	__le16	type;
	u8	sessname[RTRS_SESSNAME_LEN];
	u8	reserved[15];
};

static_assert(sizeof(struct rtrs_msg_info_req) == 272);

/**
 * struct rtrs_sg_desc - a piece of remotely accessible memory
 * @addr: where it starts
 * @key: its rkey
 * @len: bytes
 */
struct rtrs_sg_desc {
	__le64	addr;
	__le32	key;
	__le32	len;
};

static_assert(sizeof(struct rtrs_sg_desc) == 16);

/**
 * struct rtrs_msg_info_rsp - the server's chunks, SEND on cid 0 (section 2.3)
 * @type: %RTRS_MSG_INFO_RSP
 * @sg_cnt: number of descriptors
 * @reserved: 0
 * @desc: the chunks, laid end to end
 */
struct rtrs_msg_info_rsp {
	__le16			type;
	__le16			sg_cnt;
	u8			reserved[4];
	struct rtrs_sg_desc	desc[];
};

static_assert(sizeof(struct rtrs_msg_info_rsp) == 8);

/**
 * struct rtrs_msg_write - RTRS message of a write (section 4.1)
 * @type: %RTRS_MSG_WRITE
 * @usr_len: bytes of the user message before it
 */
struct rtrs_msg_write {
	__le16	type;
	__le16	usr_len;
};

static_assert(sizeof(struct rtrs_msg_write) == 4);

/**
 * struct rtrs_msg_read - RTRS message of a read (section 4.2)
 * @type: %RTRS_MSG_READ
 * @usr_len: bytes of the user message before it
 * @flags: &enum rtrs_read_flags
 * @sg_cnt: number of descriptors, 0 or 1
 * @desc: where the client wants the data
 */
struct rtrs_msg_read {
	__le16			type;
	__le16			usr_len;
	__le16			flags;
	__le16			sg_cnt;
	struct rtrs_sg_desc	desc[];
};

static_assert(sizeof(struct rtrs_msg_read) == 8);

/* The longest RTRS message that follows a user message. */
#define RTRS_MAX_REQ_LEN (sizeof(struct rtrs_msg_read) + \
			  sizeof(struct rtrs_sg_desc))

/**
 * struct rtrs_msg_rkey_rsp - answer with NEW_RKEY (section 4.5)
 * @type: %RTRS_MSG_RKEY_RSP
 * @chunk: chunk number, the same as in the immediate
 * @rkey: the chunk's rkey from now on
 */
struct rtrs_msg_rkey_rsp {
	__le16	type;
	__le16	chunk;
	__le32	rkey;
};

static_assert(sizeof(struct rtrs_msg_rkey_rsp) == 8);

/**
 * struct rtrs_conn_req - what a CONN_REQ says, in CPU byte order
 * @cid: number of this connection
 * @cid_num: connections in this path
 * @recon_cnt: attempts to set up this path, from 1; wraps
 * @sess_uuid: the path's uuid
 * @paths_uuid: the session's uuid
 * @first_conn: the server may create the session
 * @features: offered extensions
 * @wanted_depth: with %RTRS_FEAT_QUEUE_DEPTH, else 0
 */
struct rtrs_conn_req {
	u16	cid;
	u16	cid_num;
	u16	recon_cnt;
	uuid_t	sess_uuid;
	uuid_t	paths_uuid;
	bool	first_conn;
	u32	features;
	u16	wanted_depth;
};

/**
 * struct rtrs_conn_rsp - what a CONN_RSP says, in CPU byte order
 * @err: 0, or a negative errno
 * @queue_depth: chunks of the session
 * @max_io_size: bytes of data in a chunk
 * @max_hdr_size: bytes for messages in a chunk
 * @flags: &enum rtrs_rsp_flags
 * @features: accepted extensions
 * @boot_id: the server's boot id, with %RTRS_FEAT_BOOT_ID
 */
struct rtrs_conn_rsp {
	int	err;
	u16	queue_depth;
	u32	max_io_size;
	u32	max_hdr_size;
	u32	flags;
	u32	features;
	uuid_t	boot_id;
};

/**
 * struct rtrs_read_req - what a READ message says, in CPU byte order
 * @usr_len: bytes of the user message
 * @need_inval: the server shall invalidate @key
 * @sg_cnt: 0 or 1; with 0 the three fields below are 0
 * @addr: where the client wants the data
 * @key: rkey of that memory
 * @len: bytes of that memory
 */
struct rtrs_read_req {
	u16	usr_len;
	bool	need_inval;
	u16	sg_cnt;
	u64	addr;
	u32	key;
	u32	len;
};

static inline bool rtrs_proto_ver_ok(__le16 magic, __le16 version)
{
	return le16_to_cpu(magic) == RTRS_MAGIC &&
	       le16_to_cpu(version) >> 8 == RTRS_PROTO_VER_MAJOR;
}

/**
 * rtrs_conn_req_encode() - write a CONN_REQ (section 2.1)
 * @msg: where to
 * @req: what it shall say
 */
static inline void rtrs_conn_req_encode(struct rtrs_msg_conn_req *msg,
					const struct rtrs_conn_req *req)
{
	*msg = (struct rtrs_msg_conn_req) {
		.magic		= cpu_to_le16(RTRS_MAGIC),
		.version	= cpu_to_le16(RTRS_PROTO_VER),
		.cid		= cpu_to_le16(req->cid),
		.cid_num	= cpu_to_le16(req->cid_num),
		.recon_cnt	= cpu_to_le16(req->recon_cnt),
		.sess_uuid	= req->sess_uuid,
		.paths_uuid	= req->paths_uuid,
		.first_conn	= req->first_conn,
		.features	= cpu_to_le32(req->features),
		.wanted_depth	= cpu_to_le16(req->wanted_depth),
	};
}

/**
 * rtrs_conn_req_decode() - read and check a CONN_REQ (section 2.1)
 * @req: filled on success
 * @buf: private data as the connection manager delivered it
 * @len: bytes in @buf; it pads, so more than the message is legal
 *
 * Return: 0, or -ECONNRESET, the errno that the protocol refuses it with.
 */
static inline int rtrs_conn_req_decode(struct rtrs_conn_req *req,
				       const void *buf, size_t len)
{
	struct rtrs_msg_conn_req msg;

	if (!buf || len < sizeof(msg))
		return -ECONNRESET;
	memcpy(&msg, buf, sizeof(msg));
	if (!rtrs_proto_ver_ok(msg.magic, msg.version))
		return -ECONNRESET;

	req->cid = le16_to_cpu(msg.cid);
	req->cid_num = le16_to_cpu(msg.cid_num);
	req->recon_cnt = le16_to_cpu(msg.recon_cnt);
	req->sess_uuid = msg.sess_uuid;
	req->paths_uuid = msg.paths_uuid;
	req->first_conn = msg.first_conn & BIT(0);
	req->features = le32_to_cpu(msg.features);
	req->wanted_depth = le16_to_cpu(msg.wanted_depth);
	if (req->cid_num < 2 || req->cid_num > RTRS_MAX_CONS ||
	    req->cid >= req->cid_num)
		return -ECONNRESET;
	return 0;
}

/**
 * rtrs_errno_to_wire() - what of an errno can travel in an answer (section 3)
 * @err: 0 or a negative errno
 *
 * Return: its absolute value, EOPNOTSUPP for ENOTSUPP, EIO for what does not fit.
 */
static inline u32 rtrs_errno_to_wire(int err)
{
	if (err == -524)	/* ENOTSUPP, which is not in user space's errno.h */
		err = -EOPNOTSUPP;
	if (err > 0 || err < -RTRS_IMM_MAX_ERRNO)
		err = -EIO;
	return -err;
}

/**
 * rtrs_conn_rsp_encode() - write a CONN_RSP (section 2.2)
 * @msg: where to
 * @rsp: what it shall say
 */
static inline void rtrs_conn_rsp_encode(struct rtrs_msg_conn_rsp *msg,
					const struct rtrs_conn_rsp *rsp)
{
	*msg = (struct rtrs_msg_conn_rsp) {
		.magic		= cpu_to_le16(RTRS_MAGIC),
		.version	= cpu_to_le16(RTRS_PROTO_VER),
		.err		= cpu_to_le16(-rtrs_errno_to_wire(rsp->err)),
		.queue_depth	= cpu_to_le16(rsp->queue_depth),
		.max_io_size	= cpu_to_le32(rsp->max_io_size),
		.max_hdr_size	= cpu_to_le32(rsp->max_hdr_size),
		.flags		= cpu_to_le32(rsp->flags),
		.features	= cpu_to_le32(rsp->features),
		.boot_id	= rsp->boot_id,
	};
}

/**
 * rtrs_conn_rsp_decode() - read and check a CONN_RSP (section 2.2)
 * @rsp: filled on success
 * @buf: private data as the connection manager delivered it
 * @len: bytes in @buf
 *
 * That the sizes are ones the client can work with is for the client to say:
 * see rtrs_conn_rsp_check(). What cannot be the errno of an answer either (some
 * have a meaning of their own inside the kernel) is none.
 *
 * Return: 0, or -ECONNRESET for what is no CONN_RSP.
 */
static inline int rtrs_conn_rsp_decode(struct rtrs_conn_rsp *rsp,
				       const void *buf, size_t len)
{
	struct rtrs_msg_conn_rsp msg;

	if (!buf || len < sizeof(msg))
		return -ECONNRESET;
	memcpy(&msg, buf, sizeof(msg));
	if (!rtrs_proto_ver_ok(msg.magic, msg.version))
		return -ECONNRESET;

	rsp->err = (s16)le16_to_cpu(msg.err);
	if (rsp->err > 0 || rsp->err < -RTRS_IMM_MAX_ERRNO)
		return -ECONNRESET;
	rsp->queue_depth = le16_to_cpu(msg.queue_depth);
	rsp->max_io_size = le32_to_cpu(msg.max_io_size);
	rsp->max_hdr_size = le32_to_cpu(msg.max_hdr_size);
	rsp->flags = le32_to_cpu(msg.flags);
	rsp->features = le32_to_cpu(msg.features);
	rsp->boot_id = msg.boot_id;
	return 0;
}

/**
 * rtrs_chunk_bits() - bits that a chunk number takes in an IO_REQ (section 3)
 * @queue_depth: chunks of the session, not 0
 *
 * Return: the number of bits of the highest chunk number.
 */
static inline unsigned int rtrs_chunk_bits(u32 queue_depth)
{
	return fls(queue_depth - 1);
}

/**
 * rtrs_geometry_ok() - do chunk number and offset fit an immediate? (section 3)
 * @queue_depth: chunks of the session
 * @chunk_size: bytes a chunk
 *
 * Return: true if they do.
 */
static inline bool rtrs_geometry_ok(u32 queue_depth, u32 chunk_size)
{
	if (!queue_depth || queue_depth > U16_MAX || !chunk_size)
		return false;
	return rtrs_chunk_bits(queue_depth) + fls(chunk_size - 1) <=
	       RTRS_IMM_PAYLOAD_BITS;
}

/**
 * rtrs_conn_rsp_check() - can a client work with what an accept says?
 * @rsp: the decoded answer
 * @offered: extensions the client had offered
 * @wanted_depth: with %RTRS_FEAT_QUEUE_DEPTH in @offered, the depth it had asked for
 *
 * Return: 0, or -EPROTO for a server that contradicts itself, accepts what was not
 * offered, or gives more chunks than it has agreed to.
 */
static inline int rtrs_conn_rsp_check(const struct rtrs_conn_rsp *rsp,
				      u32 offered, u16 wanted_depth)
{
	u64 chunk_size = (u64)rsp->max_io_size + rsp->max_hdr_size;

	if (rsp->err || rsp->features & ~offered)
		return -EPROTO;
	if (rsp->flags & RTRS_RSP_NEW_RKEY &&
	    rsp->features & RTRS_FEAT_RKEY_ROLL)
		return -EPROTO;
	if (rsp->features & RTRS_FEAT_QUEUE_DEPTH &&
	    rsp->queue_depth > wanted_depth)
		return -EPROTO;
	if (rsp->max_io_size < SZ_4K || rsp->max_hdr_size < SZ_4K ||
	    chunk_size > BIT(RTRS_IMM_PAYLOAD_BITS))
		return -EPROTO;
	return rtrs_geometry_ok(rsp->queue_depth, chunk_size) ? 0 : -EPROTO;
}

/**
 * rtrs_sessname_ok() - may a session have this name? (section 2.3)
 * @name: the name
 * @size: bytes of the field that holds it
 *
 * Return: true for 1..254 bytes, NUL terminated, without '/' and '.'.
 */
static inline bool rtrs_sessname_ok(const char *name, size_t size)
{
	size_t len = strnlen(name, size);

	return len && len < size && len < RTRS_SESSNAME_LEN &&
	       !memchr(name, '/', len) && !memchr(name, '.', len);
}

/**
 * rtrs_info_req_encode() - write an INFO_REQ (section 2.3)
 * @msg: where to
 * @sessname: name of the session; rtrs_sessname_ok() holds
 */
static inline void rtrs_info_req_encode(struct rtrs_msg_info_req *msg,
					const char *sessname)
{
	memset(msg, 0, sizeof(*msg));
	msg->type = cpu_to_le16(RTRS_MSG_INFO_REQ);
	memcpy(msg->sessname, sessname,
	       strnlen(sessname, RTRS_SESSNAME_LEN - 1));
}

/**
 * rtrs_info_req_ok() - check an INFO_REQ (section 2.3)
 * @msg: the message, in memory the peer cannot write
 * @len: bytes received
 *
 * Return: true if the message is one and its name is legal.
 */
static inline bool rtrs_info_req_ok(const struct rtrs_msg_info_req *msg,
				    size_t len)
{
	return len >= sizeof(*msg) &&
	       le16_to_cpu(msg->type) == RTRS_MSG_INFO_REQ &&
	       rtrs_sessname_ok((const char *)msg->sessname,
				sizeof(msg->sessname));
}

/**
 * rtrs_info_rsp_size() - bytes of an INFO_RSP (section 2.3)
 * @sg_cnt: number of descriptors
 *
 * Return: its length.
 */
static inline size_t rtrs_info_rsp_size(u32 sg_cnt)
{
	return sizeof(struct rtrs_msg_info_rsp) +
	       sg_cnt * sizeof(struct rtrs_sg_desc);
}

/**
 * rtrs_info_rsp_init() - write the head of an INFO_RSP (section 2.3)
 * @msg: where to
 * @sg_cnt: number of descriptors that follow
 */
static inline void rtrs_info_rsp_init(struct rtrs_msg_info_rsp *msg, u16 sg_cnt)
{
	*msg = (struct rtrs_msg_info_rsp) {
		.type	= cpu_to_le16(RTRS_MSG_INFO_RSP),
		.sg_cnt	= cpu_to_le16(sg_cnt),
	};
}

/**
 * rtrs_sg_desc_encode() - write a descriptor
 * @desc: where to
 * @addr: where the memory starts
 * @key: its rkey
 * @len: bytes
 */
static inline void rtrs_sg_desc_encode(struct rtrs_sg_desc *desc, u64 addr,
				       u32 key, u32 len)
{
	*desc = (struct rtrs_sg_desc) {
		.addr	= cpu_to_le64(addr),
		.key	= cpu_to_le32(key),
		.len	= cpu_to_le32(len),
	};
}

/**
 * rtrs_info_rsp_check() - check an INFO_RSP and its sums (section 2.3)
 * @msg: the message
 * @len: bytes received
 * @rsp: what CONN_RSP of cid 0 said
 *
 * Return: the number of descriptors, or -EPROTO.
 */
static inline int rtrs_info_rsp_check(const struct rtrs_msg_info_rsp *msg,
				      size_t len,
				      const struct rtrs_conn_rsp *rsp)
{
	u64 chunk_size = (u64)rsp->max_io_size + rsp->max_hdr_size;
	bool one_each = rsp->flags & RTRS_RSP_NEW_RKEY ||
			rsp->features & RTRS_FEAT_RKEY_ROLL;
	u32 sg_cnt, chunks = 0, i;

	if (len < sizeof(*msg) || le16_to_cpu(msg->type) != RTRS_MSG_INFO_RSP)
		return -EPROTO;
	sg_cnt = le16_to_cpu(msg->sg_cnt);
	if (!sg_cnt || len < rtrs_info_rsp_size(sg_cnt) ||
	    rsp->queue_depth % sg_cnt ||
	    (one_each && sg_cnt != rsp->queue_depth))
		return -EPROTO;
	for (i = 0; i < sg_cnt; i++) {
		u32 bytes = le32_to_cpu(msg->desc[i].len);

		/* chunk_size fits 28 bits, so these are 32-bit divisions */
		if (!bytes || bytes % (u32)chunk_size)
			return -EPROTO;
		chunks += bytes / (u32)chunk_size;
		if (chunks > rsp->queue_depth)
			return -EPROTO;
	}
	return chunks == rsp->queue_depth ? (int)sg_cnt : -EPROTO;
}

/**
 * rtrs_msg_write_encode() - write the RTRS message of a write (section 4.1)
 * @buf: where to, need not be aligned
 * @usr_len: bytes of the user message before it
 *
 * Return: its length.
 */
static inline size_t rtrs_msg_write_encode(void *buf, u16 usr_len)
{
	struct rtrs_msg_write msg = {
		.type	 = cpu_to_le16(RTRS_MSG_WRITE),
		.usr_len = cpu_to_le16(usr_len),
	};

	memcpy(buf, &msg, sizeof(msg));
	return sizeof(msg);
}

/**
 * rtrs_msg_read_encode() - write the RTRS message of a read (section 4.2)
 * @buf: where to, need not be aligned
 * @req: what it shall say
 *
 * Return: its length.
 */
static inline size_t rtrs_msg_read_encode(void *buf,
					  const struct rtrs_read_req *req)
{
	struct rtrs_msg_read msg = {
		.type	 = cpu_to_le16(RTRS_MSG_READ),
		.usr_len = cpu_to_le16(req->usr_len),
		.flags	 = cpu_to_le16(req->need_inval ?
				       RTRS_READ_NEED_INVAL : 0),
		.sg_cnt	 = cpu_to_le16(req->sg_cnt),
	};
	struct rtrs_sg_desc desc;

	memcpy(buf, &msg, sizeof(msg));
	if (!req->sg_cnt)
		return sizeof(msg);
	rtrs_sg_desc_encode(&desc, req->addr, req->key, req->len);
	memcpy(buf + sizeof(msg), &desc, sizeof(desc));
	return sizeof(msg) + sizeof(desc);
}

/**
 * rtrs_msg_type() - type of an RTRS message
 * @buf: the message, need not be aligned
 *
 * Return: &enum rtrs_msg_type, or what else the peer wrote.
 */
static inline u16 rtrs_msg_type(const void *buf)
{
	__le16 type;

	memcpy(&type, buf, sizeof(type));
	return le16_to_cpu(type);
}

/**
 * rtrs_msg_write_decode() - read the RTRS message of a write (section 4.1)
 * @usr_len: filled on success
 * @buf: a copy of the message, which the peer cannot write
 * @len: bytes from its start to the end of the chunk
 *
 * Return: 0, or -EINVAL.
 */
static inline int rtrs_msg_write_decode(u16 *usr_len, const void *buf,
					size_t len)
{
	struct rtrs_msg_write msg;

	if (len < sizeof(msg))
		return -EINVAL;
	memcpy(&msg, buf, sizeof(msg));
	*usr_len = le16_to_cpu(msg.usr_len);
	return 0;
}

/**
 * rtrs_msg_read_decode() - read the RTRS message of a read (section 4.2)
 * @req: filled on success
 * @buf: a copy of the message, which the peer cannot write
 * @len: bytes from its start to the end of the chunk
 *
 * Return: 0, or -EINVAL.
 */
static inline int rtrs_msg_read_decode(struct rtrs_read_req *req,
				       const void *buf, size_t len)
{
	struct rtrs_msg_read msg;
	struct rtrs_sg_desc desc;

	if (len < sizeof(msg))
		return -EINVAL;
	memcpy(&msg, buf, sizeof(msg));
	*req = (struct rtrs_read_req) {
		.usr_len	= le16_to_cpu(msg.usr_len),
		.need_inval	= le16_to_cpu(msg.flags) & RTRS_READ_NEED_INVAL,
		.sg_cnt		= le16_to_cpu(msg.sg_cnt),
	};
	if (req->sg_cnt > 1 || (!req->sg_cnt && req->need_inval))
		return -EINVAL;
	if (!req->sg_cnt)
		return 0;
	if (len < sizeof(msg) + sizeof(desc))
		return -EINVAL;
	memcpy(&desc, buf + sizeof(msg), sizeof(desc));
	req->addr = le64_to_cpu(desc.addr);
	req->key = le32_to_cpu(desc.key);
	req->len = le32_to_cpu(desc.len);
	return 0;
}

/**
 * rtrs_rkey_rsp_encode() - write an RKEY_RSP (section 4.5)
 * @msg: where to
 * @chunk: chunk number
 * @rkey: the chunk's rkey from now on
 */
static inline void rtrs_rkey_rsp_encode(struct rtrs_msg_rkey_rsp *msg,
					u16 chunk, u32 rkey)
{
	*msg = (struct rtrs_msg_rkey_rsp) {
		.type	= cpu_to_le16(RTRS_MSG_RKEY_RSP),
		.chunk	= cpu_to_le16(chunk),
		.rkey	= cpu_to_le32(rkey),
	};
}

/**
 * rtrs_rkey_rsp_ok() - check an RKEY_RSP (section 4.5)
 * @msg: the message
 * @len: bytes received
 * @chunk: chunk number in the immediate that came with it
 *
 * Return: true if the message is one and names that chunk.
 */
static inline bool rtrs_rkey_rsp_ok(const struct rtrs_msg_rkey_rsp *msg,
				    size_t len, u32 chunk)
{
	return len >= sizeof(*msg) &&
	       le16_to_cpu(msg->type) == RTRS_MSG_RKEY_RSP &&
	       le16_to_cpu(msg->chunk) == chunk;
}

/**
 * rtrs_imm() - make an immediate (section 3)
 * @type: bits 28-31
 * @payload: bits 0-27
 *
 * Return: the immediate, as a work request takes it.
 */
static inline __be32 rtrs_imm(enum rtrs_imm_type type, u32 payload)
{
	return cpu_to_be32((u32)type << RTRS_IMM_PAYLOAD_BITS |
			   (payload & RTRS_IMM_PAYLOAD_MASK));
}

/**
 * rtrs_imm_type() - type of an immediate
 * @imm: as the work completion has it
 *
 * Return: &enum rtrs_imm_type, or what else the peer sent.
 */
static inline u32 rtrs_imm_type(__be32 imm)
{
	return be32_to_cpu(imm) >> RTRS_IMM_PAYLOAD_BITS;
}

/**
 * rtrs_imm_payload() - payload of an immediate
 * @imm: as the work completion has it
 *
 * Return: bits 0-27.
 */
static inline u32 rtrs_imm_payload(__be32 imm)
{
	return be32_to_cpu(imm) & RTRS_IMM_PAYLOAD_MASK;
}

/**
 * rtrs_imm_io_req() - immediate of a request
 * @chunk: chunk number
 * @off: offset of the RTRS message in the chunk, bytes
 * @chunk_bits: rtrs_chunk_bits() of the session
 *
 * Return: the immediate, as a work request takes it.
 */
static inline __be32 rtrs_imm_io_req(u32 chunk, u32 off,
				     unsigned int chunk_bits)
{
	return rtrs_imm(RTRS_IMM_IO_REQ,
			chunk << (RTRS_IMM_PAYLOAD_BITS - chunk_bits) | off);
}

/**
 * rtrs_io_req_chunk() - chunk number of a request
 * @payload: of its immediate
 * @chunk_bits: rtrs_chunk_bits() of the session
 *
 * Return: the chunk number, which may be one the session does not have.
 */
static inline u32 rtrs_io_req_chunk(u32 payload, unsigned int chunk_bits)
{
	return payload >> (RTRS_IMM_PAYLOAD_BITS - chunk_bits);
}

/**
 * rtrs_io_req_off() - offset of the RTRS message of a request
 * @payload: of its immediate
 * @chunk_bits: rtrs_chunk_bits() of the session
 *
 * Return: bytes, which may lie beyond the chunk.
 */
static inline u32 rtrs_io_req_off(u32 payload, unsigned int chunk_bits)
{
	return payload & (BIT(RTRS_IMM_PAYLOAD_BITS - chunk_bits) - 1);
}

/**
 * rtrs_imm_io_rsp() - immediate of an answer
 * @type: one of the IO_RSP types
 * @chunk: chunk number
 * @err: 0 or a negative errno
 *
 * Return: the immediate, as a work request takes it.
 */
static inline __be32 rtrs_imm_io_rsp(enum rtrs_imm_type type, u32 chunk,
				     int err)
{
	return rtrs_imm(type,
			rtrs_errno_to_wire(err) << RTRS_IMM_CHUNK_BITS | chunk);
}

/**
 * rtrs_io_rsp_chunk() - chunk number of an answer
 * @payload: of its immediate
 *
 * Return: the chunk number, which may be one the session does not have.
 */
static inline u32 rtrs_io_rsp_chunk(u32 payload)
{
	return payload & (BIT(RTRS_IMM_CHUNK_BITS) - 1);
}

/**
 * rtrs_io_rsp_err() - result of a request
 * @payload: of the answer's immediate
 *
 * Return: 0 or a negative errno, -511 at most.
 */
static inline int rtrs_io_rsp_err(u32 payload)
{
	return -(int)(payload >> RTRS_IMM_CHUNK_BITS);
}

#endif /* RTRS_PROTO_H */
