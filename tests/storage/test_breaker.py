"""The breaker: a few failures in a row open it, one probe closes it, and pauses grow until it has been well for a while."""

import pytest

from app.storage.breaker import FAILURES, LONGEST_PAUSE_SECONDS, Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    made = Breaker(clock)
    made.close()
    return made


def test_breaker_is_not_closed_before_a_probe() -> None:
    assert not Breaker().is_closed


def test_failures_in_a_row_open_it(breaker: Breaker) -> None:
    for _ in range(FAILURES - 1):
        breaker.failed()
    assert breaker.is_closed
    breaker.failed()
    assert breaker.state == "open"


def test_failures_with_a_success_between_do_not(breaker: Breaker) -> None:
    for _ in range(10):
        for _ in range(FAILURES - 1):
            breaker.failed()
        breaker.succeeded()
    assert breaker.is_closed


def test_probe_decides(breaker: Breaker) -> None:
    states = []
    for step in (breaker.open, breaker.probe, breaker.open, breaker.probe, breaker.close):
        step()
        states.append(breaker.state)
    assert states == ["open", "half-open", "open", "half-open", "closed"]


def test_pauses_grow_to_the_longest(breaker: Breaker) -> None:
    pauses = []
    for _ in range(12):
        breaker.probe()
        breaker.open()
        pauses.append(breaker.pause_seconds())
    assert pauses[0] <= 0.2
    assert all(later > pause * 0.9 for pause, later in zip(pauses[:4], pauses[2:6], strict=True))
    assert all(LONGEST_PAUSE_SECONDS / 2 <= pause <= LONGEST_PAUSE_SECONDS for pause in pauses[-5:])


def test_pauses_differ(breaker: Breaker) -> None:
    breaker.open()
    assert len({breaker.pause_seconds() for _ in range(20)}) == 20


@pytest.mark.parametrize(("seconds", "new"), [(1, False), (60, True)])
def test_only_a_good_while_is_forgiven(breaker: Breaker, clock: Clock, seconds: float, new: bool) -> None:
    breaker.open()
    assert breaker.is_new
    breaker.probe()
    breaker.close()
    clock.now += seconds
    breaker.open()
    assert breaker.is_new is new
