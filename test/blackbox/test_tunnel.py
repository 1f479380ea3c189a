"""Hijacked connections: attach, exec's kin, BuildKit's sessions and websockets."""

import os
import threading

import pytest

from client import build_request
from recorder import wait_until

pytestmark = pytest.mark.ktls

UPGRADES = {
    "tcp": ("POST", "/v1.41/containers/x/attach?stream=1&stdin=1&stdout=1", "tcp"),
    "h2c": ("POST", "/session", "h2c"),
    "websocket": ("GET", "/v1.41/containers/x/attach/ws?stream=1", "websocket"),
}
SWITCH = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"
RAW = (b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.%s-stream\r\n\r\n")


@pytest.fixture
def tunnel_rig(make_rig, hops):
    """Timers far shorter than the silences in these tests."""
    return make_rig(hops, "--workers", "1", "--buildkit", "opaque", "--head-timeout", "300ms",
                    "--idle-timeout", "300ms", "--handshake-timeout", "1s",
                    "--connect-timeout", "1s")


def upgrade_request(kind):
    method, target, protocol = UPGRADES[kind]
    headers = [f"Upgrade: {protocol}", "Connection: Upgrade"]
    return build_request(method, target, headers, b"" if method == "POST" else None)


def attach_request():
    return upgrade_request("tcp")


def echoing(answer, before=b""):
    """A handler that hijacks, sends `before` with the answer, and echoes until the end."""
    def handler(connection):
        connection.read_request()
        connection.send(answer + before)
        while data := connection.read_some():
            connection.send(data)
        connection.close_write()
        connection.close()
    return handler


@pytest.mark.parametrize("kind", UPGRADES)
def test_tunnel_by_101(tunnel_rig, kind):
    tunnel_rig.handler = echoing(SWITCH % UPGRADES[kind][2].encode())
    client = tunnel_rig.client()
    client.send(upgrade_request(kind))
    response = client.read_head()
    assert response.status == 101
    assert response.get("upgrade") == UPGRADES[kind][2]
    for size in (1, 100, 70000):
        data = os.urandom(size)
        client.send(data)
        assert client.read_exactly(size) == data


@pytest.mark.parametrize("kind", [b"raw", b"multiplexed"])
def test_tunnel_by_200(tunnel_rig, kind):
    """The engine's answer to a client that asked for no upgrade."""
    tunnel_rig.handler = echoing(RAW % kind)
    client = tunnel_rig.client()
    client.send(build_request("POST", UPGRADES["tcp"][1], body=b""))
    assert client.read_head().status == 200
    client.send(b"to stdin")
    assert client.read_exactly(8) == b"to stdin"


def test_bytes_before_and_with_the_switch(tunnel_rig):
    """What either side sends too early comes through, in order."""
    tunnel_rig.handler = echoing(SWITCH % b"tcp", b"from the engine ")
    client = tunnel_rig.client()
    client.send(attach_request() + b"from the client")
    assert client.read_head().status == 101
    assert client.read_exactly(31) == b"from the engine from the client"


def test_requests_in_a_tunnel_are_data(tunnel_rig):
    tunnel_rig.handler = echoing(SWITCH % b"tcp")
    client = tunnel_rig.client()
    client.send(attach_request())
    client.read_head()
    inner = build_request("POST", "/v1.41/containers/x/exec", body=b"{}")
    client.send(inner)
    assert client.read_exactly(len(inner)) == inner


def test_client_half_close(tunnel_rig):
    """`echo x | docker run -i … cat`: stdin ends, output still comes."""
    def handler(connection):
        connection.read_request()
        connection.send(SWITCH % b"tcp")
        data = connection.read_all()
        connection.send(b"after the end: " + data)
        connection.close_write()
        connection.close()
    tunnel_rig.handler = handler
    client = tunnel_rig.client()
    client.send(attach_request())
    client.read_head()
    client.send(b"stdin")
    client.close_write()
    assert client.read_all() == b"after the end: stdin"


@pytest.mark.parametrize("down", ["unix", "tcp", "mtls"])
def test_output_survives_unread_input(make_rig, down):
    """A container that ends with its stdin unread: the engine's close resets the connection, and what
    the container wrote before still belongs to the client. (Over TCP the engine's own kernel throws
    its unsent bytes away with the reset.)"""
    rig = make_rig((down, "unix"), "--workers", "1")
    output = os.urandom(1 << 16) * 48

    def handler(connection):
        connection.read_request()
        connection.send(SWITCH % b"tcp")
        connection.read_exactly(1)  # the rest of stdin is on its way, or here and unread
        connection.send(output)
        connection.close()
    rig.handler = handler
    client = rig.client()
    client.send(attach_request())
    client.read_head()
    client.send(b"y\n" * 50000)
    received = bytearray()
    while len(received) < len(output):
        received += client.recv_some()
    assert received == output


def test_client_half_close_with_the_request(tunnel_rig):
    """All of stdin and its end are there before the engine has switched."""
    def handler(connection):
        connection.read_request()
        connection.send(SWITCH % b"tcp")
        connection.send(b"got " + connection.read_all())
        connection.close_write()
        connection.close()
    tunnel_rig.handler = handler
    client = tunnel_rig.client()
    client.send(attach_request() + b"stdin")
    client.close_write()
    assert client.read_head().status == 101
    assert client.read_all() == b"got stdin"


def test_engine_half_close(tunnel_rig):
    """The engine ends its direction; what the client sends later still arrives."""
    got = []

    def handler(connection):
        connection.read_request()
        connection.send(SWITCH % b"tcp" + b"bye")
        connection.close_write()
        got.append(connection.read_all())
        connection.close()
    tunnel_rig.handler = handler
    client = tunnel_rig.client()
    client.send(attach_request())
    client.read_head()
    assert client.read_all() == b"bye"
    client.send(b"last words")
    client.close_write()
    wait_until(lambda: got == [b"last words"], 5, "the client's last words")


def test_silence_longer_than_every_timer(tunnel_rig):
    """No timer cuts an established stream, be it tunnel or body."""
    go = threading.Event()

    def handler(connection):
        head, _ = connection.read_request()
        if "attach" in head.target:
            connection.send(SWITCH % b"tcp")
            connection.send(b"echo " + connection.read_some())
            return
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        go.wait(10)
        connection.send(b"5\r\nevent\r\n")
        connection.read_all()
    tunnel_rig.handler = handler
    attached = tunnel_rig.client()
    attached.send(attach_request())
    attached.read_head()
    events = tunnel_rig.client()
    events.send(build_request("GET", "/v1.41/events"))
    events.read_head()
    # An upload that pauses in its body, and an answer that takes long to begin.
    waiting = tunnel_rig.client()
    waiting.send(build_request("GET", "/v1.41/containers/x/logs?follow=1"))
    # The silence is the point of this test: five times the longest idle timer.
    assert not go.wait(1.6)
    go.set()
    attached.send(b"still here")
    assert attached.read_exactly(15) == b"echo still here"
    assert events.read_chunk()[1] == b"event"
    assert waiting.read_head().status == 200


def test_slow_first_answer_is_not_cut(tunnel_rig):
    """`wait` on old API versions answers only when the container ends."""
    release = threading.Event()

    def handler(connection):
        connection.read_request()
        release.wait(10)
        connection.reply(200, b'{"StatusCode":0}')
    tunnel_rig.handler = handler
    client = tunnel_rig.client()
    client.send(build_request("POST", "/v1.24/containers/x/wait", body=b""))
    assert not release.wait(1.6)
    release.set()
    assert client.read_response().json() == {"StatusCode": 0}


def test_upload_that_pauses_is_not_cut(tunnel_rig):
    client = tunnel_rig.client()
    client.send(build_request("POST", "/v1.41/images/load",
                              ["Content-Type: application/x-tar", "Content-Length: 10"]) + b"12345")
    assert not threading.Event().wait(1.6)
    client.send(b"67890")
    assert client.read_response().status == 200


def test_client_vanishing_ends_the_tunnel(tunnel_rig):
    tunnel_rig.handler = echoing(SWITCH % b"tcp")
    client = tunnel_rig.client()
    client.send(attach_request())
    client.read_head()
    client.stream.reset()
    connection = tunnel_rig.recorder.wait_connection()
    wait_until(lambda: connection.ended, 5, "the end of the upstream connection")


def test_engine_vanishing_ends_the_tunnel(tunnel_rig):
    def handler(connection):
        connection.read_request()
        connection.send(SWITCH % b"tcp" + b"x")
        connection.read_some()
        connection.stream.reset()
    tunnel_rig.handler = handler
    client = tunnel_rig.client()
    client.send(attach_request())
    client.read_head()
    assert client.read_exactly(1) == b"x"
    client.send(b"die")
    wait_until(lambda: ended(client), 5, "the end of the client's connection")


def ended(client):
    return client.closed()


def test_bulk_through_a_tunnel(tunnel_rig):
    """Megabytes both ways at once come through whole and in order."""
    tunnel_rig.handler = echoing(SWITCH % b"tcp")
    client = tunnel_rig.client(timeout=60)
    client.send(attach_request())
    client.read_head()
    data = os.urandom(8 << 20)

    def send():
        client.send(data)
        client.close_write()
    sender = threading.Thread(target=send)
    sender.start()
    assert client.read_all() == data
    sender.join()


def test_refused_upgrade_keeps_the_connection(tunnel_rig):
    """An ordinary error with a length: the next request on the connection is served."""
    def handler(connection):
        head, _ = connection.read_request()
        if "attach" in head.target:
            connection.reply(409, b'{"message":"not running"}', reason="Conflict")
        else:
            connection.reply()
    tunnel_rig.handler = handler
    client = tunnel_rig.client()
    client.send(attach_request())
    response = client.read_response()
    assert (response.status, response.message()) == (409, "not running")
    assert client.request("GET", "/v1.41/info").status == 200


def test_tunnel_connection_is_never_reused(tunnel_rig):
    def handler(connection):
        head, _ = connection.read_request()
        if "attach" in head.target:
            connection.send(SWITCH % b"tcp")
            connection.close_write()
            connection.read_all()
            connection.close()
        else:
            connection.reply()
    tunnel_rig.handler = handler
    with tunnel_rig.client() as client:
        client.send(attach_request())
        client.read_head()
        assert client.read_all() == b""
        client.close_write()
    with tunnel_rig.client() as client:
        assert client.request("GET", "/v1.41/info").status == 200
    assert all(len(c.requests) == 1 for c in tunnel_rig.recorder.connections)


@pytest.mark.threads
def test_many_tunnels_at_once(make_rig, hops):
    rig = make_rig(hops, "--workers", "4")
    rig.handler = echoing(SWITCH % b"tcp")
    failures = []

    def run():
        try:
            with rig.client(30) as client:
                client.send(attach_request())
                client.read_head()
                for _ in range(10):
                    data = os.urandom(20000)
                    client.send(data)
                    assert client.read_exactly(len(data)) == data
                client.close_write()
                assert client.read_all() == b""
        except (AssertionError, OSError) as error:
            failures.append(repr(error))
    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
