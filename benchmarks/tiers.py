"""The tiers, each with as many agents as it is for, beside the seed's figures and beside polling of the same server.

`poe bench-tiers [--quick]`. Each tier is a server full of skills, agents in a process of their own that stream, and
captures from this one at a steady pace; then as many agents poll it every two seconds while captures go on. Propagation
is counted over every agent and every event, from before the capture is sent until the agent has read the event's last
byte. *Delivered* is by acknowledgement: what `GET /skills/{id}/delivery` says of each skill after each agent has
acknowledged what it read. The floor is the same agents and the same bytes from a server that does nothing but write
them (`benchmarks/baselines/plain_sender.py`): what the load and the system take for themselves.

Exit code 1 if a tier does not hold what it must: propagation p99 in its limit, everything delivered, 100,000 skills asked
in 80 ms, nine of ten answers ready from tier 3 on, and the floor beneath the last tier's propagation.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import httpx

from benchmarks.agents import POLL_SECONDS, Agents, Captured, Report
from benchmarks.hits import Hits, measure_hits
from benchmarks.keepalive import Connection
from benchmarks.setups import Fleet, Setup, Setups
from benchmarks.skills import make_skills
from benchmarks.spread import Spread, both, capture_for, p50, p99
from benchmarks.tables import Table
from tests.server import free_port, wait_until

SEED_QUERY_MILLISECONDS = {1_000: 2, 10_000: 18, 100_000: 80}
ENOUGH_READY = 0.9
QUESTIONS = 200

PACE = 4.0
"""Captures a second."""


@dataclass(frozen=True)
class Tier:
    """A column of the seed's table, and what must hold; `limit` is of propagation, in milliseconds."""

    number: int
    agents: int
    setup: Setup
    seed: str
    limit: float | None = None
    cached: bool = False


TIERS = [
    Tier(1, 10, Setup(), "polls: 2000"),
    Tier(2, 50, Setup(), "< 1000", 1_000),
    Tier(3, 200, Setup(redis=True), "< 500", 500, cached=True),
    Tier(4, 1_000, Setup(2, postgres=True, redis=True), "< 200", 200, cached=True),
]


@dataclass(frozen=True)
class Plan:
    """How much is done; the agents are there with the last of the sizes."""

    sizes: Sequence[int]
    events: int
    hit_seconds: float


FULL = Plan((1_000, 10_000, 100_000), events=40, hit_seconds=8)
QUICK = Plan((1_000, 10_000), events=12, hit_seconds=3)

Queries = dict[int, tuple[list[float], list[float]]]
"""Milliseconds of matches and of searches, by the number of skills."""


@dataclass(frozen=True)
class Usage:
    """Shares of a core and MiB while agents were there: of CIN, and of what it relies on."""

    cores: tuple[float, float]
    mebibytes: tuple[float, float]


@dataclass(frozen=True)
class Figures:
    """What was measured of a tier."""

    tier: Tier
    durability: str
    streams: Spread
    streams_usage: Usage
    load: Report
    delivered: float
    polls: Spread
    polls_usage: Usage
    floor: Spread
    floor_load: Report
    hits: Hits
    queries: Queries


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="up to 10,000 skills, and fewer events")
    parser.add_argument("--transport", choices=["sse"], default="sse", help="how events come to agents")
    plan = QUICK if parser.parse_args().quick else FULL
    asked: dict[Setup, Queries] = {}
    with Setups() as setups:
        measured = [measure(tier, plan, setups, asked) for tier in TIERS]
    show(measured, plan)
    return 0 if holds(measured) else 1


def measure(tier: Tier, plan: Plan, setups: Setups, asked: dict[Setup, Queries]) -> Figures:
    """Everything of one tier. Two tiers of one setup are asked the same questions once."""
    print(f"tier {tier.number}: {tier.agents:,} agents, {tier.setup.name}", flush=True)
    queries = asked.setdefault(tier.setup, {})
    for size in plan.sizes[:-1]:
        if size not in queries:
            with setups.serving(tier.setup, size) as fleet:
                queries[size] = ask(fleet.ports)
    with setups.serving(tier.setup, plan.sizes[-1]) as fleet:
        if plan.sizes[-1] not in queries:
            queries[plan.sizes[-1]] = ask(fleet.ports)
        streams, load, delivered, streams_usage = stream(tier, fleet, plan)
        polls, polls_usage = poll(tier, fleet, plan)
        hits = measure_hits(fleet, plan.hit_seconds)
        durability = fleet.durability()
    floor, floor_load = measure_floor(tier, load.frame, plan)
    return Figures(
        tier, durability, streams, streams_usage, load, delivered, polls, polls_usage, floor, floor_load, hits, queries
    )


