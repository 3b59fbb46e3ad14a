"""Events as the log keeps them, and how they are read: by pages, each from one snapshot of the log."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import Connection

from app.eventlog.bounds import Bounds
from app.eventlog.network import EVENT, NETWORK, NetworkId
from app.models import EventType

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


def to_row(network_id: int, event: LoggedEvent) -> dict[str, object]:
    """The row of table `event` that keeps an event."""
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
