/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracepoints of the RNBD server (section 7 of the sysfs interface).
 *
 * A request is followed by the number of its chunk, which is the same as in
 * rtrs_srv, and on the client.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rnbd_srv

#if !defined(_RNBD_SRV_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _RNBD_SRV_TRACE_H

#include <linux/tracepoint.h>

#include "rnbd-srv.h"
#include "rnbd-trace.h"

DECLARE_EVENT_CLASS(rnbd_srv_sess_class,
	TP_PROTO(const struct rnbd_srv_sess *sess),
	TP_ARGS(sess),
	TP_STRUCT__entry(
		__string(sess, sess->name)
	),
	TP_fast_assign(
		__assign_str(sess);
	),
	TP_printk("%s", __get_str(sess))
);

DEFINE_EVENT(rnbd_srv_sess_class, create_sess,
	TP_PROTO(const struct rnbd_srv_sess *sess),
	TP_ARGS(sess));

DEFINE_EVENT(rnbd_srv_sess_class, destroy_sess,
	TP_PROTO(const struct rnbd_srv_sess *sess),
	TP_ARGS(sess));

/* An I/O request has come in; @err says why it is refused, or is 0. */
TRACE_EVENT(process_rdma,
	TP_PROTO(const struct rnbd_srv_sess *sess,
		 const struct rtrs_srv_req *req, const struct rnbd_io *io,
		 int err),
	TP_ARGS(sess, req, io, err),
	TP_STRUCT__entry(
		__string(sess, sess->name)
		__field(u16, chunk)
		__field(bool, write)
		__field(u32, data_len)
		__field(u32, msg_len)
		__field(u32, device_id)
		__field(u32, rw)
		__field(u32, bytes)
		__field(u64, sector)
		__field(u16, prio)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(sess);
		__entry->chunk = req->chunk;
		__entry->write = req->dir == DMA_TO_DEVICE;
		__entry->data_len = req->data_len;
		__entry->msg_len = req->msg_len;
		__entry->device_id = io->device_id;
		__entry->rw = io->rw;
		__entry->bytes = io->bi_size;
		__entry->sector = io->sector;
		__entry->prio = io->prio;
		__entry->err = err;
	),
	TP_printk("%s: chunk %u, device %u, %s (%s), %u bytes at sector %llu, priority %#x, %s of %u bytes, message %u bytes, errno %d",
		  __get_str(sess), __entry->chunk, __entry->device_id,
		  rnbd_show_op(__entry->rw),
		  rnbd_show_flags(__entry->rw), __entry->bytes,
		  __entry->sector, __entry->prio,
		  __entry->write ? "write" : "read", __entry->data_len,
		  __entry->msg_len, __entry->err)
);

/* The disk is done with an I/O request, or it was not asked to do it. */
TRACE_EVENT(rnbd_srv_io_done,
	TP_PROTO(const struct rnbd_srv_io *io, int err),
	TP_ARGS(io, err),
	TP_STRUCT__entry(
		__string(sess, io->sess_dev->sess->name)
		__field(u16, chunk)
		__field(u32, device_id)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(sess);
		__entry->chunk = io->chunk;
		__entry->device_id = io->msg.device_id;
		__entry->err = err;
	),
	TP_printk("%s: chunk %u, device %u, errno %d", __get_str(sess),
		  __entry->chunk, __entry->device_id, __entry->err)
);

TRACE_EVENT(process_msg_sess_info,
	TP_PROTO(const struct rnbd_srv_sess *sess, int ver),
	TP_ARGS(sess, ver),
	TP_STRUCT__entry(
		__string(sess, sess->name)
		__field(int, ver)
		__field(u8, agreed)
	),
	TP_fast_assign(
		__assign_str(sess);
		__entry->ver = ver;
		__entry->agreed = sess->version;
	),
	TP_printk("%s: the client speaks version %d, agreed on %u",
		  __get_str(sess), __entry->ver, __entry->agreed)
);

TRACE_EVENT(process_msg_open,
	TP_PROTO(const struct rnbd_srv_sess *sess,
		 const struct rnbd_msg_open *msg),
	TP_ARGS(sess, msg),
	TP_STRUCT__entry(
		__string(sess, sess->name)
		__string(dev, msg->dev_name)
		__field(u8, mode)
	),
	TP_fast_assign(
		__assign_str(sess);
		__assign_str(dev);
		__entry->mode = msg->access_mode;
	),
	TP_printk("%s: %s, %s", __get_str(sess), __get_str(dev),
		  __print_symbolic(__entry->mode,
			{ RNBD_ACCESS_RO,		"ro" },
			{ RNBD_ACCESS_RW,		"rw" },
			{ RNBD_ACCESS_MIGRATION,	"migration" }))
);

TRACE_EVENT(process_msg_close,
	TP_PROTO(const struct rnbd_srv_sess *sess, u32 device_id),
	TP_ARGS(sess, device_id),
	TP_STRUCT__entry(
		__string(sess, sess->name)
		__field(u32, device_id)
	),
	TP_fast_assign(
		__assign_str(sess);
		__entry->device_id = device_id;
	),
	TP_printk("%s: device %u", __get_str(sess), __entry->device_id)
);

#endif /* _RNBD_SRV_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE rnbd-srv-trace

#include <trace/define_trace.h>
