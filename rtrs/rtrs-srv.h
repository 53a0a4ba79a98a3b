/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RTRS server: what its files share.
 *
 * A context (an open port) has sessions, a session has paths, a path has
 * connections and, once it is up, one operation a chunk. Each is owned by the
 * one before, and ends with it at the latest; but an operation that its user
 * has not answered when its path ends, an orphan, keeps the memory of the path,
 * and with it session and context, until it is.
 *
 * Locks, outermost first:
 *
 * - rtrs_srv_mutex: who exists: sessions, paths, connections of a path that is
 *   being set up, names in sysfs. Taken with a connection manager id's handler
 *   lock held, so nothing that waits for such a handler is done under it.
 * - rtrs_srv_sess.mutex: the user's open_sess() and close_sess(). Never held
 *   together with rtrs_srv_mutex, nor where a request may wait for it.
 * - rtrs_srv_slot.lock: states of the operations on one chunk number. Interrupts
 *   are off; nothing but the queueing of work happens under it.
 *
 * The state of a path is changed with cmpxchg, and read under rcu_read_lock()
 * by whoever is about to post to one of its queue pairs: after a grace period in
 * any other state than CONNECTED nobody does.
 */
#ifndef RTRS_SRV_H
#define RTRS_SRV_H

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "rtrs-pri.h"

struct rtrs_srv_path;

/**
 * struct rtrs_srv_conf - the module's parameters, checked
 * @queue_depth: chunks of a session that does not ask for less
 * @chunk_size: bytes of a chunk, a power of two
 * @max_hdr_size: bytes of these that are left to messages
 * @always_invalidate: no client can change data that the user works on
 * @boot_id: made when the module was loaded
 *
 * Constant once the module is loaded.
 */
struct rtrs_srv_conf {
	u32	queue_depth;
	u32	chunk_size;
	u32	max_hdr_size;
	bool	always_invalidate;
	uuid_t	boot_id;
};

/**
 * struct rtrs_srv_ctx - an open port
 * @ops: the user's callbacks
 * @ip_id: listens on all IPv4 and IPv6 addresses
 * @ib_id: listens on all GIDs, NULL where that is not possible
 * @refs: one for who opened it, one a session
 * @done: @refs is 0
 *
 * Belongs to who opened it. All but @refs is constant.
 */
struct rtrs_srv_ctx {
	const struct rtrs_srv_ops	*ops;
	struct rdma_cm_id		*ip_id;
	struct rdma_cm_id		*ib_id;
	refcount_t			refs;
	struct completion		done;
};

/**
 * struct rtrs_srv_slot - the operations on one chunk number, over all paths
 * @lock: protects this, and the state of these operations
 * @first: of those of the service connections, the one that is being carried out;
 *	those behind it, one a path at most, came on other paths and wait for it
 * @last: the last that waits; valid if @first is
 *
 * Belongs to the session. A slot is written by the CPUs that work on its chunk
 * number and by no others, so it has a cache line of its own.
 */
struct rtrs_srv_slot {
	/* this, and the state of these operations */
	spinlock_t		lock;
	struct rtrs_srv_op	*first;
	struct rtrs_srv_op	*last;
} ____cacheline_aligned_in_smp;

/**
 * struct rtrs_srv_sess - a session: the paths of one client with one paths_uuid
 * @slots: one a chunk number; from the first INFO_REQ on, constant then
 * @io_wq: carries out its operations, each of which may block; so it is its own,
 *	and can run them all at once. From the first INFO_REQ on
 * @lone_wq: likewise, where one comes after the other, see rtrs_srv_queue_work(); NULL
 *	if the first path's device has interrupts, or for want of memory
 * @ctx: the port it came in on; constant
 * @paths_uuid: constant
 * @queue_depth: number of chunks; constant
 * @ref: one a path; the last frees the session
 * @entry: in the list of sessions while there is a path in @paths
 * @paths: the paths, until they are closed
 * @path_cnt: length of @paths
 * @named: @name is the session's name, and @dev and @paths_kobj are there
 * @name: what the client called it; "-" as long as it did not
 * @dev: in sysfs
 * @paths_kobj: directory of the paths in @dev
 * @mutex: protects what follows
 * @established: paths that the user may get requests from
 * @priv: the user's; constant while @established is not 0
 *
 * Belongs to its paths. @entry to @paths_kobj are protected by rtrs_srv_mutex;
 * @paths is read under RCU, too.
 */
