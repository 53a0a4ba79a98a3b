/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The instruction by which a program in the VM speaks to the plugin: a nop of seven
 * bytes, nopl NUMBER(%rax).
 */
#ifndef MARK_H
#define MARK_H

#define MARK_ARM	0x4d415231
#define MARK_END	0x4d415232

#define MARK_SIZE	7
#define MARK_OPCODE	"\x0f\x1f\x80"

#endif
