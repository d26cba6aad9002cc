"""On a machine that lacks something, CMake and scripts name the package, and what installs it."""
import glob
import os
import re
import shutil
import sys
import tempfile
import unittest

from package_kit import SOURCE, attempt, copy

# As on a machine that has nothing, and whose apt-get has no archive.
TOOLS = {"dpkg-query": "exit 1", "apt-get": "exit 100", "sudo": 'exec "$@"'}
WANTS = {"bench/run": "python3-grpcio", "scripts/demo": "softhsm2", "scripts/test": "clang",
         "scripts/coverage": "gcovr"}


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class Missing(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="p11kms-missing-")
        self.addCleanup(shutil.rmtree, self.folder)

    def test_cmake_names_all_packages_at_once(self):
        status, said = attempt("cmake", "-S", SOURCE, "-B", os.path.join(self.folder, "build"),
                               PKG_CONFIG_LIBDIR="/nonexistent")
        self.assertNotEqual(status, 0)
        for name in ("libnghttp2-dev", "libyaml-dev", "libssl-dev", "scripts/deps --build-only"):
            self.assertIn(name, said)

    def test_deps_installs_every_package_that_cmake_names(self):
        lists = text_of(os.path.join(SOURCE, "scripts", "deps")).split("\ncase ")[0]
        installed = set(re.split(r"[\s()]+", lists))
        cmake = "".join(map(text_of, glob.glob(os.path.join(SOURCE, "cmake", "*packages.cmake"))))
        call = r"(?m)^ *p11kms_(?:library|program|module)\(\S+ \S+ ([^ )]+)"
        named = set(re.findall(call, cmake))
        named |= set(re.findall(r"[\w.]+/(python3-\w+)", cmake))
        self.assertGreater(len(named), 20)
        self.assertEqual(named - installed, set())

    def test_scripts_name_packages_and_who_installs_them(self):
        source = copy(os.path.join(self.folder, "source"))
        tools = os.path.join(self.folder, "tools")
        os.mkdir(tools)
        for name, text in TOOLS.items():
            path = os.path.join(tools, name)
            with open(path, "w", encoding="ascii") as f:
                f.write(f"#!/bin/sh\n{text}\n")
            os.chmod(path, 0o755)
        for script, package in WANTS.items():
            status, said = attempt(os.path.join(source, script),
                                   PATH=f"{tools}:{os.environ['PATH']}")
            self.assertNotEqual(status, 0, script)
            self.assertIn("deps: installing from Debian: ", said)
            self.assertRegex(said, rf"deps: could not install .*\b{package}\b.*apt-get update")


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