struct rtrs_srv_sess {
	struct rtrs_srv_slot	*slots;
	struct workqueue_struct	*io_wq;
	struct workqueue_struct	*lone_wq;
	struct rtrs_srv_ctx	*ctx;
	uuid_t			paths_uuid;
	u32			queue_depth;
	struct kref		ref;

	struct list_head	entry;
	struct list_head	paths;
	unsigned int		path_cnt;
	bool			named;
	char			name[RTRS_SESSNAME_LEN];
	struct device		*dev;
	struct kobject		*paths_kobj;

	/* open_sess() and close_sess() of the user, and what follows */
	struct mutex		mutex;
	unsigned int		established;
	void			*priv;
};

/**
 * enum rtrs_srv_path_state - life of a path
 * @RTRS_SRV_PATH_CONNECTING: until INFO_RSP is sent
 * @RTRS_SRV_PATH_CONNECTED: carries requests
 * @RTRS_SRV_PATH_CLOSING: its work item is taking it down
 * @RTRS_SRV_PATH_CLOSED: has no connection any more, nor is it in a session
 */
enum rtrs_srv_path_state {
	RTRS_SRV_PATH_CONNECTING,
	RTRS_SRV_PATH_CONNECTED,
	RTRS_SRV_PATH_CLOSING,
	RTRS_SRV_PATH_CLOSED,
};

/**
 * struct rtrs_srv_stats - what a path has carried, a CPU
 * @reads: read requests
 * @read_bytes: their data and user messages
 * @writes: write requests
 * @write_bytes: their data and user messages
 */
struct rtrs_srv_stats {
	u64	reads;
	u64	read_bytes;
	u64	writes;
	u64	write_bytes;
};

/**
 * enum rtrs_srv_op_state - what an operation is doing
 * @RTRS_SRV_OP_IDLE: the chunk is the client's
 * @RTRS_SRV_OP_WAITING: behind an operation of another path, in the slot
 * @RTRS_SRV_OP_BUSY: being looked at, its chunk being invalidated, or in the hands
 *	of the user
 * @RTRS_SRV_OP_ANSWERED: the answer is being posted, or its completion waited for
 */
enum rtrs_srv_op_state {
	RTRS_SRV_OP_IDLE,
	RTRS_SRV_OP_WAITING,
	RTRS_SRV_OP_BUSY,
	RTRS_SRV_OP_ANSWERED,
};

/* What max_chunk_size can be at most. */
#define RTRS_SRV_MAX_CHUNK	SZ_4M

/* Sizes of buffers: a page, four of them, and so on up to RTRS_SRV_MAX_CHUNK. */
#define RTRS_SRV_BUF_SIZES	6

/**
 * struct rtrs_srv_buf - memory for data that no key opens
 * @mem: the memory, or NULL
 * @dma: its address for the device
 */
struct rtrs_srv_buf {
	void	*mem;
	u64	dma;
};

