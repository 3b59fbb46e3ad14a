"""Failover: captures stop for seconds, nothing acknowledged is lost, and what may be lost is said."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.eventlog.network import begin_new_life
from app.storage.opening import migrate_database
from tests.journeys.clients import skill
from tests.journeys.failover import fail_over_under_load, lose_the_tail, serve
from tests.journeys.history import History
from tests.journeys.judging import judge
from tests.server import Server, wait_until
from tests.standby import Pair, pair_running

LONGEST_GAP_SECONDS = 30


@pytest.fixture
def pair() -> Iterator[Pair]:
    with pair_running() as running:
        yield running


def epoch_of(server: Server) -> str:
    return str(httpx.get(f"{server.url}/info").json()["epoch"])


def capture(server: Server, name: str) -> int:
    return httpx.post(f"{server.url}/skills", json=skill(name), timeout=10).status_code


def test_promotion_of_a_synchronous_standby_loses_nothing(pair: Pair, tmp_path: Path) -> None:
    history = History()
    pair.wait_for_commits()
    with serve(pair, tmp_path) as server:
        epoch = epoch_of(server)
        gap = asyncio.run(fail_over_under_load(pair, server, history, seed=1))
        assert epoch_of(server) == epoch
    judge(history, tmp_path)
    print(f"no capture was answered for {gap:.1f} s")
    assert gap < LONGEST_GAP_SECONDS


def test_tail_that_a_promoted_standby_lacks_is_noticed_and_those_who_read_it_are_told(
    pair: Pair, tmp_path: Path
) -> None:
    history = History()
    with serve(pair, tmp_path) as server:
        epoch = epoch_of(server)
        pid = server.pid
        asyncio.run(lose_the_tail(pair, server, history))
        assert (epoch_of(server) != epoch, server.pid) == (True, pid)
    judge(history, tmp_path, resets=frozenset({"epoch"}))


def test_primary_that_was_replaced_is_not_written_when_it_comes_back(pair: Pair, tmp_path: Path) -> None:
    pair.wait_for_commits()
    with serve(pair, tmp_path) as server:
        assert capture(server, "before") == 201
        pair.fail_over()
        wait_until(lambda: capture(server, "promoted") in (200, 201), 20)
        pair.primary.start()
        pair.primary.execute("ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()")
        leave = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cin'"
        pair.standby.execute(leave)
        wait_until(lambda: capture(server, "with-both") in (200, 201), 20)
        names = {name for (name,) in pair.primary.execute("SELECT name FROM skill", database=pair.database)}
        assert names == {"before"}
        pair.standby.stop()
        assert [capture(server, f"old-alone-{number}") for number in range(2)] == [503, 503]
        names = {name for (name,) in pair.primary.execute("SELECT name FROM skill", database=pair.database)}
        assert names == {"before"}
        pair.standby.start()
        wait_until(lambda: capture(server, "healed") in (200, 201), 20)


def test_restored_log_is_noticed_while_servers_run(pair: Pair, tmp_path: Path) -> None:
    with serve(pair, tmp_path) as server:
        assert capture(server, "before") == 201
        epoch = epoch_of(server)
        migrate_database(pair.url, begin_new_life)
        wait_until(lambda: capture(server, "after") in (200, 201), 20)
        wait_until(lambda: epoch_of(server) != epoch, 20)
