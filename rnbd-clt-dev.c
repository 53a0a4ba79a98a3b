// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RNBD client: a device and the server, from open to lost to open again.
 *
 * A device is opened on the server by its name, and gets an id that its requests
 * carry. It is lost with the session's last path, or when the server says that it
 * does not know the id: I/O fails at once then, and a work item tells userspace,
 * and opens it again when the session is back. The new answer may say another
 * size or other limits, which are taken over, but not another block size: then
 * the device stays closed.
 *
 * All moves from one state to another are made in rnbd_clt_dev_move().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/cleanup.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>

#include "rnbd-clt.h"

static const u8 rnbd_clt_dev_moves[] = {
	[RNBD_CLT_DEV_INIT]	= BIT(RNBD_CLT_DEV_OPEN) |
				  BIT(RNBD_CLT_DEV_UNMAPPED),
	[RNBD_CLT_DEV_OPEN]	= BIT(RNBD_CLT_DEV_CLOSED) |
				  BIT(RNBD_CLT_DEV_UNMAPPED),
	[RNBD_CLT_DEV_CLOSED]	= BIT(RNBD_CLT_DEV_OPEN) |
				  BIT(RNBD_CLT_DEV_UNMAPPED),
	[RNBD_CLT_DEV_UNMAPPED]	= 0,
};

/**
 * rnbd_clt_dev_move() - change the state of a device
 * @dev: the device
 * @to: its new state
 *
 * Nothing else changes it. Link events, answers of the server and administrators
 * race for it; who comes too late is told so.
 *
 * Context: any, with the session's lock held.
 * Return: false if the device cannot move there from where it is.
 */
bool rnbd_clt_dev_move(struct rnbd_clt_dev *dev, enum rnbd_clt_dev_state to)
{
	lockdep_assert_held(&dev->sess->lock);
	if (!(rnbd_clt_dev_moves[dev->state] & BIT(to)))
		return false;
	/* pairs with rnbd_clt_queue_rq(), which uses the id if it sees OPEN */
	smp_store_release(&dev->state, to);
	return true;
}

/**
 * rnbd_clt_dev_lost() - the server has lost the device or closed it
 * @dev: the device
 *
 * Context: any, with the session's lock held.
 * Return: true if it was open until now.
 */
bool rnbd_clt_dev_lost(struct rnbd_clt_dev *dev)
{
	if (!rnbd_clt_dev_move(dev, RNBD_CLT_DEV_CLOSED))
		return false;
	dev->remote = false;
	dev->offline_due = true;
	queue_work(rnbd_clt_wq, &dev->recover_work);
	return true;
}

/**
 * rnbd_clt_dev_disowned() - the server says that it does not know the device
 * @dev: the device
 * @epoch: &rnbd_clt_dev.epoch when the request was sent that it says so about
 *
 * Answers from before the device was opened again say nothing about now.
 *
 * Context: any.
 */
void rnbd_clt_dev_disowned(struct rnbd_clt_dev *dev, u32 epoch)
{
	unsigned long flags;
	bool lost;

	spin_lock_irqsave(&dev->sess->lock, flags);
	lost = epoch == dev->epoch && rnbd_clt_dev_lost(dev);
	spin_unlock_irqrestore(&dev->sess->lock, flags);
	if (lost)
		pr_warn("%s (%s@%s): closed by the server, remap it to go on\n",
			dev->gd->disk_name, dev->path, dev->sess->name);
}

/*
 * Whose id the server has just given to @dev, it has forgotten, and its session
 * with it: a new one took its place without us noticing.
 */
static void rnbd_clt_dev_evict(struct rnbd_clt_dev *dev)
{
	struct rnbd_clt_dev *other;

	list_for_each_entry(other, &dev->sess->devs, node) {
		if (other->state == RNBD_CLT_DEV_OPEN &&
		    other->device_id == dev->device_id &&
		    rnbd_clt_dev_lost(other))
			pr_warn("%s (%s@%s): forgotten by the server, remap it to go on\n",
				other->gd->disk_name, other->path,
				dev->sess->name);
	}
}

/**
 * rnbd_clt_dev_go() - let I/O flow
 * @dev: the device, just opened on the server
 *
 * Context: process.
 * Return: 0; -ECONNABORTED if what was opened has been lost again, -ENODEV if the
 * device has been unmapped.
 */
int rnbd_clt_dev_go(struct rnbd_clt_dev *dev)
{
	struct rnbd_clt_sess *sess = dev->sess;
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&sess->lock, flags);
	if (dev->losses != sess->losses) {
		err = -ECONNABORTED;
	} else {
		rnbd_clt_dev_evict(dev);
		dev->epoch++;
		if (!rnbd_clt_dev_move(dev, RNBD_CLT_DEV_OPEN))
			err = -ENODEV;
	}
	spin_unlock_irqrestore(&sess->lock, flags);
	return err;
}

/**
 * rnbd_clt_dev_close_remote() - close a device on the server, if it is open there
 * @dev: the device; no request of it is under way
 *
 * Context: process, sleeps.
 */
void rnbd_clt_dev_close_remote(struct rnbd_clt_dev *dev)
{
	bool known = dev->losses == READ_ONCE(dev->sess->losses);
	int err = 0;

	if (dev->remote && known)
		err = rnbd_clt_send_close(dev->rtrs, dev->device_id);
	if (err && err != -ECONNABORTED)
		pr_warn("%s@%s: cannot be closed on the server: %pe\n",
			dev->path, dev->sess->name, ERR_PTR(err));
	dev->remote = false;
}

/**
 * rnbd_clt_dev_open_remote() - open a device on the server
 * @dev: the device
 * @rsp: filled with what the server says of it
 *
 * Context: process, sleeps.
 * Return: 0 or a negative errno; then it is not open there.
 */
