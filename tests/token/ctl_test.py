"""p11-kmsctl over a real token process and SoftHSM: what each command does, prints and exits with."""
import base64
import datetime
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from urllib.parse import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kit"))
from daemon import BUILD, Daemon, Token, until  # noqa: E402

NOBODY = 65534
SHIM = os.path.join(BUILD, "tests", "token", "libp11kms_shim.so")


class CtlTest(unittest.TestCase):
    def setUp(self):
        self.node = Daemon()
        self.addCleanup(self.node.close)

    def ctl(self, *arguments, code=0):
        done = self.node.ctl(*arguments, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for sign in ("Sanitizer", "runtime error"):
            self.assertNotIn(sign, done.stderr)
        return done

    def json(self, *arguments, code=0):
        return json.loads(self.ctl(*arguments, "--output", "json", code=code).stdout)

    def keys(self, code=0):
        return self.json("keys", code=code)

    def states(self, code=0):
        return [key["state"] for key in self.keys(code)]

    def forget_keys(self):
        """Deletes every key of the token, as a careless operator would."""
        for key in self.node.token.tool("list"):
            self.node.token.tool("delete", id=key["id"])

    def current(self):
        realm = hashlib.sha256(b"p11-kms realm v1test").digest()[:16].hex()
        return os.path.join(self.node.state, "current." + realm)

    def remember(self, key):
        with open(self.current(), "w", encoding="ascii") as f:
            f.write(f"p11-kms current 1\nkek_id={key['kek_id']}\nnot_before={key['not_before_s']}\n"
                    f"created={key['created_s']}\n")


class Init(CtlTest):
    def test_empty_ring_is_a_finding(self):
        done = self.ctl("keys", code=1)
        self.assertIn("p11-kmsctl init", done.stderr)
        self.assertEqual(self.keys(code=1), [])

    def test_makes_the_first_kek_active_at_once(self):
        made = self.json("init")
        self.assertEqual(made["not_before"], made["created"])
        self.assertIn("back up this token now", made["next"])
        self.assertEqual(made["attributes"], "ok")
        (key,) = self.keys()
        self.assertEqual((key["state"], key["proof"]), ("active", "ok"))
        self.assertEqual(key["key_id"], made["key_id"])
        self.assertRegex(made["key_id"], "^p11-kms/1/[0-9a-f]{32}/[0-9a-f]{8}$")

    def test_mistyped_ring_is_told_which_rings_are_there(self):
        self.ctl("init")
        self.node.write_config(ring="tset")
        for command in (["keys"], ["rotate"], ["rotate", "--now"], ["init", "--join"]):
            self.assertIn("these rings are: test.", self.ctl(*command, code=1).stderr)

    def test_twice_is_refused_and_makes_nothing(self):
        self.ctl("init")
        done = self.ctl("init", code=1)
        self.assertIn("--join", done.stderr)
        self.assertEqual(len(self.keys()), 1)

    def test_join_proves_every_key_and_makes_nothing(self):
        self.assertIn("nothing to join", self.ctl("init", "--join", code=1).stderr)
        self.ctl("init")
        self.ctl("rotate")
        joined = self.json("init", "--join")
        self.assertTrue(joined["joined"])
        self.assertEqual([key["proof"] for key in joined["keys"]], ["ok", "ok"])
        self.assertEqual(len(self.keys()), 2)

    def test_another_ring_on_the_token_is_not_this_one(self):
        self.ctl("init")
        self.node.write_config(ring="other")
        self.ctl("init")
        self.assertEqual(len(self.keys()), 1)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_root_becomes_the_owner_of_the_state_directory(self):
        for folder, _, files in os.walk(self.node.folder):
            for path in [folder] + [os.path.join(folder, name) for name in files]:
                os.chown(path, NOBODY, NOBODY)
        # Where roots keep their checkouts: a folder that the owner cannot enter.
        with tempfile.TemporaryDirectory(prefix="p11-kms-private.") as private:
            self.node.bin = shutil.copytree(self.node.bin, os.path.join(private, "bin"))
            self.ctl("init")
        tokens = os.path.join(self.node.token.folder, "tokens")
        owners = {os.stat(os.path.join(folder, name)).st_uid
                  for top in (tokens, self.node.state) for folder, _, files in os.walk(top)
                  for name in files}
        self.assertEqual(owners, {NOBODY})


    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_another_user_is_told_who_may(self):
        os.chmod(self.node.folder, 0o755)
        os.chmod(self.node.config, 0o644)
        for mode, owner in ((0o700, 0), (0o755, NOBODY - 1)):
            os.chmod(self.node.state, mode)
            os.chown(self.node.state, owner, owner)
            for command in ("keys", "init", "rotate", "pin-retry"):
                done = subprocess.run([os.path.join(self.node.bin, "p11-kmsctl"), command, "--config",
                                       self.node.config], capture_output=True, text=True, check=False,
                                      user=NOBODY, group=NOBODY, extra_groups=[])
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertIn("run this as root or as its owner", done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_root_makes_no_state_directory(self):
        os.rmdir(self.node.state)
        for command in (["keys"], ["init"], ["pin-retry"]):
            done = self.ctl(*command, code=1)
            self.assertIn("systemd-tmpfiles --create", done.stderr)
            self.assertFalse(os.path.exists(self.node.state))


class Rotate(CtlTest):
    def test_empty_ring_is_refused(self):
        self.assertIn("p11-kmsctl init", self.ctl("rotate", code=1).stderr)
        self.ctl("rotate", "--now", code=1)

    def test_new_kek_is_staged_with_notice(self):
        first = self.json("init")
        before = int(time.time())
        made = self.json("rotate")
        self.assertGreaterEqual(made["not_before"], before + 300)
        self.assertLessEqual(made["not_before"], int(time.time()) + 300)
        staged, active = self.keys()
        self.assertEqual((staged["state"], active["state"]), ("staged", "active"))
        self.assertEqual(active["key_id"], first["key_id"])

    def test_now_takes_over_at_once(self):
        first = self.json("init")
        made = self.json("rotate", "--now")
        self.assertGreater(made["not_before"], first["not_before"])
        time.sleep(max(0, made["not_before"] - time.time()))
        newest, old = self.keys()
        self.assertEqual((newest["state"], old["state"]), ("active", "decrypt-only"))
        self.assertEqual(newest["key_id"], made["key_id"])

    def test_at_takes_both_forms_and_refuses_too_little_notice(self):
        self.ctl("init")
        at = int(time.time()) + 3600
        self.assertEqual(self.json("rotate", "--at", str(at))["not_before"], at)
        text = datetime.datetime.fromtimestamp(at + 60, datetime.timezone.utc)
        made = self.json("rotate", "--anyway", "--at", text.strftime("%Y-%m-%dT%H:%M:%SZ"))
        self.assertEqual(made["not_before"], at + 60)
        for wrong in (1700000000, int(time.time()) + 10, int(time.time()) + 33 * 86400):
            done = self.ctl("rotate", "--at", str(wrong), code=64)
            self.assertRegex(done.stderr, "lies not between 20.*Z .* and 20.*Z")
        self.ctl("rotate", "--at", "tomorrow", code=64)
        self.ctl("rotate", "--at", str(at), "--now", code=64)
        self.assertEqual(len(self.keys()), 3)

    def test_second_staged_kek_wants_a_word_and_says_what_becomes_of_the_first(self):
        self.ctl("init")
        first = self.json("rotate", "--at", str(int(time.time()) + 3600))
        again = self.ctl("rotate", code=1)
        self.assertIn(first["key_id"], again.stderr)
        self.assertIn("--anyway", again.stderr)
        self.assertEqual(len(self.keys()), 2)
        second = self.json("rotate", "--anyway")
        self.assertEqual([row["key_id"] for row in second["never_takes_over"]], [first["key_id"]])
        self.assertEqual(self.states(), ["staged", "superseded", "active"])
        third = self.json("rotate", "--anyway", "--at", str(second["not_before"] + 600))
        self.assertEqual([row["key_id"] for row in third["takes_over_too"]], [second["key_id"]])

    def test_now_outranks_what_is_staged(self):
        self.ctl("init")
        staged = self.json("rotate")
        made = self.json("rotate", "--now")
        self.assertGreater(made["created"], staged["created"])
        self.assertLess(made["not_before"], staged["not_before"])
        self.assertEqual([row["key_id"] for row in made["never_takes_over"]], [staged["key_id"]])
        time.sleep(max(0, made["not_before"] - time.time()))
        states = {key["key_id"]: key["state"] for key in self.keys()}
        self.assertEqual((states[made["key_id"]], states[staged["key_id"]]), ("active", "superseded"))

    def run_into(self, out, *arguments):
        """Runs it with this standard output; what it said on the other."""
        return subprocess.run([os.path.join(self.node.bin, "p11-kmsctl"), *arguments, "--config",
                               self.node.config], stdout=out, stderr=subprocess.PIPE, text=True, check=False)

    def test_what_was_made_is_said_although_the_answer_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            done = self.run_into(full, "init")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("No space left", done.stderr)
        self.assertIn(self.keys()[0]["key_id"], done.stderr)
        reading, writing = os.pipe()
        os.close(reading)
        done = self.run_into(writing, "rotate", "--output", "json")
        os.close(writing)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(self.keys()[0]["key_id"], done.stderr)
        with open("/dev/full", "wb") as full:
            self.assertEqual(self.run_into(full, "pin-retry").returncode, 3)
            self.assertEqual(self.run_into(full, "keys").returncode, 2)

    def test_closed_standard_output_is_no_place_for_the_answer(self):
        script = 'exec "$0" init --config "$1" >&-'
        done = subprocess.run(["/bin/sh", "-c", script, os.path.join(self.node.bin, "p11-kmsctl"),
                               self.node.config], stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(self.keys()[0]["key_id"], done.stderr)

    def test_lost_kek_is_replaced_by_one_that_ranks_above_it(self):
        self.ctl("init")
        (lost,) = self.keys()
        lost["not_before_s"] += 100
        self.forget_keys()
        self.remember(lost)
        for command in (["rotate"], ["keys"], ["init"], ["init", "--join"]):
            said = self.ctl(*command, code=1).stderr
            self.assertIn("rotate --now", said)
            self.assertNotIn("p11-kmsctl init", said)
        made = self.json("rotate", "--now")
        self.assertIn("no older KEK", made["old"])
        self.assertEqual(made["not_before"], lost["not_before_s"] + 1)

    def test_memory_that_cannot_be_read_is_not_none(self):
        os.symlink("elsewhere", self.current())
        for command in (["init"], ["rotate", "--now"], ["keys"]):
            self.assertIn("cannot open a state file", self.ctl(*command, code=2).stderr)
        os.unlink(self.current())
        self.assertEqual(self.keys(code=1), [])

    def test_ring_older_than_400_days_wants_a_word(self):
        old = int(time.time()) - 401 * 86400
        self.node.token.tool("generate", id="aa" * 16, label=f"p11k:test:{old:08x}:{old:08x}")
        self.assertIn("--clock-is-right", self.ctl("rotate", code=1).stderr)
        self.ctl("rotate", "--clock-is-right")


class Keys(CtlTest):
    def test_key_with_a_bad_attribute_is_refused_by_name(self):
        self.ctl("init")
        now = int(time.time()) - 5
        self.node.token.tool("generate", id="bb" * 16, label=f"p11k:test:{now:08x}:{now:08x}",
                             attributes={"EXTRACTABLE": True, "WRAP": True})
        (bad,) = [key for key in self.keys() if key["state"] != "active"]
        self.assertTrue(bad["state"].startswith("refused: "), bad["state"])
        self.assertIn("CKA_EXTRACTABLE", bad["faults"])
        self.assertIn("CKA_WRAP", bad["faults"])

    def test_only_refused_keys_are_a_finding(self):
        now = int(time.time()) - 5
        self.node.token.tool("generate", id="bb" * 16, label=f"p11k:test:{now:08x}:{now:08x}",
                             attributes={"SENSITIVE": False})
        done = self.ctl("keys", code=1)
        self.assertIn("no key of the ring can seal now", done.stderr)
        self.assertIn("p11-kmsctl rotate --now", done.stderr)
        self.assertIn("p11-kmsctl rotate --now", self.ctl("init", code=1).stderr)
        self.assertIn("until then none can seal", self.ctl("rotate").stdout)
        made = self.json("rotate", "--now")
        time.sleep(max(0, made["not_before"] - time.time()))
        self.assertIn("active", self.states())

    def test_table_has_its_heading(self):
        self.ctl("init")
        lines = self.ctl("keys").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["kek_id", "state", "not_before", "age", "token", "proof"])
        self.assertEqual(len(lines), 2)


class Pin(CtlTest):
    def write_pin(self, pin):
        with open(self.node.token.pin_file, "w", encoding="ascii") as f:
            f.write(pin + "\n")

    def test_wrong_pin_is_tried_once(self):
        self.ctl("init")
        self.write_pin("0000wrong")
        self.assertIn("token-pin-refused", self.ctl("keys", code=2).stderr)
        again = self.ctl("keys", code=2).stderr
        self.assertNotIn("token-pin-refused", again)
        self.assertIn("pin-retry", again)

    def test_retry_empties_the_record_of_the_guard(self):
        self.ctl("init")
        record = self.node.pin_record()
        self.assertGreater(os.stat(record).st_size, 0)
        self.assertEqual(self.json("pin-retry")["pin_retry"], True)
        self.assertEqual(os.stat(record).st_size, 0)
        self.assertEqual(self.states(), ["active"])

    def test_retry_is_an_order_for_a_process_that_starts_later_too(self):
        right = self.node.token.pin()
        self.write_pin("0000wrong")
        self.ctl("init", code=2)
        os.unlink(self.node.pin_record())  # as if another node had guessed wrong
        self.write_pin(right)
        self.assertIn("has not succeeded here", self.ctl("init", code=2).stderr)
        self.ctl("pin-retry")
        self.ctl("init")
        self.assertEqual(self.states(), ["active"])

    def test_retry_before_any_login_is_an_order_for_the_first(self):
        right = self.node.token.pin()
        self.write_pin("0000wrong")
        self.ctl("init", code=2)
        os.unlink(self.node.pin_record())  # as if another node had guessed wrong
        self.write_pin(right)
        self.ctl("pin-retry")
        self.ctl("init")
        self.assertGreater(os.stat(os.path.join(self.node.state, "pin")).st_size, 0)  # carried out

    def test_record_of_an_earlier_build_holds_until_it_is_emptied(self):
        self.write_pin("0000wrong")
        self.ctl("init", code=2)
        os.rename(self.node.pin_record(), os.path.join(self.node.state, "pin"))
        os.utime(self.node.token.pin_file)
        said = self.ctl("init", code=2).stderr
        self.assertNotIn("token-pin-refused", said)
        self.assertIn("refused this PIN before", said)
        self.assertTrue(self.json("pin-retry")["was_refused"])
        self.assertIn("token-pin-refused", self.ctl("init", code=2).stderr)

    def start_in_login(self, orders, **options):
        """p11-kmsctl keys in a process group of its own, once its token process is within C_Login."""
        control, calls = (os.path.join(self.node.folder, name) for name in ("orders", "calls"))
        with open(control, "w", encoding="ascii") as f:
            f.write(orders + "\n")
        self.node.write_config(module=SHIM, env={"P11KMS_SHIM_MODULE": self.node.token.module,
                                                 "P11KMS_SHIM_CONTROL": control, "P11KMS_SHIM_LOG": calls},
                               **options)
        process = subprocess.Popen(
            [os.path.join(self.node.bin, "p11-kmsctl"), "keys", "--config", self.node.config],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

        def inside():
            if os.path.exists(calls):
                with open(calls, encoding="ascii") as f:
                    return "C_Login" in f.read()
            return False
        until(inside, what="a login")
        return process

    def record(self):
        with open(self.node.pin_record(), encoding="ascii") as f:
            return f.read()

    def test_interrupt_within_a_login_waits_for_its_answer(self):
        self.write_pin("0000wrong")
        process = self.start_in_login("C_Login delay 9000")  # longer than anything but start_timeout
        self.assertNotIn("failed=", self.record())
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(60), -signal.SIGINT)
        self.assertIn("failed=", self.record())

    def test_interrupt_within_a_login_that_hangs_ends_with_start_timeout(self):
        process = self.start_in_login("C_Login hang", start_timeout="4s")
        process.terminate()
        self.assertEqual(process.wait(60), -signal.SIGTERM)

    def test_full_disk_stops_no_pin_that_has_worked_and_is_named_for_any_other(self):
        self.ctl("init")
        os.mkdir(os.path.join(self.node.state, ".new"))  # in the way of every new state file
        self.assertEqual(self.states(), ["active"])
        os.utime(self.node.token.pin_file)  # as if it were another
        said = self.ctl("keys", code=2).stderr
        self.assertNotIn("the token process ended", said)
        self.assertIn(self.node.state, said)
        self.assertIn("Is a directory", said)

    def test_pin_never_shows(self):
        self.write_pin("0000secretpin")
        done = self.ctl("keys", code=2)
        self.assertNotIn("secretpin", done.stdout + done.stderr)

    def test_token_that_is_not_there_is_named(self):
        self.node.write_config(uri="pkcs11:token=nowhere")
        done = self.ctl("keys", code=2)
        lines = done.stderr.splitlines()
        self.assertTrue(any("waiting up to" in line for line in lines[:-1]), done.stderr)
        self.assertIn("p11-kms-test", lines[-1])  # the token that is there

    def test_retry_says_what_it_changes(self):
        self.ctl("init")
        said = self.json("pin-retry")
        self.assertFalse(said["was_refused"])
        self.assertIn("no p11-kmsd is seen", said["next"])
        self.node.start()
        self.assertIn("nothing was refused", self.json("pin-retry")["next"])
        self.node.stop()
        self.write_pin("0000wrong")
        self.ctl("keys", code=2)
        self.assertTrue(self.json("pin-retry")["was_refused"])


class Labels(CtlTest):
    """A token that is named in no ASCII."""
    LABEL = "HSM Zürich ✓"

    def setUp(self):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="p11kms-"))
        self.node = Daemon(folder, Token(folder, self.LABEL), uri="pkcs11:token=" + quote(self.LABEL))
        self.addCleanup(self.node.close)

    def test_utf8_label_is_matched_and_shown(self):
        made = self.ctl("init", "--output", "json")
        self.assertIn("on token " + self.LABEL + ", active", made.stderr)
        self.assertEqual(json.loads(made.stdout)["token"], self.LABEL)
        self.assertIn(f'"{self.LABEL}"', self.ctl("keys", "--output", "json").stdout)
        heading, row = self.ctl("keys").stdout.splitlines()
        for column, value in (("token", self.LABEL), ("proof", "ok")):
            self.assertTrue(row[heading.index(column):].startswith(value), row)

    def test_utf8_label_is_shown_by_the_mends_of_a_daemon(self):
        self.node.spawn()
        none = "on token " + self.LABEL + ": run p11-kmsctl init"
        until(lambda: none in self.node.ctl("status", check=False).stdout, what="the mend")
        self.assertIn(none, self.json("status", code=1)["grpc_message"])
        until(lambda: none in self.json("status", code=1).get("mend", ""), what="the mend on disk")
        self.assertIn(f'token="{self.LABEL}"', self.node.log())

    def test_utf8_label_is_shown_where_the_token_is_missed(self):
        self.node.write_config(uri="pkcs11:token=elsewhere")
        there = f"tokens there: '{self.LABEL}' serial"
        self.assertIn(there, self.ctl("keys", code=2).stderr.splitlines()[-1])
        self.node.spawn()
        until(lambda: there in self.node.ctl("status", "--output", "json", check=False).stdout, what="the mend")
        self.assertIn(there, self.node.ctl("status", check=False).stdout)
        self.assertIn(there, self.node.log())

    def test_list_of_tokens_is_cut_between_characters(self):
        tokens = os.path.join(self.node.token.folder, "tokens")
        shutil.rmtree(tokens)
        os.mkdir(tokens)
        for name in "1234":  # the room ends within a character of the fourth
            made = os.path.join(Token(os.path.join(self.node.folder, name), "ä" * 16).folder, "tokens")
            for entry in os.listdir(made):
                os.rename(os.path.join(made, entry), os.path.join(tokens, entry))
        self.node.write_config(uri="pkcs11:token=elsewhere")
        last = self.ctl("keys", code=2).stderr.splitlines()[-1]
        self.assertRegex(last, "tokens there: (?:'ä{16}' serial [0-9a-f]{16}, ){3}'ä+$")


