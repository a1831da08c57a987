"""Small guests of our own (tests/guest) in the place of Linux."""
import re
import time

import pytest

MANIFEST = """
/ {{
	vms {{
		test {{
			module = "vmm.elf";
			kernel = "{name}.bin";
			memory = <64>;
			heap = <2048>;
			kernel-memory = <2048>;
			restart = <{restart}>;
		}};
	}};
}};
"""
PLATFORMS = [pytest.param("qemu-tcg", marks=pytest.mark.qemu),
             pytest.param("bochs-vmx", marks=pytest.mark.bochs),
             pytest.param("bochs-svm", marks=pytest.mark.bochs)]


def start(boot, images, platform, name, restart=0):
    """Boot a system with this guest."""
    return boot(platform, images.make(
        manifest=MANIFEST.format(name=name, restart=restart), guest=False,
        extra=["vmm.elf", f"guest/{name}.bin"]))


@pytest.mark.parametrize("name", ["exits", "modes"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_exits(boot, images, platform, name):
    """What the guest sees of exits is the same on every vendor."""
    console = start(boot, images, platform, name)
    console.expect(r"\[root\] [^\r\n]*vm test: ended with code \d+", 60)
    text = console.everything()
    assert not re.findall(r"guest: [^\r\n]*FAIL[^\r\n]*", text)
    assert "ended with code 0" in text


@pytest.mark.qemu
def test_hostile(boot, images):
    """A guest that does anything ends its VM, and nothing else."""
    console = start(boot, images, "qemu-tcg", "fuzz", restart=20)
    until = time.monotonic() + 40
    while time.monotonic() < until:
        # It may as well sit in a loop or a HLT of its own for ever.
        console.expect(r"\[counter\] [^\r\n]*primes", 30)
    text = console.everything()
    assert "guest: seed" in text
    assert not re.findall(r"vm test died[^\r\n]*", text)
