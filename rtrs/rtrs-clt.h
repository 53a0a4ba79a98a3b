/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to rtrs-client.ko: sessions, their paths, the paths' connections, and
 * the requests under way on them.
 *
 * Who owns what: the user owns the session (rtrs_clt_open() to
 * rtrs_clt_close()), the session its paths, a path its connections, chunks and
 * requests while it is connected. A request belongs to the path it was sent on
 * until it is done or that path has been drained.
 */
#ifndef RTRS_CLT_H
#define RTRS_CLT_H

#include <linux/device.h>
#include <linux/jump_label.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "rtrs-pri.h"

/* Regions are made of pages of this size, whatever the CPU's is. */
#define RTRS_CLT_MR_PAGE_SIZE	SZ_4K

/* Most chunks kept back for administrative requests. */
#define RTRS_CLT_MAX_ADMIN	8

/*
 * Memory of the path's that a request has, for small data and the messages: two
 * pages, so that a request of one page fits together with its messages.
 */
#define RTRS_CLT_BUF_SIZE	SZ_8K

/*
 * Entries of the send queue for each request: most work requests that it has there
 * at a time, and one that an earlier request may have left there.
 */
#define RTRS_CLT_SENDS_PER_REQ	(3 + 1)

/* Most requests that are posted together. */
#define RTRS_CLT_MAX_CHAIN	32

/* Of the sends that nobody waits for, one in so many is signalled. */
#define RTRS_CLT_QUIET_SENDS	64

/* Extensions of the protocol that a client always offers. */
#define RTRS_CLT_FEATURES	(RTRS_FEAT_RKEY_ROLL | RTRS_FEAT_USER_EVENT | \
				 RTRS_FEAT_BOOT_ID)

/* Largest limit of attempts to connect a path again. */
#define RTRS_CLT_MAX_RECONNECT_ATTEMPTS	9999

struct rtrs_clt_path;
struct rtrs_clt_policy;

/**
 * enum rtrs_clt_path_state - life of a path
 * @RTRS_CLT_DISCONNECTED: nothing of it exists on the network or the device
 * @RTRS_CLT_CONNECTING: connections are being made, one after the other
 * @RTRS_CLT_CONNECTED: it carries requests
 * @RTRS_CLT_DRAINING: it failed or is being closed; no new requests, and those
 *	under way are being collected
 * @RTRS_CLT_NR_STATES: how many there are
 */
enum rtrs_clt_path_state {
	RTRS_CLT_DISCONNECTED,
	RTRS_CLT_CONNECTING,
	RTRS_CLT_CONNECTED,
	RTRS_CLT_DRAINING,
	RTRS_CLT_NR_STATES,
};

/**
 * enum rtrs_clt_io_state - what a request still waits for, as bits
 * @RTRS_CLT_IO_BUSY: set as long as the request is on the path
 * @RTRS_CLT_IO_POST: its work requests are being posted
 * @RTRS_CLT_IO_RSP: no answer has come
 * @RTRS_CLT_IO_ANS: no answer has been dealt with
 * @RTRS_CLT_IO_SENT: the completion of its send has not come; not waited for
 *	where the device reads nothing but memory of the path's, but now and then
 *
 * Whoever clears the last bit but BUSY carries the request on. RSP is what an
 * answer claims the request with, so that a server cannot answer it twice.
 */
enum rtrs_clt_io_state {
	RTRS_CLT_IO_BUSY	= BIT(0),
	RTRS_CLT_IO_POST	= BIT(1),
	RTRS_CLT_IO_RSP		= BIT(2),
	RTRS_CLT_IO_ANS		= BIT(3),
	RTRS_CLT_IO_SENT	= BIT(4),
};

