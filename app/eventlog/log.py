"""The log: what happened in a network, in the order in which it was committed, with no hole.

Offsets come from the network's own row, in the transaction that appends, so they are gap-free and become visible in
order: whoever holds the row is the next to commit. A reader that sees offset 7 will never see a 6 that it has not seen.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import Connection

from app.errors import Unavailable
from app.eventlog.bounds import Bounds as Bounds
from app.eventlog.life import Life
from app.eventlog.network import EVENT, NETWORK, NetworkId
from app.eventlog.notifier import Notifier
from app.eventlog.promotion import Standing, columns, require_newest
from app.models import EventType
from app.storage.bulk import insert_rows
from app.storage.database import Database, Transaction

T = TypeVar("T")

PAGE_EVENTS = 500
"""Events read at once, at most; no read transaction is held between two pages."""

PAGE_BYTES = 256 * 1024
"""Where a page ends early. It is what a reader that stalls in the middle of one keeps in memory."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as the log keeps it. `data` is the JSON that subscribers get."""

    offset: int
    type: EventType
    at: str
    skill_id: str
    error_type: str | None
    tags: frozenset[str]
    data: str
    error_type_before: str | None = None

    @property
    def error_types(self) -> tuple[str | None, str | None]:
        """The one that the skill has, and the one that it had until a revision replaced it."""
        return self.error_type, self.error_type_before


@dataclass(frozen=True, slots=True)
class Page:
    """Events after some offset. The log was read up to `end`, whatever filter was applied.

    `bounds` are those of the log when it was read; None if it was not, because this process wrote the events itself.
    """

    events: Sequence[LoggedEvent]
    end: int
    bounds: Bounds | None


class EventsTrimmed(Exception):
    """Events that a reader asked for are no longer kept. Never crosses to a client: a stream answers with `reset`."""

    def __init__(self, bounds: Bounds) -> None:
        super().__init__(f"events up to {bounds.trimmed} are no longer kept")
        self.bounds = bounds


_READ = (
    sa.select(EVENT.c["offset", "type", "at", "skill_id", "error_type", "tags", "data", "error_type_before"])
    .where(EVENT.c.network_id == sa.bindparam("network_id"), EVENT.c.offset > sa.bindparam("after"))
    .order_by(EVENT.c.offset)
    .limit(sa.bindparam("limit"))
)
_READ_TYPES = _READ.where(EVENT.c.type.in_(sa.bindparam("types", expanding=True)))
_BOUNDS = sa.select(NETWORK.c["epoch", "head", "trimmed", "counts"]).where(NETWORK.c.id == sa.bindparam("network_id"))
_NEW = _READ.subquery("new")
_FOLLOW = _BOUNDS.add_columns(*_NEW.c).select_from(NETWORK.outerjoin(_NEW, sa.true())).order_by(_NEW.c.offset)
_BOUNDS_COLUMNS = 4
_RESERVE = {
    dialect: sa.update(NETWORK)
    .where(NETWORK.c.id == sa.bindparam("network"))
    .values(head=NETWORK.c.head + sa.bindparam("count"))
    .returning(NETWORK.c.head, *columns(dialect))
    for dialect in ("sqlite", "postgresql")
}


