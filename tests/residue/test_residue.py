"""Where secrets lie after 10 000 mixed calls: nowhere but in locked, undumpable memory.

The test knows every DEK (it made them), the PIN (it reads the file) and every seed (it unwraps them with
the token). It looks into every mapping of every process, as root, and into the log. The vendor module's
own heap is outside what our code can promise: what is found there is printed for the record.
"""
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "kit"))
if os.getuid() != 0:
    os.execvp("sudo", ["sudo", "-n", "--preserve-env=P11KMS_BUILD,P11KMS_KIND,PYTHONDONTWRITEBYTECODE",
                       "/usr/bin/python3", os.path.abspath(__file__)])

from daemon import BIN, running, v1, v2  # noqa: E402

CALLS = 10000
BATCH = 200
ENCRYPT, DECRYPT = "/v2.KeyManagementService/Encrypt", "/v2.KeyManagementService/Decrypt"
ENCRYPT_V1 = "/v1beta1.KeyManagementService/Encrypt"
DECRYPT_V1 = "/v1beta1.KeyManagementService/Decrypt"


class Residue(unittest.TestCase):
    def setUp(self):
        self.daemon = running()
        self.addCleanup(self.daemon.close)
        self.client = self.daemon.client()
        self.deks = []
        self.seeds = set()
        self.wrapped = set()

    def batch(self, number):
        """BATCH Encrypts and as many Decrypts, of both APIs, with altered ones and oversized ones between."""
        plain = [os.urandom(32) for _ in range(BATCH)]
        self.deks += plain
        client = self.client
        old = number % 4 == 3
        if old:
            calls = [client.start(ENCRYPT_V1, v1.EncryptRequest(version=b"v1beta1", plain=p),
                                  v1.EncryptResponse, 20) for p in plain]
            made = [bytes(c.result().cipher) for c in calls]
            calls = [client.start(DECRYPT_V1, v1.DecryptRequest(version=b"v1beta1", cipher=m),
                                  v1.DecryptResponse, 20) for m in made]
            self.assertEqual(plain, [c.result().plain for c in calls])
        else:
            calls = [client.start(ENCRYPT, v2.EncryptRequest(plaintext=p, uid=b"u"), v2.EncryptResponse, 20)
                     for p in plain]
            results = [c.result() for c in calls]
            made = [bytes(r.ciphertext) for r in results]
            calls = [client.start(DECRYPT, v2.DecryptRequest(ciphertext=r.ciphertext, key_id=r.key_id,
                                                             uid=b"u"), v2.DecryptResponse, 20)
                     for r in results]
            self.assertEqual(plain, [c.result().plaintext for c in calls])
        self.note_seed(made[0])
        self.refused(made[0], plain[0])

    def refused(self, envelope, plain):
        """Calls that fail on the way: with secrets in the request, half-way through it, or behind it."""
        broken = bytearray(envelope)
        broken[-1] ^= 1
        for path, request in ((DECRYPT_V1, v1.DecryptRequest(version=b"v1beta1", cipher=bytes(broken))),
                              (ENCRYPT, v2.EncryptRequest(plaintext=plain * 20, uid=b"u")),
                              (ENCRYPT, v2.EncryptRequest(plaintext=plain, uid=b"\xff\0")),
                              ("/no/method", v2.EncryptRequest(plaintext=plain, uid=b"u"))):
            call = self.client.start(path, request, v2.StatusResponse, 10)
            call.exception()
        cut = v2.EncryptRequest(plaintext=plain, uid=b"u").SerializeToString()[:-2]
        self.client.start(ENCRYPT, cut, v2.EncryptResponse, 10).exception()
        cancelled = self.client.start(ENCRYPT, v2.EncryptRequest(plaintext=plain, uid=b"u"),
                                      v2.EncryptResponse, 10)
        cancelled.cancel()

    def note_seed(self, envelope):
        w = int.from_bytes(envelope[48:50], "big")
        aad = envelope[:7] + b"\0" + envelope[8:48]
        self.wrapped.add((aad, envelope[50:50 + w]))

    def unwrap_seeds(self):
        """With the token itself: the KEK that opens it is the only one there is."""
        key = self.daemon.token.tool("list")[0]["id"]
        for aad, wrapped in self.wrapped:
            seed = self.daemon.token.tool("unwrap", id=key, aad=aad.hex(), wrapped=wrapped.hex())
            self.seeds.add(bytes.fromhex(seed))

    def scan(self, pid, records):
        """(mapping, locked, kind of secret, its name) of each hit, and how many bytes were looked at."""
        done = subprocess.run([os.path.join(BIN, "residue_scan"), str(pid)], check=True,
                              input=b"".join(secret for _, secret in records), capture_output=True)
        *hits, total = done.stdout.decode().splitlines()
        found = []
        for line in hits:
            start, locked, index, name = line.split(" ", 3)
            found.append((start, locked == "1", records[int(index)][0], name))
        return found, total

    def test_no_secret_lies_outside_locked_memory(self):
        for number in range(CALLS // BATCH // 2 + 1):
            self.batch(number)
            if number % 8 == 5:
                self.daemon.crash_token()
        self.daemon.wait_ok()
        self.unwrap_seeds()
        pin = self.daemon.token.pin().encode()
        self.assertEqual(32, len(pin))
        records = [("dek", d) for d in self.deks] + [("seed", s) for s in self.seeds] + [("pin", pin)]
        print(f"{len(self.deks)} DEKs, {len(self.seeds)} seeds, 1 PIN")
        self.assertGreaterEqual(2 * len(self.deks), CALLS)
        outside = []
        for role, pid in (("supervisor", self.daemon.process.pid), ("front", self.daemon.pid_of("front")),
                          ("token", self.daemon.pid_of("token"))):
            found, total = self.scan(pid, records)
            loose = sorted({(kind, name) for _, locked, kind, name in found if not locked})
            print(f"{role}: {total}; {len(found)} in all, outside locked memory: {loose or 'none'}")
            if role != "token":
                outside += [(role, *hit) for hit in loose]
            else:
                outside += [(role, *hit) for hit in loose if hit[1] not in ("[heap]", "anonymous")]
        self.assertEqual([], outside)
        self.not_in_log(records)

    def not_in_log(self, records):
        with open(self.daemon.log_path, "rb") as f:
            log = f.read()
        for kind, secret in records:
            self.assertNotIn(secret, log, kind)
            self.assertNotIn(secret.hex().encode(), log, kind)

    def test_the_scanner_finds_what_is_there(self):
        """A process that holds a record in plain memory is caught; the scan is no blind eye."""
        secret = os.urandom(32)
        code = "import sys; kept = bytearray(sys.stdin.buffer.read(32)); print('held', flush=True); input()"
        with subprocess.Popen(["/usr/bin/python3", "-c", code], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as other:
            other.stdin.write(secret)
            other.stdin.flush()
            other.stdout.readline()
            found, _ = self.scan(other.pid, [("dek", os.urandom(32)), ("seed", secret)])
            other.kill()
        self.assertTrue(any(kind == "seed" and not locked for _, locked, kind, _ in found))


if __name__ == "__main__":
    unittest.main(verbosity=2)
