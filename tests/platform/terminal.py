"""The user's terminal on a machine's serial line."""
import os
import re
import select
import sys
import termios
import time
import tty

ESCAPE = 0x01                   # Ctrl-A
KEYS = """\r
Ctrl-A x       quit: ends the emulator\r
Ctrl-A Ctrl-A  send Ctrl-A\r
Ctrl-A h       this help\r
"""
BUFFER = 65536                  # bytes on their way to the terminal
CHUNK = 4096                    # bytes on their way to the machine


class Keyboard:
    """What is typed: the keys after Ctrl-A are for the runner."""

    def __init__(self, escapes):
        self.escapes = escapes
        self.escaped = False
        self.quit = False
        self.help = False

    def take(self, data):
        """The part of data that is for the machine."""
        if not self.escapes:
            return data
        out = bytearray()
        for byte in data:
            if not self.escaped:
                if byte == ESCAPE:
                    self.escaped = True
                else:
                    out.append(byte)
                continue
            self.escaped = False
            if byte == ESCAPE:
                out.append(byte)
            elif byte in b"xX\x18":
                self.quit = True
            else:
                self.help = True
        return bytes(out)


class Watch:
    """Looks for a line in the machine's output, as it comes."""

    def __init__(self, pattern):
        self.pattern = re.compile(pattern.encode(), re.M) if pattern else None
        self.line = b""
        self.found = False

    def take(self, data):
        """Look at what came; an unfinished line is kept for the next time."""
        if not self.pattern or self.found:
            return
        text = (self.line + data).replace(b"\r", b"")
        self.found = bool(self.pattern.search(text))
        self.line = text[text.rfind(b"\n") + 1:][-BUFFER:]


def own_description(fd):
    """fd opened anew, so that only we see that it does not block."""
    try:
        new = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK
                      | os.O_APPEND | os.O_NOCTTY)
    except OSError:
        return os.dup(fd)
    return new


def connect(machine, log, until=None, limit=None):
    """Join terminal and serial line until one of them ends.

    Returns why: "quit", "found", "limit" or "ended".
    """
    typed = 0 if not sys.stdin.closed else None
    is_terminal = os.isatty(0)
    saved = termios.tcgetattr(0) if is_terminal else None
    if is_terminal:
        tty.setraw(0, termios.TCSANOW)
    out = own_description(1)
    try:
        return pump(machine, log, typed, out, Keyboard(is_terminal),
                    Watch(until), limit)
    finally:
        os.close(out)
        if saved:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)


def pump(machine, log, typed, out, keyboard, watch, limit):
    """connect's loop: move bytes both ways, never more than fit."""
    serial = machine.serial
    serial.setblocking(False)
    to_machine, to_terminal = b"", b""
    deadline = time.monotonic() + limit if limit else None
    closed = False
    while True:
        if keyboard.quit:
            return "quit"
        if keyboard.help:
            keyboard.help = False
            to_terminal += KEYS.encode()
        if not to_terminal:
            if watch.found:
                return "found"
            if closed:
                return "ended"
        if deadline and time.monotonic() > deadline:
            return "limit"

        reads, writes = [], []
        if typed is not None and len(to_machine) < CHUNK:
            reads.append(typed)
        if not closed and len(to_terminal) < BUFFER:
            reads.append(serial)
        if to_machine and not closed:
            writes.append(serial)
        if to_terminal:
            writes.append(out)
        ready, writable, _ = select.select(reads, writes, [], 0.5)

        if typed in ready:
            data = os.read(typed, CHUNK)
            if not data:
                typed = None
            to_machine += keyboard.take(data)
        if serial in ready:
            try:
                data = serial.recv(CHUNK)
            except ConnectionError:
                data = b""
            closed = not data
            log.write(data)
            log.flush()
            watch.take(data)
            to_terminal += data
        if serial in writable:
            try:
                to_machine = to_machine[serial.send(to_machine):]
            except ConnectionError:
                closed = True
        if out in writable:
            try:
                to_terminal = to_terminal[os.write(out, to_terminal[:CHUNK]):]
            except BlockingIOError:
                pass
            except BrokenPipeError:
                return "quit"
