"""How many answers were ready, and where: 1,000 questions, the n-th asked 1/n as often as the first, over all processes.

Each question is asked once before, of any one process; then one skill is captured every second, and half of them answer
a question. Every process is asked as fast as it answers one at a time: more of them serve more.
"""

import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.answers import Asked
from benchmarks.keepalive import Connection
from benchmarks.setups import Fleet


@dataclass(frozen=True)
class Hits:
    """Shares of all answers, by the tier they came from."""

    questions: int
    local: float
    shared: float

    @property
    def ready(self) -> float:
        return self.local + self.shared

    def __str__(self) -> str:
        return f"{self.ready:.1%} = {self.local:.1%} + {self.shared:.1%}"


def measure_hits(fleet: Fleet, seconds: float) -> Hits:
    """Ask every process for so long, over a connection of its own, one question after another."""
    asked = Asked()
    connections = [Connection(port) for port in fleet.ports]
    for number, message in enumerate(asked.messages):
        connections[number % len(connections)].match(message)
    before = fleet.answers()
    ends_at = time.monotonic() + seconds

    def ask(connection: Connection) -> int:
        questions = 0
        while time.monotonic() < ends_at:
            connection.match(asked.message())
            questions += 1
        return questions

    with ThreadPoolExecutor(len(connections)) as threads:
        asking = [threads.submit(ask, connection) for connection in connections]
        capture_each_second(fleet, asked, ends_at)
        questions = sum(each.result() for each in asking)
    after = fleet.answers()
    return Hits(questions, *((after[tier] - before[tier]) / questions for tier in ("local", "shared")))


def capture_each_second(fleet: Fleet, asked: Asked, ends_at: float) -> None:
    """On each process in turn."""
    connections = itertools.cycle([Connection(port) for port in fleet.ports])
    while (present := time.monotonic()) < ends_at:
        next(connections).post("/skills", json.dumps(asked.skill()).encode())
        time.sleep(max(0.0, present + 1 - time.monotonic()))
