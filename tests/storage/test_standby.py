"""Commits that wait for a standby: what is answered is there, whatever ends the wait."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.factories import make_skill
from tests.inside import application, run, until, within
from tests.standby import Pair, pair_running


@pytest.fixture
def pair() -> Iterator[Pair]:
    with pair_running() as running:
        running.wait_for_commits()
        yield running


def test_nothing_is_answered_that_a_halted_standby_lacks(pair: Pair, tmp_path: Path) -> None:
    """The wait outlasts the time that statements are given; the server's own end of it would be a success."""
    statuses: list[int] = []
    names: list[str] = []

    async def go() -> None:
        async with application(tmp_path, database_url=pair.url, index_folder="memory") as cin:

            async def capture(number: int) -> None:
                body = make_skill(name=f"skill-{number}")
                answer = await cin.client.post("/skills", json=body)
                statuses.append(answer.status_code)
                if answer.is_success:
                    names.append(body["name"])

            await asyncio.gather(*(capture(number) for number in range(50)))
            assert statuses == [201] * 50
            pair.halt_standby()
            await within(asyncio.gather(*(capture(number) for number in range(50, 100))), 20)
            await within(capture(100), 20)

    run(go())
    assert statuses[50:] == [503] * 51
    pair.primary.stop()
    pair.resume_standby()
    pair.standby.promote()
    found = {name for (name,) in pair.standby.execute("SELECT name FROM skill", database=pair.database)}
    assert set(names) <= found


WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def test_wait_for_a_standby_that_an_operator_cancels_is_not_a_success(pair: Pair, tmp_path: Path) -> None:
    async def go() -> int:
        async with application(tmp_path, database_url=pair.url, index_folder="memory") as cin:
            await cin.capture(make_skill())
            pair.halt_standby()
            capturing = asyncio.create_task(cin.client.post("/skills", json=make_skill()))
            await until(lambda: bool(pair.primary.execute(WAITING)), 3)
            pair.primary.execute(f"SELECT pg_cancel_backend(({WAITING}))")
            return (await within(capturing, 3)).status_code

    assert run(go()) == 503
    with psycopg.connect(pair.primary.url(pair.database)) as connection:
        assert connection.execute("SELECT count(*) FROM skill").fetchone() == (2,)


def test_replay_is_answered_only_when_the_standby_has_the_first(pair: Pair, tmp_path: Path) -> None:
    """The first one is committed on the primary, and nobody was told so; a replay writes nothing of its own."""

    async def go() -> list[int]:
        async with application(tmp_path, database_url=pair.url, index_folder="memory") as cin:
            skill, key = make_skill(), {"Idempotency-Key": "once"}

            async def capture() -> int:
                return (await cin.client.post("/skills", json=skill, headers=key)).status_code

            pair.halt_standby()
            first = asyncio.create_task(capture())
            await until(lambda: bool(pair.primary.execute(WAITING)), 3)
            pair.primary.execute(f"SELECT pg_cancel_backend(({WAITING}))")
            statuses = [await within(first, 3)]
            replay = asyncio.create_task(capture())
            await until(lambda: replay.done() or bool(pair.primary.execute(WAITING)), 3)
            assert not replay.done()
            pair.resume_standby()
            return [*statuses, await within(replay, 10), await within(capture(), 10)]

    assert run(go()) == [503, 201, 201]
    assert pair.primary.execute("SELECT count(*) FROM skill", database=pair.database) == [(1,)]
