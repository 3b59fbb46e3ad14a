"""Request headers that several routes share: how each is read, and what the OpenAPI document says of it."""

import re
from typing import Annotated, Any

from fastapi import Request
from pydantic import AfterValidator, TypeAdapter, ValidationError
from starlette.requests import HTTPConnection

from app.capture.changing import Precondition
from app.errors import InvalidInput, VersionMissing
from app.models.types import AgentName

ANONYMOUS = "anonymous"

_AGENT = TypeAdapter(AgentName)
# What captures answer is `"3"`, what reads answer is `"3-1f0c2a"`: both name version 3. A weak tag never matches here.
_ETAG = re.compile(r'(?<!W/)"([0-9]{1,9})(?:-[0-9a-z]+)?"')
_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_KEY_MESSAGE = "must have 1 to 255 visible ASCII characters"


def _header(name: str, description: str, example: str, pattern: str | None = None) -> dict[str, Any]:
    schema = {"type": "string"} | ({"pattern": f"^{pattern}$"} if pattern else {})
    return {"name": name, "in": "header", "description": description, "schema": schema, "example": example}


AGENT = _header(
    "CIN-Agent",
    "Who is asking: 1 to 128 letters, digits and `._:@/-`; else `anonymous`.",
    "agent-a",
    "[A-Za-z0-9._:@/-]{1,128}",
)
IDEMPOTENCY_KEY = _header(
    "Idempotency-Key",
    "1 to 255 visible ASCII characters. The same key and body within 24 h gets the first answer again, byte for byte.",
    "5e0c7a1e-capture-1",
    _KEY.pattern,
)
IF_MATCH = _header("If-Match", "The `ETag` of the version you have read.", '"1"')
IF_NONE_MATCH = _header("If-None-Match", "The `ETag` of the answer you have; 304 if it is still right.", '"1-4be1c7"')
LAST_EVENT_ID = _header("Last-Event-ID", "The last `id:` you have seen; wins over `since`.", "k3f9-42")
MIN_POSITION = _header(
    "CIN-Min-Position",
    "Wait, at most 2 s, until this process has come to that position.",
    "k3f9-43",
    "[a-z0-9]{1,16}-(0|[1-9][0-9]{0,17})",
)


def read_agent(request: HTTPConnection) -> str:
    """`CIN-Agent`. Raises `InvalidInput`."""
    name = request.headers.get("cin-agent")
    if name is None:
        return ANONYMOUS
    try:
        return _AGENT.validate_python(name)
    except ValidationError:
        message = "is not an agent's name: use 1 to 128 letters, digits and . _ : @ / -"
        raise InvalidInput(f"`CIN-Agent` {message}.", [("header.CIN-Agent", message)]) from None


def read_idempotency_key(request: Request) -> str | None:
    """`Idempotency-Key`. Raises `InvalidInput`."""
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidInput(f"`Idempotency-Key` {_KEY_MESSAGE}.", [("header.Idempotency-Key", _KEY_MESSAGE)])
    return key


def _idempotency_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(_KEY_MESSAGE)
    return key


IdempotencyKeyText = Annotated[str, AfterValidator(_idempotency_key)]
"""An idempotency key where there is no header for it."""


def read_if_match(request: Request, *, required: bool) -> Precondition:
    """The versions that `If-Match` names (RFC 9110, 13.1.1). Raises `VersionMissing` if it is required and not sent."""
    value = ",".join(request.headers.getlist("if-match"))
    if not value:
        if required:
            raise VersionMissing(
                f"Send If-Match with the ETag that GET {request.url.path} answers, so that no change is lost."
            )
        return Precondition(None)
    if value.strip() == "*":
        return Precondition(None)
    return Precondition(frozenset(int(number) for number in _ETAG.findall(value)))


def read_if_none_match(request: Request) -> list[str]:
    """The tags of `If-None-Match`, to compare weakly (RFC 9110, 13.1.2): a proxy may have marked ours as weak."""
    value = ",".join(request.headers.getlist("if-none-match"))
    return [tag.strip().removeprefix("W/") for tag in value.split(",") if tag.strip()]


def names_tag(request: Request, etag: str) -> bool:
    """Whether `If-None-Match` names an answer that there always is: by its tag, or by `*`, which names any."""
    tags = read_if_none_match(request)
    return etag.removeprefix("W/") in tags or "*" in tags
