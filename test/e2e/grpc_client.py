"""gRPC calls inside one /grpc connection, by another HTTP/2 (Debian: python3-h2), and build graphs
as bytes: for what buildx does not do, such as many builds over one connection."""

import hashlib
import socket
import ssl
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.settings

CONTROL = "/moby.buildkit.v1.Control/"
UPGRADE = b"POST /v1.41/grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


def connect(environment, timeout=60):
    """As Docker's own client does, told by the same variables."""
    kind, where = environment["DOCKER_HOST"].split("://")
    if kind == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(where)
        return sock
    host, port = where.split(":")
    certificates = Path(environment["DOCKER_CERT_PATH"])
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    return context.wrap_socket(socket.create_connection((host, int(port)), timeout),
                               server_hostname=host)


class GrpcClient:
    """Calls run side by side; their streams end in any order."""

    def __init__(self, environment):
        self.socket = connect(environment)
        self.socket.sendall(UPGRADE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            assert byte, head
            head += byte
        assert head.startswith(b"HTTP/1.1 101 "), head
        self.connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.connection.initiate_connection()
        self.calls = {}
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.connection.data_to_send())

    def call(self, method, message, *headers):
        """Its number. Nothing is awaited but room to send."""
        stream = self.connection.get_next_available_stream_id()
        self.calls[stream] = {"headers": {}, "data": b"", "ended": False}
        self.connection.send_headers(stream, [
            (":method", "POST"), (":scheme", "http"),
            (":path", method if method.startswith("/") else CONTROL + method),
            (":authority", "docker"), ("content-type", "application/grpc"), ("te", "trailers"),
            *headers])
        body = b"\0" + len(message).to_bytes(4, "big") + message
        while body:
            self.flush()
            room = min(self.connection.local_flow_control_window(stream),
                       self.connection.max_outbound_frame_size)
            if room == 0:
                self.receive()
                continue
            self.connection.send_data(stream, body[:room], end_stream=len(body) <= room)
            body = body[room:]
        self.flush()
        return stream

    def receive(self):
        data = self.socket.recv(65536)
        assert data, "the connection has ended"
        for event in self.connection.receive_data(data):
            call = self.calls.get(getattr(event, "stream_id", None))
            if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                call["headers"] |= dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                call["data"] += event.data
                self.connection.acknowledge_received_data(event.flow_controlled_length,
                                                          event.stream_id)
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                call["ended"] = True
        self.flush()

    def finish(self, *streams):
        """The status and the message of each, when all have ended."""
        while not all(self.calls[stream]["ended"] for stream in streams):
            self.receive()
        return [(self.calls[stream]["headers"].get("grpc-status"),
                 self.calls[stream]["headers"].get("grpc-message", "")) for stream in streams]


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, value):
    """A number, or text, or bytes such as other fields."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def pair(number, key, value):
    return field(number, field(1, key) + field(2, value))


def take_varint(data):
    """It, and what follows."""
    value, at = 0, 0
    while True:
        value |= (data[at] & 0x7f) << 7 * at
        at += 1
        if data[at - 1] < 0x80:
            return value, data[at:]


def submessage(data, *path):
    """The bytes of the field with the path's first number; in these the second's, and so on."""
    for wanted in path:
        number = None
        while number != wanted:
            tag, data = take_varint(data)
            number, inner = tag >> 3, b""
            length, data = take_varint(data)
            if tag & 7 == 2:
                inner, data = data[:length], data[length:]
        data = inner
    return data


def local_image(image):
    """The operation whose result is an image that the engine has."""
    return field(3, field(1, f"docker-image://{image}") + pair(2, "image.resolvemode", "local"))


def command_graph(image, command, network=0):
    """A definition of one command in an image that the engine has."""
    source = local_image(image)
    meta = b"".join(field(1, word) for word in command) + field(3, "/")
    exec_op = field(1, meta) + field(2, field(3, "/"))
    if network:
        exec_op += field(3, network)
    step = field(1, field(1, digest(source))) + field(2, exec_op)
    last = field(1, field(1, digest(step)))
    return field(1, source) + field(1, step) + field(1, last)


def secret_graph(image, secret):
    """A definition of one command that copies a secret of the session into the result."""
    source = local_image(image)
    meta = b"".join(field(1, word) for word in ("sh", "-c", "cat /s > /copy")) + field(3, "/")
    none = (1 << 64) - 1
    mount = field(1, none) + field(3, "/s") + field(4, none) + field(6, 1)
    exec_op = field(1, meta) + field(2, field(3, "/"))
    exec_op += field(2, mount + field(21, field(1, secret) + field(4, 0o400)))
    step = field(1, field(1, digest(source))) + field(2, exec_op)
    return field(1, source) + field(1, step) + field(1, field(1, field(1, digest(step))))


def digest(operation):
    return "sha256:" + hashlib.sha256(operation).hexdigest()


def solve(ref, graph, image):
    """Control/Solve: the result becomes an image of this name."""
    return field(1, ref) + field(2, graph) + field(3, "moby") + pair(4, "name", image)
