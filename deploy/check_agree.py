"""The units, the sample configuration and what makes user and folders name the same things, and user and folders can
be made: as root, in a root folder of the test's own.

Usage: check_agree.py DEPLOY-FOLDER P11-KMSD
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

USER = "p11-kms"


def read(folder, path):
    with open(os.path.join(folder, path), encoding="utf-8") as f:
        return f.read()


def one(text, pattern):
    found = re.findall(pattern, text, flags=re.M)
    return found[0] if len(found) == 1 else f"{len(found)} times {pattern}"


def pairs(folder):
    service, sock = read(folder, "systemd/p11-kms.service"), read(folder, "systemd/p11-kms.socket")
    config, rules = read(folder, "config.yaml"), read(folder, "systemd/p11-kms.tmpfiles")
    place = one(config, r"^  socket: (.*)")
    state = one(config, r"^state_dir: (.*)")
    yield place, one(sock, r"^ListenStream=(.*)")
    yield place, os.path.join("/run", one(service, r"^RuntimeDirectory=(.*)"), os.path.basename(place))
    yield one(config, r'^  mode: "(.*)"'), one(sock, r"^SocketMode=(.*)")
    yield one(config, r"^    pin_credential: (.*)"), one(service, r"^LoadCredential=([^:]*):")
    yield state, os.path.join("/var/lib", one(service, r"^StateDirectory=(.*)"))
    # A stop waits for a login, then needs a moment more.
    yield int(one(config, r"^    start_timeout: (.*)s")) + 30, int(one(service, r"^TimeoutStopSec=(.*)"))
    mode = one(service, r"^StateDirectoryMode=(.*)")
    yield f"{state} {mode} {USER} {USER}", " ".join(one(rules, r"^d (/var/lib/\S+ .*) -").split())
    yield "/etc/p11-kms", one(rules, r"^d (/etc/\S+)")
    for unit, setting in ((service, "User"), (service, "Group"), (sock, "SocketUser"), (sock, "SocketGroup")):
        yield USER, one(unit, f"^{setting}=(.*)")


def made(folder, root):
    """The user and the folders, by systemd's own programs, where they lie when installed."""
    os.mkdir(os.path.join(root, "etc"))
    for kind in ("sysusers", "tmpfiles"):
        rules = os.path.join(root, f"usr/lib/{kind}.d")
        os.makedirs(rules)
        shutil.copyfile(os.path.join(folder, f"systemd/p11-kms.{kind}"), os.path.join(rules, "p11-kms.conf"))
    subprocess.run(["systemd-sysusers", f"--root={root}"], check=True)
    subprocess.run(["systemd-tmpfiles", f"--root={root}", "--create", "p11-kms.conf"], check=True)
    status = os.stat(os.path.join(root, "var/lib/p11-kms"))
    user = one(read(root, "etc/passwd"), f"^{USER}:[^:]*:(.*)$")
    yield f"{status.st_uid}:{status.st_gid}:Kubernetes KMS plugin:/var/lib/p11-kms:/usr/sbin/nologin", user
    yield 0o700, status.st_mode & 0o7777


def main(folder, daemon):
    subprocess.run([daemon, "--check-config", "--config", os.path.join(folder, "config.yaml")], check=True)
    with tempfile.TemporaryDirectory(prefix="p11kms-agree-") as root:
        both = [*pairs(folder), *(made(folder, root) if os.geteuid() == 0 else [])]
    differ = [f"{a!r} is not {b!r}" for a, b in both if a != b]
    print("\n".join(differ) or "agree: ok")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
