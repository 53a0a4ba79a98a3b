/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RNBD client: what its files share.
 *
 * rnbd-clt.c		sessions and disks: how they come and go
 * rnbd-clt-dev.c	a device and the server: open, lost, open again
 * rnbd-clt-io.c	what travels: block requests
 * rnbd-clt-adm.c	administrative requests
 * rnbd-clt-sysfs.c	what an administrator reads and writes
 *
 * Locks, outermost first:
 *
 * rnbd_clt_dev.open_lock	mutex, one OPEN of a device at a time
 * rnbd_clt_sess.mutex		mutex, a session comes, goes, gets or loses a device
 * list of sessions		mutex, in rnbd-clt.c; for its list and user counts
 * rnbd_clt_sess.lock		spinlock, irqs off; states of devices, link events
 *
 * Never wait for a sysfs folder to go while holding one of them: a writer in
 * that folder may be waiting for it.
 */
#ifndef RNBD_CLT_H
#define RNBD_CLT_H

#include <linux/blk-mq.h>
#include <linux/completion.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "rnbd-proto.h"
#include "rtrs/rtrs.h"

/* Longest time, in seconds, that I/O can be told to wait. */
#define RNBD_CLT_MAX_WAIT_SEC	86400

/* Most paths of one map_device line; a server takes no more for a session. */
#define RNBD_CLT_MAX_PATHS	128

/**
 * enum rnbd_clt_dev_state - where a device is in its life
 * @RNBD_CLT_DEV_INIT: being mapped, not open on the server yet
 * @RNBD_CLT_DEV_OPEN: open on the server, I/O flows
 * @RNBD_CLT_DEV_HELD: the server is lost, I/O waits for it, for a limited time
 * @RNBD_CLT_DEV_CLOSED: the server is lost or closed it, I/O fails
 * @RNBD_CLT_DEV_UNMAPPED: going away, for good
 *
 * rnbd_clt_dev_move() has the table of moves.
 */
enum rnbd_clt_dev_state {
	RNBD_CLT_DEV_INIT,
	RNBD_CLT_DEV_OPEN,
	RNBD_CLT_DEV_HELD,
	RNBD_CLT_DEV_CLOSED,
	RNBD_CLT_DEV_UNMAPPED,
};

/**
 * struct rnbd_clt_sess - a session with one server
 * @rtrs: the connection, NULL while there is none
 * @attrs: what it can do
 * @wanted_depth: the queue depth that was asked for when it was connected, or 0
 * @max_segments: scatterlist entries in each &struct rnbd_iu
 * @tag_set: its requests, shared by its devices; a tag is a chunk number
 * @idle_q: a queue on @tag_set that belongs to no device
 * @share_q: another, while there are several devices; it counts as active
 * @mutex: see below
 * @lock: see below
 * @devs: its devices, &rnbd_clt_dev.node
 * @losses: how often it has lost its last path; what was opened before counts
 *	for nothing after
 * @events: how often the server had something to say of some device
 * @boot_id: of the server it is connected to, or was
 * @up: it is connected, and has dealt with what it means that it is
 * @node: in the list of sessions
 * @users: devices and writers to map_device that hold it
 * @name: constant
 *
 * It is a name first of all: it is in the list from the first writer who wants
 * it to the last device or writer that lets it go. Whether it is connected is
 * another matter, decided under @mutex by whoever finds it so: the first to want
 * a device on it connects it, the last device to leave closes it. So a writer
 * that comes while it is being connected or closed waits for the outcome, and
 * there are no half sessions.
 *
 * @rtrs, @attrs, @wanted_depth, @max_segments, @tag_set and @idle_q are written under
 * @mutex, while no device is on @devs, and constant as long as one is. @share_q changes under
 * @mutex, @devs under @mutex and @lock. @losses, @events, @up, and states of the
 * devices, change under @lock. @boot_id is written under @mutex at first, then by link
 * events, one at a time. @node and @users belong to the lock of the list.
 */
struct rnbd_clt_sess {
	struct rtrs_clt_sess	*rtrs;
	struct rtrs_clt_attrs	attrs;
	unsigned int		wanted_depth;
	unsigned int		max_segments;
	struct blk_mq_tag_set	tag_set;
	struct request_queue	*idle_q;
	struct request_queue	*share_q;

	struct mutex		mutex; /* see below */
	spinlock_t		lock; /* see below */
	struct list_head	devs;
	unsigned int		losses;
	unsigned int		events;
	uuid_t			boot_id;
	bool			up;

