// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RNBD server: the module, sessions and administrative messages.
 *
 * RTRS shows us each request of a client when it arrives, and has us carry it out
 * when its data is there. I/O is the business of rnbd-srv-io.c. OPEN and CLOSE
 * may take as long as a device likes, and become work items of a queue of ours.
 *
 * Nothing a client says is trusted. What breaks the rules is answered with an
 * errno and a line in the log, and touches nothing. When a session ends, its
 * devices are detached at once: no new I/O reaches them. I/O that is still in
 * the block layer then (of orphans, as RTRS calls them) ends when the block
 * layer says so, and gives up the device with its last reference. Nobody waits
 * for it except the unloading of the module.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "rnbd-srv.h"
#include "rnbd-srv-trace.h"

MODULE_DESCRIPTION("RDMA network block device, server");
MODULE_LICENSE("GPL");

static unsigned short port_nr = RNBD_DEFAULT_PORT;
module_param(port_nr, ushort, 0444);
MODULE_PARM_DESC(port_nr, "port to listen on (default: " __stringify(RNBD_DEFAULT_PORT) ")");

/**
 * struct rnbd_srv_admin - an administrative message
 * @work: on rnbd_srv_wq
 * @sess: holds a reference
 * @op: keeps this, and what @req points at, until it is answered
 * @req: the request
 */
struct rnbd_srv_admin {
	struct work_struct	work;
	struct rnbd_srv_sess	*sess;
	struct rtrs_srv_op	*op;
	struct rtrs_srv_req	req;
};

/* Our part of the memory of a request. */
union rnbd_srv_op {
	struct rnbd_srv_io	io;
	struct rnbd_srv_admin	admin;
};

/*
 * OPEN, CLOSE and the watch over devices. Without WQ_MEM_RECLAIM, because
 * drivers flush ordinary workqueues when they are opened and closed.
 */
struct workqueue_struct *rnbd_srv_wq;

static struct rtrs_srv_ctx *rnbd_srv_ctx;

/* ------------------------------------------------------ administration ---- */

static void rnbd_srv_sess_free(struct kref *ref)
{
	kfree(container_of(ref, struct rnbd_srv_sess, ref));
}

void rnbd_srv_sess_put(struct rnbd_srv_sess *sess)
{
	kref_put(&sess->ref, rnbd_srv_sess_free);
}

/* A message that makes no sense. */
static void rnbd_srv_refuse(struct rnbd_srv_sess *sess, struct rtrs_srv_op *op,
			    const struct rtrs_srv_req *req, int err)
{
	pr_info_ratelimited("%s: refused a message of type %d, %zu bytes: %pe\n",
			    sess->name, rnbd_msg_type(req->msg, req->msg_len),
			    req->msg_len, ERR_PTR(err));
	rtrs_srv_respond(op, err, 0);
}

static bool rnbd_srv_wants(const struct rtrs_srv_req *req, size_t len)
{
	return req->dir == DMA_FROM_DEVICE && req->data_len >= len;
}

/* Returns 0 if @op is answered. */
static int rnbd_srv_sess_info(struct rnbd_srv_sess *sess,
			      struct rtrs_srv_op *op,
			      const struct rtrs_srv_req *req)
{
	struct rnbd_msg_sess_info rsp;
	int ver = rnbd_sess_info_decode(req->msg, req->msg_len,
					RNBD_MSG_SESS_INFO);

	if (ver < 0 || !rnbd_srv_wants(req, sizeof(rsp)))
		return -EINVAL;

	WRITE_ONCE(sess->version, min(ver, RNBD_PROTO_VER_MAJOR));
	trace_process_msg_sess_info(sess, ver);
	rnbd_sess_info_encode(&rsp, RNBD_MSG_SESS_INFO_RSP,
			      RNBD_PROTO_VER_MAJOR);
	memcpy(req->data, &rsp, sizeof(rsp));
	rtrs_srv_respond(op, 0, sizeof(rsp));
	return 0;
}

