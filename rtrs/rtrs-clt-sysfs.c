// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /sys/class/rtrs-client/<sessname>/: what an administrator sees of a session
 * and its paths. Documentation/ABI/testing/sysfs-class-rtrs-client describes
 * each file.
 *
 * A session's folder is there before its first path, and until after its last; a
 * path's appears when it has been connected. Files of a path only read what its
 * object holds for life, or what is read without a lock on the data path too.
 *
 * Who removes a folder waits for those who write in it, perhaps with the session's
 * lock held. So a writer in a path's folder takes no lock of the session, except
 * for the one that removes the path: it steps out of the folder first, and holds
 * what it needs by references of its own. Writers in a session's folder may take
 * the lock, since that folder goes without it.
 */
#include <linux/cleanup.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "rtrs-clt.h"

static struct rtrs_clt_sess *to_sess(struct device *dev)
{
	return container_of(dev, struct rtrs_clt_sess, dev);
}

static ssize_t mpath_policy_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	const struct rtrs_clt_policy *p = READ_ONCE(to_sess(dev)->policy);

	return sysfs_emit(buf, "%s (%s: %d)\n", p->name, p->abbrev,
			  rtrs_clt_policy_index(p));
}

static ssize_t mpath_policy_store(struct device *dev,
				  struct device_attribute *attr,
				  const char *buf, size_t count)
{
	const struct rtrs_clt_policy *p = rtrs_clt_policy_find(buf);

	if (!p)
		return -EINVAL;
	WRITE_ONCE(to_sess(dev)->policy, p);
	return count;
}
static DEVICE_ATTR_RW(mpath_policy);

static ssize_t add_path_show(struct device *dev,
			     struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf,
			  "Usage: echo [<source addr>@]<destination addr> > %s\n\n*addr ::= [ ip:<ipv4|ipv6> | gid:<gid> ]\n",
			  attr->attr.name);
}

static ssize_t add_path_store(struct device *dev,
			      struct device_attribute *attr, const char *buf,
			      size_t count)
{
	char *copy __free(kfree) = kstrndup(buf, count, GFP_KERNEL);
	struct rtrs_clt_sess *sess = to_sess(dev);
	struct rtrs_path_addr addr;
	char *text;
	int err;

	if (!copy)
		return -ENOMEM;
	text = strim(copy);
	if (rtrs_path_addr_parse(text, sess->port, &addr))
		return -EINVAL;
	err = rtrs_clt_sess_add_path(sess, &addr);
	if (err)
		dev_err(dev, "path %s cannot be added: %pe\n", text,
			ERR_PTR(err));
	return err ?: count;
}
static DEVICE_ATTR_RW(add_path);

static ssize_t max_reconnect_attempts_show(struct device *dev,
					   struct device_attribute *attr,
					   char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(to_sess(dev)->max_reconnect_attempts));
}

static ssize_t max_reconnect_attempts_store(struct device *dev,
					    struct device_attribute *attr,
					    const char *buf, size_t count)
{
	int max;

	if (kstrtoint(buf, 10, &max) || max < -1 ||
	    max > RTRS_CLT_MAX_RECONNECT_ATTEMPTS)
		return -EINVAL;
	rtrs_clt_sess_set_attempts(to_sess(dev), max);
	return count;
}
static DEVICE_ATTR_RW(max_reconnect_attempts);

static ssize_t rtrs_clt_store_hb(struct device *dev, const char *buf,
				 size_t count, unsigned int *val,
				 unsigned int min, unsigned int max)
{
	unsigned int n;

	if (kstrtouint(buf, 10, &n) || n < min || n > max)
		return -EINVAL;
	WRITE_ONCE(*val, n);
	rtrs_clt_sess_tune_hb(to_sess(dev));
	return count;
}

static ssize_t hb_interval_ms_show(struct device *dev,
				   struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(to_sess(dev)->hb_interval_ms));
}

static ssize_t hb_interval_ms_store(struct device *dev,
				    struct device_attribute *attr,
				    const char *buf, size_t count)
{
	return rtrs_clt_store_hb(dev, buf, count, &to_sess(dev)->hb_interval_ms,
				 100, 60000);
}
static DEVICE_ATTR_RW(hb_interval_ms);

static ssize_t hb_missed_max_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(to_sess(dev)->hb_missed_max));
}

static ssize_t hb_missed_max_store(struct device *dev,
				   struct device_attribute *attr,
				   const char *buf, size_t count)
{
	return rtrs_clt_store_hb(dev, buf, count, &to_sess(dev)->hb_missed_max,
				 1, 100);
}
static DEVICE_ATTR_RW(hb_missed_max);

