"""Scripts that put no blanks between words: a word is cut nowhere in them, and each two neighbours are looked for."""

import re
from collections.abc import Iterator

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED = f"{_HAN}\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"
"""Chinese; Thai and Lao, Burmese, Khmer, Japanese."""

WIDE = f"{_UNSPACED}\u1100-\u11ff\uac00-\ud7a3\u3000-\u33ff\u4dc0-\u4dff\uff00-\uff0f\uff1a-\uff65"
"""For a character class: what may touch a quoted value, these scripts, Korean and their marks."""

_RUN = re.compile(f"[{_UNSPACED}]+")
_CHINESE = re.compile(f"[{_HAN}]")


def count_chinese(text: str) -> int:
    """How many of its characters are words, or nearly: each says as much as two letters."""
    return 0 if text.isascii() else len(_CHINESE.findall(text))


def cuts_word(text: str, at: int) -> bool:
    """Whether a letter or digit stands on both sides of a place, of a script that puts blanks between words."""
    if not 0 < at < len(text):
        return False
    sides = text[at - 1 : at + 1]
    return sides[0].isalnum() and sides[1].isalnum() and (sides.isascii() or _RUN.search(sides) is None)


def in_pairs(text: str) -> str:
    """The text with what such scripts write in one piece as pairs of neighbours, which serve as words.

    >>> in_pairs("open: 无法打开")
    'open:  无法 法打 打开 '
    """
    return text if text.isascii() else _RUN.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", text)


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for at in range(len(run) - 1):
        yield run[at : at + 2]
