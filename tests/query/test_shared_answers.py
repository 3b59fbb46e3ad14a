"""Answers that processes share: right by the index of whoever takes one, whatever the other knew when it found it."""

from asyncio import TaskGroup
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.metrics import Metrics
from app.query.answer_cache import AnswerCache
from app.query.follower import Follower
from app.query.matcher import Matcher
from app.query.question import MatchQuestion
from app.query.rendering import as_json
from app.query.shared_answers_redis import KEEP_SECONDS, LARGEST_BYTES, RedisAnswers
from app.query.skill_index import SkillIndex
from app.query.snapshot import read_counted
from app.storage.database import Database
from app.storage.group_commit import GroupCommit
from app.storage.redis import open_redis
from app.storage.sqlite import open_sqlite
from tests.inside import database_in, run, until, within
from tests.query.drawer import Drawer
from tests.query.histories import History, begin
from tests.valkey import Valkey

MESSAGES = ["No module named 'django'", "connection to 10.0.0.7:5432 refused after 30.2s", "the other server of django"]
TEXTS = ["pip install django", "stop the other server", "raise the limit"]


class Process:
    """An index that goes its own way behind the log, and who asks it; each question goes to the shared tier first."""

    def __init__(self, history: History, index: SkillIndex, shared: Drawer) -> None:
        self.history = history
        self.index = index
        self.metrics = Metrics()
        follower = cast(Follower, self)
        forgetful = AnswerCache(self.metrics, max_bytes=0, shared=shared)
        self._cached = Matcher(history.network, follower, AnswerCache(self.metrics, max_bytes=1 << 20, shared=shared))
        self._sharing = Matcher(history.network, follower, forgetful)
        self._plain = Matcher(history.network, follower, AnswerCache(Metrics(), max_bytes=0))

    async def current(self) -> SkillIndex:
        return self.index

    async def follow(self, events: int) -> None:
        """Come closer to the head by some events."""
        for event in (await self.history.log.read(self.history.network.id, self.index.offset, limit=events)).events:
            self.index.apply(event)
        await self.index.settle()

    async def count(self) -> None:
        """Learn all counters."""
        network = self.history.network
        for skill in await self.history.database.read(lambda connection: list(read_counted(connection, network, 0))):
            self.index.count(skill)

    async def restart(self) -> None:
        self.index = await self.history.rebuilt()

    async def take(self, message: str) -> None:
        """Ask once, so that nothing of its own is in the shared tier yet."""
        await self._sharing.match(MatchQuestion(message, None, 5), as_json)

    async def ask(self, message: str) -> None:
        """Hold answers against one that is found without any cache."""
        question = MatchQuestion(message, None, 5)
        right = (await self._plain.match(question, as_json)).body
        for matcher in (self._cached, self._sharing):
            answered = (await matcher.match(question, as_json)).body
            assert answered == right or self._knows_more(answered, right), (answered, right)

    def _knows_more(self, answered: bytes, right: bytes) -> bool:
        """Whether the answer has the very skills and versions of the right one, and counters that are newer, if any."""
        ours, theirs = (
            {m["skill"]["id"]: m["skill"] for m in orjson.loads(each)["matches"]} for each in (right, answered)
        )
        return ours.keys() == theirs.keys() and all(
            theirs[id]["position"] == ours[id]["position"]
            and (theirs[id]["captures"], theirs[id]["usage_count"]) >= (ours[id]["captures"], ours[id]["usage_count"])
            for id in ours
        )


_content: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    pattern=st.sampled_from([*MESSAGES[:2], None]),
    description=st.sampled_from(TEXTS),
    resolution=st.sampled_from(TEXTS),
)
_which, _process = st.integers(0, 10), st.integers(0, 1)
_changes = st.one_of(
    st.builds(lambda content: lambda h, p: h.capture(**content), _content),
    st.builds(lambda which, content: lambda h, p: h.revise(which, **content), _which, _content),
    st.builds(lambda which: lambda h, p: h.retire(which), _which),
    st.builds(lambda which, agent: lambda h, p: h.report(which, True, agent), _which, st.sampled_from(["a", "b"])),
)
_moves = st.one_of(
    st.builds(lambda which, events: lambda h, p: p[which].follow(events), _process, st.integers(1, 5)),
    st.builds(lambda which: lambda h, p: p[which].count(), _process),
    st.builds(lambda which: lambda h, p: p[which].restart(), _process),
)
_asks = st.builds(lambda which, message: lambda h, p: p[which].ask(message), _process, st.sampled_from(MESSAGES))
_steps = st.lists(st.one_of(_changes, _moves, _asks, _asks), max_size=40)
_serial = iter(range(10**9))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_steps)
def test_answer_of_another_process_is_right_or_found_anew(
    tmp_path: Path, steps: list[Callable[[History, list[Process]], Any]]
) -> None:
    async def look(history: History) -> None:
        drawer = Drawer()
        processes = [Process(history, await history.rebuilt(), drawer) for _ in range(2)]
        for step in steps:
            await step(history, processes)

    run(_in_history(tmp_path, look))


