"""An NMI at every instruction of the ways into the kernel and out of it.

QEMU's debugger has a breakpoint at each instruction of entry.S and
svm_entry.S while the hypercall tests run: where it hits, an NMI is sent, and
the breakpoint goes. The tests must pass as if there were nothing, but for those
that look at the clock.
"""
import re
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

from console import BUILD, Console

SOURCES = ["entry", "svm_entry"]
# Of all these; some belong to processors that QEMU does not emulate, or to
# what no test does.
REACHED = 0.5
LIMIT = 90                      # seconds for it, and longer where that is too few
# The debugger stops the machine, and the time with it, but not everywhere.
TIMED = re.compile(r"time|control\.time|schedule|remote\.cross_time|semaphore\.deadline|"
                   r"semaphore\.cancelled")
PC = 16                         # number of RIP in the protocol


def addresses():
    """The instructions that come from the sources."""
    found = []
    symbols = {}
    for line in subprocess.run(["nm", BUILD / "hypervisor.elf"],
                               stdout=subprocess.PIPE, text=True,
                               check=True).stdout.splitlines():
        value, _, name = line.split()
        symbols.setdefault(name, int(value, 16))
    for source in SOURCES:
        part = BUILD / "hypervisor" / "src" / "x86" / f"{source}.o"
        text = subprocess.run(["objdump", "-d", "-j", ".text", part],
                              stdout=subprocess.PIPE, text=True,
                              check=True).stdout
        base = None
        for offset, name in re.findall(r"^([0-9a-f]+) <(\w+)>:", text, re.M):
            if name in symbols:
                base = symbols[name] - int(offset, 16)
                break
        # Not the 256 vectors' own entries, two instructions each.
        text = re.sub(r"^[0-9a-f]+ <entries>:.*?(?=^[0-9a-f]+ <)", "", text,
                      flags=re.M | re.S)
        found += [base + int(offset, 16) for offset in
                  re.findall(r"^ *([0-9a-f]+):\t", text, re.M)]
    return found


class Debugger:
    """The remote protocol of gdb, as much of it as is needed."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(20)
        self.data = b""

    def send(self, text):
        """Send a packet."""
        data = text.encode()
        self.socket.sendall(b"$%s#%02x" % (data, sum(data) & 0xff))

    def receive(self):
        """The next packet; empty at the end."""
        while True:
            packet = re.search(rb"\$([^#]*)#..", self.data)
            if packet:
                self.data = self.data[packet.end():]
                self.socket.sendall(b"+")
                return packet[1].decode()
            more = self.socket.recv(65536)
            if not more:
                return ""
            self.data += more

    def ask(self, text):
        """Send a packet: the answer."""
        self.send(text)
        answer = self.receive()
        # Output of the monitor; that it has stopped, for the second time.
        while (answer.startswith("O") and answer != "OK") or \
                (answer.startswith("T") and text != "?"):
            answer = self.receive()
        return answer

    def pc(self):
        """Where the CPU is that has stopped."""
        registers = self.ask("g")
        return int.from_bytes(
            bytes.fromhex(registers[PC * 16:PC * 16 + 16]), "little")


@pytest.mark.qemu
def test_nmi_everywhere():
    """The tests of the interface pass, and there is no panic."""
    waiting = set(addresses())
    count = len(waiting)
    assert count > 300
    control = tempfile.mkdtemp(prefix="micronova-")
    console = Console("qemu-tcg", BUILD / "hypercall.iso", "nmi", cpus=2,
                      memory=256, options=["--control", control])
    try:
        console.expect(r"test: \d CPUs", 60)
        storm(Debugger(f"{control}/gdb"), waiting)
        # Not the sleep of the machine, at the end: it takes an alarm clock.
        console.expect(r"test: hostile.random_wild ok", 240)
        failed = re.findall(r"test: (\S+) FAIL", console.everything())
        assert not [name for name in failed if not TIMED.match(name)]
    finally:
        console.quit()
        shutil.rmtree(control)
    print(f"NMIs at {count - len(waiting)} of {count} instructions")
    assert count - len(waiting) > REACHED * count


def storm(debugger, waiting):
    """Until nothing new is reached for some time: pages with breakpoints are
    slow, so that the rest of them goes then."""
    debugger.ask("?")
    for address in waiting:
        assert debugger.ask(f"Z0,{address:x},1") == "OK"
    debugger.send("c")
    enough, start = len(waiting) * (1 - REACHED) - 1, time.monotonic()
    while waiting and time.monotonic() - start < \
            (LIMIT if len(waiting) <= enough else 5 * LIMIT):
        try:
            debugger.receive()
        except TimeoutError:
            if len(waiting) > enough:
                continue        # the machine is slow
            break
        at = debugger.pc()
        if at in waiting:
            waiting.remove(at)
            assert debugger.ask(f"z0,{at:x},1") == "OK"
        debugger.ask("qRcmd," + b"nmi".hex())
        debugger.send("c")
    debugger.socket.sendall(b"\x03")
    debugger.receive()
    for address in waiting:
        assert debugger.ask(f"z0,{address:x},1") == "OK"
    debugger.ask("qRcmd," + b"nmi".hex())
    debugger.send("c")
