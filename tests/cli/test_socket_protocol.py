"""What uvicorn's WebSockets keep here in place of queues."""

import asyncio

from app.cli.socket_protocol import Messages
from tests.inside import run, within


def test_messages_are_read_in_order_and_waited_for() -> None:
    async def go() -> list[int]:
        messages = Messages()
        messages.put_nowait(1)
        messages.put_nowait(2)
        read = [await messages.get(), await messages.get()]
        assert messages.empty()
        waiting = asyncio.create_task(messages.get())
        await asyncio.sleep(0)
        messages.put_nowait(3)
        messages.put_nowait(4)
        return [*read, await within(waiting), await messages.get()]

    assert run(go()) == [1, 2, 3, 4]


def test_reader_who_gives_up_takes_no_message_with_it() -> None:
    async def go() -> int:
        messages = Messages()
        waiting = asyncio.create_task(messages.get())
        await asyncio.sleep(0)
        waiting.cancel()
        messages.put_nowait(1)
        await asyncio.gather(waiting, return_exceptions=True)
        return int(await within(messages.get()))

    assert run(go()) == 1
