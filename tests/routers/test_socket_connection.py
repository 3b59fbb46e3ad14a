"""A WebSocket as the hub writes to it, under a server that gives nothing but `send`."""

import asyncio

from starlette.types import Message

from app.routers.socket_connection import SocketConnection
from app.stream.wire_socket import message
from tests.inside import run, until, within


class Server:
    """The other side of `send`."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    async def send(self, message: Message) -> None:
        self.sent.append(message)


def test_frames_are_sent_as_messages() -> None:
    server = Server()

    async def go() -> bool:
        connection = SocketConnection(server.send)
        data = message(type="position", id="k3f9-1") + message(type="event", data="é" * 40_000)
        taken = connection.write_now(data)
        await connection.send(data)
        return taken

    assert run(go()) is False
    assert [sent["type"] for sent in server.sent] == ["websocket.send"] * 2
    assert server.sent[0]["text"] == '{"type":"position","id":"k3f9-1"}'
    assert len(server.sent[1]["text"]) > 40_000


def test_connection_closes_once() -> None:
    server = Server()

    async def go() -> None:
        connection = SocketConnection(server.send)
        await connection.close(1003, "text only")
        await connection.finish()

    run(go())
    assert server.sent == [{"type": "websocket.close", "code": 1003, "reason": "text only"}]


def test_connection_without_a_transport_is_cut_by_ending_its_task() -> None:
    async def go() -> tuple[bool, bool, int]:
        connections: list[SocketConnection] = []

        async def serve() -> None:
            connections.append(SocketConnection(Server().send))
            await asyncio.Event().wait()

        task = asyncio.create_task(serve())
        await until(lambda: bool(connections))
        connections[0].abort()
        await within(asyncio.wait([task]))
        return task.cancelled(), connections[0].is_gone(), connections[0].unsent()

    assert run(go()) == (True, False, 1)
