"""The messages of the WebSocket, both ways: pure, text to values and back.

What the stream carries is the same over a socket as over server-sent events, so it is handed on as such blocks and one
`Cursor` reads both.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
from httpx_sse import ServerSentEvent

from app.client import calls
from app.client.errors import CINError, Problem, ProblemError, problem_error
from app.client.values import Captured, Skill

SUBSCRIBE, ACKNOWLEDGE, REGISTER = "subscribe", "ack", "register"
"""What answers refer to, beside captures."""


class Message(msgspec.Struct, kw_only=True):
    """One message of the server; its type says which of the fields it has."""

    type: str
    ref: str | None = None
    id: str | None = None
    event: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    skill: Skill | None = None
    created: bool = False
    position: str | None = None
    milliseconds: int | None = None
    problem: Problem | None = None


_decode = msgspec.json.Decoder(Message).decode


def read(text: str) -> Message:
    try:
        return _decode(text)
    except msgspec.DecodeError as error:
        raise CINError(f"The socket carried a message that cannot be read ({error}).") from error


def as_block(message: Message, text: str) -> ServerSentEvent | None:
    """What `GET /stream` would have sent for it; None for what is not of the stream."""
    match message.type:
        case "hello":
            return ServerSentEvent(event="hello", data=text)
        case "event":
            return ServerSentEvent(event=message.event, data=bytes(message.data).decode(), id=message.id)
        case "position":
            return ServerSentEvent(id=message.id)
        case "retry":
            return ServerSentEvent(retry=message.milliseconds)
        case _:
            return None


def as_captured(message: Message) -> Captured:
    if message.skill is None:
        raise CINError("The socket carried the answer to a capture without its skill.")
    return Captured(created=message.created, skill=message.skill, position=message.position or message.skill.position)


def as_error(message: Message) -> ProblemError:
    problem = message.problem or Problem()
    return problem_error(problem, problem.status)


def subscribe(params: Mapping[str, str | list[str]], position: str | None) -> str:
    """`params` are those of `GET /stream`; a position wins over what they say of `since`."""
    since = {} if position is None else {"since": position}
    return _text("subscribe", SUBSCRIBE, {**params, **since})


def capture(ref: str, fields: Mapping[str, object], key: str) -> str:
    return _text("capture", ref, {"skill": calls.given(fields), "idempotency_key": key})


def register(capability: str) -> str:
    return _text("register_capability", REGISTER, {"capability": capability})


def acknowledge(position: str) -> str:
    return _text("ack", ACKNOWLEDGE, {"position": position})


def _text(
    kind: Literal["subscribe", "capture", "register_capability", "ack"], ref: str, fields: Mapping[str, object]
) -> str:
    return calls.encode({"type": kind, "ref": ref, **fields}).decode()
