"""The kernel's objects in gdb: docs/debugging.md tells how to get there.

    kcpus           what each CPU runs, and what is ready to run
    kpds            all protection domains, and what they hold
    kpd [PD]        one of them (default: the one that is loaded)
    kcaps [PD] [obj|mem|pio]    its capabilities
    kec [EC]        an execution context and its chain (default: the current)
    kpages [PD|all] its page tables: what is mapped with which rights
    klog            the kernel's own lines
    $pd()           in expressions: the name of the PD that is loaded

PD and EC are expressions: an address, or a variable such as pd_root. The kernel
knows no names; a program's comes from the information page that root gave it
(root/lib/info.h), read by QEMU as physical memory.
"""
import struct

import gdb

OBJECTS = {1: "PD", 2: "EC", 3: "SC", 4: "PT", 5: "SM"}
SPACES = {"mem": 1, "pio": 2, "obj": 3}     # enum crd_type
RIGHTS = {"mem": "rwx", "pio": "a", "obj": "01234"}
TABLE = 1                                   # SPACE_TABLE
INFO_PAGE = 0x7fffbff40000 >> 12            # LAYOUT_INFO
INFO_MAGIC, INFO_NAME = b"INFO", 176        # struct program_info, its name


def pointer(kind, value):
    """The value as a pointer to a struct of the kernel's."""
    return gdb.Value(int(value)).cast(gdb.lookup_type(f"struct {kind}").pointer())


def argument(text, default):
    """An expression of the user's, or a default."""
    return gdb.parse_and_eval(text or default)


def words(address, count):
    """So many 64-bit words of the kernel's memory."""
    data = gdb.selected_inferior().read_memory(address, 8 * count)
    return struct.unpack(f"<{count}Q", bytes(data))


def physical(address, size):
    """Physical memory, if the debugger's other side is QEMU."""
    mode = "maintenance packet Qqemu.PhyMemMode:"
    gdb.execute(mode + "1", to_string=True)
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    except gdb.error:
        return b""
    finally:
        gdb.execute(mode + "0", to_string=True)


def mappings(pd, space):
    """The mappings of a space, in order."""
    def walk(table, last):
        for entry in words(table, 512):
            if entry & TABLE:
                last = yield from walk(entry - TABLE, last)
            elif entry and entry != last:
                last = entry
                yield pointer("mapping", entry)
        return last

    if int(pd[space]["root"]):
        yield from walk(int(pd[space]["root"]), 0)


def find(pd, page):
    """The page frame of a page of a PD, or None."""
    table, level = int(pd["mem"]["root"]), int(pd["mem"]["levels"])
    while table:
        level -= 1
        entry, = words(table + 8 * (page >> 9 * level & 511), 1)
        if not entry & TABLE:
            m = pointer("mapping", entry)
            return int(m["frame"]) + page - int(m["base"]) if entry else None
        table = entry - TABLE
    return None


def name(pd):
    """What we call a PD."""
    if int(pd) == int(gdb.parse_and_eval("&pd_kernel")):
        return "kernel"
    if int(pd) == int(gdb.parse_and_eval("pd_root")):
        return "root"
    frame = find(pd, INFO_PAGE)
    info = physical(frame << 12, INFO_NAME + 32) if frame else b""
    if info[:4] == INFO_MAGIC:
        return info[INFO_NAME:].split(b"\0")[0].decode(errors="replace")
    owner = pd["object"]["owner"]
    return f"guest of {name(owner)}" if int(owner) else "?"


def label(address):
    """The kernel's symbol at an address."""
    return gdb.execute(f"info symbol {int(address):#x}",
                       to_string=True).split(" in ")[0].split(" + ")[0]


def cpus():
    """All struct cpu."""
    table = gdb.parse_and_eval("cpus")
    return [table[i] for i in range(int(gdb.parse_and_eval("cpu_count")))]


def current():
    """The struct cpu of the CPU that gdb looks at."""
    return cpus()[gdb.selected_thread().num - 1]


