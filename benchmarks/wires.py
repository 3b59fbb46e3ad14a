"""The two wires of a stream as a load generator uses them: it asks in few bytes, and finds events without decoding them.

No library: who reads thousands of streams has a few microseconds for each. What a server writes into its frames, which
are whole and unmasked (RFC 6455, 5.1), begins as `app.stream.wire_socket` says.
"""

import argparse
import json
import re
import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol

Kind = Literal["event", "cursor", "reset", "ping", "end", "other"]


class Seen(NamedTuple):
    """Something that came whole: the position it names, if any, and where in what was received it stands."""

    kind: Kind
    position: bytes
    start: int
    end: int

    @property
    def offset(self) -> int:
        return int(self.position.rpartition(b"-")[2])


class Wire(Protocol):
    """How a client asks for a stream, and reads it."""

    @property
    def name(self) -> str: ...

    @property
    def accepted(self) -> bytes:
        """What the answer begins with if there is a stream."""

    def ask(self, agent: str | None, last_seen: str | None) -> bytes:
        """The request."""

    def subscribe(self, agent: str | None, last_seen: str | None) -> bytes:
        """What is to be sent once the head of the answer has come; nothing if the request has said it all."""

    def read(self, received: bytes) -> Iterator[Seen]:
        """What of it matters, in order."""

    def reply(self, received: bytes, ping: Seen) -> bytes:
        """What answers a ping."""

    def numbered(self, event: bytes, offset: int) -> bytes:
        """An event as CIN sent it, with another position, as a server writes it."""


class Sse:
    """`GET /stream`. The lengths of chunks stand between blocks, and are passed over."""

    name = "sse"
    accepted = b"HTTP/1.1 200"
    _seen = re.compile(rb"id: ([^\n]*-\d+)\n(event: (?:skill|(reset))[^\n]*\ndata: [^\n]*\n)?\n|\r\n0\r\n\r\n")

    def ask(self, agent: str | None, last_seen: str | None) -> bytes:
        query = f"?agent={agent}" if agent else ""
        last = f"Last-Event-ID: {last_seen}\r\n" if last_seen else ""
        return f"GET /stream{query} HTTP/1.1\r\nHost: x\r\n{last}\r\n".encode()

    def subscribe(self, agent: str | None, last_seen: str | None) -> bytes:
        return b""

    def read(self, received: bytes) -> Iterator[Seen]:
        for found in self._seen.finditer(received):
            position, event, reset = found.groups(b"")
            kind: Kind = "end" if not position else "reset" if reset else "event" if event else "cursor"
            yield Seen(kind, position, *found.span())

    def reply(self, received: bytes, ping: Seen) -> bytes:
        return b""

    def numbered(self, event: bytes, offset: int) -> bytes:
        block = b"id: e-%d\n%s" % (offset, event.partition(b"\n")[2])
        return b"%x\r\n%s\r\n" % (len(block), block)


_CLOSE, _PING = 0x88, 0x89
_UNMASKED = bytes(4)
"""A client masks what it sends. With this key that changes nothing."""


class Sockets:
    """`WS /ws`."""

    name = "websocket"
    accepted = b"HTTP/1.1 101"
    _message = re.compile(rb'\{"type":"(?:event","(?:id":"([^"]*)"|(event":"reset))|position","id":"([^"]*)")')

    def ask(self, agent: str | None, last_seen: str | None) -> bytes:
        return (
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )

    def subscribe(self, agent: str | None, last_seen: str | None) -> bytes:
        given = {"agent": agent, "since": last_seen}
        message = {"type": "subscribe", **{name: value for name, value in given.items() if value}}
        return _masked(0x81, json.dumps(message).encode())

    def read(self, received: bytes) -> Iterator[Seen]:
        start = 0 if not received.startswith(b"HTTP/") else received.index(b"\r\n\r\n") + 4
        while (frame := _frame(received, start)) is not None:
            payload, end = frame
            if received[start] == _PING:
                yield Seen("ping", b"", start, end)
            elif received[start] == _CLOSE:
                yield Seen("end", b"", start, end)
            elif (found := self._message.match(received, payload, end)) is not None:
                event, reset, cursor = found.groups(b"")
                yield Seen("reset" if reset else "event" if event else "cursor", event or cursor, start, end)
            else:
                yield Seen("other", b"", start, end)
            start = end

    def reply(self, received: bytes, ping: Seen) -> bytes:
        return _masked(0x8A, received[ping.start + 2 : ping.end])

    def numbered(self, event: bytes, offset: int) -> bytes:
        before, _, rest = event.partition(b'"id":"')
        message = b'%s"id":"e-%d"%s' % (before[before.index(b"{") :], offset, rest.partition(b'"')[2])
        return struct.pack("!BBH", 0x81, 126, len(message)) + message


def _frame(received: bytes, start: int) -> tuple[int, int] | None:
    """Where the payload of the frame at `start` begins and ends; None if it has not come whole."""
    if len(received) < start + 2:
        return None
    length, payload = received[start + 1], start + 2
    if length >= 126:
        size, form = (2, "!H") if length == 126 else (8, "!Q")
        if len(received) < payload + size:
            return None
        (length,) = struct.unpack_from(form, received, payload)
        payload += size
    return (payload, payload + length) if len(received) >= payload + length else None


def _masked(kind: int, payload: bytes) -> bytes:
    assert len(payload) < 126
    return bytes((kind, 0x80 | len(payload))) + _UNMASKED + payload


SSE, SOCKETS = Sse(), Sockets()
WIRES: list[Wire] = [SSE, SOCKETS]


def add_transport(parser: argparse.ArgumentParser) -> None:
    names = [*(wire.name for wire in WIRES), "both"]
    parser.add_argument("--transport", choices=names, default=SSE.name, help="how events come (sse)")


def chosen(transport: str) -> list[Wire]:
    """The wires that `--transport` names."""
    return [wire for wire in WIRES if transport in (wire.name, "both")]
