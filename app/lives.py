"""Life after life of the log: the objects that serve one are built in the order in which they need each other.

Which backends there are is chosen here, by the settings, and nowhere else.
"""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from app.capture.recorder import Recorder
from app.dependencies import Parts
from app.errors import CINError, Unavailable
from app.eventlog.life import Life
from app.eventlog.log import EventLog
from app.eventlog.network import Network, open_network
from app.eventlog.notifier import LocalNotifier, Notifier
from app.eventlog.promotion import settle
from app.eventlog.replica_watch import watch_replicas
from app.eventlog.retention import Retention, RetentionRule
from app.metrics import Metrics
from app.query.answer_cache import AnswerCache, SharedAnswers
from app.query.checkpoint import IndexFolder
from app.query.follower import Follower
from app.query.matcher import Matcher
from app.query.recent_lists import RecentLists
from app.query.skill_reader import SkillReader
from app.settings import Settings
from app.storage.database import Database
from app.storage.group_commit import GroupCommit
from app.storage.opening import is_postgres, open_database
from app.storage.sqlite import file_of
from app.storage.timelines import Timelines
from app.stream.delivery import Deliveries
from app.stream.hub import Hub, HubLimits
from app.stream.presence import LocalPresence, Presence

if TYPE_CHECKING:
    from app.storage.redis import Redis

log = structlog.get_logger(__name__)

_STREAMS_ENDED_A_SECOND = 200
"""How fast a drain ends streams when it has time: what a neighbour takes up without noticing."""


_CHECKPOINT_SECONDS = 3.0
"""How long a stop waits for the index to be written; without it the next start reads the rows."""


@asynccontextmanager
async def serving(settings: Settings, metrics: Metrics, show: Callable[[Parts | None], None]) -> AsyncIterator[None]:
    """Serve life after life of the log until the end of the block, which begins when the first one is served.

    `show` is given the parts of each life when it begins, and None when it has ended.
    """
    lives = _Lives(settings, metrics, show)
    owner = asyncio.current_task()
    running = asyncio.create_task(lives.run(), name="lives")

    def fail_with(ended: asyncio.Task[None]) -> None:
        if owner is not None and not ended.cancelled() and ended.exception() is not None:
            owner.cancel()

    begun = asyncio.create_task(lives.begun())
    try:
        await asyncio.wait({running, begun}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        running.add_done_callback(fail_with)
        yield
    finally:
        running.remove_done_callback(fail_with)
        if not begun.done():
            begun.cancel()
            running.cancel()
        lives.stop()
        await running


class _Lives:
    """Builds the parts for a life of the log, and builds them anew when that has ended."""

    def __init__(self, settings: Settings, metrics: Metrics, show: Callable[[Parts | None], None]) -> None:
        self._settings = settings
        self._show = show
        self._metrics = metrics
        self._timelines = Timelines()
        self._life: Life | None = None
        self._begun = asyncio.Event()
        self._stopping = asyncio.Event()

    async def begun(self) -> None:
        """Wait until the first life is served."""
        await self._begun.wait()

    def stop(self) -> None:
        """Let `run` come to an end."""
        self._stopping.set()
        if self._life is not None:
            self._life.leave()

    async def run(self) -> None:
        """Until `stop`. Raises what keeps the first life from being served; what may pass, and all later, is tried again."""
        while not self._stopping.is_set():
            try:
                await self._live()
            except CINError as error:
                if not self._begun.is_set() and not isinstance(error, Unavailable):
                    raise
                log.warning("life_not_begun", error=error.detail, next="tried again in a second")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), 1)

    async def _live(self) -> None:
        known = self._life.known if self._life is not None else None
        open_for = partial(settle, timelines=self._timelines, known=known)
        replicas = self._settings.replica_urls
        async with open_database(self._settings.database_url, open_for, self._timelines, replicas) as database:
            database.count_read = lambda server: self._metrics.reads.labels(server).inc()
            network = await open_network(database)
            self._life = Life(network)
            if self._stopping.is_set():
                return
            async with (
                _open_redis(self._settings, network, self._metrics) as redis,
                _open_notifier(self._settings, redis) as notifier,
                _working(self._settings, self._metrics, database, self._life, notifier, redis) as parts,
            ):
                await self._serve(parts, self._life)

    async def _serve(self, parts: Parts, life: Life) -> None:
        self._show(parts)
        _tame_garbage_collector()
        self._begun.set()
        await life.ended()
        if not self._stopping.is_set():
            self._show(None)
            await drain_hub(parts.hub, self._settings)


