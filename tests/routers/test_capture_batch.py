"""Batches: each skill has its own result, in the order given, and one that is bad spoils no other."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.factories import make_skill
from tests.routers.answers import capture, head, offset, problem

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}

# One bad item each, as it stands in a JSON document.
BAD_ITEMS = [
    pytest.param(json.dumps({"pattern": "p"}), id="a field is missing"),
    pytest.param('{"pattern":"p","resolution":7}', id="wrong type"),
    pytest.param('{"pattern":"p","resolution":""}', id="empty"),
    pytest.param('{"pattern":"p","resolution":"r","colour":"red"}', id="unknown field"),
    pytest.param('{"pattern":"p","resolution":"a\\ud800b"}', id="lone surrogate"),
    pytest.param('{"pattern":"p","resolution":"r","\\udc00":1}', id="lone surrogate in a name"),
    pytest.param('{"pattern":"p","resolution":"r","metadata":{"\\ud800":1}}', id="lone surrogate in metadata"),
    pytest.param('{"pattern":"p","resolution":"r","metadata":{"n":NaN}}', id="NaN"),
    pytest.param('{"pattern":"p","resolution":"r","metadata":{"n":1e999}}', id="infinity"),
    pytest.param('{"pattern":"p","resolution":"r","metadata":{"n":18446744073709551616}}', id="65 bits"),
    pytest.param('{"pattern":"p\\u0000","resolution":"r"}', id="NUL"),
    pytest.param(f'{{"pattern":"p","resolution":"r","metadata":{{"d":{"[" * 300}{"]" * 300}}}}}', id="deep"),
    pytest.param('{"pattern":"p","resolution":"r","tags":"python"}', id="tags are no list"),
    pytest.param('{"pattern":"p","resolution":"r","name":"No Slug"}', id="no slug"),
    pytest.param('{"pattern":"p","resolution":"r","agent":"a b"}', id="no agent"),
    pytest.param("null", id="null"),
    pytest.param('"text"', id="text"),
    pytest.param("[]", id="array"),
    pytest.param("17", id="number"),
]


def array(*items: str) -> bytes:
    return f"[{','.join(items)}]".encode()


def lines(*items: str) -> bytes:
    return "\n".join(items).encode()


def good() -> str:
    return json.dumps(make_skill())


def send(api: httpx.Client, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    answer = api.post("/skills/batch", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("headers", [JSON, NDJSON], ids=["array", "lines"])
@pytest.mark.parametrize("bad", BAD_ITEMS)
def test_bad_item_spoils_no_other(api: httpx.Client, headers: dict[str, str], bad: str) -> None:
    write = array if headers is JSON else lines
    before = offset(head(api))
    found = send(api, write(good(), bad, good()), headers)
    assert (found["created"], found["known"], found["failed"]) == (2, 0, 1)
    assert [result["status"] for result in found["results"]] == [201, 422, 201]
    assert found["results"][1]["problem"]["type"] == "/problems/invalid-input"
    assert found["results"][1]["problem"]["errors"][0]["loc"].startswith("body.1")
    assert [offset(found["results"][n]["position"]) for n in (0, 2)] == [before + 1, before + 2]
    assert offset(head(api)) == before + 2


@pytest.mark.parametrize("bad", ["{", "not json", '{"pattern":', "\xff", "'a'", "{} {}"])
def test_bad_line_spoils_no_other(api: httpx.Client, bad: str) -> None:
    body = b"\n".join([good().encode(), bad.encode("latin-1"), good().encode()])
    assert [result["status"] for result in send(api, body, NDJSON)["results"]] == [201, 422, 201]


def test_line_may_end_with_cr_and_be_empty(api: httpx.Client) -> None:
    body = f"{good()}\r\n\r\n\n{good()}\n".encode()
    assert send(api, body, NDJSON)["created"] == 2


def test_line_separator_within_a_text_ends_no_line(api: httpx.Client) -> None:
    body = json.dumps(make_skill(description="one\u2028two"), ensure_ascii=False).encode()
    assert send(api, body, NDJSON)["created"] == 1


def test_results_come_in_the_order_given(api: httpx.Client) -> None:
    known, taken = make_skill(), capture(api)["name"]
    api.post("/skills", json=known)
    items = [make_skill(), known, make_skill(name=taken), {"pattern": "p"}, make_skill(), known]
    found = send(api, json.dumps(items).encode(), JSON)
    assert [result["status"] for result in found["results"]] == [201, 200, 409, 422, 201, 200]
    assert (found["created"], found["known"], found["failed"]) == (2, 2, 2)
    for result, item in zip(found["results"], items, strict=True):
        if result["status"] < 300:
            assert api.get(f"/skills/{result['id']}").json()["pattern"] == item["pattern"]


def test_result_has_what_its_kind_needs_and_no_more(api: httpx.Client) -> None:
    created, failed = send(api, array(good(), "{}"), JSON)["results"]
    assert set(created) == {"status", "id", "name", "position"}
    assert set(failed) == {"status", "problem"}


def test_same_skill_twice_in_a_batch_is_created_once(api: httpx.Client) -> None:
    item = good()
    first, second = send(api, array(item, item), JSON)["results"]
    assert (first["status"], second["status"]) == (201, 200)
    assert (first["id"], first["position"]) == (second["id"], second["position"])
    assert api.get(f"/skills/{first['id']}").json()["captures"] == 2


def test_name_twice_in_a_batch_goes_to_the_first(api: httpx.Client) -> None:
    name = f"n-{uuid4()}"
    items = [make_skill(name=name), make_skill(name=name)]
    assert [r["status"] for r in send(api, json.dumps(items).encode(), JSON)["results"]] == [201, 409]


def test_batch_is_captured_by_the_header_unless_an_item_says_who(api: httpx.Client) -> None:
    items = json.dumps([make_skill(), make_skill(agent="agent-b")]).encode()
    found = send(api, items, JSON | {"CIN-Agent": "agent-a"})
    who = [api.get(f"/skills/{result['id']}").json()["captured_by"] for result in found["results"]]
    assert who == ["agent-a", "agent-b"]


@pytest.mark.parametrize(("headers", "body"), [(JSON, b"[]"), (NDJSON, b""), (NDJSON, b"\n \n")])
def test_empty_batch_is_no_error(api: httpx.Client, headers: dict[str, str], body: bytes) -> None:
    assert send(api, body, headers) == {"created": 0, "known": 0, "failed": 0, "results": []}


def test_batch_of_a_thousand_is_taken_in_one_commit(api: httpx.Client) -> None:
    before = offset(head(api))
    found = send(api, json.dumps([make_skill() for _ in range(1_000)]).encode(), JSON)
    assert found["created"] == 1_000
    assert [offset(result["position"]) for result in found["results"]] == list(range(before + 1, before + 1_001))


@pytest.mark.parametrize("headers", [JSON, NDJSON], ids=["array", "lines"])
def test_batch_of_1001_is_too_large(api: httpx.Client, headers: dict[str, str]) -> None:
    before = head(api)
    items = [good()] * 1_001
    body = array(*items) if headers is JSON else lines(*items)
    found = problem(api.post("/skills/batch", content=body, headers=headers), 413, "body-too-large")
    assert "at most 1000" in found["detail"]
    assert head(api) == before


@pytest.mark.parametrize("headers", [JSON, NDJSON], ids=["array", "lines"])
def test_batch_of_17_mib_is_too_large(api: httpx.Client, headers: dict[str, str]) -> None:
    before = head(api)
    body = good().encode() + b" " * 17 * 1024 * 1024
    problem(api.post("/skills/batch", content=body, headers=headers), 413, "body-too-large")
    assert head(api) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{}",
        b"null",
        b'"skills"',
        b"17",
        b'{"skills":[]}',
        b"[{]",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[1" + b"0" * 5_000,
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_body_that_is_no_array_is_refused_as_a_whole(api: httpx.Client, body: bytes) -> None:
    before = head(api)
    problem(api.post("/skills/batch", content=body, headers=JSON), 422, "invalid-input")
    assert head(api) == before
