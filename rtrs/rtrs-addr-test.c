// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KUnit tests of rtrs-addr.c: which addresses are understood, with which errno the
 * others are refused, and that an address that was read is written the same way.
 */
#include <kunit/test.h>
#include <rdma/ib.h>

#include "rtrs-pri.h"

#define PORT 1234

#define A64	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct addr_case {
	const char	*text;
	int		err;
	const char	*src;	/* as it is written; NULL for the text of the row */
	const char	*dst;
};

static const struct addr_case addr_cases[] = {
	{ "ip:10.0.0.1",		0, "", NULL },
	{ "ip:0.0.0.0",			0, "", NULL },
	{ "ip:255.255.255.255",		0, "", NULL },
	{ "ip:fd09:1::2",		0, "", NULL },
	{ "ip:::1",			0, "", NULL },
	{ "ip:::",			0, "", NULL },
	{ "ip:FD09:1::A",		0, "", "ip:fd09:1::a" },
	{ "ip:fd09:0001:0000:0:0:0:0:0002", 0, "", "ip:fd09:1::2" },
	{ "ip:::ffff:10.0.0.1",		0, "", "ip:::ffff:10.0.0.1" },
	{ "gid:fe80:0000:0000:0000:0002:c903:0010:c0d5", 0, "", NULL },
	{ "gid:fe80::2:c903:10:c0d5",	0, "",
	  "gid:fe80:0000:0000:0000:0002:c903:0010:c0d5" },
	{ "gid:::1",			0, "",
	  "gid:0000:0000:0000:0000:0000:0000:0000:0001" },
	{ "ip:10.0.0.1@ip:10.0.0.2",	0, "ip:10.0.0.1", "ip:10.0.0.2" },
	{ "ip:10.0.0.1,ip:10.0.0.2",	0, "ip:10.0.0.1", "ip:10.0.0.2" },
	{ "ip:fd09::1@ip:fd09::2",	0, "ip:fd09::1", "ip:fd09::2" },
	{ "ip:fd09::1,ip:fd09::2",	0, "ip:fd09::1", "ip:fd09::2" },
	{ "gid:::1@gid:::2",		0,
	  "gid:0000:0000:0000:0000:0000:0000:0000:0001",
	  "gid:0000:0000:0000:0000:0000:0000:0000:0002" },

	/* a destination that does not say what it is */
	{ "",				-EPROTONOSUPPORT },
	{ "10.0.0.1",			-EPROTONOSUPPORT },
	{ "ip",				-EPROTONOSUPPORT },
	{ "IP:10.0.0.1",		-EPROTONOSUPPORT },
	{ "Gid:::1",			-EPROTONOSUPPORT },
	{ "gi:::1",			-EPROTONOSUPPORT },
	{ "tcp:10.0.0.1",		-EPROTONOSUPPORT },
	{ " ip:10.0.0.1",		-EPROTONOSUPPORT },
	{ "ip:10.0.0.1@",		-EPROTONOSUPPORT },
	{ "ip:10.0.0.1@10.0.0.2",	-EPROTONOSUPPORT },
	{ "ip:10.0.0.1,",		-EPROTONOSUPPORT },

	/* one that says so, and is none */
	{ "ip:",			-EINVAL },
	{ "ip:host",			-EINVAL },
	{ "ip:10.0.0",			-EINVAL },
	{ "ip:10.0.0.1.2",		-EINVAL },
	{ "ip:10.0.0.256",		-EINVAL },
	{ "ip:10.0.0.-1",		-EINVAL },
	{ "ip:10.0.0.1:1234",		-EINVAL },
	{ "ip:10.0.0.1:",		-EINVAL },
	{ "ip:10.0.0.1::1",		-EINVAL },
	{ "ip:10.0.0.1/24",		-EINVAL },
	{ "ip:10.0.0.1 ",		-EINVAL },
	{ "ip:10.0.0.1\n",		-EINVAL },
	{ "ip:10.0.0.1\n10.0.0.2",	-EINVAL },
	{ "ip:fd09::1\n",		-EINVAL },
	{ "ip:fd09::1%x\n",		-EINVAL },
	{ "ip:fd09:::1",		-EINVAL },
	{ "ip:fd09::1::2",		-EINVAL },
	{ "ip:fd09:1:2:3:4:5:6",	-EINVAL },
	{ "ip:1:2:3:4:5:6:7:8:9",	-EINVAL },
	{ "ip:fd09::g",			-EINVAL },
	{ "ip:[fd09::1]",		-EINVAL },
	{ "gid:",			-EINVAL },
	{ "gid:10.0.0.1",		-EINVAL },
	{ "gid:fe80:0:0:0:2:c903:10",	-EINVAL },
	{ "gid:fe80::xyz",		-EINVAL },
	{ "gid:fe80::1 ",		-EINVAL },
	{ "gid:fe80::1/64",		-EINVAL },
	{ "gid:fe80::1%1",		-EINVAL },
	{ "gid:fe80::1\n",		-EINVAL },

	/* sources */
	{ "@ip:10.0.0.2",		-EINVAL },
	{ ",ip:10.0.0.2",		-EINVAL },
	{ "10.0.0.1@ip:10.0.0.2",	-EINVAL },
	{ "ip:10.0.0.1:1234@ip:10.0.0.2", -EINVAL },
	{ "gid:::1x@gid:::2",		-EINVAL },
	{ "ip:@ip:10.0.0.2",		-EINVAL },
	{ "ip:10.0.0.256@ip:10.0.0.2",	-EINVAL },
	{ "tcp:10.0.0.1@ip:10.0.0.2",	-EINVAL },
	{ "@",				-EINVAL },
	{ "@@ip:10.0.0.2",		-EINVAL },
	{ "ip:10.0.0.1@ip:10.0.0.2@ip:10.0.0.3", -EINVAL },
	{ "ip:" A64 A64 "@ip:10.0.0.2",	-EINVAL },
	{ "ip:10.0.0.1@ip:" A64 A64,	-EINVAL },

	/* of two kinds */
	{ "ip:10.0.0.1@ip:fd09::2",	-EINVAL },
	{ "ip:fd09::1@ip:10.0.0.2",	-EINVAL },
	{ "gid:::1@ip:fd09::2",		-EINVAL },
	{ "ip:fd09::1@gid:::2",		-EINVAL },
};

