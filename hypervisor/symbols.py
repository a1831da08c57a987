#!/usr/bin/python3
"""Print the kernel's function symbols as an assembly file.

symbols.py [ELF]    without ELF an empty table

The table that a panic's backtrace uses:
    uint32_t symbol_count;
    struct { uint32_t address, name; } symbol_table[symbol_count];
    char symbol_names[];
address is the low half of the function's address (the kernel lives in the
top 2 GiB), in rising order; name is an offset into symbol_names.
"""
import subprocess
import sys


def functions(elf):
    """The (address, name) pairs of the text symbols in elf, one an address."""
    found = {}
    lines = subprocess.run(["nm", "-n", elf], check=True, text=True,
                           capture_output=True).stdout.splitlines()
    for line in lines:
        address, kind, name = line.rsplit(" ", 2)
        if kind in "tT" and not name.startswith("."):
            found[int(address, 16)] = name
    return sorted(found.items())


def main():
    table = functions(sys.argv[1]) if len(sys.argv) > 1 else []
    names, offset = [], 0
    print('\t.section .rodata.symbols, "a", @progbits')
    print("\t.balign 8")
    print("\t.globl symbol_count, symbol_table, symbol_names")
    print(f"symbol_count:\n\t.long {len(table)}")
    print("symbol_table:")
    for address, name in table:
        print(f"\t.long {address & 0xffffffff:#x}, {offset}")
        names.append(name)
        offset += len(name) + 1
    print("symbol_names:")
    for name in names:
        print(f'\t.asciz "{name}"')
    print('\t.section .note.GNU-stack, "", @progbits')


if __name__ == "__main__":
    main()
