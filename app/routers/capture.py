"""Writing skills down, changing them, and saying how they worked."""

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from app import errors
from app.capture.answer import Answer
from app.capture.changing import Report
from app.capture.draft import to_draft
from app.capture.idempotency import Idempotency
from app.dependencies import parts
from app.errors import CINError
from app.headers import AGENT, IDEMPOTENCY_KEY, IF_MATCH, read_agent, read_idempotency_key, read_if_match
from app.models import BatchPublic, OutcomeCreate, SkillCreate, SkillPublic, SkillUpdate
from app.problems import responses
from app.routers.bodies import JSON, NDJSON, SKILL_BYTES, SMALL_BYTES, read_items, read_model
from app.routers.plain_route import PlainRoute

router = APIRouter(tags=["capture"], route_class=PlainRoute)


def _body(model: type[Any], media_type: str = JSON) -> dict[str, Any]:
    schema = model.model_json_schema()
    return {"required": True, "content": {media_type: {"schema": schema, "example": schema["examples"][0]}}}


def _batch_body() -> dict[str, Any]:
    item = SkillCreate.model_json_schema()
    example = item["examples"][0]
    array = {"type": "array", "items": item, "maxItems": 1000}
    return {
        "required": True,
        "content": {
            JSON: {"schema": array, "example": [example]},
            NDJSON: {
                "schema": {"type": "string", "description": "One skill a line."},
                "example": f"{json.dumps(example)}\n",
            },
        },
    }


@router.post(
    "/skills",
    status_code=201,
    response_model=None,
    responses={
        201: {"model": SkillPublic, "description": "A new skill."},
        200: {"model": SkillPublic, "description": "The skill that says the same; its `captures` is one higher."},
        **responses(
            errors.SkillConflict,
            errors.IdempotencyKeyInUse,
            errors.BodyTooLarge,
            errors.MediaTypeUnsupported,
            errors.StorageFull,
        ),
    },
    openapi_extra={"requestBody": _body(SkillCreate), "parameters": [AGENT, IDEMPOTENCY_KEY]},
)
async def capture_skill(request: Request) -> Response:
    """Capture a skill.

    What is answered with 201 or 200 is on disk, and every subscriber is being told. The same skill again (same
    `error_type`, `pattern` and `resolution`, white space aside) is the one that exists.
    """
    here = parts(request)
    skill, body = await read_model(request, SkillCreate, SKILL_BYTES)
    return _response(
        await here.recorder.capture(here.network, to_draft(skill, read_agent(request)), _idempotency(request, body))
    )


@router.post(
    "/skills/batch",
    response_model=None,
    responses={
        200: {"model": BatchPublic, "description": "What became of each skill, in the order given."},
        **responses(errors.IdempotencyKeyInUse, errors.BodyTooLarge, errors.MediaTypeUnsupported, errors.StorageFull),
    },
    openapi_extra={"requestBody": _batch_body(), "parameters": [AGENT, IDEMPOTENCY_KEY]},
)
async def capture_batch(request: Request) -> Response:
    """Capture up to 1,000 skills in one commit.

    Takes a JSON array, or lines of JSON as `application/x-ndjson`, up to 16 MiB. One bad skill spoils no other.
    """
    here = parts(request)
    skills, body = await read_items(request, SkillCreate)
    agent = read_agent(request)
    items = [skill if isinstance(skill, CINError) else to_draft(skill, agent) for skill in skills]
    return _response(await here.recorder.capture_batch(here.network, items, _idempotency(request, body)))


@router.put(
    "/skills/{skill_id}",
    response_model=None,
    responses={
        200: {"model": SkillPublic, "description": "The skill's new version."},
        **responses(
            errors.SkillNotFound,
            errors.SkillConflict,
            errors.SkillRetired,
            errors.VersionStale,
            errors.VersionMissing,
            errors.BodyTooLarge,
            errors.MediaTypeUnsupported,
            errors.StorageFull,
        ),
    },
    openapi_extra={
        "requestBody": _body(SkillUpdate),
        "parameters": [{**IF_MATCH, "required": True}, AGENT, IDEMPOTENCY_KEY],
    },
)
async def revise_skill(skill_id: str, request: Request) -> Response:
    """Give a skill new content, as a new version.

    `If-Match` names the version you have read. If somebody was faster the answer is 412 and nothing is changed.
    """
    here = parts(request)
    skill, body = await read_model(request, SkillUpdate, SKILL_BYTES)
    precondition = read_if_match(request, required=True)
    idempotency = _idempotency(request, body)
    return _response(
        await here.recorder.revise(
            here.network, skill_id, to_draft(skill, read_agent(request)), precondition, idempotency
        )
    )


@router.delete(
    "/skills/{skill_id}",
    status_code=204,
    response_model=None,
    responses={
        204: {"description": "It is retired, now or since before."},
        **responses(errors.SkillNotFound, errors.VersionStale, errors.StorageFull),
    },
    openapi_extra={"parameters": [IF_MATCH]},
)
async def retire_skill(skill_id: str, request: Request) -> Response:
    """Retire a skill: no longer matched, listed or counted. Its history stays readable."""
    here = parts(request)
    return _response(await here.recorder.retire(here.network, skill_id, read_if_match(request, required=False)))


@router.post(
    "/skills/{skill_id}/outcomes",
    status_code=201,
    response_model=None,
    responses={
        201: {"model": SkillPublic, "description": "The skill with its new figures."},
        **responses(
            errors.SkillNotFound,
            errors.SkillRetired,
            errors.IdempotencyKeyInUse,
            errors.BodyTooLarge,
            errors.MediaTypeUnsupported,
            errors.StorageFull,
        ),
    },
    openapi_extra={"requestBody": _body(OutcomeCreate), "parameters": [AGENT, IDEMPOTENCY_KEY]},
)
async def record_outcome(skill_id: str, request: Request) -> Response:
    """Say whether a skill worked.

    Every outcome is kept and counted. For `confidence` each agent has one vote, its latest.
    """
    here = parts(request)
    outcome, body = await read_model(request, OutcomeCreate, SMALL_BYTES)
    report = Report(outcome.success, outcome.agent or read_agent(request), outcome.detail)
    return _response(await here.recorder.record_outcome(here.network, skill_id, report, _idempotency(request, body)))


def _idempotency(request: Request, body: bytes) -> Idempotency | None:
    key = read_idempotency_key(request)
    return Idempotency.of(key, request.method, request.url.path, body) if key is not None else None


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers, "application/json" if answer.body else None)
