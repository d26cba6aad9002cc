#!/usr/bin/python3 -B
"""measure.py [FILE], by bench/run: measures p11-kms on SoftHSM, and writes the figures with the command lines.

The shipped build; server and client pinned to one core each; median of 5 runs and their spread. CPU of the
server is read from /proc/PID/schedstat of the process that serves. Figures of one machine, never asserted.
"""
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The release preset where it is configured, else the plain build, which is the same without the tests.
RELEASE = os.path.join(ROOT, "build", "release")
PLAIN = RELEASE if os.path.exists(os.path.join(RELEASE, "build.ninja")) else os.path.join(ROOT, "build", "bench")
BUILD = os.path.abspath(os.environ.get("P11KMS_BUILD", PLAIN))
os.environ["P11KMS_BUILD"] = BUILD
sys.path.insert(0, os.path.join(ROOT, "tests", "kit"))
import daemon as kit  # noqa: E402
import frames  # noqa: E402

RUNS = 5
CALLS = 100000
SINGLE = 10000
SERVER_CORE, CLIENT_CORE = 0, (os.cpu_count() or 1) - 1
LOAD = os.path.join(BUILD, "bin", "bench_load")
FLOOR = os.path.join(BUILD, "bin", "bench_floor")
LINES = []


def say(line=""):
    print(line, flush=True)
    LINES.append(line)


def build():
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        subprocess.run(["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", BUILD, "--target", "p11-kmsd", "p11-kms-front", "p11-kms-token",
                    "p11-kmsctl", "bench_load", "bench_floor"], check=True, stdout=subprocess.DEVNULL)


def pin(pid, core):
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {core})