_COUNT = (
    sa.update(NETWORK)
    .where(NETWORK.c.id == sa.bindparam("network"))
    .values(counts=NETWORK.c.counts + 1)
    .returning(NETWORK.c.counts)
)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A page that is being read, and since when."""

    began_at: float
    page: asyncio.Task[Page]


class EventLog:
    """The logs of all networks of one database."""

    def __init__(self, database: Database, notifier: Notifier, *, poll_seconds: float) -> None:
        self._database = database
        self._notifier = notifier
        self._poll_seconds = poll_seconds
        self._tails: defaultdict[NetworkId, Tail] = defaultdict(Tail)
        self._lives: dict[NetworkId, Life] = {}
        self._readings: dict[tuple[NetworkId, int], _Reading] = {}

    def serve(self, life: Life) -> None:
        """From now on, look whether this is still the life of its network's log, with all that is read and appended."""
        self._lives[life.network.id] = life

    def append(
        self, tx: Transaction, network_id: NetworkId, make: Sequence[Callable[[int], LoggedEvent]]
    ) -> list[LoggedEvent]:
        """Append what each of `make` says when it is told its offset. From here to the commit it holds the network's row,
        so what can be looked up or decided comes before it. Raises `Unavailable` if the log may lack events.

        Followers are woken after the commit; nobody who appends can forget to.
        """
        if not make:
            return []
        reserve = _RESERVE[tx.connection.dialect.name]
        head, *standing = tx.connection.execute(reserve, {"network": network_id, "count": len(make)}).one()
        self._examine(tx, network_id, Standing(*standing))
        events = [build(offset) for offset, build in enumerate(make, head - len(make) + 1)]
        insert_rows(tx.connection, EVENT, [_to_row(network_id, event) for event in events])
        tx.after_commit(partial(self._committed, network_id, events))
        return events

    def count(self, tx: Transaction, network_id: NetworkId) -> int:
        """The number of a change of counters, for the `counted` of the skills concerned. It holds the network's row, and
        wakes followers, as `append` does: numbers become visible in order, and no change is missed."""
        number: int = tx.connection.execute(_COUNT, {"network": network_id}).scalar_one()
        tx.after_commit(partial(self._counted, network_id, number))
        return number

    async def read(
        self, network_id: NetworkId, after: int, *, limit: int = PAGE_EVENTS, types: frozenset[str] = frozenset()
    ) -> Page:
        """Up to `limit` events after an offset, of the given types if any: one index seek, whatever the log's length.

        Raises `EventsTrimmed` if events after that offset are no longer kept.
        """
        with self._checking(network_id) as check:
            page = await self.read_rows(
                network_id, partial(read_page, network_id=network_id, after=after, limit=limit, types=types)
            )
            check(page.bounds)
        return page

    async def read_rows(
        self, network_id: NetworkId, work: Callable[[Connection], T], *, patience_seconds: float | None = None
    ) -> T:
        """What `work` finds, on the primary or on a replica that has all that this process knows of the log by now."""
        life = self._lives.get(network_id)
        if life is None:
            return await self._database.read(work, patience_seconds=patience_seconds)
        return await self._database.read_within(work, LeastSight(life), patience_seconds=patience_seconds)

    async def bounds(self, network_id: NetworkId) -> Bounds:
        with self._checking(network_id) as check:
            bounds = await self._database.read(partial(read_bounds, network_id=network_id))
            check(bounds)
        return bounds

    def wake(self, network_id: NetworkId) -> None:
        """Let the followers of this process look at the log."""
        self._notifier.wake(network_id)

    def newest(self, network_id: NetworkId) -> int:
        """The newest offset that this process has committed itself; 0 if none."""
        return self._tails[network_id].newest

    async def follow(self, network_id: NetworkId, after: int) -> AsyncIterator[Page]:
        """Every event after an offset, page by page, for ever; a page without events when there was nothing for a while."""
        wake = self._notifier.listen(network_id)
        while True:
            page = None if wake.clear() else self._tails[network_id].after(after)
            if page is None:
                page = await self._read_on(network_id, after, wake.set_at)
            after = page.end
            yield page
            if page.bounds is None or page.end == page.bounds.head:
                await wake.wait(self._poll_seconds)

    async def _read_on(self, network_id: NetworkId, after: int, woken_at: float) -> Page:
        """Read what follows, together with who is at the same place, as hub and index are that one wake has woken.

        A read that began before the wake may lack what it tells of.
        """
        key = network_id, after
        reading = self._readings.get(key)
        if reading is None or reading.began_at <= woken_at:
            began_at = time.monotonic()
            reading = _Reading(began_at, asyncio.create_task(self._read_new(network_id, after)))
            self._readings[key] = reading
            reading.page.add_done_callback(partial(self._forget, key))
        return await asyncio.shield(reading.page)  # who is cancelled must not take the page from the other

    async def _read_new(self, network_id: NetworkId, after: int) -> Page:
        with self._checking(network_id) as check:
            page = await self._database.follow(partial(read_new, network_id=network_id, after=after))
            check(page.bounds)
        return page

    def _forget(self, key: tuple[NetworkId, int], page: asyncio.Task[Page]) -> None:
        if key in self._readings and self._readings[key].page is page:
            del self._readings[key]
        if not page.cancelled():
            page.exception()  # perhaps everybody who waited for it has gone

    def _examine(self, tx: Transaction, network_id: NetworkId, standing: Standing) -> None:
        """Raises `Unavailable` unless the log is the one that this process serves, whole, on the newest server."""
        life = self._lives.get(network_id)
        if life is not None and standing.epoch != life.network.epoch:
            raise life.end(f"its epoch is {standing.epoch} now")
        require_newest(standing, self._database.timelines)
        if standing.may_lack_events:
            if life is not None:
                raise life.end(f"a standby was promoted to timeline {standing.timeline_now}, and may lack events")
            raise Unavailable("A standby was promoted that may lack events. Start the server anew.")
        if standing.has_changed:
            standing.take(tx.connection, network_id)

    @contextmanager
    def _checking(self, network_id: NetworkId) -> Iterator[Callable[[Bounds | None], None]]:
        """What is read in the block is to be of the life that this process serves, and to have all that it knew before."""
        life = self._lives.get(network_id)
        followed = life.followed if life is not None else 0

        def check(bounds: Bounds | None) -> None:
            if life is not None and bounds is not None:
                life.check(bounds, followed)
                life.follow(bounds.head, bounds.counts)

        try:
            yield check
        except EventsTrimmed as trimmed:
            check(trimmed.bounds)
            raise

    def _counted(self, network_id: NetworkId, number: int) -> None:
        if network_id in self._lives:
            self._lives[network_id].follow(0, number)
        self._notifier.wake(network_id)

    def _committed(self, network_id: NetworkId, events: Sequence[LoggedEvent]) -> None:
        self._tails[network_id].extend(events)
        if network_id in self._lives:
            self._lives[network_id].follow(events[-1].offset)
        self._notifier.wake(network_id)


