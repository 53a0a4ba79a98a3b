// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RNBD client: a device and the server, from open to lost to open again.
 *
 * A device is opened on the server by its name, and gets an id that its requests
 * carry. It is lost with the session's last path, or when the server says that it
 * does not know the id: I/O fails at once then, and a work item tells userspace,
 * and opens it again when the session is back, for as long as it takes. The new
 * answer may say another size or other limits, which are taken over, but not
 * another block size: then the device stays closed. When the server sends word
 * that a device has changed (USER_EVENT) it is asked in the same way for its size.
 *
 * If an administrator has asked for it, a device that is lost with its session is
 * held for a while instead: its queue is quiesced, what was under way goes back
 * into it, and all of it goes on when the device is open again, or fails when the
 * time is up.
 *
 * A server that was restarted has lost what it had in a volatile cache. Where the
 * device had such writes, acknowledged and not flushed since, nobody may take it
 * for the device it was: it stays closed until it is unmapped.
 *
 * All moves from one state to another are made in rnbd_clt_dev_move().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/cleanup.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>

#include "rnbd-clt.h"
#include "rnbd-clt-trace.h"

static const u8 rnbd_clt_dev_moves[] = {
	[RNBD_CLT_DEV_INIT]	= BIT(RNBD_CLT_DEV_OPEN) |
				  BIT(RNBD_CLT_DEV_UNMAPPED),
	[RNBD_CLT_DEV_OPEN]	= BIT(RNBD_CLT_DEV_HELD) |
				  BIT(RNBD_CLT_DEV_CLOSED) |
				  BIT(RNBD_CLT_DEV_UNMAPPED),
	[RNBD_CLT_DEV_HELD]	= BIT(RNBD_CLT_DEV_OPEN) |
				  BIT(RNBD_CLT_DEV_CLOSED) |
				  BIT(RNBD_CLT_DEV_UNMAPPED),
	[RNBD_CLT_DEV_CLOSED]	= BIT(RNBD_CLT_DEV_OPEN) |
				  BIT(RNBD_CLT_DEV_UNMAPPED),
	[RNBD_CLT_DEV_UNMAPPED]	= 0,
};

/* The queue of a device that is held is quiesced, and no other. */
static void rnbd_clt_dev_gate(struct rnbd_clt_dev *dev,
			      enum rnbd_clt_dev_state from)
{
	if (dev->state == RNBD_CLT_DEV_HELD) {
		blk_mq_quiesce_queue_nowait(dev->gd->queue);
	} else if (from == RNBD_CLT_DEV_HELD) {
		blk_mq_unquiesce_queue(dev->gd->queue);
		blk_mq_kick_requeue_list(dev->gd->queue);
	}
}

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
	enum rnbd_clt_dev_state from = dev->state;

	lockdep_assert_held(&dev->sess->lock);
	if (!(rnbd_clt_dev_moves[from] & BIT(to)))
		return false;
	/* pairs with rnbd_clt_queue_rq(), which uses the id if it sees OPEN */
	smp_store_release(&dev->state, to);
	rnbd_clt_dev_gate(dev, from);
	return true;
}

static bool rnbd_clt_dev_close(struct rnbd_clt_dev *dev)
{
	if (!rnbd_clt_dev_move(dev, RNBD_CLT_DEV_CLOSED))
		return false;
	dev->offline_due = true;
	mod_delayed_work(rnbd_clt_wq, &dev->recover_work, 0);
	return true;
}

static bool rnbd_clt_dev_hold(struct rnbd_clt_dev *dev)
{
	if (!rnbd_clt_dev_move(dev, RNBD_CLT_DEV_HELD))
		return false;
	dev->held_since = jiffies;
	mod_delayed_work(rnbd_clt_wq, &dev->hold_work, dev->hold_sec * HZ);
	return true;
}

/**
 * rnbd_clt_dev_holds() - does I/O wait for a lost server, instead of failing?
 * @dev: the device
 *
 * Context: any.
 * Return: true if so, at the moment.
 */
