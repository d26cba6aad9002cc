"""Statements 87 to 90: hostile peers, what stays in memory, and a machine without network."""
import os
import random
import time

from . import wire
from .calls import encrypt_path, pids, ping_path, still_serves
from .registry import NotApplicable, check, require
from .target import CALL_S, OK

SLOW = 64
KEPT_OPEN = 8


@check(87, "failure", "fuzzed frames and messages crash nothing", "and other connections are unaffected", long=True)
def fuzzed(target):
    rounds = 5000 if target.full else 300
    before = sorted(pids(target)) if target.has("pid_cmd") else None
    rng = random.Random(87)
    script = recorded(target)
    opened = []
    with target.conn() as witness:
        for _ in range(rounds):
            fuzz_frames(target, rng, script, opened)
            fuzz_message(target, rng, witness)
            still_serves(target, witness)
            witness.streams.clear()
    for sock in opened:
        sock.close()
    require(before is None or sorted(pids(target)) == before, "a process was replaced")
    return f"{rounds} mutated conversations and {rounds} mutated messages"


def fuzz_frames(target, rng, script, opened):
    """A good conversation with a few bytes changed, cut somewhere. The last few connections stay open, so that
    the server reads what it was sent before it learns that nobody listens."""
    data = bytearray(script)
    for _ in range(rng.randrange(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    sock = wire.connect(target.socket)
    try:
        sock.sendall(data[:rng.randrange(1, len(data) + 1)])
    except OSError:
        pass
    opened.append(sock)
    if len(opened) > KEPT_OPEN:
        opened.pop(0).close()


def fuzz_message(target, rng, conn):
    """Well-framed, with fields that are odd in number, tag, length or content."""
    path, message = encrypt_path(target)
    method = path.rsplit("/", 1)[0] + "/" + rng.choice(("Encrypt", "Decrypt", "Status", "Version"))
    parts = [message, wire.field(rng.randrange(1, 20), rng.randbytes(rng.randrange(0, 2000))),
             wire.varint(rng.randrange(0, 1 << 20)), wire.field(4, wire.field(1, b"k") * rng.randrange(0, 40))]
    rng.shuffle(parts)
    body = b"".join(parts[:rng.randrange(0, 5)])
    answer = conn.call(method, body[:rng.randrange(0, len(body) + 1)])
    require(answer.status is not None, f"{method}: {answer.summary()}")


def recorded(target):
    """The bytes of a good conversation."""
    conn = Recorder(target.socket)
    try:
        conn.start(*encrypt_path(target))
        return bytes(conn.script)
    finally:
        conn.close()


class Recorder(wire.Conn):
    """Keeps what would be sent instead of sending it."""

    def __init__(self, path):
        self.script = bytearray()
        super().__init__(path)

    def raw(self, data):
        self.script += data


@check(88, "failure", "slow clients do not delay an honest one",
       "64 connections that send one byte a second, in the preface, the headers or the body")
def slowloris(target):
    script = recorded(target)
    with target.conn() as honest:
        still_serves(target, honest)
        slow = [Slow(target, script, 1 + number * (len(script) - 40) // SLOW) for number in range(SLOW)]
        try:
            began = time.monotonic()
            with target.conn() as late:
                answer = late.call(*ping_path(target))
                fresh = time.monotonic() - began
                require(answer.status == OK, f"a new connection: {answer.summary()}")
            worst = worst_beside(target, honest, slow)
        finally:
            for client in slow:
                client.sock.close()
    require(worst < CALL_S, f"an honest client waited {worst:.2f} s")
    require(fresh < CALL_S, f"an honest client that came later waited {fresh:.2f} s")
    return f"honest calls at most {worst * 1000:.1f} ms, a new connection {fresh * 1000:.0f} ms beside {SLOW} slow clients"


def worst_beside(target, honest, slow):
    """The longest of the honest calls over three seconds in which each slow client sends a byte a second."""
    worst = 0.0
    for turn in range(30):
        for client in slow[turn % 10::10]:
            client.trickle()
        began = time.monotonic()
        still_serves(target, honest)
        worst = max(worst, time.monotonic() - began)
        time.sleep(0.1)
    return worst


class Slow:
    """Sends a good conversation, stuck at some place, from there on one byte at a time."""

    def __init__(self, target, script, place):
        self.rest = script[place:]
        self.sock = wire.connect(target.socket)
        self.send(script[:place])

    def trickle(self):
        self.send(self.rest[:1])
        self.rest = self.rest[1:]

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass


@check(89, "failure", "plaintexts do not stay in memory",
       "after the reply they are in no memory that can be swapped or dumped, and not in the log", needs=("pid_cmd",))
def wiped(target):
    if os.geteuid() != 0:
        raise NotApplicable("needs root to read the plugin's memory")
    start = target.log_size() if target.has("log") else 0
    marks = [os.urandom(32) for _ in range(500)]
    with target.conn() as conn:
        for mark in marks:
            if target.options.v2:
                require(target.decrypt(target.encrypt(mark, conn), conn) == mark, "another plaintext")
            if target.options.v1:
                require(target.decrypt_v1(target.encrypt_v1(mark, conn), conn) == mark, "another plaintext")
    time.sleep(1)
    hits = sum(unlocked_hits(pid, marks) for pid in pids(target))
    require(hits == 0, f"{hits} plaintexts in memory that is not locked and undumpable")
    logged = target.log_from(start) if target.has("log") else ""
    require(not any(mark.hex() in logged for mark in marks), "a plaintext is in the log")
    return f"{len(marks)} plaintexts, none left" + ("" if target.has("log") else "; log not looked at (--log)")


def unlocked_hits(pid, marks):
    """Occurrences of the marks outside mappings that are locked (lo) and undumpable (dd)."""
    hits = 0
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as smaps, \
            open(f"/proc/{pid}/mem", "rb", 0) as memory:
        span = None
        for line in smaps:
            head = line.split(None, 1)[0]
            if "-" in head and not head.endswith(":"):
                low, high = (int(x, 16) for x in head.split("-"))
                span = (low, high)
            elif line.startswith("VmFlags:") and span:
                flags = line.split()[1:]
                if "rd" in flags and not ("lo" in flags and "dd" in flags):
                    hits += search(memory, span, marks)
    return hits


def search(memory, span, marks):
    try:
        memory.seek(span[0])
        data = memory.read(span[1] - span[0])
    except (OSError, ValueError, OverflowError):
        return 0
    return sum(1 for mark in marks if mark[:16] in data or mark[16:] in data)


@check(90, "failure", "it serves with no network and no API server", "no dependency on cluster DNS, secrets or the CNI",
       needs=("isolated",))
def isolated(target):
    target.command("isolated")
    target.wait_ok()
    path, message = encrypt_path(target)
    with target.conn() as conn:
        answer = conn.call(path, message)
        require(answer.status == OK, answer.summary())
    return "started and served without a network"
