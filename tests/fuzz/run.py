#!/usr/bin/python3
"""Run the fuzzers.

run.py corpus NAME      a harness over its corpus, as cmocka would print it
run.py keep NAME DIR    make the corpus of the smallest inputs in DIR
run.py minutes N        all harnesses and the booted hypercall fuzzer, so long

Harnesses are build/fuzz/NAME. A corpus is a file of tests/fuzz/corpus with a
line of hexadecimal digits for each input. What is found while fuzzing is kept
in build/fuzz/found; an input that fails is named, and ends the run with 1.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
BUILD = pathlib.Path(os.environ.get("B", "build"))
KEEP = 80               # inputs of a corpus
KEEP_BYTES = 200        # of an input
BOOTED_SHARE = 0.5      # of the time, for the hypercall fuzzer
CALLS_A_MINUTE = 1000000


def unpack(name, directory):
    """Make files of a corpus."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = (CORPUS / f"{name}.hex").read_text().split()
    for number, line in enumerate(lines):
        (directory / f"{number:03}").write_bytes(bytes.fromhex(line))
    return len(lines)


def harness(name, *arguments, limit=None):
    """Run a harness: status and output."""
    done = subprocess.run([BUILD / "fuzz" / name, *map(str, arguments)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=limit, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def corpus(name):
    """Each input of a corpus is a test."""
    with tempfile.TemporaryDirectory() as directory:
        count = unpack(name, pathlib.Path(directory))
        status, output = harness(name, "-runs=0", "-timeout=300", directory)
    if status:
        print(output)
        print("[  FAILED  ] 1 test(s).")
    else:
        print(f"[  PASSED  ] {count} test(s).")
    return status != 0


def keep(name, found):
    """Few and small inputs that reach all that these reach."""
    with tempfile.TemporaryDirectory() as directory:
        small = pathlib.Path(directory, "small")
        shutil.copytree(found, small)
        for path in small.iterdir():
            if path.stat().st_size > KEEP_BYTES:
                path.unlink()
        merged = pathlib.Path(directory, "merged")
        merged.mkdir()
        harness(name, "-merge=1", merged, small)
        inputs = sorted((path.read_bytes() for path in merged.iterdir()),
                        key=lambda data: (len(data), data))
    step = max(1, -(-len(inputs) // KEEP))
    lines = [data.hex() for data in inputs[step - 1::step] if data]
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{name}.hex").write_text("\n".join(lines) + "\n")
    print(f"{name}: {len(lines)} of {len(inputs)} inputs")


def fuzz(name, seconds):
    """Look for new inputs."""
    found = BUILD / "fuzz" / "found" / name
    unpack(name, found)
    status, output = harness(
        name, f"-max_total_time={seconds:.0f}", "-max_len=1000",
        "-timeout=30", "-close_fd_mask=1", "-print_final_stats=1",
        f"-artifact_prefix={found.parent}/{name}-", found)
    runs = re.search(r"number_of_executed_units: (\d+)", output)
    print(f"fuzz {name}: {runs[1] if runs else '?'} inputs, "
          f"{'FAILED' if status else 'ok'}", flush=True)
    if status:
        print("\n".join(output.splitlines()[-40:]))
    return status != 0


def booted(seconds):
    """The hypercall fuzzer, a system test with more calls."""
    calls = int(os.environ.get("CALLS", seconds / 60 * CALLS_A_MINUTE))
    seed = int(os.environ.get("SEED", time.time()))
    done = subprocess.run(
        ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "-s", HERE.parent / "system" / "test_fuzz.py"],
        env=os.environ | {"FUZZ_CALLS": str(calls), "FUZZ_SEED": str(seed)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False)
    print(f"fuzz hypercalls: {calls} calls, seed {seed}, "
          f"{'FAILED' if done.returncode else 'ok'}", flush=True)
    if done.returncode:
        print(done.stdout.decode(errors="replace")[-3000:])
    return done.returncode != 0


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if len(sys.argv) == 3 and sys.argv[1] == "corpus":
        sys.exit(corpus(sys.argv[2]))
    if len(sys.argv) == 4 and sys.argv[1] == "keep":
        keep(*sys.argv[2:])
        return
    if len(sys.argv) != 3 or sys.argv[1] != "minutes":
        sys.exit(__doc__)
    names = sorted(path.stem for path in CORPUS.glob("*.hex"))
    seconds = float(sys.argv[2]) * 60
    # One processor for the harnesses one after the other; on the other, and
    # then on both, the system.
    with ThreadPoolExecutor(2) as pool:
        system = pool.submit(booted, seconds * BOOTED_SHARE)
        results = [pool.submit(fuzz, name, seconds / len(names))
                   for name in names]
        failed = sum(job.result() for job in [system, *results])
    print(f"fuzz: {failed} of {len(names) + 1} failed")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
