// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RNBD server: sessions, messages and the data path.
 *
 * RTRS hands over each request of a client on the worker of a connection, with a
 * private copy of its message and with its data in one piece of memory. An IO
 * message is checked, turned into one bio that points at that memory, and
 * submitted from that worker; the bio's end is the answer. The bio, with our few
 * fields in front of it, is all that is allocated. A reference on the open
 * device is held meanwhile, per CPU, so that I/O and the end of a device meet in
 * no other place.
 *
 * Administrative messages come over the service connection, which also carries
 * the heartbeats and must not be held up. OPEN and CLOSE become work items of
 * their own, so that a device that takes its time to open delays nobody else.
 *
 * Nothing a client says is trusted. What breaks the rules is answered with an
 * errno and a line in the log, and touches nothing. When a session ends, its
 * devices are detached at once: no new I/O reaches them. I/O that is still in
 * the block layer then (of orphans, as RTRS calls them) ends when the block
 * layer says so, is answered into the void, and gives up the device with its
 * last reference. Nobody waits for it except the unloading of the module.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bio.h>
#include <linux/ctype.h>
#include <linux/ioprio.h>
#include <linux/mempool.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "rnbd-srv.h"

MODULE_DESCRIPTION("RDMA network block device, server");
MODULE_LICENSE("GPL");

static unsigned short port_nr = RNBD_DEFAULT_PORT;
module_param(port_nr, ushort, 0444);
MODULE_PARM_DESC(port_nr, "port to listen on (default: " __stringify(RNBD_DEFAULT_PORT) ")");

/* Enough to go on with when memory is short; the rest comes from the heap. */
#define RNBD_SRV_BIO_RESERVE	64
#define RNBD_SRV_ADMIN_RESERVE	64

/**
 * struct rnbd_srv_io - an I/O under way
 * @op: answered when it ends
 * @sess_dev: where it goes, holds a reference
 * @len: bytes to answer with if it succeeds
 * @work: answers it if it ended in hard interrupt context
 * @bio: the last member, its only vector follows
 *
 * Lives in the bio's allocation, from submission until the bio's end.
 */
struct rnbd_srv_io {
	struct rtrs_srv_op		*op;
	struct rnbd_srv_sess_dev	*sess_dev;
	size_t				len;
	struct work_struct		work;
	struct bio			bio;
};

/**
 * struct rnbd_srv_admin - an OPEN or CLOSE on its way to a worker
 * @work: on rnbd_srv_wq
 * @sess: holds a reference
 * @op: keeps the memory that @req points at until it is answered
 * @req: the request
 */
struct rnbd_srv_admin {
	struct work_struct	work;
	struct rnbd_srv_sess	*sess;
	struct rtrs_srv_op	*op;
	struct rtrs_srv_req	req;
};

/*
 * OPEN, CLOSE and the watch over devices. Without WQ_MEM_RECLAIM, because
 * drivers flush ordinary workqueues when they are opened and closed.
 */
struct workqueue_struct *rnbd_srv_wq;

static struct workqueue_struct *rnbd_srv_bh_wq;
static struct bio_set rnbd_srv_bios;
static mempool_t *rnbd_srv_admins;
static struct rtrs_srv_ctx *rnbd_srv_ctx;

/* ----------------------------------------------------------- data path ---- */

static void rnbd_srv_io_done(struct rnbd_srv_io *io)
{
	struct rnbd_srv_sess_dev *sess_dev = io->sess_dev;
	struct rtrs_srv_op *op = io->op;
	int err = blk_status_to_errno(io->bio.bi_status);
	size_t len = err ? 0 : io->len;

	/* Some disks only notice at the first that they do not know it. */
	if (err && bio_op(&io->bio) == REQ_OP_WRITE_ZEROES &&
	    !bdev_write_zeroes_sectors(io->bio.bi_bdev))
		err = -EOPNOTSUPP;
	bio_put(&io->bio);
	rtrs_srv_respond(op, err, len);
	/* Last: the device may go, and the module after it. */
	percpu_ref_put(&sess_dev->ref);
}

static void rnbd_srv_io_work(struct work_struct *work)
{
	rnbd_srv_io_done(container_of(work, struct rnbd_srv_io, work));
}

