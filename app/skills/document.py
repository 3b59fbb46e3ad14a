"""Skills, versions and events as the JSON that goes over the wire: made once, then carried as bytes.

The shapes are `SkillPublic`, `SkillVersionPublic` and `EventPublic`, against which a test holds what stands here.
(Encoding through those models costs 31 µs a skill, this costs 4 µs; a capture does it inside the writing thread.)
"""

from typing import NamedTuple, TypedDict

import orjson

from app.models.event import EventType
from app.models.position import Position

JSONValue = dict[str, "JSONValue"] | list["JSONValue"] | str | int | float | bool | None


class NetworkName(NamedTuple):
    """What a document says of its network: the name, and the epoch for positions."""

    name: str
    epoch: str


class SkillContent(TypedDict):
    """What agents write in a skill."""

    name: str
    description: str | None
    error_type: str | None
    pattern: str | None
    resolution: str
    context: str | None
    tags: list[str]
    metadata: dict[str, JSONValue]


class SkillRow(SkillContent):
    """A row of table `skill`, by column."""

    id: str
    network_id: int
    fingerprint: str
    version: int
    status: str
    captured_by: str
    captures: int
    usage_count: int
    success_count: int
    failure_count: int
    votes_for: int
    votes_against: int
    confidence: float
    offset: int
    counted: int
    created_at: str
    updated_at: str


class VersionRow(SkillContent):
    """A row of table `skill_version`, by column."""

    skill_id: str
    network_id: int
    version: int
    captured_by: str
    offset: int
    created_at: str


class Counters(TypedDict):
    """How often a skill was captured and used, and how it worked, as the wire shows it."""

    captures: int
    usage_count: int
    success_count: int
    failure_count: int
    success_rate: float | None
    confidence: float


def counters(skill: SkillRow) -> Counters:
    """The counters of a row."""
    used = skill["usage_count"]
    return {
        "captures": skill["captures"],
        "usage_count": used,
        "success_count": skill["success_count"],
        "failure_count": skill["failure_count"],
        "success_rate": skill["success_count"] / used if used else None,
        "confidence": round(skill["confidence"], 4),
    }


def skill_json(skill: SkillRow, network: NetworkName) -> bytes:
    """A `SkillPublic`."""
    return dump(
        {
            "id": skill["id"],
            **_content(skill, network),
            "version": skill["version"],
            "status": skill["status"],
            "captured_by": skill["captured_by"],
            **counters(skill),
            "position": f"{network.epoch}-{skill['offset']}",
            "created_at": skill["created_at"],
            "updated_at": skill["updated_at"],
        }
    )


def version_json(version: VersionRow, network: NetworkName) -> bytes:
    """A `SkillVersionPublic`."""
    return dump(
        {
            "id": version["skill_id"],
            **_content(version, network),
            "version": version["version"],
            "captured_by": version["captured_by"],
            "position": f"{network.epoch}-{version['offset']}",
            "created_at": version["created_at"],
        }
    )


def event_json(position: Position, type: EventType, at: str, skill: bytes) -> bytes:
    """An `EventPublic` around a skill that is JSON already."""
    return b'{"id":"%s","offset":%d,"type":"%s","at":"%s","skill":%s}' % (
        str(position).encode(),
        position.offset,
        type.encode(),
        at.encode(),
        skill,
    )


def _content(content: SkillContent, network: NetworkName) -> dict[str, JSONValue]:
    return {
        "network": network.name,
        "name": content["name"],
        "description": content["description"],
        "error_type": content["error_type"],
        "pattern": content["pattern"],
        "resolution": content["resolution"],
        "context": content["context"],
        "tags": content["tags"],  # type: ignore[dict-item]  # list is invariant
        "metadata": content["metadata"],
    }


def dump(document: object) -> bytes:
    """JSON for the wire, of what holds text from agents."""
    # JSON may hold U+2028 and U+2029 as they are, but readers of lines, many SSE clients among them, break at them.
    return orjson.dumps(document).replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
