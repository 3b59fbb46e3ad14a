"""Pages: what streams that are behind the ring read of the log, read and encoded once for all of them.

Many that were cut together come back to about the same place. They share a page if it covers where they are, and the read
of it while it is under way; so reads grow with how far back they go, and not with how many they are.
"""

import asyncio
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from operator import attrgetter

from app.eventlog.events import EventsTrimmed
from app.eventlog.log import EventLog
from app.eventlog.network import Network
from app.metrics import Metrics
from app.stream.frames import Frame, to_frame

KEPT_BYTES = 16 * 1024 * 1024
"""Frames that are kept for the next reader."""

KEPT_PAGES = 256
"""And how many, which are looked through."""

ALIGNED_EVENTS = 50
"""Pages begin at multiples of it, so that readers who are not quite at the same place ask for the same page."""

BOUNDS_SECONDS = 1.0
"""How old what is known of the log's beginning may be. A page that was trimmed meanwhile is noticed when it is read."""

Types = frozenset[str]


@dataclass(frozen=True, slots=True)
class FramePage:
    """The frames after an offset, up to `end`."""

    start: int
    end: int
    frames: list[Frame]
    bytes: int

    def covers(self, offset: int) -> bool:
        return self.start <= offset < self.end

    def after(self, offset: int) -> Iterator[Frame]:
        return islice(self.frames, bisect_right(self.frames, offset, key=attrgetter("offset")), None)


class Pages:
    """The pages of one log that were read lately, and those that are being read."""

    def __init__(
        self, network: Network, event_log: EventLog, metrics: Metrics, *, kept_bytes: int = KEPT_BYTES
    ) -> None:
        self._network = network
        self._log = event_log
        self._metrics = metrics
        self._kept_bytes = kept_bytes
        self._bytes = 0
        self._pages: OrderedDict[tuple[Types, int], FramePage] = OrderedDict()
        self._reads: dict[tuple[Types, int], asyncio.Task[FramePage]] = {}
        self._bounds: asyncio.Task[int] | None = None
        self._bounds_at = 0.0

    async def after(self, offset: int, types: Types = frozenset()) -> FramePage:
        """A page with what comes after an offset, perhaps with what comes before it too. Raises `EventsTrimmed`."""
        page = self._find(offset, types)
        if page is not None:
            return page
        start = self._start(offset, types)
        if start < offset:
            with suppress(EventsTrimmed):
                page = await self._read_once(start, types)
                if page.covers(offset):
                    return page
        # What comes before it is not kept any more, or so large that the page ended there.
        return await self._read_once(offset, types)

    async def trimmed(self) -> int:
        """The offset up to which events are no longer kept, as of a moment ago."""
        if self._bounds is None or (self._bounds.done() and self._bounds_are_old()):
            self._bounds = asyncio.create_task(self._read_trimmed())
        return await asyncio.shield(self._bounds)

    def _bounds_are_old(self) -> bool:
        return time.monotonic() - self._bounds_at > BOUNDS_SECONDS

    async def _read_trimmed(self) -> int:
        trimmed = (await self._log.bounds(self._network.id)).trimmed
        self._bounds_at = time.monotonic()
        return trimmed

    def _find(self, offset: int, types: Types) -> FramePage | None:
        for key in (key for key in reversed(self._pages) if key[0] == types):
            if self._pages[key].covers(offset):
                self._pages.move_to_end(key)
                return self._pages[key]
        return None

    def _start(self, offset: int, types: Types) -> int:
        """Where a page begins that others can use too: where another one ended, else a little before."""
        if any(key[0] == types and page.end == offset for key, page in self._pages.items()):
            return offset
        return offset - offset % ALIGNED_EVENTS

    async def _read_once(self, start: int, types: Types) -> FramePage:
        """Read a page, together with all who want the same one meanwhile."""
        key = types, start
        reading = self._reads.get(key)
        if reading is None:
            reading = self._reads[key] = asyncio.create_task(self._read(start, types))
            reading.add_done_callback(partial(self._forget, key))
        return await asyncio.shield(reading)  # one that is cut must not take the page from the others

    async def _read(self, start: int, types: Types) -> FramePage:
        self._metrics.log_reads.inc()
        read = await self._log.read(self._network.id, start, types=types)
        frames = [to_frame(event, self._network.epoch) for event in read.events]
        page = FramePage(start, read.end, frames, sum(frame.size for frame in frames))
        self._keep(page, types)
        return page

    def _forget(self, key: tuple[Types, int], reading: asyncio.Task[FramePage]) -> None:
        del self._reads[key]
        if not reading.cancelled():
            reading.exception()  # perhaps everybody who waited for it has gone

    def _keep(self, page: FramePage, types: Types) -> None:
        old = self._pages.pop((types, page.start), None)
        self._bytes += page.bytes - (old.bytes if old else 0)
        self._pages[types, page.start] = page
        while self._bytes > self._kept_bytes or len(self._pages) > KEPT_PAGES:
            self._bytes -= self._pages.popitem(last=False)[1].bytes
