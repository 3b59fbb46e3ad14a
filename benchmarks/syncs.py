"""Whether the system was told to put a capture on disk before the capture was answered, seen from outside by strace."""

import asyncio
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.journeys.clients import capture
from tests.journeys.history import History
from tests.journeys.wire import Http
from tests.server import Server

_CALLS = "fsync,fdatasync,write,writev,sendto,sendmsg"
_SYNCED = re.compile(r"f(data)?sync(\(| resumed).*\)\s+= 0$")
_ANSWERED = "HTTP/1.1 201"


async def captures_and_syncs(server: Server, history: History, folder: Path, *, captures: int) -> tuple[int, int]:
    """Of so many captures, one after the other, how many were answered, and how many of those after a sync of their own."""
    trace = folder / "trace"
    with _traced(server, trace):
        async with Http(server.url) as http:
            for number in range(captures):
                await capture(http, f"synced-{number}", history)
    return await asyncio.to_thread(_count, trace)


@contextmanager
def _traced(server: Server, trace: Path) -> Iterator[None]:
    command = ["strace", "-f", "-p", str(server.pid), "-e", f"trace={_CALLS}", "-s", "32", "-o", str(trace)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        attached = process.stderr.readline()
        try:
            if "attached" not in attached:
                raise RuntimeError(attached)
            yield
        finally:
            process.send_signal(signal.SIGINT)  # it lets go of the server, and ends


def _count(trace: Path) -> tuple[int, int]:
    answered = after_sync = 0
    synced = False
    for line in trace.read_text().splitlines():
        if _SYNCED.search(line):
            synced = True
        elif _ANSWERED in line:
            answered += 1
            after_sync += synced
            synced = False
    return answered, after_sync
