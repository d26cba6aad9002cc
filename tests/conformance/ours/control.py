#!/usr/bin/python3
"""The door through which the commands of the conformance program reach the rig.

As a program: control.py SOCKET COMMAND [ARGUMENT]; prints what the rig says, exits with its status.
"""
import json
import socket
import socketserver
import subprocess
import sys
import threading


class Door(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path, surroundings):
        self.surroundings = surroundings
        super().__init__(path, Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        name, *arguments = json.loads(self.rfile.readline())
        status, text = run(self.server.surroundings, name.replace("-", "_"), arguments)
        self.wfile.write(json.dumps([status, text]).encode())


def run(surroundings, name, arguments):
    try:
        return 0, getattr(surroundings, name)(*arguments) or ""
    except subprocess.SubprocessError as problem:
        return 1, f"{name}: {problem} {getattr(problem, 'stderr', '') or ''}"
    except Exception as problem:  # pylint: disable=broad-except
        return 77 if type(problem).__name__ == "Impossible" else 1, f"{name}: {problem}"


def main():
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(sys.argv[1])
        door.sendall(json.dumps(sys.argv[2:]).encode() + b"\n")
        with door.makefile("rb") as answer:
            status, text = json.loads(answer.read())
    print(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
