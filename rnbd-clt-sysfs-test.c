// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rnbd-clt-sysfs.c, which includes this file: what a line written to
 * map_device means, and with which errno others are refused.
 */
#include <kunit/test.h>
#include <linux/in.h>

/* L64 L64 L64 L62 is the longest name there can be */
#define L64	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L62	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

#define SESS	"sessname=s "
#define DEV	"device_path=d "
#define BOTH	"sessname=s device_path=d "

struct line_case {
	const char	*name;
	const char	*text;
	int		err;
};

static const struct line_case line_cases[] = {
	{ "the least",			"sessname=s device_path=d", 0 },
	{ "in the other order",		"device_path=d sessname=s", 0 },
	{ "with a line break",		"sessname=s device_path=d\n", 0 },
	{ "with many blanks",		"   sessname=s \t  device_path=d  \t", 0 },
	{ "with a path",		BOTH "path=ip:10.0.0.1", 0 },
	{ "with two paths",		BOTH "path=ip:10.0.0.1 path=ip:10.0.1.1", 0 },
	{ "with two line breaks",	"sessname=s\ndevice_path=d\n\n", 0 },
	{ "with other keys",		BOTH "dest_port=1 access_mode=ro nr_poll_queues=0", 0 },
	{ "with the other keys",	BOTH "io_hold_sec=1 io_timeout_sec=1", 0 },
	{ "a key twice, the last counts", BOTH "sessname=t device_path=e", 0 },
	{ "a path that is none, which may be of no interest", BOTH "path=x", 0 },

	{ "nothing",			"", -EINVAL },
	{ "a line break",		"\n", -EINVAL },
	{ "blanks",			"  \t ", -EINVAL },
	{ "no session",			DEV, -EINVAL },
	{ "no device",			SESS, -EINVAL },
	{ "a word",			BOTH "word", -EINVAL },
	{ "an unknown key",		BOTH "key=1", -EINVAL },
	{ "a key in capitals",		BOTH "PATH=ip:10.0.0.1", -EINVAL },
	{ "part of a key",		BOTH "access=ro", -EINVAL },
	{ "more than a key",		BOTH "access_modes=ro", -EINVAL },
	{ "no key",			BOTH "=ro", -EINVAL },
	{ "a blank before the value",	BOTH "access_mode= ro", -EINVAL },
	{ "a blank before the sign",	BOTH "access_mode =ro", -EINVAL },
	{ "a comma between",		"sessname=s,device_path=d", -EINVAL },

	{ "session without a name",	"sessname= " DEV, -EINVAL },
	{ "session with a slash",	"sessname=a/b " DEV, -EINVAL },
	{ "session with a dot",		"sessname=a.b " DEV, -EINVAL },
	{ "session named dot dot",	"sessname=.. " DEV, -EINVAL },
	{ "session with an at",		"sessname=a@b " DEV, 0 },
	{ "session with an equals sign", "sessname=a=b " DEV, 0 },
	{ "session with the longest name", "sessname=" L64 L64 L64 L62 " " DEV, 0 },
	{ "session with too long a name", "sessname=" L64 L64 L64 L62 "a " DEV, -EINVAL },

	{ "device without a name",	SESS "device_path=", -EINVAL },
	{ "device below a folder",	SESS "device_path=vg0/home", 0 },
	{ "device, absolute",		SESS "device_path=/dev/sda", 0 },
	{ "device with dots",		SESS "device_path=../sda", 0 },
	{ "device with the longest name", SESS "device_path=" L64 L64 L64 L62, 0 },
	{ "device with too long a name", SESS "device_path=" L64 L64 L64 L62 "a", -EINVAL },

	{ "mode ro",			BOTH "access_mode=ro", 0 },
	{ "mode rw",			BOTH "access_mode=rw", 0 },
	{ "mode migration",		BOTH "access_mode=migration", 0 },
	{ "mode nothing",		BOTH "access_mode=", -EINVAL },
	{ "mode RO",			BOTH "access_mode=RO", -EINVAL },
	{ "mode r",			BOTH "access_mode=r", -EINVAL },
	{ "mode rwx",			BOTH "access_mode=rwx", -EINVAL },
	{ "mode 1",			BOTH "access_mode=1", -EINVAL },

	{ "no poll queues",		BOTH "nr_poll_queues=0", 0 },
	{ "a poll queue",		BOTH "nr_poll_queues=1", 0 },
	{ "a poll queue a CPU",		BOTH "nr_poll_queues=-1", 0 },
	{ "less poll queues",		BOTH "nr_poll_queues=-2", -EINVAL },
	{ "more than there are CPUs",	BOTH "nr_poll_queues=65537", -EINVAL },
	{ "more than a number",		BOTH "nr_poll_queues=4294967296", -EINVAL },
	{ "poll queues, nothing",	BOTH "nr_poll_queues=", -EINVAL },
	{ "poll queues, a word",	BOTH "nr_poll_queues=all", -EINVAL },
	{ "poll queues, a half",	BOTH "nr_poll_queues=0.5", -EINVAL },

	{ "the least depth",		BOTH "queue_depth=2", 0 },
	{ "the largest depth",		BOTH "queue_depth=65535", 0 },
	{ "depth, hexadecimal",		BOTH "queue_depth=0x40", 0 },
	{ "depth 1, of which none is for I/O", BOTH "queue_depth=1", -EINVAL },
	{ "depth 0",			BOTH "queue_depth=0", -EINVAL },
	{ "depth, negative",		BOTH "queue_depth=-1", -EINVAL },
	{ "depth, too large",		BOTH "queue_depth=65536", -EINVAL },
	{ "depth, more than a number",	BOTH "queue_depth=4294967360", -EINVAL },
	{ "depth, nothing",		BOTH "queue_depth=", -EINVAL },
	{ "depth, a word",		BOTH "queue_depth=deep", -EINVAL },

	{ "hold, not at all",		BOTH "io_hold_sec=0", 0 },
	{ "hold, a day",		BOTH "io_hold_sec=86400", 0 },
	{ "hold, a day and a second",	BOTH "io_hold_sec=86401", -EINVAL },
	{ "hold, hexadecimal",		BOTH "io_hold_sec=0x10", 0 },
	{ "hold, negative",		BOTH "io_hold_sec=-1", -EINVAL },
	{ "hold, nothing",		BOTH "io_hold_sec=", -EINVAL },
	{ "hold, with a unit",		BOTH "io_hold_sec=1s", -EINVAL },
	{ "hold, for ever",		BOTH "io_hold_sec=4294967295", -EINVAL },
	{ "hold, and more",		BOTH "io_hold_sec=4294967296", -EINVAL },
	{ "timeout, none",		BOTH "io_timeout_sec=0", 0 },
	{ "timeout, a day",		BOTH "io_timeout_sec=86400", 0 },
	{ "timeout, a day and a second", BOTH "io_timeout_sec=86401", -EINVAL },
	{ "timeout, negative",		BOTH "io_timeout_sec=-5", -EINVAL },
	{ "timeout, a word",		BOTH "io_timeout_sec=soon", -EINVAL },
};

