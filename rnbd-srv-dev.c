// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RNBD server: block devices, from OPEN to their closing.
 *
 * OPEN finds the device below dev_search_path and opens it for the session. All
 * that is open of one device, by whatever session, is kept together: at most one
 * client writes, or two while a machine migrates, and any number reads.
 *
 * An open device ends in two steps. It is detached: no I/O finds it any more, its
 * entry in sysfs goes, and its right to write is free for others. When the last
 * I/O under way has ended, it is closed. The client's CLOSE, force_close, the end
 * of the session and the removal of the device all take this same way, and
 * whoever comes first under rnbd_srv_lock does it.
 *
 * That the right to write goes with the first step is on purpose. A client that
 * lost its session comes back and opens its devices again, while its last writes
 * may hang in a slow disk for as long as they like. Whoever writes to the same
 * sectors then waits for them (rnbd-srv-order.c).
 *
 * Devices are opened without a holder, since a holder would lock out others who
 * rightly use the device, and so nobody tells us when one is removed or has
 * another size. Therefore all are looked at once a second. What is gone is
 * detached, so that nothing here keeps a removed device in memory; and who has
 * a device open that has grown or shrunk is told so.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/moduleparam.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait_bit.h>

#include "rnbd-srv.h"

#define SESSNAME_MARK	"%SESSNAME%"

#define RNBD_SRV_IDS	XA_LIMIT(0, RNBD_EVENT_ID_MASK)

/* Protects what rnbd-srv.h says. Taken in process context, and nothing inside. */
static DEFINE_MUTEX(rnbd_srv_lock);
static LIST_HEAD(rnbd_srv_devs);

/* Those that are allocated: the module must outlive them. */
static atomic_t rnbd_srv_nr_sess_devs = ATOMIC_INIT(0);

/* ----------------------------------------------------- dev_search_path ---- */

/* Room is left for a slash and a name. Protected by the lock of parameters. */
static char dev_search_path[PATH_MAX - RNBD_NAME_LEN] = "/";

static int dev_search_path_set(const char *val, const struct kernel_param *kp)
{
	size_t len = strcspn(val, "\n");

	if (*val != '/' || len >= sizeof(dev_search_path)) {
		pr_err("dev_search_path has to be an absolute path of less than %zu bytes\n",
		       sizeof(dev_search_path));
		return -EINVAL;
	}
	memcpy(dev_search_path, val, len);
	dev_search_path[len] = '\0';
	return 0;
}

static int dev_search_path_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", dev_search_path);
}

static const struct kernel_param_ops dev_search_path_ops = {
	.set = dev_search_path_set,
	.get = dev_search_path_get,
};

module_param_cb(dev_search_path, &dev_search_path_ops, NULL, 0644);
MODULE_PARM_DESC(dev_search_path,
		 "folder that clients find devices in, " SESSNAME_MARK
		 " stands for the session's name (default: /)");

static unsigned int max_session_devices = 1024;
module_param(max_session_devices, uint, 0644);
MODULE_PARM_DESC(max_session_devices,
		 "devices that a session may have open (default: 1024)");

/**
 * struct rnbd_srv_path - a path that is being put together
 * @len: so far; PATH_MAX and more if it has become too long
 * @str: text, NUL terminated if it is not too long
 */
struct rnbd_srv_path {
	size_t	len;
	char	str[PATH_MAX];
};

static void rnbd_srv_path_add(struct rnbd_srv_path *path, const char *str,
			      size_t n)
{
	for (; n; n--, str++) {
		if (*str == '/' && path->len && path->len < PATH_MAX &&
		    path->str[path->len - 1] == '/')
			continue;
		if (path->len < PATH_MAX)
			path->str[path->len] = *str;
		path->len++;
	}
}

static void rnbd_srv_path_add_str(struct rnbd_srv_path *path, const char *str)
{
	rnbd_srv_path_add(path, str, strlen(str));
}

