"""What goes through, goes through whole: bodies, interim answers, streams and keep-alive, over
every pair of transports."""

import os
import threading
import time

import pytest

from client import assert_refusal, build_request, chunk, json_request
from recorder import wait_until
from streams import Truncated

pytestmark = pytest.mark.ktls

CREATE = "/v1.41/containers/create"
LOAD = "/v1.41/images/load"
TAR = "Content-Type: application/x-tar"
EVENTS = build_request("GET", "/v1.41/events")


def test_keep_alive(rig):
    """Many requests on one connection, with bodies of several sizes both ways."""
    def echo(connection):
        _, body = connection.read_request()
        connection.reply(200, body)
    rig.handler = echo
    client = rig.client()
    for size in (0, 1, 100, 16384, 16385, 70000, 1 << 20):
        body = os.urandom(size)
        response = client.request("POST", LOAD, [TAR], body)
        assert response.status == 200 and response.body == body
    assert len(rig.recorder.connections) <= 7


def test_upstream_connection_is_reused(unix_rig):
    for _ in range(5):
        with unix_rig.client() as client:
            assert client.request("GET", "/v1.41/info").status == 200
    assert len(unix_rig.recorder.connections) < 5


def test_pipelining_is_one_at_a_time_upstream(rig):
    """The second request's bytes come to the engine only after the first answer has ended."""
    seen = []

    def handler(connection):
        head, _ = connection.read_request()
        if head.target.endswith("first"):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
            time.sleep(0.2)  # gives a second request that is sent too early the time to come
            seen.append(rig.recorder.received().count(b"second"))
            connection.send(b"67890")
        else:
            connection.reply(200, b"two")
    rig.handler = handler
    client = rig.client()
    client.send(build_request("GET", "/v1.41/containers/json?first")
                + build_request("GET", "/v1.41/containers/json?second"))
    assert client.read_response().body == b"1234567890"
    assert client.read_response().body == b"two"
    assert seen == [0]


def test_expect_continue_on_a_judged_body(rig):
    """The proxy itself asks for the body, since the engine must not see the head yet."""
    client = rig.client()
    body = b'{"Image":"b"}'
    client.send(build_request("POST", CREATE, ["Content-Type: application/json",
                                               "Expect: 100-continue",
                                               f"Content-Length: {len(body)}"]))
    assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    assert rig.reached() == []
    client.send(body)
    assert client.read_response().status == 200
    assert rig.reached()[0].endswith(b"\r\n\r\n" + body)


def test_expect_continue_on_a_streamed_body(rig):
    """The engine's own 100 is passed on, and the body only after it was asked for."""
    order = []

    def handler(connection):
        head = connection.read_head()
        order.append("head")
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = connection.read_body(head)
        order.append(len(body))
        connection.reply()
    rig.handler = handler
    client = rig.client()
    client.send(build_request("POST", LOAD, [TAR, "Expect: 100-continue",
                                             "Content-Length: 100000"]))
    assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    client.send(b"x" * 100000)
    assert client.read_response().status == 200
    assert order == ["head", 100000]


def test_expect_continue_refused_by_the_engine(rig):
    """A final answer in place of 100: no body is waited for."""
    def handler(connection):
        connection.read_head()
        connection.reply(401, b'{"message":"no"}', ["Connection: close"], "Unauthorized")
        connection.close()
    rig.handler = handler
    client = rig.client()
    client.send(build_request("POST", LOAD, [TAR, "Expect: 100-continue",
                                             "Content-Length: 100000"]))
    assert client.read_response().status == 401


def test_refusal_of_a_request_that_expects_continue(rig):
    """403 without asking for the body, and nothing upstream."""
    client = rig.client()
    client.send(build_request("PUT", "/v1.41/containers/x/archive?path=/",
                              [TAR, "Expect: 100-continue", "Content-Length: 1000000"]))
    response = client.read_response()
    assert response.interim == []
    assert_refusal(response)
    rig.assert_nothing_reached()


def test_head_has_no_body(rig):
    def handler(connection):
        head, _ = connection.read_request()
        if head.method == "HEAD":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nApi-Version: 1.41\r\n\r\n")
        else:
            connection.reply()
    rig.handler = handler
    client = rig.client()
    for _ in range(3):
        response = client.request("HEAD", "/_ping")
        assert response.get("content-length") == "1000"
        assert client.request("GET", "/_ping").body == b"{}"


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n", b""])
def test_head_with_other_framings(unix_rig, framing):
    def handler(connection):
        head, _ = connection.read_request()
        if head.method == "HEAD":
            connection.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
        else:
            connection.reply()
    unix_rig.handler = handler
    client = unix_rig.client()
    assert client.request("HEAD", "/_ping").status == 200
    assert client.request("GET", "/_ping").body == b"{}"


