"""Milestones: who waits for an offset goes on when the log has come to it, and not before."""

import asyncio

from app.eventlog.milestones import Milestones
from tests.inside import run, within


def test_those_go_on_whose_offset_is_reached() -> None:
    async def go() -> tuple[list[bool], bool]:
        milestones = Milestones()
        early = [asyncio.create_task(milestones.wait(offset, 60)) for offset in (3, 5)]
        late = asyncio.create_task(milestones.wait(6, 60))
        await asyncio.sleep(0)
        milestones.reach(5)
        arrived = await within(asyncio.gather(*early))
        waits = not late.done()
        milestones.reach(6)
        await within(late)
        return arrived, waits

    assert run(go()) == ([True, True], True)


def test_waiting_ends_when_the_time_is_up() -> None:
    assert run(Milestones().wait(1, 0.01)) is False


def test_milestone_after_somebody_gave_up_lets_the_others_go_on() -> None:
    async def go() -> bool:
        milestones = Milestones()
        assert not await milestones.wait(1, 0.001)
        waiting = asyncio.create_task(milestones.wait(1, 60))
        await asyncio.sleep(0)
        milestones.reach(1)
        return await within(waiting)

    assert run(go())
