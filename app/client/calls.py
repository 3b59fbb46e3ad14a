"""Every request a client can make, as a `Call`: paths, parameters and bodies stand here and nowhere else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Required, TypedDict
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec

from app.client.errors import CINError
from app.client.values import (
    AgentStatus,
    BatchItem,
    BatchResult,
    Captured,
    Delivery,
    MatchResult,
    Skill,
    SkillPage,
    SkillVersion,
)
from app.client.wire import Call, read_json, read_nothing

PAGE_SKILLS = 100
BATCH_SKILLS = 1_000
BATCH_BYTES = 16 * 1024 * 1024
MESSAGE_BYTES = 8 * 1024 * 1024
_LARGE_BODY_TIMEOUT_SECONDS = 60.0

_JSON = {"Content-Type": "application/json"}


class SkillFields(TypedDict, total=False):
    """What a capture says. `resolution` and one of `pattern` and `description` are required by the server."""

    resolution: Required[str]
    pattern: str | None
    description: str | None
    error_type: str | None
    name: str | None
    context: str | None
    tags: Sequence[str]
    metadata: Mapping[str, object] | None


class Filters(TypedDict, total=False):
    """What narrows a list; `sort` is `newest`, `usage`, `confidence` or, with words to search for, `relevance`."""

    error_type: str | None
    tag: str | None
    agent: str | None
    status: str | None
    sort: str | None


class _Agents(msgspec.Struct):
    agents: tuple[AgentStatus, ...]


class _Versions(msgspec.Struct):
    versions: tuple[SkillVersion, ...]


_read_skill = read_json(Skill)
_read_page = read_json(SkillPage)
_read_matches = read_json(MatchResult)
_read_batch = read_json(BatchResult)
_read_agents = read_json(_Agents)
_read_versions = read_json(_Versions)


def capture(fields: Mapping[str, object], key: str | None) -> Call[Captured]:
    def read(response: httpx.Response) -> Captured:
        skill = _read_skill(response)
        position = response.headers.get("CIN-Position", skill.position)
        return Captured(created=response.status_code == 201, skill=skill, position=position)

    return Call(
        method="POST",
        path="/skills",
        content=encode(given(fields)),
        headers=_JSON | {"Idempotency-Key": key or str(uuid4())},
        read=read,
    )


def capture_batch(lines: Iterable[bytes], key: str | None) -> Call[BatchResult]:
    return Call(
        method="POST",
        path="/skills/batch",
        content=b"\n".join(lines),
        headers={"Content-Type": "application/x-ndjson", "Idempotency-Key": key or str(uuid4())},
        timeout_seconds=_LARGE_BODY_TIMEOUT_SECONDS,
        read=_read_batch,
    )


def batches(skills: Iterable[Mapping[str, object]]) -> Iterator[list[bytes]]:
    """The skills as NDJSON lines, in groups that one batch may hold."""
    lines: list[bytes] = []
    size = 0
    for skill in skills:
        line = encode(given(skill))
        if lines and (len(lines) == BATCH_SKILLS or size + len(line) + 1 > BATCH_BYTES):
            yield lines
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    if lines:
        yield lines


def get(skill_id: str) -> Call[Skill]:
    return Call(method="GET", path=_path("skills", skill_id), read=_read_skill)


def page(q: str | None, filters: Mapping[str, object], limit: int, cursor: str | None) -> Call[SkillPage]:
    params = _params({**filters, "q": q, "limit": limit, "cursor": cursor})
    return Call(method="GET", path="/skills", params=params, read=_read_page)


def match(message: str, error_type: str | None, limit: int) -> Call[MatchResult]:
    """The message goes as it is, not as JSON, whose escapes would take of the bytes a message may have."""
    return Call(
        method="POST",
        path="/match",
        params=_params({"error_type": error_type, "limit": limit}),
        content=_message_bytes(message),
        headers={"Content-Type": "text/plain; charset=utf-8"},
        timeout_seconds=_LARGE_BODY_TIMEOUT_SECONDS,
        read=_read_matches,
    )


def versions(skill_id: str) -> Call[tuple[SkillVersion, ...]]:
    path = _path("skills", skill_id, "versions")
    return Call(method="GET", path=path, read=lambda response: _read_versions(response).versions)


def version(skill_id: str, number: int) -> Call[SkillVersion]:
    return Call(method="GET", path=_path("skills", skill_id, "versions", str(number)), read=read_json(SkillVersion))


def revise(skill_id: str, seen: int, fields: Mapping[str, object]) -> Call[Skill]:
    headers = _JSON | {"If-Match": f'"{seen}"'}
    content = encode(given(fields))
    path = _path("skills", skill_id)
    return Call(method="PUT", path=path, content=content, headers=headers, read=_read_skill, replayable=False)


def retire(skill_id: str) -> Call[None]:
    return Call(method="DELETE", path=_path("skills", skill_id), read=read_nothing, replayable=False)


def outcome(skill_id: str, fields: Mapping[str, object], key: str | None) -> Call[Skill]:
    return Call(
        method="POST",
        path=_path("skills", skill_id, "outcomes"),
        content=encode(given(fields)),
        headers=_JSON | {"Idempotency-Key": key or str(uuid4())},
        read=_read_skill,
    )


def delivery(skill_id: str) -> Call[Delivery]:
    return Call(method="GET", path=_path("skills", skill_id, "delivery"), read=read_json(Delivery))


def register(name: str | None, capabilities: Sequence[str]) -> Call[AgentStatus]:
    content = encode({"capabilities": list(capabilities)})
    path = _path("agents", _named(name))
    return Call(method="PUT", path=path, content=content, headers=_JSON, read=read_json(AgentStatus))


def agents() -> Call[tuple[AgentStatus, ...]]:
    return Call(method="GET", path="/agents", read=lambda response: _read_agents(response).agents)


def acknowledge(name: str | None, position: str) -> Call[None]:
    content = encode({"position": position})
    path = _path("agents", _named(name), "position")
    return Call(method="PUT", path=path, content=content, headers=_JSON, read=read_nothing)


def info() -> Call[dict[str, object]]:
    return Call(method="GET", path="/info", read=read_json(dict[str, object]))


def given(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields that say something: None is the same as absent."""
    return {name: value for name, value in fields.items() if value is not None}


