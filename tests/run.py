#!/usr/bin/python3
"""Run the levels of tests and count.

run.py LEVEL...    unit, hypercall, system

ONLY='WORD...' runs those that have them all: hypercall qemu-tcg 2

A line for every program that is run, and the output of those that fail. At the
end what failed is said once more in short, so that the tail of a log is enough,
and then, alone on its line, "N passed, N failed". Logs are in build/test.
"""
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree
from concurrent.futures import ThreadPoolExecutor, as_completed

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("B", "build"))
LOGS = BUILD / "test"
FACTOR = float(os.environ.get("TIME_FACTOR", "1"))

# Where each hypercall program runs: platform, CPUs, seconds.
HYPERCALL_RUNS = [
    ("bochs-vmx", 1, 900),
    ("qemu-tcg", 1, 900),
    ("qemu-tcg", 2, 900),
    ("bochs-vmx", 4, 900),
    ("bochs-vmx", 2, 900),
    ("qemu-tcg", 4, 900),
    ("bochs-svm", 1, 900),
    ("bochs-avx512", 1, 900),
]
MITIGATED_RUNS = [("qemu-tcg", 2, 900)]
MILLIONS_RUNS = [("qemu-tcg", 2, 900)]

# Where device tests run: QEMU with these devices (platform/qemu.py).
DEVICE_RUNS = [
    ("edu", 2), ("vtd", 1), ("vtd-cm", 1), ("amdvi", 1), ("vtd-ir", 2),
    ("amdvi-ir", 2),
]

# Tests give guests bad state on purpose, and ask for registers that are not
# there; emulators say so.
HYPERCALL_COMPLAINTS = ("VMENTER FAIL|VMFAIL: VM(ENTRY|CS EXEC CTRL)|VMRUN: |"
                        "WRMSR: attempt to write non-canonical|"
                        "(RD|WR)MSR: Unknown register")

# What tells in an output why it is that of a failure, and how much of it is
# said again at the end.
TELLING = re.compile(r"FAIL|ERROR|(?i:panic)|no end after|^run: |^E  |rror:|"
                     r"(?i:assert)|^fuzz: ")
TELLING_LINES = 30
LAST_LINES = 8


@dataclasses.dataclass
class Result:
    """What one program said."""
    name: str
    passed: int
    failed: int
    output: str
    seconds: float

    def report(self):
        """A line, and the output if there was a failure."""
        print(f"{self.name}: {self.passed} passed, {self.failed} failed "
              f"({self.seconds:.0f} s)", flush=True)
        if self.failed:
            lines = [line for line in self.output.splitlines()
                     if not line.endswith(" ok")]
            print("\n".join("    " + line for line in lines[-60:]),
                  flush=True)

    def summary(self):
        """How the output of a failure ended, and the lines that tell why."""
        lines = [line.rstrip()[:200] for line in self.output.splitlines()
                 if line.strip()]
        telling = [line for line in lines
                   if TELLING.search(line) and not line.endswith(" ok")]
        return "\n    ".join(
            [f"failed: {self.name}: it ended with", *lines[-LAST_LINES:],
             f"and said ({self.passed} passed, {self.failed} failed, "
             f"{self.seconds:.0f} s)", *telling[:TELLING_LINES]])


def execute(command, limit, end=signal.SIGTERM, grace=30):
    """Run a command: its output and status, None after the time limit.

    Then it is asked by a signal to end, so that it ends what it has started,
    and after the grace is killed. Should somebody else hold its output, that is
    not waited for.
    """
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    output = b""
    for number, seconds in ((None, limit), (end, grace),
                            (signal.SIGKILL, grace)):
        if number:
            process.send_signal(number)
        try:
            output, _ = process.communicate(timeout=seconds)
            break
        except subprocess.TimeoutExpired as error:
            output = error.stdout or b""
    else:
        process.stdout.close()
    text = output.decode(errors="replace")
    if number:
        return text + f"\nno end after {limit:g} s: ", None
    return text, process.returncode


def number(pattern, text):
    """The sum of the numbers that pattern finds."""
    return sum(int(found) for found in re.findall(pattern, text, re.M))


def run_unit(program, command=None, limit=600, end=signal.SIGTERM):
    """A cmocka program; one that says nothing, or dies, has failed."""
    start = time.monotonic()
    output, status = execute(command or [program], limit * FACTOR, end)
    passed = number(r"^\[  PASSED  \] (\d+) test", output)
    failed = number(r"^\[  FAILED  \] (\d+) test", output)
    if status is None:
        output += "".join(re.findall(r"^\[ RUN +\] (.*)$", output, re.M)[-1:])
    if status != 0 or passed + failed == 0:
        failed = max(failed, 1)
    return Result(f"unit {program.name}", passed, failed, output,
                  time.monotonic() - start)


