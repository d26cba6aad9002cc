"""Statements 34 to 55: what KMS v2 answers must look like."""
import os
import random
import threading
import time

from . import wire
from .registry import Failed, check, require
from .target import INVALID, NOT_FOUND, OK, PRECONDITION, SEED
from .wire import V2, decrypt_v2, encrypt_v2

LIMIT = 1024


def refused_or_same(answer, plaintext, what):
    """Anything but another plaintext with OK."""
    if answer.status == OK:
        got = wire.last(wire.fields(answer.message or b""), 1)
        require(got == plaintext, f"{what}: OK with another plaintext")
        return "unchanged"
    require(answer.status is not None, f"{what}: {answer.summary()}")
    return f"grpc-status {answer.status}"


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
    target.wait_ok()
    target.command("hang")
    try:
        with target.conn() as busy, target.conn() as conn:
            for _ in range(50):
                busy.start(V2 + "Encrypt", encrypt_v2(SEED))
            times = []
            for _ in range(500):
                began = time.monotonic()
                answer = conn.call(V2 + "Status")
                times.append(time.monotonic() - began)
                require(answer.status is not None, answer.summary())
    finally:
        target.command("unhang")
    target.wait_ok()
    times.sort()
    p99 = times[int(len(times) * 0.99)]
    require(p99 < 0.05, f"p99 {p99 * 1000:.1f} ms")
    return f"p99 {p99 * 1000:.2f} ms of 500"


@check(37, "v2", "polling Status costs the backend little",
       "Status at 1 Hz causes a bounded number of backend operations", api="v2", needs=("backend_calls",))
def status_cheap(target):
    """--backend-calls CMD prints a number that grows with each backend operation."""
    seconds = 3600 if target.full else 120
    before = int(target.command("backend_calls").split()[-1])
    for _ in range(seconds):
        target.status()
        time.sleep(1)
    used = int(target.command("backend_calls").split()[-1]) - before
    require(used <= seconds, f"{used} operations in {seconds} s")
    return f"{used} backend operations in {seconds} s of polling at 1 Hz"


@check(38, "v2", "Encrypt answers within the limits and under Status.key_id",
       "an answer with another key_id or over 1024 bytes is thrown away by the API server", api="v2")
def encrypt_fields(target):
    with target.conn() as conn:
        status = target.status(conn)
        box = target.encrypt(conn=conn)
    require(1 <= len(box.ciphertext) <= LIMIT, f"ciphertext of {len(box.ciphertext)} bytes")
    require(box.key_id == status.key_id, f"key_id {box.key_id!r}, Status said {status.key_id!r}")
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
    size = sum(len(k) + len(v) for k, v in box.annotations)
    for key, _ in box.annotations:
        require(fqdn(key.decode("utf-8", "strict")), f"annotation key {key!r}")
    require(size <= 32768, f"{size} bytes")
    return f"{len(box.annotations)} annotations, {size} bytes"


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
    for plaintext, box in boxes:
        require(target.decrypt(box) == plaintext, "another plaintext after a restart")


@check(44, "v2", "the order of annotations does not matter", "Go randomises the order of a map", api="v2")
def annotation_order(target):
    box = target.encrypt()
    extra = box.annotations or [(b"x.conformance.example", b"1"), (b"y.conformance.example", b"2")]
    seen = set()
    for shape in (extra, list(reversed(extra)), extra + extra[:1]):
        seen.add(refused_or_same(target.decrypt_answer(box, annotations=shape), SEED, "reordered annotations"))
    return ", ".join(sorted(seen))


def flips(target, original):
    """Every bit with --full, else each byte once at a random bit."""
    if target.full:
        return [(i, 1 << b) for i in range(len(original)) for b in range(8)]
    rng = random.Random(len(original))
    return [(i, 1 << rng.randrange(8)) for i in range(len(original))]


def flipped(original, place):
    at, bit = place
    changed = bytearray(original)
    changed[at] ^= bit
    return bytes(changed)


