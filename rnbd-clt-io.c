// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RNBD client: block requests.
 *
 * The tag of a request is the number of the server's chunk it travels through,
 * unique over all devices of a session since these share one tag set; so there is
 * nothing to allocate, to wait for or to wake up here.
 * Each request carries a struct rnbd_iu with its message and its scatterlist.
 * rnbd_clt_queue_rq() fills both in and hands them to RTRS, which moves the
 * request from path to path where it must, and calls back once: with 0, with
 * the server's errno, or with -ECONNABORTED when no path is left; if the device is
 * held the request then goes back into its queue. So it does with -ENOBUFS: its path
 * has failed, and its data could not be mapped for another; and fails when that has
 * been so for long. A server that answers -ENOTCONN does not know the device any more:
 * the device is closed.
 *
 * A flush has an IU of its own and the tag of the request it is made for, so
 * whatever belongs to a chunk must be found by the tag and not by the IU.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk-mq.h>
#include <linux/log2.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "rnbd-clt.h"
#include "rnbd-clt-trace.h"

/*
 * All but the first segment of a request start, and all but the last one end, at
 * such a boundary: RTRS registers the whole of it as one region.
 */
#define RNBD_CLT_VIRT_BOUNDARY	SZ_4K

/* More would make each request a page or two larger, for large I/O only. */
#define RNBD_CLT_MAX_SEGMENTS	256U

/* When to try again where data could not be mapped, and for how long. */
#define RNBD_CLT_REQUEUE_MS	50
#define RNBD_CLT_REQUEUE_SEC	30

/**
 * struct rnbd_iu - what a block request carries
 * @msg: its message; RTRS reads it until the request is done
 * @err: how it ended
 * @epoch: &rnbd_clt_dev.epoch when it was sent
 * @covers: a flush of writes that are in a volatile cache
 * @expired: it was not answered in time once
 * @give_up: nor the second time; RTRS looks here
 * @short_since: jiffies since which its data could not be mapped, or 0
 * @sg: its data, room for &rnbd_clt_sess.max_segments
 *
 * Owned by RTRS from rtrs_clt_request() to rnbd_clt_io_done().
 */
struct rnbd_iu {
	struct rnbd_msg_io	msg;
	int			err;
	u32			epoch;
	bool			covers;
	bool			expired;
	bool			give_up;
	unsigned long		short_since;
	struct scatterlist	sg[];
};

/*
 * Of a device with a volatile cache: were there writes since the last flush began?
 * While one is under way there are, until it has succeeded. Read when a session is
 * back, by when all of its requests have been through here.
 */
static void rnbd_clt_flush_begin(struct rnbd_clt_dev *dev, struct rnbd_iu *iu)
{
	atomic_inc(&dev->flushes);
	/* counted before it is cleared, so that one or the other is seen */
	iu->covers = xchg(&dev->unflushed, false);
	if (!iu->covers)
		atomic_dec(&dev->flushes);
}

static void rnbd_clt_flush_end(struct rnbd_clt_dev *dev, struct rnbd_iu *iu,
			       int err)
{
	if (!iu->covers)
		return;
	iu->covers = false;
	if (err)
		WRITE_ONCE(dev->unflushed, true);
	/* as above: not counted any more only after it is noted */
	smp_mb__before_atomic();
	atomic_dec(&dev->flushes);
}

static void rnbd_clt_note_write(struct request *rq)
{
	struct rnbd_clt_dev *dev = rq->q->queuedata;

	if (!(rq->cmd_flags & REQ_FUA) && blk_queue_write_cache(rq->q) &&
	    !READ_ONCE(dev->unflushed))
		WRITE_ONCE(dev->unflushed, true);
}

/*
 * What the server's block layer says is passed on, but for what it says about
 * the resources of its own machine or to stacked drivers above it: here, those
 * would be taken for something that happened on this machine.
 */
static blk_status_t rnbd_clt_status(int err)
{
	switch (err) {
	case 0:
		return BLK_STS_OK;
	case -ENOMEM:
	case -EBUSY:
	case -EAGAIN:
	case -ENODEV:
	case -EREMCHG:
		return BLK_STS_IOERR;
	default:
		return errno_to_blk_status(err);
	}
}

