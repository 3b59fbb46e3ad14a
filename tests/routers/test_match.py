"""Matching over HTTP: what fits is found, best first, with where and why; what cannot be asked is refused."""

import gzip
import re
import socket
import unicodedata
from collections.abc import Callable
from itertools import pairwise

import httpx
import pytest

from tests.factories import make_skill
from tests.routers.answers import capture, places, problem
from tests.routers.matches import JSON, MIB, TEXT, ask, found, of, unique, word
from tests.server import Server

AS_TEXT = {"Accept": "text/plain"}


# What is found


def test_pattern_that_stands_in_the_message_is_exact(api: httpx.Client) -> None:
    skill = capture(api, pattern=unique(), resolution="create it")
    message = f"start\nRuntimeError: {skill['pattern']}: gone\nend"
    [match] = of(ask(api, message), skill)
    assert (match["kind"], match["matched"], match["span"]["line"]) == ("exact", skill["pattern"], 2)
    assert match["skill"] == api.get(f"/skills/{skill['id']}").json()
    assert 0.9 <= match["score"] <= 1


@pytest.mark.parametrize(
    ("pattern", "message", "matched"),
    [
        ("{} lost 10.0.0.1:5432", "E: {} lost 192.168.7.20:80!", "{} lost 192.168.7.20:80"),
        ("{} failed after 31 s", "{} failed after 4711 s", "{} failed after 4711 s"),
        ("no file /srv/a/b.txt in {}", "no file /home/me/c.txt in {}", "no file /home/me/c.txt in {}"),
        ("{} has no 'name'", "{} has no 'other'", "{} has no 'other'"),
        ("{} at 0x7ffe12345678 faulted", "{} at 0x0000deadbeef faulted", "{} at 0x0000deadbeef faulted"),
        ("{} since 2026-01-02T03:04:05Z", "{} since 2027-10-12T13:14:15Z", "{} since 2027-10-12T13:14:15Z"),
    ],
    ids=["address", "number", "path", "quoted", "pointer", "date"],
)
def test_pattern_with_other_values_is_masked(api: httpx.Client, pattern: str, message: str, matched: str) -> None:
    name = word()
    skill = capture(api, pattern=pattern.format(name))
    [match] = of(ask(api, message.format(name)), skill)
    assert (match["kind"], match["matched"]) == ("masked", matched.format(name))
    assert 0.7 <= match["score"] <= 0.9


def test_message_with_the_same_words_is_similar(api: httpx.Client) -> None:
    one, other = word(), word()
    skill = capture(api, pattern=f"the lock of {one} is held by {other}")
    message = f"fine\nerror: {other} would not give the lock to {one}\nbye"
    [match] = of(ask(api, message), skill)
    assert match["kind"] == "similar"
    assert 0.1 <= match["score"] <= 0.7
    assert match["span"]["line"] == 2
    assert match["matched"] == message.splitlines()[1]


def test_better_kinds_and_longer_patterns_come_first(api: httpx.Client) -> None:
    words, third, fourth = [word() for _ in range(5)], word(), word()
    similar = capture(api, pattern=" ".join(words))
    masked = capture(api, pattern=f"address 10.0.0.1 of {third} unreachable")
    short = capture(api, pattern=fourth)
    long = capture(api, pattern=f"{fourth} is what nobody could read")
    message = f"error: {', '.join(reversed(words))} gone\naddress 10.0.0.2 of {third} unreachable\n{long['pattern']}"
    matches = of(ask(api, message, limit=100), long, short, masked, similar)
    assert found(matches) == [
        ("exact", long["id"]),
        ("exact", short["id"]),
        ("masked", masked["id"]),
        ("similar", similar["id"]),
    ]
    assert all(better["score"] >= worse["score"] for better, worse in pairwise(matches))


def test_plain_word_inside_a_line_comes_last_and_is_never_left_out(api: httpx.Client) -> None:
    words = [word() for _ in range(5)]
    plain = words[0][:6].lower()
    skill = capture(api, pattern=plain)
    similar = [capture(api, pattern=" ".join([*words, word()])) for _ in range(7)]
    message = f"it is {plain} of {', '.join(reversed(words))} gone"
    assert [kind for kind, _ in found(ask(api, message))] == ["similar"] * 4 + ["exact"]
    assert found(ask(api, message))[-1] == ("exact", skill["id"])
    assert [kind for kind, _ in found(ask(api, message, limit=1))] == ["similar"]
    assert len(of(ask(api, message, limit=100), *similar)) == len(similar)


