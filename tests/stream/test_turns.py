"""Turns of the event loop."""

import asyncio

from app.stream.turns import Turns
from tests.inside import run, until


def test_crowd_goes_on_a_few_at_a_time_in_its_order() -> None:
    async def go() -> tuple[list[int], int]:
        turns, gone, most = Turns(3), list[int](), 0

        async def come(number: int) -> None:
            await turns.take()
            gone.append(number)

        crowd = [asyncio.create_task(come(number)) for number in range(20)]
        while len(gone) < 20:
            before = len(gone)
            await asyncio.sleep(0)
            most = max(most, len(gone) - before)
        await asyncio.gather(*crowd)
        return gone, most

    assert run(go()) == (list(range(20)), 3)


def test_who_gives_up_takes_no_turn_from_the_others() -> None:
    async def go() -> list[str]:
        turns, gone = Turns(1), list[str]()

        async def come(name: str) -> None:
            await turns.take()
            gone.append(name)

        crowd = {name: asyncio.create_task(come(name)) for name in "abcd"}
        await asyncio.sleep(0)
        crowd["b"].cancel()
        crowd["c"].cancel()
        await until(lambda: len(gone) == 2)
        return gone

    assert run(go()) == ["a", "d"]
