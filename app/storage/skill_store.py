"""Rows of skills, their versions, tags and votes, by key. Every function runs inside the caller's transaction."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, zip_longest
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
from sqlalchemy import Connection

from app.models import Outcome, Skill, SkillTag, SkillVersion, Vote
from app.skills.document import SkillRow, VersionRow
from app.storage.bulk import insert_rows

SKILL = Skill.__table__  # type: ignore[attr-defined]  # set by SQLModel's metaclass
VERSION = SkillVersion.__table__  # type: ignore[attr-defined]
TAG = SkillTag.__table__  # type: ignore[attr-defined]
OUTCOME = Outcome.__table__  # type: ignore[attr-defined]
VOTE = Vote.__table__  # type: ignore[attr-defined]

_KEYS_AT_ONCE = 400
"""SQLite before 3.32 takes at most 999 bound values in one statement, and two lists go into one."""

_ADD_CAPTURES = (
    sa.update(SKILL)
    .where(SKILL.c.id == sa.bindparam("skill_id"))
    .values(captures=SKILL.c.captures + sa.bindparam("more"), counted=sa.bindparam("counted"))
)


class Taken(NamedTuple):
    """Fingerprints and names that skills have which are not retired, each with the id of the skill."""

    fingerprints: dict[str, str]
    names: dict[str, str]


def find_taken(connection: Connection, network_id: int, fingerprints: Sequence[str], names: Sequence[str]) -> Taken:
    """Which of these fingerprints and names are taken. Both are found by their index, in one statement."""
    taken = Taken({}, {})
    for marks, words in zip_longest(_chunks(fingerprints), _chunks(names), fillvalue=[""]):
        # Written out: SQLAlchemy takes longer to expand the two lists than SQLite to look everything up. And not with OR:
        # SQLite uses no partial index for one side of it, and would walk through all skills of the network.
        for mark, name, skill_id in connection.exec_driver_sql(*_taken(connection, network_id, marks, words)):
            taken.fingerprints[mark] = taken.names[name] = skill_id
    return taken


def _taken(
    connection: Connection, network_id: int, fingerprints: list[str], names: list[str]
) -> tuple[str, tuple[Any, ...]]:
    active = "SELECT fingerprint, name, id FROM skill WHERE status != 'retired' AND network_id"
    if connection.dialect.name == "postgresql":
        query = f"{active} = %s AND fingerprint = ANY(%s) UNION ALL {active} = %s AND name = ANY(%s)"
        return query, (network_id, fingerprints, network_id, names)
    marks, words = (", ".join("?" * len(keys)) for keys in (fingerprints, names))
    query = f"{active} = ? AND fingerprint IN ({marks}) UNION ALL {active} = ? AND name IN ({words})"
    return query, (network_id, *fingerprints, network_id, *names)


def hold(connection: Connection, network_id: int, skill_ids: Sequence[str], fingerprints: Sequence[str]) -> None:
    """Hold the rows of these skills, and of those with these fingerprints, where rows can be held.

    All at once and in the order of their ids: two transactions that hold some of the same rows must not wait for each other.
    """
    if connection.dialect.name == "sqlite":
        return
    said = sa.and_(SKILL.c.status != "retired", SKILL.c.fingerprint.in_(fingerprints))
    wanted = sa.select(SKILL.c.id).where(SKILL.c.network_id == network_id, sa.or_(SKILL.c.id.in_(skill_ids), said))
    connection.execute(wanted.order_by(SKILL.c.id).with_for_update(key_share=True))


def get_skills(connection: Connection, skill_ids: Iterable[str]) -> dict[str, SkillRow]:
    """Skills by id, with their rows held where rows can be held, in the order of their ids."""
    found: dict[str, SkillRow] = {}
    for keys in _chunks(sorted(skill_ids)):
        query = sa.select(SKILL).where(SKILL.c.id.in_(keys)).order_by(SKILL.c.id).with_for_update(key_share=True)
        rows = connection.execute(query).mappings()
        found.update((row["id"], cast(SkillRow, dict(row))) for row in rows)
    return found


def get_skill(connection: Connection, network_id: int, skill_id: str, *, for_update: bool = False) -> SkillRow | None:
    """One skill, retired or not; `for_update` holds its row where rows can be held (SQLite has one writer anyway)."""
    query = sa.select(SKILL).where(SKILL.c.id == skill_id, SKILL.c.network_id == network_id)
    row = connection.execute(query.with_for_update(key_share=True) if for_update else query).mappings().first()
    return cast(SkillRow, dict(row)) if row else None


def insert_skills(connection: Connection, skills: Sequence[SkillRow]) -> None:
    """New skills, their first versions and their tags."""
    insert_rows(connection, SKILL, skills)
    insert_rows(connection, VERSION, [_version(skill, skill["captured_by"]) for skill in skills])
    _insert_tags(connection, skills)


def replace_skill(connection: Connection, before: SkillRow, skill: SkillRow, *, author: str) -> None:
    """A skill's new content in place of what it was before, its new version, written by `author`, and its tags."""
    update_skill(connection, skill)
    insert_rows(connection, VERSION, [_version(skill, author)])
    where = (TAG.c.network_id == skill["network_id"], TAG.c.tag.in_(before["tags"]), TAG.c.skill_id == skill["id"])
    connection.execute(sa.delete(TAG).where(*where))
    _insert_tags(connection, [skill])


def update_skill(connection: Connection, skill: SkillRow) -> None:
    """Write the row as it is given."""
    connection.execute(sa.update(SKILL).where(SKILL.c.id == skill["id"]).values(skill))


def add_captures(connection: Connection, more: dict[str, int], counted: int) -> None:
    """Raise `captures` of the skills by id; `counted` is the number of this change of counters."""
    changes = [{"skill_id": skill_id, "more": count, "counted": counted} for skill_id, count in sorted(more.items())]
    connection.execute(_ADD_CAPTURES, changes)


def list_versions(
    connection: Connection, network_id: int, skill_id: str, version: int | None = None
) -> list[VersionRow]:
    """Every version of a skill, the first one first; or the one asked for."""
    query = (
        sa.select(VERSION)
        .where(VERSION.c.network_id == network_id, VERSION.c.skill_id == skill_id)
        .order_by(VERSION.c.version)
    )
    if version is not None:
        query = query.where(VERSION.c.version == version)
    return [cast(VersionRow, dict(row)) for row in connection.execute(query).mappings()]


def cast_vote(connection: Connection, network_id: int, skill_id: str, agent: str, success: bool) -> bool | None:
    """Keep what the agent reports now as its one vote; returns the vote it had before, None if it had none."""
    where = (VOTE.c.network_id == network_id, VOTE.c.skill_id == skill_id, VOTE.c.agent == agent)
    before = connection.execute(sa.select(VOTE.c.success).where(*where)).scalar()
    if before is None:
        connection.execute(
            sa.insert(VOTE), {"network_id": network_id, "skill_id": skill_id, "agent": agent, "success": success}
        )
    elif before is not success:
        connection.execute(sa.update(VOTE).where(*where).values(success=success))
    return before


def _version(skill: SkillRow, author: str) -> dict[str, object]:
    return {**skill, "skill_id": skill["id"], "captured_by": author, "created_at": skill["updated_at"]}


def _insert_tags(connection: Connection, skills: Sequence[SkillRow]) -> None:
    rows = [
        {"network_id": skill["network_id"], "tag": tag, "skill_id": skill["id"]}
        for skill in skills
        for tag in skill["tags"]
    ]
    insert_rows(connection, TAG, rows)


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(keys)
    while chunk := list(islice(remaining, _KEYS_AT_ONCE)):
        yield chunk
