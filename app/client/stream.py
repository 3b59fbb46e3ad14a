"""Where a subscriber stands in the log: pure, server-sent events in, what the consumer sees out.

Invariant: over any number of connections, whatever they repeat, the events that come out of `feed` have increasing
offsets within an epoch, and `position` never lies before an event that came out.
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import msgspec
from httpx_sse import ServerSentEvent

from app.client.errors import CINError
from app.client.values import Event, Hello, Reset

SILENCE_SECONDS = 50.0
"""Three heartbeats of 15 s and some: a stream as silent as that is dead, though TCP may not know it yet."""

RECONNECT_CAP_SECONDS = 30.0
_RETRY_LEAST_SECONDS = 0.1  # `retry: 0` must not become a busy loop


EVENT_TYPES = frozenset({"skill.captured", "skill.revised", "skill.retired"})


class StreamFilters(TypedDict, total=False):
    """What narrows a stream; several values of one filter mean any of them."""

    tags: Sequence[str]
    error_types: Sequence[str]
    events: Sequence[str]


_decode_event = msgspec.json.Decoder(Event).decode
_decode_hello = msgspec.json.Decoder(Hello).decode
_decode_reset = msgspec.json.Decoder(Reset).decode


class Cursor:
    """A place in one network's log that follows what arrives.

    `position` is the last one passed or yielded, None until the server named one. `retry_seconds` is how long the
    server wants lost streams to wait, on average.
    """

    def __init__(self, position: str | None = None) -> None:
        self.position = position
        self.hello: Hello | None = None
        self.retry_seconds = 1.0

    def feed(self, sse: ServerSentEvent) -> Event | Reset | None:
        """Take one block of the stream; return what the consumer is to see, if anything."""
        if sse.retry is not None:
            self.retry_seconds = max(_RETRY_LEAST_SECONDS, sse.retry / 1000)
        try:
            return self._take(sse)
        except msgspec.DecodeError as error:
            raise CINError(f"The stream carried a {sse.event} block that cannot be read ({error}).") from error

    def _take(self, sse: ServerSentEvent) -> Event | Reset | None:
        if sse.event == "hello":
            self.hello = _decode_hello(sse.data)
        elif sse.event == "reset":
            reset = _decode_reset(sse.data)
            self.position = reset.head
            return reset
        elif self._is_new(sse.id):
            self.position = sse.id
            if sse.event in EVENT_TYPES:
                return _decode_event(sse.data)
        return None

    def _is_new(self, position: str) -> bool:
        """Blocks without an id move nothing; within an epoch only later offsets are news."""
        if not position or self.position is None:
            return bool(position)
        epoch, offset = split_position(position)
        seen_epoch, seen_offset = split_position(self.position)
        return epoch != seen_epoch or offset > seen_offset


def split_position(position: str) -> tuple[str, int]:
    """A position's epoch and offset."""
    epoch, _, offset = position.rpartition("-")
    if not epoch or not offset.isdecimal():
        raise CINError(f"{position!r} is no position of a stream; one looks like k3f9-42.")
    return epoch, int(offset)


def stream_params(
    filters: StreamFilters, *, since: str | int | None, agent: str | None, strict: bool
) -> dict[str, str | list[str]]:
    """The query of `GET /stream`."""
    single = {"since": None if since is None else str(since), "agent": agent, "strict": "1" if strict else None}
    several = {
        "tag": list(filters.get("tags", ())),
        "error_type": list(filters.get("error_types", ())),
        "event": list(filters.get("events", ())),
    }
    params: dict[str, str | list[str]] = {name: value for name, value in single.items() if value is not None}
    params.update({name: values for name, values in several.items() if values})
    return params


def stream_headers(position: str | None) -> Mapping[str, str]:
    """Last-Event-ID says where to go on; it wins over `since`."""
    return {} if position is None else {"Last-Event-ID": position}
