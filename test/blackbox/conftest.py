"""Fixtures: certificates of both hops, and rigs of a recorder behind a proxy."""

import itertools
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from client import Client  # noqa: E402
from proxy_process import REPOSITORY, Proxy, binary, free_port, sanitizer  # noqa: E402
from recorder import Recorder, answer_ok  # noqa: E402

HOPS = list(itertools.product(("unix", "tcp", "mtls"), repeat=2))
SAME_HOPS = [("unix", "unix"), ("mtls", "mtls")]


def pytest_report_header(config):
    return f"dind-proxy under test: {binary()} (sanitizer: {sanitizer() or 'none'})"


def pytest_collection_modifyitems(config, items):
    """DIND_PROXY_ONLY=threads keeps the tests marked so: what TSan is for."""
    if os.environ.get("DIND_PROXY_ONLY") == "threads":
        chosen = [i for i in items if i.get_closest_marker("threads")]
        config.hook.pytest_deselected([i for i in items if i not in chosen])
        items[:] = chosen


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A directory with agent/, proxy/, dind-server/ and dind-client/, each {ca,cert,key}.pem."""
    directory = tmp_path_factory.mktemp("certificates")
    subprocess.run([REPOSITORY / "tools/test-certs", directory], check=True,
                   stdout=subprocess.DEVNULL)
    return directory


class Rig:
    """A recorder, a proxy in front of it, and clients of that proxy."""

    def __init__(self, directory, certificates, hops, options, handler, listener_options, prefix):
        self.down, self.up = hops
        self.certificates = certificates
        self.directory = directory
        upstream_options = []
        if self.up == "unix":
            self.recorder = Recorder(f"unix://{directory}/engine.sock", handler=handler)
        elif self.up == "tcp":
            self.recorder = Recorder("tcp://127.0.0.1:0", handler=handler)
        else:
            self.recorder = Recorder("tcp://127.0.0.1:0", certificates / "dind-server", handler)
            client = certificates / "dind-client"
            upstream_options = ["--upstream-tls-cert", client / "cert.pem",
                                "--upstream-tls-key", client / "key.pem",
                                "--upstream-tls-ca", client / "ca.pem"]
        if self.down == "unix":
            self.url = f"unix://{directory}/proxy.sock"
            listener = self.url + listener_options
            server_options = []
        elif self.down == "tcp":
            self.url = f"tcp://127.0.0.1:{free_port()}"
            listener = self.url
            server_options = []
        else:
            self.url = f"tcp://127.0.0.1:{free_port()}"
            listener = self.url
            server = certificates / "proxy"
            server_options = ["--tls-cert", server / "cert.pem", "--tls-key", server / "key.pem",
                              "--tls-client-ca", server / "ca.pem"]
        self.proxy = Proxy([listener], self.recorder.url,
                           [*server_options, *upstream_options, *options],
                           directory / "proxy.log", prefix=prefix)
        self.clients = []

    def client(self, timeout=10):
        certs = self.certificates / "agent" if self.down == "mtls" else None
        client = Client(self.url, certs, timeout)
        self.clients.append(client)
        return client

    @property
    def handler(self):
        return self.recorder.handler

    @handler.setter
    def handler(self, value):
        self.recorder.handler = value

    def barrier(self):
        """An allowed request through the proxy and back: with one worker, what was given to the
        proxy before has been dealt with. Its bytes are taken out of `requests`."""
        with Client(self.url, self.certificates / "agent" if self.down == "mtls" else None) as c:
            response = c.request("GET", "/_ping?barrier")
            assert response.status == 200, response.raw_head

    def reached(self):
        """The raw requests that came to the recorder, without barriers."""
        return [head + body for head, body in self.recorder.requests() if b"?barrier" not in head]

    def assert_nothing_reached(self):
        """Nothing but well-formed barriers is among all bytes that the recorder ever received."""
        self.barrier()
        rest = self.recorder.received()
        for head, body in self.recorder.requests():
            if b"?barrier" in head:
                rest = rest.replace(head + body, b"", 1)
        assert rest == b"", rest[:500]

    def close(self):
        for client in self.clients:
            try:
                client.close()
            except OSError:
                pass
        try:
            self.proxy.stop()
        finally:
            self.recorder.close()


@pytest.fixture
def make_rig(tmp_path, certificates):
    """make_rig(hops, *options): a fresh recorder and proxy; all are stopped and checked at the end
    of the test."""
    rigs = []

    def make(hops=("unix", "unix"), *options, handler=answer_ok, listener_options="", prefix=()):
        directory = tmp_path / str(len(rigs))
        directory.mkdir()
        rigs.append(Rig(directory, certificates, hops, options, handler, listener_options, prefix))
        return rigs[-1]

    yield make
    failures = []
    for rig in rigs:
        try:
            rig.close()
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, "\n".join(failures)


@pytest.fixture(params=HOPS, ids="-".join)
def hops(request):
    return request.param


@pytest.fixture
def rig(make_rig, hops):
    """A rig with one worker over every pair of transports."""
    return make_rig(hops, "--workers", "1")


@pytest.fixture
def unix_rig(make_rig):
    return make_rig(("unix", "unix"), "--workers", "1")


@pytest.fixture(scope="session", autouse=True)
def many_files():
    """The tests of limits open many connections from this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
