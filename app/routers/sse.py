"""Server-sent events over ASGI: sse-starlette's response, driven by the hub instead of by tasks of its own.

`EventSourceResponse` starts four tasks for every stream (sender, ping, exit listener, disconnect listener). What
they do for one stream the hub does for all of them at once, so one task is left, which waits for the client to go
(docs/decisions/0004 has the figures). Headers, media type and event encoding stay sse-starlette's.
"""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.types import Message, Receive, Scope, Send

from app.errors import StreamLimitReached, Unavailable
from app.skills.filters import EventFilter
from app.stream import frames
from app.stream.hub import Hub
from app.stream.start import Start


class SseConnection:
    """A client's connection as the hub sees it: the server's own `send`, and under uvicorn its transport."""

    def __init__(self, send: Send) -> None:
        self._send = send
        # uvicorn's `send` is a method of the request cycle, which holds the transport. ASGI itself has no way to cut a
        # connection, and closing one waits for ever for a reader that reads nothing.
        self._transport = getattr(getattr(send, "__self__", None), "transport", None)
        self._owner = asyncio.current_task()

    def send(self, data: bytes) -> Coroutine[Any, Any, None]:
        return self._send({"type": "http.response.body", "body": data, "more_body": True})  # type: ignore[return-value]

    def finish(self) -> Coroutine[Any, Any, None]:
        return self._send({"type": "http.response.body", "body": b"", "more_body": False})  # type: ignore[return-value]

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        elif self._owner is not None:
            self._owner.cancel()

    def unsent(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 1


class StreamResponse(EventSourceResponse):
    """One stream, from `start` on. Raises `StreamLimitReached` or `Unavailable` before anything is sent."""

    def __init__(
        self,
        hub: Hub,
        start: Start,
        event_filter: EventFilter,
        *,
        agent: str | None,
        retry_milliseconds: int,
        for_browser: bool,
    ) -> None:
        super().__init__(iter(()), sep="\n")
        self._hub = hub
        self._start = start
        self._filter = event_filter
        self._agent = agent
        self._retry_milliseconds = jitter(retry_milliseconds)
        self._for_browser = for_browser

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = SseConnection(scope.get("cin.send", send))
        try:
            with self._hub.subscribe(connection, self._start.after, self._filter, self._agent) as stream:
                await send(self._head())
                await connection.send(self._first_blocks())
                self._hub.begin(stream)
                await _disconnected(receive)
        except (StreamLimitReached, Unavailable):
            if not self._for_browser:
                raise
            # An EventSource gives up for good on 503; after 200 and a clean end it comes back when it is told to.
            await send(self._head())
            await connection.send(frames.retry(self._retry_milliseconds * 5))
            await connection.finish()

    def _head(self) -> Message:
        return {"type": "http.response.start", "status": 200, "headers": self.raw_headers}

    def _first_blocks(self) -> bytes:
        bounds = self._hub.bounds
        live = self._start.after >= bounds.head
        blocks = frames.hello(self._hub.network.name, bounds, live=live, retry_milliseconds=self._retry_milliseconds)
        if self._start.reset:
            return blocks + self._hub.reset(self._start.reset)
        # Without it, a client that is cut before its first event would resume from nowhere.
        return blocks + frames.cursor(bounds.position(self._start.after))


def jitter(milliseconds: int) -> int:
    """0.5 to 1.5 of it, so that those who were cut together do not come back together."""
    return round(milliseconds * random.uniform(0.5, 1.5))  # noqa: S311  # spreads load, keeps no secret


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
