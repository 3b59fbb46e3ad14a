"""The two ends of a copy. Which database a URL names decides what is imported, as in `app.storage.opening`."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from app.errors import StartupError
from app.storage.copy.rows import Row
from app.storage.opening import is_postgres


class RowUnfit(Exception):
    """The target cannot hold one of the rows; the text says why, in the database's words where it has some."""

    def __init__(self, cause: Exception) -> None:
        not_text = isinstance(cause, UnicodeEncodeError)
        super().__init__("it has text that is not UTF-8" if not_text else str(cause).splitlines()[0].rstrip("."))


@dataclass(frozen=True, slots=True)
class Source:
    """A database that is read: `connection` is in one transaction, which sees one moment for as long as it takes.

    `name` is for people, and has no password. Two ends with the same `identity` are the same database.
    """

    name: str
    identity: Hashable
    connection: Connection
    now: Callable[[], AbstractContextManager[Connection]]
    """Another transaction, which sees what has been written since."""


class Target(Protocol):
    """A database that is written, owned by this copy alone."""

    @property
    def name(self) -> str: ...
    @property
    def identity(self) -> Hashable: ...
    @property
    def engine(self) -> Engine: ...

    def migrate(self) -> None:
        """Make the tables."""

    def insert(self, connection: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
        """Insert rows, as `Rows` reads them. Raises `RowUnfit` if one cannot be held."""

    def settle(self, connection: Connection) -> None:
        """Make ready for the server what came in by copy: what counts up counts on, what plans knows the tables."""


def refuse_same_file(source: str, target: str) -> None:
    """Raise `StartupError` if both URLs name one SQLite file; each end alone would take the other for a server."""
    if not is_postgres(source) and not is_postgres(target):
        from app.storage.sqlite import file_of

        if file_of(source) == file_of(target):
            raise StartupError(f"Both ends of the copy are {file_of(source)}.")


def open_source(url: str) -> AbstractContextManager[Source]:
    """The database to read. Raises `StartupError` with a sentence."""
    if is_postgres(url):
        from app.storage.copy.ends_postgres import postgres_source

        return postgres_source(url)
    from app.storage.copy.ends_sqlite import sqlite_source

    return sqlite_source(url)


def open_target(url: str) -> AbstractContextManager[Target]:
    """The database to write, made if need be, with nothing changed yet. Raises `StartupError` with a sentence."""
    if is_postgres(url):
        from app.storage.copy.ends_postgres import postgres_target

        return postgres_target(url)
    from app.storage.copy.ends_sqlite import sqlite_target

    return sqlite_target(url)


@contextmanager
def reaching(name: str) -> Iterator[None]:
    """What a database refuses becomes a `StartupError` that says which database it was."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        said = " ".join(str(error.orig).split())
        raise StartupError(f"Something went wrong with {name}: {said}") from error
