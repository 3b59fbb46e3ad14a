"""What tests look at in answers: problems, and what there is in a network."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx

from tests.factories import make_skill

PROBLEM = "application/problem+json"


def problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem that was answered, which is one by RFC 9457 and the contract, and no page for people."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    found: dict[str, Any] = answer.json()
    assert (found["type"], found["status"]) == (f"/problems/{slug}", status)
    assert found["instance"] == answer.headers["x-request-id"]
    assert all(isinstance(found[name], str) and found[name] for name in ("title", "detail", "instance"))
    assert "Traceback" not in answer.text
    if slug == "invalid-input":
        assert all(set(error) == {"loc", "msg"} and error["msg"] for error in found["errors"])
    return found


def places(answer: httpx.Response) -> set[str]:
    """Where a 422 says that rules were broken."""
    return {error["loc"] for error in problem(answer, 422, "invalid-input")["errors"]}


def capture(api: httpx.Client, **over: Any) -> dict[str, Any]:
    """A new skill, as it was answered."""
    answer = api.post("/skills", json=make_skill(**over))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def head(api: httpx.Client) -> str:
    """The position of the newest event on disk."""
    return str(api.get("/skills", params={"limit": 1}).json()["position"])


def offset(position: str) -> int:
    return int(position.rpartition("-")[2])


def figures(api: httpx.Client) -> tuple[str, bytes, bytes]:
    """What nothing that is refused may change: the head, the newest skills and the most used ones, with their figures."""
    newest, used = (api.get("/skills", params={"sort": sort, "limit": 3}) for sort in ("newest", "usage"))
    return newest.json()["position"], newest.content, used.content


def ask_at_once(url: str, requests: Sequence[dict[str, Any]]) -> list[httpx.Response]:
    """The answers to requests, given by keyword, that are sent from as many connections at the same moment."""

    async def ask() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=len(requests))
        async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits) as client:
            return await asyncio.gather(*(client.request(**request) for request in requests))

    return asyncio.run(ask())
