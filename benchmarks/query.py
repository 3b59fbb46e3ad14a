"""Matching and searching over HTTP by the number of skills, beside a plain SQL scan and FTS5 on the same rows.

`python -m benchmarks.query [--rows FOLDER] [SIZE …]`, 1,000, 10,000 and 100,000 unless given; 1,000,000 takes half an hour,
most of it to write the skills. With `--rows` they are kept in FOLDER, and written once for all runs. One process, one
keep-alive connection; `GET /healthz` in the same run shows what a request costs here that does nothing. With 100,000: a log
of 1 MiB, reads while captures run, an import, memory, and the time to be ready.
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import httpx

from benchmarks.keepalive import Connection
from benchmarks.running import cin
from benchmarks.skills import Words, fill_in_process, make_log, make_skills
from tests.server import SERVE, Server

SIZES = [1_000, 10_000, 100_000]
SEED_MILLISECONDS = {1_000: 2, 10_000: 18, 100_000: 80}
"""What the system that CIN replaces needed for one query."""

LIMITS = {
    "match": (1.5, 4.0),
    "search 3 words": (2.5, None),
    "search 30 words": (5.0, None),
    "match again": (0.6, None),
}
"""Milliseconds, p50 and p99, that are aimed at with 100,000 skills."""

START_SECONDS = 1_800.0
"""How long the first start may take, in which the index is made: four minutes with 1,000,000 skills on two cores."""

QUESTIONS = 400
CAPTURES_A_SECOND = 500
IMPORTED = 100_000


@dataclass
class Figures:
    """What was measured with so many skills; times in seconds."""

    skills: int
    made: float = 0
    ready: float = 0
    mebibytes: float = 0
    times: dict[str, list[float]] = field(default_factory=dict)

    def p50(self, name: str) -> float:
        return statistics.median(self.times[name]) * 1e3 if self.times.get(name) else float("nan")

    def p99(self, name: str) -> float:
        times = sorted(self.times.get(name, []))
        return times[min(len(times) - 1, len(times) * 99 // 100)] * 1e3 if times else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(description="Times of matches and searches by the number of skills.")
    parser.add_argument("sizes", nargs="*", type=lambda size: int(size.replace(",", "")), metavar="SIZE")
    parser.add_argument("--rows", type=Path, metavar="FOLDER", help="where rows are kept for the next run")
    given = parser.parse_args()
    measured = [measure(size, given.rows) for size in given.sizes or SIZES]
    show(measured)
    return 0


def measure(size: int, rows: Path | None) -> Figures:
    """All questions to a server with so many skills, and the same to SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), program=SERVE)
        server.start_seconds = START_SECONDS
        write_skills(server.database, size, rows)
        questions = Questions(size)
        figures = Figures(size)
        started = time.perf_counter()
        with server:
            figures.made = time.perf_counter() - started
            say(f"ready after {figures.made:.1f} s, {resident_mebibytes(server.pid):.0f} MiB; it is started again")
            server.stop()
            started = time.perf_counter()
            server.start()
            figures.ready = time.perf_counter() - started
            figures.mebibytes = resident_mebibytes(server.pid)
            say(f"ready after {figures.ready:.1f} s, {figures.mebibytes:.0f} MiB")
            with Connection(server.port) as asked:
                ask_server(asked, questions, figures)
            if size >= 100_000:
                while_capturing(server, questions)
        ask_sqlite(server.database, questions, figures)
    if size == 100_000:
        import_skills(figures)
    return figures


def write_skills(database: Path, size: int, rows: Path | None) -> None:
    """So many skills, or a copy of those that are kept in the folder `rows`."""
    kept = rows / f"{size}.db" if rows is not None else None
    if kept is None or not kept.exists():
        say(f"{size:,} skills are written")
        fill_in_process(database, size)
        if kept is not None:
            shutil.copyfile(database, growing := kept.with_suffix(".part"))
            growing.rename(kept)
    else:
        shutil.copyfile(kept, database)


