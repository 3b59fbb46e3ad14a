"""Events as frames: what filters look at, and the bytes of each wire, encoded once and sent to everybody there."""

from dataclasses import dataclass, field
from typing import Protocol

from app.eventlog.bounds import Bounds
from app.eventlog.events import LoggedEvent
from app.models import EventType
from app.models.position import Position

_AROUND_BYTES = 64
"""What a wire may write around an event, beside its position and its type."""


class Wire(Protocol):
    """How a stream is written down. What its methods return may be sent one behind the other, and read again alone."""

    def hello(
        self, network: str, bounds: Bounds, start: Position | None, *, live: bool, retry_milliseconds: int
    ) -> bytes:
        """The first word of every stream: which log this is, where it begins and ends, and when to come back.

        `start` is where the stream stands, unless a reset is about to say so.
        """

    def around(self, position: str, type: EventType, size: int) -> tuple[bytes, bytes]:
        """What stands before and after an event's JSON, which has so many bytes."""

    def reset(self, reason: str, bounds: Bounds) -> bytes:
        """Says that events were missed, and moves the reader's cursor to the head."""

    def cursor(self, position: Position) -> bytes:
        """Moves the reader's cursor, and is no event."""

    def retry(self, milliseconds: int) -> bytes:
        """Says when to come back, and nothing else."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One event, ready to send, and what filters look at."""

    offset: int
    type: EventType
    error_types: tuple[str | None, ...]
    tags: frozenset[str]
    position: str
    data: bytes
    _encoded: dict[Wire, tuple[bytes, bytes, bytes]] = field(default_factory=dict, init=False, repr=False)

    @property
    def size(self) -> int:
        """The bytes it takes, on whichever wire, within a few."""
        return len(self.data) + len(self.position) + len(self.type) + _AROUND_BYTES

    def on(self, wire: Wire) -> tuple[bytes, bytes, bytes]:
        """Its bytes on a wire, in pieces to be joined. Wires share the event's JSON, which is nearly all of it."""
        found = self._encoded.get(wire)
        if found is None:
            before, after = wire.around(self.position, self.type, len(self.data))
            found = self._encoded[wire] = (before, self.data, after)
        return found


def to_frame(event: LoggedEvent, epoch: str) -> Frame:
    """The frame of an event."""
    position = f"{epoch}-{event.offset}"
    return Frame(event.offset, event.type, event.error_types, event.tags, position, event.data.encode())
