#!/usr/bin/python3
"""Print the kernel's functions as the table that a panic's backtrace uses.

symbols.py ELF

    struct { uint64_t address; const char *name; } symbols[], symbols_end[];
by rising address, as assembly.
"""
import subprocess
import sys

print('\t.section .note.GNU-stack, "", @progbits\n'
      '\t.section .rodata.symbols, "a", @progbits\n'
      "\t.balign 8\n\t.globl symbols, symbols_end\nsymbols:")
names = subprocess.run(["nm", "-n", sys.argv[1]], check=True, text=True, capture_output=True)
last = None
for address, kind, name in (line.rsplit(" ", 2) for line in names.stdout.splitlines()):
    if kind in "tT" and not name.startswith(".") and address != last:
        print(f"\t.quad 0x{address}, 1f\n\t.subsection 1\n1:\t.asciz \"{name}\"\n\t.previous")
        last = address
print("symbols_end:")
