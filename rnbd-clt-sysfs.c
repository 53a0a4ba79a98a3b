// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RNBD client: what an administrator reads and writes.
 *
 * /sys/class/rnbd-client/ctl/map_device	a line written to it maps a device
 * /sys/class/rnbd-client/ctl/devices/		a link to each mapped disk
 * /sys/block/rnbdN/rnbd/			a device: what it is, and unmap
 *
 * Writers run concurrently. What they may do to each other is settled in
 * rnbd-clt.c; here is text. The one exception: who unmaps a device removes the
 * folder it is writing in. A removal waits for all writers in the folder, so that
 * one must give up its protection first, and holds references instead.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/cleanup.h>
#include <linux/cpumask.h>
#include <linux/device.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "rnbd-clt.h"

static const char * const rnbd_clt_access_modes[] = {
	[RNBD_ACCESS_RO]	= "ro",
	[RNBD_ACCESS_RW]	= "rw",
	[RNBD_ACCESS_MIGRATION]	= "migration",
};

static const char * const rnbd_clt_states[] = {
	[RNBD_CLT_DEV_INIT]	= "init",
	[RNBD_CLT_DEV_OPEN]	= "open",
	[RNBD_CLT_DEV_HELD]	= "held",
	[RNBD_CLT_DEV_CLOSED]	= "closed",
	[RNBD_CLT_DEV_UNMAPPED]	= "unmapped",
};

/* -------------------------------------------------------- a device's folder -- */

static struct rnbd_clt_dev *to_dev(struct kobject *kobj)
{
	return container_of(kobj, struct rnbd_clt_dev, kobj);
}

static ssize_t session_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%s\n", to_dev(kobj)->sess->name);
}

static struct kobj_attribute session_attr = __ATTR_RO(session);

static ssize_t mapping_path_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", to_dev(kobj)->path);
}

static struct kobj_attribute mapping_path_attr = __ATTR_RO(mapping_path);

static ssize_t access_mode_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  rnbd_clt_access_modes[to_dev(kobj)->access_mode]);
}

static struct kobj_attribute access_mode_attr = __ATTR_RO(access_mode);

static ssize_t nr_poll_queues_show(struct kobject *kobj,
				   struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  to_dev(kobj)->sess->attrs.nr_poll_queues);
}

static struct kobj_attribute nr_poll_queues_attr = __ATTR_RO(nr_poll_queues);

static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  rnbd_clt_states[READ_ONCE(to_dev(kobj)->state)]);
}

static struct kobj_attribute state_attr = __ATTR_RO(state);

/* A number of seconds; 0 is a way to say no. */
static int rnbd_clt_parse_sec(const char *val, unsigned int *sec)
{
	unsigned int n;

	if (kstrtouint(val, 0, &n) || n > RNBD_CLT_MAX_WAIT_SEC)
		return -EINVAL;
	*sec = n;
	return 0;
}

static ssize_t io_hold_sec_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(to_dev(kobj)->hold_sec));
}

static ssize_t io_hold_sec_store(struct kobject *kobj,
				 struct kobj_attribute *attr, const char *buf,
				 size_t count)
{
	struct rnbd_clt_dev *dev = to_dev(kobj);
	unsigned int sec;
	int err;

	err = rnbd_clt_parse_sec(buf, &sec);
	if (err)
		return err;
	spin_lock_irq(&dev->sess->lock);
	rnbd_clt_dev_set_hold(dev, sec);
	spin_unlock_irq(&dev->sess->lock);
	return count;
}

static struct kobj_attribute io_hold_sec_attr = __ATTR_RW(io_hold_sec);

static ssize_t io_timeout_sec_show(struct kobject *kobj,
				   struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(to_dev(kobj)->timeout_sec));
}

