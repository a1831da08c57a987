"""Instruction traces: where an operation spends its instructions.

The trace programs (stats.h) put marks around the last three operations of
each kind; the shortest is taken: an interrupt may come between. Bochs stops at
a mark by itself, and its debugger prints each instruction and the registers
behind it until the next. QEMU prints the address and mode of everything from
when it is told so, and the marks are found by their address.
"""
import bisect
import collections
import os
import re
import subprocess
import threading

import vmcs

KERNEL, USER, GUEST = "kernel", "user", "guest"

# Trace 0: 0x7f.. [cs base/pc/flags/cflags]
QEMU_LINE = re.compile(rb"\[[0-9a-f]+/([0-9a-f]+)/([0-9a-f]+)/")
QEMU_GUEST = 1 << 21            # of flags: HF_GUEST_MASK
# (0).[ticks] [physical] cs:ip (context): instruction ; bytes
BOCHS_LINE = re.compile(
    r"^\(0\)\.\[\d+\] \[[^]]*\] [0-9a-f]+:([0-9a-f]+) \([^)]*\): (.*?)\s*;")
BOCHS_REGISTER = re.compile(r"\b(r\w+)\s*: ([0-9a-f]{8})_([0-9a-f]{8})")
ENTRY = re.compile(r"^(vmlaunch|vmresume|vmrun)\b")
MARKS = 500                     # at most, in one program
ROUNDS = 3                      # each operation is traced so often (stats.h)
TOP = 12                        # functions to name

# An instruction: its address, KERNEL, USER or GUEST, and the VMCS access that
# it is, (VMREAD or VMWRITE, field), or None.
Step = collections.namedtuple("Step", "pc mode access")


class Symbols:
    """Names of the functions of an ELF file."""

    def __init__(self, elf):
        text = subprocess.run(["nm", "-n", elf], stdout=subprocess.PIPE,
                              text=True, check=True).stdout
        found = [line.split() for line in text.splitlines()]
        pairs = [(int(words[0], 16), words[2]) for words in found
                 if len(words) == 3 and words[1] in "tT"]
        self.addresses = [address for address, _ in pairs]
        self.names = [name for _, name in pairs]

    def name(self, pc):
        """The function that pc is in."""
        at = bisect.bisect_right(self.addresses, pc) - 1
        return self.names[at] if at >= 0 else hex(pc)

    def address(self, name):
        """Where a function is."""
        return self.addresses[self.names.index(name)]


class Disassembly:
    """Instructions by address, as objdump prints them."""

    LINE = re.compile(r"^\s*([0-9a-f]+):\t(\S.*?)\s*$", re.M)

    def __init__(self, *elfs):
        self.text = {}
        for elf in elfs:
            text = subprocess.run(
                ["objdump", "-d", "-w", "--no-show-raw-insn", elf],
                stdout=subprocess.PIPE, text=True, check=True).stdout
            for found in self.LINE.finditer(text):
                self.text[int(found[1], 16)] = found[2]


class QemuReader(threading.Thread):
    """Reads QEMU's trace from a fifo, keeps what lies between marks."""

    def __init__(self, fifo, mark, mark_mode, disassembly):
        super().__init__(daemon=True)
        self.fifo = fifo
        self.mark, self.mark_mode = mark, mark_mode
        self.disassembly = disassembly
        self.needle = b"/%016x/" % mark
        self.traces = []
        self.current = None

    def run(self):
        rest = b""
        with open(self.fifo, "rb", buffering=0) as fifo:
            while data := fifo.read(1 << 20):
                block = rest + data
                cut = block.rfind(b"\n") + 1
                rest = block[cut:]
                # Most of it is nothing that anybody wants.
                if self.current is not None or self.needle in block:
                    self.take(block[:cut])

    def take(self, block):
        """Look at some lines."""
        for found in QEMU_LINE.finditer(block):
            pc, flags = int(found[1], 16), int(found[2], 16)
            mode = GUEST if flags & QEMU_GUEST else \
                USER if flags & 3 else KERNEL
            if pc == self.mark and mode == self.mark_mode:
                if self.current is None:
                    self.current = []
                else:
                    self.traces.append(self.clean(self.current))
                    self.current = None
            elif self.current is not None:
                self.current.append(Step(pc, mode, None))

    def clean(self, steps):
        """Without what QEMU began and then began anew: accesses to devices."""
        return [step for i, step in enumerate(steps)
                if i == 0 or step[:2] != steps[i - 1][:2]
                or self.disassembly.text.get(step.pc, "").startswith("rep")]


def bochs_commands():
    """What the debugger is told."""
    return "trace-reg on\nc\n" + "trace on\nc\ntrace off\nc\n" * MARKS


