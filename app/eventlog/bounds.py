"""Where a log begins and ends."""

from dataclasses import dataclass

from app.models.position import Position


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a log begins and ends: `head` is the newest offset, `trimmed` the newest that is no longer kept.

    `counts` says how often counters of skills were changed, which makes no event.
    """

    epoch: str
    head: int
    trimmed: int
    counts: int = 0

    def position(self, offset: int) -> Position:
        return Position(self.epoch, offset)

    @property
    def earliest(self) -> int:
        """The oldest offset kept; one more than `head` in a log that keeps nothing."""
        return self.trimmed + 1
