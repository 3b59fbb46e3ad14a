"""What every notifier promises its followers: a wake that comes before the wait is not lost, and many are one."""

import asyncio
import time
from collections.abc import Callable

import pytest

from app.eventlog.notifier import LocalNotifier, Notifier
from app.eventlog.notifier_postgres import PostgresNotifier
from app.eventlog.notifier_redis import RedisNotifier
from app.metrics import Metrics
from app.storage.redis import Redis
from tests.inside import run, within

# Followers in the same process need no server.


def postgres_notifier() -> Notifier:
    return PostgresNotifier("postgresql://127.0.0.1:1/nowhere")


def redis_notifier() -> Notifier:
    return RedisNotifier(Redis("redis://127.0.0.1:1/0", "cin:test", Metrics()))


@pytest.fixture(params=[LocalNotifier, postgres_notifier, redis_notifier], ids=["local", "postgres", "redis"])
def open_notifier(request: pytest.FixtureRequest) -> Callable[[], Notifier]:
    opener: Callable[[], Notifier] = request.param
    return opener


def test_wake_before_the_wait_is_not_lost(open_notifier: Callable[[], Notifier]) -> None:
    async def go() -> None:
        notifier = open_notifier()
        wake = notifier.listen(1)
        notifier.wake(1)
        await within(wake.wait(60))

    run(go())


def test_wake_during_the_wait_ends_it(open_notifier: Callable[[], Notifier]) -> None:
    async def go() -> None:
        notifier = open_notifier()
        waiting = asyncio.create_task(notifier.listen(1).wait(60))
        await asyncio.sleep(0)
        notifier.wake(1)
        await within(waiting)

    run(go())


def test_wake_reaches_every_listener(open_notifier: Callable[[], Notifier]) -> None:
    async def go() -> None:
        notifier = open_notifier()
        wakes = [notifier.listen(1) for _ in range(3)]
        notifier.wake(1)
        await within(asyncio.gather(*(wake.wait(60) for wake in wakes)))

    run(go())


def test_many_wakes_are_one(open_notifier: Callable[[], Notifier]) -> None:
    async def go() -> float:
        notifier = open_notifier()
        wake = notifier.listen(1)
        for _ in range(100):
            notifier.wake(1)
        await wake.wait(60)
        wake.clear()
        started = time.monotonic()
        await wake.wait(0.05)
        return time.monotonic() - started

    assert run(go()) >= 0.04


def test_wake_of_another_network_is_not_heard(open_notifier: Callable[[], Notifier]) -> None:
    async def go() -> float:
        notifier = open_notifier()
        wake = notifier.listen(1)
        notifier.wake(2)
        started = time.monotonic()
        await wake.wait(0.05)
        return time.monotonic() - started

    assert run(go()) >= 0.04


def test_wake_without_listeners_is_no_error(open_notifier: Callable[[], Notifier]) -> None:
    open_notifier().wake(1)
