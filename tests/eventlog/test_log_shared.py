"""One log and many processes: offsets are taken at the end of a transaction, and seen in their order by everybody."""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from app.eventlog.log import EventLog
from app.eventlog.network import open_network
from app.eventlog.notifier import LocalNotifier
from app.eventlog.retention import Retention, RetentionRule
from app.metrics import Metrics
from app.storage.database import Transaction
from app.storage.opening import open_database
from tests.eventlog.appender import append
from tests.factories import make_event
from tests.forks import Fork
from tests.inside import run, until, within
from tests.postgres import Postgres

PROCESSES = 8
EACH = 40


def test_transaction_that_began_first_and_commits_last_is_not_passed_over(postgres: Postgres) -> None:
    """With numbers from a sequence, a reader would see the second one's event, and never look for the first one's."""
    appended, go_on = threading.Event(), threading.Event()

    async def go() -> tuple[list[int], list[int], list[int]]:
        url = postgres.new()
        async with open_database(url) as one, open_database(url) as other:
            network = await open_network(one)
            logs = [EventLog(database, LocalNotifier(), poll_seconds=60) for database in (one, other)]

            def slow(tx: Transaction) -> list[int]:
                offsets = [event.offset for event in logs[0].append(tx, network.id, [make_event])]
                appended.set()
                assert go_on.wait(10)
                return offsets

            first = asyncio.create_task(one.write(slow))
            assert await asyncio.to_thread(appended.wait, 10)
            second = asyncio.create_task(
                other.write(lambda tx: [e.offset for e in logs[1].append(tx, network.id, [make_event])])
            )
            while not postgres.execute("SELECT 1 FROM pg_locks WHERE NOT granted"):
                assert not second.done()
                await asyncio.sleep(0.001)
            seen = [event.offset for event in (await logs[1].read(network.id, 0)).events]
            go_on.set()
            return seen, await first, await second

    assert run(go()) == ([], [1], [2])


def test_processes_that_append_at_once_leave_no_gap_and_lose_nothing(postgres: Postgres, tmp_path: Path) -> None:
    async def go(url: str) -> list[int]:
        async with open_database(url) as database:
            network = await open_network(database)
            log = EventLog(database, LocalNotifier(), poll_seconds=0.01)
            seen: list[int] = []
            async with aclosing(log.follow(network.id, 0)) as pages, asyncio.timeout(60):  # type: ignore[type-var]
                async for page in pages:
                    seen += [event.offset for event in page.events]
                    if len(seen) == PROCESSES * EACH:
                        break
        return seen

    url = postgres.new()
    outputs = [tmp_path / f"offsets-{number}" for number in range(PROCESSES)]
    appending = [
        Fork(partial(append, url, EACH), dict(os.environ), stdout=output, stderr=tmp_path / "errors")
        for output in outputs
    ]
    seen = run(go(url))
    assert [process.wait(60) for process in appending] == [0] * PROCESSES
    answered = sorted(int(line) for output in outputs for line in output.read_text().split())
    assert seen == answered == list(range(1, PROCESSES * EACH + 1))


def test_followers_at_one_place_that_one_wake_has_woken_read_once(postgres: Postgres) -> None:
    """As hub and index do in every process, for what another one has captured. Nobody misses what a later wake tells of."""

    async def go() -> tuple[list[list[int]], int]:
        url, notifier = postgres.new(), LocalNotifier()
        async with open_database(url) as database, open_database(url) as elsewhere:
            network = await open_network(database)
            other = EventLog(elsewhere, LocalNotifier(), poll_seconds=60)
            log = EventLog(database, notifier, poll_seconds=60)
            seen: list[list[int]] = [[], []]
            pages = [0, 0]
            reads = 0
            follow = database.follow

            async def count(work: Callable[[Connection], Any]) -> Any:
                nonlocal reads
                reads += 1
                return await follow(work)

            async def listen(number: int) -> None:
                async for page in log.follow(network.id, 0):
                    seen[number] += [event.offset for event in page.events]
                    pages[number] += 1

            database.follow = count  # type: ignore[method-assign]  # the one way of those who follow
            async with asyncio.TaskGroup() as tasks:
                listening = [tasks.create_task(listen(number)) for number in range(2)]
                await until(lambda: all(pages))
                for offset in range(1, 6):
                    await elsewhere.write(partial(other.append, network_id=network.id, make=[make_event]))
                    notifier.wake_from_elsewhere(network.id)
                    await until(lambda offset=offset: all(each[-1:] == [offset] for each in seen))  # type: ignore[misc]
                for task in listening:
                    task.cancel()
        return seen, reads

    seen, reads = run(go())
    assert seen == [[1, 2, 3, 4, 5]] * 2
    assert reads == 2 + 5  # as they begin, and for each wake


