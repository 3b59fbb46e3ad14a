"""The glossary has the words that the program and its docs use."""

import re

import pytest

from docs.generate import ROOT

GLOSSARY = (ROOT / "docs/glossary.md").read_text()
WORDS = re.findall(r"^\| \*\*(.+?)\*\* \|", GLOSSARY, re.MULTILINE)


@pytest.mark.parametrize(
    "word",
    [
        "skill",
        "network",
        "agent",
        "capture",
        "match",
        "event",
        "offset",
        "epoch",
        "position",
        "head",
        "earliest",
    ],
)
def test_glossary_has_the_words_of_the_wire(word: str) -> None:
    assert word in WORDS


def test_glossary_is_in_order_and_has_each_word_once() -> None:
    assert sorted(set(WORDS)) == WORDS