class LeastSight:
    """The least that one read may see, and what it saw: all that this process knew of the log when it was asked for."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._least = life.known
        self.seen: Bounds | None = None

    def look(self, connection: Connection) -> bool:
        self.seen = read_bounds(connection, self._life.network.id)
        return (
            self.seen.epoch == self._least.epoch
            and self.seen.head >= self._least.head
            and self.seen.counts >= self._least.counts
        )

    def keep(self) -> None:
        if self.seen is not None and self.seen.epoch == self._least.epoch:
            self._life.follow(self.seen.head, self.seen.counts)

    @property
    def lag(self) -> int:
        """How many events were missing in what was seen last."""
        return max(0, self._least.head - self.seen.head) if self.seen is not None else 0


class Tail:
    """The newest events that this process committed itself, so that its own follower need not read them back.

    They are the log's own, or nothing: what follows an offset is taken from here only if it is here without a hole.
    """

    def __init__(self) -> None:
        self._events: deque[LoggedEvent] = deque(maxlen=PAGE_EVENTS)

    @property
    def newest(self) -> int:
        """The offset of the last of them; 0 without any."""
        return self._events[-1].offset if self._events else 0

    def extend(self, events: Sequence[LoggedEvent]) -> None:
        """Add events that are on disk now. Commits come back in order, on the one event loop."""
        if self._events and self._events[-1].offset + 1 != events[0].offset:
            self._events.clear()  # another process has committed in between
        self._events.extend(events)

    def after(self, offset: int) -> Page | None:
        """What follows an offset, as far as this process knows; None if it must be read."""
        if not self._events or not self._events[0].offset <= offset + 1 <= self._events[-1].offset:
            return None
        events = list(islice(self._events, offset + 1 - self._events[0].offset, None))
        return Page(events, events[-1].offset, None)


def read_bounds(connection: Connection, network_id: NetworkId) -> Bounds:
    """Where the log begins and ends, in the snapshot that `connection` sees."""
    return Bounds(*connection.execute(_BOUNDS, {"network_id": network_id}).one())


def read_page(connection: Connection, *, network_id: NetworkId, after: int, limit: int, types: frozenset[str]) -> Page:
    """`EventLog.read` on one snapshot, so that the bounds are those of the very log that was read."""
    bounds = read_bounds(connection, network_id)
    if after < bounds.trimmed:
        raise EventsTrimmed(bounds)
    query, values = (_READ_TYPES, {"types": sorted(types)}) if types else (_READ, {})
    rows = connection.execute(query, {"network_id": network_id, "after": after, "limit": limit, **values})
    return _to_page(rows, bounds, limit)


def read_new(connection: Connection, *, network_id: NetworkId, after: int) -> Page:
    """As `read_page`. A server is asked by one statement, which is a snapshot without a transaction: a follower waits for
    one round trip. SQLite takes no trips, and would read and sort a whole page of large events to give away the first few.
    """
    if connection.dialect.name == "sqlite":
        return read_page(connection, network_id=network_id, after=after, limit=PAGE_EVENTS, types=frozenset())
    rows = connection.execute(_FOLLOW, {"network_id": network_id, "after": after, "limit": PAGE_EVENTS}).all()
    bounds = Bounds(*rows[0][:_BOUNDS_COLUMNS])
    if after < bounds.trimmed:
        raise EventsTrimmed(bounds)
    found = (row[_BOUNDS_COLUMNS:] for row in rows if row[_BOUNDS_COLUMNS] is not None)
    return _to_page(found, bounds, PAGE_EVENTS)


def _to_page(rows: Iterable[Sequence[Any]], bounds: Bounds, limit: int) -> Page:
    events: list[LoggedEvent] = []
    size = 0
    for row in rows:
        events.append(_to_event(row))
        size += len(events[-1].data)
        if size >= PAGE_BYTES or len(events) == limit:
            return Page(events, events[-1].offset, bounds)
    return Page(events, bounds.head, bounds)


def _to_event(row: Sequence[Any]) -> LoggedEvent:
    offset, type, at, skill_id, error_type, tags, data, error_type_before = row
    return LoggedEvent(
        offset, cast(EventType, type), at, skill_id, error_type, frozenset(tags), data, error_type_before
    )


def _to_row(network_id: int, event: LoggedEvent) -> dict[str, object]:
    return {
        "network_id": network_id,
        "offset": event.offset,
        "type": event.type,
        "at": event.at,
        "skill_id": event.skill_id,
        "error_type": event.error_type,
        "error_type_before": event.error_type_before,
        "tags": sorted(event.tags),
        "data": event.data,
    }
