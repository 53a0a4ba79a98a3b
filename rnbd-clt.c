// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RNBD client: sessions and devices.
 *
 * rnbd_clt_map() looks for the session, connects it if it has to, opens the
 * device on the server and adds a disk for it. rnbd_clt_unmap_begin() and
 * rnbd_clt_unmap_finish() take it away again; the last device of a session
 * closes it.
 *
 * Recovery. When RTRS says that a session has lost its last path, its devices
 * are closed: I/O fails at once, userspace is told by an OFFLINE uevent; or they
 * are held, if that was asked for. What was in flight has been failed by RTRS.
 * When it says that there is a path again, every device is opened again by its
 * name, takes over the size it has now, and is announced as ONLINE. A device that
 * the server closed by itself, which its answers to I/O tell (-ENOTCONN), waits
 * for an administrator to remap it.
 *
 * The id of a device means something only to the server's session that gave it
 * out. A server that lost the session may give the same id to another device, so
 * no request with an old id may be under way when the client opens devices
 * again: RTRS fails those it knows about and sends none before
 * rnbd_clt_link_ev() has returned, and that waits for those that were just about
 * to be handed to it.
 *
 * Taking a device away waits until all its requests are done, and none may be
 * given up while a path lives on which the server could still answer it, or
 * carry it out. So a forced unmap of the last device of a session cuts the
 * session off. With other devices on the session that would punish them for a
 * server that is slow with this one: there the disk disappears at once, new I/O
 * fails, and what is left of it goes when the server has answered, or when the
 * session ends.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/cleanup.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/reboot.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "rnbd-clt.h"
#include "rnbd-clt-trace.h"

#define RNBD_CLT_MINOR_BITS	6	/* the disk and 63 partitions */
#define RNBD_CLT_FORCE_TIMEOUT	(5 * HZ)

static int rnbd_clt_major;
static DEFINE_IDA(rnbd_clt_minors);

/* Recovery of devices: it is how dirty pages get out. */
struct workqueue_struct *rnbd_clt_wq;

static DEFINE_MUTEX(rnbd_clt_sess_list_lock);
static LIST_HEAD(rnbd_clt_sess_list);

/* Devices in memory; some outlive their mapping, but not the module. */
static atomic_t rnbd_clt_dev_cnt;

/* --------------------------------------------------------- link events ---- */

static void rnbd_clt_sess_lost(struct rnbd_clt_sess *sess)
{
	unsigned int cnt = 0;
	struct rnbd_clt_dev *dev;

	spin_lock_irq(&sess->lock);
	WRITE_ONCE(sess->up, false);
	WRITE_ONCE(sess->losses, sess->losses + 1);
	list_for_each_entry(dev, &sess->devs, node) {
		dev->reopen_due = false;
		cnt += rnbd_clt_dev_lost(dev, true);
	}
	spin_unlock_irq(&sess->lock);

	/* No request with an old id is sent from here on: see above. */
	synchronize_rcu();
	if (cnt)
		pr_warn("session %s: no path left, %u devices closed or held\n",
			sess->name, cnt);
}

static void rnbd_clt_sess_is_up(struct rnbd_clt_sess *sess)
{
	spin_lock_irq(&sess->lock);
	WRITE_ONCE(sess->up, true);
	spin_unlock_irq(&sess->lock);
}

static void rnbd_clt_sess_back(struct rnbd_clt_sess *sess)
{
	struct rtrs_clt_sess *rtrs = READ_ONCE(sess->rtrs);
	unsigned int lost = 0;
	struct rnbd_clt_dev *dev;
	uuid_t boot_id;
	bool rebooted;

	/* Still being set up: then all is yet to be said. */
	if (!rtrs) {
		rnbd_clt_sess_is_up(sess);
		return;
	}
	rtrs_clt_boot_id(rtrs, &boot_id);
	rebooted = !uuid_equal(&boot_id, &sess->boot_id);
	sess->boot_id = boot_id;
	rnbd_clt_sess_info_nowait(rtrs);

	spin_lock_irq(&sess->lock);
	/* no device has been opened on it before its writes are accounted for */
	WRITE_ONCE(sess->up, true);
	list_for_each_entry(dev, &sess->devs, node)
		lost += !rnbd_clt_dev_back(dev, rebooted);
	spin_unlock_irq(&sess->lock);
	pr_info("session %s: there is a path again\n", sess->name);
	if (lost)
		pr_err("session %s: the server was restarted, and %u devices lost writes that were not flushed: unmap them\n",
		       sess->name, lost);
}

