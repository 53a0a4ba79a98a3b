// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RNBD server: the data path.
 *
 * RTRS shows us each IO message when it arrives (rnbd_srv_io_admit()): it is
 * checked, the device is looked up and held, and the request takes its place in
 * the order of the device's requests (rnbd-srv-order.c). When its data is there
 * RTRS has us carry it out. Unless it has to wait for an earlier write, it gets into
 * the lane of its device: to submit may block for as long as the device likes, so
 * that is done on a work item, one a session, device and CPU. All that is in a lane
 * by then is submitted together, under one plug. If the device blocks, what is
 * behind in the lane waits, but that is for the same device, and of the same client.
 * One bio a request points at the data, and its end is the answer. Bios that end in an
 * interrupt are gathered, and answered together in a softirq behind it.
 *
 * All that a request needs, its bio included, is in memory that RTRS has for it:
 * nothing is allocated here. The reference on the device is per CPU, so that I/O
 * and the end of a device meet in no other place.
 *
 * When a session ends, what has been submitted stays with the block layer for as
 * long as that takes; what has not yet been is not carried out any more. Either
 * way it is answered, into the void, gives up its place in the order, and then
 * the device.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/ioprio.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>

#include "rnbd-srv.h"
#include "rnbd-srv-trace.h"

/**
 * struct rnbd_srv_done - bios that ended with interrupts off, on one CPU
 * @list: of &struct rnbd_srv_io
 * @work: answers them, in a softirq
 */
struct rnbd_srv_done {
	struct llist_head	list;
	struct work_struct	work;
};

static DEFINE_PER_CPU(struct rnbd_srv_done, rnbd_srv_done);
static struct workqueue_struct *rnbd_srv_bh_wq;

/* It gives up its place, and is answered with @answers; its device is held until then. */
static void rnbd_srv_io_finish(struct rnbd_srv_io *io, int err,
			       struct rtrs_srv_answers *answers)
{
	trace_rnbd_srv_io_done(io, err);
	rnbd_srv_order_end(&io->sess_dev->dev->order, &io->order);
	rtrs_srv_answers_add(answers, io->order.op, err, io->len);
}

/* Those of one device. Their memory may be that of the next requests afterwards. */
static void rnbd_srv_answer(struct rtrs_srv_answers *answers,
			    struct rnbd_srv_sess_dev *sess_dev)
{
	unsigned int nr = answers->nr;

	rtrs_srv_answers_give(answers);
	/* Last: the device may go, and the module after it. */
	percpu_ref_put_many(&sess_dev->ref, nr);
}

static void rnbd_srv_io_finish_one(struct rnbd_srv_io *io, int err)
{
	struct rnbd_srv_sess_dev *sess_dev = io->sess_dev;
	struct rtrs_srv_answers answers = {};

	rnbd_srv_io_finish(io, err, &answers);
	rnbd_srv_answer(&answers, sess_dev);
}

/* What has become of a bio, of which no more is needed. */
static int rnbd_srv_io_err(struct rnbd_srv_io *io)
{
	int err = blk_status_to_errno(io->bio.bi_status);

	bio_uninit(&io->bio);
	/* Some disks only notice at the first that they do not know it. */
	if (err && bio_op(&io->bio) == REQ_OP_WRITE_ZEROES &&
	    !bdev_write_zeroes_sectors(io->sess_dev->bdev))
		return -EOPNOTSUPP;
	return err;
}

/* Answer those of one device, which stand next to each other. Returns the rest. */
static struct llist_node *rnbd_srv_done_some(struct llist_node *node)
{
	struct rnbd_srv_io *io = llist_entry(node, struct rnbd_srv_io, node);
	struct rnbd_srv_sess_dev *sess_dev = io->sess_dev;
	struct rtrs_srv_answers answers = {};

	do {
		node = node->next;
		rnbd_srv_io_finish(io, rnbd_srv_io_err(io), &answers);
		io = llist_entry(node, struct rnbd_srv_io, node);
	} while (node && io->sess_dev == sess_dev);
	rnbd_srv_answer(&answers, sess_dev);
	return node;
}

static void rnbd_srv_done_work(struct work_struct *work)
{
	struct rnbd_srv_done *done = container_of(work, struct rnbd_srv_done,
						  work);
	struct llist_node *node = llist_reverse_order(llist_del_all(&done->list));

	while (node)
		node = rnbd_srv_done_some(node);
}

/*
 * Drivers end bios in any context; RTRS takes answers in all but this one. An interrupt
 * often ends many.
 */
