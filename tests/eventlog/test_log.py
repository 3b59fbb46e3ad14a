"""The tail of the log: what it gives follows without a hole, or it gives nothing."""

from hypothesis import given
from hypothesis import strategies as st

from app.eventlog.events import PAGE_EVENTS
from app.eventlog.tail import Tail
from tests.factories import make_event

commits = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5)), max_size=30)


def filled(commits: list[tuple[int, int]]) -> tuple[Tail, set[int], int]:
    """A tail after commits of so many events, each after so many of another process; what was given to it, and the head."""
    tail, given_to_it, head = Tail(), set[int](), 0
    for others, own in commits:
        head += others
        tail.extend([make_event(offset) for offset in range(head + 1, head + own + 1)])
        given_to_it |= set(range(head + 1, head + own + 1))
        head += own
    return tail, given_to_it, head


@given(commits, st.integers(0, 160))
def test_tail_never_serves_a_hole(commits: list[tuple[int, int]], after: int) -> None:
    tail, _, head = filled(commits)
    page = tail.after(after)
    if page is not None:
        assert [event.offset for event in page.events] == list(range(after + 1, head + 1))
        assert page.end == head


@given(commits)
def test_tail_serves_the_last_commit(commits: list[tuple[int, int]]) -> None:
    tail, _, head = filled([*commits, (0, 1)])
    page = tail.after(head - 1)
    assert page is not None
    assert [event.offset for event in page.events] == [head]


def test_tail_at_the_head_has_nothing() -> None:
    tail, _, head = filled([(0, 3)])
    assert tail.after(head) is None


def test_empty_tail_has_nothing() -> None:
    assert Tail().after(0) is None


def test_tail_is_bounded() -> None:
    tail, _, head = filled([(0, PAGE_EVENTS * 3)])
    assert tail.after(head - PAGE_EVENTS - 1) is None
    page = tail.after(head - PAGE_EVENTS)
    assert page is not None
    assert len(page.events) == PAGE_EVENTS
