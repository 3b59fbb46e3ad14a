"""What every event log promises: no gap, the order of commits, one page a read, and followers whom no lost wake stops."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.eventlog.events import PAGE_BYTES, PAGE_EVENTS, EventsTrimmed, LoggedEvent, Page
from app.eventlog.log import EventLog
from app.eventlog.network import EVENT, NETWORK, Network, open_network
from app.eventlog.notifier import LocalNotifier, Notifier, Wake
from app.models import EventType
from app.storage import opening
from app.storage.database import Database, Transaction
from tests.factories import make_event
from tests.inside import run, within

OpenDatabase = Callable[[Path], AbstractAsyncContextManager[Database]]


@pytest.fixture
def open_database(url_in: Callable[[Path], str]) -> OpenDatabase:
    """Every backend there is."""
    return lambda folder: opening.open_database(url_in(folder))


class LostWakes:
    """A notifier that loses every wake."""

    def wake(self, network_id: int) -> None:
        pass

    def listen(self, network_id: int) -> Wake:
        return Wake()


class DoubledWakes(LocalNotifier):
    """A notifier that says everything twice, the second time late, and now and then says what is not so."""

    def wake(self, network_id: int) -> None:
        super().wake(network_id)
        loop = asyncio.get_running_loop()
        for pause in (0.001, 0.005):
            loop.call_later(pause, super().wake, network_id)


class Logged:
    """A log on a database, its network, and what tests do with it."""

    def __init__(self, database: Database, network: Network, notifier: Notifier, poll_seconds: float) -> None:
        self.database = database
        self.network = network
        self.log = EventLog(database, notifier, poll_seconds=poll_seconds)

    async def append(self, number: int = 1, *, type: EventType = "skill.captured", data: str = "{}") -> list[int]:
        """The offsets of so many new events, appended in one transaction."""
        return await self.database.write(lambda tx: self._append(tx, number, type, data))

    async def append_and_fail(self, number: int) -> None:
        def work(tx: Transaction) -> None:
            self._append(tx, number, "skill.captured", "{}")
            raise LookupError("after the append")

        with pytest.raises(LookupError):
            await self.database.write(work)

    async def trim(self, upto: int) -> None:
        def work(tx: Transaction) -> None:
            tx.connection.execute(sa.delete(EVENT).where(EVENT.c.offset <= upto))
            tx.connection.execute(sa.update(NETWORK).where(NETWORK.c.id == self.network.id).values(trimmed=upto))

        await self.database.write(work)

    async def read(self, after: int, **options: object) -> Page:
        return await self.log.read(self.network.id, after, **options)  # type: ignore[arg-type]

    async def follow_to(self, after: int, offset: int) -> list[int]:
        """The offsets that a follower sees, until it has come so far."""
        found: list[int] = []
        async with aclosing(self.log.follow(self.network.id, after)) as pages:  # type: ignore[type-var]
            async for page in pages:
                found += offsets(page)
                if page.end >= offset:
                    return found
        raise AssertionError("a follower never ends by itself")

    def _append(self, tx: Transaction, number: int, type: EventType, data: str) -> list[int]:
        make: list[Callable[[int], LoggedEvent]] = [partial(make_event, type=type, data=data)] * number
        return [event.offset for event in self.log.append(tx, self.network.id, make)]


def offsets(page: Page) -> list[int]:
    return [event.offset for event in page.events]


@asynccontextmanager
async def logged(
    open_database: OpenDatabase, folder: Path, notifier: Notifier | None = None, *, poll_seconds: float = 60
) -> AsyncIterator[Logged]:
    async with open_database(folder) as database:
        yield Logged(database, await open_network(database), notifier or LocalNotifier(), poll_seconds)


# Appending


def test_offsets_have_no_gap_under_16_concurrent_writers(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> tuple[list[int], list[int]]:
        async with logged(open_database, tmp_path) as here:

            async def writer(number: int) -> list[int]:
                return [offset for _ in range(10) for offset in await here.append(1 + number % 4)]

            taken = await asyncio.gather(*(writer(number) for number in range(16)))
            return sorted(offset for each in taken for offset in each), offsets(await here.read(0, limit=10_000))

    taken, kept = run(go())
    assert taken == kept == list(range(1, 401))


def test_transaction_that_fails_leaves_no_gap(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with logged(open_database, tmp_path) as here:
            await here.append(2)
            await here.append_and_fail(3)
            await here.append(1)
            return offsets(await here.read(0))

    assert run(go()) == [1, 2, 3]


def test_events_become_visible_in_order_of_commit(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with logged(open_database, tmp_path) as here:
            seen: list[int] = []

            async def reader() -> None:
                while len(seen) < 320:
                    seen.extend(offsets(await here.read(len(seen))))

            async def writer() -> None:
                for _ in range(10):
                    await here.append(2)

            await within(asyncio.gather(reader(), *(writer() for _ in range(16))), 30)
            return seen

    assert run(go()) == list(range(1, 321))


def test_networks_count_for_themselves(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> tuple[list[int], list[int]]:
        async with logged(open_database, tmp_path) as here:
            other = Logged(here.database, await open_network(here.database, "other"), LocalNotifier(), 60)
            await here.append(2)
            await other.append(3)
            await here.append(1)
            return offsets(await here.read(0)), offsets(await other.read(0))

    assert run(go()) == ([1, 2, 3], [1, 2, 3])


# Reading


def test_read_is_one_page(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> Page:
        async with logged(open_database, tmp_path) as here:
            await here.append(PAGE_EVENTS + 7)
            return await here.read(3)

    page = run(go())
    assert offsets(page) == list(range(4, PAGE_EVENTS + 4))
    assert page.end == PAGE_EVENTS + 3


def test_read_ends_a_page_of_large_events_early(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> Page:
        async with logged(open_database, tmp_path) as here:
            await here.append(10, data=f'"{"x" * (PAGE_BYTES // 3)}"')
            return await here.read(0)

    page = run(go())
    assert offsets(page) == [1, 2, 3]
    assert page.end == 3


def test_read_takes_an_event_larger_than_a_page(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> Page:
        async with logged(open_database, tmp_path) as here:
            await here.append(2, data=f'"{"x" * PAGE_BYTES * 2}"')
            return await here.read(0)

    assert offsets(run(go())) == [1]


def test_read_at_the_head_is_empty_and_says_where_it_is(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> Page:
        async with logged(open_database, tmp_path) as here:
            await here.append(3)
            return await here.read(3)

    page = run(go())
    assert (offsets(page), page.end) == ([], 3)
    assert page.bounds is not None
    assert (page.bounds.head, page.bounds.trimmed) == (3, 0)


def test_read_of_types_gives_those_alone_and_reaches_the_head(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> list[Page]:
        async with logged(open_database, tmp_path) as here:
            types: list[EventType] = ["skill.captured", "skill.revised", "skill.retired", "skill.captured"]
            for type in types:
                await here.append(1, type=type)
            wanted = (frozenset({"skill.revised"}), frozenset({"skill.revised", "skill.captured"}))
            return [await here.read(0, types=types) for types in wanted]

    one, two = run(go())
    assert (offsets(one), one.end) == ([2], 4)
    assert (offsets(two), two.end) == ([1, 2, 4], 4)


def test_full_page_of_types_ends_at_its_last_event(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> Page:
        async with logged(open_database, tmp_path) as here:
            for type in ("skill.captured", "skill.revised") * 4:
                await here.append(1, type=type)
            return await here.read(0, types=frozenset({"skill.revised"}), limit=2)

    page = run(go())
    assert (offsets(page), page.end) == ([2, 4], 4)


def test_read_gives_back_what_was_appended(open_database: OpenDatabase, tmp_path: Path) -> None:
    event = make_event(1, type="skill.revised", error_type="E", tags=frozenset({"b", "a"}), data='{"é":"\u2028"}')

    async def go() -> Page:
        async with logged(open_database, tmp_path) as here:
            await here.database.write(lambda tx: here.log.append(tx, here.network.id, [lambda offset: event]))
            return await here.read(0)

    assert run(go()).events == [event]


@pytest.mark.parametrize("after", [0, 1])
def test_read_of_what_is_trimmed_is_refused(open_database: OpenDatabase, tmp_path: Path, after: int) -> None:
    async def go() -> None:
        async with logged(open_database, tmp_path) as here:
            await here.append(5)
            await here.trim(2)
            with pytest.raises(EventsTrimmed) as caught:
                await here.read(after)
            assert (caught.value.bounds.trimmed, caught.value.bounds.earliest, caught.value.bounds.head) == (2, 3, 5)

    run(go())


def test_read_right_after_what_is_trimmed_gives_the_rest(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with logged(open_database, tmp_path) as here:
            await here.append(5)
            await here.trim(2)
            return offsets(await here.read(2))

    assert run(go()) == [3, 4, 5]


def test_offsets_go_on_after_everything_was_trimmed(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with logged(open_database, tmp_path) as here:
            await here.append(5)
            await here.trim(5)
            await here.append(1)
            return offsets(await here.read(5))

    assert run(go()) == [6]


def test_log_goes_on_after_it_was_opened_again(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> tuple[str, str, list[int]]:
        async with logged(open_database, tmp_path) as here:
            await here.append(2)
            first = here.network.epoch
        async with logged(open_database, tmp_path) as here:
            await here.append(2)
            return first, here.network.epoch, offsets(await here.read(0))

    first, second, kept = run(go())
    assert first == second
    assert kept == [1, 2, 3, 4]


# Following


def test_follower_sees_every_event_once_while_others_append(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with logged(open_database, tmp_path) as here:
            following = asyncio.create_task(here.follow_to(0, 160))
            await asyncio.gather(*(here.append(2) for _ in range(80)))
            return await within(following)

    assert run(go()) == list(range(1, 161))


def test_follower_is_woken_by_a_commit(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with logged(open_database, tmp_path, poll_seconds=3_600) as here:
            await here.append(3)
            async with aclosing(here.log.follow(here.network.id, 3)) as pages:  # type: ignore[type-var]
                assert offsets(await anext(pages)) == []
                waiting = asyncio.ensure_future(anext(pages))
                await here.append(1)
                return offsets(await within(waiting))

    assert run(go()) == [4]


def test_follower_does_not_miss_a_wake_between_two_pages(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with (
            logged(open_database, tmp_path, poll_seconds=3_600) as here,
            aclosing(here.log.follow(here.network.id, 0)) as pages,  # type: ignore[type-var]
        ):
            found: list[int] = []
            for _ in range(20):  # what is appended while the follower holds a page comes with the next one
                found += offsets(await within(anext(pages)))
                await here.append(1)
            return found

    assert run(go()) == list(range(1, 20))


def test_follower_that_has_all_rests_until_the_next_wake(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> int:
        async with (
            logged(open_database, tmp_path, poll_seconds=3_600) as here,
            aclosing(here.log.follow(here.network.id, 0)) as pages,  # type: ignore[type-var]
        ):
            await within(anext(pages))  # from here on it listens
            await here.append(3)
            looks = 0
            with suppress(TimeoutError):
                while looks < 100:
                    await within(anext(pages), 0.1)
                    looks += 1
            return looks

    assert run(go()) <= 2


def test_follower_gets_all_though_every_wake_is_lost(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with logged(open_database, tmp_path, LostWakes(), poll_seconds=0.01) as here:
            following = asyncio.create_task(here.follow_to(0, 40))
            for _ in range(40):
                await here.append(1)
            return await within(following)

    assert run(go()) == list(range(1, 41))


def test_follower_gets_all_once_though_wakes_come_doubled_and_late(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with logged(open_database, tmp_path, DoubledWakes()) as here:
            following = asyncio.create_task(here.follow_to(0, 40))
            for _ in range(40):
                await here.append(1)
            return await within(following)

    assert run(go()) == list(range(1, 41))


def test_follower_gets_what_other_writers_commit(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with logged(open_database, tmp_path, poll_seconds=0.01) as here:
            another = Logged(
                here.database, here.network, LocalNotifier(), 60
            )  # as another process, whose wakes stay there
            following = asyncio.create_task(here.follow_to(0, 40))
            for _ in range(10):
                await another.append(2)
                await here.append(2)
            return await within(following)

    assert run(go()) == list(range(1, 41))


def test_follower_starts_where_it_was_told(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with logged(open_database, tmp_path) as here:
            await here.append(PAGE_EVENTS * 2)
            return await within(here.follow_to(PAGE_EVENTS - 1, PAGE_EVENTS * 2))

    assert run(go()) == list(range(PAGE_EVENTS, PAGE_EVENTS * 2 + 1))


def test_follower_that_was_overtaken_by_trimming_is_told(open_database: OpenDatabase, tmp_path: Path) -> None:
    async def go() -> None:
        async with logged(open_database, tmp_path) as here:
            await here.append(PAGE_EVENTS + 5)
            await here.trim(3)
            with pytest.raises(EventsTrimmed):
                await within(here.follow_to(2, PAGE_EVENTS + 5))

    run(go())
