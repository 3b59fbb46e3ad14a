"""Promotions: what a network's row says of the server that wrote it last, beside the server that is asked now.

PostgreSQL gives a promoted standby a new timeline. The row keeps the timeline on which it gave out offsets, and whether
commits waited for a standby then. If they did, a promotion has lost nothing that anybody was told. If they did not, the
newest events may be missing, and their offsets must not be given out again under the same epoch.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog

from app.errors import Unavailable
from app.eventlog.bounds import Bounds
from app.eventlog.network import NETWORK, renew
from app.storage.timelines import Timelines

log = structlog.get_logger(__name__)

_TIMELINE = """CASE WHEN pg_is_in_recovery() THEN 0
ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint END"""
_SYNCHRONOUS = """current_setting('synchronous_standby_names') != ''
AND current_setting('synchronous_commit') IN ('on', 'remote_apply')"""

_NOW = {
    "postgresql": (sa.literal_column(_TIMELINE, sa.BigInteger), sa.literal_column(f"({_SYNCHRONOUS})", sa.Boolean)),
    "sqlite": (sa.literal_column("0", sa.BigInteger), sa.literal_column("0", sa.Boolean)),
}


def columns(dialect: str) -> tuple[sa.ColumnElement[Any], ...]:
    """What `Standing` is made of, for a statement that reads or changes the network's row."""
    timeline, synchronous = _NOW[dialect]
    return (
        NETWORK.c.epoch,
        NETWORK.c.timeline,
        NETWORK.c.synchronous,
        timeline.label("timeline_now"),
        synchronous.label("synchronous_now"),
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """What the row says, and what is so now. A timeline of 0 is none, or not known yet."""

    epoch: str
    timeline: int
    synchronous: bool
    timeline_now: int
    synchronous_now: bool

    @property
    def has_changed(self) -> bool:
        """Whether the row must be written anew."""
        return (self.timeline, self.synchronous) != (self.timeline_now, self.synchronous_now)

    @property
    def may_lack_events(self) -> bool:
        """Whether another server has taken over without all that was said. A lower timeline is that of a copy elsewhere."""
        if self.timeline in (0, self.timeline_now):
            return False
        return not self.synchronous or self.timeline_now < self.timeline

    def take(self, connection: sa.Connection, network_id: int) -> None:
        """Let the row say what is so now."""
        values = {"timeline": self.timeline_now, "synchronous": self.synchronous_now}
        connection.execute(sa.update(NETWORK).where(NETWORK.c.id == network_id).values(values))


def settle(connection: sa.Connection, *, timelines: Timelines, known: Bounds | None) -> None:
    """Let every log begin a new life that may lack events; `known` is the least that this process has seen of one.

    Of several processes one does so, and the others find it done. Raises `Unavailable` on a server that was replaced.
    """
    query = sa.select(NETWORK.c["id", "head"], *columns(connection.dialect.name)).with_for_update()
    for network_id, head, *values in connection.execute(query.order_by(NETWORK.c.id)).all():
        standing = Standing(*values)
        require_newest(standing, timelines)
        if standing.may_lack_events or (known and standing.epoch == known.epoch and head < known.head):
            renew(connection, network_id)
            log.error("new_life", network=network_id, head=head, next="clients that come back are told to read anew")
        if standing.has_changed:
            standing.take(connection, network_id)


def require_newest(standing: Standing, timelines: Timelines) -> None:
    """Raises `Unavailable` if another server has replaced the one that is asked."""
    if not timelines.admit(standing.timeline_now):
        raise Unavailable("This database server was replaced by another one. Try again in a moment.")
