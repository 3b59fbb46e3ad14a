"""Many agents in a process of their own, which notes when each had which event; and who captures for them.

Moments are of `time.monotonic_ns`, a clock that the processes of a machine share. A stream's bytes are noted as they are
read and looked at later, so that the last agent does not wait for what is made of the first one's. An agent has an event
when its last byte was read.
"""

import gc
import json
import re
import resource
import selectors
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from benchmarks.keepalive import Connection
from benchmarks.wires import SSE, Wire

POLL_SECONDS = 2.0

SETTLE_SECONDS = 0.5
"""What is on its way is read before anything that came is looked at: that would delay it."""

_HEAD_OF_LIST = re.compile(rb'"position":"[^"]*-(\d+)"\}$')
_OPENING = 200
"""Agents on their way in at once: each is written down as it comes, and who waits for 4 s is sent away."""

_PUTTING = 16


class Receipt(NamedTuple):
    """An agent, the offset of an event, and when the agent had it."""

    agent: int
    offset: int
    at: int


class Captured(NamedTuple):
    """A capture that was answered: its event's offset, its skill, when it was sent, and how long the answer took."""

    offset: int
    skill: str
    at: int
    seconds: float


@dataclass(frozen=True)
class Report:
    """What the agents had, the share of a core that seeing it took, and the last event as it came."""

    receipts: list[Receipt]
    cpu_share: float
    noting_nanoseconds: float
    frame: bytes


class Agents:
    """`count` agents spread over `ports`, until the end of the block; they poll if they are told to, else they stream."""

    def __init__(self, ports: Sequence[int], count: int, *, polling: bool = False, wire: Wire = SSE) -> None:
        self._pipe, self._theirs = get_context("spawn").Pipe()
        self._process = get_context("spawn").Process(
            target=_run, args=(self._theirs, None if polling else wire, list(ports), count), daemon=True
        )

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()  # so that the end of the process is heard
        self._hear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()

    def report(self, offset: int, seconds: float = 10.0) -> Report:
        """Everything that came since the start, as soon as every agent has what is at `offset`, or after so long."""
        self._pipe.send((offset, seconds))
        report = self._hear()
        assert isinstance(report, Report)
        return report

    def acknowledge(self) -> None:
        """Each agent that streams acknowledges what it has read, and no more."""
        self._pipe.send(None)
        self._hear()

    def _hear(self, seconds: float = 120.0) -> object:
        if not self._pipe.poll(seconds):
            raise TimeoutError("the agents do not answer")
        return self._pipe.recv()


def capture_paced(ports: Sequence[int], bodies: Sequence[bytes], pace: float) -> list[Captured]:
    """Capture one after another, `pace` a second at most, on each of the ports in turn."""
    connections = [Connection(port) for port in ports]
    captured: list[Captured] = []
    next_at = time.monotonic()
    for number, body in enumerate(bodies):
        time.sleep(max(0.0, next_at - time.monotonic()))
        next_at += 1 / pace
        at = time.monotonic_ns()
        seconds, answer = connections[number % len(connections)].post("/skills", body)
        skill = json.loads(answer)
        captured.append(Captured(int(skill["position"].rpartition("-")[2]), skill["id"], at, seconds))
    return captured


class _Kind(Protocol):
    """How agents come to know: what `_run` needs of streams and of polling alike."""

    receipts: list[Receipt]
    frame: bytes

    def connect(self) -> None: ...

    def step(self) -> None: ...

    def have(self) -> int:
        """The offset up to which every agent has everything."""


class _Streams:
    """Agents with an open stream each."""

    def __init__(self, ports: list[int], count: int, wire: Wire) -> None:
        self.receipts: list[Receipt] = []
        self.frame = b""
        self._ports = ports
        self._wire = wire
        self._epoch = b""
        self._selector = selectors.EpollSelector()
        self._sockets: list[socket.socket] = []
        self._arrived: list[tuple[int, int, bytes]] = []
        self._rests = [b""] * count
        self._have = [0] * count

    def connect(self) -> None:
        accepted: set[int] = set()
        greeted: set[int] = set()
        while len(greeted) < len(self._have):
            while len(self._sockets) < min(len(self._have), len(greeted) + _OPENING):
                self._open(len(self._sockets))
            self.step()
            arrived, self._arrived = self._arrived, []
            for agent, at, data in arrived:
                if agent in accepted:
                    greeted |= self._read(agent, at, data)
                else:
                    self._rests[agent] += data
                    if self._is_accepted(agent):
                        accepted.add(agent)
                        greeted |= self._read(agent, at, b"")

    def _open(self, agent: int) -> None:
        connection = socket.create_connection(("127.0.0.1", _in_turn(self._ports, agent)))
        connection.sendall(self._wire.ask(self._name(agent), None))
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ, agent)
        self._sockets.append(connection)

    def step(self) -> None:
        for key, _ in self._selector.select(0.02):
            assert isinstance(key.fileobj, socket.socket)
            data = key.fileobj.recv(1 << 16)
            self._arrived.append((key.data, time.monotonic_ns(), data))
            if not data:
                raise EOFError(f"the stream of agent {key.data} has ended")

    def have(self) -> int:
        for agent, at, data in self._arrived:
            self._read(agent, at, data)
        self._arrived.clear()
        return min(self._have)

    def _name(self, agent: int) -> str:
        return f"{self._wire.name}-{agent}"

    def _is_accepted(self, agent: int) -> bool:
        """Whether the head of the answer has come; then the agent says what is left to say."""
        head, found, _ = self._rests[agent].partition(b"\r\n\r\n")
        if found and not head.startswith(self._wire.accepted):
            raise RuntimeError(f"not accepted: {head[:300]!r}")
        if found and (more := self._wire.subscribe(self._name(agent), None)):
            self._sockets[agent].sendall(more)
        return bool(found)

    def _read(self, agent: int, at: int, data: bytes) -> set[int]:
        """Take in what came; returns the agent if it was told where it stands."""
        received = self._rests[agent] + data
        end = 0
        told: set[int] = set()
        for seen in self._wire.read(received):
            end = seen.end
            if seen.kind == "event":
                self.frame = received[seen.start : end]
                self._have[agent] = seen.offset
                self.receipts.append(Receipt(agent, seen.offset, at))
            elif seen.kind == "cursor":
                self._epoch = seen.position.rpartition(b"-")[0]
                told.add(agent)
            elif seen.kind == "ping":
                self._sockets[agent].sendall(self._wire.reply(received, seen))
        self._rests[agent] = received[end:]
        return told

    def acknowledge(self) -> None:
        """`PUT /agents/{name}/position` for each, over a few connections."""

        def put(first: int) -> None:
            for port_number, port in enumerate(self._ports):
                with Connection(port) as connection:
                    for agent in range(first, len(self._have), _PUTTING):
                        if agent % len(self._ports) == port_number:
                            body = b'{"position":"%s-%d"}' % (self._epoch, self._have[agent])
                            connection.put(f"/agents/{self._name(agent)}/position", body)

        with ThreadPoolExecutor(_PUTTING) as threads:
            list(threads.map(put, range(_PUTTING)))


