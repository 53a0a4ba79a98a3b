// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RNBD server: /sys/class/rnbd-server/ctl, where an administrator sees which
 * client has which device open, and can take one away.
 *
 *	devices/<dev>/block_dev			the disk
 *	devices/<dev>/sessions/<sess>/...	what that session has open
 *
 * Folders come and go under rnbd_srv_lock, with the first and last attached
 * sess_dev. Removing one waits for those who read its files; so what they read is
 * constant, and they take no lock. A writer to force_close removes the folder it
 * stands in: it steps aside first, and pins the module to get out of it alive.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "rnbd-srv.h"

static struct class *rnbd_srv_class;
static struct device *rnbd_srv_ctl;
static struct kobject *rnbd_srv_devices;

static struct rnbd_srv_sess_dev *to_sess_dev(struct kobject *kobj)
{
	return container_of(kobj, struct rnbd_srv_sess_dev, kobj);
}

static ssize_t read_only_show(struct kobject *kobj,
			      struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  to_sess_dev(kobj)->mode == RNBD_ACCESS_RO);
}

static ssize_t access_mode_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	static const char * const names[] = {
		[RNBD_ACCESS_RO]	= "ro",
		[RNBD_ACCESS_RW]	= "rw",
		[RNBD_ACCESS_MIGRATION]	= "migration",
	};

	return sysfs_emit(buf, "%s\n", names[to_sess_dev(kobj)->mode]);
}

static ssize_t mapping_path_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", to_sess_dev(kobj)->dev_name);
}

static ssize_t force_close_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Usage: echo 1 > %s\n", attr->attr.name);
}

static ssize_t force_close_store(struct kobject *kobj,
				 struct kobj_attribute *attr,
				 const char *buf, size_t count)
{
	struct kernfs_node *kn;

	if (!sysfs_streq(buf, "1"))
		return -EINVAL;
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	kn = sysfs_break_active_protection(kobj, &attr->attr);
	if (kn) {
		rnbd_srv_dev_force_close(to_sess_dev(kobj));
		sysfs_unbreak_active_protection(kn);
	}
	/* rnbd_srv_exit() sees us out of the rest. */
	module_put(THIS_MODULE);
	return count;
}

static struct kobj_attribute read_only_attr = __ATTR_RO(read_only);
static struct kobj_attribute access_mode_attr = __ATTR_RO(access_mode);
static struct kobj_attribute mapping_path_attr = __ATTR_RO(mapping_path);
static struct kobj_attribute force_close_attr = __ATTR_RW(force_close);

static struct attribute *rnbd_srv_sess_dev_attrs[] = {
	&read_only_attr.attr,
	&access_mode_attr.attr,
	&mapping_path_attr.attr,
	&force_close_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(rnbd_srv_sess_dev);

static void rnbd_srv_sess_dev_release(struct kobject *kobj)
{
	rnbd_srv_sess_dev_free(to_sess_dev(kobj));
}

static const struct kobj_type rnbd_srv_sess_dev_ktype = {
	.sysfs_ops	= &kobj_sysfs_ops,
	.release	= rnbd_srv_sess_dev_release,
	.default_groups	= rnbd_srv_sess_dev_groups,
};

/**
 * rnbd_srv_sysfs_init_sess_dev() - set up a device's kobject
 * @sess_dev: freed with kobject_put() from now on
 *
 * Context: any.
 */
void rnbd_srv_sysfs_init_sess_dev(struct rnbd_srv_sess_dev *sess_dev)
{
	kobject_init(&sess_dev->kobj, &rnbd_srv_sess_dev_ktype);
}

/**
 * rnbd_srv_sysfs_add_sess_dev() - make devices/<dev>/sessions/<sess>
 * @sess_dev: its device has a folder; kobject_del() removes this one
 *
 * Context: process, rnbd_srv_lock held.
 * Return: 0 or a negative errno.
 */
int rnbd_srv_sysfs_add_sess_dev(struct rnbd_srv_sess_dev *sess_dev)
{
	return kobject_add(&sess_dev->kobj, sess_dev->dev->sessions, "%s",
			   sess_dev->sess->name);
}

static void rnbd_srv_remove(struct kobject *kobj)
{
	kobject_del(kobj);
	kobject_put(kobj);
}

/**
 * rnbd_srv_sysfs_add_dev() - make devices/<dev>
 * @dev: the device
 *
 * Context: process, rnbd_srv_lock held.
 * Return: 0 or a negative errno.
 */
int rnbd_srv_sysfs_add_dev(struct rnbd_srv_dev *dev)
{
	struct device *disk = disk_to_dev(dev->bdev->bd_disk);
	int err = -ENOMEM;

	dev->dir = kobject_create_and_add(dev->name, rnbd_srv_devices);
	if (!dev->dir)
		return err;
	dev->sessions = kobject_create_and_add("sessions", dev->dir);
	if (!dev->sessions)
		goto remove_dir;
	err = sysfs_create_link(dev->dir, &disk->kobj, "block_dev");
	if (err)
		goto remove_sessions;
	return 0;

remove_sessions:
	rnbd_srv_remove(dev->sessions);
remove_dir:
	rnbd_srv_remove(dev->dir);
	return err;
}

/**
 * rnbd_srv_sysfs_del_dev() - remove devices/<dev>
 * @dev: the device; none is attached
 *
 * Context: process, rnbd_srv_lock held.
 */
void rnbd_srv_sysfs_del_dev(struct rnbd_srv_dev *dev)
{
	sysfs_remove_link(dev->dir, "block_dev");
	rnbd_srv_remove(dev->sessions);
	rnbd_srv_remove(dev->dir);
}

/**
 * rnbd_srv_sysfs_init() - make the class
 *
 * Context: process.
 * Return: 0 or a negative errno.
 */
int __init rnbd_srv_sysfs_init(void)
{
	int err;

	rnbd_srv_class = class_create("rnbd-server");
	if (IS_ERR(rnbd_srv_class))
		return PTR_ERR(rnbd_srv_class);
	rnbd_srv_ctl = device_create(rnbd_srv_class, NULL, MKDEV(0, 0), NULL,
				     "ctl");
	if (IS_ERR(rnbd_srv_ctl)) {
		err = PTR_ERR(rnbd_srv_ctl);
		goto destroy_class;
	}
	err = -ENOMEM;
	rnbd_srv_devices = kobject_create_and_add("devices",
						  &rnbd_srv_ctl->kobj);
	if (!rnbd_srv_devices)
		goto unregister_ctl;
	return 0;

unregister_ctl:
	device_unregister(rnbd_srv_ctl);
destroy_class:
	class_destroy(rnbd_srv_class);
	return err;
}

/**
 * rnbd_srv_sysfs_exit() - remove the class
 *
 * Context: process; no device is open any more.
 */
void rnbd_srv_sysfs_exit(void)
{
	rnbd_srv_remove(rnbd_srv_devices);
	device_unregister(rnbd_srv_ctl);
	class_destroy(rnbd_srv_class);
}
