"""The document against the server: requests made up from it, good and bad, are answered as it says."""

from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.docs.openapi import document
from tests.factories import make_skill
from tests.server import Server

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

ENDLESS = "stream_skills"
PATHS = document()["paths"]

# A fixture, so that requests are made up when the test runs: that takes longer than to collect all other tests.
operations_of = schemathesis.pytest.from_fixture("schema")
bounded = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@schemathesis.serializer("application/x-ndjson")
def as_lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """What is made up for lines of JSON is text already, or something that is none."""
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


@pytest.fixture(scope="module")
def schema() -> BaseSchema:
    return schemathesis.openapi.from_dict(document())


@pytest.fixture(autouse=True)
def _named(request: pytest.FixtureRequest) -> None:
    """A schema from a fixture asks the test for its name by what pytest 9.2 has taken away."""
    request.node._nodeid = request.node.nodeid


@pytest.fixture(scope="module")
def skill_id(server: Server) -> str:
    return str(httpx.post(f"{server.url}/skills", json=make_skill()).json()["id"])


def answers_are_as_documented(server: Server, case: schemathesis.Case[Any]) -> None:
    answer = case.call(base_url=server.url, timeout=20)
    if answer.status_code == 404 and answer.json()["type"] == "/problems/route-not-found":
        return  # a path that was made up fits no route, so there is no operation that would document it
    case.validate_response(answer, checks=CHECKS)


def answers_about_a_skill_that_is_there_are_as_documented(
    server: Server, skill_id: str, case: schemathesis.Case[Any]
) -> None:
    case.path_parameters["skill_id"] = skill_id
    case.headers.pop("CIN-Min-Position", None)  # nearly all that are made up are of another epoch
    case.validate_response(case.call(base_url=server.url, timeout=20), checks=CHECKS)


def for_each(check: Callable[..., None], *, of: str = "") -> Iterator[tuple[str, Callable[..., None]]]:
    """A test of each operation whose path has `of`, under a name of its own: schemathesis would give all one id."""
    assert isinstance(check, FunctionType)
    operations = [operation for path, each in PATHS.items() for operation in each.values() if of in path]
    for id in [operation["operationId"] for operation in operations if operation["operationId"] != ENDLESS]:
        copy = FunctionType(check.__code__, check.__globals__)
        copy.__annotations__ = check.__annotations__
        yield f"test_{id}_{check.__name__}", bounded(operations_of.include(operation_id=id).parametrize()(copy))


globals().update(for_each(answers_are_as_documented))
globals().update(for_each(answers_about_a_skill_that_is_there_are_as_documented, of="skill_id"))
