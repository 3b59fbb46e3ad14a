"""Every hot statement seeks: it uses the index made for it, with SQLite's own statistics and without them.

The statements are those that the program sends; nothing here is a copy of its SQL.
"""

from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.eventlog.log import EventLog
from app.eventlog.notifier import LocalNotifier
from app.eventlog.retention import Retention, RetentionRule
from tests.factories import make_skill
from tests.inside import Inside, run
from tests.plans.planning import Plan, Planner, analysed, seed

FILTERS: list[dict[str, Any]] = [
    {},
    {"error_type": "E3"},
    {"agent": "a3"},
    {"tag": "t3"},
    {"tag": ["t3", "u4"]},
    {"error_type": "E3", "agent": "a3"},
    {"error_type": "E3", "tag": "t3"},
    {"agent": "a3", "tag": "t3"},
    {"error_type": "E3", "agent": "a3", "tag": ["t3", "u4"]},
]
SORTS = {"newest": "ix_skill_newest", "usage": "ix_skill_usage", "confidence": "ix_skill_confidence"}

Doing = Callable[[Inside], Coroutine[Any, Any, object]]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plans")
    run(seed(folder))
    return folder / "cin.db"


@pytest.fixture(scope="module", params=["without statistics", "analysed"])
def planner(
    seeded: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Planner]:
    file = analysed(seeded, tmp_path_factory.mktemp("copy")) if request.param == "analysed" else seeded
    with Planner(file) as planner:
        yield planner


@pytest.fixture(scope="module")
def skill_id(planner: Planner) -> str:
    """A skill that is there, with two tags."""
    answer = planner.run(planner.cin.client.get("/skills", params={"tag": "t3", "limit": 1}))
    return str(answer.json()["skills"][0]["id"])


def one(plans: list[Plan]) -> Plan:
    """The only statement that was sent."""
    (plan,) = plans
    return plan


def log_of(cin: Inside) -> EventLog:
    return EventLog(cin.parts.database, LocalNotifier(), poll_seconds=60)


# The log


def test_log_is_read_from_an_offset_by_its_key(planner: Planner) -> None:
    plan = one(planner.plans(lambda cin: log_of(cin).read(cin.parts.network.id, 2_900), of="event"))
    assert plan.steps == ["SEARCH event USING INDEX sqlite_autoindex_event_1 (network_id=? AND offset>?)"]


def test_log_is_read_by_kind_by_the_index_on_kinds(planner: Planner) -> None:
    types = frozenset({"skill.revised"})
    plan = one(planner.plans(lambda cin: log_of(cin).read(cin.parts.network.id, 2_900, types=types), of="event"))
    assert plan.steps == ["SEARCH event USING INDEX ix_event_type (network_id=? AND type=? AND offset>?)"]


@pytest.mark.parametrize(
    "types", [{"skill.revised", "skill.captured"}, {"skill.revised", "skill.captured", "skill.retired"}], ids=len
)
def test_log_is_read_by_several_kinds_without_sorting_it(planner: Planner, types: set[str]) -> None:
    read: Doing = lambda cin: log_of(cin).read(cin.parts.network.id, 2_900, types=frozenset(types))  # noqa: E731
    plan = one(planner.plans(read, of="event"))
    assert "offset>?" in plan.steps[0]
    assert not plan.sorts, plan


def test_bounds_of_the_log_are_one_row_by_key(planner: Planner) -> None:
    plan = one(planner.plans(lambda cin: log_of(cin).bounds(cin.parts.network.id)))
    assert plan.steps == ["SEARCH network USING INTEGER PRIMARY KEY (rowid=?)"]


def trimmed(planner: Planner, of: str) -> list[Plan]:
    def trim(cin: Inside) -> Coroutine[Any, Any, object]:
        parts = cin.parts
        rule = RetentionRule(timedelta(0), 2_990)
        return Retention(parts.database, rule, parts.metrics, interval_seconds=60).trim(parts.network.id)

    return planner.plans(trim, of=of)


