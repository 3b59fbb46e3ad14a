"""Reading skills. Every answer has an `ETag`; a read that repeats it gets 304, without a look at the database."""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app import errors
from app.dependencies import AfterMinPosition, ChangesDep, NetworkDep, ReaderDep
from app.headers import IF_NONE_MATCH, MIN_POSITION, read_if_none_match
from app.models import SkillPublic, SkillsPublic, SkillVersionPublic, SkillVersionsPublic
from app.models.types import AgentName, ErrorType, Tags
from app.problems import responses
from app.query.skill_reader import SkillQuery
from app.skills.document import skill_json, version_json

router = APIRouter(tags=["query"], dependencies=[AfterMinPosition])

_HEADERS = {"parameters": [IF_NONE_MATCH, MIN_POSITION]}
_ASK_AGAIN = "private, max-age=0, must-revalidate"
_FOR_EVER = "private, max-age=31536000, immutable"
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing has changed since the answer whose `ETag` was sent as `If-None-Match`."}
}


class SkillListParams(BaseModel):
    """What a list can be asked for. Words that are not known are refused, so that a typing error is noticed."""

    model_config = ConfigDict(extra="forbid")

    error_type: ErrorType | None = Field(None, description="Skills for this kind of error.")
    tag: Tags = Field(default_factory=list, description="Skills that carry this tag; repeat it for any of several.")
    agent: AgentName | None = Field(None, description="Skills that this agent captured.")
    status: Literal["active", "pending", "retired"] = "active"
    sort: Literal["newest", "usage", "confidence"] = "newest"
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, max_length=512, description="`next_cursor` of the page before.")


@router.get(
    "/skills",
    response_model=None,
    responses={200: {"model": SkillsPublic}, **_NOT_MODIFIED, **responses(errors.PositionUnavailable)},
    openapi_extra=_HEADERS,
)
async def list_skills(
    request: Request,
    params: Annotated[SkillListParams, Query()],
    reader: ReaderDep,
    network: NetworkDep,
    changes: ChangesDep,
) -> Response:
    """List skills, newest first unless asked otherwise.

    Pages go on with `cursor`: no skill comes twice and none is left out, whatever is captured in between.
    """
    etag = f'"{changes.now}"'
    if etag in read_if_none_match(request):
        return _not_modified(etag)
    query = SkillQuery(params.sort, params.status, params.error_type, params.agent, tuple(params.tag))
    page = await reader.list(network, query, limit=params.limit, cursor=params.cursor)
    skills = b",".join(skill_json(skill, network.label) for skill in page.skills)
    end = orjson.dumps({"next_cursor": page.next_cursor, "position": str(page.position)})
    return _fresh(b'{"skills":[' + skills + b"]," + end[1:], etag)


@router.get(
    "/skills/{skill_id}",
    response_model=None,
    responses={
        200: {"model": SkillPublic},
        **_NOT_MODIFIED,
        **responses(errors.SkillNotFound, errors.PositionUnavailable),
    },
    openapi_extra=_HEADERS,
)
async def get_skill(
    skill_id: str, request: Request, reader: ReaderDep, network: NetworkDep, changes: ChangesDep
) -> Response:
    """Read one skill, a retired one too. Its `ETag` starts with its version and serves as `If-Match`."""
    present = changes.now
    for etag in read_if_none_match(request):
        if etag.endswith(f'-{present}"'):
            return _not_modified(etag)
    skill = await reader.get(network, skill_id)
    return _fresh(skill_json(skill, network.label), f'"{skill["version"]}-{present}"')


@router.get(
    "/skills/{skill_id}/versions",
    response_model=None,
    responses={
        200: {"model": SkillVersionsPublic},
        **_NOT_MODIFIED,
        **responses(errors.SkillNotFound, errors.PositionUnavailable),
    },
    openapi_extra=_HEADERS,
)
async def list_versions(
    skill_id: str, request: Request, reader: ReaderDep, network: NetworkDep, changes: ChangesDep
) -> Response:
    """Read everything a skill has said, the first version first."""
    etag = f'"{changes.now}"'
    if etag in read_if_none_match(request):
        return _not_modified(etag)
    versions = await reader.versions(network, skill_id)
    body = b",".join(version_json(version, network.label) for version in versions)
    return _fresh(b'{"versions":[' + body + b"]}", etag)


@router.get(
    "/skills/{skill_id}/versions/{number}",
    response_model=None,
    responses={
        200: {"model": SkillVersionPublic},
        **_NOT_MODIFIED,
        **responses(errors.SkillNotFound, errors.PositionUnavailable),
    },
    openapi_extra=_HEADERS,
)
async def get_version(
    skill_id: str,
    number: Annotated[int, Path(ge=1, le=999_999_999)],
    request: Request,
    reader: ReaderDep,
    network: NetworkDep,
) -> Response:
    """Read what a skill said at one version. It never changes, so it may be cached for ever."""
    etag = f'"{skill_id}.{number}"'
    if etag in read_if_none_match(request):
        return _not_modified(etag, _FOR_EVER)
    version = await reader.version(network, skill_id, number)
    return _fresh(version_json(version, network.label), etag, _FOR_EVER)


def _fresh(body: bytes, etag: str, cache_control: str = _ASK_AGAIN) -> Response:
    return Response(body, 200, {"ETag": etag, "Cache-Control": cache_control}, "application/json")


def _not_modified(etag: str, cache_control: str = _ASK_AGAIN) -> Response:
    """What the answer would have said of caching, and no body (RFC 9110, 15.4.5)."""
    return Response(status_code=304, headers={"ETag": etag, "Cache-Control": cache_control})
