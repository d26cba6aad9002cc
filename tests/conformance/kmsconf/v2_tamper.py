"""Statements 44 to 50: what was altered, or was never ours, is refused."""
import hashlib
import os
import random
import time

from . import wire
from .registry import NotApplicable, check, require
from .target import EXHAUSTED, INVALID, NOT_FOUND, OK, PRECONDITION, SEED
from .wire import V2, decrypt_v2


def refused_or_same(answer, plaintext, what):
    """Anything but another plaintext with OK."""
    if answer.status == OK:
        got = wire.last(wire.fields(answer.message or b""), 1)
        require(got == plaintext, f"{what}: OK with another plaintext")
        return "unchanged"
    require(answer.status is not None, f"{what}: {answer.summary()}")
    return f"grpc-status {answer.status}"


@check(44, "v2", "the order of annotations does not matter", "Go randomises the order of a map", api="v2")
def annotation_order(target):
    box = target.encrypt()
    extra = box.annotations or [(b"x.conformance.example", b"1"), (b"y.conformance.example", b"2")]
    twice = [(extra[0][0], b"another value")]
    seen = set()
    for shape in (extra, extra[::-1], extra + extra[:1], extra + twice, twice + extra):
        seen.add(refused_or_same(target.decrypt_answer(box, annotations=shape), SEED, f"annotations {shape!r}"))
    return ", ".join(sorted(seen))


def flips(target, original):
    """(place, bit): every bit with --full, else one of each byte."""
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
       api="v2", long=True)
def flipped_ciphertext(target):
    box = target.encrypt()
    places = flips(target, box.ciphertext)
    with target.conn() as conn:
        for place in places:
            answer = target.decrypt_answer(box, conn, ciphertext=flipped(box.ciphertext, place))
            require(answer.status not in (None, OK), f"byte {place[0]}, bit {place[1]:#x}: {answer.summary()}")
    return f"{len(places)} flips"


@check(46, "v2", "a flipped bit in an annotation never changes the plaintext", "refused, or the same plaintext", api="v2",
       long=True)
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
    return f"{len(box.annotations)} annotations"


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


@check(49, "v2", "an unknown key_id is refused fast",
       "5 (or 9) within 100 ms; the text names the key_id or its hash, and no key material", api="v2")
def unknown_key_id(target):
    """The best of three, each on a key_id of its own unless --unknown gives the one."""
    best, answer = min((refusal(target) for _ in range(3)), key=lambda one: one[0])
    require(best < 0.1, f"{best * 1000:.0f} ms")
    return f"{answer.summary()} in {best * 1000:.1f} ms"


def refusal(target):
    box = target.box("unknown") if target.has("unknown") else target.encrypt()
    key_id = box.key_id if target.has("unknown") else b"unknown-" + os.urandom(8).hex().encode()
    with target.conn() as conn:
        began = time.monotonic()
        answer = target.decrypt_answer(box, conn, key_id=key_id)
        took = time.monotonic() - began
    if answer.status == INVALID and not target.has("unknown"):
        raise NotApplicable("the key_id is compared with the ciphertext first (3); a well-formed one needs --unknown")
    require(answer.status in (NOT_FOUND, PRECONDITION), answer.summary())
    names = (key_id.decode("utf-8", "replace"), hashlib.sha256(key_id).hexdigest()[:8])
    require(any(name in answer.text for name in names), f"names neither key_id nor its hash: {answer.text!r}")
    for word in (SEED.hex(), box.ciphertext.hex(), *target.secrets()):
        require(word not in answer.text, f"{word!r} in {answer.text!r}")
    return took, answer


@check(50, "v2", "empty and huge fields are refused", "3 within the message cap, 8 above it", api="v2")
def bad_fields(target):
    box = target.encrypt()
    with target.conn() as conn:
        for name, change in (("empty ciphertext", {"ciphertext": b""}), ("empty key_id", {"key_id": b""}),
                             ("64 KiB of ciphertext", {"ciphertext": b"x" * 65536})):
            answer = target.decrypt_answer(box, conn, **change)
            require(answer.status == INVALID, f"{name}: {answer.summary()}")
    answer = one_mebibyte(target, box.key_id)
    require(answer.status in (INVALID, EXHAUSTED), f"1 MiB of ciphertext: {answer.summary()}")
    return f"1 MiB of ciphertext: {answer.status}"


def one_mebibyte(target, key_id):
    """Sent as fast as the windows open; a server may answer before it has read it all."""
    with target.conn() as conn:
        sid = conn.open()
        conn.send_headers(sid, wire.grpc_headers(V2 + "Decrypt"))
        body = wire.prefix(decrypt_v2(b"x" * (1 << 20), key_id))
        stream = conn.streams[sid]
        for at in range(0, len(body), 16384):
            part = body[at:at + 16384]
            conn.pump(lambda: stream.ended or conn.may_send(sid, len(part)), 10.0)
            if stream.ended:
                break
            conn.send_data(sid, part, end=at + 16384 >= len(body))
        return conn.wait(sid)
