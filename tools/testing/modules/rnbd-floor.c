// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The least that an I/O can be on the wire, for a benchmark: a client and a server in
 * one kernel that send each other the two messages of an I/O, and do nothing else.
 *
 * A read is a small RDMA write with immediate, of the size of the messages that RNBD
 * sends, answered by one that carries the data; a write is one with data and messages,
 * answered by an empty one. Queue pairs are as those of RTRS: reliable connections, made
 * with the connection manager, with a completion queue each, in softirq; what is written
 * to has been registered, once. Nothing is copied, looked up or checked, no disk and no
 * block layer is there, nothing is registered or invalidated again, and only one send in
 * sixteen is signalled. The next request follows from the completion of the answer.
 *
 * Parameters, below /sys/module/rnbd_floor/parameters/:
 *
 * paths	SRC@DST, or several with commas between them: addresses of this machine
 * dir		read, write, or mixed: both in turn
 * sizes	bytes of data, or several with commas between them, for one request after
 *		another
 * depth	requests under way at a time, over all connections
 * queues	connections of each path
 * count	requests that are measured, after as many as a fifth of that
 * run		a write measures, and fails if that has failed
 * result	"REQUESTS NANOSECONDS" of the last run
 *
 * A run is made by one thread, under the lock of the parameters. It owns all there is;
 * handlers of the connection manager and of completions find it by their end of a
 * connection, and have ended, for all queue pairs are drained, before it is freed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/inet.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>

#define FLOOR_PORT	1235
#define FLOOR_TIMEOUT	(10 * HZ)
#define FLOOR_RUN_TIMEOUT	(3600 * HZ)
#define FLOOR_MAX_PATHS	4
#define FLOOR_MAX_SIZES	128
#define FLOOR_MAX_DEPTH	512
#define FLOOR_MAX_SIZE	SZ_1M
#define FLOOR_SIGNAL	16

/* User message and RTRS message: of RNBD's IO, and of a write and of a read. */
#define FLOOR_WRITE_MSG	(32 + 4)
#define FLOOR_READ_MSG	(32 + 24)

static char *paths = "10.9.1.1@10.9.1.2";
module_param(paths, charp, 0600);
static char *dir = "read";
module_param(dir, charp, 0600);
static unsigned int sizes[FLOOR_MAX_SIZES] = { 4096 };
static unsigned int nr_sizes = 1;
module_param_array(sizes, uint, &nr_sizes, 0600);
static unsigned int depth = 32;
module_param(depth, uint, 0600);
static unsigned int queues = 1;
module_param(queues, uint, 0600);
static unsigned int count = 10000;
module_param(count, uint, 0600);

static unsigned int result_count;
static u64 result_ns;

struct floor_run;

/* Memory that the other end writes to. */
struct floor_buf {
	void			*mem;
	struct scatterlist	sg;
	struct ib_mr		*mr;
};

/*
 * One end of a connection. @step: a step of making it, or a registration, has ended,
 * with @err.
 */
struct floor_end {
	struct floor_run	*run;
	struct rdma_cm_id	*cm_id;
	struct ib_pd		*pd;
	struct ib_cq		*cq;
	struct ib_qp		*qp;
	struct ib_cqe		send_cqe;
	struct ib_cqe		recv_cqe;
	struct ib_cqe		reg_cqe;
	struct completion	step;
	int			err;
};

struct floor_con {
	struct floor_end	client;
	struct floor_end	server;
};

/*
 * A request at a time, always over the same connection. Changed where its request is
 * sent; the server reads what it would read from the message.
 */
struct floor_slot {
	struct floor_con	*con;
	struct floor_buf	client;
	struct floor_buf	server;
	unsigned int		round;
	unsigned int		size;
	bool			write;
};

/*
 * @accepting: whose server end is the next to be connected
 * @posted, @answered: requests, of @warm + @count
 * @end: of the last answer, or an error
 */
