// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How a path is chosen for a request.
 *
 * Each policy is one function that walks the session's paths under RCU and
 * returns a connected one. None takes a lock or writes memory that all CPUs
 * share; so what they count is what one hardware queue has under way, which is
 * as good as the whole where every queue does its part.
 */
#include <linux/string.h>

#include "rtrs-clt.h"

static struct rtrs_clt_path *rtrs_clt_select_rr(struct rtrs_clt_sess *sess,
						unsigned int queue)
{
	struct rtrs_clt_path *path, *first = NULL;
	unsigned int turn = this_cpu_inc_return(*sess->rr), nr = 0;

	list_for_each_entry_rcu(path, &sess->paths, entry)
		nr += rtrs_clt_path_connected(path);
	if (!nr)
		return NULL;
	turn %= nr;
	list_for_each_entry_rcu(path, &sess->paths, entry) {
		if (!rtrs_clt_path_connected(path))
			continue;
		if (!turn--)
			return path;
		first = first ?: path;
	}
	/* a path has gone between the two walks */
	return first;
}

static struct rtrs_clt_path *rtrs_clt_select_mi(struct rtrs_clt_sess *sess,
						unsigned int queue)
{
	unsigned int cid = rtrs_clt_cid(sess, queue);
	struct rtrs_clt_path *path, *best = NULL;
	int least = INT_MAX;

	list_for_each_entry_rcu(path, &sess->paths, entry) {
		int inflight;

		if (!rtrs_clt_path_connected(path))
			continue;
		inflight = atomic_read(&path->cons[cid]->c.inflight);
		if (inflight < least) {
			least = inflight;
			best = path;
		}
	}
	return best;
}

static struct rtrs_clt_path *rtrs_clt_select_ml(struct rtrs_clt_sess *sess,
						unsigned int queue)
{
	struct rtrs_clt_path *path, *best = NULL;
	u64 least = U64_MAX;

	list_for_each_entry_rcu(path, &sess->paths, entry) {
		u64 latency;

		if (!rtrs_clt_path_connected(path))
			continue;
		latency = READ_ONCE(path->hb.latency_ns);
		if (latency < least) {
			least = latency;
			best = path;
		}
	}
	return best;
}

static const struct rtrs_clt_policy rtrs_clt_policies[] = {
	{ "round-robin",  "RR", rtrs_clt_select_rr },
	{ "min-inflight", "MI", rtrs_clt_select_mi },
	{ "min-latency",  "ML", rtrs_clt_select_ml },
};

const struct rtrs_clt_policy *const rtrs_clt_default_policy =
	&rtrs_clt_policies[1];

/**
 * rtrs_clt_policy_index() - the number of a policy
 * @policy: the policy
 *
 * Return: the number that rtrs_clt_policy_find() takes too.
 */
int rtrs_clt_policy_index(const struct rtrs_clt_policy *policy)
{
	return policy - rtrs_clt_policies;
}

/**
 * rtrs_clt_policy_find() - find a policy
 * @name: its long name, its short name in either case, or its number
 *
 * Return: the policy, or NULL.
 */
const struct rtrs_clt_policy *rtrs_clt_policy_find(const char *name)
{
	unsigned int i, nr;

	for (i = 0; i < ARRAY_SIZE(rtrs_clt_policies); i++)
		if (sysfs_streq(name, rtrs_clt_policies[i].name) ||
		    (!strncasecmp(name, rtrs_clt_policies[i].abbrev, 2) &&
		     (!name[2] || sysfs_streq(name + 2, ""))))
			return &rtrs_clt_policies[i];
	if (kstrtouint(name, 10, &nr) || nr >= ARRAY_SIZE(rtrs_clt_policies))
		return NULL;
	return &rtrs_clt_policies[nr];
}
