"""The upkeep of streams: signs of life for the silent, an end for those of age, and for readers that take nothing.

One task goes round all streams, however many they are.
"""

import asyncio
import time

import structlog

from app.metrics import Metrics
from app.stream.frames import Wire
from app.stream.mover import Mover
from app.stream.ring import Ring, Slice
from app.stream.streams import Streams
from app.stream.subscription import Subscription

log = structlog.get_logger(__name__)

_LOOKED_AT_ONCE = 100
"""Streams looked at before others may use the event loop."""


class Upkeep:
    """Goes round the streams of one network."""

    def __init__(
        self,
        ring: Ring,
        streams: Streams,
        mover: Mover,
        metrics: Metrics,
        *,
        heartbeat_seconds: float,
        stall_seconds: float,
        retry_milliseconds: int,
    ) -> None:
        self._ring = ring
        self._streams = streams
        self._mover = mover
        self._metrics = metrics
        self._heartbeat_seconds = heartbeat_seconds
        self._stall_seconds = stall_seconds
        self._retry_milliseconds = retry_milliseconds
        self._beats: dict[Wire, Slice] = {}
        self._goodbyes: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Go round until cancelled."""
        interval = min(1.0, self._heartbeat_seconds / 4, self._stall_seconds / 4)
        while True:
            await self._go_round(interval)

    async def _go_round(self, seconds: float) -> None:
        """Look at every stream once in so many seconds, a few at a time, so that heartbeats do not come all at once."""
        streams = list(self._streams)
        pause = seconds * _LOOKED_AT_ONCE / max(_LOOKED_AT_ONCE, len(streams))
        behind = lag = 0
        for start in range(0, len(streams) or 1, _LOOKED_AT_ONCE):
            await asyncio.sleep(pause)
            present = time.monotonic()
            silent_since = present - self._heartbeat_seconds
            for stream in streams[start : start + _LOOKED_AT_ONCE]:
                if stream.connection.is_gone():
                    # uvicorn tells only the newest request of a connection, which is not the stream if another was sent
                    # behind it.
                    self._cut_if_here(stream)
                elif stream.is_waiting:
                    if stream.task is not None:
                        behind += 1
                        lag = max(lag, self._ring.head - stream.cursor)
                    self._evict_if_stalled(stream, present)
                elif stream.sent_at <= silent_since or stream.ends_at <= present:
                    self._send_sign_of_life(stream, present)
        self._metrics.streams_behind.set(behind)
        self._metrics.stream_lag.set(lag)

    def _cut_if_here(self, stream: Subscription) -> None:
        if stream in self._streams:
            self._streams.cut(stream)

    def _send_sign_of_life(self, stream: Subscription, present: float) -> None:
        """Send a silent stream the head, or end it if it has come of age."""
        if stream not in self._streams.live or stream.cursor != self._ring.head:
            return  # the fan-out has still to serve it: a head sent ahead of its events would skip them on a resume
        if stream.ends_at <= present:
            self._say_goodbye(stream)
            return
        beat = self._beats.get(stream.wire)
        if beat is None or beat.end != self._ring.head:
            head = self._ring.bounds.position(self._ring.head)
            beat = self._beats[stream.wire] = Slice(stream.wire.cursor(head), head.offset, 0)
        if self._mover.push(stream, beat, present):
            self._metrics.heartbeats.inc()

    def _evict_if_stalled(self, stream: Subscription, present: float) -> None:
        if stream in self._streams and stream.has_stalled(present, self._stall_seconds):
            self._metrics.evictions.inc()
            log.info("stream_evicted", agent=stream.agent, cursor=stream.cursor, lag=self._ring.head - stream.cursor)
            self._streams.cut(stream)

    def _say_goodbye(self, stream: Subscription) -> None:
        """End a stream that has come of age; its client goes on where it was, perhaps on another process."""
        self._metrics.streams_aged.inc()
        ending = asyncio.create_task(self._streams.end(stream, self._retry_milliseconds))
        self._goodbyes.add(ending)
        ending.add_done_callback(self._said_goodbye)

    def _said_goodbye(self, ending: asyncio.Task[None]) -> None:
        self._goodbyes.discard(ending)
        if not ending.cancelled() and (error := ending.exception()) is not None:
            log.warning("goodbye_failed", error=str(error), next="the client comes back by itself")
