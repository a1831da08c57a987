"""Compare two results: what got better, what got worse."""

TOLERANCE = 0.02        # of what is said to be exact
# Bochs gives each CPU some instructions in turn, and that moves.
SLACK = {"smp": 15}


def medians(result):
    """{(platform, group, name): median} of a result (docs/benchmark.md)."""
    found = {}
    for platform, groups in result["platforms"].items():
        for group in ("kernel", "guest", "smp"):
            for name, line in groups.get(group, {}).items():
                found[platform, group, name] = line["median"]
        for name, line in groups.get("linux", {}).items():
            for who, value in line.items():
                value = value if isinstance(value, int) \
                    else value.get("all", value.get("exits"))
                found[platform, "linux", f"{name} {who}"] = value
        for name, part in groups.get("parts", {}).items():
            if "vmcs" in part:
                found[platform, "vmcs", name] = sum(part["vmcs"].values())
                found[platform, "vmcs exits", name] = sum(
                    number for kind, number in part["vmcs"].items()
                    if kind.endswith("_other"))
    return found


def classify(before, after, tolerance=TOLERANCE):
    """{"worse" | "better" | "same" | "missing" | "new": [(key, old, new)]}."""
    classes = {"worse": [], "better": [], "same": [], "missing": [], "new": []}
    for key in before:
        old, new = before[key], after.get(key)
        if new is None:
            classes["missing"].append((key, old, None))
        elif new > old * (1 + tolerance) + SLACK.get(key[1], 0):
            classes["worse"].append((key, old, new))
        elif new < old * (1 - tolerance):
            classes["better"].append((key, old, new))
        else:
            classes["same"].append((key, old, new))
    for key in after.keys() - before.keys():
        classes["new"].append((key, None, after[key]))
    return classes


def table(title, entries):
    """Lines of text for one class."""
    if not entries:
        return []
    lines = [f"{title}:"]
    for (platform, group, name), old, new in sorted(entries, key=str):
        change = f"{(new - old) / old:+8.1%}" if old and new is not None \
            else " " * 8
        text = [f"{value:>12,}" if value is not None else f"{'-':>12}"
                for value in (old, new)]
        lines.append(f"  {platform:10} {group:10} {name:30} {text[0]} "
                     f"{text[1]} {change}")
    return lines


def report(classes):
    """The whole, as text."""
    lines = []
    for title in ("worse", "missing", "better", "new"):
        lines += table(title, classes[title])
    lines.append(", ".join(f"{len(entries)} {title}"
                           for title, entries in classes.items()))
    return "\n".join(lines)