KUNIT_ARRAY_PARAM_DESC(line, line_cases, name);

/* What map_device_store() does with a line, but for mapping. */
static struct rnbd_clt_line *line_split(struct kunit *test, const char *text,
					int *err)
{
	struct rnbd_clt_line *line = kunit_kzalloc(test, sizeof(*line), GFP_KERNEL);
	/* what was read points into it */
	char *copy = kunit_kzalloc(test, strlen(text) + 1, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, line);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	memcpy(copy, text, strlen(text));
	line->opts.access_mode = RNBD_ACCESS_RW;
	*err = rnbd_clt_split_line(line, copy);
	return line;
}

static void line_has_its_errno(struct kunit *test)
{
	const struct line_case *c = test->param_value;
	int err;

	line_split(test, c->text, &err);
	KUNIT_EXPECT_EQ(test, err, c->err);
}

static void line_has_defaults(struct kunit *test)
{
	const struct rnbd_clt_map_opts *opts;
	int err;

	opts = &line_split(test, BOTH, &err)->opts;
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, opts->access_mode, RNBD_ACCESS_RW);
	KUNIT_EXPECT_EQ(test, opts->nr_poll_queues, 0U);
	KUNIT_EXPECT_FALSE(test, opts->nr_poll_given);
	KUNIT_EXPECT_EQ(test, opts->queue_depth, 0U);
	KUNIT_EXPECT_EQ(test, opts->hold_sec, 0U);
	KUNIT_EXPECT_EQ(test, opts->timeout_sec, 0U);
	KUNIT_EXPECT_EQ(test, opts->path_cnt, 0U);
}