struct floor_run {
	struct floor_end	listener;
	struct floor_con	*accepting;
	struct floor_con	*cons;
	struct floor_slot	*slots;
	unsigned int		nr_cons;
	unsigned int		max_size;
	unsigned int		warm;
	atomic_t		posted ____cacheline_aligned;
	atomic_t		answered ____cacheline_aligned;
	u64			begin_ns ____cacheline_aligned;
	u64			end_ns;
	int			err;
	struct completion	end;
};

static void floor_failed(struct floor_run *run, const char *what, int err)
{
	if (!cmpxchg(&run->err, 0, err))
		pr_err("%s: %pe\n", what, ERR_PTR(err));
	complete_all(&run->end);
}

/* ----------------------------------------------------------- messages ---- */

static void floor_send_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct floor_end *end = container_of(wc->wr_cqe, struct floor_end,
					     send_cqe);

	if (wc->status != IB_WC_SUCCESS && wc->status != IB_WC_WR_FLUSH_ERR)
		floor_failed(end->run, ib_wc_status_msg(wc->status), -EIO);
}

static int floor_post_recv(struct floor_end *end)
{
	struct ib_recv_wr wr = {
		.wr_cqe	= &end->recv_cqe,
	};

	return ib_post_recv(end->qp, &wr, NULL);
}

/* From a gather list to the other end's buffer, past its first @skip bytes. */
static int floor_post_send(struct floor_slot *slot, struct floor_end *end,
			   struct ib_sge *sge, unsigned int nr_sge,
			   const struct floor_buf *to, unsigned int skip)
{
	u32 nr = slot - end->run->slots;
	bool signal = (slot->round + nr) % FLOOR_SIGNAL == 0;
	struct ib_rdma_wr wr = {
		.wr.wr_cqe	= &end->send_cqe,
		.wr.opcode	= IB_WR_RDMA_WRITE_WITH_IMM,
		.wr.send_flags	= signal ? IB_SEND_SIGNALED : 0,
		.wr.sg_list	= sge,
		.wr.num_sge	= nr_sge,
		.wr.ex.imm_data	= cpu_to_be32(nr),
		.remote_addr	= to->mr->iova + skip,
		.rkey		= to->mr->rkey,
	};

	return ib_post_send(end->qp, &wr.wr, NULL);
}

static struct ib_sge floor_sge(struct floor_end *end, struct floor_buf *buf,
			       unsigned int skip, unsigned int len)
{
	return (struct ib_sge) {
		.addr	= sg_dma_address(&buf->sg) + skip,
		.length	= len,
		.lkey	= end->pd->local_dma_lkey,
	};
}

/* The messages are behind the data, and of a read they are all there is. */
static void floor_request(struct floor_slot *slot)
{
	struct floor_end *end = &slot->con->client;
	unsigned int nr = slot - end->run->slots;
	struct ib_sge sge[2];
	int n = 0, err;

	slot->size = sizes[(nr + slot->round) % nr_sizes];
	slot->write = *dir == 'w' || (*dir == 'm' && (nr + slot->round) % 2);
	slot->round++;
	if (slot->write)
		sge[n++] = floor_sge(end, &slot->client, 0, slot->size);
	sge[n++] = floor_sge(end, &slot->client, end->run->max_size,
			     slot->write ? FLOOR_WRITE_MSG : FLOOR_READ_MSG);
	err = floor_post_send(slot, end, sge, n, &slot->server,
			      slot->write ? 0 : slot->size);
	if (err)
		floor_failed(end->run, "request", err);
}

static void floor_answer(struct floor_slot *slot)
{
	struct floor_end *end = &slot->con->server;
	struct ib_sge sge = floor_sge(end, &slot->server, 0, slot->size);
	int err;

	err = floor_post_send(slot, end, &sge, !slot->write, &slot->client, 0);
	if (err)
		floor_failed(end->run, "answer", err);
}

