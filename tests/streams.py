"""A stream as a raw reader sees it, on either wire: every byte as it came, block by block or message by message."""

import http.client
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from email.message import Message as Headers
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from app.stream.frames import Wire
from app.stream.wire_socket import SOCKET, texts

READ_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a stream, its fields by name; `raw` is what came. A message of a socket has the fields of its block."""

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


def parse_messages(messages: Iterable[str]) -> list[Block]:
    """Messages as blocks. A `reset` has the position that comes behind it as its id, as on the other wire."""
    blocks: list[Block] = []
    for text in messages:
        message = json.loads(text)
        kind = message.pop("type")
        if kind == "position" and blocks and blocks[-1].event == "reset" and blocks[-1].id is None:
            blocks[-1].fields["id"] = message["id"]
            continue
        if kind == "hello":
            message = {"event": "hello", "data": message}
        elif kind == "retry":
            message = {"retry": message["milliseconds"]}
        blocks.append(Block(text.encode(), {name: _field(value) for name, value in message.items()}))
    return blocks


def parse(wire: Wire, received: bytes) -> list[Block]:
    """What was received on a wire."""
    return parse_messages(texts(received)) if wire is SOCKET else parse_blocks(received)


def _field(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class Stream(ABC):
    """An open stream. It reads when it is asked to, and waits at most `READ_SECONDS` for more."""

    status: int
    headers: Mapping[str, str] | Headers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def block(self) -> Block:
        """The next block. Raises `EOFError` when the stream has ended, `TimeoutError` when nothing comes."""

    @abstractmethod
    def problem(self) -> dict[str, Any]:
        """Why there is no stream. Places that break a rule are named without `query.` or `message.` before them."""

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
        with suppress(EOFError):
            while True:
                found.append(self.block())
        return found


class EventStream(Stream):
    """`GET /stream`."""

    def __init__(self, url: str, query: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=READ_SECONDS)
        self._connection.request("GET", f"/stream?{urlencode(query or {}, doseq=True)}", headers=headers or {})
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.headers = self._response.headers
        self._buffer = b""

    def close(self) -> None:
        self._response.close()
        self._connection.close()

    def block(self) -> Block:
        while b"\n\n" not in self._buffer:
            more = self._response.read1(65536)
            if not more:
                raise EOFError(f"the stream has ended with {self._buffer!r}")
            self._buffer += more
        raw, _, self._buffer = self._buffer.partition(b"\n\n")
        return parse_block(raw)

    def problem(self) -> dict[str, Any]:
        return _without_root(json.loads(self._response.read()))


class SocketStream(Stream):
    """A subscription on `WS /ws`, asked for in the words of `GET /stream`; `Last-Event-ID` is a `since` here."""

    def __init__(self, url: str, query: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> None:
        self._asked = _to_message({"type": "subscribe"} | (query or {}), headers or {})
        self._refusal: bytes | None = None
        self._first: str | None = None
        try:
            connecting = connect(f"ws://{urlsplit(url).netloc}/ws", max_size=None, ping_interval=None)
        except InvalidStatus as refused:
            self.status, self.headers = refused.response.status_code, refused.response.headers
            self._refusal = bytes(refused.response.body or b"")
            return
        self._open = ExitStack()
        self._socket = self._open.enter_context(connecting)
        assert self._socket.response is not None
        self.status, self.headers = self._socket.response.status_code, self._socket.response.headers
        self.send(self._asked)
        self._first = self._receive()  # what is captured from now on is heard

    @property
    def close_code(self) -> int | None:
        """Why the server has closed it."""
        return self._socket.protocol.close_code

    def close(self) -> None:
        if self._refusal is None:
            self._open.close()

    def send(self, message: dict[str, Any] | str | bytes) -> None:
        """Say something: a message, or what is none."""
        self._socket.send(json.dumps(message) if isinstance(message, dict) else message)

    def message(self) -> dict[str, Any]:
        """The next message. Raises as `block` does."""
        return dict(json.loads(self._receive()))

    def block(self) -> Block:
        texts = [self._receive()]
        if json.loads(texts[0]).get("event") == "reset":
            texts.append(self._receive())
        (block,) = parse_messages(texts)
        return block

    def problem(self) -> dict[str, Any]:
        if self._refusal is not None:
            return dict(json.loads(self._refusal))
        message = self.message()
        assert message["type"] == "error"
        return _without_root(message["problem"])

    def _receive(self) -> str:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            return str(self._socket.recv(READ_SECONDS))
        except ConnectionClosed as closed:
            raise EOFError(f"the socket was closed: {closed}") from None


Connect = type[EventStream] | type[SocketStream]
"""Either way to open a stream."""


def _to_message(query: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    since = {"since": headers["Last-Event-ID"]} if "Last-Event-ID" in headers else {}
    lists = {
        name: [value] if isinstance(value, str) else value
        for name, value in query.items()
        if name in ("tag", "error_type", "event")
    }
    return query | lists | since


def _without_root(problem: dict[str, Any]) -> dict[str, Any]:
    for rule in problem.get("errors", []):
        rule["loc"] = rule["loc"].removeprefix("query.").removeprefix("message.")
    return problem