static void rnbd_srv_path_add_search(struct rnbd_srv_path *path,
				     const char *search, const char *sessname)
{
	const char *rest = search;
	const char *mark;

	while ((mark = strstr(rest, SESSNAME_MARK))) {
		rnbd_srv_path_add(path, rest, mark - rest);
		rnbd_srv_path_add_str(path, sessname);
		rest = mark + strlen(SESSNAME_MARK);
	}
	rnbd_srv_path_add_str(path, rest);
}

static int rnbd_srv_path_set(struct rnbd_srv_path *path, const char *search,
			     const char *sessname, const char *dev_name)
{
	if (strstr(dev_name, ".."))
		return -EINVAL;
	path->len = 0;
	rnbd_srv_path_add_search(path, search, sessname);
	rnbd_srv_path_add(path, "/", 1);
	rnbd_srv_path_add(path, dev_name, strlen(dev_name) + 1);
	return path->len > PATH_MAX ? -EINVAL : 0;
}

/* Where a client's device is. Freed by the caller. */
static struct rnbd_srv_path *rnbd_srv_path(const char *sessname,
					   const char *dev_name)
{
	struct rnbd_srv_path *path = kmalloc(sizeof(*path), GFP_KERNEL);
	int err;

	if (!path)
		return ERR_PTR(-ENOMEM);
	kernel_param_lock(THIS_MODULE);
	err = rnbd_srv_path_set(path, dev_search_path, sessname, dev_name);
	kernel_param_unlock(THIS_MODULE);
	if (err) {
		kfree(path);
		return ERR_PTR(err);
	}
	return path;
}

static struct file *rnbd_srv_open_bdev(const char *sessname,
				       const struct rnbd_msg_open *msg)
{
	struct rnbd_srv_path *path = rnbd_srv_path(sessname, msg->dev_name);
	blk_mode_t mode = BLK_OPEN_READ;
	struct file *file;

	if (IS_ERR(path))
		return ERR_CAST(path);
	if (msg->access_mode != RNBD_ACCESS_RO)
		mode |= BLK_OPEN_WRITE;
	file = bdev_file_open_by_path(path->str, mode, NULL, NULL);
	kfree(path);
	return file;
}

/* -------------------------------------------------------------- closing ---- */

static void rnbd_srv_dev_put(struct rnbd_srv_dev *dev)
{
	lockdep_assert_held(&rnbd_srv_lock);

	if (--dev->users)
		return;
	list_del(&dev->entry);
	kfree(dev);
}

/* The last step: who waits for it is answered when the device is closed. */
static void rnbd_srv_close_work(struct work_struct *work)
{
	struct rnbd_srv_sess_dev *sess_dev =
		container_of(work, struct rnbd_srv_sess_dev, close_work);
	/* a client on this very machine may wait for us to write */
	unsigned int noio = memalloc_noio_save();

	/* Before the file goes: only open files keep dev->bdev what it is. */
	scoped_guard(mutex, &rnbd_srv_lock)
		rnbd_srv_dev_put(sess_dev->dev);
	/* Not fput(), which would leave it to yet another worker. */
	__fput_sync(sess_dev->file);
	if (sess_dev->close_op)
		rtrs_srv_respond(sess_dev->close_op, 0, 0);
	kobject_put(&sess_dev->kobj);
	memalloc_noio_restore(noio);
}

/* The last I/O has ended, in whatever context that was. */
static void rnbd_srv_ref_release(struct percpu_ref *ref)
{
	struct rnbd_srv_sess_dev *sess_dev =
		container_of(ref, struct rnbd_srv_sess_dev, ref);

	queue_work(rnbd_srv_wq, &sess_dev->close_work);
}

/**
 * rnbd_srv_sess_dev_free() - a device's last reference is gone
 * @sess_dev: the device, detached and closed, or never attached
 *
 * Context: process.
 */
void rnbd_srv_sess_dev_free(struct rnbd_srv_sess_dev *sess_dev)
{
	percpu_ref_exit(&sess_dev->ref);
	rnbd_srv_lanes_free(sess_dev);
	rnbd_srv_sess_put(sess_dev->sess);
	kfree(sess_dev);
	if (atomic_dec_and_test(&rnbd_srv_nr_sess_devs))
		wake_up_var(&rnbd_srv_nr_sess_devs);
}

