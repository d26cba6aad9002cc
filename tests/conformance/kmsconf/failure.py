"""Statements 77 to 86: what breaks around the plugin, and how it heals."""
import os
import threading
import time

from . import clients, wire
from .calls import decrypt_of, encrypt_path, grew, ping_path, resources, still_serves
from .registry import Failed, NotApplicable, check, require
from .target import DEADLINE, OK, SEED, UNAVAILABLE
from .wire import V2, encrypt_v2

ANSWER_S = 2.5       # of a call's 3 s
MEASURED_S = 0.4     # what a busy machine may add until this client sees it; still within the 3 s
RECOVERY_S = 5.0
BACKOFF_S = 55.0
DISTURBANCES = ("full-disk", "read-only-log", "clock-forward", "clock-back")


def says_ok(answer):
    return answer.status == OK and wire.last(wire.fields(answer.message), 2) == b"ok"


@check(77, "failure", "with the backend away calls that need it fail in time",
       "14 within 2.5 of the caller's 3 s; the process stays up and recovers by itself", api="v2",
       needs=("outage", "restore", "foreign"))
def backend_away(target):
    seen = [away(target, "outage", "restore")]
    if target.has("hang") and target.has("unhang"):
        seen.append(away(target, "hang", "unhang"))
    return "; ".join(seen)


def away(target, breaks, mends):
    """A Decrypt that must ask the backend, and an Encrypt, which a cache may serve."""
    box = target.box("foreign")
    target.command(breaks)
    try:
        with target.conn() as conn:
            answer, took = timed(conn, *decrypt_of(box))
            require(answer.status == UNAVAILABLE, f"{breaks}: Decrypt: {answer.summary()}")
            require(took <= ANSWER_S + MEASURED_S, f"{breaks}: Decrypt answered after {took:.2f} s")
            sealed, sealed_after = timed(conn, V2 + "Encrypt", encrypt_v2(SEED))
            require(sealed.status in (OK, UNAVAILABLE), f"{breaks}: Encrypt: {sealed.summary()}")
            require(sealed_after <= ANSWER_S + MEASURED_S, f"{breaks}: Encrypt answered after {sealed_after:.2f} s")
    finally:
        target.command(mends)
    back = target.wait_ok()
    answer = eventually(target, box)
    require(answer.status == OK, f"after --{mends}: Decrypt {answer.summary()}")
    return (f"{breaks}: Decrypt {UNAVAILABLE} after {took:.2f} s, Encrypt {sealed.status}, "
            f"ok {back:.1f} s after the backend was back")


def timed(conn, path, message):
    began = time.monotonic()
    answer = conn.call(path, message)
    return answer, time.monotonic() - began


def eventually(target, box, seconds=60):
    """The Decrypt again until it is served: Status may be ok before the backend is asked again."""
    deadline = time.monotonic() + seconds
    while True:
        answer = target.decrypt_answer(box)
        if answer.status == OK or time.monotonic() > deadline:
            return answer
        time.sleep(0.2)


@check(78, "failure", "a destroyed KEK leads to the configured answer",
       "an RPC error stops writes within 3 minutes; a healthz text lets them go on", api="v2", needs=("destroy",))
def destroyed(target):
    target.command("destroy")
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with target.conn() as conn:
            answer = conn.call(V2 + "Status")
        if not says_ok(answer):
            return policy_kept(target, answer)
        time.sleep(0.5)
    raise Failed("Status still says ok 3 minutes after the KEK was destroyed")


def policy_kept(target, answer):
    policy = "error" if answer.status != OK else "text"
    seen = answer.summary() if policy == "error" else \
        "healthz " + repr(wire.last(wire.fields(answer.message), 2).decode("utf-8", "replace"))
    wanted = target.options.policy
    require(wanted in (None, policy), f"the policy is {wanted}; Status: {seen}")
    return f"{policy}: {seen}" + ("" if wanted else " (the configured policy was not told: --policy)")


