// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RTRS server: the module, the ports it listens on, and sessions.
 *
 * A user of RTRS opens a port. Connections that come in on it make paths, and
 * paths make sessions: the first connection with an unknown paths_uuid creates
 * the session, which gets its name when the first of its paths has introduced
 * itself, and which its user is told about when that path is established. When
 * the last established path ends, what the user had in the session ends too;
 * when the last path of any kind is gone, so is the session, and its name is
 * free again.
 *
 * A port is closed from the outside in: the listeners first, so that no path
 * can come up any more, then all paths; then it waits until the memory of the
 * last session is gone, and with it the last request that the user had not
 * answered.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <rdma/ib.h>

#include "rtrs-srv.h"

#define RTRS_SRV_BACKLOG	128

static bool always_invalidate = true;
module_param(always_invalidate, bool, 0444);
MODULE_PARM_DESC(always_invalidate,
		 "Keep clients from changing data that is being worked on (default: Y)");

static int max_chunk_size = SZ_128K;
module_param(max_chunk_size, int, 0444);
MODULE_PARM_DESC(max_chunk_size,
		 "Bytes of a chunk, a power of two; I/O is a page less at most (default: 131072)");

static int sess_queue_depth = 512;
module_param(sess_queue_depth, int, 0444);
MODULE_PARM_DESC(sess_queue_depth,
		 "Chunks of a session that does not ask for less, 1..65535 (default: 512)");

struct rtrs_srv_conf rtrs_srv_conf __ro_after_init;

/* Protects who exists; see rtrs-srv.h. */
DEFINE_MUTEX(rtrs_srv_mutex);

/* Sessions of all ports, for their names share one directory. rtrs_srv_mutex */
LIST_HEAD(rtrs_srv_sessions);

/* Paths come up and go on it. What users do is done elsewhere: it may block. */
struct workqueue_struct *rtrs_srv_wq;

static void rtrs_srv_ctx_put(struct rtrs_srv_ctx *ctx)
{
	if (refcount_dec_and_test(&ctx->refs))
		complete(&ctx->done);
}

static void rtrs_srv_sess_release(struct kref *ref)
{
	struct rtrs_srv_sess *sess = container_of(ref, struct rtrs_srv_sess,
						  ref);
	struct rtrs_srv_ctx *ctx = sess->ctx;

	kvfree(sess->slots);
	if (sess->io_wq)
		destroy_workqueue(sess->io_wq);
	if (sess->lone_wq)
		destroy_workqueue(sess->lone_wq);
	mutex_destroy(&sess->mutex);
	kfree(sess);
	rtrs_srv_limit_sess(-1);
	rtrs_srv_ctx_put(ctx);
}

/**
 * rtrs_srv_sess_put() - drop a reference to a session
 * @sess: the session
 *
 * Context: process.
 */
void rtrs_srv_sess_put(struct rtrs_srv_sess *sess)
{
	kref_put(&sess->ref, rtrs_srv_sess_release);
}

/**
 * rtrs_srv_sess_find() - find a session that has a path
 * @ctx: the port
 * @paths_uuid: what the client knows it by
 *
 * Context: under rtrs_srv_mutex, which is what keeps it from ending.
 * Return: the session, or NULL.
 */
struct rtrs_srv_sess *rtrs_srv_sess_find(struct rtrs_srv_ctx *ctx,
					 const uuid_t *paths_uuid)
{
	struct rtrs_srv_sess *sess;

	lockdep_assert_held(&rtrs_srv_mutex);
	list_for_each_entry(sess, &rtrs_srv_sessions, entry)
		if (sess->ctx == ctx &&
		    uuid_equal(&sess->paths_uuid, paths_uuid))
			return sess;
	return NULL;
}

/* Who asks for a queue depth gets that, but never more than others do. */
static u32 rtrs_srv_sess_depth(const struct rtrs_conn_req *req)
{
	u32 depth = rtrs_srv_conf.queue_depth;

	if (!(req->features & RTRS_FEAT_QUEUE_DEPTH) || !req->wanted_depth)
		return depth;
	return min_t(u32, depth, req->wanted_depth);
}

/**
 * rtrs_srv_sess_create() - make a session
 * @ctx: the port
 * @req: CONN_REQ of its first connection, which decides on the number of chunks
 *
 * It is found from when it has a path.
 *
 * Context: process.
 * Return: the session, with a reference for the caller, or NULL.
 */
