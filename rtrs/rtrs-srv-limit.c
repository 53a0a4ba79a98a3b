// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RTRS server: what clients may take of it.
 *
 * Whoever can reach the server can connect, and each connection costs it a queue
 * pair, each path the memory of its chunks. So there is an end to how many of them
 * there may be, in all and of one client, and to how many may be coming up: these
 * have shown nothing yet, so they do not count where memory is concerned, which is
 * theirs only when they have introduced themselves. A client is an address, which is
 * what its network vouches for.
 *
 * A refusal is an answer like any other, and a client that honestly comes too
 * often tries again, as others leave. Limits can be changed at any time, and hold
 * for those who come then.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/module.h>

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
		 "MiB for chunks of all paths (default: 0, half of the memory)");

static unsigned int max_client_memory_mb;
module_param(max_client_memory_mb, uint, 0644);
MODULE_PARM_DESC(max_client_memory_mb,
		 "MiB for chunks of paths from one address (default: 0, half of max_memory_mb)");

/* Bytes of the chunks of all paths, until they are freed. */
static atomic64_t rtrs_srv_memory = ATOMIC64_INIT(0);

/**
 * struct rtrs_srv_usage - what there is, as far as limits are concerned
 * @sessions: that have a path
 * @half_open: paths that are coming up
 * @client_half_open: those of one client
 * @client_paths: its paths, in any state
 * @client_cons: the connections that these have, or are to have
 * @client_memory: bytes of their chunks
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
				const char *client)
{
	bool mine = !strcmp(path->src, client);
	bool half_open = READ_ONCE(path->state) == RTRS_SRV_PATH_CONNECTING;

	u->half_open += half_open;
	if (!mine)
		return;
	u->client_half_open += half_open;
	u->client_paths++;
	u->client_cons += path->con_num;
	u->client_memory += path->memory;
}

static void rtrs_srv_count_usage(struct rtrs_srv_usage *u, const char *client)
{
	const struct rtrs_srv_path *path;
	const struct rtrs_srv_sess *sess;

	list_for_each_entry(sess, &rtrs_srv_sessions, entry) {
		u->sessions++;
		list_for_each_entry(path, &sess->paths, entry)
			rtrs_srv_count_path(u, path, client);
	}
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

static u64 rtrs_srv_path_memory(const struct rtrs_srv_path *path)
{
	return (u64)path->queue_depth * rtrs_srv_conf.chunk_size;
}

static int rtrs_srv_limit_check_memory(const struct rtrs_srv_path *path,
				       const struct rtrs_srv_usage *u)
{
	u64 bytes = rtrs_srv_path_memory(path);

	return rtrs_srv_limit(path, "max_memory_mb",
			      (atomic64_read(&rtrs_srv_memory) + bytes) >> 20,
			      rtrs_srv_max_memory() >> 20) ?:
	       rtrs_srv_limit(path, "max_client_memory_mb",
			      (u->client_memory + bytes) >> 20,
			      rtrs_srv_max_client_memory() >> 20);
}

/**
 * rtrs_srv_limit_admit() - may there be one more path?
 * @path: the path, which knows its client, its connections and chunks, and is not
 *	part of a session yet
 * @new_sess: with it comes a session
 *
 * Context: process, under rtrs_srv_mutex.
 * Return: 0; or -EUSERS, with a line in the log.
 */
int rtrs_srv_limit_admit(const struct rtrs_srv_path *path, bool new_sess)
{
	struct rtrs_srv_usage u = {};

	lockdep_assert_held(&rtrs_srv_mutex);
	rtrs_srv_count_usage(&u, path->src);
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
	       rtrs_srv_limit_check_memory(path, &u);
}

/**
 * rtrs_srv_limit_take_memory() - may a path have its chunks?
 * @path: the path, part of a session
 *
 * Context: process, under rtrs_srv_mutex.
 * Return: 0, to be followed by rtrs_srv_limit_give_memory(); or -EUSERS, with a line
 * in the log.
 */
int rtrs_srv_limit_take_memory(struct rtrs_srv_path *path)
{
	struct rtrs_srv_usage u = {};
	int err;

	lockdep_assert_held(&rtrs_srv_mutex);
	rtrs_srv_count_usage(&u, path->src);
	err = rtrs_srv_limit_check_memory(path, &u);
	if (err)
		return err;
	path->memory = rtrs_srv_path_memory(path);
	atomic64_add(path->memory, &rtrs_srv_memory);
	return 0;
}

/**
 * rtrs_srv_limit_give_memory() - the chunks of a path are free
 * @path: the path, which may have had none
 *
 * Context: any.
 */
void rtrs_srv_limit_give_memory(struct rtrs_srv_path *path)
{
	atomic64_sub(path->memory, &rtrs_srv_memory);
	path->memory = 0;
}