/**
 * struct rtrs_clt_io - a request under way on a path; one a chunk and path
 * @state: &enum rtrs_clt_io_state; 0 if no request is there
 * @err: what the server answered; valid once ANS is clear
 * @con: connection it was sent on
 * @cpu: where it was sent
 * @posted_ns: when, if latency is measured
 * @sq_pos: of its signalled send in the send queue
 * @copied: the data is in @buf, or will be
 * @mr_used: @mr is registered, and has to be invalidated before the request ends
 * @mapped: req.sg is DMA mapped
 * @buf_key: the server's key for @buf
 * @buf_addr: and its address there
 * @buf: buffer for small data and the messages, part of the path's; constant, as
 *	are the others that begin with buf
 * @buf_dma: its address for the device
 * @send_cqe: completion of what was sent
 * @inv_cqe: completion of the invalidation of @mr
 * @mr: region for data the device cannot gather, or has to write to
 * @next: behind it in its connection's chain
 * @wr: what is posted for it, if it reads nothing but @buf
 * @sge: of @wr
 * @req: the request itself, to send it again on another path
 *
 * Fields but @state are written by the sender before it posts, and by the one
 * who carries the request on; @state passes it from one to the other.
 */
struct rtrs_clt_io {
	atomic_t		state;
	int			err;
	struct rtrs_clt_con	*con;
	unsigned int		cpu;
	u32			sq_pos;
	bool			copied;
	bool			mr_used;
	bool			mapped;
	u32			buf_key;
	u64			buf_addr;
	void			*buf;
	u64			buf_dma;
	u64			posted_ns;
	struct rtrs_clt_io	*next;
	struct ib_rdma_wr	wr;
	struct ib_sge		sge;
	struct rtrs_clt_req	req;
	struct ib_cqe		send_cqe;
	struct ib_cqe		inv_cqe;
	struct ib_mr		*mr;
} ____cacheline_aligned_in_smp;

/**
 * struct rtrs_clt_rsp_buf - receive buffer for an RKEY_RSP
 * @cqe: completion of the receive
 * @con: its connection
 */
struct rtrs_clt_rsp_buf {
	struct ib_cqe		cqe;
	struct rtrs_clt_con	*con;
};

/**
 * struct rtrs_clt_con - a connection of a path
 * @c: queue pair and connection manager id; @c.inflight is for the choice of a path,
 *	too, and written by the CPUs of one hardware queue, and where its answers arrive
 * @path: the path it is part of
 * @recv_cqe: completion of receives without a buffer
 * @bufs: receive buffers' completions, where answers are messages (NEW_RKEY)
 * @rsps: the messages, one a buffer
 * @rsps_dma: address of @rsps for the device
 * @nr_bufs: number of @bufs and @rsps
 * @poll_lock: one poller at a time; only for polled connections
 * @poll_batch: where the poller wants what is done; under @poll_lock
 * @unresolved: the last question for the server's address was not answered; of
 *	the event handler until it says that the step is done, then of who waits
 * @accepted: the server has accepted it
 * @parted: the server takes in nothing more
 * @sq_lock: one sender at a time, so that the order of sends is known; innermost
 * @quiet: sends that nobody waits for, since the last signalled one
 * @max_quiet: if no more entries than that are taken, a send may be one of those
 * @sq_head: entries of the send queue that have been used, or are to be by @chain;
 *	wraps
 * @sq_tail: up to here they are known to be over
 * @chain: requests that are posted together, when the last of them is there
 * @chain_end: the last so far
 * @chain_len: how many
 *
 * A send that nobody waits for keeps its entry in the send queue when its request is
 * done, until a signalled one behind it has completed. So that the queue has room
 * for all that requests may post, such a send is posted only while no more than
 * @max_quiet entries are taken. After the last of them there is nothing in the queue
 * but what belongs to requests that are not done, and they are %RTRS_CLT_SENDS_PER_REQ
 * - 1 entries each at most; @max_quiet is the rest. @sq_head and @quiet change under
 * @sq_lock, with the post that they count. What is in @chain is counted already, so
 * whatever is posted takes it along. If the path dies before, it is sent again on
 * another, as all else that was not answered.
 */
