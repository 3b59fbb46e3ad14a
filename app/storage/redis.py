"""Redis, which may be slow, full, read-only or gone: that costs a few questions some milliseconds, and nothing else.

There is one connection, on which commands follow each other without waiting for answers. What is answered late is not
waited for. After a few late answers in a row, or without a connection, nobody asks, until a probe was answered in time.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

import structlog
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from app.errors import StartupError
from app.metrics import Metrics
from app.storage.breaker import Breaker

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 0.02
"""How long an answer is waited for: it comes after 0.2 ms, and what it spares takes a few milliseconds."""

CONNECT_SECONDS = 2.0

_CHECK_SECONDS = 1.0
"""How often it is asked whether it is there, so that a question need not find out."""

_MOST_UNANSWERED = 100
"""Commands on their way at once: 5 ms of work for this process. In a greater crowd the others go on without asking."""

_GRACE_TURNS = 5
"""How often others have their turn before an answer is late: when the event loop was held up, it is there already."""

TROUBLE = (RedisError, OSError, TimeoutError)

Word = bytes | str | int
Reply = bytes | int | list[Any] | None


class RedisTrouble(Exception):
    """It was not asked, has not answered in time, or has refused. Never crosses to a client."""


_Answered = asyncio.Future[Reply | RedisTrouble]


class Connection(Protocol):
    """What is used of a connection of redis-py, which does not say all of its types."""

    async def connect(self) -> None:
        """Connect, and say who we are."""

    async def disconnect(self, nowait: bool = False) -> None:
        """Close it."""

    def pack_command(self, *command: Word) -> list[bytes]:
        """A command as bytes."""

    async def send_packed_command(self, command: Iterable[bytes], check_health: bool = True) -> None:
        """Send what was packed."""

    async def send_command(self, *command: Word, check_health: bool = True) -> None:
        """Pack and send."""

    async def read_response(self, *, timeout: float | None = None) -> Any:
        """The next answer; None when the time is up."""


@asynccontextmanager
async def open_redis(url: str, name: str, metrics: Metrics) -> AsyncIterator["Redis"]:
    """A connection that is kept up until the end of the block. Opens, and without a server goes on trying.

    `name` begins the names of all that is kept there. Raises `StartupError` for a URL that is not one.
    """
    redis = Redis(url, name, metrics)
    running = asyncio.create_task(redis.run(), name="redis")
    try:
        yield redis
    finally:
        running.cancel()
        await asyncio.wait([running])


class Redis:
    """One server, for all that use it."""

    def __init__(self, url: str, name: str, metrics: Metrics) -> None:
        self.name = name
        self._metrics = metrics
        self._breaker = Breaker()
        self._up = asyncio.Event()
        self._given_up = asyncio.Event()
        self._pool = _pool(url)
        self._packing = self.new_connection()
        self._waiting: list[bytes] = []
        self._wanted = asyncio.Event()
        self._unanswered: deque[_Answered | None] = deque()
        self._refusal = ""

    @property
    def is_up(self) -> bool:
        """Whether it is asked: it has answered in time when it was asked last."""
        return self._breaker.is_closed

    async def up(self) -> None:
        """Wait until it is asked."""
        await self._up.wait()

    def new_connection(self) -> Connection:
        """A connection for a use of its own, not connected yet."""
        return cast(Connection, self._pool.make_connection())  # type: ignore[no-untyped-call]

    async def ask(self, *command: Word, patience_seconds: float = PATIENCE_SECONDS) -> Reply:
        """The answer to a command. Raises `RedisTrouble`, at once if nobody is to ask now."""
        answered: _Answered = asyncio.get_running_loop().create_future()
        if not self._send(command, answered):
            raise RedisTrouble("it is not asked now")
        await asyncio.wait([answered], timeout=patience_seconds)
        for _ in range(_GRACE_TURNS):
            if not answered.done():
                await asyncio.sleep(0)
        if not answered.done():
            answered.cancel()
            self._fail("late")
            raise RedisTrouble("it has not answered in time")
        reply = answered.result()
        if isinstance(reply, RedisTrouble):
            raise reply
        return reply

    def tell(self, *command: Word) -> None:
        """Send a command whose answer nobody needs; or not, if it would have to wait."""
        if self.is_up and not self._send(command, None):
            self._metrics.redis_errors.labels("dropped").inc()

    async def run(self) -> None:
        """Connect, again and again, until cancelled."""
        while True:
            self._breaker.probe()
            connection = self.new_connection()
            try:
                await self._prove(connection)
                self._close_breaker()
                await self._use(connection)
            except TROUBLE as error:
                self._open_breaker(error)
            finally:
                self._forget()
                await connection.disconnect(nowait=True)
            await asyncio.sleep(self._breaker.pause_seconds())

    # Sending

    def _send(self, command: tuple[Word, ...], answered: _Answered | None) -> bool:
        if not self.is_up or len(self._unanswered) >= _MOST_UNANSWERED:
            return False
        self._waiting += self._packing.pack_command(*command)
        self._unanswered.append(answered)
        self._wanted.set()
        return True

    async def _write(self, connection: Connection) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            waiting, self._waiting = self._waiting, []
            await connection.send_packed_command(waiting, check_health=False)

    async def _read(self, connection: Connection) -> None:
        while True:
            reply = await _reply(connection)
            answered = self._unanswered.popleft()
            if isinstance(reply, RedisTrouble):
                self._refused(str(reply))
            if answered is not None and not answered.done():
                self._breaker.succeeded()
                answered.set_result(reply)

    # Keeping it up

    async def _prove(self, connection: Connection) -> None:
        """Connect, and see whether it answers in time. Raises one of `TROUBLE`."""
        async with asyncio.timeout(CONNECT_SECONDS):
            await connection.connect()
        await connection.send_command("PING", check_health=False)
        asked_at = asyncio.get_running_loop().time()
        async with asyncio.timeout(CONNECT_SECONDS):
            reply = await _reply(connection)
        if isinstance(reply, RedisTrouble):
            raise RedisError(str(reply))
        if (took := asyncio.get_running_loop().time() - asked_at) > PATIENCE_SECONDS:
            raise TimeoutError(f"it answers after {took * 1000:.0f} ms")

    async def _use(self, connection: Connection) -> None:
        """Write, read and look after the connection until it is lost or given up. Raises one of `TROUBLE`."""
        works = (self._write(connection), self._read(connection), self._check(), self._given_up.wait())
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error
        raise TimeoutError("its answers are late")

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            try:
                await self.ask("PING")
            except RedisTrouble:
                continue  # it is counted, and a few in a row end this

    def _close_breaker(self) -> None:
        self._breaker.close()
        self._given_up.clear()
        self._up.set()
        self._metrics.redis_up.set(1)
        log.info("redis_up")

    def _open_breaker(self, error: Exception) -> None:
        self._breaker.open()
        self._metrics.redis_errors.labels("lost").inc()
        if self._breaker.is_new:
            log.warning("redis_down", error=str(error), next="what it does is done without it; it is tried again")

    def _fail(self, kind: str) -> None:
        self._metrics.redis_errors.labels(kind).inc()
        if self.is_up:
            self._breaker.failed()
        if not self.is_up:
            self._given_up.set()

    def _forget(self) -> None:
        """Nobody gets an answer any more from a connection that is gone."""
        self._up.clear()
        self._metrics.redis_up.set(0)
        for answered in self._unanswered:
            if answered is not None and not answered.done():
                answered.set_result(RedisTrouble("the connection is lost"))
        self._unanswered.clear()
        self._waiting.clear()

    def _refused(self, refusal: str) -> None:
        self._metrics.redis_errors.labels("refused").inc()
        if refusal != self._refusal:
            log.warning("redis_refused", error=refusal, next="what it was to do is not done")
        self._refusal = refusal


async def _reply(connection: Connection) -> Reply | RedisTrouble:
    try:
        return await connection.read_response()  # type: ignore[no-any-return]
    except ResponseError as error:
        return RedisTrouble(str(error))


def _pool(url: str) -> ConnectionPool:
    over_tcp = {} if url.startswith("unix:") else {"socket_keepalive": True}
    try:
        return ConnectionPool.from_url(
            url,
            protocol=2,
            client_name="cin",
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=CONNECT_SECONDS,
            **over_tcp,
        )
    except ValueError:
        raise StartupError(
            "CIN_REDIS_URL is not a URL of Redis. Write redis://host:6379/0, or rediss://user:password@host:6379 for TLS."
        ) from None
