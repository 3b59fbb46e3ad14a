"""Ranking: kind, then how specific, then words, then confidence, then what is newer; and votes never work backwards."""

from asyncio import TaskGroup
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.metrics import Metrics
from app.skills.confidence import confidence
from app.skills.ranking import Candidate, Kind, rank, score
from app.storage.group_commit import GroupCommit
from app.storage.sqlite import open_sqlite
from tests.inside import database_in, run
from tests.query.histories import History, begin, matched

votes = st.tuples(st.integers(0, 6), st.integers(0, 6))
kinds: st.SearchStrategy[Kind] = st.sampled_from(["exact", "masked", "similar"])


def make_candidate(
    kind: Kind = "exact",
    *,
    specificity: int = 20,
    words: float = 0.5,
    trust: tuple[int, int] = (0, 0),
    newness: int = 1,
    group: str | None = None,
    is_plain: bool = False,
) -> Candidate:
    return Candidate(kind, is_plain, specificity, words, confidence(*trust), newness, group)


@st.composite
def some_candidates(draw: st.DrawFn) -> list[Candidate]:
    """What one message can be answered with: a group is one pattern, so it says how specific its skills are."""
    specificities = draw(st.lists(st.integers(0, 9_000), min_size=3, max_size=3))
    made = []
    for newness in draw(st.permutations(range(draw(st.integers(1, 8))))):
        kind, group = draw(kinds), draw(st.integers(0, 2))
        is_similar = kind == "similar"
        made.append(
            make_candidate(
                kind,
                specificity=0 if is_similar else specificities[group],
                words=draw(st.integers(0, 60)) / 60,
                trust=draw(votes),
                newness=newness,
                group=None if is_similar else str(group),
                is_plain=kind == "exact" and specificities[group] < 8,
            )
        )
    return made


def place_of(candidate: int, candidates: Sequence[Candidate]) -> int:
    return rank(candidates).index(candidate)


@given(some_candidates(), votes, st.data())
def test_another_success_never_lowers_a_place(
    candidates: list[Candidate], before: tuple[int, int], data: st.DataObject
) -> None:
    which = data.draw(st.integers(0, len(candidates) - 1))
    candidates[which] = replace(candidates[which], confidence=confidence(*before))
    better = [*candidates]
    better[which] = replace(candidates[which], confidence=confidence(before[0] + 1, before[1]))
    assert place_of(which, better) <= place_of(which, candidates)


@given(some_candidates(), votes, st.data())
def test_another_failure_never_raises_a_place(
    candidates: list[Candidate], before: tuple[int, int], data: st.DataObject
) -> None:
    which = data.draw(st.integers(0, len(candidates) - 1))
    candidates[which] = replace(candidates[which], confidence=confidence(*before))
    worse = [*candidates]
    worse[which] = replace(candidates[which], confidence=confidence(before[0], before[1] + 1))
    assert place_of(which, worse) >= place_of(which, candidates)


@given(some_candidates())
def test_every_candidate_has_one_place(candidates: list[Candidate]) -> None:
    assert sorted(rank(candidates)) == list(range(len(candidates)))


@given(some_candidates(), st.randoms())
def test_order_does_not_depend_on_how_candidates_come(candidates: list[Candidate], random: Random) -> None:
    shuffled = [*candidates]
    random.shuffle(shuffled)
    assert [shuffled[place] for place in rank(shuffled)] == [candidates[place] for place in rank(candidates)]


@given(some_candidates())
def test_scores_do_not_increase_down_the_list(candidates: list[Candidate]) -> None:
    scores = [score(candidates[place]) for place in rank(candidates)]
    assert scores == sorted(scores, reverse=True)


@given(some_candidates())
def test_scores_are_between_0_and_1(candidates: list[Candidate]) -> None:
    assert all(0 <= score(candidate) <= 1 for candidate in candidates)


@given(some_candidates())
def test_alternatives_of_one_pattern_stand_side_by_side(candidates: list[Candidate]) -> None:
    order = [(candidates[place].kind, candidates[place].group) for place in rank(candidates)]
    starts = [each for before, each in zip([None, *order], order, strict=False) if each != before and each[1]]
    assert len(starts) == len(set(starts))


