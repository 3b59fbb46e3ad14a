"""The OpenAPI document: the one that was agreed on, complete, and the one that the server serves."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app import errors
from app.errors import CINError
from app.headers import AGENT, IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH, MIN_POSITION
from app.models.match import MatchesPublic, MatchPublic, MatchRequest
from tests.docs.openapi import SNAPSHOT, document
from tests.server import Server

DOCUMENT = document()
OPERATIONS = {f"{method.upper()} {path}": op for path, ops in DOCUMENT["paths"].items() for method, op in ops.items()}
CONTRACT = {
    "POST /skills",
    "POST /skills/batch",
    "POST /match",
    "GET /skills",
    "GET /skills/{skill_id}",
    "PUT /skills/{skill_id}",
    "DELETE /skills/{skill_id}",
    "GET /skills/{skill_id}/versions",
    "GET /skills/{skill_id}/versions/{number}",
    "POST /skills/{skill_id}/outcomes",
    "GET /skills/{skill_id}/delivery",
    "GET /stream",
    "GET /agents",
    "PUT /agents/{name}",
    "PUT /agents/{name}/position",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /info",
}
operations = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that goes in or comes out well, by media type."""
    bodies = [operation.get("requestBody", {})]
    bodies += [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    for body in bodies:
        yield from body.get("content", {}).items()


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return dict(DOCUMENT["components"]["schemas"][name]) if name else schema


def parameters(operation: dict[str, Any]) -> set[str]:
    return {each["name"] for each in operation.get("parameters", [])}


def test_document_is_the_one_that_was_agreed_on() -> None:
    changed = "The document has changed. Look at the difference after `python -m tests.docs.openapi`."
    assert json.loads(SNAPSHOT.read_text()) == json.loads(json.dumps(DOCUMENT)), changed


def test_document_is_served(server: Server) -> None:
    assert httpx.get(f"{server.url}/openapi.json").json() == json.loads(json.dumps(DOCUMENT))


def test_document_has_the_operations_of_the_contract() -> None:
    assert set(OPERATIONS) >= CONTRACT


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)


