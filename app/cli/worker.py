"""One of several processes that serve together: it does as its supervisor says, and ends when that has gone.

`supervisor` starts it. It gets the sockets of all seats, and listens to those that it is told to: its own, and for a while
that of a worker which has died.
"""

import asyncio
import socket
import sys
from collections import deque
from contextlib import suppress
from types import FrameType

import structlog
from fastapi import FastAPI

from app.cli.channel import Ask, Channel, Listen, Listens, Ready, Report, Stop
from app.cli.descriptors import fit_streams, tell_limit
from app.cli.environment import read_settings
from app.cli.listening import BACKLOG
from app.cli.server import Server, loop_factory
from app.dependencies import Parts
from app.errors import StartupError, Unavailable
from app.logs import configure_logging
from app.main import create_app
from app.metrics import Metrics
from app.settings import Settings
from app.storage.postgres import CONNECTIONS, connections_allowed

log = structlog.get_logger(__name__)

REPORT_SECONDS = 3.0
"""How long a scrape waits for the reports of all workers."""

_LOOK_SECONDS = 1.0


def main() -> None:
    """The arguments are this worker's seat, the descriptor of its channel, and those of the seats' sockets."""
    seat, channel, *listeners = map(int, sys.argv[1:])
    try:
        settings = read_settings()
        configure_logging(settings.log_format, settings.log_level, worker=seat)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            sockets = [socket.socket(fileno=number) for number in listeners]
            runner.run(_work(settings, seat, socket.socket(fileno=channel), sockets))
    except StartupError as error:
        print(f"cin: {error.detail}", file=sys.stderr)
        sys.exit(2)


async def _work(wanted: Settings, seat: int, end: socket.socket, listeners: list[socket.socket]) -> None:
    channel = await Channel.open(end)
    metrics = MetricsOfAll(channel)
    settings = fit_streams(wanted)
    app = create_app(settings, metrics)
    async with app.router.lifespan_context(app), asyncio.TaskGroup() as tasks:
        if seat == 0:
            tell_limit(wanted, settings)
        server = WorkingServer(app, settings, listeners)
        beside = [
            tasks.create_task(_obey(channel, server, metrics), name="obey"),
            tasks.create_task(_tell_when_ready(channel, app, settings, seat), name="tell-when-ready"),
        ]
        await server.serve(sockets=[])
        for task in beside:
            task.cancel()


class WorkingServer(Server):
    """A server that listens to what it is told to, and to nothing before."""

    def __init__(self, app: FastAPI, settings: Settings, listeners: list[socket.socket]) -> None:
        super().__init__(app, settings)
        self._listeners = listeners
        self._open: dict[int, asyncio.Server] = {}
        self._begun = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._begun.set()

    async def listen(self, seats: frozenset[int]) -> None:
        """Take new connections of these seats, and of no others."""
        await self._begun.wait()
        for seat in self._open.keys() - seats:
            self._open.pop(seat).close()
        for seat in seats - self._open.keys():
            copy = self._listeners[seat].dup()
            made = await asyncio.get_running_loop().create_server(self._protocol, sock=copy, backlog=BACKLOG)
            self._open[seat] = made
        self.servers = list(self._open.values())

    async def abandon(self) -> None:
        """Let go of all sockets, so that others can have the port."""
        await self.listen(frozenset())
        for listener in self._listeners:
            listener.close()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Drain, then exit. Not at once if asked again: it may have been told both by its supervisor and by the system."""
        self.stop()

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class MetricsOfAll(Metrics):
    """A worker's metrics; a scrape of them gives those of all workers."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self._waiting: deque[asyncio.Future[str]] = deque()

    async def scrape(self) -> bytes:
        """Raises `Unavailable` if the supervisor does not answer."""
        waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._channel.say(Ask())
        try:
            async with asyncio.timeout(REPORT_SECONDS):
                return (await waiting).encode()
        except TimeoutError:
            raise Unavailable("The metrics of all workers could not be had. Try again in a moment.") from None

    def take(self, report: str) -> None:
        """Answer whoever has waited longest."""
        if self._waiting and not (waiting := self._waiting.popleft()).done():
            waiting.set_result(report)


async def _obey(channel: Channel, server: WorkingServer, metrics: MetricsOfAll) -> None:
    async for message in channel:
        match message:
            case Listen(seats):
                await server.listen(frozenset(seats))
                channel.say(Listens())
            case Ask():
                channel.say(Report(metrics.render().decode()))
            case Report(text):
                metrics.take(text)
            case Stop(now):
                server.stop_now() if now else server.stop()
            case Ready() | Listens():
                pass
    log.warning("supervisor_gone", next="this worker drains and exits")
    await server.abandon()
    server.stop()


async def _tell_when_ready(channel: Channel, app: FastAPI, settings: Settings, seat: int) -> None:
    while (parts := await _ready(app)) is None:
        pass
    if seat == 0:
        await _warn_of_few_connections(parts, settings)
    channel.say(Ready())


async def _ready(app: FastAPI) -> Parts | None:
    """The application's parts when the index is there, None if that takes longer."""
    parts: Parts | None = app.state.parts
    if parts is None:  # between two lives of the log
        await asyncio.sleep(_LOOK_SECONDS)
        return None
    return parts if await parts.follower.reached(parts.hub.bounds.head, _LOOK_SECONDS) else None


async def _warn_of_few_connections(parts: Parts, settings: Settings) -> None:
    needed = 2 * settings.workers * CONNECTIONS  # a rolling restart has every worker twice for a while
    with suppress(Unavailable):
        allowed = await parts.database.read(connections_allowed)
        if allowed < needed:
            log.warning(
                "connections_may_run_out",
                allowed=allowed,
                needed=needed,
                next="raise max_connections of the database, or have fewer workers",
            )
