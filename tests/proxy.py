"""A network between a client and a server, for tests: it carries, swallows, delays, or cuts."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path


class Proxy:
    """Carries what comes to `port` to the server, until it is told otherwise."""

    def __init__(self, server: Path) -> None:
        self.port = 0
        self.connections = 0
        self.delay_seconds = 0.0
        self._server = server
        self._swallows = False
        self._cut_after: list[bytes] = []
        self._writers: set[asyncio.StreamWriter] = set()

    def url(self, database: str) -> str:
        """The URL of a PostgreSQL database behind it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def swallow(self) -> None:
        """Take everything and pass on nothing, without a word: a cable that was pulled."""
        self._swallows = True

    def carry(self) -> None:
        """Carry again what comes from now on. What was swallowed is lost."""
        self._swallows = False

    def cut(self) -> None:
        """End every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    def cut_after(self, *words: bytes) -> None:
        """Pass on what one connection says up to these words, in this order, and end all before the answer comes."""
        self._cut_after = list(words)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(OSError):
                to_server, from_server = await asyncio.open_unix_connection(str(self._server))
                pumps = (self._pump(reader, from_server), self._pump(to_server, writer))
                await asyncio.gather(*pumps)
        finally:
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        said = 0
        try:
            while data := await reader.read(65_536):
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if self._swallows:
                    continue
                writer.write(data)
                await writer.drain()
                said += said < len(self._cut_after) and self._cut_after[said] in data
                if 0 < len(self._cut_after) == said:
                    self._cut_after = []
                    self._swallows = True
                    await asyncio.sleep(0.2)  # the server does what it was told
                    self.cut()
                    self._swallows = False
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


@asynccontextmanager
async def proxy_to(server: Path, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """A proxy in front of the server that listens on this socket; with `tls`, clients must speak it."""
    proxy = Proxy(server)
    listening = await asyncio.start_server(proxy.connected, "127.0.0.1", 0, ssl=tls)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listening.close()
        proxy.cut()
