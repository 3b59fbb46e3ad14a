"""Searching over HTTP: words find skills by all they say, best first, page by page, from the moment they were captured."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.query import skill_reader
from tests.factories import make_skill
from tests.inside import Inside, application, run, within
from tests.routers.answers import ask_at_once, capture, offset, places, problem
from tests.routers.matches import JSON, word


def search(api: httpx.Client, q: str, **query: Any) -> list[str]:
    """The ids of the skills on a page."""
    answer = api.get("/skills", params={"q": q, **query})
    assert answer.status_code == 200, answer.text
    return [skill["id"] for skill in answer.json()["skills"]]


def inside(folder: Path, look: Callable[[Inside], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        async with application(folder) as cin:
            return await within(look(cin), 60)

    return run(go())


async def names(cin: Inside, **query: Any) -> list[str]:
    answer = await cin.client.get("/skills", params=query)
    assert answer.status_code == 200, answer.text
    return [skill["name"] for skill in answer.json()["skills"]]


# What finds


@pytest.mark.parametrize(
    "field", ["name", "description", "error_type", "pattern", "resolution", "context", "tags"], ids=str
)
def test_skill_is_found_by_every_field(api: httpx.Client, field: str) -> None:
    found = word()
    skill = capture(api, **{field: [found, "other"] if field == "tags" else found})
    for q in (found, found.upper(), f"{found}!", f"  {found} {word()}"):
        assert search(api, q) == [skill["id"]], q


def test_who_captured_it_and_its_metadata_are_not_words(api: httpx.Client) -> None:
    agent, value = word(), word()
    capture(api, agent=agent, metadata={"k": value})
    assert search(api, f"{agent} {value}") == []


@pytest.mark.parametrize("template", ["{}_{}", "{}.{}", "{}::{}", "{}-{}", "{}/{}", "{}\\{}", "__{}_{}__", "({}=={})"])
def test_name_of_code_is_found_whole_and_in_parts(api: httpx.Client, template: str) -> None:
    one, other = word(), word()
    name = template.format(one, other)
    skill = capture(api, pattern=f"undefined: {name}")
    for q in (name, one, other, f"{other} {one}", f"{one} {other}", name.upper()):
        assert search(api, q) == [skill["id"]], q


@pytest.mark.parametrize("written", ["{0}{1}", "{2}{1}"], ids=["CamelCase", "mixedCase"])
def test_camel_case_is_found_whole_and_in_parts(api: httpx.Client, written: str) -> None:
    one, other = word(), word()
    name = written.format(one.title(), other.title(), one)
    skill = capture(api, error_type=f"{name}Error")
    for q in (
        f"{name}Error",
        f"{name}error".lower(),
        one,
        other,
        f"{one} {other}",
        f"{one.title()}{other.title()}Error",
    ):
        assert search(api, q)[:1] == [skill["id"]], q


@pytest.mark.parametrize("style", ["{}_{}", "{}-{}", "{}.{}"])
def test_name_is_found_in_whatever_style_it_was_written(api: httpx.Client, style: str) -> None:
    one, other = word(), word()
    skill = capture(api, pattern=f"{one}_{other} is not callable")
    assert search(api, style.format(one, other)) == [skill["id"]]
    assert search(api, f"{one}{other}") == [skill["id"]]


@pytest.mark.parametrize("code", ["E0308", "TS2304", "C2065", "ORA-00942", "0x80070005"])
def test_error_code_finds_before_all_else(api: httpx.Client, code: str) -> None:
    skill = capture(api, pattern=f"error[{code}]: {word()} {word()}")
    capture(api, pattern=f"error: {word()}")
    assert skill["id"] in search(api, code, limit=100)
    assert search(api, f"{code} {skill['pattern'].split()[-1]}", limit=1) == [skill["id"]]


def test_words_are_found_in_their_other_forms(api: httpx.Client) -> None:
    tag = word()
    skill = capture(api, description=f"Connections were refused ({tag})")
    assert search(api, f"{tag} connecting refuses", limit=1) == [skill["id"]]


def test_scripts_of_others_are_words_too(api: httpx.Client) -> None:
    skill = capture(api, description="ошибка сертификата", resolution="обновить сертификат")
    assert search(api, "сертификата")[:1] == [skill["id"]]
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    other = capture(api, pattern=f"{composed}{word()} {composed}")
    assert other["id"] in search(api, composed)
    assert search(api, decomposed) == search(api, composed)


@pytest.mark.parametrize("q", ["", " ", "\t\n", "!?", "the", "of and to", "\0", "\ud7ff", "🙂", "_", "…"], ids=repr)
def test_nothing_to_look_for_finds_nothing(api: httpx.Client, q: str) -> None:
    answer = api.get("/skills", params={"q": q})
    assert (answer.status_code, answer.json()["skills"], answer.json()["next_cursor"]) == (200, [], None)


SYNTAX = [
    '"',
    "*",
    "AND (",
    "field:x",
    "title:{0}",
    "\\",
    "%",
    "{0}~2",
    "[{0} TO b}}",
    "^2",
    "+",
    "NOT ",
    "/.*/",
    "'; --",
]


@pytest.mark.parametrize("syntax", SYNTAX)
def test_query_syntax_is_text(api: httpx.Client, syntax: str) -> None:
    found = word()
    skill = capture(api, pattern=f"saw {found}")
    for q in (f"{syntax.format(found)} {found}", f"{found} {syntax.format(found)}", f"-{found} {syntax.format(found)}"):
        assert skill["id"] in search(api, q), q


def test_skills_of_a_capture_a_batch_and_a_revision_are_found_at_once(api: httpx.Client) -> None:
    first, second, third = word(), word(), word()
    skill = capture(api, pattern=f"saw {first}")
    assert search(api, first) == [skill["id"]]
    bodies = [make_skill(pattern=f"saw {second} {n}") for n in range(50)]
    ids = [result["id"] for result in api.post("/skills/batch", json=bodies).json()["results"]]
    assert search(api, second, limit=100) == ids[::-1]
    revised = make_skill(name=word(), pattern=f"saw {third}")
    api.put(f"/skills/{skill['id']}", json=revised, headers={"If-Match": "*"})
    assert (search(api, first), search(api, third)) == ([], [skill["id"]])
    api.delete(f"/skills/{skill['id']}")
    assert search(api, third) == []


def test_every_skill_is_shown_as_it_is_now(api: httpx.Client) -> None:
    found = word()
    skill = capture(api, pattern=f"saw {found}")
    for success in (True, False):
        search(api, found)
        api.post(f"/skills/{skill['id']}/outcomes", json={"success": success})
        shown = api.get("/skills", params={"q": found}).json()["skills"]
        assert shown == [api.get(f"/skills/{skill['id']}").json()]


# Order


def test_skill_with_more_and_rarer_words_in_better_places_comes_first(tmp_path: Path) -> None:
    async def look(cin: Inside) -> list[str]:
        bodies: list[JSON] = [
            {"name": "elsewhere", "pattern": "quite other", "context": "certificate expired"},
            {"name": "one-word", "pattern": "certificate", "context": "x"},
            {"name": "both-in-title", "pattern": "certificate expired"},
            {"name": "in-head", "pattern": "other again", "description": "certificate expired"},
            {"name": "none", "pattern": "nothing"},
            *({"name": f"common-{n}", "pattern": f"certificate number {n}", "tags": ["common"]} for n in range(8)),
        ]
        for body in bodies:
            await cin.capture({"resolution": f"do {body['name']}"} | body)
        return await names(cin, q="certificate expired", limit=4)

    assert inside(tmp_path, look) == ["both-in-title", "in-head", "elsewhere", "common-7"]


def test_confidence_decides_among_equals_and_then_what_is_newer(tmp_path: Path) -> None:
    async def look(cin: Inside) -> tuple[list[str], list[str]]:
        ids = [
            (await cin.capture({"name": f"s-{n}", "pattern": "sockets closed", "resolution": f"{n}"}))["id"]
            for n in range(4)
        ]
        before = await names(cin, q="socket")
        await cin.client.post(f"/skills/{ids[1]}/outcomes", json={"success": True})
        await cin.client.post(f"/skills/{ids[2]}/outcomes", json={"success": False})
        return before, await names(cin, q="socket")

    assert inside(tmp_path, look) == (["s-3", "s-2", "s-1", "s-0"], ["s-1", "s-3", "s-0", "s-2"])


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        ("newest", ["s-3", "s-2", "s-1", "s-0"]),
        ("usage", ["s-1", "s-2", "s-3", "s-0"]),
        ("confidence", ["s-2", "s-3", "s-0", "s-1"]),
        ("relevance", ["s-2", "s-3", "s-0", "s-1", "half"]),
        (None, ["s-2", "s-3", "s-0", "s-1", "half"]),
    ],
)
@pytest.mark.parametrize("limit", [2, 100])
def test_other_sorts_are_of_the_skills_that_have_all_words(
    either_way: None, tmp_path: Path, sort: str | None, found: list[str], limit: int
) -> None:
    async def look(cin: Inside) -> list[str]:
        ids = [
            (await cin.capture({"name": f"s-{n}", "pattern": "sockets closed", "resolution": f"{n}"}))["id"]
            for n in range(4)
        ]
        await cin.capture({"name": "half", "pattern": "sockets", "resolution": "r"})
        for number, success, times in ((1, False, 3), (2, True, 1)):
            for _ in range(times):
                await cin.client.post(f"/skills/{ids[number]}/outcomes", json={"success": success})
        return await walk(cin, {"q": "closed sockets", "limit": limit} | ({"sort": sort} if sort else {}))

    found_here = inside(tmp_path, look)
    if limit == 100 or sort not in ("relevance", None):
        assert found_here == found
    else:  # confidence orders a page; pages follow each other by words alone
        assert sorted(found_here) == sorted(found)


@pytest.fixture(params=["named", "walked"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skills with all words are few enough to be named to the database, or so many that it is gone through."""
    if request.param == "walked":
        monkeypatch.setattr(skill_reader, "_MOST_IDS", 0)
        monkeypatch.setattr(skill_reader, "_WALKED", 3)


