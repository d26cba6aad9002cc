"""The calls that most checks make."""
import os
import time

from . import wire
from .registry import Failed, require
from .target import OK, SEED
from .wire import V1, V2, encrypt_v1, encrypt_v2

STATUS = V2 + "Status"
UNKNOWN = "/v2.KeyManagementService/Nope"


def ping_path(target):
    """A call that every plugin under test serves, with its request."""
    return (STATUS, b"") if target.options.v2 else (V1 + "Version", wire.field(1, "v1beta1"))


def still_serves(target, conn=None):
    path, message = ping_path(target)
    if conn is None:
        with target.conn() as fresh:
            answer = fresh.call(path, message)
    else:
        answer = conn.call(path, message)
    require(answer.status == OK, f"afterwards {path}: {answer.summary()}")


def encrypt_path(target):
    if target.options.v2:
        return V2 + "Encrypt", encrypt_v2(SEED)
    return V1 + "Encrypt", encrypt_v1(SEED)


def decrypt_of(box):
    """Path and request of the v2 Decrypt of a ciphertext."""
    return V2 + "Decrypt", wire.decrypt_v2(box.ciphertext, box.key_id, box.annotations)


def rotated(target, seconds=90.0):
    """Rotates; returns (old, new) key_id once Status shows the new one. KMS v1 alone has no key_id to see."""
    if not target.options.v2:
        return target.command("rotate"), None
    before = target.status().key_id
    target.command("rotate")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = target.status().key_id
        if now != before:
            return before, now
        time.sleep(0.2)
    raise Failed(f"key_id did not change within {seconds:.0f} s of --rotate")


def pids(target):
    return [int(word) for word in target.command("pid_cmd").split()]


def resources(target):
    """(open descriptors, resident kB) over all processes of the plugin."""
    fds = kb = 0
    for pid in pids(target):
        fds += len(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            kb += next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return fds, kb


def grew(before, after):
    """What grew beyond a page here and there: a twentieth and 1 MiB, two descriptors; or None."""
    if after[0] > before[0] + 2:
        return f"descriptors {before[0]} -> {after[0]}"
    if after[1] > before[1] + before[1] // 20 + 1024:
        return f"resident {before[1]} kB -> {after[1]} kB"
    return None
