/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RNBD 2.x on the wire: the "user messages" that an RNBD client and server
 * exchange through RTRS, and the only functions that encode and decode them.
 *
 * A client says its version once a session (SESS_INFO), opens each device by
 * name (OPEN), sends a 32-byte IO message in front of each request, and ends
 * with CLOSE. All integers are little endian. Reserved bytes are zero when we
 * send and never looked at when we receive: a mainline client leaves old memory
 * in them.
 *
 * Everything here is pure: no allocation, no locking, any context. A decoder
 * wants a copy of the message that the peer cannot change any more.
 * Section numbers are those of Documentation/protocol.rst.
 */
#ifndef RNBD_PROTO_H
#define RNBD_PROTO_H

#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/byteorder.h>

#define RNBD_PROTO_VER_MAJOR	2
#define RNBD_DEFAULT_PORT	1234
#define RNBD_NAME_LEN		255	/* with the NUL at its end */

/**
 * enum rnbd_msg_type - first field of every message (section 5)
 * @RNBD_MSG_SESS_INFO: client says its version
 * @RNBD_MSG_SESS_INFO_RSP: server says its version
 * @RNBD_MSG_OPEN: client opens a device
 * @RNBD_MSG_OPEN_RSP: the device's id, size and limits
 * @RNBD_MSG_IO: a block request
 * @RNBD_MSG_CLOSE: client closes a device
 */
enum rnbd_msg_type {
	RNBD_MSG_SESS_INFO	= 0,
	RNBD_MSG_SESS_INFO_RSP	= 1,
	RNBD_MSG_OPEN		= 2,
	RNBD_MSG_OPEN_RSP	= 3,
	RNBD_MSG_IO		= 4,
	RNBD_MSG_CLOSE		= 5,
};

/**
 * enum rnbd_access_mode - how a client opens a device (section 5)
 * @RNBD_ACCESS_RO: it only reads
 * @RNBD_ACCESS_RW: it reads and writes, and is the only one to write
 * @RNBD_ACCESS_MIGRATION: it writes, beside one more such client
 */
enum rnbd_access_mode {
	RNBD_ACCESS_RO		= 0,
	RNBD_ACCESS_RW		= 1,
	RNBD_ACCESS_MIGRATION	= 2,
};

/**
 * enum rnbd_io_op - bits 0-7 of an IO message's rw (section 5)
 * @RNBD_OP_READ: read
 * @RNBD_OP_WRITE: write
 * @RNBD_OP_FLUSH: write back the volatile cache
 * @RNBD_OP_DISCARD: sectors are not needed any more
 * @RNBD_OP_SECURE_ERASE: sectors shall be unreadable
 * @RNBD_OP_WRITE_ZEROES: sectors shall read as zeroes
 */
enum rnbd_io_op {
	RNBD_OP_READ		= 0,
	RNBD_OP_WRITE		= 1,
	RNBD_OP_FLUSH		= 2,
	RNBD_OP_DISCARD		= 3,
	RNBD_OP_SECURE_ERASE	= 4,
	RNBD_OP_WRITE_ZEROES	= 5,
};

#define RNBD_OP_MASK		GENMASK(7, 0)

/* Of a device_id, what a USER_EVENT carries (section 6). */
#define RNBD_EVENT_ID_MASK	GENMASK(27, 0)

/**
 * enum rnbd_io_flags - bits 8.. of an IO message's rw (section 5)
 * @RNBD_F_SYNC: somebody waits for it
 * @RNBD_F_FUA: on stable storage before it is answered
 * @RNBD_F_PREFLUSH: write back the volatile cache first (RNBD 2.1)
 * @RNBD_F_NOUNMAP: zeroes shall stay allocated (RNBD 2.2)
 */
enum rnbd_io_flags {
	RNBD_F_SYNC		= BIT(8),
	RNBD_F_FUA		= BIT(9),
	RNBD_F_PREFLUSH		= BIT(10),
	RNBD_F_NOUNMAP		= BIT(11),
};

/**
 * enum rnbd_cache_policy - the exported device's cache (section 5)
 * @RNBD_CACHE_FUA: it honours FUA; counts only with @RNBD_CACHE_WRITEBACK
 * @RNBD_CACHE_WRITEBACK: it has a volatile write cache
 */
enum rnbd_cache_policy {
	RNBD_CACHE_FUA		= BIT(0),
	RNBD_CACHE_WRITEBACK	= BIT(1),
};

/**
 * struct rnbd_msg_hdr - what every message starts with
 * @type: &enum rnbd_msg_type
 * @padding: 0
 */
struct rnbd_msg_hdr {
	__le16	type;
	__le16	padding;
};

static_assert(sizeof(struct rnbd_msg_hdr) == 4);

