"""A server is moved from SQLite to PostgreSQL: its agents go on from the very position they had."""

import signal
import subprocess
from pathlib import Path

import pytest

from app.client import Client
from tests.journeys.moving import clean_environment, copy, copy_command, move
from tests.postgres import Postgres
from tests.server import Server


def test_agents_miss_nothing_and_get_nothing_twice(fresh_server: Server, postgres: Postgres, tmp_path: Path) -> None:
    source, target, back = f"sqlite:///{fresh_server.database}", postgres.empty(), f"sqlite:///{tmp_path / 'back.db'}"
    moved = move(fresh_server, source, target, captures=20)
    assert moved.is_seamless, moved
    with Client(fresh_server.url) as cin:
        assert str(cin.info()["storage"]).startswith("PostgreSQL")
        assert {agent.name: agent.lag for agent in cin.agents()} == {"live": 0, "asleep": 0}
        assert cin.capture(pattern="early-0", resolution="Do it.").created is False

    refused, _ = copy(target, back)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("cin: CIN is running on")
    assert fresh_server.stop() == 0
    returned, _ = copy(target, back)
    assert returned.returncode == 0
    again, _ = copy(back, f"sqlite:///{tmp_path / 'again.db'}")
    assert again.stdout == returned.stdout


def test_copy_that_is_interrupted_says_how_to_go_on_and_keeps_the_server_out(
    fresh_server: Server, postgres: Postgres
) -> None:
    with Client(fresh_server.url) as cin:
        cin.capture_many({"pattern": f"pattern {n}", "resolution": "Do it. " * 10_000} for n in range(120))
    assert fresh_server.stop() == 0
    source, target = f"sqlite:///{fresh_server.database}", postgres.empty()
    name = target.split("/")[3].partition("?")[0]
    process = subprocess.Popen(
        copy_command(source, target), env=clean_environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        while not postgres.execute("SELECT to_regclass('unfinished_copy') IS NOT NULL", database=name)[0][0]:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "the same command goes on from there" in err

    with pytest.raises(RuntimeError, match="unfinished copy of"):
        fresh_server.start(database_url=target)
    ended, _ = copy(source, target)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith("an earlier copy was interrupted: going on where it was")
    fresh_server.start()
