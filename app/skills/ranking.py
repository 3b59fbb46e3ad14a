"""In which order matches stand, and what they score. Pure: the same figures give the same order everywhere.

First the kind, then how specific the hit is, then words, then confidence, then what is newer. Skills that answer the
same pattern stand side by side, the one first that worked for more agents. Documented in docs/reference/matching.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.skills.pattern import ANYWHERE

Kind = Literal["exact", "masked", "similar"]

_BANDS: dict[str, tuple[float, float]] = {
    "exact": (0.9, 1.0),
    "masked": (0.7, 0.9),
    "plain": (0.05, 0.1),
    "similar": (0.1, 0.69),
}
"""Scores by kind. `plain` is an exact hit of one short everyday word, such as `error`: behind what is similar."""

_TELLING = 8_000
"""Letters and digits of the most specific pattern there can be."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a skill that may fit a message.

    `specificity` is the number of letters and digits of the pattern that stand in the message unmasked. `words` is 0 to 1:
    for `similar` the share of the message's words, by weight, else how much of the rest agrees. `group` is the same for
    skills that answer the same. `newness` is higher for newer skills.
    """

    kind: Kind
    is_plain: bool
    specificity: int
    words: float
    confidence: float
    newness: int
    group: str | None


class _Key(NamedTuple):
    """What is compared, in this order; more is better."""

    band: float
    primary: float
    specificity: int
    words: int
    confidence: float
    newness: int


def score(candidate: Candidate) -> float:
    """0 to 1. Kinds do not overlap; among one kind it grows with how specific the hit is, or how many words agree."""
    low, high = _band(candidate)
    return round(low + (high - low) * _primary(candidate), 4)


def rank(candidates: Sequence[Candidate]) -> list[int]:
    """The places of the candidates, best first, those of one group side by side where the best of them stands."""
    order = sorted(range(len(candidates)), key=lambda place: _key(candidates[place]), reverse=True)
    groups: dict[object, list[int]] = {}
    for place in order:
        candidate = candidates[place]
        groups.setdefault(place if candidate.group is None else (candidate.kind, candidate.group), []).append(place)
    for members in groups.values():
        members.sort(key=lambda place: _trust(candidates[place]), reverse=True)
    return [place for members in groups.values() for place in members]


def _key(candidate: Candidate) -> _Key:
    return _Key(
        _band(candidate)[0],
        round(_primary(candidate), 6),
        candidate.specificity,  # the logarithm makes no difference between the shortest
        round(candidate.words * 16),
        candidate.confidence,
        candidate.newness,
    )


def _trust(candidate: Candidate) -> tuple[float, float, int]:
    """Among alternatives for the same error what worked comes first; if it is the same only when masked, what agrees."""
    words = round(candidate.words * 16)
    first, second = (words, candidate.confidence) if candidate.kind == "masked" else (candidate.confidence, words)
    return first, second, candidate.newness


def _band(candidate: Candidate) -> tuple[float, float]:
    return _BANDS["plain" if candidate.is_plain else candidate.kind]


def _primary(candidate: Candidate) -> float:
    if candidate.kind == "similar":
        return candidate.words
    return min(1.0, math.log1p(max(0, candidate.specificity - ANYWHERE / 2)) / math.log1p(_TELLING))
