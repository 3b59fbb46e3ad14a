"""A worker's process, as its supervisor sees it: what it is told, and what is heard of it."""

import asyncio
import signal
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress

from app.cli.channel import Ask, Channel, Listen, Listens, Message, Ready, Report, Stop

_ANSWER_SECONDS = 1.0
"""How long one that hangs is waited for."""


class WorkerProcess:
    """One process in a seat."""

    def __init__(self, seat: int, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self.seat = seat
        self.pid = process.pid
        self.started_at = time.monotonic()
        self.is_leaving = False
        self.gone = asyncio.Event()
        self._process = process
        self._channel = channel
        self._is_ready = asyncio.get_running_loop().create_future()
        self._seats: frozenset[int] = frozenset()
        self._listens: deque[asyncio.Future[None]] = deque()
        self._reports: deque[asyncio.Future[str | None]] = deque()

    @property
    def code(self) -> int | None:
        """The exit code; negative for the signal that killed it."""
        return self._process.returncode

    async def is_ready(self) -> bool:
        """Wait until it is; False if it has gone before."""
        return bool(await asyncio.shield(self._is_ready))

    async def listen(self, seats: Collection[int]) -> None:
        """Have it take new connections of these seats and of no others; waits until it does, but not for one that hangs."""
        if self._seats == frozenset(seats) or self.gone.is_set():
            return
        self._seats = frozenset(seats)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listens.append(done)
        self._channel.say(Listen(sorted(seats)))
        await asyncio.wait({done}, timeout=_ANSWER_SECONDS)

    async def report(self) -> str | None:
        """Its metrics; None if it does not answer."""
        waiting: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._reports.append(waiting)
        self._channel.say(Ask())
        await asyncio.wait({waiting}, timeout=_ANSWER_SECONDS)
        return waiting.result() if waiting.done() else None

    def answer(self, report: str) -> None:
        self._channel.say(Report(report))

    def stop(self, *, now: bool = False) -> None:
        """Have it drain and exit; one that has not come so far as to listen is ended."""
        self.is_leaving = True
        if self._is_ready.done():
            self._channel.say(Stop(now))
        else:
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    async def attend(self, asked: Callable[["WorkerProcess"], Coroutine[None, None, None]]) -> None:
        """Hear what it says, until it has gone. `asked` is what it wants to have the metrics of all."""
        async with asyncio.TaskGroup() as answers:
            async for message in self._channel:
                if isinstance(message, Ask):
                    answers.create_task(asked(self))
                else:
                    self._hear(message)
        await self._process.wait()
        self._channel.close()
        self.gone.set()
        if not self._is_ready.done():
            self._is_ready.set_result(False)
        for listens in self._listens:
            listens.set_result(None)
        for report in self._reports:
            report.set_result(None)

    def _hear(self, message: Message) -> None:
        match message:
            case Ready():
                self._is_ready.set_result(True)
            case Listens():
                self._listens.popleft().set_result(None)
            case Report(text):
                self._reports.popleft().set_result(text)
            case _:
                raise AssertionError(f"a worker does not say {message}")

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
