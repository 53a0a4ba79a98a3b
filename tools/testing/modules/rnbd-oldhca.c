// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An RDMA device that cannot register memory fast, as old ones could not: as long as this
 * is loaded the one named by the parameter says so of itself. It stays there until then,
 * as this holds a reference.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <rdma/ib_verbs.h>

static char *device;
module_param(device, charp, 0400);
MODULE_PARM_DESC(device, "Name of the RDMA device");

static struct ib_device *dev;

static int __init rnbd_oldhca_init(void)
{
	dev = device ? ib_device_get_by_name(device, RDMA_DRIVER_UNKNOWN) : NULL;
	if (!dev)
		return -ENODEV;
	dev->attrs.device_cap_flags &= ~IB_DEVICE_MEM_MGT_EXTENSIONS;
	return 0;
}

static void __exit rnbd_oldhca_exit(void)
{
	dev->attrs.device_cap_flags |= IB_DEVICE_MEM_MGT_EXTENSIONS;
	ib_device_put(dev);
}

module_init(rnbd_oldhca_init);
module_exit(rnbd_oldhca_exit);
MODULE_DESCRIPTION("For tests: an RDMA device without fast registration");
MODULE_LICENSE("GPL");
