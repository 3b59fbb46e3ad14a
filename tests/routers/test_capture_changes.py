"""Revising, retiring and reporting: nobody's change is lost, every version stays readable, every outcome is counted."""

import random
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.skills.confidence import confidence
from tests.factories import make_skill
from tests.routers.answers import ask_at_once, capture, head, offset, places, problem
from tests.server import Server


def revise(
    api: httpx.Client,
    skill: dict[str, Any],
    if_match: str | None = '"1"',
    body: dict[str, Any] | None = None,
    agent: str = "editor",
) -> httpx.Response:
    headers = {"CIN-Agent": agent} | ({"If-Match": if_match} if if_match is not None else {})
    return api.put(f"/skills/{skill['id']}", json=body or make_skill(), headers=headers)


def report(api: httpx.Client, skill: dict[str, Any], success: bool, agent: str = "agent-a") -> dict[str, Any]:
    answer = api.post(f"/skills/{skill['id']}/outcomes", json={"success": success, "agent": agent})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


# Revising


def test_revision_is_a_new_version_and_an_event(api: httpx.Client) -> None:
    skill = capture(api, context="old", tags=["old"], metadata={"old": 1}, name=f"n-{uuid4()}")
    before = offset(head(api))
    body = make_skill(description="new")
    answer = revise(api, skill, body=body)
    revised = answer.json()
    assert answer.status_code == 200
    assert (answer.headers["etag"], answer.headers["cin-position"]) == ('"2"', revised["position"])
    assert (revised["version"], offset(revised["position"])) == (2, before + 1)
    assert {name: revised[name] for name in body} == body
    assert (revised["context"], revised["tags"], revised["metadata"]) == (None, [], {})
    assert (revised["id"], revised["name"], revised["created_at"]) == (skill["id"], skill["name"], skill["created_at"])
    assert api.get(f"/skills/{skill['id']}").json() == revised


def test_revision_without_if_match_is_refused(api: httpx.Client) -> None:
    skill = capture(api)
    problem(revise(api, skill, None), 428, "version-missing")
    assert api.get(f"/skills/{skill['id']}").json() == skill


@pytest.mark.parametrize("if_match", ['"2"', '"0"', 'W/"1"', "1", '"x"', '""', "junk", '"1', '"11"', 'W/"1", "3"'])
def test_revision_of_another_version_is_stale(api: httpx.Client, if_match: str) -> None:
    skill = capture(api)
    before = head(api)
    found = problem(revise(api, skill, if_match), 412, "version-stale")
    assert "version 1" in found["detail"]
    assert head(api) == before
    assert api.get(f"/skills/{skill['id']}").json() == skill


@pytest.mark.parametrize("if_match", ["*", '"1"', '"7", "1"', '"1","2"', 'W/"9", "1"'])
def test_revision_of_a_version_that_is_named_is_taken(api: httpx.Client, if_match: str) -> None:
    assert revise(api, capture(api), if_match).status_code == 200


def test_versions_may_be_named_in_several_headers(api: httpx.Client) -> None:
    skill = capture(api)
    headers = [("If-Match", '"7"'), ("If-Match", '"1"')]
    assert api.put(f"/skills/{skill['id']}", json=make_skill(), headers=headers).status_code == 200


def test_etag_of_a_read_is_good_for_a_revision(api: httpx.Client) -> None:
    skill = capture(api)
    etag = api.get(f"/skills/{skill['id']}").headers["etag"]
    capture(api)  # what others do makes it no older
    assert revise(api, skill, etag).status_code == 200
    problem(revise(api, skill, etag), 412, "version-stale")


def test_etag_of_a_revision_is_good_for_the_next(api: httpx.Client) -> None:
    skill = capture(api)
    assert revise(api, skill, revise(api, skill).headers["etag"]).json()["version"] == 3


def test_one_of_16_revisions_at_once_wins(server: Server, api: httpx.Client) -> None:
    skill = capture(api)
    request = {"method": "PUT", "url": f"/skills/{skill['id']}", "headers": {"If-Match": '"1"'}}
    answers = ask_at_once(server.url, [request | {"json": make_skill()} for _ in range(16)])
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 15
    (winner,) = [answer for answer in answers if answer.status_code == 200]
    assert api.get(f"/skills/{skill['id']}").json() == winner.json()


