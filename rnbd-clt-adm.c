// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RNBD client: the administrative requests (SESS_INFO, OPEN, CLOSE).
 *
 * Few, in process context, on the service connection, with a chunk that RTRS
 * hands out, in memory of their own. A server that stays silent must not hold up
 * an administrator for ever, but while a path lives an unanswered request must
 * not be given up either: the server may still write its answer. So a waiter that
 * has had enough leaves the request behind, with its memory and its chunk, for
 * the answer to clean up.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/slab.h>

#include "rnbd-clt.h"

#define RNBD_CLT_OPEN_TIMEOUT	(30 * HZ)
/* Nobody waits long to give back what will be forgotten with the session. */
#define RNBD_CLT_CLOSE_TIMEOUT	(10 * HZ)

enum rnbd_adm_state {
	RNBD_ADM_AWAITED,	/* somebody waits for the answer */
	RNBD_ADM_ANSWERED,	/* that one frees it */
	RNBD_ADM_ABANDONED,	/* nobody waits, the answer frees it */
};

/**
 * struct rnbd_adm_iu - an administrative request
 * @rtrs: the connection it travels on
 * @sess: whose life it belongs to, or NULL
 * @losses: &rnbd_clt_sess.losses in that life
 * @done: it has been answered
 * @state: &enum rnbd_adm_state, decides who frees it
 * @err: how it ended
 * @chunk: its permit
 * @sg: the answer, for RTRS
 * @msg_len: length of @msg, bytes
 * @rsp_len: length of @rsp, bytes, 0 if there is no data in the answer
 * @keep: what it opens is to stay open, also if nobody waits for the answer
 * @msg: what is sent
 * @rsp: what is answered; the peer writes into it until @done, or until
 *	the last path is gone
 */
struct rnbd_adm_iu {
	struct rtrs_clt_sess		*rtrs;
	struct rnbd_clt_sess		*sess;
	unsigned int			losses;
	struct completion		done;
	atomic_t			state;
	int				err;
	u16				chunk;
	struct scatterlist		sg;
	size_t				msg_len;
	size_t				rsp_len;
	bool				keep;
	union {
		struct rnbd_msg_hdr		hdr;
		struct rnbd_msg_sess_info	info;
		struct rnbd_msg_open		open;
		struct rnbd_msg_close		close;
	} msg;
	union {
		struct rnbd_msg_sess_info	info;
		struct rnbd_msg_open_rsp	open;
	} rsp __aligned(ARCH_DMA_MINALIGN);
};

static struct rnbd_adm_iu *rnbd_adm_alloc(struct rtrs_clt_sess *rtrs,
					  size_t msg_len, size_t rsp_len)
{
	struct rnbd_adm_iu *iu;
	int chunk;

	iu = kzalloc(sizeof(*iu), GFP_KERNEL);
	if (!iu)
		return ERR_PTR(-ENOMEM);
	chunk = rtrs_clt_get_permit(rtrs);
	if (chunk < 0) {
		kfree(iu);
		return ERR_PTR(chunk);
	}
	iu->rtrs = rtrs;
	iu->chunk = chunk;
	iu->msg_len = msg_len;
	iu->rsp_len = rsp_len;
	init_completion(&iu->done);
	sg_init_one(&iu->sg, &iu->rsp, rsp_len);
	return iu;
}

static struct rnbd_adm_iu *rnbd_adm_alloc_for(struct rnbd_clt_dev *dev,
					      unsigned int losses,
					      size_t msg_len, size_t rsp_len)
{
	struct rnbd_adm_iu *iu = rnbd_adm_alloc(dev->rtrs, msg_len, rsp_len);

	if (!IS_ERR(iu)) {
		iu->sess = dev->sess;
		iu->losses = losses;
	}
	return iu;
}

static void rnbd_adm_free(struct rnbd_adm_iu *iu)
{
	rtrs_clt_put_permit(iu->rtrs, iu->chunk);
	kfree(iu);
}

