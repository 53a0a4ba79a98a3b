// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-clt-buf.c, which includes this file: data of small requests is
 * copied as it is, whatever pieces it is in.
 */
#include <kunit/test.h>

#define BUF_TEST_PIECES	4
#define BUF_TEST_PAGES	4	/* of the user, contiguous */

struct buf_fixture {
	struct rtrs_clt_io	io;
	struct scatterlist	sg[BUF_TEST_PIECES];
	u8			*user;
	u8			*buf;
};

static u8 *buf_test_pages(unsigned int order)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, order);

	return page ? page_address(page) : NULL;
}

static int buf_test_init(struct kunit *test)
{
	struct buf_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	size_t i;

	if (!f)
		return -ENOMEM;
	test->priv = f;
	f->user = buf_test_pages(get_order(BUF_TEST_PAGES * PAGE_SIZE));
	f->buf = buf_test_pages(get_order(RTRS_CLT_BUF_SIZE));
	if (!f->user || !f->buf)
		return -ENOMEM;
	for (i = 0; i < BUF_TEST_PAGES * PAGE_SIZE; i++)
		f->user[i] = i % 251;
	memset(f->buf, 0xee, RTRS_CLT_BUF_SIZE);
	f->io.buf = f->buf;
	f->io.req.sg = f->sg;
	return 0;
}

static void buf_test_exit(struct kunit *test)
{
	struct buf_fixture *f = test->priv;

	if (!f)
		return;
	free_pages((unsigned long)f->user,
		   get_order(BUF_TEST_PAGES * PAGE_SIZE));
	free_pages((unsigned long)f->buf, get_order(RTRS_CLT_BUF_SIZE));
}

/* Pieces of the user's memory. */
struct copy_case {
	const char	*name;
	unsigned int	cnt;
	struct {
		unsigned int	off;
		unsigned int	len;
	} piece[BUF_TEST_PIECES];
};

static const struct copy_case copy_cases[] = {
	{ "a page",			1, { { 4096, 4096 } } },
	{ "a sector",			1, { { 0, 512 } } },
	{ "a sector in a page",		1, { { 4608, 512 } } },
	{ "a byte",			1, { { 4095, 1 } } },
	{ "half of two pages",		1, { { 2048, 4096 } } },
	{ "two pages but one byte",	1, { { 1, 7000 } } },
	{ "two sectors in turn",	2, { { 8192, 512 }, { 512, 512 } } },
	{ "a page in four pieces", 4, { { 3584, 512 }, { 4096, 2048 },
					       { 512, 1024 }, { 12288, 512 } } },
	{ "odd pieces",			3, { { 1, 3 }, { 4090, 13 }, { 77, 1000 } } },
	{ "a page behind a sector",	2, { { 512, 512 }, { 4096, 4096 } } },
	{ "a page before a sector",	2, { { 4096, 4096 }, { 512, 512 } } },
};

KUNIT_ARRAY_PARAM_DESC(copy, copy_cases, name);

static size_t buf_test_fill(struct buf_fixture *f, const struct copy_case *c)
{
	size_t len = 0;
	unsigned int i;

	sg_init_table(f->sg, c->cnt);
	for (i = 0; i < c->cnt; i++) {
		sg_set_page(&f->sg[i], virt_to_page(f->user), c->piece[i].len,
			    c->piece[i].off);
		len += c->piece[i].len;
	}
	f->io.req.sg_cnt = c->cnt;
	f->io.req.data_len = len;
	return len;
}

static void copy_has_all_pieces_in_their_order(struct kunit *test)
{
	const struct copy_case *c = test->param_value;
	struct buf_fixture *f = test->priv;
	size_t at = 0, len = buf_test_fill(f, c);
	unsigned int i;

	rtrs_clt_buf_copy(&f->io, true);
	for (i = 0; i < c->cnt; i++) {
		KUNIT_EXPECT_MEMEQ(test, f->buf + at, f->user + c->piece[i].off,
				   c->piece[i].len);
		at += c->piece[i].len;
	}
	KUNIT_EXPECT_EQ(test, f->buf[len], 0xee);
}

static void copy_back_changes_the_pieces_and_nothing_else(struct kunit *test)
{
	const struct copy_case *c = test->param_value;
	struct buf_fixture *f = test->priv;
	size_t i, wrong = 0, len = buf_test_fill(f, c);
	unsigned int p;

	for (i = 0; i < len; i++)
		f->buf[i] = 252 + i % 3;
	rtrs_clt_buf_copy(&f->io, false);
	for (i = 0, p = 0; p < c->cnt; p++) {
		KUNIT_EXPECT_MEMEQ(test, f->user + c->piece[p].off, f->buf + i,
				   c->piece[p].len);
		i += c->piece[p].len;
	}
	for (i = 0; i < BUF_TEST_PAGES * PAGE_SIZE; i++)
		wrong += f->user[i] >= 252 ? 1 : f->user[i] != i % 251;
	KUNIT_EXPECT_EQ(test, wrong, len);
}

/* Pieces can be longer than the data. */
static void copy_ends_where_the_data_does(struct kunit *test)
{
	static const struct copy_case c = { "", 2, { { 0, 512 }, { 4096, 4096 } } };
	struct buf_fixture *f = test->priv;

	buf_test_fill(f, &c);
	f->io.req.data_len = 1024;
	rtrs_clt_buf_copy(&f->io, true);
	KUNIT_EXPECT_MEMEQ(test, f->buf + 512, f->user + 4096, 512);
	KUNIT_EXPECT_EQ(test, f->buf[1024], 0xee);
}

static struct kunit_case rtrs_clt_buf_cases[] = {
	KUNIT_CASE_PARAM(copy_has_all_pieces_in_their_order, copy_gen_params),
	KUNIT_CASE_PARAM(copy_back_changes_the_pieces_and_nothing_else,
			 copy_gen_params),
	KUNIT_CASE(copy_ends_where_the_data_does),
	{}
};

static struct kunit_suite rtrs_clt_buf_suite = {
	.name		= "rtrs-clt-buf",
	.init		= buf_test_init,
	.exit		= buf_test_exit,
	.test_cases	= rtrs_clt_buf_cases,
};

kunit_test_suite(rtrs_clt_buf_suite);
