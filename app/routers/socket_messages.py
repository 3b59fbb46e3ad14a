"""The messages of a WebSocket: how a client's are read, and how they are answered."""

from typing import Annotated, Literal, Self

import msgspec
import orjson
from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError, field_validator

from app.capture.answer import Answer
from app.capture.idempotency import Idempotency
from app.errors import BodyTooLarge, InvalidInput
from app.headers import IdempotencyKeyText
from app.models import SkillCreate
from app.models.agent import Capability
from app.models.position import Position
from app.models.types import AgentName
from app.problems import from_validation_error
from app.routers.bodies import SKILL_BYTES
from app.routers.subscription import StreamParams
from app.stream.start import parse_since
from app.stream.wire_socket import message, text_frame

_MOST = 2**53
_REF = "is not what a message can be called: text of at most 128 characters, or an integer of at most 53 bits"


def _is_ref(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= 128
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST)


def _checked_ref(value: object) -> object:
    if not _is_ref(value):
        raise ValueError(_REF)
    return value


Ref = Annotated[str | int | None, PlainValidator(_checked_ref)]
"""What a client calls a message, so that it knows the answer; it comes back as it was sent."""


class _Message(BaseModel):
    """What every message may carry. Words that are not known are refused, so that a typing error is noticed."""

    model_config = ConfigDict(extra="forbid")

    ref: Ref = None
    agent: AgentName | None = None


class Subscribe(_Message, StreamParams):
    """Begin the subscription; all else as with `GET /stream`."""

    type: Literal["subscribe"]

    @field_validator("since", mode="before")
    @classmethod
    def _since(cls, since: object) -> object:
        return str(since) if isinstance(since, int) and not isinstance(since, bool) else since

    @field_validator("since")
    @classmethod
    def _names_a_place(cls, since: str | None) -> str | None:
        try:
            parse_since(since if since is not None else "now")
        except InvalidInput:
            raise ValueError(
                "is none of `now`, `earliest`, an offset such as 42, and a position such as k3f9-42"
            ) from None
        return since

    @property
    def last_seen(self) -> str | None:
        """A position is one that the client has seen: there is no `Last-Event-ID` to say so."""
        return self.since if self.since and Position.parse(self.since) else None


class Capture(_Message):
    """Capture a skill, as `POST /skills` does."""

    type: Literal["capture"]
    skill: SkillCreate
    idempotency_key: IdempotencyKeyText | None = None


class RegisterCapability(_Message):
    """Register the connection's agent; `skill_broadcast` also begins a subscription if there is none."""

    type: Literal["register_capability"]
    capability: Capability


class Ack(_Message):
    """Acknowledge everything up to a position."""

    type: Literal["ack"]
    position: str


Message = Subscribe | Capture | RegisterCapability | Ack

_KINDS: dict[str | None, type[Message]] = {
    "subscribe": Subscribe,
    "capture": Capture,
    "register_capability": RegisterCapability,
    "ack": Ack,
}


class Sent:
    """A message as it came: its members are JSON still."""

    def __init__(self, members: dict[str, msgspec.Raw]) -> None:
        self._members = members
        self.ref = _ref(members.get("ref"))

    @classmethod
    def of(cls, text: bytes) -> Self:
        """Raises `InvalidInput` for what is no JSON object."""
        try:
            return cls(msgspec.json.decode(text, type=dict[str, msgspec.Raw]))
        except msgspec.ValidationError:
            raise InvalidInput("A message is a JSON object.", [("message", "is not a JSON object")]) from None
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"The message is not JSON: {str(error)[:200]}.", [("message", "is not JSON")]) from None

    @property
    def skill_bytes(self) -> bytes:
        """The skill, to the byte."""
        return bytes(self._members.get("skill", b""))

    def read(self, text: bytes) -> Message:
        """The message that was sent as `text`. Raises `InvalidInput` with every rule it breaks, or `BodyTooLarge`."""
        kind = _KINDS.get(self._kind())
        if kind is None:
            rule = f"is none of {', '.join(f'`{name}`' for name in _KINDS)}"
            raise InvalidInput(f"`message.type` {rule}.", [("message.type", rule)])
        if len(self.skill_bytes) > SKILL_BYTES:
            raise BodyTooLarge(f"The skill has more than {SKILL_BYTES:,} bytes, which is the most that is taken here.")
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            raise from_validation_error(error, "message") from None

    def idempotency(self, key: str | None) -> Idempotency | None:
        """The key as if the skill had been sent to `POST /skills`: a retry may take either way."""
        return Idempotency.of(key, "POST", "/skills", self.skill_bytes) if key is not None else None

    def _kind(self) -> str | None:
        kind = _decoded(self._members.get("type"))
        return kind if isinstance(kind, str) else None


def _ref(raw: msgspec.Raw | None) -> Ref:
    ref = _decoded(raw)
    return ref if _is_ref(ref) else None  # type: ignore[return-value]  # narrowed by what is asked of it


def _decoded(raw: msgspec.Raw | None) -> object:
    try:
        return msgspec.json.decode(raw) if raw is not None else None
    except (ValueError, RecursionError):  # a string with half a character in it, say
        return None


def captured(ref: Ref, answer: Answer) -> bytes:
    """The skill, as `POST /skills` answers it, with what stands in the status and the headers there."""
    head = orjson.dumps(
        {"type": "captured", "ref": ref, "created": answer.status == 201, "position": answer.headers["CIN-Position"]}
    )
    return text_frame(head[:-1] + b',"skill":' + answer.body + b"}")


def done(ref: Ref) -> bytes:
    """What was asked for is done; nothing, if nobody asked to be told."""
    return message(type="done", ref=ref) if ref is not None else b""


def failed(ref: Ref, problem: dict[str, object]) -> bytes:
    """Why it was not done."""
    return message(type="error", ref=ref, problem=problem)
