"""Journey: all workers of a server are replaced at SIGHUP, while clients capture and subscribe."""

from tests.journeys.clients import CapturingClient
from tests.journeys.crashes import head_of, progress, witness
from tests.journeys.history import History
from tests.journeys.subscribers import PlainSubscriber
from tests.journeys.waiting import all_reach, capturing, eventually, running
from tests.workers import Workers

ROLL_SECONDS = 90.0


async def roll_under_load(
    server: Workers, history: History, *, rounds: int, seed: int, subscribers: int = 24, rate: float = 200
) -> None:
    """4 clients capture `rate` skills a second and some subscribe, while all workers are replaced `rounds` times."""
    clients = [CapturingClient(server.url, f"rolled{n}", history, rate=rate / 4, seed=seed) for n in range(4)]
    plain = [PlainSubscriber(server.url, f"rolled-plain{n}", history) for n in range(subscribers)]
    async with running(*(subscriber.run() for subscriber in plain)):
        await all_reach(plain, 0)
        async with capturing(clients):
            for _ in range(rounds):
                await progress(clients, 20)
                done = server.said("restart_done")
                server.roll()
                await eventually(lambda done=done: server.said("restart_done") > done, ROLL_SECONDS, "the restart")  # type: ignore[misc]
            await progress(clients, 20)
        head = await head_of(server)
        await all_reach(plain, head, 60)
    await witness(server, history, head)
