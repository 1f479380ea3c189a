"""Bulk bytes stay in the kernel: shown by counting what read-like and write-like calls moved."""

import hashlib
import os
import re
import shutil
import subprocess
import threading

import pytest

from client import build_request
from kernel_tls import needed_for
from proxy_process import binary, sanitizer
from recorder import wait_until

pytestmark = pytest.mark.ktls

LOAD = "/v1.41/images/load"
GET = "/v1.41/images/x/get"
TAR = "Content-Type: application/x-tar"
CHUNK = 32768  # as Go's net/http sends a body it does not know the length of
FIRST = 4096   # the size of its buffer: each chunk leaves it as three writes
MIB = 1 << 20

READS = "read,readv,pread64,recvfrom,recvmsg"
WRITES = "write,writev,pwrite64,sendto,sendmsg"
CALL = re.compile(r"\b(%s)(?:\(| resumed>).* = (\d+)$" % f"{READS},{WRITES},splice".replace(",", "|"))


def pieces(size, framing):
    """(bytes on the wire, payload): a body of `size` in the pieces that a Go program writes."""
    block = os.urandom(CHUNK)
    for at in range(0, size, CHUNK):
        payload = at.to_bytes(8, "big") + block[8:]
        if framing == "chunked":
            yield b"%x\r\n" % CHUNK + payload[:FIRST], payload[:FIRST]
            yield payload[FIRST:], payload[FIRST:]
            yield b"\r\n", b""
        else:
            yield payload, payload
    if framing == "chunked":
        yield b"0\r\n\r\n", b""


class Sum:
    """The hash and the length of a body that comes in pieces, of either framing."""

    def __init__(self, framing, size):
        self.chunked = framing == "chunked"
        self.left = None if self.chunked else size
        self.buffer = b""
        self.hash = hashlib.sha256()
        self.size = 0
        self.done = False

    def _payload(self, data):
        self.hash.update(data)
        self.size += len(data)

    def feed(self, data):
        if not self.chunked:
            self._payload(data)
            self.left -= len(data)
            self.done = self.left == 0
            return
        data = self.buffer + data
        while data:
            if self.left is None:
                line, mark, rest = data.partition(b"\r\n")
                if not mark or (line == b"0" and len(rest) < 2):
                    break
                data, self.left = rest, int(line, 16)
                if self.left == 0:
                    assert data == b"\r\n", data
                    self.done, data = True, b""
            elif self.left > 0:
                run = data[:self.left]
                self._payload(run)
                self.left -= len(run)
                data = data[len(run):]
            elif len(data) < 2:
                break
            else:
                assert data[:2] == b"\r\n", data[:2]
                data, self.left = data[2:], None
        self.buffer = data


def framing_header(framing, size):
    return "Transfer-Encoding: chunked" if framing == "chunked" else f"Content-Length: {size}"


def send_all(stream, size, framing, digest, before_last=lambda: None):
    held = b""
    for wire, payload in pieces(size, framing):
        digest.update(payload)
        stream.send(held)
        held = wire
    before_last()
    stream.send(held)


def upload(rig, size, framing):
    """The hash of what was sent and of what came."""
    sent, came = hashlib.sha256(), Sum(framing, size)

    def handler(connection):
        connection.read_head()
        while not came.done:
            came.feed(connection.read_some())
            del connection.received[:]  # not all of it need be kept
            connection.position = 0
        connection.reply()
    rig.handler = handler
    client = rig.client(timeout=120)
    client.send(build_request("POST", LOAD, [TAR, framing_header(framing, size)]))
    send_all(client, size, framing, sent)
    assert client.read_response().status == 200
    assert came.size == size
    return sent.hexdigest(), came.hash.hexdigest()