	struct list_head	node;
	unsigned int		users;
	char			name[RNBD_NAME_LEN];
};

/**
 * struct rnbd_clt_dev - a mapped device
 * @rtrs: as its session's
 * @state: see rnbd_clt_dev_move()
 * @device_id: the server's number for it
 * @epoch: how often it has been opened; tells old answers from new ones
 * @hold_sec: how long I/O waits for a server that is lost; 0: not at all
 * @timeout_sec: how long a request waits for its answer; 0: for ever
 * @unflushed: writes have been acknowledged that may be in a volatile cache
 * @flushes: flushes under way that are to get them out of there
 * @sess: its session; valid from rnbd_clt_sess_join() to rnbd_clt_sess_leave()
 * @node: in &rnbd_clt_sess.devs
 * @gd: its disk; valid as long as @sess is
 * @minor_idx: the N of rnbdN, or -1
 * @added: @gd has been added
 * @access_mode: constant
 * @path: on the server; constant
 * @link_name: of its link in devices/, or NULL
 * @open_lock: one OPEN, and one change of size, at a time
 * @remote: the server has it open, unless the session has been lost since
 * @losses: &rnbd_clt_sess.losses when it was opened
 * @events: &rnbd_clt_sess.events, likewise
 * @offline_due: userspace is to be told that it is lost
 * @reopen_due: it is to be opened again
 * @look_due: the server is to be asked what it is now
 * @looked: jiffies, when it was asked last
 * @disowned: the server has closed it: an administrator is to remap it
 * @stale: it lost acknowledged writes: it is of no use to anybody
 * @unfit: what the server has by its name now cannot be used for it
 * @reopen_failed: how often it could not be opened again, one after the other
 * @recover_work: tells userspace, opens it again, on &rnbd_clt_wq
 * @held_since: jiffies, when HELD began
 * @hold_work: ends it
 * @forced: unmap has been forced: what is in flight need not be waited for
 * @cut: the session was cut off for its sake
 * @remove_work: takes it apart
 * @removed: done when that has happened
 * @kobj: the folder rnbd/ in that of the disk, and the reference count
 *
 * The first group is read by every request and written only when the device is
 * opened or changes state, under &rnbd_clt_sess.lock. @state OPEN is published
 * after @device_id and @epoch, which only change while no request can look at
 * them. @offline_due to @reopen_failed, @held_since, @forced and @cut change under
 * that lock too. @hold_sec and @timeout_sec are an administrator's.
 * @remote, @losses, @events and @unfit belong to whoever opens it (rnbd_clt_map() at first, then
 * who holds @open_lock), to the lock while it is open, and to @remove_work once
 * that has stopped the others.
 *
 * References: one for the mapping, which rnbd_clt_remove_work() or a failing
 * rnbd_clt_map() drops, and one of the disk, which outlives the mapping where
 * somebody still has it open. Each mapping also holds one on the module.
 */
struct rnbd_clt_dev {
	struct rtrs_clt_sess	*rtrs;
	enum rnbd_clt_dev_state	state;
	u32			device_id;
	u32			epoch;
	unsigned int		hold_sec;
	unsigned int		timeout_sec;

	bool			unflushed ____cacheline_aligned_in_smp;
	atomic_t		flushes;

	struct rnbd_clt_sess	*sess ____cacheline_aligned_in_smp;
	struct list_head	node;
	struct gendisk		*gd;
	int			minor_idx;
	bool			added;
	enum rnbd_access_mode	access_mode;
	char			*path;
	char			*link_name;

	struct mutex		open_lock; /* OPEN, size */
	bool			remote;
	unsigned int		losses;
	unsigned int		events;

	bool			offline_due;
	bool			reopen_due;
	bool			look_due;
	unsigned long		looked;
	bool			disowned;
	bool			stale;
	bool			unfit;
	unsigned int		reopen_failed;
	struct delayed_work	recover_work;
	unsigned long		held_since;
	struct delayed_work	hold_work;

	bool			forced;
	bool			cut;
	struct work_struct	remove_work;
	struct completion	removed;

	struct kobject		kobj;
};

