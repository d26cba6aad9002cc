"""Memory that cannot be locked: no start. And what is locked when it can be. Shipped build only:
sanitizers turn mlock into nothing."""
import os
import resource
import shutil
import unittest

import kit_path  # noqa: F401
from daemon import Daemon, running


def locked_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmLck:"))


class Locked(unittest.TestCase):
    def test_no_start_when_memory_cannot_be_locked(self):
        """Root has CAP_IPC_LOCK, so this drops to another user."""
        daemon = Daemon()
        self.addCleanup(daemon.close)
        daemon.init()
        daemon.write_config(allowed_uids=[0, 65534])
        daemon.bin = shutil.copytree(daemon.bin, os.path.join(daemon.folder, "bin"))  # where that user may go

        def tight():
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
        if os.getuid() == 0:
            for root, folders, files in os.walk(daemon.folder):
                for name in [root] + [os.path.join(root, n) for n in folders + files]:
                    os.chown(name, 65534, 65534)
        daemon.spawn(preexec=tight)
        self.assertEqual(78, daemon.process.wait(20), daemon.log())
        self.assertIn("RLIMIT_MEMLOCK is 65536 bytes", daemon.log())

    def test_the_arena_is_locked(self):
        with running() as daemon:
            self.assertGreaterEqual(locked_kb(daemon.pid_of("front")), 3000)
            self.assertGreater(locked_kb(daemon.pid_of("token")), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
