"""p11-kmsctl init and rotate when the HSM is slow, refuses, or its answer is lost: what was made, and what is said."""
import os
import signal
import subprocess
import unittest

from ctl_test import SHIM, CtlTest, until


class MakeTest(CtlTest):
    def setUp(self):
        super().setUp()
        self.orders, self.calls = (os.path.join(self.node.folder, name) for name in ("orders", "calls"))
        self.order("")
        self.node.write_config(module=SHIM, env={"P11KMS_SHIM_MODULE": self.node.token.module,
                                                 "P11KMS_SHIM_CONTROL": self.orders,
                                                 "P11KMS_SHIM_LOG": self.calls})

    def order(self, text):
        with open(self.orders + ".new", "w", encoding="ascii") as f:
            f.write(text + "\n")
        os.rename(self.orders + ".new", self.orders)

    def count(self, function):
        if not os.path.exists(self.calls):
            return 0
        with open(self.calls, encoding="ascii") as f:
            return f.read().split().count(function)

    def made(self):
        """Key ids on the token, by another program."""
        return [key["id"] for key in self.node.token.tool("list")]


class Make(MakeTest):
    def test_slow_hsm_is_waited_for_and_says_so(self):
        self.order("C_GenerateKey delay 12000")
        done = self.ctl("init")
        self.assertIn("the token has been at it for 5 s", done.stderr)
        self.assertIn("back up this token now", done.stdout)
        self.assertEqual(len(self.made()), 1)
        self.assertEqual(self.count("C_GenerateKey"), 1)

    def test_answer_lost_the_key_is_found_and_reported(self):
        for order in ("C_GenerateKey late-end", "C_GenerateKey late-rv 0x30"):
            with self.subTest(order):
                before = len(self.made())
                self.order(order)
                done = self.ctl("rotate", "--now") if before else self.ctl("init")
                self.assertIn("looking whether the KEK was made", done.stderr)
                self.assertIn("made KEK p11-kms/1/", done.stderr)
                self.assertRegex(done.stdout, "proof +ok")
                self.assertEqual(len(self.made()), before + 1)

    def test_answer_lost_and_id_unreadable_is_not_known(self):
        self.order("C_GenerateKey late-rv 0x30\nC_GetAttributeValue:102 len 5000")
        done = self.ctl("init", code=2)
        self.assertIn("it is not known whether the KEK was made", done.stderr.splitlines()[-1])
        self.assertEqual(len(self.made()), 1)

    def test_refused_by_the_hsm_says_that_none_was_made(self):
        for order in ("C_GenerateKey rv 0x30", "C_GenerateKey rv 0x70", "C_GenerateKey rv 0xe0000001"):
            with self.subTest(order):
                self.order(order)
                done = self.ctl("init", code=2)
                self.assertIn("no KEK was made", done.stderr.splitlines()[-1])
                self.assertNotIn("made KEK", done.stderr)
                self.assertEqual(self.made(), [])

    def start_within_generate(self):
        """init, within a C_GenerateKey that makes nothing and never returns."""
        self.order("C_GenerateKey hang")
        process = subprocess.Popen(
            [os.path.join(self.node.bin, "p11-kmsctl"), "init", "--config", self.node.config],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until(lambda: self.count("C_GenerateKey") == 1, what="a call of C_GenerateKey")
        return process

    def start_and_kill_within_generate(self, orders):
        """Its token process is killed; `orders` hold from then on."""
        process = self.start_within_generate()
        self.order(orders)
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as f:
            (child,) = f.read().split()
        os.kill(int(child), signal.SIGKILL)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (2, ""), err)
        return err.splitlines()[-1]

    def test_interrupted_says_that_it_is_not_known_and_ends(self):
        process = self.start_within_generate()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, -signal.SIGINT, err)
        self.assertIn("it is not known whether the KEK was made", err)

    def test_cut_short_and_not_there_says_so(self):
        said = self.start_and_kill_within_generate("")
        self.assertIn("no KEK was made: it is not on the token now", said)
        self.assertIn("p11-kmsctl keys", said)
        self.ctl("init")
        self.assertEqual(len(self.made()), 1)

    def test_cut_short_and_token_gone_says_that_it_is_not_known(self):
        said = self.start_and_kill_within_generate("C_Initialize rv 0x30")
        self.assertIn("it is not known whether the KEK was made", said)
        self.assertIn("p11-kmsctl keys", said)
        self.order("")
        self.assertEqual(self.keys(code=1), [])


