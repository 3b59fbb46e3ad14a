"""Retention: which events are kept, and the trimming of the others in small steps.

Kept are the events that are young enough or among the newest, whichever is more. Skills are never trimmed.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection

from app.errors import CINError
from app.eventlog.network import EVENT, NETWORK, NetworkId
from app.metrics import Metrics
from app.models.idempotency import IDEMPOTENCY_KEPT_FOR, IdempotencyKey
from app.models.types import iso
from app.storage.database import Database, Transaction

log = structlog.get_logger(__name__)

_KEY = IdempotencyKey.__table__  # type: ignore[attr-defined]  # set by SQLModel's metaclass
_STEP = 1_000
"""Rows deleted in one transaction: a few milliseconds, so captures hardly wait."""


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """`events` newest are kept in any case, and all younger than `age`."""

    age: timedelta
    events: int


class Retention:
    """Trims the logs of all networks, and forgets idempotency keys that are past their day."""

    def __init__(self, database: Database, rule: RetentionRule, metrics: Metrics, *, interval_seconds: float) -> None:
        self._database = database
        self._rule = rule
        self._metrics = metrics
        self._interval_seconds = interval_seconds

    async def run(self, network_id: NetworkId) -> None:
        """Trim now and then, until cancelled."""
        while True:
            try:
                await self.trim(network_id)
            except CINError as error:
                log.warning("trim_failed", error=error.detail, next="tried again at the next interval")
            await asyncio.sleep(self._interval_seconds)

    async def trim(self, network_id: NetworkId) -> int:
        """Remove what need not be kept; returns how many events went."""
        present = datetime.now(UTC)
        cut = await self._database.read(partial(_cut, network_id=network_id, rule=self._rule, present=present))
        removed = 0
        while step := await self._database.write(partial(_trim_step, network_id=network_id, cut=cut)):
            removed += step
            self._metrics.events_trimmed.inc(step)
        long_ago = iso(present - IDEMPOTENCY_KEPT_FOR)
        while await self._database.write(partial(_forget_keys, network_id=network_id, before=long_ago)):
            pass
        if removed:
            log.info("events_trimmed", events=removed, up_to=cut)
        return removed


def _cut(connection: Connection, *, network_id: NetworkId, rule: RetentionRule, present: datetime) -> int:
    """The newest offset that need not be kept."""
    head: int = connection.execute(sa.select(NETWORK.c.head).where(NETWORK.c.id == network_id)).scalar_one()
    last_old: int | None = connection.execute(newest_before(network_id, iso(present - rule.age))).scalar()
    return min(last_old or 0, head - rule.events)


def newest_before(network_id: int, moment: str) -> sa.Select[Any]:
    """The offset of the last event before a moment, by the index on time."""
    return (
        sa.select(EVENT.c.offset)
        .where(EVENT.c.network_id == network_id, EVENT.c.at < moment)
        .order_by(EVENT.c.at.desc(), EVENT.c.offset.desc())
        .limit(1)
    )


def _trim_step(tx: Transaction, *, network_id: NetworkId, cut: int) -> int:
    # Held, where rows can be: another process may be trimming too.
    bound = sa.select(NETWORK.c.trimmed).where(NETWORK.c.id == network_id).with_for_update(key_share=True)
    trimmed: int = tx.connection.execute(bound).scalar_one()
    upto = min(cut, trimmed + _STEP)
    if upto <= trimmed:
        return 0
    tx.connection.execute(sa.delete(EVENT).where(EVENT.c.network_id == network_id, EVENT.c.offset <= upto))
    # In the same transaction: a reader sees the rows, or that they are trimmed, never neither.
    tx.connection.execute(sa.update(NETWORK).where(NETWORK.c.id == network_id).values(trimmed=upto))
    return upto - trimmed


def _forget_keys(tx: Transaction, *, network_id: NetworkId, before: str) -> int:
    old = sa.select(_KEY.c.key).where(_KEY.c.network_id == network_id, _KEY.c.created_at < before).limit(_STEP)
    deleted = tx.connection.execute(sa.delete(_KEY).where(_KEY.c.network_id == network_id, _KEY.c.key.in_(old)))
    return deleted.rowcount