def download(rig, size, framing):
    sent, came = hashlib.sha256(), Sum(framing, size)

    def handler(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\n{framing_header(framing, size)}\r\n\r\n".encode())
        connection.stream.settimeout(120)
        send_all(connection, size, framing, sent)
    rig.handler = handler
    client = rig.client(timeout=120)
    client.send(build_request("GET", GET))
    client.read_head()
    while not came.done:
        data = client.recv_some()
        assert data, "the answer ended early"
        came.feed(data)
    assert came.size == size
    return sent.hexdigest(), came.hash.hexdigest()


def count(trace):
    """Bytes that reads returned, that writes took, and that splice moved."""
    sums = {"read": 0, "write": 0, "splice": 0}
    for line in trace.read_text().splitlines():
        found = CALL.search(line)
        if found:
            name, moved = found[1], int(found[2])
            kind = "splice" if name == "splice" else "read" if name in READS.split(",") else "write"
            sums[kind] += moved
    return sums


@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("move", [upload, download])
def test_bulk_bytes_stay_in_the_kernel(make_rig, hops, move, framing, tmp_path):
    needed_for(*hops)
    strace = shutil.which("strace")
    if not strace:
        pytest.skip("strace is not installed")
    if sanitizer():
        pytest.skip("a sanitizer's leak check does not work under strace")
    # All of 100 MiB where everything comes together; the rest differs in a detail each.
    size = (100 if hops == ("mtls", "mtls") and framing == "chunked" else 16) * MIB
    trace = tmp_path / "trace"
    rig = make_rig(hops, "--workers", "1", prefix=[
        strace, "-D", "-f", "-q", "-e", "signal=none", "-e", f"trace={READS},{WRITES},splice",
        "-o", str(trace)])
    sent, came = move(rig, size, framing)
    assert sent == came
    rig.close()
    last = re.compile(rf"^{rig.proxy.pid} .*exited with", re.MULTILINE)
    wait_until(lambda: last.search(trace.read_text()), 30, "the end of the trace")
    sums = count(trace)
    print(sums)
    assert sums["read"] < size // 100, sums
    assert sums["write"] < size // 100, sums
    assert sums["splice"] >= 2 * size - sums["read"] - sums["write"], sums


# Takes all the pages that its user may have in pipes, down to the last.
HOARD = """
import fcntl, os, time
size, ends, pipes = 1 << 20, os.pipe(), []
while fcntl.fcntl(ends[1], fcntl.F_GETPIPE_SZ) > 8192:
    try:
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, size)
    except PermissionError:
        size = max(size // 2, 65536)  # what a new pipe has while pages are left
    pipes.append(ends)
    ends = os.pipe()
print(fcntl.fcntl(ends[1], fcntl.F_GETPIPE_SZ), flush=True)
time.sleep(600)
"""


def test_a_user_without_pipe_pages(make_rig):
    """pipe-user-pages-soft is used up: pipes come with two pages, and everything still gets there.
    Only over TCP: that user reaches neither keys nor sockets in this test's folder."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("becoming another user takes root and setpriv")
    user = ["setpriv", f"--reuid={4000000 + os.getpid()}", "--regid=65534", "--clear-groups",
            "--inh-caps=-all", "--bounding-set=-all"]
    if subprocess.run([*user, "test", "-x", binary()]).returncode != 0:
        pytest.skip("another user cannot run the program here: a folder above it is closed to others")
    with subprocess.Popen([*user, "/usr/bin/python3", "-c", HOARD], stdout=subprocess.PIPE) as hoarder:
        try:
            assert int(hoarder.stdout.readline()) <= 2 * 4096
            rig = make_rig(("tcp", "tcp"), "--workers", "1", prefix=user)
            for framing in ("chunked", "length"):
                sent, came = upload(rig, 4 * MIB, framing)
                assert sent == came
                sent, came = download(rig, 4 * MIB, framing)
                assert sent == came
        finally:
            hoarder.kill()


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_both_directions_at_once(make_rig, hops, framing):
    """An answer that streams while the request still does, each compared by its hash."""
    needed_for(*hops)
    size = 8 * MIB
    rig = make_rig(hops, "--workers", "1")
    up_sent, up_came = hashlib.sha256(), Sum(framing, size)
    down_sent, down_came = hashlib.sha256(), Sum(framing, size)

    def handler(connection):
        connection.read_head()
        connection.send(f"HTTP/1.1 200 OK\r\n{framing_header(framing, size)}\r\n\r\n".encode())
        whole = threading.Event()
        # The end of the answer comes last, as from an engine: it ends the exchange.
        writer = threading.Thread(target=send_all, args=(connection, size, framing, down_sent,
                                                         lambda: whole.wait(120)))
        writer.start()
        while not up_came.done:
            up_came.feed(connection.read_some())
            del connection.received[:]
            connection.position = 0
        whole.set()
        writer.join()
    rig.handler = handler
    client = rig.client(timeout=120)
    client.send(build_request("POST", LOAD, [TAR, framing_header(framing, size)]))
    sender = threading.Thread(target=send_all, args=(client, size, framing, up_sent))
    sender.start()
    client.read_head()
    while not down_came.done:
        down_came.feed(client.recv_some())
    sender.join()
    wait_until(lambda: up_came.done, 120, "the whole upload")
    assert down_came.hash.hexdigest() == down_sent.hexdigest()
    assert up_came.hash.hexdigest() == up_sent.hexdigest()
