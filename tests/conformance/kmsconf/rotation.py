"""Statements 67 to 76: rotation."""
import hashlib
import os
import threading
import time

from . import wire
from .calls import rotated
from .registry import Failed, NotApplicable, check, require
from .target import OK, SEED
from .wire import V2


@check(67, "rotation", "Status and Encrypt switch together",
       "an Encrypt never answers a key_id that a later Status contradicts, but for the new one", api="v2", needs=("rotate",))
def atomic(target):
    stop, problems = threading.Event(), []
    ids = [[] for _ in range(4)]
    watchers = [threading.Thread(target=watch, args=(target, stop, problems, seen)) for seen in ids]
    for watcher in watchers:
        watcher.start()
    try:
        rotated(target)
        time.sleep(1)
    finally:
        stop.set()
        for watcher in watchers:
            watcher.join()
    require(not problems, problems[0] if problems else "")
    for seen in ids:
        require(len(seen) == 2, f"{len(seen)} key_ids were seen by one client")
    return f"{len(ids)} clients saw one switch each"


def watch(target, stop, problems, seen):
    """Notes each change of key_id, in the order of the calls; going back is a problem."""
    try:
        with target.conn() as conn:
            while not stop.is_set():
                for key_id in (target.encrypt(conn=conn).key_id, target.status(conn).key_id):
                    note(key_id, seen, problems)
                conn.streams.clear()
    except (Failed, OSError, wire.Closed, wire.Timeout) as problem:
        problems.append(str(problem) or type(problem).__name__)


def note(key_id, seen, problems):
    if not seen or seen[-1] != key_id:
        if key_id in seen:
            problems.append(f"went back to {key_id!r}")
        seen.append(key_id)


@check(68, "rotation", "ciphertexts of older KEKs stay readable", "after rotation, restart, and two more rotations",
       api="v2", needs=("rotate", "restart"))
def old_readable(target):
    plain = os.urandom(32)
    boxes = [target.encrypt(plain)]
    for _ in range(3):
        rotated(target)
        boxes.append(target.encrypt(plain))
        for box in boxes:
            require(target.decrypt(box) == plain, "another plaintext")
    target.command("restart")
    target.wait_ok()
    for box in boxes:
        require(target.decrypt(box) == plain, "another plaintext after a restart")
    return f"{len(boxes)} KEKs"


@check(69, "rotation", "a reactivated KEK gets a key_id never reported before",
       "API servers compare key_ids only: a reused one hides that objects are stale", api="v2",
       needs=("rotate", "reactivate"))
def reactivated(target):
    seen = set(rotated(target))
    before = target.status().key_id
    plain = os.urandom(32)
    box = target.encrypt(plain)
    target.command("reactivate")
    now = await_change(target, before)
    require(now != before, "key_id did not change within 90 s of --reactivate")
    require(now not in seen, f"{now!r} was reported before")
    require(target.decrypt(box) == plain, "another plaintext")
    return now.decode("utf-8", "replace")


def await_change(target, before, seconds=90):
    deadline = time.monotonic() + seconds
    while target.status().key_id == before and time.monotonic() < deadline:
        time.sleep(0.2)
    return target.status().key_id


@check(70, "rotation", "two plugins on one key store agree and read each other",
       "otherwise API servers rewrite each other's objects for ever", api="v2", needs=("second_socket", "rotate"))
def two_plugins(target):
    other = target.at(target.options.second_socket)
    old = target.status().key_id
    await_change(other, other.status().key_id if other.status().key_id != old else b"")
    require(other.status().key_id == old, "their key_ids differ")
    read_each_other(target, other)
    _, new = rotated(target)
    plain = os.urandom(32)
    box = target.encrypt(plain)
    behind = other.status().key_id != new
    require(other.decrypt(box) == plain, "B reads A's new key: another plaintext")
    require(await_change(other, old) == new, "B did not follow within 90 s")
    read_each_other(target, other)
    return "B read A's new key " + ("before it used it itself" if behind else "(B had switched already)")


def read_each_other(one, two):
    plain = os.urandom(32)
    require(two.decrypt(one.encrypt(plain)) == plain, "B reads A: another plaintext")
    require(one.decrypt(two.encrypt(plain)) == plain, "A reads B: another plaintext")


@check(71, "rotation", "a plugin that lacks the new KEK never reports it", "it keeps the old one and says so", api="v2",
       needs=("lag", "unlag", "rotate", "unknown", "log"))
