"""The wall clock set back a year and forward ten: the same key_id, everything opens. The clock is faked
with libfaketime, whose variables only test builds hand on to the roles."""
import glob
import os
import subprocess
import unittest

import kit_path  # noqa: F401
from daemon import BIN, running, until

FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")[0]


def preload():
    """An AddressSanitizer runtime wants to be first."""
    linked = subprocess.run(["ldd", os.path.join(BIN, "p11-kms-front")], capture_output=True, text=True,
                            check=True).stdout
    asan = [line.split()[2] for line in linked.splitlines() if "libasan" in line]
    return ":".join(asan + [FAKETIME])


class Clock(unittest.TestCase):
    def setUp(self):
        self.daemon = running()
        self.addCleanup(self.daemon.close)
        self.plain = os.urandom(32)
        self.sealed = self.daemon.client().encrypt(self.plain)

    def at(self, offset):
        """Restarts with the wall clock moved; monotonic clocks stay."""
        self.daemon.stop()
        self.daemon.environment = {"LD_PRELOAD": preload(), "FAKETIME": offset,
                                   "FAKETIME_DONT_FAKE_MONOTONIC": "1"} if offset else {}
        self.daemon.start()
        client = self.daemon.client()
        self.assertEqual(self.sealed.key_id, client.status().key_id)
        self.assertEqual(self.plain, client.decrypt(self.sealed))
        fresh = client.encrypt(b"fresh")
        self.assertEqual(b"fresh", client.decrypt(fresh))
        return fresh

    def born(self, sealed):
        return int.from_bytes(sealed.ciphertext[44:48], "big")

    def test_back_a_year_forward_ten_and_right_again(self):
        made = [self.at("-365d"), self.at("+3650d"), self.at(None)]
        for sealed in made:
            self.assertEqual(b"fresh", self.daemon.client().decrypt(sealed))
        self.assertGreater(self.born(made[1]), self.born(self.sealed) + 9 * 365 * 86400,
                           "the faked clock reached the front")

    def test_rotate_refuses_a_clock_far_ahead(self):
        env = {"LD_PRELOAD": preload(), "FAKETIME": "+3650d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        done = self.daemon.ctl("rotate", check=False, env=env)
        self.assertNotEqual(0, done.returncode)
        self.assertIn("clock", done.stdout + done.stderr)
        self.assertEqual(1, len(self.daemon.token.tool("list")))

    def test_a_new_node_whose_clock_is_behind_says_clock_and_opens(self):
        self.daemon.stop()
        for name in os.listdir(self.daemon.state):
            os.unlink(os.path.join(self.daemon.state, name))
        self.daemon.environment = {"LD_PRELOAD": preload(), "FAKETIME": "+3650d",
                                   "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.daemon.start()
        until(lambda: self.daemon.client().decrypt(self.sealed) == self.plain, 20)


if __name__ == "__main__":
    unittest.main(verbosity=2)