def test_revision_to_what_another_skill_says_is_a_conflict(api: httpx.Client) -> None:
    body = make_skill()
    other = api.post("/skills", json=body).json()
    skill = capture(api)
    assert other["id"] in problem(revise(api, skill, body=body), 409, "skill-conflict")["detail"]


def test_revision_to_a_name_that_is_taken_is_a_conflict(api: httpx.Client) -> None:
    taken, skill = capture(api)["name"], capture(api)
    problem(revise(api, skill, body=make_skill(name=taken)), 409, "skill-conflict")


def test_revision_may_keep_what_the_skill_says(api: httpx.Client) -> None:
    body = make_skill()
    skill = api.post("/skills", json=body).json()
    revised = revise(api, skill, body=body | {"tags": ["new"], "name": skill["name"]}).json()
    assert (revised["version"], revised["tags"]) == (2, ["new"])


def test_revision_may_give_another_name_and_sets_the_old_one_free(api: httpx.Client) -> None:
    skill, name = capture(api), f"n-{uuid4()}"
    assert revise(api, skill, body=make_skill(name=name)).json()["name"] == name
    assert capture(api, name=skill["name"])["name"] == skill["name"]


def test_revision_sets_the_old_content_free(api: httpx.Client) -> None:
    body = make_skill()
    skill = api.post("/skills", json=body).json()
    revise(api, skill)
    again = api.post("/skills", json=body)
    assert (again.status_code, again.json()["id"] != skill["id"]) == (201, True)


def test_revised_skill_is_known_by_its_new_content(api: httpx.Client) -> None:
    skill, body = capture(api), make_skill()
    revise(api, skill, body=body)
    again = api.post("/skills", json=body)
    assert (again.status_code, again.json()["id"], again.json()["captures"]) == (200, skill["id"], 2)


def test_revision_changes_the_tags_a_list_goes_by(api: httpx.Client) -> None:
    old, new = f"old-{uuid4()}", f"new-{uuid4()}"
    skill = capture(api, tags=[old])
    revise(api, skill, body=make_skill(tags=[new]))
    assert api.get("/skills", params={"tag": old}).json()["skills"] == []
    assert [s["id"] for s in api.get("/skills", params={"tag": new}).json()["skills"]] == [skill["id"]]


def test_revision_keeps_who_captured_the_skill_and_says_who_revised_it(api: httpx.Client) -> None:
    skill = capture(api, agent="author")
    assert revise(api, skill, agent="editor").json()["captured_by"] == "author"
    versions = api.get(f"/skills/{skill['id']}/versions").json()["versions"]
    assert [version["captured_by"] for version in versions] == ["author", "editor"]


def test_revision_keeps_the_figures(api: httpx.Client) -> None:
    body = make_skill()
    skill = api.post("/skills", json=body).json()
    api.post("/skills", json=body)
    report(api, skill, True)
    revised = revise(api, skill).json()
    assert (revised["captures"], revised["usage_count"], revised["confidence"]) == (2, 1, 0.6667)


@pytest.mark.parametrize("body", [{"resolution": ""}, {"pattern": "p"}, {**make_skill(), "version": 7}])
def test_bad_revision_is_refused_and_changes_nothing(api: httpx.Client, body: dict[str, Any]) -> None:
    skill = capture(api)
    assert places(revise(api, skill, body=body))
    assert api.get(f"/skills/{skill['id']}").json() == skill


def test_revision_of_an_unknown_skill_is_not_found(api: httpx.Client) -> None:
    problem(revise(api, {"id": str(uuid4())}), 404, "skill-not-found")


# Versions


def test_every_version_stays_readable(api: httpx.Client) -> None:
    bodies = [make_skill(tags=[str(n)], metadata={"n": n}) for n in range(3)]
    skill = api.post("/skills", json=bodies[0]).json()
    positions = [skill["position"]]
    for number, body in enumerate(bodies[1:], 1):
        positions.append(revise(api, skill, f'"{number}"', body).json()["position"])
    versions = api.get(f"/skills/{skill['id']}/versions").json()["versions"]
    assert [version["version"] for version in versions] == [1, 2, 3]
    assert [version["position"] for version in versions] == positions
    assert [{name: version[name] for name in bodies[0]} for version in versions] == bodies
    for version in versions:
        assert api.get(f"/skills/{skill['id']}/versions/{version['version']}").json() == version


