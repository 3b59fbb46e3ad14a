"""The server dies, at random and at the worst moments; nothing acknowledged is lost, and nothing happens twice."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx
import pytest

from tests.journeys.crashes import end_at_random
from tests.journeys.deaths import capture_unheard, capture_while_it_dies, dying
from tests.journeys.history import History
from tests.journeys.judging import judge
from tests.server import Server


@pytest.fixture(scope="module")
def flawed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    with dying(tmp_path_factory.mktemp("server")) as server_and_trigger:
        yield server_and_trigger


def test_kills_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    history = History()
    with Server(tmp_path, retry_milliseconds="100") as server:
        asyncio.run(end_at_random(server, history, rounds=3, seed=1))
        newest = httpx.get(f"{server.url}/skills?sort=newest&limit=1").json()["skills"][0]
        delivery = httpx.get(f"{server.url}/skills/{newest['id']}/delivery").json()
    judge(history, tmp_path)
    assert len(history.by_subscriber()["plain0"]) > 1
    assert delivery == {"position": newest["position"], "agents": 1, "delivered": 1, "pending": [], "complete": True}


@pytest.mark.parametrize("flaw", ["answer", "wake"])
def test_a_capture_on_disk_when_the_server_dies_is_answered_by_a_retry_and_happens_once(
    flaw: Literal["answer", "wake"], flawed: tuple[Server, Path], tmp_path: Path
) -> None:
    history = History()
    asyncio.run(capture_while_it_dies(*flawed, history, flaw))
    judge(history, tmp_path)


def test_a_capture_that_was_answered_and_not_yet_sent_reaches_subscribers_after_the_restart(
    flawed: tuple[Server, Path], tmp_path: Path
) -> None:
    history = History()
    asyncio.run(capture_unheard(*flawed, history, restart=True))
    judge(history, tmp_path)


def test_a_wake_that_is_lost_delays_delivery_by_one_poll(flawed: tuple[Server, Path], tmp_path: Path) -> None:
    history = History()
    asyncio.run(capture_unheard(*flawed, history, restart=False))
    judge(history, tmp_path)
