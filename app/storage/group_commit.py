"""Group commit: requests that arrive while a commit is running share the next one.

An fsync costs about a millisecond whatever it carries, so the more who wait for it the cheaper it is for each. Every
request gets its own answer, and only after the commit. A request that fails harms no other: if the group cannot be
written as a whole, each request is tried in a transaction of its own, and only those that fail alone fail. Where the
database is a server, a commit may be lost on the way: nobody knows then whether it was one, and nothing is tried again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy.exc import IntegrityError

from app.errors import CINError, Unavailable
from app.metrics import Metrics
from app.storage.database import Database, Transaction

log = structlog.get_logger(__name__)

R = TypeVar("R", contravariant=True)
A = TypeVar("A", covariant=True)
Q = TypeVar("Q")
T = TypeVar("T")


class Writer(Protocol[R, A]):
    """Writes all requests of one kind in one transaction; returns an answer or an error for each, in order.

    A request answered with an error must have left nothing behind. An exception instead undoes the whole group.
    """

    def __call__(self, tx: Transaction, requests: Sequence[R], /) -> Sequence[A | CINError]: ...


QUIET_ROUNDS = 10
"""Turns of the event loop with nobody new, 20 µs each, after which a group that others may join is closed."""


@dataclass(slots=True, eq=False)
class _Waiting:
    writer: Writer[Any, Any]
    request: Any
    weight: int
    answer: asyncio.Future[Any]
    given_up: bool = False


class GroupCommit:
    """The queue in front of the one connection that writes."""

    def __init__(self, database: Database, metrics: Metrics, *, max_weight: int) -> None:
        self._database = database
        self._metrics = metrics
        self._max_weight = max_weight
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._closed = False
        self._last_size = 0

    async def write(self, writer: Writer[Q, T], request: Q, *, weight: int = 1) -> T:
        """The answer to `request`, once it is on disk. Raises what `writer` answered, `StorageFull` or `Unavailable`.

        `weight` is how many rows' worth of work it is; a group ends when it is heavy enough.
        """
        if self._closed:
            raise Unavailable("The server is stopping; send the request again in a moment.")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(writer, request, weight, answer)
        self._waiting.append(waiting)
        self._arrived.set()
        if self._database.patience_seconds is not None:
            await _within(waiting, self._database.patience_seconds)
        return await answer  # a client that hangs up cancels its waiting, not what is being written for it

    async def run(self) -> None:
        """Write group after group until `close`, and then what is still waiting."""
        while True:
            self._arrived.clear()
            while self._waiting:
                await self._gather()
                group = self._next_group()
                self._last_size = len(group)
                if group:
                    await self._commit(group)
            if self._closed:
                return
            await self._arrived.wait()

    def close(self) -> None:
        """Take no more requests; `run` returns when those that wait are answered."""
        self._closed = True
        self._arrived.set()

    async def _gather(self) -> None:
        """Let those come in who are at the door.

        Clients that were answered together come back together, and shall share the next commit too: 16 of them split
        into groups of 3 and 13 otherwise, which costs a fifth of the throughput. Who was alone last time is not held up.
        """
        quiet = 0
        while quiet < (QUIET_ROUNDS if self._last_size > 1 else 1):
            before = len(self._waiting)
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == before else 0

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        weight = 0
        while self._waiting and (not group or weight + self._waiting[0].weight <= self._max_weight):
            waiting = self._waiting.popleft()
            if not waiting.given_up:
                group.append(waiting)
                weight += waiting.weight
        return group

    async def _commit(self, group: list[_Waiting]) -> None:
        started = time.perf_counter()
        try:
            answers = await self._database.write(lambda tx: _write(tx, group))
        except Unavailable as error:
            if self._database.patience_seconds is None:
                await self._commit_alone(group, error)
            else:
                _fail(group, error)  # perhaps it was committed, and perhaps the next ones cannot be either
            return
        except (CINError, IntegrityError) as error:
            await self._commit_alone(group, error)
            return
        except Exception as error:
            log.exception("group_failed", requests=len(group), next="each of them is tried alone")
            await self._commit_alone(group, error)
            return
        self._metrics.commits.inc()
        self._metrics.group_size.observe(len(group))
        self._metrics.commit_seconds.observe(time.perf_counter() - started)
        for waiting, answer in answers:
            _resolve(waiting.answer, answer)

    async def _commit_alone(self, group: list[_Waiting], error: Exception) -> None:
        if len(group) == 1:
            failed = (
                error if isinstance(error, CINError) else Unavailable("It could not be written; try again in a moment.")
            )
            _fail(group, failed)
            return
        for waiting in group:
            await self._commit([waiting])


async def _within(waiting: _Waiting, patience_seconds: float) -> None:
    """Wait for the answer. Raises `Unavailable`; a request that still stands in the queue is then not written any more."""
    try:
        async with asyncio.timeout(patience_seconds):
            await waiting.answer
    except TimeoutError:
        waiting.given_up = True
        raise Unavailable(
            f"The database has not answered for {patience_seconds:.0f} seconds. Try again in a moment; "
            "with the same Idempotency-Key nothing happens twice."
        ) from None


def _fail(group: list[_Waiting], error: CINError) -> None:
    for waiting in group:
        _resolve(waiting.answer, error)


def _write(tx: Transaction, group: list[_Waiting]) -> list[tuple[_Waiting, object]]:
    kinds: dict[Writer[Any, Any], list[_Waiting]] = {}
    for waiting in group:
        kinds.setdefault(waiting.writer, []).append(waiting)
    answers: list[tuple[_Waiting, object]] = []
    # In one order everywhere: other processes hold the same rows.
    for writer, members in sorted(kinds.items(), key=lambda kind: _name(kind[0])):
        answers += zip(members, writer(tx, [member.request for member in members]), strict=True)
    return answers


def _name(writer: Writer[Any, Any]) -> tuple[str, str]:
    return getattr(writer, "__module__", ""), getattr(writer, "__qualname__", "")


def _resolve(future: asyncio.Future[Any], answer: object) -> None:
    if future.done():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
