"""The man pages are well-formed, and p11-kmsd(8) says of every setting what p11-kmsd --help says: no more, no less.

Usage: check_man.py P11-KMSD PAGE...   (the first page is p11-kmsd.8)
"""
import subprocess
import sys


def told_settings(daemon):
    """Setting -> text, as the schema prints it."""
    told = subprocess.run([daemon, "--help"], check=True, capture_output=True, text=True).stdout
    lines = told.split("Configuration:\n", 1)[1].splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line.strip())


def written_settings(page):
    """The same from the entries of the page, whose clauses stand on lines of their own."""
    section = page.split(".Sh CONFIGURATION\n", 1)[1].split("\n.El\n", 1)[0]
    for entry in section.split("\n.It Cm ")[1:]:
        name, *lines = entry.splitlines()
        yield name, " ".join(lines).replace("\\(dq", '"').removesuffix(".")


def main(daemon, pages):
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True)
    problems = lint.stdout.splitlines()
    told = told_settings(daemon)
    with open(pages[0], encoding="utf-8") as f:
        written = dict(written_settings(f.read()))
    problems += [f"{pages[0]}: no entry for {name}" for name in told if name not in written]
    problems += [f"{pages[0]}: {name}: no such setting" for name in written if name not in told]
    problems += [f"{pages[0]}: {name}: says: {written[name]}\n  not as --help: {text}"
                 for name, text in told.items() if written.get(name, text) != text]
    if not told:
        problems.append("p11-kmsd --help shows no settings")
    print("\n".join(problems))
    return 1 if problems or lint.returncode else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
