"""Pages of the log, read once for all who want them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.eventlog.events import EventsTrimmed
from app.eventlog.log import EventLog
from app.eventlog.notifier import LocalNotifier
from app.stream.pages import ALIGNED_EVENTS, Pages
from tests.inside import run
from tests.stream.hubs import Streaming, streaming

RETIRED = frozenset({"skill.retired"})


@asynccontextmanager
async def paging(folder: Path, *, events: int = 1_000, data: str = "{}") -> AsyncIterator[tuple[Streaming, Pages]]:
    async with streaming(folder) as here:
        await here.append_and_follow(events, data=data)
        event_log = EventLog(here.database, LocalNotifier(), poll_seconds=60)
        yield here, Pages(here.network, event_log, here.metrics, kept_bytes=1_000_000)


def offsets(page: object, after: int) -> list[int]:
    return [frame.offset for frame in page.after(after)]  # type: ignore[attr-defined]


def test_readers_near_each_other_share_one_read(tmp_path: Path) -> None:
    async def go() -> tuple[list[list[int]], float]:
        async with paging(tmp_path) as (here, pages):
            places = [ALIGNED_EVENTS + number for number in range(20)]
            found = await asyncio.gather(*(pages.after(place) for place in places))
            later = await pages.after(300)
            assert later is found[0]
            return [offsets(page, place)[:2] for page, place in zip(found, places, strict=True)], here.measured(
                "cin_log_reads_total"
            )

    first, reads = run(go())
    assert first == [[ALIGNED_EVENTS + number + 1, ALIGNED_EVENTS + number + 2] for number in range(20)]
    assert reads == 1


def test_reader_that_is_cut_does_not_take_the_page_from_the_others(tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with paging(tmp_path) as (_, pages):
            cut, other = asyncio.create_task(pages.after(10)), asyncio.create_task(pages.after(11))
            await asyncio.sleep(0)
            cut.cancel()
            return offsets(await other, 11)[:1]

    assert run(go()) == [12]


def test_readers_of_other_types_have_other_pages(tmp_path: Path) -> None:
    async def go() -> tuple[list[int], list[int]]:
        async with paging(tmp_path, events=10) as (here, pages):
            await here.append(1, type="skill.retired")
            return offsets(await pages.after(0), 0), offsets(await pages.after(0, RETIRED), 0)

    assert run(go()) == (list(range(1, 12)), [11])


def test_page_begins_at_the_place_itself_when_what_comes_before_is_trimmed(tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with paging(tmp_path, events=100) as (here, pages):
            await here.append(1, trim=70)
            with pytest.raises(EventsTrimmed):
                await pages.after(69)
            return offsets(await pages.after(75), 75)

    assert run(go()) == list(range(76, 102))


def test_large_events_do_not_keep_a_page_from_its_reader(tmp_path: Path) -> None:
    """A page ends after 256 KiB, which may be before the reader's place if it began at a round number."""

    async def go() -> tuple[list[int], int]:
        async with paging(tmp_path, events=60, data='"' + "x" * 100_000 + '"') as (_, pages):
            for place in range(0, 60, 7):
                assert offsets(await pages.after(place), place)[0] == place + 1
            return offsets(await pages.after(49), 49), pages._bytes

    found, kept = run(go())
    assert found[:2] == [50, 51]
    assert kept <= 1_000_000
