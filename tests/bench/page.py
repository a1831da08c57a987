"""A result as a page of HTML with plots, which needs nothing but itself."""
import html as escape

import emulator
import table

PART_COLOURS = {"entry": "#888888", "before": "#2f6fab", "alone": "#6a51a3",
                "handler": "#e08214", "handler_kernel": "#b35806",
                "after": "#1a9850"}
PART_NAMES = {"entry": "processor: exit and entry",
              "before": "kernel before the handler",
              "alone": "kernel, without a handler",
              "handler": "handler in the VMM",
              "handler_kernel": "kernel, called by the handler",
              "after": "kernel after the handler"}
WHO = {"guest": ("#2f6fab", "as our guest"), "kvm": ("#e08214", "as KVM's")}
STYLE = """
:root { --ink: #1c1c1c; --paper: #ffffff; --stripe: #f3f5f7; --line: #d0d0d0;
        --median: #08306b; --over: #c01020; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e4e4; --paper: #16181b;
        --stripe: #22262b; --line: #4a4f55; --median: #deebf7;
        --over: #ff7080; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 72em;
       padding: 0 1em; color: var(--ink); background: var(--paper); }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5em; }
table { border-collapse: collapse; font-size: 13px; }
th, td { text-align: right; padding: .1em .8em .1em 0;
         font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
tr:nth-child(even) td { background: var(--stripe); } a { color: inherit; }
.over { color: var(--over); font-weight: bold; }
th { border-bottom: 1px solid #888; } svg line { stroke: var(--line); }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.median { fill: var(--median); }
.legend span { display: inline-block; margin-right: 1.5em; }
.legend i { display: inline-block; width: 1em; height: 1em; margin-right: .4em;
            vertical-align: -.15em; }
.wide { overflow-x: auto; }
"""
LABEL, WIDTH, ROW = 230, 1000, 20       # of plots, in pixels


def text(x, y, words, anchor="start"):
    """An SVG text."""
    return (f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">'
            f"{escape.escape(str(words))}</text>")


def bar(x, y, width, height, colour, title):
    """An SVG rectangle that says what it is."""
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" '
            f'height="{height}" fill="{colour}"><title>'
            f"{escape.escape(title)}</title></rect>")


def svg(rows, height, drawn):
    """A plot of so many rows; a narrow window scrolls it."""
    return (f'<div class=wide><svg width="{WIDTH}" height="{height}" '
            f'role="img" aria-label="{rows} rows">{"".join(drawn)}</svg></div>')


def line_at(x, height, words):
    """A vertical line of the grid and what it stands for."""
    return [f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 18}"/>',
            text(x, height - 4, words, "middle")]


def ticks_axis(top, height, scale):
    """Lines at round numbers, at most six."""
    step = 1
    while top / step > 6:
        step = step * 2 if str(step)[0] == "1" else \
            step * 5 // 2 if str(step)[0] == "2" else step * 2
    drawn = []
    for value in range(0, int(top) + 1, step):
        drawn += line_at(LABEL + value * scale, height, f"{value:,}")
    return drawn


def stacked(groups, names):
    """Stacked bars of the parts of exits."""
    parts = {name: groups["parts"][name]["parts"] for name in names}
    sums = {name: sum(part.get(key, 0) for key in PART_COLOURS)
            for name, part in parts.items()}
    if not sums:
        return ""
    top = max(sums.values())
    scale = (WIDTH - LABEL - 70) / top
    height = ROW * len(sums) + 20
    drawn = ticks_axis(top, height, scale)
    for i, (name, part) in enumerate(parts.items()):
        x, y = LABEL, i * ROW + 3
        drawn.append(text(LABEL - 8, y + 12, name, "end"))
        for key, colour in PART_COLOURS.items():
            if value := part.get(key, 0):
                drawn.append(bar(x, y, value * scale, ROW - 6, colour,
                                 f"{PART_NAMES[key]}: {value:,}"))
                x += value * scale
        drawn.append(text(x + 6, y + 12, f"{sums[name]:,}"))
    return svg(len(sums), height, drawn)


def distributions(lines, quantiles):
    """From minimum to 99 %, relative to the median: box 25 to 75 %."""
    at = {percent: i for i, percent in enumerate(quantiles)}
    rows = [(name, line["quantiles"]) for name, line in lines.items()
            if line["median"] and name != "clock" and
            line["quantiles"][at[0]] != line["quantiles"][at[99]]]
    low = 0.5
    scale = (WIDTH - LABEL - 90) / (2 - low)
    height = ROW * len(rows) + 20

    def x_of(value, median):
        return LABEL + (min(max(value / median, low), 2) - low) * scale

    drawn = []
    for ratio in (0.5, 0.75, 1, 1.25, 1.5, 1.75, 2):
        drawn += line_at(LABEL + (ratio - low) * scale, height, f"{ratio:.0%}")
    for i, (name, values) in enumerate(rows):
        y = i * ROW + 3
        median = values[at[50]]
        whole = [x_of(values[at[percent]], median) for percent in (0, 99)]
        box = [x_of(values[at[percent]], median) for percent in (25, 75)]
        title = ", ".join(f"{percent} %: {value:,}" for percent, value in
                          zip(quantiles, values))
        drawn.append(text(LABEL - 8, y + 12, name, "end"))
        drawn.append(bar(whole[0], y + 6, whole[1] - whole[0], 2, "#2f6fab",
                         title))
        drawn.append(bar(box[0], y + 1, box[1] - box[0], ROW - 8, "#9ecae1",
                         title))
        drawn.append(f'<g class="median">'
                     f'{bar(LABEL + (1 - low) * scale - 1, y, 2, ROW - 6, "", title)}</g>')
        if values[-1] > 2 * median:
            drawn.append(text(WIDTH - 4, y + 12, f"max {values[-1]:,}", "end"))
    return svg(len(rows), height, drawn)


