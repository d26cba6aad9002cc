"""Product code uses no name of calls.txt outside the files named there, and dumps no bytes as hex."""
import fnmatch
import os
import re

import source

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "calls.txt")
INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[^\n]*", re.M)
WORD = re.compile(r"\b[A-Za-z_][A-Za-z0-9_]*\b")
# A format that prints a byte: the way a secret would leave in a debug line.
HEX_DUMP = re.compile(r'"[^"\n]*%0?2h{0,2}[xX]')


def load_table():
    with open(TABLE, encoding="utf-8") as table:
        lines = [line.split(":") for line in table if line.strip() and not line.startswith("#")]
    return {name: allowed.split() for name, allowed in lines}


def allowed_for(banned, name):
    """The files that may use it, None for every one. A name of the table may end in a star."""
    stars = (name[:n] + "*" for n in range(len(name), 1, -1))
    return next((banned[key] for key in (name, *stars) if key in banned), None)


def check_file(root, path, banned):
    text = INCLUDE.sub(lambda m: " " * len(m.group()), source.code_only(source.read(root, path)))
    for match in WORD.finditer(text):
        allowed = allowed_for(banned, match.group())
        if allowed is not None and not any(fnmatch.fnmatch(path, pattern) for pattern in allowed):
            where = f"; allowed in {' '.join(allowed)}" if allowed else ""
            yield f"{path}:{source.line_of(text, match.start())}: {match.group()} is banned{where}"


def check_hex(root, path, allowed):
    text = source.read(root, path)
    for match in HEX_DUMP.finditer(text):
        if path not in allowed:
            yield f"{path}:{source.line_of(text, match.start())}: hex-dump is banned; allowed in {' '.join(allowed)}"


def check(root, _options):
    banned = load_table()
    paths = source.files(root, source.PRODUCT, (".c", ".h"))
    problems = [problem for path in paths for problem in check_file(root, path, banned)]
    return problems + [problem for path in paths for problem in check_hex(root, path, banned["hex-dump"])]


if __name__ == "__main__":
    source.main(check)