@operations
def test_operation_is_summed_up_and_described(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"].rstrip().endswith((".", "|"))
    assert operation["tags"]


@operations
def test_operation_has_an_example_of_all_that_goes_in_and_out(operation: dict[str, Any]) -> None:
    for media_type, content in contents(operation):
        assert "example" in content or resolved(content["schema"]).get("examples"), media_type


@operations
def test_operation_has_its_problems_with_an_example_each(operation: dict[str, Any]) -> None:
    problems = {status: answer for status, answer in operation["responses"].items() if int(status) >= 400}
    assert problems
    for status, answer in problems.items():
        assert answer["description"]
        assert list(answer["content"]) == ["application/problem+json"]
        content = answer["content"]["application/problem+json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert content["example"]["status"] == int(status)


@operations
def test_parameter_is_described_or_tells_by_its_kind(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        kind = parameter["schema"]
        plain = parameter["in"] == "path" or "enum" in kind or "maximum" in kind
        assert parameter.get("description") or plain, parameter["name"]


@pytest.mark.parametrize(
    ("kind", "routes"),
    [
        (errors.SkillConflict, ["POST /skills", "PUT /skills/{skill_id}"]),
        (errors.IdempotencyKeyInUse, ["POST /skills", "POST /skills/batch", "POST /skills/{skill_id}/outcomes"]),
        (errors.VersionMissing, ["PUT /skills/{skill_id}"]),
        (errors.VersionStale, ["PUT /skills/{skill_id}", "DELETE /skills/{skill_id}"]),
        (errors.SkillNotFound, [name for name in CONTRACT if "{skill_id}" in name]),
        (errors.AgentNotFound, ["PUT /agents/{name}/position"]),
        (
            errors.PositionUnavailable,
            ["GET /stream", "PUT /agents/{name}/position", "POST /match", "GET /skills", "GET /agents"],
        ),
        (errors.StreamLimitReached, ["GET /stream"]),
        (
            errors.BodyTooLarge,
            ["POST /match", "POST /skills", "POST /skills/batch", "PUT /skills/{skill_id}", "PUT /agents/{name}"],
        ),
        (
            errors.MediaTypeUnsupported,
            ["POST /match", "POST /skills", "POST /skills/batch", "PUT /agents/{name}/position"],
        ),
        (errors.StorageFull, [name for name in CONTRACT if not name.startswith("GET") and name != "POST /match"]),
        (errors.InvalidInput, ["POST /match", *(name for name in CONTRACT if name.endswith("skills"))]),
        (errors.Unavailable, sorted(CONTRACT)),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_problem_is_documented_where_it_may_come(kind: type[CINError], routes: list[str]) -> None:
    for route in routes:
        assert kind.title in OPERATIONS[route]["responses"][str(kind.status)]["description"], route


@pytest.mark.parametrize(
    ("header", "routes"),
    [
        (AGENT, ["POST /skills", "POST /skills/batch", "PUT /skills/{skill_id}", "POST /skills/{skill_id}/outcomes"]),
        (IDEMPOTENCY_KEY, ["POST /skills", "POST /skills/batch", "PUT /skills/{skill_id}"]),
        (IF_MATCH, ["PUT /skills/{skill_id}", "DELETE /skills/{skill_id}"]),
        (IF_NONE_MATCH, ["POST /match", "GET /skills", "GET /skills/{skill_id}", "GET /skills/{skill_id}/versions"]),
        (
            MIN_POSITION,
            ["POST /match", "GET /skills", "GET /skills/{skill_id}", "GET /agents", "GET /skills/{skill_id}/delivery"],
        ),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_header_is_documented_where_it_is_read(header: dict[str, Any], routes: list[str]) -> None:
    for route in routes:
        assert header["name"] in parameters(OPERATIONS[route]), route


@operations
def test_parameter_is_documented_once(operation: dict[str, Any]) -> None:
    found = [(each["in"], each["name"].lower()) for each in operation.get("parameters", [])]
    assert len(found) == len(set(found))


def test_match_takes_json_and_text_and_answers_in_both() -> None:
    match = OPERATIONS["POST /match"]
    assert list(match["requestBody"]["content"]) == ["application/json", "text/plain"]
    assert list(match["responses"]["200"]["content"]) == ["application/json", "text/plain"]
    assert parameters(match) == {"error_type", "limit", "If-None-Match", "CIN-Min-Position"}


def test_list_has_the_parameters_of_the_contract() -> None:
    wanted = {"q", "error_type", "tag", "agent", "status", "sort", "limit", "cursor"}
    assert parameters(OPERATIONS["GET /skills"]) == wanted | {"If-None-Match", "CIN-Min-Position"}
    limits = [each["schema"] for each in OPERATIONS["GET /skills"]["parameters"] if each["name"] == "limit"]
    assert [(each["minimum"], each["maximum"], each["default"]) for each in limits] == [(1, 100, 20)]


def test_examples_of_a_match_are_what_its_models_take() -> None:
    match = OPERATIONS["POST /match"]
    MatchRequest.model_validate(match["requestBody"]["content"]["application/json"]["example"])
    for name, model in (("MatchesPublic", MatchesPublic), ("MatchPublic", MatchPublic)):
        for example in DOCUMENT["components"]["schemas"][name]["examples"]:
            model.model_validate(example)


def test_stream_is_described_with_its_events_and_its_wire() -> None:
    stream = OPERATIONS["GET /stream"]
    for word in ("hello", "skill.captured", "skill.revised", "skill.retired", "reset", "Last-Event-ID"):
        assert f"`{word}`" in stream["description"]
    assert list(stream["responses"]["200"]["content"]) == ["text/event-stream"]
    assert parameters(stream) == {"since", "agent", "tag", "error_type", "event", "strict", "Last-Event-ID"}


def test_limits_of_a_skill_are_in_the_document() -> None:
    schema = OPERATIONS["POST /skills"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["additionalProperties"] is False
    assert "resolution" in schema["required"]
    for field, limit in (("resolution", "131,072"), ("pattern", "8,000"), ("description", "1,024"), ("tags", "16")):
        assert limit in schema["properties"][field]["description"]
