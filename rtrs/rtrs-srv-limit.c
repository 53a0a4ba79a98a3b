// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RTRS server: what clients may take of it.
 *
 * Whoever can reach the server can connect, and each connection costs it a queue
 * pair, each path the memory of its chunks. So there is an end to how many of them
 * there may be, in all and of one client, to how many may be coming up, and to the
 * memory of all this: that of queues is charged when a connection comes, that of
 * chunks when the client has introduced itself, that of buffers when reads need them.
 * Each is given back when it is freed, which may be long after its path has ended, if
 * a disk hangs: until then it is the client's whose path it was. A client is an
 * address, the one that our answers go to: it has to be there to get them.
 *
 * A refusal is an answer like any other, and a client that honestly comes too
 * often tries again, as others leave. Limits can be changed at any time, and hold
 * for those who come then.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/string.h>

#include "rtrs-srv.h"

static unsigned int max_sessions = 1024;
module_param(max_sessions, uint, 0644);
MODULE_PARM_DESC(max_sessions, "Sessions in all (default: 1024)");

static unsigned int max_half_open = 256;
module_param(max_half_open, uint, 0644);
MODULE_PARM_DESC(max_half_open, "Paths in all that are coming up (default: 256)");

static unsigned int max_client_half_open = 64;
module_param(max_client_half_open, uint, 0644);
MODULE_PARM_DESC(max_client_half_open,
		 "Paths from one address that are coming up (default: 64)");

static unsigned int max_client_paths = 256;
module_param(max_client_paths, uint, 0644);
MODULE_PARM_DESC(max_client_paths, "Paths from one address (default: 256)");

static unsigned int max_client_connections = 8192;
module_param(max_client_connections, uint, 0644);
MODULE_PARM_DESC(max_client_connections,
		 "Connections from one address (default: 8192)");

static unsigned int max_memory_mb;
module_param(max_memory_mb, uint, 0644);
MODULE_PARM_DESC(max_memory_mb,
		 "MiB for all paths (default: 0, half of the memory)");

static unsigned int max_client_memory_mb;
module_param(max_client_memory_mb, uint, 0644);
MODULE_PARM_DESC(max_client_memory_mb,
		 "MiB for paths from one address (default: 0, half of max_memory_mb)");

/* Bytes of all paths: what is charged, and not given back. */
static atomic64_t rtrs_srv_memory = ATOMIC64_INIT(0);

/* All paths until they are freed, in a session or not. rtrs_srv_mutex */
static LIST_HEAD(rtrs_srv_paths);

/**
 * struct rtrs_srv_usage - what there is, as far as limits are concerned
 * @sessions: that have a path
 * @half_open: paths that are coming up
 * @client_half_open: those of one client
 * @client_paths: its paths, in any state but CLOSED
 * @client_cons: the connections that these have, or are to have
 * @client_memory: bytes of its paths, CLOSED ones too
 */
struct rtrs_srv_usage {
	unsigned int	sessions;
	unsigned int	half_open;
	unsigned int	client_half_open;
	unsigned int	client_paths;
	unsigned int	client_cons;
	u64		client_memory;
};

static void rtrs_srv_count_path(struct rtrs_srv_usage *u,
				const struct rtrs_srv_path *path,
				const union ib_gid *client)
{
	unsigned int state = READ_ONCE(path->state);
	bool half_open = state == RTRS_SRV_PATH_CONNECTING;

	u->half_open += half_open;
	if (memcmp(&path->client, client, sizeof(*client)))
		return;
	u->client_half_open += half_open;
	u->client_memory += atomic64_read(&path->memory);
	if (state == RTRS_SRV_PATH_CLOSED)
		return;
	u->client_paths++;
	u->client_cons += path->con_num;
}

static void rtrs_srv_count_usage(struct rtrs_srv_usage *u,
				 const union ib_gid *client)
{
	const struct rtrs_srv_path *path;

	u->sessions = list_count_nodes(&rtrs_srv_sessions);
	list_for_each_entry(path, &rtrs_srv_paths, limit_entry)
		rtrs_srv_count_path(u, path, client);
}

static int rtrs_srv_limit(const struct rtrs_srv_path *path, const char *name,
			  u64 wanted, u64 max)
{
	if (wanted <= max)
		return 0;
	pr_warn_ratelimited("%s: connection refused, the limit %s=%llu is reached\n",
			    path->src, name, max);
	return -EUSERS;
}

static u64 rtrs_srv_max_memory(void)
{
	u32 mb = READ_ONCE(max_memory_mb);

	return mb ? (u64)mb << 20 : (u64)totalram_pages() << PAGE_SHIFT >> 1;
}

static u64 rtrs_srv_max_client_memory(void)
{
	u32 mb = READ_ONCE(max_client_memory_mb);

	return mb ? (u64)mb << 20 : rtrs_srv_max_memory() >> 1;
}

/* What a path takes that is there, but for the buffers of reads. */
static u64 rtrs_srv_path_memory(const struct rtrs_srv_path *path)
{
	return (u64)path->queue_depth * rtrs_srv_conf.chunk_size +
	       path->con_num * rtrs_srv_con_memory(path);
}