static void addr_desc(const struct addr_case *c, char *desc)
{
	scnprintf(desc, KUNIT_PARAM_DESC_SIZE, "'%*pE'",
		  min_t(int, strlen(c->text), 100), c->text);
}

KUNIT_ARRAY_PARAM(addr, addr_cases, addr_desc);

static void addr_has_its_errno(struct kunit *test)
{
	const struct addr_case *c = test->param_value;
	struct rtrs_path_addr addr;

	KUNIT_EXPECT_EQ(test, rtrs_path_addr_parse(c->text, PORT, &addr), c->err);
}

static void addr_of_the_server_is_written_again(struct kunit *test)
{
	const struct addr_case *c = test->param_value;
	char buf[RTRS_ADDR_STRLEN];
	struct rtrs_path_addr addr;

	if (c->err)
		kunit_skip(test, "no address");
	KUNIT_ASSERT_EQ(test, rtrs_path_addr_parse(c->text, PORT, &addr), 0);
	rtrs_addr_to_str(&addr.dst, buf, sizeof(buf));
	KUNIT_EXPECT_STREQ(test, buf, c->dst ?: c->text);
}

static void addr_of_the_client_is_written_again(struct kunit *test)
{
	const struct addr_case *c = test->param_value;
	char buf[RTRS_ADDR_STRLEN];
	struct rtrs_path_addr addr;

	if (c->err || !*c->src)
		kunit_skip(test, "no source");
	KUNIT_ASSERT_EQ(test, rtrs_path_addr_parse(c->text, PORT, &addr), 0);
	rtrs_addr_to_str(&addr.src, buf, sizeof(buf));
	KUNIT_EXPECT_STREQ(test, buf, c->src);
}

static void addr_without_a_source_has_none(struct kunit *test)
{
	const struct addr_case *c = test->param_value;
	struct rtrs_path_addr addr;

	if (c->err || *c->src)
		kunit_skip(test, "it has one");
	memset(&addr, 0xff, sizeof(addr));
	KUNIT_ASSERT_EQ(test, rtrs_path_addr_parse(c->text, PORT, &addr), 0);
	KUNIT_EXPECT_EQ(test, addr.src.ss_family, AF_UNSPEC);
}

/* --------------------------------------------------------------- ports ----- */

struct port_case {
	const char	*text;
	u16		port;
};

static const struct port_case port_cases[] = {
	{ "ip:10.0.0.1",	1 },
	{ "ip:10.0.0.1",	1234 },
	{ "ip:10.0.0.1",	65535 },
	{ "ip:fd09::1",		1 },
	{ "ip:fd09::1",		1234 },
	{ "ip:fd09::1",		65535 },
	{ "gid:fe80::1",	1 },
	{ "gid:fe80::1",	1234 },
	{ "gid:fe80::1",	65535 },
	{ "ip:10.0.0.1@ip:10.0.0.2", 1234 },
	{ "gid:::1@gid:::2",	1234 },
};

