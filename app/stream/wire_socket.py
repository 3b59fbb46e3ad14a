"""WebSockets as a wire: JSON messages, each a text frame by RFC 6455, 5.2, as a server writes it: whole, and unmasked."""

import struct
from collections.abc import Iterator

import orjson

from app.eventlog.bounds import Bounds
from app.models import EventType
from app.models.position import Position

_WHOLE_TEXT = 0x81
_TWO_BYTES, _EIGHT_BYTES = 126, 127
"""In the place of a length: it follows in so many bytes."""


class SocketWire:
    """What `WS /ws` sends of a stream."""

    def hello(
        self, network: str, bounds: Bounds, start: Position | None, *, live: bool, retry_milliseconds: int
    ) -> bytes:
        return message(
            type="hello",
            network=network,
            epoch=bounds.epoch,
            head=str(bounds.position(bounds.head)),
            earliest=str(bounds.position(bounds.earliest)),
            mode="live" if live else "replay",
        )

    def around(self, position: str, type: EventType, size: int) -> tuple[bytes, bytes]:
        before = f'{{"type":"event","id":"{position}","event":"{type}","data":'.encode()
        return _header(len(before) + size + 1) + before, b"}"

    def reset(self, reason: str, bounds: Bounds) -> bytes:
        """The cursor moves by a message of its own, as it always does here."""
        head = bounds.position(bounds.head)
        data = {"reason": reason, "earliest": str(bounds.position(bounds.earliest)), "head": str(head)}
        return message(type="event", event="reset", data=data) + self.cursor(head)

    def cursor(self, position: Position) -> bytes:
        return message(type="position", id=str(position))

    def retry(self, milliseconds: int) -> bytes:
        return message(type="retry", milliseconds=milliseconds)


SOCKET = SocketWire()


def message(**members: object) -> bytes:
    """One message with these members, as a frame."""
    return text_frame(orjson.dumps(members))


def text_frame(payload: bytes) -> bytes:
    """One message of this text, as a frame."""
    return _header(len(payload)) + payload


def texts(frames: bytes) -> Iterator[str]:
    """The messages of frames that were made here, for a server which makes frames of its own."""
    at = 0
    while at < len(frames):
        length, at = frames[at + 1], at + 2
        if length == _TWO_BYTES:
            (length,), at = struct.unpack_from("!H", frames, at), at + 2
        elif length == _EIGHT_BYTES:
            (length,), at = struct.unpack_from("!Q", frames, at), at + 8
        yield frames[at : at + length].decode()
        at += length


def _header(length: int) -> bytes:
    if length < _TWO_BYTES:
        return struct.pack("!BB", _WHOLE_TEXT, length)
    if length < 1 << 16:
        return struct.pack("!BBH", _WHOLE_TEXT, _TWO_BYTES, length)
    return struct.pack("!BBQ", _WHOLE_TEXT, _EIGHT_BYTES, length)