/**
 * struct rnbd_msg_sess_info - SESS_INFO and SESS_INFO_RSP
 * @hdr: type
 * @ver: major version; the smaller of both peers' is used
 * @reserved: 0
 */
struct rnbd_msg_sess_info {
	struct rnbd_msg_hdr	hdr;
	u8			ver;
	u8			reserved[31];
};

static_assert(sizeof(struct rnbd_msg_sess_info) == 36);

/**
 * struct rnbd_msg_open - OPEN
 * @hdr: type
 * @access_mode: &enum rnbd_access_mode
 * @reserved: 0
 * @dev_name: path below the server's dev_search_path, NUL terminated
 * @reserved2: 0
 */
struct rnbd_msg_open {
	struct rnbd_msg_hdr	hdr;
	u8			access_mode;
	u8			reserved;
	char			dev_name[RNBD_NAME_LEN];
	u8			reserved2[3];
};

static_assert(sizeof(struct rnbd_msg_open) == 264);
static_assert(offsetof(struct rnbd_msg_open, dev_name) == 6);

/**
 * struct rnbd_msg_open_rsp - OPEN_RSP
 * @hdr: type
 * @device_id: the server's number for the device in this session
 * @nsectors: size in 512-byte units
 * @max_hw_sectors: longest request, 512-byte units
 * @max_write_zeroes_sectors: longest WRITE_ZEROES, 0 for none
 * @max_discard_sectors: longest DISCARD and SECURE_ERASE, 0 for none
 * @discard_granularity: bytes
 * @discard_alignment: bytes
 * @physical_block_size: bytes
 * @logical_block_size: bytes
 * @max_segments: of a request
 * @secure_discard: not 0 if SECURE_ERASE is supported
 * @obsolete: 0
 * @cache_policy: &enum rnbd_cache_policy
 * @reserved: 0
 */
struct rnbd_msg_open_rsp {
	struct rnbd_msg_hdr	hdr;
	__le32			device_id;
	__le64			nsectors;
	__le32			max_hw_sectors;
	__le32			max_write_zeroes_sectors;
	__le32			max_discard_sectors;
	__le32			discard_granularity;
	__le32			discard_alignment;
	__le16			physical_block_size;
	__le16			logical_block_size;
	__le16			max_segments;
	__le16			secure_discard;
	u8			obsolete;
	u8			cache_policy;
	u8			reserved[10];
};

static_assert(sizeof(struct rnbd_msg_open_rsp) == 56);
static_assert(offsetof(struct rnbd_msg_open_rsp, discard_alignment) == 32);
static_assert(offsetof(struct rnbd_msg_open_rsp, cache_policy) == 45);

/**
 * struct rnbd_msg_io - IO
 * @hdr: type
 * @device_id: as OPEN_RSP said
 * @sector: first sector, 512-byte units
 * @rw: &enum rnbd_io_op and &enum rnbd_io_flags
 * @bi_size: bytes
 * @prio: I/O priority
 * @padding: 0
 */
struct rnbd_msg_io {
	struct rnbd_msg_hdr	hdr;
	__le32			device_id;
	__le64			sector;
	__le32			rw;
	__le32			bi_size;
	__le16			prio;
	u8			padding[6];
};

static_assert(sizeof(struct rnbd_msg_io) == 32);
static_assert(offsetof(struct rnbd_msg_io, prio) == 24);

/* Older clients end the message before its priority. */
#define RNBD_MSG_IO_MIN_LEN	offsetof(struct rnbd_msg_io, prio)

/**
 * struct rnbd_msg_close - CLOSE
 * @hdr: type
 * @device_id: as OPEN_RSP said
 */
struct rnbd_msg_close {
	struct rnbd_msg_hdr	hdr;
	__le32			device_id;
};

static_assert(sizeof(struct rnbd_msg_close) == 8);

/**
 * struct rnbd_io - what an IO message says, in CPU byte order
 * @device_id: as OPEN_RSP said
 * @sector: first sector, 512-byte units
 * @rw: &enum rnbd_io_op and &enum rnbd_io_flags
 * @bi_size: bytes
 * @prio: I/O priority
 */
struct rnbd_io {
	u32	device_id;
	u64	sector;
	u32	rw;
	u32	bi_size;
	u16	prio;
};

/**
 * struct rnbd_dev_limits - what an OPEN_RSP says, in CPU byte order
 * @device_id: the server's number for the device in this session
 * @nsectors: size in 512-byte units
 * @max_hw_sectors: longest request, 512-byte units
 * @max_write_zeroes_sectors: longest WRITE_ZEROES, 0 for none
 * @max_discard_sectors: longest DISCARD and SECURE_ERASE, 0 for none
 * @discard_granularity: bytes
 * @discard_alignment: bytes
 * @physical_block_size: bytes
 * @logical_block_size: bytes
 * @max_segments: of a request
 * @secure_discard: SECURE_ERASE is supported
 * @cache_policy: &enum rnbd_cache_policy
 */
