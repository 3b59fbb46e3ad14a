"""One capture to 1,000 and 5,000 subscribers, and bursts: beside a bare loop of writes, and beside nchan if it is there.

`poe bench-fan-out [SCRIPT]`. For single captures the figure is when the last subscriber has it; a burst keeps 64 captures on
their way on one connection. CIN's captures are on disk; the others keep nothing. SCRIPT is a benchmark that is given CIN's
port.
"""

import statistics
import subprocess
import sys
import time
from contextlib import ExitStack

import httpx

from benchmarks.nchan import nchan, program
from benchmarks.running import Running, bare, baseline, cin
from benchmarks.subscribers import Subscribers, publish, request

SIZES = (1_000, 5_000)
BURSTS = ((200, 1_000), (1_000, 400))
EVENTS = 20
ROUNDS = 3


def measure(server: Running, count: int) -> float:
    """The median time until the last subscriber had an event, in seconds; printed."""
    firsts: list[float] = []
    lasts: list[float] = []
    with Subscribers(server.port, count, server.greeting) as subscribers, httpx.Client() as client:
        for _ in range(EVENTS):
            mark = f"m{time.time_ns()}"
            started = publish(client, server.port, mark)
            moments = subscribers.await_text(mark.encode(), seconds=20)
            firsts.append(moments[0] - started)
            lasts.append(moments[-1] - started)
            time.sleep(0.02)
    first, last = statistics.median(firsts), statistics.median(lasts)
    print(f"{server.name:>13}  {count} subscribers  first {first * 1e3:6.1f} ms  last {last * 1e3:6.1f} ms")
    return last


def measure_burst(server: Running, count: int, events: int) -> float:
    """Deliveries a second; printed."""
    with Subscribers(server.port, count, server.greeting) as subscribers:
        seconds = subscribers.burst([request(f"b{time.time_ns()}n{number}") for number in range(events)], b"@@mark@@")
    rate = count * events / seconds
    print(f"{server.name:>13}  {count} subscribers  burst of {events}: {rate:9,.0f} deliveries/s")
    return rate


def compare(mine: Running, others: list[Running]) -> None:
    for count in SIZES:
        rounds = [(measure(mine, count), *(measure(other, count) for other in others)) for _ in range(ROUNDS)]
        for number, other in enumerate(others, 1):
            ratio = statistics.median(figures[0] / figures[number] for figures in rounds)
            print(f"               {count} subscribers, last: {ratio:.2f} times {other.name}")
    for count, events in BURSTS:
        rates = [measure_burst(server, count, events) for server in (mine, *others)]
        for other, rate in zip(others, rates[1:], strict=True):
            print(f"               {count} subscribers, burst: {rates[0] / rate:.2f} times {other.name}")


def main() -> int:
    with ExitStack() as running:
        mine = running.enter_context(cin(max_streams="12000"))
        plain = running.enter_context(baseline("plain_stream", "/docs"))
        ratios = [measure(mine, SIZES[0]) / measure(plain, SIZES[0]) for _ in range(ROUNDS)]
        print(f"               ratio to plain sse-starlette {statistics.median(ratios):.2f}")
        compare(mine, [running.enter_context(start()) for start in (bare, *([nchan] if program() else []))])
        for script in sys.argv[1:]:
            subprocess.run([script, str(mine.port)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
