"""Statements 34 to 55: what KMS v2 answers must look like."""
import os
import re
import socket
import threading
import time

from . import wire
from .calls import decrypt_of
from .registry import Failed, NotApplicable, check, require
from .target import INVALID, OK, SEED, Encrypted
from .wire import V2, decrypt_v2, encrypt_v2

LIMIT = 1024
QUICK_S = 0.05


def fqdn(name):
    name = name[:-1] if name.endswith(".") else name
    labels = name.split(".")
    return len(labels) >= 2 and len(name) <= 253 and all(
        0 < len(label) <= 63 and set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") and
        label[0] != "-" and label[-1] != "-" for label in labels)


@check(34, "v2", "Status is what an API server accepts",
       "version v2 (v2beta1 for 1.27 and 1.28), healthz exactly ok, key_id of 1 to 1024 bytes", api="v2")
def status_fields(target):
    seen = []
    for authority in ("localhost", "/run/k.sock"):
        status = target.status(authority=authority)
        require(status.version in ("v2", "v2beta1"), f"version {status.version!r} for :authority {authority}")
        require(status.healthz == "ok", f"healthz {status.healthz!r}")
        require(1 <= len(status.key_id) <= LIMIT, f"key_id of {len(status.key_id)} bytes")
        status.key_id.decode("utf-8", "strict")
        seen.append(f"{status.version} for {authority}")
    return "; ".join(seen)


@check(35, "v2", "Status.version does not change over a restart",
       "an API server pins the first version it accepted and is unready when it changes", api="v2", needs=("restart",))
def version_stable(target):
    before = [target.status(authority=a).version for a in ("localhost", "/run/k.sock")]
    target.command("restart")
    target.wait_ok()
    after = [target.status(authority=a).version for a in ("localhost", "/run/k.sock")]
    require(before == after, f"{before} became {after}")
    return ", ".join(after)


@check(36, "v2", "Status is quick with the backend hung",
       "p99 below 50 ms: it comes from a state kept in the background", api="v2", needs=("hang", "unhang"))
def status_quick(target):
    """The best of up to three rounds: what else the machine does can only add. Beside each call an echo of one byte
    between two processes is timed; where that is as slow, the machine and not the plugin is measured."""
    cold = target.box("foreign") if target.has("foreign") else None
    target.wait_ok()
    target.command("hang")
    try:
        for _ in range(3):
            p99, noise = p99_of_status(target, cold)
            if p99 < QUICK_S:
                break
    finally:
        target.command("unhang")
    target.wait_ok()
    if p99 >= QUICK_S and noise >= QUICK_S / 2:
        raise NotApplicable(f"this machine is too busy: p99 {p99 * 1000:.0f} ms, of a bare echo {noise * 1000:.0f} ms")
    require(p99 < QUICK_S, f"p99 {p99 * 1000:.1f} ms, of a bare echo {noise * 1000:.1f} ms")
    return f"p99 {p99 * 1000:.2f} ms of 500 over 10 s" + (", beside Decrypts that wait for it" if cold else "")


def p99_of_status(target, cold):
    with target.conn() as busy, target.conn() as conn:
        for _ in range(50):
            busy.start(V2 + "Encrypt", encrypt_v2(SEED))
            if cold:
                busy.start(*decrypt_of(cold))
        with Echo() as echo:
            times = [(took(lambda: ask_status(conn)), took(echo.once)) for _ in range(500)]
    return tuple(sorted(column)[494] for column in zip(*times))


def took(call):
    time.sleep(0.01)
    began = time.monotonic()
    call()
    return time.monotonic() - began


def ask_status(conn):
    answer = conn.call(V2 + "Status")
    require(answer.status is not None, answer.summary())


class Echo:
    """A process that sends back each byte: what a round trip costs on this machine at this time."""

    def __enter__(self):
        self.here, there = socket.socketpair()
        self.child = os.fork()
        if self.child == 0:
            self.here.close()
            while there.recv(1):
                there.send(b"x")
            os._exit(0)
        there.close()
        return self

    def __exit__(self, *unused):
        self.here.close()
        os.waitpid(self.child, 0)

    def once(self):
        self.here.send(b"x")
        self.here.recv(1)


@check(37, "v2", "polling Status costs the backend little",
       "Status at 1 Hz causes a bounded number of backend operations: fewer than there are polls", api="v2",
       needs=("backend_calls",), long=True)
def status_cheap(target):
    seconds = target.options.poll_minutes * 60 if target.full else 120
    target.wait_ok()
    before = target.number("backend_calls")
    with target.conn() as conn:
        for _ in range(seconds):
            target.status(conn)
            time.sleep(1)
    used = target.number("backend_calls") - before
    require(used < seconds, f"{used} operations for {seconds} polls")
    cut = " of the hour" if target.full and seconds < 3600 else ""
    return f"{used} backend operations in {seconds} s{cut} of polling at 1 Hz"