def ask(ports: Sequence[int]) -> tuple[list[float], list[float]]:
    """Questions that nobody has asked before, each process in turn: error messages, and three words."""
    connections = [Connection(port) for port in ports]
    matched: list[float] = []
    searched: list[float] = []
    for number, skill in enumerate(islice(make_skills(), QUESTIONS)):
        connection = connections[number % len(connections)]
        seconds, answer = connection.match(f"{skill['error_type']}: {skill['pattern']} (after {number} s)")
        if not answer["matches"]:
            raise RuntimeError(f"not found: {skill['pattern']}")
        matched.append(seconds * 1e3)
        words = " ".join(str(skill["resolution"]).split()[number % 5 :][:3])
        searched.append(connection.get(f"/skills?{httpx.QueryParams(q=words)}")[0] * 1e3)
    return matched, searched


def stream(tier: Tier, fleet: Fleet, plan: Plan) -> tuple[Spread, Report, float, Usage]:
    with Agents(fleet.ports, tier.agents) as agents, using(fleet) as usage:
        spread, report, captured = capture_for(agents, tier.agents, fleet.ports, plan.events, PACE)
        used = usage()
        agents.acknowledge()
        return spread, report, share_delivered(fleet.ports[0], captured, tier.agents), used


def share_delivered(port: int, captured: Sequence[Captured], agents: int) -> float:
    """Acknowledged deliveries of all that were due."""
    delivered = 0
    with Connection(port) as connection:
        for each in captured:
            delivered += json.loads(connection.get(f"/skills/{each.skill}/delivery")[1])["delivered"]
    return delivered / (agents * len(captured))


def poll(tier: Tier, fleet: Fleet, plan: Plan) -> tuple[Spread, Usage]:
    with Agents(fleet.ports, tier.agents, polling=True) as agents, using(fleet) as usage:
        spread, _, _ = capture_for(agents, tier.agents, fleet.ports, plan.events, PACE)
        return spread, usage()


@contextmanager
def using(fleet: Fleet) -> Iterator[Callable[[], Usage]]:
    """What the block has taken so far, whenever it is called."""
    before, started = fleet.cpu_seconds(), time.monotonic()

    def usage() -> Usage:
        took = time.monotonic() - started
        cin, others = (after - was for after, was in zip(fleet.cpu_seconds(), before, strict=True))
        return Usage((cin / took, others / took), fleet.mebibytes())

    yield usage


def measure_floor(tier: Tier, frame: bytes, plan: Plan) -> tuple[Spread, Report]:
    """The same agents, the same bytes, and a server that only writes them."""
    port = free_port()
    with tempfile.NamedTemporaryFile(suffix=".frame") as file:
        Path(file.name).write_bytes(frame)
        command = [sys.executable, "-m", "benchmarks.baselines.plain_sender", str(port), file.name]
        with subprocess.Popen(command) as sender:
            try:
                wait_until(lambda: answers(port), what="the plain sender")
                with Agents([port], tier.agents) as agents:
                    spread, report, _ = capture_for(agents, tier.agents, [port], plan.events, PACE)
                    return spread, report
            finally:
                sender.kill()


def answers(port: int) -> bool:
    try:
        Connection(port).close()
    except ConnectionRefusedError:
        return False
    return True


