"""Linux, bare, as our guest, and as KVM's: boot to the prompt, and some work.

Where something begins is where the kernel is entered: a copy of it whose entry
says what the TSC is there and stops is booted in the same way.
"""
import os
import pathlib
import re
import subprocess
import tempfile

import emulator

BUILD = pathlib.Path(os.environ.get("B", "build"))
FILES = BUILD / "bench-linux"
HERE = pathlib.Path(__file__).resolve().parent / "linux"
# As in module.mk. Bochs counts each byte of a REP STOSB, and its Haswell lets
# only guests use that: nobody does.
COMMAND_LINE = "console=ttyS0,115200 nokaslr clearcpuid=rep_good,erms"
MEMORY = 256                    # MiB, of Linux
LIMIT = 1800                    # seconds for a run, at most
WORK = ("cpu", "memory", "fork", "timer")

PROMPT = re.compile(r"linux: prompt tsc=(\d+)")
TICKS = re.compile(r"linux: (\w+) ticks=(\d+)")
STARTS = re.compile(r"\[vm linux\] starts at TSC (\d+)")
EXITS = re.compile(r"\[vm linux\] exits: (\d+) (.*)")
KVM_EXITS = re.compile(r"kvm: prompt (\w*exits)=(\d+)")
HEX = re.compile(r"^[0-9a-f]{16}$")


def patched(kernel, out):
    """A copy of a bzImage with other code at its 32-bit entry."""
    data = bytearray(pathlib.Path(kernel).read_bytes())
    code = (FILES / "entry.bin").read_bytes()
    at = ((data[0x1f1] or 4) + 1) * 512
    data[at:at + len(code)] = code
    pathlib.Path(out).write_bytes(data)
    return out


class Seen:
    """What one boot said."""

    def __init__(self):
        self.tsc = {}           # start and prompt
        self.ticks = {}         # of the work
        self.exits = {}
        self.kvm_exits = {}

    def take(self, line):
        """Look at a line; whether it is the last that matters."""
        if found := PROMPT.search(line):
            self.tsc["prompt"] = int(found[1])
        elif found := STARTS.search(line):
            self.tsc["start"] = int(found[1])
        elif HEX.match(line.strip()):
            self.tsc["start"] = int(line, 16)
        elif found := TICKS.search(line):
            self.ticks[found[1]] = int(found[2])
        elif found := KVM_EXITS.search(line):
            self.kvm_exits[found[1]] = int(found[2])
        elif found := EXITS.search(line):
            self.exits = {"all": int(found[1])}
            for word in found[2].split():
                name, _, number = word.partition("=")
                self.exits[name] = int(number)


def boot(platform, what, last, progress, image=None, linux=None, memory=512,
         arguments=None):
    """Boot until a line matches `last`."""
    seen = Seen()
    run = emulator.Run(platform, BUILD / "bench" / f"{platform}-linux-{what}",
                       LIMIT, image=image, linux=linux, memory=memory,
                       arguments=arguments)
    try:
        for line in run.lines():
            progress(f"bench: {platform} Linux {what}: {line[:60]}")
            seen.take(line)
            if re.search(last, line):
                return seen
    finally:
        run.stop()
        progress("")
    raise emulator.Failed(f"{platform} Linux {what}: no end, see "
                          f"{run.logs}/console")


def grub_image(kernel, initrd, arguments, out):
    """A CD with Linux alone."""
    with tempfile.TemporaryDirectory(dir=FILES) as tree:
        grub = pathlib.Path(tree, "boot", "grub")
        grub.mkdir(parents=True)
        for source, name in ((kernel, "bzImage"), (initrd, "initrd")):
            (grub.parent / name).write_bytes(pathlib.Path(source).read_bytes())
        (grub / "grub.cfg").write_text(
            "set timeout=0\nterminal_output console\nmenuentry Linux {\n"
            f"\tlinux /boot/bzImage {arguments}\n\tinitrd /boot/initrd\n}}\n")
        subprocess.run(["grub-mkrescue", "-d", "/usr/lib/grub/i386-pc",
                        "--fonts=", "--locales=", "--themes=", "-o", out, tree],
                       check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    return out


def boot_bare(platform, what, last, progress, kernel, initrd, memory=MEMORY,
              word="work"):
    """Linux without us."""
    arguments = f"{COMMAND_LINE} {word}"
    if platform.startswith("qemu"):
        return boot(platform, what, last, progress, memory=memory,
                    linux=(kernel, initrd), arguments=arguments)
    image = grub_image(kernel, initrd, arguments, FILES / f"{what}.iso")
    return boot(platform, what, last, progress, memory=memory, image=image)


def measure(platform, progress):
    """The result's "linux" of a platform (docs/benchmark.md)."""
    kernel, initrd = BUILD / "guest" / "bzImage", FILES / "initrd"
    entry = patched(kernel, FILES / "entry-bzImage")
    start = boot_bare(platform, "entry", HEX, progress, entry, initrd)
    bare = boot_bare(platform, "bare", "linux: done", progress, kernel, initrd)
    quiet = boot_bare(platform, "bare-quiet", "linux: done", progress, kernel,
                      initrd, word="quiet")
    guest = boot(platform, "boot", "powered off|died", progress,
                 image=BUILD / "bench-linux-boot.iso")
    guest_quiet = boot(platform, "quiet", "powered off|died", progress,
                       image=BUILD / "bench-linux-quiet.iso")
    work = boot(platform, "work", "powered off|died", progress,
                image=BUILD / "bench-linux-work.iso")
    result = {"boot": {"bare": bare.tsc["prompt"] - start.tsc["start"],
                       "guest": guest.tsc["prompt"] - guest.tsc["start"]},
              "boot_quiet": {
                  "bare": quiet.tsc["prompt"] - start.tsc["start"],
                  "guest": guest_quiet.tsc["prompt"] -
                  guest_quiet.tsc["start"]},
              "exits": {"guest": guest.exits}}
    for name in WORK:
        result[name] = {"bare": bare.ticks[name], "guest": work.ticks[name]}
    if platform in emulator.EXACT:
        try:
            add_kvm(platform, progress, result, kernel, entry, initrd)
        except emulator.Failed as error:
            print(f"bench: no comparison with KVM: {error}")
    return result


def add_kvm(platform, progress, result, kernel, entry, initrd):
    """The same in QEMU and KVM in Linux on that platform."""
    package = next((BUILD / "guest" / "deb").glob("linux-image-*.deb"))
    out = FILES / "kvm-initrd"
    subprocess.run([HERE / "kvm-rootfs", BUILD / "guest" / "deb" / "busybox",
                    package, kernel, entry, initrd, out], check=True)
    kvm = boot_bare(platform, "kvm", "kvm: done$|guest ended", progress, kernel,
                    out, memory=1024)
    if "prompt" not in kvm.tsc or "start" not in kvm.tsc:
        raise emulator.Failed("Linux in KVM did not boot: see the console log")
    result["boot"]["kvm"] = kvm.tsc["prompt"] - kvm.tsc["start"]
    result["exits"]["kvm"] = kvm.kvm_exits
    for name in WORK:
        result[name]["kvm"] = kvm.ticks[name]
