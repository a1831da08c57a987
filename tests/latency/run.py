#!/usr/bin/python3
"""The longest time with interrupts off, in instructions.

run.py KERNEL IMAGE

Boots the image (main.c) in QEMU, one instruction after the other, and follows
the kernel's: a stretch begins where the kernel is entered, or interrupts were
let in, and ends where it is left, or they are let in again. Prints the longest
stretch of each kind of work for a small and a large range, and fails if one of
them is longer than BOUND, or grows with the range: is longer than what the same
work, or a delegation or revocation, takes at once of a small one.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

BOUND = 20000           # instructions
GROWTH = 1.25           # large against small; small ones are alike anyway
WORK = ["delegate", "revoke", "hand over to a PD", "destroy the PD",
        "revoke all", "SM with sleepers", "timeouts at once",
        "handler with callers", "ready SCs", "chain of calls", "ECs",
        "take blocks", "delegate blocks", "revoke copies", "revoke blocks",
        "copy a large page", "revoke a page's copy", "take a page out",
        "lose ancestors", "translate", "end of ancestors"]
SMALL = ["2^10"] * 5 + ["2^6"] * 6 + ["2^5"] * 4 + ["2^18"] * 3 + ["2^6"] * 3
LARGE = ["2^16"] * 5 + ["2^10"] * 6 + ["2^8"] * 4 + ["2^27"] * 3 + ["2^10"] * 3
LEAVES = {"sysretq", "sysret", "iretq", "sti", "vmrun", "vmlaunch",
          "vmresume"}


def instructions(kernel):
    """The kernel's text: range, addresses that end a stretch, functions."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", kernel],
                          stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    ends, functions, addresses = set(), {}, []
    function = ""
    for line in text.splitlines():
        label = re.match(r"([0-9a-f]{16}) <(\w+)>:", line)
        if label:
            function = label[2]
            functions[label[1].encode()] = function
            continue
        found = re.match(r"\s*([0-9a-f]{16}):\s+(\w+)", line)
        if found and found[1].startswith("ffffffff8"):
            addresses.append(int(found[1], 16))
            if found[2] in LEAVES:
                ends.add(found[1].encode())
    return min(addresses), max(addresses), ends, functions


class Stretches:
    """The longest stretch of each phase, and where it ended."""

    def __init__(self, ends, functions):
        self.ends = ends
        names = {name: at for at, name in functions.items()}
        self.begin = names["entry_syscall"]
        self.mark = names["lookup"]
        self.functions = functions
        self.longest = []

    def follow(self, trace):
        """Read the addresses of the instructions as they are executed."""
        ends, mark, begin = self.ends, self.mark, self.begin
        functions = self.functions
        count = most = total = 0
        where = function = None
        seen = {}
        for line in trace:
            # Trace 0: HOST [CS BASE/PC/FLAGS/...]
            if not line.startswith(b"Trace"):
                continue
            pc = line.split(b"/", 2)[1]
            count += 1
            if pc in functions:
                function = functions[pc]
                seen[function] = seen.get(function, 0) + 1
            if pc in ends:
                total += count
                if count > most:
                    most, where = count, seen
                count, seen = 0, {}
            elif pc == mark:
                self.longest.append((most, where, total))
                count = most = total = 0
                where, seen = None, {}
            elif pc == begin:
                count, seen = 1, {}
        return self.longest[1:]


def run(kernel, image):
    """Boot; the longest stretches by phase."""
    first, last, ends, functions = instructions(kernel)
    stretches = Stretches(ends, functions)
    with tempfile.TemporaryDirectory() as directory:
        fifo = pathlib.Path(directory, "trace")
        os.mkfifo(fifo)
        with subprocess.Popen(
                ["qemu-system-x86_64", "-machine", "q35", "-accel",
                 "tcg,thread=single", "-icount", "shift=0,sleep=off",
                 "-singlestep", "-cpu", "max,+svm,+npt", "-m", "768",
                 "-display", "none", "-monitor", "none", "-net", "none",
                 "-serial", "none", "-no-reboot",
                 "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                 "-d", "exec,nochain",
                 "-dfilter", f"{first:#x}..{last:#x}", "-D", fifo,
                 "-cdrom", image], stdin=subprocess.DEVNULL) as qemu:
            try:
                with open(fifo, "rb", buffering=1 << 20) as trace:
                    longest = stretches.follow(trace)
                status = qemu.wait(60)
            finally:
                qemu.kill()
    if status != 1:
        sys.exit(f"latency: the program failed: exit {status}")
    return longest


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("latency: ended"))
    kernel, image = sys.argv[1:]
    longest = run(kernel, image)
    if len(longest) != 2 * len(WORK):
        sys.exit(f"latency: {len(longest)} marks")
    failed = 0
    step = max(longest[0][0], longest[1][0])
    print("longest time with interrupts off, in instructions (and of all)")
    for i, what in enumerate(WORK):
        (small, _, all_small), (large, where, all_large) = \
            longest[i], longest[i + len(WORK)]
        good = large <= BOUND and large <= max(small, step) * GROWTH
        failed += not good
        print(f"latency: {what:20} "
              f"{SMALL[i]:4} {small:8} of {all_small:9}   "
              f"{LARGE[i]:4} {large:8} of {all_large:9} "
              f"{'ok' if good else 'FAIL'}")
        if not good:
            often = sorted(where.items(), key=lambda item: -item[1])[:8]
            print("    " + ", ".join(f"{name} {n}" for name, n in often))
    print(f"[  {'FAILED' if failed else 'PASSED'}  ] "
          f"{failed or len(WORK)} test(s).")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
