// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory of a client's path that its device reaches by itself.
 *
 * Each request of a path has a buffer. Its end is for the messages; the rest is
 * for the data of small requests, which is copied there, or from there, where
 * that is cheaper than to have the device reach the user's memory. The server
 * writes the data of a small read into the buffer: all buffers are registered
 * when the path is connected, in a few large regions, and stay so until it has
 * been drained. So a small request needs no registration, no invalidation, and
 * nobody has to wait for the completion of its send: what that reads is the
 * path's as long as the queue pair exists. What is read there if it is repeated,
 * after the answer has come, is of no interest: the server has it already.
 *
 * With the key of a region the server reaches the buffers of other requests, too,
 * at any time. That are the requests it is to answer itself, and the memory is
 * nobody else's.
 *
 * All here but the copying belongs to whoever connects the path or takes it down.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/highmem.h>
#include <linux/mm.h>

#include "rtrs-clt.h"

/* Pages of a region, so that the device's list of them is not a large allocation. */
#define RTRS_CLT_REGION_PAGES	512U

/* Pages of the CPU can be larger than a buffer. */
#define RTRS_CLT_BLOCK_SIZE	max(PAGE_SIZE, RTRS_CLT_BUF_SIZE)
#define RTRS_CLT_BLOCK_BUFS	(RTRS_CLT_BLOCK_SIZE / RTRS_CLT_BUF_SIZE)

static int rtrs_clt_block_alloc(struct rtrs_clt_path *path,
				struct rtrs_clt_block *block)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_COMP,
					get_order(RTRS_CLT_BLOCK_SIZE));

	if (!page)
		return -ENOMEM;
	block->dma = ib_dma_map_page(path->dev, page, 0, RTRS_CLT_BLOCK_SIZE,
				     DMA_BIDIRECTIONAL);
	if (ib_dma_mapping_error(path->dev, block->dma)) {
		__free_pages(page, get_order(RTRS_CLT_BLOCK_SIZE));
		return -ENOMEM;
	}
	block->page = page;
	return 0;
}

static void rtrs_clt_buf_init(struct rtrs_clt_path *path, unsigned int chunk)
{
	const struct rtrs_clt_block *block =
		&path->blocks[chunk / RTRS_CLT_BLOCK_BUFS];
	size_t off = chunk % RTRS_CLT_BLOCK_BUFS * RTRS_CLT_BUF_SIZE;
	struct rtrs_clt_io *io = &path->ios[chunk];

	io->buf = page_address(block->page) + off;
	io->buf_dma = block->dma + off;
}

/**
 * rtrs_clt_bufs_alloc() - give the requests of a path their buffers
 * @path: the path, with its requests; its device is known
 *
 * Whatever was allocated is freed by rtrs_clt_bufs_free(), also on errors.
 *
 * Context: process.
 * Return: 0 or -ENOMEM.
 */
int rtrs_clt_bufs_alloc(struct rtrs_clt_path *path)
{
	unsigned int i, nr = path->nr_ios;
	int err;

	path->buf_msg = RTRS_CLT_BUF_SIZE -
			ALIGN(path->sess->max_msg_len + RTRS_MAX_REQ_LEN,
			      SMP_CACHE_BYTES);
	path->blocks = kvcalloc(DIV_ROUND_UP(nr, RTRS_CLT_BLOCK_BUFS),
				sizeof(*path->blocks), GFP_KERNEL);
	if (!path->blocks)
		return -ENOMEM;
	for (i = 0; i < DIV_ROUND_UP(nr, RTRS_CLT_BLOCK_BUFS); i++) {
		err = rtrs_clt_block_alloc(path, &path->blocks[i]);
		if (err)
			return err;
		path->nr_blocks++;
	}
	for (i = 0; i < nr; i++)
		rtrs_clt_buf_init(path, i);
	return 0;
}

/**
 * rtrs_clt_bufs_free() - free what rtrs_clt_bufs_alloc() and
 *	rtrs_clt_bufs_register() have made
 * @path: the path, drained, its queue pairs gone
 *
 * Context: process.
 */
void rtrs_clt_bufs_free(struct rtrs_clt_path *path)
{
	path->buf_data = 0;
	while (path->nr_regions)
		ib_dereg_mr(path->regions[--path->nr_regions]);
	while (path->nr_blocks) {
		struct rtrs_clt_block *block = &path->blocks[--path->nr_blocks];

		ib_dma_unmap_page(path->dev, block->dma, RTRS_CLT_BLOCK_SIZE,
				  DMA_BIDIRECTIONAL);
		__free_pages(block->page, get_order(RTRS_CLT_BLOCK_SIZE));
	}
	kvfree(path->regions);
	kvfree(path->blocks);
	path->regions = NULL;
	path->blocks = NULL;
}

/* The requests whose buffers are in a region learn how the server reaches them. */
static void rtrs_clt_region_publish(struct rtrs_clt_path *path,
				    const struct ib_mr *mr, unsigned int first,
				    unsigned int blocks)
{
	unsigned int i, chunk = first * RTRS_CLT_BLOCK_BUFS;

	for (i = 0; i < blocks * RTRS_CLT_BLOCK_BUFS; i++, chunk++) {
		if (chunk == path->nr_ios)
			break;
		path->ios[chunk].buf_addr = mr->iova +
					    i * RTRS_CLT_BUF_SIZE;
		path->ios[chunk].buf_key = mr->rkey;
	}
}

