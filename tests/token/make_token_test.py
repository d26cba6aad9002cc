"""What makes the throw-away tokens: the URI of make-token, and the demo's clean-up."""
import os
import re
import subprocess
import tempfile
import unittest
import urllib.parse

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class MakeToken(unittest.TestCase):
    def test_label_is_encoded_in_the_uri(self):
        for label in ("p11-kms-test", "a b;c%2d/\u00e9", "Az~._-09"):
            with tempfile.TemporaryDirectory() as folder:
                done = subprocess.run([os.path.join(SOURCE, "softhsm-config", "make-token"),
                                       os.path.join(folder, "token"), label],
                                      check=True, capture_output=True, text=True)
            uri = re.search("^uri: pkcs11:token=(.*)$", done.stdout, re.MULTILINE).group(1)
            self.assertRegex(uri, "^[-A-Za-z0-9._~%]+$")
            self.assertEqual(urllib.parse.unquote(uri), label)


class Demo(unittest.TestCase):
    def test_second_interrupt_does_not_cut_the_clean_up(self):
        with open(os.path.join(SOURCE, "scripts", "demo"), encoding="utf-8") as f:
            finish = re.search(r"^finish\(\) \{.*?^\}$", f.read(), re.MULTILINE | re.DOTALL).group(0)
        with tempfile.TemporaryDirectory() as parent:
            folder = os.path.join(parent, "demo")
            script = (f"{finish}\nfolder={folder}\ndaemon=\nmkdir $folder\n"
                      "rm() { kill -INT $$; command rm \"$@\"; }\n"
                      "trap finish EXIT\ntrap 'exit 0' INT TERM HUP\nkill -INT $$\n")
            subprocess.run(["/bin/bash", "-c", script], check=False)
            self.assertFalse(os.path.exists(folder))


if __name__ == "__main__":
    unittest.main()
