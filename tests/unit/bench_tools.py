#!/usr/bin/python3
"""The benchmark's tools: reading lines, comparing results.

Runs at the top of the source tree; prints as cmocka does, for run.py.
"""
import contextlib
import copy
import io
import json
import pathlib
import re
import sys
import tempfile
import unittest

sys.path.insert(0, "tests/bench")
import bench  # noqa: E402
import compare  # noqa: E402
import lines  # noqa: E402
import page  # noqa: E402
import paths  # noqa: E402
import steps  # noqa: E402
import table  # noqa: E402
import trace  # noqa: E402
import vmcs  # noqa: E402


class Lines(unittest.TestCase):
    """What the programs print is understood."""

    def test_line(self):
        results = lines.Results()
        values = list(range(22))
        text = ",".join(map(str, values))
        self.assertEqual(results.take(f"[vm x] bench: sm_up ticks={text}"),
                         "sm_up")
        self.assertEqual(lines.summary(results.values["sm_up"]),
                         {"min": 0, "median": 10, "p90": 18, "p99": 20,
                          "max": 21})

    def test_cut_off(self):
        results = lines.Results()
        self.assertIsNone(results.take("bench: sm_up ticks=1,2,3"))
        self.assertTrue(results.failures)

    def test_others(self):
        results = lines.Results()
        for line in ("[0] tsc: 1000 kHz", "bench: start SVM",
                     "bench: a skipped: b", "bench: FAIL x status 4",
                     "bench: done"):
            self.assertIsNone(results.take(line))
        self.assertEqual(results.tsc_khz, 1000)
        self.assertEqual(results.skipped, {"a": "b"})
        self.assertEqual(results.failures, ["x status 4"])
        self.assertTrue(results.started and results.done)


class Compare(unittest.TestCase):
    """What is worse is found, and only that."""

    def setUp(self):
        self.classes = compare.classify(
            {("p", "g", name): value for name, value in (
                ("a", 100), ("b", 100), ("c", 100), ("d", 100), ("e", 37))},
            {("p", "g", name): value for name, value in (
                ("a", 102), ("b", 103), ("c", 97), ("f", 1), ("e", 38))})

    def names(self, title):
        return {name for (_, _, name), _, _ in self.classes[title]}

    def test_slack(self):
        classes = compare.classify(
            {("p", "smp", name): 100 for name in "ab"},
            {("p", "smp", "a"): 117, ("p", "smp", "b"): 118})
        self.assertEqual([key for key, _, _ in classes["worse"]],
                         [("p", "smp", "b")])

    def test_classes(self):
        self.assertEqual(self.names("same"), {"a"})
        self.assertEqual(self.names("worse"), {"b", "e"})
        self.assertEqual(self.names("better"), {"c"})
        self.assertEqual(self.names("missing"), {"d"})
        self.assertEqual(self.names("new"), {"f"})

    def test_result(self):
        result = {"platforms": {"p": {
            "kernel": {"x": {"median": 5, "min": 1}},
            "parts": {"y": {"vmcs": {"read_other": 1, "write": 2}}}}}}
        self.assertEqual(compare.medians(result),
                         {("p", "kernel", "x"): 5, ("p", "vmcs", "y"): 3,
                          ("p", "vmcs exits", "y"): 1})
        classes = compare.classify({("p", "kernel", "x"): 4},
                                   compare.medians(result))
        self.assertIn("+25.0%", compare.report(classes))


class Parts(unittest.TestCase):
    """A trace is divided into the parts of exits."""

    def steps(self, *modes):
        return [trace.Step(1, mode, None)
                for mode, count in modes for _ in range(count)]

    def test_parts(self):
        found = trace.parts(self.steps(
            (trace.GUEST, 2), (trace.KERNEL, 10), (trace.USER, 5),
            (trace.KERNEL, 3), (trace.USER, 1), (trace.KERNEL, 8),
            (trace.GUEST, 1), (trace.KERNEL, 4), (trace.GUEST, 1)))
        self.assertEqual(found, {
            "guest": 4, "exits": 2, "entry": 2, "before": 10, "handler": 6,
            "handler_kernel": 3, "after": 7, "alone": 3})

    def test_rotated(self):
        found = trace.parts(trace.rotated(self.steps(
            (trace.USER, 2), (trace.KERNEL, 8), (trace.GUEST, 2),
            (trace.KERNEL, 10), (trace.USER, 3))))
        self.assertEqual((found["before"], found["after"], found["exits"]),
                         (10, 7, 1))


