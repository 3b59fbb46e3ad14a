"""The application: routes and middleware around the objects that `app.lives` builds.

`create_app(settings)` is the application. `uvicorn app.main:app` finds one made from the environment.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import FrameType

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from app import __version__, problems
from app.lives import drain_hub, serving
from app.logs import configure_logging
from app.metrics import Metrics
from app.middleware import RequestContext
from app.routers import agents, capture, docs, operations, query, sockets, sse, subscription
from app.routers.openapi import describe
from app.settings import Settings


class Application(FastAPI):
    """FastAPI, which lets a stream reach the server's own `send`: four wrappers less on every chunk to every reader."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["cin.send"] = send
        if scope["type"] == "http":
            await sse.serve(super().__call__, scope, receive, send)
        elif scope["type"] == "websocket":
            await sockets.serve(super().__call__, self.state.parts, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings, metrics: Metrics | None = None) -> FastAPI:
    """The application, with nothing opened yet: that happens when it is started."""
    metrics = metrics or Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with serving(settings, metrics, partial(setattr, app.state, "parts")):
            _drain_before_uvicorn_exits(app, settings)
            yield

    app = Application(title="CIN", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.parts = None
    app.router.redirect_slashes = False  # it would send clients where their Host header says
    app.add_middleware(RequestContext, metrics=metrics, access_log=settings.access_log)
    # The first route that fits is taken. As one flat list it is found in 10 µs; `include_router` would nest six lists
    # and take 70.
    for router in (capture.router, query.router, subscription.router, agents.router, operations.router, docs.router):
        app.router.routes.extend(router.routes)
    app.router.routes.extend(sockets.routes)
    docs.mount_assets(app)
    problems.install(app)
    describe(app)
    return app


async def drain(app: FastAPI, settings: Settings) -> None:
    """Take no more streams, and end those that are open in good order, spread over part of `CIN_DRAIN_SECONDS`."""
    if app.state.parts is not None:
        await drain_hub(app.state.parts.hub, settings)


def _drain_before_uvicorn_exits(app: FastAPI, settings: Settings) -> None:
    """Under plain `uvicorn app.main:app`: drain on SIGTERM and SIGINT, then let uvicorn's own handlers go on.

    uvicorn ends the lifespan only after all connections have closed, and streams do not close by themselves.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        uvicorns = signal.getsignal(number)
        if type(getattr(uvicorns, "__self__", None)).__module__ == "uvicorn.server" and callable(uvicorns):
            signal.signal(number, _draining_handler(app, settings, loop, uvicorns))


def _draining_handler(
    app: FastAPI,
    settings: Settings,
    loop: asyncio.AbstractEventLoop,
    then: Callable[[int, FrameType | None], object],
) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        def begin() -> None:
            draining = loop.create_task(drain(app, settings))
            draining.add_done_callback(lambda _: then(number, frame))

        signal.signal(number, then)  # a second signal does not wait
        loop.call_soon_threadsafe(begin)

    return handle


def __getattr__(name: str) -> FastAPI:
    """`app.main:app`, made when it is asked for: importing this module reads no environment and opens nothing."""
    if name != "app":
        raise AttributeError(name)
    settings = Settings()
    configure_logging(settings.log_format, settings.log_level)
    return create_app(settings)