def test_plain_word_is_never_in_place_of_what_says_more(api: httpx.Client) -> None:
    codes = [word()[:5].upper() for _ in range(3)]
    skills = [capture(api, pattern=code) for code in codes]
    plain = capture(api, pattern=word()[:6].lower())
    matches = ask(api, f"{plain['pattern']} {' '.join(codes)} in it", limit=3)
    assert {id for _, id in found(matches)} == {skill["id"] for skill in skills}


def test_short_exact_pattern_leaves_what_says_more_masked(api: httpx.Client) -> None:
    code, rest = word()[:4].upper(), word()
    short, long = capture(api, pattern=code), capture(api, pattern=f"{code} handshake of {rest} with 10.0.0.1:443")
    matches = of(ask(api, f"{code} handshake of {rest} with 10.0.0.9:443"), short, long)
    assert found(matches) == [("exact", short["id"]), ("masked", long["id"])]


def test_error_that_is_known_exactly_is_not_also_answered_with_other_values(api: httpx.Client) -> None:
    rest = word()
    one, other = (capture(api, pattern=f"handshake of {rest} with 10.0.0.{n}:443") for n in (1, 2))
    assert found(of(ask(api, f"the {one['pattern']} x"), one, other)) == [("exact", one["id"])]


def test_of_the_shortest_patterns_the_longer_comes_first(api: httpx.Client) -> None:
    code = word()[:3].upper()
    longer, shorter = capture(api, pattern=code), capture(api, pattern=code[:2])
    assert found(of(ask(api, f"{code[:2]}\n{code}"), longer, shorter)) == [
        ("exact", longer["id"]),
        ("exact", shorter["id"]),
    ]


def test_plain_word_on_a_line_of_its_own_comes_first(api: httpx.Client) -> None:
    words = [word() for _ in range(5)]
    plain = words[0][:6].lower()
    skill = capture(api, pattern=plain)
    capture(api, pattern=" ".join([*words, word()]))
    message = f"it is {plain} of {', '.join(reversed(words))} gone\n  \x1b[31m{plain}\x1b[0m\n"
    (first, second) = ask(api, message)
    assert (first["kind"], first["skill"]["id"], first["span"]["line"]) == ("exact", skill["id"], 2)
    assert first["matched"] == plain
    assert (first["score"] >= 0.9, second["kind"]) == (True, "similar")


def test_skill_that_worked_comes_before_those_with_the_same_pattern(api: httpx.Client) -> None:
    pattern = unique()
    skills = [capture(api, pattern=pattern) for _ in range(3)]
    assert [id for _, id in found(ask(api, pattern))] == [skill["id"] for skill in reversed(skills)]
    api.post(f"/skills/{skills[1]['id']}/outcomes", json={"success": True})
    api.post(f"/skills/{skills[2]['id']}/outcomes", json={"success": False})
    assert [id for _, id in found(ask(api, pattern))] == [skills[place]["id"] for place in (1, 0, 2)]


@pytest.mark.parametrize("how", ["asked", "in the message"])
def test_error_type_is_preferred_and_leaves_nothing_out(api: httpx.Client, how: str) -> None:
    pattern = unique()
    wanted, other = (capture(api, pattern=pattern, error_type=kind) for kind in ("LockError", "DiskError"))
    assert [id for _, id in found(ask(api, pattern))] == [other["id"], wanted["id"]]  # the newer one first
    if how == "asked":
        matches = of(ask(api, pattern, error_type="LockError"), wanted, other)
    else:
        matches = of(ask(api, f"LockError: {pattern}"), wanted, other)
    assert [id for _, id in found(matches)] == [wanted["id"], other["id"]]
    assert "the error type is LockError" in matches[0]["why"]
    assert not any("error type" in reason for reason in matches[1]["why"])