class Others(CtlTest):
    def test_status_without_a_daemon_is_no_answer(self):
        report = self.json("status", code=2)
        self.assertFalse(report["serving"])
        self.assertIn("start p11-kmsd", report["next"])
        self.assertIn("systemctl restart p11-kms.socket p11-kms.service", report["next"])

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_status_of_another_user_is_unknown_not_down(self):
        self.ctl("init")
        self.node.start()
        os.chmod(self.node.folder, 0o755)
        os.chmod(self.node.config, 0o644)
        def ask(mode):
            os.chmod(self.node.socket, mode)
            done = subprocess.run([os.path.join(self.node.bin, "p11-kmsctl"), "status", "--output", "json",
                                   "--config", self.node.config], capture_output=True, text=True,
                                  check=False, user=NOBODY, group=NOBODY, extra_groups=[])
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            report = json.loads(done.stdout)
            self.assertIsNone(report["serving"])
            self.assertIsNone(report["state"])
            self.assertIn("Permission denied", report["state_error"])
            self.assertIn("allowed_uids", report["next"])
        ask(0o600)
        ask(0o666)

    def test_status_without_a_daemon_calls_its_record_the_last_one(self):
        self.ctl("init")
        self.node.start()
        until(lambda: self.json("status")["state"] == "OK", what="the state on disk")
        self.node.stop()
        report = self.json("status", code=2)
        self.assertNotIn("state", report)
        self.assertIn("last_state", report)

    def test_status_of_a_daemon_without_a_key_names_the_mend(self):
        self.node.spawn()
        until(lambda: self.node.ctl("status", check=False).returncode == 1, what="a first answer")
        report = self.json("status", code=1)
        self.assertFalse(report["serving"])
        self.assertNotIn("healthz", report)
        self.assertEqual(report["grpc_status"], 14)

    def test_status_of_a_healthy_daemon_with_round_trip(self):
        made = self.json("init")
        self.node.start()
        report = self.json("status", "--round-trip")
        self.assertEqual((report["healthz"], report["key_id"]), ("ok", made["key_id"]))
        self.assertEqual(report["key_id_hash"], "sha256:" + hashlib.sha256(made["key_id"].encode()).hexdigest())
        self.assertEqual([(row["api"], row["result"]) for row in report["round_trip"]],
                         [("v2", "ok"), ("v1", "ok")])
        until(lambda: self.json("status")["state"] == "OK", what="the state on disk")
        self.assertIn("round_trip:", self.ctl("status", "--round-trip").stdout)

    def test_status_waits_a_moment_for_a_record_that_is_behind(self):
        self.ctl("init")
        self.node.start()
        record = os.path.join(self.node.state, "health")
        until(lambda: self.json("status")["state"] == "OK", what="the state on disk")
        with open(record, encoding="ascii") as f:
            good = f.read()

        def write(text):
            with open(record + ".test", "w", encoding="ascii") as f:
                f.write(text)
            os.rename(record + ".test", record)

        write(good.replace("state=OK", "state=START"))
        later = threading.Timer(0.3, write, [good])
        later.start()
        self.assertEqual(self.json("status")["state"], "OK")
        later.join()

    def test_wrong_usage_and_wrong_config_have_their_codes(self):
        self.ctl("frobnicate", code=64)
        self.ctl("keys", "--now", code=64)
        self.ctl("keys", "--output", "yaml", code=64)
        self.node.write_config(extra="surprise: 1")
        self.assertIn("surprise", self.ctl("keys", code=78).stderr)

    def test_help_and_version_need_nothing(self):
        os.unlink(self.node.config)
        self.assertIn("pin-retry", self.ctl("--help").stdout)
        self.assertIn("--clock-is-right", self.ctl("rotate", "--help").stdout)
        self.assertIn("p11-kmsctl", self.ctl("--version").stdout)

    def test_inspect_reads_every_golden_envelope(self):
        golden = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kit", "golden")
        names = [name for name in os.listdir(golden) if name.endswith(".txt")]
        self.assertGreater(len(names), 0)
        for name in names:
            with open(os.path.join(golden, name), encoding="ascii") as f:
                facts = dict(line.rstrip("\n").split(" ", 1) for line in f)
            report = self.json("inspect", facts["envelope"])
            self.assertEqual(report["key_id"], facts["key-id"])
            self.assertEqual(report["kek_id"], facts["kek-id"])
            self.assertEqual(report["envelope_bytes"], len(facts["envelope"]) // 2)

    def test_inspect_takes_an_etcd_value_as_etcdctl_prints_it(self):
        golden = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kit", "golden",
                              "v1-suite1-api2-iv12-32.txt")
        with open(golden, encoding="ascii") as f:
            facts = dict(line.rstrip("\n").split(" ", 1) for line in f)
        envelope, key_id = bytes.fromhex(facts["envelope"]), facts["key-id"].encode()

        def field(number, value):
            length = len(value)
            head = bytes([length]) if length < 128 else bytes([length & 0x7f | 0x80, length >> 7])
            return bytes([number << 3 | 2]) + head + value

        value = (b"/registry/secrets/default/a\nk8s:enc:kms:v2:p11:" + field(1, b"object") + field(2, key_id)
                 + field(3, envelope) + b"\x28\x01\n")
        path = os.path.join(self.node.folder, "value")
        with open(path, "wb") as f:
            f.write(value)
        report = self.json("inspect", path)
        self.assertEqual(report["provider"], "p11")
        self.assertEqual(report["etcd_key_id"], facts["key-id"])
        self.assertEqual(report["dek_source"], "HKDF seed")
        self.assertEqual(report["object_bytes"], 6)
        self.assertEqual(report["envelope_bytes"], len(envelope))

    def test_inspect_of_what_is_no_envelope_is_a_finding(self):
        self.ctl("inspect", "5031314b", code=1)

    def inspect(self, value, code=0):
        path = os.path.join(self.node.folder, "value")
        with open(path, "wb") as f:
            f.write(value)
        return self.json("inspect", path, code=code)

    PLAIN = b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x01x"
    NATIVE = b"k8s:enc:aescbc:v1:key1:0123456789abcdef"
    OTHER = b"k8s:enc:kms:v2:vault:\x0a\x03obj\x12\x05key-7\x1a\x05vault"

    def test_inspect_says_what_a_value_is_that_is_not_ours(self):
        plain = self.inspect(b"/registry/secrets/default/a\n" + self.PLAIN + b"\n", code=1)
        self.assertIn("not encrypted", plain["sealed_by"])
        self.assertEqual((plain["etcd_value"], plain["kind"]), ("plain protobuf", "Secret"))
        plain = self.inspect(b'{"kind":"Secret","apiVersion":"v1"}\n', code=1)
        self.assertEqual(plain["etcd_value"], "plain JSON")
        native = self.inspect(self.NATIVE, code=1)
        self.assertEqual((native["etcd_value"], native["key_name"]), ("aescbc", "key1"))
        other = self.inspect(self.OTHER, code=1)
        self.assertEqual((other["sealed_by"], other["provider"], other["etcd_key_id"]),
                         ("another KMS plugin", "vault", "key-7"))
        first = self.inspect(b"k8s:enc:kms:v1:vault:\x00\x05vaultobject", code=1)
        self.assertEqual((first["etcd_value"], first["provider"]), ("KMS v1", "vault"))

    def test_inspect_of_a_list_has_a_row_an_object(self):
        values = {"/a": self.PLAIN, "/b": self.NATIVE, "/c": self.OTHER, "/d": b"?"}
        listing = {"header": {"cluster_id": 14841639068965178418}, "count": len(values), "kvs": [
            {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(value).decode()}
            for key, value in values.items()]}
        rows = self.inspect(json.dumps(listing).encode(), code=1)
        self.assertEqual([row["object"] for row in rows], list(values))
        self.assertEqual([row["name"] for row in rows], ["", "key1", "vault", ""])
        self.assertEqual(rows[2]["key_id"], "key-7")
        self.assertEqual([bool(row["problem"]) for row in rows], [False, False, False, True])
        lines = self.ctl("inspect", os.path.join(self.node.folder, "value"), code=1).stdout.splitlines()
        self.assertEqual(len(lines), 1 + len(values))

    def test_inspect_of_a_path_that_is_not_there_says_so(self):
        for path in ("/tmp/nowhere/value", "deadbeef"):
            done = self.ctl("inspect", path, code=2)
            self.assertIn(path + ": no such file", done.stderr)


if __name__ == "__main__":
    unittest.main()
