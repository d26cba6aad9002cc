"""A p11-kmsd under test: its own token, config, state and socket in one throw-away folder, and an
independent gRPC client (Debian's python3-grpcio, messages made by protoc from our .proto files).

P11KMS_BUILD names the build tree; ctest sets it. Run a file by hand:
    P11KMS_BUILD=build/debug-asan /usr/bin/python3 tests/daemon/test_calls.py
"""
import atexit
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import grpc

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("P11KMS_BUILD", os.path.join(SOURCE, "build", "debug-asan")))
BIN = os.path.join(BUILD, "bin")
DENY = os.path.join(BUILD, "kit", "deny")
RELEASE = os.environ.get("P11KMS_KIND", "test") == "release"
PATIENCE_S = 60
SLACK = 4  # times longer than on a quiet machine: a test waits for what must come, and is no clock


def _messages():
    """Compiles our .proto files for Python into a folder that goes with this process."""
    out = tempfile.mkdtemp(prefix="p11kms-pb-")
    atexit.register(shutil.rmtree, out, True)
    protos = os.path.join(SOURCE, "proto")
    subprocess.run(["protoc", "-I", protos, "--python_out", out, "kms_v2.proto", "kms_v1beta1.proto"],
                   check=True)
    sys.path.insert(0, out)
    import kms_v1beta1_pb2
    import kms_v2_pb2
    return kms_v2_pb2, kms_v1beta1_pb2


v2, v1 = _messages()


def until(condition, seconds=PATIENCE_S, what="condition"):
    """The first true value of condition(); asked again until that many seconds of a quiet machine are over."""
    end = time.monotonic() + seconds * SLACK
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("never came true: " + what)
        time.sleep(0.05)


class Token:
    """A SoftHSM token in its own folder, and what a test does to it behind the daemon's back."""

    def __init__(self, folder, *label):
        self.folder = os.path.join(folder, "token")
        out = subprocess.run([os.path.join(SOURCE, "softhsm-config", "make-token"), self.folder, *label],
                             check=True, capture_output=True, encoding="utf-8").stdout
        said = dict(line.split(": ", 1) for line in out.splitlines())
        self.module, self.uri, self.pin_file = said["module"], said["uri"], said["pin_file"]
        self.conf = os.path.join(self.folder, "softhsm2.conf")

    def pin(self):
        with open(self.pin_file, encoding="ascii") as f:
            return f.read().rstrip("\n")

    def tool(self, command, **arguments):
        """Runs tests/kit/token_tool.py in a process of its own: a module's state is per process."""
        request = {"module": self.module, "pin_file": self.pin_file, "command": command, **arguments}
        env = {**os.environ, "SOFTHSM2_CONF": self.conf}
        env.pop("LD_PRELOAD", None)
        done = subprocess.run(["/usr/bin/python3", os.path.join(SOURCE, "tests", "kit", "token_tool.py")],
                              input=json.dumps(request), capture_output=True, text=True, env=env)
        if done.returncode != 0:
            raise AssertionError(f"token_tool {command}: {done.stderr}")
        return json.loads(done.stdout)


