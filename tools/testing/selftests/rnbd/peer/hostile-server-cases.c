// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a hostile server can do wrong, and what is to come of it
 *
 * Offsets are those of the protocol's description.  A case without a group's
 * macro says all of it itself.
 */
#include <errno.h>

#include "hostile-server.h"
#include "report.h"

/* Patches: bytes of a message, or its length. */
#define P(m, o, n, v)	{ M_##m, o, n, v }
#define L(m, n)		{ M_##m, 0, 0, n }

/* The log's line where a path ends for what was received. */
#define BROKE		"server broke the protocol: "

#define IMM(type, payload) \
	((uint32_t)(type) << IMM_PAYLOAD_BITS | (payload))

/* --- groups ----------------------------------------------------------------------- */

/* A message while the path is set up, and what map_device says then. */
#define SETUP(n, e, ...) \
	{ .name = n, .flags = EARLY, .map = e, .patch = { __VA_ARGS__ } }
#define REJECT(n, e, ...) \
	{ .name = "reject: " n, .flags = EARLY, .reject = 1, .map = e, \
	  .patch = { __VA_ARGS__ } }
#define ACCEPT(n, e, ...) SETUP("accept: " n, e, __VA_ARGS__)
#define INFO(n, e, ...) SETUP("INFO_RSP: " n, e, __VA_ARGS__)
#define INFO_KEYS(n, e, ...) \
	{ .name = "INFO_RSP: " n, .flags = EARLY | NEW_RKEY, .map = e, \
	  .patch = { __VA_ARGS__ } }
#define INFO_ACT(n, act, e) \
	{ .name = "INFO_RSP: " n, .flags = EARLY, .info = act, .map = e }
#define HANGUP(n, c) \
	{ .name = "disconnect: " n, .flags = EARLY, .hang_up = c, \
	  .map = ANY_ERROR }
#define ADMIN_HANGUP(n, k) \
	{ .name = "disconnect: " n, .flags = EARLY, .kinds = k, \
	  .answer = act_hang_up, .map = ANY_ERROR }
#define OPEN(n, e, ...) SETUP("OPEN_RSP: " n, e, __VA_ARGS__)
#define SESS_INFO(n, e, ...) SETUP("SESS_INFO_RSP: " n, e, __VA_ARGS__)

/* An answer to a read that ends the path. */
#define ENDS(n, act, a, text) \
	{ .name = "answer: " n, .kinds = K_IO, .answer = act, .arg = a, \
	  .outcome = PATH_ENDS, .log = text }
/* One for the server's own error: it ends the path for its part. */
#define REFUSED(n, act, a) ENDS(n, act, a, "path ")
#define RKEY_ENDS(n, act, a, text) \
	{ .name = "new rkey: " n, .flags = NEW_RKEY, .kinds = K_IO, \
	  .answer = act, .arg = a, .outcome = PATH_ENDS, .log = text }
#define ERRNO(n, e, got) \
	{ .name = "answer: " n, .kinds = K_IO, .answer = act_errno, .arg = e, \
	  .outcome = IO_FAILS, .err = got }
#define ADMIN_ERRNO(n, k, e, got) \
	{ .name = n, .flags = EARLY, .kinds = k, .answer = act_errno, .arg = e, \
	  .map = got }
#define UNASKED(n, act, i) \
	{ .name = "unasked: " n, .flags = NO_IO, .tick = act, .imm = i, \
	  .outcome = PATH_ENDS, .log = BROKE }
#define FLOOD(n, f, i) \
	{ .name = "flood: " n, .features = f, .tick = tick_flood, .imm = i, \
	  .run = run_wait }
#define EVENT(n, what, ...) \
	{ .name = "USER_EVENT: " n, .flags = NO_IO, .tick = tick_once, \
	  .features = WIRE_FEAT_USER_EVENT, .imm = IMM(IMM_USER_EVENT, 0), \
	  .outcome = what, .patch = { __VA_ARGS__ } }
/* The server is another one when the path comes back. */
#define CHANGED(n, what, text, ...) \
	{ .name = "reconnect: " n, .flags = NO_IO, .tick = tick_hang_up, \
	  .outcome = what, .log = text, .patch = { __VA_ARGS__ } }
#define SILENT(n, m, ...) \
	{ .name = "silence: " n, .flags = EARLY | SLOW, .map = m, __VA_ARGS__ }

