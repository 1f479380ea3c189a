"""Deadlines, limits and the end: what a hostile or unlucky client cannot do to the others."""

import os
import select
import signal
import socket
import threading
import time

import pytest

from client import Client, build_request
from proxy_process import sanitizer
from recorder import wait_until
from streams import Truncated, connect_socket

EVENTS = build_request("GET", "/v1.41/events")
INFO = build_request("GET", "/v1.41/info")


def stream_forever(connection):
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
    connection.read_all()


def time_to_end(client, limit=10):
    """Seconds until the other side ends the connection; its bytes."""
    client.settimeout(limit)
    begin = time.monotonic()
    data = b""
    try:
        while more := client.recv_some():
            data += more
    except (ConnectionError, Truncated):
        pass
    return time.monotonic() - begin, data


def wait_until_served(rig, what):
    def served():
        with Client(rig.url, timeout=2) as client:
            try:
                return client.request("GET", "/v1.41/info").status == 200
            except (Truncated, OSError):
                return False
    wait_until(served, 10, what)


@pytest.mark.parametrize("start", [b"", b"GET /v1.41/info HTTP/1.1\r\nHost: d"],
                         ids=["nothing", "half a head"])
def test_head_deadline(make_rig, hops, start):
    rig = make_rig(hops, "--head-timeout", "400ms", "--idle-timeout", "400ms")
    client = rig.client()
    if start:
        client.send(start)
    seconds, _ = time_to_end(client)
    assert 0.3 < seconds < 5
    rig.assert_nothing_reached()


def test_head_deadline_is_not_moved_by_trickling(make_rig):
    """A byte now and then does not keep a head alive."""
    rig = make_rig(("tcp", "unix"), "--head-timeout", "500ms")
    client = rig.client()
    begin = time.monotonic()
    client.send(b"GET /v1.41/info HTTP/1.1\r\nX: ")
    # An answer or the end makes the socket readable.
    while not select.select([client.stream], [], [], 0.02)[0]:
        assert time.monotonic() - begin < 5, "kept alive"
        client.send(b"a")
    assert time.monotonic() - begin > 0.4


def test_judged_body_deadline(make_rig, hops):
    """A body that is gathered for judging must come in time too."""
    rig = make_rig(hops, "--head-timeout", "400ms")
    client = rig.client()
    client.send(build_request("POST", "/v1.41/containers/create",
                              ["Content-Type: application/json", "Content-Length: 50"]) + b"{")
    seconds, data = time_to_end(client)
    assert 0.3 < seconds < 5
    assert data == b"" or data.startswith(b"HTTP/1.1 408 ")
    rig.assert_nothing_reached()


def test_idle_deadline_between_requests(make_rig, hops):
    rig = make_rig(hops, "--idle-timeout", "400ms")
    client = rig.client()
    assert client.request("GET", "/v1.41/info").status == 200
    seconds, data = time_to_end(client)
    assert 0.3 < seconds < 5 and data == b""


@pytest.mark.parametrize("start", [b"", b"\x16\x03\x01\x02\x00"], ids=["nothing", "half a hello"])
def test_handshake_deadline(make_rig, start):
    rig = make_rig(("mtls", "unix"), "--handshake-timeout", "400ms")
    sock = connect_socket(rig.url)
    sock.sendall(start)
    begin = time.monotonic()
    sock.settimeout(10)
    try:
        while sock.recv(4096):
            pass
    except ConnectionError:
        pass
    assert 0.3 < time.monotonic() - begin < 5
    sock.close()
    with rig.client() as client:
        assert client.request("GET", "/v1.41/info").status == 200


def test_connect_deadline_to_an_engine_that_does_not_shake_hands(make_rig):
    """A TCP peer that accepts and stays silent: 502 or 503 in time."""
    rig = make_rig(("unix", "mtls"), "--connect-timeout", "500ms")
    port = int(rig.recorder.url.rpartition(":")[2])
    rig.recorder.close()
    with socket.create_server(("127.0.0.1", port)):
        begin = time.monotonic()
        response = rig.client().request("GET", "/v1.41/info")
        assert response.status in (502, 503, 504)
        assert time.monotonic() - begin < 5


def test_connection_limit(make_rig):
    """Those beyond the limit wait or are turned away; those inside it live, and room comes back."""
    rig = make_rig(("unix", "unix"), "--max-connections", "4")
    inside = [rig.client() for _ in range(4)]
    for client in inside:
        assert client.request("GET", "/v1.41/info").status == 200
    outside = rig.client(timeout=0.5)
    try:
        outside.send(INFO)
        answer = outside.stream.recv()
        assert answer == b"" or answer.startswith(b"HTTP/1.1 503 "), answer
    except (TimeoutError, ConnectionError):
        pass  # left in the listen queue, or closed
    for client in inside:
        assert client.request("GET", "/v1.41/info").status == 200
    for client in inside:
        client.close()
    wait_until_served(rig, "room for a new connection")


