"""Statements 15 to 28: what a server refuses, and what it must carry."""
import gzip
import threading
import time

from hyperframe.frame import SettingsFrame, WindowUpdateFrame

from . import wire
from .calls import UNKNOWN, decrypt_of, encrypt_path, grew, ping_path, resources, still_serves
from .registry import Failed, NotApplicable, check, require
from .target import CALL_S, DEADLINE, EXHAUSTED, INTERNAL, INVALID, OK, UNAVAILABLE, UNIMPLEMENTED
from .wire import V2, prefix

MAX_STREAMS = SettingsFrame.MAX_CONCURRENT_STREAMS


@check(15, "transport", "a compressed request gets 13 or 12",
       "flag 1 without grpc-encoding is broken framing (13); gzip that is not supported is 12")
def compressed_request(target):
    path, message = encrypt_path(target)
    with target.conn() as conn:
        answer = conn.call(path, body=prefix(message, flag=1))
        require(answer.status == INTERNAL, f"flag 1 without grpc-encoding: {answer.summary()}")
        packed = gzip.compress(message)
        answer = conn.call(path, body=prefix(packed, flag=1), extra=[("grpc-encoding", "gzip")])
        require(answer.status in (UNIMPLEMENTED, OK), f"gzip: {answer.summary()}")
        return f"gzip: {answer.summary()}"


@check(16, "transport", "unknown methods get 12", "trailers-only UNIMPLEMENTED, never silence")
def unknown_methods(target):
    with target.conn() as conn:
        for path in (UNKNOWN, "/v2alpha1.KeyManagementService/Status", "/"):
            answer = conn.call(path)
            require(answer.status == UNIMPLEMENTED, f"{path}: {answer.summary()}")
        health = conn.call("/grpc.health.v1.Health/Check")
        require(health.status in (UNIMPLEMENTED, OK, 5), f"grpc.health.v1: {health.summary()}")


@check(17, "transport", "paths are case-sensitive", "gRPC method names are exact")
def case_sensitive(target):
    with target.conn() as conn:
        answer = conn.call("/V2.keymanagementservice/status")
        require(answer.status == UNIMPLEMENTED, answer.summary())


@check(18, "transport", "malformed protobuf gets 13 and the connection goes on",
       "a bad varint, a truncated field, a wrong wire type")
def malformed_protobuf(target):
    path, _ = encrypt_path(target)
    number = 1 if path.startswith(V2) else 2
    tag = wire.varint(number << 3 | 2)
    cases = {"bad varint": b"\xff" * 11, "truncated field": tag + b"\x20abc",
             "wrong wire type": wire.varint(number << 3 | 0) + b"\x01"}
    with target.conn() as conn:
        for name, message in cases.items():
            answer = conn.call(path, message)
            require(answer.status == INTERNAL, f"{name}: {answer.summary()}")
        still_serves(target, conn)


@check(19, "transport", "broken message framing gets 13, two messages an error",
       "a length prefix that lies, or a second message, is never silently used")
def broken_framing(target):
    path, message = encrypt_path(target)
    with target.conn() as conn:
        answer = conn.call(path, body=prefix(message, length=len(message) + 1))
        require(answer.status == INTERNAL, f"prefix larger than the body: {answer.summary()}")
        answer = conn.call(path, body=prefix(message) + prefix(message))
        require(answer.status not in (None, OK), f"two messages: {answer.summary()}")
        still_serves(target, conn)
        return f"two messages: {answer.summary()}"


@check(20, "transport", "an oversized declared length gets 8 before anything is buffered",
       "0xFFFFFFFF as a length must not make memory grow")
def oversized_length(target):
    before = resources(target) if target.has("pid_cmd") else None
    with target.conn() as conn:
        for length in (64 << 20, 0xFFFFFFFF) * 20:
            oversized(target, conn, length)
        still_serves(target, conn)
    if before is None:
        return "memory not looked at (--pid-cmd)"
    grown = grew(before, resources(target))
    require(grown is None, grown)
    return "memory is level"


def oversized(target, conn, length):
    path, _ = encrypt_path(target)
    sid = conn.open()
    conn.send_headers(sid, wire.grpc_headers(path))
    conn.send_data(sid, prefix(b"x" * 10, length=length), end=False)
    try:
        answer = conn.wait(sid, 5.0)
    except wire.Timeout:
        raise Failed(f"length {length}: no answer before the message has come") from None
    require(answer.status == EXHAUSTED, f"length {length}: {answer.summary()}")


@check(21, "transport", "the largest legal messages get through the transport",
       "a v2 Decrypt with 32 KiB of annotations, a v1 Decrypt with a cipher of 65535 bytes")
