"""Journey: the server ends at random moments while clients capture and subscribe, and is started again each time."""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import TypeVar

from tests.journeys.checker import place
from tests.journeys.clients import CapturingClient
from tests.journeys.history import History
from tests.journeys.subscribers import ClientSubscriber, PlainSubscriber, Subscriber
from tests.journeys.waiting import all_reach, capturing, eventually, running
from tests.journeys.wire import Http
from tests.server import Server

log = logging.getLogger("journeys")

S = TypeVar("S", bound=Server)

WAYS_TO_BEGIN = ("earliest", "now", "0")


async def end_at_random(
    server: S,
    history: History,
    *,
    rounds: int,
    seed: int,
    end: Callable[[S], object] = Server.kill,
    begin: Callable[[S], object] = Server.start,
    between: int = 200,
    rate: float = 300,
) -> None:
    """4 clients capture `rate` skills a second, 20 subscribe, the server is ended and started again `rounds` times.

    Up to `between` captures lie between two ends. It ends when every capture has had its retries and every subscriber
    has reached the head, as has a witness who reads the whole log in the end.
    """
    chance = random.Random(seed)
    clients = [CapturingClient(server.url, f"client{n}", history, rate=rate / 4, seed=seed) for n in range(4)]
    subscribers: list[Subscriber] = [
        *(PlainSubscriber(server.url, f"plain{n}", history, since=WAYS_TO_BEGIN[n % 3]) for n in range(18)),
        ClientSubscriber(server.url, "client", history),
        ClientSubscriber(server.url, "agent", history, since="earliest", agent="agent"),
    ]
    async with running(*(subscriber.run() for subscriber in subscribers)):
        async with capturing(clients):
            for number in range(rounds):
                await progress(clients, chance.randint(20, between))
                await asyncio.sleep(chance.random() / 10)
                await asyncio.to_thread(end, server)
                await asyncio.to_thread(begin, server)
                log.info("ended and started again, %d of %d", number + 1, rounds)
            await progress(clients, 20)
        head = await head_of(server)
        await all_reach(subscribers, head, 60)
    await witness(server, history, head)


async def witness(server: Server, history: History, head: int) -> None:
    """Have somebody new read the log from its beginning, so that what all others missed is noticed too."""
    reader = PlainSubscriber(server.url, "witness", history, since="earliest")
    async with running(reader.run()):
        await all_reach([reader], head, 60)


async def head_of(server: Server) -> int:
    """The newest offset."""
    async with Http(server.url) as http:
        return place(str((await http.get("/info")).json()["head"])).offset


async def progress(clients: list[CapturingClient], more: int) -> None:
    """Wait until so many more captures were answered."""
    target = sum(client.captured for client in clients) + more
    await eventually(lambda: sum(client.captured for client in clients) >= target, 30, f"{more} more captures")
