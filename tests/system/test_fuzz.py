"""The hypercall fuzzer (tests/fuzz/hypercall) beside a watchdog and Linux.

FUZZ_CALLS says how many calls, FUZZ_SEED where the random numbers begin.
"""
import os
import re

import pytest

from console import ROOT

CALLS = int(os.environ.get("FUZZ_CALLS", "150000"))
SEED = os.environ.get("FUZZ_SEED", "1")
DONE = (r"\[vm fuzz\] fuzz: done, (\d+) calls, \d+ rounds, \d+ exits, "
        r"([^\r\n]*)[\r\n]")


@pytest.mark.qemu
def test_hypercalls(boot, images):
    """Random calls on two CPUs hurt nobody else, and leave nothing behind."""
    console = boot("qemu-tcg", images.make(
        manifest=(ROOT / "tests/fuzz/hypercall/fuzz.dtsi").read_text(),
        options=f'/vms/fuzz.arguments="calls={CALLS} seed={SEED}"',
        extra=["fuzz.elf", "watchdog.elf"]), cpus=2)
    console.boot(180)
    done = re.compile(DONE).search(console.everything()) \
        or console.expect(DONE, 120 + CALLS / 3000)
    assert int(done[1]) >= CALLS
    assert done[2] == "no leak"
    ticks = watchdog(console)
    assert console.output("echo $((6 * 7))", 60).strip() == "42"
    after = watchdog(console)
    assert all(now > before for now, before in zip(after, ticks))


def watchdog(console):
    """How often it has woken up when it says so next, on each CPU."""
    found = console.expect(r"watchdog: (\d+) and (\d+) ticks, at worst "
                           r"\d+ and \d+ us late", 60)
    print(found[0])
    return [int(number) for number in found.groups()]
