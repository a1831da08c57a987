"""A user at the console: the runner in a terminal of its own.

The tests see what a person would see, by the command that a person would use.
Other programs' lines may come at any time; where the guest's line was
unfinished the console service takes it away and shows it again behind them.
"""
import itertools
import os
import pathlib
import re
import sys

import pexpect

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("B", "build")).resolve()
RUN = ROOT / "tests" / "platform" / "run.py"
FACTOR = float(os.environ.get("TIME_FACTOR", "1"))
PROMPT = "guest# "
FATAL = r"PANIC[^\n]*\n|run: the emulator[^\n]*\n"

# How many times the seconds that tests name, for QEMU on a machine at leisure, they wait.
SLOWNESS = {"qemu-kvm": 3, "qemu-tcg": 3, "bochs-vmx": 12,
            "bochs-avx512": 12, "bochs-svm": 12}


class Console:
    """A booted system on a platform."""

    def __init__(self, platform, image, name, cpus=1, memory=1024,
                 options=()):
        self.platform = platform
        self.factor = SLOWNESS[platform] * FACTOR
        self.logs = BUILD / "test" / name
        self.logs.mkdir(parents=True, exist_ok=True)
        self.numbers = itertools.count(1000)
        self.broken = False     # something awaited did not come
        # Wide enough that the shell need not wrap what is typed.
        self.child = pexpect.spawn(
            sys.executable,
            [str(RUN), "--platform", platform, "--cpus", str(cpus),
             "--memory", str(memory), "--logs", str(self.logs), *options,
             str(image)],
            dimensions=(24, 200), encoding="utf-8", codec_errors="replace",
            logfile=open(self.logs / "terminal", "w", encoding="utf-8"))
        self.child.delaybeforesend = None

    def expect(self, pattern, seconds=60):
        """Wait for a pattern in the output; the match.

        A panic or the end of the emulator is a failure at once, unless it is
        what is waited for.
        """
        assert not self.broken, "it does not answer since an earlier test"
        patterns = [pattern, FATAL, pexpect.EOF, pexpect.TIMEOUT]
        found = self.child.expect(patterns, timeout=seconds * self.factor)
        if found:
            self.broken = True
            what = ("a panic or the end", "the end of the runner",
                    f"{seconds * self.factor:.0f} s")[found - 1]
            raise AssertionError(f"{what} while waiting for {pattern!r}\n"
                                 f"{str(self.child.before)[-3000:]}")
        return self.child.match

    def type(self, text):
        """Type a line."""
        self.child.send(text + "\n")

    def boot(self, seconds=60):
        """Wait for the guest's prompt, the text before it."""
        self.expect(re.escape(PROMPT), seconds)
        return screen(self.child.before)

    def shell(self, command, seconds=60):
        """Run a command in the guest's shell: its status and output."""
        number = next(self.numbers)
        # The marks are computed, so that what is typed does not look like
        # them when it is echoed.
        self.type(f"echo begin$(({number}+0)); {command}; "
                  f"echo end$(({number}+0))=$?")
        self.expect(rf"begin{number}\r\n", seconds)
        status = self.expect(rf"end{number}=(\d+)\r\n", seconds)[1]
        text = screen(self.child.before)
        self.expect(re.escape(PROMPT), seconds)
        return int(status), text

    def output(self, command, seconds=60):
        """Run a command that must succeed: its output."""
        status, text = self.shell(command, seconds)
        assert status == 0, f"{command}: status {status}\n{text}"
        return text

    def everything(self):
        """All that the serial line has said so far."""
        return (self.logs / "console").read_text(errors="replace")

    def quit(self):
        """Leave as a user does; the runner's exit status."""
        if self.child.isalive():
            self.child.send("\x01x")
            try:
                self.child.expect(pexpect.EOF, timeout=20)
            except pexpect.TIMEOUT:
                pass
        self.child.close(force=True)
        self.child.logfile.close()
        return self.child.exitstatus


def screen(text):
    """What text looks like on a screen, without the other programs' lines."""
    lines = []
    for line in text.split("\n"):
        line = line.rstrip("\r").rsplit("\r\x1b[K", 1)[-1]
        line = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)
        if not re.match(r"\[[a-z][\w ]*\] ", line):
            lines.append(line)
    return "\n".join(lines)


def lines_of(program, text):
    """The lines that a program has printed, in text from the console."""
    return re.findall(rf"^(?:.*\r\x1b\[K)?\[{program}\] (.*?)\r?$", text, re.M)
