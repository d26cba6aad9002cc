"""Statements 67 to 76: rotation.

--rotate CMD makes a new KEK and returns when the plugin has switched to it (or just before). --second-socket S is
another plugin on the same key store.
"""
import hashlib
import os
import threading
import time

from . import wire
from .registry import Failed, NotApplicable, check, require
from .target import OK, SEED, Target
from .wire import V2


def switch(target, seconds=90.0):
    """Rotates; returns (old, new) key_id once Status shows the new one."""
    before = target.status().key_id
    target.command("rotate")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = target.status().key_id
        if now != before:
            return before, now
        time.sleep(0.2)
    raise Failed(f"key_id did not change within {seconds:.0f} s of --rotate")


def second(target):
    if not target.has("second_socket"):
        raise NotApplicable("needs --second-socket S")

    class Other(Target):
        def __init__(self):
            super().__init__(target.options)
            self.socket = target.options.second_socket
    return Other()


@check(67, "rotation", "Status and Encrypt switch together",
       "an Encrypt never answers a key_id that a later Status contradicts, but for the new one", api="v2", needs=("rotate",))
def atomic(target):
    stop, problems, seen = threading.Event(), [], []

    def watch():
        try:
            with target.conn() as conn:
                while not stop.is_set():
                    box = target.encrypt(conn=conn)
                    status = target.status(conn)
                    for key_id in (box.key_id, status.key_id):
                        if not seen or seen[-1] != key_id:
                            if key_id in seen:
                                problems.append(f"went back to {key_id!r}")
                            seen.append(key_id)
                    conn.streams.clear()
        except (Failed, OSError, wire.Closed, wire.Timeout) as problem:
            problems.append(str(problem) or type(problem).__name__)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        switch(target)
        time.sleep(1)
    finally:
        stop.set()
        watcher.join()
    require(not problems, problems[0] if problems else "")
    require(len(seen) == 2, f"{len(seen)} key_ids were seen by one client")


@check(68, "rotation", "ciphertexts of older KEKs stay readable", "after rotation, restart, and two more rotations",
       api="v2", needs=("rotate", "restart"))
def old_readable(target):
    plain = os.urandom(32)
    boxes = [target.encrypt(plain)]
    for _ in range(3):
        switch(target)
        boxes.append(target.encrypt(plain))
        for box in boxes:
            require(target.decrypt(box) == plain, "another plaintext")
    target.command("restart")
    target.wait_ok()
    for box in boxes:
        require(target.decrypt(box) == plain, "another plaintext after a restart")
    return f"{len(boxes)} KEKs"


@check(69, "rotation", "a reactivated KEK gets a key_id never reported before",
       "API servers compare key_ids only: a reused one hides that objects are stale", api="v2", needs=("reactivate",))
def reactivated(target):
    """--reactivate CMD makes an older KEK active again."""
    seen = {target.status().key_id}
    if target.has("rotate"):
        seen.update(switch(target))
    before = target.status().key_id
    target.command("reactivate")
    deadline = time.monotonic() + 90
    while target.status().key_id == before and time.monotonic() < deadline:
        time.sleep(0.2)
    now = target.status().key_id
    require(now != before, "key_id did not change")
    require(now not in seen, f"{now!r} was reported before")


@check(70, "rotation", "two plugins on one key store agree and read each other",
       "otherwise API servers rewrite each other's objects for ever", api="v2", needs=("second_socket",))
def two_plugins(target):
    other = second(target)
    require(target.status().key_id == other.status().key_id, "their key_ids differ")
    plain = os.urandom(32)
    require(other.decrypt(target.encrypt(plain)) == plain, "B reads A: another plaintext")
    require(target.decrypt(other.encrypt(plain)) == plain, "A reads B: another plaintext")
    if target.has("rotate"):
        _, new = switch(target)
        require(other.decrypt(target.encrypt(plain)) == plain, "B reads A's new key: another plaintext")
        deadline = time.monotonic() + 90
        while other.status().key_id != new and time.monotonic() < deadline:
            time.sleep(0.2)
        require(other.status().key_id == new, "B did not follow within 90 s")
    return "also across a rotation" if target.has("rotate") else "without a rotation (--rotate)"


