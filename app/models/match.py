"""A match: what is asked with an error message, and the skills that fit it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.models.skill import EXAMPLE_PUBLIC, SkillPublic
from app.models.types import ErrorType

_EXAMPLE_MATCH: dict[str, Any] = {
    "skill": EXAMPLE_PUBLIC,
    "kind": "exact",
    "score": 0.9321,
    "span": {"line": 1, "start": 13, "end": 37},
    "matched": "No module named 'django'",
    "why": ["its pattern stands in line 1", "the error type is ImportError", "it worked 1 of 1 times"],
}


class MatchParams(BaseModel):
    """What a match can be asked for beside the message."""

    model_config = ConfigDict(extra="forbid")

    error_type: ErrorType | None = Field(
        None,
        description="The kind of error, if you know it: it helps to choose among what fits, and leaves nothing out.",
    )
    limit: int = Field(5, ge=1, le=100)


class MatchRequest(MatchParams):
    """An error message, or a whole log."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"message": "ImportError: No module named 'django'", "limit": 5}]},
    )

    message: str = Field(description="An error message or a whole build log, at most 8 MiB in UTF-8.")


class SpanPublic(BaseModel):
    """Where in the message: `message[start:end]` is what matched, and begins in line `line`."""

    line: int = Field(description="The first line is 1.")
    start: int = Field(description="In characters from the beginning of the message.")
    end: int = Field(description="In characters from the beginning of the message; exclusive.")


class MatchPublic(BaseModel):
    """A skill that fits the message."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_MATCH]})

    skill: SkillPublic
    kind: Literal["exact", "masked", "similar"] = Field(
        description="`exact`: its pattern stands in the message. `masked`: it does once numbers, paths, addresses, ids, "
        "dates and quoted values are masked on both sides. `similar`: by words."
    )
    score: float = Field(ge=0, le=1, description="See docs/reference/matching.md.")
    span: SpanPublic
    matched: str = Field(description="What of the message the skill fits; for `similar` the line that tells most.")
    why: list[str] = Field(description="Reasons, for people.")


class MatchesPublic(BaseModel):
    """The skills that fit a message, best first; none if nothing is known."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"matches": [_EXAMPLE_MATCH], "position": "k3f9-43"}]})

    matches: list[MatchPublic]
    position: str = Field(description="The head of the log when the answer was found.")
