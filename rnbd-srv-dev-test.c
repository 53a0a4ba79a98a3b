// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rnbd-srv-dev.c, which includes this file: where a client's device
 * is, and who may open one that others have open.
 */
#include <kunit/test.h>

/* --------------------------------------------------------------- paths ----- */

struct search_case {
	const char	*name;
	const char	*search;
	const char	*dev_name;
	const char	*want;		/* NULL for -EINVAL; the session is "blya" */
};

static const struct search_case searches[] = {
	{ "the root",			"/", "dev/sda", "/dev/sda" },
	{ "a folder",			"/dev", "sda", "/dev/sda" },
	{ "a folder with a slash",	"/dev/", "sda", "/dev/sda" },
	{ "a name with a slash",	"/dev", "/sda", "/dev/sda" },
	{ "both with a slash",		"/dev/", "/sda", "/dev/sda" },
	{ "many slashes",		"//dev///", "///vg0//home", "/dev/vg0/home" },
	{ "a slash at the end",		"/dev", "sda/", "/dev/sda/" },
	{ "below a folder",		"/dev", "vg0/home", "/dev/vg0/home" },
	{ "no name",			"/dev", "", "/dev/" },
	{ "a folder of the session's",	"/run/%SESSNAME%", "sda", "/run/blya/sda" },
	{ "and text behind it",		"/run/%SESSNAME%/disks", "sda",
	  "/run/blya/disks/sda" },
	{ "twice",			"/%SESSNAME%/%SESSNAME%", "sda", "/blya/blya/sda" },
	{ "part of a folder's name",	"/run/x%SESSNAME%y", "sda", "/run/xblyay/sda" },
	{ "not quite the mark",		"/run/%sessname%", "sda", "/run/%sessname%/sda" },
	{ "half of the mark",		"/run/%SESSNAME", "sda", "/run/%SESSNAME/sda" },
	{ "the mark in the device",	"/run", "%SESSNAME%", "/run/%SESSNAME%" },
	{ "a dot in the name",		"/dev", "a.b", "/dev/a.b" },
	{ "a dot",			"/dev", "./sda", "/dev/./sda" },
	{ "dots in the search path",	"/dev/../run", "sda", "/dev/../run/sda" },
	{ "dot dot",			"/dev", "..", NULL },
	{ "out of its folder",		"/dev", "../etc/passwd", NULL },
	{ "out of it, from below",	"/dev", "a/../../etc", NULL },
	{ "three dots",			"/dev", "...", NULL },
	{ "dots in a name",		"/dev", "a..b", NULL },
	{ "dots at the end",		"/dev", "sda..", NULL },
};

KUNIT_ARRAY_PARAM_DESC(search, searches, name);

static void path_is_below_the_search_path(struct kunit *test)
{
	const struct search_case *c = test->param_value;
	struct rnbd_srv_path *path = kunit_kzalloc(test, sizeof(*path), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, path);
	KUNIT_ASSERT_EQ(test, rnbd_srv_path_set(path, c->search, "blya", c->dev_name),
			c->want ? 0 : -EINVAL);
	if (c->want)
		KUNIT_EXPECT_STREQ(test, path->str, c->want);
}

/* PATH_MAX is with the NUL at the end. */
static void path_has_a_limit(struct kunit *test)
{
	struct rnbd_srv_path *path = kunit_kzalloc(test, sizeof(*path), GFP_KERNEL);
	char *search = kunit_kzalloc(test, PATH_MAX + 8, GFP_KERNEL);
	size_t len;

	KUNIT_ASSERT_NOT_NULL(test, path);
	KUNIT_ASSERT_NOT_NULL(test, search);
	memset(search, 'a', PATH_MAX - 9);
	search[0] = '/';
	for (len = PATH_MAX - 9; len < PATH_MAX + 4; len++) {
		/* with "/sda" and a NUL */
		KUNIT_EXPECT_EQ_MSG(test, rnbd_srv_path_set(path, search, "s", "sda"),
				    len + 5 <= PATH_MAX ? 0 : -EINVAL, "%zu bytes",
				    len);
		search[len] = 'a';
	}
}

static void path_has_a_limit_with_names_of_sessions(struct kunit *test)
{
	struct rnbd_srv_path *path = kunit_kzalloc(test, sizeof(*path), GFP_KERNEL);
	char *search = kunit_kzalloc(test, 1024, GFP_KERNEL);
	char *sess = kunit_kzalloc(test, 256, GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, path);
	KUNIT_ASSERT_NOT_NULL(test, search);
	KUNIT_ASSERT_NOT_NULL(test, sess);
	memset(sess, 's', 254);
	for (i = 0; i < 80; i++)
		strcat(search, "/%SESSNAME%");
	KUNIT_EXPECT_EQ(test, rnbd_srv_path_set(path, search, sess, "sda"), -EINVAL);
}

/* ------------------------------------------------------------ who may open -- */

#define RO	RNBD_ACCESS_RO
#define RW	RNBD_ACCESS_RW
#define MIG	RNBD_ACCESS_MIGRATION

