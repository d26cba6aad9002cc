"""A bare HTTP/2 and gRPC client that says exactly the bytes it is told to.

Frames are made by hand (hyperframe, hpack), so a check can send what no well-behaved client would: a raw
path as :authority, a message split over one-byte DATA frames, a length prefix that lies. One connection,
many streams; nothing runs in the background: pump() reads until what you wait for has happened.
"""
import collections
import select
import socket
import struct
import time
import urllib.parse

from hpack import Decoder, Encoder
from hyperframe.frame import (ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame,
                              PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame)

from .messages import (decrypt_v1, decrypt_v2, encrypt_v1, encrypt_v2, field, fields,  # noqa: F401
                       last, varint)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW = 65535
V2 = "/v2.KeyManagementService/"
V1 = "/v1beta1.KeyManagementService/"
# What the plugin has told all connections so far: texts of errors, and messages of Status.
ERRORS, STATUSES = set(), set()


class Closed(Exception):
    """The peer closed the connection."""


class Timeout(Exception):
    """What was waited for did not happen in time."""


class Stream:
    """What came back on one stream."""

    def __init__(self, sid):
        self.sid = sid
        self.path = None
        self.header_blocks = []      # list of [(name, value)], in order of arrival
        self.frames = []             # "HEADERS", "DATA", "RST" with END_STREAM as a suffix "+end"
        self.data = bytearray()
        self.ended = False
        self.reset = None            # error code of RST_STREAM
        self.done_at = None

    def header(self, name):
        for block in self.header_blocks:
            for key, value in block:
                if key == name:
                    return value
        return None

    @property
    def status(self):
        value = self.header("grpc-status")
        return int(value) if value is not None and value.isdigit() else None

    @property
    def text(self):
        return percent_decode(self.header("grpc-message") or "")

    @property
    def message(self):
        """The one message of the body, or None when the framing is not exactly one message."""
        if len(self.data) < 5:
            return None
        flag, length = struct.unpack(">BI", self.data[:5])
        body = bytes(self.data[5:])
        return body if flag == 0 and length == len(body) else None

    def summary(self):
        """An answer counts also when RST_STREAM(NO_ERROR) follows it, which tells a client to send no more."""
        if self.status is not None:
            return f"grpc-status {self.status}" + (f" \"{self.text}\"" if self.text else "")
        if self.header(":status") is not None and self.ended:
            return f"HTTP {self.header(':status')}"
        return "no answer" if self.reset is None else f"RST_STREAM {self.reset}"


def percent_decode(text):
    return urllib.parse.unquote_to_bytes(text).decode("utf-8", "replace")


def connect(path, timeout=5.0):
    """A connected socket. "@name" is an abstract address (no trailing NUL, as Go dials it). A full queue of
    connections is waited for."""
    deadline = time.monotonic() + timeout
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect("\0" + path[1:] if path.startswith("@") else path)
            return sock
        except BlockingIOError:
            sock.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        except OSError:
            sock.close()
            raise


def prefix(message, flag=0, length=None):
    return struct.pack(">BI", flag, len(message) if length is None else length) + message


