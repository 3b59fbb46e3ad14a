"""Histories of captures, revisions, retirements and outcomes on a real database, and what an index makes of them."""

from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from app.capture.changing import Precondition, Report
from app.capture.recorder import Recorder
from app.errors import CINError
from app.eventlog.log import EventLog
from app.eventlog.network import Network, open_network
from app.eventlog.notifier import LocalNotifier
from app.metrics import Metrics
from app.query.checkpoint import IndexFolder
from app.query.matching import WORDS, find_matches
from app.query.question import MatchQuestion
from app.query.rendering import as_json
from app.query.skill_index import SkillIndex
from app.query.snapshot import make_index, read_index
from app.skills.document import SkillRow
from app.storage.database import Database
from app.storage.group_commit import GroupCommit
from tests.factories import make_draft


@dataclass
class History:
    """A network that changes, and the index that follows it."""

    database: Database
    network: Network
    log: EventLog
    recorder: Recorder
    told: list[SkillIndex]
    """The index, where whoever counts finds it."""
    folder: IndexFolder | None
    ids: list[str] = field(default_factory=list)

    @property
    def index(self) -> SkillIndex:
        return self.told[0]

    async def capture(self, **content: object) -> None:
        answer = await self.recorder.capture(self.network, make_draft(**{"error_type": None, **content}))
        skill_id = answer.headers["Location"].rpartition("/")[2]
        if skill_id not in self.ids:
            self.ids.append(skill_id)

    async def revise(self, which: int, **content: object) -> None:
        if self.ids:
            draft = make_draft(**{"error_type": None, **content})
            await self._try(self.recorder.revise(self.network, self._id(which), draft, Precondition(None)))

    async def retire(self, which: int) -> None:
        if self.ids:
            await self.recorder.retire(self.network, self._id(which), Precondition(None))

    async def report(self, which: int, success: bool, agent: str) -> None:
        if self.ids:
            await self._try(self.recorder.record_outcome(self.network, self._id(which), Report(success, agent, None)))

    async def follow(self) -> None:
        """Let the index come to the head."""
        while (page := await self.log.read(self.network.id, self.index.offset, limit=3)).events:
            for event in page.events:
                self.index.apply(event)
            await self.index.settle()

    async def restart(self) -> None:
        """Put a checkpoint of it in the index's place."""
        assert self.folder is not None
        assert self.index.place is not None
        await self.index.words.settle(1)
        made = self.folder.begin(self.index.place)
        self.folder.save(self.network, self.index.offset, made, self.index.sections())
        restored = await self.database.read(partial(read_index, network=self.network, folder=self.folder))
        assert restored.kept.offset == self.index.offset
        self.told[0] = restored

    async def rebuilt(self) -> SkillIndex:
        """An index made from the rows as they are now."""
        return await self.database.read(partial(make_index, network=self.network, folder=None))

    def _id(self, which: int) -> str:
        return self.ids[which % len(self.ids)]

    async def _try(self, change: Awaitable[object]) -> None:
        with suppress(CINError):  # a retired skill is not changed, and a content that is taken is refused
            await change


async def begin(database: Database, commits: GroupCommit, name: str, folder: IndexFolder | None = None) -> History:
    """A history in a network of its own."""
    network = await open_network(database, name)
    log = EventLog(database, LocalNotifier(), poll_seconds=1)
    told: list[SkillIndex] = []

    def count(_: Network, skills: Sequence[SkillRow]) -> None:
        for skill in skills:
            told[0].count(skill)

    recorder = Recorder(commits, log, count, Metrics())
    told.append(await database.read(partial(make_index, network=network, folder=folder)))
    return History(database, network, log, recorder, told, folder)


def matched(index: SkillIndex, message: str, limit: int = 20) -> bytes:
    """The answer to a match."""
    question = MatchQuestion(message, None, limit)
    found = index.patterns.find(question.log)
    standing = find_matches(index, question, found, index.words.plan(question.telling, WORDS, 4_000))
    return as_json(standing.matches).body


def searched(index: SkillIndex, words: str) -> list[tuple[float, str]]:
    """Scores and ids of what has some of the words, best first."""
    found = index.words.best(index.words.plan(words, 16, 20_000), 100)
    known = [(each.score, index.get(each.slot)) for each in found]
    return [(score, skill.document["id"]) for score, skill in known if skill is not None]
