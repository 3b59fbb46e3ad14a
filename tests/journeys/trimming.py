"""Journey: retention trims the log behind, beside and in front of readers that are catching up."""

import asyncio

from tests.journeys.clients import capture_batch
from tests.journeys.crashes import head_of
from tests.journeys.history import History
from tests.journeys.subscribers import PlainSubscriber
from tests.journeys.waiting import all_reach, eventually, running
from tests.journeys.wire import Http
from tests.server import Server

EVENT_BYTES = 2_000
BATCH = 200
CAPTURED = "skill.captured"
"""All that happens here; the last reader asks for it by name, so that it does not find what the others have read."""


async def trim_under_readers(server: Server, history: History, *, batches: int, seed: int, kept: int) -> None:
    """The log grows by `batches` while 5 readers read it, each slower than the one before; the last stops.

    `server` has to trim to the newest `kept` (`retention_days="0"`, `retention_events=kept`).
    """
    names = (f"trim{seed}-{n}" for n in range((batches + 5) * BATCH))
    readers = [
        PlainSubscriber(server.url, f"reader{seed}-{n}", history, since="earliest", pause_seconds=seconds, event=event)
        for n, (seconds, event) in enumerate([(0, None), (0.02, None), (0.08, None), (0.18, None), (None, CAPTURED)])
    ]
    async with Http(server.url) as http:
        for _ in range(5):
            await capture_batch(http, [next(names) for _ in range(BATCH)], history, size=EVENT_BYTES)
        async with running(*(reader.run() for reader in readers)):
            for _ in range(batches):
                await capture_batch(http, [next(names) for _ in range(BATCH)], history, size=EVENT_BYTES)
                await asyncio.sleep(0.05)
            head = await head_of(server)
            await eventually(lambda: server.metric("cin_events_trimmed_total") >= head - kept, 10, "trimming")
            for reader in readers:
                reader.hurry()
            await all_reach(readers, head)
