"""The newest part of a log, for who follows it in the process that wrote it."""

from collections import deque
from collections.abc import Sequence
from itertools import islice

from app.eventlog.events import PAGE_EVENTS, LoggedEvent, Page


class Tail:
    """The newest events that this process committed itself, so that its own follower need not read them back.

    They are the log's own, or nothing: what follows an offset is taken from here only if it is here without a hole.
    """

    def __init__(self) -> None:
        self._events: deque[LoggedEvent] = deque(maxlen=PAGE_EVENTS)

    @property
    def newest(self) -> int:
        """The offset of the last of them; 0 without any."""
        return self._events[-1].offset if self._events else 0

    def extend(self, events: Sequence[LoggedEvent]) -> None:
        """Add events that are on disk now. Commits come back in order, on the one event loop."""
        if self._events and self._events[-1].offset + 1 != events[0].offset:
            self._events.clear()  # another process has committed in between
        self._events.extend(events)

    def after(self, offset: int) -> Page | None:
        """What follows an offset, as far as this process knows; None if it must be read."""
        if not self._events or not self._events[0].offset <= offset + 1 <= self._events[-1].offset:
            return None
        events = list(islice(self._events, offset + 1 - self._events[0].offset, None))
        return Page(events, events[-1].offset, None)
