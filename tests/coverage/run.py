#!/usr/bin/python3
"""Which lines of the kernel the tests reach.

run.py BUILD    a build with COVERAGE=1: unit tests and hypercall tests

The unit tests count by themselves. The kernel has its counters in its memory,
and nobody to write them: when a hypercall program is done, the kernel's image
is read out of the emulator, and what gcc would have written at the end of a
program is made of it (gcda.py). gcovr adds all up, by line of the source. At
the end comes a table of files, and which runs made it.
"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import gcda

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "platform"))
import bochs    # noqa: E402 (tests/platform is no package)
import machine  # noqa: E402
import qemu     # noqa: E402

FACTOR = float(os.environ.get("TIME_FACTOR", "1"))
DONE = re.compile(rb"^test: done (\d+) passed, (\d+) failed", re.M)
PANIC = re.compile(rb"^panic: end", re.M)

# Program, platform, CPUs, seconds, devices of QEMU.
RUNS = [
    ("hypercall", "qemu-tcg", 1, 600, None),
    ("hypercall", "qemu-tcg", 4, 1200, None),
    ("hypercall", "bochs-vmx", 1, 1200, None),
    ("hypercall", "bochs-vmx", 2, 1200, None),
    ("hypercall", "bochs-svm", 1, 1200, None),
    ("hypercall_mitigated", "bochs-vmx", 1, 1200, None),
    ("device", "qemu-tcg", 1, 600, "edu"),
    ("device", "qemu-tcg", 2, 600, "vtd-ir"),
    ("device", "qemu-tcg", 2, 600, "amdvi-ir"),
]


def read_until_done(serial, seconds):
    """The console's text up to the last line of the tests."""
    text = b""
    end = time.monotonic() + seconds
    serial.settimeout(1)
    while time.monotonic() < end:
        try:
            data = serial.recv(65536)
        except TimeoutError:
            continue
        if not data:
            break
        text += data
        if DONE.search(text) or PANIC.search(text):
            break
    return text


def memory_of_qemu(options, image, seconds, dump):
    """Run in QEMU: the console's text. The image's memory goes to a file."""
    monitor = options.logs / "monitor"
    ours, theirs = socket.socketpair()
    words = qemu.command("qemu-tcg", options, theirs.fileno())
    at = words.index("isa-debug-exit,iobase=0xf4,iosize=4")
    del words[at - 1:at + 1]
    words[words.index("-monitor") + 1] = f"unix:{monitor},server,nowait"
    process = machine.start(words, options.logs / "emulator",
                            pass_fds=(theirs.fileno(),))
    theirs.close()
    running = machine.Machine(process, ours)
    try:
        text = read_until_done(ours, seconds)
        with socket.socket(socket.AF_UNIX) as human:
            human.connect(str(monitor))
            human.sendall(f"stop\npmemsave {image.phys:#x} {image.size:#x} "
                          f'"{dump}"\nquit\n'.encode())
            process.wait(60)
    finally:
        running.stop()
    return text


def memory_of_bochs(platform, options, image, seconds, dump):
    """The same in Bochs, whose debugger goes on with its file of commands."""
    commands = ("c\n" f'writemem "{dump}" {image.address:#x} '
                f"{image.size:#x}\nq\n")
    running = bochs.start(platform, options, commands)
    try:
        text = read_until_done(running.serial, seconds)
        running.process.send_signal(signal.SIGINT)
        running.process.wait(60)
    except subprocess.TimeoutExpired:
        pass
    finally:
        running.stop()
    return text


def run(build, kernel, program, platform, cpus, seconds, devices):
    """Boot a program; the kernel's counters, None if it did not end."""
    name = f"{program} {devices or platform} {cpus}"
    logs = (build / "test" / name.replace(" ", "-")).resolve()
    logs.mkdir(parents=True, exist_ok=True)
    dump = logs / "memory"
    dump.unlink(missing_ok=True)
    (logs / "monitor").unlink(missing_ok=True)
    options = machine.Options(image=build / f"{program}.iso", cpus=cpus,
                              memory=256, logs=logs)
    if devices:
        options.devices = devices
    if platform == "qemu-tcg":
        text = memory_of_qemu(options, kernel, seconds * FACTOR, dump)
    else:
        text = memory_of_bochs(platform, options, kernel, seconds * FACTOR,
                               dump)
    (logs / "console").write_bytes(text)
    done = DONE.search(text)
    if not done or not dump.exists():
        print(f"coverage: {name}: no end\n"
              + text.decode(errors="replace")[-1000:], flush=True)
        return None
    print(f"coverage: {name}: {done[1].decode()} passed, "
          f"{done[2].decode()} failed", flush=True)
    return kernel.counters(dump.read_bytes())


def unit_tests(build):
    """Each counts for itself."""
    for program in sorted((build / "unit").iterdir()):
        if program.is_file() and os.access(program, os.X_OK) \
                and program.name.startswith("hv_"):
            subprocess.run([program], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=False)


def main():
    build = pathlib.Path(sys.argv[1])
    for old in build.rglob("*.gcda"):
        old.unlink()
    unit_tests(build)
    kernel = gcda.Kernel(build / "hypervisor.elf")
    counted = 0
    for program, *rest in RUNS:
        if (build / f"{program}.iso").exists():
            found = run(build, kernel, program, *rest)
            if found:
                kernel.add(found)
                counted += 1
    kernel.write(build)
    subprocess.run(["gcovr", "--root", ".", "--filter", "hypervisor/src/",
                    "--gcov-ignore-parse-errors",
                    "--txt", build / "coverage.txt", "--html-details",
                    build / "coverage.html", build], check=True)
    print((build / "coverage.txt").read_text())
    print(f"coverage: unit tests and {counted} boots; lines in "
          f"{build}/coverage.html")
    sys.exit(counted == 0)


if __name__ == "__main__":
    main()
