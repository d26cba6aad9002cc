"""The command line."""
import argparse

STATEMENTS = 90
COMMANDS = {
    "restart": "stops the plugin gracefully and starts it again",
    "stop": "stops the plugin gracefully",
    "start": "starts it",
    "kill": "ends it with kill -9",
    "second": "starts a second instance on the same socket; must exit with an error",
    "activation": "given stop, kill or start: does that to the plugin behind --held-socket, which stays listening",
    "outage": "takes the backend away",
    "restore": "brings the backend back and ends every breakage",
    "hang": "makes the backend hang",
    "unhang": "ends that",
    "break-decrypt": "leaves a backend that wraps but does not unwrap (ended by --restore)",
    "break-encrypt": "leaves a backend that unwraps but does not wrap (ended by --restore)",
    "destroy": "makes the active KEK unusable for good; runs last",
    "rotate": "makes a new KEK, which the plugin takes up within 90 s",
    "reactivate": "makes an older KEK active again",
    "lag": "from now on new KEKs do not reach the plugin's key store",
    "unlag": "they do again, also those made meanwhile",
    "flap": "makes a new KEK whose metadata comes and goes until --unflap",
    "unflap": "ends that",
    "foreign": "prints HEX KEY_ID: a v2 ciphertext made elsewhere on the same keys, not seen by this process",
    "unknown": "prints HEX KEY_ID: a well-formed v2 ciphertext under a KEK that this key store does not have",
    "backend-calls": "prints a number that grows with each operation of the backend",
    "sessions": "prints the number of sessions opened at the backend so far",
    "key-id-hash": "prints what the plugin shows operators as the hash of its key_id",
    "move": "given host or slot: restarts under another host name, or with the backend's slots in another order",
    "disturb": "given full-disk, read-only-log, clock-forward or clock-back: does that to the plugin",
    "undisturb": "given the same: undoes it",
    "isolated": "restarts the plugin without any network",
    "pid-cmd": "prints the process ids of the plugin",
}

EPILOG = """Commands are run by the shell; what a command is given is appended. Exit status 0 means done, 77 that it
cannot be done on this machine, anything else that it failed. README.md shows an example of each."""


def parser():
    made = argparse.ArgumentParser(
        prog="p11-kms-conformance", epilog=EPILOG,
        description="Grades any KMS plugin socket against what kube-apiserver demands of it: 90 numbered statements.")
    target = made.add_argument_group("the plugin")
    target.add_argument("--socket", metavar="S", help="path of the plugin's socket, or @name")
    target.add_argument("--v1", action="store_true", help="grade KMS v1")
    target.add_argument("--v2", action="store_true", help="grade KMS v2 (the default when neither is given)")
    target.add_argument("--v1-off-socket", metavar="S", help="a socket where v1 is configured off")
    target.add_argument("--second-socket", metavar="S", help="another plugin on the same keys")
    target.add_argument("--abstract-socket", metavar="@NAME", help="an abstract socket of the plugin")
    target.add_argument("--held-socket", metavar="S", help="a socket of the plugin that stays open without it")
    target.add_argument("--socket-mode", metavar="OCTAL", help="the configured mode of the socket")
    target.add_argument("--other-user", metavar="UID", help="a uid that must be refused (needs root)")
    target.add_argument("--grpc-go", action="append", metavar="FILE", help="grpc-go client of tests/e2e; repeatable")
    target.add_argument("--log", metavar="FILE", help="the plugin's log")
    target.add_argument("--secret", action="append", metavar="PATH",
                        help="a file such as that of the PIN, of which no answer may hold a line, nor the path; or a folder")
    target.add_argument("--policy", choices=("error", "text"), help="what Status answers after --destroy")
    target.add_argument("--noticed-within", type=float, metavar="S", help="the refresh interval of statement 79")
    run = made.add_argument_group("the run")
    run.add_argument("--full", action="store_true", help="long forms: about two hours")
    run.add_argument("--poll-minutes", type=int, default=60, metavar="N", help="length of statement 37 with --full")
    run.add_argument("--only", metavar="N[,N…]", type=numbers, help="these statements only; ranges as 1-33")
    run.add_argument("--list", action="store_true", help="print all statements and end")
    run.add_argument("--merge", nargs="+", metavar="FILE", help="report on these JSON files instead of asking a socket")
    run.add_argument("--title", default="KMS plugin", help="what the reports call the plugin")
    run.add_argument("--json", metavar="FILE", help="write a report for programs")
    run.add_argument("--junit", metavar="FILE", help="write a report for CI")
    run.add_argument("--markdown", metavar="FILE", help="write a report for people")
    run.add_argument("--colour", choices=("auto", "always", "never"), default="auto", help="of the output")
    commands = made.add_argument_group("commands that control the plugin and its surroundings")
    for name, meaning in COMMANDS.items():
        commands.add_argument("--" + name, metavar="CMD", help=meaning)
    return made


def parse(argv):
    made = parser()
    chosen = made.parse_args(argv)
    if not (chosen.socket or chosen.list or chosen.merge):
        made.error("one of --socket, --list, --merge is needed")
    if not chosen.v1 and not chosen.v2:
        chosen.v2 = True
    return chosen


def numbers(text):
    """The statements of "1-3,7"; ValueError when there is none of such a number."""
    found = set()
    for part in text.split(","):
        low, _, high = part.partition("-")
        found |= set(range(int(low), int(high or low) + 1))
    if not found or min(found) < 1 or max(found) > STATEMENTS:
        raise ValueError(f"statements are 1 to {STATEMENTS}")
    return found
