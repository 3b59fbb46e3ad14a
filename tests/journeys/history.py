"""What happened, as clients saw it: every try at a capture, and every block that each subscriber read.

Clients write it down while things happen; `tests.journeys.checker` judges it afterwards, and a failed run keeps it in a
file of JSON lines. Nothing here knows what is right.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

Outcome = Literal["invoked", "ok", "failed", "unknown"]


class Try(msgspec.Struct, frozen=True, tag=True):
    """One step of the capture of the skill `name`, which is its Idempotency-Key too.

    `failed` is a definite no; after `unknown` (no answer, or "try again") it may have happened or not.
    """

    name: str
    outcome: Outcome
    at: float
    status: int = 0
    answer: str = ""


class Block(msgspec.Struct, frozen=True):
    """A block of a stream as it came; `event` and `data` are empty in one that only moves the cursor."""

    id: str
    event: str
    data: str
    at: float


class Connection(msgspec.Struct, tag=True):
    """What one subscriber read from connecting to losing it; `asked` is what it sent as `since` or Last-Event-ID.

    `raw` says that the data are the bytes of the wire; a client library gives them back only in its own encoding.
    """

    subscriber: str
    asked: str
    blocks: list[Block]
    raw: bool = True


class History:
    """Everything that clients saw, in the order in which they saw it."""

    def __init__(self) -> None:
        self.tries: list[Try] = []
        self.connections: list[Connection] = []
        self._same: dict[str, str] = {}

    def tried(self, name: str, outcome: Outcome, status: int = 0, answer: str = "") -> None:
        self.tries.append(Try(name, outcome, time.monotonic(), status, answer))

    def connected(self, subscriber: str, asked: str, *, raw: bool = True) -> Connection:
        """A new connection, to which `read` adds."""
        self.connections.append(Connection(subscriber, asked, [], raw))
        return self.connections[-1]

    def read(self, connection: Connection, id: str, event: str, data: str) -> None:
        """Many subscribers read the same bytes, so they are kept once."""
        connection.blocks.append(Block(id, event, self._same.setdefault(data, data), time.monotonic()))

    def by_subscriber(self) -> dict[str, list[Connection]]:
        """Each subscriber's connections, the first one first."""
        found: defaultdict[str, list[Connection]] = defaultdict(list)
        for connection in self.connections:
            found[connection.subscriber].append(connection)
        return dict(found)

    def save(self, path: Path) -> None:
        entries: Iterable[Try | Connection] = (*self.tries, *self.connections)
        path.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))

    def load(self, path: Path) -> None:
        """Add what another process saved."""
        for line in path.read_bytes().splitlines():
            entry = _decode(line)
            if isinstance(entry, Try):
                self.tries.append(entry)
            else:
                self.connections.append(entry)


_decode = msgspec.json.Decoder(Try | Connection).decode
