"""Hostile text on a terminal: seen, never obeyed."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from app.skills.plain_text import first_line, lines, plain


@given(st.text())
def test_plain_text_has_no_character_that_acts(text: str) -> None:
    kinds = {unicodedata.category(char) for char in plain(text) if char not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def test_plain_shows_escape_sequences_instead_of_running_them() -> None:
    assert plain("\x1b]0;owned\x07\x1b[31mred\r\n\u202e\u2028") == "\\x1b]0;owned\\x07\\x1b[31mred\\r\\n\\u202e\\u2028"


def test_plain_breaks_what_runners_obey() -> None:
    assert plain("x ##[add-mask]a ##vso[task.x]b ###[c]") == "x ##\\[add-mask]a ##vso\\[task.x]b ###\\[c]"
    assert plain("## [heading] #[attribute]") == "## [heading] #[attribute]"


def test_plain_leaves_words_of_people_alone() -> None:
    assert plain("größer 写 👩\u200d🚒") == "größer 写 👩\u200d🚒"


def test_first_line_is_the_first_that_says_something() -> None:
    assert first_line("\n\n  pip install x\nthen") == "pip install x"
    assert first_line("") == ""


@given(st.text())
def test_lines_of_any_text_do_not_act(text: str) -> None:
    assert all(line == plain(line) for line in lines(text))


def test_lines_keep_the_shape_of_code() -> None:
    assert lines("\nif x:\r\n\ty\n\n") == ["if x:", "    y"]
