"""The verdict on a history: silence, or what is wrong with it, and the history itself in a file."""

from pathlib import Path

from tests.journeys.checker import check
from tests.journeys.history import History

SHOWN = 20


def judge(history: History, folder: Path, *, resets: frozenset[str] = frozenset()) -> None:
    """Raises `AssertionError` with the first problems that the checker found, after it has kept the history."""
    problems = check(history, resets=resets)
    if problems:
        file = folder / "history.jsonl"
        history.save(file)
        shown = "\n".join(f"  {problem.kind}: {problem.detail}" for problem in problems[:SHOWN])
        raise AssertionError(f"{len(problems)} problems in {file}\n{shown}")
