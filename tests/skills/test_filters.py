"""Filters: any value of a kind, every kind that is given, and everything without one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.skills.filters import EventFilter
from tests.factories import make_event

words = st.frozensets(st.sampled_from("abc"))
an_event = make_event(1, error_type="E", tags=frozenset({"a", "b"}))


@given(st.none() | st.sampled_from("abc"), words)
def test_empty_filter_matches_everything(error_type: str | None, tags: frozenset[str]) -> None:
    assert not EventFilter()
    assert EventFilter().matches(make_event(1, error_type=error_type, tags=tags))


@given(words, words, st.sampled_from("abc"), words)
def test_filter_is_any_of_a_kind_and_all_kinds(
    error_types: frozenset[str], wanted: frozenset[str], error_type: str, tags: frozenset[str]
) -> None:
    event = make_event(1, error_type=error_type, tags=tags)
    each = [EventFilter(error_types=error_types), EventFilter(tags=wanted)]
    assert EventFilter(error_types=error_types, tags=wanted).matches(event) == all(f.matches(event) for f in each)
    assert EventFilter(tags=wanted).matches(event) == (not wanted or bool(wanted & tags))


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (EventFilter(tags=frozenset({"b", "z"})), True),
        (EventFilter(tags=frozenset({"z"})), False),
        (EventFilter(error_types=frozenset({"E", "F"})), True),
        (EventFilter(error_types=frozenset({"e"})), False),
        (EventFilter(types=frozenset({"skill.captured", "skill.retired"})), True),
        (EventFilter(types=frozenset({"skill.retired"})), False),
        (EventFilter(tags=frozenset({"a"}), error_types=frozenset({"F"})), False),
        (EventFilter(tags=frozenset({"a"}), types=frozenset({"skill.captured"})), True),
    ],
)
def test_filter_looks_at_type_error_type_and_tags(wanted: EventFilter, matches: bool) -> None:
    assert wanted.matches(an_event) is matches


def test_revision_is_for_those_who_listen_to_the_error_type_that_was() -> None:
    revised = make_event(1, type="skill.revised", error_type="New", error_type_before="Old")
    assert [EventFilter(error_types=frozenset({each})).matches(revised) for each in ("New", "Old", "Other")] == [
        True,
        True,
        False,
    ]


def test_filter_by_error_type_leaves_out_skills_without_one() -> None:
    assert not EventFilter(error_types=frozenset({"E"})).matches(make_event(1))
