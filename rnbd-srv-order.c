// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * RNBD server: no request overtakes a write to the same sectors.
 *
 * A client whose path dies sends its requests again, or is told that they have
 * failed, and goes on: it may write the same sectors once more, over another
 * path, through another session, even from another machine. What it had sent
 * before can still be in the block layer of this machine, and would reach the
 * disk last if the disk is slow enough. So whatever comes in waits for the writes
 * that came before it, over whatever path, and that overlap it.
 *
 * All writes of a device are in one interval tree. Each request has a number, in the order in which
 * they came. One that overlaps an earlier write is parked behind it, and looks
 * again when that one has ended: so two that overlap are carried out in the order
 * in which they came, even if both had to wait. A device that has no write under
 * way costs a read nothing.
 *
 * Requests of one client overlap only if its user does not care which comes first
 * (or if it sends a request again), so no honest user is slowed down by this.
 */
#include <linux/interval_tree_generic.h>

#include "rnbd-srv.h"

/* rnbd_srv_order_entry.state */
#define RNBD_SRV_PARKED	BIT(0)	/* behind an earlier write */
#define RNBD_SRV_CALLED	BIT(1)	/* could be carried out otherwise */

#define ENTRY_START(entry) ((entry)->start)
#define ENTRY_LAST(entry) ((entry)->last)

INTERVAL_TREE_DEFINE(struct rnbd_srv_order_entry, rb, u64, subtree_last,
		     ENTRY_START, ENTRY_LAST, static, rnbd_srv_tree)

/**
 * rnbd_srv_order_init() - set up the order of a device's requests
 * @order: to be set up
 */
void rnbd_srv_order_init(struct rnbd_srv_order *order)
{
	spin_lock_init(&order->lock);
	order->tree = RB_ROOT_CACHED;
	order->seq = 0;
}

static struct rnbd_srv_order_entry *
rnbd_srv_order_find(struct rnbd_srv_order *order,
		    const struct rnbd_srv_order_entry *entry)
{
	struct rnbd_srv_order_entry *e;

	for (e = rnbd_srv_tree_iter_first(&order->tree, entry->start,
					  entry->last); e;
	     e = rnbd_srv_tree_iter_next(e, entry->start, entry->last))
		if (e->seq < entry->seq)
			return e;
	return NULL;
}

/**
 * rnbd_srv_order_begin() - a request has come
 * @order: of its device
 * @entry: the request's; in use until rnbd_srv_order_end()
 * @sector: where it begins
 * @sectors: how many; for none there is no order
 * @write: it changes them
 *
 * Context: any.
 */
void rnbd_srv_order_begin(struct rnbd_srv_order *order,
			  struct rnbd_srv_order_entry *entry, sector_t sector,
			  u32 sectors, bool write)
{
	struct rnbd_srv_order_entry *earlier;
	unsigned long flags;

	atomic_set(&entry->state, 0);
	entry->queued = false;
	/* whatever it might have to wait for came in long ago */
	if (!sectors ||
	    (!write && !READ_ONCE(order->tree.rb_root.rb_node)))
		return;

	entry->start = sector;
	entry->last = sector + sectors - 1;
	INIT_LIST_HEAD(&entry->waiters);

	spin_lock_irqsave(&order->lock, flags);
	entry->seq = order->seq++;
	earlier = rnbd_srv_order_find(order, entry);
	if (earlier) {
		atomic_set(&entry->state, RNBD_SRV_PARKED);
		list_add_tail(&entry->wait, &earlier->waiters);
	}
	/* nobody waits for a read */
	entry->queued = write;
	if (entry->queued)
		rnbd_srv_tree_insert(entry, &order->tree);
	spin_unlock_irqrestore(&order->lock, flags);
}

/**
 * rnbd_srv_order_ready() - may a request be carried out?
 * @entry: the request's
 *
 * Context: any.
 * Return: true if so; if not, rnbd_srv_order_end() of what it waits for will have
 * it carried out.
 */
bool rnbd_srv_order_ready(struct rnbd_srv_order_entry *entry)
{
	return !(atomic_fetch_or(RNBD_SRV_CALLED, &entry->state) &
		 RNBD_SRV_PARKED);
}

/* Those that waited for @entry look again; some need not wait any more. */
static void rnbd_srv_order_unpark(struct rnbd_srv_order *order,
				  struct rnbd_srv_order_entry *entry,
				  struct list_head *ready)
{
	struct rnbd_srv_order_entry *e, *tmp, *earlier;

	list_for_each_entry_safe(e, tmp, &entry->waiters, wait) {
		earlier = rnbd_srv_order_find(order, e);
		list_move_tail(&e->wait, earlier ? &earlier->waiters : ready);
	}
}

/**
 * rnbd_srv_order_end() - a request has ended
 * @order: of its device
 * @entry: the request's; may be used again afterwards
 *
 * Context: any.
 */
void rnbd_srv_order_end(struct rnbd_srv_order *order,
			struct rnbd_srv_order_entry *entry)
{
	struct rnbd_srv_order_entry *e, *tmp;
	unsigned long flags;
	LIST_HEAD(ready);

	if (!entry->queued)
		return;
	spin_lock_irqsave(&order->lock, flags);
	rnbd_srv_tree_remove(entry, &order->tree);
	rnbd_srv_order_unpark(order, entry, &ready);
	spin_unlock_irqrestore(&order->lock, flags);

	/* each may have ended, and be another's, once it is not parked any more */
	list_for_each_entry_safe(e, tmp, &ready, wait) {
		struct rtrs_srv_op *op = e->op;

		list_del(&e->wait);
		if (atomic_fetch_andnot(RNBD_SRV_PARKED, &e->state) &
		    RNBD_SRV_CALLED)
			rtrs_srv_carry_on(op);
	}
}

#ifdef CONFIG_RNBD_KUNIT_TEST
#include "rnbd-srv-order-test.c"
#endif