static ssize_t io_timeout_sec_store(struct kobject *kobj,
				    struct kobj_attribute *attr,
				    const char *buf, size_t count)
{
	unsigned int sec;
	int err;

	err = rnbd_clt_parse_sec(buf, &sec);
	if (err)
		return err;
	rnbd_clt_set_timeout(to_dev(kobj), sec);
	return count;
}

static struct kobj_attribute io_timeout_sec_attr = __ATTR_RW(io_timeout_sec);

static ssize_t resize_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf,
			  "Usage: echo <new size in sectors> > resize\n");
}

static ssize_t resize_store(struct kobject *kobj, struct kobj_attribute *attr,
			    const char *buf, size_t count)
{
	unsigned long sectors;
	int err;

	err = kstrtoul(buf, 0, &sectors);
	if (!err)
		err = rnbd_clt_resize(to_dev(kobj), sectors);
	return err ?: count;
}

static struct kobj_attribute resize_attr = __ATTR_RW(resize);

static ssize_t remap_device_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Usage: echo <1> > remap_device\n");
}

static ssize_t remap_device_store(struct kobject *kobj,
				  struct kobj_attribute *attr, const char *buf,
				  size_t count)
{
	int err;

	if (!sysfs_streq(buf, "1"))
		return -EINVAL;
	err = rnbd_clt_reopen(to_dev(kobj));
	return err ?: count;
}

static struct kobj_attribute remap_device_attr = __ATTR_RW(remap_device);

static ssize_t unmap_device_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Usage: echo <normal|force> > unmap_device\n");
}

/*
 * Until rnbd_clt_unmap_finish() the device holds the module, as sysfs waits for
 * us before that reference can go; then this function has one of its own.
 * Nothing after dropping it may sleep: see rnbd_clt_exit().
 */
static ssize_t unmap_device_store(struct kobject *kobj,
				  struct kobj_attribute *attr, const char *buf,
				  size_t count)
{
	bool force = sysfs_streq(buf, "force");
	struct kernfs_node *kn;
	int err;

	if (!force && !sysfs_streq(buf, "normal"))
		return -EINVAL;
	err = rnbd_clt_unmap_begin(to_dev(kobj), force);
	if (err)
		return err;

	__module_get(THIS_MODULE);
	/* Takes a reference to the device, too, and the other drops it. */
	kn = sysfs_break_active_protection(kobj, &attr->attr);
	rnbd_clt_unmap_finish(to_dev(kobj), force);
	sysfs_unbreak_active_protection(kn);
	module_put(THIS_MODULE);
	return count;
}

static struct kobj_attribute unmap_device_attr = __ATTR_RW(unmap_device);

/* All but unmap_device: see rnbd_clt_sysfs_add_unmap(). */
static struct attribute *rnbd_clt_dev_attrs[] = {
	&session_attr.attr,
	&mapping_path_attr.attr,
	&access_mode_attr.attr,
	&nr_poll_queues_attr.attr,
	&state_attr.attr,
	&io_hold_sec_attr.attr,
	&io_timeout_sec_attr.attr,
	&resize_attr.attr,
	&remap_device_attr.attr,
	NULL,
};

static const struct attribute_group rnbd_clt_dev_group = {
	.attrs = rnbd_clt_dev_attrs,
};

const struct kobj_type rnbd_clt_dev_ktype = {
	.release	= rnbd_clt_dev_release,
	.sysfs_ops	= &kobj_sysfs_ops,
};

/* ------------------------------------------------------------ map_device ---- */

static struct device *rnbd_clt_ctl;
static struct kobject *rnbd_clt_devices;

/**
 * struct rnbd_clt_line - a line written to map_device, while it is read
 * @opts: what it says
 * @port: text of the port, or NULL; it is that of all paths, also of those that
 *	come before it
 * @paths: texts of the paths, &rnbd_clt_map_opts.path_cnt of them
 */
struct rnbd_clt_line {
	struct rnbd_clt_map_opts	opts;
	const char			*port;
	const char			*paths[RNBD_CLT_MAX_PATHS];
};

