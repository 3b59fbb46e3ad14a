"""What a route may reach, one alias each. Everything is built once, in `app.main`, and found on the application."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from app.capture.recorder import Recorder
from app.errors import InvalidInput, Unavailable
from app.eventlog.network import Network
from app.metrics import Metrics
from app.models.position import Position
from app.query.follower import Follower
from app.query.matcher import Matcher
from app.query.recent_lists import RecentLists
from app.query.skill_reader import SkillReader
from app.storage.database import Database
from app.stream.delivery import Deliveries
from app.stream.hub import Hub
from app.stream.presence import Presence

MIN_POSITION_WAIT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects of one running application."""

    network: Network
    database: Database
    recorder: Recorder
    reader: SkillReader
    lists: RecentLists
    hub: Hub
    deliveries: Deliveries
    presence: Presence
    follower: Follower
    matcher: Matcher
    metrics: Metrics
    retry_milliseconds: int
    tier: int
    redis_answers: Callable[[], bool] | None = None
    """Whether Redis answers; None without one."""


def parts(connection: HTTPConnection) -> Parts:
    """The running application's objects. Raises `Unavailable` until they are there."""
    found: Parts | None = getattr(connection.app.state, "parts", None)
    if found is None:
        raise Unavailable("The server is starting. Try again in a moment.")
    return found


# FastAPI resolves a dependency in 30 µs; captures and queries, which feel it, call `parts`.


async def _parts(request: Request) -> Parts:
    return parts(request)


async def _network(request: Request) -> Network:
    """The network of the caller: `default`, until keys say otherwise."""
    return parts(request).network


async def _hub(request: Request) -> Hub:
    return parts(request).hub


async def _deliveries(request: Request) -> Deliveries:
    return parts(request).deliveries


async def _presence(request: Request) -> Presence:
    return parts(request).presence


async def wait_for_min_position(request: Request) -> None:
    """Wait until this process knows what the caller knows. Raises `InvalidInput`, `PositionUnavailable`, `Unavailable`."""
    minimum = request.headers.get("cin-min-position")
    if minimum is None:
        return
    position = Position.parse(minimum)
    if position is None:
        raise InvalidInput("`CIN-Min-Position` is not a position.", [("header.CIN-Min-Position", "is not a position")])
    here = parts(request)
    if position.epoch != here.network.epoch:
        raise here.hub.unavailable("epoch")
    arrived = await asyncio.gather(
        here.hub.reached(position.offset, MIN_POSITION_WAIT_SECONDS),
        here.follower.reached(position.offset, MIN_POSITION_WAIT_SECONDS),
    )
    if not all(arrived):
        raise Unavailable(f"This process has not come to `{position}` yet. Try again in a moment.")


PartsDep = Annotated[Parts, Depends(_parts)]
NetworkDep = Annotated[Network, Depends(_network)]
HubDep = Annotated[Hub, Depends(_hub)]
DeliveriesDep = Annotated[Deliveries, Depends(_deliveries)]
PresenceDep = Annotated[Presence, Depends(_presence)]
AfterMinPosition = Depends(wait_for_min_position)
