// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Queue pairs, completion queues and buffers: what both ends of a connection
 * do with verbs in the same way.
 *
 * A connection's queue pair is created once its connection manager id is bound
 * to a device, and has one completion queue for both directions, so that the
 * answer to a request and the completion of its send are seen one after the
 * other. It is taken down in the opposite order, after it has been drained; the
 * connection manager id goes last, because a device that is being removed waits
 * for that, and by then nothing of ours may be left on the device.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "rtrs-pri.h"

/*
 * For heartbeats, and for completions where a device is software: nothing on it sleeps
 * for long, and it makes progress while memory is reclaimed, since dirty pages go out
 * over paths it keeps alive.
 */
struct workqueue_struct *rtrs_wq;
EXPORT_SYMBOL_GPL(rtrs_wq);

/**
 * rtrs_check_device() - can this device carry RTRS?
 * @cm_id: bound to the device and its port
 *
 * iWARP has no RDMA write with immediate, and old devices no fast registration.
 *
 * Context: any.
 * Return: 0, or -EOPNOTSUPP, with a line in the log.
 */
int rtrs_check_device(struct rdma_cm_id *cm_id)
{
	struct ib_device *dev = cm_id->device;

	if (rdma_protocol_iwarp(dev, cm_id->port_num)) {
		pr_err_ratelimited("%s: iWARP has no RDMA write with immediate, RTRS cannot use it\n",
				   dev_name(&dev->dev));
		return -EOPNOTSUPP;
	}
	if (!(dev->attrs.device_cap_flags & IB_DEVICE_MEM_MGT_EXTENSIONS)) {
		pr_err_ratelimited("%s: no fast memory registration, RTRS cannot use it\n",
				   dev_name(&dev->dev));
		return -EOPNOTSUPP;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(rtrs_check_device);

static void rtrs_qp_event(struct ib_event *ev, void *ctx)
{
	/*
	 * Errors of a queue pair reach us as failed completions and as events
	 * of the connection manager. This one is news to it alone.
	 */
	if (ev->event == IB_EVENT_COMM_EST) {
		struct rtrs_con *con = ctx;

		rdma_notify(con->cm_id, IB_EVENT_COMM_EST);
	}
}

static void rtrs_cq_irq(struct irq_work *work)
{
	struct rtrs_con *con = container_of(work, struct rtrs_con, cq_irq);

	con->cq_event(con->cq, con);
}

/* The softirq runs when softirqs are let in again. */
static void rtrs_cq_work(struct work_struct *work)
{
	struct rtrs_con *con = container_of(work, struct rtrs_con, cq_work);

	local_bh_disable();
	con->cq_event(con->cq, con);
	local_bh_enable();
}

/*
 * There is something in a completion queue. ib_core looks at it in a softirq, which
 * suits an interrupt that says so: the softirq runs when that returns. But devices that
 * are software have no interrupts, and say so from a thread. There it would wake up
 * ksoftirqd, which means two switches of threads. What they do they do on workqueues
 * that are not bound to a CPU, so a work item on such a one has their threads run the
 * softirq, some time later, when more completions are there. An answer that is the only
 * one that is waited for is better looked at right now: an interrupt is made of it.
 */
static void rtrs_cq_event(struct ib_cq *cq, void *ctx)
{
	struct rtrs_con *con = cq->cq_context;

	if (in_interrupt())
		con->cq_event(cq, ctx);
	else if (atomic_read(&con->inflight) == 1)
		irq_work_queue(&con->cq_irq);
	else
		queue_work(rtrs_wq, &con->cq_work);
}

/* Where there is no interrupt for it, the timer's would have to do, which is late. */
static bool rtrs_cq_needs_irq(const struct ib_cq *cq)
{
	return cq->poll_ctx == IB_POLL_SOFTIRQ && ib_uses_virt_dma(cq->device) &&
	       arch_irq_work_has_interrupt() && !IS_ENABLED(CONFIG_PREEMPT_RT);
}

/* Nothing is in it yet, since there is no queue pair. */
static void rtrs_con_set_cq(struct rtrs_con *con, struct ib_cq *cq)
{
	con->cq = cq;
	con->no_irq = rtrs_cq_needs_irq(cq);
	if (!con->no_irq)
		return;
	init_irq_work(&con->cq_irq, rtrs_cq_irq);
	INIT_WORK(&con->cq_work, rtrs_cq_work);
	con->cq_event = cq->comp_handler;
	cq->comp_handler = rtrs_cq_event;
}

static void rtrs_con_free_cq(struct rtrs_con *con)
{
	if (con->no_irq) {
		WRITE_ONCE(con->cq->comp_handler, con->cq_event);
		irq_work_sync(&con->cq_irq);
		cancel_work_sync(&con->cq_work);
	}
	ib_free_cq(con->cq);
	con->cq = NULL;
}

/**
 * rtrs_con_create_qp() - create the queue pair of a connection and its CQ
 * @con: the connection; its cm_id is bound to a device
 * @p: sizes
 *
 * Context: process.
 * Return: 0; -EOPNOTSUPP if the device has no queues as long as that; or the errno
 * of the verbs layer. On errors nothing is left behind.
 */
int rtrs_con_create_qp(struct rtrs_con *con, const struct rtrs_qp_params *p)
{
	struct ib_device *dev = con->cm_id->device;
	struct ib_qp_init_attr attr = {
		.event_handler		= rtrs_qp_event,
		.qp_context		= con,
		.cap.max_send_wr	= p->send_wr + 1,
		.cap.max_recv_wr	= p->recv_wr + 1,
		.cap.max_send_sge	= p->send_sge,
		.cap.max_recv_sge	= 1,
		.qp_type		= IB_QPT_RC,
		.sq_sig_type		= IB_SIGNAL_REQ_WR,
	};
	struct ib_cq *cq;
	int err;

	if (attr.cap.max_send_wr > dev->attrs.max_qp_wr ||
	    attr.cap.max_recv_wr > dev->attrs.max_qp_wr ||
	    p->send_wr + p->recv_wr + 2 > dev->attrs.max_cqe) {
		pr_err_ratelimited("%s: queues of %u and %u are too long for the device\n",
				   dev_name(&dev->dev), p->send_wr, p->recv_wr);
		return -EOPNOTSUPP;
	}
	cq = ib_alloc_cq(dev, con, p->send_wr + p->recv_wr + 2,
			 p->vector % dev->num_comp_vectors, p->poll_ctx);
	if (IS_ERR(cq))
		return PTR_ERR(cq);

	rtrs_con_set_cq(con, cq);
	attr.send_cq = cq;
	attr.recv_cq = cq;
	err = rdma_create_qp(con->cm_id, p->pd, &attr);
	if (err) {
		rtrs_con_free_cq(con);
		return err;
	}
	con->qp = con->cm_id->qp;
	/* where the address of inline data is what sends have anyway */
	con->max_inline = ib_uses_virt_dma(dev) ? attr.cap.max_inline_data : 0;
	con->recvs_owed = 0;
	return 0;
}
EXPORT_SYMBOL_GPL(rtrs_con_create_qp);

/**
 * rtrs_con_drain() - wait until no completion of a connection is outstanding
 * @con: the connection; nobody posts to it any more
 *
 * Context: process, sleeps.
 */
void rtrs_con_drain(struct rtrs_con *con)
{
	if (con->qp)
		ib_drain_qp(con->qp);
}
EXPORT_SYMBOL_GPL(rtrs_con_drain);

/**
 * rtrs_con_destroy_qp() - destroy the queue pair of a connection and its CQ
 * @con: the connection, drained; without a queue pair nothing is done
 *
 * Context: process, sleeps.
 */
void rtrs_con_destroy_qp(struct rtrs_con *con)
{
	if (!con->qp)
		return;
	rdma_destroy_qp(con->cm_id);
	rtrs_con_free_cq(con);
	con->qp = NULL;
}
EXPORT_SYMBOL_GPL(rtrs_con_destroy_qp);

/**
 * rtrs_con_destroy_cm_id() - destroy the connection manager id of a connection
 * @con: the connection; its queue pair is gone
 *
 * No event handler runs for it afterwards, so not to be called from one.
 *
 * Context: process, sleeps.
 */
void rtrs_con_destroy_cm_id(struct rtrs_con *con)
{
	if (con->cm_id)
		rdma_destroy_id(con->cm_id);
	con->cm_id = NULL;
}
EXPORT_SYMBOL_GPL(rtrs_con_destroy_cm_id);

/**
 * rtrs_iu_alloc() - allocate and map a buffer
 * @dev: device that will use it
 * @size: bytes
 * @dir: direction of the mapping
 * @done: called when a work request that names it has completed
 *
 * Context: process.
 * Return: the buffer, zeroed, or NULL.
 */
struct rtrs_iu *rtrs_iu_alloc(struct ib_device *dev, size_t size,
			      enum dma_data_direction dir,
			      void (*done)(struct ib_cq *cq, struct ib_wc *wc))
{
	struct rtrs_iu *iu = kzalloc(sizeof(*iu), GFP_KERNEL);

	if (!iu)
		return NULL;
	iu->buf = alloc_pages_exact(size, GFP_KERNEL | __GFP_ZERO |
				    __GFP_NOWARN);
	if (!iu->buf)
		goto free_iu;
	iu->dma_addr = ib_dma_map_single(dev, iu->buf, size, dir);
	if (ib_dma_mapping_error(dev, iu->dma_addr))
		goto free_buf;
	iu->size = size;
	iu->dir = dir;
	iu->cqe.done = done;
	return iu;

free_buf:
	free_pages_exact(iu->buf, size);
free_iu:
	kfree(iu);
	return NULL;
}
EXPORT_SYMBOL_GPL(rtrs_iu_alloc);

/**
 * rtrs_iu_free() - unmap and free a buffer
 * @iu: the buffer, or NULL; no work request names it any more
 * @dev: device it was mapped for
 *
 * Context: process.
 */
void rtrs_iu_free(struct rtrs_iu *iu, struct ib_device *dev)
{
	if (!iu)
		return;
	ib_dma_unmap_single(dev, iu->dma_addr, iu->size, iu->dir);
	free_pages_exact(iu->buf, iu->size);
	kfree(iu);
}
EXPORT_SYMBOL_GPL(rtrs_iu_free);

/**
 * rtrs_iu_post_recv() - receive a message into a buffer
 * @con: the connection
 * @iu: the buffer, free when its completion has come
 *
 * Context: any.
 * Return: 0 or the errno of the verbs layer.
 */
int rtrs_iu_post_recv(struct rtrs_con *con, struct rtrs_iu *iu)
{
	struct ib_sge sge = {
		.addr	= iu->dma_addr,
		.length	= iu->size,
		.lkey	= con->qp->pd->local_dma_lkey,
	};
	struct ib_recv_wr wr = {
		.wr_cqe		= &iu->cqe,
		.sg_list	= &sge,
		.num_sge	= 1,
	};

	return ib_post_recv(con->qp, &wr, NULL);
}
EXPORT_SYMBOL_GPL(rtrs_iu_post_recv);

/**
 * rtrs_iu_post_send() - SEND a message from a buffer
 * @con: the connection
 * @iu: the buffer, free when its completion has come
 * @len: bytes to send
 *
 * Context: any.
 * Return: 0 or the errno of the verbs layer.
 */
int rtrs_iu_post_send(struct rtrs_con *con, struct rtrs_iu *iu, size_t len)
{
	struct ib_sge sge = {
		.addr	= iu->dma_addr,
		.length	= len,
		.lkey	= con->qp->pd->local_dma_lkey,
	};
	struct ib_send_wr wr = {
		.wr_cqe		= &iu->cqe,
		.sg_list	= &sge,
		.num_sge	= 1,
		.opcode		= IB_WR_SEND,
		.send_flags	= IB_SEND_SIGNALED,
	};

	ib_dma_sync_single_for_device(con->qp->device, iu->dma_addr, len,
				      iu->dir);
	return ib_post_send(con->qp, &wr, NULL);
}
EXPORT_SYMBOL_GPL(rtrs_iu_post_send);

/**
 * rtrs_post_recvs() - receive some immediates
 * @con: the connection, that has not posted any
 * @cqe: completion of all of them, also when rtrs_repost_recv() posts them again
 * @n: how many
 *
 * Context: any.
 * Return: 0 or the errno of the verbs layer.
 */
int rtrs_post_recvs(struct rtrs_con *con, struct ib_cqe *cqe, unsigned int n)
{
	struct ib_recv_wr *next = NULL;
	unsigned int i, len;
	int err = 0;

	for (i = RTRS_RECV_BATCH; i--; next = &con->recvs[i])
		con->recvs[i] = (struct ib_recv_wr) {
			.next	= next,
			.wr_cqe	= cqe,
		};
	for (; n && !err; n -= len) {
		len = min(n, RTRS_RECV_BATCH);
		err = ib_post_recv(con->qp, &con->recvs[RTRS_RECV_BATCH - len],
				   NULL);
	}
	return err;
}
EXPORT_SYMBOL_GPL(rtrs_post_recvs);

/**
 * rtrs_post_imm() - send an immediate and nothing else
 * @con: the connection
 * @cqe: completion; may be shared by many sends
 * @imm: the immediate
 *
 * Context: any.
 * Return: 0 or the errno of the verbs layer.
 */
int rtrs_post_imm(struct rtrs_con *con, struct ib_cqe *cqe, __be32 imm)
{
	struct ib_rdma_wr wr = {
		.wr.wr_cqe	= cqe,
		.wr.opcode	= IB_WR_RDMA_WRITE_WITH_IMM,
		.wr.send_flags	= IB_SEND_SIGNALED,
		.wr.ex.imm_data	= imm,
	};

	return ib_post_send(con->qp, &wr.wr, NULL);
}
EXPORT_SYMBOL_GPL(rtrs_post_imm);

static int __init rtrs_core_init(void)
{
	rtrs_wq = alloc_workqueue("rtrs", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	return rtrs_wq ? 0 : -ENOMEM;
}

static void __exit rtrs_core_exit(void)
{
	destroy_workqueue(rtrs_wq);
}

module_init(rtrs_core_init);
module_exit(rtrs_core_exit);

MODULE_DESCRIPTION("RTRS: what client and server share");
MODULE_LICENSE("GPL");
