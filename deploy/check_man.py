"""The man pages are well-formed, and p11-kmsd(8) has every setting that p11-kmsd --help has.

Usage: check_man.py P11-KMSD PAGE...   (the first page is p11-kmsd.8)
"""
import subprocess
import sys


def main(daemon, pages):
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True)
    problems = lint.stdout.splitlines()
    told = subprocess.run([daemon, "--help"], check=True, capture_output=True, text=True).stdout
    settings = [line.split()[0] for line in told.split("Configuration:\n", 1)[1].splitlines() if line.strip()]
    with open(pages[0], encoding="utf-8") as f:
        page = f.read().splitlines()
    problems += [f"{pages[0]}: no entry for {name}" for name in settings if f".It Cm {name}" not in page]
    if not settings:
        problems.append("p11-kmsd --help shows no settings")
    print("\n".join(problems))
    return 1 if problems or lint.returncode else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
