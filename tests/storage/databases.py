"""Databases of a test's own, opened as the server opens them."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import sqlalchemy as sa

from app.errors import StartupError
from app.storage.database import Database
from app.storage.sqlite import open_sqlite
from tests.inside import database_in

NOBODY = 65534


def url_of(file: Path) -> str:
    return f"sqlite:///{file}"


@asynccontextmanager
async def scratch_database(folder: Path) -> AsyncIterator[Database]:
    """A database with one more table, `note`, whose texts are unique."""
    async with open_sqlite(database_in(folder)) as database:
        await database.write(
            lambda tx: tx.connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS note (text TEXT UNIQUE)")
        )
        yield database


async def notes(database: Database) -> list[str]:
    """The texts that are on disk, in order."""

    def read(connection: sa.Connection) -> list[str]:
        return list(connection.exec_driver_sql("SELECT text FROM note ORDER BY rowid").scalars())

    return await database.read(read)


def refusal_as_nobody(attempt: Callable[[], object]) -> str:
    """The sentence of the `StartupError` that `attempt` raises for a user who is not root; empty if it raises none."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            attempt()
        except StartupError as error:
            os.write(writer, error.detail.encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as answer:
        return answer.read()