def overheads(linux):
    """Linux, as a guest, in per cent of what it takes on the bare machine."""
    rows = [(f"{name}, {WHO[who][1]}", line[who] / line["bare"], WHO[who][0],
             f"{line[who]:,} of {line['bare']:,}")
            for name, line in linux.items() if name != "exits"
            for who in WHO if who in line]
    scale = (WIDTH - LABEL - 70) / max(ratio for _, ratio, _, _ in rows)
    height = ROW * len(rows) + 20
    drawn = []
    for ratio in (0, 0.5, 1):
        drawn += line_at(LABEL + ratio * scale, height, f"{ratio:.0%}")
    for i, (name, ratio, colour, title) in enumerate(rows):
        y = i * ROW + 3
        drawn += [text(LABEL - 8, y + 12, name, "end"),
                  bar(LABEL, y, ratio * scale, ROW - 6, colour, title),
                  text(LABEL + ratio * scale + 6, y + 12, f"{ratio:.1%}")]
    return svg(len(rows), height, drawn)


def cell(value):
    """What stands in a table's cell."""
    return escape.escape(f"{value:,}" if isinstance(value, int) else
                         str(value))


def html_table(head, rows):
    """A table; the last cell of a row may be OVER."""
    cells = "".join(f"<th>{escape.escape(str(word))}</th>" for word in head)
    out = [f"<div class=wide><table><tr>{cells}</tr>"]
    for row in rows:
        mark = ' class="over"' if row[-1] == "OVER" else ""
        out.append("<tr>" + "".join(f"<td{mark}>{cell(word)}</td>"
                                    for word in row) + "</tr>")
    out.append("</table></div>")
    return "".join(out)


def legend():
    """What the colours mean."""
    return '<p class="legend">' + "".join(
        f'<span><i style="background:{colour}"></i>{PART_NAMES[key]}</span>'
        for key, colour in PART_COLOURS.items()) + "</p>"


def platform_part(platform, groups, quantiles):
    """All of one platform."""
    title = ": ".join(filter(None, (platform, emulator.EXACT.get(platform))))
    out = [f'<h2 id="{platform}">{escape.escape(title)}</h2>']
    parted = [name for name, part in groups.get("parts", {}).items()
              if "parts" in part]
    for title, prefix in (
            ("Exits of a guest under the VMM, by part", ("exit_", "self_",
                                                         "deadline_")),
            ("Exits to a handler that does nothing, by part", ("vmexit_",))):
        # A string instruction would make all others too short to see.
        names = [name for name in parted if name.startswith(prefix)
                 and "string" not in name and name != "exit_recall"]
        if names:
            out += [f"<h3>{title} ({groups['unit']})</h3>", legend(),
                    stacked(groups, names),
                    "<p>The number behind a bar is all of it. What is much "
                    "longer, strings among it, is in the table.</p>"]
    if parted:
        out += ["<h3>The same in numbers, and VMCS accesses</h3>",
                html_table(["", *table.PARTS_HEAD], table.parts_of(groups))]
    for key, title in table.TITLES.items():
        if groups.get(key):
            title = title[0].upper() + title[1:]
            out += [f"<h3>{title} ({groups['unit']})</h3>",
                    html_table(["", "min", "median", "p90", "p99", "max",
                                "at most", ""],
                               table.lines_of(platform, groups[key],
                                              groups["exact"])),
                    "<p>Distribution relative to the median (the mark): the "
                    "thin line is from the minimum to 99 %, the box is the "
                    "middle half. Lines whose rounds all took the same are "
                    "left out.</p>",
                    distributions(groups[key], quantiles)]
    if groups.get("linux"):
        out += [f"<h3>Linux (ticks: {groups['unit']})</h3>",
                overheads(groups["linux"]),
                "<p>100 % is the same kernel and workload on the bare machine; "
                "shorter is better.</p>",
                html_table(table.LINUX_HEAD, table.linux_rows(groups)),
                "<h3>Exits of its boot to the prompt</h3>",
                html_table(table.EXITS_HEAD, table.exit_rows(groups))]
    return out


def html(result):
    """The page."""
    out = ["<!doctype html><html lang=en><head><meta charset=utf-8>",
           "<meta name=viewport content='width=device-width'>",
           f"<title>Micronova {escape.escape(result['version'])}: what it "
           f"costs</title><style>{STYLE}</style></head><body>",
           "<h1>What a VM exit costs, and all else</h1>",
           f"<p>Micronova {escape.escape(result['version'])}. What each line "
           "is and how it was obtained: docs/benchmark.md. <i>At most</i> is "
           "the target that a line has; <span class=over>OVER</span> is missed."
           "</p><p>" + " · ".join(f'<a href="#{platform}">{platform}</a>'
                                   for platform in result["platforms"]) +
           "</p>"]
    for platform, groups in result["platforms"].items():
        out += platform_part(platform, groups, result["quantiles"])
    out.append("</body></html>\n")
    return "\n".join(out)
