"""Skills and questions for benchmarks: many, all different, like what agents write, and the same in every run."""

import asyncio
import random
import sys
from collections.abc import Iterator
from functools import partial
from itertools import accumulate, islice
from pathlib import Path

from app.capture.draft import to_draft
from app.capture.writing import write_captures
from app.eventlog.log import EventLog
from app.eventlog.network import open_network
from app.eventlog.notifier import LocalNotifier
from app.models import SkillCreate
from app.storage.database import Transaction
from app.storage.opening import open_database

_AT_ONCE = 1_000
_TYPES = [
    "ImportError",
    "TypeError",
    "ConnectionError",
    "E0308",
    "TS2345",
    "ERESOLVE",
    "OOMKilled",
    "KeyError",
    "panic",
]
_TEMPLATES = [
    "No module named '{m}.{n}'",
    "cannot import name '{n}' from '{m}' ({p})",
    "expected `{c}`, found `{d}` in call to {n}",
    "connect to {h}.{m}.svc:{i} failed: {w} {v}",
    "Property '{n}' does not exist on type '{c}'",
    "{p}:{i}: undefined reference to `{n}'",
    "unable to resolve dependency tree: {m}@{i}.{j}.0 needs peer {n}@{j}.x",
    "container {m} was killed: memory cgroup out of memory in {n}",
    "failed to {v} {w} {n}: permission denied for {m}",
    "thread '{m}' panicked at {n}: {w} {v} {m}",
]
_SENTENCES = [
    "Install {m} with pip and pin {n} below {i}.",
    "The {w} of {m} must be {v} before {n} is called.",
    "Set {n} in the {w} configuration, then {v} the service again.",
    "This happens when {c} and {d} come from different versions of {m}.",
    "Remove the {w} cache, {v} the lock file, and run the build once more.",
    "See the notes on {n}: the default for {w} was changed.",
]
_SYLLABLES = [
    "ba",
    "co",
    "der",
    "fi",
    "gra",
    "ho",
    "in",
    "jo",
    "ka",
    "lor",
    "men",
    "no",
    "pro",
    "qui",
    "re",
    "sta",
    "tu",
    "ver",
]


class Words:
    """A vocabulary in which some words are common and most are rare, as in real texts."""

    def __init__(self, seed: int, size: int = 40_000) -> None:
        self.random = random.Random(seed)
        self._words = list({self._make() for _ in range(size)})
        self._words.sort()
        self.random.shuffle(self._words)
        self._weights = list(accumulate(1 / (rank + 8) for rank in range(len(self._words))))

    def pick(self, count: int) -> list[str]:
        """Words, the common ones more often."""
        return self.random.choices(self._words, cum_weights=self._weights, k=count)

    def rare(self, count: int) -> list[str]:
        """Words, one as often as another."""
        return self.random.choices(self._words, k=count)

    def fill(self, template: str) -> str:
        """A template with words and numbers in its places."""
        m, w, v, h = self.pick(4)
        n, c, d = self.rare(3)
        path = f"/srv/{m}/{w}/{n}.py"
        i, j = self.random.randrange(1, 9000), self.random.randrange(1, 40)
        names = f"{n}_{v}", c.title() + d.title(), d.title() + m.title()
        return template.format(m=m, w=w, v=v, h=h, n=names[0], c=names[1], d=names[2], p=path, i=i, j=j)

    def _make(self) -> str:
        return "".join(self.random.choices(_SYLLABLES, k=self.random.randrange(2, 5)))


def make_skills(seed: int = 1) -> Iterator[dict[str, object]]:
    """Bodies of captures without end, about 400 characters of text each."""
    words = Words(seed)
    while True:
        yield {
            "error_type": words.random.choice(_TYPES),
            "pattern": words.fill(words.random.choice(_TEMPLATES)),
            "resolution": " ".join(words.fill(each) for each in words.random.sample(_SENTENCES, 3)),
            "context": " ".join(words.pick(6)),
            "tags": words.pick(2),
        }


def make_log(words: Words, patterns: list[str], size: int) -> str:
    """A build log of `size` characters in which the patterns stand, the last ones in its last lines."""
    lines: list[str] = []
    length = 0
    while length < size:
        lines.append(f"2026-11-22T08:{len(lines) % 60:02}:00.1234567Z step {len(lines)}: {' '.join(words.pick(9))}")
        length += len(lines[-1]) + 1
    for number, pattern in enumerate(patterns):
        lines[(number + 1) * len(lines) // len(patterns) - 2] = f"error: {pattern}"
    return "\n".join([*lines, "##[error]Process completed with exit code 1."])


def fill_in_process(database: Path, count: int, seed: int = 1) -> None:
    """`fill` without a loop of the caller's."""
    asyncio.run(fill(database, count, seed))


async def fill(database: Path, count: int, seed: int = 1) -> None:
    """Write so many skills into a new file, as captures do, events and all."""
    await fill_url(f"sqlite:///{database}", count, seed)


async def fill_url(url: str, count: int, seed: int = 1) -> None:
    """Write so many skills into a new database of either kind."""
    async with open_database(url) as opened:
        network = await open_network(opened)
        log = EventLog(opened, LocalNotifier(), poll_seconds=1)
        skills = islice(make_skills(seed), count)
        while some := list(islice(skills, _AT_ONCE)):
            drafts = [to_draft(SkillCreate.model_validate(each), "bench") for each in some]
            await opened.write(partial(_write, log=log, network=network, drafts=drafts))


def _write(tx: Transaction, **given: object) -> None:
    write_captures(tx, **given)  # type: ignore[arg-type]


if __name__ == "__main__":
    fill_in_process(Path(sys.argv[1]), int(sys.argv[2]))
