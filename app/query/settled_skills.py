"""The word index's settled part: a Tantivy index of the skills of one network, but for those that came lately.

A skill's score is the sum of constants, one for each word and field, so what can be said of skills that lack a word is
known beforehand: they score less than the most that the other words can add up to. Where enough skills have all words
and score more, no other skill needs to be looked at.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import tantivy
from tantivy import FieldType, Occur, Order, Query

from app.query.patterns import Slot
from app.query.plan import FIELDS, Plan, Scored, WordsOf

_SPARE = 16
"""How many more skills are asked for than are wanted, when some in the index are dead."""

_MANY = 5_000
"""Skills that have one of the words. Of so many, those are looked at first that have all words, then those that have the
rarest; of fewer all at once."""

_NEWEST: Slot = (1 << 63) - 1
"""No skill is newer."""

_ADDRESSES = 4_096
"""Skills just found whose place in the index is remembered, for their documents are asked for next."""

_WORDS = 100_000
"""Words whose frequency, and whose terms, are remembered: asking for one takes 1.5 µs, a message has thirty."""

_BULK_BYTES = 128_000_000
_WRITER_BYTES = 30_000_000
"""Memory that Tantivy's writer may use for what is not committed: when everything is loaded, and afterwards."""


class _Term(NamedTuple):
    """A word in one of the fields, and what it is worth there."""

    query: Query
    worth: int


_Weighed = tuple[int, list[_Term]]
"""A word's weight in a question, and its terms: the last one has all its skills."""


