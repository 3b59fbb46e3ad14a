"""An answered capture is on disk. Killing a process cannot show that, for the system keeps what it wrote; settings can."""

import asyncio
from pathlib import Path

from tests.journeys.serving import pragma, serving

FULL = 2
"""https://sqlite.org/pragma.html#pragma_synchronous"""


def test_the_connection_that_writes_syncs_every_commit(tmp_path: Path) -> None:
    assert asyncio.run(ask_the_writer(tmp_path / "cin.db", "synchronous", "journal_mode")) == [FULL, "wal"]


async def ask_the_writer(database: Path, *names: str) -> list[object]:
    async with serving(database) as (_, parts):
        return [await pragma(parts, name) for name in names]
