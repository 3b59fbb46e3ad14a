"""Subscribers in a process of their own, so that they can be stopped as a whole, as a suspended laptop is.

    python -m tests.journeys.reader URL NUMBER FILE

Reads from the head on; told an offset on standard input, it reads that far, saves its history in FILE and ends.
"""

import asyncio
import sys
from pathlib import Path

from tests.journeys.history import History
from tests.journeys.subscribers import PlainSubscriber
from tests.journeys.waiting import all_reach, running


async def read(url: str, number: int, file: Path) -> None:
    history = History()
    readers = [PlainSubscriber(url, f"reader{n}", history) for n in range(number)]
    async with running(*(reader.run() for reader in readers)):
        offset = int(await asyncio.to_thread(sys.stdin.readline))
        await all_reach(readers, offset, 60)
    history.save(file)


if __name__ == "__main__":
    asyncio.run(read(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
