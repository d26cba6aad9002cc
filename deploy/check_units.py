"""systemd-analyze verify on the units, with the daemon of the build tree in place of the installed one, and that a
restart of the socket restarts the service.

Usage: check_units.py SYSTEMD-ANALYZE P11-KMSD SERVICE SOCKET
"""
import os
import re
import subprocess
import sys
import tempfile


def restart_is_one_step(service):
    """A command that names both units queues two jobs. Without this the socket's is refused: the service runs."""
    with open(service, encoding="utf-8") as f:
        return re.search(r"^PartOf=p11-kms\.socket$", f.read(), flags=re.M) is not None


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
    if not restart_is_one_step(units[0]):
        said.append("p11-kms.service: PartOf=p11-kms.socket is missing: a restart of the socket would fail")
    print("\n".join(said) or "units: ok")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
