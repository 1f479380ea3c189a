"""SIGHUP: certificates and policy are read again for what is new, and what is at work goes on."""

import contextlib
import os
import shutil
import signal
import ssl
import threading
import time

import pytest

from client import Client, build_request
from proxy_process import make_certificates
from recorder import answer_ok, echo_tunnel, wait_until
from rig import Rig
from streams import Truncated, connect_socket, tls_context

pytestmark = pytest.mark.threads

ATTACH = build_request("POST", "/v1.41/containers/x/attach?stream=1&stdin=1&stdout=1",
                       ["Upgrade: tcp", "Connection: Upgrade"], b"")
EVENTS = build_request("GET", "/v1.41/events")
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSED = (OSError, Truncated)  # ssl.SSLError is an OSError


@pytest.fixture(scope="session")
def others(tmp_path_factory):
    """The same names as in `certificates`, of other CAs."""
    return make_certificates(tmp_path_factory.mktemp("others"))


@pytest.fixture
def mounted(tmp_path, certificates):
    """Certificates that a test may change."""
    return shutil.copytree(certificates, tmp_path / "mounted")


@pytest.fixture
def make_reloadable(tmp_path, mounted):
    rigs = []

    def make(hops=("mtls", "mtls"), *options, handler=answer_ok):
        directory = tmp_path / f"rig{len(rigs)}"
        directory.mkdir()
        rigs.append(Rig(directory, mounted, hops, options, handler))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


def reloads(rig):
    return [line for line in rig.proxy.log_lines() if "event=reload " in line]


def reload(rig):
    """The log's line about it."""
    before = len(reloads(rig))
    os.kill(rig.proxy.pid, signal.SIGHUP)
    wait_until(lambda: len(reloads(rig)) > before, 20, "the line about the reload")
    return reloads(rig)[before]


def assert_reloaded(rig):
    line = reload(rig)
    assert "level=info" in line, line


def replace(source, target):
    """As a mounted secret is renewed: whole and at once."""
    for name in ("cert.pem", "key.pem", "ca.pem"):
        shutil.copy2(source / name, target / (name + ".new"))
        os.replace(target / (name + ".new"), target / name)


def own_certificate(directory):
    return ssl.PEM_cert_to_DER_cert((directory / "cert.pem").read_text())


def shown(stream):
    return stream.object.getpeercert(binary_form=True)


def ask(rig, certs, target="/v1.41/info"):
    """The status of one request on a connection of its own."""
    with Client(rig.url, certs) as client:
        return client.request("GET", target).status


def assert_locked_out(rig, certs):
    with pytest.raises(REFUSED):
        ask(rig, certs)


