"""What every check shares: finding files, blanking comments, reporting."""
import argparse
import os
import re
import sys

PRODUCT = ("base", "keys", "proto", "token", "pkcs11", "server", "ctl", "bench")
SKIPPED = {".git", "build", "__pycache__", ".cache"}


def files(root, folders, endings):
    """Paths relative to root, sorted."""
    found = []
    for folder in folders:
        for where, below, names in os.walk(os.path.join(root, folder)):
            below[:] = sorted(set(below) - SKIPPED)
            found += [os.path.relpath(os.path.join(where, n), root) for n in names if n.endswith(endings)]
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_only(text):
    """Comments and literals blanked, line numbers kept."""
    return _TOKEN.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def main(check, *more):
    """Runs check(root, options) -> problems; more: extra options as (flag, keywords)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    for flag, keywords in more:
        parser.add_argument(flag, **keywords)
    options = parser.parse_args()
    problems = check(options.root, options)
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)
