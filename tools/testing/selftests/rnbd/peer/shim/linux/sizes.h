/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See linux/types.h beside this file. */
#ifndef SHIM_LINUX_SIZES_H
#define SHIM_LINUX_SIZES_H

#define SZ_512	512
#define SZ_4K	4096

#endif
