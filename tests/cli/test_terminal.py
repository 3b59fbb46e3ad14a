"""Hostile text on a terminal: seen, never obeyed."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from app.cli.terminal import first_line, plain


@given(st.text())
def test_plain_text_has_no_character_that_acts(text: str) -> None:
    kinds = {unicodedata.category(char) for char in plain(text) if char not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def test_plain_shows_escape_sequences_instead_of_running_them() -> None:
    assert plain("\x1b]0;owned\x07\x1b[31mred\r\n\u202e\u2028") == "\\x1b]0;owned\\x07\\x1b[31mred\\r\\n\\u202e\\u2028"


def test_plain_leaves_words_of_people_alone() -> None:
    assert plain("größer 写 👩\u200d🚒") == "größer 写 👩\u200d🚒"


def test_first_line_is_the_first_that_says_something() -> None:
    assert first_line("\n\n  pip install x\nthen") == "pip install x"
    assert first_line("") == ""
