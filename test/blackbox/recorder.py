"""An upstream in place of the engine that keeps every byte it receives.

One thread a connection. For each request a handler is called with the connection; it reads as much
as it wants and answers as it wants. Anything the proxy sends is in `Connection.received`, whether a
handler asked for it or not.
"""

import os
import socket
import threading
import time

from streams import Stream, TlsStream, Truncated, tls_context


class Ended(Exception):
    """The proxy ended its direction before what the handler waits for came."""


class Head:
    def __init__(self, raw):
        self.raw = raw
        lines = raw[:-4].decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers.append((name.lower(), value.strip()))

    def get(self, name):
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Connection:
    """One connection from the proxy."""

    def __init__(self, stream, recorder):
        self.stream = stream
        self.recorder = recorder
        self.received = bytearray()
        self.position = 0
        self.requests = []  # (raw head, raw body as on the wire)
        self.ended = None   # None: open; "eof", "truncated" or "error"

    # Reading. What is read is taken from `received`, filled as needed.

    def _more(self):
        try:
            data = self.stream.recv()
        except Truncated as error:
            self.ended = "truncated"
            raise Ended(str(error)) from error
        except TimeoutError:
            raise
        except OSError as error:
            self.ended = "error"
            raise Ended(str(error)) from error
        if not data:
            self.ended = "eof"
            raise Ended("eof")
        self.received += data

    def read_until(self, mark):
        while True:
            at = self.received.find(mark, self.position)
            if at >= 0:
                data = bytes(self.received[self.position:at + len(mark)])
                self.position = at + len(mark)
                return data
            self._more()

    def read_exactly(self, count):
        while len(self.received) - self.position < count:
            self._more()
        data = bytes(self.received[self.position:self.position + count])
        self.position += count
        return data

    def read_some(self):
        """What is there, at least one byte; b"" at the end."""
        while len(self.received) == self.position:
            try:
                self._more()
            except Ended:
                if self.ended == "eof":
                    return b""
                raise
        data = bytes(self.received[self.position:])
        self.position = len(self.received)
        return data

    def read_all(self):
        data = b""
        while more := self.read_some():
            data += more
        return data

    def read_head(self):
        return Head(self.read_until(b"\r\n\r\n"))

    def read_chunk(self):
        """One chunk: (the bytes on the wire, the payload); the last one's payload is empty and its
        wire bytes include the trailers."""
        line = self.read_until(b"\r\n")
        size = int(line, 16)
        if size == 0:
            wire = line
            while True:
                trailer = self.read_until(b"\r\n")
                wire += trailer
                if trailer == b"\r\n":
                    return wire, b""
        payload = self.read_exactly(size)
        return line + payload + self.read_exactly(2), payload

    def read_body(self, head):
        """The body as on the wire."""
        if "chunked" in (head.get("transfer-encoding") or "").lower():
            wire = b""
            while True:
                raw, payload = self.read_chunk()
                wire += raw
                if not payload:
                    return wire
        return self.read_exactly(int(head.get("content-length") or 0))

    def read_request(self):
        head = self.read_head()
        body = self.read_body(head)
        self.requests.append((head.raw, body))
        return head, body

    # Writing.

    def send(self, data):
        self.stream.send(data)

    def reply(self, status=200, body=b"{}", headers=(), reason="OK"):
        lines = [f"HTTP/1.1 {status} {reason}", "Content-Type: application/json",
                 f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def close_write(self):
        self.stream.close_write()

    def close(self):
        self.stream.close()


def echo_tunnel(connection):
    """Hijacks the connection, as the engine does for attach, and says what is said to it."""
    connection.send(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    while data := connection.read_some():
        connection.send(data)
    connection.close_write()


def answer_ok(connection):
    """Reads one request and answers 200 with an empty object."""
    head, _ = connection.read_request()
    if head.method == "HEAD":
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    else:
        connection.reply()


class Recorder:
    """Listens at `url`: unix:///path or tcp://127.0.0.1:0, with mutual TLS where `certs` is given.
    `handler` may be changed at any time; it is looked up for each request."""

    def __init__(self, url, certs=None, handler=answer_ok, timeout=20):
        self.handler = handler
        self.timeout = timeout
        self.context = tls_context(certs, True) if certs else None
        self.connections = []
        self.errors = []
        self.lock = threading.Lock()
        self.listener = None
        self.url = url
        self.listen()

    def listen(self):
        scheme, _, rest = self.url.partition("://")
        if scheme == "unix":
            if os.path.exists(rest):
                os.unlink(rest)
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(rest)
        else:
            host, _, port = rest.rpartition(":")
            self.listener = socket.socket(socket.AF_INET)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((host, int(port)))
            self.url = f"tcp://{host}:{self.listener.getsockname()[1]}"
        self.listener.listen(1024)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            if self.context:
                stream = TlsStream(sock, self.context, True, self.timeout)
            else:
                stream = Stream(sock, self.timeout)
        except (OSError, ValueError) as error:
            self.errors.append(error)
            sock.close()
            return
        connection = Connection(stream, self)
        with self.lock:
            self.connections.append(connection)
        try:
            while True:
                # Idle connections of the proxy's pool may stay silent for long.
                stream.settimeout(None)
                while len(connection.received) == connection.position:
                    connection._more()
                stream.settimeout(self.timeout)
                self.handler(connection)
        except Ended:
            pass
        except (OSError, ValueError) as error:
            connection.ended = connection.ended or "error"
            self.errors.append(error)
        finally:
            stream.close()

    # What the tests ask.

    def mark(self):
        """A point in time for `received` and `requests` to start from."""
        with self.lock:
            return [(len(c.received), len(c.requests)) for c in self.connections]

    def _since(self, mark):
        with self.lock:
            padding = [(0, 0)] * (len(self.connections) - len(mark))
            return list(zip(self.connections, [*mark, *padding]))

    def received(self, mark=()):
        """All bytes of all connections, in order of connecting."""
        return b"".join(bytes(c.received[start:]) for c, (start, _) in self._since(mark))

    def requests(self, mark=()):
        return [r for c, (_, start) in self._since(mark) for r in c.requests[start:]]

    def wait_connection(self, index=0, timeout=10):
        wait_until(lambda: len(self.connections) > index, timeout,
                   f"connection {index} from the proxy")
        return self.connections[index]

    def stop_listening(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def close(self):
        try:
            self.stop_listening()
        except OSError:
            pass
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            connection.stream.close()


def wait_until(condition, timeout=10, what="condition"):
    """Polls until `condition()` is true; fails with `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not in {timeout} s: {what}"
        time.sleep(0.005)