struct rtrs_clt_con {
	struct rtrs_con			c;
	struct rtrs_clt_path		*path;
	struct ib_cqe			recv_cqe;
	struct rtrs_clt_rsp_buf		*bufs;
	struct rtrs_msg_rkey_rsp	*rsps;
	u64				rsps_dma;
	unsigned int			nr_bufs;
	spinlock_t			poll_lock; /* one poller */
	struct io_comp_batch		*poll_batch;
	bool				unresolved;
	bool				accepted;
	struct completion		parted;
	spinlock_t			sq_lock ____cacheline_aligned_in_smp; /* sends */
	unsigned int			quiet;
	unsigned int			max_quiet;
	u32				sq_head;
	u32				sq_tail;
	struct rtrs_clt_io		*chain;
	struct rtrs_clt_io		*chain_end;
	unsigned int			chain_len;
};

/**
 * struct rtrs_clt_chunk - a chunk of the server, as a path reaches it
 * @addr: where it starts
 * @rkey: its key for the next request. Changed by the answer to a request,
 *	before that request is done; so it is never looked at meanwhile.
 */
struct rtrs_clt_chunk {
	u64	addr;
	u32	rkey;
};

/**
 * struct rtrs_clt_stats - what a path has done, per CPU
 * @reqs: requests sent, reads and writes
 * @bytes: their data and user messages
 * @failed_over: requests that came from another path
 * @migrated_to: requests sent on another CPU and answered here
 * @migrated_from: requests sent here and answered on another CPU, which is who
 *	counts them
 */
struct rtrs_clt_stats {
	u64		reqs[2];
	u64		bytes[2];
	u64		failed_over;
	u64		migrated_to;
	atomic64_t	migrated_from;
};

/* Requests that take hours are in the last one. */
#define RTRS_CLT_LATENCY_BUCKETS	44

/**
 * struct rtrs_clt_latency - how long requests of a path took, per CPU
 * @nr: how many took 2^i ns up to twice that, reads and writes
 */
struct rtrs_clt_latency {
	u64	nr[2][RTRS_CLT_LATENCY_BUCKETS];
};

/**
 * struct rtrs_clt_block - memory of some buffers
 * @page: of %RTRS_CLT_BUF_SIZE bytes, or the CPU's larger ones
 * @dma: address for the device
 */
struct rtrs_clt_block {
	struct page	*page;
	u64		dma;
};

/**
 * struct rtrs_clt_path - a path of a session
 * @sess: the session that owns it
 * @state: &enum rtrs_clt_path_state; written under @state_lock, read under RCU
 *	by those who send
 * @dev: device, while it is not disconnected
 * @cons: connections, by cid; constant length, entries come and go with them
 * @ios: requests, by chunk number, while it is not disconnected
 * @nr_ios: how many; fewer than the server has chunks, if not all are used
 * @chunks: the server's chunks, likewise
 * @chunk_bits: bits of a chunk number in an immediate
 * @max_sge: pieces of data that a write may gather
 * @buf_msg: where in a buffer the messages are
 * @buf_data: most data that is copied to a buffer, or from there; 0 for none
 * @stats: per CPU
 * @latency: per CPU
 * @hb: heartbeat, from connected to drained
 * @question: number of the last heartbeat whose answer somebody waits for, who has
 *	asked under RCU while the path was connected; 0 if nobody has. Under the
 *	session's ask_lock, but for the path's coming up
 * @entry: in the session's list; RCU
 * @pd: protection domain of the path alone: no other path's peer can use a key
 *	of its regions
 * @mr_pages: pages a region can hold
 * @blocks: memory of the buffers of @ios
 * @nr_blocks: how many
 * @regions: the server's access to them
 * @nr_regions: how many
 * @reg_cqe: of their registration
 * @info_tx: INFO_REQ
 * @info_rx: INFO_RSP
 * @info_len: bytes of the INFO_RSP that was received
 * @state_lock: for @state; taken in softirq
 * @life: held while the path is connected or torn down; never by those who
 *	only report an error
 * @teardown: drains the path and frees what it had
 * @step: what the connecting thread waits for has happened
 * @connect_err: the first error since it started to connect; under @state_lock
 * @answer_ms: how long each step of connecting may take
 * @wanted: it is to be connected; under @state_lock, as are the
 *	ten that follow
 * @tried: who has added it has tried; before that nobody else does
 * @unfit: its server is not what it was, so trying again is of no use
 * @tearing: @teardown is queued or running
 * @kicked: it is to be tried again at once
 * @server_busy: it is to be tried again soon
 * @attempts: to connect it again that failed one after the other
 * @down_since: jiffies when it failed
 * @reconnects: attempts in all, those that succeeded and those that failed
 * @removed: it is on its way out
 * @ask_after: jiffies from which on others are asked again whether they are there, if
 *	the server refuses this one because it does not know the session; 0 for at once
 * @reconnect: tries to connect it again
 * @addr: its ends; the source is filled in by the first connect
 * @uuid: for life
 * @recon_cnt: attempts to connect, as the server is told; wraps
 * @first_conn: the server may create the session for it, if no path is up
 * @creates: none was when it began to connect, and the server is told so; under the
 *	session's up_lock, constant from cid 0's request on until it is up or has failed
 * @hca_name: device it was on when it was last connected
 * @hca_port: port of that device
 * @wanted_depth: chunks that the server is asked for, the same on all its
 *	connections; 0: none in particular
 * @rsp: what cid 0 was accepted with
 * @debugfs: its folder in debugfs
 * @kobj: its folder in sysfs, and its lifetime
 */
