"""The transaction in which captures are written: all that wait, from however many callers, as one set.

Known skills are found with one query, new ones written with one statement a table, so a group of captures costs hardly
more than one. Answers are decided in the order in which the captures came.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import cast

import uuid_utils

from app.capture.answer import Captured
from app.capture.draft import Draft
from app.errors import CINError, SkillConflict
from app.eventlog.events import LoggedEvent
from app.eventlog.log import EventLog
from app.eventlog.network import Network
from app.models import EventType
from app.models.position import Position
from app.models.types import now
from app.skills.confidence import confidence
from app.skills.document import SkillRow, event_json, skill_json
from app.storage import skill_store
from app.storage.database import Transaction


def write_captures(
    tx: Transaction, log: EventLog, network: Network, drafts: Sequence[Draft]
) -> list[Captured | CINError]:
    """Capture `drafts`: each makes a skill, or counts as one more capture of the one that says the same."""
    marks = list(dict.fromkeys(draft.fingerprint for draft in drafts))
    names = list(dict.fromkeys(name for draft in drafts for name in (draft.content["name"], *draft.names) if name))
    found = skill_store.find_taken(tx.connection, network.id, marks, names)
    skills = skill_store.get_skills(tx.connection, {found.fingerprints[m] for m in marks if m in found.fingerprints})
    known = {skill["fingerprint"]: skill for skill in skills.values()}
    taken = set(found.names)
    present = now()
    fresh: dict[str, SkillRow] = {}
    more: Counter[str] = Counter()
    answers: list[Captured | CINError] = []
    for draft in drafts:
        skill = known.get(draft.fingerprint) or fresh.get(draft.fingerprint)
        if skill is not None:
            more[draft.fingerprint] += 1
            captures = skill["captures"] + more[draft.fingerprint]
            answers.append(Captured(False, cast(SkillRow, {**skill, "captures": captures})))
            continue
        name = _choose_name(draft, taken)
        if isinstance(name, CINError):
            answers.append(name)
            continue
        taken.add(name)
        fresh[draft.fingerprint] = skill = _new_skill(draft, name, network, present)
        answers.append(Captured(True, skill))
    documents = _append(tx, log, network, list(fresh.values()))
    counted = log.count(tx, network.id) if more else 0
    for answer in answers:
        if isinstance(answer, Captured) and not answer.created:
            answer.skill["counted"] = counted
    if fresh:
        skill_store.insert_skills(
            tx.connection,
            [
                cast(SkillRow, {**skill, "captures": 1 + more[mark], "counted": counted if more[mark] else 0})
                for mark, skill in fresh.items()
            ],
        )
    if recaptured := {known[mark]["id"]: count for mark, count in more.items() if mark in known}:
        skill_store.add_captures(tx.connection, recaptured, counted)
    return [_finish(answer, fresh, documents) for answer in answers]


def make_event(
    type: EventType,
    skill: SkillRow,
    network: Network,
    at: str,
    documents: dict[str, bytes],
    offset: int,
    *,
    before: SkillRow | None = None,
) -> LoggedEvent:
    """The event that says what became of `skill`, which is given its place in the log; its JSON is kept in `documents`.

    It is for those who listen to the tags and the error type that the skill has, and to those it had `before`: they know
    it, and must hear of it.
    """
    skill["offset"] = offset
    document = documents[skill["id"]] = skill_json(skill, network.label)
    data = event_json(Position(network.epoch, offset), type, at, document)
    tags = frozenset((*skill["tags"], *(before["tags"] if before else ())))
    error_type_before = before["error_type"] if before else None
    return LoggedEvent(offset, type, at, skill["id"], skill["error_type"], tags, data.decode(), error_type_before)


def _append(tx: Transaction, log: EventLog, network: Network, skills: Sequence[SkillRow]) -> dict[str, bytes]:
    documents: dict[str, bytes] = {}
    log.append(
        tx,
        network.id,
        [partial(make_event, "skill.captured", skill, network, skill["created_at"], documents) for skill in skills],
    )
    return documents


def _finish(
    answer: Captured | CINError, fresh: dict[str, SkillRow], documents: dict[str, bytes]
) -> Captured | CINError:
    """The answer with what only the log could give: the offset, also for those who captured a skill made just before."""
    if isinstance(answer, CINError):
        return answer
    if answer.created:
        return Captured(True, answer.skill, documents[answer.skill["id"]])
    made = fresh.get(answer.skill["fingerprint"])
    if made is not None:
        answer.skill["offset"] = made["offset"]
    return answer


def _choose_name(draft: Draft, taken: set[str]) -> str | SkillConflict:
    asked = draft.content["name"]
    if asked:
        if asked in taken:
            return SkillConflict(
                f"Another skill is named `{asked}`. Choose another name, or leave it out to be given one."
            )
        return asked
    # The second name ends in the fingerprint. Should somebody have chosen just that, one without meaning is free.
    return next((name for name in draft.names if name not in taken), f"skill-{uuid_utils.uuid7().hex}")


def _new_skill(draft: Draft, name: str, network: Network, present: str) -> SkillRow:
    return {
        **draft.content,
        "name": name,
        "id": str(uuid_utils.uuid7()),
        "network_id": network.id,
        "fingerprint": draft.fingerprint,
        "version": 1,
        "status": "active",
        "captured_by": draft.agent,
        "captures": 1,
        "usage_count": 0,
        "success_count": 0,
        "failure_count": 0,
        "votes_for": 0,
        "votes_against": 0,
        "confidence": confidence(0, 0),
        "offset": 0,
        "counted": 0,
        "created_at": present,
        "updated_at": present,
    }
