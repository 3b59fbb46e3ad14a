"""The word index: one order wherever skills are in it, pages without repeat or gap, and clocks that tell what moved."""

from math import inf

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.query import settled_skills, words
from app.query.plan import FIELDS, Plan, Scored, WordsOf, words_of
from app.query.words import WordIndex
from tests.inside import run

VOCABULARY = ["server", "port", "socket", "fooBar", "foo_bar", "E0308", "==", "module"]

some_text = st.lists(st.sampled_from(VOCABULARY), max_size=4).map(" ".join)
some_words = st.builds(lambda title, head, text: make_words(title, head, text), some_text, some_text, some_text)
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def make_words(title: str = "", head: str = "", text: str = "", facets: tuple[str, ...] = ()) -> WordsOf:
    return WordsOf(words_of([title]), words_of([head]), words_of([text]), facets)


def index_of(skills: list[WordsOf], settle_after: int | None = None) -> WordIndex:
    """An index of skills in slots from 1 on; what comes up to `settle_after` is settled, as it is when read."""
    index = WordIndex(0)
    for slot, skill in enumerate(skills, 1):
        index.add(slot, skill, b"%d" % slot)
        if slot == settle_after:
            ask(index, "server")
            run(index.settle())
    return index


def loaded(skills: list[WordsOf]) -> WordIndex:
    index = WordIndex(0)
    for slot, skill in enumerate(skills, 1):
        index.load(slot, skill, b"%d" % slot)
    index.loaded()
    return index


def in_segments(skills: list[WordsOf], count: int) -> WordIndex:
    """An index of skills whose slots lie scattered over so many segments."""
    index = WordIndex(0)
    for first in range(count):
        for slot in range(first + 1, len(skills) + 1, count):
            index.load(slot, skills[slot - 1], b"%d" % slot)
        index.loaded()
    return index


