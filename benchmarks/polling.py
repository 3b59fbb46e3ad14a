"""What polling costs: agents that ask `GET /skills` with `If-None-Match` every 2 s, beside the server alone.

`poe bench-polling`. Exit code 1 if the database was read for it.
"""

import sys
import time

import httpx

from benchmarks.agents import POLL_SECONDS, Agents
from benchmarks.running import Running, cin
from benchmarks.storm import fill, metric

AGENTS = 200
SECONDS = 10.0
SKILLS = 100
READS = 'cin_database_reads_total{server="primary"}'


def percent(server: Running) -> float:
    """Of a core, in so many seconds."""
    before = server.cpu_seconds()
    time.sleep(SECONDS)
    return (server.cpu_seconds() - before) / SECONDS * 100


def main() -> int:
    with cin() as server, httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as http:
        fill(server.port, SKILLS)
        alone = percent(server)
        with Agents([server.port], AGENTS, polling=True):
            time.sleep(POLL_SECONDS)  # all have an answer, and ask whether it is right still
            before = metric(http, READS)
            busy = percent(server)
            reads = metric(http, READS) - before
    print(
        f"{AGENTS} agents that ask every {POLL_SECONDS:g} s: {busy:.1f} % of a core, {alone:.1f} without them; "
        f"{reads:.0f} reads of the database for {AGENTS / POLL_SECONDS * SECONDS:.0f} questions"
    )
    return 0 if reads == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
