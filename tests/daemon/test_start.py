"""How it starts and ends: config errors, sockets, a second instance, signals, versions."""
import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time
import unittest

import grpc
import kit_path  # noqa: F401
from daemon import BIN, PATIENCE_S, Client, Daemon, code_of, running, until
from frames import Connection

EX_CONFIG = 78
PROGRAMS = ("p11-kmsd", "p11-kms-front", "p11-kms-token", "p11-kmsctl")


class Start(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.daemon.init()

    def refused(self, *words, code=None):
        self.daemon.spawn()
        status = self.daemon.process.wait(PATIENCE_S)
        log = self.daemon.log()
        self.assertNotEqual(0, status, log)
        if code is not None:
            self.assertEqual(code, status, log)
        for word in words:
            self.assertIn(word, log)
        return log

    def edit(self, old, new):
        self.daemon.write_config()
        with open(self.daemon.config, encoding="utf-8") as f:
            text = f.read()
        self.assertIn(old, text)
        with open(self.daemon.config, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))
        return 1 + text[:text.index(old)].count("\n")

    def test_socket_file_removed_while_serving_is_bound_again(self):
        """By the real front: who is in stays in, who comes next comes in, also after its end."""
        self.daemon.start()
        with Connection(self.daemon.socket) as stands:
            self.assertEqual(0, stands.ask().code)
            os.unlink(self.daemon.socket)
            until(lambda: os.path.exists(self.daemon.socket), 30, "the socket file")
            self.assertEqual(0, stands.ask().code)
            with Connection(self.daemon.socket) as comes:
                self.assertEqual(0, comes.ask().code)
        self.assertEqual(1, self.daemon.log().count("event=socket-bound-again"))
        self.daemon.kill_role("front")
        self.daemon.wait_ok()

    def test_config_errors_are_78_with_file_and_line(self):
        for old, new in (("ring: test", "ring: Much-Too-Long"), ("ring: test", "wrong: test"),
                         ("mode: seed", "mode: direct"), ("rotation: manual", "rotation: automatic"),
                         ("derived_keys: 1024", "derived_keys: many"),
                         ("derived_keys: 1024", "ring: again"), ("activation_delay: 5m", "activation_delay: 5"),
                         ("scheme: aes-gcm", "scheme: rsa"), ("iv_mode: host", "iv_mode: zero-fill"),
                         ("    sessions: 4", "    sessions: 0"), ('mode: "0600"', 'mode: "0999"'),
                         ("version: 1", "version: 2")):
            line = self.edit(old, new)
            self.refused(f"{self.daemon.config}:{line}", code=EX_CONFIG)
            done = subprocess.run([os.path.join(BIN, "p11-kmsd"), "--config", self.daemon.config,
                                   "--check-config"], capture_output=True, text=True)
            self.assertEqual(EX_CONFIG, done.returncode)
            self.assertIn(f"{self.daemon.config}:{line}", done.stdout + done.stderr)

    def test_a_good_config_passes_the_check(self):
        done = subprocess.run([os.path.join(BIN, "p11-kmsd"), "--check-config", "--config",
                               self.daemon.config], capture_output=True, text=True)
        self.assertEqual(0, done.returncode, done.stderr)

    def test_no_config_is_a_clear_error(self):
        os.unlink(self.daemon.config)
        self.refused(self.daemon.config)

    def test_every_program_tells_its_version(self):
        for program in PROGRAMS:
            done = subprocess.run([os.path.join(BIN, program), "--version"], capture_output=True, text=True)
            self.assertEqual(0, done.returncode, program)
            self.assertRegex(done.stdout, r"\d+\.\d+\.\d+")

    def test_socket_path_too_long(self):
        long = os.path.join(self.daemon.run, "s" * 120)
        self.daemon.write_config(socket=long)
        self.refused(code=EX_CONFIG)

    def test_folder_that_others_can_write_is_refused(self):
        os.chmod(self.daemon.run, 0o777)
        self.refused(self.daemon.run)
        os.chmod(self.daemon.run, 0o775)
        self.refused(self.daemon.run)

    def test_a_regular_file_at_the_path_is_never_deleted(self):
        with open(self.daemon.socket, "w", encoding="ascii") as f:
            f.write("precious")
        self.refused(self.daemon.socket)
        with open(self.daemon.socket, encoding="ascii") as f:
            self.assertEqual("precious", f.read())

    def test_stale_socket_is_replaced(self):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(self.daemon.socket)
        self.daemon.start()
        self.assertEqual(b"ok", self.daemon.client().status().healthz)

    def test_a_listener_of_someone_else_is_not_replaced(self):
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.daemon.socket)
            other.listen(8)
            self.refused(self.daemon.socket)
            self.assertTrue(stat.S_ISSOCK(os.stat(self.daemon.socket).st_mode))

    def test_second_instance_does_not_take_over(self):
        self.daemon.start()
        inode = os.stat(self.daemon.socket).st_ino
        second = Daemon(folder=self.daemon.folder, token=self.daemon.token, name="a")
        second.log_path += ".second"
        second.spawn()
        self.assertNotEqual(0, second.process.wait(PATIENCE_S))
        self.assertIn(self.daemon.state, second.log() + self.daemon.state)
        self.assertEqual(inode, os.stat(self.daemon.socket).st_ino)
        self.assertEqual(b"ok", self.daemon.client().status().healthz)
        other_state = Daemon(folder=self.daemon.folder, token=self.daemon.token, name="c",
                             socket=self.daemon.socket)
        other_state.spawn()
        self.assertNotEqual(0, other_state.process.wait(PATIENCE_S))
        self.assertIn(self.daemon.socket, other_state.log())
        self.assertEqual(inode, os.stat(self.daemon.socket).st_ino)

    def test_mode_of_the_socket_is_the_configs_whatever_the_umask(self):
        for mask, mode in ((0o777, 0o660), (0, 0o600), (0o077, 0o666)):
            self.daemon.write_config(mode="%04o" % mode)
            self.daemon.start(preexec=lambda mask=mask: os.umask(mask))
            self.assertEqual(mode, stat.S_IMODE(os.stat(self.daemon.socket).st_mode))
            self.assertEqual(0, self.daemon.stop())

    @unittest.skipUnless(os.getuid() == 0, "another owner needs root")
    def test_owner_and_group_of_the_socket_are_the_configs(self):
        self.edit('  mode: "0600"', '  mode: "0600"\n  owner: nobody\n  group: nogroup')
        self.daemon.start()
        owner = os.stat(self.daemon.socket)
        self.assertEqual((65534, 65534), (owner.st_uid, owner.st_gid))

    def test_state_folder_that_others_can_write_is_refused(self):
        os.chmod(self.daemon.state, 0o777)
        self.refused(self.daemon.state)

    def test_sigterm_drains_and_leaves_no_socket(self):
        self.daemon.start()
        answers = []

        def load():
            with Client(self.daemon.socket) as client:
                for _ in range(2000):
                    try:
                        answers.append(client.encrypt(b"x" * 32, timeout=3))
                    except Exception as error:  # pylint: disable=broad-except
                        answers.append(error)
                        return
        thread = threading.Thread(target=load)
        thread.start()
        until(lambda: len(answers) > 20, 10)
        self.assertEqual(0, self.daemon.stop())
        thread.join()
        self.assertFalse(os.path.exists(self.daemon.socket))
        broken = [a for a in answers if isinstance(a, Exception)]
        self.assertLessEqual(len(broken), 1)
        for error in broken:
            self.assertNotIn("Stream removed", str(error))

    def test_abstract_socket(self):
        name = "p11kms-test-%d" % os.getpid()
        self.daemon.write_config(socket="@" + name)
        self.daemon.spawn()
        client = Client("", target="unix-abstract:" + name)
        with client:
            until(lambda: code_of(client.status) == grpc.StatusCode.OK, 20, "a Status over it")
            self.assertEqual(b"ok", client.status().healthz)

    def test_reload_changes_what_may_change_and_refuses_the_rest_by_name(self):
        self.daemon.start()
        self.daemon.write_config(status_version="v2beta1")
        self.daemon.process.send_signal(signal.SIGHUP)
        until(lambda: self.daemon.client().status().version == b"v2beta1", 10, "the new version")
        pids = self.daemon.pids()
        self.daemon.write_config(status_version="v2", sessions=5)
        self.daemon.process.send_signal(signal.SIGHUP)
        until(lambda: "sessions" in self.daemon.log(), 10, "refused by name")
        self.edit("mode: seed", "mode: nothing")
        self.daemon.process.send_signal(signal.SIGHUP)
        until(lambda: "mode" in self.daemon.log(), 10, "refused by name")
        time.sleep(0.5)
        self.assertEqual(b"v2beta1", self.daemon.client().status().version)
        self.assertEqual(pids, self.daemon.pids())

    def test_reload_changes_the_log_of_every_process(self):
        self.daemon.start()
        self.daemon.write_config(format="json")
        self.daemon.process.send_signal(signal.SIGHUP)

        def reloaded():
            lines = [json.loads(line) for line in self.daemon.log().splitlines() if line.startswith("{")]
            return {line["program"] for line in lines if line["event"] == "reloaded"}
        until(lambda: reloaded() == {"p11-kmsd", "p11-kms-front", "p11-kms-token"}, 10, "all reloaded")

    def test_hundreds_of_reloads_reach_a_token_process_that_waits_for_a_pin(self):
        with open(self.daemon.token.pin_file, "w", encoding="ascii") as f:
            f.write("wrong-pin")
        self.daemon.spawn()
        until(lambda: "refused" in self.daemon.log(), 20, "the PIN is refused")
        for turn in range(1, 301):
            self.daemon.process.send_signal(signal.SIGHUP)
            until(lambda n=turn: self.reloads("p11-kms-token") >= n, 10, f"reload {turn}")
        self.assertNotIn("role-not-told", self.daemon.log())

    def reloads(self, program):
        return self.daemon.log().count(f"event=reloaded program={program}\n")


class Environment(unittest.TestCase):
    def test_roles_are_undumpable_and_have_an_empty_environment(self):
        daemon = running()
        self.addCleanup(daemon.close)
        for pid in daemon.pids():
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                status = f.read()
            self.assertIn("NoNewPrivs:\t1", status)
            with open(f"/proc/{pid}/limits", encoding="ascii") as f:
                core = next(line for line in f if line.startswith("Max core file size"))
            self.assertEqual("0", core.split()[4])
        if os.getuid() == 0:
            with open(f"/proc/{daemon.pid_of('front')}/environ", "rb") as f:
                names = {entry.split(b"=")[0] for entry in f.read().split(b"\0") if entry}
            self.assertNotIn(b"PATH", names)
            self.assertNotIn(b"SOFTHSM2_CONF", names)


if __name__ == "__main__":
    unittest.main(verbosity=2)
