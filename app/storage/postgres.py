"""PostgreSQL as the database of many processes: any of them may die, and so may the server.

Every transaction says itself what it needs, with its `BEGIN` and in the same round trip, and leaves nothing behind on the
connection: a pooler in transaction mode may give each transaction another one. Whoever waits is answered within
`PATIENCE_SECONDS`, whatever has become of the server or of the way to it.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from typing import Any, Self

import orjson
import psycopg
import sqlalchemy as sa
from psycopg import conninfo
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event
from sqlalchemy.pool import NullPool

from app.errors import CINError, StartupError, StorageFull, Unavailable
from app.storage.database import Database, Sharing
from app.storage.lane import Lane
from app.storage.migrations import migrate
from app.storage.replicas import Replica, Replicas
from app.storage.timelines import Timelines

READERS = 4
"""Reader threads, as on SQLite; each process has two more connections, and two that carry wakes."""

CONNECTIONS = READERS + 4
"""Connections that one process has to the server."""

PATIENCE_SECONDS = 4.0
"""How long a request waits for the database before it is answered with 503."""

_MILLISECONDS = round(PATIENCE_SECONDS * 1_000)

# The server ends a statement before its caller gives up, and a transaction whose process sleeps: it holds the log's row.
_LIMITS = f"SET LOCAL statement_timeout = {_MILLISECONDS - 500}"
_READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}"
_WRITE = f"""BEGIN ISOLATION LEVEL READ COMMITTED; {_LIMITS};
SET LOCAL idle_in_transaction_session_timeout = {_MILLISECONDS};
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"""

# A wait for standbys that is cancelled, by the time-out too, is a success to PostgreSQL, with no more than a warning.
_COMMIT = "SET LOCAL statement_timeout = 0; SET LOCAL client_min_messages = warning; COMMIT"

_TIMELINE = """SELECT CASE WHEN pg_is_in_recovery() THEN 0
ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint END"""

_MIGRATION_LOCK = 0x43494E
"""The advisory lock that a migration holds; the letters CIN."""

_DEFAULTS = {
    "connect_timeout": "2",
    "application_name": "cin",
    "client_encoding": "utf8",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": str(_MILLISECONDS),
}

_NOT_SERVING = ("08", "25006", "53300", "57P")
"""Connection trouble, a server that only reads, too many connections, a server that stops or starts."""

_UNDONE = ("23505", "40001", "40P01")
"""A row that another transaction has just made, and two ways to have been in the way of one."""


_STANDING = """
SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_setting('synchronous_standby_names'),
       count(*), count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')), count(*) FILTER (WHERE sync_state IS NULL)
FROM pg_stat_replication"""


@asynccontextmanager
async def open_postgres(
    url: str,
    then: Callable[[sa.Connection], None] | None = None,
    timelines: Timelines | None = None,
    replicas: Sequence[str] = (),
) -> AsyncIterator[Database]:
    """The database that `url` names to libpq, migrated if need be, with `then` done to it. No server is used that is older
    than those `timelines` has seen. Raises `StartupError` with a sentence.
    """
    timelines = timelines or Timelines()
    await asyncio.to_thread(migrate_postgres, url, then, timelines)
    version = await asyncio.to_thread(_version, url)
    copies = [_replica(each, timelines) for each in replicas]
    writer = engine(url, begin=_WRITE, timelines=timelines)
    reader = engine(url, begin=_READ, timelines=timelines)
    database = Database(
        writer=_lane(writer, 1, "writer"),
        reader=_lane(reader, READERS, "reader"),
        follower=_lane(reader, 1, "follower"),
        translate=translate,
        storage=f"PostgreSQL {version}",
        durability=durability,
        sharing=Sharing(PATIENCE_SECONDS, _is_undone),
        timelines=timelines,
        replicas=Replicas(copies),
    )
    try:
        yield database
    finally:
        await database.close()


def migrate_postgres(
    url: str, then: Callable[[sa.Connection], None] | None = None, timelines: Timelines | None = None
) -> tuple[str | None, str]:
    """Bring the database to this program's version, and do `then` if it is given; returns the revisions before and after.

    Of several processes that start at once one migrates; the others wait for it, and find nothing left to do.
    """
    migrating = engine(url, begin="BEGIN", timelines=timelines)
    try:
        with _opening():
            revisions = migrate(migrating, hold=_hold)
            if then is not None:
                with migrating.begin() as connection:
                    then(connection)
            return revisions
    finally:
        migrating.dispose()


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


def translate(error: sa.exc.DBAPIError) -> CINError | sa.exc.DBAPIError:
    """SQLSTATEs as ours; see https://www.postgresql.org/docs/current/errcodes-appendix.html."""
    state = _state(error)
    if state == "53100":
        return StorageFull("There is no room left for this on the database's disk. Nothing was changed.")
    if state == "57014":
        return Unavailable("The database took too long for this. Try again in a moment.")
    if state in ("40001", "40P01"):
        return Unavailable("Others were changing the same at the same moment. Try again.")
    if _is_lost(error):
        return Unavailable(
            f"The database does not answer ({state or type(error.orig).__name__}). Try again in a moment."
        )
    return error


