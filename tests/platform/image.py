#!/usr/bin/python3
"""Make an image that boots by BIOS and by UEFI: GRUB, the kernel, its modules.

image.py OUT.iso KERNEL[:ARGUMENTS] MODULE[:ARGUMENTS]...

The first module is the root task. The command line of a module is the name of
its file, by which root knows it, and its ARGUMENTS.
With -1 GRUB uses Multiboot 1 unless the menu says otherwise, else Multiboot 2.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

# What GRUB needs of its own, where firmware is a BIOS and where it is UEFI.
GRUB_MODULES = "normal iso9660 multiboot multiboot2 all_video"

MENU = """\
set timeout=0
insmod all_video
set default={default}
terminal_input console
terminal_output console
menuentry "Micronova" {{
	multiboot2 /boot/{kernel}
{modules2}
}}
menuentry "Micronova (Multiboot 1)" {{
	multiboot /boot/{kernel}
{modules1}
}}
"""


def lines(command, entries):
    """GRUB's lines that load entries, (name, arguments) pairs."""
    return "\n".join(f"\t{command} /boot/{name} {' '.join([name, *arguments])}"
                     for name, arguments in entries)


def make(out, kernel, modules, multiboot1=False):
    """Make the image out of (path, arguments) pairs."""
    out = pathlib.Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as tree:
        boot = pathlib.Path(tree, "boot")
        (boot / "grub").mkdir(parents=True)
        entries = []
        for path, arguments in [kernel, *modules]:
            name = os.path.basename(path)
            shutil.copyfile(path, boot / name)
            entries.append((name, arguments))
        name, arguments = entries.pop(0)
        menu = MENU.format(default=int(multiboot1),
                           kernel=" ".join([name, name, *arguments]),
                           modules2=lines("module2", entries),
                           modules1=lines("module", entries))
        (boot / "grub" / "grub.cfg").write_text(menu)
        part = out.with_name(out.name + ".part")
        done = subprocess.run(
            ["grub-mkrescue", "--fonts=", "--locales=", "--themes=",
             f"--install-modules={GRUB_MODULES}", "-o", part, tree],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            sys.exit(f"image: grub-mkrescue failed:\n{done.stdout}")
        part.rename(out)


def pair(text):
    """PATH[:ARGUMENTS] as (path, [argument...])."""
    path, _, arguments = text.partition(":")
    return path, arguments.split()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-1", dest="multiboot1", action="store_true")
    parser.add_argument("out")
    parser.add_argument("kernel", type=pair)
    parser.add_argument("module", type=pair, nargs="+")
    options = parser.parse_args()
    make(options.out, options.kernel, options.module, options.multiboot1)


if __name__ == "__main__":
    main()
