"""A recorder in the engine's place, a proxy in front of it, and clients of that proxy."""

import itertools

import kernel_tls
from client import Client
from proxy_process import Proxy, free_port
from recorder import Recorder, answer_ok

# (client side, engine side)
HOPS = list(itertools.product(("unix", "tcp", "mtls"), repeat=2))


class Rig:
    """A recorder, a proxy in front of it, and clients of that proxy."""

    def __init__(self, directory, certificates, hops, options=(), handler=answer_ok,
                 listener_options="", prefix=()):
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
                           [*server_options, *upstream_options, *kernel_tls.options(), *options],
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

    def reached(self, mark=()):
        """The raw requests that came to the recorder, without barriers."""
        return [head + body for head, body in self.recorder.requests(mark)
                if b"?barrier" not in head]

    def assert_nothing_reached(self, mark=()):
        """Nothing but well-formed barriers is among all bytes that the recorder received."""
        self.barrier()
        rest = self.recorder.received(mark)
        for head, body in self.recorder.requests(mark):
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