def test_follower_that_begins_later_does_not_share_an_older_read(postgres: Postgres) -> None:
    """It may lack what was told before the follower listened."""

    async def go() -> tuple[int, int]:
        async with open_database(postgres.new()) as database:
            network = await open_network(database)
            log = EventLog(database, LocalNotifier(), poll_seconds=60)
            follow, has_read, goes_on = database.follow, asyncio.Event(), asyncio.Event()

            async def hold(work: Callable[[Connection], Any]) -> Any:
                page = await follow(work)
                if not has_read.is_set():
                    has_read.set()
                    await goes_on.wait()
                return page

            database.follow = hold  # type: ignore[method-assign]  # the one way of those who follow
            async with aclosing(log.follow(network.id, 0)) as early, aclosing(log.follow(network.id, 0)) as late:  # type: ignore[type-var]
                first = asyncio.ensure_future(anext(early))
                await has_read.wait()
                other = EventLog(database, LocalNotifier(), poll_seconds=60)
                await database.write(partial(other.append, network_id=network.id, make=[make_event]))
                found = await within(anext(late))
                goes_on.set()
                return len((await first).events), len(found.events)

    assert run(go()) == (0, 1)


def test_network_is_made_once_by_processes_that_start_at_once(postgres: Postgres) -> None:
    async def go() -> set[str]:
        url = postgres.new()
        async with open_database(url) as one, open_database(url) as other, open_database(url) as third:
            opened = await asyncio.gather(*(open_network(each) for each in (one, other, third)))
            return {network.epoch for network in opened}

    assert len(run(go())) == 1


def test_processes_that_trim_at_once_never_move_the_bound_back(postgres: Postgres) -> None:
    async def go() -> tuple[int, int, list[int]]:
        url = postgres.new()
        async with open_database(url) as one, open_database(url) as other:
            network = await open_network(one)
            log = EventLog(one, LocalNotifier(), poll_seconds=60)
            for _ in range(5):
                await one.write(partial(log.append, network_id=network.id, make=[make_event] * 1_000))
            rules = (
                RetentionRule(timedelta(0), 100),
                RetentionRule(timedelta(0), 3_000),
                RetentionRule(timedelta(0), 200),
            )
            trimming = [
                Retention(database, rule, Metrics(), interval_seconds=60).trim(network.id)
                for database, rule in zip((one, other, one), rules, strict=True)
            ]
            removed = await asyncio.gather(*trimming)
            bounds = await log.bounds(network.id)
            page = await log.read(network.id, bounds.trimmed)
            return sum(removed), bounds.trimmed, [event.offset for event in page.events]

    assert run(go()) == (4_900, 4_900, list(range(4_901, 5_001)))


def test_own_events_are_not_taken_for_all_when_others_commit_in_between(postgres: Postgres) -> None:
    async def go() -> list[int]:
        url = postgres.new()
        async with open_database(url) as one, open_database(url) as other:
            network = await open_network(one)
            notifier = LocalNotifier()
            mine = EventLog(one, notifier, poll_seconds=60)
            theirs = EventLog(other, LocalNotifier(), poll_seconds=60)
            seen: list[int] = []

            async def follow() -> None:
                async with aclosing(mine.follow(network.id, 0)) as pages:  # type: ignore[type-var]
                    async for page in pages:
                        seen.extend(event.offset for event in page.events)

            following = asyncio.create_task(follow())
            for _ in range(10):
                await one.write(partial(mine.append, network_id=network.id, make=[make_event]))
                await other.write(partial(theirs.append, network_id=network.id, make=[make_event] * 2))
                await one.write(partial(mine.append, network_id=network.id, make=[make_event]))
            await within(until(lambda: len(seen) == 40))
            # One of theirs at the end, told while the follower is about to look at what is its own.
            await other.write(partial(theirs.append, network_id=network.id, make=[make_event]))
            notifier.wake_from_elsewhere(network.id)
            await within(until(lambda: len(seen) == 41))
            following.cancel()
            return seen

    assert run(go()) == list(range(1, 42))
