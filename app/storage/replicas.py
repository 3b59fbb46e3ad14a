"""Replicas: copies of the database that only answer reads, and only if they have what the reader must see.

One that is away, slow or behind is left out by itself, and the read is done on the primary. `look` brings it back.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from app.errors import Unavailable
from app.storage.lane import Job, Lane

T = TypeVar("T")

LATE_SECONDS = 0.5
"""How long a replica may take before the primary is asked instead."""


class Sight(Protocol):
    """What one read must have before it, by positions; made when the read is asked for."""

    def look(self, connection: Connection) -> bool:
        """Whether this snapshot has it. Runs first in the transaction of the read."""

    def keep(self) -> None:
        """The read was answered from the snapshot that was looked at: no later one may have less."""


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What a replica answered."""

    value: T


class Replica:
    """One server. `is_used` says whether reads are sent to it."""

    def __init__(self, name: str, lane: Lane) -> None:
        self.name = name
        self.is_used = False
        self._lane = lane

    async def read(
        self, work: Callable[[Connection], T], sight: Sight, seconds: float = LATE_SECONDS
    ) -> Found[T] | None:
        """What `work` finds, or None if the server does not answer in time or lacks something: it is then left out."""
        job, running = self._lane.submit(lambda job: self._read(job, work, sight))
        try:
            async with asyncio.timeout(seconds):
                found = await asyncio.wrap_future(running)
        except (TimeoutError, Unavailable, sa.exc.SQLAlchemyError):
            job.give_up()
            found = None
        except asyncio.CancelledError:
            job.give_up()
            raise
        if found is None:
            self.is_used = False
        else:
            sight.keep()
        return found

    def close(self) -> None:
        self._lane.close()

    def _read(self, job: Job, work: Callable[[Connection], T], sight: Sight) -> Found[T] | None:
        with self._lane.transaction(job) as connection:
            return Found(work(connection)) if sight.look(connection) else None


class Replicas:
    """All replicas of a database, in turn."""

    def __init__(self, replicas: Sequence[Replica] = ()) -> None:
        self.all = tuple(replicas)
        self._turn = 0

    async def read(
        self, work: Callable[[Connection], T], sight: Sight, patience_seconds: float | None = None
    ) -> Found[T] | None:
        """What the next replica finds, None if the primary must be asked. A long read begins with a short one."""
        used = [replica for replica in self.all if replica.is_used]
        if not used:
            return None
        self._turn += 1
        replica = used[self._turn % len(used)]
        if patience_seconds is None:
            return await replica.read(work, sight)
        if await replica.read(lambda connection: None, sight) is None:
            return None
        return await replica.read(work, sight, patience_seconds)

    async def look(self, sights: Mapping[Replica, Sight]) -> None:
        """Use those from now on that have what they must, and leave out the others."""
        looking = (replica.read(lambda connection: None, sight) for replica, sight in sights.items())
        for replica, found in zip(sights, await asyncio.gather(*looking), strict=True):
            replica.is_used = found is not None

    def close(self) -> None:
        for replica in self.all:
            with suppress(sa.exc.DBAPIError):
                replica.close()
