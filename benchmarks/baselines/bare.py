"""What the system takes for it: one thread that reads a POST and writes its body to all who listen, and does nothing else.

`python -m benchmarks.baselines.bare PORT`. It knows HTTP only as far as the benchmark speaks it.
"""

import os
import resource
import selectors
import socket
import sys

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"


class Bare:
    """Who listens, and what has come of requests that are not whole."""

    def __init__(self, port: int) -> None:
        self._selector = selectors.EpollSelector()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=10_000)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._streams: dict[int, None] = {}
        self._begun: dict[int, bytes] = {}

    def run(self) -> None:
        """Until it is killed."""
        while True:
            for key, _ in self._selector.select():
                if isinstance(key.fileobj, socket.socket) and key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        data = connection.recv(1 << 18)
        here = connection.fileno()
        if not data:
            self._streams.pop(here, None)
            self._selector.unregister(connection)
            connection.close()
            return
        rest = self._begun.pop(here, b"") + data
        while b"\r\n\r\n" in rest:
            head, _, after = rest.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(after) < length:
                break
            rest = after[length:]
            if head.startswith(b"POST"):
                os.write(here, CREATED)
                self._write(after[:length])
            else:
                os.write(here, HEAD + _chunk(b"event: hello\n\n"))
                self._streams[here] = None
        self._begun[here] = rest

    def _write(self, body: bytes) -> None:
        chunk = _chunk(b"data: %s\n\n" % body)
        for descriptor in self._streams:
            os.write(descriptor, chunk)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    Bare(int(sys.argv[1])).run()
