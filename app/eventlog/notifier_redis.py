"""Wakes between processes by publish and subscribe: a channel for each network, and who says it as the only content.

What is said while one is under way is said with the next. A connection that is lost, also in silence, is replaced, and
everybody is woken for what was missed; meanwhile followers poll.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from app.eventlog.notifier import LocalNotifier, Wake, hearing_and_telling
from app.storage.breaker import Breaker
from app.storage.redis import CONNECT_SECONDS, TROUBLE, Connection, Redis, RedisTrouble

log = structlog.get_logger(__name__)

CHECK_SECONDS = 3.0
"""Silence after which a connection that listens is asked whether it is still there."""

_ANSWER_SECONDS = 2.0
_AGAIN_SECONDS = 0.2


@asynccontextmanager
async def open_redis_notifier(redis: Redis) -> AsyncIterator["RedisNotifier"]:
    """A notifier that listens and tells until the end of the block. Opens, and without a server goes on trying."""
    notifier = RedisNotifier(redis)
    async with hearing_and_telling(notifier.hear(), notifier.tell()):
        yield notifier


class RedisNotifier:
    """Wakes the followers of this process at once, and those of the others through the server."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._self = secrets.token_hex(4).encode()
        self._local = LocalNotifier()
        self._networks: set[int] = set()
        self._untold: set[int] = set()
        self._moved = asyncio.Event()

    def wake(self, network_id: int) -> None:
        self._local.wake(network_id)
        self._untold.add(network_id)
        self._moved.set()

    def listen(self, network_id: int) -> Wake:
        self._networks.add(network_id)
        return self._local.listen(network_id)

    async def hear(self) -> None:
        """Wake the followers of this process when others say so, until cancelled."""
        breaker = Breaker()
        while True:
            breaker.probe()
            connection = self._redis.new_connection()
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection.connect()
                await self._hear(connection, breaker)
            except TROUBLE as error:
                breaker.open()
                if breaker.is_new:
                    log.warning("wakes_not_heard", error=str(error), next="followers look at the log by themselves")
            finally:
                await connection.disconnect(nowait=True)
            await asyncio.sleep(breaker.pause_seconds())

    async def tell(self) -> None:
        """Tell the others, until cancelled."""
        while True:
            await self._moved.wait()
            await self._redis.up()
            self._moved.clear()
            telling, self._untold = self._untold, set()
            try:
                for network_id in sorted(telling):
                    await self._redis.ask("PUBLISH", self._channel(network_id), self._self)
            except RedisTrouble:
                self._untold |= telling
                self._moved.set()
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _hear(self, connection: Connection, breaker: Breaker) -> None:
        """Pass on what is said, until the connection is lost. Raises one of `TROUBLE`."""
        await connection.send_command("PSUBSCRIBE", self._channel("*"), check_health=False)
        is_asked = True
        while True:
            seconds = _ANSWER_SECONDS if is_asked else CHECK_SECONDS
            message = await connection.read_response(timeout=seconds)
            if message is not None:
                is_asked = False
                self._take(message, breaker)
            elif is_asked:
                raise TimeoutError("the connection is silent")
            else:
                is_asked = True
                await connection.send_command("PING", check_health=False)

    def _take(self, message: list[bytes], breaker: Breaker) -> None:
        kind, *content = message
        if kind == b"psubscribe":
            breaker.close()
            for network_id in self._networks:
                self._local.wake_from_elsewhere(network_id)  # what was said before nobody heard
        elif kind == b"pmessage" and content[2] != self._self:
            network = content[1].rpartition(b":")[2]
            if network.isdigit() and int(network) in self._networks:
                self._local.wake_from_elsewhere(int(network))

    def _channel(self, network: int | str) -> str:
        return f"{self._redis.name}:moved:{network}"