@check(45, "v2", "a flipped bit in the ciphertext is refused", "a wrong plaintext with OK would be cached for 24 h",
       api="v2")
def flipped_ciphertext(target):
    box = target.encrypt()
    places = flips(target, box.ciphertext)
    with target.conn() as conn:
        for place in places:
            answer = target.decrypt_answer(box, conn, ciphertext=flipped(box.ciphertext, place))
            require(answer.status not in (None, OK), f"byte {place[0]}, bit {place[1]:#x}: {answer.summary()}")
    return f"{len(places)} flips"


@check(46, "v2", "a flipped bit in an annotation never changes the plaintext", "refused, or the same plaintext", api="v2")
def flipped_annotation(target):
    box = target.encrypt()
    if not box.annotations:
        answer = target.decrypt_answer(box, annotations=[(b"x.conformance.example", b"\x01")])
        return "none are used; an extra one: " + refused_or_same(answer, SEED, "an extra annotation")
    for index, (key, value) in enumerate(box.annotations):
        for place in flips(target, value):
            changed = list(box.annotations)
            changed[index] = (key, flipped(value, place))
            refused_or_same(target.decrypt_answer(box, annotations=changed), SEED, f"annotation {key!r}")


@check(47, "v2", "a changed key_id is refused", "the key_id of the request is bound to the ciphertext", api="v2")
def changed_key_id(target):
    box = target.encrypt()
    for key_id in (flipped(box.key_id, (len(box.key_id) - 1, 1)), box.key_id + b"x", box.key_id[:-1], b"other"):
        answer = target.decrypt_answer(box, key_id=key_id)
        require(answer.status not in (None, OK), f"key_id {key_id!r}: {answer.summary()}")


@check(48, "v2", "missing, extra or empty annotations never change the plaintext", "refused, or the same plaintext",
       api="v2")
def odd_annotations(target):
    box = target.encrypt()
    shapes = [[], box.annotations + [(b"z.conformance.example", b"")], [(b"", b"")],
              [(k, b"") for k, _ in box.annotations]]
    return ", ".join(sorted({refused_or_same(target.decrypt_answer(box, annotations=s), SEED, f"{s!r}") for s in shapes}))


@check(49, "v2", "an unknown key_id is refused fast", "5 (or 9) within 100 ms, with no key material in the text",
       api="v2")
def unknown_key_id(target):
    box = target.encrypt()
    times = []
    with target.conn() as conn:
        for key_id in (b"no-such-key", b"sha256:" + b"0" * 64):
            began = time.monotonic()
            answer = target.decrypt_answer(box, conn, key_id=key_id)
            times.append(time.monotonic() - began)
            require(answer.status in (NOT_FOUND, PRECONDITION, INVALID), answer.summary())
            require(SEED.hex() not in answer.text and "/" + "run" not in answer.text, answer.text)
    require(max(times) < 0.1, f"{max(times) * 1000:.0f} ms")
    return f"{answer.status} in {max(times) * 1000:.1f} ms"


@check(50, "v2", "empty and huge fields are refused", "3 within the message cap, 8 above it", api="v2")
def bad_fields(target):
    box = target.encrypt()
    with target.conn() as conn:
        answer = target.decrypt_answer(box, conn, ciphertext=b"")
        require(answer.status == INVALID, f"empty ciphertext: {answer.summary()}")
        answer = target.decrypt_answer(box, conn, key_id=b"")
        require(answer.status == INVALID, f"empty key_id: {answer.summary()}")
        answer = target.decrypt_answer(box, conn, ciphertext=b"x" * 65536)
        require(answer.status == INVALID, f"64 KiB of ciphertext: {answer.summary()}")
        sid = conn.open()
        conn.send_headers(sid, wire.grpc_headers(V2 + "Decrypt"))
        message = decrypt_v2(b"x" * (1 << 20), box.key_id)
        try:
            conn.send_data(sid, wire.prefix(message)[:40000])
            answer = conn.wait(sid)
        except OSError as problem:
            raise Failed(f"1 MiB of ciphertext: {problem}") from None
        require(answer.status in (INVALID, 8), f"1 MiB of ciphertext: {answer.summary()}")