/*
 * The first step. I/O that finds the device before it leaves the array is waited
 * for: percpu_ref_kill() drops our reference after an RCU grace period.
 */
static void rnbd_srv_detach(struct rnbd_srv_sess_dev *sess_dev)
{
	struct rnbd_srv_dev *dev = sess_dev->dev;

	lockdep_assert_held(&rnbd_srv_lock);

	pr_info_ratelimited("%s: closing %s, device %u\n", sess_dev->sess->name,
			    dev->name, sess_dev->id);
	xa_erase(&sess_dev->sess->devs, sess_dev->id);
	sess_dev->sess->nr_devs--;
	list_del_init(&sess_dev->entry);
	kobject_del(&sess_dev->kobj);
	if (list_empty(&dev->sess_devs))
		rnbd_srv_sysfs_del_dev(dev);
	/* From here on the next line may run on another CPU, and free it. */
	percpu_ref_kill(&sess_dev->ref);
}

/**
 * rnbd_srv_dev_close() - a client closes a device
 * @sess: its session
 * @id: device_id
 * @op: answered when the device is closed
 *
 * Context: process, sleeps, but does not wait for I/O.
 * Return: false if there is no such device, and @op is still the caller's.
 */
bool rnbd_srv_dev_close(struct rnbd_srv_sess *sess, u32 id,
			struct rtrs_srv_op *op)
{
	struct rnbd_srv_sess_dev *sess_dev;

	guard(mutex)(&rnbd_srv_lock);
	sess_dev = xa_load(&sess->devs, id);
	if (!sess_dev)
		return false;
	sess_dev->close_op = op;
	rnbd_srv_detach(sess_dev);
	return true;
}

/**
 * rnbd_srv_dev_force_close() - an administrator closes a client's device
 * @sess_dev: the device; the caller keeps it from being freed
 *
 * Context: process, sleeps, but does not wait for I/O.
 */
void rnbd_srv_dev_force_close(struct rnbd_srv_sess_dev *sess_dev)
{
	guard(mutex)(&rnbd_srv_lock);
	if (!list_empty(&sess_dev->entry))
		rnbd_srv_detach(sess_dev);
}

/**
 * rnbd_srv_dev_close_all() - a session has ended
 * @sess: the session; nothing can be opened in it any more
 *
 * Context: process, sleeps, but does not wait for I/O.
 */
void rnbd_srv_dev_close_all(struct rnbd_srv_sess *sess)
{
	struct rnbd_srv_sess_dev *sess_dev;
	unsigned long id;

	guard(mutex)(&rnbd_srv_lock);
	sess->closed = true;
	xa_for_each(&sess->devs, id, sess_dev)
		rnbd_srv_detach(sess_dev);
}

/* -------------------------------------------- devices that change or go ---- */

/* Its inode is unhashed when the disk or the partition is deleted. */
static bool rnbd_srv_bdev_gone(struct block_device *bdev)
{
	return inode_unhashed(bdev->bd_mapping->host) ||
	       test_bit(GD_DEAD, &bdev->bd_disk->state);
}

/* Again with each look, until an OPEN of the client says that it knows. */
static void rnbd_srv_tell_size(struct rnbd_srv_sess_dev *sess_dev)
{
	u64 now = bdev_nr_sectors(sess_dev->bdev);

	if (now == sess_dev->told ||
	    rtrs_srv_send_event(sess_dev->sess->rtrs, sess_dev->id) != -EOPNOTSUPP)
		return;
	pr_info_ratelimited("%s: %s has %llu sectors now, had %llu, which the client cannot be told\n",
			    sess_dev->sess->name, sess_dev->dev->name, now,
			    sess_dev->told);
	sess_dev->told = now;
}

static void rnbd_srv_look_at(struct rnbd_srv_dev *dev)
{
	struct rnbd_srv_sess_dev *sess_dev;

	list_for_each_entry(sess_dev, &dev->sess_devs, entry)
		rnbd_srv_tell_size(sess_dev);
}

