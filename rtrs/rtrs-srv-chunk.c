// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RTRS server: the memory of a path.
 *
 * Every path has chunks of its own, in a protection domain of its own, so that
 * the keys of a path open nothing but the path's own memory: not that of another
 * client, and not what a request of the same client that came on another path,
 * living or dead, is working with. Each chunk is physically contiguous and
 * starts zeroed. Chunks are allocated, mapped and registered when the client has
 * introduced itself.
 *
 * Without always_invalidate one region covers as many chunks as the device
 * allows, and stays registered as long as the path lives. With it each chunk has
 * its own, for the data path to invalidate and register again; its page list
 * stays the same. The data of reads, and of small writes, is then in buffers that
 * are never registered, so that these need none of this: each operation gets one
 * when it is first needed, and keeps it.
 *
 * When the path ends, regions and mappings are undone first, which leaves nothing
 * on the device. The pages follow: at once those of an operation that is over,
 * those of an orphan when its user gives it back.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "rtrs-srv.h"

/* Drivers allocate an entry a page in one piece. */
#define RTRS_SRV_MAX_REGION	SZ_256M

/* Buffers up to this size are allocated as soon as they are needed. */
#define RTRS_SRV_EAGER_BUF	SZ_16K

/* How the chunks of a path are divided into regions. */
struct rtrs_srv_regions {
	u32	page_size;
	u32	pages;		/* in a region */
	u32	chunks;		/* in a region */
};

/* The last of many registrations, which complete in order. */
struct rtrs_srv_reg_wait {
	struct ib_cqe		cqe;
	struct completion	done;
	enum ib_wc_status	status;
};

static void *rtrs_srv_alloc_pages(struct ib_device *dev, unsigned int order,
				  gfp_t gfp)
{
	struct page *page = alloc_pages_node(ibdev_to_node(dev),
					     gfp | __GFP_COMP | __GFP_ZERO |
					     __GFP_NOWARN, order);

	return page ? page_address(page) : NULL;
}

static int rtrs_srv_chunk_alloc(struct rtrs_srv_op *op)
{
	struct ib_device *dev = op->path->dev;
	u32 size = rtrs_srv_conf.chunk_size;
	void *chunk;
	int err;

	err = rtrs_srv_limit_take(op->path, size);
	if (err)
		return err;
	chunk = rtrs_srv_alloc_pages(dev, get_order(size),
				     GFP_KERNEL | __GFP_RETRY_MAYFAIL);
	if (!chunk)
		goto give;
	op->chunk_dma = ib_dma_map_single(dev, chunk, size, DMA_BIDIRECTIONAL);
	if (ib_dma_mapping_error(dev, op->chunk_dma))
		goto free;
	op->chunk = chunk;
	return 0;
free:
	__free_pages(virt_to_page(chunk), get_order(size));
give:
	rtrs_srv_limit_give(op->path, size);
	return -ENOMEM;
}

static int rtrs_srv_ops_alloc(struct rtrs_srv_path *path)
{
	size_t msg_len = ALIGN(path->user->max_msg_len, SMP_CACHE_BYTES);
	size_t op_size = ALIGN(path->user->op_size, SMP_CACHE_BYTES);
	u32 nr;

	path->msgs = kvcalloc(path->queue_depth, msg_len, GFP_KERNEL);
	path->privs = kvcalloc(path->queue_depth, op_size, GFP_KERNEL);
	if (!path->msgs || !path->privs)
		return -ENOMEM;
	path->ops = kvcalloc(path->queue_depth, sizeof(*path->ops), GFP_KERNEL);
	if (!path->ops)
		return -ENOMEM;
	for (nr = 0; nr < path->queue_depth; nr++) {
		struct rtrs_srv_op *op = &path->ops[nr];

		op->path = path;
		op->nr = nr;
		op->msg = path->msgs + nr * msg_len;
		op->priv = path->privs + nr * op_size;
		INIT_WORK(&op->work, rtrs_srv_op_work);
		INIT_WORK(&op->early_work, rtrs_srv_op_early_work);
	}
	return 0;
}

/**
 * rtrs_srv_chunks_alloc() - give a path its operations and their memory
 * @path: the path
 *
 * What has been allocated when this fails is the path's all the same.
 *
 * Context: process, sleeps.
 * Return: 0, -ENOMEM, -EUSERS if a limit is reached, or -ECONNABORTED if the path is
 * being closed.
 */