@check(38, "v2", "Encrypt answers within the limits and under Status.key_id",
       "an answer with another key_id or over 1024 bytes is thrown away by the API server", api="v2")
def encrypt_fields(target):
    with target.conn() as conn:
        status = target.status(conn)
        box = target.encrypt(conn=conn)
    require(1 <= len(box.ciphertext) <= LIMIT, f"ciphertext of {len(box.ciphertext)} bytes")
    require(box.key_id == status.key_id, f"key_id {box.key_id!r}, Status said {status.key_id!r}")
    annotation_rules(box)
    return f"{len(box.ciphertext)} bytes"


@check(39, "v2", "equal plaintexts give different ciphertexts", "a fresh IV each time, under one key_id", api="v2")
def fresh_iv(target):
    with target.conn() as conn:
        boxes = [target.encrypt(conn=conn) for _ in range(100)]
    require(len({b.ciphertext for b in boxes}) == 100, "a ciphertext was repeated")
    require(len({b.key_id for b in boxes}) == 1, "the key_id changed")


@check(40, "v2", "odd plaintext sizes are refused or round-trip",
       "0 bytes, 1 byte, 4096 bytes; never an OK with more than 1024 bytes of ciphertext", api="v2")
def odd_sizes(target):
    seen = []
    with target.conn() as conn:
        for size in (0, 1, 4096):
            plaintext = bytes(size)
            answer = conn.call(V2 + "Encrypt", encrypt_v2(plaintext))
            if answer.status == OK:
                box = target.encrypted(answer)
                require(1 <= len(box.ciphertext) <= LIMIT, f"{size} bytes: ciphertext of {len(box.ciphertext)}")
                require(target.decrypt(box, conn) == plaintext, f"{size} bytes do not round-trip")
            elif size == 0:
                require(answer.status == INVALID, f"0 bytes: {answer.summary()}")
            seen.append(f"{size}: {'served' if answer.status == OK else answer.status}")
    return ", ".join(seen)


@check(41, "v2", "annotations are within the rules",
       "keys are domain names of two labels or more, 32 KiB in all; anything else is dropped by the API server",
       api="v2")
def annotations(target):
    box = target.encrypt()
    return f"{len(box.annotations)} annotations, {annotation_rules(box)} bytes"


def annotation_rules(box):
    size = sum(len(key) + len(value) for key, value in box.annotations)
    for key, _ in box.annotations:
        require(fqdn(key.decode("utf-8", "strict")), f"annotation key {key!r}")
    require(size <= 32768, f"{size} bytes of annotations")
    return size


