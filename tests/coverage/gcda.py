"""The counters of a kernel that gcc has instrumented.

For each object file gcc makes a structure (struct gcov_info, of libgcov's
gcov.h), and with -fprofile-info-section a pointer to each in a section. The
structure says where the counters of each function are; what is written for
gcov is that, in the format of a .gcda file. Layout and format are gcc 12's.
"""
import pathlib
import struct
import subprocess

COUNTERS = 8            # kinds, of which only the first, arcs, is used here
MAGIC = 0x67636461      # "gcda"
TAG_FUNCTION = 0x01000000
TAG_ARCS = 0x01a10000
KERNEL_BASE = 0xffffffff80000000


class Kernel:
    """Where a kernel has its counters, and what they have been so far."""

    def __init__(self, path):
        symbols = {}
        for line in subprocess.run(["nm", path], stdout=subprocess.PIPE,
                                   text=True, check=True).stdout.splitlines():
            value, _, name = line.split()
            symbols[name] = int(value, 16)
        self.address = symbols["image_text"]
        self.size = symbols["image_end"] - self.address
        self.phys = self.address - KERNEL_BASE
        self.section = self._section(path)
        self.total = {}
        self.files = {}

    @staticmethod
    def _section(path):
        """Address and size of the pointers."""
        text = subprocess.run(["readelf", "-SW", path], stdout=subprocess.PIPE,
                              text=True, check=True).stdout
        for line in text.splitlines():
            if ".gcov_info" in line:
                words = line.split(".gcov_info")[1].split()
                return int(words[1], 16), int(words[3], 16)
        raise SystemExit(f"coverage: {path} does not count")

    def counters(self, memory):
        """All counters in an image of the memory: {(file, function): list}."""
        def read(address, form):
            return struct.unpack_from("<" + form, memory,
                                      address - self.address)

        def string(address):
            start = address - self.address
            return memory[start:memory.index(b"\0", start)].decode()

        found = {}
        start, size = self.section
        for at in range(start, start + size, 8):
            info, = read(at, "Q")
            version, = read(info, "I")
            stamp, checksum = read(info + 16, "II")
            name = string(read(info + 24, "Q")[0])
            count, table = read(info + 32 + 8 * COUNTERS, "I4xQ")
            self.files[name] = (version, stamp, checksum)
            for index in range(count):
                function, = read(table + 8 * index, "Q")
                if not function or read(function, "Q")[0] != info:
                    continue
                ident = read(function + 8, "III")
                number, values = read(function + 24, "I4xQ")
                found[name, ident] = list(read(values, f"{number}q"))
        return found

    def add(self, found):
        """Another run's."""
        for key, values in found.items():
            before = self.total.get(key)
            self.total[key] = values if before is None else [
                a + b for a, b in zip(before, values)]

    def write(self, build):
        """A .gcda file beside each object file."""
        for name, (version, stamp, checksum) in self.files.items():
            data = struct.pack("<IIII", MAGIC, version, stamp, checksum)
            for (file, ident), values in self.total.items():
                if file == name:
                    data += struct.pack("<II3I", TAG_FUNCTION, 12, *ident)
                    data += struct.pack(f"<Ii{len(values)}q", TAG_ARCS,
                                        8 * len(values), *values)
            target = pathlib.Path(name)
            if not target.is_absolute():
                target = pathlib.Path(build, "..", name)
            target.write_bytes(data + struct.pack("<I", 0))
