"""One capture to 1,000 subscribers: when the last one has it, beside plain sse-starlette, and beside nchan if it is there.

`poe bench-fan-out [SCRIPT]`. SCRIPT is a benchmark that is given CIN's port and the number of subscribers, such as one
that measures nchan (nginx, C, nothing durable) in the same run.
"""

import statistics
import subprocess
import sys
import time

import httpx

from benchmarks.running import Running, baseline, cin
from benchmarks.subscribers import Subscribers, publish

COUNT = 1_000
EVENTS = 20
ROUNDS = 3


def measure(server: Running) -> float:
    """The median time until the last subscriber had an event, in seconds; printed."""
    firsts: list[float] = []
    lasts: list[float] = []
    with Subscribers(server.port, COUNT) as subscribers, httpx.Client() as client:
        for _ in range(EVENTS):
            mark = f"m{time.time_ns()}"
            started = publish(client, server.port, mark)
            moments = subscribers.await_text(mark.encode(), seconds=20)
            firsts.append(moments[0] - started)
            lasts.append(moments[-1] - started)
    first, last = statistics.median(firsts), statistics.median(lasts)
    print(f"{server.name:>13}  {COUNT} subscribers  first {first * 1e3:6.1f} ms  last {last * 1e3:6.1f} ms")
    return last


def main() -> int:
    with cin() as mine, baseline("plain_stream", "/docs") as plain:
        ratios = [measure(mine) / measure(plain) for _ in range(ROUNDS)]
        print(f"               ratio to plain sse-starlette {statistics.median(ratios):.2f}")
        for script in sys.argv[1:]:
            subprocess.run([script, str(mine.port), str(COUNT)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
