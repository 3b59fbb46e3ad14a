"""Many subscribers in one process, cheaply: sockets under one selector, so that the client costs little."""

import json
import resource
import selectors
import socket
import time

import httpx

REQUEST = b"GET /stream HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"


class Subscribers:
    """`count` open streams to one port, each of which begins with `greeting`. Closes them at the end of the block."""

    def __init__(self, port: int, count: int, greeting: bytes = b"hello") -> None:
        self._port = port
        self._count = count
        self._greeting = greeting
        self._selector = selectors.EpollSelector()
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> "Subscribers":
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        for _ in range(self._count):
            connection = socket.create_connection(("127.0.0.1", self._port))
            connection.sendall(REQUEST)
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ)
            self._sockets.append(connection)
        self.await_text(self._greeting, seconds=60)
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for connection in self._sockets:
            connection.close()

    def await_text(self, text: bytes, seconds: float) -> list[float]:
        """When each subscriber had `text`, in order, by `time.perf_counter`. Raises `TimeoutError`."""
        deadline = time.perf_counter() + seconds
        seen: set[int] = set()
        moments: list[float] = []
        while len(seen) < self._count:
            for key, _ in self._selector.select(1):
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(1 << 20)
                if text in data and key.fd not in seen:
                    seen.add(key.fd)
                    moments.append(time.perf_counter())
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{len(seen)} of {self._count} had {text!r}")
        return moments

    def burst(self, requests: list[bytes], mark: bytes, window: int = 64) -> float:
        """Send the requests on one connection, `window` of them unanswered; seconds until all subscribers had all marks."""
        left = len(requests) * self._count
        sent = answered = 0
        tails: dict[int, bytes] = {}
        began = time.perf_counter()
        with socket.create_connection(("127.0.0.1", self._port)) as publisher:
            self._selector.register(publisher, selectors.EVENT_READ)
            while left > 0:
                while sent < min(len(requests), answered + window):
                    publisher.sendall(requests[sent])
                    sent += 1
                found = self._selector.select(20)
                if not found:
                    raise TimeoutError(f"{left} deliveries are missing")
                for key, _ in found:
                    assert isinstance(key.fileobj, socket.socket)
                    data = key.fileobj.recv(1 << 20)
                    if key.fileobj is publisher:
                        answered += data.count(b"HTTP/1.1 2")
                    else:
                        data = tails.get(key.fd, b"") + data
                        left -= data.count(mark)
                        tails[key.fd] = data[1 - len(mark) :]
            self._selector.unregister(publisher)
        return time.perf_counter() - began


def request(mark: str) -> bytes:
    """A capture of a new skill as it goes over the wire, with `@@mark@@` in it once."""
    skill = {"error_type": "ImportError", "pattern": f"No module named '{mark}'", "resolution": "pip install @@mark@@"}
    body = json.dumps(skill).encode()
    head = f"POST /skills HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def publish(client: httpx.Client, port: int, mark: str) -> float:
    """Capture a new skill that holds `mark`; returns when it was sent."""
    started = time.perf_counter()
    body = {"error_type": "ImportError", "pattern": f"No module named '{mark}'", "resolution": f"pip install {mark}"}
    client.post(f"http://127.0.0.1:{port}/skills", json=body).raise_for_status()
    return started
