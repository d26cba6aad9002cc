"""What a packager gets who knows CMake and nothing of us: copies of the sources, built plainly."""
import glob
import json
import os
import re
import shutil
import sys
import tempfile
import unittest

from package_kit import copy, run

PROGRAMS = ("p11-kmsd", "p11-kms-front", "p11-kms-token", "p11-kmsctl")
SYSTEMD = ("systemdsystemunitdir", "sysusersdir", "tmpfilesdir")
OBJECT = "base/CMakeFiles/p11kms_base.dir/err.c.o"


def listing(folder):
    """Paths of all files below the folder, as if it were the root."""
    return [os.path.join(where[len(folder):], name)
            for where, _, names in os.walk(folder) for name in names]


def systemd_says(variable):
    return run("pkg-config", "--variable=" + variable, "systemd").strip()


class Build(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="p11kms-package-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.source = copy(os.path.join(cls.folder, "a"))
        cls.plain = cls.configure("plain", "-DCMAKE_INSTALL_PREFIX=/usr")
        run("cmake", "--build", cls.plain)

    @classmethod
    def configure(cls, name, *options, source=None, **env):
        build = os.path.join(source or cls.source, name)
        run("cmake", "-S", source or cls.source, "-B", build, "-G", "Ninja", *options, **env)
        return build

    def commands(self, build):
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
            return [entry["command"] for entry in json.load(f)]

    def bytes_of(self, build, program):
        with open(os.path.join(build, "bin", program), "rb") as f:
            return f.read()

    def version(self, build):
        with open(os.path.join(build, "base", "version.h"), encoding="utf-8") as f:
            return f.read()

    def installed(self, build):
        """What the folder deploy/ of a build installs; its programs need not be built for it."""
        with tempfile.TemporaryDirectory(dir=self.folder) as root:
            run("cmake", "--install", os.path.join(build, "deploy"), DESTDIR=root)
            return listing(root)

    def test_the_plain_build_is_the_shipped_one(self):
        for program in PROGRAMS:
            said = run(os.path.join(self.plain, "bin", program), "--version")
            self.assertIn("build", said)
            self.assertNotIn("test build", said)
        for command in self.commands(self.plain):
            self.assertRegex(command, r" -O2 .* -D_FORTIFY_SOURCE=3 ")
            self.assertNotIn("-Werror", command)
        with open(os.path.join(self.plain, "CMakeCache.txt"), encoding="utf-8") as f:
            self.assertNotIn("cmocka", f.read().lower())

    def test_test_hooks_are_asked_for_and_shown(self):
        hooked = self.configure("hooked", "-DP11KMS_TEST_HOOKS=ON")
        self.assertRegex(self.version(hooked), r"P11KMS_TEST_BUILD 1\n")

    def test_two_folders_give_the_same_bytes(self):
        other = copy(os.path.join(self.folder, "b", "with-a-longer-name"))
        build = self.configure("elsewhere", "-DCMAKE_INSTALL_PREFIX=/usr", source=other)
        run("cmake", "--build", build)
        for program in PROGRAMS:
            first, second = (self.bytes_of(tree, program) for tree in (self.plain, build))
            self.assertFalse(self.folder.encode() in first, program + " knows its folder")
            self.assertTrue(first == second, program + " differs between two folders")

    def test_the_build_date_is_that_of_the_sources(self):
        date = int(os.stat(os.path.join(self.source, "CMakeLists.txt")).st_mtime)
        self.assertRegex(self.version(self.plain), rf"P11KMS_BUILD_DATE {date}LL\n")
        given = self.configure("dated", SOURCE_DATE_EPOCH="1700000000")
        self.assertRegex(self.version(given), r"P11KMS_BUILD_DATE 1700000000LL\n")

    def test_fortify_hangs_on_what_the_compiler_does_and_not_on_a_name(self):
        debian = "-g -O2 -Wdate-time -D_FORTIFY_SOURCE=2"
        kinds = [("RelWithDebInfo", "", "3"), ("MinSizeRel", "", "3"), ("Release", "", "3"),
                 ("None", debian, "3"), ("Mine", "-O1", "3"), ("Debug", "", None),
                 ("None", "-O0", None), ("None", "-O2 -Wp,-D_FORTIFY_SOURCE=2", "2")]
        for i, (kind, flags, want) in enumerate(kinds):
            with self.subTest(kind=kind, flags=flags):
                build = self.configure(f"kind{i}", "-DCMAKE_BUILD_TYPE=" + kind, CFLAGS=flags)
                for command in self.commands(build):
                    given = re.findall(r"-D_FORTIFY_SOURCE=(\d)", command)
                    self.assertEqual(given[-1] if given else None, want, command)
                said = run("cmake", "--build", build, "--target", OBJECT)
                self.assertNotIn("warning", said)

    def test_systemd_files_go_where_packaging_tools_look(self):
        with tempfile.TemporaryDirectory(dir=self.folder) as root:
            run("cmake", "--install", self.plain, DESTDIR=root)
            for program in PROGRAMS:
                found = glob.glob(f"{root}/usr/**/{program}", recursive=True)
                self.assertEqual(len(found), 1, program)
            units, users, files = (systemd_says(variable) for variable in SYSTEMD)
            for name in (units + "/p11-kms.service", units + "/p11-kms.socket",
                         users + "/p11-kms.conf", files + "/p11-kms.conf"):
                self.assertTrue(os.path.isfile(root + name), name)
            with open(f"{root}{units}/p11-kms.service", encoding="utf-8") as f:
                self.assertIn("ExecStart=/usr/sbin/p11-kmsd ", f.read())

    def test_systemd_files_follow_the_prefix_and_can_be_put_elsewhere(self):
        local = self.installed(self.configure("local", "-DCMAKE_INSTALL_PREFIX=/opt/p11"))
        for name in ("systemd/system/p11-kms.service", "systemd/system/p11-kms.socket",
                     "sysusers.d/p11-kms.conf", "tmpfiles.d/p11-kms.conf"):
            self.assertIn("/opt/p11/lib/" + name, local)
        chosen = self.installed(self.configure(
            "chosen", "-DP11KMS_UNITDIR=/u", "-DP11KMS_SYSUSERSDIR=/s", "-DP11KMS_TMPFILESDIR=/t"))
        for name in ("/u/p11-kms.service", "/u/p11-kms.socket", "/s/p11-kms.conf",
                     "/t/p11-kms.conf"):
            self.assertIn(name, chosen)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