def test_counters_in_the_own_document_are_newer_than_the_answer(tmp_path: Path) -> None:
    """The index was never told them: they were in the rows that it was made from."""

    async def look(history: History) -> None:
        await history.capture(pattern=MESSAGES[0], resolution="pip install django")
        drawer = Drawer()
        first = Process(history, await history.rebuilt(), drawer)
        await first.ask(MESSAGES[0])
        await history.report(0, True, "a")
        second = Process(history, await history.rebuilt(), drawer)
        answered = await second._sharing.match(MatchQuestion(MESSAGES[0], None, 5), as_json)
        assert orjson.loads(answered.body)["matches"][0]["skill"]["usage_count"] == 1

    run(_in_history(tmp_path, look))


def test_answer_is_taken_from_a_process_that_knows_the_same(tmp_path: Path) -> None:
    async def look(history: History) -> None:
        await history.capture(pattern=MESSAGES[0], resolution="pip install django")
        drawer = Drawer()
        first, second = [Process(history, await history.rebuilt(), drawer) for _ in range(2)]
        await first.ask(MESSAGES[0])
        await second.ask(MESSAGES[0])
        assert second.metrics.registry.get_sample_value("cin_answers_total", {"tier": "shared"}) == 2

    run(_in_history(tmp_path, look))


def test_answer_of_a_process_that_is_ahead_is_found_anew(tmp_path: Path) -> None:
    """It lacks a skill that this index still has, and no clock of its own says so."""

    async def look(history: History) -> None:
        await history.capture(pattern=None, description="django server", resolution="stop the other server")
        drawer = Drawer()
        behind = Process(history, await history.rebuilt(), drawer)
        await history.retire(0)
        ahead = Process(history, await history.rebuilt(), drawer)
        await ahead.ask(MESSAGES[2])
        await behind.take(MESSAGES[2])
        assert behind.metrics.registry.get_sample_value("cin_answers_total", {"tier": "shared"}) is None

    run(_in_history(tmp_path, look))


async def _in_history(folder: Path, look: Callable[[History], Any]) -> None:
    async with open_sqlite(database_in(folder)) as database:
        commits = GroupCommit(database, Metrics(), max_weight=256)
        async with TaskGroup() as tasks:
            tasks.create_task(commits.run())
            await look(await begin(database, commits, f"n{next(_serial)}"))
            commits.close()


# In Redis


def test_answers_in_redis_are_of_one_epoch_and_of_the_same_rules(
    shared_valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(database: Database, commits: GroupCommit) -> list[bytes | None]:
        network = (await begin(database, commits, "default")).network
        async with (
            open_redis(shared_valkey.url, "cin:one", Metrics()) as one,
            open_redis(shared_valkey.url, "cin:two", Metrics()) as two,
        ):
            await within(one.up())
            await within(two.up())
            mine = RedisAnswers(one, network)
            await mine.put(b"\x00 key", b"value")
            found = [await mine.get(b"\x00 key"), await RedisAnswers(two, network).get(b"\x00 key")]
            monkeypatch.setattr("app.query.shared_answers_redis.rules", lambda: "other")
            return [*found, await RedisAnswers(one, network).get(b"\x00 key")]

    async def go() -> list[bytes | None]:
        async with open_sqlite(database_in(tmp_path)) as database:
            commits = GroupCommit(database, Metrics(), max_weight=256)
            async with TaskGroup() as tasks:
                tasks.create_task(commits.run())
                found = await look(database, commits)
                commits.close()
                return found

    assert run(go()) == [b"value", None, None]


def test_answers_in_redis_end_and_are_not_large(valkey: Valkey, tmp_path: Path) -> None:
    async def look(history: History) -> None:
        async with open_redis(valkey.url, "cin:it", Metrics()) as redis:
            await within(redis.up())
            answers = RedisAnswers(redis, history.network)
            await answers.put(b"small", bytes(LARGEST_BYTES))
            await answers.put(b"large", bytes(LARGEST_BYTES + 1))
            assert await answers.get(b"large") is None
            with valkey.client() as client:
                (key,) = client.keys("*")
                assert 0 < client.ttl(key) <= KEEP_SECONDS

    run(_in_history(tmp_path, look))


def test_without_redis_nothing_is_found_and_nothing_raised(tmp_path: Path) -> None:
    async def look(history: History) -> None:
        metrics = Metrics()
        async with open_redis("redis://127.0.0.1:1", "cin:it", metrics) as redis:
            await until(lambda: bool(metrics.registry.get_sample_value("cin_redis_errors_total", {"kind": "lost"})))
            answers = RedisAnswers(redis, history.network)
            await answers.put(b"key", b"value")
            assert await answers.get(b"key") is None

    run(_in_history(tmp_path, look))
