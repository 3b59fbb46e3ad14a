"""How long the supervisor waits before it starts a worker again. What it does with real ones is among the journeys."""

import pytest

from app.cli.supervisor import _LONGEST_PAUSE_SECONDS, _pause


@pytest.mark.parametrize("failures", [0, 1])
def test_worker_that_dies_once_is_replaced_at_once(failures: int) -> None:
    assert _pause(failures) == 0


def test_worker_that_dies_of_its_start_is_started_ever_more_slowly() -> None:
    least, most = zip(*((min(pauses), max(pauses)) for pauses in map(_pauses, range(2, 8))), strict=True)
    assert all(later > earlier for earlier, later in zip(least, least[2:], strict=False))
    assert max(most) <= _LONGEST_PAUSE_SECONDS


def test_worker_that_never_starts_is_tried_again_for_ever() -> None:
    assert all(_LONGEST_PAUSE_SECONDS / 2 <= pause <= _LONGEST_PAUSE_SECONDS for pause in _pauses(10_000))


def test_workers_that_died_together_do_not_come_back_together() -> None:
    assert len(set(_pauses(5))) > 1


def _pauses(failures: int) -> list[float]:
    return [_pause(failures) for _ in range(50)]