# Filters


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [5, 4, 3, 2, 1, 0]),
        ({"error_type": "e1"}, [4, 1]),
        ({"tag": "t1"}, [5, 3, 1]),
        ({"tag": ["t1", "low"]}, [5, 3, 1, 0]),
        ({"tag": "none"}, []),
        ({"agent": "a1"}, [4, 1]),
        ({"agent": "a1", "tag": "t1"}, [1]),
        ({"agent": "a2", "error_type": "e1"}, []),
        ({"error_type": "E1"}, []),
        ({"limit": 2}, [5, 4]),
        ({"status": "active"}, [5, 4, 3, 2, 1, 0]),
    ],
    ids=str,
)
@pytest.mark.parametrize("sort", [None, "newest", "usage"])
def test_search_gives_what_every_filter_lets_through(
    api: httpx.Client, query: JSON, found: list[int], sort: str | None, filtered: tuple[str, list[str]]
) -> None:
    shared, ids = filtered
    wanted = [ids[number] for number in found]
    assert search(api, shared, **query, **({"sort": sort} if sort else {})) == wanted


@pytest.fixture(scope="module")
def filtered(api: httpx.Client) -> tuple[str, list[str]]:
    """A word, and the ids of six skills that have it."""
    shared = word()
    ids = [
        capture(
            api,
            pattern=f"saw {shared}",
            error_type=f"e{n % 3}",
            tags=[f"t{n % 2}", *(["low"] if n < 2 else [])],
            agent=f"a{n % 3}",
        )["id"]
        for n in range(6)
    ]
    return shared, ids


