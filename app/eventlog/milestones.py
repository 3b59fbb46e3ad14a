"""Waiting until a log has been followed to an offset."""

import asyncio


class Milestones:
    """Those who wait, each for an offset of its own."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def is_awaited(self) -> bool:
        """Whether anybody waits."""
        return any(not arrived.done() for _, arrived in self._waiting)

    async def wait(self, offset: int, timeout_seconds: float) -> bool:
        """Until `reach` has come to the offset; False if that takes too long."""
        arrived = asyncio.get_running_loop().create_future()
        self._waiting.append((offset, arrived))
        try:
            async with asyncio.timeout(timeout_seconds):
                await arrived
        except TimeoutError:
            return False
        return True

    def reach(self, offset: int) -> None:
        """Let those go on who wait for this offset or one before it."""
        for wanted, arrived in self._waiting:
            if wanted <= offset and not arrived.done():
                arrived.set_result(None)
        self._waiting = [waiting for waiting in self._waiting if not waiting[1].done()]
