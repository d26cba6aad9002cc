"""Statements 1 to 33: what an HTTP/2 server must do to be a KMS plugin."""
import os
import socket
import subprocess
import time


from . import wire
from .registry import Failed, NotApplicable, check, require
from .target import EXHAUSTED, INTERNAL, OK, SEED, UNIMPLEMENTED
from .wire import V1, V2, Conn, encrypt_v1, encrypt_v2, prefix

STATUS = V2 + "Status"
AUTHORITIES = ("localhost", "%2Frun%2Fk.sock", "/run/k.sock", "@k")
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


@check(1, "transport", "SETTINGS come first, unasked",
       "grpc-go sends no request before it has seen the server's SETTINGS as the first frame")
def settings_first(target):
    began = time.monotonic()
    with target.conn(preface=False) as conn:
        try:
            conn.pump(lambda: conn.settings_seen, 2.0)
        except (wire.Timeout, wire.Closed):
            raise Failed("no SETTINGS within 2 s of connecting, with no client byte sent") from None
        took = time.monotonic() - began
        require(conn.first_frame == "SettingsFrame", f"first frame was {conn.first_frame}")
        require(took < 0.1, f"{took * 1000:.1f} ms")
        return f"{took * 1000:.1f} ms"


@check(2, "transport", "client SETTINGS are acknowledged, also later ones",
       "grpc-go raises its window in the middle of a connection and waits for the ACK")
def settings_acked(target):
    from hyperframe.frame import SettingsFrame
    with target.conn() as conn:
        conn.pump(lambda: conn.settings_acks >= 1, 5.0)
        conn.frame(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1 << 20}))
        conn.pump(lambda: conn.settings_acks >= 2, 5.0)
        still_serves(target, conn)


@check(3, "transport", "every form of :authority reaches the handler",
       "Kubernetes 1.28 and older sends the raw socket path, 1.29 to 1.31 an encoded one, later ones localhost")
def authorities(target):
    paths = [STATUS] if target.options.v2 else []
    paths += [V1 + "Version"] if target.options.v1 else []
    for path in paths:
        for authority in AUTHORITIES:
            with target.conn() as conn:
                answer = conn.call(path, wire.field(1, "v1beta1") if path.startswith(V1) else b"",
                                   authority=authority)
                require(answer.status == OK, f"{path} with :authority {authority}: {answer.summary()}")
    for authority in ("", None):
        with target.conn() as conn:
            try:
                conn.call(paths[0], authority=authority, wait=5)
            except (wire.Closed, wire.Timeout):
                pass
    still_serves(target)
    return f"{len(AUTHORITIES)} forms x {len(paths)} services"


@check(4, "transport", "PINGs are acknowledged and never counted as abuse",
       "grpc-go sends a bandwidth PING after every response; GOAWAY(too_many_pings) would break it")
def pings(target):
    rounds = 1000
    path, message = ping_path(target)
    with target.conn() as conn:
        payload = bytes([2, 4, 16, 16, 9, 14, 7, 7])
        for _ in range(rounds):
            conn.ping(payload)
            require(conn.call(path, message).status == OK, "a call between PINGs failed")
        conn.pump(lambda: len(conn.pings) >= rounds, 5.0)
        require(set(conn.pings) == {payload}, "a PING ACK carried another payload")
        require(not conn.goaways, f"GOAWAY {conn.goaways}")
    return f"{rounds} PINGs with {rounds} calls"


@check(5, "transport", "unknown metadata is ignored",
       "Decrypts from a watch carry etcd's hasleader header; grpc-go offers gzip")
def metadata(target):
    path, message = ping_path(target)
    extra = [("hasleader", "true"), ("x-anything", "1"), ("trace-bin", "AAECAw"), ("grpc-tags-bin", "AA"),
             ("grpc-previous-rpc-attempts", "1")]
    with target.conn() as conn:
        answer = conn.call(path, message, extra=extra)
        require(answer.status == OK, answer.summary())


