"""Turns: a crowd goes on a few at a time, so that whoever else uses the event loop is not kept waiting."""

import asyncio
from collections import deque


class Turns:
    """Lets so many go on in each turn of the event loop, in the order in which they came."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._left = at_once
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_scheduled = False

    async def take(self) -> None:
        """Wait for a turn; whoever finds no crowd does not wait."""
        self._schedule()
        if self._left and not self._waiting:
            self._left -= 1
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._is_scheduled = False
        self._left = self._at_once
        while self._left and self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():  # else it was given up
                waiting.set_result(None)
                self._left -= 1
        if self._left < self._at_once:
            self._schedule()