struct rnbd_dev_limits {
	u32	device_id;
	u64	nsectors;
	u32	max_hw_sectors;
	u32	max_write_zeroes_sectors;
	u32	max_discard_sectors;
	u32	discard_granularity;
	u32	discard_alignment;
	u32	physical_block_size;
	u32	logical_block_size;
	u32	max_segments;
	bool	secure_discard;
	u8	cache_policy;
};

/**
 * rnbd_msg_type() - type of a message
 * @msg: the message
 * @len: its length
 *
 * Return: &enum rnbd_msg_type or what else the peer wrote, or -EINVAL if the
 * message has no type.
 */
static inline int rnbd_msg_type(const void *msg, size_t len)
{
	const struct rnbd_msg_hdr *hdr = msg;

	if (len < sizeof(*hdr))
		return -EINVAL;
	return le16_to_cpu(hdr->type);
}

/**
 * rnbd_sess_info_encode() - write a SESS_INFO or its answer
 * @msg: where to
 * @type: %RNBD_MSG_SESS_INFO or %RNBD_MSG_SESS_INFO_RSP
 * @ver: major version
 */
static inline void rnbd_sess_info_encode(struct rnbd_msg_sess_info *msg,
					 enum rnbd_msg_type type, u8 ver)
{
	*msg = (struct rnbd_msg_sess_info) {
		.hdr.type	= cpu_to_le16(type),
		.ver		= ver,
	};
}

/**
 * rnbd_sess_info_decode() - read a SESS_INFO or its answer
 * @msg: the message
 * @len: its length
 * @type: %RNBD_MSG_SESS_INFO or %RNBD_MSG_SESS_INFO_RSP
 *
 * Return: the peer's major version, or -EINVAL.
 */
static inline int rnbd_sess_info_decode(const void *msg, size_t len,
					enum rnbd_msg_type type)
{
	const struct rnbd_msg_sess_info *info = msg;

	if (len < sizeof(*info) || le16_to_cpu(info->hdr.type) != type)
		return -EINVAL;
	return info->ver;
}

/**
 * rnbd_open_encode() - write an OPEN
 * @msg: where to
 * @mode: how to open
 * @dev_name: path of the device, shorter than %RNBD_NAME_LEN
 */
static inline void rnbd_open_encode(struct rnbd_msg_open *msg,
				    enum rnbd_access_mode mode,
				    const char *dev_name)
{
	memset(msg, 0, sizeof(*msg));
	msg->hdr.type = cpu_to_le16(RNBD_MSG_OPEN);
	msg->access_mode = mode;
	memcpy(msg->dev_name, dev_name, strnlen(dev_name, RNBD_NAME_LEN - 1));
}

/**
 * rnbd_open_check() - check an OPEN
 * @msg: the message
 * @len: its length
 *
 * Return: 0 if its mode is known and its name ends inside its field, -EINVAL
 * otherwise.
 */
static inline int rnbd_open_check(const void *msg, size_t len)
{
	const struct rnbd_msg_open *open = msg;

	if (len < sizeof(*open) ||
	    le16_to_cpu(open->hdr.type) != RNBD_MSG_OPEN ||
	    open->access_mode > RNBD_ACCESS_MIGRATION)
		return -EINVAL;
	if (strnlen(open->dev_name, RNBD_NAME_LEN) == RNBD_NAME_LEN)
		return -EINVAL;
	return 0;
}

/**
 * rnbd_open_rsp_encode() - write an OPEN_RSP
 * @msg: where to
 * @lim: what it shall say
 *
 * A physical block size that does not fit its field is said as the largest that
 * does.
 */
static inline void rnbd_open_rsp_encode(struct rnbd_msg_open_rsp *msg,
					const struct rnbd_dev_limits *lim)
{
	u32 phys = lim->physical_block_size;

	*msg = (struct rnbd_msg_open_rsp) {
		.hdr.type		= cpu_to_le16(RNBD_MSG_OPEN_RSP),
		.device_id		= cpu_to_le32(lim->device_id),
		.nsectors		= cpu_to_le64(lim->nsectors),
		.max_hw_sectors		= cpu_to_le32(lim->max_hw_sectors),
		.max_write_zeroes_sectors =
			cpu_to_le32(lim->max_write_zeroes_sectors),
		.max_discard_sectors	= cpu_to_le32(lim->max_discard_sectors),
		.discard_granularity	= cpu_to_le32(lim->discard_granularity),
		.discard_alignment	= cpu_to_le32(lim->discard_alignment),
		.physical_block_size	= cpu_to_le16(phys > 32768 ? 32768 :
						      phys),
		.logical_block_size	= cpu_to_le16(lim->logical_block_size),
		.max_segments		= cpu_to_le16(lim->max_segments > 65535 ?
						      65535 :
						      lim->max_segments),
		.secure_discard		= cpu_to_le16(lim->secure_discard),
		.cache_policy		= lim->cache_policy,
	};
}

