# SPDX-License-Identifier: GPL-2.0-or-later
"""The rows of the benchmark: what fio is to do, how long, and what is wanted of it."""

import dataclasses
import random
import re

DIRECTIONS = {"read": "randread", "write": "randwrite"}
SIZES = ["512", "4k", "16k", "64k", "1m"]
DEPTHS = [1, 32, 128]

#: What RNBD's authors published figures of. fio gives its last size what is left of 100 %.
MIXED_SPLIT = "512/20:1k/16:2k/9:4k/12:8k/19:16k/10:32k/8:64k/4"
MIXED_DEPTH = 129
MIXED = [f"--bssplit={MIXED_SPLIT}", "--rw=randrw:2", "--random_distribution=zipf:1.2",
         f"--iodepth={MIXED_DEPTH}", "--iodepth_batch_submit=128",
         "--iodepth_batch_complete_max=128"]

#: The longest request of RNBD, with chunks as they are by default.
MAX_REQUEST = 124 << 10


def size_of(text):
    number, unit = re.fullmatch(r"(\d+)([km]?)", text.lower()).groups()
    return int(number) << {"": 0, "k": 10, "m": 20}[unit]


@dataclasses.dataclass(frozen=True)
class Row:
    """One row. ratio, packets: wanted; mainline, prototype: I/O per second, seen once."""
    name: str
    fio: tuple
    direction: str
    sizes: tuple            # of requests of RNBD, one after another
    ios_per_turn: int       # how many I/Os of fio these are
    depth: int              # of all jobs
    jobs: int = 1
    paths: int = 1
    ratio: float = None
    packets: float = None
    mainline: int = None
    prototype: int = None

    @property
    def key(self):
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def one_path(self):
        """The same row for what has only one."""
        return dataclasses.replace(self, name=self.name.removesuffix(f", {self.paths} paths"),
                                   paths=1)

    @property
    def mean_size(self):
        return sum(self.sizes) / self.ios_per_turn

    def per_size(self, small, large, huge):
        if self.mean_size <= 16 << 10:
            return small
        return large if self.mean_size <= 64 << 10 else huge

    @property
    def seconds(self):
        """Of a round, after a third of that in which nothing is measured."""
        return self.per_size(1.5, 3, 6)

    def counted(self):
        """For the plugin: from which I/O to which, and how many a job does.

        None where it would take too long: each of many I/Os is many instructions.
        """
        if self.depth * self.mean_size > 32 << 20:
            return None
        count = self.per_size(4000, 1000, 100)
        first = max(count // 4, 2 * self.depth)
        return first, first + count, (first + count + first) // self.jobs


def pieces(size):
    """The requests that an I/O becomes."""
    return [MAX_REQUEST] * (size // MAX_REQUEST) + [size % MAX_REQUEST] * bool(size % MAX_REQUEST)


def plain(direction, size, depth, jobs=1, paths=1, rw=None, **wanted):
    text = {"512": "512 B", "1m": "1 MiB"}.get(size, f"{size[:-1]} KiB")
    rw = rw or DIRECTIONS[direction]
    name = f"{text} {'random ' if rw.startswith('rand') else ''}{direction}, depth {depth}"
    if jobs > 1:
        name += f", {jobs} jobs"
    if paths > 1:
        name += f", {paths} paths"
    return Row(name, (f"--rw={rw}", f"--bs={size}", f"--iodepth={depth}", f"--numjobs={jobs}"),
               direction, tuple(pieces(size_of(size))), 1, depth * jobs, jobs, paths, **wanted)


def mixed(paths=1, **wanted):
    sizes, left = [], 100
    for part in MIXED_SPLIT.split(":"):
        size, percent = part.split("/")
        sizes += [size_of(size)] * int(percent)
        left -= int(percent)
    sizes += [size_of(size)] * left
    random.Random(1).shuffle(sizes)
    return Row("mixed 512 B to 64 KiB, depth 129" + (f", {paths} paths" if paths > 1 else ""),
               tuple(MIXED), "mixed", tuple(sizes), len(sizes), MIXED_DEPTH, 1, paths, **wanted)


def table():
    """The rows that something is wanted of."""
    return [
        plain("read", "4k", 32, ratio=1.5, packets=4, mainline=6690, prototype=9263),
        plain("write", "4k", 32, ratio=1.2, packets=5, mainline=8122, prototype=8771),
        plain("read", "4k", 1, ratio=1.25, packets=4, mainline=4379, prototype=4875),
        plain("write", "4k", 1, ratio=1.25, packets=5, mainline=4563),
        plain("read", "512", 32, ratio=1.4, packets=4, mainline=7311),
        plain("write", "512", 32, packets=4),
        plain("read", "64k", 8, rw="read", ratio=1.5, packets=19, mainline=1465, prototype=1533),
        plain("write", "64k", 8, rw="write", ratio=1.5, packets=20, mainline=1484, prototype=1592),
        mixed(ratio=1.4, mainline=6133, prototype=7091),
    ]


def whole():
    """All there is, those of the table among them."""
    special = {row.name: row for row in table()}
    rows = []
    for paths in (1, 2):
        for jobs in (1, 4):
            for direction in DIRECTIONS:
                for depth in DEPTHS:
                    for size in SIZES:
                        row = plain(direction, size, depth, jobs, paths)
                        rows.append(special.pop(row.name, row))
    # all of one path first: a second one is added to what is there
    first = [row for row in rows if row.paths == 1] + list(special.values())
    return first + [row for row in rows if row.paths == 2] + [mixed(paths=2)]
