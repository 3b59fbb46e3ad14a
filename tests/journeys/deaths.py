"""Journeys: the server dies, or falls silent, at one exact moment of a capture (see `dying_server`)."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from tests.journeys import dying_server
from tests.journeys.clients import capture
from tests.journeys.crashes import head_of
from tests.journeys.history import History
from tests.journeys.subscribers import ClientSubscriber, PlainSubscriber, Subscriber
from tests.journeys.waiting import all_reach, eventually, running
from tests.journeys.wire import Http
from tests.server import Server

POLL_SECONDS = 3.0


@contextmanager
def dying(folder: Path) -> Iterator[tuple[Server, Path]]:
    """A server that can be given a flaw, and the file that gives it. It looks at the log by itself every 3 s."""
    trigger = folder / "flaw"
    program = partial(dying_server.main, trigger)
    with Server(folder, program=program, retry_milliseconds="100", poll_seconds=str(POLL_SECONDS)) as server:
        yield server, trigger


async def capture_while_it_dies(
    server: Server, trigger: Path, history: History, flaw: Literal["answer", "wake"]
) -> None:
    """One capture, then one that kills the server; after the restart nobody captures, and then there are only retries."""
    async with _subscribed(server, history) as (subscribers, http, head):
        second, third = f"dying-{head}-2", f"dying-{head}-3"
        _give(trigger, flaw)
        assert await capture(http, second, history) == "unknown"
        assert await asyncio.to_thread(server.wait) == -signal.SIGKILL
        await asyncio.to_thread(server.start)
        await all_reach(subscribers, head + 2)  # before the retry: the restart alone brings it
        assert await capture(http, second, history) == "ok"
        assert await capture(http, second, history) == "ok"
        assert await capture(http, third, history) == "ok"
        await all_reach(subscribers, head + 3)


async def capture_unheard(server: Server, trigger: Path, history: History, *, restart: bool) -> None:
    """One capture, then one whose wake is lost; before anybody looks by himself, the server may be killed."""
    async with _subscribed(server, history) as (subscribers, http, head):
        _give(trigger, "deaf")
        assert await capture(http, f"dying-{head}-2", history) == "ok"
        assert [subscriber.offset for subscriber in subscribers] == [head + 1, head + 1]
        _give(trigger, "")
        if restart:
            await asyncio.to_thread(server.restart)
        await all_reach(subscribers, head + 2)


@asynccontextmanager
async def _subscribed(server: Server, history: History) -> AsyncIterator[tuple[list[Subscriber], Http, int]]:
    """Two subscribers from the head on, which have read one capture, and that head. In the end a third reads the same."""
    await eventually(lambda: server.metric("cin_streams") == 0, 10, "the end of older streams")
    head = await head_of(server)
    subscribers: list[Subscriber] = [
        PlainSubscriber(server.url, f"plain-{head}", history, since=str(head)),
        ClientSubscriber(server.url, f"client-{head}", history, since=str(head)),
    ]
    async with Http(server.url) as http, running(*(subscriber.run() for subscriber in subscribers)):
        await eventually(lambda: server.metric("cin_streams") == 2, 10, "both subscriptions")
        assert await capture(http, f"dying-{head}-1", history) == "ok"
        await all_reach(subscribers, head + 1)
        yield subscribers, http, head
    late = PlainSubscriber(server.url, f"late-{head}", history, since=str(head))
    async with running(late.run()):
        await all_reach([late], await head_of(server))


def _give(trigger: Path, flaw: str) -> None:
    trigger.write_text(flaw)
