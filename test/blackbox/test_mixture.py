"""Many connections at a time that mix all kinds of requests, answers and ways to break off, by a seed.
What the engine received is exactly what was sent of the requests that pass, and nothing of others."""

import contextlib
import itertools
import os
import random
import re
import signal
import socket
import threading
import time

import pytest

from client import Client
from recorder import wait_until
from streams import Truncated

SEED = int(os.environ.get("DIND_PROXY_MIXTURE_SEED", "1"))
SECONDS = float(os.environ.get("DIND_PROXY_MIXTURE_SECONDS", "3"))
THREADS = 8
MOST_FILES = 100  # of which 64 are two workers' spare pipes
MARK = re.compile(rb"\r\nX-Mix: (\S+) (\S+)\r\n")
RAW = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
SWITCH = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


class Sent:
    """A request: what goes onto the wire, what may pass of it, and what answers it."""

    def __init__(self, raw, method, passes, judged, does, tunnel):
        self.raw, self.method, self.passes, self.judged = raw, method, passes, judged
        self.does, self.tunnel = does, tunnel
        self.given = 0  # bytes that the client has handed over, at the most


def chunked(choose, body):
    wire = b""
    while body:
        size = choose.choice((1, 7, 100, 5000, 20000, 70000))
        wire += b"%x\r\n%b\r\n" % (len(body[:size]), body[:size])
        body = body[size:]
    return wire + b"0\r\n" + choose.choice((b"", b"X-Trailer: y\r\n")) + b"\r\n"


