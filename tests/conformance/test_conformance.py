"""Proves that the conformance program can fail: a server without fault passes, and each fault makes the check of
its statement fail. One test a group."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from kmsconf import target  # noqa: E402

PROGRAM = os.path.join(HERE, "p11-kms-conformance")
SERVER = os.path.join(HERE, "broken_server.py")

COMMANDS = {"restart": "restart", "stop": "stop", "start": "start", "kill": "kill", "second": "second",
            "outage": "outage", "restore": "restore", "hang": "hang", "unhang": "unhang",
            "break-decrypt": "break-decrypt", "break-encrypt": "break-encrypt", "destroy": "destroy",
            "rotate": "rotate", "reactivate": "reactivate", "foreign": "foreign", "backend-calls": "calls",
            "key-id-hash": "key-id-hash", "pid-cmd": "pids", "disturb": "disturb", "undisturb": "undisturb"}

# group: {fault: the statement whose check must fail}
FAULTS = {
    "transport": {
        "late-settings": 1, "broken-frames": 5, "refuses-raw-authority": 3, "counts-pings": 4, "serves-json": 7, "end-on-data": 11,
        "error-in-two": 12, "raw-message": 13, "ignores-flag": 15, "unknown-ok": 16, "case-blind": 17, "lenient": 18,
        "ignores-length": 19, "waits-for-all": 20, "small-cap": 21, "few-streams": 25, "abrupt-stop": 27,
        "drops-busy": 27, "closes-all": 29, "steals-socket": 30, "open-socket": 31,
    },
    "v2": {
        "status-version": 34, "version-drifts": 35, "other-key-id": 38, "fixed-iv": 39, "huge-ciphertext": 40,
        "bad-annotation": 41, "memory-keys": 43, "annotations-count": 44, "unauthenticated": 45, "key-id-ignored": 47,
        "slow-unknown": 49, "odd-codes": 50, "forged-log": 51, "unescaped-quote": 51, "strict-fields": 53, "chatty": 54,
        "talks-in-outage": 54,
    },
    "v1": {
        "v1-version": 56, "v1-no-ping": 57, "memory-keys": 58, "forgets-old": 59, "unauthenticated": 60, "no-domains": 61,
        "v1-strict-encrypt": 62, "v1-half-off": 66,
    },
    "rotation": {
        "not-atomic": 67, "forgets-old": 68, "reuses-key-id": 69, "own-key-ids": 74, "alternates": 72,
        "seals-retired": 73, "wrong-hash": 75, "fails-during-rotation": 76,
    },
    "failure": {
        "hangs-without-backend": 77, "rpc-policy": 78, "blind-health": 79, "leaks-descriptors": 83, "disk-on-path": 85,
        "silent-stop": 86, "dies-of-fuzz": 87, "one-at-a-time": 88, "keeps-plaintexts": 89,
    },
}
ALSO = {"talks-in-outage": {80}}    # the check of the fault looks back at that of another statement
# Not asked of a server without a fault: one in Python may leave plaintexts in its memory; its v1 is on.
ONLY_WITH_FAULT = {66, 89}
SERVERS = 4


class Suite(unittest.TestCase):
    def graded(self, numbers, fault=""):
        """{number: verdict} of these statements against a server with this fault."""
        folder = tempfile.mkdtemp(prefix="kms-broken-")
        self.addCleanup(shutil.rmtree, folder, True)
        control = [sys.executable, "-B", SERVER, "--dir", folder] + (["--fault", fault] if fault else [])
        subprocess.run(control + ["start"], check=True, timeout=60)
        try:
            return self.run_program(folder, numbers, " ".join(control))
        finally:
            subprocess.run(control + ["kill"], check=False, timeout=60)

    def run_program(self, folder, numbers, control):
        out = os.path.join(folder, "report.json")
        line = [sys.executable, "-B", PROGRAM, "--v1", "--v2", "--socket", os.path.join(folder, "sock"), "--json", out,
                "--log", os.path.join(folder, "log"), "--policy", "text", "--noticed-within", "3",
                "--secret", os.path.join(folder, "keys.json"), "--only", ",".join(map(str, sorted(numbers)))]
        for name, command in COMMANDS.items():
            line += ["--" + name, control + " " + command]
        done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        self.assertIn(done.returncode, (0, 1), done.stdout)
        with open(out, encoding="utf-8") as report:
            return {result["number"]: (result["verdict"], result["seen"]) for result in json.load(report)["results"]}

    def check_group(self, group):
        faults = FAULTS[group]
        for number, (verdict, seen) in self.graded(set(faults.values()) - ONLY_WITH_FAULT).items():
            with self.subTest(statement=number):
                self.assertTrue(verdict == "pass" or "helper missing" in seen, f"without a fault: {verdict}: {seen}")
        with ThreadPoolExecutor(SERVERS) as pool:  # each has its own server, and mostly waits for it
            grades = list(pool.map(lambda fault: self.graded({faults[fault]} | ALSO.get(fault, set()), fault), faults))
        for (fault, number), grade in zip(faults.items(), grades):
            with self.subTest(fault=fault):
                verdict, seen = grade[number]
                wanted = "n/a" if "needs root" in seen and os.geteuid() != 0 else "fail"
                self.assertEqual(wanted, verdict, f"statement {number}: {seen}")
                print(f"{fault}: {number}: {seen}")

    def test_transport(self):
        self.check_group("transport")

    def test_v2(self):
        self.check_group("v2")

    def test_v1(self):
        self.check_group("v1")

    def test_rotation(self):
        self.check_group("rotation")

    def test_failure(self):
        self.check_group("failure")


class Reports(unittest.TestCase):
    """What the program writes, from results made by hand."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kms-report-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def result(self, number, verdict, seen="", form=""):
        return {"number": number, "group": "v2", "name": "a | name", "meaning": "m", "verdict": verdict, "seen": seen,
                "form": form, "seconds": 1.0}

    def merged(self, *runs):
        files = []
        for index, results in enumerate(runs):
            files.append(os.path.join(self.folder, f"{index}.json"))
            with open(files[-1], "w", encoding="utf-8") as out:
                json.dump({"results": results}, out)
        out = os.path.join(self.folder, "out")
        done = subprocess.run([sys.executable, "-B", PROGRAM, "--merge", *files, "--json", out + ".json", "--junit",
                               out + ".xml", "--markdown", out + ".md", "--colour", "always"],
                              stdout=subprocess.PIPE, text=True, timeout=30)
        with open(out + ".json", encoding="utf-8") as report:
            return done, {r["number"]: r for r in json.load(report)["results"]}

    def test_an_answer_beats_not_applicable_and_a_failure_beats_all(self):
        done, merged = self.merged([self.result(34, "n/a"), self.result(35, "pass", "x")],
                                   [self.result(34, "pass", "seen"), self.result(35, "fail", "y")])
        self.assertEqual(("pass", "fail"), (merged[34]["verdict"], merged[35]["verdict"]))
        self.assertEqual(1, done.returncode)
        self.assertIn("failed: 35", done.stdout)
        self.assertIn("\033[31m", done.stdout)

    def test_the_full_form_beats_the_short_one(self):
        done, merged = self.merged([self.result(45, "pass", "few", "short")], [self.result(45, "pass", "all", "full")])
        self.assertEqual(("all", "full"), (merged[45]["seen"], merged[45]["form"]))
        self.assertEqual(0, done.returncode)

    def test_junit_and_markdown_hold_every_result(self):
        self.merged([self.result(34, "pass", "a|b"), self.result(35, "fail", "y"), self.result(36, "n/a", "z")])
        with open(os.path.join(self.folder, "out.xml"), encoding="utf-8") as junit:
            text = junit.read()
        self.assertIn('tests="3" failures="1" skipped="1"', text)
        with open(os.path.join(self.folder, "out.md"), encoding="utf-8") as markdown:
            self.assertIn("| 34 | a \\| name | pass | a\\|b |", markdown.read())

    def test_what_a_plugin_says_breaks_no_report(self):
        said = "a\x1b[2J\0\nb\u202e"
        done, merged = self.merged([self.result(34, "fail", said)])
        self.assertEqual(said, merged[34]["seen"])
        case = ET.parse(os.path.join(self.folder, "out.xml")).getroot().find("testcase/failure")
        self.assertEqual("a\\x1b[2J\\x00\\nb\\u202e", case.get("message"))
        self.assertIn(case.get("message"), done.stdout)

    def test_list_names_all_ninety(self):
        done = subprocess.run([sys.executable, "-B", PROGRAM, "--list"], stdout=subprocess.PIPE, text=True, timeout=30)
        self.assertEqual(list(range(1, 91)), [int(line.split()[0]) for line in done.stdout.splitlines()])


    def test_wrong_numbers_are_wrong_usage(self):
        for only in ("91", "0", "x", "3-2"):
            done = subprocess.run([sys.executable, "-B", PROGRAM, "--socket", "/none", "--only", only],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
            self.assertEqual(2, done.returncode, f"{only}: {done.stdout}")

    def test_a_plugin_left_in_the_background_is_not_waited_for(self):
        late = os.path.join(self.folder, "late")
        gate = os.path.join(self.folder, "gate")
        os.mkfifo(gate)
        status, output = target.shell(f"(read line <{gate}; : >{late}) & echo begun")
        self.assertEqual((0, "begun\n", False), (status, output, os.path.exists(late)))
        with open(gate, "w", encoding="ascii") as opened:
            opened.write("go\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