bool rnbd_clt_dev_holds(const struct rnbd_clt_dev *dev)
{
	enum rnbd_clt_dev_state state = READ_ONCE(dev->state);

	return state == RNBD_CLT_DEV_HELD ||
	       (state == RNBD_CLT_DEV_OPEN && READ_ONCE(dev->hold_sec));
}

/**
 * rnbd_clt_dev_lost() - the server has lost the device or closed it
 * @dev: the device
 * @hold: it may be held, if its administrator wants that
 *
 * Context: any, with the session's lock held.
 * Return: true if it was open until now.
 */
bool rnbd_clt_dev_lost(struct rnbd_clt_dev *dev, bool hold)
{
	if (dev->state != RNBD_CLT_DEV_OPEN)
		return false;
	dev->remote = false;
	return hold && dev->hold_sec ? rnbd_clt_dev_hold(dev) :
				       rnbd_clt_dev_close(dev);
}

/**
 * rnbd_clt_dev_back() - the session of a device is connected again
 * @dev: the device
 * @rebooted: to a server that was loaded anew
 *
 * Context: any, with the session's lock held.
 * Return: false if writes were lost with the server.
 */
bool rnbd_clt_dev_back(struct rnbd_clt_dev *dev, bool rebooted)
{
	bool lost = rebooted && !dev->stale &&
		    (READ_ONCE(dev->unflushed) || atomic_read(&dev->flushes));

	if (lost) {
		dev->stale = true;
		rnbd_clt_dev_close(dev);
	}
	if (dev->stale || dev->disowned ||
	    (dev->state != RNBD_CLT_DEV_CLOSED &&
	     dev->state != RNBD_CLT_DEV_HELD))
		return !lost;
	dev->reopen_failed = 0;
	dev->reopen_due = true;
	mod_delayed_work(rnbd_clt_wq, &dev->recover_work, 0);
	return true;
}

/**
 * rnbd_clt_hold_work() - a device may be held no longer
 * @work: rnbd_clt_dev.hold_work
 */
void rnbd_clt_hold_work(struct work_struct *work)
{
	struct rnbd_clt_dev *dev = container_of(to_delayed_work(work),
						struct rnbd_clt_dev, hold_work);
	bool closed = false;

	spin_lock_irq(&dev->sess->lock);
	/* it may have been open meanwhile, and be held again */
	if (dev->state == RNBD_CLT_DEV_HELD &&
	    !time_before(jiffies, dev->held_since + dev->hold_sec * HZ))
		closed = rnbd_clt_dev_close(dev);
	spin_unlock_irq(&dev->sess->lock);
	if (closed)
		pr_warn("%s (%s@%s): closed, the server was away for %u seconds\n",
			dev->gd->disk_name, dev->path, dev->sess->name,
			dev->hold_sec);
}

/**
 * rnbd_clt_dev_set_hold() - how long I/O waits for a server that is lost
 * @dev: the device
 * @sec: seconds; counted from the loss, also if that has happened already
 *
 * Context: any, with the session's lock held.
 */
void rnbd_clt_dev_set_hold(struct rnbd_clt_dev *dev, unsigned int sec)
{
	unsigned long now = jiffies, end = dev->held_since + sec * HZ;

	lockdep_assert_held(&dev->sess->lock);
	WRITE_ONCE(dev->hold_sec, sec);
	if (dev->state == RNBD_CLT_DEV_HELD)
		mod_delayed_work(rnbd_clt_wq, &dev->hold_work,
				 time_after(end, now) ? end - now : 0);
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
	lost = epoch == dev->epoch && rnbd_clt_dev_lost(dev, false);
	dev->disowned |= lost;
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
		    rnbd_clt_dev_lost(other, false)) {
			other->disowned = true;
			pr_warn("%s (%s@%s): forgotten by the server, remap it to go on\n",
				other->gd->disk_name, other->path,
				dev->sess->name);
		}
	}
}