struct may_open_case {
	const char		*name;
	unsigned int		nr;		/* others that have it open */
	enum rnbd_access_mode	others[3];
	enum rnbd_access_mode	mode;
	int			err;
};

static const struct may_open_case may_opens[] = {
	{ "nobody, ro",			0, { }, RO, 0 },
	{ "nobody, rw",			0, { }, RW, 0 },
	{ "nobody, migration",		0, { }, MIG, 0 },
	{ "ro, ro",			1, { RO }, RO, 0 },
	{ "ro, rw",			1, { RO }, RW, 0 },
	{ "ro, migration",		1, { RO }, MIG, 0 },
	{ "rw, ro",			1, { RW }, RO, 0 },
	{ "rw, rw",			1, { RW }, RW, -EPERM },
	{ "rw, migration",		1, { RW }, MIG, 0 },
	{ "migration, ro",		1, { MIG }, RO, 0 },
	{ "migration, rw",		1, { MIG }, RW, -EPERM },
	{ "migration, migration",	1, { MIG }, MIG, 0 },
	{ "ro and ro, rw",		2, { RO, RO }, RW, 0 },
	{ "ro and ro, migration",	2, { RO, RO }, MIG, 0 },
	{ "ro and rw, rw",		2, { RO, RW }, RW, -EPERM },
	{ "ro and rw, migration",	2, { RO, RW }, MIG, 0 },
	{ "rw and migration, ro",	2, { RW, MIG }, RO, 0 },
	{ "rw and migration, rw",	2, { RW, MIG }, RW, -EPERM },
	{ "rw and migration, migration", 2, { RW, MIG }, MIG, -EPERM },
	{ "migration twice, migration",	2, { MIG, MIG }, MIG, -EPERM },
	{ "ro and migration twice, migration", 3, { RO, MIG, MIG }, MIG, -EPERM },
	{ "ro and migration twice, ro",	3, { RO, MIG, MIG }, RO, 0 },
	{ "ro twice and rw, migration",	3, { RO, RO, RW }, MIG, 0 },
};

KUNIT_ARRAY_PARAM_DESC(may_open, may_opens, name);

static struct rnbd_srv_sess_dev *dev_test_add(struct kunit *test,
					      struct rnbd_srv_dev *dev,
					      const char *sessname,
					      enum rnbd_access_mode mode)
{
	struct rnbd_srv_sess *sess;
	struct rnbd_srv_sess_dev *sess_dev;

	sess = kunit_kzalloc(test, struct_size(sess, name, 16), GFP_KERNEL);
	sess_dev = kunit_kzalloc(test, sizeof(*sess_dev), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, sess);
	KUNIT_ASSERT_NOT_NULL(test, sess_dev);
	memcpy(sess->name, sessname, strlen(sessname) + 1);
	sess_dev->sess = sess;
	sess_dev->mode = mode;
	INIT_LIST_HEAD(&sess_dev->entry);
	if (dev)
		list_add_tail(&sess_dev->entry, &dev->sess_devs);
	return sess_dev;
}

static struct rnbd_srv_dev *dev_test_dev(struct kunit *test)
{
	struct rnbd_srv_dev *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	INIT_LIST_HEAD(&dev->sess_devs);
	return dev;
}

static void one_writes_or_two_while_migrating(struct kunit *test)
{
	static const char * const names[] = { "a", "b", "c" };
	const struct may_open_case *c = test->param_value;
	struct rnbd_srv_dev *dev = dev_test_dev(test);
	unsigned int i;

	for (i = 0; i < c->nr; i++)
		dev_test_add(test, dev, names[i], c->others[i]);
	KUNIT_EXPECT_EQ(test, rnbd_srv_may_open(dev, dev_test_add(test, NULL, "new",
								  c->mode)),
			c->err);
}

static void session_opens_a_device_by_one_name(struct kunit *test)
{
	struct rnbd_srv_dev *dev = dev_test_dev(test);

	dev_test_add(test, dev, "a", RO);
	KUNIT_EXPECT_EQ(test, rnbd_srv_may_open(dev, dev_test_add(test, NULL, "a",
								  RO)), -EEXIST);
	KUNIT_EXPECT_EQ(test, rnbd_srv_may_open(dev, dev_test_add(test, NULL, "aa",
								  RO)), 0);
}

#undef RO
#undef RW
#undef MIG

static struct kunit_case rnbd_srv_dev_cases[] = {
	KUNIT_CASE_PARAM(path_is_below_the_search_path, search_gen_params),
	KUNIT_CASE(path_has_a_limit),
	KUNIT_CASE(path_has_a_limit_with_names_of_sessions),
	KUNIT_CASE_PARAM(one_writes_or_two_while_migrating, may_open_gen_params),
	KUNIT_CASE(session_opens_a_device_by_one_name),
	{}
};

static struct kunit_suite rnbd_srv_dev_suite = {
	.name		= "rnbd-srv-dev",
	.test_cases	= rnbd_srv_dev_cases,
};

kunit_test_suite(rnbd_srv_dev_suite);
