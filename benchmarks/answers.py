"""The answer cache: how many answers it has ready while skills come in, and whether any of them is wrong.

`python -m benchmarks.answers [QUESTIONS]`. 1,000 different messages, asked so that the n-th is asked 1/n as often as the
first, in a network of 10,000 skills to which one is added every second; half of the new ones answer a message that is
asked. Once over HTTP, on one connection as fast as answers come, after every message was asked once: how many are ready.
Once within this process, where every answer is held against one found without a cache at the same moment. Exit code 1 if
one differs, or if fewer than 90 % were ready.
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from itertools import accumulate, islice
from pathlib import Path

from app.query.answer_cache import AnswerCache
from app.query.matcher import Matcher
from app.query.question import MatchQuestion
from app.query.rendering import as_json
from benchmarks.keepalive import Connection
from benchmarks.skills import Words, fill, make_skills
from tests.inside import Inside, application
from tests.server import SERVE, Server

SKILLS = 10_000
MESSAGES = 1_000
ENOUGH = 0.9


def main() -> int:
    questions = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    ready = over_http(questions)
    wrong = asyncio.run(within_process(questions))
    return 1 if wrong or ready < ENOUGH else 0


class Asked:
    """Messages, which of them is asked next, and what is captured next."""

    def __init__(self) -> None:
        self._chance = random.Random(3)
        self._words = Words(42)
        known = [str(skill["pattern"]) for skill in islice(make_skills(), MESSAGES // 2)]
        unknown = [self._words.fill("step {i}: {n} was not {v} by {m}") for _ in range(MESSAGES - len(known))]
        self.messages = [*known, *unknown]
        self._chance.shuffle(self.messages)
        self._weights = list(accumulate(1 / rank for rank in range(1, MESSAGES + 1)))
        self._captures = 0

    def message(self) -> str:
        return self._chance.choices(self.messages, cum_weights=self._weights)[0]

    def skill(self) -> dict[str, object]:
        """A new skill; every second one answers a message."""
        self._captures += 1
        pattern = self.message() if self._captures % 2 else self._words.fill("{n} {v} {m}")
        return {"pattern": pattern, "resolution": f"the {self._captures}th: {' '.join(self._words.pick(20))}"}


def over_http(questions: int) -> float:
    """The share of answers that were ready, by the server's own count."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), program=SERVE) as server:
        fill_over_http(server)
        asked = Asked()
        with Connection(server.port) as connection:
            for message in asked.messages:
                connection.match(message)
            before = server.metric('cin_answers_total{tier="local"}')
            captured, started = 0, time.monotonic()
            for _ in range(questions):
                if time.monotonic() - started > captured:
                    captured += 1
                    connection.post("/skills", json.dumps(asked.skill()).encode())
                connection.match(asked.message())
            seconds = time.monotonic() - started
        ready = (server.metric('cin_answers_total{tier="local"}') - before) / questions
    print(f"over HTTP: {questions:,} questions in {seconds:.0f} s, {captured} captures: {ready:.1%} were ready")
    return ready


def fill_over_http(server: Server) -> None:
    with Connection(server.port) as connection:
        skills = make_skills()
        for _ in range(SKILLS // 500):
            connection.post("/skills/batch", json.dumps(list(islice(skills, 500))).encode())


async def within_process(questions: int) -> int:
    """How many answers differ from those found without a cache."""
    with tempfile.TemporaryDirectory() as folder:
        await fill(Path(folder) / "cin.db", SKILLS)
        async with application(Path(folder)) as cin:
            await cin.parts.follower.current()
            return await compare(cin, questions)


async def compare(cin: Inside, questions: int) -> int:
    """All questions, with one capture a second beside them, each asked twice at the same moment."""
    parts, asked = cin.parts, Asked()
    cached = Matcher(parts.network, parts.follower, AnswerCache(parts.metrics, max_bytes=64 << 20))
    plain = Matcher(parts.network, parts.follower, AnswerCache(parts.metrics, max_bytes=0))
    wrong = captured = 0
    started = time.monotonic()
    for _ in range(questions):
        if time.monotonic() - started > captured:
            captured += 1
            await cin.capture(asked.skill())
        question = MatchQuestion(asked.message(), None, 5)
        ready = await cached.match(question, as_json)
        right = await plain.match(question, as_json)
        wrong += ready != right
    print(f"held against answers without a cache: {questions:,} questions, {captured} captures: {wrong} differ")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
