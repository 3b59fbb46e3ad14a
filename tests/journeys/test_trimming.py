"""Retention meets a reader that is behind: it reads everything, or is told what it will not get; never a hole."""

import asyncio
from pathlib import Path

from tests.journeys.history import History
from tests.journeys.judging import judge
from tests.journeys.trimming import trim_under_readers
from tests.server import Server


def test_readers_overtaken_by_retention_are_told_so(tmp_path: Path) -> None:
    history = History()
    server = Server(
        tmp_path,
        retention_days="0",
        retention_events="1000",
        retention_interval_seconds="0.2",
        ring_events="100",
    )
    with server:
        asyncio.run(trim_under_readers(server, history, batches=12, seed=1, kept=1_000))
    judge(history, tmp_path, resets=frozenset({"expired"}))
    told = {each.subscriber: any(block.event == "reset" for block in each.blocks) for each in history.connections}
    assert not told["reader1-0"]
    assert told["reader1-4"]