@check(79, "failure", "one-sided breakage is noticed", "Status tries both directions of the backend", api="v2",
       needs=("break_decrypt", "break_encrypt", "restore"))
def one_sided(target):
    """A breakage of which no Encrypt or Decrypt can tell is none: then the calls themselves must succeed."""
    bound = target.options.noticed_within or 60
    return "; ".join(noticed(target, side, bound) for side in ("decrypt", "encrypt"))


def noticed(target, side, bound):
    target.wait_ok()
    target.command("break_" + side)
    began = time.monotonic()
    try:
        while time.monotonic() - began < bound:
            with target.conn() as conn:
                if not says_ok(conn.call(V2 + "Status")):
                    return f"{side}: noticed after {time.monotonic() - began:.0f} s"
            time.sleep(0.5)
        require(side == "encrypt" and target.encrypt().ciphertext,
                f"Status says ok {bound:.0f} s after the backend cannot {side}")
        return f"{side}: ok throughout {bound:.0f} s, and Encrypt was served"
    except Failed as why:
        raise Failed(f"break-{side}: {why}") from None
    finally:
        target.command("restore")
        target.wait_ok()


@check(80, "failure", "healthz is never ok while Encrypt must fail", "and returns to ok without a restart", api="v2",
       needs=("outage", "restore"), long=True)
def healthz_true(target):
    target.command("outage")
    try:
        until = time.monotonic() + (120 if target.full else 15)
        while time.monotonic() < until:
            with target.conn() as conn:
                status = conn.call(V2 + "Status")
                encrypt = conn.call(V2 + "Encrypt", encrypt_v2(SEED))
                again = conn.call(V2 + "Status")
            require(not (says_ok(status) and says_ok(again)) or encrypt.status == OK,
                    f"Status ok, Encrypt: {encrypt.summary()}")
            time.sleep(0.5)
    finally:
        target.command("restore")
    return f"Encrypt at the end of the outage: {encrypt.status}; ok {target.wait_ok():.1f} s after it"


@check(81, "failure", "kill -9 and a restart heal within 5 s", "with a held socket no call fails that was not in flight",
       needs=("kill", "start"))
def killed(target):
    api = "v2" if target.options.v2 else "v1"
    go = [clients.start(helper, target.socket, "roundtrip", during="12s", timeout="20s", api=api)
          for helper in clients.need_helpers(target)]
    time.sleep(2)
    down = time.monotonic()
    target.command("kill")
    time.sleep(1)
    target.command("start")
    down = time.monotonic() - down
    raw = served_after(target)
    seen = [f"raw client after {raw:.2f} s"]
    for process in go:
        report = clients.finish(process)
        recovered = report["slowest_ms"] / 1000 - down
        require(report["failed"] <= 1, f"{report['failed']} calls failed; {clients.explain(report)}")
        require(recovered <= RECOVERY_S, f"grpc-go {report['grpc']}: {recovered:.1f} s after the socket was back")
        seen.append(f"grpc-go {report['grpc']} {max(recovered, 0):.1f} s, {report['failed']} call in flight failed")
    return "; ".join(seen) + held_kill(target)


def served_after(target):
    path, message = ping_path(target)
    began = time.monotonic()
    while time.monotonic() - began < RECOVERY_S:
        try:
            with target.conn() as conn:
                if conn.call(path, message).status == OK:
                    return time.monotonic() - began
        except (OSError, wire.Closed, wire.Timeout):
            pass
        time.sleep(0.02)
    raise Failed(f"not served within {RECOVERY_S:.0f} s of the start")


def held_kill(target):
    """Calls made while nobody serves the held socket wait for the next process."""
    if not (target.has("activation") and target.has("held_socket")):
        return "; a held socket was not asked (--activation, --held-socket)"
    held = target.at(target.options.held_socket)
    path, message = ping_path(target)
    target.command("activation", "kill")
    waiting = [held.conn() for _ in range(8)]
    sids = [conn.start(path, message, grpc_timeout="60S") for conn in waiting]
    target.command("activation", "start")
    for conn, sid in zip(waiting, sids):
        answer = conn.wait(sid, 60)
        conn.close()
        require(answer.status == OK, f"held socket: {answer.summary()}")
    return f"; held socket: {len(sids)} of {len(sids)} waiting calls served"


