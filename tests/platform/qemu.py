"""QEMU: nested KVM, or complete emulation (TCG) with AMD's SVM."""
import socket

import machine

ACCELERATION = {
    "qemu-kvm": ["-accel", "kvm", "-cpu", "host"],
    "qemu-tcg": ["-accel", "tcg", "-cpu", "max,+svm,+npt"],
}
# Two devices for tests of DMA and interrupts, behind an IOMMU or none.
EDU = ["-device", "edu,addr=0x10,dma_mask=0xffffffff",
       "-device", "edu,addr=0x11,dma_mask=0xffffffff"]
DEVICES = {
    "edu": EDU,
    "vtd": ["-device", "intel-iommu,intremap=off", *EDU],
    "vtd-ir": ["-device", "intel-iommu,intremap=on,aw-bits=48", *EDU],
    "vtd-cm": ["-device", "intel-iommu,intremap=on,caching-mode=on,"
               "eim=on,x-buggy-eim=on", *EDU],
    "amdvi": ["-device", "amd-iommu,intremap=off", *EDU],
    "amdvi-ir": ["-device", "amd-iommu,intremap=on", *EDU],
}
UEFI = "/usr/share/OVMF/OVMF_CODE.fd"
BARE_COMMAND_LINE = "console=ttyS0"


def command(platform, options, serial_fd):
    """QEMU's command line."""
    words = ["qemu-system-x86_64", "-machine", "q35",
             *ACCELERATION[platform],
             "-smp", str(options.cpus), "-m", str(options.memory),
             "-display", "none", "-net", "none",
             "-no-reboot",
             "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
             "-chardev", f"socket,id=serial,fd={serial_fd}",
             "-serial", "chardev:serial"]
    if options.model:
        words += ["-cpu", options.model]
    if options.devices:
        words += DEVICES[options.devices]
    if options.firmware == "uefi":
        words += ["-bios", UEFI]
    if options.control:
        words += ["-monitor", f"unix:{options.control}/monitor,server,nowait",
                  "-gdb", f"unix:{options.control}/gdb,server,nowait"]
    else:
        words += ["-monitor", "none"]
    if options.gdb:
        words += ["-s", "-S"]
    if options.linux:
        kernel, initrd = options.linux
        words += ["-kernel", kernel, "-initrd", initrd,
                  "-append", BARE_COMMAND_LINE]
    elif options.kernel:
        kernel, arguments, modules = options.kernel
        words += ["-kernel", kernel, "-append", arguments,
                  "-initrd", ",".join(modules)]
    else:
        words += ["-cdrom", options.image]
    return words


def start(platform, options):
    """Start QEMU."""
    ours, theirs = socket.socketpair()
    process = machine.start(command(platform, options, theirs.fileno()),
                            options.logs / "emulator",
                            pass_fds=(theirs.fileno(),))
    theirs.close()
    return machine.Machine(process, ours)


def complaints(_logs):
    """QEMU does not watch what the kernel does."""
    return []
