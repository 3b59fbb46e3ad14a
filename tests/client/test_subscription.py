"""Subscriptions against a real server that is killed, restarted and silent: each event once and in order."""

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from app.client import AsyncClient, AsyncSubscription, Client, Event, ProblemError, Reset, Subscription


class Serving(Protocol):
    """What the fixture `fresh_server` gives."""

    url: str

    def restart(self) -> None: ...
    def kill(self) -> None: ...


def capture(cin: Client, count: int, word: str = "event") -> None:
    for number in range(count):
        cin.capture(description=f"{word} {number}", resolution=f"{word} {number}", idempotency_key=f"{word}-{number}")


def take(events: Subscription, count: int) -> list[int]:
    """The offsets of the next events."""
    return [item.offset for item in (next(events) for _ in range(count)) if isinstance(item, Event)]


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _has(seen: list[int], count: int) -> bool:
    return len(seen) >= count


def acknowledged(cin: Client, name: str) -> str | None:
    return next((agent.acknowledged for agent in cin.agents() if agent.name == name), None)


def test_subscription_from_earliest_then_live_has_no_seam(fresh_server: Serving) -> None:
    with Client(fresh_server.url) as cin, cin.subscribe(since="earliest") as events:
        capture(cin, 3, "before")
        assert take(events, 3) == [1, 2, 3]
        capture(cin, 3, "after")
        assert take(events, 3) == [4, 5, 6]


def test_subscription_survives_kills_of_the_server_without_gap_or_repeat(fresh_server: Serving) -> None:
    total, seen = 300, list[int]()

    def follow() -> None:
        with Client(fresh_server.url) as cin, cin.subscribe(since="earliest") as events:
            while len(seen) < total:
                seen.extend(take(events, 1))

    def write() -> None:
        with Client(fresh_server.url, tries=50) as cin:
            capture(cin, total)

    threads = [threading.Thread(target=run, daemon=True) for run in (follow, write)]
    for thread in threads:
        thread.start()
    for progress in (50, 150, 250):
        assert within(30, partial(_has, seen, progress))
        fresh_server.kill()
        fresh_server.restart()
    for thread in threads:
        thread.join(60)
    assert seen == list(range(1, total + 1))


def test_async_subscription_survives_a_kill_of_the_server(fresh_server: Serving) -> None:
    async def follow() -> list[int]:
        seen: list[int] = []
        async with AsyncClient(fresh_server.url) as cin, cin.subscribe(since="earliest") as events:
            async for item in events:
                assert isinstance(item, Event)
                seen.append(item.offset)
                if item.offset == 2:
                    await asyncio.to_thread(fresh_server.kill)
                    await asyncio.to_thread(fresh_server.restart)
                    await asyncio.to_thread(more)
                if item.offset == 4:
                    return seen
        return seen

    def more() -> None:
        with Client(fresh_server.url) as cin:
            capture(cin, 2, "after")

    with Client(fresh_server.url) as cin:
        capture(cin, 2, "before")
    assert asyncio.run(asyncio.wait_for(follow(), 60)) == [1, 2, 3, 4]


def test_last_event_is_acknowledged_within_a_second_of_silence(fresh_server: Serving) -> None:
    with Client(fresh_server.url) as cin:
        capture(cin, 5)

        def follow() -> None:
            with Client(fresh_server.url) as own, own.subscribe(since="earliest", agent="builder") as events:
                take(events, 5)
                next(events, None)  # waits for a sixth, in silence

        threading.Thread(target=follow, daemon=True).start()
        assert within(20, lambda: acknowledged(cin, "builder") is not None)
        assert within(1, lambda: str(acknowledged(cin, "builder")).endswith("-5"))
        capture(cin, 1, "sixth")  # lets the thread end


def test_async_last_event_is_acknowledged_within_a_second_of_silence(fresh_server: Serving) -> None:
    async def follow() -> None:
        async with AsyncClient(fresh_server.url) as cin, cin.subscribe(since="earliest", agent="builder") as events:
            fifth = asyncio.Event()
            reading = asyncio.create_task(read(events, fifth))
            await asyncio.wait_for(fifth.wait(), 20)
            with Client(fresh_server.url) as other:
                assert await asyncio.to_thread(within, 1, lambda: str(acknowledged(other, "builder")).endswith("-5"))
            reading.cancel()
            await asyncio.wait([reading])

    async def read(events: AsyncSubscription, fifth: asyncio.Event) -> None:
        async for item in events:
            if isinstance(item, Event) and item.offset == 5:
                fifth.set()

    with Client(fresh_server.url) as cin:
        capture(cin, 5)
    asyncio.run(asyncio.wait_for(follow(), 60))


def test_agent_goes_on_from_what_it_acknowledged(fresh_server: Serving) -> None:
    with Client(fresh_server.url, agent="builder") as cin:
        capture(cin, 4)
        with cin.subscribe(since="earliest") as events:
            assert take(events, 3) == [1, 2, 3]  # the third is not done with
        with cin.subscribe() as events:
            assert take(events, 2) == [3, 4]


def test_subscription_that_does_not_acknowledge_leaves_the_agent_where_it_was(fresh_server: Serving) -> None:
    with Client(fresh_server.url, agent="builder") as cin:
        capture(cin, 2)
        with cin.subscribe(since="earliest", acknowledge=False) as events:
            assert take(events, 2) == [1, 2]
            events.done()
        assert not str(acknowledged(cin, "builder")).endswith("-2")


def test_filtered_subscription_moves_over_what_it_does_not_see(fresh_server: Serving, tmp_path: Path) -> None:
    file = tmp_path / "position"
    with Client(fresh_server.url) as cin:
        capture(cin, 20)
        cin.capture(description="wanted", resolution="wanted", error_type="Wanted")
        with cin.subscribe(since="earliest", error_types=["Wanted"], position_file=file) as events:
            assert take(events, 1) == [21]
            events.done()
        assert file.read_text().strip().endswith("-21")


def test_unknown_position_is_a_reset_then_live(fresh_server: Serving) -> None:
    with Client(fresh_server.url) as cin:
        capture(cin, 2)
        with cin.subscribe(since="zzzz-1") as events:
            item = next(events)
            assert isinstance(item, Reset)
            assert item.reason == "epoch"
            assert item.head.endswith("-2")
            capture(cin, 1, "live")
            assert take(events, 1) == [3]


def test_unknown_position_on_a_strict_subscription_is_raised(fresh_server: Serving) -> None:
    with Client(fresh_server.url) as cin, cin.subscribe(since="zzzz-1", strict=True) as events:
        with pytest.raises(ProblemError) as caught:
            next(events)
        assert caught.value.status == 410