/**
 * struct rtrs_srv_op - the request on one chunk of one path
 * @state: what it is doing
 * @next: behind it in the slot
 * @pending_con: a request came on this connection while @state was ANSWERED: the
 *	client had its answer sooner than we had done with it
 * @pending_off: that request's @off
 * @con: connection that the request came on, and the answer goes to
 * @off: offset of the RTRS message in the chunk
 * @usr_off: offset of the user message
 * @data_len: bytes of data
 * @dir: direction of the data
 * @invalidate: the chunk's region has to be invalidated first
 * @invalidated: and has been: it has to be registered again
 * @in_place: the data is in the chunk
 * @copied: the data of a write was in the chunk, and is in @buf
 * @rd: of a read, what the client asked for; else zeroes
 * @rsp_len: bytes of data that the answer brings
 * @then: the next in a list of answers
 * @rsp: the answer's message
 * @rsp_sge: what that brings
 * @slotted: it came on the service connection, and is in its slot
 * @known: the user has been asked whether it takes it on
 * @woken: it had to wait, and @work is to go on with it
 * @sq_pos: of its last signalled work request in the send queue
 * @orphan: the path is gone, and what is left of it is the operation's to free
 * @refused: it is to be answered with @err, and nothing else
 * @err: why it cannot be carried out
 * @cqe: of what was posted for this operation last: invalidation or answer
 * @work: has the user carry it out
 * @early_work: begins with a request that came early, in softirq; so it is its own
 * @path: constant
 * @nr: the chunk's number; constant
 * @chunk: the chunk; constant until the path has ended
 * @chunk_dma: its address for the device
 * @mr: its region if it has one of its own, else NULL
 * @msg: for a copy of the user message
 * @priv: the user's
 * @buf: memory for data that no key opens, of those in @bufs, see rtrs_srv_op_buf()
 * @buf_dma: its address for the device
 * @buf_missed: how often one that was not there was asked for in vain
 * @bufs: one of each size that was needed; constant once they are there
 *
 * Belongs to the path. @state to @pending_off are protected by the slot's lock, but
 * that from BUSY to ANSWERED an operation that is not @slotted moves without it;
 * @con to @off too until the operation is BUSY. From then until it is ANSWERED,
 * everything from @con on belongs to whoever works on it, one at a time. Then @err,
 * @rsp_len, @then, @rsp and @rsp_sge belong to whoever posts the answer, until that is
 * posted; @sq_pos and @cqe to its completion, if that is waited for.
 * The memory, the region and the message buffer are the path's, but what is left of an
 * orphan's memory is its own.
 */
struct rtrs_srv_op {
	enum rtrs_srv_op_state	state;
	u32			pending_off;
	struct rtrs_srv_op	*next;
	struct rtrs_srv_con	*pending_con;

	struct rtrs_srv_con	*con;
	u32			off;
	u32			usr_off;
	u32			data_len;
	enum dma_data_direction	dir;
	bool			invalidate;
	bool			invalidated;
	bool			in_place;
	bool			copied;
	bool			slotted;
	bool			known;
	bool			woken;
	bool			orphan;
	bool			refused;
	u8			buf_missed;
	u16			nr;
	int			err;
	u32			sq_pos;
	u32			rsp_len;
	struct rtrs_read_req	rd;
	struct rtrs_srv_op	*then;
	struct ib_cqe		cqe;
	struct ib_rdma_wr	rsp;
	struct ib_sge		rsp_sge;
	struct work_struct	work;
	struct work_struct	early_work;

	struct rtrs_srv_path	*path;
	void			*chunk;
	u64			chunk_dma;
	struct ib_mr		*mr;
	void			*msg;
	void			*priv;
	void			*buf;
	u64			buf_dma;
	struct rtrs_srv_buf	bufs[RTRS_SRV_BUF_SIZES];
} ____cacheline_aligned_in_smp;

/**
 * struct rtrs_srv_con - a connection of a path
 * @c: queue pair, completion queue and connection manager id
 * @path: the path it belongs to; constant
 * @recv_cqe: of all its receives, but the one for INFO_REQ
 * @wr_cqe: of sends whose success is of no interest
 * @sq_lock: one who posts at a time, so that the order of sends is known; innermost
 * @quiet: answers that nobody waits for, since the last signalled work request
 * @max_quiet: if no more entries than that are taken with it, an answer may be one of
 *	those
 * @sq_head: entries of the send queue that have been used; wraps
 * @sq_last: up to here is the last signalled one
 * @sq_tail: up to here they are known to be over
 * @seen_tail: when the heartbeat last looked
 * @stuck: how often it has found that nothing was over, though something should be
 * @lone: the last request was the only one under way; a guess, under no lock
 *
 * Belongs to the path; freed when its connection manager id is gone.
 *
 * The work requests of an answer that nobody waits for keep their entries in the send
 * queue until a signalled one behind them has completed, while the operation is used
 * again at once. So such an answer is posted only while no more than @max_quiet
 * entries are taken; after the last of them, each operation has in the queue what
 * rtrs_srv_op_sends() says at most, and the queue has room for the sum. @sq_head,
 * @sq_last and @quiet change under @sq_lock, with the post that they count; @seen_tail
 * and @stuck belong to the heartbeat.
 */
