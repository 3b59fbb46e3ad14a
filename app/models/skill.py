"""A skill: something an agent learned that another agent can use. *When you see this, do this.*"""

from typing import Annotated, Any, Literal, Self

import sqlalchemy as sa
from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator
from sqlmodel import Field, SQLModel

from app.models.types import AgentName, ErrorType, Metadata, Name, Tags, UtcTime, documented_text, text

Status = Literal["active", "pending", "retired"]

_EXAMPLE: dict[str, Any] = {
    "error_type": "ImportError",
    "pattern": "No module named 'django'",
    "resolution": "pip install django",
    "context": "Django web framework dependency",
    "tags": ["python", "django"],
}
# Without a null: FastAPI leaves those out of the document, and an example would lack a field.
EXAMPLE_PUBLIC: dict[str, Any] = {
    "id": "019aaf2c-7d6e-7c43-9c3b-3f0c1d2e4a5b",
    "network": "default",
    "name": "importerror-no-module-named-django",
    "description": "Django is not installed here.",
    **_EXAMPLE,
    "metadata": {},
    "version": 1,
    "status": "active",
    "captured_by": "agent-a",
    "captures": 1,
    "usage_count": 1,
    "success_count": 1,
    "failure_count": 0,
    "success_rate": 1.0,
    "confidence": 0.6667,
    "position": "k3f9-43",
    "created_at": "2026-11-22T08:00:00.000Z",
    "updated_at": "2026-11-22T08:00:00.000Z",
}


_EXAMPLE_VERSION: dict[str, Any] = {
    name: EXAMPLE_PUBLIC[name]
    for name in (
        "id",
        "network",
        "name",
        "description",
        *_EXAMPLE,
        "metadata",
        "version",
        "captured_by",
        "position",
        "created_at",
    )
}


def _with_example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class SkillBase(SQLModel):
    """What people and agents write. `metadata` is an attribute of every SQLModel, hence the other name inside."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)  # type: ignore[assignment]  # SQLModel's own type

    description: Annotated[str, AfterValidator(text(1024)), documented_text(1024)] | None = Field(
        default=None, description="What the trouble is, in a sentence. At most 1,024 characters."
    )
    error_type: ErrorType | None = Field(
        default=None, description="The kind of error, such as `ImportError` or `E0308`. At most 200 characters."
    )
    pattern: Annotated[str, AfterValidator(text(8_000)), documented_text(8_000)] | None = Field(
        default=None,
        description="Text that stands in the message when the skill applies. At most 8,000 characters. One with fewer than "
        "three letters and digits is found as a whole line only.",
    )
    resolution: Annotated[str, AfterValidator(text(131_072)), documented_text(131_072)] = Field(
        description="What to do, in Markdown. 1 to 131,072 characters."
    )
    context: Annotated[str, AfterValidator(text(8_000)), documented_text(8_000)] | None = Field(
        default=None, description="Where it was learned, when it does not apply. At most 8,000 characters."
    )


class SkillCreate(SkillBase):
    """A skill to capture. `resolution` and at least one of `pattern` and `description` are required."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [_EXAMPLE], "anyOf": [{"required": ["pattern"]}, {"required": ["description"]}]}
    )

    name: Name | None = Field(
        default=None, description="A slug, unique in the network; made from the content if left out."
    )
    tags: Tags = Field(default_factory=list, description="At most 16, of at most 64 characters each.")
    attributes: Metadata = Field(
        default_factory=dict,
        alias="metadata",
        description="Any JSON object, at most 16 KiB.",
        schema_extra={"examples": [{}]},
    )
    agent: AgentName | None = Field(default=None, description="Who captures it; wins over the `CIN-Agent` header.")

    # SQLModel's own is made for tables, and costs a capture 30 µs.
    __init__ = BaseModel.__init__

    @model_validator(mode="after")
    def _says_when_it_applies(self) -> Self:
        if self.pattern is None and self.description is None:
            raise ValueError("needs a `pattern` or a `description`, so that it can be found")
        return self


class SkillUpdate(SkillCreate):
    """The whole new content of a skill. What is left out becomes empty, but `name`, which stays."""


