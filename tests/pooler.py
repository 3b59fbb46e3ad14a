"""A pooler in transaction mode, for tests: each transaction gets the server connection that has rested longest."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

_SSL, _GSS = 80877103, 80877104
_ENDS_A_REQUEST = b"QS"
"""Query and Sync: what follows is the server's answer, up to ReadyForQuery."""


class Upstream:
    """A connection to the server, logged in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.greeting = b""

    async def log_in(self, database: str) -> None:
        body = struct.pack("!i", 196608) + f"user\0postgres\0database\0{database}\0client_encoding\0utf8\0\0".encode()
        self.writer.write(struct.pack("!i", len(body) + 4) + body)
        while not self.greeting.endswith(b"Z\0\0\0\5I"):
            kind, message = await _message(self.reader)
            assert kind != b"E", message
            self.greeting += message


class Pooler:
    """Gives out a few server connections, one transaction at a time."""

    def __init__(self) -> None:
        self.port = 0
        self.transactions = 0
        self.resting: asyncio.Queue[Upstream] = asyncio.Queue()
        self._greeting = b""

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def add(self, upstream: Upstream) -> None:
        self._greeting = upstream.greeting
        self.resting.put_nowait(upstream)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._greet(reader, writer)
                while await self._transaction(reader, writer):
                    self.transactions += 1
        finally:
            writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            length, code = struct.unpack("!ii", await reader.readexactly(8))
            await reader.readexactly(length - 8)
            if code not in (_SSL, _GSS):
                break
            writer.write(b"N")
        writer.write(self._greeting)

    async def _transaction(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Carry one transaction; False if the client says goodbye instead."""
        kind, message = await _message(reader)
        if kind == b"X":
            return False
        upstream = await self.resting.get()
        status = b"T"
        while status != b"I":
            while kind not in _ENDS_A_REQUEST:
                upstream.writer.write(message)
                kind, message = await _message(reader)
            upstream.writer.write(message)
            while kind != b"Z":
                kind, message = await _message(upstream.reader)
                writer.write(message)
            status = message[-1:]
            if status != b"I":
                kind, message = await _message(reader)
        self.resting.put_nowait(upstream)
        return True


@asynccontextmanager
async def pooler_to(server: Path, database: str, connections: int = 3) -> AsyncIterator[Pooler]:
    """A pooler of so many connections to a database of the server that listens on this socket."""
    pooler = Pooler()
    async with AsyncExitStack() as stack:
        for _ in range(connections):
            upstream = Upstream(*await asyncio.open_unix_connection(str(server)))
            stack.callback(upstream.writer.close)
            await upstream.log_in(database)
            pooler.add(upstream)
        listening = await asyncio.start_server(pooler.connected, "127.0.0.1", 0)
        stack.callback(listening.close)
        pooler.port = listening.sockets[0].getsockname()[1]
        yield pooler


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The kind of the next message, and all its bytes."""
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