/*
 * Takes no mutex: whoever closes the session holds one while RTRS waits for this
 * to return.
 */
static void rnbd_clt_link_ev(void *priv, enum rtrs_clt_link_ev ev)
{
	unsigned int noio = memalloc_noio_save();

	if (ev == RTRS_CLT_LINK_EV_CONNECTED)
		rnbd_clt_sess_back(priv);
	else
		rnbd_clt_sess_lost(priv);
	memalloc_noio_restore(noio);
}

/* The server says that one of our devices has another size. */
static void rnbd_clt_event(void *priv, u32 payload)
{
	struct rnbd_clt_sess *sess = priv;
	struct rnbd_clt_dev *dev;
	unsigned long flags;

	spin_lock_irqsave(&sess->lock, flags);
	/* for a device that has been opened, and does not know its id yet */
	WRITE_ONCE(sess->events, sess->events + 1);
	list_for_each_entry(dev, &sess->devs, node)
		if ((dev->device_id & RNBD_EVENT_ID_MASK) == payload)
			rnbd_clt_dev_look_again(dev);
	spin_unlock_irqrestore(&sess->lock, flags);
}

static const struct rtrs_clt_ops rnbd_clt_rtrs_ops = {
	.link_ev = rnbd_clt_link_ev,
	.event = rnbd_clt_event,
};

/* ------------------------------------------------------------ sessions ---- */

static struct rnbd_clt_sess *rnbd_clt_sess_find(const char *name)
{
	struct rnbd_clt_sess *sess;

	list_for_each_entry(sess, &rnbd_clt_sess_list, node)
		if (!strcmp(sess->name, name))
			return sess;
	return NULL;
}

/* The session of that name; connected or not, rnbd_clt_sess_admit() will see. */
static struct rnbd_clt_sess *rnbd_clt_sess_get(const char *name)
{
	struct rnbd_clt_sess *sess;

	guard(mutex)(&rnbd_clt_sess_list_lock);
	sess = rnbd_clt_sess_find(name);
	if (!sess) {
		sess = kzalloc(sizeof(*sess), GFP_KERNEL);
		if (!sess)
			return NULL;
		mutex_init(&sess->mutex);
		spin_lock_init(&sess->lock);
		INIT_LIST_HEAD(&sess->devs);
		strscpy(sess->name, name);
		list_add_tail(&sess->node, &rnbd_clt_sess_list);
	}
	sess->users++;
	return sess;
}

static void rnbd_clt_sess_put(struct rnbd_clt_sess *sess)
{
	guard(mutex)(&rnbd_clt_sess_list_lock);
	if (--sess->users)
		return;
	list_del(&sess->node);
	kfree(sess);
}

/* No device is left, or there never was one. */
static void rnbd_clt_sess_disconnect(struct rnbd_clt_sess *sess)
{
	rtrs_clt_close(sess->rtrs);
	WRITE_ONCE(sess->rtrs, NULL);
	rnbd_clt_free_tag_set(sess);
}

static int rnbd_clt_sess_set_up(struct rnbd_clt_sess *sess)
{
	const struct rtrs_clt_attrs *attrs = &sess->attrs;
	int ver, err;

	rtrs_clt_query(sess->rtrs, &sess->attrs);
	rtrs_clt_boot_id(sess->rtrs, &sess->boot_id);
	ver = rnbd_clt_sess_info(sess->rtrs);
	if (ver < 0)
		return ver;
	err = rnbd_clt_alloc_tag_set(sess);
	if (err)
		return err;
	pr_info("session %s: connected, protocol %d, %u requests of %u bytes, %u+%u queues\n",
		sess->name, ver, sess->tag_set.queue_depth, attrs->max_io_size,
		attrs->nr_queues, attrs->nr_poll_queues);
	return 0;
}

