"""Linux boots to a shell on each platform, and a person uses it.

The tests of one platform share one boot, in the order in which they are
written; the last of them switches the guest off.
"""
import hashlib
import re

import pytest

from console import BUILD, Console, lines_of, screen

PLATFORMS = [
    pytest.param("qemu-tcg", marks=pytest.mark.qemu),
    pytest.param("bochs-vmx", marks=pytest.mark.bochs),
    pytest.param("bochs-svm", marks=pytest.mark.bochs),
]

# Lines of the guest's log that say "error" without there being one.
HARMLESS = re.compile("|".join((
    r"ERST|BERT|HEST|GHES",
    r"[Ee]rrors?[- ](report|injection|detect)",
    r"RAS: Correctable Errors collector initialized",
    r"[Ff]ail(ed|s)?[- ]?over",
    r"Speculative Return Stack Overflow",
    r"report a bug|not a bug",
    # What Bochs' processor, an early Ryzen, has in common with the real one.
    r"AMD Zen1 \w+ bug detected",
    # An i440FX has none, and neither has a processor without PMU.
    r"fail to add MMCONFIG|unsupported p6 CPU model .* no PMU driver",
    r"debug",
)))


@pytest.fixture(scope="module", params=PLATFORMS)
def linux(request):
    """A system with the guest at its prompt."""
    started = Console(request.param, BUILD / "micronova.iso",
                      f"linux-{request.param}")
    try:
        started.boot_text = started.boot(90)
        yield started
    finally:
        started.quit()


def test_prompt(linux):
    """The guest comes up by itself and says so."""
    assert "guest: Linux 6.1." in linux.boot_text
    assert "Linux version 6.1." in linux.boot_text


def test_exits(linux):
    """The boot took no more exits than it may, and each has its reason."""
    linux.child.send("\x14s")
    match = linux.expect(r"exits=(\d+) ([^\r\n]*run-exits=\d+)", 20)
    count = {name: int(number) for name, number in
             re.findall(r"([\w-]+)=(\d+)", match[2])}
    reasons = [count[name] for name in
               ("other", "port", "memory", "cpuid", "hlt", "rdmsr", "wrmsr",
                "cr", "window", "recall")]
    assert int(match[1]) <= 20000
    assert sum(reasons) == int(match[1])
    # Of a boot's accesses to ports few are exits: the others were run ahead.
    assert count["run-exits"] > 10 * count["port"]


def test_uname(linux):
    """A command and its output."""
    assert re.match(r"Linux \S+ 6\.1\.\S+-amd64 #1 SMP .* x86_64 GNU/Linux",
                    linux.output("uname -a"))


def test_status(linux):
    """The shell knows whether a command failed."""
    assert linux.shell("false")[0] == 1


def test_cpuinfo(linux):
    """One processor, with what the guest's drivers were promised."""
    text = linux.output("cat /proc/cpuinfo")
    assert re.findall(r"^processor\s*: (\d+)", text, re.M) == ["0"]
    flags = re.search(r"^flags\s*: (.*)", text, re.M)[1].split()
    assert {"lm", "nx", "apic", "x2apic", "tsc_deadline_timer",
            "hypervisor"} <= set(flags)
    assert not {"vmx", "svm"} & set(flags)


def test_interrupts(linux):
    """The serial line and the timer interrupt, and nothing is spurious."""
    first = interrupts(linux)
    second = interrupts(linux)
    assert second["ttyS0"] > first["ttyS0"]
    assert second["LOC"] > first["LOC"]
    assert second["ERR"] == 0 and second["SPU"] == 0


def interrupts(linux):
    """The count of each line of /proc/interrupts, by its name."""
    counts = {}
    for line in linux.output("cat /proc/interrupts").splitlines():
        match = re.match(r"\s*(\w+):\s+(\d+)\s*(.*)", line)
        if match:
            words = match[3].split()
            name = match[1] if match[1].isalpha() else words[-1]
            counts[name] = int(match[2])
    return counts


def test_kernel_log(linux):
    """The kernel found nothing wrong with its machine."""
    text = linux.shell("dmesg | grep -iE 'error|bug|fail|unsupp'")[1]
    wrong = [line for line in text.splitlines()
             if line.startswith("[") and not HARMLESS.search(line)]
    assert not wrong


