"""Matching while skills change: an answer is right at the moment it is given, and costs nothing while it stays right."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.factories import make_skill
from tests.inside import Inside, application, run, within
from tests.routers.answers import ask_at_once, capture, places, problem
from tests.routers.matches import ask, found, of, unique, word

UNRELATED = {"error_type": "Other", "pattern": "wholly different", "resolution": "leave it"}


def inside(folder: Path, look: Callable[[Inside], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        async with application(folder) as cin:
            return await within(look(cin), 30)

    return run(go())


async def match(cin: Inside, message: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await cin.client.post("/match", json={"message": message}, headers=named)


# Changes


def test_revised_skill_is_matched_by_what_it_says_now(api: httpx.Client) -> None:
    old, new, name = unique(), unique(), word()
    skill = capture(api, name=name, pattern=old, resolution="wait")
    assert found(ask(api, old)) == [("exact", skill["id"])]
    body = {"name": name, "pattern": new, "resolution": "wait"}
    revised = api.put(f"/skills/{skill['id']}", json=body, headers={"If-Match": "*"}).json()
    assert ask(api, old) == []
    [match] = ask(api, new)
    assert (match["kind"], match["skill"]) == ("exact", revised)


def test_masked_pattern_is_revised_too(api: httpx.Client) -> None:
    name, old, new = word(), word(), word()
    skill = capture(api, name=name, pattern=f"{old} lost 10.0.0.1:80", resolution="wait")
    assert found(of(ask(api, f"{old} lost 10.0.0.2:80"), skill)) == [("masked", skill["id"])]
    body = {"name": name, "pattern": f"{new} lost 10.0.0.1:80", "resolution": "wait"}
    api.put(f"/skills/{skill['id']}", json=body, headers={"If-Match": "*"})
    assert ("masked", skill["id"]) not in found(ask(api, f"{old} lost 10.0.0.2:80"))
    assert found(of(ask(api, f"{new} lost 10.0.0.2:80"), skill)) == [("masked", skill["id"])]


def test_retired_skill_is_matched_no_more_and_again_when_it_is_captured_again(api: httpx.Client) -> None:
    body = make_skill(pattern=unique())
    skill = api.post("/skills", json=body).json()
    assert found(ask(api, body["pattern"])) == [("exact", skill["id"])]
    api.delete(f"/skills/{skill['id']}")
    assert ask(api, body["pattern"]) == []
    assert ask(api, f"{word()}: {body['pattern'].removeprefix('cannot ')}") == []
    again = api.post("/skills", json=body).json()
    assert found(ask(api, body["pattern"])) == [("exact", again["id"])]


def test_match_shows_the_newest_counters(api: httpx.Client) -> None:
    skill = capture(api, pattern=unique())
    for success in (True, False, True):
        ask(api, skill["pattern"])
        figures = api.post(f"/skills/{skill['id']}/outcomes", json={"success": success, "agent": word()}).json()
        [match] = ask(api, skill["pattern"])
        assert match["skill"] == figures


def test_skill_is_matched_and_listed_as_soon_as_its_capture_was_answered(api: httpx.Client) -> None:
    async def capture_and_match(one: httpx.AsyncClient, other: httpx.AsyncClient) -> bool:
        body = make_skill(pattern=unique(), error_type=word())
        skill_id = (await one.post("/skills", json=body)).json()["id"]
        matches = (await other.post("/match", json={"message": body["pattern"]})).json()["matches"]
        searched, listed = [
            (await other.get("/skills", params=query)).json()["skills"]
            for query in ({"q": body["error_type"]}, {"error_type": body["error_type"]})
        ]
        return found(matches) == [("exact", skill_id)] and [skill["id"] for skill in searched] == [skill_id] == [
            skill["id"] for skill in listed
        ]

    async def work(number: int) -> list[bool]:
        async with (
            httpx.AsyncClient(base_url=api.base_url, timeout=20) as one,
            httpx.AsyncClient(base_url=api.base_url, timeout=20) as other,
        ):
            return [await capture_and_match(one, other) for _ in range(number)]

    async def all_work() -> list[bool]:
        return [one for each in await asyncio.gather(*(work(50) for _ in range(4))) for one in each]

    assert asyncio.run(all_work()) == [True] * 200


def test_every_skill_of_a_batch_is_matched_at_once(api: httpx.Client) -> None:
    bodies = [make_skill(pattern=unique()) for _ in range(300)]
    results = api.post("/skills/batch", json=bodies).json()["results"]
    for body, result in list(zip(bodies, results, strict=True))[::7]:
        assert found(ask(api, body["pattern"], limit=1)) == [("exact", result["id"])]


# Caching


def test_answer_that_is_known_is_304_without_a_look_at_the_database(tmp_path: Path) -> None:
    async def look(cin: Inside) -> None:
        skill = await cin.capture(make_skill())
        await match(cin, "whatever")  # the index is there now
        for message in (skill["pattern"], "nothing of the kind"):
            reads = cin.count_reads()
            first = await match(cin, message)
            again = await match(cin, message, If_None_Match=first.headers["etag"])
            assert (first.status_code, again.status_code, again.content, reads.number) == (200, 304, b"", 0)
            for name in ("etag", "cache-control"):
                assert again.headers[name] == first.headers[name]
            assert "private" in first.headers["cache-control"]

    inside(tmp_path, look)


@pytest.mark.parametrize("form", ["W/{}", '"other", {}', 'W/"other",W/{}', "{} , ", "*"])
def test_etag_matches_weakly_in_a_list_and_by_the_star(api: httpx.Client, form: str) -> None:
    message = {"message": capture(api)["pattern"]}
    etag = api.post("/match", json=message).headers["etag"].removeprefix("W/")
    answer = api.post("/match", json=message, headers={"If-None-Match": form.format(etag).strip()})
    assert (answer.status_code, answer.headers["etag"]) == (304, f"W/{etag}")


def test_etag_of_another_question_does_not_match(api: httpx.Client) -> None:
    one, other = ({"message": capture(api)["pattern"]} for _ in range(2))
    etag = api.post("/match", json=one).headers["etag"]
    assert api.post("/match", json=other, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize("message", ["cannot open the pod bay doors", "nobody knows this"])
def test_answer_stays_when_something_else_is_captured_used_and_retired(tmp_path: Path, message: str) -> None:
    async def look(cin: Inside) -> list[int]:
        for body in (make_skill(pattern="cannot open the pod bay doors"), *(make_skill() for _ in range(8))):
            await cin.capture(body)
        etag = (await match(cin, message)).headers["etag"]
        url = f"/skills/{(await cin.capture(UNRELATED))['id']}"
        changes: list[Callable[[], Awaitable[Any]]] = [
            lambda: cin.capture(UNRELATED),
            lambda: cin.client.post(f"{url}/outcomes", json={"success": True}),
            lambda: cin.client.put(url, json=UNRELATED | {"pattern": "yet another"}, headers={"If-Match": "*"}),
            lambda: cin.client.delete(url),
        ]
        return [(await match(cin, message, If_None_Match=etag)).status_code for change in changes if await change()]

    assert inside(tmp_path, look) == [304] * 4


@pytest.mark.parametrize("change", ["same pattern", "same words", "known", "outcome", "revise", "retire"])
def test_answer_is_another_after_what_touches_it(tmp_path: Path, change: str) -> None:
    async def look(cin: Inside) -> tuple[str, httpx.Response]:
        body = make_skill(pattern="cannot open pod 7 bay")
        url = f"/skills/{(await cin.capture(body))['id']}"
        etag = (await match(cin, "cannot open pod 7 bay")).headers["etag"]
        match change:
            case "same pattern":
                await cin.capture(make_skill(pattern="cannot open pod 7 bay"))
            case "same words":
                await cin.capture({"description": "A pod bay that cannot open", "resolution": "knock"})
            case "known":
                await cin.capture(body)
            case "outcome":
                await cin.client.post(f"{url}/outcomes", json={"success": True})
            case "revise":
                await cin.client.put(url, json=body | {"context": "c"}, headers={"If-Match": "*"})
            case "retire":
                await cin.client.delete(url)
        return etag, await match(cin, "cannot open pod 7 bay", If_None_Match=etag)

    etag, again = inside(tmp_path, look)
    assert (again.status_code, again.headers["etag"] != etag) == (200, True)


def test_first_skill_that_fits_ends_the_answer_that_nothing_does(tmp_path: Path) -> None:
    async def look(cin: Inside) -> tuple[httpx.Response, httpx.Response]:
        message = "cannot open the pod bay doors"
        nothing = await match(cin, message)
        await cin.capture(make_skill(pattern=message))
        return nothing, await match(cin, message, If_None_Match=nothing.headers["etag"])

    nothing, something = inside(tmp_path, look)
    assert (nothing.json()["matches"], something.status_code, len(something.json()["matches"])) == ([], 200, 1)


@pytest.mark.parametrize("length", [0, 200_000], ids=["an error", "a long log"])
def test_question_that_50_ask_at_once_is_answered_once(tmp_path: Path, length: int) -> None:
    async def look(cin: Inside) -> tuple[set[bytes], set[int], str]:
        skill = await cin.capture(make_skill())
        message = "x" * length + "\n" + skill["pattern"]
        answers = await asyncio.gather(*(match(cin, message) for _ in range(50)))
        metrics = (await cin.client.get("/metrics")).text
        return {each.content for each in answers}, {each.status_code for each in answers}, metrics

    contents, statuses, metrics = inside(tmp_path, look)
    assert (len(contents), statuses) == (1, {200})
    assert 'cin_answers_total{tier="found"} 1.0' in metrics
    assert 'cin_answers_total{tier="local"} 49.0' in metrics


def test_50_connections_get_the_same_answer_at_once(api: httpx.Client) -> None:
    skill = capture(api)
    request = {"method": "POST", "url": "/match", "json": {"message": skill["pattern"]}}
    answers = ask_at_once(str(api.base_url), [request] * 50)
    assert {(each.status_code, each.content) for each in answers} == {(200, answers[0].content)}


def test_answers_without_room_for_any_are_right_all_the_same(tmp_path: Path) -> None:
    async def go() -> list[int]:
        async with application(tmp_path, cache_bytes=0) as cin:
            numbers = []
            for number in range(3):
                await cin.capture(make_skill(pattern="cannot open the pod bay doors"))
                for _ in range(2):
                    numbers.append(len((await match(cin, "cannot open the pod bay doors")).json()["matches"]) - number)
            return numbers

    assert run(go()) == [1] * 6


# Reading one's own writes


def test_match_waits_until_the_position_is_reached(tmp_path: Path) -> None:
    async def look(cin: Inside) -> tuple[bool, httpx.Response]:
        epoch = cin.parts.network.epoch
        body = make_skill()
        asked = asyncio.create_task(match(cin, body["pattern"], CIN_Min_Position=f"{epoch}-1"))
        for _ in range(20):
            await asyncio.sleep(0)
        waits = not asked.done()
        await cin.capture(body)
        return waits, await within(asked)

    waits, answer = inside(tmp_path, look)
    assert (waits, answer.status_code, len(answer.json()["matches"])) == (True, 200, 1)


def test_match_after_a_position_of_another_epoch_is_refused(api: httpx.Client) -> None:
    answer = api.post("/match", json={"message": "m"}, headers={"CIN-Min-Position": "other-1"})
    assert problem(answer, 410, "position-unavailable")["reason"] == "epoch"


def test_match_after_text_that_is_no_position_is_refused(api: httpx.Client) -> None:
    answer = api.post("/match", json={"message": "m"}, headers={"CIN-Min-Position": "x"})
    assert places(answer) == {"header.CIN-Min-Position"}


def test_match_after_a_position_that_is_reached_is_answered(api: httpx.Client) -> None:
    skill = capture(api, pattern=unique())
    headers = {"CIN-Min-Position": skill["position"]}
    answer = api.post("/match", json={"message": skill["pattern"]}, headers=headers)
    assert found(answer.json()["matches"]) == [("exact", skill["id"])]


def test_kept_answer_says_the_position_of_the_moment(tmp_path: Path) -> None:
    async def look(cin: Inside) -> tuple[list[httpx.Response], str]:
        first = await match(cin, "nothing that anybody knows")
        after = await cin.capture(make_skill(pattern="something of another kind"))
        again = await match(cin, "nothing that anybody knows", CIN_Min_Position=after["position"])
        return [first, again], after["position"]

    (first, again), position = inside(tmp_path, look)
    assert first.json()["position"].endswith("-0")
    assert (again.json(), again.headers["etag"]) == ({"matches": [], "position": position}, first.headers["etag"])
