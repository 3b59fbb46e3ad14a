"""Matching, searching and reading skills. Every answer has an `ETag`; who has the answer already gets 304.

The tags of matches and searches are made from the answer, those of other reads from clocks, so that a 304 never looks at
the database.
"""

import re
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app import errors
from app.dependencies import Parts, parts, wait_for_min_position
from app.errors import BodyTooLarge, InvalidInput, MediaTypeUnsupported
from app.headers import IF_NONE_MATCH, MIN_POSITION, names_tag, read_if_none_match
from app.models import (
    MatchesPublic,
    MatchRequest,
    SkillPublic,
    SkillsPublic,
    SkillVersionPublic,
    SkillVersionsPublic,
)
from app.models.match import MatchParams
from app.models.position import Position
from app.models.types import AgentName, ErrorType, Tags
from app.problems import from_validation_error, responses
from app.query.clocks import skill_key
from app.query.question import MESSAGE_BYTES, MatchQuestion, SearchQuestion
from app.query.recent_lists import ListedSkills
from app.query.rendering import as_json, as_text
from app.query.skill_reader import SkillQuery
from app.routers.bodies import JSON, TEXT, read_body
from app.routers.plain_route import PlainRoute, query_parameters, read_parameters
from app.skills.document import skill_json, version_json

router = APIRouter(tags=["query"], route_class=PlainRoute)

VersionNumber = Annotated[int, Path(ge=1, le=999_999_999)]

_HEADERS = [IF_NONE_MATCH, MIN_POSITION]
_ASK_AGAIN = "private, max-age=0, must-revalidate"
_FOR_EVER = "private, max-age=31536000, immutable"
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing has changed since the answer whose `ETag` was sent as `If-None-Match`."}
}
_NUMBER = TypeAdapter(VersionNumber)
_MATCH_JSON_BYTES = 6 * MESSAGE_BYTES + 64 * 1024
"""A message of the greatest length, with every character written as an escape, is not larger."""


class SkillListParams(BaseModel):
    """What a list can be asked for. Words that are not known are refused, so that a typing error is noticed."""

    model_config = ConfigDict(extra="forbid")

    q: str | None = Field(
        None, max_length=8_000, description="Words, as you would type them; those skills first that fit best."
    )
    error_type: ErrorType | None = Field(None, description="Skills for this kind of error.")
    tag: Tags = Field(default_factory=list, description="Skills that carry this tag; repeat it for any of several.")
    agent: AgentName | None = Field(None, description="Skills that this agent captured.")
    status: Literal["active", "pending", "retired"] = "active"
    sort: Literal["relevance", "newest", "usage", "confidence"] | None = Field(
        None,
        description="`relevance` with `q`, else `newest`, unless given. With `q`, the others sort the skills that have all "
        "of its words.",
    )
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, max_length=4_096, description="`next_cursor` of the page before.")


class _NoParams(BaseModel):
    """A JSON body says all that there is to say."""

    model_config = ConfigDict(extra="forbid")


@router.post(
    "/match",
    response_model=None,
    responses={
        200: {
            "model": MatchesPublic,
            "description": "The skills that fit, best first. With `Accept: text/plain` as text for a CI log.",
            "content": {
                TEXT: {"schema": {"type": "string"}, "example": "CIN knows 1 fix for this, best first (at k3f9-43):\n"}
            },
        },
        **_NOT_MODIFIED,
        **responses(errors.PositionUnavailable, errors.BodyTooLarge, errors.MediaTypeUnsupported),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": MatchRequest.model_json_schema(),
                    "example": {"message": "ImportError: No module named 'django'"},
                },
                TEXT: {"schema": {"type": "string"}, "example": "ImportError: No module named 'django'\n"},
            },
        },
        "parameters": [*query_parameters(MatchParams), *_HEADERS],
    },
)
async def match_skills(request: Request) -> Response:
    """Find the skills that fit an error message or a whole log.

    Send JSON, or the text itself as `text/plain`, up to 8 MiB; for text, `limit` and `error_type` go into the query.
    Escape sequences, timestamps and what runners put before lines are seen through. A message that nothing fits is
    answered with an empty list.
    """
    here = await _here(request)
    question = await _read_question(request)
    wants_text = _prefers_text(request.headers.get("accept", ""))
    answer = await here.matcher.match(question, as_text if wants_text else as_json)
    if names_tag(request, answer.etag):
        return _not_modified(answer.etag)
    return _fresh(answer.body, answer.etag, media_type="text/plain; charset=utf-8" if wants_text else JSON)


