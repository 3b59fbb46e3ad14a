"""The snapshot from which a skill index is made: the active skills of a network and its head, at one moment."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from typing import cast

import sqlalchemy as sa
from sqlalchemy import Connection

from app.eventlog.log import read_bounds
from app.eventlog.network import Network
from app.query.skill_index import SkillIndex
from app.skills.document import SkillRow
from app.storage.skill_store import SKILL

_ROWS_AT_ONCE = 1_000


def read_index(connection: Connection, network: Network) -> SkillIndex:
    """The index of the network as `connection` sees it. Takes seconds for 100,000 skills; run it on a thread."""
    index = SkillIndex(network.label, read_bounds(connection, network.id).head)
    for skill in _active_skills(connection, network.id):
        index.load(skill)
    index.loaded()
    _give_memory_back()
    return index


def _give_memory_back() -> None:
    """Return to the system what building the index needed and the index does not: 74 MiB with 100,000 skills.

    glibc would keep it for a next time, which is a day away.
    """
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        gc.collect()
        trim(0)


def _active_skills(connection: Connection, network_id: int) -> Iterator[SkillRow]:
    query = sa.select(SKILL).where(SKILL.c.network_id == network_id, SKILL.c.status == "active").order_by(SKILL.c.id)
    result = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query)
    names = list(result.keys())
    for row in result:
        yield cast(SkillRow, dict(zip(names, row, strict=True)))  # a row's own mapping is ten times slower to look into