@pytest.mark.parametrize(("limit", "number"), [(None, 5), (1, 1), (3, 3), (100, 7)])
def test_limit_says_how_many(api: httpx.Client, limit: int | None, number: int) -> None:
    pattern = unique()
    for _ in range(7):
        capture(api, pattern=pattern)
    assert len(ask(api, pattern, **({} if limit is None else {"limit": limit}))) == number
    query = {} if limit is None else {"limit": limit}
    answer = api.post("/match", content=pattern, params=query, headers=TEXT)
    assert len(answer.json()["matches"]) == number


def test_reasons_say_where_and_how_it_went(api: httpx.Client) -> None:
    body = make_skill(pattern=unique(), error_type="LockError")
    skill = api.post("/skills", json=body).json()
    api.post("/skills", json=body)
    for success in (True, True, False):
        api.post(f"/skills/{skill['id']}/outcomes", json={"success": success})
    [match] = of(ask(api, f"\n\nLockError: {body['pattern']}"), skill)
    assert match["why"] == [
        "its pattern stands in line 3",
        "the error type is LockError",
        "it worked 2 of 3 times",
        "it was captured 2 times",
    ]


def test_reasons_of_a_similar_skill_are_the_words_as_they_were_written(api: httpx.Client) -> None:
    one = word()
    skill = capture(api, pattern=f"{one} refused connections")
    [match] = of(ask(api, f"error: Connecting to {one.upper()} failed"), skill)
    [reason] = [each for each in match["why"] if each.startswith("it shares the words ")]
    assert {one.upper(), "Connecting"} <= set(re.findall(r"\w+", reason))


@pytest.mark.parametrize("message", ["", " ", "\n", "\r\n\t \n", "\0", "\x1b[31m\x1b[0m", "\u3000\u200b"], ids=repr)
@pytest.mark.parametrize("media_type", ["application/json", "text/plain"])
def test_blank_message_is_answered_with_an_empty_list(api: httpx.Client, message: str, media_type: str) -> None:
    sent: JSON = {"json": {"message": message}} if "json" in media_type else {"content": message.encode()}
    answer = api.post("/match", **sent, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["matches"]) == (200, [])


def test_nothing_found_is_an_empty_list_and_the_head(api: httpx.Client) -> None:
    position = capture(api)["position"]
    answer = api.post("/match", json={"message": word()})
    assert (answer.status_code, answer.json()) == (200, {"matches": [], "position": position})


# Where it is found

PLACES = {
    "alone": ("{}", 1),
    "in a line": ("E   RuntimeError: {}.", 1),
    "last of many": ("ok\n" * 999 + "{}\n", 1_000),
    "behind CRLF": ("one\r\ntwo\r\nRuntimeError: {}\r\nfour\r\n", 3),
    "coloured": ("\x1b[32mok\x1b[0m\n\x1b[1;31mRuntimeError\x1b[0m: {}\x1b[0m\n", 2),
    "with a runner's times": ("2026-11-22T08:00:00.1234567Z ##[group]x\n2026-11-22T08:00:01.0000000Z {}\n", 2),
    "of GitLab": ("section_start:1700000000:test\r\x1b[0Ktests\n08:00:00 {}\n", 2),
    "behind overwritten text": ("10%\r50%\r100%\nfetching\r{}\n", 2),
    "among other scripts": ("\U0001f600 Ünïcödé 你好\n\U0001f525\U0001f525 {} \U0001f525\n", 2),
    "after a mark of byte order": ("\ufeff{}\n", 1),
    "behind NULs and bells": ("\0\0\x07a\n\x07{}\0\n", 2),
    "indented": ("one:\n\t\t    {}   \n", 2),
}
FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "with colours inside": lambda text: text.replace(" ", " \x1b[1m").replace("of", "o\x1b[0mf"),
    "with wide blanks": lambda text: text.replace(" ", "  \t "),
    "with a link inside": lambda text: text.replace("of", "\x1b]8;;http://x/\x07of\x1b]8;;\x07"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("template", "line"), PLACES.values(), ids=PLACES)
def test_span_is_where_the_pattern_stands(
    api: httpx.Client, template: str, line: int, form: Callable[[str], str]
) -> None:
    pattern = f"cannot read {word()} of étoile \U0001f680 now"
    skill = capture(api, pattern=pattern)
    message = template.format(form(pattern))
    [match] = of(ask(api, message), skill)
    span = match["span"]
    assert match["kind"] == "exact"
    assert message[span["start"] : span["end"]] == match["matched"] == form(pattern)
    assert span["line"] == line == message.count("\n", 0, span["start"]) + 1