struct rtrs_srv_sess *rtrs_srv_sess_create(struct rtrs_srv_ctx *ctx,
					   const struct rtrs_conn_req *req)
{
	struct rtrs_srv_sess *sess = kzalloc(sizeof(*sess), GFP_KERNEL);

	if (!sess)
		return NULL;
	refcount_inc(&ctx->refs);
	rtrs_srv_limit_sess(1);
	sess->ctx = ctx;
	sess->paths_uuid = req->paths_uuid;
	sess->queue_depth = rtrs_srv_sess_depth(req);
	kref_init(&sess->ref);
	INIT_LIST_HEAD(&sess->paths);
	strscpy(sess->name, "-");
	mutex_init(&sess->mutex);
	return sess;
}

/**
 * rtrs_srv_sess_add_path() - a session has a path more
 * @sess: the session
 * @path: the path, which holds a reference to it
 *
 * Context: under rtrs_srv_mutex.
 */
void rtrs_srv_sess_add_path(struct rtrs_srv_sess *sess,
			    struct rtrs_srv_path *path)
{
	lockdep_assert_held(&rtrs_srv_mutex);
	if (!sess->path_cnt++)
		list_add_tail(&sess->entry, &rtrs_srv_sessions);
	list_add_tail_rcu(&path->entry, &sess->paths);
}

/**
 * rtrs_srv_sess_del_path() - a session has a path less
 * @path: the path; it has left sysfs
 *
 * With the last one the session is not found any more, and its name is free.
 *
 * Context: under rtrs_srv_mutex.
 */
void rtrs_srv_sess_del_path(struct rtrs_srv_path *path)
{
	struct rtrs_srv_sess *sess = path->sess;

	lockdep_assert_held(&rtrs_srv_mutex);
	list_del_rcu(&path->entry);
	if (--sess->path_cnt)
		return;
	if (sess->named)
		rtrs_srv_sysfs_del_sess(sess);
	list_del(&sess->entry);
}

/* A name is printed, and is a directory: so no line breaks in it. */
static bool rtrs_srv_name_printable(const char *name)
{
	for (; *name; name++)
		if (iscntrl(*name))
			return false;
	return true;
}

static bool rtrs_srv_sess_ending(const struct rtrs_srv_sess *sess)
{
	const struct rtrs_srv_path *path;

	list_for_each_entry(path, &sess->paths, entry)
		if (READ_ONCE(path->state) != RTRS_SRV_PATH_CLOSING)
			return false;
	return true;
}

/* A client that comes back at once is not to stumble over its old session. */
static int rtrs_srv_name_check(const char *name)
{
	const struct rtrs_srv_sess *sess;

	list_for_each_entry(sess, &rtrs_srv_sessions, entry)
		if (sess->named && !strcmp(sess->name, name))
			return rtrs_srv_sess_ending(sess) ? -EBUSY : -EEXIST;
	return 0;
}

static int rtrs_srv_sess_alloc_slots(struct rtrs_srv_sess *sess)
{
	u32 i;

	if (sess->slots)
		return 0;
	sess->slots = kvcalloc(sess->queue_depth, sizeof(*sess->slots),
			       GFP_KERNEL);
	if (!sess->slots)
		return -ENOMEM;
	for (i = 0; i < sess->queue_depth; i++)
		spin_lock_init(&sess->slots[i].lock);
	return 0;
}

/*
 * What its operations need, once a path knows its name. @dev is that path's device. Where
 * it has interrupts there is no use for the second workqueue, and no need otherwise.
 */
static int rtrs_srv_sess_prepare(struct rtrs_srv_sess *sess, const char *name,
				 struct ib_device *dev)
{
	int err;

	err = rtrs_srv_sess_alloc_slots(sess);
	if (err || sess->io_wq)
		return err;
	sess->io_wq = alloc_workqueue("rtrs_srv_%.20s", WQ_MEM_RECLAIM,
				      min(sess->queue_depth, WQ_MAX_ACTIVE),
				      name);
	if (!sess->io_wq)
		return -ENOMEM;
	if (ib_uses_virt_dma(dev))
		sess->lone_wq = alloc_workqueue("rtrs_lone_%.20s",
						WQ_MEM_RECLAIM | WQ_UNBOUND,
						WQ_MAX_ACTIVE, name);
	return 0;
}

/**
 * rtrs_srv_sess_set_name() - a path says what the name of its session is
 * @path: the path, in its session
 * @name: the name; rtrs_sessname_ok() holds
 *
 * The first to say so names the session, all others have to agree.
 *
 * Context: process, under rtrs_srv_mutex.
 * Return: 0; -EEXIST if another session has that name, -EBUSY if that is about to
 * end, -EINVAL if this one has another or the name cannot be printed, or -ENOMEM.
 */