@check(71, "rotation", "a plugin that lacks the new KEK never reports it", "it keeps the old one and says so", api="v2",
       needs=("lag", "unlag", "rotate"))
def lacking(target):
    """--lag CMD hides new keys from the plugin under test, --unlag CMD shows them again."""
    before = target.status().key_id
    target.command("lag")
    try:
        target.command("rotate")
        for _ in range(20):
            status = target.status()
            require(status.key_id == before, f"it reported {status.key_id!r}")
            require(target.encrypt().key_id == before, "Encrypt used the missing KEK")
            time.sleep(0.5)
    finally:
        target.command("unlag")


@check(72, "rotation", "Status does not alternate", "1000 polls show one key_id, or a single change", api="v2")
def steady(target):
    seen = []
    with target.conn() as conn:
        for _ in range(1000):
            key_id = target.status(conn).key_id
            if not seen or seen[-1] != key_id:
                seen.append(key_id)
            conn.streams.clear()
    require(len(seen) <= 2 and len(set(seen)) == len(seen), f"{len(seen)} changes in 1000 polls")
    return f"{len(seen)} key_id in 1000 polls"


@check(73, "rotation", "a retired KEK decrypts and is never selected", "decrypt-only", api="v2", needs=("rotate",))
def retired(target):
    plain = os.urandom(32)
    box = target.encrypt(plain)
    old, new = switch(target)
    with target.conn() as conn:
        for _ in range(100):
            require(target.encrypt(conn=conn).key_id != old, "the retired KEK sealed")
        require(target.decrypt(box, conn) == plain, "another plaintext")
    require(new != old, "key_id did not change")


@check(74, "rotation", "key_id survives restarts and reconnects", "it names the KEK, not the process or the slot",
       api="v2", needs=("restart",))
def stable(target):
    before = target.status().key_id
    target.command("restart")
    target.wait_ok()
    require(target.status().key_id == before, "changed by a restart")
    if target.has("outage") and target.has("restore"):
        target.command("outage")
        target.command("restore")
        target.wait_ok()
        require(target.status().key_id == before, "changed by a token outage")
        return "restart and token outage"
    return "restart; outage not asked (--outage, --restore)"


@check(75, "rotation", "the key_id hash is the API server's", "sha256 of the raw key_id, as in the metrics' labels",
       api="v2", needs=("key_id_hash",))
def hashes(target):
    """--key-id-hash CMD prints what the plugin shows operators as the hash of its key_id."""
    want = hashlib.sha256(target.status().key_id).hexdigest()
    shown = target.command("key_id_hash")
    require(want in shown, f"sha256:{want} is not in {shown.strip()[:80]!r}")
    return f"sha256:{want[:16]}…"


@check(76, "rotation", "a rotation under load fails no Decrypt", "and at most one Encrypt per client is repeated",
       api="v2", needs=("rotate",))
def under_load(target):
    stop, failures, done = threading.Event(), [], [0]
    box = target.encrypt()

    def client():
        try:
            with target.conn() as conn:
                while not stop.is_set():
                    answer = target.decrypt_answer(box, conn)
                    if answer.status != OK:
                        failures.append(f"Decrypt {answer.summary()}")
                    answer = conn.call(V2 + "Encrypt", wire.encrypt_v2(SEED))
                    if answer.status != OK:
                        failures.append(f"Encrypt {answer.summary()}")
                    done[0] += 2
                    conn.streams.clear()
        except (OSError, wire.Closed, wire.Timeout) as problem:
            failures.append(type(problem).__name__)

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    try:
        switch(target)
        time.sleep(1)
    finally:
        stop.set()
        for thread in clients:
            thread.join()
    require(not failures, f"{len(failures)} of {done[0]} calls failed: {failures[:1]}")
    return f"{done[0]} calls"
