// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A plugin for QEMU (TCG, one thread: -icount) that counts the instructions of the
 * VM's kernel, by function and by who called it. It tells nothing to the VM and
 * takes no time there.
 *
 * It does nothing until a program in the VM says so (mark.c). Then it reads DIR/control
 * on this machine, which the program has written just before:
 *
 *	symbols FILE		of the kernel in the VM, as in /proc/kallsyms
 *	trigger SYMBOL FROM TO	count from the FROMth call of SYMBOL up to the TOth, so
 *				that a load is well under way, and not yet at its end
 *	output FILE
 *
 * both FILEs in DIR; has all code translated anew, now with calls of functions of this
 * plugin, and counts. When the program says that it is over, code is as fast again as
 * before. It goes without either for one row of a benchmark after another.
 *
 * Where the stack is, and with it who called whom, is known from the addresses that
 * call instructions write to, and return instructions read from: a return ends every
 * call whose return address is at its address or below. Each stack of the kernel is
 * known by the 16 KiB it is in. Who jumps to the start of another function, in a tail
 * call, has called it, and so has who is interrupted; when he goes on, the call is over.
 * Programs are one function, "user".
 *
 * The output has a line for each way to be called: the number of instructions, the
 * number of calls, and the functions, outermost first, with ";" in between. For
 * flamegraphs, leave out the second number.
 *
 *	-plugin file=count.so,dir=DIR
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"
#include "qemu-plugin.h"

#define MAX_CPUS	8
#define MAX_DEPTH	512
#define MAX_STACKS	4096		/* a power of two */
#define STACK_SHIFT	14		/* THREAD_SIZE of x86-64 */
#define IS_KERNEL(addr)	((addr) >> 63)

struct symbol {
	uint64_t	addr;
	char		*name;
};

/* A function, called in one way. The first is the root. */
struct node {
	uint32_t	parent;
	uint32_t	function;
	uint64_t	insns;
	uint64_t	calls;
};

/*
 * @at: address of the return address
 * @caller: node of the call
 * @node: what is executed: the function that was called, or one that it has jumped to,
 * which is below it in the tree
 */
struct frame {
	uint64_t	at;
	uint32_t	caller;
	uint32_t	node;
};

struct stack {
	uint64_t	key;
	unsigned int	depth;		/* one frame at least, the root's */
	struct frame	frames[MAX_DEPTH];
};

/* A piece of code that is executed from its start to its end. */
struct block {
	uint32_t	function;
	uint32_t	insns;
	bool		entry;
	bool		trigger;
};

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static qemu_plugin_id_t plugin_id;
static const char *dir;

static struct symbol *symbols;
static size_t nr_symbols;
static uint32_t user, unknown;		/* the two last symbols, which have no address */

static struct node *nodes;
static size_t nr_nodes, max_nodes;
static uint32_t *table;			/* of nodes, by parent and function; 0: free */
static size_t table_size;		/* a power of two */

static struct stack **stacks;		/* by key; NULL: free */
static struct stack user_stack;
static struct stack *current[MAX_CPUS];

static uint64_t trigger_addr, trigger_from, trigger_to, triggered;
static char output[256];
static bool counting, armed;

static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "count: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

static void *zalloc(size_t nr, size_t size)
{
	void *p = calloc(nr, size);

	if (!p)
		die("out of memory");
	return p;
}

/* ----------------------------------------------------------- symbols ---- */

