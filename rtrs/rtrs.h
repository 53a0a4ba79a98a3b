/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RTRS: reliable, multipath request transport over RDMA. The API for its users.
 *
 * A server exports a number of memory chunks to each session. A client writes a
 * request into a chunk it has the right to use (its permit), and the server
 * answers it when its user has carried it out. What a request means is the
 * business of the users: RTRS moves a short user message, and data in one
 * direction.
 *
 * A session has one or more paths. Requests are spread over the connected ones,
 * and when a path dies its requests are sent again on another; so a request may
 * be carried out more than once, and must bear that. Only when no path is left
 * does a request fail because of the network.
 *
 * The client side is in rtrs-client.ko, the server side in rtrs-server.ko.
 */
#ifndef RTRS_H
#define RTRS_H

#include <linux/dma-direction.h>
#include <linux/scatterlist.h>
#include <linux/socket.h>
#include <linux/types.h>
#include <linux/uuid.h>
#include <linux/workqueue.h>

/**
 * struct rtrs_path_addr - the two ends of a path, as seen by a client
 * @src: source address with port 0; sa_family is AF_UNSPEC to let routing choose
 * @dst: destination address and port
 *
 * AF_INET, AF_INET6, or AF_IB for GIDs.
 */
struct rtrs_path_addr {
	struct sockaddr_storage src;
	struct sockaddr_storage dst;
};

/* Longest text of an address, "gid:" and NUL included. */
#define RTRS_ADDR_STRLEN 56

/**
 * rtrs_path_addr_parse() - read a destination, with or without a source
 * @str: NUL terminated text
 * @port: port of the destination, CPU byte order
 * @addr: filled on success
 *
 * That is a destination alone, source and destination with an at sign between
 * them, or with a comma. An address is ``ip:<IPv4>``, ``ip:<IPv6>`` or ``gid:<GID>``.
 *
 * Context: any.
 * Return: 0; -EPROTONOSUPPORT for a destination without ``ip:`` or ``gid:``;
 * -EINVAL for anything else that cannot be read, a source of another family
 * than the destination included.
 */
int rtrs_path_addr_parse(const char *str, u16 port,
			 struct rtrs_path_addr *addr);

/**
 * rtrs_addr_to_str() - write an address as text, ``ip:10.0.0.1``
 * @addr: AF_INET, AF_INET6 or AF_IB
 * @buf: where to
 * @size: bytes in @buf; %RTRS_ADDR_STRLEN is enough
 *
 * Context: any.
 * Return: length of the text.
 */
int rtrs_addr_to_str(const struct sockaddr_storage *addr, char *buf,
		     size_t size);

/* ------------------------------------------------------------- client ---- */

struct io_comp_batch;
struct rtrs_clt_sess;

/**
 * enum rtrs_clt_link_ev - what happened to a client's session
 * @RTRS_CLT_LINK_EV_CONNECTED: a path is up again after there was none
 * @RTRS_CLT_LINK_EV_DISCONNECTED: no path is up any more
 */
enum rtrs_clt_link_ev {
	RTRS_CLT_LINK_EV_CONNECTED,
	RTRS_CLT_LINK_EV_DISCONNECTED,
};

/**
 * struct rtrs_clt_ops - what a client's user has to provide
 * @link_ev: the session was lost or is back. Called from process context, one
 *	call at a time a session, in the order in which things happened; not for
 *	the first connect in rtrs_clt_open() and not after rtrs_clt_close() has
 *	returned. It may sleep and send requests, but holds up the recovery of
 *	the session while it does.
 * @event: the server's user has called rtrs_srv_send_event() with these 28 bits,
 *	once or more often. In softirq; must not sleep. From the first connect in
 *	rtrs_clt_open() on, and not after rtrs_clt_close() has returned.
 */
struct rtrs_clt_ops {
	void (*link_ev)(void *priv, enum rtrs_clt_link_ev ev);
	void (*event)(void *priv, u32 payload);
};

/* A chunk for the user, and one for administrative requests; a 16-bit number. */
#define RTRS_CLT_MIN_DEPTH	2
#define RTRS_CLT_MAX_DEPTH	U16_MAX

