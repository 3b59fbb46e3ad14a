"""The builder: alone, with others, and while the server is away."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from app.client import Client, InvalidInput, SharedStateClient, SkillBuilder
from tests.server import Server, wait_until

pytestmark = pytest.mark.usefixtures("soon")


@pytest.fixture
def shared(server: Server) -> Iterator[SharedStateClient]:
    with SharedStateClient(server.url) as client:
        assert client.wait_connected()
        yield client


def test_builder_alone_finds_and_counts_what_it_captured() -> None:
    builder = SkillBuilder()
    skill = builder.capture_error_resolution(
        "ImportError", "No module named 'yaml'", "pip install pyyaml", "a container"
    )
    builder.capture_error_resolution("ImportError", "No  module named 'yaml'", "pip install pyyaml")
    other = builder.capture_error_resolution("OSError", "EADDRINUSE :8005", "Stop it.", {"port": 8005})
    found = builder.find_matching_skill("ImportError", "ModuleNotFoundError: No module named 'yaml'")
    assert found is not None
    assert (found.id, found.captures, found.context, other.metadata) == (skill.id, 2, "a container", {"port": 8005})
    assert builder.find_matching_skill(None, "something else entirely") is None
    assert builder.apply_skill(skill.id, success=False) is not None
    used = builder.apply_skill(skill.id, success=True)
    assert used is not None
    assert (used.usage_count, used.success_rate) == (2, 0.5)
    assert builder.apply_skill("unknown", success=True) is None
    builder.apply_skill(other.id, success=True)
    assert [each.id for each in builder.get_top_skills(1)] == [other.id]
    assert builder.get_stats() == {
        "skills": 2,
        "captured": 3,
        "learned": 0,
        "found": 1,
        "asked": 0,
        "applied": 4,
        "successes": 3,
        "failures": 1,
        "kept": 0,
        "connected": 0,
    }


def test_builder_learns_what_another_captures_and_answers_from_memory(
    server: Server, shared: SharedStateClient
) -> None:
    error = f"worker {uuid4()} is out of memory"
    with SharedStateClient(server.url) as other_state:
        learner, author = SkillBuilder(shared), SkillBuilder()
        author.shared_state = other_state
        assert other_state.wait_connected()
        skill = author.capture_error_resolution("MemoryError", error, "Give it more.")
        wait_until(lambda: learner._memory.get(skill.id) is not None)
        found = learner.find_matching_skill("MemoryError", f"fatal: {error}")
        assert found is not None
        assert found.id == skill.id
        assert learner.get_stats()["asked"] == 0
        used = learner.apply_skill(skill.id, success=True)
        assert used is not None
        assert (used.success_count, round(used.confidence, 2)) == (1, 0.67)
        shared.client.retire(skill.id)
        wait_until(lambda: learner._memory.get(skill.id) is None)


def test_builder_asks_the_server_for_what_it_does_not_know(server: Server, shared: SharedStateClient) -> None:
    error = f"no luck with {uuid4().hex}"
    with Client(server.url) as cin:
        skill = cin.capture(pattern=error, resolution="Try again.").skill
        cin.capture(pattern=f"{uuid4()}", resolution="Something else.")
    builder = SkillBuilder(shared)
    for _ in range(2):
        found = builder.find_matching_skill(None, error)
        assert found is not None
        assert found.id == skill.id
    assert builder.get_stats()["asked"] == 1
    assert builder.find_matching_skill(None, uuid4().hex) is None
    assert len(builder.get_top_skills(2)) == 2


def test_builder_passes_on_what_the_server_refuses(shared: SharedStateClient) -> None:
    with pytest.raises(InvalidInput):
        SkillBuilder(shared).capture_error_resolution("X", "a pattern", "")
    assert SkillBuilder(shared).apply_skill(str(uuid4()), success=True) is None


def test_builder_lets_go_of_a_shared_state(shared: SharedStateClient) -> None:
    builder = SkillBuilder(shared)
    builder.shared_state = None
    builder.capture_error_resolution(None, "only here", "Keep it.")
    shared.capture(pattern=f"{uuid4()}", resolution="Not for the builder.")
    assert (builder.get_stats()["learned"], builder.get_stats()["skills"]) == (0, 1)
    assert not shared._callbacks.want_events


def test_builder_goes_on_while_the_server_is_away_and_tells_it_all_later(tmp_path: Path) -> None:
    server = Server(tmp_path, retry_milliseconds="100")
    with SharedStateClient(server.url, agent="builder") as shared:
        builder = SkillBuilder(shared)
        skill = builder.capture_error_resolution("OSError", "port 8005 is taken", "Stop it.")
        found = builder.find_matching_skill("OSError", "port 8005 is taken")
        assert found is not None
        assert builder.apply_skill(found.id, success=True) is not None
        assert builder.get_stats()["kept"] == 1
        with server, Client(server.url) as cin:
            wait_until(lambda: [each.success_count for each in cin.list()] == [1], 20)
            (there,) = cin.list()
            wait_until(lambda: [each.id for each in builder.get_top_skills(1)] == [there.id])
            used = builder.apply_skill(skill.id, success=False)  # by the id that it had then
            assert used is not None
            assert (used.id, used.success_count, used.failure_count) == (there.id, 1, 1)