static void rnbd_srv_end_io(struct bio *bio)
{
	struct rnbd_srv_io *io = container_of(bio, struct rnbd_srv_io, bio);

	if (in_hardirq() || irqs_disabled()) {
		struct rnbd_srv_done *done = this_cpu_ptr(&rnbd_srv_done);

		if (llist_add(&io->node, &done->list))
			queue_work(rnbd_srv_bh_wq, &done->work);
	} else {
		rnbd_srv_io_finish_one(io, rnbd_srv_io_err(io));
	}
}

static bool rnbd_srv_op_changes(unsigned int op)
{
	return op != RNBD_OP_READ && op != RNBD_OP_FLUSH;
}

/*
 * An operation's data: direction and length. There is no empty read, discard or
 * write zeroes: no block layer sends one.
 */
static int rnbd_srv_check_data(const struct rnbd_io *io,
			       const struct rtrs_srv_req *req)
{
	bool ok;

	switch (io->rw & RNBD_OP_MASK) {
	case RNBD_OP_READ:
		ok = req->dir == DMA_FROM_DEVICE && io->bi_size &&
		     req->data_len == io->bi_size;
		break;
	case RNBD_OP_WRITE:
		ok = (req->dir == DMA_TO_DEVICE || !req->data_len) &&
		     req->data_len == io->bi_size;
		break;
	case RNBD_OP_FLUSH:
		ok = !req->data_len && !io->bi_size;
		break;
	case RNBD_OP_DISCARD:
	case RNBD_OP_SECURE_ERASE:
	case RNBD_OP_WRITE_ZEROES:
		ok = !req->data_len && io->bi_size;
		break;
	default:
		return -EOPNOTSUPP;
	}
	return ok ? 0 : -EINVAL;
}

/* Whole logical blocks, inside the device. */
static int rnbd_srv_check_range(const struct rnbd_io *io,
				struct block_device *bdev)
{
	sector_t size = bdev_nr_sectors(bdev);
	u32 blocks = bdev_logical_block_size(bdev) - 1;

	if (!io->bi_size)
		return 0;
	if (((io->sector << SECTOR_SHIFT) | io->bi_size) & blocks)
		return -EINVAL;
	if (io->sector > size || io->bi_size >> SECTOR_SHIFT > size - io->sector)
		return -EIO;
	return 0;
}

static int rnbd_srv_check_io(const struct rnbd_io *io,
			     const struct rtrs_srv_req *req,
			     const struct rnbd_srv_sess_dev *sess_dev)
{
	int err = rnbd_srv_check_data(io, req);

	if (err)
		return err;
	/* The block layer lets kernel users write what they opened to read. */
	if (sess_dev->mode == RNBD_ACCESS_RO &&
	    rnbd_srv_op_changes(io->rw & RNBD_OP_MASK))
		return -EROFS;
	return rnbd_srv_check_range(io, sess_dev->bdev);
}

/*
 * The block layer's flush is an empty write. FUA alone on an empty write is the
 * flush of a client older than PREFLUSH.
 */
static blk_opf_t rnbd_srv_write_opf(const struct rnbd_io *io)
{
	/* Throttled by the client's kernel; a wait here holds up others. */
	blk_opf_t opf = REQ_OP_WRITE | REQ_SYNC | REQ_IDLE;

	if (!io->bi_size)
		return opf | REQ_PREFLUSH;
	if (io->rw & RNBD_F_FUA)
		opf |= REQ_FUA;
	if (io->rw & RNBD_F_PREFLUSH)
		opf |= REQ_PREFLUSH;
	return opf;
}

/* Of an operation that was checked. Flags that do not belong to it are ignored. */
static blk_opf_t rnbd_srv_opf(const struct rnbd_io *io)
{
	blk_opf_t opf = io->rw & RNBD_F_SYNC ? REQ_SYNC : 0;

	switch (io->rw & RNBD_OP_MASK) {
	case RNBD_OP_WRITE:
	case RNBD_OP_FLUSH:
		return opf | rnbd_srv_write_opf(io);
	case RNBD_OP_DISCARD:
		return opf | REQ_OP_DISCARD;
	case RNBD_OP_SECURE_ERASE:
		return opf | REQ_OP_SECURE_ERASE;
	case RNBD_OP_WRITE_ZEROES:
		if (io->rw & RNBD_F_NOUNMAP)
			opf |= REQ_NOUNMAP;
		return opf | REQ_OP_WRITE_ZEROES;
	default:
		return opf | REQ_OP_READ;
	}
}