class Client:
    """KMS v2 and v1 as kube-apiserver speaks them."""

    def __init__(self, socket, authority=None, target=None):
        options = [("grpc.enable_retries", 0), ("grpc.max_reconnect_backoff_ms", 200),
                   ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.min_reconnect_backoff_ms", 50),
                   ("grpc.use_local_subchannel_pool", 1)]
        if authority is not None:
            options.append(("grpc.default_authority", authority))
        self.channel = grpc.insecure_channel(target or "unix:" + socket, options=options)
        self.stubs = {}

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def stub(self, path, answer):
        if (path, answer) not in self.stubs:
            self.stubs[path, answer] = self.channel.unary_unary(
                path, request_serializer=lambda m: m if isinstance(m, bytes) else m.SerializeToString(),
                response_deserializer=answer.FromString)
        return self.stubs[path, answer]

    def start(self, path, request, answer, timeout=5, metadata=None, wait=False):
        return self.stub(path, answer).future(request, timeout=timeout, metadata=metadata,
                                              wait_for_ready=wait)

    def call(self, path, request, answer, timeout=5, metadata=None, wait=False):
        return self.stub(path, answer)(request, timeout=timeout, metadata=metadata, wait_for_ready=wait)

    def status(self, timeout=5, wait=False):
        return self.call("/v2.KeyManagementService/Status", v2.StatusRequest(), v2.StatusResponse,
                         timeout, wait=wait)

    def encrypt(self, plaintext, timeout=5, uid=b"uid-1", wait=False):
        return self.call("/v2.KeyManagementService/Encrypt",
                         v2.EncryptRequest(plaintext=plaintext, uid=uid), v2.EncryptResponse, timeout,
                         wait=wait)

    def decrypt(self, sealed, timeout=5, key_id=None, wait=False):
        """sealed: an EncryptResponse of ours, or ciphertext bytes with key_id."""
        cipher = sealed if isinstance(sealed, bytes) else sealed.ciphertext
        name = key_id if key_id is not None else sealed.key_id
        request = v2.DecryptRequest(ciphertext=cipher, key_id=name, uid=b"uid-2")
        return self.call("/v2.KeyManagementService/Decrypt", request, v2.DecryptResponse, timeout,
                         wait=wait).plaintext

    def start_decrypt(self, cipher, key_id, timeout=10):
        return self.start("/v2.KeyManagementService/Decrypt",
                          v2.DecryptRequest(ciphertext=cipher, key_id=key_id, uid=b"u"),
                          v2.DecryptResponse, timeout)

    def v1_version(self, timeout=5):
        return self.call("/v1beta1.KeyManagementService/Version", v1.VersionRequest(version=b"v1beta1"),
                         v1.VersionResponse, timeout)

    def v1_encrypt(self, plain, timeout=5):
        return self.call("/v1beta1.KeyManagementService/Encrypt",
                         v1.EncryptRequest(version=b"v1beta1", plain=plain), v1.EncryptResponse,
                         timeout).cipher

    def v1_decrypt(self, cipher, timeout=5):
        return self.call("/v1beta1.KeyManagementService/Decrypt",
                         v1.DecryptRequest(version=b"v1beta1", cipher=cipher), v1.DecryptResponse,
                         timeout).plain

    def start_v1_decrypt(self, cipher, timeout=10):
        return self.start("/v1beta1.KeyManagementService/Decrypt",
                          v1.DecryptRequest(version=b"v1beta1", cipher=cipher), v1.DecryptResponse,
                          timeout)


