"""Reading skills: filters, sorts and pages that leave nothing out, and answers that need no database."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest

from tests.factories import make_skill
from tests.inside import Inside, application, run, within
from tests.routers.answers import capture, head, places, problem

JSON = dict[str, Any]


def listed(answer: httpx.Response) -> list[str]:
    """The names on a page."""
    assert answer.status_code == 200, answer.text
    return [skill["name"] for skill in answer.json()["skills"]]


def names(*numbers: int) -> list[str]:
    return [f"s{number:03}" for number in numbers]


async def seed(cin: Inside, number: int) -> list[str]:
    """So many skills: s000, s001 …, of error types e0 to e2, tags t0 to t3 and `odd`, by agents a0 and a1; their ids."""
    bodies = [
        make_skill(
            name=f"s{n:03}", error_type=f"e{n % 3}", tags=[f"t{n % 4}", *(["odd"] if n % 2 else [])], agent=f"a{n % 2}"
        )
        for n in range(number)
    ]
    await cin.parts.follower.current()  # a client waits for /readyz: until then no tag is known to anybody
    answer = await cin.client.post("/skills/batch", json=bodies)
    return [result["id"] for result in answer.json()["results"]]


def on_seeded(folder: Path, number: int, look: Callable[[Inside, list[str]], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        async with application(folder) as cin:
            return await within(look(cin, await seed(cin, number)), 30)

    return run(go())


# Lists


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, names(*range(11, -1, -1))),
        ({"error_type": "e1"}, names(10, 7, 4, 1)),
        ({"tag": "t3"}, names(11, 7, 3)),
        ({"tag": ["t3", "t0"]}, names(11, 8, 7, 4, 3, 0)),
        ({"tag": ["odd", "t1"]}, names(11, 9, 7, 5, 3, 1)),
        ({"agent": "a1"}, names(11, 9, 7, 5, 3, 1)),
        ({"agent": "a1", "error_type": "e1"}, names(7, 1)),
        ({"agent": "a1", "error_type": "e1", "tag": "t3"}, names(7)),
        ({"agent": "a0", "tag": "odd"}, []),
        ({"error_type": "E1"}, []),
        ({"status": "retired"}, []),
        ({"status": "pending"}, []),
        ({"limit": 2}, names(11, 10)),
        ({"sort": "newest"}, names(*range(11, -1, -1))),
    ],
)
def test_list_gives_what_every_filter_lets_through(tmp_path: Path, query: JSON, found: list[str]) -> None:
    async def look(cin: Inside, _: list[str]) -> list[str]:
        return listed(await cin.client.get("/skills", params=query))

    assert on_seeded(tmp_path, 12, look) == found


@pytest.mark.parametrize(
    ("sort", "found"), [("usage", names(2, 4, 0, 5, 3, 1)), ("confidence", names(4, 0, 5, 3, 1, 2))]
)
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_list_is_sorted_then_newest_first(tmp_path: Path, sort: str, found: list[str], limit: int) -> None:
    outcomes = [(0, "a", True), (2, "a", False), (2, "b", False), (2, "c", True), (4, "a", True), (4, "a", True)]

    async def look(cin: Inside, ids: list[str]) -> list[str]:
        for number, agent, success in outcomes:
            await cin.client.post(f"/skills/{ids[number]}/outcomes", json={"success": success, "agent": agent})
        return [name for page in await walk(cin, {"sort": sort, "limit": limit}) for name in page]

    assert on_seeded(tmp_path, 6, look) == found


async def walk(cin: Inside, query: JSON, between: Callable[[], Awaitable[object]] | None = None) -> list[list[str]]:
    """Every page of a list, by names; `between` is done after each."""
    pages, cursor = [], None
    while True:
        answer = await cin.client.get("/skills", params=query | ({"cursor": cursor} if cursor else {}))
        pages.append(listed(answer))
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return pages
        if between:
            await between()


@pytest.mark.parametrize("sort", ["newest", "usage", "confidence"])
@pytest.mark.parametrize("query", [{}, {"error_type": "e1"}, {"tag": ["t1", "t2"]}, {"agent": "a0"}], ids=str)
def test_walk_shows_each_skill_once_while_others_are_captured(tmp_path: Path, sort: str, query: JSON) -> None:
    async def look(cin: Inside, ids: list[str]) -> tuple[list[str], list[str]]:
        for id in ids[::7]:
            await cin.client.post(f"/skills/{id}/outcomes", json={"success": True})

        async def capture_more() -> None:
            for _ in range(3):
                await cin.capture(make_skill(error_type="e1", tags=["t1"], agent="a0"))

        whole = [name for page in await walk(cin, query | {"sort": sort, "limit": 100}) for name in page]
        pages = await walk(cin, query | {"sort": sort, "limit": 4}, capture_more)
        assert all(len(page) <= 4 for page in pages)
        return whole, [name for page in pages for name in page]

    whole, walked = on_seeded(tmp_path, 60, look)
    assert [name for name in walked if name in whole] == whole
    assert len(walked) == len(set(walked))


def test_last_page_has_no_cursor_even_if_it_is_full(tmp_path: Path) -> None:
    async def look(cin: Inside, _: list[str]) -> list[int]:
        return [len(page) for page in await walk(cin, {"limit": 3})]

    assert on_seeded(tmp_path, 6, look) == [3, 3]


def test_list_of_nothing_is_an_empty_page(api: httpx.Client) -> None:
    answer = api.get("/skills", params={"tag": f"{uuid4()}"}).json()
    assert (answer["skills"], answer["next_cursor"]) == ([], None)


def test_list_says_the_head_it_was_read_at(api: httpx.Client) -> None:
    skill = capture(api)
    assert api.get("/skills").json()["position"] == skill["position"]


@pytest.mark.parametrize("limit", ["1", "100"])
def test_limit_may_be_1_to_100(api: httpx.Client, limit: str) -> None:
    assert api.get("/skills", params={"limit": limit}).status_code == 200


@pytest.mark.parametrize("limit", ["0", "101", "-1", "", "x", "1.5", "9" * 30])
def test_other_limit_is_refused(api: httpx.Client, limit: str) -> None:
    assert places(api.get("/skills", params={"limit": limit})) == {"query.limit"}


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"colour": "red"}, "query.colour"),
        ({"Limit": "3"}, "query.Limit"),
        ({"sort": "oldest"}, "query.sort"),
        ({"status": "gone"}, "query.status"),
        ({"agent": "a b"}, "query.agent"),
        ({"error_type": "e" * 201}, "query.error_type"),
        ({"error_type": "\0"}, "query.error_type"),
        ({"tag": ""}, "query.tag"),
        ({"tag": "t" * 65}, "query.tag"),
        ({"tag": [str(n) for n in range(17)]}, "query.tag"),
        ({"cursor": "c" * 4_097}, "query.cursor"),
    ],
)
def test_wrong_question_is_refused_and_named(api: httpx.Client, query: JSON, place: str) -> None:
    assert {found.removesuffix(".0") for found in places(api.get("/skills", params=query))} == {place}


@pytest.mark.parametrize("field", ["error_type", "tag"])
def test_filter_finds_text_however_it_is_composed(api: httpx.Client, field: str) -> None:
    word = f"caf\u00e9-{uuid4()}"
    skill = capture(api, **({"error_type": word} if field == "error_type" else {"tags": [word]}))
    decomposed = word.replace("\u00e9", "e\u0301")
    assert listed(api.get("/skills", params={field: decomposed})) == [skill["name"]]


# Cursors


def test_cursor_of_another_question_is_refused(tmp_path: Path) -> None:
    async def look(cin: Inside, _: list[str]) -> list[httpx.Response]:
        cursor = (await cin.client.get("/skills", params={"limit": 2})).json()["next_cursor"]
        others = [{"sort": "usage"}, {"tag": "t1"}, {"agent": "a1"}, {"status": "retired"}, {"error_type": "e1"}]
        return [await cin.client.get("/skills", params=other | {"cursor": cursor}) for other in others]

    for answer in on_seeded(tmp_path, 5, look):
        assert places(answer) == {"query.cursor"}


def test_cursor_goes_on_with_another_limit(tmp_path: Path) -> None:
    async def look(cin: Inside, _: list[str]) -> list[str]:
        cursor = (await cin.client.get("/skills", params={"limit": 2})).json()["next_cursor"]
        return listed(await cin.client.get("/skills", params={"limit": 100, "cursor": cursor}))

    assert on_seeded(tmp_path, 5, look) == names(2, 1, 0)


@pytest.mark.parametrize("value", [2**63, 2**64 - 1, -(2**63), 1e300, "7", [], {}, None, True, 0.5])
def test_cursor_that_was_made_up_never_breaks_the_server(tmp_path: Path, value: object) -> None:
    async def look(cin: Inside, _: list[str]) -> httpx.Response:
        given = (await cin.client.get("/skills", params={"limit": 2, "sort": "usage"})).json()["next_cursor"]
        question, _, skill_id = orjson.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
        made_up = base64.urlsafe_b64encode(orjson.dumps([question, value, skill_id]))
        return await cin.client.get("/skills", params={"sort": "usage", "cursor": made_up.decode()})

    answer = on_seeded(tmp_path, 5, look)
    assert answer.status_code == 200 or places(answer) == {"query.cursor"}


@pytest.mark.parametrize("cursor", ["x", "e30", "====", "é", "\0", "a" * 512, "WzEsMl0", "../../etc/passwd"])
def test_text_that_is_no_cursor_is_refused(api: httpx.Client, cursor: str) -> None:
    assert places(api.get("/skills", params={"cursor": cursor})) == {"query.cursor"}


# One skill


@pytest.mark.parametrize(
    "id", ["x", str(UUID(int=0)), "%00", "..%2fx", "a'b", "%ff", "a" * 5_000, "%0d%0aSet-Cookie:%20a=b"]
)
def test_unknown_skill_is_not_found(api: httpx.Client, id: str) -> None:
    answer = api.get(f"/skills/{id}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in answer.headers


# What needs no database

READS = ["/skills?limit=5", "/skills/{id}", "/skills/{id}/versions", "/skills/{id}/versions/1"]


@pytest.mark.parametrize("path", READS)
def test_read_that_repeats_an_etag_is_304_without_a_look_at_the_database(tmp_path: Path, path: str) -> None:
    async def look(cin: Inside, ids: list[str]) -> tuple[httpx.Response, httpx.Response, int]:
        url = path.format(id=ids[0])
        first = await cin.client.get(url)
        reads = cin.count_reads()
        again = await cin.client.get(url, headers={"If-None-Match": first.headers["etag"]})
        return first, again, reads.number

    first, again, reads = on_seeded(tmp_path, 3, look)
    assert (first.status_code, again.status_code, again.content, reads) == (200, 304, b"", 0)
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["cache-control"] == first.headers["cache-control"]


@pytest.mark.parametrize("form", ["W/{}", '"other", {}', 'W/"other",W/{}', "{} , "])
@pytest.mark.parametrize("path", READS)
def test_etag_matches_weakly_and_in_a_list(api: httpx.Client, path: str, form: str) -> None:
    url = path.format(id=capture(api)["id"])
    etag = api.get(url).headers["etag"]
    assert api.get(url, headers={"If-None-Match": form.format(etag).strip()}).status_code == 304


@pytest.mark.parametrize("path", READS[:3])
@pytest.mark.parametrize("change", ["known", "revise", "retire", "outcome"])
def test_etag_is_another_after_a_change(api: httpx.Client, path: str, change: str) -> None:
    body = make_skill()
    skill = api.post("/skills", json=body).json()
    url, own = path.format(id=skill["id"]), f"/skills/{skill['id']}"
    etag = api.get(url).headers["etag"]
    match change:
        case "known":
            api.post("/skills", json=body)
        case "revise":
            api.put(own, json=make_skill(), headers={"If-Match": "*"})
        case "retire":
            api.delete(own)
        case "outcome":
            api.post(f"{own}/outcomes", json={"success": True})
    again = api.get(url, headers={"If-None-Match": etag})
    assert (again.status_code, again.headers["etag"] != etag) == (200, True)


LISTS: list[tuple[JSON, JSON]] = [
    ({}, {}),
    ({"limit": 1}, {"error_type": "other"}),
    ({"sort": "usage"}, {"tags": ["other"]}),
    ({"error_type": "e1"}, {"error_type": "e1"}),
    ({"tag": ["t1", "t9"]}, {"tags": ["t9"]}),
    ({"agent": "a1"}, {"agent": "a1"}),
    ({"agent": "a1", "error_type": "e1", "tag": "t1"}, {"agent": "a1", "error_type": "e1", "tags": ["t1", "t2"]}),
    ({"q": "named", "sort": "newest"}, {"pattern": "is named", "tags": ["other"]}),
    ({"status": "retired"}, {"error_type": "other"}),
]


@pytest.mark.parametrize(("query", "skill"), LISTS, ids=str)
def test_list_has_another_etag_after_a_capture_that_it_shows(tmp_path: Path, query: JSON, skill: JSON) -> None:
    async def look(cin: Inside, _: list[str]) -> httpx.Response:
        etag = (await cin.client.get("/skills", params=query)).headers["etag"]
        captured = await cin.capture(make_skill(**skill))
        if query.get("status") == "retired":
            await cin.client.delete(f"/skills/{captured['id']}")
        again = await cin.client.get("/skills", params=query, headers={"If-None-Match": etag})
        assert captured["name"] in listed(again)
        return again

    assert on_seeded(tmp_path, 8, look).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        {"error_type": "e1"},
        {"tag": ["t1", "t2"]},
        {"agent": "a1"},
        {"agent": "a1", "error_type": "e1", "tag": "t1", "sort": "confidence"},
        {"error_type": "of none"},
    ],
    ids=str,
)
def test_list_keeps_its_etag_when_what_it_leaves_out_changes(tmp_path: Path, query: JSON) -> None:
    async def look(cin: Inside, _: list[str]) -> tuple[list[int], int]:
        etag = (await cin.client.get("/skills", params=query)).headers["etag"]
        other = make_skill(error_type="other", tags=["t7"], agent="a7")
        url = f"/skills/{(await cin.capture(other))['id']}"
        changes: list[Callable[[], Awaitable[Any]]] = [
            lambda: cin.capture(other),
            lambda: cin.client.post(f"{url}/outcomes", json={"success": True}),
            lambda: cin.client.put(url, json=make_skill(error_type="more"), headers={"If-Match": "*"}),
            lambda: cin.client.delete(url),
        ]
        reads, statuses = cin.count_reads(), []
        for change in changes:
            await change()
            statuses.append(
                (await cin.client.get("/skills", params=query, headers={"If-None-Match": etag})).status_code
            )
        return statuses, reads.number

    assert on_seeded(tmp_path, 12, look) == ([304] * 4, 0)


@pytest.mark.parametrize("field", ["error_type", "tags", "agent"])
def test_list_that_a_revised_skill_leaves_has_another_etag(tmp_path: Path, field: str) -> None:
    query = {"error_type": {"error_type": "e1"}, "tags": {"tag": "t1"}, "agent": {"agent": "a1"}}[field]

    async def look(cin: Inside, ids: list[str]) -> tuple[str, httpx.Response]:
        etag = (await cin.client.get("/skills", params=query)).headers["etag"]
        left = make_skill(error_type="other", tags=["other"])
        await cin.client.put(f"/skills/{ids[1]}", json=left, headers={"If-Match": "*"})
        return etag, await cin.client.get("/skills", params=query, headers={"If-None-Match": etag})

    etag, again = on_seeded(tmp_path, 8, look)
    assert (again.status_code, again.headers["etag"] != etag) == (200, True)
    assert ("s001" in listed(again)) == (field == "agent")  # who captured it first did


@pytest.mark.parametrize("path", READS[1:])
def test_one_skill_keeps_its_etag_when_others_change(api: httpx.Client, path: str) -> None:
    url = path.format(id=capture(api)["id"])
    etag = api.get(url).headers["etag"]
    other = capture(api)
    api.post(f"/skills/{other['id']}/outcomes", json={"success": True})
    assert api.get(url, headers={"If-None-Match": etag}).status_code == 304


def test_etag_of_another_life_of_the_server_does_not_match(tmp_path: Path) -> None:
    async def etag() -> str:
        async with application(tmp_path) as cin:
            await cin.capture(make_skill())
            return str((await cin.client.get("/skills")).headers["etag"])

    assert run(etag()) != run(etag())


# Reading one's own writes


@pytest.mark.parametrize("path", [*READS, "/agents", "/skills/{id}/delivery"])
def test_read_after_a_position_that_is_reached_is_answered(api: httpx.Client, path: str) -> None:
    skill = capture(api)
    answer = api.get(path.format(id=skill["id"]), headers={"CIN-Min-Position": skill["position"]})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", [*READS, "/agents", "/skills/{id}/delivery"])
def test_read_waits_until_the_position_is_reached(tmp_path: Path, path: str) -> None:
    async def look(cin: Inside, ids: list[str]) -> tuple[bool, int]:
        epoch = cin.parts.network.epoch
        url = path.format(id=ids[0])
        reading = asyncio.create_task(cin.client.get(url, headers={"CIN-Min-Position": f"{epoch}-4"}))
        for _ in range(20):
            await asyncio.sleep(0)
        waits = not reading.done()
        await cin.capture(make_skill())
        return waits, (await within(reading)).status_code

    assert on_seeded(tmp_path, 3, look) == (True, 200)


def test_read_does_not_wait_for_ever(api: httpx.Client) -> None:
    epoch, _, number = head(api).rpartition("-")
    answer = api.get("/skills", headers={"CIN-Min-Position": f"{epoch}-{int(number) + 1}"})
    problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert answer.elapsed.total_seconds() < 4


def test_read_after_a_position_of_another_epoch_is_refused(api: httpx.Client) -> None:
    found = problem(api.get("/skills", headers={"CIN-Min-Position": "other-1"}), 410, "position-unavailable")
    assert found["reason"] == "epoch"


@pytest.mark.parametrize("position", ["", "7", "x", "a-", "k3f9-1 2", "-1"])
def test_text_that_is_no_position_is_refused(api: httpx.Client, position: str) -> None:
    assert places(api.get("/skills", headers={"CIN-Min-Position": position})) == {"header.CIN-Min-Position"}


def test_many_who_poll_never_make_a_query(tmp_path: Path) -> None:
    """200 agents that ask with the tag they have, again and again, after captures too that their lists do not show."""

    async def look(cin: Inside, ids: list[str]) -> tuple[set[int], int, float]:
        query = {"tag": "polled"}
        etag = (await cin.client.get("/skills", params=query)).headers["etag"]
        reads, before = cin.count_reads(), measured(cin)
        statuses = set()
        for _ in range(3):
            await cin.capture(make_skill())
            polls = (cin.client.get("/skills", params=query, headers={"If-None-Match": etag}) for _ in range(200))
            statuses |= {answer.status_code for answer in await asyncio.gather(*polls)}
        return statuses, reads.number, measured(cin) - before

    def measured(cin: Inside) -> float:
        return cin.parts.metrics.registry.get_sample_value("cin_database_reads_total", {"server": "primary"}) or 0

    assert on_seeded(tmp_path, 3, look) == ({304}, 0, 0)


def test_many_who_poll_share_one_read_after_a_capture_that_they_see(tmp_path: Path) -> None:
    """At once and one after another; who asks something else reads for itself."""

    async def look(cin: Inside, _: list[str]) -> tuple[int, int, int]:
        etag = (await cin.client.get("/skills")).headers["etag"]
        captured = await cin.capture(make_skill())
        reads = cin.count_reads()
        polls = (cin.client.get("/skills", headers={"If-None-Match": etag}) for _ in range(100))
        answers = [*await asyncio.gather(*polls), await cin.client.get("/skills")]
        shared = reads.number
        await cin.client.get("/skills", params={"limit": 1})
        seen = {listed(answer)[0] for answer in answers}
        assert seen == {captured["name"]}
        return shared, reads.number, len({answer.text for answer in answers})

    assert on_seeded(tmp_path, 3, look) == (1, 2, 1)


def test_list_that_others_have_read_says_where_the_log_is_now(tmp_path: Path) -> None:
    """Nothing that it shows has changed since, so it is the list of that position, too."""

    async def look(cin: Inside, _: list[str]) -> tuple[str, Any, str, int]:
        query = {"error_type": "e1"}
        before = (await cin.client.get("/skills", params=query)).json()
        other = await cin.capture(make_skill(error_type="other"))
        reads = cin.count_reads()
        after = (await cin.client.get("/skills", params=query)).json()
        assert after["skills"] == before["skills"]
        return before["position"], other["position"], after["position"], reads.number

    before, other, after, reads = on_seeded(tmp_path, 4, look)
    assert (after, reads) == (other, 0)
    assert before != after


def test_list_says_no_position_that_it_has_not_seen(tmp_path: Path) -> None:
    """A capture comes between the read and the answer: who subscribes from the answer's position must still hear of it."""

    async def look(cin: Inside, _: list[str]) -> tuple[int, int]:
        read = cin.parts.reader.list

        async def read_and_be_overtaken(*args: Any, **options: Any) -> Any:
            page = await read(*args, **options)
            await cin.capture(make_skill(name="late"))
            await cin.parts.follower.current()
            return page

        cin.parts.reader.list = read_and_be_overtaken  # type: ignore[method-assign]
        answer = await cin.client.get("/skills")
        assert "late" not in listed(answer)
        return int(answer.json()["position"].partition("-")[2]), cin.parts.follower.offset

    position, overtaken = on_seeded(tmp_path, 4, look)
    assert position < overtaken


def test_sorted_search_says_no_position_that_its_words_were_not_looked_for_at(tmp_path: Path) -> None:
    """A capture comes after the words were looked for, and before the rows are read."""

    async def look(cin: Inside, _: list[str]) -> tuple[int, int]:
        read = cin.parts.reader.list

        async def be_overtaken_and_read(*args: Any, **options: Any) -> Any:
            await cin.capture(make_skill(name="late", pattern="quokka late"))
            return await read(*args, **options)

        await cin.capture(make_skill(name="early", pattern="quokka early"))
        cin.parts.reader.list = be_overtaken_and_read  # type: ignore[method-assign]
        answer = await cin.client.get("/skills", params={"q": "quokka", "sort": "newest"})
        assert listed(answer) == ["early"]
        await cin.parts.follower.current()
        return int(answer.json()["position"].partition("-")[2]), cin.parts.follower.offset

    position, overtaken = on_seeded(tmp_path, 2, look)
    assert position < overtaken
