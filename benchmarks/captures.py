"""Durable captures a second over HTTP, beside the same FastAPI echoing the same JSON. `poe bench-captures`

Every answer of CIN is on disk when it comes. Rounds alternate, so that both meet the same machine; the ratio of medians
is what counts.
"""

import asyncio
import itertools
import statistics
import sys
import time
from typing import cast

import uvloop

from benchmarks.running import Running, baseline, cin

ROUNDS = 5
SECONDS = 3.0
FLOOR = 0.4
_serial = itertools.count(time.time_ns())


class Client(asyncio.Protocol):
    """One keep-alive connection that captures a new skill as soon as the last one is answered, until it is stopped."""

    def __init__(self, latencies: list[float]) -> None:
        self.stopped = False
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
        if not head.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(f"not captured: {self._buffer[:300]!r}")
        self._latencies.append(time.perf_counter() - self._sent_at)
        self._buffer = b""
        if self.stopped:
            self._transport.close()
        else:
            self._send()

    def _send(self) -> None:
        n = next(_serial)
        body = (
            b'{"error_type":"ImportError","pattern":"No module named \'m%d\'","resolution":"pip install m%d",'
            b'"context":"a benchmark"}' % (n, n)
        )
        head = b"POST /skills HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._sent_at = time.perf_counter()
        self._transport.write(head % len(body) + body)


async def load(port: int, connections: int) -> list[float]:
    """Latencies, in seconds, of all captures that were answered in `SECONDS`."""
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: Client(latencies), "127.0.0.1", port))[1] for _ in range(connections)
    ]
    await asyncio.sleep(0.5)
    latencies.clear()
    await asyncio.sleep(SECONDS)
    answered = latencies.copy()
    for client in clients:
        client.stopped = True
    await asyncio.sleep(0.3)
    return answered


def measure(servers: list[Running], connections: int) -> float:
    """Print a line a server; returns the ratio of the medians."""
    rates: dict[str, list[float]] = {server.name: [] for server in servers}
    latencies: dict[str, list[float]] = {server.name: [] for server in servers}
    for _ in range(ROUNDS):
        for server in servers:
            answered = uvloop.run(load(server.port, connections))
            rates[server.name].append(len(answered) / SECONDS)
            latencies[server.name] += answered
    for server in servers:
        cut = statistics.quantiles(latencies[server.name], n=100)
        print(
            f"{server.name:>5}  {connections:3} connections  {statistics.median(rates[server.name]):7.0f}/s"
            f"  p50 {cut[49] * 1e3:6.2f} ms  p99 {cut[98] * 1e3:6.2f} ms"
        )
    mine, theirs = (rates[server.name] for server in servers)
    ratio = statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
    print(f"       ratio {ratio:.2f} (at least {FLOOR})")
    return ratio


def main() -> int:
    with cin() as mine, baseline("echo", "/docs") as theirs:
        ratios = [measure([mine, theirs], connections) for connections in (16, 64)]
    return 0 if min(ratios) >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
