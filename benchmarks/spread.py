"""How fast events spread: from before a capture is sent to the moment an agent has read the event, for all of both."""

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from benchmarks.agents import Agents, Captured, Receipt, Report, capture_paced
from benchmarks.skills import make_skills


@dataclass(frozen=True)
class Spread:
    """Milliseconds: of each capture's answer, from each capture to each agent, from its answer to each agent, and from the
    first agent to the last."""

    answers: list[float]
    delays: list[float]
    after_answers: list[float]
    broadcasts: list[float]
    missing: int


def spread_of(captured: Sequence[Captured], receipts: Sequence[Receipt], agents: int) -> Spread:
    """What the captures and the receipts say together. An agent has an event when it had it first."""
    had: dict[int, dict[int, int]] = defaultdict(dict)
    for agent, offset, at in receipts:
        had[offset].setdefault(agent, at)
    delays = [(at - each.at) / 1e6 for each in captured for at in had[each.offset].values()]
    spans = [(max(moments) - min(moments)) / 1e6 for each in captured if (moments := had[each.offset].values())]
    after = [(at - each.at) / 1e6 - each.seconds * 1e3 for each in captured for at in had[each.offset].values()]
    missing = agents * len(captured) - len(delays)
    return Spread([each.seconds * 1e3 for each in captured], delays, after, spans, missing)


def capture_for(
    agents: Agents, count: int, ports: Sequence[int], events: int, pace: float
) -> tuple[Spread, Report, list[Captured]]:
    """Capture so many new skills on the ports in turn, for `count` agents that are there."""
    bodies = [json.dumps(skill).encode() for skill in islice(make_skills(seed=time.time_ns()), events)]
    captured = capture_paced(ports, bodies, pace)
    report = agents.report(captured[-1].offset)
    return spread_of(captured, report.receipts, count), report, captured


def p50(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def p99(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * 99 // 100)] if values else float("nan")


def both(values: Sequence[float]) -> str:
    """p50 and p99, as a table shows them."""
    return f"{p50(values):.1f} / {p99(values):.1f}"
