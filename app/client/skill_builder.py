"""An agent's own skills and those of others, behind five plain methods."""

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from uuid import uuid4

import msgspec

from app.client.calls import PAGE_SKILLS, SkillFields, given
from app.client.errors import CINError, NotFound
from app.client.memory import MOST_SKILLS, Memory
from app.client.shared_state import SharedStateClient
from app.client.values import Captured, Event, Reset, Skill

log = logging.getLogger("app.client")

_OURS = "own-"
"""What the ids of skills begin with that the network does not have."""


class SkillBuilder:
    """Captures what an agent learns, and finds what was learned: alone, or with all agents of a network.

        builder = SkillBuilder()
        builder.shared_state = SharedStateClient("ws://localhost:8005")
        builder.shared_state.register_capability("skill_broadcast")

    Alone it works in memory. With a `shared_state` it also sends what is captured, learns what others capture, and asks
    the server for what it does not know; the client stays the caller's to close. While the server is away it goes on
    with what it knows. At most `most_skills` are known, those learned last.
    """

    def __init__(self, shared_state: SharedStateClient | None = None, *, most_skills: int = MOST_SKILLS) -> None:
        self._memory = Memory(most_skills)
        self._most_skills = most_skills
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(("captured", "learned", "found", "asked", "applied", "successes", "failures"), 0)
        self._sent: dict[str, Future[Captured]] = {}  # by the id that a skill has here until the network has it
        self._shared_state: SharedStateClient | None = None
        self.shared_state = shared_state

    @property
    def shared_state(self) -> SharedStateClient | None:
        """The network. It can be set at any time, to another one or to None; what is known stays known."""
        return self._shared_state

    @shared_state.setter
    def shared_state(self, shared_state: SharedStateClient | None) -> None:
        former, self._shared_state = self._shared_state, shared_state
        if former is not None:
            former.remove(self._learn)
            former.remove(self._forget)
        if shared_state is not None:
            shared_state.on_reset(self._forget)
            shared_state.on_skill(self._learn)

    def capture_error_resolution(
        self,
        error_type: str | None,
        error_msg: str,
        resolution: str,
        context: str | Mapping[str, object] | None = None,
        *,
        timeout: float = 2.0,
    ) -> Skill:
        """Write down what resolves an error; `context` is text, or a mapping that becomes the skill's metadata.

        With a shared state it is the network's skill that is returned, if the server is there and answers within
        `timeout` seconds. Else it is ours for now, and sent when the server is back; its id can be used all the same.
        Raises what the server refuses, and `OutboxFull`.
        """
        fields = SkillFields(error_type=error_type, pattern=error_msg, resolution=resolution)
        if isinstance(context, str):
            fields["context"] = context or None
        else:
            fields["metadata"] = context or None
        self._count("captured")
        shared = self._shared_state
        if shared is None:
            return self._keep(fields)
        answer = shared.capture_later(**fields)
        if shared.is_reachable() and shared.wait(answer, timeout):
            skill = answer.result().skill
            self._memory.learn(skill)
            return skill
        skill = self._keep(fields)
        self._sent[skill.id] = answer
        if len(self._sent) > self._most_skills:
            del self._sent[next(iter(self._sent))]
        answer.add_done_callback(partial(self._replace, skill.id))
        return skill

    def find_matching_skill(self, error_type: str | None, error_msg: str) -> Skill | None:
        """The skill that fits an error best, from memory, else from the server if it is there; None if there is none."""
        skill = self._memory.find(error_msg, error_type) or self._ask(error_type, error_msg)
        if skill is not None:
            self._count("found")
        return skill

    def apply_skill(self, skill_id: str, success: bool) -> Skill | None:
        """Tell whether a skill helped; the network is told too, at once or when the server is back.

        Returns the skill with its figures as far as they are known here, None if there is no such skill.
        """
        self._count("applied")
        self._count("successes" if success else "failures")
        shared, told = self._shared_state, None
        answer = self._sent.get(skill_id)
        if answer is not None and answer.done() and answer.exception() is None:
            skill_id, answer = answer.result().skill.id, None
        if shared is not None and answer is not None:
            answer.add_done_callback(partial(_tell_of, shared, success))
        elif shared is not None and not _is_ours(skill_id):
            try:
                told = shared.outcome(skill_id, success)
            except NotFound:
                self._memory.forget(skill_id)
                return None
        known = self._memory.get(skill_id)
        skill = told or (_used(known, success) if known is not None else None)
        if skill is not None:
            self._memory.learn(skill)
        return skill

    def get_top_skills(self, limit: int = 10) -> list[Skill]:
        """The skills that can be trusted most: by confidence, share of successes, and use.

        Of those known here; if these are too few, the server is asked for more.
        """
        shared = self._shared_state
        if len(self._memory) < limit and shared is not None and shared.is_reachable():
            try:
                for skill in shared.client.page(sort="confidence", limit=min(limit, PAGE_SKILLS)).skills:
                    self._take(skill)
            except CINError as error:
                log.warning("The server could not be asked for its best skills: %s", error)
        return sorted(self._memory.all(), key=_trust, reverse=True)[:limit]

    def get_stats(self) -> dict[str, int]:
        """Numbers of this builder.

        `skills` known now. Since it was made: `captured` here, `learned` from the network's events (ours come too),
        `found` in memory or by the server, `asked` of the server, `applied`, `successes`, `failures`. `kept` until the
        server is back; `connected` 0 or 1.
        """
        shared = self._shared_state
        with self._lock:
            counts = dict(self._counts)
        return {
            "skills": len(self._memory),
            **counts,
            "kept": 0 if shared is None else shared.kept,
            "connected": int(shared is not None and shared.connected),
        }

    def _keep(self, fields: SkillFields) -> Skill:
        """A skill of ours; the same one again is not a second one."""
        skill = msgspec.convert(given(fields) | {"id": f"{_OURS}{uuid4()}", "name": "not-sent-yet"}, Skill)
        for known in self._memory.all():
            if _is_ours(known.id) and _content(known) == _content(skill):
                skill = msgspec.structs.replace(known, captures=known.captures + 1)
                break
        self._memory.learn(skill)
        return skill

    def _replace(self, own_id: str, answer: Future[Captured]) -> None:
        """The network has it: its skill stands for ours."""
        if answer.exception() is None:
            self._memory.forget(own_id)
            self._take(answer.result().skill)

    def _learn(self, event: Event) -> None:
        if event.type == "skill.retired":
            self._memory.forget(event.skill.id)
        else:
            self._count("learned")
            self._take(event.skill)

    def _take(self, skill: Skill) -> None:
        """Learn it, unless we know as much: an event that comes late carries older figures."""
        known = self._memory.get(skill.id)
        if known is None or known.version < skill.version:
            self._memory.learn(skill)

    def _forget(self, reset: Reset) -> None:
        """What was missed may have revised or retired what we know: the server is asked again instead."""
        for skill in self._memory.all():
            if not _is_ours(skill.id):
                self._memory.forget(skill.id)

    def _ask(self, error_type: str | None, error_msg: str) -> Skill | None:
        shared = self._shared_state
        if shared is None or not shared.is_reachable():
            return None
        self._count("asked")
        try:
            matches = shared.match(error_msg, error_type=error_type, limit=1).matches
        except CINError as error:
            log.warning("The server could not be asked for a skill: %s", error)
            return None
        if not matches:
            return None
        self._memory.learn(matches[0].skill)
        return matches[0].skill

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1


def _tell_of(shared: SharedStateClient, success: bool, answer: Future[Captured]) -> None:
    """The outcome of a skill that was not the network's yet, now that it is."""
    if answer.exception() is None:
        try:
            shared.outcome(answer.result().skill.id, success)
        except CINError as error:
            log.warning("An outcome was not told: %s", error)


def _is_ours(skill_id: str) -> bool:
    return skill_id.startswith(_OURS)


def _content(skill: Skill) -> tuple[str | None, ...]:
    """What makes two captures the same skill: white space does not count."""
    return tuple(text and " ".join(text.split()) for text in (skill.error_type, skill.pattern, skill.resolution))


def _used(skill: Skill, success: bool) -> Skill:
    successes = skill.success_count + success
    uses = skill.usage_count + 1
    return msgspec.structs.replace(
        skill,
        usage_count=uses,
        success_count=successes,
        failure_count=skill.failure_count + (not success),
        success_rate=successes / uses,
    )


def _trust(skill: Skill) -> tuple[float, float, int]:
    return skill.confidence, 0.5 if skill.success_rate is None else skill.success_rate, skill.usage_count