enum rnbd_clt_key {
	RNBD_CLT_KEY_SESSNAME,
	RNBD_CLT_KEY_DEVICE_PATH,
	RNBD_CLT_KEY_PATH,
	RNBD_CLT_KEY_DEST_PORT,
	RNBD_CLT_KEY_ACCESS_MODE,
	RNBD_CLT_KEY_NR_POLL_QUEUES,
	RNBD_CLT_KEY_QUEUE_DEPTH,
	RNBD_CLT_KEY_IO_HOLD_SEC,
	RNBD_CLT_KEY_IO_TIMEOUT_SEC,
};

static const char * const rnbd_clt_keys[] = {
	[RNBD_CLT_KEY_SESSNAME]		= "sessname",
	[RNBD_CLT_KEY_DEVICE_PATH]	= "device_path",
	[RNBD_CLT_KEY_PATH]		= "path",
	[RNBD_CLT_KEY_DEST_PORT]	= "dest_port",
	[RNBD_CLT_KEY_ACCESS_MODE]	= "access_mode",
	[RNBD_CLT_KEY_NR_POLL_QUEUES]	= "nr_poll_queues",
	[RNBD_CLT_KEY_QUEUE_DEPTH]	= "queue_depth",
	[RNBD_CLT_KEY_IO_HOLD_SEC]	= "io_hold_sec",
	[RNBD_CLT_KEY_IO_TIMEOUT_SEC]	= "io_timeout_sec",
};

static int rnbd_clt_set_name(const char **name, const char *val,
			     const char *reject)
{
	size_t len = strlen(val);

	if (!len || len >= RNBD_NAME_LEN || strpbrk(val, reject))
		return -EINVAL;
	*name = val;
	return 0;
}

static int rnbd_clt_set_access_mode(struct rnbd_clt_map_opts *opts,
				    const char *val)
{
	int mode = match_string(rnbd_clt_access_modes,
				ARRAY_SIZE(rnbd_clt_access_modes), val);

	if (mode < 0)
		return -EINVAL;
	opts->access_mode = mode;
	return 0;
}

static int rnbd_clt_set_nr_poll_queues(struct rnbd_clt_map_opts *opts,
				       const char *val)
{
	int cpus = num_online_cpus();
	int nr;

	if (kstrtoint(val, 0, &nr) || nr < -1 || nr > cpus)
		return -EINVAL;
	opts->nr_poll_queues = nr == -1 ? cpus : nr;
	opts->nr_poll_given = true;
	return 0;
}

static int rnbd_clt_set_queue_depth(struct rnbd_clt_map_opts *opts,
				    const char *val)
{
	unsigned int nr;

	if (kstrtouint(val, 0, &nr) || nr < RTRS_CLT_MIN_DEPTH ||
	    nr > RTRS_CLT_MAX_DEPTH)
		return -EINVAL;
	opts->queue_depth = nr;
	return 0;
}

static int rnbd_clt_add_path(struct rnbd_clt_line *line, const char *val)
{
	if (line->opts.path_cnt == RNBD_CLT_MAX_PATHS)
		return -EINVAL;
	line->paths[line->opts.path_cnt++] = val;
	return 0;
}

