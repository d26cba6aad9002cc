"""systemd-analyze verify on the units, with the daemon of the build tree in place of the installed one.

Usage: check_units.py SYSTEMD-ANALYZE P11-KMSD SERVICE SOCKET
"""
import os
import re
import subprocess
import sys
import tempfile


def main(analyze, daemon, *units):
    with tempfile.TemporaryDirectory(prefix="p11kms-units-") as folder:
        copies = []
        for unit in units:
            with open(unit, encoding="utf-8") as f:
                text = re.sub(r"^ExecStart=\S+", "ExecStart=" + daemon, f.read(), flags=re.M)
            copies.append(os.path.join(folder, os.path.basename(unit)))
            with open(copies[-1], "w", encoding="utf-8") as f:
                f.write(text)
        done = subprocess.run([analyze, "verify", "--man=no", *copies], capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if "p11-kms" in line]
    print("\n".join(said) or "units: ok")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
