"""One connection of the broken server: as much of HTTP/2 and gRPC as the checks ask for, made by hand so that
each rule can be broken."""
import os
import select
import struct
import threading
import time

from hpack import Decoder, Encoder
from hyperframe.frame import (ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame,
                              RstStreamFrame, SettingsFrame, WindowUpdateFrame)

from broken.plugin import INTERNAL, UNIMPLEMENTED, Refused, parse
from kmsconf.wire import PREFACE, prefix

CAP = 128 * 1024
EXHAUSTED = 8
DRAIN_S = 0.3


class Closed(Exception):
    pass


class Request:
    def __init__(self):
        self.block, self.headers, self.body = b"", None, bytearray()
        self.done = False


class Peer:
    def __init__(self, sock, server):
        self.sock, self.server, self.plugin, self.fault = sock, server, server.plugin, server.fault
        self.encoder, self.decoder = Encoder(), Decoder()
        self.buffer, self.requests = bytearray(), {}
        self.last_sid = self.pings = self.answered = 0
        self.draining_since = None
        self.gone = threading.Event()

    def run(self):
        try:
            if self.fault != "late-settings":
                self.settings()
            self.preface()
            while True:
                self.frames()
                self.more()
        except (Closed, OSError):
            pass
        except Exception:  # pylint: disable=broad-except
            if self.fault == "dies-of-fuzz":
                os._exit(1)
        finally:
            self.sock.close()
            self.gone.set()

    def settings(self):
        if self.fault == "broken-frames":
            self.sock.sendall(bytes((0, 0, 5, 4, 0, 0, 0, 0, 0)) + bytes(5))
        limit = 100 if self.fault == "few-streams" else 256
        self.send(SettingsFrame(0, settings={SettingsFrame.MAX_CONCURRENT_STREAMS: limit}))

    def preface(self):
        while len(self.buffer) < len(PREFACE):
            self.more()
            if not PREFACE.startswith(bytes(self.buffer[:len(PREFACE)])):
                self.foreign()
        del self.buffer[:len(PREFACE)]
        if self.fault == "late-settings":
            self.settings()

    def foreign(self):
        if self.fault == "closes-all":
            for peer in self.server.peers:
                peer.sock.close()
        raise Closed

    def more(self):
        """Reads what there is; while draining, for a moment longer."""
        while not select.select([self.sock], [], [], 0.05)[0]:
            self.drain()
        data = self.sock.recv(65536)
        if not data:
            raise Closed
        self.buffer += data
        self.drain()

    def drain(self):
        if not self.server.draining.is_set() or self.fault in ("silent-stop", "abrupt-stop"):
            return
        if self.fault == "drops-busy" and self.answered > 3:
            return self.close_on_call()
        if self.draining_since is None:
            self.draining_since = time.monotonic()
            self.send(GoAwayFrame(0, last_stream_id=2 ** 31 - 1))
        elif time.monotonic() - self.draining_since > DRAIN_S:
            self.frames()
            self.send(GoAwayFrame(0, last_stream_id=self.last_sid))
            raise Closed

    def close_on_call(self):
        if self.buffer:
            raise Closed

    def send(self, *frames):
        self.sock.sendall(b"".join(frame.serialize() for frame in frames))

    def frames(self):
        while len(self.buffer) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(bytes(self.buffer[:9])))
            if len(self.buffer) < 9 + length:
                return
            frame.parse_body(memoryview(bytes(self.buffer[9:9 + length])))
            del self.buffer[:9 + length]
            self.frame(frame)

    def frame(self, frame):
        if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            self.send(SettingsFrame(0, flags=["ACK"]))
        elif isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            self.ping(frame)
        elif isinstance(frame, (HeadersFrame, ContinuationFrame)):
            self.head(frame)
        elif isinstance(frame, DataFrame):
            self.data(frame)
        elif isinstance(frame, RstStreamFrame):
            self.requests.pop(frame.stream_id, None)

    def ping(self, frame):
        self.pings += 1
        if self.fault == "counts-pings" and self.pings > 10:
            self.send(GoAwayFrame(0, last_stream_id=self.last_sid, error_code=11))
            raise Closed
        self.send(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))

    def head(self, frame):
        request = self.requests.setdefault(frame.stream_id, Request())
        self.last_sid = max(self.last_sid, frame.stream_id)
        request.block += frame.data
        if "END_HEADERS" not in frame.flags:
            return
        request.headers = dict(self.decoder.decode(request.block))
        if self.fault == "refuses-raw-authority" and request.headers.get(":authority", "")[:1] in ("/", "@"):
            self.send(RstStreamFrame(frame.stream_id, error_code=1))
            request.done = True
        if "END_STREAM" in frame.flags:
            self.answer(frame.stream_id, request)

    def data(self, frame):
        request = self.requests.get(frame.stream_id)
        if frame.flow_controlled_length:
            self.send(*(WindowUpdateFrame(sid, window_increment=frame.flow_controlled_length)
                        for sid in (0, frame.stream_id)))
        if request is None or request.done:
            return
        request.body += frame.data
        cap = 16384 if self.fault == "small-cap" else CAP
        if len(request.body) >= 5 and self.fault != "waits-for-all" and \
                struct.unpack(">I", request.body[1:5])[0] > cap:
            request.done = True
            self.refuse(frame.stream_id, EXHAUSTED, "too large")
        elif "END_STREAM" in frame.flags:
            self.answer(frame.stream_id, request)

    # -- gRPC --

    def answer(self, sid, request):
        self.requests.pop(sid, None)
        if request.done:
            return
        if self.fault == "abrupt-stop" and self.server.draining.is_set():
            os._exit(0)  # with a call in hand, however the clients happened to pause
        self.answered += 1
        try:
            message = self.call(request)
        except Refused as why:
            return self.refuse(sid, why.code, why.text)
        end = "end-on-data" == self.fault
        head = [(":status", "200"), ("content-type", "application/grpc")] + ([("grpc-status", "0")] if end else [])
        frames = [self.headers(sid, head, False), DataFrame(sid, data=prefix(message), flags=["END_STREAM"] if end else [])]
        if not end:
            frames.append(self.headers(sid, [("grpc-status", "0")], True))
        return self.send(*frames)

    def refuse(self, sid, code, text):
        head = [(":status", "200"), ("content-type", "application/grpc")]
        status = [("grpc-status", str(code)), ("grpc-message", self.encoded(text))]
        if self.fault == "error-in-two":
            self.send(self.headers(sid, head, False), self.headers(sid, status, True))
        else:
            self.send(self.headers(sid, head + status, True))

    def encoded(self, text):
        if self.fault == "raw-message":
            return text
        return "".join(chr(b) if 0x20 <= b <= 0x7E and b != 0x25 else f"%{b:02X}" for b in text.encode())

    def headers(self, sid, pairs, end):
        return HeadersFrame(sid, data=self.encoder.encode(pairs), flags=["END_HEADERS"] + (["END_STREAM"] if end else []))

    def call(self, request):
        path = request.headers.get(":path", "")
        if request.headers.get("content-type", "") not in ("application/grpc", "application/grpc+proto") and \
                self.fault != "serves-json":
            raise Refused(INTERNAL, "content-type")
        method = self.method(path)
        if method is None:
            if self.fault == "unknown-ok":
                return b""
            raise Refused(UNIMPLEMENTED, "no such method: " + path)
        return method(self.message(request))

    def method(self, path):
        if self.fault == "case-blind":
            path = {"/v2.keymanagementservice/status": "/v2.KeyManagementService/Status"}.get(path.lower(), path)
        return {"/v2.KeyManagementService/Status": self.plugin.status,
                "/v2.KeyManagementService/Encrypt": self.plugin.encrypt_v2,
                "/v2.KeyManagementService/Decrypt": self.plugin.decrypt_v2,
                "/v1beta1.KeyManagementService/Version": self.plugin.version,
                "/v1beta1.KeyManagementService/Encrypt": self.plugin.encrypt_v1,
                "/v1beta1.KeyManagementService/Decrypt": self.plugin.decrypt_v1}.get(path)

    def message(self, request):
        body = bytes(request.body)
        flag, length = struct.unpack(">BI", body[:5]) if len(body) >= 5 else (0, -1)
        if flag and self.fault != "ignores-flag":
            raise Refused(UNIMPLEMENTED if "grpc-encoding" in request.headers else INTERNAL, "compressed")
        if length != len(body) - 5 and self.fault != "ignores-length":
            raise Refused(INTERNAL, "framing")
        try:
            found, unknown = parse(body[5:])
        except ValueError as why:
            if self.fault == "lenient":
                return {1: [bytes(32)], 2: [bytes(32)]}
            raise Refused(INTERNAL, f"protobuf: {why}") from None
        if unknown and self.fault == "strict-fields":
            raise Refused(INTERNAL, "unknown field")
        return found