/**
 * struct rtrs_clt_params - how to open a session
 * @sessname: its name, 1..254 bytes without '/' and '.'; copied
 * @paths: its paths, all of which have to connect; copied
 * @path_cnt: number of @paths, at least 1
 * @nr_poll_queues: number of queues that are polled
 * @queue_depth: number of chunks to ask for, %RTRS_CLT_MIN_DEPTH ..
 *	%RTRS_CLT_MAX_DEPTH; 0: as many as the server has for a session
 * @max_msg_len: the longest user message, bytes
 */
struct rtrs_clt_params {
	const char			*sessname;
	const struct rtrs_path_addr	*paths;
	unsigned int			path_cnt;
	unsigned int			nr_poll_queues;
	unsigned int			queue_depth;
	u16				max_msg_len;
};

/**
 * struct rtrs_clt_attrs - what an open session can do
 * @queue_depth: number of chunks that it uses: those that the server has for it, but
 *	no more than were asked for
 * @io_depth: chunks 0 .. @io_depth - 1 belong to the user, who sees to it that
 *	each carries one request at a time; RTRS hands out the others, see
 *	rtrs_clt_get_permit()
 * @max_io_size: longest data of a request, bytes
 * @max_segments: most scatterlist entries of a request; all but the first start,
 *	and all but the last end, at a multiple of 4 KiB
 * @nr_queues: interrupt driven queues
 * @nr_poll_queues: polled queues; they follow the interrupt driven ones
 */
struct rtrs_clt_attrs {
	unsigned int	queue_depth;
	unsigned int	io_depth;
	u32		max_io_size;
	unsigned int	max_segments;
	unsigned int	nr_queues;
	unsigned int	nr_poll_queues;
};

/* rtrs_clt_req.queue of a request on the service connection. */
#define RTRS_CLT_SERVICE_QUEUE	UINT_MAX

/**
 * struct rtrs_clt_req - a request
 * @chunk: the permit: number of a chunk that is the caller's and not in use
 * @queue: index of the queue it travels on, or %RTRS_CLT_SERVICE_QUEUE; I/O must
 *	not use the latter
 * @dir: DMA_TO_DEVICE for a write, DMA_FROM_DEVICE for a read; a request without
 *	data may be either
 * @msg: the user message; RTRS reads it until @done is called
 * @msg_len: its length, bytes
 * @sg: the data, or NULL; RTRS maps it and owns it until @done is called
 * @sg_cnt: entries in @sg, 0 if there is no data
 * @data_len: bytes in @sg
 * @done: called once with @priv, and 0 or the negative errno of the server or of
 *	RTRS (-ECONNABORTED: no path left; -ENOBUFS: its path has failed, and its data
 *	could not be mapped for another one yet; a server's are never these). @iob is
 *	NULL, or a batch: what @done puts into it is handed to its complete() soon, and
 *	before rtrs_clt_close() returns. In softirq or process context; must not sleep.
 *	The permit is the caller's again from then on, and a new request may be sent
 *	with it from inside.
 * @priv: for @done
 * @more: another request follows at once on @queue, or rtrs_clt_flush() for it: this
 *	one may wait for that, so that many are sent with one doorbell
 * @give_up: NULL, or what says that the request is not to be sent again if its path
 *	fails: it is done with -ETIMEDOUT then; RTRS reads it until @done is called
 *
 * The structure itself is only read during rtrs_clt_request().
 */
struct rtrs_clt_req {
	u16			chunk;
	unsigned int		queue;
	enum dma_data_direction	dir;
	const void		*msg;
	size_t			msg_len;
	struct scatterlist	*sg;
	unsigned int		sg_cnt;
	size_t			data_len;
	void			(*done)(void *priv, int err,
					struct io_comp_batch *iob);
	void			*priv;
	bool			more;
	const bool		*give_up;
};

