"""A server that writes down what reaches it and answers as it is told, or not at all: what a proxy does can be seen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NO_ROOM = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno"
NOTHING = b""
"""The request is read, and the connection closed: a process that died over it."""


@dataclass(frozen=True)
class Arrival:
    """A request as it came; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Upstream:
    """What has arrived at one server."""

    port: int
    answer: bytes
    arrivals: list[Arrival] = field(default_factory=list)


@asynccontextmanager
async def upstream(port: int, answer: bytes) -> AsyncIterator[Upstream]:
    """One that listens until the end of the block."""
    made = Upstream(port, answer)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                made.arrivals.append(await _read(reader))
                writer.write(made.answer)
                if not made.answer:
                    break
        except asyncio.IncompleteReadError:
            pass  # the proxy closed its connection
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield made
    finally:
        server.close()


async def _read(reader: asyncio.StreamReader) -> Arrival:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = first.split(" ")
    return Arrival(method, path, headers, body)
