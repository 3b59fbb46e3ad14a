"""Operations: alive, ready, measured, and honest about what it is."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from app import __version__
from app.errors import CINError, StorageFull, Unavailable
from app.eventlog.log import EventLog
from app.eventlog.notifier import LocalNotifier
from app.main import create_app
from app.query.follower import Follower
from app.settings import Settings
from tests.inside import Inside, application, run, until
from tests.routers.answers import capture, head, problem
from tests.server import Server
from tests.streams import EventStream

T = TypeVar("T")

BROWSER = {"Sec-Fetch-Mode": "cors"}


def inside(folder: Path, look: Callable[[Inside], Awaitable[T]]) -> T:
    async def go() -> T:
        async with application(folder) as cin:
            return await look(cin)

    return run(go())


def test_health_touches_nothing(tmp_path: Path) -> None:
    async def look(cin: Inside) -> tuple[httpx.Response, int]:
        reads = cin.count_reads()
        return await cin.client.get("/healthz"), reads.number

    answer, reads = inside(tmp_path, look)
    assert (answer.status_code, answer.json(), reads) == (200, {"status": "ok"}, 0)


def test_health_is_good_when_the_database_is_gone(tmp_path: Path) -> None:
    async def look(cin: Inside) -> int:
        await cin.parts.database.close()
        return (await cin.client.get("/healthz")).status_code

    assert inside(tmp_path, look) == 200


def test_readiness_is_asked_of_the_database(tmp_path: Path) -> None:
    async def look(cin: Inside) -> tuple[httpx.Response, httpx.Response]:
        await until(lambda: cin.parts.follower.is_ready)
        ready = await cin.client.get("/readyz")
        await cin.parts.database.close()
        return ready, await cin.client.get("/readyz")

    ready, gone = inside(tmp_path, look)
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    problem(gone, 503, "unavailable")


def test_nothing_is_ready_before_the_start(tmp_path: Path) -> None:
    async def ask() -> list[httpx.Response]:
        app = create_app(Settings(database_url=f"sqlite:///{tmp_path / 'cin.db'}"))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cin") as client:
            return [await client.get(path) for path in ("/readyz", "/skills", "/stream", "/metrics", "/info")]

    for answer in run(ask()):
        problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0


def test_server_is_ready_once_its_index_of_skills_is_loaded(tmp_path: Path) -> None:
    async def look(cin: Inside) -> tuple[httpx.Response, httpx.Response]:
        database, network = cin.parts.database, cin.parts.network
        event_log = EventLog(database, LocalNotifier(), poll_seconds=0.2)
        follower = Follower(network, event_log, cin.parts.metrics, idle_seconds=60)
        cin.app.state.parts = replace(cin.parts, follower=follower)
        before = await cin.client.get("/readyz")
        following = asyncio.create_task(follower.run())
        await until(lambda: follower.is_ready)
        loaded = await cin.client.get("/readyz")
        following.cancel()
        return before, loaded

    before, loaded = inside(tmp_path, look)
    assert "index" in problem(before, 503, "unavailable")["detail"]
    assert int(before.headers["retry-after"]) > 0
    assert (loaded.status_code, loaded.json()) == (200, {"status": "ready"})


def test_server_that_is_ready_again_matches_what_it_was_told_before(fresh_server: Server) -> None:
    with httpx.Client(base_url=fresh_server.url) as api:
        skill = capture(api)
        fresh_server.restart()
        [match] = api.post("/match", json={"message": skill["pattern"]}).json()["matches"]
    assert (match["kind"], match["skill"]["id"]) == ("exact", skill["id"])


def test_draining_server_is_not_ready_and_takes_no_streams_but_answers(tmp_path: Path) -> None:
    async def look(cin: Inside) -> list[httpx.Response]:
        await cin.parts.hub.drain(0, 2_000)
        return [await cin.client.get(path) for path in ("/readyz", "/stream", "/healthz", "/skills")]

    ready, stream, health, skills = inside(tmp_path, look)
    problem(ready, 503, "unavailable")
    problem(stream, 503, "unavailable")
    assert int(stream.headers["retry-after"]) > 0
    assert (health.status_code, skills.status_code) == (200, 200)


def test_draining_server_lets_a_browser_come_back(tmp_path: Path) -> None:
    async def look(cin: Inside) -> httpx.Response:
        await cin.parts.hub.drain(0, 2_000)
        return await cin.client.get("/stream", headers=BROWSER)

    answer = inside(tmp_path, look)
    assert (answer.status_code, answer.text.startswith("retry: ")) == (200, True)


def test_between_two_lives_of_the_log_a_browser_is_told_to_come_back(tmp_path: Path) -> None:
    async def look(cin: Inside) -> list[httpx.Response]:
        cin.app.state.parts = None
        asked = [("/stream", BROWSER), ("/stream", {}), ("/skills", BROWSER)]
        return [await cin.client.get(path, headers=headers) for path, headers in asked]

    browser, *others = inside(tmp_path, look)
    assert (browser.status_code, browser.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    assert re.fullmatch(r"retry: \d+\n\n", browser.text)
    for answer in others:
        problem(answer, 503, "unavailable")


@pytest.mark.parametrize("error", [Unavailable, StorageFull])
def test_browser_whose_agent_cannot_be_read_or_written_comes_back(tmp_path: Path, error: type[CINError]) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error("Not now.")

    async def look(cin: Inside) -> list[httpx.Response]:
        cin.parts.deliveries.joined_stream = fail  # type: ignore[method-assign]  # as a database in trouble does
        return [await cin.client.get("/stream?agent=a", headers=headers) for headers in (BROWSER, {})]

    browser, other = inside(tmp_path, look)
    assert browser.status_code == 200
    (milliseconds,) = re.findall(r"^retry: (\d+)\n\n$", browser.text)
    assert 0.5 <= int(milliseconds) / 1_000 / int(other.headers["retry-after"]) <= 1.5
    problem(other, error.status, error.slug)


def test_browser_that_asks_for_what_cannot_be_is_refused_for_good(api: httpx.Client) -> None:
    problem(api.get("/stream?since=yesterday", headers=BROWSER), 422, "invalid-input")


def test_info_says_what_runs_and_what_it_promises(api: httpx.Client) -> None:
    info = api.get("/info").json()
    position = capture(api)["position"]
    assert (info["version"], info["network"]) == (__version__, "default")
    assert info["storage"].startswith("SQLite 3.")
    assert "fsync" in info["durability"]
    assert info["epoch"] == position.rpartition("-")[0]
    assert 1 <= info["tier"] <= 5


def test_info_shows_the_head_this_process_has_come_to(api: httpx.Client) -> None:
    position = capture(api)["position"]
    api.get("/skills", headers={"CIN-Min-Position": position})
    info = api.get("/info").json()
    assert info["head"] == position == head(api)
    assert info["earliest"].endswith("-1")


# Metrics


@pytest.mark.parametrize(
    "name",
    [
        "cin_captures_total",
        "cin_answers_total",
        "cin_indexed_skills",
        "cin_outcomes_total",
        "cin_commits_total",
        "cin_commit_seconds_bucket",
        "cin_group_size_bucket",
        "cin_log_head",
        "cin_streams",
        "cin_streams_behind",
        "cin_stream_lag_events",
        "cin_deliveries_total",
        "cin_heartbeats_total",
        "cin_evictions_total",
        "cin_log_reads_total",
        "cin_events_trimmed_total",
        "cin_request_seconds_bucket",
    ],
)
def test_metric_is_there(server: Server, api: httpx.Client, name: str) -> None:
    skill = capture(api)
    api.post(f"/skills/{skill['id']}/outcomes", json={"success": True})
    api.post("/match", json={"message": skill["pattern"]})
    answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert any(line.startswith((f"{name} ", f"{name}{{")) for line in answer.text.splitlines())


def test_every_metric_has_a_help_and_a_type(api: httpx.Client) -> None:
    lines = api.get("/metrics").text.splitlines()
    helped = [line.split()[2] for line in lines if line.startswith("# HELP")]
    assert helped == [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert all(name.startswith("cin_") for name in helped)


def test_deliveries_and_streams_are_counted(server: Server, api: httpx.Client) -> None:
    delivered = server.metric("cin_deliveries_total")
    with EventStream(server.url) as one, EventStream(server.url, {"tag": "no-such-tag"}) as other:
        one.start()
        other.start()
        assert server.metric("cin_streams") >= 2
        capture(api)
        one.events(1)
        assert server.metric("cin_deliveries_total") == delivered + 1


def test_log_head_is_measured(server: Server, api: httpx.Client) -> None:
    position = capture(api)["position"]
    api.get("/skills", headers={"CIN-Min-Position": position})
    assert server.metric('cin_log_head{network="default"}') == int(position.rpartition("-")[2])


def test_requests_are_counted_by_route_and_not_by_path(server: Server, api: httpx.Client) -> None:
    name = 'cin_request_seconds_count{method="GET",route="/skills/{skill_id}",status="404"}'
    before = server.metric(name)
    for n in range(3):
        api.get(f"/skills/no-such-{n}")
    assert server.metric(name) == before + 3
    assert "no-such" not in api.get("/metrics").text


def test_what_strangers_make_up_becomes_no_series(server: Server, api: httpx.Client) -> None:
    for method in ("PROPFIND", "MKCOL"):
        api.request(method, "/made/up/path")
    text = api.get("/metrics").text
    assert "PROPFIND" not in text
    assert "made" not in text
    assert 'method="other",route="none",status="404"' in text


def test_commit_groups_add_up(tmp_path: Path) -> None:
    async def look(cin: Inside) -> dict[str, float]:
        for n in range(3):
            await cin.client.post("/skills", json={"pattern": f"p{n}", "resolution": "r"})
        lines = (await cin.client.get("/metrics")).text.splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    found = inside(tmp_path, look)
    assert found["cin_commits_total"] == found["cin_group_size_count"] == found["cin_commit_seconds_count"] == 3
    assert found["cin_group_size_sum"] == 3
    assert found['cin_captures_total{answer="created"}'] == 3