def code_of(call, *arguments, **named):
    """The grpc.StatusCode that a call ends with."""
    try:
        call(*arguments, **named)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def _children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(word) for word in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _program(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return os.path.basename(f.read().split(b"\0")[0].decode())
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Daemon:
    """One p11-kmsd. Options override lines of the config: `extra` is YAML added at the end."""

    def __init__(self, folder=None, token=None, name="a", **options):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="p11kms-")
        self.token = token or Token(self.folder)
        self.name = name
        self.config = os.path.join(self.folder, name + ".yaml")
        self.state = os.path.join(self.folder, name + ".state")
        self.run = os.path.join(self.folder, name + ".run")
        self.socket = os.path.join(self.run, "kms.sock")
        self.log_path = os.path.join(self.folder, name + ".log")
        self.options = options
        self.bin = BIN
        self.before = []  # words before the daemon's own command line
        self.process = None
        self.environment = {}
        self.clients = []
        os.makedirs(self.run, mode=0o755, exist_ok=True)
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.write_config()

    def write_config(self, **options):
        self.options.update(options)
        o = self.options
        env = {"SOFTHSM2_CONF": self.token.conf, **o.get("env", {})}
        uids = o.get("allowed_uids", [os.getuid()])
        text = f"""version: 1
ring: {o.get("ring", "test")}
mode: seed
rotation: manual
activation_delay: {o.get("activation_delay", "5m")}
derived_keys: {o.get("derived_keys", 1024)}
status_version: {o.get("status_version", "auto")}
kms_v1: {o.get("kms_v1", "on")}
listen:
  socket: "{o.get("socket", self.socket)}"
  mode: "{o.get("mode", "0600")}"
  allowed_uids: {uids}
tokens:
  - name: main
    module: {o.get("module", self.token.module)}
    token: "{o.get("uri", self.token.uri)}"
    pin_file: {o.get("pin_file", self.token.pin_file)}
    sessions: {o.get("sessions", 4)}
    scheme: aes-gcm
    iv_mode: host
    start_timeout: {o.get("start_timeout", "60s")}
    env: {{{", ".join(f'{k}: "{v}"' for k, v in env.items())}}}
health: {o.get("health", "{on_token_loss: coast, coast: 60m, soft_max: 24h}")}
state_dir: {self.state}
log: {{format: {o.get("format", "text")}, level: {o.get("level", "info")}}}
{o.get("extra", "")}
"""
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text)

    # -- programs --

    def ctl(self, *arguments, check=True, env=None):
        done = subprocess.run([os.path.join(self.bin, "p11-kmsctl"), *arguments, "--config", self.config],
                              capture_output=True, encoding="utf-8", timeout=PATIENCE_S * SLACK,
                              env={**os.environ, **self.environment, **(env or {})})
        if check and done.returncode != 0:
            raise AssertionError(f"p11-kmsctl {arguments}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def init(self, *arguments):
        return self.ctl("init", *arguments)

    def spawn(self, preexec=None):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.before, os.path.join(self.bin, "p11-kmsd"), "--config", self.config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=preexec, env={**os.environ, **self.environment})
        return self

    def start(self, preexec=None):
        """Spawned, and Status has said ok."""
        self.spawn(preexec)
        self.wait_ok()
        return self

    def wait_ok(self, seconds=PATIENCE_S):
        return self.wait_health("ok", seconds)

    def wait_health(self, healthz, seconds=PATIENCE_S):
        """Waits until Status answers with this healthz; returns the response."""
        def good():
            if self.process.poll() is not None:
                raise AssertionError(f"p11-kmsd ended with {self.process.returncode}\n{self.log()}")
            try:
                answer = self.client().status(timeout=2)
            except grpc.RpcError:
                return None
            text = answer.healthz.decode()
            return answer if (text == healthz if isinstance(healthz, str) else healthz(text)) else None
        try:
            return until(good, seconds, "healthz")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-6000:]}") from None

    def client(self, authority=None):
        """One client for the common authority; the caller closes any other."""
        if authority is not None:
            made = Client(self.socket, authority)
            self.clients.append(made)
            return made
        if not hasattr(self, "_client"):
            self._client = Client(self.socket)
            self.clients.append(self._client)
        return self._client

    def pin_record(self):
        """The file of the PIN guard's record of the token; None before its first login."""
        found = glob.glob(os.path.join(self.state, "pin.[0-9a-f]*"))
        assert len(found) <= 1, found
        return found[0] if found else None

    # -- processes --

    def pid_of(self, program):
        """pid of a role: "front" or "token"; None while there is none."""
        for child in _children(self.process.pid):
            if _program(child) == "p11-kms-" + program:
                return child
        return None

    def wait_pid(self, program, other_than=None, seconds=20):
        return until(lambda: (pid := self.pid_of(program)) != other_than and pid, seconds,
                     "a process " + program)

    def pids(self):
        return [self.process.pid] + _children(self.process.pid)

    def kill_role(self, program, sig=signal.SIGKILL):
        pid = self.wait_pid(program)
        os.kill(pid, sig)
        return pid

    def logins(self):
        return self.log().count("event=token-login ")

    def crash_token(self, sig=signal.SIGKILL):
        """Kills the token process and waits until a new one has logged in. Never in the midst of a login:
        after two that were cut short the next may wait for a minute, as it should."""
        before = self.logins()
        pid = self.kill_role("token", sig)
        self.wait_pid("token", other_than=pid)
        until(lambda: self.logins() > before, 30, "a login of the new token process")

    def stop(self, seconds=30):
        """SIGTERM; returns the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds * SLACK)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("p11-kmsd did not end on SIGTERM\n" + self.log()[-6000:]) from None

    def kill(self):
        """SIGKILL to the supervisor; its roles die with it."""
        roles = _children(self.process.pid)
        self.process.kill()
        self.process.wait()
        return roles

    def restart(self):
        self.stop()
        return self.start()

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def close(self):
        """Ends everything and removes the folder; complains about a sanitizer's report."""
        for client in self.clients:
            client.close()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            for child in _children(self.process.pid):
                try:
                    os.kill(child, signal.SIGCONT)
                except ProcessLookupError:
                    pass
            self.stop()
        log = self.log()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        for sign in ("AddressSanitizer", "runtime error:", "LeakSanitizer", "ThreadSanitizer"):
            if sign in log:
                raise AssertionError("a sanitizer reported:\n" + log[log.index(sign) - 200:][:6000])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def running(**options):
    """A daemon with a first KEK whose Status is ok."""
    daemon = Daemon(**options)
    try:
        daemon.init()
        return daemon.start()
    except BaseException:
        daemon.close()
        raise


def full_disk(folder):
    """Words before a command that has a file system of one page, filled by "filler", at this folder. For root."""
    script = 'mount -t tmpfs -o size=4k,mode=0700 tmpfs "$0" && head -c 4096 /dev/zero >"$0/filler" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, folder]


def spy(daemon_folder, real_module):
    """Settings that put OpenSC's pkcs11-spy before the module, and the path of its record."""
    found = glob.glob("/usr/lib/*/pkcs11-spy.so") + glob.glob("/usr/lib/*/pkcs11/pkcs11-spy.so")
    record = os.path.join(daemon_folder, "spy.log")
    return {"module": found[0], "env": {"PKCS11SPY": real_module, "PKCS11SPY_OUTPUT": record}}, record


def count_calls(record, *functions):
    """How often each PKCS#11 function was called so far, by the spy's record."""
    try:
        with open(record, encoding="utf-8", errors="replace") as f:
            lines = f.read().splitlines()
    except FileNotFoundError:
        lines = []
    return [sum(1 for line in lines if line.split(": ", 1)[-1] == name) for name in functions]
