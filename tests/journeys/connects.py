"""Journey: subscribers come at random moments and from random places, while others capture."""

import asyncio
import logging
import random

from tests.journeys.clients import CapturingClient
from tests.journeys.crashes import head_of
from tests.journeys.history import History
from tests.journeys.subscribers import ClientSubscriber, PlainSubscriber, SocketSubscriber, Subscriber
from tests.journeys.waiting import all_reach, capturing, eventually, running
from tests.server import Server

log = logging.getLogger("journeys")

CONNECTS_A_SECOND = 30
AT_ONCE = 20
OLDER_EVENTS = 100
"""How many there are before the first comes, so that some places lie behind a small ring, however slow the machine is."""

PAST_THE_SEAM = 30
"""How many events each reads beyond those that were there when it came."""


async def connect_at_random(server: Server, history: History, *, connects: int, seed: int, rate: float = 300) -> None:
    """`connects` subscribers, each from `now`, `earliest`, an offset or a position, read across the seam and go."""
    chance = random.Random(seed)
    clients = [CapturingClient(server.url, f"seam{seed}-{n}", history, rate=rate / 8, seed=seed) for n in range(8)]
    guide = PlainSubscriber(server.url, f"guide{seed}", History())
    room = asyncio.Semaphore(AT_ONCE)
    head = await head_of(server)
    async with running(guide.run()), capturing(clients), asyncio.TaskGroup() as visits:
        await eventually(lambda: guide.offset >= head + OLDER_EVENTS, 30, f"{OLDER_EVENTS} events")
        epoch = guide.epoch
        for number in range(connects):
            await asyncio.sleep(chance.expovariate(CONNECTS_A_SECOND))
            await room.acquire()
            visitor = _visitor(server.url, f"visitor{seed}-{number}", history, _since(chance, epoch, guide.offset))
            visit = visits.create_task(_visit(visitor, guide))
            visit.add_done_callback(lambda _: room.release())
    log.info("%d subscribers came and went, up to offset %d", connects, guide.offset)


async def _visit(visitor: Subscriber, guide: Subscriber) -> None:
    async with running(visitor.run()):
        await all_reach([visitor], guide.offset + PAST_THE_SEAM)


def _since(chance: random.Random, epoch: str, head: int) -> str:
    offset = chance.choice([chance.randint(0, head), max(0, head - chance.randint(0, 20)), head])
    return chance.choice(["now", "now", "earliest", str(offset), f"{epoch}-{offset}"])


def _visitor(url: str, name: str, history: History, since: str) -> Subscriber:
    """One in ten comes by `app.client`, four by WebSocket."""
    kinds = {"7": ClientSubscriber} | dict.fromkeys("0246", SocketSubscriber)
    return kinds.get(name[-1], PlainSubscriber)(url, name, history, since=since)
