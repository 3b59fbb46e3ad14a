"""A storm: thousands of streams are cut at once and come back with positions, some of them far behind the ring.

`poe bench-storm [--clients N] [--at-once] [--transport sse|websocket|both]`. First 500 clients, then N (5,000), each on a
server and a log of their own; they come back when `retry` tells them to, 1 to 3 s later, or all in one moment. Exit code 1
if an event is missing or comes twice, if it takes 10 s until all have caught up, if captures' p99 reaches 200 ms meanwhile,
or if more clients make more reads of pages.
"""

import argparse
import json
import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import httpx

from benchmarks.crowd import Crowd, Place
from benchmarks.keepalive import Connection
from benchmarks.running import cin
from benchmarks.spread import both, p99
from benchmarks.tables import Table
from benchmarks.wires import SSE, Wire, add_transport, chosen
from tests.server import wait_until

FEW, MANY = 500, 5_000
PACE = 5.0
"""Captures a second; each goes to everybody, which takes most of 100 ms with 5,000."""

ENOUGH_SECONDS, ENOUGH_MILLISECONDS = 10.0, 200.0


@dataclass(frozen=True)
class Plan:
    """How far behind they are. One in `far_share` is behind the ring; one in `agent_share` comes by a name."""

    log: int = 3_000
    ring: int = 500
    near: int = 100
    far_share: int = 20
    agent_share: int = 5
    retry_seconds: tuple[float, float] = (1.0, 3.0)
    quiet_seconds: float = 6.0


@dataclass(frozen=True)
class Storm:
    """What one was like; latencies of captures in milliseconds."""

    clients: int
    opened_a_second: float
    seconds: float
    gaps: int
    repeats: int
    resets: int
    refused: int
    before: list[float]
    meanwhile: list[float]
    pages: int
    commits: int


class Target(Protocol):
    """A server that has an empty log, and `Plan.ring` events in its ring."""

    @property
    def port(self) -> int: ...


def storm(server: Target, clients: int, plan: Plan, seed: int = 1, wire: Wire = SSE) -> Storm:
    """Cut so many clients at once, and see how they come back."""
    chance = random.Random(seed)
    fill(server.port, plan.log)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as http, Crowd(server.port, clients, wire) as crowd:
        epoch, head = str(http.get("/info").json()["epoch"]), plan.log
        wait_until(
            lambda: http.get("/info").json()["head"] == f"{epoch}-{head}", what="the whole log in the ring's sight"
        )
        started = time.monotonic()
        crowd.come(epoch, [Place(None, 0)] * clients)
        opened = clients / (crowd.await_offset(head).moments[-1] - started)
        with capturing(server.port) as before:
            time.sleep(plan.quiet_seconds)
        last = head + len(before)
        crowd.await_offset(last)
        pages, commits = metric(http, "cin_log_reads_total"), metric(http, "cin_commits_total")
        crowd.cut()
        with capturing(server.port) as meanwhile:
            started = time.monotonic()
            crowd.come(epoch, [place(chance, plan, last, number) for number in range(clients)])
            caught_up = crowd.await_offset(last).moments[-1] - started
        told = crowd.await_offset(last + len(meanwhile))
        pages, commits = metric(http, "cin_log_reads_total") - pages, metric(http, "cin_commits_total") - commits
    return Storm(
        clients,
        opened,
        caught_up,
        told.gaps,
        told.repeats,
        told.resets,
        told.refused,
        before,
        meanwhile,
        int(pages),
        int(commits),
    )


def place(chance: random.Random, plan: Plan, head: int, number: int) -> Place:
    """Where a client comes back."""
    is_far = number % plan.far_share == 0
    behind = chance.randint(plan.ring + plan.near, plan.log - plan.near) if is_far else chance.randint(1, plan.near)
    name = f"agent-{number}" if number % plan.agent_share == 1 else None
    return Place(head - behind, chance.uniform(*plan.retry_seconds), name)