struct rtrs_clt_path {
	struct rtrs_clt_sess		*sess;
	enum rtrs_clt_path_state	state;
	struct ib_device		*dev;
	struct rtrs_clt_con		**cons;
	struct rtrs_clt_io		*ios;
	unsigned int			nr_ios;
	struct rtrs_clt_chunk		*chunks;
	unsigned int			chunk_bits;
	unsigned int			max_sge;
	unsigned int			buf_msg;
	unsigned int			buf_data;
	struct rtrs_clt_stats __percpu	*stats;
	struct rtrs_clt_latency __percpu *latency;
	struct rtrs_hb			hb;
	u32				question;
	struct list_head		entry;

	struct ib_pd			*pd;
	unsigned int			mr_pages;
	struct rtrs_clt_block		*blocks;
	unsigned int			nr_blocks;
	struct ib_mr			**regions;
	unsigned int			nr_regions;
	struct ib_cqe			reg_cqe;
	struct rtrs_iu			*info_tx;
	struct rtrs_iu			*info_rx;
	size_t				info_len;

	spinlock_t			state_lock; /* state */
	struct mutex			life; /* connect, teardown */
	struct work_struct		teardown;
	struct completion		step;
	int				connect_err;
	unsigned int			answer_ms;

	bool				wanted;
	bool				tried;
	bool				unfit;
	bool				tearing;
	bool				kicked;
	bool				server_busy;
	unsigned int			attempts;
	unsigned long			down_since;
	u64				reconnects[2];
	bool				removed;
	unsigned long			ask_after;
	struct delayed_work		reconnect;

	struct rtrs_path_addr		addr;
	uuid_t				uuid;
	u16				recon_cnt;
	bool				first_conn;
	bool				creates;
	char				hca_name[IB_DEVICE_NAME_MAX];
	u32				hca_port;
	u16				wanted_depth;
	struct rtrs_conn_rsp		rsp;
	struct dentry			*debugfs;
	struct kobject			kobj;
};

