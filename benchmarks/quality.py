"""Recall@1, Recall@5, MRR and misses of CIN's answers, beside FTS5's BM25 on the same text. `poe bench-quality`

The sets come from what packages carry, see `benchmarks.quality_sets`. CIN is asked as agents ask it, over HTTP, after
all skills of a set were captured. ruff's and ty's are the sets that have floors; the others show whether what helps these
two helps elsewhere.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from benchmarks.quality_sets import LabelledSet, fts5, refurb_checks, ruff_rules, sqlfluff_rules, ty_rules, wemake
from benchmarks.quality_sets.scoring import DEPTH, Ask, Figures, measure
from benchmarks.running import cin

LOADERS = {
    "ruff": ruff_rules.load,
    "ty": ty_rules.load,
    "refurb": refurb_checks.load,
    "wemake": wemake.load,
    "sqlfluff": sqlfluff_rules.load,
}
WITH_FLOORS = ("ruff", "ty")
RECALL_AT_5_FLOOR = 0.90
MISSES_CEILING = 0.75  # of those that FTS5 has
BATCH = 1_000  # skills in one request, the most that CIN takes


@contextmanager
def holding(labelled: LabelledSet) -> Iterator[httpx.Client]:
    """A client of a new CIN that has captured all skills of the set."""
    with cin() as server, httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        for start in range(0, len(labelled.skills), BATCH):
            answer = client.post("/skills/batch", json=labelled.skills[start : start + BATCH]).raise_for_status().json()
            if answer["failed"] or answer["known"]:
                raise RuntimeError(
                    f"not all are new skills: {[x for x in answer['results'] if x['status'] != 201][:3]}"
                )
        yield client


def matched(client: httpx.Client) -> Ask:
    """Asks `POST /match`."""

    def ask(message: str) -> list[str]:
        answer = client.post("/match", json={"message": message, "limit": DEPTH}).raise_for_status().json()
        return [match["skill"]["name"] for match in answer["matches"]]

    return ask


def searched(client: httpx.Client) -> Ask:
    """Asks `GET /skills?q=`."""

    def ask(message: str) -> list[str]:
        answer = client.get("/skills", params={"q": message, "limit": DEPTH}).raise_for_status().json()
        return [skill["name"] for skill in answer["skills"]]

    return ask


def compare(labelled: LabelledSet) -> dict[str, Figures]:
    """Figures of each ranking on one set, CIN's first. Prints a line a ranking."""
    print(f"\n{labelled.name}: {len(labelled.skills)} skills, {len(labelled.questions)} questions")
    print(f"{'':20}  Recall@1  Recall@5     MRR  misses  ms/question")
    figures = {}
    with holding(labelled) as client:
        rankings = {
            "CIN POST /match": matched(client),
            "CIN GET /skills?q=": searched(client),
            "FTS5": fts5.ranker(labelled),
            "FTS5 porter": fts5.ranker(labelled, "porter unicode61"),
        }
        for name, ask in rankings.items():
            began = time.perf_counter()
            got = figures[name] = measure(labelled.questions, ask)
            each = (time.perf_counter() - began) / got.questions * 1_000
            print(
                f"{name:20}  {got.recall_at_1:8.3f}  {got.recall_at_5:8.3f}  {got.mrr:6.3f}  {got.misses:6}  {each:11.2f}"
            )
    return figures


def shortfalls(name: str, figures: dict[str, Figures]) -> Iterator[str]:
    """What of the floors `POST /match` does not reach, in words."""
    ours, most = figures["CIN POST /match"], figures["FTS5"].misses * MISSES_CEILING
    if ours.recall_at_5 < RECALL_AT_5_FLOOR:
        yield f"{name}: Recall@5 is {ours.recall_at_5:.3f}, below {RECALL_AT_5_FLOOR:.2f}"
    if ours.misses > most:
        yield f"{name}: {ours.misses} misses, more than {MISSES_CEILING:.0%} of FTS5's {figures['FTS5'].misses}"


def main() -> int:
    """1 if a floor is not reached."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"some of {', '.join(LOADERS)}; all if left out")
    chosen = parser.parse_args().sets or list(LOADERS)
    if unknown := set(chosen) - set(LOADERS):
        parser.error(f"no such set: {', '.join(sorted(unknown))}")
    short: list[str] = []
    for name in chosen:
        figures = compare(LOADERS[name]())
        if name in WITH_FLOORS:
            short += shortfalls(name, figures)
    print("\n" + ("\n".join(short) if short else "All floors are reached."))
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
