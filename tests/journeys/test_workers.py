"""Several workers as one server: connections spread, deaths and restarts that nobody loses anything by, no orphans."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from app.eventlog.network import begin_new_life
from app.storage.opening import migrate_database
from tests.journeys.clients import skill
from tests.journeys.crashes import end_at_random
from tests.journeys.history import History
from tests.journeys.judging import judge
from tests.journeys.rolling import roll_under_load
from tests.postgres import Postgres
from tests.server import SERVE, free_port, wait_until
from tests.streams import EventStream
from tests.workers import Workers, is_alive, postgres_running

CONNECTIONS = 1_000


@pytest.fixture(scope="module")
def database_server() -> Iterator[Postgres]:
    with postgres_running() as running:
        yield running


@pytest.fixture(scope="module")
def workers(database_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """A server of three workers that tests share."""
    folder = tmp_path_factory.mktemp("workers")
    with Workers(folder, database_server.new(), 3, retry_milliseconds="100", drain_seconds="3") as running:
        running.wait_until_all_serve()
        yield running


@pytest.fixture
def pair(database_server: Postgres, tmp_path: Path) -> Iterator[Workers]:
    """A server of two workers, of this test's own."""
    with Workers(tmp_path, database_server.new(), 2, retry_milliseconds="100", drain_seconds="3") as running:
        running.wait_until_all_serve()
        yield running


def test_connections_are_spread_evenly_and_whoever_answers_reports_all_of_them(workers: Workers) -> None:
    async def go() -> dict[int, float]:
        opened = [await asyncio.open_connection("127.0.0.1", workers.port) for _ in range(CONNECTIONS)]
        for _, writer in opened:
            writer.write(b"GET /stream HTTP/1.1\r\nHost: cin\r\n\r\n")
        for reader, _ in opened:
            await reader.readuntil(b"hello")
        scrapes = {(await _scrape(workers)).replace(".0", "") for _ in range(6)}
        for _, writer in opened:
            writer.close()
        assert len(scrapes) == 1
        return {int(seat): float(value) for seat, value in re.findall(r'worker="(\d)"} (\d+)', scrapes.pop())}

    streams = asyncio.run(go())
    assert sum(streams.values()) == CONNECTIONS
    assert all(abs(each - CONNECTIONS / 3) < CONNECTIONS / 3 / 4 for each in streams.values()), streams


async def _scrape(workers: Workers) -> str:
    """The lines of one metric, asked for on a connection of its own."""
    text = (await asyncio.to_thread(httpx.get, f"{workers.url}/metrics")).text
    return "\n".join(line for line in text.splitlines() if line.startswith("cin_streams{"))


def test_killed_workers_are_replaced_and_nothing_is_lost(workers: Workers, tmp_path: Path) -> None:
    history = History()
    seats = iter([1, 0, 2])

    def kill_one(server: Workers) -> None:
        server.kill_worker(next(seats))

    asyncio.run(end_at_random(workers, history, rounds=3, seed=1, end=kill_one, begin=Workers.wait_until_all_serve))
    judge(history, tmp_path)
    assert workers.said("worker_died") == 3


def test_connections_of_a_dead_worker_are_taken_by_the_others_at_once(workers: Workers) -> None:
    before = workers.processes()
    workers.kill_worker(0)
    with httpx.Client(timeout=2, headers={"Connection": "close"}) as client:
        answered = [client.get(f"{workers.url}/healthz").status_code for _ in range(100)]
        assert answered == [200] * 100
    workers.wait_until_all_serve()
    after = workers.processes()
    assert {seat for seat in before if before[seat] != after[seat]} == {0}


def test_rolling_restart_replaces_all_and_cuts_each_stream_once(pair: Workers, tmp_path: Path) -> None:
    history = History()
    before = set(pair.processes().values())
    asyncio.run(roll_under_load(pair, history, rounds=1, seed=1))
    judge(history, tmp_path)
    ways = {name: way for name, way in history.by_subscriber().items() if name != "witness"}
    assert {name: len(way) for name, way in ways.items()} == dict.fromkeys(ways, 2)
    assert [each for each in history.tries if each.status >= 500] == []
    wait_until(lambda: not any(is_alive(pid) for pid in before))
    assert before.isdisjoint(pair.processes().values())


