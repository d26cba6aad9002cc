"""The path of a call in README.md names symbols that exist."""
import os
import re
import subprocess

import source

BLOCK = re.compile(r"^<!-- path -->\n```[a-z]*\n(.*?)^```", re.M | re.S)
SYMBOL = re.compile(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b")


def known_functions(root):
    """Names of functions that product code defines or declares."""
    paths = source.files(root, source.PRODUCT, (".c", ".h"))
    command = ["ctags", "-x", "--languages=C", "--kinds-C=fp", "--language-force=C", "--_xformat=%N", "-L", "-"]
    done = subprocess.run(command, cwd=root, input="\n".join(paths), text=True, check=True,
                          capture_output=True)
    return set(done.stdout.split())


def check(root, _options):
    if not os.path.exists(os.path.join(root, "README.md")):
        return ["README.md: missing"]
    block = BLOCK.search(source.read(root, "README.md"))
    if block is None:
        return ["README.md: no fenced block after <!-- path -->"]
    named = sorted(set(SYMBOL.findall(block[1])))
    if not named:
        return ["README.md: the path names no symbol"]
    known = known_functions(root)
    return [f"README.md: {name}: no such function" for name in named if name not in known]


if __name__ == "__main__":
    source.main(check)
