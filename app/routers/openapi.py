"""The OpenAPI document: what FastAPI derives from the routes, and what it cannot know."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.models import EventPublic
from app.problems import Problem

_SUMMARY = "One agent finds the fix, all of them have it at once."
_DESCRIPTION = """Agents **capture** skills (error and resolution), every subscriber gets them on a **stream** within
milliseconds, and what was answered with 2xx is on disk.

Errors are `application/problem+json` (RFC 9457); `instance` is the id of the request, as in the header `X-Request-ID`.
"""
_TAGS = [
    {"name": "capture", "description": "Write skills down, change them, say how they worked."},
    {"name": "query", "description": "Match errors, search skills, read them."},
    {"name": "subscription", "description": "Be told of every skill as it comes."},
    {"name": "agents", "description": "Who is there, and who has what."},
    {"name": "operations", "description": "Is it alive, is it ready, how is it doing."},
]


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` the whole document. Operation ids are the handlers' names."""
    for route in app.routes:
        if hasattr(route, "operation_id") and hasattr(route, "endpoint"):
            route.operation_id = route.endpoint.__name__

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                summary=_SUMMARY,
                description=_DESCRIPTION,
                routes=app.routes,
                tags=_TAGS,
            )
            for model in (Problem, EventPublic):
                _add_schema(document, model)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation says to do it


def _add_schema(document: dict[str, Any], model: Any) -> None:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name, inner in schema.pop("$defs", {}).items():
        schemas.setdefault(name, inner)
    schemas[model.__name__] = schema
