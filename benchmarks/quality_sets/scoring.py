"""How well a ranking answers labelled questions: Recall@1, Recall@5, MRR at 10, and misses."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.quality_sets import Question

DEPTH = 10
Ask = Callable[[str], list[str]]
"""A message in, names of skills out, best first; what stands after the tenth does not count."""


@dataclass(frozen=True)
class Figures:
    """Shares are of all questions, 0 to 1. A miss is a question whose answer is not among the first five."""

    questions: int
    recall_at_1: float
    recall_at_5: float
    mrr: float
    misses: int


def measure(questions: Iterable[Question], ask: Ask) -> Figures:
    """Ask each question once."""
    ranks = [_rank(question.answer, ask(question.text)) for question in questions]
    first, early = sum(rank == 1 for rank in ranks), sum(rank is not None and rank <= 5 for rank in ranks)
    return Figures(
        questions=len(ranks),
        recall_at_1=first / len(ranks),
        recall_at_5=early / len(ranks),
        mrr=sum(1 / rank for rank in ranks if rank) / len(ranks),
        misses=len(ranks) - early,
    )


def _rank(answer: str, names: list[str]) -> int | None:
    """1 for the first; None if it is not there."""
    return names[:DEPTH].index(answer) + 1 if answer in names[:DEPTH] else None
