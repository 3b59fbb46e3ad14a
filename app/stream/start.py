"""Where a stream starts: from what the client asked for, what its agent acknowledged, and what the log still has."""

from dataclasses import dataclass
from typing import Literal

from app.errors import InvalidInput, PositionUnavailable
from app.eventlog.bounds import Bounds
from app.models.position import Position

Reason = Literal["expired", "epoch", "ahead"]
_SENTENCES: dict[Reason, str] = {
    "expired": "The events after this position are no longer kept.",
    "epoch": "This position is not of this log, which was restored or rebuilt, or it is no position at all.",
    "ahead": "This position is ahead of the log: what it names was never kept here.",
}

Asked = Position | int | Literal["now", "earliest"]
"""A place in the log that a client can ask for."""

_NOWHERE = Position("", 0)
"""A position of no log."""


@dataclass(frozen=True, slots=True)
class Start:
    """The offset after which the client is served; `reset` says why that is not what it asked for."""

    after: int
    reset: Reason | None = None


def parse_since(since: str) -> Asked:
    """What `since=` asks for. Raises `InvalidInput`."""
    if since in ("now", "earliest"):
        return since  # type: ignore[return-value]  # narrowed by the line above
    if since.isascii() and since.isdigit() and len(since) <= 18:
        return int(since)
    position = Position.parse(since)
    if position is None:
        raise InvalidInput(
            "`since` is none of `now`, `earliest`, an offset such as 42, and a position such as k3f9-42.",
            [("query.since", "is not a position")],
        )
    return position


def wanted(since: str | None, last_event_id: str | None, acknowledged: int | None) -> Asked:
    """What a client asks for, in the order in which its ways of asking win. Raises `InvalidInput` for a bad `since`.

    A `Last-Event-ID` that is no position is one of no log: a browser sends whatever it was once given, and is answered.
    """
    asked = parse_since(since) if since is not None else None
    if last_event_id:
        return Position.parse(last_event_id) or _NOWHERE
    if asked is not None:
        return asked
    return acknowledged if acknowledged is not None else "now"


def resolve(asked: Asked, bounds: Bounds) -> Start:
    """Where to start. What cannot be served is never passed over in silence: it starts at the head, with a reason."""
    if asked == "now":
        return Start(bounds.head)
    if asked == "earliest":
        return Start(bounds.trimmed)
    if isinstance(asked, Position) and asked.epoch != bounds.epoch:
        return Start(bounds.head, "epoch")
    offset = asked.offset if isinstance(asked, Position) else asked
    if offset > bounds.head:
        return Start(bounds.head, "ahead")
    if offset < bounds.trimmed:
        return Start(bounds.head, "expired")
    return Start(offset)


def position_unavailable(reason: Reason, bounds: Bounds) -> PositionUnavailable:
    """The error that says why a position cannot be served."""
    return PositionUnavailable(
        f"{_SENTENCES[reason]} Read the skills with GET /skills, then stream from `now`.",
        reason=reason,
        earliest=str(bounds.position(bounds.earliest)),
        head=str(bounds.position(bounds.head)),
    )
