"""No function above 50 lines, no C file above 400, no line of C above the 100 columns of .clang-format."""
import os
import subprocess

import source

FUNCTION_LINES = 50
FILE_LINES = 400
COLUMNS = 100


def functions(root, paths):
    """(path, name, first line, last line) of every function, by universal-ctags."""
    command = ["ctags", "-x", "--languages=C", "--kinds-C=f", "--fields=+ne", "--language-force=C",
               "--_xformat=%F\t%N\t%n\t%e", "-L", "-"]
    done = subprocess.run(command, cwd=root, input="\n".join(paths), text=True, check=True,
                          capture_output=True)
    for line in done.stdout.splitlines():
        path, name, first, last = line.split("\t")
        yield path, name, int(first), int(last)


def check(root, _options):
    paths = source.files(root, source.PRODUCT + ("tests", "softhsm-config"), (".c", ".h"))
    problems = []
    for path in paths:
        lines = source.read(root, path).splitlines()
        if len(lines) > FILE_LINES:
            problems.append(f"{path}: {len(lines)} lines, at most {FILE_LINES}")
        for at, line in enumerate(lines, 1):
            if len(line) > COLUMNS:
                problems.append(f"{path}:{at}: {len(line)} columns, at most {COLUMNS}")
    for path, name, first, last in functions(root, paths):
        if last - first + 1 > FUNCTION_LINES:
            problems.append(f"{path}:{first}: {name}: {last - first + 1} lines, at most {FUNCTION_LINES}")
    return problems


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C.UTF-8"
    source.main(check)
