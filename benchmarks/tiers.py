"""The tiers, each with as many agents as it is for, beside the seed's figures and beside polling of the same server.

`poe bench-tiers [--quick] [--transport sse|websocket|both]`. Each tier is a server full of skills, agents in a process of
their own that stream, and captures from this one at a steady pace; then as many agents poll it every two seconds while
captures go on. Propagation is counted over every agent and every event, from before the capture is sent until the agent
has read the event's last byte. *Delivered* is by acknowledgement: what `GET /skills/{id}/delivery` says of each skill after
each agent has acknowledged what it read. The floor is the same agents and the same bytes from a server that does nothing
but write them (`benchmarks/baselines/plain_sender.py`): what the load and the system take for themselves.

Exit code 1 if a tier does not hold what it must: propagation p99 in its limit, everything delivered, 100,000 skills asked
in 80 ms, nine of ten answers ready from tier 3 on, and the floor beneath the last tiers' propagation.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
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
from benchmarks.wires import Wire, add_transport, chosen
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
    Tier(
        5, 5_000, Setup(2, postgres=True, redis=True), "-", cached=True
    ),  # the fifth's first step, on the fourth's setup
]
GOAL = 3
"""Which of them the verdict is about."""


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
class Streamed:
    """What agents with streams had, on one wire, and what the same agents have of a server that only writes."""

    spread: Spread
    usage: Usage
    load: Report
    delivered: float
    floor: Spread
    floor_load: Report


@dataclass(frozen=True)
class Figures:
    """What was measured of a tier; streams by the name of their wire."""

    tier: Tier
    durability: str
    streams: dict[str, Streamed]
    polls: Spread
    polls_usage: Usage
    hits: Hits
    queries: Queries


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="up to 10,000 skills, and fewer events")
    add_transport(parser)
    given = parser.parse_args()
    plan = QUICK if given.quick else FULL
    asked: dict[Setup, Queries] = {}
    measured: list[Figures] = []
    try:
        with Setups() as setups:
            for tier in TIERS:
                measured.append(measure(tier, plan, chosen(given.transport), setups, asked))
    finally:
        if measured:  # what there is of them, if one broke
            show(measured, plan)
    return 0 if holds(measured) else 1


def measure(tier: Tier, plan: Plan, wires: Sequence[Wire], setups: Setups, asked: dict[Setup, Queries]) -> Figures:
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
        streams = {wire.name: stream(tier, fleet, plan, wire) for wire in wires}
        polls, polls_usage = poll(tier, fleet, plan)
        hits = measure_hits(fleet, plan.hit_seconds)
        return Figures(tier, fleet.durability(), streams, polls, polls_usage, hits, queries)


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


def stream(tier: Tier, fleet: Fleet, plan: Plan, wire: Wire) -> Streamed:
    with Agents(fleet.ports, tier.agents, wire=wire) as agents, using(fleet) as usage:
        spread, load, captured = capture_for(agents, tier.agents, fleet.ports, plan.events, PACE)
        used = usage()
        agents.acknowledge()
        delivered = share_delivered(fleet.ports[0], captured, tier.agents)
    return Streamed(spread, used, load, delivered, *measure_floor(tier, load.frame, plan, wire))


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


def measure_floor(tier: Tier, frame: bytes, plan: Plan, wire: Wire) -> tuple[Spread, Report]:
    """The same agents, the same bytes, and as many processes that only write them."""
    ports = [free_port() for _ in range(tier.setup.processes)]
    with tempfile.NamedTemporaryFile(suffix=".frame") as file, ExitStack() as senders:
        Path(file.name).write_bytes(frame)
        for port in ports:
            peers = (str(peer) for peer in ports if peer != port)
            program = (sys.executable, "-m", "benchmarks.baselines.plain_sender")
            sender = senders.enter_context(subprocess.Popen([*program, str(port), file.name, wire.name, *peers]))
            senders.callback(sender.kill)
            wait_until(lambda port=port: answers(port), what="the plain sender")  # type: ignore[misc]
        with Agents(ports, tier.agents, wire=wire) as agents:
            spread, report, _ = capture_for(agents, tier.agents, ports[:1], plan.events, PACE)
            return spread, report


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
    add("the seed's propagation", lambda each: each.tier.seed)
    add("polling every 2 s", lambda each: both(each.polls.delays))
    add("  not received", lambda each: str(each.polls.missing))
    for wire in measured[0].streams:
        add_streams(wire, add)
    for size in plan.sizes:
        table.add(f"match, {size:,} skills", [both(each.queries[size][0]) for each in measured])
        table.add("  search 3 words", [both(each.queries[size][1]) for each in measured])
        table.add("  the seed", [str(SEED_QUERY_MILLISECONDS[size])] * len(measured))
    add("answers ready", lambda each: f"{each.hits.ready:.1%}")
    add("  from Redis", lambda each: f"{each.hits.shared:.1%}")
    add("  the seed", lambda each: "90%" if each.tier.cached else "-")
    add("CIN while polled, % of a core", lambda each: f"{each.polls_usage.cores[0]:.0%}")
    print()
    table.show()
    explain(measured, plan)


def add_streams(wire: str, add: Callable[[str, Callable[[Figures], str]], None]) -> None:
    """The rows of one wire."""
    add(wire, lambda each: "")
    add("  capture", lambda each: both(each.streams[wire].spread.answers))
    add("  broadcast, first to last", lambda each: both(each.streams[wire].spread.broadcasts))
    add("  propagation", lambda each: both(each.streams[wire].spread.delays))
    add("    slowest of all", lambda each: f"{max(each.streams[wire].spread.delays):.1f}")
    add("    the floor", lambda each: both(each.streams[wire].floor.delays))
    add("  delivered and acknowledged", lambda each: f"{each.streams[wire].delivered:.1%}")
    add("    the seed", lambda each: "100%")
    add("  CIN, % of a core", lambda each: f"{each.streams[wire].usage.cores[0]:.0%}")
    add("    MiB", lambda each: f"{each.streams[wire].usage.mebibytes[0]:.0f}")
    add("  Postgres and Redis, % of a core", lambda each: f"{each.streams[wire].usage.cores[1]:.0%}")
    add("    MiB", lambda each: f"{each.streams[wire].usage.mebibytes[1]:.0f}")
    add("  load, % of a core", lambda each: f"{each.streams[wire].load.cpu_share:.1%}")
    add("    before the floor's server", lambda each: f"{each.streams[wire].floor_load.cpu_share:.1%}")


def explain(measured: Sequence[Figures], plan: Plan) -> None:
    print(f"\n{plan.events} captures at {PACE:.0f}/s, {plan.sizes[-1]:,} skills; polling every {POLL_SECONDS:.0f} s")
    for each in measured[GOAL:]:
        for wire, streams in each.streams.items():
            print(
                f"of tier {each.tier.number}'s propagation on {wire}, {p99(streams.spread.delays):.1f} ms at p99, at most "
                f"{p99(streams.floor.delays):.1f} ms are the load's and the system's: a server that only writes shows them; "
                f"the load notes an arrival in {streams.load.noting_nanoseconds:.0f} ns, in a process of its own"
            )
    for sentence in dict.fromkeys(each.durability for each in measured):
        print(sentence)


def holds(measured: Sequence[Figures]) -> bool:
    """Whether all is as it must be; says what is not, and the verdict."""
    wrong = [f"tier {each.tier.number}: {sentence}" for each in measured for sentence in failures(each)]
    for each in measured[GOAL:]:
        for wire, streams in each.streams.items():
            if p99(streams.floor.delays) >= p99(streams.spread.delays):
                wrong.append(
                    f"tier {each.tier.number}: the load or the system is the bottleneck on {wire}: "
                    "a server that only writes is no faster"
                )
    print("\n".join(wrong) or "all of it holds")
    goal = measured[GOAL].tier
    assert goal.limit is not None
    for wire, streams in measured[GOAL].streams.items():
        delay = p99(streams.spread.delays)
        compared = f"{goal.limit / delay:.1f} times under" if delay < goal.limit else "NOT under"
        print(f"tier {goal.number}: propagation p99 {delay:.1f} ms on {wire}, {compared} {goal.limit:.0f} ms")
    return not wrong


def failures(figures: Figures) -> Iterator[str]:
    tier = figures.tier
    for wire, streams in figures.streams.items():
        delay = p99(streams.spread.delays)
        if tier.limit is not None and delay >= tier.limit:
            yield f"propagation p99 {delay:.0f} ms on {wire}, not under {tier.limit:.0f}"
        if streams.spread.missing or streams.delivered < 1:
            yield f"{streams.spread.missing} events not received on {wire}, {streams.delivered:.1%} acknowledged"
    if tier.cached and figures.hits.ready < ENOUGH_READY:
        yield f"{figures.hits.ready:.1%} of answers were ready, not {ENOUGH_READY:.0%}"
    for size, times in figures.queries.items():
        slowest = max(map(p50, times))
        if size == max(SEED_QUERY_MILLISECONDS) and slowest >= SEED_QUERY_MILLISECONDS[size]:
            yield f"a query of {size:,} skills takes {slowest:.0f} ms, not under {SEED_QUERY_MILLISECONDS[size]}"


if __name__ == "__main__":
    sys.exit(main())
