// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Functions of the kernel that fail when the drivers need them: a test arms it, does
 * something, and sees whether that has been survived. Then again, with the next call
 * failing, until nothing is left that could.
 *
 * It works with kprobes at the entry of a function, which make it return at once. That
 * needs nothing of the kernel but kprobes, and reaches what the kernel's own fault
 * injection does not, as functions of an RDMA driver. Only calls with one of our
 * functions on the stack count, on whatever thread they are: a work item, a handler of
 * the connection manager or of a completion. Some callers are spared, see below.
 *
 * Parameters, below /sys/module/rnbd_faults/parameters/:
 *
 * text		address and size of the modules that count, "0xADDRESS SIZE", one after
 *		another, from /proc/modules
 * function	"alloc": all ways to allocate memory; or SYMBOL=VALUE: that function, and
 *		what it returns when it fails
 * fail		N: the Nth call from now fails; "new": the first with a stack that none had
 *		that failed since "function" was written; 0: none does
 * seen		calls that counted since "fail" was written
 * failed	how many of them were made to fail, which is 0 or 1
 * where	the stack of that one, innermost function first, our last one last
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jhash.h>
#include <linux/kprobes.h>
#include <linux/linkage.h>
#include <linux/module.h>
#include <linux/objtool.h>
#include <linux/stacktrace.h>

#define MAX_DEPTH	48
#define MAX_TEXTS	16
#define MAX_KNOWN	(1 << 14)
#define NO_GFP		(-1)

/* A function, and which of its arguments is a gfp_t. */
struct fault_point {
	struct kprobe	kp;
	int		gfp;
	bool		probed;
};

/* With CONFIG_SLAB_BUCKETS, some have one more argument. */
#define BUCKET	IS_ENABLED(CONFIG_SLAB_BUCKETS)

#define ALLOC_POINT(name, arg)	{ .kp.symbol_name = name, .gfp = arg }

static struct fault_point alloc_points[] = {
	ALLOC_POINT("__kmalloc_noprof", 1),
	ALLOC_POINT("__kmalloc_node_noprof", 1 + BUCKET),
	ALLOC_POINT("__kmalloc_node_track_caller_noprof", 1 + BUCKET),
	ALLOC_POINT("__kmalloc_cache_noprof", 1),
	ALLOC_POINT("__kmalloc_cache_node_noprof", 1),
	ALLOC_POINT("__kmalloc_large_noprof", 1),
	ALLOC_POINT("__kmalloc_large_node_noprof", 1),
	ALLOC_POINT("__kvmalloc_node_noprof", 1 + BUCKET),
	ALLOC_POINT("kmem_cache_alloc_noprof", 1),
	ALLOC_POINT("kmem_cache_alloc_lru_noprof", 2),
	ALLOC_POINT("kmem_cache_alloc_node_noprof", 1),
	ALLOC_POINT("__alloc_pages_noprof", 0),
	ALLOC_POINT("__vmalloc_node_range_noprof", 4),
	ALLOC_POINT("pcpu_alloc_noprof", 3),
};

static char one_symbol[KSYM_NAME_LEN];
static struct fault_point one_point = { .kp.symbol_name = one_symbol, .gfp = NO_GFP };

/* Which of the two are probed. Changed with the lock of the parameters. */
static struct fault_point *points;
static size_t points_nr;

static struct {
	unsigned long	start, end;
} texts[MAX_TEXTS];
static unsigned int texts_nr;

/*
 * Below, all that the probes change, on any CPU and in any context. A probe is an
 * exception that lockdep takes for an NMI, so the lock is one that it does not know; no
 * function that is probed is called with it.
 */
static arch_spinlock_t lock = __ARCH_SPIN_LOCK_UNLOCKED;
static unsigned long nth;		/* which one fails, 0: none */
static bool fail_new;			/* one with a stack not in @known fails */
static unsigned long value;		/* is returned then */
static unsigned long seen, failed;
static unsigned long where[MAX_DEPTH];
static unsigned int where_nr;
static u32 known[MAX_KNOWN];		/* hashes of stacks, 0: none */