BOCHS = """\
Tracing enabled for CPU0
(0).[1] [0x00] 002b:00000000010020a3 (unk. ctxt): ret          ; c3
rax: 00000000_00000001
(0).[2] [0x00] 0008:ffffffff80200000 (unk. ctxt): mov eax, ecx ; 89c8
rax: 00000000_00006820
r10: 00000000_00004818
(0).[3] [0x00] 0008:ffffffff80200002 (unk. ctxt): vmread rax, rax ; 0f78c0
rax: 00000000_00000002
r10: 00000000_00004818
(0).[4] [0x00] 0008:ffffffff80200005 (unk. ctxt): vmwrite r10, rdx ; 0f79
(0).[5] [0x00] 0008:ffffffff80200008 (unk. ctxt): vmresume ; 0f01c3
(0).[6] [0x00] 0010:0000000001002000 (unk. ctxt): nop ; 90
(0).[7] [0x00] 002b:00000000010020a0 (unk. ctxt): xchg bx, bx ; 6687db
Tracing disabled for CPU0
"""


class Bochs(unittest.TestCase):
    """What Bochs' debugger prints is understood."""

    def test_trace(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(BOCHS)
            file.flush()
            (steps,) = trace.bochs_traces(file.name, 0x10020a0, trace.USER)
        self.assertEqual([step.mode for step in steps],
                         [trace.USER] + 4 * [trace.KERNEL] + [trace.GUEST])
        accesses = [step.access for step in steps if step.access]
        self.assertEqual(accesses, [("vmread", 0x6820), ("vmwrite", 0x4818)])
        self.assertEqual(vmcs.count(accesses), {
            "read_shadowed": 1, "read_other": 0, "write_shadowed": 0,
            "write_other": 1})
        self.assertEqual(vmcs.fields(accesses), ["vmwrite GUEST_SS_RIGHTS"])


class Fake:
    """A kernel of one function, in the place of its symbols and text."""

    def __init__(self, function, text=""):
        self.function = function
        self.text = {1: text}

    def name(self, pc):
        return self.function


class Paths(unittest.TestCase):
    """What may not be on a path is found there, and only there."""

    def breaches(self, line, function, text="", access=None):
        kernel = Fake(function, text)
        return paths.breaches(line, [trace.Step(1, trace.KERNEL, access)],
                              kernel, kernel)

    def test_instructions(self):
        for text in ("lock xadd %eax,(%rdi)", "xchg %rax,0x8(%rdi)",
                     "xchg %rax,%gs:0x10", "div %rcx", "idivl 8(%rsp)",
                     "rdtsc", "rdtscp"):
            (found,) = self.breaches("call_local_0", "sys_call", text)
            self.assertIn(text, found)
            self.assertIn("sys_call", found)
        for text in ("xchg %ax,%ax", "divsd %xmm0,%xmm1", "rdmsr", "mov"):
            self.assertEqual(self.breaches("call_local_0", "f", text), [])

    def test_functions(self):
        self.assertTrue(self.breaches("vmexit_in_gpr", "slab_alloc"))
        self.assertFalse(self.breaches("create_sm", "slab_alloc"))

    def test_vmcs(self):
        unshadowed, shadowed = ("vmread", 0x6806), ("vmread", 0x681e)
        (found,) = self.breaches("exit_port_in", "f", access=unshadowed)
        self.assertIn("vmread GUEST_ES_BASE", found)
        self.assertFalse(self.breaches("exit_port_in", "f", access=shadowed))
        self.assertFalse(self.breaches("vmexit_in_all", "f",
                                       access=unshadowed))

    def test_known(self):
        self.assertFalse(self.breaches("vmexit_in_all", "save_whole",
                                       "rdtsc"))
        self.assertTrue(self.breaches("vmexit_in_gpr", "save_whole", "rdtsc"))
        self.assertTrue(self.breaches("vmexit_in_all", "vmx_exit", "rdtsc"))

    def test_user_mode(self):
        kernel = Fake("f", "rdtsc")
        self.assertFalse(paths.breaches(
            "call_local_0", [trace.Step(1, trace.USER, None)], kernel, kernel))


class Steps(unittest.TestCase):
    """The document's tables are read as they were written."""

    RESULT = {"platforms": {
        "qemu-tcg": {"parts": {"sm_up": {"steps": [
            ["up", "a", 3], ["up", "svm", 5], ["up", "c", 100]]}}},
        "bochs-vmx": {"parts": {"sm_up": {"steps": [
            ["up", "a", 3], ["up", "vmx", 6], ["up", "c", 101]]}}}}}

    def test_order(self):
        self.assertEqual([function for _, function in
                          steps.of_result(self.RESULT)["sm_up"]],
                         ["a", "vmx", "svm", "c"])

    def test_there_and_back(self):
        text = steps.markdown(steps.of_result(self.RESULT))
        self.assertEqual(
            steps.from_markdown(text)["sm_up"],
            steps.of_result(self.RESULT)["sm_up"])

    def test_differences(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(steps.markdown(steps.of_result(self.RESULT)))
            file.flush()
            document, steps.DOCUMENT = steps.DOCUMENT, pathlib.Path(file.name)
            self.addCleanup(setattr, steps, "DOCUMENT", document)
            self.assertEqual(steps.differences(self.RESULT), [])
            longer = copy.deepcopy(self.RESULT)
            longer["platforms"]["bochs-vmx"]["parts"]["sm_up"]["steps"][1][2] += 3
            longer["platforms"]["qemu-tcg"]["parts"]["sm_up"]["steps"][2][2] += 2
            self.assertEqual(steps.differences(longer),
                             ["bochs-vmx: sm_up, up vmx: 9, not 6"])

    def test_of_trace(self):
        path = [trace.Step(1, mode, None) for mode in
                (trace.KERNEL, trace.KERNEL, trace.USER, trace.KERNEL)]
        self.assertEqual(steps.of_trace("call_local_0", path, Fake("f.isra.0")),
                         [["call", "f", 2], ["reply", "f", 1]])


class Traces(unittest.TestCase):
    """Traces are made comparable."""

    def test_undisturbed(self):
        short, long = ([trace.Step(1, trace.KERNEL, None)] * n for n in (2, 3))
        self.assertEqual(trace.undisturbed([short, long, long,
                                            long, long, short]),
                         [short, short])

    def test_entry_that_exits_at_once(self):
        path = [trace.Step(1, trace.KERNEL, None)] * 2
        found = trace.with_entries(path, Fake("f", "vmresume"))
        self.assertEqual([step.mode for step in found],
                         [trace.KERNEL, trace.GUEST, trace.KERNEL])


class CompareFiles(unittest.TestCase):
    """`compare` fails if something got worse."""

    def compare(self, before, after):
        names = []
        for median in (before, after):
            file = tempfile.NamedTemporaryFile("w")
            self.addCleanup(file.close)
            json.dump({"platforms": {"p": {"kernel": {
                "x": {"median": median}}}}}, file)
            file.flush()
            names.append(file.name)
        with contextlib.redirect_stdout(io.StringIO()):
            return bench.compare_files(*names)

    def test_status(self):
        self.assertEqual(self.compare(100, 102), 0)
        self.assertEqual(self.compare(100, 90), 0)
        self.assertNotEqual(self.compare(100, 103), 0)


class Targets(unittest.TestCase):
    """Targets are found by vendor."""

    def test_vendor(self):
        self.assertEqual(table.target("qemu-tcg", "vmexit_in_all"), 650)
        self.assertEqual(table.target("bochs-vmx", "vmexit_in_all"), 800)
        self.assertEqual(table.target("bochs-vmx", "sm_up"), 75)
        self.assertIsNone(table.target("bochs-vmx", "no such line"))


class Page(unittest.TestCase):
    """The page shows what there is, and needs nothing else."""

    @staticmethod
    def page(**groups):
        values = [50] * 11 + [60] * 11
        line = {**lines.summary(values), "quantiles": values}
        return page.html({
            "version": "<v>", "quantiles": lines.QUANTILES,
            "platforms": {"qemu-tcg": {
                "exact": True, "unit": "instructions", "tsc_khz": 1000,
                "kernel": {"sm_up": line, "sm_down": {
                    **lines.summary([80] * 22), "quantiles": [80] * 22}},
                **groups}}})

    def test_lines(self):
        text = self.page()
        self.assertIn("&lt;v&gt;", text)
        self.assertNotIn("<v>", text)
        self.assertIsNone(re.search("https?:|src=|@import", text))
        # One target missed, one met; a distribution of what varies only.
        self.assertEqual(text.count(">OVER</td>"), 1)
        self.assertEqual(text.count("<svg"), 1)
        self.assertEqual(text.count('text-anchor="end">sm_'), 1)

    def test_parts_and_linux(self):
        text = self.page(
            parts={"exit_cpuid": {"parts": {"exits": 1, "before": 7}}},
            linux={"boot": {"bare": 100, "guest": 103}})
        self.assertIn("kernel before the handler: 7", text)
        self.assertIn("103.0%", text)
        self.assertNotIn("boot, as KVM", text)


if __name__ == "__main__":
    done = unittest.main(exit=False).result
    failed = len(done.failures) + len(done.errors)
    print(f"[  PASSED  ] {done.testsRun - failed} test(s).")
    if failed:
        print(f"[  FAILED  ] {failed} test(s).")
    sys.exit(bool(failed))
