"""Reading skills: one by id, its versions, and lists by filter and sort. Every answer is one snapshot of the database."""

from dataclasses import dataclass, field
from typing import Any, Literal, cast

import sqlalchemy as sa
from sqlalchemy import Connection

from app.errors import SkillNotFound
from app.eventlog.events import read_bounds
from app.eventlog.log import EventLog
from app.eventlog.network import Network
from app.models.position import Position
from app.query.cursor import Cursor, parse_cursor, question_of
from app.skills.document import SkillRow, VersionRow
from app.storage import skill_store
from app.storage.skill_store import SKILL, TAG

Sort = Literal["newest", "usage", "confidence"]
_SORTED_BY: dict[Sort, "sa.Column[Any] | None"] = {
    "newest": None,  # ids grow with time, so they are the order themselves
    "usage": SKILL.c.usage_count,
    "confidence": SKILL.c.confidence,
}


_MOST_IDS = 900
"""Ids that a statement can name: SQLite before 3.32 takes 999 bound values."""

_WALKED = 5_000
"""Skills that are gone through at once, in 10 ms, to find those with some of many ids."""


@dataclass(frozen=True, slots=True)
class SkillQuery:
    """Which skills, in which order. Any of the tags; every other filter that is given."""

    sort: Sort = "newest"
    status: Literal["active", "pending", "retired"] = "active"
    error_type: str | None = None
    agent: str | None = None
    tags: tuple[str, ...] = field(default=())
    words: str | None = None

    @property
    def question(self) -> str:
        return question_of(self.sort, self.status, self.error_type, self.agent, self.tags, self.words)


@dataclass(frozen=True, slots=True)
class SkillPage:
    """Some skills; `next_cursor` goes on after them, None if there are no more."""

    skills: list[SkillRow]
    next_cursor: str | None
    position: Position


class SkillReader:
    """Reads the skills of all networks."""

    def __init__(self, event_log: EventLog) -> None:
        self._log = event_log

    async def get(self, network: Network, skill_id: str) -> SkillRow:
        """One skill, retired ones too. Raises `SkillNotFound`."""
        skill = await self._log.read_rows(
            network.id, lambda connection: skill_store.get_skill(connection, network.id, skill_id)
        )
        if skill is None:
            raise _not_found(skill_id)
        return skill

    async def versions(self, network: Network, skill_id: str) -> list[VersionRow]:
        """Every version, the first one first. Raises `SkillNotFound`."""
        versions = await self._log.read_rows(
            network.id, lambda connection: skill_store.list_versions(connection, network.id, skill_id)
        )
        if not versions:
            raise _not_found(skill_id)
        return versions

    async def version(self, network: Network, skill_id: str, number: int) -> VersionRow:
        """One version. Raises `SkillNotFound`."""
        found = await self._log.read_rows(
            network.id, lambda connection: skill_store.list_versions(connection, network.id, skill_id, number)
        )
        if not found:
            raise SkillNotFound(f"The skill `{skill_id}` has no version {number}. See /skills/{skill_id}/versions.")
        return found[0]

    async def list(
        self, network: Network, query: SkillQuery, *, limit: int, cursor: str | None, ids: frozenset[str] | None = None
    ) -> SkillPage:
        """One page, of the skills with these `ids` if given.

        Raises `InvalidInput` for a cursor that is not one, or belongs to another question.
        """
        after = parse_cursor(cursor, query.question) if cursor else None

        def read(connection: Connection) -> SkillPage:
            statement = select_page(network.id, query, after, limit + 1)
            if ids is not None:
                few = ids if len(ids) <= _MOST_IDS else _walk(connection, network.id, query, after, ids, limit + 1)
                statement = statement.where(SKILL.c.id.in_(few))
            rows = connection.execute(statement).mappings().all()
            skills = [cast(SkillRow, dict(row)) for row in rows[:limit]]
            more = str(_cursor_after(query, skills[-1])) if len(rows) > limit else None
            return SkillPage(skills, more, Position(network.epoch, read_bounds(connection, network.id).head))

        return await self._log.read_rows(network.id, read)


def select_page(network_id: int, query: SkillQuery, after: Cursor | None, limit: int) -> "sa.Select[Any]":
    """The rows of a page. Every combination of filter and sort walks an index from where the cursor stands."""
    statement = sa.select(SKILL).where(SKILL.c.network_id == network_id, SKILL.c.status == query.status)
    if query.error_type is not None:
        statement = statement.where(SKILL.c.error_type == query.error_type)
    if query.agent is not None:
        statement = statement.where(SKILL.c.captured_by == query.agent)
    if query.tags:
        tagged = sa.select(TAG.c.skill_id).where(TAG.c.network_id == network_id, TAG.c.tag.in_(query.tags))
        statement = statement.where(SKILL.c.id.in_(tagged))
    by = _SORTED_BY[query.sort]
    if by is None:
        order: tuple[sa.ColumnElement[Any], ...] = (SKILL.c.id,)
        place: tuple[object, ...] = (after.skill_id,) if after else ()
    else:
        order = (by, SKILL.c.id)
        place = (after.value, after.skill_id) if after else ()
    if place:
        statement = statement.where(sa.tuple_(*order) < sa.tuple_(*(_literal(value) for value in place)))
    return statement.order_by(*(column.desc() for column in order)).limit(limit)


def _walk(
    connection: Connection, network_id: int, query: SkillQuery, after: Cursor | None, ids: frozenset[str], count: int
) -> list[str]:
    """The first of these ids behind the cursor, `count` of them: with so many it is not far to go."""
    by = _SORTED_BY[query.sort]
    columns = [SKILL.c.id] if by is None else [SKILL.c.id, by]
    found: list[str] = []
    while len(found) < count:
        walked = select_page(network_id, query, after, _WALKED).with_only_columns(*columns)
        rows = connection.execute(walked).all()
        found += [row[0] for row in rows if row[0] in ids]
        if len(rows) < _WALKED:
            break
        skill_id, *values = rows[-1]
        after = Cursor(query.question, values[0] if values else None, skill_id)
    return found[:count]


def _literal(value: object) -> "sa.ColumnElement[Any]":
    """A number as wide as a cursor may bring one, whatever the column's."""
    return sa.literal(value, sa.BigInteger) if isinstance(value, int) else sa.literal(value)


def _cursor_after(query: SkillQuery, skill: SkillRow) -> Cursor:
    values: dict[Sort, int | float | None] = {
        "newest": None,
        "usage": skill["usage_count"],
        "confidence": skill["confidence"],
    }
    return Cursor(query.question, values[query.sort], skill["id"])


def _not_found(skill_id: str) -> SkillNotFound:
    return SkillNotFound(f"No skill has the id `{skill_id}`. Ids come from captures, lists and the stream.")
