"""A long day in minutes: captures, streams that come, go, age and stall; and what the server holds must not grow.

Skills are retired as fast as they are captured, and retention trims the log, so that nothing has a reason to grow. Memory,
descriptors and tasks are sampled all the time; the verdict compares the second quarter of the time with the last.
"""

import json
import random
import statistics
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.crowd import Crowd, Place
from tests.journeys.stalls import MIB, connect_and_never_read, resident_bytes
from tests.server import SERVE, Server

STEADY, VISITORS, STALLED = 100, 50, 5
KEPT_SKILLS, EVENTS_KEPT = 200, 1_000
PACE = 20.0
VISIT_SECONDS = 3.0
STALL_EVERY_SECONDS = 12.0

SETTINGS = {
    "ring_events": "300",
    "retention_days": "0",
    "retention_events": str(EVENTS_KEPT),
    "retention_interval_seconds": "2",
    "stall_seconds": "3",
    "stream_max_age_seconds": "15",
}

MORE_MEMORY, MORE_OTHERS = 0.05, 0.1
"""How much more the last quarter may have: noise, of the allocator and of who happens to be there."""


@dataclass(frozen=True)
class Sample:
    mebibytes: float
    descriptors: int
    tasks: float


@dataclass(frozen=True)
class Verdict:
    """Whether it was flat, and whether everybody got everything."""

    second: Sample
    last: Sample
    samples: int
    captured: int
    gaps: int
    repeats: int
    aged: int
    evicted: int

    @property
    def holds(self) -> bool:
        return (
            not self.gaps
            and not self.repeats
            and self.last.mebibytes <= self.second.mebibytes * (1 + MORE_MEMORY) + 2
            and self.last.descriptors <= self.second.descriptors * (1 + MORE_OTHERS) + 5
            and self.last.tasks <= self.second.tasks * (1 + MORE_OTHERS) + 5
        )

    def __str__(self) -> str:
        was, now = self.second, self.last
        return (
            f"{'flat' if self.holds else 'NOT FLAT'}: {was.mebibytes:.1f} → {now.mebibytes:.1f} MiB, "
            f"{was.descriptors} → {now.descriptors} descriptors, {was.tasks:.0f} → {now.tasks:.0f} tasks, "
            f"second quarter and last of {self.samples} samples; {self.captured} captures, {self.aged} streams aged, "
            f"{self.evicted} closed for stalling; {self.gaps} gaps, {self.repeats} repeats"
        )


def stay_flat(folder: Path, seconds: float, seed: int) -> Verdict:
    """Run it for so long."""
    with Server(folder, program=SERVE, **SETTINGS) as server, Crowd(server.port, STEADY) as steady:
        with _living(server) as life:
            steady.come(life.epoch, [Place(None, 0)] * STEADY)
            samples = _sample(server, life, seconds, random.Random(seed))
        told = steady.await_offset(life.head, 60)
        quarter = len(samples) // 4
        return Verdict(
            _typical(samples[quarter : 2 * quarter]),
            _typical(samples[-quarter:]),
            len(samples),
            life.captured,
            told.gaps,
            told.repeats,
            int(server.metric("cin_streams_aged_total")),
            int(server.metric("cin_evictions_total")),
        )


def _sample(server: Server, life: "_Life", seconds: float, chance: random.Random) -> list[Sample]:
    """Visitors come for a while and are cut, some readers never read; in between the server is looked at."""
    samples: list[Sample] = []
    ends_at = time.monotonic() + seconds
    with Crowd(server.port, VISITORS) as visitors, ExitStack() as deaf:
        stall_at = time.monotonic()
        while time.monotonic() < ends_at:
            head = life.head
            places = [Place(max(0, head - chance.randint(0, 500)), chance.random()) for _ in range(VISITORS)]
            visitors.come(life.epoch, places)
            time.sleep(VISIT_SECONDS)
            samples.append(_look(server))
            visitors.cut()
            if time.monotonic() >= stall_at:
                stall_at += STALL_EVERY_SECONDS
                deaf.pop_all().close()
                for _ in range(STALLED):
                    deaf.enter_context(connect_and_never_read(server, since=str(max(0, head - 500))))
    return samples


class _Life:
    """Captures and retires; `head` is the newest offset answered."""

    def __init__(self, server: Server) -> None:
        self.captured = self.head = 0
        self.stopped = threading.Event()
        self._url = server.url
        self.epoch = str(httpx.get(f"{server.url}/info").json()["epoch"])

    def run(self) -> None:
        skills: deque[str] = deque()
        with httpx.Client(base_url=self._url) as http:
            while not self.stopped.wait(1 / PACE):
                name = f"flat{self.captured}"
                skill = {"error_type": "Flat", "pattern": name, "resolution": name + "x" * 4_000}
                answer = http.post("/skills", content=json.dumps(skill), headers={"Content-Type": "application/json"})
                skills.append(str(answer.raise_for_status().json()["id"]))
                self.captured += 1
                if len(skills) > KEPT_SKILLS:
                    answer = http.delete(f"/skills/{skills.popleft()}").raise_for_status()
                self.head = int(answer.headers["CIN-Position"].rpartition("-")[2])


@contextmanager
def _living(server: Server) -> Iterator[_Life]:
    life = _Life(server)
    thread = threading.Thread(target=life.run)
    thread.start()
    try:
        yield life
    finally:
        life.stopped.set()
        thread.join()


def _look(server: Server) -> Sample:
    return Sample(
        resident_bytes(server.pid) / MIB,
        len(list(Path(f"/proc/{server.pid}/fd").iterdir())),
        server.metric("cin_tasks"),
    )


def _typical(samples: list[Sample]) -> Sample:
    return Sample(
        statistics.median(each.mebibytes for each in samples),
        round(statistics.median(each.descriptors for each in samples)),
        statistics.median(each.tasks for each in samples),
    )
