"""Skills that came lately, by their words: the small index beside the Tantivy index, which they are not in yet."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

from app.query.patterns import Slot
from app.query.plan import FIELDS, Plan, WordsOf

_WORTHS = list(accumulate(worth for _, worth in reversed(FIELDS)))[::-1]
"""What a word adds by the first field that has it: all fields behind that one have it as well."""


class RecentSkills:
    """Skills that are not in the Tantivy index yet."""

    def __init__(self) -> None:
        self.documents: dict[Slot, tuple[WordsOf, bytes]] = {}
        self.unread: list[Slot] = []
        self.facets: defaultdict[str, set[Slot]] = defaultdict(set)
        self._having: defaultdict[str, list[tuple[Slot, int]]] = defaultdict(list)

    def add(self, slot: Slot, facets: Iterable[str], fields: Sequence[set[str]]) -> None:
        """Take in the words of a skill. Of `fields` each holds the one before, as in `WordsOf.fields`."""
        known: set[str] = set()
        for worth, found in zip(_WORTHS, fields, strict=True):
            entry = slot, worth
            for word in found - known:
                self._having[word].append(entry)
            known = found
        for facet in facets:
            self.facets[facet].add(slot)

    def frequency(self, word: str) -> int:
        return len(self._having.get(word, ()))

    def scores(self, plan: Plan, facets: Sequence[Sequence[str]]) -> dict[Slot, int]:
        found: dict[Slot, int] = {}
        for word, weight in plan.weights:
            for slot, worth in self._having.get(word, ()):
                found[slot] = found.get(slot, 0) + weight * worth
        wanted = self._passing(facets)
        return (
            {slot: score for slot, score in found.items() if all(slot in slots for slots in wanted)}
            if wanted
            else found
        )

    def having_all(self, words: Sequence[str], facets: Sequence[Sequence[str]]) -> set[Slot]:
        having = [{slot for slot, _ in self._having.get(word, ())} for word in words]
        return set.intersection(*having, *self._passing(facets))

    def _passing(self, facets: Sequence[Sequence[str]]) -> list[set[Slot]]:
        return [set().union(*(self.facets.get(each, ()) for each in any_of)) for any_of in facets]