def run_fuzz(program):
    """A fuzzer's harness over its corpus."""
    result = run_unit(program, [HERE / "fuzz" / "run.py", "corpus",
                                program.name])
    result.name = f"fuzz {program.name}"
    return result


def run_latency(image):
    """How long interrupts are off, in instructions."""
    result = run_unit(image, [HERE / "latency" / "run.py",
                              BUILD / "hypervisor.elf", image], 900)
    result.name = "latency qemu-tcg 1"
    return result


def run_hypercall(image, platform, cpus, limit, devices=None):
    """A program that boots in the place of root, with its own last line."""
    start = time.monotonic()
    name = f"{image.stem} {devices or platform} {cpus}"
    logs = LOGS / name.replace(" ", "-")
    output, status = execute(
        [HERE / "platform" / "run.py", "--quiet", "--platform", platform,
         "--cpus", str(cpus), "--memory", "256", "--logs", logs,
         "--limit", str(limit * FACTOR),
         "--allow", HYPERCALL_COMPLAINTS,
         *(["--devices", devices] if devices else []),
         "--until", r"^test: done .*\n|^panic: end", image],
        limit * FACTOR + 30)
    output = output.replace("\r", "")
    passed = len(re.findall(r"^test: .* ok$", output, re.M))
    failed = len(re.findall(r"^test: .* (?:FAIL|ERROR)\b", output, re.M))
    done = re.search(r"^test: done (\d+) passed, (\d+) failed", output, re.M)
    if not done or status != 0 or passed + failed == 0 \
            or (int(done[1]), int(done[2])) != (passed, failed):
        failed = max(failed, 1)
    return Result(f"hypercall {name}", passed, failed, output,
                  time.monotonic() - start)


def run_system(name, *selection):
    """A part of the system tests, by pytest."""
    start = time.monotonic()
    report = LOGS / f"system-{name}.xml"
    report.unlink(missing_ok=True)
    output, _ = execute(
        ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "--tb=short", "--junitxml", report, *selection, HERE / "system"],
        1700 * FACTOR, signal.SIGINT)
    passed, failed = 0, 1
    if report.exists():
        suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite")
        count = {key: int(suite.get(key))
                 for key in ("tests", "failures", "errors", "skipped")}
        failed = count["failures"] + count["errors"]
        passed = count["tests"] - failed - count["skipped"]
        if count["tests"] == 0:
            failed = 1
    return Result(f"system {name}", passed, failed, output,
                  time.monotonic() - start)


def jobs(levels):
    """What to run for the levels, the longest first."""
    if "system" in levels:
        for part in ("bochs", "qemu"):
            yield run_system, (part, "-m", part)
    if "hypercall" in levels:
        yield run_latency, (BUILD / "latency.iso",)
        for image in sorted(BUILD.glob("hypercall*.iso")):
            runs = MITIGATED_RUNS if "mitigated" in image.stem \
                else HYPERCALL_RUNS
            for platform, cpus, limit in runs:
                yield run_hypercall, (image, platform, cpus, limit)
        for platform, cpus, limit in MILLIONS_RUNS:
            yield run_hypercall, (BUILD / "millions.iso", platform, cpus, limit)
        for devices, cpus in DEVICE_RUNS:
            yield run_hypercall, (BUILD / "device.iso", "qemu-tcg", cpus, 600,
                                  devices)
    if "unit" in levels:
        for program in sorted(BUILD.glob("unit/*")):
            if program.is_file() and os.access(program, os.X_OK):
                yield run_unit, (program, None, 600, signal.SIGALRM)
        for corpus in sorted((HERE / "fuzz" / "corpus").glob("*.hex")):
            yield run_fuzz, (BUILD / "fuzz" / corpus.stem,)


def wanted(arguments):
    """Whether ONLY names a job."""
    words = [getattr(word, "name", str(word)) for word in arguments]
    return all(any(only in word if only.isalpha() else only == word
                   for word in words)
               for only in os.environ.get("ONLY", "").split())


def main():
    levels = sys.argv[1:]
    if not levels or set(levels) - {"unit", "hypercall", "system"}:
        sys.exit(__doc__)
    LOGS.mkdir(parents=True, exist_ok=True)
    passed = failed = 0
    failures = []
    # Two at once: emulators of one CPU each, for two cores.
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for future in as_completed([pool.submit(job, *arguments)
                                    for job, arguments in jobs(levels)
                                    if wanted(arguments)]):
            result = future.result()
            result.report()
            passed += result.passed
            failed += result.failed
            if result.failed:
                failures.append(result)
    for result in failures:
        print(result.summary())
    if failures:
        print("failed:", ", ".join(result.name for result in failures))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
