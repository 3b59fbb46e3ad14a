"""What a process does that appends to a log, one event a transaction, and prints the offsets."""

import asyncio
from functools import partial

from app.eventlog.log import EventLog
from app.eventlog.network import open_network
from app.eventlog.notifier import LocalNotifier
from app.storage.opening import open_database
from tests.factories import make_event


def append(url: str, number: int) -> None:
    """Append so many events."""
    asyncio.run(_append(url, number))


async def _append(url: str, number: int) -> None:
    async with open_database(url) as database:
        network = await open_network(database)
        log = EventLog(database, LocalNotifier(), poll_seconds=60)
        for _ in range(number):
            (event,) = await database.write(partial(log.append, network_id=network.id, make=[make_event]))
            print(event.offset)
