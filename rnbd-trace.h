/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What both ends' tracepoints show of an I/O message: operation and flags.
 */
#ifndef RNBD_TRACE_H
#define RNBD_TRACE_H

#include "rnbd-proto.h"

#define rnbd_show_op(rw)					\
	__print_symbolic((rw) & RNBD_OP_MASK,			\
		{ RNBD_OP_READ,		"read" },		\
		{ RNBD_OP_WRITE,	"write" },		\
		{ RNBD_OP_FLUSH,	"flush" },		\
		{ RNBD_OP_DISCARD,	"discard" },		\
		{ RNBD_OP_SECURE_ERASE,	"secure erase" },	\
		{ RNBD_OP_WRITE_ZEROES,	"write zeroes" })

#define rnbd_show_flags(rw)					\
	__print_flags((rw) & ~RNBD_OP_MASK, "|",		\
		{ RNBD_F_SYNC,		"sync" },		\
		{ RNBD_F_FUA,		"fua" },		\
		{ RNBD_F_PREFLUSH,	"preflush" },		\
		{ RNBD_F_NOUNMAP,	"nounmap" })

#endif /* RNBD_TRACE_H */
