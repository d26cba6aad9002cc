"""The state folder lost, made again or unusable under a running daemon: nothing is lost, it heals by itself, and the
cause is said with folder, reason and mend while it stands."""
import os
import subprocess
import tempfile
import unittest

import kit_path  # noqa: F401
from daemon import full_disk, running, until


class State(unittest.TestCase):
    def setUp(self):
        self.daemon = running()
        self.addCleanup(self.daemon.close)
        self.plain = os.urandom(32)
        self.sealed = self.daemon.client().encrypt(self.plain)

    def opens(self):
        self.assertEqual(self.plain, self.daemon.client().decrypt(self.sealed, wait=True))

    def kinds(self):
        try:
            return {name.split(".")[0] for name in os.listdir(self.daemon.state)}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def lose(self):
        """At once: removing it file by file would meet a daemon that writes meanwhile."""
        os.rename(self.daemon.state, tempfile.mkdtemp(dir=self.daemon.folder))

    def put_file_in_its_place(self):
        while True:
            self.lose()
            try:
                with open(self.daemon.state, "x", encoding="ascii"):
                    return
            except FileExistsError:
                pass  # the daemon was quicker

    def test_folder_lost_and_all_is_rebuilt(self):
        self.lose()
        until(lambda: {"current", "seeds", "health", "lock"} <= self.kinds(), 60, "the records")
        self.daemon.crash_token()
        until(self.daemon.pin_record, 60, "the record of the PIN guard")
        self.daemon.wait_ok()
        self.opens()
        key_id = self.daemon.client().status().key_id
        self.daemon.restart()
        self.assertEqual(key_id, self.daemon.client().status().key_id)
        self.opens()

    def test_folder_that_cannot_be_made_stands_in_the_mend_until_it_can(self):
        self.put_file_in_its_place()
        told = f'event=mend program=p11-kms-front text="{self.daemon.state}: cannot open the state directory'
        until(lambda: told in self.daemon.log(), 60, "the mend")
        token = self.daemon.kill_role("token")
        self.opens()
        os.unlink(self.daemon.state)
        self.daemon.wait_pid("token", other_than=token, seconds=60)
        until(lambda: {"current", "seeds", "health"} <= self.kinds() and self.daemon.pin_record(), 60,
              "the records")
        self.daemon.wait_ok()
        self.opens()

    @unittest.skipUnless(os.getuid() == 0, "what a process has open, root sees")
    def test_pin_lock_removed_alone_is_made_again_and_given_to_who_runs(self):
        lock = os.path.join(self.daemon.state, "pin.lock")
        held = f"/proc/{self.daemon.pid_of('token')}/fd/6"
        self.assertTrue(os.path.samefile(held, lock))
        os.unlink(lock)
        until(lambda: os.path.exists(lock) and os.path.samefile(held, lock), 60, "the new lock")

    @unittest.skipUnless(os.getuid() == 0, "a full disk needs root")
    def test_full_disk_at_the_start_is_said_in_full_and_healed(self):
        self.daemon.stop()
        self.daemon.before = full_disk(self.daemon.state)
        self.daemon.spawn()
        said = f"{self.daemon.state}: the record of logins: the keeper could not store a state file: No space left on device"
        until(lambda: self.daemon.log().count(said), 60, "the mend of the token process")
        subprocess.run(["nsenter", "-t", str(self.daemon.process.pid), "-m", "mount", "-o", "remount,size=1m",
                        self.daemon.state], check=True)
        self.daemon.wait_ok()
        self.opens()


if __name__ == "__main__":
    unittest.main(verbosity=2)