@pytest.mark.skipif(sanitizer() == "tsan", reason="TSan needs descriptors of its own")
def test_out_of_descriptors(make_rig):
    """EMFILE: no crash, no spinning, and service as soon as there is room."""
    rig = make_rig(("unix", "unix"), "--workers", "1",
                   prefix=("sh", "-c", 'ulimit -n 48; exec "$@"', "sh"))
    alone = rig.proxy.open_files()
    crowd = []
    for _ in range(200):
        try:
            crowd.append(rig.client(timeout=2))
        except OSError:
            break
    assert len(crowd) > 60
    wait_until(lambda: rig.proxy.open_files() >= alone + 5, 5, "descriptors in use")
    before = rig.proxy.cpu_seconds()
    time.sleep(1.5)  # the interval over which CPU time is measured
    assert rig.proxy.cpu_seconds() - before < 0.4
    assert rig.proxy.running()
    for client in crowd:
        client.close()
    wait_until_served(rig, "service after the crowd has gone")


@pytest.mark.skipif(sanitizer() == "tsan", reason="TSan needs descriptors of its own")
def test_requests_while_out_of_descriptors(make_rig):
    """Clients that are in but for whom no upstream can be opened get an answer or an end."""
    rig = make_rig(("unix", "unix"), "--workers", "1",
                   prefix=("sh", "-c", 'ulimit -n 40; exec "$@"', "sh"))
    rig.handler = stream_forever
    crowd = []
    for _ in range(60):
        try:
            client = rig.client(timeout=1)
            client.send(EVENTS)
            crowd.append(client)
        except OSError:
            break
    outcomes = set()
    waiting = list(crowd)
    deadline = time.monotonic() + 2
    while waiting and time.monotonic() < deadline:
        for client in select.select([c.stream for c in waiting], [], [], 0.1)[0]:
            answered = next(c for c in waiting if c.stream is client)
            waiting.remove(answered)
            try:
                outcomes.add(answered.read_head().status)
            except (Truncated, OSError) as error:
                outcomes.add(type(error).__name__)
    assert outcomes & {200, 502, 503}, "nobody got an answer"
    assert outcomes <= {200, 502, 503, "Truncated", "ConnectionResetError",
                        "BrokenPipeError"}
    for client in crowd:
        client.close()
    rig.handler = lambda connection: (connection.read_request(), connection.reply())
    wait_until_served(rig, "service after the crowd has gone")


def test_no_descriptor_is_left_behind(make_rig, hops):
    """After all kinds of ends the proxy holds as many files as before."""
    rig = make_rig(hops, "--workers", "1", "--idle-timeout", "500ms")
    with rig.client() as client:
        assert client.request("GET", "/v1.41/info").status == 200
    base = rig.proxy.open_files()

    def cut(connection):
        connection.read_head()
        connection.stream.reset()
    for handler in (cut, stream_forever):
        rig.handler = handler
        for _ in range(10):
            client = rig.client()
            client.send(EVENTS)
            try:
                client.read_head()
            except (Truncated, OSError):
                pass
            client.stream.reset()
    for data in (b"nonsense\r\n\r\n", b"GET /v1.41/in", b""):
        for _ in range(5):
            client = rig.client()
            client.send(data)
            client.close()
    wait_until(lambda: rig.proxy.open_files() <= base + 2, 10,
               f"files back to {base}, now {rig.proxy.open_files()}")


def test_idle_costs_no_cpu(make_rig, hops):
    """Open connections, streams and tunnels that are silent do not keep the worker busy."""
    rig = make_rig(hops, "--workers", "1")
    rig.handler = stream_forever
    clients = [rig.client() for _ in range(10)]
    for client in clients:
        client.send(EVENTS)
        client.read_head()
        assert client.read_chunk()[1] == b"first"
    clients.append(rig.client())  # idle
    half = rig.client()
    half.send(b"GET /v1.41/in")
    before = rig.proxy.cpu_seconds()
    time.sleep(1)  # the interval over which CPU time is measured
    assert rig.proxy.cpu_seconds() - before < 0.15