@pytest.mark.parametrize("template", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("as_text", [False, True], ids=["JSON", "text"])
def test_what_matched_of_every_kind_stands_in_the_message(
    api: httpx.Client, template: tuple[str, int], as_text: bool
) -> None:
    exact, masked, words = unique(), word(), [word() for _ in range(5)]
    patterns = (exact, f"no route to {masked} at 10.0.0.1:80", " ".join(words))
    skills = [capture(api, pattern=pattern) for pattern in patterns]
    lines = (exact, f"no route to {masked} at 10.9.8.7:60", f"error: {' '.join(reversed(words))}")
    message = "".join(template[0].format(text).rstrip("\n") + "\n" for text in lines)
    if as_text:
        answer = api.post("/match", content=message.encode(), headers=TEXT)
        matches = of(answer.json()["matches"], *skills)
    else:
        matches = of(ask(api, message), *skills)
    assert [match["kind"] for match in matches] == ["exact", "masked", "similar"]
    for each in matches:
        span = each["span"]
        assert each["matched"] == message[span["start"] : span["end"]] != ""
        assert span["line"] == message.count("\n", 0, span["start"]) + 1


def test_pattern_of_several_lines_is_found_across_a_runners_prefixes(api: httpx.Client) -> None:
    name = word()
    skill = capture(api, pattern=f"cannot open {name}\n  caused by: nobody\nhas it")
    stamp = "2026-11-22T08:00:00.1234567Z "
    message = f"{stamp}start\n{stamp}cannot open {name}\n{stamp}  caused by: nobody\n{stamp}has it\n"
    [match] = of(ask(api, message), skill)
    assert (match["kind"], match["span"]["line"]) == ("exact", 2)
    assert message[match["span"]["start"] : match["span"]["end"]] == match["matched"]
    assert match["matched"].startswith(f"cannot open {name}\n")
    assert match["matched"].endswith("has it")


def test_bad_utf_8_is_read_as_if_it_stood_for_something(api: httpx.Client) -> None:
    skill = capture(api, pattern=unique())
    sent = b"\xff\xc3\n\xe2\x82 " + skill["pattern"].encode() + b"\xf0\x9f"
    message = sent.decode("utf-8", "replace")
    [match] = api.post("/match", content=sent, headers=TEXT).json()["matches"]
    assert message[match["span"]["start"] : match["span"]["end"]] == match["matched"] == skill["pattern"]


# How it is asked


@pytest.mark.parametrize("media_type", ["text/plain", "Text/Plain; charset=utf-8"])
def test_text_is_matched_as_json_is(api: httpx.Client, media_type: str) -> None:
    pattern = unique()
    for kind in ("LockError", "DiskError", "TapeError"):
        capture(api, pattern=pattern, error_type=kind)
    as_json = api.post("/match", json={"message": pattern, "error_type": "LockError", "limit": 2})
    query = {"error_type": "LockError", "limit": "2"}
    as_text = api.post("/match", params=query, content=pattern.encode(), headers={"Content-Type": media_type})
    assert as_text.json() == as_json.json()
    assert len(as_json.json()["matches"]) == 2


def test_json_is_what_is_answered_to_who_takes_anything(api: httpx.Client) -> None:
    message = {"message": word()}
    for accept in ("", "*/*", "application/json", "text/html, */*", "application/json, text/plain", "image/png"):
        answer = api.post("/match", json=message, headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/json", accept
        assert answer.json()["matches"] == []


def test_text_is_answered_to_who_asks_for_it(api: httpx.Client) -> None:
    skill = capture(api, pattern=unique(), description="The lock is held.", resolution="one\n\n  two\n")
    answer = api.post("/match", json={"message": f"ok\n{skill['pattern']}"}, headers=AS_TEXT)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    lines = answer.text.splitlines()
    assert lines[0] == f"CIN knows 1 fix for this, best first (at {skill['position']}):"
    assert lines[2].startswith(f"1. {skill['name']} (exact, 0.9")
    assert lines[3:5] == [f"   line 2: {skill['pattern']}", "   because its pattern stands in line 2"]
    assert [line for line in lines if line.startswith("   |")] == ["   | The lock is held.", "   | one", "   |   two"]
    assert lines[-1] == f"   skill {skill['id']}"
    assert answer.text.endswith("\n")


def test_text_says_that_nothing_is_known(api: httpx.Client) -> None:
    position = capture(api)["position"]
    answer = api.post("/match", content=word().encode(), headers=TEXT | {"Accept": "text/plain;q=1, */*;q=0.1"})
    assert (answer.status_code, answer.text) == (200, f"CIN knows no fix for this (at {position}).\n")


def test_json_and_text_have_etags_of_their_own(api: httpx.Client) -> None:
    message = {"message": capture(api)["pattern"]}
    one, other = (api.post("/match", json=message, headers={"Accept": kind}) for kind in ("*/*", "text/plain"))
    again = api.post("/match", json=message, headers=AS_TEXT | {"If-None-Match": one.headers["etag"]})
    assert one.headers["etag"] != other.headers["etag"]
    assert (again.status_code, again.content) == (200, other.content)


ACTING = [
    "::error::pwned",
    "\n::error file=a.py::pwned",
    "::add-mask::e\n::stop-commands::x",
    "##[add-mask]e",
    "x ##[error]pwned",
    "##vso[task.setvariable variable=a]b",
    "\r::set-output name=a::b",
    "section_start:1700000000:x",
    "\u202egnp.exe\u202c",
    "\u2066hidden\u2069\u200f",
    "a\u2028::error::b\u2029c",
    "\ufeff::warning::x",
    "a\tb",
    "\u061c\u180e\ue000",
]


@pytest.mark.parametrize("text", ACTING, ids=repr)
def test_text_from_agents_does_not_act_on_a_terminal_or_a_runner(api: httpx.Client, text: str) -> None:
    pattern = unique()
    capture(api, pattern=pattern, error_type=f"E{text}", description=f"d {text}", resolution=f"{text}\nr\n{text}")
    assert_harmless(api, pattern, f"E{text}")
    capture(api, pattern=f"{text} {pattern}", resolution="r")
    assert_harmless(api, f"{text} {pattern}", None)


def test_message_does_not_act_on_a_terminal_or_a_runner_either(api: httpx.Client) -> None:
    one, other = word(), word()
    capture(api, pattern=f"{one} and {other} met")
    acting = "\x1b]0;title\x07\x1b[2J\x9b31m ##[error] ::error:: \u202e"
    assert_harmless(api, f"error: {other} {acting} ##vso[a] {one}", None)


def assert_harmless(api: httpx.Client, message: str, error_type: str | None) -> None:
    answer = api.post("/match", json={"message": message, "error_type": error_type}, headers=AS_TEXT)
    assert answer.text.startswith("CIN knows")
    assert " no fix" not in answer.text
    assert not re.search(r"##\w*\[", answer.text)
    for line in answer.text.split("\n"):
        assert re.match(r"(CIN knows |\d+\. [a-z0-9-]+ \(|   (line \d+: |because |\| ?|skill )|$)", line), line
        assert not {unicodedata.category(char) for char in line} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}, line


def test_long_text_from_agents_is_shown_whole_and_long_messages_are_not(api: httpx.Client) -> None:
    pattern = f"{unique()} " + "p" * 7_000
    resolution = "r" * 131_072
    capture(api, pattern=pattern, description="d" * 1_024, resolution=resolution)
    lines = api.post("/match", json={"message": pattern}, headers=AS_TEXT).text.splitlines()
    assert f"   | {resolution}" in lines
    [quoted] = [line for line in lines if line.startswith("   line 1: ")]
    assert len(quoted) <= len("   line 1: ") + 200


# What is refused


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "body.message"),
        ({"message": None}, "body.message"),
        ({"message": 7}, "body.message"),
        ({"message": ["m"]}, "body.message"),
        ({"message": "m", "colour": "red"}, "body.colour"),
        ({"message": "m", "Limit": 3}, "body.Limit"),
        ({"message": "m", "limit": 0}, "body.limit"),
        ({"message": "m", "limit": 101}, "body.limit"),
        ({"message": "m", "limit": -1}, "body.limit"),
        ({"message": "m", "limit": 1.5}, "body.limit"),
        ({"message": "m", "limit": None}, "body.limit"),
        ({"message": "m", "limit": 10**30}, "body.limit"),
        ({"message": "m", "error_type": ""}, "body.error_type"),
        ({"message": "m", "error_type": "e" * 201}, "body.error_type"),
        ({"message": "m", "error_type": "\0"}, "body.error_type"),
        ([], "body"),
        ("m", "body"),
        (None, "body"),
    ],
    ids=repr,
)
def test_wrong_question_is_refused_and_named(api: httpx.Client, body: object, place: str) -> None:
    assert places(api.post("/match", json=body)) == {place}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"message":"\\ud800"}', b'{"message":"\xff"}', b"[" * 100_000])