static struct attribute *rtrs_clt_sess_attrs[] = {
	&dev_attr_add_path.attr,
	&dev_attr_mpath_policy.attr,
	&dev_attr_max_reconnect_attempts.attr,
	&dev_attr_hb_interval_ms.attr,
	&dev_attr_hb_missed_max.attr,
	NULL,
};
ATTRIBUTE_GROUPS(rtrs_clt_sess);

static void rtrs_clt_sess_release(struct device *dev)
{
	struct rtrs_clt_sess *sess = to_sess(dev);

	free_percpu(sess->rr);
	kfree(sess);
}

const struct class rtrs_clt_class = {
	.name		= "rtrs-client",
	.dev_groups	= rtrs_clt_sess_groups,
	.dev_release	= rtrs_clt_sess_release,
};

static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%s\n", rtrs_clt_path_connected(rtrs_clt_kobj_path(kobj)) ?
			  "connected" : "disconnected");
}

static struct kobj_attribute rtrs_clt_state_attr = __ATTR_RO(state);

static ssize_t hca_name_show(struct kobject *kobj,
			     struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", rtrs_clt_kobj_path(kobj)->hca_name);
}

static struct kobj_attribute rtrs_clt_hca_name_attr = __ATTR_RO(hca_name);

static ssize_t hca_port_show(struct kobject *kobj,
			     struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", rtrs_clt_kobj_path(kobj)->hca_port);
}

static struct kobj_attribute rtrs_clt_hca_port_attr = __ATTR_RO(hca_port);

static ssize_t rtrs_clt_addr_emit(const struct sockaddr_storage *addr,
				  char *buf)
{
	char text[RTRS_ADDR_STRLEN];

	rtrs_addr_to_str(addr, text, sizeof(text));
	return sysfs_emit(buf, "%s\n", text);
}

static ssize_t src_addr_show(struct kobject *kobj,
			     struct kobj_attribute *attr, char *buf)
{
	return rtrs_clt_addr_emit(&rtrs_clt_kobj_path(kobj)->addr.src, buf);
}

static struct kobj_attribute rtrs_clt_src_addr_attr = __ATTR_RO(src_addr);

static ssize_t dst_addr_show(struct kobject *kobj,
			     struct kobj_attribute *attr, char *buf)
{
	return rtrs_clt_addr_emit(&rtrs_clt_kobj_path(kobj)->addr.dst, buf);
}

static struct kobj_attribute rtrs_clt_dst_addr_attr = __ATTR_RO(dst_addr);

static ssize_t cur_latency_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu ns\n",
			  READ_ONCE(rtrs_clt_kobj_path(kobj)->hb.latency_ns));
}

static struct kobj_attribute rtrs_clt_cur_latency_attr =
	__ATTR_RO(cur_latency);

static ssize_t rtrs_clt_usage_show(struct kobject *kobj,
				   struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Usage: echo 1 > %s\n", attr->attr.name);
}

static ssize_t disconnect_store(struct kobject *kobj,
				struct kobj_attribute *attr, const char *buf,
				size_t count)
{
	if (!sysfs_streq(buf, "1"))
		return -EINVAL;
	rtrs_clt_path_disconnect(rtrs_clt_kobj_path(kobj));
	return count;
}

static struct kobj_attribute rtrs_clt_disconnect_attr =
	__ATTR(disconnect, 0644, rtrs_clt_usage_show, disconnect_store);

static ssize_t reconnect_store(struct kobject *kobj,
			       struct kobj_attribute *attr, const char *buf,
			       size_t count)
{
	int err;

	if (!sysfs_streq(buf, "1"))
		return -EINVAL;
	err = rtrs_clt_path_reconnect(rtrs_clt_kobj_path(kobj));
	return err ?: count;
}

static struct kobj_attribute rtrs_clt_reconnect_attr =
	__ATTR(reconnect, 0644, rtrs_clt_usage_show, reconnect_store);

/*
 * While we are in the folder it holds the path, that its session, and the
 * session's user this module. Nothing after module_put() may sleep: see
 * rtrs_clt_exit().
 */
