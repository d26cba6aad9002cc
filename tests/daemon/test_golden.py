"""What the daemon sealed opens with the token and the PIN file alone, by another program."""
import os
import subprocess
import unittest

import kit_path  # noqa: F401
from daemon import SOURCE, running

OPENER = os.path.join(SOURCE, "tests", "kit", "open_envelope.py")


class Golden(unittest.TestCase):
    def setUp(self):
        self.daemon = running()
        self.addCleanup(self.daemon.close)

    def open(self, envelope):
        token = self.daemon.token
        path = os.path.join(self.daemon.folder, "envelope")
        with open(path, "wb") as f:
            f.write(envelope)
        done = subprocess.run(["/usr/bin/python3", OPENER, "--module", token.module, "--token",
                               "p11-kms-test", "--pin-file", token.pin_file, "--ring", "test", path],
                              capture_output=True, text=True,
                              env={**os.environ, "SOFTHSM2_CONF": token.conf})
        self.assertEqual(0, done.returncode, done.stderr)
        return bytes.fromhex(done.stdout)

    def test_the_independent_decryptor_opens_what_the_daemon_sealed(self):
        client = self.daemon.client()
        for size in (1, 32, 512):
            plain = os.urandom(size)
            of_v2, of_v1 = client.encrypt(plain).ciphertext, client.v1_encrypt(plain)
            self.daemon.stop()
            self.assertEqual(plain, self.open(of_v2))
            self.assertEqual(plain, self.open(of_v1))
            self.daemon.start()

    def test_inspect_reads_it_without_a_key(self):
        sealed = self.daemon.client().encrypt(b"x" * 32)
        said = self.daemon.ctl("inspect", sealed.ciphertext.hex()).stdout
        self.assertIn(sealed.ciphertext[24:40].hex(), said)
        self.assertIn(sealed.key_id.decode(), said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
