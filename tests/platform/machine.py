"""What every platform shares: options, and a running emulator.

An emulator's serial line is a socket here, read and written only as fast as
both sides can, so that nothing is lost in either direction.
"""
import ctypes
import dataclasses
import pathlib
import signal
import socket
import subprocess

PR_SET_PDEATHSIG = 1


@dataclasses.dataclass
class Options:
    """The machine that is wanted."""
    image: str | None = None        # to boot from CD, or None:
    linux: tuple | None = None      # (bzImage, initrd) to boot bare
    kernel: tuple | None = None     # (ELF, arguments, modules) for -kernel
    cpus: int = 1
    memory: int = 1024              # MiB
    model: str | None = None        # CPU model instead of the platform's
    devices: str | None = None      # QEMU: a set of devices, see qemu.py
    firmware: str = "bios"          # or uefi: QEMU
    control: pathlib.Path | None = None     # for QEMU's sockets
    gdb: bool = False               # wait for gdb at port 1234
    logs: pathlib.Path = pathlib.Path(".")


class Machine:
    """A running emulator: .serial is its serial line, a socket."""

    def __init__(self, process, serial):
        self.process = process
        self.serial = serial

    def running(self):
        """Whether the emulator is still there."""
        return self.process.poll() is None

    def stop(self):
        """End the emulator and wait until it is gone."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.serial.close()


def die_with_parent():
    """In the child: be killed when the runner is."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command, log, pass_fds=()):
    """Start an emulator with its output in a log file."""
    with open(log, "wb") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, pass_fds=pass_fds,
            start_new_session=True, preexec_fn=die_with_parent)


def listen():
    """A listening socket on this machine, and its port."""
    server = socket.create_server(("127.0.0.1", 0))
    return server, server.getsockname()[1]