/*
 * I/O schedulers index tables with the class, so it must be one that exists.
 * Who may use the real-time class is for the client's kernel to say.
 */
static u16 rnbd_srv_ioprio(const struct rnbd_srv_sess *sess, u16 prio)
{
	if (READ_ONCE(sess->version) < 2)
		return 0;

	switch (IOPRIO_PRIO_CLASS(prio)) {
	case IOPRIO_CLASS_RT:
	case IOPRIO_CLASS_BE:
	case IOPRIO_CLASS_IDLE:
		return prio;
	default:
		return 0;
	}
}

static void rnbd_srv_io_submit(struct rnbd_srv_io *io)
{
	const struct rnbd_srv_sess_dev *sess_dev = io->sess_dev;
	const struct rnbd_io *msg = &io->msg;
	struct bio *bio = &io->bio;

	bio_init(bio, sess_dev->bdev, &io->bvec, 1, rnbd_srv_opf(msg));
	/* The sector of a flush means nothing; mainline's is out of range. */
	bio->bi_iter.bi_sector = msg->bi_size ? msg->sector : 0;
	if (io->data_len)
		__bio_add_page(bio, virt_to_page(io->data), io->data_len,
			       offset_in_page(io->data));
	else
		bio->bi_iter.bi_size = msg->bi_size;
	bio->bi_ioprio = rnbd_srv_ioprio(sess_dev->sess, msg->prio);
	bio->bi_end_io = rnbd_srv_end_io;
	submit_bio(bio);
}

static void rnbd_srv_io_run(struct rnbd_srv_io *io)
{
	const struct rnbd_io *msg = &io->msg;
	bool nothing = (msg->rw & RNBD_OP_MASK) == RNBD_OP_WRITE &&
		       !msg->bi_size &&
		       !(msg->rw & (RNBD_F_FUA | RNBD_F_PREFLUSH));

	if (unlikely(io->err || nothing))
		rnbd_srv_io_finish_one(io, io->err);
	else
		rnbd_srv_io_submit(io);
}

static void rnbd_srv_run_list(struct llist_node *list)
{
	struct rnbd_srv_io *io, *next;

	llist_for_each_entry_safe(io, next, list, node)
		rnbd_srv_io_run(io);
}

/*
 * The device is held until this returns, for each I/O may be another's as soon as it has
 * been run. Who has added the first to the lane has queued this, so there is one. While
 * this runs the next may begin on another workqueue, see rtrs_srv_queue_work(), which
 * finds others.
 */
static void rnbd_srv_lane_work(struct work_struct *work)
{
	struct rnbd_srv_lane *lane = container_of(work, struct rnbd_srv_lane,
						  work);
	struct llist_node *list = llist_del_all(&lane->todo);
	struct rnbd_srv_sess_dev *sess_dev =
		llist_entry(list, struct rnbd_srv_io, node)->sess_dev;
	struct blk_plug plug;

	percpu_ref_get(&sess_dev->ref);
	if (list->next) {
		blk_start_plug(&plug);
		rnbd_srv_run_list(llist_reverse_order(list));
		blk_finish_plug(&plug);
	} else {
		rnbd_srv_run_list(list);
	}
	percpu_ref_put(&sess_dev->ref);
}

/**
 * rnbd_srv_lanes_alloc() - make the lanes of a device
 * @sess_dev: the device
 *
 * Return: 0 or -ENOMEM.
 */
int rnbd_srv_lanes_alloc(struct rnbd_srv_sess_dev *sess_dev)
{
	int cpu;

	sess_dev->lanes = alloc_percpu(struct rnbd_srv_lane);
	if (!sess_dev->lanes)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		struct rnbd_srv_lane *lane = per_cpu_ptr(sess_dev->lanes, cpu);

		init_llist_head(&lane->todo);
		INIT_WORK(&lane->work, rnbd_srv_lane_work);
	}
	return 0;
}

/**
 * rnbd_srv_lanes_free() - free the lanes of a device
 * @sess_dev: the device, with nothing in them
 */
void rnbd_srv_lanes_free(struct rnbd_srv_sess_dev *sess_dev)
{
	free_percpu(sess_dev->lanes);
}

/**
 * rnbd_srv_io_carry_out() - the data of a request is there
 * @io: the request, admitted
 * @req: as RTRS has it
 * @err: why it is not to be carried out any more, or 0
 *
 * Also what is only to be answered takes the lane, so that the end of one request
 * never calls the end of the next, and so on.
 *
 * Context: any but hard interrupt.
 */