static void line_sets_its_names(struct kunit *test)
{
	const struct rnbd_clt_map_opts *opts;
	int err;

	opts = &line_split(test, "sessname=blya device_path=vg0/a=b\n", &err)->opts;
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_STREQ(test, opts->sessname, "blya");
	KUNIT_EXPECT_STREQ(test, opts->device_path, "vg0/a=b");
}

struct mode_case {
	const char		*text;
	enum rnbd_access_mode	mode;
};

static const struct mode_case mode_cases[] = {
	{ BOTH "access_mode=ro",			RNBD_ACCESS_RO },
	{ BOTH "access_mode=rw",			RNBD_ACCESS_RW },
	{ BOTH "access_mode=migration",			RNBD_ACCESS_MIGRATION },
	{ BOTH "access_mode=ro access_mode=rw",		RNBD_ACCESS_RW },
	{ "access_mode=ro " BOTH,			RNBD_ACCESS_RO },
};

KUNIT_ARRAY_PARAM_DESC(mode, mode_cases, text);

static void line_sets_the_mode(struct kunit *test)
{
	const struct mode_case *c = test->param_value;
	int err;

	KUNIT_EXPECT_EQ(test, line_split(test, c->text, &err)->opts.access_mode,
			c->mode);
}

static void line_sets_the_times(struct kunit *test)
{
	const struct rnbd_clt_map_opts *opts;
	int err;

	opts = &line_split(test, BOTH "io_hold_sec=0x20 io_timeout_sec=010",
			   &err)->opts;
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, opts->hold_sec, 32U);
	KUNIT_EXPECT_EQ(test, opts->timeout_sec, 8U);
}

static void line_sets_the_depth(struct kunit *test)
{
	int err;

	KUNIT_EXPECT_EQ(test, line_split(test, BOTH "queue_depth=64",
					 &err)->opts.queue_depth, 64U);
	KUNIT_EXPECT_EQ(test, line_split(test, BOTH "queue_depth=64 queue_depth=0x20",
					 &err)->opts.queue_depth, 32U);
}

static void line_sets_poll_queues(struct kunit *test)
{
	const struct rnbd_clt_map_opts *opts;
	int err;

	opts = &line_split(test, BOTH "nr_poll_queues=-1", &err)->opts;
	KUNIT_EXPECT_EQ(test, opts->nr_poll_queues, num_online_cpus());
	KUNIT_EXPECT_TRUE(test, opts->nr_poll_given);
	opts = &line_split(test, BOTH "nr_poll_queues=0", &err)->opts;
	KUNIT_EXPECT_EQ(test, opts->nr_poll_queues, 0U);
	KUNIT_EXPECT_TRUE(test, opts->nr_poll_given);
}

static void line_keeps_its_paths_in_their_order(struct kunit *test)
{
	const struct rnbd_clt_line *line;
	int err;

	line = line_split(test, "path=a " SESS "path=b,c " DEV "path=d@e path=",
			  &err);
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_ASSERT_EQ(test, line->opts.path_cnt, 4U);
	KUNIT_EXPECT_STREQ(test, line->paths[0], "a");
	KUNIT_EXPECT_STREQ(test, line->paths[1], "b,c");
	KUNIT_EXPECT_STREQ(test, line->paths[2], "d@e");
	KUNIT_EXPECT_STREQ(test, line->paths[3], "");
}

static void line_has_room_for_the_most_paths(struct kunit *test)
{
	char *text = kunit_kzalloc(test, SZ_4K, GFP_KERNEL);
	unsigned int i, n, len;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, text);
	for (n = RNBD_CLT_MAX_PATHS; n <= RNBD_CLT_MAX_PATHS + 1; n++) {
		len = scnprintf(text, SZ_4K, BOTH);
		for (i = 0; i < n; i++)
			len += scnprintf(text + len, SZ_4K - len,
					 "path=ip:10.0.0.1 ");
		line_split(test, text, &err);
		KUNIT_EXPECT_EQ_MSG(test, err, n == RNBD_CLT_MAX_PATHS ? 0 : -EINVAL,
				    "%u paths", n);
	}
}

