"""A slow reader costs only itself: not the others' time, not the server's memory, and not its own place."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.history import History
from tests.journeys.judging import judge
from tests.journeys.stalls import MIB, StallFigures, never_read, read_little, stop_readers
from tests.server import Server


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that closes stalled streams after a second."""
    with Server(tmp_path_factory.mktemp("server"), stall_seconds="1", ring_events="100") as server:
        yield server


def test_readers_that_were_stopped_go_on_where_they_were(tmp_path: Path) -> None:
    history = History()
    with Server(tmp_path, stall_seconds="60", ring_events="100") as server:
        figures = asyncio.run(stop_readers(server, history, tmp_path, stopped_seconds=3, until_closed=False, seed=1))
    judge(history, tmp_path)
    assert_harmless(figures)
    assert figures.closed == 0
    assert all(len(connections) == 1 for connections in history.by_subscriber().values())


def test_readers_that_were_stopped_for_too_long_are_closed_and_resume(impatient: Server, tmp_path: Path) -> None:
    history = History()
    figures = asyncio.run(stop_readers(impatient, history, tmp_path, stopped_seconds=2, until_closed=True, seed=2))
    judge(history, tmp_path)
    assert_harmless(figures)
    assert figures.closed == 20
    assert all(len(history.by_subscriber()[f"reader{n}"]) > 1 for n in range(20))


@pytest.mark.parametrize("wire", ["sse", "socket"])
def test_readers_that_never_read_are_closed_and_leave_nothing_behind(impatient: Server, wire: str) -> None:
    asyncio.run(never_read(impatient, readers=20, seed=3, wire=wire))


def test_readers_that_stop_with_little_to_come_are_closed_too(impatient: Server) -> None:
    asyncio.run(read_little(impatient, seed=4))


def assert_harmless(figures: StallFigures) -> None:
    assert figures.bytes_each < 2 * MIB
    assert figures.p95_seconds_meanwhile < 2 * figures.p95_seconds_before + 0.1
