"""Thousands of streams in a few processes of their own: they are cut, come back where they were told to, and count what is
missing or comes twice.

A client knows the newest offset it has. Moments are of `time.monotonic`, a clock that the processes of a machine share.
"""

import heapq
import resource
import selectors
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from types import TracebackType
from typing import NamedTuple, Self

from benchmarks.wires import SSE, Seen, Wire

CLIENTS_EACH = 2_500
"""In one process."""

_AGAIN_SECONDS = 1.0
_CUT = struct.pack("ii", 1, 0)
"""SO_LINGER: close with a reset, as a cut connection does, and leave no port behind."""


class Place(NamedTuple):
    """Where and when a client comes back: after an offset, None for now; so many seconds from now; by a name or without."""

    after: int | None
    delay: float
    agent: str | None = None


@dataclass
class Told:
    """What the clients saw. `moments`: when each had what was waited for, in order."""

    moments: list[float] = field(default_factory=list)
    gaps: int = 0
    repeats: int = 0
    resets: int = 0
    refused: int = 0
    ended: int = 0

    def add(self, other: "Told") -> None:
        self.moments = sorted(self.moments + other.moments)
        self.gaps += other.gaps
        self.repeats += other.repeats
        self.resets += other.resets
        self.refused += other.refused
        self.ended += other.ended


class Crowd:
    """`count` clients of one port, until the end of the block."""

    def __init__(self, port: int, count: int, wire: Wire = SSE) -> None:
        self.count = count
        self._port = port
        self._pipes: list[Pipe] = []
        self._processes = [
            get_context("spawn").Process(target=_run, args=(self._pipe(), port, wire), daemon=True)
            for _ in range(0, count, CLIENTS_EACH)
        ]

    def __enter__(self) -> Self:
        for process in self._processes:
            process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.terminate()
            process.join()

    def come(self, epoch: str, places: Sequence[Place]) -> None:
        """Connect to these places, one for each client."""
        for number, pipe in enumerate(self._pipes):
            pipe.send(("come", epoch, list(places[number :: len(self._pipes)])))

    def cut(self) -> None:
        """Cut all of them at once; returns when it is done."""
        for pipe in self._pipes:
            pipe.send(("cut",))
        self._hear(60)

    def await_offset(self, offset: int, seconds: float = 60) -> Told:
        """What was seen since they came, when every client has that offset. Raises `TimeoutError`."""
        for pipe in self._pipes:
            pipe.send(("tell", offset, seconds))
        told = self._hear(seconds + 10)
        if len(told.moments) < self.count:
            raise TimeoutError(f"{len(told.moments)} of {self.count} clients have {offset}: {told}")
        return told

    def _pipe(self) -> Pipe:
        ours, theirs = get_context("spawn").Pipe()
        self._pipes.append(ours)
        return theirs

    def _hear(self, seconds: float) -> Told:
        told = Told()
        for pipe in self._pipes:
            if not pipe.poll(seconds):
                raise TimeoutError("the crowd does not answer")
            told.add(pipe.recv())
        return told


@dataclass(slots=True, eq=False)
class _Client:
    after: int | None
    agent: str | None
    connection: socket.socket | None = None
    rest: bytes = b""
    has_begun: bool = False