/**
 * struct rtrs_clt_sess - a session
 * @paths: its paths; read under RCU, written under @lock and @up_lock
 * @policy: how a path is chosen; changed at any time
 * @rr: per CPU, for round-robin
 * @max_io_size: least of all paths
 * @nr_cons: connections a path
 * @nr_queues: of these, interrupt driven ones for I/O
 * @nr_poll_queues: and polled ones
 * @max_msg_len: longest user message
 * @wanted_depth: chunks that its user asked for, or 0; constant
 * @queue_depth: chunks; 0 until the first path has connected
 * @io_depth: chunks that the user hands out
 * @max_segments: least of all paths
 * @admin_map: chunks from @io_depth on that are in use
 * @admin_wait: for one of these
 * @lock: for @paths
 * @up_lock: for @nr_up and @lost; inside of the paths' state_lock
 * @nr_up: number of connected paths
 * @nr_draining: number of paths that were, and whose requests are being collected
 * @drain_wait: for @nr_draining to become 0
 * @ups: how often a path has become connected; under @up_lock
 * @nr_creating: paths being connected for which the server may create it
 * @doubt: there was one, and those that are up may lead to another one than the server
 *	has by now; under @up_lock, as is @nr_creating
 * @ask_lock: one path at a time asks the others; inside of its life
 * @answer_wait: for the answer to a path's @question
 * @lost: there was a time without one that the user does not know of yet; until
 *	it does, no path becomes connected
 * @stopped: no path of it is connected any more; under @up_lock, and read under
 *	a path's state_lock
 * @link_lock: serialises @ops->link_ev and guards @link_up
 * @link_up: what the user was told last
 * @opened: rtrs_clt_open() is done, link events may come; under @link_lock and
 *	@up_lock
 * @closing: no link events any more; under @link_lock
 * @max_reconnect_attempts: of a path, one after the other; -1 for no limit
 * @hb_interval_ms: of heartbeats
 * @hb_missed_max: how many of these a silent peer is borne
 * @boot_id: of the server; all its paths lead to the one life of it. Under
 *	@up_lock
 * @port: destination port of paths that are added
 * @node: in the list of those who want to know of ports
 * @ops: the user's callbacks
 * @priv: the user's pointer
 * @uuid: for life
 * @name: for life
 * @dev: its folder in sysfs, and its lifetime
 * @paths_kobj: folder for the paths' folders
 * @debugfs: its folder in debugfs
 */
struct rtrs_clt_sess {
	struct list_head		paths;
	const struct rtrs_clt_policy	*policy;
	unsigned int __percpu		*rr;
	u32				max_io_size;
	unsigned int			nr_cons;
	unsigned int			nr_queues;
	unsigned int			nr_poll_queues;
	u16				max_msg_len;

	unsigned int			wanted_depth;
	unsigned int			queue_depth;
	unsigned int			io_depth;
	unsigned int			max_segments;
	unsigned long			admin_map;
	wait_queue_head_t		admin_wait;

	struct mutex			lock; /* paths */
	spinlock_t			up_lock; /* nr_up, lost */
	unsigned int			nr_up;
	unsigned int			nr_draining;
	wait_queue_head_t		drain_wait;
	unsigned int			ups;
	unsigned int			nr_creating;
	bool				doubt;
	struct mutex			ask_lock; /* paths' question */
	wait_queue_head_t		answer_wait;
	bool				lost;
	bool				stopped;
	struct mutex			link_lock; /* link_ev */
	bool				link_up;
	bool				opened;
	bool				closing;
	int				max_reconnect_attempts;
	unsigned int			hb_interval_ms;
	unsigned int			hb_missed_max;
	uuid_t				boot_id;
	u16				port;
	struct list_head		node;
	const struct rtrs_clt_ops	*ops;
	void				*priv;
	uuid_t				uuid;
	char				name[RTRS_SESSNAME_LEN];
	struct device			dev;
	struct kobject			*paths_kobj;
	struct dentry			*debugfs;
};

/**
 * struct rtrs_clt_policy - how to choose a path for a request
 * @name: long name
 * @abbrev: short name
 * @select: returns a connected path, or NULL. Called under RCU.
 */
struct rtrs_clt_policy {
	const char *name;
	const char *abbrev;
	struct rtrs_clt_path *(*select)(struct rtrs_clt_sess *sess,
					unsigned int queue);
};

