"""The database, and the one way to use it: a plain function of a connection, run on a thread that owns one.

A transaction is such a function. It sees no await, so nothing else can happen inside it, and one hop to the thread
pays for all its statements (docs/decisions/0002). `write` is for the only connection of this process that writes; `read`
gives each function one consistent snapshot.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from app.errors import CINError, Unavailable
from app.storage.lane import Job, Lane
from app.storage.replicas import Replicas, Sight
from app.storage.timelines import Timelines

T = TypeVar("T")

_TRIES = 5
"""How often a transaction is run that others keep undoing. Each time it sees what they have committed."""

_PAUSE_SECONDS = 0.01


class Transaction:
    """A connection inside a writing transaction, and what is to happen once it is on disk."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._after_commit: dict[Callable[[], None], None] = {}

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the event loop after the commit, once however often it was asked for; never on rollback."""
        self._after_commit[callback] = None

    def run_callbacks(self) -> None:
        for callback in self._after_commit:
            callback()


class ErrorTranslator(Protocol):
    """What a backend knows of its driver's errors. Returns the error itself if it is the program's own."""

    def __call__(self, error: sa.exc.DBAPIError) -> CINError | sa.exc.DBAPIError: ...


@dataclass(frozen=True, slots=True)
class Sharing:
    """What is different when the database is a server that other processes use too.

    `patience_seconds` is how long a caller waits at most, the queue for a thread included. `is_undone` tells errors that
    come of another's transaction and have undone this one: run again, it sees what the other did.
    """

    patience_seconds: float
    is_undone: Callable[[sa.exc.DBAPIError], bool]


class Database:
    """One writer, several readers, and a lane for those who follow the log, which no slow list holds up.

    Open it with `open_database`; every method may be called from the event loop only.
    """

    def __init__(
        self,
        *,
        writer: Lane,
        reader: Lane,
        follower: Lane,
        translate: ErrorTranslator,
        storage: str,
        durability: str | Callable[[Connection], str],
        sharing: Sharing | None = None,
        timelines: Timelines | None = None,
        replicas: Replicas | None = None,
    ) -> None:
        """`storage` names the database and its version; `durability` says what an answered write has survived."""
        self.storage = storage
        self.timelines = timelines or Timelines()
        self.replicas = replicas or Replicas()
        self.count_read: Callable[[str], None] = lambda server: None
        """Told who did a read that a replica may do: `primary` or `replica`."""
        self._lanes = (reader, follower, writer)
        self._writer = writer
        self._reader = reader
        self._follower = follower
        self._translate = translate
        self._durability = durability
        self._sharing = sharing

    @property
    def patience_seconds(self) -> float | None:
        """How long anybody waits for an answer, None for as long as it takes: then no other process can be in the way."""
        return self._sharing.patience_seconds if self._sharing else None

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction of its own, commit, then its callbacks. Raises `StorageFull` or `Unavailable`.

        Where other processes write too, `work` is run again if one of them was in the way, and after `Unavailable` nobody
        knows whether it was committed.
        """
        transaction, result = await self._run(self._writer, lambda job: self._write(job, work), self.patience_seconds)
        transaction.run_callbacks()
        return result

    async def read(self, work: Callable[[Connection], T], *, patience_seconds: float | None = None) -> T:
        """Run `work` on one snapshot of the database. Raises `Unavailable`, also if it takes longer than others wait."""
        patience = patience_seconds if self._sharing and patience_seconds else self.patience_seconds
        return await self._run(self._reader, lambda job: self._read(self._reader, job, work), patience)

    async def read_within(
        self, work: Callable[[Connection], T], sight: Sight, *, patience_seconds: float | None = None
    ) -> T:
        """As `read`, on a replica if one has what `sight` asks for. Not for what a write, or its answer, depends on."""
        if not self.replicas.all:
            self.count_read("primary")
            return await self.read(work, patience_seconds=patience_seconds)
        found = await self.replicas.read(work, sight, patience_seconds)
        if found is not None:
            self.count_read("replica")
            return found.value

        def look_and_work(connection: Connection) -> T:
            sight.look(connection)
            return work(connection)

        self.count_read("primary")
        answer = await self.read(look_and_work, patience_seconds=patience_seconds)
        sight.keep()
        return answer

    async def follow(self, work: Callable[[Connection], T]) -> T:
        """As `read`, for those who follow the log: they wait for each other only.

        To a server `work` is one statement, and so a snapshot by itself: no transaction is begun for it, which would be
        three more round trips. Nor is one noticed before that died while nothing was asked of it: it is asked again.
        """

        def look(job: Job) -> T:
            try:
                return self._read(self._follower, job, work)
            except Unavailable:
                job.go_on()
                return self._read(self._follower, job, work)

        return await self._run(self._follower, look, self.patience_seconds)

    async def durability(self) -> str:
        """What an answered write has survived, as the database is set up now."""
        if isinstance(self._durability, str):
            return self._durability
        try:
            return await self.read(self._durability)
        except Unavailable:
            return "The database does not answer, so nothing is promised now."

    async def close(self) -> None:
        """End all connections, the writer's last: the last one to close checkpoints, and only the writer may."""
        await asyncio.to_thread(self._close)

    def _write(self, job: Job, work: Callable[[Transaction], T]) -> tuple[Transaction, T]:
        tries = _TRIES if self._sharing else 1
        for left in reversed(range(tries)):
            try:
                with self._translated(), self._writer.transaction(job) as connection:
                    transaction = Transaction(connection)
                    result = work(transaction)
                return transaction, result
            except _Undone as undone:
                job.go_on()
                if not left:
                    raise undone.error from undone
                time.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311  # so that they do not meet again
        raise AssertionError("a transaction is run at least once")

    def _read(self, lane: Lane, job: Job, work: Callable[[Connection], T]) -> T:
        try:
            with self._translated(), lane.transaction(job) as connection:
                return work(connection)
        except _Undone as undone:
            raise undone.error from undone

    async def _run(self, lane: Lane, work: Callable[[Job], T], patience_seconds: float | None) -> T:
        job, running = lane.submit(work)
        answer = asyncio.wrap_future(running)
        if patience_seconds is None:
            return await answer
        try:
            async with asyncio.timeout(patience_seconds) as deadline:
                return await answer
        except (TimeoutError, asyncio.CancelledError) as error:
            job.give_up()
            if deadline.expired():
                raise Unavailable(
                    f"The database has not answered for {patience_seconds:.0f} seconds. Try again in a moment."
                ) from error
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            translated = self._translate(error)
            if self._sharing and self._sharing.is_undone(error):
                raise _Undone(translated) from error
            if translated is error:
                raise
            raise translated from error
        except sa.exc.TimeoutError as error:
            raise Unavailable("All database connections are busy; send the request again in a moment.") from error

    def _close(self) -> None:
        for lane in self._lanes:
            lane.close()
        self.replicas.close()


class _Undone(Exception):
    """A transaction was undone because of another one. `error` is what is said if that happens again and again."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
