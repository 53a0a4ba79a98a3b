/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RNBD server: what its files share.
 *
 * A session (struct rnbd_srv_sess) opens devices (struct rnbd_srv_sess_dev).
 * All that is open of one block device, by whatever session, hangs on one
 * struct rnbd_srv_dev, which decides who may write.
 *
 * One mutex, rnbd_srv_lock, orders all administration: which session has what
 * open, who shares a device, and the entries in sysfs. It is never held while a
 * block device is opened or closed, since that may take as long as the device
 * likes. The data path does not know it.
 */
#ifndef RNBD_SRV_H
#define RNBD_SRV_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/kobject.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "rnbd-proto.h"
#include "rtrs/rtrs.h"

/**
 * struct rnbd_srv_sess - a client's session
 * @rtrs: its connection, valid until @closed; constant
 * @devs: device_id -> struct rnbd_srv_sess_dev; read under RCU by the data path,
 *	written under rnbd_srv_lock
 * @version: major version agreed on, 0 until SESS_INFO; READ_ONCE, WRITE_ONCE
 * @ref: one for RTRS until close_sess(), one each for every device that is not
 *	closed yet and every administrative message that is not answered yet
 * @closed: RTRS has ended it, nothing can be opened any more; rnbd_srv_lock
 * @next_id: where to look for the next device_id; rnbd_srv_lock
 * @nr_devs: in @devs; rnbd_srv_lock
 * @name: of the session, constant
 */
struct rnbd_srv_sess {
	struct rtrs_srv_sess *rtrs;
	struct xarray	devs;
	u8		version;

	struct kref	ref;
	bool		closed;
	u32		next_id;
	unsigned int	nr_devs;
	char		name[];
};

/**
 * struct rnbd_srv_order - the order of a device's requests
 * @lock: protects the rest; irqs off
 * @tree: of &struct rnbd_srv_order_entry: all writes, and reads that wait
 * @seq: number of the next one
 */
struct rnbd_srv_order {
	/* protects all here, and the entries but for their state */
	spinlock_t		lock;
	struct rb_root_cached	tree;
	u64			seq;
};

/**
 * struct rnbd_srv_order_entry - a request's place in the order
 * @op: what to carry on when it need not wait any more
 * @state: does it wait, and could it be carried out otherwise?
 * @queued: it is in the tree
 * @write: others may wait for it
 * @waits_for: so many writes
 * @seq: its number
 * @rb: in the tree
 * @start: first sector
 * @last: last sector
 * @subtree_last: of the tree
 * @ready: in the list of those that need not wait any more
 */
struct rnbd_srv_order_entry {
	struct rtrs_srv_op	*op;
	atomic_t		state;
	bool			queued;
	bool			write;
	u32			waits_for;
	u64			seq;
	struct rb_node		rb;
	u64			start;
	u64			last;
	u64			subtree_last;
	struct list_head	ready;
};

/**
 * struct rnbd_srv_dev - a block device that somebody has open
 * @entry: in the list of all
 * @bdev: its identity; valid as long as one of its users has its file open
 * @users: sess_devs that are not closed yet, attached or not; the last one frees
 * @sess_devs: those that are attached
 * @dir: devices/<dev> in sysfs, while any is attached
 * @sessions: devices/<dev>/sessions
 * @name: as the kernel names it
 * @order: of its requests, over all sessions
 *
 * All of it but @order is protected by rnbd_srv_lock.
 */
struct rnbd_srv_dev {
	struct list_head	entry;
	struct block_device	*bdev;
	unsigned int		users;
	struct list_head	sess_devs;
	struct kobject		*dir;
	struct kobject		*sessions;
	char			name[BDEVNAME_SIZE];
	struct rnbd_srv_order	order ____cacheline_aligned_in_smp;
};

/**
 * struct rnbd_srv_lane - I/O of a session to a device that is to be submitted, a CPU
 * @todo: of &struct rnbd_srv_io, the last first
 * @work: submits it; queued by whoever finds @todo empty
 */
struct rnbd_srv_lane {
	struct llist_head	todo;
	struct work_struct	work;
};

/**
 * struct rnbd_srv_sess_dev - a device that a session has open
 * @ref: one while attached, one each for every I/O under way
 * @lanes: per CPU
 * @bdev: the device, constant
 * @mode: how the client opened it, constant
 * @id: device_id, constant
 * @sess: its session, holds a reference
 * @dev: the device that it shares with others, counted in its users
 * @entry: in @dev->sess_devs; empty unless attached; rnbd_srv_lock
 * @told: size that the client knows of, in 512-byte units; rnbd_srv_lock
 * @file: the open device
 * @close_op: the client's CLOSE, answered when all has ended, or NULL
 * @close_work: closes @file once @ref is gone
 * @kobj: in sysfs while attached; its last reference frees all
 * @dev_name: what the client calls the device, constant
 *
 * It is attached, then detached (once, under rnbd_srv_lock, for good), and
 * closed when its last I/O has ended.
 */
