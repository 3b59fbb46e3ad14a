"""A client's WebSocket as the hub sees it: the server's own `send`, and under uvicorn what lies beneath it."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from starlette.types import Scope, Send

from app.routers.descriptor import plain_descriptor, write_straight
from app.stream.wire_socket import SOCKET, texts

RESTART = 1012
"""The close code that says: come back in a moment (IANA, WebSocket close codes)."""


class SocketConnection:
    """Writes frames as they are to the transport, where there is one; under any other server, as messages.

    uvicorn's `send` is a method of the protocol, which holds the transport. Whatever it writes there itself (pongs,
    pings, the close) are whole frames, each in one call, so that what is written in between stands between frames.
    Nothing is written once it has sent its close.
    """

    __slots__ = ("_descriptor", "_has_closed", "_owner", "_protocol", "_send", "_transport", "before_finish")

    wire = SOCKET

    def __init__(self, send: Send) -> None:
        self._send = send
        self._protocol: Any = getattr(send, "__self__", None)
        self._transport: asyncio.Transport | None = getattr(self._protocol, "transport", None)
        self._descriptor = plain_descriptor(self._transport)
        self._owner = asyncio.current_task()
        self._has_closed = False
        self.before_finish: Callable[[], Coroutine[Any, Any, None]] = _nothing

    def write_now(self, data: bytes) -> bool:
        """Hand over frames without a coroutine; False if they must go through `send`."""
        if self._descriptor is None or not self._is_open():
            return False
        return write_straight(self._transport, self._descriptor, data)

    async def send(self, data: bytes) -> None:
        writable: asyncio.Event | None = getattr(self._protocol, "writable", None)
        if self._transport is None or writable is None:
            for text in texts(data):
                await self._send({"type": "websocket.send", "text": text})
            return
        await writable.wait()
        if self._is_open():
            self._transport.write(data)

    async def finish(self) -> None:
        """Answer what was taken up, then close: the client comes back."""
        await self.before_finish()
        await self.close(RESTART, "The server is stopping. Connect again in a moment.")

    async def close(self, code: int, reason: str) -> None:
        """Close in good order, unless it is closed already."""
        if self._has_closed or self.is_gone():
            return
        self._has_closed = True
        with suppress(OSError):  # uvicorn's way to say that the client was faster
            await self._send({"type": "websocket.close", "code": code, "reason": reason})

    def let_go(self, scope: Scope) -> None:
        """Empty what uvicorn keeps of the handshake as long as the connection is there."""
        if self._transport is not None:
            scope["headers"].clear()
            scope.clear()
            for kept in (self._protocol.request, self._protocol.response):
                kept.headers.clear()

    def is_gone(self) -> bool:
        return self._transport is not None and self._transport.is_closing()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        elif self._owner is not None:
            self._owner.cancel()

    def unsent(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 1

    def _is_open(self) -> bool:
        return not self._has_closed and not self.is_gone() and not getattr(self._protocol, "close_sent", True)


async def _nothing() -> None:
    pass
