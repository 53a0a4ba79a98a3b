// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RTRS server: what clients may take of it.
 *
 * Whoever can reach the server can connect, and each connection costs it a queue
 * pair, each path the memory of its chunks. So there is an end to how many of them
 * there may be, in all and of one client, to how many may be coming up, and to the
 * memory of all this: that of queues is charged when a connection comes, that of
 * chunks when they are allocated, that of buffers when requests need them. Each is
 * given back when it is freed, which may be long after its path has ended, if a disk
 * hangs: until then it is its client's, and its session counts.
 *
 * A client is the GID that it has given for answers to go to. That is no more than
 * the network makes of it: see Documentation/admin-guide/security.rst.
 *
 * A refusal is an answer like any other, and a client that honestly comes too
 * often tries again, as others leave. Limits can be changed at any time, and hold
 * for what is asked for then.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
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

/**
 * struct rtrs_srv_client - who has paths
 * @entry: in the list of all
 * @gid: who it is
 * @paths: how many paths it has, CLOSED ones too
 * @memory: bytes that are charged to these
 *
 * Lives as long as it has paths; all but @memory belongs to rtrs_srv_mutex.
 */
struct rtrs_srv_client {
	struct list_head	entry;
	union ib_gid		gid;
	unsigned int		paths;
	atomic64_t		memory;
};

static LIST_HEAD(rtrs_srv_clients);

/* All paths until they are freed, in a session or not. rtrs_srv_mutex */
static LIST_HEAD(rtrs_srv_paths);

/* Bytes that are charged to all. */
static atomic64_t rtrs_srv_memory = ATOMIC64_INIT(0);

/* Sessions, from when they are made until they are freed. */
static atomic_t rtrs_srv_nr_sess = ATOMIC_INIT(0);

/**
 * struct rtrs_srv_usage - what there is, as far as limits are concerned
 * @half_open: paths that are coming up
 * @client_half_open: those of one client
 * @client_paths: its paths, in any state but CLOSED
 * @client_cons: the connections that these have, or are to have
 */
struct rtrs_srv_usage {
	unsigned int	half_open;
	unsigned int	client_half_open;
	unsigned int	client_paths;
	unsigned int	client_cons;
};

static void rtrs_srv_count_path(struct rtrs_srv_usage *u,
				const struct rtrs_srv_path *path,
				const struct rtrs_srv_client *client)
{
	unsigned int state = READ_ONCE(path->state);
	bool half_open = state == RTRS_SRV_PATH_CONNECTING;

	u->half_open += half_open;
	if (path->client != client || state == RTRS_SRV_PATH_CLOSED)
		return;
	u->client_half_open += half_open;
	u->client_paths++;
	u->client_cons += path->con_num;
}

static void rtrs_srv_count_usage(struct rtrs_srv_usage *u,
				 const struct rtrs_srv_client *client)
{
	const struct rtrs_srv_path *path;

	list_for_each_entry(path, &rtrs_srv_paths, limit_entry)
		rtrs_srv_count_path(u, path, client);
}

static int rtrs_srv_limit(const struct rtrs_srv_path *path, const char *name,
			  u64 wanted, u64 max)
{
	if (wanted <= max)
		return 0;
	pr_warn_ratelimited("%s: refused, the limit %s=%llu is reached (%pI6c)\n",
			    path->src, name, max, &path->client->gid);
	return -EUSERS;
}

