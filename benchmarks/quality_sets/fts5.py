"""The baseline: BM25 of SQLite's FTS5, as it comes, over the same text."""

import re
import sqlite3

from benchmarks.quality_sets import LabelledSet
from benchmarks.quality_sets.scoring import DEPTH, Ask

_WORD = re.compile(r"\w+")


def ranker(labelled: LabelledSet, tokenizer: str = "unicode61") -> Ask:
    """Ranks by `bm25()` with default weights; a skill needs one of the question's words, in any column."""
    table = sqlite3.connect(":memory:")
    table.execute(
        f"CREATE VIRTUAL TABLE skill USING fts5(name, description, resolution, tags, tokenize = '{tokenizer}')"
    )
    table.executemany(
        "INSERT INTO skill VALUES (:name, :description, :resolution, :tags)",
        [{**body, "tags": " ".join(map(str, _list(body["tags"])))} for body in labelled.skills],
    )

    def ask(message: str) -> list[str]:
        words = " OR ".join(f'"{word}"' for word in dict.fromkeys(_WORD.findall(message)))
        found = table.execute(
            "SELECT name FROM skill WHERE skill MATCH ? ORDER BY bm25(skill), rowid LIMIT ?", (words, DEPTH)
        )
        return [name for (name,) in found]

    return ask


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value
