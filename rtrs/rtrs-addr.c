// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Addresses as an administrator writes and reads them: ip:<IPv4>, ip:<IPv6> and
 * gid:<GID>, and pairs of them, [src@]dst.
 *
 * For a GID the port is part of the service id, in the IB port space
 * (section "Connection set-up" of the protocol).
 */
#include <linux/inet.h>
#include <linux/module.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <rdma/ib.h>
#include <rdma/rdma_cm.h>

#include "rtrs-pri.h"

static int rtrs_ip_parse(const char *str, u16 port,
			 struct sockaddr_storage *addr)
{
	char port_str[6];
	int err;

	if (strchr(str, '\n'))
		return -EINVAL;
	snprintf(port_str, sizeof(port_str), "%u", port);
	err = inet_pton_with_scope(&init_net, AF_UNSPEC, str, port_str, addr);
	/* it takes IPv4 up to a colon, and does not look at what follows */
	if (!err && addr->ss_family == AF_INET && strchr(str, ':'))
		return -EINVAL;
	return err;
}

static int rtrs_gid_parse(const char *str, u16 port,
			  struct sockaddr_storage *addr)
{
	struct sockaddr_ib *ib = (struct sockaddr_ib *)addr;

	if (!in6_pton(str, -1, (u8 *)&ib->sib_addr, '\0', NULL))
		return -EINVAL;
	ib->sib_family = AF_IB;
	ib->sib_pkey = cpu_to_be16(0xffff);
	ib->sib_sid = cpu_to_be64(RDMA_IB_IP_PS_IB | port);
	ib->sib_sid_mask = cpu_to_be64(U64_MAX);
	return 0;
}

/* -EPROTONOSUPPORT if there is no prefix that says what the address is. */
static int rtrs_addr_parse(const char *str, u16 port,
			   struct sockaddr_storage *addr)
{
	memset(addr, 0, sizeof(*addr));
	if (!strncmp(str, "ip:", 3))
		return rtrs_ip_parse(str + 3, port, addr) ? -EINVAL : 0;
	if (!strncmp(str, "gid:", 4))
		return rtrs_gid_parse(str + 4, port, addr);
	return -EPROTONOSUPPORT;
}

int rtrs_path_addr_parse(const char *str, u16 port,
			 struct rtrs_path_addr *addr)
{
	const char *sep = strpbrk(str, "@,");
	char src[RTRS_ADDR_STRLEN + IFNAMSIZ];
	int err;

	memset(&addr->src, 0, sizeof(addr->src));
	if (sep) {
		if (sep - str >= sizeof(src))
			return -EINVAL;
		strscpy(src, str, sep - str + 1);
		if (rtrs_addr_parse(src, 0, &addr->src))
			return -EINVAL;
		str = sep + 1;
	}
	err = rtrs_addr_parse(str, port, &addr->dst);
	if (err)
		return err;
	if (sep && addr->src.ss_family != addr->dst.ss_family)
		return -EINVAL;
	return 0;
}
EXPORT_SYMBOL_GPL(rtrs_path_addr_parse);

/**
 * rtrs_addr_port() - the port of a parsed destination
 * @addr: AF_INET, AF_INET6 or AF_IB
 *
 * Context: any.
 * Return: the port, CPU byte order.
 */
u16 rtrs_addr_port(const struct sockaddr_storage *addr)
{
	if (addr->ss_family == AF_IB)
		return be64_to_cpu(((const struct sockaddr_ib *)addr)->sib_sid);
	/* at the same place for IPv4 and IPv6 */
	return be16_to_cpu(((const struct sockaddr_in *)addr)->sin_port);
}
EXPORT_SYMBOL_GPL(rtrs_addr_port);

int rtrs_addr_to_str(const struct sockaddr_storage *addr, char *buf,
		     size_t size)
{
	switch (addr->ss_family) {
	case AF_INET:
		return scnprintf(buf, size, "ip:%pI4",
			&((const struct sockaddr_in *)addr)->sin_addr);
	case AF_INET6:
		return scnprintf(buf, size, "ip:%pI6c",
			&((const struct sockaddr_in6 *)addr)->sin6_addr);
	case AF_IB:
		return scnprintf(buf, size, "gid:%pI6",
			((const struct sockaddr_ib *)addr)->sib_addr.sib_raw);
	default:
		return scnprintf(buf, size, "<unknown>");
	}
}
EXPORT_SYMBOL_GPL(rtrs_addr_to_str);
