"""Agents: who is there, how far each has come, and whether everybody has a skill."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app import errors
from app.dependencies import AfterMinPosition, DeliveriesDep, HubDep, NetworkDep, PresenceDep
from app.errors import InvalidInput
from app.headers import MIN_POSITION
from app.models import AgentPublic, AgentRegistration, AgentsPublic, DeliveryPublic, PositionUpdate
from app.models.position import Position
from app.models.types import AGENT_SCHEMA, AgentName
from app.problems import responses
from app.routers.bodies import JSON, SMALL_BYTES, read_model
from app.stream.delivery import AgentStatus
from app.stream.hub import Hub

router = APIRouter(tags=["agents"])

# An agent's name may hold a slash, so it takes the rest of the path; the routes with more after it stand first.
AgentPath = Annotated[
    AgentName,
    Path(description="1 to 128 letters, digits and `._:@/-`.", examples=["agent-a"], json_schema_extra=AGENT_SCHEMA),
]


def _request_body(schema: dict[str, object], example: dict[str, object]) -> dict[str, object]:
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema, "example": example}}}}


@router.put(
    "/agents/{name:path}/position",
    status_code=204,
    response_model=None,
    responses={
        204: {"description": "It is on disk. A position before the one that is kept changes nothing."},
        **responses(
            errors.AgentNotFound,
            errors.PositionUnavailable,
            errors.BodyTooLarge,
            errors.MediaTypeUnsupported,
            errors.StorageFull,
        ),
    },
    openapi_extra=_request_body(PositionUpdate.model_json_schema(), {"position": "k3f9-43"}),
)
async def acknowledge_position(
    name: AgentPath, request: Request, deliveries: DeliveriesDep, network: NetworkDep, hub: HubDep
) -> Response:
    """Acknowledge everything up to a position. It never moves back."""
    update, _ = await read_model(request, PositionUpdate, SMALL_BYTES)
    await deliveries.acknowledge(network, name, await known_offset(update.position, hub, "body.position"))
    return Response(status_code=204)


@router.put(
    "/agents/{name:path}",
    response_model=None,
    responses={
        200: {"model": AgentPublic, "description": "It was known, and is refreshed."},
        201: {"model": AgentPublic, "description": "It is known now, and is owed what is captured from now on."},
        **responses(errors.BodyTooLarge, errors.MediaTypeUnsupported, errors.StorageFull),
    },
    openapi_extra=_request_body(AgentRegistration.model_json_schema(), {"capabilities": ["skill_broadcast"]}),
)
async def register_agent(
    name: AgentPath, request: Request, deliveries: DeliveriesDep, network: NetworkDep, presence: PresenceDep
) -> Response:
    """Register an agent, or say anew what it can do. `skill_broadcast`: it wants every skill."""
    registration, _ = await read_model(request, AgentRegistration, SMALL_BYTES)
    created = await deliveries.register(network, name, registration.capabilities)
    statuses, head = await deliveries.agents(network, name)
    body = to_public(statuses[0], head, network.epoch, await presence.connections()).model_dump_json()
    return Response(body, 201 if created else 200, media_type="application/json")


@router.get(
    "/agents",
    responses=responses(errors.PositionUnavailable),
    dependencies=[AfterMinPosition],
    openapi_extra={"parameters": [MIN_POSITION]},
)
async def list_agents(deliveries: DeliveriesDep, network: NetworkDep, presence: PresenceDep) -> AgentsPublic:
    """List the agents, and how far each is behind."""
    statuses, head = await deliveries.agents(network)
    connections = await presence.connections()
    return AgentsPublic(
        agents=[to_public(status, head, network.epoch, connections) for status in statuses],
        position=str(Position(network.epoch, head)),
    )


@router.get(
    "/skills/{skill_id}/delivery",
    responses=responses(errors.SkillNotFound, errors.PositionUnavailable),
    dependencies=[AfterMinPosition],
    openapi_extra={"parameters": [MIN_POSITION]},
)
async def get_delivery(skill_id: str, deliveries: DeliveriesDep, network: NetworkDep) -> DeliveryPublic:
    """Read which agents have acknowledged a skill's last change, and which have not."""
    delivery = await deliveries.delivery(network, skill_id)
    return DeliveryPublic(
        position=str(Position(network.epoch, delivery.offset)),
        agents=delivery.agents,
        delivered=delivery.delivered,
        pending=delivery.pending,
        complete=delivery.complete,
    )


def to_public(status: AgentStatus, head: int, epoch: str, connections: Mapping[str, int]) -> AgentPublic:
    """An agent with what the database does not know of it: its open streams."""
    return AgentPublic(
        name=status.name,
        capabilities=status.capabilities,
        connections=connections.get(status.name, 0),
        acknowledged=str(Position(epoch, status.acknowledged)),
        lag=head - status.acknowledged,
        last_seen_at=status.last_seen_at,
    )


async def known_offset(text: str, hub: Hub, loc: str) -> int:
    """The offset of a position that this log has come to. Raises `InvalidInput` or `PositionUnavailable`."""
    position = Position.parse(text)
    if position is None:
        message = "is not a position; send one as the stream or an answer gave it"
        raise InvalidInput(f"`{loc}` {message}.", [(loc, message)])
    start = await hub.locate(position)
    if start.reset in ("epoch", "ahead"):
        raise hub.unavailable(start.reset)
    return position.offset
