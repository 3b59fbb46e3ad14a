"""Patterns mean the same where Python's possessive groups are faulty and are made greedy."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.skills import build_log, masking, pattern
from app.skills.regex import with_greedy_groups

PATTERNS = {
    "unseen": build_log._UNSEEN,
    "piece": build_log._PIECE,
    "prefix": build_log._PREFIX,
    "token": masking._TOKEN,
    "clean": pattern._CLEAN,
}
PIECES = [
    "\x1b[31m",
    "\x9b0K",
    "\x1b]0;title\x07",
    "\r",
    "  ",
    "\t",
    "2026-11-22T08:00:00.000Z ",
    "[12:00:01] ",
    "#1 0.2 ",
    "/home/u/x.py:12",
    "0x7f3a",
    "1.2.3",
    "10 ms",
    "user@host.example",
    "https://a.example/b?c=1",
    "'quoted'",
    "$HOME",
    "error: E0308",
    "(30.2s)",
    "é",
    "\u200d",
    "-",
    ":",
    "[",
    "\\",
    "127.0.0.1:80",
    "550e8400-e29b-41d4-a716-446655440000",
]


@pytest.mark.parametrize(
    ("possessive", "greedy"),
    [
        (r"(?:a|b)?+c", r"(?:a|b)?c"),
        (r"(a){1,6}+", r"(a){1,6}"),
        (r"[ab]*+\)++", r"[ab]*+\)++"),
        (r"a*+(b)+", r"a*+(b)+"),
    ],
)
def test_only_groups_become_greedy(possessive: str, greedy: str) -> None:
    assert with_greedy_groups(possessive) == greedy


@pytest.mark.parametrize("name", PATTERNS)
@given(text=st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5))).map("".join))
def test_greedy_groups_find_the_same(name: str, text: str) -> None:
    compiled = PATTERNS[name]
    greedy = re.compile(with_greedy_groups(compiled.pattern))
    assert [found.span() for found in greedy.finditer(text)] == [found.span() for found in compiled.finditer(text)]
