"""Wakes through the server: they come at once, and when they cannot, followers look by themselves and lose nothing."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.eventlog.notifier import Wake
from app.eventlog.notifier_postgres import PostgresNotifier, open_postgres_notifier
from tests.factories import make_skill
from tests.inside import application, run, until, within
from tests.postgres import Postgres
from tests.proxy import proxy_to
from tests.storage.test_postgres import name_of


@asynccontextmanager
async def heard(url: str, network_id: int = 1) -> AsyncIterator[tuple[PostgresNotifier, Wake]]:
    """A notifier with both its connections, and a wake of it that the server is known to reach."""
    async with open_postgres_notifier(url) as notifier:
        wake = notifier.listen(network_id)
        await within(wake.wait(60))  # it wakes once it listens
        await until(lambda: notifier._own_process is not None)
        wake.clear()
        yield notifier, wake


def test_wake_reaches_another_process_within_milliseconds(postgres: Postgres) -> None:
    async def go() -> list[float]:
        url = postgres.new()
        async with heard(url) as (one, _), heard(url) as (_, wake):
            taken = []
            for _ in range(20):
                started = time.monotonic()
                one.wake(1)
                await within(wake.wait(60))
                taken.append(time.monotonic() - started)
                assert wake.clear()
            return sorted(taken)

    assert run(go())[10] < 0.05


def test_wake_of_another_network_is_not_heard(postgres: Postgres) -> None:
    async def go() -> bool:
        url = postgres.new()
        async with heard(url) as (one, _), heard(url) as (_, wake), heard(url, 2) as (_, other):
            one.wake(2)
            await within(other.wait(60))
            return wake.clear()

    assert run(go()) is False


def test_network_that_is_followed_later_is_heard_too(postgres: Postgres) -> None:
    async def go() -> None:
        url = postgres.new()
        async with heard(url) as (one, _), heard(url) as (other, _):
            wake = other.listen(7)
            await within(wake.wait(60), 2)
            wake.clear()
            one.wake(7)
            await within(wake.wait(60), 2)

    run(go())


def test_own_wake_is_not_taken_for_another_ones(postgres: Postgres) -> None:
    async def go() -> bool:
        url = postgres.new()
        async with heard(url) as (one, wake), heard(url) as (_, other):
            one.wake(1)
            await within(other.wait(60))
            one.wake(1)
            await within(other.wait(60))
            return wake.clear()

    assert run(go()) is False


def test_many_wakes_are_few_notifications(postgres: Postgres) -> None:
    async def go() -> int:
        url = postgres.new()
        async with heard(url) as (one, _), heard(url) as (_, wake):
            woken = 0
            for _ in range(1_000):
                one.wake(1)
            await within(wake.wait(60))
            while wake.clear():
                woken += 1
                await wake.wait(0.1)
            return woken

    assert run(go()) <= 3


def test_connection_that_died_in_silence_is_noticed_and_replaced(postgres: Postgres) -> None:
    async def go() -> None:
        async with proxy_to(postgres.socket) as proxy:
            name = name_of(postgres.new())
            async with heard(postgres.url(name)) as (one, _), heard(proxy.url(name)) as (_, wake):
                before = proxy.connections
                proxy.swallow()
                one.wake(1)
                await until(lambda: proxy.connections > before)
                proxy.carry()
                await within(wake.wait(60))  # it listens again, and says so
                wake.clear()
                one.wake(1)
                await within(wake.wait(60), 2)

    run(go())


def test_connection_that_was_cut_is_replaced(postgres: Postgres) -> None:
    async def go() -> None:
        async with proxy_to(postgres.socket) as proxy:
            name = name_of(postgres.new())
            async with heard(postgres.url(name)) as (one, _), heard(proxy.url(name)) as (_, wake):
                proxy.cut()
                await within(wake.wait(60), 3)
                wake.clear()
                one.wake(1)
                await within(wake.wait(60), 2)

    run(go())


def test_capture_comes_to_the_streams_of_another_process(postgres: Postgres, tmp_path: Path) -> None:
    async def go() -> list[float]:
        url = postgres.new()
        async with (
            application(tmp_path, database_url=url, poll_seconds=60) as one,
            application(tmp_path, database_url=url, poll_seconds=60) as other,
        ):
            taken = []
            for _ in range(20):
                skill = await one.capture(make_skill())
                answered = time.monotonic()
                offset = int(skill["position"].split("-")[1])
                await until(lambda offset=offset: other.parts.hub.bounds.head >= offset)  # type: ignore[misc]
                taken.append(time.monotonic() - answered)
            return sorted(taken)

    assert run(go())[10] < 0.05


def test_nothing_is_lost_while_wakes_are(postgres: Postgres, tmp_path: Path) -> None:
    async def go() -> None:
        async with proxy_to(postgres.socket) as proxy:
            name = name_of(postgres.new())
            url, wakes = postgres.url(name), proxy.url(name)
            async with (
                application(tmp_path, database_url=url) as one,
                application(tmp_path, database_url=url, wake_url=wakes, poll_seconds=0.1) as other,
            ):
                await one.capture(make_skill())
                await until(lambda: other.parts.hub.bounds.head == 1)
                proxy.swallow()
                for _ in range(10):
                    await one.capture(make_skill())
                await until(lambda: other.parts.hub.bounds.head == 11)

    run(go())