static void rnbd_srv_detach_gone(struct rnbd_srv_dev *dev)
{
	struct rnbd_srv_sess_dev *sess_dev, *next;

	if (list_empty(&dev->sess_devs) || !rnbd_srv_bdev_gone(dev->bdev))
		return;
	pr_warn("%s was removed, closing it\n", dev->name);
	list_for_each_entry_safe(sess_dev, next, &dev->sess_devs, entry)
		rnbd_srv_detach(sess_dev);
}

static void rnbd_srv_detach_all_gone(void)
{
	struct rnbd_srv_dev *dev;

	list_for_each_entry(dev, &rnbd_srv_devs, entry)
		rnbd_srv_detach_gone(dev);
}

static void rnbd_srv_watch(struct work_struct *work)
{
	unsigned int noio = memalloc_noio_save();
	struct rnbd_srv_dev *dev;

	scoped_guard(mutex, &rnbd_srv_lock) {
		rnbd_srv_detach_all_gone();
		list_for_each_entry(dev, &rnbd_srv_devs, entry)
			rnbd_srv_look_at(dev);
		if (!list_empty(&rnbd_srv_devs))
			queue_delayed_work(rnbd_srv_wq, to_delayed_work(work),
					   HZ);
	}
	memalloc_noio_restore(noio);
}

/* Looks at all devices, once a second while there are any. */
static DECLARE_DELAYED_WORK(rnbd_srv_watch_work, rnbd_srv_watch);

/* -------------------------------------------------------------- opening ---- */

/* What the client may know of a device, and knows from here on. */
static void rnbd_srv_limits(struct rnbd_srv_sess_dev *sess_dev,
			    struct rnbd_dev_limits *lim)
{
	struct block_device *bdev = sess_dev->bdev;
	u8 cache = 0;

	if (bdev_write_cache(bdev))
		cache |= RNBD_CACHE_WRITEBACK;
	if (bdev_fua(bdev))
		cache |= RNBD_CACHE_FUA;

	*lim = (struct rnbd_dev_limits) {
		.device_id		  = sess_dev->id,
		.nsectors		  = bdev_nr_sectors(bdev),
		.max_hw_sectors		  = queue_max_hw_sectors(bdev_get_queue(bdev)),
		.max_write_zeroes_sectors = bdev_write_zeroes_sectors(bdev),
		.max_discard_sectors	  = bdev_max_discard_sectors(bdev),
		.discard_granularity	  = bdev_discard_granularity(bdev),
		.discard_alignment	  = bdev_discard_alignment(bdev),
		.physical_block_size	  = bdev_physical_block_size(bdev),
		.logical_block_size	  = bdev_logical_block_size(bdev),
		.max_segments		  = bdev_max_segments(bdev),
		.secure_discard		  = bdev_max_secure_erase_sectors(bdev),
		.cache_policy		  = cache,
	};
	sess_dev->told = lim->nsectors;
}

/* A client opens again, after a reconnect or an event, what it has open. */
static bool rnbd_srv_is_open(struct rnbd_srv_sess *sess, const char *dev_name,
			     struct rnbd_dev_limits *lim)
{
	struct rnbd_srv_sess_dev *sess_dev;
	unsigned long id;
	u64 told;

	lockdep_assert_held(&rnbd_srv_lock);

	xa_for_each(&sess->devs, id, sess_dev) {
		if (strcmp(sess_dev->dev_name, dev_name))
			continue;
		told = sess_dev->told;
		rnbd_srv_limits(sess_dev, lim);
		if (told != sess_dev->told)
			pr_info_ratelimited("%s: %s has %llu sectors now, had %llu\n",
					    sess->name, sess_dev->dev->name,
					    sess_dev->told, told);
		return true;
	}
	return false;
}

/*
 * May @sess_dev join those who have @dev open? RTRS has no two sessions of one
 * name, but sysfs would make much noise if it had.
 */
static int rnbd_srv_may_open(const struct rnbd_srv_dev *dev,
			     const struct rnbd_srv_sess_dev *sess_dev)
{
	const struct rnbd_srv_sess_dev *other;
	unsigned int writers = 0;

	list_for_each_entry(other, &dev->sess_devs, entry) {
		if (!strcmp(other->sess->name, sess_dev->sess->name))
			return -EEXIST;
		if (other->mode != RNBD_ACCESS_RO)
			writers++;
	}
	if (sess_dev->mode == RNBD_ACCESS_RW && writers > 0)
		return -EPERM;
	if (sess_dev->mode == RNBD_ACCESS_MIGRATION && writers > 1)
		return -EPERM;
	return 0;
}