/**
 * enum rtrs_clt_up - may a path become connected?
 * @RTRS_CLT_UP: yes, and it is counted
 * @RTRS_CLT_UP_LOST: when the user knows that there was none for a time
 * @RTRS_CLT_UP_STALE: when those to an earlier life of the server are gone
 * @RTRS_CLT_UP_UNSURE: when one that is up has been asked whether it still is
 */
enum rtrs_clt_up {
	RTRS_CLT_UP,
	RTRS_CLT_UP_LOST,
	RTRS_CLT_UP_STALE,
	RTRS_CLT_UP_UNSURE,
};

extern struct workqueue_struct *rtrs_clt_down_wq;
extern struct workqueue_struct *rtrs_clt_up_wq;

static inline bool rtrs_clt_path_connected(const struct rtrs_clt_path *path)
{
	/* pairs with rtrs_clt_move_locked(): all it has is there by then */
	return smp_load_acquire(&path->state) == RTRS_CLT_CONNECTED;
}

/* Queues count from 0, interrupt driven ones first; cid 0 is no queue. */
static inline unsigned int rtrs_clt_cid(const struct rtrs_clt_sess *sess,
					unsigned int queue)
{
	if (queue == RTRS_CLT_SERVICE_QUEUE)
		return 0;
	return 1 + queue % (sess->nr_cons - 1);
}

/* rtrs-clt.c */
int rtrs_clt_sess_take_geometry(struct rtrs_clt_sess *sess,
				struct rtrs_clt_path *path);
unsigned int rtrs_clt_nr_ios(const struct rtrs_clt_sess *sess);
void rtrs_clt_sess_may_create(struct rtrs_clt_path *path);
void rtrs_clt_sess_path_failed(struct rtrs_clt_path *path);
enum rtrs_clt_up rtrs_clt_sess_path_up(struct rtrs_clt_path *path,
				       unsigned int asked);
bool rtrs_clt_sess_ask(struct rtrs_clt_path *path, unsigned int *asked);
void rtrs_clt_sess_path_drained(struct rtrs_clt_sess *sess);
void rtrs_clt_sess_path_down(struct rtrs_clt_sess *sess);
bool rtrs_clt_sess_drop_silent(struct rtrs_clt_sess *sess);
void rtrs_clt_sess_drop_stale(const struct rtrs_clt_path *path);
void rtrs_clt_sess_link_gone(struct rtrs_clt_sess *sess);
void rtrs_clt_sess_link_changed(struct rtrs_clt_sess *sess);
int rtrs_clt_sess_add_path(struct rtrs_clt_sess *sess,
			   const struct rtrs_path_addr *addr);
void rtrs_clt_sess_remove_path(struct rtrs_clt_path *path);
void rtrs_clt_sess_tune_hb(struct rtrs_clt_sess *sess);

/* rtrs-clt-path.c */
struct rtrs_clt_path *rtrs_clt_path_alloc(struct rtrs_clt_sess *sess,
					  const struct rtrs_path_addr *addr);
void rtrs_clt_path_free(struct rtrs_clt_path *path);
int rtrs_clt_path_connect(struct rtrs_clt_path *path, unsigned int answer_ms);
void rtrs_clt_path_unwant(struct rtrs_clt_path *path);
void rtrs_clt_path_retire(struct rtrs_clt_path *path);
void rtrs_clt_path_disconnect(struct rtrs_clt_path *path);
bool rtrs_clt_path_error(struct rtrs_clt_path *path);
void rtrs_clt_path_failed(struct rtrs_clt_path *path, const char *what,
			  const char *why);
void rtrs_clt_step_done(struct rtrs_clt_path *path, int err);
int rtrs_clt_wait_step(struct rtrs_clt_path *path, unsigned int timeout_ms);

/* rtrs-clt-recon.c */
void rtrs_clt_path_retry(struct rtrs_clt_path *path);
void rtrs_clt_path_torn(struct rtrs_clt_path *path);
void rtrs_clt_path_kick(struct rtrs_clt_path *path);
void rtrs_clt_sess_kick(struct rtrs_clt_sess *sess);
int rtrs_clt_path_bring_up(struct rtrs_clt_path *path);
int rtrs_clt_path_reconnect(struct rtrs_clt_path *path);
void rtrs_clt_reconnect_work(struct work_struct *work);
void rtrs_clt_sess_set_attempts(struct rtrs_clt_sess *sess, int max);

