"""Patterns: how they are looked for, and that short ones must stand alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.skills.masking import literals, mask
from app.skills.pattern import (
    ANCHOR_LENGTH,
    Shape,
    is_plain_word,
    read_pattern,
    to_masked,
    to_original,
    unmasked_weight,
    weight,
)

texts = st.lists(
    st.sampled_from(
        ["No module", "'django'", "12", "/srv/a.py:3", "<n>", " ", "\n", "10.0.0.7:5432", "30.2s", "é", '"', "x"]
    )
).map("".join)
patterns = texts.filter(lambda text: bool(text.strip()))


def test_pattern_is_cleaned_as_messages_are() -> None:
    assert read_pattern(" \x1b[31merror:\x1b[0m\t no   space \n").text == "error: no space"


def test_pattern_of_several_lines_loses_its_time_stamps() -> None:
    pattern = read_pattern("2026-01-01T00:00:01Z first line of it\n2026-01-01T00:00:02Z second line of it")
    assert pattern.text == "first line of it\nsecond line of it"


def test_pattern_of_one_line_keeps_its_time_stamp() -> None:
    text = "2026-01-01T00:00:01Z first line of it"
    assert read_pattern(text).text == text


@given(patterns)
def test_pattern_read_again_is_the_same(text: str) -> None:
    once = read_pattern(text)
    assert read_pattern(once.text) == once


@given(patterns)
def test_exact_shape_is_the_text_around_its_anchor(text: str) -> None:
    pattern = read_pattern(text)
    if pattern.anchor is not None:
        assert pattern.exact is not None
        lines_before, lines, offset, length, _ = pattern.exact
        assert pattern.text.startswith(pattern.anchor, offset)
        assert length == len(pattern.text)
        assert (lines_before, lines) == (pattern.text[:offset].count("\n"), pattern.text.count("\n") + 1)


@given(patterns)
def test_masked_shape_is_the_signature_around_the_anchor(text: str) -> None:
    pattern = read_pattern(text)
    if pattern.masked is not None:
        lines_before, lines, offset, length, whole_words = pattern.masked
        assert pattern.anchor is not None
        assert pattern.signature.startswith(pattern.anchor, offset)
        assert length == len(pattern.signature)
        assert (lines_before, lines) == (pattern.signature[:offset].count("\n"), pattern.signature.count("\n") + 1)
        assert not whole_words


@given(patterns)
def test_anchor_of_a_masked_pattern_is_not_masked(text: str) -> None:
    pattern = read_pattern(text)
    if pattern.masked is not None:
        start, end = pattern.masked.offset, pattern.masked.offset + len(pattern.anchor or "")
        assert any(first <= start and end <= last for first, last in literals(mask(pattern.text)))


@given(patterns)
def test_anchor_is_short_and_on_one_line(text: str) -> None:
    anchor = read_pattern(text).anchor
    assert anchor is None or (0 < len(anchor) <= ANCHOR_LENGTH and "\n" not in anchor)


def test_anchor_begins_at_the_longest_word() -> None:
    assert read_pattern("it is in UnicodeDecodeError that we trust").anchor == "UnicodeDecodeErr"


def test_anchor_of_a_long_last_word_ends_with_the_pattern() -> None:
    assert read_pattern("it was a small misunderstanding").anchor == " misunderstanding"[-ANCHOR_LENGTH:]


def test_pattern_with_the_same_text_whatever_is_masked_has_one_signature() -> None:
    one, other = read_pattern("connection to 10.0.0.7:5432 refused"), read_pattern("connection to 10.9.9.9:80 refused")
    assert (one.signature, one.anchor, one.masked) == (other.signature, other.anchor, other.masked)


@pytest.mark.parametrize("text", ["ab", "a b", "==", "..1..2..", "{", "é1"])
def test_pattern_of_fewer_than_three_letters_is_a_whole_line(text: str) -> None:
    assert read_pattern(text).anchor is None


@pytest.mark.parametrize(
    ("text", "anchor"),
    [
        ("404", "404"),
        ("SSL", "SSL"),
        ("a" * 64, "aaa"),
        ("ab" * 32, "aba"),
        ("1111 1111", "111"),
        ("-" * 40 + "aaa" + "-" * 40, "aaa"),
        ("a\nb\nab", "ab"),
        ("超时", "超时"),
    ],
)
def test_pattern_of_two_different_characters_is_whole_words_with_a_short_anchor(text: str, anchor: str) -> None:
    pattern = read_pattern(text)
    assert (pattern.anchor, pattern.masked) == (anchor, None)
    assert pattern.exact is not None
    assert pattern.exact.whole_words


def test_pattern_that_begins_with_a_long_rule_is_found_anywhere() -> None:
    pattern = read_pattern(f"{'=' * 65}\nERROR: AddressSanitizer: heap-use-after-free")
    assert pattern.anchor == "heap-use-after-f"
    assert pattern.exact is not None
    assert not pattern.exact.whole_words


@pytest.mark.parametrize(
    ("text", "whole_words"),
    [("abc", True), ("abcdefg", True), ("ab: cd, ef. g", True), ("abcdefgh", False), ("ab: cd, ef. gh", False)],
)
def test_pattern_of_fewer_than_eight_letters_is_whole_words(text: str, whole_words: bool) -> None:
    assert read_pattern(text).exact == Shape(0, 1, 0, len(text), whole_words)


def test_letters_far_behind_count_as_well() -> None:
    pattern = read_pattern("-=+" * 30 + "abcdefgh")
    assert pattern.exact is not None
    assert not pattern.exact.whole_words


@pytest.mark.parametrize(
    ("text", "is_masked"),
    [
        ("abcdefg 12", False),
        ("abcdefgh 12", True),
        ("abcd 12 efg", False),
        ("abcd 12 efgh", True),
        ("12345678 'abcdefgh'", False),
    ],
)
def test_signature_needs_eight_letters_that_are_not_masked(text: str, is_masked: bool) -> None:
    assert (read_pattern(text).masked is not None) == is_masked


def test_pattern_without_anything_to_mask_is_found_exactly_only() -> None:
    assert read_pattern("ModuleNotFoundError").masked is None


def test_pattern_that_holds_placeholders_is_found_by_what_they_stand_for() -> None:
    pattern = read_pattern("connection to <ip> refused")
    assert pattern.masked is not None
    assert pattern.signature == read_pattern("connection to 10.0.0.7 refused").signature


def test_placeholders_in_a_pattern_are_no_letters_of_its_signature() -> None:
    assert read_pattern("<duration> <version> abc").masked is None


@pytest.mark.parametrize(("text", "expected"), [("", 0), ("a-1 é!", 3), ("<n>", 1), ("a超时", 5)])
def test_weight_counts_letters_and_digits(text: str, expected: int) -> None:
    assert weight(text) == expected


def test_unmasked_weight_leaves_placeholders_out() -> None:
    assert unmasked_weight("took <duration> at <path>, E0308") == 4 + 2 + 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("error", True),
        ("Error", True),
        ("abcdefg", True),
        ("abcdefgh", False),
        ("E0308", False),
        ("FooBar", False),
        ("a b", False),
        ("404", True),
        ("-1.5%", True),
        ("1.2.3.4", True),
        ("v1", False),
        ("超时", False),
        ("ошибка", True),
        ("Échec", True),
        ("ОШИБКА", False),
        ("", False),
    ],
)
def test_plain_word_is_one_short_word_of_everyday_language_or_a_number(text: str, expected: bool) -> None:
    assert is_plain_word(text) is expected


@given(texts)
def test_what_is_not_masked_is_found_back_in_the_original(text: str) -> None:
    masked = mask(text)
    for start, end in literals(masked):
        for at in range(start, end):
            assert to_masked(masked, to_original(masked, at)) == at
            assert masked.text[at] == text[to_original(masked, at)]


@given(texts)
def test_each_character_is_masked_or_found_back(text: str) -> None:
    masked = mask(text)
    for at in range(len(text)):
        there = to_masked(masked, at)
        if there is None:
            assert any(cut.start <= at < cut.end for cut in masked.cuts)
        else:
            assert to_original(masked, there) == at


@given(texts)
def test_place_inside_a_placeholder_is_all_that_was_masked(text: str) -> None:
    masked = mask(text)
    for cut in masked.cuts:
        for at in range(cut.masked_start + 1, cut.masked_end):
            assert to_original(masked, at) == cut.start
            assert to_original(masked, at, is_end=True) == cut.end
        assert to_original(masked, cut.masked_start) == cut.start
        assert to_original(masked, cut.masked_end, is_end=True) == cut.end
