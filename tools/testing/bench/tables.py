# SPDX-License-Identifier: GPL-2.0-or-later
"""The result of a benchmark as text."""

#: A row is reached at its ratio, or at this part of its floor.
SHARE = 0.9


def best_peer(row):
    """I/O per second of the better of nvme and nbd, or None."""
    rates = [row[peer]["iops"] for peer in ("nvme", "nbd") if row.get(peer)]
    return max(rates, default=None)


def floor(row):
    """The two messages and the bare disk, one after the other: I/O per second, or None."""
    if not row.get("floor") or not row.get("null"):
        return None
    return 1 / (1 / row["floor"]["iops"] + 1 / row["null"]["iops"])


def change(row, other):
    """Of ours against another revision, in percent, or None."""
    if not row.get("rnbd") or not row.get(other):
        return None
    return 100 * (row["rnbd"]["iops"] / row[other]["iops"] - 1)


def verdict(row):
    """Reached, or not? By the ratio to the peers, or by the share of the floor."""
    ours, peer, least = row.get("rnbd"), best_peer(row), floor(row)
    wanted = row["wanted"]["ratio"]
    if not ours or not wanted or not peer:
        return ""
    if ours["iops"] >= wanted * peer:
        return "ratio"
    if least and ours["iops"] >= SHARE * least:
        return "floor"
    return "no"


def number(value, digits=0):
    return "-" if value is None else f"{value:.{digits}f}"


def grid(title, columns, lines):
    """A title for the first column, wide as needed, and cells to the right."""
    width = max([len(title)] + [len(line[0]) for line in lines])
    cells = [[title] + columns] + lines
    widths = [max(9, 2 + max(len(line[i]) for line in cells)) for i in range(1, len(columns) + 1)]
    return "\n".join(line[0].ljust(width) + "".join(c.rjust(w) for c, w in zip(line[1:], widths))
                     for line in cells)


def rates(data):
    """I/O per second of all drivers, and what they mean."""
    drivers = [d for d in data["drivers"] if d not in ("null", "floor")]
    others = [d for d in drivers if d.startswith("rnbd@")]
    lines = []
    for row in data["rows"]:
        ours, peer, least = row.get("rnbd"), best_peer(row), floor(row)
        line = [row["name"]] + [number(row[d]["iops"]) if row.get(d) else "-" for d in drivers]
        changes = [change(row, other) for other in others]
        line += ["-" if c is None else f"{c:+.1f} %" for c in changes]
        line.append(number(ours["iops"] / peer, 2) if ours and peer else "-")
        line.append(number(row["wanted"]["ratio"], 2))
        line.append(number(least))
        line.append(f"{100 * ours['iops'] / least:.0f} %" if ours and least else "-")
        line.append(verdict(row))
        line += [number(row["seen"][one]) for one in ("mainline", "prototype")]
        lines.append(line)
    columns = drivers + ["change"] * len(others) + ["ratio", "wanted", "floor", "of floor",
                                                    "reached", "mainline", "prototype"]
    return grid("I/O per second", columns, lines)


def latencies(data):
    drivers = [d for d in data["drivers"] if d != "floor"]
    lines = [[row["name"]] + [f"{row[d]['mean_us']:.0f} / {row[d]['p99_us']:.0f}"
                              if row.get(d) else "-" for d in drivers] for row in data["rows"]]
    return grid("latency, mean / p99, us", drivers, lines)


WORK = ["packets", "sends", "receives", "doorbells", "completions", "events"]


def work(data, driver):
    """What one driver has the RDMA device do, an I/O."""
    lines = []
    for row in data["rows"]:
        found = row.get(driver) or {}
        if "packets" not in found:
            continue
        wanted = row["wanted"]["packets"] if driver == "rnbd" else None
        lines.append([row["name"]] + [number(found[what], 2) for what in WORK] +
                     ([number(wanted)] if driver == "rnbd" else []))
    columns = WORK + (["wanted packets"] if driver == "rnbd" else [])
    return grid(f"{driver}, an I/O", columns, lines) if lines else None


def parts(data, driver):
    lines, columns = [], None
    for row in data["rows"]:
        found = row.get(driver) or {}
        if "parts" not in found:
            continue
        columns = list(found["parts"]) + ["all", "of the driver"]
        lines.append([row["name"]] + [number(v) for v in found["parts"].values()] +
                     [number(found["instructions"]), number(found["driver"])])
    return grid(f"{driver}, instructions an I/O", columns, lines) if lines else None


def spreads(data):
    """Where rounds differ by more than the figures are worth."""
    wide = [(row[d]["spread"], row["name"], d) for row in data["rows"] for d in data["drivers"]
            if row.get(d) and row[d]["spread"] > 0.01]
    if not wide:
        return None
    return "rounds that differ by more than 1 %:\n" + "\n".join(
        f"  {100 * spread:4.1f} %  {driver:12} {name}"
        for spread, name, driver in sorted(wide, reverse=True))


def text(data):
    rdma = [d for d in data["drivers"] if d not in ("null", "floor", "nbd")]
    blocks = [rates(data), latencies(data)]
    blocks += [work(data, d) for d in rdma] + [parts(data, d) for d in rdma + ["nbd"]]
    return "\n\n".join(block for block in blocks + [spreads(data)] if block)
