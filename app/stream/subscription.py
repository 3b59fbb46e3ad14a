"""A subscription: a cursor over the log, and the connection it moves along.

It is *live* while it keeps up: then the hub moves it, and it costs no task. When its connection takes no more, or it
starts behind the ring, it is *behind*: then a task of its own moves it, at the reader's pace, through the ring and the
log alike, until it is at the head again. Both ways lead through the same slices and the same cursor, so there is no
seam between replay and live, and nothing is ever buffered for a slow reader but the slice on its way.
"""

import asyncio
import math
import time
from collections.abc import Coroutine, Generator
from typing import Any, Protocol

from app.skills.filters import EventFilter
from app.stream.frames import Wire


class Connection(Protocol):
    """What a subscription needs of a transport."""

    @property
    def wire(self) -> Wire:
        """How what it takes must be written down."""

    def write_now(self, data: bytes) -> bool:
        """Hand over bytes at once and in order, if the transport can; False if they must be sent with `send`."""

    def send(self, data: bytes) -> Coroutine[Any, Any, None]:
        """Hand over bytes; suspends while the transport holds as much as it is willing to."""

    def finish(self) -> Coroutine[Any, Any, None]:
        """End the stream in good order."""

    def abort(self) -> None:
        """Cut the connection, and forget what it did not take."""

    def is_gone(self) -> bool:
        """Whether the client is known to have closed it."""

    def unsent(self) -> int:
        """Bytes handed over that the peer's system has not taken; 0 if the transport does not say."""


class Suspended:
    """A coroutine that was run outside a task up to its first wait, and is finished by whoever awaits this."""

    __slots__ = ("_rest", "_waits_for")

    def __init__(self, rest: Coroutine[Any, Any, None], waits_for: object) -> None:
        self._rest = rest
        self._waits_for = waits_for

    def __await__(self) -> Generator[object, Any, None]:
        try:
            # The future was marked as awaited when it was yielded to us; passed on as it is, the new task waits for it.
            yield self._waits_for
            yield from self._rest.__await__()
        finally:
            self._rest.close()


class Subscription:
    """One open stream. The hub moves its cursor while it is live, its own task while it is behind."""

    __slots__ = (
        "_unsent",
        "agent",
        "connection",
        "cursor",
        "ends_at",
        "event_filter",
        "is_answering",
        "moved_at",
        "sent_at",
        "task",
        "wire",
    )

    def __init__(self, connection: Connection, after: int, event_filter: EventFilter, agent: str | None) -> None:
        self.connection = connection
        self.wire = connection.wire
        self.cursor = after
        self.event_filter = event_filter
        self.agent = agent
        self.task: asyncio.Task[None] | None = None
        self.is_answering = False
        self.sent_at = self.moved_at = time.monotonic()
        self.ends_at = math.inf
        self._unsent = 0

    def push(self, data: bytes, present: float) -> Suspended | None:
        """Send now, without a task; returns what is left to do if the connection will not take it all at once.

        Waking a task for each of 1,000 subscribers costs more than writing to them (docs/decisions/0004).
        """
        if self.connection.write_now(data):
            self.sent_at = self.moved_at = present
            return None
        sending = self.connection.send(data)
        try:
            waits_for = sending.send(None)
        except StopIteration:
            self.sent_at = self.moved_at = present
            return None
        return Suspended(sending, waits_for)

    async def send(self, data: bytes) -> None:
        """Send from the subscription's own task, however long the connection takes."""
        await self.connection.send(data)
        self.sent_at = self.moved_at = time.monotonic()

    async def answer(self, data: bytes) -> None:
        """Send what is not of the log, in between. A reader that does not take it has stalled, as with what is."""
        self.moved_at = time.monotonic()
        if not self.connection.write_now(data):
            self.is_answering = True
            try:
                await self.connection.send(data)
            finally:
                self.is_answering = False
            self.moved_at = time.monotonic()

    @property
    def is_waiting(self) -> bool:
        """Whether something waits for the reader to take it."""
        return self.task is not None or self.is_answering

    def has_stalled(self, present: float, after_seconds: float) -> bool:
        """Whether the reader has taken nothing for so long. Asked now and then while it is waiting."""
        unsent = self.connection.unsent()
        if unsent < self._unsent:
            self.moved_at = present
        self._unsent = unsent
        return unsent > 0 and present - self.moved_at > after_seconds