def test_restart_with_workers_that_cannot_start_changes_nothing(workers: Workers, database_server: Postgres) -> None:
    serving = workers.processes()
    name = re.search(r"/(cin_\d+)\?", workers.environment["CIN_DATABASE_URL"])
    assert name is not None
    (revision,) = database_server.execute("SELECT version_num FROM alembic_version", database=name[1])[0]
    with EventStream(workers.url) as stream:
        stream.start()
        database_server.execute("UPDATE alembic_version SET version_num = '9999_later'", database=name[1])
        workers.roll()
        wait_until(lambda: workers.said("restart_failed") == 1, 30)
        database_server.execute(f"UPDATE alembic_version SET version_num = '{revision}'", database=name[1])
        answer = httpx.post(f"{workers.url}/skills", json={"pattern": "after a failed restart", "resolution": "none"})
        assert answer.status_code == 201
        assert stream.events(1)[0].data["skill"]["id"] == answer.json()["id"]
    assert all(is_alive(pid) for pid in serving.values())
    assert "The database is at revision 9999_later" in workers.log.read_text()


def test_restored_log_is_noticed_by_all_workers_and_those_who_read_the_old_one_are_told(
    database_server: Postgres, tmp_path: Path
) -> None:
    url = database_server.new()
    with (
        Workers(tmp_path, url, 2, retry_milliseconds="100", poll_seconds="0.5") as workers,
        ExitStack() as open_streams,
    ):
        workers.wait_until_all_serve()
        position = str(httpx.post(f"{workers.url}/skills", json=skill("before")).json()["position"])
        streams = [open_streams.enter_context(EventStream(workers.url, {"since": position})) for _ in range(20)]
        for stream in streams:
            assert stream.start()[0].event == "hello"
        pids = workers.processes()
        migrate_database(url, begin_new_life)
        for stream in streams:
            assert stream.rest()[-1].fields.keys() == {"retry"}
        wait_until(lambda: told(workers, position) == {"epoch"}, 20, "reset on every worker")
        assert workers.processes() == pids


def told(workers: Workers, position: str) -> set[str]:
    """The reasons that streams which resume at a position are reset with, by whichever worker."""
    reasons = set()
    for _ in range(10):
        with EventStream(workers.url, {"since": position}) as stream:
            if stream.status != 200:
                return {"not yet"}
            _, second = stream.start()
            reasons.add(str(second.data["reason"]) if second.event == "reset" else "none")
    return reasons


def test_sigterm_drains_all_workers(pair: Workers) -> None:
    with EventStream(pair.url) as one, EventStream(pair.url) as two:
        one.start(), two.start()
        code = pair.stop()
        assert [stream.rest()[-1].fields.keys() for stream in (one, two)] == [{"retry"}] * 2
    assert code == 0
    assert not any(is_alive(pid) for pid in pair.started())
    assert pair.said("worker_died") == 0


def test_workers_whose_supervisor_is_killed_drain_and_exit(pair: Workers) -> None:
    with EventStream(pair.url) as stream:
        stream.start()
        os.kill(pair.pid, signal.SIGKILL)
        assert stream.rest()[-1].fields.keys() == {"retry"}
    wait_until(lambda: not any(is_alive(pid) for pid in pair.started()), 20)
    assert pair.said("supervisor_gone") == 2


def test_what_cannot_start_says_why_once_and_exits_with_2(tmp_path: Path) -> None:
    urls = {
        "Several workers need PostgreSQL": f"sqlite:///{tmp_path}/cin.db",
        "The database that CIN_DATABASE_URL names cannot be opened": f"postgresql://nobody@127.0.0.1:{free_port()}/none",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CIN_")}
    with ExitStack() as stack:
        started = []
        for url in urls.values():
            environment = {**clean, "CIN_DATABASE_URL": url, "CIN_PORT": str(free_port()), "CIN_LOG_LEVEL": "error"}
            program = subprocess.Popen([*SERVE, "--workers", "2"], env=environment, stderr=subprocess.PIPE, text=True)
            started.append(stack.enter_context(program))
            stack.callback(program.kill)
        for program, sentence in zip(started, urls, strict=True):
            said = program.communicate(timeout=30)[1]
            assert (program.returncode, said.count("\n")) == (2, 1), said
            assert said.startswith(f"cin: {sentence}")
    assert not (tmp_path / "cin.db").exists()