/* What a function returns through whose entry was probed. */
asmlinkage void rnbd_faults_return(void);
asm(".pushsection .text\n"
	".type rnbd_faults_return, @function\n"
	ASM_FUNC_ALIGN
	"rnbd_faults_return:\n"
	ANNOTATE_NOENDBR
	ASM_RET
	".size rnbd_faults_return, .-rnbd_faults_return\n"
	".popsection\n");

static bool is_ours(unsigned long addr)
{
	unsigned int i;

	for (i = 0; i < texts_nr; i++)
		if (addr >= texts[i].start && addr < texts[i].end)
			return true;
	return false;
}

NOKPROBE_SYMBOL(is_ours);

/* How much of a stack is of interest: up to the first of our functions. */
static unsigned int our_depth(const unsigned long *trace, unsigned int nr)
{
	while (nr && !is_ours(trace[nr - 1]))
		nr--;
	return nr;
}

NOKPROBE_SYMBOL(our_depth);

static bool is_known(u32 hash)
{
	u32 i, at = hash;

	for (i = 0; i < MAX_KNOWN; i++, at++) {
		u32 *entry = &known[at % MAX_KNOWN];

		if (*entry == hash)
			return true;
		if (!*entry) {
			*entry = hash;
			return false;
		}
	}
	return true;
}

NOKPROBE_SYMBOL(is_known);

/* Under the lock. */
static bool chosen(const unsigned long *trace, unsigned int nr)
{
	seen++;
	if (failed)
		return false;
	if (fail_new)
		return !is_known(jhash(trace, nr * sizeof(*trace), 0) ?: 1);
	return seen == nth;
}

NOKPROBE_SYMBOL(chosen);

/*
 * Callers whose calls do not fail: the kernel warns if a queue pair cannot be drained, and
 * there is nothing that its owner could do; and what watches the kernel gives up for good.
 */
static const char * const spared[] = { "ib_drain", "kmemleak", "stack_depot", "debug_object" };

/* Only asked of a call that is about to fail, as it is slow. */
static bool is_spared(const unsigned long *trace, unsigned int nr)
{
	char name[KSYM_SYMBOL_LEN];
	unsigned int i, j;

	for (i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "%ps", (void *)trace[i]);
		for (j = 0; j < ARRAY_SIZE(spared); j++)
			if (strstr(name, spared[j]))
				return true;
	}
	return false;
}

NOKPROBE_SYMBOL(is_spared);

static bool now_fails(void)
{
	unsigned long trace[MAX_DEPTH], flags;
	unsigned int nr;
	bool fails;

	if (!READ_ONCE(nth) && !READ_ONCE(fail_new))
		return false;
	nr = our_depth(trace, stack_trace_save(trace, MAX_DEPTH, 0));
	if (!nr)
		return false;
	local_irq_save(flags);
	arch_spin_lock(&lock);
	fails = chosen(trace, nr);
	if (fails && is_spared(trace, nr)) {
		nth++;
		fails = false;
	}
	if (fails) {
		failed++;
		memcpy(where, trace, nr * sizeof(*trace));
		where_nr = nr;
	}
	arch_spin_unlock(&lock);
	local_irq_restore(flags);
	return fails;
}

NOKPROBE_SYMBOL(now_fails);

/* Callers of these want to know which request has not been posted: the first. */
static void nothing_posted(const char *symbol, struct pt_regs *regs)
{
	if (strstr(symbol, "_post_send") || strstr(symbol, "_post_recv"))
		*(unsigned long *)regs_get_kernel_argument(regs, 2) =
			regs_get_kernel_argument(regs, 1);
}

NOKPROBE_SYMBOL(nothing_posted);

static int entered(struct kprobe *kp, struct pt_regs *regs)
{
	struct fault_point *point = container_of(kp, struct fault_point, kp);

	/* who says that it cannot fail is not prepared for it */
	if (point->gfp != NO_GFP &&
	    regs_get_kernel_argument(regs, point->gfp) & (__force unsigned long)__GFP_NOFAIL)
		return 0;
	if (!now_fails())
		return 0;
	nothing_posted(kp->symbol_name, regs);
	regs_set_return_value(regs, value);
	instruction_pointer_set(regs, (unsigned long)&rnbd_faults_return);
	return 1;
}