/**
 * rnbd_clt_dev_look_again() - have the server asked what a device is now
 * @dev: the device; nothing happens unless it is open, since whoever opens it learns
 *	that anyway
 *
 * A server that asks for it all the time has its way once a second.
 *
 * Context: any, with the session's lock held.
 */
void rnbd_clt_dev_look_again(struct rnbd_clt_dev *dev)
{
	lockdep_assert_held(&dev->sess->lock);
	if (dev->state != RNBD_CLT_DEV_OPEN)
		return;
	dev->look_due = true;
	queue_delayed_work(rnbd_clt_wq, &dev->recover_work,
			   time_before(jiffies, dev->looked + HZ) ? HZ : 0);
}

/**
 * rnbd_clt_dev_go() - let I/O flow
 * @dev: the device, just opened on the server
 *
 * Context: process.
 * Return: 0; -ECONNABORTED if what was opened has been lost again, -EIO if the device
 * has lost writes, -ENODEV if it has been unmapped.
 */
int rnbd_clt_dev_go(struct rnbd_clt_dev *dev)
{
	struct rnbd_clt_sess *sess = dev->sess;
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&sess->lock, flags);
	if (dev->losses != sess->losses || !sess->up) {
		err = -ECONNABORTED;
	} else if (dev->stale) {
		err = -EIO;
	} else {
		rnbd_clt_dev_evict(dev);
		dev->epoch++;
		dev->disowned = false;
		dev->reopen_failed = 0;
		if (!rnbd_clt_dev_move(dev, RNBD_CLT_DEV_OPEN))
			err = -ENODEV;
		else if (dev->events != sess->events)
			rnbd_clt_dev_look_again(dev);
	}
	spin_unlock_irqrestore(&sess->lock, flags);
	return err;
}

/**
 * rnbd_clt_dev_close_remote() - close a device on the server, if it is open there
 * @dev: the device; no request of it is going to be sent
 *
 * Context: process, sleeps.
 */