def bulk(choose):
    size = choose.choice((0, 1, 300, 4096, 16384, 16385, 40000, 200000))
    return (b"%08x" % choose.getrandbits(32)) * (size // 8) + b"x" * (size % 8)


ANSWERS = ("ok", "ok", "ok", "chunked", "big", "none", "close", "interim", "early", "drop", "half",
           "stream")


class Mixture:
    def __init__(self, rig, seed):
        self.rig, self.seed = rig, seed
        self.sent = {}
        self.numbers = itertools.count()
        self.failures = []
        self.stop = False
        rig.handler = self.engine

    # The engine.

    def engine(self, connection):
        head = connection.read_head()
        _, does = head.get("x-mix").split()
        choose = random.Random(head.get("x-mix"))
        body_of = b"<%s>" % head.get("x-mix").encode()
        if head.method == "HEAD":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            connection.read_body(head)
            return
        if does == "early":
            connection.reply(418, body_of)
            connection.read_body(head)
            return
        if does == "drop":
            connection.close()
            return
        if does == "stream":
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            if "chunked" in (head.get("transfer-encoding") or ""):
                while True:
                    _, payload = connection.read_chunk()
                    if not payload:
                        break
                    connection.send(b"%x\r\n%b\r\n" % (len(payload), payload))
            else:
                connection.read_body(head)
            connection.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body_of), body_of))
            return
        connection.read_body(head)
        if does in ("switch", "raw"):
            connection.send(SWITCH if does == "switch" else RAW)
            while data := connection.read_some():
                connection.send(data)
            connection.close_write()
            connection.close()
        elif does == "interim":
            connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * choose.randrange(1, 4))
            connection.reply(200, body_of)
        elif does == "none":
            connection.send(choose.choice((b"HTTP/1.1 204 No Content\r\n\r\n",
                                           b"HTTP/1.1 304 Not Modified\r\n\r\n")))
        elif does == "chunked":
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                            + chunked(choose, bulk(choose) + body_of))
        elif does == "big":
            connection.reply(200, bulk(choose) * 3 + body_of)
        elif does == "close":
            connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + bulk(choose) + body_of)
            connection.close()
        elif does == "half":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + body_of)
            connection.close()
        else:
            connection.reply(200, body_of)

    # The clients.

    def request(self, choose):
        name = f"{self.seed}-{next(self.numbers)}"
        does = choose.choice(ANSWERS)
        lines, body, judged, passes, tunnel = [], None, False, True, None
        kind = choose.choice(("get", "get", "head", "build", "load", "create", "create", "attach",
                              "attach", "privileged", "exec", "malformed", "bad-body"))
        method = "POST"
        if kind == "get":
            method, path = "GET", choose.choice(("/info", "/v1.41/containers/json", "/_ping"))
        elif kind == "head":
            method, path = "HEAD", "/_ping"
        elif kind in ("build", "load"):
            path = "/v1.41/build" if kind == "build" else "/images/load"
            lines, body = ["Content-Type: application/x-tar"], bulk(choose)
        elif kind in ("create", "privileged"):
            path, judged, passes = "/v1.41/containers/create", True, kind == "create"
            lines = ["Content-Type: application/json"]
            body = b'{"Image":"x","Env":["%b"]%b}' % (
                b"e" * choose.choice((0, 10, 20000)),
                b"" if passes else b',"HostConfig":{"Privileged":true}')
        elif kind == "exec":
            path, passes = "/containers/x/exec", False
            lines, body = ["Content-Type: application/json"], b'{"Cmd":["x"]}'
        elif kind == "attach":
            path, does = "/containers/x/attach?stream=1", choose.choice(("switch", "raw", "ok"))
            if does == "switch":
                lines = ["Connection: Upgrade", "Upgrade: tcp"]
            if does != "ok":
                tunnel = bulk(choose)
        elif kind == "malformed":
            method, path, passes = "GET", "/info", False
            lines = choose.choice((["X : y"], [" folded"], ["Content-Length: 1", "Content-Length: 1"],
                                   ["Transfer-Encoding: chunked", "Content-Length: 3"], ["X: \0"],
                                   ["Transfer-Encoding: gzip"], ["X: a\nContent-Length: 3"]))
        else:
            path, judged, passes = "/networks/create", True, False
            lines, body = ["Content-Type: application/json"], b'{"Name":"x"} x'
        if body is not None and choose.random() < 0.5:
            lines.append("Transfer-Encoding: chunked")
            wire = chunked(choose, body)
        elif body is not None:
            lines.append(f"Content-Length: {len(body)}")
            wire = body
        else:
            wire = b""
        raw = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: docker", f"X-Mix: {name} {does}",
                           *lines]).encode() + b"\r\n\r\n" + wire
        sent = Sent(raw, method, passes, judged, does, tunnel)
        self.sent[name] = sent
        return name, sent

    def converse(self, choose):
        """One connection: some requests, one by one or all at once, perhaps broken off."""
        requests = [self.request(choose) for _ in range(choose.choice((1, 1, 2, 4)))]
        tunnels = [i for i, (_, sent) in enumerate(requests) if sent.tunnel is not None]
        requests = requests[:tunnels[0] + 1] if tunnels else requests
        together = choose.random() < 0.5
        with self.client() as client:
            if choose.random() < 0.4:
                self.break_off(choose, client, requests)
                return
            senders = []
            try:
                self.ask(client, requests, together, senders)
            except Exception as error:
                said = [(name, sent.raw[:40], sent.does, len(sent.raw)) for name, sent in requests]
                raise AssertionError(f"{error!r} in {said}, together: {together}") from error
            finally:
                # Not closed while a thread may still write, perhaps to the next one of its number.
                with contextlib.suppress(OSError):
                    client.stream.sock.shutdown(socket.SHUT_RDWR)
                for sender in senders:
                    sender.join()

    def ask(self, client, requests, together, senders):
        if together:
            for _, sent in requests:
                sent.given = len(sent.raw)
            self.send(client, b"".join(sent.raw for _, sent in requests), senders)
        for name, sent in requests:
            if not together:
                sent.given = len(sent.raw)
                self.send(client, sent.raw, senders)
            if not self.answer(client, name, sent, senders):
                return

    def client(self):
        return Client(self.rig.url, self.rig.certificates / "agent" if self.rig.down == "mtls"
                      else None, 30)

    @staticmethod
    def send(client, data, senders):
        """In a thread, as what answers early may not read on."""
        def run():
            with contextlib.suppress(OSError):
                client.send(data)
        senders.append(threading.Thread(target=run, daemon=True))
        senders[-1].start()

    def break_off(self, choose, client, requests):
        data = b"".join(sent.raw for _, sent in requests)
        cut = choose.choice((len(data), choose.randrange(len(data) + 1)))
        left = cut
        for _, sent in requests:
            sent.given = max(0, min(left, len(sent.raw)))
            left -= len(sent.raw)
        client.settimeout(choose.choice((0.01, 0.2)))
        try:
            client.send(data[:cut])
            how = choose.choice(("close", "reset", "half", "read", "wait"))
            if how == "half":
                client.close_write()
            if how in ("half", "read"):
                client.stream.recv(choose.choice((1, 100000)))
            if how == "wait":
                time.sleep(choose.choice((0, 0.001, 0.02)))
            if how == "reset":
                client.stream.reset()
        except (OSError, Truncated):
            pass

    @staticmethod
    def answer(client, name, sent, senders):
        """Whether the connection goes on afterwards."""
        try:
            response = client.read_head()
            if sent.tunnel is not None and response.status in (101, 200):
                Mixture.send(client, sent.tunnel, senders)
                assert client.read_exactly(len(sent.tunnel)) == sent.tunnel
                client.close_write()
                assert client.read_all() == b""
                return False
            client.read_body(response, sent.method)
        except (ConnectionError, Truncated) as error:
            # Who is answered early, or by half, is cut; others are not.
            assert sent.passes and sent.does in ("early", "half", "drop"), (name, sent.does, error)
            return False
        if not sent.passes:
            assert response.status in (400, 403), (name, response.raw_head)
        elif sent.method == "HEAD":
            assert response.status == 200, (name, response.raw_head)
        elif sent.does == "drop":
            assert response.status == 502, (name, response.raw_head)
        elif response.status not in (204, 304):
            assert response.body.endswith(b"<%s %s>" % (name.encode(), sent.does.encode())), \
                (name, sent.does, response.raw_head, response.body[-200:])
        return (response.get("connection") or "").lower() != "close" and not response.until_close \
            and (sent.does not in ("early", "drop", "half") or sent.method == "HEAD")

    def run_client(self, index):
        choose = random.Random(f"{self.seed}/{index}")
        while not self.stop and not self.failures:
            try:
                self.converse(choose)
            except Exception as error:  # to be told by the test's own thread
                self.failures.append(f"{type(error).__name__}: {error}")

    # What must hold.

    def check(self):
        seen = {}
        for connection in self.rig.recorder.connections:
            data = bytes(connection.received)
            while data:
                end = data.find(b"\r\n\r\n")
                mark = MARK.search(data[:end + 4] if end >= 0 else data)
                if not mark:
                    assert end < 0 and any(sent.raw.startswith(data) for sent in self.sent.values()
                                           if sent.passes), data[:500]
                    break
                name = mark[1].decode()
                sent = self.sent[name]
                wire = sent.raw + (sent.tunnel or b"")
                assert sent.passes, (name, data[:500])
                assert data.startswith(wire) or wire.startswith(data), (name, data[:500])
                assert sent.given == len(sent.raw) or (
                    not sent.judged and len(data) <= sent.given), (name, sent.given, len(data))
                seen[name] = seen.get(name, 0) + 1
                assert seen[name] == 1 or (seen[name] == 2 and sent.method != "POST"), name
                data = data[len(wire):]

    def run(self, seconds):
        threads = [threading.Thread(target=self.run_client, args=(i,)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.failures:
            time.sleep(0.2)
            self.rig.proxy.process.send_signal(signal.SIGHUP)
        self.stop = True
        for thread in threads:
            thread.join(60)
        assert not self.failures, "\n".join(self.failures)
        self.check()


@pytest.mark.threads
@pytest.mark.parametrize("hops", (("unix", "unix"), ("tcp", "tcp"), ("mtls", "mtls")), ids="-".join)
def test_mixture(make_rig, hops):
    rig = make_rig(hops, "--workers", "2")
    mixture = Mixture(rig, SEED)
    mixture.run(SECONDS)
    assert len(mixture.sent) > 20
    for connection in rig.recorder.connections:
        connection.close()
    time.sleep(0.1)
    spent = rig.proxy.cpu_seconds()
    time.sleep(1)
    assert rig.proxy.cpu_seconds() - spent < 0.2, "busy without connections"
    # Nothing is kept of connections that have gone but the pools' pipes.
    wait_until(lambda: rig.proxy.open_files() < MOST_FILES, 10, f"{MOST_FILES} descriptors")
