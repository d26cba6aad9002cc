"""Each check is shown to fail on a small tree with one mistake, and to pass on the same tree without it."""
import argparse
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
README = "# x\n\n<!-- path -->\n```\nin  span_read → cursor_next\n```\n"
SECURITY = "| | promise | tests |\n|---|---|---|\n| P1 | it holds | `daemon.a` `test_b` |\n"
EVENT = '#ifndef E\n#define E\n#define EVENTS(X) X(A_B, "a-b", INFO, NULL, false) X(A_C, "a-c", WARN, "c", true)\n#endif\n'
EVENT_PAGE = "| event | |\n| `a-b` | info |  |  | it is | nothing |\n| `a-c` | warn, error | c | yes | it was | look |\n"
SOUND = {
    "base/span.h": "#ifndef S\n#define S\nint span_read(void);\nint cursor_next(void);\n#endif\n",
    "base/span.c": '#include "base/span.h"\n/* strcpy is only named here */\n'
                   'int span_read(void)\n{\n    return "gets"[0];\n}\n',
    "keys/seal.c": '#include "base/span.h"\n#include <openssl/rand.h>\n',
    "base/event.h": EVENT,
    "keys/b.c": "int f(void)\n{\n    return EVENT_A_B + EVENT_A_C;\n}\n",
    "docs/events.md": EVENT_PAGE,
    "README.md": README,
    "SECURITY.md": SECURITY,
    "tests/daemon/test_a.py": "def test_b(): pass\n",
}
LONG = "int f(void)\n{\n" + "    f();\n" * 48 + "}\n"

