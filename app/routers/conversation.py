"""What one client says on its WebSocket, and what it is told.

A client's messages are taken up in the order in which they come, and answered in that order. Captures that come in a row
share commits; nothing else is begun before the one ahead of it is answered. Who sends faster than that is answered is not
read from any further: TCP holds it up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import assert_never

import structlog
from pydantic import ValidationError
from starlette.types import Message

from app.capture.draft import to_draft
from app.dependencies import Parts
from app.errors import AlreadySubscribed, CINError, InvalidInput
from app.models import AgentRegistration
from app.problems import OUR_FAULT, from_validation_error, to_problem
from app.routers import socket_messages as messages
from app.routers.agents import known_offset
from app.routers.bodies import SKILL_BYTES, SMALL_BYTES
from app.routers.socket_connection import SocketConnection
from app.routers.socket_messages import Ack, Capture, Ref, RegisterCapability, Sent, Subscribe
from app.routers.sse import jitter
from app.routers.subscription import find_start
from app.skills.filters import EventFilter
from app.stream.delivery import BROADCAST
from app.stream.start import Start
from app.stream.subscription import Subscription

log = structlog.get_logger(__name__)

MESSAGE_BYTES = SKILL_BYTES + SMALL_BYTES
"""A message: the largest skill, and what stands around it."""

MOST_AT_ONCE = 32
"""Messages of one connection that are taken up before the first of them is answered."""

_UNSUPPORTED, _TOO_BIG = 1003, 1009


class Conversation:
    """What one client says on its connection, and what it is told."""

    __slots__ = (
        "_agent",
        "_answering",
        "_answers",
        "_capabilities",
        "_captured_by",
        "_here",
        "_is_ending",
        "_is_subscribed",
        "_keys",
        "_request_id",
        "_stream",
        "_taking",
        "connection",
    )

    def __init__(
        self,
        here: Parts,
        stream: Subscription,
        connection: SocketConnection,
        agent: str | None,
        captured_by: str,
        request_id: str,
    ) -> None:
        self._here = here
        self._stream = stream
        self.connection = connection
        self._agent = agent
        self._captured_by = captured_by
        self._request_id = request_id
        self._is_subscribed = False
        self._is_ending = False
        self._capabilities: tuple[str, list[str]] = ("", [])
        self._answers: asyncio.Queue[Callable[[], Awaitable[bytes]]] | None = None  # most connections only listen
        self._answering: asyncio.Task[None] | None = None
        self._keys: set[str] = set()
        self._taking = asyncio.Lock()
        connection.before_finish = self._finish

    async def run(self, receive: Callable[[], Awaitable[Message]]) -> None:
        """Until one side closes. What was taken up before is done even if nobody can be told any more."""
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                await self._take(message.get("text"))
            await self._all_answered()
        finally:
            if self._answering is not None:
                self._answering.cancel()

    async def _take(self, text: str | None) -> None:
        if text is None:
            await self._end(_UNSUPPORTED, "Messages are text: JSON objects.")
            return
        body = text.encode()
        if len(body) > MESSAGE_BYTES:
            await self._end(_TOO_BIG, f"A message has at most {MESSAGE_BYTES:,} bytes.")
            return
        if len(body) > SMALL_BYTES:
            await self._all_answered()  # one large message at a time
        async with self._taking:
            if self._is_ending:
                return
            answer = await self._begin(body)
            if self._answers is None:
                self._answers = asyncio.Queue(MOST_AT_ONCE)
            await self._answers.put(answer)
            if self._answering is None:
                self._answering = asyncio.create_task(self._answer_all(self._answers))

    async def _end(self, code: int, reason: str) -> None:
        await self._finish()
        await self.connection.close(code, reason)

    async def _finish(self) -> None:
        """Take up nothing more, and wait until all is answered that was."""
        self._is_ending = True
        async with self._taking:  # one that is being taken up is put among the others first
            await self._all_answered()

    async def _all_answered(self) -> None:
        if self._answers is not None:
            await self._answers.join()

    def leave(self) -> None:
        """Give up its place in the hub."""
        self._here.hub.leave(self._stream)

    # Answers, in order

    async def _answer_all(self, answers: asyncio.Queue[Callable[[], Awaitable[bytes]]]) -> None:
        while not answers.empty():
            answer = answers.get_nowait()
            try:
                if data := await answer():
                    await self._stream.answer(data)
            except OSError:
                pass  # the client has gone, and `receive` is about to say so
            except Exception:
                log.exception("answer_failed", next="the connection is cut")
                self.connection.abort()
            finally:
                answers.task_done()
        self._answering = None
        if not self._taking.locked():  # else one may be about to be put among them
            self._answers = None

    async def _begin(self, body: bytes) -> Callable[[], Awaitable[bytes]]:
        """What gives the answer when its turn has come. A capture is begun at once."""
        sent: Sent | None = None
        try:
            sent = Sent.of(body)
            message = sent.read(body)
        except CINError as error:
            return partial(self._failed, sent.ref if sent else None, error)
        if isinstance(message, Subscribe) and message.agent and self._agent is None:
            self._agent = self._captured_by = message.agent  # whose connection it is from now on
        if isinstance(message, Capture):
            return await self._begin_capture(message, sent)
        return partial(self._answered, sent.ref, partial(self._do, message))

    async def _begin_capture(self, message: Capture, sent: Sent) -> Callable[[], Awaitable[bytes]]:
        key = message.idempotency_key
        if key in self._keys:
            await self._all_answered()  # the first one's answer is this one's, too
        capturing = asyncio.create_task(self._answered(sent.ref, partial(self._capture, message, sent)))
        if key is not None:
            self._keys.add(key)
            capturing.add_done_callback(lambda _: self._keys.discard(key))
        return lambda: capturing

    async def _answered(self, ref: Ref, do: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            return await do()
        except CINError as error:
            return await self._failed(ref, error)
        except Exception as error:
            log.error("message_failed", request_id=self._request_id, error=repr(error))
            return await self._failed(ref, CINError(OUR_FAULT))

    async def _failed(self, ref: Ref, error: CINError) -> bytes:
        return messages.failed(ref, to_problem(error, self._request_id))

    # What can be asked for

    async def _capture(self, message: Capture, sent: Sent) -> bytes:
        here, key = self._here, message.idempotency_key
        draft = to_draft(message.skill, message.agent or self._captured_by)
        answer = await here.recorder.capture(here.network, draft, sent.idempotency(key))
        return messages.captured(message.ref, answer)

    async def _do(self, message: Subscribe | RegisterCapability | Ack) -> bytes:
        match message:
            case Subscribe():
                await self._subscribe(message)
                return b""
            case RegisterCapability():
                await self._register(message)
            case Ack():
                await self._acknowledge(message)
            case _:
                assert_never(message)
        return messages.done(message.ref)

    async def _subscribe(self, message: Subscribe) -> None:
        if self._is_subscribed:
            raise AlreadySubscribed("A connection has one subscription. Open another connection for another one.")
        agent = message.agent or self._agent
        start = await find_start(self._here, message, agent, message.last_seen)
        await self._stream_from(start, message.to_filter(), agent)

    async def _register(self, message: RegisterCapability) -> None:
        agent = message.agent or self._agent
        if agent is not None:
            await self._here.deliveries.register(self._here.network, agent, self._capable(agent, message.capability))
        if message.capability == BROADCAST and not self._is_subscribed:
            start = await self._here.hub.locate("now")
            if agent is not None:
                await self._here.deliveries.joined_stream(self._here.network, agent, start.after, None)
            await self._stream_from(start, EventFilter(), agent)

    async def _acknowledge(self, message: Ack) -> None:
        agent = message.agent or self._agent
        if agent is None:
            rule = "is required: name the agent here, or in the address as `?agent=`"
            raise InvalidInput(f"`message.agent` {rule}.", [("message.agent", rule)])
        offset = await known_offset(message.position, self._here.hub, "message.position")
        await self._here.deliveries.acknowledge(self._here.network, agent, offset)

    async def _stream_from(self, start: Start, event_filter: EventFilter, agent: str | None) -> None:
        hub, stream = self._here.hub, self._stream
        self._is_subscribed = True
        hub.direct(stream, start.after, event_filter, agent)
        await stream.answer(hub.welcome(stream.wire, start, jitter(self._here.retry_milliseconds)))
        hub.begin(stream)

    def _capable(self, agent: str, capability: str) -> list[str]:
        """What the agent has said on this connection that it can do. Raises `InvalidInput` for too much."""
        of, known = self._capabilities
        try:
            said = AgentRegistration(capabilities=[*(known if of == agent else ()), capability]).capabilities
        except ValidationError as error:
            raise from_validation_error(error, "message") from None
        self._capabilities = (agent, said)
        return said