static struct rnbd_srv_dev *rnbd_srv_dev_find(struct block_device *bdev)
{
	struct rnbd_srv_dev *dev;

	list_for_each_entry(dev, &rnbd_srv_devs, entry)
		if (dev->bdev == bdev)
			return dev;
	return NULL;
}

static struct rnbd_srv_dev *rnbd_srv_dev_add(struct block_device *bdev)
{
	struct rnbd_srv_dev *dev = kzalloc(sizeof(*dev), GFP_KERNEL);

	if (!dev)
		return NULL;
	dev->bdev = bdev;
	INIT_LIST_HEAD(&dev->sess_devs);
	rnbd_srv_order_init(&dev->order);
	snprintf(dev->name, sizeof(dev->name), "%pg", bdev);
	list_add_tail(&dev->entry, &rnbd_srv_devs);
	return dev;
}

/* The caller has @bdev open, and keeps it so until rnbd_srv_dev_put(). */
static struct rnbd_srv_dev *rnbd_srv_dev_get(struct block_device *bdev)
{
	struct rnbd_srv_dev *dev = rnbd_srv_dev_find(bdev);

	if (!dev)
		dev = rnbd_srv_dev_add(bdev);
	if (dev)
		dev->users++;
	return dev;
}

/* Everything that others see of it; the data path last. */
static int rnbd_srv_publish(struct rnbd_srv_sess_dev *sess_dev)
{
	struct rnbd_srv_sess *sess = sess_dev->sess;
	struct rnbd_srv_dev *dev = sess_dev->dev;
	int err;

	if (list_empty(&dev->sess_devs)) {
		err = rnbd_srv_sysfs_add_dev(dev);
		if (err)
			return err;
	}
	err = rnbd_srv_sysfs_add_sess_dev(sess_dev);
	if (err)
		goto del_dev;
	/* Cyclic: I/O that is late must not find another device. */
	err = xa_alloc_cyclic(&sess->devs, &sess_dev->id, sess_dev, RNBD_SRV_IDS,
			      &sess->next_id, GFP_KERNEL);
	if (err < 0)
		goto del_sess_dev;
	list_add_tail(&sess_dev->entry, &dev->sess_devs);
	sess->nr_devs++;
	return 0;

del_sess_dev:
	kobject_del(&sess_dev->kobj);
del_dev:
	if (list_empty(&dev->sess_devs))
		rnbd_srv_sysfs_del_dev(dev);
	return err;
}

/* May a session have one device more? */
static int rnbd_srv_limit_devs(const struct rnbd_srv_sess *sess)
{
	unsigned int max = READ_ONCE(max_session_devices);

	if (sess->nr_devs < max)
		return 0;
	pr_warn_ratelimited("%s: not opened, the limit max_session_devices=%u is reached\n",
			    sess->name, max);
	return -EUSERS;
}

static int rnbd_srv_attach(struct rnbd_srv_sess_dev *sess_dev)
{
	int err;

	lockdep_assert_held(&rnbd_srv_lock);

	if (sess_dev->sess->closed)
		return -ENOTCONN;
	/* In sysfs, one that was removed may have the name of one that was not. */
	if (rnbd_srv_bdev_gone(sess_dev->bdev))
		return -ENXIO;
	rnbd_srv_detach_all_gone();
	err = rnbd_srv_limit_devs(sess_dev->sess);
	if (err)
		return err;
	sess_dev->dev = rnbd_srv_dev_get(sess_dev->bdev);
	if (!sess_dev->dev)
		return -ENOMEM;
	err = rnbd_srv_may_open(sess_dev->dev, sess_dev);
	if (!err)
		err = rnbd_srv_publish(sess_dev);
	if (err) {
		rnbd_srv_dev_put(sess_dev->dev);
		return err;
	}
	queue_delayed_work(rnbd_srv_wq, &rnbd_srv_watch_work, HZ);
	pr_info_ratelimited("%s: opened %s as device %u\n",
			    sess_dev->sess->name, sess_dev->dev->name,
			    sess_dev->id);
	return 0;
}

