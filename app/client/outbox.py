"""What was captured and is not answered yet: kept in order, and sent until there is an answer.

Every capture has its idempotency key from the start. So one whose connection broke between sending and answer is sent
again, and happens once.
"""

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from uuid import uuid4

from app.client import messages
from app.client.errors import CINError, OutboxFull, ProblemError
from app.client.retry import Backoff
from app.client.values import Captured

log = logging.getLogger("app.client")

ON_THEIR_WAY = 8
"""Captures that are sent before the first of them is answered; few, so that both sides can always read."""


@dataclass
class Kept:
    """One capture; `text` is its message."""

    ref: str
    text: str
    answer: Future[Captured] = field(default_factory=Future)
    is_sent: bool = False


class Outbox:
    """Captures in the order in which they were made. Any thread may call any method."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[str, Kept] = {}
        self._changed = threading.Condition()
        self.is_away = False
        self._is_over = False
        self._backoff = Backoff(base=0.25, cap=30.0)
        self._not_before = 0.0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, fields: Mapping[str, object], key: str | None) -> Future[Captured]:
        """Keep one. Raises `OutboxFull`, and `CINError` for what cannot be sent."""
        ref = str(uuid4())
        kept = Kept(ref, messages.capture(ref, fields, key or ref))
        kept.answer.set_running_or_notify_cancel()
        with self._changed:
            if self._is_over:
                raise CINError("This client is closed; make another one.")
            if len(self._kept) >= self._most:
                raise OutboxFull(self._most)
            self._kept[ref] = kept
        return kept.answer

    def next(self) -> str | None:
        """The message to send now, which then counts as sent; None when there is none."""
        with self._changed:
            if time.monotonic() < self._not_before:
                return None
            self._not_before = 0.0
            for number, kept in enumerate(self._kept.values()):
                if number == ON_THEIR_WAY:
                    return None
                if not kept.is_sent:
                    kept.is_sent = True
                    return kept.text
        return None

    def wait_seconds(self) -> float | None:
        """How long until what the server could not take now is to be sent again; None when there is no such thing."""
        with self._changed:
            return max(0.0, self._not_before - time.monotonic()) if self._not_before else None

    def answered(self, ref: str, captured: Captured) -> None:
        kept = self._kept.get(ref)
        if kept is None:
            return
        kept.answer.set_result(captured)  # with what hangs on it, before anybody may think that all is done
        with self._changed:
            self._kept.pop(ref, None)
            self._backoff.reset()
            self._not_before = 0.0
            self._changed.notify_all()

    def refused(self, ref: str, error: ProblemError) -> None:
        """Send it again later if that may help; else that is its answer."""
        kept = self._kept.get(ref)
        if kept is None:
            return
        if is_for_later(error):
            with self._changed:
                kept.is_sent = False
                self._not_before = time.monotonic() + self._backoff.next()
            return
        log.warning("A capture was refused: %s", error)
        kept.answer.set_exception(error)
        with self._changed:
            self._kept.pop(ref, None)
            self._changed.notify_all()

    def lost(self, *, is_away: bool) -> None:
        """The connection is gone: nobody knows which of them arrived, so all are sent again.

        `is_away` says that the server may be, too.
        """
        with self._changed:
            self.is_away = is_away
            self._not_before = 0.0
            for kept in self._kept.values():
                kept.is_sent = False
            self._changed.notify_all()

    def found(self) -> None:
        """The server is back."""
        with self._changed:
            self.is_away = False

    def wait_empty(self, timeout_seconds: float) -> None:
        """Wait until all are answered, or time is up, or the server is away."""
        with self._changed:
            self._changed.wait_for(lambda: not self._kept or self.is_away, timeout_seconds)

    def give_up(self) -> None:
        """Nothing more will be sent."""
        with self._changed:
            self._is_over = True
            left, self._kept = list(self._kept.values()), {}
            self._changed.notify_all()
        if left:
            log.warning("%d captures were not answered before the client was closed.", len(left))
        for kept in left:
            kept.answer.set_exception(CINError("The client was closed before this capture was answered."))


def is_for_later(error: ProblemError) -> bool:
    """Whether the server may take the same later: it is busy, full or stopping, or the first try is still running."""
    return error.status in (429, 502, 503, 504, 507) or error.type == "/problems/idempotency-key-in-use"
