/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracepoints of the RTRS client (section 7 of the sysfs interface).
 *
 * A request is followed by its chunk number, which is the same here, in
 * rnbd_clt, and on the server.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rtrs_clt

#if !defined(_RTRS_CLT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _RTRS_CLT_TRACE_H

#include <linux/tracepoint.h>

#include "rtrs-clt.h"

TRACE_DEFINE_ENUM(RTRS_CLT_DISCONNECTED);
TRACE_DEFINE_ENUM(RTRS_CLT_CONNECTING);
TRACE_DEFINE_ENUM(RTRS_CLT_CONNECTED);
TRACE_DEFINE_ENUM(RTRS_CLT_DRAINING);

#define rtrs_clt_show_state(state)				\
	__print_symbolic(state,					\
		{ RTRS_CLT_DISCONNECTED,	"disconnected" },	\
		{ RTRS_CLT_CONNECTING,		"connecting" },	\
		{ RTRS_CLT_CONNECTED,		"connected" },	\
		{ RTRS_CLT_DRAINING,		"draining" })

DECLARE_EVENT_CLASS(rtrs_clt_io_class,
	TP_PROTO(const struct rtrs_clt_path *path, u16 chunk,
		 const struct rtrs_clt_req *req),
	TP_ARGS(path, chunk, req),
	TP_STRUCT__entry(
		__string(sess, dev_name(&path->sess->dev))
		__string(path, kobject_name(&path->kobj))
		__field(u16, chunk)
		__field(bool, write)
		__field(u32, data_len)
		__field(u32, msg_len)
	),
	TP_fast_assign(
		__assign_str(sess);
		__assign_str(path);
		__entry->chunk = chunk;
		__entry->write = req->dir == DMA_TO_DEVICE;
		__entry->data_len = req->data_len;
		__entry->msg_len = req->msg_len;
	),
	TP_printk("%s: chunk %u, %s %u bytes, message %u bytes, path %s",
		  __get_str(sess), __entry->chunk,
		  __entry->write ? "write" : "read", __entry->data_len,
		  __entry->msg_len, __get_str(path))
);

/* A request is about to be posted. */
DEFINE_EVENT(rtrs_clt_io_class, rtrs_clt_request,
	TP_PROTO(const struct rtrs_clt_path *path, u16 chunk,
		 const struct rtrs_clt_req *req),
	TP_ARGS(path, chunk, req));

/* A request of a path that failed is to be sent on another. */
DEFINE_EVENT(rtrs_clt_io_class, rtrs_clt_fail_over,
	TP_PROTO(const struct rtrs_clt_path *path, u16 chunk,
		 const struct rtrs_clt_req *req),
	TP_ARGS(path, chunk, req));

/* A request has been answered. */
TRACE_EVENT(rtrs_clt_response,
	TP_PROTO(const struct rtrs_clt_path *path, u32 chunk, int err),
	TP_ARGS(path, chunk, err),
	TP_STRUCT__entry(
		__string(sess, dev_name(&path->sess->dev))
		__string(path, kobject_name(&path->kobj))
		__field(u32, chunk)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(sess);
		__assign_str(path);
		__entry->chunk = chunk;
		__entry->err = err;
	),
	TP_printk("%s: chunk %u, errno %d, path %s", __get_str(sess),
		  __entry->chunk, __entry->err, __get_str(path))
);

DECLARE_EVENT_CLASS(rtrs_clt_path_class,
	TP_PROTO(const struct rtrs_clt_path *path),
	TP_ARGS(path),
	TP_STRUCT__entry(
		__string(sess, dev_name(&path->sess->dev))
		__string(path, kobject_name(&path->kobj))
		__field(unsigned int, state)
		__field(unsigned int, attempts)
		__field(u64, succeeded)
		__field(u64, failed)
	),
	TP_fast_assign(
		__assign_str(sess);
		__assign_str(path);
		__entry->state = READ_ONCE(path->state);
		__entry->attempts = READ_ONCE(path->attempts);
		__entry->succeeded = READ_ONCE(path->reconnects[0]);
		__entry->failed = READ_ONCE(path->reconnects[1]);
	),
	TP_printk("%s: path %s, %s, reconnects %llu, failed %llu, %u in a row",
		  __get_str(sess), __get_str(path),
		  rtrs_clt_show_state(__entry->state), __entry->succeeded,
		  __entry->failed, __entry->attempts)
);

/* A path is about to be connected again. */
DEFINE_EVENT(rtrs_clt_path_class, rtrs_clt_reconnect_work,
	TP_PROTO(const struct rtrs_clt_path *path),
	TP_ARGS(path));

/* A path has failed, or is to be disconnected. */
DEFINE_EVENT(rtrs_clt_path_class, rtrs_rdma_error_recovery,
	TP_PROTO(const struct rtrs_clt_path *path),
	TP_ARGS(path));

/* The connections of a path are about to be closed. */
DEFINE_EVENT(rtrs_clt_path_class, rtrs_clt_close_conns,
	TP_PROTO(const struct rtrs_clt_path *path),
	TP_ARGS(path));

#endif /* _RTRS_CLT_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE rtrs-clt-trace

#include <trace/define_trace.h>
