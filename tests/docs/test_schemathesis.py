"""The document against the server: requests made up from it, good and bad, are answered as it says."""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.docs.openapi import document
from tests.factories import make_skill
from tests.server import Server

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

schema = schemathesis.openapi.from_dict(document()).exclude(path="/stream")  # which answers without an end
bounded = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@schemathesis.serializer("application/x-ndjson")
def as_lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """What is made up for lines of JSON is text already, or something that is none."""
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


@pytest.fixture(scope="module")
def skill_id(server: Server) -> str:
    return str(httpx.post(f"{server.url}/skills", json=make_skill()).json()["id"])


@schema.parametrize()
@bounded
def test_answers_are_as_documented(server: Server, case: schemathesis.Case[Any]) -> None:
    answer = case.call(base_url=server.url, timeout=20)
    if answer.status_code == 404 and answer.json()["type"] == "/problems/route-not-found":
        return  # a path that was made up fits no route, so there is no operation that would document it
    case.validate_response(answer, checks=CHECKS)


@schema.include(path_regex="skill_id").parametrize()
@bounded
def test_answers_about_a_skill_that_is_there_are_as_documented(
    server: Server, skill_id: str, case: schemathesis.Case[Any]
) -> None:
    case.path_parameters["skill_id"] = skill_id
    case.headers.pop("CIN-Min-Position", None)  # nearly all that are made up are of another epoch
    case.validate_response(case.call(base_url=server.url, timeout=20), checks=CHECKS)