# check, the file that is wrong, its text, what the report must name
MISTAKES = [
    ("rooms", "base/a.c", '#include "keys/seal.h"\n', "base/a.c:1: keys/seal.h"),
    ("rooms", "keys/a.c", '\n#  include "token/client.h"\n', "keys/a.c:2: token/client.h"),
    ("rooms", "server/kms/a.c", '#include "server/grpc/call.h"\n', "server/kms/a.c:1: server/grpc/call.h"),
    ("rooms", "server/net/a.c", '#include "server/grpc/call.h"\n', "server/net/a.c:1: server/grpc/call.h"),
    ("rooms", "server/kms/a.c", '#include "pkcs11/pool.h"\n', "server/kms/a.c:1: pkcs11/pool.h"),
    ("rooms", "ctl/a.c", '#include "server/kms/store.h"\n', "ctl/a.c:1: server/kms/store.h"),
    ("rooms", "keys/a.c", '#include "kms_v2.pb-c.h"\n', "only proto/"),
    ("rooms", "keys/a.c", "#include <proto/kms_v2.pb-c.h>\n", "only proto/"),
    ("rooms", "server/kms/a.c", "#include <nghttp2/nghttp2.h>\n", "nghttp2/nghttp2.h"),
    ("rooms", "server/grpc/a.c", "#include <uv.h>\n", "uv.h"),
    ("rooms", "ctl/a.c", "#include <p11-kit/pkcs11.h>\n", "p11-kit/pkcs11.h"),
    ("rooms", "server/kms/a.c", '#include "server/kms/service.h"\n', "a door is included by"),
    ("rooms", "base/b.c", '#include "other/x.h"\n', "other/x.h"),
    ("calls", "keys/a.c", "void f(char *a) { strcpy(a, a); }\n", "keys/a.c:1: strcpy is banned"),
    ("calls", "keys/a.c", "\nvoid f(char *a) { memcpy(a, a, 1); }\n", "keys/a.c:2: memcpy is banned"),
    ("calls", "server/kms/a.c", "int f(void) { return memcmp(0, 0, 0); }\n", "memcmp is banned"),
    ("calls", "ctl/a.c", "char *f(void) { return getenv(0); }\n", "getenv is banned"),
    ("calls", "pkcs11/a.c", "int f(void) { return C_DestroyObject(0, 0); }\n", "C_DestroyObject is banned"),
    ("calls", "pkcs11/a.c", "void *f(struct l *p) { return p->C_DestroyObject; }\n", "C_DestroyObject is banned"),
    ("calls", "pkcs11/key.c", "int f(void) { return CKK_AES; }\n", "CKK_AES is banned; allowed in pkcs11/wrap_*"),
    ("calls", "keys/a.c", '\nvoid f(int b) { printf("x%02x", b); }\n', "keys/a.c:2: hex-dump is banned"),
    ("calls", "keys/a.c", "void f(void) { log_write(1, 0, 0, 0); }\n", "log_write is banned"),
    ("sizes", "base/a.c", LONG, "base/a.c:1: f: 51 lines, at most 50"),
    ("sizes", "tests/unit/a.c", "/* */\n" * 401, "tests/unit/a.c: 401 lines, at most 400"),
    ("sizes", "base/a.c", "/* " + "a" * 95 + " */\n", "base/a.c:1: 101 columns, at most 100"),
    ("headers", "base/a.h", "#ifndef A\n#define A\nsize_t f(void);\n#endif\n", "base/a.h: does not compile alone with gcc"),
    ("headers", "base/a.h", "#ifndef A\n#define A\nsize_t f(void);\n#endif\n", "base/a.h: does not compile alone with clang"),
    ("headers", "base/a.h", "struct twice { int x; };\n", "base/a.h: does not compile alone"),
    ("path", "README.md", README.replace("cursor_next", "cursor_gone"), "cursor_gone: no such function"),
    ("path", "README.md", "# no path\n", "no fenced block"),
    ("path", "README.md", "<!-- path -->\n```\nnothing\n```\n", "names no symbol"),
    ("path", "README.md", None, "README.md: missing"),
    ("promises", "SECURITY.md", SECURITY.replace("daemon.a", "daemon.gone"), "P1: daemon.gone: no such test"),
    ("promises", "SECURITY.md", SECURITY.replace("test_b", "test_gone"), "P1: test_gone: no such test"),
    ("promises", "SECURITY.md", SECURITY.replace("`", ""), "P1: names no test"),
    ("promises", "SECURITY.md", "# nothing\n", "no row of a promise"),
    ("promises", "SECURITY.md", None, "SECURITY.md: missing"),
    ("events", "docs/events.md", EVENT_PAGE.replace("`a-b`", "`a-x`"), "docs/events.md: a-x: base/event.h has no such"),
    ("events", "docs/events.md", EVENT_PAGE.replace("`a-b`", "`a-x`"), "docs/events.md: no row of a-b"),
    ("events", "docs/events.md", EVENT_PAGE.replace("info", "debug"), "docs/events.md: no row of a-b"),
    ("events", "docs/events.md", EVENT_PAGE.replace("| c |", "| d |"), "docs/events.md: no row of a-c"),
    ("events", "docs/events.md", EVENT_PAGE.replace("yes", ""), "docs/events.md: no row of a-c"),
    ("events", "docs/events.md", EVENT_PAGE.replace("look", ""), "a-c: does not say what it means"),
    ("events", "docs/events.md", "".join(reversed(EVENT_PAGE.splitlines(True))), "stand in another order"),
    ("events", "docs/events.md", None, "docs/events.md: missing"),
    ("events", "base/event.h", EVENT.replace("X(A_B", "X(A_D"), "base/event.h: A_D is called a-b"),
    ("events", "base/event.h", "\n", "base/event.h: no row of an event"),
    ("events", "base/event.h", None, "base/event.h: missing"),
    ("events", "keys/b.c", "/* EVENT_A_B */ int e = EVENT_A_C;\n", "base/event.h: A_B is never logged"),
    ("events", "docs/a.md", "\nlook for `a-d`\n", "docs/a.md:2: a-d: no such event"),
    ("events", "README.md", README + "`event=a-d`\n", "README.md:7: a-d: no such event"),
    ("words", "base/a.c", "/* TO" "DO later */\n", "base/a.c:1: TO" "DO"),
    ("words", "docs/a.md", "\nFIX" "ME\n", "docs/a.md:2"),
    ("words", "scripts/demo", "# X" "XX\n", "scripts/demo:1"),
    ("generated", "proto/kms_v2.pb-c.c", "\n", "proto/kms_v2.pb-c.c: looks generated"),
    ("generated", "build/x", "\n", "build/x: looks generated"),
    ("generated", "base/large.txt", "x" * 600000, "base/large.txt: 600000 bytes"),
]


def write_tree(root, more):
    shutil.rmtree(root, ignore_errors=True)
    for path, text in {**SOUND, **more}.items():
        whole = os.path.normpath(os.path.join(root, path))
        if text is not None:
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "w", encoding="utf-8") as file:
                file.write(text)
    subprocess.run(["git", "init", "-q", root], check=True)
    subprocess.run(["git", "-C", root, "add", "-A", "-f"], check=True)


def run(check, root):
    done = subprocess.run([sys.executable, os.path.join(HERE, check + ".py"), "--root", root],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True)
    root = os.path.join(parser.parse_args().work, "tree")
    faults = []
    write_tree(root, {})
    for check in sorted({mistake[0] for mistake in MISTAKES}):
        code, said = run(check, root)
        if code != 0:
            faults.append(f"{check}: refuses a sound tree: {said}")
    for check, path, text, expected in MISTAKES:
        write_tree(root, {path: text})
        code, said = run(check, root)
        if code != 1 or expected not in said:
            faults.append(f"{check}: missed {path} ({expected}): exit {code}, said: {said}")
    shutil.rmtree(root, ignore_errors=True)
    print("\n".join(faults) or f"{len(MISTAKES)} mistakes found")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
