"""The commands that the conformance program calls: each a method, reached by name through control.py.
A method returns text to print; Impossible becomes exit status 77: this surrounding cannot be made here."""
import glob
import os
import signal
import subprocess
import threading
import time

from rig import BIN, wait_ok
from kmsconf.registry import Failed

COUNTED = {"C_Encrypt", "C_Decrypt", "C_GenerateKey", "C_GenerateRandom"}
HANGS = ("C_OpenSession", "C_FindObjectsInit", "C_EncryptInit", "C_DecryptInit", "C_GenerateRandom")
CKR_DEVICE_ERROR = 0x30


class Impossible(Exception):
    """Exit status 77."""


class Surroundings:
    def __init__(self, rig):
        self.rig = rig
        self.main = rig.main
        self.flapping = None
        self.tmpfs = None
        self.environment = dict(rig.main.environment)

    # -- the process --

    def stop(self):
        self.main.stop()

    def start(self):
        self.main.spawn()
        wait_ok(self.main)

    def restart(self):
        self.stop()
        self.start()

    def kill(self):
        self.main.kill()

    def second(self):
        """Ends with the status of a second instance on the same socket and state."""
        done = subprocess.run([os.path.join(BIN, "p11-kmsd"), "--config", self.main.config],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
        if done.returncode != 0:
            raise Failed(done.stdout.strip().splitlines()[-1])

    def activation(self, what):
        held = self.rig.hold()
        if what == "start":
            held.start()
        elif what == "stop":
            held.daemon.stop()
        else:
            held.daemon.kill()

    def pids(self):
        return " ".join(str(pid) for pid in self.main.pids())

    # -- the backend --

    def order(self, *lines):
        with open(self.rig.control, "w", encoding="ascii") as control:
            control.write("".join(line + "\n" for line in lines))

    def tokens(self):
        return os.path.join(self.rig.token.folder, "tokens")

    def outage(self):
        """The token's folder goes away, and the module's process with what it remembers of it."""
        os.rename(self.tokens(), self.tokens() + ".away")
        os.kill(self.main.wait_pid("token"), signal.SIGTERM)

    def restore(self):
        if os.path.exists(self.tokens() + ".away"):
            os.rename(self.tokens() + ".away", self.tokens())
        self.unhang()

    def hang(self):
        self.order(*(f"{function} hang" for function in HANGS))

    def unhang(self):
        if os.path.exists(self.rig.control):
            os.unlink(self.rig.control)

    def break_decrypt(self):
        self.order(f"C_DecryptInit rv {CKR_DEVICE_ERROR}")

    def break_encrypt(self):
        self.order(f"C_EncryptInit rv {CKR_DEVICE_ERROR}")

    def backend_calls(self):
        return str(self._called(COUNTED))

    def sessions(self):
        return str(self._called({"C_OpenSession"}))

    def _called(self, names):
        with open(self.rig.calls, encoding="ascii") as calls:
            return sum(1 for line in calls if line.strip() in names)

    def destroy(self):
        self.rig.token.tool("delete", id=self.rig.newest()["id"])

    # -- keys --

    def rotate(self):
        return self.rig.rotate()

    def lag(self):
        self.rig.lag()

    def unlag(self):
        self.rig.unlag()

    def reactivate(self):
        """The oldest key of the ring under a second, newer label: the same key, activated again."""
        keys = sorted(self.rig.token.tool("list"), key=lambda key: key["label"].split(":")[2])
        now = int(time.time())
        label = f"{keys[0]['label'].rsplit(':', 2)[0]}:{now + 2:08x}:{now:08x}"
        self.rig.more("copy", id=keys[0]["id"], label=label)

    def flap(self):
        """A KEK is made, and its object comes and goes until unflap."""
        before = set(self._objects())
        self.rotate()
        new = (set(self._objects()) - before).pop()
        self.flapping = threading.Event()
        threading.Thread(target=self._flap, args=(new, self.flapping), daemon=True).start()

    def _objects(self):
        return glob.glob(os.path.join(self.tokens(), "*", "*.object"))

    @staticmethod
    def _flap(path, stopped):
        """Gone for a second, there for four: an outage of replication, not the loss of a key."""
        while not stopped.wait(4):
            os.rename(path, path + ".hidden")
            stopped.wait(1)
            os.rename(path + ".hidden", path)

    def unflap(self):
        self.flapping.set()
        time.sleep(1.5)

    def foreign(self):
        return " ".join(self.rig.sealed_elsewhere())

    def unknown(self):
        return " ".join(self.rig.sealed_by_strangers())

    def key_id_hash(self):
        return self.main.ctl("status").stdout

    # -- the machine --

    def move(self, what):
        """Another host name, or another token in front of ours in the list of slots."""
        if what == "slot":
            self.rig.more("add-token", label="in-front")
            return self.restart()
        self.need_root()
        self.stop()
        self._spawn("unshare", "--uts", "sh", "-c", 'hostname renamed; exec "$@"', "sh")
        return None

    def isolated(self):
        self.need_root()
        self.stop()
        self._spawn("unshare", "--net")

    def _spawn(self, *before):
        with open(self.main.log_path, "ab") as log:
            self.main.process = subprocess.Popen(
                [*before, os.path.join(BIN, "p11-kmsd"), "--config", self.main.config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_ok(self.main)

    def disturb(self, what):
        self.stop()
        getattr(self, "_" + what.replace("-", "_"))()

    def undisturb(self, _):
        self.stop()
        if self.tmpfs is not None:
            subprocess.run(["umount", self.tmpfs], check=True)
            self.tmpfs = None
        self.main.environment = dict(self.environment)
        self.start()

    def _full_disk(self):
        """The state folder on a file system of 64 KiB, filled to the last byte while the daemon runs."""
        self.need_root()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "full", self.main.state], check=True)
        self.tmpfs = self.main.state
        self.start()
        with open(os.path.join(self.main.state, "filler"), "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass

    def _read_only_log(self):
        with open(os.devnull, "rb") as log:
            self.main.process = subprocess.Popen(
                [os.path.join(BIN, "p11-kmsd"), "--config", self.main.config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_ok(self.main)

    def _clock_forward(self):
        self._clock("+1d")

    def _clock_back(self):
        self._clock("-1d")

    def _clock(self, offset):
        """The wall clock of the running daemon jumps; only test builds hand a faked one to the roles."""
        library = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        if os.environ.get("P11KMS_KIND") == "release" or not library:
            self.start()
            raise Impossible("a faked clock reaches test builds only")
        stamp = os.path.join(self.rig.folder, "clock")
        with open(stamp, "w", encoding="ascii") as clock:
            clock.write("+0\n")
        self.main.environment = {"LD_PRELOAD": preload(library[0]), "FAKETIME_TIMESTAMP_FILE": stamp,
                                 "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.start()
        with open(stamp + ".new", "w", encoding="ascii") as clock:
            clock.write(offset + "\n")
        os.rename(stamp + ".new", stamp)

    @staticmethod
    def need_root():
        if os.geteuid() != 0:
            raise Impossible("needs root")


def preload(library):
    """An AddressSanitizer runtime wants to be first."""
    linked = subprocess.run(["ldd", os.path.join(BIN, "p11-kms-front")], capture_output=True, text=True,
                            check=True).stdout
    return ":".join([line.split()[2] for line in linked.splitlines() if "libasan" in line] + [library])