def test_body_that_is_no_json_is_refused(api: httpx.Client, body: bytes) -> None:
    answer = api.post("/match", content=body, headers={"Content-Type": "application/json"})
    assert all(place.startswith("body") for place in places(answer))


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"colour": "red"}, "query.colour"),
        ({"message": "m"}, "query.message"),
        ({"limit": "0"}, "query.limit"),
        ({"limit": "101"}, "query.limit"),
        ({"limit": "x"}, "query.limit"),
        ({"limit": ""}, "query.limit"),
        ({"error_type": ""}, "query.error_type"),
        ({"error_type": "e" * 201}, "query.error_type"),
    ],
    ids=str,
)
def test_wrong_query_with_a_text_is_refused_and_named(api: httpx.Client, query: JSON, place: str) -> None:
    assert places(api.post("/match", params=query, content=b"m", headers=TEXT)) == {place}


@pytest.mark.parametrize(
    "media_type",
    ["application/x-www-form-urlencoded", "text/html", "multipart/form-data", "application/xml", "json", ""],
)
def test_message_of_another_media_type_is_refused(api: httpx.Client, media_type: str) -> None:
    answer = api.post("/match", content=b"m", headers={"Content-Type": media_type})
    detail = problem(answer, 415, "media-type-unsupported")["detail"]
    assert "application/json" in detail
    assert "text/plain" in detail


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_not_allowed(api: httpx.Client, method: str) -> None:
    answer = api.request(method, "/match")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("form", ["text", "JSON", "JSON, two bytes to a character"])
