"""The stream of events."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse

from app import errors
from app.dependencies import Parts, parts
from app.headers import LAST_EVENT_ID
from app.models import EventType
from app.models.types import AgentName, ErrorType, Tag
from app.problems import responses
from app.routers.plain_route import PlainRoute, query_parameters, read_parameters
from app.routers.sse import StreamResponse, come_back
from app.skills.filters import EventFilter
from app.stream.start import Start, wanted

router = APIRouter(tags=["subscription"], route_class=PlainRoute)

_DESCRIPTION = """Subscribe to what is captured, revised and retired, as server-sent events.

From any position that is kept, every event after it comes once, in order, without a hole; then live events follow.
Lines end with `\\n`. Each stream begins with `hello`, and a block with an `id:` alone that says where you are; such a
block also comes after every 15 s of silence. Send the last `id:` you have seen as `Last-Event-ID` to go on after it.

| event | data |
|---|---|
| `hello` | `network`, `epoch`, `head`, `earliest`, `mode` (`replay` while you catch up, else `live`) |
| `skill.captured`, `skill.revised`, `skill.retired` | `id`, `offset`, `type`, `at`, `skill` |
| `reset` | `reason` (`expired`, `epoch` or `ahead`), `earliest`, `head` |

After `reset`, live events follow from `head`; what you missed must be read with `GET /skills`.

With `agent=` the stream goes on from what that agent has acknowledged, and resuming acknowledges.
"""

_EXAMPLE = """retry: 2000
id: k3f9-42
event: hello
data: {"network":"default","epoch":"k3f9","head":"k3f9-42","earliest":"k3f9-1","mode":"live"}

id: k3f9-42

id: k3f9-43
event: skill.captured
data: {"id":"k3f9-43","offset":43,"type":"skill.captured","at":"2026-11-22T08:00:00.000Z","skill":{"name":"x"}}

"""


class StreamParams(BaseModel):
    """What a stream can be asked for. Words that are not known are refused, so that a typing error is noticed."""

    model_config = ConfigDict(extra="forbid")

    since: str | None = Field(
        None, max_length=64, description="`now` (default), `earliest`, an offset, or a position.", examples=["earliest"]
    )
    agent: AgentName | None = Field(None, description="Who reads: the stream goes on from what it acknowledged.")
    tag: list[Tag] = Field(default_factory=list, max_length=64, description="Skills with any of these tags.")
    error_type: list[ErrorType] = Field(
        default_factory=list, max_length=64, description="Skills for any of these errors."
    )
    event: list[EventType] = Field(default_factory=list, max_length=8, description="Events of any of these types.")
    strict: bool = Field(False, description="Answer 410, and not `reset`, for a position that cannot be served.")

    def to_filter(self) -> EventFilter:
        """Which events are asked for."""
        return EventFilter(frozenset(self.event), frozenset(self.error_type), frozenset(self.tag))


@router.get(
    "/stream",
    description=_DESCRIPTION,
    response_class=EventSourceResponse,
    response_model=None,
    responses={
        200: {
            "description": "Events, until one side closes.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
        **responses(errors.PositionUnavailable, errors.StreamLimitReached, errors.StorageFull),
    },
    openapi_extra={"parameters": [*query_parameters(StreamParams), LAST_EVENT_ID]},
)
async def stream_skills(request: Request) -> Response:
    for_browser = _is_browser(request)
    try:
        here = parts(request)
        await here.hub.openings.take()  # a crowd is let in a few at a time, before it costs anything
        params = read_parameters(request, StreamParams)
        start = await find_start(here, params, params.agent, request.headers.get("last-event-id"))
    except errors.CINError as error:
        if error.retry_after_seconds is None or not for_browser:
            raise
        return come_back(error.retry_after_seconds)
    return StreamResponse(
        here.hub,
        start,
        params.to_filter(),
        agent=params.agent,
        retry_milliseconds=here.retry_milliseconds,
        for_browser=for_browser,
    )


async def find_start(here: Parts, params: StreamParams, agent: str | None, last_seen: str | None) -> Start:
    """Where a stream starts; its agent is known from then on, and has acknowledged `last_seen` if that can be served.

    Raises `InvalidInput`, and `PositionUnavailable` if the stream is strict.
    """
    acknowledged = None
    if agent and params.since is None and not last_seen:
        acknowledged = await here.deliveries.acknowledged(here.network, agent)
    start = await here.hub.locate(wanted(params.since, last_seen, acknowledged))
    if start.reset and params.strict:
        raise here.hub.unavailable(start.reset)
    if agent:
        resumed = start.after if last_seen and not start.reset else None
        await here.deliveries.joined_stream(here.network, agent, start.after, resumed)
    return start


def _is_browser(request: Request) -> bool:
    """Every current browser sends `Sec-Fetch-Mode` to https and localhost, and says Mozilla everywhere."""
    return "sec-fetch-mode" in request.headers or request.headers.get("user-agent", "").startswith("Mozilla/")
