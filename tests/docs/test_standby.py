"""The scripts in `examples/postgres` make a standby that has what was answered, and that captures wait for."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg

from tests.docs.programs import ROOT, write_program
from tests.journeys.clients import skill
from tests.postgres import POSTGRES_BIN_PATH, Postgres
from tests.server import Server, wait_until

SCRIPTS = ROOT / "examples/postgres"
SYNCHRONOUS = "SELECT 1 FROM pg_stat_replication WHERE application_name = 'standby' AND sync_state = 'sync'"


class Machine:
    """Where a script runs as in its container: as PostgreSQL's user, with its programs and an entry point."""

    def __init__(self, folder: Path, primary: Postgres) -> None:
        self.folder = folder
        folder.mkdir()
        write_program(
            folder, "docker-entrypoint.sh", f'chmod 0700 "$PGDATA"; exec postgres -D "$PGDATA" -h \'\' -k {folder}'
        )
        owner = primary.socket.parent.stat() if os.geteuid() else primary._data.stat()
        self._user = owner.st_uid
        os.chown(folder, owner.st_uid, owner.st_gid)
        for each in (folder, *folder.parents[:2]):
            each.chmod(0o755)
        self._environment = {
            "PATH": f"{POSTGRES_BIN_PATH}:{folder}:{os.environ['PATH']}",
            "PGHOST": str(primary.socket.parent),
            "PGDATA": str(folder / "18" / "data"),
            "POSTGRES_NAME": "postgres-2",
            "POSTGRES_PRIMARY": str(primary.socket.parent),
            "POSTGRES_USER": "postgres",
            "POSTGRES_DB": "postgres",
            "POSTGRES_PASSWORD": 'it\'s "secret"',
        }

    def command(self, script: Path, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        text = script.read_text()  # by value: that user may not be able to read where the clone is
        return subprocess.Popen(
            ["sh", "-c", text, script.name, *arguments], env=self._environment | variables, user=self._user, cwd="/"
        )


@contextmanager
def standby(machine: Machine) -> Iterator[subprocess.Popen[bytes]]:
    """It runs until the end of the block."""
    with machine.command(SCRIPTS / "start.sh", "postgres") as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGQUIT)


def test_standby_has_what_was_answered_and_captures_wait_for_it(tmp_path: Path) -> None:
    (tmp_path / "primary").mkdir()
    primary = Postgres(tmp_path / "primary")
    machine = Machine(tmp_path / "standby", primary)
    try:
        url = primary.new()
        assert machine.command(SCRIPTS / "initialise.sh", PGDATA=str(primary._data)).wait(20) == 0
        with standby(machine):
            primary.execute("ALTER SYSTEM SET fsync = on", "SELECT pg_reload_conf()")
            wait_until(lambda: primary.execute(SYNCHRONOUS) == [(1,)], 20, "a synchronous standby")
            with Server(tmp_path, database_url=url, index_folder="memory") as server:
                assert "standby; 1 of 1 standbys" in httpx.get(f"{server.url}/info").json()["durability"]
                assert httpx.post(f"{server.url}/skills", json=skill("with-standby")).status_code == 201
                database = url.partition("?")[0].rpartition("/")[2]
                with psycopg.connect(host=str(machine.folder), user="postgres", dbname=database) as connection:
                    assert connection.execute("SELECT name FROM skill").fetchall() == [("with-standby",)]
                    assert connection.execute("SHOW synchronous_standby_names").fetchone() == ("",)
                os.kill(_postmaster(machine), signal.SIGQUIT)
                wait_until(lambda: primary.execute(SYNCHRONOUS) == [], 20, "no standby")
                answer = httpx.post(f"{server.url}/skills", json=skill("without-standby"), timeout=20)
                assert answer.status_code == 503
    finally:
        primary.stop()


def _postmaster(machine: Machine) -> int:
    return int((machine.folder / "18/data/postmaster.pid").read_text().split()[0])