/**
 * rnbd_open_rsp_decode() - read an OPEN_RSP
 * @lim: filled on success
 * @msg: the message
 * @len: its length
 *
 * What the values mean for a block device is for the caller to check.
 *
 * Return: 0, or -EINVAL for what is no OPEN_RSP.
 */
static inline int rnbd_open_rsp_decode(struct rnbd_dev_limits *lim,
				       const void *msg, size_t len)
{
	const struct rnbd_msg_open_rsp *rsp = msg;

	if (len < sizeof(*rsp) ||
	    le16_to_cpu(rsp->hdr.type) != RNBD_MSG_OPEN_RSP)
		return -EINVAL;
	*lim = (struct rnbd_dev_limits) {
		.device_id		= le32_to_cpu(rsp->device_id),
		.nsectors		= le64_to_cpu(rsp->nsectors),
		.max_hw_sectors		= le32_to_cpu(rsp->max_hw_sectors),
		.max_write_zeroes_sectors =
			le32_to_cpu(rsp->max_write_zeroes_sectors),
		.max_discard_sectors	= le32_to_cpu(rsp->max_discard_sectors),
		.discard_granularity	= le32_to_cpu(rsp->discard_granularity),
		.discard_alignment	= le32_to_cpu(rsp->discard_alignment),
		.physical_block_size	= le16_to_cpu(rsp->physical_block_size),
		.logical_block_size	= le16_to_cpu(rsp->logical_block_size),
		.max_segments		= le16_to_cpu(rsp->max_segments),
		.secure_discard		= rsp->secure_discard != 0,
		.cache_policy		= rsp->cache_policy,
	};
	return 0;
}

/**
 * rnbd_io_encode() - write an IO message
 * @msg: where to
 * @io: what it shall say
 */
static inline void rnbd_io_encode(struct rnbd_msg_io *msg,
				  const struct rnbd_io *io)
{
	*msg = (struct rnbd_msg_io) {
		.hdr.type	= cpu_to_le16(RNBD_MSG_IO),
		.device_id	= cpu_to_le32(io->device_id),
		.sector		= cpu_to_le64(io->sector),
		.rw		= cpu_to_le32(io->rw),
		.bi_size	= cpu_to_le32(io->bi_size),
		.prio		= cpu_to_le16(io->prio),
	};
}

/**
 * rnbd_io_decode() - read an IO message
 * @io: filled on success; its prio is 0 where the message is of an older client
 * @msg: the message
 * @len: its length
 *
 * Return: 0, or -EINVAL.
 */
static inline int rnbd_io_decode(struct rnbd_io *io, const void *msg,
				 size_t len)
{
	const struct rnbd_msg_io *m = msg;

	if (len < RNBD_MSG_IO_MIN_LEN || le16_to_cpu(m->hdr.type) != RNBD_MSG_IO)
		return -EINVAL;
	*io = (struct rnbd_io) {
		.device_id	= le32_to_cpu(m->device_id),
		.sector		= le64_to_cpu(m->sector),
		.rw		= le32_to_cpu(m->rw),
		.bi_size	= le32_to_cpu(m->bi_size),
		.prio		= len >= sizeof(*m) ? le16_to_cpu(m->prio) : 0,
	};
	return 0;
}

/**
 * rnbd_close_encode() - write a CLOSE
 * @msg: where to
 * @device_id: as OPEN_RSP said
 */
static inline void rnbd_close_encode(struct rnbd_msg_close *msg, u32 device_id)
{
	*msg = (struct rnbd_msg_close) {
		.hdr.type	= cpu_to_le16(RNBD_MSG_CLOSE),
		.device_id	= cpu_to_le32(device_id),
	};
}

/**
 * rnbd_close_decode() - read a CLOSE
 * @device_id: filled on success
 * @msg: the message
 * @len: its length
 *
 * Return: 0, or -EINVAL.
 */
static inline int rnbd_close_decode(u32 *device_id, const void *msg, size_t len)
{
	const struct rnbd_msg_close *close = msg;

	if (len < sizeof(*close) ||
	    le16_to_cpu(close->hdr.type) != RNBD_MSG_CLOSE)
		return -EINVAL;
	*device_id = le32_to_cpu(close->device_id);
	return 0;
}

#endif /* RNBD_PROTO_H */