def test_half_sent_chunk_line_costs_no_cpu(make_rig, hops):
    """An incomplete size line leaves bytes in the socket: they must not wake the worker forever."""
    rig = make_rig(hops, "--workers", "1")
    client = rig.client()
    client.send(build_request("POST", "/v1.41/images/load",
                              ["Content-Type: application/x-tar", "Transfer-Encoding: chunked"])
                + b"5\r\nhello\r\n1")
    connection = rig.recorder.wait_connection()
    wait_until(lambda: b"hello" in connection.received, 5, "the first chunk")
    before = rig.proxy.cpu_seconds()
    time.sleep(1)  # the interval over which CPU time is measured
    assert rig.proxy.cpu_seconds() - before < 0.15
    client.send(b"0\r\n0123456789abcdef\r\n0\r\n\r\n")
    assert client.read_response().status == 200


def test_half_closed_tunnel_costs_no_cpu(make_rig, hops):
    """EPOLLHUP and EPOLLRDHUP of the ended direction are not waited for again."""
    rig = make_rig(hops, "--workers", "1")
    release = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        connection.read_all()
        release.wait(20)
        connection.send(b"late")
        connection.close()
    rig.handler = handler
    client = rig.client()
    client.send(build_request("POST", "/v1.41/containers/x/attach?stream=1",
                              ["Upgrade: tcp", "Connection: Upgrade"], b""))
    client.read_head()
    client.close_write()
    connection = rig.recorder.wait_connection()
    wait_until(lambda: connection.ended == "eof", 5, "the half-close at the engine")
    before = rig.proxy.cpu_seconds()
    time.sleep(1)  # the interval over which CPU time is measured
    used = rig.proxy.cpu_seconds() - before
    release.set()
    assert client.read_all() == b"late"
    assert used < 0.15


@pytest.mark.threads
def test_sigterm_lets_streams_finish(make_rig, hops):
    """No new connections, but the stream that is under way reaches its end; exit status 0."""
    rig = make_rig(hops, "--workers", "2", "--drain-timeout", "10s")
    go = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        go.wait(10)
        connection.send(b"67890")
    rig.handler = handler
    client = rig.client()
    client.send(INFO)
    response = client.read_head()
    rig.proxy.terminate()

    def refuses():
        try:
            connect_socket(rig.url, 1).close()
            return False
        except OSError:
            return True
    wait_until(refuses, 5, "no more accepting")
    assert rig.proxy.running()
    go.set()
    assert client.read_body(response).body == b"1234567890"
    assert rig.proxy.wait(5) == 0


@pytest.mark.threads
def test_sigterm_ends_endless_streams_after_the_bound(make_rig, hops):
    rig = make_rig(hops, "--workers", "2", "--drain-timeout", "700ms")
    rig.handler = stream_forever
    clients = [rig.client() for _ in range(4)]
    for client in clients:
        client.send(EVENTS)
        client.read_head()
    begin = time.monotonic()
    rig.proxy.terminate()
    assert rig.proxy.wait(10) == 0
    assert 0.5 < time.monotonic() - begin < 6


@pytest.mark.threads
def test_sigterm_without_work_ends_at_once(make_rig, hops):
    """Idle kept connections do not hold it up."""
    rig = make_rig(hops, "--drain-timeout", "20s")
    client = rig.client()
    assert client.request("GET", "/v1.41/info").status == 200
    begin = time.monotonic()
    rig.proxy.terminate()
    assert rig.proxy.wait(10) == 0
    assert time.monotonic() - begin < 5


@pytest.mark.threads
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_under_load(make_rig, number):
    """Signals in the midst of traffic on all workers: a clean end."""
    rig = make_rig(("tcp", "unix"), "--workers", "4", "--drain-timeout", "2s")
    stop = threading.Event()

    def run():
        while not stop.is_set():
            try:
                with Client(rig.url, timeout=2) as client:
                    for _ in range(5):
                        client.request("GET", "/v1.41/info")
            except (OSError, Truncated):
                pass
    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(rig.recorder.requests()) > 100, 20, "traffic")
    rig.proxy.process.send_signal(number)
    status = rig.proxy.wait(15)
    stop.set()
    for thread in threads:
        thread.join()
    assert status == 0


def test_sigpipe_does_not_kill(unix_rig):
    """Clients that leave before their answer."""
    for _ in range(20):
        client = unix_rig.client()
        client.send(INFO * 20)
        client.stream.reset()
    unix_rig.barrier()
    assert unix_rig.proxy.running()


