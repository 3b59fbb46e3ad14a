"""The schema oracle: all JSON that the server sends has every field of its documented shape, and no other."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import BaseModel

from app.models import (
    AgentPublic,
    AgentsPublic,
    BatchPublic,
    DeliveryPublic,
    EventPublic,
    MatchesPublic,
    SkillPublic,
    SkillsPublic,
    SkillVersionPublic,
    SkillVersionsPublic,
)
from app.problems import Problem
from app.routers.operations import HealthPublic, InfoPublic
from tests.docs.openapi import document
from tests.factories import make_skill
from tests.server import Server
from tests.streams import EventStream

Ask = Callable[[httpx.Client, str], httpx.Response]


@pytest.fixture(scope="module")
def skill_id(server: Server) -> str:
    """A skill with all fields, that was used and revised, and known to an agent."""
    with httpx.Client(base_url=server.url) as api:
        body = make_skill(description="d", context="c", tags=["t"], metadata={"n": [1, 2.5, None, {"x": True}]})
        skill = api.post("/skills", json=body).json()
        api.put(
            f"/skills/{skill['id']}", json=make_skill(**body | {"pattern": f"{uuid4()}"}), headers={"If-Match": "*"}
        )
        api.post(f"/skills/{skill['id']}/outcomes", json={"success": True})
        api.put("/agents/shapes", json={"capabilities": ["skill_broadcast"]})
        return str(skill["id"])


def assert_shape(model: type[BaseModel], sent: Any) -> None:
    """`sent` has what `model` documents: nothing is missing (a model's default would show), nothing is too much."""
    read = model.model_validate(sent)
    assert read.model_dump(by_alias=True, mode="json", exclude_unset=True) == sent
    required = {field.alias or name for name, field in model.model_fields.items() if field.is_required()}
    assert required <= set(sent)


ANSWERS: list[tuple[str, type[BaseModel], Ask]] = [
    ("capture", SkillPublic, lambda api, id: api.post("/skills", json=make_skill())),
    ("capture of a known skill", SkillPublic, lambda api, id: _twice(api)),
    ("batch", BatchPublic, lambda api, id: api.post("/skills/batch", json=[make_skill(), {}, make_skill()])),
    ("outcome", SkillPublic, lambda api, id: api.post(f"/skills/{id}/outcomes", json={"success": False})),
    ("revision", SkillPublic, lambda api, id: api.put(f"/skills/{id}", json=make_skill(), headers={"If-Match": "*"})),
    ("skill", SkillPublic, lambda api, id: api.get(f"/skills/{id}")),
    ("match", MatchesPublic, lambda api, id: _match(api, id)),
    ("match of nothing", MatchesPublic, lambda api, id: api.post("/match", json={"message": f"{uuid4()}"})),
    ("search", SkillsPublic, lambda api, id: api.get("/skills", params={"q": "module", "limit": 3})),
    ("list", SkillsPublic, lambda api, id: api.get("/skills", params={"limit": 3})),
    ("versions", SkillVersionsPublic, lambda api, id: api.get(f"/skills/{id}/versions")),
    ("version", SkillVersionPublic, lambda api, id: api.get(f"/skills/{id}/versions/1")),
    ("agent", AgentPublic, lambda api, id: api.put("/agents/shapes", json={})),
    ("agents", AgentsPublic, lambda api, id: api.get("/agents")),
    ("delivery", DeliveryPublic, lambda api, id: api.get(f"/skills/{id}/delivery")),
    ("health", HealthPublic, lambda api, id: api.get("/healthz")),
    ("readiness", HealthPublic, lambda api, id: api.get("/readyz")),
    ("info", InfoPublic, lambda api, id: api.get("/info")),
    ("404", Problem, lambda api, id: api.get("/skills/none")),
    ("405", Problem, lambda api, id: api.delete("/skills")),
    (
        "409",
        Problem,
        lambda api, id: api.post("/skills", json=make_skill(name=api.get(f"/skills/{id}").json()["name"])),
    ),
    ("410", Problem, lambda api, id: api.get("/stream", params={"since": "other-1", "strict": "1"})),
    ("413", Problem, lambda api, id: api.post("/skills/batch", json=[{}] * 1_001)),
    ("415", Problem, lambda api, id: api.post("/skills", content=b"{}", headers={"Content-Type": "text/plain"})),
    ("422", Problem, lambda api, id: api.post("/skills", json={})),
    ("428", Problem, lambda api, id: api.put(f"/skills/{id}", json=make_skill())),
]


def _twice(api: httpx.Client) -> httpx.Response:
    body = make_skill()
    api.post("/skills", json=body)
    return api.post("/skills", json=body)


def _match(api: httpx.Client, id: str) -> httpx.Response:
    """Exactly, masked and by words, of skills that were used and others."""
    exact, masked, words = (uuid4().hex for _ in range(3))
    for pattern in (f"cannot open {exact}", f"cannot reach {masked} at 10.0.0.1:80", f"{words} was lost by {exact}"):
        api.post("/skills", json=make_skill(pattern=pattern))
    message = f"cannot open {exact}\ncannot reach {masked} at 10.0.0.2:90\nwho lost {words}, error"
    answer = api.post("/match", json={"message": message, "limit": 9})
    assert {match["kind"] for match in answer.json()["matches"]} == {"exact", "masked", "similar"}
    return answer


@pytest.mark.parametrize(("model", "ask"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
def test_answer_has_its_documented_shape(server: Server, skill_id: str, model: type[BaseModel], ask: Ask) -> None:
    with httpx.Client(base_url=server.url) as api:
        answer = ask(api, skill_id)
    wanted = "application/problem+json" if model is Problem else "application/json"
    assert answer.headers["content-type"] == wanted
    assert_shape(model, answer.json())


def test_every_kind_of_event_has_its_documented_shape(server: Server) -> None:
    with EventStream(server.url) as stream, httpx.Client(base_url=server.url) as api:
        skill = api.post("/skills", json=make_skill(tags=["t"])).json()
        api.put(f"/skills/{skill['id']}", json=make_skill(), headers={"If-Match": "*"})
        api.delete(f"/skills/{skill['id']}")
        events = stream.events(3)
    for event in events:
        assert_shape(EventPublic, event.data)
        assert (event.data["id"], event.data["type"]) == (event.id, event.event)


def test_every_shape_stands_in_the_document() -> None:
    schemas = document()["components"]["schemas"]
    assert {EventPublic.__name__, *(model.__name__ for _, model, _ in ANSWERS)} <= set(schemas)


def test_example_of_every_shape_has_it() -> None:
    schemas = document()["components"]["schemas"]
    for model in {model for _, model, _ in ANSWERS} - {Problem}:
        for example in schemas[model.__name__]["examples"]:
            assert_shape(model, example)


def test_concurrent_captures_have_their_documented_shape(server: Server) -> None:
    async def capture_all() -> list[httpx.Response]:
        body = make_skill()
        async with httpx.AsyncClient(base_url=server.url, timeout=20) as api:
            return await asyncio.gather(*(api.post("/skills", json=body) for _ in range(8)))

    for answer in asyncio.run(capture_all()):
        assert_shape(SkillPublic, answer.json())
