"""Agents: what they acknowledge moves forward only, and a delivery is complete only when it is."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from tests.factories import make_skill
from tests.inside import Inside, application, run
from tests.routers.answers import capture, head, offset, places, problem
from tests.server import Server, wait_until
from tests.streams import Connect, EventStream

T = TypeVar("T")

BROADCAST = {"capabilities": ["skill_broadcast"]}


def register(api: httpx.Client, name: str | None = None, **body: Any) -> str:
    """A new agent's name."""
    name = name or f"agent-{uuid4()}"
    assert api.put(f"/agents/{name}", json=body or BROADCAST).status_code == 201
    return name


def agent(api: httpx.Client, name: str) -> dict[str, Any]:
    """An agent as the list shows it."""
    (found,) = [each for each in api.get("/agents").json()["agents"] if each["name"] == name]
    return dict(found)


def acknowledge(api: httpx.Client, name: str, position: str) -> httpx.Response:
    return api.put(f"/agents/{name}/position", json={"position": position})


def inside(folder: Path, look: Callable[[Inside], Awaitable[T]]) -> T:
    async def go() -> T:
        async with application(folder) as cin:
            return await look(cin)

    return run(go())


# Registering


def test_agent_is_registered_then_refreshed(api: httpx.Client) -> None:
    name = f"agent-{uuid4()}"
    first = api.put(f"/agents/{name}", json=BROADCAST)
    again = api.put(f"/agents/{name}", json={"capabilities": ["b", "a", "b"]})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == {
        "name": name,
        "capabilities": ["skill_broadcast"],
        "connections": 0,
        "acknowledged": head(api),
        "lag": 0,
        "last_seen_at": first.json()["last_seen_at"],
    }
    assert again.json()["capabilities"] == ["b", "a"]
    assert again.json()["last_seen_at"] >= first.json()["last_seen_at"]
    assert agent(api, name) == again.json()


def test_agent_may_register_with_nothing(api: httpx.Client) -> None:
    assert api.put(f"/agents/agent-{uuid4()}", json={}).status_code == 201


@pytest.mark.parametrize(
    "name", ["org/repo:agent@host/{}", "A.b_c-{}", "a//{}", "{}/", "positions/{}", "{}/position/x"]
)
def test_agent_may_have_any_name_of_its_characters(api: httpx.Client, name: str) -> None:
    name = name.format(uuid4().hex)
    assert register(api, name) == name
    skill = capture(api)
    assert acknowledge(api, name, skill["position"]).status_code == 204
    assert agent(api, name)["acknowledged"] == skill["position"]


def test_agent_may_be_named_in_escapes(api: httpx.Client) -> None:
    name = f"org/{uuid4()}@host:1"
    register(api, quote(name, safe=""))
    assert agent(api, name)["name"] == name


@pytest.mark.parametrize("name", ["a%20b", "%00", "%0dX-Injected:%201", "%ff", "a" * 129, "%3Cb%3E", "é", "a%3fb"])
def test_agent_with_another_name_is_refused(api: httpx.Client, name: str) -> None:
    answer = api.put(f"/agents/{name}", json=BROADCAST)
    assert places(answer) == {"path.name"}
    assert "x-injected" not in answer.headers


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"capabilities": "skill_broadcast"}, "body.capabilities"),
        ({"capabilities": [1]}, "body.capabilities.0"),
        ({"capabilities": [""]}, "body.capabilities.0"),
        ({"capabilities": ["c" * 65]}, "body.capabilities.0"),
        ({"capabilities": ["\0"]}, "body.capabilities.0"),
        ({"capabilities": [str(n) for n in range(33)]}, "body.capabilities"),
        ({"capabilities": None}, "body.capabilities"),
        ({"name": "x"}, "body.name"),
        ([], "body"),
    ],
)
def test_wrong_registration_is_refused(api: httpx.Client, body: object, place: str) -> None:
    name = f"agent-{uuid4()}"
    assert places(api.put(f"/agents/{name}", json=body)) == {place}
    assert name not in {each["name"] for each in api.get("/agents").json()["agents"]}


def test_agents_are_listed_by_name(api: httpx.Client) -> None:
    mark = uuid4().hex
    for letter in "cab":
        register(api, f"{mark}-{letter}")
    listed = api.get("/agents").json()
    assert [a["name"] for a in listed["agents"] if a["name"].startswith(mark)] == [
        f"{mark}-{letter}" for letter in "abc"
    ]
    assert listed["position"] == head(api)


# Acknowledging


def test_acknowledged_position_moves_and_lag_is_what_is_left(api: httpx.Client) -> None:
    name = register(api)
    positions = [capture(api)["position"] for _ in range(3)]
    assert agent(api, name)["lag"] == 3
    assert acknowledge(api, name, positions[1]).status_code == 204
    assert (agent(api, name)["acknowledged"], agent(api, name)["lag"]) == (positions[1], 1)


