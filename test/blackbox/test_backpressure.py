"""Who does not read stops who writes, and the proxy's memory stays where it was."""

import threading

import pytest

from client import build_request

pytestmark = pytest.mark.ktls

LOAD = "/v1.41/images/load"
TAR = "Content-Type: application/x-tar"


def test_stalled_reader_stops_the_writer(rig):
    """A client that does not read: the engine's sending comes to a stand, and the proxy's memory
    stays where it was."""
    sent = [0]
    stalled = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        connection.stream.settimeout(2)
        try:
            while sent[0] < 1 << 30:
                connection.send(b"x" * 65536)
                sent[0] += 65536
        except TimeoutError:
            stalled.set()
            raise
    rig.handler = handler
    before = rig.proxy.status("VmRSS")
    client = rig.client()
    client.send(build_request("GET", "/v1.41/images/x/get"))
    client.read_head()
    assert stalled.wait(30), f"{sent[0]} bytes went to a client that does not read"
    assert sent[0] < 64 << 20
    assert rig.proxy.status("VmRSS") - before < 16 * 1024


def test_stalled_engine_stops_the_client(rig):
    """The same the other way: a context that the engine does not read is not buffered."""
    release = threading.Event()

    def handler(connection):
        connection.read_head()
        release.wait(30)
    rig.handler = handler
    before = rig.proxy.status("VmRSS")
    client = rig.client(timeout=2)
    client.send(build_request("POST", LOAD, [TAR, f"Content-Length: {1 << 40}"]))
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 1 << 30:
            client.send(b"x" * 65536)
            sent += 65536
    assert sent < 64 << 20
    assert rig.proxy.status("VmRSS") - before < 16 * 1024
    release.set()


def test_a_stalled_stream_does_not_stop_others(unix_rig):
    """One worker, one stuck client: everybody else is served."""
    def handler(connection):
        head, _ = connection.read_request()
        if head.target.endswith("/get"):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
            connection.stream.settimeout(None)
            while True:
                connection.send(b"x" * 65536)
        connection.reply()
    unix_rig.handler = handler
    stuck = unix_rig.client()
    stuck.send(build_request("GET", "/v1.41/images/x/get"))
    stuck.read_head()
    with unix_rig.client() as client:
        for _ in range(20):
            assert client.request("GET", "/v1.41/info").status == 200