static void floor_answered(struct floor_slot *slot)
{
	struct floor_run *run = slot->con->client.run;
	unsigned int n = atomic_inc_return(&run->answered);

	if (n == run->warm) {
		run->begin_ns = ktime_get_ns();
	} else if (n == run->warm + count) {
		run->end_ns = ktime_get_ns();
		complete_all(&run->end);
	}
	if (atomic_inc_return(&run->posted) <= run->warm + count)
		floor_request(slot);
}

/* Whose slot it is, and a receive for the next one; NULL at the end. */
static struct floor_slot *floor_received(struct floor_end *end,
					 const struct ib_wc *wc)
{
	u32 nr;

	if (wc->status != IB_WC_SUCCESS) {
		if (wc->status != IB_WC_WR_FLUSH_ERR)
			floor_failed(end->run, ib_wc_status_msg(wc->status),
				     -EIO);
		return NULL;
	}
	nr = be32_to_cpu(wc->ex.imm_data);
	if (nr >= depth) {
		floor_failed(end->run, "immediate", -EPROTO);
		return NULL;
	}
	if (floor_post_recv(end))
		floor_failed(end->run, "receive", -EIO);
	return &end->run->slots[nr];
}

static void floor_server_recv_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct floor_end *end = container_of(wc->wr_cqe, struct floor_end,
					     recv_cqe);
	struct floor_slot *slot = floor_received(end, wc);

	if (slot)
		floor_answer(slot);
}

static void floor_client_recv_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct floor_end *end = container_of(wc->wr_cqe, struct floor_end,
					     recv_cqe);
	struct floor_slot *slot = floor_received(end, wc);

	if (slot)
		floor_answered(slot);
}

/* -------------------------------------------------------- connections ---- */

static const struct rdma_conn_param floor_param = {
	.retry_count		= 7,
	.rnr_retry_count	= 7,
};

static void floor_step_done(struct floor_end *end, int err)
{
	end->err = err;
	complete(&end->step);
}

static int floor_wait(struct floor_end *end)
{
	if (!wait_for_completion_timeout(&end->step, FLOOR_TIMEOUT))
		return -ETIMEDOUT;
	return end->err;
}

/*
 * All slots may have the same connection, and each of them as many sends that are not
 * known to be done as go without a signal.
 */
static int floor_create_qp(struct floor_end *end, unsigned int vector)
{
	struct ib_device *dev = end->cm_id->device;
	struct ib_qp_init_attr attr = {
		.cap.max_send_wr	= (FLOOR_SIGNAL + 1) * depth + 1,
		.cap.max_recv_wr	= depth + 1,
		.cap.max_send_sge	= 2,
		.cap.max_recv_sge	= 1,
		.qp_type		= IB_QPT_RC,
		.sq_sig_type		= IB_SIGNAL_REQ_WR,
	};
	unsigned int i;
	int err;

	end->pd = ib_alloc_pd(dev, 0);
	if (IS_ERR(end->pd)) {
		err = PTR_ERR(end->pd);
		end->pd = NULL;
		return err;
	}
	end->cq = ib_alloc_cq(dev, end, (FLOOR_SIGNAL + 2) * depth + 2,
			      vector % dev->num_comp_vectors, IB_POLL_SOFTIRQ);
	if (IS_ERR(end->cq)) {
		err = PTR_ERR(end->cq);
		end->cq = NULL;
		return err;
	}
	attr.send_cq = end->cq;
	attr.recv_cq = end->cq;
	err = rdma_create_qp(end->cm_id, end->pd, &attr);
	if (err)
		return err;
	end->qp = end->cm_id->qp;
	for (i = 0; !err && i < depth; i++)
		err = floor_post_recv(end);
	return err;
}

