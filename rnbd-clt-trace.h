/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracepoints of the RNBD client (section 7 of the sysfs interface).
 *
 * A request is followed by its chunk number, which is its tag, and the same in
 * rtrs_clt and on the server.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rnbd_clt

#if !defined(_RNBD_CLT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _RNBD_CLT_TRACE_H

#include <linux/tracepoint.h>

#include "rnbd-clt.h"
#include "rnbd-trace.h"

DECLARE_EVENT_CLASS(rnbd_clt_dev_class,
	TP_PROTO(const struct rnbd_clt_dev *dev),
	TP_ARGS(dev),
	TP_STRUCT__entry(
		__string(disk, dev->gd->disk_name)
		__string(sess, dev->sess->name)
		__string(path, dev->path)
		__field(u32, device_id)
		__field(u64, sectors)
	),
	TP_fast_assign(
		__assign_str(disk);
		__assign_str(sess);
		__assign_str(path);
		__entry->device_id = dev->device_id;
		__entry->sectors = get_capacity(dev->gd);
	),
	TP_printk("%s: %s@%s, device %u, %llu sectors", __get_str(disk),
		  __get_str(path), __get_str(sess), __entry->device_id,
		  __entry->sectors)
);

/* A device has been mapped. */
DEFINE_EVENT(rnbd_clt_dev_class, rnbd_clt_map,
	TP_PROTO(const struct rnbd_clt_dev *dev),
	TP_ARGS(dev));

/* A device has been opened on its server once more. */
DEFINE_EVENT(rnbd_clt_dev_class, rnbd_clt_reopen,
	TP_PROTO(const struct rnbd_clt_dev *dev),
	TP_ARGS(dev));

/* A device is about to be unmapped. */
DEFINE_EVENT(rnbd_clt_dev_class, rnbd_clt_unmap,
	TP_PROTO(const struct rnbd_clt_dev *dev),
	TP_ARGS(dev));

/* A block request is about to be handed to RTRS. */
TRACE_EVENT(rnbd_clt_submit,
	TP_PROTO(const struct request *rq, const struct rnbd_io *io,
		 unsigned int queue),
	TP_ARGS(rq, io, queue),
	TP_STRUCT__entry(
		__string(disk, rq->q->disk->disk_name)
		__field(int, chunk)
		__field(u32, device_id)
		__field(u32, rw)
		__field(u32, bytes)
		__field(u64, sector)
		__field(unsigned int, queue)
	),
	TP_fast_assign(
		__assign_str(disk);
		__entry->chunk = rq->tag;
		__entry->device_id = io->device_id;
		__entry->rw = io->rw;
		__entry->bytes = io->bi_size;
		__entry->sector = io->sector;
		__entry->queue = queue;
	),
	TP_printk("%s: chunk %d, device %u, %s (%s), %u bytes at sector %llu, queue %u",
		  __get_str(disk), __entry->chunk, __entry->device_id,
		  rnbd_show_op(__entry->rw),
		  rnbd_show_flags(__entry->rw), __entry->bytes,
		  __entry->sector, __entry->queue)
);

/* RTRS is done with a block request. */
TRACE_EVENT(rnbd_clt_complete,
	TP_PROTO(const struct request *rq, int err),
	TP_ARGS(rq, err),
	TP_STRUCT__entry(
		__string(disk, rq->q->disk->disk_name)
		__field(int, chunk)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(disk);
		__entry->chunk = rq->tag;
		__entry->err = err;
	),
	TP_printk("%s: chunk %d, errno %d", __get_str(disk), __entry->chunk,
		  __entry->err)
);

#endif /* _RNBD_CLT_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE rnbd-clt-trace

#include <trace/define_trace.h>
