// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * In the VM: tell the plugin outside (count.c) that it is time to read what is in
 * the folder it shares with the VM, or that counting is over. For that this executes
 * an instruction that does nothing, and that no compiler makes: a long nop with a
 * number in it. Static, so that it starts at once.
 *
 *	mark arm|end
 */
#include <string.h>

#include "mark.h"

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "arm"))
		asm volatile("nopl %c0(%%rax)" : : "i" (MARK_ARM));
	else if (argc == 2 && !strcmp(argv[1], "end"))
		asm volatile("nopl %c0(%%rax)" : : "i" (MARK_END));
	else
		return 2;
	return 0;
}
