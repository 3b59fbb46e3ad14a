"""The database, and the one way to use it: a plain function of a connection, run on a thread that owns one.

A transaction is such a function. It sees no await, so nothing else can happen inside it, and one hop to the thread
pays for all its statements (docs/decisions/0002). `write` is for the only connection that writes; `read` gives each
function one consistent snapshot.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from app.errors import CINError, Unavailable

T = TypeVar("T")


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
    """What a backend knows of its driver's errors."""

    def __call__(self, error: sa.exc.DBAPIError) -> CINError: ...


class Database:
    """One writer, several readers. Open it with `open_sqlite`; every method may be called from the event loop only."""

    def __init__(self, writer: Engine, reader: Engine, *, readers: int, translate: ErrorTranslator) -> None:
        self._writer = writer
        self._reader = reader
        self._translate = translate
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="cin-writer")
        self._of_thread = threading.local()
        self._connections: list[Connection] = []
        self._read_threads = ThreadPoolExecutor(readers, thread_name_prefix="cin-reader")

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction of its own, commit, then its callbacks. Raises `StorageFull` or `Unavailable`."""
        transaction, result = await self._run(self._write_thread, lambda: self._write(work))
        transaction.run_callbacks()
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one snapshot of the database. Raises `Unavailable`."""
        return await self._run(self._read_threads, lambda: self._read(work))

    async def close(self) -> None:
        """End all connections, the writer's last: the last one to close checkpoints, and only the writer may."""
        await asyncio.to_thread(self._close)

    def _write(self, work: Callable[[Transaction], T]) -> tuple[Transaction, T]:
        with self._translated(), self._connection(self._writer) as connection, connection.begin():
            transaction = Transaction(connection)
            result = work(transaction)
        return transaction, result

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._translated(), self._connection(self._reader) as connection, connection.begin():
            return work(connection)

    @contextmanager
    def _connection(self, engine: Engine) -> Iterator[Connection]:
        """This thread's own connection, kept: taking one from the pool for each transaction would cost 0.2 ms."""
        connection: Connection | None = getattr(self._of_thread, "connection", None)
        if connection is None or connection.closed or connection.invalidated:
            connection = self._of_thread.connection = engine.connect()
            self._connections.append(connection)
        yield connection

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work)
        except RuntimeError as error:
            if "shutdown" in str(error):
                raise Unavailable("The server is stopping; send the request again in a moment.") from error
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            if isinstance(error, sa.exc.IntegrityError):
                raise
            raise self._translate(error) from error
        except sa.exc.TimeoutError as error:
            raise Unavailable("All database connections are busy; send the request again in a moment.") from error

    def _close(self) -> None:
        self._read_threads.shutdown(wait=True)
        self._write_thread.shutdown(wait=True)
        for connection in self._connections:
            connection.close()
        self._reader.dispose()
        self._writer.dispose()
