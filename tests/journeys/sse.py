"""A reader of server-sent events that shares nothing with `app.client`, so that neither hides the other's mistakes.

One HTTP/1.1 request over a socket, the chunks of its answer, and blocks of `field: value` lines between empty lines.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

Pieces = AsyncIterator[bytes]


class Refused(Exception):
    """The answer is not a stream."""


class Sse(NamedTuple):
    """One block; what it does not say is empty."""

    id: str
    event: str
    data: str


@asynccontextmanager
async def open_stream(
    url: str, since: str, last_event_id: str | None, event: str | None = None
) -> AsyncIterator[Pieces]:
    """The bytes of a stream as they come, until the end of the block. Raises `Refused` or `OSError`."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        resume = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id else ""
        kind = f"&event={event}" if event else ""
        writer.write(f"GET /stream?since={since}{kind} HTTP/1.1\r\nHost: {address.netloc}\r\n{resume}\r\n".encode())
        status, *_ = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        if b" 200 " not in status:
            raise Refused(status.decode())
        yield _pieces(reader)
    except asyncio.IncompleteReadError as cut:
        raise ConnectionResetError("the stream was cut") from cut
    finally:
        writer.close()


async def blocks(pieces: Pieces) -> AsyncIterator[Sse]:
    """The blocks of a stream."""
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n\n")
        for block in whole:
            yield Sse(*_fields(block.decode()))


async def _pieces(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]


def _fields(block: str) -> Iterator[str]:
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    return (fields.get(name, "") for name in ("id", "event", "data"))