class Load:
    """Streams of every kind and small requests until `end`; what went wrong is in `faults`."""

    STREAMS = 4  # of each kind

    def __init__(self, rig):
        self.rig = rig
        self.ending = threading.Event()
        self.faults = []
        self.moved = {}
        rig.handler = self.serve
        jobs = [self.follow, self.upload, self.talk] * self.STREAMS + [self.ask, self.ask_anew]
        self.threads = [threading.Thread(target=self.run, args=(job, number))
                        for number, job in enumerate(jobs)]
        for thread in self.threads:
            thread.start()

    def serve(self, connection):
        """The engine's side: numbers its chunks, counts an upload, echoes a tunnel."""
        head = connection.read_head()
        if "/events" in head.target:
            connection.send(STREAM)
            number = 0
            while not self.ending.is_set():
                line = b"%08d" % number
                connection.send(b"8\r\n" + line + b"\r\n")
                number += 1
                time.sleep(0.005)
            connection.send(b"0\r\n\r\n")
        elif "/images/load" in head.target:
            count, payload = 0, b"x"
            while payload:
                wire, payload = connection.read_chunk()
                count += len(wire)
            connection.reply(200, b"%d" % count)
        elif "/attach" in head.target:
            echo_tunnel(connection)
        else:
            connection.read_body(head)
            connection.reply()

    def run(self, job, number):
        try:
            job(number)
        except Exception as error:  # pylint: disable=broad-except
            self.faults.append(f"{job.__name__}: {error!r}")

    def go_on(self, number, count):
        """At a pace that leaves the machine, and the recorder, which keeps all, room for more."""
        self.moved[number] = count
        time.sleep(0.005)
        return not self.ending.is_set()

    def follow(self, number):
        with self.rig.client(30) as client:
            client.send(EVENTS)
            assert client.read_head().status == 200
            expected = 0
            while payload := client.read_chunk()[1]:
                assert payload == b"%08d" % expected, payload
                expected += 1
                self.moved[number] = expected

    def upload(self, number):
        block = b"2710\r\n" + bytes(10000) + b"\r\n"
        with self.rig.client(30) as client:
            client.send(build_request("POST", "/v1.41/images/load",
                                      ["Content-Type: application/x-tar",
                                       "Transfer-Encoding: chunked"]))
            sent = 0
            while self.go_on(number, sent):
                client.send(block)
                sent += 1
            client.send(b"0\r\n\r\n")
            response = client.read_response()
            assert response.status == 200
            assert int(response.body) == sent * len(block) + 5

    def talk(self, number):
        with self.rig.client(30) as client:
            client.send(ATTACH)
            assert client.read_head().status == 101
            turns = 0
            while self.go_on(number, turns):
                data = os.urandom(3000)
                client.send(data)
                assert client.read_exactly(len(data)) == data
                turns += 1
            client.close_write()
            assert client.read_all() == b""

    def ask(self, number):
        count = 0
        with self.rig.client(30) as client:
            while self.go_on(number, count):
                assert client.request("GET", "/v1.41/info").status == 200
                body = b'{"Image": "alpine"}'
                assert client.request("POST", "/v1.41/containers/create",
                                      ["Content-Type: application/json"], body).status == 200
                count += 1

    def ask_anew(self, number):
        count = 0
        while self.go_on(number, count):
            with self.rig.client(30) as client:
                assert client.request("GET", "/v1.41/info").status == 200
            count += 1

    def wait_progress(self):
        """Until each has moved since now."""
        before = dict(self.moved)
        wait_until(lambda: self.faults or all(
            self.moved.get(n, 0) > before.get(n, 0) for n in range(len(self.threads))),
            30, "every stream moving")

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self.threads)


@pytest.mark.parametrize("hops", [("mtls", "mtls"), ("unix", "unix")], ids="-".join)
def test_reloads_under_load_lose_nothing(make_reloadable, others, mounted, hops):
    """Every stream goes on, every request is answered, whether a reload takes effect or fails."""
    rig = make_reloadable(hops, "--workers", "3")
    load = Load(rig)
    try:
        load.wait_progress()
        for turn in range(24):
            key = mounted / "proxy/key.pem"
            if hops[0] == "mtls" and turn % 3 == 1:
                good = key.read_bytes()
                key.write_bytes((others / "proxy/key.pem").read_bytes())
                line = reload(rig)
                assert "level=error" in line and str(key) in line, line
                key.write_bytes(good)
            else:
                assert_reloaded(rig)
            if turn % 6 == 0:
                load.wait_progress()
        load.wait_progress()
    finally:
        load.end()
    assert load.faults == []
    assert rig.recorder.errors == []


def break_key(mounted, others):
    shutil.copy2(others / "proxy/key.pem", mounted / "proxy/key.pem")
    return mounted / "proxy/key.pem", "does not belong to the certificate"


def cut_certificate(mounted, _others):
    path = mounted / "proxy/cert.pem"
    path.write_bytes(path.read_bytes()[:200])
    return path, "cannot be used"


def take_away_authority(mounted, _others):
    path = mounted / "proxy/ca.pem"
    path.unlink()
    return path, "No such file"


def open_key_to_everybody(mounted, _others):
    path = mounted / "proxy/key.pem"
    path.chmod(0o644)
    return path, "open to everybody"


def let_certificate_expire(mounted, _others):
    replace(mounted / "expired", mounted / "proxy")
    return mounted / "proxy/cert.pem", "expired at 2021"