/* ---------------------------------------------------------------- paths ---- */

struct paths_case {
	const char	*name;
	const char	*text;
	int		err;
	u16		port;
};

#define P1	"path=ip:10.0.0.1 "

static const struct paths_case paths_cases[] = {
	{ "the default port",		P1, 0, 1234 },
	{ "a port",			P1 "dest_port=5678", 0, 5678 },
	{ "a port before the path",	"dest_port=5678 " P1, 0, 5678 },
	{ "port 1",			P1 "dest_port=1", 0, 1 },
	{ "the last port",		P1 "dest_port=65535", 0, 65535 },
	{ "a port in hexadecimal",	P1 "dest_port=0x10", 0, 16 },
	{ "two ports, the last counts",	P1 "dest_port=1 dest_port=2", 0, 2 },
	{ "port 0",			P1 "dest_port=0", -EINVAL },
	{ "a port too large",		P1 "dest_port=65536", -EINVAL },
	{ "a port far too large",	P1 "dest_port=4294967297", -EINVAL },
	{ "a negative port",		P1 "dest_port=-1", -EINVAL },
	{ "an empty port",		P1 "dest_port=", -EINVAL },
	{ "a port that is a word",	P1 "dest_port=rnbd", -EINVAL },
	{ "a bad port without a path",	"dest_port=0", -EINVAL },
	{ "a source",			"path=ip:10.0.0.2@ip:10.0.0.1", 0, 1234 },
	{ "no prefix",			"path=10.0.0.1", -EPROTONOSUPPORT },
	{ "an empty path",		"path=", -EPROTONOSUPPORT },
	{ "a bad source",		"path=x@ip:10.0.0.1", -EINVAL },
	{ "a bad address",		"path=ip:10.0.0.300", -EINVAL },
	{ "a good one and a bad one",	P1 "path=10.0.0.1", -EPROTONOSUPPORT },
};

KUNIT_ARRAY_PARAM_DESC(paths, paths_cases, name);

static void paths_are_read_with_the_port(struct kunit *test)
{
	const struct paths_case *c = test->param_value;
	struct rtrs_path_addr addr[2] = {};
	/* the port is at the same place for IPv4 and IPv6 */
	const struct sockaddr_in *dst = (const struct sockaddr_in *)&addr[0].dst;
	struct rnbd_clt_line *line;
	char text[128];
	int err;

	snprintf(text, sizeof(text), "%s%s", BOTH, c->text);
	line = line_split(test, text, &err);
	KUNIT_ASSERT_EQ(test, err, 0);
	line->opts.paths = addr;
	KUNIT_EXPECT_EQ(test, rnbd_clt_parse_paths(line), c->err);
	if (!c->err)
		KUNIT_EXPECT_EQ(test, c->port, be16_to_cpu(dst->sin_port));
}

static struct kunit_case rnbd_clt_sysfs_cases[] = {
	KUNIT_CASE_PARAM(line_has_its_errno, line_gen_params),
	KUNIT_CASE(line_has_defaults),
	KUNIT_CASE(line_sets_its_names),
	KUNIT_CASE_PARAM(line_sets_the_mode, mode_gen_params),
	KUNIT_CASE(line_sets_the_times),
	KUNIT_CASE(line_sets_the_depth),
	KUNIT_CASE(line_sets_poll_queues),
	KUNIT_CASE(line_keeps_its_paths_in_their_order),
	KUNIT_CASE(line_has_room_for_the_most_paths),
	KUNIT_CASE_PARAM(paths_are_read_with_the_port, paths_gen_params),
	{}
};

static struct kunit_suite rnbd_clt_sysfs_suite = {
	.name		= "rnbd-clt-sysfs",
	.test_cases	= rnbd_clt_sysfs_cases,
};

kunit_test_suite(rnbd_clt_sysfs_suite);