static int by_addr(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Room for two more than there are. */
static void add_symbol(uint64_t addr, const char *name)
{
	if (!(nr_symbols & (nr_symbols - 1))) {
		symbols = realloc(symbols, (2 * nr_symbols + 2) * sizeof(*symbols));
		if (!symbols)
			die("out of memory");
	}
	symbols[nr_symbols].addr = addr;
	symbols[nr_symbols++].name = strdup(name);
}

static void clear_symbols(void)
{
	for (size_t i = 0; i < nr_symbols; i++)
		free(symbols[i].name);
	nr_symbols = 0;
}

/* They need not be where they were when the last row was measured. */
static void read_symbols(const char *name)
{
	char path[512], line[512], symbol[256], module[64];
	unsigned long long addr;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	if (!f)
		die("cannot read %s", path);
	clear_symbols();
	while (fgets(line, sizeof(line), f)) {
		char type;
		int n;

		module[0] = '\0';
		n = sscanf(line, "%llx %c %200s %60s", &addr, &type, symbol, module);
		/* what is between functions is never executed */
		if (n < 3 || !strchr("tTwW", type) || !IS_KERNEL(addr) ||
		    !strncmp(symbol, "__pfx_", 6))
			continue;
		strcat(symbol, module);
		add_symbol(addr, symbol);
	}
	fclose(f);
	if (!nr_symbols)
		die("no symbols in %s", path);
	qsort(symbols, nr_symbols, sizeof(*symbols), by_addr);
	user = nr_symbols;
	add_symbol(UINT64_MAX, "user");
	unknown = nr_symbols;
	add_symbol(UINT64_MAX, "unknown");
}

/* The first of those that have the same address, and the last at or before @addr. */
static uint32_t find_function(uint64_t addr)
{
	size_t low = 0, high = user;

	if (!IS_KERNEL(addr))
		return user;
	while (low < high) {
		size_t mid = (low + high) / 2;

		if (symbols[mid].addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || addr - symbols[low - 1].addr > (1 << 20))
		return unknown;
	for (low--; low && symbols[low - 1].addr == symbols[low].addr; low--)
		;
	return low;
}

static uint64_t find_symbol(const char *name)
{
	for (size_t i = 0; i < user; i++)
		if (!strcmp(symbols[i].name, name))
			return symbols[i].addr;
	die("no symbol %s", name);
	return 0;
}

/* ------------------------------------------------------- calling tree ---- */

static size_t hash(uint32_t parent, uint32_t function)
{
	uint64_t x = ((uint64_t)parent << 32 | function) * 0x9e3779b97f4a7c15ULL;

	return (x >> 20) & (table_size - 1);
}

static uint32_t *find_node(uint32_t parent, uint32_t function)
{
	size_t i = hash(parent, function);

	while (table[i] && (nodes[table[i]].parent != parent ||
			    nodes[table[i]].function != function))
		i = (i + 1) & (table_size - 1);
	return &table[i];
}

static void clear_tree(void)
{
	free(nodes);
	free(table);
	max_nodes = 1 << 16;
	table_size = 2 * max_nodes;
	nodes = zalloc(max_nodes, sizeof(*nodes));
	table = zalloc(table_size, sizeof(*table));
	nr_nodes = 1;
	nodes[0].function = unknown;
}

static void grow_tree(void)
{
	max_nodes *= 2;
	table_size *= 2;
	nodes = realloc(nodes, max_nodes * sizeof(*nodes));
	if (!nodes)
		die("out of memory");
	free(table);
	table = zalloc(table_size, sizeof(*table));
	for (uint32_t i = 1; i < nr_nodes; i++)
		*find_node(nodes[i].parent, nodes[i].function) = i;
}

static uint32_t get_node(uint32_t parent, uint32_t function)
{
	uint32_t *entry = find_node(parent, function);

	if (*entry)
		return *entry;
	if (nr_nodes == max_nodes) {
		grow_tree();
		entry = find_node(parent, function);
	}
	*entry = nr_nodes;
	nodes[nr_nodes] = (struct node){ .parent = parent, .function = function };
	return nr_nodes++;
}

static void print_way(FILE *f, uint32_t node)
{
	if (nodes[node].parent) {
		print_way(f, nodes[node].parent);
		fputc(';', f);
	}
	fputs(symbols[nodes[node].function].name, f);
}

static void write_output(void)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, output);
	f = fopen(path, "w");
	if (!f)
		die("cannot write %s", path);
	for (uint32_t i = 1; i < nr_nodes; i++) {
		if (!nodes[i].insns)
			continue;
		fprintf(f, "%llu %llu ", (unsigned long long)nodes[i].insns,
			(unsigned long long)nodes[i].calls);
		print_way(f, i);
		fputc('\n', f);
	}
	if (fclose(f))
		die("cannot write %s", path);
}

