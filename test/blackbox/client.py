"""A client that says exactly what it is told to, and reads answers strictly."""

import json

from streams import Stream, TlsStream, Truncated, connect_socket, tls_context

PREFIX = "blocked by jailoc proxy: "


class Response:
    def __init__(self, raw_head, interim):
        self.raw_head = raw_head
        self.interim = interim  # the raw heads of 1xx answers before it
        lines = raw_head[:-4].decode("latin-1").split("\r\n")
        self.version, status, *self.reason = lines[0].split(" ", 2)
        self.status = int(status)
        self.headers = [(n.lower(), v.strip()) for n, _, v in
                        (line.partition(":") for line in lines[1:])]
        self.raw_body = b""  # as on the wire
        self.body = b""      # without transfer coding
        self.trailers = b""
        self.until_close = False

    def get(self, name):
        return next((value for key, value in self.headers if key == name), None)

    def json(self):
        return json.loads(self.body)

    def message(self):
        value = self.json()
        assert list(value) == ["message"], value
        return value["message"]


class Client:
    """One connection to the proxy."""

    def __init__(self, url, certs=None, timeout=10):
        sock = connect_socket(url, timeout)
        if certs:
            self.stream = TlsStream(sock, tls_context(certs, False), False, timeout, "localhost")
        else:
            self.stream = Stream(sock, timeout)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def settimeout(self, seconds):
        self.stream.settimeout(seconds)

    def send(self, data):
        self.stream.send(data)

    def close_write(self):
        self.stream.close_write()

    def close(self):
        self.stream.close()

    def recv_some(self):
        if self.buffer:
            data, self.buffer = self.buffer, b""
            return data
        return self.stream.recv()

    def _fill(self, wanted):
        data = self.stream.recv()
        if not data:
            raise Truncated(f"connection ended while waiting for {wanted}; "
                            f"got {self.buffer[:200]!r}")
        self.buffer += data

    def read_until(self, mark):
        while mark not in self.buffer:
            self._fill(repr(mark))
        data, _, self.buffer = self.buffer.partition(mark)
        return data + mark

    def read_exactly(self, count):
        while len(self.buffer) < count:
            self._fill(f"{count} bytes")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_all(self):
        """Everything up to the other side's clean end."""
        parts = [self.buffer]
        self.buffer = b""
        while data := self.stream.recv():
            parts.append(data)
        return b"".join(parts)

    def read_head(self):
        """The head of the final answer; those before it are in its `interim`."""
        interim = []
        while True:
            raw = self.read_until(b"\r\n\r\n")
            response = Response(raw, interim)
            if 100 <= response.status < 200 and response.status != 101:
                interim.append(raw)
                continue
            return response

    def read_chunk(self):
        """(wire bytes, payload) of one chunk; of the last, wire bytes include the trailers."""
        line = self.read_until(b"\r\n")
        size = int(line, 16)
        wire = line
        if size:
            payload = self.read_exactly(size)
            end = self.read_exactly(2)
            assert end == b"\r\n", end
            return wire + payload + end, payload
        while True:
            trailer = self.read_until(b"\r\n")
            wire += trailer
            if trailer == b"\r\n":
                return wire, b""

    def read_body(self, response, method="GET"):
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            return response
        if "chunked" in (response.get("transfer-encoding") or ""):
            while True:
                wire, payload = self.read_chunk()
                response.raw_body += wire
                response.body += payload
                if not payload:
                    response.trailers = wire.partition(b"\r\n")[2][:-2]
                    return response
        if response.get("content-length") is not None:
            response.raw_body = response.body = self.read_exactly(
                int(response.get("content-length")))
            return response
        response.until_close = True
        response.raw_body = response.body = self.read_all()
        return response

    def read_response(self, method="GET"):
        return self.read_body(self.read_head(), method)

    def request(self, method, target, headers=(), body=None):
        """Sends a well-formed request and reads its answer."""
        self.send(build_request(method, target, headers, body))
        return self.read_response(method)

    def closed(self):
        """Whether the other side has ended, without anything left to read."""
        try:
            return not self.buffer and self.stream.recv() == b""
        except (ConnectionError, Truncated):
            return True


def build_request(method, target, headers=(), body=None):
    lines = [f"{method} {target} HTTP/1.1"]
    headers = list(headers)
    if not any(h.lower().startswith("host:") for h in headers):
        lines.append("Host: docker")
    lines += headers
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def json_request(target, value, headers=()):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return build_request("POST", target, ["Content-Type: application/json", *headers], body)


def assert_refusal(response, status=403, rule=None):
    """Exactly the error that Docker's clients show, with the reason and the rule."""
    assert response.status == status, (response.raw_head, response.body)
    assert response.get("content-type") == "application/json"
    message = response.message()
    assert message.startswith(PREFIX), message
    reason, _, identifier = message[len(PREFIX):].rpartition(" (")
    assert reason and identifier.endswith(")") and len(identifier) > 1, message
    assert json.dumps({"message": message}, separators=(",", ":"), ensure_ascii=False).encode() \
        == response.body, response.body
    if rule:
        assert identifier[:-1] == rule, message
    return message