@given(some_candidates())
def test_alternatives_of_one_pattern_stand_by_what_worked(candidates: list[Candidate]) -> None:
    order = [candidates[place] for place in rank(candidates)]
    for better, worse in pairwise(order):
        if better.kind == worse.kind == "exact" and better.group == worse.group:
            assert better.confidence >= worse.confidence


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            make_candidate("exact", specificity=8, words=0, trust=(0, 9)),
            make_candidate("masked", specificity=9_000, words=1, trust=(9, 0), newness=2),
        ),
        (
            make_candidate("masked", specificity=8, words=0, trust=(0, 9)),
            make_candidate("similar", words=1, trust=(9, 0), newness=2),
        ),
        (
            make_candidate("similar", words=0.1, trust=(0, 9)),
            make_candidate("exact", is_plain=True, specificity=7, words=1, trust=(9, 0), newness=2),
        ),
        (
            make_candidate("exact", specificity=21, words=0, trust=(0, 9)),
            make_candidate("exact", specificity=20, words=1, trust=(9, 0), newness=2),
        ),
        (
            make_candidate("exact", words=1.0, trust=(0, 9)),
            make_candidate("exact", words=0.5, trust=(9, 0), newness=2),
        ),
        (make_candidate("exact", trust=(2, 0)), make_candidate("exact", trust=(1, 0), newness=2)),
        (make_candidate("exact", newness=2), make_candidate("exact", newness=1)),
        (
            make_candidate("similar", words=0.6, trust=(0, 9)),
            make_candidate("similar", words=0.5, trust=(9, 0), newness=2),
        ),
    ],
    ids=["exact", "masked", "plain", "specificity", "words", "confidence", "newness", "similar"],
)
def test_what_counts_more_decides_first(first: Candidate, second: Candidate) -> None:
    assert rank([second, first]) == [1, 0]
    assert score(first) >= score(second)


def test_alternatives_go_with_the_best_of_them() -> None:
    best = make_candidate("exact", words=1.0, group="a", newness=1)
    other = make_candidate("exact", words=0.0, group="a", newness=2)
    between = make_candidate("exact", words=0.5, group="b", newness=3)
    assert set(rank([other, between, best])[:2]) == {0, 2}


def test_masked_alternatives_stand_by_what_agrees() -> None:
    agreeing = make_candidate("masked", words=1.0, trust=(0, 3), group="a")
    trusted = make_candidate("masked", words=0.0, trust=(9, 0), group="a", newness=2)
    assert rank([trusted, agreeing]) == [1, 0]


async def _ranked_after(folder: Path, reports: Sequence[tuple[int, bool, str]]) -> list[int]:
    """In which order two skills with one pattern are answered after reports on them: the captures' numbers."""
    async with open_sqlite(database_in(folder)) as database:
        commits = GroupCommit(database, Metrics(), max_weight=256)
        async with TaskGroup() as tasks:
            tasks.create_task(commits.run())
            history: History = await begin(database, commits, "default")
            for resolution in ("the first fix", "the second fix"):
                await history.capture(pattern="the frobnicator is jammed", resolution=resolution)
            await history.follow()
            for report in reports:
                await history.report(*report)
            found = orjson.loads(matched(history.index, "the frobnicator is jammed"))["matches"]
            commits.close()
            return [history.ids.index(match["skill"]["id"]) for match in found]


@pytest.mark.parametrize(
    ("reports", "order"),
    [
        ([], [1, 0]),
        ([(0, True, "a")], [0, 1]),
        ([(1, False, "a")], [0, 1]),
        ([*[(0, True, "a")] * 5, (1, True, "a"), (1, True, "b")], [1, 0]),
        ([*[(1, False, "a")] * 5, (0, False, "a"), (0, False, "b")], [1, 0]),
        ([(0, True, "a"), (0, False, "a")], [1, 0]),
    ],
    ids=["no reports", "success", "failure", "one agent often", "one agent against often", "changed mind"],
)
def test_votes_of_one_agent_count_once(tmp_path: Path, reports: list[tuple[int, bool, str]], order: list[int]) -> None:
    assert run(_ranked_after(tmp_path, reports)) == order