/* What does not fit for so long may be what never does. */
static bool rnbd_clt_may_fit(struct rnbd_iu *iu)
{
	if (!iu->short_since)
		iu->short_since = jiffies ?: 1;
	return time_before(jiffies, iu->short_since + RNBD_CLT_REQUEUE_SEC * HZ);
}

static void rnbd_clt_try_later(struct request *rq)
{
	struct request_queue *q = rq->q;

	blk_mq_requeue_request(rq, false);
	blk_mq_delay_kick_requeue_list(q, RNBD_CLT_REQUEUE_MS);
}

/* It goes back if there is no path, or no room to send it over another one. */
static void rnbd_clt_complete_rq(struct request *rq)
{
	struct rnbd_iu *iu = blk_mq_rq_to_pdu(rq);

	if (unlikely(iu->err == -ENOTCONN))
		rnbd_clt_dev_disowned(rq->q->queuedata, iu->epoch);
	if (unlikely(iu->err == -ECONNABORTED) &&
	    rnbd_clt_dev_holds(rq->q->queuedata)) {
		blk_mq_requeue_request(rq, true);
		return;
	}
	if (unlikely(iu->err == -ENOBUFS) && rnbd_clt_may_fit(iu)) {
		rnbd_clt_try_later(rq);
		return;
	}
	iu->short_since = 0;
	blk_mq_end_request(rq, rnbd_clt_status(iu->err));
}

static void rnbd_clt_io_done(void *priv, int err, struct io_comp_batch *iob)
{
	struct request *rq = priv;
	struct rnbd_iu *iu = blk_mq_rq_to_pdu(rq);

	trace_rnbd_clt_complete(rq, err);
	if (req_op(rq) == REQ_OP_FLUSH)
		rnbd_clt_flush_end(rq->q->queuedata, iu, err);
	else if (!err && op_is_write(req_op(rq)))
		rnbd_clt_note_write(rq);
	iu->err = err;
	if (unlikely(iu->short_since) && err != -ENOBUFS)
		iu->short_since = 0;
	if (blk_mq_complete_request_remote(rq) ||
	    blk_mq_add_to_batch(rq, iob, err, blk_mq_end_request_batch))
		return;
	rnbd_clt_complete_rq(rq);
}

/* FUA stands for PREFLUSH with servers that do not know that yet. */
static u32 rnbd_clt_flush_flags(blk_opf_t flags)
{
	if (flags & REQ_PREFLUSH)
		return RNBD_F_FUA | RNBD_F_PREFLUSH;
	return flags & REQ_FUA ? RNBD_F_FUA : 0;
}

/* Operation and flags; UINT_MAX for an operation that there is no word for. */
static u32 rnbd_clt_rw(const struct request *rq)
{
	u32 rw = op_is_sync(rq->cmd_flags) ? RNBD_F_SYNC : 0;

	switch (req_op(rq)) {
	case REQ_OP_READ:
		return rw | RNBD_OP_READ;
	case REQ_OP_WRITE:
		return rw | RNBD_OP_WRITE | rnbd_clt_flush_flags(rq->cmd_flags);
	case REQ_OP_FLUSH:
		return rw | RNBD_OP_FLUSH | rnbd_clt_flush_flags(rq->cmd_flags);
	case REQ_OP_DISCARD:
		return rw | RNBD_OP_DISCARD;
	case REQ_OP_SECURE_ERASE:
		return rw | RNBD_OP_SECURE_ERASE;
	case REQ_OP_WRITE_ZEROES:
		if (rq->cmd_flags & REQ_NOUNMAP)
			rw |= RNBD_F_NOUNMAP;
		return rw | RNBD_OP_WRITE_ZEROES;
	default:
		return UINT_MAX;
	}
}

