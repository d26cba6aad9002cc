"""Peers whose uid is not allowed get PERMISSION_DENIED and one log line."""
import os
import subprocess
import unittest

import kit_path  # noqa: F401
from daemon import PATIENCE_S, running, until
from frames import Closed, Connection
import signal

# The kit is read before the uid changes: another user may not enter the folder of this checkout.
ASK = """
import os, sys
sys.path.insert(0, sys.argv[2])
from frames import Connection
uid = int(sys.argv[3])
if uid != os.getuid():
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
with Connection(sys.argv[1]) as conn:
    print(conn.ask().code)
"""
KIT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kit")


class Peer(unittest.TestCase):
    def setUp(self):
        self.own = os.getuid()
        self.daemon = running(mode="0666")
        self.addCleanup(self.daemon.close)
        os.chmod(self.daemon.folder, 0o755)

    def ask(self, uid):
        done = subprocess.run(["/usr/bin/python3", "-B", "-c", ASK, self.daemon.socket, KIT, str(uid)], text=True,
                              capture_output=True, timeout=PATIENCE_S)
        self.assertEqual(0, done.returncode, done.stderr)
        return int(done.stdout)

    def lines(self):
        return [line for line in self.daemon.log().splitlines() if "uid=65534" in line]

    @unittest.skipUnless(os.getuid() == 0, "another uid needs root")
    def test_another_uid_is_denied_and_logged_once(self):
        self.assertEqual(0, self.ask(0))
        self.assertEqual(7, self.ask(65534))
        until(lambda: len(self.lines()) == 1, 5, "one log line")
        self.assertEqual(0, self.ask(0))
        self.daemon.write_config(allowed_uids=[0, 65534])
        self.daemon.process.send_signal(signal.SIGHUP)
        until(lambda: self.ask(65534) == 0, 10, "allowed after the reload")

    def test_own_uid_left_out_is_denied_until_a_reload(self):
        self.assertEqual(0, self.ask(self.own))
        self.daemon.write_config(allowed_uids=[self.own + 1])
        self.daemon.process.send_signal(signal.SIGHUP)
        until(lambda: self.ask(self.own) == 7, 10, "denied after the reload")
        self.daemon.write_config(allowed_uids=[self.own])
        self.daemon.process.send_signal(signal.SIGHUP)
        until(lambda: self.ask(self.own) == 0, 10, "allowed again")

    def test_a_uid_taken_away_loses_the_connections_that_stand(self):
        held = [Connection(self.daemon.socket) for _ in range(3)]
        for conn in held:
            self.addCleanup(conn.close)
            self.assertEqual(0, conn.ask().code)
        self.daemon.write_config(allowed_uids=[self.own + 1])
        self.daemon.process.send_signal(signal.SIGHUP)
        for conn in held:
            with self.assertRaises(Closed):
                while True:
                    conn.step()
            self.assertEqual(0, conn.goaway)


if __name__ == "__main__":
    unittest.main(verbosity=2)