/**
 * struct rnbd_clt_map_opts - what a line written to map_device asks for
 * @sessname: name of the session
 * @device_path: path on the server
 * @access_mode: how to open it
 * @nr_poll_queues: number of polled queues
 * @nr_poll_given: the line says so
 * @queue_depth: requests that can be under way, or 0 for what the server has
 * @hold_sec: how long I/O is to wait for a server that is lost
 * @timeout_sec: how long a request is to wait for its answer
 * @paths: addresses, for a session that does not exist yet
 * @path_cnt: number of @paths
 * @path_err: what is wrong with them, of no interest to a session that exists
 */
struct rnbd_clt_map_opts {
	const char		*sessname;
	const char		*device_path;
	enum rnbd_access_mode	access_mode;
	unsigned int		nr_poll_queues;
	bool			nr_poll_given;
	unsigned int		queue_depth;
	unsigned int		hold_sec;
	unsigned int		timeout_sec;
	struct rtrs_path_addr	*paths;
	unsigned int		path_cnt;
	int			path_err;
};

extern struct workqueue_struct *rnbd_clt_wq;

/* rnbd-clt.c */

int rnbd_clt_map(const struct rnbd_clt_map_opts *opts);
int rnbd_clt_unmap_begin(struct rnbd_clt_dev *dev, bool force);
void rnbd_clt_unmap_finish(struct rnbd_clt_dev *dev, bool force);
void rnbd_clt_dev_release(struct kobject *kobj);

/* rnbd-clt-dev.c */

bool rnbd_clt_dev_move(struct rnbd_clt_dev *dev, enum rnbd_clt_dev_state to);
bool rnbd_clt_dev_lost(struct rnbd_clt_dev *dev, bool hold);
bool rnbd_clt_dev_back(struct rnbd_clt_dev *dev, bool rebooted);
void rnbd_clt_dev_set_hold(struct rnbd_clt_dev *dev, unsigned int sec);
bool rnbd_clt_dev_holds(const struct rnbd_clt_dev *dev);
void rnbd_clt_dev_disowned(struct rnbd_clt_dev *dev, u32 epoch);
int rnbd_clt_dev_go(struct rnbd_clt_dev *dev);
int rnbd_clt_dev_open_remote(struct rnbd_clt_dev *dev,
			     struct rnbd_dev_limits *rsp);
void rnbd_clt_dev_close_remote(struct rnbd_clt_dev *dev);
void rnbd_clt_dev_look_again(struct rnbd_clt_dev *dev);
void rnbd_clt_dev_uevent(struct rnbd_clt_dev *dev, enum kobject_action action);
int rnbd_clt_reopen(struct rnbd_clt_dev *dev);
int rnbd_clt_resize(struct rnbd_clt_dev *dev, u64 sectors);
void rnbd_clt_recover_work(struct work_struct *work);
void rnbd_clt_hold_work(struct work_struct *work);

/* rnbd-clt-io.c */

void rnbd_clt_set_timeout(struct rnbd_clt_dev *dev, unsigned int sec);
int rnbd_clt_alloc_tag_set(struct rnbd_clt_sess *sess);
void rnbd_clt_free_tag_set(struct rnbd_clt_sess *sess);
int rnbd_clt_share_tags(struct rnbd_clt_sess *sess);
void rnbd_clt_unshare_tags(struct rnbd_clt_sess *sess);
bool rnbd_clt_limits_ok(const struct rnbd_dev_limits *rsp);
void rnbd_clt_set_limits(struct queue_limits *lim,
			 const struct rnbd_clt_sess *sess,
			 const struct rnbd_dev_limits *rsp);
sector_t rnbd_clt_whole_blocks(u64 sectors, unsigned int block_size);

/* rnbd-clt-adm.c */

int rnbd_clt_sess_info(struct rtrs_clt_sess *rtrs);
void rnbd_clt_sess_info_nowait(struct rtrs_clt_sess *rtrs);
int rnbd_clt_send_open(struct rnbd_clt_dev *dev, unsigned int losses,
		       bool again, struct rnbd_dev_limits *rsp);
int rnbd_clt_send_close(struct rnbd_clt_dev *dev, unsigned int losses,
			u32 device_id);

/* rnbd-clt-sysfs.c */

extern const struct kobj_type rnbd_clt_dev_ktype;

int rnbd_clt_sysfs_init(void);
void rnbd_clt_sysfs_exit(void);
int rnbd_clt_sysfs_add_dev(struct rnbd_clt_dev *dev);
int rnbd_clt_sysfs_add_unmap(struct rnbd_clt_dev *dev);
void rnbd_clt_sysfs_del_dev(struct rnbd_clt_dev *dev);

#endif /* RNBD_CLT_H */
