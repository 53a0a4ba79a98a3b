/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See linux/types.h beside this file. */
#ifndef SHIM_LINUX_STRING_H
#define SHIM_LINUX_STRING_H

#include <string.h>

#endif