def test_message_of_8_mib_is_taken_and_one_byte_more_is_not(api: httpx.Client, form: str) -> None:
    skill = capture(api, pattern=unique())
    filler = "é" if "two" in form else "all is well in this line of the log\n"
    size = len(filler.encode())
    end = f"\n{skill['pattern']}\n"
    room = 8 * MIB - len(end)
    message = filler * (room // size) + " " * (room % size) + end
    assert len(message.encode()) == 8 * MIB
    for text in (message, f"{message} "):
        sent: JSON = {"content": text.encode(), "headers": TEXT} if form == "text" else {"json": {"message": text}}
        answer = api.post("/match", **sent)
        if text is message:
            assert skill["id"] in [id for _, id in found(answer.json()["matches"])]
        else:
            assert f"{8 * MIB + 1:,} bytes" in problem(answer, 413, "body-too-large")["detail"]


def test_body_that_is_far_too_large_is_not_even_read(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        head = f"POST /match HTTP/1.1\r\nHost: cin\r\nContent-Length: {80 * MIB}\r\n\r\n"
        connection.sendall(head.encode() + b"{")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_body_that_is_compressed_is_refused(api: httpx.Client) -> None:
    headers = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    problem(api.post("/match", content=gzip.compress(b"an error"), headers=headers), 415, "media-type-unsupported")


@pytest.mark.parametrize("charset", ["utf-16", "UTF-16LE", "latin-1"])
def test_text_is_read_in_its_charset(api: httpx.Client, charset: str) -> None:
    pattern = f"cannot open {word()}"
    capture(api, pattern=pattern)
    headers = {"Content-Type": f"text/plain; charset={charset}"}
    answer = api.post("/match", content=f"F\xfcr sie: {pattern}".encode(charset), headers=headers)
    assert answer.json()["matches"][0]["matched"] == pattern


def test_charset_that_is_not_known_is_refused(api: httpx.Client) -> None:
    headers = {"Content-Type": "text/plain; charset=bogus"}
    problem(api.post("/match", content=b"an error", headers=headers), 415, "media-type-unsupported")
