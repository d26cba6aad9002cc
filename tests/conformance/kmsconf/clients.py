"""Real gRPC clients: Debian's python3-grpcio, and the grpc-go helpers of tests/e2e (--grpc-go)."""
import json
import os
import subprocess

from .registry import Failed, NotApplicable

MISSING = "helper missing (--grpc-go)"


def helpers(target):
    """The grpc-go helpers that were given; each must be there."""
    found = target.options.grpc_go or []
    for path in found:
        if not os.access(path, os.X_OK):
            raise NotApplicable(f"{path}: {MISSING}")
    return found


def need_helpers(target):
    found = helpers(target)
    if not found:
        raise NotApplicable(MISSING)
    return found


def command_line(helper, socket, command, **options):
    line = [helper]
    for name, value in {"socket": socket, **options}.items():
        line += ["--" + name, str(value)]
    return line + [command]


def start(helper, socket, command, **options):
    return subprocess.Popen(command_line(helper, socket, command, **options), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process, patience=200):
    """The helper's report; what it could not do is in its "error"."""
    try:
        out, err = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failed(f"{os.path.basename(process.args[0])} did not end within {patience} s") from None
    try:
        return json.loads(out)
    except ValueError:
        raise Failed(f"{os.path.basename(process.args[0])}: {err.decode('utf-8', 'replace').strip()[-200:]}") from None


def run(helper, socket, command, **options):
    return finish(start(helper, socket, command, **options))


def explain(report):
    error = report.get("error")
    return f"grpc-go {report['grpc']}: " + (f"{error['name']} {error['message']}" if error else "no call made")


def grpcio_status(socket, authority, path, message, timeout=5.0):
    """One unary call by grpcio; its answer's bytes."""
    try:
        import grpc
    except ImportError:
        raise NotApplicable("python3-grpcio is not installed") from None
    where = "unix-abstract:" + socket[1:] if socket.startswith("@") else "unix:" + socket
    settings = [("grpc.use_local_subchannel_pool", 1)]
    if authority is not None:
        settings.append(("grpc.default_authority", authority))
    with grpc.insecure_channel(where, options=settings) as channel:
        call = channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
        try:
            return call(message, timeout=timeout)
        except grpc.RpcError as problem:
            raise Failed(f"grpcio with :authority {authority}: {problem.code().name} {problem.details()}") from None
