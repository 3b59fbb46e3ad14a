"""An outcome: an agent used a skill, and it worked or it did not."""

from typing import Annotated

import sqlalchemy as sa
from pydantic import AfterValidator, ConfigDict, StrictBool
from sqlmodel import Field, SQLModel

from app.models.types import AgentName, documented_text, text


class OutcomeCreate(SQLModel):
    """What became of using a skill."""

    model_config = ConfigDict(  # type: ignore[assignment]
        extra="forbid",
        json_schema_extra={"examples": [{"success": True, "agent": "agent-b", "detail": "build is green"}]},
    )

    success: StrictBool = Field(description="Did the resolution work?")
    agent: AgentName | None = Field(default=None, description="Who used it; wins over the `CIN-Agent` header.")
    detail: Annotated[str, AfterValidator(text(8_000)), documented_text(8_000)] | None = Field(
        default=None, description="What happened, for people. At most 8,000 characters."
    )


class Outcome(SQLModel, table=True):
    """Every outcome ever reported. The counters on the skill are the sums of these rows."""

    __tablename__ = "outcome"
    __table_args__ = (sa.Index("ix_outcome_skill", "network_id", "skill_id", "id"),)

    id: int | None = Field(
        default=None,
        primary_key=True,
        sa_type=sa.BigInteger().with_variant(sa.Integer, "sqlite"),
    )
    network_id: int = Field(foreign_key="network.id")
    skill_id: str = Field(foreign_key="skill.id", max_length=36)
    version: int
    agent: str = Field(max_length=128)
    success: bool
    detail: str | None = None
    created_at: str = Field(max_length=24)


class Vote(SQLModel, table=True):
    """What each agent last reported of a skill: one vote per agent, however often it reports."""

    __tablename__ = "vote"

    network_id: int = Field(primary_key=True, foreign_key="network.id")
    skill_id: str = Field(primary_key=True, foreign_key="skill.id", max_length=36)
    agent: str = Field(primary_key=True, max_length=128)
    success: bool
