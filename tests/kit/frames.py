"""Raw HTTP/2 frames over a unix socket, for what a gRPC library refuses to send."""
import socket
import struct

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK, PADDED = 1, 4, 1, 8


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def message(body, flag=0, length=None):
    return struct.pack(">BI", flag, len(body) if length is None else length) + body


def head(path="/v2.KeyManagementService/Status", authority="localhost", extra=(), drop=(), **replace):
    """The header list of grpc-go; `replace` by names with _ for : and -."""
    fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", authority),
              ("content-type", "application/grpc"), ("user-agent", "grpc-go/1.60.1"), ("te", "trailers"),
              ("grpc-timeout", "2999210u")]
    fields = [(k, replace.get(k.strip(":").replace("-", "_"), v)) for k, v in fields if k not in drop]
    return fields + list(extra)


class Answer:
    def __init__(self):
        self.headers, self.data, self.ended, self.reset = [], b"", False, None

    def field(self, name):
        for key, value in self.headers:
            if key == name:
                return value
        return None

    @property
    def code(self):
        value = self.field("grpc-status")
        return None if value is None else int(value)


class Closed(Exception):
    """The peer closed the connection."""


class Connection:
    def __init__(self, path, preface=PREFACE, settings=b"", timeout=10):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.buffer = b""
        self.answers = {}
        self.frames = []
        self.goaway = None
        self.pongs = []
        self.next_stream = 1
        if preface:
            self.sock.sendall(preface + frame(SETTINGS, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, *frames):
        self.sock.sendall(b"".join(frames))

    def stream(self):
        number = self.next_stream
        self.next_stream += 2
        return number

    def polite(self, *frames):
        """Sends what a good peer owes; the other end may have said its last word and gone."""
        try:
            self.send(*frames)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def headers(self, fields, flags=END_HEADERS, stream=None):
        number = stream or self.stream()
        self.send(frame(HEADERS, flags, number, self.encoder.encode(fields, huffman=False)))
        return number

    def request(self, body, fields=None, raw=False):
        """A whole request; raw: body is the bytes of DATA. Returns the stream."""
        number = self.headers(fields or head())
        data = body if raw else message(body)
        for at in range(0, max(len(data), 1), 16384):
            part = data[at:at + 16384]
            last = at + 16384 >= len(data)
            self.send(frame(DATA, END_STREAM if last else 0, number, part))
        return number

    def step(self):
        """Reads one frame and acts on it."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            try:
                got = self.sock.recv(65536)
            except ConnectionResetError:
                got = b""
            if not got:
                raise Closed()
            self.buffer += got
        length = int.from_bytes(self.buffer[:3], "big")
        kind, flags = self.buffer[3], self.buffer[4]
        stream = int.from_bytes(self.buffer[5:9], "big") & 0x7FFFFFFF
        payload = self.buffer[9:9 + length]
        self.buffer = self.buffer[9 + length:]
        self.frames.append((kind, flags, stream, payload))
        answer = self.answers.setdefault(stream, Answer()) if stream else None
        if kind == HEADERS:
            answer.headers += self.decoder.decode(payload)
            answer.ended = answer.ended or bool(flags & END_STREAM)
        elif kind == DATA:
            answer.data += payload
            answer.ended = answer.ended or bool(flags & END_STREAM)
            if payload:
                self.polite(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", len(payload))))
        elif kind == RST_STREAM:
            answer.reset = int.from_bytes(payload, "big")
            answer.ended = True
        elif kind == SETTINGS and not flags & ACK:
            self.polite(frame(SETTINGS, ACK, 0))
        elif kind == PING and flags & ACK:
            self.pongs.append(payload)
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        return kind

    def answer(self, stream):
        while not (stream in self.answers and self.answers[stream].ended):
            self.step()
        return self.answers[stream]

    def ask(self, body=b"", fields=None, raw=False):
        return self.answer(self.request(body, fields, raw))

    def alive(self):
        """True when a ping comes back."""
        mark = b"p11-kms?"
        before = len(self.pongs)
        try:
            self.send(frame(PING, 0, 0, mark))
            while len(self.pongs) == before:
                self.step()
        except (Closed, BrokenPipeError, ConnectionResetError):
            return False
        return self.pongs[-1] == mark
