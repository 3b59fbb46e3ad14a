"""Skills for tests: what a client sends, and the drafts and rows that come of it, with defaults that suit most."""

from typing import Any
from uuid import uuid4

from app.capture.draft import Draft, to_draft
from app.eventlog.events import LoggedEvent
from app.models import EventType, SkillCreate


def make_skill(**over: Any) -> dict[str, Any]:
    """The body of a capture that no other test has made."""
    word = uuid4().hex
    return {"error_type": "ImportError", "pattern": f"No module {word}", "resolution": f"pip install {word}", **over}


def make_draft(**over: Any) -> Draft:
    """What the recorder is given for such a body."""
    return to_draft(SkillCreate.model_validate(make_skill(**over)), "tester")


def make_event(
    offset: int,
    *,
    type: EventType = "skill.captured",
    error_type: str | None = None,
    error_type_before: str | None = None,
    tags: frozenset[str] = frozenset(),
    data: str = "{}",
    at: str = "2026-11-22T08:00:00.000Z",
) -> LoggedEvent:
    """An event that the log has at `offset`."""
    return LoggedEvent(offset, type, at, f"skill-{offset}", error_type, tags, data, error_type_before)
