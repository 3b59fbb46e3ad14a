"""Replay meets live: whenever a subscriber comes, from wherever, it reads on without a gap and without a repeat."""

import asyncio
from pathlib import Path

from tests.journeys.connects import connect_at_random
from tests.journeys.history import History
from tests.journeys.judging import judge
from tests.server import Server


def test_subscribers_that_come_at_random_moments_see_no_seam(tmp_path: Path) -> None:
    history = History()
    with Server(tmp_path, ring_events="40") as server:
        asyncio.run(connect_at_random(server, history, connects=100, seed=1))
        read_from_the_log = server.metric("cin_log_reads_total")
    judge(history, tmp_path)
    assert len(history.connections) == 100
    assert read_from_the_log > 10