def test_strangers_are_turned_away(make_rig, certificates):
    """No certificate, one of another CA, an expired one, plain text: nothing reaches the engine."""
    import ssl
    rig = make_rig(("mtls", "unix"), "--workers", "1")
    host, _, port = rig.url.removeprefix("tcp://").rpartition(":")
    for name in (None, "stranger", "expired", "dind-client"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certificates / "agent" / "ca.pem")
        if name:
            context.load_cert_chain(certificates / name / "cert.pem", certificates / name / "key.pem")
        with pytest.raises(OSError):
            with socket.create_connection((host, int(port)), 5) as sock:
                with context.wrap_socket(sock, server_hostname="localhost") as tls:
                    tls.sendall(INFO)
                    if not tls.recv(1):
                        raise ConnectionError("ended")
    plain = Client(rig.url, timeout=5)
    plain.send(INFO)
    assert b"HTTP/1.1 200" not in time_to_end(plain)[1]
    rig.assert_nothing_reached()


@pytest.mark.parametrize("offered,chosen", [(["h2", "http/1.1"], "http/1.1"),
                                            (["http/1.1"], "http/1.1")])
def test_alpn_offers_http_1_1_only(make_rig, certificates, offered, chosen):
    import ssl
    rig = make_rig(("mtls", "unix"))
    agent = certificates / "agent"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(agent / "ca.pem")
    context.load_cert_chain(agent / "cert.pem", agent / "key.pem")
    context.set_alpn_protocols(offered)
    host, _, port = rig.url.removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), 5) as sock:
        with context.wrap_socket(sock, server_hostname="localhost") as tls:
            assert tls.selected_alpn_protocol() == chosen


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_tls_versions(make_rig, certificates, version):
    import ssl
    rig = make_rig(("mtls", "unix"))
    agent = certificates / "agent"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    context.load_verify_locations(agent / "ca.pem")
    context.load_cert_chain(agent / "cert.pem", agent / "key.pem")
    host, _, port = rig.url.removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), 5) as sock:
        with context.wrap_socket(sock, server_hostname="localhost") as tls:
            tls.sendall(INFO)
            assert tls.recv(12) == b"HTTP/1.1 200"


def test_wrong_engine_is_not_talked_to(make_rig, certificates, tmp_path):
    """An engine whose certificate chains to another CA gets no request."""
    from proxy_process import Proxy
    from recorder import Recorder
    impostor = Recorder("tcp://127.0.0.1:0", certificates / "proxy")
    client_files = certificates / "dind-client"
    proxy = Proxy([f"unix://{tmp_path}/p.sock"], impostor.url,
                  ["--upstream-tls-cert", client_files / "cert.pem",
                   "--upstream-tls-key", client_files / "key.pem",
                   "--upstream-tls-ca", client_files / "ca.pem"], tmp_path / "log")
    try:
        with Client(f"unix://{tmp_path}/p.sock") as client:
            response = client.request("GET", "/v1.41/info")
            assert response.status in (502, 503) and response.message()
        assert impostor.received() == b""
    finally:
        proxy.stop()
        impostor.close()


def test_memory_of_many_idle_connections(make_rig):
    """What one idle client costs, measured over many."""
    if sanitizer():
        pytest.skip("memory under a sanitizer says nothing")
    rig = make_rig(("unix", "unix"))
    before = rig.proxy.status("VmRSS")
    clients = [rig.client() for _ in range(500)]
    for client in clients:
        client.send(b"GET /v1.41/in")
    with rig.client() as last:
        assert last.request("GET", "/v1.41/info").status == 200
    assert rig.proxy.status("VmRSS") - before < 500 * 80
    assert os.path.exists(rig.proxy.log_path)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_memory_of_streams_behind_large_judged_bodies(make_rig, framing):
    """What was needed to judge a body does not stay for as long as the next request streams."""
    if sanitizer():
        pytest.skip("memory under a sanitizer says nothing")
    rig = make_rig(("unix", "unix"), "--workers", "1")

    def answer(connection):
        connection.read_request()
        connection.reply()
        while True:
            connection.read_head()
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            connection.read_all()

    rig.handler = answer
    body = b'{"Image":"b","Labels":{"a":"' + b"x" * 900000 + b'"}}'
    if framing == "chunked":
        head = b"Transfer-Encoding: chunked\r\n\r\n"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    else:
        head = b"Content-Length: %d\r\n\r\n" % len(body)
    create = (b"POST /v1.41/containers/create HTTP/1.1\r\nHost: docker\r\n"
              b"Content-Type: application/json\r\n" + head + body)
    before = rig.proxy.status("VmRSS")
    for _ in range(40):
        client = rig.client()
        client.send(create + EVENTS + b"G")  # a byte of yet another request keeps the buffer
        assert client.read_response("POST").status == 200
        client.read_head()
    assert rig.proxy.status("VmRSS") - before < 40 * 150