/* rtrs-clt-port.c */
void rtrs_clt_ports_review(struct rtrs_clt_sess *sess);
void rtrs_clt_ports_watch(struct rtrs_clt_sess *sess);
void rtrs_clt_ports_unwatch(struct rtrs_clt_sess *sess);
int rtrs_clt_ports_init(void);
void rtrs_clt_ports_exit(void);

/* rtrs-clt-con.c */
int rtrs_clt_con_connect(struct rtrs_clt_path *path, unsigned int cid);
int rtrs_clt_con_start(struct rtrs_clt_con *con);
void rtrs_clt_con_free(struct rtrs_clt_con *con);
int rtrs_clt_post_rsp_buf(struct rtrs_clt_rsp_buf *buf);

/* rtrs-clt-buf.c */
int rtrs_clt_bufs_alloc(struct rtrs_clt_path *path);
int rtrs_clt_bufs_register(struct rtrs_clt_path *path);
void rtrs_clt_bufs_free(struct rtrs_clt_path *path);
void rtrs_clt_buf_copy(const struct rtrs_clt_io *io, bool to_buf);

/* rtrs-clt-io.c */
int rtrs_clt_ios_alloc(struct rtrs_clt_path *path);
void rtrs_clt_ios_free(struct rtrs_clt_path *path);
void rtrs_clt_ios_requeue(struct rtrs_clt_path *path);
void rtrs_clt_batches_init(void);
void rtrs_clt_batches_flush(void);
void rtrs_clt_io_step(struct rtrs_clt_io *io, int bit);
void rtrs_clt_wc_failed(struct rtrs_con *c, const struct ib_wc *wc,
			const char *what);

/* rtrs-clt-recv.c */
void rtrs_clt_recv_done(struct ib_cq *cq, struct ib_wc *wc);
void rtrs_clt_recv_rkey_done(struct ib_cq *cq, struct ib_wc *wc);

/* rtrs-clt-mpath.c */
const struct rtrs_clt_policy *rtrs_clt_policy_find(const char *name);
int rtrs_clt_policy_index(const struct rtrs_clt_policy *policy);
extern const struct rtrs_clt_policy *const rtrs_clt_default_policy;

/* rtrs-clt-stats.c */
extern const struct attribute_group rtrs_clt_stats_group;

/* rtrs-clt-latency.c */
DECLARE_STATIC_KEY_FALSE(rtrs_clt_latency_key);

void rtrs_clt_latency_answered(const struct rtrs_clt_io *io);
void rtrs_clt_debugfs_add_sess(struct rtrs_clt_sess *sess);
void rtrs_clt_debugfs_del_sess(struct rtrs_clt_sess *sess);
void rtrs_clt_debugfs_add_path(struct rtrs_clt_path *path);
void rtrs_clt_debugfs_del_path(struct rtrs_clt_path *path);
void rtrs_clt_debugfs_init(void);
void rtrs_clt_debugfs_exit(void);

/* rtrs-clt-sysfs.c */
int rtrs_clt_sysfs_init(void);
void rtrs_clt_sysfs_exit(void);
int rtrs_clt_sess_sysfs_add(struct rtrs_clt_sess *sess);
void rtrs_clt_sess_sysfs_del(struct rtrs_clt_sess *sess);
int rtrs_clt_path_sysfs_add(struct rtrs_clt_path *path);
void rtrs_clt_path_sysfs_del(struct rtrs_clt_path *path);
extern const struct kobj_type rtrs_clt_path_ktype;

static inline struct rtrs_clt_path *rtrs_clt_kobj_path(struct kobject *kobj)
{
	return container_of(kobj, struct rtrs_clt_path, kobj);
}

extern const struct class rtrs_clt_class;

#endif /* RTRS_CLT_H */
