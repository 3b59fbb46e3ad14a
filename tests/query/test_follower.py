"""The follower: its index has what this process has committed, whatever wakes, rests, renewals and trims do."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
import pytest

from app.capture.changing import Precondition, Report
from app.capture.recorder import Recorder
from app.errors import CINError, Unavailable
from app.eventlog.log import EventLog
from app.eventlog.network import Network, open_network
from app.eventlog.notifier import LocalNotifier
from app.eventlog.retention import Retention, RetentionRule
from app.metrics import Metrics
from app.query.answer_cache import AnswerCache
from app.query.checkpoint import IndexFolder
from app.query.follower import Follower
from app.query.matcher import Matcher
from app.query.question import MatchQuestion
from app.query.rendering import as_json
from app.query.skill_index import SkillIndex
from app.query.snapshot import make_index
from app.skills.document import SkillRow
from app.storage.database import Database
from app.storage.group_commit import GroupCommit
from app.storage.sqlite import open_sqlite
from tests.factories import make_draft
from tests.inside import database_in, run, until, within
from tests.query.histories import matched

T = TypeVar("T")

JAMMED = "the frobnicator is jammed"


class DeafNotifier(LocalNotifier):
    """Loses every wake."""

    def wake(self, network_id: int) -> None:
        pass


@dataclass
class Following:
    """A network of one process, and the follower of its skills."""

    database: Database
    network: Network
    recorder: Recorder
    follower: Follower
    matcher: Matcher
    other: Recorder
    """What another process would write with: this one's log is not told."""

    async def capture(self, pattern: str = JAMMED, *, by: Recorder | None = None, **content: Any) -> str:
        """The skill's id."""
        draft = make_draft(pattern=pattern, error_type=None, **content)
        answer = await (by or self.recorder).capture(self.network, draft)
        return answer.headers["Location"].rpartition("/")[2]

    async def report(self, skill_id: str, success: bool = True) -> None:
        await self.recorder.record_outcome(self.network, skill_id, Report(success, "a", None))

    async def found(self, message: str = JAMMED) -> list[dict[str, Any]]:
        """The skills that fit, by the follower's own index."""
        index = await within(self.follower.current())
        return [match["skill"] for match in orjson.loads(matched(index, message))["matches"]]

    async def answered(self, message: str) -> list[dict[str, Any]]:
        """The skills that fit, through the cache."""
        answer = await within(self.matcher.match(MatchQuestion(message, None, 5), as_json))
        return [match["skill"] for match in orjson.loads(answer.body)["matches"]]

    async def trim(self, keep: int = 0) -> None:
        rule = RetentionRule(timedelta(0), keep)
        await Retention(self.database, rule, Metrics(), interval_seconds=60).trim(self.network.id)

    async def rest(self) -> None:
        """Until the follower has let its index go."""
        await until(lambda: self.index is None and self.follower.is_ready)

    @property
    def index(self) -> SkillIndex | None:
        return self.follower._index


@asynccontextmanager
async def following(
    folder: Path,
    *,
    idle_seconds: float = 60,
    poll_seconds: float = 0.01,
    notifier: LocalNotifier | None = None,
    is_running: bool = True,
    index_folder: IndexFolder | None = None,
) -> AsyncIterator[Following]:
    async with open_sqlite(database_in(folder)) as database, asyncio.TaskGroup() as tasks:
        network, metrics = await open_network(database), Metrics()
        log = EventLog(database, notifier or LocalNotifier(), poll_seconds=poll_seconds)
        follower = Follower(network, log, metrics, idle_seconds=idle_seconds, folder=index_folder)
        commits = GroupCommit(database, metrics, max_weight=256)
        other_log = EventLog(database, LocalNotifier(), poll_seconds=poll_seconds)
        writing = tasks.create_task(commits.run())
        running = tasks.create_task(follower.run()) if is_running else None
        yield Following(
            database,
            network,
            Recorder(commits, log, lambda _, skills: follower.count(skills), metrics),
            follower,
            Matcher(network, follower, AnswerCache(metrics, max_bytes=10**6)),
            Recorder(commits, other_log, lambda _, skills: None, metrics),
        )
        commits.close()
        await writing
        if running is not None:
            follower.stop()
            await within(running)


def test_index_has_what_was_there_before_it_began(tmp_path: Path) -> None:
    async def go() -> list[str]:
        async with following(tmp_path, is_running=False) as here:
            await here.capture(resolution="old")
        async with following(tmp_path) as here:
            return [skill["resolution"] for skill in await here.found()]

    assert run(go()) == ["old"]