def kind(ec):
    """What an EC is."""
    if int(ec["vcpu"]):
        return "vCPU"
    if not int(ec["utcb"]):
        return "idle EC"
    return "thread" if int(ec["global"]) else "handler"


def state(ec):
    """What an EC does."""
    for field, text in (("dead", "dead"), ("callee", "waits for a reply"),
                        ("sm", f"sleeps on SM {int(ec['sm']):#x}"),
                        ("blocked", "blocked")):
        if int(ec[field]):
            return text
    if int(ec["idle_on"]) == int(ec["cpu"]):
        return "ready for a call"
    return f"goes on at {label(ec['resume'])}"


def sees_kernel():
    """Whether the CPU that gdb looks at has the kernel mapped: in a guest it has
    something else there, or nothing. What is constant is as in the file."""
    found = []
    for trusts_file in ("on", "off"):
        gdb.execute(f"set trust-readonly-sections {trusts_file}")
        try:
            found.append(words(int(gdb.parse_and_eval("(unsigned long)&syscall_table")), 8))
        except gdb.MemoryError:
            found.append(None)
    return found[0] == found[1]


def command(function):
    """Make a gdb command of a function of its arguments. If the CPU that gdb looks
    at is in a guest, another one is taken."""
    class Command(gdb.Command):
        __doc__ = function.__doc__

        def invoke(self, text, _from_tty):
            selected = gdb.selected_thread()
            threads = [selected, *gdb.selected_inferior().threads()]
            for thread in threads:
                thread.switch()
                if sees_kernel():
                    break
            else:
                raise gdb.GdbError("All CPUs are in guests: go on, and stop again.")
            try:
                function(*gdb.string_to_argv(text))
            finally:
                selected.switch()

    Command(function.__name__, gdb.COMMAND_DATA)
    return function


def show_ec(ec, indent=""):
    print(f"{indent}EC {int(ec):#x}: {kind(ec)} of {name(ec['pd'])}, CPU "
          f"{int(ec['cpu'])}, {state(ec)}, event {int(ec['event']):#x}")


class LoadedPD(gdb.Function):
    """The name of the PD that is loaded, for conditions of breakpoints."""

    def __init__(self):
        super().__init__("pd")

    def invoke(self):
        return name(current()["pd"])


LoadedPD()


@command
def kcpus():
    """What each CPU runs, and what is ready to run on it."""
    for cpu in cpus():
        sc = cpu["sc"]
        time = f"SC {int(sc):#x}, priority {int(sc['priority'])}" if int(sc) \
            else "idle"
        print(f"CPU {int(cpu['id'])}: PD {name(cpu['pd'])}, {time}")
        show_ec(cpu["current"], "  ")
        for priority in reversed(range(128)):
            head = cpu["ready"][priority]
            link, n = head["next"], 0
            while link != head.address:
                link, n = link["next"], n + 1
            if n:
                print(f"  ready at priority {priority}: {n}")


@command
def kec(text=""):
    """An EC, its registers, and the chain of calls in which it is."""
    ec = pointer("ec", argument(text, f"{int(current()['current'])}"))
    show_ec(ec)
    if not int(ec["vcpu"]):
        r = ec["regs"]
        print("  " + " ".join(f"{reg} {int(r[reg]):#x}" for reg in
                              ("rip", "rsp", "rdi", "rsi", "rdx", "rax")))
    for way, word in (("caller", "called by"), ("callee", "calls")):
        other = ec[way]
        while int(other):
            show_ec(other, f"  {word} ")
            other = other[way]


@command
def kpd(text=""):
    """A PD: what it pays for, and how much it holds."""
    pd = pointer("pd", argument(text, f"{int(current()['pd'])}"))
    quota = pd["quota"]
    held = ", ".join(f"{sum(1 for _ in mappings(pd, space))} {space}"
                     for space in SPACES)
    print(f"PD {int(pd):#x}: {name(pd)}, {int(quota['used'])} of "
          f"{int(quota['limit'])} pages, {int(pd['object']['refs'])} "
          f"references; {held}")


