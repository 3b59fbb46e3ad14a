"""Running things beside each other, and waiting for what they bring about."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.journeys.clients import CapturingClient
from tests.journeys.subscribers import Subscriber


@asynccontextmanager
async def running(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run endless jobs until the end of the block; one that fails ends the block."""
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(job) for job in jobs]
        yield
        for task in started:
            task.cancel()


@asynccontextmanager
async def capturing(clients: Sequence[CapturingClient]) -> AsyncIterator[None]:
    """Let clients capture until the end of the block, and finish what they have begun."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(client.run(stop))
        yield
        stop.set()


async def eventually(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Look again and again until it holds. Raises `TimeoutError`."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110  # it may be about another process
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise TimeoutError(f"{what} did not hold within {seconds} s") from None


async def all_reach(subscribers: Sequence[Subscriber], offset: int, seconds: float = 30) -> None:
    """Wait until every subscriber has come to an offset."""
    await eventually(lambda: all(s.offset >= offset for s in subscribers), seconds, f"all subscribers at {offset}")
