"""A circuit breaker: whoever fails again and again is left alone for a while, then tried once by somebody who has time.

Closed, it lets everybody through. After a few failures in a row it is open, for a pause that grows. Then it is half-open:
one probe says whether it closes.
"""

import random
import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "half-open", "open"]

FAILURES = 3
"""Failures in a row after which it opens."""

_FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0


class Breaker:
    """One breaker. It is half-open when it is made: nothing is known yet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.state: State = "half-open"
        self._clock = clock
        self._failures = 0
        self._openings = 0
        self._closed_at = clock()

    @property
    def is_closed(self) -> bool:
        return self.state == "closed"

    @property
    def is_new(self) -> bool:
        """Whether it is the first trouble after a good time, and worth telling."""
        return self._openings == 1

    def failed(self) -> None:
        """Who was let through failed."""
        self._failures += 1
        if self._failures >= FAILURES:
            self.open()

    def succeeded(self) -> None:
        """Who was let through did not."""
        self._failures = 0

    def open(self) -> None:
        """Let nobody through: a probe failed, or there is nothing to try it with."""
        lasted = self.is_closed and self._clock() - self._closed_at > 2 * LONGEST_PAUSE_SECONDS
        if self.state != "open":
            self._openings = 1 if lasted else self._openings + 1
        self.state = "open"

    def pause_seconds(self) -> float:
        """How long to wait before the next probe: longer each time, and never the same for two processes."""
        pause: float = min(LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(self._openings - 1, 10))
        return pause * random.uniform(0.5, 1)  # noqa: S311  # no secret

    def probe(self) -> None:
        """The pause is over: one may try."""
        self.state = "half-open"

    def close(self) -> None:
        """The probe succeeded."""
        self.state = "closed"
        self._failures = 0
        self._closed_at = self._clock()
