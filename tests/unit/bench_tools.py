#!/usr/bin/python3
"""The benchmark's tools: reading lines, comparing results.

Runs at the top of the source tree; prints as cmocka does, for run.py.
"""
import sys
import unittest

sys.path.insert(0, "tests/bench")
import compare  # noqa: E402
import lines  # noqa: E402
import table  # noqa: E402


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
            {"a": 100, "b": 100, "c": 100, "d": 100, "e": 37},
            {"a": 102, "b": 103, "c": 97, "f": 1, "e": 38})

    def names(self, title):
        return {key for key, _, _ in self.classes[title]}

    def test_classes(self):
        self.assertEqual(self.names("same"), {"a"})
        self.assertEqual(self.names("worse"), {"b", "e"})
        self.assertEqual(self.names("better"), {"c"})
        self.assertEqual(self.names("missing"), {"d"})
        self.assertEqual(self.names("new"), {"f"})

    def test_result(self):
        result = {"platforms": {"p": {
            "kernel": {"x": {"median": 5, "min": 1}},
            "parts": {"y": {"vmcs": {"read": 1, "write": 2}}}}}}
        self.assertEqual(compare.medians(result),
                         {("p", "kernel", "x"): 5, ("p", "vmcs", "y"): 3})
        classes = compare.classify({("p", "kernel", "x"): 4},
                                   compare.medians(result))
        self.assertIn("+25.0%", compare.report(classes))


class Targets(unittest.TestCase):
    """Targets are found by vendor."""

    def test_vendor(self):
        self.assertEqual(table.target("qemu-tcg", "vmexit_in_all"), 650)
        self.assertEqual(table.target("bochs-vmx", "vmexit_in_all"), 800)
        self.assertEqual(table.target("bochs-vmx", "sm_up"), 75)
        self.assertIsNone(table.target("bochs-vmx", "no such line"))


if __name__ == "__main__":
    done = unittest.main(exit=False).result
    failed = len(done.failures) + len(done.errors)
    print(f"[  PASSED  ] {done.testsRun - failed} test(s).")
    if failed:
        print(f"[  FAILED  ] {failed} test(s).")
    sys.exit(bool(failed))
