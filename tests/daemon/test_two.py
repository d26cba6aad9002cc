"""Two daemons on one token: one key_id, each opens what the other sealed, also across a rotate while
calls run: no call fails and no key_id goes back."""
import os
import threading
import time
import unittest

import kit_path  # noqa: F401
from daemon import Client, Daemon, running


def activation(key_id):
    return int(key_id.rsplit(b"/", 1)[1], 16)


class Load(threading.Thread):
    """Status, Encrypt on one daemon and Decrypt on the other, until stopped."""

    def __init__(self, here, there):
        super().__init__()
        self.here, self.there = here, there
        self.failures, self.status_ids, self.seal_ids, self.kept = [], [], [], []
        self.stopped = threading.Event()

    def run(self):
        with Client(self.here.socket) as here, Client(self.there.socket) as there:
            while not self.stopped.is_set():
                try:
                    self.one(here, there)
                except Exception as error:  # pylint: disable=broad-except
                    self.failures.append(repr(error))
                time.sleep(0.01)

    def one(self, here, there):
        status = here.status()
        if status.healthz != b"ok":
            raise AssertionError(status.healthz)
        plain = os.urandom(32)
        sealed = here.encrypt(plain)
        self.status_ids.append(status.key_id)
        self.seal_ids.append(sealed.key_id)
        for client in (here, there):
            if client.decrypt(sealed) != plain:
                raise AssertionError("another plaintext")
        if len(self.kept) < 50 or sealed.key_id != self.kept[-1][1].key_id:
            self.kept.append((plain, sealed))


class Two(unittest.TestCase):
    def setUp(self):
        self.one = running(activation_delay="25s")
        self.addCleanup(self.one.close)
        self.two = Daemon(folder=self.one.folder, token=self.one.token, name="b", activation_delay="25s")
        self.addCleanup(self.two.close)
        self.two.init("--join")
        self.two.start()

    def test_same_key_id_and_each_opens_the_others(self):
        first, second = self.one.client(), self.two.client()
        self.assertEqual(first.status().key_id, second.status().key_id)
        for _ in range(20):
            plain = os.urandom(32)
            self.assertEqual(plain, second.decrypt(first.encrypt(plain)))
            self.assertEqual(plain, first.decrypt(second.encrypt(plain)))
            self.assertEqual(plain, second.v1_decrypt(first.v1_encrypt(plain)))

    def test_rotate_under_load(self):
        before = self.one.wait_ok().key_id
        loads = [Load(self.one, self.two), Load(self.two, self.one)]
        for load in loads:
            load.start()
        try:
            self.one.ctl("rotate")
            self.one.wait_health(lambda _: self.one.client().status().key_id != before, 75)
            self.two.wait_health(lambda _: self.two.client().status().key_id != before, 10)
            time.sleep(2)
        finally:
            for load in loads:
                load.stopped.set()
                load.join()
        after = self.one.client().status().key_id
        self.assertEqual(after, self.two.client().status().key_id)
        self.assertGreater(activation(after), activation(before))
        for load in loads:
            self.assertEqual([], load.failures[:5])
            for ids in (load.status_ids, load.seal_ids):
                self.assertEqual([before, after], sorted(set(ids), key=ids.index))
                self.assertEqual(ids, sorted(ids, key=activation), "a key_id went back")
            for status_id, seal_id in zip(load.status_ids, load.seal_ids):
                self.assertGreaterEqual(activation(seal_id), activation(status_id))
        for daemon in (self.one, self.two):
            daemon.restart()
            for load in loads:
                for plain, sealed in load.kept:
                    self.assertEqual(plain, daemon.client().decrypt(sealed))
            self.assertEqual(after, daemon.client().status().key_id)


if __name__ == "__main__":
    unittest.main(verbosity=2)
