"""Each promise in SECURITY.md names its tests, and those are there."""
import os
import re
import subprocess

import source

ROW = re.compile(r"^\| (P\d+) \|(.*)\|([^|]*)\|$", re.M)
NAME = re.compile(r"`([^`]+)`")
# A test program and its file; a test inside of one is any word that begins with test_.
FILES = [
    (re.compile(r"^(unit|flow|lint)\.(.+)$"), ("tests/{0}/{1}.c", "tests/{0}/{1}.py")),
    (re.compile(r"^daemon\.(.+)$"), ("tests/daemon/test_{0}.py",)),
    (re.compile(r"^token\.(.+)$"), ("tests/token/{0}_test.c", "tests/token/{0}_test.py")),
    (re.compile(r"^residue\.memory$"), ("tests/residue/test_residue.py",)),
    (re.compile(r"^sim\.(.+)$"), ("tests/sim/{0}_sim.c", "tests/sim/{0}_grid.c")),
    (re.compile(r"^scripts/(.+)$"), ("scripts/{0}",)),
]


def is_program(root, name):
    for pattern, files in FILES:
        found = pattern.match(name)
        if found:
            parts = [part.replace(".", "/") for part in found.groups()]
            return any(os.path.exists(os.path.join(root, file.format(*parts))) for file in files)
    return False


def is_test(root, name):
    command = ["git", "-C", root, "grep", "-qw", name, "--", "tests"]
    return subprocess.run(command, check=False).returncode == 0


def check(root, _options):
    if not os.path.exists(os.path.join(root, "SECURITY.md")):
        return ["SECURITY.md: missing"]
    rows = ROW.findall(source.read(root, "SECURITY.md"))
    faults = [] if rows else ["SECURITY.md: no row of a promise and its tests"]
    for promise, _text, tests in rows:
        names = NAME.findall(tests)
        if not names:
            faults.append(f"SECURITY.md: {promise}: names no test")
        for name in names:
            found = is_test(root, name) if name.startswith("test_") else is_program(root, name)
            if not found:
                faults.append(f"SECURITY.md: {promise}: {name}: no such test")
    return faults


if __name__ == "__main__":
    source.main(check)
