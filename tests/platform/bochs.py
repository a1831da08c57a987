"""Bochs: exact emulation of Intel's VMX and of AMD's SVM.

Debian's Bochs has its debugger built in, which waits for a command at the
start: it gets "c", continue.
"""
import re
import time

import machine

# Models whose TSC runs at the frequency that the emulator really has (ips); but
# corei7_skylake_x, which tells another by CPUID, and has AVX-512.
MODELS = {
    "bochs-vmx": "corei7_haswell_4770",
    "bochs-avx512": "corei7_skylake_x",
    "bochs-svm": "ryzen",
}

CONFIGURATION = """\
cpu: model={model}, count={cpus}, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs={lax}
memory: guest={memory}, host={memory}
romimage: file=$BXSHARE/BIOS-bochs-latest
vgaromimage: file=$BXSHARE/VGABIOS-lgpl-latest
boot: cdrom
ata0: enabled=1
ata0-master: type=cdrom, path="{image}", status=inserted
com1: enabled=1, mode=socket-client, dev=127.0.0.1:{port}
display_library: rfb, options="timeout=0"
plugin_ctrl: speaker=0
clock: sync=none, time0={time}
log: {logs}/bochs
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
"""

# What the processors say of a kernel that does not follow the manual. They say
# more (about each EPT violation, about a program's or a guest's faults), which
# is no mistake.
COMPLAINT = re.compile(
    r"^\d+[ep]\[[^]]*\] (?!.*CPL != 0)"
    r"(>>PANIC<<|VMFAIL|VMENTER FAIL|VMABORT|VMRUN|VMCB|(RD|WR)MSR|"
    r".*(VMCS|HOST STATE).*(invalid|fail|corrupt|bad))", re.I)


def start(platform, options, commands="c\n", more="", clock=None, strict=True):
    """Start Bochs; its debugger does what is in commands.

    more: of its configuration. clock: the date, in seconds; now without it.
    strict: an access to an MSR that is not there faults, as on a processor.
    """
    if not options.image:
        raise SystemExit("run: Bochs boots from an image only")
    server, port = machine.listen()
    logs = options.logs.resolve()
    (logs / "bochsrc").write_text((CONFIGURATION + more).format(
        model=options.model or MODELS[platform], cpus=options.cpus,
        memory=options.memory, image=options.image, port=port, logs=logs,
        lax=int(not strict), time=int(time.time()) if clock is None else clock))
    (logs / "commands").write_text(commands)
    process = machine.start(
        ["bochs", "-q", "-f", logs / "bochsrc", "-rc", logs / "commands"],
        logs / "emulator")
    server.settimeout(20)
    try:
        serial, _ = server.accept()
    except TimeoutError:
        process.kill()
        raise SystemExit(f"run: Bochs did not start, see {logs}/emulator")
    finally:
        server.close()
    return machine.Machine(process, serial)


def complaints(logs):
    """The lines of the log that tell of a mistake of the kernel."""
    found = []
    with open(logs / "bochs", errors="replace") as log:
        for line in log:
            if COMPLAINT.match(line) and "Shutdown port" not in line:
                found.append(line.rstrip())
    return found
