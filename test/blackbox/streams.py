"""Blocking byte streams over unix, TCP and mutual TLS with one interface for all.

Python's own SSLSocket cannot half-close: its unwrap() waits for the peer. Here TLS runs over memory
buffers, so that close_notify can be sent while reading goes on, as Go's CloseWrite does.
"""

import socket
import ssl
import struct
import threading
from pathlib import Path


class Truncated(Exception):
    """The peer ended its direction without the end that its protocol wants."""


class Stream:
    """A plain socket."""

    tls = False

    def __init__(self, sock, timeout=10):
        self.sock = sock
        sock.settimeout(timeout)

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def fileno(self):
        return self.sock.fileno()

    def send(self, data):
        self.sock.sendall(data)

    def recv(self, size=65536):
        """Some bytes, or b"" at the peer's end."""
        return self.sock.recv(size)

    def close_write(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def reset(self):
        """Ends the connection without its orderly end: RST on TCP, no close_notify on TLS."""
        if self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class TlsStream(Stream):
    """TLS over a socket. One thread may send while another receives."""

    tls = True

    def __init__(self, sock, context, server_side, timeout=10, server_name=None):
        super().__init__(sock, timeout)
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_side,
                                       None if server_side else server_name)
        self.state = threading.Lock()
        self.sending = threading.Lock()
        self.peer_closed = False
        self.ready = b""  # read by close_write
        self._handshake()

    def _feed(self):
        data = self.sock.recv(65536)
        with self.state:
            if data:
                self.incoming.write(data)
            else:
                self.incoming.write_eof()

    def _flush(self):
        with self.sending:
            with self.state:
                data = self.outgoing.read()
            if data:
                self.sock.sendall(data)

    def _handshake(self):
        while True:
            try:
                self.object.do_handshake()
                self._flush()
                return
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except ssl.SSLError:
                self._flush()
                raise

    def send(self, data):
        view = memoryview(data)
        with self.sending:
            while len(view):
                with self.state:
                    count = self.object.write(view[:65536])
                    wire = self.outgoing.read()
                self.sock.sendall(wire)
                view = view[count:]

    def recv(self, size=65536):
        while True:
            try:
                with self.state:
                    if self.ready:
                        data, self.ready = self.ready, b""
                        return data
                    if self.peer_closed:
                        return b""
                    data = self.object.read(size)
                    pending = self.outgoing.pending
                if pending:
                    self._flush()
                if not data:
                    self.peer_closed = True
                return data
            except ssl.SSLWantReadError:
                if self.outgoing.pending:
                    self._flush()
                self._feed()
            except ssl.SSLZeroReturnError:
                self.peer_closed = True
                return b""
            except ssl.SSLEOFError as error:
                raise Truncated("TLS ended without close_notify") from error

    def close_write(self):
        with self.state:
            # OpenSSL's shutdown also looks for the peer's, and breaks on data that comes before it.
            try:
                while data := self.object.read(65536):
                    self.ready += data
                self.peer_closed = True
            except ssl.SSLZeroReturnError:
                self.peer_closed = True
            except ssl.SSLError:
                pass  # nothing more for now, or what the next recv will say again
            try:
                self.object.unwrap()
            except (ssl.SSLWantReadError, ssl.SSLError):
                pass
        self._flush()

    def close(self):
        try:
            self.close_write()
        except OSError:
            pass
        super().close()


def connect_socket(url, timeout=10):
    """A connected plain socket for unix:///path or tcp://host:port."""
    scheme, _, rest = url.partition("://")
    if scheme == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(rest)
        return sock
    host, _, port = rest.rpartition(":")
    sock = socket.create_connection((host.strip("[]"), int(port)), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def tls_context(directory, server_side):
    """Mutual TLS from a directory of {ca,cert,key}.pem."""
    directory = Path(directory)
    context = ssl.SSLContext(
        ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    context.load_verify_locations(directory / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    if server_side:
        context.set_alpn_protocols(["http/1.1", "h2"])
    return context
