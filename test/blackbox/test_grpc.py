"""The calls inside /grpc, over real sockets: what h2_inspect's own tests cannot see."""

import threading
import time

import pytest

from client import build_request
from h2wire import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE,
                    RST_STREAM, SETTINGS, WINDOW_UPDATE, call, frame, message, read_frame, solve)
from recorder import answer_ok, wait_until

pytestmark = pytest.mark.threads

HOST = b"\x4a\x0cnetwork.host"
SWITCH = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
UPGRADE = build_request("POST", "/v1.41/grpc", ["Upgrade: h2c", "Connection: Upgrade"], b"")
GREETING = PREFACE + frame(SETTINGS)


class Engine:
    """Answers every call that has ended with one DATA frame; keeps the frames that came."""

    def __init__(self):
        self.frames = []
        self.ended = threading.Event()

    def __call__(self, connection):
        connection.read_request()
        connection.send(SWITCH + frame(SETTINGS))
        assert connection.read_exactly(len(PREFACE)) == PREFACE
        try:
            while True:
                kind, flags, stream, payload = read_frame(connection.read_exactly)
                self.frames.append((kind, flags, stream, payload))
                if kind in (DATA, HEADERS) and flags & END_STREAM:
                    connection.send(frame(HEADERS, END_HEADERS, stream, b"\x88") +
                                    frame(DATA, END_STREAM, stream, message(b"answer")))
                if kind == PING and not flags & ACK:
                    connection.send(frame(PING, ACK, 0, payload))
        except Exception:  # the connection's end, of whatever kind
            self.ended.set()
            connection.close()

    def of(self, stream):
        return [(kind, payload) for kind, _, number, payload in self.frames if number == stream]


@pytest.fixture
def grpc(make_rig, hops):
    """(client, engine, rig): the connection is upgraded and greeted."""
    rig = make_rig(hops, "--workers", "1", "--head-timeout", "500ms", "--idle-timeout", "300ms")
    rig.handler = engine = Engine()
    client = rig.client()
    client.send(UPGRADE)
    assert client.read_head().status == 101
    client.send(GREETING)
    assert read_frame(client.read_exactly)[0] == SETTINGS
    return client, engine, rig


def answer_to(client, stream):
    """The frames of a stream until it ends. Those of others are kept; our credits are passed over."""
    kept = vars(client).setdefault("kept", {})
    while True:
        frames = kept.setdefault(stream, [])
        if frames and (frames[-1][0] == RST_STREAM or frames[-1][1] & END_STREAM):
            return [(kind, payload) for kind, _, payload in frames]
        kind, flags, number, payload = read_frame(client.read_exactly)
        if kind != WINDOW_UPDATE:
            kept.setdefault(number, []).append((kind, flags, payload))


def assert_refused(client, stream, rule):
    (kind, payload), = answer_to(client, stream)
    assert kind == HEADERS
    assert b"grpc-status\x017" in payload
    assert b"blocked by jailoc proxy: " in payload and f"({rule})".encode() in payload


def assert_answered(client, stream):
    assert answer_to(client, stream) == [(HEADERS, b"\x88"), (DATA, message(b"answer"))]


def test_calls(grpc):
    client, engine, _ = grpc
    client.send(call(1, b"Info") + frame(DATA, END_STREAM, 1, message(b"")) + solve(3, b"\x0a\x01r"))
    assert_answered(client, 1)
    assert_answered(client, 3)
    assert engine.of(3)[1:] == [(DATA, message(b"\x0a\x01r"))]


def test_byte_by_byte(grpc):
    client, engine, _ = grpc
    for byte in solve(1, b"\x0a\x01r") + solve(3, HOST) + call(5, b"Info", True):
        client.send(bytes([byte]))
    assert_answered(client, 1)
    assert_refused(client, 3, "buildkit.entitlement")
    assert_answered(client, 5)