const struct hcase hostile_cases[] = {
	/* --- rejects ---------------------------------------------------------- */

	{ .name = "reject: with every errno", .flags = EARLY | INSTEAD,
	  .reject = 1, .run = run_errnos },
	REJECT("with errno 511", 511, P(REJECT, 4, 2, -511)),
	REJECT("with errno 0", ECONNRESET, P(REJECT, 4, 2, 0)),
	REJECT("with a positive errno", ECONNRESET, P(REJECT, 4, 2, 5)),
	REJECT("with errno -512", ECONNRESET, P(REJECT, 4, 2, -512)),
	REJECT("with errno -32768", ECONNRESET, P(REJECT, 4, 2, 0x8000)),
	REJECT("without private data", ECONNRESET, L(REJECT, 0)),
	REJECT("with one byte", ECONNRESET, L(REJECT, 1)),
	REJECT("with 6 bytes, and all that counts", EBUSY, L(REJECT, 6)),
	REJECT("with 148 bytes", EBUSY, L(REJECT, 148)),
	REJECT("wrong magic", ECONNRESET, P(REJECT, 0, 2, 0xbd1b)),
	REJECT("version 1", ECONNRESET, P(REJECT, 2, 2, 0x0100)),
	REJECT("version 255", ECONNRESET, P(REJECT, 2, 2, 0xffff)),
	{ .name = "reject: of cid 1", .flags = EARLY, .reject = 2,
	  .map = EBUSY },
	{ .name = "reject: of the last cid", .flags = EARLY, .reject = LAST,
	  .map = EBUSY },

	/* --- accepts ---------------------------------------------------------- */

	ACCEPT("wrong magic", ECONNRESET, P(ACCEPT, 0, 2, 0)),
	ACCEPT("version 1", ECONNRESET, P(ACCEPT, 2, 2, 0x01ff)),
	ACCEPT("version 3", ECONNRESET, P(ACCEPT, 2, 2, 0x0300)),
	ACCEPT("version 2.255", 0, P(ACCEPT, 2, 2, 0x02ff)),
	ACCEPT("without private data", ECONNRESET, L(ACCEPT, 0)),
	ACCEPT("with 6 bytes", EPROTO, L(ACCEPT, 6)),
	ACCEPT("with 196 bytes", 0, L(ACCEPT, 196)),
	ACCEPT("with an errno", EPROTO, P(ACCEPT, 4, 2, -5)),
	ACCEPT("with a positive errno", ECONNRESET, P(ACCEPT, 4, 2, 5)),
	ACCEPT("with reserved bytes", 0, P(ACCEPT, 40, 8, -1ull),
	       P(ACCEPT, 48, 8, -1ull)),
	ACCEPT("queue depth 0", EPROTO, P(ACCEPT, 6, 2, 0)),
	ACCEPT("queue depth 1", EINVAL, P(ACCEPT, 6, 2, 1)),
	ACCEPT("queue depth 65535", EPROTO, P(ACCEPT, 6, 2, 65535)),
	ACCEPT("queue depth 32768 of the smallest", ANY_ERROR,
	       P(ACCEPT, 6, 2, 32768), P(ACCEPT, 8, 4, 4096)),
	ACCEPT("max_io_size 0", EPROTO, P(ACCEPT, 8, 4, 0)),
	ACCEPT("max_io_size 1", EPROTO, P(ACCEPT, 8, 4, 1)),
	ACCEPT("max_io_size 4095", EPROTO, P(ACCEPT, 8, 4, 4095)),
	ACCEPT("max_io_size 2^32 - 1", EPROTO, P(ACCEPT, 8, 4, 0xffffffff)),
	ACCEPT("sizes whose sum wraps", EPROTO, P(ACCEPT, 8, 4, 0xfffff000),
	       P(ACCEPT, 12, 4, HOSTILE_CHUNK + 4096)),
	ACCEPT("max_io_size of no whole blocks", 0, P(ACCEPT, 8, 4, 4097),
	       P(ACCEPT, 12, 4, HOSTILE_CHUNK - 4097)),
	ACCEPT("max_hdr_size 0", EPROTO, P(ACCEPT, 12, 4, 0)),
	ACCEPT("max_hdr_size 1", EPROTO, P(ACCEPT, 12, 4, 1)),
	ACCEPT("max_hdr_size 2^32 - 1", EPROTO, P(ACCEPT, 12, 4, 0xffffffff)),
	ACCEPT("chunks of 256 MiB", EPROTO, P(ACCEPT, 12, 4, 0xfffd000)),
	ACCEPT("flags that do not exist", 0, P(ACCEPT, 16, 4, 0xfffffffd)),
	ACCEPT("a feature that does not exist", EPROTO,
	       P(ACCEPT, 20, 4, 0x80000000)),
	ACCEPT("a feature that was not offered", EPROTO,
	       P(ACCEPT, 20, 4, WIRE_FEAT_QUEUE_DEPTH)),
	ACCEPT("all features", EPROTO, P(ACCEPT, 20, 4, 0xffffffff)),
	ACCEPT("keys that are new and roll", EPROTO,
	       P(ACCEPT, 16, 4, WIRE_RSP_NEW_RKEY),
	       P(ACCEPT, 20, 4, WIRE_FEAT_RKEY_ROLL)),
	ACCEPT("cid 1 has another depth", EPROTO, P(ACCEPT_MORE, 6, 2, 9)),
	ACCEPT("cid 1 has a depth of 0", EPROTO, P(ACCEPT_MORE, 6, 2, 0)),
	ACCEPT("cid 1 has other sizes", 0, P(ACCEPT_MORE, 8, 8, 0)),
	ACCEPT("cid 1 has other flags", 0, P(ACCEPT_MORE, 16, 8, -1ull)),
	ACCEPT("cid 1 has another magic", ECONNRESET,
	       P(ACCEPT_MORE, 0, 2, 0x1bbc)),
	ACCEPT("cid 1 says nothing", ECONNRESET, L(ACCEPT_MORE, 0)),
	ACCEPT("cid 1 has an errno", EITHER, P(ACCEPT_MORE, 4, 2, -5)),

	/* --- INFO_RSP --------------------------------------------------------- */

	INFO("wrong type", EPROTO, P(INFO, 0, 2, RTRS_INFO_REQ)),
	INFO("sg_cnt 0", EPROTO, P(INFO, 2, 2, 0)),
	INFO("sg_cnt 2, and one is there", EPROTO, P(INFO, 2, 2, 2)),
	INFO("sg_cnt 3 of 8 chunks", EPROTO, P(INFO, 2, 2, 3), L(INFO, 56)),
	INFO("sg_cnt 65535", EPROTO, P(INFO, 2, 2, 65535)),
	INFO("reserved bytes", 0, P(INFO, 4, 4, -1)),
	INFO_KEYS("one descriptor for all keys", EPROTO, P(INFO, 2, 2, 1),
		  P(INFO, 20, 4, HOSTILE_BYTES)),
	INFO_KEYS("16 descriptors for 8 chunks", EPROTO, P(INFO, 2, 2, 16)),
	INFO_KEYS("a length of 0", EPROTO, P(INFO, 20, 4, 0)),
	INFO_KEYS("one descriptor has it all", EPROTO,
		  P(INFO, 20, 4, HOSTILE_BYTES)),
	INFO("no whole chunk", EPROTO, P(INFO, 20, 4, HOSTILE_BYTES - 1)),
	INFO("a chunk too few", EPROTO,
	     P(INFO, 20, 4, HOSTILE_BYTES - HOSTILE_CHUNK)),
	INFO("a chunk too many", EPROTO,
	     P(INFO, 20, 4, HOSTILE_BYTES + HOSTILE_CHUNK)),
	INFO("a length of 4 GiB less a chunk", EPROTO,
	     P(INFO, 20, 4, -HOSTILE_CHUNK)),
	INFO("lengths that wrap", EPROTO, P(INFO, 2, 2, 2),
	     P(INFO, 20, 4, -HOSTILE_CHUNK),
	     P(INFO, 36, 4, HOSTILE_BYTES + HOSTILE_CHUNK), L(INFO, 40)),
	INFO("of 0 bytes", EPROTO, L(INFO, 0)),
	INFO("of 7 bytes", EPROTO, L(INFO, 7)),
	INFO("without its descriptor", EPROTO, L(INFO, 8)),
	INFO("a byte too short", EPROTO, L(INFO, 23)),
	INFO("longer than it has to be", 0, L(INFO, 8 + 16 * HOSTILE_DEPTH)),
	INFO("longer than there is room", ECONNRESET,
	     L(INFO, 8 + 16 * HOSTILE_DEPTH + 1)),
	INFO("addresses and keys that are none", ANY_ERROR,
	     P(INFO, 8, 8, -1ull), P(INFO, 16, 4, 0)),
	INFO("a key that is none", ANY_ERROR, P(INFO, 16, 4, -1)),
	INFO_ACT("in two pieces", info_split, 0),
	INFO_ACT("twice", info_twice, EITHER),
	INFO_ACT("on cid 1, too", info_on_cid1, EITHER),
	INFO_ACT("with an immediate", info_with_imm, EITHER),
	INFO_ACT("an immediate in its place", info_as_imm, ECONNRESET),
	INFO_ACT("a heartbeat before it", info_after_hb, ECONNRESET),
	INFO_ACT("answers before it", info_overrun, EITHER),

	/* --- disconnects ------------------------------------------------------- */

	HANGUP("after the first accept", 1),
	HANGUP("after the second accept", 2),
	HANGUP("after the last accept", LAST),
	{ .name = "disconnect: in place of INFO_RSP", .flags = EARLY,
	  .info = info_hang_up, .map = ECONNRESET },
	{ .name = "disconnect: after INFO_RSP", .flags = EARLY,
	  .tick = tick_hang_up, .map = EITHER },
	ADMIN_HANGUP("in place of SESS_INFO_RSP", K_SESS_INFO),
	ADMIN_HANGUP("in place of OPEN_RSP", K_OPEN),
	{ .name = "disconnect: at the first read", .flags = EARLY,
	  .kinds = K_IO, .answer = act_hang_up, .map = EITHER },
	{ .name = "disconnect: in place of an answer", .kinds = K_IO,
	  .answer = act_hang_up, .outcome = PATH_ENDS, .log = "connection: disc" },
	{ .name = "disconnect: in place of a write's answer", .flags = WRITES,
	  .kinds = K_IO, .answer = act_hang_up, .outcome = PATH_ENDS },
	{ .name = "disconnect: in place of the answer to CLOSE",
	  .kinds = K_CLOSE, .answer = act_hang_up },
	{ .name = "disconnect: when nothing is under way", .flags = NO_IO,
	  .tick = tick_hang_up, .outcome = PATH_ENDS },
	{ .name = "disconnect: of cid 0 alone", .flags = NO_IO, .arg = 0,
	  .tick = tick_hang_up_one, .outcome = PATH_ENDS },
	{ .name = "disconnect: of cid 1 alone", .flags = NO_IO, .arg = 1,
	  .tick = tick_hang_up_one, .outcome = PATH_ENDS },

	/* --- answers ----------------------------------------------------------- */

	ENDS("for the next chunk", act_next_chunk, 0, BROKE "answer for no"),
	ENDS("for chunk 8 of 8", act_chunk, 8, BROKE "answer for a chunk"),
	ENDS("for chunk 524287", act_chunk, IMM_CHUNK_MASK, BROKE),
	ENDS("all bits of it set", act_chunk, IMM_PAYLOAD_MASK, BROKE),
	ENDS("twice", act_twice, 0, BROKE "answer for no request"),
	ENDS("on cid 0", act_cid, 0, BROKE),
	ENDS("on another connection", act_cid, 1, BROKE),
	ENDS("an IO_REQ", act_imm, IMM_IO_REQ, BROKE "unexpected imm"),
	ENDS("immediate of type 4", act_imm, 4, BROKE "unexpected imm"),
	ENDS("immediate of type 7", act_imm, 7, BROKE "unexpected imm"),
	ENDS("immediate of type 11", act_imm, 11, BROKE "unexpected imm"),
	ENDS("immediate of type 15", act_imm, 15, BROKE "unexpected imm"),
	ENDS("a heartbeat on cid 1", act_imm, IMM_HB_MSG, BROKE),
	ENDS("HB_ACK on cid 1", act_imm, IMM_HB_ACK, BROKE),
	ENDS("USER_EVENT on cid 1", act_imm, IMM_USER_EVENT, BROKE),
	ENDS("a key rolls that does not", act_imm, IMM_IO_RSP_ROLL, BROKE),
	ENDS("W_INV, and nothing was invalidated", act_w_inv, 0, BROKE),
	ENDS("W_INV that was not asked for", act_w_inv, 1, BROKE),
	ENDS("an invalidation that was not asked for", act_inv_plain, 0, BROKE),
	REFUSED("invalidates a key that is none", act_inv_foreign, 0x5a5a00),
	REFUSED("invalidates an old key", act_inv_foreign, 1),
	{ .name = "answer: invalidates another request's key",
	  .flags = ALWAYS, .kinds = K_IO, .answer = act_inv_other,
	  .run = run_pair, .outcome = PATH_ENDS, .log = "path " },
	ENDS("an empty message", act_send, 0, BROKE "unexpected message"),
	REFUSED("a message", act_send, 8),
	REFUSED("a message of 4 KiB", act_send, 4096),
	ENDS("a message with an immediate", act_send_imm, 0, BROKE),
	REFUSED("a longer message with an immediate", act_send_imm, 8),
	{ .name = "answer: no data", .flags = ANY_DATA, .kinds = K_IO,
	  .answer = act_no_data },
	{ .name = "answer: one byte of data", .flags = ANY_DATA, .kinds = K_IO,
	  .answer = act_data_len, .arg = 1 },
	{ .name = "answer: 0 bytes of data", .flags = ANY_DATA, .kinds = K_IO,
	  .answer = act_data_len, .arg = 0 },
	REFUSED("a byte too much data", act_data_len, MAPPING_BLOCK + 1),
	REFUSED("twice the data", act_data_len, 2 * MAPPING_BLOCK),
	REFUSED("data before the memory", act_data_off, -64ull),
	REFUSED("data behind the memory", act_data_off, 1),
	REFUSED("data at the end of all memory", act_data_off, 1ull << 63),
	REFUSED("data with the next key", act_data_key, 1),
	REFUSED("data with the next region's key", act_data_key, 0x100),
	{ .name = "answer: data for a write", .flags = WRITES, .kinds = K_IO,
	  .answer = act_data_key, .arg = 0x777, .outcome = PATH_ENDS },
	{ .name = "answer: data comes with it", .kinds = K_IO,
	  .answer = act_data_in_answer },
	{ .name = "answer: data comes long after it", .kinds = K_IO,
	  .answer = act_late_data, .tick = tick_late_data,
	  .run = run_late_data, .outcome = PATH_ENDS },
	{ .name = "answer: small data", .kinds = K_IO, .answer = act_data_in_answer,
	  .run = run_small },
	{ .name = "answer: a byte too much small data", .flags = ANY_DATA,
	  .kinds = K_IO, .answer = act_data_len, .arg = MAPPING_SMALL + 1,
	  .run = run_small },
	{ .name = "answer: small data comes long after it", .kinds = K_IO,
	  .answer = act_late_data, .tick = tick_late_data,
	  .run = run_small_late_data },
	{ .name = "answer: small data at the end of all memory", .kinds = K_IO,
	  .answer = act_data_off, .arg = 1ull << 63, .run = run_small,
	  .outcome = PATH_ENDS, .log = "path " },
	{ .name = "answer: data over another request's", .flags = ALWAYS,
	  .kinds = K_IO, .answer = act_neighbour, .tick = tick_kept,
	  .run = run_pair },
	{ .name = "answer: data over another session's", .flags = ALWAYS,
	  .kinds = K_IO, .answer = act_stranger, .tick = tick_kept, .arg = 1,
	  .run = run_stranger },
	{ .name = "answer: never, and a forced unmap", .flags = FORCE,
	  .kinds = K_IO, .answer = act_keep, .run = run_forced },
	ERRNO("EIO", EIO, EIO),
	ERRNO("errno 511", IMM_ERRNO_MAX, EIO),
	ERRNO("errno 300", 300, EIO),
	ERRNO("ENOMEM", ENOMEM, EIO),
	ERRNO("EAGAIN", EAGAIN, EIO),
	ERRNO("EBUSY", EBUSY, EIO),
	ERRNO("EREMCHG", EREMCHG, EIO),
	ERRNO("ECONNABORTED", ECONNABORTED, EIO),
	ERRNO("ENOSPC", ENOSPC, ENOSPC),
	ERRNO("EOPNOTSUPP", EOPNOTSUPP, EOPNOTSUPP),
	{ .name = "answer: ENOTCONN", .kinds = K_IO, .answer = act_errno,
	  .arg = ENOTCONN, .run = run_until_it_ends, .outcome = CLOSED,
	  .log = "closed by the server" },

	/* --- with NEW_RKEY ------------------------------------------------------ */

	RKEY_ENDS("for another chunk", act_rkey_chunk, 0, BROKE),
	RKEY_ENDS("no message", act_rkey_len, 0, BROKE),
	RKEY_ENDS("half a message", act_rkey_len, 4, BROKE),
	RKEY_ENDS("a message too long", act_rkey_len, 9, "path "),
	RKEY_ENDS("message of another type", act_rkey_type, RTRS_INFO_RSP,
		  BROKE),
	RKEY_ENDS("no immediate", act_rkey_no_imm, 0, BROKE),
	RKEY_ENDS("nothing but an immediate", act_rkey_imm, 0, BROKE),
	RKEY_ENDS("chunk 8 of 8", act_chunk, 8, BROKE),
	RKEY_ENDS("the next chunk", act_next_chunk, 0, BROKE),
	RKEY_ENDS("twice", act_twice, 0, BROKE),
	RKEY_ENDS("another connection", act_cid, 0, BROKE),
	RKEY_ENDS("W_INV", act_w_inv, 1, BROKE),
	RKEY_ENDS("heartbeat as an answer", act_imm, IMM_HB_MSG, BROKE),
	RKEY_ENDS("roll as an answer", act_imm, IMM_IO_RSP_ROLL, BROKE),
	{ .name = "new rkey: 0", .flags = NEW_RKEY, .kinds = K_IO,
	  .answer = act_rkey, .arg = 0, .run = run_until_it_ends,
	  .outcome = PATH_ENDS },
	{ .name = "new rkey: 2^32 - 1", .flags = NEW_RKEY, .kinds = K_IO,
	  .answer = act_rkey, .arg = -1u, .run = run_until_it_ends,
	  .outcome = PATH_ENDS },
	{ .name = "rolling keys: one that does not", .flags = NEW_RKEY | EARLY |
	  ALWAYS, .features = WIRE_FEAT_RKEY_ROLL,
	  .patch = { P(ACCEPT, 16, 4, 0) },
	  .kinds = K_SESS_INFO | K_OPEN | K_CLOSE | K_IO, .answer = act_roll,
	  .run = run_until_it_ends, .outcome = PATH_ENDS },

	/* --- unasked ------------------------------------------------------------ */

	UNASKED("USER_EVENT that was not agreed on", tick_once,
		IMM(IMM_USER_EVENT, 0)),
	UNASKED("an answer on cid 0", tick_once, IMM(IMM_IO_RSP, 0)),
	UNASKED("an answer on cid 1", tick_once_cid1, IMM(IMM_IO_RSP, 0)),
	UNASKED("a heartbeat on cid 1", tick_once_cid1, IMM(IMM_HB_MSG, 0)),
	UNASKED("an immediate of type 12", tick_once, IMM(12, 0)),
	{ .name = "unasked: a heartbeat with data", .kinds = K_IO,
	  .answer = act_with_data, .tick = tick_with_data,
	  .imm = IMM(IMM_HB_MSG, 0) },
	{ .name = "unasked: INFO_RSP", .flags = NO_IO, .tick = tick_info,
	  .outcome = PATH_ENDS },
	FLOOD("heartbeats", 0, IMM(IMM_HB_MSG, 0)),
	FLOOD("heartbeats with a payload", 0, IMM(IMM_HB_MSG, 0xfffffff)),
	FLOOD("HB_ACK of nothing", 0, IMM(IMM_HB_ACK, 0)),
	FLOOD("USER_EVENT for our disk", WIRE_FEAT_USER_EVENT,
	      IMM(IMM_USER_EVENT, 0)),
	FLOOD("USER_EVENT for no disk", WIRE_FEAT_USER_EVENT,
	      IMM(IMM_USER_EVENT, 0xfffffff)),
	{ .name = "silence: a request is under way", .tick = tick_silent,
	  .run = run_silence, .outcome = PATH_ENDS, .log = "heartbeat: no" },
	{ .name = "silence: nothing is under way", .flags = NO_IO,
	  .tick = tick_silent, .run = run_silence, .outcome = PATH_ENDS,
	  .log = "heartbeat: no answer" },

	/* --- SESS_INFO_RSP ------------------------------------------------------- */

	SESS_INFO("version 0", 0, P(SESS_INFO, 4, 1, 0)),
	SESS_INFO("version 255", 0, P(SESS_INFO, 4, 1, 255)),
	SESS_INFO("wrong type", EINVAL, P(SESS_INFO, 0, 2, RNBD_OPEN_RSP)),
	SESS_INFO("no data", EINVAL, L(SESS_INFO, 0)),
	SESS_INFO("one byte", EITHER, L(SESS_INFO, 1)),
	SESS_INFO("reserved bytes", 0, P(SESS_INFO, 2, 2, -1),
		  P(SESS_INFO, 5, 8, -1ull)),
	ADMIN_ERRNO("SESS_INFO: EPERM", K_SESS_INFO, EPERM, EPERM),
	ADMIN_ERRNO("SESS_INFO: errno 511", K_SESS_INFO, 511, 511),
	/* the second answer may be taken for one to OPEN */
	{ .name = "SESS_INFO: answered twice", .flags = EARLY,
	  .kinds = K_SESS_INFO, .answer = act_twice, .map = EITHER },
	{ .name = "SESS_INFO: answered on cid 1", .flags = EARLY,
	  .kinds = K_SESS_INFO, .answer = act_cid, .arg = 1,
	  .map = ANY_ERROR, .log = BROKE },

	/* --- OPEN_RSP ------------------------------------------------------------ */

	OPEN("wrong type", EINVAL, P(OPEN, 0, 2, RNBD_SESS_INFO_RSP)),
	OPEN("no data", EINVAL, L(OPEN, 0)),
	OPEN("short", EINVAL, L(OPEN, 36)),
	OPEN("padding and reserved bytes", 0, P(OPEN, 2, 2, -1),
	     P(OPEN, 46, 8, -1ull)),
	OPEN("obsolete field", 0, P(OPEN, 44, 1, -1)),
	OPEN("logical_block_size 0", EINVAL, P(OPEN, 38, 2, 0)),
	OPEN("logical_block_size 1", EINVAL, P(OPEN, 38, 2, 1)),
	OPEN("logical_block_size 256", EINVAL, P(OPEN, 38, 2, 256)),
	OPEN("logical_block_size 511", EINVAL, P(OPEN, 38, 2, 511)),
	OPEN("logical_block_size 513", EINVAL, P(OPEN, 38, 2, 513)),
	OPEN("logical_block_size 8192", EINVAL, P(OPEN, 38, 2, 8192)),
	OPEN("logical_block_size 49152", EINVAL, P(OPEN, 38, 2, 49152)),
	OPEN("logical_block_size 65535", EINVAL, P(OPEN, 38, 2, 65535)),
	OPEN("logical_block_size 4096", 0, P(OPEN, 38, 2, 4096)),
	OPEN("physical_block_size 0", 0, P(OPEN, 36, 2, 0)),
	OPEN("physical_block_size below the logical one", 0,
	     P(OPEN, 36, 2, 512), P(OPEN, 38, 2, 4096)),
	OPEN("physical_block_size 4097", 0, P(OPEN, 36, 2, 4097)),
	OPEN("physical_block_size 32768", 0, P(OPEN, 36, 2, 32768)),
	OPEN("physical_block_size 65535", 0, P(OPEN, 36, 2, 65535)),
	{ .name = "OPEN_RSP: nsectors 0", .flags = EARLY | NO_IO,
	  .patch = { P(OPEN, 8, 8, 0) }, .sectors = NO_SECTORS },
	{ .name = "OPEN_RSP: nsectors 7 of 4 KiB blocks",
	  .flags = EARLY | NO_IO, .sectors = NO_SECTORS,
	  .patch = { P(OPEN, 8, 8, 7), P(OPEN, 38, 2, 4096) } },
	{ .name = "OPEN_RSP: nsectors 2^63", .flags = EARLY,
	  .patch = { P(OPEN, 8, 8, 1ull << 63) }, .run = run_last_block,
	  .sectors = INT64_MAX >> 9 },
	{ .name = "OPEN_RSP: nsectors 2^64 - 1 of 4 KiB blocks",
	  .flags = EARLY, .run = run_last_block,
	  .patch = { P(OPEN, 8, 8, -1ull), P(OPEN, 38, 2, 4096) },
	  .sectors = (INT64_MAX >> 9) - 7 },
	OPEN("max_hw_sectors 0", 0, P(OPEN, 16, 4, 0)),
	OPEN("max_hw_sectors 2^32 - 1", 0, P(OPEN, 16, 4, -1)),
	OPEN("max_segments 0", 0, P(OPEN, 40, 2, 0)),
	OPEN("max_segments 65535", 0, P(OPEN, 40, 2, -1)),
	{ .name = "OPEN_RSP: discard limits of 2^32 - 1",
	  .flags = EARLY | ANY_DATA, .run = run_discards,
	  .patch = { P(OPEN, 20, 8, -1ull), P(OPEN, 28, 8, -1ull),
		     P(OPEN, 42, 2, -1) } },
	{ .name = "OPEN_RSP: discard_granularity 0", .run = run_discards,
	  .flags = EARLY | ANY_DATA, .patch = { P(OPEN, 28, 4, 0) } },
	{ .name = "OPEN_RSP: discard_granularity 3", .run = run_discards,
	  .flags = EARLY | ANY_DATA, .patch = { P(OPEN, 28, 4, 3) } },
	{ .name = "OPEN_RSP: discard_granularity 2^31", .run = run_discards,
	  .flags = EARLY | ANY_DATA, .patch = { P(OPEN, 28, 4, 1u << 31) } },
	{ .name = "OPEN_RSP: discard_alignment 511", .run = run_discards,
	  .flags = EARLY | ANY_DATA, .patch = { P(OPEN, 32, 4, 511) } },
	{ .name = "OPEN_RSP: max_discard_sectors 1 of 4 KiB blocks",
	  .flags = EARLY | ANY_DATA, .run = run_discards,
	  .patch = { P(OPEN, 24, 4, 1), P(OPEN, 38, 2, 4096),
		     P(OPEN, 42, 2, 1) } },
	{ .name = "OPEN_RSP: secure erase, no discard", .run = run_discards,
	  .flags = EARLY | ANY_DATA,
	  .patch = { P(OPEN, 24, 4, 0), P(OPEN, 42, 2, -1) } },
	OPEN("cache_policy FUA without WRITEBACK", 0, P(OPEN, 45, 1, 1)),
	OPEN("cache_policy 255", 0, P(OPEN, 45, 1, 255)),
	{ .name = "OPEN_RSP: a device id of one that is open",
	  .flags = EARLY | ALWAYS | ANY_DATA, .kinds = K_OPEN,
	  .answer = act_id, .arg = 0, .run = run_two_disks,
	  .outcome = CLOSED, .log = "forgotten by the server" },
	{ .name = "OPEN_RSP: device id 2^32 - 1", .flags = EARLY,
	  .kinds = K_OPEN, .answer = act_id, .arg = -1u, .map = EITHER },
	ADMIN_ERRNO("OPEN: EPERM", K_OPEN, EPERM, EPERM),
	ADMIN_ERRNO("OPEN: ECONNABORTED", K_OPEN, ECONNABORTED, EIO),
	ADMIN_ERRNO("OPEN: errno 511", K_OPEN, 511, 511),
	{ .name = "OPEN: answered twice", .flags = EARLY, .kinds = K_OPEN,
	  .answer = act_twice, .map = EITHER, .log = BROKE },
	{ .name = "OPEN: answered with W_INV", .flags = EARLY,
	  .kinds = K_OPEN, .answer = act_w_inv, .map = ANY_ERROR,
	  .log = BROKE },
	{ .name = "CLOSE: EIO", .kinds = K_CLOSE, .answer = act_errno,
	  .arg = EIO, .log = "cannot be closed on the server" },
	{ .name = "CLOSE: errno 511", .kinds = K_CLOSE, .answer = act_errno,
	  .arg = IMM_ERRNO_MAX, .log = "cannot be closed on the server" },
	{ .name = "CLOSE: answered twice", .kinds = K_CLOSE,
	  .answer = act_twice },

	/* --- USER_EVENT ------------------------------------------------------------ */

	{ .name = "USER_EVENT: the disk has grown beyond all sense",
	  .flags = NO_IO, .tick = tick_once, .features = WIRE_FEAT_USER_EVENT,
	  .imm = IMM(IMM_USER_EVENT, 0), .patch = { P(OPEN, 8, 8, -1ull) },
	  .sectors = INT64_MAX >> 9 },
	{ .name = "USER_EVENT: the disk has shrunk to nothing",
	  .flags = NO_IO, .tick = tick_once, .features = WIRE_FEAT_USER_EVENT,
	  .imm = IMM(IMM_USER_EVENT, 0), .patch = { P(OPEN, 8, 8, 0) },
	  .sectors = NO_SECTORS },
	{ .name = "USER_EVENT: the disk has one sector", .flags = NO_IO,
	  .tick = tick_once, .features = WIRE_FEAT_USER_EVENT,
	  .imm = IMM(IMM_USER_EVENT, 0), .patch = { P(OPEN, 8, 8, 1) },
	  .sectors = 1 },
	{ .name = "USER_EVENT: where keys are new with each answer",
	  .flags = NO_IO | NEW_RKEY, .tick = tick_once,
	  .features = WIRE_FEAT_USER_EVENT, .imm = IMM(IMM_USER_EVENT, 0),
	  .patch = { P(OPEN, 8, 8, 32768) }, .sectors = 32768 },
	{ .name = "USER_EVENT: with data", .kinds = K_IO,
	  .features = WIRE_FEAT_USER_EVENT, .answer = act_with_data,
	  .tick = tick_with_data,
	  .imm = IMM(IMM_USER_EVENT, 0) },
	{ .name = "USER_EVENT: as an empty message", .flags = NO_IO,
	  .features = WIRE_FEAT_USER_EVENT, .tick = tick_message,
	  .imm = IMM(IMM_USER_EVENT, 0), .outcome = PATH_ENDS,
	  .log = BROKE "unexpected message" },
	{ .name = "USER_EVENT: as a message", .flags = NO_IO,
	  .features = WIRE_FEAT_USER_EVENT, .tick = tick_message,
	  .imm = IMM(IMM_USER_EVENT, 0), .arg = 8, .outcome = PATH_ENDS },
	{ .name = "USER_EVENT: as a message where answers are",
	  .flags = NO_IO | NEW_RKEY, .features = WIRE_FEAT_USER_EVENT,
	  .tick = tick_message, .imm = IMM(IMM_USER_EVENT, 0), .arg = 8,
	  .outcome = PATH_ENDS, .log = BROKE "unexpected message" },
	EVENT("another block size", CLOSED, P(OPEN, 38, 2, 4096)),
	EVENT("no block size", CLOSED, P(OPEN, 38, 2, 0)),
	EVENT("another device id", WORKS, P(OPEN, 4, 4, 77)),
	EVENT("wrong type", WORKS, P(OPEN, 0, 2, 0)),
	{ .name = "USER_EVENT: OPEN fails", .flags = NO_IO | ALWAYS,
	  .features = WIRE_FEAT_USER_EVENT, .tick = tick_once,
	  .imm = IMM(IMM_USER_EVENT, 0), .kinds = K_OPEN, .answer = act_errno,
	  .arg = EIO, .log = "does not say how" },

	/* --- another server when the path comes back ---------------------------------- */

	CHANGED("another depth", STAYS_DOWN, "stays down",
		P(ACCEPT, 6, 2, 16), P(ACCEPT_MORE, 6, 2, 16)),
	CHANGED("smaller requests", STAYS_DOWN, "stays down",
		P(ACCEPT, 8, 4, 4096), P(ACCEPT, 12, 4, HOSTILE_CHUNK - 4096)),
	CHANGED("no room for messages", PATH_ENDS, NULL,
		P(ACCEPT, 12, 4, 1)),
	CHANGED("wrong magic", PATH_ENDS, "cannot be connected again",
		P(ACCEPT, 0, 2, 1)),
	CHANGED("INFO_RSP does not add up", PATH_ENDS,
		"cannot be connected again", P(INFO, 20, 4, 0)),
	CHANGED("another boot id", PATH_ENDS, NULL,
		P(ACCEPT, 20, 4, WIRE_FEAT_BOOT_ID), P(ACCEPT, 24, 8, 0x1234)),
	CHANGED("OPEN_RSP of another disk", CLOSED, "closed, block size",
		P(OPEN, 38, 2, 4096)),

	/* --- silence at each step: of half a minute ------------------------------------ */

	SILENT("cid 0 is not answered", ETIMEDOUT, .ignore = 1),
	SILENT("cid 1 is not answered", ETIMEDOUT, .ignore = 2),
	SILENT("no INFO_RSP", ETIMEDOUT, .info = info_never),
	SILENT("no SESS_INFO_RSP", ETIMEDOUT, .kinds = K_SESS_INFO,
	       .answer = act_keep),
	SILENT("no OPEN_RSP", ETIMEDOUT, .kinds = K_OPEN, .answer = act_keep),
	SILENT("not a word after INFO_RSP", ANY_ERROR, .tick = tick_silent),
	{ .name = "silence: no answer to CLOSE", .flags = SLOW,
	  .kinds = K_CLOSE, .answer = act_keep,
	  .log = "cannot be closed on the server" },
};

const unsigned int hostile_nr_cases = ARRAY_SIZE(hostile_cases);
