"""Keyset cursors: a page goes on after the last row that was shown, whatever was captured in the meantime."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import cast

import orjson

from app.errors import InvalidInput

MOST_WORDS = 16
"""Words of a search that are looked for, the rarest; a cursor carries them."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """`value` is what the rows are sorted by, None when that is the id alone; `question` names filters and sort."""

    question: str
    value: int | float | None
    skill_id: str

    def __str__(self) -> str:
        return _encode([self.question, self.value, self.skill_id])


@dataclass(frozen=True, slots=True)
class WordCursor:
    """Goes on in a list that is sorted by words. It brings the words' weights along, so that no score has changed."""

    question: str
    score: float
    slot: int
    weights: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return _encode([self.question, self.score, self.slot, *(part for pair in self.weights for part in pair)])


def question_of(*parts: object) -> str:
    """A short text that is the same exactly for the same question."""
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:12]


def parse_cursor(text: str, question: str) -> Cursor:
    """The cursor that `next_cursor` gave for the same question. Raises `InvalidInput`."""
    value, skill_id = _decode(text, question, 2)
    if not isinstance(skill_id, str) or not (value is None or _is_number(value)):
        raise _no_cursor()
    return Cursor(question, cast(float | None, value), skill_id)


def parse_word_cursor(text: str, question: str) -> WordCursor:
    """The cursor that `next_cursor` gave for the same words. Raises `InvalidInput`."""
    score, slot, *weights = _decode(text, question, None)
    words, numbers = weights[::2], weights[1::2]
    if (
        len(words) != len(numbers)
        or len(words) > MOST_WORDS
        or not all(isinstance(word, str) for word in words)
        or not all(isinstance(number, int) and 0 <= number < 64 for number in numbers)
        or not (_is_number(score) and isinstance(slot, int) and 0 <= slot < 2**63)
    ):
        raise _no_cursor()
    pairs = tuple(zip(cast(list[str], words), cast(list[int], numbers), strict=True))
    return WordCursor(question, cast(float, score), slot, pairs)


def _encode(parts: list[object]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def _decode(text: str, question: str, length: int | None) -> list[object]:
    """What the cursor says beside its question: `length` parts, or two at least."""
    try:
        asked, *parts = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise _no_cursor() from None
    if asked != question:
        raise _bad("belongs to a list with other filters or another sort; start without a cursor")
    if len(parts) != length if length is not None else len(parts) < 2:
        raise _no_cursor()
    return list(parts)


def _is_number(value: object) -> bool:
    """Whether a database can compare with it: made-up cursors may hold integers of more than 63 bits."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**63


def _no_cursor() -> InvalidInput:
    return _bad("is not a cursor; send `next_cursor` of the page before, as it was")


def _bad(message: str) -> InvalidInput:
    return InvalidInput(f"`cursor` {message}.", [("query.cursor", message)])
