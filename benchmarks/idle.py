"""What idle subscribers cost: memory for each, processor time for all with heartbeats; and one capture reaches them all.

`poe bench-idle [--subscribers N] [--transport sse|websocket|both]`. Beside plain sse-starlette with 1,000, in the same run.
Limits: 15 KB each, and 5 % of a core for 10,000.
"""

import argparse
import sys
import time
from dataclasses import dataclass

import httpx

from benchmarks.crowd import Crowd, Place
from benchmarks.running import Running, baseline, cin
from benchmarks.subscribers import Subscribers, publish
from benchmarks.wires import SSE, Wire, add_transport, chosen

BASELINE_COUNT = 1_000
SECONDS = 32.0
"""Two heartbeats of 15 s each."""


@dataclass(frozen=True)
class Figures:
    """What they cost."""

    kib_each: float
    percent: float


def measure_baseline(server: Running) -> None:
    with Subscribers(server.port, 50):
        pass  # what the first connections bring into memory is not theirs
    time.sleep(1)
    before = server.resident_kib()
    with Subscribers(server.port, BASELINE_COUNT):
        time.sleep(1)
        each = (server.resident_kib() - before) / BASELINE_COUNT
        percent = watch(server, SECONDS)
    print(f"{server.name:>13}  {BASELINE_COUNT:6,} idle subscribers  {each:5.1f} KiB each  {percent:4.1f} % of a core")


def measure(server: Running, count: int, wire: Wire = SSE) -> Figures:
    """Printed and returned."""
    url = f"http://127.0.0.1:{server.port}"
    with Crowd(server.port, 50, wire) as few:
        few.come("", [Place(None, 0)] * 50)
        few.await_offset(0)
        httpx.get(f"{url}/info")
    time.sleep(2)
    before = server.resident_kib()
    with Crowd(server.port, count, wire) as crowd:
        started = time.monotonic()
        crowd.come("", [Place(None, 0)] * count)
        took = crowd.await_offset(0).moments[-1] - started
        time.sleep(2)
        each = (server.resident_kib() - before) / count
        percent = watch(server, SECONDS)
        waits = measure_waits(url, 100)
        with httpx.Client() as client:
            publish(client, server.port, "one")
        at = time.monotonic()
        last = crowd.await_offset(1).moments[-1] - at
    print(
        f"{server.name:>3}, {wire.name:>9}  {count:6,} idle subscribers  {each:5.1f} KiB each  {percent:4.1f} % of a core; "
        f"opened {count / took:,.0f}/s; the last had a capture {last * 1e3:+.0f} ms after its answer; "
        f"a request beside them waits {waits[50] * 1e3:.1f} ms, at most {waits[-1] * 1e3:.1f}"
    )
    return Figures(each, percent)


def watch(server: Running, seconds: float) -> float:
    """Percent of a core that it takes meanwhile."""
    cpu = server.cpu_seconds()
    time.sleep(seconds)
    return (server.cpu_seconds() - cpu) / seconds * 100


def measure_waits(url: str, number: int) -> list[float]:
    """How long `/healthz` takes while heartbeats are sent, in order."""
    waits = []
    with httpx.Client() as client:
        for _ in range(number):
            started = time.monotonic()
            client.get(f"{url}/healthz")
            waits.append(time.monotonic() - started)
            time.sleep(0.02)
    return sorted(waits)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--subscribers", type=int, default=1_000, help="of CIN (1000)")
    add_transport(parser)
    given = parser.parse_args()
    with baseline("plain_stream", "/docs") as plain:
        measure_baseline(plain)
    wrong = False
    for wire in chosen(given.transport):
        with cin() as mine:
            figures = measure(mine, given.subscribers, wire)
        wrong |= figures.kib_each * 1.024 > 15 or figures.percent > 5 * max(1, given.subscribers / 10_000)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
