"""The lines that the measuring programs print (stats.h), and their meaning."""
import re

LINE = re.compile(r"bench: (\S+) ticks=([\d,]+)\s*$")
SKIPPED = re.compile(r"bench: (\S+) skipped: (.*)$")
FAILED = re.compile(r"bench: FAIL (.*)$")
START = re.compile(r"bench: start(.*)$")
TSC = re.compile(r"tsc: (\d+) kHz")

# Which quantiles a line has, in per cent.
QUANTILES = [*range(0, 100, 5), 99, 100]


class Results:
    """What one run of a measuring program said."""

    def __init__(self):
        self.values = {}        # name: quantiles, in ticks
        self.skipped = {}       # name: why
        self.failures = []
        self.tsc_khz = None
        self.started = self.done = False

    def take(self, line):
        """Look at a line; the name that it has a value for, if one."""
        if found := LINE.search(line):
            values = [int(word) for word in found[2].split(",")]
            if len(values) != len(QUANTILES):
                self.failures.append(f"cannot read: {line}")
                return None
            self.values[found[1]] = values
            return found[1]
        if found := SKIPPED.search(line):
            self.skipped[found[1]] = found[2]
        elif found := FAILED.search(line):
            self.failures.append(found[1])
        elif START.search(line):
            self.started = True
        elif found := TSC.search(line):
            self.tsc_khz = int(found[1])
        elif "bench: done" in line:
            self.done = True
        return None


def quantile(values, percent):
    """One of the quantiles of a line."""
    return values[QUANTILES.index(percent)]


def summary(values):
    """The numbers that are worth telling, by name."""
    return {"min": quantile(values, 0), "median": quantile(values, 50),
            "p90": quantile(values, 90), "p99": quantile(values, 99),
            "max": quantile(values, 100)}
