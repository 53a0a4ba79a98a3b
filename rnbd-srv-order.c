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
 * All writes of a device are in one interval tree, and reads that wait. A request counts
 * the writes that it overlaps when it comes: all of these came before it. A write that
 * ends is one less for those that came after it and overlap it, and who has none left is
 * carried out: so two that overlap are carried out in the order in which they came, even
 * if both had to wait. A device that has no write under way costs a read nothing.
 *
 * A client that does its worst has all its requests overlap each other. Each then takes
 * as many steps as there are others, with the device's lock held, but no more.
 *
 * Requests of one client overlap only if its user does not care which comes first
 * (or if it sends a request again), so no honest user is slowed down by this.
 */
#include <linux/interval_tree_generic.h>

#include "rnbd-srv.h"

/* rnbd_srv_order_entry.state */
#define RNBD_SRV_PARKED	BIT(0)	/* behind earlier writes */
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

/* The first of those in the tree that @entry overlaps, or the next. */
static struct rnbd_srv_order_entry *
rnbd_srv_order_first(struct rnbd_srv_order *order,
		     const struct rnbd_srv_order_entry *entry)
{
	return rnbd_srv_tree_iter_first(&order->tree, entry->start, entry->last);
}

static struct rnbd_srv_order_entry *
rnbd_srv_order_next(struct rnbd_srv_order_entry *e,
		    const struct rnbd_srv_order_entry *entry)
{
	return rnbd_srv_tree_iter_next(e, entry->start, entry->last);
}

/* How many writes that came before it does it overlap? It is not in the tree yet. */
static unsigned int
rnbd_srv_order_count(struct rnbd_srv_order *order,
		     const struct rnbd_srv_order_entry *entry)
{
	struct rnbd_srv_order_entry *e;
	unsigned int n = 0;

	for (e = rnbd_srv_order_first(order, entry); e;
	     e = rnbd_srv_order_next(e, entry))
		n += e->write;
	return n;
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
	unsigned long flags;

	atomic_set(&entry->state, 0);
	entry->queued = false;
	/* whatever it might have to wait for came in long ago */
	if (!sectors ||
	    (!write && !READ_ONCE(order->tree.rb_root.rb_node)))
		return;

	entry->start = sector;
	entry->last = sector + sectors - 1;
	entry->write = write;

	spin_lock_irqsave(&order->lock, flags);
	entry->seq = order->seq++;
	entry->waits_for = rnbd_srv_order_count(order, entry);
	if (entry->waits_for)
		atomic_set(&entry->state, RNBD_SRV_PARKED);
	/* nobody waits for a read */
	entry->queued = write || entry->waits_for;
	if (entry->queued)
		rnbd_srv_tree_insert(entry, &order->tree);
	spin_unlock_irqrestore(&order->lock, flags);
}

/**
 * rnbd_srv_order_ready() - may a request be carried out?
 * @entry: the request's
 *
 * Context: any.
 * Return: true if so; if not, rnbd_srv_order_end() of the last that it waits for will
 * have it carried out.
 */
bool rnbd_srv_order_ready(struct rnbd_srv_order_entry *entry)
{
	return !(atomic_fetch_or(RNBD_SRV_CALLED, &entry->state) &
		 RNBD_SRV_PARKED);
}

/* A write has ended, and left the tree: some of those after it need not wait any more. */
static void rnbd_srv_order_unpark(struct rnbd_srv_order *order,
				  const struct rnbd_srv_order_entry *entry,
				  struct list_head *ready)
{
	struct rnbd_srv_order_entry *e;

	for (e = rnbd_srv_order_first(order, entry); e;
	     e = rnbd_srv_order_next(e, entry))
		if (e->seq > entry->seq && !--e->waits_for)
			list_add_tail(&e->ready, ready);
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
	if (entry->write)
		rnbd_srv_order_unpark(order, entry, &ready);
	spin_unlock_irqrestore(&order->lock, flags);

	/* each may have ended, and be another's, once it is not parked any more */
	list_for_each_entry_safe(e, tmp, &ready, ready) {
		struct rtrs_srv_op *op = e->op;

		list_del(&e->ready);
		if (atomic_fetch_andnot(RNBD_SRV_PARKED, &e->state) &
		    RNBD_SRV_CALLED)
			rtrs_srv_carry_on(op);
	}
}

#ifdef CONFIG_RNBD_KUNIT_TEST
#include "rnbd-srv-order-test.c"
#endif
