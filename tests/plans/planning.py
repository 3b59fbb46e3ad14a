"""The plans of the very statements that the program sends, on a database with a few thousand skills."""

import asyncio
import re
import shutil
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, event

from tests.factories import make_skill
from tests.inside import Inside, application

SKILLS = 3_000


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement, and how SQLite goes about it, step by step."""

    sql: str
    steps: list[str]

    def __str__(self) -> str:
        return "\n".join([self.sql, *(f"    {step}" for step in self.steps)])

    @property
    def scanned(self) -> set[str]:
        """Tables that are read from one end to the other."""
        found = (re.fullmatch(r"SCAN (\w+)(?: AS \w+)?", step) for step in self.steps)
        return {match[1] for match in found if match}

    @property
    def sorts(self) -> bool:
        """Whether rows are sorted first, all of them, however few are wanted."""
        return any("TEMP B-TREE" in step for step in self.steps)

    def uses(self, index: str) -> bool:
        return any(re.search(rf"\b{index}\b", step) for step in self.steps)


class Planner:
    """A running application on a seeded database. What it sends while a test does something is explained."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self.cin: Inside = self.run(self._open.enter_async_context(application(self._file.parent, poll_seconds=3_600)))
        self.run(settle(self.cin))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self._open.aclose())
        self._runner.__exit__(kind, error, trace)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(coroutine)

    def plans(self, doing: Callable[[Inside], Coroutine[Any, Any, object]], *, of: str = "") -> list[Plan]:
        """The plans of all statements that `doing` sends, or of those about the table `of`."""
        with recorded() as statements:
            self.run(doing(self.cin))
        found = [self.explain(*statement) for statement in statements]
        return [plan for plan in found if not of or of in re.split(r"\W+", plan.sql)]

    def explain(self, sql: str, parameters: Any = ()) -> Plan:
        with closing(sqlite3.connect(self._file)) as connection:
            rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
            return Plan(" ".join(sql.split()), [step for _, _, _, step in rows])


async def settle(cin: Inside) -> None:
    """Let those who follow the log have read it, so that they send nothing more by themselves."""
    head = (await cin.capture(make_skill()))["position"].rpartition("-")[2]
    assert await cin.parts.hub.reached(int(head), 10)
    assert await cin.parts.follower.reached(int(head), 10)


@contextmanager
def recorded() -> Iterator[list[tuple[str, Any]]]:
    """Every statement that is sent in the block, with its values."""
    statements: list[tuple[str, Any]] = []

    def record(_: Connection, __: object, sql: str, parameters: Any, ___: object, many: bool) -> None:
        if sql.startswith(("SELECT", "UPDATE", "DELETE")):
            statements.append((sql, parameters[0] if many else parameters))

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", record)


async def seed(folder: Path, **settings: Any) -> None:
    """Skills of 20 kinds, tags and agents, some used, some revised, some retired, and agents that read them."""
    async with application(folder, **settings) as cin:
        made: list[str] = []
        for start in range(0, SKILLS, 1_000):
            bodies = [
                make_skill(error_type=f"E{n % 20}", tags=[f"t{n % 20}", f"u{n % 7}"], agent=f"a{n % 20}")
                for n in range(start, start + 1_000)
            ]
            answer = await cin.client.post("/skills/batch", json=bodies, headers={"Idempotency-Key": f"seed-{start}"})
            made += [result["id"] for result in answer.json()["results"]]
        changes = [
            cin.client.post(
                f"/skills/{id}/outcomes",
                json={"success": n % 3 > 0, "agent": f"a{n % 9}"},
                headers={"Idempotency-Key": f"outcome-{n}"},
            )
            for n, id in enumerate(made[::10])
        ]
        changes += [cin.client.put(f"/skills/{id}", json=make_skill(), headers={"If-Match": "*"}) for id in made[5::50]]
        changes += [cin.client.delete(f"/skills/{id}") for id in made[7::50]]
        changes += [
            cin.client.put(f"/agents/agent-{n}", json={"capabilities": ["skill_broadcast"]}) for n in range(200)
        ]
        for start in range(0, len(changes), 50):  # so that none waits too long
            assert all(answer.is_success for answer in await asyncio.gather(*changes[start : start + 50]))


def analysed(file: Path, folder: Path) -> Path:
    """A copy of the database with SQLite's own statistics, which it otherwise has not."""
    copy = folder / "cin.db"
    shutil.copy(file, copy)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("ANALYZE")
    return copy
