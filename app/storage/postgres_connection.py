"""Connections to PostgreSQL: where to, how a transaction begins and ends on one, and how another thread cuts it."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self

import orjson
import psycopg
import sqlalchemy as sa
from psycopg import conninfo
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event
from sqlalchemy.pool import NullPool

from app.errors import StartupError
from app.storage.timelines import Timelines

PATIENCE_SECONDS = 4.0
"""How long a request waits for the database before it is answered with 503."""

# A wait for standbys that is cancelled, by the time-out too, is a success to PostgreSQL, with no more than a warning.
_COMMIT = "SET LOCAL statement_timeout = 0; SET LOCAL client_min_messages = warning; COMMIT"

_TIMELINE = """SELECT CASE WHEN pg_is_in_recovery() THEN 0
ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint END"""

_DEFAULTS = {
    "connect_timeout": "2",
    "application_name": "cin",
    "client_encoding": "utf8",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": str(round(PATIENCE_SECONDS * 1_000)),
}


def parameters(url: str, setting: str = "CIN_DATABASE_URL") -> dict[str, Any]:
    """What libpq makes of the URL, and what is chosen where it is silent. Raises `StartupError` that names the `setting`."""
    try:
        given = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise StartupError(
            f"{setting} is not a URL that PostgreSQL understands: {str(error).strip()}. "
            "Write postgresql://user:password@host:5432/database, for example."
        ) from None
    several = "," in f"{given.get('host', '')}{given.get('hostaddr', '')}"
    return {**_DEFAULTS, **({"target_session_attrs": "read-write"} if several else {}), **given}


def engine(url: str, *, begin: str | None, timelines: Timelines | None = None) -> Engine:
    """Connections to the server, each opened when it is asked for; `begin` starts each transaction, None if each statement
    is one."""
    given = parameters(url)
    seen = timelines or Timelines()
    made = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: Connection.open(given, seen),
        poolclass=NullPool,  # every thread keeps its own
        use_native_hstore=False,
        json_serializer=orjson.dumps,
        json_deserializer=orjson.loads,
    )

    @event.listens_for(made, "begin")
    def _begin(connection: sa.Connection) -> None:
        if begin is not None:
            connection.exec_driver_sql(begin)

    @event.listens_for(made, "before_cursor_execute", retval=True)
    def _without_nul(_: object, __: object, statement: str, values: Any, ___: object, ____: bool) -> tuple[str, Any]:
        """PostgreSQL refuses NUL even where it is looked for. U+0001 is found as little: no text that is kept has one."""
        if isinstance(values, dict) and any(isinstance(value, str) and "\0" in value for value in values.values()):
            clean = {
                name: value.replace("\0", "\1") if isinstance(value, str) else value for name, value in values.items()
            }
            return statement, clean
        return statement, values

    return made


class Connection(psycopg.Connection[Any]):
    """A connection that another thread can cut.

    It has a second handle on its socket for that: the first one's number may by then be another file's.
    """

    _handle: socket.socket | None = None
    _warned: str | None = None

    @classmethod
    def open(cls, given: dict[str, Any], timelines: Timelines) -> Self:
        """Connected, with no transaction but those that are begun by hand, and nothing prepared on the server.

        Of several hosts the first one that serves is taken, but not a primary that another has replaced.
        """
        connection = cls._connect(given, timelines)
        for alone in _hosts(given) if connection is None else ():
            with suppress(psycopg.OperationalError):
                connection = connection or cls._connect(alone, timelines)
        if connection is None:
            raise psycopg.OperationalError("this primary was replaced by another one, and must not be used")
        return connection

    @classmethod
    def _connect(cls, given: dict[str, Any], timelines: Timelines) -> Self | None:
        """None if it is a primary that was replaced."""
        connection = cls.connect(**given, autocommit=True, prepare_threshold=None)
        if not timelines.admit(connection.execute(_TIMELINE).fetchone()[0]):  # type: ignore[index]
            connection.close()
            return None
        connection._handle = socket.socket(fileno=os.dup(connection.fileno()))
        connection.add_notice_handler(connection._hear)
        return connection

    def commit(self) -> None:
        """Raises `OperationalError` after a warning too: it may be of a commit that a standby has not confirmed.

        Nobody knows then what survives, and the connection is of no more use.
        """
        if self.info.transaction_status == TransactionStatus.IDLE:
            return
        self._warned = None
        self.execute(_COMMIT)
        if self._warned is not None:
            raise psycopg.OperationalError(f"the commit came with a warning: {self._warned}")

    def cut(self) -> None:
        """End whatever is waited for on this connection, with an error."""
        if self._handle is not None:
            with suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)

    def _hear(self, notice: Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._warned = notice.message_primary

    def close(self) -> None:
        super().close()
        if self._handle is not None:
            self._handle.close()


def _hosts(given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The hosts that libpq was given, each alone; nothing if there is only one."""
    lists = {name: str(given[name]).split(",") for name in ("host", "hostaddr", "port") if given.get(name)}
    number = max((len(each) for each in lists.values()), default=1)
    for place in range(number if number > 1 else 0):
        yield given | {name: each[place % len(each)] for name, each in lists.items()}