/* Most requests are one piece of memory: nothing is to be put together then. */
static unsigned int rnbd_clt_map_rq(struct request *rq, struct scatterlist *sg)
{
	struct bio_vec bv;

	if (blk_rq_nr_phys_segments(rq) != 1)
		return blk_rq_map_sg(rq->q, rq, sg);
	bv = req_bvec(rq);
	if (unlikely(bv.bv_len != blk_rq_bytes(rq)))
		return blk_rq_map_sg(rq->q, rq, sg);
	sg_set_page(sg, bv.bv_page, bv.bv_len, bv.bv_offset);
	sg_mark_end(sg);
	return 1;
}

static blk_status_t rnbd_clt_send_rq(struct rnbd_clt_dev *dev,
				     struct request *rq, unsigned int queue,
				     u32 rw, bool more)
{
	struct rnbd_iu *iu = blk_mq_rq_to_pdu(rq);
	struct rnbd_io io = {
		.device_id	= dev->device_id,
		.rw		= rw,
		.bi_size	= blk_rq_bytes(rq),
		.prio		= req_get_ioprio(rq),
	};
	struct rtrs_clt_req req = {
		.chunk		= rq->tag,
		.queue		= queue,
		.dir		= rq_dma_dir(rq),
		.msg		= &iu->msg,
		.msg_len	= sizeof(iu->msg),
		.done		= rnbd_clt_io_done,
		.priv		= rq,
		.more		= more,
		.give_up	= &iu->give_up,
	};
	int err;

	/* The block layer gives a flush a sector that is none. */
	if (req_op(rq) != REQ_OP_FLUSH)
		io.sector = blk_rq_pos(rq);
	rnbd_io_encode(&iu->msg, &io);
	iu->epoch = dev->epoch;
	iu->expired = false;
	iu->give_up = false;
	iu->covers = false;
	if (req_op(rq) == REQ_OP_FLUSH)
		rnbd_clt_flush_begin(dev, iu);

	if (req_op(rq) == REQ_OP_READ || req_op(rq) == REQ_OP_WRITE) {
		req.sg = iu->sg;
		req.sg_cnt = rnbd_clt_map_rq(rq, iu->sg);
		req.data_len = io.bi_size;
	}

	trace_rnbd_clt_submit(rq, &io, queue);
	err = rtrs_clt_request(dev->rtrs, &req);
	if (likely(!err))
		return BLK_STS_OK;
	rnbd_clt_flush_end(dev, iu, err);
	/* Maybe nothing of ours is in flight that would run us again. */
	if (err == -ENOMEM && rnbd_clt_may_fit(iu))
		return BLK_STS_RESOURCE;
	/* what has no path now may well fit when there is one */
	iu->short_since = 0;
	if (err == -ECONNABORTED && rnbd_clt_dev_holds(dev))
		return BLK_STS_RESOURCE;
	return BLK_STS_IOERR;
}

static blk_status_t rnbd_clt_queue_rq(struct blk_mq_hw_ctx *hctx,
				      const struct blk_mq_queue_data *bd)
{
	struct rnbd_clt_dev *dev = hctx->queue->queuedata;
	u32 rw = rnbd_clt_rw(bd->rq);

	/*
	 * Pairs with rnbd_clt_dev_move(): who sees it open sees its id. And
	 * queue_rq runs under RCU: once a grace period has passed since it was
	 * closed, nothing is sent any more with the id it had.
	 */
	if (unlikely(smp_load_acquire(&dev->state) != RNBD_CLT_DEV_OPEN))
		return rnbd_clt_dev_holds(dev) ? BLK_STS_RESOURCE :
						 BLK_STS_IOERR;
	if (unlikely(rw == UINT_MAX))
		return BLK_STS_NOTSUPP;

	blk_mq_start_request(bd->rq);
	return rnbd_clt_send_rq(dev, bd->rq, hctx->queue_num, rw, !bd->last);
}

/* No more requests follow after all. */
static void rnbd_clt_commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	struct rnbd_clt_dev *dev = hctx->queue->queuedata;

	rtrs_clt_flush(dev->rtrs, hctx->queue_num);
}

/*
 * The first time, the path it is on is given up and it is sent again on another, if
 * there is one; the second time it has failed. Either way it comes back from RTRS.
 */
