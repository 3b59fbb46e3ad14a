"""Server-sent events as a wire: blocks of lines that end with `\n`."""

import orjson
from sse_starlette import ServerSentEvent

from app.eventlog.bounds import Bounds
from app.models import EventType
from app.models.position import Position


class SseWire:
    """What `GET /stream` sends."""

    def hello(
        self, network: str, bounds: Bounds, start: Position | None, *, live: bool, retry_milliseconds: int
    ) -> bytes:
        """Has an id for readers that take none from a block without data, as npm's `eventsource` does not."""
        block = _block(
            event="hello",
            data=_json(
                network=network,
                epoch=bounds.epoch,
                head=str(bounds.position(bounds.head)),
                earliest=str(bounds.position(bounds.earliest)),
                mode="live" if live else "replay",
            ),
            id=start,
        )
        return _retry_line(retry_milliseconds) + block

    def around(self, position: str, type: EventType, size: int) -> tuple[bytes, bytes]:
        """An event's JSON has no line ends, so it is one `data:` line, and needs no encoder to find them."""
        return f"id: {position}\nevent: {type}\ndata: ".encode(), b"\n\n"

    def reset(self, reason: str, bounds: Bounds) -> bytes:
        """Carries the head as its id, so that the next resume starts from there."""
        head = bounds.position(bounds.head)
        data = _json(reason=reason, earliest=str(bounds.position(bounds.earliest)), head=str(head))
        return _block(event="reset", data=data, id=head)

    def cursor(self, position: Position) -> bytes:
        """A block with an id alone: it moves the reader's cursor and is no event (HTML, server-sent events, 9.2.6)."""
        return b"id: %s\n\n" % str(position).encode()

    def retry(self, milliseconds: int) -> bytes:
        return _retry_line(milliseconds) + b"\n"


SSE = SseWire()


def _retry_line(milliseconds: int) -> bytes:
    return b"retry: %d\n" % milliseconds


def _block(*, data: str, event: str, id: Position | None = None) -> bytes:
    return ServerSentEvent(data=data, event=event, id=str(id) if id else None, sep="\n").encode()


def _json(**members: str) -> str:
    return orjson.dumps(members).decode()