static void rnbd_adm_done(void *priv, int err, struct io_comp_batch *iob);

/*
 * Once the session has been lost, what a device was called before may be the name
 * of another one. Who loses it waits for us, before it can be back.
 */
static int rnbd_adm_send(struct rnbd_adm_iu *iu)
{
	struct rtrs_clt_req req = {
		.chunk		= iu->chunk,
		.queue		= RTRS_CLT_SERVICE_QUEUE,
		.dir		= iu->rsp_len ? DMA_FROM_DEVICE : DMA_TO_DEVICE,
		.msg		= &iu->msg,
		.msg_len	= iu->msg_len,
		.sg		= iu->rsp_len ? &iu->sg : NULL,
		.sg_cnt		= iu->rsp_len ? 1 : 0,
		.data_len	= iu->rsp_len,
		.done		= rnbd_adm_done,
		.priv		= iu,
	};

	guard(rcu)();
	if (iu->sess && READ_ONCE(iu->sess->losses) != iu->losses)
		return -ECONNABORTED;
	return rtrs_clt_request(iu->rtrs, &req);
}

static void rnbd_adm_to_close(struct rnbd_adm_iu *iu, u32 device_id)
{
	rnbd_close_encode(&iu->msg.close, device_id);
	iu->msg_len = sizeof(iu->msg.close);
	iu->rsp_len = 0;
}

/*
 * The answer to a request that nobody waits for any more. A device that has been
 * opened after all is closed again, with the same IU and chunk; but not if it is
 * still mapped, since then it is being opened once more, or will be.
 */
static void rnbd_adm_late(struct rnbd_adm_iu *iu)
{
	struct rnbd_dev_limits lim;

	if (!iu->err && !iu->keep &&
	    iu->msg.hdr.type == cpu_to_le16(RNBD_MSG_OPEN) &&
	    !rnbd_open_rsp_decode(&lim, &iu->rsp, iu->rsp_len)) {
		rnbd_adm_to_close(iu, lim.device_id);
		if (!rnbd_adm_send(iu))
			return;
	}
	rnbd_adm_free(iu);
}

static void rnbd_adm_done(void *priv, int err, struct io_comp_batch *iob)
{
	struct rnbd_adm_iu *iu = priv;

	iu->err = err;
	if (atomic_cmpxchg(&iu->state, RNBD_ADM_AWAITED,
			   RNBD_ADM_ANSWERED) == RNBD_ADM_AWAITED)
		complete(&iu->done);
	else
		rnbd_adm_late(iu);
}

/* Returns false if it has not been answered, and is no longer the caller's. */
static bool rnbd_adm_wait(struct rnbd_adm_iu *iu, unsigned long timeout)
{
	if (wait_for_completion_timeout(&iu->done, timeout))
		return true;
	if (atomic_cmpxchg(&iu->state, RNBD_ADM_AWAITED,
			   RNBD_ADM_ABANDONED) == RNBD_ADM_AWAITED)
		return false;
	wait_for_completion(&iu->done);
	return true;
}

/* Send, wait, copy the answer to @rsp, and free @iu, whatever comes of it. */
static int rnbd_adm_call(struct rnbd_adm_iu *iu, unsigned long timeout,
			 void *rsp)
{
	unsigned int tries = 100;
	int err;

	while ((err = rnbd_adm_send(iu)) == -ENOMEM && --tries)
		msleep(20);
	if (!err) {
		if (!rnbd_adm_wait(iu, timeout))
			return -ETIMEDOUT;
		err = iu->err;
		if (!err && iu->rsp_len)
			memcpy(rsp, &iu->rsp, iu->rsp_len);
	}
	rnbd_adm_free(iu);
	return err;
}

static struct rnbd_adm_iu *rnbd_adm_sess_info(struct rtrs_clt_sess *rtrs)
{
	struct rnbd_adm_iu *iu;