@check(6, "transport", "te and user-agent may be missing", "clients other than grpc-go leave them out")
def bare_headers(target):
    path, message = ping_path(target)
    bare = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
            ("content-type", "application/grpc")]
    with target.conn() as conn:
        for headers in (bare, bare + [("te", "trailers")]):
            answer = conn.call(path, message, headers=headers)
            require(answer.status == OK, answer.summary())


@check(7, "transport", "application/grpc and +proto are served, JSON is refused",
       "a gRPC server answers foreign content types with HTTP 415 or a gRPC error")
def content_types(target):
    path, message = ping_path(target)
    with target.conn() as conn:
        for kind in ("application/grpc", "application/grpc+proto"):
            answer = conn.call(path, message, content_type=kind)
            require(answer.status == OK, f"{kind}: {answer.summary()}")
        answer = conn.call(path, message, content_type="application/json")
        refused = answer.header(":status") == "415" or answer.status not in (None, OK) or answer.reset is not None
        require(refused, f"application/json: {answer.summary()}")
        still_serves(target, conn)
        return f"JSON: {answer.summary()}"


@check(8, "transport", "HPACK dynamic-table references decode",
       "from its second request on grpc-go sends references instead of header text")
def hpack_references(target):
    path, message = ping_path(target)
    with target.conn() as conn:
        for turn in range(1000):
            answer = conn.call(path, message, extra=[("x-turn", str(turn % 7))])
            require(answer.status == OK, f"request {turn + 1}: {answer.summary()}")
    return "1000 requests on one connection"


@check(9, "transport", "a request in tiny pieces is accepted",
       "HTTP/2 lets a sender split anywhere: one-byte DATA frames, HEADERS with CONTINUATION")
def tiny_pieces(target):
    path, message = encrypt_path(target)
    with target.conn() as conn:
        answer = conn.call(path, message, chunk=1)
        require(answer.status == OK, f"one-byte DATA frames: {answer.summary()}")
        sid = conn.open()
        conn.send_headers(sid, wire.grpc_headers(path), split=40)
        conn.send_data(sid, prefix(message))
        answer = conn.wait(sid)
        require(answer.status == OK, f"HEADERS + CONTINUATION: {answer.summary()}")


@check(10, "transport", "padding and a late END_STREAM are accepted", "both are plain HTTP/2")
def padding(target):
    path, message = encrypt_path(target)
    with target.conn() as conn:
        sid = conn.open()
        conn.send_headers(sid, wire.grpc_headers(path))
        conn.send_data(sid, prefix(message), padding=17)
        answer = conn.wait(sid)
        require(answer.status == OK, f"padded DATA: {answer.summary()}")
        sid = conn.open()
        conn.send_headers(sid, wire.grpc_headers(path))
        conn.send_data(sid, prefix(message), end=False)
        conn.send_data(sid, b"")
        answer = conn.wait(sid)
        require(answer.status == OK, f"empty DATA with END_STREAM: {answer.summary()}")


@check(11, "transport", "success is HEADERS, DATA, trailers",
       "END_STREAM anywhere but on the trailers is INTERNAL to grpc-go")
def success_shape(target):
    path, message = ping_path(target)
    with target.conn() as conn:
        answer = conn.call(path, message)
    require(answer.header(":status") == "200", f":status {answer.header(':status')}")
    require((answer.header("content-type") or "").startswith("application/grpc"), "content-type")
    require(len(answer.header_blocks) == 2, f"{len(answer.header_blocks)} header blocks")
    require(answer.frames[0] == "HEADERS" and answer.frames[-1] == "HEADERS+end", " ".join(answer.frames))
    require(all(f == "DATA" for f in answer.frames[1:-1]), " ".join(answer.frames))
    require(("grpc-status", "0") in answer.header_blocks[1], "grpc-status is not in the trailers")


@check(12, "transport", "an error is trailers-only",
       "one HEADERS frame with END_STREAM, :status 200, content-type and grpc-status")
def error_shape(target):
    with target.conn() as conn:
        answer = conn.call(UNKNOWN)
    require(answer.frames[:1] == ["HEADERS+end"], " ".join(answer.frames))
    require(answer.header(":status") == "200", f":status {answer.header(':status')}")
    require((answer.header("content-type") or "").startswith("application/grpc"), "content-type")
    require(answer.status not in (None, OK), answer.summary())


