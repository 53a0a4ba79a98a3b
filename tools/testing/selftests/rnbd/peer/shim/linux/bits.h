/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See linux/types.h beside this file. */
#ifndef SHIM_LINUX_BITS_H
#define SHIM_LINUX_BITS_H

#define BIT(n)		(1UL << (n))
#define GENMASK(h, l)	((~0UL >> (63 - (h))) & (~0UL << (l)))

#endif
