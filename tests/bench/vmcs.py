"""VMCS accesses: which of them are free when KVM runs the hypervisor.

KVM gives a nested hypervisor a shadow VMCS for the fields that it found to be
used in most exits; an access to any other one is an exit to KVM of its own.
The lists are those of Linux 6.1.
"""
import collections
import pathlib
import re

DEFINITIONS = pathlib.Path("hypervisor/src/x86/vmcs.h")
FIELDS = re.compile(r"^VMCS\((0x[0-9a-f]{4}),([^)]*)\)", re.M)
SEGMENTS = ("ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR", "GDTR", "IDTR")
SEGMENT_FIELDS = {0x0800: "SELECTOR", 0x4800: "LIMIT", 0x4814: "RIGHTS",
                  0x6806: "BASE"}

# By their encodings: SDM 3D appendix B.
SHADOWED_READ = {
    0x2400: "guest-physical address",
    0x4402: "exit reason",
    0x4404: "exit interruption information",
    0x4406: "exit interruption error code",
    0x4408: "IDT-vectoring information",
    0x440a: "IDT-vectoring error code",
    0x440c: "instruction length",
    0x4816: "CS access rights",
    0x4818: "SS access rights",
    0x6400: "exit qualification",
    0x640a: "guest-linear address",
}
SHADOWED_BOTH = {
    0x4002: "primary processor-based controls",
    0x4004: "exception bitmap",
    0x4016: "entry interruption information",
    0x4018: "entry exception error code",
    0x401a: "entry instruction length",
    0x401c: "TPR threshold",
    0x4824: "interruptibility",
    0x482e: "preemption timer",
    0x6000: "CR0 mask", 0x6002: "CR4 mask",
    0x6004: "CR0 shadow", 0x6006: "CR4 shadow",
    0x6800: "CR0", 0x6802: "CR3", 0x6804: "CR4",
    0x681c: "RSP", 0x681e: "RIP", 0x6820: "RFLAGS",
}


def is_shadowed(operation, field):
    """Whether an access costs no exit."""
    return field in SHADOWED_BOTH or \
        operation == "vmread" and field in SHADOWED_READ


def count(accesses):
    """How many, in four kinds."""
    kinds = collections.Counter(
        f"{operation[2:]}_"
        f"{'shadowed' if is_shadowed(operation, field) else 'other'}"
        for operation, field in accesses)
    return {kind: kinds[kind] for kind in
            ("read_shadowed", "read_other", "write_shadowed", "write_other")}


def names():
    """{encoding: name}, as the kernel calls them."""
    found = {}
    for first, group in FIELDS.findall(DEFINITIONS.read_text()):
        for i, name in enumerate(group.split(",")):
            found[int(first, 16) + 2 * i] = name.strip().removeprefix("VMCS_")
    for first, what in SEGMENT_FIELDS.items():
        for i, segment in enumerate(SEGMENTS):
            found[first + 2 * i] = f"GUEST_{segment}_{what}"
    return found


def fields(accesses):
    """The accesses that KVM does not shadow: ["vmread NAME"], in order."""
    known = names()
    return [f"{operation} {known.get(field) or hex(field or 0)}"
            for operation, field in accesses
            if not is_shadowed(operation, field)]
