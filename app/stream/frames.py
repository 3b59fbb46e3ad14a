"""Events as frames: the bytes of the SSE wire, encoded once and sent to everybody.

Lines end with `\n`.
"""

from dataclasses import dataclass

import orjson
from sse_starlette import ServerSentEvent

from app.eventlog.log import Bounds, LoggedEvent
from app.models import EventType
from app.models.position import Position


@dataclass(frozen=True, slots=True)
class Frame:
    """One event, ready to send, and what filters look at."""

    offset: int
    type: EventType
    error_type: str | None
    tags: frozenset[str]
    sse: bytes


def to_frame(event: LoggedEvent, epoch: str) -> Frame:
    """The frame of an event. Its JSON has no line ends, so it is one `data:` line, and needs no encoder to find them."""
    sse = f"id: {epoch}-{event.offset}\nevent: {event.type}\ndata: {event.data}\n\n".encode()
    return Frame(event.offset, event.type, event.error_type, event.tags, sse)


def hello(network: str, bounds: Bounds, *, live: bool, retry_milliseconds: int) -> bytes:
    """The first block of every stream: when to come back, which log this is, and where it begins and ends."""
    block = _block(
        event="hello",
        data=_json(
            network=network,
            epoch=bounds.epoch,
            head=str(bounds.position(bounds.head)),
            earliest=str(bounds.position(bounds.earliest)),
            mode="live" if live else "replay",
        ),
    )
    return retry_line(retry_milliseconds) + block


def reset(reason: str, bounds: Bounds) -> bytes:
    """Says that events were missed. Carries the head as its id, so that the next resume starts from there."""
    head = bounds.position(bounds.head)
    data = _json(reason=reason, earliest=str(bounds.position(bounds.earliest)), head=str(head))
    return _block(event="reset", data=data, id=head)


def cursor(position: Position) -> bytes:
    """A block with an id alone: it moves the reader's cursor and is no event (HTML, server-sent events, 9.2.6)."""
    return b"id: %s\n\n" % str(position).encode()


def retry(milliseconds: int) -> bytes:
    """A block that says when to come back, and nothing else."""
    return retry_line(milliseconds) + b"\n"


def retry_line(milliseconds: int) -> bytes:
    return b"retry: %d\n" % milliseconds


def _block(*, data: str, event: str, id: Position | None = None) -> bytes:
    return ServerSentEvent(data=data, event=event, id=str(id) if id else None, sep="\n").encode()


def _json(**members: str) -> str:
    return orjson.dumps(members).decode()