def test_events_before_a_moment_are_found_by_the_index_on_time(planner: Planner) -> None:
    plan = next(plan for plan in trimmed(planner, "event") if plan.sql.startswith("SELECT"))
    assert plan.uses("ix_event_at")
    assert "at<?" in plan.steps[0]
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan.steps


def test_events_are_trimmed_by_their_key(planner: Planner) -> None:
    planner.run(planner.cin.capture(make_skill()))
    plan = next(plan for plan in trimmed(planner, "event") if plan.sql.startswith("DELETE"))
    assert plan.steps == ["SEARCH event USING INDEX sqlite_autoindex_event_1 (network_id=? AND offset<?)"]


# Captures


@pytest.mark.parametrize("number", [1, 30])
def test_taken_content_and_names_are_found_by_both_unique_indexes(planner: Planner, number: int) -> None:
    batch: Doing = lambda cin: cin.client.post("/skills/batch", json=[make_skill() for _ in range(number)])  # noqa: E731
    plan = one(planner.plans(batch, of="skill"))
    assert [step for step in plan.steps if step.startswith(("SEARCH", "SCAN"))] == [
        "SEARCH skill USING INDEX uq_skill_fingerprint (network_id=? AND fingerprint=?)",
        "SEARCH skill USING INDEX uq_skill_name (network_id=? AND name=?)",
    ]


def test_known_skill_is_read_and_counted_by_key(planner: Planner) -> None:
    body = make_skill()
    planner.run(planner.cin.capture(body))
    _, read, counted = planner.plans(lambda cin: cin.client.post("/skills", json=body), of="skill")
    assert read.steps == counted.steps == ["SEARCH skill USING INDEX sqlite_autoindex_skill_1 (id=?)"]


def test_idempotency_key_is_looked_up_by_key(planner: Planner) -> None:
    capture: Doing = lambda cin: cin.client.post("/skills", json=make_skill(), headers={"Idempotency-Key": "k"})  # noqa: E731
    for plan in planner.plans(capture, of="idempotency_key"):
        assert plan.steps == [
            "SEARCH idempotency_key USING INDEX sqlite_autoindex_idempotency_key_1 (network_id=? AND key=?)"
        ]


def test_old_idempotency_keys_are_found_by_time_and_removed_by_key(planner: Planner) -> None:
    plan = one(trimmed(planner, "idempotency_key"))
    assert [step for step in plan.steps if step.startswith(("SEARCH", "SCAN"))] == [
        "SEARCH idempotency_key USING INDEX sqlite_autoindex_idempotency_key_1 (network_id=? AND key=?)",
        "SEARCH idempotency_key USING INDEX ix_idempotency_key_created_at (network_id=? AND created_at<?)",
    ]


def test_vote_is_found_by_key(planner: Planner, skill_id: str) -> None:
    report: Doing = lambda cin: cin.client.post(f"/skills/{skill_id}/outcomes", json={"success": True})  # noqa: E731
    for plan in planner.plans(report, of="vote"):
        assert plan.steps == [
            "SEARCH vote USING INDEX sqlite_autoindex_vote_1 (network_id=? AND skill_id=? AND agent=?)"
        ]


def test_revision_replaces_rows_by_key(planner: Planner) -> None:
    id = planner.run(planner.cin.capture(make_skill(tags=["t3", "u3"])))["id"]
    revise: Doing = lambda cin: cin.client.put(f"/skills/{id}", json=make_skill(), headers={"If-Match": "*"})  # noqa: E731
    tags = one(planner.plans(revise, of="skill_tag"))
    assert tags.steps == [
        "SEARCH skill_tag USING COVERING INDEX sqlite_autoindex_skill_tag_1 (network_id=? AND tag=? AND skill_id=?)"
    ] or tags.steps == [
        "SEARCH skill_tag USING INDEX sqlite_autoindex_skill_tag_1 (network_id=? AND tag=? AND skill_id=?)"
    ]