class SettledSkills:
    """Skills in a Tantivy index, asked on the event loop. Its files are at `place`, or in memory.

    `dead` are the skills that are no longer found; whoever has the index adds to them.
    """

    def __init__(self, analyzer: tantivy.TextAnalyzer, place: Path | None) -> None:
        self.dead: set[Slot] = set()
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
        self._index.register_tokenizer("words", analyzer)
        self._writer = self._index.writer(_BULK_BYTES, num_threads=1)
        self._searcher = self._index.searcher()
        self._addresses: dict[Slot, tantivy.DocAddress] = {}
        self._frequencies: dict[str, int] = {}
        self._terms: dict[str, list[_Term]] = {}

    def add(self, slot: Slot, words: WordsOf, document: bytes) -> None:
        """Take a skill in; `commit` and `refresh` end this."""
        self._writer.add_document(_to_tantivy(slot, words, document))

    def commit(self) -> None:
        """Put what was added where it can be found. Takes 5 to 100 ms, and may be done in a thread."""
        self._writer.commit()

    def finish(self) -> None:
        """The same, for all that is there at the start, and in as few segments as can be."""
        self._writer.commit()
        self._writer.wait_merging_threads()
        self._writer = self._index.writer(_WRITER_BYTES, num_threads=1)
        self.refresh()

    def refresh(self) -> None:
        """Find what was committed from now on."""
        self._index.reload()
        self._searcher = self._index.searcher()
        self._addresses.clear()  # they are places in the searcher that was
        self._frequencies.clear()
        self._terms.clear()

    def document(self, slot: Slot) -> bytes | None:
        """What was added with a skill."""
        address = self._addresses.get(slot)
        if address is None:
            hits = self._searcher.search(Query.term_query(self._schema, "slot", slot), 1, count=False).hits
            if not hits:
                return None
            address = hits[0][1]
        return cast(bytes, self._searcher.doc(address).get_first("document"))

    def frequency(self, word: str) -> int:
        """How many skills have the word, dead ones among them."""
        found = self._frequencies.get(word)
        if found is None:
            if len(self._frequencies) >= _WORDS:
                self._frequencies.clear()
            found = self._frequencies[word] = self._searcher.doc_freq("text", word)
        return found

    def having_all(self, words: Sequence[str], facets: Sequence[Sequence[str]]) -> list[Slot]:
        """The skills that have all of the words, dead ones too."""
        terms = [Query.const_score_query(Query.term_query(self._schema, "text", word), 0.0) for word in words]
        query = Query.boolean_query([(Occur.Must, each) for each in (*terms, *self._filters(facets))])
        most = max(1, self._searcher.num_docs)
        return [slot for slot, _ in self._searcher.search(query, most, count=False, order_by_field="slot").hits]

    def best(
        self, plan: Plan, count: int, facets: Sequence[Sequence[str]], after: Scored | None, at_least: float
    ) -> list[Scored]:
        """The best living skills, `count` or more if there are so many, in no order."""
        words = list(self._weighed(plan))
        if sum(self.frequency(word) for word, _ in plan.weights) > _MANY:
            most = [weight * sum(term.worth for term in terms) for weight, terms in words]
            # Those that lack a word, and those that lack the rarest, score no more than this.
            for needed, most_of_others in ((len(words), sum(most) - min(most)), (1, sum(most[1:]))):
                found = self._best(self._having(words, needed, facets), count, after, at_least)
                if len(found) >= count and sorted(found)[-count].score > most_of_others:
                    return found
        return self._best(self._query(words, facets), count, after, at_least)

    def _weighed(self, plan: Plan) -> Iterator[_Weighed]:
        """The words of the plan that some skill has."""
        for word, weight in plan.weights:
            if terms := self._terms_of(word):
                yield weight, terms

    def _terms_of(self, word: str) -> list[_Term]:
        """A word in the fields where some skill has it."""
        found = self._terms.get(word)
        if found is None:
            if len(self._terms) >= _WORDS:
                self._terms.clear()
            found = self._terms[word] = [
                _Term(Query.term_query(self._schema, name, word), worth)
                for name, worth in FIELDS
                if self._searcher.doc_freq(name, word)
            ]
        return found

    def _query(self, words: Iterable[_Weighed], facets: Sequence[Sequence[str]]) -> Query:
        """Skills that have any of the words, with their scores."""
        terms = [(Occur.Should, _scored(term, weight)) for weight, terms in words for term in terms]
        return self._filtered(Query.boolean_query(terms), facets)

    def _having(self, words: Sequence[_Weighed], needed: int, facets: Sequence[Sequence[str]]) -> Query:
        """Skills that have the first `needed` of the words, with their scores."""
        query = Query.boolean_query([(Occur.Must, _scored(terms[-1], weight)) for weight, terms in words[:needed]])
        for place, (weight, terms) in enumerate(words):
            for term in terms[:-1] if place < needed else terms:
                # One around the other: of several optional ones in one query Tantivy reads every skill.
                query = Query.boolean_query([(Occur.Must, query), (Occur.Should, _scored(term, weight))])
        return self._filtered(query, facets)

    def _filtered(self, query: Query, facets: Sequence[Sequence[str]]) -> Query:
        if not facets:
            return query
        return Query.boolean_query([(Occur.Must, each) for each in (query, *self._filters(facets))])

    def _filters(self, facets: Sequence[Sequence[str]]) -> list[Query]:
        return [
            Query.const_score_query(Query.term_set_query(self._schema, "facet", list(any_of)), 0.0) for any_of in facets
        ]

    def _best(self, query: Query, count: int, after: Scored | None, at_least: float) -> list[Scored]:
        """The best living skills that a query finds, `count` or more if there are so many, in no order."""
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
                    tied = self._tied(query, cut, missing, _NEWEST, tied)
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
        return count + 1 + min(_SPARE, len(self.dead))

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
        return [each for each in found if each.slot not in self.dead]


def _scored(term: _Term, weight: int) -> Query:
    return Query.const_score_query(term.query, float(weight * term.worth))


def _to_tantivy(slot: Slot, words: WordsOf, document: bytes) -> tantivy.Document:
    made = tantivy.Document()
    for (name, _), text in zip(FIELDS, words.fields, strict=True):
        made.add_text(name, text)
    for facet in words.facets:
        made.add_text("facet", facet)
    made.add_unsigned("slot", slot)
    made.add_bytes("document", document)
    return made
