"""What is our own fault: a problem with the request's id, a line in the log, and no secret of the inside."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import errors
from app.errors import CINError
from tests.inside import application, run


async def break_down(_: Callable[..., Any], **options: object) -> None:
    raise RuntimeError("the password is hunter2")


def broken(folder: Path, path: str) -> httpx.Response:
    async def go() -> httpx.Response:
        async with application(folder) as cin:
            await cin.parts.follower.current()  # so that it is not this which breaks
            cin.parts.database.read = break_down  # type: ignore[method-assign,assignment]  # as if it had a fault
            return await cin.client.get(path, headers={"X-Request-ID": "mine"})

    return run(go())


@pytest.mark.parametrize("path", ["/skills", "/skills/x", "/agents", "/readyz"])
def test_fault_of_the_server_is_a_problem_with_the_requests_id(tmp_path: Path, path: str) -> None:
    answer = broken(tmp_path, path)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["type"] == "/problems/internal"
    assert answer.json()["instance"] == answer.headers["x-request-id"] == "mine"


def test_fault_of_the_server_shows_nothing_of_the_inside(tmp_path: Path) -> None:
    text = broken(tmp_path, "/skills").text
    assert not [word for word in ("hunter2", "RuntimeError", "Traceback", "File ") if word in text]


def test_fault_of_the_server_is_logged_with_the_requests_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken(tmp_path, "/skills")
    logged = "".join(capsys.readouterr())
    assert "request_failed" in logged
    assert "hunter2" in logged
    assert "mine" in logged


def kinds(kind: type[CINError] = CINError) -> list[type[CINError]]:
    return [kind] + [each for inner in kind.__subclasses__() for each in kinds(inner)]


def test_every_kind_of_problem_has_a_slug_and_a_title_of_its_own() -> None:
    assert len({kind.slug for kind in kinds()}) == len({kind.title for kind in kinds()}) == len(kinds())
    assert all(kind.slug == kind.slug.lower().replace(" ", "-") for kind in kinds())


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_problem_that_passes_says_when_to_come_back(kind: type[CINError]) -> None:
    assert (kind.retry_after_seconds is not None) == (kind.status in (503, 507) or kind is errors.IdempotencyKeyInUse)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_kind_of_problem_stands_in_the_tree(kind: type[CINError]) -> None:
    line = next(line for line in (errors.__doc__ or "").splitlines() if kind.__name__ in line.split())
    assert kind in (CINError, errors.StartupError) or str(kind.status) in line