static enum blk_eh_timer_return rnbd_clt_timeout(struct request *rq)
{
	struct rnbd_clt_dev *dev = rq->q->queuedata;
	struct rnbd_iu *iu = blk_mq_rq_to_pdu(rq);

	/* the answer may be there, and nobody have looked */
	if (rq->mq_hctx->type == HCTX_TYPE_POLL)
		rtrs_clt_poll(dev->rtrs, rq->mq_hctx->queue_num, NULL);
	if (blk_mq_rq_state(rq) != MQ_RQ_IN_FLIGHT)
		return BLK_EH_DONE;
	if (READ_ONCE(dev->timeout_sec)) {
		WRITE_ONCE(iu->give_up, iu->expired);
		iu->expired = true;
		rtrs_clt_expire(dev->rtrs, rq->tag, iu->give_up);
	}
	return BLK_EH_RESET_TIMER;
}

/**
 * rnbd_clt_set_timeout() - how long a request waits for its answer
 * @dev: the device; it has a disk
 * @sec: seconds, 0 for ever
 *
 * Context: any. Counts for requests that begin from now on.
 */
void rnbd_clt_set_timeout(struct rnbd_clt_dev *dev, unsigned int sec)
{
	WRITE_ONCE(dev->timeout_sec, sec);
	blk_queue_rq_timeout(dev->gd->queue, (sec ?: 30) * HZ);
}

static int rnbd_clt_poll(struct blk_mq_hw_ctx *hctx, struct io_comp_batch *iob)
{
	struct rnbd_clt_dev *dev = hctx->queue->queuedata;

	return rtrs_clt_poll(dev->rtrs, hctx->queue_num, iob);
}

static int rnbd_clt_init_request(struct blk_mq_tag_set *set,
				 struct request *rq, unsigned int hctx_idx,
				 unsigned int numa_node)
{
	struct rnbd_clt_sess *sess = set->driver_data;
	struct rnbd_iu *iu = blk_mq_rq_to_pdu(rq);

	sg_init_table(iu->sg, sess->max_segments);
	return 0;
}

/* Queues of RTRS and of the block layer have the same numbers. */
static void rnbd_clt_map_queues(struct blk_mq_tag_set *set)
{
	struct rnbd_clt_sess *sess = set->driver_data;
	struct blk_mq_queue_map *map = set->map;
	unsigned int nr_poll = sess->attrs.nr_poll_queues;

	map[HCTX_TYPE_DEFAULT].nr_queues = set->nr_hw_queues - nr_poll;
	map[HCTX_TYPE_DEFAULT].queue_offset = 0;
	blk_mq_map_queues(&map[HCTX_TYPE_DEFAULT]);
	if (!nr_poll)
		return;

	map[HCTX_TYPE_READ].nr_queues = 0;
	map[HCTX_TYPE_POLL].nr_queues = nr_poll;
	map[HCTX_TYPE_POLL].queue_offset = set->nr_hw_queues - nr_poll;
	blk_mq_map_queues(&map[HCTX_TYPE_POLL]);
}

static const struct blk_mq_ops rnbd_clt_mq_ops = {
	.queue_rq	= rnbd_clt_queue_rq,
	.commit_rqs	= rnbd_clt_commit_rqs,
	.complete	= rnbd_clt_complete_rq,
	.timeout	= rnbd_clt_timeout,
	.poll		= rnbd_clt_poll,
	.init_request	= rnbd_clt_init_request,
	.map_queues	= rnbd_clt_map_queues,
};

/**
 * rnbd_clt_alloc_tag_set() - make the requests of a session
 * @sess: connected, with its attributes
 *
 * The block layer may make fewer requests than there are chunks; nothing is
 * amiss then, the rest of the chunks stay idle. A request needs no more segments
 * than its pages are, and one for the page that a misaligned start adds.
 *
 * When a tag set gets its second queue or loses it, the block layer freezes the
 * first, and waits for its I/O. A queue that never has any comes first here and
 * goes last, so that no device's mapping or unmapping waits for another's disk.
 *
 * Context: process, under &rnbd_clt_sess.mutex.
 * Return: 0 or a negative errno.
 */
