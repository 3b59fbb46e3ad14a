"""Match and search against a real server, and what goes over the wire for them."""

import asyncio
from typing import Protocol
from uuid import uuid4

import httpx
import pytest

from app.client import AsyncClient, CINError, Client, InvalidInput, Skill
from app.client.calls import MESSAGE_BYTES

NOTHING = {"matches": [], "position": "k3f9-7"}


class Serving(Protocol):
    """What the fixture `server` gives."""

    url: str


def new_word() -> str:
    """Letters that no other test has, and that are found as one word."""
    return uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))


def fresh(cin: Client, description: str | None = None) -> Skill:
    """A skill whose pattern no other test has."""
    return cin.capture(pattern=f"cannot read {new_word()}", resolution="Read on.", description=description).skill


class Script:
    """Gives these answers, one after the other, and keeps the requests."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = iter(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return next(self._answers)

    def client(self) -> Client:
        return Client("http://cin.test", transport=httpx.MockTransport(self))


def test_match_says_which_skill_and_where(server: Serving) -> None:
    with Client(server.url) as cin:
        skill = fresh(cin)
        message = f"größer 👩\u200d🚒\r\nError: {skill.pattern}\n"
        result = cin.match(message, error_type="Error", limit=1)
        (match,) = result.matches
        assert (match.skill, match.kind) == (cin.get(skill.id), "exact")
    assert match.span is not None
    assert (match.matched, match.span.line) == (skill.pattern, 2)
    assert message[match.span.start : match.span.end] == match.matched
    assert 0 < match.score <= 1
    assert match.why
    assert result.position


def test_match_that_finds_nothing_is_empty(server: Serving) -> None:
    with Client(server.url) as cin:
        assert cin.match(new_word()).matches == ()


def test_match_takes_as_long_a_message_as_there_may_be(server: Serving) -> None:
    with Client(server.url) as cin:
        skill = fresh(cin)
        end = f"\n\x1b[31m{skill.pattern}"
        result = cin.match("\x1b" * (MESSAGE_BYTES - len(end)) + end, limit=1)
        assert [match.skill.id for match in result.matches] == [skill.id]


def test_match_with_a_wrong_limit_is_refused(server: Serving) -> None:
    with Client(server.url) as cin, pytest.raises(InvalidInput, match="limit"):
        cin.match("x", limit=0)


def test_match_sends_the_message_as_it_is() -> None:
    script = Script(httpx.Response(200, json=NOTHING))
    with script.client() as cin:
        assert cin.match("größer\n", error_type="E").position == "k3f9-7"
    (request,) = script.requests
    assert (request.content, request.headers["Content-Type"]) == ("größer\n".encode(), "text/plain; charset=utf-8")
    assert dict(request.url.params) == {"error_type": "E", "limit": "5"}


def test_match_changes_nothing_and_is_sent_again() -> None:
    script = Script(httpx.Response(503, json={"status": 503, "detail": "Later."}), httpx.Response(200, json=NOTHING))
    with script.client() as cin:
        assert cin.match("x").matches == ()
    assert len(script.requests) == 2


@pytest.mark.parametrize("message", ["x" * (MESSAGE_BYTES + 1), "é" * (MESSAGE_BYTES // 2 + 1), "\ud800"])
def test_match_cuts_nothing_off_silently(message: str) -> None:
    with Script().client() as cin, pytest.raises(CINError, match=r"at most 8,388,608 bytes|cannot be sent"):
        cin.match(message)


def test_search_finds_by_words_and_filters(server: Serving) -> None:
    word = new_word()
    with Client(server.url) as cin:
        older, newer = fresh(cin, f"one {word}"), fresh(cin, f"two {word}")
        assert {skill.id for skill in cin.search(word)} == {older.id, newer.id}
        assert [skill.id for skill in cin.search(word, sort="newest", limit=1)] == [newer.id]
        assert list(cin.search(word, tag="no-such-tag")) == []
        assert cin.page(q=f"{word} one").skills[0].id == older.id


def test_search_for_what_cannot_be_sent_is_an_error_of_ours() -> None:
    with Script().client() as cin, pytest.raises(CINError, match="cannot be sent"):
        list(cin.search("\ud800"))


def test_async_client_matches_and_searches(server: Serving) -> None:
    async def use() -> None:
        async with AsyncClient(server.url) as cin:
            word = new_word()
            skill = (await cin.capture(pattern=word, description=word, resolution="Find it.")).skill
            result = await cin.match(f"Error: {word}")
            assert result.matches[0].skill == skill
            assert [found.id async for found in cin.search(word)] == [skill.id]

    asyncio.run(use())
