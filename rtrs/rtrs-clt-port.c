// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a client does when a port of its own goes down or comes up.
 *
 * A request that waits for its answer on a port that is down would wait until the
 * heartbeat gives up. So if the session has a path on a port that is up, the one
 * on the dead port is given up at once, and its requests go there. Without such a
 * path it is kept: if the port comes back soon, nothing has happened.
 *
 * A port that has come up, or a new device, is a reason to try all paths that are
 * down again, and not to wait for their turn.
 *
 * Events come from a workqueue of the RDMA core.
 */
#include <rdma/ib_cache.h>

#include "rtrs-clt.h"

static DEFINE_MUTEX(rtrs_clt_sessions_lock);
static LIST_HEAD(rtrs_clt_sessions);

/* Under RCU. A path's device stays for as long as somebody can see it connected. */
static bool rtrs_clt_port_is_up(const struct rtrs_clt_path *path)
{
	enum ib_port_state state;

	return !ib_get_cached_port_state(path->dev, path->hca_port, &state) &&
	       state == IB_PORT_ACTIVE;
}

static bool rtrs_clt_sess_has_port_up(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	list_for_each_entry_rcu(path, &sess->paths, entry)
		if (rtrs_clt_path_connected(path) && rtrs_clt_port_is_up(path))
			return true;
	return false;
}

/**
 * rtrs_clt_ports_review() - give up paths on dead ports, if there are others
 * @sess: the session, a port or path of which has changed
 *
 * Context: any.
 */
void rtrs_clt_ports_review(struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	guard(rcu)();
	if (!rtrs_clt_sess_has_port_up(sess))
		return;
	list_for_each_entry_rcu(path, &sess->paths, entry)
		if (rtrs_clt_path_connected(path) && !rtrs_clt_port_is_up(path))
			rtrs_clt_path_failed(path, "port", "it is down");
}

static void rtrs_clt_review_all(void)
{
	struct rtrs_clt_sess *sess;

	guard(mutex)(&rtrs_clt_sessions_lock);
	list_for_each_entry(sess, &rtrs_clt_sessions, node)
		rtrs_clt_ports_review(sess);
}

static void rtrs_clt_kick_all(void)
{
	struct rtrs_clt_sess *sess;

	guard(mutex)(&rtrs_clt_sessions_lock);
	list_for_each_entry(sess, &rtrs_clt_sessions, node)
		rtrs_clt_sess_kick(sess);
}

static void rtrs_clt_port_event(struct ib_event_handler *handler,
				struct ib_event *ev)
{
	switch (ev->event) {
	case IB_EVENT_PORT_ERR:
		rtrs_clt_review_all();
		break;
	case IB_EVENT_PORT_ACTIVE:
	case IB_EVENT_GID_CHANGE:
	case IB_EVENT_LID_CHANGE:
	case IB_EVENT_SM_CHANGE:
		rtrs_clt_kick_all();
		break;
	default:
		break;
	}
}

static struct ib_client rtrs_clt_ib_client;

static int rtrs_clt_device_add(struct ib_device *dev)
{
	struct ib_event_handler *handler = kzalloc(sizeof(*handler),
						   GFP_KERNEL);

	if (!handler)
		return -ENOMEM;
	INIT_IB_EVENT_HANDLER(handler, dev, rtrs_clt_port_event);
	ib_set_client_data(dev, &rtrs_clt_ib_client, handler);
	ib_register_event_handler(handler);
	rtrs_clt_kick_all();
	return 0;
}

/* The paths on it are told by the connection manager. */
static void rtrs_clt_device_remove(struct ib_device *dev, void *client_data)
{
	struct ib_event_handler *handler = client_data;

	ib_unregister_event_handler(handler);
	kfree(handler);
}

static struct ib_client rtrs_clt_ib_client = {
	.name	= "rtrs_client",
	.add	= rtrs_clt_device_add,
	.remove	= rtrs_clt_device_remove,
};

/**
 * rtrs_clt_ports_watch() - let a session know of ports from now on
 * @sess: the session
 *
 * Context: process.
 */
void rtrs_clt_ports_watch(struct rtrs_clt_sess *sess)
{
	guard(mutex)(&rtrs_clt_sessions_lock);
	list_add_tail(&sess->node, &rtrs_clt_sessions);
}

/**
 * rtrs_clt_ports_unwatch() - let it know no more
 * @sess: the session
 *
 * Context: process.
 */
void rtrs_clt_ports_unwatch(struct rtrs_clt_sess *sess)
{
	guard(mutex)(&rtrs_clt_sessions_lock);
	list_del(&sess->node);
}

/**
 * rtrs_clt_ports_init() - start to listen to all devices' events
 *
 * Context: process.
 * Return: 0 or a negative errno.
 */
int rtrs_clt_ports_init(void)
{
	return ib_register_client(&rtrs_clt_ib_client);
}

/**
 * rtrs_clt_ports_exit() - stop that
 *
 * Context: process.
 */
void rtrs_clt_ports_exit(void)
{
	ib_unregister_client(&rtrs_clt_ib_client);
}
