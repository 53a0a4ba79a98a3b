# SPDX-License-Identifier: GPL-2.0-or-later
"""The result of a benchmark as a chart, in SVG.

A panel for each direction, depth, number of jobs and of paths, with a group of bars for
each size in it; or one panel with all rows if they are few. Rates differ by a hundred
times between rows, so what is drawn is the ratio to the better of NVMe and NBD, with the
rate written at each bar. A line across a group is its floor.
"""

import html
import re

import tables

COLORS = {"rnbd": "#1f6f8b", "nvme": "#c8794a", "nbd": "#8a8a8a"}
OTHER = "#4f93a8"
INK, FAINT = "#222222", "#d8d8d8"
BAR, GAP, HEIGHT, MARGIN = 26, 22, 220, 44


class Canvas:
    """Elements, with their origin moved along."""

    def __init__(self):
        self.parts = []

    def rect(self, x, y, width, height, fill, title=""):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                          f'height="{max(height, 0):.1f}" fill="{fill}">'
                          f'<title>{html.escape(title)}</title></rect>')

    def line(self, x1, y1, x2, y2, color, width=1.0, dash=""):
        dash = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{color}" stroke-width="{width}"{dash}/>')

    def text(self, x, y, text, size=11, anchor="middle", turn=0, weight="normal", fill=INK):
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" '
                          f'font-weight="{weight}" text-anchor="{anchor}"{turned}>'
                          f'{html.escape(text)}</text>')


def panels(data):
    """Lists of rows, each with a title; a row has a label in it."""
    rows = data["rows"]
    if len(rows) <= 12:
        return [("", [(re.sub(r"(random |, depth)", lambda m: {"random ": ""}.get(m[0], ", d"),
                              row["name"]), row) for row in rows])]
    found = {}
    for row in rows:
        parts = row["name"].split(", ")
        match = re.fullmatch(r"(\d+ \w+) (?:random )?(read|write)", parts[0])
        title = ", ".join([match[2]] + parts[1:]) if match else "mixed"
        label = match[1] if match else ", ".join(parts[1:])
        found.setdefault(title, []).append((label, row))
    return list(found.items())


def drawn(data):
    return [d for d in data["drivers"] if d not in ("null", "floor")]


def base(row):
    """What is 1."""
    return tables.best_peer(row) or (row.get("rnbd") or {"iops": 1})["iops"]


def highest(data):
    ratios = [row[d]["iops"] / base(row) for row in data["rows"] for d in drawn(data)
              if row.get(d)]
    ratios += [tables.floor(row) / base(row) for row in data["rows"] if tables.floor(row)]
    return max(ratios, default=1) * 1.15


def group_width(data):
    return BAR * len(drawn(data)) + GAP


def panel_width(data, rows):
    return MARGIN + len(rows) * group_width(data) + GAP


def draw_group(canvas, data, label, row, x, bottom, scale, slanted):
    drivers = drawn(data)
    for i, driver in enumerate(drivers):
        found = row.get(driver)
        if not found:
            continue
        height = found["iops"] / base(row) * scale
        left = x + i * BAR
        canvas.rect(left, bottom - height, BAR - 3, height, COLORS.get(driver, OTHER),
                    f"{row['name']}: {driver} {found['iops']:.0f} I/O/s")
        # at its foot, where no floor crosses it
        inside = height > 45
        canvas.text(left + BAR / 2 + 2, bottom - (5 if inside else height + 4),
                    f"{found['iops']:.0f}", 10, "start", turn=-90,
                    fill="white" if inside else INK)
    least = tables.floor(row)
    if least:
        y = bottom - least / base(row) * scale
        canvas.line(x - 4, y, x + BAR * len(drivers) + 1, y, INK, 1.5, "5 3")
    if slanted:
        canvas.text(x + 24, bottom + 14, label, 10, "end", turn=-28)
    else:
        canvas.text(x + BAR * len(drivers) / 2, bottom + 16, label, 10)


def draw_panel(canvas, data, title, rows, x, y, top):
    bottom, scale = y + HEIGHT, HEIGHT / top
    width = panel_width(data, rows)
    canvas.text(x + MARGIN, y - 8, title, 12, "start", weight="bold")
    step = 0.5 if top > 1.2 else 0.25
    for i in range(int(top / step) + 1):
        level = bottom - i * step * scale
        canvas.line(x + MARGIN - 6, level, x + width - GAP, level, INK if i == 0 else FAINT)
        canvas.text(x + MARGIN - 10, level + 4, f"{i * step:g}", 10, "end")
    for i, (label, row) in enumerate(rows):
        draw_group(canvas, data, label, row, x + MARGIN + GAP / 2 + i * group_width(data),
                   bottom, scale, slanted=not title)


def draw_legend(canvas, data, x, y):
    for i, driver in enumerate(drawn(data)):
        canvas.rect(x, y - 10, 12, 12, COLORS.get(driver, OTHER))
        canvas.text(x + 17, y, driver, 11, "start")
        x += 40 + 8 * len(driver)
    canvas.line(x, y - 4, x + 24, y - 4, INK, 1.5, "5 3")
    canvas.text(x + 29, y, "floor: two messages and the bare disk", 11, "start")


def svg(data):
    found, top = panels(data), highest(data)
    columns = 1 if len(found) == 1 else 3
    step_x = max(panel_width(data, rows) for _, rows in found) + 20
    step_y = HEIGHT + (130 if columns == 1 else 90)
    width = step_x * columns + 30
    canvas = Canvas()
    canvas.text(20, 28, "I/O per second, ratio to the better of NVMe over RDMA and NBD", 16,
                "start", weight="bold")
    canvas.text(20, 46, f"revision {data['revision']}; on a clock that counts instructions, "
                "soft RoCE, null_blk, client and server in one VM", 11, "start")
    draw_legend(canvas, data, 20, 70)
    for i, (title, rows) in enumerate(found):
        draw_panel(canvas, data, title, rows, 10 + i % columns * step_x,
                   110 + i // columns * step_y, top)
    height = 110 + (len(found) + columns - 1) // columns * step_y
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="sans-serif">\n'
            f'<rect width="100%" height="100%" fill="white"/>\n' +
            "\n".join(canvas.parts) + "\n</svg>\n")