/**
 * rtrs_clt_open() - open a session and connect all its paths
 * @params: name, paths and sizes
 * @ops: the user's callbacks; must outlive the session
 * @priv: for the callbacks
 *
 * Context: process, sleeps for up to a minute a path. Interruptible by nothing.
 * Return: the session, or an ERR_PTR: -EINVAL for bad parameters, -EEXIST for a
 * name that is in use, -ECONNRESET if the server refused, -EOPNOTSUPP for a
 * device that cannot carry RTRS, or what else the connection failed with.
 */
struct rtrs_clt_sess *rtrs_clt_open(const struct rtrs_clt_params *params,
				    const struct rtrs_clt_ops *ops,
				    void *priv);

/**
 * rtrs_clt_close() - close a session
 * @sess: the session, gone afterwards
 *
 * Requests that are still under way are done with -ECONNABORTED before this
 * returns, and no callback is called after it has.
 *
 * Context: process, sleeps. Not from a callback of the session.
 */
void rtrs_clt_close(struct rtrs_clt_sess *sess);

/**
 * rtrs_clt_abort() - disconnect all paths of a session, now
 * @sess: the session
 *
 * Ends all requests under way with -ECONNABORTED, and fails new ones.
 * rtrs_clt_close() is still needed. Calling it again does no harm.
 *
 * Context: process, sleeps. Not from a callback of the session.
 */
void rtrs_clt_abort(struct rtrs_clt_sess *sess);

/**
 * rtrs_clt_query() - what can this session do?
 * @sess: the session
 * @attrs: filled
 *
 * The values do not change while the session is open.
 *
 * Context: any.
 */
void rtrs_clt_query(struct rtrs_clt_sess *sess, struct rtrs_clt_attrs *attrs);

/**
 * rtrs_clt_boot_id() - which life of the server is it?
 * @sess: the session
 * @id: filled: made by the server when it was loaded; zeroes if it does not say.
 *	It changes only while no path is up: between the two link events.
 *
 * Context: process.
 */
void rtrs_clt_boot_id(struct rtrs_clt_sess *sess, uuid_t *id);

/**
 * rtrs_clt_connected() - is any path of the session up?
 * @sess: the session
 *
 * Context: any.
 * Return: true if at least one was at the time of the call.
 */
bool rtrs_clt_connected(struct rtrs_clt_sess *sess);

/**
 * rtrs_clt_get_permit() - wait for a chunk for an administrative request
 * @sess: the session
 *
 * Context: process, sleeps for up to 30 seconds.
 * Return: a chunk number, or -ETIMEDOUT.
 */
int rtrs_clt_get_permit(struct rtrs_clt_sess *sess);

/**
 * rtrs_clt_put_permit() - give back what rtrs_clt_get_permit() gave
 * @sess: the session
 * @chunk: the chunk number; no request is under way on it
 *
 * Context: any.
 */
void rtrs_clt_put_permit(struct rtrs_clt_sess *sess, u16 chunk);

/**
 * rtrs_clt_request() - send a request
 * @sess: the session
 * @req: the request
 *
 * Context: any but hard interrupt; does not sleep.
 * Return: 0, and @req->done will be called, or has been; otherwise it will not
 * be, and the errno says why: -ECONNABORTED if no path is up, -EMSGSIZE if the
 * request does not fit a chunk, -ENOMEM if the data could not be mapped right
 * now, -EINVAL if it is in pieces that cannot be registered, or if the chunk
 * carries a request already.
 */
int rtrs_clt_request(struct rtrs_clt_sess *sess,
		     const struct rtrs_clt_req *req);

/**
 * rtrs_clt_flush() - send what waits for another request
 * @sess: the session
 * @queue: where requests with @more were sent, and no other after them
 *
 * Context: any but hard interrupt; does not sleep.
 */
void rtrs_clt_flush(struct rtrs_clt_sess *sess, unsigned int queue);

/**
 * rtrs_clt_expire() - a request is not answered in time
 * @sess: the session
 * @chunk: its chunk; the caller sees to it that no other request gets it
 * @give_up: end its path even if there is no other; &rtrs_clt_req.give_up says so
 *	too, if the request is not to be sent again
 *
 * Ends the path that the request is on, so that it is sent again on another, or
 * done: as always, not before the path it is on has been closed. Nothing happens
 * to a request that has just been answered, or is between two paths.
 *
 * Context: any.
 */