def encode(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError) as error:  # UnicodeEncodeError (a lone surrogate) is a ValueError
        raise CINError(f"This cannot be sent as JSON: {error}.") from error


def _message_bytes(message: str) -> bytes:
    content = _utf8("message", message)
    if len(content) > MESSAGE_BYTES:
        raise CINError(
            f"A message has at most {MESSAGE_BYTES:,} bytes and this one has {len(content):,}: "
            "send the part that tells of the failure, such as its end."
        )
    return content


def _path(*parts: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _params(values: Mapping[str, object]) -> dict[str, str | int]:
    for name, value in values.items():
        if isinstance(value, str):
            _utf8(name, value)
    return {name: value for name, value in values.items() if isinstance(value, str | int)}


def _utf8(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # a lone surrogate
        raise CINError(f"This {name} cannot be sent as UTF-8: {error}.") from error


def _named(agent: str | None) -> str:
    if agent is None:
        raise CINError("An agent needs a name: pass `agent=` to the client or set CIN_AGENT.")
    return agent


def merged(results: Iterable[BatchResult]) -> BatchResult:
    """Several batches as one."""
    created = known = failed = 0
    items: list[BatchItem] = []
    for result in results:
        created, known, failed = created + result.created, known + result.known, failed + result.failed
        items.extend(result.results)
    return BatchResult(created=created, known=known, failed=failed, results=tuple(items))


def page_size(left: int | None) -> int:
    """As large a page as the server gives, but none larger than needed."""
    return PAGE_SKILLS if left is None else min(PAGE_SKILLS, left)