def test_refused_build(grpc):
    """It alone ends: the engine has a head and RST_STREAM of it, and goes on with the others."""
    client, engine, rig = grpc
    client.send(call(1, b"Solve") + frame(DATA, 0, 1, message(HOST)[:9]))
    client.send(frame(DATA, END_STREAM, 1, message(HOST)[9:]) + call(3, b"Info", True))
    assert_refused(client, 1, "buildkit.entitlement")
    assert_answered(client, 3)
    assert [kind for kind, _ in engine.of(1)] == [HEADERS, RST_STREAM]
    rig.proxy.wait_log(r"event=grpc .*path=/moby.buildkit.v1.Control/Solve verdict=deny "
                       r"rule=buildkit\.entitlement")


def test_unknown_method(grpc):
    client, engine, _ = grpc
    client.send(call(1, b"Escape", True) + call(3, b"Info", True))
    assert_refused(client, 1, "grpc.unknown")
    assert_answered(client, 3)
    assert engine.of(1) == []


def test_silence_cuts_nothing(grpc):
    """No timer but that of a message to be judged, and that ends its call alone."""
    client, engine, _ = grpc
    client.send(call(1, b"Status") + call(3, b"Solve") + frame(DATA, 0, 3, b"\0\0\0"))
    assert_refused(client, 3, "grpc.message")
    time.sleep(1)
    client.send(frame(PING, 0, 0, b"12345678") + frame(DATA, END_STREAM, 1, message(b"")))
    assert_answered(client, 1)
    assert [kind for kind, _ in engine.of(3)] == [HEADERS, RST_STREAM]


def test_half_close(grpc):
    """The client's end travels, and the engine's answer still comes."""
    client, engine, _ = grpc
    client.send(call(1, b"Info", True))
    client.close_write()
    assert_answered(client, 1)
    assert engine.ended.wait(5)
    assert client.read_all() == b""


@pytest.mark.parametrize("bad", [
    b"GET / HTTP/1.1\r\n\r\n",
    frame(CONTINUATION, END_HEADERS, 1),
    frame(HEADERS, 0, 1, b"\x83") + frame(CONTINUATION, 0, 1) * 40,
    b"\xff" * 9,
    frame(DATA, 0, 5, b"x"),
    frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
], ids=["http1", "continuation", "flood", "length", "idle", "hpack"])
def test_broken_http2_ends_the_connection(make_rig, bad):
    rig = make_rig(("tcp", "unix"), "--workers", "1")
    rig.handler = engine = Engine()
    client = rig.client()
    client.send(UPGRADE + GREETING + bad)
    with pytest.raises(Exception, match="reset|ended"):
        while True:
            client.read_exactly(1)
    assert engine.ended.wait(5)
    assert [kind for kind, *_ in engine.frames] in ([SETTINGS], [])
    rig.handler = answer_ok
    rig.barrier()


def test_data_that_no_window_has_room_for(grpc):
    """It ends the connection, at the engine too: a client that has gone would leave it behind."""
    client, engine, rig = grpc
    client.send(call(1, b"Session") + frame(DATA, 0, 1, bytes(16384)) * 4)
    client.close()
    assert engine.ended.wait(5)
    rig.proxy.wait_log(r"path=/v1.41/grpc .*outcome=\"data beyond the window\"")


def test_many_small_messages_take_of_the_budget(make_rig):
    """A worker's 64 MiB for what is to be judged are soon spent on buffers that hold one byte each."""
    rig = make_rig(("unix", "unix"), "--workers", "1")
    rig.handler = Engine()
    greedy = [rig.client() for _ in range(9)]
    for client in greedy:
        client.send(UPGRADE + GREETING + b"".join(
            call(stream, b"Solve") + frame(DATA, 0, stream, b"\0") for stream in range(1, 1001, 2)))
        client.send(call(1001, b"Info", True))
        assert client.read_head().status == 101
        assert_answered(client, 1001)
    client = rig.client()
    client.send(UPGRADE + GREETING + call(1, b"Info", True))
    assert client.read_head().status == 101
    assert_answered(client, 1)
    client.send(solve(3, b"\x0a\x01r"))
    assert_refused(client, 3, "grpc.message")
    for other in greedy:
        other.close()
    streams = iter(range(5, 100000, 2))

    def passes():
        client.send(call(stream := next(streams), b"Info", True))
        assert_answered(client, stream)
        client.send(solve(stream := next(streams), b"\x0a\x01r"))
        return answer_to(client, stream)[-1] == (DATA, message(b"answer"))
    wait_until(passes)


