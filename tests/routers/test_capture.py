"""Capturing one skill over HTTP: what is answered, what is known already, and what a name may be."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.factories import make_skill
from tests.routers.answers import ask_at_once, capture, head, offset, places, problem
from tests.server import Server


def test_new_skill_is_created_and_says_where_it_is(api: httpx.Client) -> None:
    before = offset(head(api))
    body = make_skill(context="c", tags=["b", "a"], metadata={"n": [1, None]}, description="d")
    answer = api.post("/skills", json=body, headers={"CIN-Agent": "agent-a"})
    skill = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/skills/{skill['id']}"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["cin-position"] == skill["position"]
    assert offset(skill["position"]) == before + 1
    assert {name: skill[name] for name in body} == body
    assert (skill["version"], skill["status"], skill["captures"], skill["captured_by"]) == (1, "active", 1, "agent-a")
    assert (skill["usage_count"], skill["success_rate"], skill["confidence"]) == (0, None, 0.5)


def test_created_skill_can_be_read_where_it_says(api: httpx.Client) -> None:
    answer = api.post("/skills", json=make_skill())
    assert api.get(answer.headers["location"]).json() == answer.json()


def test_same_skill_again_is_known_and_no_event(api: httpx.Client) -> None:
    body = make_skill()
    first = api.post("/skills", json=body)
    again = api.post("/skills", json=body | {"description": "another", "tags": ["other"], "context": "else"})
    assert again.status_code == 200
    assert again.json() == first.json() | {"captures": 2}
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["cin-position"] == first.headers["cin-position"] == head(api)


def test_skill_is_known_whatever_its_white_space(api: httpx.Client) -> None:
    body = make_skill(pattern=f"No module\n{uuid4()}")
    first = api.post("/skills", json=body)
    spaced = {
        name: f"\t{value.replace(' ', '  ').replace(chr(10), chr(13) + chr(10))}\n" for name, value in body.items()
    }
    assert api.post("/skills", json=spaced).json()["id"] == first.json()["id"]


@pytest.mark.parametrize("field", ["error_type", "pattern", "resolution"])
def test_skill_that_says_something_else_is_new(api: httpx.Client, field: str) -> None:
    body = make_skill()
    api.post("/skills", json=body)
    assert api.post("/skills", json=body | {field: f"{uuid4()}"}).status_code == 201


def test_skill_is_kept_as_it_was_written(api: httpx.Client) -> None:
    text = "# Do\r\n\n\t`pip`  \u2028\u2029 <script>alert(1)</script> \U0001f600 {{x}} %s ' \" \\ end"
    skill = capture(api, resolution=f"{text}{uuid4()}", pattern=f"{text}{uuid4()}", metadata={text: [text]})
    read = api.get(f"/skills/{skill['id']}").json()
    assert read["resolution"].startswith(text)
    assert read["pattern"].startswith(text)
    assert read["metadata"] == {text: [text]}


def test_text_is_kept_in_nfc(api: httpx.Client) -> None:
    skill = capture(api, pattern=f"cafe\u0301 {uuid4()}", tags=["e\u0301", "é"])
    assert skill["pattern"].startswith("café ")
    assert skill["tags"] == ["é"]


def test_skill_of_the_greatest_lengths_is_taken(api: httpx.Client) -> None:
    mark = uuid4().hex
    body = {
        "description": "d" * 1024,
        "error_type": "e" * 200,
        "pattern": mark + "p" * (8_000 - len(mark)),
        "resolution": "\U0001f600" * 131_072,
        "context": "c" * 8_000,
        "tags": [f"{n:064}" for n in range(16)],
        "name": f"n{mark}".ljust(64, "x"),
        "metadata": {"m": "m" * (16 * 1024 - 8)},
    }
    answer = api.post("/skills", json=body)
    assert answer.status_code == 201
    assert {name: answer.json()[name] for name in body} == body


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("description", "d" * 1_025),
        ("error_type", "e" * 201),
        ("pattern", "p" * 8_001),
        ("resolution", "r" * 131_073),
        ("context", "c" * 8_001),
        ("tags", [str(n) for n in range(17)]),
        ("tags", ["t" * 65]),
        ("metadata", {"m": "m" * 16 * 1024}),
        ("name", "n" * 65),
        ("agent", "a" * 129),
    ],
)
def test_longer_skill_is_refused_and_not_cut(api: httpx.Client, field: str, value: object) -> None:
    before = head(api)
    found = places(api.post("/skills", json=make_skill(**{field: value})))
    assert {place.removeprefix("body.").split(".")[0] for place in found} == {field}
    assert head(api) == before


@pytest.mark.parametrize(
    "body",
    [
        {"pattern": "p"},
        {"description": "d"},
        {"resolution": "r"},
        {"resolution": "r", "error_type": "E"},
        {"resolution": "", "pattern": "p"},
        {"resolution": "r", "pattern": " \n"},
        {"resolution": None, "pattern": "p"},
        {},
    ],
)
def test_skill_without_what_it_needs_is_refused(api: httpx.Client, body: dict[str, object]) -> None:
    assert places(api.post("/skills", json=body))


@pytest.mark.parametrize("field", ["pattern", "description"])
def test_skill_needs_one_of_pattern_and_description(api: httpx.Client, field: str) -> None:
    assert api.post("/skills", json={"resolution": "r", field: f"{uuid4()}"}).status_code == 201


# Names


def test_name_that_was_asked_for_is_given(api: httpx.Client) -> None:
    name = f"my-{uuid4()}"
    assert capture(api, name=name)["name"] == name


def test_name_that_another_skill_has_is_a_conflict(api: httpx.Client) -> None:
    taken = capture(api)["name"]
    before = head(api)
    found = problem(api.post("/skills", json=make_skill(name=taken)), 409, "skill-conflict")
    assert f"`{taken}`" in found["detail"]
    assert head(api) == before


def test_known_skill_keeps_its_name_whatever_is_asked_for(api: httpx.Client) -> None:
    body = make_skill()
    first = api.post("/skills", json=body).json()
    again = api.post("/skills", json=body | {"name": capture(api)["name"]})
    assert (again.status_code, again.json()["name"]) == (200, first["name"])


def test_generated_names_are_never_the_same(api: httpx.Client) -> None:
    error_type = f"E-{uuid4()}"
    names = [
        api.post("/skills", json={"error_type": error_type, "pattern": "same", "resolution": f"do {n}"}).json()["name"]
        for n in range(5)
    ]
    assert len(set(names)) == 5
    assert names[0].startswith(error_type.lower())


def test_generated_names_are_unique_in_one_batch_and_at_once(server: Server, api: httpx.Client) -> None:
    error_type = f"E-{uuid4()}"

    def batch(start: int) -> list[dict[str, Any]]:
        return [{"error_type": error_type, "pattern": "same", "resolution": f"do {start + n}"} for n in range(20)]

    answers = ask_at_once(
        server.url, [{"method": "POST", "url": "/skills/batch", "json": batch(100 * n)} for n in range(8)]
    )
    results = [result for answer in answers for result in answer.json()["results"]]
    assert {result["status"] for result in results} == {201}
    assert len({result["name"] for result in results}) == 160


def test_second_choice_that_somebody_has_taken_is_no_obstacle(api: httpx.Client) -> None:
    body = {"error_type": f"E-{uuid4()}", "pattern": "same", "resolution": "one"}
    capture(api, **body)
    second = api.post("/skills", json=body | {"resolution": "two"}).json()
    api.delete(f"/skills/{second['id']}")
    capture(api, name=second["name"])  # just the name that `two` would be given
    third = api.post("/skills", json=body | {"resolution": "two"})
    assert third.status_code == 201
    assert third.json()["name"] not in {second["name"]}


# Who captures


@pytest.mark.parametrize(
    ("header", "field", "captured_by"),
    [(None, None, "anonymous"), ("agent-h", None, "agent-h"), ("agent-h", "agent-b", "agent-b"), (None, "a/b", "a/b")],
)
def test_who_captured_is_the_field_then_the_header(
    api: httpx.Client, header: str | None, field: str | None, captured_by: str
) -> None:
    headers = {"CIN-Agent": header} if header else {}
    answer = api.post("/skills", json=make_skill(**({"agent": field} if field else {})), headers=headers)
    assert answer.json()["captured_by"] == captured_by


@pytest.mark.parametrize("name", ["", "a b", "a" * 129, "<b>", "a;b", "a,b"])
def test_agent_with_an_impossible_name_is_refused(api: httpx.Client, name: str) -> None:
    before = head(api)
    assert places(api.post("/skills", json=make_skill(), headers={"CIN-Agent": name})) == {"header.CIN-Agent"}
    assert head(api) == before


# All at once


def test_same_skill_from_64_clients_at_once_is_one_skill_and_one_event(server: Server, api: httpx.Client) -> None:
    body = make_skill()
    before = offset(head(api))
    answers = ask_at_once(server.url, [{"method": "POST", "url": "/skills", "json": body}] * 64)
    assert sorted(answer.status_code for answer in answers) == [200] * 63 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert {answer.json()["position"] for answer in answers} == {head(api)}
    assert sorted(answer.json()["captures"] for answer in answers) == list(range(1, 65))
    assert api.get(answers[0].headers["location"]).json()["captures"] == 64
    assert offset(head(api)) == before + 1


def test_skills_from_64_clients_at_once_take_offsets_without_a_gap(server: Server, api: httpx.Client) -> None:
    before = offset(head(api))
    requests = [{"method": "POST", "url": "/skills", "json": make_skill()} for _ in range(64)]
    answers = ask_at_once(server.url, requests)
    assert sorted(offset(answer.headers["cin-position"]) for answer in answers) == list(range(before + 1, before + 65))


def test_captures_from_many_clients_share_commits(server: Server, api: httpx.Client) -> None:
    commits = server.metric("cin_commits_total")
    requests = [{"method": "POST", "url": "/skills", "json": make_skill()} for _ in range(64)]
    assert {answer.status_code for answer in ask_at_once(server.url, requests)} == {201}
    assert server.metric("cin_commits_total") - commits < 64


def test_one_name_for_16_skills_at_once_goes_to_one(server: Server) -> None:
    name = f"n-{uuid4()}"
    requests = [{"method": "POST", "url": "/skills", "json": make_skill(name=name)} for _ in range(16)]
    answers = ask_at_once(server.url, requests)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 15


def test_captures_are_counted_by_answer(server: Server, api: httpx.Client) -> None:
    names = [f'cin_captures_total{{answer="{answer}"}}' for answer in ("created", "known", "failed")]
    before = [server.metric(name) for name in names]
    body = make_skill()
    taken = capture(api)["name"]
    for sent in (body, body, make_skill(name=taken)):
        api.post("/skills", json=sent)
    assert [server.metric(name) - was for name, was in zip(names, before, strict=True)] == [2, 1, 1]