@router.get(
    "/skills",
    response_model=None,
    responses={200: {"model": SkillsPublic}, **_NOT_MODIFIED, **responses(errors.PositionUnavailable)},
    openapi_extra={"parameters": [*query_parameters(SkillListParams), *_HEADERS]},
)
async def list_skills(request: Request) -> Response:
    """List skills, newest first, or search them by words with `q`, the best fit first.

    Words may be anything: there is no query syntax. `snake_case`, `CamelCase` and dotted names are found whole and in
    parts. Pages go on with `cursor`: no skill comes twice and none is left out, whatever is captured in between.
    """
    here = await _here(request)
    params = read_parameters(request, SkillListParams)
    question = SearchQuestion(
        params.q or "", params.limit, params.error_type, params.agent, tuple(params.tag), params.cursor
    )
    sort = params.sort or ("newest" if params.q is None else "relevance")
    if sort != "relevance":
        return await _list(request, here, params, question, sort)
    if params.q is None or params.status != "active":
        raise _words_needed() if params.q is None else _only_active()
    answer = await here.matcher.search(question)
    return _not_modified(answer.etag) if names_tag(request, answer.etag) else _fresh(answer.body, answer.etag)


@router.get(
    "/skills/{skill_id}",
    response_model=None,
    responses={
        200: {"model": SkillPublic},
        **_NOT_MODIFIED,
        **responses(errors.SkillNotFound, errors.PositionUnavailable),
    },
    openapi_extra={"parameters": _HEADERS},
)
async def get_skill(skill_id: str, request: Request) -> Response:
    """Read one skill, a retired one too. Its `ETag` starts with its version and serves as `If-Match`."""
    here = await _here(request)
    present = await here.follower.tag([[skill_key(skill_id)]])
    for etag in read_if_none_match(request):
        if etag.endswith(f'-{present}"'):
            return _not_modified(etag)
    skill = await here.reader.get(here.network, skill_id)
    return _fresh(skill_json(skill, here.network.label), f'"{skill["version"]}-{present}"')


@router.get(
    "/skills/{skill_id}/versions",
    response_model=None,
    responses={
        200: {"model": SkillVersionsPublic},
        **_NOT_MODIFIED,
        **responses(errors.SkillNotFound, errors.PositionUnavailable),
    },
    openapi_extra={"parameters": _HEADERS},
)
async def list_versions(skill_id: str, request: Request) -> Response:
    """Read everything a skill has said, the first version first."""
    here = await _here(request)
    etag = f'"{await here.follower.tag([[skill_key(skill_id)]])}"'
    if etag in read_if_none_match(request):
        return _not_modified(etag)
    versions = await here.reader.versions(here.network, skill_id)
    body = b",".join(version_json(version, here.network.label) for version in versions)
    return _fresh(b'{"versions":[' + body + b"]}", etag)


@router.get(
    "/skills/{skill_id}/versions/{number}",
    response_model=None,
    responses={
        200: {"model": SkillVersionPublic},
        **_NOT_MODIFIED,
        **responses(errors.SkillNotFound, errors.PositionUnavailable),
    },
    openapi_extra={"parameters": _HEADERS},
)
async def get_version(skill_id: str, number: VersionNumber, request: Request) -> Response:
    """Read what a skill said at one version. It never changes, so it may be cached for ever."""
    here = await _here(request)
    number = _read_number(number)
    etag = f'"{skill_id}.{number}"'
    if etag in read_if_none_match(request):
        return _not_modified(etag, _FOR_EVER)
    version = await here.reader.version(here.network, skill_id, number)
    return _fresh(version_json(version, here.network.label), etag, cache_control=_FOR_EVER)


async def _here(request: Request) -> Parts:
    """The application's objects, as far along the log as the caller asks for."""
    await wait_for_min_position(request)
    return parts(request)


