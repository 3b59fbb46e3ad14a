"""One keep-alive connection that asks and waits: what a request takes, without what a client library takes."""

import json
import socket
import time
from types import TracebackType
from typing import Any, Self


class Connection:
    """A connection to a server on this machine. Every answer must be 200, 201 or 204."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def get(self, path: str) -> tuple[float, bytes]:
        """Seconds, and the body of the answer."""
        return self._ask(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def post(self, path: str, body: bytes, media_type: str = "application/json") -> tuple[float, bytes]:
        """Seconds, and the body of the answer."""
        return self._ask(_with_body("POST", path, body, media_type))

    def put(self, path: str, body: bytes) -> tuple[float, bytes]:
        """Seconds, and the body of the answer."""
        return self._ask(_with_body("PUT", path, body, "application/json"))

    def match(self, message: str) -> tuple[float, dict[str, Any]]:
        """Seconds, and the answer."""
        seconds, body = self.post("/match", json.dumps({"message": message}).encode())
        return seconds, json.loads(body)

    def _ask(self, request: bytes) -> tuple[float, bytes]:
        started = time.perf_counter()
        self._socket.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        head, _, body = received.partition(b"\r\n\r\n")
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201", b"HTTP/1.1 204")):
            raise RuntimeError(f"not answered: {received[:300]!r}")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        while len(body) < length:
            body += self._receive()
        return time.perf_counter() - started, body

    def _receive(self) -> bytes:
        received = self._socket.recv(1 << 20)
        if not received:
            raise RuntimeError("the server closed the connection")
        return received


def _with_body(method: str, path: str, body: bytes, media_type: str) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
