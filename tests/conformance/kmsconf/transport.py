"""Statements 1 to 14: what an HTTP/2 server must do to be a KMS plugin."""
import time

from hyperframe.frame import SettingsFrame

from . import clients, wire
from .calls import STATUS, UNKNOWN, encrypt_path, ping_path, still_serves
from .registry import Failed, check, require
from .target import OK
from .wire import V1, prefix

AUTHORITIES = ("localhost", "%2Frun%2Fk.sock", "/run/k.sock", "@k")
WINDOW = SettingsFrame.INITIAL_WINDOW_SIZE


@check(1, "transport", "SETTINGS come first, unasked",
       "grpc-go sends no request before it has seen the server's SETTINGS as the first frame")
def settings_first(target):
    """The best of three: what else the machine does can only add."""
    best = min(settings_after(target) for _ in range(3))
    require(best < 0.1, f"{best * 1000:.1f} ms")
    return f"{best * 1000:.1f} ms"


def settings_after(target):
    began = time.monotonic()
    with target.conn(preface=False) as conn:
        try:
            conn.pump(lambda: conn.settings_seen, 2.0)
        except (wire.Timeout, wire.Closed):
            raise Failed("no SETTINGS within 2 s of connecting, with no client byte sent") from None
        require(conn.first_frame == "SettingsFrame", f"first frame was {conn.first_frame}")
    return time.monotonic() - began


@check(2, "transport", "client SETTINGS are acknowledged and honoured, also later ones",
       "grpc-go raises its window in the middle of a connection and waits for the ACK")
def settings_acked(target):
    path, message = ping_path(target)
    with target.conn(settings={}) as conn:
        conn.pump(lambda: conn.settings_acks >= 1, 5.0)
        conn.frame(SettingsFrame(0, settings={WINDOW: 0}))
        conn.pump(lambda: conn.settings_acks >= 2, 5.0)
        sid = conn.start(path, message)
        conn.idle(0.3)
        require(not conn.streams[sid].data, "DATA was sent into a window of 0 bytes")
        conn.frame(SettingsFrame(0, settings={WINDOW: 1 << 20}))
        conn.pump(lambda: conn.settings_acks >= 3, 5.0)
        answer = conn.wait(sid, 5.0)
        require(answer.status == OK, f"after the window was raised: {answer.summary()}")


@check(3, "transport", "every form of :authority reaches the handler",
       "Kubernetes 1.28 and older sends the raw socket path, 1.29 to 1.31 an encoded one, later ones localhost")
def authorities(target):
    paths = [STATUS] if target.options.v2 else []
    paths += [V1 + "Version"] if target.options.v1 else []
    for path in paths:
        for authority in AUTHORITIES:
            with target.conn() as conn:
                answer = conn.call(path, request_of(path), authority=authority)
                require(answer.status == OK, f"{path} with :authority {authority}: {answer.summary()}")
        for authority in (None, "localhost"):
            clients.grpcio_status(target.socket, authority, path, request_of(path))
    for authority in ("", None):
        harmless(target, paths[0], authority)
    return f"{len(AUTHORITIES)} forms x {len(paths)} services; grpcio; " + go_clients(target)


def request_of(path):
    return wire.field(1, "v1beta1") if path.startswith(V1) else b""


def harmless(target, path, authority):
    """No answer is promised to an empty or absent :authority, but that the next caller is served."""
    with target.conn() as conn:
        try:
            conn.call(path, request_of(path), authority=authority, wait=5)
        except (wire.Closed, wire.Timeout):
            pass
    still_serves(target)


def go_clients(target):
    """grpc-go of several versions, with what each makes of the path and with localhost."""
    apis = [api for api in ("v2", "v1") if getattr(target.options, api)]
    seen = []
    for helper in clients.need_helpers(target):
        for api in apis:
            for authority in ("raw", "localhost"):
                report = clients.run(helper, target.socket, "roundtrip", authority=authority, api=api, count=20)
                require(report["ok"], f"{api}, {authority}: {clients.explain(report)}")
        seen.append(report["grpc"])
    return "grpc-go " + ", ".join(seen)


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
        refused = answer.header(":status") == "415" or answer.status not in (None, OK)
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
    with target.conn() as conn:
        sid = conn.open()
        conn.send_headers(sid, wire.grpc_headers(path), split=16)
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
    require(len(answer.header_blocks) == 2, f"{len(answer.header_blocks)} header blocks: {' '.join(answer.frames)}")
    require(answer.frames[0] == "HEADERS" and answer.frames[-1] == "HEADERS+end", " ".join(answer.frames))
    require(all(f == "DATA" for f in answer.frames[1:-1]), " ".join(answer.frames))
    require(("grpc-status", "0") in answer.header_blocks[1], "grpc-status is not in the trailers")
    require(answer.message is not None, "the body is not exactly one message")


@check(12, "transport", "an error is trailers-only",
       "one HEADERS frame with END_STREAM, :status 200, content-type and grpc-status")
def error_shape(target):
    path, _ = encrypt_path(target)
    for asked, message in ((UNKNOWN, b""), (path, b"\xff\xff\xff")):
        with target.conn() as conn:
            answer = conn.call(asked, message)
        require(answer.frames[:1] == ["HEADERS+end"], f"{asked}: {' '.join(answer.frames)}")
        require(answer.header(":status") == "200", f":status {answer.header(':status')}")
        require((answer.header("content-type") or "").startswith("application/grpc"), "content-type")
        require(answer.status not in (None, OK), answer.summary())


@check(13, "transport", "grpc-message is printable and small",
       "bytes outside 0x20..0x7e and % travel percent-encoded; headers and trailers stay below 8 KiB")
def message_encoding(target):
    path, message = encrypt_path(target)
    calls = [(UNKNOWN, b"", {}), (path, b"\xff\xff\xff", {}), ("/%25\u00e9\u20ac", b"", {}),
             ("/v2.KeyManagementService/%0A%", b"", {}), (path, message, {"grpc_timeout": "x%y"})]
    worst = 0
    with target.conn() as conn:
        for asked, body, more in calls:
            answer = conn.call(asked, body, **more)
            well_encoded(answer.header("grpc-message") or "")
            worst = max(worst, sum(len(k) + len(v) + 32 for block in answer.header_blocks for k, v in block))
    require(worst < 8192, f"{worst} bytes of headers and trailers")
    return f"at most {worst} bytes of headers and trailers"


def well_encoded(text):
    require(all(0x20 <= ord(c) <= 0x7E for c in text), f"raw bytes in grpc-message {text!r}")
    for piece in text.split("%")[1:]:
        require(len(piece) >= 2 and all(c in "0123456789abcdefABCDEF" for c in piece[:2]),
                f"a bare % in grpc-message {text!r}")


@check(14, "transport", "answers are never compressed", "flag 0 and no grpc-encoding, whatever the client offers")
def never_compressed(target):
    path, message = encrypt_path(target)
    with target.conn() as conn:
        answer = conn.call(path, message, extra=[("accept-encoding", "gzip")])
    require(answer.status == OK and answer.data[:1] == b"\0", f"{answer.summary()}, flag {bytes(answer.data[:1])!r}")
    require(answer.header("grpc-encoding") in (None, "identity"), f"grpc-encoding {answer.header('grpc-encoding')}")