def lacking(target):
    before = target.status().key_id
    target.command("lag")
    try:
        target.command("rotate")
        for _ in range(60):
            require(target.status().key_id == before, f"it reported {target.status().key_id!r}")
            require(target.encrypt().key_id == before, "Encrypt used the missing KEK")
            time.sleep(0.5)
        start = target.log_size()
        answer = target.decrypt_answer(target.box("unknown"))
        require(answer.status not in (None, OK), f"a ciphertext under a missing KEK: {answer.summary()}")
        time.sleep(0.5)
        said = target.log_from(start).strip().splitlines()
        require(said, "nothing in the log about a KEK that is missing")
    finally:
        target.command("unlag")
    now = await_change(target, before)
    require(now != before, "the new KEK was not taken up within 90 s of --unlag")
    return f"{answer.summary()}; logged: {said[-1][:120]}"


@check(72, "rotation", "Status does not alternate", "1000 polls show one key_id, or a single change, whatever the store shows",
       api="v2")
def steady(target):
    flaps = target.has("flap") and target.has("unflap")
    seen, problems = [], []
    if flaps:
        target.command("flap")
    try:
        with target.conn() as conn:
            for _ in range(1000):
                answer = conn.call(V2 + "Status")
                if answer.status == OK:
                    note(wire.last(wire.fields(answer.message), 3), seen, problems)
                conn.streams.clear()
                time.sleep(0.06 if flaps else 0)
    finally:
        if flaps:
            target.command("unflap")
    target.wait_ok()
    require(not problems and 1 <= len(seen) <= 2, f"{len(seen)} changes in 1000 polls: {problems[:1]}")
    return f"{len(seen)} key_ids in 1000 polls" + ("" if flaps else " of a steady store (--flap, --unflap)")


@check(73, "rotation", "a retired KEK decrypts and is never selected", "decrypt-only", api="v2", needs=("rotate",))
def retired(target):
    plain = os.urandom(32)
    box = target.encrypt(plain)
    old, new = rotated(target)
    with target.conn() as conn:
        for _ in range(100):
            require(target.encrypt(conn=conn).key_id != old, "the retired KEK sealed")
        require(target.decrypt(box, conn) == plain, "another plaintext")
    require(new != old, "key_id did not change")


@check(74, "rotation", "key_id survives restarts and reconnects", "it names the KEK, not the process, the node or the slot",
       api="v2", needs=("restart",))
def stable(target):
    before = target.status().key_id
    steps = {"restart": [("restart",)], "backend reconnect": [("outage",), ("restore",)],
             "another host name": [("move", "host")], "another slot": [("move", "slot")]}
    done = []
    for name, commands in steps.items():
        if not all(target.has(command[0]) for command in commands):
            continue
        try:
            for command in commands:
                target.command(*command)
        except NotApplicable as why:
            done.append(f"not {name} ({why})")
            continue
        target.wait_ok()
        require(target.status().key_id == before, f"changed by {name}")
        done.append(name)
    return ", ".join(done)


@check(75, "rotation", "the key_id hash is the API server's", "sha256 of the raw key_id, as in the metrics' labels",
       api="v2", needs=("key_id_hash",))
def hashes(target):
    want = hashlib.sha256(target.status().key_id).hexdigest()
    shown = target.command("key_id_hash")
    require(want in shown, f"sha256:{want} is not in {shown.strip()[:80]!r}")
    return f"sha256:{want[:16]}…"


@check(76, "rotation", "a rotation under load fails no Decrypt", "and at most one Encrypt per client is repeated",
       api="v2", needs=("rotate",))
def under_load(target):
    stop, failures, done = threading.Event(), [], [0]
    box = target.encrypt()
    clients = [threading.Thread(target=load, args=(target, box, stop, failures, done)) for _ in range(4)]
    for thread in clients:
        thread.start()
    try:
        rotated(target)
        time.sleep(1)
    finally:
        stop.set()
        for thread in clients:
            thread.join()
    require(not failures, f"{len(failures)} of {done[0]} calls failed: {failures[:1]}")
    return f"{done[0]} calls"


def load(target, box, stop, failures, done):
    repeated = 0
    try:
        with target.conn() as conn:
            while not stop.is_set():
                answer = target.decrypt_answer(box, conn)
                if answer.status != OK:
                    failures.append(f"Decrypt {answer.summary()}")
                answer = conn.call(V2 + "Encrypt", wire.encrypt_v2(SEED))
                repeated += answer.status != OK
                if repeated > 1:
                    failures.append(f"a second Encrypt to be repeated: {answer.summary()}")
                done[0] += 2
                conn.streams.clear()
    except (OSError, wire.Closed, wire.Timeout) as problem:
        failures.append(type(problem).__name__)
