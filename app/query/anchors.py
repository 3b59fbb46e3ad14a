"""The anchors of a network's patterns, and where they stand in a text.

They are in Aho-Corasick automata: a large base, and smaller ones for what came since. An automaton never changes: one
takes the place of several, made in a thread, while readers go on with those.
"""

import asyncio
from collections import deque
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick

from app.skills.pattern import ANCHOR_LENGTH

_PIECE = 16 * 1024
"""Characters searched at once, so that what is found in a hostile message is never in memory all at once."""

_AHEAD = 2
"""Pieces that are searched side by side while one is looked at: a search lets go of the interpreter."""

_SEARCHES = ThreadPoolExecutor(_AHEAD, "cin-patterns")

_FRESH = 64
"""Anchors that are looked for one by one, at most: 50 ns each in a short message."""

_AT_ONCE = 512
"""Anchors of which an automaton is made on the event loop, in a few milliseconds; more take a thread."""

_TIMES_LARGER = 4
"""How much larger an automaton must be than all that came after it, to stay as it is."""


class _Automaton(NamedTuple):
    """Finds the anchors from number `start` up to `end`."""

    start: int
    end: int
    find: AhoCorasick


class Anchors:
    """Anchors by number, from 0 on. Changed on one thread; `places` may run on any."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._anchors: list[str] = []
        self._automata: list[_Automaton] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._anchors)

    def number(self, anchor: str) -> int | None:
        """Which one it is; None if it is not among them."""
        return self._numbers.get(anchor)

    def add(self, anchor: str) -> int:
        """Its number, the next. It is found from now on."""
        number = self._numbers[anchor] = len(self._anchors)
        self._anchors.append(anchor)
        return number

    def places(self, text: str, spent: Container[int]) -> Iterator[tuple[int, int]]:
        """The anchors in a text, by number, and where they stand, without those that are `spent` by then."""
        automata = self._automata  # read once: another thread may put others in their place
        first_fresh = automata[-1].end if automata else 0
        fresh = self._anchors[first_fresh:]
        for begin, piece, found in _searched(text, automata):
            for automaton, hits in zip(automata, found, strict=True):
                for index, at, _ in hits:
                    number = automaton.start + index
                    if at < _PIECE and number not in spent:
                        yield number, begin + at
            for number, anchor in enumerate(fresh, first_fresh):
                at = piece.find(anchor)
                while 0 <= at < _PIECE and number not in spent:
                    yield number, begin + at
                    at = piece.find(anchor, at + 1)

    def settle(self) -> None:
        """Put fresh anchors into an automaton if they are many. Does no more than can be done on the event loop."""
        if len(self._anchors) - self._end <= _FRESH:
            return
        start = self._start_of_merge(self._end)
        if len(self._anchors) - start > _AT_ONCE:
            start = self._end
        self._replace(_make(start, self._anchors[start:]))

    async def compact(self) -> None:
        """Let one automaton do the work of several, where they have become many."""
        while (start := self._start_of_merge(self._last)) < self._last:
            self._replace(await asyncio.to_thread(_make, start, self._anchors[start : self._end]))

    def build(self) -> None:
        """One automaton for everything: for anchors that nobody looks for yet."""
        self._automata = [_make(0, self._anchors)]

    @property
    def _end(self) -> int:
        """How many anchors the automata have."""
        return self._automata[-1].end if self._automata else 0

    @property
    def _last(self) -> int:
        """Where the last automaton starts."""
        return self._automata[-1].start if self._automata else 0

    def _start_of_merge(self, start: int) -> int:
        """From where on to make one automaton, if one must be made from anchor `start` on: it swallows small ones."""
        size = len(self._anchors) - start
        for automaton in reversed(self._automata):
            if automaton.end <= start and automaton.end - automaton.start < _TIMES_LARGER * size:
                start, size = automaton.start, size + automaton.end - automaton.start
        return start

    def _replace(self, made: _Automaton) -> None:
        before = [each for each in self._automata if each.end <= made.start]
        after = [each for each in self._automata if each.start >= made.end]
        self._automata = [*before, made, *after]


def _make(start: int, anchors: Sequence[str]) -> _Automaton:
    return _Automaton(start, start + len(anchors), AhoCorasick(anchors, store_patterns=False))


_Searched = tuple[int, str, list[list[tuple[int, int, int]]]]
"""Where a piece of a text begins, the piece, and what each automaton finds in it."""


def _searched(text: str, automata: Sequence[_Automaton]) -> Iterator[_Searched]:
    """The pieces of a text in their order; of a long one some are searched ahead."""

    def search(begin: int) -> _Searched:
        piece = text[begin : begin + _PIECE + ANCHOR_LENGTH - 1]
        return begin, piece, [each.find.find_matches_as_indexes(piece, overlapping=True) for each in automata]

    if len(text) <= _PIECE:
        yield search(0)
        return
    ahead: deque[Future[_Searched]] = deque()
    for begin in range(0, len(text), _PIECE):
        ahead.append(_SEARCHES.submit(search, begin))
        if len(ahead) > _AHEAD:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()