/* ------------------------------------------------------------- stacks ---- */

static void clear_stack(struct stack *stack, uint64_t key)
{
	stack->key = key;
	stack->depth = 1;
	stack->frames[0] = (struct frame){ .at = UINT64_MAX };
}

static void clear_stacks(void)
{
	if (!stacks)
		stacks = zalloc(MAX_STACKS, sizeof(*stacks));
	for (size_t i = 0; i < MAX_STACKS; i++) {
		free(stacks[i]);
		stacks[i] = NULL;
	}
	clear_stack(&user_stack, 0);
	for (size_t i = 0; i < MAX_CPUS; i++)
		current[i] = &user_stack;
}

static struct stack *get_stack(uint64_t at)
{
	uint64_t key = at >> STACK_SHIFT;
	size_t i = key & (MAX_STACKS - 1), looks;

	for (looks = 0; stacks[i] && stacks[i]->key != key; looks++) {
		if (looks == MAX_STACKS)
			die("too many stacks");
		i = (i + 1) & (MAX_STACKS - 1);
	}
	if (!stacks[i]) {
		stacks[i] = zalloc(1, sizeof(*stacks[i]));
		clear_stack(stacks[i], key);
	}
	return stacks[i];
}

static void end_calls(struct stack *stack, uint64_t at)
{
	while (stack->frames[stack->depth - 1].at <= at)
		stack->depth--;
}

/*
 * A call has written its return address; or read where to go. (QEMU 7.2 gets it wrong
 * if asked for one of the two only.)
 */
static void on_call(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t at, void *data)
{
	struct stack *stack;
	uint32_t caller;

	if (!qemu_plugin_mem_is_store(info))
		return;
	stack = get_stack(at);
	current[cpu] = stack;
	end_calls(stack, at);
	if (stack->depth == MAX_DEPTH)
		die("a stack of %u calls", MAX_DEPTH);
	/* what is in a thread's first frame is from before its last system call */
	caller = stack->depth > 1 ? stack->frames[stack->depth - 1].node : 0;
	stack->frames[stack->depth++] = (struct frame){ at, caller, caller };
}

/* A return has read it. */
static void on_return(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t at, void *data)
{
	if (qemu_plugin_mem_is_store(info))
		return;
	current[cpu] = get_stack(at);
	end_calls(current[cpu], at);
}

/* ----------------------------------------------------------- counting ---- */

static void on_trigger(void)
{
	triggered++;
	if (triggered == trigger_from)
		counting = true;
	if (triggered == trigger_to) {
		counting = false;
		write_output();
	}
}

/* Where in the tree is a block that is executed in this frame? */
static uint32_t locate(const struct frame *frame, const struct block *block)
{
	uint32_t node;

	for (node = frame->node; node != frame->caller; node = nodes[node].parent)
		if (nodes[node].function == block->function)
			return node;
	return get_node(block->entry ? frame->node : frame->caller, block->function);
}

static void on_block(unsigned int cpu, void *data)
{
	const struct block *block = data;
	struct frame *frame;

	if (block->trigger)
		on_trigger();
	if (block->function == user)
		current[cpu] = &user_stack;
	frame = &current[cpu]->frames[current[cpu]->depth - 1];
	if (frame->node == frame->caller || nodes[frame->node].function != block->function)
		frame->node = locate(frame, block);
	if (!counting)
		return;
	nodes[frame->node].insns += block->insns;
	nodes[frame->node].calls += block->entry;
}

/* Of segments, sizes, repetition, and 64 bits. */
static bool is_prefix(uint8_t byte)
{
	static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67,
					    0xf2, 0xf3 };

	return memchr(prefixes, byte, sizeof(prefixes)) || (byte & 0xf0) == 0x40;
}

enum insn_kind { INSN_OTHER, INSN_CALL, INSN_RETURN };

static enum insn_kind insn_kind(const struct qemu_plugin_insn *insn)
{
	const uint8_t *p = qemu_plugin_insn_data(insn);
	const uint8_t *end = p + qemu_plugin_insn_size(insn);

