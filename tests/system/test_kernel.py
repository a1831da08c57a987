"""The kernel from outside: its memory, its objects in gdb, its last words."""
import re
import shutil
import socket
import subprocess
import tempfile

import pytest

from console import BUILD, ROOT, Console

pytestmark = pytest.mark.qemu
PLATFORM = "qemu-tcg"
MEMORY = 1024
RUN_OF_PAGES = re.compile(r"^0x([0-9a-f]+)\.\.0x([0-9a-f]+) r([w-])([x-]) "
                          r"(user|kernel)$", re.M)


class System(Console):
    """A system with QEMU's monitor and debugger at hand."""

    def __init__(self, name, image, **machine):
        self.control = tempfile.mkdtemp(prefix="micronova-")
        super().__init__(PLATFORM, image, name,
                         options=["--control", self.control], **machine)

    def monitor(self, command):
        """Have a command done by QEMU's monitor: what it says."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(f"{self.control}/monitor")
            monitor.settimeout(20)
            text = b""
            for sent in (None, command):
                if sent:
                    monitor.sendall(sent.encode() + b"\n")
                    text = b""
                while not text.endswith(b"(qemu) "):
                    text += monitor.recv(4096)
        return text.decode(errors="replace")

    def gdb(self, *commands):
        """Stop the machine, do commands, let it go on: what gdb says."""
        words = ["gdb", "-q", "-batch", "-nx", BUILD / "hypervisor.elf",
                 "-ex", f"target remote {self.control}/gdb",
                 "-ex", "source tests/platform/kernel-gdb.py"]
        for command in commands:
            words += ["-ex", command]
        done = subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, timeout=120,
                              stderr=subprocess.STDOUT, text=True, check=False)
        assert "Python Exception" not in done.stdout, done.stdout
        return done.stdout

    def quit(self):
        super().quit()
        shutil.rmtree(self.control)


@pytest.fixture(scope="module")
def system():
    """The whole system with Linux, on two CPUs."""
    started = System("kernel", BUILD / "micronova.iso", cpus=2, memory=MEMORY)
    started.boot(120)
    yield started
    started.quit()


def test_objects(system):
    """gdb shows CPUs, PDs, ECs and capabilities, also while a CPU is in a guest."""
    busy = system.output("while :; do :; done & echo $!").split()[-1]
    cpus = system.gdb("kcpus")
    assert re.findall(r"^CPU (\d): PD \w+", cpus, re.M) == ["0", "1"]
    assert re.search(r"^  EC 0x[0-9a-f]+: (idle EC|thread|vCPU|handler) of ",
                     cpus, re.M), cpus
    pds = system.gdb("kpds")
    for name in ("root", "console", "linux", "guest of linux"):
        assert re.search(rf"^PD 0x[0-9a-f]+: {name}, \d+ of \d+ pages, .* mem, "
                         r"\d+ pio, \d+ obj$", pds, re.M), pds
    root = system.gdb("kcaps pd_root")
    assert re.search(r"^0x20 01234 PD 0x[0-9a-f]+ root$", root, re.M), root
    assert re.search(r"^0x21 01234 EC", root, re.M), root
    assert re.search(r"^0x23 01234 SM", root, re.M), root
    assert re.search(r"^0x[0-9a-f]+\.\.0x[0-9a-f]+ r-x from frame",
                     system.gdb("kcaps pd_root mem"), re.M)
    assert re.search(r"^EC 0x[0-9a-f]+: idle EC of kernel, CPU 1",
                     system.gdb("kec cpus[1]->idle"), re.M)
    system.output(f"kill {busy}")


def test_log(system):
    """The log in memory has what the serial line had."""
    log = system.gdb("klog")
    for line in ("[0] Micronova", "[0] pool: ", "[0] smp: 2 CPUs"):
        assert f"\n{line}" in "\n" + log, log
    assert "\0" not in log


# Whose memory is for others to execute: where root has what it gives to
# programs, and a VMM its guest's RAM (docs/limits.md).
GIVEN_AWAY = {"root": 0x200000000000, "linux": 0x100000000000}


def test_page_tables(system):
    """No page is writable and executable, no page of the kernel's is a
    program's, and the kernel maps what it owns and no more."""
    text = system.gdb("kpages all")
    parts = re.split(r"^PD 0x[0-9a-f]+: ", text, flags=re.M)[1:]
    assert len(parts) >= 6, text
    for part in parts:
        name = part.split("\n")[0]
        mapped = 0
        runs = RUN_OF_PAGES.findall(part)
        assert any(x == "x" for _, _, _, x, _ in runs), part
        for start, end, w, x, who in runs:
            start, end = int(start, 16), int(end, 16) + 1
            high = start >= 1 << 63
            if w == "w" and x == "x" and not name.startswith("guest of"):
                assert not high and name in GIVEN_AWAY and \
                    start >= GIVEN_AWAY[name], (name, part)
            assert (who == "kernel") == high, (name, part)
            if high:
                mapped += end - start
        assert 16 << 20 < mapped < MEMORY << 20 >> 3, (name, mapped)
        assert name == "kernel" or name.startswith("guest of") or \
            any(who == "user" for *_, who in runs), part