/* Returns 0 if @op is answered. */
static int rnbd_srv_open(struct rnbd_srv_sess *sess, struct rtrs_srv_op *op,
			 const struct rtrs_srv_req *req)
{
	const struct rnbd_msg_open *msg = req->msg;
	struct rnbd_msg_open_rsp rsp;
	struct rnbd_dev_limits lim;
	int err;

	if (rnbd_open_check(msg, req->msg_len) ||
	    !rnbd_srv_wants(req, sizeof(rsp)))
		return -EINVAL;
	trace_process_msg_open(sess, msg);
	err = rnbd_srv_dev_open(sess, msg, &lim);
	if (err) {
		/* a limit has had its line */
		if (err != -EUSERS)
			pr_info_ratelimited("%s: could not open %*pE: %pe\n",
					    sess->name,
					    (int)strlen(msg->dev_name),
					    msg->dev_name, ERR_PTR(err));
		rtrs_srv_respond(op, err, 0);
		return 0;
	}
	rnbd_open_rsp_encode(&rsp, &lim);
	memcpy(req->data, &rsp, sizeof(rsp));
	rtrs_srv_respond(op, 0, sizeof(rsp));
	return 0;
}

/* Returns 0 if @op is answered or will be. */
static int rnbd_srv_close(struct rnbd_srv_sess *sess, struct rtrs_srv_op *op,
			  const struct rtrs_srv_req *req)
{
	u32 id;
	int err;

	err = rnbd_close_decode(&id, req->msg, req->msg_len);
	if (err)
		return err;
	trace_process_msg_close(sess, id);
	/* One that is not open is as closed as can be. */
	if (!rnbd_srv_dev_close(sess, id, op))
		rtrs_srv_respond(op, 0, 0);
	return 0;
}

static int rnbd_srv_admin_run(struct rnbd_srv_sess *sess,
			      struct rtrs_srv_op *op,
			      const struct rtrs_srv_req *req)
{
	switch (rnbd_msg_type(req->msg, req->msg_len)) {
	case RNBD_MSG_SESS_INFO:
		return rnbd_srv_sess_info(sess, op, req);
	case RNBD_MSG_OPEN:
		return rnbd_srv_open(sess, op, req);
	default:
		return rnbd_srv_close(sess, op, req);
	}
}

/* Runs what may sleep. A client on this very machine may wait for it to write. */
static void rnbd_srv_admin_work(struct work_struct *work)
{
	/* a copy: what is answered may be another request already */
	struct rnbd_srv_admin admin =
		*container_of(work, struct rnbd_srv_admin, work);
	unsigned int noio = memalloc_noio_save();
	int err;

	err = rnbd_srv_admin_run(admin.sess, admin.op, &admin.req);
	if (err)
		rnbd_srv_refuse(admin.sess, admin.op, &admin.req, err);
	memalloc_noio_restore(noio);
	rnbd_srv_sess_put(admin.sess);
}

static void rnbd_srv_admin_carry_out(struct rnbd_srv_admin *admin,
				     const struct rtrs_srv_req *req, int err)
{
	struct rnbd_srv_sess *sess = admin->sess;

	if (err) {
		rtrs_srv_respond(admin->op, err, 0);
		rnbd_srv_sess_put(sess);
		return;
	}
	admin->req = *req;
	INIT_WORK(&admin->work, rnbd_srv_admin_work);
	queue_work(rnbd_srv_wq, &admin->work);
}

static int rnbd_srv_admin_admit(struct rnbd_srv_sess *sess,
				struct rnbd_srv_admin *admin,
				struct rtrs_srv_op *op)
{
	kref_get(&sess->ref);
	admin->sess = sess;
	admin->op = op;
	return 0;
}

static int rnbd_srv_request(void *priv, struct rtrs_srv_op *op,
			    const struct rtrs_srv_req *req, bool service)
{
	union rnbd_srv_op *mem = rtrs_srv_op_priv(op);
	struct rnbd_srv_sess *sess = priv;
	int type = rnbd_msg_type(req->msg, req->msg_len);

	switch (type) {
	case RNBD_MSG_IO:
		/* the protocol has none there, and none counts on it */
		if (service)
			break;
		return rnbd_srv_io_admit(sess, &mem->io, op, req);
	case RNBD_MSG_SESS_INFO:
	case RNBD_MSG_OPEN:
	case RNBD_MSG_CLOSE:
		return rnbd_srv_admin_admit(sess, &mem->admin, op);
	}
	pr_info_ratelimited("%s: refused a message of type %d, %zu bytes\n",
			    sess->name, type, req->msg_len);
	return -EINVAL;
}

