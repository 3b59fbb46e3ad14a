"""What a network of two agents does with the database that the seed system left behind, and the seed's own four tests."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from app.client import Client, Event
from tests.cli.running import Cin
from tests.server import Server, wait_until

AGENTS = ("alice", "bob")
DIFFERENT = json.loads((Path(__file__).parents[1] / "data" / "seed_skills.json").read_text())


class Imported(NamedTuple):
    """A server that imported the seed's skills while two agents watched, and what each of them printed."""

    server: Server
    cin: Cin
    file: Path
    watched: dict[str, list[dict[str, Any]]]


def seed_entries() -> list[dict[str, Any]]:
    """The seed's 1,166 entries: 20 different ones in the order of their first appearance, each as often as it was there."""
    most = max(each["times"] for each in DIFFERENT)
    entries = [each["entry"] for repeat in range(most) for each in DIFFERENT if repeat < each["times"]]
    return [{"id": number, **entry} for number, entry in enumerate(entries, 1)]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imported]:
    folder = tmp_path_factory.mktemp("seed")
    file = folder / "skills_database.json"
    file.write_text(json.dumps({"skills": seed_entries(), "stats": {"total_errors_handled": 1165, "auto_resolved": 1}}))
    with Server(folder) as server:
        cin = Cin(folder, server.url)
        try:
            watching = {agent: cin.start("watch", "--json", "--agent", agent, "--count", "20") for agent in AGENTS}
            wait_until(lambda: server.metric("cin_streams") == len(AGENTS), what="both watch")
            assert cin("import", str(file)).returncode == 0
            printed = {agent: process.communicate(timeout=30)[0].splitlines() for agent, process in watching.items()}
            watched = {agent: [json.loads(line) for line in lines] for agent, lines in printed.items()}
            yield Imported(server, cin, file, watched)
        finally:
            cin.end()


def test_the_seeds_entries_become_twenty_skills(imported: Imported) -> None:
    skills = all_skills(imported.server)
    assert len(seed_entries()) == 1_166
    assert {skill["pattern"]: skill["captures"] for skill in skills} == {
        each["entry"]["pattern"]: each["times"] for each in DIFFERENT
    }


def test_both_agents_watch_twenty_events_in_order(imported: Imported) -> None:
    alice, bob = (imported.watched[agent] for agent in AGENTS)
    assert alice == bob
    assert [event["offset"] for event in alice] == list(range(1, 21))
    assert [event["skill"]["pattern"] for event in alice] == [each["entry"]["pattern"] for each in DIFFERENT]


def test_delivery_is_100_percent(imported: Imported) -> None:
    for skill in all_skills(imported.server):
        delivery = httpx.get(f"{imported.server.url}/skills/{skill['id']}/delivery").json()
        assert delivery == {
            "position": skill["position"],
            "agents": 2,
            "delivered": 2,
            "pending": [],
            "complete": True,
        }


def test_a_second_import_changes_only_captures(imported: Imported) -> None:
    before = all_skills(imported.server)
    head = httpx.get(f"{imported.server.url}/info").json()["head"]
    assert imported.cin("import", str(imported.file)).returncode == 0
    assert all_skills(imported.server) == [{**skill, "captures": 2 * skill["captures"]} for skill in before]
    assert httpx.get(f"{imported.server.url}/info").json()["head"] == head


def test_one_agent_captures(server: Server) -> None:
    with Client(server.url, agent="agent-a") as a:
        captured = a.capture(error_type="SeedError", pattern="one agent captures", resolution="It is there.")
        assert captured.created
        assert a.get(captured.skill.id) == captured.skill


def test_agent_b_learns_what_agent_a_captured(server: Server) -> None:
    with Client(server.url, agent="agent-a") as a, Client(server.url, agent="agent-b") as b:
        head = str(b.info()["head"])
        captured = a.capture(error_type="SeedError", pattern="agent b learns", resolution="Ask agent a.")
        with b.subscribe(since=head, error_types=["SeedError"]) as events:
            learned = next(events)
        assert isinstance(learned, Event)
        assert learned.skill == captured.skill
        assert learned.skill.captured_by == "agent-a"


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("at >= '2026-11-22' ORDER BY at", "ix_event_at"),
        ("type = 'skill.captured' ORDER BY \"offset\"", "ix_event_type"),
    ],
    ids=["events by time", "events by kind"],
)
def test_the_indexes_are_used(imported: Imported, condition: str, index: str) -> None:
    database = sqlite3.connect(f"file:{imported.server.database}?mode=ro", uri=True)
    plan = database.execute(f"EXPLAIN QUERY PLAN SELECT * FROM event WHERE network_id = 1 AND {condition}").fetchall()
    database.close()
    assert [index in step for *_, step in plan] == [True]


def all_skills(server: Server) -> list[dict[str, Any]]:
    """Every skill of a server that has few, the newest first."""
    return list(httpx.get(f"{server.url}/skills?sort=newest&limit=100").json()["skills"])