def test_sent_with_the_request(make_rig):
    """What the client says before the engine has opened the tunnel is judged like all else."""
    rig = make_rig(("unix", "unix"))
    rig.handler = engine = Engine()
    client = rig.client()
    client.send(UPGRADE + GREETING + solve(1, HOST) + call(3, b"Info", True))
    assert client.read_head().status == 101
    assert_refused(client, 1, "buildkit.entitlement")
    assert_answered(client, 3)
    assert [kind for kind, _ in engine.of(1)] == [HEADERS, RST_STREAM]


def test_client_that_does_not_read(make_rig):
    """It stops the engine, and the proxy holds little."""
    rig = make_rig(("unix", "unix"), "--workers", "1")
    sent = [0]

    def flood(connection):
        connection.read_request()
        connection.send(SWITCH + frame(SETTINGS))
        while sent[0] < 64 << 20:
            connection.send(frame(DATA, 0, 1, bytes(16384)))
            sent[0] += 16384
    rig.handler = flood
    client = rig.client()
    client.send(UPGRADE + GREETING + call(1, b"Status", True))
    before = -1
    while before != sent[0]:
        before = sent[0]
        time.sleep(0.5)
    assert 0 < sent[0] < 4 << 20
    assert client.read_head().status == 101
    received = 0
    while received < 64 << 20:
        received += len(client.recv_some())


def test_denied_and_opaque(make_rig):
    rig = make_rig(("unix", "unix"), "--buildkit", "deny")
    client = rig.client()
    client.send(UPGRADE)
    assert client.read_response().status == 403
    rig = make_rig(("unix", "unix"), "--buildkit", "opaque")
    rig.handler = engine = Engine()
    client = rig.client()
    client.send(UPGRADE + GREETING + solve(1, HOST))
    assert client.read_head().status == 101
    assert_answered(client, 1)
    assert engine.of(1)[1:] == [(DATA, message(HOST))]


def test_policy_file(make_rig, tmp_path):
    """What it opens passes; the rest is refused as ever."""
    policy = tmp_path / "policy.json"
    policy.write_text('{"schema": 1, "build": {"network-host": true, "cache-imports": false}}')
    rig = make_rig(("unix", "unix"), "--policy-file", policy)
    rig.handler = engine = Engine()
    client = rig.client()
    client.send(UPGRADE + GREETING + solve(1, HOST) + solve(3, b"\x4a\x11security.insecure") +
                solve(5, b"\x42\x02\x2a\x00"))
    assert client.read_head().status == 101
    assert_answered(client, 1)
    assert engine.of(1)[1:] == [(DATA, message(HOST))]
    assert_refused(client, 3, "buildkit.entitlement")
    assert_refused(client, 5, "buildkit.cache-import")


def test_goaway_passes(grpc):
    client, engine, _ = grpc
    client.send(frame(GOAWAY, 0, 0, bytes(8)))
    wait_until(lambda: any(kind == GOAWAY for kind, *_ in engine.frames))


@pytest.mark.parametrize("mode", ("enforce", "audit"))
def test_with_ownership_nobody_lists_builds(make_rig, tmp_path, mode):
    """In no mode: who has a running build's reference could act as that build."""
    policy = tmp_path / "policy.json"
    policy.write_text('{"schema": 1, "ownership": true}')
    rig = make_rig(("unix", "unix"), "--policy-file", policy, "--mode", mode)
    rig.handler = engine = Engine()
    client = rig.client()

    def history(stream, request):
        return (call(stream, b"ListenBuildHistory") +
                frame(DATA, END_STREAM, stream, message(request)))
    client.send(UPGRADE + GREETING + history(1, b"\x18\x01") + history(3, b"\x12\x03own"))
    assert client.read_head().status == 101
    assert_refused(client, 1, "buildkit.history")
    assert_answered(client, 3)
    assert [kind for kind, _ in engine.of(1)] == [HEADERS, RST_STREAM]
