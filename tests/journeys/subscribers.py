"""Subscribers that write down everything they read, and come back to where they were when they are cut."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Protocol
from urllib.parse import urlsplit

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from app.client import AsyncClient, Reset
from tests.journeys import sse
from tests.journeys.checker import place
from tests.journeys.history import History

BACK_AFTER_SECONDS = 0.05


class Subscriber(Protocol):
    """Reads from `run` on until it is cancelled; `offset` is how far it is, -1 before it knows."""

    offset: int

    async def run(self) -> None: ...


class PlainSubscriber:
    """Reads the wire itself; `pause_seconds` after each piece make it slow, None lets it wait until it is to hurry.

    Who asks for an `event` of one type finds no pages of the log that others have read.
    """

    def __init__(
        self,
        url: str,
        name: str,
        history: History,
        *,
        since: str = "now",
        pause_seconds: float | None = 0,
        event: str | None = None,
    ) -> None:
        self.offset = -1
        self._url = url
        self._name = name
        self._history = history
        self._since = since
        self._event = event
        self._position: str | None = None
        self._pause_seconds = pause_seconds
        self._hurried = asyncio.Event()

    @property
    def epoch(self) -> str:
        """That of the last position; empty before there is one."""
        return place(self._position).epoch if self._position else ""

    def hurry(self) -> None:
        """Read without pauses from now on."""
        self._hurried.set()

    async def run(self) -> None:
        while True:
            with suppress(OSError, sse.Refused):
                await self._connect()
            await asyncio.sleep(BACK_AFTER_SECONDS)

    async def _connect(self) -> None:
        async with sse.open_stream(self._url, self._since, self._position, self._event) as pieces:
            connection = self._history.connected(self._name, self._position or self._since)
            async for block in sse.blocks(self._slowly(pieces)):
                self._history.read(connection, *block)
                if block.id:
                    self._position, self.offset = block.id, place(block.id).offset

    async def _slowly(self, pieces: sse.Pieces) -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece
            if self._pause_seconds == 0:
                await asyncio.sleep(0)
            else:
                await self._pause()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause_seconds):
                await self._hurried.wait()


class SocketSubscriber(PlainSubscriber):
    """Reads the same over a WebSocket."""

    async def _connect(self) -> None:
        with suppress(WebSocketException):
            async with connect(f"ws://{urlsplit(self._url).netloc}/ws", ping_interval=None, max_size=None) as socket:
                asked = self._position or self._since
                await socket.send(json.dumps({"type": "subscribe", "since": asked}))
                connection = self._history.connected(self._name, asked)
                async for block in _blocks(socket):
                    self._history.read(connection, *block)
                    if block.id:
                        self._position, self.offset = block.id, place(block.id).offset


async def _blocks(socket: ClientConnection) -> AsyncIterator[sse.Sse]:
    """The messages as the blocks that say the same; a `reset` and the position behind it are one."""
    reset = ""
    async for text in socket:
        assert isinstance(text, str)
        message = json.loads(text)
        if message["type"] == "hello":
            yield sse.Sse("", "hello", text)
        elif message.get("event") == "reset":
            reset = json.dumps(message["data"])
        elif message["type"] == "event":
            yield sse.Sse(message["id"], message["event"], text.partition(',"data":')[2].removesuffix("}"))
        elif message["type"] == "position":
            yield sse.Sse(message["id"], "reset" if reset else "", reset)
            reset = ""


class ClientSubscriber:
    """Reads by `app.client`, which sees to resuming itself; with an `agent` it acknowledges too."""

    def __init__(self, url: str, name: str, history: History, *, since: str = "now", agent: str | None = None) -> None:
        self.offset = -1
        self._url = url
        self._history = history
        self._since = since
        self._agent = agent
        self._name = name

    async def run(self) -> None:
        connection = self._history.connected(self._name, self._since, raw=False)
        transport = httpx.AsyncHTTPTransport(verify=False)  # loading certificates would stop everybody for 30 ms
        async with (
            AsyncClient(self._url, transport=transport) as cin,
            cin.subscribe(since=self._since, agent=self._agent) as items,
        ):
            async for item in items:
                data = msgspec.json.encode(item).decode()
                id, event = (item.head, "reset") if isinstance(item, Reset) else (item.id, item.type)
                self._history.read(connection, id, event, data)
                self.offset = place(id).offset
