"""The client against a real server: every verb, as a user calls it."""

import asyncio
from collections.abc import Iterator
from typing import Protocol
from uuid import uuid4

import pytest

from app.client import AsyncClient, Client, Conflict, InvalidInput, NotFound, PreconditionFailed, Skill


class Serving(Protocol):
    """What the fixture `server` gives."""

    url: str


@pytest.fixture
def cin(server: Serving) -> Iterator[Client]:
    with Client(server.url, agent="tester") as cin:
        yield cin


def fresh(cin: Client, *, name: str | None = None, error_type: str | None = None) -> Skill:
    """A skill that no other test has."""
    word = f"skill {uuid4()}"
    return cin.capture(pattern=word, description=word, resolution=word, name=name, error_type=error_type).skill


def test_capture_then_the_same_again_is_known(cin: Client) -> None:
    word = f"known {uuid4()}"
    first = cin.capture(pattern=word, resolution=word, tags=["a"], metadata={"n": [1]}, error_type="E", context="c")
    again = cin.capture(pattern=word, resolution=word, error_type="E")
    assert (first.created, again.created) == (True, False)
    assert (first.skill.id, again.skill.captures) == (again.skill.id, 2)
    assert (first.skill.captured_by, first.skill.tags, first.skill.metadata) == ("tester", ("a",), {"n": [1]})
    assert first.position == first.skill.position


def test_capture_with_one_key_is_made_once(cin: Client) -> None:
    word, key = f"once {uuid4()}", str(uuid4())
    answers = [cin.capture(pattern=word, resolution=word, idempotency_key=key) for _ in range(3)]
    assert [answer.created for answer in answers] == [True, True, True]
    assert cin.get(answers[0].skill.id).captures == 1


def test_capture_of_a_wrong_field_names_it(cin: Client) -> None:
    with pytest.raises(InvalidInput, match="resolution") as caught:
        cin.capture(pattern="x", resolution="")
    assert caught.value.errors
    assert caught.value.instance


def test_capture_with_a_taken_name_is_a_conflict(cin: Client) -> None:
    taken = fresh(cin)
    with pytest.raises(Conflict):
        fresh(cin, name=taken.name)


def test_capture_many_goes_beyond_one_batch(cin: Client) -> None:
    word = str(uuid4()).translate(str.maketrans("0123456789", "ghijklmnop"))
    skills = [{"description": f"{word} {number}", "resolution": f"{word} {number}"} for number in range(1_001)]
    result = cin.capture_many([*skills, {"resolution": ""}, skills[0]])
    assert (result.created, result.known, result.failed) == (1_001, 1, 1)
    assert [item.status for item in result.results[-3:]] == [201, 422, 200]
    assert result.results[-2].problem is not None
    assert "resolution" in str(result.results[-2].problem)
    assert result.results[-1].id == result.results[0].id


def test_list_goes_through_all_pages(cin: Client) -> None:
    kind = f"Paged{uuid4().hex}"
    ids = [fresh(cin, error_type=kind).id for _ in range(105)]
    assert [skill.id for skill in cin.list(error_type=kind, sort="newest")] == ids[::-1]
    assert len(list(cin.list(error_type=kind, limit=101))) == 101
    page = cin.page(error_type=kind, limit=3)
    assert len(page.skills) == 3
    assert page.next_cursor
    assert page.position


def test_revise_makes_a_version_and_refuses_a_stale_one(cin: Client) -> None:
    skill = fresh(cin)
    revised = cin.revise(skill.id, skill.version, pattern=skill.pattern, resolution="Better.")
    assert (revised.version, revised.resolution, revised.name) == (2, "Better.", skill.name)
    with pytest.raises(PreconditionFailed):
        cin.revise(skill.id, 1, pattern="x", resolution="Too late.")
    assert [version.version for version in cin.versions(skill.id)] == [1, 2]
    assert cin.version(skill.id, 1).resolution == skill.resolution


def test_retired_skill_is_no_longer_listed(cin: Client) -> None:
    skill = fresh(cin, error_type=f"Retired{uuid4().hex}")
    cin.retire(skill.id)
    assert list(cin.list(error_type=skill.error_type)) == []
    assert cin.version(skill.id, 1).resolution == skill.resolution


def test_outcome_returns_the_new_figures(cin: Client) -> None:
    skill = fresh(cin)
    cin.outcome(skill.id, success=True)
    figures = cin.outcome(skill.id, success=False, detail="It did not.")
    assert (figures.usage_count, figures.success_count, figures.success_rate) == (2, 1, 0.5)


def test_outcome_with_one_key_counts_once(cin: Client) -> None:
    skill, key = fresh(cin), str(uuid4())
    for _ in range(2):
        cin.outcome(skill.id, success=True, idempotency_key=key)
    assert cin.get(skill.id).usage_count == 1


def test_unknown_skill_is_not_found(cin: Client) -> None:
    for lost in ("0197f2a4-5b7c-7e21-9d3a-1f0e6b8c2d44", "../agents", "no id"):
        with pytest.raises(NotFound):
            cin.get(lost)


def test_agent_registers_acknowledges_and_is_delivered_to(cin: Client) -> None:
    name = f"agent:{uuid4().hex}@host/1"
    assert cin.register(name).capabilities == ("skill_broadcast",)
    captured = cin.capture(description=name, resolution=name)
    assert name in cin.delivery(captured.skill.id).pending
    assert captured.position is not None
    cin.acknowledge(captured.position, agent=name)
    assert name not in cin.delivery(captured.skill.id).pending
    status = next(agent for agent in cin.agents() if agent.name == name)
    assert (status.acknowledged, status.lag) == (captured.position, 0)


def test_info_says_what_the_server_is(cin: Client) -> None:
    assert {"version", "epoch", "head"} <= cin.info().keys()


def test_async_client_has_the_same_verbs(server: Serving) -> None:
    async def use() -> None:
        async with AsyncClient(server.url, agent="tester") as cin:
            word = f"async {uuid4()}"
            skill = (await cin.capture(pattern=word, resolution=word, error_type=word)).skill
            assert (await cin.capture_many([{"pattern": word, "resolution": word, "error_type": word}])).known == 1
            assert [found.id async for found in cin.list(error_type=word)] == [skill.id]
            assert (await cin.get(skill.id)).captures == 2
            assert (await cin.revise(skill.id, 1, pattern=word, resolution="Better.")).version == 2
            assert len(await cin.versions(skill.id)) == 2
            assert (await cin.version(skill.id, 1)).resolution == word
            assert (await cin.outcome(skill.id, success=True)).usage_count == 1
            assert (await cin.register()).name == "tester"
            assert "tester" in [agent.name for agent in await cin.agents()]
            assert skill.position is not None
            await cin.acknowledge(skill.position)
            assert (await cin.delivery(skill.id)).agents >= 1
            await cin.retire(skill.id)
            assert "version" in await cin.info()

    asyncio.run(use())


def test_async_client_offers_what_the_client_offers() -> None:
    public = {name for name in dir(Client) if not name.startswith("_")}
    assert public - {"close"} == {name for name in dir(AsyncClient) if not name.startswith("_")} - {"aclose"}
