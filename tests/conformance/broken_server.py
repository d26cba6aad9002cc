#!/usr/bin/python3
"""A deliberately wrong KMS plugin: broken_server.py --dir D [--fault NAME] COMMAND.

Without a fault it passes the checks that test_conformance.py asks of it; each fault breaks one promise.
`run` serves on D/sock; the other commands control it from outside, as options of p11-kms-conformance do.
"""
import argparse
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE]

from broken.http2 import Peer  # noqa: E402
from broken.plugin import Plugin, Store  # noqa: E402
from kmsconf import wire  # noqa: E402

MARKS = {"outage": "outage", "hang": "hang", "break-decrypt": "broken-decrypt", "break-encrypt": "broken-encrypt"}


class Server:
    def __init__(self, folder, fault):
        self.folder, self.fault = folder, fault
        self.path = os.path.join(folder, "sock")
        self.plugin = Plugin(folder, fault)
        self.draining = threading.Event()
        self.peers = []
        self.listener = self.listen()

    def listen(self):
        listener = socket.socket(socket.AF_UNIX)
        if self.fault != "steals-socket" and answers(self.path):
            sys.exit("another instance serves this socket")
        if os.path.exists(self.path):
            os.unlink(self.path)
        listener.bind(self.path)
        os.chmod(self.path, 0o666 if self.fault == "open-socket" else 0o600)
        listener.listen(128)
        return listener

    def run(self):
        self.mark_start()
        signal.signal(signal.SIGTERM, lambda *_: self.draining.set())
        self.listener.settimeout(0.05)
        while not self.draining.is_set():
            try:
                sock, _ = self.listener.accept()
            except socket.timeout:
                continue
            peer = Peer(sock, self)
            self.peers = [other for other in self.peers if not other.gone.is_set()] + [peer]
            if self.fault == "one-at-a-time":
                peer.run()
            else:
                threading.Thread(target=peer.run, daemon=True).start()
        self.end()

    def mark_start(self):
        if os.path.exists(os.path.join(self.folder, "started")):
            open(os.path.join(self.folder, "started-again"), "w", encoding="ascii").close()
        open(os.path.join(self.folder, "started"), "w", encoding="ascii").close()
        with open(os.path.join(self.folder, "pid"), "w", encoding="ascii") as out:
            out.write(str(os.getpid()))

    def end(self):
        os.unlink(self.path)
        self.listener.close()
        if self.fault == "abrupt-stop":
            time.sleep(3)
            os._exit(0)
        if self.fault == "silent-stop":
            time.sleep(6)
        for peer in self.peers:
            peer.gone.wait(3)


def answers(path):
    try:
        with wire.connect(path):
            return True
    except OSError:
        return False


class Control:
    """The commands that a conformance run is given."""

    def __init__(self, folder, fault):
        self.folder, self.fault = folder, fault
        self.socket = os.path.join(folder, "sock")

    def pid(self):
        with open(os.path.join(self.folder, "pid"), encoding="ascii") as source:
            return int(source.read())

    def start(self):
        with open(os.path.join(self.folder, "stderr"), "ab") as log:
            subprocess.Popen([sys.executable, "-B", __file__, "--dir", self.folder, "--fault", self.fault, "run"],
                             stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 30
        while not answers(self.socket):
            if time.monotonic() > end:
                sys.exit("it does not start")
            time.sleep(0.02)

    def stop(self, sign=signal.SIGTERM):
        pid = self.pid()
        os.kill(pid, sign)
        while running(pid):
            time.sleep(0.02)

    def kill(self):
        self.stop(signal.SIGKILL)

    def restart(self):
        self.stop()
        self.start()

    def second(self):
        os.execv(sys.executable, [sys.executable, "-B", __file__, "--dir", self.folder, "--fault", self.fault, "try"])

    def mark(self, name):
        open(os.path.join(self.folder, name), "w", encoding="ascii").close()

    def restore(self):
        for name in MARKS.values():
            if os.path.exists(os.path.join(self.folder, name)):
                os.unlink(os.path.join(self.folder, name))

    unhang = restore

    def rotate(self):
        Store(self.folder).rotate()

    def reactivate(self):
        Store(self.folder).reactivate()

    def destroy(self):
        Store(self.folder).destroy()

    def foreign(self):
        plugin = Plugin(self.folder, "")
        data = plugin.store.read()
        print(plugin.seal(b"2", data, plugin.key_id(data), bytes(range(32))).hex(), plugin.key_id(data))

    def calls(self):
        with open(os.path.join(self.folder, "calls"), encoding="ascii") as source:
            print(len(source.readlines()))

    def key_id_hash(self):
        plugin = Plugin(self.folder, self.fault)
        name = plugin.key_id(plugin.store.read())
        print("sha256:" + hashlib.sha256((name + "\n" if self.fault == "wrong-hash" else name).encode()).hexdigest())

    def pids(self):
        print(self.pid())

    def disturb(self, what):
        if what != "full-disk":
            sys.exit(77)
        self.mark("full-disk")

    def undisturb(self, _):
        if os.path.exists(os.path.join(self.folder, "full-disk")):
            os.unlink(os.path.join(self.folder, "full-disk"))


def running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def main():
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--dir", required=True)
    made.add_argument("--fault", default="")
    made.add_argument("command", nargs="+")
    chosen = made.parse_args()
    name, *arguments = chosen.command
    os.makedirs(chosen.dir, mode=0o700, exist_ok=True)
    if name == "run":
        return Server(chosen.dir, chosen.fault).run()
    if name == "try":
        return Server(chosen.dir, chosen.fault).listener.close()
    control = Control(chosen.dir, chosen.fault)
    if name in MARKS:
        return control.mark(MARKS[name])
    return getattr(control, name.replace("-", "_"))(*arguments)


if __name__ == "__main__":
    sys.exit(main())