static int rnbd_clt_set_opt(struct rnbd_clt_line *line, const char *key,
			    const char *val)
{
	struct rnbd_clt_map_opts *opts = &line->opts;

	switch (match_string(rnbd_clt_keys, ARRAY_SIZE(rnbd_clt_keys), key)) {
	case RNBD_CLT_KEY_SESSNAME:
		return rnbd_clt_set_name(&opts->sessname, val, "/.");
	case RNBD_CLT_KEY_DEVICE_PATH:
		return rnbd_clt_set_name(&opts->device_path, val, "");
	case RNBD_CLT_KEY_PATH:
		return rnbd_clt_add_path(line, val);
	case RNBD_CLT_KEY_DEST_PORT:
		line->port = val;
		return 0;
	case RNBD_CLT_KEY_ACCESS_MODE:
		return rnbd_clt_set_access_mode(opts, val);
	case RNBD_CLT_KEY_NR_POLL_QUEUES:
		return rnbd_clt_set_nr_poll_queues(opts, val);
	case RNBD_CLT_KEY_QUEUE_DEPTH:
		return rnbd_clt_set_queue_depth(opts, val);
	case RNBD_CLT_KEY_IO_HOLD_SEC:
		return rnbd_clt_parse_sec(val, &opts->hold_sec);
	case RNBD_CLT_KEY_IO_TIMEOUT_SEC:
		return rnbd_clt_parse_sec(val, &opts->timeout_sec);
	default:
		return -EINVAL;
	}
}

static int rnbd_clt_split_line(struct rnbd_clt_line *line, char *text)
{
	char *key, *val;
	int err;

	while ((key = strsep(&text, " \t\n"))) {
		if (!*key)
			continue;
		val = strchr(key, '=');
		if (!val)
			return -EINVAL;
		*val++ = '\0';
		err = rnbd_clt_set_opt(line, key, val);
		if (err)
			return err;
	}
	if (!line->opts.sessname || !line->opts.device_path)
		return -EINVAL;
	return 0;
}

static int rnbd_clt_parse_paths(struct rnbd_clt_line *line)
{
	struct rnbd_clt_map_opts *opts = &line->opts;
	u16 port = RNBD_DEFAULT_PORT;
	unsigned int i;
	int err;

	if (line->port && (kstrtou16(line->port, 0, &port) || !port))
		return -EINVAL;
	for (i = 0; i < opts->path_cnt; i++) {
		err = rtrs_path_addr_parse(line->paths[i], port,
					   &opts->paths[i]);
		if (err)
			return err;
	}
	return 0;
}

static int rnbd_clt_map_line(struct rnbd_clt_line *line)
{
	struct rtrs_path_addr *paths __free(kvfree) =
		kvcalloc(line->opts.path_cnt, sizeof(*paths), GFP_KERNEL);

	if (!paths)
		return -ENOMEM;
	line->opts.paths = paths;
	line->opts.path_err = rnbd_clt_parse_paths(line);
	return rnbd_clt_map(&line->opts);
}

static ssize_t map_device_show(struct device *ctl,
			       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf,
			  "Usage: echo \"[dest_port=<server port>] sessname=<session name> path=<[srcaddr@]dstaddr> [path=<[srcaddr@]dstaddr>] device_path=<path on the server> [access_mode=<ro|rw|migration>] [nr_poll_queues=<number of poll queues>] [queue_depth=<number of requests>] [io_hold_sec=<seconds>] [io_timeout_sec=<seconds>]\" > map_device\n\n"
			  "addr ::= [ ip:<ipv4> | ip:<ipv6> | gid:<gid> ]\n");
}

static ssize_t map_device_store(struct device *ctl,
				struct device_attribute *attr, const char *buf,
				size_t count)
{
	struct rnbd_clt_line *line __free(kfree) =
		kzalloc(sizeof(*line), GFP_KERNEL);
	char *text __free(kfree) = kstrndup(buf, count, GFP_KERNEL);
	int err;

	if (!line || !text)
		return -ENOMEM;
	line->opts.access_mode = RNBD_ACCESS_RW;
	err = rnbd_clt_split_line(line, text);
	if (!err)
		err = rnbd_clt_map_line(line);
	return err ?: count;
}

static DEVICE_ATTR_RW(map_device);

/* -------------------------------------------------------- come and go ---- */

/* Another device can have the same name: sda/1 and sda!1 have. */
static int rnbd_clt_sysfs_add_link(struct rnbd_clt_dev *dev)
{
	char *name;
	int err;

	name = kasprintf(GFP_KERNEL, "%s@%s", dev->path, dev->sess->name);
	if (!name)
		return -ENOMEM;
	strreplace(name, '/', '!');
	err = sysfs_create_link_nowarn(rnbd_clt_devices,
				       &disk_to_dev(dev->gd)->kobj, name);
	if (err)
		kfree(name);
	else
		dev->link_name = name;
	return err;
}