class _Clients:
    """The clients of one process."""

    def __init__(self, port: int, wire: Wire) -> None:
        self._port = port
        self._wire = wire
        self._epoch = ""
        self._clients: list[_Client] = []
        self._coming: list[tuple[float, int]] = []
        self._selector = selectors.EpollSelector()
        self.told = Told()
        self._newest: list[tuple[float, int, int]] = []

    def come(self, epoch: str, places: Sequence[Place]) -> None:
        present = time.monotonic()
        self._epoch = epoch
        self.told = Told()
        self._newest.clear()
        self._clients = [_Client(place.after, place.agent) for place in places]
        self._coming = [(present + place.delay, number) for number, place in enumerate(places)]
        heapq.heapify(self._coming)

    def cut(self) -> None:
        for client in self._clients:
            self._close(client)
        self._coming.clear()

    def step(self) -> None:
        """Connect those whose time has come, and read what is there."""
        while self._coming and self._coming[0][0] <= time.monotonic():
            self._connect(heapq.heappop(self._coming)[1])
        for key, events in self._selector.select(0.01):
            if events & selectors.EVENT_WRITE:
                self._greet(key.data)
            else:
                self._read(key.data)

    def moments(self, offset: int) -> list[float]:
        """When each client had it, of those that have."""
        first: dict[int, float] = {}
        for at, number, newest in self._newest:
            if newest >= offset:
                first.setdefault(number, at)
        return sorted(first.values())

    def _connect(self, number: int) -> None:
        client = self._clients[number]
        made = client.connection = socket.socket()
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CUT)
        with suppress(BlockingIOError):
            made.connect(("127.0.0.1", self._port))
        self._selector.register(made, selectors.EVENT_WRITE, number)

    def _greet(self, number: int) -> None:
        client = self._clients[number]
        assert client.connection is not None
        self._selector.modify(client.connection, selectors.EVENT_READ, number)
        self._send(number, self._wire.ask(client.agent, self._last_seen(client)))

    def _last_seen(self, client: _Client) -> str | None:
        return f"{self._epoch}-{client.after}" if client.after is not None else None

    def _send(self, number: int, data: bytes) -> None:
        connection = self._clients[number].connection
        assert connection is not None
        try:
            connection.send(data)
        except OSError:
            self._come_again(number)

    def _read(self, number: int) -> None:
        client = self._clients[number]
        assert client.connection is not None
        try:
            data = client.connection.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            self.told.ended += 1
            self._come_again(number)
            return
        received = client.rest + data
        if not client.has_begun:
            if b"\r\n\r\n" not in received:
                client.rest = received
                return
            if not received.startswith(self._wire.accepted):
                self.told.refused += 1
                self._come_again(number)
                return
            client.has_begun = True
            if more := self._wire.subscribe(client.agent, self._last_seen(client)):
                self._send(number, more)
        self._note(number, client, received)

    def _note(self, number: int, client: _Client, received: bytes) -> None:
        end = 0
        has_moved = False
        for seen in self._wire.read(received):
            end = seen.end
            match seen.kind:
                case "event" | "cursor":
                    self._move(client, seen)
                    has_moved = True
                case "reset":
                    self.told.resets += 1
                case "ping":
                    self._send(number, self._wire.reply(received, seen))
                case "end":
                    self.told.ended += 1
                    self._come_again(number)
                    return
        client.rest = received[end:]
        if has_moved and client.after is not None:
            self._newest.append((time.monotonic(), number, client.after))

    def _move(self, client: _Client, seen: Seen) -> None:
        if client.after is not None:
            expected = client.after + 1 if seen.kind == "event" else client.after
            self.told.gaps += seen.offset > expected
            self.told.repeats += seen.offset < expected
        client.after = seen.offset

    def _come_again(self, number: int) -> None:
        client = self._clients[number]
        self._close(client)
        client.rest, client.has_begun = b"", False
        heapq.heappush(self._coming, (time.monotonic() + _AGAIN_SECONDS, number))

    def _close(self, client: _Client) -> None:
        if client.connection is not None:
            self._selector.unregister(client.connection)
            client.connection.close()
            client.connection = None


def _run(pipe: Pipe, port: int, wire: Wire) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    clients = _Clients(port, wire)
    count = 0
    while True:
        clients.step()
        if not pipe.poll():
            continue
        match pipe.recv():
            case ("come", epoch, places):
                count = len(places)
                clients.come(epoch, places)
            case ("cut",):
                clients.cut()
                pipe.send(Told())
            case ("tell", offset, seconds):
                deadline = time.monotonic() + seconds
                while len(clients.moments(offset)) < count and time.monotonic() < deadline:
                    quiet_until = time.monotonic() + 0.1
                    while time.monotonic() < quiet_until:
                        clients.step()
                clients.told.moments = clients.moments(offset)
                pipe.send(clients.told)
