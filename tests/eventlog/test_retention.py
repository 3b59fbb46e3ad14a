"""Retention: what is young or among the newest stays, the rest goes in small steps, and skills never go."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
import sqlalchemy as sa

from app.errors import Unavailable
from app.eventlog.log import EventLog
from app.eventlog.network import Network, open_network
from app.eventlog.notifier import LocalNotifier
from app.eventlog.retention import Retention, RetentionRule
from app.metrics import Metrics
from app.models import IdempotencyKey
from app.models.types import iso
from app.storage.bulk import insert_rows
from app.storage.database import Database, Transaction
from app.storage.sqlite import open_sqlite
from tests.factories import make_event, make_skill
from tests.inside import application, database_in, run, until, within

T = TypeVar("T")

DAY = timedelta(days=1)


class Keeping:
    """A log and its retention."""

    def __init__(self, database: Database, network: Network, rule: RetentionRule) -> None:
        self.database = database
        self.network = network
        self.metrics = Metrics()
        self.log = EventLog(database, LocalNotifier(), poll_seconds=60)
        self.retention = Retention(database, rule, self.metrics, interval_seconds=3_600)

    async def append(self, number: int, age: timedelta) -> None:
        make = [partial(make_event, at=iso(datetime.now(UTC) - age))] * number
        await self.database.write(lambda tx: self.log.append(tx, self.network.id, make))

    async def trim(self) -> tuple[int, int]:
        """The oldest offset kept and the head, after trimming."""
        await self.retention.trim(self.network.id)
        bounds = await self.log.bounds(self.network.id)
        page = await self.log.read(self.network.id, bounds.trimmed, limit=100_000)
        assert [event.offset for event in page.events] == list(range(bounds.earliest, bounds.head + 1))
        return bounds.earliest, bounds.head


@asynccontextmanager
async def keeping(folder: Path, *, age: timedelta, events: int) -> AsyncIterator[Keeping]:
    async with open_sqlite(database_in(folder)) as database:
        yield Keeping(database, await open_network(database), RetentionRule(age, events))


@pytest.mark.parametrize(
    ("age", "events", "earliest"),
    [
        (30 * DAY, 0, 21),  # ten of 40 days, ten of 35, twenty of an hour: age keeps twenty
        (37 * DAY, 0, 11),
        (365 * DAY, 0, 1),
        (timedelta(0), 0, 41),
        (timedelta(0), 7, 34),  # the number keeps seven
        (30 * DAY, 7, 21),  # age keeps more
        (30 * DAY, 25, 16),  # the number keeps more
        (30 * DAY, 1_000, 1),
    ],
)
def test_whichever_keeps_more_decides(tmp_path: Path, age: timedelta, events: int, earliest: int) -> None:
    async def go() -> tuple[int, int]:
        async with keeping(tmp_path, age=age, events=events) as here:
            for number, days in ((10, 40 * DAY), (10, 35 * DAY), (20, timedelta(hours=1))):
                await here.append(number, days)
            return await here.trim()

    assert run(go()) == (earliest, 40)


def test_trimming_an_empty_log_changes_nothing(tmp_path: Path) -> None:
    async def go() -> tuple[int, int]:
        async with keeping(tmp_path, age=timedelta(0), events=0) as here:
            return await here.trim()

    assert run(go()) == (1, 0)


def test_trimming_again_changes_nothing(tmp_path: Path) -> None:
    async def go() -> tuple[tuple[int, int], int]:
        async with keeping(tmp_path, age=30 * DAY, events=5) as here:
            await here.append(20, 40 * DAY)
            await here.trim()
            return await here.trim(), await here.retention.trim(here.network.id)

    assert run(go()) == ((16, 20), 0)


def test_trimming_goes_in_steps_of_a_thousand(tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with keeping(tmp_path, age=timedelta(0), events=100) as here:
            await here.append(3_600, DAY)
            steps: list[int] = []
            write = here.database.write

            async def watched(work: Callable[[Transaction], T]) -> T:
                result = await write(work)
                steps.append((await here.log.bounds(here.network.id)).trimmed)
                return result

            here.database.write = watched  # type: ignore[method-assign]  # where every transaction passes
            await here.trim()
            return sorted(set(steps))

    assert run(go()) == [1_000, 2_000, 3_000, 3_500]


def test_trimmed_events_are_counted(tmp_path: Path) -> None:
    async def go() -> float | None:
        async with keeping(tmp_path, age=timedelta(0), events=5) as here:
            await here.append(20, DAY)
            await here.trim()
            return here.metrics.registry.get_sample_value("cin_events_trimmed_total")

    assert run(go()) == 15


def test_captures_go_on_while_events_are_trimmed(tmp_path: Path) -> None:
    async def go() -> tuple[int, int]:
        async with keeping(tmp_path, age=timedelta(hours=1), events=10) as here:
            await here.append(3_000, DAY)
            await asyncio.gather(here.trim(), *(here.append(1, timedelta(0)) for _ in range(50)))
            return await here.trim()

    assert run(go()) == (3_001, 3_050)


def test_idempotency_keys_are_forgotten_after_a_day(tmp_path: Path) -> None:
    def insert(tx: Transaction, network_id: int) -> None:
        rows = [
            {
                "network_id": network_id,
                "key": f"{hours:05.2f}",
                "digest": "",
                "status": 201,
                "headers": {},
                "body": b"",
                "created_at": iso(datetime.now(UTC) - timedelta(hours=hours)),
            }
            for hours in (0, 1, 23.98, 24.02, 48)
        ]
        insert_rows(tx.connection, IdempotencyKey.__table__, rows)  # type: ignore[attr-defined]

    async def go() -> list[str]:
        async with keeping(tmp_path, age=30 * DAY, events=0) as here:
            await here.database.write(partial(insert, network_id=here.network.id))
            await here.trim()
            return await here.database.read(
                lambda c: list(c.execute(sa.text('SELECT "key" FROM idempotency_key ORDER BY "key"')).scalars())
            )

    assert run(go()) == ["00.00", "01.00", "23.98"]


def test_skills_and_their_versions_outlive_their_events(tmp_path: Path) -> None:
    async def go() -> tuple[int, list[int], int]:
        async with application(
            tmp_path, retention_days=0, retention_events=0, retention_interval_seconds=0.05, poll_seconds=0.05
        ) as cin:
            ids = [(await cin.capture(make_skill(tags=["t"])))["id"] for _ in range(3)]
            await within(until(lambda: cin.parts.hub.bounds.trimmed == 3))
            listed = (await cin.client.get("/skills", params={"tag": "t"})).json()["skills"]
            statuses = [(await cin.client.get(f"/skills/{id}/versions/1")).status_code for id in ids]
            return len(listed), statuses, cin.parts.hub.bounds.head

    assert run(go()) == (3, [200, 200, 200], 3)


def test_retention_goes_on_after_a_step_that_failed(tmp_path: Path) -> None:
    async def go() -> int:
        async with keeping(tmp_path, age=timedelta(0), events=5) as here:
            await here.append(20, DAY)
            write, failures = here.database.write, iter([Unavailable("The disk hiccups.")])

            async def failing_once(work: Callable[[Transaction], T]) -> T:
                for failure in failures:
                    raise failure
                return await write(work)

            here.database.write = failing_once  # type: ignore[method-assign]  # where every transaction passes
            rule = RetentionRule(timedelta(0), 5)
            retention = Retention(here.database, rule, here.metrics, interval_seconds=0.01)
            running = asyncio.create_task(retention.run(here.network.id))
            registry = here.metrics.registry
            await until(lambda: registry.get_sample_value("cin_events_trimmed_total") == 15)
            running.cancel()
            return (await here.log.bounds(here.network.id)).trimmed

    assert run(go()) == 15