async def _list(
    request: Request,
    here: Parts,
    params: SkillListParams,
    question: SearchQuestion,
    sort: Literal["newest", "usage", "confidence"],
) -> Response:
    if params.q is not None and params.status != "active":
        raise _only_active()
    etag = f'"{await here.follower.tag(question.filters if params.q is None else [])}"'
    # What came since the list was read does not concern it: the tag is the same. What comes from here on may.
    same_until = here.follower.offset
    if names_tag(request, etag):
        return _not_modified(etag)
    query = SkillQuery(sort, params.status, params.error_type, params.agent, tuple(params.tag), params.q)

    async def read() -> ListedSkills:
        ids = await here.matcher.having_all(question) if params.q is not None else None
        found_at = here.follower.offset
        page = await here.reader.list(here.network, query, limit=params.limit, cursor=params.cursor, ids=ids)
        skills = b",".join(skill_json(skill, here.network.label) for skill in page.skills)
        # The words were looked for before the rows were read: what came in between is not among them.
        seen = page.position if ids is None else Position(here.network.epoch, min(page.position.offset, found_at))
        return ListedSkills(skills, page.next_cursor, seen)

    listed = await here.lists.get((etag, query, params.limit, params.cursor), read)
    position = str(Position(here.network.epoch, max(listed.position.offset, same_until)))
    end = orjson.dumps({"next_cursor": listed.next_cursor, "position": position})
    return _fresh(b'{"skills":[' + listed.skills + b"]," + end[1:], etag)


async def _read_question(request: Request) -> MatchQuestion:
    """What was asked. Raises what `read_body` raises, and `InvalidInput`."""
    body, media_type = await read_body(request, _MATCH_JSON_BYTES, JSON, TEXT)
    if media_type == TEXT:
        params = read_parameters(request, MatchParams)
        message = _decode(request, body)
    else:
        read_parameters(request, _NoParams)
        try:
            asked = MatchRequest.model_validate_json(body)
        except ValidationError as error:
            raise from_validation_error(error, "body") from None
        params, message = asked, asked.message
    size = len(body) if media_type == TEXT else len(message.encode("utf-8"))
    if size > MESSAGE_BYTES:
        raise BodyTooLarge(
            f"The message has {size:,} bytes; at most {MESSAGE_BYTES:,} are taken. Send the end of the log."
        )
    return MatchQuestion(message, params.error_type, params.limit)


def _decode(request: Request, body: bytes) -> str:
    """The text, in the `charset` that its media type names, else UTF-8. Raises `MediaTypeUnsupported`."""
    named = re.search(r"charset=\"?([\w.:-]{1,40})", request.headers.get("content-type", ""), re.IGNORECASE)
    try:
        return body.decode(named[1] if named else "utf-8", "replace")
    except LookupError:
        raise MediaTypeUnsupported(f"The charset `{named and named[1]}` is not known here. Send UTF-8.") from None


def _read_number(text: object) -> int:
    """A version's number from the path. Raises `InvalidInput`."""
    try:
        return _NUMBER.validate_python(text)
    except ValidationError as error:
        raise from_validation_error(error, "path.number") from None


def _prefers_text(accept: str) -> bool:
    """Whether the first media type that we can answer with is text; JSON for who takes anything."""
    for kind in accept.split(","):
        media_type = kind.partition(";")[0].strip().lower()
        if media_type in (TEXT, JSON, "*/*", "application/*"):
            return media_type == TEXT
    return False


def _words_needed() -> InvalidInput:
    message = "sorts by how well words fit; send `q` with it"
    return InvalidInput(f"`sort=relevance` {message}.", [("query.sort", message)])


def _only_active() -> InvalidInput:
    message = "must be `active` with `q`: other skills are not searched"
    return InvalidInput(f"`status` {message}.", [("query.status", message)])


def _fresh(body: bytes, etag: str, *, cache_control: str = _ASK_AGAIN, media_type: str = JSON) -> Response:
    return Response(body, 200, {"ETag": etag, "Cache-Control": cache_control}, media_type)


def _not_modified(etag: str, cache_control: str = _ASK_AGAIN) -> Response:
    """What the answer would have said of caching, and no body (RFC 9110, 15.4.5)."""
    return Response(status_code=304, headers={"ETag": etag, "Cache-Control": cache_control})
