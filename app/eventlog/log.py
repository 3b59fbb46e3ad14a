"""The log: what happened in a network, in the order in which it was committed, with no hole.

Offsets come from the network's own row, in the transaction that appends, so they are gap-free and become visible in
order: whoever holds the row is the next to commit. A reader that sees offset 7 will never see a 6 that it has not seen.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from app.errors import Unavailable
from app.eventlog.bounds import Bounds
from app.eventlog.events import PAGE_EVENTS, EventsTrimmed, LoggedEvent, Page, read_bounds, read_new, read_page, to_row
from app.eventlog.life import LeastSight, Life
from app.eventlog.network import EVENT, NETWORK, NetworkId
from app.eventlog.notifier import Notifier
from app.eventlog.promotion import Standing, columns, require_newest
from app.eventlog.tail import Tail
from app.storage.bulk import insert_rows
from app.storage.database import Database, Transaction

T = TypeVar("T")

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
        insert_rows(tx.connection, EVENT, [to_row(network_id, event) for event in events])
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