def test_memory(linux):
    """The guest has the memory that the manifest gives it, 256 MiB."""
    total = re.search(r"MemTotal:\s+(\d+) kB",
                      linux.output("cat /proc/meminfo"))
    assert 190 * 1024 < int(total[1]) < 256 * 1024


def test_clock(linux):
    """A second is a second: sleeping and counting agree.

    A machine that is away sleeps longer, but not each time.
    """
    for _ in range(10):
        text = linux.output("cut -d' ' -f1 /proc/uptime; sleep 3; "
                            "cut -d' ' -f1 /proc/uptime")
        before, after = map(float, text.split())
        assert after - before > 2.9
        if after - before < 4.5:
            return
    assert False, f"3 s took {after - before} s"


def test_job_control(linux):
    """Ctrl-C ends what runs in the foreground, and only that.

    The job says that it runs: a Ctrl-C that comes while the shell still
    starts it reaches neither (so it is in any Linux).
    """
    linux.type("sh -c 'echo start$((1+1)); exec sleep 1000'")
    linux.expect("start2\r\n")
    linux.child.send("\x03")
    assert linux.output("echo here").strip() == "here"


def test_programs_run_on(linux):
    """The ordinary programs print while the shell computes."""
    linux.output("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done", 60)
    before = len(lines_of("counter", linux.everything()))
    linux.output("t=$(cut -d. -f1 /proc/uptime); "
                 "while [ $(($(cut -d. -f1 /proc/uptime)-t)) -lt 8 ]; "
                 "do :; done", 60)
    assert len(lines_of("counter", linux.everything())) >= before + 2


def test_status_view(linux):
    """Ctrl-T s shows what runs; the shell does not see the keys."""
    linux.child.send("\x14s")
    linux.expect(r"--- status, [^\r\n]*\r\n")
    linux.expect(r" counter +running [^\r\n]*\r\n")
    linux.expect(r" linux +running [^\r\n]*\r\n")
    assert linux.output("echo here").strip() == "here"


def text_of(size):
    """Some text of short lines, all different."""
    lines, length = [], 0
    while length < size:
        lines.append(f"{len(lines):05d} the quick brown fox, the lazy dog\n")
        length += len(lines[-1])
    return "".join(lines)


@pytest.mark.parametrize("echo", ["-echo", "echo"])
def test_paste_in(linux, echo):
    """More than 4 KB pasted into the guest arrive as they are."""
    text = text_of(5000)
    linux.output(f"stty {echo}")
    linux.type("echo paste$((1+1)); md5sum > /tmp/sum")
    linux.expect("paste2\r\n")
    linux.child.send(text + "\x04")
    linux.output("stty echo", 60)
    wanted = hashlib.md5(text.encode()).hexdigest()
    assert linux.output("cat /tmp/sum").split()[0] == wanted


def test_paste_commands(linux):
    """Commands pasted into the shell faster than it can run them all run."""
    commands = "".join(f"echo {i} >> /tmp/count\n" for i in range(200))
    linux.child.send(commands)
    linux.output("true", 120)
    assert linux.output("cat /tmp/count").split() == [
        str(i) for i in range(200)]


def test_paste_out(linux):
    """Many lines out of the guest arrive as they are."""
    text = linux.output("i=0; while [ $i -lt 400 ]; do "
                        "echo line $i of many; i=$((i+1)); done", 60)
    assert text.split("\n")[:400] == [f"line {i} of many" for i in range(400)]


def test_poweroff(linux):
    """poweroff ends the VM, the system says so, and the rest runs on."""
    linux.type("poweroff")
    linux.expect(r"\[root\] vm linux: [^\r\n]*(power|off)[^\r\n]*\r\n", 60)
    linux.expect(r"\[counter\] [^\r\n]*primes", 30)
    linux.expect(r"\[counter\] [^\r\n]*primes", 30)


def test_no_traces(linux):
    """Until its end the guest's kernel was not surprised by its machine."""
    assert not re.findall(r"Call Trace|unchecked MSR|WARNING: CPU",
                          linux.everything())


def test_no_complaints(linux):
    """The runner ends well: the emulator saw no mistake of the kernel."""
    assert linux.quit() == 0, screen(linux.child.before or "")