@check(13, "transport", "grpc-message is printable and small",
       "bytes outside 0x20..0x7e and % travel percent-encoded; headers and trailers stay below 8 KiB")
def message_encoding(target):
    worst = 0
    with target.conn() as conn:
        path, message = encrypt_path(target)
        answers = [conn.call(UNKNOWN), conn.call(path, b"\xff\xff\xff"), conn.call(path, prefix(b"")[:3]),
                   conn.call("/%25\u00e9\u20ac", b""), conn.call(path, message, grpc_timeout="x%y")]
    for answer in answers:
        text = answer.header("grpc-message") or ""
        require(all(0x20 <= ord(c) <= 0x7E for c in text), f"raw bytes in grpc-message {text!r}")
        bad = [i for i, c in enumerate(text) if c == "%" and
               not all(d in "0123456789abcdefABCDEF" for d in text[i + 1:i + 3].ljust(2, "x"))]
        require(not bad, f"a bare % in grpc-message {text!r}")
        size = sum(len(k) + len(v) + 32 for block in answer.header_blocks for k, v in block)
        worst = max(worst, size)
    require(worst < 8192, f"{worst} bytes of headers and trailers")
    return f"at most {worst} bytes of headers and trailers"


@check(14, "transport", "answers are never compressed", "flag 0 and no grpc-encoding, whatever the client offers")
def never_compressed(target):
    path, message = encrypt_path(target)
    with target.conn() as conn:
        answer = conn.call(path, message, extra=[("accept-encoding", "gzip")])
    require(answer.status == OK and answer.data[:1] == b"\0", f"{answer.summary()}, flag {bytes(answer.data[:1])!r}")
    require(answer.header("grpc-encoding") in (None, "identity"), f"grpc-encoding {answer.header('grpc-encoding')}")


@check(15, "transport", "a compressed request gets 13 or 12",
       "flag 1 without grpc-encoding is broken framing (13); gzip that is not supported is 12")
def compressed_request(target):
    import gzip
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
    path, _ = encrypt_path(target)
    with target.conn() as conn:
        for length in (64 << 20, 0xFFFFFFFF):
            sid = conn.open()
            conn.send_headers(sid, wire.grpc_headers(path))
            conn.send_data(sid, prefix(b"x" * 10, length=length), end=False)
            try:
                answer = conn.wait(sid, 2.0)
            except wire.Timeout:
                conn.send_data(sid, b"")
                answer = conn.wait(sid)
            require(answer.status == EXHAUSTED, f"length {length}: {answer.summary()}")
        still_serves(target, conn)


@check(21, "transport", "the largest legal messages get through the transport",
       "a v2 Decrypt with 32 KiB of annotations, a v1 Decrypt with a cipher of 65535 bytes")
def largest_messages(target):
    answers = []
    with target.conn() as conn:
        if target.options.v2:
            box = target.encrypt(conn=conn)
            heavy = [(f"a{i}.conformance.example", b"v" * 1000) for i in range(32)]
            answer = target.decrypt_answer(box, conn, annotations=box.annotations + heavy)
            require(answer.status in (OK, 3), f"v2 with 32 KiB of annotations: {answer.summary()}")
            answers.append(f"v2: {answer.summary()}")
        if target.options.v1:
            answer = target.decrypt_v1_answer(b"c" * 65535, conn)
            require(answer.status not in (None, EXHAUSTED, INTERNAL, UNIMPLEMENTED),
                    f"v1 with 65535 bytes: {answer.summary()}")
            answers.append(f"v1: {answer.summary()}")
    return "; ".join(answers)


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
        short = [conn.start(epath, emessage, grpc_timeout="1n") for _ in range(50)]
        good = [conn.start(path, message) for _ in range(50)]
        for stream in conn.wait_all(short, 10.0):
            require(stream.status in (OK, 4) or stream.reset is not None, f"deadline of 1 ns: {stream.summary()}")
        reference = None
        for stream in conn.wait_all(good, 10.0):
            require(stream.status == OK, f"beside it: {stream.summary()}")
            body = stream.message
            reference = body if reference is None else reference
            require(body == reference, "an answer differs from its siblings")


