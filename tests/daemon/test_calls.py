"""What an API server gets: round trips of both APIs, sizes, codes, key_id, versions, authorities."""
import hashlib
import os
import unittest

import kit_path  # noqa: F401
from daemon import Client, code_of, running, v1, v2
from grpc import StatusCode as Code


class Calls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = running()
        cls.client = cls.daemon.client()
        cls.key_id = cls.client.status().key_id

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def test_status_is_ok_with_a_key_id_of_the_documented_form(self):
        status = self.client.status()
        self.assertEqual(b"ok", status.healthz)
        self.assertRegex(status.key_id, rb"^p11-kms/1/[0-9a-f]{32}/[0-9a-f]{8}$")

    def test_v2_every_size_comes_back(self):
        for size in (1, 2, 31, 32, 33, 48, 100, 511, 512):
            plain = os.urandom(size)
            sealed = self.client.encrypt(plain)
            self.assertEqual(self.key_id, sealed.key_id)
            self.assertEqual(0, len(sealed.annotations))
            self.assertLessEqual(len(sealed.ciphertext), 1024)
            self.assertEqual(plain, self.client.decrypt(sealed))

    def test_v1_every_size_comes_back(self):
        for size in (1, 32, 512):
            plain = os.urandom(size)
            self.assertEqual(plain, self.client.v1_decrypt(self.client.v1_encrypt(plain)))

    def test_the_same_plaintext_never_gives_the_same_ciphertext(self):
        plain = os.urandom(32)
        made = {bytes(self.client.encrypt(plain).ciphertext) for _ in range(50)}
        self.assertEqual(50, len(made))

    def test_empty_and_oversized_fields_are_invalid(self):
        c = self.client
        self.assertEqual(Code.INVALID_ARGUMENT, code_of(c.encrypt, b""))
        self.assertEqual(Code.INVALID_ARGUMENT, code_of(c.encrypt, bytes(513)))
        self.assertEqual(Code.INVALID_ARGUMENT, code_of(c.v1_encrypt, b""))
        self.assertEqual(Code.INVALID_ARGUMENT, code_of(c.v1_encrypt, bytes(513)))
        self.assertEqual(Code.INVALID_ARGUMENT, code_of(c.decrypt, b"", key_id=self.key_id))
        self.assertEqual(Code.INVALID_ARGUMENT, code_of(c.v1_decrypt, b""))

    def test_what_is_not_an_envelope_is_invalid(self):
        sealed = self.client.encrypt(b"x" * 32).ciphertext
        for foreign in (b"a", os.urandom(200), b"P11K", bytes(1024), bytes(1025), os.urandom(60000),
                        sealed + b"\0", b"\0" + sealed, b"P11J" + sealed[4:]):
            self.assertEqual(Code.INVALID_ARGUMENT, code_of(self.client.decrypt, foreign, key_id=self.key_id))
            self.assertEqual(Code.INVALID_ARGUMENT, code_of(self.client.v1_decrypt, foreign))

    def test_a_ciphertext_of_one_api_is_refused_by_the_other(self):
        of_v2 = self.client.encrypt(b"two" * 8)
        of_v1 = self.client.v1_encrypt(b"one" * 8)
        self.assertEqual(Code.INVALID_ARGUMENT, code_of(self.client.v1_decrypt, of_v2.ciphertext))
        self.assertEqual(Code.INVALID_ARGUMENT, code_of(self.client.decrypt, of_v1, key_id=self.key_id))

    def test_a_key_id_that_is_not_the_envelopes_is_invalid(self):
        sealed = self.client.encrypt(b"y" * 32)
        other = sealed.key_id[:-1] + (b"0" if sealed.key_id[-1:] != b"0" else b"1")
        for key_id in (other, b"", b"local-kms", sealed.key_id + b"\0", sealed.key_id.upper()):
            self.assertEqual(Code.INVALID_ARGUMENT,
                             code_of(self.client.decrypt, sealed.ciphertext, key_id=key_id), key_id)

    def test_an_unknown_kek_is_not_found(self):
        sealed = bytearray(self.client.encrypt(b"z" * 32).ciphertext)
        sealed[24:40] = bytes(16)
        key_id = b"p11-kms/1/" + b"0" * 32 + b"/" + bytes(sealed[40:44]).hex().encode()
        self.assertEqual(Code.NOT_FOUND, code_of(self.client.decrypt, bytes(sealed), key_id=key_id))

    def test_another_realm_is_not_found(self):
        sealed = bytearray(self.client.v1_encrypt(b"z" * 32))
        self.assertEqual(hashlib.sha256(b"p11-kms realm v1" + b"test").digest()[:16], bytes(sealed[8:24]))
        sealed[8:24] = hashlib.sha256(b"p11-kms realm v1" + b"other").digest()[:16]
        self.assertEqual(Code.NOT_FOUND, code_of(self.client.v1_decrypt, bytes(sealed)))

    def test_v1_version_and_a_wrong_version(self):
        answer = self.client.v1_version()
        self.assertEqual(b"v1beta1", answer.version)
        self.assertTrue(answer.runtime_name)
        self.assertTrue(answer.runtime_version)

    def test_status_version_follows_the_authority(self):
        for authority, version in (("localhost", b"v2"), ("/var/run/kms.sock", b"v2beta1"),
                                   ("@abstract", b"v2beta1"), ("%2Frun%2Fkms.sock", b"v2")):
            client = self.daemon.client(authority)
            self.assertEqual(version, client.status().version, authority)

    def test_annotations_are_read_and_ignored(self):
        sealed = self.client.encrypt(b"a" * 32)
        request = v2.DecryptRequest(ciphertext=sealed.ciphertext, key_id=sealed.key_id, uid=b"u")
        for n in range(100):
            request.annotations.add(key=b"k%d.example" % n, value=os.urandom(300))
        answer = self.client.call("/v2.KeyManagementService/Decrypt", request, v2.DecryptResponse)
        self.assertEqual(b"a" * 32, answer.plaintext)

    def test_unknown_fields_are_ignored(self):
        body = v2.EncryptRequest(plaintext=b"q" * 32, uid=b"u").SerializeToString() + b"\xfa\x01\x03abc"
        answer = self.client.call("/v2.KeyManagementService/Encrypt", body, v2.EncryptResponse)
        self.assertEqual(b"q" * 32, self.client.decrypt(answer))

    def test_unknown_methods_are_unimplemented(self):
        for path in ("/v2.KeyManagementService/Nothing", "/v2beta1.KeyManagementService/Status",
                     "/grpc.health.v1.Health/Check", "/v2.KeyManagementService/status", "/"):
            self.assertEqual(Code.UNIMPLEMENTED, code_of(self.client.call, path, b"", v2.StatusResponse), path)

    def test_metadata_of_a_watch_is_accepted(self):
        answer = self.client.call("/v2.KeyManagementService/Encrypt",
                                  v2.EncryptRequest(plaintext=b"w", uid=b"u"), v2.EncryptResponse,
                                  metadata=(("hasleader", "true"),))
        self.assertTrue(answer.ciphertext)

    def test_a_thousand_calls_at_once_all_come_back(self):
        plain = [os.urandom(32) for _ in range(1000)]
        with Client(self.daemon.socket) as client:
            sealed = []
            for at in range(0, 1000, 200):
                calls = [client.start("/v2.KeyManagementService/Encrypt",
                                      v2.EncryptRequest(plaintext=p, uid=b"u"), v2.EncryptResponse, 20)
                         for p in plain[at:at + 200]]
                sealed += [c.result() for c in calls]
            for at in range(0, 1000, 200):
                calls = [client.start_decrypt(s.ciphertext, s.key_id, 20) for s in sealed[at:at + 200]]
                self.assertEqual(plain[at:at + 200], [c.result().plaintext for c in calls])

    def test_v1_messages_need_no_version_to_round_trip(self):
        answer = self.client.call("/v1beta1.KeyManagementService/Encrypt",
                                  v1.EncryptRequest(version=b"v1beta1", plain=b"p"), v1.EncryptResponse)
        self.assertEqual(b"p", self.client.v1_decrypt(answer.cipher))


if __name__ == "__main__":
    unittest.main(verbosity=2)