static ssize_t remove_path_store(struct kobject *kobj,
				 struct kobj_attribute *attr, const char *buf,
				 size_t count)
{
	struct rtrs_clt_path *path = rtrs_clt_kobj_path(kobj);
	struct device *dev = &path->sess->dev;

	if (!sysfs_streq(buf, "1"))
		return -EINVAL;
	__module_get(THIS_MODULE);
	get_device(dev);
	kobject_get(kobj);
	/* only one gets past this, and is out of the folder */
	if (sysfs_remove_file_self(kobj, &attr->attr))
		rtrs_clt_sess_remove_path(path);
	kobject_put(kobj);
	put_device(dev);
	module_put(THIS_MODULE);
	return count;
}

static struct kobj_attribute rtrs_clt_remove_path_attr =
	__ATTR(remove_path, 0644, rtrs_clt_usage_show, remove_path_store);

static struct attribute *rtrs_clt_path_attrs[] = {
	&rtrs_clt_disconnect_attr.attr,
	&rtrs_clt_reconnect_attr.attr,
	&rtrs_clt_remove_path_attr.attr,
	&rtrs_clt_state_attr.attr,
	&rtrs_clt_hca_name_attr.attr,
	&rtrs_clt_hca_port_attr.attr,
	&rtrs_clt_src_addr_attr.attr,
	&rtrs_clt_dst_addr_attr.attr,
	&rtrs_clt_cur_latency_attr.attr,
	NULL,
};

static const struct attribute_group rtrs_clt_path_group = {
	.attrs = rtrs_clt_path_attrs,
};

static const struct attribute_group *rtrs_clt_path_groups[] = {
	&rtrs_clt_path_group,
	&rtrs_clt_stats_group,
	NULL,
};

static void rtrs_clt_path_release(struct kobject *kobj)
{
	struct rtrs_clt_path *path = rtrs_clt_kobj_path(kobj);

	free_percpu(path->latency);
	free_percpu(path->stats);
	kfree(path->cons);
	kfree(path);
}

const struct kobj_type rtrs_clt_path_ktype = {
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= rtrs_clt_path_groups,
	.release	= rtrs_clt_path_release,
};

/**
 * rtrs_clt_path_sysfs_add() - make a path's folder
 * @path: the path; it has been connected once, so its source is known
 *
 * Return: 0 or a negative errno.
 */
int rtrs_clt_path_sysfs_add(struct rtrs_clt_path *path)
{
	char src[RTRS_ADDR_STRLEN], dst[RTRS_ADDR_STRLEN];
	int err;

	rtrs_addr_to_str(&path->addr.src, src, sizeof(src));
	rtrs_addr_to_str(&path->addr.dst, dst, sizeof(dst));
	err = kobject_add(&path->kobj, path->sess->paths_kobj, "%s@%s", src,
			  dst);
	if (!err)
		rtrs_clt_debugfs_add_path(path);
	return err;
}

/**
 * rtrs_clt_path_sysfs_del() - remove a path's folder, if there is one
 * @path: the path
 */
void rtrs_clt_path_sysfs_del(struct rtrs_clt_path *path)
{
	rtrs_clt_debugfs_del_path(path);
	if (path->kobj.state_in_sysfs)
		kobject_del(&path->kobj);
}

/**
 * rtrs_clt_sess_sysfs_add() - make a session's folder
 * @sess: the session; its device is initialised
 *
 * Return: 0, -EEXIST for a name that is in use, or another negative errno.
 */
int rtrs_clt_sess_sysfs_add(struct rtrs_clt_sess *sess)
{
	int err;

	err = device_add(&sess->dev);
	if (err)
		return err;
	sess->paths_kobj = kobject_create_and_add("paths", &sess->dev.kobj);
	if (!sess->paths_kobj) {
		device_del(&sess->dev);
		return -ENOMEM;
	}
	rtrs_clt_debugfs_add_sess(sess);
	return 0;
}

/**
 * rtrs_clt_sess_sysfs_del() - remove a session's folder
 * @sess: the session
 */
void rtrs_clt_sess_sysfs_del(struct rtrs_clt_sess *sess)
{
	rtrs_clt_debugfs_del_sess(sess);
	kobject_put(sess->paths_kobj);
	device_del(&sess->dev);
}

/**
 * rtrs_clt_sysfs_init() - register the class, and have a folder in debugfs
 *
 * Return: 0 or a negative errno.
 */
int rtrs_clt_sysfs_init(void)
{
	int err = class_register(&rtrs_clt_class);

	if (!err)
		rtrs_clt_debugfs_init();
	return err;
}

/**
 * rtrs_clt_sysfs_exit() - undo rtrs_clt_sysfs_init()
 */
void rtrs_clt_sysfs_exit(void)
{
	rtrs_clt_debugfs_exit();
	class_unregister(&rtrs_clt_class);
}
