"""Databases of a test's own, opened as the server opens them."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import sqlalchemy as sa

from app.errors import StartupError
from app.storage.database import Database, Transaction
from app.storage.opening import open_database

NOBODY = 65534


def url_of(file: Path) -> str:
    return f"sqlite:///{file}"


NOTE = sa.Table(
    "note", sa.MetaData(), sa.Column("number", sa.Integer, primary_key=True), sa.Column("text", sa.Text, unique=True)
)


@asynccontextmanager
async def scratch_database(url: str) -> AsyncIterator[Database]:
    """A database with one more table, `note`, whose texts are unique."""
    async with open_database(url) as database:
        await database.write(lambda tx: NOTE.create(tx.connection, checkfirst=True))
        yield database


def add_note(tx: Transaction, text: str) -> None:
    tx.connection.execute(sa.insert(NOTE), {"text": text})


async def notes(database: Database) -> list[str]:
    """The texts that are on disk, in order."""

    def read(connection: sa.Connection) -> list[str]:
        return list(connection.execute(sa.select(NOTE.c.text).order_by(NOTE.c.number)).scalars())

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