def ask(index: WordIndex, text: str, *facets: tuple[str, ...]) -> list[int]:
    """The slots of the skills that have some of the words, best first."""
    return [each.slot for each in index.best(index.plan(text, 16, 20_000), 100, facets)]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settled as soon as there is something to settle, asked for hardly more than is wanted, and first for all words."""
    monkeypatch.setattr(words, "_SETTLE_AT", 1)
    monkeypatch.setattr(settled_skills, "_SPARE", 1)
    monkeypatch.setattr(settled_skills, "_MANY", 0)


@few
@given(st.lists(some_words, max_size=12), some_text, st.integers(1, 12))
def test_skill_scores_the_same_wherever_it_is(
    small_parts: None, skills: list[WordsOf], question: str, settle_after: int
) -> None:
    recent, half, settled = index_of(skills), index_of(skills, settle_after), loaded(skills)
    plan = recent.plan(question, 16, 20_000)
    assert half.plan(question, 16, 20_000) == settled.plan(question, 16, 20_000) == plan
    found = recent.best(plan, 100)
    assert half.best(plan, 100) == settled.best(plan, 100) == found
    assert half.having_all(plan) == settled.having_all(plan) == recent.having_all(plan)


@few
@given(st.lists(some_words, max_size=12), some_text, st.integers(1, 12), st.integers(1, 4))
def test_pages_are_the_whole_list(
    small_parts: None, skills: list[WordsOf], question: str, settle_after: int, size: int
) -> None:
    index = index_of(skills, settle_after)
    plan = index.plan(question, 16, 20_000)
    pages: list[Scored] = []
    while page := index.best(plan, size, after=pages[-1] if pages else None):
        pages += page
    assert pages == index.best(plan, 100)


@few
@given(st.lists(some_words, max_size=24), some_text, st.integers(1, 4), st.integers(1, 5), st.sets(st.integers(0, 23)))
def test_equals_are_in_order_over_segments(
    small_parts: None, skills: list[WordsOf], question: str, segments: int, size: int, gone: set[int]
) -> None:
    index, plain = in_segments(skills, segments), index_of(skills)
    for place in sorted(gone):
        if place < len(skills):
            index.remove(place + 1, skills[place], len(skills))
            plain.remove(place + 1, skills[place], len(skills))
    plan = plain.plan(question, 16, 20_000)
    expected = plain.best(plan, 100)
    assert (index.plan(question, 16, 20_000), index.best(plan, size)) == (plan, expected[:size])
    if expected:
        after = expected[len(expected) // 2]
        rest = expected[len(expected) // 2 + 1 :]
        assert index.best(plan, size, after=after) == rest[:size]


def test_skill_that_lacks_a_word_is_found_before_worse_ones_that_have_all(small_parts: None) -> None:
    index = loaded([make_words("port"), make_words(text="server port"), make_words(text="server port")])
    assert [each.slot for each in index.best(index.plan("server port", 16, 20_000), 1)] == [1]


@pytest.mark.parametrize("segments", [1, 3, 7])
def test_newest_of_thousands_of_one_score_are_first(segments: int) -> None:
    skills = [make_words("the server is down", text="port" if slot % 50 == 0 else "") for slot in range(3_000)]
    index = in_segments(skills, segments)
    found = [each.slot for each in index.best(index.plan("server port", 16, 20_000), 70)]
    assert found == [*range(2_951, 0, -50), *[slot for slot in range(3_000, 2_980, -1) if slot % 50 != 1][:10]]


@pytest.mark.parametrize("is_settled", [True, False])
def test_page_goes_on_through_thousands_of_one_score(is_settled: bool) -> None:
    skills = [make_words("the server is down")] * 5_000
    index = loaded(skills) if is_settled else index_of(skills)
    plan = index.plan("server", 16, 20_000)
    slots: list[int] = []
    after, slot = None, 5_000
    while page := index.best(plan, 90, after=after):
        slots += [each.slot for each in page]
        after, slot = page[-1], slot + 1
        index.add(slot, skills[0], b"")  # newer than what was shown: it is on no later page
    assert slots == list(range(5_000, 0, -1))


@pytest.mark.parametrize("settle_after", [None, 2, 4])
def test_newest_of_equals_are_first(small_parts: None, settle_after: int | None) -> None:
    assert ask(index_of([make_words("a server")] * 4, settle_after), "server") == [4, 3, 2, 1]


def test_word_in_the_title_counts_more_than_one_in_the_text() -> None:
    index = index_of([make_words(title="server"), make_words(head="server"), make_words(text="server")])
    weight = index.plan("server", 16, 20_000).weights[0][1]
    worths = [worth for _, worth in FIELDS]
    assert index.best(index.plan("server", 16, 20_000), 9) == [
        (weight * sum(worths), 1),
        (weight * sum(worths[1:]), 2),
        (weight * worths[2], 3),
    ]


@pytest.mark.parametrize("settle_after", [None, 4])
@pytest.mark.parametrize(
    ("facets", "expected"),
    [
        ([("tag:a",)], [3, 1]),
        ([("tag:a", "tag:b")], [3, 2, 1]),
        ([("tag:a",), ("agent:x",)], [1]),
        ([("tag:c",)], []),
        ([("tag:A",)], []),
    ],
)
def test_facets_must_all_hold(
    small_parts: None, settle_after: int | None, facets: list[tuple[str, ...]], expected: list[int]
) -> None:
    skills = [make_words("server", facets=each) for each in (("tag:a", "agent:x"), ("tag:b",), ("tag:a",), ())]
    index = index_of(skills, settle_after)
    assert ask(index, "server", *facets) == expected
    assert index.having_all(index.plan("server", 16, 20_000), facets) == expected


@pytest.mark.parametrize("settle_after", [None, 3])
@pytest.mark.parametrize(
    ("text", "expected"), [("server", [3, 2, 1]), ("port server", [3, 1]), ("port nowhere", []), ("", [])]
)
def test_having_all_is_every_skill_with_every_word_the_newest_first(
    small_parts: None, settle_after: int | None, text: str, expected: list[int]
) -> None:
    index = index_of([make_words("server", text="port"), make_words("server"), make_words("port server")], settle_after)
    assert index.having_all(index.plan(text, 16, 20_000)) == expected


@pytest.mark.parametrize("settle_after", [None, 1, 2, 3])
def test_dead_skill_is_found_no_longer(small_parts: None, settle_after: int | None) -> None:
    skills = [make_words("server")] * 3
    index = index_of(skills, settle_after)
    index.remove(2, skills[1], 4)
    assert ask(index, "server") == index.having_all(index.plan("server", 16, 20_000)) == [3, 1]
    assert (len(index), index.dead) == (2, 1)


@pytest.mark.parametrize("settle_after", [None, 2])
def test_word_that_only_dead_skills_have_is_unknown(small_parts: None, settle_after: int | None) -> None:
    skills = [make_words("server"), make_words("port")]
    index = index_of(skills, settle_after)
    index.remove(1, skills[0], 3)
    assert index.plan("server", 16, 20_000) == Plan((), 1, 2)


@pytest.mark.parametrize("settle_after", [None, 1, 2])
def test_document_is_what_was_added(small_parts: None, settle_after: int | None) -> None:
    index = index_of([make_words("server")] * 2, settle_after)
    assert [index.document(slot) for slot in (1, 2, 3)] == [b"1", b"2", None]


def test_rare_words_weigh_more() -> None:
    index = index_of([make_words("server")] * 15 + [make_words("server port")])
    weights = dict(index.plan("server port", 16, 20_000).weights)
    assert weights["port"] == weights["server"] + 4


def test_plan_is_of_the_rarest_words() -> None:
    index = index_of([make_words("server")] * 15 + [make_words("server port")])
    assert [word for word, _ in index.plan("server port", 1, 20_000).weights] == ["port"]


def test_words_that_no_skill_has_are_counted() -> None:
    plan = index_of([make_words("server")]).plan("a server that nobody ever met", 16, 20_000)
    assert [word for word, _ in plan.weights] == ["server"]
    assert plan.unknown == 3  # stop words are none


def test_plan_of_an_empty_index_finds_nothing() -> None:
    assert ask(WordIndex(0), "server") == []


def test_name_is_found_in_whatever_style_it_was_written() -> None:
    index = index_of([make_words("foo_bar"), make_words("fooBar"), make_words("foo.bar")])
    assert all(sorted(ask(index, name)) == [1, 2, 3] for name in ("foo_bar", "FooBar", "foo-bar"))


@pytest.mark.parametrize("length", [1, 63, 64])
@pytest.mark.parametrize("settle_after", [None, 1])
def test_long_word_is_found(small_parts: None, settle_after: int | None, length: int) -> None:
    assert ask(index_of([make_words("x" * length)], settle_after), "x" * length) == [1]


@pytest.mark.parametrize(
    "question",
    [
        '"server',
        "server*",
        "AND (server",
        "field:server",
        "title:server",
        "server\\",
        "server OR NOT",
        "+server -server",
        "[server TO *]",
        "server~2^3",
        "server\0",
        "/server/",
        "",
        '"',
        "*",
        "((((",
    ],
)
@pytest.mark.parametrize("settle_after", [None, 1])
def test_query_syntax_is_text(small_parts: None, settle_after: int | None, question: str) -> None:
    assert ask(index_of([make_words("server")], settle_after), question) == ([1] if "server" in question else [])


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_no_question_fails(question: str) -> None:
    index = _KEPT
    plan = index.plan(question, 16, 20_000)
    index.best(plan, 3)
    index.having_all(plan)
    index.forms(question, plan)


_KEPT = index_of([make_words("server"), make_words("port")])


def test_clock_moves_for_the_words_that_were_touched() -> None:
    index = index_of([make_words("server"), make_words("port")])
    server, port = index.plan("server", 16, 20_000), index.plan("port", 16, 20_000)
    assert (index.newest_clock(server), index.newest_clock(port)) == (1, 2)
    index.add(3, make_words(text="server"), b"")
    assert (index.newest_clock(server), index.newest_clock(port)) == (3, 2)
    index.remove(2, make_words("port"), 4)
    assert (index.newest_clock(server), index.newest_clock(port)) == (3, 4)


def test_clock_never_goes_back() -> None:
    index = index_of([make_words("server"), make_words("server")])
    server = index.plan("server", 16, 20_000)
    index.add(3, make_words("server"), b"")
    index.remove(1, make_words("server"), 4)
    assert index.newest_clock(server) == 4


def test_clock_of_a_loaded_index_is_its_offset() -> None:
    index = WordIndex(7)
    index.load(3, make_words("server"), b"")
    index.loaded()
    assert index.newest_clock(index.plan("server", 16, 20_000)) == 7


def test_commit_of_what_nobody_has_read_makes_older_answers_doubtful(small_parts: None) -> None:
    index = index_of([make_words("server"), make_words("port")])
    server = index.plan("server", 16, 20_000)
    assert index.newest_clock(server) == 1
    index.add(3, make_words("module"), b"")
    run(index.settle())
    assert index.newest_clock(server) >= 3


def test_commit_of_what_was_read_leaves_answers_right(small_parts: None) -> None:
    index = index_of([make_words("server"), make_words("port")])
    server = index.plan("server", 16, 20_000)
    index.add(3, make_words("module"), b"")
    assert index.newest_clock(server) == 1
    run(index.settle())
    assert index.newest_clock(server) == 1


def test_too_many_clocks_make_all_answers_doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_CLOCKS", 3)
    index = index_of([make_words("server"), make_words("one two three four")])
    server = index.plan("server", 16, 20_000)
    index.add(3, make_words("port"), b"")
    assert index.newest_clock(server) == 3


@pytest.mark.parametrize("settle_after", [None, 1])
def test_words_are_told_as_they_were_written(small_parts: None, settle_after: int | None) -> None:
    index = index_of([make_words("Servers failing in foo_bar")], settle_after)
    plan = index.plan("the Server FAILED: fooBar", 16, 20_000)
    assert index.forms("the Server FAILED: fooBar", plan)["server"] == "Server"
    assert index.forms("the Server FAILED: fooBar", plan)["foobar"] == "fooBar"


def test_what_scores_less_than_asked_for_is_left_out() -> None:
    index = index_of([make_words("server"), make_words(text="server")])
    plan = index.plan("server", 16, 20_000)
    best, worse = index.best(plan, 9)
    assert index.best(plan, 9, at_least=best.score) == [best]
    assert index.best(plan, 9, at_least=worse.score) == [best, worse]


def test_best_that_came_since_is_told() -> None:
    index = index_of([make_words("server"), make_words(text="server"), make_words("port")])
    plan = index.plan("server", 16, 20_000)
    best, worse = index.best(plan, 9)
    assert [index.best_since(plan, (), offset) for offset in (0, 1, 2)] == [best.score, worse.score, 0.0]


def test_best_that_came_since_is_not_known_of_what_was_settled(small_parts: None) -> None:
    index = index_of([make_words("server"), make_words("port")], settle_after=2)
    assert index.best_since(index.plan("server", 16, 20_000), (), 1) == inf