int rtrs_srv_sess_set_name(struct rtrs_srv_path *path, const char *name)
{
	struct rtrs_srv_sess *sess = path->sess;
	int err;

	lockdep_assert_held(&rtrs_srv_mutex);
	if (sess->named)
		return strcmp(sess->name, name) ? -EINVAL : 0;
	if (!rtrs_srv_name_printable(name))
		return -EINVAL;
	err = rtrs_srv_name_check(name);
	if (err)
		return err;
	err = rtrs_srv_sess_prepare(sess, name, path->dev);
	if (err)
		return err;

	strscpy(sess->name, name);
	err = rtrs_srv_sysfs_add_sess(sess);
	if (err) {
		strscpy(sess->name, "-");
		return err;
	}
	sess->named = true;
	return 0;
}

/**
 * rtrs_srv_sess_establish() - a path is about to carry requests
 * @path: the path
 *
 * Context: process, sleeps.
 * Return: 0, or why the user refuses the session.
 */
int rtrs_srv_sess_establish(struct rtrs_srv_path *path)
{
	struct rtrs_srv_sess *sess = path->sess;
	int err;

	guard(mutex)(&sess->mutex);
	if (!sess->established) {
		err = sess->ctx->ops->open_sess(sess, &sess->priv);
		if (err)
			return err;
	}
	sess->established++;
	path->established = true;
	path->priv = sess->priv;
	return 0;
}

/**
 * rtrs_srv_sess_disestablish() - no request comes from a path any more
 * @path: the path, established or not
 *
 * Context: process, sleeps.
 */
void rtrs_srv_sess_disestablish(struct rtrs_srv_path *path)
{
	struct rtrs_srv_sess *sess = path->sess;

	guard(mutex)(&sess->mutex);
	if (!path->established)
		return;
	path->established = false;
	if (!--sess->established)
		sess->ctx->ops->close_sess(sess->priv);
}

const char *rtrs_srv_sessname(struct rtrs_srv_sess *sess)
{
	return sess->name;
}
EXPORT_SYMBOL_GPL(rtrs_srv_sessname);

static struct rdma_cm_id *rtrs_srv_listen(struct rtrs_srv_ctx *ctx,
					  struct sockaddr *addr,
					  enum rdma_ucm_port_space ps)
{
	struct rdma_cm_id *id;
	int err;

	id = rdma_create_id(&init_net, rtrs_srv_cm_handler, ctx, ps,
			    IB_QPT_RC);
	if (IS_ERR(id))
		return id;
	/* IPv4 too, whatever net.ipv6.bindv6only says about sockets */
	err = rdma_set_afonly(id, 0);
	if (!err)
		err = rdma_bind_addr(id, addr);
	if (!err)
		err = rdma_listen(id, RTRS_SRV_BACKLOG);
	if (err) {
		rdma_destroy_id(id);
		return ERR_PTR(err);
	}
	return id;
}

static struct rdma_cm_id *rtrs_srv_listen_ip(struct rtrs_srv_ctx *ctx,
					     u16 port)
{
	struct sockaddr_in6 addr = {
		.sin6_family	= AF_INET6,
		.sin6_addr	= IN6ADDR_ANY_INIT,
		.sin6_port	= cpu_to_be16(port),
	};

	return rtrs_srv_listen(ctx, (struct sockaddr *)&addr, RDMA_PS_TCP);
}

static struct rdma_cm_id *rtrs_srv_listen_ib(struct rtrs_srv_ctx *ctx,
					     u16 port)
{
	struct sockaddr_ib addr = {
		.sib_family	= AF_IB,
		.sib_pkey	= cpu_to_be16(0xffff),
		.sib_sid	= cpu_to_be64(RDMA_IB_IP_PS_IB | port),
		.sib_sid_mask	= cpu_to_be64(U64_MAX),
	};

	return rtrs_srv_listen(ctx, (struct sockaddr *)&addr, RDMA_PS_IB);
}

struct rtrs_srv_ctx *rtrs_srv_open(const struct rtrs_srv_ops *ops, u16 port)
{
	struct rtrs_srv_ctx *ctx = kzalloc(sizeof(*ctx), GFP_KERNEL);
	struct rdma_cm_id *id;

	if (!ctx)
		return ERR_PTR(-ENOMEM);
	ctx->ops = ops;
	refcount_set(&ctx->refs, 1);
	init_completion(&ctx->done);

