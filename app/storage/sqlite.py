"""SQLite as a server's database: one process, one writer, every commit on disk before it is answered.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL database when two connections write or checkpoint at the same moment, and
distributions still ship such versions. So one process owns the file (a lock file says who), one connection writes and
checkpoints, and all others are `query_only`.
"""

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import orjson
import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy import Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from app.errors import CINError, StartupError, StorageFull, Unavailable
from app.storage.database import Database
from app.storage.lane import Lane
from app.storage.migrations import migrate

READERS = 4
"""Reader threads. Reads wait for the interpreter more than for the disk, so more of them do not read faster."""

_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA busy_timeout = 5000",
)
# Pages in memory, in KiB. The writer looks up what is known already; readers hardly read twice, and there are four.
_WRITER = (
    "PRAGMA cache_size = -65536",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 4000",
)
_READER = ("PRAGMA cache_size = -8192", "PRAGMA query_only = ON", "PRAGMA wal_autocheckpoint = 0")


@asynccontextmanager
async def open_sqlite(url: str) -> AsyncIterator[Database]:
    """The database in the file that `url` names, made and migrated if need be. Raises `StartupError` with a sentence."""
    path = file_of(url)
    with owned(path):
        writer = writing_engine(path)
        with opening(path):
            migrate(writer)
        reader = Lane(_engine(path, (*_PRAGMAS, *_READER), begin="BEGIN", connections=READERS), READERS, name="reader")
        database = Database(
            writer=Lane(writer, 1, name="writer"),
            reader=reader,
            follower=reader,
            translate=translate,
            storage=f"SQLite {sqlite3.sqlite_version}",
            durability="Answered captures are fsynced (synchronous=FULL); one copy, on this machine's disk.",
        )
        try:
            yield database
        finally:
            await database.close()


def migrate_sqlite(url: str, then: Callable[[sa.Connection], None] | None = None) -> tuple[str | None, str]:
    """Bring the file to this program's version, and do something more if need be; returns the revisions before and after."""
    path = file_of(url)
    with owned(path), opening(path):
        engine = writing_engine(path)
        try:
            revisions = migrate(engine)
            if then is not None:
                with engine.begin() as connection:
                    then(connection)
            return revisions
        finally:
            engine.dispose()


def file_of(url: str) -> Path:
    """The file that a `sqlite:///` URL names, checked: its folder is there and it can be written."""
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite":
        raise StartupError(
            f"CIN_DATABASE_URL names a {parsed.get_backend_name()} database. Write sqlite:///./cin.db, "
            "or postgresql://user:password@host:5432/database."
        )
    path = Path(parsed.database or "")
    if path.name in ("", ":memory:"):
        raise StartupError(
            "CIN_DATABASE_URL names no file. Write sqlite:///./cin.db, or sqlite:////var/lib/cin/cin.db."
        )
    path = path.resolve()  # a link to a file that is open is the file that is open
    if not path.parent.is_dir():
        raise StartupError(f"The folder {path.parent} does not exist. Make it, or let CIN_DATABASE_URL name another.")
    if path.is_dir():
        raise StartupError(f"{path} is a folder. CIN_DATABASE_URL must name a file.")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise StartupError(f"The file {path} cannot be written. Give this user the right to, or name another file.")
    if not os.access(path.parent, os.W_OK):
        raise StartupError(f"The folder {path.parent} cannot be written, and SQLite keeps its log beside the file.")
    return path


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Own the file until the end of the block. The system frees the lock when the process dies, however it dies."""
    lock = FileLock(f"{path}.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise StartupError(
            f"Another process has {path} open. One process owns a SQLite file: stop that one, or name another file."
        ) from None
    except OSError as error:
        raise StartupError(f"The lock file {path}.lock cannot be made: {error.strerror}.") from error
    try:
        yield
    finally:
        lock.release()


def writing_engine(path: Path) -> Engine:
    """The one connection that writes to the file and checkpoints; for its owner."""
    return _engine(path, (*_PRAGMAS, *_WRITER), begin="BEGIN IMMEDIATE", connections=1)


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """What SQLite says of a file that it cannot open becomes a `StartupError`."""
    try:
        yield
    except sa.exc.DatabaseError as error:
        code = getattr(error.orig, "sqlite_errorname", "")
        if code == "SQLITE_NOTADB":
            raise StartupError(
                f"{path} is not a SQLite database. Name another file; this one was left as it is."
            ) from error
        raise StartupError(f"{path} cannot be opened: {error.orig} ({code}).") from error


def translate(error: sa.exc.DBAPIError) -> CINError | sa.exc.DBAPIError:
    """SQLite's result codes as ours; see https://sqlite.org/rescode.html."""
    if isinstance(error, sa.exc.IntegrityError):
        return error
    code = getattr(error.orig, "sqlite_errorname", "")
    if code == "SQLITE_FULL" or code.startswith("SQLITE_IOERR_WRITE"):
        return StorageFull("There is no room left for this on the server's disk. Nothing was changed; try again later.")
    return Unavailable(f"The database does not answer ({code or type(error.orig).__name__}). Try again in a moment.")


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except sa.exc.ArgumentError:
        raise StartupError("CIN_DATABASE_URL is not a database URL. Write sqlite:///./cin.db, for example.") from None


def _engine(path: Path, pragmas: tuple[str, ...], *, begin: str, connections: int) -> Engine:
    engine = sa.create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=5,
        connect_args={"check_same_thread": False},
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # sqlite3's own BEGIN would come too late, and never before a SELECT
        for pragma in pragmas:
            connection.execute(pragma)

    # Where SQLAlchemy begins, not as a listener's statement: that takes ten times as long.
    engine.dialect.do_begin = lambda connection: connection.execute(begin)  # type: ignore[assignment,method-assign]
    return engine
