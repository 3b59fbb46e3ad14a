"""What surrounds every request: its id, its time, and its line in the log. Pure ASGI, so that streams stay streams."""

import re
import time

import structlog
import uuid_utils
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics import Metrics

log = structlog.get_logger(__name__)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_ANSWERS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class RequestContext:
    """Gives every request an id (or keeps the caller's `X-Request-ID`) and counts it when its answer starts."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, access_log: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log
        self._histograms: dict[tuple[str, str, int], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        method = scope.get("method", "GET")  # a WebSocket's handshake has none in ASGI; it is a GET
        if method == "HEAD" and scope["path"] != "/stream":
            method = "GET"
            scope = {
                **scope,
                "method": method,
            }  # answered as GET is; the server, which knows better, leaves out the body
        request_id = _request_id(scope)
        scope["cin.request_id"] = request_id.decode()

        def answer(message: Message) -> object:
            # Not a coroutine of its own: it passes on the one it wraps, so a stream's chunks pay one call for it.
            if message["type"] in _ANSWERS:
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
                self._count(scope, method, message.get("status", 101), time.perf_counter() - started)
            return send(message)

        # Never unbound: the server gives each request a task, and so a context, of its own.
        structlog.contextvars.bind_contextvars(request_id=scope["cin.request_id"])
        await self._app(scope, receive, answer)  # type: ignore[arg-type]  # it returns what it should, an awaitable

    def _count(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self._histogram(method, route, status).observe(seconds)
        if self._access_log:
            log.info(
                "request_answered",
                method=method,
                path=scope["path"],
                status=status,
                milliseconds=round(seconds * 1000, 2),
            )

    def _histogram(self, method: str, route: str, status: int) -> Histogram:
        found = self._histograms.get((method, route, status))
        if found is None:
            # Known methods and our own routes only: what strangers make up must not become time series.
            name = method if method in _METHODS else "other"
            found = self._metrics.request_seconds.labels(name, route, str(status))
            if name == method:
                self._histograms[method, route, status] = found
        return found


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return uuid_utils.uuid7().hex.encode()
