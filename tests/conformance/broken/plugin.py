"""A KMS plugin in miniature, whose keys lie in a file, and which can be told to be wrong in one way."""
import fcntl
import hashlib
import json
import os
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsconf.messages import field

OK, INVALID, NOT_FOUND, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 0, 3, 5, 12, 13, 14
PRECONDITION = 9
V1_TEXT = b"v1beta1"


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


def parse(data):
    """{number: last value} of the length-delimited fields; others are skipped, broken ones are ValueError."""
    found, at, unknown = {}, 0, False

    def number():
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise ValueError("bad varint")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = number()
        if tag & 7 == 0 and tag >> 3 > 4:
            number()
            unknown = True
            continue
        length = number() if tag & 7 == 2 else len(data) + 1
        if at + length > len(data):
            raise ValueError("broken field")
        found.setdefault(tag >> 3, []).append(bytes(data[at:at + length]))
        at += length
    return found, unknown


class Store:
    """keys.json: what two plugins on one key store share. A key_id is the key and how often it was activated."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "keys.json")
        if not os.path.exists(self.path):
            self.change(lambda data: data["keys"].append(os.urandom(32).hex()))

    def read(self):
        try:
            with open(self.path, encoding="ascii") as source:
                return json.load(source)
        except FileNotFoundError:
            return {"keys": [], "active": 0, "times": 1, "since": 0}

    def change(self, edit):
        with open(self.path + ".lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            data = self.read()
            edit(data)
            with open(self.path + ".new", "w", encoding="ascii") as out:
                json.dump(data, out)
            os.rename(self.path + ".new", self.path)

    def rotate(self):
        def edit(data):
            data["keys"].append(os.urandom(32).hex())
            data.update(active=len(data["keys"]) - 1, times=data["times"] + 1, since=time.time())
        self.change(edit)

    def reactivate(self):
        self.change(lambda data: data.update(active=0, times=data["times"] + 1))

    def destroy(self):
        self.change(lambda data: data["keys"].__setitem__(data["active"], ""))


class Plugin:
    def __init__(self, folder, fault):
        self.folder, self.fault = folder, fault
        self.store = Store(folder)
        self.calls = 0
        self.started = time.time()
        self.memory = os.urandom(32)
        self.log = open(os.path.join(folder, "log"), "a", encoding="utf-8", errors="replace", buffering=1)
        self.opened, self.kept, self.noted = [], [], 0

    # -- surroundings --

    def marked(self, name):
        return os.path.exists(os.path.join(self.folder, name))

    def backend(self, direction):
        """One operation of the backend; noted where --backend-calls looks."""
        with open(os.path.join(self.folder, "calls"), "a", encoding="ascii") as calls:
            calls.write(direction + "\n")
        if self.marked("outage") or self.marked("hang"):
            if self.fault in ("hangs-without-backend", "silent-stop"):
                time.sleep(5)
            raise Refused(UNAVAILABLE, "the backend is away")
        if self.marked("broken-" + direction):
            raise Refused(INTERNAL, "the backend is broken")

    def healthz(self, data):
        if self.fault == "blind-health":
            return "ok"
        if not data["keys"][data["active"]]:
            return "the key is gone"
        if self.fault == "talks-in-outage" and self.marked("outage"):
            return "no backend with " + os.path.join(self.folder, "keys.json")
        bad = [name for name in ("outage", "hang", "broken-decrypt", "broken-encrypt") if self.marked(name)]
        return "backend: " + bad[0] if bad else "ok"

    # -- names --

    def key_id(self, data):
        count = "" if self.fault == "reuses-key-id" else f"/{data['times']}"
        name = f"key-{data['active']}{count}"
        if self.fault == "own-key-ids":
            name += f"-{os.getpid()}"
        if self.fault == "alternates" and self.calls % 7 == 0:
            name += "-b"
        return name

    def key(self, data, index):
        if self.fault == "memory-keys":
            return self.memory
        if index >= len(data["keys"]) or not data["keys"][index]:
            raise Refused(NOT_FOUND, "no such key")
        return bytes.fromhex(data["keys"][index])

    # -- methods --

    def status(self, _):
        self.calls += 1
        data = self.store.read()
        if self.fault == "rpc-policy" and self.healthz(data) != "ok":
            raise Refused(PRECONDITION, "the key is gone")
        version = "v2"
        if self.fault == "status-version":
            version = "v2beta2"
        if self.fault == "version-drifts":
            version = "v2beta1" if self.marked("started-again") else "v2"
        return field(1, version) + field(2, self.healthz(data)) + field(3, self.key_id(data))

    def encrypt_v2(self, found):
        self.note(found)
        data = self.store.read()
        name = self.name_to_seal(data)
        sealed = self.seal(b"2", data, name, last(found, 1))
        if self.fault == "other-key-id":
            name = "key-of-another"
        answer = field(1, sealed) + field(2, name)
        if self.fault == "bad-annotation":
            answer += field(3, field(1, "Not A Domain") + field(2, b"1"))
        return answer

    def name_to_seal(self, data):
        name = self.key_id(data)
        self.calls += 1
        late = self.fault == "not-atomic" and time.time() - data["since"] < 2
        if data["times"] > 1 and (late or (self.fault == "seals-retired" and self.calls % 5 == 0)):
            name = f"key-{data['active'] - 1}/{data['times'] - 1}"
        if self.fault == "fails-during-rotation" and time.time() - data["since"] < 1:
            raise Refused(UNAVAILABLE, "rotating")
        return name

    def decrypt_v2(self, found):
        self.note(found)
        if 4 in found and self.fault == "annotations-count" and last(found, 4):
            return field(1, bytes(32))
        return field(1, self.open(b"2", last(found, 1), last(found, 3).decode("utf-8", "replace")))

    def version(self, _):
        if self.fault == "v1-half-off":
            raise Refused(UNIMPLEMENTED, "v1 is off")
        version = b"v1" if self.fault == "v1-version" else V1_TEXT
        return field(1, version) + field(2, "broken-server") + field(3, "1.0.0")

    def encrypt_v1(self, found):
        if self.fault == "v1-strict-encrypt" and last(found, 1) != V1_TEXT:
            raise Refused(INVALID, "version")
        if self.fault == "v1-no-ping" and len(last(found, 2)) != 32:
            raise Refused(INVALID, "32 bytes")
        data = self.store.read()
        return field(1, self.seal(b"1", data, self.key_id(data), last(found, 2)))

    def decrypt_v1(self, found):
        return field(1, self.open(b"1", last(found, 2), None))

    # -- sealing: api, length of the name, name, iv, ciphertext --

    def seal(self, api, data, name, plaintext):
        if not 1 <= len(plaintext) <= 512 and self.fault != "huge-ciphertext":
            raise Refused(INVALID, "1 to 512 bytes")
        if self.fault == "disk-on-path" and self.marked("full-disk"):
            raise Refused(INTERNAL, "no space left on device")
        if self.fault == "keeps-plaintexts":
            self.kept.append(plaintext)
        self.backend("encrypt")
        iv = bytes(12) if self.fault == "fixed-iv" else os.urandom(12)
        index = int(name.split("/")[0].split("-")[1]) if name.startswith("key-") else data["active"]
        head = api + bytes([len(name)]) + name.encode()
        return head + iv + self.cipher(self.key(data, index), iv, plaintext, head, True)

    def cipher(self, key, iv, text, head, sealing):
        if self.fault == "unauthenticated":
            stream = Cipher(algorithms.AES(key), modes.CTR(iv + bytes(4))).encryptor()
            return stream.update(text)
        gcm = AESGCM(key)
        return gcm.encrypt(iv, text, head) if sealing else gcm.decrypt(iv, text, head)

    def open(self, api, sealed, wanted):
        if not 16 < len(sealed) <= 1024 or (sealed[:1] not in (b"1", b"2")):
            raise Refused(INTERNAL if self.fault == "odd-codes" else INVALID, "not a ciphertext")
        if sealed[:1] != api and self.fault != "no-domains":
            raise Refused(INVALID, "of the other API")
        end = 2 + sealed[1]
        name = sealed[2:end].decode("utf-8", "replace")
        self.check_name(name, wanted)
        data = self.store.read()
        index = int("0" + "".join(c for c in name.split("/")[0] if c.isdigit()))
        if self.fault == "forgets-old" and index != data["active"]:
            raise Refused(NOT_FOUND, f"key_id {name}")
        key = self.key(data, index)
        self.backend("decrypt")
        try:
            return self.cipher(key, sealed[end:end + 12], sealed[end + 12:], sealed[:end], False)
        except (InvalidTag, ValueError):
            raise Refused(INVALID, "cannot be opened") from None

    def check_name(self, name, wanted):
        if wanted is None or name == wanted or self.fault == "key-id-ignored":
            return
        if self.fault == "slow-unknown":
            time.sleep(0.3)
        if self.fault == "chatty":
            raise Refused(INVALID, "no key_id, though pin-value=1234 was right")
        if not wanted:
            raise Refused(INVALID, "empty key_id")
        raise Refused(NOT_FOUND, "key_id sha256:" + hashlib.sha256(wanted.encode()).hexdigest())

    def note(self, found):
        uid = last(found, 2).decode("utf-8", "replace")
        if self.fault == "forged-log":
            self.log.write(f"uid {uid}\n")
        elif self.fault == "unescaped-quote":
            self.log.write('uid="' + "".join(c for c in uid if c.isprintable()) + '"\n')
        else:
            self.log.write(f"uid={json.dumps(uid)}\n")
        self.noted += 1
        if self.fault == "leaks-descriptors" and self.noted % 200 == 0:
            self.opened.append(os.dup(self.log.fileno()))


def last(found, number):
    values = found.get(number)
    return values[-1] if values else b""