void rtrs_clt_expire(struct rtrs_clt_sess *sess, u16 chunk, bool give_up);

/**
 * rtrs_clt_poll() - look for answers on a polled queue
 * @sess: the session
 * @queue: index of a polled queue
 * @iob: the caller's batch for requests that are done, or NULL
 *
 * Context: process or softirq; does not sleep. Safe against concurrent callers
 * and against paths that come and go.
 * Return: number of completions found.
 */
int rtrs_clt_poll(struct rtrs_clt_sess *sess, unsigned int queue,
		  struct io_comp_batch *iob);

/* ------------------------------------------------------------- server ---- */

struct rtrs_srv_ctx;
struct rtrs_srv_sess;
struct rtrs_srv_op;

/**
 * struct rtrs_srv_req - a client's request, as handed to the server's user
 * @chunk: number of the chunk it came in, by which the client knows it, too
 * @dir: DMA_TO_DEVICE: the client wrote @data; DMA_FROM_DEVICE: the user is to
 *	fill it
 * @msg: a private copy of the user message, aligned for any type
 * @msg_len: bytes in @msg: what the client sent, cut to the user's max_msg_len
 * @data: the data, in a compound page of its own from its start on, or NULL. Of a
 *	read it may hold old memory: only what the user filled is to be answered
 * @data_len: bytes in @data; of a read, what the client wants at most
 *
 * The structure is valid during the call, what it points to until the request
 * has been answered. If the module's always_invalidate is set the client cannot
 * change @data any more once carry_out() is called; until then it can, and until
 * then nobody but the client has any business with it. @msg is safe throughout.
 */
struct rtrs_srv_req {
	u16			chunk;
	enum dma_data_direction	dir;
	const void		*msg;
	size_t			msg_len;
	void			*data;
	size_t			data_len;
};

/**
 * struct rtrs_srv_ops - what a server's user has to provide
 * @max_msg_len: the longest user message it knows, bytes
 * @op_size: bytes that it needs for each request, see rtrs_srv_op_priv()
 * @open_sess: a session has its first established path; returns 0 and sets
 *	``*priv``, or a negative errno to refuse the session. Process context.
 * @close_sess: the session's last established path has ended. No request() runs
 *	or will run with this priv; requests that were not answered yet are
 *	orphans, and are still to be answered. Process context; must not wait for
 *	them.
 * @request: look at a request, and return 0 to take it on, or a negative errno to
 *	answer it with. In softirq or under RCU: must not sleep. @service: it came
 *	over the service connection, where heartbeats do. Called in the order in
 *	which requests arrive, as far as there is one, and before a client can do
 *	anything that relies on the request having been given up.
 * @carry_out: the data of a request that was taken on is there: do what the request
 *	says, and answer it once, now or later, with rtrs_srv_respond() or
 *	rtrs_srv_answers_add(); @err is not 0 if it must not be done any more, only be
 *	answered. In softirq or process context: must not sleep. What does has
 *	rtrs_srv_queue_work().
 */
struct rtrs_srv_ops {
	size_t max_msg_len;
	size_t op_size;
	int (*open_sess)(struct rtrs_srv_sess *sess, void **priv);
	void (*close_sess)(void *priv);
	int (*request)(void *priv, struct rtrs_srv_op *op,
		       const struct rtrs_srv_req *req, bool service);
	void (*carry_out)(struct rtrs_srv_op *op,
			  const struct rtrs_srv_req *req, int err);
};

/**
 * rtrs_srv_open() - start listening
 * @ops: the user's callbacks; must outlive the context
 * @port: port for IP, and service id for InfiniBand, CPU byte order
 *
 * Context: process, sleeps.
 * Return: the context, or an ERR_PTR.
 */
struct rtrs_srv_ctx *rtrs_srv_open(const struct rtrs_srv_ops *ops, u16 port);

/**
 * rtrs_srv_close() - stop listening and end all sessions
 * @ctx: the context, gone afterwards
 *
 * Waits until the last request has been answered, orphans included, and the last
 * callback has returned.
 *
 * Context: process, sleeps.
 */
