"""A wrong PIN costs exactly one C_Login, whatever is restarted; a corrected file works within 5 s."""
import hashlib
import os
import re
import time
import unittest

import grpc
import kit_path  # noqa: F401
from daemon import count_calls, Daemon, spy, until

RESTARTS = 20
SHIM = os.path.join(os.environ["P11KMS_BUILD"], "tests", "token", "libp11kms_shim.so")


class Pin(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.daemon.init()
        settings, self.record = spy(self.daemon.folder, self.daemon.token.module)
        self.right = self.daemon.token.pin()
        self.wrong_file = os.path.join(self.daemon.folder, "daemon.pin")
        self.put_pin("0000-wrong")
        self.daemon.write_config(pin_file=self.wrong_file, **settings)

    def put_pin(self, pin):
        temporary = self.wrong_file + ".new"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(pin + "\n")
        os.rename(temporary, self.wrong_file)

    def logins(self):
        return count_calls(self.record, "C_Login")[0]

    def says_pin(self):
        """Status, of a daemon that remembers no key: UNAVAILABLE with what to mend."""
        def said():
            try:
                self.daemon.client().status(timeout=2)
            except grpc.RpcError as error:
                return error.code() == grpc.StatusCode.UNAVAILABLE and "PIN" in error.details()
            return False
        until(said, 20, "the PIN is refused and said")

    def decides(self, begin):
        """A token process begins; until it has logged in or decided not to."""
        before = self.daemon.log().count(' phase="pin"')
        begin()
        until(lambda: self.daemon.log().count(' phase="pin"') > before, 20, "what became of the PIN")

    def test_one_login_over_many_restarts_and_a_corrected_file_works(self):
        for n in range(RESTARTS):
            self.decides(self.daemon.spawn)
            self.assertEqual(1, self.logins(), f"after {n + 1} starts")
            if n % 2:
                self.decides(lambda: self.daemon.kill_role("token"))
                self.assertEqual(1, self.logins(), f"after {n + 1} starts and a kill")
            self.assertEqual(0, self.daemon.stop())
        self.daemon.spawn()
        self.says_pin()
        self.assertEqual(1, self.logins())
        status = self.daemon.ctl("status", check=False)
        self.assertNotEqual(0, status.returncode)
        self.assertIn("PIN", status.stdout + status.stderr)
        self.put_pin(self.right)
        start = time.monotonic()
        until(lambda: self.logins() == 2, 30, "a second login with the corrected PIN")
        took = time.monotonic() - start
        self.daemon.wait_ok()
        print(f"corrected PIN was used after {took:.1f} s")
        self.assertEqual(2, self.logins())

    def test_pin_retry_allows_one_more(self):
        self.daemon.spawn()
        self.says_pin()
        for n in (2, 3):
            self.daemon.ctl("pin-retry")
            until(lambda n=n: self.logins() == n, 20, "one more login")
            time.sleep(7)
            self.assertEqual(n, self.logins())

    def test_a_refused_pin_costs_who_tries_values_600000_rounds_each(self):
        self.daemon.spawn()
        self.says_pin()
        self.daemon.stop()
        with open(self.daemon.pin_record(), encoding="ascii") as f:
            record = f.read()
        salt = bytes.fromhex(re.search("^salt=(.*)$", record, re.M)[1])
        (failed,) = re.findall("^failed=[0-9a-f]* ([0-9a-f]*) ", record, re.M)
        rounds = 600000 if os.environ["P11KMS_KIND"] == "release" else 1000
        self.assertEqual(failed, hashlib.pbkdf2_hmac("sha256", b"0000-wrong", salt, rounds).hex())

    def slow(self, orders):
        """The daemon's right PIN, and logins as ordered; returns what counts those that were begun."""
        control, calls = (os.path.join(self.daemon.folder, name) for name in ("orders", "calls"))
        with open(control, "w", encoding="ascii") as f:
            f.write(orders)
        self.put_pin(self.right)
        self.daemon.write_config(module=SHIM, env={"P11KMS_SHIM_MODULE": self.daemon.token.module,
                                                   "P11KMS_SHIM_CONTROL": control, "P11KMS_SHIM_LOG": calls})

        def begun():
            try:
                with open(calls, encoding="ascii") as f:
                    return f.read().count("C_Login")
            except FileNotFoundError:
                return 0
        return begun

    def test_a_stop_waits_for_a_slow_login_as_often_as_it_comes(self):
        begun = self.slow("C_Login delay 13000\n")  # longer than anything but start_timeout
        for n in (1, 2):
            self.daemon.spawn()
            until(lambda n=n: begun() == n, 30, "a login")
            self.assertEqual(0, self.daemon.stop(seconds=90))
        with open(os.path.join(self.daemon.folder, "orders"), "w", encoding="ascii"):
            pass
        self.daemon.start()
        self.assertNotIn("cut short", self.daemon.log())

    def test_kills_within_logins_need_no_command(self):
        """This token has been seen to count a wrong PIN: its flags tell that none of these was wrong."""
        begun = self.slow("C_Login delay 2000\n")  # killed before the module is asked: it keeps its files
        self.put_pin("0000-wrong")
        self.daemon.spawn()
        self.says_pin()
        self.put_pin(self.right)
        self.daemon.wait_ok()
        for _ in range(5):
            before = begun()
            self.daemon.kill_role("token")
            until(lambda n=before: begun() > n, 30, "another login")
        logins = self.daemon.logins()
        until(lambda: self.daemon.logins() > logins, 30, "a login that ends")
        self.daemon.wait_ok()

    def test_a_pin_file_that_others_can_read_is_refused(self):
        self.put_pin(self.right)
        os.chmod(self.wrong_file, 0o644)
        self.daemon.spawn()
        until(lambda: "PIN" in self.daemon.log(), 20, "it is said")
        time.sleep(2)
        self.assertEqual(0, self.logins())
        os.chmod(self.wrong_file, 0o600)
        self.daemon.wait_ok()

    def test_the_pin_is_nowhere_in_the_log_or_the_state(self):
        self.daemon.spawn()
        self.says_pin()
        self.put_pin(self.right)
        self.daemon.wait_ok()
        texts = self.daemon.log().encode()
        for name in os.listdir(self.daemon.state):
            with open(os.path.join(self.daemon.state, name), "rb") as f:
                texts += f.read()
        for pin in (self.right, "0000-wrong"):
            self.assertNotIn(pin.encode(), texts)
            self.assertNotIn(pin.encode().hex().encode(), texts)


if __name__ == "__main__":
    unittest.main(verbosity=2)
