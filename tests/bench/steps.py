"""What is done on each path, step by step: the tables of docs/benchmark.md.

A step is a function of the kernel, with the instructions that a trace has in
it. The tables are written by `make bench-update` and compared by bench-check.
"""
import collections
import pathlib
import re

import trace

DOCUMENT = pathlib.Path("docs/benchmark.md")
BEGIN, END = "<!-- steps: make bench-update writes this -->", "<!-- end -->"
COLUMNS = {"qemu-tcg": "QEMU", "bochs-vmx": "Bochs"}
# A compiler's whim, and no more, may differ from what the document has.
TOLERANCE, FEW = 0.02, 2

# Lines to tell of, with what each way through the kernel is for.
PATHS = {
    "sm_up": ["up"],
    "sm_down": ["down"],
    "call_local_0": ["call", "reply"],
    "call_remote_0": ["call", "reply"],
    "call_remote_delegate_4k": ["call", "reply"],
    "exception_ud": ["exception", "reply"],
    "vmexit_cpuid_gpr": ["exit", "reply"],
    "delegate_4k": ["delegate"],
    "revoke_4k": ["revoke"],
    "create_sm": ["create"],
    "destroy_sm": ["destroy"],
    "create_ec": ["create"],
    "destroy_ec": ["destroy"],
}
WHAT = {
    "entry_syscall": "SWAPGS, the EC is the stack; RIP, RSP, RDI",
    "entry_known": "which call: up, down, or another",
    "entry_full": "all registers saved, the CPU's stack, the call's number",
    "entry_sm": "semaphore looked up, its lock, queue, count; SYSRET",
    "sys_call": "portal looked up, handler idle here; words; handover",
    "sys_reply": "chain cut, words back, status, whose SC it is",
    "switch_to": "current EC, TSS.RSP0",
    "resume_sysret": "page table, if another; registers, SYSRET",
    "resume_iret": "the same, IRET",
    "return": "the registers that C does not keep, SYSRET",
    "syscall_done": "the status",
    "call_typed": "a call with typed items",
    "items_header": "how many items",
    "items_send": "items cut to size, mapped: source found, new mapping",
    "ptab_map": "page tables",
    "slab_alloc": "memory for it",
    "slab_free": "memory back",
    "entries": "the vector's number",
    "exception_entry": "the other registers, behind those of the processor",
    "exception_saved": "the CPU's stack",
    "exception": "which: the kernel's own, or an event",
    "ipc_event": "portal of the event, a call in the EC's name",
    "state_save": "state by MTD into the UTCB",
    "state_load": "state by MTD from the UTCB",
    "reply_state": "the reply's MTD: who loads it",
    "vmx_exit_entry": "general registers into the EC, CR2",
    "vmx_exit": "reason: kept by the kernel or not",
    "vmx_save": "state by MTD into the UTCB",
    "vmx_load": "state by MTD from the UTCB",
    "vmx_resume": "as at the last entry? registers, VMRESUME",
    "svm_vmrun": "VMRUN; general registers into the EC, host's state",
    "svm_exit": "reason: kept by the kernel or not",
    "svm_save": "state by MTD into the UTCB",
    "svm_load": "state by MTD from the UTCB",
    "svm_resume": "as at the last entry? registers",
    "sys_control": "which control, PDs looked up",
    "delegate": "the item, from registers",
    "sys_revoke": "the range, step by step",
    "revoke_range": "what there is in it, and what was derived",
    "mapping_revoke": "under the lock, until done",
    "walk": "the deepest derived first",
    "mapping_leave": "out of space and tree",
    "mapping_apply": "which page tables",
    "mapping_release": "the end of a mapping",
    "mapping_create": "the first mapping of an object, into the space",
    "mapping_fix": "the UTCB's page",
    "tlb_stale": "who may have it cached",
    "tlb_shootdown_asked": "is there anybody to tell?",
    "finish": "done, or to be gone on with",
    "sys_create": "which kind; the owner, its right",
    "make_sm": "arguments",
    "make_ec": "arguments, UTCB, CPU",
    "sm_create": "the semaphore",
    "sm_unlink": "signals that name it",
    "ec_create": "the EC",
    "ec_alloc": "its pages",
    "fpu_alloc": "its FPU's state, cleared",
    "page_alloc": "a page of the pool, charged",
    "memset": "cleared",
    "ec_set_oom": "its portal for the end of memory: none",
    "ec_unlink": "it is an EC:",
    "ec_end": "memory and UTCB back",
    "syscall_drop": "a call that is half done",
    "fpu_drop": "whose state the FPU has",
    "mapping_unfix": "the UTCB's page",
    "tlb_flush_requested": "anything to forget here?",
    "kill": "it runs no more",
    "object_unlinked": "the last capability is gone",
    "object_reap": "the dying, one by one",
    "object_put": "a reference",
    "rcu_defer": "memory back after a grace period",
    "end": "what ends with it",
}


