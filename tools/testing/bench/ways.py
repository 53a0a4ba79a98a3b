# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plugin (count.c) has counted, put in order.

A way is a stack of functions, outermost first, each with its module in brackets if it
is in one. Its instructions belong

- to a group: that of its last function that belongs to one. Helpers, as locks, copies
  and the allocation of memory, belong to who called them;
- to a part of the I/O: what the innermost function on the stack says that belongs to
  one, by modules, and by functions of the kernel that call a driver.
"""

import collections
import re

DRIVERS = ["rnbd client", "rtrs client", "rtrs server", "rnbd server", "rtrs core",
           "nvme host", "nvme target", "nbd"]
GROUPS = DRIVERS + ["floor", "rxe", "ib_core", "network", "block layer", "null_blk",
                    "files and aio", "scheduler, workqueues", "interrupts, timers",
                    "page faults", "idle", "user", "rest"]

#: program: the program and the block layer above the driver. wire: what the RDMA
#: device's driver does on its own. submit and complete have what it does for the caller.
PARTS = ["program", "submit", "complete", "server", "wire", "other"]

MODULES = {
    "rnbd_client": "rnbd client", "rtrs_client": "rtrs client", "rtrs_server": "rtrs server",
    "rnbd_server": "rnbd server", "rtrs_core": "rtrs core", "rnbd_floor": "floor",
    "nvme_rdma": "nvme host", "nvme_core": "nvme host", "nvme_fabrics": "nvme host",
    "nvmet": "nvme target", "nvmet_rdma": "nvme target", "nbd": "nbd", "rdma_rxe": "rxe",
    "ib_core": "ib_core", "rdma_cm": "ib_core", "ib_cm": "ib_core", "ib_uverbs": "ib_core",
    "null_blk": "null_blk", "dummy": "network", "udp_tunnel": "network",
    "ip6_udp_tunnel": "network",
}

# Functions of the kernel proper, by how they begin; what fits none is a helper.
PREFIXES = [
    ("idle", "do_idle|cpu_startup_entry|cpuidle_|default_idle|pv_native_safe_halt|"
             "arch_cpu_idle|call_cpuidle|tick_nohz_idle|cpu_idle_poll"),
    ("page faults", "asm_exc_page_fault|exc_page_fault|handle_mm_fault|do_user_addr_fault"),
    ("interrupts, timers",
     "asm_|sysvec_|common_interrupt|irq_|__irq|irqentry|handle_softirqs|__do_softirq|"
     "hrtimer|__hrtimer|tick_|timer_|__run_timer|run_timer|clockevents|lapic|apic_|x2apic_|"
     "rcu_core|rcu_sched_clock|rcu_do_batch|update_process_times|ktime_get_update|"
     "error_entry|error_return|sync_regs|do_softirq|tasklet|ksoftirqd|run_ksoftirqd|"
     "__sysvec|update_wall_time|timekeeping|smpboot|call_timer|generic_smp_call"),
    ("scheduler, workqueues",
     "schedule|__schedule|try_to_wake_up|ttwu|enqueue_|__enqueue|dequeue_|__dequeue|pick_|"
     "__pick|update_curr|update_load|__update_load|psi_|worker_|process_one_work|"
     "process_scheduled|__queue_work|queue_work|insert_work|kick_pool|wake_up|__wake_up|"
     "autoremove_wake|finish_task|__switch_to|set_next|put_prev|select_task|select_idle|"
     "resched|sched_|set_task_cpu|pwq_|wq_|kthread|move_linked|assign_work|record_times|"
     "newidle|sched_balance|load_balance|find_busiest|update_blocked|update_rq|cpuacct|"
     "cgroup_|__cgroup|mm_cid|task_mm_cid|switch_mm|prepare_task|update_sd|"
     "update_group|need_active|idle_cpu|available_idle|avg_vruntime|place_entity|"
     "update_entity|update_cfs|update_min|reweight|check_preempt|wakeup_preempt|"
     "nohz_|task_tick|entity_|task_work_run|ret_from_fork"),
    ("block layer",
     "blk_|__blk|bio_|__bio|submit_bio|__submit_bio|blkdev_|bdev_|sbitmap|__sbitmap|bvec|"
     "elv_|wbt_|rq_qos|__rq_qos|disk_|part_|update_io_ticks|flush_end|dd_|"
     "req_|rq_|kblockd|zero_fill_bio|__end_that"),
    ("network",
     "ip_|__ip_|ip6_|udp|__udp|tcp|__tcp|skb_|__skb|kfree_skb|consume_skb|alloc_skb|"
     "__alloc_skb|build_skb|__build_skb|netif_|__netif|dev_|__dev|net_|eth_|sock|__sock|"
     "sk_|__sk_|lock_sock|release_sock|__release_sock|neigh|nf_|dst_|fib_|inet|__inet|"
     "validate_xmit|loopback|process_backlog|napi|__napi|kmalloc_reserve|siphash|"
     "__copy_skb|csum_|__ksize_skb|enqueue_to_backlog|__sys_sendto|__sys_recv|"
     "simple_copy_to_iter|rt_|route|sendmsg|recvmsg|____sys|___sys|__sys_"),
    ("files and aio",
     "do_syscall|entry_SYSCALL|__x64_sys|x64_sys_call|syscall_|io_submit|aio_|__io_|io_|"
     "read_events|do_io_getevents|lookup_ioctx|get_reqs|put_reqs|refill_reqs|user_refs|"
     "iov_iter|__iov|import_iovec|import_ubuf|__import|pin_user|gup_|vfs_|ksys|fget|fput|"
     "__fget|file_|rw_verify|security_|apparmor|kiocb|iocb|filemap|generic_file|"
     "do_iter|new_sync|copy_iovec|do_vfs|ep_|do_epoll|eventfd|do_poll|do_sys|ppoll"),
]
KERNEL = re.compile("|".join(f"(?P<g{i}>{pattern})" for i, (_, pattern) in enumerate(PREFIXES)))

FUNCTION = re.compile(r"([^\[]*)(?:\[(.*)\])?")
THUNK = re.compile(r"__x86_indirect_(thunk|call|jump)|__x86_return_thunk|srso_|retbleed_")
OURS = re.compile(r"\[(rnbd|rtrs)_")
CLIENTS = {"rnbd_client", "rtrs_client", "nvme_rdma", "nvme_core", "nvme_fabrics", "nbd"}
SERVERS = {"rnbd_server", "rtrs_server", "nvmet", "nvmet_rdma", "null_blk"}
# What of the kernel calls a driver to submit, and to complete.
SUBMITS = re.compile("blk_mq_(dispatch|plug_issue|issue|run|try_issue|request_issue)|__blk_mq_"
                     "(issue|try_issue|dispatch|sched_dispatch|flush_plug)|blk_mq_flush_plug|"
                     "blk_mq_sched_dispatch|blk_execute_rq")
COMPLETES = re.compile(r"__ib_process_cq|ib_process_cq|blk_complete_reqs|blk_done_softirq|bio_poll|"
                       "blk_mq_poll|recv_work|blk_hctx_poll")
STARTS = re.compile("worker_thread|process_one_work|handle_softirqs|asm_|kthread$|ret_from_fork")


def is_ours(name):
    return bool(OURS.search(name))


def plain(name):
    """Without what the compiler adds: parts that are rarely executed, and the like."""
    symbol, module = FUNCTION.fullmatch(name).groups()
    symbol = re.sub(r"\.(cold|isra|constprop|part|\d)[.\d\w]*", "", symbol)
    return f"{symbol}[{module}]" if module else symbol


class Function:
    """Instructions and calls an I/O. helpers: of functions without a group."""

    def __init__(self):
        self.calls = self.own = self.helpers = self.total = 0.0
        self.ours = False


def is_handler(stack):
    """Was the last one called for a completion?"""
    return len(stack) > 1 and stack[-2] == "__ib_process_cq[ib_core]" and \
        stack[-1].endswith("]") and not stack[-1].endswith(("[rdma_rxe]", "[ib_core]"))


class Profile:
    """The output of the plugin, for @count I/Os."""

    def __init__(self, lines, count, driver="rnbd"):
        self.clients = CLIENTS | ({"null_blk"} if driver == "null" else set())
        self.servers = SERVERS - self.clients
        self.driver = driver
        self.groups = {}
        self.table = collections.Counter()
        self.functions = collections.defaultdict(Function)
        self.completions = 0.0
        for line in lines:
            insns, calls, way = line.rstrip("\n").split(" ", 2)
            names = way.split(";")
            # an indirect call goes by way of a thunk, which is the caller's
            stack = [plain(name) for name in names if not THUNK.match(name)] or ["thunk"]
            calls = 0 if THUNK.match(names[-1]) else int(calls)
            self.add(stack, int(insns) / count, calls / count)

    def group(self, name):
        """Of a function; None for a helper."""
        if name not in self.groups:
            self.groups[name] = self.find_group(name)
        return self.groups[name]

    @staticmethod
    def find_group(name):
        symbol, module = FUNCTION.fullmatch(name).groups()
        if name == "user":
            return "user"
        if module:
            return MODULES.get(module)
        match = KERNEL.match(symbol)
        return PREFIXES[int(match.lastgroup[1:])][0] if match else None

    def part(self, stack):
        client = False
        for name in reversed(stack):
            symbol, module = FUNCTION.fullmatch(name).groups()
            if module in self.servers:
                return "complete" if client else "server"
            if module in self.clients:
                client = True
            elif client and SUBMITS.match(symbol):
                return "submit"
            elif client and COMPLETES.match(symbol):
                return "complete"
            elif STARTS.match(symbol):
                return "complete" if client else "other"
            elif module == "rdma_rxe" and symbol == "do_task":
                return "wire"
            elif symbol.startswith("ib_cq_poll") or symbol == "__ib_process_cq":
                return "wire"
        if self.is_receiver(stack):
            return "complete"
        if client:
            return "submit"
        return "program" if self.is_program(stack) else "other"

    def is_receiver(self, stack):
        """nbd's thread that receives never returns, so who has called it is not known."""
        symbol, module = FUNCTION.fullmatch(stack[0]).groups()
        return module in self.clients or symbol == "blk_mq_complete_request"

    def is_program(self, stack):
        return stack[0].startswith(("do_syscall", "user", "entry_", "syscall_", "__x64_sys"))

    def add(self, stack, insns, calls):
        owner = next((i for i in range(len(stack) - 1, -1, -1) if self.group(stack[i])), None)
        group = "rest" if owner is None else self.group(stack[owner])
        self.table[group, self.part(stack)] += insns
        leaf = self.functions[stack[-1]]
        leaf.own += insns
        leaf.calls += calls
        if is_handler(stack):
            self.completions += calls
        if owner is not None and owner != len(stack) - 1:
            self.functions[stack[owner]].helpers += insns
        for name in set(stack):
            self.functions[name].total += insns
            self.functions[name].ours = is_ours(name)

    def total(self):
        return sum(self.table.values())

    def calls(self, *names):
        return round(sum(self.functions[n].calls for n in names if n in self.functions), 3)

    def figures(self):
        """For the table of a benchmark, an I/O.

        A work request that was sent is seen when soft RoCE ends it, one that was posted
        to receive when it is posted. An event is what would be an interrupt.
        """
        return {
            "instructions": round(self.total()),
            "parts": {part: round(sum(self.table[group, part] for group in GROUPS))
                      for part in PARTS},
            "driver": round(sum(self.table[group, part] for group in DRIVERS
                                for part in PARTS)),
            "sends": self.calls("do_complete[rdma_rxe]"),
            "receives": self.calls("post_one_recv[rdma_rxe]"),
            "doorbells": self.calls("rxe_post_send[rdma_rxe]"),
            "completions": round(self.completions, 3),
            "events": self.calls("ib_cq_completion_softirq[ib_core]",
                                 "ib_cq_completion_workqueue[ib_core]"),
        }

    def as_json(self):
        table = collections.defaultdict(dict)
        for (group, part), insns in self.table.items():
            table[group][part] = round(insns, 2)
        return {
            "total": round(self.total(), 1),
            "parts": {part: round(sum(self.table[group, part] for group in GROUPS), 1)
                      for part in PARTS},
            "table": table,
            "functions": {name: [round(f.calls, 3), round(f.own, 2), round(f.helpers, 2),
                                 round(f.total, 2)]
                          for name, f in self.functions.items() if f.own + f.helpers >= 0.05},
        }
