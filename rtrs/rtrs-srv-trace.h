/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracepoints of the RTRS server (section 7 of the sysfs interface).
 *
 * A request is followed by the number of its chunk, which is the same as on the
 * client, and in rnbd_srv.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rtrs_srv

#if !defined(_RTRS_SRV_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _RTRS_SRV_TRACE_H

#include <linux/tracepoint.h>

#include "rtrs-srv.h"

TRACE_DEFINE_ENUM(RTRS_SRV_PATH_CONNECTING);
TRACE_DEFINE_ENUM(RTRS_SRV_PATH_CONNECTED);
TRACE_DEFINE_ENUM(RTRS_SRV_PATH_CLOSING);
TRACE_DEFINE_ENUM(RTRS_SRV_PATH_CLOSED);

#define rtrs_srv_show_state(state)				\
	__print_symbolic(state,					\
		{ RTRS_SRV_PATH_CONNECTING,	"connecting" },	\
		{ RTRS_SRV_PATH_CONNECTED,	"connected" },	\
		{ RTRS_SRV_PATH_CLOSING,	"closing" },	\
		{ RTRS_SRV_PATH_CLOSED,		"closed" })

/* A request has come in; nothing of it but its length has been checked. */
TRACE_EVENT(rtrs_srv_request,
	TP_PROTO(const struct rtrs_srv_con *con, u32 chunk, u32 off),
	TP_ARGS(con, chunk, off),
	TP_STRUCT__entry(
		__string(sess, con->path->sess->name)
		__string(path, con->path->name)
		__field(u16, cid)
		__field(u32, chunk)
		__field(u32, off)
	),
	TP_fast_assign(
		__assign_str(sess);
		__assign_str(path);
		__entry->cid = con->c.cid;
		__entry->chunk = chunk;
		__entry->off = off;
	),
	TP_printk("%s: chunk %u, %u bytes before the header, connection %u, path %s",
		  __get_str(sess), __entry->chunk, __entry->off, __entry->cid,
		  __get_str(path))
);

/* A request is about to be answered. */
TRACE_EVENT(send_io_resp_imm,
	TP_PROTO(const struct rtrs_srv_op *op, u32 type, int err, size_t len),
	TP_ARGS(op, type, err, len),
	TP_STRUCT__entry(
		__string(sess, op->path->sess->name)
		__string(path, op->path->name)
		__field(u16, chunk)
		__field(bool, write)
		__field(bool, invalidated)
		__field(bool, need_inval)
		__field(u32, type)
		__field(u32, len)
		__field(int, err)
		__field(unsigned int, state)
	),
	TP_fast_assign(
		__assign_str(sess);
		__assign_str(path);
		__entry->chunk = op->nr;
		__entry->write = op->dir == DMA_TO_DEVICE;
		__entry->invalidated = op->invalidated;
		__entry->need_inval = op->rd.need_inval;
		__entry->type = type;
		__entry->len = len;
		__entry->err = err;
		__entry->state = READ_ONCE(op->path->state);
	),
	TP_printk("%s: chunk %u, %s, errno %d, %u bytes, type %u%s%s, path %s %s",
		  __get_str(sess), __entry->chunk,
		  __entry->write ? "write" : "read", __entry->err,
		  __entry->len, __entry->type,
		  __entry->invalidated ? ", chunk was invalidated" : "",
		  __entry->need_inval ? ", client's key to be invalidated" : "",
		  __get_str(path), rtrs_srv_show_state(__entry->state))
);

/* A path has another state. */
TRACE_EVENT(rtrs_srv_path_state,
	TP_PROTO(const struct rtrs_srv_path *path, unsigned int state),
	TP_ARGS(path, state),
	TP_STRUCT__entry(
		__string(sess, path->sess->name)
		__string(path, path->name)
		__field(unsigned int, state)
	),
	TP_fast_assign(
		__assign_str(sess);
		__assign_str(path);
		__entry->state = state;
	),
	TP_printk("%s: path %s, %s", __get_str(sess), __get_str(path),
		  rtrs_srv_show_state(__entry->state))
);

#endif /* _RTRS_SRV_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE rtrs-srv-trace

#include <trace/define_trace.h>
