"""Presence across processes: each writes into Redis who is connected to it, for a few seconds at a time.

A process that dies is forgotten when its time is up; one that stops says so. Without Redis each knows its own.
"""

import asyncio
import secrets
from collections import Counter
from contextlib import suppress
from typing import cast

import msgspec

from app.eventlog.network import Network
from app.storage.redis import Redis, RedisTrouble
from app.stream.hub import Hub

LOOK_SECONDS = 0.5
"""How often this process looks whether its agents have changed, and says so if they have."""

REPEAT_SECONDS = 5.0
"""How often it says so anyway. What it said is kept three times as long."""

_KEEP_MILLISECONDS = round(REPEAT_SECONDS * 3_000)

_PATIENCE_SECONDS = 0.25
"""People who list agents wait a little longer than questions do."""


class RedisPresence:
    """Who is connected to any process that uses this Redis for the same network."""

    def __init__(self, hub: Hub, redis: Redis, network: Network) -> None:
        self._hub = hub
        self._redis = redis
        self._prefix = f"{redis.name}:{network.id}:present"
        self._self = secrets.token_hex(8)

    async def connections(self) -> Counter[str]:
        connected = self._hub.connected.copy()
        with suppress(RedisTrouble):
            for elsewhere in await self._elsewhere():
                connected.update(elsewhere)
        return connected

    async def run(self) -> None:
        """Say who is connected until cancelled, and then that nobody is."""
        said: Counter[str] | None = None
        said_at = 0.0
        try:
            while True:
                present = asyncio.get_running_loop().time()
                if self._hub.connected != said or present - said_at > REPEAT_SECONDS:
                    said, said_at = await self._say(self._hub.connected.copy()), present
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            with suppress(RedisTrouble):
                await self._ask("DEL", self._key(self._self))
                await self._ask("SREM", self._prefix, self._self)

    async def _say(self, connected: Counter[str]) -> Counter[str] | None:
        """Returns what was said; None if it could not be."""
        try:
            await self._ask("SET", self._key(self._self), msgspec.json.encode(connected), "PX", _KEEP_MILLISECONDS)
            await self._ask("SADD", self._prefix, self._self)
            await self._ask("PEXPIRE", self._prefix, _KEEP_MILLISECONDS)
        except RedisTrouble:
            return None
        return connected

    async def _elsewhere(self) -> list[dict[str, int]]:
        """What the others say. Raises `RedisTrouble`."""
        members = cast(list[bytes], await self._ask("SMEMBERS", self._prefix))
        others = [name for member in members if (name := member.decode("ascii", "replace")) != self._self]
        if not others:
            return []
        values = cast(list[bytes | None], await self._ask("MGET", *map(self._key, others)))
        for gone in (name for name, value in zip(others, values, strict=True) if value is None):
            self._redis.tell("SREM", self._prefix, gone)
        return [_read(value) for value in values if value is not None]

    async def _ask(self, *command: bytes | str | int) -> object:
        return await self._redis.ask(*command, patience_seconds=_PATIENCE_SECONDS)

    def _key(self, process: str) -> str:
        return f"{self._prefix}:{process}"


def _read(value: bytes) -> dict[str, int]:
    try:
        return msgspec.json.decode(value, type=dict[str, int])
    except msgspec.DecodeError:  # another version of the program put it there
        return {}
