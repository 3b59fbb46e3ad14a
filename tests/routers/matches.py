"""Matches over HTTP, for the tests of matching: how they are asked for, and which of them are looked at."""

from typing import Any
from uuid import uuid4

import httpx

JSON = dict[str, Any]
TEXT = {"Content-Type": "text/plain"}
MIB = 1024 * 1024


def word() -> str:
    """A word that no other skill has, and that no masking takes for an id."""
    return "".join(chr(ord("g") + int(digit, 16)) for digit in uuid4().hex[:20])


def unique() -> str:
    """A pattern that shares no word with another."""
    return f"{word()} {word()}"


def ask(api: httpx.Client, message: str, **over: Any) -> list[JSON]:
    """The matches of a message."""
    answer = api.post("/match", json={"message": message, **over})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["matches"])


def found(matches: list[JSON]) -> list[tuple[str, str]]:
    return [(match["kind"], match["skill"]["id"]) for match in matches]


def of(matches: list[JSON], *skills: JSON) -> list[JSON]:
    """Those matches that are of these skills: the shared server's others may be similar as well."""
    return [match for match in matches if match["skill"]["id"] in {skill["id"] for skill in skills}]
