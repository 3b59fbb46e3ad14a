"""The mover: takes streams along the ring, all at once those that keep up, one at a time those that are behind."""

import asyncio
import time
from collections.abc import Iterator, Sequence

import structlog

from app.eventlog.bounds import Bounds
from app.eventlog.events import EventsTrimmed
from app.metrics import Metrics
from app.stream.frames import Wire
from app.stream.pages import Pages
from app.stream.ring import Ring, Slice, slices
from app.stream.start import Reason
from app.stream.streams import EVERYTHING, Streams
from app.stream.subscription import Subscription, Suspended
from app.stream.turns import Turns

log = structlog.get_logger(__name__)

CATCH_UPS_AT_ONCE = 4
"""Slices of up to 64 KiB that streams which are behind are sent in one turn of the event loop."""


class Mover:
    """Moves the cursors of streams: of live ones when it is told to, of others in a task of their own."""

    def __init__(
        self, ring: Ring, pages: Pages, streams: Streams, metrics: Metrics, *, heartbeat_seconds: float
    ) -> None:
        self._ring = ring
        self._pages = pages
        self._streams = streams
        self._metrics = metrics
        self._heartbeat_seconds = heartbeat_seconds
        self._catch_ups = Turns(CATCH_UPS_AT_ONCE)

    def begin(self, stream: Subscription) -> None:
        """Let a stream move: its first bytes are sent."""
        if stream not in self._streams:
            return  # drained meanwhile
        self._streams.live[stream] = None
        self._metrics.deliveries.inc(self._advance(stream, time.monotonic()))

    def serve(self, streams: Sequence[Subscription], present: float) -> None:
        """Move those of the streams that are live still to the head.

        Nearly all are at the same place, want everything and take it at once. That is done here, where every call for each
        is felt (docs/decisions/0025); `_advance` does the rest.
        """
        ring, live = self._ring, self._streams.live
        delivered = 0
        shared: Slice | None = None
        shared_after, shared_on = -1, None
        for stream in streams:
            if stream not in live or stream.cursor >= ring.head:
                continue
            if stream.event_filter is EVERYTHING:
                if stream.cursor != shared_after or stream.wire is not shared_on:
                    shared_after, shared_on = stream.cursor, stream.wire
                    shared = ring.after(shared_after, EVERYTHING, shared_on)
                try:
                    if shared is not None and stream.connection.write_now(shared.data):
                        stream.sent_at = stream.moved_at = present
                        stream.cursor = shared.end
                        delivered += shared.events
                except Exception:
                    self._fail(stream)
                    continue
            if stream.cursor < ring.head:
                delivered += self._advance(stream, present)
        self._metrics.deliveries.inc(delivered)

    def push(self, stream: Subscription, piece: Slice, present: float) -> bool:
        """Hand a live stream bytes; False if it did not take them at once, and is live no longer."""
        try:
            suspended = stream.push(piece.data, present)
        except Exception:
            self._fail(stream)
            return False
        if suspended is not None:
            self._fall_behind(stream, suspended, piece)
            return False
        return True

    def reset(self, wire: Wire, reason: Reason, after: int) -> bytes:
        """What tells a stream that it goes on after an offset: its head, wherever the log's is by now."""
        self._metrics.resets.labels(reason).inc()
        return wire.reset(reason, Bounds(self._ring.epoch, after, self._ring.trimmed))

    def _advance(self, stream: Subscription, present: float) -> int:
        """Move a live stream to the head, or let it fall behind; returns how many events it took."""
        delivered = 0
        while stream.cursor < self._ring.head:
            piece = self._ring.after(stream.cursor, stream.event_filter, stream.wire)
            if piece is None:
                self._fall_behind(stream)
                break
            if piece.data and not self.push(stream, piece, present):
                break
            stream.cursor = piece.end
            delivered += piece.events
        return delivered

    def _fail(self, stream: Subscription) -> None:
        log.exception("send_failed", next="the stream is cut, and its client resumes")
        self._streams.cut(stream)

    def _fall_behind(
        self, stream: Subscription, suspended: Suspended | None = None, piece: Slice | None = None
    ) -> None:
        self._streams.live.pop(stream, None)
        stream.task = asyncio.create_task(self._catch_up(stream, suspended, piece))

    async def _catch_up(self, stream: Subscription, suspended: Suspended | None, piece: Slice | None) -> None:
        """Move a stream at its reader's pace until it is at the head, and live again."""
        try:
            if suspended is not None and piece is not None:
                await suspended
                stream.cursor = piece.end
                self._metrics.deliveries.inc(piece.events)
            await self._catch_ups.take()
            while stream.cursor < self._ring.head:
                await self._catch_up_page(stream)
            # No await since the look at the head, so nothing can have been appended in between.
            stream.task = None
            self._streams.live[stream] = None
        except Exception:
            log.exception("catch_up_failed", next="the stream is cut, and its client resumes")
            self._streams.cut(stream)

    async def _catch_up_page(self, stream: Subscription) -> None:
        for piece in await self._pieces(stream):
            if piece.data:
                await stream.send(piece.data)
                self._metrics.deliveries.inc(piece.events)
            elif time.monotonic() - stream.sent_at > self._heartbeat_seconds:
                # A long way with nothing that matches.
                await stream.send(stream.wire.cursor(self._ring.bounds.position(piece.end)))
            stream.cursor = piece.end
            await self._catch_ups.take()  # before the next piece is made, so that those who wait hold nothing

    async def _pieces(self, stream: Subscription) -> Iterator[Slice]:
        """The next slices for a stream that is behind: from the ring if it goes back so far, else from the log."""
        ready = self._ring.after(stream.cursor, stream.event_filter, stream.wire)
        if ready is not None:
            return iter([ready])
        try:
            page = await self._pages.after(stream.cursor, stream.event_filter.types)
        except EventsTrimmed as trimmed:
            self._ring.trimmed = trimmed.bounds.trimmed
            return iter([Slice(self.reset(stream.wire, "expired", self._ring.head), self._ring.head, 0)])
        return slices(page.after(stream.cursor), stream.cursor, page.end, stream.event_filter, stream.wire)