def test_index_follows_the_log(tmp_path: Path) -> None:
    async def go() -> tuple[list[str], list[str]]:
        async with following(tmp_path) as here:
            await here.found()
            first = await here.capture(resolution="first")
            await here.capture(resolution="second")
            both = [skill["resolution"] for skill in await here.found()]
            await here.recorder.retire(here.network, first, Precondition(None))
            return both, [skill["resolution"] for skill in await here.found()]

    assert run(go()) == (["second", "first"], ["second"])


@pytest.mark.parametrize("notifier", [LocalNotifier, DeafNotifier])
def test_index_has_what_was_committed_before_it_was_asked_for(
    tmp_path: Path, notifier: Callable[[], LocalNotifier]
) -> None:
    async def go() -> list[int]:
        async with following(tmp_path, notifier=notifier()) as here:
            found = []
            for number in range(1, 11):
                await here.capture(resolution=f"fix {number}")
                found.append(len(await here.found()))
            return found

    assert run(go()) == list(range(1, 11))


def test_many_who_ask_while_it_loads_all_get_it(tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with following(tmp_path) as here:
            await here.capture()
            return [len(found) for found in await asyncio.gather(*(here.found() for _ in range(20)))]

    assert run(go()) == [1] * 20


def test_index_comes_to_what_another_process_committed(tmp_path: Path) -> None:
    async def go() -> int:
        async with following(tmp_path) as here:
            await here.found()
            await here.capture(by=here.other)
            assert await here.follower.reached(1, 10)
            return len(await here.found())

    assert run(go()) == 1


def test_who_asks_for_an_index_that_does_not_come_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.query.follower._WAIT_SECONDS", 0.01)

    async def go() -> None:
        async with following(tmp_path, is_running=False) as here:
            with pytest.raises(Unavailable, match="being loaded"):
                await here.follower.current()

    run(go())


def test_position_that_was_reached_is_told(tmp_path: Path) -> None:
    async def go() -> tuple[bool, bool, bool]:
        async with following(tmp_path) as here:
            coming = asyncio.create_task(here.follower.reached(2, 10))
            await here.capture(resolution="first")
            reached = await here.follower.reached(1, 10)
            await here.capture(resolution="second")
            return reached, await within(coming), await here.follower.reached(3, 0.01)

    assert run(go()) == (True, True, False)


def test_counters_are_shown_at_once(tmp_path: Path) -> None:
    async def go() -> int:
        async with following(tmp_path) as here:
            skill_id = await here.capture()
            await here.found()
            await here.report(skill_id)
            return cast(int, (await here.found())[0]["usage_count"])

    assert run(go()) == 1


def test_counters_told_while_it_loads_are_not_lost(tmp_path: Path) -> None:
    async def go() -> int:
        async with following(tmp_path, is_running=False) as here:
            skill_id = await here.capture()
            read, has_read, gate = here.database.read, asyncio.Event(), asyncio.Event()

            async def slowly(work: Callable[..., T], *, patience_seconds: float | None = None) -> T:
                result = await read(work)
                has_read.set()
                await gate.wait()
                return result

            here.database.read = slowly  # type: ignore[method-assign]  # where every snapshot passes
            running = asyncio.create_task(here.follower.run())
            await within(has_read.wait())
            await here.report(skill_id)
            gate.set()
            try:
                return cast(int, (await here.found())[0]["usage_count"])
            finally:
                running.cancel()

    assert run(go()) == 1


def test_counters_changed_by_another_process_are_learned(tmp_path: Path) -> None:
    async def go() -> tuple[int, int]:
        async with following(tmp_path) as here:
            skill_id = await here.capture(resolution="hit it")
            await here.found()
            await here.other.record_outcome(here.network, skill_id, Report(True, "a", None))
            await here.capture(by=here.other, resolution="hit it")
            found = {}

            async def is_known() -> bool:
                found.update((await here.found())[0])
                return bool(found["usage_count"]) and found["captures"] > 1

            async with asyncio.timeout(10):
                while not await is_known():  # noqa: ASYNC110  # each look asks the index
                    await asyncio.sleep(0)
            return found["captures"], found["usage_count"]

    assert run(go()) == (2, 1)


def test_index_rests_when_nobody_asks_and_comes_back_when_asked(tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with following(tmp_path, idle_seconds=0.05) as here:
            skill_id = await here.capture(resolution="first")
            found = [len(await here.found())]
            await here.rest()
            await here.capture(resolution="second")
            await here.report(skill_id)
            skills = await here.found()
            return [*found, len(skills), sum(skill["usage_count"] for skill in skills)]

    assert run(go()) == [1, 2, 1]


def test_resting_index_leaves_memory(tmp_path: Path) -> None:
    async def go() -> bool:
        async with following(tmp_path, idle_seconds=0.05) as here:
            await here.capture()
            await here.found()
            kept = weakref.ref(here.follower._index)
            await here.rest()
            gc.collect()
            return kept() is None

    assert run(go())


def test_counters_told_while_it_rests_are_not_kept(tmp_path: Path) -> None:
    class Told(dict[str, Any]):
        """A row that can be watched."""

    async def go() -> bool:
        async with following(tmp_path, idle_seconds=0.05) as here:
            await here.found()
            await here.rest()
            row = Told(id="one")
            watched = weakref.ref(row)
            here.follower.count([cast(SkillRow, row)])
            del row
            gc.collect()
            return watched() is None

    assert run(go())


def test_resting_index_waits_for_a_position_that_comes_a_moment_later(tmp_path: Path) -> None:
    async def go() -> bool:
        async with following(tmp_path, idle_seconds=0.05) as here:
            await here.found()
            await here.rest()
            coming = asyncio.create_task(here.follower.reached(1, 2))
            await until(lambda: here.index is not None)
            await here.capture()
            return await within(coming)

    assert run(go())


def test_log_trimmed_while_the_index_rests_costs_nothing(tmp_path: Path) -> None:
    async def go() -> int:
        async with following(tmp_path, idle_seconds=0.05) as here:
            await here.capture(resolution="first")
            await here.found()
            await here.rest()
            await here.capture(resolution="second", by=here.other)
            await here.trim()
            await here.capture(resolution="third")
            return len(await here.found())

    assert run(go()) == 3


def test_log_trimmed_ahead_of_the_index_has_it_loaded_again(tmp_path: Path) -> None:
    async def go() -> list[int]:
        notifier = LocalNotifier()
        async with following(tmp_path, notifier=notifier, poll_seconds=60) as here:
            await here.capture(resolution="first")
            found = [len(await here.found())]
            for resolution in ("second", "third"):
                await here.capture(resolution=resolution, by=here.other)
            await here.trim()
            notifier.wake(here.network.id)
            assert await here.follower.reached(3, 10)
            return [*found, len(await here.found())]

    assert run(go()) == [1, 3]


def test_index_is_loaded_again_after_the_database_failed(tmp_path: Path) -> None:
    async def go() -> int:
        async with following(tmp_path, is_running=False) as here:
            await here.capture()
            read, failures = here.database.read, iter([Unavailable("The disk hiccups.")])

            async def failing_once(work: Callable[..., T], *, patience_seconds: float | None = None) -> T:
                for failure in failures:
                    raise failure
                return await read(work)

            here.database.read = failing_once  # type: ignore[method-assign]  # where every snapshot passes
            running = asyncio.create_task(here.follower.run())
            try:
                return len(await here.found())
            finally:
                running.cancel()

    assert run(go()) == 1


def test_index_with_many_dead_skills_is_renewed_and_answers_the_same(tmp_path: Path) -> None:
    messages = [JAMMED, "number 7 is broken", "number"]

    async def go() -> None:
        async with following(tmp_path) as here:
            kept = [await here.capture(resolution=f"fix {number}") for number in range(5)]
            drafts = [make_draft(pattern=f"number {n} is broken", error_type=None) for n in range(1_010)]
            batch = orjson.loads((await here.recorder.capture_batch(here.network, list(drafts))).body)
            first = await here.follower.current()
            ids = [item["id"] for item in batch["results"]]
            await asyncio.gather(*(here.recorder.retire(here.network, id, Precondition(None)) for id in ids[5:]))
            await here.report(kept[0])

            def is_renewed() -> bool:
                return here.index is not None and here.index is not first

            await until(is_renewed)
            await here.report(kept[1], success=False)
            await here.capture(resolution="after")
            index = await here.follower.current()
            anew = await here.database.read(partial(make_index, network=here.network, folder=None))
            assert len(index) == len(anew) == 11
            assert [matched(index, message) for message in messages] == [matched(anew, message) for message in messages]

    run(go())


@pytest.mark.parametrize(
    ("known", "pattern"),
    [("something else", JAMMED), ("something else", "%%"), ("it is what it is", "it is what it is")],
    ids=["words", "a whole line without words", "nothing but stop words"],
)
def test_answer_is_right_after_the_index_was_loaded_again(tmp_path: Path, known: str, pattern: str) -> None:
    async def go() -> list[int]:
        async with following(tmp_path, idle_seconds=0.05) as here:
            await here.capture(known, resolution="it")
            await here.capture("another error", resolution="it")
            before = len(await here.answered(pattern))
            await here.rest()
            await here.capture(pattern, resolution="it was")
            return [before, len(await here.answered(pattern))]

    assert run(go()) == [known == pattern, (known == pattern) + 1]


def test_change_that_was_refused_leaves_the_index_as_it_is(tmp_path: Path) -> None:
    async def go() -> int:
        async with following(tmp_path) as here:
            await here.capture(name="taken")
            with pytest.raises(CINError):
                await here.capture("another error", name="taken")
            return len(await here.found())

    assert run(go()) == 1