static void port_desc(const struct port_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s port %u", c->text, c->port);
}

KUNIT_ARRAY_PARAM(port, port_cases, port_desc);

static void port_is_that_of_the_server(struct kunit *test)
{
	const struct port_case *c = test->param_value;
	struct rtrs_path_addr addr;

	KUNIT_ASSERT_EQ(test, rtrs_path_addr_parse(c->text, c->port, &addr), 0);
	KUNIT_EXPECT_EQ(test, rtrs_addr_port(&addr.dst), c->port);
}

static void port_of_a_gid_is_in_its_service_id(struct kunit *test)
{
	const struct sockaddr_ib *ib;
	struct rtrs_path_addr addr;

	KUNIT_ASSERT_EQ(test, rtrs_path_addr_parse("gid:fe80::1", 1234, &addr), 0);
	ib = (const struct sockaddr_ib *)&addr.dst;
	KUNIT_EXPECT_EQ(test, ib->sib_family, AF_IB);
	KUNIT_EXPECT_EQ(test, be64_to_cpu(ib->sib_sid), RDMA_IB_IP_PS_IB | 1234);
	KUNIT_EXPECT_EQ(test, be64_to_cpu(ib->sib_sid_mask), U64_MAX);
	KUNIT_EXPECT_EQ(test, be16_to_cpu(ib->sib_pkey), 0xffff);
}

static void port_of_a_source_is_none(struct kunit *test)
{
	struct rtrs_path_addr addr;

	KUNIT_ASSERT_EQ(test, rtrs_path_addr_parse("ip:10.0.0.1@ip:10.0.0.2", 1234,
						   &addr), 0);
	KUNIT_EXPECT_EQ(test, rtrs_addr_port(&addr.src), 0);
}

/* --------------------------------------------------------------- writing --- */

static void addr_of_no_family_is_unknown(struct kunit *test)
{
	struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
	char buf[RTRS_ADDR_STRLEN];

	rtrs_addr_to_str(&addr, buf, sizeof(buf));
	KUNIT_EXPECT_STREQ(test, buf, "<unknown>");
}

static void addr_is_cut_to_its_buffer(struct kunit *test)
{
	struct rtrs_path_addr addr;
	char buf[12] = "###########";

	KUNIT_ASSERT_EQ(test, rtrs_path_addr_parse("ip:10.11.12.13", 1, &addr), 0);
	KUNIT_EXPECT_EQ(test, rtrs_addr_to_str(&addr.dst, buf, 8), 7);
	KUNIT_EXPECT_STREQ(test, buf, "ip:10.1");
	KUNIT_EXPECT_EQ(test, buf[8], '#');
}

static void addr_longest_fits_its_buffer(struct kunit *test)
{
	static const char * const longest[] = {
		"ip:255.255.255.255",
		"ip:1111:2222:3333:4444:5555:6666:7777:8888",
		"ip:::ffff:255.255.255.255",
		"gid:1111:2222:3333:4444:5555:6666:7777:8888",
	};
	char buf[RTRS_ADDR_STRLEN];
	struct rtrs_path_addr addr;
	int i;

	for (i = 0; i < ARRAY_SIZE(longest); i++) {
		KUNIT_ASSERT_EQ_MSG(test, 0,
				    rtrs_path_addr_parse(longest[i], 1, &addr),
				    "%s", longest[i]);
		rtrs_addr_to_str(&addr.dst, buf, sizeof(buf));
		KUNIT_EXPECT_STREQ(test, buf, longest[i]);
	}
}

static struct kunit_case rtrs_addr_cases[] = {
	KUNIT_CASE_PARAM(addr_has_its_errno, addr_gen_params),
	KUNIT_CASE_PARAM(addr_of_the_server_is_written_again, addr_gen_params),
	KUNIT_CASE_PARAM(addr_of_the_client_is_written_again, addr_gen_params),
	KUNIT_CASE_PARAM(addr_without_a_source_has_none, addr_gen_params),
	KUNIT_CASE_PARAM(port_is_that_of_the_server, port_gen_params),
	KUNIT_CASE(port_of_a_gid_is_in_its_service_id),
	KUNIT_CASE(port_of_a_source_is_none),
	KUNIT_CASE(addr_of_no_family_is_unknown),
	KUNIT_CASE(addr_is_cut_to_its_buffer),
	KUNIT_CASE(addr_longest_fits_its_buffer),
	{}
};

static struct kunit_suite rtrs_addr_suite = {
	.name		= "rtrs-addr",
	.test_cases	= rtrs_addr_cases,
};

kunit_test_suite(rtrs_addr_suite);