class Questions:
    """The same questions for everyone: messages in which a pattern stands, messages nobody knows, words, a log."""

    def __init__(self, size: int) -> None:
        chance = random.Random(5)
        chosen = set(chance.sample(range(size), min(size, 2 * QUESTIONS)))
        skills = [skill for number, skill in enumerate(islice(make_skills(), size)) if number in chosen]
        words = Words(99)
        self.patterns = [str(skill["pattern"]) for skill in skills]
        self.known = [
            f'Traceback (most recent call last):\n  File "/x/y.py", line 3, in z\n{skill["error_type"]}: {skill["pattern"]}'
            for skill in skills
        ][:QUESTIONS]
        self.fresh = [f"{skill['error_type']}: {skill['pattern']} (after {n} s)" for n, skill in enumerate(skills)][
            :QUESTIONS
        ]
        self.unknown = [words.fill("nothing like {n} was ever {v} by {m} at {p}:{i}") for _ in range(QUESTIONS)]
        # As people search: words of one skill, and a whole sentence of another.
        self.three = [" ".join(chance.sample(str(skill["resolution"]).split(), 3)) for skill in skills[:QUESTIONS]]
        self.thirty = [" ".join((str(s["pattern"]) + " " + str(s["resolution"])).split()[:30]) for s in skills[:200]]
        self.log = make_log(words, self.patterns[:5], 1 << 20)


def ask_server(asked: Connection, questions: Questions, figures: Figures) -> None:
    """Every kind of question, each kind once to get warm and then measured."""

    def search(words: str) -> float:
        return asked.get(f"/skills?{httpx.QueryParams(q=words)}")[0]

    def match(message: str) -> float:
        seconds, answer = asked.match(message)
        if not answer["matches"]:
            raise RuntimeError(f"not found: {message}")
        return seconds

    kinds: list[tuple[str, Callable[[str], float], Sequence[str]]] = [
        ("a request for nothing", lambda _: asked.get("/healthz")[0], questions.known),
        ("match", match, questions.known),
        ("match, one more", match, questions.fresh),
        ("match again", match, questions.known),
        ("match nothing known", lambda message: asked.match(message)[0], questions.unknown),
        ("search 3 words", search, questions.three),
        ("search 30 words", search, questions.thirty),
        ("search again", search, questions.three),
    ]
    for name, ask, wanted in kinds:
        figures.times[name] = [ask(question) for question in wanted]
    if figures.skills >= 100_000:
        logs = [f"{questions.log}\n{number}".encode() for number in range(7)]
        figures.times["match a 1 MiB log"] = [asked.post("/match", log, "text/plain")[0] for log in logs]


def ask_sqlite(database: Path, questions: Questions, figures: Figures) -> None:
    """The same questions to the same rows: a scan for patterns, and FTS5's ranking by BM25."""
    rows = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    index = sqlite3.connect(":memory:")
    index.execute("CREATE VIRTUAL TABLE words USING fts5(name, description, error_type, pattern, resolution, context)")
    index.executemany(
        "INSERT INTO words VALUES (?, ?, ?, ?, ?, ?)",
        rows.execute("SELECT name, description, error_type, pattern, resolution, context FROM skill"),
    )

    def scan(message: str) -> float:
        started = time.perf_counter()
        rows.execute(
            "SELECT id FROM skill WHERE status = 'active' AND pattern IS NOT NULL AND instr(?, pattern) > 0 LIMIT 5",
            (message,),
        ).fetchall()
        return time.perf_counter() - started

    def rank(words: str) -> float:
        query = " OR ".join(f'"{word}"' for word in words.replace('"', " ").split())
        started = time.perf_counter()
        index.execute("SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words) LIMIT 20", (query,)).fetchall()
        return time.perf_counter() - started

    few = 10 if figures.skills >= 100_000 else 50
    figures.times["SQL scan"] = [scan(message) for message in questions.unknown[:few]]
    figures.times["FTS5 3 words"] = [rank(words) for words in questions.three[:few]]
    figures.times["FTS5 30 words"] = [rank(words) for words in questions.thirty[:few]]