/* What an administrator may not guess from an errno. */
static const char *rnbd_clt_hint(int err)
{
	return err == -EUSERS ? ", a limit of the server, whose log says which" : "";
}

static int rnbd_clt_sess_connect(struct rnbd_clt_sess *sess,
				 const struct rnbd_clt_map_opts *opts)
{
	const struct rtrs_clt_params params = {
		.sessname	= sess->name,
		.paths		= opts->paths,
		.path_cnt	= opts->path_cnt,
		.nr_poll_queues	= opts->nr_poll_queues,
		.queue_depth	= opts->queue_depth,
		.max_msg_len	= sizeof(struct rnbd_msg_open),
	};
	struct rtrs_clt_sess *rtrs;
	int err;

	if (opts->path_err)
		return opts->path_err;
	if (!opts->path_cnt)
		return -ENXIO;

	sess->wanted_depth = opts->queue_depth;
	rnbd_clt_sess_is_up(sess);
	rtrs = rtrs_clt_open(&params, &rnbd_clt_rtrs_ops, sess);
	if (IS_ERR(rtrs)) {
		pr_err("session %s: cannot connect: %pe%s\n", sess->name, rtrs,
		       rnbd_clt_hint(PTR_ERR(rtrs)));
		return PTR_ERR(rtrs);
	}
	WRITE_ONCE(sess->rtrs, rtrs);
	err = rnbd_clt_sess_set_up(sess);
	if (err) {
		pr_err("session %s: cannot be set up: %pe\n", sess->name,
		       ERR_PTR(err));
		rnbd_clt_sess_disconnect(sess);
	}
	return err;
}

static bool rnbd_clt_sess_has(struct rnbd_clt_sess *sess, const char *path)
{
	struct rnbd_clt_dev *dev;

	list_for_each_entry(dev, &sess->devs, node)
		if (!strcmp(dev->path, path))
			return true;
	return false;
}

/*
 * A session keeps its depth. Who maps all devices of one with the same words, or with
 * what they see it has, means nothing else.
 */
static int rnbd_clt_sess_check_depth(const struct rnbd_clt_sess *sess,
				     unsigned int depth)
{
	if (!depth || depth == sess->wanted_depth ||
	    depth == sess->attrs.queue_depth)
		return 0;
	pr_err("session %s: is there already, with queue_depth=%u\n",
	       sess->name, sess->attrs.queue_depth);
	return -EINVAL;
}

/* May such a device be mapped on this session? Connects it if need be. */
static int rnbd_clt_sess_admit(struct rnbd_clt_sess *sess,
			       const struct rnbd_clt_map_opts *opts)
{
	int err;

	if (!sess->rtrs)
		return rnbd_clt_sess_connect(sess, opts);

	if (opts->nr_poll_queues ||
	    (!opts->nr_poll_given && sess->attrs.nr_poll_queues))
		return -EINVAL;
	err = rnbd_clt_sess_check_depth(sess, opts->queue_depth);
	if (err)
		return err;
	if (rnbd_clt_sess_has(sess, opts->device_path))
		return -EEXIST;
	if (!READ_ONCE(sess->up))
		return -ECONNABORTED;
	return sess->share_q ? 0 : rnbd_clt_share_tags(sess);
}

static int rnbd_clt_sess_join(struct rnbd_clt_dev *dev,
			      const struct rnbd_clt_map_opts *opts)
{
	struct rnbd_clt_sess *sess = rnbd_clt_sess_get(opts->sessname);
	int err;

	if (!sess)
		return -ENOMEM;
	mutex_lock(&sess->mutex);
	err = rnbd_clt_sess_admit(sess, opts);
	if (!err) {
		dev->sess = sess;
		dev->rtrs = sess->rtrs;
		spin_lock_irq(&sess->lock);
		list_add_tail(&dev->node, &sess->devs);
		spin_unlock_irq(&sess->lock);
	}
	mutex_unlock(&sess->mutex);
	if (err)
		rnbd_clt_sess_put(sess);
	return err;
}

