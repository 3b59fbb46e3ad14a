"""Where a skill index comes from: a checkpoint, or the active skills of a network and its head, at one moment."""

import ctypes
import gc
import shutil
import sys
from collections.abc import Iterator
from typing import cast

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection

from app.eventlog.bounds import Bounds
from app.eventlog.events import read_bounds
from app.eventlog.network import EVENT, Network
from app.query.checkpoint import IndexFolder, Unusable
from app.query.skill_index import Kept, SkillIndex, mark_of
from app.skills.document import SkillRow
from app.storage.skill_store import SKILL

log = structlog.get_logger(__name__)

_ROWS_AT_ONCE = 1_000

_WORTH_FOLLOWING = 200_000
"""Events behind the head, at most, of a checkpoint that is of use: each costs as much as a row."""


def read_index(connection: Connection, network: Network, folder: IndexFolder | None) -> SkillIndex:
    """The index of the network, from its checkpoint in `folder`, which is behind the log by what came since; without one
    from the rows, as `connection` sees them, which takes seconds for 100,000 skills. Run it on a thread."""
    bounds = read_bounds(connection, network.id)
    index = _from_checkpoint(connection, network, folder, bounds) if folder else None
    if index is None:
        return make_index(connection, network, folder)
    for skill in read_counted(connection, network, index.counts):
        index.count(skill)
    index.counts = bounds.counts
    return index


def make_index(connection: Connection, network: Network, folder: IndexFolder | None) -> SkillIndex:
    """The index of the network, from the rows."""
    bounds = read_bounds(connection, network.id)
    index = SkillIndex(network.label, bounds.head, bounds.counts, folder.place() if folder else None)
    index.mark = _mark_at(connection, network, bounds.head)
    for skill in _skills(connection, network):
        index.load(skill)
    index.loaded()
    gc.collect()
    give_memory_back()
    return index


def read_counted(connection: Connection, network: Network, after: int) -> Iterator[SkillRow]:
    """The active skills whose counters have changed since the network's `counts` was `after`."""
    # The second condition says nothing new, but for SQLite it is what the index is about.
    return _skills(connection, network, SKILL.c.counted > after, SKILL.c.counted > 0)


def _from_checkpoint(
    connection: Connection, network: Network, folder: IndexFolder, bounds: Bounds
) -> SkillIndex | None:
    place = folder.place()
    try:
        sections = folder.load(network, place)
        offset, counts, mark = next(sections)[1]
        if not max(bounds.trimmed, bounds.head - _WORTH_FOLLOWING) <= offset <= bounds.head or counts > bounds.counts:
            raise Unusable(f"it ends at offset {offset}, the log goes from {bounds.trimmed} to {bounds.head}")
        if mark != _mark_at(connection, network, offset):
            raise Unusable(f"the log has another event at offset {offset}")
        index = SkillIndex(network.label, offset, counts, place, Kept(offset, counts))
        index.mark = mark
        for name, entries in sections:
            index.restore(name, entries)
    except (Unusable, ValueError) as error:  # the latter is what Tantivy says of files that are not its own
        log.info("checkpoint_unusable", reason=str(error), next="the index is made from the rows")
        shutil.rmtree(place)
        return None
    index.loaded()
    return index


def _mark_at(connection: Connection, network: Network, offset: int) -> str:
    """The mark of the event at an offset; empty if it is not kept."""
    where = (EVENT.c.network_id == network.id, EVENT.c.offset == offset)
    event = connection.execute(sa.select(EVENT.c.skill_id, EVENT.c.at).where(*where)).first()
    return mark_of(*event) if event else ""


def give_memory_back() -> None:
    """Return to the system what making an index, or writing it down, needed and the index does not: 74 MiB with 100,000
    skills. glibc would keep it for a next time, which is a day away.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def _skills(connection: Connection, network: Network, *conditions: sa.ColumnElement[bool]) -> Iterator[SkillRow]:
    query = sa.select(SKILL).where(SKILL.c.network_id == network.id, SKILL.c.status == "active", *conditions)
    if not conditions:
        query = query.order_by(SKILL.c.id)
    result = connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE})
    names = list(result.keys())
    for row in result:
        yield cast(SkillRow, dict(zip(names, row, strict=True)))  # a row's own mapping is ten times slower to look into
