"""What is found without the server."""

import time

import pytest

from app.client import Skill
from app.client.memory import MOST_MESSAGE_CHARACTERS, Memory, mask


def skill(id: str, pattern: str | None, **fields: object) -> Skill:
    return Skill(id=id, name=id, resolution=f"Do {id}.", pattern=pattern, **fields)  # type: ignore[arg-type]


def found(message: str, *skills: Skill, error_type: str | None = None) -> str | None:
    memory = Memory()
    for each in skills:
        memory.learn(each)
    best = memory.find(message, error_type)
    return None if best is None else best.id


@pytest.mark.parametrize(
    ("pattern", "message", "is_found"),
    [
        ("connect ECONNREFUSED 127.0.0.1:5432", "Error: connect ECONNREFUSED 127.0.0.1:5432\n at x", True),
        ("connect ECONNREFUSED 127.0.0.1:5432", "Error: connect ECONNREFUSED 10.0.0.7:5433", True),
        ("No such file: '/srv/a.yml', line 3", "E: No such file: '/home/b.yml', line 17", True),
        ("worker 4 died at 0x7fa3", "worker 17 died at 0xdeadbeef", True),
        ("permission denied", "Permission denied", False),
        ("two   blanks here", "  two blanks\there", True),
        ("first line\nsecond line", "x\n  first line \n second line\ny", True),
        ("ENOSPC", "write: ENOSPC, stop", True),
        ("ENOSPC", "XENOSPCX", False),
        ("error", "an error occurred", False),
        ("E1", "E1", True),
        ("E1", "code E1", False),
        ("'a' 12", "'b' 13", False),
        (None, "anything", False),
    ],
)
def test_pattern_stands_in_the_message_as_the_rules_say(pattern: str | None, message: str, is_found: bool) -> None:
    assert (found(message, skill("s", pattern)) == "s") is is_found


def test_exact_comes_before_masked_the_longer_before_the_shorter() -> None:
    exact, shorter = skill("exact", "exit code 1 of make"), skill("shorter", "code 1 of make")
    masked = skill("masked", "the exit code 17 of make was bad")
    message = "the exit code 1 of make was bad"
    assert found(message, masked, shorter, exact) == "exact"
    assert found(message, masked) == "masked"


def test_among_equals_the_error_type_decides_then_confidence_then_the_newer() -> None:
    pattern = "something is wrong"
    old, new = skill("old", pattern), skill("new", pattern)
    trusted, typed = skill("trusted", pattern, confidence=0.9), skill("typed", pattern, error_type="OSError")
    assert found(pattern, old, new) == "new"
    assert found(pattern, trusted, old, new) == "trusted"
    assert found(pattern, typed, trusted, new, error_type="OSError") == "typed"


def test_memory_forgets_what_it_learned_first() -> None:
    memory = Memory(most_skills=2)
    for id in "abac":
        memory.learn(skill(id, "pattern " + id))
    assert [each.id for each in memory.all()] == ["a", "c"]


def test_memory_is_bounded_by_characters_too() -> None:
    memory = Memory(most_characters=1_000)
    for id in "abc":
        memory.learn(skill(id, id * 200))
    assert [each.id for each in memory.all()] == ["b", "c"]
    memory.clear()
    memory.learn(skill("d", "d" * 200))
    assert len(memory) == 1


@pytest.mark.parametrize("piece", ["a", "a/", "'", "0", "a.", ":", "ab1", "\n", " /"])
def test_hostile_messages_cost_little(piece: str) -> None:
    memory = Memory()
    memory.learn(skill("s", "worker 4 died"))
    began = time.process_time()
    memory.find(piece * (MOST_MESSAGE_CHARACTERS // len(piece)), None)
    assert time.process_time() - began < 1.0


def test_message_that_is_too_long_is_left_to_the_server() -> None:
    assert found("worker 4 died" + " " * MOST_MESSAGE_CHARACTERS, skill("s", "worker 4 died")) is None


def test_mask_leaves_words_with_figures_alone() -> None:
    assert mask("E0308 in utf8 don't it's 12") == "E0308 in utf8 don't it's <*>"