def test_protection(system):
    """What keeps programs' memory and the kernel apart is on, on each CPU, and
    the table of interrupts is one that nobody can write."""
    text = system.gdb("print/x (unsigned long) &idt", "kpages pd_root")
    idt = int(re.search(r"^\$1 = 0x([0-9a-f]+)", text, re.M)[1], 16)
    assert [(w, x) for start, end, w, x, _ in RUN_OF_PAGES.findall(text)
            if int(start, 16) <= idt <= int(end, 16)] == [("-", "-")], text
    seen = set()
    for _ in range(100):
        # A CPU in a guest has the guest's registers.
        for cpu, registers in re.findall(r"CPU#(\d)(.*?)(?=CPU#|\Z)",
                                         system.monitor("info registers -a"), re.S):
            value = {name: int(number, 16) for name, number in
                     re.findall(r"\b(CR0|CR4|EFER|IDT)= *([0-9a-f]+)", registers)}
            if value["IDT"] == idt:
                seen.add(cpu)
                assert value["CR0"] >> 16 & 1, registers  # WP
                for bit in (11, 20, 21):  # UMIP, SMEP, SMAP
                    assert value["CR4"] >> bit & 1, registers
                assert value["EFER"] >> 11 & 1, registers  # NXE
        if seen == {"0", "1"}:
            return
    raise AssertionError(f"no registers of the kernel's: {seen}")


def test_nmi(system):
    """An NMI that nobody sent on purpose changes nothing."""
    system.monitor("nmi")
    assert system.output("uname -s").strip() == "Linux"


def test_panic(system):
    """A machine check is the end: reason, registers, backtrace, last line; the
    other CPU stands still. (The last test of this system.)"""
    system.monitor("mce 1 2 0xb200000000000000 4 0 0")
    system.expect(r"panic: exception 18\r\n", 30)
    system.expect(r"cpu 1 ec [0-9a-f]{16} pd [0-9a-f]{16}\r\n")
    for names in ("cr2 cr3", "ss rsp rflags", "cs rip error", "vector rdi rsi",
                  "rdx rcx rax", "r8 r9 r10", "r11 rbx rbp", "r12 r13 r14", "r15"):
        system.expect(" ".join(rf"{name} [0-9a-f]{{16}}" for name in names.split())
                      .replace("vector [0-9a-f]{16}", "vector 0{14}12") + r"\r\n")
    system.expect(r"backtrace:\r\n  [0-9a-f]{16}")
    system.expect(r"panic: end\r\n")
    threads = system.gdb("info threads")
    assert len(re.findall(r"CPU#\d \[halted ?\]", threads)) == 2, threads


def test_panic_backtrace(images):
    """Without a root task the kernel says so, and by which way it came."""
    from image import make
    out = images.directory / "noroot.iso"
    make(out, (BUILD / "hypervisor.elf", []),
         [(BUILD / "manifest.dtb", ["manifest.dtb"])])
    system = System("noroot", out)
    try:
        system.expect(r"panic: root: not a static ELF64 image\r\n", 30)
        system.expect(r"backtrace:\r\n(  [0-9a-f]{16} [^\r\n]+\r\n)*"
                      r"  [0-9a-f]{16} kernel_create_root\+0x[0-9a-f]+\r\n"
                      r"(  [0-9a-f]{16} [^\r\n]+\r\n)*"
                      r"  [0-9a-f]{16} boot_main\+0x[0-9a-f]+\r\n")
        system.expect(r"panic: end\r\n")
    finally:
        system.quit()


def test_panic_leaving(images):
    """The last instruction of the kernel faults, when GS is the program's already:
    it is that exception which is told, not what comes of it."""
    system = System("leaving", images.make(guest=False))
    try:
        system.expect(r"mitigations:", 30)
        system.gdb("hbreak resume_iret", "continue",
                   "set ((struct ec *) $rax)->regs.cs = 0xfffb", "delete")
        system.expect(r"panic: exception 13\r\n", 30)
        system.expect(r"cpu 0 ec [0-9a-f]{16} pd [0-9a-f]{16}\r\n")
        system.expect(r"error 0{12}fff8\r\n")
        system.expect(r"resume_iret\+0x[0-9a-f]+\r\n")
        system.expect(r"panic: end\r\n")
    finally:
        system.quit()


def test_uefi(boot):
    """Firmware that is UEFI: the same system starts."""
    console = boot(PLATFORM, BUILD / "micronova.iso", cpus=2,
                   options=["--firmware", "uefi"])
    console.boot(180)
    assert console.output("uname -s").strip() == "Linux"
