"""The pattern index: which patterns of a network stand in a message, exactly or masked.

The anchors of all patterns are in Aho-Corasick automata: a large base, and smaller ones for what came since. A pattern
whose anchor is there already needs no automaton at all, only an entry. An automaton never changes: one takes the place
of several, made in a thread, while readers go on with those.
"""

import asyncio
import hashlib
import secrets
from collections import Counter, defaultdict, deque
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from ahocorasick_rs import AhoCorasick

from app.query.checkpoint import Section
from app.skills.build_log import BuildLog
from app.skills.pattern import ANCHOR_LENGTH, Pattern, Shape, is_plain_word
from app.skills.ranking import Kind
from app.skills.reading import Ends, Place, Reading

Slot = int
"""Where the index keeps one version of a skill; newer ones have higher numbers."""

_LineSize = tuple[int, int]
"""The length of the first line of a pattern that is whole lines, and how many lines it has."""

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

MOST_LOOKS = 3_000_000
MOST_LOOKS_AT_ONE = 200_000
"""Places and shapes looked at in one message, at most, in all and for one anchor: some seconds. Only a message that
repeats the beginning of many patterns thousands of times comes to so many; what it has besides is found all the same."""


class TooManyPlaces(Exception):
    """Patterns might stand in so many places of a message that looking at all of them takes too long."""


class Hit(NamedTuple):
    """Skills whose pattern, or its signature, stands in a message: `text`, and where it first does.

    Of a short pattern the first line that has nothing else, `is_alone`, if there is one.
    """

    kind: Kind
    slots: Sequence[Slot]
    text: str
    place: Place
    is_alone: bool = False


class _Automaton(NamedTuple):
    """Finds the anchors from number `start` up to `end`."""

    start: int
    end: int
    find: AhoCorasick