def while_capturing(server: Server, questions: Questions) -> None:
    """How many questions a second are answered, alone and while captures come at a steady pace."""
    rates: list[float] = []
    for pace in (0, CAPTURES_A_SECOND, 0, CAPTURES_A_SECOND):
        with capturing(server.port, pace, seconds=4) as captured, Connection(server.port) as asked:
            answered, started = 0, time.perf_counter()
            while time.perf_counter() - started < 4:
                asked.match(questions.fresh[answered % len(questions.fresh)] + f" {pace} {len(rates)} {answered}")
                answered += 1
            seconds = time.perf_counter() - started
        rates.append(answered / seconds)
        say(f"{rates[-1]:,.0f} fresh matches a second beside {len(captured) / seconds:,.0f} captures a second")
    alone, beside = statistics.mean(rates[::2]), statistics.mean(rates[1::2])
    say(f"beside captures {1 - beside / alone:.0%} fewer (aim: less than 30 %)")


@contextmanager
def capturing(port: int, pace: int, seconds: float) -> Iterator[list[float]]:
    """Captures at so many a second, in batches of 25, until the block ends, which takes so many seconds.

    They are made up before: who asks meanwhile is in this process, and would wait for that too.
    """
    stop = threading.Event()
    captured: list[float] = []
    skills = make_skills(seed=time.time_ns())
    batches = [json.dumps(list(islice(skills, 25))).encode() for _ in range(round(1.5 * seconds * pace / 25))]

    def capture() -> None:
        with Connection(port) as connection:
            next_at = time.perf_counter()
            for batch in batches:
                if stop.is_set():
                    break
                connection.post("/skills/batch", batch)
                captured.extend([time.perf_counter()] * 25)
                next_at += 25 / pace
                stop.wait(max(0.0, next_at - time.perf_counter()))

    thread = threading.Thread(target=capture)
    if pace:
        thread.start()
    try:
        yield captured
    finally:
        stop.set()
        if pace:
            thread.join()


def import_skills(figures: Figures) -> None:
    """`cin import` of a file of skills into an empty server."""
    with tempfile.TemporaryDirectory() as folder, cin() as server:
        file = Path(folder) / "skills.ndjson"
        with file.open("w") as out:
            out.writelines(json.dumps(skill) + "\n" for skill in islice(make_skills(seed=7), IMPORTED))
        before = resident_mebibytes(server.pid)
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "app.cli", "import", str(file)],
            check=True,
            env={**os.environ, "CIN_URL": f"http://127.0.0.1:{server.port}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - started
        with Connection(server.port) as asked:
            asked.match("one question, so that everything is in the index")
        after = resident_mebibytes(server.pid)
    say(
        f"import of {IMPORTED:,}: {seconds:.1f} s (aim: 20 s); {before:.0f} MiB before, {after:.0f} MiB after (aim: 250)"
    )


def resident_mebibytes(pid: int) -> float:
    """What the process holds in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def show(measured: Sequence[Figures]) -> None:
    """The table, a row for each kind of question, a column for each size."""
    names = list(dict.fromkeys(name for figures in measured for name in figures.times))
    print(f"\n{'p50 / p99 in ms':24}" + "".join(f"{figures.skills:>20,}" for figures in measured))
    for name in names:
        cells = [f"{each.p50(name):.2f} / {each.p99(name):.2f}" if name in each.times else "" for each in measured]
        aim, worst = LIMITS.get(name, (None, None))
        aims = f"   aim {aim} / {worst or '-'}" if aim else ""
        print(f"{name:24}" + "".join(f"{cell:>20}" for cell in cells) + aims)
    print(f"{'the seed, one query':24}" + "".join(f"{SEED_MILLISECONDS.get(e.skills, '-')!s:>20}" for e in measured))
    print(f"{'first ready after, s':24}" + "".join(f"{each.made:>20.1f}" for each in measured))
    print(f"{'again ready after, s':24}" + "".join(f"{each.ready:>20.1f}" for each in measured))
    print(f"{'memory when ready, MiB':24}" + "".join(f"{each.mebibytes:>20.0f}" for each in measured))


def say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
