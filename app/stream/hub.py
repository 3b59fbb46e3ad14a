"""The hub: follows a network's log, and moves everybody who subscribed along it.

One task follows the log into the ring and hands each live subscription its slice. What a subscriber has seen is its
cursor, and nothing else: whatever is lost, late or doubled on the way of a wake, the next look at the ring puts right.
Who is here is known to `streams`, how a cursor moves to `mover`, who has been silent or stuck for long to `upkeep`.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

import structlog

from app.errors import CINError, PositionUnavailable
from app.eventlog.bounds import Bounds
from app.eventlog.events import EventsTrimmed, Page
from app.eventlog.log import EventLog
from app.eventlog.milestones import Milestones
from app.eventlog.network import Network
from app.metrics import Metrics
from app.models.position import Position
from app.skills.filters import EventFilter
from app.stream.frames import Wire, to_frame
from app.stream.mover import Mover
from app.stream.pages import Pages
from app.stream.ring import Ring
from app.stream.start import Asked, Reason, Start, position_unavailable, resolve
from app.stream.streams import Streams
from app.stream.subscription import Connection, Subscription
from app.stream.turns import Turns
from app.stream.upkeep import Upkeep

log = structlog.get_logger(__name__)

STREAMS_AT_ONCE = 100
"""Streams served before others may use the event loop: 2 ms, most of it in the system's `write`."""

OPENINGS_AT_ONCE = 1
"""Streams opened in one turn of the event loop, a millisecond each: a capture beside them takes a dozen turns."""

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
        self.openings = Turns(OPENINGS_AT_ONCE)
        """Whoever opens a stream waits here for its turn."""
        self._log = event_log
        self._metrics = metrics
        self._ring_events = limits.ring_events
        self._ring = Ring(epoch=network.epoch, max_events=limits.ring_events, max_bytes=limits.ring_bytes, head=0)
        self._pages = Pages(network, event_log, metrics)
        self._streams = Streams(limits.max_streams, limits.max_age_seconds, metrics)
        self._mover = Mover(self._ring, self._pages, self._streams, metrics, heartbeat_seconds=limits.heartbeat_seconds)
        self._upkeep = Upkeep(
            self._ring,
            self._streams,
            self._mover,
            metrics,
            heartbeat_seconds=limits.heartbeat_seconds,
            stall_seconds=limits.stall_seconds,
            retry_milliseconds=limits.retry_milliseconds,
        )
        self._caught_up = asyncio.Event()
        self._milestones = Milestones()

    # What others may know

    @property
    def bounds(self) -> Bounds:
        """Where the log begins and ends, as far as this process has followed it."""
        return self._ring.bounds

    @property
    def is_ready(self) -> bool:
        """Whether the ring has caught up with the log, and new streams are taken."""
        return self._caught_up.is_set() and not self._streams.is_draining

    @property
    def streams(self) -> int:
        """Streams open on this process."""
        return len(self._streams)

    @property
    def connected(self) -> Counter[str]:
        """How many streams each agent has open on this process."""
        return self._streams.connected

    async def reached(self, offset: int, timeout_seconds: float) -> bool:
        """Wait until this process has followed the log to an offset; False if it takes too long."""
        return offset <= self._ring.head or await self._milestones.wait(offset, timeout_seconds)

    # Subscribing

    async def locate(self, asked: Asked) -> Start:
        """Where a stream that asks for this place starts. The database is asked only if the ring cannot tell."""
        offset = asked.offset if isinstance(asked, Position) else asked
        ring = self._ring
        if isinstance(offset, int) and offset < ring.start:
            trimmed = await self._pages.trimmed()
            ring.trimmed = max(ring.trimmed, trimmed)
        elif isinstance(offset, int) and offset > ring.head:
            bounds = await self._log.bounds(self.network.id)
            ring.trimmed = bounds.trimmed
            if offset <= bounds.head:
                await self.reached(offset, timeout_seconds=2)  # captured elsewhere, or a moment ago: the ring follows
        elif asked == "earliest":
            ring.trimmed = (await self._log.bounds(self.network.id)).trimmed
        return resolve(asked, self.bounds)

    def enter(self, connection: Connection, after: int, event_filter: EventFilter, agent: str | None) -> Subscription:
        """A stream's place in the hub, until it leaves. It moves from `begin` on.

        Raises `StreamLimitReached`, or `Unavailable` while draining.
        """
        return self._streams.enter(connection, after, event_filter, agent)

    def leave(self, stream: Subscription) -> None:
        """Forget the stream, if it is here still."""
        self._streams.leave(stream)

    def direct(self, stream: Subscription, after: int, event_filter: EventFilter, agent: str | None) -> None:
        """Say where a stream that has not begun starts, what it wants and who reads it, if that was not known before."""
        self._streams.direct(stream, after, event_filter, agent)

    def welcome(self, wire: Wire, start: Start, retry_milliseconds: int) -> bytes:
        """What every stream begins with: `hello`, and where it stands."""
        bounds = self.bounds
        live = start.after >= bounds.head
        position = None if start.reset else bounds.position(start.after)
        hello = wire.hello(self.network.name, bounds, position, live=live, retry_milliseconds=retry_milliseconds)
        if start.reset:
            return hello + self._mover.reset(wire, start.reset, start.after)
        # Without it, a client that is cut before its first event would resume from nowhere.
        return hello + wire.cursor(bounds.position(start.after))

    def begin(self, stream: Subscription) -> None:
        """Let the stream move: its first bytes are sent."""
        self._mover.begin(stream)

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
            tasks.create_task(self._upkeep.run())

    async def drain(self, window_seconds: float, retry_milliseconds: int) -> None:
        """End every stream in good order, spread over the window, so that not all come back at once."""
        await self._streams.drain(window_seconds, retry_milliseconds)

    async def _follow(self) -> None:
        while True:
            try:
                if not self._caught_up.is_set():
                    bounds = await self._log.bounds(self.network.id)
                    self._ring.restart(max(bounds.trimmed, bounds.head - self._ring_events))
                async for page in self._log.follow(self.network.id, self._ring.head):
                    self._take(page)
                    await asyncio.sleep(min(await self._fan_out(), REST_SECONDS))
            except CINError as error:
                log.warning("follow_failed", error=error.detail, next="the log is read again in a second")
                await asyncio.sleep(1)
            except EventsTrimmed as trimmed:
                # So far behind that the log has moved on: streams that miss something are told so when they catch up.
                log.warning("follow_overtaken", head=self._ring.head, trimmed=trimmed.bounds.trimmed)
                self._ring.restart(trimmed.bounds.trimmed)

    def _take(self, page: Page) -> None:
        for event in page.events:
            self._ring.append(to_frame(event, self.network.epoch))
        if page.bounds is not None:
            self._ring.trimmed = page.bounds.trimmed
            if self._ring.head >= page.bounds.head:
                self._caught_up.set()
        self._metrics.head.labels(self.network.name).set(self._ring.head)
        self._milestones.reach(self._ring.head)

    async def _fan_out(self) -> float:
        """Move all live streams to the head, a few at a time, so that others get their turn in between.

        Returns how long that took, in seconds, without the others' turns.
        """
        live = list(self._streams.live)
        spent = 0.0
        for start in range(0, len(live), STREAMS_AT_ONCE):
            present = time.monotonic()
            self._mover.serve(live[start : start + STREAMS_AT_ONCE], present)
            spent += time.monotonic() - present
            await asyncio.sleep(0)
        return spent
