"""Statements 56 to 66: KMS v1."""
import os
import re
import time

from . import wire
from .calls import rotated
from .registry import Failed, NotApplicable, check, require
from .target import INVALID, OK, SEED, UNIMPLEMENTED
from .v2_tamper import flipped, flips
from .wire import V1, V2, encrypt_v1

SEMVER = re.compile(r"^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)([-+][0-9A-Za-z.+-]+)?$")


@check(56, "v1", "Version answers v1beta1, whatever is asked", "runtime_name not empty, runtime_version semver",
       api="v1")
def version(target):
    with target.conn() as conn:
        for asked in ("v1beta1", "", "v2", "x" * 100):
            answer = conn.call(V1 + "Version", wire.field(1, asked) if asked else b"")
            require(answer.status == OK, f"version {asked!r}: {answer.summary()}")
            found = wire.fields(answer.message)
            got, name, runtime = (wire.last(found, n).decode() for n in (1, 2, 3))
            require(got == "v1beta1", f"version {got!r}")
            require(name, "runtime_name is empty")
            require(SEMVER.match(runtime), f"runtime_version {runtime!r} is not semver")
    return f"{name} {runtime}"


@check(57, "v1", "the health probe's 4 bytes round-trip", "API servers encrypt and decrypt the text ping", api="v1")
def ping(target):
    with target.conn() as conn:
        require(target.decrypt_v1(target.encrypt_v1(b"ping", conn), conn) == b"ping", "ping came back changed")


@check(58, "v1", "a fresh process decrypts; the cipher is 1 to 65535 bytes", "it is stored behind a 16-bit length",
       api="v1", needs=("restart",))
def sizes(target):
    plain = os.urandom(32)
    cipher = target.encrypt_v1(plain)
    require(1 <= len(cipher) <= 65535, f"{len(cipher)} bytes")
    target.command("restart")
    target.wait_ok()
    require(target.decrypt_v1(cipher) == plain, "another plaintext")
    return f"{len(cipher)} bytes"


@check(59, "v1", "the cipher is self-describing", "v1 has no key_id field: every kept KEK is found from the cipher",
       api="v1", needs=("rotate",))
def self_describing(target):
    plain = os.urandom(32)
    ciphers = [target.encrypt_v1(plain)]
    rotated(target)
    ciphers.append(target.encrypt_v1(plain))
    for cipher in ciphers:
        require(target.decrypt_v1(cipher) == plain, "another plaintext")
    return f"{len(ciphers)} KEKs" + ("" if target.options.v2 else "; without --v2 the switch is not seen")


@check(60, "v1", "altered ciphers are refused", "bit flips, truncations, an empty cipher", api="v1", long=True)
def altered(target):
    cipher = target.encrypt_v1(SEED)
    cases = [flipped(cipher, place) for place in flips(target, cipher)]
    cases += [cipher[:n] for n in range(0, len(cipher), 1 if target.full else 7)] + [cipher + b"\0"]
    with target.conn() as conn:
        for case in cases:
            answer = target.decrypt_v1_answer(case, conn)
            require(answer.status not in (None, OK), f"{len(case)} bytes: {answer.summary()}")
    return f"{len(cases)} alterations"


@check(61, "v1", "v1 and v2 ciphertexts are not interchangeable", "domain separation", api="v1")
def domains(target):
    if not target.options.v2:
        raise NotApplicable("needs --v2 too")
    box = target.encrypt()
    cipher = target.encrypt_v1(SEED)
    answer = target.decrypt_v1_answer(box.ciphertext)
    require(answer.status not in (None, OK), f"a v2 ciphertext in v1: {answer.summary()}")
    answer = target.decrypt_answer(box, ciphertext=cipher)
    require(answer.status not in (None, OK), f"a v1 cipher in v2: {answer.summary()}")


@check(62, "v1", "request.version is treated consistently", "served or refused with 3, for Encrypt and Decrypt alike",
       api="v1")
def request_version(target):
    cipher = target.encrypt_v1(SEED)
    seen = []
    with target.conn() as conn:
        for version_text in ("", "v2"):
            one = conn.call(V1 + "Encrypt", encrypt_v1(SEED, version_text))
            two = conn.call(V1 + "Decrypt", wire.decrypt_v1(cipher, version_text))
            require(one.status in (OK, INVALID) and one.status == two.status,
                    f"version {version_text!r}: Encrypt {one.summary()}, Decrypt {two.summary()}")
            seen.append(f"{version_text!r}: {'served' if one.status == OK else 'refused with 3'}")
    return ", ".join(seen)


@check(63, "v1", "v1 and v2 share connections", "interleaved on one connection and on separate ones", api="v1")
def interleaved(target):
    if not target.options.v2:
        raise NotApplicable("needs --v2 too")
    with target.conn() as one, target.conn() as two:
        for conn_a, conn_b in ((one, one), (one, two)):
            for _ in range(20):
                cipher = target.encrypt_v1(SEED, conn_a)
                box = target.encrypt(conn=conn_b)
                require(target.decrypt(box, conn_a) == SEED, "v2 plaintext")
                require(target.decrypt_v1(cipher, conn_b) == SEED, "v1 plaintext")


@check(64, "v1", "2000 serial Decrypts take under 2 s", "a LIST at the start of an API server is serial", api="v1")
def serial(target):
    """The best of up to three rounds: what else the machine does can only add."""
    for _ in range(3):
        took = listed(target)
        if took < 2.0:
            return f"{took:.2f} s"
    raise Failed(f"{took:.2f} s")


def listed(target):
    with target.conn() as conn:
        ciphers = [target.encrypt_v1(os.urandom(32), conn) for _ in range(2000)]
        conn.streams.clear()
        began = time.monotonic()
        for cipher in ciphers:
            target.decrypt_v1(cipher, conn)
        return time.monotonic() - began


@check(65, "v1", "1000 concurrent Encrypts succeed", "a write burst; p99 below 3 s", api="v1")
def burst(target):
    conns = [target.conn() for _ in range(5)]
    try:
        began = time.monotonic()
        starts = [(conn, conn.start(V1 + "Encrypt", encrypt_v1(SEED))) for _ in range(200) for conn in conns]
        answers = [conn.wait(sid) for conn, sid in starts]
    finally:
        for conn in conns:
            conn.close()
    for answer in answers:
        require(answer.status == OK, answer.summary())
    p99 = sorted(answer.done_at - began for answer in answers)[989]
    require(p99 < 3.0, f"p99 {p99:.2f} s")
    return f"p99 {p99 * 1000:.0f} ms"


@check(66, "v1", "with v1 off its paths get 12", "and v2 is unaffected", api="v2")
def v1_off(target):
    off = target.at(target.options.v1_off_socket or target.socket)
    bodies = {"Version": wire.field(1, "v1beta1"), "Encrypt": encrypt_v1(SEED), "Decrypt": wire.decrypt_v1(bytes(100))}
    with off.conn() as conn:
        answers = {method: conn.call(V1 + method, body) for method, body in bodies.items()}
        if answers["Version"].status == OK and not target.has("v1_off_socket"):
            raise NotApplicable("v1 is on here; a socket where it is off needs --v1-off-socket")
        for method, answer in answers.items():
            require(answer.status == UNIMPLEMENTED, f"{method}: {answer.summary()}")
        require(conn.call(V2 + "Status").status == OK, "Status of v2 is affected")
        require(off.decrypt(off.encrypt(conn=conn), conn=conn) == SEED, "Encrypt or Decrypt of v2 is affected")
