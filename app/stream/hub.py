"""The hub: follows a network's log, and moves everybody who subscribed along it.

One task follows the log into the ring and hands each live subscription its slice. What a subscriber has seen is its
cursor, and nothing else: whatever is lost, late or doubled on the way of a wake, the next look at the ring puts right.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from app.errors import CINError, PositionUnavailable, StreamLimitReached, Unavailable
from app.eventlog.log import Bounds, EventLog, EventsTrimmed, Page
from app.eventlog.milestones import Milestones
from app.eventlog.network import Network
from app.metrics import Metrics
from app.models.position import Position
from app.skills.filters import EventFilter
from app.stream.frames import Wire, to_frame
from app.stream.pages import Pages
from app.stream.ring import Ring, Slice, slices
from app.stream.start import Asked, Reason, Start, position_unavailable, resolve
from app.stream.subscription import Connection, Subscription, Suspended
from app.stream.turns import Turns

log = structlog.get_logger(__name__)

STREAMS_AT_ONCE = 100
"""Streams served before others may use the event loop: 2 ms, most of it in the system's `write`."""

OPENINGS_AT_ONCE = 1
"""Streams opened in one turn of the event loop, a millisecond each: a capture beside them takes a dozen turns."""

CATCH_UPS_AT_ONCE = 4
"""Slices of up to 64 KiB that streams which are behind are sent in one turn of the event loop."""

_EVERYTHING = EventFilter()
"""One for all who want everything; each of its own takes half a kilobyte."""

AGE_JITTER = 0.2
"""How much sooner or later than at its greatest age a stream is ended, so that those which began together do not."""

REST_SECONDS = 0.01
"""How long the hub rests at most after all streams were served, and as long as that took: what is captured meanwhile goes
out in one write. Nothing waits that comes after a rest, so a single event is never held up."""


@dataclass(frozen=True, slots=True)
class HubLimits:
    """What a hub may use, and how long it waits for readers."""

    ring_events: int
    ring_bytes: int
    max_streams: int
    heartbeat_seconds: float
    stall_seconds: float
    max_age_seconds: float = 0
    """After about so long a stream is ended in good order, and its client comes back; 0 for never."""
    retry_milliseconds: int = 2_000
    """When those clients come back."""


