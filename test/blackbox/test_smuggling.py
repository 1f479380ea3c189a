"""Requests that two parsers could read in two ways: none of them reaches the engine.

The recorder stands for the engine and keeps every byte. With one worker, a barrier request after
each attempt proves that nothing is still on its way.
"""

import array
import base64
import ctypes
import fcntl
import json
import mmap
import os
import termios
import threading

import pytest

from client import assert_refusal, build_request, json_request
from recorder import wait_until
from rig import Rig
from streams import Truncated

CREATE = "/v1.41/containers/create"
PRIVILEGED = b'{"Image":"b","HostConfig":{"Privileged":true}}'
HARMLESS = b'{"Image":"b"}'
EXEC = build_request("POST", "/v1.41/containers/x/exec", ["Content-Type: application/json"],
                     b'{"Cmd":["id"]}')


def head(*lines):
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


POST = f"POST {CREATE} HTTP/1.1"
JSON = ("Host: docker", "Content-Type: application/json")
CHUNKED = (POST, *JSON, "Transfer-Encoding: chunked")
GET = "GET /v1.41/info HTTP/1.1"


def chunked(*parts, end=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + end


def with_length(*lines, body=HARMLESS):
    return head(*lines, f"Content-Length: {len(body)}") + body


# name: the bytes on the wire. Each is answered 4xx or by closing, and none reaches the engine.
MALFORMED = {
    "cl-and-te": head(*CHUNKED, "Content-Length: 4") + chunked(HARMLESS),
    "te-and-cl": head(POST, *JSON, "Content-Length: 4", "Transfer-Encoding: chunked")
    + chunked(HARMLESS),
    "cl-and-te-on-build": head("POST /v1.41/build HTTP/1.1", "Host: docker",
                               "Content-Type: application/x-tar", "Content-Length: 5",
                               "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "cl-twice-equal": head(POST, *JSON, "Content-Length: 13", "Content-Length: 13") + HARMLESS,
    "cl-twice-differing": head(POST, *JSON, "Content-Length: 13", "Content-Length: 3") + HARMLESS,
    "cl-twice-on-build": head("POST /v1.41/build HTTP/1.1", "Host: docker", "Content-Length: 1",
                              "Content-Length: 2") + b"xx",
    "cl-list": head(POST, *JSON, "Content-Length: 13, 13") + HARMLESS,
    "cl-negative": head(POST, *JSON, "Content-Length: -1"),
    "cl-plus": head(POST, *JSON, "Content-Length: +13") + HARMLESS,
    "cl-hex": head(POST, *JSON, "Content-Length: 0xd") + HARMLESS,
    "cl-empty": head(POST, *JSON, "Content-Length: ") + HARMLESS,
    "cl-spaced": head(POST, *JSON, "Content-Length: 1 3") + HARMLESS,
    "cl-overflow": head(POST, *JSON, "Content-Length: 18446744073709551629") + HARMLESS,
    "cl-overflow-build": head("POST /v1.41/build HTTP/1.1", "Host: docker",
                              "Content-Length: 99999999999999999999") + HARMLESS,
    "cl-underscore": head(POST, *JSON, "Content-Length: 1_3") + HARMLESS,
    "bare-lf-line": (POST + "\nHost: docker\r\nContent-Length: 0\r\n\r\n").encode(),
    "bare-lf-header": f"{GET}\r\nHost: docker\nX: y\r\n\r\n".encode(),
    "bare-lf-end": f"{GET}\r\nHost: docker\n\n".encode(),
    "bare-lf-all": f"{GET}\nHost: docker\n\n".encode(),
    "bare-cr": f"{GET}\rHost: docker\r\n\r\n".encode(),
    "bare-cr-in-value": f"{GET}\r\nHost: docker\r\nX: a\rb\r\n\r\n".encode(),
    "obs-fold": head(GET, "Host: docker", "X: a", " b"),
    "obs-fold-tab": head(GET, "Host: docker", "X: a", "\tb"),
    "obs-fold-te": head(POST, *JSON, "Transfer-Encoding:", " chunked") + chunked(HARMLESS),
    "obs-fold-first": head(GET, " Host: docker"),
    "te-space-before-colon": head(POST, *JSON, "Transfer-Encoding : chunked") + chunked(HARMLESS),
    "cl-space-before-colon": head(POST, *JSON, "Content-Length : 13") + HARMLESS,
    "te-identity": head(POST, *JSON, "Transfer-Encoding: identity") + HARMLESS,
    "te-gzip-chunked": head(POST, *JSON, "Transfer-Encoding: gzip, chunked") + chunked(HARMLESS),
    "te-chunked-gzip": head(POST, *JSON, "Transfer-Encoding: chunked, gzip") + chunked(HARMLESS),
    "te-chunked-chunked": head(POST, *JSON, "Transfer-Encoding: chunked, chunked")
    + chunked(HARMLESS),
    "te-twice": head(*CHUNKED, "Transfer-Encoding: chunked") + chunked(HARMLESS),
    "te-twice-identity": head(*CHUNKED, "Transfer-Encoding: identity") + chunked(HARMLESS),
    "te-xchunked": head(POST, *JSON, "Transfer-Encoding: xchunked") + chunked(HARMLESS),
    "te-quoted": head(POST, *JSON, 'Transfer-Encoding: "chunked"') + chunked(HARMLESS),
    "te-parameter": head(POST, *JSON, "Transfer-Encoding: chunked;q=1") + chunked(HARMLESS),
    "te-empty": head(POST, *JSON, "Transfer-Encoding:") + chunked(HARMLESS),
    "te-comma": head(POST, *JSON, "Transfer-Encoding: ,chunked") + chunked(HARMLESS),
    "te-nbsp": head(POST, *JSON, "Transfer-Encoding: \xa0chunked") + chunked(HARMLESS),
    "te-vertical-tab": head(POST, *JSON, "Transfer-Encoding: \x0bchunked") + chunked(HARMLESS),
    "chunk-extension": head(*CHUNKED) + b"d;a=b\r\n" + HARMLESS + b"\r\n0\r\n\r\n",
    "chunk-extension-last": head(*CHUNKED) + chunked(HARMLESS, end=b"0;a=b\r\n\r\n"),
    "chunk-size-empty": head(*CHUNKED) + b"\r\n" + HARMLESS + b"\r\n0\r\n\r\n",
    "chunk-size-0x": head(*CHUNKED) + b"0xd\r\n" + HARMLESS + b"\r\n0\r\n\r\n",
    "chunk-size-plus": head(*CHUNKED) + b"+d\r\n" + HARMLESS + b"\r\n0\r\n\r\n",
    "chunk-size-negative": head(*CHUNKED) + b"-d\r\n" + HARMLESS + b"\r\n0\r\n\r\n",
    "chunk-size-space": head(*CHUNKED) + b"d \r\n" + HARMLESS + b"\r\n0\r\n\r\n",
    "chunk-size-leading-space": head(*CHUNKED) + b" d\r\n" + HARMLESS + b"\r\n0\r\n\r\n",
    "chunk-size-overflow": head(*CHUNKED) + b"1000000000000000d\r\n" + HARMLESS + b"\r\n0\r\n\r\n",
    "chunk-size-64-bits": head(*CHUNKED) + b"ffffffffffffffff\r\n" + HARMLESS + b"\r\n0\r\n\r\n",
    "chunk-size-bare-lf": head(*CHUNKED) + b"d\n" + HARMLESS + b"\r\n0\r\n\r\n",
    "chunk-data-bare-lf": head(*CHUNKED) + b"d\r\n" + HARMLESS + b"\n0\r\n\r\n",
    "chunk-data-too-long": head(*CHUNKED) + b"c\r\n" + HARMLESS + b"\r\n0\r\n\r\n",
    "chunk-last-bare-lf": head(*CHUNKED) + chunked(HARMLESS, end=b"0\n\n"),
    "nul-in-name": head(GET, "Host: docker", "X\0: y"),
    "nul-in-value": head(GET, "Host: docker", "X: a\0b"),
    "nul-in-target": head("GET /v1.41/in\0fo HTTP/1.1", "Host: docker"),
    "nul-first": b"\0" + head(GET, "Host: docker"),
    "control-in-value": head(GET, "Host: docker", "X: a\x01b"),
    "delete-in-value": head(GET, "Host: docker", "X: a\x7fb"),
    "name-with-space": head(GET, "Host: docker", "X Y: z"),
    "name-empty": head(GET, "Host: docker", ": z"),
    "name-nonascii": head(GET, "Host: docker", "X\xe9: z"),
    "header-without-colon": head(GET, "Host: docker", "nonsense"),
    "host-missing": head(GET),
    "host-twice": head(GET, "Host: docker", "Host: docker"),
    "host-twice-differing": head(GET, "Host: docker", "Host: other"),
    "h2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "h2-version": head("GET /v1.41/info HTTP/2.0", "Host: docker"),
    "http-0.9": b"GET /v1.41/info\r\n",
    "http-0.9-create": f"POST {CREATE}\r\n\r\n".encode(),
    "http-1.2": head("GET /v1.41/info HTTP/1.2", "Host: docker"),
    "http-lower": head("GET /v1.41/info http/1.1", "Host: docker"),
    "http-long": head("GET /v1.41/info HTTP/1.10", "Host: docker"),
    "http-two-spaces": head("GET  /v1.41/info HTTP/1.1", "Host: docker"),
    "http-tab": head("GET\t/v1.41/info\tHTTP/1.1", "Host: docker"),
    "http-trailing-space": head("GET /v1.41/info HTTP/1.1 ", "Host: docker"),
    "http-leading-space": head(" GET /v1.41/info HTTP/1.1", "Host: docker"),
    "target-space": head("GET /v1.41/in fo HTTP/1.1", "Host: docker"),
    "method-lower": with_length(f"post {CREATE} HTTP/1.1", *JSON),
    "method-unknown": head("BREW /v1.41/info HTTP/1.1", "Host: docker"),
    "absolute-form": head("GET http://docker/v1.41/info HTTP/1.1", "Host: docker"),
    "absolute-form-create": with_length(f"POST http://docker{CREATE} HTTP/1.1", *JSON),
    "authority-form": head("CONNECT docker:2375 HTTP/1.1", "Host: docker"),
    "asterisk-form": head("OPTIONS * HTTP/1.1", "Host: docker"),
    "percent-letter": with_length("POST /v1.41/containers/%63reate HTTP/1.1", *JSON),
    "percent-slash": with_length("POST /v1.41/containers%2Fcreate HTTP/1.1", *JSON),
    "percent-nul": with_length(f"POST {CREATE}%00 HTTP/1.1", *JSON),
    "percent-version": with_length("POST /%761.41/containers/create HTTP/1.1", *JSON),
    "percent-cut": head("GET /v1.41/info% HTTP/1.1", "Host: docker"),
    "percent-no-hex": head("GET /v1.41/info%gg HTTP/1.1", "Host: docker"),
    "double-slash": with_length("POST /v1.41//containers/create HTTP/1.1", *JSON),
    "double-slash-first": with_length("POST //containers/create HTTP/1.1", *JSON),
    "dot-segment": with_length("POST /v1.41/./containers/create HTTP/1.1", *JSON),
    "dot-dot-segment": with_length("POST /v1.41/x/../containers/create HTTP/1.1", *JSON),
    "dot-dot-percent": with_length("POST /v1.41/x/%2e%2e/containers/create HTTP/1.1", *JSON),
    "version-padded": with_length("POST /v01.41/containers/create HTTP/1.1", *JSON),
    "version-three": with_length("POST /v1.41.0/containers/create HTTP/1.1", *JSON),
    "version-dot": with_length("POST /v1.41./containers/create HTTP/1.1", *JSON),
    "version-overflow": with_length("POST /v1.4294967337/containers/create HTTP/1.1", *JSON),
    "version-minor-padded": with_length("POST /v1.041/containers/create HTTP/1.1", *JSON),
    "trailer-framing": head(*CHUNKED)
    + chunked(HARMLESS, end=b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "trailer-length": head(*CHUNKED) + chunked(HARMLESS, end=b"0\r\nContent-Length: 5\r\n\r\n"),
    "trailer-obs-fold": head(*CHUNKED) + chunked(HARMLESS, end=b"0\r\nX: a\r\n b\r\n\r\n"),
    "trailer-bare-lf": head(*CHUNKED) + chunked(HARMLESS, end=b"0\r\nX: a\nY: b\r\n\r\n"),
    "get-with-cl-and-te": head(GET, "Host: docker", "Content-Length: 5",
                               "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "tls-hello": bytes.fromhex("16030100a5010000a10303") + b"\x55" * 40,
    "garbage": bytes(range(128, 255)) * 3 + b"\r\n\r\n",
}


@pytest.fixture(scope="module")
def shared_rig(tmp_path_factory, certificates):
    rig = Rig(tmp_path_factory.mktemp("rig"), certificates, ("unix", "unix"),
              ["--workers", "1", "--head-timeout", "2s"])
    yield rig
    rig.close()


@pytest.fixture
def quiet(shared_rig):
    """A rig that is checked to have let nothing but barriers through."""
    mark = shared_rig.recorder.mark()
    shared_rig.mark = mark
    yield shared_rig
    shared_rig.assert_nothing_reached(mark)


def answers(client):
    """The statuses of all answers up to the end of the connection."""
    statuses = []
    while True:
        try:
            statuses.append(client.read_response().status)
        except (Truncated, ConnectionError):
            return statuses


@pytest.mark.parametrize("tail", ["alone", "followed"])
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_reaches_nobody(quiet, name, tail):
    """Refused, and the connection ends: what follows a misread request is never parsed."""
    client = quiet.client()
    client.send(MALFORMED[name] + (EXEC if tail == "followed" else b""))
    if name in ("http-0.9", "tls-hello"):
        client.close_write()  # a head that never ends by itself
    got = answers(client)
    assert all(400 <= status < 500 or status == 505 for status in got), got
    assert len(got) <= 1, "an answer to what follows a malformed request"


@pytest.mark.parametrize("first", ["/v1.41/info", CREATE])
@pytest.mark.parametrize("crlf", [b"\r\n", b"\r\n\r\n", b"\n"])
def test_leading_empty_lines_never_change_the_verdict(quiet, first, crlf):
    """Either skipped (RFC 9112 section 2.2) or refused; what follows is judged as it stands."""
    client = quiet.client()
    if first == CREATE:
        client.send(crlf + json_request(CREATE, PRIVILEGED))
    else:
        client.send(crlf + EXEC)
    got = answers_one(client)
    assert got in (403, 400, None)


def answers_one(client):
    try:
        return client.read_response().status
    except (Truncated, ConnectionError):
        return None


@pytest.mark.parametrize("upgrade", ["tcp", "h2c", "websocket", "TCP", "x, tcp"])
def test_upgrade_on_an_ordinary_route_is_judged_as_without(quiet, upgrade):
    client = quiet.client()
    client.send(json_request(CREATE, PRIVILEGED, [f"Upgrade: {upgrade}", "Connection: Upgrade"]))
    assert_refusal(client.read_response())


def test_upgrade_on_an_ordinary_route_opens_no_tunnel(unix_rig):
    """Even if the engine says 101: bytes after it are not passed on in either direction."""
    def switch(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        connection.read_some()
    unix_rig.handler = switch
    client = unix_rig.client()
    request = build_request("GET", "/v1.41/info", ["Upgrade: tcp", "Connection: Upgrade"])
    client.send(request + EXEC)
    response = client.read_response()
    assert response.status in (502, 500), response.raw_head
    rest = answers(client)
    assert 200 not in rest and 101 not in rest
    assert b"exec" not in unix_rig.recorder.received()


def test_raw_stream_answer_to_an_ordinary_request_is_no_tunnel(unix_rig):
    """A 200 with the raw-stream type and no length to GET logs is a body until close, and what the
    client sends after its request stays a request."""
    def stream(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n"
                        b"Content-Type: application/vnd.docker.raw-stream\r\n\r\nlog line\n")
        connection.close()
    unix_rig.handler = stream
    client = unix_rig.client()
    client.send(build_request("GET", "/v1.41/containers/x/logs?stdout=1"))
    response = client.read_head()
    assert response.status == 200
    client.send(EXEC)
    assert b"log line\n" in client.read_all()
    assert b"exec" not in unix_rig.recorder.received()


ATTACH = build_request("POST", "/v1.41/containers/x/attach?stream=1&stdin=1",
                       ["Upgrade: tcp", "Connection: Upgrade"], b"")


def refuse_attach(connection):
    head_, _ = connection.read_request()
    if b"/attach" in head_.raw:
        connection.reply(404, b'{"message":"No such container: x"}', reason="Not Found")
    else:
        connection.reply()


def refuse_attach_and_close(connection):
    """As the engine does after it has hijacked: no length, and the end."""
    head_, _ = connection.read_request()
    if b"/attach" in head_.raw:
        connection.send(b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n\r\n"
                        b'{"message":"No such container: x"}')
        connection.close()
    else:
        connection.reply()


@pytest.mark.parametrize("early", ["with the attach", "after the answer"])
@pytest.mark.parametrize("handler", [refuse_attach, refuse_attach_and_close])
def test_request_behind_a_failed_attach_is_judged(unix_rig, handler, early):
    """Refused follower: 403 or the end of the connection, never the engine's answer."""
    unix_rig.handler = handler
    client = unix_rig.client()
    if early == "with the attach":
        client.send(ATTACH + EXEC)
        assert client.read_response().status == 404
    else:
        client.send(ATTACH)
        assert client.read_response().status == 404
        try:
            client.send(EXEC)
        except ConnectionError:
            pass
    got = answers(client) if handler is refuse_attach_and_close else [client.read_response().status]
    assert got in ([], [403])
    unix_rig.handler = refuse_attach
    unix_rig.barrier()
    assert b"exec" not in unix_rig.recorder.received()
    assert unix_rig.reached() == [ATTACH]


def test_allowed_request_behind_a_failed_attach_is_answered(unix_rig):
    unix_rig.handler = refuse_attach
    client = unix_rig.client()
    follower = build_request("GET", "/v1.41/info")
    client.send(ATTACH + follower)
    assert client.read_response().status == 404
    assert client.read_response().status == 200
    assert unix_rig.reached() == [ATTACH, follower]


def test_judged_request_behind_a_failed_attach_is_judged_whole(unix_rig):
    unix_rig.handler = refuse_attach
    client = unix_rig.client()
    client.send(ATTACH + json_request(CREATE, PRIVILEGED))
    assert client.read_response().status == 404
    assert_refusal(client.read_response())
    assert unix_rig.reached() == [ATTACH]


def test_early_data_waits_for_the_engine_to_switch(unix_rig):
    """What a client sends after an attach is held back until the engine has hijacked."""
    switched = []

    def slow_refusal(connection):
        connection.read_request()
        # Were the bytes passed on at once, they would be here within this time.
        connection.stream.settimeout(0.3)
        try:
            switched.append(connection.read_some())
        except TimeoutError:
            pass
        connection.stream.settimeout(5)
        connection.reply(409, b'{"message":"not running"}', reason="Conflict")
    unix_rig.handler = slow_refusal
    client = unix_rig.client()
    client.send(ATTACH + b"stdin bytes that look like nothing\n")
    assert client.read_response().status == 409
    unix_rig.handler = refuse_attach
    got = answers(client)
    assert got in ([], [400])
    assert switched == []
    assert b"stdin bytes" not in unix_rig.recorder.received()


@pytest.mark.parametrize("count", [2, 5])
def test_pipelined_requests_are_judged_one_by_one(unix_rig, count):
    """A refused one between allowed ones stays out, and the allowed ones keep their order."""
    client = unix_rig.client()
    allowed = [build_request("GET", f"/v1.41/containers/c{i}/json") for i in range(count)]
    denied = build_request("POST", "/v1.41/swarm/leave", body=b"")
    client.send(b"".join(request + denied for request in allowed))
    for request in allowed:
        assert client.read_response().status == 200
        assert_refusal(client.read_response())
    assert unix_rig.reached() == allowed


def test_body_that_looks_like_a_request_stays_a_body(unix_rig):
    """Content of an allowed body is never parsed, and its end is exactly where it was announced."""
    client = unix_rig.client()
    tar = build_request("POST", "/v1.41/images/load", ["Content-Type: application/x-tar"], EXEC)
    client.send(tar + EXEC)
    assert client.read_response().status == 200
    assert_refusal(client.read_response())
    assert unix_rig.reached() == [tar]


def test_body_of_a_refused_request_is_not_a_request(quiet):
    client = quiet.client()
    inner = build_request("GET", "/v1.41/info")
    client.send(build_request("POST", "/v1.41/containers/x/exec",
                              ["Content-Type: application/json"], inner))
    assert_refusal(client.read_response())
    client.close_write()
    assert answers(client) == []


def test_oversized_head_is_431(quiet):
    for big in ("X: " + "a" * 70000, "\r\n".join(f"X{i}: {'b' * 100}" for i in range(900))):
        client = quiet.client()
        client.send(head(GET, "Host: docker", big))
        assert_refusal(client.read_response(), 431)


def test_oversized_request_line_is_4xx(quiet):
    client = quiet.client()
    client.send(head("GET /v1.41/containers/" + "a" * 70000 + "/json HTTP/1.1", "Host: docker"))
    assert answers_one(client) in (414, 431)


def test_head_that_never_ends_is_431_before_its_end(quiet):
    """Bounded while it comes in, not only once it is whole."""
    client = quiet.client()
    client.send(f"{GET}\r\nHost: docker\r\nX: ".encode())
    try:
        for _ in range(20):
            client.send(b"a" * 8192)
    except ConnectionError:
        pass
    assert answers_one(client) in (431, None)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_oversized_judged_body_is_413(quiet, framing):
    body = b'{"Image":"' + b"a" * (5 << 20) + b'"}'
    client = quiet.client()
    if framing == "length":
        client.send(head(POST, *JSON, f"Content-Length: {len(body)}"))
        assert_refusal(client.read_response(), 413)
        return
    client.send(head(*CHUNKED))
    try:
        for start in range(0, len(body), 32768):
            part = body[start:start + 32768]
            client.send(b"%x\r\n%s\r\n" % (len(part), part))
    except ConnectionError:
        pass
    assert_refusal(client.read_response(), 413)


def test_many_tiny_chunks_cost_no_more_than_the_limit(quiet):
    """The limit counts the wire as well: a byte a chunk is not a way around it."""
    client = quiet.client()
    client.send(head(*CHUNKED))
    piece = b"1\r\n \r\n" * 10000
    try:
        for _ in range(600):
            client.send(piece)
    except ConnectionError:
        pass
    assert answers_one(client) in (413, 400, None)
    assert quiet.proxy.status("VmRSS") < 400 * 1024


def test_incomplete_judged_body_reaches_nobody(quiet):
    """The engine may act before a body has ended, so nothing of it goes there before its end."""
    client = quiet.client()
    client.send(head(POST, *JSON, "Content-Length: 100") + HARMLESS)
    quiet.assert_nothing_reached(quiet.mark)
    client.close_write()
    assert answers_one(client) in (400, 408, None)


def test_unterminated_chunked_body_reaches_nobody(quiet):
    client = quiet.client()
    client.send(head(*CHUNKED) + chunked(HARMLESS, end=b"0\r\n"))
    quiet.assert_nothing_reached(quiet.mark)
    client.close_write()
    assert answers_one(client) in (400, 408, None)


class Page(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def send_page(sock, page):
    """Gives a page to a socket without copying it (vmsplice(2)): it stays the sender's to change."""
    libc = ctypes.CDLL(None, use_errno=True)
    read_end, write_end = os.pipe()
    whole = Page(ctypes.addressof(ctypes.c_char.from_buffer(page)), len(page))
    assert libc.vmsplice(write_end, ctypes.byref(whole), ctypes.c_ulong(1), 0) == len(page)
    sock.setblocking(True)
    assert os.splice(read_end, sock.fileno(), len(page)) == len(page)
    os.close(read_end)
    os.close(write_end)


@pytest.mark.parametrize("side", ("unix", "tcp"))
def test_a_chunk_is_as_long_as_it_was_when_it_was_looked_at(make_rig, side):
    """And not as long as its sender makes it afterwards, in memory that it still shares."""
    rig = make_rig((side, "unix"), "--workers", "1")
    bulk = b"%x\r\n%s\r\n" % (400000, b"A" * 400000)
    go = threading.Event()

    def slow(connection):
        connection.read_head()
        connection.read_exactly(len(bulk))
        go.wait(10)
        connection.read_all()

    def unread():
        count = array.array("i", [0])
        fcntl.ioctl(rig.recorder.connections[0].stream.sock, termios.FIONREAD, count)
        return count[0]
    rig.handler = slow
    client = rig.client()
    client.send(head("POST /v1.41/images/load HTTP/1.1", "Host: docker",
                     "Transfer-Encoding: chunked") + bulk)
    wait_until(lambda: rig.recorder.received().endswith(b"A\r\n"), 10, "what goes before")
    page = mmap.mmap(-1, 4096)
    page[:] = b"5000\r\n".ljust(4096, b"B")
    send_page(client.stream.sock, page)
    wait_until(lambda: unread() == len(page), 10, "the page is with the engine")
    lie = b"5;x0\r\nHELLO\r\n0\r\n\r\n" + EXEC
    page[:len(lie)] = lie
    go.set()
    wait_until(lambda: rig.recorder.received().endswith(b"BB"), 10, "all of it")
    assert rig.recorder.received().count(b"A\r\n5000\r\n") == 1


def test_http_1_0_is_answered_and_closed(unix_rig):
    client = unix_rig.client()
    client.send(head("GET /v1.41/info HTTP/1.0", "Host: docker", "Connection: keep-alive") + EXEC)
    assert answers_one(client) in (200, 400, 505)
    assert answers(client) == []
    assert b"exec" not in unix_rig.recorder.received()


def test_http_1_0_refusals_hold(quiet):
    client = quiet.client()
    client.send(with_length(f"POST {CREATE} HTTP/1.0", *JSON, body=PRIVILEGED))
    assert answers_one(client) in (403, 400, 505)
    assert answers(client) == []


def test_http_1_0_with_chunked_is_refused(quiet):
    client = quiet.client()
    client.send(head(f"POST {CREATE} HTTP/1.0", *JSON, "Transfer-Encoding: chunked")
                + chunked(HARMLESS))
    assert answers_one(client) in (400, 403, 505)


def test_a_request_cut_anywhere_is_judged_the_same(quiet):
    """Bytes arrive as they please: the verdict does not depend on it."""
    request = json_request(CREATE, PRIVILEGED)
    for cut in range(1, len(request), 7):
        with quiet.client() as client:
            client.send(request[:cut])
            client.send(request[cut:])
            assert_refusal(client.read_response())


def test_an_allowed_request_byte_by_byte(unix_rig):
    request = json_request(CREATE, HARMLESS)
    client = unix_rig.client()
    for i in range(len(request)):
        client.send(request[i:i + 1])
    assert client.read_response().status == 200
    assert unix_rig.reached() == [request]


@pytest.mark.parametrize("named", ["transfer-encoding", "content-type", "host", "x-registry-auth"])
def test_connection_header_removes_nothing(unix_rig, named):
    """A client cannot have the proxy strip what was judged: such a request is refused, or passed
    with every field it came with."""
    request = (head(*CHUNKED, f"Connection: {named}", "X-Registry-Auth: e30=")
               + chunked(HARMLESS))
    client = unix_rig.client()
    client.send(request)
    assert answers_one(client) in (200, 400)
    for raw in unix_rig.reached():
        for field in (b"Transfer-Encoding: chunked", b"Host: docker", b"Content-Type: ",
                      b"X-Registry-Auth: e30="):
            assert field in raw
        assert raw.endswith(chunked(HARMLESS))


def test_secret_form_of_the_registry_header_passes_unread(unix_rig):
    """Headers that the filter does not judge reach the engine untouched."""
    secret = base64.b64encode(json.dumps({"username": "u", "password": "p"}).encode()).decode()
    request = build_request("POST", "/v1.41/images/create?fromImage=x&tag=1",
                            [f"X-Registry-Auth: {secret}"], b"")
    client = unix_rig.client()
    client.send(request)
    assert client.read_response().status == 200
    assert unix_rig.reached() == [request]


def test_engine_answer_with_ambiguous_framing_is_not_relayed_as_it_is(unix_rig):
    """The engine is trusted, what pretends to be it is not: an answer that could be read in two
    ways ends the connection and gives the client no second answer."""
    for framing in (b"Content-Length: 5\r\nContent-Length: 7\r\n",
                    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"):
        def ambiguous(connection, framing=framing):
            connection.read_request()
            connection.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"
                            b"Content-Length: 6\r\n\r\nforged")
        unix_rig.handler = ambiguous
        with unix_rig.client() as client:
            client.send(build_request("GET", "/v1.41/info") * 2)
            assert b"forged" not in drain(client)


def drain(client):
    data = b""
    client.settimeout(2)
    try:
        while more := client.recv_some():
            data += more
    except (ConnectionError, Truncated, TimeoutError):
        pass
    return data


def test_unasked_bytes_from_the_engine_are_never_an_answer(unix_rig):
    """A second answer sent ahead on a kept connection must not be given to the next request."""
    sent = threading.Event()

    def twice(connection):
        connection.read_request()
        connection.reply(200, b"first")
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        sent.set()
    unix_rig.handler = twice
    with unix_rig.client() as client:
        assert client.request("GET", "/v1.41/info").body == b"first"
    assert sent.wait(10)  # behind the next request it would be an answer like any other
    unix_rig.handler = lambda c: (c.read_request(), c.reply(200, b"honest"))
    for _ in range(5):
        with unix_rig.client() as client:
            response = client.request("GET", "/v1.41/version")
            assert response.body in (b"honest",), response.body


def test_the_recorder_sees_what_is_sent(unix_rig):
    """The instrument itself: an allowed request is in its bytes."""
    request = build_request("GET", "/v1.41/info")
    client = unix_rig.client()
    client.send(request)
    assert client.read_response().status == 200
    wait_until(lambda: unix_rig.recorder.received() == request, what="the request's bytes")
