"""Nothing that a build makes is committed, and nothing large."""
import os
import re
import subprocess

import source

MADE = re.compile(r"(^|/)(build|__pycache__|CMakeFiles)/|\.pb-c\.[ch]$|_pb2(_grpc)?\.py$|\.(o|a|so|pyc|gcda|gcno|profraw|log)$"
                  r"|(^|/)(CMakeCache\.txt|compile_commands\.json|base/version\.h)$")
LARGEST = 512 * 1024


def check(root, _options):
    done = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print("not a git checkout: nothing to check")
        return []
    problems = []
    for path in filter(None, done.stdout.split("\0")):
        whole = os.path.join(root, path)
        if MADE.search(path):
            problems.append(f"{path}: looks generated")
        elif os.path.exists(whole) and os.path.getsize(whole) > LARGEST:
            problems.append(f"{path}: {os.path.getsize(whole)} bytes, at most {LARGEST}")
    return problems


if __name__ == "__main__":
    source.main(check)
