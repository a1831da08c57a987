#!/usr/bin/python3
"""The benchmark: docs/benchmark.md.

bench.py run [OUT]          measure, print tables, write OUT.json and OUT.html
bench.py check COUNTS       compare exact counts with those in a file, and what
                            is on the paths with what may be
bench.py update COUNTS      write that file, and the steps in the document
bench.py compare A B        what got better and worse between two results
bench.py read LOG OUT       the same of a saved serial line, of hardware

B= is the build directory, PLATFORM= where to measure (default: QEMU and Bochs),
LINUX=no leaves out what takes longest.
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time

import compare
import emulator
import lines
import linux
import page
import paths
import steps
import table
import trace

BUILD = pathlib.Path(os.environ.get("B", "build"))
PLATFORM = os.environ.get("PLATFORM", "auto")
LINUX = os.environ.get("LINUX", "yes")
FORMAT = 1
LIMIT = 240     # seconds for a run


def progress(text):
    """A line that the next one overwrites, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def measure(platform, image, what, cpus=1):
    """Boot an image, take its lines until it is done."""
    start = time.monotonic()
    run = emulator.Run(platform, BUILD / "bench" / f"{platform}-{what}", LIMIT,
                       image=BUILD / image, cpus=cpus)
    results = lines.Results()
    try:
        for line in run.lines():
            if name := results.take(line):
                progress(f"bench: {platform} {what}: "
                         f"{time.monotonic() - start:3.0f} s, {name}")
            if results.done:
                break
            if emulator.BAD.search(line):
                results.failures.append(line)
                if "panic" in line:
                    break
    finally:
        run.stop()
        progress("")
    if results.failures or not results.done:
        raise emulator.Failed(f"{platform} {what}: " + "; ".join(
            results.failures or ["no end"]))
    print(f"bench: {platform} {what}: {len(results.values)} lines, "
          f"{time.monotonic() - start:.0f} s", flush=True)
    return results


def analyse(name, path, kernel, disassembly):
    """The JSON of a line's trace."""
    path = trace.with_entries(path, disassembly)
    found = trace.analyse(path, kernel)
    if name.startswith("vmexit_"):
        path = trace.rotated(path)
    if any(step.mode == trace.GUEST for step in path) or \
            name.startswith("vmexit_"):
        found["parts"] = trace.parts(path)
    if ways := steps.of_trace(name, path, kernel):
        found["steps"] = ways
    if forbidden := paths.breaches(name, path, kernel, disassembly):
        found["breaches"] = forbidden
    return found


def measure_parts(platform, what):
    """{name: what its trace says} of the kernel's program or the guest's."""
    start = time.monotonic()
    guest = what == "guest"
    image = "bench-guest-trace.iso" if guest else "bench-trace.iso"
    program = BUILD / ("guest/bench-trace.elf" if guest else "bench-trace.elf")
    logs = BUILD / "bench" / f"{platform}-{what}-trace"
    logs.mkdir(parents=True, exist_ok=True)
    kernel = trace.Symbols(BUILD / "hypervisor.elf")
    mark = trace.Symbols(program).address("trace_mark")
    mark_mode = trace.GUEST if guest else trace.USER
    disassembly = trace.Disassembly(BUILD / "hypervisor.elf", program,
                                    BUILD / "vmm.elf")
    reader = None
    if platform == "qemu-tcg":
        fifo = trace.make_fifo(logs / "trace")
        reader = trace.QemuReader(fifo, mark, mark_mode, disassembly)
        reader.start()
    run = emulator.Run(platform, logs, 2 * LIMIT, image=BUILD / image,
                       trace=reader.fifo if reader else trace.bochs_commands())
    results = lines.Results()
    try:
        for line in run.lines():
            if name := results.take(line):
                progress(f"bench: {platform} {what} traced: "
                         f"{time.monotonic() - start:3.0f} s, {name}")
            if "press a key" in line:
                if reader:
                    run.command("singlestep on")
                    run.command("log exec,nochain")
                run.send(b"t")
            if results.done:
                break
    finally:
        run.stop()
        progress("")
    if reader:
        reader.join(60)
        traces = reader.traces
    else:
        traces = trace.bochs_traces(logs / "emulator", mark, mark_mode)
    if not results.done or len(traces) != trace.ROUNDS * len(results.values):
        raise emulator.Failed(f"{platform} {what} traced: {len(traces)} traces "
                              f"of {len(results.values)}")
    named = dict(zip(results.values, trace.undisturbed(traces)))
    for name in ("clock", "instructions_1000"):
        del named[name]
    found = {name: analyse(name, path, kernel, disassembly)
             for name, path in named.items()}
    print(f"bench: {platform} {what} traced: {len(found)} operations, "
          f"{time.monotonic() - start:.0f} s", flush=True)
    return found


def as_group(results):
    """The JSON of a run's lines."""
    return {name: {**lines.summary(values), "quantiles": values}
            for name, values in results.values.items()}


def measure_lines(platform):
    """All that is measured without a trace and without Linux."""
    kernel = measure(platform, "bench.iso", "kernel")
    guest = measure(platform, "bench-guest.iso", "guest")
    result = {
        "exact": platform in emulator.EXACT,
        "unit": "instructions" if platform in emulator.EXACT else "cycles",
        "tsc_khz": kernel.tsc_khz,
        "kernel": as_group(kernel), "guest": as_group(guest)}
    if platform != "qemu-tcg":
        smp = measure(platform, "bench.iso", "kernel-2-cpus", cpus=2)
        result["smp"] = as_group(smp)
    return result