@check(24, "transport", "cancelled streams leak nothing and cost no GOAWAY",
       "a hung backend makes API servers cancel many calls at once")
def cancels(target):
    path, message = encrypt_path(target)
    total, batch = 5000, 100
    with target.conn() as conn:
        for _ in range(total // batch):
            for _ in range(batch):
                sid = conn.open()
                conn.send_headers(sid, wire.grpc_headers(path))
                conn.rst(sid)
            still_serves(target, conn)
            require(not conn.goaways, f"GOAWAY {conn.goaways[:1]}")
    return f"{total} streams cancelled"


@check(25, "transport", "600 streams on one connection and 64 connections are served",
       "MAX_CONCURRENT_STREAMS is at least 256, so that calls queue here and not in the client")
def concurrency(target):
    path, message = ping_path(target)
    with target.conn() as conn:
        conn.pump(lambda: conn.settings_seen, 5.0)
        limit = conn.peer_settings.get(3)
        require(limit is None or limit >= 256, f"MAX_CONCURRENT_STREAMS {limit}")
        window, waiting, served = limit or 600, 600, 0
        live = []
        while served < 600:
            while waiting and len(live) < min(window, 256):
                live.append(conn.start(path, message))
                waiting -= 1
            stream = conn.wait(live.pop(0))
            require(stream.status == OK, f"stream {served}: {stream.summary()}")
            served += 1
    many = [target.conn() for _ in range(64)]
    try:
        sids = [conn.start(path, message) for conn in many]
        for conn, sid in zip(many, sids):
            stream = conn.wait(sid)
            require(stream.status == OK, f"one of 64 connections: {stream.summary()}")
    finally:
        for conn in many:
            conn.close()
    return f"MAX_CONCURRENT_STREAMS {limit}"


@check(26, "transport", "a client that reads slowly stalls only itself",
       "with default windows and no WINDOW_UPDATE only its own large answers wait")
def slow_reader(target):
    path, message = encrypt_path(target)
    with target.conn(open_windows=False) as slow:
        sids = [slow.start(path, message) for _ in range(200)]
        began = time.monotonic()
        still_serves(target)
        took = time.monotonic() - began
        require(took < 1.0, f"another client waited {took:.2f} s")
        slow.idle(0.2)
        answered = sum(1 for sid in sids if slow.streams[sid].ended)
    still_serves(target)
    return f"other client: {took * 1000:.1f} ms; the slow one had {answered} of 200 answers"


@check(27, "transport", "a graceful stop loses no call",
       "GOAWAY, the calls in flight finish with their results, then the connection closes", needs=("restart",))
def graceful_stop(target):
    import threading
    path, message = encrypt_path(target)
    failures, done, stop = [], [0], threading.Event()

    def load():
        conn = None
        while not stop.is_set():
            try:
                if conn is None or conn.closed or conn.goaways:
                    if conn is not None:
                        conn.close()
                    conn = target.conn()
                    conn.pump(lambda: conn.settings_seen, 20.0)
                sid = conn.start(path, message, grpc_timeout="20S")
                stream = conn.wait(sid, 20.0)
                beyond = conn.goaways and sid > conn.goaways[-1][0]
                if stream.status != OK and not beyond:
                    failures.append(stream.summary())
                done[0] += 1
            except wire.Closed:
                lost = conn.streams.get(conn.next_sid - 2)
                processed = conn.goaways and lost is not None and lost.sid <= conn.goaways[-1][0]
                if processed and not lost.ended:
                    failures.append("closed with an accepted call unanswered")
                conn = None
            except (OSError, wire.Timeout) as problem:
                if isinstance(problem, wire.Timeout):
                    failures.append("no answer within 20 s")
                conn = None
                time.sleep(0.02)

    workers = [threading.Thread(target=load) for _ in range(4)]
    for worker in workers:
        worker.start()
    time.sleep(0.5)
    try:
        target.command("restart")
        target.wait_ok() if target.options.v2 else time.sleep(2)
        time.sleep(0.5)
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    require(not failures, f"{len(failures)} of {done[0]} calls: {failures[:1]}")
    return f"{done[0]} calls across a restart"


@check(28, "transport", "an idle connection stays open",
       "grpc-go does not reconnect by itself; a closed idle connection costs the next call")
def idle_connection(target):
    seconds = 31 * 60 if target.full else 60
    with target.conn() as conn:
        still_serves(target, conn)
        require(conn.idle(seconds), f"closed within {seconds} s")
        still_serves(target, conn)
    return f"{seconds} s" + ("" if target.full else " (short form; --full: 31 min)")


@check(29, "transport", "foreign protocols close only their own connection",
       "HTTP/1.1, a TLS ClientHello, a broken preface")
def foreign_protocols(target):
    with target.conn() as witness:
        still_serves(target, witness)
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes.fromhex("160301020001") + b"\0" * 300,
                     wire.PREFACE[:10] + b"garbage-that-is-no-preface"):
            sock = wire.connect(target.socket)
            sock.sendall(data)
            sock.settimeout(10)
            try:
                while sock.recv(65536):
                    pass
            except (socket.timeout, TimeoutError):
                raise Failed(f"{data[:12]!r}: still open after 10 s") from None
            except ConnectionError:
                pass
            finally:
                sock.close()
        still_serves(target, witness)