class _Pollers:
    """Agents that ask for the newest skills every `POLL_SECONDS`, evenly spread, by `If-None-Match`."""

    def __init__(self, ports: list[int], count: int) -> None:
        self.receipts: list[Receipt] = []
        self.frame = b""
        self._ports = ports
        self._selector = selectors.EpollSelector()
        self._sockets: list[socket.socket] = []
        self._tags = [b""] * count
        self._have = [0] * count
        self._rests = [b""] * count
        self._waiting: set[int] = set()
        self._next = 0
        self._next_at = 0.0

    def connect(self) -> None:
        for agent in range(len(self._have)):
            connection = socket.create_connection(("127.0.0.1", _in_turn(self._ports, agent)))
            self._selector.register(connection, selectors.EVENT_READ, agent)
            self._sockets.append(connection)
        self._next_at = time.monotonic()
        while not all(self._tags):
            self.step()
        self.receipts.clear()

    def step(self) -> None:
        while (wait := self._next_at - time.monotonic()) <= 0:
            self._ask(self._next)
            self._next = (self._next + 1) % len(self._sockets)
            self._next_at += POLL_SECONDS / len(self._sockets)
        for key, _ in self._selector.select(min(wait, 0.02)):
            self._hear(key.data, self._sockets[key.data].recv(1 << 18))

    def have(self) -> int:
        return min(self._have)

    def _ask(self, agent: int) -> None:
        if agent in self._waiting:
            return
        self._waiting.add(agent)
        tag = self._tags[agent]
        known = b"If-None-Match: %s\r\n" % tag if tag else b""
        self._sockets[agent].sendall(b"GET /skills HTTP/1.1\r\nHost: x\r\n%s\r\n" % known)

    def _hear(self, agent: int, data: bytes) -> None:
        at = time.monotonic_ns()
        received = self._rests[agent] + data
        self._rests[agent] = received
        head, found, body = received.partition(b"\r\n\r\n")
        fields = head.lower()
        if not found or len(body) < int(fields.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0):
            return
        self._rests[agent] = b""
        self._waiting.discard(agent)
        if fields.startswith(b"http/1.1 200"):
            self._learn(agent, at, fields.partition(b"etag: ")[2].partition(b"\r\n")[0], body)
        elif not fields.startswith(b"http/1.1 304"):
            raise RuntimeError(f"not answered: {received[:300]!r}")

    def _learn(self, agent: int, at: int, tag: bytes, body: bytes) -> None:
        head = _HEAD_OF_LIST.search(body)
        assert head is not None
        first = self._have[agent] + 1 if self._tags[agent] else int(head[1])
        self._tags[agent], self._have[agent] = tag, int(head[1])
        self.receipts += [Receipt(agent, offset, at) for offset in range(first, int(head[1]) + 1)]


def _run(pipe: Pipe, wire: Wire | None, ports: list[int], count: int) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.disable()  # hundreds of thousands of notes would be gone through again and again
    agents: _Kind = _Pollers(ports, count) if wire is None else _Streams(ports, count, wire)
    agents.connect()
    noting = _noting_nanoseconds()
    cpu, started = time.process_time(), time.monotonic()
    pipe.send("ready")
    while True:
        agents.step()
        if not pipe.poll():
            continue
        asked: tuple[int, float] | None = pipe.recv()
        if asked is None:
            assert isinstance(agents, _Streams), "who polls has nothing to acknowledge"
            agents.acknowledge()
            pipe.send("acknowledged")
            continue
        settled = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < settled:
            agents.step()
        spent, took = time.process_time() - cpu, time.monotonic() - started
        deadline = time.monotonic() + asked[1]
        while agents.have() < asked[0] and time.monotonic() < deadline:
            agents.step()
        pipe.send(Report(agents.receipts, spent / took, noting, agents.frame))


def _noting_nanoseconds() -> float:
    """What it takes to note one arrival."""
    notes: list[tuple[int, int, bytes]] = []
    started = time.perf_counter()
    for _ in range(100_000):
        notes.append((1, time.monotonic_ns(), b""))
    return (time.perf_counter() - started) * 1e4


def _in_turn(ports: list[int], agent: int) -> int:
    return ports[agent % len(ports)]