def show(measured: Sequence[Figures], plan: Plan) -> None:
    table = Table("times p50 / p99, ms", [f"tier {each.tier.number}" for each in measured])

    def add(name: str, cell: Callable[[Figures], str]) -> None:
        table.add(name, [cell(each) for each in measured])

    add("agents", lambda each: f"{each.tier.agents:,}")
    add("setup", lambda each: each.tier.setup.name)
    add("capture", lambda each: both(each.streams.answers))
    add("broadcast, first to last", lambda each: both(each.streams.broadcasts))
    add("propagation", lambda each: both(each.streams.delays))
    add("  slowest of all", lambda each: f"{max(each.streams.delays):.1f}")
    add("  the seed", lambda each: each.tier.seed)
    add("  polling every 2 s", lambda each: both(each.polls.delays))
    add("  the floor", lambda each: both(each.floor.delays))
    for size in plan.sizes:
        table.add(f"match, {size:,} skills", [both(each.queries[size][0]) for each in measured])
        table.add("  search 3 words", [both(each.queries[size][1]) for each in measured])
        table.add("  the seed", [str(SEED_QUERY_MILLISECONDS[size])] * len(measured))
    add("answers ready", lambda each: f"{each.hits.ready:.1%}")
    add("  from Redis", lambda each: f"{each.hits.shared:.1%}")
    add("  the seed", lambda each: "90%" if each.tier.cached else "-")
    add("delivered and acknowledged", lambda each: f"{each.delivered:.1%}")
    add("  the seed", lambda each: "100%")
    add("CIN, % of a core", lambda each: f"{each.streams_usage.cores[0]:.0%}")
    add("  while polled", lambda each: f"{each.polls_usage.cores[0]:.0%}")
    add("CIN, MiB", lambda each: f"{each.streams_usage.mebibytes[0]:.0f}")
    add("Postgres and Redis, % of a core", lambda each: f"{each.streams_usage.cores[1]:.0%}")
    add("  MiB", lambda each: f"{each.streams_usage.mebibytes[1]:.0f}")
    add("load, % of a core", lambda each: f"{each.load.cpu_share:.1%}")
    add("  before the floor's server", lambda each: f"{each.floor_load.cpu_share:.1%}")
    print()
    table.show()
    explain(measured, plan)


def explain(measured: Sequence[Figures], plan: Plan) -> None:
    last = measured[-1]
    print(f"\n{plan.events} captures at {PACE:.0f}/s, {plan.sizes[-1]:,} skills; polling every {POLL_SECONDS:.0f} s")
    print(f"the load notes an arrival in {last.load.noting_nanoseconds:.0f} ns, in a process of its own")
    print(
        f"of tier {last.tier.number}'s propagation, {p99(last.streams.delays):.1f} ms at p99, at most "
        f"{p99(last.floor.delays):.1f} ms are the load's and the system's, which a server that only writes shows"
    )
    for sentence in dict.fromkeys(each.durability for each in measured):
        print(sentence)


def holds(measured: Sequence[Figures]) -> bool:
    """Whether all is as it must be; says what is not, and the verdict."""
    wrong = [f"tier {each.tier.number}: {sentence}" for each in measured for sentence in failures(each)]
    last = measured[-1]
    delay = p99(last.streams.delays)
    if p99(last.floor.delays) >= delay:
        wrong.append("the load or the system is the bottleneck: a server that only writes is no faster")
    print("\n".join(wrong) or "all of it holds")
    assert last.tier.limit is not None
    compared = f"{last.tier.limit / delay:.1f} times under" if delay < last.tier.limit else "NOT under"
    print(f"tier {last.tier.number}: propagation p99 {delay:.1f} ms, {compared} {last.tier.limit:.0f} ms")
    return not wrong


def failures(figures: Figures) -> Iterator[str]:
    tier = figures.tier
    if tier.limit is not None and p99(figures.streams.delays) >= tier.limit:
        yield f"propagation p99 {p99(figures.streams.delays):.0f} ms, not under {tier.limit:.0f}"
    if figures.streams.missing or figures.delivered < 1:
        yield f"{figures.streams.missing} events not received, {figures.delivered:.1%} acknowledged"
    if tier.cached and figures.hits.ready < ENOUGH_READY:
        yield f"{figures.hits.ready:.1%} of answers were ready, not {ENOUGH_READY:.0%}"
    for size, times in figures.queries.items():
        slowest = max(map(p50, times))
        if size == max(SEED_QUERY_MILLISECONDS) and slowest >= SEED_QUERY_MILLISECONDS[size]:
            yield f"a query of {size:,} skills takes {slowest:.0f} ms, not under {SEED_QUERY_MILLISECONDS[size]}"


if __name__ == "__main__":
    sys.exit(main())
