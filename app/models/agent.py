"""An agent: a named client of a network, and how far it has read the log."""

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import AfterValidator, ConfigDict
from sqlmodel import Field, SQLModel

from app.models.types import UtcTime, documented_text, text

Capability = Annotated[str, AfterValidator(text(64)), documented_text(64)]


def _capabilities(values: list[str]) -> list[str]:
    values = list(dict.fromkeys(values))
    if len(values) > 32:
        raise ValueError(f"has {len(values)} capabilities; at most 32 are allowed")
    return values


_EXAMPLE: dict[str, Any] = {
    "name": "agent-a",
    "capabilities": ["skill_broadcast"],
    "connections": 1,
    "acknowledged": "k3f9-42",
    "lag": 1,
    "last_seen_at": "2026-11-22T08:00:00.000Z",
}


class AgentRegistration(SQLModel):
    """What an agent says of itself. `skill_broadcast` means: it wants every skill that is captured."""

    model_config = ConfigDict(  # type: ignore[assignment]
        extra="forbid", json_schema_extra={"examples": [{"capabilities": ["skill_broadcast"]}]}
    )

    capabilities: Annotated[list[Capability], AfterValidator(_capabilities)] = Field(
        default_factory=list, description="At most 32 words of at most 64 characters."
    )


class PositionUpdate(SQLModel):
    """A position to acknowledge: everything up to it has been dealt with."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"position": "k3f9-43"}]})  # type: ignore[assignment]

    position: str = Field(description="A position from the stream (`id:`) or from an answer.")


class Agent(SQLModel, table=True):
    """`joined` is the offset after which the agent is owed every event; `acknowledged` the one up to which it has them."""

    __tablename__ = "agent"

    network_id: int = Field(primary_key=True, foreign_key="network.id")
    name: str = Field(primary_key=True, max_length=128)
    capabilities: list[str] = Field(sa_type=sa.JSON)
    subscribes: bool
    joined: int = Field(sa_type=sa.BigInteger)
    acknowledged: int = Field(sa_type=sa.BigInteger)
    registered_at: str = Field(max_length=24)
    last_seen_at: str = Field(max_length=24)


class AgentPublic(SQLModel):
    """An agent as the API shows it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})  # type: ignore[assignment]

    name: str
    capabilities: list[str]
    connections: int = Field(description="Streams it has open, on every process that shares a Redis with this one.")
    acknowledged: str = Field(description="The position up to which it has said it has everything.")
    lag: int = Field(description="Events after that position.")
    last_seen_at: UtcTime


class AgentsPublic(SQLModel):
    """Every agent of the network, by name."""

    model_config = ConfigDict(  # type: ignore[assignment]
        json_schema_extra={"examples": [{"agents": [_EXAMPLE], "position": "k3f9-43"}]}
    )

    agents: list[AgentPublic]
    position: str = Field(description="The head of the log.")


class DeliveryPublic(SQLModel):
    """How far one skill's last change has come. `complete` is true when `pending` is empty and there is somebody to tell."""

    model_config = ConfigDict(  # type: ignore[assignment]
        json_schema_extra={
            "examples": [
                {"position": "k3f9-43", "agents": 3, "delivered": 2, "pending": ["agent-c"], "complete": False}
            ]
        }
    )

    position: str = Field(description="The position of the skill's last change.")
    agents: int = Field(description="Registered agents that subscribe and joined before that change.")
    delivered: int = Field(description="Those that have acknowledged it.")
    pending: list[str] = Field(description="Those that have not, by name.")
    complete: bool
