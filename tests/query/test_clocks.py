"""Clocks: what was touched differs afterwards, what was not stays as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query import clocks
from app.query.clocks import EVERYTHING, Clocks, facets, skill_key

keys = st.sampled_from(["tag:a", "tag:b", "type:E", "agent:x"])
filters = st.lists(st.lists(keys, min_size=1, max_size=2), max_size=2)
touches = st.lists(st.sets(keys), max_size=6)


def test_every_change_moves_the_moment() -> None:
    clock = Clocks()
    moments = [clock.now]
    for touched in ([], ["tag:a"], ["tag:a"]):
        clock.touch(touched)
        moments.append(clock.now)
    assert len(set(moments)) == 4


def test_clock_moves_for_what_was_touched() -> None:
    clock = Clocks()
    clock.touch(["tag:a", "tag:b"])
    clock.touch(["tag:b"])
    assert (clock.newest(["tag:a"]), clock.newest(["tag:b"]), clock.newest(["tag:c"])) == (1, 2, 0)


def test_newest_of_several_is_the_last_that_was_touched() -> None:
    clock = Clocks()
    clock.touch(["tag:a"])
    clock.touch(["tag:b"])
    assert clock.newest(["tag:a", "tag:b", "tag:c"]) == 2


def test_everything_moves_with_every_change() -> None:
    clock = Clocks()
    clock.touch(["tag:a"])
    assert clock.newest([EVERYTHING]) == 1


@given(touches, st.sets(keys), filters)
def test_tag_differs_after_a_change_of_what_passes_the_filters(
    before: list[set[str]], touched: set[str], filters: list[list[str]]
) -> None:
    clock = Clocks()
    for each in before:
        clock.touch(each)
    tag = clock.tag(filters)
    clock.touch(touched)
    if all(touched & set(any_of) for any_of in filters):
        assert clock.tag(filters) != tag


@given(touches, st.lists(keys, min_size=1, max_size=2))
def test_tag_stays_while_nothing_of_the_filter_is_touched(before: list[set[str]], any_of: list[str]) -> None:
    clock = Clocks()
    for each in before:
        clock.touch(each)
    tag = clock.tag([any_of])
    clock.touch(["tag:other"])
    assert clock.tag([any_of]) == tag


def test_tags_of_two_lives_differ() -> None:
    assert Clocks().tag([]) != Clocks().tag([])


def test_moments_of_two_lives_differ() -> None:
    assert Clocks().now != Clocks().now


def test_forgotten_clocks_count_as_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "_MOST", 3)
    clock = Clocks()
    clock.touch(["tag:a", "tag:b", "tag:c", "tag:d"])
    tag = clock.tag([["tag:a"]])
    clock.touch(["tag:e"])
    assert clock.tag([["tag:a"]]) != tag
    assert clock.newest(["tag:never"]) == 2


def test_facets_are_what_lists_are_filtered_by() -> None:
    assert facets("ImportError", "ci", ["python", "pip"]) == ("type:ImportError", "agent:ci", "tag:python", "tag:pip")


def test_facets_leave_out_what_is_not_there() -> None:
    assert facets(None, None, []) == ()


def test_empty_name_is_a_facet_as_well() -> None:
    assert facets("", "", [""]) == ("type:", "agent:", "tag:")


def test_names_of_different_things_do_not_meet() -> None:
    assert len({*facets("a", "a", ["a"]), skill_key("a")}) == 4