class Skill(SkillBase, table=True):
    """One row per skill, as it is now. What it was before stands in `skill_version`.

    `counted` is what the network's `counts` was raised to when the skill's counters last changed.
    """

    __tablename__ = "skill"
    __table_args__ = (
        # A retired skill gives its content and its name free again.
        sa.Index(
            "uq_skill_fingerprint",
            "network_id",
            "fingerprint",
            unique=True,
            sqlite_where=sa.text("status != 'retired'"),
            postgresql_where=sa.text("status != 'retired'"),
        ),
        sa.Index(
            "uq_skill_name",
            "network_id",
            "name",
            unique=True,
            sqlite_where=sa.text("status != 'retired'"),
            postgresql_where=sa.text("status != 'retired'"),
        ),
        sa.Index("ix_skill_newest", "network_id", "status", "id"),
        sa.Index("ix_skill_usage", "network_id", "status", "usage_count", "id"),
        sa.Index("ix_skill_confidence", "network_id", "status", "confidence", "id"),
        sa.Index("ix_skill_error_type", "network_id", "status", "error_type", "id"),
        sa.Index(
            "ix_skill_counted",
            "network_id",
            "counted",
            sqlite_where=sa.text("counted > 0"),
            postgresql_where=sa.text("counted > 0"),
        ),
        sa.Index("ix_skill_captured_by", "network_id", "status", "captured_by", "id"),
    )

    id: str = Field(primary_key=True, max_length=36)
    network_id: int = Field(foreign_key="network.id")
    name: str = Field(max_length=64)
    tags: list[str] = Field(sa_type=sa.JSON)
    attributes: dict[str, Any] = Field(sa_column=sa.Column("metadata", sa.JSON, nullable=False))
    fingerprint: str = Field(max_length=64)
    version: int
    status: str = Field(max_length=16)
    captured_by: str = Field(max_length=128)
    captures: int
    usage_count: int
    success_count: int
    failure_count: int
    votes_for: int
    votes_against: int
    confidence: float
    offset: int = Field(sa_type=sa.BigInteger)
    counted: int = Field(default=0, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0"})
    created_at: str = Field(max_length=24)
    updated_at: str = Field(max_length=24)


class SkillTag(SQLModel, table=True):
    """Which skills carry a tag, newest last, because ids grow with time."""

    __tablename__ = "skill_tag"

    network_id: int = Field(primary_key=True, foreign_key="network.id")
    tag: str = Field(primary_key=True, max_length=64)
    skill_id: str = Field(primary_key=True, foreign_key="skill.id", max_length=36)


class SkillVersion(SkillBase, table=True):
    """What a skill said at one version. Written once, never changed."""

    __tablename__ = "skill_version"

    network_id: int = Field(primary_key=True, foreign_key="network.id")
    skill_id: str = Field(primary_key=True, foreign_key="skill.id", max_length=36)
    version: int = Field(primary_key=True)
    name: str = Field(max_length=64)
    tags: list[str] = Field(sa_type=sa.JSON)
    attributes: dict[str, Any] = Field(sa_column=sa.Column("metadata", sa.JSON, nullable=False))
    captured_by: str = Field(max_length=128)
    offset: int = Field(sa_type=sa.BigInteger)
    created_at: str = Field(max_length=24)


class _Public(SQLModel):
    """Fields that a skill and its versions show alike."""

    id: str = Field(description="A UUIDv7.")
    network: str
    name: str
    description: str | None
    error_type: str | None
    pattern: str | None
    resolution: str
    context: str | None
    tags: list[str]
    attributes: dict[str, Any] = Field(alias="metadata")
    version: int


class SkillPublic(_Public):
    """A skill as the API shows it."""

    model_config = _with_example(EXAMPLE_PUBLIC)  # type: ignore[assignment]

    status: Status
    captured_by: str
    captures: int = Field(description="How often the same skill was captured.")
    usage_count: int
    success_count: int
    failure_count: int
    success_rate: float | None = Field(description="0 to 1; null before the first use.")
    confidence: float = Field(description="0 to 1; 0.5 before the first use. See docs/reference/confidence.md.")
    position: str = Field(description="Where in the log the skill last changed.")
    created_at: UtcTime
    updated_at: UtcTime


class SkillsPublic(SQLModel):
    """One page of a list."""

    model_config = _with_example(  # type: ignore[assignment]
        {"skills": [EXAMPLE_PUBLIC], "next_cursor": "WyI4ZjE0ZTQ1ZmNlZWEiLG51bGwsIjAxOSJd", "position": "k3f9-43"}
    )

    skills: list[SkillPublic]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last one.")
    position: str = Field(description="The head of the log when the page was read.")


class SkillVersionPublic(_Public):
    """What a skill said at one version. It never changes."""

    model_config = _with_example(_EXAMPLE_VERSION)  # type: ignore[assignment]

    captured_by: str = Field(description="Who wrote this version.")
    position: str
    created_at: UtcTime


class SkillVersionsPublic(SQLModel):
    """Every version of one skill, the first one first."""

    model_config = _with_example({"versions": [_EXAMPLE_VERSION]})  # type: ignore[assignment]

    versions: list[SkillVersionPublic]


class BatchItemPublic(SQLModel):
    """What became of one item of a batch: `id`, `name` and `position` when it is kept, else `problem`."""

    status: int = Field(description="201 created, 200 known, else the status the item alone would have had.")
    id: str | None = None
    name: str | None = None
    position: str | None = None
    problem: dict[str, Any] | None = None


class BatchPublic(SQLModel):
    """What became of a batch, item by item in the order given."""

    model_config = _with_example(  # type: ignore[assignment]
        {
            "created": 1,
            "known": 0,
            "failed": 1,
            "results": [
                {"status": 201, **{name: EXAMPLE_PUBLIC[name] for name in ("id", "name", "position")}},
                {
                    "status": 422,
                    "problem": {
                        "type": "/problems/invalid-input",
                        "title": "The request breaks a rule",
                        "status": 422,
                        "detail": "`body.1.resolution` is required.",
                        "errors": [{"loc": "body.1.resolution", "msg": "is required"}],
                    },
                },
            ],
        }
    )

    created: int
    known: int
    failed: int
    results: list[BatchItemPublic]
