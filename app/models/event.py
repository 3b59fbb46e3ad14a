"""An event: one entry of a network's log."""

from typing import Literal

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.models.skill import SkillPublic
from app.models.types import UtcTime

EventType = Literal["skill.captured", "skill.revised", "skill.retired"]


class Event(SQLModel, table=True):
    """`data` is the JSON that subscribers get, encoded once, so that every reader ever sees the same bytes.

    `tags` are those that the skill has and those that it had, `error_type_before` is what a revision has replaced: who
    listens to either knows the skill, and must hear of it.
    """

    __tablename__ = "event"
    __table_args__ = (
        sa.Index("ix_event_at", "network_id", "at"),
        sa.Index("ix_event_type", "network_id", "type", "offset"),
    )

    network_id: int = Field(primary_key=True, foreign_key="network.id")
    offset: int = Field(primary_key=True, sa_type=sa.BigInteger)
    type: str = Field(max_length=32)
    skill_id: str = Field(max_length=36)
    error_type: str | None = Field(default=None, max_length=200)
    error_type_before: str | None = Field(default=None, max_length=200)
    tags: list[str] = Field(sa_type=sa.JSON)
    data: str
    at: str = Field(max_length=24)


class EventPublic(SQLModel):
    """The `data` of an event on the stream."""

    id: str = Field(description="The event's position, the same as the SSE `id:`.")
    offset: int
    type: EventType
    at: UtcTime
    skill: SkillPublic
