"""What a caller is told: made inside the transaction, so that an idempotency key can keep it and replay it byte for byte."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from app.errors import CINError
from app.models.position import Position
from app.skills.document import NetworkName, SkillRow, skill_json


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body, ready to send."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Captured:
    """One capture: the skill as it stands after it, and whether this capture made it."""

    created: bool
    skill: SkillRow
    document: bytes | None = None

    @property
    def status(self) -> int:
        return 201 if self.created else 200


def skill_answer(status: int, skill: SkillRow, network: NetworkName, document: bytes | None = None) -> Answer:
    """The skill, where it is, which version it is, and where in the log it last changed."""
    return Answer(
        status,
        document or skill_json(skill, network),
        {
            "Location": f"/skills/{skill['id']}",
            "ETag": f'"{skill["version"]}"',
            "CIN-Position": str(Position(network.epoch, skill["offset"])),
        },
    )


def batch_answer(items: Sequence[Captured | CINError], network: NetworkName) -> Answer:
    """A `BatchPublic`: every item's own result, in the order given."""
    results = [_item(item, network) for item in items]
    statuses = [item.status for item in items]
    body = {
        "created": statuses.count(201),
        "known": statuses.count(200),
        "failed": len(items) - statuses.count(201) - statuses.count(200),
        "results": results,
    }
    return Answer(200, orjson.dumps(body))


def _item(item: Captured | CINError, network: NetworkName) -> dict[str, object]:
    if isinstance(item, CINError):
        return {"status": item.status, "problem": item.to_problem()}
    position = f"{network.epoch}-{item.skill['offset']}"
    return {"status": item.status, "id": item.skill["id"], "name": item.skill["name"], "position": position}
