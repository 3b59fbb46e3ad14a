"""Lists that were read lately: after a capture one read does for all who poll.

A list is right for as long as a 304 would be: while its tag is the same, nothing that passes its filters has changed.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.models.position import Position

KEPT_BYTES = 8 * 1024 * 1024
"""Of lists that are kept for whoever asks the same."""

KEPT_LISTS = 1_000
"""And how many: those of other tags are of no more use."""


@dataclass(frozen=True, slots=True)
class ListedSkills:
    """Skills as JSON, with commas in between, and where in the log they were read."""

    skills: bytes
    next_cursor: str | None
    position: Position


class RecentLists:
    """Lists by their question and tag. Those go first that nobody has asked for the longest."""

    def __init__(self, *, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._bytes = 0
        self._lists: OrderedDict[Hashable, ListedSkills] = OrderedDict()
        self._reads: dict[Hashable, asyncio.Task[ListedSkills]] = {}

    async def get(self, key: Hashable, read: Callable[[], Coroutine[Any, Any, ListedSkills]]) -> ListedSkills:
        """What `read` finds, or has found for another one who asked the same. Raises what it raises."""
        kept = self._lists.get(key)
        if kept is not None:
            self._lists.move_to_end(key)
            return kept
        reading = self._reads.get(key)
        if reading is None:
            reading = self._reads[key] = asyncio.create_task(read())
            reading.add_done_callback(partial(self._keep, key))
        return await asyncio.shield(reading)  # who hangs up must not take the list from the others

    def _keep(self, key: Hashable, reading: asyncio.Task[ListedSkills]) -> None:
        del self._reads[key]
        if reading.cancelled() or reading.exception() is not None:
            return
        self._lists[key] = reading.result()
        self._bytes += len(reading.result().skills)
        while self._bytes > self._kept_bytes or len(self._lists) > KEPT_LISTS:
            self._bytes -= len(self._lists.popitem(last=False)[1].skills)
