#!/usr/bin/python3
"""Boot an image on a platform, with its serial console on this terminal.

Ctrl-A x quits, Ctrl-A h tells the keys. Exit status: 0 when the user quit or
the line looked for came, 1 when the emulator ended before, 2 when it could not
start, 3 when the emulator complained of the kernel, 124 after the time limit.
"""
import argparse
import pathlib
import re
import shutil
import signal
import sys
import tempfile

import bochs
import machine
import qemu
import terminal

PLATFORMS = {
    "qemu-kvm": qemu,
    "qemu-tcg": qemu,
    "bochs-vmx": bochs,
    "bochs-avx512": bochs,
    "bochs-svm": bochs,
}


def can_nest():
    """Whether KVM is usable here and gives its guests VMX or SVM."""
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            flags = next(line.split() for line in cpuinfo
                         if line.startswith("flags"))
        module = "kvm_intel" if "vmx" in flags else "kvm_amd"
        if not {"vmx", "svm"} & set(flags):
            return False
        nested = pathlib.Path(f"/sys/module/{module}/parameters/nested")
        if nested.read_text().strip() not in ("Y", "1"):
            return False
        with open("/dev/kvm", "r+b", buffering=0):
            return True
    except (OSError, StopIteration):
        return False


def choose(platform):
    """The module for a platform, and its name."""
    if platform == "auto":
        platform = "qemu-kvm" if can_nest() else "qemu-tcg"
    return PLATFORMS[platform], platform


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--platform", default="auto",
                        choices=["auto", *PLATFORMS])
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--memory", type=int, default=1024, help="MiB")
    parser.add_argument("--model", help="another CPU model")
    parser.add_argument("--devices", choices=qemu.DEVICES,
                        help="QEMU: devices for tests, perhaps an IOMMU")
    parser.add_argument("--firmware", choices=["bios", "uefi"],
                        default="bios", help="QEMU has both")
    parser.add_argument("--control", type=pathlib.Path, metavar="DIRECTORY",
                        help="QEMU: sockets there for its monitor and for gdb")
    parser.add_argument("--gdb", action="store_true",
                        help="QEMU: wait for gdb at port 1234")
    parser.add_argument("--bare", metavar="DIRECTORY",
                        help="boot bzImage and initrd from there instead")
    parser.add_argument("--logs", type=pathlib.Path,
                        help="directory for console and emulator logs")
    parser.add_argument("--until", metavar="REGEX",
                        help="end when a line of output matches")
    parser.add_argument("--limit", type=float, metavar="SECONDS")
    parser.add_argument("--allow", metavar="REGEX",
                        help="complaints of the emulator that are expected")
    parser.add_argument("--quiet", action="store_true",
                        help="print nothing of our own")
    parser.add_argument("image", nargs="?")
    options = parser.parse_args()
    if bool(options.image) == bool(options.bare):
        parser.error("an image, or --bare DIRECTORY")
    return options


def run(options, logs):
    """Boot, join, end; the exit status."""
    module, platform = choose(options.platform)
    wanted = machine.Options(
        image=options.image, cpus=options.cpus, memory=options.memory,
        model=options.model, devices=options.devices, gdb=options.gdb,
        logs=logs, firmware=options.firmware, control=options.control,
        linux=options.bare and (f"{options.bare}/bzImage",
                                f"{options.bare}/initrd"))
    if not options.quiet:
        print(f"run: {platform}, {options.cpus} CPUs, {options.memory} MiB; "
              "Ctrl-A x quits", flush=True)
    try:
        running = module.start(platform, wanted)
    except FileNotFoundError as error:
        print(f"run: {error.filename} is not there: make packages",
              file=sys.stderr)
        return 2
    try:
        with open(logs / "console", "wb") as log:
            reason = terminal.connect(running, log, options.until,
                                      options.limit)
        # 1: by the port that ends an emulated machine on purpose.
        ended_badly = reason == "ended" and running.process.wait(5) not in (0, 1)
    finally:
        running.stop()
    status = {"quit": 0, "found": 0, "ended": 1, "limit": 124}[reason]
    if reason == "ended" and not options.until:
        status = int(ended_badly)
    if status == 1:
        sys.stderr.write((logs / "emulator").read_text(errors="replace")[-2000:])
    if not options.quiet or status:
        print({"quit": "\nrun: quit", "found": "\nrun: found",
               "ended": "run: the emulator ended",
               "limit": "\nrun: time is up"}[reason], file=sys.stderr)
    complaints = [line for line in module.complaints(logs) if
                  not (options.allow and re.search(options.allow, line))]
    if complaints:
        print("run: the emulator complained:", *complaints[:20], sep="\n  ",
              file=sys.stderr)
        status = status or 3
    return status


def main():
    options = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    if options.logs:
        options.logs.mkdir(parents=True, exist_ok=True)
        return run(options, options.logs)
    logs = pathlib.Path(tempfile.mkdtemp(prefix="micronova-"))
    try:
        return run(options, logs)
    finally:
        shutil.rmtree(logs)


if __name__ == "__main__":
    sys.exit(main())
