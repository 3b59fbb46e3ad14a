"""A pattern as it is looked for: its text, its signature, and an anchor, a short piece of it that no masking touches.

Anchors are what the automaton holds. Wherever one stands in a message, the pattern or its signature may stand around
it, and whether it does is one look into a dictionary. An anchor has at most `ANCHOR_LENGTH` characters, so no text can
make many of them end at the same place.

Short patterns would match everything, so they must stand alone (documented in docs/reference/matching.md):

* with fewer than `ANYWHERE` letters and digits, or fewer than `ANCHOR_VARIETY` different characters, as whole words;
* with fewer than `WORD` letters and digits, as a whole line;
* a signature with fewer than `ANYWHERE` letters and digits that are not masked matches nothing.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from app.skills.build_log import read_log
from app.skills.masking import Masked, literals, mask
from app.skills.regex import compile_possessive
from app.skills.scripts import count_chinese

ANCHOR_LENGTH = 16
ANCHOR_VARIETY = 3
ANYWHERE = 8
WORD = 3

_SAMPLE = 64
"""Characters of a pattern among which there are different ones, unless it has none."""

_CLEAN = compile_possessive(r"(?:[^\s\x00-\x1f\x7f-\xa0\ufeff]++ ?)*+")
"""One line, single blanks, nothing that acts on a terminal."""

_NUMBER = re.compile(r"[-+]?[0-9]+(?:[.,][0-9]+)*%?")
_SHOUTED = frozenset(
    {"error", "errors", "err", "fail", "failed", "failure", "fatal", "warning", "warn", "panic", "abort", "killed"}
)
"""Words that logs also write in capitals, in which other words are codes, such as `ENOSPC`."""


class Shape(NamedTuple):
    """Where a text stands around its anchor: `offset` characters before it, `length` characters and `lines` lines long.

    `lines_before` of them end before the anchor's line. `whole_words` says that it may not cut a word.
    """

    lines_before: int
    lines: int
    offset: int
    length: int
    whole_words: bool


class Pattern(NamedTuple):
    """`exact` and `masked` are None where the pattern is too short to be found so; without an anchor it is a whole line."""

    text: str
    signature: str
    anchor: str | None
    exact: Shape | None
    masked: Shape | None


def read_pattern(pattern: str) -> Pattern:
    """The pattern, cleaned as messages are: no escape sequences, runs of blanks as one."""
    text = cleaned(pattern)
    masked = mask(text)
    if not _is_word(text):
        return Pattern(text, masked.text, None, None, None)
    if _is_monotonous(text):
        short, at = _short_anchor(text)
        return Pattern(text, masked.text, short, _shape(text, at, whole_words=True), None)
    whole_words = not _is_anywhere(text)
    anchor, masked_at = _anchor(masked)
    if anchor is None:
        anchor, at = _window(text, *max(_lines(text, 0), key=_length))
        return Pattern(text, masked.text, anchor, _shape(text, at, whole_words), None)
    at = to_original(masked, masked_at)
    exact = _shape(text, at, whole_words)
    may_mask = (masked.cuts or "<" in text) and (_is_anywhere(anchor) or unmasked_weight(masked.text) >= ANYWHERE)
    return Pattern(text, masked.text, anchor, exact, _shape(masked.text, masked_at, False) if may_mask else None)


def cleaned(pattern: str) -> str:
    """The pattern as messages are read."""
    if _CLEAN.fullmatch(pattern):
        return pattern.strip()
    lines = read_log(pattern).lines
    return "\n".join([line.text[line.body :] for line in lines]).strip() if len(lines) > 1 else lines[0].text


def _anchor(masked: Masked) -> tuple[str | None, int]:
    """An anchor from the longest piece that is not masked, and where it stands in the masked text."""
    if masked.cuts or "<" in masked.text or "\n" in masked.text:
        pieces = list(literals(masked))
        if "\n" in masked.text:
            pieces = [line for start, end in pieces for line in _lines(masked.text[start:end], start)]
    else:
        pieces = [(0, len(masked.text))]
    for piece in sorted(pieces, key=_length, reverse=True):
        anchor, at = _window(masked.text, *piece)
        if len(set(anchor)) >= ANCHOR_VARIETY and _is_word(anchor):
            return anchor, at
    return None, 0


def _short_anchor(text: str) -> tuple[str, int]:
    """An anchor for a text of one or two characters again and again, such as `404`: hardly any other ends where it does."""
    start, end = max(_lines(text, 0), key=_length)
    while not text[start].isalnum() and end - start > ANCHOR_VARIETY:
        start += 1
    return text[start : min(end, start + ANCHOR_VARIETY)], start


def _is_monotonous(text: str) -> bool:
    return len(set(text[:_SAMPLE])) < ANCHOR_VARIETY and len(set(text)) < ANCHOR_VARIETY


def _telling(at_least: int) -> Callable[[str], bool]:
    """Whether a text weighs so much: `weight` without counting on, in a tenth of its time."""
    found = re.compile(rf"(?:[\W_]*+[^\W_]){{{at_least}}}").match
    return lambda text: found(text) is not None or (not text.isascii() and weight(text) >= at_least)


_is_word = _telling(WORD)
_is_anywhere = _telling(ANYWHERE)


def weight(text: str) -> int:
    """How many letters and digits a text has, Chinese characters twice: how much it tells."""
    return sum(map(str.isalnum, text)) + count_chinese(text)


def unmasked_weight(signature: str) -> int:
    """`weight` without the placeholders."""
    return weight(re.sub(r"<[a-z]+>", "", signature))


def is_plain_word(text: str) -> bool:
    """Whether a text is one short everyday word or a number, such as `error` or `404`: it says little inside a line."""
    if len(text) >= ANYWHERE:
        return False
    if text.isalpha():
        return text.islower() or text.istitle() or text.lower() in _SHOUTED
    return _NUMBER.fullmatch(text) is not None


def to_masked(masked: Masked, at: int) -> int | None:
    """Where a character of the original stands in the masked text; None if it was masked."""
    before = bisect_right(masked.cuts, at, key=lambda cut: cut.start)
    if before == 0:
        return at
    cut = masked.cuts[before - 1]
    return None if at < cut.end else at + cut.masked_end - cut.end


def to_original(masked: Masked, at: int, *, is_end: bool = False) -> int:
    """Where a place of the masked text stands in the original; inside a placeholder, its beginning or its end."""
    before = bisect_left(masked.cuts, at, key=lambda cut: cut.masked_start)
    if before == 0:
        return at
    cut = masked.cuts[before - 1]
    if at < cut.masked_end:
        return cut.end if is_end else cut.start
    return at + cut.end - cut.masked_end


def _shape(text: str, at: int, whole_words: bool) -> Shape:
    return Shape(text.count("\n", 0, at), text.count("\n") + 1, at, len(text), whole_words)


def _lines(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Where each line of a text begins and ends, counted from `start`."""
    for line in text.split("\n"):
        yield start, start + len(line)
        start += len(line) + 1


def _length(piece: tuple[int, int]) -> int:
    return piece[1] - piece[0]


def _window(text: str, start: int, end: int) -> tuple[str, int]:
    """The anchor in a piece of text, and where it begins: at the longest word, which is most likely the rarest."""
    if end - start > ANCHOR_LENGTH:
        longest = max(text[start:end].split(" "), key=len)
        start = min(text.find(longest, start), end - ANCHOR_LENGTH)
    return text[start : min(end, start + ANCHOR_LENGTH)], start
