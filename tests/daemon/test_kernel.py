"""A kernel that is older than ours, or a profile that forbids calls: it starts and serves without them, or says
with 78 what it needs."""
import os
import unittest

import kit_path  # noqa: F401
from daemon import DENY, RELEASE, Daemon

# Calls newer than Linux 4.14 that we or a library of ours may use; memfd_secret and close_range are ours.
NEWER = ("close_range", "memfd_secret", "openat2", "pidfd_open", "pidfd_send_signal", "statx", "clone3",
         "faccessat2", "io_uring_setup", "epoll_pwait2", "rseq", "membarrier", "mlock2", "execveat")
# A thread library that is newer than its kernel asks with clone3 first, and takes only ENOSYS for an answer.
ALSO_FORBIDDEN = tuple(call for call in NEWER if call != "clone3")

# Sanitizers turn mlock into nothing, and need madvise themselves.
NEEDED = ("memfd_create", "getrandom") + (("mlock", "madvise") if RELEASE else ())


class Kernel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.daemon.init()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def serves_without(self, error, calls):
        self.daemon.before = [DENY, error, calls]
        self.daemon.start()
        plain = os.urandom(32)
        client = self.daemon.client()
        self.assertEqual(plain, client.decrypt(client.encrypt(plain, wait=True), wait=True))
        self.assertEqual(0, self.daemon.stop())

    def test_each_newer_call_may_be_missing(self):
        for call in NEWER:
            with self.subTest(call=call):
                self.serves_without("ENOSYS", call)

    def test_each_newer_call_may_be_forbidden(self):
        for call in ALSO_FORBIDDEN:
            with self.subTest(call=call):
                self.serves_without("EPERM", call)

    def test_call_that_is_needed_is_named_with_78_before_the_socket_is_there(self):
        for call in NEEDED:
            for error in ("ENOSYS", "EPERM"):
                with self.subTest(call=call, error=error):
                    self.daemon.before = [DENY, error, call]
                    self.daemon.spawn()
                    self.assertEqual(78, self.daemon.process.wait(20), self.daemon.log())
                    self.assertIn("does not grant what is needed", self.daemon.log())
                    self.assertFalse(os.path.exists(self.daemon.socket))

    def test_shortage_that_may_pass_is_not_78_so_that_the_service_manager_tries_again(self):
        for call, error in [("memfd_create", "ENFILE")] + ([("mlock", "EAGAIN")] if RELEASE else []):
            with self.subTest(call=call, error=error):
                self.daemon.before = [DENY, error, call]
                self.daemon.spawn()
                self.assertEqual(1, self.daemon.process.wait(20), self.daemon.log())
                self.assertIn("short of memory or descriptors", self.daemon.log())

    def test_memory_that_cannot_be_locked_is_78_before_the_socket_is_there(self):
        self.daemon.before = ["prlimit", "--memlock=65536"]
        self.daemon.spawn()
        self.assertEqual(78, self.daemon.process.wait(20), self.daemon.log())
        self.assertRegex(self.daemon.log(), "RLIMIT_MEMLOCK is 65536 bytes and must be 4[0-9]{6} at least")
        self.assertFalse(os.path.exists(self.daemon.socket))

    def test_all_newer_calls_may_be_missing_at_once(self):
        self.serves_without("ENOSYS", ",".join(NEWER))


if __name__ == "__main__":
    unittest.main(verbosity=2)
