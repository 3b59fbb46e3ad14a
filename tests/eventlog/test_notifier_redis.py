"""Wakes by Redis: those of others are heard, the own are not, and whoever was deaf for a while is woken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from app.eventlog import notifier_redis
from app.eventlog.notifier import Wake
from app.eventlog.notifier_redis import RedisNotifier, open_redis_notifier
from app.metrics import Metrics
from app.storage.redis import open_redis
from tests.inside import run, within
from tests.proxy import proxy_to
from tests.valkey import Valkey


async def woken(wake: Wake) -> bool:
    """Wait for it; whether it came from elsewhere."""
    async with asyncio.timeout(10):
        await wake.wait(60)
    return wake.clear()


@asynccontextmanager
async def notifiers(url: str, count: int, name: str = "cin:test") -> AsyncIterator[list[tuple[RedisNotifier, Wake]]]:
    """Notifiers of as many processes, each with a wake for network 1; all are listening."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            redis = await stack.enter_async_context(open_redis(url, name, Metrics()))
            notifier = await stack.enter_async_context(open_redis_notifier(redis))
            made.append((notifier, notifier.listen(1)))
            await within(redis.up())
        for _, wake in made:
            assert await woken(wake)  # what was said before nobody heard
        yield made


def test_others_are_woken_from_elsewhere_and_oneself_is_not(shared_valkey: Valkey) -> None:
    async def go() -> tuple[bool, bool, bool]:
        async with notifiers(shared_valkey.url, 2) as [(one, own), (other, theirs)]:
            one.wake(1)
            heard = await woken(own), await woken(theirs)
            other.wake(1)
            await woken(own)  # it comes after what this one said itself
            return *heard, theirs.clear()

    assert run(go()) == (False, True, False)


def test_other_networks_and_other_databases_are_not_heard(shared_valkey: Valkey) -> None:
    async def go() -> list[bool]:
        async with (
            notifiers(shared_valkey.url, 2) as [(one, _), (_, theirs)],
            notifiers(shared_valkey.url, 1, "cin:other") as [(_, strangers)],
        ):
            one.wake(2)
            one.wake(1)
            heard = await woken(theirs)
            await strangers.wait(0.05)
            return [heard, strangers.clear()]

    assert run(go()) == [True, False]


def test_wake_that_could_not_be_told_is_told_later(valkey: Valkey) -> None:
    async def go() -> None:
        async with notifiers(valkey.url, 2) as [(one, own), (_, theirs)]:
            valkey.kill()
            one.wake(1)
            await woken(own)
            valkey.start()
            assert await woken(theirs)

    run(go())


def test_connection_that_is_silent_is_replaced(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier_redis, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(notifier_redis, "_ANSWER_SECONDS", 0.1)

    async def go() -> None:
        async with proxy_to(valkey.socket) as proxy, notifiers(f"redis://127.0.0.1:{proxy.port}", 1) as [(_, wake)]:
            proxy.swallow()
            await wake.wait(0.3)
            assert not wake.clear()
            proxy.carry()
            assert await woken(wake)

    run(go())


def test_connection_on_which_nothing_is_said_stays(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier_redis, "CHECK_SECONDS", 0.05)

    async def go() -> bool:
        async with notifiers(valkey.url, 1) as [(_, wake)]:
            await wake.wait(0.4)
            return wake.clear()

    assert run(go()) is False