/* Drivers end bios in any context; RTRS takes answers in all but this one. */
static void rnbd_srv_end_io(struct bio *bio)
{
	struct rnbd_srv_io *io = container_of(bio, struct rnbd_srv_io, bio);

	if (in_hardirq() || irqs_disabled()) {
		INIT_WORK(&io->work, rnbd_srv_io_work);
		queue_work(rnbd_srv_bh_wq, &io->work);
	} else {
		rnbd_srv_io_done(io);
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

/* Cannot fail: the bio set has a reserve, and what is in use comes back. */
static struct rnbd_srv_io *rnbd_srv_io_alloc(struct rnbd_srv_sess_dev *sess_dev,
					     const struct rnbd_io *msg,
					     const struct rtrs_srv_req *req)
{
	struct bio *bio = bio_alloc_bioset(sess_dev->bdev, req->data_len ? 1 : 0,
					   rnbd_srv_opf(msg) | REQ_ALLOC_CACHE,
					   GFP_NOIO, &rnbd_srv_bios);

	/* The sector of a flush means nothing; mainline's is out of range. */
	bio->bi_iter.bi_sector = msg->bi_size ? msg->sector : 0;
	if (req->data_len)
		__bio_add_page(bio, virt_to_page(req->data), req->data_len,
			       offset_in_page(req->data));
	else
		bio->bi_iter.bi_size = msg->bi_size;
	bio->bi_ioprio = rnbd_srv_ioprio(sess_dev->sess, msg->prio);
	bio->bi_end_io = rnbd_srv_end_io;
	return container_of(bio, struct rnbd_srv_io, bio);
}

/* Takes over a reference on @sess_dev, and @op. */
static void rnbd_srv_io_submit(struct rnbd_srv_sess_dev *sess_dev,
			       const struct rnbd_io *msg,
			       struct rtrs_srv_op *op,
			       const struct rtrs_srv_req *req)
{
	struct rnbd_srv_io *io;

	if ((msg->rw & RNBD_OP_MASK) == RNBD_OP_WRITE && !msg->bi_size &&
	    !(msg->rw & (RNBD_F_FUA | RNBD_F_PREFLUSH))) {
		rtrs_srv_respond(op, 0, 0);
		percpu_ref_put(&sess_dev->ref);
		return;
	}
	io = rnbd_srv_io_alloc(sess_dev, msg, req);
	io->op = op;
	io->sess_dev = sess_dev;
	io->len = req->dir == DMA_FROM_DEVICE ? req->data_len : 0;
	submit_bio(&io->bio);
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

/* Returns 0 if @op is answered or will be. */
static int rnbd_srv_io_start(struct rnbd_srv_sess *sess,
			     const struct rnbd_io *msg, struct rtrs_srv_op *op,
			     const struct rtrs_srv_req *req)
{
	struct rnbd_srv_sess_dev *sess_dev;
	int err;

	sess_dev = rnbd_srv_sess_dev_get(sess, msg->device_id);
	if (!sess_dev)
		return -ENOTCONN;
	err = rnbd_srv_check_io(msg, req, sess_dev);
	if (err)
		percpu_ref_put(&sess_dev->ref);
	else
		rnbd_srv_io_submit(sess_dev, msg, op, req);
	return err;
}

static void rnbd_srv_io(struct rnbd_srv_sess *sess, struct rtrs_srv_op *op,
			const struct rtrs_srv_req *req)
{
	struct rnbd_io msg = {};
	int err;

	err = rnbd_io_decode(&msg, req->msg, req->msg_len);
	if (!err)
		err = rnbd_srv_io_start(sess, &msg, op, req);
	if (unlikely(err)) {
		pr_info_ratelimited("%s: refused I/O on device %u, rw %#x, %u bytes at sector %llu: %pe\n",
				    sess->name, msg.device_id, msg.rw,
				    msg.bi_size, msg.sector, ERR_PTR(err));
		rtrs_srv_respond(op, err, 0);
	}
}

/* ------------------------------------------------------ administration ---- */

static void rnbd_srv_sess_free(struct kref *ref)
{
	kfree(container_of(ref, struct rnbd_srv_sess, ref));
}

void rnbd_srv_sess_put(struct rnbd_srv_sess *sess)
{
	kref_put(&sess->ref, rnbd_srv_sess_free);
}

/* A message that makes no sense. */
static void rnbd_srv_refuse(struct rnbd_srv_sess *sess, struct rtrs_srv_op *op,
			    const struct rtrs_srv_req *req, int err)
{
	pr_info_ratelimited("%s: refused a message of type %d, %zu bytes: %pe\n",
			    sess->name, rnbd_msg_type(req->msg, req->msg_len),
			    req->msg_len, ERR_PTR(err));
	rtrs_srv_respond(op, err, 0);
}

static bool rnbd_srv_wants(const struct rtrs_srv_req *req, size_t len)
{
	return req->dir == DMA_FROM_DEVICE && req->data_len >= len;
}

/* Returns 0 if @op is answered. */
static int rnbd_srv_sess_info(struct rnbd_srv_sess *sess,
			      struct rtrs_srv_op *op,
			      const struct rtrs_srv_req *req)
{
	struct rnbd_msg_sess_info rsp;
	int ver = rnbd_sess_info_decode(req->msg, req->msg_len,
					RNBD_MSG_SESS_INFO);

	if (ver < 0 || !rnbd_srv_wants(req, sizeof(rsp)))
		return -EINVAL;

	WRITE_ONCE(sess->version, min(ver, RNBD_PROTO_VER_MAJOR));
	rnbd_sess_info_encode(&rsp, RNBD_MSG_SESS_INFO_RSP,
			      RNBD_PROTO_VER_MAJOR);
	memcpy(req->data, &rsp, sizeof(rsp));
	rtrs_srv_respond(op, 0, sizeof(rsp));
	return 0;
}

/* Returns 0 if @op is answered. */
static int rnbd_srv_open(struct rnbd_srv_sess *sess, struct rtrs_srv_op *op,
			 const struct rtrs_srv_req *req)
{
	const struct rnbd_msg_open *msg = req->msg;
	struct rnbd_msg_open_rsp rsp;
	struct rnbd_dev_limits lim;
	int err;

	if (rnbd_open_check(msg, req->msg_len) ||
	    !rnbd_srv_wants(req, sizeof(rsp)))
		return -EINVAL;
	err = rnbd_srv_dev_open(sess, msg, &lim);
	if (err) {
		pr_info_ratelimited("%s: could not open %*pE: %pe\n", sess->name,
				    (int)strlen(msg->dev_name), msg->dev_name,
				    ERR_PTR(err));
		rtrs_srv_respond(op, err, 0);
		return 0;
	}
	rnbd_open_rsp_encode(&rsp, &lim);
	memcpy(req->data, &rsp, sizeof(rsp));
	rtrs_srv_respond(op, 0, sizeof(rsp));
	return 0;
}

/* Returns 0 if @op is answered or will be. */
static int rnbd_srv_close(struct rnbd_srv_sess *sess, struct rtrs_srv_op *op,
			  const struct rtrs_srv_req *req)
{
	u32 id;
	int err;

	err = rnbd_close_decode(&id, req->msg, req->msg_len);
	if (err)
		return err;
	/* One that is not open is as closed as can be. */
	if (!rnbd_srv_dev_close(sess, id, op))
		rtrs_srv_respond(op, 0, 0);
	return 0;
}

/* Runs what may sleep. A client on this very machine may wait for it to write. */
static void rnbd_srv_admin_work(struct work_struct *work)
{
	struct rnbd_srv_admin *admin =
		container_of(work, struct rnbd_srv_admin, work);
	const struct rtrs_srv_req *req = &admin->req;
	unsigned int noio = memalloc_noio_save();
	int err;

	if (rnbd_msg_type(req->msg, req->msg_len) == RNBD_MSG_OPEN)
		err = rnbd_srv_open(admin->sess, admin->op, req);
	else
		err = rnbd_srv_close(admin->sess, admin->op, req);
	if (err)
		rnbd_srv_refuse(admin->sess, admin->op, req, err);

	memalloc_noio_restore(noio);
	rnbd_srv_sess_put(admin->sess);
	mempool_free(admin, rnbd_srv_admins);
}

/* Returns 0 if @op will be answered. */
static int rnbd_srv_admin(struct rnbd_srv_sess *sess, struct rtrs_srv_op *op,
			  const struct rtrs_srv_req *req)
{
	struct rnbd_srv_admin *admin = mempool_alloc(rnbd_srv_admins, GFP_NOWAIT);

	if (!admin)
		return -ENOMEM;

	INIT_WORK(&admin->work, rnbd_srv_admin_work);
	kref_get(&sess->ref);
	admin->sess = sess;
	admin->op = op;
	admin->req = *req;
	queue_work(rnbd_srv_wq, &admin->work);
	return 0;
}

static void rnbd_srv_request(void *priv, struct rtrs_srv_op *op,
			     const struct rtrs_srv_req *req, bool service)
{
	struct rnbd_srv_sess *sess = priv;
	int err = -EINVAL;

	switch (rnbd_msg_type(req->msg, req->msg_len)) {
	case RNBD_MSG_IO:
		/* submit_bio() sleeps, and heartbeats would wait behind it. */
		if (service)
			break;
		rnbd_srv_io(sess, op, req);
		return;
	case RNBD_MSG_SESS_INFO:
		err = rnbd_srv_sess_info(sess, op, req);
		break;
	case RNBD_MSG_OPEN:
	case RNBD_MSG_CLOSE:
		err = rnbd_srv_admin(sess, op, req);
		break;
	}
	if (err)
		rnbd_srv_refuse(sess, op, req, err);
}

/* The name goes into the log, into sysfs, and into paths that contain clients. */
static bool rnbd_srv_sessname_ok(const char *name)
{
	for (; *name; name++)
		if (iscntrl(*name) || *name == '/' || *name == '.')
			return false;
	return true;
}

static int rnbd_srv_open_sess(struct rtrs_srv_sess *rtrs, void **priv)
{
	const char *name = rtrs_srv_sessname(rtrs);
	size_t size = strlen(name) + 1;
	struct rnbd_srv_sess *sess;

	if (!rnbd_srv_sessname_ok(name))
		return -EINVAL;
	sess = kzalloc(struct_size(sess, name, size), GFP_KERNEL);
	if (!sess)
		return -ENOMEM;

	xa_init_flags(&sess->devs, XA_FLAGS_ALLOC);
	kref_init(&sess->ref);
	memcpy(sess->name, name, size);
	*priv = sess;
	return 0;
}

static void rnbd_srv_close_sess(void *priv)
{
	struct rnbd_srv_sess *sess = priv;

	rnbd_srv_dev_close_all(sess);
	rnbd_srv_sess_put(sess);
}

static const struct rtrs_srv_ops rnbd_srv_ops = {
	.max_msg_len	= sizeof(struct rnbd_msg_open),
	.open_sess	= rnbd_srv_open_sess,
	.close_sess	= rnbd_srv_close_sess,
	.request	= rnbd_srv_request,
};

/* -------------------------------------------------------------- module ---- */

static int __init rnbd_srv_alloc(void)
{
	int err;

	err = bioset_init(&rnbd_srv_bios, RNBD_SRV_BIO_RESERVE,
			  offsetof(struct rnbd_srv_io, bio),
			  BIOSET_NEED_BVECS | BIOSET_PERCPU_CACHE);
	if (err)
		return err;

	err = -ENOMEM;
	rnbd_srv_admins = mempool_create_kmalloc_pool(RNBD_SRV_ADMIN_RESERVE,
						      sizeof(struct rnbd_srv_admin));
	if (!rnbd_srv_admins)
		goto exit_bios;
	rnbd_srv_wq = alloc_workqueue("rnbd_srv", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!rnbd_srv_wq)
		goto destroy_admins;
	rnbd_srv_bh_wq = alloc_workqueue("rnbd_srv_bh", WQ_BH, 0);
	if (!rnbd_srv_bh_wq)
		goto destroy_wq;
	return 0;

destroy_wq:
	destroy_workqueue(rnbd_srv_wq);
destroy_admins:
	mempool_destroy(rnbd_srv_admins);
exit_bios:
	bioset_exit(&rnbd_srv_bios);
	return err;
}

static void rnbd_srv_free(void)
{
	destroy_workqueue(rnbd_srv_bh_wq);
	destroy_workqueue(rnbd_srv_wq);
	mempool_destroy(rnbd_srv_admins);
	bioset_exit(&rnbd_srv_bios);
}

static int __init rnbd_srv_init(void)
{
	int err;

	if (!port_nr) {
		pr_err("port_nr has to be 1..65535\n");
		return -EINVAL;
	}
	err = rnbd_srv_alloc();
	if (err)
		return err;
	err = rnbd_srv_sysfs_init();
	if (err)
		goto free;
	rnbd_srv_ctx = rtrs_srv_open(&rnbd_srv_ops, port_nr);
	if (IS_ERR(rnbd_srv_ctx)) {
		err = PTR_ERR(rnbd_srv_ctx);
		pr_err("could not listen on port %u: %pe\n", port_nr,
		       rnbd_srv_ctx);
		goto exit_sysfs;
	}
	return 0;

exit_sysfs:
	rnbd_srv_sysfs_exit();
free:
	rnbd_srv_free();
	return err;
}

/*
 * RTRS ends all sessions, and waits for the last answer. After the last device
 * is closed too, what can still run here is the end of a function that gave
 * something back: of a bio's end, of a writer to force_close. None of them
 * sleeps any more, so that a grace period of tasks sees them out.
 */
static void __exit rnbd_srv_exit(void)
{
	rtrs_srv_close(rnbd_srv_ctx);
	rnbd_srv_dev_exit();
	rnbd_srv_sysfs_exit();
	rnbd_srv_free();
	synchronize_rcu_tasks();
}

module_init(rnbd_srv_init);
module_exit(rnbd_srv_exit);
