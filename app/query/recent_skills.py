"""Skills that came lately, by their words: the small index beside the Tantivy index, which they are not in yet."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from app.query.patterns import Slot
from app.query.plan import FIELDS, Plan, WordsOf


class RecentSkills:
    """Skills that are not in the Tantivy index yet."""

    def __init__(self) -> None:
        self.documents: dict[Slot, tuple[WordsOf, bytes]] = {}
        self.unread: list[Slot] = []
        self.facets: defaultdict[str, set[Slot]] = defaultdict(set)
        self._slots: dict[str, defaultdict[str, list[Slot]]] = {name: defaultdict(list) for name, _ in FIELDS}

    def add(self, slot: Slot, facets: Iterable[str], fields: Sequence[set[str]]) -> None:
        for slots, found in zip(self._slots.values(), fields, strict=True):
            for word in found:
                slots[word].append(slot)
        for facet in facets:
            self.facets[facet].add(slot)

    def frequency(self, word: str) -> int:
        return len(self._having("text", word))

    def scores(self, plan: Plan, facets: Sequence[Sequence[str]]) -> dict[Slot, int]:
        found: Counter[Slot] = Counter()
        for word, weight in plan.weights:
            for name, worth in FIELDS:
                for slot in self._having(name, word):
                    found[slot] += weight * worth
        wanted = self._passing(facets)
        return {slot: score for slot, score in found.items() if all(slot in slots for slots in wanted)}

    def having_all(self, words: Sequence[str], facets: Sequence[Sequence[str]]) -> set[Slot]:
        return set.intersection(*(set(self._having("text", word)) for word in words), *self._passing(facets))

    def _having(self, name: str, word: str) -> Sequence[Slot]:
        return self._slots[name].get(word, ())

    def _passing(self, facets: Sequence[Sequence[str]]) -> list[set[Slot]]:
        return [set().union(*(self.facets.get(each, ()) for each in any_of)) for any_of in facets]
