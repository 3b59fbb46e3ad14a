"""Journey: the primary dies under load, its standby is promoted, and the server goes on."""

import asyncio
from itertools import pairwise
from pathlib import Path

from tests.journeys.clients import CapturingClient
from tests.journeys.crashes import head_of, progress, witness
from tests.journeys.history import History
from tests.journeys.subscribers import ClientSubscriber, PlainSubscriber, Subscriber
from tests.journeys.waiting import all_reach, capturing, eventually, running
from tests.server import Server
from tests.standby import Pair, pair_running


def serve(pair: Pair, folder: Path) -> Server:
    """A server that may use both."""
    return Server(folder, database_url=pair.url, index_folder="memory", retry_milliseconds="100", poll_seconds="0.5")


async def fail_over_under_load(pair: Pair, server: Server, history: History, *, seed: int) -> float:
    """4 clients capture and 6 subscribe meanwhile; returns for how many seconds no capture was answered with success."""
    clients = [CapturingClient(server.url, f"client{seed}-{n}", history, rate=50, seed=seed) for n in range(4)]
    subscribers: list[Subscriber] = [
        *(PlainSubscriber(server.url, f"plain{seed}-{n}", history, since="earliest") for n in range(5)),
        ClientSubscriber(server.url, f"client{seed}", history, since="earliest"),
    ]
    async with running(*(subscriber.run() for subscriber in subscribers)):
        async with capturing(clients):
            await progress(clients, 100)
            await asyncio.to_thread(pair.fail_over)
            await progress(clients, 100)
        await all_reach(subscribers, await head_of(server), 60)
    await witness(server, history, await head_of(server))
    return longest_gap(history, f"client{seed}-")


def longest_gap(history: History, clients: str) -> float:
    """The longest time between two captures of these clients that were answered with success."""
    moments = sorted(each.at for each in history.tries if each.outcome == "ok" and each.name.startswith(clients))
    return max(later - earlier for earlier, later in pairwise(moments))


async def fail_over_again_and_again(folder: Path, history: History, *, rounds: int) -> list[float]:
    """A new pair each time, with commits that wait; the gaps in seconds."""
    gaps = []
    for number in range(rounds):
        place = folder / str(number)
        place.mkdir()
        with pair_running() as pair:
            pair.wait_for_commits()
            with serve(pair, place) as server:
                gaps.append(await fail_over_under_load(pair, server, history, seed=number))
    return gaps


async def lose_the_tail(pair: Pair, server: Server, history: History) -> None:
    """The standby lacks the newest events, which subscribers have read, and is promoted."""
    subscribers: list[Subscriber] = [
        PlainSubscriber(server.url, "plain", history, since="earliest"),
        ClientSubscriber(server.url, "client", history, since="earliest", agent="agent"),
    ]
    clients = [CapturingClient(server.url, "early", history, rate=50, seed=1)]
    async with running(*(subscriber.run() for subscriber in subscribers)):
        async with capturing(clients):
            await progress(clients, 20)
        await all_reach(subscribers, await head_of(server))
        await asyncio.to_thread(pair.wait_until_replayed)
        pair.standby.stop()
        late = [CapturingClient(server.url, "late", history, rate=50, seed=1)]
        async with capturing(late):
            await progress(late, 20)
        await all_reach(subscribers, await head_of(server))
        pair.primary.stop("immediate")
        await asyncio.to_thread(pair.standby.start)
        await asyncio.to_thread(pair.standby.promote)
        after = [CapturingClient(server.url, "after", history, rate=50, seed=1)]
        async with capturing(after):
            await progress(after, 20)
        await eventually(lambda: all(was_reset(history, each) for each in ("plain", "client")), 30, "resets")
        await all_reach(subscribers, await head_of(server))


def was_reset(history: History, subscriber: str) -> bool:
    """Whether it was told that its position is of another life."""
    blocks = [block for way in history.by_subscriber()[subscriber] for block in way.blocks]
    return any(block.event == "reset" and '"epoch"' in block.data for block in blocks)