def test_version_may_be_kept_for_ever(api: httpx.Client) -> None:
    skill = capture(api)
    first = api.get(f"/skills/{skill['id']}/versions/1")
    assert "immutable" in first.headers["cache-control"]
    revise(api, skill)
    again = api.get(f"/skills/{skill['id']}/versions/1")
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])


@pytest.mark.parametrize("number", [2, 999_999_999])
def test_version_that_is_not_there_is_not_found(api: httpx.Client, number: int) -> None:
    problem(api.get(f"/skills/{capture(api)['id']}/versions/{number}"), 404, "skill-not-found")


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "x", "9" * 30])
def test_version_that_is_no_number_is_refused(api: httpx.Client, number: str) -> None:
    assert places(api.get(f"/skills/{uuid4()}/versions/{number}")) == {"path.number"}


def test_versions_of_an_unknown_skill_are_not_found(api: httpx.Client) -> None:
    problem(api.get(f"/skills/{uuid4()}/versions"), 404, "skill-not-found")


# Retiring


def test_retired_skill_is_no_longer_listed(api: httpx.Client) -> None:
    tag = f"t-{uuid4()}"
    skill, other = capture(api, tags=[tag]), capture(api, tags=[tag])
    before = offset(head(api))
    answer = api.delete(f"/skills/{skill['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert offset(answer.headers["cin-position"]) == before + 1
    listed = api.get("/skills", params={"tag": tag}).json()["skills"]
    retired = api.get("/skills", params={"tag": tag, "status": "retired"}).json()["skills"]
    assert ([s["id"] for s in listed], [s["id"] for s in retired]) == ([other["id"]], [skill["id"]])


def test_retiring_again_changes_nothing(api: httpx.Client) -> None:
    skill = capture(api)
    first, second = (api.delete(f"/skills/{skill['id']}") for _ in range(2))
    assert (first.status_code, second.status_code) == (204, 204)
    assert first.headers["cin-position"] == second.headers["cin-position"] == head(api)


def test_retired_skill_keeps_its_history(api: httpx.Client) -> None:
    skill = capture(api)
    revise(api, skill)
    api.delete(f"/skills/{skill['id']}")
    read = api.get(f"/skills/{skill['id']}").json()
    assert (read["status"], read["version"]) == ("retired", 2)
    assert len(api.get(f"/skills/{skill['id']}/versions").json()["versions"]) == 2


def test_retired_skill_sets_name_and_content_free(api: httpx.Client) -> None:
    body = make_skill(name=f"n-{uuid4()}")
    skill = api.post("/skills", json=body).json()
    api.delete(f"/skills/{skill['id']}")
    again = api.post("/skills", json=body)
    assert again.status_code == 201
    assert (again.json()["name"], again.json()["captures"]) == (skill["name"], 1)
    assert again.json()["id"] != skill["id"]


def test_retired_skill_cannot_be_changed_or_used(api: httpx.Client) -> None:
    skill = capture(api)
    api.delete(f"/skills/{skill['id']}")
    problem(revise(api, skill, "*"), 409, "skill-retired")
    problem(api.post(f"/skills/{skill['id']}/outcomes", json={"success": True}), 409, "skill-retired")


@pytest.mark.parametrize(("if_match", "status"), [('"1"', 204), ("*", 204), ('"2"', 412), ('W/"1"', 412)])
def test_skill_is_retired_if_it_matches(api: httpx.Client, if_match: str, status: int) -> None:
    skill = capture(api)
    assert api.delete(f"/skills/{skill['id']}", headers={"If-Match": if_match}).status_code == status
    assert api.get(f"/skills/{skill['id']}").json()["status"] == ("retired" if status == 204 else "active")


def test_retiring_an_unknown_skill_is_not_found(api: httpx.Client) -> None:
    problem(api.delete(f"/skills/{uuid4()}"), 404, "skill-not-found")


def test_skill_retired_by_16_clients_at_once_is_one_event(server: Server, api: httpx.Client) -> None:
    skill = capture(api)
    before = offset(head(api))
    answers = ask_at_once(server.url, [{"method": "DELETE", "url": f"/skills/{skill['id']}"}] * 16)
    assert {answer.status_code for answer in answers} == {204}
    assert offset(head(api)) == before + 1


# Outcomes


def test_outcome_is_answered_with_the_new_figures(api: httpx.Client) -> None:
    skill = capture(api)
    body = {"success": True, "agent": "agent-a", "detail": "build is green"}
    answer = api.post(f"/skills/{skill['id']}/outcomes", json=body)
    found = answer.json()
    assert answer.status_code == 201
    assert (found["usage_count"], found["success_count"], found["failure_count"]) == (1, 1, 0)
    assert (found["success_rate"], found["confidence"]) == (1.0, round(confidence(1, 0), 4))
    assert api.get(f"/skills/{skill['id']}").json() == found


def test_outcome_is_no_event(api: httpx.Client) -> None:
    skill = capture(api)
    found = report(api, skill, True)
    assert found["position"] == skill["position"] == head(api)


def test_every_outcome_counts_and_each_agent_votes_once(api: httpx.Client) -> None:
    skill = capture(api)
    for success, agent in ((True, "a"), (True, "a"), (False, "a"), (True, "b"), (True, "c"), (True, "b")):
        found = report(api, skill, success, agent)
    assert (found["usage_count"], found["success_count"], found["failure_count"]) == (6, 5, 1)
    assert found["success_rate"] == 5 / 6
    assert found["confidence"] == round(confidence(2, 1), 4)  # a says no by now, b and c say yes


def test_outcomes_of_32_clients_at_once_are_counted_exactly(server: Server, api: httpx.Client) -> None:
    skill = capture(api)
    chance = random.Random(7)
    sent = [{"success": chance.random() < 0.6, "agent": f"agent-{n % 40}"} for n in range(160)]
    url = f"/skills/{skill['id']}/outcomes"
    answers = []
    for start in range(0, 160, 32):
        requests = [{"method": "POST", "url": url, "json": body} for body in sent[start : start + 32]]
        answers += ask_at_once(server.url, requests)
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["usage_count"] for answer in answers) == list(range(1, 161))
    found = api.get(f"/skills/{skill['id']}").json()
    successes = sum(bool(body["success"]) for body in sent)
    votes = {body["agent"]: body["success"] for body in sent}  # an agent's requests went out one after another
    yes = sum(bool(vote) for vote in votes.values())
    assert (found["usage_count"], found["success_count"], found["failure_count"]) == (160, successes, 160 - successes)
    assert found["confidence"] == round(confidence(yes, 40 - yes), 4)


