"""Looks at the replicas now and then: which of them have what this process knows, and how far the others are behind."""

import asyncio

from app.eventlog.life import LeastSight, Life
from app.metrics import Metrics
from app.storage.database import Database

_PAUSE_SECONDS = 0.5


async def watch_replicas(database: Database, life: Life, metrics: Metrics) -> None:
    """Until cancelled."""
    while database.replicas.all:
        sights = {replica: LeastSight(life) for replica in database.replicas.all}
        await database.replicas.look(sights)
        for replica, sight in sights.items():
            metrics.replica_up.labels(replica.name).set(replica.is_used)
            metrics.replica_lag.labels(replica.name).set(sight.lag)
        await asyncio.sleep(_PAUSE_SECONDS)
