"""A token that fails now and then, is read as nonsense, or answers wrongly: no good object is refused, no KEK is
called lost, and what is bad is still found out."""
import glob
import os
import time
import unittest

import grpc
import kit_path  # noqa: F401
from daemon import BUILD, Daemon, code_of, until

SEEDS = 4
REFUSED = grpc.StatusCode.INVALID_ARGUMENT
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Hiccup(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.control = os.path.join(self.daemon.folder, "shim.control")
        self.order("")
        shim = glob.glob(os.path.join(BUILD, "tests", "token", "*p11kms_shim.so"))[0]
        self.daemon.write_config(module=shim, env={"P11KMS_SHIM_MODULE": self.daemon.token.module,
                                                   "P11KMS_SHIM_CONTROL": self.control})
        self.daemon.init()
        self.client = self.daemon.client()

    def order(self, text):
        with open(self.control + ".new", "w", encoding="ascii") as f:
            f.write(text)
        os.rename(self.control + ".new", self.control)

    def forget_seeds(self):
        """Stops the daemon and lets the next one know nothing of the seeds of this one."""
        self.daemon.stop()
        for path in glob.glob(os.path.join(self.daemon.state, "seeds.*")):
            os.unlink(path)

    def envelopes(self, n):
        """Each under a seed of its own; the last daemon is stopped."""
        made = []
        for i in range(n):
            self.daemon.start()
            made.append((b"object %d" % i, self.client.encrypt(b"object %d" % i)))
            self.forget_seeds()
        return made

    def never_hard(self):
        self.assertNotIn('to="HARD"', self.daemon.log())

    def test_every_second_decrypt_fails(self):
        made = self.envelopes(SEEDS)
        self.order("C_Decrypt rv 0x5 1000000 2\n")
        self.daemon.start()
        proofs = time.monotonic() + 25  # the seed that seals is proven again after 20 s
        bad = self.tampered(made[0][1])
        while time.monotonic() < proofs:
            for plain, sealed in made:
                self.assertEqual(plain, self.client.decrypt(sealed))
                self.assertEqual(plain, self.client.decrypt(self.client.encrypt(plain)))
            self.assertEqual(b"ok", self.client.status().healthz)
            self.assertIn(code_of(self.client.decrypt, bad, key_id=made[0][1].key_id),
                          (REFUSED, UNAVAILABLE))
            time.sleep(1)
        self.never_hard()
        self.order("")
        until(lambda: code_of(self.client.decrypt, bad, key_id=made[0][1].key_id) == REFUSED, 30,
              "bad bytes are refused")

    def tampered(self, sealed):
        bad = bytearray(sealed.ciphertext)
        bad[70] ^= 1  # of the wrapped seed
        return bytes(bad)

    def test_restart_while_no_key_can_be_read(self):
        self.daemon.start()
        sealed = self.client.encrypt(b"x")
        self.forget_seeds()
        self.order("C_EncryptInit rv 0x30\n")
        self.daemon.spawn()
        status = self.daemon.wait_health(lambda text: "cannot be read" in text)
        self.assertEqual(sealed.key_id, status.key_id)
        end = time.monotonic() + 8  # two looks 2 s apart would have confirmed a verdict
        while time.monotonic() < end:
            self.assertEqual(UNAVAILABLE, code_of(self.client.decrypt, sealed))
            self.assertIn(b"cannot be read", self.client.status().healthz)
        self.never_hard()
        self.order("")
        self.daemon.wait_ok()
        self.assertEqual(b"x", self.client.decrypt(sealed))

    def test_one_wrong_plaintext(self):
        (plain, sealed), = self.envelopes(1)
        self.daemon.start()
        self.order("C_Decrypt wrong 0 1\n")
        self.assertEqual(plain, self.client.decrypt(sealed))
        self.assertEqual(plain, self.client.decrypt(sealed))
        self.assertEqual(b"ok", self.client.status().healthz)


if __name__ == "__main__":
    unittest.main(verbosity=2)
