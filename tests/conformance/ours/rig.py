"""p11-kmsd with everything that the statements ask for: a token that can be taken away, broken and changed
behind its back, more daemons on the same token, a held socket, and a store that lags behind another."""
import copy
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path[:0] = [os.path.join(SOURCE, "tests", "kit"), os.path.dirname(HERE)]

from daemon import BIN, BUILD, Daemon, Token  # noqa: E402
from kmsconf import wire  # noqa: E402
from kmsconf.registry import Failed  # noqa: E402
from kmsconf.target import Status  # noqa: E402

SHIM = os.path.join(BUILD, "tests", "token", "libp11kms_shim.so")
NOTICE = "2s"


def ask(path):
    """One Status over a connection of its own, so that none of ours counts against the daemon's limit."""
    with wire.Conn(path) as conn:
        answer = conn.call(wire.V2 + "Status", wait=5.0)
    if answer.status != 0:
        raise Failed(answer.summary())
    return Status(answer.message)


def wait_ok(daemon, path=None, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            if ask(path or daemon.socket).healthz == "ok":
                return
            seen = "not ok"
        except (OSError, Failed, wire.Closed, wire.Timeout) as problem:
            seen = str(problem) or type(problem).__name__
        if time.monotonic() > end or daemon.process.poll() is not None:
            raise Failed(f"{daemon.name} does not become ok: {seen}\n{daemon.log()[-2000:]}")
        time.sleep(0.05)


def abstract_socket():
    return f"@p11-kms-conformance-{os.getpid()}"


class Held:
    """A listening socket kept by this process and handed to a daemon by LISTEN_FDS."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(daemon.socket)
        os.chmod(daemon.socket, 0o666)
        self.listener.listen(64)

    def start(self):
        number = self.listener.fileno()
        line = f'exec 3<&{number}; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
        with open(self.daemon.log_path, "ab") as log:
            self.daemon.process = subprocess.Popen(
                ["bash", "-c", line, "sh", os.path.join(BIN, "p11-kmsd"), "--config", self.daemon.config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(number,))


class Rig:
    """copyable: the first KEK is one whose label can be copied, as an operator with vendor tools has it (ours
    are unmodifiable). options: config of the daemon under test that differs from the kit's."""

    def __init__(self, copyable=False, **options):
        self.folder = tempfile.mkdtemp(prefix="p11kms-conf-")
        os.chmod(self.folder, 0o755)
        self.token = Token(self.folder)
        self.control = os.path.join(self.folder, "shim.control")
        self.calls = os.path.join(self.folder, "shim.calls")
        shim = {"P11KMS_SHIM_MODULE": self.token.module, "P11KMS_SHIM_CONTROL": self.control,
                "P11KMS_SHIM_LOG": self.calls}
        self.daemons = {}
        self.main = self.make("main", module=SHIM, env=shim, **options)
        if copyable:
            self.generate()
        self.main.init(*(["--join"] if copyable else []))
        self.main.spawn()
        wait_ok(self.main)
        self.held = None
        self.primary = None
        self.others = []

    def generate(self):
        now = int(time.time())
        self.token.tool("generate", id=os.urandom(16).hex(), label=f"p11k:test:{now:08x}:{now:08x}")

    def make(self, name, **options):
        token = options.pop("on", self.token)
        settings = {"mode": "0666", "activation_delay": NOTICE, "start_timeout": "20s", **options}
        self.daemons[name] = Daemon(folder=self.folder, token=token, name=name, **settings)
        return self.daemons[name]

    def joined(self, name, **options):
        """A further daemon on the token, running; made at the first use."""
        if name not in self.daemons:
            daemon = self.make(name, **options)
            daemon.init("--join")
            daemon.spawn()
            wait_ok(daemon, options.get("socket"))
        return self.daemons[name]

    def second(self):
        return self.joined("second")

    def without_v1(self):
        return self.joined("without-v1", kms_v1="off")

    def abstract(self):
        return self.joined("abstract", socket=abstract_socket())

    def hold(self):
        if self.held is None:
            daemon = self.make("held")
            daemon.init("--join")
            self.held = Held(daemon)
            self.held.start()
            wait_ok(daemon)
        return self.held

    def sealed_elsewhere(self):
        """A ciphertext of this ring whose seed the daemon under test has never seen."""
        name = f"elsewhere-{len(self.daemons)}"
        daemon = self.joined(name)
        with wire.Conn(daemon.socket) as conn:
            answer = conn.call(wire.V2 + "Encrypt", wire.encrypt_v2(os.urandom(32)))
        daemon.stop()
        found = wire.fields(answer.message)
        return wire.last(found, 1).hex(), wire.last(found, 2).decode()

    def sealed_by_strangers(self):
        """A well-formed ciphertext under a KEK that this token does not hold."""
        other = Rig()
        try:
            with wire.Conn(other.main.socket) as conn:
                answer = conn.call(wire.V2 + "Encrypt", wire.encrypt_v2(os.urandom(32)))
        finally:
            other.close()
        found = wire.fields(answer.message)
        return wire.last(found, 1).hex(), wire.last(found, 2).decode()

    def more(self, command, **arguments):
        """Runs token_more.py in a process of its own."""
        request = {"module": self.token.module, "pin_file": self.token.pin_file, "command": command, **arguments}
        done = subprocess.run(["/usr/bin/python3", os.path.join(HERE, "token_more.py")], text=True,
                              input=json.dumps(request), capture_output=True,
                              env={**os.environ, "SOFTHSM2_CONF": self.token.conf})
        if done.returncode != 0:
            raise Failed(f"token_more {command}: {done.stderr.strip()[-300:]}")

    def newest(self):
        """The managed key with the latest not-before, as the token tool lists it."""
        return max(self.token.tool("list"), key=lambda key: key["label"].split(":")[2])

    def lag(self):
        """From now on new keys are made on a copy of the token, as if replication had stopped."""
        self.primary = copy.copy(self.token)
        self.primary.folder = os.path.join(self.folder, "primary")
        self.primary.conf = os.path.join(self.primary.folder, "softhsm2.conf")
        shutil.copytree(self.token.folder, self.primary.folder)
        with open(self.token.conf, encoding="utf-8") as source:
            text = source.read().replace(self.token.folder, self.primary.folder)
        with open(self.primary.conf, "w", encoding="utf-8") as out:
            out.write(text)

    def unlag(self):
        if self.primary is not None:
            shutil.copytree(os.path.join(self.primary.folder, "tokens"),
                            os.path.join(self.token.folder, "tokens"), dirs_exist_ok=True)
            shutil.rmtree(self.primary.folder)
            self.primary = None

    def rotate(self):
        if self.primary is None:
            return self.main.ctl("rotate").stdout
        name = f"primary-{len(self.daemons)}"
        daemon = self.make(name, on=self.primary)
        daemon.init("--join")
        return daemon.ctl("rotate").stdout

    def close(self):
        for daemon in self.daemons.values():
            if daemon.process is not None and daemon.process.poll() is None:
                daemon.process.send_signal(signal.SIGTERM)
        for daemon in self.daemons.values():
            if daemon.process is not None:
                daemon.close()
        if self.held is not None:
            self.held.listener.close()
        shutil.rmtree(self.folder, ignore_errors=True)
