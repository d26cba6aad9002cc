"""Statements 29 to 33: the socket itself."""
import os
import socket
import time

from . import clients, wire
from .calls import ping_path, still_serves
from .registry import Failed, NotApplicable, check, require
from .target import DENIED, OK
from .wire import Conn


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
       "other users cannot connect, or are refused by their uid")
def socket_access(target):
    if target.socket.startswith("@"):
        raise NotApplicable("an abstract socket has no mode")
    mode = os.stat(target.socket).st_mode & 0o777
    wanted = target.options.socket_mode
    require(wanted is None or mode == int(wanted, 8), f"mode {mode:04o} instead of {wanted}")
    require(mode & 0o007 == 0 or target.has("other_user"), f"mode {mode:04o} lets everyone connect")
    if not target.has("other_user"):
        return f"mode {mode:04o}; peer check not asked (--other-user)"
    seen = asked_by_another(target)
    require(seen == f"grpc {DENIED}" or seen.startswith("refused"), f"peer {target.options.other_user}: {seen}")
    return f"mode {mode:04o}; peer {target.options.other_user}: {seen}"


def asked_by_another(target):
    """What a process of another user gets; /proc serves it our files, which it may not be able to read."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.setgroups([])
        os.setgid(int(target.options.other_user))
        os.setuid(int(target.options.other_user))
        os.write(write, answer_to_me(target).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        seen = pipe.read()
    os.waitpid(child, 0)
    return seen


def answer_to_me(target):
    path, message = ping_path(target)
    try:
        with target.conn() as conn:
            return f"grpc {conn.call(path, message).status}"
    except (OSError, wire.Closed, wire.Timeout) as problem:
        return f"refused ({type(problem).__name__})"


@check(32, "transport", "an abstract endpoint is reachable as Go dials it",
       "the address length counts no trailing NUL", needs=("abstract_socket",))
def abstract(target):
    name = target.options.abstract_socket
    path, message = ping_path(target)
    with Conn(name) as conn:
        answer = conn.call(path, message)
        require(answer.status == OK, answer.summary())
    clients.grpcio_status(name, "localhost", path, message)
    api = "v2" if target.options.v2 else "v1"
    for helper in clients.need_helpers(target):
        report = clients.run(helper, name, "status", api=api)
        require(report["ok"], clients.explain(report))
    return "raw frames, grpcio, grpc-go"


@check(33, "transport", "with a held socket an early client is answered at the start",
       "socket activation: a client that dials before the plugin runs waits in the queue",
       needs=("activation", "held_socket"))
def activation(target):
    path, message = ping_path(target)
    held = target.at(target.options.held_socket)
    target.command("activation", "stop")
    go = [clients.start(helper, held.socket, "status", timeout="60s", api="v2" if target.options.v2 else "v1")
          for helper in clients.helpers(target)]
    with held.conn() as early:
        sid = early.start(path, message, grpc_timeout="60S")
        early.idle(1.0)
        began = time.monotonic()
        target.command("activation", "start")
        stream = early.wait(sid, 60.0)
        took = time.monotonic() - began
    require(stream.status == OK, stream.summary())
    for process in go:
        report = clients.finish(process)
        require(report["ok"], clients.explain(report))
    return f"answered {took:.2f} s after the start began; {len(go)} grpc-go clients too"
