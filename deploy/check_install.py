"""What is installed under a strict umask can be used by the daemon's user: no folder that only root enters.

usage: check_install.py CMAKE BUILD PREFIX
"""
import os
import stat
import subprocess
import sys
import tempfile


def main():
    cmake, build, prefix = sys.argv[1:]
    wrong = []
    with tempfile.TemporaryDirectory(prefix="p11-kms-install.") as root:
        os.umask(0o077)
        done = subprocess.run([cmake, f"-DCMAKE_INSTALL_PREFIX={prefix}", "-P",
                               os.path.join(build, "cmake_install.cmake")], check=False,
                              env={**os.environ, "DESTDIR": root}, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
        programs = set()
        for folder, _, files in os.walk(root):
            for path in [folder] * (folder != root) + [os.path.join(folder, name) for name in files]:
                mode = stat.S_IMODE(os.lstat(path).st_mode)
                program = mode & 0o100 and not os.path.isdir(path)
                programs.update([os.path.basename(path)] if program else [])
                expected = 0o755 if os.path.isdir(path) or program else 0o644
                if mode != expected:
                    wrong.append(f"{path[len(root):]}: {mode:04o}, not {expected:04o}")
    missing = {"p11-kmsd", "p11-kms-front", "p11-kms-token", "p11-kmsctl"} - programs
    if missing or wrong:
        sys.exit("\n".join(wrong + [f"not installed: {name}" for name in sorted(missing)]))


if __name__ == "__main__":
    main()
