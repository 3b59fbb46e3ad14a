"""Plain text: what strangers wrote is shown, and never acts."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.skills.plain_text import first_line, lines, plain

anything = st.text(st.characters())  # with surrogates, controls and private use
marked = st.text(st.sampled_from("#[]vso\\: \n\t"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("pip install django", "pip install django"),
        ("naïve — 日本語 🎉", "naïve — 日本語 🎉"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\r\tc\x00\x7f", "a\\nb\\r\\tc\\x00\\x7f"),
        ("one\u2028two\u2029three\x85four", "one\\u2028two\\u2029three\\x85four"),
        ("access\u202elevel\u2066", "access\\u202elevel\\u2066"),
        ("zero\u200bwidth\ufeff\u00ad", "zero\\u200bwidth\\ufeff\\xad"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("private\ue000", "private\\ue000"),
        ("half\ud83d", "half\\ud83d"),
    ],
)
def test_what_acts_is_written_as_its_escape(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize("text", ["👩\u200d🔬", "\u0645\u06cc\u200c\u062e"])
def test_joiners_stay(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize("text", ["##[error]", "x ##[add-mask]y", "##vso[task.setvariable]", "###[group]"])
def test_mark_of_a_runner_is_broken(text: str) -> None:
    assert plain(text) == text.replace("[", "\\[")


@pytest.mark.parametrize("text", ["# [1]", "#[derive(Debug)]", "## heading [1]", "a[0]"])
def test_what_is_no_mark_of_a_runner_stays(text: str) -> None:
    assert plain(text) == text


@given(anything | marked)
def test_nothing_shown_acts(text: str) -> None:
    shown = plain(text)
    assert not re.search(r"##\w*\[", shown)
    for char in shown:
        assert unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} or char in "\u200c\u200d"


@given(anything)
def test_plain_text_is_one_line_that_can_be_sent(text: str) -> None:
    assert len(plain(text).splitlines()) <= 1
    plain(text).encode()


@given(anything | marked)
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize(
    ("text", "shown"), [("", ""), ("\n \n", ""), ("\r\n  one \ntwo", "one"), ("\x1b[0m\ntwo", "\\x1b[0m")]
)
def test_first_line_is_the_first_that_says_something(text: str, shown: str) -> None:
    assert first_line(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one", ["one"]),
        ("\none\r\n\ttwo\n\n", ["one", "    two"]),
        ("one\n\ntwo", ["one", "", "two"]),
        ("one\rtwo\u2028three", ["one\\rtwo\\u2028three"]),
    ],
)
def test_lines_keep_their_shape(text: str, shown: list[str]) -> None:
    assert lines(text) == shown


@given(anything | marked)
def test_each_line_is_plain(text: str) -> None:
    assert [plain(line) for line in lines(text)] == lines(text)
