"""The disk is full: what does not fit is refused whole, all else goes on, and so do captures when there is room."""

import asyncio
from pathlib import Path

from tests.journeys.disk import fill_the_database, fill_the_disk
from tests.journeys.history import History
from tests.journeys.judging import judge
from tests.server import Server


def test_captures_that_do_not_fit_are_refused_and_those_that_do_succeed(tmp_path: Path) -> None:
    history = History()
    asyncio.run(fill_the_database(tmp_path / "cin.db", history))
    judge(history, tmp_path)


def test_a_disk_that_takes_no_more_bytes_refuses_captures_until_it_does_again(tmp_path: Path) -> None:
    history = History()
    with Server(tmp_path) as server:
        asyncio.run(fill_the_disk(server, history))
    judge(history, tmp_path)
