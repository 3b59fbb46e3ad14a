"""Durable captures a second over HTTP, beside the same FastAPI echoing the same JSON. `poe bench-captures`

Every answer of CIN is on disk when it comes. Rounds alternate, so that both meet the same machine; the ratio of medians
is what counts.
"""

import statistics
import sys

import uvloop

from benchmarks.load import capture, load
from benchmarks.running import Running, baseline, cin

ROUNDS = 5
SECONDS = 3.0
FLOOR = 0.4


def measure(servers: list[Running], connections: int) -> float:
    """Print a line a server; returns the ratio of the medians."""
    rates: dict[str, list[float]] = {server.name: [] for server in servers}
    latencies: dict[str, list[float]] = {server.name: [] for server in servers}
    for _ in range(ROUNDS):
        for server in servers:
            answered = uvloop.run(load([server.port], connections, capture, SECONDS))
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