@asynccontextmanager
async def _working(
    settings: Settings,
    metrics: Metrics,
    database: Database,
    life: Life,
    notifier: Notifier,
    redis: "Redis | None",
) -> AsyncIterator[Parts]:
    network = life.network
    async with asyncio.TaskGroup() as tasks:
        folder = _index_folder(settings)
        event_log = EventLog(database, notifier, poll_seconds=settings.poll_seconds)
        event_log.serve(life)
        commits = GroupCommit(database, metrics, max_weight=settings.group_commit_max)
        follower = Follower(network, event_log, metrics, idle_seconds=settings.index_idle_seconds, folder=folder)
        cache = AnswerCache(metrics, max_bytes=settings.cache_bytes, shared=_shared_answers(redis, network))
        hub = Hub(network, event_log, _hub_limits(settings), metrics)
        rule = RetentionRule(timedelta(days=settings.retention_days), settings.retention_events)
        retention = Retention(database, rule, metrics, interval_seconds=settings.retention_interval_seconds)
        writing = tasks.create_task(commits.run(), name="group-commit")
        indexing = tasks.create_task(follower.run(), name="skill-index")
        following = [
            indexing,
            tasks.create_task(hub.run(), name="hub"),
            tasks.create_task(retention.run(network.id), name="retention"),
            tasks.create_task(watch_replicas(database, life, metrics), name="replicas"),
        ]
        presence: Presence = LocalPresence(hub)
        if redis is not None:
            from app.stream.presence_redis import RedisPresence

            presence = RedisPresence(hub, redis, network)
            following.append(tasks.create_task(presence.run(), name="presence"))
        waiting = [tasks.create_task(hub.ready()), tasks.create_task(life.ended())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        log.info("started", network=network.name, epoch=network.epoch, head=hub.bounds.head)
        try:
            yield Parts(
                network=network,
                database=database,
                recorder=Recorder(commits, event_log, lambda _, skills: follower.count(skills), metrics),
                reader=SkillReader(event_log),
                lists=RecentLists(),
                hub=hub,
                deliveries=Deliveries(database, commits),
                presence=presence,
                follower=follower,
                matcher=Matcher(network, follower, cache),
                metrics=metrics,
                retry_milliseconds=settings.retry_milliseconds,
                tier=_tier(settings),
                redis_answers=(lambda: redis.is_up) if redis is not None else None,
            )
        finally:
            commits.close()
            await writing
            follower.stop()
            await asyncio.wait([indexing], timeout=_CHECKPOINT_SECONDS)
            for task in (*following, *waiting):
                task.cancel()
            if folder is not None:
                folder.close()
            log.info("stopped", head=hub.bounds.head)


async def drain_hub(hub: Hub, settings: Settings) -> None:
    """Take no more streams, and end those that are open in good order, spread over part of `CIN_DRAIN_SECONDS`."""
    window = min(settings.drain_seconds * 0.6, hub.streams / _STREAMS_ENDED_A_SECOND)
    log.info("draining", streams=hub.streams, window_seconds=window)
    await hub.drain(window, settings.retry_milliseconds)


def _index_folder(settings: Settings) -> IndexFolder | None:
    """Where the index is kept between starts; None for nowhere, also if it cannot be."""
    if settings.index_folder == "memory":
        return None
    try:
        return IndexFolder(_place_of_index(settings))
    except (OSError, RuntimeError) as error:  # the latter is said of a user without a home
        log.warning("index_folder_failed", error=str(error), next="the index is in memory only")
        return None


def _tier(settings: Settings) -> int:
    """What is configured, by docs/explanation/tiers.md; with one process on SQLite push is there at once, so never 1."""
    if is_postgres(settings.database_url):
        return 4
    return 3 if settings.redis_url else 2


def _place_of_index(settings: Settings) -> Path:
    if settings.index_folder:
        return Path(settings.index_folder)
    if is_postgres(settings.database_url):
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cin" / "index"
    return Path(f"{file_of(settings.database_url)}.index")


@asynccontextmanager
async def _open_redis(settings: Settings, network: Network, metrics: Metrics) -> AsyncIterator["Redis | None"]:
    """Redis, if there is to be one. The epoch tells this database from others that use the same."""
    if settings.redis_url is None:
        yield None
        return
    from app.storage.redis import open_redis

    async with open_redis(settings.redis_url, f"cin:{network.epoch}", metrics) as redis:
        yield redis


def _shared_answers(redis: "Redis | None", network: Network) -> SharedAnswers | None:
    if redis is None:
        return None
    from app.query.shared_answers_redis import RedisAnswers

    return RedisAnswers(redis, network)


@asynccontextmanager
async def _open_notifier(settings: Settings, redis: "Redis | None") -> AsyncIterator[Notifier]:
    """What carries wakes: within this process, which is all there is on SQLite, or between all that share a server."""
    if not is_postgres(settings.database_url):
        yield LocalNotifier()
        return
    if redis is not None:
        from app.eventlog.notifier_redis import open_redis_notifier

        async with open_redis_notifier(redis) as heard:
            yield heard
        return
    from app.eventlog.notifier_postgres import open_postgres_notifier

    async with open_postgres_notifier(settings.wake_url or settings.database_url) as notifier:
        yield notifier


def _tame_garbage_collector() -> None:
    """What is here now stays, so it is not looked through again: captures' p99 falls from 110 to 35 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _hub_limits(settings: Settings) -> HubLimits:
    return HubLimits(
        ring_events=settings.ring_events,
        ring_bytes=settings.ring_bytes,
        max_streams=settings.max_streams,
        heartbeat_seconds=settings.heartbeat_seconds,
        stall_seconds=settings.stall_seconds,
        max_age_seconds=settings.stream_max_age_seconds,
        retry_milliseconds=settings.retry_milliseconds,
    )
