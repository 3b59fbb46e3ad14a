"""How many answers were ready, and where: 1,000 questions, the n-th asked 1/n as often as the first, over all processes.

Each question is asked once before, by any one process; then one skill is captured every second, and half of them answer
a question.
"""

import json
import time
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
    """Ask for so long, one question after another, each process in turn."""
    asked = Asked()
    connections = [Connection(port) for port in fleet.ports]
    for number, message in enumerate(asked.messages):
        connections[number % len(connections)].match(message)
    before = fleet.answers()
    captured = questions = 0
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < seconds:
        if elapsed > captured:
            connections[captured % len(connections)].post("/skills", json.dumps(asked.skill()).encode())
            captured += 1
        connections[questions % len(connections)].match(asked.message())
        questions += 1
    after = fleet.answers()
    return Hits(questions, *((after[tier] - before[tier]) / questions for tier in ("local", "shared")))
