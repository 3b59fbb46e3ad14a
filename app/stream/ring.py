"""The ring: the newest frames of a network, kept in memory so that most subscribers never cost a read of the log."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.skills.filters import EventFilter
from app.stream.frames import Frame

SLICE_BYTES = 64 * 1024
"""What one write to a subscriber carries at most, one large frame aside: the server's own buffer for a connection."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What a subscriber gets in one write; `end` is the offset it has then come to, whether or not frames matched."""

    data: bytes
    end: int
    events: int


def slices(frames: Iterable[Frame], after: int, end: int, event_filter: EventFilter) -> Iterator[Slice]:
    """What of `frames` matches, cut into slices; the last one reaches to `end`, even if it is empty."""
    matching: list[bytes] = []
    size = 0
    for frame in frames:
        if event_filter.matches(frame):
            if matching and size + len(frame.sse) > SLICE_BYTES:
                yield Slice(b"".join(matching), after, len(matching))
                matching, size = [], 0
            matching.append(frame.sse)
            size += len(frame.sse)
        after = frame.offset
    yield Slice(b"".join(matching), end, len(matching))


class Ring:
    """Frames by offset, without a hole, bounded in number and in bytes. The newest frame always stays."""

    def __init__(self, *, max_events: int, max_bytes: int, head: int) -> None:
        self.head = head
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self._frames: OrderedDict[int, Frame] = OrderedDict()
        self._unfiltered: dict[int, Slice] = {}

    @property
    def start(self) -> int:
        """The offset after which the ring has everything."""
        return self.head - len(self._frames)

    def append(self, frame: Frame) -> None:
        """Add the frame that comes after the head."""
        if frame.offset != self.head + 1:
            raise ValueError(f"offset {frame.offset} does not come after {self.head}")
        self.head = frame.offset
        self._frames[frame.offset] = frame
        self._bytes += len(frame.sse)
        self._unfiltered.clear()
        while len(self._frames) > self._max_events or (self._bytes > self._max_bytes and len(self._frames) > 1):
            self._bytes -= len(self._frames.popitem(last=False)[1].sse)

    def after(self, offset: int, event_filter: EventFilter) -> Slice | None:
        """What comes after an offset, up to about `SLICE_BYTES`; None if the ring does not go back so far."""
        if offset < self.start:
            return None
        if event_filter:
            return self._cut(offset, event_filter)
        # Nearly all subscribers are at the same place and want everything: they share one slice.
        found = self._unfiltered.get(offset)
        if found is None:
            found = self._unfiltered[offset] = self._cut(offset, event_filter)
        return found

    def _cut(self, offset: int, event_filter: EventFilter) -> Slice:
        frames = (self._frames[each] for each in range(offset + 1, self.head + 1))
        return next(slices(frames, offset, self.head, event_filter))
