// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a path of a client has done: the files in its folder stats/.
 *
 * Counters are per CPU, and added up when somebody looks. Writing to a file sets
 * its counters to 0; what is counted at that moment may survive it, or not.
 */
#include <linux/percpu.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "rtrs-clt.h"

static int rtrs_clt_path_inflight(struct rtrs_clt_path *path)
{
	unsigned int cid;
	int sum = 0;

	/* connections are freed only after a grace period without this state */
	guard(rcu)();
	if (!rtrs_clt_path_connected(path))
		return 0;
	for (cid = 0; cid < path->sess->nr_cons; cid++)
		sum += atomic_read(&path->cons[cid]->c.inflight);
	return sum;
}

static ssize_t rtrs_clt_reset_store(struct kobject *kobj, const char *buf,
				    size_t count,
				    void (*reset)(struct rtrs_clt_path *path))
{
	if (!sysfs_streq(buf, "1"))
		return -EINVAL;
	reset(rtrs_clt_kobj_path(kobj));
	return count;
}

static ssize_t rdma_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	struct rtrs_clt_path *path = rtrs_clt_kobj_path(kobj);
	struct rtrs_clt_stats sum = {};
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct rtrs_clt_stats *s = per_cpu_ptr(path->stats, cpu);

		sum.reqs[0] += s->reqs[0];
		sum.reqs[1] += s->reqs[1];
		sum.bytes[0] += s->bytes[0];
		sum.bytes[1] += s->bytes[1];
		sum.failed_over += s->failed_over;
	}
	return sysfs_emit(buf, "%llu %llu %llu %llu %d %llu\n",
			  sum.reqs[0], sum.bytes[0], sum.reqs[1], sum.bytes[1],
			  rtrs_clt_path_inflight(path), sum.failed_over);
}

static void rtrs_clt_reset_rdma(struct rtrs_clt_path *path)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct rtrs_clt_stats *s = per_cpu_ptr(path->stats, cpu);

		memset(s->reqs, 0, sizeof(s->reqs));
		memset(s->bytes, 0, sizeof(s->bytes));
		s->failed_over = 0;
	}
}

static ssize_t rdma_store(struct kobject *kobj, struct kobj_attribute *attr,
			  const char *buf, size_t count)
{
	return rtrs_clt_reset_store(kobj, buf, count, rtrs_clt_reset_rdma);
}

static struct kobj_attribute rtrs_clt_rdma_attr = __ATTR_RW(rdma);

static ssize_t reconnects_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	struct rtrs_clt_path *path = rtrs_clt_kobj_path(kobj);

	return sysfs_emit(buf, "%llu %llu\n", READ_ONCE(path->reconnects[0]),
			  READ_ONCE(path->reconnects[1]));
}

static void rtrs_clt_reset_reconnects(struct rtrs_clt_path *path)
{
	spin_lock_irq(&path->state_lock);
	memset(path->reconnects, 0, sizeof(path->reconnects));
	spin_unlock_irq(&path->state_lock);
}

static ssize_t reconnects_store(struct kobject *kobj,
				struct kobj_attribute *attr, const char *buf,
				size_t count)
{
	return rtrs_clt_reset_store(kobj, buf, count,
				    rtrs_clt_reset_reconnects);
}

static struct kobj_attribute rtrs_clt_reconnects_attr = __ATTR_RW(reconnects);

/* Followed by a space, the last one too. Of many hundreds some may find no room. */
static int rtrs_clt_emit_number(char *buf, int at, u64 n)
{
	return at < PAGE_SIZE - 32 ? sysfs_emit_at(buf, at, "%llu ", n) : 0;
}

static ssize_t cpu_migration_from_show(struct kobject *kobj,
				       struct kobj_attribute *attr, char *buf)
{
	struct rtrs_clt_stats __percpu *stats = rtrs_clt_kobj_path(kobj)->stats;
	int cpu, len = 0;

	for_each_possible_cpu(cpu)
		len += rtrs_clt_emit_number(buf, len,
					    atomic64_read(&per_cpu_ptr(stats, cpu)->migrated_from));
	return len + sysfs_emit_at(buf, len, "\n");
}

static void rtrs_clt_reset_migrated_from(struct rtrs_clt_path *path)
{
	int cpu;

	for_each_possible_cpu(cpu)
		atomic64_set(&per_cpu_ptr(path->stats, cpu)->migrated_from, 0);
}

static ssize_t cpu_migration_from_store(struct kobject *kobj,
					struct kobj_attribute *attr,
					const char *buf, size_t count)
{
	return rtrs_clt_reset_store(kobj, buf, count,
				    rtrs_clt_reset_migrated_from);
}

static struct kobj_attribute rtrs_clt_cpu_migration_from_attr =
	__ATTR_RW(cpu_migration_from);

static ssize_t cpu_migration_to_show(struct kobject *kobj,
				     struct kobj_attribute *attr, char *buf)
{
	struct rtrs_clt_stats __percpu *stats = rtrs_clt_kobj_path(kobj)->stats;
	int cpu, len = 0;

	for_each_possible_cpu(cpu)
		len += rtrs_clt_emit_number(buf, len,
					    per_cpu_ptr(stats, cpu)->migrated_to);
	return len + sysfs_emit_at(buf, len, "\n");
}

static void rtrs_clt_reset_migrated_to(struct rtrs_clt_path *path)
{
	int cpu;

	for_each_possible_cpu(cpu)
		per_cpu_ptr(path->stats, cpu)->migrated_to = 0;
}

static ssize_t cpu_migration_to_store(struct kobject *kobj,
				      struct kobj_attribute *attr,
				      const char *buf, size_t count)
{
	return rtrs_clt_reset_store(kobj, buf, count,
				    rtrs_clt_reset_migrated_to);
}

static struct kobj_attribute rtrs_clt_cpu_migration_to_attr =
	__ATTR_RW(cpu_migration_to);

static ssize_t reset_all_show(struct kobject *kobj,
			      struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "echo 1 to reset all statistics\n");
}

static void rtrs_clt_reset_all(struct rtrs_clt_path *path)
{
	rtrs_clt_reset_rdma(path);
	rtrs_clt_reset_reconnects(path);
	rtrs_clt_reset_migrated_from(path);
	rtrs_clt_reset_migrated_to(path);
}

static ssize_t reset_all_store(struct kobject *kobj,
			       struct kobj_attribute *attr, const char *buf,
			       size_t count)
{
	return rtrs_clt_reset_store(kobj, buf, count, rtrs_clt_reset_all);
}

static struct kobj_attribute rtrs_clt_reset_all_attr = __ATTR_RW(reset_all);

static struct attribute *rtrs_clt_stats_attrs[] = {
	&rtrs_clt_rdma_attr.attr,
	&rtrs_clt_reconnects_attr.attr,
	&rtrs_clt_cpu_migration_from_attr.attr,
	&rtrs_clt_cpu_migration_to_attr.attr,
	&rtrs_clt_reset_all_attr.attr,
	NULL,
};

const struct attribute_group rtrs_clt_stats_group = {
	.name	= "stats",
	.attrs	= rtrs_clt_stats_attrs,
};