static void rnbd_clt_sess_leave(struct rnbd_clt_dev *dev)
{
	struct rnbd_clt_sess *sess = dev->sess;

	mutex_lock(&sess->mutex);
	spin_lock_irq(&sess->lock);
	list_del(&dev->node);
	spin_unlock_irq(&sess->lock);
	if (list_is_singular(&sess->devs))
		rnbd_clt_unshare_tags(sess);
	if (list_empty(&sess->devs)) {
		rnbd_clt_sess_disconnect(sess);
		pr_info("session %s: closed\n", sess->name);
	}
	mutex_unlock(&sess->mutex);
	rnbd_clt_sess_put(sess);
}

/* Are all devices of the session on their way out, one of them by force? */
static bool rnbd_clt_sess_deserted(struct rnbd_clt_sess *sess)
{
	struct rnbd_clt_dev *dev;
	bool forced = false;

	list_for_each_entry(dev, &sess->devs, node) {
		if (READ_ONCE(dev->state) != RNBD_CLT_DEV_UNMAPPED)
			return false;
		forced |= dev->forced;
	}
	return forced;
}

/* Cut the session off, if that hurts no device that is to stay. */
static void rnbd_clt_sess_cut(struct rnbd_clt_sess *sess)
{
	struct rnbd_clt_dev *dev;

	guard(mutex)(&sess->mutex);
	if (!rnbd_clt_sess_deserted(sess))
		return;
	list_for_each_entry(dev, &sess->devs, node)
		WRITE_ONCE(dev->cut, true);
	rtrs_clt_abort(sess->rtrs);
}

/* --------------------------------------------------------------- disks ---- */

/*
 * The block layer calls this under gd->open_mutex, and rnbd_clt_unmap_begin()
 * counts who has it open under the same.
 */
static int rnbd_clt_bdev_open(struct gendisk *gd, blk_mode_t mode)
{
	struct rnbd_clt_dev *dev = gd->private_data;

	if (READ_ONCE(dev->state) == RNBD_CLT_DEV_UNMAPPED)
		return -ENXIO;
	if (mode & BLK_OPEN_WRITE && dev->access_mode == RNBD_ACCESS_RO)
		return -EACCES;
	return 0;
}

static int rnbd_clt_bdev_set_read_only(struct block_device *bdev, bool ro)
{
	struct rnbd_clt_dev *dev = bdev->bd_disk->private_data;

	return !ro && dev->access_mode == RNBD_ACCESS_RO ? -EACCES : 0;
}

static void rnbd_clt_bdev_free_disk(struct gendisk *gd)
{
	struct rnbd_clt_dev *dev = gd->private_data;

	kobject_put(&dev->kobj);
}

static const struct block_device_operations rnbd_clt_bdev_ops = {
	.owner		= THIS_MODULE,
	.open		= rnbd_clt_bdev_open,
	.set_read_only	= rnbd_clt_bdev_set_read_only,
	.free_disk	= rnbd_clt_bdev_free_disk,
};

static int rnbd_clt_dev_alloc_disk(struct rnbd_clt_dev *dev,
				   const struct rnbd_dev_limits *rsp)
{
	struct queue_limits lim = { };
	struct gendisk *gd;

	rnbd_clt_set_limits(&lim, dev->sess, rsp);
	gd = blk_mq_alloc_disk(&dev->sess->tag_set, &lim, dev);
	if (IS_ERR(gd))
		return PTR_ERR(gd);
	dev->gd = gd;
	dev->minor_idx = ida_alloc_max(&rnbd_clt_minors,
				       MINORMASK >> RNBD_CLT_MINOR_BITS,
				       GFP_KERNEL);
	if (dev->minor_idx < 0)
		return dev->minor_idx;

	gd->major = rnbd_clt_major;
	gd->first_minor = dev->minor_idx << RNBD_CLT_MINOR_BITS;
	gd->minors = 1 << RNBD_CLT_MINOR_BITS;
	gd->fops = &rnbd_clt_bdev_ops;
	gd->private_data = dev;
	snprintf(gd->disk_name, sizeof(gd->disk_name), "rnbd%d",
		 dev->minor_idx);
	set_capacity(gd, rnbd_clt_whole_blocks(rsp->nsectors,
					       rsp->logical_block_size));
	set_disk_ro(gd, dev->access_mode == RNBD_ACCESS_RO);
	rnbd_clt_set_timeout(dev, dev->timeout_sec);
	return 0;
}

