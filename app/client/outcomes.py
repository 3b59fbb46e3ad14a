"""Outcomes on their way to the server: told at once when it is there, else kept, in order, each with its key."""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from uuid import uuid4

from app.client.client import Client
from app.client.errors import CINError, ConnectionFailed, OutboxFull, ProblemError
from app.client.outbox import is_for_later
from app.client.retry import Backoff
from app.client.values import Skill

log = logging.getLogger("app.client")


@dataclass(frozen=True)
class _Outcome:
    skill_id: str
    success: bool
    detail: str | None
    key: str


class Outcomes:
    """Any thread may call any method."""

    def __init__(self, http: Client, most: int) -> None:
        self._http = http
        self._most = most
        self._kept: deque[_Outcome] = deque()
        self._telling = threading.Lock()
        self._backoff = Backoff(base=1.0, cap=30.0)
        self._not_before = 0.0

    def __len__(self) -> int:
        return len(self._kept)

    def tell(self, skill_id: str, success: bool, detail: str | None, *, is_there: bool) -> Skill | None:
        """The skill with its new figures; None when the outcome is kept. Raises what the server refuses, `OutboxFull`."""
        outcome = _Outcome(skill_id, success, detail, str(uuid4()))
        with self._telling:
            if is_there and not self._kept:
                try:
                    return self._send(outcome)
                except CINError as error:
                    if not _may_repeat(error):
                        raise
            if len(self._kept) >= self._most:
                raise OutboxFull(self._most)
            self._kept.append(outcome)
        return None

    def flush(self) -> None:
        """Tell what is kept, as far as the server takes it."""
        if not self._kept or time.monotonic() < self._not_before:
            return
        with self._telling:
            while self._kept:
                try:
                    self._send(self._kept[0])
                except CINError as error:
                    if _may_repeat(error):
                        self._not_before = time.monotonic() + self._backoff.next()
                        return
                    log.warning("An outcome that was kept was refused: %s", error)
                self._backoff.reset()
                self._kept.popleft()

    def _send(self, outcome: _Outcome) -> Skill:
        return self._http.outcome(outcome.skill_id, outcome.success, outcome.detail, idempotency_key=outcome.key)


def _may_repeat(error: CINError) -> bool:
    return isinstance(error, ConnectionFailed) or (isinstance(error, ProblemError) and is_for_later(error))
