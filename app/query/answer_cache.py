"""The answer cache: answers as the bytes that go out, valid until something they depend on is touched.

There are no time-outs. An answer knows what it depends on: the words and patterns of the question as the index knew them,
and the skills that were considered. Whoever asks again holds these against the index. "Nothing found" is one like any other.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from app.metrics import Metrics
from app.query.clocks import Moment
from app.query.plan import Plan


class Considered(NamedTuple):
    """A skill that is in an answer, or might have been: the version and the counters it had."""

    id: str
    slot: int
    captures: int
    usage_count: int


class Standing(NamedTuple):
    """A pattern that stands in a message, how many skills have it, and the newest of them."""

    kind: str
    text: str
    skills: int
    newest: int


class Answer(msgspec.Struct, frozen=True):
    """A body, ready to send but for the position at `position_at`, and what it depends on.

    `plan` and `standing` are what the index knew of the question at `offset`. A skill that came later and has none of these
    patterns matters if it scores `floor` or more.
    """

    body: bytes
    position_at: int
    etag: str
    offset: int
    plan: Plan
    standing: tuple[Standing, ...]
    considered: tuple[Considered, ...]
    floor: float


class SharedAnswers(Protocol):
    """A tier behind this one that processes share. May forget, may fail by finding nothing, never raises."""

    async def get(self, key: bytes) -> bytes | None:
        """What was put under the key, by whomever."""

    async def put(self, key: bytes, value: bytes) -> None:
        """Keep it as long as there is room."""


@dataclass(slots=True)
class _Kept:
    """An answer, and the time of the clocks at which it was last known to be right."""

    answer: Answer
    right_at: Moment


class AnswerCache:
    """Answers of one process, bounded in bytes; those go first that nobody has asked for the longest."""

    def __init__(self, metrics: Metrics, *, max_bytes: int, shared: SharedAnswers | None = None) -> None:
        self._metrics = metrics
        self._max_bytes = max_bytes
        self._shared = shared
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._bytes = 0
        self._being_found: dict[bytes, asyncio.Future[Answer | None]] = {}

    async def answer(
        self,
        key: bytes,
        moment: Callable[[], Moment],
        is_right: Callable[[Answer], Awaitable[bool]],
        find: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """The answer to the question `key` names: one that is kept and still right, else what `find` finds.

        `moment` is the time of the clocks. Who asks what is just being looked for waits for that, and looks it over.
        """
        while True:
            at = moment()
            kept = self._kept.get(key)
            if kept is not None and (kept.right_at == at or await is_right(kept.answer)):
                kept.right_at = at
                if key in self._kept:
                    self._kept.move_to_end(key)
                self._metrics.answers.labels("local").inc()
                return kept.answer
            if key not in self._being_found:
                return await self._find(key, moment, is_right, find)
            found = await asyncio.shield(self._being_found[key])
            if found is not None and await is_right(found):
                self._metrics.answers.labels("local").inc()
                return found

    async def _find(
        self,
        key: bytes,
        moment: Callable[[], Moment],
        is_right: Callable[[Answer], Awaitable[bool]],
        find: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        finding: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._being_found[key] = finding
        answer = None
        try:
            at = moment()
            answer = await self._from_shared(key)
            tier = "shared"
            if answer is None or not await is_right(answer):
                at = moment()
                answer, tier = await find(), "found"
                if self._shared is not None:
                    await self._shared.put(key, msgspec.msgpack.encode(answer))
            self._keep(key, _Kept(answer, at))
            self._metrics.answers.labels(tier).inc()
            return answer
        finally:
            del self._being_found[key]
            finding.set_result(answer)

    async def _from_shared(self, key: bytes) -> Answer | None:
        raw = await self._shared.get(key) if self._shared is not None else None
        try:
            return msgspec.msgpack.decode(raw, type=Answer) if raw is not None else None
        except msgspec.DecodeError:  # another version of the program put it there
            return None

    def _keep(self, key: bytes, kept: _Kept) -> None:
        before = self._kept.pop(key, None)
        self._bytes += _size(kept.answer) - (_size(before.answer) if before else 0)
        self._kept[key] = kept
        while self._bytes > self._max_bytes and self._kept:
            self._bytes -= _size(self._kept.popitem(last=False)[1].answer)


def make_etag(body: bytes) -> str:
    """The same for the same body, whichever process made it. Weak, for the position in an answer is that of the moment."""
    return f'W/"{hashlib.blake2b(body, digest_size=9).hexdigest()}"'


def _size(answer: Answer) -> int:
    """About what an answer takes in memory."""
    return 1_000 + len(answer.body) + 100 * (len(answer.plan.weights) + len(answer.standing) + len(answer.considered))
