"""What the server answers, as frozen values.

Fields that a newer server adds are ignored; times are UTC ISO 8601 strings, as on the wire.
"""

import msgspec

from app.client.errors import Problem


class Skill(msgspec.Struct, frozen=True, kw_only=True):
    """Something an agent learned: when you see `error_type`, `pattern`, `description`, do `resolution`.

    `success_rate` is 0 to 1 and None before the first use; `confidence` is 0 to 1 and 0.5 before it.
    """

    id: str
    name: str
    resolution: str
    network: str = "default"
    description: str | None = None
    error_type: str | None = None
    pattern: str | None = None
    context: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, object] = {}
    version: int = 1
    status: str = "active"
    captured_by: str = "anonymous"
    captures: int = 1
    usage_count: int = 0
    success_count: int = 0
    failure_count: int = 0
    success_rate: float | None = None
    confidence: float = 0.5
    position: str | None = None
    created_at: str = ""
    updated_at: str = ""


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a capture: `created` is False when the network knew the skill already."""

    created: bool
    skill: Skill
    position: str | None


class BatchItem(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one skill of a batch: 201 captured, 200 known, else `problem` says why not."""

    status: int
    id: str | None = None
    position: str | None = None
    problem: Problem | None = None


class BatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch; `results` stand in the order in which the skills were given."""

    created: int
    known: int
    failed: int
    results: tuple[BatchItem, ...]


class SkillPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list; `next_cursor` is None on the last one, `position` is the head it was read at."""

    skills: tuple[Skill, ...]
    next_cursor: str | None = None
    position: str | None = None


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a message, in characters: the text is `message[start:end]`, and it begins on `line`, counted from 1."""

    line: int
    start: int
    end: int


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A skill that fixes a message, and why the server thinks so.

    `kind` is `exact` (its pattern stands in the message), `masked` (it does once what varies is masked on both sides) or
    `similar` (by words). `score` is 0 to 1; `matched` is the text at `span`; `why` holds sentences for people.
    """

    skill: Skill
    kind: str
    score: float
    span: Span | None = None
    matched: str | None = None
    why: tuple[str, ...] = ()


class MatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a match, best first, and empty when nothing was found; `position` is the head it was read at."""

    matches: tuple[Match, ...]
    position: str | None = None


class SkillVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A skill's text as it stood in one version; a version never changes."""

    version: int
    resolution: str
    name: str | None = None
    description: str | None = None
    error_type: str | None = None
    pattern: str | None = None
    context: str | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, object] = {}
    status: str | None = None
    captured_by: str | None = None
    position: str | None = None
    created_at: str | None = None


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as the server sees it; `lag` is the number of events it has not acknowledged."""

    name: str
    capabilities: tuple[str, ...] = ()
    connections: int = 0
    acknowledged: str | None = None
    lag: int | None = None
    last_seen_at: str | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How far a skill has travelled: `complete` once each of the `agents` has acknowledged it."""

    position: str | None
    agents: int
    delivered: int
    pending: tuple[str, ...]
    complete: bool


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the network's log: `skill.captured`, `skill.revised` or `skill.retired`."""

    id: str
    offset: int
    type: str
    at: str
    skill: Skill


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """The position asked for cannot be served, so events may have been missed; the stream goes on from `head`.

    `reason` is `expired` (older than `earliest`), `epoch` (another life of the log) or `ahead` (beyond the head).
    """

    reason: str
    earliest: str | None
    head: str


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The first block of every stream: whose log it is, and from where to where it reaches."""

    network: str
    epoch: str
    head: str
    earliest: str | None = None
    mode: str = "live"
