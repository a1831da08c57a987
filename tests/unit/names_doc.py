#!/usr/bin/python3
"""What docs/ names is there.

Tests that docs/security.md names behind its claims; files of the tree and
targets of make that any document names in backticks or by a link.

Runs at the top of the source tree; prints as cmocka does, for run.py.
"""
import pathlib
import re
import subprocess
import sys

DOCUMENTS = [pathlib.Path("README.md"), *sorted(pathlib.Path("docs").glob("*.md"))]
FILE = re.compile(r"[\w./-]+\.(?:c|h|S|py|dts|dtsi|asl|mk|md|json)\b")
# Those of a reader's own, in "how to add one".
YOURS = re.compile(r"NAME|^build/|\bx\.[ch]|vmm_x\.c")


def tree():
    """The paths of all files, without what was built."""
    found = subprocess.run(["git", "ls-files"], stdout=subprocess.PIPE,
                           text=True, check=False).stdout.split()
    return found or [str(path) for path in pathlib.Path(".").rglob("*.*")]


def tests_named():
    """(name, whether there is one) of the tests in docs/security.md."""
    text = pathlib.Path("docs/security.md").read_text()
    hypercall = "".join(path.read_text() for path in
                        pathlib.Path("tests/hypercall").glob("*.c"))
    system = "".join(path.read_text() for path in
                     pathlib.Path("tests/system").glob("*.py"))
    units = {path.stem for folder in ("unit", "fuzz")
             for path in pathlib.Path("tests", folder).glob("*.c")}
    for name in sorted(set(re.findall(r"`([a-z_]+(?:\.[a-z_*]+)?)`", text)) - {"topic.name"}):
        topic, _, rest = name.partition(".")
        if rest in ("*", ""):
            there = f'"{topic}.' in hypercall or topic in units or \
                f"def {topic}(" in system or not re.match(r"test_\w|hv_|root_|vmm_", topic)
        else:
            there = f'"{name}"' in hypercall or rest in ("h", "c", "md")
        yield name, there


def main():
    files = tree()
    names = {pathlib.Path(path).name for path in files}
    targets = set(re.findall(r"^([a-z-]+):", "".join(
        pathlib.Path(path).read_text() for path in files
        if path.endswith(("Makefile", ".mk"))), re.M))
    wrong = [f"docs/security.md: no test {name}" for name, there in tests_named()
             if not there]
    for document in DOCUMENTS:
        for code in re.findall(r"`([^`\n]+)`", document.read_text()):
            for word in FILE.findall(code):
                if not YOURS.search(word) and "*" not in code and (
                        word not in names if "/" not in word else
                        not any(path.endswith(word) for path in files)):
                    wrong.append(f"{document}: no file {word}")
            for word in re.findall(r"\bmake ([a-z-]+)", code):
                if word not in targets:
                    wrong.append(f"{document}: no target {word}")
        for link in re.findall(r"\]\(([^)#:]+)[^)]*\)", document.read_text()):
            if not (document.parent / link).exists():
                wrong.append(f"{document}: no file {link}")
    for line in wrong:
        print(line)
    print(f"[  {'FAILED' if wrong else 'PASSED'}  ] 1 test(s).")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
