#!/usr/bin/python3
"""docs/abi.md and the headers in hypervisor/include/abi say the same numbers.

In the document's tables a cell `NAME` is followed by a cell with its number.
Each of those must be a constant of the headers with that value, and each
constant of the headers must be in the document. The same for the offsets of
struct utcb and struct hip, written `utcb.field` and `hip.field`.

Runs at the top of the source tree; prints as cmocka does, for run.py.
"""
import pathlib
import re
import sys

HEADERS = pathlib.Path("hypervisor/include/abi")
DOCUMENT = pathlib.Path("docs/abi.md")

UTCB_DATA = 0x20    # offset of the data, from which UTCB_AT counts

ENUM = re.compile(r"enum\s*(?:\w+\s*)?\{([^}]*)\}", re.S)
DEFINE = re.compile(r"^#define\s+([A-Z]\w*)\s+(\S.*)$", re.M)
AT = re.compile(r"^UTCB_AT\((\w+),\s*(\w+)\)", re.M)
HIP_OFFSET = re.compile(r"offsetof\(struct hip, (\w+)\) == (\w+)")
CELL = re.compile(r"^`([\w.]+)`$")


def source(name):
    """A header without comments, lines joined."""
    text = (HEADERS / name).read_text()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return text.replace("\\\n", " ")


def value(expression, known):
    """A constant expression of C, with the suffixes of its numbers removed."""
    plain = re.sub(r"\b(0x[0-9a-fA-F]+|\d+)[uUlL]+\b", r"\1", expression)
    names = set(re.findall(r"\b[A-Za-z_]\w*", re.sub(r"\b0x\w+", "", plain)))
    if not re.fullmatch(r"[\w\s()|<+*-]+", plain) or names - set(known):
        raise ValueError(expression)
    return eval(plain, {"__builtins__": {}}, known)  # digits and names only


def enumerators(body, known):
    """The constants of one enum, in order, into known."""
    following = 0
    for entry in filter(None, (part.strip() for part in body.split(","))):
        name, _, expression = entry.partition("=")
        number = value(expression, known) if expression else following
        known[name.strip()] = number
        following = number + 1


def constants():
    """All constants of the headers, and the offsets, by name."""
    known = {}
    for path in sorted(HEADERS.glob("*.h")):
        text = source(path.name)
        for body in ENUM.findall(text):
            enumerators(body, known)
        for name, expression in DEFINE.findall(text):
            try:
                known[name] = value(expression, known)
            except ValueError:
                pass    # a macro of another kind, such as UTCB_AT
    for name, at in AT.findall(source("utcb.h")):
        known[f"utcb.{name}"] = int(at, 0) + UTCB_DATA
    for name, at in HIP_OFFSET.findall(source("hip.h")):
        known[f"hip.{name}"] = int(at, 0)
    return known


def documented():
    """(name, number, line) of each pair of cells in the document's tables."""
    for number, line in enumerate(DOCUMENT.read_text().splitlines(), 1):
        if not line.startswith("|"):
            for name, said in re.findall(r"`(\w+)` \((0x[0-9a-f]+)\)", line):
                yield name, int(said, 0), number
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for cell, after in zip(cells, cells[1:]):
            match = CELL.match(cell)
            if match and re.fullmatch(r"-?[0-9a-fx]+( << \d+)?", after):
                yield match[1], value(after, {}), number


def differences():
    """What is wrong, a line each."""
    known = constants()
    # First members, for which the headers need no assertion.
    known.update({"utcb.items": 0x00, "utcb.translate": 0x08,
                  "utcb.delegate": 0x10, "utcb.tls": 0x18,
                  "utcb.word": UTCB_DATA, "hip.signature": 0x00})
    told = set()
    # Those follow a member that the headers pin.
    follow = {"utcb.sysenter_rsp": known["utcb.sysenter_cs"] + 8}
    for name, number, line in documented():
        told.add(name)
        expected = known.get(name, follow.get(name))
        if expected is None:
            yield f"{DOCUMENT}:{line}: {name} is not in the headers"
        elif expected != number:
            yield (f"{DOCUMENT}:{line}: {name} is {number:#x} here, "
                   f"{expected:#x} in the headers")
    for name in sorted(set(known) - told):
        yield f"{name} ({known[name]:#x}) is not in {DOCUMENT}"
    if len(told) < 100:
        yield f"only {len(told)} names found in {DOCUMENT}"


def main():
    wrong = list(differences())
    for line in wrong:
        print(line)
    if wrong:
        print(f"[  FAILED  ] {len(wrong)} test(s).")
    else:
        print("[  PASSED  ] 1 test(s).")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