void rnbd_srv_io_carry_out(struct rnbd_srv_io *io,
			   const struct rtrs_srv_req *req, int err)
{
	struct rnbd_srv_lane *lane = raw_cpu_ptr(io->sess_dev->lanes);
	struct rtrs_srv_op *op = io->order.op;

	if (!rnbd_srv_order_ready(&io->order))
		return;
	io->data = req->data;
	io->data_len = req->data_len;
	io->len = req->dir == DMA_FROM_DEVICE ? req->data_len : 0;
	io->err = err;
	if (llist_add(&io->node, &lane->todo))
		rtrs_srv_queue_work(op, &lane->work);
}

/*
 * The lookup pairs with rnbd_srv_detach(): who finds the device in time holds
 * up its closing, who does not gets nothing.
 */
static struct rnbd_srv_sess_dev *rnbd_srv_sess_dev_get(struct rnbd_srv_sess *sess,
						       u32 id)
{
	struct rnbd_srv_sess_dev *sess_dev;

	guard(rcu)();
	sess_dev = xa_load(&sess->devs, id);
	if (sess_dev && percpu_ref_tryget_live(&sess_dev->ref))
		return sess_dev;
	return NULL;
}

/* Under RCU, which the end of the session waits for. */
static int rnbd_srv_io_begin(struct rnbd_srv_sess *sess,
			     struct rnbd_srv_io *io, struct rtrs_srv_op *op,
			     const struct rtrs_srv_req *req)
{
	const struct rnbd_io *msg = &io->msg;
	struct rnbd_srv_sess_dev *sess_dev;
	int err;

	sess_dev = rnbd_srv_sess_dev_get(sess, msg->device_id);
	if (!sess_dev)
		return -ENOTCONN;
	err = rnbd_srv_check_io(msg, req, sess_dev);
	if (err) {
		percpu_ref_put(&sess_dev->ref);
		return err;
	}
	io->sess_dev = sess_dev;
	io->order.op = op;
	io->chunk = req->chunk;
	rnbd_srv_order_begin(&sess_dev->dev->order, &io->order, msg->sector,
			     msg->bi_size >> SECTOR_SHIFT,
			     rnbd_srv_op_changes(msg->rw & RNBD_OP_MASK));
	return 0;
}

/**
 * rnbd_srv_io_admit() - an IO message has come
 * @sess: the session it came in
 * @io: the request's memory
 * @op: the request
 * @req: what RTRS knows of it
 *
 * Context: softirq, or under RCU.
 * Return: 0, and rnbd_srv_io_carry_out() is to follow, or a negative errno.
 */
int rnbd_srv_io_admit(struct rnbd_srv_sess *sess, struct rnbd_srv_io *io,
		      struct rtrs_srv_op *op, const struct rtrs_srv_req *req)
{
	struct rnbd_io *msg = &io->msg;
	int err;

	*msg = (struct rnbd_io) {};
	err = rnbd_io_decode(msg, req->msg, req->msg_len);
	if (!err)
		err = rnbd_srv_io_begin(sess, io, op, req);
	trace_process_rdma(sess, req, msg, err);
	if (unlikely(err))
		pr_info_ratelimited("%s: refused I/O on device %u, rw %#x, %u bytes at sector %llu: %pe\n",
				    sess->name, msg->device_id, msg->rw,
				    msg->bi_size, msg->sector, ERR_PTR(err));
	return err;
}

/**
 * rnbd_srv_io_init() - get ready for I/O
 *
 * Return: 0 or -ENOMEM.
 */
int __init rnbd_srv_io_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct rnbd_srv_done *done = per_cpu_ptr(&rnbd_srv_done, cpu);

		init_llist_head(&done->list);
		INIT_WORK(&done->work, rnbd_srv_done_work);
	}
	rnbd_srv_bh_wq = alloc_workqueue("rnbd_srv_bh", WQ_BH, 0);
	return rnbd_srv_bh_wq ? 0 : -ENOMEM;
}

/**
 * rnbd_srv_io_exit() - undo rnbd_srv_io_init()
 *
 * Waits for answers that are on their way.
 */
void rnbd_srv_io_exit(void)
{
	destroy_workqueue(rnbd_srv_bh_wq);
}

#ifdef CONFIG_RNBD_KUNIT_TEST
#include "rnbd-srv-io-test.c"
#endif
