"""Broken HTTP/2, gRPC and protobuf: the documented code, and the connection and all others go on."""
import os
import socket
import struct
import unittest

import kit_path  # noqa: F401
import frames
from daemon import running, v2
from frames import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, PUSH,
                    RST_STREAM, SETTINGS, WINDOW_UPDATE, Closed, Connection, frame, head, message)

ENCRYPT = "/v2.KeyManagementService/Encrypt"
DECRYPT = "/v2.KeyManagementService/Decrypt"
PROTOCOL_ERROR = 1


class Wire(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = running()
        cls.fronts = cls.daemon.wait_pid("front")

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def setUp(self):
        self.conn = Connection(self.daemon.socket)
        self.other = Connection(self.daemon.socket)
        self.assertEqual(0, self.other.ask().code)

    def tearDown(self):
        self.conn.close()
        self.assertEqual(0, self.other.ask().code, "another connection is served on")
        self.other.close()
        self.assertEqual(self.fronts, self.daemon.pid_of("front"), "the front lives on")

    def goes_on(self):
        self.assertTrue(self.conn.alive())
        answer = self.conn.ask()
        self.assertEqual(0, answer.code)

    def test_settings_come_first_and_alone(self):
        with Connection(self.daemon.socket, preface=b"") as silent:
            silent.step()
            self.assertEqual(SETTINGS, silent.frames[0][0])

    def test_answer_has_the_shape_of_grpc(self):
        answer = self.conn.ask()
        self.assertEqual([(":status", "200"), ("content-type", "application/grpc")],
                         [tuple(h) for h in answer.headers[:2]])
        self.assertEqual(0, answer.data[0])
        self.assertEqual(len(answer.data) - 5, struct.unpack(">I", answer.data[1:5])[0])
        self.assertEqual(b"ok", v2.StatusResponse.FromString(answer.data[5:]).healthz)

    def test_errors_are_trailers_only(self):
        answer = self.conn.ask(fields=head("/no.such/Method"))
        self.assertEqual(12, answer.code)
        self.assertEqual(b"", answer.data)
        self.assertEqual(1, sum(1 for f in self.conn.frames if f[0] == HEADERS))
        self.goes_on()

    def test_protobuf_that_does_not_parse_is_13(self):
        for body in (b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x05abc", b"\xff" * 12, b"\x0b", b"\x08"):
            for path in (ENCRYPT, DECRYPT, "/v1beta1.KeyManagementService/Encrypt"):
                self.assertEqual(13, self.conn.ask(body, head(path)).code, (path, body))
        self.goes_on()

    def test_grpc_framing_errors(self):
        body = v2.EncryptRequest(plaintext=b"x", uid=b"u").SerializeToString()
        cases = ((b"", 12, "no message"), (message(body) * 2, 12, "two messages"),
                 (message(body, length=len(body) + 1), 13, "cut short"),
                 (message(body)[:3], 13, "prefix cut short"), (message(body, flag=2), 13, "unknown flag"),
                 (message(body, flag=1), 13, "compressed without an encoding"),
                 (message(body) + b"\0", 13, "bytes behind"))
        for raw, code, what in cases:
            answer = self.conn.ask(raw, head(ENCRYPT), raw=True)
            self.assertIn(answer.code, {code} if what != "bytes behind" else {12, 13}, what)
        self.goes_on()

    def test_compression_is_unimplemented(self):
        answer = self.conn.ask(message(b"zz", flag=1), head(ENCRYPT, extra=[("grpc-encoding", "gzip")]),
                               raw=True)
        self.assertEqual(12, answer.code)
        self.assertEqual("identity", answer.field("grpc-accept-encoding"))
        self.goes_on()

    def test_grpc_timeout_that_is_none_is_13(self):
        for value in ("", "1", "S", "123456789S", "-1S", "1x", "1 S", "0x1S", "1SS"):
            self.assertEqual(13, self.conn.ask(fields=head(grpc_timeout=value)).code, value)
        for value in ("1H", "99999999u", "5S", "3000m"):
            self.assertEqual(0, self.conn.ask(fields=head(grpc_timeout=value)).code, value)
        self.assertEqual(0, self.conn.ask(fields=head(drop=["grpc-timeout"])).code)

    def test_other_content_types_and_verbs_get_an_http_answer(self):
        self.assertEqual("415", self.conn.ask(fields=head(content_type="application/json")).field(":status"))
        self.assertEqual("415", self.conn.ask(fields=head(drop=["content-type"])).field(":status"))
        self.assertEqual("405", self.conn.ask(fields=head(method="PUT")).field(":status"))
        self.assertEqual(0, self.conn.ask(fields=head(content_type="application/grpc+proto")).code)
        self.goes_on()

    def test_malformed_requests_reset_their_stream_only(self):
        doubled = head() + [(":path", "/x")]
        late_pseudo = head()[4:] + head()[:4]
        cases = (head(drop=[":method"]), head(drop=[":path"]), head(drop=[":scheme"]), doubled, late_pseudo,
                 head(extra=[("Upper", "x")]), head(extra=[("connection", "close")]),
                 head(extra=[("transfer-encoding", "chunked")]), head(extra=[("content-length", "99")]),
                 head(extra=[(":unknown", "x")]), head(te="gzip"))
        for fields in cases:
            number = self.conn.headers(fields)
            self.conn.send(frame(DATA, END_STREAM, number, message(b"")))
            answer = self.conn.answer(number)
            self.assertEqual(PROTOCOL_ERROR, answer.reset, fields)
            self.goes_on()

    def test_authorities_that_are_no_hosts_are_served(self):
        for authority in ("/run/p11-kms/kms.sock", "@name", "", "a b", "local%20host", "x" * 300):
            self.assertEqual(0, self.conn.ask(fields=head(authority=authority)).code, authority)
        self.assertEqual(0, self.conn.ask(fields=head(drop=[":authority"])).code)

    def test_body_in_single_bytes_and_padded_frames(self):
        body = message(v2.EncryptRequest(plaintext=b"x" * 32, uid=b"u").SerializeToString())
        number = self.conn.headers(head(ENCRYPT))
        for byte in body[:-1]:
            self.conn.send(frame(DATA, 0, number, bytes([byte])))
        self.conn.send(frame(DATA, END_STREAM | frames.PADDED, number, b"\x03" + body[-1:] + bytes(3)))
        self.assertEqual(0, self.conn.answer(number).code)

    def test_headers_in_continuations(self):
        block = self.conn.encoder.encode(head(), huffman=False)
        number = self.conn.stream()
        self.conn.send(frame(HEADERS, 0, number, block[:7]), frame(CONTINUATION, 0, number, block[7:20]),
                       frame(CONTINUATION, END_HEADERS, number, block[20:]),
                       frame(DATA, END_STREAM, number, message(b"")))
        self.assertEqual(0, self.conn.answer(number).code)

    def test_bdp_pings_are_answered_for_ever(self):
        for _ in range(300):
            self.assertTrue(self.conn.alive())
        self.goes_on()

    def test_unknown_frames_are_ignored(self):
        self.conn.send(frame(0xBE, 0xFF, 0, b"what"), frame(PRIORITY, 0, 1, bytes(5)))
        self.goes_on()

    def test_cancelled_calls_are_forgotten(self):
        for _ in range(2000):
            number = self.conn.headers(head(ENCRYPT))
            self.conn.send(frame(RST_STREAM, 0, number, struct.pack(">I", 8)))
        self.goes_on()

    def test_connection_errors_end_that_connection_with_goaway(self):
        huge = struct.pack(">I", 16385)[1:] + struct.pack(">BBI", DATA, 0, 1)
        for what, sent in (("DATA on stream 0", frame(DATA, 0, 0, b"x")),
                           ("HEADERS on an even stream", frame(HEADERS, 5, 2, b"\x82")),
                           ("frame above the maximum", huge + bytes(16385)),
                           ("SETTINGS of a wrong length", frame(SETTINGS, 0, 0, b"abc")),
                           ("PING of a wrong length", frame(PING, 0, 0, b"abc")),
                           ("WINDOW_UPDATE of 0", frame(WINDOW_UPDATE, 0, 0, bytes(4))),
                           ("PUSH_PROMISE", frame(PUSH, END_HEADERS, 1, struct.pack(">I", 2))),
                           ("HPACK that does not decode", frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff")),
                           ("CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1, b""))):
            with Connection(self.daemon.socket) as conn:
                while not conn.frames:
                    conn.step()
                conn.send(sent)
                with self.assertRaises((Closed, BrokenPipeError), msg=what):
                    while True:
                        conn.step()

    def test_not_http2_is_closed(self):
        for sent in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(200), b"\x16\x03\x01\x02\x00",
                     frames.PREFACE[:10] + b"xxxxxxxxxxxxxxxxxxx"):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.settimeout(10)
                raw.connect(self.daemon.socket)
                raw.sendall(sent + bytes(24))
                try:
                    while raw.recv(4096):
                        pass
                except ConnectionResetError:
                    pass

    def test_random_bytes_after_the_preface(self):
        for seed in range(100):
            with Connection(self.daemon.socket) as conn:
                try:
                    conn.send(bytes((seed * 131 + i * i * 17) & 255 for i in range(500)))
                except (BrokenPipeError, ConnectionResetError):
                    pass


if __name__ == "__main__":
    unittest.main(verbosity=2)