static int rnbd_clt_dev_add_disk(struct rnbd_clt_dev *dev)
{
	int err;

	/* For the disk, until rnbd_clt_bdev_free_disk(). */
	kobject_get(&dev->kobj);
	err = add_disk(dev->gd);
	if (err)
		kobject_put(&dev->kobj);
	else
		dev->added = true;
	return err;
}

static void rnbd_clt_dev_del_disk(struct rnbd_clt_dev *dev)
{
	if (dev->added && dev->forced)
		blk_mark_disk_dead(dev->gd);
	if (dev->added)
		del_gendisk(dev->gd);
	if (dev->gd)
		put_disk(dev->gd);
	if (dev->minor_idx >= 0)
		ida_free(&rnbd_clt_minors, dev->minor_idx);
}

/* ------------------------------------------------------- map and unmap ---- */

static void rnbd_clt_remove_work(struct work_struct *work);

static struct rnbd_clt_dev *
rnbd_clt_dev_alloc(const struct rnbd_clt_map_opts *opts)
{
	struct rnbd_clt_dev *dev = kzalloc(sizeof(*dev), GFP_KERNEL);

	if (!dev)
		return NULL;
	dev->path = kstrdup(opts->device_path, GFP_KERNEL);
	if (!dev->path) {
		kfree(dev);
		return NULL;
	}
	dev->access_mode = opts->access_mode;
	dev->minor_idx = -1;
	mutex_init(&dev->open_lock);
	dev->hold_sec = opts->hold_sec;
	dev->timeout_sec = opts->timeout_sec;
	INIT_DELAYED_WORK(&dev->recover_work, rnbd_clt_recover_work);
	INIT_DELAYED_WORK(&dev->hold_work, rnbd_clt_hold_work);
	INIT_WORK(&dev->remove_work, rnbd_clt_remove_work);
	init_completion(&dev->removed);
	kobject_init(&dev->kobj, &rnbd_clt_dev_ktype);
	atomic_inc(&rnbd_clt_dev_cnt);
	return dev;
}

/**
 * rnbd_clt_dev_release() - the last reference to a device is gone
 * @kobj: its kobject
 */
void rnbd_clt_dev_release(struct kobject *kobj)
{
	struct rnbd_clt_dev *dev = container_of(kobj, struct rnbd_clt_dev,
						kobj);

	kfree(dev->path);
	kfree(dev);
	if (atomic_dec_and_test(&rnbd_clt_dev_cnt))
		wake_up_var(&rnbd_clt_dev_cnt);
}

/*
 * Show the device to the world. Once there is an unmap_device, somebody else can
 * have unmapped it: that comes last, and nothing may be touched after it.
 */
static int rnbd_clt_dev_publish(struct rnbd_clt_dev *dev)
{
	int err;

	err = rnbd_clt_dev_add_disk(dev);
	if (err)
		return err;
	err = rnbd_clt_sysfs_add_dev(dev);
	if (err)
		return err;
	trace_rnbd_clt_map(dev);
	pr_info("%s (%s@%s): mapped, %llu sectors\n", dev->gd->disk_name,
		dev->path, dev->sess->name, get_capacity(dev->gd));
	rnbd_clt_dev_uevent(dev, KOBJ_ONLINE);
	return rnbd_clt_sysfs_add_unmap(dev);
}

static int rnbd_clt_dev_attach(struct rnbd_clt_dev *dev)
{
	struct rnbd_dev_limits rsp;
	int err;

	err = rnbd_clt_dev_open_remote(dev, &rsp);
	if (err)
		return err;
	err = rnbd_clt_dev_alloc_disk(dev, &rsp);
	if (err)
		return err;
	err = rnbd_clt_dev_go(dev);
	if (err)
		return err;
	return rnbd_clt_dev_publish(dev);
}

