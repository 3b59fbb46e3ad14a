"""A network as the verbs see it, and how a database comes to have its first one."""

import secrets
from dataclasses import dataclass
from functools import partial
from typing import NewType

import sqlalchemy as sa

from app.models import Network as NetworkTable
from app.models.types import now
from app.skills.document import NetworkName
from app.storage.database import Database, Transaction

NetworkId = NewType("NetworkId", int)
NETWORK = NetworkTable.__table__  # type: ignore[attr-defined]  # set by SQLModel's metaclass

_EPOCH_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""No 0, o, 1 or l: people read positions to each other."""


@dataclass(frozen=True, slots=True)
class Network:
    """One tenant. `epoch` names the life of its log; it does not change while the process runs."""

    id: NetworkId
    name: str
    epoch: str
    label: NetworkName


async def open_network(database: Database, name: str = "default") -> Network:
    """The network of that name, made if it is not there."""
    return await database.write(partial(_open, name=name))


def _open(tx: Transaction, *, name: str) -> Network:
    query = sa.select(NETWORK.c.id, NETWORK.c.epoch).where(NETWORK.c.name == name)
    row = tx.connection.execute(query).first()
    if row is None:
        epoch = "".join(secrets.choice(_EPOCH_ALPHABET) for _ in range(6))
        tx.connection.execute(
            sa.insert(NETWORK), {"name": name, "epoch": epoch, "head": 0, "trimmed": 0, "created_at": now()}
        )
        row = tx.connection.execute(query).one()
    return Network(NetworkId(row.id), name, row.epoch, NetworkName(name, row.epoch))