def largest_messages(target):
    """The answer may be that it is no ciphertext (3), not that it is too large or broken."""
    answers = {}
    with target.conn() as conn:
        if target.options.v2:
            box = target.encrypt(conn=conn)
            heavy = [(f"a{i}.conformance.example", b"v" * 1000) for i in range(32)]
            answers["v2"] = target.decrypt_answer(box, conn, annotations=box.annotations + heavy)
        if target.options.v1:
            answers["v1"] = target.decrypt_v1_answer(b"c" * 65535, conn)
    for api, answer in answers.items():
        require(answer.status in (OK, INVALID), f"{api}: {answer.summary()}")
    return "; ".join(f"{api}: {answer.summary()}" for api, answer in answers.items())


@check(22, "transport", "every form of grpc-timeout parses, broken ones do no harm",
       "1 to 8 digits and one of H M S m u n")
def timeouts(target):
    path, message = ping_path(target)
    with target.conn() as conn:
        for text in ("2999210u", "99999999n", "3S", "1M", "1H", "100000m", "99999999H"):
            answer = conn.call(path, message, grpc_timeout=text)
            require(answer.status == OK, f"{text}: {answer.summary()}")
        for text in ("123456789S", "3", "", "-1S", "S", "3x", "3S3S"):
            answer = conn.call(path, message, grpc_timeout=text)
            require(answer.ended or answer.reset is not None, f"{text!r}: no answer")
        still_serves(target, conn)


@check(23, "transport", "an elapsed deadline is answered on its own stream only",
       "late work is dropped and never lands on another stream")
def deadlines(target):
    path, message = ping_path(target)
    epath, emessage = encrypt_path(target)
    with target.conn() as conn:
        reference = conn.call(path, message).message
        short = [conn.start(epath, emessage, grpc_timeout="1n") for _ in range(50)]
        good = [conn.start(path, message) for _ in range(50)]
        for stream in conn.wait_all(short, 10.0):
            require(stream.status in (OK, DEADLINE) or stream.reset is not None, f"1 ns: {stream.summary()}")
        for stream in conn.wait_all(good, 10.0):
            require(stream.status == OK and stream.message == reference, f"beside it: {stream.summary()}")
    if not (target.options.v2 and target.has("hang") and target.has("unhang") and target.has("foreign")):
        return "not asked with a hung backend (--hang, --unhang, --foreign)"
    return hung_deadline(target)


def hung_deadline(target):
    """A call that waits for the backend ends at its own deadline, and the connection goes on."""
    box = target.box("foreign")
    target.command("hang")
    try:
        with target.conn() as conn:
            began = time.monotonic()
            answer = conn.call(*decrypt_of(box), grpc_timeout="500m")
            took = time.monotonic() - began
            require(answer.status in (DEADLINE, UNAVAILABLE) or answer.reset is not None, answer.summary())
            require(took < 3, f"500 ms: answered after {took:.2f} s")
            still_serves(target, conn)
    finally:
        target.command("unhang")
    target.wait_ok()
    return f"500 ms with the backend hung: {answer.summary()} after {took * 1000:.0f} ms"


@check(24, "transport", "cancelled streams leak nothing and cost no GOAWAY",
       "a hung backend makes API servers cancel many calls at once")
