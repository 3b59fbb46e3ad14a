"""Keyset cursors: a page goes on after the last row that was shown, whatever was captured in the meantime."""

import base64
import binascii
import hashlib
from dataclasses import dataclass

import orjson

from app.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Cursor:
    """`value` is what the rows are sorted by, None when that is the id alone; `question` names filters and sort."""

    question: str
    value: int | float | None
    skill_id: str

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(orjson.dumps([self.question, self.value, self.skill_id])).decode().rstrip("=")


def question_of(*parts: object) -> str:
    """A short text that is the same exactly for the same question."""
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:12]


def parse_cursor(text: str, question: str) -> Cursor:
    """The cursor that `next_cursor` gave for the same question. Raises `InvalidInput`."""
    try:
        asked, value, skill_id = orjson.loads(
            base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        )
    except (ValueError, TypeError, binascii.Error):
        raise _bad("is not a cursor; send `next_cursor` of the page before, as it was") from None
    if asked != question:
        raise _bad("belongs to a list with other filters or another sort; start without a cursor")
    if not isinstance(skill_id, str) or not _is_place(value):
        raise _bad("is not a cursor; send `next_cursor` of the page before, as it was")
    return Cursor(asked, value, skill_id)


def _is_place(value: object) -> bool:
    """Whether a database can compare with it: made-up cursors may hold integers of more than 63 bits."""
    return value is None or (isinstance(value, int | float) and abs(value) < 2**63)


def _bad(message: str) -> InvalidInput:
    return InvalidInput(f"`cursor` {message}.", [("query.cursor", message)])
