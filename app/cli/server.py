"""uvicorn as CIN runs it: alone or as one of several workers, it drains before it stops."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.cli.pipelining import PipeliningProtocol
from app.cli.socket_protocol import SocketProtocol
from app.main import drain
from app.routers.bodies import BATCH_BYTES
from app.settings import Settings


class Server(uvicorn.Server):
    """uvicorn, which drains before it stops: it would wait for streams to end by themselves."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        super().__init__(_config(app, settings))
        self._app = app
        self._settings = settings
        self._draining: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, without raising the signals again at the end: the database is still to be closed."""
        loop = asyncio.get_running_loop()
        before = {
            number: signal.signal(
                number, lambda number, frame: loop.call_soon_threadsafe(self.on_signal, number, frame)
            )
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Drain, then exit; asked a second time, exit now."""
        if self._draining is None:
            self.stop()
        else:
            self.stop_now()

    def stop(self) -> None:
        """Drain, then exit."""
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(drain(self._app, self._settings))
            self._draining.add_done_callback(lambda _: self.handle_exit(signal.SIGTERM, None))

    def stop_now(self) -> None:
        """Exit, whoever is still connected."""
        self.should_exit = self.force_exit = True


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it exists: a write costs a third of what it costs on asyncio's own loop."""
    return uvicorn.Config("app.main:app", log_config=None).get_loop_factory()


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=PipeliningProtocol,
        lifespan="off",  # entered before, so that an error at start is ours to tell
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here depends on the client's address
        timeout_keep_alive=75,
        ws=SocketProtocol,
        ws_max_size=BATCH_BYTES,  # what is larger than one message may be is read, so that its sender reads why it ends
        ws_per_message_deflate=False,  # one frame for everybody
        ws_ping_interval=30,
        # A reader that takes its time answers behind all that it has still to read; who takes nothing at all is cut sooner.
        ws_ping_timeout=max(60, 2 * settings.stall_seconds),
        timeout_graceful_shutdown=max(1, round(settings.drain_seconds * 0.3)),
    )
