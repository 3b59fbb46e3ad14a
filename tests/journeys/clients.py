"""Clients that capture: each skill is unique, its name is its Idempotency-Key, and a try that failed is tried again."""

import asyncio
import random
from collections.abc import Iterable

import orjson

from tests.journeys.history import History, Outcome
from tests.journeys.wire import Answer, Http

AGAIN_AFTER_SECONDS = 0.05
GIVES_UP = 0.1
"""How likely a client is to leave a capture as it is when it does not know what became of it."""


def skill(name: str, *, size: int = 300) -> dict[str, object]:
    """A skill that nobody else captures, of about `size` bytes."""
    return {
        "name": name,
        "error_type": "JourneyError",
        "pattern": f"journey {name} failed",
        "resolution": f"Take the other road → {name}. " + "x" * size,
        "tags": ["journey"],
    }


class CapturingClient:
    """Captures `rate` skills a second, one after the other, until it is told to stop. `captured` counts its answers."""

    def __init__(self, url: str, name: str, history: History, *, rate: float, seed: int, size: int = 300) -> None:
        self.captured = 0
        self._url = url
        self._name = name
        self._history = history
        self._interval_seconds = 1 / rate
        self._random = random.Random(f"{name} {seed}")
        self._size = size

    async def run(self, stop: asyncio.Event) -> None:
        async with Http(self._url) as http:
            number = 0
            due = asyncio.get_running_loop().time()
            while not stop.is_set():
                await self._capture(http, f"{self._name}-{number}")
                number += 1
                due = max(due + self._interval_seconds, asyncio.get_running_loop().time() - 1)
                await asyncio.sleep(due - asyncio.get_running_loop().time())

    async def _capture(self, http: Http, name: str) -> None:
        while await capture(http, name, self._history, size=self._size) == "unknown":
            if self._random.random() < GIVES_UP:
                return
            await asyncio.sleep(AGAIN_AFTER_SECONDS)
        self.captured += 1


async def capture(http: Http, name: str, history: History, *, size: int = 300) -> Outcome:
    """One try at a capture, written down."""
    history.tried(name, "invoked")
    try:
        answer = await http.post("/skills", orjson.dumps(skill(name, size=size)), {"Idempotency-Key": name})
    except OSError:
        history.tried(name, "unknown")
        return "unknown"
    outcome = outcome_of(answer)
    history.tried(name, outcome, answer.status, answer.text)
    return outcome


async def capture_batch(http: Http, names: Iterable[str], history: History, *, size: int = 300) -> None:
    """Many captures in one request, all of which must succeed."""
    skills = [skill(name, size=size) for name in names]
    for each in skills:
        history.tried(str(each["name"]), "invoked")
    answer = await http.post("/skills/batch", orjson.dumps(skills))
    for result in orjson.loads(answer.text)["results"]:
        history.tried(result["name"], "ok", result["status"], orjson.dumps(result).decode())


def outcome_of(answer: Answer) -> Outcome:
    """What an answer says: 507 is a definite no, other 5xx (502 is a proxy's) and "in use" are not."""
    if answer.is_success:
        return "ok"
    again = answer.status in (429, 502, 503) or (answer.status == 409 and "retry-after" in answer.headers)
    return "unknown" if again else "failed"
