"""kill -9 of any process between any two calls: it heals by itself and every earlier ciphertext opens."""
import os
import random
import shutil
import signal
import time
import unittest

import grpc
import kit_path  # noqa: F401
from daemon import running, until


class Kill(unittest.TestCase):
    def setUp(self):
        self.daemon = running()
        self.addCleanup(self.daemon.close)
        self.made = []

    def insist(self, call, *arguments):
        """A client whose connection broke under it asks again; whatever else fails is a failure."""
        for _ in range(20):
            try:
                return call(*arguments, timeout=10, wait=True)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or "p11-kms:" in error.details():
                    raise
        raise AssertionError("the connection broke 20 times")

    def seal(self, n=5):
        client = self.daemon.client()
        for _ in range(n):
            plain = os.urandom(32)
            self.made.append((plain, self.insist(client.encrypt, plain)))

    def all_open(self):
        client = self.daemon.client()
        for plain, sealed in self.made:
            self.assertEqual(plain, self.insist(client.decrypt, sealed))

    def test_front_and_token_killed_again_and_again(self):
        chance = random.Random(7)
        key_id = self.daemon.client().status().key_id
        for _ in range(8):
            self.seal(3)
            victim = chance.choice(("front", "token"))
            if victim == "token":
                self.daemon.crash_token()
            else:
                pid = self.daemon.kill_role(victim)
                self.daemon.wait_pid(victim, other_than=pid)
            self.all_open()
            self.assertEqual(key_id, self.daemon.wait_ok().key_id)
        self.seal()
        self.all_open()

    def test_front_killed_again_and_again_costs_no_login(self):
        self.seal()
        token, logins = self.daemon.pid_of("token"), self.daemon.logins()
        for _ in range(6):
            pid = self.daemon.kill_role("front")
            self.daemon.wait_pid("front", other_than=pid)
            self.all_open()
            self.seal(1)
        self.assertEqual((token, logins), (self.daemon.pid_of("token"), self.daemon.logins()))

    def test_front_that_hangs_is_replaced(self):
        self.seal()
        pid = self.daemon.kill_role("front", signal.SIGSTOP)
        self.daemon.wait_pid("front", other_than=pid, seconds=60)
        self.all_open()
        self.assertIn("it hangs", self.daemon.log())

    def test_both_roles_killed_at_once(self):
        self.seal()
        pids = [self.daemon.pid_of("front"), self.daemon.pid_of("token")]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # a token process whose front has gone may have ended first
        self.daemon.wait_pid("front", other_than=pids[0])
        self.daemon.wait_ok()
        self.seal()
        self.all_open()

    def test_supervisor_killed_and_a_new_one_starts_at_once(self):
        for _ in range(4):
            self.seal()
            key_id = self.daemon.wait_ok().key_id
            roles = self.daemon.kill()
            self.daemon.start()
            for pid in roles:
                until(lambda p=pid: not os.path.exists(f"/proc/{p}"), 10, "an orphan's end")
            self.assertEqual(key_id, self.daemon.wait_ok().key_id)
            self.all_open()
            self.assertEqual(0o600, os.stat(self.daemon.socket).st_mode & 0o777)

    def test_restart_with_the_state_folder_deleted(self):
        self.seal()
        key_id = self.daemon.client().status().key_id
        self.daemon.stop()
        shutil.rmtree(self.daemon.state)
        self.daemon.start()
        self.assertEqual(key_id, self.daemon.wait_ok().key_id)
        self.all_open()
        self.seal()
        self.all_open()

    def test_state_files_of_garbage_are_ignored(self):
        self.seal()
        self.daemon.stop()
        for name in os.listdir(self.daemon.state):
            if name.startswith(("current", "seeds", "health")):
                with open(os.path.join(self.daemon.state, name), "wb") as f:
                    f.write(os.urandom(300))
        self.daemon.start()
        self.all_open()

    def test_calls_that_run_while_the_token_process_dies_succeed(self):
        """Known seeds need no token: not one call fails."""
        self.seal()
        client = self.daemon.client()
        pid = self.daemon.kill_role("token")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            self.seal(1)
            self.assertEqual(b"ok", client.status().healthz)
        self.daemon.wait_pid("token", other_than=pid)
        self.all_open()


if __name__ == "__main__":
    unittest.main(verbosity=2)
