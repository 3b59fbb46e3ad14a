"""uvicorn's WebSockets, which keep less while they wait: most of ten thousand connections only listen.

An `asyncio.Queue` and an `asyncio.Event` keep 4 KB of empty deques for each connection, a quarter of what one may take.
"""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol on websockets' parser, with what waits in it made when something does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue = Messages()  # type: ignore[assignment]  # as much of a queue as is used
        self.writable = _WRITABLE

    def pause_writing(self) -> None:
        self.writable = asyncio.Event()

    def resume_writing(self) -> None:
        waited_for, self.writable = self.writable, _WRITABLE
        waited_for.set()


class Messages:
    """What came on one connection and is not read yet; one task reads it."""

    __slots__ = ("_messages", "_waiting")

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._waiting: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        return not self._messages

    def put_nowait(self, message: Any) -> None:
        self._messages.append(message)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def get(self) -> Any:
        while not self._messages:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        self._waiting = None
        return self._messages.pop(0)


_WRITABLE = asyncio.Event()
"""One for all connections that hold nothing back; nobody ever waits for it, and it is never cleared."""
_WRITABLE.set()
