"""Where a stream starts, for every way of asking and every place that can be asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.eventlog.bounds import Bounds
from app.models.position import Position
from app.stream.start import Asked, Reason, Start, parse_since, position_unavailable, resolve, wanted

KEPT_3_TO_5 = Bounds("k3f9", head=5, trimmed=2)


@pytest.mark.parametrize(
    ("asked", "start"),
    [
        ("now", Start(5)),
        ("earliest", Start(2)),
        (0, Start(5, "expired")),
        (1, Start(5, "expired")),
        (2, Start(2)),
        (3, Start(3)),
        (5, Start(5)),
        (6, Start(5, "ahead")),
        (10**17, Start(5, "ahead")),
        (Position("k3f9", 1), Start(5, "expired")),
        (Position("k3f9", 2), Start(2)),
        (Position("k3f9", 5), Start(5)),
        (Position("k3f9", 6), Start(5, "ahead")),
        (Position("other", 3), Start(5, "epoch")),
        (Position("other", 9), Start(5, "epoch")),
    ],
)
def test_start_is_where_it_was_asked_for_or_says_why_not(asked: Asked, start: Start) -> None:
    assert resolve(asked, KEPT_3_TO_5) == start


@pytest.mark.parametrize("asked", ["now", "earliest", 0, Position("k3f9", 0)])
def test_start_in_an_empty_log_is_its_beginning(asked: Asked) -> None:
    assert resolve(asked, Bounds("k3f9", head=0, trimmed=0)) == Start(0)


def test_start_in_a_log_that_keeps_nothing_is_its_head() -> None:
    empty = Bounds("k3f9", head=5, trimmed=5)
    assert resolve("earliest", empty) == resolve(5, empty) == Start(5)
    assert resolve(4, empty) == Start(5, "expired")


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 40))
def test_start_serves_every_event_after_it_or_says_why_not(trimmed: int, kept: int, asked: int) -> None:
    bounds = Bounds("k3f9", head=trimmed + kept, trimmed=trimmed)
    start = resolve(asked, bounds)
    assert bounds.trimmed <= start.after <= bounds.head
    assert (start.after == asked) == (start.reset is None) or start.after == asked == bounds.head


@pytest.mark.parametrize(
    ("since", "parsed"),
    [("now", "now"), ("earliest", "earliest"), ("0", 0), ("042", 42), ("k3f9-42", Position("k3f9", 42))],
)
def test_since_is_a_word_an_offset_or_a_position(since: str, parsed: object) -> None:
    assert parse_since(since) == parsed


@pytest.mark.parametrize("since", ["", "Now", "-1", "+1", "1.5", "٤٢", "²", "1" * 19, "k3f9-", "k3f9-42 ", "latest"])
def test_since_that_is_none_of_these_is_refused(since: str) -> None:
    with pytest.raises(InvalidInput, match="since"):
        parse_since(since)


@pytest.mark.parametrize(
    ("since", "last_event_id", "acknowledged", "asked"),
    [
        (None, None, None, "now"),
        (None, None, 7, 7),
        (None, None, 0, 0),
        ("earliest", None, 7, "earliest"),
        ("now", None, 7, "now"),
        ("earliest", "k3f9-3", 7, Position("k3f9", 3)),
        (None, "k3f9-3", 7, Position("k3f9", 3)),
        ("3", "", 7, 3),
    ],
)
def test_last_event_id_wins_over_since_and_since_over_what_was_acknowledged(
    since: str | None, last_event_id: str | None, acknowledged: int | None, asked: object
) -> None:
    assert wanted(since, last_event_id, acknowledged) == asked


@pytest.mark.parametrize("last_event_id", ["junk", "now", "earliest", "4", "k3f9-", "\x00"])
def test_last_event_id_that_is_no_position_is_of_another_epoch(last_event_id: str) -> None:
    assert resolve(wanted("earliest", last_event_id, 4), KEPT_3_TO_5) == Start(5, "epoch")


@pytest.mark.parametrize("reason", ["expired", "epoch", "ahead"])
def test_refusal_of_a_position_says_what_is_kept(reason: Reason) -> None:
    problem = position_unavailable(reason, KEPT_3_TO_5).to_problem()
    assert (problem["status"], problem["reason"]) == (410, reason)
    assert (problem["earliest"], problem["head"]) == ("k3f9-3", "k3f9-5")
