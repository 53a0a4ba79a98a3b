// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests in chunks, and mainline's way to answer them
 *
 * A request is checked against what a client may send, handed to RNBD, and
 * answered by one chain: the data of a read (RDMA_WRITE), then SEND_WITH_INV
 * where NEED_INVAL asks for it, then RDMA_WRITE_WITH_IMM, or with NEW_RKEY
 * SEND_WITH_IMM of the chunk's next key.
 *
 * With NEW_RKEY mainline invalidates a chunk's region before it looks at the
 * request and registers it again before it answers.  A region of user space can
 * only be deregistered and made anew, which does the same: a client that uses
 * the old key meanwhile, or afterwards, loses its connection.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "server.h"

/*
 * Chunks are poisoned: a request may change the bytes of its own message, and
 * no others.  That many bytes on both sides are looked at.
 */
#define POISON		0x5a
#define POISON_LOOK	64u

static uint8_t *chunk_mem(const struct srv *s, const struct path *p,
			  unsigned int chunk)
{
	return p->sess->chunks + (size_t)chunk * s->cfg.chunk_size;
}

/* --- keys ----------------------------------------------------------------------- */

static struct ibv_mr *register_chunks(struct srv *s, struct path *p,
				      unsigned int chunk, size_t num)
{
	return ibv_reg_mr(s->pd, chunk_mem(s, p, chunk),
			  num * s->cfg.chunk_size,
			  IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
}

int path_register_chunks(struct srv *s, struct path *p)
{
	unsigned int i, num = s->cfg.invalidate ? s->cfg.depth : 1;

	/* Nobody can write before there is a key; a second path finds it so. */
	if (p->sess->paths == 1)
		memset(p->sess->chunks, POISON,
		       (size_t)s->cfg.depth * s->cfg.chunk_size);
	p->key = xzalloc(num * sizeof(*p->key));
	for (i = 0; i < num; i++) {
		p->key[i] = register_chunks(s, p, i, s->cfg.depth / num);
		if (!p->key[i])
			return -errno;
	}
	return 0;
}

void path_unregister_chunks(struct srv *s, struct path *p)
{
	unsigned int i, num = s->cfg.invalidate ? s->cfg.depth : 1;

	for (i = 0; p->key && i < num; i++)
		if (p->key[i])
			ibv_dereg_mr(p->key[i]);
	free(p->key);
	p->key = NULL;
}

static bool renews(const struct srv *s, const struct path *p)
{
	return s->cfg.invalidate &&
	       (s->cfg.rkey == RKEY_NEW ||
		(s->cfg.rkey == RKEY_MIXED && p->sess->requests % 3));
}

static void invalidate_chunk(struct srv *s, struct path *p, unsigned int chunk)
{
	if (!renews(s, p))
		return;
	ibv_dereg_mr(p->key[chunk]);
	p->key[chunk] = NULL;
}

static void revalidate_chunk(struct srv *s, struct path *p, unsigned int chunk)
{
	if (p->key[chunk])
		return;
	p->key[chunk] = register_chunks(s, p, chunk, 1);
	if (!p->key[chunk])
		die("cannot register a chunk again: %s", strerror(errno));
}

/* --- answers ---------------------------------------------------------------------- */

/* Appends a request to a chain. */
static struct ibv_send_wr *chain(struct ibv_send_wr *wr, unsigned int *n,
				 enum ibv_wr_opcode opcode)
{
	struct ibv_send_wr *next = &wr[*n];

	memset(next, 0, sizeof(*next));
	next->wr_id = wr_id(WR_TX, 0);
	next->opcode = opcode;
	next->send_flags = IBV_SEND_SIGNALED;
	if (*n)
		wr[*n - 1].next = next;
	++*n;
	return next;
}

static void add_data(struct ibv_send_wr *chain_wr, unsigned int *n,
		     struct ibv_sge *sge, const struct op *op)
{
	struct ibv_send_wr *wr = chain(chain_wr, n, IBV_WR_RDMA_WRITE);

	sge->addr = (uintptr_t)op->src;
	sge->lkey = op->src_lkey;
	sge->length = op->src_len < op->desc.len ? op->src_len : op->desc.len;
	if (!op->src) {
		/* Only with WRONG_ERROR_DATA: whatever is there. */
		sge->addr = (uintptr_t)op->path->sess->admin;
		sge->lkey = op->path->sess->admin_mr->lkey;
		sge->length = 8;
	}
	wr->sg_list = sge;
	wr->num_sge = 1;
	wr->wr.rdma.remote_addr = op->desc.addr;
	wr->wr.rdma.rkey = op->desc.key;
}

static void add_rkey_rsp(struct srv *s, struct ibv_send_wr *wr,
			 struct ibv_sge *sge, const struct op *op)
{
	struct session *sess = op->path->sess;
	uint8_t *b = sess->admin + 64 * op->chunk + 56;

	revalidate_chunk(s, op->path, op->chunk);
	rkey_rsp_encode(b, op->chunk, op->path->key[op->chunk]->rkey);
	sge->addr = (uintptr_t)b;
	sge->length = WIRE_RKEY_RSP_LEN;
	sge->lkey = sess->admin_mr->lkey;
	wr->sg_list = sge;
	wr->num_sge = 1;
}

/* Breaks the rule that --wrong names, if it is about answers. */
static void spoil(struct srv *s, struct ibv_send_wr *wr, unsigned int *n,
		  const struct op *op)
{
	struct ibv_send_wr *last = &wr[*n - 1], *inv = NULL;
	uint32_t imm = ntohl(last->imm_data), other;
	unsigned int next = (op->chunk + 1) % s->cfg.depth;

	if (*n > 1 && wr[*n - 2].opcode == IBV_WR_SEND_WITH_INV)
		inv = &wr[*n - 2];
	switch (s->cfg.wrong) {
	case WRONG_NO_INV:
		if (inv) {
			*inv = *last;
			--*n;
		}
		break;
	case WRONG_INV_PLAIN:
		if (inv)
			last->imm_data = htonl(imm_make(IMM_IO_RSP, imm));
		break;
	case WRONG_INV_KEY:
		if (inv)
			inv->invalidate_rkey ^= 0x100;
		break;
	case WRONG_INV_FIRST:
		if (inv && *n == 3) {
			struct ibv_send_wr data = wr[0];

			wr[0] = *inv;
			wr[1] = data;
			wr[0].next = &wr[1];
			wr[1].next = last;
		}
		break;
	case WRONG_KIND:
		last->opcode = s->cfg.invalidate ? IBV_WR_RDMA_WRITE_WITH_IMM :
			       IBV_WR_SEND_WITH_IMM;
		last->num_sge = 0;
		memset(&last->wr, 0, sizeof(last->wr));
		break;
	case WRONG_TWICE:
		last->next = &wr[*n];
		wr[*n] = *last;
		wr[(*n)++].next = NULL;
		break;
	case WRONG_CHUNK:
		other = (imm & ~IMM_CHUNK_MASK) | next;
		last->imm_data = htonl(other);
		break;
	case WRONG_ERRNO:
		last->imm_data = htonl(imm_io_rsp(imm_type(imm), op->chunk,
						  EIO));
		break;
	case WRONG_LONG:
		if (*n > 1 && wr[0].opcode == IBV_WR_RDMA_WRITE)
			wr[0].sg_list->length++;
		break;
	case WRONG_DATA:
		if (*n > 1 && wr[0].opcode == IBV_WR_RDMA_WRITE)
			*(uint8_t *)(uintptr_t)wr[0].sg_list->addr ^= 0x10;
		break;
	case WRONG_PLAIN_SEND:
		last->next = chain(wr, n, IBV_WR_SEND);
		break;
	default:
		break;
	}
}

void srv_answer(struct srv *s, const struct op *op)
{
	bool inv = op->need_inval && !s->cfg.no_inv;
	struct ibv_send_wr wr[4], *last;
	struct ibv_sge data_sge, msg_sge;
	unsigned int n = 0;

	if (op->path->state != PATH_UP)
		return;
	if (op->has_desc && (!op->err || s->cfg.wrong == WRONG_ERROR_DATA))
		add_data(wr, &n, &data_sge, op);
	if (inv)
		chain(wr, &n, IBV_WR_SEND_WITH_INV)->invalidate_rkey =
			op->desc.key;
	last = chain(wr, &n, s->cfg.invalidate ? IBV_WR_SEND_WITH_IMM :
		     IBV_WR_RDMA_WRITE_WITH_IMM);
	if (s->cfg.invalidate)
		add_rkey_rsp(s, last, &msg_sge, op);
	last->imm_data = htonl(imm_io_rsp(inv ? IMM_IO_RSP_W_INV : IMM_IO_RSP,
					  op->chunk, op->err));
	if (s->cfg.wrong)
		spoil(s, wr, &n, op);
	op->path->busy[op->chunk] = false;
	if (conn_post(op->conn, wr)) {
		rule(s, "cannot post an answer");
		path_close(s, op->path);
	}
}

void srv_release_held(struct srv *s)
{
	while (s->num_held)
		srv_answer(s, &s->held[--s->num_held]);
}

static void answer_or_hold(struct srv *s, struct op *op)
{
	if (s->hooks && s->hooks->answer && s->hooks->answer(s, op))
		return;
	if (!s->cfg.reorder)
		return srv_answer(s, op);
	if (!s->held)
		s->held = xzalloc(s->cfg.depth * SRV_MAX_PATHS *
				  sizeof(*s->held));
	s->held[s->num_held++] = *op;
}

/* --- requests ----------------------------------------------------------------------- */

static bool is_poison(const uint8_t *b, unsigned int n)
{
	while (n--)
		if (*b++ != POISON)
			return false;
	return true;
}

/* The message is where it says it is, and nothing else was touched. */
static void check_placement(struct srv *s, const uint8_t *mem,
			    unsigned int start, unsigned int end)
{
	unsigned int before = start < POISON_LOOK ? start : POISON_LOOK;
	unsigned int behind = s->cfg.chunk_size - end;

	if (behind > POISON_LOOK)
		behind = POISON_LOOK;
	if (!is_poison(mem + start - before, before))
		rule(s, "bytes before the message at %u were written", start);
	if (!is_poison(mem + end, behind))
		rule(s, "bytes behind the message at %u were written", end);
}

static bool parse_read(struct srv *s, struct op *op, const uint8_t *rtrs,
		       unsigned int data_len)
{
	unsigned int flags = get16(rtrs + 4), sg_cnt = get16(rtrs + 6);

	if (sg_cnt > 1) {
		rule(s, "READ with sg_cnt %u", sg_cnt);
		return false;
	}
	op->read = true;
	op->has_desc = sg_cnt;
	op->need_inval = flags & WIRE_READ_NEED_INVAL;
	if (flags & ~WIRE_READ_NEED_INVAL)
		rule(s, "READ with flags %#x", flags);
	if (op->need_inval && !sg_cnt)
		rule(s, "NEED_INVAL with sg_cnt 0");
	if (!sg_cnt) {
		op->need_inval = false;
		return true;
	}
	desc_decode(&op->desc, rtrs + 8);
	if (!op->desc.len) {
		rule(s, "READ with desc.len 0");
		return false;
	}
	if (op->desc.len != data_len)
		rule(s, "READ: desc.len %u, data length %u", op->desc.len,
		     data_len);
	return true;
}

/*
 * Decodes the RTRS message and finds the user message.  False: mainline would
 * drop this without an answer, so the path ends.
 */
static bool parse_request(struct srv *s, struct op *op, const uint8_t *mem,
			  uint32_t off, uint32_t byte_len, unsigned int *usr_len)
{
	unsigned int type, data_len, start, end;

	if (off + WIRE_RTRS_READ_LEN(1) > s->cfg.chunk_size) {
		rule(s, "message at offset %u of the chunk", off);
		return false;
	}
	type = get16(mem + off);
	*usr_len = get16(mem + off + 2);
	if (type != RTRS_READ && type != RTRS_WRITE) {
		rule(s, "RTRS message of type %u", type);
		return false;
	}
	if (*usr_len > off || *usr_len > 4096) {
		rule(s, "usr_len %u at offset %u", *usr_len, off);
		return false;
	}
	data_len = off - *usr_len;
	start = 0;
	end = off + WIRE_RTRS_WRITE_LEN;
	if (type == RTRS_READ) {
		if (!parse_read(s, op, mem + off, data_len))
			return false;
		start = data_len;
		end = off + WIRE_RTRS_READ_LEN(op->has_desc ? 1 : 0);
	}
	if (byte_len != end - start)
		rule(s, "%u bytes written, %u expected (data %u, user %u)",
		     byte_len, end - start, data_len, *usr_len);
	if (data_len > s->cfg.chunk_size - 4096)
		rule(s, "%u bytes of data", data_len);
	check_placement(s, mem, start, end);
	return true;
}

void srv_request(struct srv *s, struct path *p, struct conn *c, uint32_t imm,
		 uint32_t byte_len)
{
	unsigned int chunk = imm_req_chunk(s->cfg.depth, imm), usr_len;
	uint32_t off = imm_req_off(s->cfg.depth, imm);
	struct op op = { .path = p, .conn = c, .chunk = chunk };
	uint8_t usr[4096];
	uint8_t *mem;

	if (chunk >= s->cfg.depth) {
		rule(s, "chunk %u of %u", chunk, s->cfg.depth);
		return path_close(s, p);
	}
	if (p->busy[chunk]) {
		rule(s, "chunk %u used while a request is in it", chunk);
		return path_close(s, p);
	}
	p->busy[chunk] = true;
	p->sess->requests++;
	invalidate_chunk(s, p, chunk);
	mem = chunk_mem(s, p, chunk);
	if (!parse_request(s, &op, mem, off, byte_len, &usr_len))
		return path_close(s, p);
	memcpy(usr, mem + off - usr_len, usr_len);
	srv_user_message(s, &op, usr, usr_len, mem, off - usr_len);
	/* The data has been used: poison it all again, before the answer. */
	memset(mem, POISON, off + WIRE_RTRS_READ_LEN(1));
	answer_or_hold(s, &op);
}
