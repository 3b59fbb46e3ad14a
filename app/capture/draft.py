"""A draft: a skill as it is about to be captured, checked and fingerprinted, without id, place or history."""

from dataclasses import dataclass

from app.models import SkillCreate
from app.skills.document import SkillContent
from app.skills.fingerprint import fingerprint
from app.skills.naming import suggest_names


@dataclass(frozen=True, slots=True)
class Draft:
    """`content["name"]` is what the caller asked for, or empty; `names` are what it may be called otherwise, best first."""

    content: SkillContent
    agent: str
    fingerprint: str
    names: tuple[str, ...]


def to_draft(create: SkillCreate, agent: str) -> Draft:
    """The draft of what was sent; `agent` is who sent it, unless the skill says who captured it."""
    mark = fingerprint(create.error_type, create.pattern, create.resolution)
    return Draft(
        content={
            "name": create.name or "",
            "description": create.description,
            "error_type": create.error_type,
            "pattern": create.pattern,
            "resolution": create.resolution,
            "context": create.context,
            "tags": create.tags,
            "metadata": create.attributes,
        },
        agent=create.agent or agent,
        fingerprint=mark,
        names=() if create.name else suggest_names(create.error_type, create.pattern, create.description, mark),
    )