@check(51, "v2", "an odd uid does no harm", "missing, 10 KiB long, or with control characters", api="v2")
def odd_uids(target):
    with target.conn() as conn:
        answer = conn.call(V2 + "Encrypt", encrypt_v2(SEED, uid=""))
        require(answer.status == OK, f"no uid: {answer.summary()}")
        for uid in ("u" * 10240, "a\nlevel=error event=forged", "\x1b[2J", "\u2028x"):
            answer = conn.call(V2 + "Encrypt", encrypt_v2(SEED, uid=uid))
            require(answer.status is not None, f"uid {uid[:10]!r}: {answer.summary()}")
    if target.has("log"):
        with open(target.options.log, encoding="utf-8", errors="replace") as log:
            lines = log.read().split("\n")
        require(not any(line.startswith("level=error event=forged") for line in lines), "a uid forged a log line")
        return "also checked in the log"
    return "log not checked (--log FILE)"


@check(52, "v2", "identical concurrent Decrypts are merged",
       "a cold API server sends many Decrypts for one seed at once; all succeed with few unwraps", api="v2")
def coalesced(target):
    box = target.encrypt()
    before = after = None
    if target.has("backend_calls"):
        before = int(target.command("backend_calls").split()[-1])
    with target.conn() as one, target.conn() as two:
        starts = [(c, c.start(V2 + "Decrypt", decrypt_v2(box.ciphertext, box.key_id, box.annotations)))
                  for c in (one, two) for _ in range(250)]
        for conn, sid in starts:
            answer = conn.wait(sid)
            require(answer.status == OK, answer.summary())
    if before is None:
        return "500 served; backend calls not counted (--backend-calls)"
    after = int(target.command("backend_calls").split()[-1])
    require(after - before <= 50, f"{after - before} backend calls for 500 Decrypts")
    return f"{after - before} backend calls for 500 Decrypts"


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
    box = target.encrypt()
    seen = []
    with target.conn() as conn:
        status = target.status(conn)
        seen += [status.healthz, status.key_id.decode("utf-8", "strict")]
        for answer in (target.decrypt_answer(box, conn, ciphertext=b"x"), target.decrypt_answer(box, conn, key_id=b"y"),
                       conn.call(V2 + "Encrypt", b"\xff"), target.decrypt_answer(box, conn, ciphertext=box.ciphertext[:-1])):
            seen.append(answer.text)
    words = [SEED.hex(), SEED.decode("latin-1"), "pin=", "pin-value", "pin_file", "/pin"]
    if target.has("secret"):
        words += [line for line in target.options.secret if line]
    for text in seen:
        for word in words:
            require(word not in text, f"{word!r} in {text!r}")
    return f"{len(seen)} texts"


@check(55, "v2", "Status and Encrypt never disagree", "8 clients mixing Status, Encrypt and Decrypt", api="v2")
def no_mismatch(target):
    seconds = 600 if target.full else 20
    stop = time.monotonic() + seconds
    problems, rounds = [], [0]

    def client():
        try:
            with target.conn() as conn:
                while time.monotonic() < stop and not problems:
                    status = target.status(conn)
                    box = target.encrypt(conn=conn)
                    later = target.status(conn)
                    if box.key_id not in (status.key_id, later.key_id):
                        problems.append(f"Encrypt {box.key_id!r} between {status.key_id!r} and {later.key_id!r}")
                    if target.decrypt(box, conn) != SEED:
                        problems.append("another plaintext")
                    rounds[0] += 1
                    conn.streams.clear()
        except (Failed, OSError, wire.Closed, wire.Timeout) as problem:
            problems.append(str(problem) or type(problem).__name__)

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    require(not problems, problems[0] if problems else "")
    return f"{rounds[0]} rounds in {seconds} s" + ("" if target.full else " (short form; --full: 10 min)")


