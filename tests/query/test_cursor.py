"""Cursors: what a page gave comes back as it was; anything else is refused, and never breaks a query."""

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.query.cursor import MOST_WORDS, Cursor, WordCursor, parse_cursor, parse_word_cursor, question_of

values = st.none() | st.integers(0, 2**63 - 1) | st.floats(0, 1)


def encode(document: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(document)).decode().rstrip("=")


@given(values, st.text())
def test_cursor_is_read_back_as_it_was_given(value: float | None, skill_id: str) -> None:
    cursor = Cursor(question_of("usage"), value, skill_id)
    assert parse_cursor(str(cursor), cursor.question) == cursor


@given(st.text())
def test_cursor_that_nobody_gave_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        parse_cursor(text, question_of("usage"))


@given(values)
def test_cursor_of_another_question_is_refused(value: float | None) -> None:
    cursor = Cursor(question_of("usage", "a"), value, "id")
    with pytest.raises(InvalidInput, match="other filters or another sort"):
        parse_cursor(str(cursor), question_of("usage", "b"))


@pytest.mark.parametrize(
    "document",
    [
        ["q"],
        ["q", 1],
        ["q", 1, 2],
        ["q", "1", "id"],
        ["q", [1], "id"],
        ["q", 2**63, "id"],
        ["q", 2**64 - 1, "id"],
        ["q", -(2**63), "id"],
        ["q", 1e300, "id"],
        {"q": 1},
        "q1i",
        None,
    ],
)
def test_cursor_of_other_parts_is_refused(document: object) -> None:
    with pytest.raises(InvalidInput):
        parse_cursor(encode(document), "q")


def test_cursor_is_safe_in_a_url() -> None:
    assert str(Cursor("q", 0.3, "\u2028ÿ?/+")).replace("-", "").replace("_", "").isalnum()


def test_question_tells_filters_apart() -> None:
    assert len({question_of("a", None), question_of(None, "a"), question_of(("a",)), question_of("a")}) == 4


weights = st.lists(st.tuples(st.text(), st.integers(0, 63)), max_size=MOST_WORDS).map(tuple)


@given(st.floats(0, 2**62), st.integers(0, 2**63 - 1), weights)
def test_word_cursor_is_read_back_as_it_was_given(
    score: float, slot: int, weights: tuple[tuple[str, int], ...]
) -> None:
    cursor = WordCursor(question_of("server"), score, slot, weights)
    assert parse_word_cursor(str(cursor), cursor.question) == cursor


@given(st.text())
def test_word_cursor_that_nobody_gave_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        parse_word_cursor(text, question_of("server"))


def test_word_cursor_of_another_question_is_refused() -> None:
    cursor = WordCursor(question_of("server"), 30.0, 1, (("server", 3),))
    with pytest.raises(InvalidInput, match="other filters or another sort"):
        parse_word_cursor(str(cursor), question_of("port"))


@pytest.mark.parametrize(
    "document",
    [
        ["q"],
        ["q", 30.0],
        ["q", "30", 1],
        ["q", None, 1],
        ["q", True, 1],
        ["q", [30], 1],
        ["q", 30.0, "1"],
        ["q", 30.0, None],
        ["q", 30.0, 1.0],
        ["q", 30.0, -1],
        ["q", 30.0, 2**63],
        ["q", 2**63, 1],
        ["q", 1e300, 1],
        ["q", 30.0, 1, "server"],
        ["q", 30.0, 1, 3, "server"],
        ["q", 30.0, 1, "server", "3"],
        ["q", 30.0, 1, "server", 3.0],
        ["q", 30.0, 1, "server", 64],
        ["q", 30.0, 1, "server", -1],
        ["q", 30.0, 1, None, 3],
        ["q", 30.0, 1, *["server", 3] * (MOST_WORDS + 1)],
        {"q": 1, "r": 2, "s": 3},
        "q12",
        None,
    ],
)
def test_word_cursor_of_other_parts_is_refused(document: object) -> None:
    with pytest.raises(InvalidInput):
        parse_word_cursor(encode(document), "q")


@pytest.mark.parametrize(("score", "slot"), [(2**63 - 1, 2**63 - 1), (0, 0)])
def test_word_cursor_takes_all_that_63_bits_hold(score: int, slot: int) -> None:
    assert parse_word_cursor(encode(["q", score, slot]), "q") == WordCursor("q", score, slot, ())


def test_word_cursor_is_no_other_cursor() -> None:
    with pytest.raises(InvalidInput):
        parse_cursor(str(WordCursor("q", 30.0, 1, (("server", 3),))), "q")


def test_word_cursor_is_safe_in_a_url() -> None:
    cursor = str(WordCursor("q", 0.3, 7, (("ÿ?/+\u2028", 3),)))
    assert cursor.replace("-", "").replace("_", "").isalnum()