int rnbd_clt_dev_open_remote(struct rnbd_clt_dev *dev,
			     struct rnbd_dev_limits *rsp)
{
	int err;

	dev->losses = READ_ONCE(dev->sess->losses);
	err = rnbd_clt_send_open(dev->rtrs, dev->path, dev->access_mode, rsp);
	if (err)
		return err;
	dev->device_id = rsp->device_id;
	dev->remote = true;
	if (rnbd_clt_limits_ok(rsp))
		return 0;

	pr_err("%s@%s: a block size of %u bytes is not supported\n",
	       dev->path, dev->sess->name, rsp->logical_block_size);
	rnbd_clt_dev_close_remote(dev);
	return -EINVAL;
}

/**
 * rnbd_clt_dev_uevent() - tell userspace about a device
 * @dev: the device
 * @action: what happened
 *
 * Context: process.
 */
void rnbd_clt_dev_uevent(struct rnbd_clt_dev *dev, enum kobject_action action)
{
	kobject_uevent(&disk_to_dev(dev->gd)->kobj, action);
}

/* Holders of the disk can bear anything to change but its blocks. */
static int rnbd_clt_dev_take_over(struct rnbd_clt_dev *dev,
				  const struct rnbd_dev_limits *rsp)
{
	struct request_queue *q = dev->gd->queue;
	struct queue_limits lim;
	int err;

	if (rsp->logical_block_size != queue_logical_block_size(q)) {
		pr_err("%s (%s@%s): stays closed, block size is %u bytes now, was %u\n",
		       dev->gd->disk_name, dev->path, dev->sess->name,
		       rsp->logical_block_size, queue_logical_block_size(q));
		return -EINVAL;
	}
	lim = queue_limits_start_update(q);
	rnbd_clt_set_limits(&lim, dev->sess, rsp);
	err = queue_limits_commit_update(q, &lim);
	if (err)
		return err;
	set_capacity_and_notify(dev->gd,
				rnbd_clt_whole_blocks(rsp->nsectors,
						      rsp->logical_block_size));
	return 0;
}

static int rnbd_clt_dev_open_again(struct rnbd_clt_dev *dev)
{
	struct rnbd_dev_limits rsp;
	int err;

	/* Whoever saw it open has sent its request by the end of this. */
	synchronize_rcu();

	err = rnbd_clt_dev_open_remote(dev, &rsp);
	if (err) {
		pr_err("%s (%s@%s): stays closed, cannot be opened again: %pe\n",
		       dev->gd->disk_name, dev->path, dev->sess->name,
		       ERR_PTR(err));
		return err;
	}
	err = rnbd_clt_dev_take_over(dev, &rsp);
	if (!err)
		err = rnbd_clt_dev_go(dev);
	if (err)
		rnbd_clt_dev_close_remote(dev);
	return err;
}

/**
 * rnbd_clt_reopen() - open a device on the server again after it was lost
 * @dev: mapped, and its folder in sysfs does not go meanwhile
 *
 * Context: process, sleeps for up to a minute.
 * Return: 0; -EALREADY if it is open, -ECONNABORTED if there is no path, or what
 * the server says.
 */
int rnbd_clt_reopen(struct rnbd_clt_dev *dev)
{
	enum rnbd_clt_dev_state state;
	int err;

	guard(mutex)(&dev->open_lock);
	state = READ_ONCE(dev->state);
	if (state != RNBD_CLT_DEV_CLOSED)
		return state == RNBD_CLT_DEV_OPEN ? -EALREADY : -ENODEV;
	if (!rtrs_clt_connected(dev->rtrs))
		return -ECONNABORTED;

	err = rnbd_clt_dev_open_again(dev);
	if (err)
		return err;
	rnbd_clt_dev_uevent(dev, KOBJ_ONLINE);
	pr_info("%s (%s@%s): open again, %llu sectors\n", dev->gd->disk_name,
		dev->path, dev->sess->name, get_capacity(dev->gd));
	return 0;
}

/**
 * rnbd_clt_recover_work() - deal with a device that was lost, or can be had again
 * @work: rnbd_clt_dev.recover_work
 */
void rnbd_clt_recover_work(struct work_struct *work)
{
	struct rnbd_clt_dev *dev = container_of(work, struct rnbd_clt_dev,
						recover_work);
	unsigned int noio = memalloc_noio_save();
	bool offline, reopen;

	spin_lock_irq(&dev->sess->lock);
	offline = dev->offline_due;
	reopen = dev->reopen_due;
	dev->offline_due = false;
	dev->reopen_due = false;
	spin_unlock_irq(&dev->sess->lock);

	if (offline)
		rnbd_clt_dev_uevent(dev, KOBJ_OFFLINE);
	if (reopen)
		rnbd_clt_reopen(dev);
	memalloc_noio_restore(noio);
}

/**
 * rnbd_clt_resize() - change the size of a device, here and not on the server
 * @dev: mapped, and its folder in sysfs does not go meanwhile
 * @sectors: new size in 512-byte units, rounded down to whole blocks
 *
 * Context: process.
 * Return: 0, or -ENOENT if the device is not open.
 */
int rnbd_clt_resize(struct rnbd_clt_dev *dev, u64 sectors)
{
	unsigned int block_size = queue_logical_block_size(dev->gd->queue);

	guard(mutex)(&dev->open_lock);
	if (READ_ONCE(dev->state) != RNBD_CLT_DEV_OPEN)
		return -ENOENT;
	set_capacity_and_notify(dev->gd,
				rnbd_clt_whole_blocks(sectors, block_size));
	return 0;
}
