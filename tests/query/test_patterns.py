"""The pattern index: whatever automata it has, it finds what a plain look finds, and hostile texts cost bounded time."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.query import anchors
from app.query.anchors import Anchors
from app.query.patterns import PatternIndex, TooManyPlaces
from app.skills.build_log import BuildLog, read_log
from app.skills.masking import mask
from app.skills.pattern import Pattern, is_plain_word, read_pattern, weight
from tests.inside import run

SIZE = 256 * 1024

overlapping = st.text("ab c1'\n", min_size=1, max_size=24)
telling = st.lists(st.sampled_from(["abc", "abcdefgh", "bcd", "12", "'a'", "\n", " "]), min_size=1, max_size=5).map(
    "".join
)
texts = (overlapping | telling).filter(lambda text: bool(text.strip()))
changes = st.lists(
    st.tuples(st.just("add"), texts)
    | st.tuples(st.sampled_from(["remove", "again"]), st.integers(0, 30))
    | st.tuples(st.sampled_from(["settle", "compact", "build"]), st.none()),
    max_size=40,
)
small = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def small_automata(monkeypatch: pytest.MonkeyPatch) -> None:
    """Automata of a few anchors, and messages in pieces of a few characters, so that every seam takes part."""
    monkeypatch.setattr(anchors, "_FRESH", 2)
    monkeypatch.setattr(anchors, "_AT_ONCE", 4)
    monkeypatch.setattr(anchors, "_PIECE", 7)


def index_of(texts: Iterable[str]) -> PatternIndex:
    """An index of patterns in slots from 1 on."""
    index = PatternIndex()
    for slot, text in enumerate(texts, 1):
        index.add(slot, read_pattern(text))
    return index


def found(index: PatternIndex, message: str) -> dict[tuple[str, str], list[int]]:
    """The slots by how and what was found."""
    return {(hit.kind, hit.text): sorted(hit.slots) for hit in index.find(read_log(message))}


def plainly(held: Mapping[int, Pattern], log: BuildLog) -> dict[tuple[str, str], list[int]]:
    """The same by going through all patterns."""
    text = "\n".join(line.text for line in log.lines)
    signature = "\n".join(mask(line.text).text for line in log.lines)
    found: dict[tuple[str, str], list[int]] = {}
    for slot, pattern in sorted(held.items()):
        if stands_at(pattern, text):
            found.setdefault(("exact", pattern.text), []).append(slot)
        if pattern.masked is not None and pattern.signature in signature:
            found.setdefault(("masked", pattern.signature), []).append(slot)
    return found


def stands_at(pattern: Pattern, text: str) -> list[int]:
    """Where a pattern stands in a text, by the rules for short ones."""
    needle, last = pattern.text, len(text) - len(pattern.text)
    places = [at for at in range(last + 1) if text.startswith(needle, at)]
    alone = [at for at in places if f"\n{needle}\n" == f"\n{text}\n"[at : at + len(needle) + 2]]
    if weight(needle) < 3:
        return alone
    if weight(needle) >= 8 and len(set(needle)) >= 3:
        return places
    places = [at for at in places if not _cuts(text, at) and not _cuts(text, at + len(needle), is_end=True)]
    return alone or places if is_plain_word(needle) else places


def _cuts(text: str, at: int, *, is_end: bool = False) -> bool:
    """Whether a place cuts a word; digits behind a pattern that ends with a letter do not go on with it."""
    cuts = 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()
    return cuts and not (is_end and text[at].isdigit() and text[at - 1].isalpha())


@small
@given(changes, st.lists(overlapping | telling, min_size=1, max_size=3))
def test_index_finds_what_a_plain_look_finds(
    small_automata: None, changes: list[tuple[str, object]], messages: list[str]
) -> None:
    async def go() -> None:
        index, held = PatternIndex(), dict[int, Pattern]()
        for slot, (change, value) in enumerate(changes, 1):
            if change == "add":
                held[slot] = read_pattern(str(value))
                index.add(slot, held[slot])
            elif change == "settle":
                index.settle()
            elif change == "compact":
                await index.compact()
            elif change == "build":
                index.build()
            elif held and isinstance(value, int):
                which = sorted(held)[value % len(held)]
                pattern = held.pop(which)
                index.remove(which, pattern)
                if change == "again":
                    held[slot] = pattern
                    index.add(slot, pattern)
        for message in [*messages, "\n".join(pattern.text for pattern in held.values())]:
            assert found(index, message) == plainly(held, read_log(message))

    run(go())


@small
@given(st.lists(texts, min_size=1, max_size=5), overlapping | telling)
def test_hit_is_where_the_pattern_first_stands(small_automata: None, held: list[str], message: str) -> None:
    index, log = index_of(held), read_log(f"{message}{held[0]}")
    text = "\n".join(line.text for line in log.lines)
    index.settle()
    for hit in index.find(log):
        if hit.kind == "exact":
            at = sum(len(line.text) + 1 for line in log.lines[: hit.place.line]) + hit.place.start
            assert at == stands_at(read_pattern(hit.text), text)[0]


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5, 9, 50])
def test_settling_and_compacting_leave_few_automata(small_automata: None, number: int) -> None:
    async def go() -> PatternIndex:
        index = PatternIndex()
        for slot in range(1, number + 1):
            index.add(slot, read_pattern(f"error number{slot}"))
            index.settle()
            await index.compact()
        return index

    index = run(go())
    assert len(index._anchors._automata) <= 4  # each more than four times as large as those after it
    message = "\n".join(f"error number{slot}" for slot in range(1, number + 1))
    assert len(found(index, message)) == number


def test_pattern_that_was_removed_is_found_no_longer() -> None:
    index = index_of(["the frobnicator is jammed"] * 3)
    index.remove(2, read_pattern("the frobnicator is jammed"))
    assert found(index, "the frobnicator is jammed") == {("exact", "the frobnicator is jammed"): [1, 3]}
    index.remove(1, read_pattern("the frobnicator is jammed"))
    index.remove(3, read_pattern("the frobnicator is jammed"))
    assert found(index, "the frobnicator is jammed") == {}


def test_whole_line_is_found_behind_a_time_stamp() -> None:
    (hit,) = index_of(["=="]).find(read_log("a ==\n2026-01-01T00:00:01Z ==\n"))
    assert (hit.place.line, hit.place.start, hit.place.end) == (1, 21, 23)


def test_short_pattern_of_several_lines_is_whole_lines_in_a_row() -> None:
    index = index_of(["}\n})", "=====\n-----\n====="])
    (hit,) = index.find(read_log("a\n2026-01-01T00:00:01Z }\n2026-01-01T00:00:02Z })\n}\n"))
    assert (hit.place.line, hit.place.start, hit.place.end_line, hit.place.end) == (1, 21, 2, 23)
    assert found(index, "=====\n-----\n=====") == {("exact", "=====\n-----\n====="): [2]}
    assert found(index, "}\n}\n}) x\n=====\n-----") == {}


@pytest.mark.parametrize("stamps", ["2026-01-01T00:00:01Z \n2026-01-01T00:00:02Z ", "[10:00:01] \n[10:00:02] "])
def test_pattern_without_a_text_of_its_own_matches_nothing(stamps: str) -> None:
    assert found(index_of([stamps]), "one line\n\nanother line") == {}


def test_find_in_a_thread_finds_what_was_there_before_it_began(small_automata: None) -> None:
    async def go() -> None:
        there = [f"error number{slot}" for slot in range(40)]
        index, log = index_of(there), read_log("\n".join(there))
        index.build()
        more = iter(range(100, 10_000))
        with ThreadPoolExecutor(1) as thread:
            for _ in range(20):
                finding = asyncio.get_running_loop().run_in_executor(thread, index.find, log)
                while not finding.done():
                    for slot in (next(more), next(more), next(more)):
                        index.add(slot, read_pattern(f"another number{slot}"))
                        index.add(slot, read_pattern("=" * slot))
                    index.settle()
                    await index.compact()
                assert {hit.text for hit in await finding} == set(there)

    switch_seconds = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        run(go())
    finally:
        sys.setswitchinterval(switch_seconds)


class _Settling(Anchors):
    """Anchors that are settled just when a thread that finds has begun to look around."""

    is_due = False

    @property
    def _end(self) -> int:
        if self.is_due:
            self.is_due = False
            self.settle()
        return super()._end


class _Growing(list[str]):
    """A list that grows as soon as a part of it was taken."""

    def __init__(self, items: list[str], grow: Callable[[], None]) -> None:
        super().__init__(items)
        self._grow = [grow]

    def __getitem__(self, which: Any) -> Any:
        taken = super().__getitem__(which)
        while self._grow:
            self._grow.pop()()
        return taken


def test_find_misses_no_anchor_that_is_settled_meanwhile(small_automata: None) -> None:
    index = PatternIndex()
    index._anchors = settling = _Settling()
    for slot, text in enumerate(("first of all", "second of it", "third of them"), 1):
        index.add(slot, read_pattern(text))
    settling.is_due = True
    assert len(found(index, "first of all\nsecond of it\nthird of them")) == 3


def test_find_takes_no_anchor_for_one_that_is_added_meanwhile() -> None:
    index = index_of(["first of all", "second one", "third of them all"])
    index._anchors._anchors = _Growing(index._anchors._anchors, lambda: index.add(9, read_pattern("quite another")))
    assert len(found(index, "first of all\nsecond one\nthird of them all")) == 3


def seconds_to_find(index: PatternIndex, message: str) -> float:
    """How long it takes until the message is looked through, or given up."""
    log = read_log(message)
    started = time.process_time()
    with suppress(TooManyPlaces):
        index.find(log)
    return time.process_time() - started


@pytest.mark.parametrize("repeated", ["a", "ab", "\n", "ab\n", "1 ", "'", "abc "])
def test_hostile_message_takes_bounded_time(repeated: str) -> None:
    index = index_of(repeated * number for number in range(1, 100) if (repeated * number).strip())
    for slot, text in enumerate(["a" * 30 + "bcdefg", "b a" * 10 + "1", "x\n\n\ny error", "a1b2c3 'q'"], 1_000):
        index.add(slot, read_pattern(text))
    index.settle()
    assert seconds_to_find(index, repeated * (SIZE // len(repeated))) < 10


@pytest.mark.parametrize(
    ("unit", "begin", "end"),
    [("a", "1234567 ", ""), ("ab ", "", "c"), ("ab ", "", "12345")],
    ids=["repeated", "exact", "masked"],
)
def test_patterns_that_nest_take_bounded_time(unit: str, begin: str, end: str) -> None:
    index = index_of(begin + unit * (20 + each) + end for each in range(64))
    index.settle()
    assert seconds_to_find(index, unit * (SIZE // len(unit))) < 10


def test_message_that_is_given_up_says_so() -> None:
    index = index_of(["the frobnicator is jammed"])
    with pytest.raises(TooManyPlaces):
        index.find(read_log("frobnicator is j\n" * 100), 50)


def test_message_of_few_places_is_looked_through() -> None:
    index = index_of(["the frobnicator is jammed"])
    assert len(index.find(read_log("the frobnicator is jammed\n" * 10), 50)) == 1
