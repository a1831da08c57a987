"""Fixtures: systems that are booted once and used by several tests."""
import subprocess
import sys

import pytest

import console

sys.path.insert(0, str(console.ROOT / "tests" / "platform"))
import image  # noqa: E402 (tests/platform is no package)

PROGRAMS = ["console", "sum", "counter", "crash"]


def pytest_configure(config):
    """Marks, by which tests/run.py divides the tests."""
    for mark in ("qemu", "bochs"):
        config.addinivalue_line("markers", f"{mark}: needs this emulator")


class Images:
    """Images like build/micronova.iso, but for what a test changes."""

    def __init__(self, directory):
        self.directory = directory
        self.number = 0

    def make(self, manifest=None, options="", guest=True, multiboot1=False,
             extra=()):
        """An image.

        manifest: text to add to that of the system; options: changes of the
        manifest on root's command line; guest: with VMM and Linux; extra:
        more modules, files in the build directory.
        """
        self.number += 1
        build = console.BUILD
        base = "linux.dts" if guest else "none.dts"
        source = self.directory / f"{self.number}.dts"
        source.write_text((console.ROOT / "guests" / base).read_text()
                          + (manifest or ""))
        (self.directory / str(self.number)).mkdir()
        blob = self.directory / str(self.number) / "manifest.dtb"
        subprocess.run(["dtc", "-q", "-i", console.ROOT / "root", "-O", "dtb",
                        "-o", blob, source], check=True)
        modules = [(build / "root.elf", options.split()), (blob, [])]
        modules += [(build / f"{name}.elf", []) for name in PROGRAMS]
        if guest:
            modules += [(build / "vmm.elf", []),
                        (build / "guest" / "bzImage", []),
                        (build / "guest" / "initrd", [])]
        modules += [(build / name, []) for name in extra]
        out = self.directory / f"{self.number}.iso"
        image.make(out, (build / "hypervisor.elf", []), modules, multiboot1)
        return out


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """The maker of images."""
    return Images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def boot(request):
    """boot(platform, image, ...): a Console, ended with the test."""
    consoles = []

    def start(platform, image_file, **machine):
        name = f"{request.node.name}-{len(consoles)}"
        consoles.append(console.Console(platform, image_file, name, **machine))
        return consoles[-1]

    yield start
    for each in consoles:
        each.quit()