struct rtrs_srv_con {
	struct rtrs_con		c;
	struct rtrs_srv_path	*path;
	struct ib_cqe		recv_cqe;
	struct ib_cqe		wr_cqe;
	spinlock_t		sq_lock ____cacheline_aligned_in_smp; /* sends */
	unsigned int		quiet;
	unsigned int		max_quiet;
	u32			sq_head;
	u32			sq_last;
	u32			sq_tail;
	u32			seen_tail;
	unsigned int		stuck;
	bool			lone;
};

/**
 * struct rtrs_srv_path - one path of a session
 * @state: &enum rtrs_srv_path_state, see rtrs_srv_path_set_state()
 * @queue_depth: chunks
 * @chunk_bits: bits of a chunk number in an immediate
 * @new_rkey: answers bring the chunk's rkey: the client knows no rolling keys
 * @roll: answers can say that the chunk's rkey has rolled
 * @dev: the device of all its connections; constant
 * @pd: protection domain of its own: no key of any other path opens its memory
 * @ops: one a chunk; from INFO_REQ on
 * @slots: those of the session; from INFO_REQ on
 * @stats: per CPU
 * @user: the user's callbacks; constant
 * @priv: for these; from the moment the path is established
 * @rsp: with @new_rkey, an RKEY_RSP a chunk
 * @sess: constant
 * @hb: heartbeat
 * @event_cqe: of all events, see rtrs_srv_send_event()
 * @events: that are on their way
 * @introduced: INFO_RSP is sent, so that events may be; set once, with release
 * @mrs: regions of the chunks
 * @mr_cnt: how many of them there are
 * @msgs: the memory of all rtrs_srv_op.msg
 * @privs: the memory of all rtrs_srv_op.priv
 * @info_iu: receives INFO_REQ
 * @info_len: bytes of it that have been received
 * @info_work: answers INFO_REQ
 * @timeout_work: closes the path if it takes too long to come up
 * @close_work: takes the path down
 * @free_work: frees it, after a grace period
 * @ref: one until CLOSED, one for @kobj, one an orphan
 * @entry: in rtrs_srv_sess.paths
 * @sess_uuid: constant
 * @recon_cnt: the client's attempt that it comes from; constant
 * @features: accepted extensions; constant
 * @port: of @dev; constant
 * @vector: completion vector of cid 0; constant
 * @established: counted in rtrs_srv_sess.established
 * @in_sysfs: @kobj is there
 * @kobj: in sysfs
 * @src: address of the client, as text; constant
 * @dst: our address; constant
 * @name: both, and its name in sysfs; constant
 * @limit_entry: in the list of all paths that count; rtrs_srv_mutex
 * @client: who it is counted for; constant
 * @memory: bytes that it has, as far as limits are concerned; atomic, from any context
 * @up_by: when it has to be up, in jiffies; constant
 * @con_cnt: connections that were accepted
 * @con_num: connections it has to have; constant
 * @cons: the connections by cid
 *
 * The first group is read for every request, and written only while no request
 * can be under way. @entry, @con_cnt and @cons are protected by rtrs_srv_mutex
 * while the path is CONNECTING; after that @con_cnt and @cons are constant until
 * @close_work takes them down. @established belongs to rtrs_srv_sess.mutex, and
 * what @info_work makes belongs to it, then to @close_work, which stops the
 * former first.
 */
struct rtrs_srv_path {
	unsigned int		state;
	u32			queue_depth;
	u8			chunk_bits;
	bool			new_rkey;
	bool			roll;
	struct ib_device	*dev;
	struct ib_pd		*pd;
	struct rtrs_srv_op	*ops;
	struct rtrs_srv_slot	*slots;
	struct rtrs_srv_stats __percpu *stats;
	const struct rtrs_srv_ops *user;
	void			*priv;
	struct rtrs_iu		*rsp;
	struct rtrs_srv_sess	*sess;