def fill(port: int, events: int) -> None:
    with Connection(port) as connection:
        for start in range(0, events, 1_000):
            skills = [skill(f"f{number}") for number in range(start, min(start + 1_000, events))]
            connection.post("/skills/batch", json.dumps(skills).encode())


def skill(name: str) -> dict[str, str]:
    return {"error_type": "StormError", "pattern": f"storm {name}", "resolution": f"take shelter {name}"}


@contextmanager
def capturing(port: int) -> Iterator[list[float]]:
    """Capture `PACE` times a second until the end of the block; how long each took, in milliseconds."""
    latencies: list[float] = []
    stop = threading.Event()

    def capture() -> None:
        with Connection(port) as connection:
            while not stop.wait(1 / PACE):
                body = json.dumps(skill(f"c{time.time_ns()}")).encode()
                latencies.append(connection.post("/skills", body)[0] * 1e3)

    thread = threading.Thread(target=capture)
    thread.start()
    try:
        yield latencies
    finally:
        stop.set()
        thread.join()


def metric(http: httpx.Client, name: str) -> float:
    for line in http.get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    raise KeyError(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=MANY, help=f"of the greater storm ({MANY})")
    parser.add_argument("--at-once", action="store_true", help="nobody waits for what `retry` says")
    add_transport(parser)
    given = parser.parse_args()
    plan = Plan(retry_seconds=(0, 0)) if given.at_once else Plan()
    held = True
    for wire in chosen(given.transport):
        storms = []
        for clients in (FEW, given.clients):
            with cin(ring_events=str(plan.ring)) as server:
                storms.append(storm(server, clients, plan, wire=wire))
        show(storms, plan, wire)
        held &= holds(storms)
    return 0 if held else 1


def show(storms: Sequence[Storm], plan: Plan, wire: Wire) -> None:
    table = Table(f"clients cut at once, {wire.name}", [f"{each.clients:,}" for each in storms])
    table.add("opened at first, a second", [f"{each.opened_a_second:,.0f}" for each in storms])
    table.add("all caught up after s", [f"{each.seconds:.2f}" for each in storms])
    table.add("gaps / repeats / resets", [f"{each.gaps} / {each.repeats} / {each.resets}" for each in storms])
    table.add("refused", [str(each.refused) for each in storms])
    table.add("captures before, p50 / p99 ms", [both(each.before) for each in storms])
    table.add("captures meanwhile", [both(each.meanwhile) for each in storms])
    table.add("pages read from the database", [str(each.pages) for each in storms])
    table.add("commits", [str(each.commits) for each in storms])
    table.show()
    print(
        f"they come back {plan.retry_seconds[0]:g} to {plan.retry_seconds[1]:g} s later, 1 to {plan.near} events behind; "
        f"one in {plan.far_share} up to {plan.log:,} behind, beyond the ring of {plan.ring}; "
        f"one in {plan.agent_share} with `agent=`"
    )


def holds(storms: Sequence[Storm]) -> bool:
    """Whether all is as it must be; says what is not."""
    wrong = []
    for each in storms:
        if each.gaps or each.repeats or each.resets:
            wrong.append(f"{each.clients:,}: {each.gaps} gaps, {each.repeats} repeats, {each.resets} resets")
        if each.seconds >= ENOUGH_SECONDS:
            wrong.append(f"{each.clients:,}: caught up after {each.seconds:.1f} s, not under {ENOUGH_SECONDS:.0f}")
        if p99(each.meanwhile) >= ENOUGH_MILLISECONDS:
            wrong.append(
                f"{each.clients:,}: captures' p99 {p99(each.meanwhile):.0f} ms, not under {ENOUGH_MILLISECONDS:.0f}"
            )
    if storms[-1].pages > 1.5 * storms[0].pages:
        wrong.append(f"{storms[-1].pages} pages for {storms[-1].clients:,} clients, {storms[0].pages} for {FEW}")
    print("\n".join(wrong) or "all of it holds")
    return not wrong


if __name__ == "__main__":
    sys.exit(main())