def test_interim_answers_are_passed_on(rig):
    interim = [b"HTTP/1.1 102 Processing\r\n\r\n",
               b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"]

    def handler(connection):
        connection.read_request()
        for answer in interim:
            connection.send(answer)
        connection.reply()
    rig.handler = handler
    response = rig.client().request("GET", "/v1.41/info")
    assert response.status == 200 and response.interim == interim


@pytest.mark.parametrize("status,reason", [(204, "No Content"), (304, "Not Modified")])
def test_answers_without_body(rig, status, reason):
    """With a Content-Length, as 304 may have: no body is waited for."""
    length = "Content-Length: 50\r\n" if status == 304 else ""

    def handler(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 {status} {reason}\r\n{length}\r\n".encode())
    rig.handler = handler
    client = rig.client()
    for _ in range(3):
        assert client.request("POST", "/v1.41/containers/x/stop", body=b"").status == status


def test_chunked_answer_with_trailers_verbatim(rig):
    wire = (chunk(b"a" * 5) + chunk(os.urandom(32768)) + b"00A\r\n0123456789\r\n"
            + b"0\r\nDigest: x\r\nX-Other: y\r\n\r\n")

    def handler(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                        b"Trailer: Digest\r\n\r\n" + wire)
    rig.handler = handler
    client = rig.client()
    for _ in range(3):
        assert client.request("GET", "/v1.41/info").raw_body == wire


def test_chunked_request_verbatim(rig):
    wire = b"".join(chunk(os.urandom(n)) for n in (1, 7, 4096, 32768, 65537, 3)) + b"0\r\n\r\n"
    request = build_request("POST", LOAD, [TAR, "Transfer-Encoding: chunked"]) + wire
    client = rig.client()
    for count in range(1, 4):
        client.send(request)
        assert client.read_response().status == 200
        assert rig.reached() == [request] * count


def test_chunked_request_in_tiny_pieces(unix_rig):
    """Cut inside size lines, payloads and line ends."""
    wire = b"".join(chunk(os.urandom(n)) for n in (1, 17, 300)) + b"0\r\n\r\n"
    request = build_request("POST", LOAD, [TAR, "Transfer-Encoding: chunked"]) + wire
    client = unix_rig.client()
    for i in range(len(request)):
        client.send(request[i:i + 1])
    assert client.read_response().status == 200
    assert unix_rig.reached() == [request]


def test_answer_until_close(rig):
    body = os.urandom(300000)

    def handler(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\n\r\n" + body)
        connection.close()
    rig.handler = handler
    client = rig.client()
    response = client.request("GET", "/v1.41/images/x/get")
    assert response.until_close and response.body == body


def test_request_and_answer_stream_at_once(rig):
    """An engine that answers each chunk while the next is still on its way, as build does."""
    def handler(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            wire, payload = connection.read_chunk()
            connection.send(wire)
            if not payload:
                return
    rig.handler = handler
    client = rig.client()
    client.send(build_request("POST", "/v1.41/build?t=x", [TAR, "Transfer-Encoding: chunked"]))
    assert client.read_head().status == 200
    for i in range(50):
        data = b"%05d" % i * 1000
        client.send(chunk(data))
        assert client.read_chunk()[1] == data
    client.send(b"0\r\n\r\n")
    assert client.read_chunk() == (b"0\r\n\r\n", b"")
    rig.handler = lambda connection: (connection.read_request(), connection.reply())
    assert client.request("GET", "/v1.41/info").status == 200


def test_bulk_both_ways_at_once(rig):
    """More than all buffers hold in both directions at the same time, without a deadlock."""
    size = 24 << 20
    block = os.urandom(1 << 16)

    def handler(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        writer = threading.Thread(
            target=lambda: [connection.send(block) for _ in range(size // len(block) - 1)])
        writer.start()
        got = 0
        while got < size:
            got += len(connection.read_some())
            # `received` need not keep all of this.
            del connection.received[:]
            connection.position = 0
        writer.join()
        counted.append(got)
        connection.send(block)  # the end of the answer comes last, as from an engine
    counted = []
    rig.handler = handler
    client = rig.client(timeout=60)
    client.send(build_request("POST", LOAD, [TAR, f"Content-Length: {size}"]))
    sender = threading.Thread(
        target=lambda: [client.send(block) for _ in range(size // len(block))])
    sender.start()
    client.read_head()
    got = len(client.buffer)
    client.buffer = b""
    while got < size:
        data = client.recv_some()
        assert data, f"ended after {got} bytes"
        got += len(data)
    sender.join()
    wait_until(lambda: counted == [size], what="the whole upload")
    assert got == size


def test_answer_before_the_request_has_ended(rig):
    """An early error: the client gets it although it is still sending, and nothing hangs."""
    def handler(connection):
        connection.read_head()
        connection.read_some()
        connection.reply(500, b'{"message":"disk full"}', ["Connection: close"],
                         "Internal Server Error")
        connection.close()
    rig.handler = handler
    client = rig.client()
    client.send(build_request("POST", LOAD, [TAR, "Content-Length: 100000000"]) + b"x" * 1000)
    response = client.read_response()
    assert response.status == 500 and response.message() == "disk full"


def test_answer_before_the_request_has_ended_while_sending(rig):
    """As above, with a client that sends as fast as it can, as the CLI does."""
    def handler(connection):
        connection.read_head()
        connection.read_exactly(200000)
        connection.reply(500, b'{"message":"disk full"}', ["Connection: close"],
                         "Internal Server Error")
        connection.close_write()
        try:
            while connection.read_some():
                del connection.received[:]
                connection.position = 0
        finally:
            connection.close()
    rig.handler = handler
    client = rig.client()
    client.send(build_request("POST", LOAD, [TAR, f"Content-Length: {1 << 40}"]))
    stop = threading.Event()

    def upload():
        try:
            while not stop.is_set():
                client.send(b"x" * 65536)
        except OSError:
            pass
    sender = threading.Thread(target=upload)
    sender.start()
    try:
        response = client.read_response()
        assert response.status == 500 and response.message() == "disk full"
    finally:
        stop.set()
        client.close()
        sender.join()


def test_refused_request_whose_body_is_still_coming(rig):
    """403 while the client sends: it can read the message, and the proxy reads only so much more."""
    client = rig.client()
    client.send(build_request("PUT", "/v1.41/containers/x/archive?path=/",
                              [TAR, f"Content-Length: {1 << 40}"]))
    sent = 0
    ended = False
    try:
        while sent < 512 << 20:
            client.send(b"x" * 65536)
            sent += 65536
    except (TimeoutError, ConnectionError):
        ended = True
    assert ended, "half a gigabyte of a refused request was read"
    client.settimeout(10)
    rig.assert_nothing_reached()


@pytest.mark.parametrize("size", [10, 10000, 300000])
def test_refusal_is_readable_by_a_client_that_sends_first(rig, size):
    """Sends its whole body before it reads, as simple clients do."""
    client = rig.client()
    client.send(build_request("PUT", "/v1.41/containers/x/archive?path=/", [TAR], b"x" * size))
    assert_refusal(client.read_response())
    rig.assert_nothing_reached()


def test_connection_is_of_use_after_a_refusal(rig):
    client = rig.client()
    for _ in range(3):
        client.send(json_request(CREATE, b'{"Image":"b","HostConfig":{"Privileged":true}}'))
        assert_refusal(client.read_response())
        assert client.request("GET", "/v1.41/info").status == 200


def test_connection_close_is_honoured(rig):
    client = rig.client()
    response = client.request("GET", "/v1.41/info", ["Connection: close"])
    assert response.status == 200
    assert client.closed()


@pytest.mark.threads
def test_many_clients_at_once(make_rig, hops):
    """Threads against threads: every answer is the asker's own."""
    rig = make_rig(hops, "--workers", "4")

    def handler(connection):
        head, body = connection.read_request()
        connection.reply(200, head.target.encode() + b"|" + body)
    rig.handler = handler
    failures = []

    def run(number):
        try:
            with rig.client(30) as client:
                for i in range(20):
                    body = os.urandom(number * 997 % 50000)
                    target = f"{LOAD}?n={number}.{i}"
                    response = client.request("POST", target, [TAR], body)
                    assert response.body == target.encode() + b"|" + body
        except (AssertionError, OSError, Truncated) as error:
            failures.append(repr(error))
    threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
