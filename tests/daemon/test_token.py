"""The token lost and found: its folder moved away, its process stopped or crashed, late at boot."""
import os
import signal
import time
import unittest

import grpc
import kit_path  # noqa: F401
from daemon import Daemon, code_of, running, until

QUICK_S = 5  # Status never waits for the token; far above what it takes, below the token's time-outs


class Lost(unittest.TestCase):
    def setUp(self):
        self.daemon = running()
        self.addCleanup(self.daemon.close)
        self.client = self.daemon.client()
        self.plain = os.urandom(32)
        self.sealed = self.client.encrypt(self.plain)

    def known_seeds_serve(self, healthz=b"ok"):
        status = self.client.status(timeout=QUICK_S)
        self.assertEqual(healthz, status.healthz)
        self.assertEqual(self.sealed.key_id, status.key_id)
        self.assertEqual(self.plain, self.client.decrypt(self.sealed))
        fresh = self.client.encrypt(b"new")
        self.assertEqual(b"new", self.client.decrypt(fresh))

    def test_token_folder_moved_away_and_back(self):
        tokens = os.path.join(self.daemon.token.folder, "tokens")
        os.rename(tokens, tokens + ".away")
        pid = self.daemon.kill_role("token")
        self.daemon.wait_pid("token", other_than=pid)
        for _ in range(20):
            self.known_seeds_serve()
            time.sleep(0.2)
        os.rename(tokens + ".away", tokens)
        back = time.time()
        self.new_seed_opens(20)
        self.known_seeds_serve()
        print("token back to full service: %.1f s" % (time.time() - back))

    def new_seed_opens(self, seconds):
        """An envelope whose wrapped seed this process has not seen needs the token: it is refused for
        what it is (INVALID_ARGUMENT) once the token answers, and not before."""
        def answered():
            strange = bytearray(self.sealed.ciphertext)
            strange[60:64] = os.urandom(4)
            code = code_of(self.client.decrypt, bytes(strange), key_id=self.sealed.key_id)
            return code == grpc.StatusCode.INVALID_ARGUMENT
        until(answered, seconds, "the token answers")

    def test_token_process_stopped(self):
        pid = self.daemon.kill_role("token", signal.SIGSTOP)
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end and self.daemon.pid_of("token") == pid:
                self.known_seeds_serve()
                time.sleep(0.1)
            self.assertNotEqual(pid, self.daemon.wait_pid("token", other_than=pid), "it was replaced")
        finally:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self.new_seed_opens(20)
        self.known_seeds_serve()

    def test_token_process_crashed_many_times(self):
        for _ in range(5):
            self.daemon.crash_token(signal.SIGABRT)
            self.known_seeds_serve()
        self.new_seed_opens(20)
        self.known_seeds_serve()

    def test_restart_during_the_outage_seals_only_when_the_token_is_back(self):
        tokens = os.path.join(self.daemon.token.folder, "tokens")
        self.daemon.stop()
        os.rename(tokens, tokens + ".away")
        self.daemon.spawn()
        status = self.daemon.wait_health(lambda text: text != "ok")
        self.assertEqual(self.sealed.key_id, status.key_id)
        self.assertTrue(status.healthz)
        self.assertEqual(grpc.StatusCode.UNAVAILABLE, code_of(self.client.encrypt, b"x", timeout=8))
        os.rename(tokens + ".away", tokens)
        self.daemon.wait_ok()
        self.known_seeds_serve()


class Late(unittest.TestCase):
    """Absent at boot, there later: the daemon comes up by itself."""

    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)

    def says_unavailable(self):
        """The daemon itself: a client that reaches nobody says UNAVAILABLE too."""
        try:
            self.daemon.client().status(timeout=2)
        except grpc.RpcError as error:
            return error.code() == grpc.StatusCode.UNAVAILABLE and "p11-kms:" in error.details()
        return False

    def refuses(self):
        until(self.says_unavailable, 20, "a Status of START")
        time.sleep(5)
        self.assertTrue(self.says_unavailable())
        self.assertIsNone(self.daemon.process.poll())

    def test_token_comes_late(self):
        self.daemon.init()
        tokens = os.path.join(self.daemon.token.folder, "tokens")
        os.rename(tokens, tokens + ".away")
        os.mkdir(tokens)
        self.daemon.spawn()
        self.refuses()
        os.rmdir(tokens)
        os.rename(tokens + ".away", tokens)
        self.daemon.wait_ok()

    def test_kek_comes_late_and_the_log_says_init_once(self):
        self.daemon.spawn()
        self.refuses()
        self.assertEqual(1, self.daemon.log().count("p11-kmsctl init"), self.daemon.log())
        self.daemon.init()
        self.daemon.wait_ok()

    def test_module_comes_late(self):
        self.daemon.init()
        link = os.path.join(self.daemon.folder, "module.so")
        self.daemon.write_config(module=link)
        self.daemon.spawn()
        self.refuses()
        os.symlink(self.daemon.token.module, link)
        self.daemon.wait_ok()

    def test_a_wrong_label_lists_the_tokens_that_are_there_once(self):
        self.daemon.init()
        self.daemon.write_config(uri="pkcs11:token=another")
        self.daemon.spawn()
        self.refuses()
        lines = [line for line in self.daemon.log().splitlines() if "p11-kms-test" in line]
        self.assertEqual(1, len(lines), self.daemon.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
