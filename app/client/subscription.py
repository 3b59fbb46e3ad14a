"""A subscription: the events of a network, one after the other, whatever happens to the connection.

An item counts as passed when the consumer comes back for the next one, or says `done()`. Only then does its position
reach the position file and the server: what was being worked on when a process died is seen again.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing
from dataclasses import dataclass

import httpx
from httpx_sse import EventSource, ServerSentEvent, aconnect_sse, connect_sse

from app.client.acknowledger import Acknowledger, AsyncAcknowledger
from app.client.errors import AnswerNotUnderstood, ProblemError
from app.client.position_file import PositionFile
from app.client.retry import Backoff
from app.client.stream import (
    RECONNECT_CAP_SECONDS,
    SILENCE_SECONDS,
    Cursor,
    StreamFilters,
    stream_headers,
    stream_params,
)
from app.client.values import Event, Reset
from app.client.wire import raise_for_problem

log = logging.getLogger("app.client")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a subscriber asks for."""

    since: str | int | None
    agent: str | None
    strict: bool
    position_file: str | os.PathLike[str] | None
    filters: StreamFilters


class Route:
    """What both subscriptions share and what does no network I/O: where to go on, and when."""

    def __init__(self, wish: Wish, url: str, timeout_seconds: float, *, path: str = "/stream") -> None:
        self._wish = wish
        self._url = url + path
        self._file = None if wish.position_file is None else PositionFile(wish.position_file)
        self._kept = self._file.read() if self._file else None
        self._cursor = Cursor(self._kept)
        self._backoff = Backoff(base=self._cursor.retry_seconds, cap=RECONNECT_CAP_SECONDS)
        self.timeout = httpx.Timeout(timeout_seconds, read=SILENCE_SECONDS)

    @property
    def position(self) -> str | None:
        return self._cursor.position

    def params(self) -> dict[str, str | list[str]]:
        since = self._wish.since if self._cursor.position is None else None
        return stream_params(self._wish.filters, since=since, agent=self._wish.agent, strict=self._wish.strict)

    def headers(self) -> dict[str, str]:
        return dict(stream_headers(self._cursor.position))

    def feed(self, sse: ServerSentEvent) -> Event | Reset | None:
        self._backoff.reset()
        return self._cursor.feed(sse)

    def passed(self) -> str | None:
        """Keep and return the position of what the consumer is done with."""
        position = self._cursor.position
        if position is not None and position != self._kept:
            if self._file:
                self._file.write(position)
            self._kept = position
        return position

    def check(self, source: EventSource) -> None:
        """Raise for an answer that is no stream; its body must have been read if it is not 200."""
        raise_for_problem(source.response)
        media_type = source.response.headers.get("Content-Type", "")
        if source.response.status_code == 200 and not media_type.startswith("text/event-stream"):
            raise AnswerNotUnderstood(self._url, source.response.status_code)

    def wait_seconds(self, loss: Exception | None) -> float:
        """How long to wait after a lost stream; raises the loss if waiting cannot help."""
        asked = 0.0
        if isinstance(loss, ProblemError):
            if loss.status < 500 and loss.status not in (408, 429):
                raise loss
            asked = loss.retry_after or 0.0
        self._backoff.base = self._cursor.retry_seconds
        seconds = self._backoff.next(at_least=asked)
        reason = "the server ended it" if loss is None else str(loss) or type(loss).__name__
        log.warning("The stream %s was lost (%s); next try in %.1f s.", self._url, reason, seconds)
        return seconds


class Subscription(Iterator[Event | Reset]):
    """An iterator over events that never ends by itself; close it, or use it as a context manager.

    It belongs to the thread that iterates.
    """

    def __init__(self, http: httpx.Client, route: Route, acknowledger: Acknowledger | None) -> None:
        self._http = http
        self._route = route
        self._acknowledger = acknowledger
        self._items = self._run()

    def __next__(self) -> Event | Reset:
        return next(self._items)

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def done(self) -> None:
        """Say that the item last received is dealt with, without asking for the next."""
        position = self._route.passed()
        if position is not None and self._acknowledger is not None:
            self._acknowledger.passed(position)

    def close(self) -> None:
        """End the stream and send what is still to be acknowledged (at most 3 s)."""
        self._items.close()
        if self._acknowledger is not None:
            self._acknowledger.close()

    def _run(self) -> Generator[Event | Reset]:
        try:
            while True:
                loss: Exception | None = None
                try:
                    yield from self._connection()
                except (httpx.RequestError, ProblemError) as error:
                    loss = error
                time.sleep(self._route.wait_seconds(loss))
        finally:
            if self._acknowledger is not None:
                self._acknowledger.close()

    def _connection(self) -> Generator[Event | Reset]:
        route = self._route
        arguments = {"params": route.params(), "headers": route.headers(), "timeout": route.timeout}
        with connect_sse(self._http, "GET", "/stream", **arguments) as source:
            if source.response.status_code != 200:
                source.response.read()
            route.check(source)
            for sse in source.iter_sse():
                item = route.feed(sse)
                if item is not None:
                    yield item
                if sse.id:
                    self.done()


class AsyncSubscription(AsyncIterator[Event | Reset]):
    """The same for `async for`. Cancelling a pending step ends it: a deadline belongs around the loop, not a step.

    Only the task that iterates may close it.
    """

    def __init__(self, http: httpx.AsyncClient, route: Route, acknowledger: AsyncAcknowledger | None) -> None:
        self._http = http
        self._route = route
        self._acknowledger = acknowledger
        self._items = self._run()

    async def __anext__(self) -> Event | Reset:
        return await anext(self._items)

    async def __aenter__(self) -> "AsyncSubscription":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def done(self) -> None:
        """Say that the item last received is dealt with, without asking for the next."""
        position = self._route.passed()
        if position is not None and self._acknowledger is not None:
            self._acknowledger.passed(position)

    async def aclose(self) -> None:
        """End the stream and send what is still to be acknowledged (at most 3 s)."""
        await self._items.aclose()
        if self._acknowledger is not None:
            await self._acknowledger.close()

    async def _run(self) -> AsyncGenerator[Event | Reset]:
        try:
            while True:
                loss: Exception | None = None
                try:
                    async with aclosing(self._connection()) as items:
                        async for item in items:
                            yield item
                except (httpx.RequestError, ProblemError) as error:
                    loss = error
                await asyncio.sleep(self._route.wait_seconds(loss))
        finally:
            if self._acknowledger is not None:
                await self._acknowledger.close()

    async def _connection(self) -> AsyncGenerator[Event | Reset]:
        route = self._route
        arguments = {"params": route.params(), "headers": route.headers(), "timeout": route.timeout}
        async with aconnect_sse(self._http, "GET", "/stream", **arguments) as source:
            if source.response.status_code != 200:
                await source.response.aread()
            route.check(source)
            async with aclosing(source.aiter_sse()) as blocks:
                async for sse in blocks:
                    item = route.feed(sse)
                    if item is not None:
                        yield item
                    if sse.id:
                        self.done()