int rtrs_srv_chunks_alloc(struct rtrs_srv_path *path)
{
	u32 nr;
	int err;

	err = rtrs_srv_ops_alloc(path);
	if (err)
		return err;
	if (path->new_rkey) {
		path->rsp = rtrs_iu_alloc(path->dev, path->queue_depth *
					  sizeof(struct rtrs_msg_rkey_rsp),
					  DMA_TO_DEVICE, NULL);
		if (!path->rsp)
			return -ENOMEM;
	}
	for (nr = 0; nr < path->queue_depth; nr++) {
		/* it can take long, and who closes the path waits for us */
		if (READ_ONCE(path->state) != RTRS_SRV_PATH_CONNECTING)
			return -ECONNABORTED;
		err = rtrs_srv_chunk_alloc(&path->ops[nr]);
		if (err)
			return err;
	}
	return 0;
}

/* The largest pages that the device knows and all chunks are made of. */
static u32 rtrs_srv_page_size(const struct rtrs_srv_path *path)
{
	u64 align = rtrs_srv_conf.chunk_size, sizes;
	u32 nr;

	for (nr = 0; nr < path->queue_depth; nr++)
		align |= path->ops[nr].chunk_dma;
	sizes = path->dev->attrs.page_size_cap & GENMASK_ULL(__ffs64(align), 0);
	return sizes ? BIT(fls64(sizes) - 1) : 0;
}

static u32 rtrs_srv_max_region(const struct ib_device *dev, u32 page_size)
{
	u64 max = (u64)dev->attrs.max_fast_reg_page_list_len * page_size;

	return min3(max, dev->attrs.max_mr_size, (u64)RTRS_SRV_MAX_REGION);
}

/* All regions are of one size, so it divides the number of chunks. */
static u32 rtrs_srv_region_chunks(u32 queue_depth, u32 max)
{
	u32 chunks = min(max, queue_depth);

	while (queue_depth % chunks)
		chunks--;
	return chunks;
}

static int rtrs_srv_divide(const struct rtrs_srv_path *path,
			   struct rtrs_srv_regions *r)
{
	u32 chunk_size = rtrs_srv_conf.chunk_size;
	u32 max;

	r->page_size = rtrs_srv_page_size(path);
	max = rtrs_srv_max_region(path->dev, r->page_size) / chunk_size;
	if (!max) {
		rtrs_srv_err(path, "%s: cannot register %u bytes, use a smaller max_chunk_size\n",
			     dev_name(&path->dev->dev), chunk_size);
		return -EOPNOTSUPP;
	}
	r->chunks = rtrs_srv_conf.always_invalidate ? 1 :
		    rtrs_srv_region_chunks(path->queue_depth, max);
	r->pages = r->chunks * (chunk_size / r->page_size);
	return 0;
}

static void rtrs_srv_fill_sgl(struct scatterlist *sgl, u32 chunks,
			      const struct rtrs_srv_op *op)
{
	u32 i;

	sg_init_table(sgl, chunks);
	for (i = 0; i < chunks; i++, op++) {
		sg_set_buf(&sgl[i], op->chunk, rtrs_srv_conf.chunk_size);
		sg_dma_address(&sgl[i]) = op->chunk_dma;
		sg_dma_len(&sgl[i]) = rtrs_srv_conf.chunk_size;
	}
}

/* The region of some chunks, from @op on; not registered yet. */
static struct ib_mr *rtrs_srv_alloc_mr(struct rtrs_srv_path *path,
				       const struct rtrs_srv_regions *r,
				       struct scatterlist *sgl,
				       const struct rtrs_srv_op *op)
{
	struct ib_mr *mr = ib_alloc_mr(path->pd, IB_MR_TYPE_MEM_REG, r->pages);
	int n;

	if (IS_ERR(mr))
		return mr;
	rtrs_srv_fill_sgl(sgl, r->chunks, op);
	n = ib_map_mr_sg(mr, sgl, r->chunks, NULL, r->page_size);
	if (n == r->chunks) {
		ib_update_fast_reg_key(mr, ib_inc_rkey(mr->rkey));
		return mr;
	}
	ib_dereg_mr(mr);
	return ERR_PTR(n < 0 ? n : -EINVAL);
}

static int rtrs_srv_alloc_mrs(struct rtrs_srv_path *path,
			      const struct rtrs_srv_regions *r)
{
	struct scatterlist *sgl __free(kvfree) =
		kvmalloc_array(r->chunks, sizeof(*sgl), GFP_KERNEL);
	u32 cnt = path->queue_depth / r->chunks, i;
	struct ib_mr *mr;

	path->mrs = kvcalloc(cnt, sizeof(*path->mrs), GFP_KERNEL);
	if (!sgl || !path->mrs)
		return -ENOMEM;
	for (i = 0; i < cnt; i++) {
		mr = rtrs_srv_alloc_mr(path, r, sgl,
				       &path->ops[i * r->chunks]);
		if (IS_ERR(mr))
			return PTR_ERR(mr);
		path->mrs[path->mr_cnt++] = mr;
		if (rtrs_srv_conf.always_invalidate)
			path->ops[i].mr = mr;
	}
	return 0;
}