def test_acknowledged_position_never_moves_back(api: httpx.Client) -> None:
    name = register(api)
    positions = [capture(api)["position"] for _ in range(3)]
    for position in (positions[2], positions[0], positions[1]):
        assert acknowledge(api, name, position).status_code == 204
        assert agent(api, name)["acknowledged"] == positions[2]


@pytest.mark.parametrize(
    ("ahead", "epoch", "reason"), [(1, None, "ahead"), (10**9, None, "ahead"), (0, "other", "epoch")]
)
def test_position_that_was_never_reached_is_refused(
    api: httpx.Client, ahead: int, epoch: str | None, reason: str
) -> None:
    name = register(api)
    own, _, number = head(api).rpartition("-")
    found = problem(acknowledge(api, name, f"{epoch or own}-{int(number) + ahead}"), 410, "position-unavailable")
    assert found["reason"] == reason
    assert agent(api, name)["acknowledged"] == head(api)


@pytest.mark.parametrize("position", ["", "7", "now", "k3f9-", "k3f9-1 2", "\0", "é-1"])
def test_text_that_is_no_position_is_refused(api: httpx.Client, position: str) -> None:
    assert places(acknowledge(api, register(api), position)) == {"body.position"}


@pytest.mark.parametrize("body", [{}, {"position": 7}, {"position": None}, {"offset": 1}, []])
def test_wrong_acknowledgement_is_refused(api: httpx.Client, body: object) -> None:
    assert places(api.put(f"/agents/{register(api)}/position", json=body))


def test_unknown_agent_cannot_acknowledge(api: httpx.Client) -> None:
    problem(acknowledge(api, f"nobody-{uuid4()}", head(api)), 404, "agent-not-found")


def test_acknowledged_position_is_kept_over_a_restart(tmp_path: Path) -> None:
    async def first(cin: Inside) -> str:
        await cin.client.put("/agents/a", json=BROADCAST)
        position = str((await cin.capture(make_skill()))["position"])
        await cin.client.put("/agents/a/position", json={"position": position})
        return position

    async def second(cin: Inside) -> Any:
        return (await cin.client.get("/agents")).json()["agents"][0]["acknowledged"]

    assert inside(tmp_path, first) == inside(tmp_path, second)


# Streaming as an agent


def test_stream_goes_on_from_what_the_agent_acknowledged(server: Server, api: httpx.Client, connect: Connect) -> None:
    name = register(api)
    skills = [capture(api) for _ in range(3)]
    acknowledge(api, name, skills[0]["position"])
    with connect(server.url, {"agent": name}) as stream:
        assert stream.start()[1].id == skills[0]["position"]
        assert [block.data["skill"]["name"] for block in stream.events(2)] == [skill["name"] for skill in skills[1:]]
    assert agent(api, name)["acknowledged"] == skills[0]["position"]  # bytes that were sent prove nothing


def test_new_agent_is_registered_by_its_stream_and_starts_now(
    server: Server, api: httpx.Client, connect: Connect
) -> None:
    name, before = f"agent-{uuid4()}", capture(api)["position"]
    with connect(server.url, {"agent": name}) as stream:
        assert stream.start()[1].id == before
        found = agent(api, name)
    assert (found["acknowledged"], found["lag"], found["connections"]) == (before, 0, 1)


def test_since_wins_over_what_was_acknowledged(server: Server, api: httpx.Client, connect: Connect) -> None:
    name = register(api)
    skills = [capture(api) for _ in range(2)]
    acknowledge(api, name, skills[1]["position"])
    with connect(server.url, {"agent": name, "since": skills[0]["position"]}) as stream:
        assert stream.events(1)[0].data["skill"]["name"] == skills[1]["name"]
    assert agent(api, name)["acknowledged"] == skills[1]["position"]


def test_reconnecting_with_last_event_id_acknowledges(server: Server, api: httpx.Client, connect: Connect) -> None:
    name = register(api)
    skills = [capture(api) for _ in range(3)]
    with connect(server.url, {"agent": name}, {"Last-Event-ID": skills[1]["position"]}) as stream:
        stream.start()
        assert (agent(api, name)["acknowledged"], agent(api, name)["lag"]) == (skills[1]["position"], 1)


@pytest.mark.parametrize("header", ["junk", "other-1", "{epoch}-999999999"])
def test_last_event_id_that_cannot_be_served_acknowledges_nothing(
    server: Server, api: httpx.Client, header: str
) -> None:
    name = register(api)
    before = agent(api, name)["acknowledged"]
    capture(api)
    asked = header.format(epoch=before.rpartition("-")[0])
    with EventStream(server.url, {"agent": name}, {"Last-Event-ID": asked}) as stream:
        assert stream.start()[1].event == "reset"
    assert agent(api, name)["acknowledged"] == before


def test_connections_are_the_streams_that_are_open(server: Server, api: httpx.Client, connect: Connect) -> None:
    name = register(api)
    with connect(server.url, {"agent": name}) as one, connect(server.url, {"agent": name}) as other:
        one.start()
        other.start()
        assert agent(api, name)["connections"] == 2
    wait_until(lambda: agent(api, name)["connections"] == 0)


