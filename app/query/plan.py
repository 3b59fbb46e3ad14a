"""What the word index is told and says: a skill's words by field, the plan of a question, and how well a skill fits it."""

from collections.abc import Iterable
from typing import NamedTuple

from app.query.patterns import Slot
from app.skills.words import with_code_words

FIELDS = (("title", 10), ("head", 7), ("text", 13))
"""Fields, each with all that stands in those before it, and what a word in it adds: 30 for one in the title (name, error
type, pattern), 20 in the rest of the head (description, tags), 13 in the remaining text (resolution, context)."""

BEST = sum(worth for _, worth in FIELDS)
"""What a word adds that stands in the title."""


class WordsOf(NamedTuple):
    """A skill's text, in parts, and its `facets`, what lists can be filtered by."""

    title: str
    head: str
    text: str
    facets: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, str, str]:
        """The texts of `FIELDS`."""
        head = f"{self.title}\n{self.head}"
        return self.title, head, f"{head}\n{self.text}"


class Plan(NamedTuple):
    """The words of a question that are looked for, the rarest, each with its weight. Equal plans find the same.

    `unknown` is the number of words that no skill has, `bits` the weight of a word that hardly any skill has.
    """

    weights: tuple[tuple[str, int], ...]
    unknown: int
    bits: int


class Scored(NamedTuple):
    """A skill, and how well it fits: for every word its weight times what the field is worth."""

    score: float
    slot: Slot


def words_of(texts: Iterable[str | None]) -> str:
    """Texts as one, for the index."""
    return with_code_words("\n".join([text for text in texts if text]))