void rnbd_clt_dev_close_remote(struct rnbd_clt_dev *dev)
{
	bool known = dev->losses == READ_ONCE(dev->sess->losses);
	int err = 0;

	/* else it would only wait for a chunk */
	if (dev->remote && known)
		err = rnbd_clt_send_close(dev, dev->losses, dev->device_id);
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
	dev->events = READ_ONCE(dev->sess->events);
	dev->unfit = false;
	err = rnbd_clt_send_open(dev, dev->losses, dev->added, rsp);
	if (err)
		return err;
	dev->device_id = rsp->device_id;
	dev->remote = true;
	if (rnbd_clt_limits_ok(rsp))
		return 0;

	pr_err("%s@%s: a block size of %u bytes is not supported\n",
	       dev->path, dev->sess->name, rsp->logical_block_size);
	dev->unfit = true;
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

/*
 * Mostly nothing has changed. That is worth knowing: who writes to a file in
 * queue/ meanwhile holds the lock of the limits until the requests have ended that
 * are held here.
 */
static int rnbd_clt_dev_take_limits(struct rnbd_clt_dev *dev,
				    const struct rnbd_dev_limits *rsp)
{
	struct request_queue *q = dev->gd->queue;
	struct queue_limits lim = q->limits;

	rnbd_clt_set_limits(&lim, dev->sess, rsp);
	if (!memcmp(&lim, &q->limits, sizeof(lim)))
		return 0;
	lim = queue_limits_start_update(q);
	rnbd_clt_set_limits(&lim, dev->sess, rsp);
	return queue_limits_commit_update(q, &lim);
}

static void rnbd_clt_dev_set_size(struct rnbd_clt_dev *dev, u64 sectors)
{
	unsigned int block_size = queue_logical_block_size(dev->gd->queue);
	sector_t was = get_capacity(dev->gd);

	sectors = rnbd_clt_whole_blocks(sectors, block_size);
	if (sectors < was)
		pr_warn_ratelimited("%s (%s@%s): shrinks from %llu to %llu sectors\n",
				    dev->gd->disk_name, dev->path,
				    dev->sess->name, was, sectors);
	set_capacity_and_notify(dev->gd, sectors);
}

/* Holders of the disk can bear anything to change but its blocks. */
static bool rnbd_clt_dev_same_blocks(struct rnbd_clt_dev *dev,
				     const struct rnbd_dev_limits *rsp)
{
	unsigned int block_size = queue_logical_block_size(dev->gd->queue);

	if (rsp->logical_block_size == block_size)
		return true;
	pr_err("%s (%s@%s): closed, block size is %u bytes now, was %u\n",
	       dev->gd->disk_name, dev->path, dev->sess->name,
	       rsp->logical_block_size, block_size);
	return false;
}

static int rnbd_clt_dev_take_over(struct rnbd_clt_dev *dev,
				  const struct rnbd_dev_limits *rsp)
{
	int err;

	if (!rnbd_clt_dev_same_blocks(dev, rsp)) {
		dev->unfit = true;
		return -EINVAL;
	}
	err = rnbd_clt_dev_take_limits(dev, rsp);
	if (err)
		return err;
	rnbd_clt_dev_set_size(dev, rsp->nsectors);
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
		if (!dev->reopen_failed)
			pr_err("%s (%s@%s): cannot be opened again: %pe\n",
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
 * Return: 0; -EALREADY if it is open, -ECONNABORTED if there is no path, -EIO if
 * it has lost writes, or what the server says.
 */
int rnbd_clt_reopen(struct rnbd_clt_dev *dev)
{
	enum rnbd_clt_dev_state state;
	int err;

	guard(mutex)(&dev->open_lock);
	state = READ_ONCE(dev->state);
	if (state != RNBD_CLT_DEV_CLOSED && state != RNBD_CLT_DEV_HELD)
		return state == RNBD_CLT_DEV_OPEN ? -EALREADY : -ENODEV;
	if (READ_ONCE(dev->stale))
		return -EIO;
	if (!READ_ONCE(dev->sess->up))
		return -ECONNABORTED;

	err = rnbd_clt_dev_open_again(dev);
	if (err)
		return err;
	trace_rnbd_clt_reopen(dev);
	rnbd_clt_dev_uevent(dev, KOBJ_ONLINE);
	pr_info("%s (%s@%s): open again, %llu sectors\n", dev->gd->disk_name,
		dev->path, dev->sess->name, get_capacity(dev->gd));
	return 0;
}

/* It is open on the server, but of no use to us any more. */
static void rnbd_clt_dev_renounce(struct rnbd_clt_dev *dev)
{
	bool lost;

	spin_lock_irq(&dev->sess->lock);
	lost = rnbd_clt_dev_lost(dev, false);
	dev->disowned |= lost;
	spin_unlock_irq(&dev->sess->lock);
	if (!lost)
		return;
	/* whoever saw it open has sent its request by the end of this */
	synchronize_rcu();
	dev->remote = true;
	rnbd_clt_dev_close_remote(dev);
}

/*
 * Where there is no answer the server may have sent one, and believe that we know:
 * so ask again. A session that is lost asks when it is back, and a server that
 * says no does not have the device open, which its requests will say too.
 */
static void rnbd_clt_dev_look_failed(struct rnbd_clt_dev *dev, int err)
{
	if (err == -ECONNABORTED)
		return;
	pr_warn_ratelimited("%s (%s@%s): has changed, but the server does not say how: %pe\n",
			    dev->gd->disk_name, dev->path, dev->sess->name,
			    ERR_PTR(err));
	if (err != -ETIMEDOUT && err != -ENOMEM)
		return;
	spin_lock_irq(&dev->sess->lock);
	rnbd_clt_dev_look_again(dev);
	spin_unlock_irq(&dev->sess->lock);
}

/*
 * OPEN of what is open changes nothing on the server. If it is not open there any
 * more, its requests fail and say so; it is an administrator's to have it again.
 *
 * Of what the answer says only the size is taken over at once: other limits are
 * not to change under I/O, and to wait until there is none could take as long as
 * requests are held. They are when the device is opened next.
 *
 * If the session is lost meanwhile, the answer is of a life that is over, and so is
 * what was open in it: there is nothing to take over and nothing to close.
 */
static void rnbd_clt_dev_look(struct rnbd_clt_dev *dev)
{
	struct rnbd_dev_limits rsp;
	unsigned int losses;
	int err;

	guard(mutex)(&dev->open_lock);
	if (READ_ONCE(dev->state) != RNBD_CLT_DEV_OPEN)
		return;
	losses = READ_ONCE(dev->sess->losses);
	err = rnbd_clt_send_open(dev, losses, true, &rsp);
	if (err)
		rnbd_clt_dev_look_failed(dev, err);
	else if (losses != READ_ONCE(dev->sess->losses))
		return;
	else if (rsp.device_id != dev->device_id || dev->losses != losses)
		rnbd_clt_send_close(dev, losses, rsp.device_id);
	else if (!rnbd_clt_dev_same_blocks(dev, &rsp))
		rnbd_clt_dev_renounce(dev);
	else
		rnbd_clt_dev_set_size(dev, rsp.nsectors);
}

/*
 * A device that could not be opened again: perhaps later. The server may still be
 * starting, or still hold the device for a session of ours that has not ended. Not
 * if there is no path, since then the next one is the time to try, nor if it is
 * not the device it was: nobody needs to wait for that.
 */
static void rnbd_clt_dev_retry(struct rnbd_clt_dev *dev)
{
	if (!READ_ONCE(dev->sess->up))
		return;
	spin_lock_irq(&dev->sess->lock);
	if (dev->unfit || dev->stale) {
		if (dev->state == RNBD_CLT_DEV_HELD)
			rnbd_clt_dev_close(dev);
	} else if (dev->state == RNBD_CLT_DEV_CLOSED ||
		   dev->state == RNBD_CLT_DEV_HELD) {
		dev->reopen_due = true;
		queue_delayed_work(rnbd_clt_wq, &dev->recover_work,
				   HZ << min(dev->reopen_failed, 3U));
		dev->reopen_failed++;
	}
	spin_unlock_irq(&dev->sess->lock);
}

/**
 * rnbd_clt_recover_work() - deal with a device that was lost, or can be had again
 * @work: rnbd_clt_dev.recover_work
 */
void rnbd_clt_recover_work(struct work_struct *work)
{
	struct rnbd_clt_dev *dev = container_of(to_delayed_work(work),
						struct rnbd_clt_dev,
						recover_work);
	unsigned int noio = memalloc_noio_save();
	bool offline, reopen, look;
	int err = 0;

	spin_lock_irq(&dev->sess->lock);
	offline = dev->offline_due;
	reopen = dev->reopen_due;
	dev->offline_due = false;
	dev->reopen_due = false;
	look = dev->look_due;
	dev->look_due = false;
	if (look)
		dev->looked = jiffies;
	spin_unlock_irq(&dev->sess->lock);

	if (offline)
		rnbd_clt_dev_uevent(dev, KOBJ_OFFLINE);
	if (reopen)
		err = rnbd_clt_reopen(dev);
	if (err)
		rnbd_clt_dev_retry(dev);
	if (look)
		rnbd_clt_dev_look(dev);
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
	guard(mutex)(&dev->open_lock);
	if (READ_ONCE(dev->state) != RNBD_CLT_DEV_OPEN)
		return -ENOENT;
	rnbd_clt_dev_set_size(dev, sectors);
	return 0;
}

#ifdef CONFIG_RNBD_KUNIT_TEST
#include "rnbd-clt-dev-test.c"
#endif