@check(30, "transport", "a stale socket is replaced, a live one is not stolen",
       "after kill -9 a leftover file must not stop a start; a second instance must not take over",
       needs=("kill", "start", "second"))
def stale_socket(target):
    target.command("kill")
    target.command("start")
    target.wait_ok()
    with target.conn() as conn:
        still_serves(target, conn)
        try:
            target.command("second")
        except Failed:
            pass
        else:
            raise Failed("a second instance started beside a live one (its command exited 0)")
        still_serves(target, conn)
        still_serves(target)


@check(31, "transport", "the socket's mode and the peer check hold",
       "other users cannot connect; a peer outside the allow-list is refused")
def socket_access(target):
    if target.socket.startswith("@"):
        raise NotApplicable("an abstract socket has no mode")
    mode = os.stat(target.socket).st_mode & 0o777
    require(mode & 0o007 == 0 or target.has("other_user"), f"mode {mode:04o} lets everyone connect")
    if not target.has("other_user"):
        return f"mode {mode:04o}; peer check not asked (--other-user)"
    probe = ("import sys; sys.path.insert(0, sys.argv[1]); from kmsconf import wire\n"
             "try:\n c = wire.Conn(sys.argv[2]); a = c.call(sys.argv[3])\n print('grpc', a.status)\n"
             "except (OSError, wire.Closed, wire.Timeout) as e: print('refused', type(e).__name__)\n")
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run(["setpriv", "--reuid", target.options.other_user, "--clear-groups", "/usr/bin/python3",
                           "-c", probe, here, target.socket, STATUS], stdout=subprocess.PIPE, timeout=30)
    seen = done.stdout.decode().strip()
    require(seen == "grpc 7" or seen.startswith("refused"), f"peer {target.options.other_user}: {seen}")
    return f"mode {mode:04o}; peer {target.options.other_user}: {seen}"


@check(32, "transport", "an abstract endpoint is reachable as Go dials it",
       "the address length counts no trailing NUL", needs=("abstract_socket",))
def abstract(target):
    path, message = ping_path(target)
    with Conn(target.options.abstract_socket) as conn:
        answer = conn.call(path, message)
        require(answer.status == OK, answer.summary())


@check(33, "transport", "with a held socket an early client is answered at the start",
       "socket activation: a client that dials before the plugin runs waits in the queue", needs=("activation",))
def activation(target):
    """--activation CMD is called with `stop` (plugin down, socket held) and `start`."""
    path, message = ping_path(target)
    target.command("activation", "stop")
    with target.conn() as early:
        sid = early.start(path, message, grpc_timeout="60S")
        began = time.monotonic()
        target.command("activation", "start")
        stream = early.wait(sid, 60.0)
        took = time.monotonic() - began
    require(stream.status == OK, stream.summary())
    return f"answered {took:.2f} s after the start began"