def durability(connection: sa.Connection) -> str:
    """What an answered capture has survived, by the settings in force and by the standbys that are connected."""
    commit, fsync, names, standbys, synchronous, hidden = connection.exec_driver_sql(_STANDING).one()
    if fsync == "off":
        return "Nothing is promised: the server runs with fsync=off, and may lose answered captures when it stops."
    if not names or commit == "local":
        return "Answered captures are flushed by the primary only; a standby may lack the newest ones."
    done = {"remote_write": "written", "remote_apply": "flushed and shown"}.get(commit, "flushed")
    if synchronous:
        now = f"{synchronous} of {standbys} standbys are"
    else:
        now = "this user may not see which are" if hidden else "none is connected, so captures wait"
    return f"Answered captures are flushed by the primary and {done} by synchronous standbys ({names}; {now})."


def connections_allowed(connection: sa.Connection) -> int:
    """How many connections the server gives to users who are not its superusers, all together."""
    reserved = "current_setting('superuser_reserved_connections')::int"
    return int(connection.exec_driver_sql(f"SELECT current_setting('max_connections')::int - {reserved}").scalar_one())


def engine(url: str, *, begin: str, timelines: Timelines | None = None) -> Engine:
    """Connections to the server, each opened when it is asked for; `begin` starts each transaction."""
    given = parameters(url)
    seen = timelines or Timelines()
    made = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: _Connection.open(given, seen),
        poolclass=NullPool,  # every thread keeps its own
        use_native_hstore=False,
        json_serializer=orjson.dumps,
        json_deserializer=orjson.loads,
    )

    @event.listens_for(made, "begin")
    def _begin(connection: sa.Connection) -> None:
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


class _Connection(psycopg.Connection[Any]):
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


def _lane(engine: Engine, threads: int, name: str) -> Lane:
    return Lane(engine, threads, name=name, is_lost=_is_lost, cut=_Connection.cut)


def _replica(url: str, timelines: Timelines) -> Replica:
    given = parameters(url)
    name = f"{given.get('host', given.get('hostaddr', 'localhost'))}:{given.get('port', 5432)}"
    whoever_answers = conninfo.make_conninfo(url, target_session_attrs="any")
    return Replica(name, _lane(engine(whoever_answers, begin=_READ, timelines=timelines), READERS, "replica"))


def _hold(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")


def _version(url: str) -> str:
    with _opening(), closing(_Connection.open(parameters(url), Timelines())) as connection:
        query = "SELECT current_setting('server_encoding'), current_setting('server_version')"
        ((encoding, version),) = connection.execute(query).fetchall()
        if encoding != "UTF8":
            raise StartupError(
                f"The database keeps text as {encoding}. Make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
            )
        return str(version).split()[0]


def _state(error: sa.exc.DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _is_lost(error: sa.exc.DBAPIError) -> bool:
    """Whether the connection is of no more use: it is gone, or its server does not write any more."""
    state = _state(error)
    if state is not None:
        return state.startswith(_NOT_SERVING) or error.connection_invalidated
    return error.connection_invalidated or isinstance(error.orig, psycopg.OperationalError)


def _is_undone(error: sa.exc.DBAPIError) -> bool:
    return _state(error) in _UNDONE


@contextmanager
def _opening() -> Iterator[None]:
    try:
        yield
    except (sa.exc.DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        said = " ".join(str(cause).split())
        raise StartupError(f"The database that CIN_DATABASE_URL names cannot be opened: {said}") from error
