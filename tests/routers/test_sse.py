"""One stream's response: what it sends first, where it goes on from, and how it ends, under any ASGI server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from app.routers.sse import SseConnection, StreamResponse, jitter, serve
from app.skills.filters import EventFilter
from app.stream.start import Start
from tests.factories import make_skill
from tests.inside import Inside, application, run, until, within
from tests.streams import Block, parse_blocks


class Client:
    """The other side of a response, without a socket."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._left = asyncio.Event()

    async def receive(self) -> Message:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    def leave(self) -> None:
        self._left.set()

    @property
    def blocks(self) -> list[Block]:
        return parse_blocks(b"".join(message.get("body", b"") for message in self.messages))


@asynccontextmanager
async def responding(cin: Inside, start: Start) -> AsyncIterator[tuple[Client, "asyncio.Task[None]"]]:
    """A stream that starts where it was told, until its client leaves at the end of the block."""
    response = StreamResponse(
        cin.parts.hub, start, EventFilter(), agent="reader", retry_milliseconds=2_000, for_browser=False
    )
    client = Client()
    task = asyncio.create_task(serve(response, {"type": "http"}, client.receive, client.send))
    await until(lambda: len(client.messages) >= 2)
    yield client, task
    client.leave()
    await within(asyncio.wait([task]))


def test_stream_begins_with_its_headers_and_hello(tmp_path: Path) -> None:
    async def go() -> tuple[Message, list[Block], str]:
        async with application(tmp_path) as cin, responding(cin, Start(0)) as (client, _):
            return client.messages[0], client.blocks, cin.parts.network.epoch

    head, blocks, epoch = run(go())
    assert (head["type"], head["status"]) == ("http.response.start", 200)
    assert [(block.event, block.id) for block in blocks] == [("hello", f"{epoch}-0"), (None, f"{epoch}-0")]


def test_reset_names_the_place_from_which_events_follow(tmp_path: Path) -> None:
    """Events that came between the look at the log and the answer are after it, so that none is passed over."""

    async def go() -> list[tuple[str | None, int]]:
        async with application(tmp_path) as cin:
            await cin.capture(make_skill())
            start = Start(cin.parts.hub.bounds.head, "epoch")
            for _ in range(2):
                await cin.capture(make_skill())
            await cin.parts.hub.reached(3, 10)
            async with responding(cin, start) as (client, _):
                await until(lambda: len(client.blocks) == 4)
                return [(block.event, block.offset) for block in client.blocks[1:]]

    assert run(go()) == [("reset", 1), ("skill.captured", 2), ("skill.captured", 3)]


def test_client_that_leaves_ends_its_stream(tmp_path: Path) -> None:
    async def go() -> tuple[int, int]:
        async with application(tmp_path) as cin:
            hub = cin.parts.hub
            async with responding(cin, Start(0)) as (_, task):
                counted = hub.connected["reader"]
            assert task.done()
            return counted, hub.connected["reader"]

    assert run(go()) == (1, 0)


def test_drain_ends_the_response_in_good_order(tmp_path: Path) -> None:
    async def go() -> tuple[list[Message], Block]:
        async with application(tmp_path) as cin, responding(cin, Start(0)) as (client, _):
            await cin.parts.hub.drain(0, 1_500)
            return client.messages, client.blocks[-1]

    messages, goodbye = run(go())
    assert set(goodbye.fields) == {"retry"}
    assert [message.get("more_body") for message in messages[1:]] == [True] * (len(messages) - 2) + [False]


def test_connection_without_a_transport_is_cut_by_ending_its_task(tmp_path: Path) -> None:
    async def go() -> tuple[bool, int]:
        connections: list[SseConnection] = []

        async def serve(client: Client) -> None:
            connections.append(SseConnection(client.send))
            await client.receive()

        client = Client()
        task = asyncio.create_task(serve(client))
        await until(lambda: bool(connections))
        connections[0].abort()
        await within(asyncio.wait([task]))
        return task.cancelled(), connections[0].unsent()

    assert run(go()) == (True, 1)


@given(st.integers(1, 10**9))
def test_jitter_is_half_to_one_and_a_half(milliseconds: int) -> None:
    assert milliseconds // 2 <= jitter(milliseconds) <= milliseconds * 3 / 2 + 1
