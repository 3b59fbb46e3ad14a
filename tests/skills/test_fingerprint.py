"""Two captures are the same skill exactly if they differ in white space alone."""

from hypothesis import given
from hypothesis import strategies as st

from app.skills.fingerprint import fingerprint, normalise

words = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1), max_size=5)
spaces = st.text(" \t\r\n\u00a0\u2003\u2028", min_size=1, max_size=3)


@given(st.text())
def test_normalising_again_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(words, st.lists(spaces, min_size=6, max_size=6), st.lists(spaces, min_size=6, max_size=6))
def test_fingerprint_does_not_see_white_space(parts: list[str], one: list[str], other: list[str]) -> None:
    first, second = (
        "".join(space + part for space, part in zip(between, [*parts, ""], strict=False)) for between in (one, other)
    )
    assert fingerprint(first, second, first) == fingerprint(second, first, second)


@given(st.text())
def test_fingerprint_of_normalised_text_is_the_same(text: str) -> None:
    assert fingerprint(text, text, text) == fingerprint(normalise(text), normalise(text), normalise(text))


@given(words, words)
def test_fingerprint_differs_where_words_differ(one: list[str], other: list[str]) -> None:
    same = fingerprint("E", None, " ".join(one)) == fingerprint("E", None, " ".join(other))
    assert same == (" ".join(one) == " ".join(other))


def test_fingerprint_tells_the_fields_apart() -> None:
    assert len({fingerprint("a", "b", "c"), fingerprint("b", "a", "c"), fingerprint("a", None, "b c")}) == 3
    assert fingerprint("a b", None, "c") != fingerprint("a", "b", "c")


def test_fingerprint_sees_case() -> None:
    assert fingerprint("E", "x", "Do it") != fingerprint("E", "x", "do it")


def test_fingerprint_is_64_hex_digits() -> None:
    assert len(bytes.fromhex(fingerprint(None, None, "x"))) == 32
