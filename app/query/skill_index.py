"""The skill index: all active skills of a network in memory, as of one offset of its log.

It is a follower like the hub's ring: made from a snapshot of the rows, or from a checkpoint of such an index, then moved
by events, never by anything else, so every process comes to the same. Counters are not in the log; who counts tells
`count`, and answers show the newest.

A skill's slot is the offset of the event that last changed it.
"""

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson

from app.eventlog.events import LoggedEvent
from app.query.checkpoint import Section
from app.query.clocks import Clocks, facets, skill_key
from app.query.patterns import PatternIndex, Slot
from app.query.plan import WordsOf, words_of
from app.query.words import WordIndex
from app.skills.document import Counters, NetworkName, SkillRow, counters, dump, skill_json
from app.skills.pattern import read_pattern


class ChangingCounters(Counters):
    """What of a skill changes without an event."""

    updated_at: str


class SkillDocument(ChangingCounters):
    """A `SkillPublic`, decoded."""

    id: str
    name: str
    description: str | None
    error_type: str | None
    pattern: str | None
    resolution: str
    context: str | None
    tags: list[str]
    status: str
    captured_by: str
    position: str


class Known(NamedTuple):
    """An active skill as answers show it, decoded and as JSON, and its slot."""

    slot: Slot
    document: SkillDocument
    json: bytes


class Kept(NamedTuple):
    """How far an index had come when its checkpoint was made; 0 if there is none."""

    offset: int
    counts: int


NEVER_KEPT = Kept(0, 0)


class Used(NamedTuple):
    """How often a skill was captured and used. Both only grow, so of two the greater is the newer."""

    captures: int
    usage_count: int


_NEVER = Used(1, 0)

_CHEAPER_BY = 200
"""How much faster it is to look at a skill's slot than to read the skill."""