def measure_counts(platform):
    """That, and the parts where instructions can be traced."""
    result = measure_lines(platform)
    if result["exact"]:
        result["parts"] = {**measure_parts(platform, "kernel"),
                           **measure_parts(platform, "guest")}
    return result


def measure_all(platform):
    """That, and Linux."""
    result = measure_counts(platform)
    if LINUX != "no":
        try:
            result["linux"] = linux.measure(platform, progress)
            print(f"bench: {platform} Linux: measured", flush=True)
        except emulator.Failed as error:
            # All the rest took long, too.
            print(f"bench: without Linux: {error}", flush=True)
    return result


def version():
    """Of what was measured."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, check=False)
    return done.stdout.strip() or "unknown"


def collect(platforms, function):
    """A result (docs/benchmark.md) of what function measures.

    Where a tick is an instruction it does not matter what else runs.
    """
    together = all(platform in emulator.EXACT for platform in platforms)
    with concurrent.futures.ThreadPoolExecutor(
            len(platforms) if together else 1) as pool:
        groups = list(pool.map(function, platforms))
    return {"format": FORMAT, "version": version(),
            "quantiles": lines.QUANTILES,
            "platforms": dict(zip(platforms, groups))}


def breaches(result):
    """What lies on a path and may not (paths.py): messages, with the lines."""
    found = {}
    for platform, groups in result["platforms"].items():
        for name, part in groups.get("parts", {}).items():
            for message in part.get("breaches", []):
                found.setdefault((platform, message), []).append(name)
    return [f"{platform}: {message}, on {len(names)} of the lines: "
            + ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
            for (platform, message), names in found.items()]


def exact_counts(result):
    """What is checked in of a result: medians, by platform and group.

    VMCS accesses only of what no interrupt takes part in: when the trace
    begins differs.
    """
    counts = {}
    for (platform, group, name), value in compare.medians(result).items():
        if name in ("clock", "instructions_1000"):
            continue
        if not group.startswith("vmcs") or paths.PATHS.fullmatch(name):
            counts.setdefault(platform, {}).setdefault(group, {})[name] = value
    return counts


def from_counts(counts):
    """The same as compare.medians() of it."""
    return {(platform, group, name): value
            for platform, groups in counts.items()
            for group, names in groups.items()
            for name, value in names.items()}


def check(path):
    """Fail on what takes more than was checked in."""
    platforms = emulator.choose(PLATFORM)
    wanted = {key: value for key, value in
              from_counts(json.loads(pathlib.Path(path).read_text())).items()
              if key[0] in platforms}
    if not wanted:
        return f"bench: {path} has no counts of {PLATFORM}"
    result = collect(platforms, measure_counts)
    classes = compare.classify(wanted, from_counts(exact_counts(result)))
    print(compare.report(classes))
    forbidden = breaches(result)
    for message in forbidden:
        print(f"bench: on the path, and may not be: {message}")
    different = steps.differences(result)
    for message in different:
        print(f"bench: the steps in {steps.DOCUMENT}: {message}")
    if classes["worse"] or classes["missing"]:
        return "bench: worse than " + path
    if forbidden:
        return "bench: see \"The rule of the paths\" in docs/benchmark.md"
    if different:
        return f"bench: {steps.DOCUMENT} is out of date: make bench-update"
    if classes["better"] or classes["new"]:
        print("bench: keep what was won: make bench-update")
    return 0


def update(path):
    """Write the counts to compare with."""
    path = pathlib.Path(path)
    counts = json.loads(path.read_text()) if path.exists() else {}
    result = collect(emulator.choose(PLATFORM), measure_counts)
    counts.update(exact_counts(result))
    if steps.COLUMNS.keys() <= result["platforms"].keys():
        steps.write(result)
    path.write_text(json.dumps(counts, indent=1, sort_keys=True) + "\n")
    return 0


def write(result, out):
    """The result's files, and its tables."""
    out = pathlib.Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    out.with_suffix(".html").write_text(page.html(result))
    print(table.text(result))
    print(f"\nbench: {out}.json, {out}.html")
    return 0


def run(out):
    """Measure everything."""
    return write(collect(emulator.choose(PLATFORM), measure_all), out)


def read(log, out):
    """What bench.iso said on a machine without an emulator."""
    results = lines.Results()
    for line in pathlib.Path(log).read_text(errors="replace").splitlines():
        results.take(line)
    return write({"format": FORMAT, "version": version(),
                  "quantiles": lines.QUANTILES,
                  "platforms": {"hardware": {
                      "exact": False, "unit": "cycles",
                      "tsc_khz": results.tsc_khz,
                      "kernel": as_group(results)}}}, out)


def compare_files(a, b):
    """Print the difference of two results; fail if something got worse."""
    before, after = (compare.medians(json.loads(pathlib.Path(name).read_text()))
                     for name in (a, b))
    classes = compare.classify(before, after)
    print(compare.report(classes))
    return 1 if classes["worse"] else 0


def main():
    command, *arguments = sys.argv[1:] or [""]
    functions = {"run": run, "check": check, "update": update,
                 "compare": compare_files, "read": read}
    if command not in functions:
        sys.exit(__doc__)
    try:
        sys.exit(functions[command](*arguments))
    except (emulator.Failed, FileNotFoundError) as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