	while (p < end && is_prefix(*p))
		p++;
	if (p == end)
		return INSN_OTHER;
	switch (*p) {
	case 0xe8:
		return INSN_CALL;
	case 0xff:
		return p + 1 < end && (p[1] >> 3 & 7) == 2 ? INSN_CALL : INSN_OTHER;
	case 0xc2:
	case 0xc3:
		return INSN_RETURN;
	default:
		return INSN_OTHER;
	}
}

/* Blocks are never freed: QEMU may keep code for as long as it likes. */
static void count_block(struct qemu_plugin_tb *tb)
{
	uint64_t addr = qemu_plugin_tb_vaddr(tb);
	struct block *block = zalloc(1, sizeof(*block));
	size_t n = qemu_plugin_tb_n_insns(tb);

	block->insns = n;
	block->function = find_function(addr);
	block->entry = symbols[block->function].addr == addr;
	block->trigger = addr == trigger_addr;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, block);
	if (!IS_KERNEL(addr))
		return;
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		switch (insn_kind(insn)) {
		case INSN_CALL:
			qemu_plugin_register_vcpu_mem_cb(insn, on_call, QEMU_PLUGIN_CB_NO_REGS,
							 QEMU_PLUGIN_MEM_RW, NULL);
			break;
		case INSN_RETURN:
			qemu_plugin_register_vcpu_mem_cb(insn, on_return, QEMU_PLUGIN_CB_NO_REGS,
							 QEMU_PLUGIN_MEM_RW, NULL);
			break;
		default:
			break;
		}
	}
}

/* -------------------------------------------------------------- marks ---- */

static void read_control(void)
{
	char path[512], line[512], name[256];
	unsigned long long from, to;
	char trigger[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/control", dir);
	f = fopen(path, "r");
	if (!f)
		die("cannot read %s", path);
	output[0] = '\0';
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "symbols %255s", name) == 1) {
			read_symbols(name);
		} else if (sscanf(line, "trigger %255s %llu %llu", trigger, &from, &to) == 3) {
			trigger_from = from;
			trigger_to = to;
		} else if (sscanf(line, "output %255s", output) != 1) {
			die("%s: %s", path, line);
		}
	}
	fclose(f);
	if (!nr_symbols || !trigger[0] || !output[0] || from >= to)
		die("%s: something is missing", path);
	trigger_addr = find_symbol(trigger);
	triggered = 0;
}

static void begin(qemu_plugin_id_t id);

static void on_arm(unsigned int cpu, void *data)
{
	if (armed)
		return;
	read_control();
	clear_tree();
	clear_stacks();
	armed = true;
	qemu_plugin_reset(plugin_id, begin);
}

static void on_end(unsigned int cpu, void *data)
{
	if (!armed)
		return;
	if (triggered < trigger_to)
		fprintf(stderr, "count: only %llu calls of the trigger\n",
			(unsigned long long)triggered);
	armed = false;
	counting = false;
	qemu_plugin_reset(plugin_id, begin);
}

static void look_for_marks(struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		const uint8_t *p = qemu_plugin_insn_data(insn);
		uint32_t number;

		if (qemu_plugin_insn_size(insn) != MARK_SIZE ||
		    memcmp(p, MARK_OPCODE, MARK_SIZE - sizeof(number)))
			continue;
		memcpy(&number, p + MARK_SIZE - sizeof(number), sizeof(number));
		if (number == MARK_ARM)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_arm,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
		else if (number == MARK_END)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_end,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	if (!IS_KERNEL(qemu_plugin_tb_vaddr(tb)))
		look_for_marks(tb);
	if (armed)
		count_block(tb);
}

/* After all code and all registrations have been forgotten. */
static void begin(qemu_plugin_id_t id)
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info,
					   int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "dir=", 4))
			dir = strdup(argv[i] + 4);
	if (!dir) {
		fprintf(stderr, "count: dir=DIR is missing\n");
		return -1;
	}
	plugin_id = id;
	begin(id);
	return 0;
}