static int rtrs_srv_limit_check_memory(const struct rtrs_srv_path *path,
				       const struct rtrs_srv_usage *u,
				       u64 bytes)
{
	return rtrs_srv_limit(path, "max_memory_mb",
			      (atomic64_read(&rtrs_srv_memory) + bytes) >> 20,
			      rtrs_srv_max_memory() >> 20) ?:
	       rtrs_srv_limit(path, "max_client_memory_mb",
			      (u->client_memory + bytes) >> 20,
			      rtrs_srv_max_client_memory() >> 20);
}

/**
 * rtrs_srv_limit_check() - may there be one more path?
 * @path: the path, which knows its client, its connections and chunks, and is not
 *	part of a session yet
 * @new_sess: with it comes a session
 *
 * Context: process, under rtrs_srv_mutex.
 * Return: 0; or -EUSERS, with a line in the log.
 */
int rtrs_srv_limit_check(const struct rtrs_srv_path *path, bool new_sess)
{
	struct rtrs_srv_usage u = {};

	lockdep_assert_held(&rtrs_srv_mutex);
	rtrs_srv_count_usage(&u, &path->client);
	return rtrs_srv_limit(path, "max_sessions", u.sessions + new_sess,
			      max_sessions) ?:
	       rtrs_srv_limit(path, "max_half_open", u.half_open + 1,
			      max_half_open) ?:
	       rtrs_srv_limit(path, "max_client_half_open",
			      u.client_half_open + 1, max_client_half_open) ?:
	       rtrs_srv_limit(path, "max_client_paths", u.client_paths + 1,
			      max_client_paths) ?:
	       rtrs_srv_limit(path, "max_client_connections",
			      u.client_cons + path->con_num,
			      max_client_connections) ?:
	       rtrs_srv_limit_check_memory(path, &u,
					   rtrs_srv_path_memory(path));
}

/**
 * rtrs_srv_limit_enter() - count a path from now on
 * @path: the path
 *
 * Context: process, under rtrs_srv_mutex.
 */
void rtrs_srv_limit_enter(struct rtrs_srv_path *path)
{
	lockdep_assert_held(&rtrs_srv_mutex);
	list_add_tail(&path->limit_entry, &rtrs_srv_paths);
}

/**
 * rtrs_srv_limit_leave() - a path is about to be freed
 * @path: the path, which has been counted; what it still owes is given back
 *
 * Context: process, under rtrs_srv_mutex.
 */
void rtrs_srv_limit_leave(struct rtrs_srv_path *path)
{
	lockdep_assert_held(&rtrs_srv_mutex);
	list_del(&path->limit_entry);
	rtrs_srv_limit_give(path, atomic64_read(&path->memory));
}

static void rtrs_srv_limit_charge(struct rtrs_srv_path *path, u64 bytes)
{
	atomic64_add(bytes, &path->memory);
	atomic64_add(bytes, &rtrs_srv_memory);
}

/**
 * rtrs_srv_limit_take() - may a path have so much more memory?
 * @path: the path, which is counted
 * @bytes: how much
 *
 * Context: process, under rtrs_srv_mutex.
 * Return: 0, to be followed by rtrs_srv_limit_give(); or -EUSERS, with a line in the
 * log.
 */
int rtrs_srv_limit_take(struct rtrs_srv_path *path, u64 bytes)
{
	struct rtrs_srv_usage u = {};
	int err;

	lockdep_assert_held(&rtrs_srv_mutex);
	rtrs_srv_count_usage(&u, &path->client);
	err = rtrs_srv_limit_check_memory(path, &u, bytes);
	if (!err)
		rtrs_srv_limit_charge(path, bytes);
	return err;
}

/**
 * rtrs_srv_limit_try() - take memory for a buffer that one can do without
 * @path: the path, which is counted
 * @bytes: how much
 *
 * Only the limit for all is looked at. That for the client counts it when the
 * client wants more of anything else.
 *
 * Context: any.
 * Return: true, to be followed by rtrs_srv_limit_give(), or false.
 */
bool rtrs_srv_limit_try(struct rtrs_srv_path *path, u64 bytes)
{
	if (atomic64_read(&rtrs_srv_memory) + bytes > rtrs_srv_max_memory())
		return false;
	rtrs_srv_limit_charge(path, bytes);
	return true;
}

/**
 * rtrs_srv_limit_give() - memory of a path has been freed
 * @path: the path
 * @bytes: how much
 *
 * Context: any.
 */
void rtrs_srv_limit_give(struct rtrs_srv_path *path, u64 bytes)
{
	atomic64_sub(bytes, &path->memory);
	atomic64_sub(bytes, &rtrs_srv_memory);
}

/**
 * rtrs_srv_limit_exit() - there are no paths any more
 *
 * Context: process.
 */
void __exit rtrs_srv_limit_exit(void)
{
	WARN_ON(!list_empty(&rtrs_srv_paths));
	WARN_ON(atomic64_read(&rtrs_srv_memory));
}

#ifdef CONFIG_RTRS_KUNIT_TEST
#include "rtrs-srv-limit-test.c"
#endif