	id = rtrs_srv_listen_ip(ctx, port);
	if (IS_ERR(id)) {
		pr_err("cannot listen on port %u: %pe\n", port, id);
		kfree(ctx);
		return ERR_CAST(id);
	}
	ctx->ip_id = id;

	/* without it there are still all the IP addresses */
	id = rtrs_srv_listen_ib(ctx, port);
	if (IS_ERR(id))
		pr_info("not listening on GIDs, port %u: %pe\n", port, id);
	else
		ctx->ib_id = id;
	return ctx;
}
EXPORT_SYMBOL_GPL(rtrs_srv_open);

static void rtrs_srv_close_paths(struct rtrs_srv_ctx *ctx)
{
	struct rtrs_srv_sess *sess;
	struct rtrs_srv_path *path;

	guard(mutex)(&rtrs_srv_mutex);
	list_for_each_entry(sess, &rtrs_srv_sessions, entry)
		if (sess->ctx == ctx)
			list_for_each_entry(path, &sess->paths, entry)
				rtrs_srv_path_close(path);
}

void rtrs_srv_close(struct rtrs_srv_ctx *ctx)
{
	if (ctx->ib_id)
		rdma_destroy_id(ctx->ib_id);
	rdma_destroy_id(ctx->ip_id);
	rtrs_srv_close_paths(ctx);
	rtrs_srv_ctx_put(ctx);
	wait_for_completion(&ctx->done);
	kfree(ctx);
}
EXPORT_SYMBOL_GPL(rtrs_srv_close);

static int __init rtrs_srv_check_params(void)
{
	const int min = 2 * PAGE_SIZE;
	const int max = min_t(u64, RTRS_SRV_MAX_CHUNK,
			      (u64)PAGE_SIZE << MAX_PAGE_ORDER);

	if (max_chunk_size < min || max_chunk_size > max ||
	    !is_power_of_2(max_chunk_size)) {
		pr_err("max_chunk_size=%d: must be a power of two, %d..%d\n",
		       max_chunk_size, min, max);
		return -EINVAL;
	}
	if (sess_queue_depth < 1 || sess_queue_depth > U16_MAX) {
		pr_err("sess_queue_depth=%d: must be 1..%u\n",
		       sess_queue_depth, U16_MAX);
		return -EINVAL;
	}
	if (!rtrs_geometry_ok(sess_queue_depth, max_chunk_size)) {
		pr_err("sess_queue_depth=%d: must be 1..%lu with max_chunk_size=%d\n",
		       sess_queue_depth,
		       BIT(RTRS_IMM_PAYLOAD_BITS) / max_chunk_size,
		       max_chunk_size);
		return -EINVAL;
	}
	return 0;
}

static void __init rtrs_srv_set_conf(void)
{
	rtrs_srv_conf.queue_depth = sess_queue_depth;
	rtrs_srv_conf.chunk_size = max_chunk_size;
	rtrs_srv_conf.max_hdr_size = PAGE_SIZE;
	rtrs_srv_conf.always_invalidate = always_invalidate;
	uuid_gen(&rtrs_srv_conf.boot_id);
}

static int __init rtrs_srv_init(void)
{
	int err;

	err = rtrs_srv_check_params();
	if (err)
		return err;
	rtrs_srv_set_conf();

	rtrs_srv_wq = alloc_workqueue("rtrs_srv",
				      WQ_UNBOUND | WQ_MEM_RECLAIM,
				      WQ_MAX_ACTIVE);
	if (!rtrs_srv_wq)
		return -ENOMEM;
	err = rtrs_srv_io_init();
	if (err)
		goto destroy_wq;
	err = rtrs_srv_sysfs_init();
	if (err)
		goto exit_io;
	return 0;
exit_io:
	rtrs_srv_io_exit();
destroy_wq:
	destroy_workqueue(rtrs_srv_wq);
	return err;
}

static void __exit rtrs_srv_exit(void)
{
	/* all ports are closed, but what closed them may still be returning */
	destroy_workqueue(rtrs_srv_wq);
	rtrs_srv_io_exit();
	rtrs_srv_limit_exit();
	rtrs_srv_sysfs_exit();
}

module_init(rtrs_srv_init);
module_exit(rtrs_srv_exit);

MODULE_DESCRIPTION("RTRS server");
MODULE_LICENSE("GPL");

#ifdef CONFIG_RTRS_KUNIT_TEST
#include "rtrs-srv-test.c"
#endif
