"""Other people's HTTP/2 through /grpc: h2load and nghttp (Debian: nghttp2-client)."""

import re
import shutil
import socket
import subprocess
import threading

import pytest

from h2_adapter import Adapter
from h2wire import (ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
                    WINDOW_UPDATE, frame, message, read_frame)
from test_grpc import HOST, SWITCH

pytestmark = pytest.mark.threads

SOLVE = "/moby.buildkit.v1.Control/Solve"
INFO = "/moby.buildkit.v1.Control/Info"
GRPC = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
REQUESTS = 2000


class Engine:
    """Answers every call that has ended with a head alone, which no window holds up; gives credit
    for all data; counts."""

    def __init__(self):
        self.lock = threading.Lock()
        self.paths = {SOLVE: 0, INFO: 0}
        self.counts = {kind: 0 for kind in range(256)}
        self.solve_data = 0
        self.fault = None

    def __call__(self, connection):
        connection.read_request()
        connection.send(SWITCH + frame(SETTINGS))
        assert connection.read_exactly(len(PREFACE)) == PREFACE
        state = {"solves": set(), "table": b""}
        try:
            while True:
                self._frame(connection, state, *read_frame(connection.read_exactly))
        except Exception:  # the connection's end, of whatever kind
            connection.close()

    def _frame(self, connection, state, kind, flags, stream, payload):
        with self.lock:
            self.counts[kind] += 1
            if kind == HEADERS:
                path = SOLVE if SOLVE.encode() in payload else INFO
                self.paths[path] += 1
                if path == SOLVE:
                    state["solves"].add(stream)
            if kind == DATA and stream in state["solves"]:
                self.solve_data += 1
        out = b""
        if kind == DATA and payload:
            credit = len(payload).to_bytes(4, "big")
            out += frame(WINDOW_UPDATE, 0, 0, credit)
            if not flags & END_STREAM:
                out += frame(WINDOW_UPDATE, 0, stream, credit)
        if kind in (SETTINGS, PING) and not flags & ACK:
            out += frame(kind, ACK, 0, payload if kind == PING else b"")
        if kind == SETTINGS and any(payload[i:i + 2] == b"\0\1" and payload[i + 2:i + 6] < b"\0\0\x10\0"
                                    for i in range(0, len(payload), 6)):
            state["table"] = b"\x20"  # smaller: the next block begins with a new size, such as 0
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            out += frame(HEADERS, END_HEADERS | END_STREAM, stream, state["table"] + b"\x88")
            state["table"] = b""
        if out:
            connection.send(out)


@pytest.fixture(params=["unix", "tcp"])
def rig(make_rig, request):
    rig = make_rig((request.param, "unix"), "--workers", "2")
    rig.handler = Engine()
    return rig


def connect(rig):
    kind, where = rig.url.split("://")
    if kind == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(where)
        return sock
    host, port = where.split(":")
    return socket.create_connection((host, int(port)))


def tool(name, *arguments):
    if shutil.which(name) is None:
        pytest.skip(f"no {name} here: Debian's package nghttp2-client has it")
    return subprocess.run([name, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def load(rig, tmp_path, payload, paths, *options, piece=65536):
    """h2load's requests over these paths in turn; all of them are answered with 200."""
    body = tmp_path / "body"
    body.write_bytes(message(payload))
    with Adapter(lambda: connect(rig), piece) as adapter:
        result = tool("h2load", "-n", REQUESTS, "-d", body, *GRPC, *options,
                      *(f"http://127.0.0.1:{adapter.port}{path}" for path in paths))
    assert re.search(rf"{REQUESTS} total, {REQUESTS} started, {REQUESTS} done, {REQUESTS} succeeded, "
                     r"0 failed, 0 errored", result.stdout), (result.stdout, rig.proxy.log()[-2000:])
    assert f"status codes: {REQUESTS} 2xx" in result.stdout, result.stdout


@pytest.mark.parametrize("options", [
    ["-c", 1, "-m", 1],
    ["-c", 1, "-m", 100],
    ["-c", 8, "-m", 25],
    ["-c", 2, "-m", 50, "-w", 1, "-W", 16],
    ["-c", 2, "-m", 50, "--header-table-size=0", "--encoder-header-table-size=0"],
    ["-c", 2, "-m", 50, "--header-table-size=65536", "--encoder-header-table-size=65536", "-f",
     1048576],
], ids=["one", "many", "connections", "windows", "no-tables", "large"])
def test_refused_among_others(rig, tmp_path, options):
    """Every second call is refused; the engine answers all others, on the same connections."""
    load(rig, tmp_path, HOST, [SOLVE, INFO], *options)
    engine = rig.handler
    assert engine.paths == {SOLVE: REQUESTS // 2, INFO: REQUESTS // 2}
    assert engine.solve_data == 0
    assert engine.counts[RST_STREAM] == REQUESTS // 2


def test_allowed(rig, tmp_path):
    """Messages that are held, judged and sent, and more of them than any window."""
    load(rig, tmp_path, b"\x0a\x80\x10" + b"r" * 2048, [SOLVE], "-c", 2, "-m", 50)
    assert rig.handler.counts[RST_STREAM] == 0
    assert rig.handler.solve_data >= REQUESTS


def test_small_pieces(rig, tmp_path):
    load(rig, tmp_path, HOST, [SOLVE, INFO], "-c", 2, "-m", 20, piece=7)
    assert rig.handler.solve_data == 0


@pytest.mark.parametrize("options", [[], ["-c", "0"], ["-c", "0", "-c", "4096"], ["-c", "100"],
                                     ["--continuation"], ["-b", "50"], ["-w", "1"], ["-m", "20"]],
                         ids=["plain", "no-table", "table-and-back", "small-table", "continuation",
                              "padding", "window", "multiply"])
@pytest.mark.parametrize("paths", [[SOLVE, INFO], [INFO, SOLVE]], ids=["first", "second"])
def test_nghttp_reads_refusals(rig, tmp_path, paths, options):
    """The reason comes out of another's decoder, whatever the client says of its table."""
    body = tmp_path / "body"
    body.write_bytes(message(HOST))
    with Adapter(lambda: connect(rig)) as adapter:
        result = tool("nghttp", "-v", "-n", "-d", body, *GRPC, *options,
                      *(f"http://127.0.0.1:{adapter.port}{path}" for path in paths))
    times = 20 if "-m" in options else 1
    refusals = re.findall(r"grpc-message: blocked by jailoc proxy: .*\(buildkit\.entitlement\)",
                          result.stdout)
    assert len(refusals) == times, (result.stdout, rig.proxy.log()[-2000:])
    assert "not processed" not in result.stderr, result
    assert rig.handler.paths[INFO] == times and rig.handler.solve_data == 0


def test_nghttp_upgrades_nothing_by_itself(make_rig):
    """Its own upgrade (RFC 7540 section 3.2) is of another kind: what it asks for is no hijack."""
    rig = make_rig(("tcp", "unix"))
    rig.handler = lambda connection: (connection.read_request(), connection.reply(404))
    result = tool("nghttp", "-v", "-n", "-u", f"http://{rig.url.split('://')[1]}/v1.41/grpc")
    assert "HTTP Upgrade failed" in result.stdout + result.stderr, result
