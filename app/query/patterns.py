"""The pattern index: which patterns of a network stand in a message, exactly or masked.

Where an anchor (`app.query.anchors`) stands in the message, patterns may stand around it. A pattern whose anchor is there
already needs only an entry.
"""

import hashlib
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.query.anchors import Anchors
from app.query.checkpoint import Section
from app.skills.build_log import BuildLog
from app.skills.pattern import Pattern, Shape, is_plain_word
from app.skills.ranking import Kind
from app.skills.reading import Ends, Place, Reading

Slot = int
"""Where the index keeps one version of a skill; newer ones have higher numbers."""

_LineSize = tuple[int, int]
"""The length of the first line of a pattern that is whole lines, and how many lines it has."""

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
        self._anchors = Anchors()
        self._around: list[_Around] = []
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
            around = self._around_of(pattern.anchor)
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
        for number, at in self._anchors.places(reading.text, spent):
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
                around = self._around_of(anchor)
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
        """Put what came lately where it is found fastest. Does no more than can be done on the event loop."""
        self._anchors.settle()

    async def compact(self) -> None:
        """The same for what takes longer, in a thread."""
        await self._anchors.compact()

    def build(self) -> None:
        """Be ready to find what was added: for an index that nobody reads yet."""
        self._anchors.build()

    def _lines(self, log: BuildLog) -> Iterator[Hit]:
        """The patterns that are whole lines, each where it first is."""
        counts: defaultdict[int, list[int]] = defaultdict(list)
        for (length, lines), patterns in list(self._line_sizes.items()):  # others may be added meanwhile
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

    def _around_of(self, anchor: str) -> _Around:
        number = self._anchors.number(anchor)
        if number is None:
            self._around.append(_Around({}))  # before the anchor can be found
            number = self._anchors.add(anchor)
        return self._around[number]

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
