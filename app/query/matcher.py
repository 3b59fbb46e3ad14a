"""The matcher: answers questions from a network's skill index, through the cache.

There is one path. What does the index know of the question: its words, the patterns in it? Is a kept answer right by
that? If not, it is found anew. What is looked at is looked at once for each request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import orjson

from app.eventlog.network import Network
from app.models.position import Position
from app.query.answer_cache import Answer, AnswerCache, Considered, Standing, make_etag
from app.query.clocks import Moment
from app.query.cursor import MOST_WORDS, WordCursor, parse_word_cursor, question_of
from app.query.follower import Follower
from app.query.matching import WORDS, Match, find_matches
from app.query.patterns import Hit, PatternIndex, TooManyPlaces
from app.query.plan import Plan, Scored
from app.query.question import MatchQuestion, SearchQuestion
from app.query.rendering import Rendered, position_last
from app.query.skill_index import Known, SkillIndex
from app.query.words import WordIndex

_INLINE = 64 * 1024
"""Characters of a message that is read on the event loop, in 3 ms; longer ones take a thread."""

_MATCH_SKILLS = 4_000
_SEARCH_SKILLS = 20_000
"""Skills whose scores are added up for one question, about; 10,000 take 1 ms. Only common words take it that far."""

_EVERY = 1 << 30
"""A bound that bounds nothing."""

_POINTED_AT = 100

_INLINE_LOOKS = 5_000
"""Places and shapes that are looked at on the event loop, in as much time."""

_MEANWHILE = ThreadPoolExecutor(2, "cin-telling")
"""Finds the lines that tell while patterns are sought, which lets go of the interpreter."""

Render = Callable[[Sequence[Match]], Rendered]


class _Seen(NamedTuple):
    """What the index knew of a question at an offset."""

    offset: int
    hits: list[Hit]
    plan: Plan

    def stands(self) -> tuple[Standing, ...]:
        """The patterns that stand in the message, and which skills have them: none any more, if they were just retired."""
        return tuple(Standing(hit.kind, hit.text, len(hit.slots), next(reversed(hit.slots), 0)) for hit in self.hits)


class Ready(NamedTuple):
    """An answer to send."""

    body: bytes
    etag: str


class _Answered(NamedTuple):
    """A body, the skills that were considered for it, and what a new one must score at least to be one of them."""

    rendered: Rendered
    considered: list[Known]
    floor: float


class Matcher:
    """Matches and searches the skills of one network."""

    def __init__(self, network: Network, follower: Follower, cache: AnswerCache) -> None:
        self._network = network
        self._follower = follower
        self._cache = cache

    async def match(self, question: MatchQuestion, render: Render) -> Ready:
        """The skills that fit a message, best first, as `render` writes them. Raises `Unavailable`."""
        index = await self._follower.current()

        async def look() -> _Seen:
            offset = index.offset
            hits = await _find_patterns(index.patterns, question)
            return _Seen(offset, hits, index.words.plan(question.telling, WORDS, _MATCH_SKILLS))

        def find(seen: _Seen) -> _Answered:
            found = find_matches(index, question, seen.hits, seen.plan)
            return _Answered(render(found.matches), found.considered, found.floor)

        return await self._answer(index, question.key(self._network.id, render.__name__), look, find)

    async def search(self, question: SearchQuestion) -> Ready:
        """One page of the skills that have some of the words, those first that fit best. Raises `InvalidInput` for a
        cursor that is not one, `Unavailable`."""
        name = question_of("relevance", question.words, *question.filters)
        cursor = parse_word_cursor(question.cursor, name) if question.cursor else None
        index = await self._follower.current()

        async def look() -> _Seen:
            if cursor:
                return _Seen(index.offset, [], Plan(cursor.weights, 0, 0))
            return _Seen(index.offset, [], index.words.plan(question.words, MOST_WORDS, _SEARCH_SKILLS))

        def find(seen: _Seen) -> _Answered:
            after = Scored(cursor.score, cursor.slot) if cursor else None
            scored = index.words.best(seen.plan, question.limit + 1, question.filters, after)
            page = scored[: question.limit]
            considered = [known for each in scored if (known := index.get(each.slot))]
            skills = considered[: question.limit]
            scores = {each.slot: each.score for each in page}
            skills.sort(key=lambda known: (scores[known.slot], known.document["confidence"], known.slot), reverse=True)
            more = str(WordCursor(name, *page[-1], seen.plan.weights)) if len(scored) > len(page) else None
            cursor_json = orjson.dumps({"next_cursor": more})[1:-1]
            body = b'{"skills":[%s],%s' % (b",".join(known.json for known in skills), cursor_json)
            return _Answered(position_last(body), considered, scored[-1].score if more else 0.0)

        return await self._answer(index, question.key(self._network.id), look, find, question.filters)

    async def having_all(self, question: SearchQuestion) -> frozenset[str]:
        """The ids of the skills that have all of the words. Raises `Unavailable`."""
        index = await self._follower.current()
        plan = index.words.plan(question.words, _EVERY, _EVERY)
        return index.ids(index.words.having_all(plan, question.filters))

    async def _answer(
        self,
        index: SkillIndex,
        key: bytes,
        look: Callable[[], Awaitable[_Seen]],
        find: Callable[[_Seen], _Answered],
        filters: Sequence[Sequence[str]] = (),
    ) -> Ready:
        looked: tuple[Moment, _Seen] | None = None

        async def seen() -> _Seen:
            nonlocal looked
            if looked is None or looked[0] != index.clocks.now:
                looked = index.clocks.now, await look()
            return looked[1]

        async def is_right(answer: Answer) -> bool:
            present = await seen()
            return (
                answer.offset <= present.offset  # else another process found it that is ahead of this one
                and present.plan == answer.plan
                and present.stands() == answer.standing
                and _words_hold(index.words, answer, filters)
                and all(index.is_still(*skill) for skill in answer.considered)
            )

        async def find_anew() -> Answer:
            present = await seen()
            (body, position_at), skills, floor = find(present)
            considered = tuple(
                Considered(k.document["id"], k.slot, k.document["captures"], k.document["usage_count"]) for k in skills
            )
            return Answer(
                body, position_at, make_etag(body), present.offset, present.plan, present.stands(), considered, floor
            )

        answer = await self._cache.answer(key, lambda: index.clocks.now, is_right, find_anew)
        # Right at this moment, so it says this position, whenever it was found.
        position = str(Position(self._network.epoch, index.offset)).encode()
        return Ready(answer.body[: answer.position_at] + position + answer.body[answer.position_at :], answer.etag)


def _words_hold(words: WordIndex, answer: Answer, filters: Sequence[Sequence[str]]) -> bool:
    """Whether no skill has come since with enough of the answer's words to be in it."""
    return (
        words.newest_clock(answer.plan) <= answer.offset
        or words.best_since(answer.plan, filters, answer.offset) < answer.floor
    )


async def _find_patterns(patterns: PatternIndex, question: MatchQuestion) -> list[Hit]:
    """The patterns in a message; at once if that is quick, else in a thread."""
    if len(question.message) <= _INLINE:
        try:
            return patterns.find(question.log, _INLINE_LOOKS)
        except TooManyPlaces:
            pass
    return await asyncio.to_thread(_read_and_find, patterns, question)


def _read_and_find(patterns: PatternIndex, question: MatchQuestion) -> list[Hit]:
    log = question.log
    # Read here as well, for that takes a while too: the lines that tell, meanwhile, and those that an answer may point at.
    telling = _MEANWHILE.submit(lambda: question.telling)
    hits = patterns.find(log)
    telling.result()
    places = {hit.place.line for hit in hits[:_POINTED_AT]} | set(question.telling_lines[:_POINTED_AT])
    for line in places:
        log.span(line, 0, 0)
    return hits