def bochs_traces(path, mark, mark_mode):
    """The traces in the debugger's output."""
    traces, current = [], None
    outside, before, registers = mark_mode, [], []
    with open(path, errors="replace") as output:
        for line in output:
            if line.startswith("Tracing enabled"):
                current, outside = [], mark_mode
            elif line.startswith("Tracing disabled"):
                traces.append([step for step in current if step.pc != mark])
                current = None
            elif current is None:
                continue
            elif found := BOCHS_LINE.match(line):
                before, registers = registers, []
                pc, text = int(found[1], 16), found[2]
                mode = KERNEL if pc >> 63 else outside
                current.append(Step(pc, mode, access(text, before)))
                if mode is KERNEL:
                    outside = GUEST if ENTRY.match(text) else USER
            else:
                registers.append(line)
    return traces


def access(text, registers):
    """(VMREAD or VMWRITE, field) of a Bochs instruction, or None."""
    name, _, operands = text.partition(" ")
    if name not in ("vmread", "vmwrite"):
        return None
    # Debugger's order: where to, where from; the field is in a register.
    to, _, source = operands.rpartition(", ")
    register = (source if name == "vmread" else to).strip()
    for line in registers:
        if found := BOCHS_REGISTER.match(line):
            if found[1] == register:
                return name, int(found[2] + found[3], 16) & 0xffff
    return name, None


def undisturbed(traces):
    """Of the traces of each operation the one that nothing came between."""
    return [min(traces[i:i + ROUNDS], key=lambda steps: sum(
        step.mode != GUEST for step in steps))
        for i in range(0, len(traces), ROUNDS)]


def with_entries(steps, disassembly):
    """Where an entry exits before the guest's first instruction, a step for it."""
    found = []
    for i, step in enumerate(steps):
        found.append(step)
        if step.mode == KERNEL and i + 1 < len(steps) and \
                steps[i + 1].mode == KERNEL and \
                ENTRY.match(disassembly.text.get(step.pc, "")):
            found.append(Step(0, GUEST, None))
    return found


def runs(steps):
    """[(mode, [step])] of consecutive steps in one mode."""
    out = []
    for step in steps:
        if not out or out[-1][0] != step.mode:
            out.append((step.mode, []))
        out[-1][1].append(step)
    return out


def parts(steps):
    """What VM exits consist of, in instructions.

    before: the kernel's until the handler; handler: the VMM's own, with the
    hypercalls that it makes (handler_kernel); after: the kernel's from the
    reply on; alone: of exits that the kernel handles by itself; entry: VMRUN,
    VMRESUME, which here stand for the processor's entry and exit.
    """
    if all(step.mode != GUEST for step in steps):
        return {"alone": sum(step.mode == KERNEL for step in steps)}
    total = collections.Counter()
    groups = []
    for mode, run in runs(steps):
        if mode == GUEST:
            groups.append([])
            total["guest"] += sum(step.pc != 0 for step in run)
        elif groups:
            groups[-1].append((mode, len(run)))
    for group in groups:
        kernel = [i for i, (mode, _) in enumerate(group) if mode == KERNEL]
        if not kernel:
            continue
        total["exits"] += 1
        total["entry"] += 1
        users = [i for i, (mode, _) in enumerate(group) if mode == USER]
        if not users:
            total["alone"] += group[0][1] - 1
            continue
        for i, (mode, count) in enumerate(group):
            if mode == USER:
                total["handler"] += count
            elif i < users[0]:
                total["before"] += count
            elif i > users[-1]:
                total["after"] += count - 1
            else:
                total["handler_kernel"] += count
    return dict(total)


def rotated(steps):
    """A trace from handler to handler as one from guest to guest.

    A recall may come without an exit: then there is nothing to divide.
    """
    if all(step.mode != GUEST for step in steps):
        return steps
    first = next(i for i, step in enumerate(steps) if step.mode == GUEST)
    last = max(i for i, step in enumerate(steps) if step.mode == GUEST)
    ends = steps[:first]
    # The handler's own end and beginning are no part of it.
    ends = [step for step in ends if step.mode == KERNEL]
    return steps[first:last + 1] + [
        step for step in steps[last + 1:] if step.mode == KERNEL] + [
        Step(0, USER, None)] + ends


def analyse(steps, kernel):
    """A trace's numbers for the JSON (docs/benchmark.md)."""
    result = {"kernel": sum(step.mode == KERNEL for step in steps)}
    functions = collections.Counter(
        kernel.name(step.pc) for step in steps if step.mode == KERNEL)
    result["functions"] = dict(functions.most_common(TOP))
    accesses = [step.access for step in steps if step.access]
    if accesses:
        result["vmcs"] = vmcs.count(accesses)
        result["vmcs_fields"] = vmcs.fields(accesses)
    return result


def make_fifo(path):
    """A new fifo."""
    if os.path.lexists(path):
        os.unlink(path)
    os.mkfifo(path)
    return path
