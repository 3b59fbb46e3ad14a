"""Clocks: when something was last touched, so that what was answered since can be known to be right still.

A list's clocks are those of what it was filtered by, an answer's those of the skills in it. Their time is a count of
changes on this process, which begins anew with each life of the index; a list's `ETag` is the life and the time.
"""

import secrets
from collections.abc import Iterable, Sequence

EVERYTHING = "*"
"""What every change touches."""

Moment = tuple[str, int]
"""A time of the clocks: their life, and how many changes there were in it."""

_MOST = 500_000
"""Clocks kept. Beyond, all are forgotten, and everything counts as touched just then."""


class Clocks:
    """What was touched when."""

    def __init__(self) -> None:
        self._life = secrets.token_hex(3)  # another life counts from 0 again, and its tags must not equal ours
        self._clocks: dict[str, int] = {}
        self._floor = 0
        self._now = 0

    @property
    def now(self) -> Moment:
        """Differs after every change."""
        return self._life, self._now

    def touch(self, keys: Iterable[str]) -> None:
        """One change, of everything that `keys` names."""
        self._now += 1
        if len(self._clocks) > _MOST:
            self._clocks.clear()
            self._floor = self._now
        self._clocks[EVERYTHING] = self._now
        for key in keys:
            self._clocks[key] = self._now

    def newest(self, keys: Iterable[str]) -> int:
        """When any of them was last touched."""
        return max((self._clocks.get(key, self._floor) for key in keys), default=self._floor)

    def tag(self, filters: Sequence[Sequence[str]]) -> str:
        """What differs after each change of what passes all of `filters`, each by any of its keys."""
        time = min((self.newest(any_of) for any_of in filters), default=self.newest([EVERYTHING]))
        return f"{self._life}{time:x}"


def skill_key(skill_id: str) -> str:
    """The clock of one skill."""
    return f"skill:{skill_id}"


def facets(error_type: str | None, agent: str | None, tags: Iterable[str]) -> tuple[str, ...]:
    """What a skill can be filtered by, each as one word; they are the clocks of lists as well."""
    named = (("type", error_type), ("agent", agent))
    return (*(f"{name}:{value}" for name, value in named if value is not None), *(f"tag:{tag}" for tag in tags))
