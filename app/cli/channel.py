"""What a supervisor and its workers say to each other: lines of JSON, over a pair of sockets that only the two have.

The channel is also how each learns that the other has gone: the system closes it, whatever ended the process.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Self

import msgspec

_LONGEST_LINE_BYTES = 2**26


class Ready(msgspec.Struct, tag=True):
    """Of a worker: it could answer anything, and listens to nothing yet."""


class Listen(msgspec.Struct, tag=True):
    """To a worker: take new connections of these seats, and of no others."""

    seats: list[int]


class Listens(msgspec.Struct, tag=True):
    """Of a worker: it does as the oldest `Listen` without this answer said."""


class Ask(msgspec.Struct, tag=True):
    """To a worker: report your metrics. Of a worker: report those of all."""


class Report(msgspec.Struct, tag=True):
    """The answer to the oldest `Ask` without one."""

    metrics: str


class Stop(msgspec.Struct, tag=True):
    """To a worker: drain and exit; or exit `now`."""

    now: bool = False


Message = Ready | Listen | Listens | Ask | Report | Stop


class Channel:
    """One end. Iterating gives what the other says, until it has gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Self:
        return cls(*await asyncio.open_unix_connection(sock=end, limit=_LONGEST_LINE_BYTES))

    def say(self, message: Message) -> None:
        """Never waits; what is said to somebody who has gone is lost."""
        self._writer.write(msgspec.json.encode(message) + b"\n")

    async def __aiter__(self) -> AsyncIterator[Message]:
        try:
            while line := await self._reader.readline():
                yield _decode(line)
        except ConnectionError:
            return

    def close(self) -> None:
        self._writer.close()


_decode = msgspec.json.Decoder(Message).decode