/* Takes over @file, unless it returns NULL. */
static struct rnbd_srv_sess_dev *rnbd_srv_sess_dev_alloc(struct rnbd_srv_sess *sess,
							 const struct rnbd_msg_open *msg,
							 struct file *file)
{
	struct rnbd_srv_sess_dev *sess_dev = kzalloc(sizeof(*sess_dev), GFP_KERNEL);

	if (!sess_dev)
		return NULL;
	if (rnbd_srv_lanes_alloc(sess_dev) ||
	    percpu_ref_init(&sess_dev->ref, rnbd_srv_ref_release, 0, GFP_KERNEL)) {
		rnbd_srv_lanes_free(sess_dev);
		kfree(sess_dev);
		return NULL;
	}
	sess_dev->bdev = file_bdev(file);
	sess_dev->mode = msg->access_mode;
	sess_dev->sess = sess;
	sess_dev->file = file;
	INIT_LIST_HEAD(&sess_dev->entry);
	INIT_WORK(&sess_dev->close_work, rnbd_srv_close_work);
	strscpy(sess_dev->dev_name, msg->dev_name);
	rnbd_srv_sysfs_init_sess_dev(sess_dev);
	kref_get(&sess->ref);
	atomic_inc(&rnbd_srv_nr_sess_devs);
	return sess_dev;
}

/*
 * A file that was opened becomes the session's. Returns 1 if another OPEN of the
 * same name was faster, and 0 or 1 with @lim filled.
 */
static int rnbd_srv_open_file(struct rnbd_srv_sess_dev *sess_dev,
			      struct rnbd_dev_limits *lim)
{
	int err;

	guard(mutex)(&rnbd_srv_lock);
	if (rnbd_srv_is_open(sess_dev->sess, sess_dev->dev_name, lim))
		return 1;
	err = rnbd_srv_attach(sess_dev);
	if (!err)
		rnbd_srv_limits(sess_dev, lim);
	return err;
}

/**
 * rnbd_srv_dev_open() - a client opens a device
 * @sess: its session
 * @msg: its OPEN, checked by rnbd_open_check()
 * @lim: filled on success
 *
 * Context: process, sleeps for as long as the device needs to open.
 * Return: 0, also for a name that is open in this session already, or an errno
 * of section 5 of the protocol.
 */
int rnbd_srv_dev_open(struct rnbd_srv_sess *sess,
		      const struct rnbd_msg_open *msg,
		      struct rnbd_dev_limits *lim)
{
	struct rnbd_srv_sess_dev *sess_dev;
	struct file *file;
	int err;

	scoped_guard(mutex, &rnbd_srv_lock)
		if (rnbd_srv_is_open(sess, msg->dev_name, lim))
			return 0;

	file = rnbd_srv_open_bdev(sess->name, msg);
	if (IS_ERR(file))
		return PTR_ERR(file);
	sess_dev = rnbd_srv_sess_dev_alloc(sess, msg, file);
	if (!sess_dev) {
		__fput_sync(file);
		return -ENOMEM;
	}
	err = rnbd_srv_open_file(sess_dev, lim);
	if (err) {
		__fput_sync(file);
		kobject_put(&sess_dev->kobj);
	}
	return min(err, 0);
}

/**
 * rnbd_srv_dev_exit() - wait until the last device is closed
 *
 * RTRS is closed, so that all are detached and nothing can be opened any more.
 *
 * Context: process, sleeps.
 */
void rnbd_srv_dev_exit(void)
{
	wait_var_event(&rnbd_srv_nr_sess_devs,
		       !atomic_read(&rnbd_srv_nr_sess_devs));
	cancel_delayed_work_sync(&rnbd_srv_watch_work);
}

#ifdef CONFIG_RNBD_KUNIT_TEST
#include "rnbd-srv-dev-test.c"
#endif