def break_engine_authority(mounted, _others):
    path = mounted / "dind-client/ca.pem"
    path.write_text("nothing\n")
    return path, "holds no certificate"


@pytest.mark.parametrize("spoil", [break_key, cut_certificate, take_away_authority,
                                   open_key_to_everybody, let_certificate_expire,
                                   break_engine_authority], ids=lambda f: f.__name__)
def test_a_bad_file_keeps_the_old_and_says_why(make_reloadable, certificates, others, mounted,
                                               spoil):
    """Not even the other hop's good files count then; once all is well again, all do."""
    rig = make_reloadable()
    old = own_certificate(mounted / "proxy")
    path, why = spoil(mounted, others)
    line = reload(rig)
    assert "level=error" in line and "nothing was changed" in line, line
    assert str(path) in line and why in line, line
    with Client(rig.url, certificates / "agent") as client:
        assert shown(client.stream) == old
        assert client.request("GET", "/v1.41/info").status == 200

    path.unlink(missing_ok=True)  # lest the mode stay
    for name in ("proxy", "dind-client"):
        replace(certificates / name, mounted / name)
    assert_reloaded(rig)
    assert ask(rig, certificates / "agent") == 200


def test_renewed_certificates_are_shown_to_new_connections(make_reloadable, certificates, others,
                                                           mounted):
    """And a changed CA of the clients locks out the old ones, kept connections too, but ends no
    stream."""
    feed = threading.Semaphore(0)

    def handler(connection):
        head, _ = connection.read_request()
        if "/events" not in head.target:
            connection.reply()
            return
        connection.send(STREAM)
        for _ in range(2):
            feed.acquire(timeout=10)
            connection.send(b"3\r\none\r\n")
        connection.send(b"0\r\n\r\n")
    rig = make_reloadable(handler=handler)
    kept, streaming = rig.client(), rig.client()
    assert kept.request("GET", "/v1.41/info").status == 200
    streaming.send(EVENTS)
    assert streaming.read_head().status == 200
    assert_locked_out(rig, others / "agent")

    replace(others / "proxy", mounted / "proxy")
    assert_reloaded(rig)
    with Client(rig.url, others / "agent") as client:
        assert shown(client.stream) == own_certificate(others / "proxy")
        assert client.request("GET", "/v1.41/info").status == 200

    # The old client trusts the new certificate here, so it is the proxy that refuses.
    trusting = shutil.copytree(certificates / "agent", mounted / "trusting")
    shutil.copy2(others / "agent/ca.pem", trusting / "ca.pem")
    assert_locked_out(rig, trusting)
    rig.proxy.wait_log(r"event=handshake .*level=warning|level=warning .*event=handshake")

    assert kept.closed()
    feed.release()
    assert streaming.read_chunk()[1] == b"one"
    mark = rig.recorder.mark()
    streaming.send(build_request("GET", "/v1.41/containers/never/json"))
    feed.release()
    assert streaming.read_chunk()[1] == b"one"
    assert streaming.read_chunk()[1] == b""
    assert streaming.closed()
    assert rig.reached(mark) == []


def test_a_ticket_of_before_does_not_open_the_door(make_reloadable, certificates, others, mounted):
    """A client that the new CA does not know comes with a session that the old one began."""
    rig = make_reloadable(("mtls", "unix"))
    context = tls_context(certificates / "agent", False)

    def ask_with(session):
        """The answer, the session and whether it was resumed."""
        with context.wrap_socket(connect_socket(rig.url), session=session,
                                 server_hostname="localhost") as sock:
            sock.sendall(build_request("GET", "/v1.41/info"))
            return sock.recv(65536), sock.session, sock.session_reused

    answer, session, _ = ask_with(None)
    assert b" 200 " in answer and session.has_ticket
    answer, session, resumed = ask_with(session)
    assert b" 200 " in answer and resumed
    shutil.copy2(others / "proxy/ca.pem", mounted / "proxy/ca.pem")
    assert_reloaded(rig)
    with contextlib.suppress(OSError):
        answer, _, _ = ask_with(session)
        assert answer == b"", answer
    rig.proxy.wait_log(r"event=handshake ")


