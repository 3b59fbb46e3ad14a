"""A network as the verbs see it, and how a database comes to have its first one."""

import secrets
from dataclasses import dataclass
from functools import partial
from typing import NewType

import sqlalchemy as sa

from app.models import Agent, Event
from app.models import Network as NetworkTable
from app.models.types import now
from app.skills.document import NetworkName
from app.storage.database import Database, Transaction

NetworkId = NewType("NetworkId", int)
NETWORK = NetworkTable.__table__  # type: ignore[attr-defined]  # set by SQLModel's metaclass
EVENT = Event.__table__  # type: ignore[attr-defined]

_AGENT = Agent.__table__  # type: ignore[attr-defined]

_EPOCH_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""No 0, o, 1 or l: people read positions to each other."""


_INSERT = sa.text(
    "INSERT INTO network (name, epoch, head, trimmed, created_at) VALUES (:name, :epoch, 0, 0, :created_at)"
    " ON CONFLICT (name) DO NOTHING"
)


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


def begin_new_life(connection: sa.Connection) -> None:
    """Give every log another epoch, and let it begin behind what it has: a restored log must not be taken for the old one.

    Offsets go on from where they were. Who comes with a position of the old life is answered with `reset`.
    """
    for network_id in connection.execute(sa.select(NETWORK.c.id)).scalars().all():
        renew(connection, network_id)


def renew(connection: sa.Connection, network_id: int) -> None:
    """Let one log begin a new life. Nobody has acknowledged what it does not have."""
    connection.execute(sa.delete(EVENT).where(EVENT.c.network_id == network_id))
    new = {"epoch": _new_epoch(), "trimmed": NETWORK.c.head}
    update = sa.update(NETWORK).where(NETWORK.c.id == network_id).values(new).returning(NETWORK.c.head)
    head = connection.execute(update).scalar_one()
    for column in (_AGENT.c.acknowledged, _AGENT.c.joined):
        ahead = sa.update(_AGENT).where(_AGENT.c.network_id == network_id, column > head)
        connection.execute(ahead.values({column.name: head}))


def _open(tx: Transaction, *, name: str) -> Network:
    query = sa.select(NETWORK.c.id, NETWORK.c.epoch).where(NETWORK.c.name == name)
    row = tx.connection.execute(query).first()
    if row is None:  # another process that starts now may be the first
        tx.connection.execute(_INSERT, {"name": name, "epoch": _new_epoch(), "created_at": now()})
        row = tx.connection.execute(query).one()
    return Network(NetworkId(row.id), name, row.epoch, NetworkName(name, row.epoch))


def _new_epoch() -> str:
    return "".join(secrets.choice(_EPOCH_ALPHABET) for _ in range(6))
