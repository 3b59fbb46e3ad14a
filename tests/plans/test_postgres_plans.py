"""What the program asks often walks an index on PostgreSQL too, with its statistics."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest

from app.eventlog.log import EventLog
from app.eventlog.notifier import LocalNotifier
from app.eventlog.retention import Retention, RetentionRule
from tests.factories import make_skill
from tests.inside import Inside, application
from tests.plans.planning import recorded, seed, settle
from tests.plans.test_query_plans import FILTERS, SORTS
from tests.postgres import Postgres
from tests.storage.test_postgres import name_of

Doing = Callable[[Inside], Coroutine[Any, Any, object]]


class Planner:
    """A running application on a seeded database. What it sends while a test does something is explained."""

    def __init__(self, cin: Inside, runner: asyncio.Runner, url: str) -> None:
        self.cin = cin
        self.run = runner.run
        self._url = url

    def plans(self, doing: Doing) -> list[str]:
        with recorded() as statements:
            self.run(doing(self.cin))
        with psycopg.connect(self._url, autocommit=True) as connection:
            return [
                "\n".join([sql, *(row[0] for row in connection.execute(f"EXPLAIN {sql}".encode(), values or None))])
                for sql, values in statements
                if sql.startswith(("SELECT", "UPDATE", "DELETE")) and "set_config" not in sql
            ]


@pytest.fixture(scope="module")
def planner(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planner]:
    folder, url = tmp_path_factory.mktemp("plans"), postgres.new()
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        runner.run(seed(folder, database_url=url))
        postgres.execute("ANALYZE", database=name_of(url))
        cin = runner.run(stack.enter_async_context(application(folder, database_url=url, poll_seconds=3_600)))
        runner.run(settle(cin))
        try:
            yield Planner(cin, runner, url)
        finally:
            runner.run(stack.aclose())


def walks_no_table(plan: str) -> bool:
    """Not those that are a page or two, which PostgreSQL reads as a whole whatever indexes there are."""
    return not any(f"Seq Scan on {table}" in plan for table in ("event", "skill", "skill_tag", "skill_version"))


@pytest.mark.parametrize("query", FILTERS, ids=str)
@pytest.mark.parametrize("sort", SORTS)
def test_list_walks_an_index_and_never_the_table(planner: Planner, sort: str, query: dict[str, Any]) -> None:
    asked = query | {"sort": sort, "limit": 3}
    other = asked | {"limit": 2}  # what has been asked before is not read again
    cursor = planner.run(planner.cin.client.get("/skills", params=other)).json()["next_cursor"]
    for page in (asked, asked | {"cursor": cursor}):
        listed: Doing = partial(lambda page, cin: cin.client.get("/skills", params=page), page)
        (plan,) = [found for found in planner.plans(listed) if "FROM skill" in found]
        assert walks_no_table(plan), plan
        if not query:
            assert f"using {SORTS[sort]}" in plan or (sort == "newest" and "Backward using pk_skill" in plan), plan
            assert "Sort" not in plan, plan


def test_log_is_read_from_an_offset_by_its_key(planner: Planner) -> None:
    log = EventLog(planner.cin.parts.database, LocalNotifier(), poll_seconds=60)
    (plan,) = [p for p in planner.plans(lambda cin: log.read(cin.parts.network.id, 2_900)) if "FROM event" in p]
    assert "pk_event" in plan, plan


def test_trimming_seeks(planner: Planner) -> None:
    def trim(cin: Inside) -> Coroutine[Any, Any, object]:
        parts = cin.parts
        rule = RetentionRule(timedelta(0), 2_990)
        return Retention(parts.database, rule, parts.metrics, interval_seconds=60).trim(parts.network.id)

    plans = planner.plans(trim)
    assert plans
    assert [plan for plan in plans if not walks_no_table(plan)] == []


@pytest.mark.parametrize("change", ["capture", "capture again", "revise", "retire", "outcome", "versions", "delivery"])
def test_change_of_a_skill_walks_through_no_table(planner: Planner, change: str) -> None:
    body = make_skill(tags=["t3", "u3"])
    id = planner.run(planner.cin.capture(body))["id"]
    changes: dict[str, Doing] = {
        "capture": lambda cin: cin.client.post("/skills", json=make_skill(), headers={"Idempotency-Key": "k"}),
        "capture again": lambda cin: cin.client.post("/skills", json=body),
        "revise": lambda cin: cin.client.put(f"/skills/{id}", json=make_skill(), headers={"If-Match": "*"}),
        "retire": lambda cin: cin.client.delete(f"/skills/{id}"),
        "outcome": lambda cin: cin.client.post(f"/skills/{id}/outcomes", json={"success": True}),
        "versions": lambda cin: cin.client.get(f"/skills/{id}/versions"),
        "delivery": lambda cin: cin.client.get(f"/skills/{id}/delivery"),
    }
    plans = planner.plans(changes[change])
    assert plans
    assert [plan for plan in plans if not walks_no_table(plan)] == []
