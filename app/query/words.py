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
from typing import Any, cast

import tantivy
from tantivy import FieldType, Occur, Order, Query

from app.query.checkpoint import Section
from app.query.patterns import Slot
from app.query.plan import FIELDS, Plan, Scored, WordsOf
from app.query.recent_skills import RecentSkills
from app.skills.words import with_code_words

_AT_LEAST = 3
"""Words that are looked for however common they are."""

_SPARE = 16
"""How many more skills are asked for than are wanted, when some in the index are dead."""

_SETTLE_AT = 1_000
"""Skills beside the Tantivy index, at most, before they are committed to it."""

_CLOCKS = 500_000
"""Words whose clocks are kept. Beyond, all count as touched just then."""

_ADDRESSES = 4_096
"""Skills just found whose place in the index is remembered, for their documents are asked for next."""

_FREQUENCIES = 100_000
"""Words whose frequency in the Tantivy index is remembered: asking for one takes 1.5 µs, a message has thirty."""

_LONGEST_WORD = 64
_WRITTEN = re.compile(r"\w{1,64}")
_BULK_BYTES = 128_000_000
_WRITER_BYTES = 30_000_000
"""Memory that Tantivy's writer may use for what is not committed: when everything is loaded, and afterwards."""


class WordIndex:
    """The skills of one network by their words. Changed and asked on the event loop.

    Tantivy's files are at `place`, where those of a checkpoint may be already, or in memory.
    """

    def __init__(self, offset: int, place: Path | None = None) -> None:
        self._analyzer = _analyzer()
        self._clocks: dict[str, int] = {}
        self._floor = offset
        self._settled_to = offset
        schema = tantivy.SchemaBuilder()
        for name, _ in FIELDS:
            schema.add_text_field(name, tokenizer_name="words", index_option="basic")
        schema.add_text_field("facet", tokenizer_name="raw", index_option="basic")
        schema.add_unsigned_field("slot", indexed=True, fast=True)
        schema.add_bytes_field("document", stored=True)
        self._schema = schema.build()
        # The newest first, for of skills with the same score Tantivy keeps those of a segment that it sees first.
        self._index = tantivy.Index(
            self._schema, path=str(place) if place else None, sort_by_field="slot", sort_order=Order.Desc
        )
        self._index.register_tokenizer("words", self._analyzer)
        self._writer = self._index.writer(_BULK_BYTES, num_threads=1)
        self._searcher = self._index.searcher()
        self._addresses: dict[Slot, tantivy.DocAddress] = {}
        self._frequencies: dict[str, int] = {}
        self._recent = RecentSkills()
        self._settling = RecentSkills()
        self._dead: set[Slot] = set()
        self._dead_words: Counter[str] = Counter()
        self._live = 0
        self._newest: Slot = 0

    def __len__(self) -> int:
        return self._live

    @property
    def dead(self) -> int:
        """How many skills are still in the index that are no longer found."""
        return len(self._dead)

    def load(self, slot: Slot, words: WordsOf, document: bytes) -> None:
        """Take a skill into an index that nobody reads yet; `loaded` ends this."""
        self._writer.add_document(_to_tantivy(slot, words, document))
        self._live += 1
        self._newest = max(self._newest, slot)

    def loaded(self) -> None:
        """All that was loaded is found from now on."""
        self._writer.commit()
        self._writer.wait_merging_threads()
        self._writer = self._index.writer(_WRITER_BYTES, num_threads=1)
        self._refresh()

    def sections(self) -> list[Section]:
        """What Tantivy's files do not have, for a checkpoint; `settle` has just moved all skills to them."""
        return [
            ("words", [(self._live, self._newest)]),
            ("dead", list(self._dead)),
            ("dead_words", list(self._dead_words.items())),
        ]

    def restore(self, name: str, entries: list[Any]) -> None:
        """Take back some entries of a section; `loaded` ends this."""
        if name == "words":
            ((self._live, self._newest),) = entries
        elif name == "dead":
            self._dead.update(entries)
        elif name == "dead_words":
            self._dead_words.update(dict(entries))

    def add(self, slot: Slot, words: WordsOf, document: bytes) -> None:
        """Take a skill in: it is found from now on."""
        self._recent.documents[slot] = (words, document)
        self._recent.unread.append(slot)
        self._live += 1
        self._newest = slot

    def remove(self, slot: Slot, words: WordsOf, offset: int) -> None:
        """Find a skill no longer, as of the event at `offset`. `words` is what it was added with."""
        self._dead.add(slot)
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
        found = [each for each in recent if each.slot not in self._dead and (after is None or each < after)]
        found += self._settled(self._query(plan, facets), count, after, at_least)
        return sorted((each for each in found if each.score >= at_least), reverse=True)[:count]

    def having_all(self, plan: Plan, count: int, facets: Sequence[Sequence[str]] = ()) -> list[Slot]:
        """The newest skills that have every word of the plan, `count` at most."""
        if not plan.weights or plan.unknown:
            return []
        self._read()
        words = [word for word, _ in plan.weights]
        recent = [slot for part in self._beside() for slot in part.having_all(words, facets)]
        terms = [Query.const_score_query(Query.term_query(self._schema, "text", word), 0.0) for word in words]
        query = Query.boolean_query([(Occur.Must, each) for each in (*terms, *self._filters(facets))])
        hits = self._searcher.search(query, count + len(self._dead), count=False, order_by_field="slot").hits
        found = {slot for slot in (*recent, *(slot for slot, _ in hits)) if slot not in self._dead}
        return sorted(found, reverse=True)[:count]

    def document(self, slot: Slot) -> bytes | None:
        """What was added with a skill."""
        for part in self._beside():
            if slot in part.documents:
                return part.documents[slot][1]
        address = self._addresses.get(slot)
        if address is None:
            hits = self._searcher.search(Query.term_query(self._schema, "slot", slot), 1, count=False).hits
            if not hits:
                return None
            address = hits[0][1]
        return cast(bytes, self._searcher.doc(address).get_first("document"))

    async def settle(self, at: int | None = None) -> None:
        """Commit recent skills to the Tantivy index, if they are many, or `at`; in a thread, while others go on asking."""
        if len(self._recent.documents) < (at or _SETTLE_AT):
            return
        self._settling, self._recent = self._recent, RecentSkills()
        await asyncio.to_thread(self._commit, self._settling)
        self._refresh()
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
            self._writer.add_document(_to_tantivy(slot, words, document))
        self._writer.commit()

    def _refresh(self) -> None:
        self._index.reload()
        self._searcher = self._index.searcher()
        self._addresses.clear()  # they are places in the searcher that was
        self._frequencies.clear()

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
        known, found = self._frequencies, {}
        for word in words:
            frequency = known.get(word)
            if frequency is None:
                if len(known) >= _FREQUENCIES:
                    known.clear()
                frequency = known[word] = self._searcher.doc_freq("text", word)
            found[word] = frequency
        if self._dead_words:
            for word in found:
                found[word] -= self._dead_words.get(word, 0)
        for part in self._beside():
            for word in found:
                found[word] += part.frequency(word)
        return found

    def _query(self, plan: Plan, facets: Sequence[Sequence[str]]) -> Query:
        words = [
            (Occur.Should, Query.const_score_query(Query.term_query(self._schema, name, word), float(weight * worth)))
            for word, weight in plan.weights
            for name, worth in FIELDS
        ]
        if not facets:
            return Query.boolean_query(words)
        return Query.boolean_query(
            [(Occur.Must, each) for each in (Query.boolean_query(words), *self._filters(facets))]
        )

    def _filters(self, facets: Sequence[Sequence[str]]) -> list[Query]:
        return [
            Query.const_score_query(Query.term_set_query(self._schema, "facet", list(any_of)), 0.0) for any_of in facets
        ]

    def _settled(self, query: Query, count: int, after: Scored | None, at_least: float) -> list[Scored]:
        """The best in the Tantivy index, `count` or more if there are so many, in no order."""
        found = [] if after is None else self._tied(query, after.score, count, after.slot - 1)
        most = self._enough(count)
        while len(found) < count:
            hits = self._search(query, most)
            is_all = len(hits) < most
            cut = 0.0 if is_all else hits[-1].score
            above = self._living(
                [hit for hit in hits if hit.score > cut and (after is None or hit.score < after.score)]
            )
            missing = count - len(found) - len(above)
            if is_all or cut < at_least or missing <= 0:
                return found + above
            if after is None or cut < after.score:
                tied = self._living([hit for hit in hits if hit.score == cut])
                if len(tied) < missing or self._searcher.num_segments > 1:
                    tied = self._tied(query, cut, missing, self._newest, tied)
                if len(tied) >= missing:
                    return found + above + tied
            most *= 8
        return found

    def _tied(self, query: Query, score: float, count: int, newest: Slot, known: Sequence[Scored] = ()) -> list[Scored]:
        """The `count` newest skills, or more, that have exactly this score, of those up to `newest`; `known` are some.

        Of equal scores Tantivy says those first that are newest in their segment, but one segment after the other. So
        once enough are known, those are sought that are newer than the last that would do, until no more are found.
        """
        oldest, most, tied = 1, 4 * self._enough(count), known
        while True:
            if len(tied) >= count:
                since = sorted(each.slot for each in tied)[-count]
                oldest, most = since, most if since > oldest else 4 * most
            hits = self._search(self._between(query, oldest, newest), most)
            tied = self._living([hit for hit in hits if hit.score == score])
            is_all = len(hits) < most or hits[-1].score < score
            if is_all or (len(tied) >= count and self._searcher.num_segments == 1):
                return tied
            if len(tied) < count:
                most *= 4

    def _between(self, query: Query, oldest: Slot, newest: Slot) -> Query:
        slots = Query.range_query(self._schema, "slot", FieldType.Unsigned, oldest, newest)
        return Query.boolean_query([(Occur.Must, query), (Occur.Must, Query.const_score_query(slots, 0.0))])

    def _enough(self, count: int) -> int:
        """How many to ask for to have `count` that live, most likely, and to see whether there are more."""
        return count + 1 + min(_SPARE, len(self._dead))

    def _search(self, query: Query, most: int) -> list[Scored]:
        """The best, dead ones too, with their slots; of equal scores the newest of each segment."""
        hits = self._searcher.search(query, most, count=False).hits
        addresses = [address for _, address in hits]
        slots = cast(list[Slot], self._searcher.fast_field_values("slot", addresses))
        if len(self._addresses) > _ADDRESSES:
            self._addresses.clear()
        self._addresses.update(zip(slots, addresses, strict=True))
        return [Scored(score, slot) for (score, _), slot in zip(hits, slots, strict=True)]

    def _living(self, found: Sequence[Scored]) -> list[Scored]:
        return [each for each in found if each.slot not in self._dead]


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


def _to_tantivy(slot: Slot, words: WordsOf, document: bytes) -> tantivy.Document:
    made = tantivy.Document()
    for (name, _), text in zip(FIELDS, words.fields, strict=True):
        made.add_text(name, text)
    for facet in words.facets:
        made.add_text("facet", facet)
    made.add_unsigned("slot", slot)
    made.add_bytes("document", document)
    return made