def test_outcome_without_an_agent_is_the_headers(api: httpx.Client) -> None:
    skill = capture(api)
    for header in ("a", "b"):
        url = f"/skills/{skill['id']}/outcomes"
        found = api.post(url, json={"success": True}, headers={"CIN-Agent": header}).json()
    assert found["confidence"] == round(confidence(2, 0), 4)


def test_outcomes_are_counted_in_the_metrics(server: Server, api: httpx.Client) -> None:
    names = ['cin_outcomes_total{success="true"}', 'cin_outcomes_total{success="false"}']
    before = [server.metric(name) for name in names]
    skill = capture(api)
    for success in (True, True, False):
        report(api, skill, success)
    assert [server.metric(name) - was for name, was in zip(names, before, strict=True)] == [2, 1]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "body.success"),
        ({"success": "yes"}, "body.success"),
        ({"success": 1}, "body.success"),
        ({"success": None}, "body.success"),
        ({"success": True, "agent": "a b"}, "body.agent"),
        ({"success": True, "detail": ""}, "body.detail"),
        ({"success": True, "detail": "d" * 8_001}, "body.detail"),
        ({"success": True, "detail": "\0"}, "body.detail"),
        ({"success": True, "count": 3}, "body.count"),
        ([], "body"),
    ],
)
def test_bad_outcome_is_refused_and_not_counted(api: httpx.Client, body: object, place: str) -> None:
    skill = capture(api)
    assert places(api.post(f"/skills/{skill['id']}/outcomes", json=body)) == {place}
    assert api.get(f"/skills/{skill['id']}").json() == skill


def test_outcome_of_an_unknown_skill_is_not_found(api: httpx.Client) -> None:
    problem(api.post(f"/skills/{uuid4()}/outcomes", json={"success": True}), 404, "skill-not-found")