# What is refused


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"sort": "relevance"}, "query.sort"),
        ({"q": "a", "status": "retired"}, "query.status"),
        ({"q": "a", "status": "pending"}, "query.status"),
        ({"q": "a", "status": "retired", "sort": "newest"}, "query.status"),
        ({"q": "a", "sort": "oldest"}, "query.sort"),
        ({"q": "a" * 8_001}, "query.q"),
        ({"q": "a", "limit": "0"}, "query.limit"),
        ({"q": "a", "limit": "101"}, "query.limit"),
        ({"q": "a", "limit": "x"}, "query.limit"),
        ({"q": "a", "query": "b"}, "query.query"),
        ({"Q": "a"}, "query.Q"),
        ({"q": "a", "agent": "a b"}, "query.agent"),
        ({"q": "a", "cursor": "x"}, "query.cursor"),
        ({"q": "a", "cursor": "c" * 4_097}, "query.cursor"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_question_is_refused_and_named(api: httpx.Client, query: JSON, place: str) -> None:
    assert places(api.get("/skills", params=query)) == {place}


@pytest.mark.parametrize("limit", [1, 100])
def test_limit_may_be_1_to_100(api: httpx.Client, limit: int) -> None:
    assert len(search(api, "pip install ImportError", limit=limit)) <= limit


@pytest.mark.parametrize("piece", ["a", "word ", "é", "E0308 ", "snake_case ", '"', "( ", "CamelCase"])
def test_question_of_8000_characters_is_answered(api: httpx.Client, piece: str) -> None:
    q = (piece * 8_000)[:8_000]
    answer = api.get("/skills", params={"q": q})
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() < 2


def test_words_among_8000_characters_are_found(api: httpx.Client) -> None:
    found = word()
    skill = capture(api, pattern=f"saw {found}")
    filler = " ".join(word() for _ in range(360))
    assert search(api, f"{filler} {found} {filler}"[:7_990], limit=1) == [skill["id"]]


# Pages


async def walk(cin: Inside, query: JSON, between: Callable[[], Awaitable[object]] | None = None) -> list[str]:
    """The names on all pages of a search; `between` is done after each."""
    found: list[str] = []
    cursor: JSON = {}
    while True:
        answer = await cin.client.get("/skills", params=query | cursor)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["skills"]) <= query.get("limit", 20)
        found += [skill["name"] for skill in page["skills"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}
        if between:
            await between()


@pytest.mark.parametrize("sort", ["relevance", "newest", "usage", "confidence"])
@pytest.mark.parametrize("query", [{}, {"tag": "even"}], ids=str)
def test_walk_shows_each_skill_once_while_others_are_captured(tmp_path: Path, sort: str, query: JSON) -> None:
    async def look(cin: Inside) -> list[str]:
        bodies = [
            make_skill(name=f"s-{n}", pattern=f"refused number {n}", tags=["odd" if n % 2 else "even"])
            for n in range(250)
        ]
        results = (await cin.client.post("/skills/batch", json=bodies)).json()["results"]
        for result in results[::9]:
            await cin.client.post(f"/skills/{result['id']}/outcomes", json={"success": True})

        async def change() -> None:
            for tag in ("odd", "even"):
                await cin.capture(make_skill(pattern="refused again", tags=[tag]))
                await cin.capture(make_skill(pattern="not what is sought"))

        return await walk(cin, {"q": "refused", "sort": sort, "limit": 7} | query, change)

    walked = inside(tmp_path, look)
    whole = {f"s-{n}" for n in range(0, 250, 2 if query else 1)}
    assert whole <= set(walked)
    assert len(walked) == len(set(walked))


def test_other_sorts_leave_none_out_however_many_have_the_words(tmp_path: Path) -> None:
    async def look(cin: Inside) -> list[str]:
        for first in (0, 1_000):
            bodies = [make_skill(name=f"s-{n}", pattern=f"refused number {n}") for n in range(first, first + 1_000)]
            await cin.client.post("/skills/batch", json=bodies)
        return await walk(cin, {"q": "refused", "sort": "newest", "limit": 100})

    assert inside(tmp_path, look) == [f"s-{n}" for n in reversed(range(2_000))]


def test_walk_leaves_out_what_is_retired_and_nothing_else(tmp_path: Path) -> None:
    async def look(cin: Inside) -> list[str]:
        bodies = [make_skill(name=f"s-{n}", pattern=f"refused number {n}") for n in range(60)]
        results = (await cin.client.post("/skills/batch", json=bodies)).json()["results"]
        ids = iter([result["id"] for result in results[:30]])

        async def retire() -> None:
            await cin.client.delete(f"/skills/{next(ids)}")  # the oldest, which are shown last

        return await walk(cin, {"q": "refused", "limit": 4}, retire)

    walked = inside(tmp_path, look)
    assert {f"s-{n}" for n in range(30, 60)} <= set(walked)
    assert len(walked) == len(set(walked))
    assert "s-0" not in walked


def test_walk_goes_through_every_score_in_order(tmp_path: Path) -> None:
    async def look(cin: Inside) -> tuple[list[str], list[str]]:
        for n in range(40):
            words = " ".join(["alpha", "beta", "gamma"][: n % 3 + 1])
            await cin.capture(make_skill(name=f"n{n % 3}-{n}", pattern=f"{words} {n}"))
        query = {"q": "alpha beta gamma"}
        return await walk(cin, query | {"limit": 3}), await walk(cin, query | {"limit": 100})

    paged, whole = inside(tmp_path, look)
    assert paged == whole
    assert [name[1] for name in whole] == sorted((name[1] for name in whole), reverse=True)


@pytest.mark.parametrize("full", [3, 6])
def test_last_page_has_no_cursor_even_if_it_is_full(tmp_path: Path, full: int) -> None:
    async def look(cin: Inside) -> list[str]:
        for n in range(6):
            await cin.capture(make_skill(name=f"s-{n}", pattern=f"refused number {n}"))
        return await walk(cin, {"q": "refused", "limit": full})

    assert len(inside(tmp_path, look)) == 6


def test_cursor_of_another_question_is_refused(api: httpx.Client, filtered: tuple[str, list[str]]) -> None:
    shared, _ = filtered
    cursor = api.get("/skills", params={"q": shared, "limit": 2}).json()["next_cursor"]
    newest = api.get("/skills", params={"q": shared, "limit": 2, "sort": "newest"}).json()["next_cursor"]
    listed = api.get("/skills", params={"limit": 2}).json()["next_cursor"]
    refused: list[tuple[JSON, str]] = [
        ({"q": f"{shared} other"}, cursor),
        ({"q": shared, "tag": "t1"}, cursor),
        ({"q": shared, "error_type": "e1"}, cursor),
        ({"q": shared, "agent": "a1"}, cursor),
        ({"q": shared, "sort": "newest"}, cursor),
        ({}, cursor),
        ({"q": shared}, newest),
        ({"q": shared, "sort": "usage"}, newest),
        ({"q": "other", "sort": "newest"}, newest),
        ({"q": shared}, listed),
        ({"q": shared, "sort": "newest"}, listed),
    ]
    for query, given in refused:
        assert places(api.get("/skills", params=query | {"cursor": given})) == {"query.cursor"}, query


def test_cursor_goes_on_with_another_limit(api: httpx.Client, filtered: tuple[str, list[str]]) -> None:
    shared, ids = filtered
    cursor = api.get("/skills", params={"q": shared, "limit": 2}).json()["next_cursor"]
    assert search(api, shared, limit=100, cursor=cursor) == ids[3::-1]


# Caching


def test_search_says_the_head_it_was_made_at(api: httpx.Client) -> None:
    found = word()
    skill = capture(api, pattern=f"saw {found}")
    assert api.get("/skills", params={"q": found}).json()["position"] == skill["position"]


@pytest.mark.parametrize("query", [{}, {"sort": "newest"}, {"tag": "t"}, {"limit": 1}], ids=str)
def test_search_that_repeats_an_etag_is_304_without_a_look_at_the_database(tmp_path: Path, query: JSON) -> None:
    async def look(cin: Inside) -> tuple[httpx.Response, httpx.Response, int]:
        for _ in range(3):
            await cin.capture(make_skill(tags=["t"]))
        first = await cin.client.get("/skills", params={"q": "module"} | query)
        reads = cin.count_reads()
        headers = {"If-None-Match": first.headers["etag"]}
        return first, await cin.client.get("/skills", params={"q": "module"} | query, headers=headers), reads.number

    first, again, reads = inside(tmp_path, look)
    assert (first.status_code, again.status_code, again.content, reads) == (200, 304, b"", 0)
    for name in ("etag", "cache-control"):
        assert again.headers[name] == first.headers[name]


def test_search_by_relevance_never_looks_at_the_database(tmp_path: Path) -> None:
    async def look(cin: Inside) -> tuple[int, int]:
        for _ in range(30):
            await cin.capture(make_skill())
        reads = cin.count_reads()
        return len(await walk(cin, {"q": "module", "limit": 4})), reads.number

    assert inside(tmp_path, look) == (30, 0)


@pytest.mark.parametrize("form", ["W/{}", '"other", {}', 'W/"other",W/{}', "*"])
def test_etag_matches_weakly_in_a_list_and_by_the_star(api: httpx.Client, form: str) -> None:
    found = word()
    capture(api, pattern=f"saw {found}")
    etag = api.get("/skills", params={"q": found}).headers["etag"].removeprefix("W/")
    assert api.get("/skills", params={"q": found}, headers={"If-None-Match": form.format(etag)}).status_code == 304


def test_etag_stays_when_something_else_is_captured_used_and_retired(tmp_path: Path) -> None:
    async def look(cin: Inside) -> list[int]:
        for n in range(9):
            await cin.capture(make_skill(pattern=f"refused {n}"))
        etag = (await cin.client.get("/skills", params={"q": "refused"})).headers["etag"]
        other = {"pattern": "wholly different", "resolution": "leave it"}
        url = f"/skills/{(await cin.capture(other))['id']}"
        changes: list[Callable[[], Awaitable[Any]]] = [
            lambda: cin.capture(other),
            lambda: cin.client.post(f"{url}/outcomes", json={"success": True}),
            lambda: cin.client.delete(url),
        ]
        headers = {"If-None-Match": etag}
        return [
            (await cin.client.get("/skills", params={"q": "refused"}, headers=headers)).status_code
            for change in changes
            if await change()
        ]

    assert inside(tmp_path, look) == [304] * 3


@pytest.mark.parametrize("change", ["capture", "known", "outcome", "revise", "retire"])
def test_etag_is_another_after_what_touches_it(api: httpx.Client, change: str) -> None:
    found = word()
    body = make_skill(pattern=f"saw {found}")
    skill = api.post("/skills", json=body).json()
    url = f"/skills/{skill['id']}"
    etag = api.get("/skills", params={"q": found}).headers["etag"]
    match change:
        case "capture":
            capture(api, pattern=f"met {found}")
        case "known":
            api.post("/skills", json=body)
        case "outcome":
            api.post(f"{url}/outcomes", json={"success": True})
        case "revise":
            api.put(url, json=body | {"context": "c"}, headers={"If-Match": "*"})
        case "retire":
            api.delete(url)
    again = api.get("/skills", params={"q": found}, headers={"If-None-Match": etag})
    assert (again.status_code, again.headers["etag"] != etag) == (200, True)


def test_50_connections_get_the_same_answer_at_once(api: httpx.Client, filtered: tuple[str, list[str]]) -> None:
    request = {"method": "GET", "url": "/skills", "params": {"q": filtered[0]}}
    answers = ask_at_once(str(api.base_url), [request] * 50)
    assert {(each.status_code, each.content) for each in answers} == {(200, answers[0].content)}


# Reading one's own writes


def test_search_waits_until_the_position_is_reached(tmp_path: Path) -> None:
    async def look(cin: Inside) -> tuple[bool, int]:
        headers = {"CIN-Min-Position": f"{cin.parts.network.epoch}-1"}
        asked = asyncio.create_task(cin.client.get("/skills", params={"q": "module"}, headers=headers))
        for _ in range(20):
            await asyncio.sleep(0)
        waits = not asked.done()
        await cin.capture(make_skill())
        return waits, len((await within(asked)).json()["skills"])

    assert inside(tmp_path, look) == (True, 1)


def test_search_after_a_position_of_another_epoch_is_refused(api: httpx.Client) -> None:
    answer = api.get("/skills", params={"q": "a"}, headers={"CIN-Min-Position": "other-1"})
    assert problem(answer, 410, "position-unavailable")["reason"] == "epoch"


def test_search_after_a_position_that_is_reached_is_answered(api: httpx.Client) -> None:
    found = word()
    skill = capture(api, pattern=f"saw {found}")
    answer = api.get("/skills", params={"q": found}, headers={"CIN-Min-Position": skill["position"]})
    assert offset(answer.json()["position"]) >= offset(skill["position"])
    assert [each["id"] for each in answer.json()["skills"]] == [skill["id"]]
