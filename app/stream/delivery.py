"""Agents, what they have acknowledged, and whether a skill has come to all of them.

That bytes were sent proves nothing; only an acknowledgement does. It moves forward only, and is on disk when answered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from app.errors import AgentNotFound, CINError, SkillNotFound, Unavailable
from app.eventlog.events import read_bounds
from app.eventlog.network import Network
from app.models import Agent
from app.models.types import now
from app.storage import skill_store
from app.storage.database import Database, Transaction
from app.storage.group_commit import GroupCommit

AGENT = Agent.__table__  # type: ignore[attr-defined]  # set by SQLModel's metaclass

BROADCAST = "skill_broadcast"
"""The capability that says: I want every skill."""


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """An agent as the database knows it. `acknowledged` is an offset; `joined` the one after which it is owed events."""

    name: str
    capabilities: list[str]
    subscribes: bool
    joined: int
    acknowledged: int
    last_seen_at: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far the last change of a skill, at `offset`, has come."""

    offset: int
    agents: int
    pending: list[str]

    @property
    def delivered(self) -> int:
        return self.agents - len(self.pending)

    @property
    def complete(self) -> bool:
        """Everybody who should have it has it, and there is somebody."""
        return self.agents > 0 and not self.pending


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    network: Network
    name: str
    run: Callable[[Transaction], bool]


class Deliveries:
    """The agents of all networks."""

    def __init__(self, database: Database, commits: GroupCommit) -> None:
        self._database = database
        self._commits = commits

    async def register(self, network: Network, name: str, capabilities: list[str]) -> bool:
        """Make the agent known, or say anew what it can do; True if it was not known. It is owed what comes from now on."""

        def run(tx: Transaction) -> bool:
            known = _get(tx.connection, network, name)
            if known is None:
                _insert(tx, network, name, capabilities, BROADCAST in capabilities, None)
            else:
                subscribes = known.subscribes or BROADCAST in capabilities
                _update(tx, network, name, capabilities=capabilities, subscribes=subscribes)
            return known is None

        return await self._commits.write(_write_all, _Write(network, name, run))

    async def acknowledge(self, network: Network, name: str, offset: int) -> None:
        """The agent has everything up to `offset`. Never moves back. Raises `AgentNotFound`."""

        def run(tx: Transaction) -> bool:
            known = _get(tx.connection, network, name)
            if known is None:
                raise AgentNotFound(f"No agent is named `{name}`. Register it with PUT /agents/{name} first.")
            _update(tx, network, name, acknowledged=max(known.acknowledged, offset))
            return True

        await self._commits.write(_write_all, _Write(network, name, run))

    async def joined_stream(self, network: Network, name: str, after: int, acknowledged: int | None) -> None:
        """The agent opens a stream that starts after an offset, and by resuming may acknowledge one. Registers it if new."""

        def run(tx: Transaction) -> bool:
            known = _get(tx.connection, network, name)
            if known is None:
                _insert(tx, network, name, [], True, after)
            else:
                _update(tx, network, name, subscribes=True, acknowledged=max(known.acknowledged, acknowledged or 0))
            return True

        await self._commits.write(_write_all, _Write(network, name, run))

    async def acknowledged(self, network: Network, name: str) -> int | None:
        """The offset up to which the agent has everything; None if nobody has that name."""
        agent = await self._database.read(lambda connection: _get(connection, network, name))
        return agent.acknowledged if agent else None

    async def agents(self, network: Network, name: str | None = None) -> tuple[list[AgentStatus], int]:
        """Every agent by name, or the one of that name, and the head of the log at that moment."""

        def read(connection: Connection) -> tuple[list[AgentStatus], int]:
            query = _AGENTS.where(AGENT.c.network_id == network.id).order_by(AGENT.c.name)
            rows = connection.execute(query.where(AGENT.c.name == name) if name is not None else query)
            return [AgentStatus(*row) for row in rows], read_bounds(connection, network.id).head

        return await self._database.read(read)

    async def delivery(self, network: Network, skill_id: str) -> Delivery:
        """Who has the last change of a skill, of those who subscribe and joined before it. Raises `SkillNotFound`."""

        def read(connection: Connection) -> Delivery:
            skill = skill_store.get_skill(connection, network.id, skill_id)
            if skill is None:
                raise SkillNotFound(f"No skill has the id `{skill_id}`. Ids come from captures, lists and the stream.")
            owed = connection.execute(
                sa.select(AGENT.c.name, AGENT.c.acknowledged)
                .where(AGENT.c.network_id == network.id, AGENT.c.subscribes, AGENT.c.joined < skill["offset"])
                .order_by(AGENT.c.name)
            ).all()
            pending = [name for name, acknowledged in owed if acknowledged < skill["offset"]]
            return Delivery(skill["offset"], len(owed), pending)

        return await self._database.read(read)


_AGENTS = sa.select(
    AGENT.c.name,
    AGENT.c.capabilities,
    AGENT.c.subscribes,
    AGENT.c.joined,
    AGENT.c.acknowledged,
    AGENT.c.last_seen_at,
)


def _write_all(tx: Transaction, requests: Sequence[_Write]) -> list[bool | CINError]:
    answers: list[bool | CINError] = []
    for network in {request.network for request in requests}:
        _require_epoch(tx.connection, network)
    _hold(tx.connection, requests)
    for request in requests:
        try:
            answers.append(request.run(tx))
        except CINError as error:  # raised before anything was written, so the rest of the group can go on
            answers.append(error)
    return answers


def _require_epoch(connection: Connection, network: Network) -> None:
    """Raises `Unavailable` when the log has begun a new life: offsets of the old one say nothing of it."""
    if read_bounds(connection, network.id).epoch != network.epoch:
        raise Unavailable("The log has begun a new life, which this process is taking up. Try again in a moment.")


def _hold(connection: Connection, requests: Sequence[_Write]) -> None:
    """Hold the agents' rows where rows can be held, in one order: an acknowledgement must not undo a later one."""
    if connection.dialect.name == "sqlite":
        return
    for network_id in sorted({request.network.id for request in requests}):
        names = {request.name for request in requests if request.network.id == network_id}
        held = sa.select(AGENT.c.name).where(AGENT.c.network_id == network_id, AGENT.c.name.in_(names))
        connection.execute(held.order_by(AGENT.c.name).with_for_update(key_share=True))


def _get(connection: Connection, network: Network, name: str) -> AgentStatus | None:
    row = connection.execute(_AGENTS.where(AGENT.c.network_id == network.id, AGENT.c.name == name)).first()
    return AgentStatus(*row) if row else None


def _insert(
    tx: Transaction, network: Network, name: str, capabilities: list[str], subscribes: bool, after: int | None
) -> None:
    present = now()
    start = read_bounds(tx.connection, network.id).head if after is None else after
    values = {
        "network_id": network.id,
        "name": name,
        "capabilities": capabilities,
        "subscribes": subscribes,
        "joined": start,
        "acknowledged": start,
        "registered_at": present,
        "last_seen_at": present,
    }
    tx.connection.execute(sa.insert(AGENT), values)


def _update(tx: Transaction, network: Network, name: str, **values: object) -> None:
    where = (AGENT.c.network_id == network.id, AGENT.c.name == name)
    tx.connection.execute(sa.update(AGENT).where(*where).values(last_seen_at=now(), **values))