	iu = rnbd_adm_alloc(rtrs, sizeof(iu->msg.info), sizeof(iu->rsp.info));
	if (!IS_ERR(iu))
		rnbd_sess_info_encode(&iu->msg.info, RNBD_MSG_SESS_INFO,
				      RNBD_PROTO_VER_MAJOR);
	return iu;
}

/**
 * rnbd_clt_sess_info() - tell the server our version
 * @rtrs: the connection
 *
 * Context: process, sleeps for up to a minute.
 * Return: the smaller of both major versions, or a negative errno.
 */
int rnbd_clt_sess_info(struct rtrs_clt_sess *rtrs)
{
	struct rnbd_adm_iu *iu = rnbd_adm_sess_info(rtrs);
	struct rnbd_msg_sess_info rsp;
	int ret;

	if (IS_ERR(iu))
		return PTR_ERR(iu);
	ret = rnbd_adm_call(iu, RNBD_CLT_OPEN_TIMEOUT, &rsp);
	if (ret)
		return ret;
	ret = rnbd_sess_info_decode(&rsp, sizeof(rsp), RNBD_MSG_SESS_INFO_RSP);
	return min(ret, RNBD_PROTO_VER_MAJOR);
}

/**
 * rnbd_clt_sess_info_nowait() - tell the server our version once more
 * @rtrs: the connection, after it was lost
 *
 * The server may have forgotten it. Its answer is of no interest: what was
 * agreed on holds, and a server without it takes the session for an older one.
 *
 * Context: process, sleeps for a chunk, not for the answer.
 */
void rnbd_clt_sess_info_nowait(struct rtrs_clt_sess *rtrs)
{
	struct rnbd_adm_iu *iu = rnbd_adm_sess_info(rtrs);

	if (IS_ERR(iu))
		return;
	atomic_set(&iu->state, RNBD_ADM_ABANDONED);
	if (rnbd_adm_send(iu))
		rnbd_adm_free(iu);
}

/**
 * rnbd_clt_send_open() - open a device on the server
 * @dev: the device
 * @losses: the session's, in the life in which it is to be opened
 * @again: it is mapped, and has been open before
 * @rsp: filled on success, as the server said it: check before use
 *
 * Context: process, sleeps for up to a minute.
 * Return: 0, the server's errno, -ETIMEDOUT, or -ECONNABORTED if the session was
 * lost: then nothing is open in its next life.
 */
int rnbd_clt_send_open(struct rnbd_clt_dev *dev, unsigned int losses,
		       bool again, struct rnbd_dev_limits *rsp)
{
	struct rnbd_msg_open_rsp msg;
	struct rnbd_adm_iu *iu;
	int err;

	iu = rnbd_adm_alloc_for(dev, losses, sizeof(iu->msg.open),
				sizeof(iu->rsp.open));
	if (IS_ERR(iu))
		return PTR_ERR(iu);
	iu->keep = again;
	rnbd_open_encode(&iu->msg.open, dev->access_mode, dev->path);
	err = rnbd_adm_call(iu, RNBD_CLT_OPEN_TIMEOUT, &msg);
	if (err)
		return err;
	return rnbd_open_rsp_decode(rsp, &msg, sizeof(msg));
}

/**
 * rnbd_clt_send_close() - close a device on the server
 * @dev: the device
 * @losses: the session's, in the life in which it was opened
 * @device_id: as the server said then
 *
 * Context: process, sleeps for up to a minute.
 * Return: 0, the server's errno, -ETIMEDOUT, or -ECONNABORTED if the session was
 * lost, and the id with it.
 */
int rnbd_clt_send_close(struct rnbd_clt_dev *dev, unsigned int losses,
			u32 device_id)
{
	struct rnbd_adm_iu *iu;

	iu = rnbd_adm_alloc_for(dev, losses, sizeof(iu->msg.close), 0);
	if (IS_ERR(iu))
		return PTR_ERR(iu);
	rnbd_adm_to_close(iu, device_id);
	return rnbd_adm_call(iu, RNBD_CLT_CLOSE_TIMEOUT, NULL);
}