class SkillIndex:
    """One network's active skills. Changed and asked on the event loop; `patterns.find` may run anywhere.

    It has the events up to `offset`, of which the last is told by its `mark`, and the counters up to `counts`.
    """

    def __init__(
        self, network: NetworkName, offset: int, counts: int, place: Path | None = None, kept: Kept | None = None
    ) -> None:
        self.offset = offset
        self.counts = counts
        self.kept = kept or NEVER_KEPT
        self.mark = ""
        self.place = place
        self.patterns = PatternIndex()
        self.words = WordIndex(offset, place)
        self.clocks = Clocks()
        self._network = network
        self._slots: dict[str, Slot] = {}
        self._counters: dict[str, ChangingCounters] = {}
        self._used: dict[Slot, Used] = {}

    def __len__(self) -> int:
        return len(self._slots)

    # Filling

    def load(self, skill: SkillRow) -> None:
        """Take an active skill from the snapshot; `loaded` ends this."""
        slot = skill["offset"]
        self._slots[skill["id"]] = slot
        self._use(slot, Used(skill["captures"], skill["usage_count"]))
        if skill["pattern"] is not None:
            self.patterns.add(slot, read_pattern(skill["pattern"]))
        self.words.load(slot, words_in(cast(SkillDocument, skill)), skill_json(skill, self._network))

    def loaded(self) -> None:
        """Be ready for questions and events."""
        self.patterns.build()
        self.words.loaded()

    def close(self) -> None:
        """Remove its files. Who is still asking may go on."""
        if self.place is not None:
            shutil.rmtree(self.place, ignore_errors=True)

    # Keeping

    def sections(self) -> list[Section]:
        """The index as it is, for a checkpoint, but for what `words.settle(1)` has just put into Tantivy's files."""
        return [
            ("index", [self.offset, self.counts, self.mark]),
            ("slots", list(self._slots.items())),
            ("used", list(self._used.items())),
            ("counters", list(self._counters.items())),
            *self.patterns.sections(),
            *self.words.sections(),
        ]

    def restore(self, name: str, entries: list[Any]) -> None:
        """Take back some entries of a section; `loaded` ends this."""
        if name == "slots":
            self._slots.update(entries)
        elif name == "used":
            self._used.update((slot, Used(*used)) for slot, used in entries)
        elif name == "counters":
            self._counters.update(entries)
        else:
            self.patterns.restore(name, entries, self.offset)
            self.words.restore(name, entries)

    # Following

    def apply(self, event: LoggedEvent) -> None:
        """Become what the event made of the network."""
        body = event.data.encode()
        raw = body[body.index(b'"skill":') + 8 : -1]
        skill = cast(SkillDocument, orjson.loads(raw))
        touched = {skill_key(skill["id"])}
        before = self._slots.pop(skill["id"], None)
        if before is not None:
            touched.update(self._forget(before, event.offset))
        words = words_in(skill)
        touched.update(words.facets)
        if skill["status"] == "active":
            self._keep(event.offset, skill, words, raw)
        told = self._counters.get(skill["id"])
        if told is not None and not _is_newer(told, skill):
            del self._counters[skill["id"]]
        self.clocks.touch(touched)
        self.offset = event.offset
        self.mark = mark_of(event.skill_id, event.at)

    def count(self, skill: SkillRow) -> None:
        """Learn a skill's new counters. Those of a skill that comes with a later event may be told before it."""
        if skill["counted"] == self.counts + 1:
            self.counts += 1
        if self._learn(skill["id"], {**counters(skill), "updated_at": skill["updated_at"]}):
            self.clocks.touch(
                [skill_key(skill["id"]), *facets(skill["error_type"], skill["captured_by"], skill["tags"])]
            )

    def take_counts(self, other: "SkillIndex") -> None:
        """Learn what another index of the same network was told."""
        for skill_id, told in other._counters.items():
            self._learn(skill_id, told)

    async def settle(self) -> None:
        """Put what came lately where it is found fastest. Answers are the same before, meanwhile and after."""
        self.patterns.settle()
        await self.patterns.compact()
        await self.words.settle()

    # Asking

    def get(self, slot: Slot) -> Known | None:
        """The skill, if it is still what it was at that offset."""
        raw = self.words.document(slot)
        if raw is None:
            return None
        document = cast(SkillDocument, orjson.loads(raw))
        if self._slots.get(document["id"]) != slot:
            return None
        told = self._counters.get(document["id"])
        if told is not None and _is_newer(told, document):
            document = cast(SkillDocument, {**document, **told})
            raw = dump(document)
        return Known(slot, document, raw)

    def ids(self, slots: Collection[Slot]) -> frozenset[str]:
        """The ids of the skills that are still what they were at these offsets."""
        if len(slots) < len(self._slots) / _CHEAPER_BY:
            return frozenset(known.document["id"] for slot in slots if (known := self.get(slot)))
        wanted = frozenset(slots)
        return frozenset(skill_id for skill_id, slot in self._slots.items() if slot in wanted)

    def is_still(self, skill_id: str, slot: Slot, captures: int, usage_count: int) -> bool:
        """Whether the skill is still what it was at that offset, and has no newer counters than those. Older ones it may
        have: another process can have been told more."""
        used = self._used.get(slot, _NEVER)
        return self._slots.get(skill_id) == slot and used.captures <= captures and used.usage_count <= usage_count

    def is_used(self, slot: Slot) -> bool:
        """Whether any agent has said how the skill worked, or it was captured again."""
        return slot in self._used

    def _use(self, slot: Slot, used: Used) -> None:
        if used != _NEVER:
            self._used[slot] = used

    def _learn(self, skill_id: str, told: ChangingCounters) -> bool:
        """Take counters that are newer than those that are known; False if they are not: they were read before others."""
        known = self._counters.get(skill_id)
        slot = self._slots.get(skill_id)
        used = Used(told["captures"], told["usage_count"])
        if known is not None and not _is_newer(told, known):
            return False
        if slot is not None:
            if used <= self._used.get(slot, _NEVER):
                return False
            self._used[slot] = used
        self._counters[skill_id] = told
        return True

    def _keep(self, slot: Slot, skill: SkillDocument, words: WordsOf, raw: bytes) -> None:
        self._slots[skill["id"]] = slot
        self._use(slot, Used(skill["captures"], skill["usage_count"]))
        told = self._counters.get(skill["id"])
        if told is not None and _is_newer(told, skill):
            self._use(slot, Used(told["captures"], told["usage_count"]))
        if skill["pattern"] is not None:
            self.patterns.add(slot, read_pattern(skill["pattern"]))
        self.words.add(slot, words, raw)

    def _forget(self, slot: Slot, offset: int) -> tuple[str, ...]:
        raw = self.words.document(slot)
        assert raw is not None, "the index has every skill that has a slot"
        skill = cast(SkillDocument, orjson.loads(raw))
        if skill["pattern"] is not None:
            self.patterns.remove(slot, read_pattern(skill["pattern"]))
        words = words_in(skill)
        self.words.remove(slot, words, offset)
        self._used.pop(slot, None)
        return words.facets


def mark_of(skill_id: str, at: str) -> str:
    """What tells the event at an offset from another one there, in a log that was restored."""
    return f"{skill_id} {at}"


def words_in(skill: SkillDocument) -> WordsOf:
    """A skill's text by what it is worth to the word index."""
    return WordsOf(
        title=words_of([skill["name"].replace("-", " "), skill["error_type"], skill["pattern"]]),
        head=words_of([skill["description"], *skill["tags"]]),
        text=words_of([skill["resolution"], skill["context"]]),
        facets=facets(skill["error_type"], skill["captured_by"], skill["tags"]),
    )


def _is_newer(told: ChangingCounters, document: Counters) -> bool:
    """Whether the counters say more than the document: these two only grow."""
    return told["captures"] > document["captures"] or told["usage_count"] > document["usage_count"]
