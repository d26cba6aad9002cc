"""Every single-bit flip and every truncation of sample envelopes is refused, also after a restart; and a
relabelled envelope never yields a seed or a plaintext."""
import os
import unittest

import grpc
import kit_path  # noqa: F401
from daemon import running

REFUSALS = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
BATCH = 64


def key_id_of(envelope):
    return f"p11-kms/1/{envelope[24:40].hex()}/{envelope[40:44].hex()}".encode()


def flips(envelope):
    for bit in range(len(envelope) * 8):
        changed = bytearray(envelope)
        changed[bit // 8] ^= 1 << (bit % 8)
        yield bytes(changed)


def truncations(envelope):
    for n in range(len(envelope)):
        yield envelope[:n]
    yield envelope + b"\0"


class Tamper(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = running(sessions=16)  # a verdict of SoftHSM takes a session a third of a second
        client = cls.daemon.client()
        cls.plain = os.urandom(32)
        cls.sealed = client.encrypt(cls.plain)
        cls.sealed_v1 = client.v1_encrypt(cls.plain)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def refused(self, start, envelopes):
        batch = []

        def collect():
            for envelope, call in batch:
                error = call.exception()
                self.assertIsNotNone(error, "opened: " + envelope.hex())
                self.assertIn(error.code(), REFUSALS, error.details())
            batch.clear()
        for envelope in envelopes:
            batch.append((envelope, start(envelope)))
            if len(batch) == BATCH:
                collect()
        collect()

    def all_refused(self):
        client = self.daemon.client()
        envelope = bytes(self.sealed.ciphertext)
        own = self.sealed.key_id
        self.refused(lambda e: client.start_decrypt(e, own, 20), flips(envelope))
        self.refused(lambda e: client.start_decrypt(e, key_id_of(e), 20), flips(envelope))
        self.refused(lambda e: client.start_decrypt(e, own, 20), truncations(envelope))
        self.refused(lambda e: client.start_v1_decrypt(e, 20), flips(self.sealed_v1))
        self.refused(lambda e: client.start_v1_decrypt(e, 20), truncations(self.sealed_v1))
        self.assertEqual(self.plain, client.decrypt(self.sealed))
        self.assertEqual(self.plain, client.v1_decrypt(self.sealed_v1))
        self.assertEqual(b"ok", client.status().healthz)

    def test_every_flip_and_truncation_is_refused(self):
        self.all_refused()

    def test_every_flip_and_truncation_is_refused_after_a_restart(self):
        self.daemon.restart()
        self.all_refused()

    def test_relabelled_envelopes_yield_nothing(self):
        client = self.daemon.client()
        envelope = bytearray(self.sealed.ciphertext)
        seed_part = 50 + int.from_bytes(envelope[48:50], "big")
        direct = bytearray(envelope)
        direct[5] = 2
        born0 = bytearray(direct)
        born0[44:48] = bytes(4)
        api1 = bytearray(envelope)
        api1[7] = 1
        both = bytearray(api1)
        both[5] = 2
        shapes = [direct, direct[:seed_part], born0, born0[:seed_part], api1, both, both[:seed_part]]
        for shape in shapes:
            shape = bytes(shape)
            self.refused(lambda e: client.start_decrypt(e, self.sealed.key_id), [shape])
            self.refused(client.start_v1_decrypt, [shape])
        v1_as_v2 = bytearray(self.sealed_v1)
        v1_as_v2[7] = 2
        self.refused(lambda e: client.start_decrypt(e, key_id_of(e)), [bytes(v1_as_v2)])

    def test_parts_of_two_envelopes_do_not_mix(self):
        client = self.daemon.client()
        other = client.encrypt(os.urandom(32))
        one, two = bytes(self.sealed.ciphertext), bytes(other.ciphertext)
        at = 50 + int.from_bytes(one[48:50], "big")
        cuts = (at, at + 32, at + 64, at + 76, len(one) - 16)
        mixed = [one[:cut] + two[cut:] for cut in cuts if one[:cut] + two[cut:] not in (one, two)]
        mixed = [m for m in mixed if m[at:] != two[at:]]
        self.refused(lambda e: client.start_decrypt(e, self.sealed.key_id), mixed)


if __name__ == "__main__":
    unittest.main(verbosity=2)