/*
 * Take apart what there is of an unmapped device. In this order: what it waits
 * for must end, nobody may find it any more, nobody may work on it, then it goes
 * layer by layer.
 */
static void rnbd_clt_dev_remove(struct rnbd_clt_dev *dev)
{
	rnbd_clt_sess_cut(dev->sess);
	rnbd_clt_sysfs_del_dev(dev);
	/* both look at the state, and queue nothing any more */
	cancel_delayed_work_sync(&dev->hold_work);
	cancel_delayed_work_sync(&dev->recover_work);
	rnbd_clt_dev_del_disk(dev);
	rnbd_clt_dev_close_remote(dev);
	rnbd_clt_sess_leave(dev);
}

static bool rnbd_clt_dev_retire(struct rnbd_clt_dev *dev, bool force)
{
	bool ours;

	spin_lock_irq(&dev->sess->lock);
	ours = rnbd_clt_dev_move(dev, RNBD_CLT_DEV_UNMAPPED);
	if (ours)
		dev->forced = force;
	spin_unlock_irq(&dev->sess->lock);
	return ours;
}

/**
 * rnbd_clt_map() - map a device
 * @opts: what and how
 *
 * Context: process, sleeps for as long as it takes to connect.
 * Return: 0 and the disk is there, or a negative errno and nothing is left.
 */
int rnbd_clt_map(const struct rnbd_clt_map_opts *opts)
{
	struct rnbd_clt_dev *dev;
	int err;

	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	dev = rnbd_clt_dev_alloc(opts);
	if (!dev) {
		err = -ENOMEM;
		goto put_module;
	}
	err = rnbd_clt_sess_join(dev, opts);
	if (err)
		goto put_dev;
	err = rnbd_clt_dev_attach(dev);
	if (!err)
		return 0;

	pr_err("%s@%s: cannot be mapped: %pe\n", opts->device_path,
	       opts->sessname, ERR_PTR(err));
	rnbd_clt_dev_retire(dev, false);
	rnbd_clt_dev_remove(dev);
put_dev:
	kobject_put(&dev->kobj);
put_module:
	module_put(THIS_MODULE);
	return err;
}

/**
 * rnbd_clt_unmap_begin() - decide that a device goes
 * @dev: mapped, and its folder in sysfs does not go meanwhile
 * @force: even if somebody has it open
 *
 * On success nobody else will unmap it, nobody can open it any more, and its I/O
 * fails; rnbd_clt_unmap_finish() must follow.
 *
 * Context: process. With @force it waits for nothing.
 * Return: 0; -EBUSY if somebody has it open, -EALREADY if it is being unmapped,
 * -EINTR if the caller was killed while somebody was opening it.
 */
int rnbd_clt_unmap_begin(struct rnbd_clt_dev *dev, bool force)
{
	int err = 0;

	if (force)
		return rnbd_clt_dev_retire(dev, true) ? 0 : -EALREADY;

	if (READ_ONCE(dev->state) == RNBD_CLT_DEV_UNMAPPED)
		return -EALREADY;
	if (mutex_lock_killable(&dev->gd->open_mutex))
		return -EINTR;
	if (disk_openers(dev->gd))
		err = -EBUSY;
	else if (!rnbd_clt_dev_retire(dev, false))
		err = -EALREADY;
	mutex_unlock(&dev->gd->open_mutex);
	return err;
}

static void rnbd_clt_remove_work(struct work_struct *work)
{
	struct rnbd_clt_dev *dev = container_of(work, struct rnbd_clt_dev,
						remove_work);

	trace_rnbd_clt_unmap(dev);
	pr_info("%s (%s@%s): unmapped%s\n", dev->gd->disk_name, dev->path,
		dev->sess->name, dev->forced ? " by force" : "");
	rnbd_clt_dev_remove(dev);
	complete(&dev->removed);
	kobject_put(&dev->kobj);
	module_put(THIS_MODULE);
}

