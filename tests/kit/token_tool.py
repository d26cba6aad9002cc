"""What a test does to a token behind the daemon's back, by Debian's PyKCS11. Reads one JSON request
from stdin and answers JSON on stdout. The PIN is read from its file here, never passed along."""
import hashlib
import json
import sys

import PyKCS11
from PyKCS11 import LowLevel as ck

FALSE_BY_POLICY = {"SIGN": ck.CKA_SIGN, "VERIFY": ck.CKA_VERIFY, "WRAP": ck.CKA_WRAP,
                   "UNWRAP": ck.CKA_UNWRAP, "DERIVE": ck.CKA_DERIVE, "EXTRACTABLE": ck.CKA_EXTRACTABLE}
TRUE_BY_POLICY = {"PRIVATE": ck.CKA_PRIVATE, "SENSITIVE": ck.CKA_SENSITIVE, "ENCRYPT": ck.CKA_ENCRYPT,
                  "DECRYPT": ck.CKA_DECRYPT}
FINGERPRINT_IV = hashlib.sha256(b"p11-kms fingerprint v1").digest()[:16]


def open_session(request):
    library = PyKCS11.PyKCS11Lib()
    library.load(request["module"])
    for slot in library.getSlotList(tokenPresent=True):
        if library.getTokenInfo(slot).flags & ck.CKF_TOKEN_INITIALIZED:
            session = library.openSession(slot, ck.CKF_SERIAL_SESSION | ck.CKF_RW_SESSION)
            with open(request["pin_file"], encoding="ascii") as f:
                session.login(f.read().rstrip("\n"))
            return session
    raise SystemExit("no token")


def keys(session):
    found = session.findObjects([(ck.CKA_CLASS, ck.CKO_SECRET_KEY), (ck.CKA_KEY_TYPE, ck.CKK_AES)])
    return [(h, bytes(session.getAttributeValue(h, [ck.CKA_ID])[0]),
             session.getAttributeValue(h, [ck.CKA_LABEL])[0]) for h in found]


def by_id(session, key_id):
    for handle, found, _ in keys(session):
        if found == bytes.fromhex(key_id):
            return handle
    raise SystemExit("no key " + key_id)


def generate(session, request):
    flags = {**{a: True for a in TRUE_BY_POLICY.values()}, **{a: False for a in FALSE_BY_POLICY.values()}}
    for name, value in request.get("attributes", {}).items():
        flags[{**TRUE_BY_POLICY, **FALSE_BY_POLICY}[name]] = value
    template = [(ck.CKA_CLASS, ck.CKO_SECRET_KEY), (ck.CKA_KEY_TYPE, ck.CKK_AES),
                (ck.CKA_TOKEN, True), (ck.CKA_VALUE_LEN, request.get("bytes", 32)),
                (ck.CKA_LABEL, request["label"]), (ck.CKA_ID, tuple(bytes.fromhex(request["id"])))]
    template += list(flags.items())
    session.generateKey(template, PyKCS11.Mechanism(ck.CKM_AES_KEY_GEN, None))


def unwrap(session, request):
    """Opens scheme 1 (iv_len, iv, ciphertext, tag) with every AES key of this id."""
    wrapped, aad = bytes.fromhex(request["wrapped"]), bytes.fromhex(request["aad"])
    iv_len = wrapped[0]
    mechanism = PyKCS11.AES_GCM_Mechanism(wrapped[1:1 + iv_len], aad, 128)
    return bytes(session.decrypt(by_id(session, request["id"]), wrapped[1 + iv_len:], mechanism)).hex()


def fingerprint(session, handle):
    mechanism = PyKCS11.Mechanism(ck.CKM_AES_CBC, FINGERPRINT_IV)
    try:
        return bytes(session.encrypt(handle, bytes(16), mechanism)).hex()
    except PyKCS11.PyKCS11Error:
        return ""


def main():
    request = json.load(sys.stdin)
    session = open_session(request)
    command = request["command"]
    answer = None
    if command == "list":
        answer = [{"id": i.hex(), "label": l, "fingerprint": fingerprint(session, h)}
                  for h, i, l in keys(session)]
    elif command == "delete":
        session.destroyObject(by_id(session, request["id"]))
    elif command == "generate":
        generate(session, request)
    elif command == "replace":
        old = by_id(session, request["id"])
        request["label"] = session.getAttributeValue(old, [ck.CKA_LABEL])[0]
        session.destroyObject(old)
        generate(session, request)
    elif command == "unwrap":
        answer = unwrap(session, request)
    elif command == "set-pin":
        with open(request["pin_file"], encoding="ascii") as f:
            session.setPin(f.read().rstrip("\n"), request["new_pin"])
    else:
        raise SystemExit("unknown command " + command)
    session.logout()
    session.closeSession()
    json.dump(answer, sys.stdout)


main()