@pytest.mark.parametrize("change", ["revise", "retire", "outcome"])
def test_change_of_a_skill_walks_through_no_table(planner: Planner, change: str) -> None:
    id = planner.run(planner.cin.capture(make_skill(tags=["t3", "u3"])))["id"]
    changes: dict[str, Doing] = {
        "revise": lambda cin: cin.client.put(f"/skills/{id}", json=make_skill(), headers={"If-Match": "*"}),
        "retire": lambda cin: cin.client.delete(f"/skills/{id}"),
        "outcome": lambda cin: cin.client.post(f"/skills/{id}/outcomes", json={"success": True}),
    }
    plans = planner.plans(changes[change])
    assert plans
    for plan in plans:
        assert all(step.startswith("SEARCH") for step in plan.steps if " skill" in step), plan
        assert not plan.scanned, plan


# Lists


@pytest.mark.parametrize("page", ["first page", "next page"])
@pytest.mark.parametrize("query", FILTERS, ids=str)
@pytest.mark.parametrize("sort", SORTS)
def test_list_walks_an_index_and_never_the_table(planner: Planner, sort: str, query: dict[str, Any], page: str) -> None:
    asked = query | {"sort": sort, "limit": 3}
    if page == "next page":
        asked["cursor"] = planner.run(planner.cin.client.get("/skills", params=asked)).json()["next_cursor"]
        assert asked["cursor"]
    plan = one(planner.plans(lambda cin: cin.client.get("/skills", params=asked), of="skill"))
    assert not plan.scanned, plan
    assert plan.steps[0].startswith("SEARCH skill USING INDEX ix_skill_"), plan
    if not query or sort == "newest":
        assert not plan.sorts, plan
    if not query:
        assert plan.uses(SORTS[sort]), plan
        if page == "next page":
            assert "<" in plan.steps[0], plan  # it goes on where the cursor stands
    if "tag" in query:
        assert any("skill_tag USING COVERING INDEX" in step and "tag=?" in step for step in plan.steps), plan


def test_skill_is_read_by_key(planner: Planner, skill_id: str) -> None:
    plan = one(planner.plans(lambda cin: cin.client.get(f"/skills/{skill_id}")))
    assert plan.steps == ["SEARCH skill USING INDEX sqlite_autoindex_skill_1 (id=?)"]


@pytest.mark.parametrize(
    ("path", "key"),
    [("versions", "network_id=? AND skill_id=?"), ("versions/1", "network_id=? AND skill_id=? AND version=?")],
)
def test_versions_are_read_by_key_in_order(planner: Planner, skill_id: str, path: str, key: str) -> None:
    plan = one(planner.plans(lambda cin: cin.client.get(f"/skills/{skill_id}/{path}")))
    assert plan.steps == [f"SEARCH skill_version USING INDEX sqlite_autoindex_skill_version_1 ({key})"]


# Agents


def test_agents_are_listed_by_key_in_order(planner: Planner) -> None:
    plan = one(planner.plans(lambda cin: cin.client.get("/agents"), of="agent"))
    assert plan.steps == ["SEARCH agent USING INDEX sqlite_autoindex_agent_1 (network_id=?)"]


def test_agent_acknowledges_by_key(planner: Planner) -> None:
    position = str(planner.cin.parts.hub.bounds.position(1))
    acknowledge: Doing = lambda cin: cin.client.put("/agents/agent-3/position", json={"position": position})  # noqa: E731
    plans = planner.plans(acknowledge, of="agent")
    assert plans
    for plan in plans:
        assert plan.steps == ["SEARCH agent USING INDEX sqlite_autoindex_agent_1 (network_id=? AND name=?)"]


def test_delivery_reads_the_agents_of_its_network_in_order(planner: Planner, skill_id: str) -> None:
    plan = one(planner.plans(lambda cin: cin.client.get(f"/skills/{skill_id}/delivery"), of="agent"))
    assert plan.steps == ["SEARCH agent USING INDEX sqlite_autoindex_agent_1 (network_id=?)"]
