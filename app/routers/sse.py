"""Server-sent events over ASGI: sse-starlette's response, driven by the hub instead of by tasks of its own.

`EventSourceResponse` starts four tasks for every stream (sender, ping, exit listener, disconnect listener). What
they do for one stream the hub does for all of them at once, so one task is left, which waits for the client to go
(docs/decisions/0004 has the figures). Headers, media type and event encoding stay sse-starlette's.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from functools import lru_cache, partial
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import StreamLimitReached, Unavailable
from app.routers.descriptor import plain_descriptor, write_straight
from app.skills.filters import EventFilter
from app.stream.hub import Hub
from app.stream.start import Start
from app.stream.wire_sse import SSE


class SseConnection:
    """A client's connection as the hub sees it: the server's own `send`, and under uvicorn what lies beneath it.

    uvicorn's `send` is a method of the request's cycle, which holds the transport. ASGI has no way to cut a connection
    (closing one waits for ever for a reader that reads nothing) nor to write without a coroutine; the transport has.
    Under any other server all goes through `send`.
    """

    __slots__ = ("_cycle", "_descriptor", "_is_direct", "_owner", "_send", "_transport")

    wire = SSE

    def __init__(self, send: Send) -> None:
        self._send = send
        self._cycle = getattr(send, "__self__", None)
        self._transport: asyncio.Transport | None = getattr(self._cycle, "transport", None)
        self._descriptor = plain_descriptor(self._transport)
        self._is_direct = False
        self._owner = asyncio.current_task()

    def write_now(self, data: bytes) -> bool:
        """Hand over bytes without a coroutine; False if they must go through `send`."""
        if self._descriptor is None or not (self._is_direct or self._becomes_direct()):
            return False
        return write_straight(self._transport, self._descriptor, _chunk(data))

    def _becomes_direct(self) -> bool:
        """Whether the answer goes out in chunks, as we write it; known when its head is sent."""
        self._is_direct = bool(getattr(self._cycle, "chunked_encoding", False))
        return self._is_direct

    def send(self, data: bytes) -> Coroutine[Any, Any, None]:
        if self.is_gone():
            return _nothing()  # the client has gone, and `receive` is about to say so; uvloop would raise
        return self._send({"type": "http.response.body", "body": data, "more_body": True})  # type: ignore[return-value]

    def finish(self) -> Coroutine[Any, Any, None]:
        return self._send({"type": "http.response.body", "body": b"", "more_body": False})  # type: ignore[return-value]

    def is_gone(self) -> bool:
        return self._transport is not None and self._transport.is_closing()

    def abort(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()
        elif self._owner is not None:
            self._owner.cancel()

    def unsent(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 1


async def _nothing() -> None:
    pass


@lru_cache(maxsize=8)
def _chunk(data: bytes) -> bytes:
    """`data` as one chunk of a response (RFC 9112, 7.1). A thousand subscribers ask for the same one in a row."""
    return b"%x\r\n%s\r\n" % (len(data), data)


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
            stream = self._hub.enter(connection, self._start.after, self._filter, self._agent)
        except (StreamLimitReached, Unavailable):
            if not self._for_browser:
                raise
            # An EventSource gives up for good on 503; after 200 and a clean end it comes back when it is told to.
            await send(self._head())
            await connection.send(SSE.retry(self._retry_milliseconds * 5))
            await connection.finish()
            return
        scope["cin.endings"].append(partial(self._hub.leave, stream))  # `serve` calls it
        await send(self._head())
        await connection.send(self._hub.welcome(SSE, self._start, self._retry_milliseconds))
        self._hub.begin(stream)

    def _head(self) -> Message:
        return {"type": "http.response.start", "status": 200, "headers": self.raw_headers}


def come_back(seconds: int) -> Response:
    """What an EventSource is answered where others are answered 503, on which it would give up for good."""
    block = f"retry: {jitter(1_000 * seconds)}\n\n"
    return Response(block, headers={"Cache-Control": "no-store"}, media_type="text/event-stream")


def jitter(milliseconds: int) -> int:
    """0.5 to 1.5 of it, so that those who were cut together do not come back together."""
    return round(milliseconds * random.uniform(0.5, 1.5))  # noqa: S311  # spreads load, keeps no secret


async def serve(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Call `app`; if it opened a stream, wait out here until that has ended.

    By then all that answered the request has returned. Its frames, the request and what FastAPI solved for it are more
    than half of what an idle stream would keep (docs/decisions/0024).
    """
    endings: list[Callable[[], None]] = []
    scope["cin.endings"] = endings
    try:
        await app(scope, receive, send)
        if endings:
            _let_go(scope, send)
            while (await receive())["type"] != "http.disconnect":
                pass
    finally:
        for end in endings:
            end()


def _let_go(scope: Scope, send: Send) -> None:
    """Empty what uvicorn keeps of a request until its answer has ended, but for what its `send` looks at."""
    if hasattr(getattr(send, "__self__", None), "transport"):
        method = scope["method"]
        scope["headers"].clear()
        scope.clear()
        scope["method"] = method
