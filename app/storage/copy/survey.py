"""What a database holds, at a glance: how much, which logs, and a digest that another state has not."""

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlmodel import SQLModel

from app.models import Agent, Network
from app.storage.copy.mark import Mark
from app.storage.copy.rows import Rows

_NETWORK = Network.__table__  # type: ignore[attr-defined]  # set by SQLModel's metaclass
_AGENT = Agent.__table__  # type: ignore[attr-defined]
_LOGS = sa.select(_NETWORK.c.name, _NETWORK.c.epoch).order_by(_NETWORK.c.name)


@dataclass(frozen=True, slots=True)
class Survey:
    """`totals` are the rows of each table."""

    totals: dict[str, int]
    logs: str
    state: str

    def mark(self, source: str) -> Mark:
        return Mark(source, self.logs, self.state)


def survey(connection: Connection) -> Survey:
    """Skills, votes and the log do not change without a number of the network's row; agents do, and keys come and go."""
    totals = {table.name: Rows(table).count(connection) for table in SQLModel.metadata.sorted_tables}
    logs = [tuple(row) for row in connection.execute(_LOGS)]
    seen = [totals, *(list(Rows(table).each(connection)) for table in (_NETWORK, _AGENT))]
    return Survey(totals, repr(logs), hashlib.sha256(repr(seen).encode(errors="surrogatepass")).hexdigest())
