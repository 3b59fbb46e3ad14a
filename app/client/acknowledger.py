"""Tells the server how far an agent has come, beside the stream and never in its way.

Positions are cumulative, so only the newest is sent: while events pour in one every `INTERVAL_SECONDS`, and the last
one as soon as they stop. A position that could not be sent is kept and sent later; one that the server refuses (4xx)
is an error the subscriber raises.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable

from app.client.errors import CINError, ProblemError
from app.client.retry import Backoff
from app.client.stream import split_position

INTERVAL_SECONDS = 0.2
_LAST_WORD_SECONDS = 3.0


class Ledger:
    """What is still to be said, and whether saying it may be tried again."""

    def __init__(self) -> None:
        self.position: str | None = None
        self.told: str | None = None
        self.refusal: CINError | None = None
        self._backoff = Backoff(base=0.5, cap=5.0)

    @property
    def due(self) -> str | None:
        return self.position if self.position != self.told and self.refusal is None else None

    def succeeded(self, position: str) -> float:
        """Note it; return how long to be quiet, in seconds."""
        self.told = position
        self._backoff.reset()
        return INTERVAL_SECONDS

    def failed(self, error: CINError) -> float:
        """Note it; return how long to be quiet, in seconds."""
        if isinstance(error, ProblemError) and error.status < 500 and error.status != 429:
            self.refusal = error
        return INTERVAL_SECONDS + self._backoff.next()

    def passed(self, position: str) -> None:
        """Note a newer position; raise what the server said of the last one, if it refused that."""
        if self.refusal is not None and self.position is not None:
            if split_position(position)[0] == split_position(self.position)[0]:
                raise self.refusal
            self.refusal = None  # it refused a position of a log that is no more
        self.position = position


class Acknowledger:
    """A thread that sends positions; it starts with the first one and ends with `close`, which sends the last."""

    def __init__(self, send: Callable[[str], None]) -> None:
        self._send = send
        self._ledger = Ledger()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def passed(self, position: str) -> None:
        with self._changed:
            self._ledger.passed(position)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="cin-acknowledger", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Send what is due, once, and end the thread."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_LAST_WORD_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing.is_set() or self._ledger.due is not None)
            last = self._closing.is_set()
            quiet_seconds = self._tell()
            if last:
                return
            self._closing.wait(quiet_seconds)

    def _tell(self) -> float:
        position = self._ledger.due
        if position is None:
            return 0.0
        try:
            self._send(position)
        except CINError as error:
            return self._ledger.failed(error)
        return self._ledger.succeeded(position)


class AsyncAcknowledger:
    """The same as a task of the running loop."""

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self._ledger = Ledger()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def passed(self, position: str) -> None:
        self._ledger.passed(position)
        self._changed.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="cin-acknowledger")

    async def close(self) -> None:
        """End the task and send what is due, once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        try:
            await asyncio.wait_for(self._tell(), _LAST_WORD_SECONDS)
        except TimeoutError:
            return  # the server goes on from an older position, and the agent drops or does again what it did

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._ledger.due is not None:  # noqa: ASYNC110  it waits for time, so that positions gather
                await asyncio.sleep(await self._tell())

    async def _tell(self) -> float:
        position = self._ledger.due
        if position is None:
            return 0.0
        try:
            await self._send(position)
        except CINError as error:
            return self._ledger.failed(error)
        return self._ledger.succeeded(position)
