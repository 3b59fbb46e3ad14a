"""Replicas: they answer reads when they have what the process knows, and nobody ever sees less than before."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.inside import run
from tests.journeys.clients import skill
from tests.proxy import proxy_to
from tests.server import Server, wait_until
from tests.standby import Pair, pair_running
from tests.streams import EventStream

_http = httpx.Client(timeout=10)
"""One for all: to make a client takes longer than a request."""


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """The primary's own database, and a replica of it; a test leaves both as it found them."""
    with pair_running() as running:
        yield running


def replica_url(pair: Pair) -> str:
    return pair.standby.url(pair.database)


def serving(
    pair: Pair, folder: Path, replica: str, ring_events: str = "10000", index_idle_seconds: str = "3600"
) -> Server:
    folder.mkdir(exist_ok=True)
    return Server(
        folder,
        database_url=pair.primary.url(pair.database),
        database_replica_urls=replica,
        index_folder="memory",
        ring_events=ring_events,
        index_idle_seconds=index_idle_seconds,
        poll_seconds="0.2",
    )


def name_of(server: Server) -> str:
    line = next(
        line for line in _http.get(f"{server.url}/metrics").text.splitlines() if line.startswith("cin_replica_up{")
    )
    return line.rpartition(" ")[0]


def is_used(server: Server) -> bool:
    return server.metric(name_of(server)) == 1


def by_replica(server: Server) -> float:
    return server.metric('cin_database_reads_total{server="replica"}')


def capture(server: Server, name: str) -> dict[str, str]:
    answer = _http.post(f"{server.url}/skills", json=skill(name))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def read_after_capture(server: Server, captured: dict[str, str]) -> None:
    """By another process, with the position; all of it must be there."""
    least = {"CIN-Min-Position": captured["position"]}
    found = _http.get(f"{server.url}/skills/{captured['id']}", headers=least)
    assert found.status_code == 200, found.text
    listed = _http.get(f"{server.url}/skills", params={"limit": "1"}, headers=least).json()
    assert int(listed["position"].split("-")[1]) >= int(captured["position"].split("-")[1])
    assert _http.get(f"{server.url}/skills/{captured['id']}/versions", headers=least).status_code == 200


def test_reads_after_captures_never_go_back_and_replicas_do_most_of_the_rest(pair: Pair, tmp_path: Path) -> None:
    chance = random.Random(1)
    url = replica_url(pair)
    with serving(pair, tmp_path / "one", url) as one, serving(pair, tmp_path / "other", url) as other:
        wait_until(lambda: is_used(one) and is_used(other))
        seen = 0
        for number in range(15):
            writer, reader = chance.sample([one, other], 2)
            captured = capture(writer, f"back-{number}")
            read_after_capture(writer, captured)
            read_after_capture(reader, captured)
            position = int(_http.get(f"{reader.url}/skills").json()["position"].split("-")[1])
            assert position >= seen
            seen = position
        pair.wait_until_replayed()
        for server in (one, other):
            wait_until(lambda server=server: is_used(server))  # type: ignore[misc]
            before = by_replica(server)
            for limit in range(21, 41):  # a list that was read before is not read again
                assert _http.get(f"{server.url}/skills?limit={limit}").status_code == 200
            assert by_replica(server) - before == 20


def test_replica_that_lags_is_left_out_and_comes_back(pair: Pair, tmp_path: Path) -> None:
    with serving(pair, tmp_path / "one", replica_url(pair)) as server:
        wait_until(lambda: is_used(server))
        pair.standby.execute("SELECT pg_wal_replay_pause()")
        try:
            captured = [capture(server, f"lag-{number}") for number in range(5)]
            for each in captured:
                read_after_capture(server, each)
            lag = name_of(server).replace("cin_replica_up", "cin_replica_lag_events")
            wait_until(lambda: server.metric(lag) == 5)
            assert not is_used(server)
        finally:
            pair.standby.execute("SELECT pg_wal_replay_resume()")
        wait_until(lambda: is_used(server) and server.metric(lag) == 0)


def test_cold_pages_of_the_log_come_from_a_replica(pair: Pair, tmp_path: Path) -> None:
    with serving(pair, tmp_path / "one", replica_url(pair), ring_events="2") as server:
        first, *others = [capture(server, f"cold-{number}") for number in range(20)]
        pair.wait_until_replayed()
        wait_until(lambda: is_used(server))
        before = by_replica(server)
        with EventStream(server.url, {"since": first["position"]}) as stream:
            stream.start()
            assert [event.id for event in stream.events(19)] == [each["position"] for each in others]
        assert by_replica(server) > before


def test_index_that_comes_back_is_read_from_a_replica(pair: Pair, tmp_path: Path) -> None:
    def finds(name: str) -> bool:
        answer = _http.post(f"{server.url}/match", json={"message": f"Error: {name}"})
        return bool(answer.raise_for_status().json()["matches"])

    with serving(pair, tmp_path / "one", replica_url(pair), index_idle_seconds="0.2") as server:
        capture(server, "kept-in-an-index")
        pair.wait_until_replayed()
        wait_until(lambda: is_used(server))
        for times in (1, 2):
            wait_until(lambda times=times: server.log.read_text().count("index_rests") == times)  # type: ignore[misc]
            before = by_replica(server)
            assert finds("kept-in-an-index")
            assert by_replica(server) > before


def test_replica_that_dies_or_falls_silent_fails_no_read(pair: Pair, tmp_path: Path) -> None:
    async def go() -> None:
        async with proxy_to(pair.standby.socket) as proxy:
            server = serving(pair, tmp_path / "one", proxy.url(pair.database))
            await asyncio.to_thread(server.start)
            try:
                await asyncio.to_thread(wait_until, lambda: is_used(server))
                proxy.swallow()
                await asyncio.to_thread(read_often, server)
                await asyncio.to_thread(wait_until, lambda: not is_used(server))
                proxy.carry()
                await asyncio.to_thread(wait_until, lambda: is_used(server))
                proxy.delay_seconds = 1.0
                await asyncio.to_thread(read_often, server)
                proxy.delay_seconds = 0.0
                await asyncio.to_thread(wait_until, lambda: is_used(server))
                pair.standby.stop()
                await asyncio.to_thread(read_often, server)
                pair.standby.start()
                await asyncio.to_thread(wait_until, lambda: is_used(server), 20)
            finally:
                await asyncio.to_thread(server.kill)

    run(go())


def read_often(server: Server) -> None:
    for _ in range(10):
        assert _http.get(f"{server.url}/skills", timeout=2).status_code == 200
