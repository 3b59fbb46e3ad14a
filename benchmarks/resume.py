"""Resuming a stream in a log of 1,000,000 events: how soon the first byte comes, and the first block that says something.

`python -m benchmarks.resume [EVENTS]`. A log of 10,000 events stands beside it: a resume must not cost more in a long
log. Exit code 1 if a median is over the limit, or a position that cannot be served is not answered with `reset`.
"""

import asyncio
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import uuid_utils

from app.eventlog.network import EVENT, NETWORK, Network, open_network
from app.models.position import Position
from app.models.types import now
from app.skills.document import event_json
from app.storage.bulk import insert_rows
from app.storage.database import Transaction
from app.storage.sqlite import open_sqlite
from tests.server import SERVE, Server, wait_until

LIMIT_SECONDS = 0.05
TIMES = 20
ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Resume:
    """Where a client wants to go on, and what it must be told first."""

    name: str
    query: str
    last_event_id: str | None
    first: str


@dataclass(frozen=True)
class Figures:
    """Medians of the time to the first byte and to the first block that tells something, in seconds."""

    byte: float
    block: float


def main() -> int:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    short, long = measure(10_000), measure(events)
    print(f"\nresume from    first byte, first block (ms): log of 10,000      log of {events:,}")
    missed = 0
    for name, figures in long.items():
        over = max(figures.byte, figures.block) > LIMIT_SECONDS
        missed += over
        print(f"{name:14} {_row(short[name]):>45} {_row(figures):>20}{'   OVER THE LIMIT' if over else ''}")
    print(f"medians of {TIMES}; the limit is {LIMIT_SECONDS * 1e3:.0f} ms")
    return 1 if missed else 0


def measure(events: int) -> dict[str, Figures]:
    """All resumes in a log of so many events."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), program=SERVE, retention_events=str(events))
        started = time.perf_counter()
        asyncio.run(fill(server.database, events))
        filled = time.perf_counter()
        with server:
            megabytes = server.database.stat().st_size / 1e6
            print(
                f"{events:,} events, {megabytes:,.0f} MB, written in {filled - started:.0f} s; "
                f"the server was ready after {time.perf_counter() - filled:.1f} s"
            )
            info = httpx.get(f"{server.url}/info").json()
            epoch, head = info["epoch"], int(info["head"].rpartition("-")[2])
            assert head == events
            return {resume.name: figures(server, resume) for resume in resumes(epoch, head)}


def resumes(epoch: str, head: int) -> list[Resume]:
    captured = "skill.captured"
    return [
        Resume("head-1", "", f"{epoch}-{head - 1}", captured),
        Resume("head-10000", "", f"{epoch}-{head - 10_000}", captured),
        Resume("head/2", "", f"{epoch}-{head // 2}", captured),
        Resume("earliest", "?since=earliest", None, captured),
        Resume("unknown id", "", "urn:uuid:5f1f9dc6", "reset"),
        Resume("another epoch", "", f"zzzzzz-{head - 1}", "reset"),
        Resume("head+5", "", f"{epoch}-{head + 5}", "reset"),
    ]


def figures(server: Server, resume: Resume) -> Figures:
    times: list[tuple[float, float]] = []
    for _ in range(TIMES):
        times.append(connect(server.port, resume))
        wait_until(lambda: server.metric("cin_streams") == 0, what="the end of the last stream")
    return Figures(statistics.median(byte for byte, _ in times), statistics.median(block for _, block in times))


def connect(port: int, resume: Resume) -> tuple[float, float]:
    """Seconds from the request to the first byte, and to the first block with what must come."""
    header = f"Last-Event-ID: {resume.last_event_id}\r\n" if resume.last_event_id else ""
    request = f"GET /stream{resume.query} HTTP/1.1\r\nHost: cin\r\n{header}\r\n".encode()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        started = time.perf_counter()
        connection.sendall(request)
        read = connection.recv(65536)
        byte = time.perf_counter() - started
        while not (found := _first_event(read)):
            read += connection.recv(65536)
        block = time.perf_counter() - started
    if found != resume.first:
        raise RuntimeError(f"resuming from {resume.name} was answered with {found}, not with {resume.first}")
    return byte, block


def _first_event(read: bytes) -> str:
    """The type of the first whole block after `hello`, empty if it has not come."""
    for block in read.split(b"\n\n")[:-1]:
        event = block.partition(b"event: ")[2].partition(b"\n")[0].decode()
        if event not in ("", "hello"):
            return event
    return ""


def _row(figures: Figures) -> str:
    return f"{figures.byte * 1e3:8.1f} {figures.block * 1e3:8.1f}"


async def fill(file: Path, events: int) -> None:
    """A log of so many events, written past the recorder, in the tables that it writes."""
    async with open_sqlite(f"sqlite:///{file}") as database:
        network = await open_network(database)
        for first in range(1, events + 1, ROWS_AT_ONCE):
            await database.write(
                partial(_write, network=network, first=first, end=min(first + ROWS_AT_ONCE, events + 1))
            )


def _write(tx: Transaction, *, network: Network, first: int, end: int) -> None:
    insert_rows(tx.connection, EVENT, list(_rows(network, first, end)))
    tx.connection.execute(NETWORK.update().where(NETWORK.c.id == network.id).values(head=end - 1))


def _rows(network: Network, first: int, end: int) -> Iterator[dict[str, object]]:
    at = now()
    for offset in range(first, end):
        skill_id = str(uuid_utils.uuid7())
        skill = (
            b'{"id":"%s","network":"default","name":"skill-%d","description":null,"error_type":"ImportError",'
            b'"pattern":"No module named \'module_%d\'","resolution":"pip install module-%d, and import it again",'
            b'"context":null,"tags":["python"],"metadata":{},"version":1,"status":"active","captures":1,"position":"%s-%d"}'
        ) % (skill_id.encode(), offset, offset, offset, network.epoch.encode(), offset)
        data = event_json(Position(network.epoch, offset), "skill.captured", at, skill).decode()
        yield {
            "network_id": network.id,
            "offset": offset,
            "type": "skill.captured",
            "at": at,
            "skill_id": skill_id,
            "error_type": "ImportError",
            "tags": ["python"],
            "data": data,
        }


if __name__ == "__main__":
    sys.exit(main())
