"""Presence: who is connected to any process, and, when Redis is in trouble, at least who is connected to this one."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import pytest

from app.eventlog.network import Network, NetworkId
from app.metrics import Metrics
from app.skills.document import NetworkName
from app.storage.redis import open_redis
from app.stream import presence_redis
from app.stream.hub import Hub
from app.stream.presence import LocalPresence
from app.stream.presence_redis import RedisPresence
from tests.inside import run, within
from tests.valkey import Valkey

NETWORK = Network(NetworkId(1), "default", "k3f9", NetworkName("default", "k3f9"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_redis, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(presence_redis, "REPEAT_SECONDS", 0.1)
    monkeypatch.setattr(presence_redis, "_KEEP_MILLISECONDS", 500)


class Connected:
    """A process: who is connected to it is set by the test."""

    def __init__(self, presence: RedisPresence, connected: Counter[str], running: asyncio.Task[None]) -> None:
        self.presence = presence
        self.connected = connected
        self._running = running

    async def sees(self, **agents: int) -> None:
        """Wait until this is what it says."""
        async with asyncio.timeout(10):
            while await self.presence.connections() != agents:  # noqa: ASYNC110  # it is asked again
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])


@asynccontextmanager
async def process(valkey: Valkey, **agents: int) -> AsyncIterator[Connected]:
    connected = Counter(agents)
    async with open_redis(valkey.url, "cin:test", Metrics()) as redis:
        presence = RedisPresence(cast(Hub, SimpleNamespace(connected=connected)), redis, NETWORK)
        here = Connected(presence, connected, asyncio.create_task(presence.run()))
        try:
            await within(redis.up())
            yield here
        finally:
            await here.stop()


def test_local_presence_is_a_copy_of_the_own() -> None:
    async def go() -> tuple[Counter[str], Counter[str]]:
        connected = Counter(a=2)
        found = await LocalPresence(cast(Hub, SimpleNamespace(connected=connected))).connections()
        found["a"] += 1
        return found, connected

    assert run(go()) == ({"a": 3}, {"a": 2})


def test_connections_of_all_processes_are_summed(valkey: Valkey) -> None:
    async def go() -> None:
        async with process(valkey, a=1, b=2) as one, process(valkey, a=3, c=1) as other:
            await one.sees(a=4, b=2, c=1)
            await other.sees(a=4, b=2, c=1)
            one.connected["a"] += 1
            await other.sees(a=5, b=2, c=1)
            one.connected.clear()
            await other.sees(a=3, c=1)

    run(go())


def test_process_that_stops_is_forgotten_at_once(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_redis, "_KEEP_MILLISECONDS", 600_000)

    async def go() -> int:
        async with process(valkey, a=1) as one:
            async with process(valkey, a=1):
                await one.sees(a=2)
            await one.sees(a=1)
        with valkey.client() as client:
            return len(client.keys("*"))

    assert run(go()) == 0


def test_process_that_dies_is_forgotten_when_its_time_is_up(valkey: Valkey) -> None:
    async def go() -> None:
        async with process(valkey, a=1) as one:
            with valkey.client() as client:
                client.sadd("cin:test:1:present", "dead")
                client.set("cin:test:1:present:dead", b'{"a":7}', px=300)
            await one.sees(a=8)
            await one.sees(a=1)
            async with asyncio.timeout(10):
                while True:
                    await one.presence.connections()
                    with valkey.client() as client:
                        if client.scard("cin:test:1:present") == 1:
                            return

    run(go())


def test_trouble_leaves_the_own_connections(valkey: Valkey) -> None:
    async def go() -> None:
        async with process(valkey, a=1) as one, process(valkey, a=1) as other:
            await one.sees(a=2)
            valkey.kill()
            await within(one.sees(a=1))
            valkey.start()
            await one.sees(a=2)
            await other.sees(a=2)

    run(go())


def test_what_another_version_says_is_passed_over(valkey: Valkey) -> None:
    async def go() -> None:
        async with process(valkey, a=1) as one:
            with valkey.client() as client:
                client.sadd("cin:test:1:present", "newer", b"\xff")
                client.set("cin:test:1:present:newer", b"\xc1")
            await one.sees(a=1)

    run(go())
