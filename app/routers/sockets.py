"""WebSockets: the stream, captures and acknowledgements over one connection.

A connection has a place in the hub from its handshake on, so that what holds for streams holds for it: the limit, the
drain, the end of readers that take nothing. What is said on it stands in `app.routers.conversation`.
"""

from contextlib import suppress
from urllib.parse import urlsplit

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import HTTPConnection
from starlette.routing import Match, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from app.dependencies import Parts, parts
from app.errors import CINError, OriginRefused
from app.headers import read_agent
from app.models.types import AgentName
from app.problems import from_validation_error, problem_response, request_id
from app.routers.conversation import Conversation
from app.routers.socket_connection import SocketConnection
from app.skills.filters import EventFilter

log = structlog.get_logger(__name__)


class SocketParams(BaseModel):
    """What the address of a WebSocket may say."""

    model_config = ConfigDict(extra="forbid")

    agent: AgentName | None = None


async def open_socket(websocket: WebSocket) -> None:
    """The handshake of a WebSocket; `serve` stays with it to its end."""
    try:
        here = parts(websocket)
        _refuse_other_sites(websocket)
        agent, captured_by = _agents(websocket)
        connection = SocketConnection(websocket.scope.get("cin.send", websocket.send))
        stream = here.hub.enter(connection, here.hub.bounds.head, EventFilter(), agent)
        conversation = Conversation(here, stream, connection, agent, captured_by, request_id(websocket))
        websocket.scope["cin.conversations"].append(conversation)
        await websocket.accept()
    except CINError as error:
        await _refuse(websocket, error)
    except OSError:
        pass  # the client went away during the handshake, and `receive` is about to say so


async def serve(app: ASGIApp, here: Parts | None, scope: Scope, receive: Receive, send: Send) -> None:
    """Call `app`, which does the handshake, then hold the conversation out here, as `app.routers.sse.serve` does.

    By then the frames of middleware and routes are gone, a quarter of what an idle socket would keep. And a crowd is let in
    a few at a time, as that of streams is, before those frames are there: what all who wait take at once, they keep.
    """
    if here is not None:
        await here.hub.openings.take()
    conversations: list[Conversation] = []
    scope["cin.conversations"] = conversations
    try:
        await app(scope, receive, send)
        for conversation in conversations:
            conversation.connection.let_go(scope)
            await conversation.run(receive)
    finally:
        for conversation in conversations:
            conversation.leave()


class SocketRoute(WebSocketRoute):
    """A route that says which it is, as FastAPI's do: metrics name it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches(scope)
        return match, {**found, "route": self}


routes = [SocketRoute("/ws", open_socket), SocketRoute("/", open_socket)]


def _agents(websocket: WebSocket) -> tuple[str | None, str]:
    """Whose connection it is, if that is said, and who captures on it. Raises `InvalidInput`."""
    try:
        agent = SocketParams.model_validate(dict(websocket.query_params)).agent
    except ValidationError as error:
        raise from_validation_error(error, "query") from None
    return agent, agent or read_agent(websocket)


def _refuse_other_sites(connection: HTTPConnection) -> None:
    """Raises `OriginRefused` for a page of another site, which can open a WebSocket though it could read no answer."""
    origin = connection.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != connection.headers.get("host", "").lower():
        raise OriginRefused("Open the WebSocket from a page of this server, or from a program that is no browser.")


async def _refuse(websocket: WebSocket, error: CINError) -> None:
    with suppress(OSError):
        if "websocket.http.response" in websocket.scope.get("extensions", {}):
            await websocket.send_denial_response(problem_response(error, request_id(websocket)))
        else:
            await websocket.close()
