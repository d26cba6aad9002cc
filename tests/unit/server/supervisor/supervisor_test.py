"""The supervisor with roles that only speak its contract: start, respawn, drain, reload, kill, activation."""
import errno
import fcntl
import os
import resource
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest

BIN = os.environ["SUPERVISOR_BIN"]


def until(condition, seconds=80):  # far above a busy machine's need
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("never came true")


def alive(pid):
    """False for a zombie too: an orphan may wait for a lazy init."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Supervisor(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="p11kms-sv-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.socket = os.path.join(self.folder, "kms.sock")
        self.config = os.path.join(self.folder, "config.yaml")
        self.log = os.path.join(self.folder, "log")
        self.started = []
        self.addCleanup(self.end_all)
        self.configure()

    def end_all(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()

    def configure(self, level="info", sessions=4, listen=None, state="state", mode="0600", ring="test"):
        with open(self.config, "w", encoding="ascii") as f:
            f.write(f"""version: 1
ring: {ring}
listen: {{socket: "{listen or self.socket}", mode: "{mode}"}}
tokens:
  - {{name: main, module: /lib/m.so, token: "pkcs11:token=t", pin_file: /etc/pin, sessions: {sessions}}}
state_dir: {os.path.join(self.folder, state)}
log: {{level: {level}}}
""")

    def spawn(self, env=None, **named):
        with open(self.log, "ab") as log:
            process = subprocess.Popen([os.path.join(BIN, "p11-kmsd"), "--config", self.config],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env={**os.environ, **(env or {})}, **named)
        self.started.append(process)
        return process

    def text(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    def ask(self, order="?", address=None):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(100)  # a front that was stopped before its first answer has a minute
            client.connect(address or self.socket)
            client.sendall(order.encode())
            answer = client.makefile().readline()
        return {k: int(v) for k, v in (word.split("=") for word in answer.split())}

    def reached(self):
        try:
            return self.ask()
        except OSError:
            return None

    def start(self, **named):
        process = self.spawn(**named)
        until(lambda: (a := self.reached()) and a["token"] > 0)
        return process

    @staticmethod
    def process_state(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0]

    def token(self, process):
        return self.pid_of(process, b"p11-kms-token")

    @staticmethod
    def pid_of(process, program):
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as f:
            children = [int(word) for word in f.read().split()]
        for pid in children:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if f.read().startswith(program):
                        return pid
            except (FileNotFoundError, ProcessLookupError):
                pass  # it ended meanwhile
        return None

    def refused(self, code, word, **named):
        process = self.spawn(**named)
        self.assertEqual(code, process.wait(20), self.text())
        self.assertIn(word, self.text())

    def test_front_killed_is_started_again_and_the_token_process_stays(self):
        process = self.start()
        token = self.token(process)
        for _ in range(6):
            old = self.ask()["pid"]
            os.kill(old, signal.SIGKILL)
            new = self.ask()  # waits in the queue of the listener: never refused
            self.assertNotEqual(old, new["pid"])
            until(lambda: self.ask()["greets"] == token)
        self.assertEqual(token, self.token(process))
        self.assertEqual(1, self.text().count('event=role-started program=p11-kmsd role="p11-kms-token"'))

    def test_front_that_hangs_is_replaced_and_that_is_said(self):
        process = self.start()
        token = self.token(process)
        old = self.ask()["pid"]
        os.kill(old, signal.SIGSTOP)
        self.assertNotEqual(old, self.ask()["pid"])
        self.assertIn("it hangs", self.text())
        until(lambda: self.ask()["greets"] == token)

    def test_token_process_that_hangs_is_replaced_without_a_front_that_says_so(self):
        process = self.start()
        token = self.token(process)
        os.kill(token, signal.SIGSTOP)
        until(lambda: self.token(process) not in (None, token), 200)  # a minute before its first answer
        self.assertIn("it hangs", self.text())
        until(lambda: self.ask()["greets"] == self.token(process))

    def test_machine_that_stood_still_is_no_hang(self):
        """All are stopped for longer than a front may be silent, and the front awakes last."""
        process = self.start()
        pids = [process.pid, self.token(process), self.ask()["pid"]]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(11)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.5)
        self.assertEqual(pids[2], self.ask()["pid"])
        self.assertNotIn("role-killed", self.text())

    def test_answer_behind_much_that_is_slowly_stored_is_no_hang(self):
        """The folder's lock is held, so that each of the files takes its keeper two seconds."""
        process = self.start()
        pids = [self.ask()["pid"], self.token(process)]
        folder = os.open(os.path.join(self.folder, "state"), os.O_RDONLY)
        self.addCleanup(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(80)
            client.connect(self.socket)
            client.sendall(b"m")
            self.assertIn(f"pid={pids[0]} ", client.makefile().readline(), self.text())
        self.assertEqual(pids, [self.ask()["pid"], self.token(process)])
        self.assertNotIn("role-killed", self.text())

    def test_service_manager_hears_that_the_loop_works_and_not_when_it_stands(self):
        path = os.path.join(self.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(20)
            process = self.start(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "300000"})
            for _ in range(5):
                until(lambda: manager.recv(999) == b"WATCHDOG=1")
            os.kill(process.pid, signal.SIGSTOP)
            until(lambda: self.process_state(process.pid) == "T")
            while select.select([manager], [], [], 0)[0]:
                manager.recv(999)
            self.assertEqual([], select.select([manager], [], [], 1)[0])
            os.kill(process.pid, signal.SIGCONT)
            until(lambda: manager.recv(999) == b"WATCHDOG=1")

    def test_service_manager_hears_of_a_loop_that_stores_what_an_ended_front_left(self):
        """Each of its files takes two seconds, for the folder's lock is held; it is asked for every one."""
        path = os.path.join(self.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(20)
            self.start(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "3000000"})
            folder = os.open(os.path.join(self.folder, "state"), os.O_RDONLY)
            self.addCleanup(os.close, folder)
            fcntl.flock(folder, fcntl.LOCK_EX)
            while select.select([manager], [], [], 0)[0]:
                manager.recv(999)
            self.ask("d")
            alive = 0
            while 'event=role-ended program=p11-kmsd role="p11-kms-front"' not in self.text():
                alive += manager.recv(999) == b"WATCHDOG=1"
            self.assertGreaterEqual(alive, 4)

    def test_token_process_reaches_a_front_whose_control_socket_was_full(self):
        process = self.start()
        front, token = self.ask()["pid"], self.token(process)
        os.kill(front, signal.SIGSTOP)

        def full():
            for _ in range(10):
                os.kill(process.pid, signal.SIGHUP)
                time.sleep(0.002)
            return "event=role-not-told" in self.text()
        until(full)
        os.kill(token, signal.SIGKILL)
        until(lambda: self.token(process) not in (None, token))
        os.kill(front, signal.SIGCONT)
        # on a machine so slow that it was taken for hung there is another front
        until(lambda: (a := self.reached()) and (a["token"] == 2 or a["pid"] != front))
        self.assertNotIn("token-not-handed-over", self.text())

    def test_token_killed_by_order_is_started_again(self):
        process = self.start()
        old = self.token(process)
        front = self.ask("k")["pid"]
        until(lambda: self.token(process) not in (None, old))
        until(lambda: self.ask()["token"] == 2)
        self.assertEqual(front, self.ask()["pid"])
        self.assertIn("the test says so", self.text())

    def test_order_to_kill_a_token_that_has_ended_spares_its_successor(self):
        process = self.start()
        token = self.token(process)
        self.ask("o")
        until(lambda: "role-ended-already" in self.text())
        self.assertEqual(token, self.token(process))
        self.assertNotIn("role-killed", self.text())

    def test_front_that_fails_at_once_is_started_again_with_backoff(self):
        self.start()
        begin = time.monotonic()
        for _ in range(4):
            self.ask("x")
        self.ask()
        self.assertGreater(time.monotonic() - begin, 0.3)

    def test_role_that_never_can_start_ends_the_service_with_78(self):
        self.configure(ring="never")
        self.refused(78, "event=role-cannot-start")
        self.assertEqual(1, self.text().count('event=role-started program=p11-kmsd role="p11-kms-front"'))
        self.assertFalse(os.path.exists(self.socket))

    def test_role_that_cannot_start_any_more_is_tried_again(self):
        process = self.start()
        old = self.ask()["pid"]
        self.ask("c")
        self.assertNotEqual(old, self.ask()["pid"])
        self.assertIn("event=role-cannot-start", self.text())
        self.assertIsNone(process.poll())

    def test_memory_that_cannot_be_locked_is_78_with_both_numbers_before_the_socket_is_there(self):
        for limit in (0, 65536):
            self.refused(78, f"RLIMIT_MEMLOCK is {limit} bytes and must be 4", preexec_fn=lambda n=limit:
                         resource.setrlimit(resource.RLIMIT_MEMLOCK, (n, n)))
            self.assertNotIn("event=role-started", self.text())
            self.assertFalse(os.path.exists(self.socket))

    def test_who_waits_is_turned_away_when_a_role_never_can_start(self):
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
            listener.bind(self.socket)
            listener.listen(8)
            client.settimeout(20)
            client.connect(self.socket)
            self.configure(ring="never")
            self.assertEqual(78, self.activated(listener).wait(20), self.text())
            self.assertEqual([], select.select([listener], [], [], 0)[0])
            self.assertEqual(b"", client.recv(1))

    def test_state_is_kept_for_the_next_front_and_other_files_are_denied(self):
        self.start()
        self.assertEqual(0, self.ask()["state"])
        self.assertEqual({"stored": 0, "state": 8}.items(), self.ask("w").items() & {"stored": 0, "state": 8}.items())
        os.kill(self.ask()["pid"], signal.SIGKILL)
        self.assertEqual(8, self.ask()["state"])
        for _ in range(3):
            self.assertEqual(13, self.ask("p")["stored"])
        self.assertEqual(1, self.text().count("event=state-not-served"), "said once for each reason")
        self.assertFalse(os.path.exists(os.path.join(self.folder, "state", "pin")))

    def state_path(self, *names):
        return os.path.join(self.folder, "state", *names)

    def seeds(self):
        return [n for n in os.listdir(self.state_path()) if n.startswith("seeds")]

    def test_state_folder_lost_is_made_again_locked_and_used(self):
        process = self.start()
        self.ask("w")
        shutil.rmtree(self.state_path())
        answer = self.ask("w")
        self.assertEqual((0, 8), (answer["stored"], answer["state"]))
        self.assertEqual(1, len(self.seeds()))
        self.assertEqual(0o700, stat.S_IMODE(os.stat(self.state_path()).st_mode))
        old = self.token(process)
        os.kill(old, signal.SIGKILL)
        until(lambda: self.token(process) not in (None, old))
        self.refused(75, f"pid {process.pid}")

    def test_state_folder_lost_while_nobody_asks_is_noticed(self):
        self.start()
        shutil.rmtree(self.state_path())
        until(lambda: "event=state-folder-new" in self.text(), 60)

    def test_lock_file_removed_is_taken_again(self):
        process = self.start()
        os.unlink(self.state_path("lock"))
        self.ask("w")
        self.refused(75, f"pid {process.pid}")

    def test_state_folder_that_another_holds_is_not_touched(self):
        self.start()
        fresh = self.state_path() + ".fresh"
        os.mkdir(fresh, 0o700)
        with open(os.path.join(fresh, "lock"), "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.rename(self.state_path(), self.state_path() + ".old")
            os.rename(fresh, self.state_path())
            self.assertEqual(errno.EBUSY, self.ask("w")["stored"])
            self.assertEqual(["lock"], os.listdir(self.state_path()))
            self.assertIn("another p11-kmsd runs on this state directory: end the other p11-kmsd", self.text())
        self.assertEqual(0, self.ask("w")["stored"])
        self.assertEqual(1, len(self.seeds()))

    def test_state_folder_that_cannot_be_made_is_said_once_and_the_token_process_waits(self):
        process = self.start()
        shutil.rmtree(self.state_path())
        with open(self.state_path(), "w", encoding="ascii"):
            pass
        for _ in range(3):
            self.assertEqual(errno.ENOTDIR, self.ask("w")["stored"])
        self.assertIn(self.state_path() + ": cannot open the state directory", self.text())
        self.assertIn("Not a directory: make it again", self.text())
        self.assertEqual(1, self.text().count("event=state-folder-lost"))
        self.assertEqual(1, self.text().count("event=state-not-served"))
        os.kill(self.token(process), signal.SIGKILL)
        until(lambda: "event=role-not-started" in self.text())
        os.unlink(self.state_path())
        until(lambda: self.token(process))
        self.assertEqual(0, self.ask("w")["stored"])

    def test_state_folder_moved_away_and_back_is_used_again(self):
        self.start()
        os.rename(self.state_path(), self.state_path() + ".old")
        with open(self.state_path(), "w", encoding="ascii"):
            pass
        self.assertEqual(errno.ENOTDIR, self.ask("w")["stored"])
        os.unlink(self.state_path())
        os.rename(self.state_path() + ".old", self.state_path())
        self.assertEqual(0, self.ask("w")["stored"])

    def test_limit_of_file_sizes_is_an_errno_and_kills_nobody(self):
        process = self.start()
        front = self.ask()["pid"]
        before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4, resource.RLIM_INFINITY))
        self.assertEqual(errno.EFBIG, self.ask("w")["stored"])
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
        self.assertEqual(0, self.ask("w")["stored"])
        self.assertEqual(front, self.ask()["pid"])
        self.assertIsNone(process.poll())

    def test_what_a_front_said_last_is_heard(self):
        self.start()
        self.assertEqual(0, self.ask()["state"])
        self.ask("l")
        self.assertEqual(8, self.ask()["state"])

    def test_environment_of_a_role_is_ours(self):
        env = {"SECRET_THING": "1"}
        self.start(env=env)
        passed = [n for n in {**os.environ, **env} if "SAN_OPTIONS" in n or n.startswith("FAKETIME")
                  or n.startswith("GCOV_") or n in ("LD_PRELOAD", "LLVM_PROFILE_FILE")]
        self.assertEqual(1 + len(passed), self.ask()["env"])

    def test_sigterm_ends_with_0_and_leaves_no_socket_and_no_role(self):
        process = self.start()
        roles = [self.ask()["pid"], self.token(process)]
        process.send_signal(signal.SIGTERM)
        self.assertEqual(0, process.wait(20))
        self.assertFalse(os.path.exists(self.socket))
        self.assertFalse(any(alive(pid) for pid in roles))

    def test_front_that_does_not_drain_is_ended_after_6_seconds(self):
        process = self.start()
        self.ask("h")
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(0, process.wait(20))
        self.assertGreater(time.monotonic() - begin, 5)

    def test_socket_replaced_by_someone_is_not_removed_at_the_end(self):
        process = self.start()
        os.unlink(self.socket)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.socket)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(0, process.wait(20))
            self.assertTrue(os.path.exists(self.socket))

    def test_killed_supervisor_takes_its_roles_along_and_a_new_one_starts_at_once(self):
        process = self.start()
        roles = [self.ask()["pid"], self.token(process)]
        process.kill()
        process.wait()
        self.start()
        until(lambda: not any(alive(pid) for pid in roles))

    def test_reload_reaches_the_front_and_what_is_fixed_is_refused_by_name(self):
        process = self.start()
        self.configure(level="debug")
        process.send_signal(signal.SIGHUP)
        until(lambda: self.ask()["config"] == 0)
        self.configure(level="warn", sessions=5)
        process.send_signal(signal.SIGHUP)
        until(lambda: "sessions" in self.text())
        with open(self.config, "a", encoding="ascii") as f:
            f.write("wrong: 1\n")
        process.send_signal(signal.SIGHUP)
        until(lambda: "wrong" in self.text())
        self.assertEqual(0, self.ask()["config"])

    def test_second_instance_is_refused_and_names_the_first(self):
        process = self.start()
        self.refused(75, f"pid {process.pid}")
        self.configure(state="other")
        self.refused(75, self.socket)
        self.assertGreater(self.ask()["pid"], 0)

    def test_stale_socket_is_replaced_and_mode_is_the_configs_whatever_the_umask(self):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(self.socket)
        self.configure(mode="0660")
        self.start(umask=0o777)
        self.assertEqual(0o660, stat.S_IMODE(os.stat(self.socket).st_mode))

    def test_bad_folders_and_files_are_refused_with_78(self):
        with open(self.socket, "w", encoding="ascii") as f:
            f.write("precious")
        self.refused(78, self.socket)
        self.assertEqual(8, os.stat(self.socket).st_size)
        os.unlink(self.socket)
        os.chmod(self.folder, 0o770)
        self.refused(78, "writable by group")
        os.chmod(self.folder, 0o700)
        os.symlink(self.folder, self.folder + "/link")
        self.configure(listen=self.folder + "/link/kms.sock")
        self.refused(78, "may not be a link")
        self.configure()
        os.makedirs(self.folder + "/state", exist_ok=True)
        os.chmod(self.folder + "/state", 0o777)
        self.refused(78, self.folder + "/state")

    def test_service_manager_is_told(self):
        path = os.path.join(self.folder, "notify")
        for name, address in ((path, path), (f"@p11kms-{os.getpid()}", f"\0p11kms-{os.getpid()}")):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(address)
                manager.settimeout(20)
                process = self.start(env={"NOTIFY_SOCKET": name})
                self.assertEqual(b"READY=1", manager.recv(999))
                self.assertEqual("STATUS=serving?as a fake ✓".encode(), manager.recv(999))
                process.send_signal(signal.SIGHUP)
                self.assertTrue(manager.recv(999).startswith(b"RELOADING=1\nMONOTONIC_USEC="))
                self.assertEqual(b"READY=1", manager.recv(999))
                process.send_signal(signal.SIGTERM)
                self.assertEqual(b"STOPPING=1", manager.recv(999))
                process.wait(20)

    def test_reload_before_the_socket_is_served_does_not_say_ready(self):
        path = os.path.join(self.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(20)
            self.configure(ring="late")
            process = self.start(env={"NOTIFY_SOCKET": path})
            self.assertEqual("STATUS=serving?as a fake ✓".encode(), manager.recv(999))
            process.send_signal(signal.SIGHUP)
            until(lambda: "event=reloaded" in self.text())
            self.ask("r")
            self.assertEqual(b"READY=1", manager.recv(999))
            process.send_signal(signal.SIGTERM)
            self.assertEqual(b"STOPPING=1", manager.recv(999))
            process.wait(20)

    def activated(self, listener, mode=0o600):
        """Runs it with `listener` as descriptor 3, as systemd does."""
        code = ("import os,sys; os.dup2(int(sys.argv[1]),3); os.environ.update(LISTEN_FDS='1',"
                "LISTEN_PID=str(os.getpid())); os.execv(sys.argv[2], sys.argv[2:])")
        if listener.getsockname():
            os.chmod(listener.getsockname(), mode)
        with open(self.log, "ab") as log:
            process = subprocess.Popen([sys.executable, "-c", code, str(listener.fileno()),
                                        os.path.join(BIN, "p11-kmsd"), "--config", self.config],
                                       pass_fds=(listener.fileno(), 3) if listener.fileno() != 3 else (3,),
                                       stdout=log, stderr=log)
        self.started.append(process)
        return process

    def lose(self, how):
        """The socket or its folder is gone; the same front is reached again, and one line says so."""
        front = self.ask()["pid"]
        lines = self.text().count("event=socket-bound-again")
        how()
        self.assertEqual(front, until(self.reached)["pid"])
        self.assertEqual(lines + 1, self.text().count("event=socket-bound-again"))
        self.assertEqual(0o600, os.stat(self.socket).st_mode & 0o7777)

    def test_socket_that_is_removed_or_replaced_is_bound_again(self):
        process = self.start()
        self.lose(lambda: os.unlink(self.socket))
        with socket.socket(socket.AF_UNIX) as stale:
            def replace():
                os.unlink(self.socket)
                stale.bind(self.socket)
            self.lose(replace)
        os.kill(self.ask()["pid"], signal.SIGKILL)
        until(self.reached)  # the next front has the new socket too
        process.send_signal(signal.SIGTERM)
        self.assertEqual(0, process.wait(20))
        self.assertFalse(os.path.exists(self.socket))

    def test_folder_of_the_socket_that_is_removed_or_moved_is_made_again(self):
        folder = os.path.join(self.folder, "run")
        os.mkdir(folder)
        os.chmod(folder, 0o751)
        self.socket = os.path.join(folder, "kms.sock")
        self.configure()
        self.start()
        self.lose(lambda: shutil.rmtree(folder))
        self.assertEqual(0o751, os.stat(folder).st_mode & 0o7777)
        self.lose(lambda: os.rename(folder, folder + "-old"))

    def test_folder_that_cannot_be_made_is_said_once_and_tried_again(self):
        parent = os.path.join(self.folder, "run")
        os.makedirs(os.path.join(parent, "kms"))
        self.socket = os.path.join(parent, "kms", "kms.sock")
        self.configure()
        self.start()
        shutil.rmtree(parent)
        until(lambda: "event=socket-lost" in self.text())
        time.sleep(6)  # it looks once more
        self.assertEqual(1, self.text().count("event=socket-lost"))
        self.assertIn("install -d", self.text())
        os.mkdir(parent)
        until(self.reached)

    def test_path_at_which_another_listens_is_not_taken_over(self):
        self.start()
        with socket.socket(socket.AF_UNIX) as other:
            os.unlink(self.socket)
            other.bind(self.socket)
            other.listen(8)
            until(lambda: "another process listens there" in self.text())
            other.accept()[0].close()  # it looked who is there
        until(self.reached)
        self.assertEqual(1, self.text().count("event=socket-bound-again"))

    def test_passed_socket_that_is_removed_is_said_once_with_the_command(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.socket)
            listener.listen(8)
            self.activated(listener)
            until(self.reached)
            os.unlink(self.socket)
            until(lambda: "systemctl restart p11-kms.socket" in self.text())
            time.sleep(6)  # it looks once more
            self.assertEqual(1, self.text().count("event=socket-lost"))
            self.assertFalse(os.path.exists(self.socket))

    def test_passed_socket_is_adopted_and_left_at_the_end(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.socket)
            listener.listen(8)
            process = self.activated(listener)
            until(self.reached)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(0, process.wait(20))
            self.assertTrue(os.path.exists(self.socket))

    def test_passed_socket_that_differs_from_the_config_is_refused(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.socket)
            self.assertEqual(78, self.activated(listener).wait(20))  # does not listen
            listener.listen(8)
            self.assertEqual(78, self.activated(listener, 0o666).wait(20))
            self.assertIn("SocketMode", self.text())
            self.configure(listen=self.socket + "2")
            self.assertEqual(78, self.activated(listener).wait(20))
            self.assertIn("ListenStream", self.text())

    def test_who_waits_is_turned_away_from_a_wrong_config(self):
        """Whoever stayed in the queue would have the service manager start the daemon without end."""
        with open(os.path.join(self.folder, "file"), "w", encoding="ascii"):
            pass
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.socket)
            listener.listen(8)
            for wrong in ({"level": "loud"}, {"listen": self.socket + "2"}, {"state": "file"}):
                with socket.socket(socket.AF_UNIX) as client, socket.socket(socket.AF_UNIX) as other:
                    client.settimeout(20)
                    client.connect(self.socket)
                    other.connect(self.socket)
                    self.configure(**wrong)
                    self.assertEqual(78, self.activated(listener).wait(20), self.text())
                    self.assertEqual([], select.select([listener], [], [], 0)[0], wrong)
                    self.assertEqual(b"", client.recv(1))


if __name__ == "__main__":
    unittest.main(verbosity=2)
