"""Confidence: between 0 and 1, one half at first, and never moved the wrong way by a vote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.skills.confidence import confidence

votes = st.integers(0, 10**6)


def test_confidence_begins_at_one_half() -> None:
    assert confidence(0, 0) == 0.5


@given(votes, votes)
def test_confidence_stays_between_0_and_1(votes_for: int, votes_against: int) -> None:
    assert 0 < confidence(votes_for, votes_against) < 1


@given(votes, votes)
def test_another_success_never_lowers_confidence(votes_for: int, votes_against: int) -> None:
    assert confidence(votes_for + 1, votes_against) >= confidence(votes_for, votes_against)


@given(votes, votes)
def test_another_failure_never_raises_confidence(votes_for: int, votes_against: int) -> None:
    assert confidence(votes_for, votes_against + 1) <= confidence(votes_for, votes_against)


@given(votes, votes.filter(bool))
def test_changed_mind_never_moves_confidence_the_wrong_way(votes_for: int, votes_against: int) -> None:
    assert confidence(votes_for + 1, votes_against - 1) >= confidence(votes_for, votes_against)


@given(st.integers(1, 1000))
def test_failure_weighs_more_than_a_success(number: int) -> None:
    assert confidence(number, number) < 0.5


@pytest.mark.parametrize(
    ("votes_for", "votes_against", "expected"), [(1, 0, 2 / 3), (0, 1, 1 / 4), (9, 0, 10 / 11), (3, 1, 4 / 7)]
)
def test_confidence_is_the_documented_formula(votes_for: int, votes_against: int, expected: float) -> None:
    assert confidence(votes_for, votes_against) == pytest.approx(expected)