int rnbd_clt_alloc_tag_set(struct rnbd_clt_sess *sess)
{
	const struct rtrs_clt_attrs *attrs = &sess->attrs;
	struct blk_mq_tag_set *set = &sess->tag_set;
	int err;

	/* The block layer wants a page in a request, and two segments. */
	if (attrs->max_io_size < PAGE_SIZE || attrs->max_segments < 2)
		return -EINVAL;
	sess->max_segments = min3(attrs->max_segments, RNBD_CLT_MAX_SEGMENTS,
				  attrs->max_io_size / RNBD_CLT_VIRT_BOUNDARY +
				  1);
	*set = (struct blk_mq_tag_set) {
		.ops		= &rnbd_clt_mq_ops,
		.nr_hw_queues	= attrs->nr_queues + attrs->nr_poll_queues,
		.nr_maps	= attrs->nr_poll_queues ? HCTX_MAX_TYPES : 1,
		.queue_depth	= attrs->io_depth,
		.numa_node	= NUMA_NO_NODE,
		.cmd_size	= struct_size_t(struct rnbd_iu, sg,
						sess->max_segments),
		.flags		= BLK_MQ_F_SHOULD_MERGE |
				  BLK_MQ_F_TAG_HCTX_SHARED |
				  BLK_MQ_F_NO_SCHED_BY_DEFAULT,
		.driver_data	= sess,
	};
	err = blk_mq_alloc_tag_set(set);
	if (err)
		return err;
	sess->idle_q = blk_mq_alloc_queue(set, NULL, NULL);
	if (IS_ERR(sess->idle_q)) {
		err = PTR_ERR(sess->idle_q);
		blk_mq_free_tag_set(set);
	}
	return err;
}

/**
 * rnbd_clt_free_tag_set() - give the requests of a session back
 * @sess: without devices; a tag set that was never made does no harm
 *
 * Context: process, under &rnbd_clt_sess.mutex.
 */
void rnbd_clt_free_tag_set(struct rnbd_clt_sess *sess)
{
	if (!sess->tag_set.tags)
		return;
	blk_mq_destroy_queue(sess->idle_q);
	blk_put_queue(sess->idle_q);
	blk_mq_free_tag_set(&sess->tag_set);
}

/**
 * rnbd_clt_share_tags() - the devices of a session are to leave some to others
 * @sess: with a device, and a second one to come
 *
 * The block layer gives each queue its share of the tags, but counts only those
 * queues that are active. A device that is alone in that could take all of them;
 * if its disk then hangs no other device of the session has any. So there is one
 * more queue, which counts as active since it has had a request once; it has no
 * timeouts that would find it idle.
 *
 * Context: process, under &rnbd_clt_sess.mutex.
 * Return: 0 or a negative errno.
 */
int rnbd_clt_share_tags(struct rnbd_clt_sess *sess)
{
	struct request_queue *q = blk_mq_alloc_queue(&sess->tag_set, NULL, NULL);
	struct request *rq;

	if (IS_ERR(q))
		return PTR_ERR(q);
	/* even if there is none */
	rq = blk_mq_alloc_request(q, REQ_OP_DRV_IN, BLK_MQ_REQ_NOWAIT);
	if (!IS_ERR(rq))
		blk_mq_free_request(rq);
	sess->share_q = q;
	return 0;
}

/**
 * rnbd_clt_unshare_tags() - the last device of a session may have all of them
 * @sess: for which rnbd_clt_share_tags() may have been called
 *
 * Context: process, under &rnbd_clt_sess.mutex.
 */
void rnbd_clt_unshare_tags(struct rnbd_clt_sess *sess)
{
	if (!sess->share_q)
		return;
	blk_mq_destroy_queue(sess->share_q);
	blk_put_queue(sess->share_q);
	sess->share_q = NULL;
}

/* -------------------------------------------------------------- limits ---- */

