"""How exchanges end: cleanly, by either side leaving, by nonsense, with the engine down. A cut stream
never looks like a whole one."""

import threading

import pytest

from client import Client, build_request, chunk
from recorder import wait_until
from streams import Truncated

pytestmark = pytest.mark.ktls

LOAD = "/v1.41/images/load"
TAR = "Content-Type: application/x-tar"
EVENTS = build_request("GET", "/v1.41/events")


def test_engine_closes_its_kept_connection(rig):
    """`Connection: close` by the engine ends that connection only after the whole answer."""
    def handler(connection):
        connection.read_request()
        connection.reply(200, b"x" * 100000, ["Connection: close"])
        connection.close()
    rig.handler = handler
    for _ in range(3):
        with rig.client() as client:
            assert client.request("GET", "/v1.41/info").body == b"x" * 100000


def test_stale_upstream_connection_is_no_error(rig):
    """The engine has closed an idle connection: the next request goes over a new one."""
    client = rig.client()
    assert client.request("GET", "/v1.41/info").status == 200
    for connection in rig.recorder.connections:
        connection.stream.close()
    for _ in range(5):
        assert client.request("GET", "/v1.41/info").status == 200


@pytest.mark.parametrize("leave", [lambda client: client.stream.reset(), Client.close],
                         ids=["reset", "close"])
def test_client_leaving_mid_stream_ends_the_upstream(rig, leave):
    """Or the engine would go on streaming to nobody."""
    def handler(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"one"))
        connection.read_all()
    rig.handler = handler
    client = rig.client()
    client.send(EVENTS)
    client.read_head()
    client.read_chunk()
    leave(client)
    connection = rig.recorder.wait_connection()
    wait_until(lambda: connection.ended, 5, "the end of the upstream connection")


def test_client_leaving_mid_upload_is_no_clean_end(rig):
    """A cut context must not look to the engine like a whole one."""
    def handler(connection):
        connection.read_head()
        connection.read_all()
    rig.handler = handler
    client = rig.client()
    client.send(build_request("POST", LOAD, [TAR, "Transfer-Encoding: chunked"])
                + chunk(b"x" * 1000))
    connection = rig.recorder.wait_connection()
    wait_until(lambda: b"x" * 1000 in connection.received, 5, "the first chunk")
    client.close()
    wait_until(lambda: connection.ended, 5, "the end of the upstream connection")
    assert b"0\r\n\r\n" not in connection.received


@pytest.mark.parametrize("framing", ["length", "chunked", "until close"])
def test_engine_dying_mid_body_is_no_clean_end(rig, framing):
    heads = {"length": b"Content-Length: 1000\r\n", "chunked": b"Transfer-Encoding: chunked\r\n",
             "until close": b""}
    part = chunk(b"part") if framing == "chunked" else b"part"
    seen = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n" + heads[framing] + b"\r\n" + part)
        seen.wait(10)
        connection.stream.reset()
    rig.handler = handler
    client = rig.client()
    client.send(build_request("GET", "/v1.41/images/x/get"))
    assert client.read_head().status == 200
    assert client.read_exactly(len(part)) == part
    seen.set()
    if framing == "until close" and "unix" in (rig.up, rig.down):
        # On a unix socket an end and a death look alike: all that is owed is the end.
        assert client.closed()
        return
    with pytest.raises((Truncated, ConnectionError)):
        if client.recv_some() == b"":
            assert framing != "until close", "a cut body that looks whole"
            raise Truncated


def test_engine_closing_before_an_answer_is_502(rig):
    def handler(connection):
        connection.read_request()
        connection.close()
    rig.handler = handler
    response = rig.client().request("POST", "/v1.41/containers/x/start", body=b"")
    assert response.status in (502, 503)
    assert response.get("content-type") == "application/json"
    assert response.message()


def test_a_mutating_request_is_never_sent_twice(unix_rig):
    """If the engine dies after it got a POST, nobody knows whether it acted."""
    def handler(connection):
        connection.read_request()
        connection.close()
    client = unix_rig.client()
    assert client.request("GET", "/v1.41/info").status == 200  # leaves a connection to reuse
    unix_rig.handler = handler
    response = client.request("POST", "/v1.41/containers/x/start", body=b"")
    assert response.status in (502, 503)
    assert sum(b"/start" in request for request in unix_rig.reached()) == 1


@pytest.mark.parametrize("answer", [
    b"nonsense\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"], ids=range(5))
def test_nonsense_from_the_engine_is_502(unix_rig, answer):
    def handler(connection):
        connection.read_request()
        connection.send(answer)
        connection.close()
    unix_rig.handler = handler
    response = unix_rig.client().request("GET", "/v1.41/info")
    assert response.status == 502
    assert response.message()


def test_bad_chunk_from_the_engine_is_no_clean_end(unix_rig):
    def handler(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"5\r\nhello\r\nzz\r\nboom\r\n0\r\n\r\n")
        connection.read_all()
    unix_rig.handler = handler
    client = unix_rig.client()
    client.send(EVENTS)
    client.read_head()
    assert client.read_chunk()[1] == b"hello"
    with pytest.raises((Truncated, ConnectionError, ValueError)):
        client.read_chunk()
        assert client.closed()


def test_engine_down_and_back(rig):
    client = rig.client()
    assert client.request("GET", "/v1.41/info").status == 200
    rig.recorder.close()
    with rig.client() as other:
        response = other.request("GET", "/v1.41/info")
    assert response.status in (502, 503)
    assert response.get("content-type") == "application/json"
    assert response.message()
    rig.recorder.listen()
    with rig.client() as other:
        wait_until(lambda: other.request("GET", "/v1.41/info").status == 200, 10, "recovery")


def test_broken_tls_is_told_to_the_log(make_rig):
    """A record that the peer did not seal ends its connection, and the log says why."""
    rig = make_rig(("mtls", "mtls"), "--workers", "1")
    client = rig.client()
    assert client.request("GET", "/v1.41/info").status == 200
    client.stream.sock.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    line = rig.proxy.wait_log(r"event=tls ")
    assert "client=127.0.0.1:" in line and "a record was damaged or forged" in line, line

    def handler(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        connection.stream.sock.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    rig.handler = handler
    with rig.client() as other:
        other.send(build_request("GET", "/v1.41/info"))
        other.read_head()
        with pytest.raises((Truncated, ConnectionError)):
            other.read_exactly(100)
    rig.proxy.wait_log(r"event=engine .*a record was damaged or forged")
