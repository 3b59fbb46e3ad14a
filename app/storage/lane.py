"""A lane: threads that each own one connection, and work that its caller can give up while a thread is stuck in it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, RootTransaction

from app.errors import Unavailable

T = TypeVar("T")


class Job:
    """One piece of work on a lane's thread. Given up, it commits nothing any more, and its connection is cut."""

    def __init__(self, cut: Callable[[Any], None]) -> None:
        self._cut = cut
        self._lock = threading.Lock()
        self._given_up = False
        self._driver_connection: Any = None

    def give_up(self) -> None:
        """Let the thread come free: whatever it waits for on its connection ends with an error."""
        with self._lock:
            self._given_up = True
            if self._driver_connection is not None:
                self._cut(self._driver_connection)

    def go_on(self) -> None:
        """Raises `Unavailable` if nobody waits for the outcome any more."""
        if self._given_up:
            raise Unavailable("The database took too long. Try again in a moment.")

    @contextmanager
    def using(self, connection: Connection) -> Iterator[None]:
        """What is to be cut, until the end of the block: after it the connection is another job's."""
        with self._lock:
            self._driver_connection = connection.connection.dbapi_connection
            if self._given_up:
                self._cut(self._driver_connection)
        try:
            yield
        finally:
            with self._lock:
                self._driver_connection = None


class Lane:
    """So many threads, each with its own connection, kept: taking one from the pool for each transaction costs 0.2 ms."""

    def __init__(
        self,
        engine: Engine,
        threads: int,
        *,
        name: str,
        is_lost: Callable[[sa.exc.DBAPIError], bool] = lambda error: error.connection_invalidated,
        cut: Callable[[Any], None] = lambda connection: None,
    ) -> None:
        """`is_lost` tells errors after which a connection is of no more use; `cut` ends what one waits for."""
        self._engine = engine
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"cin-{name}")
        self._is_lost = is_lost
        self._cut = cut
        self._of_thread = threading.local()
        self._connections: set[Connection] = set()

    def submit(self, work: Callable[[Job], T]) -> tuple[Job, "Future[T]"]:
        """Run `work` on the next thread that is free. Raises `Unavailable` after `close`."""
        job = Job(self._cut)
        try:
            return job, self._threads.submit(work, job)
        except RuntimeError as error:
            raise Unavailable("The server is stopping; send the request again in a moment.") from error

    @contextmanager
    def transaction(self, job: Job) -> Iterator[Connection]:
        """A transaction on this thread's connection, committed at the end of the block."""
        connection, begun = self._begin(job)
        try:
            with job.using(connection), begun:
                job.go_on()
                yield connection
                job.go_on()
        except sa.exc.DBAPIError as error:
            if self._is_lost(error):
                self._discard(connection)
            raise

    def close(self) -> None:
        """Wait until all work is done, then end the connections."""
        self._threads.shutdown(wait=True)
        for connection in self._connections:
            with suppress(sa.exc.DBAPIError):  # of one that was cut with its transaction under way
                connection.close()
        self._engine.dispose()

    def _begin(self, job: Job) -> tuple[Connection, RootTransaction]:
        """A transaction begun. A connection that died while nothing was asked of it is replaced: nothing is lost yet."""
        kept: Connection | None = getattr(self._of_thread, "connection", None)
        if kept is not None and not kept.closed and not kept.invalidated:
            try:
                with job.using(kept):
                    return kept, kept.begin()  # rolled back by `transaction` if the job was given up meanwhile
            except sa.exc.DBAPIError as error:
                if not self._is_lost(error):
                    raise
                self._discard(kept)
                job.go_on()
        connection = self._of_thread.connection = self._engine.connect()
        self._connections.add(connection)
        with job.using(connection):
            return connection, connection.begin()

    def _discard(self, connection: Connection) -> None:
        self._of_thread.connection = None
        self._connections.discard(connection)
        if not connection.invalidated:
            connection.invalidate()
        connection.close()
