"""One, two and four processes on PostgreSQL, with Redis and without, beside one on SQLite, in the same run.

`poe bench-processes [--quick]`: captures and matches a second, how fast an event comes from the process that captured it
to the subscribers of the others, and how many answers were ready. Each setup has a database of its own with as many
skills; rounds alternate, so that all meet the same machine, and medians count. Propagation is counted from before the
capture is sent; how much of it came after the answer is shown beside it. Exit code 1 if events need more than 10 ms from
process to process (median), or if fewer than 90 % of answers were ready where there is Redis or one process.
"""

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import uvloop

from benchmarks.agents import Agents
from benchmarks.hits import Hits, measure_hits
from benchmarks.load import Request, capture, load, post
from benchmarks.setups import Fleet, Setup, Setups
from benchmarks.spread import Spread, both, capture_for, p50
from benchmarks.tables import Table

SKILLS = 10_000
SUBSCRIBERS = 5
"""On each process that did not capture."""

ENOUGH_READY = 0.9
PROPAGATION_MILLISECONDS = 10.0


@dataclass(frozen=True)
class Plan:
    """How long everything takes."""

    processes: Sequence[int]
    rounds: int
    seconds: float
    events: int
    hit_seconds: float


FULL = Plan((1, 2, 4), rounds=3, seconds=1.2, events=100, hit_seconds=8)
QUICK = Plan((1, 2), rounds=1, seconds=1.0, events=30, hit_seconds=3)


@dataclass
class Figures:
    """What was measured of one fleet; a second's work by its name, a figure for each round."""

    fleet: Fleet
    rates: dict[str, list[float]] = field(default_factory=dict)
    latencies: dict[str, list[float]] = field(default_factory=dict)
    spread: Spread | None = None
    hits: Hits | None = None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one round, without four processes")
    plan = QUICK if parser.parse_args().quick else FULL
    with Setups() as setups, ExitStack() as stack:
        measured = [Figures(stack.enter_context(setups.serving(each, SKILLS))) for each in chosen(plan)]
        busy = measure_rates(measured, plan)
        for figures in measured:
            figures.spread = measure_spread(figures.fleet, plan)
            figures.hits = measure_hits(figures.fleet, plan.hit_seconds)
        show(measured, busy)
    return 0 if holds(measured) else 1


def chosen(plan: Plan) -> list[Setup]:
    """The columns of the table, SQLite first."""
    return [Setup(), *(Setup(number, True, redis) for redis in (False, True) for number in plan.processes)]


def measure_rates(measured: Sequence[Figures], plan: Plan) -> float:
    """All kinds of work on all fleets, round by round; returns the share of a core that the load took."""
    kinds: list[tuple[str, int, Request]] = [
        ("captures/s, 16 connections", 16, capture),
        ("captures/s, 64 connections", 64, capture),
        ("fresh matches/s", 16, fresh_match()),
        ("repeated matches/s", 16, repeated_match()),
    ]
    cpu, started = time.process_time(), time.monotonic()
    for _ in range(plan.rounds):
        for name, connections, request in kinds:
            for figures in measured:
                answered = uvloop.run(load(figures.fleet.ports, connections, request, plan.seconds))
                figures.rates.setdefault(name, []).append(len(answered) / plan.seconds)
                figures.latencies.setdefault(name, []).extend(seconds * 1e3 for seconds in answered)
    return (time.process_time() - cpu) / (time.monotonic() - started)


def fresh_match() -> Request:
    """Questions that nobody has asked before."""
    numbers = itertools.count(time.time_ns())

    def request() -> bytes:
        n = next(numbers)
        return post(b"/match", b'{"message":"ImportError: No module named \'m%d\' (after %d s)"}' % (n, n % 97))

    return request


def repeated_match() -> Request:
    """A hundred questions again and again."""
    messages = [json.dumps({"message": f"ImportError: No module named 'm{n}' again"}).encode() for n in range(100)]
    return itertools.cycle([post(b"/match", message) for message in messages]).__next__


def measure_spread(fleet: Fleet, plan: Plan) -> Spread:
    """Captured on the first process, received on all others; on the same if there is no other."""
    others = fleet.ports[1:] or fleet.ports
    count = SUBSCRIBERS * len(others)
    with Agents(others, count) as agents:
        return capture_for(agents, count, fleet.ports[:1], plan.events, pace=20)[0]


def show(measured: Sequence[Figures], busy: float) -> None:
    table = Table(f"{SKILLS:,} skills", [figures.fleet.setup.name for figures in measured])
    for name in measured[0].rates:
        medians = [statistics.median(figures.rates[name]) for figures in measured]
        table.add(name, [f"{rate:,.0f}" for rate in medians])
        table.add("  beside SQLite", [f"{rate / medians[0]:.2f}" for rate in medians])
        table.add("  p50 / p99 ms", [both(figures.latencies[name]) for figures in measured])
    table.add("propagation p50 / p99 ms", of_each(measured, lambda each: both(spread(each).delays)))
    table.add("  of which to the answer", of_each(measured, lambda each: both(spread(each).answers)))
    table.add("  and after it", of_each(measured, lambda each: both(spread(each).after_answers)))
    table.add("  slowest ms", of_each(measured, lambda each: f"{max(spread(each).delays):.1f}"))
    table.add("  not received", of_each(measured, lambda each: str(spread(each).missing)))
    table.add("ready = local + shared", of_each(measured, lambda each: str(each.hits)))
    table.show()
    print(f"the load took {busy:.0%} of a core while it asked, beside the servers on the same machine")
    for kind in (False, True):
        print(next(each.fleet.durability() for each in measured if each.fleet.setup.postgres == kind))


def of_each(measured: Sequence[Figures], cell: Callable[[Figures], str]) -> list[str]:
    return [cell(figures) for figures in measured]


def spread(figures: Figures) -> Spread:
    assert figures.spread is not None
    return figures.spread


def holds(measured: Sequence[Figures]) -> bool:
    """Whether all is as it must be; says what is not."""
    wrong: list[str] = []
    for figures in measured:
        setup, delay = figures.fleet.setup, p50(spread(figures).delays)
        assert figures.hits is not None
        if spread(figures).missing:
            wrong.append(f"{setup.name}: {spread(figures).missing} events were not received")
        if setup.processes > 1 and delay > PROPAGATION_MILLISECONDS:
            wrong.append(f"{setup.name}: propagation takes {delay:.1f} ms, not {PROPAGATION_MILLISECONDS:.0f} or less")
        if (setup.redis or setup.processes == 1) and figures.hits.ready < ENOUGH_READY:
            wrong.append(f"{setup.name}: {figures.hits.ready:.1%} were ready, not {ENOUGH_READY:.0%}")
    print("\n".join(wrong) or "all of it holds")
    return not wrong


if __name__ == "__main__":
    sys.exit(main())
