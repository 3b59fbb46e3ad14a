"""Documents: the JSON that the wire models describe, in one line whatever the text holds."""

import json

from app.models import EventPublic, SkillPublic, SkillVersionPublic
from app.models.position import Position
from app.skills.document import NetworkName, SkillRow, VersionRow, event_json, skill_json, version_json

NETWORK = NetworkName("default", "k3f9")
ROW: SkillRow = {
    "id": "019aaf2c-7d6e-7c43-9c3b-3f0c1d2e4a5b",
    "network_id": 1,
    "name": "a-skill",
    "description": None,
    "error_type": "E",
    "pattern": "line one\r\nline two\u2028line three\u2029end \U0001f600",
    "resolution": "# Do\n\n\tit",
    "context": "c",
    "tags": ["b", "a"],
    "metadata": {"n": [1, 2.5, None, True], "t": "\u2028"},
    "fingerprint": "0" * 64,
    "version": 3,
    "status": "active",
    "captured_by": "agent-a",
    "captures": 4,
    "usage_count": 3,
    "success_count": 2,
    "failure_count": 1,
    "votes_for": 1,
    "votes_against": 1,
    "confidence": 0.4123456,
    "offset": 43,
    "counted": 0,
    "created_at": "2026-11-22T08:00:00.000Z",
    "updated_at": "2026-11-22T08:00:01.000Z",
}


def test_skill_document_is_a_skill_public_with_every_field() -> None:
    document = json.loads(skill_json(ROW, NETWORK))
    assert list(document) == list(SkillPublic.model_json_schema(mode="serialization")["properties"])
    assert SkillPublic.model_validate(document).position == "k3f9-43"
    assert (document["success_rate"], document["confidence"]) == (2 / 3, 0.4123)


def test_skill_document_without_uses_has_no_success_rate() -> None:
    unused: SkillRow = {**ROW, "usage_count": 0, "success_count": 0, "failure_count": 0}
    assert json.loads(skill_json(unused, NETWORK))["success_rate"] is None


def test_version_document_is_a_skill_version_public_with_every_field() -> None:
    version: VersionRow = {**ROW, "skill_id": ROW["id"]}  # type: ignore[typeddict-unknown-key]  # what a version has not is not read
    document = json.loads(version_json(version, NETWORK))
    assert list(document) == list(SkillVersionPublic.model_json_schema(mode="serialization")["properties"])
    assert document["id"] == ROW["id"]


def test_event_document_is_an_event_public_with_every_field() -> None:
    raw = event_json(Position("k3f9", 43), "skill.captured", "2026-11-22T08:00:00.000Z", skill_json(ROW, NETWORK))
    document = json.loads(raw)
    assert list(document) == list(EventPublic.model_json_schema(mode="serialization")["properties"])
    assert EventPublic.model_validate(document).skill.pattern == ROW["pattern"]


def test_document_is_one_line_to_every_reader_of_lines() -> None:
    assert skill_json(ROW, NETWORK).decode().splitlines() == [skill_json(ROW, NETWORK).decode()]


def test_document_keeps_what_was_written() -> None:
    document = json.loads(skill_json(ROW, NETWORK))
    assert {name: document[name] for name in ("pattern", "resolution", "tags", "metadata")} == {
        "pattern": ROW["pattern"],
        "resolution": ROW["resolution"],
        "tags": ROW["tags"],
        "metadata": ROW["metadata"],
    }