/* The connection manager asks for whom: there is one connection at a time to be made. */
static int floor_accept(struct floor_run *run, struct rdma_cm_id *cm_id)
{
	struct rdma_conn_param param = floor_param;
	struct floor_con *con = run->accepting;
	struct floor_end *end;
	int err;

	/* an error makes the connection manager destroy the new id */
	if (!con)
		return -EBUSY;
	run->accepting = NULL;
	end = &con->server;
	end->cm_id = cm_id;
	cm_id->context = end;
	err = floor_create_qp(end, con - run->cons + 1);
	if (!err)
		err = rdma_accept(cm_id, &param);
	if (err)
		floor_step_done(end, err);
	return 0;
}

/* The id of a request to connect comes with the listener's context. */
static int floor_event(struct rdma_cm_id *cm_id, struct rdma_cm_event *ev)
{
	struct floor_end *end = cm_id->context;

	switch (ev->event) {
	case RDMA_CM_EVENT_CONNECT_REQUEST:
		return floor_accept(end->run, cm_id);
	case RDMA_CM_EVENT_ADDR_RESOLVED:
	case RDMA_CM_EVENT_ROUTE_RESOLVED:
	case RDMA_CM_EVENT_ESTABLISHED:
		floor_step_done(end, 0);
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_TIMEWAIT_EXIT:
		break;
	default:
		floor_step_done(end, ev->status < 0 ? ev->status : -ECONNREFUSED);
	}
	return 0;
}

static int floor_create_id(struct floor_end *end)
{
	struct rdma_cm_id *cm_id = rdma_create_id(&init_net, floor_event, end,
						  RDMA_PS_TCP, IB_QPT_RC);

	if (IS_ERR(cm_id))
		return PTR_ERR(cm_id);
	end->cm_id = cm_id;
	return 0;
}

static int floor_connect(struct floor_run *run, struct floor_con *con,
			 struct sockaddr_storage *src,
			 struct sockaddr_storage *dst)
{
	struct rdma_conn_param param = floor_param;
	struct floor_end *end = &con->client;
	int err;

	run->accepting = con;
	err = floor_create_id(end);
	if (!err)
		err = rdma_resolve_addr(end->cm_id, (struct sockaddr *)src,
					(struct sockaddr *)dst, 2000) ?:
		      floor_wait(end);
	if (!err)
		err = rdma_resolve_route(end->cm_id, 2000) ?: floor_wait(end);
	if (!err)
		err = floor_create_qp(end, con - run->cons);
	if (!err)
		err = rdma_connect(end->cm_id, &param) ?: floor_wait(end);
	return err ?: floor_wait(&con->server);
}

static void floor_disconnect(struct floor_con *con)
{
	if (con->client.qp)
		rdma_disconnect(con->client.cm_id);
	if (con->client.qp)
		ib_drain_qp(con->client.qp);
	if (con->server.qp)
		ib_drain_qp(con->server.qp);
}

/* Drained, and without regions. */
static void floor_end_free(struct floor_end *end)
{
	if (end->qp)
		rdma_destroy_qp(end->cm_id);
	if (end->cq)
		ib_free_cq(end->cq);
	if (end->pd)
		ib_dealloc_pd(end->pd);
	if (end->cm_id)
		rdma_destroy_id(end->cm_id);
}

/* ------------------------------------------------------------- memory ---- */

static size_t floor_buf_size(const struct floor_run *run)
{
	return run->max_size + PAGE_SIZE;
}

static void floor_reg_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct floor_end *end = container_of(wc->wr_cqe, struct floor_end,
					     reg_cqe);

	floor_step_done(end, wc->status == IB_WC_SUCCESS ? 0 : -EIO);
}

static int floor_register(struct floor_end *end, struct floor_buf *buf)
{
	struct ib_reg_wr wr = {
		.wr.wr_cqe	= &end->reg_cqe,
		.wr.opcode	= IB_WR_REG_MR,
		.wr.send_flags	= IB_SEND_SIGNALED,
		.access		= IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE,
	};
	struct ib_mr *mr = ib_alloc_mr(end->pd, IB_MR_TYPE_MEM_REG,
				       floor_buf_size(end->run) / PAGE_SIZE + 1);

	if (IS_ERR(mr))
		return PTR_ERR(mr);
	buf->mr = mr;
	if (ib_map_mr_sg(mr, &buf->sg, 1, NULL, PAGE_SIZE) != 1)
		return -EINVAL;
	wr.mr = mr;
	wr.key = mr->rkey;
	return ib_post_send(end->qp, &wr.wr, NULL) ?: floor_wait(end);
}

