"""PostgreSQL as the database of many processes: any of them may die, and so may the server.

Every transaction says itself what it needs, with its `BEGIN` and in the same round trip, and leaves nothing behind on the
connection: a pooler in transaction mode may give each transaction another one. Whoever waits is answered within
`PATIENCE_SECONDS`, whatever has become of the server or of the way to it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager

import psycopg
import sqlalchemy as sa
from psycopg import conninfo
from sqlalchemy import Engine

from app.errors import CINError, StartupError, StorageFull, Unavailable
from app.storage.database import Database, Sharing
from app.storage.lane import Lane
from app.storage.migrations import migrate
from app.storage.postgres_connection import PATIENCE_SECONDS, Connection, engine, parameters
from app.storage.replicas import Replica, Replicas
from app.storage.timelines import Timelines

READERS = 4
"""Reader threads, as on SQLite; each process has two more connections, and two that carry wakes."""

CONNECTIONS = READERS + 4
"""Connections that one process has to the server."""

_MILLISECONDS = round(PATIENCE_SECONDS * 1_000)

# The server ends a statement before its caller gives up, and a transaction whose process sleeps: it holds the log's row.
_LIMITS = f"SET LOCAL statement_timeout = {_MILLISECONDS - 500}"
_READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}"
_WRITE = f"""BEGIN ISOLATION LEVEL READ COMMITTED; {_LIMITS};
SET LOCAL idle_in_transaction_session_timeout = {_MILLISECONDS};
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"""

_MIGRATION_LOCK = 0x43494E
"""The advisory lock that a migration holds; the letters CIN."""

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
        follower=_lane(engine(url, begin=None, timelines=timelines), 1, "follower"),
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


def _lane(engine: Engine, threads: int, name: str) -> Lane:
    return Lane(engine, threads, name=name, is_lost=_is_lost, cut=Connection.cut)


def _replica(url: str, timelines: Timelines) -> Replica:
    given = parameters(url)
    name = f"{given.get('host', given.get('hostaddr', 'localhost'))}:{given.get('port', 5432)}"
    whoever_answers = conninfo.make_conninfo(url, target_session_attrs="any")
    return Replica(name, _lane(engine(whoever_answers, begin=_READ, timelines=timelines), READERS, "replica"))


def _hold(connection: sa.Connection) -> None:
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")


def _version(url: str) -> str:
    with _opening(), closing(Connection.open(parameters(url), Timelines())) as connection:
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
