"""Routes whose handlers take the request and their path parameters, and nothing that FastAPI would have to solve."""

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.types import Receive, Scope, Send

from app.problems import from_validation_error

M = TypeVar("M", bound=BaseModel)


class PlainRoute(APIRoute):
    """A route that FastAPI documents, and calls directly.

    FastAPI's own way from the router to such a handler takes 0.1 ms of a capture's 0.7, and a third of what a repeated
    question takes (docs/decisions/0014). Errors are rendered by the application's exception handlers as everywhere.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response: Response = await endpoint(request=Request(scope, receive, send), **scope["path_params"])
            await response(scope, receive, send)

        self.app = app


def query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """What the OpenAPI document says of a query string that is read as `model`."""
    schema = model.model_json_schema()
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            **({"description": described.pop("description")} if "description" in described else {}),
            "schema": described,
        }
        for name, described in schema["properties"].items()
    ]


def read_parameters(request: Request, model: type[M]) -> M:
    """The query string as a `model`. Raises `InvalidInput` with every rule it breaks."""
    query = request.query_params
    lists = {name for name, field in model.model_fields.items() if field.default_factory is list}
    given = {name: query.getlist(name) if name in lists else query[name] for name in query}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise from_validation_error(error, "query") from None