static int floor_buf_alloc(struct floor_end *end, struct floor_buf *buf)
{
	size_t size = floor_buf_size(end->run);
	void *mem = alloc_pages_exact(size, GFP_KERNEL | __GFP_ZERO);

	if (!mem)
		return -ENOMEM;
	sg_init_one(&buf->sg, mem, size);
	if (!ib_dma_map_sg(end->qp->device, &buf->sg, 1, DMA_BIDIRECTIONAL)) {
		free_pages_exact(mem, size);
		return -ENOMEM;
	}
	buf->mem = mem;
	return floor_register(end, buf);
}

static void floor_buf_free(struct floor_end *end, struct floor_buf *buf)
{
	if (buf->mr)
		ib_dereg_mr(buf->mr);
	if (!buf->mem)
		return;
	ib_dma_unmap_sg(end->qp->device, &buf->sg, 1, DMA_BIDIRECTIONAL);
	free_pages_exact(buf->mem, floor_buf_size(end->run));
}

static int floor_slots_alloc(struct floor_run *run)
{
	unsigned int i;
	int err = 0;

	run->slots = kvcalloc(depth, sizeof(*run->slots), GFP_KERNEL);
	if (!run->slots)
		return -ENOMEM;
	for (i = 0; !err && i < depth; i++) {
		struct floor_slot *slot = &run->slots[i];

		slot->con = &run->cons[i % run->nr_cons];
		err = floor_buf_alloc(&slot->con->client, &slot->client);
		if (!err)
			err = floor_buf_alloc(&slot->con->server, &slot->server);
	}
	return err;
}

static void floor_slots_free(struct floor_run *run)
{
	unsigned int i;

	for (i = 0; run->slots && i < depth; i++) {
		struct floor_slot *slot = &run->slots[i];

		if (!slot->con)
			break;
		floor_buf_free(&slot->con->client, &slot->client);
		floor_buf_free(&slot->con->server, &slot->server);
	}
	kvfree(run->slots);
}

/* -------------------------------------------------------------- a run ---- */

static void floor_end_init(struct floor_run *run, struct floor_end *end,
			   void (*recv_done)(struct ib_cq *cq,
					     struct ib_wc *wc))
{
	end->run = run;
	end->send_cqe.done = floor_send_done;
	end->recv_cqe.done = recv_done;
	end->reg_cqe.done = floor_reg_done;
	init_completion(&end->step);
}

static int floor_listen(struct floor_run *run)
{
	struct sockaddr_in any = {
		.sin_family	= AF_INET,
		.sin_port	= htons(FLOOR_PORT),
	};

	floor_end_init(run, &run->listener, NULL);
	return floor_create_id(&run->listener) ?:
	       rdma_bind_addr(run->listener.cm_id, (struct sockaddr *)&any) ?:
	       rdma_listen(run->listener.cm_id, queues);
}

