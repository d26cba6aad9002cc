"""What these statements need of a token beyond tests/kit/token_tool.py: the same key under a second label,
and another token in the same store. One JSON request on stdin; the PIN is read from its file here."""
import ctypes
import json
import secrets
import sys

import PyKCS11
from PyKCS11 import LowLevel as ck


class Attribute(ctypes.Structure):
    _fields_ = [("type", ctypes.c_ulong), ("value", ctypes.c_char_p), ("len", ctypes.c_ulong)]


def our_slot(library):
    for slot in library.getSlotList(tokenPresent=True):
        if library.getTokenInfo(slot).flags & ck.CKF_TOKEN_INITIALIZED:
            return slot
    raise SystemExit("no token")


def copy(request, library):
    """C_CopyObject with another label: an activation more of the same key. PyKCS11 does not wrap it."""
    session = library.openSession(our_slot(library), ck.CKF_SERIAL_SESSION | ck.CKF_RW_SESSION)
    with open(request["pin_file"], encoding="ascii") as pin:
        session.login(pin.read().rstrip("\n"))
    found = session.findObjects([(ck.CKA_CLASS, ck.CKO_SECRET_KEY), (ck.CKA_ID, tuple(bytes.fromhex(request["id"])))])
    handle = int(getattr(found[0], "value", lambda: found[0])())
    label = request["label"].encode()
    template = (Attribute * 1)(Attribute(ck.CKA_LABEL, label, len(label)))
    new = ctypes.c_ulong()
    rv = ctypes.CDLL(request["module"]).C_CopyObject(
        ctypes.c_ulong(int(session.session.value() if hasattr(session.session, "value") else session.session)),
        ctypes.c_ulong(handle), template, ctypes.c_ulong(1), ctypes.byref(new))
    session.logout()
    if rv != 0:
        raise SystemExit(f"C_CopyObject: {rv:#x}")


def add_token(request, library):
    for slot in library.getSlotList():
        if not library.getTokenInfo(slot).flags & ck.CKF_TOKEN_INITIALIZED:
            return library.initToken(slot, secrets.token_hex(8), request["label"])
    raise SystemExit("no free slot")


def main():
    request = json.load(sys.stdin)
    library = PyKCS11.PyKCS11Lib()
    library.load(request["module"])
    {"copy": copy, "add-token": add_token}[request["command"]](request, library)


main()
