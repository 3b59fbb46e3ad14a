"""Journeys: the server dies, or falls silent, at one exact moment of a capture (see `dying_server`)."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tests.journeys import dying_server
from tests.journeys.clients import capture
from tests.journeys.crashes import witness
from tests.journeys.history import History
from tests.journeys.subscribers import ClientSubscriber, PlainSubscriber
from tests.journeys.waiting import all_reach, eventually, running
from tests.journeys.wire import Http
from tests.server import Server

Flaw = Literal["answer", "wake", "deaf"]


@contextmanager
def dying(folder: Path, flaw: Flaw, *, poll_seconds: str = "1") -> Iterator[tuple[Server, Path]]:
    """A server with a flaw, and the file that brings it out."""
    trigger = folder / "trigger"
    program = [sys.executable, "-m", dying_server.__name__, flaw, str(trigger)]
    with Server(folder, program=program, retry_milliseconds="100", poll_seconds=poll_seconds) as server:
        yield server, trigger


def _arm(trigger: Path) -> None:
    trigger.touch()


async def capture_while_it_dies(server: Server, trigger: Path, history: History) -> None:
    """One capture, then one that kills the server; nobody captures afterwards, only retries."""
    plain = PlainSubscriber(server.url, "plain", history)
    client = ClientSubscriber(server.url, "client", history, since="earliest")
    async with Http(server.url) as http, running(plain.run(), client.run()):
        await eventually(lambda: plain.offset == 0, 10, "the subscription")
        assert await capture(http, "first", history) == "ok"
        await all_reach([plain, client], 1)
        _arm(trigger)
        assert await capture(http, "second", history) == "unknown"
        assert await asyncio.to_thread(server.wait) == -signal.SIGKILL
        await asyncio.to_thread(server.start)
        await all_reach([plain, client], 2)  # before the retry: the restart alone brings it
        assert await capture(http, "second", history) == "ok"
        assert await capture(http, "second", history) == "ok"
        assert await capture(http, "third", history) == "ok"
        await all_reach([plain, client], 3)
    await witness(server, history, 3)


async def capture_unheard(server: Server, trigger: Path, history: History, *, restart: bool) -> None:
    """A capture whose wake is lost; before anybody looks by himself, the server may be killed."""
    plain = PlainSubscriber(server.url, "plain", history)
    client = ClientSubscriber(server.url, "client", history, since="earliest")
    async with Http(server.url) as http, running(plain.run(), client.run()):
        await eventually(lambda: plain.offset == 0, 10, "the subscription")
        assert await capture(http, "first", history) == "ok"
        await all_reach([plain, client], 1)
        _arm(trigger)
        assert await capture(http, "second", history) == "ok"
        if restart:
            assert plain.offset == client.offset == 1
            await asyncio.to_thread(server.restart)
        await all_reach([plain, client], 2)
    await witness(server, history, 2)
