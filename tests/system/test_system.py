"""The system around the guest: faults, mistakes, other ways to boot."""
import pytest

from console import BUILD, lines_of

pytestmark = pytest.mark.qemu
PLATFORM = "qemu-tcg"


def test_crash(boot, images):
    """A program that faults is reported and cleaned up, the rest runs on."""
    console = boot(PLATFORM, images.make(guest=False,
                                         options="enable=/programs/crash"))
    console.expect(r"\[root\] error: crash died: #PF at address 0x[0-9a-f]+, "
                   r"rip 0x[0-9a-f]+", 30)
    console.expect(r"\[root\] crash: started again \(1 of 1\)")
    console.expect(r"\[root\] error: crash died: #PF")
    before = len(lines_of("counter", console.everything()))
    for _ in range(2):
        console.expect(r"\[counter\] [^\r\n]*primes")
    assert len(lines_of("counter", console.everything())) >= before + 2


def test_triple_fault(boot, images):
    """A guest that resets by a triple fault ends with a report."""
    console = boot(PLATFORM, images.make(
        options='linux.command-line="console=ttyS0 reboot=triple"'))
    console.boot(90)
    console.type("reboot -f")
    console.expect(r"\[vm linux\] error: triple fault\r\n", 30)
    console.expect(r"\[vm linux\] error: rip [0-9a-f]{16} rflags")
    console.expect(r"\[root\] error: vm linux: triple fault\r\n")
    console.expect(r"\[counter\] [^\r\n]*primes", 30)


def test_multiboot1(boot, images):
    """The same system, loaded by Multiboot 1."""
    console = boot(PLATFORM, images.make(multiboot1=True))
    console.boot(90)
    assert console.output("uname -s").strip() == "Linux"


@pytest.mark.parametrize("cpus", [2, 4])
def test_cpus(boot, cpus):
    """More processors change nothing for the guest."""
    console = boot(PLATFORM, BUILD / "micronova.iso", cpus=cpus)
    console.expect(rf"smp: {cpus} CPUs\r\n")
    console.boot(120)
    assert console.output("uname -s", 40).strip() == "Linux"


@pytest.mark.parametrize("cpus", [16, 64])
def test_many_cpus(boot, images, cpus):
    """As many as the kernel is made for start, and programs run."""
    console = boot(PLATFORM, images.make(guest=False), cpus=cpus)
    console.expect(rf"smp: {cpus} CPUs\r\n", 120)
    for _ in range(2):
        console.expect(r"\[counter\] [^\r\n]*primes", 60)


def test_too_little_memory(boot, images):
    """Debian's kernel needs 80 MiB, and who gives it less is told."""
    console = boot(PLATFORM, images.make(options="linux.memory=64"))
    console.expect(r"\[root\] error: vm linux: the kernel needs 80 MiB")
    console.expect(r"\[counter\] [^\r\n]*primes", 30)


@pytest.mark.parametrize("memory", [96, 512])
def test_memory(boot, images, memory):
    """The manifest decides how much memory the guest has."""
    console = boot(PLATFORM, images.make(options=f"linux.memory={memory}"))
    console.boot(90)
    total = int(console.output("cat /proc/meminfo").split()[1])
    assert 0.5 * memory * 1024 < total < memory * 1024


def test_memory_above(boot, images):
    """A guest's memory may be above 4 GiB; below there is less."""
    console = boot(PLATFORM, images.make(options="linux.memory=3072"),
                   memory=6144)
    console.boot(120)
    total = int(console.output("cat /proc/meminfo").split()[1])
    assert 0.9 * 3072 * 1024 < total < 3072 * 1024
    assert console.output("dd if=/dev/zero of=/big bs=1M count=200 2>/dev/null"
                          " && wc -c </big").strip() == str(200 << 20)


# A processor without what guests need, and what is said about it.
LACKING = {
    "svm": ("max,-svm", r"vcpu: none, the processor has neither VMX nor SVM"),
    "npt": ("max,+svm,-npt", r"svm: not used, for want of nested paging"),
}


@pytest.mark.parametrize("lacks", LACKING)
def test_lacking(boot, images, lacks):
    """What the machine has not is told, and what can run runs."""
    model, message = LACKING[lacks]
    console = boot(PLATFORM, images.make(), options=["--model", model])
    console.expect(message + r"[^\r\n]*\r\n")
    console.expect(r"iommu: none, devices can reach all memory\r\n")
    console.expect(r"\[root\] error: vm linux[^\r\n]*\r\n", 30)
    console.expect(r"\[counter\] [^\r\n]*primes", 30)


# A mistake in the manifest, and what is said about it.
MISTAKES = {
    "module": ('/ { programs { bad { module = "nothing.elf"; }; }; };',
               r"\[?root\]?[^\r\n]*bad[^\r\n]*nothing\.elf"),
    "missing": ("/ { programs { bad { heap = <64>; }; }; };",
                r"manifest: /programs/bad: module is missing"),
    "unknown": ('/ { programs { bad { module = "sum.elf"; colour = <1>; }; };'
                " };",
                r"manifest: /programs/bad: unknown property colour"),
    "range": ('/ { programs { bad { module = "sum.elf"; priority = <1000>; };'
              " }; };",
              r"manifest: /programs/bad: priority is 1000, must be from"),
    "kind": ('/ { programs { bad { module = "sum.elf"; heap = "much"; }; };'
             " };",
             r"manifest: /programs/bad: heap must be one number"),
    "service": ('/ { programs { bad { module = "counter.elf"; '
                'channels = "nobody"; }; }; };',
                r"bad: cannot start: no program offers the service nobody "
                r"\(/programs/bad: channels\)"),
    "vm": ('/ { vms { bad { module = "vmm.elf"; }; }; };',
           r"manifest: /vms/bad: memory is missing"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(boot, images, mistake):
    """A mistake is reported with its place, and the others start."""
    manifest, message = MISTAKES[mistake]
    console = boot(PLATFORM, images.make(manifest, guest=False))
    console.expect(message, 30)
    console.expect(r"\[counter\] [^\r\n]*primes", 30)


def test_no_manifest(boot, images, tmp_path):
    """Without a manifest root says what is missing."""
    from image import make
    out = tmp_path / "bare.iso"
    make(out, (BUILD / "hypervisor.elf", []), [(BUILD / "root.elf", [])])
    boot(PLATFORM, out).expect(r"there is no boot module manifest\.dtb", 30)
