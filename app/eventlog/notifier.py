"""Wakes: "network n has moved". A wake is a hint; whoever waits reads the log afterwards, and looks now and then anyway."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol
from weakref import WeakSet


class Notifier(Protocol):
    """Carries wakes to followers. May drop, may merge, may double, never blocks."""

    def wake(self, network_id: int) -> None:
        """Say that the network's log has moved."""

    def listen(self, network_id: int) -> "Wake":
        """A wake for one follower, set whenever the network's log has moved."""


class Wake:
    """One follower's wake. Clear it, then read: what comes in between is not lost."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._elsewhere = False
        self.set_at = time.monotonic()
        """When it was set last, or else made; by `time.monotonic`."""

    def set(self, *, elsewhere: bool = False) -> None:
        """`elsewhere`: another process has moved the log, so what this one knows by itself is not all."""
        self._elsewhere |= elsewhere
        self.set_at = time.monotonic()
        self._event.set()

    def clear(self) -> bool:
        """Whether it was set from elsewhere since it was cleared last."""
        self._event.clear()
        elsewhere, self._elsewhere = self._elsewhere, False
        return elsewhere

    async def wait(self, timeout_seconds: float) -> None:
        """Until it is set, or the time is up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()


class LocalNotifier:
    """Wakes within one process, which is all there is on SQLite, and a part of what others do."""

    def __init__(self) -> None:
        self._wakes: defaultdict[int, WeakSet[Wake]] = defaultdict(WeakSet)  # who listens no more is forgotten

    def wake(self, network_id: int) -> None:
        for wake in list(self._wakes[network_id]):
            wake.set()

    def wake_from_elsewhere(self, network_id: int) -> None:
        """Say that another process has moved the network's log."""
        for wake in list(self._wakes[network_id]):
            wake.set(elsewhere=True)

    def listen(self, network_id: int) -> Wake:
        wake = Wake()
        self._wakes[network_id].add(wake)
        return wake


@asynccontextmanager
async def hearing_and_telling(hear: Coroutine[Any, Any, None], tell: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run what hears other processes and what tells them until the end of the block."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(hear, name="wakes-heard"), tasks.create_task(tell, name="wakes-told")]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