static void rnbd_srv_carry_out(struct rtrs_srv_op *op,
			       const struct rtrs_srv_req *req, int err)
{
	union rnbd_srv_op *mem = rtrs_srv_op_priv(op);

	if (likely(rnbd_msg_type(req->msg, req->msg_len) == RNBD_MSG_IO))
		rnbd_srv_io_carry_out(&mem->io, req, err);
	else
		rnbd_srv_admin_carry_out(&mem->admin, req, err);
}

/* The name goes into the log, into sysfs, and into paths that contain clients. */
static bool rnbd_srv_sessname_ok(const char *name)
{
	for (; *name; name++)
		if (iscntrl(*name) || *name == '/' || *name == '.')
			return false;
	return true;
}

static int rnbd_srv_open_sess(struct rtrs_srv_sess *rtrs, void **priv)
{
	const char *name = rtrs_srv_sessname(rtrs);
	size_t size = strlen(name) + 1;
	struct rnbd_srv_sess *sess;

	if (!rnbd_srv_sessname_ok(name))
		return -EINVAL;
	sess = kzalloc(struct_size(sess, name, size), GFP_KERNEL);
	if (!sess)
		return -ENOMEM;

	sess->rtrs = rtrs;
	xa_init_flags(&sess->devs, XA_FLAGS_ALLOC);
	kref_init(&sess->ref);
	memcpy(sess->name, name, size);
	*priv = sess;
	trace_create_sess(sess);
	return 0;
}

static void rnbd_srv_close_sess(void *priv)
{
	struct rnbd_srv_sess *sess = priv;

	trace_destroy_sess(sess);
	rnbd_srv_dev_close_all(sess);
	rnbd_srv_sess_put(sess);
}

static const struct rtrs_srv_ops rnbd_srv_ops = {
	.max_msg_len	= sizeof(struct rnbd_msg_open),
	.op_size	= sizeof(union rnbd_srv_op),
	.open_sess	= rnbd_srv_open_sess,
	.close_sess	= rnbd_srv_close_sess,
	.request	= rnbd_srv_request,
	.carry_out	= rnbd_srv_carry_out,
};

/* -------------------------------------------------------------- module ---- */

static int __init rnbd_srv_alloc(void)
{
	int err;

	rnbd_srv_wq = alloc_workqueue("rnbd_srv", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!rnbd_srv_wq)
		return -ENOMEM;
	err = rnbd_srv_io_init();
	if (err)
		destroy_workqueue(rnbd_srv_wq);
	return err;
}

static void rnbd_srv_free(void)
{
	rnbd_srv_io_exit();
	destroy_workqueue(rnbd_srv_wq);
}

static int __init rnbd_srv_init(void)
{
	int err;

	if (!port_nr) {
		pr_err("port_nr has to be 1..65535\n");
		return -EINVAL;
	}
	err = rnbd_srv_alloc();
	if (err)
		return err;
	err = rnbd_srv_sysfs_init();
	if (err)
		goto free;
	rnbd_srv_ctx = rtrs_srv_open(&rnbd_srv_ops, port_nr);
	if (IS_ERR(rnbd_srv_ctx)) {
		err = PTR_ERR(rnbd_srv_ctx);
		pr_err("could not listen on port %u: %pe\n", port_nr,
		       rnbd_srv_ctx);
		goto exit_sysfs;
	}
	return 0;

exit_sysfs:
	rnbd_srv_sysfs_exit();
free:
	rnbd_srv_free();
	return err;
}

/*
 * RTRS ends all sessions, and waits for the last answer. After the last device
 * is closed too, what can still run here is the end of a function that gave
 * something back: of a bio's end, of a writer to force_close. None of them
 * sleeps any more, so that a grace period of tasks sees them out.
 */
static void __exit rnbd_srv_exit(void)
{
	rtrs_srv_close(rnbd_srv_ctx);
	rnbd_srv_dev_exit();
	rnbd_srv_sysfs_exit();
	rnbd_srv_free();
	synchronize_rcu_tasks();
}

/* Built in, the connection manager is initialised after most drivers. */
late_initcall(rnbd_srv_init);
module_exit(rnbd_srv_exit);

#ifdef CONFIG_RNBD_KUNIT_TEST
#include "rnbd-srv-test.c"
#endif
