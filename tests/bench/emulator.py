"""Machines to measure on: those of tests/platform, made exact.

On qemu-tcg and Bochs an instruction is a tick of the TSC, and every run is the
same. On qemu-kvm a tick is one of the processor's, and the vCPU's thread is
pinned to a CPU.
"""
import os
import pathlib
import re
import select
import socket
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "platform"))
import bochs  # noqa: E402 (tests/platform is no package)
import machine  # noqa: E402
import qemu  # noqa: E402
import run as runner  # noqa: E402

EXACT = {"qemu-tcg": "QEMU TCG, SVM", "bochs-vmx": "Bochs, VMX",
         "bochs-avx512": "Bochs, VMX, a processor with AVX-512",
         "bochs-svm": "Bochs, SVM"}
# SMP is not exact in QEMU, and Bochs gives each CPU some instructions in turn.
ICOUNT = ["-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01,clock=vm",
          "-seed", "42"]
BAD = re.compile(r"panic|\bdied\b|error:|bench: FAIL")


class Failed(Exception):
    """A run did not come to its end."""


class Run:
    """A machine that runs, line by line."""

    def __init__(self, platform, logs, limit, image=None, cpus=1, memory=512,
                 trace=None, linux=None, arguments=None):
        self.logs = pathlib.Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        options = machine.Options(image=image, cpus=cpus, memory=memory,
                                  logs=self.logs, linux=linux)
        self.monitor = None
        self.deadline = time.monotonic() + limit * float(
            os.environ.get("TIME_FACTOR", "1"))
        self.log = open(self.logs / "console", "wb")
        self.rest = b""
        if platform.startswith("qemu"):
            self.machine = self.start_qemu(platform, options, trace,
                                           arguments)
        else:
            # What it traces is said to its debugger.
            self.machine = bochs.start(
                platform, options, trace or "c\n", clock=0, strict=False,
                more="magic_break: enabled=1\n" if trace else "")

    def start_qemu(self, platform, options, trace, arguments):
        """QEMU with a monitor; what it traces goes to the file `trace`."""
        ours, theirs = socket.socketpair()
        self.monitor, monitor = socket.socketpair()
        command = qemu.command(platform, options, theirs.fileno())
        if arguments:
            command += ["-append", arguments]
        command += ["-chardev", f"socket,id=monitor,fd={monitor.fileno()}",
                    "-mon", "chardev=monitor,mode=readline"]
        if platform == "qemu-tcg" and options.cpus == 1:
            command += ICOUNT
        if platform == "qemu-kvm":
            command += ["-name", "bench,debug-threads=on"]
        if trace:
            command += ["-D", trace]
        process = machine.start(command, options.logs / "emulator",
                                pass_fds=(theirs.fileno(), monitor.fileno()))
        theirs.close()
        monitor.close()
        if platform == "qemu-kvm":
            pin(process.pid, options.cpus)
        return machine.Machine(process, ours)

    def command(self, text):
        """Give QEMU's monitor a command, and wait until it is done."""
        self.monitor.settimeout(20)
        self.monitor.sendall(text.encode() + b"\n")
        answer = b""
        while answer.count(b"(qemu)") < 2:
            part = self.monitor.recv(4096)
            if not part:
                raise Failed("the emulator's monitor is gone")
            answer += part
            # The first prompt comes once; later answers hold only one.
            if text.encode() in answer and answer.rstrip().endswith(b"(qemu)"):
                break
        return answer.decode(errors="replace")

    def send(self, data):
        """Type something."""
        self.machine.serial.setblocking(True)
        self.machine.serial.sendall(data)

    def lines(self, partial=None):
        """What is printed, line by line; also an unfinished one that ends
        with `partial`."""
        serial = self.machine.serial
        while True:
            while b"\n" in self.rest:
                line, self.rest = self.rest.split(b"\n", 1)
                yield line.decode(errors="replace").rstrip("\r")
            if partial and self.rest.endswith(partial):
                line, self.rest = self.rest, b""
                yield line.decode(errors="replace")
            if time.monotonic() > self.deadline:
                raise Failed(f"no end in time, see {self.logs}/console")
            if not select.select([serial], [], [], 1)[0]:
                continue
            try:
                data = serial.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                if self.rest:
                    yield self.rest.decode(errors="replace")
                return
            self.log.write(data)
            self.log.flush()
            self.rest += data

    def stop(self):
        """End it."""
        self.machine.stop()
        self.log.close()
        if self.monitor:
            self.monitor.close()


def pin(pid, cpus):
    """Each vCPU's thread of QEMU's to a CPU of its own, the last ones."""
    usable = sorted(os.sched_getaffinity(0), reverse=True)
    threads = {}
    deadline = time.monotonic() + 10
    while len(threads) < cpus and time.monotonic() < deadline:
        time.sleep(0.1)
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            name = (thread / "comm").read_text()
            if name.startswith("CPU "):
                threads[name] = int(thread.name)
    for thread, cpu in zip(threads.values(), usable):
        os.sched_setaffinity(thread, {cpu})


def choose(platform):
    """The platforms that PLATFORM= means."""
    if platform in ("", "auto"):
        return ["qemu-tcg", "bochs-vmx"]
    if platform not in runner.PLATFORMS:
        raise Failed(f"no platform {platform}: {', '.join(runner.PLATFORMS)}")
    return [platform]