static int rtrs_clt_region_post(struct rtrs_clt_path *path, struct ib_mr *mr,
				bool last)
{
	struct ib_reg_wr wr = {
		.wr.opcode	= IB_WR_REG_MR,
		.wr.wr_cqe	= &path->reg_cqe,
		.wr.send_flags	= last ? IB_SEND_SIGNALED : 0,
		.mr		= mr,
		.key		= mr->rkey,
		.access		= IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE,
	};

	return ib_post_send(path->cons[1]->c.qp, &wr.wr, NULL);
}

/* Make a region of @nr blocks, from @first on. */
static int rtrs_clt_region_add(struct rtrs_clt_path *path,
			       struct scatterlist *sgl, unsigned int first,
			       unsigned int nr)
{
	struct ib_mr *mr;
	unsigned int i;
	int n;

	mr = ib_alloc_mr(path->pd, IB_MR_TYPE_MEM_REG,
			 nr * (RTRS_CLT_BLOCK_SIZE / RTRS_CLT_MR_PAGE_SIZE));
	if (IS_ERR(mr))
		return PTR_ERR(mr);
	path->regions[path->nr_regions++] = mr;
	sg_init_table(sgl, nr);
	for (i = 0; i < nr; i++) {
		sg_set_page(&sgl[i], path->blocks[first + i].page,
			    RTRS_CLT_BLOCK_SIZE, 0);
		sg_dma_address(&sgl[i]) = path->blocks[first + i].dma;
		sg_dma_len(&sgl[i]) = RTRS_CLT_BLOCK_SIZE;
	}
	n = ib_map_mr_sg(mr, sgl, nr, NULL, RTRS_CLT_MR_PAGE_SIZE);
	if (n != nr)
		return n < 0 ? n : -EINVAL;
	ib_update_fast_reg_key(mr, ib_inc_rkey(mr->rkey));
	rtrs_clt_region_publish(path, mr, first, nr);
	return rtrs_clt_region_post(path, mr, first + nr == path->nr_blocks);
}

static void rtrs_clt_reg_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct rtrs_clt_path *path = container_of(wc->wr_cqe,
						  struct rtrs_clt_path,
						  reg_cqe);

	if (wc->status != IB_WC_SUCCESS)
		rtrs_clt_path_error(path);
	else
		rtrs_clt_step_done(path, 0);
}

static int rtrs_clt_regions_add(struct rtrs_clt_path *path, unsigned int per)
{
	struct scatterlist *sgl __free(kvfree) =
		kvmalloc_array(per, sizeof(*sgl), GFP_KERNEL);
	unsigned int first;
	int err = 0;

	path->regions = kvcalloc(DIV_ROUND_UP(path->nr_blocks, per),
				 sizeof(*path->regions), GFP_KERNEL);
	if (!sgl || !path->regions)
		return -ENOMEM;
	for (first = 0; !err && first < path->nr_blocks; first += per)
		err = rtrs_clt_region_add(path, sgl, first,
					  min(per, path->nr_blocks - first));
	return err;
}

/**
 * rtrs_clt_bufs_register() - let the server write into the buffers of a path
 * @path: the path, in state CONNECTING, with all of its connections
 *
 * There is no more than one region a request, so they fit the queue of cid 1.
 *
 * Context: process, sleeps.
 * Return: 0 or a negative errno.
 */
int rtrs_clt_bufs_register(struct rtrs_clt_path *path)
{
	unsigned int per = min(path->dev->attrs.max_fast_reg_page_list_len,
			       RTRS_CLT_REGION_PAGES) /
			   (RTRS_CLT_BLOCK_SIZE / RTRS_CLT_MR_PAGE_SIZE);
	int err;

	/* what cannot be registered together goes the way of large requests */
	if (!per)
		return 0;
	path->reg_cqe.done = rtrs_clt_reg_done;
	err = rtrs_clt_regions_add(path, min(per, path->nr_blocks));
	if (!err)
		err = rtrs_clt_wait_step(path, path->answer_ms);
	if (!err)
		path->buf_data = path->buf_msg;
	return err;
}

static void rtrs_clt_copy_page(struct page *page, size_t off, size_t len,
			       void *buf, bool to_buf)
{
	void *mem = kmap_local_page(page) + off;
	void *dst = to_buf ? buf : mem;
	const void *src = to_buf ? mem : buf;

	if (len == PAGE_SIZE && PAGE_ALIGNED(buf))
		copy_page(dst, (void *)src);
	else
		memcpy(dst, src, len);
	if (!to_buf)
		flush_dcache_page(page);
	kunmap_local(mem);
}

/**
 * rtrs_clt_buf_copy() - copy the data of a request to its buffer, or from there
 * @io: the request
 * @to_buf: to the buffer
 *
 * Context: any; nobody else uses the buffer.
 */
void rtrs_clt_buf_copy(const struct rtrs_clt_io *io, bool to_buf)
{
	const struct rtrs_clt_req *req = &io->req;
	size_t left = req->data_len;
	void *buf = io->buf;
	struct scatterlist *sg;
	unsigned int i;

	for_each_sg(req->sg, sg, req->sg_cnt, i) {
		size_t end = sg->offset + min_t(size_t, sg->length, left);
		size_t off = sg->offset, len;

		for (; off < end; off += len, buf += len, left -= len) {
			len = min(end - off, PAGE_SIZE - offset_in_page(off));
			rtrs_clt_copy_page(nth_page(sg_page(sg),
						    off >> PAGE_SHIFT),
					   offset_in_page(off), len, buf,
					   to_buf);
		}
	}
}

#ifdef CONFIG_RTRS_KUNIT_TEST
#include "rtrs-clt-buf-test.c"
#endif
