"""A stream as a raw reader sees it: every byte of the body as it came, block by block."""

import http.client
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

READ_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a stream, its fields by name; `raw` is what came, with the blank line that ends it."""

    raw: bytes
    fields: dict[str, str]

    @property
    def event(self) -> str | None:
        return self.fields.get("event")

    @property
    def id(self) -> str | None:
        return self.fields.get("id")

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.fields["data"]))

    @property
    def offset(self) -> int:
        return int(self.fields["id"].rpartition("-")[2])


def parse_block(raw: bytes) -> Block:
    """A block from its bytes, without the blank line that ends it."""
    lines = (line.partition(": ") for line in raw.decode().split("\n"))
    return Block(raw + b"\n\n", {name: value for name, _, value in lines})


def parse_blocks(received: bytes) -> list[Block]:
    """Every whole block of what was received. Raises `AssertionError` if it ends in the middle of one."""
    *whole, rest = received.split(b"\n\n")
    assert rest == b"", f"cut in the middle of a block: {rest!r}"
    return [parse_block(raw) for raw in whole]


class EventStream:
    """An open `GET /stream`. It reads when it is asked to, and waits at most `READ_SECONDS` for more."""

    def __init__(self, url: str, query: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=READ_SECONDS)
        self._connection.request("GET", f"/stream?{urlencode(query or {}, doseq=True)}", headers=headers or {})
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.headers = self._response.headers
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._response.close()
        self._connection.close()

    def block(self) -> Block:
        """The next block. Raises `EOFError` when the stream has ended, `TimeoutError` when nothing comes."""
        while b"\n\n" not in self._buffer:
            more = self._response.read1(65536)
            if not more:
                raise EOFError(f"the stream has ended with {self._buffer!r}")
            self._buffer += more
        raw, _, self._buffer = self._buffer.partition(b"\n\n")
        return parse_block(raw)

    def start(self) -> list[Block]:
        """What every stream begins with: `hello`, and the block that says where it stands."""
        return [self.block(), self.block()]

    def events(self, count: int) -> list[Block]:
        """The next events, without heartbeats and the like."""
        found: list[Block] = []
        while len(found) < count:
            block = self.block()
            if block.event is not None and block.event != "hello":
                found.append(block)
        return found

    def rest(self) -> list[Block]:
        """Everything until the stream ends."""
        found: list[Block] = []
        while True:
            try:
                found.append(self.block())
            except EOFError:
                return found

    def body(self) -> dict[str, Any]:
        """The JSON of an answer that is no stream."""
        return dict(json.loads(self._response.read()))
