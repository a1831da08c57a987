"""The rule of the paths: what the kernel does not do on call, reply and exit.

No lock, no atomic instruction, no allocation, no division, no time stamp, no
reference; and no VMCS access that costs an exit when KVM runs the hypervisor,
on the exits with the state that they usually need (docs/benchmark.md).
"""
import re

import trace
import vmcs

# The lines whose traces are looked at. A string instruction's handler makes
# calls of its own, a recall comes with timer, wakeup and schedule.
PATHS = re.compile(
    r"call_(local|remote)_(\d+|all)|exception_ud|vmexit_(?!recall)\w+|"
    r"exit_(?!string_|recall|host_)\w+|self_ipi_halt|deadline_halt")
INSTRUCTIONS = (
    ("a lock", re.compile(r"lock\b")),
    ("an atomic exchange", re.compile(r"xchg\w*\s.*[(:]")),
    ("a division", re.compile(r"i?div[bwlq]?\b")),
    ("a time stamp", re.compile(r"rdtscp?\b")),
)
FUNCTIONS = {"page_alloc": "an allocation", "page_free": "a freeing",
             "slab_alloc": "an allocation", "slab_free": "a freeing",
             "object_get": "a reference", "object_put": "a reference",
             "rcu_defer": "a freeing"}
# Who asks for the whole state pays for it.
WHOLE = re.compile(r"vmexit_\w+_all(_fpu)?")

# (line, what, function): known, and why. Nothing else is let pass.
KNOWN = (
    # The state has the TSC in it (MTD_TSC), of all or because the VMM asks.
    (WHOLE, "a time stamp", "save_whole"),
    (re.compile(r"exit_(rdmsr|wrmsr|x2apic_\w+|tsc_deadline|interrupt_window)|"
                r"self_ipi_halt|deadline_halt"), "a time stamp", "save_any"),
    # Something of it differs from what the processor has: the vCPU is loaded
    # anew, or the FPU's state changes hands.
    (WHOLE, "an atomic exchange", "vcpu_set_loaded"),
)


def breach(line, step, function, text):
    """What this step does that it may not, or None."""
    if function in FUNCTIONS:
        return FUNCTIONS[function]
    for what, pattern in INSTRUCTIONS:
        if pattern.match(text):
            return what
    if step.access and not WHOLE.fullmatch(line) and \
            not vmcs.is_shadowed(*step.access):
        return "an unshadowed VMCS access"
    return None


def is_known(line, what, function):
    """Whether this is one of KNOWN."""
    return any(pattern.fullmatch(line) and [what, function] == known
               for pattern, *known in KNOWN)


def breaches(line, steps, symbols, disassembly):
    """Messages about what a line's trace has in it and may not have."""
    if not PATHS.fullmatch(line):
        return []
    found = []
    for step in steps:
        if step.mode != trace.KERNEL:
            continue
        function = symbols.name(step.pc).partition(".")[0]
        text = disassembly.text.get(step.pc, "")
        what = breach(line, step, function, text)
        if what and not is_known(line, what, function):
            done = " ".join(vmcs.fields([step.access])) if step.access else text
            found.append(f"{what} in {function}: {done} at {step.pc:#x}")
    return list(dict.fromkeys(found))