def cancels(target):
    total, batch = 5000, 100
    with target.conn() as conn:
        cancelled(target, conn, batch)
        before = resources(target) if target.has("pid_cmd") else None
        for _ in range(total // batch):
            cancelled(target, conn, batch)
            require(not conn.goaways, f"GOAWAY {conn.goaways[:1]}")
            conn.streams.clear()
        grown = grew(before, resources(target)) if before else None
    require(grown is None, grown)
    return f"{total} streams cancelled" + ("" if before else "; memory not looked at (--pid-cmd)")


def cancelled(target, conn, count):
    """Half of them before the request has come, half after it."""
    path, message = encrypt_path(target)
    for turn in range(count):
        sid = conn.open()
        conn.send_headers(sid, wire.grpc_headers(path))
        if turn % 2:
            conn.send_data(sid, prefix(message))
        conn.rst(sid)
    still_serves(target, conn)


@check(25, "transport", "600 streams on one connection and 64 connections are served",
       "MAX_CONCURRENT_STREAMS is at least 256, so that calls queue here and not in the client")
def concurrency(target):
    with target.conn() as conn:
        conn.pump(lambda: conn.settings_seen, 5.0)
        limit = conn.peer_settings.get(MAX_STREAMS)
        require(limit is None or limit >= 256, f"MAX_CONCURRENT_STREAMS {limit}")
        many_streams(target, conn, 600, min(limit or 600, 600))
    many_connections(target, 64)
    return f"MAX_CONCURRENT_STREAMS {limit}"


def many_streams(target, conn, total, at_once):
    path, message = ping_path(target)
    live = [conn.start(path, message) for _ in range(at_once)]
    for turn in range(total):
        stream = conn.wait(live.pop(0))
        require(stream.status == OK, f"stream {turn + 1}: {stream.summary()}")
        if turn + at_once < total:
            live.append(conn.start(path, message))


def many_connections(target, count):
    path, message = ping_path(target)
    opened = []
    try:
        for _ in range(count):
            opened.append(target.conn())
        sids = [conn.start(path, message) for conn in opened]
        for number, (conn, sid) in enumerate(zip(opened, sids)):
            stream = conn.wait(sid)
            require(stream.status == OK, f"connection {number + 1} of {count}: {stream.summary()}")
    finally:
        for conn in opened:
            conn.close()


@check(26, "transport", "a client that reads slowly stalls only itself",
       "with default windows and no WINDOW_UPDATE only its own large answers wait")
def slow_reader(target):
    with target.conn(open_windows=False) as slow:
        sids = fill_window(target, slow)
        began = time.monotonic()
        still_serves(target)
        took = time.monotonic() - began
        received = sum(len(slow.streams[sid].data) for sid in sids)
        require(received <= 65535, f"{received} bytes of DATA were sent into a window of 65535")
        require(took < CALL_S, f"another client waited {took:.2f} s")
        slow.open_windows = True
        slow.frame(WindowUpdateFrame(0, window_increment=1 << 20))
        for stream in slow.wait_all(sids, 10.0):
            require(stream.status == OK, f"after the window was opened: {stream.summary()}")
    return f"stalled at {received} bytes; another client meanwhile: {took * 1000:.1f} ms"


def fill_window(target, slow):
    """Calls until one is not answered any more, because the window is full."""
    path, message = encrypt_path(target)
    sids = []
    for _ in range(40):
        batch = [slow.start(path, message) for _ in range(50)]
        sids += batch
        try:
            slow.wait_all(batch, 1.0)
        except wire.Timeout:
            return sids
    raise NotApplicable("the answers of 2000 calls do not fill a window of 65535 bytes")


@check(27, "transport", "a graceful stop loses no call",
       "GOAWAY, the calls in flight finish with their results, then the connection closes", needs=("restart",))
def graceful_stop(target):
    failures, done, stop = [], [0], threading.Event()
    workers = [threading.Thread(target=keep_calling, args=(target, stop, failures, done)) for _ in range(4)]
    with target.conn() as idle:
        still_serves(target, idle)
        for worker in workers:
            worker.start()
        time.sleep(0.5)
        try:
            target.command("restart")
            target.wait_ok()
            time.sleep(0.5)
        finally:
            stop.set()
            for worker in workers:
                worker.join()
        idle.idle(1.0)
        require(idle.goaways, "an idle connection got no GOAWAY")
        require(idle.closed, "an idle connection was not closed")
    require(not failures, f"{len(failures)} of {done[0]} calls: {failures[:1]}")
    return f"{done[0]} calls across a restart"


def keep_calling(target, stop, failures, done):
    conn = None
    while not stop.is_set():
        try:
            conn = conn or opened(target)
            if conn is not None:
                call_once(target, conn, failures)
                done[0] += 1
        except (wire.Closed, OSError):
            conn.closed = True
            conn.poll()  # a GOAWAY that came while the call was sent
            if left_unanswered(conn):
                failures.append("closed with a call unanswered that was not refused by a GOAWAY")
        except wire.Timeout:
            failures.append("no answer within 20 s")
            break
        if conn is not None and (conn.closed or conn.goaways):
            conn.close()
            conn = None
    if conn is not None:
        conn.close()


def opened(target):
    """A connection whose server has spoken; None while there is none."""
    try:
        conn = target.conn()
        conn.pump(lambda: conn.settings_seen, 20.0)
        return conn
    except (OSError, wire.Closed):
        time.sleep(0.02)
        return None


def call_once(target, conn, failures):
    path, message = encrypt_path(target)
    sid = conn.start(path, message, grpc_timeout="20S")
    stream = conn.wait(sid, 20.0)
    beyond = conn.goaways and sid > conn.goaways[-1][0]
    if stream.status != OK and not beyond:
        failures.append(stream.summary())
    conn.streams.clear()


def left_unanswered(conn):
    """Closed, and no GOAWAY has said that the last call would not be answered."""
    last = conn.streams.get(conn.next_sid - 2)
    return last is not None and not last.ended and (not conn.goaways or last.sid <= conn.goaways[-1][0])


@check(28, "transport", "an idle connection stays open",
       "grpc-go does not reconnect by itself; a closed idle connection costs the next call", long=True)
def idle_connection(target):
    seconds = 31 * 60 if target.full else 60
    with target.conn() as conn:
        still_serves(target, conn)
        require(conn.idle(seconds), f"closed within {seconds} s")
        still_serves(target, conn)
    return f"{seconds} s"