@dataclass(slots=True)
class _Around:
    """What may stand around an anchor.

    Patterns that are alike in the middle have an anchor in common, and hundreds of lengths. What begins or ends as none of
    them does is not looked up: 0.3 µs instead of 2.
    """

    exact: dict[Shape, Ends]
    masked: frozenset[Shape] = frozenset()
    looks: int = 1

    def count(self) -> None:
        """Reckon what one place costs: a masked text takes five times as long, a long text longer than a short one."""
        self.looks = 1 + sum(1 + shape.length // 200 for shape in self.exact)
        self.looks += sum(5 + shape.length // 50 for shape in self.masked)


class PatternIndex:
    """All patterns of a network. Changed on one thread; `find` may run on any."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._anchors: list[str] = []
        self._around: list[_Around] = []
        self._automata: list[_Automaton] = []
        self._line_sizes: Counter[_LineSize] = Counter()
        # One of each, for most are alike: a shape takes 100 bytes, a set of one 200, and every anchor has some.
        self._ends: dict[Ends, Ends] = {}
        self._shapes: dict[Shape, Shape] = {}
        self._only_shapes: dict[Shape, frozenset[Shape]] = {}
        # By hash, since patterns may be long and are many. It has 64 bits and a secret key: none meets another's.
        self._holders: dict[int, Slot | list[Slot]] = {}
        self._key = secrets.token_bytes(16)

    def add(self, slot: Slot, pattern: Pattern) -> None:
        """Take a pattern in. It is found from now on."""
        if size := _line_size(pattern):
            self._line_sizes[size] += 1
            self._hold("line", pattern.text, slot)
        if pattern.anchor is not None and pattern.exact is not None:
            around = self._around[self._number(pattern.anchor)]
            self._hold("exact", pattern.text, slot)
            if pattern.masked is not None:
                self._hold("masked", pattern.signature, slot)
            begins, ends = around.exact.get(pattern.exact, ("", ""))
            first, last = pattern.text[0], pattern.text[-1]
            if first not in begins or last not in ends:
                # Another dict, for a thread may be looking through this one.
                found = (begins if first in begins else begins + first, ends if last in ends else ends + last)
                shape = self._shapes.setdefault(pattern.exact, pattern.exact)
                around.exact = {**around.exact, shape: self._ends.setdefault(found, found)}
                around.count()
            if pattern.masked and pattern.masked not in around.masked:
                around.masked = self._with(around.masked, pattern.masked)
                around.count()

    def remove(self, slot: Slot, pattern: Pattern) -> None:
        """Take a pattern out. Its anchor stays, and finds nothing."""
        if size := _line_size(pattern):
            self._line_sizes[size] -= 1
        for kind, text in (("line", pattern.text), ("exact", pattern.text), ("masked", pattern.signature)):
            self._release(kind, text, slot)

    def find(self, log: BuildLog, at_once: int | None = None) -> list[Hit]:
        """Every pattern that stands in the log, each where it first does.

        Raises `TooManyPlaces` if it takes more than `at_once` looks, if that is given. Without it goes on, but an anchor
        that stands there again and again is not looked at for ever, nor are all of them together.
        """
        reading = Reading(log)
        looks = 0
        looks_at: defaultdict[int, int] = defaultdict(int)
        spent: set[int] = set()
        found: dict[tuple[str, str], Hit] = {}
        for number, at in self._places(reading.text, spent):
            around = self._around[number]
            looks_at[number] += around.looks
            if looks_at[number] > MOST_LOOKS_AT_ONE:
                spent.add(number)
            looks += around.looks
            if at_once is not None and looks > at_once:
                raise TooManyPlaces
            if looks > MOST_LOOKS:
                break
            for shape, text in reading.exact(at, around.exact):
                if text and (slots := self._held("exact", text)) and ("exact", text) not in found:
                    found["exact", text] = Hit("exact", slots, text, reading.exact_place(at, shape))
            for shape, text in reading.masked(at, around.masked):
                if text and (slots := self._held("masked", text)) and ("masked", text) not in found:
                    found["masked", text] = Hit("masked", slots, text, reading.masked_place(at, shape))
        for hit in self._lines(log):
            found["exact", hit.text] = hit
        return list(found.values())

    def sections(self) -> list[Section]:
        """The index as it is now, for a checkpoint. What comes while it is written may be among it."""
        anchors = list(zip(self._anchors, self._around, strict=True))
        return [
            ("patterns", [(self._key, list(self._line_sizes.items()))]),
            ("anchors", ((anchor, list(around.exact.items()), list(around.masked)) for anchor, around in anchors)),
            ("holders", list(self._holders.items())),
        ]

    def restore(self, name: str, entries: list[Any], offset: int) -> None:
        """Take back some entries of a section, of an index as of `offset`; `build` ends this."""
        if name == "patterns":
            ((self._key, sizes),) = entries
            self._line_sizes.update({(length, lines): patterns for (length, lines), patterns in sizes})
        elif name == "anchors":
            for anchor, exact, masked in entries:
                around = self._around[self._number(anchor)]
                for each, (begins, ends) in exact:
                    shape = self._shapes.setdefault(Shape(*each), Shape(*each))
                    around.exact[shape] = self._ends.setdefault((begins, ends), (begins, ends))
                for each in masked:
                    around.masked = self._with(around.masked, Shape(*each))
                around.count()
        elif name == "holders":
            for key, held in entries:
                self._holders[key] = [slot for slot in held if slot <= offset] if isinstance(held, list) else held

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
        """One automaton for everything: for an index that nobody reads yet."""
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

    def _places(self, text: str, spent: Container[int]) -> Iterator[tuple[int, int]]:
        """The anchors in a text and where they stand, without those that are `spent` by then."""
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

    def _lines(self, log: BuildLog) -> Iterator[Hit]:
        """The patterns that are whole lines, each where it first is."""
        counts: defaultdict[int, list[int]] = defaultdict(list)
        for (length, lines), patterns in self._line_sizes.items():
            if patterns:
                counts[length].append(lines)
        found: set[str] = set()
        looks = 0
        for first, (line, body) in enumerate(log.lines) if counts else ():
            for count in counts.get(len(line) - body, ()) if looks < MOST_LOOKS else ():
                looks += count
                last = first + count - 1
                if last >= len(log.lines):
                    continue
                text = "\n".join([each.text[each.body :] for each in log.lines[first : first + count]])
                if text not in found and (slots := self._held("line", text)):
                    found.add(text)
                    yield Hit("exact", slots, text, Place(first, body, last, len(log.lines[last].text)), is_alone=True)

    def _number(self, anchor: str) -> int:
        number = self._numbers.get(anchor)
        if number is None:
            number = self._numbers[anchor] = len(self._anchors)
            self._around.append(_Around({}))  # before the anchor can be found
            self._anchors.append(anchor)
        return number

    def _with(self, shapes: frozenset[Shape], shape: Shape) -> frozenset[Shape]:
        """These shapes and one more."""
        return shapes | {shape} if shapes else self._only_shapes.setdefault(shape, frozenset((shape,)))

    def _hold(self, kind: str, text: str, slot: Slot) -> None:
        key = self._hash(kind, text)
        held = self._holders.get(key)
        if held is None:
            self._holders[key] = slot
        elif isinstance(held, int):
            self._holders[key] = [held, slot]
        else:
            held.append(slot)

    def _release(self, kind: str, text: str, slot: Slot) -> None:
        key = self._hash(kind, text)
        held = self._holders.get(key)
        if isinstance(held, list) and slot in held:
            held.remove(slot)
        elif held == slot:
            del self._holders[key]

    def _held(self, kind: str, text: str) -> Sequence[Slot]:
        held = self._holders.get(self._hash(kind, text), ())
        return (held,) if isinstance(held, int) else held

    def _hash(self, kind: str, text: str) -> int:
        digest = hashlib.blake2b(f"{kind} {text}".encode("utf-8", "surrogatepass"), digest_size=8, key=self._key)
        return int.from_bytes(digest.digest(), "little")


def _line_size(pattern: Pattern) -> _LineSize | None:
    """Of a pattern that tells more where it is whole lines, or is found only there."""
    if not pattern.text or (pattern.anchor is not None and not is_plain_word(pattern.text)):
        return None
    return len(pattern.text.partition("\n")[0]), pattern.text.count("\n") + 1


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
