"""Group commit: many share a commit, each gets its own answer, and who fails fails alone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from app.errors import CINError, SkillConflict, StorageFull, Unavailable
from app.metrics import Metrics
from app.storage.database import Database, Transaction
from app.storage.group_commit import GroupCommit
from tests.inside import database_in, run, until, within
from tests.storage.databases import add_note, notes, scratch_database


class Notes:
    """A writer of notes. It remembers its groups, refuses what begins with `refuse`, breaks at what begins with `break`."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []

    def write(self, tx: Transaction, texts: Sequence[str]) -> list[str | CINError]:
        self.groups.append(list(texts))
        return [self._one(tx, text) for text in texts]

    def write_otherwise(self, tx: Transaction, texts: Sequence[str]) -> list[str | CINError]:
        return self.write(tx, texts)

    def _one(self, tx: Transaction, text: str) -> str | CINError:
        if text.startswith("refuse"):
            return SkillConflict(f"{text} is refused")
        add_note(tx, text)
        if text.startswith("break"):
            raise ValueError(f"{text} breaks")
        return f"wrote {text}"


class Committing:
    """A group commit on a database, with what tests ask of it."""

    def __init__(self, database: Database, max_weight: int) -> None:
        self.database = database
        self.metrics = Metrics()
        self.commits = GroupCommit(database, self.metrics, max_weight=max_weight)
        self.notes = Notes()

    def submit(self, text: str, weight: int = 1) -> asyncio.Task[str | BaseException]:
        return asyncio.create_task(self._answer(text, weight))

    async def submit_all(self, texts: Sequence[str], weight: int = 1) -> list[str | BaseException]:
        """The answers, in order. Nothing is written before all of them wait."""
        waiting = [self.submit(text, weight) for text in texts]
        await asyncio.sleep(0)
        async with self.running():
            return await within(asyncio.gather(*waiting))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.commits.run())
        yield
        self.commits.close()
        await within(task)

    def measured(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(name) or 0

    async def _answer(self, text: str, weight: int) -> str | BaseException:
        try:
            return await self.commits.write(self.notes.write, text, weight=weight)
        except CINError as error:
            return error


@asynccontextmanager
async def committing(url: str, max_weight: int = 256) -> AsyncIterator[Committing]:
    async with scratch_database(url) as database:
        yield Committing(database, max_weight)


def test_requests_that_wait_together_share_one_commit(database_url: str) -> None:
    async def go() -> tuple[float, float, float]:
        async with committing(database_url) as here:
            await here.submit_all([str(n) for n in range(64)])
            return (
                here.measured("cin_commits_total"),
                here.measured("cin_group_size_sum"),
                here.measured("cin_group_size_count"),
            )

    assert run(go()) == (1, 64, 1)


def test_requests_that_arrive_during_a_commit_share_the_next(database_url: str) -> None:
    async def go() -> list[list[str]]:
        async with committing(database_url) as here, here.running():
            first = here.submit("first")
            await until(lambda: len(here.notes.groups) == 1)
            await asyncio.gather(first, *(here.submit(str(n)) for n in range(30)))
            return here.notes.groups

    groups = run(go())
    assert [len(group) for group in groups] == [1, 30]


def test_each_request_gets_its_own_answer(database_url: str) -> None:
    async def go() -> list[str | BaseException]:
        async with committing(database_url) as here:
            return await here.submit_all([str(n) for n in range(50)])

    assert run(go()) == [f"wrote {n}" for n in range(50)]


def test_answer_comes_after_the_commit(database_url: str) -> None:
    async def go() -> list[bool]:
        async with committing(database_url) as here, here.running():

            async def write_and_look(text: str) -> bool:
                await here.commits.write(here.notes.write, text)
                return text in await notes(here.database)

            return await asyncio.gather(*(write_and_look(str(n)) for n in range(40)))

    assert all(run(go()))


def test_refused_request_harms_no_other(database_url: str) -> None:
    async def go() -> tuple[list[str | BaseException], list[str], float]:
        async with committing(database_url) as here:
            answers = await here.submit_all(["a", "refuse b", "c"])
            return answers, await notes(here.database), here.measured("cin_commits_total")

    answers, written, commits = run(go())
    assert (answers[0], answers[2], written, commits) == ("wrote a", "wrote c", ["a", "c"], 1)
    assert isinstance(answers[1], SkillConflict)


def test_request_that_breaks_the_group_fails_alone(database_url: str) -> None:
    async def go() -> tuple[list[str | BaseException], list[str], list[list[str]]]:
        async with committing(database_url) as here:
            answers = await here.submit_all(["a", "break b", "c"])
            return answers, await notes(here.database), here.notes.groups

    answers, written, groups = run(go())
    assert (answers[0], answers[2], written) == ("wrote a", "wrote c", ["a", "c"])
    assert isinstance(answers[1], Unavailable)
    assert groups == [["a", "break b", "c"], ["a"], ["break b"], ["c"]]


def test_broken_constraint_fails_alone(database_url: str) -> None:
    async def go() -> tuple[list[str | BaseException], list[str]]:
        async with committing(database_url) as here:
            return await here.submit_all(["a", "a", "b"]), await notes(here.database)

    answers, written = run(go())
    assert written == ["a", "b"]
    assert sorted(str(type(answer).__name__) for answer in answers) == ["Unavailable", "str", "str"]


def test_request_too_large_for_the_disk_fails_alone(tmp_path: Path) -> None:
    async def go() -> tuple[list[str | BaseException], int]:
        async with committing(database_in(tmp_path)) as here:
            pages = await here.database.write(
                lambda tx: int(tx.connection.exec_driver_sql("PRAGMA page_count").scalar_one())
            )
            await here.database.write(lambda tx: tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 20}"))
            answers = await here.submit_all(["a", "x" * 500_000, "b"])
            return answers, len(await notes(here.database))

    answers, written = run(go())
    assert (answers[0], answers[2], written) == ("wrote a", "wrote b", 2)
    assert isinstance(answers[1], StorageFull)


def test_group_goes_on_after_one_that_failed(database_url: str) -> None:
    async def go() -> str | BaseException:
        async with committing(database_url) as here, here.running():
            await here.submit("break")
            return await within(here.submit("after"))

    assert run(go()) == "wrote after"


def test_group_ends_when_it_is_heavy_enough(database_url: str) -> None:
    async def go() -> list[list[str]]:
        async with committing(database_url, max_weight=10) as here:
            await here.submit_all(["a", "b", "c", "d", "e"], weight=4)
            return here.notes.groups

    assert run(go()) == [["a", "b"], ["c", "d"], ["e"]]


def test_request_heavier_than_a_group_goes_alone(database_url: str) -> None:
    async def go() -> list[list[str]]:
        async with committing(database_url, max_weight=10) as here:
            waiting = [here.submit("a"), here.submit("heavy", weight=1_000), here.submit("b")]
            async with here.running():
                await within(asyncio.gather(*waiting))
            return here.notes.groups

    assert run(go()) == [["a"], ["heavy"], ["b"]]


def test_writers_of_two_kinds_share_one_commit(database_url: str) -> None:
    async def go() -> tuple[list[str], float]:
        async with committing(database_url) as here:
            write, otherwise = here.notes.write, here.notes.write_otherwise
            waiting = [
                asyncio.create_task(here.commits.write(writer, text))
                for writer, text in ((write, "a"), (otherwise, "b"), (write, "c"), (otherwise, "d"))
            ]
            async with here.running():
                return await within(asyncio.gather(*waiting)), here.measured("cin_commits_total")

    assert run(go()) == (["wrote a", "wrote b", "wrote c", "wrote d"], 1)


def test_waiter_that_gives_up_does_not_undo_its_write(database_url: str) -> None:
    async def go() -> tuple[list[str], str | BaseException]:
        async with committing(database_url) as here:
            gone, other = here.submit("gone"), here.submit("other")
            await asyncio.sleep(0)
            gone.cancel()
            async with here.running():
                answer = await within(other)
            return await notes(here.database), answer

    assert run(go()) == (["gone", "other"], "wrote other")


def test_close_answers_all_who_wait(database_url: str) -> None:
    async def go() -> list[str | BaseException]:
        async with committing(database_url, max_weight=3) as here:
            waiting = [here.submit(str(n)) for n in range(10)]
            await asyncio.sleep(0)
            here.commits.close()
            await within(here.commits.run())
            return await within(asyncio.gather(*waiting))

    assert run(go()) == [f"wrote {n}" for n in range(10)]


def test_close_refuses_all_who_come_later(database_url: str) -> None:
    async def go() -> tuple[str | BaseException, list[str]]:
        async with committing(database_url) as here:
            async with here.running():
                pass
            return await within(here.submit("late")), await notes(here.database)

    answer, written = run(go())
    assert isinstance(answer, Unavailable)
    assert answer.retry_after_seconds
    assert written == []


def test_integrity_error_is_no_answer_that_a_caller_sees(database_url: str) -> None:
    async def go() -> str | BaseException:
        async with committing(database_url) as here, here.running():
            await here.submit("a")
            return await within(here.submit("a"))

    assert not isinstance(run(go()), IntegrityError)
