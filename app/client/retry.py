"""When to try again: exponential backoff with full jitter, so that a thousand clients do not come back as one.

Full jitter draws each wait evenly from 0 to the bound and spreads a crowd best
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
"""

import random
from collections.abc import Callable

from app.client.errors import CINError, ConnectionFailed, ProblemError
from app.client.wire import Call, T

PATIENCE_SECONDS = 30.0
"""A server that asks for more than this is not waited for: the caller gets `Unavailable` with `retry_after`."""

_RETRIED_STATUS = frozenset({429, 502, 503, 504})


class Backoff:
    """Waits that grow: the n-th is drawn from 0 to `base * 2**n`, at most `cap`; all in seconds."""

    def __init__(self, base: float, cap: float, draw: Callable[[], float] = random.random) -> None:
        self.base = base
        self._cap = cap
        self._draw = draw
        self._failures = 0

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._failures = 0

    def next(self, at_least: float = 0.0) -> float:
        """The next wait; it never ends before what the server asked for."""
        bound = min(self._cap, self.base * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return at_least + self._draw() * bound


class Tries:
    """The tries of one call: `wait_after` is asked after each failure and says how long to wait, or None to give up."""

    def __init__(self, call: Call[T], most: int) -> None:
        self._replayable = call.replayable
        self._left = most - 1
        self._backoff = Backoff(base=0.25, cap=5.0)

    def wait_after(self, error: CINError) -> float | None:
        if self._left <= 0 or not self._may_repeat(error):
            return None
        self._left -= 1
        asked = error.retry_after or 0.0 if isinstance(error, ProblemError) else 0.0
        return self._backoff.next(at_least=asked)

    def _may_repeat(self, error: CINError) -> bool:
        if isinstance(error, ProblemError):
            if (error.retry_after or 0.0) > PATIENCE_SECONDS:
                return False
            # A 409 that asks to come back is the first try with this key, still running.
            return error.status in _RETRIED_STATUS or (error.status == 409 and error.retry_after is not None)
        return isinstance(error, ConnectionFailed) and (self._replayable or not error.sent)
