"""The real parts in this process: the application on a database of its own, for tests that look inside or need it fresh."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import httpx
from fastapi import FastAPI

from app.dependencies import Parts
from app.main import create_app
from app.settings import Settings
from app.storage.sqlite import migrate_sqlite

T = TypeVar("T")

WAIT_SECONDS = 10.0


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result; pytest needs no plugin for it."""
    return asyncio.run(coroutine)


async def until(condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Let the loop turn until the condition holds. Raises `TimeoutError`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # it may be about anything
            await asyncio.sleep(0.001)


async def within(awaitable: Awaitable[T], seconds: float = WAIT_SECONDS) -> T:
    """The result, or `TimeoutError`, so that a test that would hang fails instead."""
    async with asyncio.timeout(seconds):
        return await awaitable


def database_in(folder: Path) -> str:
    """The URL of the database in `folder`. A new one is a copy of one that was migrated before: that takes 0.1 s each."""
    file = folder / "cin.db"
    if not file.exists():
        file.write_bytes(_migrated())
    return f"sqlite:///{file}"


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "cin.db"
        migrate_sqlite(f"sqlite:///{file}")
        return file.read_bytes()


class Inside:
    """A running application: its parts, and a client that calls it without a socket."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient) -> None:
        self.app = app
        self.client = client
        self.parts: Parts = app.state.parts

    async def capture(self, skill: dict[str, Any]) -> dict[str, Any]:
        """The skill as it was answered."""
        answer = await self.client.post("/skills", json=skill)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def count_reads(self) -> "Reads":
        """Count the reads of the database from now on."""
        return Reads(self.parts)


class Reads:
    """Stands in front of `Database.read` and counts."""

    def __init__(self, parts: Parts) -> None:
        self.number = 0
        self._read = parts.database.read
        parts.database.read = self._count  # type: ignore[method-assign]  # the one place where all reads pass

    async def _count(self, work: Callable[..., T], *, patience_seconds: float | None = None) -> T:
        self.number += 1
        return await self._read(work, patience_seconds=patience_seconds)


@asynccontextmanager
async def application(folder: Path, **settings: Any) -> AsyncIterator[Inside]:
    """The application on a database in `folder`, unless another is given, from when it is ready to the end of the block."""
    app = create_app(Settings(**{"database_url": database_in(folder), **settings}))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://cin"
        ) as client,
    ):
        parts: Parts = app.state.parts
        # Before that, answers whose ETags come from the index have one that nobody has seen.
        await until(lambda: parts.hub.is_ready and parts.follower.is_ready)
        yield Inside(app, client)
