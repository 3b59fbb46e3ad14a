"""The checker: reads a history and says what in it cannot have come from a server that keeps its promises.

    lost          an acknowledged capture was not read by a subscriber that passed its offset, or is not what stands there
    hole          an unfiltered stream left offsets out, within a connection or across a resume
    duplicate     an offset came twice
    reordered     an offset came after a later one
    disagreement  one position is not the same event for all
    phantom       something was read that was never sent, or was definitely refused
    repeated      one capture, however often tried, happened twice, or was not answered alike
    silent        a stream did not go on from where it was asked to, and did not say so
    reset         a stream said that it could not go on, and had no reason to

Pure: a history in, problems out. The clients' part of the bargain (who has to reach which offset) is the journeys'.
"""

from collections import defaultdict
from typing import Literal, NamedTuple

import msgspec

from tests.journeys.history import Block, Connection, History, Try

Kind = Literal["lost", "hole", "duplicate", "reordered", "disagreement", "phantom", "repeated", "silent", "reset"]


class Problem(NamedTuple):
    """A broken promise."""

    kind: Kind
    detail: str


class Place(NamedTuple):
    """A position, taken apart."""

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.offset}"


class _Skill(msgspec.Struct, frozen=True):
    id: str
    name: str
    position: str


class _Event(msgspec.Struct, frozen=True):
    id: str
    offset: int
    type: str
    at: str
    skill: _Skill


class _Bounds(msgspec.Struct, frozen=True):
    head: str
    earliest: str
    reason: str = ""


_event = msgspec.json.Decoder(_Event).decode
_skill = msgspec.json.Decoder(_Skill).decode
_bounds = msgspec.json.Decoder(_Bounds).decode


def check(history: History, *, resets: frozenset[str] = frozenset()) -> list[Problem]:
    """All problems, none if all is well. `resets` are the reasons for which streams may have been reset."""
    events, problems = _agree(history.connections)
    ways = [_Way(name, resets, connections) for name, connections in history.by_subscriber().items()]
    for way in ways:
        problems += way.problems
    return problems + _captures(history.tries, events, ways)


def place(position: str) -> Place:
    """A position as it stands on the wire."""
    epoch, _, offset = position.rpartition("-")
    return Place(epoch, int(offset))


def _agree(connections: list[Connection]) -> tuple[dict[Place, _Event], list[Problem]]:
    """The event at each position; and where two subscribers were told different ones."""
    events: dict[Place, _Event] = {}
    raw: dict[Place, str] = {}
    problems: list[Problem] = []
    for connection in connections:
        for block in connection.blocks:
            if not block.event.startswith("skill."):
                continue
            where = place(block.id)
            if connection.raw and raw.setdefault(where, block.data) != block.data:
                problems.append(Problem("disagreement", f"{connection.subscriber} read other bytes at {block.id}"))
            elif where not in events or not connection.raw:
                event = _event(block.data)
                if (event.id, event.offset, event.type) != (block.id, where.offset, block.event):
                    problems.append(Problem("disagreement", f"the block {block.id} carries the event {event.id}"))
                if events.setdefault(where, event) != event:
                    problems.append(Problem("disagreement", f"{connection.subscriber} read another event at {where}"))
    return events, problems


