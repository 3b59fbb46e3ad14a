"""The answer cache: what is right is served, what is not is found anew, once for all who ask, within its bytes."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from app.metrics import Metrics
from app.query.answer_cache import Answer, AnswerCache, Considered, SharedAnswers, Standing, make_etag
from app.query.clocks import Moment
from app.query.plan import Plan
from tests.inside import run, until, within
from tests.query.drawer import Drawer


def make_answer(body: bytes = b"found", offset: int = 1) -> Answer:
    plan = Plan((("server", 3),), 1, 4)
    return Answer(
        body, 0, make_etag(body), offset, plan, (Standing("exact", "x", 1, 1),), (Considered("id", 1, 1, 0),), 1.5
    )


class Asked:
    """Who asks one cache: answers say how often something was found, and are right unless something moved since."""

    def __init__(self, *, max_bytes: int = 10**6, shared: SharedAnswers | None = None) -> None:
        self.metrics = Metrics()
        self.cache = AnswerCache(self.metrics, max_bytes=max_bytes, shared=shared)
        self.time = 0
        self.right_from = 0
        self.finds = 0
        self.looks = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None

    async def ask(self, key: bytes = b"question", body: bytes = b"found") -> Answer:
        return await within(self.cache.answer(key, self._moment, self._is_right, lambda: self._find(body)))

    def touch(self) -> None:
        """Something changes that no answer depends on."""
        self.time += 1

    def spoil(self) -> None:
        """Something changes that every answer depends on."""
        self.time += 1
        self.right_from = self.time

    def served(self, tier: str) -> float:
        return self.metrics.registry.get_sample_value("cin_answers_total", {"tier": tier}) or 0

    def _moment(self) -> Moment:
        return "life", self.time

    async def _is_right(self, answer: Answer) -> bool:
        self.looks += 1
        await asyncio.sleep(0)
        return answer.offset >= self.right_from

    async def _find(self, body: bytes) -> Answer:
        self.finds += 1
        offset = self.time
        await self.gate.wait()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return make_answer(body, offset)


def test_answer_is_kept() -> None:
    async def go() -> tuple[int, int, float]:
        asked = Asked()
        first = await asked.ask()
        assert await asked.ask() is first
        return asked.finds, asked.looks, asked.served("local")

    assert run(go()) == (1, 0, 1)


def test_answer_that_is_still_right_is_looked_over_once_a_change() -> None:
    async def go() -> tuple[int, int]:
        asked = Asked()
        await asked.ask()
        for _ in range(3):
            asked.touch()
            await asked.ask()
            await asked.ask()
        return asked.finds, asked.looks

    assert run(go()) == (1, 3)


def test_answer_that_is_not_right_is_found_anew() -> None:
    async def go() -> list[bytes]:
        asked = Asked()
        bodies = [(await asked.ask(body=b"old")).body]
        asked.spoil()
        return [*bodies, (await asked.ask(body=b"new")).body, (await asked.ask(body=b"newer")).body]

    assert run(go()) == [b"old", b"new", b"new"]


def test_answer_found_while_something_changes_is_looked_over() -> None:
    async def go() -> list[bytes]:
        asked = Asked()
        asked.gate.clear()
        first = asyncio.create_task(asked.ask(body=b"old"))
        await until(lambda: asked.finds == 1)
        asked.spoil()
        asked.gate.set()
        return [(await first).body, (await asked.ask(body=b"new")).body]

    assert run(go()) == [b"old", b"new"]


def test_who_waits_for_an_answer_that_is_no_longer_right_gets_a_new_one() -> None:
    async def go() -> list[bytes]:
        asked = Asked()
        asked.gate.clear()
        first = asyncio.create_task(asked.ask(body=b"old"))
        await until(lambda: asked.finds == 1)
        asked.spoil()
        second = asyncio.create_task(asked.ask(body=b"new"))
        await asyncio.sleep(0)
        asked.gate.set()
        return [(await first).body, (await second).body]

    assert run(go()) == [b"old", b"new"]


def test_different_questions_have_different_answers() -> None:
    async def go() -> list[bytes]:
        asked = Asked()
        return [(await asked.ask(key, key)).body for key in (b"one", b"two", b"one")]

    assert run(go()) == [b"one", b"two", b"one"]


def test_nothing_found_is_kept() -> None:
    async def go() -> int:
        asked = Asked()
        assert (await asked.ask(body=b"")).body == (await asked.ask(body=b"")).body == b""
        return asked.finds

    assert run(go()) == 1


def test_many_who_ask_at_once_have_it_found_once() -> None:
    async def go() -> int:
        asked = Asked()
        asked.gate.clear()
        waiting = [asyncio.create_task(asked.ask()) for _ in range(50)]
        await until(lambda: asked.finds > 0)
        asked.gate.set()
        answers = await asyncio.gather(*waiting)
        assert all(answer is answers[0] for answer in answers)
        return asked.finds

    assert run(go()) == 1


def test_find_that_fails_leaves_nobody_waiting() -> None:
    async def go() -> tuple[int, int]:
        asked = Asked()
        asked.gate.clear()
        asked.failure = ValueError("the disk hiccups")
        waiting = [asyncio.create_task(asked.ask()) for _ in range(50)]
        await until(lambda: asked.finds > 0)
        asked.gate.set()
        answers = await within(asyncio.gather(*waiting, return_exceptions=True))
        return sum(isinstance(answer, ValueError) for answer in answers), asked.finds

    assert run(go()) == (1, 2)


def test_find_that_is_cancelled_leaves_nobody_waiting() -> None:
    async def go() -> int:
        asked = Asked()
        asked.gate.clear()
        first, *others = [asyncio.create_task(asked.ask()) for _ in range(5)]
        await until(lambda: asked.finds > 0)
        first.cancel()
        asked.gate.set()
        answers = await within(asyncio.gather(*others))
        return len(answers)

    assert run(go()) == 4


def test_who_gives_up_waiting_stops_nobody() -> None:
    async def go() -> tuple[bytes, int]:
        asked = Asked()
        asked.gate.clear()
        first, second = asyncio.create_task(asked.ask()), asyncio.create_task(asked.ask())
        await until(lambda: asked.finds > 0)
        second.cancel()
        await asyncio.wait([second])
        asked.gate.set()
        return (await first).body, asked.finds

    assert run(go()) == (b"found", 1)


def test_what_nobody_asked_for_the_longest_goes_first() -> None:
    async def go() -> list[int]:
        asked = Asked(max_bytes=3 * 5_000)
        for key in (b"one", b"two", b"one", b"three"):  # two of them fit
            await asked.ask(key, bytes(5_000))
        finds = []
        for key in (b"one", b"three", b"two"):
            await asked.ask(key, bytes(5_000))
            finds.append(asked.finds)
        return finds

    assert run(go()) == [3, 3, 4]


def test_answer_found_anew_takes_the_room_of_the_old() -> None:
    async def go() -> int:
        asked = Asked(max_bytes=3 * 5_000)
        for key in [b"one", *[b"two"] * 20]:
            await asked.ask(key, bytes(5_000))
            asked.right_from = asked.time = asked.time + (key == b"two")
        asked.right_from = 0
        finds = asked.finds
        await asked.ask(b"one")
        return asked.finds - finds

    assert run(go()) == 0


def test_answer_larger_than_the_cache_is_given_all_the_same() -> None:
    async def go() -> tuple[int, int]:
        asked = Asked(max_bytes=100)
        return len((await asked.ask(body=bytes(5_000))).body), len((await asked.ask(body=bytes(5_000))).body)

    assert run(go()) == (5_000, 5_000)


def test_another_process_answers_from_the_shared_tier() -> None:
    async def go() -> tuple[bytes, int, float]:
        drawer = Drawer()
        await Asked(shared=drawer).ask(body=b"of one")
        other = Asked(shared=drawer)
        answer = await other.ask(body=b"of the other")
        await other.ask()
        return answer.body, other.finds, other.served("shared")

    assert run(go()) == (b"of one", 0, 1)


def test_shared_answer_is_all_that_it_was() -> None:
    async def go() -> tuple[Answer, Answer]:
        drawer = Drawer()
        return await Asked(shared=drawer).ask(), await Asked(shared=drawer).ask()

    one, other = run(go())
    assert one == other
    assert (type(other.plan), type(other.standing[0]), type(other.considered[0])) == (Plan, Standing, Considered)


def test_shared_answer_that_is_not_right_is_found_anew() -> None:
    async def go() -> list[bytes]:
        drawer = Drawer()
        await Asked(shared=drawer).ask(body=b"old")
        other = Asked(shared=drawer)
        other.spoil()
        bodies = [(await other.ask(body=b"new")).body]
        third = Asked(shared=drawer)
        third.right_from = 1
        return [*bodies, (await third.ask(body=b"newer")).body]

    assert run(go()) == [b"new", b"new"]


@pytest.mark.parametrize(
    "garbage",
    [
        lambda: b"",
        lambda: b"\xc1",
        lambda: b"not an answer",
        lambda: msgspec.msgpack.encode(None),
        lambda: msgspec.msgpack.encode({"body": b"of another version"}),
        lambda: msgspec.msgpack.encode(make_answer())[:-3],
        lambda: msgspec.msgpack.encode({"body": b"", "etag": b"\xff", "offset": "1"}),
    ],
)
def test_garbage_in_the_shared_tier_is_ignored(garbage: Callable[[], bytes]) -> None:
    async def go() -> bytes:
        drawer = Drawer()
        drawer.kept[b"question"] = garbage()
        return (await Asked(shared=drawer).ask()).body

    assert run(go()) == b"found"


def test_etag_is_of_the_body() -> None:
    assert make_etag(b"a") == make_etag(b"a") != make_etag(b"b")
    assert make_etag(b"a").startswith('W/"')
