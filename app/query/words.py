"""The word index: skills by the words in them, best first.

A Tantivy index has most of them. Committing to it takes 5 to 100 ms, so what was captured since the last
commit is in a small index of our own beside it, and both are asked. A skill scores the same in either, because the
score is ours: every word of the question that stands in the skill counts its weight, times what the field is worth.

The weight of a word comes from how many skills have it, rounded to a power of two, so a new skill seldom changes the
scores of others: an answer stays right until a skill comes that has enough of its words, or one of its own goes
(docs/decisions/0011).
"""

import asyncio
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tantivy

from app.query.checkpoint import Section
from app.query.patterns import Slot
from app.query.plan import Plan, Scored, WordsOf
from app.query.recent_skills import RecentSkills
from app.query.settled_skills import SettledSkills
from app.skills.words import with_code_words

_AT_LEAST = 3
"""Words that are looked for however common they are."""

_SETTLE_AT = 1_000
"""Skills beside the Tantivy index, at most, before they are committed to it."""

_CLOCKS = 500_000
"""Words whose clocks are kept. Beyond, all count as touched just then."""

_LONGEST_WORD = 64
_WRITTEN = re.compile(r"\w{1,64}")


class WordIndex:
    """The skills of one network by their words. Changed and asked on the event loop.

    Tantivy's files are at `place`, where those of a checkpoint may be already, or in memory.
    """

    def __init__(self, offset: int, place: Path | None = None) -> None:
        self._analyzer = _analyzer()
        self._clocks: dict[str, int] = {}
        self._floor = offset
        self._settled_to = offset
        self._settled = SettledSkills(self._analyzer, place)
        self._recent = RecentSkills()
        self._settling = RecentSkills()
        self._dead_words: Counter[str] = Counter()
        self._live = 0

    def __len__(self) -> int:
        return self._live

    @property
    def dead(self) -> int:
        """How many skills are still in the index that are no longer found."""
        return len(self._settled.dead)

    def load(self, slot: Slot, words: WordsOf, document: bytes) -> None:
        """Take a skill into an index that nobody reads yet; `loaded` ends this."""
        self._settled.add(slot, words, document)
        self._live += 1

    def loaded(self) -> None:
        """All that was loaded is found from now on."""
        self._settled.finish()

    def sections(self) -> list[Section]:
        """What Tantivy's files do not have, for a checkpoint; `settle` has just moved all skills to them."""
        return [
            ("words", [self._live]),
            ("dead", list(self._settled.dead)),
            ("dead_words", list(self._dead_words.items())),
        ]

    def restore(self, name: str, entries: list[Any]) -> None:
        """Take back some entries of a section; `loaded` ends this."""
        if name == "words":
            (self._live,) = entries
        elif name == "dead":
            self._settled.dead.update(entries)
        elif name == "dead_words":
            self._dead_words.update(dict(entries))

    def add(self, slot: Slot, words: WordsOf, document: bytes) -> None:
        """Take a skill in: it is found from now on."""
        self._recent.documents[slot] = (words, document)
        self._recent.unread.append(slot)
        self._live += 1

    def remove(self, slot: Slot, words: WordsOf, offset: int) -> None:
        """Find a skill no longer, as of the event at `offset`. `words` is what it was added with."""
        self._settled.dead.add(slot)
        found = self._words(words)[-1]
        self._dead_words.update(found)
        self._touch(found, offset)
        self._live -= 1

    def best_since(self, plan: Plan, facets: Sequence[Sequence[str]], offset: int) -> float:
        """The best score of a skill that came after an offset, or more; infinity if that is too long ago to tell."""
        if offset < self._settled_to:
            return math.inf
        self._read()
        return max(
            (score for part in self._beside() for slot, score in part.scores(plan, facets).items() if slot > offset),
            default=0.0,
        )

    def newest_clock(self, plan: Plan) -> int:
        """The offset that last touched one of the words."""
        self._read()
        return max((self._clocks.get(word, self._floor) for word, _ in plan.weights), default=0)

    def split(self, text: str) -> set[str]:
        """The words of a text, as the index has them: in lower case, and without what grammar puts at their ends."""
        return set(self._analyzer.analyze(text))

    def forms(self, text: str, plan: Plan) -> dict[str, str]:
        """How the words of a plan are written in the text that it was made from."""
        planned = {word for word, _ in plan.weights}
        forms: dict[str, str] = {}
        for written in dict.fromkeys(_WRITTEN.findall(with_code_words(text))):
            for word in planned.intersection(self.split(written)):
                forms.setdefault(word, written)
            if len(forms) == len(planned):
                break
        return forms

    def shared(self, plan: Plan, skill: WordsOf) -> list[str]:
        """The words of a plan that a skill has, the rarest first."""
        has = self._words(skill)[-1]
        return [word for word, _ in sorted(plan.weights, key=lambda each: -each[1]) if word in has]

    def plan(self, text: str, most: int, skills: int) -> Plan:
        """Which words of a text to look for: of those that some skill has, the rarest, `most` of them.

        Fewer, if they are common: so many that together they are in about `skills` skills.
        """
        self._read()
        bits = self._live.bit_length() + 1
        words = self.split(with_code_words(unicodedata.normalize("NFC", text)))  # as skills are kept
        frequencies = self._frequencies_of(words).items()
        known = [(max(1, bits - count.bit_length()), word) for word, count in frequencies if count > 0]
        known.sort(reverse=True)
        weights = [(word, weight) for weight, word in known[:most]]
        return Plan(_few_enough(weights, bits, skills), len(words) - len(known), bits)

    def best(
        self,
        plan: Plan,
        count: int,
        facets: Sequence[Sequence[str]] = (),
        after: Scored | None = None,
        at_least: float = 0.0,
    ) -> list[Scored]:
        """The `count` best skills that have a word of the plan, newer ones first among equals.

        `facets` must all hold, each by any of its values. `after` goes on behind what was found before. Skills with a
        score below `at_least` are left out.
        """
        if not plan.weights:
            return []
        self._read()
        recent = [Scored(score, slot) for part in self._beside() for slot, score in part.scores(plan, facets).items()]
        found = [each for each in recent if each.slot not in self._settled.dead and (after is None or each < after)]
        found += self._settled.best(plan, count, facets, after, at_least)
        return sorted((each for each in found if each.score >= at_least), reverse=True)[:count]

    def having_all(self, plan: Plan, facets: Sequence[Sequence[str]] = ()) -> list[Slot]:
        """The skills that have every word of the plan, the newest first."""
        if not plan.weights or plan.unknown:
            return []
        self._read()
        words = [word for word, _ in plan.weights]
        found = {slot for part in self._beside() for slot in part.having_all(words, facets)}
        found.update(self._settled.having_all(words, facets))
        return sorted(found - self._settled.dead, reverse=True)

    def document(self, slot: Slot) -> bytes | None:
        """What was added with a skill."""
        for part in self._beside():
            if slot in part.documents:
                return part.documents[slot][1]
        return self._settled.document(slot)

    async def settle(self, at: int | None = None) -> None:
        """Commit recent skills to the Tantivy index, if they are many, or `at`; in a thread, while others go on asking."""
        if len(self._recent.documents) < (at or _SETTLE_AT):
            return
        self._settling, self._recent = self._recent, RecentSkills()
        await asyncio.to_thread(self._commit, self._settling)
        self._settled.refresh()
        if self._settling.unread:
            # Nobody has asked since. Which words came is not known, so whatever was answered before is looked at again.
            self._clocks.clear()
            self._floor = max(self._settling.unread)
        self._settled_to = max(self._settling.documents)
        self._settling = RecentSkills()

    def _read(self) -> None:
        """Look at what came since the last question. Nobody asks during an import, which then goes a third faster."""
        for part in self._beside():
            for slot in part.unread:
                words = part.documents[slot][0]
                fields = self._words(words)
                part.add(slot, words.facets, fields)
                self._touch(fields[-1], slot)
            part.unread.clear()

    def _touch(self, words: Iterable[str], offset: int) -> None:
        if len(self._clocks) > _CLOCKS:
            self._clocks.clear()
            self._floor = offset
        for word in words:
            if self._clocks.get(word, 0) < offset:
                self._clocks[word] = offset

    def _commit(self, recent: RecentSkills) -> None:
        for slot, (words, document) in recent.documents.items():
            self._settled.add(slot, words, document)
        self._settled.commit()

    def _beside(self) -> list[RecentSkills]:
        """What is not in the Tantivy index yet, if there is anything; the older first."""
        return [part for part in (self._settling, self._recent) if part.documents]

    def _words(self, skill: WordsOf) -> list[set[str]]:
        """The words of `skill.fields`, of which each holds the one before."""
        title = self.split(skill.title)
        head = title | self.split(skill.head)
        return [title, head, head | self.split(skill.text)]

    def _frequencies_of(self, words: Iterable[str]) -> dict[str, int]:
        """How many living skills have each word."""
        found = {word: self._settled.frequency(word) for word in words}
        if self._dead_words:
            for word in found:
                found[word] -= self._dead_words.get(word, 0)
        for part in self._beside():
            for word in found:
                found[word] += part.frequency(word)
        return found


def _few_enough(weights: Sequence[tuple[str, int]], bits: int, most: int) -> tuple[tuple[str, int], ...]:
    """The first, rarest words, as many as together are in no more than about `most` skills; three at least.

    Frequencies are those that the weights stand for, so that it changes no more often than they do.
    """
    skills = 0
    for place, (_, weight) in enumerate(weights):
        skills += 1 << (bits - weight)
        if place >= _AT_LEAST and skills > most:
            return tuple(weights[:place])
    return tuple(weights)


def _analyzer() -> tantivy.TextAnalyzer:
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(_LONGEST_WORD + 1))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.stopword("english"))
        .filter(tantivy.Filter.stemmer("english"))
        .build()
    )
