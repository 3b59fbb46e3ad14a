"""Keep-alive connections that ask again as soon as they are answered, spread over the processes that serve."""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from typing import cast

Request = Callable[[], bytes]
"""Makes the next request, head and body."""

_serial = itertools.count(time.time_ns())


class Client(asyncio.Protocol):
    """One connection that sends the next request as soon as the last one is answered 2xx, until it is stopped."""

    def __init__(self, request: Request, latencies: list[float]) -> None:
        self.stopped = False
        self._request = request
        self._latencies = latencies
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        if not head.startswith(b"HTTP/1.1 20"):
            raise RuntimeError(f"not answered: {self._buffer[:300]!r}")
        self._latencies.append(time.perf_counter() - self._sent_at)
        self._buffer = b""
        if self.stopped:
            self._transport.close()
        else:
            self._send()

    def _send(self) -> None:
        request = self._request()
        self._sent_at = time.perf_counter()
        self._transport.write(request)


async def load(ports: Sequence[int], connections: int, request: Request, seconds: float) -> list[float]:
    """Latencies, in seconds, of all requests that were answered in so many seconds, after half a second to get warm."""
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: Client(request, latencies), "127.0.0.1", ports[n % len(ports)]))[1]
        for n in range(connections)
    ]
    await asyncio.sleep(0.5)
    latencies.clear()
    await asyncio.sleep(seconds)
    answered = latencies.copy()
    for client in clients:
        client.stopped = True
    await asyncio.sleep(0.3)
    return answered


def post(path: bytes, body: bytes) -> bytes:
    """A request with a JSON body."""
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (path, len(body)) + body


def capture() -> bytes:
    """A capture of a skill that nobody has."""
    n = next(_serial)
    return post(
        b"/skills",
        b'{"error_type":"ImportError","pattern":"No module named \'m%d\'","resolution":"pip install m%d",'
        b'"context":"a benchmark"}' % (n, n),
    )