class Hub:
    """All streams of one network on this process."""

    def __init__(self, network: Network, event_log: EventLog, limits: HubLimits, metrics: Metrics) -> None:
        self.network = network
        self._log = event_log
        self._limits = limits
        self._metrics = metrics
        self._ring = self._new_ring(0)
        self._trimmed = 0
        self._caught_up = asyncio.Event()
        self._draining = False
        self._streams: dict[Subscription, None] = {}
        self.connected: Counter[str] = Counter()
        """How many streams each agent has open on this process."""
        self._live: dict[Subscription, None] = {}
        self._milestones = Milestones()
        self._pages = Pages(network, event_log, metrics)
        self._catch_ups = Turns(CATCH_UPS_AT_ONCE)
        self.openings = Turns(OPENINGS_AT_ONCE)
        """Whoever opens a stream waits here for its turn."""
        self._beats: dict[Wire, Slice] = {}
        self._goodbyes: set[asyncio.Task[None]] = set()

    # What others may know

    @property
    def bounds(self) -> Bounds:
        """Where the log begins and ends, as far as this process has followed it."""
        return Bounds(self.network.epoch, self._ring.head, self._trimmed)

    @property
    def is_ready(self) -> bool:
        """Whether the ring has caught up with the log, and new streams are taken."""
        return self._caught_up.is_set() and not self._draining

    @property
    def streams(self) -> int:
        """Streams open on this process."""
        return len(self._streams)

    async def reached(self, offset: int, timeout_seconds: float) -> bool:
        """Wait until this process has followed the log to an offset; False if it takes too long."""
        return offset <= self._ring.head or await self._milestones.wait(offset, timeout_seconds)

    # Subscribing

    async def locate(self, asked: Asked) -> Start:
        """Where a stream that asks for this place starts. The database is asked only if the ring cannot tell."""
        offset = asked.offset if isinstance(asked, Position) else asked
        if isinstance(offset, int) and offset < self._ring.start:
            self._trimmed = max(self._trimmed, await self._pages.trimmed())
        elif isinstance(offset, int) and offset > self._ring.head:
            bounds = await self._log.bounds(self.network.id)
            self._trimmed = bounds.trimmed
            if offset <= bounds.head:
                await self.reached(offset, timeout_seconds=2)  # captured elsewhere, or a moment ago: the ring follows
        elif asked == "earliest":
            self._trimmed = (await self._log.bounds(self.network.id)).trimmed
        return resolve(asked, self.bounds)

    @contextmanager
    def subscribe(
        self, connection: Connection, after: int, event_filter: EventFilter, agent: str | None
    ) -> Iterator[Subscription]:
        """As `enter`, and `leave` at the end of the block."""
        stream = self.enter(connection, after, event_filter, agent)
        try:
            yield stream
        finally:
            self.leave(stream)

    def enter(self, connection: Connection, after: int, event_filter: EventFilter, agent: str | None) -> Subscription:
        """A stream's place in the hub, until it leaves. It moves from `begin` on.

        Raises `StreamLimitReached`, or `Unavailable` while draining. This is the one place that limits streams.
        """
        if self._draining:
            self._metrics.streams_refused.labels("draining").inc()
            raise Unavailable("The server is stopping. Connect again in a moment.")
        if len(self._streams) >= self._limits.max_streams:
            self._metrics.streams_refused.labels("limit").inc()
            raise StreamLimitReached(
                f"All {self._limits.max_streams} streams of this process are taken. Try again, or raise CIN_MAX_STREAMS."
            )
        stream = Subscription(connection, after, event_filter or _EVERYTHING, agent)
        self._streams[stream] = None
        self._connect(agent)
        self._metrics.streams.set(len(self._streams))
        if self._limits.max_age_seconds:
            age = self._limits.max_age_seconds * random.uniform(1 - AGE_JITTER, 1 + AGE_JITTER)  # noqa: S311
            stream.ends_at = time.monotonic() + age
        return stream

    def leave(self, stream: Subscription) -> None:
        """Forget the stream, if it is here still."""
        self._remove(stream)

    def direct(self, stream: Subscription, after: int, event_filter: EventFilter, agent: str | None) -> None:
        """Say where a stream that has not begun starts, what it wants and who reads it, if that was not known before."""
        if stream in self._streams:
            self._disconnect(stream.agent)
            self._connect(agent)
        stream.cursor, stream.event_filter, stream.agent = after, event_filter or _EVERYTHING, agent

    def welcome(self, wire: Wire, start: Start, retry_milliseconds: int) -> bytes:
        """What every stream begins with: `hello`, and where it stands."""
        bounds = self.bounds
        live = start.after >= bounds.head
        position = None if start.reset else bounds.position(start.after)
        hello = wire.hello(self.network.name, bounds, position, live=live, retry_milliseconds=retry_milliseconds)
        if start.reset:
            return hello + self._reset(wire, start.reset, start.after)
        # Without it, a client that is cut before its first event would resume from nowhere.
        return hello + wire.cursor(bounds.position(start.after))

    def begin(self, stream: Subscription) -> None:
        """Let the stream move: its first bytes are sent."""
        if stream not in self._streams:
            return  # drained meanwhile
        self._live[stream] = None
        self._metrics.deliveries.inc(self._advance(stream, time.monotonic()))

    def unavailable(self, reason: Reason) -> PositionUnavailable:
        """The error that says why a position cannot be served."""
        return position_unavailable(reason, self.bounds)

    # Running

    async def ready(self) -> None:
        """Wait until the ring has caught up with the log once."""
        await self._caught_up.wait()

    async def run(self) -> None:
        """Follow the log and serve the streams, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._look_after())

    async def drain(self, window_seconds: float, retry_milliseconds: int) -> None:
        """End every stream in good order, spread over the window, so that not all come back at once."""
        self._draining = True
        ending = list(self._streams)
        pause = window_seconds / len(ending) if ending else 0
        goodbyes = []
        for stream in ending:
            goodbyes.append(asyncio.create_task(self._end(stream, retry_milliseconds)))
            await asyncio.sleep(pause)
        await asyncio.gather(*goodbyes)
        log.info("streams_drained", streams=len(ending))

    async def _follow(self) -> None:
        while True:
            try:
                if not self._caught_up.is_set():
                    bounds = await self._log.bounds(self.network.id)
                    self._ring = self._new_ring(max(bounds.trimmed, bounds.head - self._limits.ring_events))
                async for page in self._log.follow(self.network.id, self._ring.head):
                    self._take(page)
                    await asyncio.sleep(min(await self._fan_out(), REST_SECONDS))
            except CINError as error:
                log.warning("follow_failed", error=error.detail, next="the log is read again in a second")
                await asyncio.sleep(1)
            except EventsTrimmed as trimmed:
                # So far behind that the log has moved on: streams that miss something are told so when they catch up.
                log.warning("follow_overtaken", head=self._ring.head, trimmed=trimmed.bounds.trimmed)
                self._ring = self._new_ring(trimmed.bounds.trimmed)

    def _new_ring(self, after: int) -> Ring:
        return Ring(max_events=self._limits.ring_events, max_bytes=self._limits.ring_bytes, head=after)

    def _take(self, page: Page) -> None:
        for event in page.events:
            self._ring.append(to_frame(event, self.network.epoch))
        if page.bounds is not None:
            self._trimmed = page.bounds.trimmed
            if self._ring.head >= page.bounds.head:
                self._caught_up.set()
        self._metrics.head.labels(self.network.name).set(self._ring.head)
        self._milestones.reach(self._ring.head)

    async def _fan_out(self) -> float:
        """Move all live streams to the head, a few at a time, so that others get their turn in between.

        Returns how long that took, in seconds, without the others' turns.
        """
        live = list(self._live)
        spent = 0.0
        for start in range(0, len(live), STREAMS_AT_ONCE):
            present = time.monotonic()
            self._metrics.deliveries.inc(self._serve(live[start : start + STREAMS_AT_ONCE], present))
            spent += time.monotonic() - present
            await asyncio.sleep(0)
        return spent

    def _serve(self, streams: list[Subscription], present: float) -> int:
        """Move those of the streams that are live still to the head; returns how many events they took.

        Nearly all are at the same place, want everything and take it at once. That is done here, where every call for each
        is felt (docs/decisions/0025); `_advance` does the rest.
        """
        ring = self._ring
        delivered = 0
        shared: Slice | None = None
        shared_after, shared_on = -1, None
        for stream in streams:
            if stream not in self._live or stream.cursor >= ring.head:
                continue
            if stream.event_filter is _EVERYTHING:
                if stream.cursor != shared_after or stream.wire is not shared_on:
                    shared_after, shared_on = stream.cursor, stream.wire
                    shared = ring.after(shared_after, _EVERYTHING, shared_on)
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
        return delivered

    # Moving one stream

    def _reset(self, wire: Wire, reason: Reason, after: int) -> bytes:
        """Says so on a stream which goes on after an offset: its head, wherever the log's is by now."""
        self._metrics.resets.labels(reason).inc()
        return wire.reset(reason, Bounds(self.network.epoch, after, self._trimmed))

    def _advance(self, stream: Subscription, present: float) -> int:
        """Move a live stream to the head, or let it fall behind; returns how many events it took."""
        delivered = 0
        while stream.cursor < self._ring.head:
            piece = self._ring.after(stream.cursor, stream.event_filter, stream.wire)
            if piece is None:
                self._fall_behind(stream)
                break
            if piece.data and not self._push(stream, piece, present):
                break
            stream.cursor = piece.end
            delivered += piece.events
        return delivered

    def _push(self, stream: Subscription, piece: Slice, present: float) -> bool:
        """Hand a live stream its slice; False if it did not take it at once, and is live no longer."""
        try:
            suspended = stream.push(piece.data, present)
        except Exception:
            self._fail(stream)
            return False
        if suspended is not None:
            self._fall_behind(stream, suspended, piece)
            return False
        return True

    def _fail(self, stream: Subscription) -> None:
        log.exception("send_failed", next="the stream is cut, and its client resumes")
        self._cut(stream)

    def _fall_behind(
        self, stream: Subscription, suspended: Suspended | None = None, piece: Slice | None = None
    ) -> None:
        self._live.pop(stream, None)
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
            self._live[stream] = None
        except Exception:
            log.exception("catch_up_failed", next="the stream is cut, and its client resumes")
            self._cut(stream)

    async def _catch_up_page(self, stream: Subscription) -> None:
        for piece in await self._pieces(stream):
            if piece.data:
                await stream.send(piece.data)
                self._metrics.deliveries.inc(piece.events)
            elif time.monotonic() - stream.sent_at > self._limits.heartbeat_seconds:
                # A long way with nothing that matches.
                await stream.send(stream.wire.cursor(self.bounds.position(piece.end)))
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
            self._trimmed = trimmed.bounds.trimmed
            return iter([Slice(self._reset(stream.wire, "expired", self._ring.head), self._ring.head, 0)])
        return slices(page.after(stream.cursor), stream.cursor, page.end, stream.event_filter, stream.wire)

    # Looking after streams

    async def _look_after(self) -> None:
        interval = min(1.0, self._limits.heartbeat_seconds / 4, self._limits.stall_seconds / 4)
        while True:
            await self._go_round(interval)

    async def _go_round(self, seconds: float) -> None:
        """Look at every stream once in so many seconds, a few at a time, so that heartbeats do not come all at once."""
        streams = list(self._streams)
        pause = seconds * STREAMS_AT_ONCE / max(STREAMS_AT_ONCE, len(streams))
        behind = lag = 0
        for start in range(0, len(streams) or 1, STREAMS_AT_ONCE):
            await asyncio.sleep(pause)
            present = time.monotonic()
            silent_since = present - self._limits.heartbeat_seconds
            for stream in streams[start : start + STREAMS_AT_ONCE]:
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
            self._cut(stream)

    def _send_sign_of_life(self, stream: Subscription, present: float) -> None:
        """Send a silent stream the head, or end it if it has come of age."""
        if stream not in self._live or stream.cursor != self._ring.head:
            return  # the fan-out has still to serve it: a head sent ahead of its events would skip them on a resume
        if stream.ends_at <= present:
            self._say_goodbye(stream)
            return
        beat = self._beats.get(stream.wire)
        if beat is None or beat.end != self._ring.head:
            head = self.bounds.position(self._ring.head)
            beat = self._beats[stream.wire] = Slice(stream.wire.cursor(head), head.offset, 0)
        if self._push(stream, beat, present):
            self._metrics.heartbeats.inc()

    def _evict_if_stalled(self, stream: Subscription, present: float) -> None:
        if stream in self._streams and stream.has_stalled(present, self._limits.stall_seconds):
            self._metrics.evictions.inc()
            log.info("stream_evicted", agent=stream.agent, cursor=stream.cursor, lag=self._ring.head - stream.cursor)
            self._cut(stream)

    def _say_goodbye(self, stream: Subscription) -> None:
        """End a stream that has come of age; its client goes on where it was, perhaps on another process."""
        self._metrics.streams_aged.inc()
        ending = asyncio.create_task(self._end(stream, self._limits.retry_milliseconds))
        self._goodbyes.add(ending)
        ending.add_done_callback(self._said_goodbye)

    def _said_goodbye(self, ending: asyncio.Task[None]) -> None:
        self._goodbyes.discard(ending)
        if not ending.cancelled() and (error := ending.exception()) is not None:
            log.warning("goodbye_failed", error=str(error), next="the client comes back by itself")

    async def _end(self, stream: Subscription, retry_milliseconds: int) -> None:
        if stream not in self._streams:
            return  # it has gone, or is ended already: a drain may meet one that came of age
        self._remove(stream)
        try:
            async with asyncio.timeout(1):
                await stream.connection.send(stream.wire.retry(retry_milliseconds))
                await stream.connection.finish()
        except TimeoutError:
            stream.connection.abort()

    def _cut(self, stream: Subscription) -> None:
        self._remove(stream)
        stream.connection.abort()

    def _remove(self, stream: Subscription) -> None:
        if stream in self._streams:
            del self._streams[stream]
            self._disconnect(stream.agent)
        self._live.pop(stream, None)
        if stream.task is not None and stream.task is not asyncio.current_task():
            stream.task.cancel()
        self._metrics.streams.set(len(self._streams))

    def _connect(self, agent: str | None) -> None:
        if agent is not None:
            self.connected[agent] += 1

    def _disconnect(self, agent: str | None) -> None:
        if agent is not None:
            self.connected[agent] -= 1
            if not self.connected[agent]:
                del self.connected[agent]