class Unusable(MakeTest):
    NEEDED = {"CKM_AES_KEY_GEN": "1080", "CKM_AES_GCM": "1087", "CKM_AES_CBC": "1082"}

    def test_missing_mechanism_is_named_before_anything_is_made(self):
        for name, number in self.NEEDED.items():
            with self.subTest(name):
                self.order(f"C_GetMechanismInfo:{number} rv 0x70")
                said = self.ctl("init", code=2)
                self.assertIn(name, said.stderr.splitlines()[-1])
                self.assertNotIn("back up", said.stdout + said.stderr)
                self.assertEqual((self.made(), self.count("C_GenerateKey")), ([], 0))
        self.order("")
        self.ctl("init")
        self.order("C_GetMechanismInfo:1087 rv 0x70")
        self.assertIn("CKM_AES_GCM", self.ctl("rotate", code=2).stderr)
        self.assertEqual(len(self.made()), 1)

    def test_mechanisms_that_cannot_be_looked_at_make_nothing(self):
        self.order("C_GetMechanismInfo rv 0x30")
        self.assertIn("no KEK was made", self.ctl("init", code=2).stderr)
        self.assertEqual(self.made(), [])

    def test_module_without_the_question_is_taken_at_its_calls(self):
        self.order("C_GetMechanismInfo rv 0x54")
        self.ctl("init")
        self.assertEqual(self.states(), ["active"])

    def test_kek_that_cannot_be_used_is_no_success_and_no_dead_end(self):
        self.order("C_EncryptInit rv 0x70")  # announced, but it does not encrypt
        done = self.ctl("init", code=1)
        self.assertNotIn("p11-kms/1/0000", done.stdout + done.stderr)
        self.assertNotIn("back up", done.stdout + done.stderr)
        self.assertIn("unreadable: CK_RV 0x70", done.stdout)
        self.assertIn("p11-kmsctl rotate --now", done.stdout)
        (key,) = self.keys(code=1)
        self.assertEqual((key["key_id"], key["kek_id"]), ("", ""))
        self.assertIn("p11-kmsctl rotate --now", self.ctl("init", code=1).stderr)
        self.assertIn("p11-kmsctl rotate --now", self.ctl("rotate", code=2).stderr)
        self.assertEqual(len(self.made()), 1)
        self.ctl("rotate", "--now", code=1)
        self.order("")
        self.assertEqual(len(self.made()), 2)
        self.assertIn("active", self.states())

    def test_token_that_binds_no_aad_is_seen_though_its_answer_is_lost(self):
        self.order("C_GenerateKey late-rv 0x30\nC_EncryptInit no-aad\nC_DecryptInit no-aad")
        done = self.ctl("init", code=1)
        self.assertIn("looking whether the KEK was made", done.stderr)
        self.assertNotIn("back up", done.stdout + done.stderr)
        self.assertIn("AAD", done.stdout)

    def test_refused_kek_is_no_success(self):
        self.order("C_GetAttributeValue:162 byte 1")  # CKA_EXTRACTABLE, whatever was asked for
        done = self.ctl("init", code=1)
        self.assertNotIn("back up", done.stdout + done.stderr)
        self.assertIn("CKA_EXTRACTABLE", done.stdout)
        self.assertIn("p11-kmsctl rotate --now", self.ctl("init", code=1).stderr)
        self.assertEqual(len(self.made()), 1)


if __name__ == "__main__":
    unittest.main()
