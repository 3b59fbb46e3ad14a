"""The ring: the newest frames of a network, kept in memory so that most subscribers never cost a read of the log.

It is all that the streams of this process know of the log: what it has, and where the log begins and ends.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.eventlog.bounds import Bounds
from app.skills.filters import EventFilter
from app.stream.frames import Frame, Wire

SLICE_BYTES = 64 * 1024
"""What one write to a subscriber carries at most, one large frame aside: the server's own buffer for a connection."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What a subscriber gets in one write; `end` is the offset it has then come to, whether or not frames matched."""

    data: bytes
    end: int
    events: int


def slices(frames: Iterable[Frame], after: int, end: int, event_filter: EventFilter, wire: Wire) -> Iterator[Slice]:
    """What of `frames` matches, cut into slices for a wire; the last one reaches to `end`, even if it is empty."""
    matching: list[bytes] = []
    events = size = 0
    for frame in frames:
        if event_filter.matches(frame):
            pieces = frame.on(wire)
            more = sum(map(len, pieces))
            if events and size + more > SLICE_BYTES:
                yield Slice(b"".join(matching), after, events)
                matching, events, size = [], 0, 0
            matching += pieces
            events += 1
            size += more
        after = frame.offset
    yield Slice(b"".join(matching), end, events)


class Ring:
    """Frames by offset, without a hole, bounded in number and in bytes. The newest frame always stays."""

    def __init__(self, *, epoch: str, max_events: int, max_bytes: int, head: int) -> None:
        self.epoch = epoch
        self.head = head
        self.trimmed = 0
        """Up to here the log has lost its events, as far as this process has heard."""
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self._frames: OrderedDict[int, Frame] = OrderedDict()
        self._unfiltered: dict[tuple[Wire, int], Slice] = {}

    @property
    def bounds(self) -> Bounds:
        """Where the log begins and ends, as far as this process has followed it."""
        return Bounds(self.epoch, self.head, self.trimmed)

    def restart(self, after: int) -> None:
        """Forget all frames, and go on after an offset."""
        self.head = after
        self._bytes = 0
        self._frames.clear()
        self._unfiltered.clear()

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
        self._bytes += frame.size
        self._unfiltered.clear()
        while len(self._frames) > self._max_events or (self._bytes > self._max_bytes and len(self._frames) > 1):
            self._bytes -= self._frames.popitem(last=False)[1].size

    def after(self, offset: int, event_filter: EventFilter, wire: Wire) -> Slice | None:
        """What comes after an offset, up to about `SLICE_BYTES`; None if the ring does not go back so far."""
        if offset < self.start:
            return None
        if event_filter:
            return self._cut(offset, event_filter, wire)
        # Nearly all subscribers are at the same place and want everything: they share one slice.
        found = self._unfiltered.get((wire, offset))
        if found is None:
            found = self._unfiltered[wire, offset] = self._cut(offset, event_filter, wire)
        return found

    def _cut(self, offset: int, event_filter: EventFilter, wire: Wire) -> Slice:
        frames = (self._frames[each] for each in range(offset + 1, self.head + 1))
        return next(slices(frames, offset, self.head, event_filter, wire))