static void rtrs_srv_reg_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_srv_reg_wait *wait =
		container_of(wc->wr_cqe, struct rtrs_srv_reg_wait, cqe);

	wait->status = wc->status;
	complete(&wait->done);
}

static int rtrs_srv_post_reg(struct rtrs_srv_con *con, struct ib_mr *mr,
			     struct ib_cqe *last)
{
	struct ib_reg_wr wr = {
		.wr.opcode	= IB_WR_REG_MR,
		.wr.wr_cqe	= last ?: &con->wr_cqe,
		.wr.send_flags	= last ? IB_SEND_SIGNALED : 0,
		.mr		= mr,
		.key		= mr->rkey,
		.access		= IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE,
	};

	return ib_post_send(con->c.qp, &wr.wr, NULL);
}

/* There is no more than one region a chunk, so they fit the queue of cid 1. */
static int rtrs_srv_register_mrs(struct rtrs_srv_path *path)
{
	struct rtrs_srv_reg_wait wait = { .cqe.done = rtrs_srv_reg_done };
	u32 i;
	int err;

	init_completion(&wait.done);
	for (i = 0; i < path->mr_cnt; i++) {
		err = rtrs_srv_post_reg(path->cons[1], path->mrs[i],
					i == path->mr_cnt - 1 ? &wait.cqe :
								NULL);
		if (err)
			return err;
	}
	/* if the path is being closed, its queues are in error by now */
	wait_for_completion(&wait.done);
	return wait.status == IB_WC_SUCCESS ? 0 : -ECONNABORTED;
}

/**
 * rtrs_srv_chunks_register() - make the chunks of a path remotely writable
 * @path: the path
 *
 * Context: process, sleeps.
 * Return: 0 or a negative errno.
 */
int rtrs_srv_chunks_register(struct rtrs_srv_path *path)
{
	struct rtrs_srv_regions regions;
	int err;

	err = rtrs_srv_divide(path, &regions);
	if (err)
		return err;
	err = rtrs_srv_alloc_mrs(path, &regions);
	if (err)
		return err;
	return rtrs_srv_register_mrs(path);
}

/**
 * rtrs_srv_chunks_describe() - write the INFO_RSP of a path
 * @path: the path
 *
 * Context: process.
 * Return: the message, the caller's, or NULL.
 */
struct rtrs_iu *rtrs_srv_chunks_describe(struct rtrs_srv_path *path)
{
	struct rtrs_msg_info_rsp *msg;
	struct rtrs_iu *iu;
	u32 i;

	iu = rtrs_iu_alloc(path->dev, rtrs_info_rsp_size(path->mr_cnt),
			   DMA_TO_DEVICE, NULL);
	if (!iu)
		return NULL;
	msg = iu->buf;
	rtrs_info_rsp_init(msg, path->mr_cnt);
	for (i = 0; i < path->mr_cnt; i++)
		rtrs_sg_desc_encode(&msg->desc[i], path->mrs[i]->iova,
				    path->mrs[i]->rkey, path->mrs[i]->length);
	return iu;
}

static_assert(PAGE_SIZE << 2 * (RTRS_SRV_BUF_SIZES - 1) >= RTRS_SRV_MAX_CHUNK);

static unsigned int rtrs_srv_buf_order(unsigned int i)
{
	/* the last one need not be larger than a chunk */
	return min_t(unsigned int, 2 * i, get_order(rtrs_srv_conf.chunk_size));
}

static void rtrs_srv_op_unmap(struct rtrs_srv_op *op)
{
	struct ib_device *dev = op->path->dev;
	unsigned int i;

	if (op->chunk)
		ib_dma_unmap_single(dev, op->chunk_dma,
				    rtrs_srv_conf.chunk_size,
				    DMA_BIDIRECTIONAL);
	for (i = 0; i < RTRS_SRV_BUF_SIZES; i++)
		if (op->bufs[i].mem)
			ib_dma_unmap_single(dev, op->bufs[i].dma,
					    PAGE_SIZE << rtrs_srv_buf_order(i),
					    DMA_TO_DEVICE);
}

