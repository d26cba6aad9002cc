"""The plugin under test: its socket, what it can do, and the commands that control its surroundings."""
import copy
import os
import subprocess
import tempfile
import time

from . import wire
from .registry import Failed, NotApplicable
from .wire import V1, V2, Conn

OK, INVALID, DEADLINE, NOT_FOUND, DENIED, EXHAUSTED = 0, 3, 4, 5, 7, 8
PRECONDITION, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 9, 12, 13, 14
SEED = bytes(range(32))
CANNOT = 77    # exit status of a command that cannot do its work on this machine
COMMAND_S = 180
CALL_S = 3.0   # what an API server waits for an answer


class Status:
    def __init__(self, message):
        found = wire.fields(message)
        self.version = wire.last(found, 1).decode("utf-8", "strict")
        self.healthz = wire.last(found, 2).decode("utf-8", "strict")
        self.key_id = wire.last(found, 3)


class Encrypted:
    """What Encrypt answered, with all that Decrypt wants back."""

    def __init__(self, ciphertext, key_id=b"", annotations=()):
        self.ciphertext = ciphertext
        self.key_id = key_id
        self.annotations = list(annotations)


class Target:
    def __init__(self, options):
        self.options = options
        self.socket = options.socket
        self.full = options.full

    def at(self, path):
        """The same plugin at another socket."""
        other = copy.copy(self)
        other.socket = path
        return other

    def conn(self, **kw):
        return Conn(self.socket, **kw)

    def command(self, name, *arguments):
        """Runs the command given with --NAME; its arguments are appended."""
        line = getattr(self.options, name)
        if not line:
            raise NotApplicable(f"needs --{name.replace('_', '-')} CMD")
        option = "--" + name.replace("_", "-")
        status, output = shell(" ".join([line, *arguments]))
        if status is None:
            raise Failed(f"{option} command did not end within {COMMAND_S} s: {last_line(output)}")
        if status == CANNOT:
            raise NotApplicable(last_line(output) or f"{option} cannot be done here")
        if status != 0:
            raise Failed(f"{option} command failed ({status}): {last_line(output)}")
        return output

    def has(self, name):
        return bool(getattr(self.options, name, None))

    def number(self, name):
        return int(self.command(name).split()[-1])

    def box(self, name):
        """The ciphertext that --foreign or --unknown prints."""
        cipher, key_id = self.command(name).split()[-2:]
        return Encrypted(bytes.fromhex(cipher), key_id.encode())

    def secrets(self):
        """What no answer may hold: the paths of --secret, and the lines of those that are files."""
        found = []
        for path in self.options.secret or []:
            found.append(path)
            if not os.path.isdir(path):
                with open(path, encoding="utf-8") as source:
                    found += [line for line in source.read().split("\n") if line]
        return found

    def log_from(self, start):
        """What the plugin logged since the log was `start` bytes long."""
        with open(self.options.log, "rb") as log:
            log.seek(start)
            return log.read().decode("utf-8", "replace")

    def log_size(self):
        return os.stat(self.options.log).st_size

    # ---- calls ------------------------------------------------------------------------------------

    def status(self, conn=None, **kw):
        answer = self._call(conn, V2 + "Status", b"", kw)
        if answer.status != OK or answer.message is None:
            raise Failed(f"Status: {answer.summary()}")
        return Status(answer.message)

    def encrypt(self, plaintext=SEED, conn=None, **kw):
        return self.encrypted(self._call(conn, V2 + "Encrypt", wire.encrypt_v2(plaintext), kw))

    @staticmethod
    def encrypted(answer):
        if answer.status != OK or answer.message is None:
            raise Failed(f"v2 Encrypt: {answer.summary()}")
        found = wire.fields(answer.message)
        annotations = []
        for entry in found.get(3, []):
            parts = wire.fields(entry)
            annotations.append((wire.last(parts, 1), wire.last(parts, 2)))
        return Encrypted(wire.last(found, 1), wire.last(found, 2), annotations)

    def decrypt_answer(self, box, conn=None, ciphertext=None, key_id=None, annotations=None, **kw):
        message = wire.decrypt_v2(box.ciphertext if ciphertext is None else ciphertext,
                                  box.key_id if key_id is None else key_id,
                                  box.annotations if annotations is None else annotations)
        return self._call(conn, V2 + "Decrypt", message, kw)

    def decrypt(self, box, conn=None, **kw):
        answer = self.decrypt_answer(box, conn, **kw)
        if answer.status != OK or answer.message is None:
            raise Failed(f"v2 Decrypt: {answer.summary()}")
        return plaintext_of(answer)

    def encrypt_v1(self, plain=SEED, conn=None, **kw):
        answer = self._call(conn, V1 + "Encrypt", wire.encrypt_v1(plain), kw)
        if answer.status != OK or answer.message is None:
            raise Failed(f"v1 Encrypt: {answer.summary()}")
        return wire.last(wire.fields(answer.message), 1)

    def decrypt_v1_answer(self, cipher, conn=None, **kw):
        return self._call(conn, V1 + "Decrypt", wire.decrypt_v1(cipher), kw)

    def decrypt_v1(self, cipher, conn=None, **kw):
        answer = self.decrypt_v1_answer(cipher, conn, **kw)
        if answer.status != OK or answer.message is None:
            raise Failed(f"v1 Decrypt: {answer.summary()}")
        return plaintext_of(answer)

    def _call(self, conn, path, message, kw):
        if conn is not None:
            return conn.call(path, message, **kw)
        with self.conn() as own:
            return own.call(path, message, **kw)

    def wait_ok(self, seconds=60.0):
        """Until Status says ok (KMS v1: Version is answered); returns the seconds it took."""
        began = time.monotonic()
        seen = "no connection"
        while time.monotonic() - began < seconds:
            try:
                seen = self.status().healthz if self.options.v2 else self.version()
                if seen == "ok":
                    return time.monotonic() - began
            except (OSError, Failed, wire.Closed, wire.Timeout) as problem:
                seen = str(problem) or type(problem).__name__
            time.sleep(0.05)
        raise Failed(f"not ok within {seconds:.0f} s: {seen}")

    def version(self):
        answer = self._call(None, V1 + "Version", wire.field(1, "v1beta1"), {})
        return "ok" if answer.status == OK else answer.summary()


def shell(line):
    """(exit status or None after COMMAND_S, output). The output is a file and no pipe, so that a plugin which the
    command leaves in the background, and which has the output too, is not waited for."""
    with tempfile.TemporaryFile() as out:
        try:
            status = subprocess.run(line, shell=True, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                    timeout=COMMAND_S).returncode
        except subprocess.TimeoutExpired:
            status = None
        out.seek(0)
        return status, out.read().decode("utf-8", "replace")


def last_line(output):
    return " ".join(output.strip().splitlines()[-1:])


def plaintext_of(answer):
    return wire.last(wire.fields(answer.message), 1)
