#!/usr/bin/python3
"""List the cases that docs/abi.md asks for.

In the section of a call ("### create_pd", "### misc lookup") every status,
right, operation and flag that is named is a case, and success is one. So is
what the introduction to its chapter names, for all calls of the chapter, and a
bad capability where RDI is one. What comes out is C: a line MATRIX(call, NAME)
a case, which matrix.h declares and matrix.c makes a test of. A case without a
function of its name does not link, a function without a case does not compile.
"""
import pathlib
import re

DOCUMENT = pathlib.Path("docs/abi.md")
HEADERS = pathlib.Path("hypervisor/include/abi")

# The constants whose names make cases.
STATUS = re.compile(r"enum status\s*\{([^}]*)\}", re.S)
CALL_FLAGS = re.compile(r"enum \{(\s*FLAG_CALL[^}]*)\}", re.S)
RIGHT = re.compile(r"(PD_CREATE|EC_(CONTROL|BIND)|SC_CONTROL|PT_CONTROL|"
                   r"PT_CALL|SM_RIGHT)")
OBJECT = re.compile(r"\| RDI \| (the )?(source |target )?(PD|EC|SC|SM|portal)\b")
CHAPTERS = {"IPC", "Creating objects", "Delegating and revoking",
            "Controlling objects", "Interrupts and devices"}


def constants():
    """The names that make cases: statuses, flags, operations, rights."""
    text = re.sub(r"/\*.*?\*/", " ", "".join(
        path.read_text() for path in sorted(HEADERS.glob("*.h"))), flags=re.S)
    names = set()
    for pattern in (STATUS, CALL_FLAGS):
        for body in pattern.findall(text):
            names |= set(re.findall(r"\b([A-Z][A-Z_0-9]+)\b", body))
    names |= {name for name in re.findall(r"\b[A-Z][A-Z_0-9]+\b", text)
              if RIGHT.match(name)}
    return names


def sections():
    """(call, text) of each call; the text of its chapter's start first."""
    chapter = section = None
    start = ""
    texts = {}
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            chapter, section, start = line[3:], None, ""
        elif line.startswith("### "):
            section = re.sub(r"\W", "_", line[4:])
            if chapter in CHAPTERS:
                texts[section] = start
        elif chapter not in CHAPTERS:
            continue
        elif section:
            texts[section] += line + "\n"
        else:
            start += line + "\n"
    return texts


def cases():
    """(call, name) of each case, in the document's order."""
    known = constants()
    for call, text in sections().items():
        found = ["SUCCESS"]
        if OBJECT.search(text):
            found.append("BAD_CAPABILITY")
        for name in re.findall(r"`([A-Z][A-Z_0-9]+)`", text):
            if name in known and name not in found:
                found.append(name)
        for name in found:
            yield call, name


def main():
    # The machine sleeps last, so that the others do not depend on its waking.
    for call, name in sorted(cases(), key=lambda case: "suspend" in case[0]):
        print(f"MATRIX({call}, {name})")


if __name__ == "__main__":
    main()
