"""A position: one place in the life of one log, written `<epoch>-<offset>` and carried as the SSE `id:`."""

import re
from typing import NamedTuple, Self

_POSITION = re.compile(r"([a-z0-9]{1,16})-(0|[1-9][0-9]{0,17})")


class Position(NamedTuple):
    """An offset alone is not enough: a log that was restored or rebuilt counts from the same numbers again."""

    epoch: str
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The position that `text` names, or None if it names none. At most 18 digits, so it fits 64 bits."""
        found = _POSITION.fullmatch(text)
        return cls(found[1], int(found[2])) if found else None

    def __str__(self) -> str:
        return f"{self.epoch}-{self.offset}"
