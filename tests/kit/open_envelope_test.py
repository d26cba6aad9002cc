"""open_envelope_test.py SEAL_ENVELOPE MAKE_TOKEN: the second decryptor opens what this code seals under a
KEK on a SoftHSM token, and refuses one changed byte."""
import os
import subprocess
import sys
import tempfile

import PyKCS11

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from open_envelope import FINGERPRINT_IV  # noqa: E402

RING, LABEL = "prod", "second-decryptor"


def make_token(make_token_script, folder):
    out = subprocess.run([make_token_script, folder, LABEL], check=True, capture_output=True, text=True).stdout
    settings = dict(line.split(": ", 1) for line in out.splitlines())
    name, value = settings["env"].split("=", 1)
    os.environ[name] = value
    return settings["module"], settings["pin_file"]


def make_keys(session, ids):
    template = [(PyKCS11.CKA_CLASS, PyKCS11.CKO_SECRET_KEY), (PyKCS11.CKA_KEY_TYPE, PyKCS11.CKK_AES),
                (PyKCS11.CKA_TOKEN, True), (PyKCS11.CKA_VALUE_LEN, 32), (PyKCS11.CKA_PRIVATE, True),
                (PyKCS11.CKA_SENSITIVE, True), (PyKCS11.CKA_ENCRYPT, True), (PyKCS11.CKA_DECRYPT, True)]
    return [session.generateKey(template + [(PyKCS11.CKA_ID, i)],
                                PyKCS11.Mechanism(PyKCS11.CKM_AES_KEY_GEN, None)) for i in ids]


def seal(program, session, key, cka_id, api, plaintext):
    fingerprint = bytes(session.encrypt(key, bytes(16), PyKCS11.Mechanism(PyKCS11.CKM_AES_CBC, FINGERPRINT_IV)))
    seed = os.urandom(32)
    arguments = [program, RING, cka_id.hex(), fingerprint.hex(), api, seed.hex(), plaintext.hex()]
    run = lambda words: subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    iv = os.urandom(12)
    mechanism = PyKCS11.AES_GCM_Mechanism(iv, bytes.fromhex(run(arguments)), 128)
    wrapped = b"\x0c" + iv + bytes(session.encrypt(key, seed, mechanism))
    return run(arguments + [wrapped.hex()])


def open_by_second(module, pin_file, envelope):
    return subprocess.run([sys.executable, os.path.join(HERE, "open_envelope.py"), "--module", module, "--token",
                           LABEL, "--pin-file", pin_file, "--ring", RING, "--hex", envelope],
                          capture_output=True, text=True, check=False)


def main():
    program, script = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        module, pin_file = make_token(script, os.path.join(folder, "token"))
        library = PyKCS11.PyKCS11Lib()
        library.load(module)
        slot = next(s for s in library.getSlotList(tokenPresent=True)
                    if library.getTokenInfo(s).label.strip() == LABEL)
        session = library.openSession(slot, PyKCS11.CKF_SERIAL_SESSION | PyKCS11.CKF_RW_SESSION)
        with open(pin_file, encoding="ascii") as file:
            session.login(file.read().rstrip("\n"))
        ids = [os.urandom(16), os.urandom(16)]
        for key, cka_id in zip(make_keys(session, ids), ids):
            for api in ("01", "02"):
                plaintext = os.urandom(32)
                envelope = seal(program, session, key, cka_id, api, plaintext)
                result = open_by_second(module, pin_file, envelope)
                assert result.stdout.strip() == plaintext.hex(), result.stderr
        altered = envelope[:-2] + "%02x" % (int(envelope[-2:], 16) ^ 1)
        assert open_by_second(module, pin_file, altered).returncode != 0
    print("4 envelopes opened, 1 refused")


main()