/* One path: SRC@DST, without what may follow. */
static int floor_connect_path(struct floor_run *run, const char *path)
{
	struct sockaddr_storage src, dst;
	char *dst_str, *buf;
	unsigned int i;
	int err;

	buf = kstrndup(path, strcspn(path, ",\n"), GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	dst_str = buf;
	strsep(&dst_str, "@");
	err = inet_pton_with_scope(&init_net, AF_INET, buf, NULL, &src);
	if (!err)
		err = dst_str ? inet_pton_with_scope(&init_net, AF_INET, dst_str,
						     __stringify(FLOOR_PORT), &dst) :
				-EINVAL;
	for (i = 0; !err && i < queues; i++) {
		struct floor_con *con = &run->cons[run->nr_cons++];

		floor_end_init(run, &con->client, floor_client_recv_done);
		floor_end_init(run, &con->server, floor_server_recv_done);
		err = floor_connect(run, con, &src, &dst);
	}
	kfree(buf);
	return err;
}

static int floor_connect_all(struct floor_run *run)
{
	const char *path = paths;
	unsigned int n;
	int err;

	run->cons = kcalloc(FLOOR_MAX_PATHS * queues, sizeof(*run->cons),
			    GFP_KERNEL);
	if (!run->cons)
		return -ENOMEM;
	err = floor_listen(run);
	for (n = 0; !err && path; n++) {
		if (n == FLOOR_MAX_PATHS)
			return -E2BIG;
		err = floor_connect_path(run, path);
		path = strchr(path, ',');
		if (path)
			path++;
	}
	return err;
}

static int floor_measure(struct floor_run *run)
{
	unsigned int i;

	run->warm = max(count / 5, depth);
	for (i = 0; i < depth; i++)
		if (atomic_inc_return(&run->posted) <= run->warm + count)
			floor_request(&run->slots[i]);
	if (!wait_for_completion_timeout(&run->end, FLOOR_RUN_TIMEOUT))
		return -ETIMEDOUT;
	return run->err;
}

static void floor_run_free(struct floor_run *run)
{
	unsigned int i;

	/* first, so that no connection comes any more */
	floor_end_free(&run->listener);
	for (i = 0; i < run->nr_cons; i++)
		floor_disconnect(&run->cons[i]);
	floor_slots_free(run);
	for (i = 0; i < run->nr_cons; i++) {
		floor_end_free(&run->cons[i].client);
		floor_end_free(&run->cons[i].server);
	}
	kfree(run->cons);
	kfree(run);
}

static int floor_check(void)
{
	unsigned int i;

	for (i = 0; i < nr_sizes; i++)
		if (sizes[i] > FLOOR_MAX_SIZE)
			return -EINVAL;
	if (!depth || depth > FLOOR_MAX_DEPTH || !queues || queues > depth ||
	    !count || !nr_sizes)
		return -EINVAL;
	return strchr("rwm", *dir) ? 0 : -EINVAL;
}

static int floor_run_once(void)
{
	struct floor_run *run;
	unsigned int i;
	int err = floor_check();

	if (err)
		return err;
	run = kzalloc(sizeof(*run), GFP_KERNEL);
	if (!run)
		return -ENOMEM;
	init_completion(&run->end);
	for (i = 0; i < nr_sizes; i++)
		run->max_size = max(run->max_size, PAGE_ALIGN(sizes[i]));
	err = floor_connect_all(run) ?: floor_slots_alloc(run) ?:
	      floor_measure(run);
	if (!err) {
		result_count = count;
		result_ns = run->end_ns - run->begin_ns;
	}
	floor_run_free(run);
	return err;
}

static int run_set(const char *val, const struct kernel_param *kp)
{
	int err;

	result_count = 0;
	result_ns = 0;
	err = floor_run_once();
	if (err)
		pr_err("failed: %pe\n", ERR_PTR(err));
	return err;
}

static const struct kernel_param_ops run_ops = { .set = run_set };
module_param_cb(run, &run_ops, NULL, 0200);

static int result_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%u %llu\n", result_count, result_ns);
}

static const struct kernel_param_ops result_ops = { .get = result_get };
module_param_cb(result, &result_ops, NULL, 0400);

static int __init rnbd_floor_init(void)
{
	return 0;
}

static void __exit rnbd_floor_exit(void)
{
}

module_init(rnbd_floor_init);
module_exit(rnbd_floor_exit);
MODULE_DESCRIPTION("For benchmarks: the two messages of an I/O and nothing else");
MODULE_LICENSE("GPL");