def cpu_ns(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def load(socket, what, calls, window):
    """(calls a second, p50 us, p99 us) of one run of the load client."""
    done = subprocess.run([LOAD, socket, what, str(calls), str(window)], check=True, text=True,
                          capture_output=True, preexec_fn=lambda: os.sched_setaffinity(0, {CLIENT_CORE}))
    n, took, p50, p99 = done.stdout.split()
    return int(n) / float(took), float(p50), float(p99)


def spread(values, digits=1):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def cell(pid, socket, what):
    """Prints one row: CPU a call and calls a second at 64 under way, p50 and p99 one at a time."""
    load(socket, what, CALLS // 10, 64)
    cpu, rate, p50, p99 = [], [], [], []
    for _ in range(RUNS):
        before = cpu_ns(pid)
        per_second, _, _ = load(socket, what, CALLS, 64)
        cpu.append((cpu_ns(pid) - before) / CALLS / 1000)
        rate.append(per_second)
        _, middle, high = load(socket, what, SINGLE, 1)
        p50.append(middle)
        p99.append(high)
    return statistics.median(cpu), [spread(cpu, 2), spread(rate, 0), spread(p50), spread(p99)]


def memory_kib(daemon):
    total = 0
    for pid in daemon.pids():
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total


def floor_rows(folder):
    rows = {}
    for what in ("status", "encrypt", "decrypt", "decrypt-known"):
        socket = os.path.join(folder, what)
        with subprocess.Popen([FLOOR, socket, "raw-" + what]) as server:
            kit.until(lambda: os.path.exists(socket), 5, "the floor listens")
            time.sleep(0.1)
            pin(server.pid, SERVER_CORE)
            rows[what] = cell(server.pid, socket, "raw-" + what)
            server.kill()
    return rows


def calls_table(folder):
    floor = floor_rows(folder)
    rows = [("floor " + what, *floor[what][1], "") for what in floor]
    for derived in (1024, 0):
        with kit.running(derived_keys=derived) as daemon:
            front = daemon.pid_of("front")
            pin(front, SERVER_CORE)
            for what in ("status", "encrypt", "decrypt"):
                cpu, texts = cell(front, daemon.socket, what)
                base = "decrypt-known" if what == "decrypt" and derived else what
                over = f"{cpu - floor[base][0]:+.2f}"
                rows.append((f"p11-kms {what}, derived_keys {derived}", *texts, over))
    say("| call | CPU of the server, µs a call, 64 under way | calls a second, 64 under way | p50 µs, one at a "
        "time | p99 µs, one at a time | CPU over the floor, µs |")
    say("|---|---|---|---|---|---|")
    for row in rows:
        say("| " + " | ".join(row) + " |")
    say()
    say("The floor is a blocking ping-pong on a unix socket that moves as many bytes and calls the same seal code, "
        "nothing else (`bench/floor.c`). *decrypt-known* is the floor of a Decrypt whose derived key is cached: "
        "the load decrypts 64 ciphertexts in turn.")
    say()


def memory_and_start():
    with kit.running() as daemon:
        time.sleep(3)
        idle = memory_kib(daemon)
        for what in ("encrypt", "decrypt"):
            for _ in range(3):
                load(daemon.socket, what, CALLS, 64)
        after = memory_kib(daemon)
        for _ in range(3):
            load(daemon.socket, "encrypt", CALLS, 64)
        later = memory_kib(daemon)
        say(f"- Memory of all processes (sum of Pss): idle {idle / 1024:.1f} MiB, after 600 000 calls "
            f"{after / 1024:.1f} MiB, after 900 000 {later / 1024:.1f} MiB.")
        times = []
        for _ in range(RUNS):
            daemon.stop()
            times.append(first_status_ms(daemon))
        say(f"- From exec to the first Status that is answered and ok, a key remembered: {spread(times)} ms.")


def first_status_ms(daemon):
    start = time.monotonic()
    daemon.spawn()
    while True:
        try:
            with frames.Connection(daemon.socket) as conn:
                answer = conn.ask()
                if answer.code == 0 and kit.v2.StatusResponse.FromString(answer.data[5:]).healthz == b"ok":
                    return (time.monotonic() - start) * 1000
        except (OSError, frames.Closed):
            pass
        time.sleep(0.0005)


def token_calls():
    """Through OpenSC's pkcs11-spy, which writes down every call of the module."""
    daemon = kit.Daemon()
    try:
        daemon.init()
        settings, record = kit.spy(daemon.folder, daemon.token.module)
        daemon.write_config(**settings)
        daemon.start()
        time.sleep(3)
        names = ("C_Encrypt", "C_Decrypt", "C_GenerateRandom", "C_FindObjectsInit")
        before, start = kit.count_calls(record, *names), time.monotonic()
        load(daemon.socket, "encrypt", CALLS, 64)
        load(daemon.socket, "decrypt", CALLS, 64)
        took = time.monotonic() - start
        made = [after - was for after, was in zip(kit.count_calls(record, *names), before)]
        say(f"- Token calls during {CALLS} Encrypts and {CALLS} Decrypts ({took:.1f} s), canaries and listings "
            "in that time among them: " + ", ".join(f"{n} {name}" for name, n in zip(names, made)) + ".")
    finally:
        daemon.close()


def h2load():
    program = shutil.which("h2load")
    if program is None:
        say("- h2load is not installed: no figures beside ours.")
        return
    with kit.running() as daemon:
        pin(daemon.pid_of("front"), SERVER_CORE)
        body = os.path.join(daemon.folder, "body")
        for what, message in (("Status", kit.v2.StatusRequest()),
                              ("Encrypt", kit.v2.EncryptRequest(plaintext=b"\x5a" * 32, uid=b"u" * 36))):
            with open(body, "wb") as f:
                f.write(frames.message(message.SerializeToString()))
            command = ["h2load", "-p", "h2c", "-n", str(CALLS), "-c", "1", "-m", "64", "-d", body,
                       "-H", "content-type: application/grpc", "-H", "te: trailers",
                       "--base-uri=unix:" + daemon.socket, "http://localhost/v2.KeyManagementService/" + what]
            done = subprocess.run(command, capture_output=True, text=True,
                                  preexec_fn=lambda: os.sched_setaffinity(0, {CLIENT_CORE}))
            line = next((x for x in done.stdout.splitlines() if x.startswith("finished in")), done.stderr[-200:])
            say(f"- `h2load -p h2c -n {CALLS} -c 1 -m 64` for scale, {what}: {line}")


def machine():
    with open("/proc/cpuinfo", encoding="ascii") as f:
        model = next((line.split(": ")[1].strip() for line in f if line.startswith("model name")), "?")
    version = subprocess.run([os.path.join(BUILD, "bin", "p11-kmsd"), "--version"], capture_output=True,
                             text=True).stdout.splitlines()[0]
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True,
                          text=True).stdout.strip()
    say("# Numbers")
    say()
    say(f"{version}, commit {head}, {time.strftime('%Y-%m-%d')}. {model}, {os.cpu_count()} cores, "
        f"Linux {platform.release()}. Made by `bench/run`: median of {RUNS} (smallest to largest).")
    say(f"Load: `bench_load SOCKET WHAT {CALLS} 64` and `bench_load SOCKET WHAT {SINGLE} 1` on core "
        f"{CLIENT_CORE}; the server on core {SERVER_CORE}. SoftHSM token.")
    say()


def main():
    build()
    machine()
    folder = tempfile.mkdtemp(prefix="p11kms-bench-")
    try:
        calls_table(folder)
    finally:
        shutil.rmtree(folder)
    memory_and_start()
    token_calls()
    h2load()
    os.makedirs(os.path.join(ROOT, "bench", "results"), exist_ok=True)
    name = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "bench", "results", "latest.md")
    with open(name, "w", encoding="utf-8") as f:
        f.write("\n".join(LINES) + "\n")


main()