/**
 * rnbd_clt_sysfs_add_dev() - show a device, but for its unmap_device
 * @dev: its disk has been added
 *
 * Context: process.
 * Return: 0 or a negative errno; rnbd_clt_sysfs_del_dev() cleans up.
 */
int rnbd_clt_sysfs_add_dev(struct rnbd_clt_dev *dev)
{
	int err;

	err = rnbd_clt_sysfs_add_link(dev);
	if (err)
		return err;
	err = kobject_add(&dev->kobj, &disk_to_dev(dev->gd)->kobj, "rnbd");
	if (err)
		return err;
	return sysfs_create_group(&dev->kobj, &rnbd_clt_dev_group);
}

/**
 * rnbd_clt_sysfs_add_unmap() - let administrators unmap a device
 * @dev: shown, and complete
 *
 * Context: process. Where it succeeds, @dev can be gone already when it returns.
 * Return: 0 or a negative errno; rnbd_clt_sysfs_del_dev() cleans up.
 */
int rnbd_clt_sysfs_add_unmap(struct rnbd_clt_dev *dev)
{
	return sysfs_create_file(&dev->kobj, &unmap_device_attr.attr);
}

/**
 * rnbd_clt_sysfs_del_dev() - remove what rnbd_clt_sysfs_add_dev() made
 * @dev: the device
 *
 * Context: process, without any lock: waits for all who write in the folder.
 */
void rnbd_clt_sysfs_del_dev(struct rnbd_clt_dev *dev)
{
	if (dev->link_name)
		sysfs_remove_link(rnbd_clt_devices, dev->link_name);
	kfree(dev->link_name);
	dev->link_name = NULL;
	if (dev->kobj.state_in_sysfs)
		kobject_del(&dev->kobj);
}

static const struct class rnbd_clt_class = {
	.name = "rnbd-client",
};

/**
 * rnbd_clt_sysfs_init() - make the control folder
 *
 * map_device comes last: it can be written to at once.
 *
 * Context: process.
 * Return: 0 or a negative errno.
 */
int rnbd_clt_sysfs_init(void)
{
	int err;

	err = class_register(&rnbd_clt_class);
	if (err)
		return err;
	rnbd_clt_ctl = device_create(&rnbd_clt_class, NULL, MKDEV(0, 0), NULL,
				     "ctl");
	if (IS_ERR(rnbd_clt_ctl)) {
		err = PTR_ERR(rnbd_clt_ctl);
		goto unregister_class;
	}
	rnbd_clt_devices = kobject_create_and_add("devices",
						  &rnbd_clt_ctl->kobj);
	if (!rnbd_clt_devices) {
		err = -ENOMEM;
		goto unregister_ctl;
	}
	err = device_create_file(rnbd_clt_ctl, &dev_attr_map_device);
	if (err)
		goto put_devices;
	return 0;

put_devices:
	kobject_put(rnbd_clt_devices);
unregister_ctl:
	device_unregister(rnbd_clt_ctl);
unregister_class:
	class_unregister(&rnbd_clt_class);
	return err;
}

/**
 * rnbd_clt_sysfs_exit() - remove the control folder
 *
 * Waits for those who are writing to it.
 *
 * Context: process.
 */
void rnbd_clt_sysfs_exit(void)
{
	device_remove_file(rnbd_clt_ctl, &dev_attr_map_device);
	kobject_put(rnbd_clt_devices);
	device_unregister(rnbd_clt_ctl);
	class_unregister(&rnbd_clt_class);
}

#ifdef CONFIG_RNBD_KUNIT_TEST
#include "rnbd-clt-sysfs-test.c"
#endif
