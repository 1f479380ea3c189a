"""A TCP port behind which a proxy's /grpc is plain HTTP/2: for tools that cannot upgrade themselves."""

import socket
import threading

from client import build_request

UPGRADE = build_request("POST", "/v1.41/grpc", ["Upgrade: h2c", "Connection: Upgrade"], b"")


class Adapter:
    """Each connection is one of the proxy's, upgraded; bytes then go both ways as they are. `piece`:
    how many bytes are read at a time."""

    def __init__(self, connect, piece=65536):
        self.connect, self.piece = connect, piece
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in (self.listener, *self.sockets):
            try:
                sock.shutdown(socket.SHUT_RDWR)  # a thread that reads it would keep it open
            except OSError:
                pass
            sock.close()

    def _accept(self):
        while True:
            try:
                tool, _ = self.listener.accept()
            except OSError:
                return
            proxy = self.connect()
            self.sockets += [tool, proxy]
            proxy.sendall(UPGRADE)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                byte = proxy.recv(1)
                assert byte, head
                head += byte
            assert head.startswith(b"HTTP/1.1 101 "), head
            for pair in ((tool, proxy), (proxy, tool)):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source, sink):
        try:
            while data := source.recv(self.piece):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
