"""Every limit that a client can reach, at it and one past it; everyone else is served on."""
import os
import signal
import struct
import time
import unittest

import kit_path  # noqa: F401
from daemon import running, until, v2
from frames import (DATA, END_HEADERS, END_STREAM, HEADERS, SETTINGS, CONTINUATION, Closed, Connection,
                    frame, head, message)

ENCRYPT = "/v2.KeyManagementService/Encrypt"
DECRYPT = "/v2.KeyManagementService/Decrypt"
CONNECTIONS, STREAMS, MESSAGE = 128, 256, 128 * 1024
PROTOCOL_ERROR, REFUSED_STREAM, CANCEL = 1, 7, 8


def padded_request(size):
    """A Decrypt request of exactly `size` bytes, the most of it an unknown field."""
    rest = size - 4
    return b"\xfa\x01" + bytes([rest & 127 | 128, (rest >> 7) & 127]) + bytes(rest) if rest < 1 << 14 \
        else b"\xfa\x01" + bytes([(rest - 1) & 127 | 128, ((rest - 1) >> 7) & 127 | 128, (rest - 1) >> 14]) \
        + bytes(rest - 1)


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = running()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def open(self, **named):
        conn = Connection(self.daemon.socket, **named)
        self.addCleanup(conn.close)
        return conn

    def send_slowly(self, conn, body, fields):
        """A request above the flow-control window: sends as the peer allows."""
        number = conn.headers(fields)
        window = {"conn": 65535, "stream": 65535}
        for f in conn.frames:
            if f[0] == SETTINGS and not f[1]:
                for at in range(0, len(f[3]), 6):
                    key, value = struct.unpack(">HI", f[3][at:at + 6])
                    if key == 4:
                        window["stream"] = value
        seen = 0
        data = message(body)
        while data:
            for kind, _, stream, payload in conn.frames[seen:]:
                if kind == 8:
                    window["conn" if stream == 0 else "stream"] += struct.unpack(">I", payload)[0]
            seen = len(conn.frames)
            n = min(len(data), 16384, window["conn"], window["stream"])
            if n == 0:
                answer = conn.answers.get(number)
                if answer is not None and answer.ended:
                    return number
                conn.step()
                continue
            part, data = data[:n], data[n:]
            window["conn"] -= n
            window["stream"] -= n
            conn.send(frame(DATA, END_STREAM if not data else 0, number, part))
        return number

    def test_message_of_the_cap_and_one_past_it(self):
        conn = self.open()
        conn.alive()
        for size, code in ((MESSAGE, 3), (MESSAGE + 1, 8)):
            body = padded_request(size)
            self.assertEqual(size, len(body))
            number = self.send_slowly(conn, body, head(DECRYPT))
            self.assertEqual(code, conn.answer(number).code, size)
            self.assertEqual(0, conn.ask().code)

    def test_headers_up_to_8_kib_are_answered_and_past_it_refused(self):
        def size(fields):
            return sum(len(k) + len(v) + 32 for k, v in fields)
        conn = self.open()
        base = size(head(extra=[("x-big", "")]))
        for target, code in ((8192, 0), (8193, 8)):
            answer = conn.ask(fields=head(extra=[("x-big", "y" * (target - base))]))
            self.assertEqual(code, answer.code, target)
        self.assertEqual(0, conn.ask().code)

    def test_headers_past_64_kib_end_the_connection(self):
        conn = self.open()
        block = conn.encoder.encode(head(extra=[("x-%d" % i, "y" * 4000) for i in range(20)]), huffman=False)
        number = conn.stream()
        with self.assertRaises((Closed, BrokenPipeError, ConnectionResetError)):
            conn.send(frame(HEADERS, 0, number, block[:16000]))
            for at in range(16000, len(block), 16000):
                conn.send(frame(CONTINUATION, 0, number, block[at:at + 16000]))
            while True:
                conn.step()
        self.assertEqual(0, self.open().ask().code)

    def test_streams_at_and_past_the_limit(self):
        conn = self.open()
        conn.alive()
        held = [conn.headers(head(ENCRYPT)) for _ in range(STREAMS)]
        self.assertTrue(conn.alive())
        body = message(v2.EncryptRequest(plaintext=b"x", uid=b"u").SerializeToString())
        for number in held:
            conn.send(frame(DATA, END_STREAM, number, body))
        for number in held:
            self.assertEqual(0, conn.answer(number).code)
        self.assertEqual(0, conn.ask().code)

    def test_a_stream_past_the_acknowledged_limit_costs_that_connection_alone(self):
        conn, other = self.open(), self.open()
        conn.alive()
        for _ in range(STREAMS):
            conn.headers(head(ENCRYPT))
        self.assertTrue(conn.alive())
        past = conn.headers(head(ENCRYPT))
        try:
            self.assertEqual(REFUSED_STREAM, conn.answer(past).reset)
        except Closed:
            self.assertEqual(PROTOCOL_ERROR, conn.goaway)
        self.assertEqual(0, other.ask().code)

    def test_calls_that_are_never_whole_leave_room_for_everyone_else(self):
        """Four connections take what they get; whole calls of others are answered, one after the other and
        ten at a time. (After 5 s such calls are over anyway, so that a slow machine sees less of them.)"""
        conns = [self.open() for _ in range(4)]
        body = v2.EncryptRequest(plaintext=b"x", uid=b"u").SerializeToString()
        refused = []
        for conn in conns:
            conn.alive()
            held = [conn.headers(head(ENCRYPT)) for _ in range(STREAMS)]
            conn.alive()
            refused.append([n for n in held if n in conn.answers and conn.answers[n].code == 8])
        self.assertEqual([], refused[0], "the first is alone")
        for _ in range(5):
            other = self.open()
            for number in [other.request(body, head(ENCRYPT)) for _ in range(10)] + [other.request(b"")]:
                self.assertEqual(0, other.answer(number).code)
            other.close()
        if any(refused[1:]):
            self.mend("calls are in flight")

    def mend(self, words):
        """p11-kmsctl status says so beside the state."""
        until(lambda: words in self.daemon.ctl("status", "--output", "json").stdout, 20, words)

    def test_connection_that_nobody_uses_goes_when_another_peer_comes(self):
        self.daemon.client().close()
        for client in self.daemon.clients:
            client.close()
        del self.daemon._client
        time.sleep(0.3)
        held = [Connection(self.daemon.socket) for _ in range(CONNECTIONS)]
        try:
            for conn in held:
                self.assertEqual(0, conn.ask().code)
            with Connection(self.daemon.socket, timeout=20) as past:
                self.assertEqual(0, past.ask().code)
                with self.assertRaises(Closed):
                    while True:
                        held[0].step()
                self.assertEqual(0, held[0].goaway)
                self.assertEqual(0, held[-1].ask().code, "who came last stays")
            self.mend("all connections are taken")
        finally:
            for conn in held:
                conn.close()

    def test_a_request_that_does_not_end_is_refused_and_its_connection_let_go(self):
        """After 5 s; with NO_ERROR, so that a client dials again and sends the rest of its calls there."""
        conn = self.open(timeout=20)
        number = conn.headers(head(ENCRYPT, drop=["grpc-timeout"]))
        conn.send(frame(DATA, 0, number, b"\0\0"))
        self.assertEqual(4, conn.answer(number).code)
        with self.assertRaises(Closed):
            while True:
                conn.step()
        self.assertEqual(0, conn.goaway)
        self.assertEqual(0, self.open().ask().code)

    def test_a_peer_that_never_speaks_is_closed(self):
        conn = self.open(preface=b"", timeout=20)
        with self.assertRaises(Closed):
            while True:
                conn.step()

    def test_a_peer_that_takes_no_answer_loses_the_stream_only(self):
        conn = self.open(timeout=30, settings=struct.pack(">HI", 4, 0))
        number = conn.request(b"")
        answer = conn.answer(number)
        self.assertEqual(CANCEL, answer.reset)
        self.assertTrue(conn.alive())

    def test_idle_connections_stay_open(self):
        conn = self.open()
        self.assertEqual(0, conn.ask().code)
        time.sleep(12)
        self.assertEqual(0, conn.ask().code)

    def test_waiting_for_the_token_is_bounded_and_ends_in_time(self):
        """With the token process stopped, calls for unknown seeds wait; Status and known seeds do not."""
        conn, quick = self.open(timeout=20), self.open()
        made = v2.EncryptResponse.FromString(conn.ask(
            v2.EncryptRequest(plaintext=b"k" * 32, uid=b"u").SerializeToString(), head(ENCRYPT)).data[5:])
        sealed, key_id = bytearray(made.ciphertext), made.key_id
        was = sealed[60]
        token = self.daemon.kill_role("token", signal.SIGSTOP)
        try:
            numbers = []
            for n in range(1, 251):
                sealed[60] = was ^ n  # another wrapped seed each: none is known
                body = v2.DecryptRequest(ciphertext=bytes(sealed), key_id=key_id, uid=b"u")
                numbers.append(conn.request(body.SerializeToString(), head(DECRYPT, grpc_timeout="1S")))
            self.assertEqual(0, quick.ask().code)
            codes = {conn.answer(n).code for n in numbers}
            self.assertLessEqual(codes, {4, 8, 14})
            self.assertTrue(quick.alive())
        finally:
            try:
                os.kill(token, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self.daemon.wait_ok()


if __name__ == "__main__":
    unittest.main(verbosity=2)
