"""Statements 77 to 90: failures.

--outage CMD takes the backend away, --restore CMD brings it back; --hang and --unhang do the same with a backend that
answers nothing; --pid-cmd CMD prints the process ids of the plugin.
"""
import os
import random
import threading
import time

from . import wire
from .registry import Failed, NotApplicable, check, require
from .target import DEADLINE, OK, SEED, UNAVAILABLE
from .transport import encrypt_path, ping_path, still_serves
from .wire import V2, encrypt_v2


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


@check(77, "failure", "with the backend away calls that need it fail in time",
       "14 (or 4) within the caller's 3 s; the process stays up and recovers by itself", api="v2",
       needs=("outage", "restore", "foreign"))
def backend_away(target):
    """--foreign CMD prints a v2 ciphertext (hex) and its key_id whose seed the plugin has not opened yet."""
    cipher, key_id = target.command("foreign").split()[-2:]
    target.command("outage")
    try:
        with target.conn() as conn:
            began = time.monotonic()
            answer = conn.call(V2 + "Decrypt", wire.decrypt_v2(bytes.fromhex(cipher), key_id))
            took = time.monotonic() - began
            require(answer.status in (UNAVAILABLE, DEADLINE), answer.summary())
            require(took <= 3.1, f"after {took:.2f} s")
    finally:
        target.command("restore")
    back = target.wait_ok()
    return f"{answer.status} after {took:.2f} s; ok {back:.1f} s after the backend was back"


@check(78, "failure", "a destroyed KEK leads to the configured answer",
       "an RPC error stops writes within 3 minutes; a healthz text lets them go on", api="v2", needs=("destroy",))
def destroyed(target):
    """--destroy CMD makes the active KEK unusable for good (run last: the plugin is not used after it)."""
    target.command("destroy")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with target.conn() as conn:
            answer = conn.call(V2 + "Status")
        if answer.status != OK:
            return f"Status: {answer.summary()}"
        healthz = wire.last(wire.fields(answer.message), 2)
        if healthz != b"ok":
            return f"healthz {healthz.decode('utf-8', 'replace')!r}"
        time.sleep(0.5)
    raise Failed("Status still says ok 60 s after the KEK was destroyed")


@check(79, "failure", "one-sided breakage is noticed", "Status tries both directions of the backend", api="v2",
       needs=("break_decrypt", "restore"))
def one_sided(target):
    """--break-decrypt CMD leaves the backend able to wrap but not to unwrap."""
    target.command("break_decrypt")
    try:
        deadline = time.monotonic() + (target.options.noticed_within or 120)
        while time.monotonic() < deadline:
            with target.conn() as conn:
                answer = conn.call(V2 + "Status")
            if answer.status != OK or wire.last(wire.fields(answer.message), 2) != b"ok":
                return answer.summary()
            time.sleep(0.5)
        raise Failed("Status says ok although the backend cannot decrypt")
    finally:
        target.command("restore")


@check(80, "failure", "healthz is never ok while Encrypt must fail", "and returns to ok without a restart", api="v2",
       needs=("outage", "restore"))
def healthz_true(target):
    target.command("outage")
    try:
        until = time.monotonic() + (70 if target.full else 15)
        while time.monotonic() < until:
            with target.conn() as conn:
                status = conn.call(V2 + "Status")
                encrypt = conn.call(V2 + "Encrypt", encrypt_v2(SEED))
                again = conn.call(V2 + "Status")
            says_ok = all(s.status == OK and wire.last(wire.fields(s.message), 2) == b"ok" for s in (status, again))
            require(not says_ok or encrypt.status == OK, f"Status ok, Encrypt: {encrypt.summary()}")
            time.sleep(0.5)
    finally:
        target.command("restore")
    return f"ok again after {target.wait_ok():.1f} s"


@check(81, "failure", "kill -9 and a restart heal within 5 s", "with a held socket no call fails that was not in flight",
       needs=("kill", "start"))
def killed(target):
    path, message = ping_path(target)
    target.command("kill")
    began = time.monotonic()
    target.command("start")
    while True:
        try:
            with target.conn() as conn:
                if conn.call(path, message).status == OK:
                    break
        except (OSError, wire.Closed, wire.Timeout):
            pass
        require(time.monotonic() - began < 5, "not served within 5 s of the start")
        time.sleep(0.02)
    return f"served {time.monotonic() - began:.2f} s after the start"


@check(82, "failure", "a late start is found by waiting clients", "the client's back-off is at most 31 s of 75 s; at once with a held socket",
       needs=("kill", "start", "grpc_client"))
def late_start(target):
    """--grpc-client CMD: a real client; it is given SOCKET and prints the seconds until its call succeeded."""
    absent = 75 if target.full else 10
    target.command("kill")
    box = {}

    def client():
        try:
            box["seconds"] = float(target.command("grpc_client", target.socket).split()[-1])
        except (Failed, ValueError) as problem:
            box["problem"] = str(problem)

    thread = threading.Thread(target=client)
    thread.start()
    time.sleep(absent)
    target.command("start")
    thread.join(120)
    require("seconds" in box, box.get("problem", "the client never succeeded"))
    extra = box["seconds"] - absent
    require(extra <= 55, f"{extra:.1f} s after the start")
    return f"{extra:.1f} s after a start that was {absent} s late"


@check(83, "failure", "nothing leaks", "descriptors and memory are level over many calls, connections and errors",
       needs=("pid_cmd",))
