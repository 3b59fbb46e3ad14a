"""Errors as `application/problem+json` (RFC 9457): rendered here, and nowhere else."""

from collections.abc import Sequence
from typing import Any, Literal

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import Response
from starlette.routing import Match, Route

from app import errors
from app.errors import CINError, InvalidInput

log = structlog.get_logger(__name__)

MOST_ERRORS = 100
"""What a problem lists of many broken rules."""

MEDIA_TYPE = "application/problem+json"

OUR_FAULT = "This is our fault, not yours. Report it with the request id in `instance`."


class ProblemError(BaseModel):
    """One broken rule."""

    loc: str = Field(description="Where, such as `body.tags.3` or `query.limit`.")
    msg: str


class Problem(BaseModel):
    """What went wrong, by RFC 9457."""

    type: str = Field(description="`/problems/<slug>`", examples=["/problems/skill-not-found"])
    title: str
    status: int
    detail: str = Field(description="A sentence that says what to do.")
    instance: str = Field(description="The request's id, as in the header `X-Request-ID` and the server's log.")
    errors: list[ProblemError] | None = Field(default=None, description="With 422: every rule that was broken.")
    reason: Literal["expired", "epoch", "ahead"] | None = Field(
        default=None, description="With 410: why the position cannot be served."
    )
    earliest: str | None = Field(default=None, description="With 410: the oldest position kept.")
    head: str | None = Field(default=None, description="With 410: the newest position.")


def responses(*kinds: type[CINError]) -> dict[int | str, dict[str, Any]]:
    """What a route's OpenAPI says of the problems it may answer with."""
    found: dict[int | str, dict[str, Any]] = {}
    always: tuple[type[CINError], ...] = (errors.InvalidInput, errors.Unavailable)
    for kind in (*kinds, *always):
        description = found[kind.status]["description"] + "; " + kind.title if kind.status in found else kind.title
        found[kind.status] = {
            "description": description,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": {
                        "type": f"/problems/{kind.slug}",
                        "title": kind.title,
                        "status": kind.status,
                        "detail": kind.title + ".",
                        "instance": "019aaf2c7d6e7c43",
                    },
                }
            },
        }
    return found


def install(app: FastAPI) -> None:
    """Have every error of the application rendered here."""
    app.add_exception_handler(CINError, _cin_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(ClientDisconnect, _client_gone)
    app.add_exception_handler(Exception, _unexpected)


def problem_response(error: CINError, request_id: str) -> Response:
    """The response that says what went wrong."""
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    body = orjson.dumps(to_problem(error, request_id))
    return Response(body, error.status, headers, MEDIA_TYPE)


def to_problem(error: CINError, request_id: str) -> dict[str, object]:
    """The members of the problem that says what went wrong."""
    return {**error.to_problem(), "instance": request_id}


def invalid_input(failures: Sequence[Any], root: str) -> InvalidInput:
    """pydantic's error list as ours: every rule by place, without what was sent."""
    found = [(".".join(str(part) for part in (root, *f["loc"]) if part != ""), _message(f)) for f in failures]
    loc, msg = found[0]
    rest = f" ({len(found) - 1} more in `errors`)" if len(found) > 1 else ""
    return InvalidInput(f"`{loc}` {msg}{rest}.", found[:MOST_ERRORS])


def from_validation_error(error: ValidationError, root: str) -> InvalidInput:
    return invalid_input(error.errors(include_url=False, include_input=False, include_context=False), root)


def _message(failure: Any) -> str:
    kind, message = failure["type"], str(failure["msg"])
    if kind == "extra_forbidden":
        return "is not a field that is known here"
    if kind == "missing":
        return "is required"
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:] if kind != "value_error" else message


def request_id(connection: HTTPConnection) -> str:
    return str(connection.scope.get("cin.request_id", ""))


async def _cin_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, CINError)
    return problem_response(error, request_id(request))


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(invalid_input(error.errors(), ""), request_id(request))


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = ", ".join(_allowed_methods(request)) or (error.headers or {}).get("Allow", "")
        found = errors.MethodNotAllowed(f"{request.url.path} does not take {request.method}. It takes {allowed}.")
        response = problem_response(found, request_id(request))
        response.headers["Allow"] = allowed
        return response
    if error.status_code == 404:
        return problem_response(
            errors.RouteNotFound(f"There is nothing at {request.url.path}. The paths are listed at /docs."),
            request_id(request),
        )
    return problem_response(InvalidInput(f"The request cannot be read: {error.detail}."), request_id(request))


async def _client_gone(request: Request, error: Exception) -> Response:
    # Nobody reads this; it keeps a request that was cut in the middle of its body out of the log of errors.
    return problem_response(InvalidInput("The connection was closed before the body had come."), request_id(request))


def _allowed_methods(request: Request) -> list[str]:
    """All that the path takes (RFC 9110, 15.5.6). Starlette names those of the first route that has the path."""
    fitting = [
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    ]
    return sorted({method for route in fitting for method in route.methods or ()})


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.url.path, request_id=request_id(request), error=repr(error))
    response = problem_response(CINError(OUR_FAULT), request_id(request))
    response.headers["X-Request-ID"] = request_id(request)  # this answer passes outside of `RequestContext`
    return response
