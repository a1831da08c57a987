"""A result as text, with the most that each operation may take."""
import json
import pathlib

import steps

TARGETS = json.loads((pathlib.Path(__file__).parent /
                      "targets.json").read_text())
TITLES = {"kernel": "kernel operations",
          "guest": "exits, as the guest sees them",
          "smp": "other CPUs (two CPUs)"}


def target(platform, name):
    """The most that a line may take, or None."""
    vendor = "svm" if platform in ("qemu-tcg", "bochs-svm") else "vmx"
    value = TARGETS.get(name)
    return value.get(vendor) if isinstance(value, dict) else value


def mark(value, limit):
    """Whether a target is met, if there is one."""
    return "" if limit is None else "ok" if value <= limit else "OVER"


def lines_of(platform, group, exact):
    """One group's table."""
    rows = []
    for name, line in group.items():
        limit = target(platform, name) if exact else None
        rows.append([name, *(f"{line[key]:,}" for key in
                             ("min", "median", "p90", "p99", "max")),
                     "" if limit is None else f"{limit:,}",
                     mark(line["median"], limit)])
    return rows


PARTS = ["entry", "before", "handler", "handler_kernel", "after", "alone"]
VMCS = ["read_shadowed", "read_other", "write_shadowed", "write_other"]
PARTS_HEAD = ["exits", "hardware", "before", "handler", "its calls", "after",
              "kernel only", "rd free", "rd exit", "wr free", "wr exit"]


def parts_of(groups):
    """Rows of the exits' parts and VMCS accesses."""
    for name, part in groups.get("parts", {}).items():
        if "parts" in part:
            yield [name, *(part["parts"].get(key, 0)
                           for key in ["exits", *PARTS]),
                   *(part.get("vmcs", {}).get(key, "") for key in VMCS)]


LINUX_HEAD = ["", "bare", "as our guest", "overhead", "as KVM's guest",
              "overhead", "at most", ""]
EXITS_HEAD = ["", "number", "a second", "at most", ""]
BOOT_OVERHEAD = 3       # per cent
BOOT_EXITS = 20000


def overhead(line, who):
    """In per cent, as text."""
    if who not in line:
        return ""
    return f"{(line[who] - line['bare']) / line['bare']:+.2%}"


def linux_rows(groups):
    """Rows of what Linux took, and what that is above the bare machine."""
    rows = []
    for name, line in groups.get("linux", {}).items():
        if name == "exits":
            continue
        boot = name.startswith("boot")
        limit = line["bare"] * (100 + BOOT_OVERHEAD) / 100 if boot else None
        rows.append([name, line["bare"], line["guest"],
                     overhead(line, "guest"), line.get("kvm", ""),
                     overhead(line, "kvm"), f"+{BOOT_OVERHEAD} %" * boot,
                     mark(line["guest"], limit)])
    return rows


def exit_rows(groups):
    """Rows of exits by reason, ours and KVM's, with the rate."""
    rows = []
    linux = groups.get("linux", {})
    for who, exits in linux.get("exits", {}).items():
        seconds = linux["boot"][who] / (groups["tsc_khz"] * 1000)
        for name, number in sorted(exits.items(), key=lambda pair: -pair[1]):
            limit = BOOT_EXITS if (who, name) == ("guest", "all") else None
            rows.append([f"{who} {name}", number, f"{number / seconds:,.0f}",
                         limit or "", mark(number, limit)])
    return rows


def text(result):
    """All of it."""
    out = []
    for platform, groups in result["platforms"].items():
        for key, title in TITLES.items():
            if not groups.get(key):
                continue
            out += ["", f"{platform}: {title}, in {groups['unit']}; after a "
                    "warm-up of a tenth of the rounds", ""]
            head = ["", "min", "median", "p90", "p99", "max", "at most", ""]
            for row in [head, *lines_of(platform, groups[key],
                                        groups["exact"])]:
                out.append(f"  {row[0]:30}" + "".join(
                    f"{word:>11}" for word in row[1:7]) + f" {row[7]}")
        rows = list(parts_of(groups))
        if rows:
            out += ["", f"{platform}: what exits consist of, in instructions; "
                    "VMCS accesses, free under KVM or an exit each", ""]
            out += [f"  {row[0]:30}" + "".join(
                f"{word:>12}" for word in row[1:])
                for row in [["", *PARTS_HEAD], *rows]]
        for title, head, rows in (
                (f"Linux, in ticks of {groups['unit']}", LINUX_HEAD,
                 linux_rows(groups)),
                ("exits of Linux's boot to the prompt",
                 EXITS_HEAD, exit_rows(groups))):
            if rows:
                out += ["", f"{platform}: {title}", ""]
                out += [f"  {row[0]:20}" + "".join(
                    f"{f'{word:,}' if isinstance(word, int) else word:>18}"
                    for word in row[1:]) for row in [head, *rows]]
    for name, ways in steps.of_result(result).items():
        if ways:
            out += ["", f"the steps of {name}, in instructions", "",
                    f"  {'':30}" + "".join(f"{word:>12}" for word in
                                           steps.COLUMNS)]
            out += [f"  {' '.join(key):30}" + "".join(
                f"{counts.get(platform, ''):>12}" for platform in
                steps.COLUMNS) for key, counts in ways.items()]
    return "\n".join(out)
