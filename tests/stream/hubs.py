"""A hub on a real log, and connections that behave as a test wants them to."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from app.eventlog.events import LoggedEvent
from app.eventlog.log import EventLog
from app.eventlog.network import EVENT, NETWORK, Network, open_network
from app.eventlog.notifier import LocalNotifier, Notifier
from app.metrics import Metrics
from app.models import EventType
from app.skills.filters import EventFilter
from app.storage.database import Database, Transaction
from app.storage.sqlite import open_sqlite
from app.stream.frames import Wire
from app.stream.hub import Hub, HubLimits
from app.stream.subscription import Subscription
from app.stream.wire_sse import SSE
from tests.factories import make_event
from tests.inside import database_in
from tests.streams import Block, parse


class Reader:
    """The other end of a stream. It takes what it is sent, until it is told to stop taking."""

    wire: Wire = SSE

    def __init__(self) -> None:
        self.received = b""
        self.finished = False
        self.aborted = False
        self.held = 0
        self.most_held = 0
        self._taking = asyncio.Event()
        self._taking.set()

    def stop_taking(self) -> None:
        self._taking.clear()

    def go_on(self) -> None:
        self._taking.set()

    @property
    def blocks(self) -> list[Block]:
        return parse(self.wire, self.received)

    @property
    def offsets(self) -> list[int]:
        """The events that came, by offset."""
        return [block.offset for block in self.blocks if (block.event or "").startswith("skill.")]

    # What the hub knows it by

    def write_now(self, data: bytes) -> bool:
        return False

    async def send(self, data: bytes) -> None:
        self.held += len(data)
        self.most_held = max(self.most_held, self.held)
        await self._taking.wait()
        self.held -= len(data)
        self.received += data

    async def finish(self) -> None:
        await self._taking.wait()
        self.finished = True

    def abort(self) -> None:
        self.aborted = True

    def is_gone(self) -> bool:
        return False

    def unsent(self) -> int:
        return self.held


class DirectReader(Reader):
    """A reader whose transport takes bytes without a coroutine, as long as it holds none."""

    def write_now(self, data: bytes) -> bool:
        if self.held or not self._taking.is_set():
            return False
        self.received += data
        return True


class BrokenReader(Reader):
    """A reader whose connection is gone, and says so."""

    async def send(self, data: bytes) -> None:
        raise ConnectionResetError("the connection is gone")


class BrokenDirectReader(DirectReader):
    """A reader whose transport finds out that the connection is gone when it is written to."""

    def write_now(self, data: bytes) -> bool:
        raise ConnectionResetError("the connection is gone")


class CostlyReader(DirectReader):
    """A reader that it takes so many seconds to write to. It counts the writes."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.writes = 0
        self._seconds = seconds

    def write_now(self, data: bytes) -> bool:
        self.writes += 1
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            pass
        return super().write_now(data)


class Streaming:
    """A hub that follows a log, what is appended to it, and who listens."""

    def __init__(self, database: Database, network: Network, notifier: Notifier, poll_seconds: float, hub: Hub) -> None:
        self.database = database
        self.network = network
        self.hub = hub
        self.metrics = hub._metrics
        self._writing = EventLog(database, notifier, poll_seconds=poll_seconds)
        self._open = ExitStack()

    async def append(
        self,
        number: int = 1,
        *,
        type: EventType = "skill.captured",
        tags: Iterable[str] = (),
        data: str = "{}",
        trim: int = 0,
    ) -> None:
        """Append so many events in one transaction, which may trim the log too."""
        make: list[Callable[[int], LoggedEvent]] = [
            partial(make_event, type=type, tags=frozenset(tags), data=data)
        ] * number

        def work(tx: Transaction) -> None:
            self._writing.append(tx, self.network.id, make)
            if trim:
                tx.connection.execute(sa.delete(EVENT).where(EVENT.c.offset <= trim))
                tx.connection.execute(sa.update(NETWORK).values(trimmed=trim))

        await self.database.write(work)

    async def append_and_follow(self, number: int = 1, *, tags: Iterable[str] = (), data: str = "{}") -> None:
        """Append, and wait until the hub has it."""
        head = self.hub.bounds.head
        await self.append(number, tags=tags, data=data)
        assert await self.hub.reached(head + number, 10)

    def connect(
        self, reader: Reader, after: int | None = None, wanted: EventFilter | None = None, agent: str | None = None
    ) -> Subscription:
        """A stream that has begun. It stays until the test is over, or the hub ends it."""
        start = self.hub.bounds.head if after is None else after
        stream = self.hub.enter(reader, start, wanted or EventFilter(), agent)
        self._open.callback(self.hub.leave, stream)
        self.hub.begin(stream)
        return stream

    def measured(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0

    def close(self) -> None:
        self._open.close()


@asynccontextmanager
async def streaming(
    folder: Path,
    *,
    notifier: Notifier | None = None,
    poll_seconds: float = 60,
    ring_events: int = 1_000,
    ring_bytes: int = 10_000_000,
    max_streams: int = 10_000,
    heartbeat_seconds: float = 60,
    stall_seconds: float = 60,
    max_age_seconds: float = 0,
) -> AsyncIterator[Streaming]:
    """A hub that runs, on a log of its own."""
    limits = HubLimits(ring_events, ring_bytes, max_streams, heartbeat_seconds, stall_seconds, max_age_seconds)
    async with open_sqlite(database_in(folder)) as database:
        network = await open_network(database)
        wakes = notifier or LocalNotifier()
        hub = Hub(network, EventLog(database, wakes, poll_seconds=poll_seconds), limits, Metrics())
        running = asyncio.create_task(hub.run())
        await hub.ready()
        here = Streaming(database, network, wakes, poll_seconds, hub)
        try:
            yield here
        finally:
            here.close()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
