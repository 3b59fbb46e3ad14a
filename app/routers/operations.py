"""What operators ask: is it alive, is it ready, how is it doing, what is it."""

import asyncio

import sqlalchemy as sa
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from app import __version__, errors
from app.dependencies import PartsDep
from app.errors import Unavailable
from app.problems import responses

router = APIRouter(tags=["operations"])

READY_TIMEOUT_SECONDS = 2.0


class HealthPublic(BaseModel):
    """The loop answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: str = "ok"


class InfoPublic(BaseModel):
    """What is running here."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "version": "0.1.0",
                    "network": "default",
                    "tier": 3,
                    "storage": "SQLite 3.46.1",
                    "redis": True,
                    "durability": "Answered captures are fsynced (synchronous=FULL); one copy, on this machine's disk.",
                    "epoch": "k3f9",
                    "head": "k3f9-43",
                    "earliest": "k3f9-1",
                }
            ]
        }
    )

    version: str
    network: str
    tier: int = Field(description="1 to 5, by what is configured; see docs/explanation/tiers.md.")
    storage: str = Field(description="The database and its version.")
    redis: bool | None = Field(description="Whether Redis answers; null if none is configured.")
    durability: str = Field(description="What an answered capture has survived.")
    epoch: str
    head: str = Field(description="The newest position this process has followed the log to.")
    earliest: str = Field(description="The oldest position kept.")


@router.get("/healthz", responses=responses())
async def get_health() -> HealthPublic:
    """Answer if the event loop turns. Touches nothing else, so it stays well when a dependency does not."""
    return HealthPublic()


@router.get("/readyz", responses=responses(errors.Unavailable))
async def get_readiness(parts: PartsDep) -> HealthPublic:
    """Answer 200 when the database answers, its schema is this program's, and the stream has caught up with the log."""
    if not parts.hub.is_ready:
        raise Unavailable("The stream is catching up with the log, or the server is stopping.")
    if not parts.follower.is_ready:
        raise Unavailable("The index of skills is being loaded.")
    try:
        async with asyncio.timeout(READY_TIMEOUT_SECONDS):
            await parts.database.read(lambda connection: connection.execute(sa.text("SELECT 1 FROM network")).first())
    except TimeoutError:
        raise Unavailable(f"The database has not answered for {READY_TIMEOUT_SECONDS:.0f} seconds.") from None
    return HealthPublic(status="ready")


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "The text format of Prometheus.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": "cin_streams 2.0\n"}},
        },
        **responses(),
    },
)
async def get_metrics(parts: PartsDep) -> Response:
    """Read all counters, gauges and histograms; with several workers those of all, whichever answers."""
    return Response(await parts.metrics.scrape(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/info", responses=responses())
async def get_info(parts: PartsDep) -> InfoPublic:
    """Read what is running here, and what it promises."""
    bounds = parts.hub.bounds
    return InfoPublic(
        version=__version__,
        network=parts.network.name,
        tier=parts.tier,
        storage=parts.database.storage,
        redis=parts.redis_answers() if parts.redis_answers else None,
        durability=await parts.database.durability(),
        epoch=bounds.epoch,
        head=str(bounds.position(bounds.head)),
        earliest=str(bounds.position(bounds.earliest)),
    )