	struct rtrs_hb		hb ____cacheline_aligned_in_smp;
	struct ib_cqe		event_cqe;
	atomic_t		events;
	bool			introduced;

	struct ib_mr		**mrs;
	u32			mr_cnt;
	void			*msgs;
	void			*privs;
	struct rtrs_iu		*info_iu;
	size_t			info_len;
	struct work_struct	info_work;
	struct delayed_work	timeout_work;
	struct work_struct	close_work;
	struct rcu_work		free_work;
	struct kref		ref;
	struct list_head	entry;
	uuid_t			sess_uuid;
	u16			recon_cnt;
	u32			features;
	u32			port;
	unsigned int		vector;
	bool			established;
	bool			in_sysfs;
	struct kobject		kobj;
	char			src[RTRS_ADDR_STRLEN];
	char			dst[RTRS_ADDR_STRLEN];
	char			name[2 * RTRS_ADDR_STRLEN];
	struct list_head	limit_entry;
	struct rtrs_srv_client	*client;
	atomic64_t		memory;
	unsigned long		up_by;
	u16			con_cnt;
	u16			con_num;
	struct rtrs_srv_con	*cons[] __counted_by(con_num);
};

/* Each line in the log names the session and the path. Peers cause most. */
#define rtrs_srv_print(pr, path, fmt, ...)				\
do {									\
	const struct rtrs_srv_path *__path = (path);			\
									\
	pr("%s %s: " fmt, __path->sess->name, __path->name, ##__VA_ARGS__); \
} while (0)

#define rtrs_srv_err(path, fmt, ...) \
	rtrs_srv_print(pr_err_ratelimited, path, fmt, ##__VA_ARGS__)
#define rtrs_srv_info(path, fmt, ...) \
	rtrs_srv_print(pr_info_ratelimited, path, fmt, ##__VA_ARGS__)

/* rtrs-srv.c */
extern struct rtrs_srv_conf rtrs_srv_conf;
extern struct mutex rtrs_srv_mutex;
extern struct list_head rtrs_srv_sessions;
extern struct workqueue_struct *rtrs_srv_wq;

struct rtrs_srv_sess *rtrs_srv_sess_find(struct rtrs_srv_ctx *ctx,
					 const uuid_t *paths_uuid);
struct rtrs_srv_sess *rtrs_srv_sess_create(struct rtrs_srv_ctx *ctx,
					   const struct rtrs_conn_req *req);
void rtrs_srv_sess_put(struct rtrs_srv_sess *sess);
void rtrs_srv_sess_add_path(struct rtrs_srv_sess *sess,
			    struct rtrs_srv_path *path);
void rtrs_srv_sess_del_path(struct rtrs_srv_path *path);
int rtrs_srv_sess_set_name(struct rtrs_srv_path *path, const char *name);
int rtrs_srv_sess_establish(struct rtrs_srv_path *path);
void rtrs_srv_sess_disestablish(struct rtrs_srv_path *path);

/* rtrs-srv-path.c */
struct rtrs_srv_path *rtrs_srv_path_find(struct rtrs_srv_sess *sess,
					 const uuid_t *sess_uuid);
struct rtrs_srv_path *rtrs_srv_path_create(struct rtrs_srv_sess *sess,
					   struct rdma_cm_id *cm_id,
					   const struct rtrs_conn_req *req);
void rtrs_srv_path_put(struct rtrs_srv_path *path);
void rtrs_srv_path_put_device(struct rtrs_srv_path *path);
void rtrs_srv_path_touch(struct rtrs_srv_path *path);
bool rtrs_srv_path_close(struct rtrs_srv_path *path);
void rtrs_srv_path_error(struct rtrs_srv_path *path, const char *what,
			 int err);

/**
 * rtrs_srv_path_connected() - may something be posted on this path?
 * @path: the path
 *
 * Context: under rcu_read_lock() if the caller relies on it to post.
 * Return: true if the path is CONNECTED.
 */
static inline bool rtrs_srv_path_connected(const struct rtrs_srv_path *path)
{
	return READ_ONCE(path->state) == RTRS_SRV_PATH_CONNECTED;
}

/* rtrs-srv-con.c */
int rtrs_srv_cm_handler(struct rdma_cm_id *cm_id, struct rdma_cm_event *ev);
int rtrs_srv_con_post_recvs(struct rtrs_srv_con *con);
void rtrs_srv_con_failed(struct rtrs_srv_con *con, const struct ib_wc *wc,
			 const char *what);
u64 rtrs_srv_con_memory(const struct rtrs_srv_path *path, u16 cid);
void rtrs_srv_con_free(struct rtrs_srv_con *con);
void rtrs_srv_event_done(struct ib_cq *cq, struct ib_wc *wc);

/**
 * rtrs_srv_con_of() - the connection that a completion came on
 * @cq: its completion queue
 *
 * Return: the connection.
 */
static inline struct rtrs_srv_con *rtrs_srv_con_of(struct ib_cq *cq)
{
	return container_of((struct rtrs_con *)cq->cq_context,
			    struct rtrs_srv_con, c);
}

/* rtrs-srv-chunk.c */
int rtrs_srv_chunks_alloc(struct rtrs_srv_path *path);
int rtrs_srv_chunks_register(struct rtrs_srv_path *path);
struct rtrs_iu *rtrs_srv_chunks_describe(struct rtrs_srv_path *path);
void rtrs_srv_chunks_unmap(struct rtrs_srv_path *path);
void rtrs_srv_chunk_free(struct rtrs_srv_op *op);
int rtrs_srv_op_buf(struct rtrs_srv_op *op, size_t len);

/* rtrs-srv-io.c */
int rtrs_srv_io_request(struct rtrs_srv_con *con, u32 payload);
void rtrs_srv_op_work(struct work_struct *work);
void rtrs_srv_op_early_work(struct work_struct *work);
void rtrs_srv_op_start_early(struct rtrs_srv_op *op);
void rtrs_srv_op_done(struct ib_cq *cq, struct ib_wc *wc);
bool rtrs_srv_op_free(struct rtrs_srv_op *op);
void rtrs_srv_op_end(struct rtrs_srv_op *op);
void rtrs_srv_op_leave(struct rtrs_srv_op *op, struct rtrs_srv_slot *slot,
		       enum rtrs_srv_op_state state);
void rtrs_srv_io_release(struct rtrs_srv_path *path);
int rtrs_srv_io_init(void);
void rtrs_srv_io_exit(void);

/* rtrs-srv-answer.c */
void rtrs_srv_sq_signalled(struct rtrs_srv_op *op, unsigned int n);
void rtrs_srv_sq_over(const struct rtrs_srv_op *op);

/* Of the answers that nobody waits for, one in so many is signalled. */
#define RTRS_SRV_QUIET_ANSWERS	64

/**
 * rtrs_srv_op_slot() - what an operation shares with those of other paths
 * @op: the operation
 *
 * Return: the slot of its chunk number.
 */
static inline struct rtrs_srv_slot *rtrs_srv_op_slot(const struct rtrs_srv_op *op)
{
	return &op->path->slots[op->nr];
}

/* rtrs-srv-limit.c */
void rtrs_srv_limit_exit(void);
void rtrs_srv_limit_sess(int by);
int rtrs_srv_limit_enter(struct rtrs_srv_path *path, const union ib_gid *gid,
			 bool new_sess);
void rtrs_srv_limit_leave(struct rtrs_srv_path *path);
int rtrs_srv_limit_take(struct rtrs_srv_path *path, u64 bytes);
bool rtrs_srv_limit_try(struct rtrs_srv_path *path, u64 bytes);
void rtrs_srv_limit_give(struct rtrs_srv_path *path, u64 bytes);

/* rtrs-srv-sysfs.c */
int rtrs_srv_sysfs_init(void);
void rtrs_srv_sysfs_exit(void);
int rtrs_srv_sysfs_add_sess(struct rtrs_srv_sess *sess);
void rtrs_srv_sysfs_del_sess(struct rtrs_srv_sess *sess);
int rtrs_srv_sysfs_add_path(struct rtrs_srv_path *path);
void rtrs_srv_sysfs_del_path(struct rtrs_srv_path *path);

#endif /* RTRS_SRV_H */
