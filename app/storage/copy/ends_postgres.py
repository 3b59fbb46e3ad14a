"""The ends of a copy in PostgreSQL: a snapshot to read from, and COPY to write with."""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psycopg
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from app.errors import StartupError
from app.storage.copy.ends import RowUnfit, Source, Target, reaching
from app.storage.copy.rows import Row
from app.storage.migrations import migrate
from app.storage.postgres_connection import engine, parameters

_PATIENT = """SET LOCAL application_name = 'cin copy'; SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0"""
_READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_PATIENT}"
# What a crash of the server may take of a copy is its end, and the next one goes on there. The last commit waits.
_WRITE = f"BEGIN ISOLATION LEVEL READ COMMITTED; {_PATIENT}; SET LOCAL synchronous_commit = off"

_COPY_LOCK = 0x43494E43
"""The advisory lock of whoever copies into a database; the letters CINC."""
_LOCK_MILLISECONDS = 5_000
"""A copy that was killed holds it until the server notices."""

_SERVERS = sa.text("""
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'cin%' AND application_name <> 'cin copy'""")
_IDENTITY = sa.text("SELECT pg_postmaster_start_time(), current_database()")
_SEQUENCE = sa.text("SELECT pg_get_serial_sequence(:table, :column)")


@contextmanager
def postgres_source(url: str) -> Iterator[Source]:
    """One snapshot of the database. Whoever writes to it meanwhile would be left out, so no server may be connected."""
    reading, name = engine(url, begin=_READ), _name(url)
    with ExitStack() as stack:
        with reaching(name):
            connection = stack.enter_context(reading.connect())
            stack.enter_context(connection.begin())
            servers = connection.execute(_SERVERS).scalar_one()
            identity = _identity(connection)
        if servers:
            raise StartupError(
                f"CIN is running on {name} ({servers} connections), and what it writes from now on would be left out. "
                "Stop every process of it, and give the same command again."
            )
        yield Source(name, identity, connection, reading.begin)


@contextmanager
def postgres_target(url: str) -> Iterator[Target]:
    """The database, with a lock on it that ends with this process."""
    writing, name = engine(url, begin=_WRITE), _name(url)
    with ExitStack() as stack:
        with reaching(name):
            holding = stack.enter_context(writing.connect())
            stack.enter_context(holding.begin())
            _lock(holding, name)
            encoding = holding.exec_driver_sql("SHOW server_encoding").scalar_one()
            identity = _identity(holding)
        if encoding != "UTF8":
            raise StartupError(
                f"{name} keeps text as {encoding}. Make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
            )
        yield _PostgresTarget(name, identity, writing)


class _PostgresTarget:
    def __init__(self, name: str, identity: Hashable, writing: Engine) -> None:
        self.name = name
        self.identity = identity
        self.engine = writing

    def migrate(self) -> None:
        migrate(self.engine, copying=True)

    def insert(self, connection: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
        quote = connection.dialect.identifier_preparer.quote
        names = ", ".join(quote(column.name) for column in table.columns)
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        try:
            with (
                driver.cursor() as cursor,
                cursor.copy(f"COPY {quote(table.name)} ({names}) FROM STDIN".encode()) as into,
            ):
                for row in rows:
                    into.write_row(row)
        except (psycopg.DataError, psycopg.IntegrityError, ValueError) as error:
            raise RowUnfit(error) from error
        except psycopg.Error as error:
            raise StartupError(f"Something went wrong with {self.name}: {error}") from error

    def settle(self, connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
        connection.exec_driver_sql("ANALYZE")
        for table in sa.inspect(connection).get_table_names():
            self._count_on(connection, table)

    def _count_on(self, connection: Connection, table: str) -> None:
        """Let the table's sequences, if it has any, go on behind the greatest number there is."""
        quote = connection.dialect.identifier_preparer.quote
        for column in sa.inspect(connection).get_columns(table):
            sequence = connection.execute(_SEQUENCE, {"table": quote(table), "column": column["name"]}).scalar()
            if sequence is not None:
                greatest = sa.text(f"SELECT setval(:sequence, max({quote(column['name'])})) FROM {quote(table)}")  # noqa: S608
                connection.execute(greatest, {"sequence": sequence})


def _lock(connection: Connection, name: str) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_LOCK_MILLISECONDS}")
    try:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_COPY_LOCK})")
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == "55P03":
            raise StartupError(f"Another copy into {name} is at work. Wait for it, or stop it.") from None
        raise


def _identity(connection: Connection) -> Hashable:
    """A server has one moment at which it was started, and one database of each name."""
    return tuple(connection.execute(_IDENTITY).one())


def _name(url: str) -> str:
    given = parameters(url)
    where = given.get("host") or given.get("hostaddr") or "localhost"
    return f"{given.get('dbname') or given.get('user') or 'PostgreSQL'} at {where}"
