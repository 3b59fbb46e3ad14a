"""The checker stays silent on what a good server does, and on nothing else."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.journeys.checker import Kind, check
from tests.journeys.history import Block, Connection, History, Outcome, Try

EPOCH = "k3f9"
HEAD = 12
_clock = count()


def position(offset: int, epoch: str = EPOCH) -> str:
    return f"{epoch}-{offset}"


def skill(offset: int, name: str | None = None) -> dict[str, object]:
    return {"id": f"id-{offset}", "name": name or f"skill-{offset}", "position": position(offset)}


def encode(value: object) -> str:
    return msgspec.json.encode(value).decode()


def block(id: str, event: str, data: object) -> Block:
    return Block(id, event, encode(data) if data else "", float(next(_clock)))


def event(offset: int, *, name: str | None = None, epoch: str = EPOCH) -> Block:
    at, id = "2026-11-22T08:00:00.000Z", position(offset, epoch)
    kind = "skill.captured"
    return block(id, kind, {"id": id, "offset": offset, "type": kind, "at": at, "skill": skill(offset, name)})


def hello(head: int, earliest: int = 1, epoch: str = EPOCH) -> Block:
    return block("", "hello", {"head": position(head, epoch), "earliest": position(earliest, epoch)})


def cursor(offset: int) -> Block:
    return block(position(offset), "", None)


def reset(head: int, reason: str = "expired") -> Block:
    id = position(head)
    return block(id, "reset", {"reason": reason, "head": id, "earliest": position(1)})


def step(offset: int, outcome: Outcome, status: int = 0, name: str | None = None) -> Try:
    answer = encode(skill(offset)) if outcome == "ok" else ""
    return Try(name or f"skill-{offset}", outcome, float(next(_clock)), status, answer)


def history(*, tries: list[Try] | None = None, connections: list[Connection] | None = None) -> History:
    made = History()
    made.tries = tries if tries is not None else captured()
    made.connections = connections if connections is not None else subscribed()
    return made


def captured() -> list[Try]:
    return [each for offset in range(1, HEAD + 1) for each in (step(offset, "invoked"), step(offset, "ok", 201))]


def subscribed() -> list[Connection]:
    """A subscriber from the beginning that was cut once, one from `now`, one from an offset, and one by the client."""
    return [
        Connection("a", "earliest", [hello(3), cursor(0), *map(event, range(1, 6)), cursor(5), block("", "", None)]),
        Connection("b", "now", [hello(4), cursor(3), *map(event, range(4, HEAD + 1))]),
        Connection("a", position(5), [hello(9), cursor(5), *map(event, range(6, HEAD + 1))]),
        Connection("c", "7", [hello(9), cursor(7), *map(event, range(8, HEAD + 1))]),
        Connection("d", "earliest", [event(offset) for offset in range(1, HEAD + 1)], raw=False),
    ]


def kinds(found: History, resets: frozenset[str] = frozenset()) -> set[Kind]:
    return {problem.kind for problem in check(found, resets=resets)}


def test_checker_is_silent_on_a_good_history() -> None:
    assert check(history()) == []


def test_checker_lets_a_capture_of_unknown_outcome_happen_once_or_never() -> None:
    unknown = [step(1, "invoked"), step(1, "unknown"), *captured()[2:]]
    lost = [step(99, "invoked"), step(99, "unknown")]
    assert check(history(tries=unknown + lost)) == []


def test_checker_lets_a_retry_get_the_first_answer() -> None:
    retried = [step(2, "unknown"), step(2, "ok", 201), step(2, "ok", 201)]
    assert check(history(tries=captured() + retried)) == []


def test_checker_lets_a_reset_pass_that_has_a_reason() -> None:
    told = Connection("e", position(2), [hello(8, earliest=5), reset(8), *map(event, range(9, HEAD + 1))])
    assert check(history(connections=[*subscribed(), told]), resets=frozenset({"expired"})) == []


Change = Callable[[History], object]


def remove(which: int, number: int) -> Change:
    return lambda found: found.connections[which].blocks.pop(number)


def put(which: int, number: int, *blocks: Block) -> Change:
    return lambda found: found.connections[which].blocks.__setitem__(slice(number, number), blocks)


def replace(which: int, first: int, after: int, *blocks: Block) -> Change:
    return lambda found: found.connections[which].blocks.__setitem__(slice(first, after), blocks)


def connect(connection: Connection) -> Change:
    return lambda found: found.connections.append(connection)


def try_(*tries: Try) -> Change:
    return lambda found: found.tries.extend(tries)


def first_answer(offset: int, answer: Try) -> Change:
    return lambda found: found.tries.__setitem__(2 * offset - 1, answer)


def in_every_stream(offset: int, *blocks: Block) -> Change:
    """Read `blocks` where the event at an offset was."""

    def change(found: History) -> None:
        for connection in found.connections:
            before = connection.blocks
            is_it = [each.id == position(offset) and each.event != "" for each in before]
            connection.blocks = [b for each, it in zip(before, is_it, strict=True) for b in (blocks if it else (each,))]

    return change


def refuse_and_show(found: History) -> None:
    found.tries += [step(13, "invoked"), step(13, "failed", 507)]
    in_every_stream(HEAD, event(HEAD), event(13))(found)


OTHER_BYTES = msgspec.structs.replace(event(8), data=event(8).data + " ")
STRANGER = Block(position(2), "skill.captured", event(1).data, 0.0)

CORRUPTIONS: dict[str, tuple[Change, set[Kind]]] = {
    "an event is missing for one": (remove(1, 5), {"hole", "lost"}),
    "an event is missing for all": (in_every_stream(10), {"hole", "lost"}),
    "the first event of a stream is missing": (remove(0, 2), {"hole", "lost"}),
    "the first event after a resume is missing": (remove(2, 2), {"hole", "lost"}),
    "a client library leaves one out": (remove(4, 3), {"hole", "lost"}),
    "a client library leaves out the first": (remove(4, 0), {"hole"}),
    "a stream from now begins late": (replace(1, 1, 5, cursor(6)), {"hole"}),
    "a stream from now begins late, and does not say where": (replace(1, 1, 5), {"hole"}),
    "a stream from an offset begins late": (replace(3, 1, 3), {"hole", "lost"}),
    "the cursor runs ahead of what came": (put(2, 9, cursor(14)), {"hole"}),
    "another skill stands where one was acknowledged": (
        in_every_stream(4, event(4, name="skill-99")),
        {"lost", "phantom"},
    ),
    "an event comes twice": (put(1, 5, event(6)), {"duplicate"}),
    "an event comes again after a resume": (put(2, 2, event(5)), {"duplicate"}),
    "a client library gives one twice": (put(4, 3, event(3)), {"duplicate"}),
    "two events are exchanged": (replace(1, 4, 6, event(7), event(6)), {"hole", "reordered"}),
    "an event comes late": (put(3, 4, event(3)), {"reordered"}),
    "a client library is told another skill": (replace(4, 6, 7, event(7, name="skill-99")), {"disagreement"}),
    "the same event in other bytes": (replace(1, 6, 7, OTHER_BYTES), {"disagreement"}),
    "a block carries another event": (replace(0, 3, 4, STRANGER), {"disagreement", "lost", "repeated"}),
    "a skill that nobody captured": (in_every_stream(HEAD, event(HEAD), event(13)), {"phantom"}),
    "a skill whose capture was refused": (refuse_and_show, {"phantom"}),
    "a capture that happened twice": (in_every_stream(HEAD, event(HEAD), event(13, name="skill-3")), {"repeated"}),
    "a retry that is answered differently": (try_(step(2, "ok", 200)), {"repeated"}),
    "a first answer that says it was there before": (first_answer(2, step(2, "ok", 200)), {"repeated"}),
    "a position ahead of the log is served from its head": (
        connect(Connection("e", position(40), [hello(HEAD), cursor(HEAD)])),
        {"silent"},
    ),
    "a position of another epoch is served": (
        connect(Connection("e", position(3, "old"), [hello(HEAD), cursor(3), event(4)])),
        {"silent"},
    ),
    "an expired position is served from the earliest": (
        connect(Connection("e", position(2), [hello(HEAD, earliest=6), cursor(5), event(6)])),
        {"hole", "lost"},
    ),
    "the log changes its epoch unnoticed": (put(3, 7, event(1, epoch="new")), {"silent", "repeated"}),
    "a reset for no reason": (connect(Connection("e", position(2), [hello(HEAD), reset(HEAD)])), {"reset"}),
    "events from below the head that a reset named": (
        connect(Connection("e", position(2), [hello(9), reset(9), event(9)])),
        {"reset", "reordered"},
    ),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_checker_notices(name: str) -> None:
    corrupt, expected = CORRUPTIONS[name]
    corrupted = history()
    corrupt(corrupted)
    assert kinds(corrupted) == expected


@given(st.data())
def test_checker_notices_any_event_that_is_left_out_repeated_or_moved(data: st.DataObject) -> None:
    corrupted = history()
    blocks = data.draw(st.sampled_from(corrupted.connections)).blocks
    events = [number for number, block in enumerate(blocks) if block.event == "skill.captured"]
    number = data.draw(st.sampled_from(events[:-1]))  # without its last event a subscriber is merely not there yet
    taken = blocks.pop(number)
    for place in data.draw(st.sampled_from([[], [number, number], [number + 1]])):
        blocks.insert(place, taken)
    assert check(corrupted) != []


def test_history_is_the_same_after_it_was_saved_and_loaded(tmp_path: Path) -> None:
    kept, found = history(), History()
    kept.save(tmp_path / "history.jsonl")
    found.load(tmp_path / "history.jsonl")
    assert (found.tries, found.connections) == (kept.tries, kept.connections)
