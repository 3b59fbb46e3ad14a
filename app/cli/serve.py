"""`cin serve`: the server, from the terminal to the last drained stream."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from app.cli.environment import read_settings
from app.errors import StartupError
from app.logs import configure_logging
from app.main import create_app, drain
from app.settings import Settings

_BACKLOG = 4096
_SEND_BUFFER_BYTES = 256 * 1024
"""What the system holds for one reader. Left alone it grows to megabytes, all for readers that do not read."""


def serve(host: str | None, port: int | None) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code: 0, or 2 when it cannot start, said in a sentence."""
    try:
        settings = read_settings(host=host, port=port)
        configure_logging(settings.log_format, settings.log_level)
        with _listening(settings) as listener, asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings, listener))
    except StartupError as error:
        print(f"cin: {error.detail}", file=sys.stderr)
        return 2
    return 0


async def _serve(settings: Settings, listener: socket.socket) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        address, port = listener.getsockname()[:2]
        print(f"CIN listens on http://{address}:{port} (documentation at /docs, Ctrl-C stops it)", file=sys.stderr)
        config = uvicorn.Config(
            app,
            lifespan="off",  # entered above, so that an error at start is ours to tell
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nothing here depends on the client's address
            timeout_keep_alive=75,
            timeout_graceful_shutdown=max(1, round(settings.drain_seconds * 0.3)),
        )
        await _Server(config, lambda: drain(app, settings)).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn, which drains before it stops: it would wait for streams to end by themselves."""

    def __init__(self, config: uvicorn.Config, drain_streams: Callable[[], Coroutine[None, None, None]]) -> None:
        super().__init__(config)
        self._drain_streams = drain_streams
        self._draining: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, without raising the signals again at the end: the database is still to be closed."""
        loop = asyncio.get_running_loop()
        before = {
            number: signal.signal(number, lambda number, frame: loop.call_soon_threadsafe(self.stop, number, frame))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Drain, then exit; asked a second time, exit now."""
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain_streams())
            self._draining.add_done_callback(lambda _: self.handle_exit(number, frame))
        else:
            self.should_exit = self.force_exit = True


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it exists: a write costs a third of what it costs on asyncio's own loop."""
    return uvicorn.Config("app.main:app", log_config=None).get_loop_factory()


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """The socket, bound before anything else happens, so that a port in use is noticed first."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(found[0], found[1])
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if sys.platform == "linux":
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _dead_after_milliseconds(settings))
        listener.bind(found[4])
        listener.listen(_BACKLOG)
    except OSError as error:
        raise StartupError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            "Stop what uses the port, or choose another with --port."
        ) from error
    with listener:
        yield listener


def _dead_after_milliseconds(settings: Settings) -> int:
    """When the system gives up a peer that takes nothing: later than the hub, which counts those it closes.

    The hub sees readers for which it must wait. This ends those that vanished, and those that stopped reading with less
    to come than the system holds for them, which would else stay for a quarter of an hour or for ever.
    """
    return min(max(3_000, round(2_000 * settings.stall_seconds)), 2**31 - 1)
