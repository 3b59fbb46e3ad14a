"""The follower that keeps a network's skill index: loads it, moves it along the log, and lets it go when nobody asks.

Who asks waits until the index has come to what this process has committed, so a skill is found as soon as its capture
was answered, whatever the wakes do.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from app.errors import CINError, Unavailable
from app.eventlog.events import EventsTrimmed, Page
from app.eventlog.log import EventLog
from app.eventlog.milestones import Milestones
from app.eventlog.network import Network
from app.metrics import Metrics
from app.query.checkpoint import IndexFolder
from app.query.skill_index import NEVER_KEPT, Kept, SkillIndex
from app.query.snapshot import give_memory_back, make_index, read_counted, read_index
from app.skills.document import SkillRow

log = structlog.get_logger(__name__)

_EVENTS_AT_ONCE = 25
"""Events applied before others may use the event loop: 2 ms."""

_WAIT_SECONDS = 60.0
"""How long a question waits for an index that is being loaded."""

_LOAD_SECONDS = 1_800.0
"""How long making an index may take: that of 1,000,000 skills takes four minutes."""

_DEAD_SHARE = 4
"""An index is made anew when it has one dead skill for so many living ones, and a thousand at least."""


_KEEP_AT_LEAST = 10_000
_KEEP_SHARE = 5
"""A checkpoint is made after so many events, and after as many as a fifth of the skills."""


class Follower:
    """The skill index of one network. With a `folder`, it is kept there between starts."""

    def __init__(
        self,
        network: Network,
        event_log: EventLog,
        metrics: Metrics,
        *,
        idle_seconds: float,
        folder: IndexFolder | None = None,
    ) -> None:
        self.network = network
        self._log = event_log
        self._metrics = metrics
        self._idle_seconds = idle_seconds
        self._folder = folder
        self._kept = NEVER_KEPT
        self._keeping: asyncio.Task[None] | None = None
        self._stopping = False
        self._index: SkillIndex | None = None
        self._milestones = Milestones()
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._asked_at = time.monotonic()
        self._renewed: asyncio.Task[SkillIndex] | None = None
        self._counted_meanwhile: list[SkillRow] = []

    @property
    def is_ready(self) -> bool:
        """Whether questions are answered at once; an index that rests comes back when it is asked."""
        return self._index is not None or not self._wanted.is_set()

    @property
    def offset(self) -> int:
        """How far the index has come; 0 while there is none."""
        return self._index.offset if self._index is not None else 0

    async def current(self) -> SkillIndex:
        """The index, with all that this process has committed. Raises `Unavailable` if it does not get there in time."""
        self._asked_at = time.monotonic()
        index = self._index
        if index is not None and index.offset >= self._log.newest(self.network.id):
            return index
        self._wanted.set()
        if not await self._milestones.wait(self._log.newest(self.network.id), _WAIT_SECONDS) or self._index is None:
            raise Unavailable("The index of skills is being loaded. Try again in a moment.")
        return self._index

    async def tag(self, filters: Sequence[Sequence[str]]) -> str:
        """What differs after each change of what passes `filters`; while there is no index to tell, what nobody has seen."""
        if self._index is None:
            return secrets.token_hex(8)
        return (await self.current()).clocks.tag(filters)

    async def reached(self, offset: int, timeout_seconds: float) -> bool:
        """Wait until the index has come to an offset; False if it takes too long."""
        self._asked_at = time.monotonic()
        if self._index is not None and self._index.offset >= offset:
            return True
        self._wanted.set()
        return await self._milestones.wait(offset, timeout_seconds)

    def count(self, skills: Sequence[SkillRow]) -> None:
        """Learn new counters of skills, which are not in the log."""
        if self._index is not None:
            for skill in skills:
                self._index.count(skill)
        elif self._wanted.is_set():
            self._counted_meanwhile += skills  # the snapshot that is being read may be older

    def stop(self) -> None:
        """Let `run` come to an end, with a checkpoint of the index as it is then."""
        self._stopping = True
        self._wanted.set()
        self._log.wake(self.network.id)

    async def run(self) -> None:
        """Load and follow, rest when nobody asks, until `stop`."""
        while not self._stopping:
            try:
                await self._load()
                await self._follow()
            except CINError as error:
                log.warning("index_failed", error=error.detail, next="it is loaded again in a second")
                await asyncio.sleep(1)
            except EventsTrimmed:
                log.warning("index_overtaken", next="it is loaded again")
            except (OSError, ValueError) as error:  # the latter is what Tantivy says when it cannot write
                log.warning("index_folder_failed", error=str(error), next="the index is in memory only from now on")
                self._folder = None
            finally:
                self._drop()
            await self._wanted.wait()

    async def _load(self) -> None:
        started = time.monotonic()
        self._counted_meanwhile.clear()
        index = await self._read(read_index)
        self._kept = index.kept
        await self._catch_up(index)
        for skill in self._counted_meanwhile:
            index.count(skill)
        self._counted_meanwhile.clear()
        self._show(index)
        log.info("index_loaded", skills=len(index), offset=index.offset, seconds=round(time.monotonic() - started, 3))

    async def _catch_up(self, index: SkillIndex) -> None:
        """Move an index that nobody asks yet to the head, as it is now."""
        while True:
            page = await self._log.read(self.network.id, index.offset)
            await self._apply(index, page)
            await index.settle()
            assert page.bounds is not None
            if page.end == page.bounds.head:
                return

    async def _read(self, read: Callable[..., SkillIndex]) -> SkillIndex:
        work = partial(read, network=self.network, folder=self._folder)
        return await self._log.read_rows(self.network.id, work, patience_seconds=_LOAD_SECONDS)

    async def _follow(self) -> None:
        assert self._index is not None
        async for page in self._log.follow(self.network.id, self._index.offset):
            # Streams first: what follows takes half a millisecond, and who needs it waits for it.
            await asyncio.sleep(0)
            await self._apply(self._index, page)
            if page.bounds is not None and page.bounds.counts > self._index.counts:
                await self._count_all(self._index, page.bounds.counts)
            await self._index.settle()
            await self._renew()
            if self._stopping or self._is_worth_keeping(self._index):
                await self._keep(self._index)
            if self._stopping:
                return
            if time.monotonic() - self._asked_at > self._idle_seconds and not self._milestones.is_awaited:
                self._wanted.clear()
                log.info("index_rests", skills=len(self._index), next="it is loaded again when it is asked")
                return

    async def _apply(self, index: SkillIndex, page: Page) -> None:
        for start in range(0, len(page.events), _EVENTS_AT_ONCE):
            for event in page.events[start : start + _EVENTS_AT_ONCE]:
                if event.offset > index.offset:
                    index.apply(event)
            if index is self._index:
                self._show(index)
            await asyncio.sleep(0)

    async def _count_all(self, index: SkillIndex, counts: int) -> None:
        """Learn what other processes have counted."""
        after = index.counts
        skills = await self._log.read_rows(
            self.network.id, lambda connection: list(read_counted(connection, self.network, after))
        )
        for skill in skills:
            index.count(skill)
        index.counts = counts

    def _is_worth_keeping(self, index: SkillIndex) -> bool:
        """Whether a start would have much to follow, and no checkpoint is being written."""
        news = index.offset - self._kept.offset
        return news > max(_KEEP_AT_LEAST, len(index) // _KEEP_SHARE) and (self._keeping is None or self._keeping.done())

    async def _keep(self, index: SkillIndex) -> None:
        """Write a checkpoint; others may go on with the index when its files are linked."""
        if self._keeping is not None:
            await self._keeping
        now = Kept(index.offset, index.counts)
        if self._folder is None or index.place is None or now == self._kept:
            return
        await index.words.settle(1)
        made = await asyncio.to_thread(self._folder.begin, index.place)
        write = partial(self._folder.save, self.network, now.offset, made, index.sections())
        self._keeping = asyncio.create_task(self._write(write), name="checkpoint")
        self._kept = now
        if self._stopping:
            await self._keeping

    async def _write(self, write: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(write)
            await asyncio.to_thread(give_memory_back)
        except OSError as error:
            log.warning("checkpoint_failed", error=str(error), next="the next start reads more")

    async def _renew(self) -> None:
        """Load a new index in place of one that has many dead skills, while this one goes on answering."""
        index = self._index
        assert index is not None
        if self._renewed is None:
            if index.words.dead > max(1_000, len(index) // _DEAD_SHARE):
                self._renewed = asyncio.create_task(self._read(make_index), name="renewed-index")
        elif self._renewed.done():
            renewed = self._renewed.result()
            self._renewed = None
            await self._catch_up(renewed)
            renewed.take_counts(index)
            self._show(renewed)
            index.close()
            self._kept = renewed.kept
            log.info("index_renewed", skills=len(renewed), offset=renewed.offset)

    def _show(self, index: SkillIndex) -> None:
        self._index = index
        self._milestones.reach(index.offset)
        self._metrics.indexed_skills.labels(self.network.name).set(len(index))

    def _drop(self) -> None:
        if self._index is not None:
            self._index.close()
        self._index = None
        self._metrics.indexed_skills.labels(self.network.name).set(0)
        if self._renewed is not None:
            self._renewed.cancel()
            self._renewed = None
