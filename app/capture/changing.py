"""The transactions that change a skill that is there: a new version, its retirement, an outcome."""

from dataclasses import dataclass
from functools import partial
from typing import cast

import sqlalchemy as sa

from app.capture.draft import Draft
from app.capture.writing import make_event
from app.errors import SkillConflict, SkillNotFound, SkillRetired, VersionStale
from app.eventlog.log import EventLog
from app.eventlog.network import Network
from app.models import EventType
from app.models.types import now
from app.skills.confidence import confidence
from app.skills.document import SkillRow
from app.storage import skill_store
from app.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class Precondition:
    """`If-Match`: the versions that may be changed; None for any."""

    versions: frozenset[int] | None

    def check(self, skill: SkillRow) -> None:
        """Raises `VersionStale`."""
        if self.versions is not None and skill["version"] not in self.versions:
            raise VersionStale(
                f"The skill is at version {skill['version']} now. Read it again, and send If-Match with that version."
            )


@dataclass(frozen=True, slots=True)
class Report:
    """An outcome, by whom."""

    success: bool
    agent: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class Changed:
    """A skill after a change, and its JSON if the log has it."""

    skill: SkillRow
    document: bytes | None


def revise(
    tx: Transaction, log: EventLog, network: Network, skill_id: str, draft: Draft, precondition: Precondition
) -> Changed:
    """Give a skill new content, as a new version."""
    skill = _get(tx, network, skill_id)
    if skill["status"] == "retired":
        raise SkillRetired("The skill is retired and cannot be changed. Capture it again to have it back.")
    precondition.check(skill)
    name = draft.content["name"] or skill["name"]
    _check_free(tx, network, skill_id, name, draft.fingerprint)
    revised: SkillRow = {
        **skill,
        **draft.content,
        "name": name,
        "fingerprint": draft.fingerprint,
        "version": skill["version"] + 1,
        "updated_at": now(),
    }
    changed = _append(tx, log, network, "skill.revised", revised, before=skill)
    skill_store.replace_skill(tx.connection, skill, changed.skill, author=draft.agent)
    return changed


def retire(tx: Transaction, log: EventLog, network: Network, skill_id: str, precondition: Precondition) -> Changed:
    """Take a skill out of use. A second time changes nothing."""
    skill = _get(tx, network, skill_id)
    if skill["status"] == "retired":
        return Changed(skill, None)
    precondition.check(skill)
    changed = _append(
        tx, log, network, "skill.retired", cast(SkillRow, {**skill, "status": "retired", "updated_at": now()})
    )
    skill_store.update_skill(tx.connection, changed.skill)
    return changed


def record_outcome(tx: Transaction, log: EventLog, network: Network, skill_id: str, report: Report) -> Changed:
    """Count a success or a failure, and let the agent's one vote say the same."""
    skill = _get(tx, network, skill_id)
    if skill["status"] == "retired":
        raise SkillRetired("The skill is retired; outcomes are counted for skills in use only.")
    before = skill_store.cast_vote(tx.connection, network.id, skill_id, report.agent, report.success)
    votes_for = skill["votes_for"] + report.success - (before is True)
    votes_against = skill["votes_against"] + (not report.success) - (before is False)
    present = now()
    tx.connection.execute(
        sa.insert(skill_store.OUTCOME),
        {
            "network_id": network.id,
            "skill_id": skill_id,
            "version": skill["version"],
            "agent": report.agent,
            "success": report.success,
            "detail": report.detail,
            "created_at": present,
        },
    )
    counted: SkillRow = {
        **skill,
        "usage_count": skill["usage_count"] + 1,
        "success_count": skill["success_count"] + report.success,
        "failure_count": skill["failure_count"] + (not report.success),
        "votes_for": votes_for,
        "votes_against": votes_against,
        "confidence": confidence(votes_for, votes_against),
        "updated_at": present,
        "counted": log.count(tx, network.id),
    }
    skill_store.update_skill(tx.connection, counted)
    return Changed(counted, None)


def _get(tx: Transaction, network: Network, skill_id: str) -> SkillRow:
    skill = skill_store.get_skill(tx.connection, network.id, skill_id, for_update=True)
    if skill is None:
        raise SkillNotFound(f"No skill has the id `{skill_id}`. Ids come from captures, lists and the stream.")
    return skill


def _check_free(tx: Transaction, network: Network, skill_id: str, name: str, fingerprint: str) -> None:
    taken = skill_store.find_taken(tx.connection, network.id, [fingerprint], [name])
    same = taken.fingerprints.get(fingerprint, skill_id)
    if same != skill_id:
        raise SkillConflict(f"The skill {same} says just that already. Retire one of the two.")
    if taken.names.get(name, skill_id) != skill_id:
        raise SkillConflict(
            f"Another skill is named `{name}`. Choose another, or leave it out to keep the present one."
        )


def _append(
    tx: Transaction,
    log: EventLog,
    network: Network,
    type: EventType,
    skill: SkillRow,
    before: SkillRow | None = None,
) -> Changed:
    documents: dict[str, bytes] = {}
    make = partial(make_event, type, skill, network, skill["updated_at"], documents, before=before)
    log.append(tx, network.id, [make])
    return Changed(skill, documents[skill["id"]])