/**
 * rtrs_srv_chunks_unmap() - take the memory of a path off its device
 * @path: the path; its queue pairs are gone
 *
 * The memory itself stays.
 *
 * Context: process, sleeps.
 */
void rtrs_srv_chunks_unmap(struct rtrs_srv_path *path)
{
	u32 nr;

	while (path->mr_cnt)
		ib_dereg_mr(path->mrs[--path->mr_cnt]);
	for (nr = 0; path->ops && nr < path->queue_depth; nr++)
		rtrs_srv_op_unmap(&path->ops[nr]);
	rtrs_iu_free(path->rsp, path->dev);
	path->rsp = NULL;
}

static void rtrs_srv_free_buf(struct rtrs_srv_path *path, void *buf,
			      unsigned int order)
{
	__free_pages(virt_to_page(buf), order);
	rtrs_srv_limit_give(path, PAGE_SIZE << order);
}

static void *rtrs_srv_alloc_buf(struct rtrs_srv_path *path, unsigned int order)
{
	void *buf;

	if (!rtrs_srv_limit_try(path, PAGE_SIZE << order))
		return NULL;
	buf = rtrs_srv_alloc_pages(path->dev, order, GFP_NOWAIT);
	if (!buf)
		rtrs_srv_limit_give(path, PAGE_SIZE << order);
	return buf;
}

/**
 * rtrs_srv_chunk_free() - free the memory of an operation
 * @op: the operation, which is over; its memory is off the device
 *
 * Context: any.
 */
void rtrs_srv_chunk_free(struct rtrs_srv_op *op)
{
	unsigned int i;

	if (op->chunk) {
		__free_pages(virt_to_page(op->chunk),
			     get_order(rtrs_srv_conf.chunk_size));
		rtrs_srv_limit_give(op->path, rtrs_srv_conf.chunk_size);
	}
	for (i = 0; i < RTRS_SRV_BUF_SIZES; i++)
		if (op->bufs[i].mem)
			rtrs_srv_free_buf(op->path, op->bufs[i].mem,
					  rtrs_srv_buf_order(i));
}

/*
 * A large buffer is not for whoever needs it once. To allocate and zero it takes as long
 * as to do without it some times, and there are as many as chunks.
 */
static bool rtrs_srv_buf_worth_it(struct rtrs_srv_op *op, unsigned int order)
{
	unsigned int eager = get_order(RTRS_SRV_EAGER_BUF);

	return order <= eager ||
	       ++op->buf_missed >= BIT(min(order - eager, 7U));
}

/* There is none of this size yet. */
static int rtrs_srv_add_buf(struct rtrs_srv_op *op, struct rtrs_srv_buf *buf,
			    unsigned int order)
{
	struct ib_device *dev = op->path->dev;
	void *mem;
	u64 dma;

	if (!rtrs_srv_buf_worth_it(op, order))
		return -ENOMEM;
	mem = rtrs_srv_alloc_buf(op->path, order);
	if (!mem)
		return -ENOMEM;
	dma = ib_dma_map_single(dev, mem, PAGE_SIZE << order, DMA_TO_DEVICE);
	if (ib_dma_mapping_error(dev, dma)) {
		rtrs_srv_free_buf(op->path, mem, order);
		return -ENOMEM;
	}
	*buf = (struct rtrs_srv_buf) { .mem = mem, .dma = dma };
	op->buf_missed = 0;
	return 0;
}

/**
 * rtrs_srv_op_buf() - have private memory for the data of a request
 * @op: the operation, being looked at
 * @len: bytes needed, not more than a chunk
 *
 * There is a way to do without, so this does not try hard. What was allocated once
 * stays until the queue pairs are gone: nobody knows for how long the device may still
 * send an answer from it. The next request may have come on another connection, and the
 * client can have the answer wait there for as long as it likes.
 *
 * Context: any but hard interrupt.
 * Return: 0, and @op->buf is large enough; or -ENOMEM.
 */
int rtrs_srv_op_buf(struct rtrs_srv_op *op, size_t len)
{
	unsigned int i = DIV_ROUND_UP(get_order(len), 2);
	struct rtrs_srv_buf *buf = &op->bufs[i];
	int err;

	if (unlikely(!buf->mem)) {
		err = rtrs_srv_add_buf(op, buf, rtrs_srv_buf_order(i));
		if (err)
			return err;
	}
	op->buf = buf->mem;
	op->buf_dma = buf->dma;
	return 0;
}

#ifdef CONFIG_RTRS_KUNIT_TEST
#include "rtrs-srv-chunk-test.c"
#endif