struct rnbd_srv_sess_dev {
	struct percpu_ref		ref;
	struct rnbd_srv_lane __percpu	*lanes;
	struct block_device		*bdev;
	enum rnbd_access_mode		mode;
	u32				id;
	struct rnbd_srv_sess		*sess;

	struct rnbd_srv_dev		*dev;
	struct list_head		entry;
	u64				told;
	struct file			*file;
	struct rtrs_srv_op		*close_op;
	struct work_struct		close_work;
	struct kobject			kobj;
	char				dev_name[RNBD_NAME_LEN];
};

/**
 * struct rnbd_srv_io - an I/O under way
 * @sess_dev: where it goes, holds a reference
 * @order: its place among the device's requests
 * @msg: what the client wants, decoded and checked
 * @node: in a lane, or among those that are to be answered
 * @data: its data, or where that is to go
 * @data_len: bytes of it
 * @len: bytes to answer with if it succeeds
 * @err: why it is not to be carried out any more, or 0
 * @chunk: number of the request, for those who trace it
 * @bio: carries it out
 * @bvec: its data
 *
 * In the memory that RTRS has for the request, from rnbd_srv_io_admit() until it
 * is answered.
 */
struct rnbd_srv_io {
	struct rnbd_srv_sess_dev	*sess_dev;
	struct rnbd_srv_order_entry	order;
	struct rnbd_io			msg;
	struct llist_node		node;
	void				*data;
	size_t				data_len;
	size_t				len;
	int				err;
	u16				chunk;
	struct bio			bio;
	struct bio_vec			bvec;
};

/* rnbd-srv.c */
extern struct workqueue_struct *rnbd_srv_wq;

void rnbd_srv_sess_put(struct rnbd_srv_sess *sess);

/* rnbd-srv-io.c */
int rnbd_srv_io_admit(struct rnbd_srv_sess *sess, struct rnbd_srv_io *io,
		      struct rtrs_srv_op *op, const struct rtrs_srv_req *req);
void rnbd_srv_io_carry_out(struct rnbd_srv_io *io,
			   const struct rtrs_srv_req *req, int err);
int rnbd_srv_lanes_alloc(struct rnbd_srv_sess_dev *sess_dev);
void rnbd_srv_lanes_free(struct rnbd_srv_sess_dev *sess_dev);
int rnbd_srv_io_init(void);
void rnbd_srv_io_exit(void);

/* rnbd-srv-order.c */
void rnbd_srv_order_init(struct rnbd_srv_order *order);
void rnbd_srv_order_begin(struct rnbd_srv_order *order,
			  struct rnbd_srv_order_entry *entry, sector_t sector,
			  u32 sectors, bool write);
bool rnbd_srv_order_ready(struct rnbd_srv_order_entry *entry);
void rnbd_srv_order_end(struct rnbd_srv_order *order,
			struct rnbd_srv_order_entry *entry);

/* rnbd-srv-dev.c */
int rnbd_srv_dev_open(struct rnbd_srv_sess *sess,
		      const struct rnbd_msg_open *msg,
		      struct rnbd_dev_limits *lim);
bool rnbd_srv_dev_close(struct rnbd_srv_sess *sess, u32 id,
			struct rtrs_srv_op *op);
void rnbd_srv_dev_force_close(struct rnbd_srv_sess_dev *sess_dev);
void rnbd_srv_dev_close_all(struct rnbd_srv_sess *sess);
void rnbd_srv_sess_dev_free(struct rnbd_srv_sess_dev *sess_dev);
void rnbd_srv_dev_exit(void);

/* rnbd-srv-sysfs.c */
int rnbd_srv_sysfs_add_dev(struct rnbd_srv_dev *dev);
void rnbd_srv_sysfs_del_dev(struct rnbd_srv_dev *dev);
void rnbd_srv_sysfs_init_sess_dev(struct rnbd_srv_sess_dev *sess_dev);
int rnbd_srv_sysfs_add_sess_dev(struct rnbd_srv_sess_dev *sess_dev);
int rnbd_srv_sysfs_init(void);
void rnbd_srv_sysfs_exit(void);

#endif /* RNBD_SRV_H */
