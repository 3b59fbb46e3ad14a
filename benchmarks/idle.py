"""What an idle subscriber costs: memory for each, and CPU for all with heartbeats, beside plain sse-starlette.

`poe bench-idle`. Limits: 25 KB each, 3 % of a core for 1,000.
"""

import sys
import time

from benchmarks.running import Running, baseline, cin
from benchmarks.subscribers import Subscribers

COUNT = 1_000
SECONDS = 32.0
"""Two heartbeats of 15 s each."""


def measure(server: Running) -> tuple[float, float]:
    """KiB a subscriber and percent of a core, printed and returned."""
    with Subscribers(server.port, 50):
        pass  # what the first connections bring into memory is not theirs
    time.sleep(1)
    before = server.resident_kib()
    with Subscribers(server.port, COUNT):
        time.sleep(1)
        each = (server.resident_kib() - before) / COUNT
        cpu = server.cpu_seconds()
        time.sleep(SECONDS)
        percent = (server.cpu_seconds() - cpu) / SECONDS * 100
    print(f"{server.name:>13}  {COUNT} idle subscribers  {each:5.1f} KiB each  {percent:4.1f} % of a core")
    return each, percent


def main() -> int:
    with baseline("plain_stream", "/docs") as plain:
        measure(plain)
    with cin() as mine:
        each, percent = measure(mine)
    return 0 if each <= 25 and percent <= 3 else 1


if __name__ == "__main__":
    sys.exit(main())