NOKPROBE_SYMBOL(entered);

/* With one the kernel does not optimize a probe; such could not change where to go on. */
static void done(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
}

NOKPROBE_SYMBOL(done);

static void remove_points(void)
{
	size_t i;

	nth = 0;
	fail_new = false;
	for (i = 0; i < points_nr; i++)
		if (points[i].probed)
			unregister_kprobe(&points[i].kp);
	points_nr = 0;
}

/* One that this kernel does not have, or has not as a function, is left out. */
static int add_points(struct fault_point *new, size_t nr)
{
	int err = -ENOENT;
	size_t i;

	points = new;
	points_nr = nr;
	memset(known, 0, sizeof(known));
	for (i = 0; i < nr; i++) {
		struct kprobe *kp = &new[i].kp;

		*kp = (struct kprobe) { .symbol_name = kp->symbol_name,
					.pre_handler = entered,
					.post_handler = done };
		new[i].probed = !register_kprobe(kp);
		if (new[i].probed)
			err = 0;
	}
	return err;
}

static int function_set(const char *val, const struct kernel_param *kp)
{
	const char *name = strim((char *)val);
	size_t len = strcspn(name, "=");
	long result;
	int err;

	remove_points();
	if (!strcmp(name, "alloc")) {
		value = 0;
		return add_points(alloc_points, ARRAY_SIZE(alloc_points));
	}
	if (!name[len] || len >= sizeof(one_symbol))
		return -EINVAL;
	err = kstrtol(name + len + 1, 0, &result);
	if (err)
		return err;
	value = result;
	memcpy(one_symbol, name, len);
	one_symbol[len] = '\0';
	return add_points(&one_point, 1);
}

static int function_get(char *buf, const struct kernel_param *kp)
{
	int n = 0;
	size_t i;

	for (i = 0; i < points_nr; i++)
		if (points[i].probed)
			n += sysfs_emit_at(buf, n, "%s\n", points[i].kp.symbol_name);
	return n;
}

static const struct kernel_param_ops function_ops = { .set = function_set, .get = function_get };
module_param_cb(function, &function_ops, NULL, 0600);

static int fail_set(const char *val, const struct kernel_param *kp)
{
	bool new = sysfs_streq(val, "new");
	unsigned long n = 0;
	int err = new ? 0 : kstrtoul(val, 0, &n);

	if (err)
		return err;
	local_irq_disable();
	arch_spin_lock(&lock);
	seen = 0;
	failed = 0;
	where_nr = 0;
	nth = n;
	fail_new = new;
	arch_spin_unlock(&lock);
	local_irq_enable();
	return 0;
}

static const struct kernel_param_ops fail_ops = { .set = fail_set };
module_param_cb(fail, &fail_ops, NULL, 0200);

module_param(seen, ulong, 0400);
module_param(failed, ulong, 0400);

static int where_get(char *buf, const struct kernel_param *kp)
{
	unsigned int i;
	int n = 0;

	for (i = 0; i < where_nr; i++)
		n += sysfs_emit_at(buf, n, "%pB\n", (void *)where[i]);
	return n;
}

static const struct kernel_param_ops where_ops = { .get = where_get };
module_param_cb(where, &where_ops, NULL, 0400);

static int text_set(const char *val, const struct kernel_param *kp)
{
	unsigned long start, size;
	unsigned int n = 0;
	int used;

	fail_set("0", NULL);
	for (; n < MAX_TEXTS && sscanf(val, "%lx %lu%n", &start, &size, &used) == 2; n++) {
		texts[n].start = start;
		texts[n].end = start + size;
		val += used;
	}
	texts_nr = n;
	return n ? 0 : -EINVAL;
}

static const struct kernel_param_ops text_ops = { .set = text_set };
module_param_cb(text, &text_ops, NULL, 0200);

static int __init rnbd_faults_init(void)
{
	return 0;
}

static void __exit rnbd_faults_exit(void)
{
	remove_points();
}

module_init(rnbd_faults_init);
module_exit(rnbd_faults_exit);
MODULE_DESCRIPTION("For tests: what the drivers call fails");
MODULE_LICENSE("GPL");
