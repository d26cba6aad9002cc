"""A KEK deleted, replaced or with a bad attribute; rotate --now leads out."""
import json
import os
import time
import unittest

import grpc
import kit_path  # noqa: F401
from daemon import code_of, running, until


class Kek(unittest.TestCase):
    def setUp(self):
        self.daemon = running()
        self.addCleanup(self.daemon.close)
        self.client = self.daemon.client()
        self.plain = os.urandom(32)
        self.sealed = self.client.encrypt(self.plain)
        self.key = self.daemon.token.tool("list")[0]

    def until_hard(self):
        until(lambda: code_of(self.client.status) == grpc.StatusCode.FAILED_PRECONDITION, 60, "HARD")
        self.assertEqual(grpc.StatusCode.FAILED_PRECONDITION, code_of(self.client.encrypt, b"x"))
        self.assertEqual(grpc.StatusCode.FAILED_PRECONDITION, code_of(self.client.v1_encrypt, b"x"))

    def test_deleted_kek_is_hard_and_rotate_now_leads_out(self):
        self.daemon.token.tool("delete", id=self.key["id"])
        self.until_hard()
        self.assertEqual(self.plain, self.client.decrypt(self.sealed), "known seeds still open")
        said = json.loads(self.daemon.ctl("status", "--output", "json", check=False).stdout)
        self.assertEqual((False, "HARD"), (said["serving"], said["state"]))
        self.assertIn("rotate --now", said["mend"])
        self.daemon.ctl("rotate", "--now")
        status = self.daemon.wait_ok()
        self.assertNotEqual(self.sealed.key_id, status.key_id)
        self.assertEqual(b"n", self.client.decrypt(self.client.encrypt(b"n")))

    def test_hard_is_remembered_across_a_restart(self):
        self.daemon.token.tool("delete", id=self.key["id"])
        self.until_hard()
        self.daemon.stop()
        self.daemon.spawn()
        until(lambda: os.path.exists(self.daemon.socket), 10)
        self.until_hard()

    def test_key_replaced_under_the_same_id_and_label_gets_another_key_id(self):
        self.daemon.token.tool("replace", id=self.key["id"])
        now = self.daemon.token.tool("list")[0]
        self.assertEqual((self.key["id"], self.key["label"]), (now["id"], now["label"]))
        self.daemon.stop()
        for name in os.listdir(self.daemon.state):
            if name.startswith(("current", "health")):
                os.unlink(os.path.join(self.daemon.state, name))
        self.daemon.start()
        status = self.client.status()
        self.assertNotEqual(self.sealed.key_id, status.key_id)
        code = code_of(self.client.decrypt, self.sealed)
        self.assertIn(code, (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT))

    def test_key_replaced_while_running_is_hard(self):
        self.daemon.token.tool("replace", id=self.key["id"])
        self.until_hard()

    def test_kek_with_a_bad_attribute_is_not_used_and_named(self):
        start = int(time.time())
        for n, (name, value) in enumerate((("EXTRACTABLE", True), ("SENSITIVE", False), ("WRAP", True),
                                           ("SIGN", True), ("DERIVE", True))):
            self.daemon.token.tool("generate", id=os.urandom(16).hex(), attributes={name: value},
                                   label="p11k:test:%08x:%08x" % (start + n + 1, start))
        names = ("CKA_EXTRACTABLE", "CKA_SENSITIVE", "CKA_WRAP", "CKA_SIGN", "CKA_DERIVE")
        until(lambda: all(name in self.daemon.log() for name in names), 60, "all are named in the log")
        status = self.daemon.wait_ok()
        self.assertEqual(self.sealed.key_id, status.key_id)
        listed = self.daemon.ctl("keys", check=False).stdout
        for name in names:
            self.assertIn(name, listed)

    def test_rotate_stages_and_keys_tells_it(self):
        self.daemon.ctl("rotate")
        time.sleep(1)
        self.assertEqual(2, len(self.daemon.token.tool("list")))
        self.assertEqual(self.sealed.key_id, self.client.status().key_id)
        self.assertIn(self.sealed.key_id.split(b"/")[2].decode(), self.daemon.ctl("keys").stdout)

    def test_rotate_refuses_an_early_or_far_time(self):
        for at in ("1970-01-01T00:00:00Z", "2199-01-01T00:00:00Z", "yesterday"):
            self.assertNotEqual(0, self.daemon.ctl("rotate", "--at", at, check=False).returncode, at)
        self.assertEqual(1, len(self.daemon.token.tool("list")))

    def test_init_refuses_a_ring_that_exists(self):
        done = self.daemon.ctl("init", check=False)
        self.assertNotEqual(0, done.returncode)
        self.assertEqual(1, len(self.daemon.token.tool("list")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
