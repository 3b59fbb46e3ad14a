"""Trying again: the same capture with the same key, never a change that may have been made, never too soon."""

from collections.abc import Callable

import httpx
import pytest

from app.client import Client, Conflict, ConnectionFailed, InvalidInput, PreconditionFailed, ProblemError, Unavailable
from app.client.retry import Backoff

SKILL = {"id": "s", "name": "a-skill", "resolution": "Do it.", "position": "k3f9-1"}

Answer = Callable[[httpx.Request], httpx.Response]


def problem(status: int, **headers: str) -> Answer:
    body = {"type": "/problems/x", "title": "No", "status": status, "detail": "It cannot be done."}
    return lambda request: httpx.Response(status, json=body, headers=headers)


def captured(request: httpx.Request) -> httpx.Response:
    return httpx.Response(201, json=SKILL)


def broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("reset by peer", request=request)


def refused(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("[Errno 111] Connection refused", request=request)


class Script:
    """A server that gives these answers, one after the other, and keeps the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = iter(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return next(self._answers)(request)

    def client(self) -> Client:
        return Client("http://cin.test", transport=httpx.MockTransport(self))


@pytest.mark.parametrize("trouble", [broken, refused, problem(503), problem(429, **{"Retry-After": "0"})])
def test_capture_is_sent_again_with_the_same_key(trouble: Answer) -> None:
    script = Script(trouble, captured)
    with script.client() as cin:
        assert cin.capture(pattern="x", resolution="Do it.").created
    keys = [request.headers["Idempotency-Key"] for request in script.requests]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert script.requests[0].content == script.requests[1].content


def test_capture_that_is_still_running_is_asked_for_again() -> None:
    script = Script(problem(409, **{"Retry-After": "0"}), captured)
    with script.client() as cin:
        assert cin.capture(pattern="x", resolution="Do it.", idempotency_key="k").created


def test_capture_with_a_taken_name_is_a_conflict_at_once() -> None:
    script = Script(problem(409))
    with script.client() as cin, pytest.raises(Conflict, match=r"It cannot be done\."):
        cin.capture(pattern="x", resolution="Do it.", name="taken")
    assert len(script.requests) == 1


def test_capture_gives_up_after_so_many_tries() -> None:
    script = Script(refused, refused, refused, refused)
    with (
        script.client() as cin,
        pytest.raises(ConnectionFailed, match=r"\(Connection refused\): is `cin serve` running"),
    ):
        cin.capture(pattern="x", resolution="Do it.")
    assert len(script.requests) == 4


def test_capture_does_not_wait_longer_than_patience() -> None:
    script = Script(problem(503, **{"Retry-After": "3600"}))
    with script.client() as cin, pytest.raises(Unavailable) as caught:
        cin.capture(pattern="x", resolution="Do it.")
    assert caught.value.retry_after == 3600


def test_revision_that_may_have_been_made_is_not_sent_again() -> None:
    script = Script(broken)
    with script.client() as cin, pytest.raises(ConnectionFailed) as caught:
        cin.revise("s", 1, pattern="x", resolution="Do it.")
    assert caught.value.sent
    assert script.requests[0].headers["If-Match"] == '"1"'


def test_revision_that_never_arrived_is_sent_again() -> None:
    script = Script(refused, lambda request: httpx.Response(200, json=SKILL))
    with script.client() as cin:
        assert cin.revise("s", 1, pattern="x", resolution="Do it.").id == "s"


@pytest.mark.parametrize(("status", "error"), [(412, PreconditionFailed), (422, InvalidInput), (500, ProblemError)])
def test_problem_is_raised_as_what_callers_branch_on(status: int, error: type[ProblemError]) -> None:
    script = Script(problem(status))
    with script.client() as cin, pytest.raises(error):
        cin.capture(pattern="x", resolution="Do it.")
    assert len(script.requests) == 1


def test_backoff_draws_from_zero_to_a_doubling_bound_with_a_cap() -> None:
    backoff = Backoff(base=2.0, cap=30.0, draw=lambda: 1.0)
    assert [backoff.next() for _ in range(6)] == [2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.next(at_least=5) == 7
    assert Backoff(base=2.0, cap=30.0, draw=lambda: 0.0).next() == 0
