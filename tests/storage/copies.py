"""Databases that have rows in every table, and copies of them, in this process or in one that is killed."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Engine, event

from app.storage.copy.copier import Copied, Copier
from app.storage.copy.ends import open_source, open_target
from benchmarks.skills import fill_in_process
from tests.factories import make_skill
from tests.inside import Inside, application, run

SKILLS = 600
"""More than one page."""


def fill_every_table(file: Path) -> None:
    """Make a database as a server leaves it behind that was used in every way."""
    fill_in_process(file, SKILLS)

    async def use() -> None:
        async with application(file.parent) as inside:
            await _use(inside)

    run(use())


async def _use(inside: Inside) -> None:
    async def call(method: str, path: str, **given: object) -> dict[str, object]:
        answer = await inside.client.request(method, path, **given)  # type: ignore[arg-type]
        assert answer.is_success, answer.text
        return dict(answer.json()) if answer.content else {}

    odd = {"k": [1, 2.50, "ü", None, {"b": 1, "a": 2**53}], "e": 1e-7}
    body = make_skill(context="ein Gedanke, 思い, 🙂", metadata=odd, tags=["ä", "z", "🙂"])
    skill = await call("POST", "/skills", json=body, headers={"Idempotency-Key": "once"})
    await call("POST", "/skills", json=body)
    retired = await inside.capture(make_skill())
    for number in range(5):
        outcome = {"success": number % 2 == 0, "agent": f"agent-{number % 3}", "detail": "So it was."}
        await call("POST", f"/skills/{skill['id']}/outcomes", json=outcome)
    await call("PUT", f"/skills/{skill['id']}", json={**body, "resolution": "Other."}, headers={"If-Match": '"1"'})
    await call("DELETE", f"/skills/{retired['id']}", headers={"If-Match": '"1"'})
    await call("PUT", "/agents/agent-a", json={"capabilities": ["skill_broadcast"]})
    await call("PUT", "/agents/agent-a/position", json={"position": skill["position"]})


def copy(source: str, target: str) -> tuple[Copier, list[Copied], list[str]]:
    """The copy, what came of each table, and what was said meanwhile. Raises `StartupError`."""
    said: list[str] = []
    with ExitStack() as stack:
        ends = stack.enter_context(open_source(source)), stack.enter_context(open_target(target))
        copier = Copier(*ends, _silent, said.append)
        return copier, copier.run(), said


def checksums(copied: list[Copied]) -> dict[str, tuple[int, str]]:
    return {table.table: (table.rows_there, table.checksum_there) for table in copied}


def copy_and_die(source: str, target: str, at: int) -> bool:
    """Copy in a process that is killed at the `at`th moment at which a transaction begins or ends; whether it came to it."""
    child = os.fork()
    if child == 0:
        try:
            _die_at(at)
            copy(source, target)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


def _die_at(moment: int) -> None:
    moments = iter(range(1, moment + 1))

    def pass_one(_: sa.Connection) -> None:
        if next(moments, moment) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "begin", pass_one)
    event.listen(Engine, "commit", pass_one)  # before it is sent


@contextmanager
def _silent(label: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda count: None