@check(82, "failure", "a late start is found by waiting clients",
       "a client's back-off ends at most 55 s after the start; with a held socket it is served at once",
       needs=("kill", "start"), long=True)
def late_start(target):
    absent = 75 if target.full else 10
    api = "v2" if target.options.v2 else "v1"
    found = clients.need_helpers(target)
    target.command("kill")
    began = time.monotonic()
    go = [clients.start(helper, target.socket, "wait", within="3m", api=api) for helper in found]
    time.sleep(absent)
    target.command("start")
    ready = time.monotonic() - began
    seen = []
    for process in go:
        report = clients.finish(process)
        require(report["ok"], clients.explain(report))
        extra = max(report["seconds"] - ready, 0)
        require(extra <= BACKOFF_S, f"grpc-go {report['grpc']}: {extra:.1f} s after the start")
        seen.append(f"grpc-go {report['grpc']} {extra:.1f} s")
    return f"{absent} s late; after the start: " + ", ".join(seen)


@check(83, "failure", "nothing leaks", "descriptors, memory and sessions are level over many calls, connections and errors",
       needs=("pid_cmd",), long=True)
def no_leak(target):
    calls, connections, errors = (10 ** 6, 10 ** 4, 10 ** 4) if target.full else (10 ** 4, 10 ** 3, 10 ** 3)
    load(target, 5000, 100, 100)
    time.sleep(1)
    before, sessions = resources(target), opened(target)
    load(target, calls, connections, errors)
    sessions_after = opened(target)
    require(sessions is None or sessions_after - sessions <= 2, f"{sessions} -> {sessions_after} sessions were opened")
    failed = backend_errors(target, errors)
    time.sleep(1)
    after = resources(target)
    grown = grew(before, after)
    require(grown is None, grown)
    return (f"{calls} calls, {connections} connections, {errors} errors, {failed}: {before[0]} -> {after[0]} descriptors, "
            f"{before[1]} -> {after[1]} kB") + ("" if sessions is None else ", no new session")


def backend_errors(target, errors):
    """Decrypts that the backend itself fails; what was asked, in words."""
    if not (target.options.v2 and target.has("break_decrypt") and target.has("restore") and target.has("foreign")):
        return "none of the backend (--break-decrypt, --restore, --foreign)"
    box = target.box("foreign")
    target.command("break_decrypt")
    try:
        refused(target, box, errors)
    finally:
        target.command("restore")
    target.wait_ok()
    require(eventually(target, box).status == OK, "the backend is back, but Decrypt fails")
    return f"{errors} Decrypts that the backend failed"


def opened(target):
    return target.number("sessions") if target.has("sessions") else None