class Conn:
    """One connection. preface=False leaves everything to the caller (send with raw())."""

    def __init__(self, path, preface=True, settings=None, open_windows=True, timeout=5.0):
        self.sock = connect(path, timeout)
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.decoder.max_allowed_table_size = 65536
        self.buffer = bytearray()
        self.streams = {}
        self.next_sid = 1
        self.peer_settings = {}
        self.settings_seen = False
        self.settings_acks = 0
        self.pings = []
        self.goaways = []
        self.first_frame = None
        self.open_windows = open_windows
        self.closed = False
        self.sent = collections.Counter()       # DATA bytes by stream; 0 is the connection
        self.credit = collections.Counter()     # WINDOW_UPDATEs by stream
        if preface:
            self.raw(PREFACE)
            self.frame(SettingsFrame(0, settings=settings or {}))
            if open_windows:
                self.frame(WindowUpdateFrame(0, window_increment=1 << 24))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.closed = True
        self.sock.close()

    def raw(self, data):
        self.sock.sendall(data)

    def frame(self, frame):
        self.raw(frame.serialize())

    def rst(self, sid, code=8):
        self.frame(RstStreamFrame(sid, error_code=code))

    def ping(self, payload):
        self.frame(PingFrame(0, opaque_data=payload))

    # ---- requests -------------------------------------------------------------------------------

    def open(self):
        sid = self.next_sid
        self.next_sid += 2
        self.streams[sid] = Stream(sid)
        return sid

    def send_headers(self, sid, headers, end=False, split=None, block=None):
        """split: bytes of the block per frame (HEADERS then CONTINUATION)."""
        if block is None:
            block = self.encoder.encode([(k, v) for k, v in headers])
        parts = [block] if not split else [block[i:i + split] for i in range(0, len(block), split)]
        out = b""
        for index, part in enumerate(parts):
            frame = HeadersFrame(sid, data=part) if index == 0 else ContinuationFrame(sid, data=part)
            if index == 0 and end:
                frame.flags.add("END_STREAM")
            if index == len(parts) - 1:
                frame.flags.add("END_HEADERS")
            out += frame.serialize()
        self.raw(out)

    def may_send(self, sid, length):
        """Whether the peer's windows have room for so much DATA."""
        initial = self.peer_settings.get(SettingsFrame.INITIAL_WINDOW_SIZE, WINDOW)
        return self.settings_seen and self.sent[sid] + length <= initial + self.credit[sid] and \
            self.sent[0] + length <= WINDOW + self.credit[0]

    def send_data(self, sid, data, end=True, chunk=16384, padding=None):
        out = b""
        parts = [data[i:i + chunk] for i in range(0, len(data), chunk)] or [b""]
        for index, part in enumerate(parts):
            frame = DataFrame(sid, data=part)
            if padding is not None:
                frame.flags.add("PADDED")
                frame.pad_length = padding
            if end and index == len(parts) - 1:
                frame.flags.add("END_STREAM")
            out += frame.serialize()
            self.sent[sid] += len(part)
            self.sent[0] += len(part)
        self.raw(out)

    def start(self, path, message=b"", authority="localhost", grpc_timeout="2999210u", extra=(),
              content_type="application/grpc", body=None, headers=None, end=True, chunk=16384):
        """Sends one unary call as grpc-go does; returns the stream id."""
        self.poll()
        sid = self.open()
        self.streams[sid].path = path
        self.send_headers(sid, headers or grpc_headers(path, authority, grpc_timeout, extra, content_type))
        self.send_data(sid, prefix(message) if body is None else body, end=end, chunk=chunk)
        return sid

    def call(self, path, message=b"", wait=10.0, **kw):
        """One call, waited for."""
        sid = self.start(path, message, **kw)
        self.wait(sid, wait)
        return self.streams[sid]

    # ---- what comes back ------------------------------------------------------------------------

    def wait(self, sid, seconds=10.0):
        stream = self.streams[sid]
        self.pump(lambda: stream.ended or stream.reset is not None, seconds)
        return stream

    def wait_all(self, sids, seconds=30.0):
        pending = set(sids)

        def done():
            for sid in list(pending):
                stream = self.streams[sid]
                if stream.ended or stream.reset is not None:
                    pending.discard(sid)
            return not pending

        self.pump(done, seconds)
        return [self.streams[sid] for sid in sids]

    def pump(self, until, seconds):
        """Reads frames until until() is true. Raises Timeout, or Closed when the peer hangs up first."""
        deadline = time.monotonic() + seconds
        while not until():
            left = deadline - time.monotonic()
            if left <= 0:
                raise Timeout()
            self.sock.settimeout(left)
            try:
                chunk = self.sock.recv(262144)
            except (socket.timeout, TimeoutError):
                raise Timeout() from None
            except ConnectionError:
                chunk = b""
            if not chunk:
                self.closed = True
                if until():
                    return
                raise Closed()
            self.buffer += chunk
            self._frames()

    def poll(self):
        """Takes what has come, so that many calls can be started before one is waited for."""
        while select.select([self.sock], [], [], 0)[0]:
            try:
                chunk = self.sock.recv(262144, socket.MSG_DONTWAIT)
            except OSError:
                return
            if not chunk:
                return
            self.buffer += chunk
            self._frames()

    def idle(self, seconds):
        """Reads whatever comes for a while; False when the peer closed."""
        try:
            self.pump(lambda: False, seconds)
        except Timeout:
            return True
        except Closed:
            return False
        return True

    def _frames(self):
        while len(self.buffer) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(bytes(self.buffer[:9])))
            if len(self.buffer) < 9 + length:
                return
            frame.parse_body(memoryview(bytes(self.buffer[9:9 + length])))
            del self.buffer[:9 + length]
            if self.first_frame is None:
                self.first_frame = type(frame).__name__
            self._handle(frame)

    def _handle(self, frame):
        if isinstance(frame, SettingsFrame):
            if "ACK" in frame.flags:
                self.settings_acks += 1
            else:
                self.settings_seen = True
                self.peer_settings.update(frame.settings)
                ack = SettingsFrame(0)
                ack.flags.add("ACK")
                self._quiet(ack)
        elif isinstance(frame, PingFrame):
            if "ACK" in frame.flags:
                self.pings.append(frame.opaque_data)
            else:
                ack = PingFrame(0, opaque_data=frame.opaque_data)
                ack.flags.add("ACK")
                self._quiet(ack)
        elif isinstance(frame, GoAwayFrame):
            self.goaways.append((frame.last_stream_id, frame.error_code))
        elif isinstance(frame, WindowUpdateFrame):
            self.credit[frame.stream_id] += frame.window_increment
        elif frame.stream_id:
            self._stream_frame(frame)

    def _quiet(self, frame):
        try:
            self.frame(frame)
        except OSError:
            pass

    def _stream_frame(self, frame):
        stream = self.streams.setdefault(frame.stream_id, Stream(frame.stream_id))
        name = type(frame).__name__.replace("Frame", "").upper()
        ended = "END_STREAM" in frame.flags
        stream.frames.append(name + ("+end" if ended else ""))
        if isinstance(frame, (HeadersFrame, ContinuationFrame)):
            stream.header_blocks.append([(_text(k), _text(v)) for k, v in self.decoder.decode(frame.data)])
        elif isinstance(frame, DataFrame):
            stream.data += frame.data
            if self.open_windows and frame.flow_controlled_length:
                self._quiet(WindowUpdateFrame(0, window_increment=frame.flow_controlled_length))
        elif isinstance(frame, RstStreamFrame):
            stream.reset = frame.error_code
        if ended:
            stream.ended = True
        if stream.ended or stream.reset is not None:
            stream.done_at = time.monotonic()
            remember(stream)


def remember(stream):
    if stream.text:
        ERRORS.add(stream.text)
    if stream.path == V2 + "Status" and stream.message:
        STATUSES.add(stream.message)


def _text(value):
    return value if isinstance(value, str) else value.decode("latin-1")


def grpc_headers(path, authority="localhost", grpc_timeout="2999210u", extra=(),
                 content_type="application/grpc"):
    headers = [(":method", "POST"), (":scheme", "http"), (":path", path)]
    if authority is not None:
        headers.append((":authority", authority))
    if content_type is not None:
        headers.append(("content-type", content_type))
    headers += [("user-agent", "grpc-go/1.82.1"), ("te", "trailers"), ("grpc-accept-encoding", "gzip")]
    if grpc_timeout is not None:
        headers.append(("grpc-timeout", grpc_timeout))
    return headers + list(extra)