class _Way:
    """One subscriber's way along the log: `read` is what came, `problems` what was wrong on the way."""

    def __init__(self, subscriber: str, resets: frozenset[str], connections: list[Connection]) -> None:
        self.read: set[Place] = set()
        self.problems: list[Problem] = []
        self._subscriber = subscriber
        self._resets = resets
        self._passed: list[tuple[Place, Place]] = []
        self._start: Place | None = None
        self._last: Place | None = None
        for connection in connections:
            self._follow(connection)
        self._begin(None)

    def passed(self, where: Place) -> bool:
        """Whether it went past a place without having been told that it missed something."""
        return any(
            start.epoch == where.epoch and start.offset < where.offset <= end.offset for start, end in self._passed
        )

    def _follow(self, connection: Connection) -> None:
        asked = place(connection.asked) if "-" in connection.asked else None
        if asked is None or asked != self._last:
            self._begin(asked)
        latest = self._beginning(connection)
        told = True
        for block in connection.blocks:
            if not block.id and not block.event:
                continue  # nothing but `retry`
            if block.event == "hello":
                latest, told = self._hello(connection.asked, _bounds(block.data))
                continue
            if block.event == "reset":
                self._reset(_bounds(block.data))
            elif told:
                self._move(block, latest)
            else:
                self._complain("silent", f"asked for {connection.asked}, which the log did not have, and was not told")
                self._begin(place(block.id))
            told = True

    def _beginning(self, connection: Connection) -> Place | None:
        """Client libraries do not show `hello`; but where nothing is trimmed, `earliest` is the first offset."""
        untrimmed = connection.asked == "earliest" and "expired" not in self._resets
        return Place("", 0) if untrimmed and not connection.raw else None

    def _hello(self, asked: str, bounds: _Bounds) -> tuple[Place | None, bool]:
        """Where this stream starts at the latest, if that is known, and whether it can start where it was asked to."""
        head, earliest = place(bounds.head), place(bounds.earliest)
        if asked.isdigit():
            self._begin(Place(head.epoch, int(asked)))
        if self._last is not None:
            return None, self._last.epoch == head.epoch and self._last.offset <= head.offset
        return (Place(earliest.epoch, earliest.offset - 1) if asked == "earliest" else head), True

    def _reset(self, bounds: _Bounds) -> None:
        if bounds.reason not in self._resets:
            self._complain("reset", f"was told `{bounds.reason}` after {self._last}, for no reason")
        self._begin(place(bounds.head))

    def _move(self, block: Block, latest: Place | None) -> None:
        where = place(block.id)
        before = Place(where.epoch, where.offset - 1) if block.event else where
        if self._last is None:
            self._begin(before)
            if latest is not None and before.offset > latest.offset:
                self._complain("hole", f"was to start after {latest}, and began after {before}")
        elif where.epoch != self._last.epoch:
            self._complain("silent", f"came from {self._last} to {where}, and was not told")
            self._begin(before)
        elif before.offset > self._last.offset:
            self._complain("hole", f"came from {self._last} to {where}")
        elif before.offset < self._last.offset:
            self._complain("duplicate" if where in self.read else "reordered", f"read {where} after {self._last}")
        if block.event:
            self.read.add(where)
        if self._last is None or where.offset > self._last.offset:
            self._last = where

    def _begin(self, start: Place | None) -> None:
        """Go on from another place; what was passed until now stays."""
        if self._start is not None and self._last is not None:
            self._passed.append((self._start, self._last))
        self._start = self._last = start

    def _complain(self, kind: Kind, detail: str) -> None:
        self.problems.append(Problem(kind, f"{self._subscriber} {detail}"))


def _captures(tries: list[Try], events: dict[Place, _Event], ways: list[_Way]) -> list[Problem]:
    problems: list[Problem] = []
    steps: defaultdict[str, list[Try]] = defaultdict(list)
    for each in tries:
        steps[each.name].append(each)
    places: defaultdict[str, list[Place]] = defaultdict(list)
    for where, event in events.items():
        places[event.skill.name].append(where)
    for name, found in places.items():
        if name not in steps:
            problems.append(Problem("phantom", f"{name} at {found[0]} was never sent"))
        elif {each.outcome for each in steps[name]} == {"invoked", "failed"}:
            problems.append(Problem("phantom", f"{name} at {found[0]} was refused"))
        if len(found) > 1:
            problems.append(Problem("repeated", f"{name} has {len(found)} events: {', '.join(map(str, found))}"))
    for name in steps:
        problems += _acknowledged(name, [each for each in steps[name] if each.outcome == "ok"], events, ways)
    return problems


def _acknowledged(name: str, answers: list[Try], events: dict[Place, _Event], ways: list[_Way]) -> list[Problem]:
    if not answers:
        return []
    problems: list[Problem] = []
    if len({(each.status, each.answer) for each in answers}) > 1 or answers[0].status != 201:
        problems.append(Problem("repeated", f"{name} was not given its first answer again, or was there before"))
    skill = _skill(answers[0].answer)
    where = place(skill.position)
    event = events.get(where)
    if event is not None and event.skill != skill:
        problems.append(Problem("lost", f"{name} was acknowledged at {where}, where {event.skill.name} stands"))
    for way in ways:
        if way.passed(where) and where not in way.read:
            problems.append(Problem("lost", f"{name} at {where} was acknowledged, and was not read"))
    return problems
