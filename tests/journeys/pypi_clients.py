"""Clients from PyPI, each used as its documentation shows, with a loop around it where it leaves reconnecting to others."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import httpx
from anyio.from_thread import start_blocking_portal
from httpx_sse import SSEError, aconnect_sse
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.journeys.real_clients import Look, Open, Seen

PAUSE_SECONDS = 0.1


@contextmanager
def _beside(listen: Callable[[list[Seen]], Coroutine[None, None, None]]) -> Iterator[Look]:
    """Run what never ends in a thread of its own, until the end of the block."""
    seen: list[Seen] = []
    with start_blocking_portal() as portal:
        listening = portal.start_task_soon(listen, seen)
        try:
            yield lambda: list(seen)
        finally:
            if not listening.cancel():
                listening.result()


async def _read_events(url: str, since: str, seen: list[Seen]) -> None:
    last = ""
    async with httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(5, read=None)) as client:
        while True:
            with suppress(httpx.TransportError, SSEError):  # not there yet, cut, or refused
                headers = {"Last-Event-ID": last} if last else {}
                async with aconnect_sse(client, "GET", f"/stream?since={since}", headers=headers) as source:
                    async for sse in source.aiter_sse():
                        last = sse.id or last
                        if sse.event != "message":
                            seen.append(Seen(sse.event, sse.id))
            await asyncio.sleep(PAUSE_SECONDS)


def _httpx_sse(url: str, since: str) -> AbstractContextManager[Look]:
    """`httpx-sse`, which comes back with the last id it has seen."""
    return _beside(lambda seen: _read_events(url, since, seen))


def _websockets(url: str, since: str) -> AbstractContextManager[Look]:
    """`websockets`, which subscribes anew from the last position it was given."""
    return _beside(lambda seen: _read_messages(f"{url.replace('http', 'ws', 1)}/ws", since, seen))


async def _read_messages(address: str, since: str, seen: list[Seen]) -> None:
    while True:
        with suppress(OSError, WebSocketException):  # not there yet, cut, closed, or refused
            async with connect(address) as socket:
                try:
                    await _follow(socket, since, seen)
                finally:
                    since = seen[-1].id if seen else since
                    socket.transport.abort()  # who is cancelled cannot wait for the other side's good-bye
        await asyncio.sleep(PAUSE_SECONDS)


async def _follow(socket: ClientConnection, since: str, seen: list[Seen]) -> None:
    """Note events, and where each stream starts, each with the position to go on from."""
    await socket.send(json.dumps({"type": "subscribe", "since": since}))
    async for text in socket:
        message = json.loads(text)
        if message.get("event") == "reset":
            seen.append(Seen("reset", message["data"]["head"]))
        elif message["type"] in ("event", "position"):
            seen.append(Seen(message.get("event", "hello"), message["id"]))


CLIENTS: dict[str, Open] = {"httpx-sse": _httpx_sse, "websockets": _websockets}
