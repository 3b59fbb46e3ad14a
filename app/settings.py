"""All settings, each an environment variable `CIN_<NAME>`. Built once, by the composition root; nothing else reads them."""

import re
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0, le=31_536_000)]


class Settings(BaseSettings):
    """What an operator can choose. A wrong value stops the program with a sentence that names the variable."""

    model_config = SettingsConfigDict(env_prefix="CIN_", frozen=True)

    database_url: str = Field(
        "sqlite:///./cin.db",
        description="Where the skills and the log are kept: a file, or `postgresql://…` for many processes.",
    )
    database_replica_urls: str = Field(
        "",
        description="PostgreSQL servers that follow the first one, separated by commas: they answer reads when they have "
        "what this process knows. One that is away or behind is left out by itself.",
    )
    wake_url: str = Field(
        "",
        description="The PostgreSQL server itself, for `LISTEN`, when `CIN_DATABASE_URL` names a pooler; else left empty.",
    )
    redis_url: str | None = Field(
        None,
        description="Redis for what processes share beside the database: answers, wakes, who is connected. "
        "`redis://host:6379/0`, or `rediss://…` for TLS. Without it, or while it does not answer, all else works.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for all.")
    port: int = Field(8005, ge=0, le=65535, description="Port to listen on; 0 lets the system choose one.")

    workers: int = Field(
        1, ge=1, le=256, description="Processes that serve together on this machine; more than one needs PostgreSQL."
    )

    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="How log lines look: `console` for people, `json` for machines, `auto` asks the terminal."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least serious line kept.")
    access_log: bool = Field(False, description="One log line per request. Metrics count requests either way.")

    cache_bytes: int = Field(
        67_108_864, ge=0, description="Memory for answers to matches and searches, ready to be sent again."
    )
    index_idle_seconds: Seconds = Field(
        86_400,
        description="An index of skills that nobody has asked for so long leaves memory; it comes back when asked.",
    )

    index_folder: str = Field(
        "",
        description="Where the index of skills is kept between starts, so that one need not make it anew. Empty: beside "
        "the SQLite file, or in the user's cache folder; `memory`: nowhere.",
    )

    retention_days: float = Field(
        30, ge=0, description="Events younger than this are kept, whatever their number. Skills are kept for ever."
    )
    retention_events: int = Field(
        100_000, ge=0, description="The newest events of a network that are kept, whatever their age."
    )

    retention_interval_seconds: Seconds = Field(60.0, description="How often events are looked over for trimming.")

    group_commit_max: int = Field(
        256, ge=1, le=10_000, description="The most skills written in one transaction, batches aside."
    )
    poll_seconds: Seconds = Field(1.0, description="How often followers look at the log without having been woken.")

    max_streams: int = Field(20_000, ge=0, description="Streams open at once on this process.")
    ring_events: int = Field(10_000, ge=1, description="Recent events kept in memory, ready to send.")
    ring_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="The most memory those events take, in bytes.")
    heartbeat_seconds: Seconds = Field(15.0, description="Silence after which a stream is sent the head's position.")
    stall_seconds: Seconds = Field(30.0, description="A stream whose reader takes nothing for this long is closed.")
    stream_max_age_seconds: float = Field(
        3600,
        ge=0,
        le=31_536_000,
        description="After about so long, a fifth more or less, a stream is ended and its client comes back, so that load "
        "spreads over processes that were added; 0 for never.",
    )
    retry_milliseconds: int = Field(
        2000,
        ge=1,
        description="When clients come back after a lost stream, on average; each gets its own, 0.5 to 1.5 of it.",
    )
    drain_seconds: float = Field(
        10.0, ge=0, le=3600, description="From SIGTERM to exit at most; streams end spread over the first part of it."
    )

    @property
    def replica_urls(self) -> list[str]:
        """The replicas, each as one URL; a comma can also stand between the hosts of one."""
        return [url for url in re.split(r",(?=postgres(?:ql)?://)", self.database_replica_urls) if url]