# Delivery


def test_delivery_to_nobody_is_not_complete(tmp_path: Path) -> None:
    async def look(cin: Inside) -> Any:
        skill = await cin.capture(make_skill())
        return (await cin.client.get(f"/skills/{skill['id']}/delivery")).json(), skill["position"]

    found, position = inside(tmp_path, look)
    assert found == {"position": position, "agents": 0, "delivered": 0, "pending": [], "complete": False}


def test_delivery_is_complete_when_the_last_agent_has_acknowledged(tmp_path: Path) -> None:
    async def look(cin: Inside) -> list[Any]:
        for name in ("c", "a", "b"):
            await cin.client.put(f"/agents/{name}", json=BROADCAST)
        await cin.client.put("/agents/only-asks", json={"capabilities": ["search"]})
        skill = await cin.capture(make_skill())
        found = [(await cin.client.get(f"/skills/{skill['id']}/delivery")).json()]
        for name in ("b", "c", "a"):
            await cin.client.put(f"/agents/{name}/position", json={"position": skill["position"]})
            found.append((await cin.client.get(f"/skills/{skill['id']}/delivery")).json())
        return [(each["agents"], each["delivered"], each["pending"], each["complete"]) for each in found]

    assert inside(tmp_path, look) == [
        (3, 0, ["a", "b", "c"], False),
        (3, 1, ["a", "c"], False),
        (3, 2, ["a"], False),
        (3, 3, [], True),
    ]


def test_position_before_the_skill_does_not_deliver_it(tmp_path: Path) -> None:
    async def look(cin: Inside) -> list[list[str]]:
        await cin.client.put("/agents/a", json=BROADCAST)
        skills = [await cin.capture(make_skill()) for _ in range(2)]
        await cin.client.put("/agents/a/position", json={"position": skills[0]["position"]})
        return [(await cin.client.get(f"/skills/{s['id']}/delivery")).json()["pending"] for s in skills]

    assert inside(tmp_path, look) == [[], ["a"]]


def test_agent_that_joined_later_is_not_owed(tmp_path: Path) -> None:
    async def look(cin: Inside) -> list[tuple[int, list[str]]]:
        await cin.client.put("/agents/early", json=BROADCAST)
        skill = await cin.capture(make_skill())
        await cin.client.put("/agents/late", json=BROADCAST)
        later = await cin.capture(make_skill())
        found = [(await cin.client.get(f"/skills/{s['id']}/delivery")).json() for s in (skill, later)]
        return [(each["agents"], each["pending"]) for each in found]

    assert inside(tmp_path, look) == [(1, ["early"]), (2, ["early", "late"])]


def test_agent_that_asked_for_history_is_owed_it(server: Server, api: httpx.Client, connect: Connect) -> None:
    name, skill = f"agent-{uuid4()}", capture(api)
    before = f"{skill['position'].rpartition('-')[0]}-{offset(skill['position']) - 1}"
    with connect(server.url, {"agent": name, "since": before}) as stream:
        stream.events(1)
        assert name in api.get(f"/skills/{skill['id']}/delivery").json()["pending"]
        acknowledge(api, name, skill["position"])
        assert name not in api.get(f"/skills/{skill['id']}/delivery").json()["pending"]


def test_agent_that_streams_subscribes_without_a_capability(
    server: Server, api: httpx.Client, connect: Connect
) -> None:
    name = f"agent-{uuid4()}"
    api.put(f"/agents/{name}", json={})
    assert name not in api.get(f"/skills/{capture(api)['id']}/delivery").json()["pending"]
    with connect(server.url, {"agent": name}) as stream:
        stream.start()
        assert name in api.get(f"/skills/{capture(api)['id']}/delivery").json()["pending"]


@pytest.mark.parametrize("change", ["revise", "retire"])
def test_change_of_a_skill_is_to_be_delivered_again(tmp_path: Path, change: str) -> None:
    async def look(cin: Inside) -> list[bool]:
        await cin.client.put("/agents/a", json=BROADCAST)
        skill = await cin.capture(make_skill())
        url = f"/skills/{skill['id']}"
        found = []
        for _ in range(2):
            position = (await cin.client.get(f"{url}/delivery")).json()["position"]
            await cin.client.put("/agents/a/position", json={"position": position})
            found.append((await cin.client.get(f"{url}/delivery")).json()["complete"])
            if change == "revise":
                await cin.client.put(url, json=make_skill(), headers={"If-Match": "*"})
            else:
                await cin.client.delete(url)
            found.append((await cin.client.get(f"{url}/delivery")).json()["complete"])
        return found

    assert inside(tmp_path, look) == ([True, False, True, False] if change == "revise" else [True, False, True, True])


def test_delivery_of_an_unknown_skill_is_not_found(api: httpx.Client) -> None:
    problem(api.get(f"/skills/{uuid4()}/delivery"), 404, "skill-not-found")
