"""Every header compiles alone, twice over, with gcc and clang: it includes what it needs and has a guard."""
import shutil
import subprocess

import source

FLAGS = ["-std=gnu17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-gnu-auto-type", "-x", "c", "-"]


def compilers():
    clang = next((c for c in ("clang", "clang-14") if shutil.which(c)), "clang")
    return ["gcc", clang]


def check_header(root, header, compiler, includes):
    flags = [flag for flag in FLAGS if compiler != "gcc" or "gnu-auto" not in flag]
    text = f'#include "{header}"\n#include "{header}"\n'
    done = subprocess.run([compiler, f"-I{root}", *[f"-I{i}" for i in includes if i], *flags],
                          input=text, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        reason = next((l for l in done.stderr.splitlines() if "error" in l), done.stderr.strip())
        yield f"{header}: does not compile alone with {compiler}: {reason}"


def check(root, options):
    missing = [f"{c}: not installed" for c in compilers() if shutil.which(c) is None]
    if missing:
        return missing
    headers = source.files(root, source.PRODUCT + ("tests",), (".h",))
    return [problem for header in headers for compiler in compilers()
            for problem in check_header(root, header, compiler, options.include)]


if __name__ == "__main__":
    source.main(check, ("--include", {"action": "append", "default": []}))
