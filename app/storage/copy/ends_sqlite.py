"""The ends of a copy in SQLite files. Both are owned as the server owns its file, so none runs meanwhile."""

import sqlite3
from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import NullPool

from app.errors import StartupError
from app.storage.copy.ends import RowUnfit, Source, Target
from app.storage.copy.mark import read_mark, refuse_other_data
from app.storage.copy.rows import Row
from app.storage.migrations import migrate
from app.storage.sqlite import file_of, opening, owned, writing_engine

_UNFIT = (sa.exc.IntegrityError, sa.exc.DataError, sa.exc.InterfaceError, ValueError, OverflowError)


@contextmanager
def sqlite_source(url: str) -> Iterator[Source]:
    """The file, of which no byte is changed."""
    path = file_of(url)
    if not path.exists():
        raise StartupError(f"There is no file {path}.")
    with owned(path), ExitStack() as stack:
        engine = _reading_engine(path)
        with opening(path):
            connection = stack.enter_context(engine.connect())
            stack.enter_context(connection.begin())
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        yield Source(str(path), _identity(path), connection, engine.begin)


@contextmanager
def sqlite_target(url: str) -> Iterator[Target]:
    """The file, looked at before it is opened to write: that alone would change one that is another program's."""
    path = file_of(url)
    with owned(path):
        if path.exists() and path.stat().st_size:
            with opening(path), _reading_engine(path).begin() as connection:
                if read_mark(connection) is None:
                    refuse_other_data(connection, str(path))
        engine = writing_engine(path)
        try:
            yield _SQLiteTarget(path, engine)
        finally:
            engine.dispose()


class _SQLiteTarget:
    def __init__(self, path: Path, engine: Engine) -> None:
        self.name = str(path)
        self.engine = engine
        self._path = path

    @property
    def identity(self) -> Hashable:
        return _identity(self._path)

    def migrate(self) -> None:
        migrate(self.engine, copying=True)

    def insert(self, connection: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
        names = ", ".join(connection.dialect.identifier_preparer.quote(column.name) for column in table.columns)
        signs = ", ".join("?" * len(table.columns))
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({signs})"  # noqa: S608  # own names
        try:
            connection.exec_driver_sql(statement, list(rows))
        except _UNFIT as error:
            raise RowUnfit(getattr(error, "orig", None) or error) from error

    def settle(self, connection: Connection) -> None:
        pass  # SQLite counts on from the greatest key by itself


def _identity(path: Path) -> Hashable:
    if not path.exists():
        return path
    found = path.stat()
    return found.st_dev, found.st_ino


def _reading_engine(path: Path) -> Engine:
    """Connections that write neither the file nor its log. `immutable` leaves no files beside one that has no log."""
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, isolation_level=None),
        poolclass=NullPool,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.text_factory = _text

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _text(value: bytes) -> str:
    """Text that is not UTF-8 is read as well, so that whoever cannot hold it can say where it stands."""
    return value.decode(errors="surrogateescape")
