"""Which database a URL names. Only the one that is asked for is imported."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from sqlalchemy import Connection

from app.storage.database import Database
from app.storage.timelines import Timelines


def is_postgres(url: str) -> bool:
    """Whether `url` names a PostgreSQL server, as libpq spells it."""
    return url.startswith(("postgresql://", "postgres://"))


def open_database(
    url: str,
    then: Callable[[Connection], None] | None = None,
    timelines: Timelines | None = None,
    replicas: Sequence[str] = (),
) -> AbstractAsyncContextManager[Database]:
    """The database, made and migrated if need be. Raises `StartupError` with a sentence.

    On a server, which may have been replaced by another one, `then` is done first, without limit of time;
    `replicas` are the URLs of its copies.
    """
    if is_postgres(url):
        from app.storage.postgres import open_postgres

        return open_postgres(url, then, timelines, replicas)
    from app.storage.sqlite import open_sqlite

    return open_sqlite(url)


def migrate_database(url: str, then: Callable[[Connection], None] | None = None) -> tuple[str | None, str]:
    """Bring the database to this program's version, and do `then` if it is given; returns the revisions before and after."""
    if is_postgres(url):
        from app.storage.postgres import migrate_postgres

        return migrate_postgres(url, then)
    from app.storage.sqlite import migrate_sqlite

    return migrate_sqlite(url, then)
