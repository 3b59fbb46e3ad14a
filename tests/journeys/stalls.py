"""Journey: readers are stopped while events keep coming, and go on later; what that costs the others and the server."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

from tests.journeys.clients import CapturingClient, capture_batch
from tests.journeys.crashes import head_of
from tests.journeys.history import History
from tests.journeys.subscribers import PlainSubscriber
from tests.journeys.waiting import all_reach, capturing, eventually, running
from tests.journeys.wire import Http
from tests.server import Server

MIB = 1024 * 1024

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: cin\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
"""The handshake of a WebSocket."""


class StallFigures(NamedTuple):
    """`p95_seconds` is from capture to a healthy reader; `bytes_each` is the server's growth for each stopped reader."""

    p95_seconds_before: float
    p95_seconds_meanwhile: float
    bytes_each: float
    closed: int


async def stop_readers(
    server: Server,
    history: History,
    folder: Path,
    *,
    stopped_seconds: float,
    until_closed: bool,
    seed: int,
    readers: int = 20,
    rate: float = 200,
    event_bytes: int = 4_000,
) -> StallFigures:
    """Readers are stopped under `rate` events a second, then continued; all of them read everything in the end.

    They stay so for `stopped_seconds`, or longer, until the server has closed all their streams. The events of that
    time must be more than the system buffers for a reader, or the server does not notice anything.
    """
    clients = [
        CapturingClient(server.url, f"stall{seed}-{n}", history, rate=rate / 4, seed=seed, size=event_bytes)
        for n in range(4)
    ]
    healthy = PlainSubscriber(server.url, "healthy", history)
    file = folder / "readers.jsonl"
    with _readers(server, readers, file) as process:
        async with running(healthy.run()):
            await eventually(lambda: server.metric("cin_streams") == readers + 1, 20, "all subscriptions")
            async with capturing(clients):
                before = await _stretch(history, min(stopped_seconds, 1))
                resident = resident_bytes(server.pid)
                process.send_signal(signal.SIGSTOP)
                meanwhile = await _stretch(history, stopped_seconds)
                growth = resident_bytes(server.pid) - resident
                if until_closed:
                    await eventually(lambda: server.metric("cin_streams") == 1, 30, "only the healthy stream")
                closed = readers + 1 - int(server.metric("cin_streams"))
                process.send_signal(signal.SIGCONT)
            head = await head_of(server)
            await all_reach([healthy], head)
        await asyncio.to_thread(process.communicate, f"{head}\n".encode(), 120)
    history.load(file)
    return StallFigures(before, meanwhile, growth / readers, closed)


async def _stretch(history: History, seconds: float) -> float:
    """How late the healthy reader was in the next seconds: 95 % of its events were read as soon after their capture."""
    first = len(history.tries)
    await asyncio.sleep(seconds)
    sent = {each.name: each.at for each in history.tries[first:] if each.outcome == "invoked"}
    await asyncio.sleep(0.2)
    (healthy,) = history.by_subscriber()["healthy"]
    late = [block.at - sent[name] for block in healthy.blocks if (name := _name(block.data)) in sent]
    return quantiles(late, n=20)[-1]


async def never_read(server: Server, *, readers: int, seed: int, wire: str = "sse") -> None:
    """Readers that connect to a long log and take nothing are closed, and leave nothing behind.

    Asserts that they cost less than 2 MiB each, and that the server says that it closed them.
    """
    await capture_some(server, f"unread{seed}", events=600, size=4_000)
    await eventually(lambda: server.metric("cin_streams") == 0, 10, "no stream")
    evicted, sockets, resident = server.metric("cin_evictions_total"), open_sockets(server), resident_bytes(server.pid)
    with ExitStack() as stack:
        for _ in range(readers):
            stack.enter_context(connect_and_never_read(server, wire=wire))
        await eventually(lambda: server.metric("cin_streams_behind") == readers, 10, "all streams behind")
        assert resident_bytes(server.pid) - resident < readers * 2 * MIB
        await eventually(lambda: server.metric("cin_evictions_total") == evicted + readers, 60, "all evictions")
        await eventually(lambda: server.metric("cin_streams") == 0, 10, "no stream")
        await eventually(lambda: open_sockets(server) <= sockets, 10, "as many sockets as before")


async def read_little(server: Server, *, seed: int) -> None:
    """A reader takes nothing, but what is there for it fits into the system's buffers: only the system can know."""
    await eventually(lambda: server.metric("cin_streams") == 0, 10, "no stream")
    head = await head_of(server)
    await capture_some(server, f"little{seed}", events=30, size=3_000)
    with connect_and_never_read(server, since=str(head)):
        await eventually(lambda: server.metric("cin_streams") == 1, 10, "the stream")
        await eventually(lambda: server.metric("cin_streams") == 0, 60, "no stream")


async def capture_some(server: Server, name: str, *, events: int, size: int) -> None:
    async with Http(server.url) as http:
        await capture_batch(http, (f"{name}-{n}" for n in range(events)), History(), size=size)


def resident_bytes(pid: int) -> int:
    """What a process holds of memory (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def _name(data: str) -> str:
    """A skill's name, without parsing kilobytes for it."""
    return data.partition('"name":"')[2].partition('"')[0]


@contextmanager
def _readers(server: Server, number: int, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.journeys.reader", server.url, str(number), str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


def connect_and_never_read(server: Server, since: str = "earliest", wire: str = "sse") -> socket.socket:
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", server.port))
    if wire == "sse":
        reader.sendall(f"GET /stream?since={since} HTTP/1.1\r\nHost: cin\r\n\r\n".encode())
    else:
        message = json.dumps({"type": "subscribe", "since": since}).encode()
        reader.sendall(UPGRADE)
        assert reader.recv(12) == b"HTTP/1.1 101"
        reader.sendall(bytes([0x81, 0x80 | len(message)]) + bytes(4) + message)  # under a mask of zeros
    return reader


def open_sockets(server: Server) -> int:
    """The number of a process's sockets (Linux)."""
    found = 0
    for file in Path(f"/proc/{server.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            found += os.readlink(file).startswith("socket:")
    return found