def test_the_engine_sees_the_renewed_certificate(make_reloadable, others, mounted):
    """Connections kept idle are dropped; one that is at work is not kept afterwards."""
    begun, go_on = threading.Event(), threading.Event()

    def handler(connection):
        head, _ = connection.read_request()
        if "/wait" in head.target:
            begun.set()
            assert go_on.wait(20)
        connection.reply()
    rig = make_reloadable(("unix", "mtls"), "--workers", "1", handler=handler)
    waiting = rig.client(30)
    waiting.send(build_request("POST", "/v1.41/containers/x/wait", body=b""))
    assert begun.wait(10)
    assert ask(rig, None) == 200
    busy, idle = rig.recorder.connections
    old = own_certificate(mounted / "dind-client")
    assert shown(busy.stream) == shown(idle.stream) == old

    # The engine trusts both from now on, so that nothing but the reload makes the difference.
    rig.recorder.context.load_verify_locations(others / "dind-client/ca.pem")
    for name in ("cert.pem", "key.pem"):
        shutil.copy2(others / "dind-client" / name, mounted / "dind-client" / name)
    assert_reloaded(rig)
    wait_until(lambda: idle.ended, 10, "the end of the idle connection")
    assert not busy.ended
    go_on.set()
    assert waiting.read_response().status == 200
    wait_until(lambda: busy.ended, 10, "the end of the busy connection after its exchange")
    assert ask(rig, None) == 200
    assert shown(rig.recorder.wait_connection(2).stream) == own_certificate(others / "dind-client")


def test_an_engine_of_another_ca_is_refused_whatever_ticket_it_gave(make_reloadable, others,
                                                                    mounted):
    """A session that began under the old CA is not resumed under the new one, nor does a connection
    that is at work meanwhile leave a ticket for later."""
    begun, go_on = threading.Event(), threading.Event()

    def handler(connection):
        head, _ = connection.read_request()
        if "/wait" in head.target:
            begun.set()
            assert go_on.wait(20)
        connection.reply()
    rig = make_reloadable(("unix", "mtls"), "--workers", "1", handler=handler)
    assert ask(rig, None) == 200
    waiting = rig.client(30)
    waiting.send(build_request("POST", "/v1.41/containers/x/wait", body=b""))
    assert begun.wait(10)
    authority = (mounted / "dind-client/ca.pem").read_bytes()
    shutil.copy2(others / "dind-client/ca.pem", mounted / "dind-client/ca.pem")
    assert_reloaded(rig)
    go_on.set()
    assert waiting.read_response().status == 200
    for _ in range(3):
        assert ask(rig, None) == 503
    (mounted / "dind-client/ca.pem").write_bytes(authority)
    assert_reloaded(rig)
    assert ask(rig, None) == 200


def test_sighup_does_not_cut_a_drain_short(make_reloadable):
    go_on = threading.Event()

    def handler(connection):
        connection.read_request()
        connection.send(STREAM)
        assert go_on.wait(20)
        connection.send(b"0\r\n\r\n")
    rig = make_reloadable(("unix", "unix"), "--drain-timeout", "30s", handler=handler)
    client = rig.client()
    client.send(EVENTS)
    assert client.read_head().status == 200
    rig.proxy.terminate()
    rig.proxy.wait_log("event=stopping")
    for _ in range(3):
        os.kill(rig.proxy.pid, signal.SIGHUP)
        time.sleep(0.1)  # several turns of the drain, in which it looks for signals
    assert rig.proxy.running()
    go_on.set()
    assert client.read_chunk()[1] == b""
    rig.proxy.wait()


def test_a_reload_without_files(make_reloadable):
    """Kept connections go on; the policy is the same one."""
    rig = make_reloadable(("unix", "tcp"))
    client = rig.client()
    assert client.request("GET", "/v1.41/info").status == 200
    for _ in range(3):
        assert_reloaded(rig)
    assert client.request("GET", "/v1.41/info").status == 200
    assert client.request("POST", "/v1.41/containers/x/exec",
                          ["Content-Type: application/json"], b"{}").status == 403
