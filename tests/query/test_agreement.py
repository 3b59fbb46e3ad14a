"""Whatever happened to a network, its index answers as one that is made anew from the rows, and as a plain look at them."""

from asyncio import TaskGroup
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.metrics import Metrics
from app.query import anchors, words
from app.query.checkpoint import IndexFolder
from app.skills.masking import mask
from app.skills.pattern import unmasked_weight, weight
from app.storage.group_commit import GroupCommit
from app.storage.sqlite import open_sqlite
from tests.inside import database_in, run
from tests.query.histories import History, begin, matched, searched

PATTERNS = [
    "No module named 'django'",
    "No module named 'flask'",
    "error[E0308]: mismatched types",
    "E0308",
    "connection to 10.0.0.7:5432 refused after 30.2s",
    "connection to 10.9.9.9:5432 refused after 1.5s",
    "undefined reference to `foo_bar'",
    "error",
    "Foo",
    "==",
    "first line of it\nsecond line of 12",
    "connection",
]
TEXTS = [
    "pip install django",
    "stop the other server",
    "see the docs of FooBar",
    "raise foo_bar in my.module.name",
    "x == y",
]
MESSAGES = [
    *PATTERNS,
    "Traceback (most recent call last):\n  File \"a.py\", line 1\nImportError: No module named 'django'",
    "FATAL: connection to 10.0.0.8:5432 refused after 9s\n\n==\nfirst line of it\nsecond line of 99\n",
    "2026-01-01T00:00:01Z first line of it\n2026-01-01T00:00:02Z second line of 12\n",
    "the server of FooBar raises E0308 in foo_bar",
    "nothing that anybody knows",
    "",
]

_content: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    pattern=st.sampled_from([*PATTERNS, None]),
    description=st.sampled_from(TEXTS),
    resolution=st.sampled_from(TEXTS),
    tags=st.lists(st.sampled_from(["django", "ports"]), unique=True),
)
_which = st.integers(0, 30)
_capture = st.builds(lambda content: lambda history: history.capture(**content), _content)
_revise = st.builds(lambda which, content: lambda history: history.revise(which, **content), _which, _content)
_retire = st.builds(lambda which: lambda history: history.retire(which), _which)
_report = st.builds(
    lambda which, success, agent: lambda history: history.report(which, success, agent),
    _which,
    st.booleans(),
    st.sampled_from(["a", "b"]),
)
_follow = st.just(lambda history: history.follow())
_restart = st.just(lambda history: history.restart())
_histories = st.lists(st.one_of(_capture, _capture, _revise, _retire, _report, _follow, _restart), max_size=25)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Indexes that put things in order after every few skills, so that all their parts take part."""
    monkeypatch.setattr(words, "_SETTLE_AT", 4)
    monkeypatch.setattr(anchors, "_FRESH", 2)
    monkeypatch.setattr(anchors, "_AT_ONCE", 4)
    return tmp_path


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[IndexFolder]:
    with closing(IndexFolder(tmp_path / "index")) as folder:
        yield folder


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=_histories)
def test_answers_are_those_of_an_index_made_anew_and_of_a_plain_look(
    folder: Path, kept: IndexFolder, history: list[Callable[[History], Any]]
) -> None:
    async def go() -> None:
        async with open_sqlite(database_in(folder)) as database:
            commits = GroupCommit(database, Metrics(), max_weight=256)
            async with TaskGroup() as tasks:
                tasks.create_task(commits.run())
                present = await begin(database, commits, f"n{id(history)}-{len(history)}-{next(_serial)}", kept)
                for step in history:
                    await step(present)
                await present.follow()
                anew = await present.rebuilt()
                for message in MESSAGES:
                    found = matched(present.index, message)
                    assert found == matched(anew, message), message
                    assert matched(present.index, message, 1) == matched(anew, message, 1), message
                    plainly = _plainly(await _rows(present), message)
                    exact, masked = ({skill for skill, kind in plainly if kind == each} for each in ("exact", "masked"))
                    standing = _standing(found)
                    assert {skill for skill, kind in standing if kind == "exact"} == exact, message
                    assert {skill for skill, kind in standing if kind == "masked"} <= masked, message
                    assert exact or {skill for skill, kind in standing if kind == "masked"} == masked, message
                    assert searched(present.index, message) == searched(anew, message), message
                assert len(present.index) == len(anew)
                commits.close()

    run(go())


_serial = iter(range(10**9))


def _standing(answer: bytes) -> set[tuple[str, str]]:
    """The patterns that an answer says stand in the message."""
    matches = orjson.loads(answer)["matches"]
    return {(match["skill"]["id"], match["kind"]) for match in matches if match["kind"] != "similar"}


def _plainly(rows: list[dict[str, Any]], message: str) -> set[tuple[str, str]]:
    """The same by going through all skills, for messages without blanks to fold."""
    found = set()
    lines = message.split("\n")
    stripped = [line.partition("Z ")[2] if line.startswith("2026-") and len(lines) > 1 else line for line in lines]
    texts = {message, "\n".join(line.strip() for line in lines), "\n".join(stripped)}
    for row in rows:
        pattern = row["pattern"]
        if pattern is None:
            continue
        if any(_stands(pattern, text) for text in texts):
            found.add((row["id"], "exact"))
        elif unmasked_weight(mask(pattern).text) >= 8 and mask(pattern).cuts:
            signature = mask(pattern).text
            if any(signature in mask(text).text for text in texts):
                found.add((row["id"], "masked"))
    return found


def _stands(pattern: str, text: str) -> bool:
    if weight(pattern) < 3:
        return f"\n{pattern}\n" in f"\n{text}\n"
    at = text.find(pattern)
    while at >= 0:
        end = at + len(pattern)
        alone = not (text[at - 1 : at].isalnum() and pattern[0].isalnum()) if at else True
        behind = text[end : end + 1]
        alone = alone and not (
            behind.isalnum() and pattern[-1].isalnum() and not behind.isdigit() > pattern[-1].isdigit()
        )
        if alone or (weight(pattern) >= 8 and len(set(pattern)) >= 3):
            return True
        at = text.find(pattern, at + 1)
    return False


async def _rows(history: History) -> list[dict[str, Any]]:
    query = "SELECT id, pattern FROM skill WHERE network_id = ? AND status = 'active'"
    return await history.database.read(
        lambda connection: [
            dict(row) for row in connection.exec_driver_sql(query, (history.network.id,)).mappings().all()
        ]
    )