@command
def kpds():
    """All PDs that root can reach, each by capabilities."""
    for pd in all_pds():
        kpd(f"{int(pd)}")


def show_run(run, space):
    """A line for a run of pages or ports."""
    if run:
        first, end, rights, shift = run
        frame = f" from frame {first + shift:#x}" if space == "mem" else ""
        print(f"{first:#x}..{end - 1:#x} {rights}{frame}")


@command
def kcaps(text="", space="obj"):
    """The capabilities of a PD; spaces: obj, mem, pio."""
    if text in SPACES:
        text, space = "", text
    pd = pointer("pd", argument(text, f"{int(current()['pd'])}"))
    run = None      # of memory or ports, that is one though in many pieces
    for m in mappings(pd, space):
        base, size = int(m["base"]), 1 << int(m["order"])
        rights = "".join(c if int(m["rights"]) >> i & 1 else "-"
                         for i, c in enumerate(RIGHTS[space]))
        if space == "obj":
            object_type = OBJECTS[int(m["object_type"])]
            which = name(pointer("pd", m["object"])) \
                if object_type == "PD" else ""
            print(f"{base:#x} {rights} {object_type} {int(m['object']):#x} "
                  f"{which}")
            continue
        shift = int(m["frame"]) - base if space == "mem" else 0
        if run and (run[1], *run[2:]) == (base, rights, shift):
            run[1] += size
            continue
        show_run(run, space)
        run = [base, base + size, rights, shift]
    show_run(run, space)


@command
def klog():
    """What the kernel has printed."""
    ring = gdb.parse_and_eval("(char *)&log_ring")
    data = bytes(gdb.selected_inferior().read_memory(int(ring), 16384))
    newest, _, oldest = data.partition(b"\0")
    print((oldest.strip(b"\0") + newest).decode(errors="replace"), end="")


PRESENT, WRITABLE, USER, LARGE, NO_EXECUTE = 1, 2, 4, 1 << 7, 1 << 63
ADDRESS = (1 << 52) - (1 << 12)


def pages(table, level=3, base=0, above=WRITABLE | USER):
    """The pages of page tables: (address, size, bits), bits of all levels."""
    entries = struct.unpack("<512Q", physical(table & ADDRESS, 4096))
    for i, entry in enumerate(entries):
        if not entry & PRESENT:
            continue
        address = base + (i << 12 + 9 * level)
        bits = entry & above & (WRITABLE | USER) | \
            (entry | above) & NO_EXECUTE
        if level == 0 or entry & LARGE:
            yield address, 1 << 12 + 9 * level, bits
        else:
            yield from pages(entry, level - 1, address, bits)


def show_pages(cr3):
    """A line for each run of pages that are alike."""
    start = end = bits = None
    for address, size, new in [*pages(cr3), (0, 0, None)]:
        if (address, new) == (end, bits):
            end += size
            continue
        if bits is not None:
            high = 0xffff << 48 if start >> 47 else 0
            print(f"{start | high:#x}..{(end | high) - 1:#x} "
                  f"r{'w' if bits & WRITABLE else '-'}"
                  f"{'-' if bits & NO_EXECUTE else 'x'} "
                  f"{'user' if bits & USER else 'kernel'}")
        start, end, bits = address, address + size, new


def all_pds():
    """All PDs that root can reach, each by capabilities."""
    todo, seen = [gdb.parse_and_eval("pd_root")], set()
    while todo:
        pd = todo.pop(0)
        if int(pd) in seen:
            continue
        seen.add(int(pd))
        yield pd
        todo += [pointer("pd", m["object"]) for m in mappings(pd, "obj")
                 if OBJECTS[int(m["object_type"])] == "PD"]


@command
def kpages(text=""):
    """The page tables of a PD as the processor walks them; all: of all."""
    pds = [gdb.parse_and_eval("&pd_kernel"), *all_pds()] if text == "all" \
        else [pointer("pd", argument(text, f"{int(current()['pd'])}"))]
    for pd in pds:
        print(f"PD {int(pd):#x}: {name(pd)}")
        show_pages(int(pd["cr3"]))
