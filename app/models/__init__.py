"""The tables and the wire shapes. Importing this package makes every table known to `SQLModel.metadata`."""

from sqlmodel import SQLModel

from app.models.agent import Agent, AgentPublic, AgentRegistration, AgentsPublic, DeliveryPublic, PositionUpdate
from app.models.event import Event, EventPublic, EventType
from app.models.idempotency import IdempotencyKey
from app.models.match import MatchesPublic, MatchRequest
from app.models.network import Network
from app.models.outcome import Outcome, OutcomeCreate, Vote
from app.models.skill import (
    BatchItemPublic,
    BatchPublic,
    Skill,
    SkillCreate,
    SkillPublic,
    SkillsPublic,
    SkillTag,
    SkillUpdate,
    SkillVersion,
    SkillVersionPublic,
    SkillVersionsPublic,
)
from app.models.types import by_code_points

for _table in SQLModel.metadata.tables.values():
    by_code_points(_table)

__all__ = [
    "Agent",
    "AgentPublic",
    "AgentRegistration",
    "AgentsPublic",
    "BatchItemPublic",
    "BatchPublic",
    "DeliveryPublic",
    "Event",
    "EventPublic",
    "EventType",
    "IdempotencyKey",
    "MatchRequest",
    "MatchesPublic",
    "Network",
    "Outcome",
    "OutcomeCreate",
    "PositionUpdate",
    "Skill",
    "SkillCreate",
    "SkillPublic",
    "SkillTag",
    "SkillUpdate",
    "SkillVersion",
    "SkillVersionPublic",
    "SkillVersionsPublic",
    "SkillsPublic",
    "Vote",
]
