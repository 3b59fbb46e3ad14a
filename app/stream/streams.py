"""The streams that are open on this process: who comes, who reads as whom, and who goes.

This is the one place that limits streams, counts them, and ends them.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator

import structlog

from app.errors import StreamLimitReached, Unavailable
from app.metrics import Metrics
from app.skills.filters import EventFilter
from app.stream.subscription import Connection, Subscription

log = structlog.get_logger(__name__)

EVERYTHING = EventFilter()
"""One for all who want everything; each of its own takes half a kilobyte."""

AGE_JITTER = 0.2
"""How much sooner or later than at its greatest age a stream is ended, so that those which began together do not."""

_GOODBYE_SECONDS = 1
"""How long a stream is given to take its last bytes before it is cut."""


class Streams:
    """Open streams; some of them are `live`, which means that the hub moves them. Iterates in the order they came in."""

    def __init__(self, most: int, max_age_seconds: float, metrics: Metrics) -> None:
        self.live: dict[Subscription, None] = {}
        self.connected: Counter[str] = Counter()
        """How many streams each agent has open on this process."""
        self.is_draining = False
        self._most = most
        self._max_age_seconds = max_age_seconds
        self._metrics = metrics
        self._open: dict[Subscription, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Subscription]:
        return iter(self._open)

    def __contains__(self, stream: Subscription) -> bool:
        return stream in self._open

    def enter(self, connection: Connection, after: int, event_filter: EventFilter, agent: str | None) -> Subscription:
        """A new stream. Raises `StreamLimitReached`, or `Unavailable` while draining."""
        if self.is_draining:
            self._metrics.streams_refused.labels("draining").inc()
            raise Unavailable("The server is stopping. Connect again in a moment.")
        if len(self._open) >= self._most:
            self._metrics.streams_refused.labels("limit").inc()
            raise StreamLimitReached(
                f"All {self._most} streams of this process are taken. Try again, or raise CIN_MAX_STREAMS."
            )
        stream = Subscription(connection, after, event_filter or EVERYTHING, agent)
        self._open[stream] = None
        self._connect(agent)
        self._metrics.streams.set(len(self._open))
        if self._max_age_seconds:
            age = self._max_age_seconds * random.uniform(1 - AGE_JITTER, 1 + AGE_JITTER)  # noqa: S311
            stream.ends_at = time.monotonic() + age
        return stream

    def direct(self, stream: Subscription, after: int, event_filter: EventFilter, agent: str | None) -> None:
        """Say where a stream that has not begun starts, what it wants and who reads it, if that was not known before."""
        if stream in self._open:
            self._disconnect(stream.agent)
            self._connect(agent)
        stream.cursor, stream.event_filter, stream.agent = after, event_filter or EVERYTHING, agent

    def leave(self, stream: Subscription) -> None:
        """Forget a stream, if it is here still, and whoever moves it."""
        if stream in self._open:
            del self._open[stream]
            self._disconnect(stream.agent)
        self.live.pop(stream, None)
        if stream.task is not None and stream.task is not asyncio.current_task():
            stream.task.cancel()
        self._metrics.streams.set(len(self._open))

    def cut(self, stream: Subscription) -> None:
        """Leave it, and its connection where it stands; the client resumes."""
        self.leave(stream)
        stream.connection.abort()

    async def end(self, stream: Subscription, retry_milliseconds: int) -> None:
        """Leave it in good order, with when to come back."""
        if stream not in self._open:
            return  # it has gone, or is ended already: a drain may meet one that came of age
        self.leave(stream)
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await stream.connection.send(stream.wire.retry(retry_milliseconds))
                await stream.connection.finish()
        except TimeoutError:
            stream.connection.abort()

    async def drain(self, window_seconds: float, retry_milliseconds: int) -> None:
        """Take no more, and end every one in good order, spread over the window, so that not all come back at once."""
        self.is_draining = True
        ending = list(self._open)
        pause = window_seconds / len(ending) if ending else 0
        goodbyes = []
        for stream in ending:
            goodbyes.append(asyncio.create_task(self.end(stream, retry_milliseconds)))
            await asyncio.sleep(pause)
        await asyncio.gather(*goodbyes)
        log.info("streams_drained", streams=len(ending))

    def _connect(self, agent: str | None) -> None:
        if agent is not None:
            self.connected[agent] += 1

    def _disconnect(self, agent: str | None) -> None:
        if agent is not None:
            self.connected[agent] -= 1
            if not self.connected[agent]:
                del self.connected[agent]
