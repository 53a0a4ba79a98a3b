// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RTRS server: sysfs.
 *
 * /sys/class/rtrs-server/<session>/paths/<client>@<server>/ shows each path from
 * just before it is up until it has been drained, and lets an administrator
 * close it. The files only read what is constant while they are there, or ask
 * the path to close itself: so removing them, which waits for their readers,
 * may be done anywhere.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sysfs.h>

#include "rtrs-srv.h"

static const struct class rtrs_srv_class = {
	.name = "rtrs-server",
};

static struct rtrs_srv_path *rtrs_srv_kobj_path(struct kobject *kobj)
{
	return container_of(kobj, struct rtrs_srv_path, kobj);
}

static ssize_t disconnect_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Usage: echo 1 > %s\n", attr->attr.name);
}

static ssize_t disconnect_store(struct kobject *kobj,
				struct kobj_attribute *attr, const char *buf,
				size_t count)
{
	struct rtrs_srv_path *path = rtrs_srv_kobj_path(kobj);

	if (!sysfs_streq(buf, "1"))
		return -EINVAL;
	if (rtrs_srv_path_close(path))
		rtrs_srv_info(path, "disconnected by the administrator\n");
	return count;
}

static ssize_t hca_name_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  dev_name(&rtrs_srv_kobj_path(kobj)->dev->dev));
}

static ssize_t hca_port_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%u\n", rtrs_srv_kobj_path(kobj)->port);
}

static ssize_t src_addr_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%s\n", rtrs_srv_kobj_path(kobj)->src);
}

static ssize_t dst_addr_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%s\n", rtrs_srv_kobj_path(kobj)->dst);
}

static ssize_t rdma_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	struct rtrs_srv_path *path = rtrs_srv_kobj_path(kobj);
	struct rtrs_srv_stats sum = {};
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct rtrs_srv_stats *s = per_cpu_ptr(path->stats, cpu);

		sum.reads += READ_ONCE(s->reads);
		sum.read_bytes += READ_ONCE(s->read_bytes);
		sum.writes += READ_ONCE(s->writes);
		sum.write_bytes += READ_ONCE(s->write_bytes);
	}
	return sysfs_emit(buf, "%llu %llu %llu %llu\n", sum.reads,
			  sum.read_bytes, sum.writes, sum.write_bytes);
}

/* Requests that are being counted meanwhile may survive it, or not. */
static ssize_t rdma_store(struct kobject *kobj, struct kobj_attribute *attr,
			  const char *buf, size_t count)
{
	struct rtrs_srv_path *path = rtrs_srv_kobj_path(kobj);
	int cpu;

	if (!sysfs_streq(buf, "1"))
		return -EINVAL;
	for_each_possible_cpu(cpu)
		memset(per_cpu_ptr(path->stats, cpu), 0, sizeof(*path->stats));
	return count;
}

static struct kobj_attribute disconnect_attr = __ATTR_RW(disconnect);
static struct kobj_attribute hca_name_attr = __ATTR_RO(hca_name);
static struct kobj_attribute hca_port_attr = __ATTR_RO(hca_port);
static struct kobj_attribute src_addr_attr = __ATTR_RO(src_addr);
static struct kobj_attribute dst_addr_attr = __ATTR_RO(dst_addr);
static struct kobj_attribute rdma_attr = __ATTR_RW(rdma);

static struct attribute *rtrs_srv_path_attrs[] = {
	&disconnect_attr.attr,
	&hca_name_attr.attr,
	&hca_port_attr.attr,
	&src_addr_attr.attr,
	&dst_addr_attr.attr,
	NULL,
};

static const struct attribute_group rtrs_srv_path_group = {
	.attrs = rtrs_srv_path_attrs,
};

static struct attribute *rtrs_srv_stats_attrs[] = {
	&rdma_attr.attr,
	NULL,
};

static const struct attribute_group rtrs_srv_stats_group = {
	.name = "stats",
	.attrs = rtrs_srv_stats_attrs,
};

static const struct attribute_group *rtrs_srv_path_groups[] = {
	&rtrs_srv_path_group,
	&rtrs_srv_stats_group,
	NULL,
};

static void rtrs_srv_path_kobj_release(struct kobject *kobj)
{
	rtrs_srv_path_put(rtrs_srv_kobj_path(kobj));
}

static const struct kobj_type rtrs_srv_path_ktype = {
	.release	= rtrs_srv_path_kobj_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= rtrs_srv_path_groups,
};

/**
 * rtrs_srv_sysfs_add_path() - show a path
 * @path: the path; its session has a name
 *
 * Context: process, sleeps.
 * Return: 0 or a negative errno.
 */
int rtrs_srv_sysfs_add_path(struct rtrs_srv_path *path)
{
	int err;

	kref_get(&path->ref);
	err = kobject_init_and_add(&path->kobj, &rtrs_srv_path_ktype,
				   path->sess->paths_kobj, "%s", path->name);
	if (err) {
		kobject_put(&path->kobj);
		return err;
	}
	path->in_sysfs = true;
	return 0;
}

/**
 * rtrs_srv_sysfs_del_path() - undo rtrs_srv_sysfs_add_path()
 * @path: the path, shown or not
 *
 * Context: process, sleeps.
 */
void rtrs_srv_sysfs_del_path(struct rtrs_srv_path *path)
{
	if (!path->in_sysfs)
		return;
	path->in_sysfs = false;
	kobject_del(&path->kobj);
	kobject_put(&path->kobj);
}

/**
 * rtrs_srv_sysfs_add_sess() - show a session
 * @sess: the session; no other has its name
 *
 * Context: process, sleeps.
 * Return: 0 or a negative errno.
 */
int rtrs_srv_sysfs_add_sess(struct rtrs_srv_sess *sess)
{
	struct device *dev;

	dev = device_create(&rtrs_srv_class, NULL, MKDEV(0, 0), NULL, "%s",
			    sess->name);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	sess->paths_kobj = kobject_create_and_add("paths", &dev->kobj);
	if (!sess->paths_kobj) {
		device_unregister(dev);
		return -ENOMEM;
	}
	sess->dev = dev;
	return 0;
}

/**
 * rtrs_srv_sysfs_del_sess() - undo rtrs_srv_sysfs_add_sess()
 * @sess: the session; it has no paths
 *
 * Context: process, sleeps.
 */
void rtrs_srv_sysfs_del_sess(struct rtrs_srv_sess *sess)
{
	kobject_del(sess->paths_kobj);
	kobject_put(sess->paths_kobj);
	device_unregister(sess->dev);
}

/**
 * rtrs_srv_sysfs_init() - make the class of the sessions
 *
 * Return: 0 or a negative errno.
 */
int rtrs_srv_sysfs_init(void)
{
	return class_register(&rtrs_srv_class);
}

/**
 * rtrs_srv_sysfs_exit() - undo rtrs_srv_sysfs_init()
 */
void rtrs_srv_sysfs_exit(void)
{
	class_unregister(&rtrs_srv_class);
}