@check(42, "v2", "Decrypt gives back exactly what Encrypt was given", "100 000 random seeds of 32 bytes", api="v2")
def round_trips(target):
    total = 100_000
    batch = 200
    with target.conn() as conn:
        for _ in range(total // batch):
            plain = [os.urandom(32) for _ in range(batch)]
            sids = [conn.start(V2 + "Encrypt", encrypt_v2(p)) for p in plain]
            boxes = [target.encrypted(s) for s in conn.wait_all(sids)]
            sids = [conn.start(V2 + "Decrypt", decrypt_v2(b.ciphertext, b.key_id, b.annotations)) for b in boxes]
            for want, answer in zip(plain, conn.wait_all(sids)):
                require(answer.status == OK, answer.summary())
                require(wire.last(wire.fields(answer.message), 1) == want, "another plaintext")
            conn.streams.clear()
    return f"{total} round trips"


@check(43, "v2", "a fresh process decrypts", "nothing that decryption needs lives in the process", api="v2",
       needs=("restart",))
def fresh_process(target):
    boxes = [(p, target.encrypt(p)) for p in (os.urandom(32) for _ in range(20))]
    target.command("restart")
    target.wait_ok()
    others = [target] + ([target.at(target.options.second_socket)] if target.has("second_socket") else [])
    for other in others:
        for plaintext, box in boxes:
            require(other.decrypt(box) == plaintext, "another plaintext in a fresh process")
    return "after a restart" + (" and by another plugin" if len(others) > 1 else "")


FORGED_LINE = "level=error event=forged"
# Raw in the log each of these ends the field or the line that the uid is in; quoted or escaped none does.
FORGED = re.compile(rf"""^{FORGED_LINE}|\r|\x1b\[2J|["=]a" event="forged""", re.M)


@check(51, "v2", "an odd uid does no harm", "missing, 10 KiB long, or with control characters", api="v2")
def odd_uids(target):
    start = target.log_size() if target.has("log") else 0
    with target.conn() as conn:
        answer = conn.call(V2 + "Encrypt", encrypt_v2(SEED, uid=""))
        require(answer.status == OK, f"no uid: {answer.summary()}")
        box = target.encrypted(answer)
        answer = conn.call(V2 + "Decrypt", decrypt_v2(box.ciphertext, box.key_id, box.annotations, uid=""))
        require(answer.status == OK, f"no uid: {answer.summary()}")
        for uid in ("u" * 10240, "a\n" + FORGED_LINE, "a\r" + FORGED_LINE, "\x1b[2J", "\u2028x", 'a" event="forged'):
            for path, message in ((V2 + "Encrypt", encrypt_v2(SEED, uid=uid)),
                                  (V2 + "Decrypt", decrypt_v2(b"no ciphertext", b"k", uid=uid))):
                answer = conn.call(path, message)
                require(answer.status is not None, f"uid {uid[:10]!r}: {answer.summary()}")
    if not target.has("log"):
        return "log not looked at (--log)"
    time.sleep(0.2)
    found = FORGED.search(target.log_from(start))
    require(not found, f"a uid forged part of the log: {found and found[0]!r}")
    return "the log has no forged line"


@check(52, "v2", "identical concurrent Decrypts are merged",
       "a cold API server sends many Decrypts for one seed at once; all succeed with few unwraps: under a tenth",
       api="v2")
def coalesced(target):
    box = target.box("foreign") if target.has("foreign") else target.encrypt()
    before = target.number("backend_calls") if target.has("backend_calls") else None
    conns = [target.conn() for _ in range(4)]
    try:
        starts = [(conn, conn.start(*decrypt_of(box))) for conn in conns for _ in range(125)]
        for conn, sid in starts:
            answer = conn.wait(sid)
            require(answer.status == OK, answer.summary())
    finally:
        for conn in conns:
            conn.close()
    if before is None:
        return "500 served; backend calls not counted (--backend-calls)"
    used = target.number("backend_calls") - before
    require(used < 50, f"{used} backend calls for 500 Decrypts")
    return f"{used} backend calls for 500 Decrypts"


@check(53, "v2", "unknown fields in requests are ignored", "a newer API server may send more", api="v2")
def unknown_fields(target):
    with target.conn() as conn:
        extra = wire.field(15, b"new") + wire.varint(16 << 3 | 0) + b"\x07"
        answer = conn.call(V2 + "Encrypt", encrypt_v2(SEED) + extra)
        box = target.encrypted(answer)
        message = decrypt_v2(box.ciphertext, box.key_id, box.annotations) + extra
        answer = conn.call(V2 + "Decrypt", message)
        require(answer.status == OK and wire.last(wire.fields(answer.message), 1) == SEED, answer.summary())


@check(54, "v2", "texts carry no secret", "key_id, healthz and grpc-message reach users and logs", api="v2")
def texts(target):
    """Those of the whole run, which is why it comes last."""
    words = [SEED.hex(), SEED.decode("latin-1"), "pin=", "pin-value", "pin_file", "/pin"] + target.secrets()
    ask_for_texts(target)
    seen = set(wire.ERRORS)
    for message in set(wire.STATUSES):
        seen |= {wire.last(wire.fields(message), number).decode("utf-8", "replace") for number in (2, 3)}
    for text in sorted(seen):
        for word in words:
            require(word not in text, f"{word!r} in {text!r}")
    return f"{len(seen)} texts"


def ask_for_texts(target):
    """Whatever is answered; the KEK may be gone by now."""
    box = Encrypted(b"c" * 100, b"key", ())
    with target.conn() as conn:
        for path, message in (("Status", b""), ("Encrypt", encrypt_v2(SEED)), ("Encrypt", b"\xff"),
                              ("Encrypt", encrypt_v2(b"")), ("Nope", b"")):
            answer = conn.call(V2 + path, message)
            if path == "Encrypt" and answer.status == OK:
                box = target.encrypted(answer)
        for change in ({"ciphertext": b"x"}, {"key_id": b"y"}, {"ciphertext": box.ciphertext[:-1]}):
            target.decrypt_answer(box, conn, **change)
        if target.has("unknown"):
            target.decrypt_answer(target.box("unknown"), conn)
        if target.options.v1:
            target.decrypt_v1_answer(b"x", conn)


@check(55, "v2", "Status and Encrypt never disagree", "8 clients mixing Status, Encrypt and Decrypt", api="v2", long=True)
def no_mismatch(target):
    seconds = 600 if target.full else 60
    stop = time.monotonic() + seconds
    problems, rounds = [], [0]
    threads = [threading.Thread(target=mix, args=(target, stop, problems, rounds)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    require(not problems, problems[0] if problems else "")
    return f"{rounds[0]} rounds in {seconds} s"


def mix(target, stop, problems, rounds):
    try:
        with target.conn() as conn:
            while time.monotonic() < stop and not problems:
                status = target.status(conn)
                box = target.encrypt(conn=conn)
                if box.key_id != status.key_id and box.key_id != target.status(conn).key_id:
                    problems.append(f"Encrypt {box.key_id!r} after Status {status.key_id!r}")
                if target.decrypt(box, conn) != SEED:
                    problems.append("another plaintext")
                rounds[0] += 1
                conn.streams.clear()
    except (Failed, OSError, wire.Closed, wire.Timeout) as problem:
        problems.append(str(problem) or type(problem).__name__)