def load(target, calls, connections, errors):
    """Errors are Decrypts of a ciphertext that the backend cannot open (--unknown), else of an altered one."""
    path, message = encrypt_path(target)
    with target.conn() as conn:
        for _ in range(calls // 100):
            for stream in conn.wait_all([conn.start(path, message) for _ in range(100)]):
                require(stream.status == OK, stream.summary())
            conn.streams.clear()
    for _ in range(connections):
        with target.conn() as conn:
            require(conn.call(path, message).status == OK, "a call on a fresh connection failed")
    if target.options.v2:
        refusals(target, errors)


def refusals(target, errors):
    box = target.box("unknown") if target.has("unknown") else target.encrypt()
    if not target.has("unknown"):
        box.ciphertext = box.ciphertext[:-1] + bytes([box.ciphertext[-1] ^ 1])
    refused(target, box, errors)


def refused(target, box, errors):
    with target.conn() as conn:
        for _ in range(errors // 100):
            for stream in conn.wait_all([conn.start(*decrypt_of(box)) for _ in range(100)]):
                require(stream.status not in (None, OK), stream.summary())
            conn.streams.clear()


@check(84, "failure", "loss of the backend's session is healed", "calls get 14 meanwhile, then all is well", api="v2",
       needs=("outage", "restore", "foreign"))
def session_loss(target):
    plain = os.urandom(32)
    box = target.encrypt(plain)
    seen = set()
    for _ in range(3):
        cold = target.box("foreign")
        target.command("outage")
        try:
            with target.conn() as conn:
                sids = [conn.start(*decrypt_of(cold)) for _ in range(20)]
                seen |= {stream.status for stream in conn.wait_all(sids)}
        finally:
            target.command("restore")
        target.wait_ok()
        answer = eventually(target, cold)
        require(answer.status == OK, f"after the outage: {answer.summary()}")
        require(target.decrypt(box) == plain, "another plaintext")
        require(target.decrypt(target.encrypt(plain)) == plain, "another plaintext")
    require(seen == {UNAVAILABLE}, f"during the outages: {sorted(seen, key=str)}")
    return "3 outages, 60 concurrent calls got 14"


@check(85, "failure", "a full disk, a dead log and a jumping clock do not disturb calls",
       "none of them is on the path of a call", needs=("disturb", "undisturb"))
def disturbed(target):
    done, not_here = [], []
    for what in DISTURBANCES:
        try:
            target.command("disturb", what)
            serves_all(target, what)
            done.append(what)
        except NotApplicable as why:
            not_here.append(f"{what}: {why}")
        finally:
            target.command("undisturb", what)
    if not done:
        raise NotApplicable("; ".join(not_here))
    return ", ".join(done) + ("; not asked: " + "; ".join(not_here) if not_here else "")


def serves_all(target, what):
    path, message = encrypt_path(target)
    with target.conn() as conn:
        for _ in range(100):
            answer = conn.call(path, message)
            require(answer.status == OK, f"{what}: {answer.summary()}")
        if target.options.v2:
            require(target.decrypt(target.encrypt(conn=conn), conn) == SEED, f"{what}: another plaintext")
            require(target.status(conn).healthz == "ok", f"{what}: Status is not ok")


@check(86, "failure", "SIGTERM never means silence", "a call in flight is answered or gets 14, before its deadline",
       needs=("stop", "start"))
def sigterm(target):
    cold = target.options.v2 and all(target.has(name) for name in ("hang", "unhang", "foreign"))
    seen = stopped_during(target, encrypt_path(target), 100)
    if cold:
        box = target.box("foreign")
        target.command("hang")
        try:
            seen += "; with the backend hung: " + stopped_during(target, decrypt_of(box), 10, mend="unhang")
        finally:
            target.command("unhang")
            target.wait_ok()
    return seen


def silence(conn, sids):
    try:
        conn.wait_all(sids, 3.0)
    except wire.Closed:
        pass
    except wire.Timeout:
        return True
    return False


def stopped_during(target, call, count, mend=None):
    """SIGTERM with these calls in flight; each must be answered, or its connection closed, in its 3 s."""
    with target.conn() as conn:
        still_serves(target, conn)
        sids = [conn.start(*call) for _ in range(count)]
        began = time.monotonic()
        stopper = threading.Thread(target=target.command, args=("stop",))
        stopper.start()
        silent = silence(conn, sids)
        took = time.monotonic() - began
        stopper.join()
        statuses = {conn.streams[sid].status for sid in sids}
    if mend:
        target.command(mend)
    target.command("start")
    target.wait_ok()
    require(not silent, "silence until the deadline of 3 s")
    odd = statuses - {OK, UNAVAILABLE, DEADLINE, None}
    require(not odd, f"answered with {sorted(odd)}")
    return f"{count} calls ended within {took * 1000:.0f} ms: {', '.join(sorted(map(str, statuses)))}"