def plain(function):
    """Without what the compiler appends."""
    return function.partition(".")[0]


def of_trace(name, steps, symbols):
    """[[which way, function, instructions]] of a line's trace, or None."""
    if name not in PATHS:
        return None
    ways = [run for mode, run in trace.runs(steps) if mode == trace.KERNEL]
    found = []
    for way, run in zip(PATHS[name], ways):
        counts = collections.Counter(plain(symbols.name(step.pc))
                                     for step in run)
        found += [[way, function, count]
                  for function, count in counts.items()]
    return found


def of_result(result):
    """{line: {(way, function): {platform: instructions}}}, in order."""
    tables = {}
    for name in PATHS:
        rows = []       # ((way, function), {platform: instructions})
        for platform in COLUMNS:
            groups = result["platforms"].get(platform, {})
            at = 0
            for way, function, count in groups.get("parts", {}).get(
                    name, {}).get("steps", []):
                known = [i for i, (key, _) in enumerate(rows)
                         if key == (way, function)]
                if known:
                    at = known[0]
                else:
                    rows.insert(at, ((way, function), {}))
                rows[at][1][platform] = count
                at += 1
        tables[name] = dict(rows)
    return tables


def markdown(tables):
    """The tables as the document has them."""
    out = [BEGIN, ""]
    for name, rows in tables.items():
        out += [f"| `{name}` | function | QEMU | Bochs | |",
                "|---|---|---:|---:|---|"]
        before = None
        for (way, function), counts in rows.items():
            numbers = " | ".join(str(counts.get(platform, ""))
                                 for platform in COLUMNS)
            out.append(f"| {way if way != before else ''} | `{function}` | "
                       f"{numbers} | {WHAT.get(function, '')} |"
                       .replace("|  |", "| |"))
            before = way
        sums = " | ".join(str(sum(counts.get(platform, 0)
                                  for counts in rows.values()))
                          for platform in COLUMNS)
        out += [f"| all of it | | {sums} | |", ""]
    return "\n".join(out + [END])


def from_markdown(text):
    """The same as of_result() of what the document has."""
    tables, rows, way = {}, None, None
    inside = text.partition(BEGIN)[2].partition(END)[0]
    for line in inside.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if found := re.match(r"\| `(\w+)` \| function ", line):
            rows, way = tables.setdefault(found[1], {}), None
        elif len(cells) == 5 and cells[1].startswith("`"):
            way = cells[0] or way
            rows[way, cells[1].strip("`")] = {
                platform: int(cell) for platform, cell in
                zip(COLUMNS, cells[2:]) if cell}
    return tables


def differences(result):
    """What the document does not have as it is: messages."""
    documented = from_markdown(DOCUMENT.read_text())
    found = []
    for name, rows in of_result(result).items():
        for platform in COLUMNS.keys() & result["platforms"].keys():
            for key in {**documented.get(name, {}), **rows}:
                old = documented.get(name, {}).get(key, {}).get(platform, 0)
                new = rows.get(key, {}).get(platform, 0)
                if abs(new - old) > max(FEW, TOLERANCE * old):
                    found.append(f"{platform}: {name}, {' '.join(key)}: "
                                 f"{new}, not {old}")
    return found


def write(result):
    """Put the tables into the document."""
    text = DOCUMENT.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    DOCUMENT.write_text(head + markdown(of_result(result)) + tail)
