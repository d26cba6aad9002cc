#!/usr/bin/python3
"""A second decryptor: opens an envelope by docs/envelope.md alone, sharing no code with the daemon.

  open_envelope.py --golden FILE...
  open_envelope.py --module M --token LABEL --pin-file F --ring R [--hex | --base64] ENVELOPE

Prints the plaintext in hex, which is a data key: for tests and for a cluster that is being recovered.
"""
import argparse
import base64
import hashlib
import hmac
import struct
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HEAD = struct.Struct(">4sBBBB16s16sIIH")
FINGERPRINT_IV = hashlib.sha256(b"p11-kms fingerprint v1").digest()[:16]


def need(condition, text):
    if not condition:
        raise SystemExit("open_envelope: " + text)


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def kek_id_of(cka_id, fingerprint):
    return hashlib.sha256(b"p11-kms kek-id v1\x01" + bytes([len(cka_id)]) + cka_id + fingerprint).digest()[:16]


class SoftwareKek:
    """The KEK of a golden file."""

    def __init__(self, value, cka_id):
        self.value = value
        encryptor = Cipher(algorithms.AES(value), modes.CBC(FINGERPRINT_IV)).encryptor()
        self.fingerprint = encryptor.update(bytes(16)) + encryptor.finalize()
        self.kek_id = kek_id_of(cka_id, self.fingerprint)

    def find(self, kek_id):
        need(kek_id == self.kek_id, "kek_id of another KEK")
        return lambda iv, sealed, aad: AESGCM(self.value).decrypt(iv, sealed, aad)


class Token:
    """Every AES key of one PKCS#11 token; the right one is found by recomputing kek_ids."""

    def __init__(self, module, label, pin_file):
        import PyKCS11
        self.p11 = PyKCS11
        library = PyKCS11.PyKCS11Lib()
        library.load(module)
        slots = [s for s in library.getSlotList(tokenPresent=True)
                 if library.getTokenInfo(s).label.strip() == label]
        need(len(slots) == 1, "%d tokens with that label" % len(slots))
        self.session = library.openSession(slots[0], PyKCS11.CKF_SERIAL_SESSION)
        self.session.login(read_file(pin_file).decode().rstrip("\n"))

    def find(self, kek_id):
        p11 = self.p11
        for key in self.session.findObjects([(p11.CKA_CLASS, p11.CKO_SECRET_KEY),
                                             (p11.CKA_KEY_TYPE, p11.CKK_AES)]):
            cka_id = bytes(self.session.getAttributeValue(key, [p11.CKA_ID])[0])
            try:
                cbc = p11.Mechanism(p11.CKM_AES_CBC, FINGERPRINT_IV)
                fingerprint = bytes(self.session.encrypt(key, bytes(16), cbc))
            except p11.PyKCS11Error:
                continue  # not a key that encrypts: not a KEK
            if cka_id and kek_id_of(cka_id, fingerprint) == kek_id:
                return lambda iv, sealed, aad, key=key: bytes(self.session.decrypt(
                    key, sealed, p11.AES_GCM_Mechanism(iv, aad, 128)))
        raise SystemExit("open_envelope: no key of this kek_id on the token")


def derive(seed, context):
    blocks = [struct.pack(">I", i) + b"p11-kms/v1/dek\0" + context + struct.pack(">I", 512) for i in (1, 2)]
    out = b"".join(hmac.new(seed, block, hashlib.sha256).digest() for block in blocks)
    return out[:32], out[32:]


def open_direct(inner, fields):
    size = struct.unpack(">H", inner[:2])[0]
    dek, check = inner[2:2 + size], inner[2 + size:]
    need(1 <= size <= 512 and len(dek) == size, "length of the wrapped DEK")
    need(hmac.compare_digest(check, hashlib.sha256(b"p11-kms direct v1" + fields + dek).digest()[:16]),
         "check of the wrapped DEK")
    return dek


def open_envelope(data, ring, keys):
    need(50 < len(data) <= 1024, "length")
    magic, version, suite, scheme, api, realm, kek_id, _, born, size = HEAD.unpack(data[:50])
    need((magic, version, scheme) == (b"P11K", 1, 1) and suite in (1, 2) and api in (1, 2), "not an envelope")
    need(realm == hashlib.sha256(b"p11-kms realm v1" + ring.encode()).digest()[:16], "realm of another ring")
    wrapped, rest = data[50:50 + size], data[50 + size:]
    need(len(wrapped) == size and size > 1 and wrapped[0] in (12, 16), "wrapped field")
    iv, sealed = wrapped[1:1 + wrapped[0]], wrapped[1 + wrapped[0]:]
    fields = data[:48]
    aad = fields if suite == 2 else fields[:7] + b"\0" + fields[8:]
    inner = keys.find(kek_id)(iv, sealed, aad)
    if suite == 2:
        need(not rest and born == 0, "bytes after a direct envelope")
        return open_direct(inner, fields)
    need(len(inner) == 32 and 32 + 32 + 12 + 1 + 16 <= len(rest) <= 32 + 32 + 12 + 512 + 16, "length")
    before_salt, salt, commitment = data[:50 + size], rest[:32], rest[32:64]
    key, expected = derive(inner, hashlib.sha256(before_salt).digest() + salt)
    need(hmac.compare_digest(commitment, expected), "key commitment")
    return AESGCM(key).decrypt(rest[64:76], rest[76:], before_salt + salt + commitment)


def check_golden(path):
    golden = dict(line.split() for line in read_file(path).decode().splitlines())
    raw = {name: bytes.fromhex(golden[name]) for name in
           ("test-kek", "cka-id", "fingerprint", "kek-id", "plaintext", "envelope")}
    kek = SoftwareKek(raw["test-kek"], raw["cka-id"])
    activation = struct.unpack(">I", raw["envelope"][40:44])[0]
    need(kek.fingerprint == raw["fingerprint"] and kek.kek_id == raw["kek-id"], path + ": kek_id")
    need(golden["key-id"] == "p11-kms/1/%s/%08x" % (kek.kek_id.hex(), activation), path + ": key_id")
    plaintext = open_envelope(raw["envelope"], golden["ring"], kek)
    need(plaintext == raw["plaintext"], path + ": plaintext")
    print(plaintext.hex())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--golden", nargs="+")
    for name in ("--module", "--token", "--pin-file", "--ring"):
        parser.add_argument(name)
    for name in ("--hex", "--base64"):
        parser.add_argument(name, action="store_true")
    parser.add_argument("envelope", nargs="?", help="a file, or text with --hex or --base64")
    args = parser.parse_args()
    for path in args.golden or []:
        check_golden(path)
    if args.golden:
        return
    need(args.module and args.token and args.pin_file and args.ring and args.envelope, "see --help")
    decode = bytes.fromhex if args.hex else base64.b64decode if args.base64 else read_file
    data = decode(args.envelope)
    print(open_envelope(data, args.ring, Token(args.module, args.token, args.pin_file)).hex())


if __name__ == "__main__":
    sys.exit(main())
