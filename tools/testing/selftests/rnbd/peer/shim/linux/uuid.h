/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See linux/types.h beside this file. */
#ifndef SHIM_LINUX_UUID_H
#define SHIM_LINUX_UUID_H

#include <linux/types.h>

typedef struct {
	u8 b[16];
} uuid_t;

#endif
