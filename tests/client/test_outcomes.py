"""Outcomes that could not be told: kept in order, each told once, by its key."""

import time

import httpx
import pytest

from app.client import Client, NotFound, OutboxFull
from app.client.outcomes import Outcomes

SKILL = {"id": "s", "name": "s", "resolution": "Do it."}


def told(*answers: httpx.Response | Exception) -> tuple[Client, list[httpx.Request]]:
    """A client of a server that answers so, and 201 from then on; and what was sent to it."""
    left, seen = list(answers), list[httpx.Request]()

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = left.pop(0) if left else httpx.Response(201, json=SKILL)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Client("http://cin.test", tries=1, transport=httpx.MockTransport(handle)), seen


@pytest.mark.parametrize("trouble", [httpx.ReadError("gone"), httpx.Response(503, json={"status": 503})])
def test_outcome_that_may_have_arrived_is_told_again_with_its_key(trouble: httpx.Response | Exception) -> None:
    http, seen = told(trouble)
    outcomes = Outcomes(http, most=10)
    assert outcomes.tell("a", True, None, is_there=True) is None
    assert outcomes.tell("b", False, "no", is_there=True) is None  # behind the first
    assert len(outcomes) == 2
    outcomes.flush()
    assert len(outcomes) == 0
    assert [request.url.path for request in seen] == ["/skills/a/outcomes", "/skills/a/outcomes", "/skills/b/outcomes"]
    keys = [request.headers["Idempotency-Key"] for request in seen]
    assert keys[0] == keys[1] != keys[2]
    assert outcomes.tell("c", True, None, is_there=True) is not None


def test_outcome_is_kept_untold_while_the_server_is_away() -> None:
    http, seen = told()
    outcomes = Outcomes(http, most=1)
    assert outcomes.tell("a", True, None, is_there=False) is None
    assert seen == []
    with pytest.raises(OutboxFull):
        outcomes.tell("b", True, None, is_there=False)


def test_kept_outcome_that_is_refused_stands_in_no_others_way() -> None:
    http, seen = told(httpx.Response(404, json={"status": 404}))
    outcomes = Outcomes(http, most=10)
    outcomes.tell("gone", True, None, is_there=False)
    outcomes.tell("b", True, None, is_there=False)
    outcomes.flush()
    assert (len(outcomes), len(seen)) == (0, 2)


def test_outcome_that_is_refused_at_once_raises() -> None:
    http, _ = told(httpx.Response(404, json={"status": 404}))
    with pytest.raises(NotFound):
        Outcomes(http, most=10).tell("gone", True, None, is_there=True)


def test_server_that_fails_again_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    http, seen = told(httpx.ConnectError("no"))
    outcomes = Outcomes(http, most=10)
    outcomes._backoff._draw = lambda: 1.0
    outcomes.tell("a", True, None, is_there=False)
    outcomes.flush()
    outcomes.flush()
    assert len(seen) == 1
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 60)
    outcomes.flush()
    assert (len(outcomes), len(seen)) == (0, 2)
