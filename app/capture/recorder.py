"""The recorder: every verb that changes skills. What it answers is on disk.

All verbs go through one group commit. Each is a request that carries its own transaction function; captures are written
as a set, the others one after another. What a request raises inside is its answer, and has changed nothing.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from app.capture import changing
from app.capture.answer import Answer, Captured, batch_answer, skill_answer
from app.capture.changing import Precondition, Report
from app.capture.draft import Draft
from app.capture.idempotency import Idempotency, once_each
from app.capture.writing import write_captures
from app.errors import CINError, IdempotencyKeyInUse
from app.eventlog.log import EventLog
from app.eventlog.network import Network, NetworkId
from app.metrics import Metrics
from app.skills.document import SkillRow
from app.storage import skill_store
from app.storage.database import Transaction
from app.storage.group_commit import GroupCommit


@dataclass(frozen=True, slots=True, eq=False)
class _Capture:
    """Some captures of one caller; what was wrong with an item stands in its place."""

    network: Network
    items: Sequence[Draft | CINError]
    answer: Callable[[Sequence[Captured | CINError]], Answer | CINError]
    idempotency: Idempotency | None


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """One change of one skill."""

    network: Network
    skill_id: str
    run: Callable[[Transaction], Answer]
    idempotency: Idempotency | None


Counted = Callable[[Network, Sequence[SkillRow]], None]
"""Is told, after the commit, of skills whose counters have changed: that is not in the log."""


class Recorder:
    """Captures, revises and retires skills, and keeps outcomes."""

    def __init__(self, commits: GroupCommit, log: EventLog, counted: Counted, metrics: Metrics) -> None:
        self._commits = commits
        self._log = log
        self._counted = counted
        self._metrics = metrics
        self._running: set[tuple[NetworkId, str]] = set()

    async def capture(self, network: Network, draft: Draft, idempotency: Idempotency | None = None) -> Answer:
        """201 with the new skill, or 200 with the one that says the same. Raises `SkillConflict` for a name taken."""

        def answer(items: Sequence[Captured | CINError]) -> Answer | CINError:
            (item,) = items
            if isinstance(item, CINError):
                return item
            return skill_answer(item.status, item.skill, network.label, item.document)

        return await self._write(_Capture(network, [draft], answer, idempotency))

    async def capture_batch(
        self, network: Network, items: Sequence[Draft | CINError], idempotency: Idempotency | None = None
    ) -> Answer:
        """What became of each item; one that fails harms no other."""
        answer = partial(batch_answer, network=network.label)
        return await self._write(_Capture(network, items, answer, idempotency), weight=max(1, len(items)))

    async def revise(
        self,
        network: Network,
        skill_id: str,
        draft: Draft,
        precondition: Precondition,
        idempotency: Idempotency | None = None,
    ) -> Answer:
        """The skill's new version. Raises `SkillNotFound`, `SkillRetired`, `VersionStale` or `SkillConflict`."""

        def run(tx: Transaction) -> Answer:
            changed = changing.revise(tx, self._log, network, skill_id, draft, precondition)
            return skill_answer(200, changed.skill, network.label, changed.document)

        return await self._write(_Change(network, skill_id, run, idempotency))

    async def retire(self, network: Network, skill_id: str, precondition: Precondition) -> Answer:
        """No content, and the position of the retirement. Raises `SkillNotFound` or `VersionStale`."""

        def run(tx: Transaction) -> Answer:
            changed = changing.retire(tx, self._log, network, skill_id, precondition)
            return Answer(204, b"", {"CIN-Position": f"{network.epoch}-{changed.skill['offset']}"})

        return await self._write(_Change(network, skill_id, run, None))

    async def record_outcome(
        self, network: Network, skill_id: str, report: Report, idempotency: Idempotency | None = None
    ) -> Answer:
        """201 with the skill's new figures. Raises `SkillNotFound` or `SkillRetired`."""

        def run(tx: Transaction) -> Answer:
            changed = changing.record_outcome(tx, self._log, network, skill_id, report)
            tx.after_commit(partial(self._counted, network, [changed.skill]))
            return skill_answer(201, changed.skill, network.label)

        answer = await self._write(_Change(network, skill_id, run, idempotency))
        self._metrics.outcomes.labels(str(report.success).lower()).inc()
        return answer

    async def _write(self, request: _Capture | _Change, weight: int = 1) -> Answer:
        if request.idempotency is None:
            return await self._commits.write(self._write_all, request, weight=weight)
        running = (request.network.id, request.idempotency.key)
        if running in self._running:
            raise IdempotencyKeyInUse(
                "The first request with this Idempotency-Key is not finished. Try again in a second."
            )
        self._running.add(running)
        try:
            return await self._commits.write(self._write_all, request, weight=weight)
        finally:
            self._running.discard(running)

    def _write_all(self, tx: Transaction, requests: Sequence[_Capture | _Change]) -> list[Answer | CINError]:
        return once_each(tx.connection, requests, partial(self._write_new, tx))

    def _write_new(self, tx: Transaction, requests: Sequence[_Capture | _Change]) -> list[Answer | CINError]:
        captures = [request for request in requests if isinstance(request, _Capture)]
        _hold(tx, captures, [request for request in requests if isinstance(request, _Change)])
        captured = dict(zip(captures, self._capture_all(tx, captures), strict=True))
        return [captured[r] if isinstance(r, _Capture) else _change(tx, r) for r in requests]

    def _capture_all(self, tx: Transaction, requests: Sequence[_Capture]) -> list[Answer | CINError]:
        drafts: dict[Network, list[Draft]] = {}
        for request in requests:
            drafts.setdefault(request.network, []).extend(item for item in request.items if isinstance(item, Draft))
        captured = {network: iter(write_captures(tx, self._log, network, each)) for network, each in drafts.items()}
        outcomes = [
            [next(captured[request.network]) if isinstance(item, Draft) else item for item in request.items]
            for request in requests
        ]
        for request, items in zip(requests, outcomes, strict=True):
            if known := [item.skill for item in items if isinstance(item, Captured) and not item.created]:
                tx.after_commit(partial(self._counted, request.network, known))
        tx.after_commit(partial(self._count, outcomes))
        return [request.answer(items) for request, items in zip(requests, outcomes, strict=True)]

    def _count(self, outcomes: Sequence[Sequence[Captured | CINError]]) -> None:
        tally = Counter(item.status for items in outcomes for item in items)
        created, known = tally.pop(201, 0), tally.pop(200, 0)
        for name, number in (("created", created), ("known", known), ("failed", tally.total())):
            self._metrics.captures.labels(name).inc(number)


def _hold(tx: Transaction, captures: Sequence[_Capture], changes: Sequence[_Change]) -> None:
    """Hold every skill that a group may change before it holds the log, as every group of every process does."""
    for network in dict.fromkeys(change.network for change in changes):
        ids = [change.skill_id for change in changes if change.network == network]
        drafts = [item for capture in captures if capture.network == network for item in capture.items]
        marks = [draft.fingerprint for draft in drafts if isinstance(draft, Draft)]
        skill_store.hold(tx.connection, network.id, ids, marks)


def _change(tx: Transaction, request: _Change) -> Answer | CINError:
    try:
        return request.run(tx)
    except CINError as error:  # raised before anything was written, so the rest of the group can go on
        return error