def no_leak(target):
    calls, connections = (10 ** 6, 10 ** 4) if target.full else (10 ** 4, 500)
    path, message = encrypt_path(target)

    def load(n):
        with target.conn() as conn:
            for _ in range(n // 100):
                sids = [conn.start(path, message) for _ in range(90)] + \
                       [conn.start(path, b"\xff\xff") for _ in range(10)]
                conn.wait_all(sids)
                conn.streams.clear()
        for _ in range(connections // 10):
            with target.conn() as conn:
                conn.call(path, message)

    load(2000)
    time.sleep(1)
    fds, kb = resources(target)
    for _ in range(10):
        load(calls // 10)
    time.sleep(1)
    fds_after, kb_after = resources(target)
    require(fds_after <= fds + 2, f"descriptors {fds} -> {fds_after}")
    require(kb_after <= kb + 1024, f"resident {kb} kB -> {kb_after} kB")
    return f"{calls} calls, {connections} connections: {fds}->{fds_after} descriptors, {kb}->{kb_after} kB"


@check(84, "failure", "loss of the backend's session is healed", "calls get 14 meanwhile, then all is well", api="v2",
       needs=("outage", "restore"))
def session_loss(target):
    plain = os.urandom(32)
    box = target.encrypt(plain)
    for _ in range(3):
        target.command("outage")
        time.sleep(1)
        target.command("restore")
        target.wait_ok()
        require(target.decrypt(box) == plain, "another plaintext")
        require(target.decrypt(target.encrypt(plain)) == plain, "another plaintext")
    return "3 outages"


@check(85, "failure", "a full disk and a jumping clock do not disturb calls", "neither is on the path of a call",
       needs=("disturb", "undisturb"))
def disturbed(target):
    """--disturb CMD fills the plugin's state folder or steps its clock; --undisturb CMD undoes it."""
    path, message = encrypt_path(target)
    target.command("disturb")
    try:
        with target.conn() as conn:
            for _ in range(100):
                answer = conn.call(path, message)
                require(answer.status == OK, answer.summary())
    finally:
        target.command("undisturb")


@check(86, "failure", "SIGTERM never means silence", "a call in flight is answered or gets 14, at once", needs=("stop", "start"))
def sigterm(target):
    path, message = encrypt_path(target)
    with target.conn() as conn:
        still_serves(target, conn)
        stopper = threading.Thread(target=lambda: target.command("stop"))
        sids = [conn.start(path, message) for _ in range(100)]
        began = time.monotonic()
        stopper.start()
        try:
            conn.wait_all(sids, 10.0)
        except wire.Closed:
            pass
        except wire.Timeout:
            raise Failed("silence for 10 s") from None
        took = time.monotonic() - began
        stopper.join()
    target.command("start")
    target.wait_ok() if target.options.v2 else time.sleep(2)
    return f"answered or closed after {took * 1000:.0f} ms"


@check(87, "failure", "fuzzed frames crash nothing", "and other connections are unaffected")
def fuzzed(target):
    rounds = 5000 if target.full else 300
    rng = random.Random(87)
    path, message = encrypt_path(target)
    with target.conn() as witness:
        for _ in range(rounds):
            conn = Recorder(target.socket)
            try:
                conn.start(path, message)
                data = bytearray(conn.sent)
            finally:
                conn.close()
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            sock = wire.connect(target.socket)
            try:
                sock.sendall(data[:rng.randrange(1, len(data) + 1)])
            except OSError:
                pass
            sock.close()
            still_serves(target, witness)
    return f"{rounds} mutated conversations"


class Recorder(wire.Conn):
    """Keeps what would be sent instead of sending it."""

    def __init__(self, path):
        self.sent = bytearray()
        super().__init__(path)

    def raw(self, data):
        self.sent += data


@check(88, "failure", "slow clients do not delay an honest one", "one byte a second in preface, headers and body on many connections")
def slowloris(target):
    path, message = encrypt_path(target)
    recorder = Recorder(target.socket)
    recorder.start(path, message)
    script = bytes(recorder.sent)
    recorder.close()
    slow = []
    for index in range(48):
        sock = wire.connect(target.socket)
        sock.sendall(script[:1 + index * (len(script) - 2) // 48])
        slow.append(sock)
    try:
        times = []
        for turn in range(50):
            slow[turn % len(slow)].send(b"\0") if turn % 5 == 0 else None
            began = time.monotonic()
            still_serves(target)
            times.append(time.monotonic() - began)
    except BrokenPipeError:
        pass
    finally:
        for sock in slow:
            sock.close()
    worst = max(times)
    require(worst < 1.0, f"an honest client waited {worst:.2f} s")
    return f"worst {worst * 1000:.1f} ms beside 48 slow clients"


@check(89, "failure", "plaintexts do not stay in memory", "after the reply nothing of them is in readable memory",
       needs=("pid_cmd",))
def wiped(target):
    if os.geteuid() != 0:
        raise NotApplicable("needs root to read the plugin's memory")
    marks = [os.urandom(32) for _ in range(500)]
    if target.options.v2:
        with target.conn() as conn:
            for mark in marks:
                require(target.decrypt(target.encrypt(mark, conn), conn) == mark, "another plaintext")
    else:
        with target.conn() as conn:
            for mark in marks:
                require(target.decrypt_v1(target.encrypt_v1(mark, conn), conn) == mark, "another plaintext")
    time.sleep(1)
    hits = sum(unlocked_hits(pid, marks) for pid in pids(target))
    require(hits == 0, f"{hits} plaintexts in memory that is not locked and undumpable")
    return f"{len(marks)} plaintexts, none left"


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
    """--isolated CMD starts the plugin in an empty network namespace, asks it once, and exits 0 when it was served."""
    target.command("isolated")