void rtrs_srv_close(struct rtrs_srv_ctx *ctx);

/**
 * rtrs_srv_respond() - answer a request
 * @op: the request; the callee's from now on, its message and data included
 * @err: 0 or a negative errno
 * @len: bytes of a read's data that were filled, and no more are sent; 0 for a
 *	write
 *
 * Context: any but hard interrupt, also inside of the carry_out() callback; does
 * not sleep.
 */
void rtrs_srv_respond(struct rtrs_srv_op *op, int err, size_t len);

/**
 * struct rtrs_srv_answers - answers that are given together
 * @first: the request that is answered first
 * @last: the last one so far
 * @nr: how many they are
 *
 * The caller's, zeroed to begin with. Clients wait for them, so they are not to be kept
 * for longer than it takes to find the next.
 */
struct rtrs_srv_answers {
	struct rtrs_srv_op	*first;
	struct rtrs_srv_op	*last;
	unsigned int		nr;
};

/**
 * rtrs_srv_answers_add() - answer a request together with others
 * @answers: those others
 * @op: the request; the callee's from now on, its message and data included
 * @err: as of rtrs_srv_respond()
 * @len: as of rtrs_srv_respond()
 *
 * Context: any.
 */
void rtrs_srv_answers_add(struct rtrs_srv_answers *answers,
			  struct rtrs_srv_op *op, int err, size_t len);

/**
 * rtrs_srv_answers_give() - answer all requests of a list
 * @answers: the list, void afterwards
 *
 * Those that came on one connection and stand next to each other are posted with one
 * doorbell, some at a time, unless more than a message is to be sent for one of them.
 *
 * Context: as of rtrs_srv_respond().
 */
void rtrs_srv_answers_give(struct rtrs_srv_answers *answers);

/**
 * rtrs_srv_op_priv() - the user's memory for a request
 * @op: the request
 *
 * It is there for as long as the path is, so it is used again by the next request
 * with the same chunk; zeroed only at first. Aligned to a cache line.
 *
 * Context: any, from request() until the request is answered.
 * Return: &rtrs_srv_ops.op_size bytes.
 */
void *rtrs_srv_op_priv(struct rtrs_srv_op *op);

/**
 * rtrs_srv_carry_on() - have carry_out() called once more
 * @op: a request for which carry_out() has returned, or is about to, and which is
 *	not answered
 *
 * Context: any.
 */
void rtrs_srv_carry_on(struct rtrs_srv_op *op);

/**
 * rtrs_srv_queue_work() - do what may block for requests of a session
 * @op: a request that is not answered
 * @work: what does it
 *
 * On a workqueue of the session's own: on this CPU, or, where one request comes after the
 * other and the device is software, wherever the scheduler likes. As many work items as
 * the session has chunks may run there at once, and block for as long as they like. It
 * makes progress during memory reclaim, and waits for what runs there before the session
 * goes. Since these are two, @work may begin again while it still runs, and flush_work()
 * would miss that: its function has to hold what it needs.
 *
 * Context: any.
 * Return: false if @work was queued already, and has not begun.
 */
bool rtrs_srv_queue_work(struct rtrs_srv_op *op, struct work_struct *work);

/**
 * rtrs_srv_send_event() - say something to the client's user
 * @sess: the session
 * @payload: 28 bits
 *
 * Over all paths that are up, so it can arrive more than once. Nobody says whether
 * it does at all.
 *
 * Context: any but hard interrupt, from open_sess() until close_sess() has returned.
 * Return: 0; -EOPNOTSUPP if the client does not know of events, -ENOTCONN if no
 * path is up, -EBUSY if many are on their way.
 */
int rtrs_srv_send_event(struct rtrs_srv_sess *sess, u32 payload);

/**
 * rtrs_srv_sessname() - name of a session
 * @sess: the session
 *
 * Context: from open_sess() until close_sess() has returned.
 * Return: the name the client gave.
 */
const char *rtrs_srv_sessname(struct rtrs_srv_sess *sess);

#endif /* RTRS_H */
