"""HTTP/2 frames as bytes: what the tests of /grpc send and read. Header blocks are literals."""

import struct

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = \
    0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CONTROL = b"/moby.buildkit.v1.Control/"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    assert len(name) < 127 and len(value) < 127
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def call(stream, method, ends=False, headers=()):
    """The head of a call of BuildKit's Control service."""
    block = b"\x83\x86" + literal(b":path", CONTROL + method)
    for name, value in ((b"content-type", b"application/grpc"), (b"te", b"trailers"), *headers):
        block += literal(name, value)
    return frame(HEADERS, END_HEADERS | (END_STREAM if ends else 0), stream, block)


def message(payload):
    return b"\0" + struct.pack(">I", len(payload)) + payload


def solve(stream, payload):
    """A whole build request."""
    return call(stream, b"Solve") + frame(DATA, END_STREAM, stream, message(payload))


def read_frame(read_exactly):
    """(type, flags, stream, payload)"""
    head = read_exactly(9)
    length = int.from_bytes(head[:3], "big")
    return head[3], head[4], int.from_bytes(head[5:9], "big"), read_exactly(length)