/**
 * rnbd_clt_unmap_finish() - take a device away
 * @dev: the caller holds a reference, and no protection of its folder
 * @force: as for rnbd_clt_unmap_begin()
 *
 * Returns when it is gone. If it was forced, and the session cannot be cut off
 * for the sake of other devices on it, what the server does not answer may take
 * longer: the folder is gone then, and the node unless somebody who has it open
 * waits for I/O himself; the rest follows by itself.
 *
 * Context: process, sleeps.
 */
void rnbd_clt_unmap_finish(struct rnbd_clt_dev *dev, bool force)
{
	/* Waits for disks and for RTRS, so it is none for a reclaim queue. */
	queue_work(system_unbound_wq, &dev->remove_work);
	while (!wait_for_completion_timeout(&dev->removed,
					    RNBD_CLT_FORCE_TIMEOUT)) {
		if (!force || READ_ONCE(dev->cut))
			continue;
		pr_warn("rnbd%d (%s): unmapped, but the server does not answer its requests; other devices use the session, so it is not cut off\n",
			dev->minor_idx, dev->path);
		return;
	}
}

/* -------------------------------------------------------------- module ---- */

static void rnbd_clt_sess_unhold(struct rnbd_clt_sess *sess)
{
	struct rnbd_clt_dev *dev;

	spin_lock_irq(&sess->lock);
	list_for_each_entry(dev, &sess->devs, node)
		rnbd_clt_dev_set_hold(dev, 0);
	spin_unlock_irq(&sess->lock);
}

/* The machine goes down, and is not to wait for a server that may not come. */
static int rnbd_clt_reboot(struct notifier_block *nb, unsigned long action,
			   void *data)
{
	struct rnbd_clt_sess *sess;

	guard(mutex)(&rnbd_clt_sess_list_lock);
	list_for_each_entry(sess, &rnbd_clt_sess_list, node)
		rnbd_clt_sess_unhold(sess);
	return NOTIFY_DONE;
}

static struct notifier_block rnbd_clt_reboot_nb = {
	.notifier_call = rnbd_clt_reboot,
};

static int __init rnbd_clt_init(void)
{
	int err = -ENOMEM;

	rnbd_clt_wq = alloc_workqueue("rnbd_client",
				      WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!rnbd_clt_wq)
		return err;
	rnbd_clt_major = register_blkdev(0, "rnbd");
	if (rnbd_clt_major < 0) {
		err = rnbd_clt_major;
		goto destroy_wq;
	}
	err = rnbd_clt_sysfs_init();
	if (err)
		goto unregister_blkdev;
	register_reboot_notifier(&rnbd_clt_reboot_nb);
	return 0;

unregister_blkdev:
	unregister_blkdev(rnbd_clt_major, "rnbd");
destroy_wq:
	destroy_workqueue(rnbd_clt_wq);
	return err;
}

/*
 * A mapped device holds a reference on the module, so there is none, and no
 * session; a writer to map_device that comes now gets none either.
 *
 * But some code of the module can still be running. The disk of a device that
 * somebody held open goes when the core has dropped its reference on us. And who
 * drops the last one is itself running here: the work that took a device apart,
 * and the writer to its unmap_device, which sysfs no longer waits for, since it
 * had to give up its protection for the file to be removed. Both only return
 * after that, without sleeping, and a grace period of RCU tasks outlasts it.
 */
static void __exit rnbd_clt_exit(void)
{
	unregister_reboot_notifier(&rnbd_clt_reboot_nb);
	rnbd_clt_sysfs_exit();
	wait_var_event(&rnbd_clt_dev_cnt, !atomic_read(&rnbd_clt_dev_cnt));
	synchronize_rcu_tasks();
	unregister_blkdev(rnbd_clt_major, "rnbd");
	destroy_workqueue(rnbd_clt_wq);
	ida_destroy(&rnbd_clt_minors);
}

module_init(rnbd_clt_init);
module_exit(rnbd_clt_exit);

MODULE_DESCRIPTION("RDMA network block device client");
MODULE_LICENSE("GPL");