/**
 * rnbd_clt_limits_ok() - can this machine use such a device at all?
 * @rsp: what the server said
 *
 * Return: true if so; all other limits can be made to fit.
 */
bool rnbd_clt_limits_ok(const struct rnbd_dev_limits *rsp)
{
	return is_power_of_2(rsp->logical_block_size) &&
	       rsp->logical_block_size >= SECTOR_SIZE &&
	       rsp->logical_block_size <= PAGE_SIZE;
}

/**
 * rnbd_clt_whole_blocks() - round a size down
 * @sectors: in 512-byte units, whatever a peer or a user came up with
 * @block_size: logical block size, a power of two
 *
 * Return: the sectors of the whole blocks in it that the kernel can address.
 */
sector_t rnbd_clt_whole_blocks(u64 sectors, unsigned int block_size)
{
	return round_down(min_t(u64, sectors, LLONG_MAX >> SECTOR_SHIFT),
			  (u64)block_size >> SECTOR_SHIFT);
}

/* The length of a request without data has to fit 32 bits, in bytes. */
static unsigned int rnbd_clt_cap(u32 sectors, u32 block_size)
{
	return round_down(min_t(u32, sectors, UINT_MAX >> SECTOR_SHIFT),
			  block_size >> SECTOR_SHIFT);
}

static void rnbd_clt_set_discard(struct queue_limits *lim,
				 const struct rnbd_dev_limits *rsp)
{
	u32 max = rnbd_clt_cap(rsp->max_discard_sectors,
			       lim->logical_block_size);
	u32 gran = rsp->discard_granularity;
	u32 align = rsp->discard_alignment;

	/* The block layer calculates with it as with a power of two. */
	if (!is_power_of_2(gran) || gran < lim->logical_block_size ||
	    gran >> SECTOR_SHIFT > max)
		gran = lim->logical_block_size;
	if (align >= gran || !IS_ALIGNED(align, lim->logical_block_size))
		align = 0;

	lim->max_hw_discard_sectors = max;
	lim->max_secure_erase_sectors = rsp->secure_discard ? max : 0;
	/* as the block layer has it in the end, to be compared with that */
	lim->discard_granularity = max ? max(gran, lim->physical_block_size) : 0;
	lim->discard_alignment = align;
}

static void rnbd_clt_set_cache(struct queue_limits *lim,
			       const struct rnbd_dev_limits *rsp)
{
	lim->features &= ~(BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA);
	if (!(rsp->cache_policy & RNBD_CACHE_WRITEBACK))
		return;
	lim->features |= BLK_FEAT_WRITE_CACHE;
	if (rsp->cache_policy & RNBD_CACHE_FUA)
		lim->features |= BLK_FEAT_FUA;
}

/**
 * rnbd_clt_set_limits() - limits of a device's queue
 * @lim: those that are the server's or the transport's are set, others kept
 * @sess: its session
 * @rsp: what the server said, with rnbd_clt_limits_ok()
 *
 * How much a request may carry is the transport's affair: the server splits what
 * is too much for its device.
 */
void rnbd_clt_set_limits(struct queue_limits *lim,
			 const struct rnbd_clt_sess *sess,
			 const struct rnbd_dev_limits *rsp)
{
	u32 logical = rsp->logical_block_size;
	u32 physical = rsp->physical_block_size;

	if (!is_power_of_2(physical) || physical < logical)
		physical = logical;

	lim->logical_block_size = logical;
	lim->physical_block_size = physical;
	lim->io_min = physical;
	lim->max_hw_sectors = sess->attrs.max_io_size >> SECTOR_SHIFT;
	lim->max_segments = sess->max_segments;
	lim->virt_boundary_mask = RNBD_CLT_VIRT_BOUNDARY - 1;
	lim->max_write_zeroes_sectors =
		rnbd_clt_cap(rsp->max_write_zeroes_sectors, logical);
	rnbd_clt_set_discard(lim, rsp);
	rnbd_clt_set_cache(lim, rsp);
}

#ifdef CONFIG_RNBD_KUNIT_TEST
#include "rnbd-clt-io-test.c"
#endif
