// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long requests take, as histograms in debugfs:
 *
 *	rtrs-client/enable_latency		1 or 0; 0 at first
 *	rtrs-client/<sessname>/<path>/latency	read: a line for each power of two
 *						of nanoseconds; write: set to 0
 *
 * A request counts from when it is posted on the path until its answer has come;
 * what it waits for before that, and what is done with the answer, is not the
 * path's. While nothing is measured a request has two branches for it that are not
 * taken, and no clock is looked at.
 */
#include <linux/debugfs.h>
#include <linux/jump_label.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/seq_file.h>

#include "rtrs-clt.h"

DEFINE_STATIC_KEY_FALSE(rtrs_clt_latency_key);

/* When measuring began: what was posted earlier has no time, or an old one. */
static u64 rtrs_clt_latency_since;
static DEFINE_MUTEX(rtrs_clt_latency_lock);
static struct dentry *rtrs_clt_debugfs;

static unsigned int rtrs_clt_latency_bucket(u64 ns)
{
	return min(ilog2(ns), RTRS_CLT_LATENCY_BUCKETS - 1);
}

/**
 * rtrs_clt_latency_answered() - a request was answered while latency is measured
 * @io: the request
 *
 * Context: softirq, or a poller.
 */
void rtrs_clt_latency_answered(const struct rtrs_clt_io *io)
{
	struct rtrs_clt_latency __percpu *latency = io->con->path->latency;
	u64 now = ktime_get_ns(), posted = io->posted_ns;
	unsigned int bucket;

	if (posted < READ_ONCE(rtrs_clt_latency_since) || now <= posted)
		return;
	bucket = rtrs_clt_latency_bucket(now - posted);
	this_cpu_inc(latency->nr[io->req.dir == DMA_TO_DEVICE][bucket]);
}

static void rtrs_clt_latency_sum(const struct rtrs_clt_path *path,
				 struct rtrs_clt_latency *sum)
{
	unsigned int i;
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct rtrs_clt_latency *l = per_cpu_ptr(path->latency, cpu);

		for (i = 0; i < RTRS_CLT_LATENCY_BUCKETS; i++) {
			sum->nr[0][i] += READ_ONCE(l->nr[0][i]);
			sum->nr[1][i] += READ_ONCE(l->nr[1][i]);
		}
	}
}

/* Columns: at least, less than, reads, writes. */
static int latency_show(struct seq_file *m, void *unused)
{
	struct rtrs_clt_latency sum = {};
	unsigned int i;

	rtrs_clt_latency_sum(m->private, &sum);
	seq_puts(m, "# ns from, to, reads, writes\n");
	for (i = 0; i < RTRS_CLT_LATENCY_BUCKETS; i++)
		if (sum.nr[0][i] || sum.nr[1][i])
			seq_printf(m, "%llu %llu %llu %llu\n", BIT_ULL(i),
				   BIT_ULL(i + 1), sum.nr[0][i], sum.nr[1][i]);
	return 0;
}

static int latency_open(struct inode *inode, struct file *file)
{
	return single_open(file, latency_show, inode->i_private);
}

/* What is counted meanwhile may survive it, or not. */
static ssize_t latency_write(struct file *file, const char __user *buf,
			     size_t count, loff_t *pos)
{
	struct rtrs_clt_path *path = file_inode(file)->i_private;
	int cpu;

	for_each_possible_cpu(cpu)
		memset(per_cpu_ptr(path->latency, cpu), 0,
		       sizeof(*path->latency));
	return count;
}

static const struct file_operations latency_fops = {
	.owner		= THIS_MODULE,
	.open		= latency_open,
	.read		= seq_read,
	.write		= latency_write,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static int rtrs_clt_latency_get(void *data, u64 *val)
{
	*val = static_key_enabled(&rtrs_clt_latency_key);
	return 0;
}

static int rtrs_clt_latency_set(void *data, u64 val)
{
	if (val > 1)
		return -EINVAL;
	guard(mutex)(&rtrs_clt_latency_lock);
	if (!val) {
		static_branch_disable(&rtrs_clt_latency_key);
		return 0;
	}
	if (!static_key_enabled(&rtrs_clt_latency_key))
		WRITE_ONCE(rtrs_clt_latency_since, ktime_get_ns());
	static_branch_enable(&rtrs_clt_latency_key);
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(rtrs_clt_latency_fops, rtrs_clt_latency_get,
			 rtrs_clt_latency_set, "%llu\n");

/**
 * rtrs_clt_debugfs_add_sess() - make a session's folder
 * @sess: the session
 *
 * Context: process. Who has no debugfs goes without.
 */
void rtrs_clt_debugfs_add_sess(struct rtrs_clt_sess *sess)
{
	sess->debugfs = debugfs_create_dir(sess->name, rtrs_clt_debugfs);
}

/**
 * rtrs_clt_debugfs_del_sess() - remove a session's folder
 * @sess: the session
 *
 * Context: process, sleeps.
 */
void rtrs_clt_debugfs_del_sess(struct rtrs_clt_sess *sess)
{
	debugfs_remove(sess->debugfs);
}

/**
 * rtrs_clt_debugfs_add_path() - make a path's folder
 * @path: the path; it has its name
 *
 * Context: process.
 */
void rtrs_clt_debugfs_add_path(struct rtrs_clt_path *path)
{
	path->debugfs = debugfs_create_dir(kobject_name(&path->kobj),
					   path->sess->debugfs);
	debugfs_create_file("latency", 0600, path->debugfs, path,
			    &latency_fops);
}

/**
 * rtrs_clt_debugfs_del_path() - remove a path's folder, if there is one
 * @path: the path
 *
 * Context: process, sleeps: waits for those who read in it.
 */
void rtrs_clt_debugfs_del_path(struct rtrs_clt_path *path)
{
	debugfs_remove(path->debugfs);
	path->debugfs = NULL;
}

/**
 * rtrs_clt_debugfs_init() - make the folder of the module
 *
 * Context: process.
 */
void rtrs_clt_debugfs_init(void)
{
	rtrs_clt_debugfs = debugfs_create_dir("rtrs-client", NULL);
	debugfs_create_file_unsafe("enable_latency", 0600, rtrs_clt_debugfs,
				   NULL, &rtrs_clt_latency_fops);
}

/**
 * rtrs_clt_debugfs_exit() - remove the folder of the module
 *
 * Context: process.
 */
void rtrs_clt_debugfs_exit(void)
{
	debugfs_remove(rtrs_clt_debugfs);
}

#ifdef CONFIG_RTRS_KUNIT_TEST
#include "rtrs-clt-latency-test.c"
#endif