/* The least that one has to give up, or the limit to grow, is what is missing. */
static int rtrs_srv_limit_mb(const struct rtrs_srv_path *path, const char *name,
			     u64 used, u64 bytes, u64 max)
{
	if (used + bytes <= max)
		return 0;
	pr_warn_ratelimited("%s: refused, the limit %s=%llu is reached (%pI6c): %llu KiB more are wanted, %llu KiB are left\n",
			    path->src, name, max >> 20, &path->client->gid,
			    DIV_ROUND_UP_ULL(bytes, SZ_1K),
			    used < max ? (max - used) >> 10 : 0);
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

/* The workqueue of a session with its thread, and what is in sysfs; about. */
#define RTRS_SRV_PATH_MEMORY	SZ_32K

/* What a path has besides connections, chunks and buffers, until it is freed. */
static u64 rtrs_srv_fixed_memory(const struct rtrs_srv_path *path)
{
	const struct rtrs_srv_ops *user = path->sess->ctx->ops;

	return RTRS_SRV_PATH_MEMORY +
	       path->queue_depth * (u64)(sizeof(struct rtrs_srv_op) +
					 sizeof(struct rtrs_srv_slot) +
					 sizeof(struct rtrs_msg_rkey_rsp) +
					 user->max_msg_len + user->op_size);
}

/* What a path takes that is up, but for the buffers of requests. */
static u64 rtrs_srv_path_memory(const struct rtrs_srv_path *path)
{
	return (u64)path->queue_depth * rtrs_srv_conf.chunk_size +
	       rtrs_srv_con_memory(path, 0) +
	       (path->con_num - 1) * rtrs_srv_con_memory(path, 1) +
	       rtrs_srv_fixed_memory(path);
}

static int rtrs_srv_check_memory(const struct rtrs_srv_path *path)
{
	u64 bytes = rtrs_srv_path_memory(path);

	return rtrs_srv_limit_mb(path, "max_memory_mb",
				 atomic64_read(&rtrs_srv_memory), bytes,
				 rtrs_srv_max_memory()) ?:
	       rtrs_srv_limit_mb(path, "max_client_memory_mb",
				 atomic64_read(&path->client->memory), bytes,
				 rtrs_srv_max_client_memory());
}

static int rtrs_srv_check(const struct rtrs_srv_path *path, bool new_sess)
{
	struct rtrs_srv_usage u = {};

	rtrs_srv_count_usage(&u, path->client);
	return rtrs_srv_limit(path, "max_sessions",
			      new_sess ? atomic_read(&rtrs_srv_nr_sess) : 0,
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
	       rtrs_srv_check_memory(path);
}

static struct rtrs_srv_client *rtrs_srv_client_get(const union ib_gid *gid)
{
	struct rtrs_srv_client *client;

	list_for_each_entry(client, &rtrs_srv_clients, entry)
		if (!memcmp(&client->gid, gid, sizeof(*gid))) {
			client->paths++;
			return client;
		}
	client = kzalloc(sizeof(*client), GFP_KERNEL);
	if (!client)
		return NULL;
	client->gid = *gid;
	client->paths = 1;
	list_add_tail(&client->entry, &rtrs_srv_clients);
	return client;
}

static void rtrs_srv_client_put(struct rtrs_srv_client *client)
{
	if (--client->paths)
		return;
	WARN_ON_ONCE(atomic64_read(&client->memory));
	list_del(&client->entry);
	kfree(client);
}

static void rtrs_srv_charge(struct rtrs_srv_path *path, s64 bytes)
{
	atomic64_add(bytes, &path->memory);
	atomic64_add(bytes, &path->client->memory);
	atomic64_add(bytes, &rtrs_srv_memory);
}

/**
 * rtrs_srv_limit_enter() - may there be one more path?
 * @path: the path, which knows its connections, chunks and session, and is not part
 *	of that yet
 * @gid: its client
 * @new_sess: the session comes with it
 *
 * Context: process, under rtrs_srv_mutex.
 * Return: 0, to be followed by rtrs_srv_limit_leave(); -EUSERS, with a line in the
 * log; or -ENOMEM.
 */
int rtrs_srv_limit_enter(struct rtrs_srv_path *path, const union ib_gid *gid,
			 bool new_sess)
{
	int err;

	lockdep_assert_held(&rtrs_srv_mutex);
	path->client = rtrs_srv_client_get(gid);
	if (!path->client)
		return -ENOMEM;
	err = rtrs_srv_check(path, new_sess);
	if (err) {
		rtrs_srv_client_put(path->client);
		return err;
	}
	list_add_tail(&path->limit_entry, &rtrs_srv_paths);
	rtrs_srv_charge(path, rtrs_srv_fixed_memory(path));
	return 0;
}

/**
 * rtrs_srv_limit_leave() - a path is about to be freed
 * @path: the path, all of whose memory has been given back
 *
 * Context: process, under rtrs_srv_mutex.
 */
void rtrs_srv_limit_leave(struct rtrs_srv_path *path)
{
	lockdep_assert_held(&rtrs_srv_mutex);
	rtrs_srv_charge(path, -rtrs_srv_fixed_memory(path));
	WARN_ON_ONCE(atomic64_read(&path->memory));
	list_del(&path->limit_entry);
	rtrs_srv_client_put(path->client);
}

/* First taken, then looked at: who comes at the same time sees it. */
static bool rtrs_srv_over(struct rtrs_srv_path *path, u64 *all, u64 *one)
{
	*all = atomic64_read(&rtrs_srv_memory);
	*one = atomic64_read(&path->client->memory);
	return *all > rtrs_srv_max_memory() ||
	       *one > rtrs_srv_max_client_memory();
}

/**
 * rtrs_srv_limit_try() - take memory that one can do without
 * @path: the path
 * @bytes: how much
 *
 * Context: any.
 * Return: true, to be followed by rtrs_srv_limit_give(), or false.
 */
bool rtrs_srv_limit_try(struct rtrs_srv_path *path, u64 bytes)
{
	u64 all, one;

	rtrs_srv_charge(path, bytes);
	if (!rtrs_srv_over(path, &all, &one))
		return true;
	rtrs_srv_limit_give(path, bytes);
	return false;
}

/**
 * rtrs_srv_limit_take() - may a path have so much more memory?
 * @path: the path
 * @bytes: how much
 *
 * Context: any.
 * Return: 0, to be followed by rtrs_srv_limit_give(); or -EUSERS, with a line in the
 * log.
 */
int rtrs_srv_limit_take(struct rtrs_srv_path *path, u64 bytes)
{
	u64 all, one;

	rtrs_srv_charge(path, bytes);
	if (!rtrs_srv_over(path, &all, &one))
		return 0;
	rtrs_srv_limit_give(path, bytes);
	return rtrs_srv_limit_mb(path, "max_memory_mb", all - bytes, bytes,
				 rtrs_srv_max_memory()) ?:
	       rtrs_srv_limit_mb(path, "max_client_memory_mb", one - bytes,
				 bytes, rtrs_srv_max_client_memory()) ?: -EUSERS;
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
	rtrs_srv_charge(path, -bytes);
}

/**
 * rtrs_srv_limit_sess() - there is one session more, or less
 * @by: 1 or -1
 *
 * Context: any.
 */
void rtrs_srv_limit_sess(int by)
{
	atomic_add(by, &rtrs_srv_nr_sess);
}

/**
 * rtrs_srv_limit_exit() - there are no paths any more
 *
 * Context: process.
 */
void __exit rtrs_srv_limit_exit(void)
{
	WARN_ON(!list_empty(&rtrs_srv_paths) || !list_empty(&rtrs_srv_clients));
	WARN_ON(atomic64_read(&rtrs_srv_memory) || atomic_read(&rtrs_srv_nr_sess));
}

#ifdef CONFIG_RTRS_KUNIT_TEST
#include "rtrs-srv-limit-test.c"
#endif
